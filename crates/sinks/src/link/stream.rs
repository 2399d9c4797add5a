//! A connection, over TLS or not.

use std::{
    io::{self, ErrorKind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_rustls::client::TlsStream;

/// A stream of bytes to a receiver and back.
#[derive(Debug)]
pub(crate) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// What came of listening.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The first of the bytes that came.
    pub(crate) said: Vec<u8>,
    /// Whether the far end has not hung up. If it has, it read before what was sent.
    pub(crate) stands: bool,
}

impl Stream {
    /// For protocols without answers. A receiver that is not there has one: a reset. Waits for it that long.
    pub(crate) async fn listen(&mut self, wait: Duration) -> io::Result<Heard> {
        let now = Instant::now();
        let end = now.checked_add(wait).unwrap_or(now);
        let mut said = Vec::new();
        let mut piece = [0; 1024];
        loop {
            match timeout_at(end, self.read(&mut piece)).await {
                Err(_) => return Ok(Heard { said, stands: true }),
                Ok(Ok(0)) => break,
                Ok(Ok(length)) => {
                    let room = LONGEST_SAID.saturating_sub(said.len()).min(length);
                    said.extend_from_slice(piece.get(..room).unwrap_or_default());
                }
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
        };
        reset.map_or(Ok(Heard { said, stands: false }), Err)
    }
}

/// Bytes of an unasked answer that are kept.
const LONGEST_SAID: usize = 4096;

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, to),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, to),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, to),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, from),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, from),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
