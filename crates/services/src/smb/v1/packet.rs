//! What a client of SMB 1 sends: a header, and a chain of commands behind it (MS-CIFS, section 2.2.3).
//!
//! Offsets in commands count from the header, so a packet is kept whole. A chain only ever moves forward: a command that
//! points at itself, or back, is where it ends.

use haldane_core::{Halt, Input};
use haldane_wire::ntlm::utf8;

use super::flags2;

/// Bytes of the header.
pub(crate) const HEADER: usize = 32;
/// With what it begins.
pub(crate) const MAGIC: &[u8; 4] = b"\xffSMB";
/// The command that ends a chain.
const NONE: u8 = 0xff;
/// Longest text that is read, in bytes.
const TEXT: usize = 8192;

/// The header (section 2.2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) command: u8,
    pub(crate) flags: u8,
    /// See [`flags2`].
    pub(crate) flags2: u16,
    pub(crate) pid_high: u16,
    pub(crate) tid: u16,
    pub(crate) pid: u16,
    pub(crate) uid: u16,
    pub(crate) mid: u16,
}

impl Header {
    /// Whether it has that flag.
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags2 & flag != 0
    }

    /// The process that asks.
    pub(crate) fn process(&self) -> u32 {
        u32::from(self.pid_high) << 16 | u32::from(self.pid)
    }
}

/// A whole message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) header: Header,
    bytes: Vec<u8>,
}

impl Packet {
    /// Takes a message without the frame around it.
    ///
    /// # Errors
    /// If it is no message of SMB 1: a server hangs up on that.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Halt> {
        let mut input = Input::whole(bytes);
        if input.array()? != *MAGIC {
            return Err(Halt::Malformed("no SMB"));
        }
        let command = input.u8()?;
        input.take(4)?;
        let (flags, flags2, pid_high) = (input.u8()?, input.u16_le()?, input.u16_le()?);
        // A signature, and two bytes that mean nothing.
        input.take(10)?;
        let (tid, pid) = (input.u16_le()?, input.u16_le()?);
        let (uid, mid) = (input.u16_le()?, input.u16_le()?);
        let header = Header { command, flags, flags2, pid_high, tid, pid, uid, mid };
        Ok(Self { header, bytes: bytes.to_vec() })
    }

    /// The first command of the chain.
    pub(crate) fn first(&self) -> Option<Block<'_>> {
        self.block(self.header.command, HEADER)
    }

    /// The command whose words begin there. `None`: it is not whole.
    fn block(&self, command: u8, at: usize) -> Option<Block<'_>> {
        let mut input = Input::whole(self.bytes.get(at..)?);
        let count = input.u8().ok()?;
        let words = input.take(usize::from(count).checked_mul(2)?).ok()?;
        let claimed = usize::from(input.u16_le().ok()?);
        let from = at.checked_add(input.consumed())?;
        // Clients get this count wrong, with large writes on purpose: what is there counts.
        let bytes = input.take_rest();
        let bytes = bytes.get(..claimed).unwrap_or(bytes);
        Some(Block { packet: self, command, words, bytes, from })
    }
}

/// One command of a chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a> {
    packet: &'a Packet,
    pub(crate) command: u8,
    words: &'a [u8],
    pub(crate) bytes: &'a [u8],
    /// Where the bytes begin in the packet.
    from: usize,
}

impl<'a> Block<'a> {
    /// The header of the packet that it came in.
    pub(crate) fn header(&self) -> &'a Header {
        &self.packet.header
    }

    /// Its words, one after the other.
    pub(crate) fn words(&self) -> Input<'a> {
        Input::whole(self.words)
    }

    /// How many words there are.
    pub(crate) fn count(&self) -> usize {
        self.words.len() / 2
    }

    /// Its bytes as texts.
    pub(crate) fn texts(&self) -> Texts<'a> {
        self.texts_after(0)
    }

    /// The texts behind so many of its bytes.
    pub(crate) fn texts_after(&self, skipped: usize) -> Texts<'a> {
        let rest = self.bytes.get(skipped..).unwrap_or_default();
        Texts::new(rest, self.from.saturating_add(skipped), self.header().has(flags2::UNICODE))
    }

    /// What lies in the packet where an offset of the command points.
    pub(crate) fn part(&self, offset: usize, length: usize) -> Option<&'a [u8]> {
        self.packet.bytes.get(offset..offset.checked_add(length)?)
    }

    /// The same, as far as it is there.
    pub(crate) fn part_or_less(&self, offset: usize, length: usize) -> &'a [u8] {
        let from = self.packet.bytes.get(offset..).unwrap_or_default();
        from.get(..length).unwrap_or(from)
    }

    /// The command behind this one, if it begins with where the next is and there is one.
    pub(crate) fn next(&self) -> Option<Block<'a>> {
        let mut words = self.words();
        let (command, _, at) = (words.u8().ok()?, words.u8().ok()?, usize::from(words.u16_le().ok()?));
        (command != NONE && at >= self.from).then(|| self.packet.block(command, at))?
    }
}

/// Texts one after the other, as the header says: in UTF-16, each at an even place, or in a code page. Each ends with a
/// zero, or where the bytes end.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    input: Input<'a>,
    from: usize,
    unicode: bool,
}

impl<'a> Texts<'a> {
    /// Bytes that begin at that place in the packet.
    pub(crate) fn new(bytes: &'a [u8], from: usize, unicode: bool) -> Self {
        Self { input: Input::whole(bytes), from, unicode }
    }

    /// The next text, in UTF-8; empty if there is none.
    pub(crate) fn text(&mut self) -> Vec<u8> {
        if !self.unicode {
            return self.bytes().to_vec();
        }
        if self.from.wrapping_add(self.input.consumed()) % 2 == 1 {
            let _ = self.input.u8();
        }
        let rest = self.input.rest();
        let units = rest.chunks_exact(2).take(TEXT / 2).position(|unit| unit == [0, 0]);
        let length = units.map_or(rest.len().min(TEXT), |units| units.saturating_mul(2));
        let text = utf8(self.input.take(length).unwrap_or_default());
        let _ = self.input.u16_le();
        text
    }

    /// The same, before which stands a byte that tells its format (section 2.2.1.4: `BUFFER_FORMAT`).
    pub(crate) fn formatted(&mut self) -> Vec<u8> {
        let _ = self.input.u8();
        self.text()
    }

    /// The next text whatever the header says: in a code page.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        match self.input.until(0, TEXT) {
            Ok(text) => text,
            Err(_) => self.input.take_rest(),
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.input.is_empty()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A packet of one command.
    pub(in super::super) fn packet(command: u8, flags2: u16, words: &[u8], bytes: &[u8]) -> Vec<u8> {
        let mut packet = [MAGIC, &[command, 0, 0, 0, 0, 0x18][..]].concat();
        packet.extend(flags2.to_le_bytes());
        packet.extend([0; 12]);
        packet.extend([0, 0, 1, 0, 0, 0, 2, 0]);
        packet.push(u8::try_from(words.len() / 2).unwrap());
        packet.extend(words);
        packet.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        packet.extend(bytes);
        packet
    }

    #[test]
    fn a_chain_that_points_back_ends() {
        // Two commands, of which the second points at the first, at itself, at nothing, and at its own words.
        for (target, commands) in [(32, 2), (41, 2), (60_000, 2), (44, 2), (50, 3)] {
            let first = packet(0x73, 0, &[0x75, 0, 41, 0], &[0, 0]);
            assert_eq!(first.len(), 41);
            let mut whole = first;
            whole.extend([2, 0x71, 0]);
            whole.extend(u16::try_from(target).unwrap().to_le_bytes());
            whole.extend([2, 0, 9, 9]);
            whole.extend([0, 0, 0]);
            let whole = Packet::read(&whole).unwrap();
            let chain = std::iter::successors(whole.first(), Block::next);
            assert_eq!(chain.take(10).count(), commands, "{target}");
        }
    }

    #[test]
    fn texts_lie_at_even_places_if_they_are_unicode() {
        let texts = |bytes: &[u8], from, unicode| {
            let mut texts = Texts::new(bytes, from, unicode);
            std::iter::from_fn(|| (!texts.is_empty()).then(|| texts.text())).collect::<Vec<_>>()
        };
        assert_eq!(texts(b"\0a\0b\0\0\0c\0\0\0", 47, true), [&b"ab"[..], b"c"]);
        assert_eq!(texts(b"a\0b\0\0\0c\0", 46, true), [&b"ab"[..], b"c"]);
        assert_eq!(texts(b"ab\0c", 47, false), [&b"ab"[..], b"c"]);
    }

    #[test]
    fn what_ends_anywhere_does_no_harm() {
        let whole = packet(0x73, flags2::UNICODE, &[0x75, 0, 41, 0], b"\0a\0b\0\0");
        for length in 0..whole.len() {
            let Ok(packet) = Packet::read(&whole[..length]) else {
                assert!(length < HEADER);
                continue;
            };
            for block in std::iter::successors(packet.first(), Block::next) {
                block.texts().text();
                block.part_or_less(40, 100);
            }
        }
        assert!(Packet::read(b"\xfeSMB").is_err());
    }
}
