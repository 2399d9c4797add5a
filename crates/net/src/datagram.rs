//! Answers datagrams. No reply amplifies: this is the one place that sees to it.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use haldane_core::{
    Batch, Effects, Exchange, Flow, Halt, Input, Peer, Sighting, Transport, service::AnyDatagrams,
};
use tokio::{net::UdpSocket, sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Reporter,
    bug::{self, malformed},
    exchange::{self, Begun},
    udp::{Port, Received},
};

/// The largest datagram that UDP over IPv4 can carry.
const LARGEST: usize = 65_507;
/// Bytes by which the answers to one (perhaps forged) source may outgrow its requests in a minute.
const BUDGET: usize = 4096;
/// Sources whose budget is known; beyond it, all are forgotten and start anew.
const SOURCES: usize = 4096;
/// Exchanges that are served at once. Those above are seen, and not answered.
const EXCHANGES: usize = 64;

/// Datagrams whose evidence goes to the store together.
const TOGETHER: usize = 64;
/// Datagrams that are still looked at when told to stop.
const LAST: usize = 1024;
/// How long a look takes whether there are any.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// After an error of the socket, which may last.
const BACKOFF: Duration = Duration::from_millis(5);

/// Everything that listens on one UDP port.
pub struct Listener {
    /// Of the service.
    pub name: &'static str,
    /// The service.
    pub service: Arc<dyn AnyDatagrams>,
    /// Where its evidence goes.
    pub events: mpsc::Sender<Batch>,
    /// Its exchanges run there.
    pub sessions: TaskTracker,
    /// They end when this says so.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Answers until told to stop accepting, then hands the socket back. What has arrived by then is still seen.
pub async fn serve_datagrams(
    socket: UdpSocket,
    listener: Listener,
    accepting: CancellationToken,
) -> UdpSocket {
    let mut buffer = vec![0; LARGEST];
    let mut budget = Budget::default();
    let exchanges = TaskTracker::new();
    let socket = Port::new(socket);
    let mut left = LAST;
    while left > 0 {
        let end = async {
            accepting.cancelled().await;
            tokio::time::sleep(LAST_LOOK).await;
        };
        let received = tokio::select! {
            biased;
            received = socket.recv(&mut buffer) => received,
            () = end => break,
        };
        let Ok(mut first) = received else {
            // An ICMP message about an earlier answer; the next datagram is another matter.
            tokio::time::sleep(BACKOFF).await;
            continue;
        };
        // All that have arrived, with one wait for the store: else a slow disk would let datagrams be dropped.
        let mut replies = Vec::new();
        let mut begun = Vec::new();
        let mut last: Option<(Reporter, Vec<Sighting>)> = None;
        for at in 1..=TOGETHER {
            let Received { length, remote, to, own } = first;
            let datagram = buffer.get(..length).unwrap_or_default();
            let peer = Peer::new(remote, to, Transport::Udp);
            let reporter = Reporter::new(listener.events.clone(), listener.name, peer);
            let (seen, reply) = match listener.service.exchange(datagram, &peer) {
                None => {
                    let Effects { seen, reply, .. } = answer(listener.service.as_ref(), datagram, &reporter);
                    (seen, reply)
                }
                Some(exchange) => {
                    let (seen, beginning) = begin(exchange, datagram, &reporter);
                    let room = exchanges.len().saturating_add(begun.len()) < EXCHANGES;
                    let generous = beginning.exchange.first_reply();
                    if room && budget.allows(remote.ip(), length, beginning.reply.len(), generous) {
                        begun.push(Begun { reporter: reporter.sibling(), ..beginning });
                    }
                    (seen, Vec::new())
                }
            };
            if !reply.is_empty() && budget.allows(remote.ip(), length, reply.len(), 0) {
                replies.push((reply, remote, own));
            }
            if !seen.is_empty()
                && let Some((mut reporter, seen)) = last.replace((reporter, seen))
            {
                reporter.report(seen).await;
            }
            match (at < TOGETHER).then(|| socket.try_recv(&mut buffer)) {
                Some(Ok(next)) => first = next,
                _ => break,
            }
        }
        if let Some((mut reporter, seen)) = last {
            reporter.record(seen).await;
        }
        for (reply, remote, own) in replies {
            // Lost like any datagram.
            socket.send(&reply, remote, own).await.ok();
        }
        for begun in begun {
            let running = exchanges.track_future(exchange::run(begun, listener.stop.clone()));
            listener.sessions.spawn(running);
        }
        if accepting.is_cancelled() {
            left = left.saturating_sub(TOGETHER);
        }
    }
    socket.into_inner()
}

/// Lets an exchange begin.
fn begin(mut exchange: Box<dyn Exchange>, datagram: &[u8], reporter: &Reporter) -> (Vec<Sighting>, Begun) {
    let (begun, mut effects) = bug::call(reporter, |cx| exchange.begin(cx));
    let flow = match begun {
        Ok(Ok(flow)) => flow,
        Ok(Err(halt)) => {
            effects.seen.push(malformed(reason(halt), datagram));
            Flow::Close
        }
        Err(panic) => {
            bug::log(reporter.service(), reporter.session(), Some(&panic));
            effects.seen.push(malformed("not understood", datagram));
            Flow::Close
        }
    };
    let Effects { seen, reply, pause } = effects;
    (seen, Begun { exchange, reporter: reporter.sibling(), reply, pause, flow })
}

pub(crate) fn reason(halt: Halt) -> &'static str {
    match halt {
        Halt::Malformed(why) => why,
        Halt::Need(_) => "truncated",
    }
}

fn answer(service: &dyn AnyDatagrams, datagram: &[u8], reporter: &Reporter) -> Effects {
    let (answered, mut effects) = bug::call(reporter, |cx| service.answer(&mut Input::whole(datagram), cx));
    let why = match answered {
        Ok(Ok(())) => return effects,
        Ok(Err(halt)) => reason(halt),
        Err(panic) => {
            bug::log(reporter.service(), reporter.session(), Some(&panic));
            "not understood"
        }
    };
    effects.seen.push(malformed(why, datagram));
    Effects { seen: effects.seen, ..Effects::default() }
}

/// What answers may cost: never more than twice the request, and little more than the requests over a minute.
#[derive(Debug, Default)]
struct Budget {
    spent: HashMap<IpAddr, usize>,
    since: Option<Instant>,
}

impl Budget {
    /// `generous`: what the reply may be where that is more than twice the request.
    fn allows(&mut self, source: IpAddr, request: usize, reply: usize, generous: usize) -> bool {
        let excess = reply.saturating_sub(request);
        if excess == 0 {
            return true;
        }
        if excess > request && reply > generous {
            return false;
        }
        let minute_over = self.since.is_none_or(|since| since.elapsed().as_secs() >= 60);
        if minute_over || self.spent.len() >= SOURCES {
            self.spent.clear();
            self.since = Some(Instant::now());
        }
        let spent = self.spent.entry(source).or_default();
        let sum = spent.saturating_add(excess);
        let allowed = sum <= BUDGET;
        if allowed {
            *spent = sum;
        }
        allowed
    }
}
