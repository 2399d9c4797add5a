//! Options: which are agreed on, in the words and within the bounds of tftpd-hpa.

use std::time::Duration;

use super::request::{Opcode, Refusal, Request};

/// Bounds of a block (RFC 2348).
const SMALLEST: u64 = 8;
const LARGEST: u64 = 65_464;

/// What holds for a transfer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Bytes of a block.
    pub(super) block: usize,
    /// How long an answer is awaited before the first repetition.
    pub(super) wait: Duration,
    /// The block that follows 65535.
    pub(super) rollover: u16,
    /// What is agreed on, as OACK says it; empty if nothing is.
    pub(super) said: Vec<u8>,
}

/// Goes through the options. `size`: of the file that is to be read, as it will be sent; `text`: it is sent in netascii.
pub(super) fn agree(request: &Request<'_>, text: bool, size: usize) -> Result<Agreed, Refusal> {
    let mut agreed = Agreed { block: 512, wait: Duration::from_secs(1), rollover: 0, said: Vec::new() };
    for (name, value) in &request.options {
        // A value that is no number is as good as no option.
        let Some(number) = number(value) else { continue };
        let bytes = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let said = match name.to_ascii_lowercase().as_slice() {
            b"blksize" | b"blksize2" if number < SMALLEST => return Err(Refusal::OPTIONS),
            b"blksize" => {
                let size = number.min(LARGEST);
                agreed.block = bytes(size);
                size
            }
            b"blksize2" => {
                // A power of two, unless it is too large anyway.
                let power = 1_u64.checked_shl(number.ilog2()).unwrap_or(LARGEST);
                let size = if number > LARGEST { LARGEST } else { power };
                agreed.block = bytes(size);
                size
            }
            b"tsize" if request.opcode == Opcode::Write || number != 0 => number,
            b"tsize" if text => return Err(Refusal::OPTIONS),
            b"tsize" => u64::try_from(size).unwrap_or(u64::MAX),
            b"timeout" if (1..=255).contains(&number) => {
                agreed.wait = Duration::from_secs(number);
                number
            }
            b"utimeout" if (10_000..=255_000_000).contains(&number) => {
                agreed.wait = Duration::from_micros(number);
                number
            }
            b"rollover" => {
                agreed.rollover = u16::try_from(number).map_err(|_| Refusal::OPTIONS)?;
                number
            }
            b"timeout" | b"utimeout" => return Err(Refusal::OPTIONS),
            _ => continue,
        };
        agreed.said.extend_from_slice(name);
        agreed.said.push(0);
        agreed.said.extend_from_slice(said.to_string().as_bytes());
        agreed.said.push(0);
    }
    Ok(agreed)
}

/// As the C library's `strtoul` reads it, and nothing behind it: blanks and a sign before the digits, what is negative
/// wraps around.
fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(if text.starts_with('-') { number.wrapping_neg() } else { number })
}
