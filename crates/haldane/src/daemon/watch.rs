//! The canary from its first accepted connection to its last event: signals, reloads, the ordered end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use haldane_core::{Journal, Sighting};
use haldane_net::Room;
use haldane_pipeline::{Checker, Pipeline, Settings};
use haldane_store::Store;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    Error,
    actions::{self, Means, gate::Gate, walled::Yard},
    conclusions::{Conclusions, Sources},
    decoys::{Decoy, Failed, Ground, Place, Prepared},
    heartbeat::{self, Pulse},
    kinds::{DROPPED, RENEWED, SERVICE_FAILED, STOPPED},
    operations::{Operations, Watched},
    outlets::{self, LAST_DELIVERY, Outlet, Work},
    privileges::Identity,
};
use crate::config::{Config, ServiceConfig, Source, Surroundings, keeper};

/// From the wish to stop: how long sessions may take to hang up, the sinks to finish what is under way, and the
/// store to write the rest. Five seconds in all, with what the runtime takes.
const SESSIONS: Duration = Duration::from_millis(1_500);
const SINKS: Duration = Duration::from_millis(4_000);
const STORE: Duration = Duration::from_millis(4_600);
/// How often certificates are looked at.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(86_400);

/// Everything that runs.
pub(super) struct Canary {
    pub(super) config: Config,
    pub(super) source: Source,
    pub(super) around: Surroundings,
    store: Store,
    pub(super) pipeline: Arc<Mutex<Pipeline>>,
    pub(super) sources: Sources,
    pub(super) checker: Arc<Mutex<Checker>>,
    pub(super) decoys: Vec<Decoy>,
    pub(super) outlets: Vec<Outlet>,
    pub(super) gate: Gate,
    yard: Yard,
    tasks: TaskTracker,
    reopen: watch::Sender<u64>,
}

/// The ways to what runs: for those who start and end parts of it.
pub(super) struct Ways {
    pub(super) ground: Ground,
    pub(super) operations: Operations,
    pub(super) journal: Arc<dyn Journal>,
    /// The same, for whoever asks how sinks are.
    pub(super) watched: Arc<Watched>,
}

impl Canary {
    /// Opens the store. Nothing listens yet.
    ///
    /// # Errors
    /// The store cannot be opened.
    pub(super) fn new(
        config: Config,
        bait: Checker,
        source: Source,
        around: Surroundings,
        gate: Gate,
    ) -> Result<Self, haldane_store::Error> {
        let first_incident = haldane_store::newest(&config.store.folder).saturating_add(1);
        let pipeline = Arc::new(Mutex::new(pipeline(&config, bait.clone(), first_incident)));
        let asking = Arc::default();
        let conclusions = Conclusions { pipeline: Arc::clone(&pipeline), asking: Arc::clone(&asking) };
        let store = super::open_store(&config, Box::new(conclusions))?;
        let sources = Sources::new(Arc::clone(&pipeline), asking, store.waker());
        sources.find_out(&config.incidents.lookups);
        let checker = Arc::new(Mutex::new(bait));
        let current = Arc::clone(&checker);
        let check = move |event: &haldane_core::Event| {
            // Cloned out of the lock: verifying may take a second, a reload must not wait for it.
            let checker = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            checker.check(event)
        };
        haldane_store::verify::spawn(&store, Box::new(check), &haldane_pipeline::USED)?;
        let yard = Yard::open(config.state_folder.join("walled.json"));
        Ok(Self {
            config,
            source,
            around,
            store,
            pipeline,
            sources,
            checker,
            decoys: Vec::new(),
            outlets: Vec::new(),
            gate,
            yard,
            tasks: TaskTracker::new(),
            reopen: watch::Sender::new(0),
        })
    }

    /// Runs until told to stop.
    ///
    /// # Errors
    /// The store ended before that.
    pub(super) async fn run(
        mut self,
        prepared: Vec<Prepared>,
        failed: Vec<Failed>,
        dropped: Option<Identity>,
        most: usize,
        ready: Option<Box<dyn FnOnce() + Send>>,
    ) -> Result<(), Error> {
        // Before anybody is told that we are up, and may send one.
        let mut signals = Signals::listen();
        let operations = Operations::new(self.store.ingest());
        let ground = Ground {
            events: self.store.ingest(),
            sessions: TaskTracker::new(),
            room: Arc::new(Room::new(0, 0)),
            most,
            accepting: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        ground.resize(&self.config.limits);
        let watched = Arc::new(Watched::new(self.store.journal(), operations.clone()));
        let journal = Arc::clone(&watched);
        let ways = Ways { ground, operations, journal, watched };
        let works = self.works(&ways.operations);
        self.start_sinks(works, &ways.journal);
        if let Some(identity) = dropped {
            let seen = Sighting::of(&DROPPED).with("uid", identity.uid).with("gid", identity.gid);
            ways.operations.say(seen).await;
        }
        for prepared in prepared {
            self.start_decoy(prepared, &ways).await;
        }
        for failed in &failed {
            say_failed(failed, &ways.operations).await;
        }
        ways.operations.message("Canary running!!!".into()).await;
        self.show_what_listens();
        if let Some(ready) = ready {
            ready();
        }
        notify("READY=1");
        let ended = self.until_stopped(&ways, &mut signals).await;
        notify("STOPPING=1");
        self.end(ways).await;
        ended
    }

    pub(super) async fn start_decoy(&mut self, prepared: Prepared, ways: &Ways) {
        let service = prepared.name();
        match Decoy::start(prepared, &ways.ground) {
            Ok(decoy) => {
                let places: Vec<_> = decoy.places.iter().map(ToString::to_string).collect();
                let text = format!("Added service {} on {}", decoy.name, places.join(", "));
                ways.operations.message(text).await;
                self.decoys.push(decoy);
            }
            Err(error) => {
                let failed = Failed { service, address: None, why: error.to_string() };
                super::report_failed(&failed);
                say_failed(&failed, &ways.operations).await;
            }
        }
    }

    /// All that is to read the journal by the configuration, which is left without it.
    pub(super) fn works(&mut self, operations: &Operations) -> Vec<Work> {
        let means = Means {
            operations: operations.clone(),
            gate: self.gate.clone(),
            yard: self.yard.clone(),
            node: self.config.host.node_id.clone(),
        };
        let sinks = std::mem::take(&mut self.config.sinks).into_iter().map(Work::from);
        let actions = std::mem::take(&mut self.config.actions).into_iter();
        let alive = self.config.heartbeat.url.take().map(heartbeat::work);
        sinks.chain(actions.map(|action| actions::work(action, &means))).chain(alive).collect()
    }

    /// Starts sinks that are not at work yet. One that was never there begins with what is new.
    pub(super) fn start_sinks(&mut self, sinks: Vec<Work>, journal: &Arc<dyn Journal>) {
        let names = sinks.iter().map(|sink| sink.name.clone());
        self.store.serve(names.chain(self.outlets.iter().map(|outlet| outlet.name.clone())));
        for sink in sinks {
            if !self.store.has_cursor(&sink.name) {
                journal.save(&sink.name, self.store.newest());
            }
            let (grown, reopen) = (self.store.watch(), self.reopen.subscribe());
            self.outlets.push(Outlet::start(sink, journal, grown, reopen, &self.tasks));
        }
    }

    async fn until_stopped(&mut self, ways: &Ways, signals: &mut Signals) -> Result<(), Error> {
        let mut certificates = tokio::time::interval(CERTIFICATE_LOOK);
        let mut pulse = Pulse::new(self.config.heartbeat.every, self.store.newest());
        let yard = self.yard.clone();
        loop {
            tokio::select! {
                () = received(&mut signals.terminate) => return Ok(()),
                () = received(&mut signals.interrupt) => return Ok(()),
                () = received(&mut signals.hang_up) => {
                    self.reopen.send_modify(|count| *count = count.wrapping_add(1));
                    self.reload(ways).await;
                    pulse.set(self.config.heartbeat.every);
                }
                () = pulse.due() => {
                    let alive = pulse.beat(self.store.newest(), ways.watched.down());
                    ways.operations.say(alive).await;
                }
                walled = yard.next() => ways.operations.say(actions::released(&walled)).await,
                _ = certificates.tick() => self.renew_certificates(&ways.operations).await,
                // Deaf decoys are worse than none: whoever watches over us starts us again.
                () = ways.ground.events.closed() => return Err(Error::StoreEnded),
            }
        }
    }

    /// Takes up certificates that were renewed, by others or here.
    pub(super) async fn renew_certificates(&self, operations: &Operations) {
        let keep = keeper(&self.config.state_folder, true);
        for decoy in &self.decoys {
            match decoy.renew(&self.config.state_folder, keep.as_ref()) {
                Ok(false) => {}
                Ok(true) => operations.say(Sighting::of(&RENEWED).with("name", decoy.name)).await,
                Err(why) => warn!(service = decoy.name, "certificate not renewed: {why}"),
            }
        }
    }

    fn show_what_listens(&self) {
        use std::io::Write;
        let mut out = anstream::stderr().lock();
        for decoy in &self.decoys {
            for place in &decoy.places {
                let hint = match place {
                    Place::Feed(_) => decoy.hint.to_owned(),
                    Place::Port(endpoint) => {
                        let ip = endpoint.address.ip();
                        let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
                        let port = endpoint.address.port().to_string();
                        decoy.hint.replace("{host}", &host).replace("{port}", &port)
                    }
                };
                let place = place.to_string();
                let hint = if hint.is_empty() { hint } else { format!("try: {hint}") };
                // With stderr closed there is nobody to tell.
                writeln!(out, "  {:<10} {place:<22} {hint}", decoy.name).ok();
            }
        }
    }

    /// The ordered end.
    async fn end(self, ways: Ways) {
        info!("stopping");
        let Ways { ground, operations, .. } = ways;
        let until = |from: Instant, time| from.checked_add(time).unwrap_or(from);
        let begun = Instant::now();
        ground.accepting.cancel();
        ground.stop.cancel();
        ground.sessions.close();
        if timeout_at(until(begun, SESSIONS), ground.sessions.wait()).await.is_err() {
            warn!(left = ground.sessions.len(), "sessions did not end in time");
        }
        operations.record(Sighting::of(&STOPPED)).await;
        let sinks = until(begun, SINKS).min(until(Instant::now(), LAST_DELIVERY));
        outlets::end(self.outlets, sinks).await;
        let store = self.store;
        let closed = tokio::task::spawn_blocking(move || store.close());
        if timeout_at(until(begun, STORE), closed).await.is_err() {
            error!("the store takes too long to close");
        }
    }
}

pub(super) async fn say_failed(failed: &Failed, operations: &Operations) {
    let address = failed.address.as_ref().map(ToString::to_string);
    let seen = Sighting::of(&SERVICE_FAILED)
        .with("name", failed.service)
        .with("address", address)
        .with("why", failed.why.as_str());
    operations.say(seen).await;
}

/// The signals that mean something here.
struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Signals {
    fn listen() -> Self {
        let listen =
            |kind| signal(kind).inspect_err(|error| error!(%error, "cannot listen for signals")).ok();
        Self {
            terminate: listen(SignalKind::terminate()),
            interrupt: listen(SignalKind::interrupt()),
            hang_up: listen(SignalKind::hangup()),
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Tells systemd how it is (sd_notify(3)), where it asked.
pub(super) fn notify(state: &str) {
    use std::os::{
        linux::net::SocketAddrExt,
        unix::{ffi::OsStrExt, net::SocketAddr},
    };
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path)),
    };
    if let (Ok(address), Ok(datagram)) = (address, std::os::unix::net::UnixDatagram::unbound()) {
        datagram.send_to_addr(state.as_bytes(), &address).ok();
    }
}

/// What the configuration makes of events.
fn pipeline(config: &Config, checker: Checker, first_incident: u64) -> Pipeline {
    Pipeline::new(Settings {
        ignore: config.ignore.clone(),
        rules: config.rules.clone(),
        checker,
        watch: config.incidents.watch,
        first_incident,
    })
}

/// The bait of all services.
pub(super) fn checker<'s>(services: impl IntoIterator<Item = &'s ServiceConfig>) -> Checker {
    let bait = |service: &ServiceConfig| (service.entry.name.to_owned(), service.honeycreds.clone());
    Checker::new(services.into_iter().map(bait))
}
