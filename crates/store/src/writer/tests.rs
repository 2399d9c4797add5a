//! The writer driven by hand, turn by turn: a disk that is full, and what is deleted. `max_page_count` stands in
//! for the disk: beyond it, SQLite says that it is full.

#![allow(clippy::arithmetic_side_effects, reason = "numbers in tests are small")]

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use haldane_core::{Class, Journal, Kinds, Notify, Record, Severity, Value, Wants};

use super::*;
use crate::{Query, Reader};

static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login");
const ALL: Wants = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };

struct ByHand {
    folder: PathBuf,
    writer: Writer,
    told: Arc<AtomicU64>,
    _queue: mpsc::Sender<Batch>,
}

impl Drop for ByHand {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn kinds() -> Arc<Kinds> {
    Arc::new(Kinds::new(crate::KINDS.iter().copied().chain([&LOGIN])))
}

impl ByHand {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("haldane-writer-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let schema::Opened { db, reading, newest, cursors, .. } = schema::begin(&folder, false).unwrap();
        let shared = Arc::new(Shared::new(reading, newest, cursors, kinds()));
        let (ingest, queue) = mpsc::channel(1);
        let writer =
            Writer::new(shared, db, Options::new(&folder), Box::new(|_: &mut Event| {}), queue).unwrap();
        Self { folder, writer, told: Arc::default(), _queue: ingest }
    }

    fn put(&mut self, events: Vec<Event>) {
        let told = self.told.clone();
        let recorded = Box::new(move || _ = told.fetch_add(1, Ordering::Relaxed));
        self.writer.turn(Some(Batch { events, recorded: Some(recorded) }));
    }

    fn told(&self) -> u64 {
        self.told.load(Ordering::Relaxed)
    }

    /// No page more than there are.
    fn fill_disk(&self) {
        let pages: i64 = self.writer.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        self.limit(pages);
    }

    fn limit(&self, pages: i64) {
        self.writer.db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    }

    fn retry(&mut self) {
        self.writer.failing = Some(Instant::now());
        self.writer.turn(None);
    }

    fn stored(&self) -> Vec<Record> {
        Reader::open(&self.folder, kinds()).unwrap().query(&Query::default()).unwrap()
    }

    fn retain(&mut self, keep_for: Duration, max_size: u64) {
        self.writer.retention = Retention::new(keep_for, max_size);
        for _ in 0..1_000 {
            self.writer.retain();
        }
    }

    fn pages(&self) -> i64 {
        self.writer.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    }
}

fn aged(age: Duration) -> Event {
    let mut event = own(&LOGIN, Fields::new()).events.remove(0);
    event.at = row::time(row::micros(now() - age));
    event.peer = Some(haldane_core::Peer::new(
        "192.0.2.1:1".parse().unwrap(),
        "192.0.2.2:21".parse().unwrap(),
        haldane_core::Transport::Tcp,
    ));
    event
}

fn big() -> Event {
    Event { fields: Fields::from([("x".into(), Value::from("x".repeat(8_000)))]), ..aged(Duration::ZERO) }
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.seq).collect()
}

fn names(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|record| record.event.kind.name).collect()
}

#[test]
fn with_a_full_disk_peers_are_answered_and_sinks_go_on() {
    let mut store = ByHand::new();
    store.put(vec![big()]);
    store.fill_disk();
    store.put(vec![big(), big()]);
    store.put(vec![big()]);
    assert_eq!(store.told(), 3);
    let page = store.writer.shared.after(0, 100, &ALL).unwrap();
    assert_eq!(names(&page.records)[..3], ["ftp.login"; 3]);
    assert_eq!(names(&page.records)[3..], ["store.failing", "ftp.login"]);
    assert_eq!(*store.writer.shared.newest.borrow(), 5);
    let condition = store.writer.shared.condition();
    assert!(!condition.writing);
    assert!(condition.why.contains("full"), "{}", condition.why);
    assert_eq!((condition.waiting, condition.lost), (4, 0));
    assert_eq!(seqs(&store.stored()), [1]);
}

#[test]
fn writing_resumes_by_itself_in_order_and_says_so() {
    let mut store = ByHand::new();
    store.put(vec![big()]);
    store.fill_disk();
    store.put(vec![big(), big()]);
    store.writer.shared.save("mail", 2);
    store.retry();
    assert!(!store.writer.shared.condition().writing);
    store.limit(1 << 20);
    store.retry();
    assert!(store.writer.shared.condition().writing);
    let stored = store.stored();
    assert_eq!(seqs(&stored), [1, 2, 3, 4, 5]);
    assert_eq!(names(&stored), ["ftp.login", "ftp.login", "ftp.login", "store.failing", "store.resumed"]);
    assert_eq!(Reader::open(&store.folder, kinds()).unwrap().cursors().unwrap()["mail"], 2);
    store.put(vec![big()]);
    assert_eq!(store.stored().len(), 6);
}

#[test]
fn what_memory_could_not_hold_is_recorded_as_a_gap() {
    let mut store = ByHand::new();
    store.put(vec![big()]);
    store.fill_disk();
    let from = now();
    for _ in 0..30 {
        store.put((0..100).map(|_| big()).collect());
    }
    let lost = store.writer.shared.condition().lost;
    assert!(lost > 500 && lost < 2_000, "{lost}");
    // A sink that was late finds what there is.
    let page = store.writer.shared.after(1, 10, &ALL).unwrap();
    let page = store.writer.shared.after(page.next, 10, &ALL).unwrap();
    assert_eq!(page.records[0].seq, 2 + lost);
    store.limit(1 << 20);
    store.retry();
    let stored = store.stored();
    assert_eq!(names(&stored[stored.len() - 2..]), ["store.gap", "store.resumed"]);
    let fields = &stored[stored.len() - 2].event.fields;
    assert_eq!(fields["lost"], Value::from(lost));
    let (Value::Int(first), Value::Int(last)) = (&fields["from"], &fields["until"]) else { panic!() };
    assert!(*first >= seconds(from) && first <= last);
    // 1, 3000 big ones, failing, gap, resumed.
    assert_eq!(u64::try_from(stored.len()).unwrap() + lost, 3_004);
    assert_eq!(store.writer.shared.condition().lost, 0);
}

#[test]
fn a_database_that_turns_out_damaged_is_replaced_while_running() {
    let mut store = ByHand::new();
    store.put((0..200).map(|_| big()).collect());
    store.writer.shared.save("mail", 200);
    store.writer.write(Vec::new());
    store.writer.db.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    let path = store.folder.join(schema::FILE);
    let size = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &vec![0xa5; size - 4_096], 4_096).unwrap();
    store.writer.db.execute_batch("PRAGMA shrink_memory").unwrap();
    store.writer.db.release_memory().unwrap();
    store.put(vec![big()]);
    assert_eq!(store.told(), 2);
    store.retry();
    store.retry();
    assert!(store.writer.shared.condition().writing, "{:?}", store.writer.shared.condition());
    let stored = store.stored();
    assert_eq!(names(&stored), ["ftp.login", "store.failing", "store.replaced", "store.resumed"]);
    assert_eq!(seqs(&stored), [201, 202, 203, 204], "positions go on");
    assert_eq!(Reader::open(&store.folder, kinds()).unwrap().cursors().unwrap()["mail"], 200);
}

#[test]
fn the_old_goes_once_every_sink_has_had_it() {
    let hour = Duration::from_secs(3_600);
    let mut store = ByHand::new();
    store.put((0..10).map(|_| aged(hour * 2)).collect());
    store.put(vec![aged(Duration::ZERO)]);
    store.writer.shared.save("mail", 4);
    store.retain(hour, u64::MAX);
    assert_eq!(seqs(&store.stored()), [5, 6, 7, 8, 9, 10, 11]);
    *store.writer.shared.served.lock().unwrap() = Some(["file".to_owned()].into());
    store.writer.shared.save("file", 6);
    store.retain(hour, u64::MAX);
    assert_eq!(seqs(&store.stored()), [7, 8, 9, 10, 11], "a sink that is gone keeps nothing");
    store.writer.shared.save("file", 11);
    store.retain(Duration::ZERO, u64::MAX);
    assert_eq!(seqs(&store.stored()), [11], "the newest holds the position");
}

#[test]
fn what_exceeds_the_size_goes_oldest_first_and_its_space_returns() {
    let mut store = ByHand::new();
    for _ in 0..4 {
        store.put((0..500).map(|_| big()).collect());
    }
    store.writer.shared.save("mail", 400);
    store.writer.shared.save("file", 2_000);
    let before = store.pages();
    store.retain(Duration::MAX, 8 << 20);
    let stored = store.stored();
    let oldest = stored[0].seq;
    assert!(oldest > 1_000, "{oldest}");
    assert!(store.pages() < before / 2, "{before} {}", store.pages());
    let last = stored.last().unwrap();
    assert_eq!(last.event.kind.name, "store.dropped");
    assert_eq!(last.event.fields, Fields::from([("mail".into(), Value::from(oldest - 401))]));
}

#[test]
fn cursors_ride_along_with_events_or_are_written_soon() {
    let mut store = ByHand::new();
    store.writer.shared.save("mail", 7);
    store.writer.turn(None);
    assert!(store.writer.changes_due.is_some_and(|due| due <= Instant::now() + CHANGES_WAIT));
    store.put(vec![big()]);
    assert_eq!(store.writer.changes_due, None);
    assert_eq!(Reader::open(&store.folder, kinds()).unwrap().cursors().unwrap()["mail"], 7);
}

#[test]
fn sinks_look_again_for_what_was_held_back_and_then_no_more() {
    let mut store = ByHand::new();
    store.put(vec![big()]);
    assert_eq!(store.writer.held_back, None);
    store.put(vec![Event { honeycred: Honeycred::Pending, ..big() }]);
    let (until, next) = store.writer.held_back.unwrap();
    assert!(next < until && until >= Instant::now() + HOLD_BACK);
    let mut watch = store.writer.shared.newest.subscribe();
    for until in [until, Instant::now()] {
        watch.mark_unchanged();
        store.writer.held_back = Some((until, Instant::now()));
        store.writer.turn(None);
        assert!(watch.has_changed().unwrap());
    }
    assert_eq!(store.writer.held_back, None);
}

#[test]
fn a_clock_before_1970_is_no_problem() {
    for at in
        [SystemTime::UNIX_EPOCH - Duration::from_micros(5), SystemTime::UNIX_EPOCH + Duration::from_micros(5)]
    {
        assert_eq!(row::time(row::micros(at)), at);
    }
}

#[test]
fn a_full_disk_does_not_make_the_writer_turn_without_a_pause() {
    let mut store = ByHand::new();
    store.fill_disk();
    store.put(vec![big()]);
    store.writer.retention = Retention::new(Duration::from_secs(60), 1 << 30);
    assert!(store.writer.retention.due() <= Instant::now());
    assert!(store.writer.due() > Instant::now(), "nothing is due at once");
}

/// Tells of every event, has something due once, and always has one incident to save.
struct Telling {
    due: Option<SystemTime>,
}

static TOLD: Kind = Kind::new(39_211, "incident.updated", Class::Incident, Severity::Low, "Incident goes on");

impl haldane_core::Process for Telling {
    fn take(&mut self, _: &mut Event, _: &mut Vec<News>) {}

    fn due(&self) -> Option<SystemTime> {
        self.due
    }

    fn tick(&mut self, now: SystemTime, news: &mut Vec<News>) {
        self.due = None;
        news.push(News { seen: Sighting::of(&TOLD), peer: None, incident: 1, at: now });
    }

    fn unsaved(&mut self, now: SystemTime) -> haldane_core::Unsaved {
        let saved = haldane_core::Saved {
            number: 1,
            source: None,
            first: now,
            last: now,
            severity: Severity::Low,
            open: true,
            state: b"{}".to_vec(),
        };
        haldane_core::Unsaved { incidents: vec![saved], complete: true }
    }
}

#[test]
fn with_a_full_disk_incidents_are_told_and_later_saved() {
    let mut store = ByHand::new();
    store.put(vec![big()]);
    store.fill_disk();
    store.put(vec![big(), big()]);
    store.writer.process = Box::new(Telling { due: Some(now()) });
    store.writer.turn(None);
    let incidents = Wants { notify: Notify::Incident, ..ALL };
    let page = store.writer.shared.after(0, 100, &incidents).unwrap();
    assert!(names(&page.records).contains(&"incident.updated"), "{:?}", names(&page.records));
    let saved = |store: &ByHand| Reader::open(&store.folder, kinds()).unwrap().incident(1).unwrap();
    assert_eq!(saved(&store), None);
    store.limit(1_000_000);
    store.retry();
    assert!(store.writer.shared.condition().writing);
    assert!(saved(&store).is_some());
}

#[test]
fn closed_incidents_go_by_age_and_open_ones_stay() {
    let mut store = ByHand::new();
    let insert = "INSERT INTO incidents VALUES (?1, 1, NULL, 0, ?2, 0, ?3, x'7b7d')";
    let old = row::micros(now() - Duration::from_secs(3_600));
    for (number, last, open) in [(1, old, false), (2, old, true), (3, row::micros(now()), false)] {
        store.writer.db.execute(insert, params![number, last, open]).unwrap();
    }
    store.retain(Duration::from_secs(60), u64::MAX);
    let left = Reader::open(&store.folder, kinds()).unwrap().incidents(None, 10).unwrap();
    assert_eq!(left.iter().map(|saved| saved.number).collect::<Vec<_>>(), [3, 2]);
}
