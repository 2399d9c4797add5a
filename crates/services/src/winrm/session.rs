//! One connection: request after request, each read line by line and piece by piece, reported, then answered.

use std::{mem, sync::Arc};

use haldane_core::{Cx, Flow, Halt, Input, Login, Session, Sighting, Timeout, Untrusted, Value};

use super::{
    LOGIN, MALFORMED, PROBE, REQUEST, Server,
    answer::{self, Page},
};
use crate::http::{
    body::{Body, Framing, Part, Piece},
    exploit, login,
    negotiate::{Handshake, Said},
    request::{Bad, Head, Line, Version, token, valid_host},
};

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    state: State,
    handshake: Handshake,
}

#[derive(Debug)]
enum State {
    /// Before a request line.
    Idle,
    /// Within a head.
    Head(Box<Head>),
    /// Within a body.
    Body(Box<Exchange>, Framing),
}

/// A request on its way to an answer.
#[derive(Debug)]
struct Exchange {
    head: Head,
    said: Option<Said>,
    body: Body,
    reported: bool,
}

pub use crate::http::body::Message;

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, state: State::Idle, handshake: Handshake::default() }
    }

    fn exchange(&mut self, head: Head, cx: &mut Cx<'_>) -> Exchange {
        let value = head.field("Authorization");
        let said = value.and_then(|value| self.handshake.take(value, &self.server.windows, cx));
        Exchange { head, said, body: Body::default(), reported: false }
    }

    fn line(&mut self, line: Line, cx: &mut Cx<'_>) -> Flow {
        let state = mem::replace(&mut self.state, State::Idle);
        let text = match line {
            Line::Whole { text, .. } => text,
            Line::Long(text) => {
                return match state {
                    State::Head(head) => {
                        self.refuse(answer::TOO_LONG, *head, Bad::new("header field too large"), &text, cx)
                    }
                    State::Idle | State::Body(..) => {
                        let bad = Bad::new("request line too long");
                        self.refuse(answer::URL, Head::unreadable(&text), bad, &text, cx)
                    }
                };
            }
        };
        match state {
            State::Head(head) if text.is_empty() => self.begin(*head, cx),
            State::Head(mut head) => match head.add(&text) {
                Ok(()) => {
                    self.state = State::Head(head);
                    Flow::Continue
                }
                Err(bad) => self.refuse(answer::HEADER, *head, bad, &text, cx),
            },
            State::Idle | State::Body(..) if text.is_empty() => Flow::Continue,
            State::Idle | State::Body(..) => self.request_line(&text, cx),
        }
    }

    fn request_line(&mut self, text: &[u8], cx: &mut Cx<'_>) -> Flow {
        match Head::parse(text) {
            Ok(head) if head.version == Version::Simple => {
                self.refuse(answer::BADLY_FORMED, head, Bad::new("no version"), text, cx)
            }
            Ok(head) => {
                self.state = State::Head(Box::new(head));
                Flow::Continue
            }
            Err(bad) => {
                let verb = text.split(|byte| *byte == b' ').next().unwrap_or_default();
                let readable = !verb.is_empty() && verb.iter().copied().all(token);
                let page = if readable { answer::BADLY_FORMED } else { answer::VERB };
                self.refuse(page, Head::unreadable(text), bad, text, cx)
            }
        }
    }

    /// Reports a request that HTTP.sys cannot understand, and says so.
    fn refuse(&mut self, page: Page, head: Head, bad: Bad, line: &[u8], cx: &mut Cx<'_>) -> Flow {
        let silent = head.method == b"HEAD";
        let mut exchange = self.exchange(head, cx);
        let mut seen = exchange.seen(Some(bad.why));
        if !line.is_empty() {
            seen = seen.with("line", line);
        }
        cx.report(seen);
        cx.reply(page.show(silent, cx.now()));
        Flow::Close
    }

    /// The head is whole.
    fn begin(&mut self, head: Head, cx: &mut Cx<'_>) -> Flow {
        let (framing, _) = match Framing::of(&head) {
            Ok(framing) => framing,
            Err(bad) => return self.refuse(answer::BADLY_FORMED, head, bad, b"", cx),
        };
        let (host, several) = (head.field("Host"), head.all("Host").count() > 1);
        let valid = match host {
            None => head.version < Version::OneOne,
            Some(host) => valid_host(host) && !several,
        };
        if !valid {
            return self.refuse(answer::HOSTNAME, head, Bad::new("invalid host"), b"", cx);
        }
        let unmeasured = head.field("Content-Length").is_none() && head.field("Transfer-Encoding").is_none();
        if matches!(head.method.as_slice(), b"POST" | b"PUT") && unmeasured {
            return self.refuse(answer::LENGTH, head, Bad::new("body without a length"), b"", cx);
        }
        let continues =
            head.field("Expect").is_some_and(|expect| expect.eq_ignore_ascii_case(b"100-continue"));
        let exchange = self.exchange(head, cx);
        if framing == Framing::Done {
            return self.end(exchange, cx);
        }
        if continues && exchange.head.version == Version::OneOne {
            cx.reply(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.state = State::Body(Box::new(exchange), framing);
        Flow::Continue
    }

    fn piece(&mut self, piece: Piece, cx: &mut Cx<'_>) -> Flow {
        let State::Body(mut exchange, framing) = mem::replace(&mut self.state, State::Idle) else {
            return Flow::Close;
        };
        let next = match framing.after(&piece, true) {
            Ok(next) => next,
            Err(_) => {
                exchange.take(piece.bytes());
                if !exchange.reported {
                    cx.report(exchange.seen(Some("broken chunk")));
                }
                cx.reply(answer::BADLY_FORMED.show(false, cx.now()));
                return Flow::Close;
            }
        };
        if matches!(&piece, Piece::Data(data) if exchange.take(data)) {
            // Enough is known, and the rest may never come.
            cx.report(exchange.seen(None));
        }
        if next == Framing::Done {
            return self.end(*exchange, cx);
        }
        self.state = State::Body(exchange, next);
        Flow::Continue
    }

    /// The request is whole: reports and answers it.
    fn end(&mut self, mut exchange: Exchange, cx: &mut Cx<'_>) -> Flow {
        if !exchange.reported {
            cx.report(exchange.seen(None));
        }
        let (head, now) = (&exchange.head, cx.now());
        if !exchange.asks_service() {
            cx.reply(answer::NOT_FOUND.show(head.method == b"HEAD", now));
            return Flow::Close;
        }
        let persistent = match head.version {
            Version::OneOne => !head.says("Connection", "close"),
            _ => head.says("Connection", "keep-alive"),
        };
        // HTTP.sys looks at credentials before the service sees the request.
        if head.method != b"POST" && head.field("Authorization").is_none() {
            cx.reply(answer::bare(405, "Allow: POST\r\n", &[], !persistent, now));
            return if persistent { Flow::Continue } else { Flow::Close };
        }
        if exchange.identifies() {
            cx.reply(answer::identity(!persistent, now));
            return if persistent { Flow::Continue } else { Flow::Close };
        }
        let offered = exchange
            .said
            .as_ref()
            .filter(|said| self.server.challenges.iter().any(|challenge| challenge == said.scheme));
        match offered.and_then(Said::challenge) {
            Some(next) if persistent => {
                cx.reply(answer::bare(401, "", &[next], false, now));
                Flow::Continue
            }
            // Whoever is refused has to come again.
            _ => {
                cx.reply(answer::bare(401, "", &self.server.challenges, true, now));
                Flow::Close
            }
        }
    }
}

impl Exchange {
    /// Takes a piece of the body. Returns whether that is all of it that is kept, and not reported yet.
    fn take(&mut self, data: &[u8]) -> bool {
        self.body.take(data) && !self.reported
    }

    /// Whether the path is the service's.
    fn asks_service(&self) -> bool {
        let path = self.head.path.to_ascii_lowercase();
        path.strip_prefix(b"/wsman").is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
    }

    /// Whether it asks who the service is, without credentials (MS-WSMV, section 2.2.1).
    fn identifies(&self) -> bool {
        self.head.field("WSMANIDENTIFY").is_some_and(|value| value.eq_ignore_ascii_case(b"unauthenticated"))
    }

    fn login(&self) -> Option<Login> {
        match &self.said {
            Some(said) if !said.unknown() => said.login(),
            _ => login::of_field(&self.head),
        }
    }

    /// The event. `why`: what is wrong with the request.
    fn seen(&mut self, why: Option<&'static str>) -> Sighting {
        self.reported = true;
        let (head, login) = (&self.head, self.login());
        let probe = match why {
            _ if head.method.is_empty() => None,
            _ if self.identifies() && self.asks_service() => Some("identify"),
            _ => exploit::probe(head, &self.body.kept),
        };
        let kind = match why {
            _ if login.is_some() => &LOGIN,
            Some(_) => &MALFORMED,
            None if probe.is_some() || !self.asks_service() || head.method != b"POST" => &PROBE,
            None => &REQUEST,
        };
        let mut seen = Sighting::of(kind);
        let texts = [("method", &head.method), ("target", &head.target), ("version", &head.protocol)];
        for (key, value) in texts {
            if !value.is_empty() {
                seen = seen.with(key, value.as_slice());
            }
        }
        if let Some(agent) = head.field("User-Agent") {
            seen = seen.with("user_agent", agent);
        }
        for (key, value) in
            [("probe", probe), ("why", why), ("exploit", exploit::exploit(head, &self.body.kept))]
        {
            if let Some(value) = value {
                seen = seen.with(key, value);
            }
        }
        let lines = head.kept();
        if !lines.is_empty() {
            seen = seen.with("headers", Value::List(lines));
        }
        seen = self.body.facts(seen);
        if let Some(said) = &self.said {
            seen = said.facts(seen);
        }
        match login {
            Some(login) => seen.login(login),
            None => seen,
        }
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

    /// HTTP.sys resets a connection without a word.
    fn timeout(&mut self, _what: Timeout, _cx: &mut Cx<'_>) {}

    /// What was begun and not finished is evidence, too.
    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        match mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Head(head) => {
                let mut exchange = self.exchange(*head, cx);
                cx.report(exchange.seen(Some("unfinished header")).with("line", left));
            }
            State::Body(mut exchange, _) => {
                if !exchange.reported {
                    exchange.take(left.get(..Untrusted::MAX).unwrap_or(left));
                    cx.report(exchange.seen(Some("unfinished body")));
                }
            }
        }
    }
}
