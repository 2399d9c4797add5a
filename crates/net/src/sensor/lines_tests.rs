use std::{
    fs::{OpenOptions, remove_file, rename, write},
    io::Write,
    os::unix::fs::symlink,
};

use super::*;

struct Log {
    folder: tempfile::TempDir,
    tail: Tail,
}

impl Log {
    fn new(content: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        if let Some(content) = content {
            write(&path, content).unwrap();
        }
        let tail = Tail::open(&path);
        Self { folder, tail }
    }

    fn append(&self, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join("log");
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.tail.next() {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
        lines
    }
}

#[test]
fn what_was_there_before_is_passed_over_and_what_is_appended_is_read() {
    let mut log = Log::new(Some("old\n"));
    assert_eq!(log.lines(), [""; 0]);
    log.append("one\r\ntwo\n");
    assert_eq!(log.lines(), ["one", "two"]);
}

#[test]
fn a_line_counts_once_it_has_its_end() {
    let mut log = Log::new(Some(""));
    log.append("hal");
    assert_eq!(log.lines(), [""; 0]);
    log.append("f\n");
    assert_eq!(log.lines(), ["half"]);
}

#[test]
fn a_file_that_comes_later_is_read_from_its_beginning() {
    let mut log = Log::new(None);
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(log.tail.news(), None, "it may come");
    log.append("first\n");
    assert_eq!(log.lines(), ["first"]);
}

#[test]
fn nothing_is_lost_when_the_file_is_renamed_and_made_anew() {
    let mut log = Log::new(Some(""));
    log.append("one\ntail without an end");
    let path = log.folder.path().join("log");
    rename(&path, log.folder.path().join("log.1")).unwrap();
    // The writer still has the old file.
    assert_eq!(log.lines(), ["one"]);
    let mut old = OpenOptions::new().append(true).open(log.folder.path().join("log.1")).unwrap();
    old.write_all(b", late\n").unwrap();
    log.append("two\n");
    assert_eq!(log.lines(), ["tail without an end, late"]);
    let looks = (0..=FAREWELL).find_map(|_| log.lines().pop());
    assert_eq!(looks.as_deref(), Some("two"));
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let mut log = Log::new(Some("a long line that is longer than what follows\n"));
    log.append("more\n");
    assert_eq!(log.lines(), ["more"]);
    write(log.folder.path().join("log"), "short\n").unwrap();
    assert_eq!(log.lines(), ["short"]);
}

#[test]
fn a_line_without_bounds_is_cut_and_the_next_one_whole() {
    let mut log = Log::new(Some(""));
    log.append(vec![b'x'; 3 * LINE]);
    log.append("\nnext\n");
    let lines = log.lines();
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LINE, 4]);
}

#[test]
fn what_is_no_file_is_told_once_and_that_it_came_back_once() {
    let mut log = Log::new(None);
    let path = log.folder.path().join("log");
    symlink("/dev", &path).unwrap();
    assert_eq!(log.lines(), [""; 0]);
    let news = log.tail.news().unwrap();
    assert_eq!(news.kind, &BLIND);
    assert_eq!(log.tail.news(), None);
    remove_file(&path).unwrap();
    log.append("seen\n");
    assert_eq!(log.lines(), ["seen"]);
    assert_eq!(log.tail.news().unwrap().kind, &SEES);
}
