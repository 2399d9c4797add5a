//! The decoys at work: sockets, listeners, and what a reload changes of them.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, TcpListener, UdpSocket},
    path::Path,
    sync::Arc,
};

use haldane_core::{Batch, Keep, TlsUse, Transport, service::Service};
use haldane_net::{
    Admission, Listening, Room,
    drive::Served,
    listen::{self, bind_tcp, bind_udp},
    serve_datagrams,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::certificates::Certificate;
use crate::config::{Endpoint, LimitSettings, ServiceConfig};

/// A bound socket that nobody serves at the moment.
#[derive(Debug)]
pub enum Bound {
    /// Accepting connections.
    Tcp(TcpListener),
    /// Receiving datagrams.
    Udp(UdpSocket),
}

/// Bound sockets, by where they are.
pub type Sockets = HashMap<Endpoint, Bound>;

/// A service, or one address of it, that could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its name.
    pub service: &'static str,
    /// Where it was to listen, if that was the trouble.
    pub address: Option<Endpoint>,
    /// In words for the operator.
    pub why: String,
}

/// A service with its certificate. Nothing is bound yet.
#[derive(Debug)]
pub struct Loaded {
    /// Its settings.
    pub config: ServiceConfig,
    certificate: Option<Certificate>,
}

/// A service with its sockets and its certificate: what needs privileges is done.
#[derive(Debug)]
pub struct Prepared {
    config: ServiceConfig,
    certificate: Option<Certificate>,
    sockets: Vec<(Endpoint, Bound)>,
}

/// When sockets are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// With all the privileges that there ever were.
    Start,
    /// Without those that were dropped.
    Reload,
}

/// Loads what one service needs beside its sockets.
///
/// # Errors
/// The service that has to do without.
pub fn load(config: ServiceConfig, state_folder: &Path, keep: &dyn Keep) -> Result<Loaded, Failed> {
    let certificate = config.tls.as_ref().map(|settings| Certificate::load(settings, state_folder, keep));
    match certificate.transpose() {
        Ok(certificate) => Ok(Loaded { config, certificate }),
        Err(why) => Err(Failed { service: config.entry.name, address: None, why }),
    }
}

/// Binds for one service. What fails is named; what works, works.
pub fn prepare(
    loaded: Loaded,
    idle: &mut Sockets,
    moment: Moment,
    failed: &mut Vec<Failed>,
) -> Option<Prepared> {
    let Loaded { config, certificate } = loaded;
    let service = config.entry.name;
    let mut sockets = Vec::new();
    let mut refused = Vec::new();
    for endpoint in &config.endpoints {
        let bound = idle.remove(endpoint).map_or_else(|| bind(endpoint), Ok);
        match bound {
            Ok(socket) => sockets.push((*endpoint, socket)),
            Err(error) => refused.push((*endpoint, error)),
        }
    }
    for (endpoint, error) in refused {
        // "Every address" on a machine without IPv6 is every IPv4 address.
        let other_family_works = endpoint.address.ip() == IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED)
            && error.kind() != io::ErrorKind::AddrInUse
            && sockets.iter().any(|(bound, _)| bound.address.port() == endpoint.address.port());
        if !other_family_works {
            failed.push(Failed { service, address: Some(endpoint), why: explain(&endpoint, &error, moment) });
        }
    }
    (!sockets.is_empty()).then_some(Prepared { config, certificate, sockets })
}

impl Prepared {
    /// How many sockets it listens on.
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.config.entry.name
    }
}

fn bind(endpoint: &Endpoint) -> io::Result<Bound> {
    match endpoint.transport {
        Transport::Tcp => bind_tcp(endpoint.address).map(Bound::Tcp),
        Transport::Udp => bind_udp(endpoint.address).map(Bound::Udp),
    }
}

fn explain(endpoint: &Endpoint, error: &io::Error, moment: Moment) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{endpoint} is in use by another program; `ss -lpn` names it")
        }
        io::ErrorKind::PermissionDenied if moment == Moment::Reload => format!(
            "{endpoint} needs a privilege that was given up after the start: restart the canary to bind it, or \
             choose a port from 1024 on"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "{endpoint} needs root to bind (or CAP_NET_BIND_SERVICE): start as root with --uid and --gid, or choose \
             a port from 1024 on"
        ),
        io::ErrorKind::AddrNotAvailable => format!("{endpoint} is no address of this machine"),
        _ => format!("cannot bind {endpoint}: {error}"),
    }
}

/// What is needed to start services.
#[derive(Debug, Clone)]
pub struct Ground {
    /// The queue into the store.
    pub events: mpsc::Sender<Batch>,
    /// All sessions.
    pub sessions: TaskTracker,
    /// Bounds all sessions.
    pub room: Arc<Room>,
    /// Sessions that the descriptors allow.
    pub most: usize,
    /// Listeners stop accepting.
    pub accepting: CancellationToken,
    /// Sessions end.
    pub stop: CancellationToken,
}

impl Ground {
    /// Puts those bounds in force. Sessions that are open stay.
    pub fn resize(&self, limits: &LimitSettings) {
        let most = limits.connections.unwrap_or(self.most).min(self.most);
        self.room.resize(most, limits.per_source.unwrap_or(usize::MAX));
    }
}

/// A service at work.
pub struct Decoy {
    /// Its name.
    pub name: &'static str,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// A command that shows it at work.
    pub hint: &'static str,
    /// Equal settings, equal text.
    pub fingerprint: String,
    certificate: Option<Certificate>,
    accepting: CancellationToken,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<Option<(Endpoint, Bound)>>>,
}

impl Decoy {
    /// Starts a prepared service.
    ///
    /// # Errors
    /// The runtime does not take its sockets.
    pub fn start(prepared: Prepared, ground: &Ground) -> io::Result<Self> {
        let Prepared { config, certificate, sockets } = prepared;
        let (accepting, stop) = (ground.accepting.child_token(), ground.stop.child_token());
        let endpoints = sockets.iter().map(|(endpoint, _)| *endpoint).collect();
        let listening = listening(&config, certificate.as_ref(), ground).map(Arc::new);
        let mut listeners = Vec::new();
        for (endpoint, socket) in sockets {
            let events = ground.events.clone();
            let (accepting, stop) = (accepting.clone(), stop.clone());
            let listener = match (socket, &listening, &config.service) {
                (Bound::Tcp(socket), Some(listening), _) => {
                    let socket = listen::tcp(socket)?;
                    let (listening, sessions) = (Arc::clone(listening), ground.sessions.clone());
                    let at_the_end = ground.accepting.clone();
                    ground.sessions.spawn(async move {
                        let (served, told) = (Arc::clone(&listening), events.clone());
                        let socket = listen::serve(socket, served, told, sessions, accepting, stop).await;
                        if at_the_end.is_cancelled() {
                            listen::turn_away_the_rest(socket, &listening, &events).await;
                            return None;
                        }
                        Some((endpoint, Bound::Tcp(socket.into_std().ok()?)))
                    })
                }
                (Bound::Udp(socket), _, Service { datagrams: Some(service), .. }) => {
                    let socket = listen::udp(socket)?;
                    let (name, service) = (config.entry.name, Arc::clone(service));
                    ground.sessions.spawn(async move {
                        let socket = serve_datagrams(socket, name, service, events, accepting).await;
                        Some((endpoint, Bound::Udp(socket.into_std().ok()?)))
                    })
                }
                _ => continue,
            };
            listeners.push(listener);
        }
        Ok(Self {
            name: config.entry.name,
            endpoints,
            hint: config.entry.hint,
            fingerprint: config.fingerprint,
            certificate,
            accepting,
            stop,
            listeners,
        })
    }

    /// Ends it: no new connections, open ones hang up. Its sockets stay bound, for a successor.
    pub async fn end(self) -> Sockets {
        self.accepting.cancel();
        self.stop.cancel();
        let mut sockets = Sockets::new();
        for listener in self.listeners {
            sockets.extend(listener.await.ok().flatten());
        }
        sockets
    }

    /// Looks whether its certificate is to be renewed. `Ok(true)`: it was.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn renew(&self, state_folder: &Path, keep: &dyn Keep) -> Result<bool, String> {
        self.certificate.as_ref().map_or(Ok(false), |certificate| certificate.renew(state_folder, keep))
    }
}

fn listening(
    config: &ServiceConfig,
    certificate: Option<&Certificate>,
    ground: &Ground,
) -> Option<Listening> {
    let protocol = Arc::clone(config.service.stream.as_ref()?);
    let from_start = config.tls.as_ref().is_some_and(|tls| tls.from_start);
    Some(Listening {
        name: config.entry.name,
        served: Served {
            protocol,
            tls: if from_start { TlsUse::Always } else { config.entry.tls },
            acceptor: certificate.map(|certificate| certificate.acceptor.clone()),
        },
        limits: config.limits,
        admission: Admission::new(Arc::clone(&ground.room), &config.limits),
        proxies: config.proxies.clone().unwrap_or_default(),
    })
}
