//! One conversation, over memory and under paused time.

use std::{sync::Arc, time::Duration};

use haldane_core::{Batch, Event, Limits, TlsUse, Value};
use haldane_net::{
    Conn, Reporter,
    drive::{Served, drive},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Echo, LIMITS, names, peer, why};

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
        Self::speaking(TlsUse::Never, limits, room)
    }

    fn speaking(tls: TlsUse, limits: Limits, room: usize) -> Self {
        let (client, server) = duplex(64 * 1024);
        let (sender, events) = mpsc::channel(room);
        let stop = CancellationToken::new();
        let reporter = Reporter::new(sender, "echo", peer("::ffff:192.0.2.7"));
        let token = stop.clone();
        let task = tokio::spawn(async move {
            let served = Served { protocol: Arc::new(Echo(limits)), tls, acceptor: None };
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
    tokio::time::sleep(Duration::from_secs(1)).await;
    let events = bench.events().await;
    assert_eq!(names(&events), ["echo.word", "echo.word", "connection.closed"]);
    assert_eq!(events[1].fields["word"], Value::from("second"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_pieces_comes_whole_before_the_next_message_and_before_the_end() {
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    bench.say("pieces\nword\npieces and bye\n").await;
    let mut heard = String::new();
    bench.client.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello\npieces\n2\n1\n0\nword\n3\n2\n1\n0\n");
    assert_eq!(why(recording.await.unwrap().last().unwrap()), "served");
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_pieces_ends_with_the_quota() {
    let mut bench = Bench::new(Limits { bytes_out: 18, ..LIMITS });
    bench.say("pieces\n").await;
    let events = bench.events().await;
    assert_eq!(why(events.last().unwrap()), "over quota");
    assert_eq!(events.last().unwrap().fields["bytes_out"], Value::Int(17));
}

/// A client that sends its request in several writes has sent the rest before it hears the answer.
#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_the_server_leaves_is_recorded() {
    let mut bench = Bench::new(LIMITS);
    let recording = bench.keep_recording();
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("leave\n").await;
    assert_eq!(bench.hear().await, "bye\n");
    bench.say("argument HEAD").await;
    let events = recording.await.unwrap();
    assert_eq!(names(&events), ["echo.word", "connection.unfinished", "connection.closed"]);
    assert_eq!(events[1].fields["excerpt"], Value::from("argument HEAD"));
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

#[tokio::test(start_paused = true)]
async fn where_a_session_wants_no_tls_from_the_first_byte_that_byte_is_a_message_s() {
    let mut bench = Bench::speaking(TlsUse::Either, LIMITS, 100);
    let recording = bench.keep_recording();
    assert_eq!(bench.hear().await, "hello\n");
    bench.say("\u{16}\u{3}\u{1}\n").await;
    assert_eq!(bench.hear().await, "\u{16}\u{3}\u{1}\n");
    bench.say("bye\n").await;
    assert!(names(&recording.await.unwrap()).contains(&"echo.word"));
}
