#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{
    Absent, Class, Compat, Event, Honeycred, Kind, Login, Peer, Secret, Severity, TlsFacts, Transport,
    Untrusted, Value,
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{compatible::members_in, native::native_in, text::text_in, *};

static LOGIN: Kind = Kind::new(30000, "test.login", Class::Login, Severity::High, "SSH login");

fn event() -> Event {
    let ends: [SocketAddr; 2] = ["192.0.2.7:40000".parse().unwrap(), "198.51.100.1:2222".parse().unwrap()];
    Event {
        id: Uuid::from_u128(1),
        service: "ssh".into(),
        session: Uuid::from_u128(2),
        peer: Some(Peer::new(ends[0], ends[1], Transport::Tcp)),
        at: SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_494_723_004_005),
        kind: &LOGIN,
        severity: Severity::High,
        login: None,
        fields: BTreeMap::new(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: None,
    }
}

fn kind(compat: Vec<Compat>) -> &'static Kind {
    let kind = Kind::new(2000, "test.compatible", Class::Login, Severity::High, "Test");
    Box::leak(Box::new(kind.compat(compat.leak())))
}

fn logdata(event: &Event) -> String {
    dumps(&members_in(event, "n", &TimeZone::UTC)["logdata"])
}

/// An event as a service would report it for that line of the peer's log.
fn event_of(line: &Json) -> Event {
    let mut event = event();
    let port = |key: &str| line[key].as_i64().unwrap();
    event.peer = u16::try_from(port("dst_port")).ok().map(|dst| {
        let end = |key: &str, port: u16| SocketAddr::new(line[key].as_str().unwrap().parse().unwrap(), port);
        let src = u16::try_from(port("src_port")).unwrap();
        Peer::new(end("src_host", src), end("dst_host", dst), Transport::Tcp)
    });
    let utc: DateTime = line["utc_time"].as_str().unwrap().parse().unwrap();
    event.at = utc.to_zoned_datetime(TimeZone::UTC).unwrap().timestamp().try_into().unwrap();
    let number = u32::try_from(line["logtype"].as_i64().unwrap()).unwrap();
    let mut compat = Vec::new();
    let mut login = Login::new("password");
    for (key, value) in line["logdata"].as_object().unwrap() {
        match (key.as_str(), value) {
            ("USERNAME", value) => {
                compat.push(Compat::USERNAME);
                login = login.user(value.as_str().unwrap());
            }
            ("PASSWORD", value) => {
                compat.push(Compat::PASSWORD);
                let text = value.as_str().unwrap();
                let bytes = (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16));
                login = login.secret(match number {
                    8001 => Secret::Response {
                        scheme: "mysql_native_password".into(),
                        challenge: "12345678901234567890".into(),
                        response: bytes.collect::<Result<Vec<_>, _>>().unwrap().into(),
                        crackable: None,
                    },
                    _ => Secret::Password(text.into()),
                });
            }
            (key, value) => {
                let (key, name): (&str, &str) = (key.to_owned().leak(), key.to_lowercase().leak());
                compat.push(Compat::field(key, name));
                let value = match value {
                    Json::String(text) => text.as_str().into(),
                    map => {
                        let text = Value::from(map["logdata"].as_str().unwrap());
                        Value::Map(BTreeMap::from([("logdata".into(), text)]))
                    }
                };
                event.fields.insert(name.into(), value);
            }
        }
    }
    event.login = compat.iter().any(|compat| compat.key == "USERNAME").then_some(login);
    let kind = Kind::new(number, "test.contract", Class::Login, Severity::High, "Test");
    event.kind = Box::leak(Box::new(kind.compat(compat.leak())));
    event
}

#[test]
fn what_has_no_ports_has_minus_one_in_the_compatible_log() {
    let mut event = event();
    event.peer = event.peer.map(|peer| Peer { transport: Transport::Ip, ..peer });
    let members = members_in(&event, "node", &TimeZone::UTC);
    assert_eq!((&members["src_port"], &members["dst_port"]), (&Value::Int(-1), &Value::Int(-1)));
}

#[test]
fn a_port_that_is_not_known_is_minus_one_and_text_in_lines_of_sambas_audit() {
    static AUDIT: Kind = Kind::new(5000, "smb.audit", Class::Access, Severity::Medium, "Samba share used");
    let peer = Peer::new("192.0.2.7:0".parse().unwrap(), "192.0.2.1:445".parse().unwrap(), Transport::Tcp);
    let mut event = event();
    event.peer = Some(peer);
    let ports = |event: &Event| {
        let members = members_in(event, "node", &TimeZone::UTC);
        ["src_port", "dst_port"].map(|key| members[key].clone())
    };
    assert_eq!(ports(&event), [Value::Int(-1), Value::Int(445)]);
    event.kind = &AUDIT;
    assert_eq!(ports(&event), [Value::from("-1"), Value::Int(445)]);
}

#[test]
fn ports_from_the_kernel_s_log_are_text_and_others_are_numbers() {
    for (number, text) in [(5000, false), (5001, true), (5005, true), (5006, false)] {
        let mut event = event();
        event.kind =
            Box::leak(Box::new(Kind { number, ..Kind::new(0, "t", Class::Probe, Severity::Low, "T") }));
        let members = members_in(&event, "node", &TimeZone::UTC);
        let ports = [&members["src_port"], &members["dst_port"]];
        assert!(ports.iter().all(|port| matches!(port, Value::Text(_)) == text), "{number}: {ports:?}");
    }
}

#[test]
fn each_line_of_the_peer_is_had_to_the_byte() {
    let lines = include_str!("../../tests/data/peer-events.jsonl");
    assert_eq!(lines.lines().count(), 14);
    for line in lines.lines() {
        let event = event_of(&serde_json::from_str(line).unwrap());
        assert_eq!(dumps(&Value::Map(members_in(&event, "bar-node", &TimeZone::UTC))), line);
    }
}

#[test]
fn only_the_adjusted_time_is_local() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let members = members_in(&event(), "n", &zone);
    assert_eq!(members["utc_time"], "2026-11-24 04:32:03.004005".into());
    assert_eq!(members["local_time"], "2026-11-24 04:32:03.004005".into());
    assert_eq!(members["local_time_adjusted"], "2026-11-24 05:32:03.004005".into());
}

#[test]
fn a_honey_credential_is_a_key_only_where_there_could_be_one() {
    let shown = |honeycred| {
        let event = Event { honeycred, ..event() };
        members_in(&event, "n", &TimeZone::UTC).get("honeycred").cloned()
    };
    assert_eq!(shown(Honeycred::None), None);
    assert_eq!(shown(Honeycred::No), Some(Value::Bool(false)));
    assert_eq!(shown(Honeycred::Pending), Some(Value::Bool(false)));
    assert_eq!(shown(Honeycred::Yes), Some(Value::Bool(true)));
}

#[test]
fn bytes_that_are_no_text_are_escaped_without_loss() {
    let mut event = event();
    event.kind = kind(vec![Compat::USERNAME, Compat::PASSWORD]);
    event.login =
        Some(Login::password("password", b"caf\xe9 \xc3\xa9\xed\xa0\x80", "\u{1F600}\u{7f}\0\u{8}\"\\/"));
    let expected = r#"{"PASSWORD": "\ud83d\ude00\u007f\u0000\b\"\\/", "USERNAME": "caf\udce9 \u00e9\udced\udca0\udc80"}"#;
    assert_eq!(logdata(&event), expected);
}

#[test]
fn what_is_absent_is_null_or_left_out_or_said() {
    let mut event = event();
    let field = Compat::field("F", "f");
    event.kind = kind(vec![
        Compat::USERNAME,
        Compat::PASSWORD.or(Absent::Text("<not supplied>")),
        field,
        Compat { key: "G", ..field.or(Absent::Omit) },
    ]);
    let bare = r#"{"F": null, "PASSWORD": "<not supplied>", "USERNAME": null}"#;
    assert_eq!(logdata(&event), bare);
    event.fields.insert("f".into(), Value::Null);
    assert_eq!(logdata(&event), bare);
    event.fields.insert("f".into(), vec![1, -2].into_iter().map(Value::Int).collect::<Vec<_>>().into());
    assert_eq!(
        logdata(&event),
        r#"{"F": [1, -2], "G": [1, -2], "PASSWORD": "<not supplied>", "USERNAME": null}"#
    );
}

#[test]
fn a_kind_without_a_list_shows_everything() {
    let mut event = event();
    event.login = Some(Login::password("basic", "u", ""));
    event.login.as_mut().unwrap().domain = Some("CORP".into());
    event.fields.insert("path".into(), "/x".into());
    event.fields.insert("tries".into(), 3.into());
    assert_eq!(
        logdata(&event),
        r#"{"DOMAIN": "CORP", "MECHANISM": "basic", "PASSWORD": "", "PATH": "/x", "TRIES": 3, "USERNAME": "u"}"#
    );
}

#[test]
fn any_proof_has_a_text() {
    let mut event = event();
    event.kind = kind(vec![Compat::PASSWORD]);
    let response = |response: &[u8]| Secret::Response {
        scheme: "x".into(),
        challenge: "c".into(),
        response: response.into(),
        crackable: None,
    };
    let key = Secret::PublicKey { algorithm: "a".into(), fingerprint: "SHA256:x".into(), key: "k".into() };
    for (secret, shown) in [
        (response(b"\x00\xff"), r#""00ff""#),
        (response(b""), "null"),
        (key, r#""SHA256:x""#),
        (Secret::Token("t".into()), r#""t""#),
    ] {
        event.login = Some(Login::new("m").secret(secret));
        assert_eq!(logdata(&event), format!(r#"{{"PASSWORD": {shown}}}"#));
    }
}

#[test]
fn the_native_line_says_everything_once() {
    let mut event = event();
    event.peer.as_mut().unwrap().via = Some("203.0.113.1:9".parse().unwrap());
    event.login = Some(Login::password("password", "root", b"p\xff"));
    event.honeycred = Honeycred::Yes;
    event.incident = Some(7);
    let alpn = vec!["h2".into()];
    let facts = TlsFacts { sni: Some("a.example".into()), alpn, ja3: "j3".into(), ..TlsFacts::default() };
    event.tls = Some(Arc::new(facts));
    event.fields.insert("path".into(), "/\u{202e}\u{e9}\u{1b}".into());
    event.fields.insert("raw".into(), vec![Untrusted::from(b"\xfe"), "ok".into()].into());
    let inner = BTreeMap::from([("k".to_owned(), Value::from(b"\xfd".as_slice()))]);
    event.fields.insert("map".into(), Value::Map(inner));
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    let expected = concat!(
        r#"{"time":"2026-11-24T10:02:03.004005+05:30","id":"00000000-0000-0000-0000-000000000001","node":"n","#,
        r#""service":"ssh","kind":"test.login","logtype":30000,"class":"login","severity":"high","#,
        r#""session":"00000000-0000-0000-0000-000000000002","source":{"ip":"192.0.2.7","port":40000},"#,
        r#""destination":{"ip":"198.51.100.1","port":2222},"transport":"tcp","via":"203.0.113.1:9","#,
        r#""credential":{"username":"root","mechanism":"password","password":"p"#,
        "\u{fffd}",
        r#"","password_base64":"cP8="},"#,
        r#""honeycred":true,"tls":{"sni":"a.example","alpn":["h2"],"ja3":"j3"},"incident":7,"#,
        r#""fields":{"map":{"k":""#,
        "\u{fffd}",
        r#"","k_base64":"/Q=="},"path":"/\u202e"#,
        "\u{e9}",
        r#"\u001b","raw":[""#,
        "\u{fffd}",
        r#"","ok"],"raw_base64":["/g==",null]},"#,
        r#""message":"SSH login from 192.0.2.7 on port 2222: root / p\\xff (a honey-credential)"}"#,
    );
    assert_eq!(native_in(&event, "n", &zone), expected);
}

#[test]
fn an_event_about_ourselves_has_no_ends() {
    static STARTED: Kind =
        Kind::new(1001, "service.started", Class::Operational, Severity::Info, "Service started")
            .compat(&[Compat::field("msg", "msg")]);
    let text = BTreeMap::from([("logdata".to_owned(), Value::from("Canary running!!!"))]);
    let fields = BTreeMap::from([("msg".into(), Value::Map(text))]);
    let (peer, session, service) = (None, Uuid::nil(), "haldane".into());
    let event = Event { peer, session, service, kind: &STARTED, severity: Severity::Info, fields, ..event() };
    let line = native_in(&event, "n", &TimeZone::UTC);
    let line: Json = serde_json::from_str(&line).unwrap();
    assert_eq!(line["message"], "Service started: Canary running!!!");
    assert_eq!((line.get("session"), line.get("source")), (None, None));
    assert_eq!(
        text_in(&event, false, &TimeZone::UTC),
        "04:32:03 INFO     haldane    Service started  Canary running!!!"
    );
}

#[test]
fn a_person_reads_one_line() {
    let mut event = event();
    event.login = Some(Login::password("password", "root\r\n", "\u{1b}[31mhunter2"));
    event.honeycred = Honeycred::Yes;
    event.fields.insert("client".into(), "SSH-2.0-x".into());
    assert_eq!(
        text_in(&event, false, &TimeZone::UTC),
        "04:32:03 HIGH     ssh       192.0.2.7:40000 → :2222  SSH login  root\\r\\n / \\u{1b}[31mhunter2  \
         client: SSH-2.0-x  honey-credential!"
    );
    let coloured = text_in(&event, true, &TimeZone::UTC);
    assert!(coloured.contains("\u{1b}[31mHIGH    \u{1b}[0m"), "{coloured:?}");
    assert!(!coloured.contains('\n'));
}

#[test]
fn a_sentence_stays_short_and_on_one_line() {
    let mut event = event();
    event.login = Some(Login::password("password", "u".repeat(8000), "p\r\nBcc: x".repeat(800)));
    let sentence = sentence(&event);
    assert!(sentence.chars().count() < 220, "{sentence}");
    assert!(!sentence.contains(['\r', '\n']));
}

/// Python is the judge: strings of any bytes, and any nesting.
#[test]
fn python_writes_the_same() {
    let script = "
import json, sys
def text(hex): return bytes.fromhex(hex).decode('utf-8', 'surrogateescape')
def value(v):
    if isinstance(v, str): return text(v)
    if isinstance(v, list): return [value(x) for x in v]
    if isinstance(v, dict): return {text(k): value(x) for k, x in v.items()}
    return v
for line in sys.stdin: print(json.dumps(value(json.loads(line)), sort_keys=True))
";
    let mut runner = TestRunner::deterministic();
    let values: Vec<_> = (0..1500).map(|_| any_value().new_tree(&mut runner).unwrap().current()).collect();
    let lines = values.iter().map(|value| in_hex(value).to_string());
    for (value, theirs) in values.iter().zip(python(script, lines.collect())) {
        assert_eq!(dumps(value), theirs);
    }
}

/// Python is the judge of patterns, too.
#[test]
fn python_formats_the_same() {
    let script = "
import json, logging, sys
record = logging.LogRecord('node', 30, 'logger.py', 0, '{\"a\": 1}', (), None, func='log')
record.created, record.msecs = 1795494723.004005, 4.0
record.processName, record.threadName = 'MainProcess', 'MainThread'
for line in sys.stdin: print(json.dumps(logging.Formatter(json.loads(line)).format(record)))
";
    let text = ("(message|msg|name|levelname|asctime|processName|threadName|filename|module|funcName)", "s");
    let number = ("(levelno|created|msecs|lineno)", "[sdiufF]");
    let field = |(name, conversion): (&str, &str)| {
        proptest::string::string_regex(&format!(
            "%\\({name}\\)[-0+ ]{{0,3}}([0-9]{{1,2}})?(\\.[0-9]?)?{conversion}"
        ))
        .unwrap()
    };
    let field = prop_oneof![field(text), field(number), "[a-z |\u{e9}]{0,3}", "%%"];
    let pattern = (proptest::collection::vec(field, 0..6), "%\\(levelno\\)s")
        .prop_map(|(fields, last)| fields.concat() + &last);
    let mut runner = TestRunner::deterministic();
    let patterns: Vec<_> = (0..1500).map(|_| pattern.new_tree(&mut runner).unwrap().current()).collect();
    let lines = patterns.iter().map(|pattern| Json::from(pattern.as_str()).to_string());
    for (pattern, theirs) in patterns.iter().zip(python(script, lines.collect())) {
        let ours = Pattern::parse(pattern, None).unwrap().render(&event(), "node", "{\"a\": 1}");
        assert_eq!(Json::from(ours), serde_json::from_str::<Json>(&theirs).unwrap(), "{pattern}");
    }
}

/// What a script of Python's answers to those lines, one for each; nothing if there is no Python.
fn python(script: &str, lines: Vec<String>) -> Vec<String> {
    let python =
        Command::new("python3").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut python = match python {
        Ok(python) => python,
        Err(error) => {
            eprintln!("not compared with Python: {error}");
            return Vec::new();
        }
    };
    let mut input = python.stdin.take().unwrap();
    let count = lines.len();
    let writer = std::thread::spawn(move || input.write_all(lines.join("\n").as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let answers: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(answers.len(), count);
    answers
}

fn any_value() -> impl Strategy<Value = Value> {
    let bytes = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..24),
        any::<String>().prop_map(String::into_bytes),
        proptest::collection::vec(any::<char>(), 0..12)
            .prop_map(|chars| String::from_iter(chars).into_bytes()),
        "[\\x00-\\x7f]{0,40}".prop_map(String::into_bytes),
    ];
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => any::<i64>().prop_map(Value::Int),
        8 => bytes.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            proptest::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::Map),
        ]
    })
}

fn in_hex(value: &Value) -> Json {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::from(*number),
        Value::Text(text) => Json::String(hex(text.raw())),
        Value::List(values) => values.iter().map(in_hex).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (hex(key.as_bytes()), in_hex(value))).collect(),
    }
}

proptest! {
    #[test]
    fn a_native_line_is_json_of_one_line(value in any_value(), name in "[a-z]{1,8}", colour in any::<bool>()) {
        let mut event = event();
        event.fields.insert(name.into(), value);
        let line = native_in(&event, "n", &TimeZone::UTC);
        prop_assert!(!line.contains(|c: char| c.is_control()));
        prop_assert!(serde_json::from_str::<Json>(&line).is_ok(), "{}", line);
        prop_assert!(!text_in(&event, colour, &TimeZone::UTC).contains('\n'));
    }

    #[test]
    fn no_pattern_panics(pattern in any::<String>(), dates in proptest::option::of(any::<String>())) {
        if let Ok(pattern) = Pattern::parse(&pattern, dates.as_deref()) {
            pattern.render(&event(), "n", "m");
        }
    }

    #[test]
    fn no_pattern_of_pieces_panics(
        pattern in "(%|%%|\\(message\\)|%\\((message|created|levelno|asctime)\\)[-0+ #]{0,3}[0-9]{0,4}(\\.[0-9]{0,4})?[sdfx]){1,6}",
        dates in "(%[-_0^#:.]{0,2}[0-9]?[A-Za-z%]| ){0,4}",
    ) {
        if let Ok(pattern) = Pattern::parse(&pattern, Some(&dates)) {
            pattern.render(&event(), "n", "m");
        }
    }
}

#[test]
fn a_value_nested_deeply_is_written_without_recursion() {
    let mut value = Value::from(b"\xff".as_slice());
    for _ in 0..50_000 {
        value = Value::List(vec![value]);
    }
    assert_eq!(dumps(&value).matches('[').count(), 50_000);
    let mut event = event();
    event.fields.insert("deep".into(), value);
    assert_eq!(native_in(&event, "n", &TimeZone::UTC).matches('[').count(), 100_000);
    text_in(&event, true, &TimeZone::UTC);
    // Dropping it would recurse.
    std::mem::forget(event);
}

#[test]
fn patterns_are_those_of_python() {
    let shown = |pattern: &str| Pattern::parse(pattern, None).unwrap().render(&event(), "node", "{\"a\": 1}");
    for (pattern, expected) in [
        ("%(message)s", "{\"a\": 1}"),
        ("100%% %(name)s: %(message)s", "100% node: {\"a\": 1}"),
        ("[%(levelname)-8s]", "[WARNING ]"),
        ("[%(levelname)8s|%(levelname)010s]", "[ WARNING|   WARNING]"),
        ("%(levelname).3s", "WAR"),
        (
            "%(levelno)s %(levelno)d %(levelno)05d %(levelno)+d %(levelno).4d [%(levelno)-5d]",
            "30 30 00030 +30 0030 [30   ]",
        ),
        ("%(msecs)03d %(msecs)s", "004 4.0"),
        ("%(created)f %(created).2f %(created)d", "1795494723.004005 1795494723.00 1795494723"),
        ("%(processName)s %(threadName)s %(module)s", "MainProcess MainThread logger"),
    ] {
        assert_eq!(shown(pattern), expected, "{pattern}");
    }
    assert_eq!(shown("%(process)d"), std::process::id().to_string());
}

#[test]
fn dates_are_local_and_as_told() {
    let at = Timestamp::try_from(event().at).unwrap().to_zoned_datetime(TimeZone::system());
    let plain = Pattern::parse("%(asctime)s|", None).unwrap().render(&event(), "n", "m");
    assert_eq!(plain, format!("{}|", at.strftime("%Y-%m-%d %H:%M:%S,004")));
    let told = Pattern::parse("%(asctime)s", Some("%d/%m/%Y")).unwrap().render(&event(), "n", "m");
    assert_eq!(told, at.strftime("%d/%m/%Y").to_string());
}

#[test]
fn a_mistake_in_a_pattern_is_said_when_it_is_read() {
    let wrong = |pattern: &str, dates| Pattern::parse(pattern, dates).unwrap_err();
    assert!(wrong("%(mesage)s", None).contains("perhaps %(message)"));
    assert!(wrong("%s", None).contains("%%"));
    assert!(wrong("%(message)d", None).contains("is text"));
    assert!(wrong("%(message)", None).contains("expected s, d or f"));
    assert!(wrong("%(message", None).contains("%(name)s"));
    assert!(wrong("plain", None).contains("at least one"));
    assert!(wrong("%(levelno)99999d", None).contains("at most"));
    assert!(wrong("%(asctime)s", Some("%")).contains("date format"));
}

#[test]
fn a_value_is_printed_as_python_prints_it() {
    let map = |value: Value| Value::Map([("k\'".to_owned(), value)].into());
    let cases = [
        (Value::from("it's"), r#""it's""#),
        (Value::from("\"it's\""), r#"'"it\'s"'"#),
        (
            Value::from("a\\\n\r\t\u{7f}\u{a0}\u{e9}\u{200b}\u{e0001}"),
            r"'a\\\n\r\t\x7f\xa0é\u200b\U000e0001'",
        ),
        (Value::from(&b"\xff"[..]), r"'\udcff'"),
        (
            Value::List(vec![Value::Null, true.into(), false.into(), (-7_i64).into()]),
            "[None, True, False, -7]",
        ),
        (map(Value::List(vec![])), r#"{"k'": []}"#),
    ];
    // Python 3.11: print(repr(value)).
    for (value, expected) in cases {
        assert_eq!(super::repr(&value), expected);
    }
}
