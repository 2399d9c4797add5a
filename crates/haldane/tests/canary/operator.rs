//! What the operator types: the README's first command, `events`, `test-alert`, `check --sinks`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::{
    fixture::{Canary, client, connect, file, folder, free_port, installed, until},
    receivers::{Answer, mail, web},
};

/// A program that runs for as long as this lives.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn haldane(canary: &Canary, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldane"));
    command.args(arguments).arg("--config").arg(file(canary, "haldane.toml"));
    command.arg("--state-dir").arg(file(canary, "state"));
    command
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn ftp_login(port: u16, user: &str, password: &str) {
    let mut talk = connect(port);
    talk.write_all(format!("USER {user}\r\nPASS {password}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut replies = BufReader::new(talk).lines().map(Result::unwrap);
    assert!(replies.any(|line| line.starts_with("221")));
}

/// The ports of the embedded default are fixed: where they are taken, this shows nothing.
#[test]
fn without_any_configuration_it_catches_ssh_at_once() {
    if !installed("ssh") || !installed("sshpass") {
        return;
    }
    if TcpListener::bind("127.0.0.1:2222").is_err() {
        println!("SKIPPED: port 2222 is taken");
        return;
    }
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldane"));
    command.arg("--state-dir").arg(folder.path().join("state")).current_dir(folder.path());
    command.env("HOME", folder.path()).env_remove("XDG_CONFIG_HOME").env_remove("HALDANE_CONFIG");
    let canary = Canary::spawn(folder, command);
    canary.complaint("try: ssh -p 2222 root@127.0.0.1");
    let ssh = ["ssh", "-F", "none", "-p", "2222", "-o", "StrictHostKeyChecking=no"];
    let once = ["-o", "UserKnownHostsFile=/dev/null", "-o", "NumberOfPasswordPrompts=1", "root@127.0.0.1"];
    let said = client("sshpass", &[&["-p", "any password"], &ssh[..], &once].concat());
    assert!(said.contains("Permission denied"), "{said}");
    let login = canary.login("ssh", "root", "any password");
    assert_eq!(login["severity"], "high");
    let (status, _) = canary.stop();
    assert!(status.success());
}

#[test]
fn events_are_shown_by_service_source_kind_severity_time_and_count() {
    let (ftp, redis) = (free_port(), free_port());
    let canary = Canary::start(&format!(
        "[service.ftp]\nport = {ftp}\nlogin_delay = \"0s\"\n[service.redis]\nport = {redis}\n"
    ));
    ftp_login(ftp, "eve", "first");
    ftp_login(ftp, "eve", "second");
    connect(redis).write_all(b"PING\r\n").unwrap();
    canary.event("the command", |event| event["kind"] == "redis.command");
    let shown = |arguments: &[&str]| {
        let output = haldane(&canary, &[&["events", "--json"], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lines(&output).iter().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let passwords = |events: &[Value]| -> Vec<Value> {
        events.iter().map(|event| event["credential"]["password"].clone()).collect()
    };
    // What is told may be a moment ahead of what is stored.
    until("all is stored", || shown(&["--kind", "redis.command"]).len() == 1);
    assert_eq!(passwords(&shown(&["--kind", "ftp.login"])), ["first", "second"]);
    assert_eq!(passwords(&shown(&["--kind", "2000", "-n", "1"])), ["second"]);
    assert_eq!(passwords(&shown(&["--severity", "high", "--source", "127.0.0.0/8"])), ["first", "second"]);
    assert!(shown(&["--service", "redis"]).iter().all(|event| event["service"] == "redis"));
    assert!(shown(&["--source", "10.0.0.0/8"]).is_empty());
    assert!(shown(&["--since", "2100-01-01"]).is_empty());
    assert_eq!(shown(&["--since", "1h", "--kind", "ftp.login"]).len(), 2);
    let text = haldane(&canary, &["events", "--service", "ftp"]).output().unwrap();
    let text = lines(&text).join("\n");
    assert!(
        text.contains("eve / first") && text.contains("eve / second") && !text.contains('\x1b'),
        "{text}"
    );
}

#[test]
fn a_follower_sees_what_comes_after() {
    let port = free_port();
    let canary = Canary::start(&format!("[service.ftp]\nport = {port}\nlogin_delay = \"0s\"\n"));
    ftp_login(port, "eve", "before");
    let mut command = haldane(&canary, &["events", "--follow", "--json", "--kind", "ftp.login"]);
    let mut follower = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut seen = BufReader::new(follower.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(seen.next().unwrap().contains("before"));
    ftp_login(port, "eve", "after");
    assert!(seen.next().unwrap().contains("after"));
}

#[test]
fn a_test_alert_arrives_at_the_receiver() {
    let receiver = free_port();
    let inbox = web(receiver, |_| Answer::Status(200));
    let hook = format!("[sink.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{receiver}/\"\n");
    let canary = Canary::start(&hook);
    let output = haldane(&canary, &["test-alert", "hook"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = lines(&output);
    assert!(said.contains(&"hook (webhook): delivered".to_owned()), "{output:?}");
    let step = |words: &str| said.iter().any(|line| line.starts_with("  ") && line.contains(words));
    assert!(step(&format!("connected to 127.0.0.1:{receiver}")) && step("answered 200"), "{said:#?}");
    assert_eq!(inbox.count("This is a test from"), 1);
}

#[test]
fn a_test_by_mail_tells_each_step_and_what_keeps_real_alerts_back() {
    let (port, nobody) = (free_port(), free_port());
    let inbox = mail(port);
    let sink = |name: &str, port: u16| {
        format!(
            "[sink.{name}]\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\n\
             from = \"canary@example.org\"\nto = [\"alice@example.org\"]\nquiet_hours = \"22:00-07:00\"\n"
        )
    };
    let canary = Canary::start(&format!("{}{}", sink("mail", port), sink("dead", nobody)));
    let output = haldane(&canary, &["test-alert", "mail"]).output().unwrap();
    let said = lines(&output);
    let step = |words: &str| said.iter().any(|line| line.starts_with("  ") && line.contains(words));
    for words in ["connected to 127.0.0.1", "RCPT TO", "`quiet_hours`", "of incidents of severity medium"] {
        assert!(step(words), "{words}: {said:#?}");
    }
    assert_eq!(inbox.count("This is a test from"), 1);
    let output = haldane(&canary, &["test-alert", "dead"]).output().unwrap();
    assert!(!output.status.success());
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("refused the connection: is it the right `port`"), "{why}");
}

#[test]
fn a_test_alert_that_is_refused_says_so() {
    let receiver = free_port();
    let _inbox = web(receiver, |_| Answer::Status(403));
    let hook = format!("[sink.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{receiver}/\"\n");
    let canary = Canary::start(&hook);
    let output = haldane(&canary, &["test-alert", "hook"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("hook (webhook): failed: ") && said.contains("403"), "{said}");
}

#[test]
fn what_a_receiver_refuses_for_good_is_shown_with_its_reason() {
    let (port, receiver) = (free_port(), free_port());
    let _inbox = web(receiver, |_| Answer::Status(400));
    let hook = format!(
        "[sink.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{receiver}/\"\nmin_severity = \"high\"\n"
    );
    let canary = Canary::start(&format!("[service.ftp]\nport = {port}\nlogin_delay = \"0s\"\n{hook}"));
    ftp_login(port, "eve", "refused");
    let shown = || lines(&haldane(&canary, &["check", "--sinks"]).output().unwrap()).join("\n");
    until("a dead letter", || shown().contains("eve / refused"));
    let shown = shown();
    assert!(shown.contains("configuration is good: 1 service, 2 sinks"), "{shown}");
    let letter = shown.lines().find(|line| line.contains("eve / refused")).unwrap();
    assert!(letter.contains("hook") && letter.contains("400"), "{shown}");
}
