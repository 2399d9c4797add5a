//! The promises made to authors of services and to operators, under paused time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic, and spawns its own tasks"
)]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use haldane_core::{
    Batch, Class, Cx, Event, Flow, Halt, Host, Input, Kind, Limits, Peer, Protocol, Section, Session,
    Severity, Sighting, Timeout, TlsUse, Transport, Value,
};
use haldane_net::{
    Admission, Conn, Listening, Reporter, Room,
    drive::{Served, drive},
    listen::{bind_tcp, bind_udp, serve, tcp, udp},
    serve_datagrams,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

static WORD: Kind = Kind::new(99_000, "echo.word", Class::Command, Severity::Low, "A word");

/// Echoes lines; some words have a meaning of their own.
struct Echo(Limits);
#[derive(Default)]
struct Talk {
    hasty: bool,
}

impl Protocol for Echo {
    const NAME: &'static str = "echo";
    const PORT: u16 = 7;
    const KINDS: &'static [&'static Kind] = &[&WORD];
    type Session = Talk;
    fn configure(_: &mut Section<'_>, _: &Host) -> Self {
        Self(LIMITS)
    }
    fn session(&self, _: &Peer) -> Talk {
        Talk::default()
    }
    fn limits(&self) -> Limits {
        self.0
    }
}

impl Session for Talk {
    type Message = Vec<u8>;
    fn greet(&mut self, cx: &mut Cx<'_>) {
        cx.reply("hello\n");
    }
    fn parse(&self, input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        match input.peek()? {
            b'!' => Err(Halt::Malformed("not a word")),
            b'#' => Err(Halt::Need(1 << 30)),
            _ => input.line(100).map(<[u8]>::to_vec),
        }
    }
    fn handle(&mut self, word: Vec<u8>, cx: &mut Cx<'_>) -> Flow {
        cx.report(Sighting::of(&WORD).with("word", word.as_slice()));
        match word.as_slice() {
            b"bug" => panic!("on purpose"),
            b"bye" => return Flow::Close,
            b"slow" => cx.pause(Duration::from_secs(3)),
            b"tls" => return Flow::StartTls,
            b"hasty" => self.hasty = true,
            _ => {}
        }
        cx.reply(&word);
        cx.reply("\n");
        Flow::Continue
    }
    fn patience(&self) -> Option<Duration> {
        self.hasty.then_some(Duration::from_secs(5))
    }
    fn timeout(&mut self, _: Timeout, cx: &mut Cx<'_>) {
        cx.reply("too slow\n");
    }
}

const LIMITS: Limits = Limits {
    idle: Duration::from_secs(30),
    lifetime: Duration::from_secs(100),
    frame: 1024,
    bytes_in: 2000,
    bytes_out: 2000,
    connections: 3,
    per_peer: 2,
    linger: Duration::ZERO,
    keepalive: None,
};

/// One conversation over memory.
struct Bench {
    client: DuplexStream,
    events: mpsc::Receiver<Batch>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self::with_queue(limits, 100)
    }

    fn with_queue(limits: Limits, room: usize) -> Self {
        let (client, server) = duplex(64 * 1024);
        let (sender, events) = mpsc::channel(room);
        let stop = CancellationToken::new();
        let reporter = Reporter::new(sender, "echo", peer("::ffff:192.0.2.7"));
        let token = stop.clone();
        let task = tokio::spawn(async move {
            let served = Served { protocol: Arc::new(Echo(limits)), tls: TlsUse::Never, acceptor: None };
            drive(Conn::new(server, limits), &served, reporter, token).await;
        });
        Self { client, events, stop, task }
    }

    async fn say(&mut self, words: &str) {
        self.client.write_all(words.as_bytes()).await.unwrap();
    }

    async fn hear(&mut self) -> String {
        let mut buffer = [0; 4096];
        let count = self.client.read(&mut buffer).await.unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    }

    /// All events until the end.
    async fn events(mut self) -> Vec<Event> {
        let mut all = Vec::new();
        while let Some(batch) = self.events.recv().await {
            all.extend(batch.events);
            if let Some(recorded) = batch.recorded {
                recorded();
            }
        }
        self.task.await.unwrap();
        all
    }

    fn keep_recording(&mut self) -> JoinHandle<Vec<Event>> {
        let mut events = std::mem::replace(&mut self.events, mpsc::channel(1).1);
        tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(batch) = events.recv().await {
                all.extend(batch.events);
                if let Some(recorded) = batch.recorded {
                    recorded();
                }
            }
            all
        })
    }
}

fn peer(ip: &str) -> Peer {
    let remote = SocketAddr::new(ip.parse().unwrap(), 40_000);
    Peer::new(remote, "192.0.2.1:7".parse().unwrap(), Transport::Tcp)
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind.name).collect()
}

fn why(event: &Event) -> String {
    match &event.fields["why"] {
        Value::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_after_the_idle_time_with_last_words() {
    let started = Instant::now();
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    assert_eq!(bench.hear().await, "hello\n");
    assert_eq!(bench.hear().await, "too slow\n");
    assert_eq!(started.elapsed().as_secs(), 30);
    assert_eq!(bench.hear().await, "");
    let events = recording.await.unwrap();
    assert_eq!(why(events.last().unwrap()), "timed out");
}

#[tokio::test(start_paused = true)]
async fn a_session_may_be_less_patient_than_the_idle_time() {
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("hasty\n").await;
    let started = Instant::now();
    assert_eq!(bench.hear().await, "hasty\n");
    assert_eq!(bench.hear().await, "too slow\n");
    assert_eq!(started.elapsed().as_secs(), 5);
    recording.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_busy_conversation_ends_after_the_lifetime() {
    let started = Instant::now();
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    while timeout(Duration::from_secs(20), bench.task_done()).await.is_err() {
        if bench.client.write_all(b"a\n").await.is_err() {
            break;
        }
    }
    assert_eq!(started.elapsed().as_secs(), 100);
    assert_eq!(names(&recording.await.unwrap()).last(), Some(&"connection.closed"));
}

impl Bench {
    async fn task_done(&mut self) {
        (&mut self.task).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dribble_does_not_prolong_the_lifetime_and_a_whole_message_is_not_needed_to_be_idle() {
    let started = Instant::now();
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    while timeout(Duration::from_secs(29), bench.task_done()).await.is_err() {
        if bench.client.write_all(b"a").await.is_err() {
            break;
        }
    }
    assert_eq!(started.elapsed().as_secs(), 100);
    let events = recording.await.unwrap();
    assert!(names(&events).contains(&"connection.unfinished"), "what was dribbled is evidence");
}

#[tokio::test(start_paused = true)]
async fn the_answer_waits_until_the_evidence_is_recorded() {
    let mut bench = Bench::new(LIMITS);
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("secret\n").await;
    let batch = bench.events.recv().await.unwrap();
    assert_eq!(batch.events[0].kind.name, "echo.word");
    assert!(timeout(Duration::from_secs(1), bench.hear()).await.is_err(), "answered before it was recorded");
    (batch.recorded.unwrap())();
    assert_eq!(bench.hear().await, "secret\n");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_holds_an_answer_back_for_two_seconds_at_most() {
    let started = Instant::now();
    let mut bench = Bench::new(LIMITS);
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("secret\n").await;
    assert_eq!(bench.hear().await, "secret\n");
    assert_eq!(started.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_answer_back_and_not_the_evidence() {
    let mut bench = Bench::new(LIMITS);
    let started = Instant::now();
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("slow\n").await;
    let batch = bench.events.recv().await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 0);
    (batch.recorded.unwrap())();
    assert_eq!(bench.hear().await, "slow\n");
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_session_is_the_end_of_that_session_only_and_is_reported() {
    let mut bench = Bench::new(LIMITS);
    bench.say("bug\nmore\n").await;
    let events = bench.events().await;
    assert_eq!(names(&events), ["echo.word", "connection.malformed", "connection.closed"]);
    assert_eq!(events[1].fields["excerpt"], Value::from("bug\nmore\n"), "at least what came is kept");
    assert_eq!(why(&events[2]), "bug");
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_grammar_or_the_frame_limit_is_evidence() {
    for (said, reason) in [("!x\n", "not a word"), ("#", "message too large")] {
        let mut bench = Bench::new(LIMITS);
        bench.say(said).await;
        let events = bench.events().await;
        assert_eq!(names(&events), ["connection.malformed", "connection.closed"]);
        assert_eq!(why(&events[0]), reason);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_in_both_directions() {
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    for _ in 0..100 {
        if bench.client.write_all("word-word-word-word\n".repeat(10).as_bytes()).await.is_err() {
            break;
        }
    }
    let events = recording.await.unwrap();
    assert_eq!(why(events.last().unwrap()), "over quota");
    let Value::Int(bytes) = events.last().unwrap().fields["bytes_in"] else { panic!() };
    assert!(bytes <= 2000 + 8192, "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_had_begun_to_say_at_the_shutdown_is_recorded() {
    let mut bench = Bench::new(LIMITS);
    bench.hear().await;
    bench.say("half a wor").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.stop.cancel();
    let events = bench.events().await;
    assert_eq!(names(&events), ["connection.unfinished", "connection.closed"]);
    assert_eq!(why(&events[1]), "shutdown");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_room_in_the_queue_at_the_shutdown_is_recorded() {
    let mut bench = Bench::with_queue(LIMITS, 1);
    bench.hear().await;
    bench.say("first\nsecond\n").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    bench.stop.cancel();
    let events = bench.events().await;
    assert_eq!(names(&events), ["echo.word", "echo.word", "connection.closed"]);
    assert_eq!(events[1].fields["word"], Value::from("second"));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_peer_that_was_told_goodbye() {
    let mut bench = Bench::new(Limits { linger: Duration::from_secs(20), ..LIMITS });
    bench.say("bye\n").await;
    assert_eq!(bench.events.recv().await.unwrap().events.len(), 1);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let started = Instant::now();
    bench.stop.cancel();
    assert_eq!(names(&bench.events().await), ["connection.closed"]);
    assert_eq!(started.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_peer_said_before_it_vanished_is_heard_to_the_end() {
    let mut bench = Bench::new(LIMITS);
    bench.say("one\ntwo\nthree\nfo").await;
    drop(std::mem::replace(&mut bench.client, duplex(1).0));
    let events = bench.events().await;
    let expected = ["echo.word", "echo.word", "echo.word", "connection.unfinished", "connection.closed"];
    assert_eq!(names(&events), expected);
    assert_eq!(why(&events[4]), "reset");
}

#[tokio::test(start_paused = true)]
async fn what_is_half_said_when_a_quota_is_used_up_is_recorded() {
    let mut bench = Bench::new(Limits { bytes_in: 8, ..LIMITS });
    bench.say("half a word").await;
    let events = bench.events().await;
    assert_eq!(names(&events), ["connection.unfinished", "connection.closed"]);
    assert_eq!(why(&events[1]), "over quota");
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_end_of_a_conversation_is_recorded() {
    let mut bench = Bench::new(LIMITS);
    bench.say("bye\nand more").await;
    let events = bench.events().await;
    assert_eq!(names(&events), ["echo.word", "connection.unfinished", "connection.closed"]);
    let mut bench = Bench::new(LIMITS);
    bench.say("bye\n\r\n").await;
    assert_eq!(names(&bench.events().await), ["echo.word", "connection.closed"]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_every_conversation_and_its_end_is_reported() {
    let mut bench = Bench::new(LIMITS);
    assert_eq!(bench.hear().await, "hello\n");
    bench.stop.cancel();
    let events = bench.events().await;
    assert_eq!(why(events.last().unwrap()), "shutdown");
}

#[tokio::test(start_paused = true)]
async fn events_carry_the_unmapped_peer_one_session_and_ordered_ids() {
    let mut bench = Bench::new(LIMITS);
    bench.say("a\nbye\n").await;
    let events = bench.events().await;
    assert_eq!(names(&events), ["echo.word", "echo.word", "connection.closed"]);
    assert!(events.iter().all(|event| event.source() == Some("192.0.2.7".parse().unwrap())));
    assert!(events.iter().all(|event| event.session == events[0].session && event.service == "echo"));
    assert!(events.windows(2).all(|pair| pair[0].id != pair[1].id));
}

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
async fn a_listener_hands_its_socket_to_its_successor() {
    let port = Port::new(LIMITS, &[], 1000);
    port.accepting.cancel();
    let socket = timeout(Duration::from_secs(5), port.listener).await.unwrap().unwrap();
    let waiting = TcpStream::connect(port.address).await.unwrap();
    assert_eq!(socket.accept().await.unwrap().1, waiting.local_addr().unwrap());
}

struct Shout;

impl haldane_core::service::AnyDatagrams for Shout {
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.report(Sighting::of(&WORD).with("word", datagram.rest()));
        cx.reply(datagram.take_rest());
        Ok(())
    }
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
    let service = tokio::spawn(serve_datagrams(socket, "shout", Arc::new(Shout), sender, stop.clone()));
    // Nobody says that anything is recorded: two seconds for each of them would be minutes.
    for number in 0..100_u8 {
        let batch = timeout(Duration::from_secs(30), events.recv()).await.unwrap().unwrap();
        assert_eq!(batch.events[0].fields["word"], Value::from(&[number][..]));
    }
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(client.recv(&mut [0; 10]).unwrap(), 1);
    client.send(b"last").unwrap();
    stop.cancel();
    assert_eq!(events.recv().await.unwrap().events[0].fields["word"], Value::from("last"));
    service.await.unwrap();
}
