//! Scans of this machine: who touches many of its ports, whatever is behind them.
//!
//! It looks at packets as they come in, needs no rules of a firewall and no log of the kernel, and sees ports that
//! nobody serves. Where rules of the peer's kind exist, the log that they write is read, too (`logfile`); of a
//! packet that was seen both ways, the line is dropped.
//!
//! Single packets are reported as the peer does, kinds 5001 to 5005 with the fields of the kernel's log line, at the
//! peer's rates, but for each source: one busy client hides nobody. Others (UDP, ICMP, ACK, odd flags) are
//! [`PROBE`]s, once for each target. They matter little each. What matters is the scan, told once ([`SCAN`]), with a
//! message now and then while it goes on ([`GOES_ON`]) and one when it is over ([`ENDED`]).
//!
//! **What a scan is.** A source that touches `targets` targets (address and port, or sort of ICMP) within `window`.
//! The defaults, 5 within an hour, are far below those of Zeek's `misc/scan` (15 ports in 5 minutes), which watches
//! networks where people have business; and they see nmap's slowest pace (one probe in five minutes). However many
//! connections a client makes to one port, that is one target. Not every target weighs the same: one touched in a way
//! that no client ever would counts for two more; ports that the system gives to clients weigh an eighth for
//! connection attempts (passive FTP), and nothing for what may be an answer; ACKs without a known beginning weigh
//! half, since the connection may be older than we are; a source on this machine needs five times as many.
//! What goes to groups and to everybody (mDNS, SSDP, NetBIOS, DHCP) is nobody's scan.
//!
//! nmap's probes are known by what its author documents ("Remote OS Detection", in Nmap Network Scanning).

mod facts;
mod kinds;
mod line;
mod packet;
mod ports;
mod rate;
mod source;
mod sources;
mod technique;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use haldane_core::{
    Arrival, Feed, Host, Kind, Packet, Peer, Section, Sensor, Severity, Sighting, Transport, Watch,
};

pub use kinds::{ENDED, FIN, FLOOD, GOES_ON, KINDS, LOST, NULL, OS, PROBE, SCAN, SYN, XMAS};
use packet::{Body, Header};
use rate::Rate;
use source::Touch;
use sources::{Settings, Sources};
use technique::Technique;

/// Ports of UDP at which answers and announcements arrive unasked: DHCP and DHCPv6, SSDP, mDNS, LLMNR.
const NOISE: [u16; 7] = [67, 68, 546, 547, 1900, 5353, 5355];
/// Packets that are remembered in case the log tells of them as well.
const REMEMBERED: usize = 16_384;
/// The time between two messages about lost packets.
const LOST_EVERY: Duration = Duration::from_secs(60);

/// The sensor. See the module's documentation.
#[derive(Debug)]
pub struct PortScan {
    packets: bool,
    logfile: Option<PathBuf>,
    ignore_localhost: bool,
    ignore_ports: Vec<u16>,
    sources: Sources,
    /// What was seen as packets, oldest first; empty unless there is a log as well.
    seen: VecDeque<u64>,
    known: HashSet<u64>,
    lost: u64,
    lost_told: Option<SystemTime>,
    /// When it will be woken.
    woken_at: Option<u64>,
}

impl Sensor for PortScan {
    const NAME: &'static str = "portscan";
    const KINDS: &'static [&'static Kind] = KINDS;
    const TRY: &'static str = "nmap -F {host}";

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        let packets = section.flag(
            "packets",
            true,
            "Whether packets are looked at as they come in. Needs CAP_NET_RAW when it starts, and no longer.",
        );
        let logfile = section.path(
            "logfile",
            "A log of the kernel in which rules of iptables with OpenCanary's prefixes write; read beside the packets.",
        );
        let mut rate = |key, default, seconds, about| {
            Rate::new(section.number(key, default, 0..=10_000, about), seconds)
        };
        let settings = Settings {
            syn: rate("synrate", 5, 1, "Single connection attempts that are told of each source, a second."),
            nmap: rate(
                "nmaposrate",
                5,
                1,
                "Single packets of any other sort that are told of each source, a second.",
            ),
            local: rate("lorate", 3, 3600, "Single packets within this machine that are told, an hour."),
            targets: u32::try_from(section.number(
                "targets",
                5,
                2..=65_535,
                "How many targets (ports, addresses) a source must touch to be a scan.",
            ))
            .unwrap_or(u32::MAX),
            window: u64::try_from(
                section.duration("window", Duration::from_secs(3600), "Within which time.").as_millis(),
            )
            .unwrap_or(u64::MAX),
        };
        let ignore_localhost = section.flag(
            "ignore_localhost",
            false,
            "Whether what this machine sends to itself is passed over.",
        );
        let listed = section.list("ignore_ports", &[], "Ports of this machine that are passed over.");
        let ignore_ports: Vec<u16> = listed.iter().filter_map(|port| port.trim().parse().ok()).collect();
        if ignore_ports.len() != listed.len() {
            section.invalid("ignore_ports", "expected ports from 0 to 65535");
        }
        if !packets && logfile.is_none() {
            section.invalid("packets", "expected true, or a logfile");
        }
        Self {
            packets,
            logfile,
            ignore_localhost,
            ignore_ports,
            sources: Sources::new(settings),
            seen: VecDeque::new(),
            known: HashSet::new(),
            lost: 0,
            lost_told: None,
            woken_at: None,
        }
    }

    fn feeds(&self) -> Vec<Feed> {
        // Packets first: what came both ways is to be known when its line is read.
        let packets = self.packets.then_some(Feed::Packets);
        packets.into_iter().chain(self.logfile.clone().map(Feed::Lines)).collect()
    }

    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>) {
        match arrival {
            Arrival::Woken => self.woken_at = None,
            Arrival::Packet(packet) => self.packet(&packet, watch),
            Arrival::Line(line) => self.line(line, watch),
            Arrival::Started | Arrival::Datagram(_) => {}
        }
        self.tell(watch);
    }
}

impl PortScan {
    fn packet(&mut self, packet: &Packet<'_>, watch: &mut Watch<'_>) {
        self.lost = self.lost.saturating_add(packet.lost.into());
        let Ok(header) = packet::parse(packet.bytes) else { return };
        let Some(technique) = technique::of(&header) else { return };
        if technique == Technique::Udp && !packet.to_us {
            return;
        }
        let (source_port, port) = ports_of(&header);
        let ends = Ends { source: header.source, source_port, destination: header.destination, port };
        if self.logfile.is_some() {
            self.remember(ends.print(technique));
        }
        let touch = ends.touch(technique, packet.loopback);
        if self.passed_over(&touch) || !self.sources.touch(&touch, millis(watch.now())) {
            return;
        }
        let mut seen = Sighting::of(technique.kind());
        seen.fields = facts::fields(packet, &header);
        if seen.kind == &PROBE {
            seen = seen.with("technique", technique.name());
        }
        // Pings are everywhere, and so are connections that began before we did.
        if technique == Technique::Echo || technique.may_be_late() {
            seen = seen.severity(Severity::Info);
        }
        let transport = match header.body {
            Body::Tcp(_) | Body::CutTcp { .. } => Transport::Tcp,
            Body::Udp { .. } => Transport::Udp,
            Body::Icmp { .. } => Transport::Ip,
        };
        watch.report(Some(ends.peer(transport)), seen);
    }

    fn line(&mut self, line: &[u8], watch: &mut Watch<'_>) {
        let Some(logged) = line::read(line) else { return };
        let destination = logged.destination.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        let (source_port, port) = (logged.source_port, logged.port);
        let ends = Ends { source: logged.source, source_port, destination, port };
        if self.known.contains(&ends.print(logged.technique)) {
            return;
        }
        let touch = ends.touch(logged.technique, is_loopback(logged.source));
        if self.passed_over(&touch) {
            return;
        }
        // Its rule has limited it already.
        self.sources.touch(&touch, millis(watch.now()));
        let mut seen = Sighting::of(logged.technique.kind());
        seen.fields = logged.facts;
        let ports = if (source_port, port) == (0, 0) { Transport::Ip } else { Transport::Tcp };
        watch.report(Some(ends.peer(ports)), seen);
    }

    fn passed_over(&self, touch: &Touch) -> bool {
        let local = touch.local || is_loopback(touch.source);
        let port = !touch.technique.is_icmp() && self.ignore_ports.contains(&touch.port);
        port || (local && self.ignore_localhost)
    }

    fn remember(&mut self, print: u64) {
        if self.known.insert(print) {
            self.seen.push_back(print);
        }
        if self.seen.len() > REMEMBERED
            && let Some(oldest) = self.seen.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Tells what is due, and sees to it that it is woken for the rest.
    fn tell(&mut self, watch: &mut Watch<'_>) {
        let (time, now) = (watch.now(), millis(watch.now()));
        if self.sources.due.is_some_and(|due| due <= now) {
            for (ends, seen) in self.sources.tell(now) {
                let end = |address| SocketAddr::new(address, 0);
                let peer = ends.map(|(source, ours)| Peer::new(end(source), end(ours), Transport::Ip));
                watch.report(peer, seen);
            }
        }
        let quiet = self
            .lost_told
            .is_none_or(|told| time.duration_since(told).is_ok_and(|since| since >= LOST_EVERY));
        if self.lost > 0 && quiet {
            watch.report(None, Sighting::of(&LOST).with("packets", self.lost));
            self.lost = 0;
            self.lost_told = Some(time);
        }
        // Each wish replaces the one before: only an earlier time is a new wish.
        if let Some(due) = self.sources.due
            && self.woken_at.is_none_or(|at| due < at)
        {
            self.woken_at = Some(due);
            watch.wake(Duration::from_millis(due.saturating_sub(now).max(1)));
        }
    }
}

/// The two ends of a packet.
struct Ends {
    source: IpAddr,
    source_port: u16,
    destination: IpAddr,
    port: u16,
}

impl Ends {
    /// What a packet and the line about it have in common.
    fn print(&self, technique: Technique) -> u64 {
        let mut hasher = DefaultHasher::new();
        let kind = technique.kind().number;
        (self.source, self.source_port, self.destination, self.port, kind).hash(&mut hasher);
        hasher.finish()
    }

    fn touch(&self, technique: Technique, local: bool) -> Touch {
        // Daemons that talk to each other (NTP) use the same port at both ends.
        let same = self.port == self.source_port && self.port < 1024;
        let noise = technique == Technique::Udp && (same || NOISE.contains(&self.port));
        Touch { source: self.source, destination: self.destination, port: self.port, technique, noise, local }
    }

    fn peer(&self, transport: Transport) -> Peer {
        let remote = SocketAddr::new(self.source, self.source_port);
        Peer::new(remote, SocketAddr::new(self.destination, self.port), transport)
    }
}

fn ports_of(header: &Header) -> (u16, u16) {
    match &header.body {
        Body::Tcp(tcp) => (tcp.source, tcp.destination),
        Body::CutTcp { source, destination } | Body::Udp { source, destination, .. } => {
            (*source, *destination)
        }
        Body::Icmp { .. } => (0, 0),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
