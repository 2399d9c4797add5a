//! Each preset against a receiver that is asked what a service's documentation demands of a message: required members,
//! limits of length, and that nothing in an attacker's text is more than text.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod chat;
mod data;
mod faults;
mod paging;
#[path = "../receivers/mod.rs"]
mod receivers;

use std::sync::Arc;

use haldane_core::{Record, Severity, Value as Fact};
use haldane_sinks::ALL;
use receivers::{
    Receiver, Request, configured, login,
    preset::{CLOSED, OPENED, UPDATED, keys, news, taken},
    sink,
};
use serde_json::{Value, json};

/// What an attacker might call himself.
fn hostile() -> String {
    format!(
        "x\r\nBcc: y\u{1b}[31m\"'\\<b>&amp;</b><!channel>@everyone<@U1>*_~`[a](https://evil.example){{{{7*7}}}}{{% raw %}}\u{202e}{}",
        "é😀]".repeat(512)
    )
}

fn presets() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|entry| entry.is_preset()).map(|entry| &*entry.name)
}

/// The request that a preset makes of a record.
pub async fn sent(preset: &'static str, record: Record) -> Request {
    let receiver = Receiver::new(move |_, _| taken(preset));
    let result = sink(preset, keys(preset, &receiver.url())).once(&[record]).await;
    assert_eq!(result, Ok(()), "{preset}");
    assert_eq!(receiver.count(), 1, "{preset}");
    receiver.request(0)
}

fn json_of(request: &Request) -> Value {
    serde_json::from_str(&request.body).unwrap_or_else(|error| panic!("{error}: {}", request.body))
}

fn units(value: &Value) -> usize {
    value.as_str().expect("a text").encode_utf16().count()
}

/// Every text in a JSON value, and every key.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(map) => {
            map.iter().flat_map(|(key, value)| [vec![key.clone()], texts(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// Presets for receivers that keep data: what a peer sent is there as it was.
const DATA: [&str; 4] = ["elasticsearch", "graylog", "loki", "splunk"];

/// Presets for services that show text as it is: an @ or a < means nothing there.
const BARE: [&str; 3] = ["ntfy", "pagerduty", "pushover"];

/// The texts of a request, whatever its form.
fn texts_of(request: &Request) -> Vec<String> {
    match request.header("content-type") {
        Some("application/x-www-form-urlencoded") => request
            .body
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(_, value)| plain(value))
            .collect(),
        Some("application/x-ndjson") => {
            request.body.lines().flat_map(|line| texts(&serde_json::from_str(line).unwrap())).collect()
        }
        _ => texts(&json_of(request)),
    }
}

/// Undoes the encoding of a form.
fn plain(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn an_attackers_text_reaches_every_preset_as_harmless_text() {
    let mut tried = 0;
    for preset in presets() {
        for record in [login(1, &hostile(), hostile()), news(&OPENED, &hostile()), news(&CLOSED, &hostile())]
        {
            let request = sent(preset, record).await;
            let head: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert!(!head.contains(&"bcc"), "{preset}: {head:?}");
            let texts = texts_of(&request);
            let all = texts.join("\n");
            assert!(!all.contains("49"), "{preset} computed: {all}");
            if DATA.contains(&preset) {
                tried += 1;
                continue;
            }
            for text in &texts {
                let bad: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
                assert!(bad.is_empty(), "{preset}: {bad:?} in {text}");
                let marks = ["@everyone", "<!channel>", "<@U1>", "<b>&amp;"];
                let marks = marks.into_iter().filter(|_| !BARE.contains(&preset));
                for forbidden in marks.chain(["\u{202e}", "https://evil"]) {
                    assert!(!text.contains(forbidden), "{preset}: {forbidden} in {text}");
                }
                assert!(!text.starts_with("Bcc") && !text.contains("\nBcc"), "{preset}: {text}");
            }
            assert!(all.contains("Bcc: y") || all.contains("Bcc\\: y") || all.len() < 400, "{preset}: {all}");
            tried += 1;
        }
    }
    assert_eq!(tried, presets().count() * 3);
}

#[tokio::test]
async fn a_key_that_must_be_given_is_asked_for_in_words_and_a_wrong_one_has_its_nearest() {
    for preset in presets() {
        let (_, _, problems) = configured(preset, json!({ "tokn": "x" }));
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|said| said.contains("expected") && said.contains(": ")),
            "{preset}: {said:?}"
        );
        assert!(said.iter().any(|said| said.contains("unknown key")), "{preset}: {said:?}");
    }
    let (_, _, problems) = configured("telegram", json!({ "tokn": "x", "chat_id": 1 }));
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("@BotFather"), "{said:?}");
    assert!(said[1].contains("did you mean \"token\""), "{said:?}");
}

#[test]
fn people_are_told_of_incidents_and_receivers_that_keep_data_of_every_event() {
    for entry in ALL.iter().filter(|entry| entry.is_preset()) {
        let (_, delivery, _) = configured(&entry.name, keys(&entry.name, "http://x"));
        let data = DATA.contains(&&*entry.name);
        assert_eq!(entry.is_for_incidents(), !data, "{}", entry.name);
        assert_eq!(delivery.wants.severity, if data { Severity::Info } else { Severity::Medium });
        assert!(entry.about().ends_with('.'), "{}", entry.name);
    }
}
