//! Blocking writes, away from the runtime: a full pipe or a hanging network disk stops nobody else.
//!
//! A write that outlasts its time limit cannot be called back. It goes on, and the next delivery waits for it
//! and leaves out what it has written: nothing is written twice.

use std::{
    io::{self, ErrorKind, Write},
    sync::{Arc, Mutex, PoisonError},
};

use haldane_core::{Event, Record};
use tokio::task::JoinHandle;

use crate::{Failure, step::step};

/// Somewhere to write lines, blocking.
pub(crate) trait Put: Send + 'static {
    /// Writes the lines, each of which ends with its line feed. Returns how many are written whole, and why
    /// not all of them are.
    fn put(&mut self, lines: &[String]) -> (usize, Result<(), Failure>);
}

/// One writer and at most one write at a time.
#[derive(Debug)]
pub(crate) struct Desk<P> {
    put: Arc<Mutex<P>>,
    under_way: Option<UnderWay>,
    /// The last record that is written, if its delivery failed nevertheless.
    written: Option<u64>,
}

#[derive(Debug)]
struct UnderWay {
    records: Vec<u64>,
    outcome: JoinHandle<(usize, Result<(), Failure>)>,
}

impl<P: Put> Desk<P> {
    pub(crate) fn new(put: P) -> Self {
        Self { put: Arc::new(Mutex::new(put)), under_way: None, written: None }
    }

    /// Writes a line for each record that is not written already.
    pub(crate) async fn write(
        &mut self,
        batch: &[Record],
        line: impl Fn(&Event) -> String,
    ) -> Result<(), Failure> {
        // What was under way when its time was up. Its failure is old news; what it wrote is not.
        let _ = self.finish().await;
        let fresh = batch.iter().filter(|record| self.written.is_none_or(|written| record.seq > written));
        let (mut records, mut lines) = (Vec::new(), Vec::new());
        for record in fresh {
            let mut line = line(&record.event);
            line.push('\n');
            records.push(record.seq);
            lines.push(line);
        }
        let put = Arc::clone(&self.put);
        let outcome = tokio::task::spawn_blocking(move || {
            put.lock().unwrap_or_else(PoisonError::into_inner).put(&lines)
        });
        self.under_way = Some(UnderWay { records, outcome });
        self.finish().await?;
        self.written = None;
        Ok(())
    }

    /// Waits for the write under way, if there is one. May be dropped and called again.
    async fn finish(&mut self) -> Result<(), Failure> {
        let Some(write) = &mut self.under_way else { return Ok(()) };
        let outcome = (&mut write.outcome).await;
        let records = self.under_way.take().map(|write| write.records).unwrap_or_default();
        let (whole, outcome) = outcome.unwrap_or_else(|error| (0, Err(Failure::later(error.to_string()))));
        if let Some(last) = whole.checked_sub(1).and_then(|last| records.get(last)) {
            self.written = Some(*last);
        }
        outcome
    }
}

/// What came of writing some lines.
#[derive(Debug)]
pub(crate) struct Written {
    /// Lines that are written whole.
    pub(crate) whole: usize,
    /// Bytes of the next line that are written.
    pub(crate) torn: usize,
    /// Why the rest is not.
    pub(crate) error: Option<io::Error>,
}

/// Writes lines with as few calls as possible, and says exactly how far it came. `out` must not buffer.
pub(crate) fn write_lines(out: &mut impl Write, lines: &[String]) -> Written {
    let bytes = lines.concat().into_bytes();
    let mut rest = bytes.as_slice();
    let error = loop {
        match out.write(rest) {
            _ if rest.is_empty() => break None,
            Ok(0) => break Some(ErrorKind::WriteZero.into()),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Some(error),
        }
    };
    let (mut whole, mut torn) = (0_usize, bytes.len().saturating_sub(rest.len()));
    for line in lines {
        match torn.checked_sub(line.len()) {
            Some(left) => (whole, torn) = (whole.saturating_add(1), left),
            None => break,
        }
    }
    step(format_args!("{} of {} bytes written", bytes.len().saturating_sub(rest.len()), bytes.len()));
    Written { whole, torn, error }
}
