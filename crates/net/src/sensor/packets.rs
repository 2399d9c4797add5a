//! Packets for this machine, from packet sockets (packet(7)), one for each version of IP.
//!
//! Sockets for one protocol, not for all, see what the machine takes in after bridges, bonds and VLANs have done their
//! part, and nothing that it sends: each packet once, those of loopback too. The filter ([`super::filter`]) is the
//! kernel's, the receive buffer is bounded, and what did not fit is counted. Interfaces are not made promiscuous.
//!
//! CAP_NET_RAW is needed to open the sockets and never again.

use std::{
    collections::HashMap,
    ffi::CString,
    fs, io,
    io::IoSliceMut,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    os::fd::AsRawFd,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use haldane_core::{Packet, sensor::SNAP};
use nix::{
    cmsg_space,
    net::if_::if_indextoname,
    sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt},
};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use tokio::io::Interest;

use super::filter;

/// What a socket may hold for us, in bytes (the kernel doubles it for its own book-keeping). A packet takes about 800.
const BUFFER: usize = 4 << 20;
/// Packets that may have come before the filter was in force.
const EARLY: usize = 100_000;
/// How long it is believed which addresses are ours and what interfaces are called.
const BELIEVED: Duration = Duration::from_secs(10);
/// Addresses that are remembered. Neighbours on the wire can send to any.
const ADDRESSES: usize = 1024;
/// EtherTypes (`linux/if_ether.h`).
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// Hardware types (`linux/if_arp.h`).
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;
/// `PACKET_HOST` of `linux/if_packet.h`.
const FOR_US: u8 = 0;

/// Both sockets, and what is known about the machine.
#[derive(Debug)]
pub struct Packets {
    sockets: [Source; 2],
    /// The one that is asked first next time.
    turn: usize,
    buffer: [u8; SNAP],
    interfaces: HashMap<usize, Interface>,
    ours: HashMap<IpAddr, bool>,
    since: Instant,
    lost: u32,
}

#[derive(Debug)]
struct Source {
    ethertype: u16,
    /// Until there is a runtime.
    closed: Option<Socket>,
    /// Only its readiness is asked for, which is the same for every socket; the type is the one that tokio has.
    socket: Option<tokio::net::UdpSocket>,
    /// Packets that did not fit, since it was opened.
    lost: u32,
}

#[derive(Debug)]
struct Interface {
    name: String,
    address: [u8; 6],
}

/// Where a packet came in, and how long it is.
struct Received {
    length: usize,
    link: LinkAddr,
    lost: u32,
}

impl Packets {
    /// Opens the sockets.
    ///
    /// # Errors
    /// As the system says: without CAP_NET_RAW, [`io::ErrorKind::PermissionDenied`].
    pub fn open() -> io::Result<Self> {
        let v4 = Source::open(IPV4, &filter::v4())?;
        let v6 = Source::open(IPV6, &filter::v6())?;
        Ok(Self {
            sockets: [v4, v6],
            turn: 0,
            buffer: [0; SNAP],
            interfaces: HashMap::new(),
            ours: HashMap::new(),
            since: Instant::now(),
            lost: 0,
        })
    }

    /// Ready when a packet may have arrived.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut ready = Poll::Pending;
        // Both are asked, so that each wakes this task.
        for source in &mut self.sockets {
            if source.poll_ready(cx).is_ready() {
                ready = Poll::Ready(());
            }
        }
        ready
    }

    /// The next packet for this machine.
    pub(super) fn next(&mut self) -> Option<Packet<'_>> {
        loop {
            let (received, ethertype) = self.receive()?;
            self.lost = self.lost.saturating_add(received.lost);
            self.forget();
            let loopback = received.link.hatype() == LOOPBACK;
            let to_us = received.link.pkttype() == FOR_US;
            // A router, or a machine with containers, is handed what it is to pass on.
            if to_us && !loopback && !self.is_ours(&received) {
                continue;
            }
            let index = received.link.ifindex();
            let interface = self.interfaces.entry(index).or_insert_with(|| Interface::of(index));
            let link = matches!(received.link.hatype(), ETHERNET | LOOPBACK)
                .then(|| header(&received.link, interface.address, ethertype));
            return Some(Packet {
                interface: &interface.name,
                link,
                loopback,
                to_us,
                bytes: self.buffer.get(..received.length).unwrap_or_default(),
                lost: std::mem::take(&mut self.lost),
            });
        }
    }

    fn receive(&mut self) -> Option<(Received, u16)> {
        // In turns, so that a flood of one version does not hide the other.
        for _ in 0..self.sockets.len() {
            self.turn = self.turn.saturating_add(1);
            let place = self.turn & 1;
            if let Some(source) = self.sockets.get_mut(place)
                && let Some(received) = source.receive(&mut self.buffer)
            {
                return Some((received, source.ethertype));
            }
        }
        None
    }

    fn is_ours(&mut self, received: &Received) -> bool {
        let bytes = self.buffer.get(..received.length).unwrap_or_default();
        let Some(address) = destination(bytes) else { return false };
        let index = u32::try_from(received.link.ifindex()).unwrap_or_default();
        *self.ours.entry(address).or_insert_with(|| is_local(address, index))
    }

    /// Addresses and names change.
    fn forget(&mut self) {
        if self.ours.len() > ADDRESSES || self.since.elapsed() > BELIEVED {
            self.ours.clear();
            self.interfaces.clear();
            self.since = Instant::now();
        }
    }
}

impl Source {
    fn open(ethertype: u16, filter: &[SockFilter]) -> io::Result<Self> {
        // Without the header of the link layer: a packet begins with IP, whatever carried it.
        let protocol = Protocol::from(i32::from(ethertype.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(filter)?;
        // Beyond the system's limit if we may, else up to it.
        if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER).is_err() {
            socket.set_recv_buffer_size(BUFFER).ok();
        }
        // It only counts; a kernel that cannot lets the packets through all the same.
        setsockopt(&socket, sockopt::RxqOvfl, &1).ok();
        // What came before the filter was in force was not looked at by it.
        let mut buffer = [0; SNAP];
        for _ in 0..EARLY {
            if receive(&socket, &mut buffer).is_err() {
                break;
            }
        }
        Ok(Self { ethertype, closed: Some(socket), socket: None, lost: 0 })
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(socket) = self.closed.take() {
            self.socket = tokio::net::UdpSocket::from_std(socket.into()).ok();
        }
        match &self.socket {
            Some(socket) => socket.poll_recv_ready(cx).map(|_| ()),
            None => Poll::Pending,
        }
    }

    fn receive(&mut self, buffer: &mut [u8; SNAP]) -> Option<Received> {
        let socket = self.socket.as_ref()?;
        let mut received = socket.try_io(Interest::READABLE, || receive(socket, buffer)).ok()?;
        let total = received.lost;
        received.lost = total.wrapping_sub(self.lost);
        self.lost = total;
        Some(received)
    }
}

/// A packet, and how many did not fit since the socket was opened.
fn receive(socket: &impl AsRawFd, buffer: &mut [u8; SNAP]) -> io::Result<Received> {
    let mut space = cmsg_space!(u32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let lost = message.cmsgs().into_iter().flatten().find_map(|control| match control {
        ControlMessageOwned::RxqOvfl(lost) => Some(lost),
        _ => None,
    });
    let link = message.address.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Received { length: message.bytes, link, lost: lost.unwrap_or_default() })
}

impl Interface {
    fn of(index: usize) -> Self {
        let name = u32::try_from(index).ok().and_then(|index| if_indextoname(index).ok());
        let name = name.map(CString::into_string).and_then(Result::ok).unwrap_or_default();
        let address = fs::read_to_string(format!("/sys/class/net/{name}/address")).unwrap_or_default();
        Self { address: hardware_address(address.trim()).unwrap_or_default(), name }
    }
}

/// Reads `02:00:00:00:00:01`.
fn hardware_address(text: &str) -> Option<[u8; 6]> {
    let bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
    bytes.collect::<Result<Vec<u8>, _>>().ok()?.try_into().ok()
}

/// The header of Ethernet: to whom, from whom, what. The system has kept it apart; to a group, it is not known to which.
fn header(link: &LinkAddr, own: [u8; 6], ethertype: u16) -> [u8; 14] {
    let [a, b, c, d, e, f] = if link.pkttype() == FOR_US { own } else { [0xff; 6] };
    let [g, h, i, j, k, l] = link.addr().unwrap_or_default();
    let [m, n] = ethertype.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

/// The destination in a header of IP.
fn destination(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.first()? >> 4 {
        4 => Some(Ipv4Addr::from(*bytes.get(16..)?.first_chunk::<4>()?).into()),
        6 => Some(Ipv6Addr::from(*bytes.get(24..)?.first_chunk::<16>()?).into()),
        _ => None,
    }
}

/// Whether this machine takes in what is sent to that address. Asked of the system by binding to it: whole ranges may
/// be ours that no interface lists (`ip route add local`).
fn is_local(address: IpAddr, interface: u32) -> bool {
    let address = match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, 0, 0, interface).into(),
        other => SocketAddr::new(other, 0),
    };
    UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_addresses_are_told_from_others() {
        let ours = |address: &str| is_local(address.parse().unwrap(), 0);
        assert_eq!(
            (ours("127.0.0.1"), ours("127.9.9.9"), ours("192.0.2.1"), ours("2001:db8::1")),
            (true, true, false, false)
        );
    }

    #[test]
    fn destinations_and_hardware_addresses_are_read_and_what_is_cut_is_none() {
        let mut packet = [0; 40];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[192, 0, 2, 7]);
        assert_eq!(destination(&packet), Some(Ipv4Addr::new(192, 0, 2, 7).into()));
        assert_eq!(destination(&packet[..19]), None);
        packet[0] = 0x60;
        packet[16..20].fill(0);
        packet[39] = 9;
        assert_eq!(destination(&packet).map(|address| address.to_string()).as_deref(), Some("::9"));
        assert_eq!(hardware_address("02:00:00:00:00:0a"), Some([2, 0, 0, 0, 0, 10]));
        assert_eq!(hardware_address("02:00"), None);
    }
}
