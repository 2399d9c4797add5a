//! Reading for people, while the daemon writes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]
#![allow(clippy::disallowed_methods, reason = "a test has no Cx")]

mod common;

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use common::*;
use haldane_core::{Event, Severity};
use haldane_store::{Error, Query, Reader};

fn at(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(10_000) + Duration::from_secs(seconds)
}

#[test]
fn each_part_of_a_query_restricts() {
    let folder = Folder::new();
    let store = open(folder.options());
    let of = |source: &str| from(source.parse::<IpAddr>().unwrap());
    let (first, second) = (at(0), at(1_000));
    put(
        &store,
        vec![
            Event { at: first, ..of("192.0.2.1") },
            Event { at: first, service: "ssh".into(), ..of("192.0.3.1") },
            Event { at: second, severity: Severity::Critical, ..of("2001:db8::1") },
            Event { at: second, ..command() },
            Event { at: second, incident: Some(7), ..of("c000:200::1") },
            Event { at: second, ..operational() },
        ],
    );
    let mut reader = Reader::open(folder.path(), kinds()).unwrap();
    let mut seqs =
        |query: Query| reader.query(&query).unwrap().iter().map(|record| record.seq).collect::<Vec<_>>();
    let all = Query::default;
    assert_eq!(seqs(all()), [1, 2, 3, 4, 5, 6]);
    assert_eq!(seqs(Query { newest_first: true, limit: 2, ..all() }), [6, 5]);
    assert_eq!(seqs(Query { after: 4, ..all() }), [5, 6]);
    assert_eq!(seqs(Query { since: Some(second), ..all() }), [3, 4, 5, 6]);
    assert_eq!(seqs(Query { until: Some(second), newest_first: true, ..all() }), [2, 1]);
    let net = |text: &str| Query { source: Some(text.parse().unwrap()), ..all() };
    assert_eq!(seqs(net("192.0.2.0/24")), [1, 4]);
    assert_eq!(seqs(net("192.0.0.0/16")), [1, 2, 4]);
    assert_eq!(seqs(net("192.0.3.1/32")), [2]);
    assert_eq!(seqs(net("0.0.0.0/0")), [1, 2, 4]);
    assert_eq!(seqs(net("2001:db8::/32")), [3]);
    assert_eq!(seqs(net("::/0")), [3, 5]);
    assert_eq!(seqs(Query { service: Some("ssh".into()), ..all() }), [2]);
    assert_eq!(seqs(Query { severity: Some(Severity::High), ..all() }), [1, 2, 3, 5]);
    assert_eq!(seqs(Query { incident: Some(7), ..all() }), [5]);
    let kind = |text: &str| Query { kind: Some(text.into()), ..all() };
    assert_eq!(seqs(kind("ftp.login")), [1, 2, 3, 5]);
    assert_eq!(seqs(kind("ftp")), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(kind("ftp.*")), [1, 2, 3, 4, 5]);
    assert_eq!(seqs(kind("ft")), [0_u64; 0]);
    assert_eq!(seqs(kind("2000")), [1, 2, 3, 5]);
    assert_eq!(seqs(kind("200")), [0_u64; 0]);
    assert_eq!(seqs(kind("3*")), [4, 6]);
    assert_eq!(seqs(kind("ftp' OR 1=1 --")), [0_u64; 0]);
}

#[test]
fn more_than_is_read_in_one_go_comes_whole_and_in_order() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, (0..1_234).map(|number| if number % 3 == 0 { command() } else { event() }).collect());
    let db = rusqlite::Connection::open(folder.path().join("haldane.db")).unwrap();
    db.execute("UPDATE events SET body = x'' WHERE seq BETWEEN 2 AND 700", []).unwrap();
    let mut reader = Reader::open(folder.path(), kinds()).unwrap();
    let mut seqs =
        |query: &Query| reader.query(query).unwrap().iter().map(|record| record.seq).collect::<Vec<_>>();
    let whole: Vec<u64> = [1].into_iter().chain(701..=1_234).collect();
    assert_eq!(seqs(&Query::default()), whole);
    assert_eq!(seqs(&Query { limit: 600, ..Query::default() }), whole);
    assert_eq!(
        seqs(&Query { limit: 501, newest_first: true, ..Query::default() }),
        (734..=1_234).rev().collect::<Vec<_>>()
    );
    assert_eq!(seqs(&Query { kind: Some("ftp.command".into()), after: 700, ..Query::default() }).len(), 178);
    let mut visited = 0;
    reader
        .each(&Query::default(), |_| {
            visited += 1;
            visited < 3
        })
        .unwrap();
    assert_eq!(visited, 3);
}

#[test]
fn a_store_that_is_not_there_is_said_to_be_missing() {
    let folder = Folder::new();
    let error = Reader::open(folder.path(), kinds()).unwrap_err();
    assert!(matches!(error, Error::Missing { .. }), "{error}");
    assert!(error.to_string().contains("haldane.db"), "{error}");
    assert!(!folder.path().join("haldane.db").exists(), "looking makes none");
}

#[test]
fn readers_see_whole_commits_while_the_daemon_writes() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event()]);
    let mut reader = Reader::open(folder.path(), kinds()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                put(&store, (0..10).map(|_| event()).collect());
            }
        });
        let mut newest = 0;
        while newest < 2_001 {
            let records = reader.query(&Query { after: newest, ..Query::default() }).unwrap();
            let Some(last) = records.last().map(|record| record.seq) else { continue };
            assert_eq!(records.len() as u64, last - newest);
            assert_eq!(last % 10, 1, "a batch is there whole or not at all");
            newest = last;
        }
    });
}

#[test]
fn reading_leaves_a_store_at_rest_as_it_is() {
    let folder = Folder::new();
    let store = open(folder.options());
    put(&store, vec![event()]);
    drop(store);
    let before = std::fs::read(folder.path().join("haldane.db")).unwrap();
    assert_eq!(Reader::open(folder.path(), kinds()).unwrap().query(&Query::default()).unwrap().len(), 1);
    assert_eq!(std::fs::read(folder.path().join("haldane.db")).unwrap(), before);
}
