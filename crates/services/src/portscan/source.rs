//! What one source has touched, and whether that is a scan.

use std::net::IpAddr;

use haldane_core::{Kind, Sighting};
use jiff::Timestamp;

use super::{
    kinds::{ENDED, GOES_ON, SCAN},
    ports::Ports,
    rate::Bucket,
    technique::Technique,
};

/// What a target weighs. Some weigh less than a whole one, and parts of numbers add up badly.
pub(super) const WHOLE: u32 = 8;
/// Addresses of ours that are kept one by one.
const ADDRESSES: usize = 64;
/// The first port that the system gives to clients (`net.ipv4.ip_local_port_range`), and the last one.
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32_768..=60_999;
/// How long after the decision a scan is told of: most are over by then, and one message holds all of it.
const SETTLE: u64 = 2_000;
/// When it is told how a scan goes on, after the message before, in milliseconds. The last one again and again.
const GOES_ON_AFTER: [u64; 4] = [10_000, 60_000, 600_000, 3_600_000];
/// The pause that ends a scan: that of an incident. nmap's slowest pace has pauses of five minutes.
const PAUSE: u64 = 600_000;

/// A packet that touches a target.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// 0 for ICMP.
    pub(super) port: u16,
    pub(super) technique: Technique,
    /// Such comes unasked, and from everybody.
    pub(super) noise: bool,
    /// It never left this machine.
    pub(super) local: bool,
}

impl Touch {
    /// Whether it says nothing about its source: it may be an answer to something that this machine asked.
    fn tells_nothing(&self) -> bool {
        let answers = self.technique.may_be_late() || self.technique == Technique::Udp;
        self.noise || (answers && EPHEMERAL.contains(&self.port))
    }

    /// What a target that is touched like that weighs.
    fn weight(&self) -> u32 {
        match self.technique {
            _ if self.tells_nothing() => 0,
            // A server's client that is told a port to connect to (passive FTP) touches many.
            Technique::Syn if EPHEMERAL.contains(&self.port) => 1,
            // A connection that began before we looked.
            technique if technique.may_be_late() => WHOLE >> 1,
            _ => WHOLE,
        }
    }
}

/// One source.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// When its window began, and when it was seen last, in milliseconds.
    since: u64,
    pub(super) last: u64,
    /// For each kind of single event.
    pub(super) buckets: [Bucket; 6],
    addresses: Vec<IpAddr>,
    tcp: Ports,
    udp: Ports,
    techniques: u16,
    pub(super) weight: u32,
    targets: u32,
    packets: u64,
    scan: Option<Box<Scan>>,
}

/// A scan that was decided.
#[derive(Debug)]
struct Scan {
    destination: IpAddr,
    /// When it is to be looked at next.
    due: u64,
    /// Until when it is not told how it goes on.
    silent: u64,
    /// How often it was told of.
    told: usize,
    /// Targets when it was told of.
    targets: u32,
}

impl Source {
    pub(super) fn new(now: u64) -> Self {
        Self { since: now, last: now, ..Self::default() }
    }

    /// Takes note of a touch; returns whether the target is new, `None` if it is not to be counted at all.
    pub(super) fn touch(&mut self, touch: &Touch, now: u64, window: u64, room: &mut usize) -> Option<bool> {
        if self.scan.is_none() {
            if now.saturating_sub(self.since) > window {
                let buckets = self.buckets;
                // Only scans have sets that take room.
                *self = Self { buckets, ..Self::new(now) };
            }
            let known = self.tcp.contains(touch.port);
            // Noise has few ports, and may turn out to belong to a scan.
            let answer = touch.tells_nothing() && !touch.noise;
            if answer || (touch.technique.may_be_late() && known) {
                return None;
            }
        }
        self.last = now.max(self.last);
        self.packets = self.packets.saturating_add(1);
        let new_technique = self.techniques & touch.technique.bit() == 0;
        self.techniques |= touch.technique.bit();
        let new_address = !self.addresses.contains(&touch.destination) && self.addresses.len() < ADDRESSES;
        if new_address {
            self.addresses.push(touch.destination);
        }
        // Few ports are enough for the decision; what is decided has a claim to more.
        let mut none = 0;
        let room = if self.scan.is_some() { room } else { &mut none };
        let new_port = match touch.technique {
            technique if technique.is_icmp() || touch.port == 0 => new_technique,
            Technique::Udp => self.udp.insert(touch.port, room),
            _ => self.tcp.insert(touch.port, room),
        };
        if new_port || new_address {
            self.targets = self.targets.saturating_add(1);
            self.weight = self.weight.saturating_add(touch.weight());
        }
        if new_technique && touch.technique.odd() {
            self.weight = self.weight.saturating_add(2 * WHOLE);
        }
        if let Some(scan) = &mut self.scan {
            scan.destination = touch.destination;
        }
        Some(new_port || new_address)
    }

    pub(super) fn is_scan(&self) -> bool {
        self.scan.is_some()
    }

    /// Sets that take room.
    pub(super) fn large(&self) -> usize {
        usize::from(self.tcp.is_large()).saturating_add(usize::from(self.udp.is_large()))
    }

    /// Decides that it is a scan; returns when that is to be told.
    pub(super) fn open(&mut self, destination: IpAddr, now: u64) -> u64 {
        let due = now.saturating_add(SETTLE);
        self.scan = Some(Box::new(Scan { destination, due, silent: due, told: 0, targets: 0 }));
        due
    }

    /// When a scan is to be looked at next.
    pub(super) fn due(&self) -> Option<u64> {
        self.scan.as_ref().map(|scan| scan.due)
    }

    /// What there is to tell of a scan now: to which of our addresses, what, and whether it is over.
    pub(super) fn tell(&mut self, now: u64) -> Option<(IpAddr, Option<Sighting>, bool)> {
        let last = self.last;
        let targets = self.targets;
        let scan = self.scan.as_mut().filter(|scan| scan.due <= now)?;
        let over = now.saturating_sub(last) >= PAUSE;
        let kind = match scan.told {
            0 => Some(&SCAN),
            _ if over => Some(&ENDED),
            _ if scan.targets < targets && scan.silent <= now => Some(&GOES_ON),
            _ => None,
        };
        // What is not told yet cannot be over.
        let over = over && scan.told > 0;
        if kind.is_some() {
            let wait = GOES_ON_AFTER.get(scan.told).or(GOES_ON_AFTER.last()).copied().unwrap_or(PAUSE);
            scan.silent = now.saturating_add(wait);
            scan.told = scan.told.saturating_add(1);
            scan.targets = targets;
        }
        // With nothing new, it is only its end that can be told.
        let goes_on = if scan.silent > now { scan.silent } else { u64::MAX };
        scan.due = goes_on.min(last.saturating_add(PAUSE)).max(now.saturating_add(1));
        let destination = scan.destination;
        Some((destination, kind.map(|kind| self.sighting(kind)), over))
    }

    fn sighting(&self, kind: &'static Kind) -> Sighting {
        let used = |technique: &&Technique| self.techniques & technique.bit() != 0;
        let techniques: Vec<&str> = Technique::ALL.iter().filter(used).map(|one| one.name()).collect();
        let addresses: Vec<String> = self.addresses.iter().map(IpAddr::to_string).collect();
        let mut seen = Sighting::of(kind)
            .with("techniques", techniques)
            .with("addresses", addresses)
            .with("targets", self.targets)
            .with("packets", self.packets)
            .with("os_detection", self.techniques & Technique::Os.bit() != 0)
            .with("first", time(self.since))
            .with("last", time(self.last));
        for (name, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
            if !ports.is_empty() {
                seen = seen.with(name, ports.list());
            }
        }
        seen
    }
}

fn time(milliseconds: u64) -> Option<String> {
    let milliseconds = i64::try_from(milliseconds).ok()?;
    Timestamp::from_millisecond(milliseconds).ok().map(|time| time.to_string())
}
