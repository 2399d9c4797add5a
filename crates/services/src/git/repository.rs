//! The bait: a repository held in memory, as packed objects and what leads from one to the next.
//!
//! Objects are whole (no deltas), so that any choice of them makes a pack. They are numbered, commits first, the
//! newest in front.

use std::collections::HashMap;

use super::{
    bits::Bits,
    object::{Contents, Id, ObjectKind},
};

/// Most bytes that packed objects may take: what a client is sent, and what stays in memory.
pub(super) const PACKED: usize = 16 * 1024 * 1024;

/// One object.
#[derive(Debug)]
pub(super) struct Object {
    /// Its name.
    pub(super) id: Id,
    /// What it is.
    pub(super) kind: ObjectKind,
    /// Its length, unpacked.
    pub(super) size: u32,
    /// When it was committed, if it is a commit.
    pub(super) time: u64,
    entry: (u32, u32),
    links: (u32, u32),
}

/// A name for an object.
#[derive(Debug)]
pub(super) struct Reference {
    /// As in `refs/heads/master`.
    pub(super) name: Vec<u8>,
    /// What it names.
    pub(super) object: u32,
    /// If that is a tag: what the tag names, in the end.
    pub(super) peeled: Option<u32>,
}

/// The repository.
#[derive(Debug)]
pub(super) struct Repository {
    /// Where it is served, as in `/payroll.git`.
    pub(super) path: Vec<u8>,
    /// All references in the order of their names; without HEAD.
    pub(super) references: Vec<Reference>,
    /// The reference that HEAD stands for, if it does, and what HEAD names, if there is such a thing.
    pub(super) head: (Option<Vec<u8>>, Option<u32>),
    objects: Vec<Object>,
    by_id: HashMap<Id, u32>,
    links: Vec<u32>,
    packed: Vec<u8>,
    /// What references name, before and after peeling.
    tips: Bits,
    /// The commits of which a commit is a parent, as spans of `children`.
    born: Vec<(u32, u32)>,
    children: Vec<u32>,
}

/// Where history ends for a client.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Boundary {
    /// Commits whose parents it will not have, in the order in which git tells them.
    pub(super) shallow: Vec<u32>,
    /// Commits whose parents it will have from now on.
    pub(super) unshallow: Vec<u32>,
}

/// How far back a client wants to go.
#[derive(Debug)]
pub(super) enum Reach<'a> {
    /// So many commits.
    Depth(u32),
    /// So many commits more than it has.
    Deeper(u32),
    /// Commits as new as that, and not in the history of those.
    Since(u64, &'a [u32]),
}

/// The depth that stands for all of history (INFINITE_DEPTH).
pub(super) const EVERYTHING: u32 = 0x7fff_ffff;

impl Repository {
    /// Packs what the references of `contents` lead to.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn new(path: Vec<u8>, contents: &Contents) -> Result<Self, String> {
        let order = contents.reachable()?;
        let by_id: HashMap<Id, u32> = order.iter().copied().zip(0_u32..).collect();
        let number = |id: &Id| by_id.get(id).copied();
        let (mut objects, mut links, mut packed) = (Vec::new(), Vec::new(), Vec::new());
        for id in &order {
            let Some(body) = contents.get(id) else { continue };
            let (entry_at, links_at) = (packed.len(), links.len());
            body.pack(&mut packed)?;
            if packed.len() > PACKED {
                return Err(format!("takes more than {} MiB when packed", PACKED >> 20));
            }
            let facts = body.facts()?;
            links.extend(facts.links.iter().filter_map(number));
            let span = |from: usize, to: usize| {
                let length = to.saturating_sub(from);
                (u32::try_from(from).unwrap_or(u32::MAX), u32::try_from(length).unwrap_or(u32::MAX))
            };
            objects.push(Object {
                id: *id,
                kind: body.kind,
                size: u32::try_from(body.bytes.len()).unwrap_or(u32::MAX),
                time: facts.time,
                entry: span(entry_at, packed.len()),
                links: span(links_at, links.len()),
            });
        }
        let mut tips = Bits::new(objects.len());
        let references = contents.references.iter().filter_map(|(name, id)| {
            let object = number(id)?;
            let peeled = number(&contents.peeled(id)).filter(|peeled| *peeled != object);
            Some(Reference { name: name.clone(), object, peeled })
        });
        let references: Vec<_> = references.collect();
        let head = contents.head.1.as_ref().and_then(number);
        let named = references.iter().map(|reference| reference.object).chain(head);
        named.for_each(|object| {
            tips.add(object);
        });
        let head = (contents.head.0.clone(), head);
        let (born, children) = (Vec::new(), Vec::new());
        let mut repository =
            Self { path, references, head, objects, by_id, links, packed, tips, born, children };
        repository.turn_around();
        Ok(repository)
    }

    /// Finds the children of each commit.
    fn turn_around(&mut self) {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for commit in (0_u32..).zip(&self.objects).filter(|(_, object)| object.kind == ObjectKind::Commit) {
            pairs.extend(self.parents(commit.0).iter().map(|parent| (*parent, commit.0)));
        }
        pairs.sort_unstable();
        let mut at = 0;
        for commit in (0_u32..).zip(&self.objects).map(|(commit, _)| commit) {
            let count = pairs.iter().skip(at).take_while(|(parent, _)| *parent == commit).count();
            self.born.push((u32::try_from(at).unwrap_or_default(), u32::try_from(count).unwrap_or_default()));
            at = at.saturating_add(count);
        }
        self.children = pairs.into_iter().map(|(_, child)| child).collect();
    }

    /// Bytes that all packed objects take.
    pub(super) fn packed_len(&self) -> usize {
        self.packed.len()
    }

    /// No objects, with room for all.
    pub(super) fn none(&self) -> Bits {
        Bits::new(self.objects.len())
    }

    /// The number of an object.
    pub(super) fn find(&self, id: &Id) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// An object.
    pub(super) fn object(&self, number: u32) -> Option<&Object> {
        self.objects.get(usize::try_from(number).ok()?)
    }

    /// Its name; zeros if there is no such object.
    pub(super) fn id(&self, number: u32) -> Id {
        self.object(number).map(|object| object.id).unwrap_or_default()
    }

    /// Whether it is a commit.
    pub(super) fn is_commit(&self, number: u32) -> bool {
        self.object(number).is_some_and(|object| object.kind == ObjectKind::Commit)
    }

    /// Whether a reference names it.
    pub(super) fn is_tip(&self, number: u32) -> bool {
        self.tips.has(number)
    }

    /// Its entry of a pack (gitformat-pack): header and deflated content.
    pub(super) fn entry(&self, number: u32) -> &[u8] {
        self.object(number).map_or(&[], |object| span(&self.packed, object.entry))
    }

    /// Whether git would try to tell it as the difference to another: from 50 bytes on.
    pub(super) fn is_large(&self, number: u32) -> bool {
        self.object(number).is_some_and(|object| object.size >= 50)
    }

    fn links(&self, number: u32) -> &[u32] {
        self.object(number).map_or(&[], |object| span(&self.links, object.links))
    }

    /// The parents of a commit, in their order.
    pub(super) fn parents(&self, number: u32) -> &[u32] {
        match self.is_commit(number) {
            true => self.links(number).get(1..).unwrap_or_default(),
            false => &[],
        }
    }

    /// What a tag names in the end; any other object is itself.
    pub(super) fn peel(&self, mut number: u32) -> u32 {
        // Each tag is younger than what it names: it cannot go on for longer than there are objects.
        for _ in 0..self.objects.len() {
            match (self.object(number).map(|object| object.kind), self.links(number)) {
                (Some(ObjectKind::Tag), [named, ..]) => number = *named,
                _ => break,
            }
        }
        number
    }

    /// Everything that leads from there, except through `not`, or to the parents of commits in `ends`.
    pub(super) fn reachable(&self, from: impl Iterator<Item = u32>, ends: &Bits, not: &Bits) -> Bits {
        let mut found = self.none();
        let mut rest: Vec<u32> = from.filter(|start| !not.has(*start) && found.add(*start)).collect();
        while let Some(number) = rest.pop() {
            let links = self.links(number);
            let links = if ends.has(number) && self.is_commit(number) {
                links.get(..1).unwrap_or_default()
            } else {
                links
            };
            rest.extend(links.iter().copied().filter(|next| !not.has(*next) && found.add(*next)));
        }
        found
    }

    /// Adds a commit and all that have it in their history, which ends at the commits in `ends`.
    pub(super) fn descend(&self, commit: u32, ends: &Bits, into: &mut Bits) {
        let mut rest: Vec<u32> = if into.add(commit) { vec![commit] } else { Vec::new() };
        while let Some(number) = rest.pop() {
            let born = usize::try_from(number).ok().and_then(|number| self.born.get(number));
            let children = born.map_or(&[][..], |born| span(&self.children, *born));
            rest.extend(children.iter().copied().filter(|child| !ends.has(*child) && into.add(*child)));
        }
    }

    /// The object of a reference, by its whole name or a short one (gitrevisions); `None` if there is none, or
    /// more than one.
    pub(super) fn reference(&self, name: &[u8]) -> Option<u32> {
        const PREFIXES: [&[u8]; 5] = [b"", b"refs/", b"refs/tags/", b"refs/heads/", b"refs/remotes/"];
        let full = PREFIXES.map(|prefix| [prefix, name].concat());
        let mut named = self.references.iter().filter(|reference| full.contains(&reference.name));
        let head = self.head.1.filter(|_| name == b"HEAD");
        match (head, named.next(), named.next()) {
            (Some(head), None, _) => Some(head),
            (None, Some(reference), None) => Some(reference.object),
            _ => None,
        }
    }

    /// Where history ends for a client that wants `wants` and whose own history ends at `shallow`. `None`: git
    /// fails, as it does where nothing is left.
    pub(super) fn boundary(&self, wants: &[u32], shallow: &[u32], reach: &Reach<'_>) -> Option<Boundary> {
        let (ends, inner) = match *reach {
            Reach::Depth(EVERYTHING) | Reach::Deeper(EVERYTHING) => (Vec::new(), None),
            Reach::Depth(depth) => self.to_depth(wants, depth),
            Reach::Deeper(depth) => self.to_depth(shallow, depth.saturating_add(1)),
            Reach::Since(time, excluded) => self.since(wants, time, excluded)?,
        };
        let is_inner = |commit: &u32| inner.as_ref().is_none_or(|inner: &Bits| inner.has(*commit));
        let mut told = self.none();
        let ends = ends.into_iter().filter(|end| !is_inner(end) && !shallow.contains(end) && told.add(*end));
        Some(Boundary {
            shallow: ends.collect(),
            unshallow: shallow.iter().copied().filter(is_inner).collect(),
        })
    }

    /// Commits at that depth, the last found in front, and those above them.
    fn to_depth(&self, heads: &[u32], depth: u32) -> (Vec<u32>, Option<Bits>) {
        let (mut ends, mut inner) = (Vec::new(), self.none());
        let mut depths: HashMap<u32, u32> = HashMap::new();
        let mut rest: Vec<u32> = Vec::new();
        for head in heads.iter().map(|head| self.peel(*head)).filter(|head| self.is_commit(*head)) {
            depths.insert(head, 0);
            rest.push(head);
            while let Some(commit) = rest.pop() {
                let deep = depths.get(&commit).copied().unwrap_or_default().saturating_add(1);
                if deep >= depth {
                    ends.push(commit);
                    continue;
                }
                inner.add(commit);
                for parent in self.parents(commit) {
                    if depths.get(parent).is_none_or(|known| deep < *known) {
                        depths.insert(*parent, deep);
                        rest.push(*parent);
                    }
                }
            }
        }
        ends.reverse();
        (ends, Some(inner))
    }

    /// Commits as new as `time` and not in the history of `excluded`: those with a parent that is not, the newest
    /// in front, and the others.
    fn since(&self, wants: &[u32], time: u64, excluded: &[u32]) -> Option<(Vec<u32>, Option<Bits>)> {
        let nothing = self.none();
        let excluded = self.reachable(excluded.iter().map(|object| self.peel(*object)), &nothing, &nothing);
        let reached = self.reachable(wants.iter().copied(), &nothing, &excluded);
        let mut chosen = self.none();
        let young = |commit: &u32| {
            self.object(*commit)
                .is_some_and(|object| object.kind == ObjectKind::Commit && object.time >= time)
        };
        reached.iter().filter(young).for_each(|commit| {
            chosen.add(commit);
        });
        if chosen.is_empty() {
            return None;
        }
        let is_end = |commit: &u32| self.parents(*commit).iter().any(|parent| !chosen.has(*parent));
        let ends: Vec<u32> = chosen.iter().filter(is_end).collect();
        ends.iter().for_each(|end| chosen.remove(*end));
        Some((ends, Some(chosen)))
    }
}

fn span<T>(all: &[T], (at, length): (u32, u32)) -> &[T] {
    let range = || {
        let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
        all.get(at..at.checked_add(length)?)
    };
    range().unwrap_or_default()
}
