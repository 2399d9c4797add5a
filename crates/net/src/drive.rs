//! Runs one sans-IO session over one connection.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use haldane_core::{
    Cx, Effects, Flow, Halt, Input, Peer, Sighting, TlsUse, Untrusted, service::AnyProtocol,
    session::AnySession,
};
use haldane_tls::Acceptor;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    Conn, Reporter,
    conn::{Halted, Io},
    kinds::{CLOSED, MALFORMED, TLS_AGREED, TLS_FAILED, UNFINISHED},
    now,
    report::System,
};

/// What a listener serves.
pub struct Served {
    /// The protocol.
    pub protocol: std::sync::Arc<dyn AnyProtocol>,
    /// How it uses TLS.
    pub tls: TlsUse,
    /// With which certificate; needed unless it never does.
    pub acceptor: Option<Acceptor>,
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// A client that speaks first mostly does so at once: what is seen of it tells that it connected, too.
const GATHER: Duration = Duration::from_millis(20);

/// Bytes of a malformed message that are kept.
const EXCERPT: usize = 256;

/// How a conversation ended.
struct Ended {
    why: &'static str,
    flow: Flow,
}

const HUNG_UP: Ended = Ended { why: "hung up", flow: Flow::Close };
const SHUTDOWN: Ended = Ended { why: "shutdown", flow: Flow::Close };

/// Talks until either side has had enough; reports the end, last of all.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn holds its arguments twice: as they came, and as they are used"
)]
pub fn drive<T: Io>(
    mut conn: Conn<T>,
    served: &Served,
    mut reporter: Reporter,
    stop: CancellationToken,
) -> impl Future<Output = ()> {
    async move {
        let mut driver = None;
        let talk = async {
            let session = served.protocol.open(reporter.peer());
            let begun =
                Driver { session, conn: &mut conn, served, reporter: &mut reporter, inbox: Vec::new() };
            driver.insert(begun).talk().await
        };
        let ended = {
            let talk = pin!(talk);
            tokio::select! {
                biased;
                ended = unwinding(talk) => Some(ended),
                () = stop.cancelled() => None,
            }
        };
        let ended = match (ended, &mut driver) {
            (Some(ended), _) => ended,
            // What the session knows and has not told yet is evidence.
            (None, Some(driver)) => unwinding(pin!(driver.unfinished())).await.map(|()| SHUTDOWN),
            (None, None) => Ok(SHUTDOWN),
        };
        let ended = ended.unwrap_or_else(|panic| {
        error!(session = %reporter.session(), panic = panic_text(&panic), "a session failed: this is a bug");
        Ended { why: "bug", flow: Flow::Close }
    });
        let lasted = conn.age();
        let (received, sent) =
            if ended.flow == Flow::Reset { conn.reset() } else { Box::pin(conn.close()).await };
        let closed = Sighting::of(&CLOSED)
            .with("why", ended.why)
            .with("bytes_in", received)
            .with("bytes_out", sent)
            .with("milliseconds", u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX));
        reporter.release().await;
        reporter.report(vec![closed]).await;
    }
}

struct Driver<'a, T> {
    session: Box<dyn AnySession>,
    conn: &'a mut Conn<T>,
    served: &'a Served,
    reporter: &'a mut Reporter,
    inbox: Vec<u8>,
}

/// What happens once in a conversation, or never, is boxed where it is awaited: an idle connection is as large as the
/// largest of what it may await.
impl<T: Io> Driver<'_, T> {
    async fn talk(&mut self) -> Ended {
        if self.served.tls == TlsUse::Always
            && let Err(ended) = Box::pin(self.start_tls()).await
        {
            return ended;
        }
        let effects = self.call(|session, cx| session.greet(cx)).1;
        if !effects.reply.is_empty() {
            self.reporter.release().await;
        }
        if let Err(halted) = self.carry_out(effects).await {
            return Box::pin(self.halted(halted)).await;
        }
        loop {
            let ended = self.messages().await;
            if let Some(ended) = ended {
                return ended;
            }
            let patience = self.session.patience();
            let received = self.conn.receive_within(&mut self.inbox, patience);
            let received = if self.reporter.holds() {
                match timeout(GATHER, received).await {
                    Ok(received) => received,
                    Err(_) => {
                        self.reporter.release().await;
                        continue;
                    }
                }
            } else {
                received.await
            };
            if let Err(halted) = received {
                return Box::pin(self.halted(halted)).await;
            }
        }
    }

    /// Handles every whole message of the inbox.
    async fn messages(&mut self) -> Option<Ended> {
        while !self.inbox.is_empty() {
            let frame = self.conn.limits().frame;
            let inbox = std::mem::take(&mut self.inbox);
            let mut input = Input::stream(&inbox);
            let (step, effects) = self.call(|session, cx| session.step(&mut input, cx));
            let consumed = input.consumed();
            self.inbox = inbox;
            let flow = match step {
                // A message of no bytes would be found again for ever.
                Ok(_) if consumed == 0 => return Some(Ended { why: "bug", flow: Flow::Close }),
                Ok(flow) => flow,
                Err(Halt::Need(n)) if n <= frame => return None,
                Err(Halt::Need(_)) => return Some(Box::pin(self.malformed("message too large")).await),
                Err(Halt::Malformed(why)) => return Some(Box::pin(self.malformed(why)).await),
            };
            if consumed == self.inbox.len() {
                // An idle connection holds no inbox.
                self.inbox = Vec::new();
            } else {
                self.inbox.drain(..consumed);
            }
            if let Err(halted) = self.carry_out(effects).await {
                return Some(Box::pin(self.halted(halted)).await);
            }
            match flow {
                Flow::Continue => {}
                Flow::Close | Flow::Reset => return Some(Ended { why: "served", flow }),
                Flow::Leave => return Some(self.leave().await),
                Flow::StartTls => {
                    if let Err(ended) = Box::pin(self.start_tls()).await {
                        return Some(ended);
                    }
                }
            }
        }
        None
    }

    /// Hangs up on a peer that may have said more than was read: what is here of it is evidence.
    async fn leave(&mut self) -> Ended {
        let unread = !self.inbox.is_empty();
        if unread {
            let excerpt = Untrusted::new(self.inbox.get(..EXCERPT).unwrap_or(&self.inbox));
            self.reporter.report(vec![Sighting::of(&UNFINISHED).with("excerpt", excerpt)]).await;
        }
        Ended { why: "served", flow: if unread { Flow::Reset } else { Flow::Close } }
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        let Some(acceptor) = &self.served.acceptor else {
            error!("a service asked for TLS and has no certificate: this is a bug");
            return Err(Ended { why: "bug", flow: Flow::Close });
        };
        if self.inbox.is_empty()
            && let Err(halted) = self.conn.receive(&mut self.inbox).await
        {
            return Err(Box::pin(self.halted(halted)).await);
        }
        let early = std::mem::take(&mut self.inbox);
        // 22: a handshake record (RFC 8446, section 5.1). 0x80: a hello in the form of SSL 2.
        if early.first().is_some_and(|first| *first != 22 && *first != 0x80) {
            let mut effects = self.call(|session, cx| session.plain(&early, cx)).1;
            if !effects.reply.is_empty() {
                effects.seen.insert(0, tls_failed("not TLS", &early));
                self.carry_out(effects).await.ok();
                return Err(Ended { why: "no TLS", flow: Flow::Close });
            }
        }
        match self.conn.start_tls(acceptor, &early, &mut self.inbox).await {
            Ok(facts) => {
                self.reporter.set_tls(facts);
                self.reporter.report(vec![Sighting::of(&TLS_AGREED)]).await;
                Ok(())
            }
            Err((halted, facts)) => {
                if let Some(facts) = facts {
                    self.reporter.set_tls(facts);
                }
                let why = match &halted {
                    Halted::Tls(why) => why.clone(),
                    Halted::Expired(_) => "timed out".into(),
                    Halted::Spent(_) => "over quota".into(),
                    Halted::Finished | Halted::Broken => "the peer left".into(),
                };
                self.reporter.record(vec![tls_failed(&why, &early)]).await;
                Err(Ended { why: "no TLS", flow: Flow::Close })
            }
        }
    }

    async fn malformed(&mut self, why: &'static str) -> Ended {
        let excerpt = Untrusted::new(self.inbox.get(..EXCERPT).unwrap_or(&self.inbox));
        let (flow, mut effects) = self.call(|session, cx| session.malformed(why, cx));
        effects.seen.insert(0, Sighting::of(&MALFORMED).with("why", why).with("excerpt", excerpt));
        self.carry_out(effects).await.ok();
        Ended { why: "malformed", flow: if flow == Flow::Reset { flow } else { Flow::Close } }
    }

    async fn halted(&mut self, halted: Halted) -> Ended {
        let timeout = match halted {
            Halted::Finished => {
                let left = std::mem::take(&mut self.inbox);
                let mut effects = self.call(|session, cx| session.finished(&left, cx)).1;
                if !left.is_empty() {
                    let excerpt = Untrusted::new(left.get(..EXCERPT).unwrap_or(&left));
                    effects.seen.push(Sighting::of(&UNFINISHED).with("excerpt", excerpt));
                }
                self.carry_out(effects).await.ok();
                return HUNG_UP;
            }
            Halted::Broken => {
                self.unfinished().await;
                return Ended { why: "reset", flow: Flow::Close };
            }
            Halted::Spent(_) => {
                self.unfinished().await;
                return Ended { why: "over quota", flow: Flow::Close };
            }
            Halted::Tls(_) => {
                self.unfinished().await;
                return Ended { why: "TLS broke", flow: Flow::Close };
            }
            Halted::Expired(timeout) => timeout,
        };
        self.unfinished().await;
        let effects = self.call(|session, cx| session.timeout(timeout, cx)).1;
        self.last_words(effects).await;
        Ended { why: "timed out", flow: Flow::Close }
    }

    async fn unfinished(&mut self) {
        let left = std::mem::take(&mut self.inbox);
        let effects = self.call(|session, cx| session.finished(&left, cx)).1;
        let mut seen = effects.seen;
        if !left.is_empty() {
            let excerpt = Untrusted::new(left.get(..EXCERPT).unwrap_or(&left));
            seen.push(Sighting::of(&UNFINISHED).with("excerpt", excerpt));
        }
        if !seen.is_empty() {
            self.reporter.record(seen).await;
        }
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut dyn AnySession, &mut Cx<'_>) -> R) -> (R, Effects) {
        let mut effects = Effects::default();
        let peer: Peer = *self.reporter.peer();
        let mut random = System;
        let mut cx = Cx::new(&peer, now(), self.reporter.tls(), &mut random, &mut effects);
        let result = act(self.session.as_mut(), &mut cx);
        (result, effects)
    }

    /// Evidence first, then the pause, then the answer.
    async fn carry_out(&mut self, effects: Effects) -> Result<(), Halted> {
        let answered = !effects.reply.is_empty();
        match (effects.seen.is_empty(), answered) {
            (true, _) => {}
            (false, true) => self.reporter.record(effects.seen).await,
            (false, false) => self.reporter.report(effects.seen).await,
        }
        if !effects.pause.is_zero() {
            tokio::time::sleep(effects.pause.min(self.conn.limits().idle)).await;
        }
        if answered {
            self.conn.send(&effects.reply).await?;
        }
        Ok(())
    }

    /// Sent after a clock ran out, so with a short clock of its own.
    async fn last_words(&mut self, effects: Effects) {
        if !effects.seen.is_empty() {
            self.reporter.record(effects.seen).await;
        }
        if !effects.reply.is_empty() {
            self.conn.send_last(&effects.reply).await;
        }
    }
}

fn tls_failed(why: &str, early: &[u8]) -> Sighting {
    let excerpt = Untrusted::new(early.get(..EXCERPT).unwrap_or(early));
    Sighting::of(&TLS_FAILED).with("why", why).with("excerpt", excerpt)
}

/// Runs a future so that a panic in it is a value. Pinned by the caller: a task that holds it holds it once.
fn unwinding<R>(
    mut future: Pin<&mut impl Future<Output = R>>,
) -> impl Future<Output = Result<R, Box<dyn Any + Send>>> {
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
}

fn panic_text(panic: &Box<dyn Any + Send>) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
