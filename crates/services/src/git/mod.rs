//! `git daemon`: refuses every repository in the words of git 2.39.5, and can serve one bait repository for real.
//!
//! Reports `git.request` for each request of a service (upload-pack, receive-pack, upload-archive), with path, host,
//! port and version of the protocol; of the bait, `git.command` for each request of protocol version 2 and
//! `git.clone` when a pack is asked for; `git.malformed` for what git leaves without a word.
//! Protocol: gitprotocol-common (pkt-lines), gitprotocol-pack (versions 0 and 1), gitprotocol-v2, git-daemon(1).
//! By default the daemon enables upload-pack alone, and says of all else what it says of what is not there.
//!
//! Read `packet` and `request` for the grammar; the bait is collected by `load` (with `files`, `object` and
//! `pack`) and lies in
//! `repository`; `upload` talks about it, with `v2`, `fetch` (what is wanted) and `send` (what is given).

mod bits;
mod fetch;
mod files;
mod load;
mod object;
mod pack;
mod packet;
mod repository;
mod request;
mod send;
mod upload;
mod v2;

#[cfg(test)]
mod tests;

use std::{path::Path, sync::Arc, time::Duration};

use haldane_core::{
    Absent, Class, Compat, Cx, Flow, Halt, Host, Input, Kind, Limits, Peer, Protocol, Section, Session,
    Severity, Sighting, Value,
};

use packet::Packet;
use repository::Repository;
use request::{Place, Request};
use upload::UploadPack;

/// A service of the daemon was asked for.
pub static REQUEST: Kind =
    Kind::new(16001, "git.request", Class::Access, Severity::Low, "Git repository requested").compat(&[
        Compat::field("HOST", "host").or(Absent::Text("")),
        Compat::field("REPO", "repository").or(Absent::Text("")),
    ]);
/// A request of protocol version 2, of the bait.
pub static COMMAND: Kind =
    Kind::new(30900, "git.command", Class::Bait, Severity::High, "Git bait repository looked at");
/// The bait was cloned, or fetched from.
pub static CLONE: Kind =
    Kind::new(30901, "git.clone", Class::Bait, Severity::Critical, "Git bait repository cloned");
/// Bytes that git does not take.
pub static MALFORMED: Kind =
    Kind::new(30902, "git.malformed", Class::Probe, Severity::Low, "Malformed Git request");

/// The service.
#[derive(Debug)]
pub struct Git {
    server: Arc<Server>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    /// Whether it says why it refuses.
    informative: bool,
    /// As in `git/2.39.5`.
    agent: String,
    bait: Option<Arc<Repository>>,
}

impl Protocol for Git {
    const NAME: &'static str = "git";
    const PORT: u16 = 9418;
    /// The daemon has no time limits unless somebody sets them.
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(600),
        lifetime: Duration::from_secs(3600),
        frame: packet::LONGEST,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&REQUEST, &COMMAND, &CLONE, &MALFORMED];
    const TRY: &'static str = "git ls-remote git://{host}:{port}/payroll.git";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version =
            section.text("version", "2.39.5", "The version of git that the bait repository is served by.");
        if version.is_empty() || !version.bytes().all(|byte| byte.is_ascii_graphic()) {
            section.invalid("version", "expected a version of git, such as \"2.39.5\"");
        }
        let informative = section.flag(
            "informative_errors",
            false,
            "Whether the daemon tells a repository that is not there from a service that is not enabled, as with \
             --informative-errors.",
        );
        let folder = section.path(
            "repository",
            "A folder that can be cloned: a git repository, or files of which one commit is made. It is read once, \
             at the start, and never written. At most 16 MiB when packed.",
        );
        let path = section.optional(
            "repository_path",
            "Where it is served, as in \"/payroll.git\". The name of the folder if this is not set.",
        );
        let bait = folder.and_then(|folder| {
            let path = path.unwrap_or_else(|| served_at(&folder));
            let is_path = request::plain(path.as_bytes())
                && path.len() <= 1024
                && path.bytes().all(|byte| byte > b' ' && byte != 0x7f)
                && !path.ends_with('/');
            if !is_path {
                section.invalid("repository_path", "expected an absolute path, such as \"/payroll.git\"");
                return None;
            }
            let read = load::read(&folder, &host.name);
            match read.and_then(|contents| Repository::new(path.into_bytes(), &contents)) {
                Ok(repository) => Some(Arc::new(repository)),
                Err(why) => {
                    section
                        .invalid("repository", format!("cannot be served: {why}; expected another folder"));
                    None
                }
            }
        });
        Self { server: Arc::new(Server { informative, agent: format!("git/{version}"), bait }) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection { server: Arc::clone(&self.server), upload: None }
    }

    fn limits(&self) -> Limits {
        let bait = self.server.bait.as_ref().map_or(0, |bait| bait.packed_len());
        // References, progress and the packets' own lengths come on top of the pack.
        let room = u64::try_from(bait).unwrap_or(u64::MAX).saturating_mul(2);
        Limits { bytes_out: Self::LIMITS.bytes_out.saturating_add(room), ..Self::LIMITS }
    }
}

/// `/name.git`, after the folder.
fn served_at(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let suffix = if name.ends_with(".git") { "" } else { ".git" };
    format!("/{name}{suffix}")
}

/// One client.
#[derive(Debug)]
pub struct Connection {
    server: Arc<Server>,
    upload: Option<Box<UploadPack>>,
}

impl Session for Connection {
    type Message = Packet;

    fn parse(&self, input: &mut Input<'_>) -> Result<Packet, Halt> {
        packet::read(input)
    }

    fn handle(&mut self, packet: Packet, cx: &mut Cx<'_>) -> Flow {
        match (&mut self.upload, &packet) {
            (Some(upload), packet) => upload.packet(packet, cx),
            (None, Packet::Line(line)) => self.request(line, cx),
            (None, Packet::Broken(digits)) => malformed("no length", digits, cx),
            (None, Packet::Flush) => malformed("a flush instead of a request", b"0000", cx),
            (None, Packet::Delimiter) => malformed("a delimiter instead of a request", b"0001", cx),
            (None, Packet::End) => malformed("an end instead of a request", b"0002", cx),
        }
    }

    fn more(&mut self, cx: &mut Cx<'_>) {
        if let Some(upload) = &mut self.upload {
            upload.more(cx);
        }
    }

    fn finished(&mut self, _left: &[u8], cx: &mut Cx<'_>) {
        if let Some(upload) = &mut self.upload {
            upload.finished(cx);
        }
    }
}

impl Connection {
    fn request(&mut self, line: &[u8], cx: &mut Cx<'_>) -> Flow {
        let Some(request) = Request::parse(line) else {
            return malformed("no service of git", line, cx);
        };
        let bait = self.server.bait.as_ref();
        let place = bait.map_or(Place::Nowhere, |bait| Place::of(request.path, &bait.path));
        cx.report(sighting(&request, &place));
        if request.invalid.is_some() || place == Place::File {
            return Flow::Leave;
        }
        if let (Place::Repository, "upload-pack", Some(bait)) = (&place, request.service, bait) {
            let agent = &self.server.agent;
            self.upload = Some(Box::new(UploadPack::begin(agent, bait, request.version(), cx)));
            return Flow::Continue;
        }
        let why: &[u8] = match (self.server.informative, place) {
            (false, _) => b"access denied or repository not exported",
            (true, Place::Repository) => b"service not enabled",
            (true, _) => b"no such repository",
        };
        cx.reply(packet::line(&[b"ERR ", why, b": ", request.path]));
        Flow::Leave
    }
}

/// The event of a request.
fn sighting(request: &Request<'_>, place: &Place) -> Sighting {
    let (name, port) = request.address();
    let mut seen = Sighting::of(&REQUEST)
        .with("service", request.service)
        .with("path", request.path)
        .with("repository", request.repository())
        .with("version", request.version());
    if let Some(host) = request.host {
        seen = seen.with("host", host);
    }
    if let Some(name) = name {
        seen = seen.with("hostname", name);
    }
    if let Some(port) = port {
        seen = seen.with("port", port);
    }
    if !request.extra.is_empty() {
        let arguments = request.extra.iter().map(|extra| Value::from(*extra));
        seen = seen.with("arguments", arguments.collect::<Vec<_>>());
    }
    if let Some(invalid) = request.invalid {
        seen = seen.with("invalid", invalid);
    }
    if request.is_detector() {
        seen = seen.with("probe", "honeypot detector");
    }
    match (place, request.service) {
        (Place::Nowhere, "receive-pack") => seen.severity(Severity::Medium),
        (Place::Nowhere, _) => seen,
        // Only who knows of the bait asks for it.
        (Place::Repository | Place::File, _) => seen.with("bait", true).severity(Severity::High),
    }
}

fn malformed(why: &str, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
    cx.report(Sighting::of(&MALFORMED).with("error", why).with("excerpt", bytes));
    Flow::Leave
}
