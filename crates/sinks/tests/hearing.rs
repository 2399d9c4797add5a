//! What a sink hears: filters, rate, digest, quiet hours, mask. Around a sink that takes everything, in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and spawn"
)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use common::{Memory, record, table, text};
use haldane_core::{
    Class, Event, Kind, Login, Notify, Record, Secret, Section, Severity, Value, Wants,
    section::{Item, Node, Place, Raw},
};
use haldane_sinks::{Delivery, Failure, Sender, Sink, encode::native, runner::run};
use jiff::{Timestamp, tz::TimeZone};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

static PAGE: Kind = Kind::new(3000, "http.request", Class::Access, Severity::Low, "Page read");

/// Takes everything, unless it is down.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<(Vec<Record>, bool)>>);

impl Fake {
    fn got(&self) -> Vec<Record> {
        self.0.lock().unwrap().0.clone()
    }

    /// Positions of what was told, and the number in what was summed up.
    fn told(&self) -> Vec<String> {
        let shown = |record: &Record| match record.event.kind.name {
            name @ ("sink.suppressed" | "sink.digest") => {
                let Value::Int(count) = record.event.fields["count"] else { panic!() };
                format!("{name} {count}")
            }
            _ => record.seq.to_string(),
        };
        self.got().iter().map(shown).collect()
    }

    fn set_down(&self, down: bool) {
        self.0.lock().unwrap().1 = down;
    }
}

impl Sink for Fake {
    const NAME: &'static str = "fake";
    const BATCH: usize = 10;
    const WANTS: Wants = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };

    fn configure(_: &mut Section<'_>, _: &Sender) -> Self {
        Self::default()
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let mut inside = self.0.lock().unwrap();
        if inside.1 {
            return Err(Failure::later("down"));
        }
        inside.0.extend_from_slice(batch);
        Ok(())
    }
}

fn read(entries: &[(&str, Raw)]) -> (Delivery, Vec<String>) {
    let table = table(entries);
    let mut problems = Vec::new();
    let mut section = Section::new(&table, &mut problems);
    let delivery = Delivery::configure::<Fake>("a", &mut section);
    section.finish();
    (delivery, problems.iter().map(ToString::to_string).collect())
}

struct Run {
    fake: Fake,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(memory: &Arc<Memory>, entries: &[(&str, Raw)]) -> Run {
    let (delivery, problems) = read(entries);
    assert_eq!(problems, Vec::<String>::new());
    let (fake, stop) = (Fake::default(), CancellationToken::new());
    let task = tokio::spawn(run(fake.clone(), delivery, memory.clone(), memory.signals(&stop)));
    Run { fake, stop, task }
}

impl Run {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn with(mut record: Record, change: impl FnOnce(&mut Event)) -> Record {
    let mut event = (*record.event).clone();
    change(&mut event);
    record.event = Arc::new(event);
    record
}

fn critical(seq: u64) -> Record {
    with(record(seq, "root"), |event| event.severity = Severity::Critical)
}

fn page(seq: u64) -> Record {
    with(record(seq, "x"), |event| {
        (event.kind, event.severity, event.service, event.login) =
            (&PAGE, Severity::Low, "http".into(), None);
    })
}

fn node(value: Raw) -> Node {
    Node { place: Place { file: "test.toml".into(), line: 1 }, value }
}

fn list(words: &[&str]) -> Raw {
    Raw::List(words.iter().map(|word| node(text(word))).collect())
}

fn filter(keys: &[(&str, &[&str])]) -> Raw {
    let item = |(key, words): &(&str, &[&str])| Item {
        key: (*key).to_owned(),
        written: (*key).to_owned(),
        node: node(list(words)),
    };
    Raw::Table(haldane_core::Table { name: "only".into(), entries: keys.iter().map(item).collect() })
}

async fn seconds(count: u64) {
    sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn only_and_except_choose_by_service_kind_and_source() {
    for (key, keys, told) in [
        ("only", &[("services", &["ht*"][..])][..], &["2"][..]),
        ("only", &[("kinds", &["*.login"])], &["1", "3"]),
        ("only", &[("kinds", &["3000"])], &["2"]),
        ("only", &[("sources", &["198.51.100.0/24", "2001:db8::1"])], &[]),
        ("only", &[("sources", &["192.0.2.0/24"]), ("services", &["ssh"])], &["1", "3"]),
        ("except", &[("kinds", &["test.login"])], &["2"]),
        ("except", &[("services", &["http"]), ("sources", &["10.0.0.0/8"])], &["1", "2", "3"]),
    ] {
        let memory = Memory::new();
        let run = start(&memory, &[(key, filter(keys))]);
        memory.append([record(1, "a"), page(2), record(3, "b")]);
        seconds(1).await;
        assert_eq!(run.fake.told(), told, "{key} {keys:?}");
        run.stop().await;
        assert_eq!(memory.with(|inside| inside.cursors["a"]), 3, "what is not wanted is done with");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_more_than_the_rate_is_told_as_a_number_and_critical_ones_at_once() {
    let memory = Memory::new();
    let run = start(&memory, &[("rate", text("3/1m"))]);
    memory.append((1..=50).map(|seq| record(seq, "x")));
    memory.append([critical(51)]);
    memory.append((52..=60).map(|seq| record(seq, "x")));
    seconds(30).await;
    assert_eq!(run.fake.told(), ["1", "2", "3", "51"]);
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 3, "what is owed is before the cursor");
    seconds(31).await;
    assert_eq!(run.fake.told(), ["1", "2", "3", "51", "sink.suppressed 56"]);
    let summary = run.fake.got().pop().unwrap().event;
    let Value::Text(sentence) = &summary.fields["summary"] else { panic!() };
    assert_eq!(sentence.to_string(), "56 more from 192.0.2.7 (56): test.login (56)");
    assert_eq!(summary.severity, Severity::High);
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 60);
    memory.append([record(61, "x")]);
    seconds(1).await;
    assert_eq!(run.fake.told().last().unwrap(), "61");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn critical_ones_have_a_rate_of_their_own_that_bounds_them_too() {
    let memory = Memory::new();
    let run = start(&memory, &[("rate", text("2/h"))]);
    memory.append((1..=2).map(|seq| record(seq, "x")).chain((3..=9).map(critical)));
    seconds(10).await;
    assert_eq!(run.fake.told(), ["1", "2", "3", "4"]);
    seconds(3600).await;
    assert_eq!(run.fake.told().last().unwrap(), "sink.suppressed 5");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_what_was_only_counted_is_read_again() {
    let memory = Memory::new();
    let run = start(&memory, &[("rate", text("2/1h"))]);
    memory.append((1..=5).map(|seq| record(seq, "x")));
    seconds(1).await;
    run.stop().await;
    let run = start(&memory, &[("rate", text("2/1h"))]);
    seconds(1).await;
    assert_eq!(run.fake.told(), ["3", "4"]);
    seconds(3601).await;
    assert_eq!(run.fake.told(), ["3", "4", "sink.suppressed 1"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_down_counts_nothing_twice() {
    let memory = Memory::new();
    let run = start(&memory, &[("rate", text("1/1m"))]);
    run.fake.set_down(true);
    memory.append((1..=3).map(|seq| record(seq, "x")));
    seconds(600).await;
    run.fake.set_down(false);
    seconds(61).await;
    seconds(61).await;
    assert_eq!(run.fake.told(), ["1", "sink.suppressed 2"]);
    run.stop().await;
}

/// The local hour and minute in so many minutes, as in `22:05`.
fn in_minutes(minutes: i64) -> String {
    let now: SystemTime = SystemTime::now();
    let at = Timestamp::try_from(now).unwrap() + jiff::SignedDuration::from_mins(minutes);
    at.to_zoned_datetime(TimeZone::system()).strftime("%H:%M").to_string()
}

#[tokio::test(start_paused = true)]
async fn quiet_hours_hold_back_everything_but_what_is_critical() {
    let memory = Memory::new();
    let quiet = format!("{}-{}", in_minutes(-2), in_minutes(60));
    let run = start(&memory, &[("quiet_hours", text(&quiet))]);
    memory.append([record(1, "x"), critical(2), record(3, "x")]);
    seconds(5).await;
    assert_eq!(run.fake.told(), ["2"]);
    run.stop().await;
    assert_eq!(memory.with(|inside| inside.cursors.get("a").copied()), None, "held back, not told");
    // The hours are over: all of it, by itself.
    let quiet = format!("{}-{}", in_minutes(10), in_minutes(20));
    let run = start(&memory, &[("quiet_hours", text(&quiet))]);
    seconds(5).await;
    assert_eq!(run.fake.told(), ["1", "2", "3"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_digest_gathers_what_is_not_critical() {
    let memory = Memory::new();
    let run = start(&memory, &[("digest", text("daily"))]);
    memory.append([record(1, "x"), page(2), critical(3), page(4)]);
    seconds(60).await;
    assert_eq!(run.fake.told(), ["3"]);
    run.stop().await;
    assert_eq!(memory.with(|inside| inside.cursors.get("a").copied()), None);
}

#[tokio::test(start_paused = true)]
async fn secrets_are_masked_wherever_they_stand() {
    let memory = Memory::new();
    let run = start(&memory, &[]);
    let another = Memory::new();
    let open = start(&another, &[("mask", Raw::Bool(false))]);
    let login = with(record(1, "root"), |event| {
        event.login = Some(Login::password("basic", "root", "hunter2"));
        event.fields = BTreeMap::from([
            ("body".into(), "user=root&pass=hunter2&again=hunter2".into()),
            ("new_password".into(), "Tr0ub4dor".into()),
            ("headers".into(), "Host: x\r\nAuthorization: Basic cm9vdDpodW50ZXIy\r\nAccept: */*".into()),
            (
                "credentials".into(),
                Value::List(vec![Value::Map(BTreeMap::from([
                    ("username".to_owned(), "admin".into()),
                    ("password".to_owned(), "letmein".into()),
                ]))]),
            ),
        ]);
    });
    let answer = with(record(2, "root"), |event| {
        event.login = Some(Login::new("netntlmv2").user("root").secret(Secret::Response {
            scheme: "netntlmv2".into(),
            challenge: "12345678".into(),
            response: "secretanswer".into(),
            crackable: Some("root::D:1122:3344:5566".into()),
        }));
    });
    another.append([login.clone(), answer.clone()]);
    memory.append([
        login,
        answer,
        with(record(3, "x"), |event| event.login = Some(Login::password("p", "x", "abc"))),
    ]);
    seconds(1).await;
    let lines: Vec<String> = run.fake.got().iter().map(|record| native(&record.event, "n")).collect();
    for secret in ["hunter2", "Tr0ub4dor", "cm9vdDpodW50ZXIy", "letmein", "5566", "\"abc\""] {
        assert!(lines.iter().all(|line| !line.contains(secret)), "{secret} in {lines:#?}");
    }
    assert!(
        lines[0].contains("\"password\":\"h… (7)\"") && lines[0].contains("pass=h… (7)&again"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("admin") && lines[0].contains("Accept: */*"), "{}", lines[0]);
    assert!(lines[1].contains("netntlmv2") && lines[2].contains("… (3)"), "{lines:#?}");
    let whole: Vec<String> = open.fake.got().iter().map(|record| native(&record.event, "n")).collect();
    assert!(whole[0].contains("\"password\":\"hunter2\"") && whole[1].contains("5566"));
    run.stop().await;
    open.stop().await;
}

#[test]
fn mistakes_are_explained() {
    let (_, problems) = read(&[
        ("rate", text("ten per hour")),
        ("quiet_hours", text("night")),
        ("digest", text("weekly")),
        ("only", filter(&[])),
        ("except", filter(&[("sources", &["10.0.0.0/99"])])),
    ]);
    for expected in [
        "expected 1 to 1000 messages in a time",
        "expected two times",
        "\"off\", \"hourly\", \"daily\"",
        "expected services, kinds or sources in it",
        "\"10.0.0.0/99\" is not an address or network",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
    for rate in ["10/1h", "10/h", "1 / 90s", "1000/7d"] {
        assert_eq!(read(&[("rate", text(rate))]).1, Vec::<String>::new(), "{rate}");
    }
    for rate in ["0/1h", "1001/1h", "5/0s", "5"] {
        assert_eq!(read(&[("rate", text(rate))]).1.len(), 1, "{rate}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_incident_of_which_all_was_told_is_told_to_who_wants_it() {
    static CLOSED: Kind =
        Kind::new(39212, "incident.closed", Class::Incident, Severity::High, "Incident closed");
    let closing = |seq, nothing_new| {
        with(record(seq, "x"), |event| {
            (event.kind, event.login) = (&CLOSED, None);
            event.fields = BTreeMap::from([("nothing_new".into(), Value::Bool(nothing_new))]);
        })
    };
    for (closings, told) in [(false, &["1"][..]), (true, &["1", "2"])] {
        let memory = Memory::new();
        let run = start(&memory, &[("notify", text("incident")), ("closings", Raw::Bool(closings))]);
        memory.append([closing(1, false), closing(2, true)]);
        seconds(1).await;
        assert_eq!(run.fake.told(), told);
        run.stop().await;
    }
}

/// What a person is told of it, as a line and as a story.
fn for_people(record: &Record) -> (String, String) {
    (haldane_sinks::encode::text(&record.event, false), haldane_sinks::encode::story(&record.event))
}

#[tokio::test(start_paused = true)]
async fn what_is_summed_up_is_no_incident_of_its_own_and_names_those_that_it_sums_up() {
    static OPENED: Kind =
        Kind::new(39210, "incident.opened", Class::Incident, Severity::High, "Incident opened");
    let news = |seq: u64, number| {
        with(record(seq, "x"), |event| {
            (event.kind, event.login, event.incident) = (&OPENED, None, Some(number));
            event.fields = BTreeMap::from([(
                "summary".into(),
                format!("192.0.2.{number} tried 14 SSH passwords as root").into(),
            )]);
        })
    };
    let memory = Memory::new();
    let run = start(&memory, &[("notify", text("incident")), ("rate", text("1/1m"))]);
    memory.append([news(1, 7), news(2, 8), news(3, 9), news(4, 9)]);
    seconds(61).await;
    assert_eq!(run.fake.told(), ["1", "sink.suppressed 3"]);
    let (line, story) = for_people(run.fake.got().last().unwrap());
    let sentence = "3 more about 2 incidents: 192.0.2.8 tried 14 SSH passwords as root; 192.0.2.9 tried 14 SSH \
                    passwords as root";
    assert!(line.contains(sentence) && !line.contains("incident 0") && !line.contains("because"), "{line}");
    assert!(story.starts_with(sentence) && !story.contains("Incident    "), "{story}");
    assert!(story.contains("\nIncidents\n         8  192.0.2.8 tried 14"), "{story}");
    run.stop().await;

    // A sink that hears of events is told of them in the same way.
    let memory = Memory::new();
    let run = start(&memory, &[("rate", text("1/1m"))]);
    memory.append((1..=5).map(|seq| record(seq, "x")));
    seconds(61).await;
    let (line, story) = for_people(run.fake.got().last().unwrap());
    assert!(line.contains("haldane") && line.contains("4 more from 192.0.2.7 (4)"), "{line}");
    assert!(!line.contains("incident 0"), "{line}");
    assert!(story.contains("Where it came from\n         4  192.0.2.7\n"), "{story}");
    run.stop().await;
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Whatever a sink's rate, digest and quiet hours are and whatever else comes: of the critical ones, as many are told at
    /// once as the rate has room for, and each of the others is in a number that is owed (the cursor stays before it).
    #[test]
    fn what_is_critical_is_told_within_its_rate_whatever_else_comes(
        events in proptest::collection::vec(proptest::bool::weighted(0.2), 1..120),
        rate in proptest::option::of(1..20_usize),
        digest in proptest::sample::select(vec!["off", "hourly", "daily"]),
        quiet in proptest::bool::ANY,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut keys = vec![("digest", text(digest))];
            keys.extend(rate.map(|most| ("rate", text(format!("{most}/7d")))));
            if quiet {
                keys.push(("quiet_hours", text(format!("{}-{}", in_minutes(-5), in_minutes(60)))));
            }
            let memory = Memory::new();
            let run = start(&memory, &keys);
            let numbered = events.iter().zip(1_u64..);
            memory.append(numbered.map(|(grave, seq)| if *grave { critical(seq) } else { record(seq, "x") }));
            seconds(5).await;
            let grave: Vec<u64> = events.iter().zip(1_u64..).filter(|(grave, _)| **grave).map(|(_, seq)| seq).collect();
            let got = run.fake.got();
            let is_grave = |record: &&Record| record.event.severity == Severity::Critical && record.event.login.is_some();
            let told: Vec<u64> = got.iter().filter(is_grave).map(|record| record.seq).collect();
            let room = rate.unwrap_or(usize::MAX).min(grave.len());
            assert_eq!(told, grave[..room], "the first ones, in order, each once");
            run.stop().await;
            let cursor = memory.with(|inside| inside.cursors.get("a").copied().unwrap_or_default());
            if let Some(owed) = grave.get(room) {
                let summed = got.iter().any(|record| record.event.kind.name == "sink.suppressed");
                assert!(summed || cursor < *owed, "{cursor} is not before {owed}");
            }
        });
    }
}
