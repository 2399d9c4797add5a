//! Connections to receivers that are neither HTTP nor mail: how they are configured, opened, kept, and explained
//! when they fail.
//!
//! What has acknowledgements is delivered by [`deliver`] over a [`Line`], what has none by a [`Courier`].

mod courier;
mod datagram;
mod host;
mod stream;
mod topic;
mod unsure;

use std::{
    fmt,
    future::Future,
    io::{self, ErrorKind},
    time::Duration,
};

use haldane_core::{Record, Section};
use rustls::pki_types::ServerName;
use socket2::TcpKeepalive;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;

pub(crate) use self::{
    courier::{Answers, Courier},
    datagram::{LONGEST_DATAGRAM, LOOK_UP_EVERY, REFUSAL, is_too_long, refusal, udp},
    host::Host,
    stream::Stream,
    topic::Topic,
};
use crate::{
    Failure, step,
    trust::{self, Trust},
};

/// A receiver and whether it is reached over TLS.
#[derive(Debug)]
pub(crate) struct Far {
    pub(crate) host: Host,
    pub(crate) tls: Option<Tls>,
}

/// For connections over TLS.
#[derive(Debug)]
pub(crate) struct Tls {
    name: ServerName<'static>,
    trust: Trust,
}

/// The ports of a protocol, without and with TLS.
pub(crate) type Ports = (u16, u16);

impl Far {
    /// Reads `address`, `tls` and the keys of [`Tls`].
    pub(crate) fn configure(section: &mut Section<'_>, ports: Ports) -> Self {
        let address = section.text(
            "address",
            "localhost",
            "The receiver: a host, or a host and a port as in \"events.example.org:1234\".",
        );
        let wanted = section.flag("tls", false, "Whether the connection is encrypted from its start.");
        let port = if wanted { ports.1 } else { ports.0 };
        let host = Host::parse(&address, port).unwrap_or_else(|| {
            section.invalid("address", "expected a host, or a host and a port as in \"example.org:1234\"");
            Host { name: "localhost".into(), port }
        });
        let tls = Tls::configure(section, &host.name, wanted);
        Self { host, tls }
    }

    /// Connects, and has TLS agreed on if that is wanted.
    ///
    /// # Errors
    /// To be put into words by [`Self::why`].
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        self.connect_to(&self.host).await
    }

    /// The same to another server of the same sort. Unless it is on the host that was configured, its
    /// certificate must hold its own name.
    ///
    /// # Errors
    /// To be put into words by [`Self::why`].
    pub(crate) async fn connect_to(&self, host: &Host) -> io::Result<Stream> {
        let stream = tcp(host).await?;
        match &self.tls {
            None => Ok(Stream::Tcp(stream)),
            Some(tls) if host.name == self.host.name => tls.begin(stream).await,
            Some(tls) => tls.begin_as(host, stream).await,
        }
    }

    /// What went wrong and what the operator can do about it.
    pub(crate) fn why(&self, error: &io::Error) -> String {
        format!("{self}: {}", why(error))
    }

    /// A failure that may pass.
    pub(crate) fn later(&self, why: impl fmt::Display) -> Failure {
        Failure::later(format!("{self}: {why}"))
    }

    /// For [`crate::Sink::reopen`].
    pub(crate) fn renew(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.renew();
        }
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.host, if self.tls.is_some() { "TLS" } else { "TCP" })
    }
}

impl Tls {
    /// Reads the keys of [`Trust`] and `server_name`, which is `host` if left out. `None` if TLS is not wanted,
    /// or if that is no name that a certificate can hold.
    pub(crate) fn configure(section: &mut Section<'_>, host: &str, wanted: bool) -> Option<Self> {
        let trust = Trust::configure(section);
        let given =
            section.optional("server_name", "The name in the receiver's certificate, if not its host's.");
        match ServerName::try_from(given.unwrap_or_else(|| host.to_owned())) {
            Ok(name) if wanted => Some(Self { name, trust }),
            Err(_) if wanted => {
                section.invalid("server_name", "expected a host's name or address");
                None
            }
            _ => None,
        }
    }

    /// Agrees on TLS.
    ///
    /// # Errors
    /// To be put into words by [`why`].
    pub(crate) async fn begin(&self, stream: TcpStream) -> io::Result<Stream> {
        self.agree(self.name.clone(), stream).await
    }

    async fn begin_as(&self, host: &Host, stream: TcpStream) -> io::Result<Stream> {
        let name = ServerName::try_from(host.name.clone())
            .map_err(|_| Words(format!("{} is no name that a certificate can hold", host.name)))?;
        self.agree(name, stream).await
    }

    async fn agree(&self, name: ServerName<'static>, stream: TcpStream) -> io::Result<Stream> {
        let connector = TlsConnector::from(self.trust.config().map_err(io::Error::other)?);
        let stream = connector.connect(name, stream).await?;
        step::encrypted(stream.get_ref().1.protocol_version(), self.trust.verifies());
        Ok(Stream::Tls(Box::new(stream)))
    }

    pub(crate) fn renew(&mut self) {
        self.trust.renew();
    }
}

/// A connection that is noticed to be broken, sooner or later.
///
/// # Errors
/// To be put into words by [`why`].
pub(crate) async fn tcp(host: &Host) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(ErrorKind::AddrNotAvailable);
    for addr in resolved(host).await? {
        match timeout(CONNECT, TcpStream::connect(addr)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                let socket = socket2::SockRef::from(&stream);
                let probes = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE);
                socket.set_tcp_keepalive(&probes)?;
                // A receiver that has lost its power does not even refuse.
                #[cfg(target_os = "linux")]
                socket.set_tcp_user_timeout(Some(SILENCE))?;
                step::connected(addr);
                return Ok(stream);
            }
            Ok(Err(error)) => failure = error,
            Err(_) => failure = ErrorKind::TimedOut.into(),
        }
    }
    Err(failure)
}

/// The addresses of a host.
///
/// # Errors
/// If the name has none; the error says so in words.
pub(crate) async fn resolved(host: &Host) -> io::Result<Vec<std::net::SocketAddr>> {
    match lookup_host((host.name.as_str(), host.port)).await {
        Ok(found) => {
            let found: Vec<_> = found.collect();
            step::resolved(&host.name, &found);
            Ok(found)
        }
        Err(error) => {
            let why =
                format!("the name {} is not resolved ({error}): check it, and this machine's DNS", host.name);
            Err(Words(why).into())
        }
    }
}

/// An error that is for the operator as it is.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Words(pub(crate) String);

impl From<Words> for io::Error {
    fn from(words: Words) -> Self {
        Self::new(ErrorKind::InvalidData, words)
    }
}

/// What went wrong and what the operator can do about it.
pub(crate) fn why(error: &io::Error) -> String {
    if let Some(advice) = trust::advice(error, "ca") {
        return advice;
    }
    if error.get_ref().is_some_and(|inner| inner.is::<Words>()) {
        return error.to_string();
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            "connection refused: nothing listens on that port, or a firewall says no".into()
        }
        ErrorKind::TimedOut => {
            "no answer to the attempt to connect: it is down, or a firewall is silent".into()
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => format!("it hung up without a word of explanation ({error})"),
        _ => error.to_string(),
    }
}

/// A connection on which the far end answers.
pub(crate) type Line = BufReader<Stream>;

/// Why a talk ended.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection broke, or what came was not the protocol.
    Broken(io::Error),
    /// The far end said no.
    Said(Failure),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Words> for Trouble {
    fn from(words: Words) -> Self {
        Self::Broken(words.into())
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Said(failure)
    }
}

/// A protocol with acknowledgements.
pub(crate) trait Publisher: Sync {
    /// What is kept between deliveries.
    type Kept: Send;

    /// The receiver.
    fn far(&self) -> &Far;

    /// Connects and introduces itself.
    fn open(&self) -> impl Future<Output = Result<Self::Kept, Trouble>> + Send;

    /// Sends a batch; returns once all of it was acknowledged.
    fn publish(
        &self,
        kept: &mut Self::Kept,
        batch: &[Record],
    ) -> impl Future<Output = Result<(), Trouble>> + Send;
}

/// Delivers over the connection that was kept, or over a new one; keeps it if that went well. `patience` is how
/// long the far end may take.
///
/// # Errors
/// With words for the operator.
pub(crate) async fn deliver<P: Publisher>(
    publisher: &P,
    kept: &mut Option<P::Kept>,
    batch: &[Record],
    patience: Duration,
) -> Result<(), Failure> {
    let far = publisher.far();
    let talk = async {
        // Out of its place: what is dropped within an exchange leaves no connection behind.
        if let Some(mut line) = kept.take() {
            match publisher.publish(&mut line, batch).await {
                Ok(()) => return Ok(line),
                Err(Trouble::Said(failure)) => return Err(failure),
                // It hung up meanwhile, as a receiver may that has long heard nothing.
                Err(Trouble::Broken(_)) => {}
            }
        }
        let fresh = async {
            let mut line = publisher.open().await?;
            step::step("the receiver speaks the protocol and lets us in");
            publisher.publish(&mut line, batch).await?;
            Ok(line)
        };
        fresh.await.map_err(|trouble| match trouble {
            Trouble::Broken(error) => Failure::later(far.why(&error)),
            Trouble::Said(failure) => failure,
        })
    };
    let delivered = match timeout(patience, talk).await {
        Ok(delivered) => delivered,
        Err(_) => {
            Err(far.later(format_args!("no answer for {patience:?}: it hangs, or a firewall is silent")))
        }
    };
    *kept = Some(delivered?);
    step::step("the receiver confirmed that it has it");
    Ok(())
}

/// Reads up to a line feed, which is cut off together with a CR before it.
///
/// # Errors
/// If the connection ends before, or the line is longer than `most`.
pub(crate) async fn line(from: &mut Line, most: usize) -> io::Result<String> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    from.take(limit).read_until(b'\n', &mut bytes).await?;
    match bytes.pop() {
        Some(b'\n') => {}
        Some(_) if bytes.len() >= most.saturating_sub(1) => {
            return Err(Words(format!("it sent a line of more than {most} bytes")).into());
        }
        _ => return Err(ErrorKind::UnexpectedEof.into()),
    }
    bytes.pop_if(|last| *last == b'\r');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads that many bytes, unless that is more than `most`.
///
/// # Errors
/// If the connection ends before, or it is more.
pub(crate) async fn bytes(from: &mut Line, length: usize, most: usize) -> io::Result<Vec<u8>> {
    if length > most {
        return Err(
            Words(format!("it answered with {length} bytes at once, which is more than is allowed")).into()
        );
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// What is not the protocol.
pub(crate) fn foreign(protocol: &str) -> io::Error {
    Words(format!("what answers there does not speak {protocol}")).into()
}

/// To one address.
const CONNECT: Duration = Duration::from_secs(10);
/// How long what was sent may stay unacknowledged, and how often a silent connection is probed.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn what_was_sent_to_a_receiver_that_has_hung_up_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = Host { name: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let far = Far { host, tls: None };
        let mut stream = far.connect().await.unwrap();
        drop(listener.accept().unwrap());
        // It hangs up after we have looked.
        stream.write_all(b"lost").await.unwrap();
        assert!(stream.listen(Duration::from_millis(20)).await.is_err());
        // In good order: it has read what there was.
        let mut stream = far.connect().await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        stream.write_all(b"read").await.unwrap();
        std::io::Read::read_exact(&mut peer, &mut [0; 4]).unwrap();
        assert!(stream.listen(Duration::from_millis(1)).await.unwrap().stands);
        drop(peer);
        assert!(!stream.listen(Duration::from_millis(20)).await.unwrap().stands);
    }
}
