//! Incidents: what belongs together, when it is told, and that nothing bursts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use haldane_core::{Class, Event, Fields, Honeycred, Kind, Login, News, Peer, Severity, Transport, Value};
use haldane_pipeline::{
    Facts, Incident, Incidents, Watch,
    incidents::{CLOSED, OPENED, PLENTY, UNPROVED},
};
use proptest::prelude::*;
use uuid::Uuid;

static CONNECTED: Kind = Kind::new(1, "ssh.connection", Class::Connection, Severity::Info, "SSH connection");
static SSH: Kind = Kind::new(4002, "ssh.login", Class::Login, Severity::High, "SSH login");
static COMMAND: Kind = Kind::new(2, "redis.command", Class::Command, Severity::Medium, "Redis command");
static PROBE: Kind = Kind::new(3, "http.probe", Class::Probe, Severity::Low, "Web server probed");
static BAIT: Kind = Kind::new(4, "tftp.bait", Class::Bait, Severity::Critical, "TFTP bait file fetched");
static SCAN: Kind = Kind::new(5, "portscan.scan", Class::Scan, Severity::High, "Port scan");
static ENDED: Kind = Kind::new(6, "portscan.scan_ended", Class::Scan, Severity::Low, "Port scan ended");
static KINDS: [&Kind; 7] = [&CONNECTED, &SSH, &COMMAND, &PROBE, &BAIT, &SCAN, &ENDED];

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn seen(kind: &'static Kind, source: IpAddr, port: u16, seconds: u64) -> Event {
    let peer = Peer::new(
        SocketAddr::new(source, 40_000),
        SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), port),
        Transport::Tcp,
    );
    Event {
        id: Uuid::nil(),
        service: kind.name.split('.').next().unwrap().into(),
        session: Uuid::nil(),
        peer: Some(peer),
        at: at(seconds),
        kind,
        severity: kind.severity,
        login: None,
        fields: Fields::new(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: None,
    }
}

fn event(kind: &'static Kind, source: &str, seconds: u64) -> Event {
    seen(kind, source.parse().unwrap(), 22, seconds)
}

fn login(user: &str, password: &str, seconds: u64) -> Event {
    Event { login: Some(Login::password("password", user, password)), ..event(&SSH, "10.1.4.7", seconds) }
}

/// A table with a clock: everything that is due is told in time.
struct Bench {
    table: Incidents,
    news: Vec<News>,
}

impl Bench {
    fn new(watch: Watch) -> Self {
        Self { table: Incidents::new(watch, 1), news: Vec::new() }
    }

    fn take(&mut self, event: &Event) -> Option<u64> {
        self.until(event.at);
        self.table.note(event, &mut self.news)
    }

    /// Ticks whenever something is due.
    fn until(&mut self, now: SystemTime) {
        while let Some(due) = self.table.due().filter(|due| *due <= now) {
            self.table.tick(due, &mut self.news);
            self.table.unsaved(due);
        }
    }

    fn names(&self) -> Vec<&'static str> {
        self.news.iter().map(|news| news.seen.kind.name).collect()
    }

    fn told(&self) -> Vec<(u64, String)> {
        let since = |news: &News| news.at.duration_since(at(0)).unwrap().as_secs();
        self.news.iter().map(|news| (since(news), text(news, "reason"))).collect()
    }
}

fn text(news: &News, name: &str) -> String {
    match &news.seen.fields[name] {
        Value::Text(text) => text.to_string(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn an_incident_is_what_one_source_does_without_a_longer_pause() {
    let mut bench = Bench::new(Watch::default());
    let mut note = |source, seconds| bench.take(&event(&SSH, source, seconds)).unwrap();
    assert_eq!(note("192.0.2.1", 0), 1);
    assert_eq!(note("192.0.2.2", 1), 2);
    assert_eq!(note("192.0.2.1", 600), 1);
    // The window slides: 1200 is 600 after the last.
    assert_eq!(note("192.0.2.1", 1_200), 1);
    assert_eq!(note("192.0.2.1", 1_801), 3);
    // A clock that goes back does not end it.
    assert_eq!(note("192.0.2.1", 5), 3);
}

#[test]
fn the_summary_is_a_sentence_in_plain_words() {
    let mut bench = Bench::new(Watch::default());
    let mut scan = event(&SCAN, "10.1.4.7", 0);
    scan.fields.insert("targets".into(), 312.into());
    bench.take(&scan);
    for n in 0..14 {
        let user = if n % 2 == 0 { "root" } else { "admin" };
        bench.take(&login(user, &format!("secret{n}"), 10 + n));
    }
    bench.until(at(2_000));
    let last = bench.news.last().unwrap();
    assert_eq!(last.seen.kind.name, "incident.closed");
    assert_eq!(
        text(last, "summary"),
        "10.1.4.7 scanned 312 ports, then tried 14 SSH passwords as root and admin"
    );
    assert_eq!(text(last, "events"), "15");
    let Value::List(credentials) = &last.seen.fields["credentials"] else { panic!() };
    assert_eq!(credentials.len(), 14);
    assert_eq!(
        (text(last, "first"), text(last, "last")),
        ("2023-11-14T22:13:20Z".into(), "2023-11-14T22:13:43Z".into())
    );
}

#[test]
fn what_was_done_alike_is_told_together_and_what_is_grave_is_never_left_out() {
    let mut bench = Bench::new(Watch::default());
    bench.take(&login("root", "a", 0));
    bench.take(&login("root", "b", 1));
    let of = |service: &'static str, seconds| Event { service: service.into(), ..login("eve", "c", seconds) };
    bench.take(&of("ftp", 2));
    bench.take(&of("redis", 3));
    bench.until(at(40));
    assert_eq!(
        text(bench.news.last().unwrap(), "summary"),
        "10.1.4.7 tried 2 SSH passwords as root, 1 FTP password as eve and 1 Redis password as eve"
    );
    for n in 0..30 {
        bench.take(&Event { service: format!("service-{n}").into(), ..of("x", 50) });
    }
    bench.take(&event(&BAIT, "10.1.4.7", 60));
    let summary = text(bench.news.last().unwrap(), "summary");
    assert!(summary.chars().count() <= 300, "{summary}");
    assert!(summary.ends_with("took bait of TFTP (TFTP bait file fetched) and did more"), "{summary}");
}

#[test]
fn the_first_message_is_at_once_and_the_others_come_less_and_less_often() {
    let mut bench = Bench::new(Watch::default());
    let source = "10.1.4.7".parse().unwrap();
    // A full hour of something new all the time.
    for second in 0..3_600_u64 {
        let kind = KINDS[usize::try_from(second / 10 % 4).unwrap()];
        let port = u16::try_from(second).unwrap();
        bench
            .take(&Event { service: format!("s{}", second / 60).into(), ..seen(kind, source, port, second) });
    }
    bench.until(at(6_000));
    let times: Vec<u64> = bench.told().into_iter().map(|(second, _)| second).collect();
    // The first ten seconds are connections, which open nothing.
    // … and after the first message, a new service comes at 60.
    assert_eq!(times, [10, 60, 180, 780, 2_580, 4_199]);
    assert_eq!(bench.names()[0], "incident.opened");
    assert_eq!(bench.names()[5], "incident.closed");
    assert_eq!(text(&bench.news[5], "ports"), "3599", "0 is no port");
}

#[test]
fn connections_have_a_number_and_are_told_to_nobody() {
    let mut bench = Bench::new(Watch::default());
    assert_eq!(bench.take(&event(&CONNECTED, "10.1.4.7", 0)), Some(1));
    assert_eq!(bench.take(&event(&ENDED, "10.1.4.7", 1)), Some(1));
    bench.until(at(10_000));
    assert_eq!(bench.names(), [""; 0]);
    assert_eq!(bench.table.open(), 0);
    // What leads to an incident is part of its story.
    bench.take(&event(&CONNECTED, "10.1.4.7", 20_000));
    bench.take(&event(&SSH, "10.1.4.7", 20_001));
    assert_eq!(bench.names(), ["incident.opened"]);
    assert_eq!(text(&bench.news[0], "events"), "2");
}

#[test]
fn nothing_happened_since_so_the_end_is_of_no_weight() {
    let mut bench = Bench::new(Watch::default());
    bench.take(&event(&SSH, "10.1.4.7", 0));
    bench.until(at(700));
    assert_eq!(bench.names(), ["incident.opened", "incident.closed"]);
    assert_eq!(bench.news[1].seen.fields["nothing_new"], haldane_core::Value::Bool(true));
    assert_eq!(text(&bench.news[1], "reason"), "quiet for 10 min");
    bench.take(&event(&SSH, "10.1.4.7", 1_000));
    bench.take(&event(&SSH, "10.1.4.7", 1_001));
    bench.until(at(2_000));
    assert_eq!(bench.news.last().unwrap().seen.severity, Severity::High);
}

#[test]
fn what_is_critical_is_told_at_once_and_the_same_again_not_at_once() {
    let mut bench = Bench::new(Watch::default());
    bench.take(&event(&SSH, "10.1.4.7", 0));
    let honey = |user: &str, seconds| Event { honeycred: Honeycred::Yes, ..login(user, "x", seconds) };
    bench.take(&honey("backup", 1));
    for second in 2..20 {
        bench.take(&honey("backup", second));
    }
    bench.take(&honey("oracle", 20));
    bench.until(at(60));
    let urgent: Vec<(u64, String)> =
        bench.told().into_iter().filter(|(_, reason)| reason.contains("honey")).collect();
    assert_eq!(urgent[0].0, 1);
    assert!(urgent[0].1.contains("honey-credential backup on ssh"), "{urgent:?}");
    assert!(urgent.iter().any(|(second, reason)| *second <= 20 && reason.contains("oracle")), "{urgent:?}");
    assert!(urgent.len() <= 4, "{urgent:?}");
    assert!(bench.news[1].seen.severity == Severity::Critical);
}

#[test]
fn a_verdict_that_comes_later_is_told_too() {
    let mut bench = Bench::new(Watch::default());
    let mut pending = login("backup", "x", 0);
    pending.incident = bench.take(&pending);
    bench.table.confirmed(&pending, &mut bench.news);
    assert_eq!(bench.names(), ["incident.opened", "incident.updated"]);
    assert!(text(&bench.news[1], "reason").contains("honey-credential backup"));
    assert_eq!(bench.news[1].seen.severity, Severity::Critical);
    assert!(text(&bench.news[1], "summary").contains("used a honey-credential of SSH: backup"));
    // Also if it is over.
    bench.until(at(700));
    bench.news.clear();
    bench.table.confirmed(&pending, &mut bench.news);
    assert_eq!(bench.names(), ["incident.opened"]);
    assert_eq!(bench.news[0].seen.severity, Severity::Critical);
}

#[test]
fn the_first_message_waits_a_moment_for_facts_about_the_source() {
    let mut bench = Bench::new(Watch { lookups: true, ..Watch::default() });
    bench.take(&event(&SSH, "10.1.4.7", 0));
    assert_eq!((bench.table.asks(), bench.names()), (vec!["10.1.4.7".parse().unwrap()], vec![]));
    let facts = Facts { name: Some("evil\r\n.example".into()), ..Facts::default() };
    bench.table.know("10.1.4.7".parse().unwrap(), facts);
    bench.until(at(1));
    assert_eq!(bench.names(), ["incident.opened"]);
    assert!(
        text(&bench.news[0], "summary").starts_with("10.1.4.7 (evil\\r\\n.example) tried 1 SSH password")
    );
    // Nobody knows anything about this one.
    bench.take(&event(&SSH, "10.1.4.8", 10));
    bench.until(at(12));
    assert_eq!((bench.names().len(), text(&bench.news[1], "source")), (2, "10.1.4.8".to_owned()));
}

#[test]
fn a_forged_flood_is_one_incident_and_hides_nobody() {
    let mut bench = Bench::new(Watch::default());
    let mut numbers = HashSet::new();
    for n in 0..20_000_u32 {
        let mut forged = seen(&PROBE, Ipv4Addr::from_bits(0x0a00_0000 + n).into(), 161, u64::from(n / 400));
        forged.peer.as_mut().unwrap().transport = Transport::Udp;
        numbers.extend(bench.take(&forged));
    }
    assert_eq!(numbers.len(), UNPROVED as usize + 1);
    let many = bench.news.iter().filter(|news| news.peer.is_none()).collect::<Vec<_>>();
    assert!((1..=4).contains(&many.len()), "{}", many.len());
    assert!(text(many[0], "summary").starts_with("Many sources, probably forged, "), "{:?}", many[0]);
    bench.news.clear();
    bench.take(&event(&SSH, "192.0.2.9", 50));
    assert_eq!(
        (bench.names(), text(&bench.news[0], "source")),
        (vec!["incident.opened"], "192.0.2.9".into())
    );
}

#[test]
fn what_has_no_source_is_told_as_well() {
    let mut bench = Bench::new(Watch::default());
    let flood = Event { peer: None, ..event(&SCAN, "10.1.4.7", 0) };
    assert_eq!(bench.take(&flood), Some(1));
    assert_eq!((bench.names(), bench.news[0].peer), (vec!["incident.opened"], None));
    let mut after = Bench { table: Incidents::new(Watch::default(), 900), news: Vec::new() };
    after.table.again(&Event { incident: Some(77), ..flood });
    after.until(at(1_000));
    assert_eq!((after.names(), after.news[0].incident), (vec!["incident.opened", "incident.closed"], 77));
}

#[test]
fn whoever_has_a_network_of_ipv6_does_not_fill_the_table() {
    let mut bench = Bench::new(Watch::default());
    for n in 0..5_000_u128 {
        bench.take(&seen(&SSH, Ipv6Addr::from_bits((0x2001_0db8 << 96) + n).into(), 22, 0));
    }
    assert_eq!(bench.table.open(), PLENTY as usize + 1);
}

#[test]
fn a_full_table_forgets_the_mild_first_and_says_so_of_what_was_told() {
    let mut bench = Bench::new(Watch::default());
    let source = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
    bench.take(&seen(&BAIT, source(0), 69, 0));
    for n in 1..20_000 {
        bench.take(&seen(&SSH, source(n), 22, 1));
        bench.take(&seen(&CONNECTED, source(100_000 + n), 22, 2));
        assert!(bench.table.open() <= Incidents::MOST);
    }
    let (opened, closed): (Vec<&News>, Vec<&News>) =
        bench.news.iter().partition(|news| news.seen.kind.number == OPENED.number);
    assert_eq!(opened.len(), 20_000, "everybody was told of once");
    assert!(
        !closed.is_empty() && closed.iter().all(|news| text(news, "reason").contains("too many at once"))
    );
    assert_eq!(bench.take(&seen(&SSH, source(0), 22, 3)), Some(1), "the critical one is still there");
}

#[test]
fn what_was_saved_goes_on_after_a_restart_without_a_second_opening() {
    let mut before = Bench::new(Watch::default());
    before.take(&login("root", "a", 0));
    let unsaved = before.table.unsaved(at(0));
    assert!(unsaved.complete && unsaved.incidents.len() == 1);
    // Within the second nothing is saved: this is told again.
    let mut missing = login("admin", "b", 0);
    missing.incident = before.take(&missing);
    assert_eq!(before.table.unsaved(at(0)).incidents, []);

    let mut after = Bench { table: Incidents::new(Watch::default(), 900), news: Vec::new() };
    after.table.restore(&unsaved.incidents[0].state);
    after.table.again(&missing);
    assert_eq!(after.take(&login("guest", "c", 60)), Some(1));
    after.until(at(1_000));
    assert_eq!(after.names(), ["incident.closed"]);
    assert_eq!(text(&after.news[0], "events"), "3");
    assert!(text(&after.news[0], "summary").ends_with("tried 3 SSH passwords as root, admin and guest"));
    assert_eq!(after.take(&login("guest", "c", 2_000)), Some(900));
}

#[test]
fn one_that_was_never_saved_is_put_together_again() {
    let mut after = Bench { table: Incidents::new(Watch::default(), 900), news: Vec::new() };
    after.table.again(&Event { incident: Some(77), ..login("root", "a", 0) });
    after.until(at(1));
    assert_eq!((after.names(), after.news[0].incident), (vec!["incident.opened"], 77));
    assert_eq!(after.take(&login("root", "b", 2)), Some(77));
}

#[test]
fn what_is_saved_is_bounded_whatever_a_source_sends() {
    let mut bench = Bench::new(Watch::default());
    let source = "10.1.4.7".parse().unwrap();
    for n in 0..60_000_u32 {
        let long = format!("{n}{}", "\u{202e}\"x".repeat(2_000));
        let mut event = seen(KINDS[n as usize % 7], source, n as u16, u64::from(n / 1_000));
        event.login = Some(Login::password("password", long.as_str(), long.as_str()));
        event.service = format!("service{n}").into();
        event.fields.insert("tool".into(), long.as_str().into());
        bench.take(&event);
    }
    let state = bench.table.unsaved(at(100)).incidents.pop().unwrap().state;
    assert!(state.len() < 64 * 1024, "{}", state.len());
    serde_json::from_slice::<Incident>(&state).unwrap();
    for news in &bench.news {
        let summary = text(news, "summary");
        assert!(summary.chars().count() <= 300 && !summary.chars().any(char::is_control), "{summary}");
    }
}

/// Not a test of anything but time, by hand: `cargo test --release -p haldane-pipeline -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn a_million_logins_of_one_source() {
    let mut bench = Bench::new(Watch::default());
    let mut event = login("root", "hunter2", 0);
    event.fields.insert("client_version".into(), "SSH-2.0-libssh_0.10.5".into());
    event.fields.insert("command".into(), "AUTH".into());
    let started = std::time::Instant::now();
    let (mut saved, mut bytes) = (0, 0);
    for n in 0..1_000_000_u64 {
        event.at = at(0) + Duration::from_micros(n * 60);
        bench.table.note(&event, &mut bench.news);
        if n % 128 == 0 {
            for incident in bench.table.unsaved(event.at).incidents {
                (saved, bytes) = (saved + 1, bytes + incident.state.len());
            }
        }
    }
    println!("{:?} for a million; saved {saved} times, {bytes} bytes", started.elapsed());
    assert!(saved < 100);
}

#[test]
fn of_very_many_less_is_kept() {
    let mut bench = Bench::new(Watch::default());
    let source = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n));
    for n in 0..=u32::try_from(Incidents::USUAL).unwrap() {
        bench.take(&seen(&SSH, source(n), 22, 0));
    }
    let last = source(u32::try_from(Incidents::USUAL).unwrap());
    for n in 1..20_000_u16 {
        let noise = format!("{n}{}", "x".repeat(500));
        let login = Some(Login::password("password", noise.as_str(), noise.as_str()));
        bench.take(&Event { login, service: format!("s{n}").into(), ..seen(&SSH, last, n, 1) });
    }
    let saved = bench.table.unsaved(at(100)).incidents;
    let state = &saved.iter().find(|saved| saved.source == Some(last)).unwrap().state;
    assert!(state.len() < 8 * 1024, "{}", state.len());
    assert_eq!(serde_json::from_slice::<Incident>(state).unwrap().events, 20_000);
}

#[test]
fn tools_are_known_by_what_they_say() {
    for (field, said, tool) in [
        (
            "user_agent",
            "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
            "nmap",
        ),
        ("user_agent", "Mozilla/5.0 (Hydra)", "hydra"),
        ("user_agent", "sqlmap/1.8#stable (https://sqlmap.org)", "sqlmap"),
        ("user_agent", "curl/7.88.1", "curl"),
        ("user_agent", "Mozilla/5.0 zgrab/0.x", "zgrab"),
        ("client_version", "SSH-2.0-libssh_0.10.5", "libssh (as hydra)"),
        (
            "client_version",
            "SSH-2.0-Ruby/Net::SSH_7.2.0 x86_64-linux-gnu",
            "Net::SSH of Ruby (as Metasploit)",
        ),
        ("tool", "sipvicious", "sipvicious"),
        ("hassh", "55a77ae9728654f1d4240a29287dc296", "ncrack"),
        ("path", "/nmaplowercheck1700000000", "nmap"),
        ("text", "OPTIONS sip:nm SIP/2.0", "nmap"),
    ] {
        let mut bench = Bench::new(Watch::default());
        let mut event = event(&PROBE, "10.1.4.7", 0);
        event.fields.insert(field.into(), said.into());
        bench.take(&event);
        assert_eq!(bench.news[0].seen.fields["tools"], Value::List(vec![tool.into()]), "{said}");
    }
}

#[derive(Debug, Clone)]
struct Step {
    kind: usize,
    source: u32,
    udp: bool,
    honeycred: bool,
    pause: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let source = prop_oneof![4 => 0..6_u32, 1 => any::<u32>()];
    let pause = prop_oneof![6 => 0..2_u64, 2 => 0..60_u64, 1 => 0..1_500_u64];
    (0..KINDS.len(), source, any::<bool>(), proptest::bool::weighted(0.05), pause)
        .prop_map(|(kind, source, udp, honeycred, pause)| Step { kind, source, udp, honeycred, pause })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// For any events: the table is bounded; each number is opened once, before anything else is told of it, and
    /// closed once; every critical event is told, the first of its incident at once, by a message that says so.
    #[test]
    fn any_events_make_an_orderly_story(steps in proptest::collection::vec(step(), 1..400)) {
        let mut bench = Bench::new(Watch::default());
        let (mut now, mut critical) = (0, Vec::new());
        for Step { kind, source, udp, honeycred, pause } in steps {
            now += pause;
            let mut event = seen(KINDS[kind], Ipv4Addr::from_bits(source).into(), 22, now);
            if udp {
                event.peer.as_mut().unwrap().transport = Transport::Udp;
            }
            if honeycred {
                event.honeycred = Honeycred::Yes;
                event.severity = Severity::Critical;
                event.login = Some(Login::password("password", format!("user{source}"), "x"));
            }
            bench.until(event.at);
            let told = bench.news.len();
            let number = bench.take(&event).unwrap();
            prop_assert!(bench.table.open() <= Incidents::MOST);
            if event.severity == Severity::Critical {
                critical.push((number, event.at, told));
            }
        }
        bench.until(at(now + 10_000));
        prop_assert_eq!(bench.table.open(), 0);
        let mut state: HashMap<u64, &str> = HashMap::new();
        for news in &bench.news {
            let name = news.seen.kind.name;
            let before = state.insert(news.incident, name);
            match name {
                "incident.opened" => prop_assert_eq!(before, None),
                "incident.updated" | "incident.closed" => {
                    prop_assert!(matches!(before, Some("incident.opened" | "incident.updated")), "{:?}", before);
                }
                other => prop_assert!(false, "{}", other),
            }
        }
        prop_assert!(state.values().all(|last| *last == CLOSED.name));
        let mut first = HashSet::new();
        for (number, seen, before) in critical {
            let told = bench.news[before..].iter().find(|news| news.incident == number && news.at >= seen);
            let told = told.unwrap();
            prop_assert_eq!(told.seen.severity, Severity::Critical);
            if first.insert(number) {
                prop_assert_eq!(told.at, seen, "the first of each incident is told at once");
            }
            // The same again may wait for the ordinary gap; the last message tells it in any case.
            prop_assert!(told.at.duration_since(seen).unwrap() <= Duration::from_secs(1_800));
        }
    }
}

#[test]
fn nobody_who_logs_in_tried_no_password() {
    let mut bench = Bench::new(Watch::default());
    let nobody = Event { login: Some(Login::new("anonymous")), ..event(&SSH, "10.1.4.7", 0) };
    bench.take(&nobody);
    assert!(!text(&bench.news[0], "summary").contains("password"), "{}", text(&bench.news[0], "summary"));
    bench.take(&login("root", "x", 1));
    bench.until(at(700));
    let story = text(bench.news.last().unwrap(), "summary");
    assert!(story.contains("1 SSH password as root") || story.contains("an SSH password as root"), "{story}");
}
