#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use haldane_core::{
    Class, Fields, Honeycred, Kind, Login, Notify, Pattern, Peer, Transport, Wants,
    section::{Item, Node, Place, Raw},
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

static LOGIN: Kind = Kind::new(4002, "ssh.login", Class::Login, Severity::High, "SSH login");
static PAGE: Kind = Kind::new(3000, "http.request", Class::Access, Severity::Low, "Page read");
static USED: Kind = Kind::new(39200, "honeycred.used", Class::Bait, Severity::Critical, "Bait");

/// Thursday, 26 November 2026, 03:30 of the local clock.
fn night() -> SystemTime {
    let at: jiff::civil::DateTime = "2026-11-26T03:30".parse().unwrap();
    jiff::tz::TimeZone::system().to_timestamp(at).unwrap().try_into().unwrap()
}

fn event(kind: &'static Kind, service: &'static str, source: &str, port: u16) -> Event {
    let remote = SocketAddr::new(source.parse().unwrap(), 40_000);
    let local = SocketAddr::new("10.0.0.1".parse().unwrap(), port);
    Event {
        id: Uuid::nil(),
        service: service.into(),
        session: Uuid::nil(),
        peer: Some(Peer::new(remote, local, Transport::Tcp)),
        at: night(),
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

fn login(username: &str) -> Event {
    Event { login: Some(Login::password("password", username, "x")), ..event(&LOGIN, "ssh", "10.1.2.3", 22) }
}

fn page(path: &str, agent: &str) -> Event {
    let mut event = event(&PAGE, "http", "192.0.2.7", 80);
    event.fields.insert("path".into(), path.into());
    event.fields.insert("user_agent".into(), agent.into());
    event
}

fn value(text: &str) -> Raw {
    match text.strip_prefix('[') {
        Some(list) => {
            let parts = list.trim_end_matches(']').split(',').map(|part| node(Raw::Text(part.trim().into())));
            Raw::List(parts.collect())
        }
        None => Raw::Text(text.into()),
    }
}

fn node(value: Raw) -> Node {
    Node { place: Place { file: "haldane.toml".into(), line: 7 }, value }
}

/// Rules as an operator writes them: `key=value` each, lists in brackets.
fn read(rules: &[&[&str]]) -> (Rules, Vec<String>) {
    let tables = rules.iter().map(|keys| {
        let entries = keys.iter().map(|pair| {
            let (key, text) = pair.split_once('=').unwrap();
            Item { key: key.into(), written: format!("rule.{key}"), node: node(value(text)) }
        });
        node(Raw::Table(Table { name: "rule".into(), entries: entries.collect() }))
    });
    let list = Item { key: "rule".into(), written: "rule".into(), node: node(Raw::List(tables.collect())) };
    let (table, mut problems) = (Table { name: String::new(), entries: vec![list] }, Vec::new());
    let rules = Rules::configure(&mut Section::new(&table, &mut problems));
    (rules, problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect())
}

fn rules(written: &[&[&str]]) -> Rules {
    let (rules, problems) = read(written);
    assert_eq!(problems, Vec::<String>::new());
    rules
}

/// Whether a rule with those conditions meets the event.
fn meets(conditions: &[&str], event: &Event) -> bool {
    let keys: Vec<&str> = ["action=drop"].iter().chain(conditions).copied().collect();
    rules(&[&keys]).first(event, &NoNames).is_some()
}

#[test]
fn each_condition_meets_what_it_says_and_nothing_else() {
    let root = login("root");
    let probe = page("/health/live", "Mozilla/5.0 (Nessus SOAP)");
    for (condition, met, unmet) in [
        ("source=10.0.0.0/8", &root, &probe),
        ("source=::ffff:10.1.2.3", &root, &probe),
        ("port=22", &root, &probe),
        ("port=[1-30, 8000-8100]", &root, &probe),
        ("service=s*h", &root, &probe),
        ("kind=ssh.*", &root, &probe),
        ("kind=4002", &root, &probe),
        ("username=R?OT", &root, &login("toor")),
        ("user_agent=*nessus*", &probe, &page("/", "curl/8")),
        ("path=/health*", &probe, &page("/admin", "")),
        ("preset=vulnerability-scanners", &probe, &page("/", "curl/8")),
    ] {
        assert!(meets(&[condition], met), "{condition}");
        assert!(!meets(&[condition], unmet), "{condition}");
    }
    assert!(meets(&["destination=10.0.0.1", "service=[ssh, http]"], &root));
    assert!(!meets(&["destination=10.0.0.2"], &root));
    assert!(!meets(&["source=10.0.0.0/8", "service=http"], &root), "every key must fit");
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_began() {
    let event = login("root");
    for (conditions, met) in [
        (&["hours=22:00-06:00"][..], true),
        (&["hours=06:00-22:00"], false),
        (&["hours=03:30-03:31"], true),
        (&["hours=03:31-24:00"], false),
        (&["days=thu"], true),
        (&["days=mon-wed"], false),
        (&["hours=22:00-06:00", "days=wed"], true),
        (&["hours=22:00-06:00", "days=thu"], false),
        (&["days=sat-tue", "hours=00:00-24:00"], false),
        (&["service=ssh", "until=2026-11-26"], false),
        (&["service=ssh", "until=2026-11-27"], true),
        (&["service=ssh", "until=2026-11-26T03:30"], false),
    ] {
        assert_eq!(meets(conditions, &event), met, "{conditions:?}");
    }
}

#[test]
fn a_name_matters_only_once_it_is_known() {
    let event = page("/", "");
    let rules =
        rules(&[&["action=log", "source_name=*.shodan.io"], &["action=log", "preset=internet-measurement"]]);
    assert!(rules.ask_for_names());
    assert_eq!(rules.first(&event, &NoNames), None);
    let names = HashMap::from([("192.0.2.7".parse().unwrap(), "Census1.Shodan.io".to_owned())]);
    assert_eq!(rules.first(&event, &names), Some(0));
}

#[test]
fn a_preset_of_harmless_visitors_is_not_met_by_a_login_or_bait() {
    let mut event = login("root");
    assert!(!meets(&["preset=defender-discovery"], &event));
    event.kind = &PAGE;
    assert!(meets(&["preset=defender-discovery"], &event));
    event.kind = &USED;
    assert!(!meets(&["preset=vulnerability-scanners", "port=22"], &event));
}

#[test]
fn the_first_rule_that_matches_decides_and_is_counted() {
    let mut rules = rules(&[
        &["action=raise", "username=root", "comment=nobody is root here", "tags=[root, watch]"],
        &["action=drop", "source=10.0.0.0/8"],
        &["action=lower", "service=http", "severity=info"],
        &["action=log", "kind=*.login"],
    ]);
    let mut root = login("root");
    rules.apply(&mut root, &NoNames);
    assert_eq!((root.severity, root.ignored), (Severity::Critical, false));
    assert_eq!(root.fields["rule"], Value::from("nobody is root here"));
    assert_eq!(root.fields["tags"], Value::from(vec!["root".to_owned(), "watch".to_owned()]));
    let mut other = login("admin");
    rules.apply(&mut other, &NoNames);
    assert!(other.ignored);
    assert_eq!(other.fields["rule"], Value::from("rule 2"));
    let mut read = page("/", "");
    rules.apply(&mut read, &NoNames);
    assert_eq!(read.severity, Severity::Info);
    let mut far = login("root");
    far.peer = None;
    far.login = None;
    rules.apply(&mut far, &NoNames);
    assert_eq!(far.severity, Severity::Info);
    assert_eq!(rules.iter().map(Rule::hits).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn lower_never_raises_and_raise_never_lowers() {
    let mut rules = rules(&[
        &["action=lower", "service=http", "severity=high"],
        &["action=raise", "service=ssh", "severity=low"],
        &["action=raise", "service=ftp"],
    ]);
    for (service, kind, expected) in
        [("http", &PAGE, Severity::Low), ("ssh", &LOGIN, Severity::High), ("ftp", &USED, Severity::Critical)]
    {
        let mut event = event(kind, service, "10.1.1.1", 1);
        rules.apply(&mut event, &NoNames);
        assert_eq!(event.severity, expected, "{service}");
    }
}

#[test]
fn mistakes_are_named_all_at_once() {
    let (_, problems) = read(&[
        &["action=ignore", "source=10.0.0.0/40"],
        &["service=ssh"],
        &["action=drop", "until=2026-12-31"],
        &["action=tag", "port=70000", "hours=9-5"],
        &["action=drop", "severity=low", "preset=vulnerability-scaners", "days=[someday]"],
        &["action=lower", "severity=none", "kind=x"],
    ]);
    let expected = [
        "rule.action: expected one of",
        "rule.source: \"10.0.0.0/40\" is not an address",
        "rule.action: expected one of drop, log, lower, raise, tag",
        "rule: expected at least one condition",
        "rule.action: expected `tags`",
        "rule.port: \"70000\" is not a port",
        "rule.hours: expected two times",
        "rule.severity: expected with action",
        "(did you mean \"vulnerability-scanners\"?)",
        "rule.days: expected days",
        "rule.severity: expected info",
    ];
    for text in expected {
        assert!(problems.iter().any(|problem| problem.contains(text)), "{text} in {problems:#?}");
    }
}

proptest! {
    /// Against an obvious, slow definition.
    #[test]
    fn a_pattern_fits_as_its_definition_says(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        fn slow(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern.split_first(), text.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) => {
                    slow(rest, text) || text.split_first().is_some_and(|(_, shorter)| slow(pattern, shorter))
                }
                (Some((b'?', rest)), Some((_, shorter))) => slow(rest, shorter),
                (Some((wanted, rest)), Some((byte, shorter))) => wanted == byte && slow(rest, shorter),
                _ => false,
            }
        }
        prop_assert_eq!(Pattern::new(&pattern).fits(text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
    }

    /// Whatever the rules: an event that no `drop` meets first is not kept from the sinks.
    #[test]
    fn drop_is_the_only_way_in_which_an_event_misses_the_sinks(
        written in prop::collection::vec(
            (0..5_usize, prop::sample::select(vec![
                "source=10.0.0.0/8", "service=ssh", "service=*", "kind=*.login", "username=r*", "port=[22, 80]",
                "preset=vulnerability-scanners", "hours=00:00-24:00", "path=/*", "until=2020-01-01",
            ]), prop::option::of(0..5_usize)),
            0..6,
        ),
        which in 0..4_usize,
    ) {
        let texts: Vec<Vec<String>> = written.iter().map(|(action, condition, severity)| {
            let (name, action) = Action::ALL[*action];
            let mut keys = vec![format!("action={name}"), (*condition).to_owned(), "service=*".to_owned()];
            if action == Action::Tag { keys.push("tags=[x]".to_owned()); }
            if let Some(at) = severity && matches!(action, Action::Lower | Action::Raise) {
                keys.push(format!("severity={}", Severity::ALL[*at].name()));
            }
            keys
        }).collect();
        let keys: Vec<Vec<&str>> = texts.iter().map(|keys| keys.iter().map(String::as_str).collect()).collect();
        let tables: Vec<&[&str]> = keys.iter().map(Vec::as_slice).collect();
        let mut rules = rules(&tables);
        let mut event = [login("root"), login("x"), page("/a", "nessus"), page("b", "")][which].clone();
        let met = rules.first(&event, &NoNames).and_then(|at| rules.iter().nth(at)).map(|rule| rule.action);
        rules.apply(&mut event, &NoNames);
        prop_assert_eq!(event.ignored, met == Some(Action::Drop));
        let everything = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };
        prop_assert_eq!(everything.accepts(&event), met != Some(Action::Drop), "a sink that wants everything");
    }
}

#[test]
fn a_long_text_and_many_stars_take_no_time() {
    let pattern = Pattern::new(&"*a".repeat(200));
    let begun = std::time::Instant::now();
    assert!(!pattern.fits("a".repeat(199).as_bytes()));
    assert!(!pattern.fits("b".repeat(8192).as_bytes()));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn signs_of_presets_are_written_as_they_are_compared() {
    for preset in PRESETS {
        let signs = [preset.agents, preset.paths, preset.names].concat();
        assert!(signs.iter().all(|sign| **sign == sign.to_ascii_lowercase()), "{}", preset.name);
    }
}
