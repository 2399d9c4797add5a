//! Hours of the day and days of the week, in the time zone of this machine.

use std::time::SystemTime;

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};

use crate::Section;

/// Some hours of some days, until some day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// From, to; over midnight if the second is earlier.
    hours: Option<(Time, Time)>,
    /// Empty: every day.
    days: Vec<Weekday>,
    /// Not from then on.
    until: Option<SystemTime>,
}

/// Days as they are written, Monday first.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl Window {
    /// Reads `hours`, `days` and `until`.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let hours = section
            .optional("hours", "Hours of the day, local time, as in \"22:00-06:00\".")
            .and_then(|text| {
                let hours = text.split_once('-').and_then(|(from, to)| Some((clock(from)?, clock(to)?)));
                if hours.is_none() {
                    section.invalid("hours", "expected two times, as in \"22:00-06:00\"");
                }
                hours
            });
        let mut days = Vec::new();
        for word in section.list("days", &[], "Days of the week, as in [\"sat\", \"sun\"] or [\"mon-fri\"].")
        {
            match range(&word) {
                Some(found) => days.extend(found),
                None => section.invalid("days", "expected days such as \"sat\" or \"mon-fri\""),
            }
        }
        let until = section.optional("until", "The rule ends then: a date (2026-12-31) or a time.").and_then(
            |text| {
                let until = moment(text.trim());
                if until.is_none() {
                    section.invalid(
                        "until",
                        "expected a date such as 2026-12-31, or a time such as 2026-12-31T18:00",
                    );
                }
                until
            },
        );
        Self { hours, days, until }
    }

    /// The hours between two times, every day: `22:00-06:00`.
    pub fn of_hours(text: &str) -> Option<Self> {
        Some(Self { hours: Some(hours(text)?), ..Self::default() })
    }

    /// Whether it is no window at all, but for its end.
    pub fn is_always(&self) -> bool {
        self.hours.is_none() && self.days.is_empty()
    }

    /// Whether that moment is in it.
    pub fn holds(&self, at: SystemTime) -> bool {
        if self.until.is_some_and(|until| at >= until) {
            return false;
        }
        if self.is_always() {
            return true;
        }
        let Ok(at) = Timestamp::try_from(at) else { return false };
        let at = at.to_zoned_datetime(TimeZone::system());
        let mut day = at.weekday();
        if let Some((from, to)) = self.hours {
            let time = at.time();
            let over_midnight = to <= from;
            let early = over_midnight && time < to;
            if !(early || (time >= from && (over_midnight || time < to))) {
                return false;
            }
            if early {
                // The night belongs to the day on which it began.
                day = day.previous();
            }
        }
        self.days.is_empty() || self.days.contains(&day)
    }
}

fn hours(text: &str) -> Option<(Time, Time)> {
    let (from, to) = text.split_once('-')?;
    Some((clock(from)?, clock(to)?))
}

/// `7:30`, `22:00` or `24:00`, which is midnight.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    if (hour, minute) == (24, 0) {
        return Some(Time::midnight());
    }
    Time::new(hour, minute, 0, 0).ok()
}

/// A day, or all from one to another.
fn range(word: &str) -> Option<Vec<Weekday>> {
    let day = |word: &str| {
        let word = word.trim().to_lowercase();
        DAYS.iter().position(|(name, _)| word.len() >= 3 && word.starts_with(name))
    };
    let (from, to) = match word.split_once('-') {
        Some((from, to)) => (day(from)?, day(to)?),
        None => (day(word)?, day(word)?),
    };
    let mut found = Vec::new();
    for (_, day) in DAYS.iter().cycle().skip(from).take(DAYS.len()) {
        found.push(*day);
        if DAYS.get(to).is_some_and(|(_, last)| last == day) {
            break;
        }
    }
    Some(found)
}

/// A date ends with itself: a rule until the 31st holds on the 30th, and no longer at midnight.
fn moment(text: &str) -> Option<SystemTime> {
    let local = |at: DateTime| TimeZone::system().to_timestamp(at).ok();
    let at = text.parse::<Timestamp>().ok();
    let at = at.or_else(|| text.parse::<DateTime>().ok().and_then(local));
    let at = at.or_else(|| text.parse::<Date>().ok().and_then(|day| local(day.into())))?;
    at.try_into().ok()
}
