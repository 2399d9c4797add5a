//! `git upload-pack` of the bait: references, negotiation, pack; versions 0, 1 and 2.
//!
//! gitprotocol-pack and gitprotocol-v2; capabilities, texts and the moments at which git gives up as git 2.39.5 has
//! them, recorded. A client that breaks the protocol is left without a word: git tells its own log alone.

use std::sync::Arc;

use haldane_core::{Cx, Flow, Severity, Sighting};

use super::{
    CLONE, COMMAND, MALFORMED,
    bits::Bits,
    fetch::{Acks, Asked, Refused},
    object::Id,
    packet::{self, Packet},
    repository::{Boundary, Repository},
    send::Sending,
    v2::{Command, Finished, Step},
};

/// How often a client of version 2 may fetch on one connection. Git asks a few times, to find what it has in common.
const FETCHES: u32 = 256;

/// One conversation about the bait.
#[derive(Debug)]
pub(super) struct UploadPack {
    repository: Arc<Repository>,
    version: u8,
    stage: Stage,
    /// Where the client's history will end, once that is settled.
    boundary: Boundary,
    asked: Asked,
    fetches: u32,
    sending: Option<Sending>,
}

/// What is read next.
#[derive(Debug)]
enum Stage {
    /// Wants (versions 0 and 1).
    Wants,
    /// Haves, with what happened since the last flush: (something common, something else), and whether the client
    /// was told that we are ready.
    Haves { common: bool, other: bool, ready: bool },
    /// Commands (version 2).
    Commands(Box<Command>),
}

impl UploadPack {
    /// Begins one, and tells the references or the capabilities.
    pub(super) fn begin(agent: &str, repository: &Arc<Repository>, version: u8, cx: &mut Cx<'_>) -> Self {
        let stage = match version {
            2 => Stage::Commands(Box::default()),
            _ => Stage::Wants,
        };
        if version == 1 {
            cx.reply(packet::line(&[b"version 1\n"]));
        }
        match version {
            2 => cx.reply(super::v2::capabilities(agent)),
            _ => cx.reply(advertisement(repository, agent)),
        }
        Self {
            repository: Arc::clone(repository),
            version,
            stage,
            boundary: Boundary::default(),
            asked: Asked::new(repository),
            fetches: 0,
            sending: None,
        }
    }

    /// Acts on one packet.
    pub(super) fn packet(&mut self, packet: &Packet, cx: &mut Cx<'_>) -> Flow {
        if let Packet::Broken(digits) = packet {
            return self.broken("no length", digits, cx);
        }
        let line = match packet {
            Packet::Line(line) => Some(packet::text(line)),
            _ => None,
        };
        let acted = match (&mut self.stage, line) {
            (Stage::Commands(command), _) => {
                let repository = &self.repository;
                match command.packet(packet, repository, &mut self.asked, cx) {
                    Ok(Step::More) => Ok(Flow::Continue),
                    Ok(Step::Leave) => Ok(Flow::Leave),
                    Ok(Step::Finished(finished)) => self.command(&finished, cx),
                    Err(refused) => Err(refused),
                }
            }
            (Stage::Wants, Some(line)) => self.asked.need(&self.repository, line).map(|()| Flow::Continue),
            (Stage::Wants, None) => self.wanted(cx),
            (Stage::Haves { .. }, Some(line)) => self.have(line, cx),
            (Stage::Haves { .. }, None) => self.round(cx),
        };
        acted.unwrap_or_else(|refused| self.refuse(&refused, line.unwrap_or_default(), cx))
    }

    /// The next piece of a pack.
    pub(super) fn more(&mut self, cx: &mut Cx<'_>) {
        let Some(sending) = &mut self.sending else { return };
        let piece = sending.piece();
        if piece.is_empty() {
            self.sending = None;
        }
        cx.reply(piece);
    }

    /// The client has gone: what it asked for is evidence all the same.
    pub(super) fn finished(&mut self, cx: &mut Cx<'_>) {
        if !self.asked.is_empty() {
            cx.report(self.tell(Sighting::of(&CLONE)).with("unfinished", true).severity(Severity::High));
            self.asked = Asked::new(&self.repository);
        }
    }

    /// All wants of versions 0 and 1 are known.
    fn wanted(&mut self, cx: &mut Cx<'_>) -> Result<Flow, Refused> {
        if let Some(stray) = self.asked.stray {
            return Err(Refused::NotOurs(self.repository.id(stray)));
        }
        if self.settle(cx)? {
            cx.reply(packet::FLUSH);
        }
        if self.asked.wants.is_empty() {
            return Ok(Flow::Leave);
        }
        self.asked.cut(&self.boundary.shallow);
        self.stage = Stage::Haves { common: false, other: false, ready: false };
        Ok(Flow::Continue)
    }

    /// Settles where the client's history will end, and tells it; whether there was anything to settle.
    fn settle(&mut self, cx: &mut Cx<'_>) -> Result<bool, Refused> {
        let Some(reach) = self.asked.reach()? else { return Ok(false) };
        let boundary = self.repository.boundary(&self.asked.wants, &self.asked.ends, &reach);
        self.boundary = boundary.ok_or(Refused::Silently("nothing is left of history"))?;
        for (word, commits) in [("shallow", &self.boundary.shallow), ("unshallow", &self.boundary.unshallow)]
        {
            for commit in commits {
                let text = format!("{word} {}", self.repository.id(*commit));
                cx.reply(packet::line(&[text.as_bytes()]));
            }
        }
        Ok(true)
    }

    /// A line of haves, or `done`.
    fn have(&mut self, line: &[u8], cx: &mut Cx<'_>) -> Result<Flow, Refused> {
        let Stage::Haves { common, other, ready } = &mut self.stage else { return Ok(Flow::Leave) };
        if line == b"done" {
            match (self.asked.news > 0, self.asked.acks) {
                (true, Acks::Single) => {}
                (true, _) => self.ack("", cx),
                (false, _) => cx.reply(packet::line(&[b"NAK\n"])),
            }
            self.pack(cx);
            return Ok(Flow::Leave);
        }
        let id = line.strip_prefix(b"have ").and_then(Id::parse);
        let (id, _) = id.ok_or(Refused::Silently("expected a have"))?;
        if self.asked.have(&self.repository, &id) {
            *common = true;
            match self.asked.acks {
                Acks::Detailed => self.ack(" common", cx),
                Acks::Multi => self.ack(" continue", cx),
                Acks::Single if self.asked.news == 1 => self.ack("", cx),
                Acks::Single => {}
            }
            return Ok(Flow::Continue);
        }
        *other = true;
        let word = match self.asked.acks {
            Acks::Single => return Ok(Flow::Continue),
            Acks::Multi => "continue",
            Acks::Detailed => "ready",
        };
        if self.asked.enough() {
            *ready |= self.asked.acks == Acks::Detailed;
            cx.reply(packet::line(&[format!("ACK {id} {word}\n").as_bytes()]));
        }
        Ok(Flow::Continue)
    }

    /// A flush among haves: the client waits for an answer.
    fn round(&mut self, cx: &mut Cx<'_>) -> Result<Flow, Refused> {
        let Stage::Haves { common, other, ready } = &mut self.stage else { return Ok(Flow::Leave) };
        let tell = self.asked.acks == Acks::Detailed && *common && !*other && self.asked.enough();
        *ready |= tell;
        (*common, *other) = (false, false);
        let ready = *ready;
        if tell {
            self.ack(" ready", cx);
        }
        if self.asked.news == 0 || self.asked.acks != Acks::Single {
            cx.reply(packet::line(&[b"NAK\n"]));
        }
        if self.asked.no_done && ready {
            self.ack("", cx);
            self.pack(cx);
            return Ok(Flow::Leave);
        }
        Ok(Flow::Continue)
    }

    /// Acknowledges what the client named last of what we have.
    fn ack(&self, word: &str, cx: &mut Cx<'_>) {
        let last = self.asked.common.last().map(|object| self.repository.id(*object)).unwrap_or_default();
        cx.reply(packet::line(&[format!("ACK {last}{word}\n").as_bytes()]));
    }

    /// A command of version 2 is whole.
    fn command(&mut self, finished: &Finished, cx: &mut Cx<'_>) -> Result<Flow, Refused> {
        let seen = self.place(finished.tell(Sighting::of(&COMMAND)));
        finished.words().iter().for_each(|word| self.asked.word(word));
        if !finished.is_fetch || self.asked.is_empty() {
            cx.report(seen);
            self.asked = Asked::new(&self.repository);
            return Ok(Flow::Continue);
        }
        self.fetches = self.fetches.saturating_add(1);
        if self.fetches > FETCHES {
            return Err(Refused::Silently("too many fetches"));
        }
        if self.asked.haves > 0 && !self.asked.done {
            cx.reply(packet::line(&[b"acknowledgments\n"]));
            if self.asked.common.is_empty() {
                cx.reply(packet::line(&[b"NAK\n"]));
            }
            for object in &self.asked.common {
                cx.reply(packet::line(&[format!("ACK {}\n", self.repository.id(*object)).as_bytes()]));
            }
            if self.asked.wait || !self.asked.enough() {
                cx.reply(packet::FLUSH);
                cx.report(self.asked.tell(&self.repository, seen).severity(Severity::High));
                self.asked = Asked::new(&self.repository);
                return Ok(Flow::Continue);
            }
            cx.reply(packet::line(&[b"ready\n"]));
            cx.reply(packet::DELIMITER);
        }
        if self.asked.is_shallow() || !matches!(self.asked.reach(), Ok(None)) {
            cx.reply(packet::line(&[b"shallow-info\n"]));
            self.settle(cx)?;
            cx.reply(packet::DELIMITER);
        }
        cx.reply(packet::line(&[b"packfile\n"]));
        self.asked.band = Some(packet::LONGEST_WRITTEN);
        self.pack(cx);
        self.asked = Asked::new(&self.repository);
        self.boundary = Boundary::default();
        Ok(Flow::Continue)
    }

    /// Begins to send what the client wants and has not.
    fn pack(&mut self, cx: &mut Cx<'_>) {
        let repository = &self.repository;
        let chosen = choose(repository, &self.asked, &self.boundary);
        let sending = Sending::new(Arc::clone(repository), chosen, self.asked.band);
        let (objects, bytes) = sending.size();
        cx.report(self.tell(Sighting::of(&CLONE)).with("objects", objects).with("bytes", bytes));
        if !self.asked.quiet {
            cx.reply(sending.progress());
        }
        self.asked = Asked::new(repository);
        self.sending = Some(sending);
        self.more(cx);
    }

    fn tell(&self, seen: Sighting) -> Sighting {
        self.place(self.asked.tell(&self.repository, seen))
    }

    fn place(&self, seen: Sighting) -> Sighting {
        let path = self.repository.path.as_slice();
        seen.with("repository", path.strip_prefix(b"/").unwrap_or(path)).with("version", self.version)
    }

    fn refuse(&mut self, refused: &Refused, line: &[u8], cx: &mut Cx<'_>) -> Flow {
        match refused {
            Refused::Silently(why) => self.broken(why, line, cx),
            Refused::NotOurs(id) => {
                cx.reply(packet::line(&[format!("ERR upload-pack: not our ref {id}").as_bytes()]));
                self.broken("an object that is not there, or that no reference names", line, cx)
            }
        }
    }

    fn broken(&mut self, why: &str, bytes: &[u8], cx: &mut Cx<'_>) -> Flow {
        let seen = Sighting::of(&MALFORMED).with("error", why).with("excerpt", bytes);
        cx.report(self.place(seen));
        self.finished(cx);
        Flow::Leave
    }
}

/// The objects that a client wants and has not.
fn choose(repository: &Repository, asked: &Asked, boundary: &Boundary) -> Bits {
    let mut ends = repository.none();
    asked.ends.iter().for_each(|end| {
        ends.add(*end);
    });
    let had = asked.given.iter().chain(boundary.unshallow.iter().copied());
    let had = repository.reachable(had, &ends, &repository.none());
    boundary.unshallow.iter().for_each(|commit| ends.remove(*commit));
    boundary.shallow.iter().for_each(|commit| {
        ends.add(*commit);
    });
    let deeper = boundary.unshallow.iter().flat_map(|commit| repository.parents(*commit)).copied();
    let mut chosen = repository.reachable(asked.wants.iter().copied().chain(deeper), &ends, &had);
    // A file or a folder that is asked for by itself is not there, whatever the client has: a partial clone.
    let lone = asked.wants.iter().filter(|want| !repository.is_commit(repository.peel(**want)));
    lone.for_each(|want| {
        chosen.add(*want);
    });
    if asked.tags {
        for tag in &repository.references {
            if tag.peeled.is_some_and(|peeled| chosen.has(peeled)) {
                // A tag of a tag of a commit: all of them.
                let tags = repository.reachable(std::iter::once(tag.object), &ends, &chosen);
                tags.iter().filter(|object| !had.has(*object)).for_each(|object| {
                    chosen.add(object);
                });
            }
        }
    }
    chosen
}

/// References and capabilities of versions 0 and 1.
fn advertisement(repository: &Repository, agent: &str) -> Vec<u8> {
    let symref = match &repository.head {
        (Some(name), Some(_)) => [b" symref=HEAD:", name.as_slice()].concat(),
        _ => Vec::new(),
    };
    let capabilities = [
        b"multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative \
          no-progress include-tag multi_ack_detailed"
            .as_slice(),
        &symref,
        b" object-format=sha1 agent=",
        agent.as_bytes(),
    ]
    .concat();
    let head = repository.head.1.map(|object| (object, b"HEAD".as_slice(), None));
    let references = repository.references.iter().map(|r| (r.object, r.name.as_slice(), r.peeled));
    let mut told = Vec::new();
    for (object, name, peeled) in head.into_iter().chain(references) {
        let id = repository.id(object).to_string();
        let (nul, capabilities): (&[u8], &[u8]) =
            if told.is_empty() { (b"\0", &capabilities) } else { (b"", b"") };
        told.extend(packet::line(&[id.as_bytes(), b" ", name, nul, capabilities, b"\n"]));
        if let Some(peeled) = peeled {
            let id = repository.id(peeled).to_string();
            told.extend(packet::line(&[id.as_bytes(), b" ", name, b"^{}\n"]));
        }
    }
    told.extend_from_slice(packet::FLUSH);
    told
}
