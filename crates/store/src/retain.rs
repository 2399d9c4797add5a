//! What is deleted, and when: a little at a time, so that no peer waits for it.

use std::{collections::BTreeMap, time::Duration};

use haldane_core::{Fields, Value};
use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::{now, row, shared::Shared};

/// How often to look for something to delete.
const INTERVAL: Duration = Duration::from_secs(60);
/// … and after how many events at the latest.
const NOTED: u64 = 20_000;
/// Between two steps while there is something to delete.
const PAUSE: Duration = Duration::from_millis(20);
/// Events deleted in one step: at least so many, and twice as many as came since the last, but not more than
/// takes a moment.
const CHUNK: std::ops::RangeInclusive<u64> = 500..=5_000;
/// Pages given back to the file system in one step.
const PAGES: i64 = 256;
/// Free pages that stay in the file for what comes next.
const SPARE: i64 = 64;
/// Dead letters that are kept.
const DEAD_LETTERS: i64 = 10_000;
/// Closed incidents that are kept: each takes some kilobytes.
const INCIDENTS: i64 = 50_000;

#[derive(Debug)]
pub(crate) struct Retention {
    keep_for: Duration,
    max_size: u64,
    due: Instant,
    noted: u64,
    /// Undelivered events deleted so far in this pass, by sink.
    dropped: BTreeMap<String, u64>,
}

impl Retention {
    pub(crate) fn new(keep_for: Duration, max_size: u64) -> Self {
        Self { keep_for, max_size, due: Instant::now(), noted: 0, dropped: BTreeMap::new() }
    }

    /// When to take the next step.
    pub(crate) fn due(&self) -> Instant {
        self.due
    }

    /// An event was added.
    pub(crate) fn note(&mut self) {
        self.noted = self.noted.saturating_add(1);
        if self.noted == NOTED {
            self.due = Instant::now();
        }
    }

    /// Deletes a little. When a pass is over that deleted what sinks had not had, returns how many of each.
    pub(crate) fn step(&mut self, db: &Connection, shared: &Shared) -> rusqlite::Result<Option<Fields>> {
        // Should this step fail, the next is not at once.
        self.due = after(INTERVAL);
        let chunk = self.noted.saturating_mul(2).clamp(*CHUNK.start(), *CHUNK.end());
        self.noted = 0;
        let mut more = self.delete_old(db, shared, chunk)? >= chunk;
        more |= self.delete_oldest(db, shared, chunk)?;
        more |= give_back(db)?;
        if more {
            self.due = after(PAUSE);
            return Ok(None);
        }
        let dead = "DELETE FROM dead_letters WHERE id <= (SELECT max(id) FROM dead_letters) - ?1";
        db.prepare_cached(dead)?.execute([DEAD_LETTERS])?;
        if let Some(before) = now().checked_sub(self.keep_for) {
            let closed = "DELETE FROM incidents WHERE last < ?1 AND NOT open";
            db.prepare_cached(closed)?.execute([row::micros(before)])?;
        }
        let many = "DELETE FROM incidents WHERE NOT open AND number IN \
                    (SELECT number FROM incidents WHERE NOT open ORDER BY last DESC LIMIT -1 OFFSET ?1)";
        db.prepare_cached(many)?.execute([INCIDENTS])?;
        let dropped = std::mem::take(&mut self.dropped);
        let counts: Fields =
            dropped.into_iter().map(|(sink, count)| (sink.into(), Value::from(count))).collect();
        Ok(Some(counts).filter(|counts| !counts.is_empty()))
    }

    /// By age, but nothing that a sink has not had, and never the newest: it holds the position.
    fn delete_old(&self, db: &Connection, shared: &Shared, chunk: u64) -> rusqlite::Result<u64> {
        let Some(before) = now().checked_sub(self.keep_for) else { return Ok(0) };
        let delivered = shared.slowest().unwrap_or(u64::MAX);
        let sql = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE at < ?1 AND seq <= ?2 \
                   AND seq < (SELECT max(seq) FROM events) ORDER BY at LIMIT ?3)";
        let deleted = db.prepare_cached(sql)?.execute(params![
            row::micros(before),
            row::signed(delivered),
            row::signed(chunk)
        ])?;
        Ok(u64::try_from(deleted).unwrap_or(u64::MAX))
    }

    /// By size, whoever has not had them. Says whether there is more to delete.
    fn delete_oldest(&mut self, db: &Connection, shared: &Shared, chunk: u64) -> rusqlite::Result<bool> {
        if size(db)? <= self.max_size {
            return Ok(false);
        }
        let sql = "SELECT max(seq) FROM (SELECT seq FROM events WHERE seq < (SELECT max(seq) FROM events) \
                   ORDER BY seq LIMIT ?1)";
        let last: Option<i64> = db.prepare_cached(sql)?.query_row([row::signed(chunk)], |row| row.get(0))?;
        let Some(last) = last else { return Ok(false) };
        for (sink, cursor) in shared.behind(u64::try_from(last).unwrap_or_default()) {
            let sql = "SELECT count(*) FROM events WHERE seq > ?1 AND seq <= ?2 AND flags & 1 = 0";
            let count: i64 =
                db.prepare_cached(sql)?.query_row([row::signed(cursor), last], |row| row.get(0))?;
            let dropped = self.dropped.entry(sink).or_default();
            *dropped = dropped.saturating_add(u64::try_from(count).unwrap_or_default());
        }
        db.prepare_cached("DELETE FROM events WHERE seq <= ?1")?.execute([last])?;
        Ok(size(db)? > self.max_size)
    }
}

fn after(pause: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(pause).unwrap_or(now)
}

fn pragma(db: &Connection, name: &str) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, name, |row| row.get(0))
}

/// What the database takes, without what is free in it.
fn size(db: &Connection) -> rusqlite::Result<u64> {
    let pages = pragma(db, "page_count")?.saturating_sub(pragma(db, "freelist_count")?);
    Ok(u64::try_from(pages.saturating_mul(pragma(db, "page_size")?)).unwrap_or_default())
}

/// Returns free pages to the file system. Says whether there is more to return.
fn give_back(db: &Connection) -> rusqlite::Result<bool> {
    let free = pragma(db, "freelist_count")?.saturating_sub(SPARE);
    if free <= 0 {
        return Ok(false);
    }
    // One row a page: the pragma does its work only as far as it is read.
    let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({})", free.min(PAGES)))?;
    let mut pages = vacuum.query([])?;
    while pages.next()?.is_some() {}
    Ok(free > PAGES)
}
