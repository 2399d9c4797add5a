//! What a client wants, what it has, and how far back it goes: the lines of a negotiation, of all versions
//! (gitprotocol-pack, "Packfile Negotiation"; gitprotocol-v2, "fetch").

use haldane_core::{Sighting, Value};

use super::{
    bits::Bits,
    object::Id,
    repository::{Reach, Repository},
};

/// How many objects are named in an event. Their count is told, too.
const NAMED: usize = 64;
/// How many words of a client are kept, and how long each may be.
const WORDS: usize = 64;
const WORD: usize = 256;

/// How haves are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acks {
    /// The first alone.
    Single,
    /// `multi_ack`.
    Multi,
    /// `multi_ack_detailed`.
    Detailed,
}

/// Why git ends a conversation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Without a word.
    Silently(&'static str),
    /// Saying that no reference names this.
    NotOurs(Id),
}

/// One negotiation.
#[derive(Debug)]
pub(super) struct Asked {
    /// The objects wanted, in their order.
    pub(super) wants: Vec<u32>,
    wanted: Bits,
    /// The commits among them, tags peeled.
    commits: Bits,
    /// The first that no reference names.
    pub(super) stray: Option<u32>,
    /// What the client has, of what we have.
    pub(super) given: Bits,
    /// What it named of that, in its order.
    pub(super) common: Vec<u32>,
    /// Commits that it surely has: named, or parents of named ones.
    held: Bits,
    /// Commits whose history has one of [`Self::held`] in it.
    reaching: Bits,
    /// Commits whose parents do not count for that.
    cut: Bits,
    /// How many haves there were.
    pub(super) haves: u32,
    /// How many were news.
    pub(super) news: u32,
    /// Commits at which the client's history ends.
    pub(super) ends: Vec<u32>,
    ended: Bits,
    depth: Option<u32>,
    since: Option<u64>,
    not: Vec<u32>,
    relative: bool,
    /// How haves are answered.
    pub(super) acks: Acks,
    /// Whether the pack may follow without `done`.
    pub(super) no_done: bool,
    /// `done` was said (version 2).
    pub(super) done: bool,
    /// The pack must wait for `done` (version 2).
    pub(super) wait: bool,
    /// The longest packet of a side band; none if there is no side band.
    pub(super) band: Option<usize>,
    /// Whether progress is not to be told.
    pub(super) quiet: bool,
    /// Whether tags of what is sent are to be sent, too.
    pub(super) tags: bool,
    /// Words of the client: capabilities, or arguments.
    words: Vec<Vec<u8>>,
    unknown: Vec<String>,
}

impl Asked {
    /// Nothing yet.
    pub(super) fn new(repository: &Repository) -> Self {
        let none = || repository.none();
        Self {
            wants: Vec::new(),
            wanted: none(),
            commits: none(),
            stray: None,
            given: none(),
            common: Vec::new(),
            held: none(),
            reaching: none(),
            cut: none(),
            haves: 0,
            news: 0,
            ends: Vec::new(),
            ended: none(),
            depth: None,
            since: None,
            not: Vec::new(),
            relative: false,
            acks: Acks::Single,
            no_done: false,
            done: false,
            wait: false,
            band: None,
            quiet: false,
            tags: false,
            words: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// A line before the first flush of versions 0 and 1.
    pub(super) fn need(&mut self, repository: &Repository, line: &[u8]) -> Result<(), Refused> {
        if let Some(read) = self.depth_line(repository, line) {
            return read;
        }
        let wanted = line.strip_prefix(b"want ").and_then(Id::parse);
        let (id, features) = wanted.ok_or(Refused::Silently("expected a want"))?;
        for feature in features.split(|byte| *byte == b' ').filter(|feature| !feature.is_empty()) {
            self.feature(feature);
        }
        self.want(repository, &id)
    }

    fn feature(&mut self, feature: &[u8]) {
        match feature {
            b"multi_ack_detailed" => self.acks = Acks::Detailed,
            b"multi_ack" if self.acks == Acks::Single => self.acks = Acks::Multi,
            b"no-done" => self.no_done = true,
            b"side-band-64k" => self.band = Some(65_520),
            b"side-band" if self.band.is_none() => self.band = Some(1_000),
            b"no-progress" => self.quiet = true,
            b"include-tag" => self.tags = true,
            b"deepen-relative" => self.relative = true,
            _ => {}
        }
        self.word(feature);
    }

    /// An argument of the command `fetch` of version 2.
    pub(super) fn argument(&mut self, repository: &Repository, line: &[u8]) -> Result<(), Refused> {
        if let Some(id) = line.strip_prefix(b"want ") {
            let (id, _) = Id::parse(id).ok_or(Refused::Silently("expected an object"))?;
            return self.want(repository, &id);
        }
        if let Some(id) = line.strip_prefix(b"have ") {
            let (id, _) = Id::parse(id).ok_or(Refused::Silently("expected an object"))?;
            self.have(repository, &id);
            return Ok(());
        }
        match line {
            b"done" => self.done = true,
            b"wait-for-done" => self.wait = true,
            b"no-progress" => self.quiet = true,
            b"include-tag" => self.tags = true,
            b"deepen-relative" => self.relative = true,
            b"thin-pack" | b"ofs-delta" => {}
            _ if line.starts_with(b"packfile-uris ") => {}
            _ => {
                let unknown = Err(Refused::Silently("an argument that git does not take"));
                return self.depth_line(repository, line).unwrap_or(unknown);
            }
        }
        self.word(line);
        Ok(())
    }

    /// Keeps a word of the client for the event.
    pub(super) fn word(&mut self, word: &[u8]) {
        keep(&mut self.words, word);
    }

    fn want(&mut self, repository: &Repository, id: &Id) -> Result<(), Refused> {
        let Some(object) = repository.find(id) else {
            if self.unknown.len() < NAMED {
                self.unknown.push(id.to_string());
            }
            return Err(Refused::NotOurs(*id));
        };
        if self.wanted.add(object) {
            self.wants.push(object);
            let commit = repository.peel(object);
            if repository.is_commit(commit) {
                self.commits.add(commit);
            }
            if !repository.is_tip(object) {
                self.stray.get_or_insert(object);
            }
        }
        Ok(())
    }

    /// Notes what the client has; whether we have it, too.
    pub(super) fn have(&mut self, repository: &Repository, id: &Id) -> bool {
        self.haves = self.haves.saturating_add(1);
        let Some(object) = repository.find(id) else { return false };
        self.common.push(object);
        let mut known = false;
        if repository.is_commit(object) {
            known = !self.held.add(object);
            repository.descend(object, &self.cut, &mut self.reaching);
            let parents = if self.cut.has(object) { &[][..] } else { repository.parents(object) };
            for parent in parents {
                self.held.add(*parent);
                repository.descend(*parent, &self.cut, &mut self.reaching);
            }
        }
        if !known {
            self.given.add(object);
            self.news = self.news.saturating_add(1);
        }
        true
    }

    /// Whether enough is known of what the client has.
    pub(super) fn enough(&self) -> bool {
        self.news > 0 && self.commits.within(&self.reaching)
    }

    /// `shallow` and `deepen` in all their forms; `None` if it is neither.
    fn depth_line(&mut self, repository: &Repository, line: &[u8]) -> Option<Result<(), Refused>> {
        let refused = |why| Some(Err(Refused::Silently(why)));
        if let Some(id) = line.strip_prefix(b"shallow ") {
            let Some((id, _)) = Id::parse(id) else { return refused("expected an object") };
            match repository.find(&id) {
                Some(object) if !repository.is_commit(object) => {
                    return refused("shallow at what is no commit");
                }
                Some(commit) if self.ended.add(commit) => self.ends.push(commit),
                _ => {}
            }
        } else if let Some(depth) = line.strip_prefix(b"deepen ") {
            // Git keeps the low half of the number.
            let depth = number(depth).and_then(|depth| u32::try_from(depth & 0xffff_ffff).ok());
            match depth.filter(|depth| (1..0x8000_0000).contains(depth)) {
                Some(depth) => self.depth = Some(depth),
                None => return refused("no depth"),
            }
        } else if let Some(time) = line.strip_prefix(b"deepen-since ") {
            match number(time).filter(|time| *time != -1) {
                Some(time) => self.since = Some(u64::try_from(time).unwrap_or(u64::MAX)),
                None => return refused("no time"),
            }
        } else if let Some(name) = line.strip_prefix(b"deepen-not ") {
            let Some(object) = repository.reference(name) else { return refused("no reference") };
            if !self.not.contains(&object) {
                self.not.push(object);
            }
        } else {
            return None;
        }
        Some(Ok(()))
    }

    /// How far back the client wants to go, if it said so; `Err` if it said two things.
    pub(super) fn reach(&self) -> Result<Option<Reach<'_>>, Refused> {
        let by_list = self.since.is_some() || !self.not.is_empty();
        match (self.depth, by_list) {
            (Some(_), true) => Err(Refused::Silently("depth beside time or reference")),
            (Some(depth), false) if self.relative => Ok(Some(Reach::Deeper(depth))),
            (Some(depth), false) => Ok(Some(Reach::Depth(depth))),
            (None, true) => Ok(Some(Reach::Since(self.since.unwrap_or_default(), &self.not))),
            (None, false) => Ok(None),
        }
    }

    /// History ends there for the client, as for what it has: known before it tells that (versions 0 and 1).
    pub(super) fn cut(&mut self, shallow: &[u32]) {
        for commit in self.ends.iter().chain(shallow) {
            self.cut.add(*commit);
        }
    }

    /// Whether the client told where its history ends.
    pub(super) fn is_shallow(&self) -> bool {
        !self.ends.is_empty()
    }

    /// Whether anything was wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.wants.is_empty() && self.unknown.is_empty()
    }

    /// Adds what was asked to an event.
    pub(super) fn tell(&self, repository: &Repository, seen: Sighting) -> Sighting {
        let wants =
            self.wants.iter().map(|want| repository.id(*want).to_string()).chain(self.unknown.clone());
        let names = |object: &u32| {
            repository
                .references
                .iter()
                .find(|reference| reference.object == *object)
                .map(|found| &found.name)
        };
        let wanted_names =
            self.wants.iter().filter_map(names).take(NAMED).map(|name| Value::from(name.clone()));
        let words: Vec<Value> = self.words.iter().map(|word| Value::from(word.clone())).collect();
        let agent = self.words.iter().find_map(|word| word.strip_prefix(b"agent="));
        let mut seen = seen
            .with("wants", wants.take(NAMED).collect::<Vec<_>>())
            .with("references", wanted_names.collect::<Vec<_>>())
            .with("capabilities", words);
        for (name, count) in [("wants_total", self.wants.len()), ("shallow_total", self.ends.len())] {
            if count > NAMED || name == "shallow_total" && count > 0 {
                seen = seen.with(name, count);
            }
        }
        if let Some(agent) = agent {
            seen = seen.with("agent", agent);
        }
        if self.haves > 0 {
            seen = seen.with("haves_total", self.haves).with("haves_common", self.common.len());
        }
        if let Some(depth) = self.depth {
            seen = seen.with("depth", depth);
        }
        if let Some(since) = self.since {
            seen = seen.with("since", since);
        }
        seen
    }
}

/// Keeps a word of the client, once, unless there are too many.
pub(super) fn keep(words: &mut Vec<Vec<u8>>, word: &[u8]) {
    let word = word.get(..WORD).unwrap_or(word);
    if words.len() < WORDS && !words.iter().any(|known| known == word) {
        words.push(word.to_vec());
    }
}

/// A number as strtol reads it with base 0: decimal, `0x` hexadecimal, `0` octal; the whole text.
fn number(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (radix, digits) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (16, digits),
        (None, Some(digits)) if !digits.is_empty() => (8, digits),
        _ => (10, digits),
    };
    if digits.is_empty() {
        return (radix == 10).then_some(0);
    }
    let all_digits = digits.chars().all(|digit| digit.is_digit(radix));
    let number = all_digits.then(|| i64::from_str_radix(digits, radix).unwrap_or(i64::MAX))?;
    Some(if negative { number.saturating_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let read = |text: &str| number(text.as_bytes());
        assert_eq!(
            [read("12"), read("0x1F"), read("010"), read("0")],
            [Some(12), Some(31), Some(8), Some(0)]
        );
        assert_eq!([read("-1"), read(" 7"), read("+7"), read("")], [Some(-1), Some(7), Some(7), Some(0)]);
        assert_eq!([read("1x"), read("08"), read("x"), read("--1"), read("0x")], [None; 5]);
        assert_eq!(read("99999999999999999999"), Some(i64::MAX));
    }
}
