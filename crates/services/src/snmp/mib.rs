//! What the agent has to tell: the system group (RFC 3418, section 2) and hrSystem of the host (RFC 2790, section 2),
//! which is the view that Debian's configuration gives to `public`.
//!
//! Values that would need the machine are made up, and follow the clock.

use std::time::{Duration, SystemTime};

use haldane_wire::ber::{INTEGER, Oid};
use jiff::{Timestamp, tz::TimeZone};

use super::message::{Binding, END_OF_MIB, GAUGE, NO_INSTANCE, NO_OBJECT, TICKS, Value};

/// `1.3.6.1.2.1`.
const MIB_2: [u32; 5] = [43, 6, 1, 2, 1];
const SYSTEM: u32 = 1;
const HOST: u32 = 25;

/// The modules that the agent implements (sysORTable): those of Net-SNMP whose descriptions fit an answer of twice the
/// request.
const MODULES: [(&str, &str); 3] = [
    ("1.3.6.1.6.3.10.3.1.1", "The SNMP Management Architecture MIB."),
    ("1.3.6.1.6.3.1", "The MIB module for SNMPv2 entities"),
    ("1.3.6.1.6.3.16.2.2.1", "View-based Access Control Model for SNMP."),
];

/// The system group as configured.
#[derive(Debug)]
pub struct System {
    /// sysDescr.
    pub descr: String,
    /// sysObjectID.
    pub object_id: Oid,
    /// sysContact.
    pub contact: String,
    /// sysName.
    pub name: String,
    /// sysLocation.
    pub location: String,
    /// sysServices.
    pub services: i64,
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    Fixed(Value),
    /// Ticks since the agent started.
    Uptime,
    /// Ticks since the machine did, a little earlier.
    HostUptime,
    /// Date and time (RFC 2579, DateAndTime).
    Date,
    /// How many processes run.
    Processes,
}

/// All objects, in the order of their names.
#[derive(Debug)]
pub struct Mib {
    objects: Vec<(Oid, Source)>,
}

/// When it is, for the agent.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// By the clock.
    pub now: SystemTime,
    /// Since the agent started.
    pub up: Duration,
}

impl Mib {
    /// The objects of that system.
    pub fn new(system: &System) -> Self {
        let text = |text: &str| Source::Fixed(Value::octets(text));
        let number = |tag, number: i64| Source::Fixed(Value::number(tag, number));
        let mut objects = Vec::new();
        let mut add = |group: u32, rest: &[u32], source| {
            objects.push((Oid::of(&[&MIB_2, &[group][..], rest].concat()), source));
        };
        add(SYSTEM, &[1, 0], text(&system.descr));
        add(SYSTEM, &[2, 0], Source::Fixed(Value::oid(&system.object_id)));
        add(SYSTEM, &[3, 0], Source::Uptime);
        add(SYSTEM, &[4, 0], text(&system.contact));
        add(SYSTEM, &[5, 0], text(&system.name));
        add(SYSTEM, &[6, 0], text(&system.location));
        add(SYSTEM, &[7, 0], number(INTEGER, system.services));
        add(SYSTEM, &[8, 0], number(TICKS, 0));
        for (row, (id, about)) in (1..).zip(MODULES) {
            let id = Oid::parse(id).map_or(Value::NULL, |id| Value::oid(&id));
            add(SYSTEM, &[9, 1, 2, row], Source::Fixed(id));
            add(SYSTEM, &[9, 1, 3, row], text(about));
            // There since the agent's first tick.
            add(SYSTEM, &[9, 1, 4, row], number(TICKS, 0));
        }
        add(HOST, &[1, 1, 0], Source::HostUptime);
        add(HOST, &[1, 2, 0], Source::Date);
        // The number of the disk that Net-SNMP gives on Linux.
        add(HOST, &[1, 3, 0], number(INTEGER, 393_216));
        add(HOST, &[1, 4, 0], text("BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro\n"));
        add(HOST, &[1, 5, 0], number(GAUGE, 0));
        add(HOST, &[1, 6, 0], Source::Processes);
        add(HOST, &[1, 7, 0], number(INTEGER, 0));
        objects.sort_by(|(left, _), (right, _)| left.cmp(right));
        Self { objects }
    }

    /// The value of that name, or why there is none (RFC 3416, section 4.2.1).
    pub fn get(&self, name: &Oid, moment: Moment) -> Value {
        if let Ok(at) = self.objects.binary_search_by(|(each, _)| each.cmp(name)) {
            return self.objects.get(at).map_or(Value::NULL, |(_, source)| source.value(moment));
        }
        // Every instance has one number here, behind the name of its object.
        let known = self.objects.iter().any(|(each, _)| {
            each.numbers().split_last().is_some_and(|(_, object)| name.numbers().starts_with(object))
        });
        Value::empty(if known { NO_INSTANCE } else { NO_OBJECT })
    }

    /// The variable after that name; the same name without a value at the end.
    pub fn next(&self, name: &Oid, moment: Moment) -> Binding {
        let at = self.objects.partition_point(|(each, _)| each <= name);
        match self.objects.get(at) {
            Some((name, source)) => Binding { name: name.clone(), value: source.value(moment) },
            None => Binding { name: name.clone(), value: Value::empty(END_OF_MIB) },
        }
    }
}

impl Source {
    fn value(&self, moment: Moment) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Uptime => ticks(moment.up),
            Self::HostUptime => ticks(moment.up.saturating_add(Duration::from_millis(14_730))),
            Self::Date => date(moment.now),
            Self::Processes => {
                let tenths = moment.up.as_secs().checked_div(600).unwrap_or_default();
                let some = tenths.wrapping_mul(0x9e37_79b9).checked_rem(7).unwrap_or_default();
                Value::number(GAUGE, i64::try_from(some).unwrap_or_default().saturating_add(103))
            }
        }
    }
}

/// Hundredths of a second, in 32 bits: they begin anew after 497 days.
fn ticks(up: Duration) -> Value {
    let hundredths = up.as_millis().checked_div(10).unwrap_or_default() & u128::from(u32::MAX);
    Value::number(TICKS, i64::try_from(hundredths).unwrap_or_default())
}

fn date(now: SystemTime) -> Value {
    let Ok(now) = Timestamp::try_from(now) else { return Value::octets([]) };
    let now = now.to_zoned_datetime(TimeZone::UTC);
    let [high, low] = now.year().to_be_bytes();
    let parts = [now.month(), now.day(), now.hour(), now.minute(), now.second()];
    let parts = parts.into_iter().map(|part| u8::try_from(part).unwrap_or_default());
    let mut bytes = vec![high, low];
    bytes.extend(parts);
    bytes.extend_from_slice(b"\0+\0\0");
    Value::octets(bytes)
}
