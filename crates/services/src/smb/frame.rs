//! Packets of the session service (RFC 1002, section 4.3; over port 445: MS-SMB2, section 2.1).

use haldane_core::{Halt, Input};

/// The largest packet that is taken. Windows says that it takes writes of 8 MiB, but nobody gets as far as a write here.
pub const LARGEST: usize = 0x0010_0000;
/// Most bytes of an answer, whatever is asked for: a read of more is answered in part, as reads may be.
pub const MOST: usize = 0x0010_0000;
/// Bytes before a packet's content.
const HEAD: usize = 4;
/// A message of a session.
const MESSAGE: u8 = 0;
/// Sent before a session on port 139: who is called, and who calls.
const REQUEST: u8 = 0x81;
/// Sent to hold a connection open.
const KEEPALIVE: u8 = 0x85;
/// Bytes of a name as NetBIOS encodes it, with its length before and its end behind.
const NAME: usize = 34;

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// Of SMB 1, with its head.
    V1(Vec<u8>),
    /// Of SMB 2 and 3, with its head.
    V2(Vec<u8>),
    /// Compressed (MS-SMB2, section 2.2.42), whole.
    Compressed(Vec<u8>),
    /// Encrypted (section 2.2.41), whole.
    Encrypted(Vec<u8>),
    /// The wish for a session: the names that are called and that call.
    Request(Vec<u8>, Vec<u8>),
    /// Nothing is meant.
    KeepAlive,
}

impl Packet {
    /// Reads one. Anything that is no SMB is malformed: Windows hangs up.
    pub fn read(input: &mut Input<'_>) -> Result<Self, Halt> {
        let kind = input.peek()?;
        if !matches!(kind, MESSAGE | REQUEST | KEEPALIVE) {
            return Err(Halt::Malformed("no packet of the session service"));
        }
        let [_, high, middle, low] = input.array()?;
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        if length.saturating_add(HEAD) > LARGEST {
            return Err(Halt::Malformed("packet too large"));
        }
        // What it is shows before it is whole.
        if kind == MESSAGE && length >= HEAD {
            let known = matches!(input.rest(), [0xfc..=0xff, b'S', b'M', b'B', ..]);
            if input.rest().len() >= HEAD && !known {
                return Err(Halt::Malformed("no message of SMB"));
            }
        }
        let content = input.take(length)?.to_vec();
        Ok(match (kind, content.first()) {
            (KEEPALIVE, _) => Self::KeepAlive,
            (REQUEST, _) => Self::Request(name(&content, 0), name(&content, NAME)),
            (_, Some(0xff)) if length >= HEAD => Self::V1(content),
            (_, Some(0xfe)) if length >= HEAD => Self::V2(content),
            (_, Some(0xfd)) if length >= HEAD => Self::Encrypted(content),
            (_, Some(0xfc)) if length >= HEAD => Self::Compressed(content),
            _ => return Err(Halt::Malformed("no message of SMB")),
        })
    }
}

/// A message with its packet's head.
pub fn packet(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let [_, rest @ ..] = length;
    [&[MESSAGE][..], &rest, message].concat()
}

/// The answer to a [`Packet::Request`]: granted.
pub const GRANTED: [u8; 4] = [0x82, 0, 0, 0];

/// A name as NetBIOS encodes it (RFC 1001, section 14.1), without blanks and its purpose.
fn name(content: &[u8], at: usize) -> Vec<u8> {
    let letters = content.get(at..).and_then(|rest| rest.get(1..NAME.saturating_sub(1))).unwrap_or_default();
    let mut name: Vec<u8> = letters
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => high.wrapping_sub(b'A') << 4 | low.wrapping_sub(b'A') & 15,
            _ => 0,
        })
        .take(15)
        .collect();
    while name.last() == Some(&b' ') {
        name.pop();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Packet, Halt> {
        Packet::read(&mut Input::stream(bytes))
    }

    #[test]
    fn what_a_packet_is_shows_by_its_first_bytes() {
        assert_eq!(read(b"\0\0\0\x05\xffSMBr"), Ok(Packet::V1(b"\xffSMBr".to_vec())));
        assert_eq!(read(b"\0\0\0\x04\xfeSMB"), Ok(Packet::V2(b"\xfeSMB".to_vec())));
        assert_eq!(read(b"\0\0\0\x04\xfcSMB"), Ok(Packet::Compressed(b"\xfcSMB".to_vec())));
        assert_eq!(read(b"\x85\0\0\0"), Ok(Packet::KeepAlive));
        assert_eq!(read(&[0; 9]), Err(Halt::Malformed("no message of SMB")));
        assert_eq!(read(b"\0\0\0\x05\xffSMB"), Err(Halt::Need(9)));
        assert_eq!(read(b"GET / HTTP/1.0"), Err(Halt::Malformed("no packet of the session service")));
        assert_eq!(read(b"\0\0\x01\0HTTP"), Err(Halt::Malformed("no message of SMB")));
        assert_eq!(read(b"\0\x20\0\0"), Err(Halt::Malformed("packet too large")));
    }

    #[test]
    fn the_names_of_a_session_request_are_read() {
        let encoded = |name: &[u8; 16]| {
            let letters = name.iter().flat_map(|byte| [b'A' + (byte >> 4), b'A' + (byte & 15)]);
            [&[32][..], &letters.collect::<Vec<_>>(), &[0]].concat()
        };
        let names = [encoded(b"*SMBSERVER      "), encoded(b"KALI           \0")].concat();
        let packet = [&[0x81, 0, 0, 68][..], &names].concat();
        assert_eq!(read(&packet), Ok(Packet::Request(b"*SMBSERVER".to_vec(), b"KALI".to_vec())));
        assert_eq!(read(&[0x81, 0, 0, 2, 32, 65]), Ok(Packet::Request(Vec::new(), Vec::new())));
    }
}
