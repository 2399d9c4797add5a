//! VNC, with what people try passwords with, and a viewer.

use std::fs;

use crate::fixture::{Canary, client, connect, file, free_port, installed, python};
use serde_json::Value;

fn canary(settings: &str) -> (Canary, String) {
    let port = free_port();
    (Canary::start(&format!("[service.vnc]\nport = {port}\n{settings}\n")), port.to_string())
}

/// The login with that password, which is a common one.
fn known(canary: &Canary, password: &str) -> Value {
    let login = canary.event(&format!("login with {password}"), |event| {
        event["kind"] == "vnc.login" && event["fields"]["password"] == password
    });
    let response = &login["credential"]["response"];
    let line = response["crackable"].as_str().unwrap_or_default();
    assert!(line.starts_with("$vnc$*") && line.len() == 71, "{login}");
    login
}

/// Each of those passwords is one login, and no other is there.
fn only(canary: &Canary, passwords: &[&str]) {
    for password in passwords {
        known(canary, password);
    }
    let logins = canary.so_far(|event| event["kind"] == "vnc.login");
    assert_eq!(logins.len(), passwords.len(), "{logins:#?}");
}

const GUESSES: [&str; 3] = ["password", "vnc123", "letmein"];

#[test]
fn each_guess_of_hydra_is_one_login() {
    if !installed("hydra") {
        return;
    }
    let (canary, port) = canary("");
    let list = file(&canary, "passwords");
    fs::write(&list, GUESSES.join("\n") + "\n").unwrap();
    let said = client("hydra", &["-P", list.to_str().unwrap(), "-t1", "-I", "-s", &port, "127.0.0.1", "vnc"]);
    assert!(said.contains("0 valid password"), "{said}");
    only(&canary, &GUESSES);
}

#[test]
fn each_guess_of_ncrack_is_one_login() {
    if !installed("ncrack") {
        return;
    }
    let (canary, port) = canary("back_off = false");
    let list = file(&canary, "passwords");
    fs::write(&list, GUESSES.join("\n") + "\n").unwrap();
    let target = format!("vnc://127.0.0.1:{port}");
    let said = client("ncrack", &["-P", list.to_str().unwrap(), "--user", "x", "-g", "CL=1", &target]);
    assert!(said.contains("Ncrack finished"), "{said}");
    only(&canary, &GUESSES);
}

#[test]
fn each_guess_of_medusa_is_one_login() {
    if !installed("medusa") {
        return;
    }
    let (canary, port) = canary("back_off = false");
    let list = file(&canary, "passwords");
    fs::write(&list, GUESSES.join("\n") + "\n").unwrap();
    let list = list.to_str().unwrap();
    let said = client("medusa", &["-h", "127.0.0.1", "-n", &port, "-u", "x", "-P", list, "-M", "vnc", "-t1"]);
    assert!(said.contains("letmein"), "{said}");
    only(&canary, &GUESSES);
}

/// TigerVNC's viewer takes its password from a file in which it is encrypted with a key that everybody knows.
#[test]
fn a_viewer_is_told_what_the_server_thinks_of_its_password() {
    if !installed("xtigervncviewer") || !installed("xvfb-run") {
        return;
    }
    for (server, words) in [
        ("tigervnc", "Authentication failure"),
        ("tightvnc", "Authentication failed from 127.0.0.1"),
        ("ultravnc", "authentication rejected"),
    ] {
        let (canary, port) = canary(&format!("server = \"{server}\""));
        let password = file(&canary, "password");
        // "password", as vncpasswd writes it.
        fs::write(&password, [0xdb, 0xd8, 0x3c, 0xfd, 0x72, 0x7a, 0x14, 0x58]).unwrap();
        let address = format!("127.0.0.1::{port}");
        // It shows an error in a window, and waits there.
        let viewer =
            ["-a", "timeout", "8", "xtigervncviewer", "-passwd", password.to_str().unwrap(), &address];
        let said = client("xvfb-run", &viewer);
        assert!(said.contains(words), "{server}: {said}");
        only(&canary, &["password"]);
    }
}

#[test]
fn nmap_names_the_server_and_lists_its_security_types() {
    if !installed("nmap") {
        return;
    }
    for (server, product, types) in [
        ("tigervnc", "vnc     VNC (protocol 3.8)", &["VNC Authentication (2)"][..]),
        ("tightvnc", "vnc     VNC (protocol 3.8)", &["VNC Authentication (2)", "Tight (16)", "STDV"]),
        (
            "apple",
            "vnc     Apple remote desktop vnc",
            &["Apple Remote Desktop (30)", "VNC Authentication (2)"],
        ),
    ] {
        let (canary, port) = canary(&format!("server = \"{server}\"\nback_off = false"));
        let said = client("nmap", &["-Pn", "-n", "-sV", "--script", "vnc-info", "-p", &port, "127.0.0.1"]);
        let spaced = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let product = product.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(spaced.contains(&product), "{server}: {said}");
        for part in types {
            assert!(said.contains(part), "{server}: {said}");
        }
        canary.event("handshake", |event| event["kind"] == "vnc.handshake" && event["severity"] == "low");
        assert!(canary.so_far(|event| event["kind"] == "vnc.login").is_empty());
    }
}

/// As asyncvnc and pytest-vnc log in to a Mac.
const APPLE: &str = "
import os, socket, sys
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_der_public_key
line = socket.create_connection(('127.0.0.1', int(sys.argv[1]))).makefile('rwb')
def send(data):
    line.write(data)
    line.flush()
def number(size):
    return int.from_bytes(line.read(size), 'big')
def field(text):
    return (text.encode() + bytes(1)).ljust(64, b'?')
line.read(12)
send(b'RFB 003.889\\n')
assert 33 in line.read(number(1))
send(b'\\x21' + bytes.fromhex('0000000a0100525341310000 0000'))
line.read(6)
public = load_der_public_key(line.read(number(4)))
line.read(1)
key = os.urandom(16)
sealed = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(field('admin') + field('hunter2'))
send(bytes.fromhex('0000018a0100525341310001') + sealed + bytes.fromhex('0001') + public.encrypt(key, PKCS1v15()))
line.read(4)
print(number(4), line.read(number(4)).decode())
";

#[test]
fn a_mac_is_given_user_name_and_password_in_clear_text() {
    let (canary, port) = canary("server = \"apple\"");
    if let Some(said) = python(APPLE, &[&port]) {
        assert_eq!(said.trim(), "1 Authentication failed");
        assert_eq!(canary.login("vnc", "admin", "hunter2")["kind"], "vnc.account");
    }
}

#[test]
fn who_is_turned_away_is_hung_up_on_at_once() {
    let (canary, port) = canary("");
    let port = port.parse().unwrap();
    let mut all = Vec::new();
    for _ in 0..6 {
        let mut said = Vec::new();
        let mut line = connect(port);
        if all.len() < 5 {
            line.shutdown(std::net::Shutdown::Write).unwrap();
        }
        std::io::Read::read_to_end(&mut line, &mut said).unwrap();
        all.push(said);
    }
    assert_eq!(all[4], b"RFB 003.008\n");
    assert_eq!(all[5], b"RFB 003.003\n\0\0\0\0\0\0\0\x1aToo many security failures");
    canary.events(5, "connections", |event| event["fields"]["stage"] == "version");
    canary.event("turned away", |event| event["fields"]["turned_away"] == true);
}

/// A honey-credential is recognised though its password never travels, and only its first eight bytes count.
#[test]
fn a_honey_credential_is_recognised_by_its_answer() {
    if !installed("hydra") {
        return;
    }
    let (canary, port) = canary("honeycreds = [{ password = \"Summer-of-69\" }]");
    client("hydra", &["-p", "Summer-of-99", "-t1", "-I", "-s", &port, "127.0.0.1", "vnc"]);
    let login = canary.event("login", |event| event["kind"] == "vnc.login");
    assert_eq!(login["honeycred"], true, "{login}");
    assert_eq!(login["severity"], "critical");
}
