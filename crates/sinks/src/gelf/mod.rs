//! Events for Graylog, or whatever else takes GELF, over UDP, TCP or TLS.
//!
//! There are no acknowledgements: over UDP a receiver that is not there is noticed, over TCP what may be lost with
//! a connection is sent again on the next.

mod message;

use std::io;

use haldane_core::{Notify, Record, Section, Severity, Wants};
use message::{chunks, message};
use tokio::{net::UdpSocket, time::Instant};
use uuid::Uuid;

use crate::{
    Failure, Sender, Sink,
    link::{self, Answers, Courier, Far, Host, LOOK_UP_EVERY, REFUSAL, refusal, udp},
};

/// A receiver of GELF.
#[derive(Debug)]
pub struct Gelf {
    way: Way,
    node: String,
}

#[derive(Debug)]
enum Way {
    Datagrams { host: Host, socket: Option<(UdpSocket, Instant)> },
    Stream { far: Box<Far>, courier: Courier },
}

impl Sink for Gelf {
    const NAME: &'static str = "gelf";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let transport = section.choice(
            "transport",
            "auto",
            &["auto", "udp", "tcp"],
            "How to reach it: udp, tcp or auto (tcp with TLS, else udp).",
        );
        let far = Far::configure(section, (12_201, 12_201));
        if transport == "udp" && far.tls.is_some() {
            section.invalid("transport", "expected tcp with TLS");
        }
        let way = match (transport, &far.tls) {
            ("auto", None) | ("udp", _) => Way::Datagrams { host: far.host, socket: None },
            _ => Way::Stream { far: Box::new(far), courier: Courier::new(Answers::Ignored, REFUSAL) },
        };
        Self { way, node: sender.node.clone() }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let messages: Vec<_> = batch.iter().map(|record| message(&record.event, &self.node)).collect();
        match &mut self.way {
            Way::Datagrams { host, socket } => {
                let mut datagrams = Vec::new();
                for message in messages {
                    datagrams.append(&mut chunks(message, number()).ok_or_else(|| {
                        Failure::Refused(
                            "the event is longer than a message over UDP may be: use transport = \"tcp\""
                                .into(),
                        )
                    })?);
                }
                let sent = send(host, socket, &datagrams).await;
                sent.map_err(|error| Failure::later(format!("{host} (UDP): {}", link::why(&error))))
            }
            Way::Stream { far, courier } => {
                // A NUL ends a message; within one, JSON escapes it.
                let frames =
                    messages.iter().flat_map(|message| message.iter().chain(&[0])).copied().collect();
                courier.deliver(far, frames).await.map_err(|error| Failure::later(far.why(&error)))
            }
        }
    }

    async fn idle(&mut self) {
        if let Way::Datagrams { socket, .. } = &mut self.way {
            *socket = socket.take().filter(|(_, since)| since.elapsed() < LOOK_UP_EVERY);
        }
    }

    fn reopen(&mut self) {
        match &mut self.way {
            Way::Datagrams { socket, .. } => *socket = None,
            Way::Stream { far, courier } => {
                far.renew();
                courier.close();
            }
        }
    }
}

async fn send(host: &Host, kept: &mut Option<(UdpSocket, Instant)>, datagrams: &[Vec<u8>]) -> io::Result<()> {
    // Out of its place meanwhile: what fails is made anew.
    let (socket, since) = match kept.take() {
        Some(kept) => kept,
        None => (udp(host).await?, Instant::now()),
    };
    for datagram in datagrams {
        socket.send(datagram).await?;
    }
    refusal(&socket, REFUSAL).await?;
    *kept = Some((socket, since));
    Ok(())
}

/// By which the chunks of a message are known to belong together.
fn number() -> [u8; 8] {
    let [a, b, c, d, e, f, g, h, ..] = Uuid::new_v4().into_bytes();
    [a, b, c, d, e, f, g, h]
}
