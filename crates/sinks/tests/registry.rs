//! Every sink of the registry through the same: down, hanging, hanging up, asked too often, not to be found, not to be
//! trusted, and back; and what an attacker calls himself. A sink that is new is asked for here: either it says how it is
//! received ([`far`]), or it stands in [`ELSEWHERE`] with the reason.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "a test may panic and listen"
)]

mod common;
mod receivers;

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use common::Memory;
use haldane_core::Record;
use haldane_sinks::{ALL, AnySink, Failure};
use receivers::{
    Folder, Mailbox, Receiver, certificates, configured, free_port,
    gate::{Door, Gate},
    hostile, login,
    preset::{CLOSED, OPENED, keys, news, taken},
    process::Process,
    serve, sink, tls_server,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Sinks that nothing stands before.
const ELSEWHERE: [(&str, &str); 2] = [
    ("stdout", "writes to this very process's output; the tests of the program read it"),
    ("file", "has no far end: `a_file_that_cannot_be_written_is_explained_and_gets_everything_later`"),
];

/// What a receiver is to a sink.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Says of each delivery whether it was taken, over HTTP.
    Http,
    /// Says so in a protocol of that name.
    Acknowledges(&'static str),
    /// Says nothing: what may be lost with a connection is sent again on the next.
    Silent,
}

/// For who starts servers: so many at once, twice over, keep each other waiting.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A receiver, and how a sink finds it.
struct Far {
    way: Way,
    /// The key that holds the address, and the others.
    key: &'static str,
    keys: Value,
    gate: Gate,
    /// Kept while the test runs.
    _alive: Vec<Box<dyn std::any::Any + Send>>,
}

impl Far {
    fn new(way: Way, key: &'static str, keys: Value, behind: u16) -> Self {
        Self { way, key, keys, gate: Gate::before(behind), _alive: Vec::new() }
    }

    fn with(mut self, alive: impl std::any::Any + Send) -> Self {
        self._alive.push(Box::new(alive));
        self
    }

    /// The keys of a sink that goes there.
    fn at(&self, host: &str, port: u16) -> Value {
        let address = match self.key {
            "url" => json!(format!("http://{host}:{port}")),
            "host" => json!(host),
            _ => json!(format!("{host}:{port}")),
        };
        let mut keys = self.keys.clone();
        keys[self.key] = address;
        if self.key == "host" {
            keys["port"] = json!(port);
        }
        for (key, value) in [
            ("timeout", json!("1s")),
            ("notify", json!("event")),
            ("min_severity", json!("info")),
            ("mask", json!(false)),
        ] {
            keys[key] = value;
        }
        keys
    }

    /// The same through the gate.
    fn keys(&self) -> Value {
        self.at("127.0.0.1", self.gate.port)
    }
}

/// Takes what comes, and says nothing.
fn swallow() -> u16 {
    serve(|mut stream| {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    })
}

/// The receiver of a sink, or without `start` only how it would be found; `None` if the program for it is not installed here.
fn far(kind: &'static str, start: bool) -> Option<Far> {
    let login = json!({ "ident": "canary", "secret": "s3cret", "channels": ["alerts"] });
    if !start && ["mqtt", "nats", "kafka", "hpfeeds"].contains(&kind) {
        let keys = if kind == "hpfeeds" { login } else { json!({}) };
        return Some(Far::new(Way::Acknowledges(kind), "address", keys, free_port()));
    }
    let preset = ALL.iter().any(|entry| entry.name == kind && entry.is_preset());
    Some(match kind {
        "webhook" => Far::new(Way::Http, "url", json!({}), http(kind)),
        _ if preset => Far::new(Way::Http, "url", keys(kind, ""), http(kind)),
        "tcp" => Far::new(Way::Silent, "address", json!({}), swallow()),
        "gelf" | "syslog" => Far::new(Way::Silent, "address", json!({ "transport": "tcp" }), swallow()),
        "smtp" => {
            let keys = json!({ "security": "none", "from": "a@example.org", "to": ["b@example.org"], "json": "inline" });
            let mailbox = Mailbox::new(|_| None);
            Far::new(Way::Acknowledges("SMTP"), "host", keys, mailbox.port).with(mailbox.lines)
        }
        "mqtt" => {
            let (folder, port) = (Folder::new(), free_port());
            let conf = format!("listener {port} 127.0.0.1\nuser root\nallow_anonymous true\n");
            fs::write(folder.file("conf"), conf).unwrap();
            let program =
                ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| Path::new(path).exists());
            let server =
                Process::start(program.unwrap_or("mosquitto"), &["-c", &folder.file("conf")])?.listens(port);
            Far::new(Way::Acknowledges("MQTT"), "address", json!({}), port).with((folder, server))
        }
        "nats" => {
            let port = free_port();
            let arguments = ["-a", "127.0.0.1", "-p", &port.to_string()];
            let server = Process::start("nats-server", &arguments)?.listens(port);
            Far::new(Way::Acknowledges("NATS"), "address", json!({}), port).with(server)
        }
        "hpfeeds" => {
            let mut server = Process::script("hpfeeds.broker.server", "hpfeeds_broker.py", &["0"])?;
            let port = server.line().parse().unwrap();
            Far::new(Way::Acknowledges("hpfeeds"), "address", login, port).with(server)
        }
        "kafka" => {
            let port = free_port();
            let far = Far::new(Way::Acknowledges("Kafka"), "address", json!({}), port);
            let called = format!("127.0.0.1:{}", far.gate.port);
            let server = receivers::process::tansu(port, &called)?;
            receivers::process::make_topic(&called, &[]);
            far.with(server)
        }
        other => panic!("say how {other} is received, or why it is not here"),
    })
}

/// A service over HTTP that is asked too often at first.
fn http(kind: &'static str) -> u16 {
    let busy = |kind, before| match before {
        0 => ("429 Too Many Requests\r\nRetry-After: 2".to_owned(), ""),
        _ => taken(kind),
    };
    Receiver::new(move |_, before| busy(kind, before)).port
}

/// The registry's sinks with a far end, those of which are installed.
fn all(start: bool) -> Vec<(&'static str, Far)> {
    let here = ALL.iter().filter(|entry| ELSEWHERE.iter().all(|(name, _)| *name != entry.name));
    let found: Vec<_> = here.filter_map(|entry| Some((&*entry.name, far(&entry.name, start)?))).collect();
    assert!(found.len() >= 15, "most need no program");
    found
}

fn named(number: u64) -> Record {
    Record { seq: number, ..login(number.into(), &format!("user{number}z"), "x") }
}

async fn until(what: impl Fn() -> String, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(45), "{}", what());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether one of the sink's failures was explained with one of these words.
fn explained(memory: &Memory, kind: &str, words: &[&str]) -> bool {
    memory.with(|inside| {
        let mut told = inside.health.iter().filter(|(name, health)| name == kind && !health.up);
        told.any(|(_, health)| words.iter().any(|word| health.why.contains(word)))
    })
}

fn said(memory: &Memory, kind: &str) -> Vec<String> {
    memory.with(|inside| {
        let told = inside.health.iter().filter(|(name, _)| name == kind);
        told.map(|(_, health)| format!("{} {}", health.up, health.why)).collect()
    })
}

/// One sink through everything, while a file beside it hears all of it at once.
async fn through(kind: &'static str, far: Far) {
    far.gate.set(Door::Closed);
    let (memory, folder, stop) = (Memory::new(), Folder::new(), CancellationToken::new());
    let file = folder.file("beside");
    let mut running = Vec::new();
    for (name, keys) in [(kind, far.keys()), ("file", json!({ "path": file, "min_severity": "info" }))] {
        let (sink, mut delivery, problems) = configured(name, keys);
        assert!(problems.is_empty(), "{kind}: {problems:#?}");
        delivery.name = name.to_owned();
        running.push(tokio::spawn(sink.run(delivery, memory.clone(), memory.signals(&stop))));
    }
    memory.append((1..=5).map(named));
    let beside =
        |number: u64| fs::read_to_string(&file).unwrap_or_default().contains(&format!("user{number}z"));
    until(|| format!("the neighbour of {kind}"), || beside(5)).await;

    let ends = ["refused", "nothing listens"];
    until(|| format!("{kind} is down: {:?}", said(&memory, kind)), || explained(&memory, kind, &ends)).await;
    far.gate.set(Door::Hangs);
    memory.append([named(6)]);
    until(|| format!("the neighbour of {kind}"), || beside(6)).await;
    if far.way == Way::Silent {
        // Nobody can tell yet that this is no receiver.
        until(
            || format!("{kind} goes on: {:?}", said(&memory, kind)),
            || memory.with(|inside| inside.cursors.get(kind) == Some(&6)),
        )
        .await;
    } else {
        until(
            || format!("{kind} hangs: {:?}", said(&memory, kind)),
            || explained(&memory, kind, &["no answer", "sent nothing"]),
        )
        .await;
        far.gate.set(Door::Cuts);
        let ends = ["closed the connection", "hung up", "closed it", "ended", "reset"];
        until(|| format!("{kind} is cut: {:?}", said(&memory, kind)), || explained(&memory, kind, &ends))
            .await;
    }
    far.gate.set(Door::Open);
    memory.append([named(7)]);
    until(
        || format!("{kind} has all: {:?}", said(&memory, kind)),
        || (1..=7).all(|number| far.gate.has(&format!("user{number}z"))),
    )
    .await;
    until(
        || format!("{kind} is done: {:?}", said(&memory, kind)),
        || memory.with(|inside| inside.cursors.get(kind) == Some(&7)),
    )
    .await;
    until(
        || format!("{kind} is well: {:?}", said(&memory, kind)),
        || {
            memory.with(|inside| {
                inside.health.iter().rfind(|(name, _)| name == kind).is_some_and(|(_, health)| health.up)
            })
        },
    )
    .await;
    if far.way == Way::Http {
        assert!(explained(&memory, kind, &["429"]), "{kind}: {:?}", said(&memory, kind));
    }
    assert!(memory.with(|inside| inside.buried.is_empty()), "{kind}");
    stop.cancel();
    for task in running {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_to_a_receiver_nothing_is_lost_and_nobody_waits_for_it() {
    let _turn = TURN.lock().await;
    let mut tasks = tokio::task::JoinSet::new();
    for (kind, far) in all(true) {
        tasks.spawn(through(kind, far));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

async fn why(sink: &mut Box<dyn AnySink>) -> String {
    match sink.once(&[login(1, "root", "x")]).await {
        Err(Failure::Later { why, .. }) => why,
        outcome => panic!("{outcome:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_found_or_not_to_be_trusted_is_explained_by_every_sink() {
    let folder = certificates();
    let config = tls_server(&folder.0, false);
    let tls = serve(move |mut stream| {
        let mut connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let _ = connection.complete_io(&mut stream);
    });
    let plain = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    for (kind, far) in all(false) {
        let reason = why(&mut sink(kind, far.at("nowhere.invalid", 4))).await;
        let unknown = reason.contains("not resolved") || reason.contains("not found");
        assert!(reason.contains("nowhere.invalid") && unknown, "{kind}: {reason}");
        for (port, parts) in [
            (tls, ["authority that is not trusted here", "no list of certificate authorities"]),
            (plain, ["does not speak TLS", "does not speak NATS"]),
        ] {
            let mut keys = far.at("localhost", port);
            match far.key {
                "url" => keys["url"] = json!(format!("https://localhost:{port}")),
                "host" => keys["security"] = json!("tls"),
                _ if kind == "syslog" => keys["transport"] = json!("tls"),
                _ => keys["tls"] = json!(true),
            }
            // NATS greets before it speaks TLS: its own server is tried in `brokers.rs`.
            if kind == "nats" && port == tls {
                continue;
            }
            let reason = why(&mut sink(kind, keys)).await;
            assert!(parts.iter().any(|part| reason.contains(part)), "{kind}: {reason}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_attacker_calls_himself_is_text_wherever_it_arrives() {
    let _turn = TURN.lock().await;
    for (kind, far) in all(true) {
        let mut sink = sink(kind, far.keys());
        // The first is one too often, where that is said.
        let _ = sink.once(&[login(1, "first", "x")]).await;
        let records = [login(2, &hostile(), hostile()), news(&OPENED, &hostile()), news(&CLOSED, &hostile())];
        for (number, record) in records.into_iter().enumerate() {
            far.gate.came();
            let outcome = sink.once(&[record]).await;
            assert_eq!(outcome, Ok(()), "{kind}: record {number}");
            if far.way == Way::Silent {
                until(|| format!("{kind} sends"), || far.gate.has("192.0.2.7")).await;
            }
            assert_harmless(kind, &far.gate.came());
        }
    }
}

/// What came is one message: no line of it is the attacker's, no escape of a terminal is in it, and nothing was computed.
fn assert_harmless(kind: &str, came: &str) {
    // A mail's lines are folded anywhere.
    let came = came.replace("=\r\n", "");
    for bad in ["\u{1b}", "\nPUB x", "\rPUB x", "\nBcc", "\rBcc", "a49@everyone"] {
        if let Some(at) = came.find(bad) {
            let around: String =
                came[..at].chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect();
            panic!("{kind}: {bad:?} after {around:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_written_is_explained_and_gets_everything_later() {
    let (memory, folder, stop) = (Memory::new(), Folder::new(), CancellationToken::new());
    let place = folder.file("later");
    fs::write(&place, "in the way").unwrap();
    let (sink, mut delivery, problems) =
        configured("file", json!({ "path": format!("{place}/log"), "min_severity": "info" }));
    assert!(problems.is_empty(), "{problems:#?}");
    delivery.name = "file".to_owned();
    let running = tokio::spawn(sink.run(delivery, memory.clone(), memory.signals(&stop)));
    memory.append((1..=3).map(named).chain([Record { seq: 4, ..login(4, &hostile(), hostile()) }]));
    until(|| "it says what is wrong".to_owned(), || explained(&memory, "file", &["later"])).await;
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    until(|| "all is there".to_owned(), || memory.with(|inside| inside.cursors.get("file") == Some(&4)))
        .await;
    let written = fs::read_to_string(format!("{place}/log")).unwrap();
    assert_eq!(written.lines().count(), 4, "an event is a line: {written}");
    assert_harmless("file", &written);
    stop.cancel();
    running.await.unwrap();
}

#[test]
fn who_is_not_here_is_in_the_registry() {
    for (name, reason) in ELSEWHERE {
        assert!(ALL.iter().any(|entry| entry.name == name), "{name} ({reason}) is no sink any more");
    }
}
