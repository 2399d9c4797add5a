//! What the writer, the sinks and the verifier share.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use haldane_core::{Event, Health, Kinds, Record};
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::{Notify, watch};

use crate::{now, row, tail::Tail, verify::Order};

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Whether the last attempt to write succeeded.
    pub writing: bool,
    /// The last failure, in words; empty if there was none.
    pub why: Arc<str>,
    /// Since when it is so.
    pub since: SystemTime,
    /// Events that are in memory only.
    pub waiting: u64,
    /// Events lost since writing failed.
    pub lost: u64,
    /// Rows found damaged since start.
    pub unreadable: u64,
}

/// What a sink could not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Buried {
    pub(crate) sink: String,
    pub(crate) seq: u64,
    pub(crate) at: SystemTime,
    pub(crate) reason: String,
}

/// Small things to be written with the next commit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    pub(crate) cursors: HashMap<String, u64>,
    pub(crate) healths: HashMap<String, Health>,
    pub(crate) buried: Vec<Buried>,
    pub(crate) verdicts: BTreeMap<u64, bool>,
}

impl Changes {
    /// Dead letters that wait while nothing can be written. Further ones are only logged.
    const MOST_BURIED: usize = 1_000;

    pub(crate) fn is_empty(&self) -> bool {
        let Self { cursors, healths, buried, verdicts } = self;
        cursors.is_empty() && healths.is_empty() && buried.is_empty() && verdicts.is_empty()
    }

    /// Forgets what `written` holds, unless it changed since.
    fn settle(&mut self, written: &Self) {
        self.cursors.retain(|sink, cursor| written.cursors.get(sink) != Some(cursor));
        self.healths.retain(|sink, health| written.healths.get(sink) != Some(health));
        self.verdicts.retain(|seq, yes| written.verdicts.get(seq) != Some(yes));
        self.buried.drain(..written.buried.len().min(self.buried.len()));
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) newest: watch::Sender<u64>,
    /// Wakes the writer.
    pub(crate) wake: Notify,
    /// The sinks that there are, once the daemon has said so.
    pub(crate) served: Mutex<Option<HashSet<String>>>,
    pub(crate) unreadable: AtomicU64,
    tail: Mutex<Tail>,
    reading: Mutex<Connection>,
    cursors: Mutex<HashMap<String, u64>>,
    changes: Mutex<Changes>,
    /// Events whose credentials were found to be honey-credentials: the pipeline does not know yet.
    confirmed: Mutex<Vec<Arc<Event>>>,
    condition: Mutex<(bool, Arc<str>, SystemTime)>,
    stopped: AtomicBool,
    verifying: (Mutex<bool>, Condvar),
}

/// The position of the newest event that is or was in the database: cursors remember it, too.
pub(crate) fn newest(db: &Connection) -> rusqlite::Result<u64> {
    let sql =
        "SELECT max(ifnull((SELECT max(seq) FROM events), 0), ifnull((SELECT max(seq) FROM cursors), 0))";
    let newest: i64 = db.query_row(sql, [], |row| row.get(0))?;
    Ok(u64::try_from(newest).unwrap_or_default())
}

/// Where each sink is.
pub(crate) fn cursors(db: &Connection) -> rusqlite::Result<HashMap<String, u64>> {
    let mut statement = db.prepare("SELECT sink, seq FROM cursors")?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or_default())))?;
    rows.collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is still consistent: every change under these locks is a single step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(
        reading: Connection,
        newest: u64,
        cursors: HashMap<String, u64>,
        kinds: Arc<Kinds>,
    ) -> Self {
        Self {
            kinds,
            newest: watch::Sender::new(newest),
            wake: Notify::new(),
            served: Mutex::new(None),
            unreadable: AtomicU64::new(0),
            tail: Mutex::new(Tail::after(newest)),
            reading: Mutex::new(reading),
            cursors: Mutex::new(cursors),
            changes: Mutex::default(),
            confirmed: Mutex::default(),
            condition: Mutex::new((true, "".into(), now())),
            stopped: AtomicBool::new(false),
            verifying: (Mutex::new(true), Condvar::new()),
        }
    }

    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        locked(&self.tail)
    }

    pub(crate) fn reading(&self) -> MutexGuard<'_, Connection> {
        locked(&self.reading)
    }

    pub(crate) fn cursors(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        locked(&self.cursors)
    }

    /// The position of the slowest sink that there is; `None` if there is none.
    pub(crate) fn slowest(&self) -> Option<u64> {
        let served = locked(&self.served);
        let cursors = self.cursors();
        let counts = |sink: &String| served.as_ref().is_none_or(|served| served.contains(sink));
        cursors.iter().filter(|(sink, _)| counts(sink)).map(|(_, cursor)| *cursor).min()
    }

    /// Those sinks that there are and have not had everything up to `seq`, with their positions.
    pub(crate) fn behind(&self, seq: u64) -> Vec<(String, u64)> {
        let served = locked(&self.served);
        let counts = |sink: &String| served.as_ref().is_none_or(|served| served.contains(sink));
        let cursors = self.cursors();
        let behind = cursors.iter().filter(|(sink, cursor)| counts(sink) && **cursor < seq);
        behind.map(|(sink, cursor)| (sink.clone(), *cursor)).collect()
    }

    /// Adds to what the next commit writes, and sees to it that there is one soon.
    pub(crate) fn change(&self, add: impl FnOnce(&mut Changes)) {
        let was_empty = {
            let mut changes = locked(&self.changes);
            let was_empty = changes.is_empty();
            add(&mut changes);
            was_empty
        };
        if was_empty {
            self.wake.notify_one();
        }
    }

    pub(crate) fn bury(&self, buried: Buried) {
        self.change(|changes| match changes.buried.len() < Changes::MOST_BURIED {
            true => changes.buried.push(buried),
            false => tracing::warn!(sink = buried.sink, seq = buried.seq, "too many dead letters"),
        });
    }

    /// What is to be written.
    pub(crate) fn changes(&self) -> Changes {
        locked(&self.changes).clone()
    }

    /// It was written.
    pub(crate) fn settle(&self, written: &Changes) {
        locked(&self.changes).settle(written);
    }

    pub(crate) fn condition(&self) -> Condition {
        let (writing, why, since) = locked(&self.condition).clone();
        let tail = self.tail();
        let (waiting, lost) = (if writing { 0 } else { tail.unsaved() }, tail.lost());
        let unreadable = self.unreadable.load(Ordering::Relaxed);
        Condition { writing, why, since, waiting, lost, unreadable }
    }

    /// Notes whether writing works.
    pub(crate) fn set_condition(&self, writing: bool, why: &str) {
        let mut condition = locked(&self.condition);
        let since = if condition.0 == writing { condition.2 } else { now() };
        *condition = (writing, why.into(), since);
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.wake.notify_one();
        self.verifiable();
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Tells the verifier that there may be something for it.
    pub(crate) fn verifiable(&self) {
        *locked(&self.verifying.0) = true;
        self.verifying.1.notify_all();
    }

    /// Waits until there may be something to verify, or the store closes; at most `most`, if given.
    pub(crate) fn await_verifiable(&self) {
        let guard = locked(&self.verifying.0);
        let waited = self.verifying.1.wait_while(guard, |news| !*news && !self.stopped());
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Waits that long, or until the store closes.
    pub(crate) fn rest(&self, pause: Duration) {
        let guard = locked(&self.verifying.0);
        _ = self.verifying.1.wait_timeout_while(guard, pause, |_| !self.stopped());
    }

    pub(crate) fn verified(&self, seq: u64, yes: bool) {
        _ = self.tail().verified(seq, yes);
        self.change(|changes| _ = changes.verdicts.insert(seq, yes));
        // The position did not change, but what was held back may be had now.
        self.newest.send_modify(|_| {});
    }

    /// Keeps for the pipeline that those credentials are a honey-credential. Call before [`Self::verified`].
    pub(crate) fn confirm(&self, event: Arc<Event>) {
        locked(&self.confirmed).push(event);
    }

    /// What was kept for the pipeline.
    pub(crate) fn take_confirmed(&self) -> Vec<Arc<Event>> {
        std::mem::take(&mut locked(&self.confirmed))
    }

    /// Events whose credentials are being verified, from the old or the new end.
    pub(crate) fn pending(&self, most: usize, order: Order) -> rusqlite::Result<Vec<Record>> {
        let decided = locked(&self.changes).verdicts.clone();
        let mut found: Vec<Record> = {
            let tail = self.tail();
            match order {
                Order::Oldest => Vec::new(),
                Order::Newest => tail.pending().rev().take(most).cloned().collect(),
            }
        };
        let ascending = if order == Order::Oldest { "ASC" } else { "DESC" };
        let columns = row::COLUMNS;
        let sql =
            format!("SELECT {columns} FROM events WHERE honeycred = 1 ORDER BY seq {ascending} LIMIT ?1");
        let limit = most.saturating_add(decided.len());
        {
            let db = self.reading();
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                match row::decode(row, &self.kinds) {
                    Some(record) => found.push(record),
                    None => self.damaged(row),
                }
            }
        }
        if order == Order::Oldest {
            found.extend(self.tail().pending().take(most).cloned());
        }
        found.retain(|record| !decided.contains_key(&record.seq));
        found.dedup_by_key(|record| record.seq);
        found.truncate(most);
        Ok(found)
    }

    /// Counts a damaged row. One that was to be verified would come back for ever.
    pub(crate) fn damaged(&self, row: &rusqlite::Row<'_>) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
        let seq: Option<i64> = row.get(0).optional().unwrap_or_default();
        tracing::warn!(seq, "damaged row in the store");
        let pending = row.get::<_, i64>(8).is_ok_and(|state| state == row::PENDING);
        if let Some(seq) = seq.and_then(|seq| u64::try_from(seq).ok()).filter(|_| pending) {
            self.change(|changes| _ = changes.verdicts.insert(seq, false));
        }
    }
}
