//! The thread that writes.
//!
//! One turn: wait for a batch or for something that is due, take all batches that wait, commit, tell the
//! peers' sessions, wake the sinks. While one commit runs, the next batches gather; if they are several, a moment
//! more is granted, so that load makes commits cheaper.

use std::{
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use haldane_core::{Batch, Event, Fields, Honeycred, Kind, News, Sighting};
use rusqlite::{Connection, params};
use tokio::{runtime::Runtime, sync::mpsc, time::Instant};
use uuid::Uuid;

use crate::{
    HOLD_BACK, Options, Process,
    incidents::{self, Keeping},
    kinds, now,
    retain::Retention,
    row, schema,
    shared::{Changes, Shared},
    tail::Lost,
};

/// Events in one commit: more would keep the first of them waiting for no gain, and take memory if they are large.
const MOST_EVENTS: usize = 128;
/// How long to wait for more, if the last turn found that several peers were at it.
const GATHER: Duration = Duration::from_micros(200);
/// Cursors and the like wait this long for a commit to ride along with.
const CHANGES_WAIT: Duration = Duration::from_millis(200);
/// While writing fails, the next attempt.
const RETRY: Duration = Duration::from_secs(1);
/// Events written at once when writing works again.
const CHUNK: usize = 1_000;
/// While credentials are being verified, sinks look again this often for what was held back.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// The pipeline has something due no sooner than that.
const TICK: Duration = Duration::from_millis(5);
/// Statements that are kept prepared.
const STATEMENTS: usize = 16;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    db: Connection,
    process: Process,
    queue: mpsc::Receiver<Batch>,
    runtime: Option<Runtime>,
    folder: PathBuf,
    durable: bool,
    retention: Retention,
    body: Vec<u8>,
    /// What the pipeline wants kept and is not on disk.
    keeping: Keeping,
    /// When to try again, while writing fails.
    failing: Option<Instant>,
    /// When to write changes if no events come.
    changes_due: Option<Instant>,
    /// Until when sinks may be waiting for a verdict, and when to wake them next.
    held_back: Option<(Instant, Instant)>,
    /// The database is not open: `db` is a stand-in.
    detached: bool,
    /// The last turn found more than one batch.
    crowded: bool,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        db: Connection,
        options: Options,
        process: Process,
        queue: mpsc::Receiver<Batch>,
    ) -> std::io::Result<Self> {
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Self {
            shared,
            db,
            process,
            queue,
            runtime: Some(runtime),
            retention: Retention::new(options.keep_for, options.max_size),
            folder: options.folder,
            durable: options.durable,
            body: Vec::new(),
            keeping: Keeping::default(),
            failing: None,
            changes_due: None,
            held_back: None,
            detached: false,
            crowded: false,
        })
    }

    /// Goes on with the incidents that were open, and tells what was found when opening: a damaged database, set aside;
    /// one that cannot be written, for which the connection is a stand-in.
    pub(crate) fn begin(&mut self, aside: Option<&Path>, unwritable: Option<String>) {
        if unwritable.is_none() {
            let (db, kinds, process) = (&self.db, &self.shared.kinds, &mut self.process);
            let restored = guarded(|| incidents::restore(db, kinds, process.as_mut()));
            if let Some(Err(error)) = restored {
                tracing::error!(%error, "incidents that were open are forgotten");
            }
        }
        if let Some(aside) = aside {
            self.write(vec![own(&kinds::REPLACED, replaced(aside))]);
        }
        if let Some(why) = unwritable {
            self.detached = true;
            self.fail(why);
        }
    }

    pub(crate) fn run(mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        while !self.shared.stopped() {
            let batch = runtime.block_on(self.next());
            self.turn(batch);
        }
        self.queue.close();
        while let Ok(batch) = self.queue.try_recv() {
            self.turn(Some(batch));
        }
        if self.failing.is_some() {
            self.resume();
        }
        if self.failing.is_none() {
            self.write(Vec::new());
        }
        let unsaved = self.shared.tail().unsaved();
        if unsaved > 0 {
            tracing::error!(unsaved, "events could not be written to disk and are lost");
        }
        if let Err(error) = self.db.pragma_update(None, "wal_checkpoint", "TRUNCATE") {
            tracing::debug!(%error, "no checkpoint at the end");
        }
    }

    /// Waits for a batch, for a wake-up, or until something is due.
    async fn next(&mut self) -> Option<Batch> {
        if self.crowded {
            // Under load, a moment's wait makes one commit of several; a lone event is never delayed.
            std::thread::sleep(GATHER);
        }
        if let Ok(batch) = self.queue.try_recv() {
            return Some(batch);
        }
        let due = self.due();
        tokio::select! {
            biased;
            batch = self.queue.recv() => batch,
            () = self.shared.wake.notified() => None,
            () = tokio::time::sleep_until(due) => None,
        }
    }

    /// The next turn comes then at the latest. While writing fails, nothing is deleted, so that is not waited for.
    fn due(&self) -> Instant {
        let nudge = self.held_back.map(|(_, next)| next);
        let retention = self.failing.is_none().then(|| self.retention.due());
        let least = if self.failing.is_some() { RETRY } else { TICK };
        let process = self.process.due().and_then(|due| {
            Instant::now().checked_add(due.duration_since(now()).unwrap_or_default().max(least))
        });
        let due = [self.failing, self.changes_due, nudge, retention, process].into_iter().flatten().min();
        due.unwrap_or_else(Instant::now)
    }

    fn turn(&mut self, first: Option<Batch>) {
        let mut batches: Vec<Batch> = first.into_iter().collect();
        let mut count = batches.iter().map(|batch| batch.events.len()).sum::<usize>();
        while count < MOST_EVENTS && !batches.is_empty() {
            let Ok(batch) = self.queue.try_recv() else { break };
            count = count.saturating_add(batch.events.len());
            batches.push(batch);
        }
        self.crowded = batches.len() > 1;
        let now = Instant::now();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        match self.failing {
            Some(retry) => {
                self.keep(&mut batches);
                if !batches.is_empty() || retry <= now {
                    self.resume();
                }
                tell(batches);
            }
            None if !batches.is_empty() || is_due(self.changes_due) || self.process_is_due() => {
                self.write(batches);
            }
            None if self.changes_due.is_none() && !self.shared.changes().is_empty() => {
                self.changes_due = now.checked_add(CHANGES_WAIT);
            }
            None => {}
        }
        if let Some((until, next)) = self.held_back.filter(|(_, next)| *next <= now) {
            self.shared.newest.send_modify(|_| {});
            let next = next.checked_add(LOOK_AGAIN).filter(|next| *next <= until);
            self.held_back = next.map(|next| (until, next));
        }
        if self.failing.is_none() && self.retention.due() <= now {
            self.retain();
        }
    }

    fn process_is_due(&self) -> bool {
        self.process.due().is_some_and(|due| due <= now())
    }

    /// Runs the pipeline over all of them. Returned with them: what follows from each, right behind it; from verdicts
    /// on credentials; and what is due.
    fn process(&mut self, batches: &mut [Batch]) -> Vec<Event> {
        let (process, mut news) = (&mut self.process, Vec::new());
        let mut events = Vec::with_capacity(batches.iter().map(|batch| batch.events.len()).sum());
        for mut event in batches.iter_mut().flat_map(|batch| batch.events.drain(..)) {
            // What is finer than the store keeps is cut off here, so that an event is the same from memory and from
            // disk.
            event.at = row::time(row::micros(event.at));
            // A bug in the pipeline must not end the store: the event is kept as it is.
            if guarded(|| process.take(&mut event, &mut news)).is_none() {
                tracing::error!(kind = event.kind.name, "the pipeline failed over an event");
            }
            events.push(event);
            events.extend(news.drain(..).map(stamped));
        }
        for event in self.shared.take_confirmed() {
            guarded(|| process.confirmed(&event, &mut news));
        }
        if process.due().is_some_and(|due| due <= now()) {
            guarded(|| process.tick(now(), &mut news));
        }
        events.extend(news.into_iter().map(stamped));
        events
    }

    /// Numbers and writes all of it, and tells whoever waits. If that fails, the events stay in memory.
    fn write(&mut self, mut batches: Vec<Batch>) {
        let changes = self.shared.changes();
        self.changes_due = None;
        let outcome = self.commit(&mut batches, &changes);
        match outcome {
            Ok(pending) => {
                let newest = {
                    let mut tail = self.shared.tail();
                    let newest = tail.newest();
                    tail.settle(newest);
                    newest
                };
                self.shared.settle(&changes);
                tell(batches);
                self.shared.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
                if pending {
                    self.hold_back();
                    self.shared.verifiable();
                }
            }
            Err(error) => {
                self.fail(error.to_string());
                tell(batches);
                self.hold_back();
                self.shared.verifiable();
            }
        }
    }

    /// One transaction. Whatever happens, the events are in the tail afterwards. Says whether there is something
    /// to verify.
    fn commit(&mut self, batches: &mut [Batch], changes: &Changes) -> rusqlite::Result<bool> {
        let events = self.process(batches);
        let mut outcome = self.db.prepare_cached("BEGIN IMMEDIATE").and_then(|mut begin| begin.execute([]));
        let mut pending = false;
        {
            let mut insert = self.db.prepare_cached(row::INSERT);
            for event in events {
                self.retention.note();
                encode(&event, &mut self.body);
                pending |= event.honeycred == Honeycred::Pending;
                let event = Arc::new(event);
                let seq = self.shared.tail().push(event.clone(), self.body.len()).seq;
                if outcome.is_ok() {
                    outcome = match &mut insert {
                        Ok(insert) => row::insert(insert, seq, &event, &self.body).map(|()| 0),
                        Err(_) => Ok(0),
                    };
                }
            }
            outcome = insert.and(outcome);
        }
        outcome?;
        apply(&self.db, changes)?;
        let newest = self.shared.tail().newest();
        let unsaved = guarded(|| self.process.unsaved(now())).unwrap_or_default();
        self.keeping.add(unsaved, newest);
        self.keeping.write(&self.db)?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        self.keeping.settle();
        Ok(pending)
    }

    fn hold_back(&mut self) {
        let now = Instant::now();
        let until = now.checked_add(HOLD_BACK.saturating_add(LOOK_AGAIN));
        let next = self.held_back.map(|(_, next)| next).or_else(|| now.checked_add(LOOK_AGAIN));
        self.held_back = until.zip(next);
    }

    /// While writing fails: numbers the events, and keeps them in memory.
    fn keep(&mut self, batches: &mut [Batch]) {
        let mut pending = false;
        for event in self.process(batches) {
            encode(&event, &mut self.body);
            pending |= event.honeycred == Honeycred::Pending;
            self.shared.tail().push(Arc::new(event), self.body.len());
        }
        self.show();
        if pending {
            self.hold_back();
            self.shared.verifiable();
        }
    }

    fn show(&self) {
        let newest = {
            let mut tail = self.shared.tail();
            tail.hold();
            tail.newest()
        };
        self.shared.newest.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
    }

    /// Writing failed: from now on events stay in memory.
    fn fail(&mut self, why: String) {
        self.roll_back();
        self.shared.set_condition(false, &why);
        if self.failing.is_none() {
            tracing::error!(error = why, "cannot write events to disk: they stay in memory");
            self.keep(&mut [own(&kinds::FAILING, Fields::from([("error".into(), why.into())]))]);
        }
        self.failing = Instant::now().checked_add(RETRY);
        self.show();
    }

    fn roll_back(&self) {
        if !self.db.is_autocommit() {
            _ = self.db.execute_batch("ROLLBACK");
        }
    }

    /// Tries to write what is in memory only; if all of it could be written, tells that writing works again.
    fn resume(&mut self) {
        if self.detached
            && let Err(error) = self.attach()
        {
            return self.fail(error.to_string());
        }
        match self.catch_up() {
            Ok(()) => {
                self.failing = None;
                self.shared.set_condition(true, "");
                tracing::info!("events are written to disk again");
                let lost = self.shared.tail().take_lost();
                let gap = lost.map(|lost| own(&kinds::GAP, gap(&lost)));
                self.write(gap.into_iter().chain([own(&kinds::RESUMED, Fields::new())]).collect());
            }
            Err(error) if schema::damaged(&error) => self.set_aside(),
            Err(error) => self.fail(error.to_string()),
        }
    }

    /// Opens the database where that failed before, or a new one. The cursors go with us, and so do the
    /// positions.
    fn attach(&mut self) -> Result<(), crate::Error> {
        let (db, aside) = schema::open(&self.folder, self.durable)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        *self.shared.reading() = schema::readable(&self.folder)?;
        self.db = db;
        self.detached = false;
        let cursors = self.shared.cursors().clone();
        self.shared.change(|changes| changes.cursors = cursors);
        if let Some(aside) = aside {
            self.keep(&mut [own(&kinds::REPLACED, replaced(&aside))]);
        }
        Ok(())
    }

    /// The database is damaged: out of the way with it. The next attempt to write begins a new one.
    fn set_aside(&mut self) {
        self.roll_back();
        self.failing = Instant::now().checked_add(RETRY);
        match schema::set_aside(&self.folder) {
            Ok(aside) => {
                self.detached = true;
                self.keep(&mut [own(&kinds::REPLACED, replaced(&aside))]);
            }
            Err(error) => self.fail(format!("the damaged database cannot be moved: {error}")),
        }
    }

    /// Writes what the tail holds and the disk does not.
    fn catch_up(&mut self) -> rusqlite::Result<()> {
        loop {
            let records = self.shared.tail().oldest_unsaved(CHUNK);
            let Some(last) = records.last().map(|record| record.seq) else { return Ok(()) };
            self.db.execute_batch("BEGIN IMMEDIATE")?;
            let mut insert = self.db.prepare_cached(row::INSERT)?;
            for record in records {
                _ = row::encode(&record.event, &mut self.body);
                row::insert(&mut insert, record.seq, &record.event, &self.body)?;
            }
            drop(insert);
            self.db.execute_batch("COMMIT")?;
            self.shared.tail().settle(last);
        }
    }

    /// Deletes what need not be kept.
    fn retain(&mut self) {
        match self.retention.step(&self.db, &self.shared) {
            Ok(None) => {}
            Ok(Some(fields)) => self.write(vec![own(&kinds::DROPPED, fields)]),
            Err(error) => {
                self.roll_back();
                tracing::warn!(%error, "cannot delete old events");
            }
        }
    }
}

/// An event about ourselves.
fn own(kind: &'static Kind, fields: Fields) -> Batch {
    let seen = Sighting { fields, ..Sighting::of(kind) };
    let event = Event::operational(seen, (Uuid::now_v7(), now()));
    Batch { events: vec![event], recorded: None }
}

/// Calls into the pipeline. A bug there must not end the store.
fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(AssertUnwindSafe(call)).ok()
}

/// News as an event.
fn stamped(news: News) -> Event {
    let News { seen, peer, incident, at } = news;
    let at = row::time(row::micros(at));
    let event = Event::stamped(seen, "haldane", Uuid::nil(), peer, (Uuid::now_v7(), at));
    Event { incident: Some(incident), ..event }
}

/// Encodes the event into `body`.
fn encode(event: &Event, body: &mut Vec<u8>) {
    if let Err(error) = row::encode(event, body) {
        tracing::error!(%error, kind = event.kind.name, "an event cannot be encoded");
        *body = b"{}".to_vec();
    }
}

/// Tells the sessions that their events are kept.
fn tell(batches: Vec<Batch>) {
    for recorded in batches.into_iter().filter_map(|batch| batch.recorded) {
        recorded();
    }
}

fn apply(db: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    for (sink, cursor) in &changes.cursors {
        let mut save = db.prepare_cached("INSERT OR REPLACE INTO cursors (sink, seq) VALUES (?1, ?2)")?;
        save.execute(params![sink, row::signed(*cursor)])?;
    }
    for (sink, health) in &changes.healths {
        let body = serde_json::to_string(health).unwrap_or_default();
        db.prepare_cached("INSERT OR REPLACE INTO healths (sink, body) VALUES (?1, ?2)")?
            .execute(params![sink, body])?;
    }
    for buried in &changes.buried {
        db.prepare_cached("INSERT INTO dead_letters (sink, seq, at, reason) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![buried.sink, row::signed(buried.seq), row::micros(buried.at), buried.reason])?;
    }
    for (seq, yes) in &changes.verdicts {
        let verdict = if *yes { Honeycred::Yes } else { Honeycred::No };
        let least = if *yes { row::rank(haldane_core::Severity::Critical) } else { 0 };
        db.prepare_cached("UPDATE events SET honeycred = ?2, severity = max(severity, ?3) WHERE seq = ?1")?
            .execute(params![row::signed(*seq), row::state(verdict), least])?;
    }
    Ok(())
}

fn seconds(at: std::time::SystemTime) -> i64 {
    row::micros(at).checked_div(1_000_000).unwrap_or_default()
}

fn gap(lost: &Lost) -> Fields {
    Fields::from([
        ("lost".into(), lost.count.into()),
        ("from".into(), seconds(lost.from).into()),
        ("until".into(), seconds(lost.until).into()),
    ])
}

fn replaced(aside: &Path) -> Fields {
    Fields::from([("aside".into(), aside.display().to_string().into())])
}

#[cfg(test)]
mod tests;
