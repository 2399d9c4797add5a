//! Feeds a sensor, and stamps what it reports.
//!
//! Feeds are opened while there are privileges ([`open`]) and read later, one [`watch`] for each sensor. On a reload
//! they are handed to its successor, with their place in them.

mod filter;
mod lines;
mod multicast;
mod neighbour;
mod packets;

use std::{
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use haldane_core::{
    Arrival, Batch, Destination, Event, Feed, Peer, Sighting, Watch, Watched, sensor::AnySensor,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    bug,
    report::{EVIDENCE, System, id, now},
};

/// Arrivals that are looked at in one turn, so that a flood leaves room for the wish to stop and for what else runs.
const TOGETHER: usize = 256;
/// Turns in which what has arrived is still looked at when told to stop.
const LAST: usize = 16;
/// A sleep that no canary sees the end of, in seconds: a year.
const LONG: u64 = 365 * 24 * 60 * 60;

/// An open feed.
#[derive(Debug)]
pub enum Opened {
    /// See [`Feed::Lines`].
    Lines(lines::Tail),
    /// See [`Feed::Packets`].
    Packets(Box<packets::Packets>),
    /// See [`Feed::Network`].
    Network(multicast::Links),
}

/// Opens a feed.
///
/// # Errors
/// As the system says; the caller knows what privilege may be missing.
pub fn open(feed: &Feed) -> io::Result<Opened> {
    match feed {
        Feed::Lines(path) => Ok(Opened::Lines(lines::Tail::open(path))),
        Feed::Packets => packets::Packets::open().map(|packets| Opened::Packets(Box::new(packets))),
        Feed::Network(network) => Ok(Opened::Network(multicast::Links::new(network))),
    }
}

impl Opened {
    /// Ready when something may have arrived.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Lines(tail) => tail.poll_ready(cx),
            Self::Packets(packets) => packets.poll_ready(cx),
            Self::Network(links) => links.poll_ready(cx),
        }
    }

    /// The next arrival, if there is one.
    fn next(&mut self) -> Option<Arrival<'_>> {
        match self {
            Self::Lines(tail) => tail.next().map(Arrival::Line),
            Self::Packets(packets) => packets.next().map(Arrival::Packet),
            Self::Network(links) => links.next().map(Arrival::Datagram),
        }
    }

    /// What is to be told about the feed itself: that it cannot be read, or can again.
    fn news(&mut self) -> Option<Sighting> {
        match self {
            Self::Lines(tail) => tail.news(),
            Self::Packets(_) => None,
            Self::Network(links) => links.news(),
        }
    }

    /// Sends what a sensor wants sent; a feed that only listens has no way to.
    fn send(&mut self, sent: &[(Destination, Vec<u8>)]) {
        if let Self::Network(links) = self {
            links.send(sent);
        }
    }
}

/// Runs a sensor until told to stop, then hands its feeds back.
pub async fn watch(
    name: &'static str,
    sensor: Box<dyn AnySensor>,
    mut feeds: Vec<(Feed, Opened)>,
    events: mpsc::Sender<Batch>,
    stop: CancellationToken,
) -> Vec<(Feed, Opened)> {
    let mut watcher = Watcher { name, sensor, events, seen: Vec::new(), sent: Vec::new(), wake: None };
    watcher.take(Arrival::Started);
    watcher.hand_over().await;
    watcher.send(&mut feeds);
    let mut left = LAST;
    while left > 0 {
        // "Never" is a time that is far away, so that there is one kind of sleep.
        let far = || Instant::now().checked_add(Duration::from_secs(LONG)).unwrap_or_else(Instant::now);
        let sleep = pin!(sleep_until(watcher.wake.unwrap_or_else(far)));
        let stopping = stop.is_cancelled();
        let ready = poll_fn(|cx| poll_any(&mut feeds, cx));
        tokio::select! {
            biased;
            at = ready => {
                if let Some((_, feed)) = feeds.get_mut(at) {
                    watcher.drain(feed);
                }
            }
            () = sleep, if !stopping => {
                watcher.wake = None;
                watcher.take(Arrival::Woken);
            }
            () = stop.cancelled(), if !stopping => {
                // A last look: what was written or sent before that counts.
                feeds.iter_mut().for_each(|(_, feed)| watcher.drain(feed));
            }
            () = std::future::ready(()), if stopping => break,
        }
        watcher.hand_over().await;
        watcher.send(&mut feeds);
        if stopping {
            left = left.saturating_sub(1);
        }
    }
    feeds
}

fn poll_any(feeds: &mut [(Feed, Opened)], cx: &mut Context<'_>) -> Poll<usize> {
    let mut ready = None;
    // All are asked, so that each wakes this task.
    for (at, (_, feed)) in feeds.iter_mut().enumerate() {
        if feed.poll_ready(cx).is_ready() {
            ready = ready.or(Some(at));
        }
    }
    ready.map_or(Poll::Pending, Poll::Ready)
}

/// A sensor at work.
struct Watcher {
    name: &'static str,
    sensor: Box<dyn AnySensor>,
    events: mpsc::Sender<Batch>,
    seen: Vec<Event>,
    sent: Vec<(Destination, Vec<u8>)>,
    wake: Option<Instant>,
}

impl Watcher {
    fn drain(&mut self, feed: &mut Opened) {
        for _ in 0..TOGETHER {
            let Some(arrival) = feed.next() else { break };
            self.take(arrival);
        }
        if let Some(news) = feed.news() {
            self.stamp(None, news);
        }
    }

    fn take(&mut self, arrival: Arrival<'_>) {
        let (mut effects, mut random) = (Watched::default(), System);
        let mut watch = Watch::new(now(), &mut random, &mut effects);
        let sensor = &mut self.sensor;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| sensor.take(arrival, &mut watch))) {
            bug::log(self.name, Uuid::nil(), Some(&panic));
        }
        for (peer, seen) in effects.seen {
            self.stamp(peer, seen);
        }
        self.sent.extend(effects.sent);
        if let Some(after) = effects.wake {
            self.wake = Instant::now().checked_add(after);
        }
    }

    fn stamp(&mut self, peer: Option<Peer>, mut seen: Sighting) {
        let at = now();
        seen.bound(EVIDENCE);
        self.seen.push(Event::stamped(seen, self.name, id(at), peer, (id(at), at)));
    }

    fn send(&mut self, feeds: &mut [(Feed, Opened)]) {
        let sent = std::mem::take(&mut self.sent);
        if !sent.is_empty() {
            feeds.iter_mut().for_each(|(_, feed)| feed.send(&sent));
        }
    }

    /// A full queue makes the sensor wait; what arrives meanwhile waits in its feeds.
    async fn hand_over(&mut self) {
        if !self.seen.is_empty()
            && let Ok(room) = self.events.reserve().await
        {
            room.send(Batch { events: std::mem::take(&mut self.seen), recorded: None });
        }
    }
}
