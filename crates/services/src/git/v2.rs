//! Requests of version 2 (gitprotocol-v2): a command, capabilities, a delimiter, arguments, a flush.

use haldane_core::{Cx, Sighting, Value};

use super::{
    bits::Bits,
    fetch::{Asked, Refused, keep},
    object::Id,
    packet::{self, Packet},
    repository::Repository,
};

/// So many prefixes are none (TOO_MANY_PREFIXES).
const TOO_MANY: u32 = 65_536;
/// How many objects are told of at once, and how much of what is no name of one.
const TOLD: usize = 4096;
const WRITTEN: usize = 256;

/// What the server offers.
pub(super) fn capabilities(agent: &str) -> Vec<u8> {
    let agent = format!("agent={agent}");
    let words = [
        "version 2",
        &agent,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done",
        "server-option",
        "object-format=sha1",
        "object-info",
    ];
    let mut told: Vec<u8> = words.iter().flat_map(|word| packet::line(&[word.as_bytes(), b"\n"])).collect();
    told.extend_from_slice(packet::FLUSH);
    told
}

/// A request being read.
#[derive(Debug, Default)]
pub(super) struct Command {
    name: Option<Name>,
    begun: bool,
    other_hash: bool,
    /// The delimiter was read.
    in_arguments: bool,
    listing: Listing,
    sizes: Sizes,
    capabilities: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    LsRefs,
    Fetch,
    ObjectInfo,
}

/// Arguments of `ls-refs`.
#[derive(Debug, Default)]
struct Listing {
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: u32,
    /// HEAD, then the references: what the prefixes let through.
    matched: Option<Bits>,
}

/// Arguments of `object-info`. Sizes are told whether they are asked for or not: git 2.39 does not look.
#[derive(Debug, Default)]
struct Sizes {
    objects: Vec<Vec<u8>>,
}

/// A request that is whole.
#[derive(Debug, Default)]
pub(super) struct Finished {
    /// Whether it is a fetch, whose arguments are with [`Asked`].
    pub(super) is_fetch: bool,
    name: &'static str,
    capabilities: Vec<Vec<u8>>,
    arguments: Vec<Vec<u8>>,
}

/// What came of a packet.
#[derive(Debug)]
pub(super) enum Step {
    /// More belongs to the request.
    More,
    /// It is whole, and answered unless it is a fetch.
    Finished(Finished),
    /// The client has no more requests.
    Leave,
}

impl Command {
    /// Reads one packet.
    pub(super) fn packet(
        &mut self,
        packet: &Packet,
        repository: &Repository,
        asked: &mut Asked,
        cx: &mut Cx<'_>,
    ) -> Result<Step, Refused> {
        match (packet, self.in_arguments) {
            (Packet::Line(line), false) => self.word(packet::text(line))?,
            (Packet::Line(line), true) => self.argument(packet::text(line), repository, asked, cx)?,
            (Packet::Flush, false) if !self.begun => return Ok(Step::Leave),
            (Packet::Flush, _) => {
                let name = self.runnable()?;
                self.answer(name, repository, cx);
                return Ok(Step::Finished(std::mem::take(self).finished(name)));
            }
            (Packet::Delimiter, false) => {
                self.runnable()?;
                self.in_arguments = true;
            }
            _ => return Err(Refused::Silently("expected a flush")),
        }
        Ok(Step::More)
    }

    /// A line before the delimiter.
    fn word(&mut self, word: &[u8]) -> Result<(), Refused> {
        if let Some(name) = word.strip_prefix(b"command=") {
            if self.name.is_some() {
                return Err(Refused::Silently("a second command"));
            }
            self.name = Some(match name {
                b"ls-refs" => Name::LsRefs,
                b"fetch" => Name::Fetch,
                b"object-info" => Name::ObjectInfo,
                _ => return Err(Refused::Silently("no command")),
            });
        } else {
            let mut parts = word.splitn(2, |byte| *byte == b'=');
            match (parts.next().unwrap_or_default(), parts.next()) {
                (b"agent" | b"server-option", _) | (b"object-format", Some(b"sha1")) => {}
                (b"object-format", Some(b"sha256")) => self.other_hash = true,
                _ => return Err(Refused::Silently("a capability that was not offered")),
            }
            keep(&mut self.capabilities, word);
        }
        self.begun = true;
        Ok(())
    }

    fn runnable(&self) -> Result<Name, Refused> {
        match (self.name, self.other_hash) {
            (Some(name), false) => Ok(name),
            (Some(_), true) => Err(Refused::Silently("another object format")),
            (None, _) => Err(Refused::Silently("no command")),
        }
    }

    /// A line behind the delimiter.
    fn argument(
        &mut self,
        line: &[u8],
        repository: &Repository,
        asked: &mut Asked,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        match self.name {
            Some(Name::Fetch) => return asked.argument(repository, line),
            Some(Name::LsRefs) => self.listing.argument(repository, line)?,
            Some(Name::ObjectInfo) => {
                if let Some(id) = line.strip_prefix(b"oid ") {
                    if self.sizes.objects.len() < TOLD {
                        self.sizes.objects.push(id.get(..WRITTEN).unwrap_or(id).to_vec());
                    }
                } else if line != b"size" {
                    cx.reply(packet::line(&[b"ERR object-info: unexpected line: '", line, b"'"]));
                }
            }
            None => {}
        }
        keep(&mut self.arguments, line);
        Ok(())
    }

    fn answer(&self, name: Name, repository: &Repository, cx: &mut Cx<'_>) {
        match name {
            Name::LsRefs => self.listing.answer(repository, cx),
            Name::ObjectInfo => self.sizes.answer(repository, cx),
            Name::Fetch => {}
        }
    }

    fn finished(self, name: Name) -> Finished {
        Finished {
            is_fetch: name == Name::Fetch,
            name: match name {
                Name::LsRefs => "ls-refs",
                Name::Fetch => "fetch",
                Name::ObjectInfo => "object-info",
            },
            capabilities: self.capabilities,
            arguments: self.arguments,
        }
    }
}

impl Listing {
    fn argument(&mut self, repository: &Repository, line: &[u8]) -> Result<(), Refused> {
        match line {
            b"peel" => self.peel = true,
            b"symrefs" => self.symrefs = true,
            b"unborn" => self.unborn = true,
            _ => {
                let prefix = line.strip_prefix(b"ref-prefix ");
                let prefix = prefix.ok_or(Refused::Silently("an argument that git does not take"))?;
                self.prefixes = self.prefixes.saturating_add(1);
                if self.prefixes >= TOO_MANY {
                    return Ok(());
                }
                let size = repository.references.len().saturating_add(1);
                let matched = self.matched.get_or_insert_with(|| Bits::new(size));
                for (number, name) in names(repository) {
                    if name.starts_with(prefix) {
                        matched.add(number);
                    }
                }
            }
        }
        Ok(())
    }

    fn shows(&self, number: u32) -> bool {
        let matched = self.matched.as_ref().filter(|_| self.prefixes < TOO_MANY);
        matched.is_none_or(|matched| matched.has(number))
    }

    fn answer(&self, repository: &Repository, cx: &mut Cx<'_>) {
        let (target, head) = &repository.head;
        let target = target.as_ref().filter(|_| self.symrefs);
        if self.shows(0) && (head.is_some() || self.unborn && target.is_some()) {
            let id = head.map_or("unborn".into(), |head| repository.id(head).to_string());
            let (word, target): (&[u8], &[u8]) =
                target.map_or((b"", b""), |target| (b" symref-target:", target));
            cx.reply(packet::line(&[id.as_bytes(), b" HEAD", word, target, b"\n"]));
        }
        let shown = (1_u32..).zip(&repository.references).filter(|(number, _)| self.shows(*number));
        for (_, reference) in shown {
            let id = repository.id(reference.object).to_string();
            let peeled = reference.peeled.filter(|_| self.peel);
            let peeled =
                peeled.map(|peeled| format!(" peeled:{}", repository.id(peeled))).unwrap_or_default();
            cx.reply(packet::line(&[id.as_bytes(), b" ", &reference.name, peeled.as_bytes(), b"\n"]));
        }
        cx.reply(packet::FLUSH);
    }
}

/// HEAD and the references, numbered.
fn names(repository: &Repository) -> impl Iterator<Item = (u32, &[u8])> {
    let names = repository.references.iter().map(|reference| reference.name.as_slice());
    (0_u32..).zip(std::iter::once(b"HEAD".as_slice()).chain(names))
}

impl Sizes {
    fn answer(&self, repository: &Repository, cx: &mut Cx<'_>) {
        if !self.objects.is_empty() {
            cx.reply(packet::line(&[b"size"]));
        }
        for written in &self.objects {
            let Some((id, _)) = Id::parse(written) else {
                let words = b"ERR object-info: protocol error, expected to get oid, not '";
                cx.reply(packet::line(&[words, written, b"'"]));
                continue;
            };
            let object = repository.find(&id).and_then(|number| repository.object(number));
            let size = object.map(|object| object.size.to_string()).unwrap_or_default();
            cx.reply(packet::line(&[written, b" ", size.as_bytes()]));
        }
        cx.reply(packet::FLUSH);
    }
}

impl Finished {
    /// Adds the request to an event.
    pub(super) fn tell(&self, seen: Sighting) -> Sighting {
        let list = |words: &[Vec<u8>]| words.iter().cloned().map(Value::from).collect::<Vec<_>>();
        let agent = self.capabilities.iter().find_map(|word| word.strip_prefix(b"agent="));
        let mut seen = seen.with("command", self.name).with("capabilities", list(&self.capabilities));
        if !self.arguments.is_empty() {
            seen = seen.with("arguments", list(&self.arguments));
        }
        match agent {
            Some(agent) => seen.with("agent", agent),
            None => seen,
        }
    }

    /// What the client says of itself.
    pub(super) fn words(&self) -> &[Vec<u8>] {
        &self.capabilities
    }
}
