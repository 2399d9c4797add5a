//! Listeners on loopback with real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use haldane_core::{Batch, Event, Limits, TlsUse, Value};
use haldane_net::{
    Admission, Listening, Room,
    drive::Served,
    listen::{bind_tcp, serve, tcp, turn_away_the_rest},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Echo, LIMITS};

/// A listener on loopback with real sockets.
struct Port {
    address: SocketAddr,
    events: mpsc::Receiver<Batch>,
    accepting: CancellationToken,
    stop: CancellationToken,
    listener: JoinHandle<tokio::net::TcpListener>,
    total: Arc<Room>,
}

impl Port {
    fn new(limits: Limits, proxies: &[&str], most: usize) -> Self {
        let socket = tcp(bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let (sender, events) = mpsc::channel(1000);
        let total = Arc::new(Room::new(most, usize::MAX));
        let listening = Listening {
            name: "echo",
            served: Served { protocol: Arc::new(Echo(limits)), tls: TlsUse::Never, acceptor: None },
            limits,
            admission: Admission::new(Arc::clone(&total), &limits),
            proxies: proxies.iter().map(|range| range.parse().unwrap()).collect(),
        };
        let (accepting, stop) = (CancellationToken::new(), CancellationToken::new());
        let served =
            serve(socket, Arc::new(listening), sender, TaskTracker::new(), accepting.clone(), stop.clone());
        Self { address, events, accepting, stop, listener: tokio::spawn(served), total }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn next(&mut self) -> Event {
        let mut batch = timeout(Duration::from_secs(5), self.events.recv()).await.unwrap().unwrap();
        if let Some(recorded) = batch.recorded {
            recorded();
        }
        batch.events.remove(0)
    }
}

#[tokio::test]
async fn over_a_limit_a_peer_is_seen_but_not_served() {
    let mut port = Port::new(LIMITS, &[], 1000);
    let (_first, _second) = (port.connect().await, port.connect().await);
    assert_eq!(port.next().await.kind.name, "connection.opened");
    assert_eq!(port.next().await.kind.name, "connection.opened");
    let mut third = port.connect().await;
    let turned = port.next().await;
    assert_eq!((turned.kind.name, &turned.fields["limit"]), ("connection.turned", &Value::from("per_peer")));
    assert_eq!(third.read(&mut [0; 10]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn a_flood_over_a_limit_is_counted_not_listed() {
    let mut port = Port::new(Limits { per_peer: 0, ..LIMITS }, &[], 1000);
    for _ in 0..50 {
        drop(port.connect().await);
    }
    let (first, rest) = (port.next().await, port.next().await);
    assert_eq!(first.fields["count"], Value::Int(1));
    assert_eq!(rest.fields["count"], Value::Int(49));
}

#[tokio::test]
async fn the_bound_of_the_whole_process_holds_and_comes_free_again() {
    let mut port = Port::new(LIMITS, &[], 1);
    let first = port.connect().await;
    assert_eq!(port.next().await.kind.name, "connection.opened");
    let _second = port.connect().await;
    assert_eq!(port.next().await.fields["limit"], Value::from("total"));
    drop(first);
    assert_eq!(port.next().await.kind.name, "connection.closed");
    while port.total.served() > 0 {
        tokio::task::yield_now().await;
    }
    let _third = port.connect().await;
    assert_eq!(port.next().await.kind.name, "connection.opened");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_source_and_must() {
    let mut port = Port::new(LIMITS, &["127.0.0.0/8"], 1000);
    let mut proxied = port.connect().await;
    proxied.write_all(b"PROXY TCP4 198.51.100.9 192.0.2.1 4711 22\r\nhi\n").await.unwrap();
    let opened = port.next().await;
    assert_eq!(opened.source(), Some("198.51.100.9".parse().unwrap()));
    assert_eq!(opened.peer.unwrap().via.unwrap().ip(), port.address.ip());
    assert_eq!(port.next().await.fields["word"], Value::from("hi"));
    let mut plain = port.connect().await;
    plain.write_all(b"hi\n").await.unwrap();
    assert_eq!(port.next().await.kind.name, "proxy.malformed");
}

#[tokio::test]
async fn behind_a_proxy_the_limit_for_each_source_is_for_the_real_one() {
    let mut port = Port::new(Limits { per_peer: 1, connections: 100, ..LIMITS }, &["127.0.0.0/8"], 1000);
    let mut held = Vec::new();
    for (source, seen) in [(9, "connection.opened"), (9, "connection.turned"), (10, "connection.opened")] {
        let mut proxied = port.connect().await;
        let header = format!("PROXY TCP4 198.51.100.{source} 192.0.2.1 4711 22\r\n");
        proxied.write_all(header.as_bytes()).await.unwrap();
        let event = port.next().await;
        assert_eq!((event.kind.name, event.peer.unwrap().remote.ip()), (seen, [198, 51, 100, source].into()));
        held.push(proxied);
    }
    assert_eq!(port.total.served(), 2);
}

#[tokio::test]
async fn a_shutdown_in_the_middle_of_a_proxy_header_is_seen() {
    let mut port = Port::new(LIMITS, &["127.0.0.0/8"], 1000);
    let _proxied = port.connect().await;
    while port.total.served() == 0 {
        tokio::task::yield_now().await;
    }
    port.stop.cancel();
    assert_eq!(port.next().await.kind.name, "proxy.malformed");
}

#[test]
fn the_limit_for_each_source_over_all_services_holds() {
    let room = Arc::new(Room::new(10, 1));
    let (one, other) = (Admission::new(room.clone(), &LIMITS), Admission::new(room.clone(), &LIMITS));
    let (eve, bob) = (Some([192, 0, 2, 7].into()), Some([192, 0, 2, 8].into()));
    let permit = one.admit(eve).unwrap();
    assert_eq!(other.admit(eve).err(), Some("per_source"));
    let _bob = other.admit(bob).unwrap();
    room.resize(2, 2);
    assert_eq!(other.admit(eve).err(), Some("total"));
    drop(permit);
    let mut unnamed = other.admit(None).unwrap();
    room.resize(10, 1);
    assert_eq!(unnamed.name([192, 0, 2, 8].into()).err(), Some("per_source"));
    assert_eq!(room.served(), 2);
    drop(unnamed);
    assert_eq!(room.served(), 1);
}

#[tokio::test]
async fn somebody_else_s_proxy_header_is_not_believed() {
    let mut port = Port::new(LIMITS, &["192.0.2.0/24"], 1000);
    let mut liar = port.connect().await;
    liar.write_all(b"PROXY TCP4 198.51.100.9 192.0.2.1 4711 22\r\n").await.unwrap();
    assert_eq!(port.next().await.source(), Some("127.0.0.1".parse().unwrap()));
    assert_eq!(port.next().await.kind.name, "echo.word");
}

#[tokio::test]
async fn whoever_had_connected_when_the_program_ends_is_seen() {
    let port = Port::new(LIMITS, &[], 1000);
    port.accepting.cancel();
    let socket = timeout(Duration::from_secs(5), port.listener).await.unwrap().unwrap();
    let _waiting = TcpStream::connect(port.address).await.unwrap();
    let limits = LIMITS;
    let listening = Listening {
        name: "echo",
        served: Served { protocol: Arc::new(Echo(limits)), tls: TlsUse::Never, acceptor: None },
        limits,
        admission: Admission::new(port.total, &limits),
        proxies: Vec::new(),
    };
    let (sender, mut events) = mpsc::channel(10);
    turn_away_the_rest(socket, &listening, &sender).await;
    let turned = events.recv().await.unwrap().events.remove(0);
    assert_eq!((turned.kind.name, &turned.fields["limit"]), ("connection.turned", &Value::from("shutdown")));
}

#[tokio::test]
async fn a_listener_hands_its_socket_to_its_successor() {
    let port = Port::new(LIMITS, &[], 1000);
    port.accepting.cancel();
    let socket = timeout(Duration::from_secs(5), port.listener).await.unwrap().unwrap();
    let waiting = TcpStream::connect(port.address).await.unwrap();
    assert_eq!(socket.accept().await.unwrap().1, waiting.local_addr().unwrap());
}
