//! SMB 2.0.2 to 3.1.1 (MS-SMB2, section 3.3): one connection, with its sessions, and the messages of one packet after the
//! other.
//!
//! Whoever is let in is a guest or nobody, and such sessions have no key (section 3.3.5.5.3): nothing is signed or
//! encrypted in them, as Windows does not either. Who comes with a planted account has one.

mod file;
mod head;
mod info;
mod ioctl;
mod negotiate;
mod query;
mod seal;
mod setup;
mod sign;
mod tree;

use haldane_core::{Cx, Flow};
use haldane_wire::{ntlm::Negotiate, spnego::Conversation};

use super::{
    bytes::Put,
    evidence::{self, Place},
    frame,
    open::Open,
    server::{Server, Share, Who},
    session::broken,
    status::Status,
};
use head::{HEAD, Head, Request, command, flag};

/// The number of the last message of a packet that is looked at.
const LAST: usize = 31;
/// Most bytes of an answer to one packet: beyond them, what follows is refused.
const LARGEST_ANSWER: usize = frame::MOST;
/// Most credits a client may hold, as Windows has it.
const CREDITS: u16 = 8192;
/// Most sessions, trees of each, files that are open in all of them, and requests that wait: more than honest clients
/// have on one connection.
const SESSIONS: usize = 16;
const TREES: usize = 32;
const OPENS: usize = 128;
const WAITING: usize = 64;
/// The id of a file that the message before opened.
const RELATED_FILE: u64 = u64::MAX;

/// One connection of SMB 2.
#[derive(Debug)]
pub struct Dialogue {
    agreed: Option<negotiate::Agreed>,
    sessions: Vec<Session>,
    waiting: Vec<Waiting>,
    /// Grows with each thing that gets a number.
    count: u32,
    credits: u16,
    /// What was said up to the end of the negotiation.
    said: sign::Said,
    /// How the packet was encrypted that is being answered, and in which session.
    sealed: Option<(seal::Keys, u64)>,
}

impl Default for Dialogue {
    fn default() -> Self {
        Self {
            agreed: None,
            sessions: Vec::new(),
            waiting: Vec::new(),
            count: 0,
            credits: 1,
            said: sign::Said::default(),
            sealed: None,
        }
    }
}

/// One session.
#[derive(Debug)]
struct Session {
    id: u64,
    login: Conversation,
    /// What the client said of itself to get our challenge, until it has answered that.
    first: Option<Negotiate>,
    /// Once it was let in.
    who: Option<Who>,
    /// What was said up to now, and the key that follows from that and the password, if that is known.
    said: sign::Said,
    key: Option<sign::Key>,
    seals: Option<seal::Keys>,
    trees: Vec<(u32, usize)>,
    opens: Vec<(u64, Handle)>,
}

/// Something that is open, with the tree that it was opened in.
#[derive(Debug)]
struct Handle {
    tree: u32,
    open: Open,
    listing: Option<query::Listing>,
}

/// A request that is answered later, or never.
#[derive(Debug)]
struct Waiting {
    head: Head,
    file: u64,
}

/// What the messages of one packet hand on to each other.
#[derive(Debug, Default)]
struct Related {
    session: u64,
    tree: u32,
    /// The file that was opened, or why none was.
    file: Option<Result<u64, Status>>,
}

/// What a request leads to.
#[derive(Debug)]
enum Answer {
    /// This.
    Reply(Status, Vec<u8>),
    /// More later.
    Wait { file: u64 },
    /// Nothing.
    Silence,
    /// Windows hangs up; the word says why.
    HangUp(&'static str),
}

impl From<Result<Vec<u8>, Status>> for Answer {
    fn from(result: Result<Vec<u8>, Status>) -> Self {
        match result {
            Ok(body) => Self::Reply(Status::OK, body),
            Err(status) => Self::Reply(status, head::error(&[])),
        }
    }
}

impl Dialogue {
    /// Takes a packet's content: one message, or several of which each says where the next begins.
    pub fn take(&mut self, packet: &[u8], server: &Server, cx: &mut Cx<'_>) -> Flow {
        let (mut rest, mut related, mut reply) = (packet, Related::default(), Vec::new());
        for number in 0..=LAST {
            let Some(mut head) = Head::read(rest) else {
                return self.hang_up("no head of SMB 2", packet, server, cx);
            };
            let next = usize::try_from(head.next).unwrap_or(usize::MAX);
            let Some((message, behind)) =
                (if next == 0 { Some((rest, &[][..])) } else { rest.split_at_checked(next) })
            else {
                return self.hang_up("the next message is outside the packet", packet, server, cx);
            };
            if head.flags & flag::RESPONSE != 0 || message.len() < HEAD || next % 8 != 0 {
                return self.hang_up("no request of SMB 2", packet, server, cx);
            }
            if self.agreed.is_none() && head.command != command::NEGOTIATE {
                return self.hang_up("a request before the negotiation", packet, server, cx);
            }
            let mut answer = None;
            if head.flags & flag::RELATED != 0 {
                if number == 0 {
                    answer = Some(Answer::from(Err(Status::INVALID_PARAMETER)));
                }
                head.session = related.session;
                head.place = head.place & 0xffff_ffff | u64::from(related.tree) << 32;
            }
            if reply.len() > LARGEST_ANSWER {
                answer = Some(Answer::from(Err(Status::INSUFFICIENT_RESOURCES)));
            }
            let mut request = Request { head, message, body: message.get(HEAD..).unwrap_or_default() };
            let before = self.key(head.session);
            if let Err(status) = self.verify(&request, before) {
                answer = Some(Answer::from(Err(status)));
            }
            let answer = answer.unwrap_or_else(|| self.act(&mut request, &mut related, server, cx));
            if let Answer::HangUp(why) = answer {
                return self.hang_up(why, packet, server, cx);
            }
            let key = self.key(request.head.session).or(before);
            let last = behind.is_empty() || number == LAST;
            self.append(request.head, answer, (key, last), &mut reply);
            if last {
                break;
            }
            rest = behind;
        }
        if !reply.is_empty() {
            self.say(reply, cx);
        }
        Flow::Continue
    }

    /// Takes an encrypted packet, whole: answers are encrypted, too.
    pub fn unseal(&mut self, packet: &[u8], server: &Server, cx: &mut Cx<'_>) -> Flow {
        let id = seal::session(packet);
        let found = self.sessions.iter().find(|session| Some(session.id) == id);
        let keys = found.and_then(|session| Some((session.seals?, session.id)));
        let Some(content) = keys.and_then(|(keys, _)| keys.open(packet)) else {
            return self.hang_up("encrypted without a key", packet, server, cx);
        };
        self.sealed = keys;
        let flow = self.take(&content, server, cx);
        self.sealed = None;
        flow
    }

    /// Sends what is answered, encrypted if what it answers was.
    fn say(&self, reply: Vec<u8>, cx: &mut Cx<'_>) {
        let sealed = self.sealed.and_then(|(keys, session)| keys.seal(session, &cx.random(), &reply));
        cx.reply(frame::packet(&sealed.unwrap_or(reply)));
    }

    /// The connection ends: what is open is closed.
    pub fn end(&mut self, server: &Server, cx: &mut Cx<'_>) {
        let version = self.version();
        for session in std::mem::take(&mut self.sessions) {
            session.end(version, server, cx);
        }
    }

    fn hang_up(&mut self, why: &'static str, packet: &[u8], server: &Server, cx: &mut Cx<'_>) -> Flow {
        self.end(server, cx);
        broken(why, packet, cx)
    }

    /// The dialect in Samba's words.
    fn version(&self) -> &'static str {
        self.agreed.as_ref().map_or("SMB2", negotiate::Agreed::version)
    }

    fn number(&mut self) -> u32 {
        self.count = self.count.wrapping_add(1);
        self.count
    }

    /// Adds an answer to those of the same packet.
    fn append(
        &mut self,
        mut head: Head,
        answer: Answer,
        (key, last): (Option<sign::Key>, bool),
        reply: &mut Vec<u8>,
    ) {
        let (status, body) = match answer {
            Answer::Reply(status, body) => (status, body),
            Answer::Wait { file } => match self.wait(&mut head, file) {
                Ok(()) => (Status::PENDING, head::error(&[])),
                Err(status) => (status, head::error(&[])),
            },
            Answer::Silence | Answer::HangUp(_) => return,
        };
        let credits = self.grant(&head);
        let start = reply.len();
        reply.raw(&head.answer(status, credits, &body));
        if !last {
            let length = reply.len().saturating_sub(start).next_multiple_of(8);
            reply.resize(start.saturating_add(length), 0);
            reply.patch_u32(start.saturating_add(20), super::bytes::size32(length));
        }
        let setup = head.command == command::SESSION_SETUP && status.is_ok();
        let asked = head.flags & flag::SIGNED != 0 && status != Status::PENDING;
        let signs = self.sealed.is_none() && (setup || asked);
        if let (Some(key), true, Some(message)) = (key, signs, reply.get_mut(start..)) {
            key.sign(message);
        }
        self.remember(&head, status, reply.get(start..).unwrap_or_default());
    }

    /// The key of that session.
    fn key(&self, session: u64) -> Option<sign::Key> {
        self.sessions.iter().find(|found| found.id == session).and_then(|session| session.key)
    }

    /// A session with a key refuses what is signed wrongly, and what is not signed where that is required (section
    /// 3.3.5.2.4).
    fn verify(&self, request: &Request<'_>, key: Option<sign::Key>) -> Result<(), Status> {
        if self.sealed.is_some() {
            return Ok(());
        }
        let Some(key) = key.filter(|_| request.head.command != command::SESSION_SETUP) else { return Ok(()) };
        let required = self.agreed.is_some_and(|agreed| (agreed.mode | agreed.client.2) & 2 != 0);
        let good = match request.head.flags & flag::SIGNED != 0 {
            true => key.verifies(request.message),
            false => !required || request.head.command == command::CANCEL,
        };
        if good { Ok(()) } else { Err(Status::ACCESS_DENIED) }
    }

    /// Adds an answer to what was said, where a key follows from that (section 3.3.5.4, and 3.3.5.5).
    fn remember(&mut self, head: &Head, status: Status, message: &[u8]) {
        match head.command {
            command::NEGOTIATE => self.said.add(message),
            command::SESSION_SETUP if status == Status::MORE_PROCESSING_REQUIRED => {
                if let Some(session) = self.sessions.iter_mut().find(|session| session.id == head.session) {
                    session.said.add(message);
                }
            }
            _ => {}
        }
    }

    /// Makes a request one that is answered later: its answer gets an id of its own in place of the tree.
    fn wait(&mut self, head: &mut Head, file: u64) -> Result<(), Status> {
        if self.waiting.len() >= WAITING {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        head.place = self.number().into();
        head.flags |= flag::ASYNC;
        self.waiting.push(Waiting { head: *head, file });
        Ok(())
    }

    /// Answers what waits, if `which` says so.
    fn release(&mut self, which: impl Fn(&Waiting) -> bool, status: Status, cx: &mut Cx<'_>) {
        let (go, stay) = std::mem::take(&mut self.waiting).into_iter().partition(which);
        self.waiting = stay;
        let go: Vec<Waiting> = go;
        for waiting in go {
            self.say(waiting.head.answer(status, 0, &head::error(&[])), cx);
        }
    }

    /// Credits for an answer: as many as are asked for, up to what Windows lets a client hold (section 3.3.1.2).
    fn grant(&mut self, head: &Head) -> u16 {
        self.credits = self.credits.saturating_sub(head.charge.max(1));
        let wanted = if head.command == command::NEGOTIATE { 1 } else { head.credits.clamp(1, 512) };
        let granted = wanted.min(CREDITS.saturating_sub(self.credits));
        self.credits = self.credits.saturating_add(granted);
        granted
    }

    /// Acts on a request. The head of its answer is the request's, with what it was given: a session, a tree.
    fn act(
        &mut self,
        request: &mut Request<'_>,
        related: &mut Related,
        server: &Server,
        cx: &mut Cx<'_>,
    ) -> Answer {
        match request.head.command {
            command::NEGOTIATE => return self.negotiate(request, server, cx),
            command::SESSION_SETUP => {
                let answer = self.session_setup(request, server, cx);
                related.session = request.head.session;
                return answer;
            }
            command::CANCEL => return self.cancel(&request.head, cx),
            command::ECHO => return done(request).into(),
            unknown if unknown > command::OPLOCK_BREAK => return Err(Status::INVALID_PARAMETER).into(),
            _ => {}
        }
        let (head, version) = (request.head, self.version());
        related.session = head.session;
        let found = self.sessions.iter().position(|session| session.id == head.session);
        let number = self.number();
        let Some((index, session)) = found.and_then(|index| Some((index, self.sessions.get_mut(index)?)))
        else {
            return Err(Status::USER_SESSION_DELETED).into();
        };
        if session.who.is_none() {
            return Err(Status::ACCESS_DENIED).into();
        }
        match head.command {
            command::LOGOFF => {
                self.sessions.swap_remove(index).end(version, server, cx);
                self.waiting.retain(|waiting| waiting.head.session != head.session);
                return done(request).into();
            }
            command::TREE_CONNECT => {
                let answer = session.tree_connect(request, number, version, server, cx);
                related.tree = request.head.tree();
                return answer.into();
            }
            _ => related.tree = head.tree(),
        }
        let Some((_, number)) = session.trees.iter().find(|(tree, _)| *tree == head.tree()).copied() else {
            return Err(Status::NETWORK_NAME_DELETED).into();
        };
        let Some(share) = server.shares.get(number) else { return Err(Status::NETWORK_NAME_DELETED).into() };
        if head.command == command::TREE_DISCONNECT {
            session.tree_disconnect(head.tree(), version, server, cx);
            return done(request).into();
        }
        let id = u64::from(self.number());
        let opened = self.sessions.iter().map(|session| session.opens.len()).sum();
        let Some(agreed) = self.agreed else { return Answer::Silence };
        self.with_tree(
            request,
            related,
            Tree { index, id, opened, number, share, version, agreed, server },
            cx,
        )
    }

    /// A request within a tree.
    fn with_tree(
        &mut self,
        request: &Request<'_>,
        related: &mut Related,
        tree: Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Answer {
        let Some(session) = self.sessions.get_mut(tree.index) else { return Answer::Silence };
        match request.head.command {
            command::CREATE => {
                let created = session.create(request, &tree, cx);
                related.file = Some(created.as_ref().map(|(id, _)| *id).map_err(|status| *status));
                created.map(|(_, body)| body).into()
            }
            command::CLOSE => {
                let file = related.of(request, 8);
                let answer = file.and_then(|file| session.close(request, file, &tree, cx));
                if let (Ok(file), Ok(_)) = (file, &answer) {
                    self.release(|waiting| waiting.file == file, Status::NOTIFY_CLEANUP, cx);
                }
                answer.into()
            }
            command::FLUSH => related.of(request, 8).and_then(|file| session.flush(request, file)).into(),
            command::READ => match related.of(request, 16) {
                Ok(file) => session.read(request, file, &tree),
                Err(status) => Err(status).into(),
            },
            command::WRITE => {
                related.of(request, 16).and_then(|file| session.write(request, file, &tree, cx)).into()
            }
            command::LOCK => related.of(request, 8).and_then(|file| session.lock(request, file)).into(),
            command::IOCTL => session.ioctl(request, related, &tree, cx),
            command::QUERY_DIRECTORY => related
                .of(request, 8)
                .and_then(|file| session.query_directory(request, file, &tree, cx))
                .into(),
            command::CHANGE_NOTIFY => match related.of(request, 8) {
                Ok(file) => session.change_notify(request, file),
                Err(status) => Err(status).into(),
            },
            command::QUERY_INFO => match related.of(request, 24) {
                Ok(file) => session.query_info(request, file, &tree),
                Err(status) => Err(status).into(),
            },
            command::SET_INFO => {
                related.of(request, 16).and_then(|file| session.set_info(request, file, &tree, cx)).into()
            }
            // An oplock was never granted, so none is broken.
            _ => Err(Status::INVALID_DEVICE_REQUEST).into(),
        }
    }

    fn cancel(&mut self, head: &Head, cx: &mut Cx<'_>) -> Answer {
        let asynchronous = head.flags & flag::ASYNC != 0;
        let is_meant = |waiting: &Waiting| match asynchronous {
            true => waiting.head.place == head.place,
            false => waiting.head.message == head.message,
        };
        self.release(is_meant, Status::CANCELLED, cx);
        Answer::Silence
    }
}

impl Related {
    /// The file that a request names at `at`, or the one that the message before it has opened.
    fn of(&mut self, request: &Request<'_>, at: usize) -> Result<u64, Status> {
        let [persistent, volatile] = [request.u64(at)?, request.u64(at.saturating_add(8))?];
        let related = request.head.flags & flag::RELATED != 0 && volatile == RELATED_FILE;
        let file = if related {
            self.file.unwrap_or(Err(Status::FILE_CLOSED))
        } else if persistent == volatile {
            Ok(volatile)
        } else {
            Err(Status::FILE_CLOSED)
        };
        self.file = Some(file);
        file
    }
}

impl Session {
    /// Everything that is open is closed, and what a login that is under way has revealed is told.
    fn end(self, version: &'static str, server: &Server, cx: &mut Cx<'_>) {
        if let Some(first) = &self.first {
            cx.report(evidence::challenged(first, version));
        }
        let Some(who) = &self.who else { return };
        for (_, handle) in &self.opens {
            if let Some(share) = server.shares.get(handle.open.share) {
                handle.open.close(place(server, who, version, &share.name), cx);
            }
        }
    }

    fn handle(&mut self, file: u64) -> Result<&mut Handle, Status> {
        let found = self.opens.iter_mut().find(|(id, _)| *id == file);
        found.map(|(_, handle)| handle).ok_or(Status::FILE_CLOSED)
    }

    /// That handle, for evidence about it: where it is, too.
    fn opened<'a>(&'a mut self, file: u64, tree: &Tree<'a>) -> Result<(&'a mut Handle, Place<'a>), Status> {
        let who = self.who.as_ref().ok_or(Status::USER_SESSION_DELETED)?;
        let found =
            self.opens.iter_mut().find(|(id, handle)| *id == file && handle.open.share == tree.number);
        let (_, handle) = found.ok_or(Status::FILE_CLOSED)?;
        Ok((handle, place(tree.server, who, tree.version, &tree.share.name)))
    }
}

/// Where a request is acted upon.
#[derive(Debug, Clone, Copy)]
struct Tree<'a> {
    /// The session's place in the list.
    index: usize,
    /// A number for what is opened.
    id: u64,
    /// How much is open on the connection.
    opened: usize,
    /// The share's number.
    number: usize,
    share: &'a Share,
    version: &'static str,
    agreed: negotiate::Agreed,
    server: &'a Server,
}

/// What of an event is known before anything happens. Samba takes whoever speaks SMB 2 for Windows Vista or later.
fn place<'a>(server: &'a Server, who: &'a Who, version: &'static str, share: &'a str) -> Place<'a> {
    Place { server, who, version, arch: "Vista", share }
}

/// Whether a request is as long as it says (StructureSize), which is fixed for each.
fn structure(request: &Request<'_>, size: u16) -> Result<(), Status> {
    if request.u16(0)? == size { Ok(()) } else { Err(Status::INVALID_PARAMETER) }
}

/// The answer to requests that have nothing in them, and whose answers have not either.
fn done(request: &Request<'_>) -> Result<Vec<u8>, Status> {
    structure(request, 4).map(|()| vec![4, 0, 0, 0])
}
