//! What the tests of the store share.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "each test file uses a part; a test has no Cx"
)]

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::{Duration, Instant, SystemTime},
};

use haldane_core::{
    Batch, Class, Event, Fields, Honeycred, Journal, Kind, Kinds, Login, Notify, Peer, Record, Severity,
    Transport, Wants,
};
use haldane_store::{Options, Process, Store};
use uuid::Uuid;

pub static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login");
pub static COMMAND: Kind = Kind::new(30_101, "ftp.command", Class::Command, Severity::Low, "FTP command");
pub static STARTED: Kind = Kind::new(39_100, "daemon.started", Class::Operational, Severity::Info, "Started");
pub static USED: Kind = Kind::new(39_200, "honeycred.used", Class::Bait, Severity::Critical, "Used");

pub const ALL: Wants = Wants { severity: Severity::Info, operational: true, notify: Notify::Event };

/// A folder that goes away.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("haldane-store-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn options(&self) -> Options {
        Options::new(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn kinds() -> Arc<Kinds> {
    let ours = [&LOGIN, &COMMAND, &STARTED, &USED];
    Arc::new(Kinds::new(ours.into_iter().chain(haldane_store::KINDS.iter().copied())))
}

pub fn plain() -> Process {
    Box::new(|_: &mut Event| {})
}

pub fn open(options: Options) -> Store {
    Store::open(options, kinds(), plain()).unwrap()
}

pub fn from(source: IpAddr) -> Event {
    let peer = Peer::new(
        SocketAddr::new(source, 40_000),
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 21),
        Transport::Tcp,
    );
    Event {
        id: Uuid::now_v7(),
        service: "ftp".into(),
        session: Uuid::now_v7(),
        peer: Some(peer),
        at: SystemTime::now(),
        kind: &LOGIN,
        severity: Severity::High,
        login: Some(Login::password("password", "root", "hunter2")),
        fields: Fields::new(),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: Some(1),
    }
}

pub fn event() -> Event {
    from(Ipv4Addr::new(192, 0, 2, 1).into())
}

pub fn command() -> Event {
    Event { kind: &COMMAND, severity: Severity::Low, login: None, ..event() }
}

pub fn operational() -> Event {
    Event { kind: &STARTED, severity: Severity::Info, login: None, peer: None, ..event() }
}

/// Stores them in one batch; returns when the peer would be answered.
pub fn put(store: &Store, events: Vec<Event>) {
    let (told, tell) = mpsc::channel();
    let batch = Batch { events, recorded: Some(Box::new(move || _ = told.send(()))) };
    store.ingest().blocking_send(batch).unwrap();
    tell.recv_timeout(Duration::from_secs(30)).unwrap();
}

/// Everything wanted after the cursor, as a sink would read it.
pub fn read(journal: &dyn Journal, mut cursor: u64, wants: &Wants) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        let page = journal.after(cursor, 7, wants).unwrap();
        assert!(page.next >= cursor);
        if page.next == cursor {
            return records;
        }
        records.extend(page.records);
        cursor = page.next;
    }
}

/// Waits for what another thread brings about.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}
