//! Who is at the other end.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

/// How the peer reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A completed handshake: the address is real.
    Tcp,
    /// A datagram: the address may be forged.
    Udp,
    /// Neither: ICMP, or another protocol over IP. There are no ports; those of the two ends are 0.
    Ip,
}

/// The two ends of one conversation. Made by the listener, never by a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The attacker's end, IPv4-mapped addresses already unmapped.
    pub remote: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// How they are joined.
    pub transport: Transport,
    /// The proxy that vouched for the two addresses (PROXY protocol).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<SocketAddr>,
}

impl Peer {
    /// Normalises both addresses, so that one host is one key everywhere.
    pub fn new(remote: SocketAddr, local: SocketAddr, transport: Transport) -> Self {
        Self { remote: unmapped(remote), local: unmapped(local), transport, via: None }
    }
}

fn unmapped(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), addr.port()),
            None => addr,
        },
        IpAddr::V4(_) => addr,
    }
}
