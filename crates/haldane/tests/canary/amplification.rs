//! What the answers to datagrams cost whoever's address is forged: measured in a capture of loopback, where answers
//! from other ports than that of the service are seen, too.

use std::{
    collections::BTreeMap,
    fs,
    net::UdpSocket,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use haldane_core::Entry;
use haldane_services::{ALL, replay::unescape};

use crate::fixture::{Canary, client, free_port, installed, until};

/// DESIGN: what the answers to one source may exceed its requests by in a minute, for each service.
const BUDGET: usize = 4096;

/// What is known to be asked of such services by those who want them to amplify (US-CERT, alert TA14-017A), and the
/// shortest datagrams that there are.
fn known() -> Vec<Vec<u8>> {
    let mut monlist = vec![0x17, 0, 3, 0x2a];
    monlist.resize(192, 0);
    vec![
        vec![0],
        b"\n".to_vec(),
        vec![0x17, 0, 3, 0x2a, 0, 0, 0, 0],
        monlist,
        vec![0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        vec![0x16, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        // GETBULK of 1.3.6.1.2.1 with 2,250 repetitions.
        b"\x30\x25\x02\x01\x01\x04\x06public\xa5\x18\x02\x01\x01\x02\x01\x00\x02\x02\x08\xca\x30\x0c\x30\x0a\x06\x05\x2b\x06\x01\x02\x01\x05\x00".to_vec(),
        b"OPTIONS sip:a SIP/2.0\r\n\r\n".to_vec(),
        b"REGISTER sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a>\r\nTo: <sip:a>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n\r\n"
            .to_vec(),
        b"\0\x01a\0octet\0".to_vec(),
        b"\0\x01a\0octet\0tsize\x000\0blksize\x0065464\0".to_vec(),
        b"\0\x02a\0octet\0".to_vec(),
    ]
}

/// Each datagram of the transcripts of a service.
fn said(entry: &Entry) -> Vec<Vec<u8>> {
    let talks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/src").join(entry.name).join("talks");
    let files = fs::read_dir(talks).into_iter().flatten().map(|file| file.unwrap().path());
    let texts: Vec<String> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("C: "))
        .map(unescape)
        .collect()
}

/// A capture of UDP over loopback. Stopped when dropped.
struct Capture {
    child: Child,
    file: std::path::PathBuf,
}

impl Capture {
    fn start(folder: &Path) -> Self {
        let file = folder.join("loopback.pcap");
        let child = Command::new("tcpdump")
            .args(["-i", "lo", "-U", "--immediate-mode", "-Z", "root", "-s", "128", "-w"])
            .arg(&file)
            .arg("udp and host 127.0.0.1")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let capture = Self { child, file };
        // It captures once it has seen something.
        let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
        until("the capture", || {
            probe.send_to(b"?", ("127.0.0.1", 9)).ok();
            !capture.datagrams().is_empty()
        });
        capture
    }

    /// Source port, destination port and length of what was carried, of each (libpcap's file format, Ethernet).
    fn datagrams(&self) -> Vec<(u16, u16, usize)> {
        let bytes = fs::read(&self.file).unwrap_or_default();
        let mut found = Vec::new();
        let mut at = 24;
        while at + 16 <= bytes.len() {
            let captured = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
            let Some(frame) = bytes.get(at + 16..at + 16 + captured) else { break };
            at += 16 + captured;
            let header = usize::from(frame[14] & 0x0f) * 4;
            let udp = &frame[14 + header..];
            let word = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
            found.push((word(0), word(2), usize::from(word(4)).saturating_sub(8)));
        }
        found
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether this machine can show it.
fn can_capture() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("SKIPPED: only root may capture");
    }
    root && installed("tcpdump")
}

#[test]
fn no_answer_to_a_datagram_amplifies() {
    if !can_capture() {
        return;
    }
    let services: Vec<&Entry> = ALL.iter().filter(|entry| entry.datagrams).collect();
    let ports: BTreeMap<&str, u16> = services.iter().map(|entry| (entry.name, free_port())).collect();
    let section = |entry: &&Entry| {
        let both = if entry.stream { "transport = \"both\"\n" } else { "" };
        // One that would, if the framework let it.
        let long = if entry.name == "tcpbanner" {
            format!("datareceivedbanner = {:?}\n", "x".repeat(999))
        } else {
            String::new()
        };
        format!("[service.{}]\nport = {}\n{both}{long}", entry.name, ports[entry.name])
    };
    let canary = Canary::start(&services.iter().map(section).collect::<String>());
    let capture = Capture::start(canary.folder.path());
    // By the port of the client: what was sent, and to which service.
    let mut sent: BTreeMap<u16, (&str, Vec<u8>)> = BTreeMap::new();
    let mut sockets = Vec::new();
    for entry in &services {
        for bytes in known().into_iter().chain(said(entry)).filter(|bytes| bytes.len() < 60_000) {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(&bytes, ("127.0.0.1", ports[entry.name])).unwrap();
            sent.insert(socket.local_addr().unwrap().port(), (entry.name, bytes));
            sockets.push(socket);
        }
    }
    for port in sent.keys() {
        canary.event("each of them", |event| event["source"]["port"] == *port && event["transport"] == "udp");
    }
    if installed("nmap") {
        let list = ports.values().map(u16::to_string).collect::<Vec<_>>().join(",");
        client(
            "nmap",
            &[
                "-sU",
                "-sV",
                "-Pn",
                "-n",
                "--max-retries",
                "0",
                "--host-timeout",
                "25s",
                "-p",
                &list,
                "127.0.0.1",
            ],
        );
    }
    // Answers follow what was recorded, and some servers think for a while.
    thread::sleep(Duration::from_millis(700));
    let all = capture.datagrams();
    let by_client = |port: u16| {
        let answered: Vec<usize> =
            all.iter().filter(|(_, to, _)| *to == port).map(|(_, _, length)| *length).collect();
        (answered.iter().sum::<usize>(), answered.len())
    };
    let mut excess: BTreeMap<&str, usize> = BTreeMap::new();
    let mut answers = 0;
    for (port, (service, request)) in &sent {
        let (bytes, count) = by_client(*port);
        answers += count;
        assert!(bytes <= request.len() * 2, "{service}: {} got {bytes} bytes", request.escape_ascii());
        *excess.entry(service).or_default() += bytes.saturating_sub(request.len());
    }
    // Whoever else talked to the services: nmap.
    for (from, to, length) in &all {
        if let Some((service, _)) = ports.iter().find(|(_, port)| *port == to)
            && !sent.contains_key(from)
        {
            let (bytes, _) = by_client(*from);
            let asked: usize =
                all.iter().filter(|(port, ..)| port == from).map(|(_, _, length)| length).sum();
            assert!(bytes <= asked * 2, "{service}: {length} bytes from port {from} got {bytes}");
        }
    }
    println!("{} datagrams, {answers} answers, excess {excess:?}", sent.len());
    assert!(answers > 10, "a decoy that answers nothing shows nothing: {answers}");
    for (service, excess) in excess {
        assert!(excess <= BUDGET, "{service}: {excess} bytes more than were asked");
    }
}
