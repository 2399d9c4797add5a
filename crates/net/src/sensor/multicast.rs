//! Talks to everybody on the networks of this machine, and hears who answers.
//!
//! Each address of ours that can be talked from has a socket of its own, bound to it: so it is known where an answer
//! came in and what it was sent to, and nobody's port is in the way of another program's. Where groups are listened
//! to, that is a second socket, bound to the group's address: what other programs are sent at that port stays theirs.
//! Interfaces come and go, so they are looked at anew before each message. None of this needs privileges.

use std::{
    collections::HashSet,
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    task::{Context, Poll},
};

use haldane_core::{Datagram, Destination, Network, Sighting, sensor::DATAGRAM};
use nix::{
    ifaddrs::{InterfaceAddress, getifaddrs},
    net::if_::{InterfaceFlags, if_nametoindex},
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::neighbour;
use crate::{
    kinds::{BLIND, SEES},
    udp::address,
};

/// TTL and hop limit: what is said stays on the link. RFC 4795, section 2.5, and RFC 6762, section 11, recommend 255
/// and let anybody send otherwise; Windows sends its LLMNR queries with 1.
const HOPS: u32 = 1;

/// The ways to the networks.
#[derive(Debug)]
pub struct Links {
    wanted: Network,
    links: Vec<Link>,
    /// Where the next datagram is looked for first, so that no link keeps the others from being heard.
    turn: usize,
    buffer: Vec<u8>,
    /// What is the matter, as it was told last; `None`: nothing.
    told: Option<String>,
    trouble: Option<String>,
}

/// An address of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Own {
    interface: String,
    index: u32,
    /// With the scope, for IPv6.
    address: SocketAddr,
    /// Of its network, for IPv4.
    broadcast: Option<IpAddr>,
}

/// The sockets of one address.
#[derive(Debug)]
struct Link {
    own: Own,
    socket: UdpSocket,
    groups: Vec<(SocketAddr, UdpSocket)>,
    /// Why it does not work, or not wholly.
    deaf: Option<String>,
    mute: Option<String>,
}

/// A datagram in the buffer: its length, and where it came from and to.
struct Received {
    length: usize,
    from: SocketAddr,
    to: SocketAddr,
}

impl Links {
    /// Opens nothing yet: interfaces may come up later.
    pub(super) fn new(wanted: &Network) -> Self {
        Self {
            wanted: wanted.clone(),
            links: Vec::new(),
            turn: 0,
            buffer: vec![0; DATAGRAM],
            told: None,
            trouble: None,
        }
    }

    /// Sends them over each interface.
    pub(super) fn send(&mut self, sent: &[(Destination, Vec<u8>)]) {
        let refused = self.look();
        for (to, bytes) in sent {
            self.links.iter_mut().for_each(|link| link.send(*to, bytes));
        }
        let broken = |link: &Link| {
            let why = link.mute.as_ref().or(link.deaf.as_ref())?;
            Some(format!("{} ({}): {why}", link.own.interface, link.own.address.ip()))
        };
        let none = || self.links.is_empty().then(|| "there is no network interface that is up".to_owned());
        self.trouble = refused.or_else(|| self.links.iter().find_map(broken)).or_else(none);
    }

    /// Ready while something may have arrived or is to be told.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = self.told != self.trouble;
        // All are asked, so that each wakes this task.
        for socket in self.links.iter().flat_map(Link::sockets) {
            ready |= socket.poll_recv_ready(cx).is_ready();
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The next datagram.
    pub(super) fn next(&mut self) -> Option<Datagram<'_>> {
        let links = self.links.len();
        let order = (self.turn..links).chain(0..self.turn.min(links));
        let (at, received) =
            order.filter_map(|at| Some((at, self.links.get(at)?.receive(&mut self.buffer)?))).next()?;
        self.turn = at.saturating_add(1);
        let link = self.links.get(at)?;
        Some(Datagram {
            from: received.from,
            to: received.to,
            mac: neighbour::mac(link.own.index, received.from.ip()),
            interface: &link.own.interface,
            bytes: self.buffer.get(..received.length)?,
        })
    }

    /// That nobody can be asked, or again; each told once.
    pub(super) fn news(&mut self) -> Option<Sighting> {
        if self.trouble == self.told {
            return None;
        }
        self.told.clone_from(&self.trouble);
        let kind = if self.told.is_some() { &BLIND } else { &SEES };
        Some(Sighting::of(kind).with("feed", "the network").with("why", self.told.clone()))
    }

    /// Takes up addresses that have come, and leaves those that have gone. Returns what is to be told.
    fn look(&mut self) -> Option<String> {
        let own = match getifaddrs() {
            Ok(all) => usable(all, &self.wanted.interfaces),
            Err(error) => return Some(format!("the network interfaces cannot be listed: {error}")),
        };
        self.links.retain(|link| own.contains(&link.own));
        let new: Vec<Own> =
            own.into_iter().filter(|own| self.links.iter().all(|link| link.own != *own)).collect();
        let mut refused = None;
        for own in new {
            let name = own.interface.clone();
            match Link::open(own, &self.wanted.groups) {
                Ok(link) => self.links.push(link),
                // An address of IPv6 that is still being checked for being unique: the next time.
                Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
                Err(error) => refused = Some(format!("{name}: {error}")),
            }
        }
        refused
    }
}

/// The addresses to talk from: of each interface the first of IPv4 and that of the link of IPv6. An interface that
/// the operator names is taken as it is.
fn usable(all: impl Iterator<Item = InterfaceAddress>, named: &[String]) -> Vec<Own> {
    let mut taken = HashSet::new();
    all.filter(|found| match named {
        [] => {
            let (flags, wanted) = (found.flags, InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST);
            flags.contains(wanted) && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
        }
        named => found.flags.contains(InterfaceFlags::IFF_UP) && named.contains(&found.interface_name),
    })
    .filter_map(|found| {
        let own = found.address.as_ref().and_then(address)?;
        let link_local = match own.ip() {
            IpAddr::V4(_) => true,
            IpAddr::V6(ip) => ip.is_unicast_link_local() || ip.is_loopback(),
        };
        let first = link_local && taken.insert((found.interface_name.clone(), own.is_ipv4()));
        first.then_some(Own {
            index: if_nametoindex(found.interface_name.as_str()).ok()?,
            address: own,
            broadcast: found.broadcast.as_ref().and_then(address).map(|broadcast| broadcast.ip()),
            interface: found.interface_name,
        })
    })
    .collect()
}

impl Link {
    fn open(own: Own, groups: &[SocketAddr]) -> io::Result<Self> {
        let mut address = own.address;
        address.set_port(0);
        let socket = datagrams(address)?;
        match address.ip() {
            IpAddr::V4(ip) => {
                socket.set_multicast_if_v4(&ip)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_ttl_v4(HOPS)?;
                socket.set_broadcast(true)?;
            }
            IpAddr::V6(_) => {
                socket.set_multicast_if_v6(own.index)?;
                socket.set_multicast_hops_v6(HOPS)?;
            }
        }
        socket.bind(&address.into())?;
        let mut link = Self {
            own,
            socket: UdpSocket::from_std(socket.into())?,
            groups: Vec::new(),
            deaf: None,
            mute: None,
        };
        for group in groups.iter().filter(|group| group.is_ipv4() == address.is_ipv4()) {
            match listen(*group, link.own.index) {
                Ok(socket) => link.groups.push((*group, socket)),
                Err(error) => link.deaf = Some(format!("{group} is not heard: {error}")),
            }
        }
        Ok(link)
    }

    fn send(&mut self, to: Destination, bytes: &[u8]) {
        let to = match (to, self.own.broadcast) {
            (Destination::Group(group), _) if group.is_ipv4() == self.own.address.is_ipv4() => {
                scoped(group, self.own.index)
            }
            (Destination::Everybody(port), Some(everybody)) => SocketAddr::new(everybody, port),
            _ => return,
        };
        // Not through the runtime, which refuses before it has looked once whether there is room.
        let sent = SockRef::from(&self.socket).send_to(bytes, &to.into());
        self.mute = sent.err().map(|error| format!("cannot send to {to}: {error}"));
    }

    fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        std::iter::once(&self.socket).chain(self.groups.iter().map(|(_, socket)| socket))
    }

    /// The next datagram, of whichever socket. An error of one is what came back of a message that nobody took.
    fn receive(&self, buffer: &mut [u8]) -> Option<Received> {
        let own = self.socket.local_addr().unwrap_or(self.own.address);
        let ends = std::iter::once(own).chain(self.groups.iter().map(|(group, _)| *group));
        let mut ends = ends.zip(self.sockets());
        ends.find_map(|(to, socket)| {
            let (length, from) = socket.try_recv_from(buffer).ok()?;
            Some(Received { length, from, to })
        })
    }
}

/// A socket for what is sent to a group on one interface, beside others of other programs.
fn listen(group: SocketAddr, index: u32) -> io::Result<UdpSocket> {
    let socket = datagrams(group)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    match group.ip() {
        IpAddr::V4(ip) => {
            socket.set_multicast_all_v4(false)?;
            socket.bind(&group.into())?;
            socket.join_multicast_v4_n(&ip, &InterfaceIndexOrAddress::Index(index))?;
        }
        IpAddr::V6(ip) => {
            socket.set_multicast_all_v6(false)?;
            socket.bind(&scoped(group, index).into())?;
            socket.join_multicast_v6(&ip, index)?;
        }
    }
    UdpSocket::from_std(socket.into())
}

fn datagrams(of: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(of), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if of.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Groups of IPv6 are groups of a link.
fn scoped(group: SocketAddr, index: u32) -> SocketAddr {
    match group {
        SocketAddr::V4(_) => group,
        SocketAddr::V6(v6) => SocketAddrV6::new(*v6.ip(), v6.port(), 0, index).into(),
    }
}

#[cfg(test)]
#[path = "multicast_tests.rs"]
mod tests;
