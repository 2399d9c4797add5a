//! How a protocol presents itself to the registry.

use std::{fmt::Debug, path::Path, sync::Arc, time::Duration};

use crate::{
    Cx, Flow, Halt, Input, Kind, Limits, Peer, Section, Sensor, Session, Transport, Windows,
    sensor::AnySensor, session::AnySession,
};

/// What this machine pretends to be. Shared by all services, so that they agree.
#[derive(Debug, Clone)]
pub struct Host {
    /// The name in banners and certificates, as in `files01`.
    pub name: String,
    /// The names, the domain and the build that it has as Windows.
    pub windows: Windows,
    /// Where keys, certificates and serial numbers are kept.
    pub keep: Arc<dyn Keep>,
}

/// Keeps what must stay the same across restarts (host keys, certificates), and what a peer has left behind where the
/// operator wants that.
pub trait Keep: Debug + Send + Sync {
    /// The content of `name` (a file name) in `folder`, or in the state folder if there is none. If it does
    /// not exist, `make` is called and its result kept, readable by its owner alone.
    ///
    /// # Errors
    /// In words for the operator, with the path.
    fn keep(
        &self,
        folder: Option<&Path>,
        name: &str,
        make: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String>;
}

/// How a service uses TLS, unless its section says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// Not at all; `tls = true` in its section wraps it from the first byte.
    Never,
    /// When the session returns [`crate::Flow::StartTls`].
    OnRequest,
    /// When the session asks for it, or from the first byte where the client begins with it.
    Either,
    /// From the first byte.
    Always,
}

/// Whose TLS is imitated: which versions and ciphers, in which order, and how a certificate looks that the machine has
/// made for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsStack {
    /// That of servers on Linux: OpenSSL, and a certificate as Debian's ssl-cert makes it.
    OpenSsl,
    /// That of Windows Server 2019: Schannel, and a certificate as its remote desktop makes it.
    Schannel,
    /// The same of a domain controller, whose certificate its domain has issued.
    Controller,
}

/// A protocol spoken over a byte stream. Implement this, add one line to the registry.
pub trait Protocol: Sized + Send + Sync + 'static {
    /// The folder's name, the configuration key, the `service` of every event.
    const NAME: &'static str;
    /// Where it listens unless told otherwise.
    const PORT: u16;
    /// Bounds; tighten them here where the protocol allows.
    const LIMITS: Limits = Limits::DEFAULT;
    /// Everything it can report.
    const KINDS: &'static [&'static Kind];
    /// How it uses TLS.
    const TLS: TlsUse = TlsUse::Never;
    /// Whose TLS that is, unless it depends on what is imitated.
    const STACK: TlsStack = TlsStack::OpenSsl;
    /// A command that shows it at work, with `{host}` and `{port}`; empty if there is none.
    const TRY: &'static str = "";
    /// Whether its messages have bounds of their own. Where not (a raw port), what arrives together is one
    /// message, and the network decides how a conversation is cut up.
    const FRAMED: bool = true;
    /// One conversation.
    type Session: Session;

    /// Reads its section. Mistakes are noted in the section, all of them; what is returned then is not run.
    /// May read files; opens no socket.
    fn configure(section: &mut Section<'_>, host: &Host) -> Self;
    /// Starts one conversation.
    fn session(&self, peer: &Peer) -> Self::Session;
    /// Bounds as configured, where the protocol's own keys change them.
    fn limits(&self) -> Limits {
        Self::LIMITS
    }
    /// Whose TLS is spoken, where the protocol's own keys change that.
    fn stack(&self) -> TlsStack {
        Self::STACK
    }
}

/// A protocol of single datagrams. The framework never lets a reply outgrow its request.
pub trait Datagrams: Sized + Send + Sync + 'static {
    /// As [`Protocol::NAME`].
    const NAME: &'static str;
    /// As [`Protocol::PORT`].
    const PORT: u16;
    /// As [`Protocol::KINDS`].
    const KINDS: &'static [&'static Kind];
    /// As [`Protocol::TRY`].
    const TRY: &'static str = "";

    /// As [`Protocol::configure`].
    fn configure(section: &mut Section<'_>, host: &Host) -> Self;
    /// Answers one datagram. `Err` is recorded as malformed.
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt>;
    /// Where the real server would answer from a port of its own, and talk on from there: that conversation. Asked
    /// first; [`Self::answer`] is for the datagrams that begin none.
    fn exchange(&self, _datagram: &[u8], _peer: &Peer) -> Option<Box<dyn Exchange>> {
        None
    }
}

/// A conversation of datagrams on a port of its own, which the system chooses: a transfer of TFTP.
///
/// Before the peer has sent something to that port, its address may be forged, and no reply may be larger than twice
/// its request, as everywhere. Afterwards the address is proved, and replies are bounded by [`Limits::bytes_out`]
/// alone. Each call's reply is one datagram.
pub trait Exchange: Send {
    /// The datagram that began it is to be acted upon. `Err` is recorded as malformed, and ends it.
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Flow, Halt>;
    /// Acts on a later one. `Err` is recorded as malformed, and changes nothing.
    fn take(&mut self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<Flow, Halt>;
    /// Nothing came for as long as [`Self::patience`]: what is sent again, or the end.
    fn silence(&mut self, cx: &mut Cx<'_>) -> Flow;
    /// It is over, for whatever reason: evidence may still be reported.
    fn end(&mut self, _cx: &mut Cx<'_>) {}
    /// How long the next datagram is awaited.
    fn patience(&self) -> Duration;
    /// The largest datagram that it takes, in bytes; what is longer is cut there. Asked for each.
    fn largest(&self) -> usize;
    /// Bytes that the first reply may have where that is more than twice the request, because the operator wants
    /// it so (bait). Taken from what its source may cost in a minute.
    fn first_reply(&self) -> usize {
        0
    }
}

/// A running stream protocol, type erased.
pub trait AnyProtocol: Send + Sync {
    /// See [`Protocol::session`].
    fn open(&self, peer: &Peer) -> Box<dyn AnySession>;
    /// See [`Protocol::limits`].
    fn bounds(&self) -> Limits;
    /// See [`Protocol::stack`].
    fn tls_stack(&self) -> TlsStack;
}

impl<P: Protocol> AnyProtocol for P {
    fn open(&self, peer: &Peer) -> Box<dyn AnySession> {
        Box::new(self.session(peer))
    }

    fn bounds(&self) -> Limits {
        self.limits()
    }

    fn tls_stack(&self) -> TlsStack {
        self.stack()
    }
}

/// A running datagram protocol, type erased.
pub trait AnyDatagrams: Send + Sync {
    /// See [`Datagrams::answer`].
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt>;
    /// See [`Datagrams::exchange`].
    fn exchange(&self, datagram: &[u8], peer: &Peer) -> Option<Box<dyn Exchange>>;
}

impl<D: Datagrams> AnyDatagrams for D {
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        Datagrams::answer(self, datagram, cx)
    }

    fn exchange(&self, datagram: &[u8], peer: &Peer) -> Option<Box<dyn Exchange>> {
        Datagrams::exchange(self, datagram, peer)
    }
}

/// One row of the registry.
#[derive(Debug)]
pub struct Entry {
    /// See [`Protocol::NAME`].
    pub name: &'static str,
    /// See [`Protocol::PORT`]; 0 for a sensor.
    pub port: u16,
    /// Further ports of TCP that it listens on unless its section says otherwise.
    pub also: &'static [u16],
    /// See [`Protocol::KINDS`].
    pub kinds: &'static [&'static Kind],
    /// See [`Protocol::TLS`].
    pub tls: TlsUse,
    /// See [`Protocol::TRY`].
    pub hint: &'static str,
    /// Turns its section into a running service.
    pub build: fn(&mut Section<'_>, &Host) -> Service,
    /// Whether it can listen on TCP.
    pub stream: bool,
    /// Whether it can listen on UDP.
    pub datagrams: bool,
    /// What it listens on unless its section says otherwise.
    pub usual: &'static [Transport],
    /// See [`Protocol::FRAMED`].
    pub framed: bool,
    /// See [`Sensor::ON`].
    pub on: bool,
    /// Settings with which it watches; `None` if it never does.
    pub watching: Option<&'static [&'static str]>,
}

/// A service as configured, ready to listen in each of the ways that it can.
pub struct Service {
    /// Over TCP.
    pub stream: Option<Arc<dyn AnyProtocol>>,
    /// Over UDP.
    pub datagrams: Option<Arc<dyn AnyDatagrams>>,
    /// Watching instead of listening.
    pub sensor: Option<Box<dyn AnySensor>>,
}

impl Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("stream", &self.stream.is_some())
            .field("datagrams", &self.datagrams.is_some())
            .field("sensor", &self.sensor.is_some())
            .finish()
    }
}

impl Entry {
    /// The row of a stream protocol.
    pub const fn stream<P: Protocol>() -> Self {
        let build = |section: &mut Section<'_>, host: &Host| Service {
            stream: Some(Arc::new(P::configure(section, host))),
            datagrams: None,
            sensor: None,
        };
        Self {
            name: P::NAME,
            port: P::PORT,
            also: &[],
            kinds: P::KINDS,
            tls: P::TLS,
            hint: P::TRY,
            build,
            stream: true,
            datagrams: false,
            usual: &[Transport::Tcp],
            framed: P::FRAMED,
            on: true,
            watching: None,
        }
    }

    /// The row of a datagram protocol.
    pub const fn datagrams<D: Datagrams>() -> Self {
        let build = |section: &mut Section<'_>, host: &Host| Service {
            stream: None,
            datagrams: Some(Arc::new(D::configure(section, host))),
            sensor: None,
        };
        Self {
            name: D::NAME,
            port: D::PORT,
            also: &[],
            kinds: D::KINDS,
            tls: TlsUse::Never,
            hint: D::TRY,
            build,
            stream: false,
            datagrams: true,
            usual: &[Transport::Udp],
            framed: true,
            on: true,
            watching: None,
        }
    }

    /// The row of a sensor.
    pub const fn sensor<S: Sensor>() -> Self {
        let build = |section: &mut Section<'_>, host: &Host| Service {
            stream: None,
            datagrams: None,
            sensor: Some(Box::new(S::configure(section, host))),
        };
        Self {
            name: S::NAME,
            port: 0,
            also: &[],
            kinds: S::KINDS,
            tls: TlsUse::Never,
            hint: S::TRY,
            build,
            stream: false,
            datagrams: false,
            usual: &[],
            framed: true,
            on: S::ON,
            watching: Some(&[]),
        }
    }

    /// The row of a service that either speaks a protocol itself or watches a real server: its key `mode` says which.
    /// Name and kinds are the protocol's, with the sensor's kinds among them.
    pub const fn either<P: Protocol, S: Sensor>() -> Self {
        let build = |section: &mut Section<'_>, host: &Host| {
            let about = "Whether this is a server of its own (\"native\"), or reads what a real one beside it logs \
                         (\"audit\"). The latter listens nowhere.";
            match section.choice("mode", "native", &["native", "audit"], about) {
                "audit" => Service {
                    stream: None,
                    datagrams: None,
                    sensor: Some(Box::new(S::configure(section, host))),
                },
                _ => Service {
                    stream: Some(Arc::new(P::configure(section, host))),
                    datagrams: None,
                    sensor: None,
                },
            }
        };
        Self { build, watching: Some(&["mode = \"audit\""]), ..Self::stream::<P>() }
    }

    /// Whether it listens nowhere and watches instead.
    pub const fn watches(&self) -> bool {
        !self.stream && !self.datagrams
    }

    /// The row of a protocol that is spoken over both; TCP unless its section says `transport`, or the row
    /// [`Self::usually`].
    pub const fn both<P: Protocol + Datagrams>() -> Self {
        let build = |section: &mut Section<'_>, host: &Host| {
            let service = Arc::new(<P as Protocol>::configure(section, host));
            let stream: Arc<dyn AnyProtocol> = service.clone();
            Service { stream: Some(stream), datagrams: Some(service), sensor: None }
        };
        Self {
            name: <P as Protocol>::NAME,
            port: <P as Protocol>::PORT,
            also: &[],
            kinds: <P as Protocol>::KINDS,
            tls: P::TLS,
            hint: <P as Protocol>::TRY,
            build,
            stream: true,
            datagrams: true,
            usual: &[Transport::Tcp],
            framed: P::FRAMED,
            on: true,
            watching: None,
        }
    }

    /// The same row, for a protocol that listens elsewhere unless its section says otherwise.
    #[must_use]
    pub const fn usually(mut self, transports: &'static [Transport]) -> Self {
        self.usual = transports;
        self
    }

    /// The same row, for a protocol with further ports of TCP: LDAP has one that is inside TLS.
    #[must_use]
    pub const fn also(mut self, ports: &'static [u16]) -> Self {
        self.also = ports;
        self
    }
}
