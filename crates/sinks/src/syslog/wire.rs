//! The way to the receiver.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use rustls::pki_types::ServerName;
use socket2::TcpKeepalive;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::message::Form;
use crate::trust::Trust;

/// Where the receiver listens.
#[derive(Debug)]
pub(super) enum Receiver {
    Unix(PathBuf),
    Udp(Host),
    Tcp(Host),
    Tls(Host, ServerName<'static>, Box<Trust>),
}

/// A host's name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) port: u16,
}

/// A connection to it.
#[derive(Debug)]
pub(super) enum Wire {
    Udp(UdpSocket),
    Datagram(UnixDatagram),
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Receiver {
    pub(super) async fn connect(&self) -> io::Result<Wire> {
        match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => Ok(Wire::Datagram(socket)),
                    // EPROTOTYPE: it is a stream. There is no name for it in std.
                    Err(_) => Ok(Wire::Unix(UnixStream::connect(path).await?)),
                }
            }
            Self::Udp(host) => Ok(Wire::Udp(udp(host).await?)),
            Self::Tcp(host) => Ok(Wire::Tcp(tcp(host).await?)),
            Self::Tls(host, name, trust) => {
                let stream = tcp(host).await?;
                let connector = TlsConnector::from(trust.config().map_err(io::Error::other)?);
                Ok(Wire::Tls(Box::new(connector.connect(name.clone(), stream).await?)))
            }
        }
    }
}

impl std::fmt::Display for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Udp(host) => write!(f, "{}:{} (UDP)", host.name, host.port),
            Self::Tcp(host) => write!(f, "{}:{} (TCP)", host.name, host.port),
            Self::Tls(host, ..) => write!(f, "{}:{} (TLS)", host.name, host.port),
        }
    }
}

impl Wire {
    /// Whether a message is a datagram, sent alone.
    pub(super) fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp(_) | Self::Datagram(_))
    }

    /// Sends one datagram; halves what the system finds too long.
    pub(super) async fn send(&self, form: Form, mut message: Vec<u8>) -> io::Result<()> {
        form.cut(&mut message, LONGEST_DATAGRAM);
        loop {
            let sent = match self {
                Self::Udp(socket) => socket.send(&message).await,
                Self::Datagram(socket) => socket.send(&message).await,
                _ => return Err(ErrorKind::Unsupported.into()),
            };
            match sent {
                Ok(_) => return Ok(()),
                Err(error) if is_too_long(&error) && message.len() > SHORTEST => {
                    let half = message.len().checked_div(2).unwrap_or(SHORTEST);
                    form.cut(&mut message, half);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes frames to a stream.
    pub(super) async fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.write_all(frames).await,
            Self::Tcp(stream) => stream.write_all(frames).await,
            Self::Tls(stream) => {
                stream.write_all(frames).await?;
                stream.flush().await
            }
            Self::Udp(_) | Self::Datagram(_) => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Syslog has no answer, but a receiver that is not there has one (ICMP, a reset): waits for it that long.
    /// `Ok(false)`: the far end has hung up, and read before what was sent.
    pub(super) async fn listen(&mut self, wait: Duration) -> io::Result<bool> {
        let now = Instant::now();
        let end = now.checked_add(wait).unwrap_or(now);
        let mut dropped = [0; 1024];
        loop {
            let read = async {
                match self {
                    Self::Udp(socket) => socket.recv(&mut dropped).await.map(|_| 1),
                    // The far end of a unix socket has it, or sending it failed.
                    Self::Datagram(_) => Ok(std::future::pending().await),
                    Self::Unix(stream) => stream.read(&mut dropped).await,
                    Self::Tcp(stream) => stream.read(&mut dropped).await,
                    Self::Tls(stream) => stream.read(&mut dropped).await,
                }
            };
            match timeout_at(end, read).await {
                Err(_) => return Ok(true),
                Ok(Ok(0)) => break,
                Ok(Ok(_)) => {}
                // TLS cut off without a farewell.
                Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
                Ok(Err(error)) => return Err(error),
            }
        }
        // It may have hung up before it read what was sent: then a reset follows.
        sleep_until(end).await;
        let reset = match self {
            Self::Tcp(stream) => stream.take_error()?,
            Self::Tls(stream) => stream.get_ref().0.take_error()?,
            Self::Unix(stream) => stream.take_error()?,
            Self::Udp(_) | Self::Datagram(_) => None,
        };
        reset.map_or(Ok(false), Err)
    }
}

/// A socket that takes and sends to that host alone, so that its refusals arrive.
async fn udp(host: &Host) -> io::Result<UdpSocket> {
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for addr in lookup_host((host.name.as_str(), host.port)).await? {
        let any = match addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        match socket.connect(addr).await {
            Ok(()) => return Ok(socket),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn tcp(host: &Host) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.name.as_str(), host.port)).await?;
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(&stream);
    let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE);
    socket.set_tcp_keepalive(&probes)?;
    // A receiver that has lost its power does not even refuse.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    Ok(stream)
}

fn is_too_long(error: &io::Error) -> bool {
    // EMSGSIZE. There is no name for it in std.
    error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error())
}

/// Bytes: what IPv4 can carry in one datagram.
const LONGEST_DATAGRAM: usize = 65_507;
/// Bytes: what every receiver must take (RFC 5424, section 6.1). If even that is too long, it is not the length.
const SHORTEST: usize = 480;
/// How long what was sent may stay unacknowledged, and how often a silent connection is probed.
pub(super) const SILENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_was_sent_to_a_receiver_that_has_hung_up_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = Host { name: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let mut wire = Receiver::Tcp(host.clone()).connect().await.unwrap();
        drop(listener.accept().unwrap());
        // It hangs up after we have looked.
        wire.write(b"lost").await.unwrap();
        assert!(wire.listen(Duration::from_millis(20)).await.is_err());
        // In good order: it has read what there was.
        let mut wire = Receiver::Tcp(host).connect().await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        wire.write(b"read").await.unwrap();
        std::io::Read::read_exact(&mut peer, &mut [0; 4]).unwrap();
        assert!(wire.listen(Duration::from_millis(1)).await.unwrap());
        drop(peer);
        assert!(!wire.listen(Duration::from_millis(20)).await.unwrap());
    }
}
