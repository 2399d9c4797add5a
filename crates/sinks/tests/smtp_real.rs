//! Alerts by mail against a real mail server: aiosmtpd with STARTTLS, implicit TLS and logins. Skipped without
//! one; see [`receivers::python`].
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod receivers;

use std::{
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use haldane_sinks::Failure;
use receivers::{Folder, certificates, login, python, sink};
use serde_json::{Value, json};

const PASSWORD: &str = "pä55 word";

/// aiosmtpd, stopped when it is dropped.
struct Server {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Server {
    /// `None` if there is none on this machine.
    fn start(mode: &str, folder: &Folder, name: &str) -> Option<Self> {
        let python = python("aiosmtpd")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/receivers/smtpd.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([mode, &folder.file(&format!("{name}.pem")), &folder.file(&format!("{name}.key"))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It warns of the settings that are tested here.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = output.next().unwrap().unwrap().parse().unwrap();
        Some(Self { child, output, port })
    }

    fn mail(&mut self) -> Value {
        serde_json::from_str(&self.output.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keys(port: u16, security: &str, folder: &Folder) -> Value {
    json!({
        "host": "localhost", "port": port, "from": "canary@example.org", "to": ["ops@example.org", "Boss <b@example.org>"],
        "security": security, "ca": folder.file("ca.pem"), "username": "canary", "password": PASSWORD
    })
}

#[tokio::test]
async fn a_mail_arrives_over_starttls_and_over_tls_with_a_login() {
    let folder = certificates();
    for (mode, security) in [("starttls", "starttls"), ("starttls", "auto"), ("tls", "tls")] {
        let Some(mut server) = Server::start(mode, &folder, "server") else { return };
        let mut sink = sink("smtp", keys(server.port, security, &folder));
        sink.once(&[login(1, "rööt", "x\r\nBcc: evil@example.com\r\n\r\n.\r\n\u{202e}")]).await.unwrap();
        sink.once(&[login(2, "root", [0xff, 0x00, b'a'])]).await.unwrap();

        let mail = server.mail();
        assert_eq!(mail["tls"], true);
        assert_eq!(mail["login"], "canary");
        assert_eq!(mail["from"], "canary@example.org");
        assert_eq!(mail["to"], json!(["ops@example.org", "b@example.org"]));
        assert_eq!(mail["defects"], json!([]));
        assert_eq!(mail["headers"]["to"], "ops@example.org, Boss <b@example.org>");
        assert_eq!(mail["headers"].get("bcc"), None);
        let subject = mail["headers"]["subject"].as_str().unwrap();
        assert!(subject.contains("rööt / x\\r\\nBcc: evil@example.com"), "{subject}");
        let text = mail["text"].as_str().unwrap();
        assert!(text.contains("x\\r\\nBcc: evil@example.com\\r\\n\\r\\n.\\r\\n\\u{202e}"), "{text}");
        let event: Value = serde_json::from_str(mail["attachments"][0].as_str().unwrap()).unwrap();
        assert_eq!(event["credential"]["password"], "x\r\nBcc: evil@example.com\r\n\r\n.\r\n\u{202e}");
        assert!(server.mail()["text"].as_str().unwrap().contains("\\xff"));
    }
}

#[tokio::test]
async fn a_mail_arrives_in_the_clear() {
    let folder = certificates();
    let Some(mut server) = Server::start("plain", &folder, "server") else { return };
    let keys = json!({ "host": "127.0.0.1", "port": server.port, "from": "canary", "to": "root" });
    sink("smtp", keys).once(&[login(1, "a", "b")]).await.unwrap();
    let mail = server.mail();
    assert_eq!(mail["tls"], false);
    assert_eq!(mail["to"], json!(["root"]));
    let text = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert!(text.starts_with("FTP login from 192.0.2.7 on port 21: a / b\n\nWhat "), "{text}");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_a_wrong_name_and_a_wrong_password_are_told_apart() {
    let folder = certificates();
    let other = certificates();
    let Some(server) = Server::start("starttls", &folder, "server") else { return };
    let cases = [
        ("ca", json!(other.file("ca.pem")), "from an authority that is not trusted here"),
        ("ca", json!(null), "from an authority that is not trusted here"),
        ("password", json!("wrong"), "check `username` and `password`"),
        ("username", json!(null), "set `username` and `password`"),
    ];
    for (key, value, expected) in cases {
        let mut keys = keys(server.port, "starttls", &folder);
        if key == "username" {
            keys.as_object_mut().unwrap().remove("password");
        }
        keys[key] = value;
        match sink("smtp", keys).once(&[login(1, "a", "b")]).await {
            Err(Failure::Later { why, .. }) => assert!(why.contains(expected), "{key}: {why}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    let elsewhere = Server::start("starttls", &folder, "elsewhere").unwrap();
    match sink("smtp", keys(elsewhere.port, "starttls", &folder)).once(&[login(1, "a", "b")]).await {
        Err(Failure::Later { why, .. }) => assert!(why.contains("is for another name"), "{why}"),
        other => panic!("{other:?}"),
    }
    let mut keys = keys(server.port, "starttls", &other);
    keys["verify"] = json!(false);
    sink("smtp", keys).once(&[login(1, "a", "b")]).await.unwrap();
}
