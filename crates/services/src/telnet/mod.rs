//! Telnet: negotiates as the configured device does, asks for a name and a password, and lets nobody in.
//!
//! Reports `telnet.login` for each name and password, `telnet.exploit` for an option to login(1) smuggled in as
//! a name (CVE-2026-24061), `telnet.input` for lines typed where nobody asked for them, `telnet.client` for what
//! a client told of itself if no login told it, and `telnet.connection` if configured.
//! Protocol: RFC 854 and RFC 855; the options' specifications are named in `options`.
//!
//! A telnetd of Debian asks three rounds of questions, and says nothing more until they are answered; clients
//! that answer none see no prompt, as there. Clients that refuse all of the first round (hydra, medusa) do not
//! answer the second. There they never see a prompt; here they do, with the second round, because their
//! passwords count for more. What follows is as there.

mod options;
mod persona;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{
    Class, Compat, Cx, Flow, Halt, Host, Input, Kind, Limits, Login, Peer, Protocol, Section, Session,
    Severity, Sighting, Timeout, Untrusted,
};

use options::{DO, DONT, ECHO, FLOW, Facts, IAC, LINEMODE, LOGOUT, Options, SB, SE, WILL, WONT};
use persona::Persona;

/// A name and a password were tried.
pub static LOGIN: Kind = Kind::new(6001, "telnet.login", Class::Login, Severity::High, "Telnet login")
    .compat(&[Compat::USERNAME, Compat::PASSWORD]);
/// Somebody connected; only if configured.
pub static CONNECTION: Kind =
    Kind::new(6002, "telnet.connection", Class::Connection, Severity::Low, "Telnet connection").compat(&[]);
/// A name that login(1) would take for an option.
pub static EXPLOIT: Kind = Kind::new(
    30201,
    "telnet.exploit",
    Class::Exploit,
    Severity::High,
    "Telnet login bypass (CVE-2026-24061)",
);
/// What a client told of itself.
pub static CLIENT: Kind = Kind::new(30202, "telnet.client", Class::Probe, Severity::Low, "Telnet client");
/// A line that nobody had asked for.
pub static INPUT: Kind = Kind::new(30203, "telnet.input", Class::Probe, Severity::Low, "Telnet input");

/// How long login(1) waits in all (LOGIN_TIMEOUT).
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest subnegotiation that is kept.
const SUBNEGOTIATION: usize = 4096;

/// The service.
#[derive(Debug)]
pub struct Telnet {
    server: Arc<Server>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    persona: &'static Persona,
    issue: String,
    prompt: String,
    report_connections: bool,
    delay: Duration,
}

impl Protocol for Telnet {
    const NAME: &'static str = "telnet";
    const PORT: u16 = 23;
    const LIMITS: Limits =
        Limits { idle: PATIENCE, lifetime: Duration::from_secs(300), frame: 4096, ..Limits::DEFAULT };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &CONNECTION, &EXPLOIT, &CLIENT, &INPUT];
    const TRY: &'static str = "telnet {host} {port}";
    type Session = Terminal;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let banner = section.text("banner", "", "Text before the first prompt; the persona's own if empty.");
        let persona = section.choice(
            "persona",
            persona::spoken_of(&banner),
            &persona::NAMES,
            "The device that is imitated: debian (inetutils-telnetd), cisco (IOS) or busybox. Unless set, a banner \
             that names Cisco or BusyBox decides.",
        );
        let report_connections = section.flag(
            "log_tcp_connection",
            false,
            "Whether a connection is an event (telnet.connection).",
        );
        let delay =
            section.duration("login_delay", Duration::from_secs(3), "How long a wrong password takes.");
        let persona = persona::named(persona);
        let named = |text: &str| text.replace("{host}", &host.name);
        let issue = match banner.trim_end() {
            "" => named(persona.issue),
            banner => format!("\r\n{}\r\n", banner.lines().collect::<Vec<_>>().join("\r\n")),
        };
        let (issue, prompt) = (issue + persona.notice, named(persona.name_prompt));
        Self { server: Arc::new(Server { persona, issue, prompt, report_connections, delay }) }
    }

    fn session(&self, _peer: &Peer) -> Terminal {
        Terminal {
            server: Arc::clone(&self.server),
            options: Options::opened_with(self.server.persona.opening),
            round: if self.server.persona.waits { Round::Opening } else { Round::Done },
            prompted: None,
            subnegotiation: None,
            line: Vec::new(),
            typed: None,
            after_return: false,
            silent: false,
            username: None,
            failures: 0,
            facts: None,
        }
    }
}

/// What we wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Answers to the opening.
    Opening,
    /// The client's description of itself.
    Describing,
    /// Answers to the second round.
    Second,
    /// Answers to the third.
    Third,
    /// Nothing: the negotiation is over.
    Done,
}

/// One connection.
#[derive(Debug)]
pub struct Terminal {
    server: Arc<Server>,
    options: Options,
    round: Round,
    /// When the first prompt was shown, if one was.
    prompted: Option<SystemTime>,
    /// The option and what was said about it so far.
    subnegotiation: Option<Vec<u8>>,
    /// The line so far, as the terminal driver edits it.
    line: Vec<u8>,
    /// The line so far as it was typed, if it was edited.
    typed: Option<Vec<u8>>,
    after_return: bool,
    /// The client took back its wish that we echo.
    silent: bool,
    username: Option<Untrusted>,
    failures: u8,
    facts: Option<Box<Facts>>,
}

/// A piece of the stream.
#[derive(Debug)]
pub enum Token {
    /// Bytes without a command or a line ending.
    Text(Vec<u8>),
    /// CR; a LF or NUL that follows belongs to it.
    Return,
    /// LF.
    Feed,
    /// `IAC` and one of the four words, and the option.
    Option(u8, u8),
    /// `IAC SB` and the option.
    Begin(u8),
    /// `IAC SE`.
    End,
    /// `IAC` and any other byte.
    Command(u8),
}

impl Session for Terminal {
    type Message = Token;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        if self.server.report_connections {
            cx.report(Sighting::of(&CONNECTION));
        }
        cx.reply(self.server.persona.opening);
        if !self.server.persona.waits {
            self.begin(cx);
        }
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Token, Halt> {
        let within = self.subnegotiation.is_some();
        let ends = |byte: &u8| *byte == IAC || (!within && matches!(*byte, b'\r' | b'\n'));
        match input.peek()? {
            IAC => {
                let [_, command] = input.array()?;
                match command {
                    IAC => Ok(Token::Text(vec![IAC])),
                    SE => Ok(Token::End),
                    SB if !within => Ok(Token::Begin(input.u8()?)),
                    WILL | WONT | DO | DONT if !within => Ok(Token::Option(command, input.u8()?)),
                    _ => Ok(Token::Command(command)),
                }
            }
            b'\r' if !within => input.u8().map(|_| Token::Return),
            b'\n' if !within => input.u8().map(|_| Token::Feed),
            _ => {
                let rest = input.rest();
                let end = rest.iter().position(ends).unwrap_or(rest.len());
                Ok(Token::Text(input.take(end)?.to_vec()))
            }
        }
    }

    fn handle(&mut self, token: Token, cx: &mut Cx<'_>) -> Flow {
        let after_return = std::mem::replace(&mut self.after_return, matches!(token, Token::Return));
        match token {
            Token::Text(text) => {
                let text = text.strip_prefix(b"\0").filter(|_| after_return).unwrap_or(&text);
                self.text(text, cx);
            }
            Token::Feed if after_return => {}
            Token::Return | Token::Feed => return self.line_ends(cx),
            Token::Option(verb, option) => {
                self.option(verb, option, cx);
                if (verb, option) == (DO, LOGOUT) && self.server.persona.waits {
                    return Flow::Close;
                }
            }
            Token::Begin(option) => self.subnegotiation = Some(vec![option]),
            Token::End => self.subnegotiated(cx),
            Token::Command(command) => match &mut self.subnegotiation {
                Some(kept) if kept.len() < SUBNEGOTIATION => kept.extend_from_slice(&[IAC, command]),
                Some(_) => {}
                None => self.command(command, cx),
            },
        }
        Flow::Continue
    }

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        if self.prompted.is_some() {
            cx.reply(self.server.persona.timeout);
        }
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        if let Some(unclosed) = self.subnegotiation.take() {
            self.facts().read(&unclosed);
            cx.report(Sighting::of(&INPUT).with("text", unclosed).with("subnegotiation", true));
        }
        if !self.line.is_empty() || self.typed.is_some() {
            match self.username.is_some() {
                true => self.login("unfinished", cx),
                false => self.input(cx),
            }
        }
        if let Some(username) = self.username.take() {
            cx.report(Sighting::of(&INPUT).with("text", username));
        }
        if let Some(facts) = &mut self.facts
            && facts.fresh
        {
            cx.report(facts.tell(Sighting::of(&CLIENT)));
        }
    }
}

impl Terminal {
    fn facts(&mut self) -> &mut Facts {
        self.facts.get_or_insert_default()
    }

    fn option(&mut self, verb: u8, option: u8, cx: &mut Cx<'_>) {
        self.facts().word(verb, option);
        let mut reply = Vec::new();
        self.options.hear(verb, option, &mut reply);
        match (verb, option) {
            (DONT, ECHO) => self.silent = !reply.is_empty(),
            (DO, ECHO) => self.silent = false,
            (WILL, LINEMODE) if self.round == Round::Second && self.options.agreed() => {
                Options::set_mode(&mut reply);
            }
            (WILL, FLOW) if self.round == Round::Second => self.options.set_flow(&mut reply),
            (WILL, LINEMODE) if matches!(self.round, Round::Third | Round::Done) => {
                self.options.stop(LINEMODE, &mut reply);
            }
            _ => {}
        }
        cx.reply(reply);
        self.advance(cx);
    }

    fn subnegotiated(&mut self, cx: &mut Cx<'_>) {
        let Some(said) = self.subnegotiation.take() else { return };
        if let Some(value) = self.facts().read(&said) {
            let seen = Sighting::of(&EXPLOIT).with("variable", "USER").with("value", value);
            cx.report(seen.with("vulnerability", "CVE-2026-24061"));
        }
        if let [option, 0, ..] = said.as_slice() {
            self.options.described_with(*option);
        }
        self.advance(cx);
    }

    /// Goes on with the negotiation as far as the answers reach.
    fn advance(&mut self, cx: &mut Cx<'_>) {
        loop {
            let mut reply = Vec::new();
            let options = &mut self.options;
            self.round = match self.round {
                Round::Opening if options.opened() => {
                    options.ask_descriptions(&mut reply);
                    Round::Describing
                }
                Round::Describing if options.told() => {
                    options.ask_second(&mut reply);
                    Round::Second
                }
                Round::Second if options.second_answered() => {
                    options.ask_third(&mut reply);
                    Round::Third
                }
                Round::Third if options.agreed() || options.third_answered() => Round::Done,
                _ => return,
            };
            cx.reply(reply);
            let idle = self.line.is_empty() && self.username.is_none() && self.failures == 0;
            match self.round {
                Round::Second if !self.options.agreed() => self.begin(cx),
                Round::Done if idle => self.begin(cx),
                _ => {}
            }
        }
    }

    /// The text before the first prompt, and the prompt.
    fn begin(&mut self, cx: &mut Cx<'_>) {
        cx.reply(&self.server.issue);
        cx.reply(&self.server.prompt);
        self.prompted.get_or_insert(cx.now());
    }

    fn command(&mut self, command: u8, cx: &mut Cx<'_>) {
        match command {
            // Are you there; erase character; erase line (RFC 854).
            246 => cx.reply("\r\n[Yes]\r\n"),
            247 => self.text(&[0x7f], cx),
            248 => self.text(&[0x15], cx),
            _ => {}
        }
    }

    /// Characters typed, edited as the terminal driver does: DEL takes back one, ^W a word, ^U all; ^R shows what
    /// there is; ^S and ^Q hold the output and let it go. Debian's echoes seven bits.
    fn text(&mut self, text: &[u8], cx: &mut Cx<'_>) {
        if let Some(kept) = &mut self.subnegotiation {
            let room = SUBNEGOTIATION.saturating_sub(kept.len());
            kept.extend_from_slice(text.get(..room).unwrap_or(text));
            return;
        }
        let echo = self.prompted.is_some() && self.username.is_none() && !self.silent;
        let mut shown = Vec::new();
        for &byte in text {
            let strips = self.server.persona.waits && !self.options.binary();
            let erased = match byte {
                0x7f => self.line.len().min(1),
                0x17 => last_word(&self.line),
                0x15 => self.line.len(),
                _ => 0,
            };
            let edits = matches!(byte, 0x7f | 0x11..=0x13 | 0x15 | 0x17);
            if edits && self.typed.is_none() {
                self.typed = Some(self.line.clone());
            }
            if let Some(typed) = &mut self.typed
                && typed.len() < Untrusted::MAX
            {
                typed.push(byte);
            }
            if edits {
                self.line.truncate(self.line.len().saturating_sub(erased));
                shown.extend_from_slice(&b"\x08 \x08".repeat(erased));
                if byte == 0x12 {
                    shown.extend_from_slice(&[b"^R\r\n", self.line.as_slice()].concat());
                }
                continue;
            }
            if self.line.len() < Untrusted::MAX {
                self.line.push(byte);
            }
            match if strips && byte != IAC { byte & 0x7f } else { byte } {
                b'\t' => shown.push(b'\t'),
                control @ 0..=31 => shown.extend_from_slice(&[b'^', control | 0x40]),
                IAC => shown.extend_from_slice(&[IAC, IAC]),
                other => shown.push(other),
            }
        }
        if echo {
            cx.reply(shown);
        }
    }

    fn line_ends(&mut self, cx: &mut Cx<'_>) -> Flow {
        if self.subnegotiation.is_some() {
            return Flow::Continue;
        }
        if self.prompted.is_none() && self.options.answered {
            // It answers some questions, not all, and goes on: it shall have its prompt.
            self.begin(cx);
        }
        let Some(since) = self.prompted else {
            self.unasked(cx);
            return Flow::Continue;
        };
        let server = Arc::clone(&self.server);
        let persona = server.persona;
        if self.username.is_none() {
            self.username = Some(self.take_name());
            if !self.silent {
                cx.reply("\r\n");
            }
            cx.reply(persona.password_prompt);
            return Flow::Continue;
        }
        self.login("", cx);
        cx.reply("\r\n");
        if cx.now().duration_since(since).is_ok_and(|waited| waited > PATIENCE) {
            cx.reply(persona.timeout);
            return Flow::Close;
        }
        cx.pause(server.delay);
        cx.reply(persona.wrong);
        self.failures = self.failures.saturating_add(1);
        if self.failures >= persona.tries {
            cx.reply(persona.given_up);
            return Flow::Close;
        }
        if self.facts.as_ref().is_some_and(|facts| facts.began_with_linemode()) {
            // hydra mixes up the names that follow a second "login:" on one connection, and what it meant to try
            // is lost. On a new connection it goes on with the next.
            return Flow::Close;
        }
        cx.reply(&server.prompt);
        Flow::Continue
    }

    /// A line before any prompt: names and passwords sent blindly, or another protocol.
    fn unasked(&mut self, cx: &mut Cx<'_>) {
        let name = !self.line.is_empty() && self.line.iter().all(|byte| matches!(byte, b'!'..=b'~' | 0x80..));
        match (self.username.is_some(), name) {
            (true, _) => self.login("blind", cx),
            (false, true) => self.username = Some(self.take_name()),
            (false, false) if self.line.is_empty() && self.typed.is_none() => {}
            (false, false) => self.input(cx),
        }
    }

    fn take_name(&mut self) -> Untrusted {
        if let Some(typed) = self.typed.take() {
            let facts = self.facts();
            (facts.typed_name, facts.fresh) = (Some(typed), true);
        }
        Untrusted::new(std::mem::take(&mut self.line))
    }

    /// Reports the name and the line; `how` names a flag to set.
    fn login(&mut self, how: &'static str, cx: &mut Cx<'_>) {
        let username = self.username.take().unwrap_or_default();
        let password = std::mem::take(&mut self.line);
        let mut seen = Sighting::of(&LOGIN).login(Login::password("password", username.raw(), password));
        if let Some(typed) = self.typed.take() {
            seen = seen.with("typed", typed);
        }
        if !how.is_empty() {
            seen = seen.with(how, true);
        }
        cx.report(match &mut self.facts {
            Some(facts) => facts.tell(seen),
            None => seen,
        });
    }

    fn input(&mut self, cx: &mut Cx<'_>) {
        let mut seen = Sighting::of(&INPUT).with("text", std::mem::take(&mut self.line));
        if let Some(typed) = self.typed.take() {
            seen = seen.with("typed", typed);
        }
        cx.report(seen);
    }
}

/// How many bytes at the end are a word and the blanks behind it.
fn last_word(line: &[u8]) -> usize {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let blanks = line.iter().rev().take_while(|byte| !word(byte)).count();
    blanks.saturating_add(line.iter().rev().skip(blanks).take_while(|byte| word(byte)).count())
}
