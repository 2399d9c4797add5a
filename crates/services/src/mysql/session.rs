//! One connection: greeting, login, and what may come between them.

use std::sync::Arc;

use haldane_core::{Cx, Flow, Halt, Input, Session, Sighting, Timeout};

use super::{
    COMMAND, CONNECTION, HANDSHAKE,
    attempt::{Attempt, plugin_is},
    packet::{self, Capabilities, First, Login},
    persona::{Account, Persona},
    text,
};

/// The largest packet that is read; a server would take 16 MiB here.
pub const LARGEST: usize = 48 * 1024;

/// Clients that send the password itself when asked to, on any line, by the name they give themselves. Others
/// need a flag that nobody sets.
const GIVE: [&str; 2] = ["libmariadb", "pymysql"];
/// Clients that do so inside TLS.
const GIVE_INSIDE_TLS: [&str; 4] =
    ["mysql-connector-python", "MySQL Connector/J", "MySQL Connector Java", "MariaDB Connector/J"];

/// Databases that every server has.
const DATABASES: [&str; 4] = ["information_schema", "mysql", "performance_schema", "sys"];

/// What the client is to say next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Who it is.
    Login,
    /// Its answer by the account's plugin, after another.
    Answer,
    /// The password itself.
    Clear,
    /// The password, encrypted, or a wish for our key: full authentication.
    Full,
    /// The password, encrypted with our key.
    Sealed,
    /// A command.
    Command,
    /// More of a packet that is too large to be read.
    Flood,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    persona: Arc<Persona>,
    salt: [u8; 20],
    stage: Stage,
    /// The number that the next packet must have, in either direction.
    sequence: u8,
    attempt: Option<Box<Attempt>>,
}

/// What a client sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// The first packet.
    First(First, Vec<u8>),
    /// Any later one.
    Packet(Vec<u8>),
    /// A packet that is not its turn; only its header was read.
    OutOfOrder([u8; 4]),
    /// The beginning of a PROXY header, version 1 or 2.
    Proxy([u8; 4]),
    /// A packet of that length, which will not be read.
    Large(u32),
    /// Some of it.
    Flood,
}

impl Session for Connection {
    type Message = Message;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        if self.persona.log_connections {
            cx.report(Sighting::of(&CONNECTION));
        }
        self.salt = self.persona.salt(cx.random());
        let greeting = packet::greeting(&self.persona, self.persona.next_thread(), &self.salt);
        self.send(&greeting, cx);
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        if self.stage == Stage::Flood {
            input.take_rest();
            return Ok(Message::Flood);
        }
        let header = input.array::<4>()?;
        let [a, b, c, sequence] = header;
        let first = self.stage == Stage::Login && self.sequence == 1;
        if first && self.persona.mariadb && (header == *b"PROX" || header == *b"\r\n\r\n") {
            return Ok(Message::Proxy(header));
        }
        if sequence != self.sequence {
            return Ok(Message::OutOfOrder(header));
        }
        let length = u32::from_le_bytes([a, b, c, 0]);
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= LARGEST) else {
            return Ok(Message::Large(length));
        };
        let body = input.take(length)?;
        Ok(match self.stage {
            Stage::Login => {
                // A second request for TLS, inside TLS, is none.
                let ssl = self.persona.ssl && self.sequence == 1;
                Message::First(packet::first(body, self.persona.capabilities, ssl), body.to_vec())
            }
            _ => Message::Packet(body.to_vec()),
        })
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message {
            Message::Proxy(header) => {
                self.odd("PROXY header", &header, cx);
                let text = format!("Proxy header is not accepted from {}", cx.peer().remote.ip());
                // ER_HOST_NOT_PRIVILEGED
                self.refuse(1130, "HY000", text.as_bytes(), true, cx)
            }
            Message::OutOfOrder(header) => {
                self.odd("packet out of order", &header, cx);
                self.finish_attempt(cx);
                // ER_NET_PACKETS_OUT_OF_ORDER
                self.refuse(1156, "08S01", b"Got packets out of order", true, cx)
            }
            Message::Large(length) => {
                self.odd("packet too large", &length.to_le_bytes(), cx);
                self.finish_attempt(cx);
                self.stage = Stage::Flood;
                Flow::Continue
            }
            Message::Flood => Flow::Continue,
            Message::First(first, body) => {
                self.sequence = self.sequence.wrapping_add(1);
                self.first(first, &body, cx)
            }
            Message::Packet(body) => {
                self.sequence = self.sequence.wrapping_add(1);
                self.later(&body, cx)
            }
        }
    }

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        self.finish_attempt(cx);
    }

    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.finish_attempt(cx);
        Flow::Close
    }

    fn plain(&mut self, _head: &[u8], cx: &mut Cx<'_>) {
        self.bad_handshake(true, cx);
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        self.finish_attempt(cx);
    }
}

impl Connection {
    /// A connection to that server, before its greeting.
    pub fn new(persona: Arc<Persona>) -> Self {
        Self { persona, salt: [0; 20], stage: Stage::Login, sequence: 0, attempt: None }
    }

    fn first(&mut self, first: First, body: &[u8], cx: &mut Cx<'_>) -> Flow {
        let login = match first {
            First::SslRequest if cx.tls().is_none() => return Flow::StartTls,
            First::SslRequest => return self.bad_handshake(true, cx),
            First::Bad { modern } => {
                self.odd("no handshake response", body, cx);
                return self.bad_handshake(modern, cx);
            }
            First::Login(login) => login,
        };
        let attempt = Attempt::new(*login, self.salt, cx.tls().is_some());
        let login = &self.attempt.insert(Box::new(attempt)).login;
        if !login.modern {
            return self.old(cx);
        }
        if let Some(name) = text::unfit(login.charset) {
            let message = format!("Variable 'character_set_client' can't be set to the value of '{name}'");
            self.finish_attempt(cx);
            // ER_WRONG_VALUE_FOR_VAR
            return self.refuse(1231, "42000", message.as_bytes(), true, cx);
        }
        let answer = login.answer.clone();
        match offered(login) {
            Offered::Nothing if answer.is_empty() => self.denied(false, cx),
            Offered::Nothing | Offered::Old => self.too_old(true, cx),
            Offered::Native if self.persona.account == Account::Native => self.answered(&answer, cx),
            Offered::CachingSha2 if self.persona.account == Account::CachingSha2 => {
                self.answered(&answer, cx)
            }
            // A client without plugins cannot be asked for another one.
            Offered::Native if !login.can(Capabilities::PLUGIN_AUTH) => self.too_old(true, cx),
            Offered::Native | Offered::CachingSha2 | Offered::Other => {
                self.ask(Stage::Answer, &packet::switch(self.persona.account.plugin(), &self.salt), cx)
            }
        }
    }

    /// A client older than 4.1: no plugins, no SQL states.
    fn old(&mut self, cx: &mut Cx<'_>) -> Flow {
        let (answer, secure) = match &self.attempt {
            Some(attempt) => (attempt.login.answer.len(), attempt.login.can(Capabilities::SECURE_CONNECTION)),
            None => (0, false),
        };
        match answer {
            0 => self.denied(false, cx),
            20 if secure && self.persona.account == Account::Native => self.denied(true, cx),
            _ if secure && self.persona.account == Account::Native => {
                self.finish_attempt(cx);
                self.bad_handshake(false, cx)
            }
            _ => self.too_old(false, cx),
        }
    }

    /// Everything after the first packet.
    fn later(&mut self, body: &[u8], cx: &mut Cx<'_>) -> Flow {
        match self.stage {
            Stage::Answer => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.answer(self.persona.account.plugin(), body);
                }
                self.answered(body, cx)
            }
            Stage::Clear => {
                self.keep_clear(body);
                self.denied(true, cx)
            }
            Stage::Full if cx.tls().is_some() => {
                self.keep_clear(body);
                self.denied(true, cx)
            }
            // The wish for our key.
            Stage::Full if body == [2] => match &self.persona.key {
                Some(key) => {
                    let answer = [&[1], key.public()].concat();
                    self.ask(Stage::Sealed, &answer, cx)
                }
                None => self.denied(true, cx),
            },
            Stage::Full | Stage::Sealed => {
                let opened = self.persona.key.as_ref().and_then(|key| key.open(body, &self.salt));
                match opened {
                    Some(password) => self.keep_clear(&password),
                    // Some clients believe a line of their own machine to be as good as TLS.
                    None if self.stage == Stage::Full && body.ends_with(&[0]) => self.keep_clear(body),
                    None => self.odd("not encrypted with our key", body, cx),
                }
                self.denied(true, cx)
            }
            Stage::Command => self.command(body, cx),
            Stage::Login | Stage::Flood => Flow::Close,
        }
    }

    /// The account's own plugin has its answer.
    fn answered(&mut self, answer: &[u8], cx: &mut Cx<'_>) -> Flow {
        match (self.persona.account, answer) {
            (_, []) | (Account::CachingSha2, [0]) => self.denied(false, cx),
            (Account::Native, _) if answer.len() != 20 => {
                self.finish_attempt(cx);
                self.bad_handshake(true, cx)
            }
            (Account::Native, _) if self.gives_clear_text(cx) => {
                self.ask(Stage::Clear, &packet::switch(packet::CLEAR, &self.salt), cx)
            }
            // "Perform full authentication": this answer is not in the cache.
            (Account::CachingSha2, _) if answer.len() == 32 && self.persona.clear_text => {
                self.ask(Stage::Full, &[1, 4], cx)
            }
            _ => self.denied(true, cx),
        }
    }

    /// Whether this client is known to send the password itself when asked for it.
    fn gives_clear_text(&self, cx: &Cx<'_>) -> bool {
        let Some(attempt) = self.attempt.as_ref().filter(|_| self.persona.clear_text) else { return false };
        let login = &attempt.login;
        let Some(name) = login.attribute("_client_name").filter(|_| login.can(Capabilities::PLUGIN_AUTH))
        else {
            return false;
        };
        let named = |known: &&str| known.as_bytes() == name;
        !plugin_is(login, packet::CLEAR)
            && (GIVE.iter().any(named) || (cx.tls().is_some() && GIVE_INSIDE_TLS.iter().any(named)))
    }

    fn keep_clear(&mut self, sent: &[u8]) {
        if let Some(attempt) = &mut self.attempt {
            attempt.clear(sent);
        }
    }

    /// Sends a question; the attempt stays open until it is answered, or never will be.
    fn ask(&mut self, stage: Stage, question: &[u8], cx: &mut Cx<'_>) -> Flow {
        self.stage = stage;
        self.send(question, cx);
        Flow::Continue
    }

    /// The end of an attempt: lets in who needs no password and has none, refuses all others.
    fn denied(&mut self, password: bool, cx: &mut Cx<'_>) -> Flow {
        let Some(attempt) = &self.attempt else { return Flow::Close };
        let login = &attempt.login;
        let modern = login.modern;
        if !password && self.persona.open.iter().any(|user| user.as_bytes() == login.user) {
            let database = login.database.clone().unwrap_or_default();
            self.finish_attempt(cx);
            if !database.is_empty() && !DATABASES.iter().any(|own| own.as_bytes() == database) {
                let name = String::from_utf8_lossy(&database);
                // ER_BAD_DB_ERROR
                return self.refuse(
                    1049,
                    "42000",
                    format!("Unknown database '{name}'").as_bytes(),
                    modern,
                    cx,
                );
            }
            self.send(&packet::ok(modern), cx);
            (self.stage, self.sequence) = (Stage::Command, 0);
            return Flow::Continue;
        }
        let mysql8 = self.persona.account == Account::CachingSha2;
        let collation = if modern { login.charset } else { self.persona.charset };
        let user = text::shown(&login.user, collation, mysql8, self.persona.shown);
        let message = text::denied(&user, &text::host(cx.peer().remote.ip()), password);
        self.finish_attempt(cx);
        // ER_ACCESS_DENIED_ERROR
        self.refuse(1045, "28000", &message, modern, cx)
    }

    fn too_old(&mut self, modern: bool, cx: &mut Cx<'_>) -> Flow {
        self.finish_attempt(cx);
        let message = format!(
            "Client does not support authentication protocol requested by server; consider upgrading {} client",
            self.persona.product()
        );
        // ER_NOT_SUPPORTED_AUTH_MODE
        self.refuse(1251, "08004", message.as_bytes(), modern, cx)
    }

    fn bad_handshake(&mut self, modern: bool, cx: &mut Cx<'_>) -> Flow {
        // ER_HANDSHAKE_ERROR
        self.refuse(1043, "08S01", b"Bad handshake", modern, cx)
    }

    /// A command of somebody who was let in: nothing may be done.
    fn command(&mut self, body: &[u8], cx: &mut Cx<'_>) -> Flow {
        self.sequence = 1;
        let (code, argument) = body.split_first().map_or((0, body), |(code, argument)| (*code, argument));
        cx.report(Sighting::of(&COMMAND).with("code", code).with("argument", argument));
        match code {
            // COM_QUIT
            1 => return Flow::Leave,
            // COM_PING
            14 => self.send(&packet::ok(true), cx),
            // COM_QUERY that only sets up the connection
            3 if argument.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"set ")) => {
                self.send(&packet::ok(true), cx);
            }
            // ER_SPECIFIC_ACCESS_DENIED_ERROR
            _ => {
                let message =
                    b"Access denied; you need (at least one of) the SUPER privilege(s) for this operation";
                self.send(&packet::error(1227, Some("42000"), message), cx);
            }
        }
        self.sequence = 0;
        Flow::Continue
    }

    /// Says no and hangs up; a server has read no further than it had to.
    fn refuse(&mut self, code: u16, state: &str, message: &[u8], modern: bool, cx: &mut Cx<'_>) -> Flow {
        self.send(&packet::error(code, modern.then_some(state), message), cx);
        Flow::Leave
    }

    fn finish_attempt(&mut self, cx: &mut Cx<'_>) {
        if let Some(attempt) = self.attempt.take() {
            cx.report(attempt.sighting());
        }
    }

    fn odd(&self, why: &'static str, sent: &[u8], cx: &mut Cx<'_>) {
        let excerpt = sent.get(..256).unwrap_or(sent);
        cx.report(Sighting::of(&HANDSHAKE).with("why", why).with("excerpt", excerpt));
    }

    /// Sends one packet. Ours are far shorter than the 16 MiB of one.
    fn send(&mut self, body: &[u8], cx: &mut Cx<'_>) {
        let length = u32::try_from(body.len()).unwrap_or_default();
        let [a, b, c, _] = length.to_le_bytes();
        cx.reply([a, b, c, self.sequence]);
        cx.reply(body);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// What a client's first answer is.
enum Offered {
    /// By `mysql_native_password`.
    Native,
    /// By `caching_sha2_password`.
    CachingSha2,
    /// By the hash of 3.23, and it says so.
    Old,
    /// By a client that knows no plugins and only that hash.
    Nothing,
    /// By any other plugin.
    Other,
}

fn offered(login: &Login) -> Offered {
    let lengths = Capabilities::SECURE_CONNECTION | Capabilities::PLUGIN_AUTH_LENENC;
    match (&login.plugin, login.can(Capabilities::PLUGIN_AUTH)) {
        (None, true) => Offered::Native,
        (None, false) if login.can(Capabilities::SECURE_CONNECTION) => Offered::Native,
        (None, false) => Offered::Nothing,
        // It cannot have sent the 20 bytes of this plugin.
        (Some(_), _) if !login.answer.is_empty() && !login.can(lengths) => Offered::Other,
        (Some(_), _) if plugin_is(login, packet::NATIVE) => Offered::Native,
        (Some(_), _) if plugin_is(login, packet::CACHING_SHA2) => Offered::CachingSha2,
        (Some(_), _) if plugin_is(login, packet::OLD) => Offered::Old,
        (Some(_), _) => Offered::Other,
    }
}
