//! Ignore lists: what the operator trusts is stored, marked, and sent nowhere.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
};

use haldane_core::{Event, Section};
use ipnet::{IpNet, Ipv4Net};

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
        let mut ignore = Self::default();
        let sources = section.list(
            "sources",
            &[],
            "Addresses and networks (10.0.0.7, 192.168.0.0/16, 2001:db8::/32) whose events are stored, but sent nowhere.",
        );
        for text in sources {
            match source(&text) {
                Some(net) => ignore.sources.push(net),
                None => section.invalid("sources", format!("{text:?} is not an address or network")),
            }
        }
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

/// Reads an address or a network; what is IPv4 in IPv6's clothing becomes IPv4, as the source of an event does.
pub fn source(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(unmapped(net.trunc()))
}

fn unmapped(net: IpNet) -> IpNet {
    /// The bits of a mapped address before the IPv4 part (RFC 4291, section 2.5.5.2).
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = net else { return net };
    let v4 = Ipv6Addr::to_ipv4_mapped(&v6.network());
    let length = v6.prefix_len().checked_sub(MAPPED);
    let mapped = v4.zip(length).and_then(|(v4, length)| Ipv4Net::new(v4, length).ok());
    mapped.map_or(net, IpNet::V4)
}
