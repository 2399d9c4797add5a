//! Runs one sans-IO session over one connection.

use std::{pin::pin, time::Duration};

use haldane_core::{
    Cx, Effects, Flow, Halt, Input, Sighting, TlsUse, service::AnyProtocol, session::AnySession,
};
use haldane_tls::Acceptor;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{
    Conn, Reporter,
    bug::{self, excerpt, malformed, unwinding},
    conn::{Halted, Io},
    kinds::{CLOSED, TLS_AGREED, TLS_FAILED, UNFINISHED},
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

/// How a conversation ended.
struct Ended {
    why: &'static str,
    flow: Flow,
}

impl Ended {
    const fn closing(why: &'static str) -> Self {
        Self { why, flow: Flow::Close }
    }
}

const SHUTDOWN: Ended = Ended::closing("shutdown");

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
            driver.insert(Driver::new(session, &mut conn, served, &mut reporter)).talk().await
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
        let ended = match ended {
            Ok(ended) => ended,
            Err(panic) => {
                if let Some(driver) = &mut driver {
                    driver.not_understood();
                }
                bug::log(reporter.service(), reporter.session(), Some(&panic));
                Ended::closing("bug")
            }
        };
        let lasted = conn.age();
        if ended.flow == Flow::Reset {
            conn.reset();
        } else {
            tokio::select! {
                biased;
                () = Box::pin(conn.close()) => {}
                () = stop.cancelled() => {}
            }
        }
        let (received, sent) = conn.totals();
        drop(conn);
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
    /// Why nothing can be sent any more. What the peer had said before is heard all the same.
    deaf: Option<Halted>,
    /// Nothing was heard yet.
    fresh: bool,
    /// While TLS is being agreed on: how it began.
    hello: Option<Vec<u8>>,
}

/// What happens once in a conversation, or never, is boxed where it is awaited: an idle connection is as large as the
/// largest of what it may await.
impl<'a, T: Io> Driver<'a, T> {
    fn new(
        session: Box<dyn AnySession>,
        conn: &'a mut Conn<T>,
        served: &'a Served,
        reporter: &'a mut Reporter,
    ) -> Self {
        Self { session, conn, served, reporter, inbox: Vec::new(), deaf: None, fresh: true, hello: None }
    }

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
        self.carry_out(effects).await;
        if self.session.turns_away() {
            return self.served(Flow::Close);
        }
        loop {
            if let Some(ended) = self.messages().await {
                return ended;
            }
            match self.deaf.take() {
                // Gone, but some of what it sent may still be on its way to us.
                Some(Halted::Broken) => self.deaf = Some(Halted::Broken),
                Some(halted) => return Box::pin(self.halted(halted)).await,
                None => {}
            }
            let patience = self.session.patience();
            let received = self.conn.receive_within(&mut self.inbox, patience);
            let received = if self.reporter.keeps_opening() {
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
                let halted = self.deaf.take().unwrap_or(halted);
                return Box::pin(self.halted(halted)).await;
            }
        }
    }

    /// Handles every whole message of the inbox.
    async fn messages(&mut self) -> Option<Ended> {
        while !self.inbox.is_empty() {
            let fresh = std::mem::take(&mut self.fresh);
            // A handshake record (RFC 8446, section 5.1).
            let either = self.served.tls == TlsUse::Either && self.session.begins_with_tls();
            if fresh && either && self.inbox.first() == Some(&22) {
                if let Err(ended) = Box::pin(self.start_tls()).await {
                    return Some(ended);
                }
                continue;
            }
            let frame = self.conn.limits().frame;
            let mut input = Input::stream(&self.inbox);
            let (step, effects) =
                call(self.session.as_mut(), self.reporter, |session, cx| session.step(&mut input, cx));
            let consumed = input.consumed();
            let flow = match step {
                // A message of no bytes would be found again for ever.
                Ok(_) if consumed == 0 => {
                    self.reporter.hold(effects.seen);
                    self.not_understood();
                    bug::log(self.reporter.service(), self.reporter.session(), None);
                    return Some(Ended::closing("bug"));
                }
                Ok(flow) => flow,
                // One byte more at least: a need that is met already would never end.
                Err(Halt::Need(n)) if n.max(self.inbox.len().saturating_add(1)) <= frame => return None,
                Err(Halt::Need(_)) => return Some(Box::pin(self.malformed("message too large")).await),
                Err(Halt::Malformed(why)) => return Some(Box::pin(self.malformed(why)).await),
            };
            if consumed == self.inbox.len() {
                // An idle connection holds no inbox.
                self.inbox = Vec::new();
            } else {
                self.inbox.drain(..consumed);
            }
            self.carry_out(effects).await;
            match flow {
                Flow::Continue => {}
                Flow::Close | Flow::Reset => return Some(self.served(flow)),
                Flow::Leave => {
                    Box::pin(self.underway()).await;
                    return Some(self.served(flow));
                }
                Flow::StartTls => {
                    if let Err(ended) = Box::pin(self.start_tls()).await {
                        return Some(ended);
                    }
                }
            }
        }
        None
    }

    /// Reads what was on its way before the peer heard us: it is evidence, and a server that does not read it resets.
    async fn underway(&mut self) {
        if self.inbox.is_empty() && self.deaf.is_none() {
            timeout(GATHER, self.conn.receive(&mut self.inbox)).await.ok();
        }
    }

    /// Hangs up on a peer that may have said more than was read: what is here of it is evidence.
    fn served(&mut self, flow: Flow) -> Ended {
        let unread = !self.inbox.is_empty();
        let says_something = |byte: &u8| !byte.is_ascii_whitespace() && *byte != 0;
        if flow == Flow::Leave && unread || self.inbox.iter().any(says_something) {
            self.reporter.hold(vec![unfinished(&self.inbox)]);
        }
        let flow = match flow {
            Flow::Leave if unread => Flow::Reset,
            Flow::Leave => Flow::Close,
            flow => flow,
        };
        Ended { why: "served", flow }
    }

    async fn start_tls(&mut self) -> Result<(), Ended> {
        let Some(acceptor) = &self.served.acceptor else {
            error!("a service asked for TLS and has no certificate: this is a bug");
            return Err(Ended::closing("bug"));
        };
        if self.inbox.is_empty()
            && let Err(halted) = self.conn.receive(&mut self.inbox).await
        {
            return Err(Box::pin(self.halted(halted)).await);
        }
        // 22: a handshake record (RFC 8446, section 5.1). 0x80: a hello in the form of SSL 2.
        if self.inbox.first().is_some_and(|first| *first != 22 && *first != 0x80) {
            let inbox = &self.inbox;
            let mut effects =
                call(self.session.as_mut(), self.reporter, |session, cx| session.plain(inbox, cx)).1;
            if !effects.reply.is_empty() {
                effects.seen.insert(0, tls_failed("not TLS", &self.inbox));
                self.carry_out(effects).await;
                return Err(Ended::closing("no TLS"));
            }
        }
        let early = self.hello.insert(std::mem::take(&mut self.inbox));
        let agreed = self.conn.start_tls(acceptor, early, &mut self.inbox).await;
        let early = self.hello.take().unwrap_or_default();
        match agreed {
            Ok(facts) => {
                self.reporter.set_tls(facts);
                self.reporter.report(vec![Sighting::of(&TLS_AGREED)]).await;
                let effects = self.call(|session, cx| session.secured(cx)).1;
                self.carry_out(effects).await;
                Ok(())
            }
            Err((halted, facts)) => {
                if let Some(facts) = facts {
                    self.reporter.set_tls(facts);
                }
                let why = match &halted {
                    Halted::Tls(why) => why,
                    Halted::Expired(_) => "timed out",
                    Halted::Spent(_) => "over quota",
                    Halted::Finished | Halted::Broken => "the peer left",
                };
                self.reporter.record(vec![tls_failed(why, &early)]).await;
                Err(Ended::closing("no TLS"))
            }
        }
    }

    async fn malformed(&mut self, why: &'static str) -> Ended {
        let seen = malformed(why, &self.inbox);
        let (flow, mut effects) = self.call(|session, cx| session.malformed(why, cx));
        effects.seen.insert(0, seen);
        self.carry_out(effects).await;
        Ended { why: "malformed", flow: if flow == Flow::Reset { flow } else { Flow::Close } }
    }

    /// Nothing more will come, or can be sent.
    async fn halted(&mut self, halted: Halted) -> Ended {
        let why = match halted {
            Halted::Finished => {
                let effects = self.left();
                self.carry_out(effects).await;
                return Ended::closing("hung up");
            }
            Halted::Broken => "reset",
            Halted::Spent(_) => "over quota",
            Halted::Tls(_) => "TLS broke",
            Halted::Expired(_) => "timed out",
        };
        self.unfinished().await;
        if let Halted::Expired(timeout) = halted {
            let effects = self.call(|session, cx| session.timeout(timeout, cx)).1;
            self.last_words(effects).await;
        }
        Ended::closing(why)
    }

    /// Records what the peer left unfinished, and what the session knows and has not told yet.
    async fn unfinished(&mut self) {
        let seen = self.left().seen;
        if !seen.is_empty() {
            self.reporter.record(seen).await;
        }
    }

    fn left(&mut self) -> Effects {
        let inbox = &self.inbox;
        let mut effects =
            call(self.session.as_mut(), self.reporter, |session, cx| session.finished(inbox, cx)).1;
        if !self.inbox.is_empty() {
            effects.seen.push(unfinished(&self.inbox));
            self.inbox = Vec::new();
        }
        if let Some(early) = self.hello.take() {
            if let Some(facts) = self.conn.revealed() {
                self.reporter.set_tls(facts);
            }
            effects.seen.push(tls_failed("not finished", &early));
        }
        effects
    }

    /// The session failed: at least what came is kept.
    fn not_understood(&mut self) {
        if !self.inbox.is_empty() {
            self.reporter.hold(vec![malformed("not understood", &self.inbox)]);
        }
    }

    fn call<R>(&mut self, act: impl FnOnce(&mut dyn AnySession, &mut Cx<'_>) -> R) -> (R, Effects) {
        call(self.session.as_mut(), self.reporter, act)
    }

    /// Evidence first, then the pause, then the answer, in as many pieces as the session makes of it.
    async fn carry_out(&mut self, mut effects: Effects) {
        while self.carry_out_once(effects).await {
            effects = self.call(|session, cx| session.more(cx)).1;
        }
    }

    /// Whether something was sent, so that more may follow.
    async fn carry_out_once(&mut self, effects: Effects) -> bool {
        let answered = !effects.reply.is_empty() && self.deaf.is_none();
        match (effects.seen.is_empty(), answered) {
            (true, _) => {}
            (false, true) => self.reporter.record(effects.seen).await,
            (false, false) => self.reporter.report(effects.seen).await,
        }
        if self.deaf.is_none() && !effects.pause.is_zero() {
            tokio::time::sleep(effects.pause.min(self.conn.limits().idle)).await;
        }
        if answered {
            self.deaf = self.conn.send(&effects.reply).await.err();
        }
        answered && self.deaf.is_none()
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

/// Calls into the session. If it panics, what it had seen is reported with the end of the conversation.
fn call<R>(
    session: &mut dyn AnySession,
    reporter: &mut Reporter,
    act: impl FnOnce(&mut dyn AnySession, &mut Cx<'_>) -> R,
) -> (R, Effects) {
    match bug::call(reporter, |cx| act(session, cx)) {
        (Ok(result), effects) => (result, effects),
        (Err(panic), effects) => {
            reporter.hold(effects.seen);
            std::panic::resume_unwind(panic)
        }
    }
}

fn unfinished(left: &[u8]) -> Sighting {
    Sighting::of(&UNFINISHED).with("excerpt", excerpt(left))
}

fn tls_failed(why: &str, early: &[u8]) -> Sighting {
    Sighting::of(&TLS_FAILED).with("why", why).with("excerpt", excerpt(early))
}
