//! Whatever is sent to whatever service: the canary lives, stays small, and has seen it.
//!
//! Everything here loops over the registry of services, so that a new one is covered without an edit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    net::{Shutdown, TcpStream, UdpSocket},
    path::Path,
    process::{Command, Stdio},
};

use haldane_core::{Entry, TlsUse};
use haldane_services::{ALL, replay::unescape};
use serde_json::Value;

use crate::fixture::{Canary, connect, free_port, installed, until};

/// How much larger the canary may be after all that, in KiB. In a release build, 5,000 idle connections to a fresh
/// canary take 15.5 MiB. Without optimisation, each takes more.
const GROWTH: u64 = if cfg!(debug_assertions) { 24 * 1024 } else { 16 * 1024 };

/// Every service, each on a port of its own.
struct Everything {
    canary: Canary,
    ports: BTreeMap<&'static str, u16>,
}

impl Everything {
    fn start() -> Self {
        let ports: BTreeMap<_, _> = ALL.iter().map(|entry| (entry.name, free_port())).collect();
        let section = |entry: &Entry| {
            let both = if entry.stream && entry.datagrams { "transport = \"both\"\n" } else { "" };
            format!("[service.{}]\nport = {}\n{both}", entry.name, ports[entry.name])
        };
        let listening = ALL.iter().filter(|entry| !entry.watches());
        let canary = Canary::start(&listening.map(section).collect::<String>());
        Self { canary, ports }
    }

    fn streams(&self) -> impl Iterator<Item = (&'static Entry, u16)> + '_ {
        ALL.iter().filter(|entry| entry.stream).map(|entry| (entry, self.ports[entry.name]))
    }

    /// Waits until the connections from all these ports have ended, and checks what was seen of them; `told`: they
    /// said something that must have been seen, too.
    fn account(&self, what: &str, peers: &[Sent], told: bool) {
        // A client's port may come again, with another service.
        let peer = |event: &Value| {
            let port = |end: &str| event[end]["port"].as_u64().unwrap_or_default() as u16;
            (port("destination"), port("source"))
        };
        let peers: BTreeMap<(u16, u16), &Sent> =
            peers.iter().map(|sent| ((self.ports[sent.service], sent.from), sent)).collect();
        until(&format!("{what} ends"), || {
            let closed = self.canary.so_far(|event| event["kind"] == "connection.closed");
            let closed: BTreeSet<_> = closed.iter().map(peer).collect();
            peers.keys().all(|peer| closed.contains(peer))
        });
        let mut kinds: BTreeMap<(u16, u16), Vec<String>> = BTreeMap::new();
        for event in self.canary.so_far(|event| event["transport"] == "tcp") {
            kinds.entry(peer(&event)).or_default().push(event["kind"].as_str().unwrap().to_owned());
        }
        let mut missing = Vec::new();
        for (peer, sent) in peers {
            let kinds: Vec<&str> = kinds[&peer].iter().map(String::as_str).collect();
            let something =
                kinds.iter().any(|kind| !["connection.opened", "connection.closed"].contains(kind));
            if kinds.last() != Some(&"connection.closed") || told && !something {
                missing.push((sent, kinds));
            }
        }
        assert!(missing.is_empty(), "{what}: not seen: {missing:#?}");
    }

    /// Sends each of these to each service, to all services at once.
    fn send(&self, what: &(impl Fn(&'static Entry) -> Vec<Vec<u8>> + Sync)) -> Vec<Sent> {
        std::thread::scope(|scope| {
            let sending = self.streams().map(|(entry, port)| {
                scope.spawn(move || {
                    // Some answer slowly, on purpose: all of it is sent at once.
                    std::thread::scope(|scope| {
                        let one = |bytes: Vec<u8>| scope.spawn(move || send(entry.name, port, &bytes));
                        let sending: Vec<_> = what(entry).into_iter().map(one).collect();
                        sending.into_iter().map(|sent| sent.join().unwrap()).collect::<Vec<_>>()
                    })
                })
            });
            let sending: Vec<_> = sending.collect();
            sending.into_iter().flat_map(|sent| sent.join().unwrap()).collect()
        })
    }

    /// It is alive, has no bug to tell of, and catches what it is for.
    fn check(&self) {
        let bug = |event: &Value| event["kind"] == "connection.closed" && event["fields"]["why"] == "bug";
        assert_eq!(self.canary.so_far(bug), Vec::<Value>::new());
        let complaints = self.canary.complaints();
        let panics = complaints.iter().filter(|line| line.contains("panicked") || line.contains("ERROR"));
        assert_eq!(panics.collect::<Vec<_>>(), Vec::<&String>::new());
        self.streams().for_each(|(entry, port)| self.catch(entry, port));
    }

    /// That service sees a conversation.
    fn catch(&self, entry: &'static Entry, port: u16) {
        match entry.tls {
            TlsUse::Always if installed("openssl") => self.whisper(entry, port),
            TlsUse::Always => {}
            _ => self.talk(entry, port),
        }
    }

    fn talk(&self, entry: &'static Entry, port: u16) {
        self.account("a talk", &[send(entry.name, port, &said(entry))], true);
    }

    /// The same inside TLS.
    fn whisper(&self, entry: &'static Entry, port: u16) {
        let told = |event: &Value| {
            event["service"] == entry.name && event["class"] != "connection" && event["kind"] != "tls.agreed"
        };
        let before = self.canary.so_far(told).len();
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.stdin.as_mut().unwrap().write_all(&said(entry)).unwrap();
        self.canary.events(before + 1, "something told inside TLS", told);
        client.kill().unwrap();
        client.wait().unwrap();
    }
}

/// The client's side of each transcript of that service; one request of HTTP where it has none.
fn talks(entry: &Entry) -> Vec<Vec<u8>> {
    let talks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/src").join(entry.name).join("talks");
    let side = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("C: ")).flat_map(unescape).collect()
    };
    let mut files: Vec<_> =
        fs::read_dir(talks).into_iter().flatten().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut talks: Vec<Vec<u8>> = files.iter().map(|path| side(path)).collect();
    if talks.is_empty() {
        talks.push(b"GET / HTTP/1.0\r\nAuthorization: Basic cm9vdDpodW50ZXIy\r\n\r\n".to_vec());
    }
    talks
}

/// The longest of them.
fn said(entry: &Entry) -> Vec<u8> {
    talks(entry).into_iter().max_by_key(Vec::len).unwrap()
}

/// Bytes that look like nothing, the same each time.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// What services of all kinds might take for the beginning of something large or deep.
fn nonsense() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = vec![
        vec![0; 5_000],
        vec![0xff; 70_000],
        b"*1000000000\r\n$1000000000\r\nx".to_vec(),
        b"*1\r\n".repeat(20_000),
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx".to_vec(),
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx".to_vec(),
        [&b"GET /"[..], &[b'a'; 200_000]].concat(),
        b"SSH-2.0-x\r\n\xff\xff\xff\xff\xff\xff".to_vec(),
        b"\x16\x03\x01\xff\xff\x01\xff\xff\xff".to_vec(),
        b"\x80\x2e\x01\x03\x01".to_vec(),
        b"\xff\xfa\x18".repeat(20_000),
        b"\x01\x00\x00\x01\xff\xff\xff\xff".repeat(100),
    ];
    all.extend((0..8).map(|seed| noise(seed, 1 + 3_000 * seed as usize)));
    all
}

/// What was sent to whom, and from where.
#[derive(Debug)]
struct Sent {
    service: &'static str,
    from: u16,
    #[expect(dead_code, reason = "shown where it was not seen")]
    what: String,
}

/// Sends all of it, or as much as is taken; closes its side; reads until the other side does.
fn send(service: &'static str, port: u16, bytes: &[u8]) -> Sent {
    let mut stream = connect(port);
    let from = stream.local_addr().unwrap().port();
    let mut reader = stream.try_clone().unwrap();
    let reading = std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).ok());
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    reading.join().unwrap();
    let what = format!("{} bytes: {}", bytes.len(), bytes[..bytes.len().min(60)].escape_ascii());
    Sent { service, from, what }
}

#[test]
fn nonsense_halves_and_endless_lines_harm_nothing_and_are_seen() {
    let everything = Everything::start();
    everything.check();
    let before = everything.canary.memory();
    everything.account("nonsense", &everything.send(&|_| nonsense()), true);
    // What says nothing needs only be counted.
    let empty = |_: &Entry| vec![Vec::new(), b"\r\n".repeat(5_000)];
    everything.account("empty lines", &everything.send(&empty), false);
    let halves = |entry: &Entry| {
        let talks = talks(entry).into_iter().filter(|talk| talk.len() > 2);
        talks.flat_map(|talk| [talk.len() / 2, talk.len() - 1].map(|cut| talk[..cut].to_vec())).collect()
    };
    everything.account("half a talk", &everything.send(&halves), true);
    let endless = |_: &Entry| [b'A', b' ', 0].map(|byte| vec![byte; 6 << 20]).to_vec();
    everything.account("an endless line", &everything.send(&endless), true);
    let grown = everything.canary.memory().saturating_sub(before);
    println!("grown by {grown} KiB");
    assert!(grown < GROWTH, "grown by {grown} KiB");
    everything.check();
}

#[test]
fn datagrams_of_every_kind_are_seen() {
    let everything = Everything::start();
    for entry in ALL.iter().filter(|entry| entry.datagrams) {
        let to = ("127.0.0.1", everything.ports[entry.name]);
        for bytes in nonsense().iter().chain(&talks(entry)).filter(|bytes| bytes.len() < 60_000) {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(bytes, to).unwrap();
            let own = socket.local_addr().unwrap().port();
            let what = format!(
                "{}: {} bytes: {}",
                entry.name,
                bytes.len(),
                bytes[..bytes.len().min(60)].escape_ascii()
            );
            everything.canary.event(&what, |event| {
                event["source"]["port"] == own
                    && event["transport"] == "udp"
                    && event["service"] == entry.name
            });
        }
    }
    everything.check();
}

/// A peer that stays: it says a little from time to time, or a lot without ever listening.
struct Stays {
    sent: Sent,
    stream: TcpStream,
    left: std::vec::IntoIter<u8>,
}

impl Stays {
    fn with(entry: &'static Entry, port: u16, said: Vec<u8>) -> Self {
        let stream = connect(port);
        stream.set_nodelay(true).unwrap();
        let sent =
            Sent { service: entry.name, from: stream.local_addr().unwrap().port(), what: String::new() };
        Self { sent, stream, left: said.into_iter() }
    }

    /// One more byte.
    fn drip(&mut self) {
        if let Some(byte) = self.left.next() {
            // The service may have heard enough.
            self.stream.write_all(&[byte]).ok();
        }
    }

    /// As much as goes, without a look at the answers.
    fn pour(&mut self) {
        self.stream.set_nonblocking(true).unwrap();
        let said: Vec<u8> = std::mem::take(&mut self.left).collect();
        let mut pieces = 0;
        while pieces < 20_000 && self.stream.write(&said).is_ok_and(|written| written > 0) {
            pieces += 1;
        }
    }
}

#[test]
fn slow_senders_and_deaf_ones_keep_nobody_from_being_served() {
    let everything = Everything::start();
    let each = |said: &dyn Fn(&'static Entry) -> Vec<u8>| {
        everything.streams().map(|(entry, port)| Stays::with(entry, port, said(entry))).collect::<Vec<_>>()
    };
    let (mut slow, mut deaf) = (each(&said), each(&|entry| said(entry).repeat(20)));
    let before = everything.canary.memory();
    deaf.iter_mut().for_each(Stays::pour);
    for _ in 0..40 {
        slow.iter_mut().for_each(Stays::drip);
    }
    everything.check();
    while slow.iter().any(|peer| peer.left.len() > 0) {
        slow.iter_mut().for_each(Stays::drip);
    }
    let grown = everything.canary.memory().saturating_sub(before);
    assert!(grown < GROWTH, "grown by {grown} KiB");
    let sent: Vec<Sent> = slow.into_iter().chain(deaf).map(|peer| peer.sent).collect();
    everything.account("a slow or deaf peer", &sent, true);
    everything.check();
}

/// Lets this process open as many connections as it may.
fn descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    most.unwrap_or(u64::MAX)
}

#[test]
fn thousands_of_idle_connections_to_each_service_are_seen_and_cost_little() {
    // Without optimisation, this program takes minutes to read what the canary tells of 5,000 for each service.
    const PEERS: usize = if cfg!(debug_assertions) { 1_000 } else { 5_000 };
    if descriptors() < PEERS as u64 + 300 {
        return println!("SKIPPED: fewer than {PEERS} descriptors");
    }
    let everything = Everything::start();
    everything.check();
    for (entry, port) in everything.streams() {
        // What is seen at once tells of the connection, too: there are services that report more than that.
        let seen = |closed: bool| {
            let of = |event: &Value| {
                event["destination"]["port"] == port && (event["kind"] == "connection.closed") == closed
            };
            let sessions = everything.canary.so_far(of).into_iter().map(|event| event["session"].to_string());
            sessions.collect::<BTreeSet<_>>().len()
        };
        let (opened, closed) = (seen(false), seen(true));
        let before = everything.canary.memory();
        let peers: Vec<TcpStream> = (0..PEERS).map(|_| connect(port)).collect();
        until("all are seen", || seen(false) >= opened + PEERS);
        let grown = everything.canary.memory().saturating_sub(before);
        println!("{}: {grown} KiB", entry.name);
        assert!(grown < GROWTH, "{}: grown by {grown} KiB", entry.name);
        everything.catch(entry, port);
        drop(peers);
        until("all have ended", || seen(true) >= closed + PEERS);
    }
    everything.check();
}
