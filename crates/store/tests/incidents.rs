//! What the pipeline concludes is stored with what it follows from, and told again after a crash.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]
#![allow(clippy::disallowed_methods, reason = "a test has no Cx")]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use common::*;
use haldane_core::{
    Class, Event, Kind, Kinds, News, Notify, Process, Saved, Severity, Sighting, Unsaved, Wants,
};
use haldane_store::{Options, Reader, Store};

static NEWS: Kind = Kind::new(39_211, "incident.updated", Class::Incident, Severity::Low, "Incident goes on");

const INCIDENTS: Wants = Wants { severity: Severity::Info, operational: false, notify: Notify::Incident };

/// Counts the events of each incident; tells of every second one; saves when it is told to.
#[derive(Default)]
struct Counting {
    counts: BTreeMap<u64, u64>,
    saving: bool,
    due: Option<SystemTime>,
    confirmed: usize,
    restored: Vec<String>,
    again: u64,
    closed: Vec<u64>,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Counting>>);

fn news(incident: u64, count: u64) -> News {
    let seen = Sighting::of(&NEWS).with("count", count).severity(Severity::Medium);
    News { seen, peer: event().peer, incident, at: SystemTime::now() }
}

impl Process for Shared {
    fn take(&mut self, event: &mut Event, news: &mut Vec<News>) {
        let mut all = self.0.lock().unwrap();
        let Some(incident) = event.incident else { return };
        let count = all.counts.entry(incident).or_default();
        *count += 1;
        if count.is_multiple_of(2) {
            news.push(self::news(incident, *count));
        }
    }

    fn confirmed(&mut self, event: &Event, news: &mut Vec<News>) {
        self.0.lock().unwrap().confirmed += 1;
        news.push(self::news(event.incident.unwrap(), 1_000));
    }

    fn due(&self) -> Option<SystemTime> {
        self.0.lock().unwrap().due
    }

    fn tick(&mut self, _: SystemTime, news: &mut Vec<News>) {
        self.0.lock().unwrap().due = None;
        news.push(self::news(7, 2_000));
    }

    fn unsaved(&mut self, now: SystemTime) -> Unsaved {
        let mut all = self.0.lock().unwrap();
        if !all.saving {
            return Unsaved::default();
        }
        let closed = std::mem::take(&mut all.closed);
        let saved = |number: u64, open: bool, state: Vec<u8>| Saved {
            number,
            source: event().source(),
            first: now,
            last: now,
            severity: Severity::High,
            open,
            state,
        };
        let closed = closed.into_iter().map(|number| match number {
            1..10 => saved(number, false, b"over".to_vec()),
            _ => saved(number, false, Vec::new()),
        });
        let open =
            all.counts.iter().map(|(number, count)| saved(*number, true, count.to_string().into_bytes()));
        Unsaved { incidents: open.chain(closed).collect(), complete: true }
    }

    fn restore(&mut self, state: &[u8]) {
        self.0.lock().unwrap().restored.push(String::from_utf8(state.to_vec()).unwrap());
    }

    fn again(&mut self, event: &Event) {
        assert!(event.kind.class != Class::Incident && !event.ignored);
        self.0.lock().unwrap().again += 1;
    }
}

fn kinds() -> Arc<Kinds> {
    Arc::new(Kinds::new([&LOGIN, &COMMAND, &STARTED, &USED, &NEWS]))
}

fn open(options: Options) -> (Store, Shared) {
    let shared = Shared::default();
    (Store::open(options, kinds(), Box::new(shared.clone())).unwrap(), shared)
}

#[test]
fn news_stand_right_behind_the_event_they_follow_from() {
    let folder = Folder::new();
    let (store, _) = open(folder.options());
    put(&store, vec![event(), event(), event(), Event { incident: None, ..operational() }]);
    for journal in [store.journal(), reopened(&store, &folder)] {
        let events = read(&*journal, 0, &ALL);
        assert_eq!(events.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 4, 5]);
        let told = read(&*journal, 0, &INCIDENTS);
        assert_eq!(told.iter().map(|record| record.seq).collect::<Vec<_>>(), [3]);
        let news = &told[0].event;
        assert_eq!((news.kind.name, news.incident, &*news.service), ("incident.updated", Some(1), "haldane"));
        assert!(news.session.is_nil() && news.severity == Severity::Medium);
        assert_eq!(news.source(), event().source());
        let severe = Wants { severity: Severity::High, ..INCIDENTS };
        assert_eq!(read(&*journal, 0, &severe), []);
        let both = Wants { operational: true, ..INCIDENTS };
        assert_eq!(
            read(&*journal, 0, &both).len(),
            2,
            "whoever hears of incidents may hear of ourselves, too"
        );
    }
}

/// The same from disk: what was in memory is gone.
fn reopened(store: &Store, folder: &Folder) -> Arc<dyn haldane_core::Journal> {
    store.close();
    let (store, _) = open(folder.options());
    let journal = store.journal();
    store.close();
    journal
}

#[test]
fn a_pending_credential_holds_back_no_news() {
    let folder = Folder::new();
    let (store, _) = open(folder.options());
    let pending = Event { honeycred: haldane_core::Honeycred::Pending, ..event() };
    put(&store, vec![pending, event()]);
    assert_eq!(read(&*store.journal(), 0, &INCIDENTS).len(), 1);
}

#[test]
fn what_is_due_is_told_without_any_event_and_when_woken() {
    let folder = Folder::new();
    let (store, shared) = open(folder.options());
    shared.0.lock().unwrap().due = Some(SystemTime::now() + Duration::from_millis(50));
    put(&store, vec![event()]);
    until("the tick", || read(&*store.journal(), 0, &INCIDENTS).len() == 1);
    let wake = store.waker();
    shared.0.lock().unwrap().due = Some(SystemTime::now());
    wake();
    until("the second", || read(&*store.journal(), 0, &INCIDENTS).len() == 2);
}

#[test]
fn a_verdict_in_time_reaches_the_pipeline() {
    let folder = Folder::new();
    let (store, shared) = open(folder.options());
    let checker = haldane_store::verify::spawn(&store, Box::new(|_: &Event| true), &USED).unwrap();
    put(&store, vec![Event { honeycred: haldane_core::Honeycred::Pending, ..event() }]);
    until("the verdict", || shared.0.lock().unwrap().confirmed == 1);
    until("its news", || read(&*store.journal(), 0, &INCIDENTS).len() == 1);
    store.close();
    checker.join().unwrap();
}

#[test]
fn after_a_restart_open_incidents_are_restored_and_missing_events_told_again() {
    let folder = Folder::new();
    let (store, shared) = open(folder.options());
    shared.0.lock().unwrap().saving = true;
    let of = |incident| Event { incident: Some(incident), ..event() };
    put(&store, vec![of(1), of(2), of(12)]);
    {
        let mut all = shared.0.lock().unwrap();
        all.closed = vec![2, 12];
        all.counts.retain(|number, _| *number == 1);
    }
    put(&store, vec![of(1)]);
    shared.0.lock().unwrap().saving = false;
    put(&store, vec![of(1), of(3), Event { ignored: true, ..of(1) }, operational()]);
    store.close();

    let (store, shared) = open(folder.options());
    {
        let all = shared.0.lock().unwrap();
        assert_eq!((all.restored.clone(), all.again), (vec!["2".to_owned()], 2), "of 1 and of 3, once each");
    }
    let reader = Reader::open(folder.path(), kinds()).unwrap();
    let listed = reader.incidents(None, 10).unwrap();
    let mut known: Vec<_> = listed.iter().map(|saved| (saved.number, saved.open)).collect();
    known.sort_unstable();
    assert_eq!(known, [(1, true), (2, false)]);
    assert_eq!(reader.incident(2).unwrap().unwrap().state, b"over");
    assert_eq!(reader.incident(12).unwrap(), None, "nobody was told of it");
    assert_eq!(listed[0].source, event().source());
    assert_eq!(reader.incidents(Some(SystemTime::now() + Duration::from_secs(60)), 10).unwrap(), []);
    store.close();
}
