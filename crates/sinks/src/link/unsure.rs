//! What was written to a connection so lately that it may still be lost with it.
//!
//! A receiver that loses its power, or a firewall its memory, is noticed when nothing was acknowledged for
//! [`SILENCE`]: what was written since is written again to the next connection.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::SILENCE;

/// Frames, oldest first.
#[derive(Debug, Default)]
pub(super) struct Unsure {
    written: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Unsure {
    /// Frames that were written just now.
    pub(super) fn push(&mut self, frames: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(frames.len());
        self.written.push_back((Instant::now(), frames));
        while self.bytes > MOST {
            self.pop();
        }
    }

    /// The connection stands: what was written long ago has arrived.
    pub(super) fn connection_stands(&mut self) {
        while self.written.front().is_some_and(|(at, _)| at.elapsed() > SILENCE.saturating_add(SLACK)) {
            self.pop();
        }
    }

    /// The connection was ended in good order: all has arrived.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What to write again.
    pub(super) fn frames(&self) -> Vec<u8> {
        self.written.iter().flat_map(|(_, frames)| frames).copied().collect()
    }

    fn pop(&mut self) {
        if let Some((_, frames)) = self.written.pop_front() {
            self.bytes = self.bytes.saturating_sub(frames.len());
        }
    }
}

/// For timers that are late.
const SLACK: Duration = Duration::from_secs(5);
/// Bytes: some thousand events. A connection has hardly more under way at once.
const MOST: usize = 1 << 20;
