//! The store as the daemon and the sinks use it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]
#![allow(clippy::disallowed_methods, reason = "a test has no Cx")]

mod common;

use std::{
    collections::BTreeMap,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use common::*;
use haldane_core::{
    Batch, Event, Fields, Health, Honeycred, Kinds, Login, Notify, Secret, Severity, TlsFacts, Untrusted,
    Value, Wants,
};
use haldane_store::{Error, Options, Query, Reader, Store, verify};
use proptest::prelude::*;

#[test]
fn what_was_stored_is_there_after_a_restart_with_all_it_revealed() {
    let folder = Folder::new();
    let secret = Secret::Response {
        scheme: "mysql_native_password".into(),
        challenge: b"\x00\xff".into(),
        response: b"\xfe".into(),
        crackable: Some("$mysqlna$".into()),
    };
    let rich = Event {
        login: Some(Login::new("mysql_native_password").user(b"ro\xff\x00ot").secret(secret)),
        fields: Fields::from([
            ("raw".into(), Value::from(&b"\xff\x00\r\n"[..])),
            ("nothing".into(), Value::Null),
            ("list".into(), Value::List(vec![Value::Bool(true), Value::Int(i64::MIN)])),
            ("map".into(), Value::Map(BTreeMap::from([("k\u{202e}".into(), Value::from("v"))]))),
        ]),
        tls: Some(Arc::new(TlsFacts { sni: Some("x".into()), ja3: "a".into(), ..TlsFacts::default() })),
        ignored: false,
        honeycred: Honeycred::No,
        ..event()
    };
    let written = vec![rich, command(), operational(), Event { ignored: true, ..event() }];
    let store = open(folder.options());
    put(&store, written.clone());
    store.close();
    drop(store);
    let found = Reader::open(folder.path(), kinds()).unwrap().query(&Query::default()).unwrap();
    assert_eq!(found.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    for (record, mut event) in found.into_iter().zip(written) {
        // Finer than a microsecond is cut off.
        let nanos = event.at.duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos() % 1_000;
        event.at -= Duration::from_nanos(nanos.into());
        assert_eq!(*record.event, event);
    }
}

#[test]
fn only_its_owner_may_read_it() {
    let folder = Folder::new();
    let options = Options::new(folder.path().join("a/b"));
    let store = open(options.clone());
    put(&store, vec![event()]);
    for file in std::fs::read_dir(&options.folder).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
    assert_eq!(std::fs::metadata(&options.folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_second_daemon_is_refused_while_the_first_runs() {
    let folder = Folder::new();
    let first = open(folder.options());
    let error = Store::open(folder.options(), kinds(), plain()).unwrap_err();
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    assert!(error.to_string().contains("running"), "{error}");
    drop(first);
    open(folder.options());
}

#[test]
fn the_pipeline_runs_over_each_event_before_it_is_stored() {
    let folder = Folder::new();
    let process = Box::new(|event: &mut Event| event.ignored = event.service == "ssh");
    let store = Store::open(folder.options(), kinds(), process).unwrap();
    put(&store, vec![event(), Event { service: "ssh".into(), ..event() }, event()]);
    let seen = read(&*store.journal(), 0, &ALL);
    assert_eq!(seen.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 3], "ignored: to no sink");
    let mut reader = Reader::open(folder.path(), kinds()).unwrap();
    let stored = reader.query(&Query::default()).unwrap();
    assert_eq!(stored.iter().map(|record| record.event.ignored).collect::<Vec<_>>(), [false, true, false]);
}

#[test]
fn a_bug_in_the_pipeline_does_not_end_the_store() {
    let folder = Folder::new();
    let process = Box::new(|event: &mut Event| assert!(event.service != "ssh"));
    let store = Store::open(folder.options(), kinds(), process).unwrap();
    put(&store, vec![Event { service: "ssh".into(), ..event() }, event()]);
    assert_eq!(read(&*store.journal(), 0, &ALL).len(), 2);
}

#[test]
fn sinks_get_what_they_want_and_pass_the_rest() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event(), command(), operational(), event()]);
    let of = |severity, operational| {
        let wants = Wants { severity, operational, notify: Notify::Event };
        let records = read(&*store.journal(), 0, &wants);
        records.iter().map(|record| record.seq).collect::<Vec<_>>()
    };
    assert_eq!(of(Severity::Info, true), [1, 2, 3, 4]);
    assert_eq!(of(Severity::Info, false), [1, 2, 4]);
    assert_eq!(of(Severity::High, true), [1, 3, 4]);
    assert_eq!(of(Severity::Critical, false), [0_u64; 0]);
    let none = Wants { severity: Severity::Critical, operational: false, notify: Notify::Event };
    assert_eq!(store.journal().after(0, 10, &none).unwrap().next, 4);
}

#[test]
fn cursors_dead_letters_and_health_survive_a_restart() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event(), event()]);
    let journal = store.journal();
    let health =
        Health { up: false, why: "refused".into(), since: SystemTime::UNIX_EPOCH, delivered: 1, refused: 1 };
    assert!(!store.has_cursor("mail"));
    journal.save("mail", 1);
    journal.save("mail", 2);
    journal.bury("mail", 1, "550 no such user");
    journal.health("mail", &health);
    assert_eq!(journal.cursor("mail"), 2);
    // Without further events, too.
    until("cursor on disk", || {
        Reader::open(folder.path(), kinds()).unwrap().cursors().unwrap().contains_key("mail")
    });
    drop((journal, store));
    let store = open(folder.options());
    assert!(store.has_cursor("mail"));
    assert_eq!(store.journal().cursor("mail"), 2);
    assert_eq!(store.journal().cursor("other"), 0);
    let reader = Reader::open(folder.path(), kinds()).unwrap();
    assert_eq!(reader.healths().unwrap(), BTreeMap::from([("mail".to_owned(), health)]));
    let letters = reader.dead_letters(10).unwrap();
    assert_eq!((letters[0].seq, letters[0].reason.as_str(), letters.len()), (1, "550 no such user", 1));
}

#[test]
fn positions_go_on_after_a_restart() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event(), event()]);
    drop(store);
    assert_eq!(haldane_store::newest(folder.path()), 2);
    let store = open(folder.options());
    put(&store, vec![event()]);
    assert_eq!(store.newest(), 3);
    assert_eq!(read(&*store.journal(), 1, &ALL).len(), 2);
}

#[test]
fn closing_stores_what_still_waits() {
    let folder = Folder::new();
    let store = open(folder.options());
    let told = Arc::new(AtomicU64::new(0));
    for _ in 0..500 {
        let told = told.clone();
        let recorded = Box::new(move || _ = told.fetch_add(1, Ordering::Relaxed));
        store.ingest().blocking_send(Batch { events: vec![event()], recorded: Some(recorded) }).unwrap();
    }
    let ingest = store.ingest();
    store.close();
    assert_eq!(told.load(Ordering::Relaxed), 500);
    assert!(ingest.blocking_send(Batch { events: vec![event()], recorded: None }).is_err());
    assert_eq!(Reader::open(folder.path(), kinds()).unwrap().newest().unwrap(), 500);
    assert_eq!(std::fs::metadata(folder.path().join("haldane.db-wal")).map_or(0, |wal| wal.len()), 0);
}

#[test]
fn sinks_are_woken_by_new_events() {
    let folder = Folder::new();
    let store = open(folder.options());
    let mut watch = store.watch();
    watch.mark_unchanged();
    put(&store, vec![event()]);
    until("news", || watch.has_changed().unwrap());
    assert_eq!(*watch.borrow_and_update(), 1);
}

/// To be verified, and seen a little ahead of time, so that a slow machine has time for the test.
fn just_now() -> Event {
    let at = SystemTime::now() + haldane_store::HOLD_BACK - Duration::from_millis(100);
    Event { honeycred: Honeycred::Pending, at, ..event() }
}

#[test]
fn a_pending_honeycred_holds_back_what_follows_until_the_verdict() {
    let folder = Folder::new();
    let store = open(folder.options());
    let critical = Wants { severity: Severity::Critical, operational: false, notify: Notify::Event };
    put(&store, vec![event(), just_now(), event()]);
    let journal = store.journal();
    assert_eq!(read(&*journal, 0, &ALL).len(), 1);
    assert_eq!(journal.after(0, 10, &critical).unwrap().next, 1, "it may yet be critical");
    assert_eq!(store.pending(10).unwrap().iter().map(|record| record.seq).collect::<Vec<_>>(), [2]);
    let mut watch = store.watch();
    watch.mark_unchanged();
    store.verified(2, true);
    assert!(watch.has_changed().unwrap());
    assert_eq!(store.pending(10).unwrap(), []);
    let seen = read(&*journal, 0, &ALL);
    assert_eq!(seen.len(), 3);
    assert_eq!((seen[1].event.honeycred, seen[1].event.severity), (Honeycred::Yes, Severity::Critical));
    assert_eq!(read(&*journal, 0, &critical).len(), 1);
    drop((journal, store));
    let stored = Reader::open(folder.path(), kinds()).unwrap().query(&Query::default()).unwrap();
    assert_eq!((stored[1].event.honeycred, stored[1].event.severity), (Honeycred::Yes, Severity::Critical));
}

#[test]
fn a_pending_honeycred_holds_back_from_disk_too_whatever_a_sink_wants() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event(), just_now(), event()]);
    drop(store);
    let store = open(folder.options());
    for severity in [Severity::Info, Severity::Critical] {
        let page = store
            .journal()
            .after(0, 10, &Wants { severity, operational: false, notify: Notify::Event })
            .unwrap();
        assert!(page.next < 2, "{severity}: {page:?}");
    }
}

#[test]
fn a_pending_honeycred_that_takes_too_long_goes_out_as_no() {
    let folder = Folder::new();
    let at = SystemTime::now() - haldane_store::HOLD_BACK;
    let store = open(folder.options());
    put(&store, vec![Event { honeycred: Honeycred::Pending, at, ..event() }, event()]);
    let seen = read(&*store.journal(), 0, &ALL);
    assert_eq!((seen[0].event.honeycred, seen.len()), (Honeycred::No, 2));
    assert_eq!(store.pending(10).unwrap().len(), 1, "but the verdict is still to come");
    drop(store);
    let store = open(folder.options());
    let seen = read(&*store.journal(), 0, &ALL);
    assert_eq!((seen[0].event.honeycred, seen.len()), (Honeycred::No, 2), "from disk, too");
}

#[test]
fn a_verdict_in_time_is_part_of_the_event_and_a_late_one_an_event_of_its_own() {
    let folder = Folder::new();
    let store = open(folder.options());
    let late = SystemTime::now() - Duration::from_secs(60);
    let old = Event { honeycred: Honeycred::Pending, at: late, ..event() };
    put(&store, vec![old.clone(), just_now()]);
    let wrong = Event { login: Some(Login::password("password", "root", "x")), ..old.clone() };
    put(&store, vec![wrong]);
    let check = Box::new(|event: &Event| event.login.as_ref().unwrap().clear().unwrap().raw() == b"hunter2");
    let verifier = verify::spawn(&store, check, &USED).unwrap();
    until("late verdict", || store.newest() >= 4);
    until("all verdicts", || store.pending(10).unwrap().is_empty());
    let seen = read(&*store.journal(), 0, &ALL);
    let honeycreds: Vec<_> = seen.iter().map(|record| record.event.honeycred).collect();
    assert_eq!(honeycreds, [Honeycred::Yes, Honeycred::Yes, Honeycred::No, Honeycred::Yes]);
    let Event { kind, severity, login, peer, session, fields, .. } = &*seen[3].event;
    assert_eq!((*kind, *severity), (&USED, Severity::Critical));
    assert_eq!((login, *peer, *session), (&old.login, old.peer, old.session));
    assert_eq!(fields["event"], Value::from(old.id.to_string()));
    store.close();
    verifier.join().unwrap();
}

#[test]
fn verifying_rests_three_times_as_long_as_it_works() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, (0..4).map(|_| Event { honeycred: Honeycred::Pending, ..event() }).collect());
    let spin = |duration| {
        let began = std::time::Instant::now();
        while began.elapsed() < duration {}
    };
    let began = std::time::Instant::now();
    let work = Duration::from_millis(20);
    verify::spawn(
        &store,
        Box::new(move |_: &Event| {
            spin(work);
            false
        }),
        &USED,
    )
    .unwrap();
    until("verdicts", || store.pending(1).unwrap().is_empty());
    assert!(began.elapsed() >= work * (4 + 3 * 3), "{:?}", began.elapsed());
}

#[test]
fn damage_is_set_aside_and_told_of() {
    for damage in [&b"this is not a database at all"[..], &[0xff; 8_192]] {
        let folder = Folder::new();
        std::fs::write(folder.path().join("haldane.db"), damage).unwrap();
        let store = open(folder.options());
        put(&store, vec![event()]);
        let seen = read(&*store.journal(), 0, &ALL);
        assert_eq!(seen[0].event.kind.name, "store.replaced");
        assert_eq!(seen.len(), 2);
        let files = std::fs::read_dir(folder.path()).unwrap();
        let aside = files
            .map(|file| file.unwrap())
            .find(|file| file.file_name().to_string_lossy().contains("corrupt"));
        assert_eq!(std::fs::read(aside.unwrap().path()).unwrap(), damage);
    }
}

#[test]
fn damage_in_the_schema_is_set_aside() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event()]);
    drop(store);
    let path = folder.path().join("haldane.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100..4_096].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let store = open(folder.options());
    put(&store, vec![event()]);
    assert_eq!(read(&*store.journal(), 0, &ALL)[0].event.kind.name, "store.replaced");
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let folder = Folder::new();
    drop(open(folder.options()));
    let db = rusqlite::Connection::open(folder.path().join("haldane.db")).unwrap();
    db.pragma_update(None, "user_version", 1_000).unwrap();
    drop(db);
    let error = Store::open(folder.options(), kinds(), plain()).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 1_000, .. }), "{error}");
    assert!(matches!(Reader::open(folder.path(), kinds()).unwrap_err(), Error::Newer { .. }));
}

#[test]
fn a_damaged_row_is_left_out_and_counted() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event(), event(), event()]);
    drop(store);
    let db = rusqlite::Connection::open(folder.path().join("haldane.db")).unwrap();
    db.execute("UPDATE events SET body = x'7b', honeycred = 1 WHERE seq = 2", []).unwrap();
    drop(db);
    let mut reader = Reader::open(folder.path(), kinds()).unwrap();
    assert_eq!(reader.query(&Query::default()).unwrap().len(), 2);
    assert_eq!(reader.unreadable(), 1);
    let store = open(folder.options());
    let seen = read(&*store.journal(), 0, &ALL);
    assert_eq!(seen.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(store.condition().unreadable, 1);
    assert_eq!(store.pending(10).unwrap(), []);
}

#[test]
fn a_kind_of_another_version_is_read_as_unknown() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event()]);
    drop(store);
    let mut reader = Reader::open(folder.path(), Arc::new(Kinds::default())).unwrap();
    assert_eq!(reader.query(&Query::default()).unwrap()[0].event.kind.name, "unknown");
}

fn untrusted() -> impl Strategy<Value = Untrusted> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Untrusted::new),
        ".*".prop_map(Untrusted::new)
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        untrusted().prop_map(Value::Text),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::btree_map(".*", inner, 0..4).prop_map(Value::Map)
        ]
    })
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        untrusted().prop_map(Secret::Password),
        untrusted().prop_map(Secret::Token),
        (untrusted(), ".*", untrusted()).prop_map(|(algorithm, fingerprint, key)| Secret::PublicKey {
            algorithm,
            fingerprint,
            key
        }),
        (untrusted(), untrusted(), proptest::option::of(".*")).prop_map(
            |(challenge, response, crackable)| {
                Secret::Response { scheme: "digest".into(), challenge, response, crackable }
            }
        ),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let login = (proptest::option::of(untrusted()), proptest::option::of(secret()))
        .prop_map(|(username, secret)| Login { username, secret, ..Login::new("password") });
    let fields =
        proptest::collection::btree_map("[a-z]{1,8}".prop_map(std::borrow::Cow::Owned), value(), 0..4);
    let honeycred = prop_oneof![
        4 => Just(Honeycred::None),
        1 => Just(Honeycred::Pending),
        1 => Just(Honeycred::No),
        1 => Just(Honeycred::Yes)
    ];
    let severity = proptest::sample::select(&Severity::ALL[..]);
    let kind = proptest::sample::select(vec![&LOGIN, &COMMAND, &STARTED]);
    let rest = (any::<u128>(), 0..4_000_000_000_000_000_u64, any::<bool>(), proptest::option::of(0..9_u64));
    (proptest::option::of(login), fields, honeycred, severity, kind, rest).prop_map(
        |(login, fields, honeycred, severity, kind, (id, micros, ignored, incident))| Event {
            id: uuid::Uuid::from_u128(id),
            at: SystemTime::UNIX_EPOCH + Duration::from_micros(micros),
            peer: if kind == &STARTED { None } else { event().peer },
            kind,
            severity,
            login,
            fields,
            honeycred,
            ignored,
            incident,
            ..event()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn memory_and_disk_say_the_same(
        events in proptest::collection::vec(any_event(), 1..20),
        severity in proptest::sample::select(&Severity::ALL[..]),
        operational: bool,
        cursor in 0..20_u64,
    ) {
        let folder = Folder::new();
        let wants = Wants { severity, operational, notify: Notify::Event };
        let options = Options { keep_for: Duration::MAX, ..folder.options() };
        let store = open(options.clone());
        put(&store, events);
        let remembered = (read(&*store.journal(), 0, &ALL), read(&*store.journal(), cursor, &wants));
        drop(store);
        let store = open(options);
        let read_back = (read(&*store.journal(), 0, &ALL), read(&*store.journal(), cursor, &wants));
        prop_assert_eq!(remembered, read_back);
    }
}
