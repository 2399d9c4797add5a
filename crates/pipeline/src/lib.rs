//! From a stamped event to one worth keeping: is it on an ignore list, what do the rules say, are its credentials bait, to which
//! incident does it belong. Plain calls in a fixed order; the order is policy, so it is code and not
//! configuration. Nothing here waits, and memory is bounded whoever knocks: what takes long (hashes) is left
//! as [`haldane_core::Honeycred::Pending`] for [`Checker`], which somebody else calls elsewhere.

pub mod hash;
pub mod honeycreds;
pub mod ignore;
pub mod incidents;
mod ntlm;
mod response;
pub mod rules;
mod scram;
mod snmpv3;

use std::time::Duration;

use haldane_core::{Class, Event, Honeycred, Kind, Severity};

pub use crate::{
    honeycreds::{Checker, Honeycreds},
    ignore::Ignore,
    incidents::Incidents,
    rules::{Names, NoNames, Rules},
};

/// A honey-credential was recognised after the sinks had had the login without that verdict.
pub static USED: Kind =
    Kind::new(39200, "honeycred.used", Class::Bait, Severity::Critical, "Honey-credential used");

/// All of them.
pub static KINDS: &[&Kind] = &[&USED];

/// What the operator chose.
#[derive(Debug)]
pub struct Settings {
    /// What is stored and not sent.
    pub ignore: Ignore,
    /// What else the operator says of events.
    pub rules: Rules,
    /// The bait of each service, by its name.
    pub checker: Checker,
    /// An incident ends after this much silence from its source.
    pub quiet: Duration,
    /// The number of the first incident: one more than the newest event's position, so that numbers are unique
    /// across restarts (each incident takes at least one event).
    pub first_incident: u64,
}

/// The whole pipeline. One thread owns it.
#[derive(Debug)]
pub struct Pipeline {
    ignore: Ignore,
    rules: Rules,
    checker: Checker,
    incidents: Incidents,
}

impl Pipeline {
    /// A pipeline that has seen nothing yet.
    pub fn new(settings: Settings) -> Self {
        let Settings { ignore, rules, checker, quiet, first_incident } = settings;
        Self { ignore, rules, checker, incidents: Incidents::new(quiet, first_incident) }
    }

    /// Goes on with other ignore lists, rules and bait. Open incidents stay open. Returns the old rules, with what
    /// they have counted.
    pub fn reconfigure(&mut self, ignore: Ignore, rules: Rules, checker: Checker) -> Rules {
        self.ignore = ignore;
        self.checker = checker;
        std::mem::replace(&mut self.rules, rules)
    }

    /// Completes one event.
    pub fn take(&mut self, event: &mut Event) {
        event.ignored |= self.ignore.matches(event);
        if !event.ignored {
            self.rules.apply(event, &NoNames);
        }
        if event.ignored {
            return;
        }
        if event.honeycred == Honeycred::None {
            event.honeycred = self.checker.glance(event);
        }
        if event.honeycred == Honeycred::Yes {
            event.severity = Severity::Critical;
        }
        if event.incident.is_none() {
            event.incident = self.incidents.note(event);
        }
    }
}
