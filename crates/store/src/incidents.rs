//! Incidents on disk: what the pipeline wants kept, so that a restart neither forgets an incident nor tells of it
//! twice.
//!
//! An incident is not written with each of its events: a busy one would be written a thousand times a second. Each
//! row says up to which position its events are in it (`seq`), and one mark says up to where nothing is missing from
//! any row. What came after the mark is given to the pipeline once more at the start; since a state is a second old
//! at most, that is little.

use std::collections::{BTreeMap, HashMap};

use haldane_core::{Kinds, Process, Saved, Unsaved};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::row;

/// Name of the mark.
const MARK: &str = "incidents";
/// Without any incident, the mark moves on by steps of so many events, so that a start has little to look through.
const STRIDE: u64 = 10_000;

/// What is to be written with the next commit.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    /// By number: what, and up to which position its events are in it.
    rows: BTreeMap<u64, (u64, Saved)>,
    /// Where the mark is to go.
    mark: Option<u64>,
    /// Where it is.
    marked: u64,
}

impl Keeping {
    /// Rows that wait while nothing can be written. The oldest go first: they are the least likely to be open.
    const MOST: usize = 20_000;

    /// Adds to it. `seq`: the position of the newest event.
    pub(crate) fn add(&mut self, unsaved: Unsaved, seq: u64) {
        let some = !unsaved.incidents.is_empty();
        self.rows.extend(unsaved.incidents.into_iter().map(|saved| (saved.number, (seq, saved))));
        while self.rows.len() > Self::MOST {
            self.rows.pop_first();
        }
        if unsaved.complete && (some || seq.saturating_sub(self.marked) > STRIDE) {
            self.mark = Some(seq);
        }
    }

    /// Writes it, within the transaction that is open.
    pub(crate) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        for (number, (seq, saved)) in &self.rows {
            if saved.state.is_empty() {
                db.prepare_cached("DELETE FROM incidents WHERE number = ?1")?
                    .execute([row::signed(*number)])?;
                continue;
            }
            let source = saved.source.map(row::octets);
            db.prepare_cached(
                "INSERT OR REPLACE INTO incidents (number, seq, source, first, last, severity, open, state) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                row::signed(*number),
                row::signed(*seq),
                source.as_ref().map(row::Octets::as_slice),
                row::micros(saved.first),
                row::micros(saved.last),
                row::rank(saved.severity),
                saved.open,
                saved.state,
            ])?;
        }
        if let Some(mark) = self.mark {
            db.prepare_cached("INSERT OR REPLACE INTO marks (name, seq) VALUES (?1, ?2)")?
                .execute(params![MARK, row::signed(mark)])?;
        }
        Ok(())
    }

    /// It was written.
    pub(crate) fn settle(&mut self) {
        self.rows.clear();
        if let Some(mark) = self.mark.take() {
            self.marked = mark;
        }
    }
}

/// Tells the pipeline of the incidents that were open, and of the events that are missing from them.
pub(crate) fn restore(db: &Connection, kinds: &Kinds, process: &mut dyn Process) -> rusqlite::Result<()> {
    let mut held: HashMap<i64, i64> = HashMap::new();
    let mut open = db.prepare("SELECT number, seq, state FROM incidents WHERE open ORDER BY number")?;
    let mut rows = open.query([])?;
    while let Some(row) = rows.next()? {
        held.insert(row.get(0)?, row.get(1)?);
        process.restore(row.get_ref(2)?.as_blob()?);
    }
    let mark: Option<i64> =
        db.query_row("SELECT seq FROM marks WHERE name = ?1", [MARK], |row| row.get(0)).optional()?;
    let columns = row::COLUMNS;
    // Neither ignored nor about ourselves, nor news of incidents.
    let sql = format!(
        "SELECT {columns} FROM events WHERE seq > ?1 AND flags & 7 = 0 AND incident IS NOT NULL ORDER BY seq"
    );
    let mut missing = db.prepare(&sql)?;
    let mut rows = missing.query([mark.unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let (seq, incident): (i64, i64) = (row.get(0)?, row.get(9)?);
        if held.get(&incident).is_none_or(|held| seq > *held)
            && let Some(record) = row::decode(row, kinds)
        {
            process.again(&record.event);
        }
    }
    Ok(())
}

/// The columns that [`decode`] expects.
pub(crate) const COLUMNS: &str = "number, source, first, last, severity, open, state";

/// Reads [`COLUMNS`].
pub(crate) fn decode(row: &Row<'_>) -> rusqlite::Result<Saved> {
    let source: Option<&[u8]> = row.get_ref(1)?.as_blob_or_null()?;
    Ok(Saved {
        number: u64::try_from(row.get::<_, i64>(0)?).unwrap_or_default(),
        source: source.and_then(row::address),
        first: row::time(row.get(2)?),
        last: row::time(row.get(3)?),
        severity: row::severity(row.get(4)?),
        open: row.get(5)?,
        state: row.get(6)?,
    })
}
