//! One connection: pre-login, TLS, login, and Windows authentication.

use std::sync::Arc;

use haldane_core::{
    Cx, Flow, Halt, Input, Login as Credentials, Secret, Session, Sighting, Timeout, Untrusted,
};
use haldane_tls::Engine;

use super::{
    BROKEN, LOGIN, PROBE, WINDOWS, answer,
    login::{self, Login},
    packet::{self, Encryption, Kind, Packet, PreLogin},
    persona::Persona,
    sspi::{self, Token},
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
    /// The answer to our challenge.
    Sspi([u8; 8]),
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
    /// Domain and workstation of its first token.
    names: Option<(Vec<u8>, Vec<u8>)>,
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

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        self.end(cx);
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.end(cx);
        Flow::Close
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
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
            (Stage::Sspi(nonce), Kind::Sspi) => self.answered(&nonce, &message, cx),
            (Stage::Sspi(_), _) | (_, Kind::Other(_) | Kind::PreLogin | Kind::Sspi) => {
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
        let broken = login.broken || exposed;
        let asks = match login.windows || !login.sspi.is_empty() {
            true => Some(sspi::read(&login.sspi)),
            false => None,
        };
        match asks {
            Some(Token::Negotiate(domain, workstation)) if !broken => {
                let nonce = cx.random();
                self.send(&answer::sspi(&sspi::challenge(&nonce, &self.persona.machine)), self.spid, cx);
                let known = self.known.get_or_insert_default();
                (known.login, known.names) = (Some(login), Some((domain, workstation)));
                self.stage = Stage::Sspi(nonce);
                return Flow::Continue;
            }
            Some(_) => {
                let excerpt = Untrusted::new(login.sspi.get(..256).unwrap_or(&login.sspi));
                let seen = Sighting::of(&WINDOWS).login(Credentials::new("sspi").user(&login.user));
                let text = self.persona.version.untrusted();
                self.refuse(seen.with("token", excerpt), &login, broken, cx, |server| {
                    answer::error(18452, text, server, &login)
                })
            }
            None => {
                let credentials = match &login.token {
                    Some(token) => Credentials::new("federated").secret(Secret::Token(Untrusted::new(token))),
                    None => Credentials::password("sql", &login.user, &login.password),
                };
                let seen = Sighting::of(&LOGIN).login(credentials);
                self.refuse(seen, &login, broken, cx, |server| answer::failed(&login.user, server, &login))
            }
        }
    }

    /// The answer to our challenge.
    fn answered(&mut self, nonce: &[u8; 8], token: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(login) = self.known.as_mut().and_then(|known| known.login.take()) else {
            return Flow::Close;
        };
        let Token::Answer(found) = sspi::read(token) else {
            return self.broken("no answer to the challenge", token, cx);
        };
        let mut seen = Sighting::of(&WINDOWS).login(sspi::login(&found, nonce));
        if !found.workstation.is_empty() {
            seen = seen.with("workstation", Untrusted::new(&found.workstation));
        }
        let text = self.persona.version.untrusted();
        let anonymous = found.user.is_empty() && found.nt.is_empty();
        self.refuse(seen, &login, false, cx, |server| match anonymous {
            true => answer::failed(br"NT AUTHORITY\ANONYMOUS LOGON", server, &login),
            false => answer::error(18452, text, server, &login),
        })
    }

    /// Reports the attempt, and says no; or nothing, to a login that a server does not read.
    fn refuse(
        &mut self,
        seen: Sighting,
        login: &Login,
        silent: bool,
        cx: &mut Cx<'_>,
        no: impl FnOnce(&str) -> Vec<u8>,
    ) -> Flow {
        let seen = self.described(login.describe(seen));
        self.known = None;
        cx.report(seen);
        if !silent {
            let no = no(&self.persona.name);
            self.send(&no, self.spid, cx);
        }
        Flow::Close
    }

    /// Adds what is known of the client apart from its login.
    fn described(&self, mut seen: Sighting) -> Sighting {
        let Some(known) = &self.known else { return seen };
        if let Some(asked) = &known.pre_login {
            let (major, minor, build, _) = asked.version;
            seen = seen.with("client_version", format!("{major}.{minor}.{build}"));
            if !asked.instance.is_empty() {
                seen = seen.with("instance", Untrusted::new(&asked.instance));
            }
            if let Some(wanted) = asked.encryption {
                seen = seen.with("wants_encryption", wanted.name());
            }
        }
        if let Some(agreed) = known.encryption {
            seen = seen.with("encryption", agreed);
        }
        if let Some((domain, workstation)) = &known.names {
            for (key, name) in [("client_domain", domain), ("client_workstation", workstation)] {
                if !name.is_empty() {
                    seen = seen.with(key, Untrusted::new(name));
                }
            }
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
        let Some(known) = &self.known else { return };
        let mut seen = Sighting::of(&PROBE);
        seen = match &known.login {
            Some(login) => login.describe(seen.with("asked", "windows")),
            None => seen.with("asked", "version"),
        };
        cx.report(self.described(seen));
        self.known = None;
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
