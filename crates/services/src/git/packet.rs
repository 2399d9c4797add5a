//! The grammar of pkt-lines (gitprotocol-common, "pkt-line Format"), as git reads them: four hexadecimal digits of
//! either case, which count themselves, then so many bytes less four.

use haldane_core::{Halt, Input};

/// The longest that the daemon and upload-pack read, with its length: their buffer is LARGE_PACKET_MAX (65520)
/// bytes, and what they read must be shorter.
pub(super) const LONGEST: usize = 65_523;
/// The longest that git writes (LARGE_PACKET_MAX).
pub(super) const LONGEST_WRITTEN: usize = 65_520;

/// The end of a list.
pub(super) const FLUSH: &[u8] = b"0000";
/// Between two lists (gitprotocol-v2).
pub(super) const DELIMITER: &[u8] = b"0001";

/// One pkt-line.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// With content, which may be empty.
    Line(Vec<u8>),
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// `0002`.
    End,
    /// A length that is none. Git says nothing to it and leaves.
    Broken([u8; 4]),
}

/// Reads one.
pub(super) fn read(input: &mut Input<'_>) -> Result<Packet, Halt> {
    let digits: [u8; 4] = input.array()?;
    let length = digits.iter().try_fold(0_usize, |length, digit| {
        let digit = char::from(*digit).to_digit(16).and_then(|digit| usize::try_from(digit).ok())?;
        length.checked_mul(16)?.checked_add(digit)
    });
    Ok(match length {
        Some(0) => Packet::Flush,
        Some(1) => Packet::Delimiter,
        Some(2) => Packet::End,
        Some(length @ 4..=LONGEST) => Packet::Line(input.take(length.saturating_sub(4))?.to_vec()),
        _ => Packet::Broken(digits),
    })
}

/// Writes a line of those parts; nothing if it would be too long, as git then writes nothing.
pub(super) fn line(parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).fold(4, usize::saturating_add);
    if length > LONGEST_WRITTEN {
        return Vec::new();
    }
    let mut line = format!("{length:04x}").into_bytes();
    line.extend(parts.iter().flat_map(|part| part.iter().copied()));
    line
}

/// What git takes for the line: without one line feed at its end, and only up to a NUL (it is a C string).
pub(super) fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Result<Packet, Halt> {
        read(&mut Input::stream(bytes))
    }

    #[test]
    fn lengths_are_hexadecimal_of_either_case_and_count_themselves() {
        assert_eq!(one(b"000Aabcdef"), Ok(Packet::Line(b"abcdef".to_vec())));
        assert_eq!(one(b"000aabcdef"), Ok(Packet::Line(b"abcdef".to_vec())));
        assert_eq!(one(b"0004"), Ok(Packet::Line(Vec::new())));
        assert_eq!(
            [one(b"0000"), one(b"0001"), one(b"0002")],
            [Ok(Packet::Flush), Ok(Packet::Delimiter), Ok(Packet::End)]
        );
        for broken in [b"0003", b"fff4", b"ffff", b"-001", b"0x10", b"+010", b"\0\0\0\0"] {
            assert_eq!(one(broken), Ok(Packet::Broken(*broken)));
        }
        assert_eq!(one(b"fff3"), Err(Halt::Need(LONGEST)));
        assert_eq!(one(b"00"), Err(Halt::Need(4)));
    }

    #[test]
    fn a_line_longer_than_git_writes_is_not_written() {
        assert_eq!(line(&[b"ab", b"c"]), b"0007abc");
        assert_eq!(line(&[&[b'a'; 65_516]]).len(), LONGEST_WRITTEN);
        assert_eq!(line(&[&[b'a'; 65_517]]), b"");
    }
}
