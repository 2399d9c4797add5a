//! The pipeline, event by event.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]
#![allow(clippy::arithmetic_side_effects, clippy::as_conversions, reason = "numbers in tests are small")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, SystemTime},
};

use haldane_core::{
    Class, Event, Fields, Honeycred, Kind, Login, Peer, Problem, Process, Secret, Section, Severity, Table,
    Transport,
    section::{Item, Node, Place, Raw, network},
};
use haldane_pipeline::{Checker, Honeycreds, Ignore, Pipeline, Rules, Settings, Watch};
use uuid::Uuid;

static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login");
static STARTED: Kind = Kind::new(39100, "daemon.started", Class::Operational, Severity::Info, "Started");

fn event(source: &str, seconds: u64) -> Event {
    let remote = SocketAddr::new(source.parse().unwrap(), 40_000);
    let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 21);
    Event {
        id: Uuid::nil(),
        service: "ftp".into(),
        session: Uuid::nil(),
        peer: Some(Peer::new(remote, local, Transport::Tcp)),
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        kind: &LOGIN,
        severity: Severity::High,
        login: None,
        fields: Fields::new(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: None,
    }
}

fn login(username: &str, password: &str) -> Event {
    Event { login: Some(Login::password("password", username, password)), ..event("192.0.2.1", 0) }
}

fn pipeline(ignore: Ignore, checker: Checker) -> Pipeline {
    Pipeline::new(Settings {
        ignore,
        rules: Rules::default(),
        checker,
        watch: Watch::default(),
        first_incident: 1,
    })
}

fn ignoring(sources: &[&str], kinds: &[u32]) -> Pipeline {
    let sources = sources.iter().map(|text| network(text).unwrap()).collect();
    pipeline(Ignore { sources, kinds: kinds.iter().copied().collect() }, Checker::default())
}

fn node(value: Raw) -> Node {
    Node { place: Place { file: "test.toml".into(), line: 7 }, value }
}

fn item(key: &str, value: Raw) -> Item {
    Item { key: key.into(), written: format!("service.ftp.{key}"), node: node(value) }
}

fn configured(baits: &[(Option<&str>, Option<&str>)]) -> (Honeycreds, Vec<Problem>) {
    let text = |key: &str, text: Option<&str>| text.map(|text| item(key, Raw::Text(text.into())));
    let tables = baits.iter().map(|(username, password)| {
        let entries = text("username", *username).into_iter().chain(text("password", *password)).collect();
        node(Raw::Table(Table { name: "honeycreds".into(), entries }))
    });
    let entries = vec![item("honeycreds", Raw::List(tables.collect()))];
    let (table, mut problems) = (Table { name: "service.ftp".into(), entries }, Vec::new());
    let honeycreds = Honeycreds::configure(&mut Section::new(&table, &mut problems));
    (honeycreds, problems)
}

fn checker(baits: &[(Option<&str>, Option<&str>)]) -> Checker {
    let (honeycreds, problems) = configured(baits);
    assert_eq!(problems, []);
    Checker::new([("ftp".to_owned(), honeycreds)])
}

fn taken(checker: &Checker, mut event: Event) -> Event {
    pipeline(Ignore::default(), checker.clone()).take(&mut event, &mut Vec::new());
    event
}

#[test]
fn sources_are_ignored_by_address_and_network_in_both_families() {
    let mut pipeline =
        ignoring(&["192.0.2.7", "10.1.2.3/8", "2001:db8::/32", "::ffff:198.51.100.0/120"], &[]);
    for (source, ignored) in [
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("10.200.0.1", true),
        ("11.0.0.1", false),
        ("2001:db8:1::9", true),
        ("2001:db9::9", false),
        ("198.51.100.9", true),
        ("198.51.101.9", false),
        ("::ffff:192.0.2.7", true),
    ] {
        let mut event = event(source, 0);
        // As a proxy may have named it: not unmapped.
        event.peer.as_mut().unwrap().remote.set_ip(source.parse().unwrap());
        pipeline.take(&mut event, &mut Vec::new());
        assert_eq!(event.ignored, ignored, "{source}");
        assert_eq!(event.incident.is_none(), ignored, "{source}");
    }
}

#[test]
fn kinds_are_ignored_by_number_and_datagrams_by_source() {
    let mut event_of_kind = event("192.0.2.1", 0);
    ignoring(&[], &[2000]).take(&mut event_of_kind, &mut Vec::new());
    assert!(event_of_kind.ignored);
    let mut datagram = event("192.0.2.1", 0);
    datagram.peer.as_mut().unwrap().transport = Transport::Udp;
    ignoring(&["192.0.2.1"], &[]).take(&mut datagram, &mut Vec::new());
    assert!(datagram.ignored);
}

#[test]
fn what_is_no_network_is_the_operators_mistake() {
    let texts =
        |words: &[&str]| Raw::List(words.iter().map(|word| node(Raw::Text((*word).into()))).collect());
    let entries = vec![item("sources", texts(&["10.0.0.0/33", "10.0.0.1"])), item("kinds", texts(&["ftp"]))];
    let (table, mut problems) = (Table { name: "ignore".into(), entries }, Vec::new());
    let ignore = Ignore::configure(&mut Section::new(&table, &mut problems));
    assert_eq!(ignore.sources.len(), 1);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].message.contains("10.0.0.0/33"));
}

#[test]
fn another_configuration_leaves_incidents_open() {
    let mut pipeline = pipeline(Ignore::default(), Checker::default());
    let (mut before, mut after) = (event("192.0.2.1", 0), login("admin", "hunter2"));
    pipeline.take(&mut before, &mut Vec::new());
    pipeline.reconfigure(
        Ignore::default(),
        Rules::default(),
        checker(&[(Some("admin"), Some("hunter2"))]),
        Watch::default(),
    );
    pipeline.take(&mut after, &mut Vec::new());
    assert_eq!((after.incident, after.honeycred), (before.incident, Honeycred::Yes));
}

#[test]
fn events_about_ourselves_belong_to_no_incident() {
    let mut event = Event { kind: &STARTED, peer: None, ..event("192.0.2.1", 0) };
    pipeline(Ignore::default(), Checker::default()).take(&mut event, &mut Vec::new());
    assert_eq!(event.incident, None);
}

#[test]
fn every_hash_format_of_the_contract_is_verified() {
    for line in include_str!("honeycred-hashes.tsv").lines() {
        let (hash, password) = line.split_once('\t').unwrap();
        let checker = checker(&[(Some("admin"), Some(hash))]);
        let right = login("admin", password);
        assert_eq!(taken(&checker, right.clone()).honeycred, Honeycred::Pending, "{hash}");
        assert!(checker.check(&right), "{hash}");
        assert!(!checker.check(&login("admin", "hunter2e")), "{hash}");
        // Both verdicts are remembered.
        let seen = taken(&checker, right);
        assert_eq!((seen.honeycred, seen.severity), (Honeycred::Yes, Severity::Critical), "{hash}");
        assert_eq!(taken(&checker, login("admin", "hunter2e")).honeycred, Honeycred::No, "{hash}");
    }
}

#[test]
fn bcrypt_of_version_2a_and_pbkdf2_under_its_long_name_are_known() {
    let lines = include_str!("honeycred-hashes.tsv").lines();
    let (hashes, _): (Vec<_>, Vec<_>) = lines.map(|line| line.split_once('\t').unwrap()).unzip();
    let of = |start: &str| hashes.iter().find(|hash| hash.starts_with(start)).unwrap();
    for hash in
        [of("$2b$").replacen("$2b$", "$2a$", 1), of("$pbkdf2$").replacen("$pbkdf2$", "$pbkdf2-sha1$", 1)]
    {
        assert!(checker(&[(None, Some(&hash))]).check(&login("x", "hunter2é")), "{hash}");
    }
}

#[test]
fn plain_bait_is_decided_at_once_and_either_part_may_be_left_out() {
    let both = checker(&[(Some("admin"), Some("hunter2"))]);
    assert_eq!(taken(&both, login("admin", "hunter2")).honeycred, Honeycred::Yes);
    assert_eq!(taken(&both, login("admin", "hunter3")).honeycred, Honeycred::No);
    assert_eq!(taken(&both, login("root", "hunter2")).honeycred, Honeycred::No);
    let user = checker(&[(Some("admin"), None)]);
    assert_eq!(taken(&user, login("admin", "")).honeycred, Honeycred::Yes);
    let password = checker(&[(None, Some("hunter2"))]);
    assert_eq!(taken(&password, login("anybody", "hunter2")).honeycred, Honeycred::Yes);
    assert_eq!(
        taken(&password, event("192.0.2.1", 0)).honeycred,
        Honeycred::None,
        "no credentials, no verdict"
    );
    let elsewhere = Event { service: "ssh".into(), ..login("admin", "hunter2") };
    assert_eq!(taken(&both, elsewhere).honeycred, Honeycred::None, "a service without bait has no verdict");
}

#[test]
fn a_wrong_user_name_costs_no_hashing() {
    let hash = include_str!("honeycred-hashes.tsv").split('\t').next().unwrap();
    let checker = checker(&[(Some("admin"), Some(hash))]);
    assert_eq!(taken(&checker, login("root", "hunter2é")).honeycred, Honeycred::No);
}

#[test]
fn a_guess_longer_than_any_bait_is_not_hashed() {
    let hash = "$6$rounds=10000000$XWAWAmP59KuKfigH$yEnhu3lvhOTXhSWtrv1pF7mK/wNbmuMW9O/8jFMs/YuyGRhIKRM4S8i1Ok4oh/\
                cqglyw9CQqpOSSNJsgXyADh1";
    assert!(!checker(&[(None, Some(hash))]).check(&login("x", &"x".repeat(8_192))));
}

#[test]
fn what_is_ignored_is_not_verified() {
    let hash = include_str!("honeycred-hashes.tsv").split('\t').next().unwrap();
    let mut event = login("admin", "x");
    let ignore = Ignore { sources: vec![network("192.0.2.1").unwrap()], ..Ignore::default() };
    pipeline(ignore, checker(&[(None, Some(hash))])).take(&mut event, &mut Vec::new());
    assert_eq!(event.honeycred, Honeycred::None);
}

#[test]
fn a_verdict_already_made_stays_and_is_told_even_if_its_incident_is_over() {
    let mut event = Event { honeycred: Honeycred::Yes, incident: Some(9), ..login("root", "wrong") };
    pipeline(Ignore::default(), checker(&[(Some("admin"), Some("hunter2"))]))
        .take(&mut event, &mut Vec::new());
    assert_eq!((event.honeycred, event.incident), (Honeycred::Yes, Some(1)));
}

#[test]
fn malformed_or_unreasonable_hashes_are_the_operators_mistake_with_its_line() {
    for hash in [
        "$pbkdf2-sha512$0$n3MuxdjbGyPE.D/nPIcQIg$ExZaitYddaj26rBVCTi0fZeBb.iDAN3HlBJHDxCbudoBlsm4UL3ZOLRYHpczmHLyxwfG2lHXLfl.cb1xLj1Y4g",
        "$pbkdf2-sha512$10000001$n3MuxdjbGyPE.D/nPIcQIg$ExZaitYddaj26rBVCTi0fZeBb.iDAN3HlBJHDxCbudoBlsm4UL3ZOLRYHpczmHLyxwfG2lHXLfl.cb1xLj1Y4g",
        "$pbkdf2-sha256$29000$h1DqPWfMmbM2BgAg5BxDKA$6wKI9fTwi1ckmjq1XdCOY",
        "$pbkdf2-sha256$29000$h1DqPWfM",
        "$2b$17$TQHWn4LYYJjXm6o//VUS7e1uy6p/fjbRO9dgz59KE7NYb6IiKgsye",
        "$2b$10$TQHWn4LYYJjXm6o//VUS7e1uy6p",
        "$2b$10$",
        "$6$rounds=10000001$ff4xcoi.cF3ljkLQ$n3uo6N/K7L4dH4q5iv6SknNlmSDieezQ4VRL7c8OaL.0kIRoeMUxJ7evueig7jXh2XiAxd4hXGVNmX31D1dFr/",
        "$6$rounds=656000$XWAWAmP59KuKfigH$short",
        "$5$x",
        "$argon2id$v=19$m=300000,t=3,p=4$YGwtRQhBqHWuVYrxHgNgDA$7brFlw6/iOTy+Nink/k47AXfsJD+4VGfCyTkiXHhTo4",
        "$argon2id$v=19$m=65536,p=4$YGwtRQhBqHWuVYrxHgNgDA$7brFlw6/iOTy+Nink/k47AXfsJD+4VGfCyTkiXHhTo4",
        "$argon2id$v=19$m=65536,t=3,p=4$YGwtRQhBqHWuVYrxHgNgDA==$7brFlw6/iOTy+Nink/k47AXfsJD+4VGfCyTkiXHhTo4",
        "$1$salt$sum",
    ] {
        let (_, problems) = configured(&[(Some("admin"), Some(hash))]);
        assert_eq!(problems.len(), 1, "{hash}");
        let shown = problems[0].to_string();
        assert!(shown.starts_with("test.toml:7: error: service.ftp.password: expected "), "{shown}");
    }
}

#[test]
fn a_password_with_dollars_is_a_password() {
    for plain in ["$", "$ecret", "$$$$", "pa$$word$1$", "$Money$x$y"] {
        assert_eq!(
            taken(&checker(&[(None, Some(plain))]), login("x", plain)).honeycred,
            Honeycred::Yes,
            "{plain}"
        );
    }
}

fn answer(scheme: &'static str, challenge: &[u8], response: &[u8]) -> Event {
    let secret = Secret::Response {
        scheme: scheme.into(),
        challenge: challenge.into(),
        response: response.into(),
        crackable: None,
    };
    Event { login: Some(Login::new(scheme).user("root").secret(secret)), ..event("192.0.2.1", 0) }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn plain_bait_is_recognised_in_the_answers_to_mysqls_challenges() {
    // Computed with Python's hashlib from the definitions in MySQL's documentation.
    let challenge = bytes("000102030405060708090a0b0c0d0e0f10111213");
    let bait = checker(&[(Some("root"), Some("hunter2é"))]);
    for (scheme, response) in [("mysql_native_password", NATIVE), ("caching_sha2_password", SHA2)] {
        let right = taken(&bait, answer(scheme, &challenge, &bytes(response)));
        assert_eq!(right.honeycred, Honeycred::Yes, "{scheme}");
        let replayed = taken(&bait, answer(scheme, &challenge[1..], &bytes(response)));
        assert_eq!(replayed.honeycred, Honeycred::No, "{scheme}");
        let empty = taken(&bait, answer(scheme, &challenge, b""));
        assert_eq!(empty.honeycred, Honeycred::No, "{scheme}");
    }
    let unknown = taken(&bait, answer("ntlm", &challenge, b"x"));
    assert_eq!(unknown.honeycred, Honeycred::No);
}

const NATIVE: &str = "7b3e330eb67096545b5b84d051792b21d6c5b85e";
const SHA2: &str = "67aaa78c0fa8f17a550498365afa1a6ad779fc9dd2c310e975b28e0486edfc80";
