//! OpenCanary's own configuration file and the log lines that its users' dashboards read.
//!
//! `data/peer-events.jsonl` holds lines that OpenCanary 0.9.9 wrote for known clients. The same clients, at
//! `opencanaryd --dev` with the same settings, leave the same lines, byte for byte but for times, ports, nonces and
//! the version of this machine's ssh.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::UdpSocket,
    path::Path,
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{Canary, client, connect, file, folder, free_port, installed, text, until};

const PEER: &str = include_str!("data/peer-events.jsonl");

/// Where the services listen here.
struct Ports(BTreeMap<&'static str, u16>);

impl Ports {
    fn free() -> Self {
        let wanted = |name: &str| include_str!("data/opencanary.conf").contains(&format!("@{name}@"));
        let listening = haldane_services::ALL.iter().filter(|entry| wanted(entry.name));
        Self(listening.map(|entry| (entry.name, free_port())).collect())
    }

    fn of(&self, service: &str) -> u16 {
        self.0[service]
    }

    /// The configuration with these ports and that folder.
    fn configuration(&self, folder: &Path) -> Value {
        let mut written = include_str!("data/opencanary.conf").replace("@folder@", folder.to_str().unwrap());
        for (service, port) in &self.0 {
            written = written.replace(&format!("@{service}@"), &port.to_string());
        }
        serde_json::from_str(&written).unwrap()
    }
}

/// `opencanaryd --dev` in a folder whose `opencanary.conf` is that.
fn opencanaryd(folder: Arc<TempDir>, configuration: &Value) -> Canary {
    fs::write(folder.path().join("opencanary.conf"), configuration.to_string()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_opencanaryd"));
    command.args(["--dev"]).current_dir(folder.path()).env_clear().env("HOME", folder.path());
    command.env("HALDANE_PEER_FOLDER", folder.path()).env("HALDANE_STATE_DIR", folder.path().join("state"));
    let canary = Canary::spawn_unready(folder, command);
    canary.event("running", |event| event["logdata"]["msg"]["logdata"] == "Canary running!!!");
    canary
}

/// Waits for a line of the log file.
fn line(canary: &Canary, what: &str, fits: impl Fn(&str) -> bool) -> String {
    let log = file(canary, "opencanary.log");
    let found = || text(&log).lines().find(|line| fits(line)).map(str::to_owned);
    until(what, || found().is_some());
    found().unwrap()
}

/// Replaces what may differ: times, ports, and by kind nonces, the version of a client, and what the peer gets wrong.
fn masked(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap();
    let mut masked = line.to_owned();
    let mut swap = |written: &str, shown: &str| {
        assert!(masked.contains(written), "{line}: no {written}");
        masked = masked.replace(written, shown);
    };
    let mut mask = |key: &str, value: &Value| {
        swap(&format!("\"{key}\": {}", spaced(value)), &format!("\"{key}\": #"));
    };
    for key in ["local_time", "local_time_adjusted", "utc_time", "dst_port", "src_port"] {
        mask(key, &event[key]);
    }
    if event["logtype"] == 8001 {
        let scramble = event["logdata"]["PASSWORD"].as_str().unwrap();
        assert!(scramble.len() == 40 && scramble.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
        mask("PASSWORD", &event["logdata"]["PASSWORD"]);
    }
    let hex = |value: &Value, digits: usize| {
        let text = value.as_str().unwrap();
        assert!(text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
    };
    let logdata = &event["logdata"];
    let (mut headed, mut found) = (String::new(), "");
    match event["logtype"].as_u64().unwrap() {
        // It loses the password, and the client names the machine that it runs on.
        9001 => {
            mask("HostName", &logdata["HostName"]);
            found = "\"Password\": \"secret\", ";
        }
        // It never decodes them.
        7001 => ["PASSWORD", "USERNAME"].iter().for_each(|key| mask(key, &logdata[key])),
        12001 => {
            for key in ["VNC Client Response", "VNC Server Challenge"] {
                hex(&logdata[key], 32);
                mask(key, &logdata[key]);
            }
        }
        // Ports, and names made by the client.
        15001 => {
            let headers = logdata["HEADERS"].as_object().unwrap();
            assert!(headers.values().all(|values| values[0].is_string()), "{line}");
            let names: Vec<&String> = headers.keys().collect();
            headed = format!("{names:?}");
            mask("HEADERS", &logdata["HEADERS"]);
        }
        // It takes what follows for a part of the name.
        16001 => {
            let host = logdata["HOST"].as_str().unwrap();
            assert!(host.starts_with("127.0.0.1"), "{line}");
            mask("HOST", &logdata["HOST"]);
        }
        _ => {}
    }
    let version = &event["logdata"]["REMOTEVERSION"];
    if let Some(text) = version.as_str() {
        assert!(text.starts_with("SSH-2.0-OpenSSH_"), "{line}");
        mask("REMOTEVERSION", version);
    }
    masked.replace(found, "") + &headed
}

/// As Python writes it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{}: {}", json!(key), spaced(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// Drives the clients of those services that came later.
fn visit_others(ports: &Ports) {
    client("git", &["ls-remote", &format!("git://127.0.0.1:{}/payroll.git", ports.of("git"))]);
    let proxy = format!("http://127.0.0.1:{}", ports.of("httpproxy"));
    client(
        "curl",
        &["-s", "-m", "20", "-o", "/dev/null", "-x", &proxy, "-U", "bob:hunter2", "http://example.invalid/"],
    );
    drop(connect(ports.of("mongodb")));
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(b"\x17\0\x03\x2a\0\0\0\0", ("127.0.0.1", ports.of("ntp"))).unwrap();
    client("sipsak", &["-s", &format!("sip:test@127.0.0.1:{}", ports.of("sip"))]);
    let agent = format!("127.0.0.1:{}", ports.of("snmp"));
    let name = "1.3.6.1.2.1.1.5.0";
    client("snmpget", &["-m", "", "-v2c", "-c", "private", "-t", "1", "-r", "0", &agent, name]);
    let port = ports.of("tftp").to_string();
    client("tftp", &["127.0.0.1", &port, "-c", "get", "startup-config", "/dev/null"]);
    client("tsql", &["-H", "127.0.0.1", "-p", &ports.of("mssql").to_string(), "-U", "sa", "-P", "secret"]);
    let mut rdp = connect(ports.of("rdp"));
    rdp.write_all(b"\x03\0\0\x2d\x28\xe0\0\0\0\0\0Cookie: mstshash=rdpuser\r\n\x01\0\x08\0\0\0\0\0").unwrap();
    rdp.read_exact(&mut [0; 19]).unwrap();
    let mut vnc = connect(ports.of("vnc"));
    let mut answer = [0; 30];
    vnc.read_exact(&mut answer[..12]).unwrap();
    vnc.write_all(b"RFB 003.008\n").unwrap();
    vnc.read_exact(&mut answer[..2]).unwrap();
    vnc.write_all(&[2]).unwrap();
    vnc.read_exact(&mut answer[..16]).unwrap();
    vnc.write_all(b"no word of a list").unwrap();
    vnc.read_exact(&mut answer[..4]).unwrap();
}

/// Drives the clients whose lines the peer's log holds.
fn visit(canary: &Canary, ports: &Ports) {
    let mut ftp = connect(ports.of("ftp"));
    ftp.write_all(b"USER bob\r\nPASS hunter2\r\nQUIT\r\n").unwrap();
    ftp.read_to_end(&mut Vec::new()).unwrap();
    let curl = |arguments: &[&str]| {
        client("curl", &[&["-s", "-k", "-m", "20", "-o", "/dev/null"], arguments].concat())
    };
    let http = format!("http://127.0.0.1:{}/index.html", ports.of("http"));
    let https = format!("https://127.0.0.1:{}/index.html", ports.of("https"));
    curl(&["-A", "probe/1", &http]);
    curl(&["-A", "probe/2", &https]);
    curl(&["-A", "curl/7.88.1", "-d", "username=eve&password=apple+pie", &http]);
    curl(&["-A", "curl/7.88.1", "-d", "username=eve&password=tls", &https]);
    let (port, none) = (ports.of("ssh").to_string(), "/dev/null");
    let old = "+diffie-hellman-group14-sha1";
    client(
        "sshpass",
        &[
            "-p",
            "hunter2",
            "ssh",
            "-F",
            "none",
            "-p",
            &port,
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            &format!("UserKnownHostsFile={none}"),
            "-o",
            "NumberOfPasswordPrompts=1",
            "-o",
            "PreferredAuthentications=password",
            "-o",
            &format!("KexAlgorithms={old}"),
            "-o",
            "HostKeyAlgorithms=+ssh-rsa",
            "root@127.0.0.1",
        ],
    );
    let port = ports.of("mysql").to_string();
    client("mysql", &["--no-defaults", "-h127.0.0.1", "-P", &port, "-uroot", "-psecret"]);
    client("redis-cli", &["-p", &ports.of("redis").to_string(), "auth", "redispw"]);
    let mut banner = connect(ports.of("tcpbanner"));
    let mut greeting = String::new();
    BufReader::new(banner.try_clone().unwrap()).read_line(&mut greeting).unwrap();
    assert_eq!(greeting, "hello\r\n");
    banner.write_all(b"hello ALERT").unwrap();
    line(canary, "the last line", |line| line.contains("\"logtype\": 18005"));
}

#[test]
fn the_same_clients_leave_the_same_lines_as_at_opencanary() {
    let clients =
        ["curl", "sshpass", "ssh", "mysql", "redis-cli", "git", "sipsak", "snmpget", "tftp", "tsql"];
    if !clients.into_iter().all(installed) {
        return;
    }
    let (folder, ports) = (folder(), Ports::free());
    let configuration = ports.configuration(folder.path());
    let canary = opencanaryd(folder, &configuration);
    visit(&canary, &ports);
    visit_others(&ports);
    for theirs in PEER.lines() {
        let wanted = masked(theirs);
        let event: Value = serde_json::from_str(theirs).unwrap();
        let logtype = format!("\"logtype\": {},", event["logtype"]);
        let log = || text(file(&canary, "opencanary.log"));
        until(&format!("a line of logtype {logtype}"), || log().contains(&logtype));
        let (ours, log) = (|line: &&str| line.contains(&logtype), log());
        let all: Vec<String> = log.lines().filter(ours).map(masked).collect();
        assert!(all.contains(&wanted), "theirs: {wanted}\nours: {all:#?}");
    }
}

#[test]
fn the_log_begins_as_that_of_opencanary_does() {
    let (folder, ports) = (folder(), Ports::free());
    let configuration = ports.configuration(folder.path());
    let canary = opencanaryd(folder, &configuration);
    line(&canary, "the last of the start", |line| line.contains("Canary running!!!"));
    let log = text(file(&canary, "opencanary.log"));
    let started: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|event: &Value| event["logtype"] == 1001)
        .collect();
    let services = ports.0.len().saturating_add(1);
    assert_eq!(started.len(), services.saturating_add(1), "each service, Samba's log and the end: {log}");
    for event in &started {
        assert!(event["logdata"]["msg"]["logdata"].is_string(), "{event}");
        assert_eq!((&event["src_host"], &event["src_port"]), (&json!(""), &json!(-1)));
        assert_eq!((&event["dst_host"], &event["dst_port"]), (&json!(""), &json!(-1)));
    }
    assert!(started[services]["logdata"]["msg"]["logdata"] == "Canary running!!!");
}

/// Bytes that are not UTF-8 stand there as Python's `surrogateescape` has them.
#[test]
fn every_line_is_as_python_writes_json() {
    let (folder, ports) = (folder(), Ports::free());
    let configuration = ports.configuration(folder.path());
    let canary = opencanaryd(folder, &configuration);
    let mut ftp = connect(ports.of("ftp"));
    ftp.write_all("USER zo\u{eb}\r\nPASS \u{1f426}\"\\\x7f\t\r\nUSER odd\r\n".as_bytes()).unwrap();
    ftp.write_all(b"PASS na\xefve\r\nQUIT\r\n").unwrap();
    ftp.read_to_end(&mut Vec::new()).unwrap();
    let escaped = r#"{"PASSWORD": "\ud83d\udc26\"\\\u007f\t", "USERNAME": "zo\u00eb"}"#;
    line(&canary, "the escaped line", |line| line.contains(escaped));
    line(&canary, "the bytes", |line| line.contains(r#"{"PASSWORD": "na\udcefve", "USERNAME": "odd"}"#));
    for line in text(file(&canary, "opencanary.log")).lines() {
        assert!(line.is_ascii(), "{line}");
        let at = |key: &str| line.find(&format!("\"{key}\": ")).unwrap();
        let keys =
            ["dst_host", "dst_port", "local_time", "local_time_adjusted", "logdata", "logtype", "node_id"];
        assert!(keys.map(at).is_sorted() && at("node_id") < at("src_host"), "{line}");
        assert!(at("src_host") < at("src_port") && at("src_port") < at("utc_time"), "{line}");
    }
}

#[test]
fn bait_is_marked_on_every_service() {
    if !["curl", "sshpass", "ssh", "mysql", "redis-cli"].into_iter().all(installed) {
        return;
    }
    let (folder, ports) = (folder(), Ports::free());
    let mut configuration = ports.configuration(folder.path());
    let bait = json!([{"username": "admin", "password": "other"}, {"password": "hunter2"}]);
    for service in ["ftp", "http", "https", "ssh", "redis", "telnet", "mysql"] {
        configuration[format!("{service}.honeycreds")] = bait.clone();
    }
    configuration["mysql.banner"] = json!("5.7.44");
    configuration["ssh.version"] = json!("SSH-2.0-OpenSSH_9.2p1 Debian-2");
    let canary = opencanaryd(folder, &configuration);
    for password in ["hunter2", "nothing"] {
        let mut ftp = connect(ports.of("ftp"));
        ftp.write_all(format!("USER bob\r\nPASS {password}\r\nQUIT\r\n").as_bytes()).unwrap();
        ftp.read_to_end(&mut Vec::new()).unwrap();
        let form = format!("username=bob&password={password}");
        for site in [
            format!("http://127.0.0.1:{}", ports.of("http")),
            format!("https://127.0.0.1:{}", ports.of("https")),
        ] {
            client("curl", &["-s", "-k", "-m", "20", "-d", &form, &format!("{site}/index.html")]);
        }
        client(
            "sshpass",
            &[
                "-p",
                password,
                "ssh",
                "-F",
                "none",
                "-p",
                &ports.of("ssh").to_string(),
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "NumberOfPasswordPrompts=1",
                "-o",
                "PreferredAuthentications=password",
                "bob@127.0.0.1",
            ],
        );
        client("redis-cli", &["-p", &ports.of("redis").to_string(), "auth", "bob", password]);
        let (port, word) = (ports.of("mysql").to_string(), format!("-p{password}"));
        client("mysql", &["--no-defaults", "-h127.0.0.1", "-P", &port, "-ubob", &word]);
        let mut telnet = connect(ports.of("telnet"));
        // Answers to the questions of the opening, then name and password.
        telnet.write_all(b"\xff\xfc\x18\xff\xfc\x20\xff\xfc\x23\xff\xfc\x27\xff\xfc\x24").unwrap();
        telnet.write_all(format!("bob\r\n{password}\r\n").as_bytes()).unwrap();
        for (port, logtype) in [
            (ports.of("ftp"), 2000),
            (ports.of("http"), 3001),
            (ports.of("https"), 3001),
            (ports.of("ssh"), 4002),
            (ports.of("redis"), 17001),
            (ports.of("mysql"), 8001),
            (ports.of("telnet"), 6001),
        ] {
            let fits = |line: &str| {
                let event: Value = serde_json::from_str(line).unwrap();
                (&event["dst_port"], &event["logtype"]) == (&json!(port), &json!(logtype))
                    && event["honeycred"] == (password == "hunter2")
            };
            line(&canary, &format!("{logtype} with {password}"), fits);
        }
        drop(telnet);
    }
}

/// One service for each notation of a hash, each of which knows no other bait.
#[test]
fn bait_is_recognised_by_every_kind_of_hash() {
    let hashes: Vec<(&str, &str)> = include_str!("data/honeycred-hashes.tsv")
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    let ports: Vec<u16> = hashes.iter().map(|_| free_port()).collect();
    let services: String = hashes
        .iter()
        .zip(&ports)
        .map(|((hash, _), port)| {
            let bait = format!("honeycreds = [{{ password = '{hash}' }}]");
            format!("[[service.ftp]]\nport = {port}\nlogin_delay = \"0s\"\n{bait}\n")
        })
        .collect();
    let canary = Canary::start(&services);
    for ((hash, password), port) in hashes.iter().zip(&ports) {
        for (word, tripped) in [(*password, true), ("another", false)] {
            let mut ftp = connect(*port);
            ftp.write_all(format!("USER eve\r\nPASS {word}\r\nQUIT\r\n").as_bytes()).unwrap();
            ftp.read_to_end(&mut Vec::new()).unwrap();
            let login = canary.event(&format!("{word} for {hash}"), |event| {
                event["destination"]["port"] == *port && event["credential"]["password"] == word
            });
            assert_eq!(login["honeycred"], tripped, "{hash}: {login}");
            assert_eq!(login["severity"], if tripped { "critical" } else { "high" }, "{login}");
        }
    }
}

#[test]
fn what_import_prints_runs_and_catches_the_same() {
    let (folder, ports) = (folder(), Ports::free());
    let configuration = ports.configuration(folder.path());
    fs::write(folder.path().join("opencanary.conf"), configuration.to_string()).unwrap();
    let peer = folder.path().join("opencanary.conf");
    let imported = Command::new(env!("CARGO_BIN_EXE_haldane")).arg("import").arg(&peer).output().unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let native = folder.path().join("imported.toml");
    fs::write(&native, imported.stdout).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_haldane"));
    command.args(["run", "--config"]).arg(native).arg("--state-dir").arg(folder.path().join("state"));
    let canary = Canary::spawn_unready(folder, command);
    line(&canary, "the start", |line| line.contains("Canary running!!!"));
    let mut ftp = connect(ports.of("ftp"));
    ftp.write_all(b"USER bob\r\nPASS hunter2\r\nQUIT\r\n").unwrap();
    ftp.read_to_end(&mut Vec::new()).unwrap();
    let theirs = PEER.lines().find(|line| line.contains("\"logtype\": 2000,")).unwrap();
    let ours = line(&canary, "the login", |line| line.contains("\"logtype\": 2000,"));
    assert_eq!(masked(&ours), masked(theirs));
}
