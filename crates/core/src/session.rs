//! The contract between a protocol and the framework.

use std::{
    fmt,
    fmt::Debug,
    time::{Duration, SystemTime},
};

use crate::{Halt, Input, Peer, Sighting, TlsFacts};

/// One conversation, as a pure state machine: bytes in, effects out.
///
/// `parse` cannot change anything and `handle` cannot ask for more bytes, so a message arriving in pieces
/// can never be half-acted upon.
pub trait Session: Send + 'static {
    /// One parsed message.
    type Message: Debug;

    /// The peer has connected (and, where the service starts with TLS, has finished that handshake).
    /// Protocols that speak first speak here.
    fn greet(&mut self, _cx: &mut Cx<'_>) {}

    /// Whether the greeting was all there is to say. Asked after it; then the framework hangs up.
    fn turns_away(&self) -> bool {
        false
    }

    /// Whether a client that begins with TLS finds it here, where the service speaks it as
    /// [`crate::TlsUse::Either`]. If not, its first bytes are a message like any other.
    fn begins_with_tls(&self) -> bool {
        true
    }

    /// Parses one message from the front of `input`.
    ///
    /// What the real server answers with an error is a message too: parse it into one. [`Halt::Malformed`]
    /// is for what it hangs up on.
    fn parse(&self, input: &mut Input<'_>) -> Result<Self::Message, Halt>;

    /// Acts on one message.
    fn handle(&mut self, message: Self::Message, cx: &mut Cx<'_>) -> Flow;

    /// TLS was agreed on after [`Flow::StartTls`]. Protocols that speak first then speak here.
    fn secured(&mut self, _cx: &mut Cx<'_>) {}

    /// What was answered has been sent: queues the next piece of an answer that is too large to be held whole. Asked
    /// again until no reply is queued, before the next message is handled and before the framework hangs up.
    fn more(&mut self, _cx: &mut Cx<'_>) {}

    /// How long silence is tolerated before the next message, where that is less than [`crate::Limits::idle`].
    fn patience(&self) -> Option<Duration> {
        None
    }

    /// The conversation is over, by whichever of the three ways below: what was begun and not told yet is evidence.
    /// May be called more than once.
    fn over(&mut self, _cx: &mut Cx<'_>) {}

    /// A clock ran out: last words before the framework hangs up.
    fn timeout(&mut self, _what: Timeout, cx: &mut Cx<'_>) {
        self.over(cx);
    }

    /// The grammar was broken (or a message is over the frame limit): last words before the framework,
    /// which has recorded it, hangs up as this says.
    fn malformed(&mut self, _why: &'static str, cx: &mut Cx<'_>) -> Flow {
        self.over(cx);
        Flow::Close
    }

    /// The service starts with TLS, but what came is no TLS: `head` is its beginning. What the real server says
    /// to that, in plain text. The framework has recorded it, and hangs up.
    fn plain(&mut self, _head: &[u8], _cx: &mut Cx<'_>) {}

    /// The peer has finished sending; `left` is what it left unfinished. Evidence may still be reported,
    /// and answers still reach a peer that closed only its sending side.
    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        self.over(cx);
    }
}

/// Which clock ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// Silence for as long as [`crate::Limits::idle`].
    Idle,
    /// A life as long as [`crate::Limits::lifetime`].
    Lifetime,
}

/// What to do after a message was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Send the reply, await the next message.
    Continue,
    /// Send the reply, hang up (FIN).
    Close,
    /// Send the reply, tear the connection down (RST).
    Reset,
    /// Send the reply, hang up without reading on, as a server does that reads no more than it needs: FIN if
    /// the peer has sent nothing more, RST if something of it lies unread.
    Leave,
    /// Send the reply, then wrap the connection in TLS. Buffered plain text is an offence, and recorded.
    StartTls,
}

/// Where nonces, salts and keys come from. Injected, so that a conversation can be replayed.
pub trait Random {
    /// Fills the buffer with unpredictable bytes.
    fn fill(&mut self, buffer: &mut [u8]);
}

/// Everything a session may know and do. No I/O: effects are collected and carried out by the driver,
/// evidence first, answer second.
pub struct Cx<'a> {
    peer: &'a Peer,
    now: SystemTime,
    tls: Option<&'a TlsFacts>,
    random: &'a mut dyn Random,
    effects: &'a mut Effects,
}

impl<'a> Cx<'a> {
    /// For drivers and tests.
    pub fn new(
        peer: &'a Peer,
        now: SystemTime,
        tls: Option<&'a TlsFacts>,
        random: &'a mut dyn Random,
        effects: &'a mut Effects,
    ) -> Self {
        Self { peer, now, tls, random, effects }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        self.peer
    }

    /// The time, fixed for this call.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// What the TLS client revealed; `None` outside TLS.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls
    }

    /// Unpredictable bytes.
    pub fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// Fills a buffer with unpredictable bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.random.fill(buffer);
    }

    /// Queues bytes for the peer.
    pub fn reply(&mut self, bytes: impl AsRef<[u8]>) {
        self.effects.reply.extend_from_slice(bytes.as_ref());
    }

    /// Records evidence.
    pub fn report(&mut self, seen: Sighting) {
        self.effects.seen.push(seen);
    }

    /// Holds the reply back, as a real server busy checking a password would.
    pub fn pause(&mut self, pause: Duration) {
        self.effects.pause = self.effects.pause.saturating_add(pause);
    }
}

impl Debug for Cx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cx").field("peer", &self.peer).field("effects", &self.effects).finish_non_exhaustive()
    }
}

/// What a call to a session produced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// To record, before anything is sent.
    pub seen: Vec<Sighting>,
    /// To wait, before anything is sent.
    pub pause: Duration,
    /// To send.
    pub reply: Vec<u8>,
}

/// [`Session`] with its message type erased: what the driver holds.
pub trait AnySession: Send {
    /// See [`Session::greet`].
    fn greet(&mut self, cx: &mut Cx<'_>);
    /// See [`Session::turns_away`].
    fn turns_away(&self) -> bool;
    /// See [`Session::begins_with_tls`].
    fn begins_with_tls(&self) -> bool;
    /// Parses and handles one message, or leaves everything as it was.
    fn step(&mut self, input: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<Flow, Halt>;
    /// See [`Session::secured`].
    fn secured(&mut self, cx: &mut Cx<'_>);
    /// See [`Session::more`].
    fn more(&mut self, cx: &mut Cx<'_>);
    /// See [`Session::patience`].
    fn patience(&self) -> Option<Duration>;
    /// See [`Session::timeout`].
    fn timeout(&mut self, what: Timeout, cx: &mut Cx<'_>);
    /// See [`Session::malformed`].
    fn malformed(&mut self, why: &'static str, cx: &mut Cx<'_>) -> Flow;
    /// See [`Session::plain`].
    fn plain(&mut self, head: &[u8], cx: &mut Cx<'_>);
    /// See [`Session::finished`].
    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>);
}

impl<S: Session> AnySession for S {
    fn greet(&mut self, cx: &mut Cx<'_>) {
        Session::greet(self, cx);
    }

    fn turns_away(&self) -> bool {
        Session::turns_away(self)
    }

    fn begins_with_tls(&self) -> bool {
        Session::begins_with_tls(self)
    }

    fn step(&mut self, input: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<Flow, Halt> {
        let message = self.parse(input)?;
        Ok(self.handle(message, cx))
    }

    fn secured(&mut self, cx: &mut Cx<'_>) {
        Session::secured(self, cx);
    }

    fn more(&mut self, cx: &mut Cx<'_>) {
        Session::more(self, cx);
    }

    fn patience(&self) -> Option<Duration> {
        Session::patience(self)
    }

    fn timeout(&mut self, what: Timeout, cx: &mut Cx<'_>) {
        Session::timeout(self, what, cx);
    }

    fn malformed(&mut self, why: &'static str, cx: &mut Cx<'_>) -> Flow {
        Session::malformed(self, why, cx)
    }

    fn plain(&mut self, head: &[u8], cx: &mut Cx<'_>) {
        Session::plain(self, head, cx);
    }

    fn finished(&mut self, left: &[u8], cx: &mut Cx<'_>) {
        Session::finished(self, left, cx);
    }
}
