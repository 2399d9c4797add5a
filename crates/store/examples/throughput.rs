//! What an event costs the store: `cargo run --release -p haldane-store --example throughput [durable]`.
//! Prints microseconds of the writer's CPU (user and system) and of wall time an event, for several batch sizes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    reason = "a measurement"
)]
#![allow(clippy::as_conversions, clippy::disallowed_methods, reason = "a measurement")]

use std::{
    sync::{Arc, mpsc},
    time::{Duration, Instant, SystemTime},
};

use haldane_core::{
    Batch, Class, Event, Fields, Honeycred, Kind, Kinds, Login, Peer, Severity, Transport, Value,
};
use haldane_store::{Options, Store};
use uuid::Uuid;

static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login");

fn event(number: u32) -> Event {
    let [_, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    let remote = std::net::SocketAddr::from(([10, b, c, d], 40_000));
    Event {
        id: Uuid::from_u128(u128::from(number) << 64),
        service: "ftp".into(),
        session: Uuid::from_u128(u128::from(number) << 32),
        peer: Some(Peer::new(remote, ([192, 0, 2, 1], 21).into(), Transport::Tcp)),
        at: SystemTime::now(),
        kind: &LOGIN,
        severity: Severity::High,
        login: Some(Login::password("password", "administrator", "P@ssw0rd2026")),
        fields: Fields::from([
            ("client".into(), Value::from("libssh2_1.10.0")),
            ("attempt".into(), Value::Int(3)),
        ]),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: Some(u64::from(number >> 4)),
    }
}

/// User and system time of the thread of that name, from the kernel's ticks of 10 ms.
fn cpu(name: &str) -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let ticks = tasks.filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (head, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let time: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        head.ends_with(&format!("({name}")).then_some(time)
    });
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn main() {
    let durable = std::env::args().any(|argument| argument == "durable");
    let folder =
        std::path::PathBuf::from(std::env::var_os("FOLDER").unwrap_or_else(|| "target/throughput".into()));
    for (batch, total) in [(1, 20_000), (4, 100_000), (64, 400_000)] {
        _ = std::fs::remove_dir_all(&folder);
        let options = Options { durable, ..Options::new(&folder) };
        let store =
            Store::open(options, Arc::new(Kinds::new([&LOGIN])), Box::new(|_: &mut haldane_core::Event| {}))
                .unwrap();
        let ingest = store.ingest();
        let mut batches: Vec<Vec<Event>> = Vec::new();
        for first in (0..total).step_by(batch as usize) {
            batches.push((first..first + batch).map(event).collect());
        }
        let (told, tell) = mpsc::channel();
        let began = Instant::now();
        let waiting = batches.len();
        for events in batches {
            let told = told.clone();
            let recorded = Box::new(move || _ = told.send(()));
            ingest.blocking_send(Batch { events, recorded: Some(recorded) }).unwrap();
        }
        (0..waiting).for_each(|_| tell.recv().unwrap());
        let wall = began.elapsed();
        let micros = |time: Duration| time.as_micros() as f64 / f64::from(total);
        let size = std::fs::metadata(folder.join("haldane.db")).unwrap().len() as f64 / f64::from(total);
        println!(
            "{total:>7} events in batches of {batch:>2}: {:5.2} us CPU, {:5.2} us wall, {size:.0} bytes an event",
            micros(cpu("store")),
            micros(wall)
        );
        // One at a time: what a lone peer waits.
        let began = Instant::now();
        for number in 0..500 {
            let told = told.clone();
            let recorded = Some(Box::new(move || _ = told.send(())) as Box<dyn FnOnce() + Send>);
            ingest.blocking_send(Batch { events: vec![event(number)], recorded }).unwrap();
            tell.recv().unwrap();
        }
        println!(
            "        alone: {:.0} us from sending to the answer",
            began.elapsed().as_micros() as f64 / 500.0
        );
    }
    _ = std::fs::remove_dir_all(&folder);
}
