//! Messages without a connection.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, time::timeout};

use super::{Host, resolved};
use crate::step::step;

/// A socket that takes and sends to that host alone, so that its refusals arrive.
///
/// # Errors
/// To be put into words by [`super::why`].
pub(crate) async fn udp(host: &Host) -> io::Result<UdpSocket> {
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for addr in resolved(host).await? {
        let any = match addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(addr).await {
            Ok(()) => {
                step(format_args!("sending to {addr} (UDP)"));
                return Ok(socket);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// There is no answer, but a receiver that is not there has one (ICMP): waits for it that long.
///
/// # Errors
/// The refusal.
pub(crate) async fn refusal(socket: &UdpSocket, wait: Duration) -> io::Result<()> {
    let heard = async {
        loop {
            if let Err(error) = socket.recv(&mut [0; 64]).await {
                return error;
            }
        }
    };
    if let Ok(error) = timeout(wait, heard).await {
        return Err(error);
    }
    step("sent; nobody objected (UDP has no way to confirm)");
    Ok(())
}

/// Whether sending failed for the length of the datagram.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    // EMSGSIZE. There is no name for it in std.
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

/// How long to wait for a refusal: longer than the way to the receiver and back within a site.
pub(crate) const REFUSAL: Duration = Duration::from_millis(20);
/// How old a socket may become: a name may come to mean another host.
pub(crate) const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// Bytes: what IPv4 can carry in one datagram.
pub(crate) const LONGEST_DATAGRAM: usize = 65_507;
