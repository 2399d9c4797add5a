//! The SNMP agent, asked in memory: what requests leave behind, and what operators may get wrong.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use haldane_core::{Entry, Fields, Part, Secret, Severity, Sighting, Value};
use haldane_services::{
    ALL,
    replay::{Outcome, build, datagram},
    snmp,
};
use haldane_wire::ber::{INTEGER, NULL, OBJECT, OCTETS, Oid, SEQUENCE, shortest, wrap, wrap_all};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "snmp").unwrap()
}

fn ask(settings: &[&str], bytes: &[u8]) -> Outcome {
    datagram(&build(entry(), settings).unwrap(), bytes)
}

fn seen(bytes: &[u8]) -> Sighting {
    let mut outcome = ask(&[], bytes);
    assert_eq!(outcome.seen.len(), 1, "{}", bytes.escape_ascii());
    outcome.seen.remove(0)
}

fn number(number: i64) -> Vec<u8> {
    wrap(INTEGER, &shortest(number))
}

const GET: u8 = 0xa0;
const SET: u8 = 0xa3;

/// A PDU of those variables, without values.
fn pdu(tag: u8, names: &[String]) -> Vec<u8> {
    let variable = |name: &String| {
        let name = wrap(OBJECT, &Oid::parse(name).unwrap().encode());
        wrap_all(SEQUENCE, &[name, wrap(NULL, b"")])
    };
    let variables: Vec<_> = names.iter().map(variable).collect();
    wrap_all(tag, &[number(77), number(0), number(0), wrap_all(SEQUENCE, &variables)])
}

fn request(community: &[u8], pdu: Vec<u8>) -> Vec<u8> {
    wrap_all(SEQUENCE, &[number(1), wrap(OCTETS, community), pdu])
}

/// A message of version 3 with a digest of that length, from a user whose context has that name.
fn signed(digest: usize, user: &[u8], context: &[u8]) -> Vec<u8> {
    let octets = |bytes: &[u8]| wrap(OCTETS, bytes);
    let engine = octets(b"\x80\0\x1f\x88\x04test");
    let header = [number(5), number(65_507), octets(&[5]), number(3)];
    let usm = [engine.clone(), number(1), number(2), octets(user), octets(&vec![7; digest]), octets(b"")];
    let scoped = [engine, octets(context), pdu(GET, &["1.3.6.1.2.1.1.1.0".into()])];
    wrap_all(
        SEQUENCE,
        &[
            number(3),
            wrap_all(SEQUENCE, &header),
            octets(&wrap_all(SEQUENCE, &usm)),
            wrap_all(SEQUENCE, &scoped),
        ],
    )
}

const NAME: &str = "1.3.6.1.2.1.1.5.0";

#[test]
fn the_community_everybody_knows_is_a_probe_and_any_other_a_guess() {
    for (community, tag, severity) in [
        (&b"public"[..], GET, Severity::Low),
        (b"public", SET, Severity::High),
        (b"private", GET, Severity::High),
        (b"", GET, Severity::High),
        (b"\xff\0", SET, Severity::High),
    ] {
        let seen = seen(&request(community, pdu(tag, &[NAME.into()])));
        assert_eq!((seen.kind, seen.severity), (&snmp::REQUEST, severity), "{community:?} {tag:x}");
        let login = seen.login.unwrap();
        assert_eq!(login.clear().unwrap().raw(), community);
        assert_eq!(login.username, None);
    }
}

#[test]
fn the_compatible_log_has_the_peers_keys() {
    let parts = snmp::REQUEST.compat.unwrap();
    assert_eq!(parts.iter().map(|part| part.key).collect::<Vec<_>>(), ["REQUESTS", "COMMUNITY_STRING"]);
    assert!(matches!(parts[0].part, Part::Field("requests")));
    assert!(matches!(parts[1].part, Part::Secret));
    assert_eq!(snmp::REQUEST.number, 13001);
}

fn list<'a>(fields: &'a Fields, name: &str) -> &'a [Value] {
    match &fields[name] {
        Value::List(list) => list,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_very_many_variables_some_are_recorded_and_the_rest_counted() {
    let names: Vec<String> = (0..3_000).map(|number| format!("1.3.6.1.4.1.{number}")).collect();
    let bytes = request(b"public", pdu(GET, &names));
    let outcome = ask(&[], &bytes);
    let fields = &outcome.seen[0].fields;
    assert_eq!(list(fields, "requests").len(), 64);
    assert_eq!(fields["count"], Value::Int(3_000));
    assert!((bytes.len()..=2 * bytes.len()).contains(&outcome.reply.len()));
    let few = seen(&request(b"public", pdu(GET, &names[..64])));
    assert!(!few.fields.contains_key("count") && list(&few.fields, "requests").len() == 64);
}

#[test]
fn whoever_asks_is_known_even_if_the_rest_is_broken() {
    let broken = wrap(GET, b"\x02\x01\x05\x05\0");
    let seen = seen(&request(b"secret", broken.clone()));
    assert_eq!(seen.login.unwrap().clear().unwrap().raw(), b"secret");
    assert_eq!(seen.fields["malformed"], Value::from("another BER type expected"));
    assert_eq!(list(&seen.fields, "requests"), []);
    assert_eq!(ask(&[], &request(b"public", broken)).reply, b"");
}

#[test]
fn a_digest_is_kept_as_what_it_was_made_of() {
    for (length, mode) in [(12, "0"), (16, "3"), (24, "4"), (32, "5"), (48, "6")] {
        let message = signed(length, b"netops", b"");
        let seen = seen(&message);
        assert_eq!((seen.kind, seen.severity), (&snmp::LOGIN, Severity::High));
        let Some(Secret::Response { response, crackable, challenge, .. }) = seen.login.unwrap().secret else {
            panic!("no response")
        };
        assert_eq!(response.raw(), vec![7; length]);
        let mut zeroed = message;
        let at = zeroed.windows(length).position(|window| window == vec![7; length]).unwrap();
        zeroed[at..at.saturating_add(length)].fill(0);
        assert_eq!(challenge.raw(), [b"\x09\x80\0\x1f\x88\x04test", &zeroed[..]].concat());
        let hex: String = zeroed.iter().map(|byte| format!("{byte:02x}")).collect();
        let line = format!("$SNMPv3${mode}$0${hex}$80001f880474657374${}", "07".repeat(length));
        assert_eq!(crackable.unwrap(), line);
    }
}

#[test]
fn a_digest_that_no_tool_takes_has_no_line_and_is_recorded() {
    let long = vec![b'c'; 1_500];
    for (digest, context) in [(11, &b""[..]), (12, &long)] {
        let seen = seen(&signed(digest, b"netops", context));
        let login = seen.login.unwrap();
        assert_eq!(login.username.unwrap().raw(), b"netops");
        let Some(Secret::Response { response, crackable, .. }) = login.secret else { panic!("no response") };
        assert_eq!((response.len(), crackable), (digest, None));
    }
}

#[test]
fn errors_of_version_3_are_counted() {
    let service = build(entry(), &[]).unwrap();
    let counts = [1, 2, 3].map(|_| *datagram(&service, &signed(12, b"admin", b"")).reply.last().unwrap());
    assert_eq!(counts, [1, 2, 3]);
}

#[test]
fn an_operators_mistakes_are_told_by_their_key() {
    let long = format!("sys_contact = \"{}\"", "x".repeat(256));
    let engine = format!("engine_id = \"{}\"", "80".repeat(33));
    for setting in [
        "engine_id = \"8000\"",
        "engine_id = \"80001f8804g0\"",
        "engine_id = \"80001f8804f\"",
        "sys_object_id = \"enterprises.9\"",
        "sys_services = 128",
        "up_since = \"yesterday\"",
        &long,
        &engine,
    ] {
        let problems = build(entry(), &[setting]).err().unwrap_or_default();
        assert_eq!(problems.len(), 1, "{setting}");
        assert_eq!(Some(problems[0].key.as_str()), setting.split(' ').next());
    }
}
