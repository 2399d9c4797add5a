//! Accepts connections. Every peer is seen; not every peer is served.

use std::{
    collections::HashMap,
    fs::File,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use haldane_core::{Batch, Input, Limits, Peer, Sighting, Transport, Untrusted};
use ipnet::IpNet;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Admission, Conn, Reporter,
    admission::Permit,
    drive::{Served, drive},
    kinds::{OPENED, PROXY, TURNED},
    proxy,
};

/// A service as a listener needs to know it.
#[derive(Debug)]
pub struct Listening {
    /// The `service` of its events.
    pub name: &'static str,
    /// What answers.
    pub served: Served,
    /// Bounds in force.
    pub limits: Limits,
    /// Who is being served.
    pub admission: Arc<Admission>,
    /// Whose PROXY header is believed, and demanded.
    pub proxies: Vec<IpNet>,
}

/// A listening backlog as long as the kernel's own bound for it on current systems (net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Binds a TCP socket; done before privileges are dropped. On an IPv6 address it takes IPv6 only, so that both
/// families can be bound to one port.
///
/// # Errors
/// As the system says: in use, not permitted, no such address.
pub fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds a UDP socket; otherwise as [`bind_tcp`].
///
/// # Errors
/// As the system says.
pub fn bind_udp(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Gives a bound socket to the runtime.
///
/// # Errors
/// Outside a runtime.
pub fn tcp(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    TcpListener::from_std(socket)
}

/// Gives a bound socket to the runtime.
///
/// # Errors
/// Outside a runtime.
pub fn udp(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket)
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Accepts until told to stop, then hands the socket back: a reload may give it to a successor.
pub async fn serve(
    socket: TcpListener,
    listening: Arc<Listening>,
    events: mpsc::Sender<Batch>,
    sessions: TaskTracker,
    accepting: CancellationToken,
    stop: CancellationToken,
) -> TcpListener {
    let mut door = Door::new(socket);
    let mut turned = Turned::default();
    // Those who are over a limit as their proxy named them.
    let (refuse, mut refused) = mpsc::channel(REFUSED);
    loop {
        let due = turned.due();
        let knock = tokio::select! {
            biased;
            () = accepting.cancelled() => break,
            () = tokio::time::sleep_until(due), if !turned.counts.is_empty() => {
                turned.flush(&listening, &events).await;
                continue;
            }
            Some((peer, limit)) = refused.recv() => {
                turned.count(peer, limit, &listening, &events).await;
                continue;
            }
            knock = door.knock() => knock,
        };
        let (stream, peer) = match knock {
            Knock::Peer(stream, peer) => (stream, peer),
            Knock::Turned(peer) => {
                turned.count(peer, "descriptors", &listening, &events).await;
                continue;
            }
            Knock::Nobody => continue,
        };
        // The limit for each source is for the real source, which a proxied connection has yet to name.
        let proxied = listening.proxies.iter().any(|proxies| proxies.contains(&peer.remote.ip()));
        let permit = match listening.admission.admit((!proxied).then(|| peer.remote.ip())) {
            Ok(permit) => permit,
            Err(limit) => {
                drop(stream);
                turned.count(peer, limit, &listening, &events).await;
                continue;
            }
        };
        let ground = (Arc::clone(&listening), events.clone(), stop.clone());
        sessions.spawn(session(stream, peer, permit, proxied.then(|| refuse.clone()), ground));
    }
    refused.close();
    while let Some((peer, limit)) = refused.recv().await {
        turned.count(peer, limit, &listening, &events).await;
    }
    turned.flush(&listening, &events).await;
    door.socket
}

/// Sees, and turns away, whoever had connected and was not accepted when the program came to its end.
pub async fn turn_away_the_rest(socket: TcpListener, listening: &Listening, events: &mpsc::Sender<Batch>) {
    let (mut door, mut turned) = (Door::new(socket), Turned::default());
    for _ in 0..BACKLOG {
        match timeout(LAST_LOOK, door.knock()).await {
            Ok(Knock::Peer(_, peer) | Knock::Turned(peer)) => {
                turned.count(peer, "shutdown", listening, events).await;
            }
            Ok(Knock::Nobody) => {}
            Err(_) => break,
        }
    }
    turned.flush(listening, events).await;
}

/// How long a look takes whether somebody is there.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// Refused connections that wait to be counted; their sessions wait with them.
const REFUSED: usize = 16;

/// One connection, from a proxy if `refuse` says where to send those who are over a limit. What happens once, or
/// never, is boxed where it is awaited: an idle connection is as large as the largest of what it may await.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn holds its arguments twice: as they came, and as they are used"
)]
fn session(
    mut stream: TcpStream,
    mut peer: Peer,
    mut permit: Permit,
    refuse: Option<mpsc::Sender<(Peer, &'static str)>>,
    (listening, events, stop): (Arc<Listening>, mpsc::Sender<Batch>, CancellationToken),
) -> impl Future<Output = ()> + Send {
    async move {
        stream.set_nodelay(true).ok();
        if let Some(keepalive) = listening.limits.keepalive {
            let options = TcpKeepalive::new()
                .with_time(keepalive.idle)
                .with_interval(keepalive.interval)
                .with_retries(keepalive.probes);
            SockRef::from(&stream).set_tcp_keepalive(&options).ok();
        }
        if let Some(refuse) = refuse {
            match Box::pin(named(&mut stream, &stop)).await {
                Ok(None) => {}
                Ok(Some((remote, local))) => {
                    let via = Some(peer.remote);
                    peer = Peer { via, ..Peer::new(remote, local, Transport::Tcp) };
                }
                Err(excerpt) => {
                    let seen = Sighting::of(&PROXY).with("excerpt", excerpt);
                    let mut reporter = Reporter::new(events, listening.name, peer);
                    return Box::pin(reporter.report(vec![seen])).await;
                }
            }
            if let Err(limit) = permit.name(peer.remote.ip()) {
                drop(stream);
                if Box::pin(refuse.send((peer, limit))).await.is_err() {
                    Box::pin(report_turned(peer, limit, 1, &listening, &events)).await;
                }
                return;
            }
        }
        let mut reporter = Reporter::new(events, listening.name, peer);
        reporter.opened(Sighting::of(&OPENED));
        // Boxed apart, so that the task of a connection is not as large as all its states side by side.
        Box::pin(drive(Conn::new(stream, listening.limits), &listening.served, reporter, stop)).await;
    }
}

/// A proxy sends its header at once.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// The ends as the proxy names them. `Err`: what came instead.
async fn named(stream: &mut TcpStream, stop: &CancellationToken) -> Result<proxy::Ends, Untrusted> {
    let mut head = Vec::new();
    let read = timeout(PROXY_PATIENCE, proxy_header(stream, &mut head));
    let ends = tokio::select! {
        biased;
        read = read => read.ok().flatten(),
        () = stop.cancelled() => None,
    };
    ends.ok_or_else(|| head.into())
}

/// Takes the header off the stream, and nothing that follows it. `None`: what is in `head` is no header.
async fn proxy_header(stream: &mut TcpStream, head: &mut Vec<u8>) -> Option<proxy::Ends> {
    loop {
        let mut input = Input::stream(head);
        let more = match proxy::header(&mut input) {
            Ok(ends) => return Some(ends),
            // A text header's length is known only at its end.
            Err(haldane_core::Halt::Need(_)) if head.first() != Some(&b'\r') => 1,
            Err(haldane_core::Halt::Need(n)) => n.saturating_sub(head.len()).max(1),
            Err(haldane_core::Halt::Malformed(_)) => return None,
        };
        let more = u64::try_from(more).unwrap_or(1);
        if (&mut *stream).take(more).read_buf(head).await.unwrap_or_default() == 0 {
            return None;
        }
    }
}

/// Where peers come in. A descriptor is kept back, so that even with none left a peer can be seen.
struct Door {
    socket: TcpListener,
    spare: Option<File>,
    backoff: Duration,
}

/// Who is at the door.
enum Knock {
    Peer(TcpStream, Peer),
    /// Somebody for whom there was no descriptor, and who was hung up on.
    Turned(Peer),
    /// Somebody who has left, or nobody for whom there would be a descriptor.
    Nobody,
}

const BACKOFF: Duration = Duration::from_millis(5);

impl Door {
    fn new(socket: TcpListener) -> Self {
        Self { socket, spare: spare(), backoff: BACKOFF }
    }

    /// Waits for somebody. May be cut short.
    async fn knock(&mut self) -> Knock {
        match self.socket.accept().await {
            Ok((stream, remote)) => {
                self.backoff = BACKOFF;
                let peer = self.peer(&stream, remote);
                self.spare = self.spare.take().or_else(spare);
                if self.spare.is_none() {
                    // Somebody else took what was kept back while it was lent. This one's is kept instead: whoever
                    // comes next must be seen, too.
                    drop(stream);
                    self.spare = spare();
                    return peer.map_or(Knock::Nobody, Knock::Turned);
                }
                peer.map_or(Knock::Nobody, |peer| Knock::Peer(stream, peer))
            }
            Err(error) => {
                // EMFILE and ENFILE (errno 24 and 23 on Linux).
                let exhausted = matches!(error.raw_os_error(), Some(23 | 24));
                if exhausted && let Some(peer) = self.turn_away().await {
                    return Knock::Turned(peer);
                }
                // Never fatal, never a busy loop. The peer may also be gone already (ECONNABORTED).
                let pause = self.backoff;
                self.backoff = pause.saturating_mul(2).min(Duration::from_secs(1));
                tokio::time::sleep(pause).await;
                Knock::Nobody
            }
        }
    }

    /// Accepts with the descriptor that was kept back, hangs up, keeps one back again.
    async fn turn_away(&mut self) -> Option<Peer> {
        self.spare.take().or_else(spare)?;
        let accepted = timeout(Duration::from_millis(10), self.socket.accept()).await;
        let peer = accepted.ok().and_then(Result::ok).and_then(|(stream, remote)| self.peer(&stream, remote));
        self.spare = spare();
        peer
    }

    fn peer(&self, stream: &TcpStream, remote: SocketAddr) -> Option<Peer> {
        let local = stream.local_addr().or_else(|_| self.socket.local_addr()).ok()?;
        Some(Peer::new(remote, local, Transport::Tcp))
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Turned-away connections: the first of a source is reported at once, those of the next second are counted.
/// A flood is then a few events a second that say how large it was.
#[derive(Default)]
struct Turned {
    counts: HashMap<IpAddr, (Peer, &'static str, u64)>,
    since: Option<Instant>,
}

/// Sources counted at once; beyond it, what is counted is reported early.
const SOURCES: usize = 1024;

impl Turned {
    fn due(&self) -> Instant {
        let since = self.since.unwrap_or_else(Instant::now);
        since.checked_add(Duration::from_secs(1)).unwrap_or(since)
    }

    async fn count(
        &mut self,
        peer: Peer,
        limit: &'static str,
        listening: &Listening,
        events: &mpsc::Sender<Batch>,
    ) {
        self.since.get_or_insert_with(Instant::now);
        if let Some((_, _, count)) = self.counts.get_mut(&peer.remote.ip()) {
            *count = count.saturating_add(1);
        } else {
            report_turned(peer, limit, 1, listening, events).await;
            self.counts.insert(peer.remote.ip(), (peer, limit, 0));
        }
        if self.counts.len() >= SOURCES || self.due() <= Instant::now() {
            self.flush(listening, events).await;
        }
    }

    async fn flush(&mut self, listening: &Listening, events: &mpsc::Sender<Batch>) {
        self.since = None;
        for (_, (peer, limit, count)) in self.counts.drain() {
            if count > 0 {
                report_turned(peer, limit, count, listening, events).await;
            }
        }
    }
}

async fn report_turned(
    peer: Peer,
    limit: &'static str,
    count: u64,
    listening: &Listening,
    events: &mpsc::Sender<Batch>,
) {
    let seen = Sighting::of(&TURNED).with("limit", limit).with("count", count);
    Reporter::new(events.clone(), listening.name, peer).report(vec![seen]).await;
}
