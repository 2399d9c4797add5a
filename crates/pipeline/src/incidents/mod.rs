//! What belongs together: everything that one source does without a longer pause is an incident, told of in a few
//! messages instead of one for each event.
//!
//! **What opens one.** Every event of a source has an incident's number, but only one of [`Incidents::reconfigure`]'s
//! severity or above makes it known to anybody. From then on there is news ([`OPENED`], [`UPDATED`], [`CLOSED`]):
//! events with a snapshot of the incident, which are stored and sent like any other.
//!
//! **When.** The first at once, or after [`SETTLE`] at most if it is to be found out who the source is. Then for more
//! severe events, new services, the first credentials, and the tenth, hundredth … event, ever less often (`pace`);
//! for honey-credentials, bait and whatever else is critical, at once. The last when the source has been quiet for
//! long enough: it tells the whole story.
//!
//! **Bounds.** At most [`Incidents::MOST`] are open; beyond, the mildest and quietest go, those that nobody was told of
//! first. An address that proves nothing (datagrams, bare packets) gets an incident of its own only so often
//! ([`UNPROVED`]), and so does one of IPv6, of which everybody has plenty ([`PLENTY`]): what is more shares one
//! incident about many sources. So a flood of forged packets is one message, and real visitors still have their own.
//!
//! **Restarts.** [`Incidents::unsaved`] gives what changed: at once what was told of, all else once a second.

mod incident;
mod news;
mod pace;
mod ports;
mod summary;
mod tools;

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    time::{Duration, SystemTime},
};

use haldane_core::{Class, Event, Kind, News, Saved, Section, Severity, Unsaved};

use self::incident::Telling;
pub use self::{
    incident::{Act, Credential, Facts, Incident},
    news::snapshot,
    pace::Pace,
    ports::Ports,
    summary::summary,
};
use crate::rules::Names;

/// An incident opened.
pub static OPENED: Kind =
    Kind::new(39210, "incident.opened", Class::Incident, Severity::Low, "Incident opened");
/// There is something new about an incident.
pub static UPDATED: Kind =
    Kind::new(39211, "incident.updated", Class::Incident, Severity::Low, "Incident goes on");
/// An incident is over.
pub static CLOSED: Kind =
    Kind::new(39212, "incident.closed", Class::Incident, Severity::Low, "Incident closed");

/// The first message waits for facts about the source for so long at most.
pub const SETTLE: Duration = Duration::from_secs(2);
/// So many addresses that may be forged get an incident of their own in a minute.
pub const UNPROVED: u32 = 30;
/// So many addresses of IPv6 do: whoever has one has 2^64.
pub const PLENTY: u32 = 100;
/// How often what changed is saved, but for news.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Shorter, one visit would be many incidents; what is saved once a second would be lost in between.
const LEAST_QUIET: Duration = Duration::from_secs(10);
/// Longer, nothing would ever end.
const MOST_QUIET: Duration = Duration::from_secs(7 * 86_400);
/// Incidents looked at in one go.
const AT_ONCE: usize = 256;
/// Addresses that wait to be looked up.
const ASKED: usize = 64;

/// What the operator chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watch {
    /// An incident ends after so much silence from its source.
    pub quiet: Duration,
    /// Nothing milder opens one.
    pub severity: Severity,
    /// Whether somebody finds out about sources ([`Incidents::asks`]), so that it is worth waiting for.
    pub lookups: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self { quiet: Duration::from_secs(600), severity: Severity::Low, lookups: false }
    }
}

impl Watch {
    /// Reads `quiet` and `min_severity`.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let usual = Self::default();
        let quiet = section.duration(
            "quiet",
            usual.quiet,
            "All that one source does is one incident, until it has been quiet for so long.",
        );
        if !(LEAST_QUIET..=MOST_QUIET).contains(&quiet) {
            section.invalid("quiet", "expected between 10s and 7d");
        }
        let word = section.choice(
            "min_severity",
            usual.severity.name(),
            &Severity::ALL.map(Severity::name),
            "Nothing milder opens an incident: info, low, medium, high or critical. What a sink is told is its own \
             min_severity's matter.",
        );
        let severity = Severity::ALL.into_iter().find(|severity| severity.name() == word);
        Self { quiet, severity: severity.unwrap_or(usual.severity), lookups: false }
    }
}

/// Whose incident: an address, or many addresses.
type Key = Option<IpAddr>;

/// Open incidents.
#[derive(Debug)]
pub struct Incidents {
    watch: Watch,
    next: u64,
    open: HashMap<Key, Incident>,
    /// When to look at which. One entry for each, that may be earlier than necessary.
    schedule: BTreeSet<(SystemTime, Key)>,
    unproved: Budget,
    plenty: Budget,
    /// What changed and is not saved.
    changed: Vec<Key>,
    /// Of these, what was told of.
    told: Vec<Key>,
    /// What ended and is not saved.
    ended: Vec<Saved>,
    saved_at: SystemTime,
    asked: Vec<IpAddr>,
}

/// So many a minute.
#[derive(Debug)]
struct Budget {
    most: u32,
    since: SystemTime,
    spent: u32,
}

impl Budget {
    fn new(most: u32) -> Self {
        Self { most, since: SystemTime::UNIX_EPOCH, spent: 0 }
    }

    fn allows(&mut self, now: SystemTime) -> bool {
        // A clock that went back begins a new minute.
        if now.duration_since(self.since).map_or(true, |past| past >= Duration::from_secs(60)) {
            (self.since, self.spent) = (now, 0);
        }
        self.spent = self.spent.saturating_add(1);
        self.spent <= self.most
    }
}

impl Incidents {
    /// Incidents that are open at once.
    pub const MOST: usize = 4_096;

    /// The first has that number.
    pub fn new(watch: Watch, first: u64) -> Self {
        Self {
            watch,
            next: first.max(1),
            open: HashMap::new(),
            schedule: BTreeSet::new(),
            unproved: Budget::new(UNPROVED),
            plenty: Budget::new(PLENTY),
            changed: Vec::new(),
            told: Vec::new(),
            ended: Vec::new(),
            saved_at: SystemTime::UNIX_EPOCH,
            asked: Vec::new(),
        }
    }

    /// Goes on with other settings.
    pub fn reconfigure(&mut self, watch: Watch) {
        self.watch = watch;
        // What was due by the old ones is looked at soon.
        let keys: Vec<Key> = self.open.keys().copied().collect();
        keys.into_iter().for_each(|key| self.reschedule(key));
    }

    /// The incident that this event belongs to, opened if need be. Events about ourselves, and about incidents, belong
    /// to none; what has no source, as a flood of which the sensor tells, to that of many sources.
    pub fn note(&mut self, event: &Event, news: &mut Vec<News>) -> Option<u64> {
        if matches!(event.kind.class, Class::Operational | Class::Incident) {
            return None;
        }
        let key = event.source();
        self.end_if_quiet(key, event.at, news);
        let key = match key {
            Some(source) if !self.open.contains_key(&key) && !self.may_have_its_own(event, source) => {
                self.end_if_quiet(None, event.at, news);
                None
            }
            key => key,
        };
        if !self.open.contains_key(&key) {
            self.make_room(event.at, news);
            let peer = event.peer.filter(|_| key.is_some());
            self.open.insert(key, Incident::new(self.next, peer, event.at));
            self.next = self.next.saturating_add(1);
        }
        let number = self.add(key, event);
        let incident = self.open.get(&key);
        if incident.is_some_and(|incident| incident.pace.due.is_some_and(|due| due <= event.at)) {
            self.tell(key, event.at, news);
        }
        number
    }

    /// An event that was noted before turns out to hold a honey-credential.
    pub fn confirmed(&mut self, event: &Event, news: &mut Vec<News>) {
        let key = self.key_of(event.incident, event.source());
        let Some(incident) =
            self.open.get_mut(&key).filter(|incident| Some(incident.number) == event.incident)
        else {
            // It closed or was forgotten: the event opens another.
            let event = Event { honeycred: haldane_core::Honeycred::Yes, incident: None, ..event.clone() };
            self.note(&event, news);
            return;
        };
        let now = incident.last.max(event.at);
        incident.confirm(event, now);
        self.touched(key);
        if self.open.get(&key).is_some_and(|incident| incident.pace.due.is_some_and(|due| due <= now)) {
            self.tell(key, now, news);
        }
    }

    /// The incident of that number, or of that source.
    fn key_of(&self, number: Option<u64>, source: Option<IpAddr>) -> Key {
        let many = self.open.get(&None).map(|incident| incident.number);
        if many.is_some() && many == number { None } else { source }
    }

    /// Adds the event to an incident that is open.
    fn add(&mut self, key: Key, event: &Event) -> Option<u64> {
        let telling = Telling {
            severity: self.watch.severity,
            settle: if self.watch.lookups && key.is_some() { SETTLE } else { Duration::ZERO },
        };
        let incident = self.open.get_mut(&key)?;
        let before = incident.announced();
        incident.add(event, telling);
        let number = incident.number;
        if !before && incident.announced() && self.watch.lookups && self.asked.len() < ASKED {
            self.asked.extend(key);
        }
        self.touched(key);
        Some(number)
    }

    /// It changed: it is to be saved, and to be looked at in time.
    fn touched(&mut self, key: Key) {
        if let Some(incident) = self.open.get_mut(&key)
            && !std::mem::replace(&mut incident.changed, true)
        {
            self.changed.push(key);
        }
        self.reschedule(key);
    }

    /// Sees to it that it is looked at in time. That it is quiet is looked for no sooner than the last time said, so
    /// that a busy incident is not sorted in again with each of its events.
    fn reschedule(&mut self, key: Key) {
        let Some(incident) = self.open.get_mut(&key) else { return };
        let over = self.watch.quiet.saturating_add(Duration::from_millis(1));
        let quiet = incident.last.checked_add(over).unwrap_or(incident.last);
        let due = incident.pace.due.map_or(quiet, |due| due.min(quiet));
        if incident.scheduled.is_some_and(|scheduled| scheduled <= due) {
            return;
        }
        if let Some(scheduled) = incident.scheduled.replace(due) {
            self.schedule.remove(&(scheduled, key));
        }
        self.schedule.insert((due, key));
    }

    /// Whether that new source gets an incident of its own.
    fn may_have_its_own(&mut self, event: &Event, source: IpAddr) -> bool {
        match (incident::proved(event), source.is_ipv6()) {
            (false, _) => self.unproved.allows(event.at),
            (true, true) => self.plenty.allows(event.at),
            (true, false) => true,
        }
    }

    /// When to call [`Self::tick`].
    pub fn due(&self) -> Option<SystemTime> {
        let save = self.saved_at.checked_add(SAVE_EVERY).filter(|_| !self.changed.is_empty());
        let first = self.schedule.first().map(|(due, _)| *due);
        [save, first].into_iter().flatten().min()
    }

    /// Tells what is due, and closes what has been quiet.
    pub fn tick(&mut self, now: SystemTime, news: &mut Vec<News>) {
        for _ in 0..AT_ONCE {
            let Some((due, key)) = self.schedule.first().copied().filter(|(due, _)| *due <= now) else {
                return;
            };
            self.schedule.remove(&(due, key));
            let Some(incident) = self.open.get_mut(&key) else { continue };
            incident.scheduled = None;
            if incident.pace.due.is_some_and(|due| due <= now) {
                self.tell(key, now, news);
            }
            if !self.end_if_quiet(key, now, news) {
                self.reschedule(key);
            }
        }
    }

    /// Says whether it had to end.
    fn end_if_quiet(&mut self, key: Key, now: SystemTime, news: &mut Vec<News>) -> bool {
        let quiet = self.watch.quiet;
        let over = |incident: &Incident| now.duration_since(incident.last).unwrap_or_default() > quiet;
        if !self.open.get(&key).is_some_and(over) {
            return false;
        }
        self.end(key, now, format!("quiet for {}", news::span(quiet)), news);
        true
    }

    fn end(&mut self, key: Key, now: SystemTime, reason: String, news: &mut Vec<News>) {
        let Some(mut incident) = self.open.remove(&key) else { return };
        if let Some(scheduled) = incident.scheduled.take() {
            self.schedule.remove(&(scheduled, key));
        }
        let announced = incident.announced();
        if announced {
            let mut reasons = std::mem::take(&mut incident.pace.reasons);
            reasons.push(reason);
            news.push(news::closed(&incident, &reasons, now));
        }
        let state = if announced { state(&incident) } else { Vec::new() };
        // While nothing can be saved, this must not grow without end: who is left out ends once more after a restart.
        if self.ended.len() < Self::MOST {
            self.ended.push(saved(&incident, false, state));
        }
    }

    fn tell(&mut self, key: Key, now: SystemTime, news: &mut Vec<News>) {
        let Some(incident) = self.open.get_mut(&key) else { return };
        let kind = if incident.pace.messages == 0 { &OPENED } else { &UPDATED };
        let events = incident.events;
        let reasons = incident.pace.told(now, events);
        news.push(news::news(kind, incident, &reasons, now));
        self.told.push(key);
        self.touched(key);
    }

    /// If the table is full, an eighth of it goes: what nobody was told of before what was announced, the mild before
    /// the severe, the quiet before the busy.
    fn make_room(&mut self, now: SystemTime, news: &mut Vec<News>) {
        if self.open.len() < Self::MOST {
            return;
        }
        let mut ranked: Vec<_> = self
            .open
            .iter()
            .map(|(key, incident)| ((incident.announced(), incident.severity, incident.last), *key))
            .collect();
        let few = Self::MOST >> 3;
        ranked.select_nth_unstable(few);
        ranked.truncate(few);
        for (_, key) in ranked {
            self.end(key, now, "too many at once".to_owned(), news);
        }
    }

    /// Addresses of sources that are worth finding out about, for [`Self::know`].
    pub fn asks(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.asked)
    }

    /// What was found out about a source. What waited for that is due.
    pub fn know(&mut self, source: IpAddr, facts: Facts) {
        let key = Some(source);
        let Some(incident) = self.open.get_mut(&key) else { return };
        incident.facts = facts;
        incident.pace.settle();
        self.touched(key);
    }

    /// What changed and is to be saved now.
    pub fn unsaved(&mut self, now: SystemTime) -> Unsaved {
        let mut unsaved = Unsaved { incidents: std::mem::take(&mut self.ended), complete: false };
        let told = std::mem::take(&mut self.told);
        let all = now.duration_since(self.saved_at).map_or(true, |past| past >= SAVE_EVERY);
        let keys = if all { std::mem::take(&mut self.changed) } else { told };
        if all {
            self.saved_at = now;
        }
        for key in keys {
            if let Some(incident) = self.open.get_mut(&key)
                && incident.changed
            {
                // Still among the changed: looked at once more, which does no harm.
                incident.changed = !all;
                unsaved.incidents.push(saved(incident, true, state(incident)));
            }
        }
        unsaved.complete = self.changed.is_empty();
        unsaved
    }

    /// An incident that was open.
    pub fn restore(&mut self, state: &[u8]) {
        let Ok(incident) = serde_json::from_slice::<Incident>(state) else { return };
        if self.open.len() >= Self::MOST {
            return;
        }
        let key = incident.source();
        self.next = self.next.max(incident.number.saturating_add(1));
        self.open.insert(key, incident);
        self.reschedule(key);
    }

    /// An event that was noted before the end of the program, and is in nothing that was restored.
    pub fn again(&mut self, event: &Event) {
        let Some(number) = event.incident else { return };
        let of_number = |(key, incident): (&Key, &Incident)| (incident.number == number).then_some(*key);
        let key = self.key_of(event.incident, event.source());
        let key = match self.open.get(&key) {
            Some(incident) if incident.number == number => key,
            Some(_) => match self.open.iter().find_map(of_number) {
                Some(key) => key,
                None => return,
            },
            None if self.open.len() < Self::MOST => {
                self.open.insert(key, Incident::new(number, event.peer, event.at));
                self.next = self.next.max(number.saturating_add(1));
                key
            }
            None => return,
        };
        self.add(key, event);
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }
}

fn state(incident: &Incident) -> Vec<u8> {
    serde_json::to_vec(incident).unwrap_or_default()
}

fn saved(incident: &Incident, open: bool, state: Vec<u8>) -> Saved {
    Saved {
        number: incident.number,
        source: incident.source(),
        first: incident.first,
        last: incident.last,
        severity: incident.severity,
        open,
        state,
    }
}

/// At most so many characters, with a mark where something is missing.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}
/// What rules know of sources: the names of those whose incidents are open.
impl Names for Incidents {
    fn name(&self, source: IpAddr) -> Option<String> {
        let facts = &self.open.get(&Some(source))?.facts;
        facts.name.as_ref().filter(|_| facts.name_leads_back).map(ToString::to_string)
    }
}
