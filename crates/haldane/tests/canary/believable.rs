//! What a scanner and a hunter of honeypots make of the decoys.
//!
//! Answers are compared with recordings of the real products, byte for byte, in the services' own tests. Here it is
//! the whole program on a real socket: what nmap calls it, and that none of the signatures of known honeypots fits.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::fixture::{Canary, client, connect, free_port, installed};

fn canary(service: &str, settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.{service}]\nport = {port}\n{settings}\n")), port)
}

/// What `nmap -sV` says of a service.
fn nmap(service: &str, settings: &str) -> Option<String> {
    if !installed("nmap") {
        return None;
    }
    let (canary, port) = canary(service, settings);
    let said = client("nmap", &["-Pn", "-n", "-sV", "-p", &port.to_string(), "127.0.0.1"]);
    let line = said.lines().find(|line| line.starts_with(&format!("{port}/tcp"))).unwrap_or(&said).to_owned();
    canary.event("the scan", |event| event["service"] == service);
    Some(line.split_whitespace().skip(2).collect::<Vec<_>>().join(" "))
}

fn nmap_names(service: &str, settings: &str, product: &str) {
    if let Some(said) = nmap(service, settings) {
        assert_eq!(said, product);
    }
}

#[test]
fn nmap_names_the_ssh_server() {
    nmap_names("ssh", "", "ssh OpenSSH 9.2p1 Debian 2+deb12u10 (protocol 2.0)");
}

#[test]
fn nmap_names_the_ssh_server_of_the_configuration() {
    let version = "version = \"SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.6\"";
    nmap_names("ssh", version, "ssh OpenSSH 8.9p1 Ubuntu 3ubuntu0.6 (Ubuntu Linux; protocol 2.0)");
}

#[test]
fn nmap_names_the_ssh_server_of_opencanarys_sample() {
    let version = "version = \"SSH-2.0-OpenSSH_5.1p1 Debian-4\"";
    nmap_names("ssh", version, "ssh OpenSSH 5.1p1 Debian 4 (protocol 2.0)");
}

#[test]
fn nmap_names_the_router() {
    nmap_names("telnet", "persona = \"cisco\"", "telnet Cisco IOS telnetd");
}

#[test]
fn nmap_names_the_ftp_server() {
    nmap_names("ftp", "", "ftp vsftpd 3.0.3");
}

#[test]
fn nmap_names_the_ftp_server_of_the_configuration() {
    let banner = "banner = \"ProFTPD 1.3.5 Server (Debian) [127.0.0.1]\"";
    nmap_names("ftp", banner, "ftp ProFTPD 1.3.5");
}

#[test]
fn nmap_names_the_web_server() {
    nmap_names("http", "", "http Apache httpd 2.4.71 ((Debian))");
}

#[test]
fn nmap_names_the_web_server_of_the_configuration() {
    nmap_names("http", "banner = \"nginx/1.22.1\"", "http nginx 1.22.1");
}

/// On a port that nmap does not know for TLS it asks in clear first, and names who says that this was wrong.
#[test]
fn nmap_names_the_web_server_behind_tls() {
    nmap_names("https", "", "http Apache httpd 2.4.71 ((Debian))");
}

#[test]
fn nmap_names_mariadb() {
    nmap_names("mysql", "", "mysql MySQL 5.5.5-10.11.19-MariaDB-0+deb12u1");
}

#[test]
fn nmap_names_mysql() {
    nmap_names("mysql", "banner = \"8.0.36\"", "mysql MySQL 8.0.36");
}

#[test]
fn nmap_names_the_mysql_of_opencanarys_sample() {
    nmap_names("mysql", "banner = \"5.5.43-0ubuntu0.14.04.1\"", "mysql MySQL 5.5.43-0ubuntu0.14.04.1");
}

/// A server with a password tells nobody its version.
#[test]
fn nmap_names_redis() {
    nmap_names("redis", "", "redis Redis key-value store");
}

/// The scripts that `nmap -sC` runs: they log in, ask for keys, titles and capabilities.
#[test]
fn the_scripts_of_nmap_find_a_host_as_any_other() {
    if !installed("nmap") {
        return;
    }
    let services = ["ftp", "ssh", "http", "mysql", "redis"];
    let ports = services.map(|_| free_port().to_string());
    let settings =
        services.iter().zip(&ports).map(|(name, port)| format!("[service.{name}]\nport = {port}\n"));
    let canary = Canary::start(&settings.collect::<String>());
    let said = client("nmap", &["-Pn", "-n", "-sV", "-sC", "-p", &ports.join(","), "127.0.0.1"]);
    for found in
        ["ssh-hostkey", "(ED25519)", "mysql-info", "10.11.19-MariaDB", "http-title", "Apache httpd 2.4.71"]
    {
        assert!(said.contains(found), "{found}: {said}");
    }
    for service in services {
        assert!(!canary.so_far(|event| event["service"] == service).is_empty(), "{service} saw nothing");
    }
}

/// Reads until the server is silent for a moment or hangs up; whether it hung up.
fn heard(talk: &mut TcpStream) -> (Vec<u8>, bool) {
    talk.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let (mut heard, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match talk.read(&mut piece) {
            Ok(0) => return (heard, true),
            Ok(length) => heard.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return (heard, true),
            Err(_) => return (heard, false),
        }
    }
}

/// Sends that to a fresh connection; what came, and whether the server hung up.
fn answer(port: u16, sent: &[u8]) -> (String, bool) {
    let mut talk = connect(port);
    talk.write_all(sent).unwrap();
    let (bytes, ended) = heard(&mut talk);
    (String::from_utf8_lossy(&bytes).into_owned(), ended)
}

#[test]
fn ssh_has_none_of_the_signatures_of_known_honeypots() {
    let (_canary, port) = canary("ssh", "");
    let (said, ended) = answer(port, b"SSH-1337\n");
    assert!(said.contains("Invalid SSH identification string.") && ended, "{said}");
    assert!(!said.to_lowercase().contains("bad version"), "{said}");
    let (said, ended) = answer(port, b"SSH-1.5-old\n");
    assert!(said.contains("Protocol major versions differ.") && ended, "{said}");
    let (said, ended) = answer(port, b"GET / HTTP/1.0\r\n\r\n");
    assert!(said.contains("Invalid SSH identification string.") && ended, "{said}");
    // The key exchange begins before the client's own.
    let (said, ended) = answer(port, b"SSH-2.0-OpenSSH_9.6\r\n");
    assert!(said.contains("sntrup761x25519-sha512") && !ended, "{said}");
    let lists =
        said.split("\0\0").flat_map(|part| part.split(',')).filter(|name| name.starts_with("ssh-ed25519"));
    assert_eq!(lists.count(), 1, "a host key algorithm is named twice: {said}");
}

#[test]
fn ftp_has_none_of_the_signatures_of_known_honeypots() {
    let (_canary, port) = canary("ftp", "login_delay = \"0s\"");
    let commands = b"REST 1\r\nSYST\r\nFROB\r\nUSER anonymous\r\nPASS a@b\r\n";
    let (said, _) = answer(port, commands);
    for signature in ["FTP Ready.", "FTP server ready", "Password required for", "Guest login ok", "500 "] {
        assert!(!said.contains(signature), "{signature}: {said}");
    }
    assert!(said.starts_with("220 (vsFTPd 3.0.3)\r\n530 Please login with USER and PASS.\r\n"), "{said}");
}

#[test]
fn telnet_has_none_of_the_signatures_of_known_honeypots() {
    let (_canary, port) = canary("telnet", "");
    let mut talk = connect(port);
    let (opening, _) = heard(&mut talk);
    assert!(!String::from_utf8_lossy(&opening).contains("User Access Verification"), "{opening:?}");
    talk.write_all(b"\xff\xfb\x63").unwrap();
    let (said, _) = heard(&mut talk);
    assert_eq!(said, b"\xff\xfe\x63", "option 99 is refused");
}

#[test]
fn http_has_none_of_the_signatures_of_known_honeypots() {
    let (_canary, port) = canary("http", "");
    let (said, ended) = answer(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nFOOBAR\r\n\r\n");
    assert!(said.contains("HTTP/1.1 400 Bad Request") && ended, "{said}");
    assert!(said.find("Date: ").unwrap() < said.find("Server: ").unwrap(), "{said}");
    let chunks = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n";
    let (said, _) = answer(port, chunks);
    assert!(said.starts_with("HTTP/1.1 400"), "{said}");
    let (said, _) = answer(port, b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(said.contains("The requested URL was not found on this server."), "{said}");
}

#[test]
fn the_certificate_is_not_that_of_a_known_honeypot() {
    if !installed("openssl") {
        return;
    }
    let (_canary, port) = canary("https", "");
    let show = format!(
        "openssl s_client -connect 127.0.0.1:{port} </dev/null 2>/dev/null | openssl x509 -noout -subject -issuer"
    );
    let said = client("sh", &["-c", &show]);
    assert!(said.contains("subject="), "{said}");
    for signature in ["Synology", "synologynas.local", "opencanary"] {
        assert!(!said.contains(signature), "{said}");
    }
}

#[test]
fn mysql_draws_its_salt_anew_from_the_alphabet_of_its_version() {
    for (banner, printable) in [("5.5.5-10.11.19-MariaDB-0+deb12u1", true), ("8.0.36", false)] {
        let (_canary, port) = canary("mysql", &format!("banner = \"{banner}\""));
        let mut salts = BTreeSet::new();
        for _ in 0..8 {
            let (greeting, _) = heard(&mut connect(port));
            let after = 5 + greeting[5..].iter().position(|byte| *byte == 0).unwrap() + 1;
            let salt = [&greeting[after + 4..after + 12], &greeting[after + 31..after + 43]].concat();
            let fits = |byte: &u8| {
                if printable { (33..=126).contains(byte) } else { !matches!(byte, 0 | b'$' | 128..) }
            };
            assert!(salt.iter().all(fits), "{banner}: {salt:?}");
            salts.insert(salt);
        }
        assert_eq!(salts.len(), 8, "{banner}");
    }
}

#[test]
fn redis_has_none_of_the_signatures_of_known_honeypots() {
    let (_canary, port) = canary("redis", "");
    let (said, ended) = answer(port, b"[[,[[\r\n");
    assert_eq!(
        (said.as_str(), ended),
        ("-ERR unknown command '[[,[[', with args beginning with: \r\n", false)
    );
    let (said, _) = answer(port, b"AUTH x\r\nCONFIG GET dir\r\nINFO\r\nCOMMAND\r\n");
    let refused = "-NOAUTH Authentication required.\r\n";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(said, format!("{wrong}{refused}{refused}{refused}"));
    let (said, ended) = answer(port, b"QUIT\r\n");
    assert_eq!((said.as_str(), ended), ("+OK\r\n", true));
}
