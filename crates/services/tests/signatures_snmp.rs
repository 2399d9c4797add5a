//! What gives honeypots away that speak SNMP, or only listen: see `signatures.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::sync::Arc;

use haldane_core::{Entry, Host, Keep};
use haldane_services::{
    ALL,
    replay::{InMemory, Outcome, build, build_on, datagram, host},
};
use haldane_wire::ber::{INTEGER, NULL, OBJECT, OCTETS, Oid, SEQUENCE, shortest, wrap, wrap_all};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "snmp").unwrap()
}

fn ask(bytes: &[u8]) -> Outcome {
    let outcome = datagram(&build(entry(), &[]).unwrap(), bytes);
    assert_eq!(outcome.seen.len(), 1, "who hunts, is seen: {}", bytes.escape_ascii());
    outcome
}

/// A request of one variable as honeydet's library (gosnmp) and others write it.
fn request(version: i64, community: &[u8], tag: u8, name: &str) -> Vec<u8> {
    let number = |number| wrap(INTEGER, &shortest(number));
    let name = wrap(OBJECT, &Oid::parse(name).unwrap().encode());
    let list = wrap_all(SEQUENCE, &[wrap_all(SEQUENCE, &[name, wrap(NULL, b"")])]);
    let pdu = wrap_all(tag, &[number(0x2a3b_4c5d), number(0), number(0), list]);
    wrap_all(SEQUENCE, &[number(version), wrap(OCTETS, community), pdu])
}

fn has(outcome: &Outcome, part: &[u8]) -> bool {
    outcome.reply.windows(part.len()).any(|window| window == part)
}

/// nmap's probe of version 3, which all scanners send in some form.
const DISCOVERY: &[u8] =
    b"0:\x02\x01\x030\x0f\x02\x02Ji\x02\x03\0\xff\xe3\x04\x01\x04\x02\x01\x03\x04\x100\x0e\x04\0\x02\x01\0\x02\
      \x01\0\x04\0\x04\0\x04\x000\x12\x04\0\x04\0\xa0\x0c\x02\x027\xf0\x02\x01\0\x02\x01\x000\0";

/// FIDELITY.md: OpenCanary never answers. An agent answers to `public`, and tells everybody of its engine.
#[test]
fn it_is_not_silent() {
    for version in [0, 1] {
        for (tag, name) in [(0xa0, "1.3.6.1.2.1.1.1.0"), (0xa1, "1.3.6.1.2.1"), (0xa5, "1.3.6.1.2.1.1")] {
            assert!(
                !ask(&request(version, b"public", tag, name)).reply.is_empty(),
                "{version} {tag:x} {name}"
            );
        }
    }
    assert!(!ask(DISCOVERY).reply.is_empty());
}

/// Many honeypots answer to whatever community, or to none.
#[test]
fn it_answers_to_one_community_alone() {
    for community in
        [&b"private"[..], b"", b"Public", b"public ", b"publicpublic", b"x7f3q9", b"\xff\xfe", b"manager"]
    {
        assert!(ask(&request(1, community, 0xa0, "1.3.6.1.2.1.1.1.0")).reply.is_empty(), "{community:?}");
    }
}

/// What Conpot, HoneyPy and others say that they are, unless told otherwise.
#[test]
fn it_is_none_of_the_machines_that_honeypots_pretend_to_be() {
    let mut said = Vec::new();
    for leaf in [1, 2, 4, 5, 6] {
        let outcome = ask(&request(1, b"public", 0xa0, &format!("1.3.6.1.2.1.1.{leaf}.0")));
        said.extend_from_slice(&outcome.reply);
        said.push(b'\n');
    }
    let said = said.escape_ascii().to_string();
    for word in
        ["Siemens", "SIMATIC", "S7-200", "Technodrome", "CP 443", "Mouser", "DTE Energy", "honey", "canary"]
    {
        assert!(!said.to_lowercase().contains(&word.to_lowercase()), "{word}: {said}");
    }
    assert!(said.contains("Linux files01 6.1.0-"), "{said}");
}

/// An agent that lets everybody write, or says so, is none.
#[test]
fn nothing_can_be_written() {
    let outcome = ask(&request(1, b"public", 0xa3, "1.3.6.1.2.1.1.6.0"));
    // error-status: wrongType for a value that is none.
    assert!(has(&outcome, b"\x02\x01\x07\x02\x01\x01"), "{}", outcome.reply.escape_ascii());
}

/// Engines that are alike on every machine, or new with every start, give a program away.
#[test]
fn each_installation_has_an_engine_of_its_own_and_keeps_it() {
    let engine = |keep: &Arc<InMemory>| {
        let keep: Arc<dyn Keep> = Arc::<InMemory>::clone(keep);
        let built = build_on(entry(), &[], &Host { keep, ..host() }).unwrap();
        let reply = datagram(&built, DISCOVERY).reply;
        let at = reply.windows(5).position(|window| window == b"\x80\0\x1f\x88\x80").unwrap();
        reply[at..][..17].to_vec()
    };
    let (one, other) = (Arc::new(InMemory::default()), Arc::new(InMemory::default()));
    assert_eq!(engine(&one), engine(&one));
    assert_ne!(engine(&one), engine(&other));
}
