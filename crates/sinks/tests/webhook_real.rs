//! What a receiver gets from our webhook and from the peer's for the same arguments: Python's requests, with
//! which the peer sends, and ours, side by side. Skipped without it; see [`receivers::python`].
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

mod receivers;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use receivers::{Receiver, Request, login, python, sink};
use serde_json::{Value, json};

/// What the message is in these tests, and the pattern that makes it.
const MESSAGE: &str = "{\"a\": \"é & =\\\"+%\", \"node\": \"canary-1\"}";

fn by_the_peer(python: &std::path::Path, arguments: &Value) {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/peer.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut arguments = arguments.clone();
    arguments["message"] = json!(MESSAGE);
    child.stdin.take().unwrap().write_all(arguments.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout == b"200\n", "{output:?}");
}

/// What must be the same of two requests.
fn essence(request: &Request) -> Value {
    let json = request.header("content-type") == Some("application/json");
    let body = if json { request.body.parse().unwrap() } else { json!(request.body) };
    let own: Vec<_> = request.headers.iter().filter(|(name, _)| name.starts_with("x-")).cloned().collect();
    json!({
        "line": request.line, "body": body, "own": own,
        "type": request.header("content-type"), "cookie": request.header("cookie"),
        "auth": request.header("authorization"), "host": request.header("host"),
    })
}

#[tokio::test]
async fn a_receiver_cannot_tell_our_request_from_the_peers() {
    let Some(python) = python("requests") else { return };
    let cases = [
        json!({}),
        json!({ "method": "PUT", "data": { "text": "a %(message)s b", "n": 1, "f": 2.5, "t": true, "none": null } }),
        json!({ "data": { "l": ["%(message)s", 2, null, ["x", "y"]], "d": { "k": "v", "m": [1] }, "%(message)s": "100%%" } }),
        json!({ "data": { "deep": [{ "er": ["%(message)s"] }], "n": null }, "headers": { "Content-Type": "application/json" } }),
        json!({ "data": { "a": "%(message)s" }, "headers": { "X-Kind": "application/json" } }),
        json!({ "data": "text %(message)s", "headers": { "X-One": "1", "Content-Type": "text/plain" } }),
        json!({ "auth": ["üser", "pä:ss"], "cookies": { "a": "1", "b": "x y" } }),
        json!({ "params": { "a": "x y&", "b": [1, "2", null], "c": null, "d": true, "e": { "k": 1 } } }),
        json!({ "params": "raw=1&é=ü" }),
        json!({ "method": "GET", "data": { "q": "%(message)s" } }),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let receiver = Receiver::new(|_, _| ("200 OK".into(), "fine"));
        let mut arguments = case.clone();
        // Its own escapes, a blank and a letter that must be escaped, a fragment that must not be sent.
        arguments["url"] = json!(format!("http://127.0.0.1:{}/p a/%2Fé?q=1 2#f", receiver.port));
        if arguments.get("method").is_none() {
            arguments["method"] = json!("POST");
        }
        by_the_peer(&python, &arguments);
        arguments["pattern"] = json!(MESSAGE.replace('%', "%%").replace("canary-1", "%(name)s"));
        if arguments.get("data").is_none() {
            // As the import sets it.
            arguments["data"] = json!({ "message": "%(message)s" });
        }
        sink("webhook", arguments).once(&[login(1, "a", "b")]).await.unwrap();
        assert_eq!(essence(&receiver.request(1)), essence(&receiver.request(0)), "case {number}: {case}");
    }
}

#[tokio::test]
async fn a_login_in_the_address_is_taken_as_the_peer_takes_it() {
    let Some(python) = python("requests") else { return };
    let receiver = Receiver::new(|_, _| ("200 OK".into(), ""));
    let arguments = json!({
        "url": format!("http://u:p%40s@127.0.0.1:{}", receiver.port), "method": "POST", "data": { "a": "b" }
    });
    by_the_peer(&python, &arguments);
    sink("webhook", arguments).once(&[login(1, "a", "b")]).await.unwrap();
    assert_eq!(essence(&receiver.request(1)), essence(&receiver.request(0)));
}
