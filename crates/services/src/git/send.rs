//! A pack on its way to a client, a piece at a time: only the choice of objects is held for it.

use std::{fmt, sync::Arc};

use openssl::sha::Sha1;

use super::{bits::Bits, packet, repository::Repository};

/// Bytes of a pack that are sent at once where there is no side band.
const PIECE: usize = 32 * 1024;
/// Bands (gitprotocol-pack, "Packfile Data").
const DATA: &[u8] = b"\x01";
const PROGRESS: &[u8] = b"\x02";

/// The pack being sent.
pub(super) struct Sending {
    repository: Arc<Repository>,
    chosen: Bits,
    band: Option<usize>,
    hash: Sha1,
    at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Before its head.
    Head,
    /// In the entry of this object, so many bytes into it.
    Entry(u32, usize),
    /// Before its checksum.
    Sum,
    /// Before its last byte. Git holds it back until it knows that nothing went wrong.
    Last(u8),
    /// Before the end of the side band.
    End,
    /// Done.
    Done,
}

impl Sending {
    /// A pack of those objects. `band`: the longest packet of the side band, if there is one.
    pub(super) fn new(repository: Arc<Repository>, chosen: Bits, band: Option<usize>) -> Self {
        Self { repository, chosen, band, hash: Sha1::new(), at: Position::Head }
    }

    /// How many objects, and how many bytes the pack has.
    pub(super) fn size(&self) -> (u32, usize) {
        let entries = self.chosen.iter().map(|object| self.repository.entry(object).len());
        (self.chosen.len(), entries.fold(32, usize::saturating_add))
    }

    /// What git tells of its progress before the pack; nothing without a side band.
    pub(super) fn progress(&self) -> Vec<u8> {
        if self.band.is_none() {
            return Vec::new();
        }
        let total = self.chosen.len();
        // What git would look at for deltas.
        let candidates = self.chosen.iter().filter(|object| self.repository.is_large(*object)).count();
        let candidates = u32::try_from(candidates).unwrap_or(u32::MAX);
        let mut told = Vec::new();
        let mut tell = |text: String| told.extend(packet::line(&[PROGRESS, text.as_bytes()]));
        if total > 0 {
            tell(format!("Enumerating objects: {total}, done.\n"));
        }
        for (what, total) in [("Counting", total), ("Compressing", candidates)] {
            let mut last = None;
            for done in 1..=total {
                let percent = u64::from(done).saturating_mul(100).checked_div(total.into());
                if percent != last {
                    let shown = percent.unwrap_or_default();
                    tell(format!("{what} objects: {shown:3}% ({done}/{total})\r"));
                    last = percent;
                }
            }
            if total > 0 {
                tell(format!("{what} objects: 100% ({total}/{total}), done.\n"));
            }
        }
        tell(format!("Total {total} (delta 0), reused {total} (delta 0), pack-reused 0\n"));
        told
    }

    /// The next piece; empty if there is none.
    pub(super) fn piece(&mut self) -> Vec<u8> {
        if self.at == Position::End {
            self.at = Position::Done;
            return self.band.map(|_| packet::FLUSH.to_vec()).unwrap_or_default();
        }
        // A packet holds its length, the number of the band and the data.
        let room = self.band.map_or(PIECE, |band| band.saturating_sub(5));
        let mut piece = Vec::with_capacity(room.min(self.left()));
        if let Position::Last(byte) = self.at {
            piece.push(byte);
            self.at = Position::End;
        }
        while self.fill(&mut piece, room) {}
        match self.band {
            Some(_) if !piece.is_empty() => packet::line(&[DATA, &piece]),
            _ => piece,
        }
    }

    fn left(&self) -> usize {
        self.repository.packed_len().saturating_add(32)
    }

    /// Adds to a piece; whether there may be more to add.
    fn fill(&mut self, piece: &mut Vec<u8>, room: usize) -> bool {
        let free = room.saturating_sub(piece.len());
        match self.at {
            Position::Head => {
                let head = [b"PACK\0\0\0\x02".as_slice(), &self.chosen.len().to_be_bytes()].concat();
                self.hash.update(&head);
                piece.extend(head);
                self.at = self.entry(0);
            }
            Position::Entry(object, from) => {
                let rest = self.repository.entry(object).get(from..).unwrap_or_default();
                let part = rest.get(..free).unwrap_or(rest);
                self.hash.update(part);
                piece.extend_from_slice(part);
                self.at = match part.len() == rest.len() {
                    true => self.entry(object.saturating_add(1)),
                    false => Position::Entry(object, from.saturating_add(part.len())),
                };
            }
            // Whole, or in the next piece.
            Position::Sum if free >= 20 => {
                let sum = self.hash.clone().finish();
                let [most @ .., last] = &sum;
                piece.extend_from_slice(most);
                self.at = Position::Last(*last);
                return false;
            }
            Position::Sum | Position::Last(_) | Position::End | Position::Done => return false,
        }
        piece.len() < room
    }

    fn entry(&self, from: u32) -> Position {
        self.chosen.next(from).map_or(Position::Sum, |object| Position::Entry(object, 0))
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("at", &self.at).finish_non_exhaustive()
    }
}
