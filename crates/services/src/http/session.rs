//! One connection: request after request, each read line by line and piece by piece, reported, then answered.

use std::{
    mem,
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{Cx, Flow, Halt, Input, Session, Sighting, Timeout, TlsStack, Untrusted};

use super::{
    MALFORMED, Server,
    answer::{Route, Wish},
    body::{Framing, Part, Piece},
    evidence::Exchange,
    negotiate::{Handshake, Said},
    request::{Bad, Head, Line, TOO_LARGE, Version, valid_host},
};

/// Empty lines that Apache skips before a request (DEFAULT_LIMIT_BLANK_LINES).
const BLANKS: u8 = 5;
/// How long a header may take, however busy (RequestReadTimeout header=20-40).
const HEAD: Duration = Duration::from_secs(40);
/// How long Apache waits for the next request (KeepAliveTimeout).
const BETWEEN: Duration = Duration::from_secs(5);
/// Requests that Apache serves on one connection behind the first (MaxKeepAliveRequests).
const REQUESTS: u16 = 100;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    state: State,
    /// Requests served.
    served: u16,
    /// Empty lines since the last.
    blanks: u8,
    /// A login by NTLM or Negotiate.
    handshake: Handshake,
}

/// Boxes: a connection that is idle holds next to nothing.
#[derive(Debug)]
enum State {
    /// Before a request line.
    Idle,
    /// Within a head, and since when.
    Head(Box<Head>, SystemTime),
    /// Within a body.
    Body(Box<Exchange>, Framing),
}

pub use super::body::Message;

impl Connection {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, state: State::Idle, served: 0, blanks: 0, handshake: Handshake::default() }
    }

    /// A line of the head, or before it.
    fn line(&mut self, line: Line, cx: &mut Cx<'_>) -> Flow {
        let (text, bare) = match line {
            Line::Whole { text, bare } => (text, bare && self.server.persona.strict()),
            Line::Long(text) => return self.long(&text, cx),
        };
        match mem::replace(&mut self.state, State::Idle) {
            State::Head(head, _) if bare => {
                self.bad(head, Bad::new("line ends without a carriage return"), &text, cx)
            }
            State::Head(head, _) if text.is_empty() => self.begin(head, cx),
            State::Head(mut head, since) => match head.add(&text) {
                Ok(()) if cx.now().duration_since(since).is_ok_and(|lasted| lasted > HEAD) => {
                    self.refuse(408, head, Bad::new("slow header"), b"", cx)
                }
                Ok(()) => {
                    self.state = State::Head(head, since);
                    Flow::Continue
                }
                Err(bad) => self.bad(head, bad, &text, cx),
            },
            State::Idle | State::Body(..) => self.request_line(&text, bare, cx),
        }
    }

    fn request_line(&mut self, text: &[u8], bare: bool, cx: &mut Cx<'_>) -> Flow {
        if text.is_empty() && !bare && self.blanks < BLANKS {
            self.blanks = self.blanks.saturating_add(1);
            return Flow::Continue;
        }
        let parsed = match bare {
            true => Err(Bad::new("line ends without a carriage return")),
            false => Head::parse(text),
        };
        match parsed {
            Ok(head) if head.version == Version::Simple => self.begin(Box::new(head), cx),
            Ok(head) => {
                self.state = State::Head(Box::new(head), cx.now());
                Flow::Continue
            }
            Err(bad) => self.bad(Box::new(Head::unreadable(text)), bad, text, cx),
        }
    }

    fn long(&mut self, text: &[u8], cx: &mut Cx<'_>) -> Flow {
        match mem::replace(&mut self.state, State::Idle) {
            State::Head(head, _) => self.bad(head, TOO_LARGE, text, cx),
            State::Idle | State::Body(..) => {
                let head = Box::new(Head::unreadable(text));
                self.refuse(414, head, Bad::new("request line too long"), text, cx)
            }
        }
    }

    fn bad(&mut self, head: Box<Head>, bad: Bad, line: &[u8], cx: &mut Cx<'_>) -> Flow {
        self.refuse(400, head, bad, line, cx)
    }

    /// Reports a request that cannot be understood, and says so.
    fn refuse(&mut self, status: u16, head: Box<Head>, bad: Bad, line: &[u8], cx: &mut Cx<'_>) -> Flow {
        let reply = self.server.refuse(status, &head, bad.note, cx);
        let said = self.shake_hands(&head, cx);
        let exchange = Exchange::new(*head, Route::Refused(status), said);
        cx.report(exchange.malformed(&self.server, bad.why, line));
        cx.reply(reply);
        self.served = self.served.saturating_add(1);
        Flow::Close
    }

    /// The head is whole.
    fn begin(&mut self, head: Box<Head>, cx: &mut Cx<'_>) -> Flow {
        self.blanks = 0;
        let framing = match Framing::of(&head) {
            Ok(framing) => framing,
            Err(bad) => return self.bad(head, bad, b"", cx),
        };
        if let Err(bad) = head.check_sizes().and_then(|()| check_host(&head)) {
            return self.bad(head, bad, b"", cx);
        }
        let expect = head.field("Expect").filter(|expect| !expect.is_empty());
        let continues = expect.is_some_and(|expect| expect.eq_ignore_ascii_case(b"100-continue"));
        if expect.is_some() && !continues {
            return self.refuse(417, head, Bad::new("unknown expectation"), b"", cx);
        }
        let (framing, close) = framing;
        let route = self.server.route(&head);
        let early = route.early();
        let said = self.shake_hands(&head, cx);
        let mut exchange = Box::new(Exchange::new(*head, route, said));
        // Apache closes rather than reading what may never come.
        exchange.close = close || (continues && (early || framing == Framing::Done));
        if framing == Framing::Done || (early && continues) {
            return self.end(exchange, None, cx);
        }
        if continues && exchange.head.version == Version::OneOne {
            cx.reply(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.state = State::Body(exchange, framing);
        Flow::Continue
    }

    /// Reads credentials that take several requests.
    fn shake_hands(&mut self, head: &Head, cx: &mut Cx<'_>) -> Option<Box<Said>> {
        let value = head.field("Authorization")?;
        self.handshake.take(value, &self.server.windows, cx).map(Box::new)
    }

    fn piece(&mut self, piece: Piece, cx: &mut Cx<'_>) -> Flow {
        let State::Body(mut exchange, framing) = mem::replace(&mut self.state, State::Idle) else {
            return Flow::Close;
        };
        let next = match framing.after(&piece, self.server.persona.strict()) {
            Ok(next) => next,
            Err(status) => {
                exchange.take(piece.bytes());
                exchange.close = true;
                exchange.broken = Some("broken chunk");
                return self.end(exchange, Some(status), cx);
            }
        };
        if matches!(&piece, Piece::Data(data) if exchange.take(data)) {
            // Enough is known, and the rest may never come.
            cx.report(exchange.seen(&self.server, cx.peer()));
        }
        if next == Framing::Done {
            return self.end(exchange, None, cx);
        }
        self.state = State::Body(exchange, next);
        Flow::Continue
    }

    /// The request is whole, or as whole as it will get: reports and answers it.
    fn end(&mut self, mut exchange: Box<Exchange>, broken: Option<u16>, cx: &mut Cx<'_>) -> Flow {
        if exchange.unreported() {
            cx.report(exchange.seen(&self.server, cx.peer()));
        }
        let head = &exchange.head;
        let asked = head.says("Connection", "keep-alive");
        let persistent = match head.version {
            Version::Simple => false,
            Version::One => asked && !head.says("Connection", "close"),
            Version::OneOne => !head.says("Connection", "close"),
        };
        let wish = Wish {
            close: exchange.close || !persistent || self.served >= REQUESTS,
            asked,
            left: REQUESTS.saturating_sub(self.served),
        };
        let (reply, close) = self.server.answer(&exchange, broken, wish, cx);
        cx.reply(reply);
        self.served = self.served.saturating_add(1);
        if close { Flow::Close } else { Flow::Continue }
    }
}

impl Connection {
    /// The last answer, to a request that was begun.
    fn give_up(&self, status: u16, cx: &mut Cx<'_>) {
        let head = match &self.state {
            State::Idle => return,
            State::Head(head, _) => head.as_ref(),
            State::Body(exchange, _) => &exchange.head,
        };
        let reply = self.server.refuse(status, head, "", cx);
        cx.reply(reply);
    }
}

/// RFC 9112, section 3.2.
fn check_host(head: &Head) -> Result<(), Bad> {
    let mut hosts = head.all("Host");
    let host = hosts.next();
    if head.version == Version::OneOne && host.is_none() {
        return Err(Bad::new("no Host field"));
    }
    if hosts.next().is_some() {
        return Err(Bad::new("several Host fields"));
    }
    let named = |host: &[u8]| valid_host(host) && (!host.is_empty() || head.version < Version::OneOne);
    match host.is_none_or(named) && head.authority.as_deref().is_none_or(valid_host) {
        true => Ok(()),
        false => Err(Bad::new("invalid host")),
    }
}

impl Session for Connection {
    type Message = Message;

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        let body = match &self.state {
            State::Body(_, framing) => Some(*framing),
            State::Idle | State::Head(..) => None,
        };
        Message::parse(body, input)
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message.0 {
            Part::Line(line) => self.line(line, cx),
            Part::Piece(piece) => self.piece(piece, cx),
        }
    }

    fn patience(&self) -> Option<Duration> {
        (self.served > 0 && matches!(self.state, State::Idle)).then_some(BETWEEN)
    }

    /// Apache tells a client that was slow, and hangs up on one that never began. (What there was is reported in
    /// [`Session::finished`], which is called first.)
    fn timeout(&mut self, what: Timeout, cx: &mut Cx<'_>) {
        if what == Timeout::Idle {
            self.give_up(408, cx);
        }
    }

    /// Someone speaks plain HTTP where TLS is spoken: mod_ssl explains.
    fn plain(&mut self, head: &[u8], cx: &mut Cx<'_>) {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let head = Head::parse(line).unwrap_or_else(|_| Head::unreadable(line));
        // HTTP.sys hangs up.
        if self.server.stack() == TlsStack::Schannel {
            let exchange = Exchange::new(head, Route::Refused(400), None);
            cx.report(exchange.malformed(&self.server, "plain HTTP on a TLS port", line));
            return;
        }
        let note = "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />\n";
        let reply = match self.server.persona.signs() {
            // 2.2 takes it for HTTP/0.9.
            true => {
                let note = format!("{note}Instead use the HTTPS scheme to access this URL, please.<br />\n");
                let mut simple = head.clone();
                simple.version = Version::Simple;
                self.server.refuse(400, &simple, &note, cx)
            }
            false => {
                let note = format!("{note} Instead use the HTTPS scheme to access this URL, please.<br />\n");
                self.server.refuse(400, &head, &note, cx)
            }
        };
        let exchange = Exchange::new(head, Route::Refused(400), None);
        cx.report(exchange.malformed(&self.server, "plain HTTP on a TLS port", line));
        cx.reply(reply);
    }

    /// What was begun and not finished is evidence, too.
    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Idle if self.served == 0 && self.blanks > 0 && left.is_empty() => {
                cx.report(Sighting::of(&MALFORMED).with("why", "nothing but empty lines"));
            }
            State::Idle => {}
            State::Head(head, _) => {
                let value = head.field("Authorization");
                let said = value.and_then(|value| self.handshake.take(value, &self.server.windows, cx));
                let exchange = Exchange::new(head.as_ref().clone(), Route::Refused(400), said.map(Box::new));
                cx.report(exchange.malformed(&self.server, "unfinished header", left));
            }
            State::Body(exchange, _) => {
                if exchange.unreported() {
                    exchange.take(left.get(..Untrusted::MAX).unwrap_or(left));
                    exchange.broken = Some("unfinished body");
                    cx.report(exchange.seen(&self.server, cx.peer()));
                }
            }
        }
        self.give_up(400, cx);
    }
}
