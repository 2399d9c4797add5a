//! Lines that the kernel logs because of rules that somebody else set, with the peer's prefixes:
//! `Nov 24 10:00:00 host kernel: [1.2] canaryfw: IN=eth0 OUT= MAC=… SRC=… DST=… LEN=60 … PROTO=TCP SPT=… DPT=… SYN URGP=0`.
//!
//! Anybody who may write to the log may write such a line, and lines are torn: whatever is missing is missing, and
//! only a line without a readable source is none.

use std::net::IpAddr;

use haldane_core::Fields;

use super::technique::Technique;

/// Fields that are kept of a line. The kernel's own have fewer than thirty.
const MOST: usize = 64;
/// The longest name of a field, in bytes.
const NAME: usize = 32;

/// The prefixes of the peer's rules.
const PREFIXES: [(&str, Technique); 5] = [
    ("canaryfw: ", Technique::Syn),
    ("canarynmapNULL: ", Technique::Null),
    ("canarynmapXMAS: ", Technique::Xmas),
    ("canarynmapFIN: ", Technique::Fin),
    ("canarynmap: ", Technique::Os),
];

/// What a line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) technique: Technique,
    pub(super) source: IpAddr,
    pub(super) destination: Option<IpAddr>,
    /// 0 if it is missing.
    pub(super) source_port: u16,
    /// 0 if it is missing.
    pub(super) port: u16,
    /// The other fields.
    pub(super) facts: Fields,
}

/// Reads a line; `None` if it is about something else.
pub(super) fn read(line: &[u8]) -> Option<Logged> {
    let line = String::from_utf8_lossy(line);
    let found = PREFIXES.iter().filter_map(|(prefix, technique)| {
        let at = line.find(prefix)?;
        Some((at, line.get(at..)?.strip_prefix(prefix)?, *technique))
    });
    // The first one: what follows it may hold anything.
    let (_, rest, technique) = found.min_by_key(|(at, ..)| *at)?;
    let (mut source, mut destination) = (None, None);
    let (mut source_port, mut port) = (None, None);
    let mut facts = Fields::new();
    for word in rest.split_ascii_whitespace().take_while(|word| !word.starts_with('[')) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "SRC" => source = source.or_else(|| value.parse().ok()),
            "DST" => destination = destination.or_else(|| value.parse().ok()),
            "SPT" => source_port = source_port.or_else(|| value.parse().ok()),
            "DPT" => port = port.or_else(|| value.parse().ok()),
            _ if plain(name) && facts.len() < MOST => {
                facts.entry(name.to_ascii_lowercase().into()).or_insert_with(|| value.into());
            }
            _ => {}
        }
    }
    let (source_port, port) = (source_port.unwrap_or_default(), port.unwrap_or_default());
    Some(Logged { technique, source: source?, destination, source_port, port, facts })
}

/// Whether it may be the name of a field.
fn plain(name: &str) -> bool {
    (1..=NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
