//! What the program says about itself, into the same store as everything else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use haldane_core::{Batch, Event, Health, Journal, Page, Sighting, Untrusted, Value, Wants};
use haldane_net::{now, report::id};
use tokio::{
    runtime::Handle,
    sync::{mpsc, mpsc::error::TrySendError, oneshot},
};

use super::kinds::{MESSAGE, SINK_BACK, SINK_DOWN};

/// The way for operational events into the store.
#[derive(Debug, Clone)]
pub struct Operations(mpsc::Sender<Batch>);

impl Operations {
    /// Over the queue that all events take.
    pub fn new(events: mpsc::Sender<Batch>) -> Self {
        Self(events)
    }

    /// Says it, waiting for room.
    pub async fn say(&self, seen: Sighting) {
        self.0.send(Batch { events: vec![event(seen)], recorded: None }).await.ok();
    }

    /// Says it, and waits (a second at most) until it is stored, and with it all that was said before.
    pub async fn record(&self, seen: Sighting) {
        let (done, recorded) = oneshot::channel();
        let call = move || {
            // Nobody waits any more if it took too long.
            done.send(()).ok();
        };
        self.0.send(Batch { events: vec![event(seen)], recorded: Some(Box::new(call)) }).await.ok();
        tokio::time::timeout(Duration::from_secs(1), recorded).await.ok();
    }

    /// A message in the words of the compatible log.
    pub async fn message(&self, text: String) {
        self.say(message(text)).await;
    }

    /// Says it without waiting: for callers that must not. If there is no room, somebody else waits for it.
    pub fn mention(&self, seen: Sighting) {
        let batch = Batch { events: vec![event(seen)], recorded: None };
        let Err(TrySendError::Full(batch)) = self.0.try_send(batch) else { return };
        if let Ok(runtime) = Handle::try_current() {
            let events = self.0.clone();
            runtime.spawn(async move { events.send(batch).await.ok() });
        }
    }
}

fn message(text: String) -> Sighting {
    let logdata = Value::Map([("logdata".to_owned(), Value::from(text))].into());
    Sighting::of(&MESSAGE).with("msg", logdata)
}

/// A sighting of ourselves, stamped.
pub fn event(seen: Sighting) -> Event {
    let at = now();
    Event::operational(seen, (id(at), at))
}

/// The journal, with an eye on the health of sinks: that one is down is an event for the others.
pub struct Watched {
    journal: Arc<dyn Journal>,
    operations: Operations,
    down: Mutex<HashMap<String, bool>>,
}

impl Watched {
    /// Over that journal.
    pub fn new(journal: Arc<dyn Journal>, operations: Operations) -> Self {
        Self { journal, operations, down: Mutex::default() }
    }

    /// The sinks that are down.
    pub fn down(&self) -> Vec<String> {
        let down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> =
            down.iter().filter(|(_, down)| **down).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        names
    }
}

impl Journal for Watched {
    fn after(&self, cursor: u64, most: usize, wants: &Wants) -> Result<Page, String> {
        self.journal.after(cursor, most, wants)
    }

    fn cursor(&self, sink: &str) -> u64 {
        self.journal.cursor(sink)
    }

    fn save(&self, sink: &str, cursor: u64) {
        self.journal.save(sink, cursor);
    }

    fn bury(&self, sink: &str, seq: u64, reason: &str) {
        self.journal.bury(sink, seq, reason);
    }

    fn health(&self, sink: &str, health: &Health) {
        self.journal.health(sink, health);
        let was_down = {
            let mut down = self.down.lock().unwrap_or_else(PoisonError::into_inner);
            down.insert(sink.to_owned(), !health.up).unwrap_or(false)
        };
        match (was_down, health.up) {
            (false, false) => {
                let why = Untrusted::new(health.why.as_bytes());
                self.operations.mention(Sighting::of(&SINK_DOWN).with("sink", sink).with("why", why));
            }
            (true, true) => self.operations.mention(Sighting::of(&SINK_BACK).with("sink", sink)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_mentioned_while_the_queue_is_full_is_not_lost() {
        let (events, mut queue) = mpsc::channel(1);
        let operations = Operations::new(events);
        operations.mention(Sighting::of(&SINK_DOWN));
        operations.mention(Sighting::of(&SINK_BACK));
        let names = [queue.recv().await, queue.recv().await].map(|batch| batch.unwrap().events[0].kind.name);
        assert_eq!(names, ["sink.down", "sink.back"]);
    }
}
