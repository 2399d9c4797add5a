//! Who is never acted upon: whoever the operator names, and what this machine itself depends on. An attacker who can
//! make a canary cut off its own gateway or resolver has a weapon.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use ipnet::IpNet;

/// What this machine depends on, as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    gateways: Vec<IpAddr>,
    resolvers: Vec<IpAddr>,
    /// Addresses of interfaces that cannot be asked for by binding: link-local ones need their interface for that.
    own: Vec<IpAddr>,
}

impl Surroundings {
    /// Looks it up. What cannot be read is empty.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            gateways: gateways(&read("/proc/net/route"), &read("/proc/net/ipv6_route")),
            resolvers: resolvers(&read("/etc/resolv.conf")),
            own: own(&read("/proc/net/if_inet6")),
        }
    }

    /// Why nothing at all is done about that source, if so.
    pub fn spare(&self, source: IpAddr, never: &[IpNet]) -> Option<&'static str> {
        if never.iter().any(|network| network.contains(&source)) {
            Some("it is on the list of those that are never acted upon")
        } else if self.gateways.contains(&source) {
            Some("it is a gateway of this machine")
        } else if self.resolvers.contains(&source) {
            Some("it is a resolver of this machine")
        } else {
            None
        }
    }

    /// Why that source is not to be blocked, if so.
    pub fn spare_from_blocking(&self, source: IpAddr, never: &[IpNet]) -> Option<&'static str> {
        let broadcast = source == IpAddr::V4(Ipv4Addr::BROADCAST);
        if source.is_loopback() {
            Some("it is this machine: a loopback address")
        } else if source.is_unspecified() || source.is_multicast() || broadcast {
            Some("it is the address of no single machine")
        } else if self.own.contains(&source) || UdpSocket::bind(SocketAddr::new(source, 0)).is_ok() {
            // Whole ranges may be ours that no interface lists: the system is asked by binding to the address.
            Some("it is an address of this machine")
        } else {
            self.spare(source, never)
        }
    }
}

/// Gateways of any route, not only of the default one: what is behind them is lost without them.
/// `/proc/net/route`: destination, gateway in hex, in the order of the machine. `/proc/net/ipv6_route`: the fifth
/// column, in the order of the network.
fn gateways(ipv4: &str, ipv6: &str) -> Vec<IpAddr> {
    let four = ipv4.lines().filter_map(|line| {
        let gateway = line.split_whitespace().nth(2).filter(|text| text.len() == 8)?;
        u32::from_str_radix(gateway, 16).ok().map(|bits| IpAddr::from(bits.to_ne_bytes()))
    });
    let six = ipv6.lines().filter_map(|line| address(line.split_whitespace().nth(4)?));
    four.chain(six).filter(|gateway| !gateway.is_unspecified()).collect()
}

/// `nameserver` lines (resolv.conf(5)). One on loopback is this machine, which is another question.
fn resolvers(conf: &str) -> Vec<IpAddr> {
    let lines = conf.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver"));
    let addresses = lines.filter_map(|rest| rest.split_whitespace().next()?.split('%').next()?.parse().ok());
    addresses.filter(|resolver: &IpAddr| !resolver.is_loopback()).collect()
}

/// `/proc/net/if_inet6`: the address is the first column.
fn own(inet6: &str) -> Vec<IpAddr> {
    inet6.lines().filter_map(|line| address(line.split_whitespace().next()?)).collect()
}

/// Thirty-two digits of hex.
fn address(text: &str) -> Option<IpAddr> {
    let bits = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
    Some(Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn gateways_and_resolvers_are_read_as_the_system_writes_them() {
        // The kernel writes the bytes of the network as one number of the machine.
        let gateway = u32::from_ne_bytes([10, 0, 0, 1]);
        let route = format!(
            "Iface\tDestination\tGateway \tFlags\neth0\t00000000\t{gateway:08X}\t0003\neth0\t0000000A\t00000000\t0001\n"
        );
        let route6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                      fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0\n\
                      fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
                      00000000000000000000000000000000 00000100 00000001 00000000 00000001 eth0\n";
        assert_eq!(gateways(&route, route6), [ip("10.0.0.1"), ip("fe80::1")]);
        assert!(gateways("nonsense", "g g g g g").is_empty());
        let conf = "# nameserver 9.9.9.9\nnameserver 10.0.0.53\n nameserver\tfe80::53%eth0 \n\
                    nameserver 127.0.0.53\nnameserver\n";
        assert_eq!(resolvers(conf), [ip("10.0.0.53"), ip("fe80::53")]);
        assert_eq!(own("fe800000000000000000000000000007 02 40 20 80 eth0\n"), [ip("fe80::7")]);
    }

    #[test]
    fn nobody_is_blocked_who_must_not_be() {
        let around = Surroundings {
            gateways: vec![ip("192.0.2.1"), ip("fe80::1")],
            resolvers: vec![ip("192.0.2.53")],
            own: vec![ip("fe80::7")],
        };
        let never: Vec<IpNet> = vec!["198.51.100.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for spared in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "224.0.0.251",
            "ff02::1",
            "255.255.255.255",
            "192.0.2.1",
            "fe80::1",
            "192.0.2.53",
            "fe80::7",
            "198.51.100.7",
            "2001:db8::7",
        ] {
            assert!(around.spare_from_blocking(ip(spared), &never).is_some(), "{spared}");
        }
        for blocked in ["203.0.113.66", "192.0.2.66", "fe80::66", "2001:db9::1"] {
            assert_eq!(around.spare_from_blocking(ip(blocked), &never), None, "{blocked}");
        }
        assert_eq!(around.spare(ip("127.0.0.1"), &never), None, "a program may hear of it");
        assert!(around.spare(ip("192.0.2.53"), &never).is_some());
    }
}
