//! What the fuzzers do with an input, one function for each target. A finding is a panic.
//!
//! The same functions replay `fuzz/findings` in an ordinary test (crates/haldane/tests/findings.rs), which is why
//! they are apart from the fuzzer's runtime.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a panic is how a fuzzer is told"
)]

mod bytes;

use std::{
    cell::OnceCell,
    path::PathBuf,
    sync::OnceLock,
    time::{Duration, SystemTime},
};

use haldane::config::{Config, EMBEDDED, Surroundings};
use haldane_core::{
    Arrival, Class, Cx, Datagram, Effects, Entry, Event, Honeycred, Input, Kind, Login, Packet, Peer, Secret,
    Sighting, Transport, Untrusted, Value, Watch, Watched, Windows, sensor::SNAP,
};
use haldane_services::{
    ALL,
    replay::{self, build, datagram, talk_on},
    smb::{
        bait::{Folder, NodeId},
        rpc::{Names, Pipe, ShareSort},
    },
};
use haldane_sinks::encode;
use haldane_wire::spnego::{Conversation, Step};
use tempfile::TempDir;

use bytes::Bytes;

/// A conversation with a service, whole and cut into pieces. The first byte picks the service, the second how it
/// is cut and whether the peer closes its side, the rest is said.
pub fn sessions(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (pick, cut) = (bytes.byte(), bytes.byte());
    let entry = &ALL[usize::from(pick) % ALL.len()];
    if only().is_some_and(|only| only != entry.name) {
        return;
    }
    let (finish, size) = (cut & 1 == 1, usize::from(cut >> 1) + 1);
    let said = bytes.rest();
    // A service for each of the two: some count their conversations.
    let service = || build(entry, &[]).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name));
    let (one, other) = (service(), service());
    if let (Some(one), Some(other)) = (&one.stream, &other.stream) {
        let whole = talk_on(one.as_ref(), &[said], finish);
        assert_eq!(whole.broken, Vec::<String>::new(), "{}", entry.name);
        let pieces: Vec<&[u8]> = said.chunks(size).collect();
        let cut = talk_on(other.as_ref(), &pieces, finish);
        assert_eq!(cut.broken, Vec::<String>::new(), "{}", entry.name);
        if entry.framed {
            assert_eq!(whole, cut, "{}", entry.name);
        }
        for seen in &whole.seen {
            assert!(entry.kinds.contains(&seen.kind), "{}: {}", entry.name, seen.kind.name);
        }
    }
    let answered = datagram(&one, said);
    assert!(answered.reply.len() <= said.len() * 2, "{}", entry.name);
    assert!(replay::bounds(&one).frame <= 1 << 20);
}

/// The one service that is to be fuzzed, if there is such: `cargo xtask fuzz 60 --only smb`.
fn only() -> Option<&'static str> {
    static ONLY: OnceLock<Option<String>> = OnceLock::new();
    ONLY.get_or_init(|| std::env::var("HALDANE_FUZZ_ONLY").ok()).as_deref()
}

/// Pipes that have an interface, and that with its version.
const PIPES: [(&str, &[u8; 16], u8); 7] = [
    ("srvsvc", b"\xc8\x4f\x32\x4b\x70\x16\xd3\x01\x12\x78\x5a\x47\xbf\x6e\xe1\x88", 3),
    ("wkssvc", b"\x98\xd0\xff\x6b\x12\xa1\x10\x36\x98\x33\x46\xc3\xf8\x7e\x34\x5a", 1),
    ("samr", b"\x78\x57\x34\x12\x34\x12\xcd\xab\xef\0\x01\x23\x45\x67\x89\xac", 1),
    ("lsarpc", b"\x78\x57\x34\x12\x34\x12\xcd\xab\xef\0\x01\x23\x45\x67\x89\xab", 0),
    ("spoolss", b"\x78\x56\x34\x12\x34\x12\xcd\xab\xef\0\x01\x23\x45\x67\x89\xab", 1),
    ("netlogon", b"\x78\x56\x34\x12\x34\x12\xcd\xab\xef\0\x01\x23\x45\x67\xcf\xfb", 1),
    ("lsarpc", b"\x88\xd4\x81\xc6\x50\xd8\xd0\x11\x8c\x52\0\xc0\x4f\xd9\x0f\x7e", 1),
];
const NDR: &[u8] = b"\x04\x5d\x88\x8a\xeb\x1c\xc9\x11\x9f\xe8\x08\0\x2b\x10\x48\x60\x02\0\0\0";

/// What is deep inside SMB. The first byte picks the pipe; then come its messages, each behind how it is to be sent: as
/// it is, or as the arguments of a call with that number to the interface that was bound. And all of it as a path.
pub fn smb(input: &[u8]) {
    thread_local! {
        static BAIT: Folder = Folder::load(None).0;
    }
    let units: Vec<u16> =
        input.chunks(2).map(|pair| pair.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte))).collect();
    let letters: Vec<u16> = input.iter().copied().map(u16::from).collect();
    BAIT.with(|bait| {
        for path in [units, letters] {
            if let Ok(id) = bait.find(&path) {
                assert!(bait.node(id).is_some_and(|node| node.folder || bait.read(id, 0, 9).is_ok()));
                assert_eq!(bait.find(&bait.path(id).encode_utf16().collect::<Vec<_>>()), Ok(id));
            }
            assert!(bait.list(NodeId::ROOT, &String::from_utf16_lossy(&path)).count() < 100);
        }
    });
    let windows = Windows::new("files01", "corp.example.com");
    let shares = vec![("Documents".to_owned(), ShareSort::Disk, String::new())];
    let mut bytes = Bytes::new(input);
    let (name, interface, version) = PIPES[usize::from(bytes.byte()) % PIPES.len()];
    let mut pipe = Pipe::open(name, &Names { windows, shares, sid: [1, 2, 3] }).unwrap();
    let address = "192.0.2.1:445".parse().unwrap();
    let peer = Peer::new(address, address, Transport::Tcp);
    let message = |kind: u8, body: &[u8]| {
        let length = u16::try_from(16 + body.len()).unwrap().to_le_bytes();
        [&[5, 0, kind, 3, 16, 0, 0, 0], &length[..], &[0, 0, 1, 0, 0, 0], body].concat()
    };
    let bound =
        [b"\xb8\x10\xb8\x10\0\0\0\0\x01\0\0\0\0\0\x01\0", &interface[..], &[version, 0, 0, 0], NDR].concat();
    let mut said = message(11, &bound);
    let mut random = replay::Counting::default();
    while !said.is_empty() {
        let mut effects = Effects::default();
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        for seen in pipe.write(&said, &mut cx) {
            assert!(seen.arguments.len() < 1 << 20, "{}", seen.call);
        }
        while pipe.waiting() > 0 {
            let (part, _) = pipe.read(1000);
            assert!(!part.is_empty());
        }
        let (how, text) = (bytes.byte(), bytes.text());
        said = match (text.is_empty(), how) {
            (true, _) => Vec::new(),
            (_, 255) => text.to_vec(),
            (_, call) => {
                let length = u32::try_from(text.len()).unwrap().to_le_bytes();
                message(0, &[&length[..], &[0, 0, call, 0], text].concat())
            }
        };
    }
    pipe.close();
}

/// What a sensor is fed, after it has spoken where it does. The first byte picks the sensor, the second what it is fed:
/// a line, a packet, or a datagram to its port or to a group, whole or under the number and the question of its own first one.
pub fn sensors(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let (pick, how) = (bytes.byte(), bytes.byte());
    let watching: Vec<(&Entry, &[&str])> =
        ALL.iter().filter_map(|entry| entry.watching.map(|settings| (entry, settings))).collect();
    let (entry, settings) = watching[usize::from(pick) % watching.len()];
    let everything = if entry.name == "llmnr" { &["nbtns = true", "mdns = true"] } else { settings };
    let service = build(entry, everything).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name));
    let Some(mut sensor) = service.sensor else { panic!("{} watches nothing", entry.name) };
    let mut random = replay::Counting::default();
    let mut take = |arrival: Arrival<'_>| {
        let mut effects = Watched::default();
        sensor.take(arrival, &mut Watch::new(SystemTime::UNIX_EPOCH, &mut random, &mut effects));
        effects
    };
    take(Arrival::Started);
    let sent = take(Arrival::Woken).sent;
    let said = bytes.rest();
    let asked = sent.get(usize::from(how >> 4) % sent.len().max(1)).map_or(&[][..], |(_, bytes)| bytes);
    let headed = [asked.get(..2).unwrap_or_default(), said].concat();
    let repeated = match said.split_at_checked(10) {
        Some((header, records)) => {
            [asked.get(..2).unwrap_or_default(), header, asked.get(12..).unwrap_or_default(), records]
                .concat()
        }
        None => Vec::new(),
    };
    let to = if how & 1 == 0 { "192.0.2.1:40000" } else { "224.0.0.251:5353" };
    for bytes in [said, &headed, &repeated] {
        let datagram = Datagram {
            from: ([192, 0, 2, 66], 5355).into(),
            to: to.parse().unwrap(),
            mac: None,
            interface: "eth0",
            bytes,
        };
        let packet = Packet {
            interface: "eth0",
            link: Some([2; 14]),
            loopback: how & 2 == 2,
            to_us: how & 4 == 0,
            bytes: bytes.get(..SNAP).unwrap_or(bytes),
            lost: 0,
        };
        for arrival in [Arrival::Line(bytes), Arrival::Packet(packet), Arrival::Datagram(datagram)] {
            for (_, seen) in take(arrival).seen {
                assert!(entry.kinds.contains(&seen.kind), "{}: {}", entry.name, seen.kind.name);
            }
        }
    }
}

/// A configuration in either format. Nothing is written, and the keys of services lie in a folder already.
pub fn config(input: &[u8]) {
    thread_local! {
        static STATE: OnceCell<TempDir> = const { OnceCell::new() };
    }
    let around = |state: PathBuf, write: bool| Surroundings {
        environment: Box::new(|name| (name == "HOME").then(|| "/home/eve".to_owned())),
        state_folder: Some(state),
        write,
        native: Vec::new(),
        peer: Vec::new(),
        machine: "files01".into(),
        root: false,
        ipv6: true,
    };
    let Ok(text) = std::str::from_utf8(input) else { return };
    STATE.with(|state| {
        let state = state.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            Config::parse("default.toml", EMBEDDED, &around(folder.path().to_owned(), true)).unwrap();
            folder
        });
        for file in ["fuzz.toml", "fuzz.conf"] {
            if let Err(problems) = Config::parse(file, text, &around(state.path().to_owned(), false)) {
                assert!(!problems.0.is_empty());
                assert!(!problems.to_string().is_empty());
            }
        }
    });
}

/// An event of any content, in each of the formats that it is written in.
pub fn encoders(input: &[u8]) {
    let event = event(&mut Bytes::new(input));
    for line in [encode::native(&event, "node"), encode::compatible(&event, "node")] {
        assert!(!line.bytes().any(|byte| byte < b' '), "{line:?}");
        let parsed: serde_json::Value =
            serde_json::from_str(&without_surrogates(&line)).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(parsed.is_object());
    }
    for line in [encode::text(&event, false), encode::sentence(&event)] {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    encode::text(&event, true);
    encode::members(&event, "node");
}

/// The compatible log writes a byte that is no UTF-8 as Python does, as the second half of a surrogate pair, which
/// serde_json reads only after a first half. An escaped backslash before it is none of it.
fn without_surrogates(line: &str) -> String {
    let mended = |part: &str| {
        let (mut out, mut rest) = (String::new(), part);
        while let Some((before, after)) = rest.split_once("\\udc") {
            out.push_str(before);
            let last = out.len().checked_sub(6).and_then(|at| out.get(at..)).unwrap_or_default();
            let paired = ["\\ud8", "\\ud9", "\\uda", "\\udb"].iter().any(|first| last.starts_with(first));
            out.push_str(if paired { "\\udc" } else { "\\u00" });
            rest = after;
        }
        out + rest
    };
    line.split("\\\\").map(mended).collect::<Vec<_>>().join("\\\\")
}

/// The first flight of a TLS client.
pub fn tls_hello(input: &[u8]) {
    // What is not complete may become so; what is other stays so.
    let whole = haldane_tls::hello::facts(input);
    if let Ok(facts) = &whole {
        assert_eq!((facts.ja3.len(), facts.ja4.len()), (32, 36), "{facts:?}");
    }
    let cut = haldane_tls::hello::facts(&input[..input.len() / 2]);
    assert!(
        whole != Err(haldane_tls::hello::NoHello::Incomplete)
            || cut != Err(haldane_tls::hello::NoHello::Other)
    );
}

/// The header of a trusted proxy.
pub fn proxy(bytes: &[u8]) {
    let mut input = Input::stream(bytes);
    match haldane_net::proxy::header(&mut input) {
        Ok(_) => assert!(input.consumed() > 0 && input.consumed() <= bytes.len()),
        Err(haldane_core::Halt::Need(need)) => assert!(need > bytes.len() && need <= 8192, "{need}"),
        Err(haldane_core::Halt::Malformed(_)) => {}
    }
}

/// Tokens of a Windows login, each with two bytes in front that say how long it is: to a machine alone, and to one in a
/// domain.
pub fn ntlm(input: &[u8]) {
    let address = "192.0.2.1:445".parse().unwrap();
    let peer = Peer::new(address, address, Transport::Tcp);
    for domain in ["", "corp.example.com"] {
        let host = Windows::new("files01", domain);
        let (mut conversation, mut random) = (Conversation::default(), replay::Counting::default());
        let mut rest = input;
        while let Some((length, said)) = rest.split_at_checked(2) {
            let length = usize::from(u16::from_be_bytes([length[0], length[1]])).min(said.len());
            let (token, after) = said.split_at(length);
            rest = after;
            let mut effects = Effects::default();
            let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
            match conversation.take(token, &host, &mut cx) {
                Step::Reply { token, first } => {
                    assert!(token.len() < 1024);
                    if let Some(first) = first {
                        drop(first.facts(Sighting::of(&haldane_services::http::LOGIN)));
                    }
                }
                Step::Done(attempt) => {
                    assert!(attempt.reject.len() < 16 && attempt.accept.len() < 16);
                    drop(attempt.facts(Sighting::of(&haldane_services::http::LOGIN)));
                }
                Step::Unknown => assert!(conversation.reject().len() < 16),
            }
        }
    }
}

fn event(bytes: &mut Bytes<'_>) -> Event {
    let kinds: Vec<&'static Kind> = haldane::kinds::all().collect();
    let kind = kinds[usize::from(bytes.word()) % kinds.len()];
    let address = |bytes: &mut Bytes<'_>| {
        let ip = match bytes.byte() & 1 {
            0 => std::net::IpAddr::from(bytes.array::<4>()),
            _ => std::net::IpAddr::from(bytes.array::<16>()),
        };
        (ip, bytes.word()).into()
    };
    let peer = (kind.class != Class::Operational).then(|| {
        let transport = if bytes.byte() & 1 == 0 { Transport::Tcp } else { Transport::Udp };
        Peer::new(address(bytes), address(bytes), transport)
    });
    let count = bytes.byte() % 8;
    let mut fields: haldane_core::Fields =
        (0..count).map(|_| (bytes.key().into(), value(bytes, 3))).collect();
    // The fields that the compatible log asks for by name.
    for compat in kind.compat.unwrap_or_default() {
        if let haldane_core::kind::Part::Field(name) = compat.part
            && bytes.byte() & 1 == 1
        {
            fields.insert(name.into(), value(bytes, 3));
        }
    }
    let seconds = u64::from_be_bytes(bytes.array()) >> (bytes.byte() % 64);
    let at = std::time::SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_micros(seconds))
        .unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    Event {
        id: uuid::Uuid::from_bytes(bytes.array()),
        service: "fuzz".into(),
        session: uuid::Uuid::from_bytes(bytes.array()),
        peer,
        at,
        kind,
        severity: kind.severity,
        login: (bytes.byte() & 1 == 1).then(|| login(bytes)),
        fields,
        tls: None,
        ignored: false,
        honeycred: Honeycred::No,
        incident: Some(7),
    }
}

fn login(bytes: &mut Bytes<'_>) -> Login {
    let optional = |bytes: &mut Bytes<'_>| (bytes.byte() & 1 == 1).then(|| Untrusted::new(bytes.text()));
    let secret = match bytes.byte() % 5 {
        0 => None,
        1 => Some(Secret::Password(bytes.text().into())),
        2 => Some(Secret::Token(bytes.text().into())),
        3 => Some(Secret::PublicKey {
            algorithm: bytes.text().into(),
            fingerprint: bytes.key(),
            key: bytes.text().into(),
        }),
        _ => Some(Secret::Response {
            scheme: "fuzz".into(),
            challenge: bytes.text().into(),
            response: bytes.text().into(),
            crackable: Some(bytes.key()),
        }),
    };
    Login { username: optional(bytes), domain: optional(bytes), secret, mechanism: "fuzz".into() }
}

/// A value of that depth at most: services build none that is deeper.
fn value(bytes: &mut Bytes<'_>, depth: u8) -> Value {
    match bytes.byte() % if depth == 0 { 4 } else { 6 } {
        0 => Value::Null,
        1 => Value::Bool(bytes.byte() & 1 == 1),
        2 => Value::Int(i64::from_be_bytes(bytes.array())),
        3 => Value::Text(bytes.text().into()),
        4 => Value::List((0..bytes.byte() % 4).map(|_| value(bytes, depth - 1)).collect()),
        _ => Value::Map((0..bytes.byte() % 4).map(|_| (bytes.name(), value(bytes, depth - 1))).collect()),
    }
}
