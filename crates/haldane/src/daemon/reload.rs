//! Taking up a new configuration while the old one is at work: first everything is read and checked, then what
//! has changed is exchanged, part by part. A configuration that is wrong changes nothing.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
};

use haldane_core::Sighting;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{
    decoys::{Loaded, Moment, Sockets, load, places, prepare},
    kinds::{RELOAD_REFUSED, RELOADED},
    outlets::{self, LAST_DELIVERY, Work},
    report_failed,
    watch::{Canary, Ways, checker, notify, say_failed},
};
use crate::config::{Config, keeper};

/// What a reload did to the decoys.
#[derive(Default)]
struct Exchanged {
    kept: usize,
    started: usize,
    ended: usize,
}

impl Canary {
    /// Takes up a new configuration: what is unchanged goes on as it is. A wrong one changes nothing.
    pub(super) async fn reload(&mut self, ways: &Ways) {
        notify("RELOADING=1");
        match self.read_again() {
            Ok((config, changed)) => self.take_up(config, changed, ways).await,
            Err(why) => {
                error!("the new configuration is wrong, the old one stays in force:\n{why}");
                ways.operations.say(Sighting::of(&RELOAD_REFUSED).with("why", why)).await;
            }
        }
        notify("READY=1");
    }

    /// Reads and checks everything. Returned with it: services that are new or changed.
    fn read_again(&mut self) -> Result<(Config, Vec<Loaded>), String> {
        // First without keeping what is made: a configuration that is refused leaves no keys behind.
        self.around.write = false;
        let looked = self.read();
        self.around.write = true;
        looked?;
        let mut config = self.read()?;
        // Every service is asked for what it needs before one is touched.
        let keep = keeper(&config.state_folder, true);
        let (mut loaded, mut kept) = (Vec::new(), Vec::new());
        for service in std::mem::take(&mut config.services) {
            if self.decoys.iter().any(|decoy| decoy.fingerprint == service.fingerprint) {
                kept.push(service);
                continue;
            }
            let ready = load(service, &config.state_folder, keep.as_ref());
            loaded.push(ready.map_err(|failed| format!("{}: {}", failed.service, failed.why))?);
        }
        config.services = kept;
        Ok((config, loaded))
    }

    fn read(&self) -> Result<Config, String> {
        let read = catch_unwind(AssertUnwindSafe(|| Config::load(&self.source, &self.around)));
        let read = read.map_err(|_| "a part of the program failed over it: this is a bug".to_owned())?;
        read.map_err(|problems| problems.to_string())
    }

    async fn take_up(&mut self, mut config: Config, changed: Vec<Loaded>, ways: &Ways) {
        config.warnings.iter().for_each(|warning| warn!("{warning}"));
        for setting in only_at_start(&self.config, &config) {
            warn!("{setting} has changed: a restart takes that up");
        }
        for action in config.actions.iter().filter(|action| !action.dry_run) {
            if action.act.set().is_some_and(|set| !self.gate.knows(set)) {
                warn!(action = action.name, "only a restart can let an action add to another set");
            }
        }
        let bait = checker(config.services.iter().chain(changed.iter().map(|loaded| &loaded.config)));
        *self.checker.lock().unwrap_or_else(PoisonError::into_inner) = bait.clone();
        let (ignore, rules, watch) = (config.ignore.clone(), config.rules.clone(), config.incidents.watch);
        let counted = self
            .pipeline
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .reconfigure(ignore, rules, bait, watch);
        for rule in counted.iter() {
            info!(
                rule = rule.name,
                line = rule.line,
                action = rule.action.name(),
                events = rule.hits(),
                "rule counted"
            );
        }
        // Databases may be newer, too.
        self.sources.find_out(&config.incidents.lookups);
        ways.ground.resize(&config.limits);

        let kept: Vec<String> = config.services.drain(..).map(|service| service.fingerprint).collect();
        let exchanged = self.exchange_decoys(&kept, changed, ways).await;
        self.config = config;
        let works = self.works(&ways.operations);
        self.exchange_sinks(works, ways).await;
        self.renew_certificates(&ways.operations).await;

        let Exchanged { kept, started, ended } = exchanged;
        info!(kept, started, ended, "configuration reloaded");
        let reloaded =
            Sighting::of(&RELOADED).with("kept", kept).with("started", started).with("ended", ended);
        ways.operations.say(reloaded).await;
    }

    /// Ends what is not among `kept`, and starts what has changed on the sockets of its predecessors.
    async fn exchange_decoys(&mut self, kept: &[String], changed: Vec<Loaded>, ways: &Ways) -> Exchanged {
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.decoys).into_iter().partition(|decoy| kept.contains(&decoy.fingerprint));
        let mut exchanged = Exchanged { kept: kept.len(), started: 0, ended: gone.len() };
        self.decoys = kept;
        let mut idle = Sockets::new();
        for decoy in gone {
            idle.extend(decoy.end().await);
        }
        // A socket that nobody wants may be in the way of one that somebody does: 127.0.0.1:21 of 0.0.0.0:21.
        idle.retain(|place, _| {
            changed.iter().any(|loaded| places(&loaded.config).any(|wanted| wanted == *place))
        });
        let mut failed = Vec::new();
        for loaded in changed {
            if let Some(prepared) = prepare(loaded, &mut idle, Moment::Reload, &mut failed) {
                self.start_decoy(prepared, ways).await;
                exchanged.started = exchanged.started.saturating_add(1);
            }
        }
        for failed in &failed {
            report_failed(failed);
            say_failed(failed, &ways.operations).await;
        }
        exchanged
    }

    /// The same for sinks. A changed one goes on where its predecessor of that name left off.
    async fn exchange_sinks(&mut self, sinks: Vec<Work>, ways: &Ways) {
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.outlets)
            .into_iter()
            .partition(|outlet| sinks.iter().any(|sink| sink.fingerprint == outlet.fingerprint));
        self.outlets = kept;
        let now = Instant::now();
        outlets::end(gone, now.checked_add(LAST_DELIVERY).unwrap_or(now)).await;
        let is_new = |sink: &Work| !self.outlets.iter().any(|outlet| outlet.fingerprint == sink.fingerprint);
        let new = sinks.into_iter().filter(is_new).collect();
        self.start_sinks(new, &ways.journal);
    }
}

/// Settings that differ and that only a start reads.
fn only_at_start(old: &Config, new: &Config) -> Vec<&'static str> {
    let compared = [
        ("user or group", (&old.user, &old.group) != (&new.user, &new.group)),
        ("store", old.store != new.store),
    ];
    compared.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
}
