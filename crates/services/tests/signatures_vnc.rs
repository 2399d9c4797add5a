//! What gives VNC decoys away, asked of ours: see `signatures.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::time::{Duration, SystemTime};

use haldane_core::{Cx, Effects, Entry, Flow, Input, Value, service::AnyProtocol, session::Random};
use haldane_services::{
    ALL,
    replay::{Counting, Ending, build, peer, talk},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "vnc").unwrap()
}

fn protocol(settings: &[&str]) -> std::sync::Arc<dyn AnyProtocol> {
    build(entry(), settings).unwrap().stream.unwrap()
}

/// What is said to a login that fails, and the effects of its last message.
fn login(protocol: &dyn AnyProtocol, pieces: &[&[u8]], random: &mut dyn Random) -> Vec<Effects> {
    let peer = peer();
    let mut session = protocol.open(&peer);
    let mut all = Vec::new();
    let mut act = |act: &mut dyn FnMut(&mut Cx<'_>)| {
        let mut effects = Effects::default();
        act(&mut Cx::new(&peer, SystemTime::UNIX_EPOCH, None, random, &mut effects));
        all.push(effects);
    };
    act(&mut |cx| session.greet(cx));
    for piece in pieces {
        act(&mut |cx| assert_ne!(session.step(&mut Input::stream(piece), cx), Ok(Flow::Reset)));
    }
    all
}

const EIGHT: [&[u8]; 3] = [b"RFB 003.008\n", b"\x02", b"0123456789abcdef"];

#[test]
fn no_words_are_sent_to_clients_that_know_none() {
    for (pieces, expected) in [
        (&[&b"RFB 003.003\n"[..], EIGHT[2]][..], "\0\0\0\x01"),
        (&[b"RFB 003.007\n", EIGHT[1], EIGHT[2]], "\0\0\0\x01"),
        (&EIGHT, "\0\0\0\x01\0\0\0\x16Authentication failure"),
    ] {
        let said = login(protocol(&[]).as_ref(), pieces, &mut Counting::default());
        assert_eq!(said.last().unwrap().reply, expected.as_bytes());
    }
}

#[test]
fn a_wrong_password_is_thought_about_as_long_as_the_real_server_does() {
    let pause = |settings: &[&str]| {
        let said = login(protocol(settings).as_ref(), &EIGHT, &mut Counting::default());
        said.last().unwrap().pause
    };
    assert_eq!(pause(&[]), Duration::from_millis(100));
    assert_eq!(pause(&["server = \"realvnc\""]), Duration::ZERO);
    assert_eq!(pause(&["login_delay = 2"]), Duration::from_secs(2));
}

#[test]
fn no_two_challenges_are_the_same() {
    let mut random = Counting::default();
    let protocol = protocol(&["back_off = false"]);
    let challenges: Vec<Vec<u8>> =
        (0..8).map(|_| login(protocol.as_ref(), &EIGHT[..2], &mut random)[2].reply.clone()).collect();
    for (at, challenge) in challenges.iter().enumerate() {
        assert_eq!(challenge.len(), 16);
        assert!(!challenges[..at].contains(challenge));
    }
}

#[test]
fn guessing_is_slowed_down_and_who_is_turned_away_is_seen() {
    let tiger = protocol(&[]);
    for _ in 0..5 {
        assert!(talk(tiger.as_ref(), &EIGHT, true).reply.ends_with(b"Authentication failure"));
    }
    let turned_away = talk(tiger.as_ref(), &EIGHT, true);
    assert_eq!(turned_away.reply, b"RFB 003.003\n\0\0\0\0\0\0\0\x1aToo many security failures");
    assert_eq!(turned_away.ending, Ending::Close);
    assert_eq!(turned_away.seen.len(), 1);
    assert_eq!(turned_away.seen[0].fields["turned_away"], Value::Bool(true));

    let tight = protocol(&["server = \"tightvnc\""]);
    assert!(talk(tight.as_ref(), &EIGHT, true).reply.ends_with(b"failed from 192.0.2.7"));
    let turned_away = talk(tight.as_ref(), &EIGHT, true);
    assert_eq!(turned_away.reply, b"RFB 003.008\n\0\0\0\0\x21Your connection has been rejected");
    assert_eq!(turned_away.ending, Ending::Close);

    let ultra = protocol(&["server = \"ultravnc\""]);
    let old = [b"RFB 003.003\n".as_slice(), EIGHT[2]];
    let said: Vec<Vec<u8>> = (0..7).map(|_| talk(ultra.as_ref(), &old, true).reply).collect();
    assert!(said[5].ends_with(b"\0\0\0\x01"));
    assert_eq!(said[6], b"RFB 003.008\n\0\0\0\0\0\0\0\x22Your connection has been rejected.");
}

#[test]
fn security_types_that_were_not_offered_are_hung_up_on_and_seen() {
    for number in [0, 1, 16, 18, 19, 30, 255] {
        let outcome = talk(protocol(&[]).as_ref(), &[EIGHT[0], &[number]], true);
        assert_eq!((outcome.reply, outcome.ending), (b"RFB 003.008\n\x01\x02".to_vec(), Ending::Close));
        assert_eq!(outcome.seen.len(), 1);
        assert_eq!(outcome.seen[0].kind.name, "vnc.handshake");
        assert_eq!(outcome.seen[0].fields["security_type"], Value::Int(number.into()));
    }
}
