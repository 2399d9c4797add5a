//! TFTP, with the clients of Debian.

use std::fs;

use crate::fixture::{Canary, client, file, free_port, installed};
use serde_json::Value;

fn canary(settings: &str) -> (Canary, String) {
    let port = free_port();
    (Canary::start(&format!("[service.tftp]\nport = {port}\n{settings}\n")), port.to_string())
}

fn request(canary: &Canary, opcode: &str, name: &str) -> Value {
    let fits = |event: &Value| {
        event["kind"] == "tftp.request"
            && event["fields"]["opcode"] == opcode
            && event["fields"]["filename"] == name
    };
    let request = canary.event(&format!("{opcode} of {name}"), fits);
    assert_eq!(canary.so_far(fits).len(), 1, "once: {request}");
    request
}

/// Each sends a request for a file that is not there.
#[test]
fn every_client_is_told_that_a_file_is_not_there() {
    let (canary, port) = canary("");
    if installed("tftp") {
        let said = client("tftp", &["-m", "binary", "127.0.0.1", &port, "-c", "get", "startup-config"]);
        assert!(said.contains("Error code 1: File not found"), "{said}");
        assert_eq!(request(&canary, "READ", "startup-config")["fields"]["mode"], "octet");
    }
    if installed("atftp") {
        let local = file(&canary, "local");
        let arguments = ["-g", "-r", "passwords.xls", "-l", local.to_str().unwrap(), "127.0.0.1", &port];
        let said = client("atftp", &arguments);
        assert!(said.contains("File not found"), "{said}");
        request(&canary, "READ", "passwords.xls");
    }
    if installed("curl") {
        let said = client("curl", &["-sS", "-m", "20", &format!("tftp://127.0.0.1:{port}/b%FF%01.cfg")]);
        // CURLE_TFTP_NOTFOUND.
        assert!(said.contains("curl: (68)"), "{said}");
        let seen = canary.event("curl's request", |event| {
            event["fields"]["options"].as_array().is_some_and(|options| options.len() >= 3)
        });
        assert_eq!(seen["fields"]["filename_base64"].as_str().unwrap_or_default(), "Yv8BLmNmZw==", "{seen}");
    }
}

#[test]
fn every_client_can_send_a_file_and_it_is_hashed_and_kept() {
    let (canary, port) = canary("keep_uploads = \"{folder}/kept\"");
    let content: Vec<u8> = (0..3_000_u32).flat_map(u32::to_le_bytes).collect();
    let local = file(&canary, "local.bin");
    fs::write(&local, &content).unwrap();
    let local = local.to_str().unwrap();
    let mut sent = 0;
    if installed("tftp") {
        client("tftp", &["-m", "binary", "127.0.0.1", &port, "-c", "put", local, "one"]);
        request(&canary, "WRITE", "one");
        sent += 1;
    }
    if installed("atftp") {
        let options = ["--option", "blksize 1400", "--option", "tsize 1"];
        client("atftp", &[&options[..], &["-p", "-l", local, "-r", "two", "127.0.0.1", &port]].concat());
        request(&canary, "WRITE", "two");
        sent += 1;
    }
    if installed("curl") {
        let address = format!("tftp://127.0.0.1:{port}/three");
        client("curl", &["-sS", "-m", "20", "--tftp-blksize", "1024", "-T", local, &address]);
        request(&canary, "WRITE", "three");
        sent += 1;
    }
    let uploads = canary.events(sent, "uploads", |event| event["kind"] == "tftp.upload");
    for upload in &uploads {
        let fields = &upload["fields"];
        assert_eq!((&fields["bytes"], &fields["complete"]), (&12_000.into(), &true.into()), "{upload}");
        assert_eq!(fs::read(fields["kept"].as_str().unwrap()).unwrap(), content);
        assert_eq!(fields["sha256"], uploads[0]["fields"]["sha256"]);
    }
}

#[test]
fn every_client_can_fetch_the_bait() {
    let (canary, port) = canary("bait = \"tests/canary/data/tftp\"");
    let bait = fs::read("tests/canary/data/tftp/router-confg").unwrap();
    let mut fetched = 0;
    let local = file(&canary, "local");
    let local = local.to_str().unwrap();
    let mut check = |said: &str| {
        assert_eq!(fs::read(local).unwrap_or_default(), bait, "{said}");
        fs::remove_file(local).unwrap();
        fetched += 1;
    };
    if installed("tftp") {
        check(&client("tftp", &["-m", "binary", "127.0.0.1", &port, "-c", "get", "router-confg", local]));
    }
    if installed("atftp") {
        let options = ["--option", "blksize 1400", "--option", "tsize 0", "--option", "timeout 3"];
        let rest = ["-g", "-r", "/router-confg", "-l", local, "127.0.0.1", &port];
        check(&client("atftp", &[&options[..], &rest].concat()));
    }
    if installed("curl") {
        let address = format!("tftp://127.0.0.1:{port}/router-confg");
        check(&client("curl", &["-sS", "-m", "20", "-o", local, &address]));
    }
    let taken = canary.events(fetched, "bait", |event| event["kind"] == "tftp.bait");
    for bait in &taken {
        assert_eq!((&bait["severity"], &bait["fields"]["complete"]), (&"critical".into(), &true.into()));
    }
}

/// It asks for some hundred names that are often found, and lists those that are there.
#[test]
fn nmap_finds_the_bait_among_the_names_that_it_tries() {
    if !installed("nmap") || !rustix::process::geteuid().is_root() {
        return;
    }
    let (canary, port) = canary("bait = \"tests/canary/data/tftp\"");
    let said = client("nmap", &["-sU", "-Pn", "-n", "-p", &port, "--script", "+tftp-enum", "127.0.0.1"]);
    let found: Vec<&str> = said.lines().filter(|line| line.starts_with('|')).collect();
    assert_eq!(found, ["| tftp-enum: ", "|_  router-confg"], "{said}");
    request(&canary, "READ", "router-confg");
    assert!(canary.so_far(|event| event["kind"] == "tftp.request").len() > 100);
}
