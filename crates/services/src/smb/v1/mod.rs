//! SMB 1, as Windows still speaks it where it was left on for old clients (MS-CIFS, MS-SMB).
//!
//! A message is a header and a chain of commands (`packet`), answered in one (`reply`). Clients agree on a dialect
//! (`negotiate`), say who they are (`setup`), and use shares: trees, files, searches and pipes (`tree`, `files`, `find`),
//! much of it by transactions (`transaction`, `calls`, `rap`). What scanners and worms are known for is named (`attack`).
//!
//! Only whoever has logged in with a planted password has a key, and only for them are messages signed (`sign`), where
//! that is required: guests have none, in Windows either.

pub(crate) mod attack;
pub(crate) mod calls;
pub(crate) mod files;
pub(crate) mod find;
pub(crate) mod info;
pub(crate) mod negotiate;
pub(crate) mod packet;
pub(crate) mod rap;
pub(crate) mod reply;
pub(crate) mod setup;
pub(crate) mod sign;
pub(crate) mod transaction;
pub(crate) mod tree;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use haldane_core::{Cx, Flow, Halt};

use super::{
    evidence::{self, Place},
    frame,
    server::{Server, Share, Who},
    session::{Next, broken},
    status::Status,
};
use files::Held;
use find::Search;
use packet::{Block, Packet};
use reply::Reply;
use setup::User;
use sign::Signing;
use transaction::Waiting;
use tree::Tree;

/// What one connection may have at a time. Windows has more of each than any client of a canary needs.
mod most {
    /// Commands of one packet: login, connection, opening, reading and closing are five.
    pub(super) const CHAINED: usize = 8;
    /// Users that have logged in, or are about to.
    pub(super) const USERS: usize = 16;
    /// Shares that are connected to.
    pub(super) const TREES: usize = 32;
    /// Files and pipes that are open.
    pub(super) const OPENS: usize = 64;
    /// Searches that are not at their end.
    pub(super) const SEARCHES: usize = 16;
}

/// Commands (MS-CIFS, section 2.2.2.1).
pub(crate) mod command {
    pub(crate) const CREATE_DIRECTORY: u8 = 0x00;
    pub(crate) const DELETE_DIRECTORY: u8 = 0x01;
    pub(crate) const OPEN: u8 = 0x02;
    pub(crate) const CREATE: u8 = 0x03;
    pub(crate) const CLOSE: u8 = 0x04;
    pub(crate) const FLUSH: u8 = 0x05;
    pub(crate) const DELETE: u8 = 0x06;
    pub(crate) const RENAME: u8 = 0x07;
    pub(crate) const QUERY_INFORMATION: u8 = 0x08;
    pub(crate) const SET_INFORMATION: u8 = 0x09;
    pub(crate) const READ: u8 = 0x0a;
    pub(crate) const WRITE: u8 = 0x0b;
    pub(crate) const CREATE_NEW: u8 = 0x0f;
    pub(crate) const CHECK_DIRECTORY: u8 = 0x10;
    pub(crate) const LOCKING_ANDX: u8 = 0x24;
    pub(crate) const TRANSACTION: u8 = 0x25;
    pub(crate) const TRANSACTION_SECONDARY: u8 = 0x26;
    pub(crate) const ECHO: u8 = 0x2b;
    pub(crate) const OPEN_ANDX: u8 = 0x2d;
    pub(crate) const READ_ANDX: u8 = 0x2e;
    pub(crate) const WRITE_ANDX: u8 = 0x2f;
    pub(crate) const TRANSACTION2: u8 = 0x32;
    pub(crate) const TRANSACTION2_SECONDARY: u8 = 0x33;
    pub(crate) const FIND_CLOSE2: u8 = 0x34;
    pub(crate) const TREE_DISCONNECT: u8 = 0x71;
    pub(crate) const NEGOTIATE: u8 = 0x72;
    pub(crate) const SESSION_SETUP: u8 = 0x73;
    pub(crate) const LOGOFF: u8 = 0x74;
    pub(crate) const TREE_CONNECT_ANDX: u8 = 0x75;
    pub(crate) const QUERY_INFORMATION_DISK: u8 = 0x80;
    pub(crate) const NT_TRANSACT: u8 = 0xa0;
    pub(crate) const NT_TRANSACT_SECONDARY: u8 = 0xa1;
    pub(crate) const NT_CREATE_ANDX: u8 = 0xa2;
    pub(crate) const NT_CANCEL: u8 = 0xa4;
    pub(crate) const NT_RENAME: u8 = 0xa5;
}

/// Flags of the header (section 2.2.3.1).
pub(crate) mod flags2 {
    pub(crate) const LONG_NAMES: u16 = 0x0001;
    pub(crate) const SIGNATURE: u16 = 0x0004;
    pub(crate) const SIGNATURE_REQUIRED: u16 = 0x0010;
    pub(crate) const IS_LONG_NAME: u16 = 0x0040;
    pub(crate) const EXTENDED: u16 = 0x0800;
    pub(crate) const PAGING_IO: u16 = 0x2000;
    pub(crate) const NT_STATUS: u16 = 0x4000;
    pub(crate) const UNICODE: u16 = 0x8000;
}

/// The dialect in Samba's words.
const VERSION: &str = "NT1";
/// A request that breaks the grammar (MS-CIFS, section 2.2.2.4).
const INVALID_SMB: Status = Status(0x0001_0002);
/// A form of information that there is not.
const INVALID_LEVEL: Status = Status(0xc000_0148);
/// What a server without the fix of MS17-010 says to a pipe that is none.
const INSUFF_SERVER_RESOURCES: Status = Status(0xc000_0205);
/// The first numbers that Windows gives to users and trees.
const FIRST: u16 = 0x0800;
/// The smallest and the usual buffer of a client's (section 2.2.4.53.1: `MaxBufferSize`).
const BUFFER: usize = 1024;

/// One connection of SMB 1.
#[derive(Debug, Default)]
pub struct Dialogue {
    /// Whether a dialect was agreed on.
    agreed: bool,
    /// What clients answer that do not speak SPNEGO.
    nonce: Option<[u8; 8]>,
    /// The largest packet that the client takes.
    largest: usize,
    users: BTreeMap<u16, User>,
    trees: BTreeMap<u16, Tree>,
    opens: BTreeMap<u16, Held>,
    searches: BTreeMap<u16, Search>,
    waiting: Waiting,
    /// Once somebody is in who has a key, and signatures are wanted.
    signing: Option<Signing>,
    /// The client's system as Samba guesses it.
    arch: Option<&'static str>,
    /// Attacks that were reported.
    attacks: BTreeSet<(&'static str, &'static str)>,
}

/// A command, with what it takes to answer it.
struct Call<'a, 'b> {
    block: Block<'a>,
    server: &'a Server,
    reply: &'a mut Reply,
    cx: &'a mut Cx<'b>,
}

/// What came of a command.
enum Done {
    /// Its answer is written; the chain goes on.
    Answered,
    /// These packets are the answer.
    Packets(Vec<Vec<u8>>),
    /// Nothing is answered.
    Silent,
    /// Nor to anything else here.
    Over(Next),
}

/// Why a command is not carried out.
enum Stop {
    /// The client is told so.
    Failed(Status),
    /// It breaks the grammar, which the client is told and we report.
    Broken(&'static str),
}

impl From<Status> for Stop {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl From<Halt> for Stop {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Malformed(why) => Self::Broken(why),
            // What is parsed here is whole.
            Halt::Need(_) => Self::Broken("truncated"),
        }
    }
}

impl Dialogue {
    /// Takes a packet's content.
    pub fn take(&mut self, message: &[u8], server: &Server, cx: &mut Cx<'_>) -> Next {
        let packet = match Packet::read(message) {
            Ok(packet) => packet,
            Err(Halt::Malformed(why)) => return Next::Go(broken(why, message, cx)),
            Err(Halt::Need(_)) => return Next::Go(broken("truncated", message, cx)),
        };
        let header = packet.header;
        let mut reply = Reply::to(&header);
        let mut next = packet.first();
        if next.is_none() {
            report(cx, "truncated", message);
            reply.fail(header.command, INVALID_SMB);
        }
        for _ in 0..most::CHAINED {
            let Some(block) = next.take().filter(|_| reply.has_room()) else { break };
            next = block.next();
            let mut call = Call { block, server, reply: &mut reply, cx };
            match self.act(&mut call) {
                Ok(Done::Answered) => {}
                Ok(Done::Packets(packets)) => {
                    packets.into_iter().for_each(|packet| self.send(packet, cx));
                    return Next::Go(Flow::Continue);
                }
                Ok(Done::Silent) => {
                    self.signing.iter_mut().for_each(Signing::unanswered);
                    return Next::Go(Flow::Continue);
                }
                Ok(Done::Over(next)) => return next,
                Err(stop) => {
                    let status = match stop {
                        Stop::Failed(status) => status,
                        Stop::Broken(why) => {
                            report(cx, why, message);
                            INVALID_SMB
                        }
                    };
                    reply.fail(block.command, status);
                    break;
                }
            }
        }
        self.send(reply.finish(&header), cx);
        Next::Go(Flow::Continue)
    }

    /// Sends an answer, signed if that is wanted.
    fn send(&mut self, mut packet: Vec<u8>, cx: &mut Cx<'_>) {
        if let Some(signing) = &mut self.signing {
            signing.sign(&mut packet);
        }
        cx.reply(frame::packet(&packet));
    }

    /// The connection ends.
    pub fn end(&mut self, server: &Server, cx: &mut Cx<'_>) {
        self.close_those(|_| true, server, cx);
        std::mem::take(&mut self.users).into_values().for_each(|user| user.left(cx));
        self.abandoned(cx);
    }

    fn act(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let command = call.block.command;
        if !self.agreed && command == command::SESSION_SETUP {
            // A login is recorded whenever it comes.
            let _ = self.setup(call);
            return Ok(Done::Over(Next::Go(Flow::Close)));
        }
        if !self.agreed && command != command::NEGOTIATE {
            return Ok(Done::Over(Next::Go(broken("a command before a dialect", &[command], call.cx))));
        }
        match command {
            command::NT_CANCEL => Ok(Done::Silent),
            command::NEGOTIATE => self.negotiate(call),
            command::SESSION_SETUP => self.setup(call),
            command::LOGOFF => self.logoff(call),
            command::TREE_CONNECT_ANDX => self.connect(call),
            command::TREE_DISCONNECT => self.disconnect(call),
            command::ECHO => self.echo(call),
            command::TRANSACTION | command::TRANSACTION2 | command::NT_TRANSACT => self.transaction(call),
            command::TRANSACTION_SECONDARY
            | command::TRANSACTION2_SECONDARY
            | command::NT_TRANSACT_SECONDARY => self.secondary(call),
            _ => self.act_on_files(call),
        }
    }

    fn act_on_files(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        match call.block.command {
            command::NT_CREATE_ANDX => self.nt_create(call),
            command::OPEN_ANDX => self.open_andx(call),
            command::OPEN => self.open_old(call),
            command::CREATE | command::CREATE_NEW => self.create_old(call),
            command::READ_ANDX => self.read_andx(call),
            command::READ => self.read_old(call),
            command::WRITE_ANDX => self.write_andx(call),
            command::WRITE => self.write_old(call),
            command::CLOSE => self.close(call),
            command::FLUSH => self.nothing(0, false, call),
            command::LOCKING_ANDX => self.nothing(4, true, call),
            command::FIND_CLOSE2 => self.find_close(call),
            command::DELETE | command::DELETE_DIRECTORY => self.change("unlinkat", call),
            command::CREATE_DIRECTORY => self.change("mkdirat", call),
            command::SET_INFORMATION => self.change("fset_dos_attributes", call),
            command::RENAME | command::NT_RENAME => self.rename(call),
            command::CHECK_DIRECTORY => self.check(call),
            command::QUERY_INFORMATION => self.query_old(call),
            command::QUERY_INFORMATION_DISK => self.disk(call),
            command => {
                report(call.cx, "a command that there is not", &[command]);
                Err(Status::SMB_BAD_COMMAND.into())
            }
        }
    }

    /// ECHO (section 2.2.4.39): as often as it is wished, within reason.
    fn echo(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        const MOST: u16 = 16;
        let header = call.block.header();
        let count = call.block.words().u16_le()?.min(MOST);
        let packets = (1..=count).map(|number| {
            let mut reply = Reply::to(header);
            reply.block(command::ECHO, false, &number.to_le_bytes());
            reply.raw(call.block.bytes);
            reply.finish(header)
        });
        Ok(Done::Packets(packets.collect()))
    }

    /// Who it is that asks.
    fn who(&self, call: &Call<'_, '_>) -> Result<Arc<Who>, Status> {
        match self.users.get(&call.reply.uid) {
            Some(User::In(who)) => Ok(Arc::clone(who)),
            _ => Err(Status::SMB_BAD_UID),
        }
    }

    /// The share that is meant, with its number.
    fn share<'a>(&self, call: &Call<'a, '_>) -> Result<(usize, &'a Share), Status> {
        let tree = self.trees.get(&call.reply.tid).ok_or(Status::SMB_BAD_TID)?;
        let share = call.server.shares.get(tree.share).ok_or(Status::SMB_BAD_TID)?;
        Ok((tree.share, share))
    }

    /// What events of it have.
    fn place<'a>(&self, server: &'a Server, who: &'a Who, share: &'a str) -> Place<'a> {
        Place { server, who, version: VERSION, arch: self.arch.unwrap_or("UNKNOWN"), share }
    }
}

/// Reports what breaks the grammar but not the connection.
fn report(cx: &mut Cx<'_>, why: &'static str, message: &[u8]) {
    cx.report(evidence::broken(why, message));
}

/// A number that is not taken, from `first` on.
fn free<T>(taken: &BTreeMap<u16, T>, first: u16) -> u16 {
    (first..u16::MAX).find(|number| !taken.contains_key(number)).unwrap_or(u16::MAX)
}
