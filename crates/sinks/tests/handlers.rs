//! What handlers of the peer's send over HTTP, byte by byte, against recordings of OpenCanary 0.9.9 itself
//! (`receivers/handlers.py` makes them).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod receivers;

use std::sync::Arc;

use haldane_core::{Class, Kind, Record, Severity, Sighting, Value as Fact};
use haldane_sinks::encode::{compatible, members};
use receivers::{Receiver, login, sink};
use serde_json::{Value, json};

static MESSAGE: Kind = Kind::new(39090, "test.message", Class::Probe, Severity::Low, "Message");

/// One object a line, in the order of [`events`]: `message`, and the bodies that were sent for it.
const RECORDED: &str = include_str!("data/peer-handlers.jsonl");
/// What stands for the local time in the recordings.
const LOCAL: &str = "2026-11-18 11:06:40.123000";

fn events() -> Vec<Record> {
    let mut nested = login(2, "", "");
    let event = Arc::make_mut(&mut nested.event);
    event.kind = &MESSAGE;
    event.login = None;
    let inner = |value: Fact| Fact::Map([("Deep Key".to_owned(), value)].into());
    let list = vec![
        Fact::from(1_u8),
        Fact::from("it's"),
        inner(Fact::from(true)),
        Fact::Null,
        Fact::from("a\"'\n\u{e9}\u{200b}"),
    ];
    event.fields = Sighting::of(&MESSAGE)
        .with("list", list)
        .with("map", inner(inner(Fact::from("x"))))
        .with("empty", Fact::Map([].into()))
        .with("none", Fact::Null)
        .with("yes", true)
        .fields;
    vec![login(1, "bob", "pa\"s's\u{e9}\\ <b>&"), login(3, "root", b"\xff\x00 a"), nested]
}

fn recorded() -> Vec<Value> {
    RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A recording as it would be on this machine.
fn here(recorded: &str, record: &Record) -> String {
    let local = members(&record.event, "canary-1")["local_time_adjusted"].clone();
    let Fact::Text(local) = local else { panic!("{local:?}") };
    recorded
        .replace(&format!("adjusted\": \"{LOCAL}"), &format!("adjusted\": \"{local}"))
        .replace(&format!("adjusted\", \"value\": \"{LOCAL}"), &format!("adjusted\", \"value\": \"{local}"))
}

async fn sent(payload: &str, record: &Record) -> receivers::Request {
    let receiver = Receiver::new(|_, _| ("200 OK".into(), ""));
    let keys = json!({ "url": format!("{}/x", receiver.url()), "payload": payload, "format": "compatible" });
    sink("webhook", keys).once(std::slice::from_ref(record)).await.unwrap();
    receiver.request(0)
}

#[tokio::test]
async fn slack_and_teams_get_the_very_bytes_that_the_peer_sends() {
    for (record, recorded) in events().iter().zip(recorded()) {
        assert_eq!(
            compatible(&record.event, "canary-1"),
            here(recorded["message"].as_str().unwrap(), record)
        );
        for (payload, name) in [("opencanary-slack", "slack"), ("opencanary-teams", "teams")] {
            let request = sent(payload, record).await;
            assert_eq!(request.header("content-type"), Some("application/json"));
            assert_eq!(request.body, here(recorded[name].as_str().unwrap(), record), "{name}");
        }
    }
    assert_eq!(recorded().len(), events().len());
}

#[tokio::test]
async fn a_form_of_pythons_own_handler_has_its_fields_in_its_order() {
    // What differs from one process to the next, and what only Python's source has.
    let own = [
        "msg",
        "pathname",
        "filename",
        "module",
        "lineno",
        "funcName",
        "created",
        "msecs",
        "relativeCreated",
        "thread",
        "process",
    ];
    for (record, recorded) in events().iter().zip(recorded()) {
        let request = sent("python-logrecord", record).await;
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        let pairs = |form: &str| -> Vec<(String, String)> {
            let pairs = form.split('&').map(|pair| pair.split_once('=').unwrap());
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let (ours, theirs) = (pairs(&request.body), pairs(recorded["form"].as_str().unwrap()));
        let names =
            |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&ours), names(&theirs));
        for ((name, ours), (_, theirs)) in ours.iter().zip(&theirs) {
            match name.as_str() {
                "msg" if LOCAL == local(record) => assert_eq!(ours, theirs),
                "created" => assert_eq!(ours, "1795000000.123"),
                "msecs" => assert_eq!(ours, "123.0"),
                name if own.contains(&name) => assert!(!ours.is_empty(), "{name}"),
                name => assert_eq!(ours, theirs, "{name}"),
            }
        }
    }
}

fn local(record: &Record) -> String {
    match &members(&record.event, "canary-1")["local_time_adjusted"] {
        Fact::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn with_get_the_form_is_the_query_and_a_login_is_utf8() {
    let receiver = Receiver::new(|_, _| ("200 OK".into(), ""));
    let keys = json!({
        "url": format!("{}/log?a=b", receiver.url()), "payload": "python-logrecord", "method": "GET",
        "auth": ["user", "p\u{e4}ss"]
    });
    sink("webhook", keys).once(&events()[..1]).await.unwrap();
    let request = receiver.request(0);
    assert!(
        request.line.starts_with("GET /log?a=b&name=canary-1&msg=%7B%22dst_host%22%3A+"),
        "{}",
        request.line
    );
    assert!(request.line.ends_with(&format!("&process={} HTTP/1.1", std::process::id())), "{}", request.line);
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpww6Rzcw=="));
    assert_eq!((request.body.as_str(), request.header("content-length")), ("", None));
    assert_eq!(request.header("content-type"), None);
}

#[tokio::test]
async fn a_signed_message_can_be_checked_by_its_receiver() {
    let receiver = Receiver::new(|_, _| ("200 OK".into(), ""));
    for sign in ["github", "stripe", "standard-webhooks"] {
        let keys = json!({ "url": receiver.url(), "sign": sign, "sign_secret": "s3cr3t" });
        sink("webhook", keys).once(&events()[..1]).await.unwrap();
    }
    let keys = json!({ "url": receiver.url(), "sign": "github", "sign_secret": "s3cr3t", "sign_header": "X-Signature" });
    sink("webhook", keys).once(&events()[..1]).await.unwrap();
    let (github, stripe) = (receiver.request(0), receiver.request(1));
    let (standard, own) = (receiver.request(2), receiver.request(3));
    let signature = |request: &receivers::Request, name: &str| request.header(name).unwrap().to_owned();
    assert_eq!(signature(&github, "x-hub-signature-256"), format!("sha256={}", hmac(&github.body)));
    assert_eq!(signature(&own, "x-signature"), format!("sha256={}", hmac(&own.body)));
    let stamp = signature(&stripe, "stripe-signature");
    let (time, mac) = stamp.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert_eq!(mac, hmac(&format!("{time}.{}", stripe.body)));
    assert_eq!(signature(&standard, "webhook-id"), "01935aad-0000-7000-8000-000000000001");
    assert!(signature(&standard, "webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    assert!(signature(&standard, "webhook-signature").starts_with("v1,"));
    let (_, _, problems) = receivers::configured("webhook", json!({ "url": "http://x", "sign": "github" }));
    assert!(problems[0].to_string().contains("sign_secret: expected a secret"), "{problems:?}");
}

fn hmac(text: &str) -> String {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", "s3cr3t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
    output.trim().rsplit(' ').next().unwrap().to_owned()
}
