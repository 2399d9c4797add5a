//! What every service promises, checked for all of them by looping over the registry. A new service needs no
//! edit here.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use haldane_core::{Arrival, Entry, Packet, service::Service};
use haldane_services::{
    ALL,
    replay::{self, Ending, Outcome, build, datagram, datagrams, show, talk, talk_on, unescape},
};
use proptest::prelude::*;

fn folder(entry: &Entry) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(entry.name)
}

fn service(entry: &Entry) -> Service {
    build(entry, &[]).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name))
}

#[test]
fn every_folder_is_registered_and_every_row_has_a_folder() {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let folders = entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_type().unwrap().is_dir());
    let mut folders: Vec<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let mut names: Vec<String> = ALL.iter().map(|entry| entry.name.to_owned()).collect();
    folders.sort();
    names.sort();
    assert_eq!(folders, names);
}

#[test]
fn no_number_and_no_name_of_a_kind_is_used_twice() {
    let (mut numbers, mut names) = (HashMap::new(), HashMap::new());
    for kind in ALL.iter().flat_map(|entry| entry.kinds) {
        let address = std::ptr::from_ref(*kind);
        assert_eq!(*numbers.entry(kind.number).or_insert(address), address, "{}", kind.name);
        assert_eq!(*names.entry(kind.name).or_insert(address), address, "{}", kind.name);
    }
}

#[test]
fn services_report_only_kinds_that_they_declare() {
    for entry in ALL {
        let service = service(entry);
        let declared = |outcome: &Outcome| {
            for seen in &outcome.seen {
                assert!(entry.kinds.contains(&seen.kind), "{}: {}", entry.name, seen.kind.name);
            }
        };
        for text in
            ["GET / HTTP/1.0\r\n\r\n", "root\r\nroot\r\n", "USER a\r\nPASS b\r\n", "*1\r\n$4\r\nPING\r\n"]
        {
            if let Some(protocol) = &service.stream {
                declared(&talk(protocol.as_ref(), &[text.as_bytes()], true));
            }
            declared(&datagram(&service, text.as_bytes()));
        }
    }
}

#[test]
fn deep_nesting_is_not_deep_recursion() {
    let nested: [Vec<u8>; 4] = [
        b"*1\r\n".repeat(50_000),
        b"[".repeat(200_000),
        b"{\"a\":".repeat(50_000),
        [0x30, 0x80].repeat(50_000),
    ];
    for entry in ALL {
        let service = service(entry);
        for bytes in &nested {
            if let Some(protocol) = &service.stream {
                assert_eq!(
                    talk(protocol.as_ref(), &[bytes], true).broken,
                    Vec::<String>::new(),
                    "{}",
                    entry.name
                );
            }
            datagram(&service, bytes);
        }
    }
}

#[test]
fn transcripts() {
    for entry in ALL {
        let Ok(talks) = std::fs::read_dir(folder(entry).join("talks")) else { continue };
        for path in talks.map(|talk| talk.unwrap().path()) {
            check_transcript(entry, &path);
        }
    }
}

/// A transcript: `@` settings, `C:` client bytes, `S:` our bytes, `E:` events, `X:` how it ends
/// (`open`, `close`, `reset`, `tls`); `C.` is the client closing its side, `T.` that TLS is agreed on where it is asked
/// for, so that what follows goes through it.
fn check_transcript(entry: &Entry, path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let (mut said, mut expected, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let (mut settings, mut ending, mut finish, mut through) = (Vec::new(), None, false, false);
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.split_at_checked(2).unwrap() {
            ("@ ", setting) => settings.push(setting),
            ("C:", what) => said.push(unescape(what.strip_prefix(' ').unwrap())),
            ("S:", what) => expected.extend(unescape(what.strip_prefix(' ').unwrap())),
            ("E:", what) => events.push(what.trim().to_owned()),
            ("X:", what) => ending = Some(what.trim()),
            ("C.", _) => finish = true,
            ("T.", _) => through = true,
            _ => panic!("{}: {line}", path.display()),
        }
    }
    let service =
        build(entry, &settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
    let pieces: Vec<&[u8]> = said.iter().map(Vec::as_slice).collect();
    let speak = if through { talk_on } else { talk };
    let got = match &service.stream {
        Some(protocol) => speak(protocol.as_ref(), &pieces, finish),
        None => datagrams(&service, &pieces, finish),
    };
    assert_eq!(
        got.reply.escape_ascii().to_string(),
        expected.escape_ascii().to_string(),
        "{}",
        path.display()
    );
    assert_eq!(got.seen.iter().map(show).collect::<Vec<_>>(), events, "{}", path.display());
    let ending = ending.map(|word| match word {
        "open" => Ending::Open,
        "close" => Ending::Close,
        "reset" => Ending::Reset,
        "tls" => Ending::Tls,
        other => panic!("{}: X: {other}", path.display()),
    });
    assert_eq!(got.ending, ending.unwrap_or_default(), "{}", path.display());
    assert_eq!(got.broken, Vec::<String>::new(), "{}", path.display());
    let again = build(entry, &settings).unwrap();
    if let Some(protocol) = again.stream.filter(|_| entry.framed) {
        let cut: Vec<&[u8]> = pieces.iter().flat_map(|piece| piece.chunks(3)).collect();
        assert_eq!(speak(protocol.as_ref(), &cut, finish), got, "{} in small pieces", path.display());
    }
}

/// Bytes that reach deep: the client's side of every transcript, cut and mixed, and noise.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let mut lively: Vec<Vec<u8>> = Vec::new();
    for entry in ALL {
        let Ok(talks) = std::fs::read_dir(folder(entry).join("talks")) else { continue };
        for path in talks.map(|talk| talk.unwrap().path()) {
            let text = std::fs::read_to_string(path).unwrap();
            lively.extend(text.lines().filter_map(|line| line.strip_prefix("C: ")).map(unescape));
        }
    }
    let lively = prop_oneof![
        4 => proptest::sample::select(lively),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(vec![0xff; 40]),
    ];
    proptest::collection::vec(lively, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    /// However the network cuts a conversation up, it is the same conversation.
    #[test]
    fn segmentation_changes_nothing(bytes in wire(), cut in 1_usize..9) {
        for entry in ALL.iter().filter(|entry| entry.framed) {
            // A service of its own for each: some count their conversations.
            let (one, other) = (service(entry).stream, service(entry).stream);
            let (Some(one), Some(other)) = (one, other) else { continue };
            let whole = talk_on(one.as_ref(), &[&bytes], true);
            prop_assert_eq!(&whole.broken, &Vec::<String>::new(), "{}", entry.name);
            let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
            prop_assert_eq!(&whole, &talk_on(other.as_ref(), &pieces, true), "{}", entry.name);
        }
    }

    /// A datagram, whatever is in it, never panics and is never outgrown by more than twice its length.
    #[test]
    fn datagrams_are_not_amplified(bytes in wire()) {
        for entry in ALL {
            let outcome = datagram(&service(entry), &bytes);
            prop_assert!(outcome.reply.len() <= bytes.len().saturating_mul(2), "{}", entry.name);
        }
    }

    /// Whatever a sensor is fed, it does not panic, and reports only what it declares.
    #[test]
    fn sensors_survive_anything(bytes in wire()) {
        for entry in ALL {
            let Some(settings) = entry.watching else { continue };
            let mut sensor = replay::build(entry, settings).unwrap().sensor.unwrap();
            let packet =
                Packet { interface: "eth0", link: None, loopback: false, to_us: true, bytes: &bytes, lost: 0 };
            let arrivals = [Arrival::Line(&bytes), Arrival::Packet(packet), Arrival::Woken];
            for (_, seen) in replay::watch(sensor.as_mut(), &arrivals) {
                prop_assert!(entry.kinds.contains(&seen.kind), "{}: {}", entry.name, seen.kind.name);
            }
        }
    }

    /// The inbox of a session is bounded: what it waits for never exceeds its frame limit.
    #[test]
    fn bounds_are_finite(_ in 0..1) {
        for entry in ALL {
            prop_assert!(replay::bounds(&service(entry)).frame <= 1 << 20, "{}", entry.name);
        }
    }
}
