//! What belongs together: everything that one source does without a longer pause.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use haldane_core::{Class, Event};

/// Open incidents. Bounded: at most [`Self::MOST`] are remembered.
#[derive(Debug)]
pub struct Incidents {
    quiet: Duration,
    next: u64,
    open: HashMap<IpAddr, (u64, SystemTime)>,
}

impl Incidents {
    /// Incidents remembered at once. Beyond it, the quieter half is forgotten: a source of that half that
    /// comes back opens another incident.
    pub const MOST: usize = 10_000;
    /// The default of the pause that ends an incident.
    pub const QUIET: Duration = Duration::from_secs(600);

    /// An incident ends after `quiet` without an event from its source. The first has that number.
    pub fn new(quiet: Duration, first: u64) -> Self {
        Self { quiet, next: first.max(1), open: HashMap::new() }
    }

    /// The incident that this event belongs to, opened if need be. Events about ourselves belong to none.
    pub fn note(&mut self, event: &Event) -> Option<u64> {
        let source = event.source().filter(|_| event.kind.class != Class::Operational)?;
        if let Some((number, last)) = self.open.get_mut(&source) {
            // An event from before the last is not after a pause.
            if event.at.duration_since(*last).unwrap_or_default() <= self.quiet {
                *last = event.at.max(*last);
                return Some(*number);
            }
        }
        if self.open.len() >= Self::MOST && !self.open.contains_key(&source) {
            self.forget_the_quieter_half();
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        self.open.insert(source, (number, event.at));
        Some(number)
    }

    /// Half at a time, so that a flood of new addresses costs each of them little.
    fn forget_the_quieter_half(&mut self) {
        let mut lasts: Vec<SystemTime> = self.open.values().map(|(_, last)| *last).collect();
        let middle = lasts.len() >> 1;
        let (_, median, _) = lasts.select_nth_unstable(middle);
        let median = *median;
        self.open.retain(|_, (_, last)| *last > median);
    }

    /// How many are remembered.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}
