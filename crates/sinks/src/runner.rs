//! One task for each sink, one cursor for each sink: a dead sink delays nobody but itself, and gets everything
//! later, in order.
//!
//! The journal is the queue. A delivery that succeeds moves the cursor; one that fails is tried again after a
//! while that doubles; what the receiver refuses for good is buried, alone, and the rest goes on.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{Health, Journal, Page, Record, Untrusted};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    Failure, Sink,
    delivery::Delivery,
    hearing::{Clock, Ear, Verdict, masked},
    sink::Signals,
};

/// Delivers from the sink's cursor on until stopped.
pub async fn run<S: Sink>(sink: S, delivery: Delivery, journal: Arc<dyn Journal>, signals: Signals) {
    let cursor = journal.cursor(&delivery.name);
    let health = Health { up: true, why: "".into(), since: now(), delivered: 0, refused: 0 };
    let runner = Runner {
        sink,
        delivery,
        journal,
        signals,
        ahead: cursor,
        cursor,
        saved: cursor,
        ear: Ear::default(),
        health,
        reported: None,
        back_off: FIRST_WAIT,
        busy: false,
        noted: Instant::now(),
        deadline: None,
    };
    runner.run().await;
}

struct Runner<S> {
    sink: S,
    delivery: Delivery,
    journal: Arc<dyn Journal>,
    signals: Signals,
    /// Everything up to there was looked at.
    ahead: u64,
    /// Everything up to there is told: the same, unless something is owed (see [`crate::hearing`]).
    cursor: u64,
    /// The cursor that the journal knows.
    saved: u64,
    ear: Ear,
    health: Health,
    /// The health that the journal knows; none before the first delivery.
    reported: Option<Health>,
    back_off: Duration,
    /// Something was delivered since the sink was last told to be idle.
    busy: bool,
    /// When cursor and health were last given to the journal.
    noted: Instant,
    /// Set once the end has come: nothing goes on after it.
    deadline: Option<Instant>,
}

/// What came of a delivery.
enum Outcome {
    Delivered,
    Failed(Failure),
    /// The program ends and the time for it is used up.
    CutOff,
}

/// What to do next.
enum Next {
    /// Look again: there may be more.
    Again,
    /// Look again after that time; the sink failed, or the journal holds a record back.
    After(Duration),
    /// Nothing to do until the journal grows, or so much time has passed.
    Sleep(Option<Duration>),
    /// Time is up.
    End,
}

impl<S: Sink> Runner<S> {
    async fn run(mut self) {
        while !self.signals.stop.is_cancelled() {
            // Taken before the journal is read, so that what is appended meanwhile wakes us.
            let last = *self.signals.grown.borrow_and_update();
            match self.step(last).await {
                // A sink that never waits must not keep the others from running.
                Next::Again => tokio::task::yield_now().await,
                Next::After(wait) => self.wait(Some(wait), false).await,
                Next::Sleep(wait) => self.wait(wait, true).await,
                Next::End => return self.part().await,
            }
        }
        self.drain().await;
        self.part().await;
    }

    /// Reads one page and delivers it.
    async fn step(&mut self, last: u64) -> Next {
        if self.signals.reopen.has_changed().unwrap_or(false) {
            self.signals.reopen.mark_unchanged();
            self.sink.reopen();
        }
        if let Some(next) = self.tell_of_numbers().await {
            return next;
        }
        // What is counted or waits is decided one by one.
        let most = if self.delivery.hearing.is_plain() { self.delivery.batch } else { 1 };
        let page = match self.journal.after(self.ahead, most, &self.delivery.wants) {
            Ok(page) => page,
            Err(why) => return self.failed(format!("cannot read the event store: {why}"), None),
        };
        if page.records.is_empty() {
            return match page.next > self.ahead {
                true => {
                    self.looked(page.next);
                    Next::Again
                }
                false if last > self.ahead => Next::After(HELD_BACK),
                false => self.caught_up().await,
            };
        }
        let mut ear = self.ear.clone();
        let records = self.heard(&mut ear, &page);
        if records.is_empty() {
            self.ear = ear;
            self.moved(page.next);
            return Next::Again;
        }
        self.busy = true;
        match self.deliver(&records).await {
            Outcome::Delivered => {
                self.ear = ear;
                self.delivered(records.len(), page.next);
                Next::Again
            }
            Outcome::Failed(Failure::Later { why, after }) => self.failed(why, after),
            Outcome::Failed(Failure::Refused(why)) => self.refused(&records, page.next, ear, why).await,
            Outcome::CutOff => Next::End,
        }
    }

    /// Those of the page that are told now, as this sink is to see them.
    fn heard(&self, ear: &mut Ear, page: &Page) -> Vec<Record> {
        let hearing = &self.delivery.hearing;
        let (clock, mut before) = (clock(), self.ahead);
        let mut told = Vec::new();
        for record in &page.records {
            if ear.judge(hearing, before, record, clock) == Verdict::Tell {
                told.push(if hearing.masks() { masked(record) } else { record.clone() });
            }
            before = record.seq;
        }
        told
    }

    /// What was counted and is due, and the end of quiet hours. `None`: there is nothing of that.
    async fn tell_of_numbers(&mut self) -> Option<Next> {
        let clock = clock();
        if let Some(from) = self.ear.rewind(&self.delivery.hearing, clock) {
            self.ahead = from;
            return Some(Next::Again);
        }
        let mut ear = self.ear.clone();
        let summary = ear.summary(&self.delivery.hearing, clock)?;
        self.busy = true;
        Some(match self.deliver(std::slice::from_ref(&summary)).await {
            Outcome::Delivered => {
                self.ear = ear;
                self.delivered(1, self.ahead);
                Next::Again
            }
            Outcome::Failed(Failure::Later { why, after }) => self.failed(why, after),
            Outcome::Failed(Failure::Refused(why)) => {
                self.bury(&summary, &why);
                self.ear = ear;
                self.moved(self.ahead);
                Next::Again
            }
            Outcome::CutOff => Next::End,
        })
    }

    /// One call of the sink, within its time limit, and cut off soon after the program is to end.
    async fn deliver(&mut self, records: &[Record]) -> Outcome {
        let limit = self.delivery.timeout;
        let (stop, deadline) = (self.signals.stop.clone(), self.deadline);
        let cut_off = async {
            stop.cancelled().await;
            sleep_until(deadline.unwrap_or_else(|| soon(GRACE))).await;
        };
        tokio::select! {
            biased;
            outcome = timeout(limit, self.sink.deliver(records)) => match outcome {
                Ok(Ok(())) => Outcome::Delivered,
                Ok(Err(failure)) => Outcome::Failed(failure),
                Err(_) => Outcome::Failed(Failure::later(format!("no answer within {limit:?}"))),
            },
            () = cut_off => Outcome::CutOff,
        }
    }

    /// A refused batch is tried record by record, so that only the guilty one is buried. `ear`: once all of it is
    /// settled.
    async fn refused(&mut self, records: &[Record], next: u64, ear: Ear, why: String) -> Next {
        if let [record] = records {
            self.bury(record, &why);
            self.ear = ear;
            self.moved(next);
            return Next::Again;
        }
        for record in records {
            match self.deliver(std::slice::from_ref(record)).await {
                Outcome::Delivered => self.delivered(1, record.seq),
                Outcome::Failed(Failure::Refused(why)) => {
                    self.bury(record, &why);
                    self.moved(record.seq);
                }
                Outcome::Failed(Failure::Later { why, after }) => return self.failed(why, after),
                Outcome::CutOff => return Next::End,
            }
        }
        self.ear = ear;
        self.moved(next);
        Next::Again
    }

    fn delivered(&mut self, records: usize, next: u64) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.health.delivered = self.health.delivered.saturating_add(records);
        self.back_off = FIRST_WAIT;
        self.moved(next);
        self.turned(true, "");
    }

    fn failed(&mut self, why: String, after: Option<Duration>) -> Next {
        let wait = after.map_or(self.back_off, |wish| wish.clamp(FIRST_WAIT, LONGEST_WISH));
        self.back_off = self.back_off.saturating_mul(2).min(LONGEST_WAIT);
        self.turned(false, &why);
        Next::After(wait)
    }

    fn bury(&mut self, record: &Record, why: &str) {
        self.journal.bury(&self.delivery.name, record.seq, why);
        self.health.refused = self.health.refused.saturating_add(1);
        self.back_off = FIRST_WAIT;
        self.turned(false, why);
    }

    /// Everything up to there is done with, or owed.
    fn moved(&mut self, ahead: u64) {
        self.looked(ahead);
        self.save();
    }

    fn looked(&mut self, ahead: u64) {
        self.ahead = self.ahead.max(ahead);
        self.cursor = self.cursor.max(self.ear.settled(self.ahead));
    }

    fn save(&mut self) {
        if self.saved != self.cursor {
            self.journal.save(&self.delivery.name, self.cursor);
            self.saved = self.cursor;
        }
    }

    /// Notes how the sink is now; at once if that is news.
    fn turned(&mut self, up: bool, why: &str) {
        let before = self.reported.as_ref().map(|health| health.up);
        if before != Some(up) {
            self.health.since = now();
        }
        self.health.up = up;
        if up != before.unwrap_or(true) || (!up && *self.health.why != *why) {
            let (name, why) = (&self.delivery.name, Untrusted::from(why));
            match up {
                true => tracing::info!(sink = %name, "sink works again"),
                false => tracing::warn!(sink = %name, "sink fails: {why}"),
            }
        }
        // The last failure stays readable when the sink works again.
        if !up && *self.health.why != *why {
            self.health.why = why.into();
        }
        if before != Some(up) || self.noted.elapsed() >= NOTE_EVERY {
            self.note();
        }
    }

    /// Gives the journal what it does not know yet.
    fn note(&mut self) {
        self.save();
        if self.reported.as_ref() != Some(&self.health) && self.health_is_known() {
            self.journal.health(&self.delivery.name, &self.health);
            self.reported = Some(self.health.clone());
        }
        self.noted = Instant::now();
    }

    fn health_is_known(&self) -> bool {
        !self.health.up || self.health.delivered > 0
    }

    fn something_to_note(&self) -> bool {
        let health = self.health_is_known() && self.reported.as_ref() != Some(&self.health);
        health || self.saved != self.cursor
    }

    async fn caught_up(&mut self) -> Next {
        if std::mem::take(&mut self.busy) {
            let limit = if self.deadline.is_some() { PARTING } else { self.delivery.timeout };
            let _ = timeout(limit, self.sink.idle()).await;
        }
        Next::Sleep(self.ear.due(&self.delivery.hearing, clock()))
    }

    /// Waits that long, if it is said; with `grown`, also until there is more. In between, sees to what comes up.
    async fn wait(&mut self, wait: Option<Duration>, grown: bool) {
        let end = wait.map(soon);
        loop {
            let note = self.something_to_note().then(|| self.noted.checked_add(NOTE_EVERY)).flatten();
            tokio::select! {
                biased;
                () = self.signals.stop.cancelled() => return,
                Ok(()) = self.signals.reopen.changed() => {
                    self.sink.reopen();
                    // The operator did something: no need to wait any longer.
                    if wait.is_some() {
                        return;
                    }
                }
                () = sleep_until(note.unwrap_or_else(Instant::now)), if note.is_some() => self.note(),
                () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => return,
                Ok(()) = self.signals.grown.changed(), if grown => return,
            }
        }
    }

    /// Delivers what is there if the sink works, for a bounded time.
    async fn drain(&mut self) {
        self.deadline = Some(soon(DRAIN));
        while self.health.up && self.deadline.is_some_and(|end| Instant::now() < end) {
            let last = self.ahead;
            match self.step(last).await {
                Next::Again => {}
                Next::After(_) | Next::Sleep(_) | Next::End => break,
            }
        }
    }

    /// Leaves all in order.
    async fn part(mut self) {
        if self.busy {
            let _ = timeout(PARTING, self.sink.idle()).await;
        }
        self.note();
    }
}

/// The wall clock, which no session may read: sinks are no sessions.
#[expect(clippy::disallowed_methods, reason = "when a sink failed is no part of a replayed session")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn clock() -> Clock {
    Clock { at: Instant::now(), wall: now() }
}

fn soon(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now)
}

/// Before the second attempt.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Between attempts, at most: an hour of failing costs sixty calls, and a receiver that is back waits a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a receiver may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(600);
/// The journal holds a record back while its credentials are verified: that takes some tenths of a second.
const HELD_BACK: Duration = Duration::from_millis(100);
/// How often counters, and cursors that moved over unwanted records, go to the journal.
const NOTE_EVERY: Duration = Duration::from_secs(2);
/// For the delivery under way when the program is to end.
const GRACE: Duration = Duration::from_secs(2);
/// For what is there when the program is to end: five seconds in all.
const DRAIN: Duration = Duration::from_secs(3);
/// For a farewell to the receiver.
const PARTING: Duration = Duration::from_secs(1);
