//! SSH, with its clients: OpenSSH, sshpass, PuTTY, Paramiko.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::fixture::{Canary, ODD_SHOWN, client, file, free_port, installed, python, text, until};

fn ssh(settings: &str) -> (Canary, u16) {
    let port = free_port();
    let service = format!("[service.ssh]\nport = {port}\nfail_delay = \"0s\"\n{settings}\n");
    (Canary::start(&service), port)
}

/// Options of OpenSSH for a first and only visit, with no configuration of this machine's.
const STRANGER: [&str; 10] = [
    "-F",
    "none",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "GlobalKnownHostsFile=/dev/null",
    "-o",
    "IdentityAgent=none",
];

/// Runs `ssh` with a password, as sshpass types it.
fn sshpass(port: u16, user: &str, password: &str, options: &[&str]) -> String {
    let (port, target) = (port.to_string(), format!("{user}@127.0.0.1"));
    let start = ["-p", password, "ssh", "-p", &port, "-o", "NumberOfPasswordPrompts=1"];
    client("sshpass", &[&start, &STRANGER[..], options, &[&target]].concat())
}

#[test]
fn openssh_types_a_password() {
    if !installed("ssh") || !installed("sshpass") {
        return;
    }
    let (canary, port) = ssh("");
    let said = sshpass(port, "root", "hunter2", &["-o", "PreferredAuthentications=password"]);
    assert!(said.contains("Permission denied"), "{said}");
    let login = canary.login("ssh", "root", "hunter2");
    assert_eq!(login["kind"], "ssh.login");
    assert_eq!(login["credential"]["mechanism"], "password");
    assert!(login["fields"]["client_version"].as_str().unwrap().starts_with("SSH-2.0-OpenSSH"));
    assert_eq!(login["fields"]["hassh"].as_str().unwrap().len(), 32);
}

#[test]
fn openssh_answers_a_question() {
    if !installed("ssh") || !installed("sshpass") {
        return;
    }
    let (canary, port) = ssh("methods = [\"publickey\", \"password\", \"keyboard-interactive\"]");
    let ask = ["-o", "PreferredAuthentications=keyboard-interactive"];
    sshpass(port, "root", "to the question", &ask);
    let login = canary.login("ssh", "root", "to the question");
    assert_eq!(login["credential"]["mechanism"], "keyboard-interactive");
}

#[test]
fn the_key_of_openssh_is_recorded_as_ssh_keygen_names_it() {
    if !installed("ssh") || !installed("ssh-keygen") {
        return;
    }
    let (canary, port) = ssh("");
    let port = port.to_string();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = file(&canary, kind);
        let key = key.to_str().unwrap();
        client("ssh-keygen", &["-q", "-t", kind, "-N", "", "-f", key]);
        let options = ["-p", &port, "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i", key];
        client("ssh", &[&STRANGER[..], &options, &["carol@127.0.0.1"]].concat());
        let listed = client("ssh-keygen", &["-lf", &format!("{key}.pub")]);
        let fingerprint = listed.split_whitespace().nth(1).unwrap();
        let seen = canary
            .event(fingerprint, |event| event["credential"]["public_key"]["fingerprint"] == fingerprint);
        assert_eq!(seen["credential"]["username"], "carol");
        let public = seen["credential"]["public_key"]["key"].as_str().unwrap();
        assert!(text(format!("{key}.pub")).starts_with(public), "{public}");
    }
}

#[test]
fn putty_types_a_password() {
    if !installed("plink") {
        return;
    }
    let (canary, port) = ssh("");
    let hostkey = client("ssh-keyscan", &["-t", "ed25519", "-p", &port.to_string(), "127.0.0.1"]);
    let known = file(&canary, "known");
    fs::write(&known, hostkey.lines().filter(|line| !line.starts_with('#')).collect::<String>()).unwrap();
    let listed = client("ssh-keygen", &["-lf", known.to_str().unwrap()]);
    let fingerprint = listed.split_whitespace().nth(1).unwrap().to_owned();
    let port = port.to_string();
    let options =
        ["-ssh", "-batch", "-hostkey", &fingerprint, "-P", &port, "-l", "root", "-pw", "from putty"];
    let said = client("plink", &[&options[..], &["127.0.0.1"]].concat());
    let login = canary.login("ssh", "root", "from putty");
    let version = login["fields"]["client_version"].as_str().unwrap();
    assert!(version.contains("PuTTY"), "{version} {said}");
}

/// What a server of that release agrees to with a client of today that is told to.
#[test]
fn every_release_talks_to_a_client_of_today() {
    if !installed("ssh") || !installed("sshpass") {
        return;
    }
    let releases = [
        (
            "SSH-2.0-OpenSSH_5.1p1 Debian-4",
            "diffie-hellman-group14-sha1",
            "ssh-rsa",
            "aes128-cbc",
            "hmac-sha1",
        ),
        ("SSH-2.0-OpenSSH_7.4", "curve25519-sha256", "ssh-ed25519", "aes256-ctr", "hmac-sha2-256"),
        (
            "SSH-2.0-OpenSSH_9.2p1 Debian-2",
            "sntrup761x25519-sha512@openssh.com",
            "rsa-sha2-512",
            "chacha20-poly1305@openssh.com",
            "",
        ),
        (
            "SSH-2.0-OpenSSH_9.9",
            "diffie-hellman-group16-sha512",
            "ecdsa-sha2-nistp256",
            "aes256-gcm@openssh.com",
            "",
        ),
    ];
    for (version, kex, host_key, cipher, mac) in releases {
        let (canary, port) = ssh(&format!("version = \"{version}\""));
        let (kex, host_key) = (format!("KexAlgorithms={kex}"), format!("HostKeyAlgorithms={host_key}"));
        let (cipher, mac) = (format!("Ciphers={cipher}"), format!("MACs={mac}"));
        let mut options = vec!["-o", &kex, "-o", &host_key, "-o", &cipher];
        if mac.len() > 5 {
            options.extend(["-o", &mac]);
        }
        options.extend(["-o", "PreferredAuthentications=password"]);
        let said = sshpass(port, "root", "of today", &options);
        assert!(said.contains("Permission denied"), "{version}: {said}");
        canary.login("ssh", "root", "of today");
    }
}

#[test]
fn the_old_server_has_no_new_algorithms_and_the_new_one_no_old_ones() {
    if !installed("ssh") {
        return;
    }
    let wants = [
        ("SSH-2.0-OpenSSH_5.1p1 Debian-4", "KexAlgorithms=curve25519-sha256"),
        ("SSH-2.0-OpenSSH_9.9", "KexAlgorithms=diffie-hellman-group1-sha1"),
    ];
    for (version, wish) in wants {
        let (canary, port) = ssh(&format!("version = \"{version}\""));
        let port = port.to_string();
        let said = client("ssh", &[&STRANGER[..], &["-p", &port, "-o", wish, "root@127.0.0.1"]].concat());
        assert!(said.contains("no matching key exchange method"), "{said}");
        let seen = canary.event("what it wanted", |event| event["kind"] == "ssh.kexinit");
        assert_eq!(seen["fields"]["agreed"], false, "{seen}");
    }
}

#[test]
fn the_banner_before_the_login_is_shown() {
    if !installed("ssh") {
        return;
    }
    let (_canary, port) = ssh("preauth_banner = \"Keep out\\\\r\\\\nof here\"");
    let port = port.to_string();
    let options = ["-p", &port, "-o", "BatchMode=yes", "root@127.0.0.1"];
    let said = client("ssh", &[&STRANGER[..], &options].concat());
    assert!(said.contains("Keep out\r\nof here\r\n"), "{said:?}");
}

#[test]
fn host_keys_stay_and_are_for_their_owner_alone() {
    if !installed("ssh-keyscan") {
        return;
    }
    let (canary, port) = ssh("");
    let scan = || {
        let mut lines: Vec<String> = client("ssh-keyscan", &["-p", &port.to_string(), "127.0.0.1"])
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let before = scan();
    assert_eq!(before.len(), 3, "{before:?}");
    let folder = canary.kill();
    let _again = Canary::start_in(folder.clone(), &format!("[service.ssh]\nport = {port}\n"));
    assert_eq!(scan(), before);
    let mut pending = vec![folder.path().join("state")];
    let mut keys = 0;
    while let Some(place) = pending.pop() {
        for entry in fs::read_dir(place).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if text(entry.path()).contains("PRIVATE KEY") {
                keys += 1;
                assert_eq!(
                    entry.metadata().unwrap().permissions().mode() & 0o777,
                    0o600,
                    "{:?}",
                    entry.path()
                );
            }
        }
    }
    assert!(keys >= 3, "{keys}");
}

const PARAMIKO: &str = "
import paramiko, sys
port = int(sys.argv[1])
for password in [b'plain', b'na\\xefve', b'nul\\0inside', b'x' * 1000]:
    transport = paramiko.Transport(('127.0.0.1', port))
    transport.connect()
    try:
        transport.auth_password('root', password, fallback=False)
    except paramiko.AuthenticationException as refused:
        print(type(refused).__name__)
    transport.close()
";

#[test]
fn paramiko_sends_passwords_of_any_bytes() {
    let (canary, port) = ssh("");
    let Some(said) = python(PARAMIKO, &[&port.to_string()]) else { return };
    let seen = canary.events(4, "logins", |event| event["kind"] == "ssh.login");
    let passwords: Vec<&Value> = seen.iter().map(|event| &event["credential"]["password"]).collect();
    let long = "x".repeat(1000);
    assert_eq!(passwords, ["plain", ODD_SHOWN[0], "nul\0inside", long.as_str()], "{said}");
    canary.odd_login("ssh", "root");
}

#[test]
fn attempts_are_counted_as_openssh_does_and_every_one_is_seen() {
    if !installed("ssh") {
        return;
    }
    let (canary, port) = ssh("max_auth_tries = 3");
    let ask = file(&canary, "ask");
    fs::write(&ask, "#!/bin/sh\necho again\n").unwrap();
    fs::set_permissions(&ask, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new("timeout")
        .args(["60", "ssh", "-p", &port.to_string(), "-o", "NumberOfPasswordPrompts=9"])
        .args(STRANGER)
        .args(["-o", "PreferredAuthentications=password", "root@127.0.0.1"])
        .env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .env("DISPLAY", "none")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Too many authentication failures"), "{said}");
    let seen = || canary.so_far(|event| event["kind"] == "ssh.login").len();
    until("three attempts", || seen() >= 3);
    assert_eq!(seen(), 3);
}
