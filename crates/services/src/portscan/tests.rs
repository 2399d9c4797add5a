//! The sensor as it is fed: packets built byte by byte, at chosen times. All lines are here because all tests share
//! the bench and the builders of packets.
#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

use std::{collections::BTreeMap, time::Instant};

use haldane_core::{Value, Watched, sensor::AnySensor};

use super::*;
use crate::replay::{Counting, build};

/// A sensor with a clock of its own.
struct Bench {
    sensor: Box<dyn AnySensor>,
    now: SystemTime,
    seen: Vec<(Option<Peer>, Sighting)>,
    wake: Option<SystemTime>,
}

impl Bench {
    fn new(settings: &[&str]) -> Self {
        let entry = crate::ALL.iter().find(|entry| entry.name == "portscan").unwrap();
        let sensor = build(entry, settings).unwrap().sensor.unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut bench = Self { sensor, now, seen: Vec::new(), wake: None };
        bench.take(Arrival::Started);
        bench
    }

    fn take(&mut self, arrival: Arrival<'_>) {
        let (mut random, mut effects) = (Counting::default(), Watched::default());
        self.sensor.take(arrival, &mut Watch::new(self.now, &mut random, &mut effects));
        self.seen.append(&mut effects.seen);
        if let Some(after) = effects.wake {
            self.wake = Some(self.now + after);
        }
    }

    /// Lets time go by, and wakes it when it wants to be.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.wake.filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.wake = None;
            self.take(Arrival::Woken);
        }
        self.now = until;
    }

    fn packet(&mut self, bytes: &[u8]) {
        self.take(Arrival::Packet(Packet {
            interface: "eth0",
            link: Some([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]),
            loopback: false,
            to_us: true,
            bytes,
            lost: 0,
        }));
    }

    fn local_packet(&mut self, bytes: &[u8]) {
        let link = Some([0; 14]);
        self.take(Arrival::Packet(Packet {
            interface: "lo",
            link,
            loopback: true,
            to_us: true,
            bytes,
            lost: 0,
        }));
    }

    fn syn(&mut self, source: u8, ports: impl IntoIterator<Item = u16>) {
        for port in ports {
            self.packet(&v4(source, 6, &tcp(40_000, port, 0x02, 1024, &[])));
        }
    }

    fn count(&self, kind: &Kind) -> usize {
        self.seen.iter().filter(|(_, seen)| seen.kind == kind).count()
    }

    fn last(&self, kind: &Kind) -> &Sighting {
        &self.seen.iter().rev().find(|(_, seen)| seen.kind == kind).expect("such a sighting").1
    }

    /// How often each kind was reported.
    fn kinds(&self) -> BTreeMap<&str, usize> {
        let mut kinds = BTreeMap::new();
        for (_, seen) in &self.seen {
            *kinds.entry(seen.kind.name).or_default() += 1;
        }
        kinds
    }
}

/// From 192.0.2.`source` to 198.51.100.1.
fn v4(source: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    from([192, 0, 2, source], protocol, payload)
}

fn from(source: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0x12, 0x34, 0x40, 0, 64, protocol, 0, 0];
    packet.extend(source);
    packet.extend([198, 51, 100, 1]);
    packet.extend(payload);
    packet
}

/// From 2001:db8::2 to 2001:db8::1.
fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], next, 64];
    for last in [2, 1] {
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

fn tcp(source: u16, port: u16, flags: u8, window: u16, options: &[u8]) -> Vec<u8> {
    let mut segment = [source.to_be_bytes(), port.to_be_bytes()].concat();
    segment.extend([0; 8]);
    segment.extend([u8::try_from(20 + options.len()).unwrap() << 2, flags]);
    segment.extend(window.to_be_bytes());
    segment.extend([0; 4]);
    segment.extend(options);
    segment
}

fn udp(source: u16, port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let mut datagram = [source, port, length, 0].map(u16::to_be_bytes).concat();
    datagram.extend(payload);
    datagram
}

fn text(seen: &Sighting, field: &str) -> String {
    match &seen.fields[field] {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn names(seen: &Sighting) -> Vec<&str> {
    seen.fields.keys().map(AsRef::as_ref).collect()
}

/// The options of nmap's T2 to T6.
const OS_OPTIONS: [u8; 20] = [3, 3, 10, 1, 2, 4, 1, 9, 8, 10, 255, 255, 255, 255, 0, 0, 0, 0, 4, 2];

#[test]
fn a_connection_attempt_has_the_fields_of_the_kernel_s_line_and_no_others() {
    let mut bench = Bench::new(&[]);
    bench.packet(&v4(7, 6, &tcp(40_000, 22, 0xc2, 1024, &[2, 4, 5, 180])));
    let (peer, seen) = &bench.seen[0];
    let peer = peer.unwrap();
    assert_eq!(
        (peer.remote.to_string(), peer.local.to_string()),
        ("192.0.2.7:40000".into(), "198.51.100.1:22".into())
    );
    let expected = [
        ("cwr", ""),
        ("df", ""),
        ("ece", ""),
        ("id", "4660"),
        ("in", "eth0"),
        ("len", "44"),
        ("mac", "02:00:00:00:00:01:02:00:00:00:00:02:08:00"),
        ("out", ""),
        ("prec", "0x00"),
        ("proto", "TCP"),
        ("res", "0x00"),
        ("syn", ""),
        ("tos", "0x00"),
        ("ttl", "64"),
        ("urgp", "0"),
        ("window", "1024"),
    ];
    assert_eq!(names(seen), expected.map(|(name, _)| name));
    expected.iter().for_each(|(name, value)| assert_eq!(text(seen, name), *value, "{name}"));
    assert_eq!((seen.kind.number, seen.severity), (5001, Severity::Low));
}

#[test]
fn over_ipv6_the_fields_are_those_of_ipv6() {
    let mut bench = Bench::new(&[]);
    bench.packet(&v6(6, &tcp(40_000, 22, 0x02, 1024, &[])));
    let seen = bench.last(&SYN);
    let expected =
        ["flowlbl", "hoplimit", "in", "len", "mac", "out", "proto", "res", "syn", "tc", "urgp", "window"];
    assert_eq!((names(seen), text(seen, "len").as_str()), (expected.to_vec(), "60"));
}

#[test]
fn each_sort_of_probe_has_its_kind() {
    let mut bench = Bench::new(&[]);
    for (flags, options) in [
        (0x00, &[][..]),
        (0x29, &[]),
        (0x01, &[]),
        (0x2b, &OS_OPTIONS),
        (0x10, &OS_OPTIONS),
        (0x02, &OS_OPTIONS),
    ] {
        bench.packet(&v4(7, 6, &tcp(40_000, 22, flags, 1024, options)));
    }
    let mut ecn = tcp(40_000, 22, 0xc2, 3, &[]);
    ecn[18..20].copy_from_slice(&[0xf7, 0xf5]);
    bench.packet(&v4(7, 6, &ecn));
    let kinds: Vec<u32> = bench.seen.iter().map(|(_, seen)| seen.kind.number).collect();
    assert_eq!(kinds, [5003, 5004, 5005, 5002, 5002, 5002, 5002]);
    let mut bench = Bench::new(&[]);
    bench.packet(&v4(7, 17, &udp(40_000, 40_001, &[b'C'; 300])));
    let mut echo = vec![8, 9, 0, 0, 1, 1, 1, 39];
    echo.extend([0; 120]);
    bench.packet(&v4(7, 1, &echo));
    assert_eq!(bench.kinds(), BTreeMap::from([("portscan.os", 2)]));
}

#[test]
fn others_are_probes_with_their_technique() {
    let mut bench = Bench::new(&[]);
    let mut cut = v4(7, 6, &[0; 8]);
    cut[6] = 0x20;
    let ack = tcp(40_000, 80, 0x10, 1024, &[]);
    let packets = [
        v4(7, 17, &udp(40_000, 161, b"?")),
        v4(7, 1, &[8, 0, 0, 0]),
        v4(7, 1, &[13, 0, 0, 0]),
        v4(8, 1, &[17, 0]),
        v4(9, 6, &ack),
        v4(10, 6, &tcp(40_000, 81, 0x11, 1024, &[])),
        cut,
        v4(12, 6, &tcp(1, 2, 0x03, 0, &[])),
        v6(58, &[128, 0, 0, 0]),
        v6(60, &[&[17, 0, 1, 4, 0, 0, 0, 0][..], &udp(40_000, 53, b"")].concat()),
    ];
    packets.iter().for_each(|packet| bench.packet(packet));
    let probes = bench.seen.iter().filter(|(_, seen)| seen.kind == &PROBE);
    let found: Vec<String> = probes.map(|(_, seen)| text(seen, "technique")).collect();
    let expected = ["udp", "echo", "timestamp", "mask", "ack", "maimon", "fragments", "flags", "echo", "udp"];
    assert_eq!(found, expected);
}

#[test]
fn what_belongs_to_a_connection_is_nothing() {
    let mut bench = Bench::new(&[]);
    bench.syn(7, [80]);
    for flags in [0x10, 0x11, 0x12, 0x14, 0x04, 0x18] {
        bench.packet(&v4(7, 6, &tcp(40_000, 80, flags, 1024, &[])));
        bench.packet(&v4(8, 6, &tcp(443, 50_000, flags, 1024, &[])));
    }
    assert_eq!(bench.kinds(), BTreeMap::from([("portscan.syn", 1)]));
}

#[test]
fn a_scan_of_every_port_is_told_once_with_its_ports_and_once_when_it_is_over() {
    let mut bench = Bench::new(&[]);
    bench.syn(7, 1..=65_535);
    bench.wait(Duration::from_secs(5));
    let (peer, scan) = bench.seen.iter().find(|(_, seen)| seen.kind == &SCAN).unwrap();
    assert_eq!(peer.unwrap().remote.to_string(), "192.0.2.7:0");
    assert_eq!((text(scan, "tcp").as_str(), text(scan, "targets").as_str()), ("1-65535", "65535"));
    assert_eq!(text(scan, "first"), "2023-11-14T22:13:20Z");
    assert_eq!(scan.severity, Severity::High);
    bench.wait(Duration::from_secs(3600));
    let expected = [("portscan.scan", 1), ("portscan.scan_ended", 1), ("portscan.syn", 5)];
    assert_eq!(bench.kinds(), BTreeMap::from(expected));
    assert_eq!(text(bench.last(&ENDED), "packets"), "65535");
    assert_eq!(bench.wake, None, "nothing is left to do");
}

#[test]
fn a_scan_that_goes_on_is_told_ever_more_rarely() {
    let mut bench = Bench::new(&[]);
    // One port a second, for more than two hours.
    for port in 1..8_000 {
        bench.syn(7, [port]);
        bench.wait(Duration::from_secs(1));
    }
    bench.wait(Duration::from_secs(3600));
    assert_eq!((bench.count(&SCAN), bench.count(&ENDED)), (1, 1));
    assert!((3..=6).contains(&bench.count(&GOES_ON)), "{}", bench.count(&GOES_ON));
    assert_eq!(text(bench.last(&ENDED), "tcp"), "1-7999");
}

#[test]
fn a_busy_client_of_one_port_is_no_scan_and_hides_none() {
    let mut bench = Bench::new(&[]);
    for round in 0..5_u16 {
        for connection in 0..2_000 {
            bench.packet(&v4(7, 6, &tcp(20_000 + connection, 80, 0x02, 1024, &[])));
        }
        bench.syn(8, [round + 1]);
    }
    bench.wait(Duration::from_secs(5));
    let scans: Vec<String> = bench
        .seen
        .iter()
        .filter(|(_, seen)| seen.kind == &SCAN)
        .map(|(peer, _)| peer.unwrap().remote.ip().to_string())
        .collect();
    assert_eq!(scans, ["192.0.2.8"]);
    let of = |last: u8| {
        bench
            .seen
            .iter()
            .filter(|(peer, seen)| {
                seen.kind == &SYN && peer.unwrap().remote.ip() == IpAddr::from([192, 0, 2, last])
            })
            .count()
    };
    assert_eq!((of(7), of(8)), (5, 5), "each at its own rate");
}

#[test]
fn the_slowest_pace_of_nmap_is_a_scan_and_so_few_ports_in_a_day_are_none() {
    let slow = |pause: u64| {
        let mut bench = Bench::new(&[]);
        for port in 1..10 {
            bench.syn(7, [port]);
            bench.wait(Duration::from_secs(pause));
        }
        bench.wait(Duration::from_secs(60));
        bench.count(&SCAN)
    };
    assert_eq!((slow(15), slow(300), slow(3600)), (1, 1, 0));
}

#[test]
fn the_sweep_of_nmap_is_a_scan_and_a_ping_is_none() {
    let mut bench = Bench::new(&[]);
    for _ in 0..100 {
        bench.packet(&v4(8, 1, &[8, 0, 0, 0]));
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!((bench.count(&SCAN), bench.count(&PROBE)), (0, 1));
    bench.packet(&v4(7, 1, &[8, 0, 0, 0]));
    bench.syn(7, [443]);
    bench.packet(&v4(7, 6, &tcp(40_000, 80, 0x10, 1024, &[])));
    bench.packet(&v4(7, 1, &[13, 0, 0, 0]));
    bench.wait(Duration::from_secs(3));
    assert_eq!(format!("{:?}", bench.last(&SCAN).fields["techniques"]).matches("Text").count(), 4);
}

#[test]
fn answers_to_this_machine_and_noise_are_no_scan_but_listed_in_one() {
    let mut bench = Bench::new(&[]);
    for port in 0..1_000 {
        bench.packet(&v4(7, 17, &udp(53, 40_000 + port, b"answer")));
        bench.packet(&v4(7, 6, &tcp(443, 40_000 + port, 0x10, 500, &[])));
    }
    for port in NOISE {
        bench.packet(&v4(7, 17, &udp(5_000, port, b"noise")));
    }
    bench.packet(&v4(7, 17, &udp(123, 123, b"ntp")));
    let mut everybody = v4(7, 17, &udp(5_000, 137, b"noise"));
    everybody[16..20].fill(255);
    bench.take(Arrival::Packet(Packet {
        interface: "eth0",
        link: None,
        loopback: false,
        to_us: false,
        bytes: &everybody,
        lost: 0,
    }));
    bench.wait(Duration::from_secs(60));
    assert_eq!(bench.seen, []);
    for port in 1..6 {
        bench.packet(&v4(7, 17, &udp(5_000, port, b"probe")));
    }
    bench.packet(&v4(7, 17, &udp(5_000, 1900, b"probe")));
    bench.wait(Duration::from_secs(3));
    assert_eq!(text(bench.last(&SCAN), "udp"), "1-5,67-68,123,546-547,1900,5353,5355");
}

#[test]
fn passive_transfers_of_a_client_are_no_scan_but_many_high_ports_are() {
    let mut bench = Bench::new(&[]);
    bench.syn(7, std::iter::once(21).chain(50_000..50_030));
    bench.wait(Duration::from_secs(5));
    assert_eq!(bench.count(&SCAN), 0);
    bench.syn(7, 50_030..50_040);
    bench.wait(Duration::from_secs(5));
    assert_eq!(bench.count(&SCAN), 1);
}

#[test]
fn rates_are_the_configured_ones_for_each_source() {
    let mut bench = Bench::new(&["synrate = 1", "nmaposrate = 2", "lorate = 3600"]);
    for _ in 0..60 {
        bench.syn(7, [80]);
        bench.syn(8, [80]);
        bench.packet(&v4(7, 6, &tcp(40_000, 80, 0x00, 1024, &[])));
        bench.local_packet(&from([127, 0, 0, 1], 6, &tcp(40_000, 80, 0x02, 1024, &[])));
        bench.wait(Duration::from_millis(500));
    }
    // A burst of five, then the rate for half a minute.
    assert_eq!((bench.count(&SYN), bench.count(&NULL)), (3 * 34, 60));
    let mut bench = Bench::new(&["synrate = 0"]);
    bench.syn(7, 1..10);
    bench.wait(Duration::from_secs(3));
    assert_eq!(bench.kinds(), BTreeMap::from([("portscan.scan", 1)]));
}

#[test]
fn this_machine_is_told_of_rarely_or_never() {
    let local = from([127, 0, 0, 1], 6, &tcp(40_000, 80, 0x02, 1024, &[]));
    let own = v4(7, 6, &tcp(40_000, 80, 0x02, 1024, &[]));
    let mut bench = Bench::new(&[]);
    for _ in 0..3600 {
        bench.local_packet(&local);
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!(bench.count(&SYN), 5 + 2, "a burst of five, then three an hour");
    let mut bench = Bench::new(&["ignore_localhost = true"]);
    bench.local_packet(&local);
    bench.local_packet(&own);
    bench.take(Arrival::Line(b"canaryfw: IN=lo SRC=127.0.0.1 DST=127.0.0.1 SPT=1 DPT=2"));
    assert_eq!(bench.seen, []);
    bench.packet(&own);
    assert_eq!(bench.count(&SYN), 1);
}

#[test]
fn programs_of_this_machine_need_more_targets_to_be_a_scan() {
    let mut bench = Bench::new(&[]);
    let touch = |bench: &mut Bench, ports: std::ops::Range<u16>| {
        ports.for_each(|port| bench.local_packet(&from([127, 0, 0, 1], 6, &tcp(40_000, port, 2, 1, &[]))));
        bench.wait(Duration::from_secs(3));
    };
    touch(&mut bench, 1..21);
    assert_eq!(bench.count(&SCAN), 0);
    touch(&mut bench, 21..31);
    assert_eq!(bench.count(&SCAN), 1);
}

#[test]
fn ports_that_are_ignored_are_not_counted_either() {
    let mut bench = Bench::new(&["ignore_ports = [22, \"80\"]"]);
    bench.syn(7, [22, 80]);
    bench.take(Arrival::Line(b"canaryfw: IN=eth0 SRC=192.0.2.7 DST=198.51.100.1 SPT=1 DPT=22"));
    assert_eq!(bench.seen, []);
    bench.syn(7, [23]);
    assert_eq!(bench.count(&SYN), 1);
}

#[test]
fn a_flood_of_forged_sources_is_bounded_and_buries_nobody() {
    let mut bench = Bench::new(&[]);
    let started = Instant::now();
    for number in 0..100_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        for port in [80, 81, 82, 83, 84] {
            bench.packet(&from([10, a, b, c], 6, &tcp(40_000, port, 2, 1024, &[])));
        }
        // One scans in earnest, a hundred times slower.
        if number % 100 == 0 {
            bench.syn(7, [u16::try_from(number / 100 + 1).unwrap()]);
        }
        if number % 1000 == 0 {
            bench.wait(Duration::from_secs(1));
        }
    }
    bench.wait(Duration::from_secs(900));
    let of_earnest = |(peer, seen): &&(Option<Peer>, Sighting)| {
        seen.kind == &ENDED && peer.unwrap().remote.ip() == IpAddr::from([192, 0, 2, 7])
    };
    let told = bench.seen.iter().rev().find(of_earnest).expect("it is not buried");
    assert_eq!(text(&told.1, "tcp"), "1-1000");
    // At once, and for 120 seconds.
    assert!(bench.count(&SYN) <= 1_000 + 120 * 100 + 100, "{}", bench.count(&SYN));
    assert!(bench.count(&SCAN) <= 2 * (100 + 121), "{}", bench.count(&SCAN));
    assert!((2..=4).contains(&bench.count(&FLOOD)));
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn who_has_touched_more_is_remembered_when_many_others_come() {
    let mut bench = Bench::new(&[]);
    bench.syn(7, [21, 22, 23]);
    for number in 0..30_000_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        bench.wait(Duration::from_millis(10));
        bench.packet(&from([10, a, b, c], 6, &tcp(40_000, 80, 2, 1024, &[])));
    }
    bench.syn(7, [24, 25]);
    bench.wait(Duration::from_secs(3));
    assert_eq!(text(bench.last(&SCAN), "tcp"), "21-25");
}

#[test]
fn a_line_of_the_kernel_is_read_as_the_peer_does_and_odd_ones_do_no_harm() {
    let mut bench = Bench::new(&["packets = false", "logfile = \"/x\""]);
    bench.take(Arrival::Line(
        b"Nov 24 10:00:00 host kernel: [123.4] canaryfw: IN=eth0 OUT= MAC=02:00 SRC=192.0.2.7 DST=198.51.100.1 LEN=60 \
          TOS=0x00 PREC=0x00 TTL=64 ID=1 DF PROTO=TCP SPT=4711 DPT=22 WINDOW=64240 RES=0x00 CWR ECE SYN URGP=0 ",
    ));
    let (peer, seen) = &bench.seen[0];
    let peer = peer.unwrap();
    assert_eq!(
        (peer.remote.to_string(), peer.local.to_string()),
        ("192.0.2.7:4711".into(), "198.51.100.1:22".into())
    );
    let expected = [
        "cwr", "df", "ece", "id", "in", "len", "mac", "out", "prec", "proto", "res", "syn", "tos", "ttl",
        "urgp", "window",
    ];
    assert_eq!((seen.kind, names(seen)), (&SYN, expected.to_vec()));
    let others: [(&[u8], &Kind); 6] = [
        (b"canarynmapNULL: SRC=192.0.2.7 DST=198.51.100.1 SPT=1 DPT=2", &NULL),
        (b"canarynmapXMAS: SRC=192.0.2.7 DST=198.51.100.1 SPT=1 DPT=2", &XMAS),
        (b"canarynmapFIN: SRC=192.0.2.7 DST=198.51.100.1 SPT=1 DPT=2", &FIN),
        (b"canarynmap: SRC=192.0.2.7 DST=198.51.100.1 SPT=1 DPT=2", &OS),
        (
            b"canaryfw: IN=eth0 SRC=2001:db8::7 DST=2001:db8::1 \xff\xfe=\xff PROTO=TCP SPT=1 DPT=2 A=B=C",
            &SYN,
        ),
        (b"canaryfw: SRC=192.0.2.9 PROTO=ICMP DPT=99999 [SRC=192.0.2.8 SPT=7 ]", &SYN),
    ];
    for (line, kind) in others {
        bench.seen.clear();
        bench.take(Arrival::Line(line));
        assert_eq!(bench.seen.iter().map(|(_, seen)| seen.kind).collect::<Vec<_>>(), [kind]);
    }
    assert_eq!(bench.seen[0].0.unwrap().transport, Transport::Ip, "a line without ports");
    bench.seen.clear();
    for line in
        [&b""[..], b"canaryfw:", b"canaryfw: ", b"canaryfw: SRC=x DST=y", b"eth0: link up", b"canaryfw: SRC="]
    {
        bench.take(Arrival::Line(line));
    }
    assert_eq!(bench.seen, []);
}

#[test]
fn a_packet_that_the_log_tells_of_as_well_is_told_once() {
    let mut bench = Bench::new(&["logfile = \"/x\""]);
    bench.syn(7, [22]);
    let line = |port: u16| format!("canaryfw: IN=eth0 SRC=192.0.2.7 DST=198.51.100.1 SPT=40000 DPT={port}");
    bench.take(Arrival::Line(line(22).as_bytes()));
    assert_eq!(bench.count(&SYN), 1);
    bench.take(Arrival::Line(line(23).as_bytes()));
    assert_eq!(bench.count(&SYN), 2, "what only the log has");
}

#[test]
fn lines_alone_make_a_scan_too() {
    let mut bench = Bench::new(&["packets = false", "logfile = \"/x\""]);
    for port in 1..6 {
        let line = format!("canaryfw: IN=eth0 SRC=192.0.2.7 DST=198.51.100.1 SPT=40000 DPT={port}");
        bench.take(Arrival::Line(line.as_bytes()));
    }
    bench.wait(Duration::from_secs(3));
    assert_eq!(text(bench.last(&SCAN), "tcp"), "1-5");
}

#[test]
fn lost_packets_are_told_once_a_minute() {
    let mut bench = Bench::new(&[]);
    let bytes = v4(7, 6, &tcp(1, 2, 2, 1, &[]));
    for _ in 0..100 {
        let packet =
            Packet { interface: "eth0", link: None, loopback: false, to_us: true, bytes: &bytes, lost: 3 };
        bench.take(Arrival::Packet(packet));
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!((bench.count(&LOST), text(bench.last(&LOST), "packets").as_str()), (2, "180"));
}

#[test]
fn no_packet_however_it_is_cut_or_changed_does_harm() {
    let packets = [
        v4(7, 6, &tcp(1, 2, 2, 3, &OS_OPTIONS)),
        v4(7, 17, &udp(1, 2, b"x")),
        v4(7, 1, &[8; 12]),
        v6(0, &[&[44, 0, 1, 4, 0, 0, 0, 0][..], &[6, 0, 0, 1, 0, 0, 0, 0], &tcp(1, 2, 2, 3, &[])].concat()),
        v6(51, &[6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ];
    let mut bench = Bench::new(&[]);
    for packet in packets {
        for end in 0..=packet.len() {
            bench.packet(&packet[..end]);
        }
        for at in 0..packet.len() {
            for bit in 0..8 {
                let mut changed = packet.clone();
                changed[at] ^= 1 << bit;
                bench.packet(&changed);
            }
        }
    }
}

#[test]
fn mistakes_in_the_settings_are_named() {
    let entry = crate::ALL.iter().find(|entry| entry.name == "portscan").unwrap();
    for (key, value) in
        [("ignore_ports", "[\"http\"]"), ("packets", "false"), ("targets", "1"), ("synrate", "-1")]
    {
        let problems = build(entry, &[&format!("{key} = {value}")]).err().unwrap();
        assert!(format!("{problems:?}").contains(key), "{key}: {problems:?}");
    }
}

#[test]
fn ports_are_written_as_ranges_and_a_list_is_bounded() {
    let (mut ports, mut room) = (ports::Ports::default(), 1);
    for port in [0, 1, 2, 3389, 65_534, 65_535] {
        assert!(ports.insert(port, &mut room));
    }
    assert!(!ports.insert(2, &mut room));
    assert_eq!(ports.list(), "0-2,3389,65534-65535");
    for port in (100..60_000).step_by(2) {
        ports.insert(port, &mut room);
    }
    assert!(ports.is_large() && room == 0);
    let list = ports.list();
    assert!(list.len() < 2100 && list.ends_with(" more"), "{list}");
    let mut small = ports::Ports::default();
    let kept = (0..1_000).filter(|port| small.insert(*port, &mut room)).count();
    assert_eq!((kept, small.is_large()), (128, false), "without room");
}
