//! A set of ports that is small while it has few, and bounded when it has all.

use std::fmt::Write;

/// Ports that are kept one by one.
const FEW: usize = 128;
/// The longest list that is written, in bytes; what is left out is counted at its end.
const LIST: usize = 2048;

/// A set of ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ports {
    /// In order.
    Few(Vec<u16>),
    /// One bit for each: 8 KiB.
    Many(Box<[u64; 1024]>),
}

impl Default for Ports {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Ports {
    pub(super) fn contains(&self, port: u16) -> bool {
        match self {
            Self::Few(ports) => ports.binary_search(&port).is_ok(),
            Self::Many(bits) => bits.get(word(port)).is_some_and(|word| word & bit(port) != 0),
        }
    }

    /// Adds one; whether it is new. Beyond [`FEW`] it takes 8 KiB: only if `room` says that there are so many left
    /// is that taken, and told by making `room` smaller; else the port is not kept.
    pub(super) fn insert(&mut self, port: u16, room: &mut usize) -> bool {
        if let Self::Few(ports) = self {
            let Err(at) = ports.binary_search(&port) else { return false };
            if ports.len() < FEW {
                ports.insert(at, port);
                return true;
            }
            let Some(less) = room.checked_sub(1) else { return false };
            *room = less;
            let mut bits = Box::new([0_u64; 1024]);
            for port in ports.iter().copied() {
                if let Some(word) = bits.get_mut(word(port)) {
                    *word |= bit(port);
                }
            }
            *self = Self::Many(bits);
        }
        let Self::Many(bits) = self else { return false };
        let Some(word) = bits.get_mut(word(port)) else { return false };
        let new = *word & bit(port) == 0;
        *word |= bit(port);
        new
    }

    /// Whether it is one of those that take 8 KiB.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Many(_))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Few(ports) if ports.is_empty())
    }

    /// As people write ports: `1-1024,3389`. Where that is too long, the number of the others is at its end.
    pub(super) fn list(&self) -> String {
        let mut list = String::new();
        let mut left_out = 0_usize;
        let mut run: Option<(u16, u16)> = None;
        for port in (0..=u16::MAX).filter(|port| self.contains(*port)) {
            run = match run {
                Some((first, last)) if last.checked_add(1) == Some(port) => Some((first, port)),
                Some(ended) => {
                    left_out = left_out.saturating_add(append(&mut list, ended));
                    Some((port, port))
                }
                None => Some((port, port)),
            };
        }
        if let Some(ended) = run {
            left_out = left_out.saturating_add(append(&mut list, ended));
        }
        if left_out > 0 {
            write!(list, " and {left_out} more").ok();
        }
        list
    }
}

/// Writes a run of ports; returns how many it had no room for.
fn append(list: &mut String, (first, last): (u16, u16)) -> usize {
    if list.len() >= LIST {
        return usize::from(last.saturating_sub(first)).saturating_add(1);
    }
    let comma = if list.is_empty() { "" } else { "," };
    // Writing to a string does not fail.
    match first == last {
        true => write!(list, "{comma}{first}").ok(),
        false => write!(list, "{comma}{first}-{last}").ok(),
    };
    0
}

fn word(port: u16) -> usize {
    usize::from(port >> 6)
}

fn bit(port: u16) -> u64 {
    1_u64.checked_shl(u32::from(port & 63)).unwrap_or_default()
}
