//! The decoys at work: sockets, listeners, and what a reload changes of them.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, TcpListener, UdpSocket},
    path::Path,
    sync::Arc,
};

use haldane_core::{Batch, Feed, Keep, TlsUse, Transport, service::Service};
use haldane_net::{
    Admission, Listening, Room, datagram,
    drive::Served,
    listen::{self, bind_tcp, bind_udp},
    sensor::{self, Opened},
    serve_datagrams,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::certificates::Certificate;
use crate::config::{Endpoint, LimitSettings, ServiceConfig};

/// What was opened with privileges and nobody serves at the moment.
#[derive(Debug)]
pub enum Bound {
    /// Accepting connections.
    Tcp(TcpListener),
    /// Receiving datagrams.
    Udp(UdpSocket),
    /// Feeding a sensor.
    Feed(Box<Opened>),
}

/// Where something is opened.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A port.
    Port(Endpoint),
    /// A sensor's feed.
    Feed(Feed),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(endpoint) => endpoint.fmt(f),
            Self::Feed(feed) => feed.fmt(f),
        }
    }
}

/// What is open, by where it is.
pub type Sockets = HashMap<Place, Bound>;

/// A service, or one address of it, that could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its name.
    pub service: &'static str,
    /// Where it was to listen or to look, if that was the trouble.
    pub address: Option<Place>,
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
    sockets: Vec<(Place, Bound)>,
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
    for place in places(&config) {
        let bound = idle.remove(&place).map_or_else(|| bind(&place), Ok);
        match bound {
            Ok(socket) => sockets.push((place, socket)),
            Err(error) => refused.push((place, error)),
        }
    }
    for (place, error) in refused {
        let Place::Port(endpoint) = place else {
            failed.push(Failed { service, why: blind(&place, &error, moment), address: Some(place) });
            continue;
        };
        // "Every address" on a machine without IPv6 is every IPv4 address.
        let other_family_works = endpoint.address.ip() == IpAddr::from(std::net::Ipv6Addr::UNSPECIFIED)
            && error.kind() != io::ErrorKind::AddrInUse
            && sockets.iter().any(|(bound, _)| matches!(bound, Place::Port(bound) if bound.address.port() == endpoint.address.port()));
        if !other_family_works {
            failed.push(Failed { service, why: explain(&endpoint, &error, moment), address: Some(place) });
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

/// Everything that a service wants open.
pub fn places(config: &ServiceConfig) -> impl Iterator<Item = Place> {
    let feeds = config.service.sensor.as_ref().map(|sensor| sensor.feeds()).unwrap_or_default();
    config.endpoints.iter().copied().map(Place::Port).chain(feeds.into_iter().map(Place::Feed))
}

fn bind(place: &Place) -> io::Result<Bound> {
    match place {
        Place::Feed(feed) => sensor::open(feed).map(|opened| Bound::Feed(Box::new(opened))),
        Place::Port(Endpoint { transport: Transport::Tcp, address }) => bind_tcp(*address).map(Bound::Tcp),
        Place::Port(Endpoint { address, .. }) => bind_udp(*address).map(Bound::Udp),
    }
}

fn blind(place: &Place, error: &io::Error, moment: Moment) -> String {
    match (error.kind(), moment) {
        (io::ErrorKind::PermissionDenied, Moment::Reload) => {
            format!("{place} needs a privilege that was given up after the start: restart the canary")
        }
        (io::ErrorKind::PermissionDenied, Moment::Start) if matches!(place, Place::Feed(Feed::Packets)) => {
            format!(
                "{place} cannot be looked at without CAP_NET_RAW: start as root with --uid and --gid, or grant it \
             (systemd: AmbientCapabilities=CAP_NET_RAW, Docker: --cap-add=NET_RAW); it is given up once the canary runs"
            )
        }
        (io::ErrorKind::PermissionDenied, Moment::Start) => format!("{place} needs root: {error}"),
        _ => format!("{place}: {error}"),
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
    /// Where it listens or looks.
    pub places: Vec<Place>,
    /// A command that shows it at work.
    pub hint: &'static str,
    /// Equal settings, equal text.
    pub fingerprint: String,
    certificate: Option<Certificate>,
    accepting: CancellationToken,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<Vec<(Place, Bound)>>>,
}

impl Decoy {
    /// Starts a prepared service.
    ///
    /// # Errors
    /// The runtime does not take its sockets.
    pub fn start(prepared: Prepared, ground: &Ground) -> io::Result<Self> {
        let Prepared { mut config, certificate, sockets } = prepared;
        let (accepting, stop) = (ground.accepting.child_token(), ground.stop.child_token());
        let places = sockets.iter().map(|(place, _)| place.clone()).collect();
        let sensor = config.service.sensor.take();
        let listening = listening(&config, certificate.as_ref(), ground).map(Arc::new);
        let name = config.entry.name;
        let mut listeners = Vec::new();
        let mut feeds = Vec::new();
        for (place, socket) in sockets {
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
                            return Vec::new();
                        }
                        socket.into_std().map(|socket| (place, Bound::Tcp(socket))).into_iter().collect()
                    })
                }
                (Bound::Udp(socket), _, Service { datagrams: Some(service), .. }) => {
                    let socket = listen::udp(socket)?;
                    let (service, sessions) = (Arc::clone(service), ground.sessions.clone());
                    let listener = datagram::Listener { name, service, events, sessions, stop };
                    ground.sessions.spawn(async move {
                        let socket = serve_datagrams(socket, listener, accepting).await;
                        socket.into_std().map(|socket| (place, Bound::Udp(socket))).into_iter().collect()
                    })
                }
                (Bound::Feed(opened), ..) => {
                    if let Place::Feed(feed) = place {
                        feeds.push((feed, *opened));
                    }
                    continue;
                }
                _ => continue,
            };
            listeners.push(listener);
        }
        if let Some(sensor) = sensor {
            let (events, accepting) = (ground.events.clone(), accepting.clone());
            listeners.push(ground.sessions.spawn(async move {
                let feeds = sensor::watch(name, sensor, feeds, events, accepting).await;
                let back = |(feed, opened)| (Place::Feed(feed), Bound::Feed(Box::new(opened)));
                feeds.into_iter().map(back).collect()
            }));
        }
        Ok(Self {
            name,
            places,
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
            sockets.extend(listener.await.unwrap_or_default());
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
