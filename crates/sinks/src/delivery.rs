//! The keys that every sink has.

use std::time::Duration;

use haldane_core::{Section, Severity, Wants};

use crate::Sink;

/// How a sink is served, whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The name of its section: its cursor's key in the store.
    pub name: String,
    /// Which events it wants.
    pub wants: Wants,
    /// Longest delivery.
    pub timeout: Duration,
    /// Most records in one delivery.
    pub batch: usize,
}

impl Delivery {
    /// Reads them.
    pub fn configure<S: Sink>(name: &str, section: &mut Section<'_>) -> Self {
        let words = Severity::ALL.map(Severity::name);
        let word = section.choice(
            "min_severity",
            S::WANTS.severity.name(),
            &words,
            "Nothing milder is sent: info, low, medium, high or critical.",
        );
        let severity = Severity::ALL.into_iter().find(|severity| severity.name() == word);
        let operational = section.flag(
            "operational",
            S::WANTS.operational,
            "Whether events about the canary itself (started, service failed, sink down) are sent, too.",
        );
        let timeout = section.duration("timeout", S::TIMEOUT, "The longest that one delivery may take.");
        let wants = Wants { severity: severity.unwrap_or(S::WANTS.severity), operational };
        Self { name: name.to_owned(), wants, timeout, batch: S::BATCH }
    }
}
