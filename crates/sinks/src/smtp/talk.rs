//! The client's half of SMTP (RFC 5321), with STARTTLS (RFC 3207), implicit TLS (RFC 8314, section 3) and
//! AUTH PLAIN and LOGIN (RFC 4954, RFC 4616), XOAUTH2 and OAUTHBEARER (RFC 7628). Each step is named, so that a failure can be explained by where
//! it happened; every answer is bounded; every wait ends.

use std::{fmt, io, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::Untrusted;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;

use super::oauth2;
use crate::{Failure, step};

/// Longest line of an answer. RFC 5321, section 4.5.3.1.5 has 512; real servers write more.
const LINE: u64 = 2048;
/// Most lines of one answer.
const LINES: usize = 64;

/// Where in a conversation something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Looking up the name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// Waiting for the server's first line.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// The STARTTLS command.
    StartTls,
    /// AUTH.
    Login,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// The DATA command.
    Data,
    /// The message and the dot behind it.
    Message,
    /// RSET and QUIT.
    End,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the look-up of its name",
            Self::Connect => "the connection",
            Self::Handshake => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Hello => "EHLO",
            Self::StartTls => "STARTTLS",
            Self::Login => "AUTH",
            Self::Sender => "MAIL FROM",
            Self::Recipient => "RCPT TO",
            Self::Data => "DATA",
            Self::Message => "the message",
            Self::End => "QUIT",
        })
    }
}

/// What the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    /// The three digits.
    pub(super) code: u16,
    /// Its lines without the code.
    pub(super) lines: Vec<String>,
}

impl Reply {
    /// The text in lower case, to look for words in it.
    pub(super) fn words(&self) -> String {
        self.lines.join(" ").to_lowercase()
    }

    fn good(&self) -> bool {
        matches!(self.code, 200..=399)
    }
}

impl fmt::Display for Reply {
    /// On one line, at most 200 characters, safe to print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.lines.join(" ").chars().take(200).collect();
        write!(f, "{} {}", self.code, Untrusted::new(text.trim()))
    }
}

/// Why a conversation came to nothing.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No address for the name.
    Unresolved(io::Error),
    /// No connection.
    Unreachable(io::Error),
    /// No TLS.
    Handshake(io::Error),
    /// The deadline passed.
    Silent(Step),
    /// The connection ended or broke.
    Closed(Step, Option<io::Error>),
    /// Not SMTP.
    Garbled(Step, String),
    /// An answer that says no.
    No(Step, Reply),
    /// STARTTLS was asked for, but is not offered.
    NoStartTls,
    /// A password must not be sent, since the server offers no encryption.
    NoEncryption,
    /// None of our ways to log in is offered.
    NoMechanism(String),
    /// Bytes in the clear stood behind the answer to STARTTLS: somebody is in between.
    Smuggled,
    /// The provider gave no token.
    NoToken(Failure),
    /// The server does not take our token.
    Token {
        /// Its last word.
        reply: Reply,
        /// What it said before that.
        reason: Option<String>,
        /// The token was kept from before.
        old: bool,
    },
    /// Neither of the ways to log in with a token is offered.
    NoBearer(String),
    /// Our own configuration cannot work.
    Unusable(String),
}

/// How the connection is to be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// TLS at once on port 465; else STARTTLS if it is offered, and never a password without it.
    Auto,
    /// In the clear.
    None,
    /// STARTTLS or nothing.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// PLAIN if it is offered, else LOGIN.
    Auto,
    /// RFC 4616.
    Plain,
    /// User name and password one after the other.
    Login,
}

/// Whom to talk to, and how.
pub(super) struct Call<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) tls: Arc<ClientConfig>,
    /// Whether the server's certificate is looked at.
    pub(super) verify: bool,
    /// Our name; without one, our address.
    pub(super) helo: Option<&'a str>,
    pub(super) login: Option<Login<'a>>,
    pub(super) mechanism: Mechanism,
    pub(super) patience: Patience,
}

/// Who logs in.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    username: &'a str,
    secret: &'a str,
    /// The secret is a token.
    token: bool,
}

impl<'a> Login<'a> {
    /// With a password.
    pub(super) fn password(username: &'a str, secret: &'a str) -> Self {
        Self { username, secret, token: false }
    }

    /// With a token.
    pub(super) fn token(username: &'a str, secret: &'a str) -> Self {
        Self { username, secret, token: true }
    }
}

/// Until when to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For every step but the last.
    pub(super) steps: Instant,
    /// For the answer to the message. A server may look through it before it answers, and one that is left
    /// while it does so gets the message twice: RFC 5321, section 4.5.3.2.6, wants ten minutes.
    pub(super) message: Instant,
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// An open, logged-in connection.
pub(super) struct Talk {
    stream: BufReader<Box<dyn Stream>>,
    /// The extensions that the server offers, in upper case, one with its parameters each.
    offers: Vec<String>,
    /// When to give up.
    pub(super) patience: Patience,
}

impl fmt::Debug for Talk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Talk").field("offers", &self.offers).finish_non_exhaustive()
    }
}

impl Talk {
    /// Connects, protects the connection and logs in.
    pub(super) async fn open(call: &Call<'_>) -> Result<Self, Trouble> {
        let tcp = connect(call).await?;
        let helo = match (call.helo, tcp.local_addr().map(|addr| addr.ip())) {
            (Some(name), _) => name.to_owned(),
            (None, Ok(std::net::IpAddr::V4(own))) => format!("[{own}]"),
            (None, Ok(std::net::IpAddr::V6(own))) => format!("[IPv6:{own}]"),
            (None, Err(_)) => "[127.0.0.1]".to_owned(),
        };
        let at_once = match call.security {
            Security::Tls => true,
            Security::Auto => call.port == 465,
            Security::None | Security::StartTls => false,
        };
        let stream: Box<dyn Stream> = match at_once {
            true => handshake(call, Box::new(tcp)).await?,
            false => Box::new(tcp),
        };
        let mut talk = Self { stream: BufReader::new(stream), offers: Vec::new(), patience: call.patience };
        let greeting = talk.answer(Step::Greeting).await?;
        talk.require(Step::Greeting, greeting)?;
        talk.hello(&helo).await?;
        let mut secure = at_once;
        if !at_once && call.security != Security::None {
            match (talk.offers.iter().any(|offer| offer == "STARTTLS"), call.security) {
                (true, _) => {
                    talk = talk.protect(call).await?;
                    talk.hello(&helo).await?;
                    secure = true;
                }
                (false, Security::StartTls) => return Err(Trouble::NoStartTls),
                (false, _) => {}
            }
        }
        if let Some(login) = &call.login {
            if !secure && call.security != Security::None {
                return Err(Trouble::NoEncryption);
            }
            match login.token {
                true => talk.log_in_with_token(login, call).await?,
                false => talk.log_in(login.username, login.secret, call.mechanism).await?,
            }
            step::step(format_args!("logged in as {}", Untrusted::from(login.username)));
        }
        Ok(talk)
    }

    /// Offers a message to each recipient and, if one is accepted, sends it. The answers of those who were
    /// not accepted are `Err`; an `Err` of the whole is about all of them.
    pub(super) async fn send(
        &mut self,
        from: &str,
        to: &[&str],
        message: &[u8],
    ) -> Result<Vec<Result<(), Reply>>, Trouble> {
        self.demand(Step::Sender, &format!("MAIL FROM:<{from}>")).await?;
        let mut answers = Vec::with_capacity(to.len());
        for recipient in to {
            let reply = self.command(Step::Recipient, &format!("RCPT TO:<{recipient}>")).await?;
            // 421 ends the connection: RFC 5321, section 3.8.
            if reply.code == 421 {
                return Err(Trouble::No(Step::Recipient, reply));
            }
            answers.push(if reply.good() { Ok(()) } else { Err(reply) });
        }
        if answers.iter().any(Result::is_ok) {
            self.demand(Step::Data, "DATA").await?;
            self.write(Step::Message, &stuffed(message)).await?;
            let reply = self.answer(Step::Message).await?;
            self.require(Step::Message, reply)?;
        } else {
            self.demand(Step::End, "RSET").await?;
        }
        Ok(answers)
    }

    /// Says goodbye; waits for the answer until the deadline.
    pub(super) async fn quit(mut self) {
        let _ = self.command(Step::End, "QUIT").await;
    }

    async fn hello(&mut self, name: &str) -> Result<(), Trouble> {
        let reply = self.command(Step::Hello, &format!("EHLO {name}")).await?;
        if matches!(reply.code, 500..=504) {
            // A server from before RFC 1869.
            return self.demand(Step::Hello, &format!("HELO {name}")).await;
        }
        self.require(Step::Hello, reply.clone())?;
        self.offers = reply.lines.iter().skip(1).map(|line| line.trim().to_ascii_uppercase()).collect();
        Ok(())
    }

    async fn protect(mut self, call: &Call<'_>) -> Result<Self, Trouble> {
        self.demand(Step::StartTls, "STARTTLS").await?;
        // What came before the handshake was written by nobody knows whom.
        if !self.stream.buffer().is_empty() {
            return Err(Trouble::Smuggled);
        }
        let stream = handshake(call, self.stream.into_inner()).await?;
        Ok(Self { stream: BufReader::new(stream), offers: Vec::new(), patience: self.patience })
    }

    /// What stands behind AUTH. "AUTH=PLAIN LOGIN" is how servers from before RFC 2554 wrote it.
    fn mechanisms(&self) -> &str {
        self.offers.iter().find_map(|offer| offer.strip_prefix("AUTH")).unwrap_or_default()
    }

    async fn log_in(&mut self, username: &str, password: &str, how: Mechanism) -> Result<(), Trouble> {
        let offered = self.mechanisms();
        let has = |word: &str| offered.split([' ', '=']).any(|mechanism| mechanism == word);
        let plain = match how {
            Mechanism::Plain => has("PLAIN").then_some(true),
            Mechanism::Login => has("LOGIN").then_some(false),
            Mechanism::Auto if has("PLAIN") => Some(true),
            Mechanism::Auto => has("LOGIN").then_some(false),
        };
        let Some(plain) = plain else { return Err(Trouble::NoMechanism(offered.trim().to_owned())) };
        match plain {
            true => {
                let proof = BASE64_STANDARD.encode(format!("\0{username}\0{password}"));
                self.demand(Step::Login, &format!("AUTH PLAIN {proof}")).await
            }
            false => {
                self.demand(Step::Login, "AUTH LOGIN").await?;
                self.demand(Step::Login, &BASE64_STANDARD.encode(username)).await?;
                self.demand(Step::Login, &BASE64_STANDARD.encode(password)).await
            }
        }
    }

    /// A server that does not take the token gives its reason first, as a challenge, and waits for an answer to it
    /// before it says no: an empty one to XOAUTH2, a lone SOH to OAUTHBEARER (RFC 7628, section 3.2.3).
    async fn log_in_with_token(&mut self, login: &Login<'_>, call: &Call<'_>) -> Result<(), Trouble> {
        let offered = self.mechanisms();
        let has = |word: &str| offered.split([' ', '=']).any(|mechanism| mechanism == word);
        let (name, bearer) = match (has("XOAUTH2"), has("OAUTHBEARER")) {
            (true, _) => ("XOAUTH2", false),
            (false, true) => ("OAUTHBEARER", true),
            (false, false) => return Err(Trouble::NoBearer(offered.trim().to_owned())),
        };
        step::step(format_args!("logging in with a token ({name})"));
        let proof = oauth2::message(bearer, login.username, login.secret, call.host, call.port);
        let proof = BASE64_STANDARD.encode(proof);
        let mut reply = self.command(Step::Login, &format!("AUTH {name} {proof}")).await?;
        let mut reason = None;
        if reply.code == 334 {
            let challenge = BASE64_STANDARD.decode(reply.lines.concat().trim()).unwrap_or_default();
            reason = oauth2::reason(&challenge);
            reply = self.command(Step::Login, if bearer { "AQ==" } else { "" }).await?;
        }
        match reply.code {
            235 => Ok(()),
            400..=499 => Err(Trouble::No(Step::Login, reply)),
            _ => Err(Trouble::Token { reply, reason, old: false }),
        }
    }

    /// Sends a command that must succeed.
    async fn demand(&mut self, step: Step, line: &str) -> Result<(), Trouble> {
        let reply = self.command(step, line).await?;
        self.require(step, reply)
    }

    fn require(&self, step: Step, reply: Reply) -> Result<(), Trouble> {
        if reply.good() { Ok(()) } else { Err(Trouble::No(step, reply)) }
    }

    async fn command(&mut self, step: Step, line: &str) -> Result<Reply, Trouble> {
        // For whoever looks for the mistake in a configuration; never with a password in it.
        tracing::debug!(command = if step == Step::Login { "AUTH" } else { line }, "to the mail server");
        self.write(step, format!("{line}\r\n").as_bytes()).await?;
        self.answer(step).await
    }

    fn until(&self, step: Step) -> Instant {
        if step == Step::Message { self.patience.message } else { self.patience.steps }
    }

    async fn write(&mut self, step: Step, bytes: &[u8]) -> Result<(), Trouble> {
        let until = self.until(step);
        let stream = self.stream.get_mut();
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout_at(until, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Trouble::Closed(step, Some(error))),
            Err(_) => Err(Trouble::Silent(step)),
        }
    }

    /// Reads an answer of one or more lines: RFC 5321, section 4.2.1.
    async fn answer(&mut self, step: Step) -> Result<Reply, Trouble> {
        let mut reply = Reply { code: 0, lines: Vec::new() };
        while reply.lines.len() < LINES {
            let until = self.until(step);
            let mut line = Vec::new();
            let mut bounded = (&mut self.stream).take(LINE);
            let reading = bounded.read_until(b'\n', &mut line);
            match timeout_at(until, reading).await {
                Ok(Ok(_)) if line.ends_with(b"\n") => {}
                Ok(Ok(0)) => return Err(Trouble::Closed(step, None)),
                Ok(Ok(_)) => return Err(garbled(step, &line)),
                Ok(Err(error)) => return Err(Trouble::Closed(step, Some(error))),
                Err(_) => return Err(Trouble::Silent(step)),
            }
            let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            let code = text.get(..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            let Some(code) = code.and_then(|digits| digits.parse().ok()) else {
                return Err(garbled(step, &line));
            };
            reply.code = code;
            reply.lines.push(text.get(4..).unwrap_or_default().to_owned());
            match text.as_bytes().get(3) {
                None | Some(b' ') => {
                    step::step(format_args!("{step}: the server said {reply}"));
                    return Ok(reply);
                }
                Some(b'-') => {}
                Some(_) => return Err(garbled(step, &line)),
            }
        }
        Err(Trouble::Garbled(step, "an answer without end".into()))
    }
}

fn garbled(step: Step, line: &[u8]) -> Trouble {
    let start = line.get(..60).unwrap_or(line);
    Trouble::Garbled(step, Untrusted::new(start.trim_ascii()).to_string())
}

/// Tries each address of the name for its share of the time that is left.
async fn connect(call: &Call<'_>) -> Result<TcpStream, Trouble> {
    let found = match timeout_at(call.patience.steps, lookup_host((call.host, call.port))).await {
        Ok(Ok(found)) => found.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(Trouble::Unresolved(error)),
        Err(_) => return Err(Trouble::Silent(Step::Resolve)),
    };
    step::resolved(call.host, &found);
    let mut last = Trouble::Unresolved(io::Error::other("no address"));
    for (index, addr) in found.iter().enumerate() {
        let left = u32::try_from(found.len().saturating_sub(index)).unwrap_or(u32::MAX);
        let share = call
            .patience
            .steps
            .saturating_duration_since(Instant::now())
            .checked_div(left)
            .unwrap_or_default();
        match tokio::time::timeout(share, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                step::connected(*addr);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Trouble::Unreachable(error),
            Err(_) => last = Trouble::Silent(Step::Connect),
        }
    }
    Err(last)
}

async fn handshake(call: &Call<'_>, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Trouble> {
    let name = ServerName::try_from(call.host.to_owned())
        .map_err(|_| Trouble::Unusable(format!("{:?} is no name that a certificate can hold", call.host)))?;
    let connecting = TlsConnector::from(Arc::clone(&call.tls)).connect(name, stream);
    match timeout_at(call.patience.steps, connecting).await {
        Ok(Ok(stream)) => {
            step::encrypted(stream.get_ref().1.protocol_version(), call.verify);
            Ok(Box::new(stream))
        }
        Ok(Err(error)) => Err(Trouble::Handshake(error)),
        Err(_) => Err(Trouble::Silent(Step::Handshake)),
    }
}

/// The message as it goes over the wire: lines end in CR LF whatever they ended in, a dot at the start of one
/// is doubled (RFC 5321, section 4.5.2), and the dot that ends it stands behind. A line end of any other form
/// never leaves here, so that no relay can take a part of the text for commands.
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len().saturating_add(64));
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    for line in text.split(|byte| *byte == b'\n') {
        let start = wire.len();
        wire.extend(line.iter().filter(|byte| **byte != b'\r'));
        if wire.get(start) == Some(&b'.') {
            wire.insert(start, b'.');
        }
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_and_line_ends_are_made_whole() {
        assert_eq!(stuffed(b"a\r\n.b\n\r..\rc\r\n"), b"a\r\n..b\r\n...c\r\n.\r\n");
        assert_eq!(stuffed(b""), b"\r\n.\r\n");
    }
}
