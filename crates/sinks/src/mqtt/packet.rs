//! The packets of MQTT that a publisher needs. Sections are those of MQTT 5.0 and, in parentheses, of 3.1.1.

use tokio::io::AsyncReadExt;

use crate::link::{Line, bytes, foreign};

/// The version of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V3,
    V5,
}

/// Who we are.
#[derive(Debug)]
pub(super) struct Introduction<'a> {
    pub(super) client: &'a str,
    pub(super) username: Option<&'a str>,
    pub(super) password: Option<&'a str>,
}

/// CONNECT (3.1): a session of its own each time, without a will.
pub(super) fn connect(version: Version, who: &Introduction<'_>) -> Vec<u8> {
    let mut flags = CLEAN_START;
    let mut payload = Vec::new();
    string(&mut payload, who.client.as_bytes());
    for (text, flag) in [(who.username, USERNAME), (who.password, PASSWORD)] {
        if let Some(text) = text {
            flags |= flag;
            string(&mut payload, text.as_bytes());
        }
    }
    let mut body = Vec::new();
    string(&mut body, b"MQTT");
    let number = match version {
        Version::V3 => 4,
        Version::V5 => 5,
    };
    body.extend([number, flags]);
    body.extend(KEEP_ALIVE.to_be_bytes());
    no_properties(version, &mut body);
    body.append(&mut payload);
    packet(0x10, &body)
}

/// PUBLISH (3.3) with QoS 1.
pub(super) fn publish(version: Version, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    string(&mut body, topic.as_bytes());
    body.extend(id.to_be_bytes());
    no_properties(version, &mut body);
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

fn no_properties(version: Version, body: &mut Vec<u8>) {
    if version == Version::V5 {
        body.push(0);
    }
}

/// 1.5.4 (1.5.3); nothing here is longer than 64 KiB.
fn string(to: &mut Vec<u8>, text: &[u8]) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    to.extend(length.to_be_bytes());
    to.extend_from_slice(text.get(..usize::from(length)).unwrap_or_default());
}

/// A fixed header (2.1) before that body.
fn packet(head: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![head];
    let mut rest = body.len();
    loop {
        let digit = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        packet.push(if rest > 0 { digit | 0x80 } else { digit });
        if rest == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}

/// What a broker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// CONNACK (3.2).
    Connected { code: u8, limits: Limits },
    /// PUBACK (3.4).
    Taken { id: u16, code: u8 },
    /// DISCONNECT (3.14), which only MQTT 5 has from a broker.
    Disconnected { code: u8 },
    /// Something else.
    Other,
}

/// What the broker can take (3.2.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Messages that are not acknowledged yet.
    pub(super) unacknowledged: u16,
    /// Bytes of a packet.
    pub(super) packet: u32,
    /// The best quality of service.
    pub(super) qos: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unacknowledged: u16::MAX, packet: u32::MAX, qos: 2 }
    }
}

impl Answer {
    /// Reads the next packet.
    pub(super) async fn read(line: &mut Line, version: Version) -> std::io::Result<Self> {
        let head = line.read_u8().await?;
        if ![0x20, 0x40, 0xd0, 0xe0].contains(&head) {
            return Err(foreign("MQTT"));
        }
        let mut length = 0_usize;
        for digit in 0..4_u32 {
            let byte = line.read_u8().await?;
            length |= usize::from(byte & 0x7f) << digit.saturating_mul(7);
            if byte & 0x80 == 0 {
                let body = bytes(line, length, LONGEST_ANSWER).await?;
                return Self::parse(head, &body, version).ok_or_else(|| foreign("MQTT"));
            }
        }
        Err(foreign("MQTT"))
    }

    /// `None` if that is not MQTT.
    pub(super) fn parse(head: u8, body: &[u8], version: Version) -> Option<Self> {
        match (head, body) {
            (0x20, [_, code, rest @ ..]) => {
                let limits = if version == Version::V5 { Limits::parse(rest) } else { Limits::default() };
                Some(Self::Connected { code: *code, limits })
            }
            (0x40, [a, b, rest @ ..]) => {
                let code = rest.first().copied().unwrap_or_default();
                Some(Self::Taken { id: u16::from_be_bytes([*a, *b]), code })
            }
            (0xe0, rest) => Some(Self::Disconnected { code: rest.first().copied().unwrap_or_default() }),
            (0xd0, []) => Some(Self::Other),
            // Nobody publishes to us.
            _ => None,
        }
    }
}

impl Limits {
    /// From the properties (2.2.2) of a CONNACK; what comes after an unknown one is left alone.
    fn parse(properties: &[u8]) -> Self {
        let mut limits = Self::default();
        let mut rest = properties
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .map_or(properties, |end| properties.get(end.saturating_add(1)..).unwrap_or_default());
        while let Some((id, value)) = rest.split_first() {
            let width = match (*id, value) {
                (0x21, [a, b, ..]) => {
                    limits.unacknowledged = u16::from_be_bytes([*a, *b]).max(1);
                    2
                }
                (0x24, [qos, ..]) => {
                    limits.qos = *qos;
                    1
                }
                (0x27, [a, b, c, d, ..]) => {
                    limits.packet = u32::from_be_bytes([*a, *b, *c, *d]);
                    4
                }
                (0x25 | 0x28 | 0x29 | 0x2a, _) => 1,
                (0x13 | 0x22, _) => 2,
                (0x11, _) => 4,
                (0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f, [a, b, ..]) => {
                    usize::from(u16::from_be_bytes([*a, *b])).saturating_add(2)
                }
                _ => break,
            };
            rest = value.get(width..).unwrap_or_default();
        }
        limits
    }
}

/// What a refusal means (2.4; for 3.1.1 the codes of its 3.2.2.3), and what the operator can do.
pub(super) fn reason(code: u8) -> String {
    let meaning = match code {
        1 | 0x84 => "it does not speak this version: set `protocol` to the other one",
        2 | 0x85 => "it does not accept the client's name: set another `client_id`",
        3 | 0x88 => "it is not available now",
        4 | 0x86 => "authentication refused: check `username` and `password`",
        5 | 0x87 => {
            "not authorised: check `username` and `password`, and what this user may do with the topic"
        }
        0x89 => "it is busy",
        0x8a => "this client is banned",
        0x8b => "it is shutting down",
        0x8c => "it wants another way of authentication than a password",
        0x8d => "it has not heard from us for too long",
        0x8e => "another client came with the same name: give each canary a `client_id` of its own",
        0x90 => "it does not accept the topic's name",
        0x93 | 0x96 => "too many messages at once",
        0x95 => "the message is longer than it takes",
        0x97 => "a quota is used up",
        0x99 => "it does not accept the message's content",
        0x9b => "it has no QoS 1, without which nothing is certain to arrive",
        0x9c | 0x9d => "another server is to be used",
        0x9f => "too many connections in a short time",
        _ => "its log may say more",
    };
    format!("{meaning} (reason 0x{code:02x})")
}

const CLEAN_START: u8 = 0x02;
const PASSWORD: u8 = 0x40;
const USERNAME: u8 = 0x80;
/// Seconds of silence after which a broker may hang up, and nothing is lost by that: the longest that all of the
/// large brokers accept.
const KEEP_ALIVE: u16 = 1200;
/// Bytes. Nobody publishes to us, so answers are short.
const LONGEST_ANSWER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_those_of_the_specification() {
        let who = Introduction { client: "c", username: Some("u"), password: Some("pw") };
        assert_eq!(connect(Version::V3, &who), b"\x10\x14\0\x04MQTT\x04\xc2\x04\xb0\0\x01c\0\x01u\0\x02pw");
        let who = Introduction { client: "c", username: None, password: None };
        assert_eq!(connect(Version::V5, &who), b"\x10\x0e\0\x04MQTT\x05\x02\x04\xb0\0\0\x01c");
        assert_eq!(publish(Version::V3, "a/b", 258, b"hi"), b"\x32\x09\0\x03a/b\x01\x02hi");
        assert_eq!(publish(Version::V5, "a/b", 258, b"hi"), b"\x32\x0a\0\x03a/b\x01\x02\0hi");
        assert_eq!(&publish(Version::V3, "t", 1, &[0; 200])[..3], [0x32, 0xcd, 0x01]);
    }

    proptest::proptest! {
        #[test]
        fn no_answer_breaks_us(head in proptest::num::u8::ANY, body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = (Answer::parse(head, &body, Version::V5), Answer::parse(0x20, &body, Version::V5));
        }
    }

    #[test]
    fn a_broker_tells_its_limits() {
        // Session expiry, receive maximum, a name it gave, maximum packet size.
        let properties = b"\x13\x11\0\0\0\0\x21\0\x05\x12\0\x01x\x27\0\0\x10\0";
        let body = [b"\0\0", &properties[..]].concat();
        let limits = Limits { unacknowledged: 5, packet: 4096, qos: 2 };
        assert_eq!(Answer::parse(0x20, &body, Version::V5), Some(Answer::Connected { code: 0, limits }));
        let limits = Limits::default();
        assert_eq!(Answer::parse(0x20, b"\0\x05", Version::V3), Some(Answer::Connected { code: 5, limits }));
        assert_eq!(Answer::parse(0x40, b"\x01\x02", Version::V5), Some(Answer::Taken { id: 258, code: 0 }));
        assert_eq!(Answer::parse(0x48, b"TTP", Version::V5), None);
        // Nonsense changes nothing.
        for nonsense in [&b"\0\0"[..], b"\0\0\xff", b"\0\0\x05\x12\xff\xff", b"\0\0\x01\x21", b"\0\0\x80\x80"]
        {
            let Some(Answer::Connected { limits, .. }) = Answer::parse(0x20, nonsense, Version::V5) else {
                panic!("{nonsense:?}")
            };
            assert_eq!(limits, Limits::default(), "{nonsense:?}");
        }
    }
}
