//! What watches instead of listening: logs of other programs, packets for ports that nobody serves.
//!
//! A sensor is as free of I/O as a service. It says once what it is to be fed from; the framework opens that while it
//! has the privileges, feeds it, and stamps what it reports.

use std::{
    fmt::{self, Debug},
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::{Host, Kind, Peer, Section, Sighting, session::Random};

/// A watcher. Implement this, add one line to the registry.
pub trait Sensor: Sized + Send + Sync + 'static {
    /// As [`crate::Protocol::NAME`].
    const NAME: &'static str;
    /// As [`crate::Protocol::KINDS`].
    const KINDS: &'static [&'static Kind];
    /// A command that shows it at work; empty if there is none.
    const TRY: &'static str = "";
    /// Whether it is on in a new configuration: not where it needs another program, or speaks by itself.
    const ON: bool = true;

    /// As [`crate::Protocol::configure`].
    fn configure(section: &mut Section<'_>, host: &Host) -> Self;
    /// What it is to be fed from. Asked once, before anything is fed.
    fn feeds(&self) -> Vec<Feed>;
    /// Something arrived, or it is time to wake up.
    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>);
}

/// A source of what a sensor sees. Equal ones are handed over when a configuration is reloaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Feed {
    /// Lines that another program appends to a file, from now on: across rotation (by renaming or by copying and
    /// truncating), and also where the file does not exist yet.
    Lines(PathBuf),
    /// Packets for this machine that open a conversation, or belong to none: what scanners send.
    Packets,
    /// What comes back when something is sent to everybody on the networks of this machine ([`Watch::send`]).
    Network(Network),
}

/// How everybody is talked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Network {
    /// The interfaces that are used, by name; none named: all that are up and not loopback.
    pub interfaces: Vec<String>,
    /// Groups, with their ports, that are listened to: for answers that are sent to everybody, too. What is sent to
    /// the port that it was asked from is heard in any case.
    pub groups: Vec<SocketAddr>,
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lines(path) => write!(f, "{}", path.display()),
            Self::Packets => f.write_str("packets for this machine"),
            Self::Network(network) if network.interfaces.is_empty() => f.write_str("the network"),
            Self::Network(network) => write!(f, "the network on {}", network.interfaces.join(", ")),
        }
    }
}

/// What a sensor is fed.
#[derive(Debug, Clone, Copy)]
pub enum Arrival<'a> {
    /// It begins. The first arrival, once.
    Started,
    /// The time has come that it asked for.
    Woken,
    /// A line, without its end; at most [`LINE`] bytes, the rest is cut.
    Line(&'a [u8]),
    /// A packet.
    Packet(Packet<'a>),
    /// A datagram from the network.
    Datagram(Datagram<'a>),
}

/// A datagram that a [`Feed::Network`] received.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// Our end: the port that was asked from, or the group.
    pub to: SocketAddr,
    /// The hardware address of the sender, where the system knows it.
    pub mac: Option<[u8; 6]>,
    /// The interface that it came over.
    pub interface: &'a str,
    /// What it says; at most [`DATAGRAM`] bytes, the rest is cut.
    pub bytes: &'a [u8],
}

/// The longest datagram that a sensor is given, in bytes: RFC 6762, section 17, knows none that is longer.
pub const DATAGRAM: usize = 9000;

/// Whom a sensor sends to. Never further than the next router, and over each interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    /// Whoever is in that multicast group, at that port.
    Group(SocketAddr),
    /// Everybody (the broadcast address of each IPv4 network), at that port.
    Everybody(u16),
}

/// A packet as the system handed it over: for an address of this machine, for a group or for everybody; never one that
/// this machine sent to others.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// The interface that it came in on, as in `eth0`.
    pub interface: &'a str,
    /// Its Ethernet header (destination, source, type), where the interface has such.
    pub link: Option<[u8; 14]>,
    /// Whether it never left this machine.
    pub loopback: bool,
    /// Whether it was sent to this machine alone: not to everybody, nor to a group.
    pub to_us: bool,
    /// From the header of IP on; at most [`SNAP`] bytes, the rest is cut.
    pub bytes: &'a [u8],
    /// Packets that the system had no room for since the one before.
    pub lost: u32,
}

/// The bytes of a packet that a sensor is given: the longest headers of IPv4 and TCP, and what nmap's probes are known
/// by.
pub const SNAP: usize = 192;

/// The longest line of a file that a sensor is given, in bytes.
pub const LINE: usize = 64 * 1024;

/// Everything a sensor may know and do.
pub struct Watch<'a> {
    now: SystemTime,
    random: &'a mut dyn Random,
    effects: &'a mut Watched,
}

/// What a call to a sensor produced.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// To record, with the two ends where there are any.
    pub seen: Vec<(Option<Peer>, Sighting)>,
    /// When to wake it, from now on; `None` changes nothing.
    pub wake: Option<Duration>,
    /// To send.
    pub sent: Vec<(Destination, Vec<u8>)>,
}

impl<'a> Watch<'a> {
    /// For drivers and tests.
    pub fn new(now: SystemTime, random: &'a mut dyn Random, effects: &'a mut Watched) -> Self {
        Self { now, random, effects }
    }

    /// The time, fixed for this call.
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// Fills a buffer with unpredictable bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        self.random.fill(buffer);
    }

    /// Records evidence. No listener knows the two ends, so the sensor names them.
    pub fn report(&mut self, peer: Option<Peer>, seen: Sighting) {
        self.effects.seen.push((peer, seen));
    }

    /// Asks to be woken after that time. A later wish replaces an earlier one.
    pub fn wake(&mut self, after: Duration) {
        self.effects.wake = Some(after);
    }

    /// Sends a datagram, from a port of our own; needs a [`Feed::Network`].
    pub fn send(&mut self, to: Destination, bytes: Vec<u8>) {
        self.effects.sent.push((to, bytes));
    }
}

impl Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("now", &self.now)
            .field("effects", &self.effects)
            .finish_non_exhaustive()
    }
}

/// [`Sensor`] as the driver holds it.
pub trait AnySensor: Send + Sync {
    /// See [`Sensor::feeds`].
    fn feeds(&self) -> Vec<Feed>;
    /// See [`Sensor::take`].
    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>);
}

impl<S: Sensor> AnySensor for S {
    fn feeds(&self) -> Vec<Feed> {
        Sensor::feeds(self)
    }

    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>) {
        Sensor::take(self, arrival, watch);
    }
}
