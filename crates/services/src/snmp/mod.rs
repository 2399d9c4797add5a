//! An SNMP agent: Net-SNMP as Debian sets it up, which shows the system group to `public` and nothing to others.
//!
//! Reports each message once: `snmp.request` for v1 and v2c, with the community as credential, what was asked and
//! what was to be set; `snmp.login` for v3 with a user name, the digest as a line for hashcat and john;
//! `snmp.discovery` for v3 without one. Tools that give themselves away are named. The community is a credential and
//! so the class is that of logins; `public` alone is of low severity, since much that is harmless asks with it.
//!
//! Answers to known communities are those of Net-SNMP 5.9.3, recorded; others meet silence, as there. Users of v3
//! that the agent pretends to know ([`usm`]) fail by their digest, others by their name. No answer is more than twice
//! the request: what would be is `tooBig` (RFC 3416, section 4.2.1), so values should be short.
//!
//! Read [`message`] for the grammar, [`agent`] for what is answered, [`mib`] for the values.

pub mod agent;
pub mod clock;
pub mod evidence;
pub mod message;
pub mod mib;
pub mod usm;

use std::time::SystemTime;

use haldane_core::{Class, Compat, Cx, Datagrams, Halt, Host, Input, Kind, Part, Section, Severity};
use haldane_wire::ber::Oid;

use clock::Clock;
use message::{Community, Message, V1, V2C, with_community};
use mib::{Mib, Moment, System};
use usm::Usm;

/// A message of v1 or v2c.
pub static REQUEST: Kind = Kind::new(13001, "snmp.request", Class::Login, Severity::Low, "SNMP request")
    .compat(&[
        Compat::field("REQUESTS", "requests"),
        Compat { key: "COMMUNITY_STRING", part: Part::Secret, ..Compat::PASSWORD },
    ]);
/// A message of v3 that names a user.
pub static LOGIN: Kind = Kind::new(31400, "snmp.login", Class::Login, Severity::High, "SNMPv3 login");
/// A message of v3 that does not.
pub static DISCOVERY: Kind =
    Kind::new(31401, "snmp.discovery", Class::Probe, Severity::Low, "SNMPv3 discovery");

/// Answers have at most so many times the bytes of their requests: what the framework lets out.
const GROWTH: usize = 2;

/// The service.
#[derive(Debug)]
pub struct Snmp {
    communities: Vec<String>,
    mib: Mib,
    usm: Usm,
    clock: Clock,
}

impl Datagrams for Snmp {
    const NAME: &'static str = "snmp";
    const PORT: u16 = 161;
    const KINDS: &'static [&'static Kind] = &[&REQUEST, &LOGIN, &DISCOVERY];
    const TRY: &'static str = "snmpget -v2c -c public {host}:{port} 1.3.6.1.2.1.1.1.0";

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let communities = section.list(
            "communities",
            &["public"],
            "Communities that may read. Any other meets silence. All are recorded.",
        );
        let users = section.list(
            "users",
            &["admin"],
            "Users of version 3 that the agent pretends to have. No password is theirs. All are recorded.",
        );
        let mib = Mib::new(&system(section, host));
        let kept = kept(section, host);
        let clock = clock(section, kept);
        Self { communities, mib, usm: Usm::new(engine(section, kept, clock), users), clock }
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let bytes = datagram.rest();
        let answer = match message::read(datagram)? {
            Message::Community(asked) => {
                let known = self.communities.iter().any(|known| known.as_bytes() == asked.community);
                cx.report(evidence::request(&asked, known));
                if known { self.answer_community(&asked, bytes.len(), cx.now()) } else { None }
            }
            Message::Secured(asked) => {
                cx.report(evidence::secured(&asked, bytes, self.usm.knows(&asked.user)));
                let (boots, up) = self.clock.at(cx.now());
                self.usm.answer(&asked, (boots, i64::try_from(up.as_secs()).unwrap_or_default()))
            }
        };
        // Version 3 has no smaller answer in its place.
        if let Some(answer) = answer.filter(|answer| answer.len() <= bytes.len().saturating_mul(GROWTH)) {
            cx.reply(answer);
        }
        Ok(())
    }
}

impl Snmp {
    fn answer_community(&self, asked: &Community, length: usize, now: SystemTime) -> Option<Vec<u8>> {
        let pdu = asked.pdu.as_ref().ok()?;
        if !matches!(asked.version, V1 | V2C) {
            return None;
        }
        let moment = Moment { now, up: self.clock.at(now).1 };
        let write = |pdu: &message::Pdu| with_community(asked.version, &asked.community, pdu);
        agent::answer(&self.mib, (asked.version, pdu), moment, length.saturating_mul(GROWTH), write)
    }
}

/// Longest value of the system group (RFC 3418, section 2: DisplayString of 255).
const LONGEST: usize = 255;

fn system(section: &mut Section<'_>, host: &Host) -> System {
    let name = section.optional("sys_name", "sysName. Left out, the name in `host`.");
    let name = name.unwrap_or_else(|| host.name.clone());
    let descr = section.optional(
        "sys_descr",
        "sysDescr, as in \"Linux files01 6.1.0-37-amd64\" (what is sent if it is left out, with the name of this \
         machine). Of up to 35 characters; longer ones are answered with tooBig, since no answer may be more than \
         twice the request. The same goes for contact and location.",
    );
    let descr = descr.unwrap_or_else(|| format!("Linux {name} 6.1.0-37-amd64"));
    let contact = section.text("sys_contact", "Me <me@example.org>", "sysContact; the default is Debian's.");
    let location = section.text(
        "sys_location",
        "Sitting on the Dock of the Bay",
        "sysLocation; the default is Debian's.",
    );
    for (key, value) in
        [("sys_name", &name), ("sys_descr", &descr), ("sys_contact", &contact), ("sys_location", &location)]
    {
        if value.len() > LONGEST {
            section.invalid(key, "expected at most 255 characters");
        }
    }
    let object_id = section.text(
        "sys_object_id",
        "1.3.6.1.4.1.8072.3.2.10",
        "sysObjectID: the product by its number; the default is Net-SNMP's on Linux.",
    );
    let object_id = Oid::parse(&object_id).unwrap_or_else(|| {
        section.invalid("sys_object_id", "expected an object identifier such as \"1.3.6.1.4.1.9.1.1\"");
        Oid::of(&[0])
    });
    let about = "sysServices: the sum of 2 to the power of each layer less one that is served.";
    let services = section.number("sys_services", 72, 0..=127, about);
    let services = i64::try_from(services).unwrap_or_default();
    System { descr, object_id, contact, name, location, services }
}

/// Random numbers that the agent keeps: for its engine, its first start, the time between two.
fn kept(section: &mut Section<'_>, host: &Host) -> [u32; 3] {
    let mut make = || {
        let mut bytes = vec![0; 12];
        openssl::rand::rand_bytes(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    let kept = host.keep.keep(None, "snmp-engine", &mut make).and_then(|kept| {
        let damaged = || "the state file snmp-engine is damaged: remove it".to_owned();
        let (numbers, rest) = kept.as_chunks::<4>();
        let numbers = <[_; 3]>::try_from(numbers).ok().filter(|_| rest.is_empty());
        numbers.map(|numbers| numbers.map(u32::from_be_bytes)).ok_or_else(damaged)
    });
    kept.unwrap_or_else(|why| {
        section.invalid("engine_id", why);
        [0; 3]
    })
}

fn clock(section: &mut Section<'_>, [_, installed, period]: [u32; 3]) -> Clock {
    let since = section.optional(
        "up_since",
        "Since when the agent has been up, as in \"2026-03-01T04:12:00Z\". Left out, it tells a time of its own, which \
         goes on when this program starts anew, and begins anew every few weeks.",
    );
    let Some(since) = since else { return Clock::of(installed, period) };
    match since.parse::<jiff::Timestamp>().and_then(SystemTime::try_from) {
        Ok(instant) => Clock::since(instant),
        Err(_) => {
            section.invalid("up_since", "expected a time such as \"2026-03-01T04:12:00Z\"");
            Clock::of(installed, period)
        }
    }
}

/// Lengths of an engine's id (RFC 3411, section 5).
const ENGINE: std::ops::RangeInclusive<usize> = 5..=32;

fn engine(section: &mut Section<'_>, [random, ..]: [u32; 3], clock: Clock) -> Vec<u8> {
    let configured = section.optional(
        "engine_id",
        "The id of the engine of version 3, in hex, 5 to 32 bytes. Left out, one in Net-SNMP's form is made and kept.",
    );
    // Net-SNMP's number, its own format: random, and the time of its first start as Linux keeps it.
    let own = || {
        let head = [0x80, 0, 0x1f, 0x88, 0x80];
        [&head[..], &random.to_be_bytes(), &clock.installed().to_le_bytes()].concat()
    };
    let Some(text) = configured else { return own() };
    let digits: Vec<_> = text.bytes().map(|digit| char::from(digit).to_digit(16)).collect();
    let bytes: Option<Vec<u8>> = digits
        .chunks(2)
        .map(|pair| match pair {
            [Some(high), Some(low)] => u8::try_from((high << 4) | low).ok(),
            _ => None,
        })
        .collect();
    bytes.filter(|bytes| ENGINE.contains(&bytes.len())).unwrap_or_else(|| {
        section.invalid("engine_id", "expected 5 to 32 bytes in hex");
        own()
    })
}
