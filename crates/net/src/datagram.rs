//! Answers datagrams. No reply amplifies: this is the one place that sees to it.

use std::{
    collections::HashMap,
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use haldane_core::{
    Batch, Cx, Effects, Halt, Input, Peer, Sighting, Transport, Untrusted, service::AnyDatagrams,
};
use tokio::{net::UdpSocket, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::{Reporter, kinds::MALFORMED, now, report::System};

/// The largest datagram that UDP over IPv4 can carry.
const LARGEST: usize = 65_507;
/// Bytes by which the answers to one (perhaps forged) source may outgrow its requests in a minute.
const BUDGET: usize = 4096;
/// Sources whose budget is known; beyond it, all are forgotten and start anew.
const SOURCES: usize = 4096;

/// Answers until told to stop, then hands the socket back.
pub async fn serve_datagrams(
    socket: UdpSocket,
    name: &'static str,
    service: Arc<dyn AnyDatagrams>,
    events: mpsc::Sender<Batch>,
    stop: CancellationToken,
) -> UdpSocket {
    let mut buffer = vec![0; LARGEST];
    let mut budget = Budget::default();
    let Ok(local) = socket.local_addr() else { return socket };
    loop {
        let received = tokio::select! {
            biased;
            () = stop.cancelled() => return socket,
            received = socket.recv_from(&mut buffer) => received,
        };
        // An error here is an ICMP message about an earlier answer; the next datagram is another matter.
        let Ok((length, remote)) = received else { continue };
        let datagram = buffer.get(..length).unwrap_or_default();
        let peer = Peer::new(remote, local, Transport::Udp);
        let mut reporter = Reporter::new(events.clone(), name, peer);
        let effects = answer(service.as_ref(), datagram, &peer);
        if !effects.seen.is_empty() {
            reporter.record(effects.seen).await;
        }
        if !effects.reply.is_empty() && budget.allows(peer.remote.ip(), length, effects.reply.len()) {
            socket.send_to(&effects.reply, remote).await.ok();
        }
    }
}

fn answer(service: &dyn AnyDatagrams, datagram: &[u8], peer: &Peer) -> Effects {
    let mut effects = Effects::default();
    let mut random = System;
    let answered = catch_unwind(AssertUnwindSafe(|| {
        let mut cx = Cx::new(peer, now(), None, &mut random, &mut effects);
        service.answer(&mut Input::whole(datagram), &mut cx)
    }));
    let why = match answered {
        Ok(Ok(())) => return effects,
        Ok(Err(Halt::Malformed(why))) => why,
        Ok(Err(Halt::Need(_))) => "truncated",
        Err(_) => {
            error!("an answer to a datagram failed: this is a bug");
            "not understood"
        }
    };
    let excerpt = Untrusted::new(datagram.get(..256).unwrap_or(datagram));
    let seen = vec![Sighting::of(&MALFORMED).with("why", why).with("excerpt", excerpt)];
    Effects { seen, ..Effects::default() }
}

/// What answers may cost: never more than twice the request, and little more than the requests over a minute.
#[derive(Debug, Default)]
struct Budget {
    spent: HashMap<IpAddr, usize>,
    since: Option<Instant>,
}

impl Budget {
    fn allows(&mut self, source: IpAddr, request: usize, reply: usize) -> bool {
        let excess = reply.saturating_sub(request);
        if excess == 0 {
            return true;
        }
        if excess > request {
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
