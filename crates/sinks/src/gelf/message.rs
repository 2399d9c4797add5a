//! The Graylog Extended Log Format, version 1.1 (<https://go2docs.graylog.org/current/getting_in_log_data/gelf.html>).

use std::time::UNIX_EPOCH;

use haldane_core::{Event, Severity};
use serde_json::{Map, Value, json};

use crate::encode;

/// The message for an event, without framing. What is inside something else in the native form gets the names of
/// all that it is in, joined by underscores.
pub(super) fn message(event: &Event, node: &str) -> Vec<u8> {
    let level = match event.severity {
        Severity::Info => 6,
        Severity::Low => 5,
        Severity::Medium => 4,
        Severity::High => 3,
        Severity::Critical => 2,
    };
    let since = event.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut message = Map::new();
    message.insert("version".into(), "1.1".into());
    message.insert("host".into(), node.into());
    message.insert("short_message".into(), encode::sentence(event).into());
    message.insert("full_message".into(), encode::text(event, false).into());
    message.insert("timestamp".into(), json!(since.as_secs_f64()));
    message.insert("level".into(), level.into());
    let native: Value = serde_json::from_str(&encode::native(event, node)).unwrap_or_default();
    // One level after the other: events nest a few deep.
    let mut waiting: Vec<(String, Value)> = vec![(String::new(), native)];
    while let Some((name, value)) = waiting.pop() {
        match value {
            Value::Object(inside) => waiting.extend(inside.into_iter().map(|(key, value)| {
                let key: String = key
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' })
                    .collect();
                (format!("{name}_{key}"), value)
            })),
            // Said above, in words of GELF's own; and _id is not allowed.
            _ if ["_time", "_node", "_message"].contains(&name.as_str()) => {}
            Value::Null => {}
            value if name == "_id" => {
                message.insert("_event_id".into(), value);
            }
            // Values are numbers and texts.
            value @ (Value::Number(_) | Value::String(_)) => {
                message.insert(name, value);
            }
            Value::Array(items) if items.iter().all(Value::is_string) => {
                let items: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                message.insert(name, items.join(", ").into());
            }
            value => {
                message.insert(name, value.to_string().into());
            }
        }
    }
    Value::Object(message).to_string().into_bytes()
}

/// Cut into datagrams: one, or chunks of up to 128, each with two magic bytes, the message's number, its own and how
/// many there are. `None` if it is too long for that.
pub(super) fn chunks(message: Vec<u8>, number: [u8; 8]) -> Option<Vec<Vec<u8>>> {
    if message.len() <= SHORT {
        return Some(vec![message]);
    }
    // What passes every network if it can be, what Graylog takes if it must.
    let most = usize::from(MOST_CHUNKS);
    let size = [SHORT, LONG]
        .into_iter()
        .map(|size| size.saturating_sub(HEAD))
        .find(|size| message.len() <= size.saturating_mul(most))?;
    let pieces = message.chunks(size);
    let count = u8::try_from(pieces.len()).ok()?;
    let chunk = |(at, piece): (u8, &[u8])| [&MAGIC[..], &number, &[at, count], piece].concat();
    Some((0..count).zip(pieces).map(chunk).collect())
}

const MAGIC: [u8; 2] = [0x1e, 0x0f];
/// Bytes before a chunk's own.
const HEAD: usize = 12;
const MOST_CHUNKS: u8 = 128;
/// Bytes of a datagram that no network between cuts.
const SHORT: usize = 1420;
/// Bytes of the longest datagram that Graylog takes by default.
const LONG: usize = 8192;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_into_numbered_chunks() {
        assert_eq!(chunks(vec![7; SHORT], [1; 8]), Some(vec![vec![7; SHORT]]));
        for (length, count, longest) in
            [(SHORT + 1, 2, SHORT), (1408 * 128, 128, SHORT), (1408 * 128 + 1, 23, LONG)]
        {
            let message: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let found = chunks(message.clone(), [9; 8]).unwrap();
            assert_eq!(found.len(), count);
            let mut whole = Vec::new();
            for (at, chunk) in (0..).zip(&found) {
                assert!(chunk.len() <= longest);
                let head = [0x1e, 0x0f, 9, 9, 9, 9, 9, 9, 9, 9, at, u8::try_from(count).unwrap()];
                assert_eq!(chunk[..12], head);
                whole.extend_from_slice(&chunk[12..]);
            }
            assert_eq!(whole, message);
        }
        assert_eq!(chunks(vec![0; 8180 * 128 + 1], [0; 8]), None);
    }
}
