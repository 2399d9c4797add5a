//! Where a receiver listens.

use std::{fmt, net::IpAddr};

/// A host's name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Host {
    /// `host`, `host:port`, `[address]:port` or an IPv6 address alone. `port` is that of an address without one.
    pub(crate) fn parse(address: &str, port: u16) -> Option<Self> {
        if let Ok(IpAddr::V6(_)) = address.parse() {
            return Some(Self { name: address.to_owned(), port });
        }
        let (name, given) = match address.strip_prefix('[') {
            Some(rest) => {
                let (name, rest) = rest.split_once(']')?;
                let _: std::net::Ipv6Addr = name.parse().ok()?;
                (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None => address.split_once(':').map_or((address, None), |(name, port)| (name, Some(port))),
        };
        let port = given.map_or(Some(port), |port| port.parse().ok().filter(|port| *port != 0))?;
        let valid = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '/');
        valid.then(|| Self { name: name.to_owned(), port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_host_and_perhaps_a_port() {
        let parsed = |address: &str| Host::parse(address, 514).map(|host| (host.name, host.port));
        let is = |name: &str, port| Some((name.to_owned(), port));
        assert_eq!(parsed("logs"), is("logs", 514));
        assert_eq!(parsed("logs:10514"), is("logs", 10514));
        assert_eq!(parsed("192.0.2.7:1"), is("192.0.2.7", 1));
        assert_eq!(parsed("[::1]:515"), is("::1", 515));
        assert_eq!(parsed("[::1]"), is("::1", 514));
        assert_eq!(parsed("::1"), is("::1", 514));
        for wrong in
            ["", ":514", "logs:", "logs:0", "logs:65536", "[::1", "[x]:1", "[::1]514", "a b:1", "a/b"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        for shown in ["logs:514", "[::1]:515"] {
            assert_eq!(Host::parse(shown, 1).unwrap().to_string(), shown);
        }
    }
}
