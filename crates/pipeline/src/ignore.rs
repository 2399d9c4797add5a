//! Ignore lists: what the operator trusts is stored, marked, and sent nowhere.

use std::{collections::BTreeSet, net::IpAddr};

use haldane_core::{Event, Section};
use ipnet::IpNet;

/// Sources and kinds that are stored and not sent.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// Networks, such as a vulnerability scanner's. The source of a datagram may be forged; the operator who
    /// lists a network accepts that.
    pub sources: Vec<IpNet>,
    /// Numbers of kinds.
    pub kinds: BTreeSet<u32>,
}

impl Ignore {
    /// Reads `sources` and `kinds`.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let sources = section.networks(
            "sources",
            &[],
            "Addresses and networks (10.0.0.7, 192.168.0.0/16, 2001:db8::/32) whose events are stored, but sent nowhere.",
        );
        let mut ignore = Self { sources, ..Self::default() };
        let kinds = section.list(
            "kinds",
            &[],
            "Numbers of kinds (logtypes) whose events are stored, but sent nowhere.",
        );
        for text in kinds {
            match text.trim().parse() {
                Ok(number) => _ = ignore.kinds.insert(number),
                Err(_) => section.invalid("kinds", format!("{text:?} is not the number of a kind")),
            }
        }
        ignore
    }

    /// Whether that event is to be ignored.
    pub fn matches(&self, event: &Event) -> bool {
        let listed = |address: IpAddr| {
            let address = address.to_canonical();
            self.sources.iter().any(|net| net.contains(&address))
        };
        let kinds = [event.kind.number, event.kind.logtype];
        kinds.iter().any(|number| self.kinds.contains(number)) || event.source().is_some_and(listed)
    }
}
