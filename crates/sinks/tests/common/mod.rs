//! Events, a journal in memory, and sections as an operator writes them.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use haldane_core::{
    Class, Event, Health, Honeycred, Journal, Kind, Login, Page, Peer, Record, Section, Severity, Table,
    Transport, Wants,
    section::{Item, Node, Place, Raw},
};
use haldane_sinks::{ALL, AnySink, Delivery, Sender, Signals};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub static LOGIN: Kind = Kind::new(30000, "test.login", Class::Login, Severity::High, "Test login");

/// An event with that user name.
pub fn record(seq: u64, name: &str) -> Record {
    let ends = ["192.0.2.7:40000".parse().unwrap(), "198.51.100.1:2222".parse().unwrap()];
    let event = Event {
        id: Uuid::from_u128(seq.into()),
        service: "ssh".into(),
        session: Uuid::from_u128(2),
        peer: Some(Peer::new(ends[0], ends[1], Transport::Tcp)),
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_494_723),
        kind: &LOGIN,
        severity: Severity::High,
        login: Some(Login::password("password", name, "x")),
        fields: BTreeMap::new(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: None,
    };
    Record { seq, event: Arc::new(event) }
}

pub fn records(seqs: impl IntoIterator<Item = u64>) -> Vec<Record> {
    seqs.into_iter().map(|seq| record(seq, &format!("user{seq}"))).collect()
}

pub fn user(record: &Record) -> String {
    record.event.login.as_ref().unwrap().username.as_ref().unwrap().to_string()
}

/// The store, in memory.
#[derive(Default)]
pub struct Memory(Mutex<Inside>);

#[derive(Default)]
pub struct Inside {
    pub records: Vec<Record>,
    pub cursors: HashMap<String, u64>,
    pub saves: usize,
    pub reads: usize,
    pub buried: Vec<(String, u64, String)>,
    pub health: Vec<(String, Health)>,
    /// This record and what follows is not given out yet.
    pub held: Option<u64>,
    pub broken: bool,
    grown: Option<watch::Sender<u64>>,
    reopen: Option<watch::Sender<u64>>,
}

impl Memory {
    pub fn new() -> Arc<Self> {
        let memory = Self::default();
        memory.with(|inside| {
            inside.grown = Some(watch::Sender::new(0));
            inside.reopen = Some(watch::Sender::new(0));
        });
        Arc::new(memory)
    }

    pub fn with<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub fn append(&self, records: impl IntoIterator<Item = Record>) {
        self.with(|inside| {
            inside.records.extend(records);
            let last = inside.records.last().map_or(0, |record| record.seq);
            inside.grown.as_ref().unwrap().send_replace(last);
        });
    }

    pub fn ask_to_reopen(&self) {
        self.with(|inside| inside.reopen.as_ref().unwrap().send_modify(|count| *count += 1));
    }

    pub fn signals(&self, stop: &CancellationToken) -> Signals {
        self.with(|inside| Signals {
            grown: inside.grown.as_ref().unwrap().subscribe(),
            reopen: inside.reopen.as_ref().unwrap().subscribe(),
            stop: stop.clone(),
        })
    }
}

impl Journal for Memory {
    fn after(&self, cursor: u64, most: usize, wants: &Wants) -> Result<Page, String> {
        self.with(|inside| {
            inside.reads += 1;
            if inside.broken {
                return Err("disk on fire".into());
            }
            let mut page = Page { records: Vec::new(), next: cursor };
            for record in inside.records.iter().filter(|record| record.seq > cursor) {
                if page.records.len() == most || inside.held.is_some_and(|held| record.seq >= held) {
                    break;
                }
                page.next = record.seq;
                if wants.accepts(&record.event) {
                    page.records.push(record.clone());
                }
            }
            Ok(page)
        })
    }

    fn cursor(&self, sink: &str) -> u64 {
        self.with(|inside| inside.cursors.get(sink).copied().unwrap_or_default())
    }

    fn save(&self, sink: &str, cursor: u64) {
        self.with(|inside| {
            inside.saves += 1;
            inside.cursors.insert(sink.to_owned(), cursor);
        });
    }

    fn bury(&self, sink: &str, seq: u64, reason: &str) {
        self.with(|inside| inside.buried.push((sink.to_owned(), seq, reason.to_owned())));
    }

    fn health(&self, sink: &str, health: &Health) {
        self.with(|inside| inside.health.push((sink.to_owned(), health.clone())));
    }
}

/// A section with those keys.
pub fn table(entries: &[(&str, Raw)]) -> Table {
    let place = Place { file: "test.toml".into(), line: 1 };
    let item = |(key, value): &(&str, Raw)| Item {
        key: (*key).to_owned(),
        written: format!("sink.test.{key}"),
        node: Node { place: place.clone(), value: value.clone() },
    };
    Table { name: "sink.test".into(), entries: entries.iter().map(item).collect() }
}

pub fn text(value: impl ToString) -> Raw {
    Raw::Text(value.to_string())
}

/// The sink of that type with those keys, and the operator's mistakes.
pub fn configured(name: &str, entries: &[(&str, Raw)]) -> (Box<dyn AnySink>, Delivery, Vec<String>) {
    let table = table(entries);
    let mut problems = Vec::new();
    let mut section = Section::new(&table, &mut problems);
    let entry = ALL.iter().find(|entry| entry.name == name).unwrap();
    let (sink, delivery) = entry.build("test", &mut section, &Sender { node: "canary-1".into() });
    section.finish();
    (sink, delivery, problems.iter().map(ToString::to_string).collect())
}

/// The same, without mistakes.
pub fn sink(name: &str, entries: &[(&str, Raw)]) -> Box<dyn AnySink> {
    let (sink, _, problems) = configured(name, entries);
    assert_eq!(problems, Vec::<String>::new());
    sink
}
