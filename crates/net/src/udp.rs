//! A UDP port that knows which of this machine's addresses was talked to, and answers from it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
        sendmsg, setsockopt, sockopt,
    },
};
use tokio::{io::Interest, net::UdpSocket};

/// A bound port.
#[derive(Debug)]
pub(crate) struct Port {
    socket: UdpSocket,
    local: SocketAddr,
}

/// A datagram that was received: how long, from where, and to which address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Received {
    pub(crate) length: usize,
    pub(crate) remote: SocketAddr,
    /// As the datagram has it: a broadcast or multicast address, too.
    pub(crate) to: SocketAddr,
    /// What an answer is sent from; `None`: the system chooses.
    pub(crate) own: Option<IpAddr>,
}

impl Port {
    pub(crate) fn new(socket: UdpSocket) -> Self {
        let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let local = socket.local_addr().unwrap_or(nowhere);
        // Bound to one address, there is nothing to ask. Where it cannot be asked, that of the port is told.
        if local.ip().is_unspecified() {
            let asked = match local {
                SocketAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4PacketInfo, &true),
                SocketAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true),
            };
            asked.ok();
        }
        Self { socket, local }
    }

    pub(crate) fn into_inner(self) -> UdpSocket {
        self.socket
    }

    /// The next datagram. What is longer than the buffer is cut.
    pub(crate) async fn recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.async_io(Interest::READABLE, || self.receive(buffer)).await
    }

    /// The same, if one has arrived.
    pub(crate) fn try_recv(&self, buffer: &mut [u8]) -> io::Result<Received> {
        self.socket.try_io(Interest::READABLE, || self.receive(buffer))
    }

    /// Sends a datagram, from that address of ours if one is named.
    pub(crate) async fn send(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        self.socket.async_io(Interest::WRITABLE, || self.transmit(bytes, to, from)).await
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut space = cmsg_space!(in_pktinfo, in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::empty());
        let message = recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut space), flags)?;
        let remote = message.address.as_ref().and_then(address).ok_or(io::ErrorKind::InvalidData)?;
        let (mut to, mut own) = (self.local, None);
        // Control data that does not fit says only that there was more of it.
        for info in message.cmsgs().into_iter().flatten() {
            match info {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    to.set_ip(v4(info.ipi_addr).into());
                    own = Some(v4(info.ipi_spec_dst).into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                    to.set_ip(ip.into());
                    own = (!ip.is_multicast()).then_some(ip.into());
                }
                _ => {}
            }
        }
        Ok(Received { length: message.bytes, remote, to, own })
    }

    fn transmit(&self, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
        let v4 = |from: Ipv4Addr| in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: in_addr { s_addr: u32::from_ne_bytes(from.octets()) },
            ipi_addr: in_addr { s_addr: 0 },
        };
        let v6 =
            |from: Ipv6Addr| in6_pktinfo { ipi6_addr: in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
        match from {
            None => self.sent(bytes, to, &[]),
            Some(IpAddr::V4(from)) => self.sent(bytes, to, &[ControlMessage::Ipv4PacketInfo(&v4(from))]),
            Some(IpAddr::V6(from)) => self.sent(bytes, to, &[ControlMessage::Ipv6PacketInfo(&v6(from))]),
        }
    }

    fn sent(&self, bytes: &[u8], to: SocketAddr, info: &[ControlMessage<'_>]) -> io::Result<()> {
        let (parts, socket, flags) = ([IoSlice::new(bytes)], self.socket.as_raw_fd(), MsgFlags::empty());
        match to {
            SocketAddr::V4(to) => sendmsg(socket, &parts, info, flags, Some(&SockaddrIn::from(to)))?,
            SocketAddr::V6(to) => sendmsg(socket, &parts, info, flags, Some(&SockaddrIn6::from(to)))?,
        };
        Ok(())
    }
}

fn v4(address: in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

/// The address in it, if it is one of IP.
pub(crate) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
    let v6 = || {
        let address = storage.as_sockaddr_in6()?;
        let (flow, scope) = (address.flowinfo(), address.scope_id());
        Some(std::net::SocketAddrV6::new(address.ip(), address.port(), flow, scope).into())
    };
    v4.or_else(v6)
}
