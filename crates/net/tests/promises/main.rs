//! The promises made to authors of services and to operators, under paused time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic, and spawns its own tasks"
)]

mod conversation;
mod datagrams;
mod listeners;

use std::{net::SocketAddr, time::Duration};

use haldane_core::{
    Class, Cx, Event, Flow, Halt, Host, Input, Kind, Limits, Peer, Protocol, Section, Session, Severity,
    Sighting, Timeout, Transport, Value,
};

static WORD: Kind = Kind::new(99_000, "echo.word", Class::Command, Severity::Low, "A word");

/// Echoes lines; some words have a meaning of their own.
struct Echo(Limits);
#[derive(Default)]
struct Talk {
    hasty: bool,
    /// Pieces of the answer that are still to come.
    pieces: u8,
}

impl Protocol for Echo {
    const NAME: &'static str = "echo";
    const PORT: u16 = 7;
    const KINDS: &'static [&'static Kind] = &[&WORD];
    type Session = Talk;
    fn configure(_: &mut Section<'_>, _: &Host) -> Self {
        Self(LIMITS)
    }
    fn session(&self, _: &Peer) -> Talk {
        Talk::default()
    }
    fn limits(&self) -> Limits {
        self.0
    }
}

impl Session for Talk {
    type Message = Vec<u8>;
    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.reply("hello\n");
    }
    fn begins_with_tls(&self) -> bool {
        false
    }
    fn parse(&self, input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        match input.peek()? {
            b'!' => Err(Halt::Malformed("not a word")),
            b'#' => Err(Halt::Need(1 << 30)),
            _ => input.line(100).map(<[u8]>::to_vec),
        }
    }
    fn handle(&mut self, word: Vec<u8>, cx: &mut Cx<'_>) -> Flow {
        cx.report(Sighting::of(&WORD).with("word", word.as_slice()));
        match word.as_slice() {
            b"bug" => panic!("on purpose"),
            b"bye" => return Flow::Close,
            b"slow" => cx.pause(Duration::from_secs(3)),
            b"tls" => return Flow::StartTls,
            b"hasty" => self.hasty = true,
            b"pieces" => self.pieces = 3,
            b"pieces and bye" => {
                self.pieces = 3;
                cx.reply("3\n");
                return Flow::Close;
            }
            b"leave" => {
                cx.reply("bye\n");
                return Flow::Leave;
            }
            _ => {}
        }
        cx.reply(&word);
        cx.reply("\n");
        Flow::Continue
    }
    fn more(&mut self, cx: &mut Cx<'_>) {
        if let Some(left) = self.pieces.checked_sub(1) {
            self.pieces = left;
            cx.reply(format!("{left}\n"));
        }
    }
    fn patience(&self) -> Option<Duration> {
        self.hasty.then_some(Duration::from_secs(5))
    }
    fn timeout(&mut self, _: Timeout, cx: &mut Cx<'_>) {
        cx.reply("too slow\n");
    }
}

const LIMITS: Limits = Limits {
    idle: Duration::from_secs(30),
    lifetime: Duration::from_secs(100),
    frame: 1024,
    bytes_in: 2000,
    bytes_out: 2000,
    connections: 3,
    per_peer: 2,
    linger: Duration::ZERO,
    keepalive: None,
};

fn peer(ip: &str) -> Peer {
    let remote = SocketAddr::new(ip.parse().unwrap(), 40_000);
    Peer::new(remote, "192.0.2.1:7".parse().unwrap(), Transport::Tcp)
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name).collect()
}

fn why(event: &Event) -> String {
    match &event.fields["why"] {
        Value::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}
