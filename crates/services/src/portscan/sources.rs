//! All sources. Whoever forges addresses can neither make the table grow nor push out who scans in earnest: the
//! sources that touched least are forgotten first.

use std::{collections::HashMap, net::IpAddr};

use haldane_core::Sighting;

use super::{
    kinds::FLOOD,
    rate::{Bucket, Rate},
    source::{Source, Touch, WHOLE},
    technique::Technique,
};

/// Sources that are remembered. Beyond it, the half that touched least is forgotten.
const MOST: usize = 10_000;
/// Scans that are followed at once. With ten thousand forged sources, what is beyond it is counted.
const SCANS: usize = 1_000;
/// Sets of ports of 8 KiB each: 2 MiB.
const LARGE: usize = 256;
/// Targets, as often as usual, that a source on this machine may touch: its programs talk to each other.
const LOCAL: u32 = 5;
/// Messages about single packets, of all sources together: a second, and at once. Each source has a rate of its own;
/// this is for thousands of them.
const SINGLES: (u64, u64) = (100, 1_000);
/// New scans: a second, and at once.
const OPENINGS: (u64, u64) = (1, 100);
/// A scan so many times as large as need be has a claim of its own to be told, and to a tenth of the places: small ones
/// of forged sources do not bury it.
const LARGER: u32 = 10;
/// How long what is too much is counted before it is told, and the time between two such messages, in milliseconds.
const COUNTED: (u64, u64) = (2_000, 60_000);

/// The rates and the measure.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Single connection attempts of one source.
    pub(super) syn: Rate,
    /// Single packets of each other sort, of one source.
    pub(super) nmap: Rate,
    /// Single packets within this machine.
    pub(super) local: Rate,
    /// Targets that make a scan.
    pub(super) targets: u32,
    /// Within so many milliseconds.
    pub(super) window: u64,
}

/// What is due: who, at which of our addresses, what. Nobody if it is about many.
pub(super) type Due = (Option<(IpAddr, IpAddr)>, Sighting);

/// All of them.
#[derive(Debug)]
pub(super) struct Sources {
    settings: Settings,
    table: HashMap<IpAddr, Source>,
    /// Large sets of ports that may still be made.
    room: usize,
    scans: usize,
    singles: Bucket,
    /// For small scans, and for large ones.
    openings: [Bucket; 2],
    flood: Flood,
    /// When the next message is due.
    pub(super) due: Option<u64>,
}

/// What was not told one by one.
#[derive(Debug, Default)]
struct Flood {
    packets: u64,
    scans: u64,
    told: u64,
    due: Option<u64>,
}

impl Flood {
    fn counting(&mut self, now: u64) -> u64 {
        let next = now.saturating_add(COUNTED.0).max(self.told.saturating_add(COUNTED.1));
        *self.due.get_or_insert(next)
    }
}

impl Sources {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            table: HashMap::new(),
            room: LARGE,
            scans: 0,
            singles: Bucket::default(),
            openings: Default::default(),
            flood: Flood::default(),
            due: None,
        }
    }

    /// Takes note of a touch; returns whether the packet is worth a message of its own.
    pub(super) fn touch(&mut self, touch: &Touch, now: u64) -> bool {
        if self.table.len() >= MOST && !self.table.contains_key(&touch.source) {
            self.forget_half();
        }
        let source = self.table.entry(touch.source).or_insert_with(|| Source::new(now));
        let before = source.weight;
        let Some(new) = source.touch(touch, now, self.settings.window, &mut self.room) else { return false };
        self.decide(touch, before, now);
        let Some(source) = self.table.get_mut(&touch.source) else { return false };
        let (rate, place) = match touch.technique {
            Technique::Syn => (self.settings.syn, 0),
            Technique::Os => (self.settings.nmap, 1),
            Technique::Null => (self.settings.nmap, 2),
            Technique::Xmas => (self.settings.nmap, 3),
            Technique::Fin => (self.settings.nmap, 4),
            // A conversation is one target, not a message for each of its packets.
            _ if !new || touch.noise => return false,
            _ => (self.settings.nmap, 5),
        };
        let rate = if touch.local { self.settings.local } else { rate };
        let told = source.buckets.get_mut(place).is_some_and(|bucket| bucket.take(rate, now));
        if !told || self.singles.take(Rate::new(SINGLES.0, 1).burst(SINGLES.1), now) {
            return told;
        }
        self.flood.packets = self.flood.packets.saturating_add(1);
        let due = self.flood.counting(now);
        self.due_at(due);
        false
    }

    /// Looks whether a source, which weighed less before, is a scan now.
    fn decide(&mut self, touch: &Touch, before: u32, now: u64) {
        let enough = self.settings.targets.saturating_mul(if touch.local { LOCAL } else { 1 });
        let enough = enough.saturating_mul(WHOLE);
        let Some(source) = self.table.get_mut(&touch.source) else { return };
        if source.is_scan() || source.weight < enough {
            return;
        }
        let large = source.weight >= enough.saturating_mul(LARGER);
        let places = if large { SCANS } else { SCANS.saturating_sub(SCANS.div_euclid(10)) };
        let [small_ones, large_ones] = &mut self.openings;
        let bucket = if large { large_ones } else { small_ones };
        let due = match self.scans < places && bucket.take(Rate::new(OPENINGS.0, 1).burst(OPENINGS.1), now) {
            true => {
                self.scans = self.scans.saturating_add(1);
                source.open(touch.destination, now)
            }
            // Counted once, and tried again with its next packet.
            false => {
                self.flood.scans = self.flood.scans.saturating_add(u64::from(before < enough));
                self.flood.counting(now)
            }
        };
        self.due_at(due);
    }

    fn due_at(&mut self, due: u64) {
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Everything that is due.
    pub(super) fn tell(&mut self, now: u64) -> Vec<Due> {
        let mut told = Vec::new();
        let (mut over, mut due) = (Vec::new(), None::<u64>);
        for (address, source) in self.table.iter_mut().filter(|(_, source)| source.is_scan()) {
            if let Some((destination, seen, ended)) = source.tell(now) {
                told.extend(seen.map(|seen| (Some((*address, destination)), seen)));
                if ended {
                    over.push(*address);
                    continue;
                }
            }
            due = due.into_iter().chain(source.due()).min();
        }
        for source in over.iter().filter_map(|address| self.table.remove(address)) {
            self.scans = self.scans.saturating_sub(1);
            self.room = self.room.saturating_add(source.large());
        }
        if self.flood.due.is_some_and(|due| due <= now) {
            let Flood { packets, scans, .. } = self.flood;
            self.flood = Flood { told: now, ..Flood::default() };
            let sources = self.table.len();
            told.push((
                None,
                Sighting::of(&FLOOD).with("packets", packets).with("scans", scans).with("sources", sources),
            ));
        }
        self.due = due.into_iter().chain(self.flood.due).min();
        told
    }

    /// At once, so that a flood of new addresses costs each of them little.
    fn forget_half(&mut self) {
        let key = |source: &Source| (source.is_scan(), source.weight, source.last);
        let mut keys: Vec<_> = self.table.values().map(key).collect();
        let middle = keys.len() >> 1;
        let (_, median, _) = keys.select_nth_unstable(middle);
        let median = *median;
        // Scans are fewer than half: none is forgotten, and none of what takes room.
        self.table.retain(|_, source| key(source) > median);
    }
}
