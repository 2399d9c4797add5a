//! Brokers that acknowledge: Mosquitto and nats-server from Debian.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and connect"
)]

mod receivers;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    time::Duration,
};

use haldane_core::Record;
use haldane_sinks::{Failure, encode};
use receivers::{Folder, certificates, free_port, hostile, login, process::Process, refusal, run, sink};
use serde_json::{Value, json};

fn native(record: &Record) -> String {
    encode::native(&record.event, "canary-1")
}

fn with(mut keys: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("not a table: {more}") };
    keys.as_object_mut().unwrap().extend(more);
    keys
}

/// Mosquitto with that configuration besides its listener on that port.
fn mosquitto(folder: &Folder, port: u16, more: &str) -> Option<Process> {
    let conf = format!("listener {port} 127.0.0.1\nuser root\n{more}\n");
    fs::write(folder.file("conf"), conf).unwrap();
    let program =
        ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|path| fs::exists(path).unwrap_or_default());
    Some(Process::start(program.unwrap_or("mosquitto"), &["-c", &folder.file("conf")])?.listens(port))
}

/// Has the broker keep for us what is published from now on.
fn subscribe(port: u16, more: &[&str]) {
    let arguments = ["-p", &port.to_string(), "-c", "-i", "reader", "-q", "1", "-t", "#", "-E"];
    let status = Command::new("mosquitto_sub").args(arguments).args(more).status().unwrap();
    assert!(status.success());
}

/// What it has kept: topic, blank, message.
fn kept(port: u16, count: usize, more: &[&str]) -> Vec<String> {
    let count = count.to_string();
    let port = port.to_string();
    let arguments =
        ["-p", &port, "-c", "-i", "reader", "-q", "1", "-t", "#", "-C", &count, "-W", "10", "-F", "%t %p"];
    let output =
        Command::new("mosquitto_sub").args(arguments).args(more).stderr(Stdio::inherit()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn mqtt(port: u16) -> Value {
    json!({ "address": format!("127.0.0.1:{port}") })
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_gets_each_event_with_either_version_and_over_a_restart() {
    for protocol in ["5", "3.1.1"] {
        let (folder, port) = (Folder::new(), free_port());
        let Some(server) = mosquitto(&folder, port, "allow_anonymous true") else { return };
        subscribe(port, &[]);
        let mut sink = sink("mqtt", with(mqtt(port), json!({ "protocol": protocol })));
        let batch: Vec<_> = (1..=45)
            .map(|n| login(n, &format!("user{n}"), "x"))
            .chain([login(46, &hostile(), "x")])
            .collect();
        sink.once(&batch).await.unwrap();
        let expected: Vec<_> =
            batch.iter().map(|record| format!("haldane/canary-1/ftp {}", native(record))).collect();
        assert_eq!(kept(port, 46, &[]), expected);
        drop(server);
        let why = refusal(&mut sink).await;
        assert!(why.contains("connection refused"), "{why}");
        let _server = mosquitto(&folder, port, "allow_anonymous true").unwrap();
        subscribe(port, &[]);
        sink.once(&batch[..2]).await.unwrap();
        assert_eq!(kept(port, 2, &[]), expected[..2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_mosquitto_closed_meanwhile_is_opened_anew() {
    let (folder, port) = (Folder::new(), free_port());
    let Some(server) = mosquitto(&folder, port, "allow_anonymous true") else { return };
    let mut sink = sink("mqtt", mqtt(port));
    sink.once(&[login(1, "one", "x")]).await.unwrap();
    drop(server);
    let _server = mosquitto(&folder, port, "allow_anonymous true").unwrap();
    subscribe(port, &[]);
    sink.once(&[login(2, "two", "x")]).await.unwrap();
    assert!(kept(port, 1, &[])[0].contains("\"two\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_may_want_tls_and_a_password() {
    let (folder, port) = (certificates(), free_port());
    let passwords = folder.file("passwords");
    let made =
        Command::new("mosquitto_passwd").args(["-b", "-c", &passwords, "canary", "pä55 word"]).status();
    if !made.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "no mosquitto_passwd");
        return eprintln!("skipped: no mosquitto_passwd");
    }
    let acl = folder.file("acl");
    fs::write(&acl, "user canary\ntopic write haldane/#\ntopic read haldane/#\n").unwrap();
    let (certificate, key) = (folder.file("server.pem"), folder.file("server.key"));
    let more = format!(
        "certfile {certificate}\nkeyfile {key}\npassword_file {passwords}\nacl_file {acl}\nallow_anonymous false"
    );
    let _server = mosquitto(&folder, port, &more).unwrap();
    let ca = folder.file("ca.pem");
    let reader = ["--cafile", &ca, "-h", "localhost", "-u", "canary", "-P", "pä55 word"];
    subscribe(port, &reader);
    let keys = json!({
        "address": format!("localhost:{port}"), "tls": true, "ca": ca, "username": "canary", "password": "pä55 word",
        "topic": "haldane/{severity}/{kind}"
    });
    sink("mqtt", keys.clone()).once(&[login(1, "root", "x")]).await.unwrap();
    assert!(kept(port, 1, &reader)[0].starts_with("haldane/high/ftp.login {"));
    for (more, part) in [
        (json!({ "password": "wrong" }), "not authorised: check `username` and `password`"),
        (
            json!({ "password": "wrong", "protocol": "3.1.1" }),
            "not authorised: check `username` and `password`",
        ),
        (json!({ "topic": "forbidden" }), "topic forbidden: not authorised: "),
        (json!({ "ca": folder.file("client.pem") }), "an authority that is not trusted here"),
        (json!({ "tls": false }), "hung up"),
    ] {
        let why = refusal(&mut sink("mqtt", with(keys.clone(), more.clone()))).await;
        assert!(why.contains(part), "{more}: {why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_mosquitto_is_refused_alone() {
    let (folder, port) = (Folder::new(), free_port());
    let Some(_server) = mosquitto(&folder, port, "allow_anonymous true\nmax_packet_size 4000") else {
        return;
    };
    subscribe(port, &[]);
    let batch = vec![login(1, "one", "x"), login(2, &"x".repeat(5000), "x"), login(3, "three", "x")];
    let store = run("mqtt", mqtt(port), batch).await;
    let buried = store.buried.lock().unwrap().clone();
    assert_eq!(buried, [(2, "the broker takes at most 4000 bytes".to_owned())]);
    let kept = kept(port, 2, &[]);
    assert!(kept[0].contains("\"one\"") && kept[1].contains("\"three\""), "{kept:#?}");
}

/// A client of NATS that listens to everything, or asks for something.
struct Listener(BufReader<TcpStream>);

impl Listener {
    fn connect(port: u16, login: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut listener = Self(BufReader::new(stream));
        listener.send(&format!("CONNECT {{\"verbose\":false{login}}}\r\nSUB > 1\r\nPING\r\n"));
        while listener.line() != "PONG" {}
        listener
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// The subject and the payload of the next message.
    fn message(&mut self) -> (String, String) {
        loop {
            let line = self.line();
            let words: Vec<_> = line.split(' ').collect();
            let head = match words[0] {
                "MSG" => 0,
                "HMSG" => words[words.len() - 2].parse().unwrap(),
                _ => continue,
            };
            let mut payload = vec![0; words.last().unwrap().parse::<usize>().unwrap() + 2];
            self.0.read_exact(&mut payload).unwrap();
            payload.truncate(payload.len() - 2);
            return (words[1].to_owned(), String::from_utf8(payload.split_off(head)).unwrap());
        }
    }

    fn ask(&mut self, subject: &str, question: &Value) -> Value {
        let question = question.to_string();
        self.send(&format!("PUB {subject} _INBOX.test {}\r\n{question}\r\n", question.len()));
        loop {
            if let (subject, answer) = self.message()
                && subject == "_INBOX.test"
            {
                return serde_json::from_str(&answer).unwrap();
            }
        }
    }
}

fn nats(folder: &Folder, port: u16, more: &str) -> Option<Process> {
    fs::write(folder.file("conf"), format!("listen: 127.0.0.1:{port}\n{more}\n")).unwrap();
    Some(Process::start("nats-server", &["-c", &folder.file("conf")])?.listens(port))
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_gets_each_event_and_over_a_restart() {
    let (folder, port) = (Folder::new(), free_port());
    let Some(server) = nats(&folder, port, "ping_interval: 1s\nping_max: 1") else { return };
    let mut sink = sink("nats", json!({ "address": format!("127.0.0.1:{port}") }));
    let batch: Vec<_> =
        (1..=50).map(|n| login(n, &format!("user{n}"), "x")).chain([login(51, &hostile(), "x")]).collect();
    let mut listener = Listener::connect(port, "");
    sink.once(&batch).await.unwrap();
    for record in &batch {
        assert_eq!(listener.message(), ("haldane.canary-1.ftp".to_owned(), native(record)));
    }
    drop(server);
    let why = refusal(&mut sink).await;
    assert!(why.contains("connection refused"), "{why}");
    let server = nats(&folder, port, "").unwrap();
    sink.once(&batch[..1]).await.unwrap();
    // The connection is gone, and nobody told the sink.
    drop(server);
    let _server = nats(&folder, port, "").unwrap();
    let mut listener = Listener::connect(port, "");
    sink.once(&batch[1..2]).await.unwrap();
    assert_eq!(listener.message().1, native(&batch[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_jetstream_keeps_each_event_once() {
    let (folder, port) = (Folder::new(), free_port());
    let more = format!("jetstream {{ store_dir: \"{}\" }}", folder.file("jetstream"));
    let Some(_server) = nats(&folder, port, &more) else { return };
    let mut sink = sink(
        "nats",
        json!({ "address": format!("127.0.0.1:{port}"), "jetstream": true, "subject": "canary.events" }),
    );
    let why = refusal(&mut sink).await;
    assert!(why.contains("no stream of JetStream takes the subject: add one that does"), "{why}");
    let mut listener = Listener::connect(port, "");
    let stream = json!({ "name": "S", "subjects": ["canary.>"], "storage": "file", "max_msg_size": 8_000 });
    assert_eq!(listener.ask("$JS.API.STREAM.CREATE.S", &stream)["config"]["name"], "S");
    let batch: Vec<_> =
        (1..=30).map(|n| login(n, &format!("user{n}"), "x")).chain([login(31, &hostile(), "x")]).collect();
    sink.once(&batch).await.unwrap();
    // The acknowledgement was lost, so all of it comes again.
    sink.once(&batch).await.unwrap();
    assert_eq!(listener.ask("$JS.API.STREAM.INFO.S", &json!({}))["state"]["messages"], 31);
    let last = listener.ask("$JS.API.STREAM.MSG.GET.S", &json!({ "seq": 31 }));
    let data =
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, last["message"]["data"].as_str().unwrap());
    assert_eq!(String::from_utf8(data.unwrap()).unwrap(), native(&batch[30]));
    let long = sink.once(&[login(99, "x", "x".repeat(8_000))]).await;
    assert_eq!(long, Err(Failure::Refused("JetStream: message size exceeds maximum allowed".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nats_has_against_us_is_explained() {
    let (folder, port) = (certificates(), free_port());
    let more = "max_payload: 4000\nauthorization { users: [ { user: canary, password: s3cret, permissions: { publish: \"haldane.>\", \
                subscribe: \"haldane.>\" } } ] }";
    let (certificate, key) = (folder.file("server.pem"), folder.file("server.key"));
    let more = format!("{more}\ntls {{ cert_file: \"{certificate}\", key_file: \"{key}\" }}");
    let Some(_server) = nats(&folder, port, &more) else { return };
    let keys = json!({
        "address": format!("localhost:{port}"), "tls": true, "ca": folder.file("ca.pem"), "username": "canary", "password": "s3cret"
    });
    sink("nats", keys.clone()).once(&[login(1, "root", "x")]).await.unwrap();
    for (more, part) in [
        (
            json!({ "password": "wrong" }),
            "\"Authorization Violation\": check `username` and `password`, or `token`",
        ),
        (json!({ "subject": "forbidden" }), "allow this user to publish to that subject"),
        (json!({ "jetstream": true }), "allow this user to subscribe to that"),
        (json!({ "tls": false }), "the server wants TLS: set `tls = true`"),
        (json!({ "ca": folder.file("client.pem") }), "an authority that is not trusted here"),
    ] {
        let why = refusal(&mut sink("nats", with(keys.clone(), more.clone()))).await;
        assert!(why.contains(part), "{more}: {why}");
    }
    let long = sink("nats", keys).once(&[login(1, &"x".repeat(5000), "x")]).await;
    assert_eq!(long, Err(Failure::Refused("the server takes at most 4000 bytes".into())));
    let (folder, port) = (Folder::new(), free_port());
    let _server = nats(&folder, port, "authorization { token: \"t0ken\" }").unwrap();
    let keys = json!({ "address": format!("127.0.0.1:{port}"), "token": "t0ken" });
    sink("nats", keys.clone()).once(&[login(1, "root", "x")]).await.unwrap();
    let why = refusal(&mut sink("nats", with(keys, json!({ "tls": true })))).await;
    assert!(why.contains("the server has no TLS: set `tls = false`"), "{why}");
}
