//! FTP, Telnet and ports of one's own making, with their clients and with bare sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
};

use crate::fixture::{Canary, ODD, client, connect, free_port, installed};

fn canary(service: &str, settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.{service}]\nport = {port}\n{settings}\n")), port)
}

#[test]
fn lftp_and_curl_leave_their_passwords() {
    let (canary, port) = canary("ftp", "login_delay = \"0s\"");
    if installed("lftp") {
        let script = "set net:max-retries 1; set net:reconnect-interval-base 1; set cmd:fail-exit yes; ls";
        client("lftp", &["-u", "bob,l f t p", "-e", script, &format!("ftp://127.0.0.1:{port}")]);
        canary.login("ftp", "bob", "l f t p");
    }
    if installed("curl") {
        client("curl", &["-s", "-m", "20", "-u", "eve:curly", &format!("ftp://127.0.0.1:{port}/")]);
        canary.login("ftp", "eve", "curly");
    }
    if installed("wget") {
        let user = ["--ftp-user=wanda", "--ftp-password=w get", "-t", "1", "-O", "/dev/null", "-q"];
        client("wget", &[&user[..], &[&format!("ftp://127.0.0.1:{port}/x")]].concat());
        canary.login("ftp", "wanda", "w get");
    }
}

#[test]
fn lftp_asks_for_tls_and_its_password_arrives_through_it() {
    if !installed("lftp") {
        return;
    }
    let (canary, port) = canary("ftp", "auth_tls = true\nlogin_delay = \"0s\"");
    let script = "set net:max-retries 1; set ssl:verify-certificate no; set ftp:ssl-force yes; ls";
    client(
        "lftp",
        &["-u", "bob,wrapped", "-e", &format!("{script}; exit"), &format!("ftp://127.0.0.1:{port}")],
    );
    let login = canary.login("ftp", "bob", "wrapped");
    assert!(login["tls"]["ja3"].is_string(), "{login}");
}

#[test]
fn passwords_of_any_bytes_come_through_ftp() {
    let (canary, port) = canary("ftp", "login_delay = \"0s\"");
    let long = "x".repeat(1000);
    for sent in [ODD, b"nul\0inside", long.as_bytes()] {
        let mut talk = connect(port);
        talk.write_all(&[b"USER odd\r\nPASS ", sent, b"\r\n"].concat()).unwrap();
        let mut replies = BufReader::new(talk.try_clone().unwrap()).lines();
        let told = replies.by_ref().map(Result::unwrap).find(|line| line.starts_with("530"));
        assert!(told.is_some());
    }
    canary.odd_login("ftp", "odd");
    canary.login("ftp", "odd", "nul\0inside");
    canary.login("ftp", "odd", &long);
}

/// Types lines, each once the prompt that goes before it is there.
fn types(mut command: Command, dialogue: &[(&str, &str)]) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut byte) = (Vec::new(), [0]);
    for (prompt, line) in dialogue {
        while !String::from_utf8_lossy(&shown).contains(prompt) {
            assert_eq!(
                from.read(&mut byte).unwrap(),
                1,
                "no {prompt}: {:?}",
                String::from_utf8_lossy(&shown)
            );
            shown.push(byte[0]);
        }
        shown.clear();
        to.write_all(line.as_bytes()).unwrap();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_telnet_clients_type_name_and_password() {
    for settings in ["", "persona = \"cisco\"", "persona = \"busybox\""] {
        let (canary, port) = canary("telnet", &format!("login_delay = \"0s\"\n{settings}"));
        let name = if settings.contains("cisco") { "Username: " } else { "login: " };
        let clients = [
            ("telnet", vec!["127.0.0.1"], "\n"),
            ("busybox", vec!["telnet", "127.0.0.1"], "\n"),
            ("plink", vec!["-telnet", "-batch", "127.0.0.1", "-P"], "\n"),
        ];
        for (program, arguments, end) in clients {
            if !installed(program) {
                continue;
            }
            let mut command = Command::new("timeout");
            command.args(["60", program]).args(arguments).arg(port.to_string());
            let dialogue = [
                (name, format!("root{end}")),
                ("Password: ", format!("{program} 1{end}")),
                (name, String::new()),
            ];
            let dialogue: Vec<(&str, &str)> =
                dialogue.iter().map(|(prompt, line)| (*prompt, line.as_str())).collect();
            types(command, &dialogue);
            canary.login("telnet", "root", &format!("{program} 1"));
        }
    }
}

#[test]
fn passwords_of_any_bytes_come_through_telnet() {
    let (canary, port) = canary("telnet", "persona = \"busybox\"\nlogin_delay = \"0s\"");
    let long = "x".repeat(1000);
    for (count, sent) in [ODD, b"nul\0inside", long.as_bytes()].into_iter().enumerate() {
        let mut talk = connect(port);
        talk.write_all(&[b"odd\r\n", sent, b"\r\n"].concat()).unwrap();
        canary.events(count + 1, "logins", |event| event["kind"] == "telnet.login");
    }
    canary.odd_login("telnet", "odd");
    canary.login("telnet", "odd", "nul\0inside");
    canary.login("telnet", "odd", &long);
}

#[test]
fn netcat_on_a_port_of_ones_own_making() {
    if !installed("nc") {
        return;
    }
    let settings = "initbanner = \"220 ready\\\\r\\\\n\"\ndatareceivedbanner = \"500 what?\\\\r\\\\n\"\ntransport = \"both\"";
    let (canary, port) = canary("tcpbanner", settings);
    let line = format!("echo hello | nc -q 1 -w 5 127.0.0.1 {port}");
    let said = client("sh", &["-c", &line]);
    assert_eq!(said, "220 ready\r\n500 what?\r\n");
    let data = canary.event("data", |event| event["fields"]["received"] == "hello\n");
    assert_eq!(data["transport"], "tcp");
    client("sh", &["-c", &format!("echo datagram | nc -u -w 1 127.0.0.1 {port}")]);
    let data = canary.event("datagram", |event| event["fields"]["received"] == "datagram\n");
    assert_eq!(data["transport"], "udp");
}

#[test]
fn a_port_of_ones_own_making_speaks_tls() {
    if !installed("openssl") {
        return;
    }
    let settings = "tls = true\ninitbanner = \"* OK ready\\r\\n\"";
    let (canary, port) = canary("tcpbanner", settings);
    let line = format!(
        "(echo a login; sleep 1) | openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:{port} 2>/dev/null"
    );
    let said = client("sh", &["-c", &line]);
    assert_eq!(said, "* OK ready\r\n");
    let data = canary.event("data", |event| event["fields"]["received"] == "a login\n");
    assert!(data["tls"]["ja4"].is_string(), "{data}");
}
