//! What gives SQL Server decoys away, asked of ours: see `signatures.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{collections::BTreeSet, time::SystemTime};

use haldane_core::{Cx, Effects, Entry, Input};
use haldane_services::{
    ALL,
    replay::{Seeded, build, peer},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "mssql").unwrap()
}

/// What is said to each of those packets.
fn said(settings: &[&str], seed: u64, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut session = build(entry(), settings).unwrap().stream.unwrap().open(&peer());
    let (mut random, peer) = (Seeded(seed), peer());
    let mut greeting = Effects::default();
    session.greet(&mut Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut greeting));
    assert!(greeting.reply.is_empty(), "a server waits for its client");
    let mut all = Vec::new();
    for packet in packets {
        let mut effects = Effects::default();
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        session.step(&mut Input::stream(packet), &mut cx).unwrap();
        all.push(effects.reply);
    }
    all
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&[kind, 1][..], &length, &[0, 0, 1, 0], body].concat()
}

/// nmap's probe, wanting that encryption.
fn probe(encryption: u8) -> Vec<u8> {
    let mut body =
        b"\0\0\x15\0\x06\x01\0\x1b\0\x01\x02\0\x1c\0\x0c\x03\0\x28\0\x04\xff\x08\0\x01U\0\0".to_vec();
    body.push(encryption);
    body.extend(b"MSSQLServer\0H\x0f\0\0");
    packet(0x12, &body)
}

/// A login of TDS 7.1 with a Windows account.
fn windows() -> Vec<u8> {
    let token = b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut body = vec![0; 86];
    body[4..8].copy_from_slice(&[1, 0, 0, 0x71]);
    body[25] = 0x80;
    body[78..82].copy_from_slice(&[86, 0, u8::try_from(token.len()).unwrap(), 0]);
    body.extend_from_slice(token);
    body[0] = u8::try_from(body.len()).unwrap();
    packet(0x10, &body)
}

#[test]
fn the_answer_follows_the_question() {
    let answers: BTreeSet<u8> =
        [0, 1, 2].iter().map(|wanted| *said(&[], 1, &[probe(*wanted)])[0].get(35).unwrap()).collect();
    assert_eq!(answers.len(), 3, "not the same byte whatever the client wants");
    assert!(
        said(&[], 1, &[probe(0)])[0].starts_with(b"\x04\x01\0\x25\0\0\x01\0\0\0\x15\0\x06\x01\0\x1b\0\x01")
    );
}

#[test]
fn each_version_has_its_own_build_and_none_that_of_the_peer() {
    let versions = ["2008R2", "2012", "2014", "2016", "2017", "2019", "2022"];
    let builds: BTreeSet<Vec<u8>> = versions
        .iter()
        .map(|version| {
            let said = said(&[&format!("version = \"{version}\"")], 1, &[probe(0)]);
            said[0][29..35].to_vec()
        })
        .collect();
    assert_eq!(builds.len(), versions.len());
    assert!(!builds.iter().any(|build| build.starts_with(&[0x0c, 0, 0x10, 4])));
}

#[test]
fn neither_the_session_s_number_nor_the_challenge_is_always_the_same() {
    let (mut numbers, mut challenges) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..16 {
        let said = said(&[], seed, &[probe(2), windows()]);
        assert_eq!(&said[0][4..6], [0, 0], "there is no session before the login");
        numbers.insert(said[1][4..6].to_vec());
        let at = said[1].windows(8).position(|window| window == b"NTLMSSP\0").unwrap();
        challenges.insert(said[1][at + 24..at + 32].to_vec());
    }
    assert!(numbers.len() > 4, "{numbers:?}");
    assert_eq!(challenges.len(), 16);
}
