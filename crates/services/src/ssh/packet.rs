//! The binary packet protocol (RFC 4253, section 6), as OpenSSH reads it: what it waits for, what it hangs up
//! on, and what it only pretends to go on reading.

use haldane_core::{Halt, Input};
use openssl::error::ErrorStack;

use super::{
    cipher::{self, Keyed, TAG, same},
    mac::{self, Mac},
    wire::size,
};

/// Longest packet that OpenSSH takes (PACKET_MAX_SIZE).
pub(super) const MAX: usize = 256 * 1024;
/// What a packet is padded to without encryption.
const PLAIN_BLOCK: usize = 8;

/// The algorithms of one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Suite {
    pub(super) cipher: cipher::Algorithm,
    /// `None` with a cipher that authenticates.
    pub(super) mac: Option<mac::Algorithm>,
}

/// Keys of one direction (RFC 4253, section 7.2), as long as its algorithms ask for.
pub(super) struct Keys {
    pub(super) iv: Vec<u8>,
    pub(super) cipher: Vec<u8>,
    pub(super) mac: Vec<u8>,
}

/// What was cut from the stream.
#[derive(Debug)]
pub(super) enum Piece {
    /// The first block of a packet whose length is encrypted with it.
    Head(Vec<u8>),
    /// The rest of a packet, with its tag.
    Packet(Vec<u8>),
    /// A length that no packet has.
    BadLength,
    /// Bytes after a broken packet.
    Noise(usize),
}

/// What came of a piece.
pub(super) enum Opened {
    /// Nothing yet.
    Nothing,
    /// A whole message. It may be empty.
    Payload(Vec<u8>),
    /// The end, without a word.
    Broken(&'static str),
    /// The end, with a word: that much padding is too little.
    Padding(u8),
}

/// The way in.
pub(super) struct Inbound {
    sequence: u32,
    guard: Guard,
    reading: Reading,
}

enum Reading {
    /// Before a packet.
    Start,
    /// After its first block, decrypted here.
    Body(Vec<u8>),
    /// After a broken packet, for so many bytes.
    Discard(usize),
}

/// The protection of one direction.
struct Guard {
    keyed: Option<Keyed>,
    mac: Option<Mac>,
    block: usize,
    chained: bool,
}

impl Guard {
    const NONE: Self = Self { keyed: None, mac: None, block: PLAIN_BLOCK, chained: false };

    fn new(suite: &Suite, keys: &Keys, seal: bool) -> Result<Self, ErrorStack> {
        let mac = suite.mac.map(|mac| Mac::new(mac, &keys.mac)).transpose()?;
        let keyed = Some(suite.cipher.start(&keys.cipher, &keys.iv, seal)?);
        Ok(Self { keyed, mac, block: suite.cipher.block, chained: suite.cipher.chained })
    }

    /// Whether the length stands outside of what is padded to whole blocks.
    fn length_apart(&self) -> bool {
        matches!(self.keyed, Some(Keyed::Gcm(_) | Keyed::ChaCha(_)))
            || self.mac.as_ref().is_some_and(|mac| mac.etm)
    }

    fn tag(&self) -> usize {
        match &self.keyed {
            Some(Keyed::Gcm(_) | Keyed::ChaCha(_)) => TAG,
            _ => self.mac.as_ref().map_or(0, |mac| mac.length),
        }
    }
}

impl Inbound {
    pub(super) const fn new() -> Self {
        Self { sequence: 0, guard: Guard::NONE, reading: Reading::Start }
    }

    /// The number of the next packet.
    pub(super) fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Protects all that follows.
    pub(super) fn protect(&mut self, suite: &Suite, keys: &Keys, restart: bool) -> Result<(), ErrorStack> {
        self.guard = Guard::new(suite, keys, false)?;
        if restart {
            self.sequence = 0;
        }
        Ok(())
    }

    /// Cuts the next piece off.
    pub(super) fn parse(&self, input: &mut Input<'_>) -> Result<Piece, Halt> {
        match &self.reading {
            Reading::Discard(left) => {
                let taken = input.rest().len().min(*left).max(1);
                input.take(taken)?;
                return Ok(Piece::Noise(taken));
            }
            Reading::Body(head) => {
                // At least the tag: packets with an encrypted length have one.
                let rest = packet_length(head).saturating_add(4).saturating_sub(head.len());
                let rest = input.take(rest.saturating_add(self.guard.tag()))?;
                return Ok(Piece::Packet(rest.to_vec()));
            }
            Reading::Start => {}
        }
        if self.guard.length_apart() {
            let written = input.array()?;
            let length = match &self.guard.keyed {
                Some(Keyed::ChaCha(cipher)) => cipher.length(self.sequence, written),
                _ => written,
            };
            let Some(length) = self.fitting(packet_length(&length), 0) else { return Ok(Piece::BadLength) };
            let body = input.take(length.saturating_add(self.guard.tag()))?;
            return Ok(Piece::Packet([&written[..], body].concat()));
        }
        let head = input.take(self.guard.block)?;
        if self.guard.keyed.is_some() {
            return Ok(Piece::Head(head.to_vec()));
        }
        let Some(length) = self.fitting(packet_length(head), head.len()) else { return Ok(Piece::BadLength) };
        let body = input.take(length)?;
        Ok(Piece::Packet([head, body].concat()))
    }

    /// How much of a packet that long is left to read, if there is such a packet.
    fn fitting(&self, length: usize, read: usize) -> Option<usize> {
        let left = match read {
            0 => length,
            read => length.saturating_add(4).checked_sub(read)?,
        };
        ((5..=MAX).contains(&length) && left.is_multiple_of(self.guard.block.max(1))).then_some(left)
    }

    /// Decrypts a piece.
    pub(super) fn open(&mut self, piece: Piece) -> Opened {
        let bytes = match piece {
            Piece::Head(mut head) => {
                if self.decrypt(&mut head).is_err() {
                    return Opened::Broken("a cipher failed");
                }
                return match self.fitting(packet_length(&head), head.len()) {
                    Some(_) => {
                        self.reading = Reading::Body(head);
                        Opened::Nothing
                    }
                    None => self.discard(MAX),
                };
            }
            Piece::BadLength => return Opened::Broken("bad packet length"),
            Piece::Noise(taken) => {
                return match &mut self.reading {
                    Reading::Discard(left) if *left > taken => {
                        *left = left.saturating_sub(taken);
                        Opened::Nothing
                    }
                    _ => Opened::Broken("a corrupted packet"),
                };
            }
            Piece::Packet(bytes) => bytes,
        };
        let head = match std::mem::replace(&mut self.reading, Reading::Start) {
            Reading::Body(head) => Some(head),
            _ => None,
        };
        let Some((sealed, tag)) = bytes.len().checked_sub(self.guard.tag()).map(|at| bytes.split_at(at))
        else {
            return Opened::Broken("a packet without a tag");
        };
        let length = head.as_ref().map_or(sealed.len(), |head| packet_length(head));
        match self.unseal(head, sealed, tag) {
            Some(packet) => {
                self.sequence = self.sequence.wrapping_add(1);
                payload(packet)
            }
            None if self.guard.mac.as_ref().is_some_and(|mac| mac.etm) => {
                Opened::Broken("a corrupted packet")
            }
            None => self.discard(MAX.saturating_sub(length)),
        }
    }

    /// The packet in clear, if its tag is right.
    fn unseal(&mut self, head: Option<Vec<u8>>, sealed: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let (length, body) = sealed.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        match (&mut self.guard.keyed, &self.guard.mac) {
            (None, _) => Some(sealed.to_vec()),
            (Some(Keyed::Gcm(cipher)), _) => {
                let body = cipher.open(length, body, tag).ok()?;
                Some([&length[..], &body].concat())
            }
            (Some(Keyed::ChaCha(cipher)), _) => {
                let body = cipher.open(self.sequence, sealed, tag)?;
                Some([&cipher.length(self.sequence, *length)[..], &body].concat())
            }
            (Some(Keyed::Plain(cipher)), Some(mac)) if mac.etm => {
                let right = mac.tag(self.sequence, sealed).is_ok_and(|expected| same(&expected, tag));
                let mut body = right.then(|| body.to_vec())?;
                cipher.apply(&mut body).ok()?;
                Some([&length[..], &body].concat())
            }
            (Some(Keyed::Plain(cipher)), mac) => {
                let mut rest = sealed.to_vec();
                cipher.apply(&mut rest).ok()?;
                let packet = [head.unwrap_or_default(), rest].concat();
                let expected = mac.as_ref()?.tag(self.sequence, &packet).ok()?;
                same(&expected, tag).then_some(packet)
            }
        }
    }

    fn decrypt(&mut self, data: &mut [u8]) -> Result<(), ErrorStack> {
        match &mut self.guard.keyed {
            Some(Keyed::Plain(cipher)) => cipher.apply(data),
            _ => Ok(()),
        }
    }

    /// With a chained cipher, reads on for as long as the longest packet would be, so that the peer cannot tell
    /// what was wrong (CVE-2008-5161).
    fn discard(&mut self, bytes: usize) -> Opened {
        if !self.guard.chained || bytes == 0 {
            return Opened::Broken("a corrupted packet");
        }
        self.reading = Reading::Discard(bytes);
        Opened::Nothing
    }
}

/// The `packet_length` at the start.
fn packet_length(head: &[u8]) -> usize {
    head.first_chunk().map_or(0, |length| size(u32::from_be_bytes(*length)))
}

fn payload(mut packet: Vec<u8>) -> Opened {
    let padding = packet.get(4).copied().unwrap_or_default();
    if padding < 4 {
        return Opened::Padding(padding);
    }
    let Some(end) = packet.len().checked_sub(padding.into()).filter(|end| *end >= 5) else {
        return Opened::Broken("more padding than packet");
    };
    packet.truncate(end);
    packet.drain(..5);
    Opened::Payload(packet)
}

/// The way out.
pub(super) struct Outbound {
    sequence: u32,
    guard: Guard,
}

impl Outbound {
    pub(super) const fn new() -> Self {
        Self { sequence: 0, guard: Guard::NONE }
    }

    /// Protects all that follows.
    pub(super) fn protect(&mut self, suite: &Suite, keys: &Keys, restart: bool) -> Result<(), ErrorStack> {
        self.guard = Guard::new(suite, keys, true)?;
        if restart {
            self.sequence = 0;
        }
        Ok(())
    }

    /// Makes a packet of a message. Padding is random where it is encrypted, else zero, as in OpenSSH.
    pub(super) fn seal(
        &mut self,
        payload: &[u8],
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Vec<u8>, ErrorStack> {
        let block = self.guard.block;
        let apart = if self.guard.length_apart() { 4 } else { 0 };
        let unpadded = payload.len().saturating_add(5);
        let beyond = unpadded.saturating_sub(apart).checked_rem(block).unwrap_or_default();
        let mut padding = block.saturating_sub(beyond);
        if padding < 4 {
            padding = padding.saturating_add(block);
        }
        let length = u32::try_from(unpadded.saturating_add(padding).saturating_sub(4)).unwrap_or(u32::MAX);
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(u8::try_from(padding).unwrap_or(u8::MAX));
        packet.extend_from_slice(payload);
        packet.resize(unpadded.saturating_add(padding), 0);
        if self.guard.keyed.is_some() {
            fill(packet.get_mut(unpadded..).unwrap_or_default());
        }
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.protected(sequence, packet)
    }

    fn protected(&mut self, sequence: u32, mut packet: Vec<u8>) -> Result<Vec<u8>, ErrorStack> {
        let (length, body) = packet.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        match (&mut self.guard.keyed, &self.guard.mac) {
            (None, _) => Ok(packet),
            (Some(Keyed::Gcm(cipher)), _) => Ok([&length[..], &cipher.seal(length, body)?].concat()),
            (Some(Keyed::ChaCha(cipher)), _) => {
                let length = cipher.length(sequence, *length);
                Ok([&length[..], &cipher.seal(sequence, &length, body)].concat())
            }
            (Some(Keyed::Plain(cipher)), mac) => {
                let etm = mac.as_ref().is_some_and(|mac| mac.etm);
                let tag = |packet: &[u8]| mac.as_ref().map(|mac| mac.tag(sequence, packet)).transpose();
                let before = if etm { None } else { tag(&packet)? };
                let start = if etm { 4 } else { 0 };
                cipher.apply(packet.get_mut(start..).unwrap_or_default())?;
                let tag = if etm { tag(&packet)? } else { before };
                packet.extend(tag.unwrap_or_default());
                Ok(packet)
            }
        }
    }
}
