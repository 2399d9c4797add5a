//! What one sink has heard and not told yet.

use std::{
    collections::{BTreeSet, VecDeque},
    time::{Duration, SystemTime},
};

use haldane_core::{Class, Event, Record, Severity, Value};
use jiff::{Timestamp, ToSpan, civil::Time, tz::TimeZone};
use tokio::time::Instant;
use uuid::Uuid;

use super::{DIGEST, Digest, Hearing, Rate, SUPPRESSED, filter::Extent, tally::Tally};

/// Messages sent out of turn that are remembered, so that they are not sent again after quiet hours.
const MOST_AHEAD: usize = 10_000;

/// Both clocks: one that only goes on, one that people read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) at: Instant,
    pub(crate) wall: SystemTime,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent now.
    Tell,
    /// It is none of this sink's, or was sent already.
    Pass,
    /// It is counted, and the number is told later.
    Count,
    /// It is sent later, by itself.
    Wait,
}

/// The state of one sink. A copy is changed and kept only if what it decided was carried out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ear {
    told: VecDeque<Instant>,
    told_critical: VecDeque<Instant>,
    suppressed: Tally,
    gathered: Tally,
    digest_due: Option<SystemTime>,
    /// Quiet hours hold something back.
    waiting: bool,
    ahead: BTreeSet<u64>,
    /// The cursor from which something is still owed.
    owed_from: Option<u64>,
}

impl Ear {
    /// Decides about one record; `cursor` is the position before it.
    pub(crate) fn judge(&mut self, hearing: &Hearing, cursor: u64, record: &Record, clock: Clock) -> Verdict {
        let event = &record.event;
        if !wanted(hearing, event) || self.ahead.remove(&record.seq) {
            return Verdict::Pass;
        }
        let critical = event.severity == Severity::Critical;
        if !critical && quiet(hearing, clock) {
            self.waiting = true;
            self.owe(cursor);
            return Verdict::Wait;
        }
        if !critical && hearing.digest != Digest::Off {
            self.gathered.add(record);
            self.digest_due = self.digest_due.or_else(|| next(hearing.digest, clock.wall));
            self.owe(cursor);
            return Verdict::Count;
        }
        let Some(rate) = hearing.rate else { return self.tell(record) };
        let told = if critical { &mut self.told_critical } else { &mut self.told };
        if !has_room(told, rate, clock.at) || (!critical && !self.suppressed.is_empty()) {
            self.suppressed.add(record);
            self.owe(cursor);
            return Verdict::Count;
        }
        told.push_back(clock.at);
        self.tell(record)
    }

    /// Out of turn if something before it is owed.
    fn tell(&mut self, record: &Record) -> Verdict {
        if self.owed_from.is_some() && self.ahead.len() < MOST_AHEAD {
            self.ahead.insert(record.seq);
        }
        Verdict::Tell
    }

    fn owe(&mut self, cursor: u64) {
        self.owed_from.get_or_insert(cursor);
    }

    /// How far the sink has told everything, if it has read up to `ahead`.
    pub(crate) fn settled(&self, ahead: u64) -> u64 {
        self.owed_from.unwrap_or(ahead)
    }

    /// What is to be told of numbers now, if it is time.
    pub(crate) fn summary(&mut self, hearing: &Hearing, clock: Clock) -> Option<Record> {
        let id = Uuid::now_v7();
        let room = hearing.rate.is_none_or(|rate| has_room(&mut self.told, rate, clock.at));
        let quiet = quiet(hearing, clock);
        if !self.suppressed.is_empty() && room && (!quiet || self.suppressed.is_critical()) {
            let record = self.suppressed.record(&SUPPRESSED, id, clock.wall);
            self.suppressed = Tally::default();
            if hearing.rate.is_some() {
                self.told.push_back(clock.at);
            }
            self.pay();
            return Some(record);
        }
        let due = self.digest_due.is_some_and(|due| due <= clock.wall);
        if !self.gathered.is_empty() && due && !quiet {
            let record = self.gathered.record(&DIGEST, id, clock.wall);
            self.gathered = Tally::default();
            self.digest_due = None;
            self.pay();
            return Some(record);
        }
        None
    }

    fn pay(&mut self) {
        if self.suppressed.is_empty() && self.gathered.is_empty() && !self.waiting {
            self.owed_from = None;
            self.ahead.clear();
        }
    }

    /// Quiet hours are over and something waits: where to read again from.
    pub(crate) fn rewind(&mut self, hearing: &Hearing, clock: Clock) -> Option<u64> {
        if !self.waiting || quiet(hearing, clock) {
            return None;
        }
        self.waiting = false;
        let from = self.owed_from.take();
        // What was only counted is read again, too, and counted anew.
        self.suppressed = Tally::default();
        self.gathered = Tally::default();
        self.digest_due = None;
        from
    }

    /// How long until there is something to do, though nothing new comes.
    pub(crate) fn due(&self, hearing: &Hearing, clock: Clock) -> Option<Duration> {
        let quiet = quiet(hearing, clock);
        let held = quiet && !self.suppressed.is_critical();
        let room = match (hearing.rate, self.told.front()) {
            _ if self.suppressed.is_empty() => None,
            _ if held => Some(LOOK),
            (Some(rate), Some(oldest)) if self.told.len() >= rate.most => {
                Some(rate.per.saturating_sub(clock.at.saturating_duration_since(*oldest)))
            }
            _ => Some(Duration::ZERO),
        };
        let digest = self.digest_due.map(|due| due.duration_since(clock.wall).unwrap_or_default());
        // The clock may be set meanwhile: it is looked at again and again.
        let digest = digest.map(|wait| if quiet { LOOK } else { wait.min(LOOK) });
        let waiting = self.waiting.then_some(LOOK);
        let first = [room, digest, waiting].into_iter().flatten().min()?;
        Some(first.max(SOON))
    }
}

/// How often the wall clock is looked at while something waits for it.
const LOOK: Duration = Duration::from_secs(20);
/// The least wait: what is due cannot be told yet (quiet hours).
const SOON: Duration = Duration::from_millis(50);

fn quiet(hearing: &Hearing, clock: Clock) -> bool {
    hearing.quiet.as_ref().is_some_and(|quiet| quiet.holds(clock.wall))
}

fn wanted(hearing: &Hearing, event: &Event) -> bool {
    let nothing_new = event.fields.get("nothing_new") == Some(&Value::Bool(true));
    if nothing_new && event.kind.class == Class::Incident && !hearing.closings {
        return false;
    }
    hearing.only.as_ref().is_none_or(|only| only.fits(event, Extent::Some))
        && !hearing.except.as_ref().is_some_and(|except| except.fits(event, Extent::All))
}

fn has_room(told: &mut VecDeque<Instant>, rate: Rate, now: Instant) -> bool {
    while told.front().is_some_and(|oldest| now.saturating_duration_since(*oldest) >= rate.per) {
        told.pop_front();
    }
    told.len() < rate.most
}

/// The next full hour, or the next eight o'clock.
fn next(digest: Digest, now: SystemTime) -> Option<SystemTime> {
    let zoned = Timestamp::try_from(now).ok()?.to_zoned_datetime(TimeZone::system());
    let local = zoned.datetime();
    let due = match digest {
        Digest::Off => return None,
        Digest::Hourly => {
            let hour = local.date().to_datetime(Time::new(local.hour(), 0, 0, 0).ok()?);
            hour.checked_add(1.hour()).ok()?
        }
        Digest::Daily => {
            let eight = local.date().to_datetime(Time::new(8, 0, 0, 0).ok()?);
            if eight > local { eight } else { eight.checked_add(1.day()).ok()? }
        }
    };
    TimeZone::system().to_timestamp(due).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests;
