//! One connection: which generation of SMB it speaks shows with its first message.

use std::sync::Arc;

use haldane_core::{Cx, Flow, Halt, Input, Session, Sighting};

use super::{
    NEGOTIATE, evidence,
    frame::{self, Packet},
    server::Server,
    v1, v2,
};

/// One connection.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nothing was said.
    Fresh,
    /// SMB 1.
    V1(Box<v1::Dialogue>),
    /// SMB 2 or 3.
    V2(Box<v2::Dialogue>),
}

/// What comes after a message of SMB 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It was dealt with.
    Go(Flow),
    /// The client can speak SMB 2, and that is what the talk goes on in (MS-SMB2, section 3.3.5.3.1). `any`: it does
    /// not yet say which dialect ("SMB 2.???").
    Upgrade {
        /// Whether the dialect is still to be chosen.
        any: bool,
    },
}

impl Connection {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, state: State::Fresh }
    }

    fn v1(&mut self, message: &[u8], cx: &mut Cx<'_>) -> Flow {
        if let State::Fresh = self.state {
            self.state = State::V1(Box::default());
        }
        let State::V1(dialogue) = &mut self.state else {
            return broken("SMB 1 after SMB 2", message, cx);
        };
        match dialogue.take(message, &self.server, cx) {
            Next::Go(flow) => flow,
            Next::Upgrade { any } => {
                let mut dialogue = Box::<v2::Dialogue>::default();
                dialogue.upgrade(any, &self.server, cx);
                self.state = State::V2(dialogue);
                Flow::Continue
            }
        }
    }

    fn v2(&mut self, message: &[u8], cx: &mut Cx<'_>) -> Flow {
        if let State::Fresh = self.state {
            self.state = State::V2(Box::default());
        }
        let State::V2(dialogue) = &mut self.state else {
            return broken("SMB 2 after SMB 1", message, cx);
        };
        dialogue.take(message, &self.server, cx)
    }

    /// The end: what is still open is closed.
    fn end(&mut self, cx: &mut Cx<'_>) {
        match &mut self.state {
            State::Fresh => {}
            State::V1(dialogue) => dialogue.end(&self.server, cx),
            State::V2(dialogue) => dialogue.end(&self.server, cx),
        }
    }
}

/// Reports what Windows hangs up on.
pub(super) fn broken(why: &'static str, message: &[u8], cx: &mut Cx<'_>) -> Flow {
    cx.report(evidence::broken(why, message));
    Flow::Close
}

impl Session for Connection {
    type Message = Packet;

    fn parse(&self, input: &mut Input<'_>) -> Result<Packet, Halt> {
        Packet::read(input)
    }

    fn handle(&mut self, packet: Packet, cx: &mut Cx<'_>) -> Flow {
        let flow = match packet {
            Packet::V1(message) => self.v1(&message, cx),
            Packet::V2(message) => self.v2(&message, cx),
            Packet::KeepAlive => Flow::Continue,
            Packet::Request(called, calling) => {
                cx.report(Sighting::of(&NEGOTIATE).with("called", called).with("calling", calling));
                cx.reply(frame::GRANTED);
                Flow::Continue
            }
            // Compression is never agreed on, so whoever sends it tries what happens.
            Packet::Compressed(message) => {
                let seen = evidence::exploit("SMBGhost (CVE-2020-0796)");
                cx.report(seen.with("excerpt", evidence::excerpt(&message)));
                Flow::Close
            }
            Packet::Encrypted(message) => match &mut self.state {
                State::V2(dialogue) => dialogue.unseal(&message, &self.server, cx),
                State::Fresh | State::V1(_) => broken("encrypted without a key", &message, cx),
            },
        };
        if flow != Flow::Continue {
            self.end(cx);
        }
        flow
    }

    fn over(&mut self, cx: &mut Cx<'_>) {
        self.end(cx);
    }
}
