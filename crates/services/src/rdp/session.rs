//! One connection: negotiation, then network level authentication or the settings of a desktop.

use std::{sync::Arc, time::Duration};

use haldane_core::{Cx, Flow, Halt, Input, Login, Secret, Session, Sighting, Timeout, Untrusted};
use haldane_wire::{
    ber,
    ntlm::{Identity, Negotiate},
    spnego::{Conversation, Step},
};

use super::{
    CHALLENGE, CLIENT, CONNECT, EXPLOIT, HANDSHAKE, LOGIN, SESSION, credssp,
    desktop::{self, Said},
    info::Info,
    mcs::{self, Client, Packet},
    persona::Persona,
    rdstls,
    security::{Keys, RANDOM},
    x224::{self, Confirm, Request},
};

/// The channel that a server opens by itself; asked for by a client, it can be closed twice (CVE-2019-0708).
const BLUEKEEP: &[u8] = b"MS_T120";

/// SEC_EXCHANGE_PKT (MS-RDPBCGR, section 2.2.8.1.1.2.1).
const EXCHANGE: u16 = 0x0001;
/// SEC_ENCRYPT.
const ENCRYPTED: u16 = 0x0008;
/// SEC_INFO_PKT.
const INFO: u16 = 0x0040;

/// What a server takes to make a desktop. Guessers read what comes at once with the licence as part of that.
const DESKTOP: Duration = Duration::from_millis(100);

/// One connection.
#[derive(Debug)]
pub struct Connection {
    persona: Arc<Persona>,
    /// What was chosen; `None` before the client's first packet.
    chosen: Option<u32>,
    talk: Option<Box<Talk>>,
}

/// What is known of a client that talks on.
#[derive(Debug, Default)]
struct Talk {
    /// What it offered for security.
    offered: u32,
    /// Network level authentication.
    login: Conversation,
    /// What the client said of itself when it took our challenge; told if no answer follows.
    first: Option<Negotiate>,
    /// Whether the settings were exchanged, which happens once.
    connected: bool,
    client: Client,
    /// Of RDP's own security, once agreed on: the method, and our random bytes.
    method: Option<(u32, [u8; RANDOM])>,
    /// What follows from these and the client's.
    keys: Option<Box<Keys>>,
    /// How far the desktop is.
    desktop: Desktop,
    /// Whether the client can be shown what is painted in pieces.
    keeps_bitmaps: bool,
}

/// How far a desktop is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Desktop {
    /// The client has not said yet who it is.
    #[default]
    None,
    /// It has its licence.
    Licensed,
    /// It was told what there is, and makes itself ready.
    Demanded,
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// Its first packet.
    Request(Request),
    /// Network level authentication.
    Credssp(credssp::Request),
    /// A packet of the conference.
    Mcs(Packet),
    /// A login of a client that was sent here by another server.
    Rdstls(rdstls::Request),
}

impl Session for Connection {
    type Message = Message;

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        let Some(chosen) = self.chosen else {
            // In TLS from the first byte on, network level authentication may come first.
            if input.peek()? == ber::SEQUENCE {
                return credssp::Request::parse(input).map(Message::Credssp);
            }
            let packet = x224::tpkt(input)?;
            let request = Request::read(packet).ok_or(Halt::Malformed("no connection request"))?;
            return Ok(Message::Request(request));
        };
        match (chosen, input.peek()?) {
            (x224::RDSTLS, _) => rdstls::Request::parse(input).map(Message::Rdstls),
            // Windows takes it on every line that is encrypted.
            (1.., ber::SEQUENCE) => credssp::Request::parse(input).map(Message::Credssp),
            _ => {
                let packet = x224::tpkt(input)?;
                let content = x224::content(packet).ok_or(Halt::Malformed("no data packet"))?;
                Packet::read(content).map(Message::Mcs)
            }
        }
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message {
            Message::Request(request) => self.request(&request, cx),
            Message::Credssp(request) => self.credssp(&request, cx),
            Message::Mcs(packet) => self.mcs(packet, cx),
            Message::Rdstls(request) => redirected(request, cx),
        }
    }

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        self.left(cx);
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.left(cx);
        Flow::Close
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        self.left(cx);
    }

    fn more(&mut self, cx: &mut Cx<'_>) {
        let Some(talk) = self.talk.as_mut().filter(|talk| talk.desktop == Desktop::Licensed) else { return };
        talk.desktop = Desktop::Demanded;
        cx.pause(DESKTOP);
        let demand = desktop::demand(talk.client.size);
        talk.send(&demand, cx);
    }

    fn secured(&mut self, cx: &mut Cx<'_>) {
        if self.chosen == Some(x224::RDSTLS) {
            cx.reply(rdstls::CAPABILITIES);
        }
    }
}

impl Connection {
    /// A connection to that server.
    pub(super) fn new(persona: Arc<Persona>) -> Self {
        Self { persona, chosen: None, talk: None }
    }

    fn request(&mut self, request: &Request, cx: &mut Cx<'_>) -> Flow {
        let mut seen = Sighting::of(&CONNECT).with("username", request.cookie.clone());
        if let Some(protocols) = request.protocols {
            seen = seen.with("protocols", x224::names(protocols));
        }
        if let Some(token) = &request.token {
            seen = seen.with("token", token.as_slice());
        }
        if request.flags != 0 {
            seen = seen.with("flags", request.flags);
        }
        if let Some(correlation) = &request.correlation {
            seen = seen.with("correlation", correlation.as_str());
        }
        cx.report(seen);
        if !request.sound {
            return Flow::Close;
        }
        let confirm = self.persona.confirm(request.protocols);
        cx.reply(x224::confirm(confirm));
        let chosen = match confirm {
            Confirm::Failed(_) => return Flow::Close,
            Confirm::Plain => x224::RDP,
            Confirm::Chosen(chosen, _) => chosen,
        };
        self.chosen = Some(chosen);
        let offered = request.protocols.unwrap_or_default();
        self.talk = Some(Box::new(Talk { offered, ..Talk::default() }));
        match (chosen, cx.tls()) {
            (x224::RDP, _) => Flow::Continue,
            (_, None) => Flow::StartTls,
            // Wrapped in TLS from its first byte.
            (_, Some(_)) => {
                self.secured(cx);
                Flow::Continue
            }
        }
    }

    fn credssp(&mut self, request: &credssp::Request, cx: &mut Cx<'_>) -> Flow {
        let token = request.token.as_deref().unwrap_or_default();
        if cx.tls().is_none() && self.chosen.is_none() {
            return odd("authentication outside TLS", token, cx);
        }
        let talk = self.talk.get_or_insert_default();
        match talk.login.take(token, &self.persona.host, cx) {
            Step::Reply { token, first } => {
                talk.first = first.or(talk.first.take());
                cx.reply(credssp::challenge(&token));
                Flow::Continue
            }
            Step::Done(attempt) => {
                talk.first = None;
                let anonymous = attempt.identity() == Identity::Anonymous;
                let seen = Sighting::of(if anonymous { &SESSION } else { &LOGIN });
                let seen = attempt.facts(seen.with("security", "nla").with("credssp", request.version));
                cx.report(seen.login(attempt.login));
                if request.takes_errors() {
                    cx.reply(credssp::failure(credssp::LOGON_FAILURE));
                }
                Flow::Close
            }
            Step::Unknown => {
                self.left(cx);
                odd("neither NTLM nor Kerberos", token, cx)
            }
        }
    }

    /// The client is gone with our challenge, and our names.
    fn left(&mut self, cx: &mut Cx<'_>) {
        if let Some(first) = self.talk.as_mut().and_then(|talk| talk.first.take()) {
            cx.report(first.facts(Sighting::of(&CHALLENGE)));
        }
    }

    fn mcs(&mut self, packet: Packet, cx: &mut Cx<'_>) -> Flow {
        let Some(talk) = &mut self.talk else { return Flow::Close };
        match packet {
            Packet::Connect(client) => {
                report(&client, cx);
                if std::mem::replace(&mut talk.connected, true) {
                    return Flow::Close;
                }
                talk.client = *client;
                self.connect(cx)
            }
            Packet::Erect | Packet::Other => Flow::Continue,
            Packet::Attach => {
                cx.reply(x224::data(&mcs::attached(talk.client.user())));
                Flow::Continue
            }
            Packet::Join(initiator, channel) => {
                cx.reply(x224::data(&mcs::joined(initiator, channel, &talk.client)));
                Flow::Continue
            }
            Packet::Data(mcs::IO_CHANNEL, content) => self.data(&content, cx),
            Packet::Data(..) => Flow::Continue,
            Packet::Disconnect => Flow::Close,
        }
    }

    /// The settings of the desktop are answered with ours, where the security that was chosen allows a desktop.
    fn connect(&mut self, cx: &mut Cx<'_>) -> Flow {
        let (Some(talk), Some(chosen)) = (&mut self.talk, self.chosen) else { return Flow::Close };
        let mut security = Vec::new();
        match chosen {
            x224::SSL => {}
            x224::RDP => {
                let random = cx.random();
                let offer =
                    self.persona.rdp.as_ref().and_then(|key| key.offer(talk.client.encryption, &random));
                let Some((method, offer)) = offer else { return Flow::Close };
                talk.method = Some((method, random));
                security = offer;
            }
            _ => return Flow::Close,
        }
        let server =
            mcs::Server { version: self.persona.rdp_version(), requested: talk.offered, security: &security };
        cx.reply(x224::data(&mcs::response(&server, &talk.client)));
        Flow::Continue
    }

    fn data(&mut self, content: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(talk) = &mut self.talk else { return Flow::Close };
        // Inside TLS, no header stands before what follows the licence.
        if talk.desktop != Desktop::None && talk.method.is_none() {
            return self.desktop(content, cx);
        }
        let Some(([a, b, _, _], content)) = content.split_first_chunk() else {
            return odd("data without a header", content, cx);
        };
        let flags = u16::from_le_bytes([*a, *b]);
        if flags & EXCHANGE != 0 {
            let random = self.persona.rdp.as_ref().and_then(|key| key.open(content));
            let (Some(random), Some((method, server))) = (random, &talk.method) else {
                return odd("not encrypted with our key", content, cx);
            };
            talk.keys = Some(Box::new(Keys::new(*method, &random, server)));
            return Flow::Continue;
        }
        let opened = match (flags & ENCRYPTED, &mut talk.keys) {
            (0, _) => Some(content.to_vec()),
            (_, Some(keys)) => keys.open(content),
            (_, None) => None,
        };
        if talk.desktop != Desktop::None {
            return self.desktop(&opened.unwrap_or_default(), cx);
        }
        if flags & INFO == 0 {
            return odd("data out of order", content, cx);
        }
        let Some(info) = opened.and_then(|info| Info::read(&info).ok()) else {
            return odd("no client information", content, cx);
        };
        cx.report(asked(&info, talk));
        talk.desktop = Desktop::Licensed;
        cx.reply(x224::data(&mcs::indication(&desktop::LICENCE)));
        Flow::Continue
    }

    /// The client, whose login was reported, waits for its desktop.
    fn desktop(&mut self, content: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(talk) = &mut self.talk else { return Flow::Close };
        let Some(said) = Said::read(content) else {
            return odd("no part of a desktop", content, cx);
        };
        if let Some(answer) = said.answer(talk.client.user()) {
            talk.send(&answer, cx);
        }
        match said {
            Said::Capabilities(keeps_bitmaps) => talk.keeps_bitmaps = keeps_bitmaps,
            Said::Fonts => return talk.turn_away(&self.persona, cx),
            _ => {}
        }
        Flow::Continue
    }
}

impl Talk {
    /// What a guesser looks for, then the end. It comes without a word: where there is a reason, or an ultimatum in
    /// which there always is one, hydra takes the server for broken and gives up after three guesses.
    fn turn_away(&mut self, persona: &Persona, cx: &mut Cx<'_>) -> Flow {
        if self.keeps_bitmaps {
            self.send(&desktop::failure(persona), cx);
        }
        Flow::Close
    }

    /// Sends a packet of the desktop, encrypted where that was agreed on.
    fn send(&mut self, packet: &[u8], cx: &mut Cx<'_>) {
        let sealed = match &mut self.keys {
            Some(keys) => [&u32::from(ENCRYPTED).to_le_bytes()[..], &keys.seal(packet)].concat(),
            None => packet.to_vec(),
        };
        cx.reply(x224::data(&mcs::indication(&sealed)));
    }
}

/// What a client is, and whether one of its channels is an attack.
fn report(client: &Client, cx: &mut Cx<'_>) {
    let channels: Vec<Untrusted> = client.channels.iter().map(Untrusted::new).collect();
    let (width, height) = client.size;
    let mut seen = Sighting::of(&CLIENT)
        .with("name", client.name.as_slice())
        .with("build", client.build)
        .with("keyboard", format!("{:08x}", client.keyboard))
        .with("width", width)
        .with("height", height)
        .with("version", format!("{:08x}", client.version))
        .with("channels", channels.clone());
    if !client.product.is_empty() {
        seen = seen.with("product", client.product.as_slice());
    }
    cx.report(seen);
    if client.wants(BLUEKEEP) {
        let seen = Sighting::of(&EXPLOIT).with("name", "BlueKeep (CVE-2019-0708)");
        cx.report(seen.with("channels", channels));
    }
}

/// A desktop is asked for, with or without credentials.
fn asked(info: &Info, talk: &Talk) -> Sighting {
    let named = !info.user.is_empty() || !info.password.is_empty();
    let mut seen = Sighting::of(if named { &LOGIN } else { &SESSION });
    if named {
        let mut login = Login::password("password", info.user.as_slice(), info.password.as_slice());
        login.domain = (!info.domain.is_empty()).then(|| Untrusted::new(&info.domain));
        if !info.autologon && info.password.is_empty() {
            login.secret = None;
        }
        seen = seen.login(login);
    }
    seen = seen.with("security", if talk.method.is_some() { "rdp" } else { "tls" });
    let facts = [
        ("workstation", &talk.client.name),
        ("address", &info.address),
        ("shell", &info.shell),
        ("folder", &info.folder),
        ("client_folder", &info.client_folder),
    ];
    for (key, value) in facts {
        if !value.is_empty() {
            seen = seen.with(key, value.as_slice());
        }
    }
    seen
}

/// What cannot be answered, and ends the connection.
fn odd(why: &'static str, sent: &[u8], cx: &mut Cx<'_>) -> Flow {
    let excerpt = sent.get(..256).unwrap_or(sent);
    cx.report(Sighting::of(&HANDSHAKE).with("why", why).with("excerpt", excerpt));
    Flow::Close
}

fn redirected(request: rdstls::Request, cx: &mut Cx<'_>) -> Flow {
    let login = match request {
        rdstls::Request::Password { user, domain, password } => {
            let mut login = Login::new("rdstls").user(user);
            login.domain = (!domain.is_empty()).then(|| Untrusted::new(&domain));
            login.secret(Secret::Token(password.into()))
        }
        rdstls::Request::Reconnect(session, cookie) => {
            Login::new("reconnect").user(session.to_string()).secret(Secret::Token(cookie.into()))
        }
    };
    cx.report(Sighting::of(&LOGIN).login(login).with("security", "rdstls"));
    cx.reply(rdstls::FAILURE);
    Flow::Close
}
