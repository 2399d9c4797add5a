//! What gives TFTP decoys away, asked of ours: they never answer, or lose what they do not understand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use haldane_core::{Entry, Value};
use haldane_services::{
    ALL,
    replay::{build, datagram},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "tftp").unwrap()
}

#[test]
fn a_request_for_any_file_is_answered_with_an_error_and_seen() {
    let service = build(entry(), &["uploads = false"]).unwrap();
    for name in [&b"startup-config"[..], b"r7tftp.txt", b"\xff\xfe\x80", b"../../../boot.ini"] {
        for opcode in [1, 2] {
            let sent = [&[0, opcode], name, b"\0octet\0"].concat();
            let outcome = datagram(&service, &sent);
            assert_eq!(outcome.reply, b"\0\x05\0\x01File not found\0");
            assert_eq!(outcome.seen.len(), 1);
            let fields = &outcome.seen[0].fields;
            let compat: Vec<Value> = ["filename", "mode", "opcode"].map(|name| fields[name].clone()).to_vec();
            let opcode = if opcode == 1 { "READ" } else { "WRITE" };
            assert_eq!(compat, [Value::from(name), Value::from("octet"), Value::from(opcode)]);
            assert_eq!(outcome.seen[0].kind.number, 10001);
            let keys: Vec<&str> = outcome.seen[0].kind.compat.unwrap().iter().map(|part| part.key).collect();
            assert_eq!(keys, ["FILENAME", "MODE", "OPCODE"]);
        }
    }
}

#[test]
fn what_no_server_answers_is_seen_and_not_answered() {
    let service = build(entry(), &[]).unwrap();
    for sent in
        [&b""[..], b"\0", b"\0\x03\0\x01x", b"\0\x04\0\x01", b"\0\x05\0\0\0", b"GET / HTTP/1.0\r\n\r\n"]
    {
        let outcome = datagram(&service, sent);
        assert_eq!((outcome.reply, outcome.seen.len()), (Vec::new(), 1));
        assert_eq!(outcome.seen[0].fields["excerpt"], Value::from(sent));
    }
}
