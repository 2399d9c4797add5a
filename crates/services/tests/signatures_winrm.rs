//! What gives decoys of Windows remote management away, asked of ours: see `signatures.rs`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Cx, Effects, Entry, Flow, Input, session::Random};
use haldane_services::{
    ALL,
    replay::{Ending, Outcome, build, peer, talk},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "winrm").unwrap()
}

fn asked(pieces: &[&str]) -> Outcome {
    let protocol = build(entry(), &[]).unwrap().stream.unwrap();
    talk(protocol.as_ref(), &pieces.iter().map(|piece| piece.as_bytes()).collect::<Vec<_>>(), true)
}

/// Another sequence for each seed.
struct Seeded(u64);

impl Random for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// What is answered then to that request, as text.
fn answered(request: &str, seed: u64, now: SystemTime) -> String {
    let mut session = build(entry(), &[]).unwrap().stream.unwrap().open(&peer());
    let (mut random, peer, mut said) = (Seeded(seed), peer(), Vec::new());
    let mut inbox = request.as_bytes();
    while !inbox.is_empty() {
        let mut effects = Effects::default();
        let mut input = Input::stream(inbox);
        let mut cx = Cx::new(&peer, now, None, &mut random, &mut effects);
        let flow = session.step(&mut input, &mut cx).unwrap();
        inbox = &inbox[input.consumed()..];
        said.extend(effects.reply);
        if flow != Flow::Continue {
            break;
        }
    }
    String::from_utf8(said).unwrap()
}

/// A request of that method with NTLM's first message, as Windows sends it.
fn negotiate(method: &str) -> String {
    let token =
        b"NTLMSSP\0\x01\0\0\0\xb7\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\x61\x4a\0\0\0\x0f";
    let token = BASE64_STANDARD.encode(token);
    format!(
        "{method} /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: Negotiate {token}\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn neither_the_challenge_nor_the_date_is_always_the_same() {
    let (mut challenges, mut dates) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..16 {
        let answer = answered(&negotiate("POST"), seed, SystemTime::UNIX_EPOCH + Duration::from_secs(seed));
        let field = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let challenge = BASE64_STANDARD.decode(field("WWW-Authenticate: Negotiate ")).unwrap();
        challenges.insert(challenge[24..32].to_vec());
        dates.insert(field("Date: ").to_owned());
    }
    assert_eq!((challenges.len(), dates.len()), (16, 16));
}

/// The kernel's HTTP speaks NTLM, whatever is asked for; what the service answers has no reason in its first line.
#[test]
fn credentials_are_looked_at_before_the_request() {
    for method in ["GET", "POST", "OPTIONS"] {
        let answer = answered(&negotiate(method), 1, SystemTime::UNIX_EPOCH);
        assert!(
            answer.starts_with("HTTP/1.1 401 \r\nServer: Microsoft-HTTPAPI/2.0\r\n"),
            "{method}: {answer}"
        );
        assert!(answer.contains("\r\nWWW-Authenticate: Negotiate TlRMTVNTUAAC"), "{method}: {answer}");
        assert!(!answer.contains("Connection: close"), "{method}: {answer}");
    }
    let answer = answered("GET /wsman HTTP/1.1\r\nHost: x\r\n\r\n", 1, SystemTime::UNIX_EPOCH);
    assert!(answer.starts_with("HTTP/1.1 405 \r\nAllow: POST\r\n"), "{answer}");
}

/// A challenge counts on its own connection alone: an answer to none is refused like no answer.
#[test]
fn an_answer_without_a_challenge_is_refused_with_the_list_of_schemes() {
    let token = BASE64_STANDARD.encode([&b"NTLMSSP\0\x03\0\0\0"[..], &[0; 60]].concat());
    let request = format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: Negotiate {token}\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = answered(&request, 1, SystemTime::UNIX_EPOCH);
    assert!(
        answer.contains("\r\nWWW-Authenticate: Negotiate\r\nWWW-Authenticate: Basic realm=\"WSMAN\"\r\n"),
        "{answer}"
    );
}

/// What nobody is behind is the kernel's to answer, in its own words, and then it hangs up.
#[test]
fn what_is_no_request_to_the_service_gets_the_pages_of_the_kernel() {
    let status = |pieces: &[&str]| {
        let outcome = asked(pieces);
        assert_eq!(outcome.ending, Ending::Close, "{pieces:?}");
        let text = String::from_utf8(outcome.reply).unwrap();
        assert!(text.contains("Server: Microsoft-HTTPAPI/2.0\r\n"), "{text}");
        assert!(text.contains("<hr><p>HTTP Error "), "{text}");
        text.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status(&["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]), "404");
    assert_eq!(status(&["GET /wsmanx HTTP/1.1\r\nHost: x\r\n\r\n"]), "404");
    assert_eq!(status(&["GET /wsman HTTP/1.1\r\n\r\n"]), "400");
    assert_eq!(status(&["\x01\x02 junk\r\n\r\n"]), "400");
    assert_eq!(status(&["POST /wsman HTTP/1.1\r\nHost: x\r\n\r\n"]), "411");
    let chunk = "POST /wsman HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n";
    assert_eq!(status(&[chunk]), "400");
}

/// Two requests in one piece have two answers.
#[test]
fn a_pipeline_is_answered_whole() {
    let one = "GET /wsman HTTP/1.1\r\nHost: x\r\n\r\n";
    let text = String::from_utf8(asked(&[&one.repeat(2)]).reply).unwrap();
    assert_eq!(text.matches("HTTP/1.1 405 ").count(), 2, "{text}");
}
