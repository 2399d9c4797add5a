//! Stamps sightings into events.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use haldane_core::{Batch, Event, Peer, Sighting, TlsFacts, session::Random};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// Reports for one session. The peer, the service and the time are not the caller's to choose.
#[derive(Debug)]
pub struct Reporter {
    events: mpsc::Sender<Batch>,
    service: &'static str,
    session: Uuid,
    peer: Peer,
    tls: Option<Arc<TlsFacts>>,
    /// Boxed: most of a connection's life, there is none.
    opening: Option<Box<Event>>,
    held: Vec<Event>,
}

/// The largest that the facts of one event may be, in bytes: with the length of the queue, the bound on what waits for
/// the store.
pub(crate) const EVIDENCE: usize = 64 * 1024;

/// How long a peer's answer waits for its evidence to be stored. A disk that is slower than this is the
/// operator's problem, not to be shown to the peer.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Reporter {
    /// Made by the listener, one for each session.
    pub fn new(events: mpsc::Sender<Batch>, service: &'static str, peer: Peer) -> Self {
        Self { events, service, session: id(now()), peer, tls: None, opening: None, held: Vec::new() }
    }

    /// Another of the same conversation.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            events: self.events.clone(),
            tls: self.tls.clone(),
            opening: None,
            held: Vec::new(),
            service: self.service,
            session: self.session,
            peer: self.peer,
        }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Who reports.
    pub fn service(&self) -> &'static str {
        self.service
    }

    /// Which conversation this is.
    pub fn session(&self) -> Uuid {
        self.session
    }

    /// Stamps every later event with what the TLS client revealed.
    pub fn set_tls(&mut self, facts: Arc<TlsFacts>) {
        self.tls = Some(facts);
    }

    /// What the TLS client revealed.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// Keeps the opening of a connection, stamped now. If something is seen of it before [`Self::release`], that
    /// tells of the connection, too, and the opening is not an event of its own.
    pub fn opened(&mut self, seen: Sighting) {
        self.opening = self.stamp(vec![seen]).pop().map(Box::new);
    }

    /// Whether the opening is kept.
    pub fn keeps_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Keeps sightings, stamped now, until the next are reported.
    pub fn hold(&mut self, seen: Vec<Sighting>) {
        if !seen.is_empty() {
            self.opening = None;
            let events = self.stamp(seen);
            self.held.extend(events);
        }
    }

    /// Hands what is kept to the store.
    pub async fn release(&mut self) {
        self.held.extend(self.opening.take().map(|opening| *opening));
        if !self.held.is_empty() {
            self.hand_over(None).await;
        }
    }

    /// Hands sightings to the store. A full queue slows this peer down; nothing is lost.
    pub async fn report(&mut self, seen: Vec<Sighting>) {
        self.hold(seen);
        self.hand_over(None).await;
    }

    /// The same, and waits until they are stored: what the peer is told next may tell it that it was seen.
    pub async fn record(&mut self, seen: Vec<Sighting>) {
        self.hold(seen);
        let (done, recorded) = oneshot::channel();
        let recorded_call = move || {
            // Nobody waits any more if it took too long.
            done.send(()).ok();
        };
        if self.hand_over(Some(Box::new(recorded_call))).await {
            tokio::time::timeout(LONGEST_WAIT, recorded).await.ok();
        }
    }

    /// Whoever is cut short while there is no room in the queue still holds everything, for the next report.
    async fn hand_over(&mut self, recorded: Option<Box<dyn FnOnce() + Send>>) -> bool {
        // The store outlives every session; if it is gone we are exiting.
        let Ok(room) = self.events.reserve().await else { return false };
        room.send(Batch { events: std::mem::take(&mut self.held), recorded });
        true
    }

    fn stamp(&self, seen: Vec<Sighting>) -> Vec<Event> {
        let stamp = |mut seen: Sighting| {
            let at = now();
            seen.bound(EVIDENCE);
            let event = Event::stamped(seen, self.service, self.session, Some(self.peer), (id(at), at));
            Event { tls: self.tls.clone(), ..event }
        };
        seen.into_iter().map(stamp).collect()
    }
}

/// The one place that reads the clock.
#[expect(clippy::disallowed_methods, reason = "this is the place that the lint points to")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// A new identifier (UUID version 7, RFC 9562, section 5.7) of that time.
pub fn id(at: SystemTime) -> Uuid {
    let mut bytes = [0; 10];
    System.fill(&mut bytes);
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(since.as_millis()).unwrap_or_default(), &bytes)
        .into_uuid()
}

/// Bytes from the system's generator, fetched a page at a time.
#[derive(Debug, Clone, Copy)]
pub struct System;

const PAGE: usize = 1024;

thread_local! {
    static PAGE_LEFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Random for System {
    fn fill(&mut self, buffer: &mut [u8]) {
        if buffer.len() > PAGE {
            return haldane_tls::random(buffer);
        }
        PAGE_LEFT.with_borrow_mut(|left| {
            if left.len() < buffer.len() {
                left.resize(PAGE, 0);
                haldane_tls::random(left);
            }
            let rest = left.len().saturating_sub(buffer.len());
            buffer.copy_from_slice(left.get(rest..).unwrap_or_default());
            // What was handed out is not kept.
            left.truncate(rest);
        });
    }
}
