//! Channels over a stream of their own: what arrives, and what an operator is told when nothing does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and listen"
)]

mod receivers;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use haldane_core::Record;
use haldane_sinks::{Failure, encode};
use receivers::{
    certificates, configured, free_port, hostile, login, process::Process, refusal, run, serve, sink,
    tls_server,
};
use serde_json::{Value, json};

fn logins(numbers: impl IntoIterator<Item = u128>) -> Vec<Record> {
    numbers.into_iter().map(|number| login(number, &format!("user{number}"), "x")).collect()
}

/// The lines that come over each connection.
fn lines() -> (u16, mpsc::Receiver<String>) {
    let (line, lines) = mpsc::channel();
    let port = serve(move |stream| {
        for read in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = line.send(read);
        }
    });
    (port, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_lines_are_those_of_opencanarys_handler() {
    let (port, lines) = lines();
    let address = format!("127.0.0.1:{port}");
    let mut sink = sink("tcp", json!({ "address": address, "format": "compatible" }));
    let batch = [login(1, &hostile(), "x"), login(2, "root", "x")];
    sink.once(&batch).await.unwrap();
    for record in &batch {
        assert_eq!(lines.recv().unwrap(), encode::compatible(&record.event, "canary-1"));
    }
    sink.once(&logins([3])).await.unwrap();
    assert!(lines.recv().unwrap().contains("\"user3\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_one_event_is_one_line_whatever_the_pattern() {
    let (port, lines) = lines();
    let keys = json!({ "address": format!("127.0.0.1:{port}"), "pattern": "a\n%(message)s\r\nb" });
    sink("tcp", keys).once(&logins(1..=2)).await.unwrap();
    for number in 1..=2 {
        let line = lines.recv().unwrap();
        assert!(line.starts_with("a {") && line.ends_with("}  b"), "{line}");
        assert!(line.contains(&format!("\"user{number}\"")), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_a_connection_is_kept_and_what_is_lost_with_it_is_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut sink = sink("tcp", json!({ "address": address }));
    sink.once(&logins([1])).await.unwrap();
    let (first, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(first.try_clone().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    sink.once(&logins([2])).await.unwrap();
    reader.read_line(&mut String::new()).unwrap();
    // Unread bytes when it ends: a reset, and the receiver has nothing of it.
    sink.once(&logins([3])).await.unwrap();
    drop((reader, first));
    let receiver = thread::spawn(move || {
        let lines = BufReader::new(listener.accept().unwrap().0).lines();
        lines.map(Result::unwrap).collect::<Vec<_>>()
    });
    sink.once(&logins([4])).await.unwrap();
    drop(sink);
    let lines = receiver.join().unwrap();
    for number in 3..=4 {
        let name = format!("\"user{number}\"");
        assert_eq!(lines.iter().filter(|line| line.contains(&name)).count(), 1, "{number}: {lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_lines_arrive() {
    let folder = certificates();
    let config = tls_server(&folder.0, false);
    let (line, lines) = mpsc::channel();
    let port = serve(move |stream| {
        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let stream = rustls::StreamOwned::new(connection, stream);
        for read in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = line.send(read);
        }
    });
    let keys = json!({ "address": format!("localhost:{port}"), "tls": true, "ca": folder.file("ca.pem") });
    sink("tcp", keys).once(&logins(1..=2)).await.unwrap();
    assert!(lines.recv().unwrap().contains("\"user1\""));
    assert!(lines.recv().unwrap().contains("\"user2\""));
}

/// Puts a message of GELF together.
fn datagrams(socket: &UdpSocket) -> Value {
    let mut pieces = BTreeMap::new();
    loop {
        let mut datagram = vec![0; 10_000];
        let length = socket.recv(&mut datagram).unwrap();
        datagram.truncate(length);
        if datagram[..2] != [0x1e, 0x0f] {
            return serde_json::from_slice(&datagram).unwrap();
        }
        let (number, at, count) = (datagram[2..10].to_vec(), datagram[10], usize::from(datagram[11]));
        pieces.insert((number.clone(), at), datagram[12..].to_vec());
        assert!(pieces.keys().all(|(other, _)| *other == number));
        if pieces.len() == count {
            return serde_json::from_slice(&pieces.into_values().flatten().collect::<Vec<_>>()).unwrap();
        }
    }
}

/// What the format demands of every message.
fn assert_gelf(message: &Value) {
    let message = message.as_object().unwrap();
    assert_eq!(message["version"], "1.1");
    assert_eq!(message["host"], "canary-1");
    assert!(!message["short_message"].as_str().unwrap().is_empty());
    assert_eq!(message["timestamp"], 1_795_000_000.123);
    assert_eq!(message["level"], 3);
    let own = ["version", "host", "short_message", "full_message", "timestamp", "level"];
    for (name, value) in message.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        assert!(name.starts_with('_') && name.chars().all(plain) && name != "_id", "{name}");
        assert!(value.is_string() || value.is_number(), "{name}: {value}");
    }
    assert_eq!(message["_source_ip"], "192.0.2.7");
    assert_eq!(message["_destination_port"], 21);
    assert_eq!(message["_fields_banner"], "vsFTPd");
    assert_eq!(message["_honeycred"], "false");
    assert!(message["_event_id"].as_str().unwrap().starts_with("01935aad-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn over_udp_gelf_is_chunked_and_a_port_that_refuses_is_noticed() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let address = socket.local_addr().unwrap();
    let mut sink = sink("gelf", json!({ "address": address.to_string() }));
    let batch = [
        login(1, "root", "x"),
        login(2, &hostile(), "x"),
        login(3, &"\u{e9}".repeat(4000), vec![1; 200_000]),
    ];
    sink.once(&batch).await.unwrap();
    for record in &batch {
        let message = datagrams(&socket);
        assert_gelf(&message);
        let native: Value = serde_json::from_str(&encode::native(&record.event, "canary-1")).unwrap();
        assert_eq!(message["_credential_username"], native["credential"]["username"]);
        assert_eq!(message["_credential_password"], native["credential"]["password"]);
        let said = format!("{}{}", message["short_message"], message["full_message"]);
        assert!(said.chars().all(|c| !c.is_control()), "{said}");
    }
    drop(socket);
    let why = refusal(&mut sink).await;
    assert!(why.starts_with(&format!("{address} (UDP): connection refused: nothing listens")), "{why}");
    let socket = UdpSocket::bind(address).unwrap();
    sink.once(&logins([4])).await.unwrap();
    assert_eq!(datagrams(&socket)["_credential_username"], "user4");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_a_nul_ends_a_message_of_gelf() {
    let (send, messages) = mpsc::channel();
    let port = serve(move |stream| {
        for read in BufReader::new(stream).split(0).map_while(Result::ok) {
            let _ = send.send(read);
        }
    });
    let mut sink = sink("gelf", json!({ "address": format!("127.0.0.1:{port}"), "transport": "tcp" }));
    for batch in [vec![login(1, &hostile(), "x"), login(2, "a\0b", "x")], logins([3])] {
        sink.once(&batch).await.unwrap();
        for record in batch {
            let message: Value = serde_json::from_slice(&messages.recv().unwrap()).unwrap();
            assert_gelf(&message);
            let native: Value = serde_json::from_str(&encode::native(&record.event, "canary-1")).unwrap();
            assert_eq!(message["_credential_username"], native["credential"]["username"]);
        }
    }
}

/// Each channel, with the keys that it needs besides its address.
fn channels() -> Vec<(&'static str, Value)> {
    vec![
        ("tcp", json!({})),
        ("gelf", json!({ "transport": "tcp" })),
        ("hpfeeds", json!({ "ident": "canary", "secret": "s3cret" })),
        ("mqtt", json!({})),
        ("nats", json!({})),
        ("kafka", json!({})),
    ]
}

fn with(keys: &Value, more: Value) -> Value {
    let mut keys = keys.clone();
    let Value::Object(more) = more else { panic!("not a table: {more}") };
    keys.as_object_mut().unwrap().extend(more);
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_reached_is_explained_by_each_channel() {
    let folder = certificates();
    let config = tls_server(&folder.0, false);
    let tls = serve(move |mut stream| {
        let mut connection = rustls::ServerConnection::new(config.clone()).unwrap();
        let _ = connection.complete_io(&mut stream);
    });
    let web = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    for (kind, keys) in channels() {
        let down = free_port();
        for (more, part) in [
            (json!({ "address": "nowhere.invalid:1" }), "the name nowhere.invalid is not resolved ("),
            (json!({ "address": format!("127.0.0.1:{down}") }), "connection refused: nothing listens on"),
            (
                json!({ "address": format!("localhost:{tls}"), "tls": true }),
                "an authority that is not trusted here: name the file of its authority in `ca`",
            ),
            (
                json!({ "address": format!("127.0.0.1:{tls}"), "tls": true, "ca": folder.file("ca.pem"),
                        "server_name": "elsewhere.example" }),
                "its certificate is for another name",
            ),
            (
                json!({ "address": format!("localhost:{web}"), "tls": true }),
                "it does not speak TLS on this port",
            ),
        ] {
            // NATS greets before it speaks TLS; what that is like, the tests of the real server show.
            if kind == "nats" && more["tls"] == true {
                continue;
            }
            let why = refusal(&mut sink(kind, with(&keys, more.clone()))).await;
            assert!(why.contains(part), "{kind} {more}: {why}");
        }
    }
}

/// Channels whose far end has something to say, and what it is called in a sentence.
const TALKATIVE: [(&str, &str); 4] =
    [("hpfeeds", "hpfeeds"), ("mqtt", "MQTT"), ("nats", "NATS"), ("kafka", "Kafka")];

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_takes_a_connection_and_no_more_is_explained() {
    let silent = serve(|mut stream| {
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let curt = serve(drop::<TcpStream>);
    let web = serve(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    for (kind, keys) in channels() {
        let Some((_, protocol)) = TALKATIVE.iter().find(|(name, _)| *name == kind) else { continue };
        let foreign = format!("does not speak {protocol}");
        for (port, part) in [(silent, "no answer for 1.8s"), (curt, "hung up"), (web, &foreign)] {
            let more = json!({ "address": format!("127.0.0.1:{port}"), "timeout": "2s" });
            let why = refusal(&mut sink(kind, with(&keys, more))).await;
            assert!(why.contains(part), "{kind}: {part}: {why}");
        }
    }
}

#[test]
fn an_operators_mistakes_are_named() {
    for (kind, keys, part) in [
        ("tcp", json!({ "address": "a b" }), "expected a host, or a host and a port"),
        (
            "tcp",
            json!({ "tls": true, "server_name": "a b" }),
            "server_name: expected a host's name or address",
        ),
        ("gelf", json!({ "transport": "udp", "tls": true }), "transport: expected tcp with TLS"),
        ("mqtt", json!({ "topic": "a/+/b" }), "topic: expected a name without blanks and wildcards"),
        ("mqtt", json!({ "topic": "a/{who}" }), "topic: expected a name without blanks and wildcards"),
        ("mqtt", json!({ "client_id": "" }), "client_id: expected a name of at most 200 bytes"),
        ("mqtt", json!({ "password": "x" }), "password: expected a username with it"),
        ("nats", json!({ "password": "x" }), "password: expected a username with it"),
        ("nats", json!({ "subject": "a b" }), "subject: expected a name without blanks and wildcards"),
        ("nats", json!({ "token": "x", "username": "y" }), "token: expected either a token or a user's name"),
        ("kafka", json!({ "topic": "a/b" }), "topic: expected at most 249 letters, digits, dots"),
        ("kafka", json!({ "sasl": "plain" }), "sasl: expected username and password with it"),
        ("kafka", json!({ "others": ["a b"] }), "others: expected hosts, or hosts and ports"),
        ("hpfeeds", json!({ "secret": "x" }), "ident: expected the name that the broker knows"),
        ("hpfeeds", json!({ "ident": "x", "channels": [] }), "channels: expected at least one channel"),
        ("hpfeeds", json!({ "ident": "x".repeat(256) }), "ident: expected names of at most 255 bytes"),
    ] {
        let (_, _, problems) = configured(kind, keys);
        let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(part)), "{part}: {problems:#?}");
    }
}

/// An hpfeeds broker and its port: any, if 0 is asked for.
fn broker(port: u16, tls: &[&str]) -> Option<(Process, u16)> {
    let port = port.to_string();
    let arguments: Vec<_> = [port.as_str()].iter().chain(tls).copied().collect();
    let mut broker = Process::script("hpfeeds.broker.server", "hpfeeds_broker.py", &arguments)?;
    let port = broker.line().parse().unwrap();
    Some((broker, port))
}

fn hpfeeds(port: u16) -> Value {
    json!({ "address": format!("127.0.0.1:{port}"), "ident": "canary", "secret": "s3cret", "channels": ["alerts", "all"] })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hpfeeds_broker_gets_each_event_on_each_channel_over_a_restart() {
    let Some((mut server, port)) = broker(0, &[]) else { return };
    let mut sink = sink("hpfeeds", hpfeeds(port));
    let mut took = async |server: &mut Process, record: Record| {
        sink.once(std::slice::from_ref(&record)).await.unwrap();
        for channel in ["alerts", "all"] {
            let got: Value = serde_json::from_str(&server.line()).unwrap();
            let payload = encode::compatible(&record.event, "canary-1");
            assert_eq!(got, json!({ "ident": "canary", "channel": channel, "payload": payload }));
        }
    };
    took(&mut server, login(1, &hostile(), "x")).await;
    took(&mut server, login(2, "root", "x")).await;
    drop(server);
    let (mut server, _) = broker(port, &[]).unwrap();
    took(&mut server, login(3, "admin", "x")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hpfeeds_broker_may_want_tls() {
    let folder = certificates();
    let files = [folder.file("server.pem"), folder.file("server.key")];
    let Some((mut server, port)) = broker(0, &[&files[0], &files[1]]) else { return };
    let more = json!({ "address": format!("localhost:{port}"), "tls": true, "ca": folder.file("ca.pem") });
    sink("hpfeeds", with(&hpfeeds(port), more)).once(&logins([1])).await.unwrap();
    assert!(server.line().contains("user1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_hpfeeds_broker_has_against_us_is_explained() {
    let Some((_server, port)) = broker(0, &[]) else { return };
    for (more, part) in [
        (json!({ "secret": "wrong" }), "\"Authentication failed for canary\": check `ident` and `secret`"),
        (
            json!({ "channels": ["forbidden"] }),
            "chan=forbidden\": allow `ident` to publish to all of `channels`",
        ),
    ] {
        let mut sink = sink("hpfeeds", with(&hpfeeds(port), more));
        // A broker on a busy machine may be late with its error: then the next delivery is told.
        let mut outcome = Ok(());
        for number in 1..50 {
            outcome = sink.once(&logins([number])).await;
            if outcome.is_err() {
                break;
            }
        }
        let Err(Failure::Later { why, .. }) = outcome else { panic!("{part}: {outcome:?}") };
        assert!(why.contains(part), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_too_long_for_hpfeeds_is_refused_alone() {
    let Some((mut server, port)) = broker(0, &[]) else { return };
    let mut long = login(1, "x", "x");
    let mut event = (*long.event).clone();
    event.fields.extend((0..300).map(|n| (format!("field{n}").into(), "x".repeat(4000).into())));
    long.event = Arc::new(event);
    let keys = with(&hpfeeds(port), json!({ "format": "native" }));
    let outcome = sink("hpfeeds", keys.clone()).once(std::slice::from_ref(&long)).await;
    assert!(
        matches!(&outcome, Err(Failure::Refused(why)) if why.contains("longer than hpfeeds allows")),
        "{outcome:?}"
    );
    let store = run("hpfeeds", keys, vec![long, login(2, "next", "x")]).await;
    assert_eq!(store.buried.lock().unwrap().len(), 1);
    assert!(server.line().contains("next"));
}
