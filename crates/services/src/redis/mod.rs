//! Redis with a password set: refuses everything in the words of the version that it claims.
//!
//! Reports `redis.command` for each command, with the credentials of `AUTH` and `HELLO … AUTH`, and
//! `redis.malformed` for what the server hangs up on or never answers.
//! Protocol: the Redis serialization protocol specification (RESP2 and RESP3) and its inline commands.
//! Texts and their order (unknown command, arity, protected command, authentication) as in Redis 7.0.15,
//! recorded; earlier and later versions as their release notes tell.
//!
//! Read `resp` for the grammar, `answer` for the words, `commands` for the table, `attack` for what
//! is recognised.

mod answer;
mod attack;
mod commands;
mod resp;

use std::{sync::Arc, time::Duration};

use haldane_core::{
    Class, Compat, Cx, Flow, Halt, Host, Input, Kind, Limits, Login, Peer, Protocol, Secret, Section,
    Session, Severity, Sighting, Untrusted, Value,
};

use answer::Version;
use resp::{Broken, Message, Multibulk};

/// A command, with the credentials that it offered.
pub static COMMAND: Kind = Kind::new(17001, "redis.command", Class::Command, Severity::Low, "Redis command")
    .compat(&[Compat::field("CMD", "command"), Compat::field("ARGS", "args")]);
/// Bytes that are no command.
pub static MALFORMED: Kind =
    Kind::new(30700, "redis.malformed", Class::Probe, Severity::Low, "Malformed Redis command");

/// How much of the answers to an HTTP request is held back.
const HELD: usize = 16 * 1024;

/// How many arguments are recorded one by one. The count is recorded, too.
const RECORDED: usize = 64;

/// The service.
#[derive(Debug)]
pub struct Redis {
    server: Arc<Server>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    version: Version,
    cut: usize,
}

impl Protocol for Redis {
    const NAME: &'static str = "redis";
    const PORT: u16 = 6379;
    /// Redis never hangs up on silence (`timeout 0`). A frame holds an inline command, 64 KiB at most
    /// (PROTO_INLINE_MAX_SIZE), with its line ending; larger arguments are consumed in pieces.
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(600),
        lifetime: Duration::from_secs(3600),
        frame: resp::LINE + 4,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&COMMAND, &MALFORMED];
    const TRY: &'static str = "redis-cli -h {host} -p {port} auth secret";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        let version =
            section.text("version", "7.0.15", "The version whose answers are given, from 2.8 to 8.x.");
        let version = Version::parse(&version).unwrap_or_else(|| {
            section.invalid("version", "expected a version of Redis from 2.8 on, such as \"7.0.15\"");
            Version::DEFAULT
        });
        let cut = section.number(
            "max_arg_length",
            30,
            1..=65_536,
            "How many bytes of the arguments the compatible log shows. The native log has them all.",
        );
        let cut = usize::try_from(cut).unwrap_or(usize::MAX);
        Self { server: Arc::new(Server { version, cut }) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection { server: Arc::clone(&self.server), reading: None, deaf: false, held: None }
    }
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    /// The command being received, if it came as an array.
    reading: Option<Box<Multibulk>>,
    /// A NUL byte where a line ending was looked for: Redis (C strings) never finds one after it.
    deaf: bool,
    /// Answers to the lines of an HTTP request so far. Redis reads all of a request before it writes anything, and
    /// hangs up without a word at its `Host:` (CVE-2016-10517 and what browsers can be made to send).
    held: Option<Vec<u8>>,
}

impl Session for Connection {
    type Message = Message;

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        match (&self.reading, self.deaf) {
            (_, true) => resp::unheard(input),
            (Some(reading), _) => reading.next(input, self.server.version.unauthenticated_limits()),
            (None, _) => resp::begin(input, self.server.version.unauthenticated_limits()),
        }
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message {
            Message::Nothing => {
                self.release(cx);
                Flow::Continue
            }
            Message::Inline(line) => match resp::split(&line) {
                Some(words) if words.is_empty() => Flow::Continue,
                Some(words) => self.line(&words, cx),
                None => {
                    self.release(cx);
                    self.broken(Broken::Quotes, &line, cx)
                }
            },
            Message::Begin(words) => {
                self.release(cx);
                self.reading = Some(Box::new(Multibulk::new(words)));
                Flow::Continue
            }
            Message::Bulk(piece) => {
                let Some(reading) = &mut self.reading else { return Flow::Continue };
                if !reading.add(piece) {
                    return Flow::Continue;
                }
                let Some(whole) = self.reading.take() else { return Flow::Continue };
                self.command(&whole.words, whole.dropped, false, cx)
            }
            Message::Unheard(bytes) => {
                self.release(cx);
                self.deaf = true;
                self.malformed_event(b"NUL byte in a line", &bytes, cx);
                Flow::Continue
            }
            Message::Broken(why, bytes) => {
                self.release(cx);
                self.broken(why, &bytes, cx)
            }
        }
    }

    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        self.release(cx);
        // What was never consumed the framework records by itself; here is what only this grammar can tell.
        let consumed = self.reading.take();
        let array = consumed.is_some();
        let (words, dropped) = match consumed {
            Some(mut reading) => {
                reading.leave(left);
                (reading.words, reading.dropped)
            }
            None => (resp::split(left).unwrap_or_default(), 0),
        };
        if words.is_empty() {
            return;
        }
        let seen = self.sighting(&words, dropped, !array);
        if array || seen.login.is_some() {
            cx.report(seen.with("unfinished", true));
        }
    }
}

impl Connection {
    fn command(&mut self, words: &[Vec<u8>], dropped: usize, inline: bool, cx: &mut Cx<'_>) -> Flow {
        cx.report(self.sighting(words, dropped, inline));
        let (reply, flow) = answer::to(self.server.version, words, words.len().saturating_add(dropped));
        cx.reply(reply);
        flow
    }

    /// A line of words. Those of an HTTP request are answered when it is whole.
    fn line(&mut self, words: &[Vec<u8>], cx: &mut Cx<'_>) -> Flow {
        let request = matches!(words, [_, _, version] if version.starts_with(b"HTTP/1."));
        let field = words.first().is_some_and(|name| name.ends_with(b":"));
        if !request && (!field || self.held.is_none()) {
            self.release(cx);
            return self.command(words, 0, true, cx);
        }
        cx.report(self.sighting(words, 0, true));
        let (reply, flow) = answer::to(self.server.version, words, words.len());
        if flow == Flow::Close {
            self.held = None;
            return flow;
        }
        let held = self.held.get_or_insert_default();
        held.extend_from_slice(&reply);
        if held.len() > HELD {
            self.release(cx);
        }
        flow
    }

    /// Says what was held back.
    fn release(&mut self, cx: &mut Cx<'_>) {
        if let Some(held) = self.held.take() {
            cx.reply(held);
        }
    }

    /// The event of one command. `words` is not empty; `dropped` more were received and not kept.
    fn sighting(&self, words: &[Vec<u8>], dropped: usize, inline: bool) -> Sighting {
        let (name, arguments) = words.split_first().map_or((&[][..], &[][..]), |(n, a)| (n.as_slice(), a));
        let name = name.to_ascii_uppercase();
        let attack = attack::recognise(&name, arguments);
        let login = credentials(&name, arguments);
        let mut seen = Sighting::of(&COMMAND).with("args", shown(arguments, self.server.cut));
        if !arguments.is_empty() {
            let kept: Vec<Value> =
                arguments.iter().take(RECORDED).map(|a| Value::from(a.as_slice())).collect();
            seen = seen.with("arguments", kept);
        }
        let count = arguments.len().saturating_add(dropped);
        if count > RECORDED {
            seen = seen.with("arguments_total", count);
        }
        if inline {
            seen = seen.with("inline", true);
        }
        if attack::is_detector(&name) {
            seen = seen.with("probe", "honeypot detector");
        }
        if let Some(attack) = attack {
            seen = seen.with("attack", attack).severity(Severity::High);
        }
        if let Some(login) = login {
            seen = seen.login(login).severity(Severity::High);
        }
        seen.with("command", name)
    }

    fn broken(&mut self, why: Broken, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
        let text = why.text();
        self.malformed_event(&text, bytes, cx);
        cx.reply("-ERR Protocol error: ");
        cx.reply(text);
        cx.reply("\r\n");
        Flow::Close
    }

    fn malformed_event(&mut self, why: &[u8], bytes: &[u8], cx: &mut Cx<'_>) {
        let mut seen = Sighting::of(&MALFORMED).with("error", why).with("excerpt", bytes);
        if let Some(reading) = self.reading.take() {
            if let Some(login) = credentials(&reading.name(), reading.words.get(1..).unwrap_or_default()) {
                seen = seen.login(login).severity(Severity::High);
            }
            let words: Vec<Value> = reading.words.into_iter().take(RECORDED).map(Value::from).collect();
            seen = seen.with("words", words);
        }
        cx.report(seen);
    }
}

/// The credentials in `AUTH [username] password` and `HELLO version … AUTH username password`, however many
/// words follow. `name` in upper case.
fn credentials(name: &[u8], arguments: &[Vec<u8>]) -> Option<Login> {
    let password = |bytes: &Vec<u8>| Secret::Password(Untrusted::new(bytes));
    match (name, arguments) {
        (b"AUTH", [secret]) => Some(Login::new("auth").secret(password(secret))),
        (b"AUTH", [username, secret, ..]) => Some(Login::new("auth").user(username).secret(password(secret))),
        (b"HELLO", _) => {
            let at = arguments.iter().position(|word| word.eq_ignore_ascii_case(b"AUTH"))?;
            match arguments.get(at..)? {
                [_, username, secret, ..] => {
                    Some(Login::new("hello").user(username).secret(password(secret)))
                }
                [_, username] => Some(Login::new("hello").user(username)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The arguments joined by blanks, cut after `cut` bytes, with a word about the rest.
fn shown(arguments: &[Vec<u8>], cut: usize) -> Vec<u8> {
    let mut text = arguments.join(&b' ');
    let over = text.len().saturating_sub(cut);
    if over > 0 {
        text.truncate(cut);
        text.extend_from_slice(format!("(and {over} more bytes)").as_bytes());
    }
    text
}
