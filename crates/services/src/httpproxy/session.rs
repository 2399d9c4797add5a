//! One connection: request after request. The head is gathered as it comes, the body dropped once what is evidence
//! of it is kept. Like squid, answers as soon as the head is whole; the event follows when the body is, or as much of
//! it as will come.

use std::{mem, sync::Arc, time::Duration};

use haldane_core::{Cx, Flow, Halt, Input, Session, Sighting, Timeout, Untrusted};

use super::{
    MALFORMED, Server, Skin,
    evidence::Exchange,
    request::{self, Bad, MOST, RequestLine},
    squid::{Fault, Question},
    uri::Uri,
};
use crate::http::{
    body::{Framing, Piece},
    negotiate::{Handshake, Said},
    request::{Head, Line},
};

/// How long squid waits for the next request (client_idle_pconn_timeout).
const BETWEEN: Duration = Duration::from_secs(120);
/// Most bytes of a head taken at once.
const PIECE: usize = 4096;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    state: State,
    /// Whether a request was served.
    served: bool,
    /// Whether empty lines were skipped.
    blank: bool,
    /// The method of the request being read as it came, if that was odd.
    odd_method: Option<Box<[u8]>>,
    /// A login by NTLM or Negotiate.
    handshake: Handshake,
    /// What the request being served said of it.
    said: Option<Box<Said>>,
}

#[derive(Debug)]
enum State {
    /// Before, or within, a request line.
    Line(Vec<u8>),
    /// Within the fields. The number: bytes of the request line.
    Fields(Box<RequestLine>, Vec<u8>, usize),
    /// Within a body. Whether the connection closes behind it.
    Body(Box<Exchange>, Framing, bool),
}

/// A piece of a request.
#[derive(Debug)]
pub struct Message(Part);

#[derive(Debug)]
enum Part {
    /// Of a head: ends with a line feed, or goes on.
    Head(Vec<u8>),
    Body(Piece),
}

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            state: State::Line(Vec::new()),
            served: false,
            blank: false,
            odd_method: None,
            handshake: Handshake::default(),
            said: None,
        }
    }

    fn head(&mut self, piece: &[u8], cx: &mut Cx<'_>) -> Flow {
        let whole = piece.ends_with(b"\n");
        match mem::replace(&mut self.state, State::Line(Vec::new())) {
            State::Line(mut text) => {
                text.extend_from_slice(piece);
                if text.len().saturating_sub(usize::from(whole)) >= MOST {
                    text.truncate(MOST);
                    return self.endless_line(&text, cx);
                }
                if matches!(text.as_slice(), b"\n" | b"\r\n") {
                    self.blank = true;
                    return Flow::Continue;
                }
                if !whole {
                    self.state = State::Line(text);
                    return Flow::Continue;
                }
                match self.read(&text) {
                    Ok(line) if line.has_header() => {
                        self.state = State::Fields(Box::new(line), Vec::new(), text.len());
                        Flow::Continue
                    }
                    Ok(line) => self.begin(line, &[], cx),
                    Err((bad, read)) => self.unreadable(bad, read, &text, cx),
                }
            }
            State::Fields(line, mut block, before) => {
                block.extend_from_slice(piece);
                if before.saturating_add(block.len()) >= MOST {
                    block.truncate(MOST.saturating_sub(before));
                    return self.unreadable(Bad::Header, *line, &block, cx);
                }
                if whole && request::ends_header(&block) {
                    return self.begin(*line, &block, cx);
                }
                self.state = State::Fields(line, block, before);
                Flow::Continue
            }
            body @ State::Body(..) => {
                self.state = body;
                Flow::Continue
            }
        }
    }

    /// Reads a request line, and remembers what of it is odd.
    fn read(&mut self, text: &[u8]) -> Result<RequestLine, (Bad, RequestLine)> {
        let mut read = RequestLine::read(text);
        let (Ok(line) | Err((_, line))) = &mut read;
        self.odd_method = line.odd_method.take().map(Vec::into_boxed_slice);
        read
    }

    /// What there was when the client left.
    fn unfinished(&mut self, line: RequestLine, block: &[u8]) -> Exchange {
        let uri = Uri::read(&line.method, &line.target);
        self.exchange(line.with(request::salvaged(block)), uri, Some("unfinished header"))
    }

    /// A request line that does not end: squid blames the method, if that is none, else the target.
    fn endless_line(&mut self, text: &[u8], cx: &mut Cx<'_>) -> Flow {
        match self.read(text) {
            Err((_, read)) if read.method.is_empty() => self.unreadable(Bad::Protocol, read, text, cx),
            Ok(read) | Err((_, read)) => self.unreadable(Bad::Line, read, text, cx),
        }
    }

    /// Says what is wrong with a head, reports it and hangs up. `text`: where it is wrong.
    fn unreadable(&mut self, bad: Bad, line: RequestLine, text: &[u8], cx: &mut Cx<'_>) -> Flow {
        let (method, uri) = (line.method.clone(), Uri::read(&line.method, &line.target));
        let fields = if matches!(bad, Bad::Header | Bad::Field) { text } else { b"" };
        // What can be read of them may hold credentials.
        let fields = request::salvaged(fields);
        let url = match bad {
            Bad::Protocol | Bad::Target => b"error:invalid-request".to_vec(),
            Bad::Line | Bad::Header => b"error:request-too-large".to_vec(),
            Bad::Field => line.target.clone(),
        };
        let mut head = line.with(fields);
        if head.target.is_empty() {
            // The first word of another protocol is no method.
            head.method.clear();
        }
        let question = Question { read: None, method: &method, url: &url, keep: false };
        let reply = self.server.answer(&Fault::Unreadable(bad), &question, cx);
        self.shake_hands(&head, cx);
        let mut exchange = self.exchange(head, uri, Some(bad.why()));
        if let Some(seen) = exchange.seen() {
            cx.report(seen.with("line", text.get(..Untrusted::MAX).unwrap_or(text)));
        }
        cx.reply(reply);
        self.served = true;
        Flow::Close
    }

    /// The head is whole.
    fn begin(&mut self, line: RequestLine, block: &[u8], cx: &mut Cx<'_>) -> Flow {
        self.served = true;
        let version = line.version;
        let mut uri = Uri::read(&line.method, &line.target);
        if uri.is_none() && line.target.starts_with(b"/squid-internal-") {
            // Asked of squid itself, without saying where that is.
            let here = format!("http://{}:{}", self.server.name, cx.peer().local.port());
            uri = Uri::read(&line.method, &[here.as_bytes(), &line.target].concat());
        }
        let unsupported = !matches!(version, (1, _) | (0, 9));
        let Some(fields) = request::fields(block).filter(|_| uri.is_some() && !unsupported) else {
            let fault = match &uri {
                None => Fault::InvalidUrl,
                Some(_) if unsupported => Fault::UnsupportedVersion,
                Some(_) => return self.unreadable(Bad::Field, line, block, cx),
            };
            let head = line.with(request::salvaged(block));
            return self.refuse(&fault, head, uri, cx);
        };
        match uri {
            Some(uri) => self.serve(line.with(fields), uri, version, cx),
            None => Flow::Close,
        }
    }

    /// The request is in order, as far as its grammar goes.
    fn serve(&mut self, head: Head, uri: Uri, version: (u8, u8), cx: &mut Cx<'_>) -> Flow {
        let persistent = match version {
            _ if head.says("Connection", "close") || head.says("Proxy-Connection", "close") => false,
            (1, 0) => head.says("Connection", "keep-alive") || head.says("Proxy-Connection", "keep-alive"),
            (1, _) => true,
            _ => false,
        };
        self.shake_hands(&head, cx);
        let framing = match body_of(&head, &uri) {
            Ok(framing) => framing,
            Err(fault) => {
                let malformed = matches!(fault, Fault::InvalidRequest(_));
                return self.refuse_known(&fault, head, uri, malformed, cx);
            }
        };
        let open = self.server.schemes.is_empty();
        if let (b"TRACE", Some(b"0"), true, Skin::Squid(release)) =
            (head.method.as_slice(), head.field("Max-Forwards"), open, &self.server.skin)
        {
            let reply = self.server.trace(release, &head, &uri, persistent, cx);
            let flow = last(reply, self.exchange(head, Some(uri), None), cx);
            return if persistent { Flow::Continue } else { flow };
        }
        let fault = self.server.judge(&head, &uri);
        let tunnel = head.method == b"CONNECT";
        let failed = !matches!(fault, Fault::AuthenticationRequired(_) | Fault::AccessDenied);
        let keep = persistent && !(tunnel && failed);
        let fault = self.challenge(fault, cx);
        let (url, method) = (uri.shown(), head.method.clone());
        let question = Question { read: Some((&head, &uri)), method: &method, url: &url, keep };
        let reply = self.server.answer(&fault, &question, cx);
        let mut exchange = Box::new(self.exchange(head, Some(uri), None));
        cx.reply(reply);
        if framing == Framing::Done {
            exchange.seen().into_iter().for_each(|seen| cx.report(seen));
            return if keep { Flow::Continue } else { Flow::Close };
        }
        self.state = State::Body(exchange, framing, !keep);
        Flow::Continue
    }

    /// Puts the answer to a message of NTLM in the place of all challenges, if there is one and the proxy offers that.
    fn challenge(&self, fault: Fault, cx: &mut Cx<'_>) -> Fault {
        let Fault::AuthenticationRequired(_) = fault else { return fault };
        let said = self.said.as_ref().filter(|said| self.server.offers(said.scheme));
        let next = said.and_then(|said| said.challenge());
        Fault::AuthenticationRequired(next.map_or_else(|| self.server.challenges(cx), |next| vec![next]))
    }

    /// Reads credentials that take several requests.
    fn shake_hands(&mut self, head: &Head, cx: &mut Cx<'_>) {
        let value = head.field("Proxy-Authorization");
        let said = value.and_then(|value| self.handshake.take(value, &self.server.windows, cx));
        // squid asks its helper even then, and that gives a challenge.
        let silent = said.as_ref().is_some_and(|said| said.scheme == "NTLM" && said.silent());
        let said = if silent { Some(self.handshake.challenge(&self.server.windows, cx)) } else { said };
        self.said = said.map(Box::new);
    }

    fn refuse(&mut self, fault: &Fault, head: Head, uri: Option<Uri>, cx: &mut Cx<'_>) -> Flow {
        let why = matches!(fault, Fault::UnsupportedVersion).then_some("unsupported version");
        let method = head.method.clone();
        let url = head.target.clone();
        let question = Question { read: None, method: &method, url: &url, keep: false };
        let reply = self.server.answer(fault, &question, cx);
        self.shake_hands(&head, cx);
        let exchange = self.exchange(head, uri, why);
        last(reply, exchange, cx)
    }

    fn refuse_known(
        &mut self,
        fault: &Fault,
        head: Head,
        uri: Uri,
        malformed: bool,
        cx: &mut Cx<'_>,
    ) -> Flow {
        let (method, mut url) = (head.method.clone(), uri.shown());
        if uri.host.is_empty() && head.field("Host").is_some() {
            // squid takes the field for the host of `*`, then finds that it has none.
            url = b"http://:80*".to_vec();
        }
        let why = malformed.then_some("unusable length or expectation");
        let question = Question { read: Some((&head, &uri)), method: &method, url: &url, keep: false };
        let reply = self.server.answer(fault, &question, cx);
        let exchange = self.exchange(head, Some(uri), why);
        last(reply, exchange, cx)
    }

    fn exchange(&mut self, head: Head, uri: Option<Uri>, why: Option<&'static str>) -> Exchange {
        Exchange::new(head, self.odd_method.take(), uri, why, self.said.take())
    }

    fn piece(&mut self, piece: Piece, cx: &mut Cx<'_>) -> Flow {
        let State::Body(mut exchange, framing, close) =
            mem::replace(&mut self.state, State::Line(Vec::new()))
        else {
            return Flow::Close;
        };
        let next = match piece {
            Piece::Data(data) => {
                if exchange.take(&data) {
                    // Enough is known, and the rest may never come.
                    exchange.seen().into_iter().for_each(|seen| cx.report(seen));
                }
                framing.after_data(data.len())
            }
            Piece::Line(line) => match framing.after_line(&line, false) {
                Ok(next) => next,
                Err(_) => {
                    let (Line::Whole { text, .. } | Line::Long(text)) = &line;
                    exchange.take(text);
                    exchange.seen().into_iter().for_each(|seen| cx.report(seen.with("why", "broken chunk")));
                    return Flow::Close;
                }
            },
        };
        if next == Framing::Done {
            exchange.seen().into_iter().for_each(|seen| cx.report(seen));
            return if close { Flow::Close } else { Flow::Continue };
        }
        self.state = State::Body(exchange, next, close);
        Flow::Continue
    }
}

/// An answer behind which nothing is read.
fn last(reply: Vec<u8>, mut exchange: Exchange, cx: &mut Cx<'_>) -> Flow {
    exchange.seen().into_iter().for_each(|seen| cx.report(seen));
    cx.reply(reply);
    Flow::Close
}

/// How the body is framed.
///
/// # Errors
/// What squid says to a request whose body, or whose wish, it does not support.
fn body_of(head: &Head, uri: &Uri) -> Result<Framing, Fault> {
    let expect = head.field("Expect").filter(|expect| !expect.is_empty());
    if expect.is_some_and(|expect| !expect.eq_ignore_ascii_case(b"100-continue")) {
        return Err(Fault::InvalidRequest(417));
    }
    let coding = head.field("Transfer-Encoding");
    let known =
        |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked") || coding.eq_ignore_ascii_case(b"identity");
    let chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let for_us = head.method == b"OPTIONS" && head.field("Max-Forwards") == Some(b"0");
    if !uri.supports(head) || for_us || coding.is_some_and(|coding| !known(&coding)) {
        return Err(Fault::UnsupportedRequest);
    }
    if chunked {
        return Ok(if head.method == b"CONNECT" { Framing::Done } else { Framing::Size });
    }
    let mut length = None;
    let values = head.all("Content-Length").flat_map(|value| value.split(|byte| *byte == b','));
    for value in values.map(<[u8]>::trim_ascii) {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number =
            std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse::<i64>().ok());
        match number {
            Some(number) if length.is_none_or(|length| length == number) => length = Some(number),
            _ => return Err(Fault::InvalidRequest(411)),
        }
    }
    let length = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    match head.method.as_slice() {
        _ if length == 0 => Ok(Framing::Done),
        b"GET" | b"HEAD" => Err(Fault::InvalidRequest(411)),
        b"CONNECT" => Ok(Framing::Done),
        _ => Ok(Framing::Length(length)),
    }
}

impl Session for Connection {
    type Message = Message;

    fn parse(&self, input: &mut Input<'_>) -> Result<Message, Halt> {
        if let State::Body(_, framing, _) = &self.state {
            return framing.parse(input).map(|piece| Message(Part::Body(piece)));
        }
        let rest = input.rest();
        let line = rest.iter().position(|byte| *byte == b'\n').map(|end| end.saturating_add(1));
        let here = line.unwrap_or(rest.len()).clamp(1, PIECE);
        input.take(here).map(|piece| Message(Part::Head(piece.to_vec())))
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Flow {
        match message.0 {
            Part::Head(piece) => self.head(&piece, cx),
            Part::Body(piece) => self.piece(piece, cx),
        }
    }

    fn patience(&self) -> Option<Duration> {
        let idle = matches!(&self.state, State::Line(text) if text.is_empty());
        (self.served && idle).then_some(BETWEEN)
    }

    /// squid hangs up without a word. (What there was is reported in [`Session::finished`].)
    fn timeout(&mut self, _what: Timeout, _cx: &mut Cx<'_>) {}

    /// What was begun and not finished is evidence, too.
    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        let (mut exchange, text) = match mem::replace(&mut self.state, State::Line(Vec::new())) {
            State::Line(text) if text.is_empty() => {
                if self.blank && !self.served {
                    cx.report(Sighting::of(&MALFORMED).with("why", "nothing but empty lines"));
                }
                return;
            }
            State::Line(text) => {
                let (Ok(line) | Err((_, line))) = self.read(&text);
                (self.unfinished(line, b""), text)
            }
            State::Fields(line, block, _) => (self.unfinished(*line, &block), block),
            State::Body(mut exchange, ..) => {
                exchange.take(left.get(..Untrusted::MAX).unwrap_or(left));
                exchange.seen().into_iter().for_each(|seen| cx.report(seen.with("why", "unfinished body")));
                return;
            }
        };
        if let Some(seen) = exchange.seen() {
            cx.report(seen.with("line", text.get(..Untrusted::MAX).unwrap_or(&text)));
        }
    }
}

impl Server {
    fn answer(&self, fault: &Fault, question: &Question<'_>, cx: &Cx<'_>) -> Vec<u8> {
        match &self.skin {
            Skin::Squid(release) => self.squid(release, fault, question, cx),
            Skin::Isa => self.isa(fault, question),
        }
    }
}
