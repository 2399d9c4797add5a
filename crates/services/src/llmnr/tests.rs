use std::{collections::BTreeSet, net::SocketAddr, time::SystemTime};

use haldane_core::{Problem, Watched, sensor::AnySensor, session};
use proptest::prelude::*;

use super::{
    wire::{Record, read},
    *,
};
use crate::{ALL, replay};

/// Chance that is the same each time.
struct Seeded(u64);

impl session::Random for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = self.0.to_be_bytes()[0];
        }
    }
}

/// A sensor at work.
struct Bench {
    sensor: Box<dyn AnySensor>,
    random: Seeded,
    seen: Vec<(Option<Peer>, Sighting)>,
}

fn built(settings: &[&str]) -> Result<Box<dyn AnySensor>, Vec<Problem>> {
    let entry = ALL.iter().find(|entry| entry.name == "llmnr").unwrap();
    replay::build(entry, settings).map(|service| service.sensor.unwrap())
}

impl Bench {
    fn with(settings: &[&str]) -> Self {
        Self { sensor: built(settings).unwrap(), random: Seeded(7), seen: Vec::new() }
    }

    fn take(&mut self, arrival: Arrival<'_>) -> Watched {
        let mut effects = Watched::default();
        self.sensor.take(arrival, &mut Watch::new(SystemTime::UNIX_EPOCH, &mut self.random, &mut effects));
        self.seen.append(&mut effects.seen);
        effects
    }

    /// What is sent when it wakes the next time.
    fn woken(&mut self) -> Vec<(Destination, Vec<u8>)> {
        self.take(Arrival::Woken).sent
    }

    fn hear(&mut self, from: &str, to: &str, bytes: &[u8]) -> Vec<(Option<Peer>, Sighting)> {
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let mac = Some([2, 0, 0, 0xab, 0xcd, 0xef]);
        self.take(Arrival::Datagram(Datagram { from, to, mac, interface: "eth0", bytes }));
        std::mem::take(&mut self.seen)
    }

    /// An answer to our port, from a machine of IPv4.
    fn answered(&mut self, bytes: &[u8]) -> Vec<(Option<Peer>, Sighting)> {
        self.hear("10.0.0.66:5355", "10.0.0.5:40000", bytes)
    }
}

fn group(to: &str) -> Destination {
    Destination::Group(to.parse().unwrap())
}

/// A response to that question, which is repeated, with one record for its name.
fn response(question: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let record = [
        &[0xc0, 12][..],
        &kind.to_be_bytes(),
        &[0, 1, 0, 0, 0, 30],
        &u16::try_from(data.len()).unwrap().to_be_bytes(),
        data,
    ];
    [&question[..2], &[0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0], &question[12..], &record.concat()].concat()
}

#[test]
fn a_question_of_llmnr_is_that_of_windows_but_for_its_number() {
    let mut bench = Bench::with(&[]);
    let sent = bench.woken();
    let to: Vec<Destination> = sent.iter().map(|(to, _)| *to).collect();
    let (four, six) = (group("224.0.0.252:5355"), group("[ff02::1:3]:5355"));
    assert_eq!(to, [four, four, six, six]);
    for ((_, bytes), kind) in sent.iter().zip([1, 28, 1, 28]) {
        assert_eq!(bytes[2..], *[b"\0\0\0\x01\0\0\0\0\0\0\x04DC03\0\0", &[kind][..], b"\0\x01"].concat());
    }
    let numbers: BTreeSet<&[u8]> = sent.iter().map(|(_, bytes)| &bytes[..2]).collect();
    assert_eq!(numbers.len(), 4);
}

#[test]
fn netbios_and_multicast_dns_are_asked_where_that_is_switched_on() {
    let mut bench = Bench::with(&["nbtns = true", "mdns = true", "ipv6 = false"]);
    let sent = bench.woken();
    let mdns = group("224.0.0.251:5353");
    let to: Vec<Destination> = sent.iter().map(|(to, _)| *to).collect();
    let four = group("224.0.0.252:5355");
    assert_eq!(to, [four, four, mdns, mdns, Destination::Everybody(137)]);
    assert_eq!(sent[2].1[2..], *b"\0\0\0\x01\0\0\0\0\0\0\x04DC03\x05local\0\0\x01\0\x01");
    // "DC03", blanks, and 0x20, in half bytes: RFC 1001, section 14.1.
    let half = b"\x01\x10\0\x01\0\0\0\0\0\0 EEEDDADDCACACACACACACACACACACACA\0\0 \0\x01";
    assert_eq!(sent[4].1[2..], *half);
    let feeds = built(&["mdns = true", "interfaces = \"eth1\""]).unwrap().feeds();
    let groups = vec!["224.0.0.251:5353".parse().unwrap(), "[ff02::fb]:5353".parse().unwrap()];
    assert_eq!(feeds, [Feed::Network(Network { interfaces: vec!["eth1".into()], groups })]);
}

#[test]
fn whoever_answers_is_named_with_answer_address_and_mac_once_for_each_question() {
    let mut bench = Bench::with(&[]);
    let sent = bench.woken();
    let answer = response(&sent[0].1, 1, &[10, 0, 0, 66]);
    let seen = bench.answered(&answer);
    let [(Some(peer), seen)] = seen.as_slice() else { panic!("{seen:?}") };
    assert_eq!(
        (peer.remote.to_string(), peer.local.to_string()),
        ("10.0.0.66:5355".into(), "10.0.0.5:40000".into())
    );
    assert_eq!((seen.kind.number, seen.severity, seen.kind.class), (19001, Severity::High, Class::Exploit));
    let fields = [
        ("query_hostname", Value::from("DC03")),
        ("response", "10.0.0.66".into()),
        ("mac", "02:00:00:ab:cd:ef".into()),
        ("protocol", "llmnr".into()),
        ("query_type", "A".into()),
        ("ttl", 30.into()),
        ("rcode", 0.into()),
        ("flags", 0x8000.into()),
        ("interface", "eth0".into()),
        ("group", false.into()),
    ];
    assert_eq!(seen.fields, fields.map(|(name, value)| (name.into(), value)).into());
    // The same again, from the same machine and from another.
    assert_eq!(bench.answered(&answer), []);
    assert_eq!(bench.hear("10.0.0.67:5355", "10.0.0.5:40000", &answer).len(), 1);
    // The other question for the same name, over IPv6.
    let six = response(&sent[3].1, 28, &[0xfe; 16]);
    let seen = bench.hear("[fe80::66]:5355", "[fe80::5]:40001", &six);
    assert_eq!(seen[0].1.fields["response"], "fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe".into());
}

#[test]
fn the_compatible_log_has_the_two_keys_of_the_peer() {
    let keys: Vec<&str> = POISONED.compat.unwrap().iter().map(|compat| compat.key).collect();
    assert_eq!(keys, ["query_hostname", "response"]);
}

#[test]
fn an_answer_of_netbios_tells_its_flags_and_every_address() {
    let mut bench = Bench::with(&["nbtns = true", "ipv6 = false"]);
    let sent = bench.woken();
    let question = &sent[2].1;
    // As RFC 1002, section 4.2.13: no question, the name in the record.
    let name = &question[12..question.len() - 4];
    let data = [0x60, 0, 10, 0, 0, 66, 0x60, 0, 10, 0, 0, 67];
    let answer =
        [&question[..2], b"\x85\0\0\0\0\x01\0\0\0\0", name, b"\0 \0\x01\0\x04\x93\xe0\0\x0c", &data].concat();
    let seen = bench.hear("10.0.0.66:137", "10.0.0.5:40000", &answer);
    let fields = &seen[0].1.fields;
    assert_eq!((&fields["protocol"], &fields["query_type"]), (&"nbt-ns".into(), &"NB".into()));
    assert_eq!((&fields["response"], &fields["netbios_flags"]), (&"10.0.0.66".into(), &0x6000.into()));
    assert_eq!(fields["responses"], vec!["10.0.0.66", "10.0.0.67"].into());
    assert_eq!(fields["ttl"], 300_000.into());
}

#[test]
fn answers_of_multicast_dns_have_no_number_and_no_question() {
    let mut bench = Bench::with(&["mdns = true"]);
    bench.woken();
    let answer = |name: &[u8]| {
        [b"\0\0\x84\0\0\0\0\x01\0\0\0\0", name, b"\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\0\0\x42"].concat()
    };
    let to_group = bench.hear("10.0.0.66:5353", "224.0.0.251:5353", &answer(b"\x04dc03\x05local"));
    assert_eq!(to_group[0].1.fields["group"], true.into());
    assert_eq!(to_group[0].1.fields["protocol"], "mdns".into());
    assert_eq!(to_group[0].1.fields["query_type"], "A".into());
    let to_us = bench.hear("10.0.0.67:5353", "10.0.0.5:40000", &answer(b"\x04dc03\x05local"));
    assert_eq!(to_us[0].1.kind, &POISONED);
    // What others have to say to the group is theirs; to our port, it is not.
    for other in
        [answer(b"\x07printer\x05local"), answer(b"\x04dc03"), b"junk".to_vec(), bench.woken()[0].1.clone()]
    {
        assert_eq!(bench.hear("10.0.0.9:5353", "224.0.0.251:5353", &other), []);
        assert_eq!(bench.hear("10.0.0.9:5353", "10.0.0.5:40000", &other)[0].1.kind, &UNASKED);
    }
}

#[test]
fn what_fits_no_question_is_little_and_says_why() {
    let mut bench = Bench::with(&[]);
    let question = bench.woken()[0].1.clone();
    let good = response(&question, 1, &[10, 0, 0, 66]);
    let with = |at: usize, byte: u8| {
        let mut changed = good.clone();
        changed[at] = byte;
        changed
    };
    let cases = [
        (with(0, good[0] ^ 1), "it fits no question"),
        (with(13, b'X'), "it fits no question"),
        (with(19, 16), "it fits no question"),
        (with(2, 0), "it is no response"),
        (with(3, 3), "it says that there is an error"),
        (good[..good.len() - 1].to_vec(), "it is malformed"),
        (with(18, 0xff), "it fits no question"),
        (Vec::new(), "it is malformed"),
    ];
    for (bytes, why) in cases {
        let seen = bench.answered(&bytes);
        assert_eq!((seen[0].1.kind, seen[0].1.severity), (&UNASKED, Severity::Low));
        assert_eq!(seen[0].1.fields["why"], why.into(), "{}", bytes.escape_ascii());
        assert_eq!(seen[0].1.fields["excerpt"], bytes.as_slice().into());
    }
    assert_eq!(bench.answered(&good)[0].1.kind, &POISONED);
}

#[test]
fn an_answer_with_a_name_or_with_nothing_counts_too() {
    let mut bench = Bench::with(&[]);
    let sent = bench.woken();
    let alias = response(&sent[0].1, 5, b"\x04evil\xc0\x0c");
    assert_eq!(bench.answered(&alias)[0].1.fields["response"], "evil.DC03".into());
    let text = response(&sent[1].1, 16, b"\x02hi");
    // The type that was asked for is in the question, that of the record may be any.
    assert_eq!(bench.answered(&text)[0].1.fields["response"], "TYPE16 026869".into());
    let mut none = response(&sent[2].1, 1, &[1; 4]);
    none[7] = 0;
    assert_eq!(bench.answered(&none)[0].1.fields["response"], Value::Null);
}

#[test]
fn each_interval_has_the_name_once_and_another_within_it() {
    let mut bench = Bench::with(&["query_interval = 60", "query_splay = 5"]);
    let first = bench.take(Arrival::Started);
    assert!(first.sent.is_empty() && first.wake.unwrap() <= Duration::from_secs(5));
    let name = |sent: &[(Destination, Vec<u8>)]| {
        String::from_utf8(read(&sent[0].1).unwrap().question.unwrap().0).unwrap()
    };
    let (mut others, mut spans, mut numbers) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for _ in 0..200 {
        let own = bench.take(Arrival::Woken);
        assert_eq!(name(&own.sent), "DC03");
        let other = bench.take(Arrival::Woken);
        others.push(name(&other.sent));
        let span = own.wake.unwrap() + other.wake.unwrap();
        assert!((54..=66).contains(&span.as_secs()), "{span:?}");
        spans.insert(span.as_millis());
        numbers.extend(own.sent.iter().chain(&other.sent).map(|(_, bytes)| bytes[..2].to_vec()));
    }
    assert!(spans.len() > 150, "{spans:?}");
    assert!(numbers.len() > 1_500, "{}", numbers.len());
    assert_eq!(others.iter().filter(|name| *name == "WPAD").count(), 100);
    let made_up: BTreeSet<&String> = others.iter().filter(|name| *name != "WPAD").collect();
    assert!(made_up.len() > 70, "{made_up:?}");
    assert!(!made_up.contains(&"DC03".to_owned()));
    assert!(made_up.iter().all(|name| possible(name) && name.len() <= 15), "{made_up:?}");
}

#[test]
fn names_are_those_that_the_operator_wants() {
    let names = |settings: &[&str]| {
        let mut bench = Bench::with(settings);
        let name = |sent: Vec<(Destination, Vec<u8>)>| read(&sent[0].1).unwrap().question.unwrap().0;
        (0..6).map(|_| String::from_utf8(name(bench.woken())).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(&["random_names = false", "hostname = \"a\""]), ["a", "WPAD", "a", "WPAD", "a", "WPAD"]);
    let all_made_up = names(&["hostname = \"NOSUCH\""]);
    assert!(
        all_made_up[1] != "WPAD" && all_made_up[3] == "WPAD" && all_made_up[5] != "WPAD",
        "{all_made_up:?}"
    );
}

#[test]
fn a_mistake_in_a_name_or_a_time_is_told() {
    for setting in [
        "hostname = \"\"",
        "hostname = \"a b\"",
        "hostname = \"a..b\"",
        "hostname = \"files01\"",
        "names = \"FILES01\"",
        "query_interval = 0",
        "port = 0",
    ] {
        assert_eq!(built(&[setting]).err().map(|problems| problems.len()), Some(1), "{setting}");
    }
    assert!(built(&["hostname = \"dc03.corp.example\""]).is_ok());
}

#[test]
fn questions_are_forgotten_in_time_and_many_sources_are_all_reported() {
    let mut bench = Bench::with(&[]);
    let first = bench.woken();
    let answer = response(&first[0].1, 1, &[10, 0, 0, 66]);
    for host in 0..100 {
        assert_eq!(bench.hear(&format!("10.0.1.{host}:5355"), "10.0.0.5:40000", &answer).len(), 1);
    }
    for _ in 0..REMEMBERED / 4 - 1 {
        bench.woken();
    }
    assert_eq!(bench.answered(&answer)[0].1.kind, &POISONED);
    bench.woken();
    assert_eq!(bench.answered(&answer)[0].1.kind, &UNASKED);
}

#[test]
fn pointers_that_lead_nowhere_end() {
    let to =
        |pointer: [u8; 2]| [&b"\0\x01\x80\0\0\x01\0\0\0\0\0\0\x01a"[..], &pointer, b"\0\x01\0\x01"].concat();
    assert!(read(&to([0xc0, 12])).is_err(), "to itself");
    assert!(read(&to([0xc0, 14])).is_err(), "to the pointer");
    assert!(read(&to([0xff, 0xff])).is_err(), "beyond the end");
    assert!(read(&to([0x80, 12])).is_err(), "no pointer, no label");
    assert_eq!(read(&to([0xc0, 0])).unwrap().question.unwrap(), (b"a".to_vec(), 1));
    // A chain of pointers, each to the one before, under one name after the other.
    let mut chain = b"\0\x01\x80\0\0\0\xff\xff\0\0\0\0\0".to_vec();
    for at in 12_u16..4_000 {
        chain.extend((0xc000 | at).to_be_bytes());
    }
    assert!(read(&chain).is_err());
    let long = [
        &b"\0\x01\x80\0\0\x01\0\0\0\0\0\0"[..],
        &[&[63][..], &[b'a'; 63]].concat().repeat(5),
        b"\0\0\x01\0\x01",
    ];
    assert!(read(&long.concat()).is_err());
}

#[test]
fn a_record_of_an_address_that_is_none_is_kept_as_bytes() {
    let message = response(b"\0\x01\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01", 1, &[1, 2, 3]);
    let answer = read(&message).unwrap();
    let record = Record { name: b"a".to_vec(), kind: 1, ttl: 30, data: Data::Other(vec![1, 2, 3]) };
    assert_eq!(answer.records, [record]);
}

proptest! {
    #[test]
    fn any_bytes_are_read_and_no_answer_to_a_port_is_lost(bytes: Vec<u8>, flags: u16) {
        let mut bench = Bench::with(&["nbtns = true", "mdns = true"]);
        let sent = bench.woken();
        let headed = [&sent[0].1[..2], &flags.to_be_bytes(), &sent[0].1[4..], &bytes].concat();
        for bytes in [bytes.as_slice(), &headed] {
            prop_assert_eq!(bench.answered(bytes).len(), 1);
        }
    }

    #[test]
    fn a_name_that_is_written_is_read(labels in proptest::collection::vec("[a-zA-Z0-9-]{1,30}", 1..5), id: u16) {
        let to = Destination::Group(SocketAddr::from(([224, 0, 0, 252], 5355)));
        let question = Question { protocol: Protocol::Llmnr, to, name: labels.join("."), kind: 28 };
        let answer = read(&question.encode(id)).unwrap();
        prop_assert_eq!(answer.id, id);
        prop_assert_eq!(question.fits(&answer), Some(Fit::Whole));
    }
}
