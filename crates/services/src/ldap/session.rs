//! One connection: logins, searches, and everything else, which is refused.

use std::{mem, sync::Arc};

use haldane_core::{Cx, Flow, Halt, Input, Login, Peer, Session, Sighting};
use haldane_wire::{
    ntlm::{Identity, Negotiate},
    spnego::{Conversation, Step},
};

use super::{
    BIND, CHALLENGE, LOGIN,
    answer::{self, Ending, PAGED, code, tag},
    digest,
    evidence::{self, excerpt},
    message::{Bind, Message, Operation, Proof, Search},
    netlogon,
    persona::Persona,
    rootdse,
};

/// Extended request (MS-ADTS, section 3.1.1.3.4.2): TLS is to begin.
pub const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";
/// Extended request: as whom am I logged in?
pub const WHO_AM_I: &[u8] = b"1.3.6.1.4.1.4203.1.11.3";
/// Extended request: logins from now on are to be checked and nothing else.
pub const FAST_BIND: &[u8] = b"1.2.840.113556.1.4.1781";
/// The only package of what came before SASL.
const PACKAGE: &[u8] = b"NTLM";
/// Where nothing is spoken outside TLS: LDAPS, and the same for the global catalogue.
const SECURE: [u16; 2] = [636, 3269];
/// Where TLS is spoken on request alone. On all other ports, of which nobody knows, either will do.
const ON_REQUEST: [u16; 2] = [389, 3268];

/// One connection.
#[derive(Debug)]
pub struct Connection {
    persona: Arc<Persona>,
    /// The port of ours that the client came to.
    port: u16,
    login: Option<Box<Underway>>,
}

/// A login that awaits another token.
#[derive(Debug)]
enum Underway {
    /// Of Windows.
    Tokens(Conversation, Option<Negotiate>),
    /// Of DIGEST-MD5, with our challenge.
    Digest(String),
}

/// How the tokens of a login travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    /// As SASL has it.
    Sasl,
    /// As Microsoft had it before.
    Sicily,
}

impl Session for Connection {
    type Message = Message;

    fn begins_with_tls(&self) -> bool {
        !ON_REQUEST.contains(&self.port)
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        Message::read(input)
    }

    fn handle(&mut self, mut message: Message, cx: &mut Cx<'_>) -> Flow {
        if evidence::has_lookup(&message.raw) {
            cx.report(evidence::lookup(&message.raw));
        }
        let flow = match mem::replace(&mut message.body, Ok(Operation::Unbind)) {
            Err(why) => {
                cx.report(evidence::broken(why, &message.raw));
                say(answer::disconnection(self.persona.not_decoded()), cx);
                Flow::Close
            }
            Ok(operation) => self.operation(operation, &message, cx),
        };
        // What is said outside TLS where all is inside it is evidence, and not answered.
        let flow = if deaf(cx) { Flow::Reset } else { flow };
        if flow != Flow::Continue {
            self.end(cx);
        }
        flow
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.end(cx);
        say(answer::disconnection(self.persona.not_decoded()), cx);
        Flow::Close
    }

    fn over(&mut self, cx: &mut Cx<'_>) {
        self.end(cx);
    }
}

impl Connection {
    /// A connection to that controller.
    pub fn new(persona: Arc<Persona>, peer: &Peer) -> Self {
        Self { persona, port: peer.local.port(), login: None }
    }

    fn operation(&mut self, operation: Operation, message: &Message, cx: &mut Cx<'_>) -> Flow {
        let id = message.id.unwrap_or_default();
        match operation {
            Operation::Bind(bind) => {
                let ending = self.bind(bind, message, cx);
                say(ending.encode(id, tag::BIND), cx);
                Flow::Continue
            }
            Operation::Search(search) => {
                cx.report(evidence::search(&search, message, &self.persona));
                say(found(&self.persona, &search, message, cx), cx);
                Flow::Continue
            }
            Operation::Unbind => Flow::Close,
            other => self.refused(&other, message, cx),
        }
    }

    /// What nobody may who is not logged in, and what everybody may.
    fn refused(&mut self, operation: &Operation, message: &Message, cx: &mut Cx<'_>) -> Flow {
        let id = message.id.unwrap_or_default();
        cx.report(evidence::request(operation, message));
        let tag = match operation {
            Operation::Modify { .. } => tag::MODIFY,
            Operation::Add { .. } => tag::ADD,
            Operation::Delete(_) => tag::DELETE,
            Operation::Rename { .. } => tag::RENAME,
            Operation::Compare { .. } => tag::COMPARE,
            Operation::Extended { oid, .. } => return self.extended(id, oid, cx),
            Operation::Abandon(_) => return Flow::Continue,
            Operation::Unknown(_) | Operation::Bind(_) | Operation::Search(_) | Operation::Unbind => {
                say(answer::disconnection(self.persona.not_decoded()), cx);
                return Flow::Close;
            }
        };
        say(Ending::failure(code::OPERATIONS, self.persona.unbound()).encode(id, tag), cx);
        Flow::Continue
    }

    fn extended(&mut self, id: i64, oid: &[u8], cx: &mut Cx<'_>) -> Flow {
        let (ending, flow) = match oid {
            START_TLS if cx.tls().is_some() => {
                (Ending::failure(code::OPERATIONS, self.persona.tls_twice()).name(oid), Flow::Continue)
            }
            START_TLS => (Ending::success().name(oid), Flow::StartTls),
            // Nobody: an empty name (RFC 4532, section 2.2).
            WHO_AM_I => (Ending::success().value(b""), Flow::Continue),
            FAST_BIND => (Ending::success().name(oid), Flow::Continue),
            _ => (Ending::failure(code::PROTOCOL, self.persona.no_extension()), Flow::Continue),
        };
        say(ending.encode(id, tag::EXTENDED), cx);
        flow
    }

    fn bind(&mut self, bind: Bind, message: &Message, cx: &mut Cx<'_>) -> Ending {
        let version = bind.version;
        let noted = |seen: Sighting| if version == 3 { seen } else { seen.with("version", version) };
        match bind.proof {
            Proof::Simple(password) => {
                self.end(cx);
                if bind.name.is_empty() && password.is_empty() {
                    cx.report(noted(Sighting::of(&BIND)));
                    return Ending::success();
                }
                cx.report(noted(evidence::simple(&bind.name, &password)));
                if password.is_empty() {
                    // A name without a password is nobody (RFC 4513, section 5.1.2).
                    return Ending::success();
                }
                match self.persona.stronger().filter(|_| cx.tls().is_none()) {
                    Some(text) => Ending::failure(code::STRONGER, text),
                    None => self.wrong_password(&bind.name),
                }
            }
            Proof::Sasl { mechanism, token } => self.sasl(&mechanism, &token, message, cx),
            Proof::SicilyPackages => {
                cx.report(Sighting::of(&BIND).with("mechanism", "sicily"));
                Ending { matched: PACKAGE.to_vec(), ..Ending::success() }
            }
            Proof::SicilyNegotiate(token) => {
                self.end(cx);
                self.token(&token, Carrier::Sicily, "sicily", cx)
            }
            Proof::SicilyResponse(token) => self.token(&token, Carrier::Sicily, "sicily", cx),
            Proof::Unknown(kind, content) => {
                let seen = Sighting::of(&BIND).with("name", bind.name).with("method", kind);
                cx.report(noted(seen.with("excerpt", excerpt(&content))));
                Ending::failure(code::METHOD, self.persona.no_method())
            }
        }
    }

    /// A distinguished name must be one of the domain's, or there is no such user; of all others only the login is
    /// said to have failed.
    fn wrong_password(&self, name: &[u8]) -> Ending {
        let builtin = ["Administrator", "Guest", "krbtgt"].iter().any(|user| {
            let known = format!("CN={user},CN=Users,{}", self.persona.naming);
            name.eq_ignore_ascii_case(known.as_bytes())
        });
        let data = if name.contains(&b'=') && !builtin { "525" } else { "52e" };
        Ending::failure(code::CREDENTIALS, self.persona.wrong_password(data))
    }

    fn sasl(&mut self, mechanism: &[u8], token: &[u8], message: &Message, cx: &mut Cx<'_>) -> Ending {
        let is = |name: &str| mechanism.eq_ignore_ascii_case(name.as_bytes());
        if is("DIGEST-MD5") {
            return self.digest(token, cx);
        }
        if ["GSS-SPNEGO", "GSSAPI", "NTLM"].iter().any(|name| is(name)) {
            return self.token(token, Carrier::Sasl, "sasl", cx);
        }
        self.end(cx);
        let seen = match plain(token).filter(|_| is("PLAIN")) {
            Some(login) => Sighting::of(&LOGIN).login(login),
            None => {
                let seen = Sighting::of(&BIND).with("mechanism", mechanism);
                if token.is_empty() { seen } else { seen.with("excerpt", excerpt(&message.raw)) }
            }
        };
        cx.report(seen);
        Ending::failure(code::METHOD, self.persona.no_method())
    }

    /// A token of NTLM, SPNEGO or Kerberos.
    fn token(&mut self, token: &[u8], carrier: Carrier, method: &'static str, cx: &mut Cx<'_>) -> Ending {
        if let Some(Underway::Digest(_)) = self.login.as_deref() {
            self.end(cx);
        }
        let (mut conversation, before) = match self.login.take().map(|login| *login) {
            Some(Underway::Tokens(conversation, first)) => (conversation, first),
            Some(Underway::Digest(_)) | None => (Conversation::default(), None),
        };
        match conversation.take(token, &self.persona.windows, cx) {
            Step::Reply { token, first } => {
                self.login = Some(Box::new(Underway::Tokens(conversation, first.or(before))));
                match carrier {
                    Carrier::Sasl => Ending { code: code::IN_PROGRESS, ..Ending::success() }.token(&token),
                    Carrier::Sicily => Ending { matched: token, ..Ending::success() },
                }
            }
            Step::Done(attempt) => {
                let seen = attempt.facts(Sighting::of(&LOGIN).login(attempt.login.clone()));
                cx.report(seen.with("method", method));
                match attempt.identity() {
                    Identity::Anonymous if attempt.accept.is_empty() => Ending::success(),
                    Identity::Anonymous => Ending::success().token(&attempt.accept),
                    Identity::Guest | Identity::User => {
                        Ending::failure(code::CREDENTIALS, self.persona.wrong_proof())
                    }
                }
            }
            Step::Unknown => {
                if before.is_some() {
                    self.login = Some(Box::new(Underway::Tokens(conversation, before)));
                    self.end(cx);
                }
                let seen = Sighting::of(&BIND).with("mechanism", method);
                cx.report(if token.is_empty() { seen } else { seen.with("excerpt", excerpt(token)) });
                Ending::failure(code::CREDENTIALS, self.persona.wrong_token())
            }
        }
    }

    fn digest(&mut self, token: &[u8], cx: &mut Cx<'_>) -> Ending {
        match self.login.take().map(|login| *login) {
            Some(Underway::Digest(challenge)) if !token.is_empty() => {
                cx.report(Sighting::of(&LOGIN).login(digest::login(challenge.as_bytes(), token)));
                Ending::failure(code::CREDENTIALS, self.persona.wrong_proof())
            }
            other => {
                self.login = other.map(Box::new);
                self.end(cx);
                let challenge = digest::challenge(&cx.random(), &self.persona.windows.domain);
                let ending = Ending { code: code::IN_PROGRESS, ..Ending::success() };
                let ending = ending.token(challenge.as_bytes());
                self.login = Some(Box::new(Underway::Digest(challenge)));
                ending
            }
        }
    }

    /// The login that is under way will not be finished: what it revealed so far.
    fn end(&mut self, cx: &mut Cx<'_>) {
        let seen = match self.login.take().map(|login| *login) {
            Some(Underway::Tokens(conversation, first)) if conversation.nonce().is_some() => {
                first.unwrap_or_default().facts(Sighting::of(&CHALLENGE))
            }
            Some(Underway::Tokens(..)) => Sighting::of(&BIND).with("mechanism", "GSS-SPNEGO"),
            Some(Underway::Digest(_)) => Sighting::of(&BIND).with("mechanism", "DIGEST-MD5"),
            None => return,
        };
        cx.report(seen);
    }
}

/// What a search finds: what a controller says about itself to everybody, and nothing else.
pub fn found(persona: &Persona, search: &Search, message: &Message, cx: &Cx<'_>) -> Vec<u8> {
    let id = message.id.unwrap_or_default();
    let known = |oid: &[u8]| rootdse::knows(persona, oid);
    if message.controls.iter().any(|control| control.critical && !known(&control.oid)) {
        let words = "00002040: SvcErr: DSID-031401E7, problem 5010 (UNAVAIL_EXTENSION), data 0\n";
        return Ending::failure(code::EXTENSION, words.into()).encode(id, tag::DONE);
    }
    if !search.base.is_empty() || search.scope != 0 {
        return Ending::failure(code::OPERATIONS, persona.unbound()).encode(id, tag::DONE);
    }
    let mut attributes = if netlogon::asked(&search.filter) {
        let answer = netlogon::answer(persona, &search.filter);
        answer.map(|answer| (netlogon::ATTRIBUTE.to_vec(), vec![answer])).into_iter().collect()
    } else if search.filter.is_present("objectClass") {
        rootdse::attributes(persona, &search.attributes, cx.now())
    } else {
        Vec::new()
    };
    if search.types_only {
        attributes.iter_mut().for_each(|(_, values)| values.clear());
    }
    let nothing = attributes.is_empty() && !search.filter.is_present("objectClass");
    let mut reply = if nothing { Vec::new() } else { answer::entry(id, &attributes) };
    let paged = message.controls.iter().any(|control| control.oid == PAGED);
    let end = Ending::success();
    reply.extend(if paged { end.last_page(id) } else { end.encode(id, tag::DONE) });
    reply
}

/// A password that a mechanism carries which a controller does not have (RFC 4616).
fn plain(token: &[u8]) -> Option<Login> {
    let mut parts = token.splitn(3, |byte| *byte == 0);
    let (_, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    Some(Login::password("plain", user, password))
}

/// Whether what is said here is not heard.
fn deaf(cx: &Cx<'_>) -> bool {
    cx.tls().is_none() && SECURE.contains(&cx.peer().local.port())
}

fn say(bytes: Vec<u8>, cx: &mut Cx<'_>) {
    if !deaf(cx) {
        cx.reply(bytes);
    }
}
