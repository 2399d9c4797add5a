//! Conversations of datagrams, each on a port of its own.

use std::{net::SocketAddr, time::Duration};

use haldane_core::{Cx, Effects, Exchange, Flow, Input, Limits};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Reporter,
    bug::{self, malformed},
    datagram::reason,
    listen,
};

/// An exchange after its first datagram. What that revealed is recorded; the reply is still to be sent.
pub(crate) struct Begun {
    pub(crate) exchange: Box<dyn Exchange>,
    pub(crate) reporter: Reporter,
    pub(crate) reply: Vec<u8>,
    pub(crate) pause: Duration,
    pub(crate) flow: Flow,
}

/// Sends the reply and talks on, until it is over, takes too long, or is told to stop.
pub(crate) async fn run(begun: Begun, stop: CancellationToken) {
    let Begun { exchange, reporter, reply, pause, flow } = begun;
    tokio::time::sleep(pause).await;
    let mut talk = Talk { exchange, reporter, sent: 0 };
    if let Some(socket) = socket(&talk.reporter).await {
        talk.send(&socket, &reply).await;
        if flow == Flow::Continue {
            tokio::select! {
                () = talk.on(&socket) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    talk.act(|exchange, cx| {
        exchange.end(cx);
        Ok(Flow::Close)
    })
    .await;
}

/// A port of one's own at the address that was talked to, and nobody else heard on it.
async fn socket(reporter: &Reporter) -> Option<UdpSocket> {
    let peer = reporter.peer();
    let own = SocketAddr::new(peer.local.ip(), 0);
    let socket = listen::udp(listen::bind_udp(own).ok()?).ok()?;
    socket.connect(peer.remote).await.ok()?;
    Some(socket)
}

struct Talk {
    exchange: Box<dyn Exchange>,
    reporter: Reporter,
    sent: u64,
}

impl Talk {
    async fn on(&mut self, socket: &UdpSocket) {
        let begun = Instant::now();
        // The peer has answered to this port: nobody forged its address.
        let mut proved = false;
        let mut buffer = Vec::new();
        let mut flow = Flow::Continue;
        while flow == Flow::Continue
            && begun.elapsed() < Limits::DEFAULT.lifetime
            && self.sent < Limits::DEFAULT.bytes_out
        {
            buffer.resize(self.exchange.largest(), 0);
            let received = timeout(self.exchange.patience(), socket.recv(&mut buffer)).await;
            let (reply, then) = match received {
                Ok(Ok(length)) => {
                    proved = true;
                    let datagram = buffer.get(..length).unwrap_or_default();
                    let act = |exchange: &mut dyn Exchange, cx: &mut Cx<'_>| {
                        exchange
                            .take(&mut Input::whole(datagram), cx)
                            .map_err(|halt| (reason(halt), datagram))
                    };
                    self.act(act).await
                }
                // Nobody listens there any more.
                Ok(Err(_)) => return,
                Err(_) => self.act(|exchange, cx| Ok(exchange.silence(cx))).await,
            };
            if proved {
                self.send(socket, &reply).await;
            }
            flow = then;
        }
    }

    /// Calls into the service: evidence first, then the pause. Returns the reply, and what to do after it.
    async fn act<'d>(
        &mut self,
        act: impl FnOnce(&mut dyn Exchange, &mut Cx<'_>) -> Result<Flow, (&'static str, &'d [u8])>,
    ) -> (Vec<u8>, Flow) {
        let exchange = self.exchange.as_mut();
        let (acted, mut effects) = bug::call(&self.reporter, |cx| act(exchange, cx));
        let flow = match acted {
            Ok(Ok(flow)) => flow,
            Ok(Err((why, datagram))) => {
                effects.seen.push(malformed(why, datagram));
                Flow::Continue
            }
            Err(panic) => {
                bug::log(self.reporter.service(), self.reporter.session(), Some(&panic));
                Flow::Close
            }
        };
        let Effects { seen, reply, pause } = effects;
        if !seen.is_empty() {
            self.reporter.record(seen).await;
        }
        tokio::time::sleep(pause).await;
        (reply, flow)
    }

    async fn send(&mut self, socket: &UdpSocket, reply: &[u8]) {
        if !reply.is_empty() {
            self.sent = self.sent.saturating_add(u64::try_from(reply.len()).unwrap_or(u64::MAX));
            // Lost like any datagram.
            socket.send(reply).await.ok();
        }
    }
}
