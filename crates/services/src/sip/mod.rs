//! SIP (RFC 3261) over UDP and TCP: a server that knows nobody, Asterisk (with PJSIP or `chan_sip`) or Kamailio.
//!
//! Reports each request once, with its method, URI and fields; one that UDP brings again is the same. Digest
//! credentials (RFC 3261, section 22.4; RFC 7616) are its login, with the line that hashcat and john crack. Challenges
//! are issued so that they come; none is ever right. Tools that give themselves away are named. Requests that the real
//! server drops without a word say why in `malformed`; what is no SIP at all is malformed to the framework, too.
//!
//! No answer to a datagram is more than twice as long as it; where it would be, the server's name is left out, and then
//! the answer.
//!
//! Read [`message`] and [`address`] for the grammar, [`asterisk`], [`chan_sip`] and [`kamailio`] for the answers.

pub mod address;
pub mod asterisk;
pub mod chan_sip;
pub mod evidence;
pub mod kamailio;
pub mod message;
mod recent;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use haldane_core::{
    Class, Compat, Cx, Datagrams, Flow, Halt, Host, Input, Kind, Limits, Peer, Protocol, Section, Session,
    Severity, Sighting,
};

use message::{First, Message, head_end};
use recent::Recent;

/// A request.
pub static REQUEST: Kind = Kind::new(15001, "sip.request", Class::Probe, Severity::Low, "SIP request")
    .compat(&[Compat::field("HEADERS", "headers")]);
/// An answer to nothing.
pub static RESPONSE: Kind = Kind::new(31300, "sip.response", Class::Probe, Severity::Low, "SIP response");
/// Line ends alone, in a datagram.
pub static KEEPALIVE: Kind = Kind::new(31301, "sip.keepalive", Class::Probe, Severity::Low, "SIP keep-alive");
/// What is no SIP, and has an end.
pub static BROKEN: Kind =
    Kind::new(31302, "sip.malformed", Class::Probe, Severity::Low, "Malformed SIP message");

/// Answers have at most so many times the bytes of their datagrams: what the framework lets out.
const GROWTH: usize = 2;

/// A message over TCP with its body.
const LARGEST: usize = 16 * 1024;

/// The service.
#[derive(Debug)]
pub struct Sip {
    server: Arc<Server>,
    recent: Mutex<Recent>,
}

/// A server as configured.
#[derive(Debug)]
pub struct Server {
    product: Product,
    name: String,
    realm: Option<String>,
    domains: Vec<String>,
}

/// Whose answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Product {
    Asterisk,
    ChanSip,
    Kamailio,
}

impl Server {
    fn configure(section: &mut Section<'_>) -> Self {
        let about = "The server that is imitated: \"asterisk\" (with PJSIP), \"chan_sip\" (Asterisk with its older \
                     driver) or \"kamailio\".";
        let product =
            match section.choice("product", "asterisk", &["asterisk", "chan_sip", "kamailio"], about) {
                "chan_sip" => Product::ChanSip,
                "kamailio" => Product::Kamailio,
                _ => Product::Asterisk,
            };
        let usual = match product {
            Product::Asterisk => asterisk::SERVER,
            Product::ChanSip => chan_sip::SERVER,
            Product::Kamailio => kamailio::SERVER,
        };
        let name = section.optional(
            "server",
            "What it calls itself in the field Server, with its version. Left out: \"Asterisk PBX \
             16.28.0~dfsg-0+deb11u4\", \"Asterisk PBX 11.13.1~dfsg-2+deb8u5\" or \"kamailio (5.6.3 (x86_64/linux))\".",
        );
        let realm = section.optional(
            "realm",
            "The realm of its challenges. Left out: \"asterisk\" for Asterisk, the caller's domain for Kamailio.",
        );
        let about = "Domains of Kamailio's own, beside its addresses: callers who name them are challenged.";
        let domains = section.list("domains", &[], about);
        for (key, text) in [("server", &name), ("realm", &realm)] {
            if text.as_ref().is_some_and(|text| text.chars().any(|c| c.is_control() || c == '"')) {
                section.invalid(key, "expected text without quotes and control characters");
            }
        }
        Self { product, name: name.unwrap_or_else(|| usual.to_owned()), realm, domains }
    }

    fn flaw(&self, message: &Message) -> Option<&'static str> {
        match self.product {
            Product::Asterisk | Product::ChanSip => asterisk::flaw(message),
            Product::Kamailio => kamailio::flaw(message),
        }
    }

    fn answer(&self, message: &Message, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
        match self.product {
            Product::Asterisk => asterisk::answer(self, message, cx),
            Product::ChanSip => chan_sip::answer(self, message, cx),
            Product::Kamailio => kamailio::answer(self, message, cx),
        }
    }
}

impl Protocol for Sip {
    const NAME: &'static str = "sip";
    const PORT: u16 = 5060;
    /// A message is at most as long as Kamailio's buffer (`tcp_rd_buf_size`, four times its 4096 bytes).
    const LIMITS: Limits = Limits { frame: LARGEST, ..Limits::DEFAULT };
    const KINDS: &'static [&'static Kind] = &[&REQUEST, &RESPONSE, &KEEPALIVE, &BROKEN];
    const TRY: &'static str = "sipsak -v -s sip:100@{host}:{port}";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        Self { server: Arc::new(Server::configure(section)), recent: Mutex::default() }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection { server: Arc::clone(&self.server), deaf: false }
    }
}

impl Datagrams for Sip {
    const NAME: &'static str = <Self as Protocol>::NAME;
    const PORT: u16 = <Self as Protocol>::PORT;
    const KINDS: &'static [&'static Kind] = <Self as Protocol>::KINDS;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        Protocol::configure(section, host)
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let bytes = datagram.take_rest();
        let text = bytes.trim_ascii_start();
        if text.is_empty() && !bytes.is_empty() {
            cx.report(Sighting::of(&KEEPALIVE).with("length", bytes.len()));
            return Ok(());
        }
        let (head, body) = text.split_at_checked(head_end(text).unwrap_or(text.len())).unwrap_or_default();
        let message = Message { body: body.to_vec(), ..Message::read(head).map_err(Halt::Malformed)? };
        let (source, now) = (cx.peer().remote, cx.now());
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = !recent.repeats(source, bytes, now);
        drop(recent);
        let answer = handle(&self.server, &message, seen, cx).0;
        let fits = |answer: &Vec<u8>| answer.len() <= bytes.len().saturating_mul(GROWTH);
        let answer = answer.map(|answer| if fits(&answer) { answer } else { without_server(&answer) });
        cx.reply(answer.filter(fits).unwrap_or_default());
        Ok(())
    }
}

/// Acts on a message, and reports it if it is `new`; the answer, and the flaw for which the message is dropped.
fn handle(
    server: &Server,
    message: &Message,
    new: bool,
    cx: &mut Cx<'_>,
) -> (Option<Vec<u8>>, Option<&'static str>) {
    if matches!(message.first, First::Response { .. }) {
        if new {
            cx.report(evidence::response(message));
        }
        return (None, None);
    }
    let flaw = server.flaw(message);
    let peer = *cx.peer();
    if new {
        cx.report(evidence::request(message, flaw, &peer, server.product == Product::Asterisk));
    }
    let answer = if flaw.is_none() { server.answer(message, cx) } else { None };
    (answer, flaw)
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    /// A body that is too large is on its way.
    deaf: bool,
}

/// What comes over a connection.
#[derive(Debug)]
pub enum Arrived {
    /// Two line ends, which want one back (RFC 5626, section 3.5.1).
    Ping,
    /// A line end before a message.
    Blank,
    /// A message.
    Whole(Box<Message>),
    /// A message with a body that is too large to be waited for.
    Endless(Box<Message>),
    /// Some of that body.
    Unheard,
    /// Something with an end that is none.
    Broken(Vec<u8>, &'static str),
}

impl Session for Connection {
    type Message = Arrived;

    fn parse(&self, input: &mut Input<'_>) -> Result<Arrived, Halt> {
        if self.deaf {
            input.peek()?;
            input.take_rest();
            return Ok(Arrived::Unheard);
        }
        let bytes = input.rest();
        let short = || Err(Halt::Need(bytes.len().saturating_add(1)));
        let (blank, arrived) = match bytes {
            [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return short(),
            [b'\r', b'\n', b'\r', b'\n', ..] => (4, Arrived::Ping),
            [b'\r', b'\n', ..] => (2, Arrived::Blank),
            [b'\r' | b'\n', ..] => (1, Arrived::Blank),
            _ => (0, Arrived::Blank),
        };
        if blank > 0 {
            input.take(blank)?;
            return Ok(arrived);
        }
        let Some(end) = head_end(bytes) else { return short() };
        let head = bytes.get(..end).unwrap_or_default();
        let message = match Message::read(head) {
            Ok(message) => message,
            Err(why) => return Ok(Arrived::Broken(input.take(end)?.to_vec(), why)),
        };
        let all = end.saturating_add(message.length().flatten().unwrap_or_default());
        if all > LARGEST {
            input.take(end)?;
            return Ok(Arrived::Endless(Box::new(message)));
        }
        let body = input.take(all)?.get(end..).unwrap_or_default().to_vec();
        Ok(Arrived::Whole(Box::new(Message { body, ..message })))
    }

    fn handle(&mut self, arrived: Arrived, cx: &mut Cx<'_>) -> Flow {
        let kamailio = self.server.product == Product::Kamailio;
        match arrived {
            Arrived::Ping if kamailio => cx.reply(b"\r\n"),
            Arrived::Ping | Arrived::Blank | Arrived::Unheard => {}
            Arrived::Endless(mut message) => {
                message.broken = Some("Content-Length too large");
                handle(&self.server, &message, true, cx);
                self.deaf = true;
            }
            Arrived::Whole(message) => {
                let (answer, dropped) = handle(&self.server, &message, true, cx);
                cx.reply(answer.unwrap_or_default());
                if kamailio && dropped.is_some_and(|flaw| kamailio::hangs_up(&message, flaw)) {
                    return Flow::Close;
                }
            }
            Arrived::Broken(bytes, why) => {
                cx.report(evidence::broken(&bytes, why));
                if kamailio && !kamailio::leaves_to_others(&bytes) {
                    return Flow::Close;
                }
            }
        }
        Flow::Continue
    }
}

/// The answer without the field that it needs least, as products give it where they are told to hide their version.
fn without_server(answer: &[u8]) -> Vec<u8> {
    let lines = answer.split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !line.starts_with(b"Server: ")).flatten().copied().collect()
}

/// Since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
