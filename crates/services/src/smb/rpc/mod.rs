//! The named pipes of IPC$ with a DCE/RPC server behind each (C706; MS-RPCE): shares and names are told, whatever else
//! is asked for is recorded by name and refused as Windows refuses it to a guest.
//!
//! Bounds: a fragment is at most 64 KiB (its length has 16 bits), a call's arguments 256 KiB, answers that nobody reads
//! 64, interfaces 32, handles 64, logins 8. Nothing is read recursively.

mod call;
mod evidence;
mod interfaces;
mod lsarpc;
mod ndr;
mod operations;
mod others;
mod pdu;
mod printers;
mod samr;
mod srvsvc;
#[cfg(test)]
mod tests;
mod wkssvc;

use std::collections::VecDeque;

use haldane_core::{Cx, Halt, Windows};
use haldane_wire::spnego::{Attempt, Conversation, Step};

use call::{Call, Handles};
use interfaces::{Interface, Place};
use pdu::{Bind, Header, Verdict, Verifier, fault, flag, kind};

pub use evidence::pipe_exploit;

/// Most bytes of arguments, of all fragments together.
const STUB: usize = 256 << 10;
/// Most answers that wait to be read.
const REPLIES: usize = 64;
/// Most logins on one pipe.
const LOGINS: usize = 8;
/// Most interfaces that are bound at once.
const CONTEXTS: usize = 32;

/// What the servers behind the pipes say.
#[derive(Debug, Clone)]
pub struct Names {
    /// The machine.
    pub windows: Windows,
    /// Name, sort and comment of each share.
    pub shares: Vec<(String, ShareSort, String)>,
    /// The last three parts of the machine's own SID, by which its accounts are known: `S-1-5-21-` and these.
    pub sid: [u32; 3],
}

/// What a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareSort {
    /// A folder.
    Disk,
    /// A folder for administrators.
    Hidden,
    /// Pipes.
    Pipes,
}

/// What was recognised.
#[derive(Debug)]
pub struct Seen {
    /// Interface and operation: `srvsvc NetrShareEnum`. `bind` for an interface that is not there, or a login.
    pub call: String,
    /// The attack that it is.
    pub exploit: Option<&'static str>,
    /// What is worth recording of its arguments.
    pub arguments: String,
    /// A login within RPC, beside that of SMB.
    pub login: Option<Box<Attempt>>,
}

/// A pipe that a client has open.
#[derive(Debug)]
pub struct Pipe {
    place: &'static Place,
    names: Names,
    /// The beginning of a fragment.
    input: Vec<u8>,
    /// Arguments of a call whose last fragment is still to come, and its number.
    stub: Option<(u32, Vec<u8>)>,
    /// Messages that wait; of the first, so much was read already.
    replies: VecDeque<Vec<u8>>,
    taken: usize,
    contexts: Vec<(u16, &'static Interface)>,
    handles: Handles,
    /// Largest fragment that the client takes.
    largest: u16,
    group: u32,
    login: Option<Conversation>,
    /// A login within RPC was begun: no call is answered after that, for we have no key that could prove anything.
    proves: bool,
    /// How many were made.
    logins: usize,
    broken: bool,
    /// Something was told about it already.
    told: bool,
}

impl Pipe {
    /// Opens the pipe of that name: `srvsvc`. `None` if there is none.
    pub fn open(name: &str, server: &Names) -> Option<Self> {
        Some(Self {
            place: Place::find(name)?,
            names: server.clone(),
            input: Vec::new(),
            stub: None,
            replies: VecDeque::new(),
            taken: 0,
            contexts: Vec::new(),
            handles: Handles::default(),
            largest: pdu::FRAGMENT,
            group: 0,
            login: None,
            proves: false,
            logins: 0,
            broken: false,
            told: false,
        })
    }

    /// What it is called, in small letters.
    pub fn name(&self) -> &'static str {
        self.place.name
    }

    /// Whether the server hung up on the client: `STATUS_PIPE_DISCONNECTED`.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes what was written. Answers wait then to be read.
    pub fn write(&mut self, bytes: &[u8], cx: &mut Cx<'_>) -> Vec<Seen> {
        let mut seen = Vec::new();
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut rest = input.as_slice();
        while !self.broken {
            let header = match Header::read(rest) {
                Ok(header) => header,
                Err(Halt::Need(_)) => break,
                Err(Halt::Malformed(why)) => {
                    seen.push(self.hang_up(why));
                    break;
                }
            };
            let Some((fragment, later)) = rest.split_at_checked(header.length.into()) else { break };
            rest = later;
            let body = fragment.get(pdu::HEADER..).unwrap_or_default();
            let taken = match self.fragment(header, body, cx) {
                Err(Halt::Malformed(why)) => Some(self.hang_up(why)),
                Err(Halt::Need(_)) => Some(self.hang_up("truncated")),
                Ok(taken) => taken,
            };
            seen.extend(taken);
            if self.replies.len() > REPLIES {
                seen.push(self.hang_up("more calls than answers are read"));
            }
        }
        if !self.broken {
            // Less than a fragment.
            self.input = rest.to_vec();
        }
        self.told |= !seen.is_empty();
        seen
    }

    /// What is to be recorded of a pipe that was opened and perhaps bound, and on which nothing was asked.
    pub fn close(&self) -> Option<Seen> {
        let names: Vec<&str> = self.contexts.iter().map(|(_, interface)| interface.name).collect();
        let call = if names.is_empty() { "open" } else { "bind" }.to_owned();
        (!self.told).then(|| Seen { call, exploit: None, arguments: names.join(", "), login: None })
    }

    /// At most that many bytes of the message that waits, and whether more of that message waits. Each message is read
    /// by itself. Nothing: no message waits.
    pub fn read(&mut self, most: usize) -> (Vec<u8>, bool) {
        let Some(first) = self.replies.front() else { return (Vec::new(), false) };
        let rest = first.get(self.taken..).unwrap_or_default();
        let now = rest.get(..most).unwrap_or(rest).to_vec();
        let more = now.len() < rest.len();
        self.taken = self.taken.saturating_add(now.len());
        if !more {
            self.replies.pop_front();
            self.taken = 0;
        }
        (now, more)
    }

    /// How many bytes of the message that is next wait; 0 if there is none.
    pub fn waiting(&self) -> usize {
        self.replies.front().map_or(0, |first| first.len().saturating_sub(self.taken))
    }

    fn hang_up(&mut self, why: &'static str) -> Seen {
        self.broken = true;
        self.input = Vec::new();
        self.stub = None;
        self.replies.clear();
        Seen { call: "broken".to_owned(), exploit: None, arguments: why.to_owned(), login: None }
    }

    fn fragment(&mut self, header: Header, body: &[u8], cx: &mut Cx<'_>) -> Result<Option<Seen>, Halt> {
        let (body, verifier) = pdu::split(header, body)?;
        match header.kind {
            kind::BIND | kind::ALTER => self.bind(header, body, verifier, cx),
            kind::AUTH3 => {
                let Some(verifier) = verifier else { return Err(Halt::Malformed("no login")) };
                Ok(self.prove(verifier, cx)?.1)
            }
            kind::REQUEST => self.request(header, body, verifier.is_some(), cx),
            // A call is given up, or the answer to it.
            18 | 19 => {
                self.stub = None;
                Ok(None)
            }
            _ => Err(Halt::Malformed("a message that no client sends")),
        }
    }

    fn bind(
        &mut self,
        header: Header,
        body: &[u8],
        verifier: Option<Verifier<'_>>,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Seen>, Halt> {
        let bind = Bind::read(body)?;
        let first = header.kind == kind::BIND;
        if first {
            if !self.contexts.is_empty() {
                return Err(Halt::Malformed("bound twice"));
            }
            self.largest = bind.receives;
            self.group = if bind.group == 0 { u32::from_le_bytes(cx.random()) | 1 } else { bind.group };
        }
        let mut unknown = Vec::new();
        let verdicts: Vec<Verdict> = bind
            .contexts
            .iter()
            .map(|context| {
                let (verdict, name) = self.context(context);
                unknown.extend(name);
                verdict
            })
            .collect();
        let seen = (!unknown.is_empty()).then(|| Seen {
            call: "bind".to_owned(),
            exploit: None,
            arguments: unknown.join(", "),
            login: None,
        });
        let (token, login) = match verifier {
            Some(verifier) => self.prove(verifier, cx)?,
            None => (None, None),
        };
        let flags = flag::FIRST | flag::LAST | header.flags & (flag::SIGNED_HEADERS | flag::MULTIPLEX);
        let reply = if login.is_some() {
            // Whoever it is: the login failed.
            pdu::fault(header.call, 0, fault::DENIED)
        } else {
            let address = if first { self.place.address } else { "" };
            let body = pdu::bind_ack(&bind, self.group, address, &verdicts);
            let answer = if first { kind::BIND_ACK } else { kind::ALTER_ACK };
            let verifier = verifier.zip(token.as_deref()).map(|(theirs, token)| Verifier { token, ..theirs });
            pdu::message(answer, flags, header.call, &body, verifier)
        };
        self.replies.push_back(reply);
        Ok(login.or(seen))
    }

    /// Whether an interface may be used; its name, which is to be recorded, if it is not there.
    fn context(&mut self, context: &pdu::Context) -> (Verdict, Option<String>) {
        if context.features {
            return (Verdict::Features, None);
        }
        let interface = Interface::find(context.uuid, context.version);
        let served = interface
            .filter(|interface| interface.program == Some(self.place.program) || interface.name == "mgmt");
        let Some(interface) = served else {
            let name = interface.map_or_else(String::new, |interface| format!("{} ", interface.name));
            let (major, minor) = context.version;
            let name = format!("{name}{} {major}.{minor}", pdu::written(context.uuid));
            return (Verdict::NoInterface, Some(name));
        };
        if !context.ndr {
            return (Verdict::NoSyntax, None);
        }
        self.contexts.retain(|(id, _)| *id != context.id);
        if self.contexts.len() >= CONTEXTS {
            return (Verdict::NoInterface, None);
        }
        self.contexts.push((context.id, interface));
        (Verdict::Accepted, None)
    }

    /// Our token, and the login when the client has made it.
    fn prove(
        &mut self,
        verifier: Verifier<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(Option<Vec<u8>>, Option<Seen>), Halt> {
        self.proves = true;
        let conversation = self.login.get_or_insert_default();
        match conversation.take(verifier.token, &self.names.windows, cx) {
            Step::Reply { token, .. } => Ok((Some(token), None)),
            Step::Done(_) if self.logins >= LOGINS => Err(Halt::Malformed("more logins than a client makes")),
            Step::Done(attempt) => {
                self.login = None;
                self.logins = self.logins.saturating_add(1);
                let level = format!("level {}", verifier.level);
                let login = Some(attempt);
                let seen = Seen { call: "bind".to_owned(), exploit: None, arguments: level, login };
                Ok((None, Some(seen)))
            }
            Step::Unknown => Ok((None, None)),
        }
    }

    fn request(
        &mut self,
        header: Header,
        body: &[u8],
        sealed: bool,
        cx: &mut Cx<'_>,
    ) -> Result<Option<Seen>, Halt> {
        let mut input = haldane_core::Input::whole(body);
        input.take(4)?;
        let (context, operation) = (input.u16_le()?, input.u16_le()?);
        if header.flags & flag::OBJECT != 0 {
            input.take(16)?;
        }
        if header.flags & flag::FIRST != 0 {
            self.stub = Some((header.call, Vec::new()));
        }
        let Some((_, stub)) = self.stub.as_mut().filter(|(call, _)| *call == header.call) else {
            return Err(Halt::Malformed("the second fragment of no call"));
        };
        let more = input.take_rest();
        if stub.len().saturating_add(more.len()) > STUB {
            return Err(Halt::Malformed("arguments too long"));
        }
        stub.extend_from_slice(more);
        if header.flags & flag::LAST == 0 {
            return Ok(None);
        }
        let stub = self.stub.take().map(|(_, stub)| stub).unwrap_or_default();
        let bound = self.contexts.iter().find(|(id, _)| *id == context);
        let Some((_, interface)) = bound.copied() else {
            self.replies.push_back(pdu::fault(header.call, context, fault::NO_INTERFACE));
            let call = format!("{} {operation}", self.place.name);
            return Ok(Some(Seen { call, exploit: None, arguments: String::new(), login: None }));
        };
        let seen = {
            let local = cx.peer().local.ip();
            // A loopback address is everybody's own, and so says nothing.
            let address = if local.is_loopback() { String::new() } else { local.to_string() };
            let own = [self.names.windows.computer.as_str(), &self.names.windows.dns_name, &address];
            let request = evidence::Request { interface, operation, stub: &stub, sealed };
            evidence::seen(&request, &own)
        };
        let answer = if self.proves {
            Err(fault::DENIED)
        } else {
            let (names, handles) = (&self.names, &mut self.handles);
            Call { names, handles, operation, stub: &stub, cx }.answer(interface)
        };
        match answer {
            Ok(stub) => self.replies.extend(pdu::responses(header.call, context, &stub, self.largest)),
            Err(number) => self.replies.push_back(pdu::fault(header.call, context, number)),
        }
        Ok(seen)
    }
}
