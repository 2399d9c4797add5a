//! One connection: which message means what when. Where a real server goes without a word, so do we; where it
//! says why, we say it in its words.

use std::{fmt, sync::Arc};

use haldane_core::{Cx, Flow, Halt, Input, Session, Sighting};

use super::{
    CONNECTION, DISCONNECT, EXPLOIT, PROBE, Server, VERSION,
    auth::Login,
    exchange::{Awaits, Exchange, Offer, proposal},
    identification::{self, Line, Meaning, is_scanner, is_shared},
    kex::Failed,
    packet::{Inbound, Opened, Outbound, Piece},
    wire::{Put, message, string},
};

/// One connection.
pub struct Connection {
    pub(super) server: Arc<Server>,
    number: u64,
    /// The client's identification string; empty before there is one.
    pub(super) client: Vec<u8>,
    /// The fingerprint of the client; empty before there is one.
    pub(super) hassh: String,
    inbound: Inbound,
    outbound: Outbound,
    phase: Phase,
}

enum Phase {
    Identification,
    /// Our KEXINIT is out, with that cookie.
    Offered([u8; 16]),
    Exchange(Box<Exchange>, [u8; 16]),
    Login(Box<Login>),
}

/// What the client sent.
pub enum Message {
    /// Its first line.
    Line(Line),
    /// A piece of a packet.
    Packet(Packet),
}

/// A piece of a packet, as it came.
pub struct Packet(Piece);

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.debug_tuple("Line").field(line).finish(),
            Self::Packet(Packet(piece)) => f.debug_tuple("Packet").field(piece).finish(),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Session for Connection {
    type Message = Message;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.report(Sighting::of(&CONNECTION).with("session", self.number.to_string()));
        cx.reply(&self.server.version);
        cx.reply("\r\n");
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        match self.phase {
            Phase::Identification => identification::parse(input, &self.server.release).map(Message::Line),
            _ => self.inbound.parse(input).map(|piece| Message::Packet(Packet(piece))),
        }
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message {
            Message::Line(line) => self.identified(line, cx),
            Message::Packet(Packet(piece)) => {
                let sequence = self.inbound.sequence();
                match self.inbound.open(piece) {
                    Opened::Nothing => Flow::Continue,
                    Opened::Payload(payload) => self.message(&payload, sequence, cx),
                    Opened::Broken(why) => {
                        cx.report(Sighting::of(&PROBE).with("probe", why));
                        Flow::Close
                    }
                    Opened::Padding(padding) => {
                        cx.report(Sighting::of(&PROBE).with("probe", "too little padding"));
                        self.disconnect(format!("Corrupted padlen {padding} on input."), cx)
                    }
                }
            }
        }
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        if let Phase::Login(login) = &self.phase {
            self.unanswered(login, cx);
        }
    }
}

impl Connection {
    pub(super) fn new(server: Arc<Server>, number: u64) -> Self {
        Self {
            server,
            number,
            client: Vec::new(),
            hassh: String::new(),
            inbound: Inbound::new(),
            outbound: Outbound::new(),
            phase: Phase::Identification,
        }
    }

    fn identified(&mut self, line: Line, cx: &mut Cx<'_>) -> Flow {
        let shared = is_shared(&self.server.release);
        let (line, meaning) = match &line {
            Line::Whole(line) => (line, identification::meaning(line)),
            Line::Invalid(start) => (start, Meaning::Invalid),
        };
        if let Meaning::Client(software) = meaning {
            self.client.clone_from(line);
            cx.report(self.about(Sighting::of(&VERSION)));
            if is_scanner(software) {
                return Flow::Close;
            }
            let cookie = cx.random();
            self.phase = Phase::Offered(cookie);
            return self.send(&proposal(&self.server, &cookie), cx);
        }
        let probe = identification::probe(line);
        cx.report(Sighting::of(&PROBE).with("probe", probe).with("line", line.as_slice()));
        cx.reply(match (meaning, shared) {
            (Meaning::OtherMajor, true) => "Protocol major versions differ.\r\n",
            (Meaning::OtherMajor, false) => "Protocol major versions differ.\n",
            (_, true) => "Invalid SSH identification string.\r\n",
            (_, false) => "Protocol mismatch.\n",
        });
        Flow::Leave
    }

    /// Adds what is known about the client.
    pub(super) fn about(&self, seen: Sighting) -> Sighting {
        let seen =
            seen.with("local_version", &*self.server.version).with("client_version", self.client.as_slice());
        match self.hassh.is_empty() {
            true => seen,
            false => seen.with("hassh", &*self.hassh),
        }
    }

    /// Queues a message.
    pub(super) fn send(&mut self, payload: &[u8], cx: &mut Cx<'_>) -> Flow {
        match self.outbound.seal(payload, |padding| cx.fill(padding)) {
            Ok(packet) => {
                cx.reply(packet);
                Flow::Continue
            }
            Err(_) => Flow::Close,
        }
    }

    /// Says why, and goes.
    pub(super) fn disconnect(&mut self, why: impl AsRef<[u8]>, cx: &mut Cx<'_>) -> Flow {
        // SSH_DISCONNECT_PROTOCOL_ERROR, which OpenSSH gives as the reason of everything.
        const REASON: u32 = 2;
        let mut payload = vec![message::DISCONNECT];
        payload.put_u32(REASON);
        payload.put_string(why);
        payload.put_string("");
        self.send(&payload, cx);
        Flow::Close
    }

    pub(super) fn unimplemented(&mut self, sequence: u32, cx: &mut Cx<'_>) -> Flow {
        let mut payload = vec![message::UNIMPLEMENTED];
        payload.put_u32(sequence);
        self.send(&payload, cx)
    }

    fn message(&mut self, payload: &[u8], sequence: u32, cx: &mut Cx<'_>) -> Flow {
        let Some((&kind, body)) = payload.split_first() else {
            cx.report(Sighting::of(&PROBE).with("probe", "empty message"));
            return Flow::Close;
        };
        let got = Incoming { kind, body, sequence };
        let pings = self.server.release.since(9, 5);
        if kind == 0 || (kind >= message::PING && !pings) {
            cx.report(got.unexpected());
            return self.disconnect(format!("Invalid ssh2 packet type: {kind}"), cx);
        }
        if kind == message::DISCONNECT {
            return last_words(body, cx);
        }
        let strict = matches!(&self.phase, Phase::Exchange(exchange, _) if exchange.strict);
        if !strict && let Some(flow) = self.everyday(got, cx) {
            return flow;
        }
        // libssh's CVE-2018-10933: the client tells the server that it is logged in.
        if kind == message::USERAUTH_SUCCESS {
            cx.report(self.about(Sighting::of(&EXPLOIT).with("cve", "CVE-2018-10933")));
        }
        match std::mem::replace(&mut self.phase, Phase::Identification) {
            Phase::Identification => Flow::Close,
            Phase::Offered(cookie) => {
                self.phase = Phase::Offered(cookie);
                self.offered(got, payload, cookie, cx)
            }
            Phase::Exchange(exchange, cookie) => self.exchange(exchange, cookie, got, cx),
            Phase::Login(login) => {
                let (login, flow) = self.login(login, got, cx);
                self.phase = Phase::Login(login);
                flow
            }
        }
    }

    /// Messages that mean the same at any time.
    fn everyday(&mut self, got: Incoming<'_>, cx: &mut Cx<'_>) -> Option<Flow> {
        let mut input = Input::whole(got.body);
        let read = match got.kind {
            message::IGNORE => Ok(()),
            message::DEBUG => {
                input.u8().and_then(|_| string(&mut input)).and_then(|_| string(&mut input)).map(drop)
            }
            message::UNIMPLEMENTED => input.u32().map(drop),
            message::PING => match string(&mut input) {
                Ok(data) => {
                    let mut pong = vec![message::PONG];
                    pong.put_string(data);
                    return Some(self.send(&pong, cx));
                }
                Err(halt) => Err(halt),
            },
            _ => return None,
        };
        Some(if read.is_ok() { Flow::Continue } else { Flow::Close })
    }

    /// Until the client's KEXINIT.
    fn offered(&mut self, got: Incoming<'_>, payload: &[u8], cookie: [u8; 16], cx: &mut Cx<'_>) -> Flow {
        if got.kind != message::KEXINIT {
            cx.report(got.unexpected());
            return match got.kind >= message::USERAUTH_REQUEST {
                true => Flow::Close,
                false => self.unimplemented(got.sequence, cx),
            };
        }
        let Ok(offer) = Offer::parse(&mut Input::whole(got.body)) else {
            cx.report(got.unexpected());
            return Flow::Close;
        };
        self.hassh = offer.hassh();
        let agreed = Exchange::agree(&self.server, &offer, payload);
        cx.report(self.about(offer.sighting()).with("agreed", agreed.is_some()));
        let Some(exchange) = agreed else { return Flow::Close };
        if exchange.strict && got.sequence != 0 {
            return self.disconnect("strict KEX violation: KEXINIT was not the first packet", cx);
        }
        self.phase = Phase::Exchange(Box::new(exchange), cookie);
        Flow::Continue
    }

    /// Until the client's NEWKEYS.
    fn exchange(
        &mut self,
        mut exchange: Box<Exchange>,
        cookie: [u8; 16],
        got: Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> Flow {
        if got.kind >= message::USERAUTH_REQUEST {
            cx.report(got.unexpected());
            return Flow::Close;
        }
        let mut input = Input::whole(got.body);
        let step = match (&exchange.awaits, got.kind) {
            _ if std::mem::take(&mut exchange.skip) => Ok(Flow::Continue),
            (Awaits::Init, message::GEX_REQUEST) if exchange.asks_for_group() => {
                exchange.group(&mut input, &self.server).map(|group| self.send(&group, cx))
            }
            (Awaits::Init, message::KEXDH_INIT) if !exchange.asks_for_group() => {
                self.reply(&mut exchange, &mut input, &cookie, cx)
            }
            (Awaits::GroupInit(_), message::GEX_INIT) => self.reply(&mut exchange, &mut input, &cookie, cx),
            (Awaits::NewKeys(keys), message::NEWKEYS) => {
                if input.is_empty() && self.inbound.protect(exchange.to_us(), keys, exchange.strict).is_ok() {
                    self.phase = Phase::Login(Box::new(Login::new(exchange.extensions)));
                    return Flow::Continue;
                }
                Err(Failed)
            }
            _ => {
                cx.report(got.unexpected());
                if exchange.strict {
                    let what = format!("unexpected packet type {} (seqnr {})", got.kind, got.sequence);
                    return self.disconnect(format!("strict KEX violation: {what}"), cx);
                }
                Ok(self.unimplemented(got.sequence, cx))
            }
        };
        self.phase = Phase::Exchange(exchange, cookie);
        step.unwrap_or_else(|Failed| {
            cx.report(got.unexpected());
            Flow::Close
        })
    }

    fn reply(
        &mut self,
        exchange: &mut Exchange,
        input: &mut Input<'_>,
        cookie: &[u8; 16],
        cx: &mut Cx<'_>,
    ) -> Result<Flow, Failed> {
        let server = Arc::clone(&self.server);
        let reply = exchange.reply(input, &server, [&self.client, cookie], cx)?;
        self.send(&reply.payload, cx);
        self.send(&[message::NEWKEYS], cx);
        let (suite, keys) = &reply.from_us;
        self.outbound.protect(suite, keys, exchange.strict)?;
        let extensions = server.release.extensions();
        if exchange.extensions && !extensions.is_empty() {
            self.send(&super::auth::ext_info(&extensions), cx);
        }
        exchange.awaits = reply.awaits();
        Ok(Flow::Continue)
    }
}

/// A message.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'a> {
    /// Its number.
    pub(super) kind: u8,
    /// What follows that.
    pub(super) body: &'a [u8],
    /// Which one it is.
    pub(super) sequence: u32,
}

impl Incoming<'_> {
    /// It does not belong there, or a real server cannot read it.
    pub(super) fn unexpected(&self) -> Sighting {
        let seen = Sighting::of(&PROBE).with("probe", "unexpected message").with("message", self.kind);
        seen.with("data", self.body)
    }
}

fn last_words(body: &[u8], cx: &mut Cx<'_>) -> Flow {
    let mut input = Input::whole(body);
    if let (Ok(reason), Ok(words)) = (input.u32(), string(&mut input)) {
        cx.report(Sighting::of(&DISCONNECT).with("reason", reason).with("words", words));
    }
    Flow::Close
}
