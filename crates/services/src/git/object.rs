//! Objects of git before they are packed: what they are, what they name, and how they are collected.
//!
//! gitformat-pack and "Git Internals - Git Objects" have the forms.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    io::Write,
};

use flate2::{Compression, write::ZlibEncoder};
use openssl::sha::Sha1;

/// Most bytes that all objects may have before they are packed.
const WHOLE: usize = 64 * 1024 * 1024;
/// Most objects.
const OBJECTS: usize = 65_536;

/// The name of an object: the SHA-1 of its content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(super) struct Id(pub(super) [u8; 20]);

impl Id {
    /// Reads forty digits in front of something; returns what follows, too.
    pub(super) fn parse(text: &[u8]) -> Option<(Self, &[u8])> {
        let (digits, rest) = text.split_at_checked(40)?;
        let mut id = Self::default();
        for (byte, pair) in id.0.iter_mut().zip(digits.chunks_exact(2)) {
            // Digits alone: a sign would be read, too.
            let pair =
                std::str::from_utf8(pair).ok().filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some((id, rest))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an object is. In the order in which a pack has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ObjectKind {
    /// A state with its history.
    Commit,
    /// A name with a message.
    Tag,
    /// A folder.
    Tree,
    /// A file.
    Blob,
}

impl ObjectKind {
    /// All, with their names and their numbers in a pack.
    const ALL: [(Self, &'static str, u8); 4] = [
        (Self::Commit, "commit", 1),
        (Self::Tree, "tree", 2),
        (Self::Blob, "blob", 3),
        (Self::Tag, "tag", 4),
    ];

    /// The kind of that name.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().find(|(_, word, _)| word.as_bytes() == name).map(|(kind, ..)| *kind)
    }

    /// The kind of that number.
    pub(super) fn numbered(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, _, known)| *known == number).map(|(kind, ..)| *kind)
    }

    fn row(self) -> (&'static str, u8) {
        Self::ALL
            .iter()
            .find(|(kind, ..)| *kind == self)
            .map_or(("blob", 3), |(_, name, number)| (name, *number))
    }
}

/// An object, whole.
#[derive(Debug)]
pub(super) struct Body {
    /// What it is.
    pub(super) kind: ObjectKind,
    /// Its content.
    pub(super) bytes: Vec<u8>,
}

/// What an object tells about others.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Which it names: of a commit its tree, then its parents.
    pub(super) links: Vec<Id>,
    /// When it was committed.
    pub(super) time: u64,
}

impl Body {
    /// Its name.
    pub(super) fn id(&self) -> Id {
        let mut hash = Sha1::new();
        hash.update(format!("{} {}\0", self.kind.row().0, self.bytes.len()).as_bytes());
        hash.update(&self.bytes);
        Id(hash.finish())
    }

    /// Appends its entry of a pack.
    pub(super) fn pack(&self, packed: &mut Vec<u8>) -> Result<(), String> {
        let size = self.bytes.len();
        let low = |value: usize, mask: usize| u8::try_from(value & mask).unwrap_or_default();
        let mut byte = (self.kind.row().1 << 4) | low(size, 0xf);
        let mut rest = size >> 4;
        while rest > 0 {
            packed.push(byte | 0x80);
            byte = low(rest, 0x7f);
            rest >>= 7;
        }
        packed.push(byte);
        let mut deflate = ZlibEncoder::new(packed, Compression::default());
        deflate
            .write_all(&self.bytes)
            .and_then(|()| deflate.finish().map(drop))
            .map_err(|error| error.to_string())
    }

    /// Reads what it names.
    pub(super) fn facts(&self) -> Result<Facts, String> {
        let facts = match self.kind {
            ObjectKind::Blob => Some(Facts::default()),
            ObjectKind::Tree => self.tree(),
            ObjectKind::Tag => self.field(b"object ").map(|id| Facts { links: vec![id], time: 0 }),
            ObjectKind::Commit => self.commit(),
        };
        facts.ok_or_else(|| format!("object {} is damaged", self.id()))
    }

    fn field(&self, name: &[u8]) -> Option<Id> {
        Id::parse(self.bytes.strip_prefix(name)?).map(|(id, _)| id)
    }

    fn commit(&self) -> Option<Facts> {
        let mut facts = Facts { links: vec![self.field(b"tree ")?], time: 0 };
        for line in self.bytes.split(|byte| *byte == b'\n').skip(1).take_while(|line| !line.is_empty()) {
            if let Some(parent) = line.strip_prefix(b"parent ") {
                facts.links.push(Id::parse(parent)?.0);
            } else if line.starts_with(b"committer ") {
                // Name, address, seconds, zone.
                let seconds = line.rsplit(|byte| *byte == b' ').nth(1).unwrap_or_default();
                facts.time =
                    std::str::from_utf8(seconds).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
            }
        }
        Some(facts)
    }

    fn tree(&self) -> Option<Facts> {
        let mut facts = Facts::default();
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == 0)?;
            let (entry, after) = rest.split_at_checked(end)?;
            let (id, after) = after.get(1..)?.split_first_chunk::<20>()?;
            // A commit of another repository (gitsubmodules) is not ours to give.
            if !entry.starts_with(b"160000 ") {
                facts.links.push(Id(*id));
            }
            rest = after;
        }
        Some(facts)
    }
}

/// A repository being collected.
#[derive(Debug, Default)]
pub(super) struct Contents {
    objects: HashMap<Id, Body>,
    bytes: usize,
    /// Names and what they name.
    pub(super) references: BTreeMap<Vec<u8>, Id>,
    /// The reference that HEAD stands for, and what HEAD names.
    pub(super) head: (Option<Vec<u8>>, Option<Id>),
}

impl Contents {
    /// Adds an object; returns its name.
    pub(super) fn add(&mut self, kind: ObjectKind, bytes: Vec<u8>) -> Result<Id, String> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > WHOLE || self.objects.len() >= OBJECTS {
            return Err(format!("holds more than {} MiB, or more than {OBJECTS} objects", WHOLE >> 20));
        }
        let body = Body { kind, bytes };
        let id = body.id();
        self.objects.insert(id, body);
        Ok(id)
    }

    /// How many bytes may still be added.
    pub(super) fn room(&self) -> usize {
        WHOLE.saturating_sub(self.bytes)
    }

    /// The object of that name.
    pub(super) fn get(&self, id: &Id) -> Option<&Body> {
        self.objects.get(id)
    }

    /// What a tag names in the end.
    pub(super) fn peeled(&self, id: &Id) -> Id {
        let mut id = *id;
        // A tag names what was there before it: there is no circle, and no more steps than objects.
        for _ in 0..self.objects.len() {
            match self
                .get(&id)
                .filter(|body| body.kind == ObjectKind::Tag)
                .and_then(|tag| tag.field(b"object "))
            {
                Some(named) => id = named,
                None => break,
            }
        }
        id
    }

    /// Everything that the references lead to: commits, the newest first, then tags, folders and files.
    pub(super) fn reachable(&self) -> Result<Vec<Id>, String> {
        let starts = self.references.values().chain(&self.head.1);
        let (mut seen, mut order) = (HashSet::new(), Vec::new());
        let mut rest: Vec<Id> = starts.copied().filter(|id| seen.insert(*id)).collect();
        while let Some(id) = rest.pop() {
            let body = self.get(&id).ok_or_else(|| format!("object {id} is missing"))?;
            let facts = body.facts()?;
            order.push((body.kind, std::cmp::Reverse(facts.time), id));
            rest.extend(facts.links.into_iter().filter(|id| seen.insert(*id)));
        }
        order.sort_by_key(|(kind, time, _)| (*kind, *time));
        Ok(order.into_iter().map(|(.., id)| id).collect())
    }
}
