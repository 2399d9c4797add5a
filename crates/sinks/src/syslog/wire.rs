//! The way to the receiver.

use std::{io, path::PathBuf};

use tokio::net::{UdpSocket, UnixDatagram, UnixStream};

use super::message::Form;
use crate::{
    link::{Host, LONGEST_DATAGRAM, REFUSAL, Stream, Tls, is_too_long, refusal, tcp, udp},
    step::step,
};

/// Where the receiver listens.
#[derive(Debug)]
pub(super) enum Receiver {
    Unix(PathBuf),
    Udp(Host),
    Tcp(Host),
    Tls(Host, Box<Tls>),
}

/// A connection to it.
#[derive(Debug)]
pub(super) enum Wire {
    Datagrams(Datagrams),
    Stream(Stream),
}

/// A socket for messages that are sent alone.
#[derive(Debug)]
pub(super) enum Datagrams {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Receiver {
    pub(super) async fn connect(&self) -> io::Result<Wire> {
        let stream = match self {
            Self::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                return match socket.connect(path) {
                    Ok(()) => {
                        step(format_args!("connected to the socket {}", path.display()));
                        Ok(Wire::Datagrams(Datagrams::Unix(socket)))
                    }
                    // EPROTOTYPE: it is a stream. There is no name for it in std.
                    Err(_) => {
                        let stream = UnixStream::connect(path).await?;
                        step(format_args!("connected to the socket {}", path.display()));
                        Ok(Wire::Stream(Stream::Unix(stream)))
                    }
                };
            }
            Self::Udp(host) => return Ok(Wire::Datagrams(Datagrams::Udp(udp(host).await?))),
            Self::Tcp(host) | Self::Tls(host, _) => tcp(host).await?,
        };
        Ok(Wire::Stream(match self {
            Self::Tls(_, tls) => tls.begin(stream).await?,
            _ => Stream::Tcp(stream),
        }))
    }
}

impl std::fmt::Display for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Udp(host) => write!(f, "{host} (UDP)"),
            Self::Tcp(host) => write!(f, "{host} (TCP)"),
            Self::Tls(host, ..) => write!(f, "{host} (TLS)"),
        }
    }
}

impl Datagrams {
    /// Whether what was sent has arrived.
    pub(super) fn are_certain(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Sends one datagram; halves what the system finds too long.
    pub(super) async fn send(&self, form: Form, mut message: Vec<u8>) -> io::Result<()> {
        form.cut(&mut message, LONGEST_DATAGRAM);
        loop {
            let sent = match self {
                Self::Udp(socket) => socket.send(&message).await,
                Self::Unix(socket) => socket.send(&message).await,
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

    /// Waits for a refusal.
    pub(super) async fn settle(&self) -> io::Result<()> {
        match self {
            Self::Udp(socket) => refusal(socket, REFUSAL).await,
            // The far end of a unix socket has it, or sending it failed.
            Self::Unix(_) => {
                step("the receiver has it");
                Ok(())
            }
        }
    }
}

/// Bytes: what every receiver must take (RFC 5424, section 6.1). If even that is too long, it is not the length.
const SHORTEST: usize = 480;
