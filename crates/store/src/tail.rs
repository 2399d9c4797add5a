//! The newest events, in memory: sinks that keep up never touch the disk, and while writing fails, this is
//! where events are.

use std::{collections::VecDeque, sync::Arc, time::SystemTime};

use haldane_core::{Event, Honeycred, Page, Record, Severity, Wants};

use crate::{HOLD_BACK, row};

/// What is kept of the events that are on disk: enough for sinks that are a moment late.
const KEPT_BYTES: usize = 512 * 1024;
const KEPT: usize = 1_024;
/// What is kept while the disk takes nothing. Beyond it, the oldest are lost.
const FAILING_BYTES: usize = 16 << 20;
const FAILING: usize = 50_000;
/// A page is full when its events take so much: what a sink makes of them takes several times that.
pub(crate) const PAGE_BYTES: usize = 128 * 1024;
/// What an event takes besides its texts.
const OVERHEAD: usize = 512;

/// Events that left memory before the disk took them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    /// How many.
    pub(crate) count: u64,
    /// When the first was seen.
    pub(crate) from: SystemTime,
    /// When the last was seen.
    pub(crate) until: SystemTime,
}

/// The ring. Positions in it are consecutive.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    records: VecDeque<(Record, usize)>,
    bytes: usize,
    /// The last position given out.
    newest: u64,
    /// Everything up to here is on disk (or lost).
    stored: u64,
    /// Sinks may see everything up to here.
    visible: u64,
    lost: Option<Lost>,
}

impl Tail {
    /// Goes on after that position.
    pub(crate) fn after(newest: u64) -> Self {
        Self { newest, stored: newest, visible: newest, ..Self::default() }
    }

    /// The last position given out.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The last position that sinks may see.
    pub(crate) fn visible(&self) -> u64 {
        self.visible
    }

    /// Everything up to here is on disk or lost.
    pub(crate) fn stored(&self) -> u64 {
        self.stored
    }

    /// How many are in memory only.
    pub(crate) fn unsaved(&self) -> u64 {
        self.newest.saturating_sub(self.stored)
    }

    /// Gives the event the next position. `size`: of its encoded body.
    pub(crate) fn push(&mut self, event: Arc<Event>, size: usize) -> Record {
        self.newest = self.newest.saturating_add(1);
        let record = Record { seq: self.newest, event };
        let weight = size.saturating_add(OVERHEAD);
        self.bytes = self.bytes.saturating_add(weight);
        self.records.push_back((record.clone(), weight));
        record
    }

    /// Everything up to that position is on disk now.
    pub(crate) fn settle(&mut self, seq: u64) {
        self.stored = self.stored.max(seq);
        self.visible = self.visible.max(seq);
        self.trim();
    }

    /// The disk took nothing: show what there is to the sinks, and keep within bounds.
    pub(crate) fn hold(&mut self) {
        self.visible = self.newest;
        self.trim();
    }

    fn trim(&mut self) {
        while let Some((record, weight)) = self.records.front() {
            let on_disk = record.seq <= self.stored;
            let (bytes, count) = if on_disk { (KEPT_BYTES, KEPT) } else { (FAILING_BYTES, FAILING) };
            if self.bytes <= bytes && self.records.len() <= count {
                break;
            }
            self.bytes = self.bytes.saturating_sub(*weight);
            if !on_disk {
                self.stored = record.seq;
                let at = record.event.at;
                let lost = self.lost.get_or_insert(Lost { count: 0, from: at, until: at });
                lost.count = lost.count.saturating_add(1);
                lost.until = at;
            }
            self.records.pop_front();
        }
    }

    /// The oldest that are not on disk.
    pub(crate) fn oldest_unsaved(&self, most: usize) -> Vec<Record> {
        let from = self.records.partition_point(|(record, _)| record.seq <= self.stored);
        self.records.range(from..).take(most).map(|(record, _)| record.clone()).collect()
    }

    /// What was lost since this was last asked.
    pub(crate) fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    /// How many were lost and not yet told of.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.as_ref().map_or(0, |lost| lost.count)
    }

    /// What is wanted after `cursor`, if memory reaches back that far.
    pub(crate) fn page(&self, cursor: u64, most: usize, wants: &Wants, now: SystemTime) -> Option<Page> {
        let mut page = Page { records: Vec::new(), next: cursor };
        if cursor >= self.visible {
            return Some(page);
        }
        let reaches = self.records.front().is_some_and(|(record, _)| record.seq <= cursor.saturating_add(1));
        if !reaches {
            return None;
        }
        let from = self.records.partition_point(|(record, _)| record.seq <= cursor);
        let mut bytes = 0_usize;
        for (record, weight) in
            self.records.range(from..).take_while(|(record, _)| record.seq <= self.visible)
        {
            let full = page.records.len() >= most || bytes >= PAGE_BYTES;
            if full || !admit(&mut page, record.clone(), wants, now) {
                break;
            }
            bytes = bytes.saturating_add(*weight);
        }
        Some(page)
    }

    /// Notes whether those credentials are a honey-credential. Returns the record if it is still here.
    pub(crate) fn verified(&mut self, seq: u64, yes: bool) -> Option<Record> {
        let index = self.records.partition_point(|(record, _)| record.seq < seq);
        let (record, _) = self.records.get_mut(index).filter(|(record, _)| record.seq == seq)?;
        let event = Arc::make_mut(&mut record.event);
        event.honeycred = if yes { Honeycred::Yes } else { Honeycred::No };
        if yes {
            event.severity = Severity::Critical;
        }
        Some(record.clone())
    }

    /// Those in memory only whose credentials are being verified.
    pub(crate) fn pending(&self) -> impl DoubleEndedIterator<Item = &Record> {
        let from = self.records.partition_point(|(record, _)| record.seq <= self.stored);
        let unsaved = self.records.range(from..).map(|(record, _)| record);
        unsaved.filter(|record| record.event.honeycred == Honeycred::Pending)
    }
}

/// Adds the record to the page if it is wanted, and moves on. False: it is held back, and so is what follows.
pub(crate) fn admit(page: &mut Page, mut record: Record, wants: &Wants, now: SystemTime) -> bool {
    if record.event.honeycred == Honeycred::Pending && wants.hears(record.event.kind.class) {
        if !record.event.ignored && held_back(record.event.at, now) {
            return false;
        }
        Arc::make_mut(&mut record.event).honeycred = Honeycred::No;
    }
    page.next = record.seq;
    if wants.accepts(&record.event) {
        page.records.push(record);
    }
    true
}

/// Whether the verdict on credentials that were seen then is still waited for. A clock that was set back
/// does not hold back for longer.
fn held_back(at: SystemTime, now: SystemTime) -> bool {
    let (at, now) = (row::micros(at), row::micros(now));
    let age = u128::from(now.abs_diff(at));
    age < HOLD_BACK.as_micros()
}
