//! A file system that is really full. Needs the right to mount one; without it, there is nothing to test here
//! (`writer/tests.rs` has the same with a stand-in).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]
#![allow(clippy::disallowed_methods, reason = "a test has no Cx")]

mod common;

use std::process::Command;

use common::*;
use haldane_core::{Event, Fields, Value};
use haldane_store::{Query, Reader};

/// A small file system of its own, unmounted in the end.
struct Mounted(Folder);

impl Mounted {
    fn new() -> Option<Self> {
        let folder = Folder::new();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mount.then(|| Self(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn big() -> Event {
    Event { fields: Fields::from([("x".into(), Value::from("x".repeat(8_000)))]), ..event() }
}

#[test]
fn a_full_disk_is_survived_and_what_came_meanwhile_is_written_afterwards() {
    let Some(mounted) = Mounted::new() else { return };
    let folder = mounted.0.path();
    let store = open(mounted.0.options());
    put(&store, vec![event()]);
    let ballast = folder.join("ballast");
    _ = std::fs::write(&ballast, vec![0; 1 << 20]);
    let mut sent = 1;
    while store.healthy() {
        put(&store, vec![big()]);
        sent += 1;
        assert!(sent < 500);
    }
    put(&store, vec![big()]);
    sent += 1;
    let seen = read(&*store.journal(), 0, &ALL);
    assert_eq!(seen.len(), sent + 1, "with store.failing");
    std::fs::remove_file(&ballast).unwrap();
    until("writing resumes by itself", || store.healthy());
    until("all is told", || store.newest() > sent as u64 + 1);
    let newest = store.newest();
    store.close();
    let stored = Reader::open(folder, kinds()).unwrap().query(&Query::default()).unwrap();
    assert_eq!(stored.iter().map(|record| record.seq).collect::<Vec<_>>(), (1..=newest).collect::<Vec<_>>());
    assert_eq!(stored.last().unwrap().event.kind.name, "store.resumed");
}

#[test]
fn the_store_opens_on_a_full_disk() {
    let Some(mounted) = Mounted::new() else { return };
    let folder = mounted.0.path();
    let store = open(mounted.0.options());
    put(&store, vec![event()]);
    drop(store);
    let ballast = folder.join("ballast");
    _ = std::fs::write(&ballast, vec![0; 1 << 20]);
    let store = open(mounted.0.options());
    put(&store, vec![event()]);
    assert_eq!(read(&*store.journal(), 1, &ALL)[0].seq, 2);
    std::fs::remove_file(&ballast).unwrap();
    until("writing resumes by itself", || store.healthy());
    until("all is stored", || names(folder).last() == Some(&"store.resumed"));
    assert_eq!(names(folder), ["ftp.login", "store.failing", "ftp.login", "store.resumed"]);
}

fn names(folder: &std::path::Path) -> Vec<&'static str> {
    let stored = Reader::open(folder, kinds()).unwrap().query(&Query::default()).unwrap();
    stored.iter().map(|record| record.event.kind.name).collect()
}

#[test]
fn no_position_is_given_twice_when_the_log_cannot_be_read() {
    let Some(mounted) = Mounted::new() else { return };
    let folder = mounted.0.path();
    let store = open(mounted.0.options());
    put(&store, vec![event(), event()]);
    // As after kill -9: the events are in the log only.
    let files = ["haldane.db", "haldane.db-wal"].map(|name| folder.join(name));
    let before = files.each_ref().map(|file| std::fs::read(file).unwrap());
    drop(store);
    for (file, bytes) in files.iter().zip(before) {
        std::fs::write(file, bytes).unwrap();
    }
    // Its index must be made anew, for which there is no room.
    _ = std::fs::remove_file(folder.join("haldane.db-shm"));
    let ballast = folder.join("ballast");
    _ = std::fs::write(&ballast, vec![0; 1 << 20]);
    assert!(haldane_store::newest(folder) >= 2);
    let store = open(mounted.0.options());
    assert!(!store.healthy());
    put(&store, vec![event()]);
    std::fs::remove_file(&ballast).unwrap();
    until("writing resumes by itself", || store.healthy());
    until("all is stored", || names(folder).last() == Some(&"store.resumed"));
    assert_eq!(names(folder), ["ftp.login", "ftp.login", "store.failing", "ftp.login", "store.resumed"]);
}
