//! Scanners on a cable: nmap against the packet socket, in network namespaces of their own.
//!
//! Each scan has a source of its own, an address of the other machine, so that one canary sees them all.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::{
    fixture::{Canary, folder, free_port, until},
    network::Cable,
};

/// The ports that are scanned: none of them is served.
const PORTS: &str = "1-100";

/// A cable with so many more addresses on the other machine: 192.0.2.100 and fe80::100 and on. `None` where there is
/// no cable, or no nmap; says so.
fn cable(test: &str, sources: usize) -> Option<Cable> {
    if Command::new("nmap").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("SKIPPED: nmap is not installed");
        return None;
    }
    let cable = Cable::lay(test)?;
    for number in 100..100 + sources {
        for address in [format!("192.0.2.{number}/24"), format!("fe80::{number}/64")] {
            let mut add = cable.far("ip", &["addr", "add", &address, "dev", "far0"]);
            assert!(add.status().unwrap().success());
        }
    }
    Some(cable)
}

/// A canary on the cable, as an ordinary user.
fn canary(cable: &Cable, configuration: &str) -> Canary {
    let place = folder();
    let mut command = Canary::command(&place, configuration);
    command.args(["--uid", "12345"]);
    Canary::spawn(place, cable.near(&command))
}

fn nmap(cable: &Cable, source: &str, arguments: &str) -> Output {
    let mut all = vec!["-n", "-e", "far0", "-S", source];
    all.extend(arguments.split(' '));
    let output = cable.far("nmap", &all).output().unwrap();
    assert!(output.status.success(), "nmap {all:?}: {output:?}");
    output
}

fn is(event: &Value, kind: &str, source: &str) -> bool {
    event["kind"] == kind && event["source"]["ip"] == source
}

fn techniques(scan: &Value) -> Vec<&str> {
    scan["fields"]["techniques"].as_array().unwrap().iter().filter_map(Value::as_str).collect()
}

#[test]
fn each_scan_of_nmap_is_one_scan_with_its_technique_and_its_ports() {
    let scans = [
        ("-Pn -sS", "syn", "portscan.syn"),
        ("-Pn -sN", "null", "portscan.null"),
        ("-Pn -sF", "fin", "portscan.fin"),
        ("-Pn -sX", "xmas", "portscan.xmas"),
        ("-Pn -sA", "ack", "portscan.probe"),
        ("-Pn -sW", "ack", "portscan.probe"),
        ("-Pn -sM", "maimon", "portscan.probe"),
        ("-Pn -sS -f", "fragments", "portscan.probe"),
        ("-Pn -sU --max-retries 0 --min-rate 200", "udp", "portscan.probe"),
    ];
    let Some(cable) = cable("scans", scans.len() * 2) else { return };
    let canary = canary(&cable, "[service.portscan]\n");
    let mut number = 100;
    for (arguments, technique, kind) in scans {
        for (family, target) in [("", "192.0.2.1"), ("-6 ", "fe80::1")] {
            // nmap does not fragment IPv6.
            if technique == "fragments" && !family.is_empty() {
                continue;
            }
            let source =
                if family.is_empty() { format!("192.0.2.{number}") } else { format!("fe80::{number}") };
            number += 1;
            nmap(&cable, &source, &format!("{family}{arguments} -p {PORTS} {target}"));
            let scan = canary
                .event(&format!("scan {arguments} of {source}"), |event| is(event, "portscan.scan", &source));
            let ports = if technique == "udp" { "udp" } else { "tcp" };
            assert_eq!(scan["fields"][ports], PORTS, "{arguments} {target}");
            assert_eq!((techniques(&scan), &scan["fields"]["targets"]), (vec![technique], &100.into()));
            assert_eq!((&scan["severity"], &scan["class"]), (&"high".into(), &"scan".into()));
            let singles = canary.so_far(|event| is(event, kind, &source));
            assert!((5..=20).contains(&singles.len()), "{arguments}: {} of {kind}", singles.len());
            assert!(singles.iter().all(|event| event["incident"] == scan["incident"]), "one incident");
            assert_eq!(canary.so_far(|event| is(event, "portscan.scan", &source)).len(), 1);
        }
    }
    // None of this needs a privilege.
    let status = std::fs::read_to_string(format!("/proc/{}/status", canary.pid())).unwrap();
    assert!(status.contains("CapEff:\t0000000000000000") && status.contains("Uid:\t12345"), "{status}");
}

#[test]
fn single_packets_have_the_peer_s_kinds_and_the_fields_of_the_header() {
    let Some(cable) = cable("fields", 1) else { return };
    let peer_s = "[sink.file]\npath = \"{folder}/peer.log\"\nformat = \"compatible\"\n";
    let canary = canary(&cable, &format!("[service.portscan]\n{peer_s}"));
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 22 -g 4711 --ttl 99 192.0.2.1");
    let syn = canary.event("a SYN", |event| is(event, "portscan.syn", "192.0.2.100"));
    assert_eq!(
        (&syn["logtype"], &syn["source"]["port"], &syn["destination"]["port"]),
        (&5001.into(), &4711.into(), &22.into())
    );
    let fields = &syn["fields"];
    let expected = [
        ("in", "near0"),
        ("out", ""),
        ("len", "44"),
        ("tos", "0x00"),
        ("prec", "0x00"),
        ("ttl", "99"),
        ("proto", "TCP"),
        ("window", "1024"),
        ("res", "0x00"),
        ("syn", ""),
        ("urgp", "0"),
    ];
    expected.iter().for_each(|(name, value)| assert_eq!(fields[name], *value, "{name}"));
    let mac = fields["mac"].as_str().unwrap();
    assert!(mac.ends_with(&format!(":{}:08:00", crate::network::MAC)) && mac.len() == 41, "{mac}");
    assert_eq!(fields.as_object().unwrap().len(), expected.len() + 2, "those, id and mac: {fields}");
    let log = canary.folder.path().join("peer.log");
    let line =
        || std::fs::read_to_string(&log).ok()?.lines().find(|line| line.contains("5001")).map(str::to_owned);
    until("the peer's line", || line().is_some());
    let line: Value = serde_json::from_str(&line().unwrap()).unwrap();
    assert_eq!((&line["dst_port"], &line["src_port"]), (&"22".into(), &"4711".into()), "as text");
    let upper = fields.as_object().unwrap().iter().map(|(name, value)| (name.to_uppercase(), value.clone()));
    assert_eq!(line["logdata"], Value::Object(upper.collect()));
}

#[test]
fn the_sweeps_of_nmap_and_its_os_detection_are_recognised() {
    let Some(cable) = cable("sweeps", 3) else { return };
    // OS detection wants an open port.
    let open = "[service.redis]\naddress = [\"192.0.2.1\"]\nport = 6379\n";
    let canary = canary(&cable, &format!("[service.portscan]\n{open}"));
    nmap(&cable, "192.0.2.100", "-sn --send-ip --disable-arp-ping 192.0.2.1");
    let sweep = canary.event("a sweep", |event| is(event, "portscan.scan", "192.0.2.100"));
    assert_eq!(techniques(&sweep), ["syn", "ack", "echo", "timestamp"]);
    assert_eq!(sweep["fields"]["os_detection"], false);
    nmap(&cable, "192.0.2.101", "-Pn -O --max-os-tries 1 -p 1,6379 192.0.2.1");
    let scan = canary.event("OS detection", |event| is(event, "portscan.scan", "192.0.2.101"));
    assert_eq!(scan["fields"]["os_detection"], true);
    let probes = canary.so_far(|event| is(event, "portscan.os", "192.0.2.101"));
    let protocols: Vec<_> = probes.iter().map(|event| event["fields"]["proto"].as_str().unwrap()).collect();
    assert!(["TCP", "UDP", "ICMP"].iter().any(|protocol| protocols.contains(protocol)), "{protocols:?}");
    assert!(probes.len() >= 5 && probes.iter().all(|event| event["logtype"] == 5002));
    nmap(&cable, "fe80::102", "-6 -Pn -O --max-os-tries 1 -p 1,6379 fe80::1");
    let scan = canary.event("OS detection over IPv6", |event| is(event, "portscan.scan", "fe80::102"));
    assert_eq!(scan["fields"]["os_detection"], true);
}

#[test]
fn a_scan_of_every_port_costs_few_messages_and_little_memory() {
    let Some(cable) = cable("every", 1) else { return };
    let canary = canary(&cable, "[service.portscan]\n");
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 1-65535 --max-rate 8000 192.0.2.1");
    let whole = |event: &Value| {
        ["portscan.scan", "portscan.scan_goes_on"].iter().any(|kind| is(event, kind, "192.0.2.100"))
            && event["fields"]["tcp"] == "1-65535"
    };
    canary.event("all ports in one list", whole);
    let memory = canary.memory();
    println!("{memory} KiB after a scan of every port");
    assert!(memory < 32 * 1024, "{memory} KiB");
    assert_eq!(canary.so_far(|event| event["kind"] == "portscan.scan").len(), 1);
    let singles = canary.so_far(|event| event["kind"] == "portscan.syn");
    // A burst of five and five a second; nmap needs eight seconds and more where the machine is busy.
    assert!((40..=5 + 5 * 60).contains(&singles.len()), "{}", singles.len());
    let loud = ["high", "critical"].map(Value::from);
    assert_eq!(canary.so_far(|event| loud.contains(&event["severity"])).len(), 1, "people hear of it once");
}

#[test]
fn a_busy_client_is_no_scan_and_does_not_hide_a_slow_one() {
    let Some(cable) = cable("busy", 1) else { return };
    let canary = canary(
        &cable,
        "[service.portscan]\n[service.redis]\naddress = [\"192.0.2.1\"]\nport = 6379\n[limits]\nper_source = 100\n",
    );
    let busy = "import socket\nfor i in range(3000):\n  s = socket.create_connection(('192.0.2.1', 6379)); s.close()\n";
    let mut client = cable.far("python3", &["-c", busy]).stderr(Stdio::null()).spawn().unwrap();
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 1-6 --max-retries 0 --scan-delay 500ms 192.0.2.1");
    assert!(client.wait().unwrap().success(), "all connections were made");
    let scan = canary.event("the slow one", |event| event["kind"] == "portscan.scan");
    assert_eq!(
        (&scan["source"]["ip"], &scan["fields"]["techniques"][0]),
        (&"192.0.2.100".into(), &"syn".into())
    );
    let singles = |source: &str| canary.so_far(|event| is(event, "portscan.syn", source)).len();
    assert_eq!(singles("192.0.2.100"), 6, "none of the other's rate is taken from it");
    assert!(singles("192.0.2.66") >= 5);
    assert_eq!(canary.so_far(|event| is(event, "portscan.scan", "192.0.2.66")), [] as [Value; 0]);
}

/// Sends SYNs from as many addresses as it can, five ports each.
const FLOOD: &str = r"
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for n in range(int(sys.argv[1])):
    source = struct.pack('>I', 0x0a000000 + n)
    for port in (80, 81, 82, 83, 84):
        ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 40, 1, 0, 64, 6, 0, source, socket.inet_aton('192.0.2.1'))
        s.sendto(ip + struct.pack('>HHIIBBHHH', 4711, port, 1, 0, 0x50, 2, 1024, 0, 0), ('192.0.2.1', 0))
";

#[test]
fn forged_sources_neither_exhaust_nor_bury() {
    let Some(cable) = cable("forged", 1) else { return };
    let canary = canary(&cable, "[service.portscan]\n");
    let mut flood = cable.far("python3", &["-c", FLOOD, "40000"]).spawn().unwrap();
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 1-300 --max-retries 0 --max-rate 100 192.0.2.1");
    assert!(flood.wait().unwrap().success());
    let scan = canary.event("the real one", |event| is(event, "portscan.scan", "192.0.2.100"));
    assert!(scan["fields"]["targets"].as_u64().unwrap() >= 5);
    canary.event("the flood", |event| event["kind"] == "portscan.flood");
    let memory = canary.memory();
    println!("{memory} KiB after 40,000 forged sources");
    assert!(memory < 32 * 1024, "{memory} KiB");
    let told = canary.so_far(|event| event["service"] == "portscan").len();
    assert!(told < 1_000 + 100 * 60 + 2 * (100 + 60), "{told}");
}

#[test]
fn without_the_right_to_see_packets_it_says_what_is_missing_and_with_that_alone_it_sees() {
    let Some(cable) = cable("right", 1) else { return };
    if Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
        return println!("SKIPPED: setpriv is not installed");
    }
    let run = |capabilities: &[&str]| {
        let place = folder();
        let command = Canary::command(
            &place,
            &format!("[service.redis]\nport = {}\n[service.portscan]\n", free_port()),
        );
        let mut user = Command::new("setpriv");
        user.args(["--reuid", "12345", "--clear-groups"]).args(capabilities);
        user.arg(command.get_program()).args(command.get_args());
        Canary::spawn(place, cable.near(&user))
    };
    let blind = run(&[]);
    let said = blind.complaint("CAP_NET_RAW");
    assert!(said.contains("--cap-add=NET_RAW") && said.contains("AmbientCapabilities"), "{said}");
    drop(blind);
    let sees = run(&["--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"]);
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 1-100 192.0.2.1");
    sees.event("a scan", |event| is(event, "portscan.scan", "192.0.2.100"));
}

#[test]
fn loopback_is_seen_once_at_its_own_rate_or_not_at_all() {
    let Some(cable) = cable("loopback", 0) else { return };
    let touch = "import socket\nfor port in (1, 2, 3):\n  socket.socket().connect_ex(('127.0.0.1', port))\n";
    let on_canary = |canary: &Canary| {
        let mut client = Command::new("nsenter");
        client.args(["-t", &canary.pid().to_string(), "-n", "python3", "-c", touch]);
        assert!(client.status().unwrap().success());
    };
    let told = canary(&cable, "[service.portscan]\n");
    on_canary(&told);
    told.events(3, "connection attempts", |event| is(event, "portscan.syn", "127.0.0.1"));
    let silent = canary(&cable, "[service.portscan]\nignore_localhost = true\nignore_ports = [22]\n");
    on_canary(&silent);
    on_canary(&told);
    told.events(5, "connection attempts", |event| is(event, "portscan.syn", "127.0.0.1"));
    assert_eq!(
        told.so_far(|event| event["kind"] == "portscan.syn").len(),
        5,
        "each once, and no more than lorate"
    );
    nmap(&cable, "192.0.2.66", "-Pn -sS -p 22,23 192.0.2.1");
    silent.event("another port", |event| event["destination"]["port"] == 23);
    assert_eq!(silent.so_far(|event| event["kind"] == "portscan.syn").len(), 1);
}

#[test]
fn the_log_of_a_firewall_is_read_beside_packets_and_tells_nothing_twice() {
    let Some(cable) = cable("log", 1) else { return };
    let place = folder();
    let log = place.path().join("kern.log");
    std::fs::write(&log, "").unwrap();
    let mut command = Canary::command(&place, "[service.portscan]\nlogfile = \"{folder}/kern.log\"\n");
    command.args(["--uid", "12345"]);
    let canary = Canary::spawn(place, cable.near(&command));
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 22 -g 4711 192.0.2.1");
    canary.event("a SYN", |event| is(event, "portscan.syn", "192.0.2.100"));
    let line = |port: u16| {
        format!("canaryfw: IN=near0 OUT= SRC=192.0.2.100 DST=192.0.2.1 PROTO=TCP SPT=4711 DPT={port} SYN")
    };
    let text = format!("{}\ncanaryfw: SRC=\ncanaryfw: IN\n{}\n", line(22), line(23));
    std::fs::write(&log, text).unwrap();
    canary.event("what only the log has", |event| event["destination"]["port"] == 23);
    assert_eq!(canary.so_far(|event| is(event, "portscan.syn", "192.0.2.100")).len(), 2);
}

#[test]
fn a_reload_keeps_the_sockets_without_privileges() {
    let Some(cable) = cable("reload", 1) else { return };
    let canary = canary(&cable, "[service.portscan]\n");
    Canary::write_configuration(&canary.folder, "[service.portscan]\nignore_ports = [22]\n");
    canary.signal("HUP");
    canary.event("a reload", |event| event["kind"].as_str().is_some_and(|kind| kind.contains("reload")));
    nmap(&cable, "192.0.2.100", "-Pn -sS -p 22,23 192.0.2.1");
    canary.event("another port", |event| event["destination"]["port"] == 23);
    assert_eq!(canary.so_far(|event| event["kind"] == "portscan.syn").len(), 1);
}
