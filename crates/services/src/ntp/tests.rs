use haldane_core::{Entry, Value};

use super::*;
use crate::replay::{Outcome, build, datagram};

fn ask(settings: &[&str], bytes: &[u8]) -> Outcome {
    datagram(&build(&Entry::datagrams::<Ntp>(), settings).unwrap(), bytes)
}

fn client(first: u8) -> Vec<u8> {
    let mut bytes = vec![0; 48];
    bytes[0] = first;
    bytes[40..].copy_from_slice(b"whatever");
    bytes
}

fn control(code: u8, association: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x16, code, 0, 7, 0, 0];
    bytes.extend(association.to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn a_client_is_told_the_time_of_a_server_of_stratum_two() {
    for version in 1..=4_u8 {
        let answer = ask(&["upstream = \"192.0.2.9\""], &client((version << 3) | 3)).reply;
        assert_eq!((answer.len(), answer[0], answer[1]), (48, (version << 3) | 4, 2));
        assert_eq!((&answer[12..16], &answer[24..32]), (&[192, 0, 2, 9][..], &b"whatever"[..]));
        // 1970 on the clock of 1900 (RFC 5905, figure 4).
        assert_eq!(answer[32..40], [0x83, 0xaa, 0x7e, 0x80, 0, 0, 0, 0]);
        assert!(answer[40..] > answer[32..40], "sent after it was received");
    }
}

#[test]
fn versions_and_modes_that_ntpd_does_not_know_are_recorded_and_not_answered() {
    for first in [0x2b, 0x03, 0x24, 0x22, 0x25] {
        let outcome = ask(&[], &client(first));
        assert_eq!((outcome.reply.len(), outcome.seen[0].kind), (0, &OTHER), "{first:#x}");
    }
    assert_eq!(ask(&[], &client(0x23)[..47]).seen[0].kind, &OTHER);
    assert_eq!(ask(&[], &client(0x21)).reply[0], 0x22, "a peer that it does not know");
}

#[test]
fn monlist_is_recorded_in_both_forms_and_never_answered() {
    for code in [20, 42] {
        for length in [4, 8, 192] {
            let mut bytes = vec![0x17, 0, 3, code];
            bytes.resize(length, 0);
            let outcome = ask(&[], &bytes);
            assert_eq!((outcome.reply.len(), outcome.seen.len()), (0, 1));
            assert_eq!(outcome.seen[0].kind, &MONLIST);
            assert_eq!(outcome.seen[0].fields["command"], Value::from("monlist"));
        }
    }
    assert_eq!(ask(&[], &[0x17, 0, 3, 1, 0, 0, 0, 0]).seen[0].kind, &PRIVATE);
}

#[test]
fn a_variable_that_is_asked_for_by_name_is_answered_as_configured() {
    let request = control(2, 0, b"version");
    assert_eq!(ask(&[], &request).reply[12..], *b"version=\"ntpd 4.2.8p15\"\r\n\0\0\0");
    let answer = ask(&["version = \"ntpd 4.2.6p5\""], &request).reply;
    assert_eq!(answer[..8], [0x16, 0x82, 0, 7, 6, 0x15, 0, 0]);
    assert_eq!(answer[12..], *b"version=\"ntpd 4.2.6p5\"\r\n");
    assert_eq!(ask(&[], &control(2, 0, b"nonsense")).reply[..6], [0x16, 0xc2, 0, 7, 5, 0]);
}

#[test]
fn no_answer_is_more_than_twice_its_request_whatever_its_length() {
    for operation in 0..32 {
        for length in 0..120 {
            let request = control(operation, 0, &vec![b','; length]);
            assert!(ask(&[], &request).reply.len() <= request.len() * 2, "{operation}, {length}");
        }
    }
    let all = ask(&[], &control(2, 0, &[b','; 200])).reply;
    assert!(String::from_utf8_lossy(&all).contains("version=\"ntpd 4.2.8p15"), "with room for it");
}

#[test]
fn the_server_that_it_follows_can_be_asked_about() {
    let list = ask(&[], &control(1, 0, b"")).reply;
    let association = u16::from_be_bytes([list[12], list[13]]);
    let about =
        ask(&["upstream = \"192.0.2.9\""], &control(2, association, b"srcadr,stratum,reach,delay")).reply;
    assert!(String::from_utf8_lossy(&about).contains("srcadr=192.0.2.9, stratum=1"), "{about:?}");
    assert_eq!(ask(&[], &control(2, 3, b"")).reply[4], 4, "no such association");
}

#[test]
fn what_may_not_be_done_is_refused_and_recorded() {
    let write = ask(&[], &control(3, 0, b"leap=3"));
    assert_eq!((write.reply[1], write.reply[4]), (0xc3, 1));
    assert_eq!(write.seen[0].fields["operation"], Value::from("writevar"));
    assert_eq!(write.seen[0].fields["variables"], Value::from("leap=3"));
    let silent = ask(&["control = false"], &control(2, 0, b""));
    assert_eq!((silent.reply.len(), silent.seen.len()), (0, 1));
}

#[test]
fn what_names_an_upstream_that_is_no_address_is_a_mistake() {
    let problems = build(&Entry::datagrams::<Ntp>(), &["upstream = \"tock\""]).unwrap_err();
    assert!(problems[0].to_string().contains("IPv4"), "{problems:?}");
}
