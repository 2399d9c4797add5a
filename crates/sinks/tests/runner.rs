//! The loop around the sinks, in paused time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    reason = "a test may panic and spawn"
)]

mod common;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{Memory, record, records, user};
use haldane_core::{Notify, Record, Section, Severity, Wants};
use haldane_sinks::{Delivery, Failure, Hearing, Sender, Sink, runner::run};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const ALL: Wants = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };

/// A receiver that does as it is told.
#[derive(Default)]
struct Script {
    got: Vec<u64>,
    batches: Vec<usize>,
    calls: Vec<Instant>,
    /// What the next calls return.
    next: Vec<Result<(), Failure>>,
    refuses: HashSet<u64>,
    down: bool,
    /// How long a call takes; longer ones for some records.
    takes: Duration,
    takes_for: HashMap<u64, Duration>,
    idles: usize,
    reopens: usize,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Script>>);

impl Fake {
    fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn got(&self) -> Vec<u64> {
        self.with(|script| script.got.clone())
    }
}

impl Sink for Fake {
    const NAME: &'static str = "fake";
    const WANTS: Wants = ALL;

    fn configure(_: &mut Section<'_>, _: &Sender) -> Self {
        Self::default()
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let takes = self.with(|script| {
            script.calls.push(Instant::now());
            script.batches.push(batch.len());
            script.takes_for.get(&batch[0].seq).copied().unwrap_or(script.takes)
        });
        if !takes.is_zero() {
            sleep(takes).await;
        }
        self.with(|script| {
            if script.down {
                return Err(Failure::later("connection refused"));
            }
            if !script.next.is_empty() {
                script.next.remove(0)?;
            }
            if let Some(bad) = batch.iter().find(|record| script.refuses.contains(&record.seq)) {
                return Err(Failure::Refused(format!("550 no {}", user(bad))));
            }
            script.got.extend(batch.iter().map(|record| record.seq));
            Ok(())
        })
    }

    async fn idle(&mut self) {
        self.with(|script| script.idles += 1);
    }

    fn reopen(&mut self) {
        self.with(|script| script.reopens += 1);
    }
}

/// A running sink of that name.
struct Run {
    fake: Fake,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(memory: &Arc<Memory>, name: &str, batch: usize, fake: Fake) -> Run {
    let stop = CancellationToken::new();
    let delivery = Delivery {
        name: name.into(),
        wants: ALL,
        timeout: Duration::from_secs(20),
        batch,
        hearing: Hearing::default(),
    };
    let task = tokio::spawn(run(fake.clone(), delivery, memory.clone(), memory.signals(&stop)));
    Run { fake, stop, task }
}

impl Run {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(start_paused = true)]
async fn everything_arrives_once_and_in_order() {
    let memory = Memory::new();
    memory.append(records(1..=25));
    let run = start(&memory, "a", 10, Fake::default());
    sleep(millis(1)).await;
    memory.append(records(26..=30));
    sleep(millis(1)).await;
    assert_eq!(run.fake.got(), Vec::from_iter(1..=30));
    assert_eq!(run.fake.with(|script| script.batches.clone()), [10, 10, 5, 5]);
    assert_eq!(run.fake.with(|script| script.idles), 2);
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 30);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_sink_delays_nobody_and_gets_everything_later() {
    let memory = Memory::new();
    let dead = start(&memory, "dead", 1, Fake::default());
    dead.fake.with(|script| script.down = true);
    let hanging = start(&memory, "hanging", 1, Fake::default());
    hanging.fake.with(|script| script.takes = Duration::from_secs(3600));
    let alive = start(&memory, "alive", 1, Fake::default());
    let begin = Instant::now();
    for seq in 1..=50 {
        memory.append(records([seq]));
        sleep(millis(1)).await;
        assert_eq!(alive.fake.got().len(), usize::try_from(seq).unwrap());
    }
    assert!(begin.elapsed() < millis(100));
    sleep(Duration::from_secs(600)).await;
    assert_eq!((dead.fake.got(), hanging.fake.got()), (vec![], vec![]));
    dead.fake.with(|script| script.down = false);
    hanging.fake.with(|script| script.takes = Duration::ZERO);
    sleep(Duration::from_secs(61)).await;
    assert_eq!(dead.fake.got(), Vec::from_iter(1..=50));
    assert_eq!(hanging.fake.got(), Vec::from_iter(1..=50));
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_a_minute_and_start_again_after_a_success() {
    let memory = Memory::new();
    let run = start(&memory, "a", 1, Fake::default());
    run.fake.with(|script| script.down = true);
    memory.append(records(1..=2));
    sleep(Duration::from_secs(300)).await;
    let calls = run.fake.with(|script| script.calls.clone());
    let waits: Vec<_> = calls.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(waits[..12], [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
    run.fake.with(|script| {
        script.down = false;
        script.calls.clear();
        script.next = vec![Ok(()), Err(Failure::later("again")), Ok(())];
    });
    sleep(Duration::from_secs(61)).await;
    let calls = run.fake.with(|script| script.calls.clone());
    assert_eq!(calls[2] - calls[1], millis(100));
    assert_eq!(run.fake.got(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_may_name_the_wait_but_no_endless_one() {
    let memory = Memory::new();
    let run = start(&memory, "a", 1, Fake::default());
    let wish = |after| Err(Failure::Later { why: "429".into(), after: Some(after) });
    run.fake.with(|script| {
        script.next =
            vec![wish(Duration::from_secs(30)), wish(Duration::from_secs(1 << 40)), wish(Duration::ZERO)];
    });
    memory.append(records([1]));
    sleep(Duration::from_secs(700)).await;
    let calls = run.fake.with(|script| script.calls.clone());
    let waits: Vec<_> = calls.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(waits, [30_000, 600_000, 100]);
    assert_eq!(run.fake.got(), [1]);
}

#[tokio::test(start_paused = true)]
async fn only_the_guilty_record_of_a_refused_batch_is_buried() {
    let memory = Memory::new();
    memory.append(records(1..=5));
    let fake = Fake::default();
    fake.with(|script| script.refuses = HashSet::from([2, 5]));
    let run = start(&memory, "a", 10, fake);
    sleep(millis(1)).await;
    assert_eq!(run.fake.got(), [1, 3, 4]);
    let buried = [("a".into(), 2, "550 no user2".into()), ("a".into(), 5, "550 no user5".into())];
    assert_eq!(memory.with(|inside| inside.buried.clone()), buried);
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 5);
    memory.append(records([6]));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(run.fake.got(), [1, 3, 4, 6]);
    let health = memory.with(|inside| inside.health.last().unwrap().1.clone());
    assert_eq!((health.up, health.delivered, health.refused), (true, 4, 2));
    assert_eq!(&*health.why, "550 no user5");
}

#[tokio::test(start_paused = true)]
async fn a_failure_amid_a_refused_batch_repeats_nothing_that_was_delivered() {
    let memory = Memory::new();
    memory.append(records(1..=4));
    let fake = Fake::default();
    let (refused, later) = (Failure::Refused("no".into()), Failure::later("down"));
    fake.with(|script| script.next = vec![Err(refused), Ok(()), Ok(()), Err(later)]);
    let run = start(&memory, "a", 10, fake);
    sleep(millis(50)).await;
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 2);
    sleep(millis(60)).await;
    assert_eq!(run.fake.got(), [1, 2, 3, 4]);
    assert!(memory.with(|inside| inside.buried.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn delivery_goes_on_where_the_last_run_ended() {
    let memory = Memory::new();
    memory.append(records(1..=3));
    memory.with(|inside| inside.cursors.insert("a".into(), 2));
    let run = start(&memory, "a", 10, Fake::default());
    sleep(millis(1)).await;
    assert_eq!(run.fake.got(), [3]);
    run.stop().await;
    memory.append(records(4..=5));
    let again = start(&memory, "a", 10, Fake::default());
    sleep(millis(1)).await;
    assert_eq!(again.fake.got(), [4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_ends_is_a_failure_after_its_time_limit() {
    let memory = Memory::new();
    memory.append(records([1]));
    let fake = Fake::default();
    fake.with(|script| script.takes = Duration::from_secs(3600));
    let run = start(&memory, "a", 1, fake);
    sleep(Duration::from_secs(19)).await;
    assert!(memory.with(|inside| inside.health.is_empty()));
    sleep(Duration::from_secs(2)).await;
    let health = memory.with(|inside| inside.health[0].1.clone());
    assert_eq!((health.up, &*health.why), (false, "no answer within 20s"));
    run.fake.with(|script| script.takes = Duration::ZERO);
    sleep(Duration::from_secs(21)).await;
    assert_eq!(run.fake.got(), [1]);
}

#[tokio::test(start_paused = true)]
async fn health_is_told_when_it_turns_and_now_and_then_besides() {
    let memory = Memory::new();
    let run = start(&memory, "a", 1, Fake::default());
    memory.append(records(1..=1000));
    sleep(millis(1)).await;
    assert_eq!(memory.with(|inside| inside.health.len()), 1);
    sleep(Duration::from_secs(3)).await;
    let told = memory.with(|inside| inside.health.clone());
    assert_eq!(told.iter().map(|(_, health)| health.delivered).collect::<Vec<_>>(), [1, 1000]);
    run.fake.with(|script| script.down = true);
    memory.append(records([1001]));
    sleep(Duration::from_secs(30)).await;
    run.fake.with(|script| script.down = false);
    sleep(Duration::from_secs(60)).await;
    let turns: Vec<_> =
        memory.with(|inside| inside.health.iter().skip(2).map(|(_, health)| health.up).collect());
    assert_eq!(turns, [false, true]);
    let last = memory.with(|inside| inside.health.last().unwrap().1.clone());
    assert_eq!((&*last.why, last.delivered), ("connection refused", 1001));
}

#[tokio::test(start_paused = true)]
async fn unwanted_records_move_the_cursor_and_cost_few_saves() {
    let memory = Memory::new();
    let stop = CancellationToken::new();
    let wants = Wants { severity: Severity::Critical, operational: false, notify: Notify::Event };
    let delivery = Delivery {
        name: "a".into(),
        wants,
        timeout: Duration::from_secs(1),
        batch: 1,
        hearing: Hearing::default(),
    };
    let fake = Fake::default();
    let task = tokio::spawn(run(fake.clone(), delivery, memory.clone(), memory.signals(&stop)));
    for seq in 1..=1000 {
        memory.append(records([seq]));
        sleep(millis(1)).await;
    }
    sleep(Duration::from_secs(3)).await;
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 1000);
    assert!(memory.with(|inside| inside.saves) < 4);
    assert_eq!(fake.got(), Vec::<u64>::new());
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_held_back_is_asked_for_again() {
    let memory = Memory::new();
    memory.with(|inside| inside.held = Some(2));
    let run = start(&memory, "a", 10, Fake::default());
    memory.append(records(1..=3));
    sleep(millis(950)).await;
    assert_eq!(run.fake.got(), [1]);
    assert!(memory.with(|inside| inside.reads) < 15);
    // Nothing is appended: nobody says that it is free now.
    memory.with(|inside| inside.held = None);
    sleep(millis(101)).await;
    assert_eq!(run.fake.got(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_asked_again() {
    let memory = Memory::new();
    memory.with(|inside| inside.broken = true);
    let run = start(&memory, "a", 1, Fake::default());
    memory.append(records([1]));
    sleep(millis(1)).await;
    let health = memory.with(|inside| inside.health[0].1.clone());
    assert_eq!(&*health.why, "cannot read the event store: disk on fire");
    memory.with(|inside| inside.broken = false);
    sleep(millis(101)).await;
    assert_eq!(run.fake.got(), [1]);
}

#[tokio::test(start_paused = true)]
async fn stopping_finishes_what_is_under_way_and_what_is_there() {
    let memory = Memory::new();
    let fake = Fake::default();
    fake.with(|script| script.takes = Duration::from_secs(1));
    let run = start(&memory, "a", 1, fake);
    memory.append(records(1..=3));
    sleep(millis(500)).await;
    let (fake, begin) = (run.fake.clone(), Instant::now());
    run.stop().await;
    assert_eq!(fake.got(), [1, 2, 3]);
    assert_eq!(begin.elapsed(), millis(2500));
    assert_eq!(memory.with(|inside| inside.cursors["a"]), 3);
}

#[tokio::test(start_paused = true)]
async fn stopping_waits_for_no_receiver_that_is_slow_or_down() {
    let memory = Memory::new();
    let slow = Fake::default();
    slow.with(|script| {
        script.takes = millis(900);
        script.takes_for = HashMap::from([(1, Duration::from_secs(3600))]);
    });
    let hanging = start(&memory, "hanging", 1, slow);
    let many = Fake::default();
    many.with(|script| script.takes = millis(900));
    let many = start(&memory, "many", 1, many);
    let down = start(&memory, "down", 1, Fake::default());
    down.fake.with(|script| script.down = true);
    memory.append(records(1..=100));
    sleep(millis(300)).await;
    let begin = Instant::now();
    down.stop().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    hanging.stop().await;
    assert_eq!(begin.elapsed(), Duration::from_secs(2));
    let begin = Instant::now();
    timeout(Duration::from_secs(5), many.stop()).await.unwrap();
    assert!(begin.elapsed() > Duration::from_secs(3));
    assert_eq!(memory.with(|inside| inside.cursors.get("hanging").copied()), None);
}

#[tokio::test(start_paused = true)]
async fn reopening_is_passed_on_and_ends_a_wait() {
    let memory = Memory::new();
    let run = start(&memory, "a", 1, Fake::default());
    run.fake.with(|script| script.down = true);
    memory.append(records([1]));
    sleep(Duration::from_secs(400)).await;
    run.fake.with(|script| script.down = false);
    memory.ask_to_reopen();
    sleep(millis(1)).await;
    assert_eq!((run.fake.with(|script| script.reopens), run.fake.got()), (1, vec![1]));
    memory.ask_to_reopen();
    sleep(millis(1)).await;
    assert_eq!(run.fake.with(|script| script.reopens), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_never_waits_lets_others_run() {
    let memory = Memory::new();
    memory.append((1..=2000).map(|seq| record(seq, "x")));
    let busy = start(&memory, "busy", 1, Fake::default());
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let done = busy.fake.got().len();
    assert!(done < 2000, "{done}");
}
