//! Start, stop, reload, kill: nothing is lost, and everything ends in time.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    time::Duration,
};

use crate::fixture::{Canary, client, connect, file, free_port, text, until};

fn ftp(port: u16) -> String {
    format!("[service.ftp]\nport = {port}\n")
}

fn try_password(port: u16, password: &str) {
    client(
        "curl",
        &["-s", "-m", "20", "-u", &format!("root:{password}"), &format!("ftp://127.0.0.1:{port}/")],
    );
}

#[test]
fn a_login_becomes_an_event_and_sigterm_ends_it_within_five_seconds() {
    let port = free_port();
    let canary = Canary::start(&ftp(port));
    try_password(port, "hunter2");
    let login = canary.login("ftp", "root", "hunter2");
    assert_eq!(login["severity"], "high");
    let mut held = connect(port);
    held.read_exact(&mut [0; 4]).unwrap();
    let (status, took) = canary.stop();
    assert!(status.success());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn what_was_answered_for_survives_kill_dash_nine() {
    let port = free_port();
    let canary = Canary::start(&ftp(port));
    let mut talk = connect(port);
    talk.write_all(b"USER eve\r\nSYST\r\n").unwrap();
    let mut replies = BufReader::new(talk.try_clone().unwrap()).lines();
    (0..3).for_each(|_| drop(replies.next().unwrap().unwrap()));
    let folder = canary.kill();
    let again = Canary::start_in(folder, &ftp(port));
    let stored = again.haldane(&["events", "--json"]);
    assert!(stored.contains("SYST"), "{stored}");
}

#[test]
fn a_reload_keeps_the_connections_of_unchanged_services() {
    let (one, two) = (free_port(), free_port());
    let before = format!("{}[sink.log]\ntype = \"file\"\npath = \"{{folder}}/log\"\n", ftp(one));
    let canary = Canary::start(&before);
    let mut held = connect(one);
    let mut replies = BufReader::new(held.try_clone().unwrap()).lines();
    replies.next().unwrap().unwrap();
    let after = format!("[[service.ftp]]\nport = {one}\n[[service.ftp]]\nport = {two}\n");
    Canary::write_configuration(&canary.folder, &after);
    canary.signal("HUP");
    canary.event("reload", |event| event["kind"] == "haldane.reloaded");
    connect(two);
    held.write_all(b"QUIT\r\n").unwrap();
    assert!(replies.next().unwrap().unwrap().starts_with("221"));
}

#[test]
fn a_wrong_configuration_changes_nothing_and_says_so() {
    let port = free_port();
    let canary = Canary::start(&ftp(port));
    Canary::write_configuration(&canary.folder, "[service.ftp]\nport = \"many\"\n");
    canary.signal("HUP");
    let refused = canary.event("refusal", |event| event["kind"] == "haldane.reload_refused");
    assert!(refused["fields"]["why"].as_str().unwrap().contains("port"), "{refused}");
    try_password(port, "still here");
    canary.login("ftp", "root", "still here");
}

#[test]
fn a_busy_port_is_named_and_the_other_services_serve() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = taken.local_addr().unwrap().port();
    let port = free_port();
    let canary = Canary::start(&format!("[[service.ftp]]\nport = {busy}\n[[service.ftp]]\nport = {port}\n"));
    let failed = canary.event("failure", |event| event["kind"] == "service.failed");
    assert!(failed["fields"]["why"].as_str().unwrap().contains(&busy.to_string()), "{failed}");
    canary.complaint(&busy.to_string());
    try_password(port, "served");
    canary.login("ftp", "root", "served");
}

#[test]
fn a_log_that_was_moved_away_is_made_anew() {
    let port = free_port();
    let sink = "[sink.log]\ntype = \"file\"\npath = \"{folder}/log\"\nformat = \"compatible\"\n";
    let canary = Canary::start(&format!("{}{sink}", ftp(port)));
    let log = file(&canary, "log");
    try_password(port, "first");
    until("the first line", || text(&log).contains("first"));
    std::fs::rename(&log, file(&canary, "log.old")).unwrap();
    try_password(port, "second");
    until("the second line", || text(&log).contains("second"));
    assert!(!text(file(&canary, "log.old")).contains("second"));
}
