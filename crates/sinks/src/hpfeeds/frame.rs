//! The messages of hpfeeds: length (of the whole, 4 bytes), operation (1 byte), body. Names have their length, one
//! byte, before them.

use sha1::{Digest, Sha1};

/// A message from the broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Something is wrong; the connection ends.
    Error { text: Vec<u8> },
    /// The greeting. The nonce is to be hashed with the secret.
    Info { nonce: Vec<u8> },
    /// Anything else.
    Other,
}

impl Frame {
    /// The length of the body that follows these bytes; `None` if that is not hpfeeds.
    pub(super) fn body(head: [u8; 5]) -> Option<usize> {
        let [a, b, c, d, operation] = head;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?.checked_sub(5)?;
        (operation <= UNSUBSCRIBE && length <= LONGEST_HEARD).then_some(length)
    }

    /// A whole message.
    pub(super) fn parse(head: [u8; 5], body: &[u8]) -> Option<Self> {
        Some(match head[4] {
            ERROR => Self::Error { text: body.to_vec() },
            INFO => {
                let (length, rest) = body.split_first()?;
                Self::Info { nonce: rest.get(usize::from(*length)..)?.to_vec() }
            }
            _ => Self::Other,
        })
    }

    /// The first message of what was heard; an error that was cut off is an error all the same.
    pub(super) fn first(said: &[u8]) -> Option<Self> {
        let (head, rest) = said.split_first_chunk()?;
        let length = Self::body(*head)?.min(rest.len());
        Self::parse(*head, rest.get(..length)?)
    }

    /// Our name, and the proof that we know the secret.
    pub(super) fn auth(nonce: &[u8], ident: &str, secret: &str) -> Option<Vec<u8>> {
        let mut body = named(ident)?;
        body.extend_from_slice(&Sha1::new().chain_update(nonce).chain_update(secret).finalize());
        framed(AUTH, &body)
    }

    /// A message for a channel; `None` if it is too long.
    pub(super) fn publish(ident: &str, channel: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let mut body = named(ident)?;
        body.append(&mut named(channel)?);
        body.extend_from_slice(payload);
        framed(PUBLISH, &body)
    }
}

fn named(name: &str) -> Option<Vec<u8>> {
    let mut named = vec![u8::try_from(name.len()).ok()?];
    named.extend_from_slice(name.as_bytes());
    Some(named)
}

fn framed(operation: u8, body: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(body.len().checked_add(5)?).ok().filter(|_| body.len() <= LONGEST)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.push(operation);
    frame.extend_from_slice(body);
    Some(frame)
}

const ERROR: u8 = 0;
const INFO: u8 = 1;
const AUTH: u8 = 2;
const PUBLISH: u8 = 3;
const UNSUBSCRIBE: u8 = 5;

/// Bytes of a body that brokers accept.
pub(super) const LONGEST: usize = 1 << 20;
/// Bytes of a greeting or an error.
const LONGEST_HEARD: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_those_of_opencanarys_handler() {
        // Recorded from it: name "can", secret "sec", channels "a" and "b".
        let auth = b"\0\0\0\x1d\x02\x03can\xd9\xaag\xdf\xb2\xbe\xe3`\xd6\xe2\x11\x8f\x89I\xb51$\x0f|\x10";
        assert_eq!(Frame::auth(&[1, 2, 3, 4], "can", "sec").unwrap(), auth);
        let publish = b"\0\0\0\x13\x03\x03can\x01a{\"a\": 1}";
        assert_eq!(Frame::publish("can", "a", b"{\"a\": 1}").unwrap(), publish);
    }

    #[test]
    fn what_is_too_long_is_not_sent() {
        assert_eq!(Frame::publish("can", "a", &vec![b'x'; LONGEST]), None);
        assert_eq!(Frame::publish(&"c".repeat(256), "a", b""), None);
    }

    #[test]
    fn a_greeting_holds_a_nonce() {
        let parse = |said: &[u8]| Frame::first(said);
        let nonce = vec![1, 2, 3, 4];
        assert_eq!(parse(b"\0\0\0\x0e\x01\x04test\x01\x02\x03\x04"), Some(Frame::Info { nonce }));
        assert_eq!(parse(b"\0\0\0\x07\x00no"), Some(Frame::Error { text: b"no".to_vec() }));
        for wrong in
            [&b""[..], b"HTTP/1.1", b"\0\0\0\x04\x01", b"\0\0\0\x06\x01\x04", b"\x7f\xff\xff\xff\x01"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }
}
