//! What gives LDAP decoys away, asked of ours: see `signatures.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{Cx, Effects, Entry, Host, Input, Windows, windows::Release};
use haldane_services::{
    ALL,
    replay::{InMemory, Seeded, build_on, peer},
};
use haldane_wire::ber;

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "ldap").unwrap()
}

fn host(release: Release) -> Host {
    let windows = Windows { release, ..Windows::new("dc01", "corp.example.com") };
    Host { name: "dc01".into(), windows, keep: Arc::new(InMemory::default()) }
}

/// What is said to those messages, each by itself, at that time.
fn said_at(host: &Host, seed: u64, now: Duration, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut session = build_on(entry(), &[], host).unwrap().stream.unwrap().open(&peer());
    let (mut random, peer, now) = (Seeded(seed), peer(), SystemTime::UNIX_EPOCH + now);
    let mut say = |message: &Vec<u8>| {
        let mut effects = Effects::default();
        let mut cx = Cx::new(&peer, now, None, &mut random, &mut effects);
        session.step(&mut Input::stream(message), &mut cx).unwrap();
        effects.reply
    };
    messages.iter().map(&mut say).collect()
}

fn said(messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    said_at(&host(Release::DEFAULT), 1, Duration::from_secs(1_800_000_000), messages)
}

fn octets(value: &[u8]) -> Vec<u8> {
    ber::wrap(ber::OCTETS, value)
}

fn message(id: i64, operation: Vec<u8>) -> Vec<u8> {
    ber::wrap_all(ber::SEQUENCE, &[ber::wrap(ber::INTEGER, &ber::shortest(id)), operation])
}

fn bind(id: i64, name: &[u8], proof: Vec<u8>) -> Vec<u8> {
    message(id, ber::wrap_all(0x60, &[ber::wrap(ber::INTEGER, &[3]), octets(name), proof]))
}

fn sasl(mechanism: &[u8], token: &[u8]) -> Vec<u8> {
    ber::wrap_all(0xa3, &[octets(mechanism), octets(token)])
}

fn search(id: i64, base: &[u8], scope: u8) -> Vec<u8> {
    let head = [octets(base), vec![0x0a, 1, scope, 0x0a, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0]].concat();
    message(id, ber::wrap_all(0x63, &[head, ber::wrap(0x87, b"objectClass"), ber::wrap(ber::SEQUENCE, b"")]))
}

/// NTLM's first message.
fn negotiate() -> Vec<u8> {
    [&b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2"[..], &[0; 24]].concat()
}

fn holds(reply: &[u8], part: &[u8]) -> bool {
    reply.windows(part.len()).any(|window| window == part)
}

#[test]
fn every_answer_has_the_lengths_of_windows_and_the_number_of_its_question() {
    let questions = [
        bind(1, b"", ber::wrap(0x80, b"")),
        bind(300, b"cn=a", ber::wrap(0x80, b"x")),
        search(70_000, b"", 0),
        search(5, b"dc=a", 2),
        message(6, ber::wrap(0x77, &ber::wrap(0x80, b"1.2.3"))),
    ];
    let numbers: [&[u8]; 5] = [&[2, 1, 1], &[2, 2, 1, 0x2c], &[2, 3, 1, 0x11, 0x70], &[2, 1, 5], &[2, 1, 6]];
    for (reply, number) in said(&questions).iter().zip(numbers) {
        // OpenLDAP, and libraries for honeypots, use the shortest lengths there are.
        assert_eq!(reply[..2], [0x30, 0x84]);
        assert!(reply[6..].starts_with(number), "{}", reply.escape_ascii());
        assert_eq!(reply[6 + number.len() + 1], 0x84, "{}", reply.escape_ascii());
    }
}

#[test]
fn nobody_is_let_in_and_nothing_is_found() {
    for password in [&b"hunter2"[..], b"\0", b"password"] {
        let replies = said(&[
            bind(1, b"administrator@corp.example.com", ber::wrap(0x80, password)),
            search(2, b"dc=a", 2),
        ]);
        assert!(holds(&replies[0], b"\x0a\x01\x31\x04\x00"), "let in with {}", password.escape_ascii());
        assert!(holds(&replies[1], b"\x0a\x01\x01\x04\x00") && holds(&replies[1], b"000004DC: "));
    }
}

#[test]
fn errors_end_with_the_zero_of_windows() {
    let replies = said(&[
        bind(1, b"a", ber::wrap(0x80, b"b")),
        search(2, b"dc=a", 0),
        bind(3, b"", sasl(b"PLAIN", b"")),
    ]);
    for reply in replies {
        assert!(reply.ends_with(b", v4563\0"), "{}", reply.escape_ascii());
    }
}

#[test]
fn no_two_challenges_are_the_same() {
    for (mechanism, token) in [(&b"GSS-SPNEGO"[..], negotiate()), (b"DIGEST-MD5", Vec::new())] {
        let challenge = |seed| {
            let question = bind(1, b"", sasl(mechanism, &token));
            said_at(&host(Release::DEFAULT), seed, Duration::ZERO, &[question]).concat()
        };
        let all: BTreeSet<_> = (0..20).map(challenge).collect();
        assert_eq!(all.len(), 20);
    }
}

#[test]
fn the_names_of_each_answer_are_those_of_the_others() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let replies = said(&[
        search(1, b"", 0),
        bind(2, b"", sasl(b"GSS-SPNEGO", &negotiate())),
        bind(3, b"", sasl(b"DIGEST-MD5", b"")),
    ]);
    assert!(holds(&replies[0], b"dc01.corp.example.com") && holds(&replies[0], b"DC=corp,DC=example,DC=com"));
    for name in ["dc01.corp.example.com", "corp.example.com", "DC01", "CORP"] {
        assert!(holds(&replies[1], &wide(name)), "{name}");
    }
    assert!(holds(&replies[2], b"realm=\"corp.example.com\""));
    // What NTLM says of the release is what the errors say: 17763 is 4563 in hex.
    assert!(holds(&replies[1], &[10, 0, 0x63, 0x45, 0, 0, 0, 15]));
}

#[test]
fn its_clock_goes_and_its_counter_grows_and_its_lists_are_those_of_its_release() {
    let own = host(Release::DEFAULT);
    let at = |seconds| said_at(&own, 1, Duration::from_secs(seconds), &[search(1, b"", 0)]).concat();
    let (early, late) = (at(1_800_000_000), at(1_800_086_400));
    assert!(holds(&early, b"20270115080000.0Z") && holds(&late, b"20270116080000.0Z"));
    let counter = |reply: &[u8]| {
        let name = b"highestCommittedUSN1\x84\0\0\0";
        let at = reply.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 3;
        let digits: String =
            reply[at..].iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
        digits.parse::<u64>().unwrap()
    };
    assert!(counter(&early) < counter(&late));
    // The same machine counts from where it was, another from elsewhere.
    assert_eq!(counter(&early), counter(&at(1_800_000_000)));
    let other = said_at(&host(Release::DEFAULT), 1, Duration::from_secs(1_800_000_000), &[search(1, b"", 0)])
        .concat();
    assert_ne!(counter(&early), counter(&other));
    for release in Release::ALL {
        let reply = said_at(&host(release), 1, Duration::ZERO, &[search(1, b"", 0)]).concat();
        for (control, build) in
            [("2066", 0), ("2205", 9200), ("2256", 9600), ("2309", 14_393), ("2354", 17_763)]
        {
            let oid = format!("1.2.840.113556.1.4.{control}");
            assert_eq!(
                holds(&reply, oid.as_bytes()),
                release.build >= build,
                "{control} in {}",
                release.name
            );
        }
        // A controller offers no NTLM of its own among the mechanisms, though it takes it.
        assert!(holds(&reply, b"\x0aGSS-SPNEGO") && !holds(&reply, b"\x04\x04NTLM"));
    }
}

#[test]
fn the_newest_release_takes_no_password_in_clear_outside_tls() {
    for release in Release::ALL {
        let question = bind(1, b"eve@corp.example.com", ber::wrap(0x80, b"secret"));
        let reply = said_at(&host(release), 1, Duration::ZERO, &[question]).concat();
        let strict =
            holds(&reply, b"\x0a\x01\x08\x04\0") && holds(&reply, b"if SSL\\TLS are not already active");
        assert_eq!(strict, release.name == "2025", "{}", reply.escape_ascii());
    }
}

#[test]
fn outside_tls_port_636_is_silent_and_hears_all() {
    let mut peer = peer();
    peer.local.set_port(636);
    let mut session = build_on(entry(), &[], &host(Release::DEFAULT)).unwrap().stream.unwrap().open(&peer);
    assert!(session.begins_with_tls());
    let (mut random, mut effects) = (Seeded(1), Effects::default());
    let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
    let login = bind(1, b"eve", ber::wrap(0x80, b"secret"));
    session.step(&mut Input::stream(&login), &mut cx).unwrap();
    assert_eq!((effects.reply.len(), effects.seen.len()), (0, 1));
    assert_eq!(effects.seen[0].login.as_ref().unwrap().username, Some("eve".into()));
    peer.local.set_port(389);
    let session = build_on(entry(), &[], &host(Release::DEFAULT)).unwrap().stream.unwrap().open(&peer);
    assert!(!session.begins_with_tls());
}

#[test]
fn what_a_login_had_revealed_is_recorded_though_nonsense_follows() {
    let mut session = build_on(entry(), &[], &host(Release::DEFAULT)).unwrap().stream.unwrap().open(&peer());
    let (mut random, peer, mut effects) = (Seeded(1), peer(), Effects::default());
    let token = negotiate();
    let tokens: [(&[u8], &[u8]); 4] = [
        (b"GSS-SPNEGO", &token),
        (b"GSS-SPNEGO", b"nonsense"),
        (b"DIGEST-MD5", b""),
        (b"GSS-SPNEGO", &token),
    ];
    for (mechanism, token) in tokens {
        let message = bind(1, b"", sasl(mechanism, token));
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        session.step(&mut Input::stream(&message), &mut cx).unwrap();
    }
    let kinds: Vec<_> = effects.seen.iter().map(|seen| seen.kind.name).collect();
    assert_eq!(kinds, ["ldap.challenge", "ldap.bind", "ldap.bind"]);
    assert_eq!(effects.seen[2].fields["mechanism"], "DIGEST-MD5".into());
}
