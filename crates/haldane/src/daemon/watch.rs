//! The canary from its first accepted connection to its last event: signals, reloads, the ordered end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use haldane_core::{Journal, Sighting};
use haldane_net::Total;
use haldane_pipeline::{Checker, Pipeline, Settings};
use haldane_store::Store;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};

use super::{
    decoys::{Decoy, Failed, Ground, Prepared, Sockets, prepare},
    kinds::{DROPPED, RELOAD_REFUSED, RELOADED, RENEWED, SERVICE_FAILED, STOPPED},
    operations::{Operations, Watched},
    outlets::Outlet,
    privileges::Identity,
};
use crate::config::{Config, ServiceConfig, SinkConfig, Source, Surroundings, keeper};

/// How long sessions may take to hang up once they are told to.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often certificates are looked at.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(86_400);

/// An incident ends after this much silence from its source.
const QUIET: Duration = Duration::from_secs(600);

/// Everything that runs.
pub(super) struct Canary {
    config: Config,
    source: Source,
    around: Surroundings,
    store: Store,
    pipeline: Arc<Mutex<Pipeline>>,
    checker: Arc<Mutex<Checker>>,
    decoys: Vec<Decoy>,
    outlets: Vec<Outlet>,
    tasks: TaskTracker,
    reopen: watch::Sender<u64>,
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
    ) -> Result<Self, haldane_store::Error> {
        let first_incident = haldane_store::newest(&config.store.folder).saturating_add(1);
        let pipeline = Arc::new(Mutex::new(pipeline(&config, bait.clone(), first_incident)));
        let shared = Arc::clone(&pipeline);
        let process = move |event: &mut haldane_core::Event| {
            shared.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        };
        let store = super::open_store(&config, Box::new(process))?;
        let checker = Arc::new(Mutex::new(bait));
        let current = Arc::clone(&checker);
        let check = move |event: &haldane_core::Event| {
            // Cloned out of the lock: verifying may take a second, a reload must not wait for it.
            let checker = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            checker.check(event)
        };
        haldane_store::verify::spawn(&store, Box::new(check), &haldane_pipeline::USED)?;
        Ok(Self {
            config,
            source,
            around,
            store,
            pipeline,
            checker,
            decoys: Vec::new(),
            outlets: Vec::new(),
            tasks: TaskTracker::new(),
            reopen: watch::Sender::new(0),
        })
    }

    /// Runs until told to stop.
    pub(super) async fn run(
        mut self,
        prepared: Vec<Prepared>,
        failed: Vec<Failed>,
        dropped: Option<Identity>,
        total: impl FnOnce(usize) -> Arc<Total>,
        most: usize,
        ready: Option<Box<dyn FnOnce() + Send>>,
    ) {
        let operations = Operations::new(self.store.ingest());
        let most = self.config.limits.connections.unwrap_or(most).min(most);
        let ground = Ground {
            events: self.store.ingest(),
            sessions: TaskTracker::new(),
            total: total(most),
            per_source: self.config.limits.per_source,
            accepting: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        let journal: Arc<dyn Journal> = Arc::new(Watched::new(self.store.journal(), operations.clone()));
        let sinks = std::mem::take(&mut self.config.sinks);
        self.start_sinks(sinks, &journal);
        if let Some(identity) = dropped {
            operations.say(Sighting::of(&DROPPED).with("uid", identity.uid).with("gid", identity.gid)).await;
        }
        for prepared in prepared {
            self.start_decoy(prepared, &ground, &operations).await;
        }
        for failed in &failed {
            say_failed(failed, &operations).await;
        }
        operations.message("Canary running!!!".into()).await;
        self.show_what_listens();
        if let Some(ready) = ready {
            ready();
        }
        notify("READY=1");
        self.until_stopped(&ground, &operations, &journal).await;
        notify("STOPPING=1");
        self.end(ground, operations).await;
    }

    async fn start_decoy(&mut self, prepared: Prepared, ground: &Ground, operations: &Operations) {
        match Decoy::start(prepared, ground) {
            Ok(decoy) => {
                let places: Vec<_> = decoy.endpoints.iter().map(ToString::to_string).collect();
                operations.message(format!("Added service {} on {}", decoy.name, places.join(", "))).await;
                self.decoys.push(decoy);
            }
            Err(error) => error!(%error, "a service could not be given to the runtime"),
        }
    }

    /// Starts sinks that are not at work yet. One that was never there begins with what is new.
    fn start_sinks(&mut self, sinks: Vec<SinkConfig>, journal: &Arc<dyn Journal>) {
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

    async fn until_stopped(&mut self, ground: &Ground, operations: &Operations, journal: &Arc<dyn Journal>) {
        let listen =
            |kind| signal(kind).inspect_err(|error| error!(%error, "cannot listen for signals")).ok();
        let mut terminate = listen(SignalKind::terminate());
        let mut interrupt = listen(SignalKind::interrupt());
        let mut hang_up = listen(SignalKind::hangup());
        let mut certificates = tokio::time::interval(CERTIFICATE_LOOK);
        loop {
            tokio::select! {
                () = received(&mut terminate) => return,
                () = received(&mut interrupt) => return,
                () = received(&mut hang_up) => {
                    self.reopen.send_modify(|count| *count = count.wrapping_add(1));
                    self.reload(ground, operations, journal).await;
                }
                _ = certificates.tick() => self.renew_certificates(operations).await,
            }
        }
    }

    async fn renew_certificates(&self, operations: &Operations) {
        let keep = keeper(&self.config.state_folder, true);
        for decoy in &self.decoys {
            match decoy.renew(&self.config.state_folder, keep.as_ref()) {
                Ok(false) => {}
                Ok(true) => operations.say(Sighting::of(&RENEWED).with("name", decoy.name)).await,
                Err(why) => warn!(service = decoy.name, "certificate not renewed: {why}"),
            }
        }
    }

    /// Takes up a new configuration: what is unchanged goes on as it is. A wrong one changes nothing.
    async fn reload(&mut self, ground: &Ground, operations: &Operations, journal: &Arc<dyn Journal>) {
        notify("RELOADING=1");
        let loaded = Config::load(&self.source, &self.around);
        let mut config = match loaded {
            Ok(config) => config,
            Err(problems) => {
                error!("the new configuration is wrong, the old one stays in force:\n{problems}");
                let why = problems.to_string();
                operations.say(Sighting::of(&RELOAD_REFUSED).with("why", why)).await;
                notify("READY=1");
                return;
            }
        };
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        let bait = checker(&config.services);
        *self.checker.lock().unwrap_or_else(PoisonError::into_inner) = bait.clone();
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner).reconfigure(config.ignore.clone(), bait);
        let (services, sinks) = (std::mem::take(&mut config.services), std::mem::take(&mut config.sinks));

        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.decoys)
            .into_iter()
            .partition(|decoy| services.iter().any(|service| service.fingerprint == decoy.fingerprint));
        let (kept_count, gone_count) = (kept.len(), gone.len());
        self.decoys = kept;
        let mut idle = Sockets::new();
        for decoy in gone {
            idle.extend(decoy.end().await);
        }
        let keep = keeper(&config.state_folder, true);
        let (mut failed, mut started) = (Vec::new(), 0_usize);
        for service in services {
            if self.decoys.iter().any(|decoy| decoy.fingerprint == service.fingerprint) {
                continue;
            }
            let prepared = prepare(service, &mut idle, &config.state_folder, keep.as_ref(), &mut failed);
            if let Some(prepared) = prepared {
                self.start_decoy(prepared, ground, operations).await;
                started = started.saturating_add(1);
            }
        }
        for failed in &failed {
            super::report_failed(failed);
            say_failed(failed, operations).await;
        }

        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.outlets)
            .into_iter()
            .partition(|outlet| sinks.iter().any(|sink| sink.fingerprint == outlet.fingerprint));
        self.outlets = kept;
        for outlet in gone {
            outlet.end().await;
        }
        let new = sinks
            .into_iter()
            .filter(|sink| !self.outlets.iter().any(|outlet| outlet.fingerprint == sink.fingerprint));
        let new = new.collect();
        self.start_sinks(new, journal);
        self.config = config;
        info!(kept = kept_count, started, ended = gone_count, "configuration reloaded");
        let reloaded = Sighting::of(&RELOADED)
            .with("kept", kept_count)
            .with("started", started)
            .with("ended", gone_count);
        operations.say(reloaded).await;
        notify("READY=1");
    }

    fn show_what_listens(&self) {
        use std::io::Write;
        let mut out = anstream::stderr().lock();
        for decoy in &self.decoys {
            for endpoint in &decoy.endpoints {
                let ip = endpoint.address.ip();
                let host = if ip.is_unspecified() { "127.0.0.1".to_owned() } else { ip.to_string() };
                let port = endpoint.address.port().to_string();
                let hint = decoy.hint.replace("{host}", &host).replace("{port}", &port);
                let place = endpoint.to_string();
                let hint = if hint.is_empty() { hint } else { format!("try: {hint}") };
                // With stderr closed there is nobody to tell.
                writeln!(out, "  {:<10} {place:<22} {hint}", decoy.name).ok();
            }
        }
    }

    /// The ordered end.
    async fn end(self, ground: Ground, operations: Operations) {
        info!("stopping");
        ground.accepting.cancel();
        ground.stop.cancel();
        ground.sessions.close();
        if tokio::time::timeout(LAST_WORDS, ground.sessions.wait()).await.is_err() {
            warn!(left = ground.sessions.len(), "sessions did not end in time");
        }
        operations.record(Sighting::of(&STOPPED)).await;
        self.outlets.iter().for_each(Outlet::stop);
        for outlet in self.outlets {
            outlet.end().await;
        }
        let store = self.store;
        tokio::task::spawn_blocking(move || store.close()).await.ok();
    }
}

async fn say_failed(failed: &Failed, operations: &Operations) {
    let address = failed.address.map(|address| address.to_string());
    let seen = Sighting::of(&SERVICE_FAILED)
        .with("name", failed.service)
        .with("address", address)
        .with("why", failed.why.as_str());
    operations.say(seen).await;
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
fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    if let Ok(datagram) = std::os::unix::net::UnixDatagram::unbound() {
        datagram.send_to(state.as_bytes(), socket).ok();
    }
}

/// What the configuration makes of events.
fn pipeline(config: &Config, checker: Checker, first_incident: u64) -> Pipeline {
    Pipeline::new(Settings { ignore: config.ignore.clone(), checker, quiet: QUIET, first_incident })
}

/// The bait of all services.
pub(super) fn checker(services: &[ServiceConfig]) -> Checker {
    Checker::new(services.iter().map(|service| (service.entry.name.to_owned(), service.honeycreds.clone())))
}
