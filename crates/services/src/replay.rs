//! Talks to a service in memory: for transcripts, the conformance suite and the fuzzers.
//!
//! What it checks on the way are the promises that every session makes: nothing is done about half a
//! message, a need exceeds what is there, a message has at least a byte.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::SystemTime,
};

use haldane_core::{
    Arrival, Cx, Effects, Entry, Exchange, Flow, Halt, Host, Input, Keep, Limits, Login, Peer, Problem,
    Secret, Section, Sighting, Table, TlsFacts, Transport, Value, Watch, Watched, Windows,
    section::{Item, Node, Place, Raw},
    sensor::AnySensor,
    service::{AnyProtocol, Service},
    session::Random,
};

/// What came of a conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that we said.
    pub reply: Vec<u8>,
    /// Everything that was reported.
    pub seen: Vec<Sighting>,
    /// How it stands at the end.
    pub ending: Ending,
    /// Promises that were broken; empty, or there is a bug.
    pub broken: Vec<String>,
}

/// How a conversation stands.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// We wait for more.
    #[default]
    Open,
    /// We hung up.
    Close,
    /// We tore it down.
    Reset,
    /// TLS was asked for.
    Tls,
}

/// "Random" bytes that are the same each time: 0, 1, 2 …
#[derive(Debug, Default)]
pub struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
    }
}

/// "Random" bytes that are another sequence for each seed.
#[derive(Debug)]
pub struct Seeded(pub u64);

impl Random for Seeded {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            // Knuth's MMIX generator; its upper bits are the better ones.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [upper, ..] = self.0.to_be_bytes();
            *byte = upper;
        }
    }
}

/// Takes what lies in the folder, else makes it and keeps it in memory.
#[derive(Debug, Default)]
pub struct InMemory(Mutex<BTreeMap<PathBuf, Vec<u8>>>);

impl InMemory {
    /// What was made and kept so far, by folder and name.
    pub fn kept(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Keep for InMemory {
    fn keep(
        &self,
        folder: Option<&Path>,
        name: &str,
        make: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        if let Some(content) = folder.and_then(|folder| std::fs::read(folder.join(name)).ok()) {
            return Ok(content);
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = folder.unwrap_or(Path::new("")).join(name);
        if let Some(content) = kept.get(&key) {
            return Ok(content.clone());
        }
        let made = make()?;
        kept.insert(key, made.clone());
        Ok(made)
    }
}

/// A host for tests: the same each time, since host keys take long to make.
pub fn host() -> Host {
    static KEEP: LazyLock<Arc<InMemory>> = LazyLock::new(|| {
        // What is told to every client: the same in each transcript.
        let known = [("smb-guid".into(), (0..16).collect())];
        Arc::new(InMemory(Mutex::new(known.into())))
    });
    let keep: Arc<dyn Keep> = Arc::<InMemory>::clone(&KEEP);
    Host { name: "files01".into(), windows: Windows::new("files01", ""), keep }
}

/// Builds the service of that row from `key = value` lines (values: `"text"`, numbers, `true`, `false`, lists
/// of such).
///
/// # Errors
/// The mistakes found in them.
pub fn build(entry: &Entry, settings: &[&str]) -> Result<Service, Vec<Problem>> {
    build_on(entry, settings, &host())
}

fn raw(value: &str) -> Raw {
    match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Raw::Text(String::from_utf8_lossy(&unescape(text)).into_owned()),
        None => match value {
            "true" => Raw::Bool(true),
            "false" => Raw::Bool(false),
            number => number.parse().map_or(Raw::Null, Raw::Int),
        },
    }
}

/// The same, on that host.
///
/// # Errors
/// The mistakes found in them.
pub fn build_on(entry: &Entry, settings: &[&str], host: &Host) -> Result<Service, Vec<Problem>> {
    let place = Place { file: "settings".into(), line: 0 };
    let entries = settings.iter().filter_map(|line| line.split_once('=')).map(|(key, value)| {
        let (key, value) = (key.trim().to_owned(), value.trim());
        let node = |value| Node { place: place.clone(), value };
        let value = match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
            Some(list) => Raw::List(list.split(',').map(|item| node(raw(item.trim()))).collect()),
            None => raw(value),
        };
        Item { written: key.clone(), key, node: node(value) }
    });
    let table = Table { name: entry.name.to_owned(), entries: entries.collect() };
    let mut problems = Vec::new();
    let mut section = Section::new(&table, &mut problems);
    let service = (entry.build)(&mut section, host);
    section.finish();
    if problems.is_empty() { Ok(service) } else { Err(problems) }
}

/// The peer of all replayed conversations: 192.0.2.7:40000 to 192.0.2.1 (RFC 5737).
pub fn peer() -> Peer {
    let remote = SocketAddr::from(([192, 0, 2, 7], 40000));
    Peer::new(remote, SocketAddr::from(([192, 0, 2, 1], 9)), Transport::Tcp)
}

/// Sends those pieces, one after the other, then (if `finish`) closes the sending side.
pub fn talk(protocol: &dyn AnyProtocol, pieces: &[&[u8]], finish: bool) -> Outcome {
    converse(protocol, pieces, finish, false)
}

/// The same, and goes on inside TLS where that is asked for: what comes next is what TLS would have carried.
pub fn talk_on(protocol: &dyn AnyProtocol, pieces: &[&[u8]], finish: bool) -> Outcome {
    converse(protocol, pieces, finish, true)
}

fn converse(protocol: &dyn AnyProtocol, pieces: &[&[u8]], finish: bool, through: bool) -> Outcome {
    let facts = TlsFacts::default();
    let mut tls = None;
    let (peer, mut random) = (peer(), Counting::default());
    let frame = protocol.bounds().frame;
    let mut session = protocol.open(&peer);
    let mut out = Outcome::default();
    let mut inbox: Vec<u8> = Vec::new();
    let now = SystemTime::UNIX_EPOCH;
    let mut effects = Effects::default();
    session.greet(&mut Cx::new(&peer, now, tls, &mut random, &mut effects));
    absorb(&mut out, effects);
    if session.turns_away() {
        out.ending = Ending::Close;
        return out;
    }
    for (at, piece) in pieces.iter().enumerate() {
        inbox.extend_from_slice(piece);
        while !inbox.is_empty() {
            let mut effects = Effects::default();
            let mut input = Input::stream(&inbox);
            let mut cx = Cx::new(&peer, now, tls, &mut random, &mut effects);
            let halt = match session.step(&mut input, &mut cx) {
                Ok(flow) => {
                    let consumed = input.consumed();
                    if consumed == 0 {
                        out.broken.push("a message of no bytes".into());
                        return out;
                    }
                    inbox.drain(..consumed);
                    let mut answered = !effects.reply.is_empty();
                    absorb(&mut out, effects);
                    while answered {
                        let mut effects = Effects::default();
                        session.more(&mut Cx::new(&peer, now, tls, &mut random, &mut effects));
                        answered = !effects.reply.is_empty();
                        absorb(&mut out, effects);
                    }
                    // What a peer sends to a closed socket is answered by a reset, sooner or later.
                    let more = pieces.iter().skip(at.saturating_add(1)).any(|piece| !piece.is_empty());
                    out.ending = ending(flow, more || !inbox.is_empty());
                    if through && out.ending == Ending::Tls {
                        tls = Some(&facts);
                        let mut effects = Effects::default();
                        session.secured(&mut Cx::new(&peer, now, tls, &mut random, &mut effects));
                        absorb(&mut out, effects);
                        out.ending = Ending::Open;
                    }
                    if out.ending != Ending::Open {
                        return out;
                    }
                    continue;
                }
                Err(halt) => halt,
            };
            if effects != Effects::default() {
                out.broken.push("acted on half a message".into());
            }
            let why = match halt {
                Halt::Need(n) if n <= inbox.len() => {
                    out.broken.push(format!("needs {n} bytes and has {}", inbox.len()));
                    return out;
                }
                Halt::Need(n) if n <= frame => break,
                Halt::Need(_) => "message too large",
                Halt::Malformed(why) => why,
            };
            let mut effects = Effects::default();
            let flow = session.malformed(why, &mut Cx::new(&peer, now, tls, &mut random, &mut effects));
            absorb(&mut out, effects);
            out.ending = if flow == Flow::Reset { Ending::Reset } else { Ending::Close };
            return out;
        }
    }
    if finish {
        let mut effects = Effects::default();
        session.finished(&inbox, &mut Cx::new(&peer, now, tls, &mut random, &mut effects));
        absorb(&mut out, effects);
    }
    out
}

/// Sends one datagram; an error counts as no answer.
pub fn datagram(service: &Service, bytes: &[u8]) -> Outcome {
    datagrams(service, &[bytes], false)
}

/// Sends datagrams, those after the first to the exchange that it began, if it did; then ends that, if `finish`. An
/// error counts as no answer.
pub fn datagrams(service: &Service, sent: &[&[u8]], finish: bool) -> Outcome {
    let mut out = Outcome::default();
    let Some(service) = &service.datagrams else { return out };
    let (peer, mut random) = (peer(), Counting::default());
    let mut exchange: Option<Box<dyn Exchange>> = None;
    for bytes in sent {
        if out.ending != Ending::Open {
            break;
        }
        let mut effects = Effects::default();
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        let flow = if let Some(exchange) = &mut exchange {
            exchange.take(&mut Input::whole(bytes), &mut cx).unwrap_or(Flow::Continue)
        } else if let Some(begun) = service.exchange(bytes, &peer) {
            exchange.insert(begun).begin(&mut cx).unwrap_or(Flow::Close)
        } else {
            service.answer(&mut Input::whole(bytes), &mut cx).ok();
            Flow::Continue
        };
        absorb(&mut out, effects);
        out.ending = ending(flow, false);
    }
    if let Some(mut exchange) = exchange.filter(|_| finish || out.ending != Ending::Open) {
        let mut effects = Effects::default();
        exchange.end(&mut Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects));
        absorb(&mut out, effects);
    }
    out
}

/// Feeds a sensor those arrivals after its start; returns what it reported of each end.
pub fn watch(sensor: &mut dyn AnySensor, arrivals: &[Arrival<'_>]) -> Vec<(Option<Peer>, Sighting)> {
    let mut random = Counting::default();
    let mut seen = Vec::new();
    for arrival in std::iter::once(&Arrival::Started).chain(arrivals) {
        let mut effects = Watched::default();
        sensor.take(*arrival, &mut Watch::new(SystemTime::UNIX_EPOCH, &mut random, &mut effects));
        seen.extend(effects.seen);
    }
    seen
}

/// The bounds of that row with nothing configured.
pub fn bounds(service: &Service) -> Limits {
    service.stream.as_ref().map_or(Limits::DEFAULT, |protocol| protocol.bounds())
}

fn ending(flow: Flow, unread: bool) -> Ending {
    match flow {
        Flow::Continue => Ending::Open,
        Flow::Leave if unread => Ending::Reset,
        Flow::Close | Flow::Leave => Ending::Close,
        Flow::Reset => Ending::Reset,
        Flow::StartTls => Ending::Tls,
    }
}

fn absorb(out: &mut Outcome, effects: Effects) {
    out.reply.extend_from_slice(&effects.reply);
    out.seen.extend(effects.seen);
}

/// Reads a line of a transcript: `\r`, `\n`, `\t`, `\0`, `\\`, `\"`, `\xNN`.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'r') => bytes.push(b'\r'),
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'0') => bytes.push(0),
            Some(b'x') => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = std::str::from_utf8(&digits).unwrap_or("00");
                bytes.push(u8::from_str_radix(digits, 16).unwrap_or_default());
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    bytes
}

/// Writes a sighting as a transcript has it: `ftp.login username="root" password="x" field="value"`.
pub fn show(seen: &Sighting) -> String {
    let mut text = seen.kind.name.to_owned();
    let mut add = |key: &str, value: &dyn std::fmt::Debug| text.push_str(&format!(" {key}={value:?}"));
    if let Some(Login { username, domain, secret, .. }) = &seen.login {
        if let Some(username) = username {
            add("username", username);
        }
        if let Some(domain) = domain {
            add("domain", domain);
        }
        match secret {
            Some(Secret::Password(password)) => add("password", password),
            Some(Secret::PublicKey { fingerprint, .. }) => add("key", fingerprint),
            Some(Secret::Response { response, .. }) => add("response", response),
            Some(Secret::Token(token)) => add("token", token),
            None => {}
        }
    }
    for (key, value) in &seen.fields {
        match value {
            Value::Text(text) => add(key, text),
            Value::Int(number) => add(key, number),
            Value::Bool(flag) => add(key, flag),
            Value::Null => add(key, &()),
            Value::List(list) => add(key, list),
            Value::Map(map) => add(key, map),
        }
    }
    text
}
