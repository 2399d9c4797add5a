//! SIP, with sipsak, SIPVicious, hydra and nmap.

use serde_json::{Value, json};

use crate::fixture::{Canary, client, file, free_port, installed, python, text, until};

fn canary(settings: &str) -> (Canary, String) {
    let port = free_port();
    (Canary::start(&format!("[service.sip]\nport = {port}\n{settings}\n")), port.to_string())
}

fn is_request(event: &Value) -> bool {
    event["kind"] == "sip.request"
}

fn logins(canary: &Canary, count: usize) -> Vec<Value> {
    canary.events(count, "logins", |event| is_request(event) && !event["credential"].is_null())
}

/// Checks a guess against a line of hashcat's mode 11400, as its module and that of john read it.
const CRACK: &str = "
import hashlib, sys
parts = sys.argv[1].split('*')
assert parts[0] == '$sip$' and len(parts) == 15, parts
_, _, _, user, realm, method, scheme, resource, rest, nonce, cnonce, nc, qop, algorithm, response = parts
md5 = lambda *parts: hashlib.md5(':'.join(parts).encode()).hexdigest()
uri = ':'.join(part for part in (scheme, resource, rest) if part)
middle = [nonce, nc, cnonce, qop] if qop else [nonce]
print('cracked' if md5(md5(user, realm, sys.argv[2]), *middle, md5(method, uri)) == response else 'no')
";

fn is_cracked_by(login: &Value, password: &str) -> bool {
    let line = login["credential"]["response"]["crackable"].as_str().unwrap();
    python(CRACK, &[line, password]).is_none_or(|said| said.trim() == "cracked")
}

#[test]
fn sipsak_is_challenged_over_udp_and_tcp() {
    if !installed("sipsak") {
        return;
    }
    let (canary, port) = canary("");
    for (number, transport) in (1..).zip(["udp", "tcp"]) {
        let to = format!("sip:100@127.0.0.1:{port}");
        let said = client("sipsak", &["-vv", "-E", transport, "-s", &to]);
        assert!(said.contains("Server: Asterisk PBX 16.28.0~dfsg-0+deb11u4"), "{said}");
        let asked = canary.events(number, "a question", |event| {
            is_request(event) && event["fields"]["tool"] == "sipsak" && event["credential"].is_null()
        });
        let asked = &asked[number - 1];
        assert_eq!(asked["transport"], transport);
        assert_eq!(asked["fields"]["method"], "OPTIONS");
        // It cuts its own ports of five digits.
        assert!(asked["fields"]["uri"].as_str().unwrap().starts_with("sip:100@127.0.0.1:"), "{asked}");
    }
}

#[test]
fn svmap_finds_the_server_and_is_named() {
    if !installed("svmap") {
        return;
    }
    for (settings, name) in [
        ("", "Asterisk PBX 16.28.0~dfsg-0+deb11u4"),
        ("product = \"kamailio\"", "kamailio (5.6.3 (x86_64/linux))"),
    ] {
        let (canary, port) = canary(settings);
        let said = client("svmap", &["-p", &port, "127.0.0.1"]);
        assert!(said.contains(name), "{said}");
        let asked = canary.events(1, "its request", is_request);
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0]["fields"]["tool"], "sipvicious");
        assert_eq!(asked[0]["fields"]["user_agent"], "friendly-scanner");
    }
}

/// Every extension is challenged alike, as Asterisk does since 1.8.
#[test]
fn svwar_learns_nothing_about_extensions() {
    if !installed("svwar") {
        return;
    }
    let (canary, port) = canary("");
    let said = client("svwar", &["-p", &port, "-m", "REGISTER", "-e", "100-103", "127.0.0.1"]);
    assert!(said.contains("authentication request for an unknown extension"), "{said}");
    canary.event("its request", |event| is_request(event) && event["fields"]["method"] == "REGISTER");
}

#[test]
fn each_guess_of_svcrack_is_a_line_to_crack_and_the_bait_is_recognised() {
    if !installed("svcrack") {
        return;
    }
    let (canary, port) = canary("honeycreds = [{ username = \"100\", password = \"3\" }]");
    client("svcrack", &["-p", &port, "-u", "100", "-r", "1-4", "127.0.0.1"]);
    let guesses = logins(&canary, 4);
    let bait: Vec<_> = guesses.iter().filter(|guess| guess["honeycred"] == true).collect();
    assert_eq!(bait.len(), 1, "{guesses:#?}");
    assert_eq!(bait[0]["severity"], "critical");
    assert!(is_cracked_by(bait[0], "3"));
    assert!(guesses.iter().all(|guess| guess["credential"]["username"] == "100"));
}

#[test]
fn hydra_tries_once_and_its_password_is_in_the_line() {
    if !installed("hydra") {
        return;
    }
    let (canary, port) = canary("");
    let said =
        client("hydra", &["-I", "-t", "1", "-l", "100", "-p", "letmein", "-s", &port, "127.0.0.1", "sip"]);
    assert!(said.contains("0 valid password"), "{said}");
    let tried = logins(&canary, 1);
    assert_eq!((tried.len(), &tried[0]["fields"]["tool"]), (1, &json!("hydra")));
    assert!(is_cracked_by(&tried[0], "letmein"));
    assert!(!is_cracked_by(&tried[0], "wrong") || python("", &[]).is_none());
}

/// A file with nmap's probes of SIP alone: all the others are asked first, and waited for, on a port like ours.
fn probes(canary: &Canary) -> Option<String> {
    let all = std::fs::read_to_string("/usr/share/nmap/nmap-service-probes").ok()?;
    let mut kept = "Exclude T:9100-9107\n".to_owned();
    let mut keep = false;
    for line in all.lines() {
        keep = if line.starts_with("Probe ") { line.contains(" SIPOptions ") } else { keep };
        // Fallbacks are to probes that are not here.
        if keep && !line.starts_with("fallback") {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    let path = file(canary, "probes");
    std::fs::write(&path, kept).unwrap();
    Some(path.to_str().unwrap().to_owned())
}

#[test]
fn nmap_names_the_product_and_its_version() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = canary("server = \"Asterisk PBX 18.10.0~dfsg+~cs6.10.40431411-2\"");
    let Some(probes) = probes(&canary) else { return };
    let scan = |how: &str| {
        client("nmap", &[how, "-sV", "-Pn", "-n", "--versiondb", &probes, "-p", &port, "127.0.0.1"])
    };
    let said = scan("-sT");
    assert!(said.contains("Asterisk PBX 18.10.0~dfsg+~cs6.10.40431411-2"), "{said}");
    let by_nmap = |event: &Value| is_request(event) && event["fields"]["tool"] == "nmap";
    canary.events(1, "its probe", by_nmap);
    // UDP scans need raw sockets.
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: nmap -sU needs root");
        return;
    }
    let said = scan("-sU");
    assert!(said.contains("Asterisk PBX 18.10.0~dfsg+~cs6.10.40431411-2"), "{said}");
    let probes = canary.events(2, "its other probe", by_nmap);
    assert_eq!(probes.iter().map(|probe| &probe["transport"]).collect::<Vec<_>>(), ["tcp", "udp"]);
}

#[test]
fn the_compatible_line_is_opencanarys() {
    let (canary, port) = canary("[sink.file]\npath = \"{folder}/canary.log\"\nformat = \"compatible\"");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let asked = "OPTIONS sip:test@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.1\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: sip:test@127.0.0.1\r\nCall-ID: 2@127.0.0.1\r\nCSeq: 1 OPTIONS\r\n\r\n";
    socket.send_to(asked.as_bytes(), format!("127.0.0.1:{port}")).unwrap();
    let log = file(&canary, "canary.log");
    until("the line", || text(&log).contains("15001"));
    let line = text(&log);
    let line = line.lines().find(|line| line.contains("\"logtype\": 15001")).unwrap();
    let logdata = r#""logdata": {"HEADERS": {"call-id": ["2@127.0.0.1"], "cseq": ["1 OPTIONS"], "from": ["<sip:a@b>;tag=1"], "to": ["sip:test@127.0.0.1"], "via": ["SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK.1"]}}"#;
    assert!(line.contains(logdata), "{line}");
}
