//! Follows a file that another program appends to, as `tail -F` does.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    task::{Context, Poll},
    time::Duration,
};

use haldane_core::{Sighting, sensor::LINE};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::kinds::{BLIND, SEES};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Looks at a file that was moved away, after its last line, before its successor is read: its writer may not know yet.
const FAREWELL: u32 = 8;
/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;
/// Chunks without the end of a line that are read in one look.
const CHUNKS: usize = 64;
/// `O_NONBLOCK` of Linux: a named pipe without a writer must not stop us when it is opened.
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();

/// A file, and how far it was read.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    file: Option<Open>,
    /// The beginning of a line whose end is still missing.
    partial: Vec<u8>,
    /// The line goes on, but is too long: the rest of it is skipped.
    skipping: bool,
    lines: VecDeque<Vec<u8>>,
    given: Vec<u8>,
    ticks: Option<Interval>,
    /// What is the matter, as it was told last; `None`: nothing.
    told: Option<String>,
    trouble: Option<String>,
}

#[derive(Debug)]
struct Open {
    file: File,
    identity: (u64, u64),
    at: u64,
    /// Looks without a line since it was moved away.
    quiet: u32,
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
        let about = file.metadata()?;
        match about.is_file() {
            true => Ok(Self { file, identity: (about.dev(), about.ino()), at: 0, quiet: 0 }),
            false => Err(io::Error::other("it is not a file")),
        }
    }
}

impl Tail {
    /// Begins at the end of the file. If it does not exist, it will be read from its beginning once it does.
    pub fn open(path: &Path) -> Self {
        let mut tail = Self {
            path: path.to_owned(),
            file: None,
            partial: Vec::new(),
            skipping: false,
            lines: VecDeque::new(),
            given: Vec::new(),
            ticks: None,
            told: None,
            trouble: None,
        };
        tail.find();
        if let Some(open) = &mut tail.file {
            open.at = open.file.seek(SeekFrom::End(0)).unwrap_or_default();
        }
        tail
    }

    /// Ready when it is time to look, and while there are lines.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(LOOK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let tick = ticks.poll_tick(cx).map(|_| ());
        if self.lines.is_empty() { tick } else { Poll::Ready(()) }
    }

    /// The next line.
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.lines.is_empty() {
            self.look();
        }
        self.given = self.lines.pop_front()?;
        Some(&self.given)
    }

    /// That it cannot be read, or can again; each told once.
    pub(super) fn news(&mut self) -> Option<Sighting> {
        if self.trouble == self.told {
            return None;
        }
        self.told.clone_from(&self.trouble);
        let kind = if self.told.is_some() { &BLIND } else { &SEES };
        let file = self.path.to_string_lossy().into_owned();
        Some(Sighting::of(kind).with("feed", file).with("why", self.told.clone()))
    }

    /// Reads on. At the end of a file that has been moved away, goes over to its successor.
    fn look(&mut self) {
        if self.file.is_none() {
            self.find();
        }
        // A line may be longer than a chunk; one without end must not keep us here.
        for _ in 0..CHUNKS {
            let read = self.read();
            if read > 0 && !self.lines.is_empty() {
                return;
            }
            if read == 0 {
                break;
            }
        }
        if !self.successor() {
            return;
        }
        let Some(open) = &mut self.file else { return };
        open.quiet = open.quiet.saturating_add(1);
        if open.quiet >= FAREWELL {
            self.end_line();
            self.file = None;
            self.find();
            self.read();
        }
    }

    fn find(&mut self) {
        let found = Open::new(&self.path);
        self.trouble = match &found {
            Ok(_) => None,
            // It may not have been written yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(format!("cannot read {}: {error}", self.path.display())),
        };
        self.file = found.ok();
    }

    /// Whether another file has its name now.
    fn successor(&self) -> bool {
        let Some(open) = &self.file else { return false };
        std::fs::metadata(&self.path).is_ok_and(|about| (about.dev(), about.ino()) != open.identity)
    }

    /// Takes up to a chunk; returns how many bytes that was.
    fn read(&mut self) -> usize {
        let Some(open) = &mut self.file else { return 0 };
        let size = open.file.metadata().map_or(0, |about| about.len());
        if size < open.at {
            // Truncated: its copy has what was there.
            self.partial.clear();
            self.skipping = false;
            open.at = open.file.seek(SeekFrom::Start(0)).unwrap_or_default();
        }
        let mut chunk = vec![0; CHUNK];
        let length = open.file.read(&mut chunk).unwrap_or_default();
        open.at = open.at.saturating_add(u64::try_from(length).unwrap_or_default());
        open.quiet = if length > 0 { 0 } else { open.quiet };
        let mut rest = chunk.get(..length).unwrap_or_default();
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.append(line);
            self.end_line();
            rest = after.get(1..).unwrap_or_default();
        }
        self.append(rest);
        length
    }

    fn append(&mut self, part: &[u8]) {
        if !self.skipping {
            let room = LINE.saturating_sub(self.partial.len());
            self.partial.extend_from_slice(part.get(..room).unwrap_or(part));
            self.skipping = part.len() > room;
        }
    }

    fn end_line(&mut self) {
        self.skipping = false;
        let mut line = std::mem::take(&mut self.partial);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            self.lines.push_back(line);
        }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
