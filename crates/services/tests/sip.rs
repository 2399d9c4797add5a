//! What SIP promises beyond its transcripts, above all over UDP.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use haldane_core::{Entry, Secret, Severity, Value};
use haldane_services::{
    ALL,
    replay::{Outcome, build, datagrams},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "sip").unwrap()
}

fn send(settings: &[&str], sent: &[&str]) -> Outcome {
    let sent: Vec<&[u8]> = sent.iter().map(|text| text.as_bytes()).collect();
    datagrams(&build(entry(), settings).unwrap(), &sent, false)
}

fn request(method: &str, branch: &str, more: &str) -> String {
    format!(
        "{method} sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-{branch};rport\r\n\
         From: <sip:100@192.0.2.1>;tag=1\r\nTo: <sip:100@192.0.2.1>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\
         User-Agent: Phone 1.0\r\n{more}Content-Length: 0\r\n\r\n"
    )
}

fn authorization(rest: &str) -> String {
    format!("Authorization: Digest username=\"100\", realm=\"asterisk\", nonce=\"n1\", {rest}\r\n")
}

fn line_of(method: &str, authorization: &str) -> Option<String> {
    let outcome = send(&[], &[&request(method, "1", authorization)]);
    let [seen] = outcome.seen.as_slice() else { panic!("{outcome:?}") };
    assert_eq!(seen.severity, Severity::High);
    let Some(Secret::Response { crackable, .. }) = seen.login.as_ref().unwrap().secret.clone() else {
        panic!("{seen:?}")
    };
    crackable
}

#[test]
fn a_request_that_is_sent_again_is_one_event_and_is_answered_each_time() {
    let (one, other) = (request("REGISTER", "1", ""), request("REGISTER", "2", ""));
    let outcome = send(&[], &[&one, &one, &other, &one]);
    assert_eq!(outcome.seen.len(), 2);
    let answers = outcome.reply.windows(16).filter(|part| part == b"401 Unauthorized").count();
    assert_eq!(answers, 4);
}

#[test]
fn a_digest_answer_is_a_line_that_hashcat_and_john_crack() {
    let response = "0123456789abcdef0123456789abcdef";
    let bare = authorization(&format!("uri=\"sip:pbx.example:5061\", response=\"{response}\""));
    let expected =
        format!("$sip$*192.0.2.1*192.0.2.7*100*asterisk*REGISTER*sip*pbx.example*5061*n1****MD5*{response}");
    assert_eq!(line_of("REGISTER", &bare), Some(expected));
    let qop = authorization(&format!(
        "uri=\"sip:pbx\", response=\"{response}\", qop=auth, nc=00000001, cnonce=\"c1\", algorithm=MD5"
    ));
    let expected =
        format!("$sip$*192.0.2.1*192.0.2.7*100*asterisk*INVITE*sip*pbx**n1*c1*00000001*auth*MD5*{response}");
    assert_eq!(line_of("INVITE", &qop), Some(expected));
}

#[test]
fn an_answer_that_no_line_can_hold_has_none() {
    for rest in [
        "uri=\"sip:pbx\", response=\"12\"",
        "uri=\"sip:*\", response=\"0123456789abcdef0123456789abcdef\"",
        "uri=\"sip:pbx\", algorithm=SHA-256, response=\"0123456789abcdef0123456789abcdef\"",
        "uri=\"sip:pbx\", response=\"0123456789abcdef0123456789abcdeg\"",
    ] {
        assert_eq!(line_of("REGISTER", &authorization(rest)), None, "{rest}");
    }
}

#[test]
fn the_answer_to_a_short_datagram_leaves_the_servers_name_out_and_then_itself() {
    let short = "REGISTER sip:a SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bKx\r\nf:<sip:a@a>;tag=1\r\nt:<sip:a@a>\r\n\
                 i:1\r\nCSeq:1 REGISTER\r\nUser-Agent: x";
    let mut lengths = Vec::new();
    for more in [120, 60, 0] {
        let sent = format!("{short}{}\r\n\r\n", "x".repeat(more));
        let reply = send(&[], &[&sent]).reply;
        assert!(reply.len() <= sent.len() * 2);
        lengths.push((!reply.is_empty(), reply.windows(8).any(|part| part == b"Server: ")));
    }
    assert_eq!(lengths, [(true, true), (true, false), (false, false)]);
}

#[test]
fn calls_matter_more_than_questions_and_tools_more_than_phones() {
    let severity = |text: &str| send(&[], &[text]).seen[0].severity;
    assert_eq!(severity(&request("OPTIONS", "1", "")), Severity::Low);
    assert_eq!(severity(&request("INVITE", "1", "")), Severity::Medium);
    let scanner = request("OPTIONS", "1", "").replace("Phone 1.0", "VaxSIPUserAgent/3.1");
    let outcome = send(&[], &[&scanner]);
    assert_eq!(outcome.seen[0].severity, Severity::Medium);
    assert_eq!(outcome.seen[0].fields["tool"], Value::from("VaxSIPUserAgent"));
}

#[test]
fn the_compatible_log_holds_the_headers_alone() {
    let outcome = send(&[], &[&request("OPTIONS", "1", "v: SIP/2.0/UDP b;branch=z9hG4bK0\r\n")]);
    let seen = &outcome.seen[0];
    let compat = seen.kind.compat.unwrap();
    assert_eq!((seen.kind.number, compat.len(), compat[0].key), (15001, 1, "HEADERS"));
    let Value::Map(headers) = &seen.fields["headers"] else { panic!("{seen:?}") };
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["call-id", "content-length", "cseq", "from", "to", "user-agent", "via"]);
    let via = ["SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK-1;rport", "SIP/2.0/UDP b;branch=z9hG4bK0"];
    assert_eq!(headers["via"], Value::List(via.map(Value::from).to_vec()));
}

#[test]
fn line_ends_alone_are_seen_and_what_is_no_sip_is_malformed() {
    let outcome = send(&[], &["\r\n\r\n", "\r\n", "hello\r\n\r\n", ""]);
    let kinds: Vec<&str> = outcome.seen.iter().map(|seen| seen.kind.name).collect();
    // The framework records the others.
    assert_eq!(kinds, ["sip.keepalive", "sip.keepalive"]);
    assert!(outcome.reply.is_empty());
}

#[test]
fn a_server_name_cannot_break_the_answer() {
    for settings in ["server = \"a\\r\\nb\"", "realm = \"a\\\"b\"", "product = \"cisco\""] {
        assert!(build(entry(), &[settings]).is_err(), "{settings}");
    }
}

/// Its own recorded answer to a challenge with qop, for the password "secret"; computed with Python's hashlib.
#[test]
fn hydras_answer_is_completed_with_what_it_keeps_to_itself() {
    let answer = "Authorization: Digest username=\"100\",realm=\"asterisk\",\
                  nonce=\"1795525775/eaf809ea7733d2a789f1537cfb730aac\",uri=\"sip:asterisk\",\
                  response=8982564361456c54a5372170873e0ce5\r\n";
    let asked = request("REGISTER", "1", answer)
        .replace("sip:192.0.2.1 SIP", "sip:127.0.0.1 SIP")
        .replace("Call-ID: c", "Call-ID: 1337@127.0.0.1");
    let line = |settings: &[&str]| {
        let outcome = send(settings, &[&asked]);
        match outcome.seen[0].login.as_ref().unwrap().secret.clone() {
            Some(Secret::Response { crackable, .. }) => crackable.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let nonce = "1795525775/eaf809ea7733d2a789f1537cfb730aac";
    let response = "8982564361456c54a5372170873e0ce5";
    let start = "$sip$*192.0.2.1*192.0.2.7*100*asterisk*REGISTER*sip*";
    let whole = format!("{start}127.0.0.1**{nonce}*hydra*00000001*auth*MD5*{response}");
    assert_eq!(line(&[]), whole);
    let as_sent = format!("{start}asterisk**{nonce}****MD5*{response}");
    assert_eq!(line(&["product = \"kamailio\""]), as_sent);
}
