//! A life sign, so that silence is noticed: an event that goes through the store to whoever asks for it, as every other.
//! What arrives shows that all of it works.

use std::time::Duration;

use haldane_core::Sighting;
use haldane_sinks::{AnySink, Delivery};
use tokio::time::{Instant, sleep_until};

use super::{kinds::ALIVE, outlets::Work};

/// When the next one is due, and what was before.
pub(super) struct Pulse {
    every: Option<Duration>,
    next: Option<Instant>,
    /// The position in the store at the last one.
    last: u64,
}

impl Pulse {
    /// The first is due at once: whoever waits for it hears soon that it works.
    pub(super) fn new(every: Option<Duration>, newest: u64) -> Self {
        Self { every, next: every.map(|_| Instant::now()), last: newest }
    }

    /// So often from now on.
    pub(super) fn set(&mut self, every: Option<Duration>) {
        if self.every != every {
            self.every = every;
            self.next = every.map(|_| Instant::now());
        }
    }

    /// Waits until one is due, for ever if none is.
    pub(super) async fn due(&self) {
        match self.next {
            Some(next) => sleep_until(next).await,
            None => std::future::pending().await,
        }
    }

    /// The event. `newest`: the position in the store.
    pub(super) fn beat(&mut self, newest: u64, sinks_down: Vec<String>) -> Sighting {
        let every = self.every.unwrap_or_default();
        self.next = self.every.and_then(|every| Instant::now().checked_add(every));
        let events = newest.saturating_sub(std::mem::replace(&mut self.last, newest));
        Sighting::of(&ALIVE)
            .with("every", format!("{every:?}"))
            .with("events", events)
            .with("sinks_down", sinks_down)
    }
}

/// Where it is sent besides the sinks, ready to be started.
pub(super) fn work((sink, mut delivery, fingerprint): (Box<dyn AnySink>, Delivery, String)) -> Work {
    let name = "[heartbeat]".to_owned();
    delivery.name.clone_from(&name);
    Work { name, fingerprint, sink, delivery }
}
