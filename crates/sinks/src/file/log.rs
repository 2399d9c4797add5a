//! The open file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use haldane_core::section::show_bytes;
use jiff::Timestamp;

use super::rotation::Rotation;
use crate::{
    Failure,
    desk::{Put, write_lines},
    step::step,
};

/// A path and, most of the time, the open file that it names.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Whether it is emptied when it is opened first.
    empty: bool,
    rotation: Rotation,
    open: Option<Open>,
    /// Renaming failed; it is tried again after that.
    rename_after: Option<Timestamp>,
    clock: fn() -> Timestamp,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// It is a file, neither a pipe nor a device: it can be cut and renamed.
    regular: bool,
    size: u64,
    due: Option<Timestamp>,
}

impl Log {
    pub(super) fn new(path: PathBuf, empty: bool, rotation: Rotation) -> Self {
        Self { path, empty, rotation, open: None, rename_after: None, clock: Timestamp::now }
    }

    /// Opens the file unless it is open and still what the path names.
    fn ensure_open(&mut self) -> Result<(), Failure> {
        let named = fs::metadata(&self.path).ok().map(|named| (named.dev(), named.ino(), named.len()));
        match (&mut self.open, named) {
            (Some(open), Some((dev, ino, size))) if open.identity == (dev, ino) => {
                // Whoever copies and truncates leaves the file in its place.
                open.size = size;
                return Ok(());
            }
            _ => self.open = None,
        }
        let opened = self.open_now().map_err(|error| Failure::later(self.cannot("open", &error)))?;
        step(format_args!("opened {} for appending ({} bytes are in it)", self.path.display(), opened.size));
        self.open = Some(opened);
        self.empty = false;
        Ok(())
    }

    fn open_now(&self) -> io::Result<Open> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        let mut about = file.metadata()?;
        if about.is_file() && self.empty {
            file.set_len(0)?;
            about = file.metadata()?;
        }
        let now = (self.clock)();
        let mut size = about.len();
        let written = about.modified().ok().and_then(|at| Timestamp::try_from(at).ok());
        let began = written.filter(|_| size > 0).unwrap_or(now);
        if about.is_file() && ends_within_a_line(&self.path, size) {
            // A crash, of this program or of the machine, left half a line.
            file.write_all(b"\n")?;
            size = size.saturating_add(1);
        }
        let (identity, regular) = ((about.dev(), about.ino()), about.is_file());
        Ok(Open { file, identity, regular, size, due: self.rotation.due(began) })
    }

    /// Renames the file if it is time or if a line of that length would be too much, and opens a new one.
    fn rotate(&mut self, line: usize) -> Result<(), Failure> {
        let now = (self.clock)();
        let Some(open) = self.open.as_mut().filter(|open| open.regular) else { return Ok(()) };
        if open.size == 0 && open.due.is_some_and(|due| due <= now) {
            // Nothing to keep under the old date.
            open.due = self.rotation.due(now);
        }
        let line = u64::try_from(line).unwrap_or(u64::MAX);
        let too_large = self.rotation.size > 0
            && self.rotation.keep > 0
            && open.size > 0
            && open.size.saturating_add(line) > self.rotation.size;
        let due = open.due.filter(|due| *due <= now);
        let waits = self.rename_after.is_some_and(|after| now < after);
        let renamed = match due {
            _ if waits => return Ok(()),
            Some(due) => self.rotation.by_date(&self.path, due),
            None if too_large => self.rotation.by_size(&self.path),
            None => return Ok(()),
        };
        match renamed {
            Ok(()) => {
                self.rename_after = None;
                self.ensure_open()
            }
            Err(error) => {
                // Too large a file is better than no file.
                tracing::warn!(path = %self.path.display(), %error, "cannot rename the log file; it goes on growing");
                self.rename_after = now.checked_add(jiff::SignedDuration::from_secs(60)).ok();
                Ok(())
            }
        }
    }

    /// How many of these lines fit before the file is to be renamed; at least one.
    fn fit(&self, lines: &[String]) -> usize {
        let Some(open) = self.open.as_ref().filter(|open| open.regular && self.rotation.size > 0) else {
            return lines.len();
        };
        let mut size = open.size;
        let fits = lines.iter().take_while(|line| {
            size = size.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            size <= self.rotation.size
        });
        fits.count().max(1)
    }

    /// Appends, and takes back what is left of a line that could not be written whole.
    fn append(&mut self, lines: &[String]) -> (usize, Result<(), Failure>) {
        let Some(open) = &mut self.open else { return (0, Ok(())) };
        let written = write_lines(&mut open.file, lines);
        let whole: usize = lines.iter().take(written.whole).map(String::len).sum();
        open.size = open.size.saturating_add(u64::try_from(whole).unwrap_or(u64::MAX));
        let Some(error) = written.error else { return (written.whole, Ok(())) };
        if written.torn > 0 && open.regular {
            let torn = u64::try_from(written.torn).unwrap_or(u64::MAX);
            let length = open.file.metadata().map(|about| about.len());
            // Unless somebody else appended meanwhile; opening it again then ends the half line.
            if let Some(whole) = length.ok().and_then(|length| length.checked_sub(torn)) {
                let _ = open.file.set_len(whole);
            }
        }
        let why = self.cannot("write to", &error);
        self.open = None;
        (written.whole, Err(Failure::later(why)))
    }

    fn cannot(&self, what: &str, error: &io::Error) -> String {
        let path = self.path.display();
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        match (error.kind(), folder) {
            (ErrorKind::NotFound, Some(folder)) if !folder.exists() => {
                format!("cannot {what} {path}: there is no folder {}", folder.display())
            }
            (ErrorKind::PermissionDenied, _) => format!(
                "cannot {what} {path}: permission denied; the user that this program runs as must be allowed to \
                 write there"
            ),
            (ErrorKind::StorageFull, _) => format!("cannot {what} {path}: the disk is full"),
            (ErrorKind::FileTooLarge, _) => {
                format!("cannot {what} {path}: larger than allowed ({})", show_bytes(self.size()))
            }
            _ => format!("cannot {what} {path}: {error}"),
        }
    }

    fn size(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.size)
    }
}

impl Put for Log {
    fn put(&mut self, lines: &[String]) -> (usize, Result<(), Failure>) {
        let mut done = 0_usize;
        if let Err(failure) = self.ensure_open() {
            return (done, Err(failure));
        }
        while let Some(rest) = lines.get(done..).filter(|rest| !rest.is_empty()) {
            if let Err(failure) = self.rotate(rest.first().map_or(0, String::len)) {
                return (done, Err(failure));
            }
            let fits = self.fit(rest);
            let (whole, outcome) = self.append(rest.get(..fits).unwrap_or(rest));
            done = done.saturating_add(whole);
            if outcome.is_err() {
                return (done, outcome);
            }
        }
        (done, Ok(()))
    }
}

/// Whether the last byte of the file is no line feed. A file that must not be read is taken to be in order.
fn ends_within_a_line(path: &Path, size: u64) -> bool {
    let Some(last) = size.checked_sub(1) else { return false };
    let mut byte = [0];
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(last))?;
        file.read_exact(&mut byte)
    });
    read.is_ok() && byte != *b"\n"
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use jiff::ToSpan;

    use super::{super::rotation::When, *};

    thread_local! {
        static HOURS: Cell<i64> = const { Cell::new(0) };
    }

    /// Hours after midnight of a day that has not come yet, so that what the file system says is older.
    fn clock() -> Timestamp {
        let begin: Timestamp = "2200-01-01T00:00:00Z".parse().unwrap();
        begin.checked_add(HOURS.get().hours()).unwrap()
    }

    fn listed(folder: &Path) -> Vec<(String, String)> {
        let entry = |entry: io::Result<fs::DirEntry>| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        };
        let mut listed: Vec<_> = fs::read_dir(folder).unwrap().map(entry).collect();
        listed.sort();
        listed
    }

    #[test]
    fn a_file_is_renamed_by_date_and_the_oldest_are_deleted() {
        let folder = std::env::temp_dir().join(format!("haldane-rotation-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.log.1999-01-01"), "old\n").unwrap();
        fs::write(folder.join("a.log.txt"), "another's\n").unwrap();
        let rotation =
            Rotation { size: 0, when: When::parse("midnight", 1), keep: 2, zone: jiff::tz::TimeZone::UTC };
        let mut log = Log { clock, ..Log::new(folder.join("a.log"), false, rotation) };
        let mut put = |hours: i64, line: &str| {
            HOURS.set(hours);
            assert_eq!(log.put(&[format!("{line}\n")]), (1, Ok(())));
        };
        put(1, "a");
        put(23, "b");
        put(24, "c");
        // Nothing was written for days: the file has the date of what is in it.
        put(100, "d");
        put(101, "e");
        put(125, "f");
        let is = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let expected = [
            is("a.log", "f\n"),
            is("a.log.2200-01-02", "c\n"),
            is("a.log.2200-01-05", "d\ne\n"),
            is("a.log.txt", "another's\n"),
        ];
        assert_eq!(listed(&folder), expected);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_date_that_is_taken_gets_a_number() {
        let folder = std::env::temp_dir().join(format!("haldane-taken-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a.log.2200-01-01"), "evidence\n").unwrap();
        let rotation =
            Rotation { size: 0, when: When::parse("midnight", 1), keep: 0, zone: jiff::tz::TimeZone::UTC };
        let mut log = Log { clock, ..Log::new(folder.join("a.log"), false, rotation) };
        for hours in [1, 25] {
            HOURS.set(hours);
            assert_eq!(log.put(&[format!("{hours}\n")]), (1, Ok(())));
        }
        let names: Vec<_> = listed(&folder).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.log", "a.log.2200-01-01", "a.log.2200-01-01.1"]);
        fs::remove_dir_all(folder).unwrap();
    }
}
