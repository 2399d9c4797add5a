//! From a stamped event to one worth keeping: is it on an ignore list, what do the rules say, are its credentials bait, to which
//! incident does it belong. Plain calls in a fixed order; the order is policy, so it is code and not
//! configuration. Nothing here waits, and memory is bounded whoever knocks: what takes long (hashes) is left
//! as [`haldane_core::Honeycred::Pending`] for [`Checker`], which somebody else calls elsewhere.

mod digest_md5;
pub mod hash;
pub mod honeycreds;
pub mod ignore;
pub mod incidents;
mod ntlm;
mod response;
pub mod rules;
mod scram;
mod snmpv3;

use std::{net::IpAddr, time::SystemTime};

use haldane_core::{Class, Event, Honeycred, Kind, News, Process, Severity, Unsaved};

pub use crate::{
    honeycreds::{Checker, Honeycreds},
    ignore::Ignore,
    incidents::{Facts, Incident, Incidents, Watch},
    rules::{NoNames, Rules},
};

/// A honey-credential was recognised after the sinks had had the login without that verdict.
pub static USED: Kind =
    Kind::new(39200, "honeycred.used", Class::Bait, Severity::Critical, "Honey-credential used");

/// All of them.
pub static KINDS: &[&Kind] = &[&USED, &incidents::OPENED, &incidents::UPDATED, &incidents::CLOSED];

/// What the operator chose.
#[derive(Debug)]
pub struct Settings {
    /// What is stored and not sent.
    pub ignore: Ignore,
    /// What else the operator says of events.
    pub rules: Rules,
    /// The bait of each service, by its name.
    pub checker: Checker,
    /// What an incident is.
    pub watch: Watch,
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
        let Settings { ignore, rules, checker, watch, first_incident } = settings;
        Self { ignore, rules, checker, incidents: Incidents::new(watch, first_incident) }
    }

    /// Goes on with other settings. Open incidents stay open. Returns the old rules, with what they have counted.
    pub fn reconfigure(&mut self, ignore: Ignore, rules: Rules, checker: Checker, watch: Watch) -> Rules {
        self.ignore = ignore;
        self.checker = checker;
        self.incidents.reconfigure(watch);
        std::mem::replace(&mut self.rules, rules)
    }

    /// See [`Incidents::asks`].
    pub fn asks(&mut self) -> Vec<IpAddr> {
        self.incidents.asks()
    }

    /// See [`Incidents::know`].
    pub fn know(&mut self, source: IpAddr, facts: Facts) {
        self.incidents.know(source, facts);
    }
}

impl Process for Pipeline {
    fn take(&mut self, event: &mut Event, news: &mut Vec<News>) {
        event.ignored |= self.ignore.matches(event);
        if !event.ignored {
            self.rules.apply(event, &self.incidents);
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
        // Also where it has a number already: what is recognised late must be told, even if that incident is over.
        event.incident = self.incidents.note(event, news).or(event.incident);
    }

    fn confirmed(&mut self, event: &Event, news: &mut Vec<News>) {
        self.incidents.confirmed(event, news);
    }

    fn due(&self) -> Option<SystemTime> {
        self.incidents.due()
    }

    fn tick(&mut self, now: SystemTime, news: &mut Vec<News>) {
        self.incidents.tick(now, news);
    }

    fn unsaved(&mut self, now: SystemTime) -> Unsaved {
        self.incidents.unsaved(now)
    }

    fn restore(&mut self, state: &[u8]) {
        self.incidents.restore(state);
    }

    fn again(&mut self, event: &Event) {
        self.incidents.again(event);
    }
}
