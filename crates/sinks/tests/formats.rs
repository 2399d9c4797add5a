//! The formats of other products, against what their makers publish: ECS against its list of fields
//! (`data/ecs-fields.tsv`, from the schema itself), OCSF against the models of py-ocsf-models, CEF against pycef.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod common;
mod receivers;

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use haldane_core::{Class, Event, Honeycred, Kind, Login, Secret, Severity, TlsFacts, Transport, Value};
use haldane_sinks::encode::{cef, ecs, leef, ocsf};
use receivers::python;
use serde_json::Value as Json;

/// Whatever breaks a line, a value or a head, and what no text is.
const NASTY: &[u8] = b"a=b|c\\d\te\r\nf\"g\xff\xe2\x80\xae{{7*7}} \x1b[31m</x>";

static OPENED: Kind = Kind::new(39210, "incident.opened", Class::Incident, Severity::High, "Incident");
static CLOSED: Kind = Kind::new(39212, "incident.closed", Class::Incident, Severity::High, "Incident over");
static KINDS: [(Class, &Kind); 9] = [
    (Class::Connection, &Kind::new(1, "connection.opened", Class::Connection, Severity::Info, "Opened")),
    (Class::Connection, &Kind::new(2, "connection.closed", Class::Connection, Severity::Info, "Closed")),
    (Class::Probe, &Kind::new(3, "http.probe", Class::Probe, Severity::Low, "A | probe")),
    (Class::Access, &Kind::new(4, "http.request", Class::Access, Severity::Low, "Page read")),
    (Class::Login, &Kind::new(5, "ssh.login", Class::Login, Severity::High, "SSH login")),
    (Class::Command, &Kind::new(6, "redis.command", Class::Command, Severity::Medium, "Command")),
    (Class::Exploit, &Kind::new(7, "smb.exploit", Class::Exploit, Severity::High, "Exploit")),
    (Class::Bait, &Kind::new(8, "honeycred.used", Class::Bait, Severity::Critical, "Bait")),
    (Class::Operational, &Kind::new(9, "daemon.started", Class::Operational, Severity::Info, "Started")),
];

/// One event of each class, with all that an event can hold, and incidents.
fn events() -> Vec<Event> {
    let base = (*common::record(1, "root").event).clone();
    let mut events: Vec<Event> = KINDS
        .iter()
        .map(|(class, kind)| {
            let mut event = Event { kind, severity: kind.severity, login: None, ..base.clone() };
            event.fields = BTreeMap::from([
                ("method".into(), "GET".into()),
                ("path".into(), Value::from(NASTY)),
                ("user_agent".into(), Value::from(NASTY)),
                ("hostname".into(), "files01".into()),
                ("count".into(), Value::Int(-7)),
            ]);
            event.incident = Some(12);
            event.tls = Some(Arc::new(TlsFacts {
                sni: Some(NASTY.into()),
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                ja3: "e7d705a3286e19ea42f587b344ee6865".into(),
                ja4: "t13d1516h2_8daaf6152771_b186095e22b6".into(),
                ..TlsFacts::default()
            }));
            match class {
                Class::Login => {
                    let mut login = Login::password("password", NASTY, NASTY);
                    login.domain = Some(NASTY.into());
                    event.login = Some(login);
                    event.honeycred = Honeycred::Yes;
                }
                Class::Operational => (event.peer, event.tls) = (None, None),
                _ => {}
            }
            event
        })
        .collect();
    for kind in [&OPENED, &CLOSED] {
        let mut event = Event { kind, login: None, incident: Some(12), ..base.clone() };
        event.fields = BTreeMap::from([
            ("summary".into(), "10.1.4.7 scanned 312 ports".into()),
            ("first".into(), "2026-11-24T04:37:15Z".into()),
            ("last".into(), "2026-11-24T04:39:15+00:00".into()),
        ]);
        events.push(event);
    }
    let mut six = base;
    six.peer = six.peer.map(|mut peer| {
        (peer.remote, peer.transport) = ("[2001:db8::7]:4000".parse().unwrap(), Transport::Udp);
        peer
    });
    six.login = Some(Login::new("netntlmv2").secret(Secret::Response {
        scheme: "netntlmv2".into(),
        challenge: "12345678".into(),
        response: "x".into(),
        crackable: Some("u::D:11:22:33".into()),
    }));
    events.push(six);
    events
}

/// Everything in it under its whole name, `a.b.c`.
fn flat(json: &Json) -> Vec<(String, Json)> {
    let mut rest = vec![(String::new(), json.clone())];
    let mut found = Vec::new();
    while let Some((name, value)) = rest.pop() {
        match value {
            Json::Object(members) => {
                for (key, value) in members {
                    let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                    rest.push((name, value));
                }
            }
            value => found.push((name, value)),
        }
    }
    found
}

#[test]
fn every_name_and_type_of_ecs_is_one_of_its_schema() {
    let list = include_str!("data/ecs-fields.tsv");
    let fields: HashMap<&str, Vec<&str>> = list
        .lines()
        .map(|line| line.split_once('\t').unwrap_or((line, "")))
        .fold(HashMap::new(), |mut fields, (name, rest)| {
            fields.insert(name, rest.split('\t').collect());
            fields
        });
    for event in events() {
        let line = ecs(&event, "canary-1");
        assert!(!line.contains('\n'), "{line}");
        let json: Json = serde_json::from_str(&line).unwrap();
        for (name, value) in flat(&json).into_iter().filter(|(name, _)| !name.starts_with("haldane.")) {
            let about = fields.get(name.as_str()).unwrap_or_else(|| panic!("ECS has no {name}"));
            assert_eq!(value.is_array(), about.contains(&"array"), "{name}: {value}");
            if matches!(about[0], "long") {
                assert!(value.is_i64(), "{name}: {value}");
            } else if !value.is_array() {
                assert!(value.is_string(), "{name}: {value}");
            }
        }
        let words = |name: &str| -> Vec<String> {
            json["event"][name].as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect()
        };
        assert!(
            fields.contains_key(format!("event.kind={}", json["event"]["kind"].as_str().unwrap()).as_str())
        );
        let mut expected = Vec::new();
        for category in words("category") {
            expected.extend(fields[format!("event.category={category}").as_str()][0].split(','));
        }
        assert!(words("type").iter().all(|word| expected.contains(&word.as_str())), "{line}");
    }
}

#[test]
fn ecs_has_what_rules_ask_for() {
    let events = events();
    let login: Json = serde_json::from_str(&ecs(&events[4], "canary-1")).unwrap();
    assert_eq!(login["event"]["category"][0], "authentication");
    assert_eq!(login["source"]["ip"], "192.0.2.7");
    assert_eq!(login["destination"]["port"], 2222);
    assert_eq!(login["event"]["severity"], 73);
    assert_eq!(login["haldane"]["incident"], 12);
    assert_eq!(login["haldane"]["honeycred"], true);
    let name = login["user"]["name"].as_str().unwrap();
    assert!(name.contains("\\r\\n") && name.contains("\\xff") && !name.contains('\u{202e}'), "{name}");
    let request: Json = serde_json::from_str(&ecs(&events[3], "canary-1")).unwrap();
    assert_eq!(request["http"]["request"]["method"], "GET");
    assert_eq!(request["tls"]["client"]["ja3"], "e7d705a3286e19ea42f587b344ee6865");
}

/// Runs a Python script that reads those lines.
fn checked(python: &std::path::Path, script: &str, lines: &[String]) -> String {
    let mut child = Command::new(python)
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.join("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn findings_of_ocsf_pass_the_models_of_the_schema() {
    let Some(python) = python("py_ocsf_models") else { return };
    let script = "
import sys, json
from py_ocsf_models.events.findings.detection_finding import DetectionFinding
n = 0
for line in sys.stdin:
    event = json.loads(line)
    assert event['type_uid'] == event['class_uid'] * 100 + event['activity_id'], event
    assert event['class_uid'] // 1000 == event['category_uid'], event
    if event['class_uid'] == 2004:
        finding = DetectionFinding.model_validate(event)
        assert finding.metadata.version == '1.4.0'
        n += 1
print(n)
";
    let lines: Vec<String> = events().iter().map(|event| ocsf(event, "canary-1")).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')));
    // An exploit, bait, and an incident's opening and end.
    assert_eq!(checked(&python, script, &lines).trim(), "4");
}

#[test]
fn ocsf_tells_a_login_from_traffic_and_an_incident_from_its_end() {
    let of = |event: &Event| -> Json { serde_json::from_str(&ocsf(event, "canary-1")).unwrap() };
    let events = events();
    let login = of(&events[4]);
    assert_eq!((&login["class_uid"], &login["type_uid"]), (&3002.into(), &300_201.into()));
    assert_eq!(login["src_endpoint"]["ip"], "192.0.2.7");
    assert_eq!(login["unmapped"]["credential"]["mechanism"], "password");
    assert_eq!(of(&events[0])["type_uid"], 400_101);
    assert_eq!(of(&events[1])["type_uid"], 400_102);
    assert_eq!(of(&events[2])["connection_info"]["direction_id"], 1);
    assert_eq!(of(&events[8])["class_uid"], 0);
    let (opened, closed) = (of(&events[9]), of(&events[10]));
    assert_eq!((&opened["activity_id"], &closed["activity_id"]), (&1.into(), &3.into()));
    assert_eq!(opened["finding_info"]["uid"], "canary-1/12");
    assert_eq!(closed["finding_info"]["uid"], "canary-1/12");
    assert_eq!(opened["finding_info"]["first_seen_time"], 1_795_495_035_000_i64);
    assert_eq!(opened["evidences"][0]["src_endpoint"]["port"], 40000);
}

#[test]
fn a_parser_of_cef_reads_back_what_was_written() {
    let Some(python) = python("pycef") else { return };
    let lines: Vec<String> = events().iter().map(|event| cef(event, "canary-1")).collect();
    assert!(lines.iter().all(|line| !line.contains(['\n', '\r', '\u{1b}'])), "{lines:#?}");
    let script = "
import sys, json, pycef
for line in sys.stdin:
    print(json.dumps(pycef.parse(line.rstrip('\\n'))))
";
    let out = checked(&python, script, &lines);
    let read: Vec<Json> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), lines.len());
    let (probe, login) = (&read[2], &read[4]);
    // This parser leaves escapes as they are, and knows none in the head.
    assert!(
        lines[2].starts_with("CEF:0|Haldane|Haldane|") && lines[2].contains("|3|A \\| probe|3|"),
        "{}",
        lines[2]
    );
    assert!(probe["request"].as_str().unwrap().starts_with("a\\=b|c\\\\d\\\\te"), "{probe}");
    assert_eq!((&login["src"], &login["dpt"]), (&"192.0.2.7".into(), &"2222".into()));
    assert!(login["duser"].as_str().unwrap().starts_with("a\\=b|c\\\\d"), "{login}");
    assert_eq!(login["session"], "00000000-0000-0000-0000-000000000002", "{login}");
    assert_eq!(read[11]["Source IPv6 Address"], "2001:db8::7", "{}", read[11]);
}

#[test]
fn leef_is_one_line_with_a_value_between_tabs_for_each_name() {
    for event in events() {
        let line = leef(&event, "canary-1");
        assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line}");
        let parts: Vec<&str> = line.splitn(7, '|').collect();
        assert_eq!((parts[0], parts[1], parts[5]), ("LEEF:2.0", "Haldane", "x09"));
        let values: HashMap<&str, &str> = parts[6]
            .split('\t')
            .map(|pair| pair.split_once('=').unwrap_or_else(|| panic!("{line}")))
            .collect();
        assert_eq!(values["devTime"], "1795494723000");
        if let Some(peer) = event.peer {
            assert_eq!(values["src"], peer.remote.ip().to_string());
            assert_eq!(values["srcPort"], peer.remote.port().to_string());
        }
        if event.kind.class == Class::Login && event.login.as_ref().unwrap().username.is_some() {
            assert!(
                values["usrName"].contains("a=b|c\\d\\te\\r\\nf") || values["usrName"] == "root",
                "{line}"
            );
        }
    }
}
