//! What sinks see of the store: a queue that they read by position.

use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Class, Event, Record, Severity};

/// The store, as seen by whoever delivers from it. Calls may read from disk, but never wait for a peer, a
/// receiver or another sink.
pub trait Journal: Send + Sync {
    /// At most `most` wanted records after `cursor`. A record whose honey-credential is still being verified
    /// holds back what follows, for a short time.
    ///
    /// # Errors
    /// In words for the operator.
    fn after(&self, cursor: u64, most: usize, wants: &Wants) -> Result<Page, String>;
    /// Where that sink is; 0 if it is new.
    fn cursor(&self, sink: &str) -> u64;
    /// Remembers where that sink is. Soon on disk; after a crash an older position may come back.
    fn save(&self, sink: &str, cursor: u64);
    /// Keeps what the receiver refused for good, with its reason.
    fn bury(&self, sink: &str, seq: u64, reason: &str);
    /// Remembers how that sink is.
    fn health(&self, sink: &str, health: &Health);
}

/// Records, and the cursor after them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// What was wanted, oldest first.
    pub records: Vec<Record>,
    /// Everything up to here was looked at; at least the cursor that was asked for.
    pub next: u64,
}

/// What a sink tells of: every event, or what they amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notify {
    /// One message for each event, none for incidents.
    #[default]
    Event,
    /// A few messages for each incident, none for its events.
    Incident,
}

impl Notify {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Event, Self::Incident];

    /// The word used in configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Incident => "incident",
        }
    }
}

/// Which events a sink wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wants {
    /// Nothing milder.
    pub severity: Severity,
    /// Events about this program, too.
    pub operational: bool,
    /// Events, or the news of incidents.
    pub notify: Notify,
}

impl Wants {
    /// Whether that event is wanted. Ignored events never are.
    pub fn accepts(&self, event: &Event) -> bool {
        let about_us = event.kind.class == Class::Operational;
        let hears = !event.ignored && self.hears(event.kind.class);
        hears && (about_us || event.severity >= self.severity)
    }

    /// Whether events of that class can be wanted at all.
    pub fn hears(&self, class: Class) -> bool {
        match class {
            Class::Operational => self.operational,
            Class::Incident => self.notify == Notify::Incident,
            _ => self.notify == Notify::Event,
        }
    }
}

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether the last delivery succeeded.
    pub up: bool,
    /// The last failure, in words; empty if there was none.
    pub why: Arc<str>,
    /// Since when it is so.
    pub since: SystemTime,
    /// Records delivered since start.
    pub delivered: u64,
    /// Records refused for good since start.
    pub refused: u64,
}
