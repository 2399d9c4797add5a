//! The keys that every sink has.

use std::time::Duration;

use haldane_core::{
    Notify, Section, Severity, Wants,
    section::{Raw, parse_duration},
};

use crate::{Hearing, Sink};

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
    /// Which of the events that it wants it is told, when, and how much of them.
    pub hearing: Hearing,
}

/// What these keys are unless a section says otherwise.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defaults {
    /// See [`Sink::WANTS`].
    pub(crate) wants: Wants,
    /// See [`Sink::TIMEOUT`].
    pub(crate) timeout: Duration,
    /// See [`Sink::BATCH`].
    pub(crate) batch: usize,
    /// Whether the end of an incident is told even where nothing is new.
    pub(crate) closings: bool,
    /// See [`Sink::MASK`].
    pub(crate) mask: bool,
}

impl Defaults {
    /// Those of `S`.
    fn of<S: Sink>() -> Self {
        Self { wants: S::WANTS, timeout: S::TIMEOUT, batch: S::BATCH, closings: false, mask: S::MASK }
    }
}

impl Delivery {
    /// Reads them.
    pub fn configure<S: Sink>(name: &str, section: &mut Section<'_>) -> Self {
        Self::read(name, section, Defaults::of::<S>())
    }

    /// Reads them, with those defaults.
    pub(crate) fn read(name: &str, section: &mut Section<'_>, defaults: Defaults) -> Self {
        let words = Severity::ALL.map(Severity::name);
        let word = section.choice(
            "min_severity",
            defaults.wants.severity.name(),
            &words,
            "Nothing milder is sent: info, low, medium, high or critical.",
        );
        let severity = Severity::ALL.into_iter().find(|severity| severity.name() == word);
        let operational = section.flag(
            "operational",
            defaults.wants.operational,
            "Whether events about the canary itself (started, service failed, sink down) are sent, too.",
        );
        let words = Notify::ALL.map(Notify::name);
        let word = section.choice(
            "notify",
            defaults.wants.notify.name(),
            &words,
            "What a message is about: \"event\", each event by itself, or \"incident\", a few messages for all \
             that a source does without a longer pause.",
        );
        let notify =
            Notify::ALL.into_iter().find(|notify| notify.name() == word).unwrap_or(defaults.wants.notify);
        let timeout =
            section.duration("timeout", defaults.timeout, "The longest that one delivery may take.");
        let wants = Wants { severity: severity.unwrap_or(defaults.wants.severity), operational, notify };
        let hearing = Hearing::configure(section, defaults.closings, defaults.mask);
        Self { name: name.to_owned(), wants, timeout, batch: defaults.batch, hearing }
    }

    /// What the sink is told of, in a line: what a test leaves out.
    pub fn hears(&self) -> String {
        let what = match self.wants.notify {
            Notify::Event => "events",
            Notify::Incident => "incidents",
        };
        let mut parts = vec![format!("{what} of severity {} or more", self.wants.severity)];
        if self.wants.operational {
            parts.push("events about the canary itself".to_owned());
        }
        parts.extend(self.hearing.limits());
        parts.join("; ")
    }

    /// How long a sink should wait by its own clock: a little less than `timeout`, so that its own words for
    /// what took so long come before the runner's. For [`Sink::configure`], where `timeout` was read and
    /// judged already.
    pub fn patience<S: Sink>(section: &mut Section<'_>) -> Duration {
        Self::patience_of(section, S::TIMEOUT)
    }

    /// The same, where `timeout` has that default.
    pub(crate) fn patience_of(section: &mut Section<'_>, default: Duration) -> Duration {
        let timeout = match section.raw("timeout", None, "").map(|node| &node.value) {
            Some(Raw::Int(seconds)) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Some(Raw::Float(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
            Some(Raw::Text(text)) => parse_duration(text),
            _ => None,
        };
        let timeout = timeout.unwrap_or(default);
        let margin = timeout.checked_div(10).unwrap_or_default().min(Duration::from_secs(1));
        timeout.saturating_sub(margin)
    }
}
