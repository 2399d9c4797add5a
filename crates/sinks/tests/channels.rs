//! All channels over streams at once, from one journal: who is down or hangs delays nobody and misses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and spawn"
)]

mod common;
mod receivers;

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    sync::Arc,
    thread,
    time::Duration,
};

use common::{Memory, records};
use haldane_core::Health;
use receivers::{Folder, configured, free_port, process::Process, serve};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const EVENTS: u64 = 250;

/// Runs a sink of that name until stopped.
fn start(memory: &Arc<Memory>, stop: &CancellationToken, name: &str, kind: &str, keys: Value) {
    let (sink, mut delivery, problems) = configured(kind, keys);
    assert!(problems.is_empty(), "{name}: {problems:#?}");
    name.clone_into(&mut delivery.name);
    tokio::spawn(sink.run(delivery, memory.clone(), memory.signals(stop)));
}

/// How that sink is, as the journal knows it.
fn health(memory: &Memory, name: &str) -> Option<Health> {
    memory.with(|inside| {
        inside.health.iter().rev().find(|(sink, _)| sink == name).map(|(_, health)| health.clone())
    })
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_down_or_hangs_delays_nobody_and_misses_nothing_once_it_is_back() {
    let folder = Folder::new();
    let (memory, stop) = (Memory::new(), CancellationToken::new());
    memory.append(records(1..=EVENTS / 2));
    let at = |port: u16| format!("127.0.0.1:{port}");
    let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
    let [tcp, hpfeeds, mqtt, nats] = [ports[0], ports[1], ports[2], ports[3]];
    let hanging = serve(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    start(&memory, &stop, "file", "file", json!({ "path": folder.file("log") }));
    start(&memory, &stop, "lost", "mqtt", json!({ "address": "nowhere.invalid" }));
    for (kind, more) in [
        ("hpfeeds", json!({ "ident": "canary", "secret": "x" })),
        ("mqtt", json!({})),
        ("nats", json!({})),
        ("kafka", json!({})),
    ] {
        let mut keys = json!({ "address": at(hanging), "timeout": "1s" });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        start(&memory, &stop, &format!("hanging {kind}"), kind, keys);
    }
    start(&memory, &stop, "tcp", "tcp", json!({ "address": at(tcp) }));
    start(&memory, &stop, "gelf", "gelf", json!({ "address": at(tcp), "transport": "tcp" }));
    let login =
        json!({ "address": at(hpfeeds), "ident": "canary", "secret": "s3cret", "channels": ["alerts"] });
    start(&memory, &stop, "hpfeeds", "hpfeeds", login);
    start(&memory, &stop, "mqtt", "mqtt", json!({ "address": at(mqtt) }));
    start(&memory, &stop, "nats", "nats", json!({ "address": at(nats) }));

    // Who works has everything at once, whatever becomes of the others.
    until("the file", || memory.with(|inside| inside.cursors.get("file") == Some(&(EVENTS / 2)))).await;
    for (name, part) in [
        ("lost", "the name nowhere.invalid is not resolved"),
        ("hanging hpfeeds", "no answer for 900ms"),
        ("hanging mqtt", "no answer for 900ms"),
        ("hanging nats", "no answer for 900ms"),
        ("hanging kafka", "no answer for 900ms"),
        ("tcp", "connection refused"),
        ("gelf", "connection refused"),
        ("hpfeeds", "connection refused"),
        ("mqtt", "connection refused"),
        ("nats", "connection refused"),
    ] {
        let known = || health(&memory, name).is_some_and(|health| !health.up && health.why.contains(part));
        until(&format!("{name}: {:?}", health(&memory, name)), known).await;
    }
    memory.append(records(EVENTS / 2 + 1..=EVENTS));

    // They are back: nothing is lost, and nothing that was acknowledged comes twice.
    let listener = TcpListener::bind(at(tcp)).unwrap();
    let (line, lines) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let line = line.clone();
            thread::spawn(move || {
                // Lines of JSON, and messages of GELF that end with a NUL.
                let mut bytes = BufReader::new(stream);
                let mut read = Vec::new();
                let end = if bytes.fill_buf().unwrap().starts_with(b"{\"time\"") { b'\n' } else { 0 };
                while bytes.read_until(end, &mut read).unwrap_or_default() > 0 {
                    line.send((end, String::from_utf8(std::mem::take(&mut read)).unwrap())).unwrap();
                }
            });
        }
    });
    let mut back = vec!["file", "tcp", "gelf"];
    fs::write(
        folder.file("mosquitto"),
        format!("listener {mqtt} 127.0.0.1\nallow_anonymous true\nuser root\n"),
    )
    .unwrap();
    let mosquitto =
        ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| fs::exists(path).unwrap_or_default());
    let conf = folder.file("mosquitto");
    let (mqtt, nats, hpfeeds) = (mqtt, nats.to_string(), hpfeeds.to_string());
    let brokers = [
        (
            "mqtt",
            Process::start(mosquitto.unwrap_or("mosquitto"), &["-c", &conf])
                .map(|broker| broker.listens(mqtt)),
        ),
        ("nats", Process::start("nats-server", &["-a", "127.0.0.1", "-p", &nats])),
        ("hpfeeds", Process::script("hpfeeds.broker.server", "hpfeeds_broker.py", &[&hpfeeds])),
    ];
    back.extend(brokers.iter().filter(|(_, broker)| broker.is_some()).map(|(name, _)| *name));
    for name in back {
        let through = || {
            let cursor = memory.with(|inside| inside.cursors.get(name).copied());
            let well = health(&memory, name).is_some_and(|health| health.up && health.delivered == EVENTS);
            cursor == Some(EVENTS) && well
        };
        until(&format!("{name}: {:?}", health(&memory, name)), through).await;
    }
    assert_eq!(memory.with(|inside| inside.buried.clone()), []);
    let got: Vec<_> = (0..2 * EVENTS).map(|_| lines.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
    for (end, other) in [(b'\n', 0), (0, b'\n')] {
        let got: Vec<_> = got.iter().filter(|(found, _)| *found == end).map(|(_, text)| text).collect();
        assert_eq!(u64::try_from(got.len()).unwrap(), EVENTS, "{other}");
        for (text, seq) in got.iter().zip(1..) {
            assert!(text.contains(&format!("\"user{seq}\"")), "{seq}: {text}");
        }
    }
    for kind in ["hpfeeds", "mqtt", "nats", "kafka"] {
        let health = health(&memory, &format!("hanging {kind}")).unwrap();
        assert_eq!((health.up, health.delivered), (false, 0), "{kind}");
    }
    stop.cancel();
}
