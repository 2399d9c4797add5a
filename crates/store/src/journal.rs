//! What the sinks see.

use haldane_core::{Health, Journal, Notify, Page, Wants};
use rusqlite::params;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    now, row,
    shared::{Buried, Shared},
    tail::{PAGE_BYTES, admit},
};

/// Rows looked at in one call: a sink that wants little of much gets its answer in pieces.
const SCAN: u64 = 20_000;

impl Journal for Shared {
    fn after(&self, cursor: u64, most: usize, wants: &Wants) -> Result<Page, String> {
        let (page, stored) = {
            let tail = self.tail();
            (tail.page(cursor, most, wants, now()), tail.stored())
        };
        match page {
            Some(page) => Ok(page),
            None => aside(|| self.on_disk(cursor, stored, most, wants)).map_err(|error| error.to_string()),
        }
    }

    fn cursor(&self, sink: &str) -> u64 {
        self.cursors().get(sink).copied().unwrap_or_default()
    }

    fn save(&self, sink: &str, cursor: u64) {
        let before = self.cursors().insert(sink.to_owned(), cursor);
        if before == Some(cursor) {
            return;
        }
        self.change(|changes| _ = changes.cursors.insert(sink.to_owned(), cursor));
    }

    fn bury(&self, sink: &str, seq: u64, reason: &str) {
        self.bury(Buried { sink: sink.to_owned(), seq, at: now(), reason: reason.to_owned() });
    }

    fn health(&self, sink: &str, health: &Health) {
        self.change(|changes| _ = changes.healths.insert(sink.to_owned(), health.clone()));
    }
}

/// Reads from the disk without holding up the sessions that share the caller's thread.
fn aside<R>(read: impl FnOnce() -> R) -> R {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(read),
        _ => read(),
    }
}

impl Shared {
    /// What is wanted after `cursor` among what is on disk, which is everything up to `stored`.
    fn on_disk(&self, cursor: u64, stored: u64, most: usize, wants: &Wants) -> rusqlite::Result<Page> {
        let db = self.reading();
        let oldest: Option<i64> = db
            .prepare_cached("SELECT min(seq) FROM events WHERE seq > ?1")?
            .query_row([row::signed(cursor)], |row| row.get(0))?;
        let Some(oldest) = oldest.and_then(|seq| u64::try_from(seq).ok()) else {
            return Ok(Page { records: Vec::new(), next: stored.max(cursor) });
        };
        let cursor = oldest.saturating_sub(1).max(cursor);
        let last = cursor.saturating_add(SCAN).min(stored);
        let columns = row::COLUMNS;
        // What is being verified may yet become critical: `admit` decides on it.
        let sql = format!(
            "SELECT {columns} FROM events WHERE seq > ?1 AND seq <= ?2 AND flags & 1 = 0 \
             AND (flags & 2 OR (flags & 4 <> 0) = ?6) \
             AND (honeycred = 1 OR CASE WHEN flags & 2 THEN ?4 ELSE severity >= ?3 END) ORDER BY seq LIMIT ?5"
        );
        let mut statement = db.prepare_cached(&sql)?;
        let limit = i64::try_from(most.max(1)).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![
            row::signed(cursor),
            row::signed(last),
            row::rank(wants.severity),
            wants.operational,
            limit,
            wants.notify == Notify::Incident
        ])?;
        let mut page = Page { records: Vec::new(), next: cursor };
        let (now, mut found, mut bytes) = (now(), 0_usize, 0_usize);
        while let Some(row) = rows.next()? {
            if bytes >= PAGE_BYTES {
                return Ok(page);
            }
            found = found.saturating_add(1);
            bytes = bytes.saturating_add(row::size(row));
            match row::decode(row, &self.kinds) {
                Some(record) => {
                    if !admit(&mut page, record, wants, now) {
                        return Ok(page);
                    }
                }
                None => {
                    self.damaged(row);
                    let seq = row.get::<_, i64>(0)?;
                    page.next = page.next.max(u64::try_from(seq).unwrap_or_default());
                }
            }
        }
        if found < most.max(1) {
            page.next = last.max(page.next);
        }
        Ok(page)
    }
}
