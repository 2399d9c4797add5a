//! When an incident is told of. The first time at once, then the less often the longer it goes on; what is critical
//! at once, and again less and less often.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// After so many messages, the next waits so long. Beyond, as long as the last.
const GAPS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(1_800),
];
/// The same for what is critical, counted by itself.
const URGENT_GAPS: [Duration; 4] =
    [Duration::ZERO, Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(120)];
/// Critical reasons that are remembered, so that the same one is urgent only once.
const REMEMBERED: usize = 16;
/// Reasons that are kept for one message.
const REASONS: usize = 8;

/// What was told, and what is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Messages so far; none: the incident is not open to anybody yet.
    pub messages: u32,
    urgent: u32,
    last: Option<SystemTime>,
    /// How many events the last message knew of.
    pub events: u64,
    /// Why there is something to tell.
    pub reasons: Vec<String>,
    /// When to tell it.
    pub due: Option<SystemTime>,
    /// Critical reasons that were told before.
    known: Vec<String>,
    is_urgent: bool,
}

fn gap(gaps: &[Duration], count: u32) -> Duration {
    let index = usize::try_from(count).unwrap_or(usize::MAX);
    gaps.get(index).or(gaps.last()).copied().unwrap_or_default()
}

impl Pace {
    /// There is something to tell. `after`: what to wait for before the first message, if anything.
    pub fn ask(&mut self, reason: String, urgent: bool, now: SystemTime, after: Duration) {
        let urgent = urgent && !self.known.contains(&reason);
        if urgent {
            if self.known.len() >= REMEMBERED {
                self.known.remove(0);
            }
            self.known.push(reason.clone());
        }
        if !self.reasons.contains(&reason) {
            if self.reasons.len() >= REASONS && urgent {
                self.reasons.pop();
            }
            if self.reasons.len() < REASONS {
                self.reasons.push(reason);
            }
        }
        self.is_urgent |= urgent;
        let wait = match (self.last, urgent) {
            (Some(_), true) => gap(&URGENT_GAPS, self.urgent),
            (Some(_), false) => gap(&GAPS, self.messages),
            (None, true) => Duration::ZERO,
            (None, false) => after,
        };
        // A clock that was set back must not silence anything for longer.
        let from = self.last.map_or(now, |last| last.min(now));
        let due = from.checked_add(wait).unwrap_or(now).max(now);
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Takes the reasons: they are told now.
    pub fn told(&mut self, now: SystemTime, events: u64) -> Vec<String> {
        self.messages = self.messages.saturating_add(1);
        if std::mem::take(&mut self.is_urgent) {
            self.urgent = self.urgent.saturating_add(1);
        }
        self.last = Some(now);
        self.events = events;
        self.due = None;
        std::mem::take(&mut self.reasons)
    }

    /// Nothing needs to be waited for any more.
    pub fn settle(&mut self) {
        if self.messages == 0 && self.due.is_some() {
            self.due = Some(SystemTime::UNIX_EPOCH);
        }
    }
}
