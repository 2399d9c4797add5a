//! Datagrams on loopback with real sockets.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use haldane_core::{Batch, Cx, Exchange, Flow, Halt, Input, Peer, Sighting, Value};
use haldane_net::{
    datagram::Listener,
    listen::{bind_udp, udp},
    serve_datagrams,
};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::WORD;

struct Shout;

impl haldane_core::service::AnyDatagrams for Shout {
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.report(Sighting::of(&WORD).with("word", datagram.rest()));
        cx.reply(datagram.take_rest());
        Ok(())
    }

    fn exchange(&self, datagram: &[u8], _: &Peer) -> Option<Box<dyn Exchange>> {
        let size = datagram.strip_prefix(b"talk ")?;
        Some(Box::new(Repeat(size.len())))
    }
}

/// Says so many times as many bytes as were said, whoever asks.
struct Repeat(usize);

impl Exchange for Repeat {
    fn begin(&mut self, cx: &mut Cx<'_>) -> Result<Flow, Halt> {
        cx.report(Sighting::of(&WORD).with("word", "begun"));
        cx.reply(vec![b'x'; if self.0 == 4 { 100 } else { self.0 }]);
        Ok(Flow::Continue)
    }

    fn take(&mut self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<Flow, Halt> {
        let word = datagram.take_rest();
        if word == b"odd" {
            return Err(Halt::Malformed("odd"));
        }
        cx.report(Sighting::of(&WORD).with("word", word));
        cx.reply(vec![b'y'; 1000]);
        Ok(if word == b"bye" { Flow::Close } else { Flow::Continue })
    }

    fn silence(&mut self, _: &mut Cx<'_>) -> Flow {
        Flow::Close
    }

    fn end(&mut self, cx: &mut Cx<'_>) {
        cx.report(Sighting::of(&WORD).with("word", "end"));
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    fn largest(&self) -> usize {
        100
    }
}

struct Datagrams {
    address: SocketAddr,
    events: mpsc::Receiver<Batch>,
    stop: CancellationToken,
    service: JoinHandle<tokio::net::UdpSocket>,
}

impl Datagrams {
    fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    fn at(address: &str) -> Self {
        let socket = udp(bind_udp(address.parse().unwrap()).unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let (events, received) = mpsc::channel(1000);
        let stop = CancellationToken::new();
        let (service, sessions) = (Arc::new(Shout), TaskTracker::new());
        let listener = Listener { name: "shout", service, events, sessions, stop: stop.clone() };
        let service = tokio::spawn(serve_datagrams(socket, listener, stop.clone()));
        Self { address, events: received, stop, service }
    }

    /// The next batch, recorded.
    async fn words(&mut self) -> Vec<Value> {
        let batch = timeout(Duration::from_secs(20), self.events.recv()).await.unwrap().unwrap();
        if let Some(recorded) = batch.recorded {
            recorded();
        }
        let fact = |event: &haldane_core::Event| {
            event.fields.get("word").or(event.fields.get("why")).unwrap().clone()
        };
        batch.events.iter().map(fact).collect()
    }
}

/// A client, and the service that it talks to.
async fn client(to: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(to).await.unwrap();
    client
}

async fn hears(client: &UdpSocket) -> (usize, SocketAddr) {
    let mut buffer = [0; 2000];
    timeout(Duration::from_secs(20), client.recv_from(&mut buffer)).await.unwrap().unwrap()
}

#[tokio::test]
async fn an_exchange_talks_from_a_port_of_its_own_and_at_length_only_to_a_proved_address() {
    let mut port = Datagrams::new();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.send_to(b"talk loud", port.address).await.unwrap();
    assert_eq!(port.words().await, [Value::from("begun")], "and is not answered: that would amplify");
    client.send_to(b"talk twice", port.address).await.unwrap();
    assert_eq!(port.words().await, [Value::from("begun")]);
    let (length, own) = hears(&client).await;
    assert_eq!(length, 5);
    assert_ne!(own, port.address);
    client.send_to(b"more", own).await.unwrap();
    assert_eq!(port.words().await, [Value::from("more")]);
    assert_eq!(hears(&client).await, (1000, own));
    client.send_to(b"odd", own).await.unwrap();
    assert_eq!(port.words().await, [Value::from("odd")], "recorded, and nothing changes");
    client.send_to(b"bye", own).await.unwrap();
    assert_eq!(port.words().await, [Value::from("bye")]);
    assert_eq!(hears(&client).await, (1000, own));
    assert_eq!(port.words().await, [Value::from("end")]);
}

/// On every address: each of them is another host to whoever asks.
#[tokio::test]
async fn the_address_that_was_talked_to_is_recorded_and_answers() {
    for (bound, talked_to) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1")] {
        let mut port = Datagrams::at(bound);
        let to = SocketAddr::new(talked_to.parse().unwrap(), port.address.port());
        let client = UdpSocket::bind(SocketAddr::new(
            if to.is_ipv4() { "127.0.0.1" } else { "::1" }.parse().unwrap(),
            0,
        ));
        let client = client.await.unwrap();
        client.send_to(b"hello", to).await.unwrap();
        let batch = timeout(Duration::from_secs(20), port.events.recv()).await.unwrap().unwrap();
        assert_eq!(batch.events[0].peer.unwrap().local, to);
        batch.recorded.unwrap()();
        assert_eq!(hears(&client).await, (5, to));
        client.send_to(b"talk twice", to).await.unwrap();
        assert_eq!(port.words().await, [Value::from("begun")]);
        assert_eq!(hears(&client).await.1.ip(), to.ip());
    }
}

#[tokio::test]
async fn a_stop_ends_an_exchange_with_its_last_words() {
    let mut port = Datagrams::new();
    let client = client(port.address).await;
    client.send(b"talk twice").await.unwrap();
    assert_eq!(port.words().await, [Value::from("begun")]);
    port.stop.cancel();
    assert_eq!(port.words().await, [Value::from("end")]);
    port.service.await.unwrap();
}

#[tokio::test]
async fn a_slow_store_makes_no_datagram_unseen() {
    let socket = udp(bind_udp("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap();
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(socket.local_addr().unwrap()).unwrap();
    for number in 0..100_u8 {
        client.send(&[number]).unwrap();
    }
    let (sender, mut events) = mpsc::channel(1000);
    let stop = CancellationToken::new();
    let (service, sessions) = (Arc::new(Shout), TaskTracker::new());
    let listener = Listener { name: "shout", service, events: sender, sessions, stop: stop.clone() };
    let service = tokio::spawn(serve_datagrams(socket, listener, stop.clone()));
    // Nothing is recorded: two seconds for each of them would be minutes.
    let mut unrecorded = Vec::new();
    let all = async {
        for number in 0..100_u8 {
            let batch = events.recv().await.unwrap();
            assert_eq!(batch.events[0].fields["word"], Value::from(&[number][..]));
            unrecorded.push(batch);
        }
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(client.recv(&mut [0; 10]).unwrap(), 1);
    client.send(b"last").unwrap();
    stop.cancel();
    assert_eq!(events.recv().await.unwrap().events[0].fields["word"], Value::from("last"));
    service.await.unwrap();
}
