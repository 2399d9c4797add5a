//! Honey-credentials off the event path. The database is the queue: a thread takes one event at a time whose
//! credentials are to be verified, and works at most a quarter of the time, however many wait, so that guesses
//! cannot burn the CPU.
//!
//! It takes the newest and the oldest in turn: under a flood of guesses, a stolen honey-credential used now is
//! found now, and one used before is found in the end. What the sinks have already had without the verdict is
//! reported once more, as an event of its own.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use haldane_core::{Batch, Event, Fields, Honeycred, Kind, Record, Severity};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{Error, HOLD_BACK, Store, now, shared::Shared};

/// After work of some duration, a pause of so many times that.
const PAUSE: u32 = 3;
/// A verdict that comes later than this after the event may have missed the sinks.
const IN_TIME: Duration = HOLD_BACK.saturating_sub(Duration::from_millis(500));
/// After an error of the store.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// From which end of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// What waits longest.
    Oldest,
    /// What came last.
    Newest,
}

/// Whether the credentials of an event are a honey-credential: may take long, must not fail.
pub type Check = Box<dyn Fn(&Event) -> bool + Send>;

/// Starts the thread. It ends when the store closes. `used`: the kind of the event that tells of a
/// honey-credential recognised late.
///
/// # Errors
/// The thread cannot be started.
pub fn spawn(store: &Store, check: Check, used: &'static Kind) -> Result<JoinHandle<()>, Error> {
    let (shared, ingest) = (store.shared.clone(), store.ingest());
    let run = move || run(&shared, &ingest, &check, used);
    std::thread::Builder::new().name("verifier".into()).spawn(run).map_err(Error::Thread)
}

fn run(shared: &Arc<Shared>, ingest: &mpsc::Sender<Batch>, check: &Check, used: &'static Kind) {
    let mut order = Order::Newest;
    while !shared.stopped() {
        let record = match shared.pending(1, order) {
            Ok(mut records) => records.pop(),
            Err(error) => {
                tracing::warn!(%error, "cannot read what is to be verified");
                shared.rest(AFTER_ERROR);
                continue;
            }
        };
        let Some(record) = record else {
            shared.await_verifiable();
            continue;
        };
        order = if order == Order::Newest { Order::Oldest } else { Order::Newest };
        let began = Instant::now();
        let yes = check(&record.event);
        let took = began.elapsed();
        // First the event, then the verdict: should we die in between, it is told twice rather than never.
        if yes && now().duration_since(record.event.at).is_ok_and(|age| age > IN_TIME) {
            let batch = Batch { events: vec![late(&record, used)], recorded: None };
            if ingest.blocking_send(batch).is_err() {
                return;
            }
        } else if yes {
            shared.confirm(record.event.clone());
        }
        shared.verified(record.seq, yes);
        shared.rest(took.saturating_mul(PAUSE));
    }
}

/// A copy of what was recognised late, for the sinks that have had it without the verdict.
fn late(record: &Record, used: &'static Kind) -> Event {
    Event {
        id: Uuid::now_v7(),
        at: now(),
        kind: used,
        severity: Severity::Critical,
        fields: Fields::from([
            ("event".into(), record.event.id.to_string().into()),
            ("kind".into(), record.event.kind.name.into()),
        ]),
        honeycred: Honeycred::Yes,
        ..record.event.as_ref().clone()
    }
}
