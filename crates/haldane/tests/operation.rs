//! The daemon in operation: what a reload takes up and what it leaves alone, what a signal, a limit, a closed
//! terminal or a privilege does to it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test may panic, and tell why it was skipped"
)]

#[path = "canary/fixture.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod fixture;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    time::Duration,
};

use fixture::{Canary, connect, file, folder, free_port, installed};
use haldane_tls::{Identity, Names};

fn ftp(port: u16, more: &str) -> String {
    format!("[[service.ftp]]\nport = {port}\n{more}\n")
}

fn reload(canary: &Canary, configuration: &str) {
    Canary::write_configuration(&canary.folder, configuration);
    canary.signal("HUP");
}

/// Reads the greeting: the peer is served.
fn greeted(port: u16) -> TcpStream {
    let mut stream = connect(port);
    stream.read_exact(&mut [0; 4]).unwrap();
    stream
}

fn refused(port: u16) -> bool {
    connect(port).read(&mut [0; 4]).unwrap_or(0) == 0
}

#[test]
fn a_reload_goes_from_one_address_to_every_address() {
    let port = free_port();
    let canary = Canary::start(&ftp(port, "address = \"127.0.0.1\""));
    reload(&canary, &ftp(port, "address = \"0.0.0.0\""));
    let reloaded = canary.event("reload", |event| event["kind"] == "haldane.reloaded");
    assert_eq!(reloaded["fields"]["started"], 1, "{reloaded}");
    greeted(port);
}

#[test]
fn a_reload_with_a_certificate_that_is_none_leaves_the_old_service_at_work() {
    let port = free_port();
    let canary = Canary::start(&ftp(port, ""));
    let mut held = greeted(port);
    fs::write(file(&canary, "broken.pem"), "no certificate").unwrap();
    fs::set_permissions(file(&canary, "broken.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let broken = "\"{folder}/broken.pem\"";
    reload(&canary, &ftp(port, &format!("tls = true\ncertificate = {broken}\nkey = {broken}")));
    let refused = canary.event("refusal", |event| event["kind"] == "haldane.reload_refused");
    assert!(refused["fields"]["why"].as_str().unwrap().contains("broken.pem"), "{refused}");
    held.write_all(b"QUIT\r\n").unwrap();
    assert!(BufReader::new(held).lines().any(|line| line.unwrap().starts_with("221")));
    greeted(port);
}

#[test]
fn a_reload_takes_up_a_certificate_that_others_have_renewed() {
    let (port, folder) = (free_port(), folder());
    let renew = || {
        let made = Identity::self_signed(&Names { common: "files01".into() }, Duration::ZERO).unwrap();
        for (name, pem) in [("c.pem", made.certificate_pem()), ("k.pem", made.key_pem())] {
            fs::write(folder.path().join(name), pem.unwrap()).unwrap();
            fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
    };
    renew();
    let tls = "tls = true\ncertificate = \"{folder}/c.pem\"\nkey = \"{folder}/k.pem\"";
    let canary = Canary::start_in(folder.clone(), &ftp(port, tls));
    renew();
    canary.signal("HUP");
    let renewed = canary.event("renewal", |event| event["kind"] == "certificate.renewed");
    assert_eq!(renewed["fields"]["name"], "ftp");
    let reloaded = canary.event("reload", |event| event["kind"] == "haldane.reloaded");
    assert_eq!(reloaded["fields"]["kept"], 1);
}

#[test]
fn a_reload_that_is_refused_leaves_no_keys_behind() {
    let (port, other) = (free_port(), free_port());
    let canary = Canary::start(&ftp(port, ""));
    reload(&canary, &format!("[service.ssh]\nport = {other}\n[service.ftp]\nport = \"many\"\n"));
    canary.event("refusal", |event| event["kind"] == "haldane.reload_refused");
    let names = fs::read_dir(file(&canary, "state")).unwrap().map(|entry| entry.unwrap().file_name());
    let keys: Vec<_> = names.filter(|name| name.to_string_lossy().contains("ssh")).collect();
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn the_limit_for_each_source_is_over_all_services_and_a_reload_changes_it() {
    let (one, other) = (free_port(), free_port());
    let services = ftp(one, "") + &ftp(other, "");
    let canary = Canary::start(&format!("[limits]\nper_source = 1\n{services}"));
    let _held = greeted(one);
    assert!(refused(other));
    let turned = canary.event("turned away", |event| event["kind"] == "connection.turned");
    assert_eq!(turned["fields"]["limit"], "per_source");
    reload(&canary, &format!("[limits]\nper_source = 9\n{services}"));
    canary.event("reload", |event| event["kind"] == "haldane.reloaded");
    greeted(other);
}

#[test]
fn a_terminal_that_is_gone_stops_nothing() {
    let (port, folder) = (free_port(), folder());
    Canary::write_configuration(&folder, &ftp(port, ""));
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldane"));
    command.args(["run", "--config"]).arg(folder.path().join("haldane.toml"));
    command.arg("--state-dir").arg(folder.path().join("state"));
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("Canary running!!!")));
    let signal = |name| Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    signal("HUP");
    assert!(lines.any(|line| line.contains("haldane.reloaded")), "it died of what it had to say");
    signal("TERM");
    assert!(child.wait().unwrap().success());
}

#[test]
fn with_sinks_that_hang_and_many_sessions_it_ends_in_time_and_loses_nothing() {
    const SESSIONS: usize = 400;
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", deaf.local_addr().unwrap());
    let sinks: String = (0..4)
        .map(|n| format!("[sink.hook{n}]\ntype = \"webhook\"\nmin_severity = \"info\"\nurl = \"{url}\"\n"))
        .collect();
    let port = free_port();
    let canary = Canary::start(&format!("{}{sinks}", ftp(port, "")));
    let held: Vec<_> = (0..SESSIONS).map(|_| greeted(port)).collect();
    let of = |kind: &'static str| move |event: &serde_json::Value| event["kind"] == kind;
    canary.events(SESSIONS, "sessions", of("connection.opened"));
    let folder = canary.folder.clone();
    let (status, took) = canary.stop();
    assert!(status.success());
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(held);
    let stored = Command::new(env!("CARGO_BIN_EXE_haldane"))
        .args(["events", "--json", "--kind", "connection.closed", "--state-dir"])
        .arg(folder.path().join("state"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&stored.stdout).lines().count(), SESSIONS);
}

/// Runs the canary with one capability, as systemd does with `AmbientCapabilities=`.
#[test]
fn a_capability_that_it_was_started_with_is_given_up_once_the_ports_are_bound() {
    if !rustix::process::getuid().is_root() || !installed("setpriv") {
        println!("SKIPPED: needs root and setpriv");
        return;
    }
    let (port, folder) = (low_port(), folder());
    Canary::write_configuration(&folder, &ftp(port, ""));
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::set_permissions(folder.path().join("state"), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"]);
    command.arg(env!("CARGO_BIN_EXE_haldane")).args(["run", "--config"]);
    command.arg(folder.path().join("haldane.toml")).arg("--state-dir").arg(folder.path().join("state"));
    let canary = Canary::spawn(folder, command);
    greeted(port);
    let status = fs::read_to_string(format!("/proc/{}/status", canary.pid())).unwrap();
    let threads = fs::read_dir(format!("/proc/{}/task", canary.pid())).unwrap().flatten();
    let each = threads.map(|thread| fs::read_to_string(thread.path().join("status")).unwrap_or_default());
    for status in each.chain([status]) {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let line = status.lines().find(|line| line.starts_with(set)).unwrap();
            assert_eq!(line.split_whitespace().nth(1), Some("0000000000000000"), "{line}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
    // A port that needs the privilege cannot be added afterwards; the message says what to do.
    reload(&canary, &format!("{}{}", ftp(port, ""), ftp(low_port(), "")));
    let failed = canary.event("failure", |event| event["kind"] == "service.failed");
    assert!(failed["fields"]["why"].as_str().unwrap().contains("restart the canary"), "{failed}");
    greeted(port);
}

/// A port below 1024 that nobody uses now.
fn low_port() -> u16 {
    (600..1000).rev().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

#[test]
fn who_may_not_become_another_group_is_told_so() {
    if !rustix::process::getuid().is_root() || !installed("setpriv") {
        println!("SKIPPED: needs root and setpriv");
        return;
    }
    let folder = folder();
    Canary::write_configuration(&folder, &ftp(free_port(), ""));
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_haldane")).args(["run", "--gid", "1", "--config"]);
    command.arg(folder.path().join("haldane.toml")).arg("--state-dir").arg(folder.path().join("state"));
    let (status, complaints) = Canary::spawn_unready(folder, command).ended();
    assert!(!status.success());
    assert!(complaints.contains("only root"), "{complaints}");
}
