//! One connection: pre-login, TLS, login, and Windows authentication.

use std::sync::Arc;

use haldane_core::{Cx, Flow, Halt, Input, Login as Credentials, Secret, Session, Sighting, Untrusted};
use haldane_tls::Engine;
use haldane_wire::{
    ntlm::{Identity, Negotiate},
    spnego::{Conversation, Step},
};

use super::{
    BROKEN, LOGIN, PROBE, WINDOWS, answer,
    login::{self, Login},
    packet::{self, Encryption, Kind, Packet, PreLogin},
    persona::Persona,
    sspi,
};

/// The largest TLS record (RFC 5246, section 6.2.3).
const RECORD: usize = 18 * 1024;
/// The first number of a session that is a user's.
const FIRST_USER: u16 = 51;
/// The type of the server's packets.
const RESULT: u8 = 4;
/// The type of packets that carry TLS, in both directions.
const PRE_LOGIN: u8 = 0x12;
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 22;

/// What the client is to say next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// A pre-login message, or, as old clients do, the login.
    Start,
    /// Its side of a TLS handshake.
    Handshake,
    /// The login.
    Login,
    /// The next token of its SSPI.
    Sspi,
}

/// How far TLS goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Its handshake is inside packets; then the login is inside TLS, and the rest is not.
    Login,
    /// Its handshake is inside packets; then everything is inside TLS.
    All,
    /// Everything is inside TLS.
    Strict,
}

/// TLS, and what came out of it.
#[derive(Debug)]
struct Channel {
    engine: Engine,
    scope: Scope,
    plain: Vec<u8>,
}

/// What is known of the client before it is reported.
#[derive(Debug, Default)]
struct Known {
    pre_login: Option<PreLogin>,
    /// What was agreed on.
    encryption: Option<&'static str>,
    tls: Option<Arc<haldane_core::TlsFacts>>,
    /// The login that waits for its token.
    login: Option<Login>,
    /// Whether it is one that a server would not answer.
    silent: bool,
    /// The proof of who it is, in the making.
    sspi: Conversation,
    /// What its first token told.
    first: Option<Negotiate>,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    persona: Arc<Persona>,
    stage: Stage,
    /// The number of the session.
    spid: u16,
    channel: Option<Box<Channel>>,
    known: Option<Box<Known>>,
    /// A message whose last packet has not come, and its type.
    unfinished: Option<(Kind, Vec<u8>)>,
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// A packet.
    Packet(Packet),
    /// A TLS record.
    Record(Vec<u8>),
}

impl Session for Connection {
    type Message = Message;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        let [random] = cx.random();
        self.spid = FIRST_USER.saturating_add(u16::from(random & 0x1f));
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        let first = input.peek()?;
        let tls = match &self.channel {
            Some(channel) if channel.scope == Scope::Strict => true,
            // A login that should be inside TLS and is not is one all the same.
            Some(channel) => channel.engine.established() && (20..=23).contains(&first),
            None => self.stage == Stage::Start && self.persona.strict.is_some() && first == HANDSHAKE,
        };
        if !tls {
            return Packet::read(input).map(Message::Packet);
        }
        let [kind, major, minor] = input.array()?;
        let length = input.u16()?;
        if !(20..=23).contains(&kind) || major != 3 || usize::from(length) > RECORD {
            return Err(Halt::Malformed("no TLS record"));
        }
        let [high, low] = length.to_be_bytes();
        let body = input.take(length.into())?;
        Ok(Message::Record([&[kind, major, minor, high, low], body].concat()))
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        let flow = match message {
            Message::Packet(packet) => self.packet(packet, cx),
            Message::Record(record) => self.record(&record, cx),
        };
        if flow != Flow::Continue {
            self.end(cx);
        }
        flow
    }

    fn over(&mut self, cx: &mut Cx<'_>) {
        self.end(cx);
    }
}

impl Connection {
    /// A connection to that server.
    pub fn new(persona: Arc<Persona>) -> Self {
        Self { persona, stage: Stage::Start, spid: FIRST_USER, channel: None, known: None, unfinished: None }
    }

    fn packet(&mut self, packet: Packet, cx: &mut Cx<'_>) -> Flow {
        if self.stage == Stage::Handshake && packet.kind == Kind::PreLogin {
            return self.tls(&packet.body, cx);
        }
        let (kind, mut message) = self.unfinished.take().unwrap_or((packet.kind, Vec::new()));
        if kind != packet.kind || message.len().saturating_add(packet.body.len()) > login::LONGEST {
            return self.broken("message too long or mixed with another", &message, cx);
        }
        message.extend(packet.body);
        if !packet.last {
            self.unfinished = Some((kind, message));
            return Flow::Continue;
        }
        match (self.stage, kind) {
            (Stage::Start, Kind::PreLogin) => self.pre_login(&message, cx),
            // python-tds goes on in the packets that it began with.
            (Stage::Sspi, Kind::Sspi | Kind::Login7) => self.token(&message, cx),
            (Stage::Sspi, _) | (_, Kind::Other(_) | Kind::PreLogin | Kind::Sspi) => {
                self.broken("message out of turn", &message, cx)
            }
            (_, Kind::Login7) => match Login::read(&message) {
                Some(login) => self.login(login, cx),
                None => self.broken("no login", &message, cx),
            },
            (_, Kind::OldLogin) => match Login::read_old(&message) {
                Some(login) => self.login(login, cx),
                None => self.broken("no login", &message, cx),
            },
        }
    }

    fn pre_login(&mut self, message: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(asked) = PreLogin::read(message) else {
            return self.broken("no pre-login message", message, cx);
        };
        let strict = self.channel.is_some();
        let agreed = asked.encryption.unwrap_or(Encryption::None).answer(self.persona.insists && !strict);
        let reply = asked.answer(self.persona.version.number, agreed, &self.persona.instance);
        // The session has its number only from the login on.
        self.send(&reply, 0, cx);
        let scope = match (agreed, asked.encryption) {
            _ if strict => None,
            (Encryption::Off, _) => Some(Scope::Login),
            // Without TLS of its own it can only hang up, or break the rules.
            (Encryption::None, _) | (Encryption::Required, Some(Encryption::None) | None) => None,
            (Encryption::On | Encryption::Required, _) => Some(Scope::All),
        };
        let known = self.known.get_or_insert_default();
        known.pre_login = Some(asked);
        known.encryption = Some(match scope {
            None if strict => "strict",
            None => "none",
            Some(Scope::Login) => "login",
            Some(_) => "all",
        });
        self.stage = Stage::Login;
        if let Some(scope) = scope {
            let Some(engine) = self.persona.wrapped.as_ref().and_then(|tls| tls.begin().ok()) else {
                return Flow::Close;
            };
            self.channel = Some(Box::new(Channel { engine, scope, plain: Vec::new() }));
            self.stage = Stage::Handshake;
        }
        Flow::Continue
    }

    /// A record outside packets.
    fn record(&mut self, record: &[u8], cx: &mut Cx<'_>) -> Flow {
        if self.channel.is_none() {
            let Some(engine) = self.persona.strict.as_ref().and_then(|tls| tls.begin().ok()) else {
                return Flow::Close;
            };
            self.channel = Some(Box::new(Channel { engine, scope: Scope::Strict, plain: Vec::new() }));
            self.known.get_or_insert_default().encryption = Some("strict");
        }
        self.tls(record, cx)
    }

    /// Bytes of TLS: goes on with the handshake, and acts on the packets inside.
    fn tls(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(channel) = &mut self.channel else { return Flow::Close };
        let wrapped = channel.scope != Scope::Strict && !channel.engine.established();
        channel.engine.receive(bytes);
        let read = channel.engine.read(&mut channel.plain);
        let outgoing = channel.engine.outgoing();
        if wrapped && !outgoing.is_empty() {
            cx.reply(packet::packets(PRE_LOGIN, 0, false, &outgoing));
        } else {
            cx.reply(outgoing);
        }
        self.known.get_or_insert_default().tls = channel.engine.facts().cloned();
        match read {
            Err(failure) => {
                cx.report(self.described(Sighting::of(&BROKEN).with("why", format!("TLS: {failure}"))));
                self.known = None;
                return Flow::Close;
            }
            Ok(true) => return Flow::Close,
            Ok(false) => {}
        }
        if channel.engine.established() && self.stage == Stage::Handshake {
            self.stage = Stage::Login;
        }
        loop {
            let Some(channel) = &mut self.channel else { return Flow::Continue };
            let mut input = Input::stream(&channel.plain);
            match Packet::read(&mut input) {
                Ok(packet) => {
                    let read = input.consumed();
                    channel.plain.drain(..read);
                    let flow = self.packet(packet, cx);
                    if flow != Flow::Continue {
                        return flow;
                    }
                }
                Err(Halt::Need(_)) => return Flow::Continue,
                Err(Halt::Malformed(why)) => {
                    let sent = std::mem::take(&mut channel.plain);
                    return self.broken(why, &sent, cx);
                }
            }
        }
    }

    /// A whole login.
    fn login(&mut self, login: Login, cx: &mut Cx<'_>) -> Flow {
        let channel = self.channel.as_ref();
        let exposed = channel
            .is_some_and(|channel| channel.plain.is_empty() && !channel.engine.established())
            || (channel.is_none() && self.persona.insists);
        if channel.is_some_and(|channel| channel.scope == Scope::Login) {
            self.channel = None;
        }
        let silent = login.broken || exposed;
        if login.windows || !login.sspi.is_empty() {
            let first = login.sspi.clone();
            let known = self.known.get_or_insert_default();
            (known.login, known.silent) = (Some(login), silent);
            return self.token(&first, cx);
        }
        self.sql(&login, silent, cx)
    }

    /// A login of SQL Server's own.
    fn sql(&mut self, login: &Login, silent: bool, cx: &mut Cx<'_>) -> Flow {
        let credentials = match &login.token {
            Some(token) => Credentials::new("federated").secret(Secret::Token(Untrusted::new(token))),
            None => Credentials::password("sql", &login.user, &login.password),
        };
        let no = answer::failed(&login.user, &self.persona.name, login);
        self.refuse(Sighting::of(&LOGIN).login(credentials), login, silent, &no, cx)
    }

    /// A token of the client's SSPI: the next one of ours, or the end.
    fn token(&mut self, token: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(known) = &mut self.known else { return Flow::Close };
        let step = known.sspi.take(&sspi::mended(token), &self.persona.windows, cx);
        let (seen, anonymous) = match step {
            Step::Reply { token, first } => {
                known.first = first.or(known.first.take());
                // Whoever broke the rules is not asked on.
                if known.silent {
                    return Flow::Close;
                }
                self.stage = Stage::Sspi;
                self.send(&answer::sspi(&token), self.spid, cx);
                return Flow::Continue;
            }
            Step::Done(attempt) => {
                let seen = attempt.facts(Sighting::of(&WINDOWS).login(attempt.login.clone()));
                (seen, attempt.identity() == Identity::Anonymous)
            }
            Step::Unknown => {
                let excerpt = Untrusted::new(token.get(..256).unwrap_or(token));
                let seen = Sighting::of(&WINDOWS).login(Credentials::new("sspi")).with("token", excerpt);
                (seen, false)
            }
        };
        let Some(login) = known.login.take() else { return Flow::Close };
        let (silent, name) = (known.silent, &self.persona.name);
        let no = match anonymous {
            true => answer::failed(br"NT AUTHORITY\ANONYMOUS LOGON", name, &login),
            false => answer::error(18452, self.persona.version.untrusted(), name, &login),
        };
        self.refuse(seen, &login, silent, &no, cx)
    }

    /// Reports the attempt, and says no; or nothing, to a login that a server does not read.
    fn refuse(&mut self, seen: Sighting, login: &Login, silent: bool, no: &[u8], cx: &mut Cx<'_>) -> Flow {
        let seen = self.described(login.describe(seen));
        self.known = None;
        cx.report(seen);
        if !silent {
            self.send(no, self.spid, cx);
        }
        Flow::Close
    }

    /// Adds what is known of the client apart from its login.
    fn described(&self, mut seen: Sighting) -> Sighting {
        let Some(known) = &self.known else { return seen };
        if let Some(asked) = &known.pre_login {
            let (major, minor, build, _) = asked.version;
            seen = seen.with("interface_version", format!("{major}.{minor}.{build}"));
            if !asked.instance.is_empty() {
                seen = seen.with("instance", Untrusted::new(&asked.instance));
            }
            if let Some(wanted) = asked.encryption {
                seen = seen.with("wants_encryption", wanted.name());
            }
        }
        if let Some(agreed) = known.encryption {
            seen = seen.with("encrypted", agreed);
        }
        if let Some(tls) = &known.tls {
            seen = seen.with("ja3", tls.ja3.as_str()).with("ja4", tls.ja4.as_str());
            if !tls.version.is_empty() {
                seen = seen.with("tls_version", tls.version.as_str()).with("cipher", tls.cipher.as_str());
            }
            if let Some(name) = &tls.sni {
                seen = seen.with("sni", name.clone());
            }
        }
        seen
    }

    fn broken(&mut self, why: &'static str, sent: &[u8], cx: &mut Cx<'_>) -> Flow {
        let excerpt = Untrusted::new(sent.get(..256).unwrap_or(sent));
        let mut seen = Sighting::of(&BROKEN).with("why", why).with("excerpt", excerpt);
        if let Some(login) = self.known.as_ref().and_then(|known| known.login.as_ref()) {
            seen = login.describe(seen);
        }
        cx.report(self.described(seen));
        self.known = None;
        Flow::Close
    }

    /// The conversation is over: what it revealed, if that was not reported yet.
    fn end(&mut self, cx: &mut Cx<'_>) {
        if let Some((kind, message)) = self.cut_short() {
            let login = match kind {
                Kind::Login7 => Login::read(&message),
                Kind::OldLogin => Login::read_old(&message),
                _ => None,
            };
            match login.filter(|login| !login.user.is_empty() || !login.password.is_empty()) {
                Some(login) => {
                    let login = Login { broken: true, ..login };
                    self.sql(&login, true, cx);
                }
                None => {
                    self.broken("message unfinished", &message, cx);
                }
            }
        }
        let Some(known) = &self.known else { return };
        let mut seen = Sighting::of(&PROBE);
        seen = match &known.login {
            Some(login) => {
                let seen = login.describe(seen.with("asked", "windows"));
                known.first.as_ref().map_or(seen.clone(), |first| first.facts(seen))
            }
            None => seen.with("asked", "version"),
        };
        cx.report(self.described(seen));
        self.known = None;
    }

    /// The message whose end never came, be it in packets or in part of one inside TLS.
    fn cut_short(&mut self) -> Option<(Kind, Vec<u8>)> {
        let inside =
            self.channel.as_mut().map(|channel| std::mem::take(&mut channel.plain)).unwrap_or_default();
        let part = inside.get(packet::HEADER..).filter(|part| !part.is_empty());
        match (self.unfinished.take(), part) {
            (Some((kind, message)), part) => Some((kind, [&message, part.unwrap_or_default()].concat())),
            (None, Some(part)) => Some((Kind::of(*inside.first()?)?, part.to_vec())),
            (None, None) => None,
        }
    }

    /// Sends one message, inside TLS where that is agreed on.
    fn send(&mut self, message: &[u8], spid: u16, cx: &mut Cx<'_>) {
        let packets = packet::packets(RESULT, spid, true, message);
        let Some(channel) = &mut self.channel else {
            cx.reply(packets);
            return;
        };
        // What cannot be encrypted is not sent; the connection is about to end.
        channel.engine.write(&packets).ok();
        cx.reply(channel.engine.outgoing());
    }
}
