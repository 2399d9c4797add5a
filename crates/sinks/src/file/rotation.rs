//! When a file is renamed, and to what: as RotatingFileHandler and TimedRotatingFileHandler of Python's
//! logging.handlers do.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{Timestamp, ToSpan, ZonedDateTime, tz::TimeZone};

/// When to rename, and how much to keep.
#[derive(Debug, Clone)]
pub(super) struct Rotation {
    /// Bytes; 0: however large.
    pub(super) size: u64,
    pub(super) when: Option<When>,
    /// How many renamed files stay.
    pub(super) keep: usize,
    /// Whose midnight, and whose dates in the names.
    pub(super) zone: TimeZone,
}

/// Points in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// So many seconds after the last one. `stamp`: how much of its date is in the name.
    Every { seconds: i64, stamp: &'static str },
    /// At midnight, each so many days.
    Midnight { days: i64 },
    /// At the midnight that ends that day of the week (0: Monday), each so many weeks.
    Weekly { day: i8, weeks: i64 },
}

impl When {
    /// Reads `when` as Python's handler has it.
    pub(super) fn parse(when: &str, interval: u64) -> Option<Self> {
        let interval = i64::try_from(interval).ok()?;
        let every =
            |seconds: i64, stamp| Some(Self::Every { seconds: seconds.checked_mul(interval)?, stamp });
        match when.to_ascii_uppercase().as_str() {
            "S" => every(1, "%Y-%m-%d_%H-%M-%S"),
            "M" => every(60, "%Y-%m-%d_%H-%M"),
            "H" => every(3_600, "%Y-%m-%d_%H"),
            "D" => every(86_400, DAY),
            "MIDNIGHT" => Some(Self::Midnight { days: interval }),
            "W0" => Some(Self::Weekly { day: 0, weeks: interval }),
            "W1" => Some(Self::Weekly { day: 1, weeks: interval }),
            "W2" => Some(Self::Weekly { day: 2, weeks: interval }),
            "W3" => Some(Self::Weekly { day: 3, weeks: interval }),
            "W4" => Some(Self::Weekly { day: 4, weeks: interval }),
            "W5" => Some(Self::Weekly { day: 5, weeks: interval }),
            "W6" => Some(Self::Weekly { day: 6, weeks: interval }),
            _ => None,
        }
    }

    fn stamp(self) -> &'static str {
        match self {
            Self::Every { stamp, .. } => stamp,
            Self::Midnight { .. } | Self::Weekly { .. } => DAY,
        }
    }
}

impl Rotation {
    fn zoned(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.zone.clone())
    }

    /// When a file that was last written at `from` is due; `None` if never.
    pub(super) fn due(&self, from: Timestamp) -> Option<Timestamp> {
        let at = self.zoned(from);
        let midnight = |days: i64| {
            let day = at.checked_add(days.days()).ok()?.start_of_day().ok()?;
            Some(day.timestamp())
        };
        match self.when? {
            When::Every { seconds, .. } => from.checked_add(seconds.seconds()).ok(),
            When::Midnight { days } => midnight(days),
            When::Weekly { day, weeks } => {
                let today = at.weekday().to_monday_zero_offset();
                let ahead = i64::from(day.checked_sub(today)?.rem_euclid(7));
                let more = weeks.checked_sub(1)?.checked_mul(7)?;
                midnight(ahead.checked_add(1)?.checked_add(more)?)
            }
        }
    }

    /// The date in the name of a file that was due at `due`.
    fn stamp(&self, due: Timestamp) -> Option<String> {
        let when = self.when?;
        let interval = match when {
            When::Every { seconds, .. } => seconds,
            When::Midnight { days } => days.checked_mul(86_400)?,
            When::Weekly { weeks, .. } => weeks.checked_mul(7 * 86_400)?,
        };
        let began = due.checked_sub(interval.seconds()).ok()?;
        // The time on the wall counts: what began before the clocks were changed is an hour off.
        let summer = |at| self.zone.to_offset_info(at).dst().is_dst();
        let hour = match (summer(began), summer(due)) {
            (false, true) => 1,
            (true, false) => -1,
            _ => 0,
        };
        let began = began.checked_add(hour.hours()).ok()?;
        Some(self.zoned(began).strftime(when.stamp()).to_string())
    }

    /// Renames `path`, which was due at `due`, and deletes the oldest beyond what is kept. The date in the name
    /// is that of the beginning: `due`, less the interval.
    ///
    /// # Errors
    /// From the renaming. What cannot be deleted stays.
    pub(super) fn by_date(&self, path: &Path, due: Timestamp) -> io::Result<()> {
        let Some(stamp) = self.stamp(due) else { return Ok(()) };
        let mut name = with(path, &stamp);
        // Python deletes what is in the way; evidence is not ours to delete.
        let mut number = 0_u32;
        while name.exists() && number < 10_000 {
            number = number.saturating_add(1);
            name = with(path, &format!("{stamp}.{number}"));
        }
        fs::rename(path, name)?;
        if self.keep > 0 {
            let dated = dated(path)?;
            for old in dated.iter().take(dated.len().saturating_sub(self.keep)) {
                let _ = fs::remove_file(old);
            }
        }
        Ok(())
    }

    /// Renames `path` to `path.1`, that to `path.2` and so on; the last one goes.
    ///
    /// # Errors
    /// From the last renaming.
    pub(super) fn by_size(&self, path: &Path) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            let from = with(path, &number.to_string());
            if from.exists() {
                let _ = fs::rename(from, with(path, &number.saturating_add(1).to_string()));
            }
        }
        fs::rename(path, with(path, "1"))
    }
}

/// `path.suffix`.
fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(suffix);
    name.into()
}

/// The files that were renamed by date, the oldest first.
fn dated(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let mut found: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            let stamp = name.strip_prefix(stem)?.strip_prefix('.')?;
            is_date(stamp).then(|| (stamp.to_owned(), folder.join(&name)))
        })
        .collect();
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// `2026-11-24`, alone or followed by `_` or `.` and digits and dashes.
fn is_date(stamp: &str) -> bool {
    let (date, rest) = stamp.split_at_checked(10).unwrap_or((stamp, ""));
    let shape = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let tail = rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.'));
    date.len() == 10 && shape && tail && (rest.is_empty() || rest.starts_with(['_', '.']))
}

const DAY: &str = "%Y-%m-%d";

#[cfg(test)]
mod tests {
    use super::*;

    fn due(when: &str, interval: u64, from: &str) -> String {
        let when = When::parse(when, interval);
        let rotation = Rotation { size: 0, when, keep: 0, zone: TimeZone::UTC };
        rotation.due(from.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn times_are_those_of_pythons_handler() {
        // 2026-11-24 is a Tuesday.
        let from = "2026-11-24T10:20:30Z";
        assert_eq!(due("S", 5, from), "2026-11-24T10:20:35Z");
        assert_eq!(due("m", 5, from), "2026-11-24T10:25:30Z");
        assert_eq!(due("H", 1, from), "2026-11-24T11:20:30Z");
        assert_eq!(due("D", 2, from), "2026-11-26T10:20:30Z");
        assert_eq!(due("midnight", 1, from), "2026-11-25T00:00:00Z");
        assert_eq!(due("W1", 1, from), "2026-11-25T00:00:00Z");
        assert_eq!(due("W0", 1, from), "2026-12-01T00:00:00Z");
        assert_eq!(due("W6", 2, from), "2026-12-07T00:00:00Z");
        assert_eq!(When::parse("W7", 1), None);
        assert_eq!(When::parse("", 1), None);
    }

    /// Asks Python's own handler: prints, for each line of `when interval time`, when it is due and the name.
    const PYTHON: &str = r"
import logging.handlers, os, sys, time
for line in sys.stdin:
    when, interval, at, utc = line.split()
    handler = logging.handlers.TimedRotatingFileHandler('/nowhere/x', when, int(interval), delay=True, utc=utc == '1')
    handler.rolloverAt = due = handler.computeRollover(int(at))
    names = []
    handler.rotate = lambda source, name: names.append(name)
    logging.handlers.time.time, clock = lambda: due, time.time
    handler._open = lambda: None
    handler.doRollover()
    logging.handlers.time.time = clock
    print(due, names[0][len('/nowhere/x.'):])
";

    #[test]
    fn times_and_names_are_those_of_the_real_handler_on_days_of_23_and_25_hours_too() {
        use std::{
            io::Write,
            process::{Command, Stdio},
        };
        let names = ["S", "M", "H", "D", "midnight", "W0", "W1", "W2", "W3", "W4", "W5", "W6"];
        // From 2026-03-27 and 2026-10-23, each seven hours and some: over both changes of the clock.
        let times = [1_774_600_000_i64, 1_792_760_000].map(|start| (0..24).map(move |n| start + n * 25_321));
        let times: Vec<_> = times.into_iter().flatten().collect();
        let cases: Vec<_> = (0..2)
            .flat_map(|utc| names.map(|when| (utc, when)))
            .flat_map(|(utc, when)| times.iter().map(move |at| (utc, when, *at)))
            .map(|(utc, when, at)| (utc, when, if when.len() == 1 && when != "D" { 5 } else { 1 }, at))
            .collect();
        let python = Command::new("python3")
            .args(["-c", PYTHON])
            .env("TZ", "Europe/Berlin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut python) = python else {
            assert!(std::env::var_os("CI").is_none(), "no python3");
            return;
        };
        let mut input = python.stdin.take().unwrap();
        let asked: String =
            cases.iter().map(|(utc, when, interval, at)| format!("{when} {interval} {at} {utc}\n")).collect();
        let asking = std::thread::spawn(move || input.write_all(asked.as_bytes()).unwrap());
        let answers = String::from_utf8(python.wait_with_output().unwrap().stdout).unwrap();
        asking.join().unwrap();
        assert_eq!(answers.lines().count(), cases.len());
        for ((utc, when, interval, at), answer) in cases.into_iter().zip(answers.lines()) {
            let zone = if utc == 1 { TimeZone::UTC } else { TimeZone::get("Europe/Berlin").unwrap() };
            let rotation = Rotation { size: 0, when: When::parse(when, interval), keep: 0, zone };
            let due = rotation.due(Timestamp::from_second(at).unwrap()).unwrap();
            let ours = format!("{} {}", due.as_second(), rotation.stamp(due).unwrap());
            // Older versions of Python forget on the day itself that a day may have 23 or 25 hours.
            let ends_such_a_day = [1_774_821_600, 1_792_969_200].contains(&due.as_second());
            if utc == 0 && when.len() > 1 && ends_such_a_day {
                continue;
            }
            assert_eq!(ours, answer, "{when} {interval} from {at}, UTC {utc}");
        }
    }

    #[test]
    fn only_dates_are_taken_for_dates() {
        for stamp in ["2026-11-24", "2026-11-24_10", "2026-11-24_10-20-30", "2026-11-24.1"] {
            assert!(is_date(stamp), "{stamp}");
        }
        for stamp in ["", "1", "2026-11-2", "2026-11-24.gz", "2026-11-24x", "20261124", "2026-11-24_x"] {
            assert!(!is_date(stamp), "{stamp}");
        }
    }
}
