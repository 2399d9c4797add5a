//! Files that are moved, deleted, full, in the way.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;

use std::{
    fs,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use common::{configured, records, sink, text};
use haldane_core::{Record, section::Raw};
use haldane_sinks::{AnySink, Failure};
use tokio::time::timeout;

/// A folder for one test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("file-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn users(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(str::to_owned).collect()
}

/// A file sink that writes `user1` and the like, and nothing else.
fn short(path: &Path, more: &[(&str, Raw)]) -> Box<dyn AnySink> {
    let mut entries = vec![("path", text(path.display())), ("format", text("text"))];
    entries.extend_from_slice(more);
    sink("file", &entries)
}

fn native(path: &Path) -> Box<dyn AnySink> {
    sink("file", &[("path", text(path.display()))])
}

async fn deliver(sink: &mut Box<dyn AnySink>, batch: &[Record]) {
    sink.once(batch).await.unwrap();
}

/// The user names in a file of native lines, each of which must be whole.
fn names(path: &Path) -> Vec<String> {
    let name = |line: &String| {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("half a line: {line:?}"));
        line["credential"]["username"].as_str().unwrap().to_owned()
    };
    users(path).iter().map(name).collect()
}

fn named(seqs: impl IntoIterator<Item = u64>) -> Vec<String> {
    seqs.into_iter().map(|seq| format!("user{seq}")).collect()
}

#[tokio::test]
async fn lines_are_appended_to_a_file_that_others_cannot_read() {
    let path = folder("append").join("a.log");
    let mut sink = native(&path);
    assert!(!path.exists());
    deliver(&mut sink, &records(1..=2)).await;
    deliver(&mut sink, &records(3..=3)).await;
    drop(sink);
    deliver(&mut native(&path), &records(4..=4)).await;
    assert_eq!(names(&path), named(1..=4));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o137, 0);
}

#[tokio::test]
async fn mode_w_empties_the_file_at_start_and_never_again() {
    let path = folder("mode").join("a.log");
    fs::write(&path, "old\n").unwrap();
    let mut sink = sink("file", &[("path", text(path.display())), ("mode", text("w"))]);
    deliver(&mut sink, &records(1..=1)).await;
    assert_eq!(names(&path), named(1..=1));
    // Moved, and something else is put in its place.
    fs::rename(&path, path.with_extension("1")).unwrap();
    fs::copy(path.with_extension("1"), &path).unwrap();
    deliver(&mut sink, &records(2..=2)).await;
    assert_eq!(names(&path), named(1..=2));
}

#[tokio::test]
async fn a_file_that_is_moved_or_deleted_is_made_anew() {
    let path = folder("moved").join("a.log");
    let old = path.with_extension("log.1");
    let mut sink = native(&path);
    deliver(&mut sink, &records(1..=1)).await;
    fs::rename(&path, &old).unwrap();
    deliver(&mut sink, &records(2..=2)).await;
    assert_eq!((names(&old), names(&path)), (named(1..=1), named(2..=2)));
    fs::remove_file(&path).unwrap();
    deliver(&mut sink, &records(3..=3)).await;
    assert_eq!(names(&path), named(3..=3));
    // As logrotate's copytruncate leaves it.
    fs::write(&path, "").unwrap();
    deliver(&mut sink, &records(4..=4)).await;
    assert_eq!(names(&path), named(4..=4));
}

#[tokio::test]
async fn logrotate_loses_nothing() {
    let folder = folder("logrotate");
    let path = folder.join("a.log");
    let conf = folder.join("conf");
    let rules = format!("{} {{\n rotate 5\n create 0640\n nocompress\n}}\n", path.display());
    fs::write(&conf, rules).unwrap();
    fs::set_permissions(&conf, fs::Permissions::from_mode(0o644)).unwrap();
    let mut sink = native(&path);
    deliver(&mut sink, &records(1..=3)).await;
    let state = folder.join("state");
    let logrotate = Command::new("logrotate").args(["-f", "-s"]).arg(state).arg(conf).status();
    if !logrotate.is_ok_and(|status| status.success()) {
        return eprintln!("no logrotate here");
    }
    deliver(&mut sink, &records(4..=5)).await;
    assert_eq!((names(&folder.join("a.log.1")), names(&path)), (named(1..=3), named(4..=5)));
}

#[tokio::test]
async fn a_missing_folder_is_named_and_may_come_later() {
    let folder = folder("missing").join("deeper");
    let mut sink = native(&folder.join("a.log"));
    let Err(Failure::Later { why, .. }) = sink.once(&records(1..=1)).await else { panic!("delivered") };
    assert!(why.ends_with(&format!("there is no folder {}", folder.display())), "{why}");
    fs::create_dir(&folder).unwrap();
    deliver(&mut sink, &records(1..=1)).await;
    assert_eq!(names(&folder.join("a.log")), named(1..=1));
}

#[tokio::test]
async fn half_a_line_of_a_crash_spoils_no_other() {
    let path = folder("crash").join("a.log");
    fs::write(&path, "{\"half\": ").unwrap();
    deliver(&mut native(&path), &records(1..=1)).await;
    let lines = users(&path);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "{\"half\": ");
    assert!(lines[1].contains("user1"));
}

#[tokio::test]
async fn a_full_device_is_a_failure_that_may_pass() {
    let mut sink = native(Path::new("/dev/full"));
    let Err(Failure::Later { why, .. }) = sink.once(&records(1..=1)).await else { panic!("delivered") };
    assert_eq!(why, "cannot write to /dev/full: the disk is full");
}

/// Needs root, for a file system of its own.
#[tokio::test]
async fn a_full_disk_keeps_no_half_line_and_gets_the_rest_once_it_is_free() {
    let folder = folder("full");
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"]).arg(&folder).output();
    if !mount.is_ok_and(|mount| mount.status.success()) {
        return eprintln!("no file system of our own here");
    }
    let path = folder.join("a.log");
    let mut sink = native(&path);
    let outcome = sink.once(&records(1..=60)).await;
    let (full, why) = (names(&path), outcome.unwrap_err().to_string());
    fs::remove_file(&path).unwrap();
    let again = sink.once(&records(1..=60)).await;
    let rest = names(&path);
    drop(sink);
    let unmounted = Command::new("umount").arg(&folder).status().unwrap();
    assert!(unmounted.success());
    assert_eq!(why, format!("cannot write to {}: the disk is full", path.display()));
    assert!(full.len() > 5 && full.len() < 60, "{full:?}");
    again.unwrap();
    assert_eq!([full, rest].concat(), named(1..=60));
}

#[tokio::test]
async fn a_file_that_grows_too_large_is_numbered() {
    let path = folder("size").join("a.log");
    let pattern = ("pattern", text("%(name)s %(message).0s"));
    // Each line is "canary-1 " and a line feed: ten bytes.
    let more = [("rotate_size", Raw::Int(35)), ("keep", Raw::Int(2)), pattern];
    let mut sink = short(&path, &more);
    let lines = |extension: &str| users(&path.with_extension(extension)).len();
    deliver(&mut sink, &records(1..=3)).await;
    assert!(!path.with_extension("log.1").exists());
    deliver(&mut sink, &records(4..=5)).await;
    assert_eq!((lines("log"), lines("log.1")), (2, 3));
    // Three files in one delivery: what is older than two goes.
    deliver(&mut sink, &records(6..=12)).await;
    assert_eq!((lines("log"), lines("log.1"), lines("log.2")), (3, 3, 3));
    assert!(!path.with_extension("log.3").exists());
    drop(sink);
    deliver(&mut short(&path, &more), &records(13..=13)).await;
    assert_eq!((lines("log"), lines("log.1")), (1, 3));
}

#[tokio::test]
async fn a_file_that_cannot_be_renamed_goes_on_growing() {
    let path = folder("stuck").join("a.log");
    fs::create_dir_all(path.with_extension("log.1").join("not empty")).unwrap();
    let mut sink = sink(
        "file",
        &[("path", text(path.display())), ("rotate_size", Raw::Int(100)), ("keep", Raw::Int(1))],
    );
    deliver(&mut sink, &records(1..=3)).await;
    assert_eq!(names(&path), named(1..=3));
}

#[tokio::test]
async fn a_write_that_hangs_is_waited_for_and_never_repeated() {
    let path = folder("pipe").join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let mut sink = native(&path);
    // Nobody reads: opening it hangs.
    for _ in 0..3 {
        let hanging = timeout(Duration::from_millis(20), sink.once(&records(1..=1))).await;
        assert!(hanging.is_err());
    }
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
        text
    });
    deliver(&mut sink, &records(1..=2)).await;
    drop(sink);
    let text = reader.join().unwrap();
    assert_eq!(text.matches("\"username\":\"user1\"").count(), 1);
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn an_operators_mistakes_are_named_all_at_once() {
    let (_, _, problems) = configured(
        "file",
        &[
            ("mode", text("x")),
            ("format", text("jason")),
            ("pattern", text("%(massage)s")),
            ("rotate_when", text("noon")),
            ("paht", text("/x")),
        ],
    );
    for part in [
        "sink.test.path: expected the path of a file",
        "sink.test.mode: expected one of \"a\", \"w\", found \"x\"",
        "sink.test.format: expected one of",
        "perhaps %(message)",
        "sink.test.rotate_when: expected S, M, H, D, midnight, or W0 to W6, found \"noon\"",
        "warning: sink.test.paht: unknown key (did you mean \"path\"?)",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
    }
    assert_eq!(problems.len(), 6);
}
