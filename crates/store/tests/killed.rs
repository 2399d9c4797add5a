//! The process dies at any moment: nothing that a peer was answered for is lost.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]
#![allow(clippy::disallowed_methods, reason = "a test has no Cx")]

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::mpsc,
};

use common::*;
use haldane_core::{Batch, Event, Fields, Value};
use haldane_store::{Options, Query, Reader};

const FOLDER: &str = "HALDANE_TEST_KILLED";

/// Not a test of its own: the process that is killed. Says each number once it would answer the peer.
#[test]
fn the_one_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Options::new(folder));
    let (told, tell) = mpsc::channel::<i64>();
    let ingest = store.ingest();
    std::thread::spawn(move || {
        for number in 0.. {
            let fields = Fields::from([("number".into(), Value::Int(number))]);
            let told = told.clone();
            let recorded = Box::new(move || _ = told.send(number));
            let events = vec![Event { fields, ..event() }];
            ingest.blocking_send(Batch { events, recorded: Some(recorded) }).unwrap();
        }
    });
    let mut out = std::io::stdout();
    for number in tell {
        // Not println: the test harness keeps that back.
        writeln!(out, "kept {number}").unwrap();
        out.flush().unwrap();
        store.journal().save("mail", store.newest());
    }
}

#[test]
fn kill_9_loses_nothing_that_was_answered_for() {
    for answered in [1, 50, 3_000] {
        let folder = Folder::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_one_to_be_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut kept =
            lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("kept ")?.parse::<i64>().ok());
        let mut last = (&mut kept).take(answered).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died.
        last = kept.last().unwrap_or(last);

        let store = open(folder.options());
        put(&store, vec![event()]);
        let mut reader = Reader::open(folder.path(), kinds()).unwrap();
        let stored = reader.query(&Query::default()).unwrap();
        let numbers = stored.iter().filter_map(|record| record.event.fields.get("number"));
        let expected: Vec<_> = (0..=last).map(Value::Int).collect();
        let found: Vec<_> = numbers.take(expected.len()).cloned().collect();
        assert_eq!(found, expected);
        let seqs: Vec<_> = stored.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, (1..=store.newest()).collect::<Vec<_>>());
        assert!(store.journal().cursor("mail") < store.newest(), "no cursor is ahead of the events");
        assert_eq!(reader.unreadable(), 0);
    }
}
