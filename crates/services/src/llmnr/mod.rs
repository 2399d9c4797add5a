//! Asks the local network for names that nobody has. Whoever answers lies: Responder, Inveigh and their like answer
//! every question, to be sent the credentials that were meant for the name.
//!
//! Asked by LLMNR (RFC 4795), and where the operator switches them on by the name service of NetBIOS (RFC 1002,
//! section 4.2.12) and by multicast DNS (RFC 6762, as its one-shot queries, section 5.1). A name of the operator's is
//! asked for in each interval, somewhat irregularly, and in between another: one of a list, or one made up
//! (`names`). Questions go to IPv4 and IPv6, for both kinds of address, as Windows asks them.
//!
//! Reports `llmnr.poisoned` for an answer, once for each question and source, and `llmnr.unasked` for what comes to
//! the port that was asked from and answers nothing. Questions of others, and their answers to groups, are no events.
//! The TTL that is sent is 1, as Windows does: none of this leaves the link.

mod names;
mod wire;

use std::{collections::VecDeque, net::IpAddr, time::Duration};

use haldane_core::{
    Arrival, Class, Compat, Datagram, Destination, Feed, Host, Kind, Network, Peer, Section, Sensor,
    Severity, Sighting, Transport, Value, Watch,
};

use names::Chance;
use wire::{Answer, Data, Fit, Protocol, Question};

/// An answer for a name that nobody has. Field `mac` is the sender's hardware address, `response` the first address
/// that it gave.
pub static POISONED: Kind = Kind::new(
    19001,
    "llmnr.poisoned",
    Class::Exploit,
    Severity::High,
    "Answer for a name that does not exist",
)
.compat(&[Compat::field("query_hostname", "query_hostname"), Compat::field("response", "response")]);
/// A datagram that answers no question of ours: field `why`.
pub static UNASKED: Kind =
    Kind::new(31700, "llmnr.unasked", Class::Probe, Severity::Low, "Answer that nobody asked for");

/// Ports of the name service of NetBIOS (RFC 1002, section 6) and of multicast DNS (RFC 6762, section 3).
const NETBIOS_PORT: u16 = 137;
const MDNS_PORT: u16 = 5353;
/// Questions that are remembered: those of some minutes. Later answers are unasked.
const REMEMBERED: usize = 128;
/// Sources that are remembered of one question. Those beyond are reported each time that they answer.
const SOURCES: usize = 32;
/// Addresses that are recorded of one answer.
const ADDRESSES: usize = 16;
/// Bytes that are recorded of what answers nothing.
const EXCERPT: usize = 128;
/// The shortest time between two questions.
const SHORTEST: Duration = Duration::from_millis(100);

/// The sensor.
#[derive(Debug)]
pub struct Llmnr {
    /// One question for each way to ask, without a name yet.
    ways: Vec<(Protocol, Destination, u16)>,
    network: Network,
    hostname: String,
    others: Vec<String>,
    made_up: bool,
    interval: Duration,
    splay: Duration,
    /// Of `others`, the next.
    turn: usize,
    /// What is left of the interval once the other name was asked for.
    rest: Option<Duration>,
    asked: VecDeque<Asked>,
}

/// A question that was asked.
#[derive(Debug)]
struct Asked {
    id: u16,
    question: Question,
    answered: Vec<IpAddr>,
}

impl Asked {
    /// An answer of multicast DNS to the group has no number (RFC 6762, section 18.1).
    fn fits(&self, answer: &Answer) -> Option<Fit> {
        let unnumbered = self.question.protocol == Protocol::Mdns && answer.id == 0;
        (self.id == answer.id || unnumbered).then(|| self.question.fits(answer)).flatten()
    }
}

impl Sensor for Llmnr {
    const NAME: &'static str = "llmnr";
    const KINDS: &'static [&'static Kind] = &[&POISONED, &UNASKED];
    /// It speaks by itself: whoever wants that says so.
    const ON: bool = false;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let port = section.port("port", 5355, "The port that LLMNR is asked on.");
        let interval = section.duration(
            "query_interval",
            Duration::from_secs(60),
            "How often `hostname` is asked for. Between two of these, another name is.",
        );
        let splay = section.duration(
            "query_splay",
            Duration::from_secs(5),
            "By how much that time is longer or shorter at most, by chance.",
        );
        let hostname = section.text("hostname", "DC03", "A name that must not exist on this network.");
        let others = section.list("names", &["WPAD"], "More of them, asked for in turn. None may exist.");
        let made_up = section.flag(
            "random_names",
            true,
            "Whether names are made up, too, such as FILESRV71 or DESKTOP-4Q7K2ZD.",
        );
        let netbios =
            section.flag("nbtns", false, "Whether the name service of NetBIOS is asked, too (port 137).");
        let mdns = section.flag("mdns", false, "Whether multicast DNS is asked, too (port 5353).");
        let ipv6 = section.flag("ipv6", true, "Whether it asks over IPv6, too.");
        let interfaces = section.list(
            "interfaces",
            &[],
            "The network interfaces that it asks on, as in [\"eth0\"]; none named: all but loopback.",
        );
        if interval.is_zero() {
            section.invalid("query_interval", "expected a time longer than 0");
        }
        for (key, names) in [("hostname", std::slice::from_ref(&hostname)), ("names", others.as_slice())] {
            if !names.iter().all(|name| possible(name)) {
                let expected =
                    "expected a name of letters, digits, `-`, `_` and dots, labels of up to 63 characters";
                section.invalid(key, expected);
            }
            if names.iter().any(|name| name.eq_ignore_ascii_case(&host.name)) {
                section.invalid(key, "expected a name that nobody has, not the name of this machine");
            }
        }
        let ways = ways(port, netbios, mdns, ipv6);
        let heard = |way: &(Protocol, Destination, u16)| match *way {
            (Protocol::Mdns, Destination::Group(group), wire::A) => Some(group),
            _ => None,
        };
        let groups = ways.iter().filter_map(heard).collect();
        Self {
            ways,
            network: Network { interfaces, groups },
            hostname,
            others,
            made_up,
            interval,
            splay,
            turn: 0,
            rest: None,
            asked: VecDeque::new(),
        }
    }

    fn feeds(&self) -> Vec<Feed> {
        vec![Feed::Network(self.network.clone())]
    }

    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>) {
        match arrival {
            // Not at once: interfaces may be about to come up, and starts of many canaries at one time are no secret
            // to whoever listens.
            Arrival::Started => {
                let first = chosen(self.splay.min(self.interval), watch);
                watch.wake(first.max(SHORTEST));
            }
            Arrival::Woken => self.wake(watch),
            Arrival::Datagram(datagram) => self.hear(&datagram, watch),
            Arrival::Line(_) | Arrival::Packet(_) => {}
        }
    }
}

/// Every way to ask: LLMNR and multicast DNS for both kinds of address over both families, NetBIOS in its one way.
fn ways(port: u16, netbios: bool, mdns: bool, ipv6: bool) -> Vec<(Protocol, Destination, u16)> {
    let mut ways = Vec::new();
    for (protocol, port, on) in [(Protocol::Llmnr, port, true), (Protocol::Mdns, MDNS_PORT, mdns)] {
        for family in [false, true].into_iter().filter(|family| on && (ipv6 || !family)) {
            let group = wire::group(protocol, family, port).map(Destination::Group);
            ways.extend(
                group.into_iter().flat_map(|to| [(protocol, to, wire::A), (protocol, to, wire::AAAA)]),
            );
        }
    }
    if netbios {
        ways.push((Protocol::Netbios, Destination::Everybody(NETBIOS_PORT), wire::NB));
    }
    ways
}

/// Whether a question for it can be written.
fn possible(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.len() <= 240
        && name.split('.').all(|label| (1..=63).contains(&label.len()) && label.chars().all(letter))
}

impl Llmnr {
    fn wake(&mut self, watch: &mut Watch<'_>) {
        if let Some(rest) = self.rest.take() {
            let other = self.other(watch);
            self.ask(&other, watch);
            return watch.wake(rest);
        }
        self.ask(&self.hostname.clone(), watch);
        let span = self.splay.saturating_mul(2);
        let whole =
            self.interval.saturating_add(chosen(span, watch)).saturating_sub(self.splay).max(SHORTEST);
        if self.others.is_empty() && !self.made_up {
            return watch.wake(whole);
        }
        let first = chosen(whole, watch);
        self.rest = Some(whole.saturating_sub(first).max(SHORTEST));
        watch.wake(first.max(SHORTEST));
    }

    /// The other name: those of the list and made-up ones by turns.
    fn other(&mut self, watch: &mut Watch<'_>) -> String {
        let turn = self.turn;
        self.turn = turn.wrapping_add(1);
        let listed = match self.made_up {
            true if turn.is_multiple_of(2) => None,
            true => {
                self.others.iter().cycle().nth((turn >> 1).checked_rem(self.others.len()).unwrap_or_default())
            }
            false => self.others.get(turn.checked_rem(self.others.len()).unwrap_or_default()),
        };
        listed.cloned().unwrap_or_else(|| names::plausible(&self.hostname, &mut Random(watch)))
    }

    fn ask(&mut self, name: &str, watch: &mut Watch<'_>) {
        for (protocol, to, kind) in self.ways.clone() {
            let question = Question { protocol, to, name: name.to_owned(), kind };
            let id = self.number(watch);
            watch.send(to, question.encode(id));
            if self.asked.len() >= REMEMBERED {
                self.asked.pop_front();
            }
            self.asked.push_back(Asked { id, question, answered: Vec::new() });
        }
    }

    /// A number that no remembered question has. 0 says that there is none.
    fn number(&self, watch: &mut Watch<'_>) -> u16 {
        let mut bytes = [0; 2];
        watch.fill(&mut bytes);
        let mut id = u16::from_be_bytes(bytes);
        while id == 0 || self.asked.iter().any(|asked| asked.id == id) {
            id = id.wrapping_add(1);
        }
        id
    }

    /// The question that it fits best; of several, the latest.
    fn question_of(&mut self, answer: &Answer) -> Option<&mut Asked> {
        let fits = self.asked.iter_mut().filter_map(|asked| Some((asked.fits(answer)?, asked)));
        fits.max_by_key(|(fit, _)| *fit).map(|(_, asked)| asked)
    }

    fn hear(&mut self, datagram: &Datagram<'_>, watch: &mut Watch<'_>) {
        let peer = Some(Peer::new(datagram.from, datagram.to, Transport::Udp));
        let unasked = |why: &'static str| {
            let excerpt = datagram.bytes.get(..EXCERPT).unwrap_or(datagram.bytes);
            seen(&UNASKED, datagram).with("why", why).with("excerpt", excerpt)
        };
        let found = match wire::read(datagram.bytes) {
            Ok(answer) if !answer.responds() => Err("it is no response"),
            Ok(answer) if answer.rcode() != 0 => Err("it says that there is an error"),
            Ok(answer) => match self.question_of(&answer) {
                Some(asked) => Ok((answer, asked)),
                None => Err("it fits no question"),
            },
            Err(_) => Err("it is malformed"),
        };
        match found {
            Ok((answer, asked)) => {
                let source = datagram.from.ip();
                if asked.answered.contains(&source) {
                    return;
                }
                if asked.answered.len() < SOURCES {
                    asked.answered.push(source);
                }
                watch.report(peer, poisoned(&answer, &asked.question, datagram));
            }
            // Groups are full of what others ask and answer.
            Err(_) if datagram.to.ip().is_multicast() => {}
            Err(why) => watch.report(peer, unasked(why)),
        }
    }
}

/// What is known of the sender of any datagram.
fn seen(kind: &'static Kind, datagram: &Datagram<'_>) -> Sighting {
    let mac =
        datagram.mac.map(|[a, b, c, d, e, f]| format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"));
    Sighting::of(kind).with("interface", datagram.interface).with("mac", mac)
}

fn poisoned(answer: &Answer, question: &Question, datagram: &Datagram<'_>) -> Sighting {
    let mut responses: Vec<Value> = Vec::new();
    let mut sighting = seen(&POISONED, datagram)
        .with("query_hostname", question.name.as_str())
        .with("query_type", wire::type_name(question.kind))
        .with("protocol", question.protocol.name())
        .with("flags", answer.flags)
        .with("rcode", answer.rcode())
        .with("ttl", answer.records.first().map(|record| Value::from(record.ttl)))
        .with("group", datagram.to.ip().is_multicast());
    for record in &answer.records {
        match &record.data {
            Data::Address(ip) => responses.push(ip.to_string().into()),
            Data::Netbios(flags, addresses) => {
                responses.extend(addresses.iter().map(|ip| Value::from(ip.to_string())));
                sighting = sighting.with("netbios_flags", *flags);
            }
            Data::Name(name) => responses.push(name.as_slice().into()),
            Data::Other(bytes) => {
                let hex: String = bytes.iter().take(EXCERPT).map(|byte| format!("{byte:02x}")).collect();
                responses.push(format!("{} {hex}", wire::type_name(record.kind)).into());
            }
        }
    }
    responses.truncate(ADDRESSES);
    let first = responses.first().cloned().unwrap_or(Value::Null);
    if responses.len() > 1 {
        sighting = sighting.with("responses", responses);
    }
    sighting.with("response", first)
}

/// A time from 0 to that, by chance.
fn chosen(most: Duration, watch: &mut Watch<'_>) -> Duration {
    let mut bytes = [0; 4];
    watch.fill(&mut bytes);
    // A fraction of 2³² of it.
    let part = most.as_nanos().saturating_mul(u32::from_be_bytes(bytes).into()) >> 32;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX))
}

/// Chance, as a sensor has it.
struct Random<'a, 'w>(&'a mut Watch<'w>);

impl Chance for Random<'_, '_> {
    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        let number = usize::try_from(u64::from_be_bytes(bytes) >> 16).unwrap_or_default();
        number.checked_rem(bound).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
