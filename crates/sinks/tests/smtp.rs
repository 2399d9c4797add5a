//! Alerts by mail against a server that says what the test tells it to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod receivers;

use std::time::{Duration, Instant};

use haldane_sinks::Failure;
use receivers::{Mailbox, Receiver, configured, free_port, login, run, serve, sink};
use serde_json::{Value, json};

/// A configuration for a server on that port, with more keys.
fn mail(port: u16, more: Value) -> Value {
    let mut keys = json!({
        "host": "127.0.0.1", "port": port, "from": "Canary <canary@example.org>", "to": ["ops@example.org"],
        "security": "none", "timeout": "5s"
    });
    let Value::Object(more) = more else { panic!("not a table") };
    keys.as_object_mut().unwrap().extend(more);
    keys
}

fn later(result: Result<(), Failure>) -> (String, Option<Duration>) {
    match result {
        Err(Failure::Later { why, after }) => (why, after),
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<(), Failure>) -> String {
    match result {
        Err(Failure::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_tells_a_person_who_where_when_and_what_was_tried() {
    let server = Mailbox::new(|_| None);
    let mut sink = sink("smtp", mail(server.port, json!({ "json": "none", "helo": "canary.example.org" })));
    sink.once(&[login(1, "root", "hunter2")]).await.unwrap();
    let message = server.message().join("\n");
    for expected in [
        "From: Canary <canary@example.org>",
        "To: ops@example.org",
        "Subject: canary-1: FTP login from 192.0.2.7 on port 21: root / hunter2",
        "Message-ID: <01935aad-0000-7000-8000-000000000001@example.org>",
        "Auto-Submitted: auto-generated",
        "X-Haldane-Event: 01935aad-0000-7000-8000-000000000001",
        "Date: ",
        "192.0.2.7:50123",
        "ftp on 10.0.0.5:21, canary canary-1",
        "18 November 2026",
        "hunter2",
        "vsFTPd",
        "log in to this decoy",
    ] {
        assert!(message.contains(expected), "{expected:?} not in\n{message}");
    }
    assert_eq!(server.count("EHLO canary.example.org"), 1);
    assert_eq!(server.count("MAIL FROM:<canary@example.org>"), 1);
    assert_eq!(server.count("RCPT TO:<ops@example.org>"), 1);
}

#[tokio::test]
async fn an_attackers_text_adds_no_header_and_ends_no_message() {
    let server = Mailbox::new(|_| None);
    let mut sink = sink("smtp", mail(server.port, json!({ "json": "inline" })));
    let password =
        "x\r\nBcc: evil@example.com\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\n\u{202e}é".repeat(3);
    sink.once(&[login(1, "root\r\nX-Evil: 1", password)]).await.unwrap();
    let message = server.message();
    let head: Vec<_> = message.iter().take_while(|line| !line.is_empty()).collect();
    for line in &message {
        let name = line.split(':').next().unwrap_or_default().to_lowercase();
        assert!(name != "bcc" && name != "x-evil", "{message:#?}");
        assert!(line.len() < 998 && line.is_ascii(), "{line}");
    }
    assert!(head.iter().all(|line| line.len() <= 100), "{head:#?}");
    assert_eq!(server.count("MAIL FROM"), 1);
    assert_eq!(server.count("RCPT TO"), 1);
}

#[tokio::test]
async fn the_peers_form_is_the_bare_line_under_a_fixed_subject() {
    let server = Mailbox::new(|_| None);
    let keys = json!({ "json": "only", "format": "compatible", "subject": "OpenCanary Alert" });
    sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await.unwrap();
    let message = server.message();
    assert!(message.iter().any(|line| line == "Subject: OpenCanary Alert"), "{message:#?}");
    let body = message.join("\n").split_once("\n\n").unwrap().1.replace("=\n", "").replace("=3D", "=");
    let line: Value = serde_json::from_str(body.trim()).unwrap();
    assert_eq!(line["logdata"]["PASSWORD"], "b");
    assert_eq!(line["logtype"], 2000);
}

#[tokio::test]
async fn a_greylisting_server_is_tried_again_when_it_says() {
    let server = Mailbox::new(|line| {
        line.starts_with("RCPT").then_some("451 4.7.1 Greylisted, please try again in 300 seconds")
    });
    let (why, after) = later(sink("smtp", mail(server.port, json!({}))).once(&[login(1, "a", "b")]).await);
    assert_eq!(after, Some(Duration::from_secs(300)));
    assert!(why.contains("Greylisted"), "{why}");
}

#[tokio::test]
async fn a_recipient_who_does_not_exist_is_refused_for_good() {
    let server = Mailbox::new(|line| line.starts_with("RCPT").then_some("550 5.1.1 No such user"));
    let why = refused(sink("smtp", mail(server.port, json!({}))).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("ops@example.org: 550 5.1.1 No such user"), "{why}");
}

#[tokio::test]
async fn a_message_that_the_server_does_not_like_is_refused_for_good() {
    let server = Mailbox::new(|line| (line == ".").then_some("554 5.7.1 Looks like spam"));
    let why = refused(sink("smtp", mail(server.port, json!({}))).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("Looks like spam"), "{why}");
}

#[tokio::test]
async fn a_server_that_does_not_relay_is_the_operators_to_mend() {
    let server = Mailbox::new(|line| line.starts_with("RCPT").then_some("554 5.7.1 Relay access denied"));
    let (why, _) = later(sink("smtp", mail(server.port, json!({}))).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("set `username` and `password`"), "{why}");
}

#[tokio::test]
async fn a_wrong_password_is_named_but_not_told() {
    let server = Mailbox::new(|line| line.starts_with("AUTH").then_some("535 5.7.8 Bad credentials"));
    let keys = json!({ "username": "canary", "password": "s3cr3t-word" });
    let (why, _) = later(sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("check `username` and `password`"), "{why}");
    assert!(!why.contains("s3cr3t") && !why.contains("czNjcjN0"), "{why}");
}

#[tokio::test]
async fn a_password_may_stand_in_a_file() {
    let folder = receivers::Folder::new();
    std::fs::write(folder.file("password"), "s3cr3t\n").unwrap();
    let server = Mailbox::new(|_| None);
    let keys = json!({ "username": "canary", "password_file": folder.file("password") });
    sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await.unwrap();
    assert_eq!(server.count("AUTH PLAIN AGNhbmFyeQBzM2NyM3Q="), 1);
}

#[tokio::test]
async fn a_password_is_not_sent_in_the_clear_unless_told_to() {
    let server = Mailbox::new(|_| None);
    let keys = json!({ "security": "auto", "username": "canary", "password": "s3cr3t" });
    let (why, _) = later(sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("the password was not sent"), "{why}");
    assert_eq!(server.count("AUTH"), 0);
}

#[tokio::test]
async fn both_ways_to_log_in_are_spoken() {
    let server = Mailbox::new(|line| match line {
        "AUTH LOGIN" => Some("334 VXNlcm5hbWU6"),
        "Y2FuYXJ5" => Some("334 UGFzc3dvcmQ6"),
        "czNjcjN0" => Some("235 welcome"),
        _ => None,
    });
    for mechanism in ["login", "plain"] {
        let keys = json!({ "username": "canary", "password": "s3cr3t", "mechanism": mechanism });
        sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await.unwrap();
    }
    assert_eq!(server.count("AUTH PLAIN AGNhbmFyeQBzM2NyM3Q="), 1);
    assert_eq!(server.count("czNjcjN0"), 1);
    assert_eq!(server.count("DATA"), 2);
}

#[tokio::test]
async fn starttls_that_is_not_offered_or_refused_is_explained() {
    let server = Mailbox::new(|_| None);
    let keys = || json!({ "security": "starttls" });
    let (why, _) = later(sink("smtp", mail(server.port, keys())).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("does not offer STARTTLS"), "{why}");

    let server = Mailbox::new(|line| match line.split(' ').next() {
        Some("EHLO") => Some("250-test\r\n250 STARTTLS"),
        Some("STARTTLS") => Some("454 4.7.0 TLS not available"),
        _ => None,
    });
    let (why, _) = later(sink("smtp", mail(server.port, keys())).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("said no to STARTTLS (454 4.7.0 TLS not available)"), "{why}");
    assert_eq!(server.count("MAIL"), 0);
}

#[tokio::test]
async fn answers_smuggled_in_before_the_handshake_are_noticed() {
    let server = Mailbox::new(|line| match line.split(' ').next() {
        Some("EHLO") => Some("250-test\r\n250 STARTTLS"),
        Some("STARTTLS") => Some("220 go on\r\n250 AUTH LOGIN"),
        _ => None,
    });
    let keys = json!({ "security": "starttls" });
    let (why, _) = later(sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("tampering"), "{why}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_with_a_hint() {
    let server = Mailbox::new(|_| Some("hang"));
    let begun = Instant::now();
    let keys = json!({ "timeout": "500ms" });
    let (why, _) = later(sink("smtp", mail(server.port, keys)).once(&[login(1, "a", "b")]).await);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert!(why.contains("set `security = \"tls\"`"), "{why}");
}

#[tokio::test]
async fn a_wrong_port_is_named() {
    let keys = || json!({});
    let (why, _) = later(sink("smtp", mail(free_port(), keys())).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("refused the connection"), "{why}");

    let web = Receiver::new(|_, _| ("400 Bad Request".into(), ""));
    let (why, _) =
        later(sink("smtp", mail(web.port, json!({ "timeout": "400ms" }))).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("sent nothing"), "{why}");

    let ssh = serve(|mut stream| {
        use std::io::{Read, Write};
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        let _ = stream.read(&mut [0; 64]);
    });
    let (why, _) = later(sink("smtp", mail(ssh, keys())).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("does not answer as a mail server"), "{why}");

    let server = Mailbox::new(|_| None);
    let (why, _) = later(
        sink("smtp", mail(server.port, json!({ "security": "tls" }))).once(&[login(1, "a", "b")]).await,
    );
    assert!(why.contains("set `security = \"starttls\"`"), "{why}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let server = serve(|mut stream| while std::io::Write::write_all(&mut stream, &[b'2'; 4096]).is_ok() {});
    let (why, _) = later(sink("smtp", mail(server, json!({}))).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("does not answer as a mail server"), "{why}");
}

#[tokio::test]
async fn each_recipient_gets_a_mail_once_whatever_happens_to_the_others() {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    let grey = Arc::new(AtomicBool::new(true));
    let still = Arc::clone(&grey);
    let server = Mailbox::new(move |line| match line {
        "RCPT TO:<gone@example.org>" => Some("550 5.1.1 No such user"),
        "RCPT TO:<slow@example.org>" if still.load(Ordering::Relaxed) => Some("450 4.2.0 Mailbox busy"),
        _ => None,
    });
    let keys = json!({ "to": ["ops@example.org", "gone@example.org", "slow@example.org"] });
    let mut sink = sink("smtp", mail(server.port, keys));
    let batch = [login(1, "a", "b")];
    later(sink.once(&batch).await);
    grey.store(false, Ordering::Relaxed);
    let why = refused(sink.once(&batch).await);
    assert!(why.contains("gone@example.org: 550"), "{why}");
    assert!(why.contains("sent to ops@example.org, slow@example.org"), "{why}");
    assert_eq!(server.count("DATA"), 2);
    assert_eq!(server.count("RCPT TO:<ops@example.org>"), 1);
    assert_eq!(server.count("RCPT TO:<slow@example.org>"), 2);
}

#[tokio::test]
async fn the_connection_is_kept_while_there_is_more_and_opened_anew_if_the_server_ends_it() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let mails = Arc::new(AtomicUsize::new(0));
    let server = Mailbox::new(move |line| {
        // As servers do that take a few mails over one connection.
        let third = line.starts_with("MAIL") && mails.fetch_add(1, Ordering::Relaxed) == 2;
        third.then_some("421 4.7.0 Too many messages")
    });
    let mut sink = sink("smtp", mail(server.port, json!({})));
    for number in 1..=4 {
        sink.once(&[login(number, "a", "b")]).await.unwrap();
    }
    assert_eq!(server.count("(connected)"), 2);
    assert_eq!(server.count("DATA"), 4);
}

#[tokio::test]
async fn a_server_that_comes_back_gets_everything_in_order_and_a_farewell() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let calls = AtomicUsize::new(0);
    // Down twice, each in its own way; then a mail that it does not like.
    let server = Mailbox::new(move |line| match line {
        "(connected)" => match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Some(""),
            1 => Some("554 no service here"),
            _ => None,
        },
        _ => None,
    });
    let records = (1..=3).map(|number| login(number, &format!("user-{number}"), "b")).collect();
    let store = run("smtp", mail(server.port, json!({ "notify": "event" })), records).await;
    let lines = server.lines.lock().unwrap();
    let subjects: Vec<_> = lines.iter().filter(|line| line.starts_with("Subject: ")).cloned().collect();
    let of = |number| format!("Subject: canary-1: FTP login from 192.0.2.7 on port 21: user-{number} / b");
    assert_eq!(subjects.len(), 3, "{subjects:#?}");
    for (subject, number) in subjects.iter().zip(1..) {
        assert!(of(number).starts_with(subject.as_str()), "{subject}");
    }
    assert_eq!(lines.iter().filter(|line| *line == "(connected)").count(), 3);
    assert_eq!(lines.last().unwrap(), "QUIT");
    let health = store.health.lock().unwrap().clone().unwrap();
    assert_eq!((health.up, health.delivered, health.refused), (true, 3, 0));
}

#[tokio::test]
async fn what_is_refused_is_buried_with_its_reason_and_the_rest_goes_on() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let mails = AtomicUsize::new(0);
    let server = Mailbox::new(move |line| {
        let second = line == "." && mails.fetch_add(1, Ordering::Relaxed) == 1;
        second.then_some("552 5.3.4 Message too big")
    });
    let records = (1..=3).map(|number| login(number, "a", "b")).collect();
    let store = run("smtp", mail(server.port, json!({ "notify": "event" })), records).await;
    let buried = store.buried.lock().unwrap();
    assert_eq!(buried.len(), 1);
    assert_eq!(buried[0].0, 2);
    assert!(buried[0].1.contains("refused the message: 552 5.3.4 Message too big"), "{}", buried[0].1);
    assert_eq!(server.count("DATA"), 3);
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_told_all_at_once() {
    let keys = json!({
        "from": "canary at example", "to": [], "security": "ssl", "username": "u", "subject": "{sentense}",
        "ca": "/nowhere/ca.pem", "helo": "a b", "pasword": "x"
    });
    let (_, _, problems) = configured("smtp", keys);
    let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for expected in [
        "host: ",
        "from: ",
        "to: ",
        "security: ",
        "password: ",
        "subject: ",
        "ca: ",
        "helo: ",
        "pasword: unknown",
    ] {
        assert!(text.iter().any(|line| line.contains(expected)), "{expected} not in {text:#?}");
    }
}
