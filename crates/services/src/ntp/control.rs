//! Control messages (mode 6): RFC 9327.

use std::time::SystemTime;

use haldane_core::{Halt, Input};

use super::time::{Clock, PRECISION, timestamp};

/// Octets of the header (RFC 9327, section 2).
const HEADER: usize = 12;
/// Our response, and that it is an error (RFC 9327, figure 1).
const RESPONSE: u8 = 0x80;
const ERROR: u8 = 0x40;
/// Status words: synchronised by NTP, one event, of the kind "clock synchronised" (RFC 9327, section 3.1).
const STATUS: u16 = 0x0615;

/// Operations (RFC 9327, section 2, and ntpd's `ntp_control.h` for those from 8 on), with whether anybody may.
const OPERATIONS: [(u8, &str, bool); 15] = [
    (0, "unspecified", false),
    (1, "readstat", true),
    (2, "readvar", true),
    (3, "writevar", false),
    (4, "readclock", true),
    (5, "writeclock", false),
    (6, "settrap", false),
    (7, "asyncmsg", false),
    (8, "configure", false),
    (9, "saveconfig", false),
    (10, "read_mru", false),
    (11, "read_ordlist_a", false),
    (12, "req_nonce", false),
    (13, "unspecified", false),
    (31, "unsettrap", false),
];

/// Why an operation is refused (RFC 9327, section 3.4).
const NO_PERMISSION: u8 = 1;
const NO_OPERATION: u8 = 3;
const NO_ASSOCIATION: u8 = 4;
const NO_VARIABLE: u8 = 5;
/// The status of a server that is followed: configured, reachable, selected, one event, it was found (section 3.2).
const FOLLOWED: u16 = 0x961a;

/// What it says of itself.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) version: String,
    pub(super) system: String,
}

impl Variables {
    /// All of them, in ntpd's order.
    fn all(&self, clock: &Clock, now: SystemTime) -> Vec<(&'static str, String)> {
        let [a, b, c, d] = clock.reference;
        let hex = |time| {
            let [a, b, c, d, e, f, g, h] = timestamp(time);
            format!("0x{a:02x}{b:02x}{c:02x}{d:02x}.{e:02x}{f:02x}{g:02x}{h:02x}")
        };
        let millis = |micros: u64| format!("{}.{:03}", micros / 1000, micros % 1000);
        vec![
            ("version", format!("\"{}\"", self.version)),
            ("processor", "\"x86_64\"".to_owned()),
            ("system", format!("\"{}\"", self.system)),
            ("leap", "0".to_owned()),
            ("stratum", clock.stratum.to_string()),
            ("precision", PRECISION.to_string()),
            ("rootdelay", millis(clock.delay())),
            ("rootdisp", millis(clock.dispersion(now))),
            ("refid", format!("{a}.{b}.{c}.{d}")),
            ("reftime", hex(clock.reference_time(now))),
            ("clock", hex(now)),
            ("peer", clock.association().to_string()),
            ("tc", "10".to_owned()),
            ("mintc", "3".to_owned()),
        ]
    }

    /// Those of the server that it follows.
    fn of_upstream(clock: &Clock) -> Vec<(&'static str, String)> {
        let [a, b, c, d] = clock.reference;
        let delay = clock.delay();
        let above = clock.stratum.saturating_sub(1).max(1);
        let words = [
            ("srcadr", format!("{a}.{b}.{c}.{d}")),
            ("srcport", "123".to_owned()),
            ("leap", "0".to_owned()),
            ("stratum", above.to_string()),
            ("precision", "-20".to_owned()),
            ("refid", "GPS".to_owned()),
            ("reach", "0xff".to_owned()),
            ("hmode", "3".to_owned()),
            ("pmode", "4".to_owned()),
            ("hpoll", "10".to_owned()),
            ("ppoll", "10".to_owned()),
            ("delay", format!("{}.{:03}", delay / 1000, delay % 1000)),
        ];
        words.into()
    }
}

/// A request.
#[derive(Debug)]
pub(super) struct Request<'a> {
    first: u8,
    code: u8,
    sequence: [u8; 2],
    pub(super) association: u16,
    pub(super) data: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads one. What follows its data (padding, authentication) is passed over.
    pub(super) fn parse(input: &mut Input<'a>) -> Result<Self, Halt> {
        let [first, code] = input.array()?;
        let sequence = input.array()?;
        let _status = input.u16()?;
        let association = input.u16()?;
        let _offset = input.u16()?;
        let count = usize::from(input.u16()?);
        if code & (RESPONSE | ERROR) != 0 {
            return Err(Halt::Malformed("a response"));
        }
        Ok(Self { first, code: code & 0x1f, sequence, association, data: input.take(count)? })
    }

    /// What it is called.
    pub(super) fn operation(&self) -> &'static str {
        self.known().map_or("unknown", |(_, name, _)| name)
    }

    fn known(&self) -> Option<(u8, &'static str, bool)> {
        OPERATIONS.iter().find(|(code, ..)| *code == self.code).copied()
    }

    /// The answer, in at most that many bytes: variables that do not fit are left out.
    pub(super) fn answer(
        &self,
        variables: &Variables,
        clock: &Clock,
        now: SystemTime,
        room: usize,
    ) -> Vec<u8> {
        let own = self.association == 0;
        match self.known() {
            None => self.refusal(NO_OPERATION),
            Some((.., false)) => self.refusal(NO_PERMISSION),
            Some(_) if !own && self.association != clock.association() => self.refusal(NO_ASSOCIATION),
            Some((1, ..)) if own => {
                let [a, b] = clock.association().to_be_bytes();
                let [c, d] = FOLLOWED.to_be_bytes();
                self.response(0, STATUS, &[a, b, c, d])
            }
            Some((2, ..)) => {
                let all = if own { variables.all(clock, now) } else { Variables::of_upstream(clock) };
                let status = if own { STATUS } else { FOLLOWED };
                // Whole words, after padding.
                let room = room.saturating_sub(HEADER) & !3;
                match listed(&all, &names(self.data), room) {
                    Some(text) => self.response(0, status, text.as_bytes()),
                    None => self.refusal(NO_VARIABLE),
                }
            }
            Some(_) => self.response(0, STATUS, &[]),
        }
    }

    fn refusal(&self, why: u8) -> Vec<u8> {
        self.response(ERROR, u16::from_be_bytes([why, 0]), &[])
    }

    /// Padded to whole words, as ntpd does.
    fn response(&self, flag: u8, status: u16, data: &[u8]) -> Vec<u8> {
        let version = self.first & 0x38;
        let mut bytes = vec![version | 6, RESPONSE | flag | self.code];
        bytes.extend(self.sequence);
        bytes.extend(status.to_be_bytes());
        bytes.extend(self.association.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }
}

/// Those that were asked for, or all; `None`: there is no such variable.
fn listed(all: &[(&'static str, String)], asked: &[&[u8]], room: usize) -> Option<String> {
    let is = |name: &str| asked.contains(&name.as_bytes());
    if asked.iter().any(|asked| !all.iter().any(|(name, _)| *asked == name.as_bytes())) {
        return None;
    }
    let mut text = String::new();
    for (name, value) in all.iter().filter(|(name, _)| asked.is_empty() || is(name)) {
        let separator = if text.is_empty() { "" } else { ", " };
        let variable = format!("{separator}{name}={value}");
        // And the end of the line.
        if text.len().saturating_add(variable.len()).saturating_add(2) <= room {
            text.push_str(&variable);
        }
    }
    if !text.is_empty() {
        text.push_str("\r\n");
    }
    Some(text)
}

/// The names in a request's data: separated by commas, perhaps with values.
fn names(data: &[u8]) -> Vec<&[u8]> {
    let name = |part: &'_ [u8]| part.split(|&byte| byte == b'=').next().map(<[u8]>::len).unwrap_or_default();
    data.split(|&byte| byte == b',')
        .map(|part| part.get(..name(part)).unwrap_or(part).trim_ascii())
        .map(|name| name.strip_suffix(b"\0").unwrap_or(name))
        .filter(|name| !name.is_empty())
        .collect()
}
