//! FTP control channel: takes names and passwords, then says no, in the words of the server that its banner
//! names.
//!
//! Reports `ftp.login` for each `PASS`, `ftp.user` for each `USER` if configured, `ftp.bounce` for `PORT` and
//! `EPRT` to a third host, and `ftp.command` for all else; a name that no password followed is a command, too.
//! Protocol: RFC 959, sections 4 and 5; RFC 2228 and RFC 4217 (AUTH TLS); RFC 2389 (FEAT); RFC 2428 (EPRT);
//! RFC 2577, section 3 (bounce attacks).
//!
//! The words are in `persona`.

mod persona;

use std::{net::IpAddr, sync::Arc, time::Duration};

use haldane_core::{
    Class, Compat, Cx, Flow, Halt, Host, Input, Kind, Limits, Login, Peer, Protocol, Secret, Section,
    Session, Severity, Sighting, Timeout, TlsUse, Untrusted,
};

use persona::{KNOWN, Persona};

/// A password was tried.
pub static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login")
    .compat(&[Compat::USERNAME, Compat::PASSWORD]);
/// A user name was sent; only if configured.
pub static USER: Kind =
    Kind::new(2001, "ftp.user", Class::Login, Severity::Low, "FTP login begun").compat(&[]);
/// Any other command.
pub static COMMAND: Kind = Kind::new(30101, "ftp.command", Class::Command, Severity::Low, "FTP command");
/// A data connection to somebody else was asked for.
pub static BOUNCE: Kind = Kind::new(
    30102,
    "ftp.bounce",
    Class::Exploit,
    Severity::High,
    "FTP bounce: data connection to a third host",
);

/// Longest line of a command (vsftpd's VSFTP_MAX_COMMAND_LINE).
const LINE: usize = 4096;

/// The service.
#[derive(Debug)]
pub struct Ftp {
    server: Arc<Server>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    greeting: String,
    persona: &'static Persona,
    report_users: bool,
    auth_tls: bool,
    delay: Duration,
}

impl Protocol for Ftp {
    const NAME: &'static str = "ftp";
    const PORT: u16 = 21;
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(300),
        lifetime: Duration::from_secs(3600),
        frame: LINE + 1,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &USER, &COMMAND, &BOUNCE];
    const TLS: TlsUse = TlsUse::OnRequest;
    const TRY: &'static str = "curl -u root:secret ftp://{host}:{port}/";
    type Session = Control;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        let banner = section.text(
            "banner",
            "(vsFTPd 3.0.3)",
            "What follows 220 in the greeting. A banner of vsFTPd, ProFTPD, Pure-FTPd, FileZilla or Microsoft FTP \
             is followed by the answers of that server; any other by those of vsFTPd.",
        );
        if banner.contains('\r') {
            section.invalid("banner", "expected lines that end with a line feed alone");
        }
        let report_users = section.flag(
            "log_auth_attempt_initiated",
            false,
            "Whether USER alone is an event (ftp.user), before any password.",
        );
        let auth_tls = section.flag(
            "auth_tls",
            false,
            "Whether AUTH TLS is offered. Without it clients send their passwords in clear text, as they do to a \
             server as installed.",
        );
        let delay =
            section.duration("login_delay", Duration::from_secs(3), "How long a wrong password takes.");
        let server = Server {
            greeting: greeting(&banner),
            persona: persona::of(&banner),
            report_users,
            auth_tls,
            delay,
        };
        Self { server: Arc::new(server) }
    }

    fn session(&self, _peer: &Peer) -> Control {
        Control { server: Arc::clone(&self.server), username: None, failures: 0 }
    }

    fn limits(&self) -> Limits {
        Limits { idle: self.server.persona.patience, ..Self::LIMITS }
    }
}

/// `220 text`, or a reply of several lines (RFC 959, section 4.2).
fn greeting(banner: &str) -> String {
    let (first, last) = banner.trim_end_matches('\n').rsplit_once('\n').unzip();
    let last = last.unwrap_or(banner.trim_end_matches('\n'));
    let first: String =
        first.iter().flat_map(|text| text.lines()).map(|line| format!("220-{line}\r\n")).collect();
    format!("{first}220 {last}\r\n")
}

/// One control connection.
#[derive(Debug)]
pub struct Control {
    server: Arc<Server>,
    username: Option<Untrusted>,
    failures: u8,
}

/// One line.
#[derive(Debug)]
pub struct Line {
    text: Vec<u8>,
    too_long: bool,
}

impl Line {
    /// The verb in upper case, and what follows the first blank, as it was sent.
    fn split(&self) -> (Vec<u8>, &[u8]) {
        let (verb, argument) = match self.text.iter().position(|byte| *byte == b' ') {
            Some(blank) => self.text.split_at(blank),
            None => (self.text.as_slice(), &[][..]),
        };
        (verb.to_ascii_uppercase(), argument.get(1..).unwrap_or_default())
    }
}

impl Session for Control {
    type Message = Line;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.reply(&self.server.greeting);
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Line, Halt> {
        let rest = input.rest();
        let end = rest.iter().take(LINE).position(|byte| *byte == b'\n');
        match end {
            Some(_) => Ok(Line { text: input.line(LINE)?.to_vec(), too_long: false }),
            None => Ok(Line {
                text: input.take(LINE).map_err(|_| Halt::Need(rest.len().saturating_add(1)))?.to_vec(),
                too_long: true,
            }),
        }
    }

    fn handle(&mut self, line: Line, cx: &mut Cx<'_>) -> Flow {
        let persona = self.server.persona;
        if line.text.is_empty() {
            cx.reply(persona.empty);
            return Flow::Continue;
        }
        let (verb, argument) = line.split();
        if line.too_long {
            let seen = match verb.as_slice() {
                b"PASS" => self.login(argument),
                _ => command(&verb, argument),
            };
            cx.report(seen.with("too_long", true));
            self.abandon(cx);
            cx.reply(persona.too_long);
            return Flow::Close;
        }
        match verb.as_slice() {
            b"USER" => self.user(argument, cx),
            b"PASS" => self.pass(argument, cx),
            _ => {
                self.report_command(&verb, argument, cx);
                self.answer(&verb, argument, cx)
            }
        }
    }

    /// What OpenSSL tells vsftpd when no handshake follows `AUTH TLS`.
    fn plain(&mut self, _head: &[u8], cx: &mut Cx<'_>) {
        cx.reply("500 OOPS: error:0A00010B:SSL routines::wrong version number\r\n");
    }

    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        cx.reply(self.server.persona.timeout);
    }

    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        let line = Line { text: left.strip_suffix(b"\r").unwrap_or(left).to_vec(), too_long: false };
        let (verb, argument) = line.split();
        if verb == b"PASS" {
            cx.report(self.login(argument).with("unfinished", true));
        }
        self.abandon(cx);
    }
}

impl Control {
    fn user(&mut self, name: &[u8], cx: &mut Cx<'_>) -> Flow {
        self.abandon(cx);
        let persona = self.server.persona;
        if name.is_empty()
            && let Some(error) = persona.nobody
        {
            cx.report(command(b"USER", name));
            cx.reply(error);
            return Flow::Continue;
        }
        if self.server.report_users {
            cx.report(Sighting::of(&USER).login(Login::new("password").user(name)));
        }
        self.username = Some(name.into());
        say(persona.user, b"USER", name, cx);
        Flow::Continue
    }

    fn pass(&mut self, password: &[u8], cx: &mut Cx<'_>) -> Flow {
        let persona = self.server.persona;
        // An empty name is none.
        let named = self.username.as_ref().is_some_and(|name| !name.raw().is_empty());
        cx.report(self.login(password));
        if !named {
            cx.reply(persona.early);
            return Flow::Continue;
        }
        self.failures = self.failures.saturating_add(1);
        cx.pause(self.server.delay);
        cx.reply(persona.wrong);
        if self.failures >= persona.tries { Flow::Close } else { Flow::Continue }
    }

    /// The event of a password; the name is used up.
    fn login(&mut self, password: &[u8]) -> Sighting {
        let mut login = Login::new("password").secret(Secret::Password(password.into()));
        login.username = self.username.take();
        Sighting::of(&LOGIN).login(login)
    }

    /// A name that no password followed is an event, too.
    fn abandon(&mut self, cx: &mut Cx<'_>) {
        if let Some(name) = self.username.take()
            && !self.server.report_users
        {
            cx.report(command(b"USER", name.raw()));
        }
    }

    fn report_command(&mut self, verb: &[u8], argument: &[u8], cx: &mut Cx<'_>) {
        let target = match verb {
            b"PORT" => port(argument),
            b"EPRT" => extended_port(argument),
            _ => None,
        };
        match target {
            Some((host, port)) if host != cx.peer().remote.ip() => {
                let seen = Sighting::of(&BOUNCE).with("command", verb).with("argument", argument);
                cx.report(seen.with("target", host.to_string()).with("target_port", port));
            }
            _ => cx.report(command(verb, argument)),
        }
    }

    /// Answers all but `USER` and `PASS`.
    fn answer(&mut self, verb: &[u8], argument: &[u8], cx: &mut Cx<'_>) -> Flow {
        let persona = self.server.persona;
        let offered = self.server.auth_tls;
        let inside = cx.tls().is_some();
        let text = match verb {
            b"QUIT" => {
                self.abandon(cx);
                cx.reply(persona.quit);
                return Flow::Close;
            }
            b"FEAT" => pick(persona.feat, offered),
            b"OPTS" => pick(persona.opts, !argument.eq_ignore_ascii_case(b"UTF8 ON")),
            b"AUTH" if !offered || inside => pick(persona.auth, false),
            b"AUTH" => {
                let mechanism = argument.to_ascii_uppercase();
                if matches!(mechanism.as_slice(), b"TLS" | b"SSL" | b"TLS-C" | b"TLS-P") {
                    cx.reply(pick(persona.auth, true));
                    return Flow::StartTls;
                }
                persona.mechanism
            }
            b"PBSZ" | b"PROT" if inside => pick(persona.protection, verb == b"PROT"),
            b"GET" | b"POST" | b"HEAD" | b"CONNECT" if persona.http.is_some() => {
                self.abandon(cx);
                say(persona.http.unwrap_or_default(), &verb.to_ascii_lowercase(), argument, cx);
                return Flow::Close;
            }
            _ => match persona.open.iter().find(|(open, _)| open.as_bytes() == verb) {
                Some((_, text)) => text,
                None if KNOWN.contains(&verb) => persona.login_first,
                None => persona.unknown.unwrap_or(persona.login_first),
            },
        };
        say(text, verb, argument, cx);
        Flow::Continue
    }
}

fn pick(texts: [&'static str; 2], second: bool) -> &'static str {
    let [first, other] = texts;
    if second { other } else { first }
}

fn command(verb: &[u8], argument: &[u8]) -> Sighting {
    let seen = Sighting::of(&COMMAND).with("command", verb);
    if argument.is_empty() { seen } else { seen.with("argument", argument) }
}

/// Replies with that text, its placeholders filled with what the peer sent.
fn say(text: &str, verb: &[u8], argument: &[u8], cx: &mut Cx<'_>) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        cx.reply(before);
        let Some((name, after)) = after.split_once('}') else { break };
        cx.reply(if name == "verb" { verb } else { argument });
        rest = after;
    }
    cx.reply(rest);
}

/// `h1,h2,h3,h4,p1,p2` (RFC 959, section 4.1.2).
fn port(argument: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(argument).ok()?;
    let numbers: Vec<u8> = text.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [a, b, c, d, high, low] => Some(([*a, *b, *c, *d].into(), u16::from_be_bytes([*high, *low]))),
        _ => None,
    }
}

/// `|1|address|port|` with any delimiter (RFC 2428, section 2).
fn extended_port(argument: &[u8]) -> Option<(IpAddr, u16)> {
    let text = std::str::from_utf8(argument).ok()?;
    let delimiter = text.chars().next()?;
    let mut parts = text.split(delimiter).skip(2);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
