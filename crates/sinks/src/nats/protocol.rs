//! The text protocol of NATS (<https://docs.nats.io/reference/reference-protocols/nats-protocol>), as far as a
//! publisher needs it.

use serde_json::Value;

use crate::link::{self, Line, foreign};

/// What a server says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    Info(Info),
    Ping,
    Pong,
    /// `-ERR`, without its quotes.
    Error(String),
    /// A message: here, an answer to one that we published.
    Message {
        subject: String,
        /// The status in its headers, as in 503; 0 if it has none.
        status: u16,
        payload: Vec<u8>,
    },
    Ok,
}

/// The greeting.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Info {
    /// Bytes of a message.
    pub(super) max_payload: usize,
    pub(super) tls_required: bool,
    pub(super) tls_available: bool,
    pub(super) headers: bool,
}

impl Said {
    /// Reads what comes next.
    pub(super) async fn read(line: &mut Line) -> std::io::Result<Self> {
        let text = link::line(line, LONGEST_LINE).await?;
        let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
        match word.to_ascii_uppercase().as_str() {
            "INFO" => Info::parse(rest).map(Self::Info).ok_or_else(|| foreign("NATS")),
            "PING" => Ok(Self::Ping),
            "PONG" => Ok(Self::Pong),
            "+OK" => Ok(Self::Ok),
            "-ERR" => Ok(Self::Error(rest.trim().trim_matches('\'').to_owned())),
            "MSG" | "HMSG" => {
                let headers = word.eq_ignore_ascii_case("HMSG");
                let (subject, head, whole) = lengths(rest, headers).ok_or_else(|| foreign("NATS"))?;
                let mut payload = link::bytes(line, whole, LONGEST_ANSWER).await?;
                link::bytes(line, 2, 2).await?;
                let rest = payload.split_off(head.min(payload.len()));
                Ok(Self::Message { subject, status: status(&payload), payload: rest })
            }
            _ => Err(foreign("NATS")),
        }
    }
}

impl Info {
    fn parse(json: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(json).ok()?;
        let flag = |key: &str| json.get(key).and_then(Value::as_bool).unwrap_or_default();
        let most =
            json.get("max_payload").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
        Some(Self {
            max_payload: most.unwrap_or(1 << 20),
            tls_required: flag("tls_required"),
            tls_available: flag("tls_available"),
            headers: flag("headers"),
        })
    }
}

/// `subject sid [reply] [length of headers] length`.
fn lengths(rest: &str, headers: bool) -> Option<(String, usize, usize)> {
    let words: Vec<_> = rest.split_ascii_whitespace().collect();
    let (whole, words) = words.split_last()?;
    let (head, words) = if headers { words.split_last()? } else { (&"0", words) };
    Some(((*words.first()?).to_owned(), head.parse().ok()?, whole.parse().ok()?))
}

/// Of `NATS/1.0 503 …`.
fn status(headers: &[u8]) -> u16 {
    let first = String::from_utf8_lossy(headers);
    let word = first.strip_prefix("NATS/1.0").and_then(|rest| rest.split_ascii_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// A message for a subject.
pub(super) fn publish(subject: &str, payload: &[u8]) -> Vec<u8> {
    let mut text = format!("PUB {subject} {}\r\n", payload.len()).into_bytes();
    text.extend_from_slice(payload);
    text.extend_from_slice(b"\r\n");
    text
}

/// The same with a name, by which a stream knows that it has it already, and a subject for the answer.
pub(super) fn publish_named(subject: &str, reply: &str, id: &str, payload: &[u8]) -> Vec<u8> {
    let headers = format!("NATS/1.0\r\nNats-Msg-Id: {id}\r\n\r\n");
    let whole = headers.len().saturating_add(payload.len());
    let mut text = format!("HPUB {subject} {reply} {} {whole}\r\n{headers}", headers.len()).into_bytes();
    text.extend_from_slice(payload);
    text.extend_from_slice(b"\r\n");
    text
}

/// Bytes of an `INFO`, which lists a cluster's servers.
const LONGEST_LINE: usize = 64 << 10;
/// Bytes of an answer.
const LONGEST_ANSWER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_lengths_before_them() {
        assert_eq!(publish("a.b", b"x\r\ny"), b"PUB a.b 4\r\nx\r\ny\r\n");
        let expected = "HPUB a.b _I.1 30 32\r\nNATS/1.0\r\nNats-Msg-Id: 1234\r\n\r\nhi\r\n";
        let named = String::from_utf8(publish_named("a.b", "_I.1", "1234", b"hi")).unwrap();
        assert_eq!(named, expected.replace("30 32", "31 33"));
    }

    #[test]
    fn an_answer_has_a_subject_and_perhaps_a_status() {
        assert_eq!(lengths("_I.1 1 5", false), Some(("_I.1".into(), 0, 5)));
        assert_eq!(lengths("_I.1 1 reply 12 17", true), Some(("_I.1".into(), 12, 17)));
        assert_eq!(lengths("5", false), None);
        assert_eq!(status(b"NATS/1.0 503\r\n\r\n"), 503);
        assert_eq!(status(b"NATS/1.0\r\na: b\r\n\r\n"), 0);
        let info = Info::parse("{\"max_payload\":1048576,\"tls_required\":true,\"headers\":true}").unwrap();
        assert_eq!((info.max_payload, info.tls_required, info.tls_available), (1 << 20, true, false));
        assert_eq!(Info::parse("{"), None);
    }
}
