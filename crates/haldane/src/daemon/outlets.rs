//! The sinks at work.

use std::{sync::Arc, time::Duration};

use haldane_core::{Health, Journal};
use haldane_net::now;
use haldane_sinks::{AnySink, Delivery, Signals};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
    time::{Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::SinkConfig;

/// How long a sink may take to finish what is under way. What it does not finish waits in the store.
pub const LAST_DELIVERY: Duration = Duration::from_secs(2);
/// How long an aborted task may take to end.
const ABORTED: Duration = Duration::from_millis(100);

/// Something that is to read the journal: a sink or an action, ready to be started.
pub struct Work {
    /// Its cursor's key in the store.
    pub name: String,
    /// Equal settings, equal text.
    pub fingerprint: String,
    /// What it does with records.
    pub sink: Box<dyn AnySink>,
    /// How it is served.
    pub delivery: Delivery,
}

impl From<SinkConfig> for Work {
    fn from(config: SinkConfig) -> Self {
        let SinkConfig { name, fingerprint, sink, delivery, .. } = config;
        Self { name, fingerprint, sink, delivery }
    }
}

/// A sink at work.
pub struct Outlet {
    /// The name of its section.
    pub name: String,
    /// Equal settings, equal text.
    pub fingerprint: String,
    stop: CancellationToken,
    abort: AbortHandle,
    task: JoinHandle<()>,
}

impl Outlet {
    /// Starts it where it left off.
    pub fn start(
        config: Work,
        journal: &Arc<dyn Journal>,
        grown: watch::Receiver<u64>,
        reopen: watch::Receiver<u64>,
        tasks: &TaskTracker,
    ) -> Self {
        let stop = CancellationToken::new();
        let signals = Signals { grown, reopen, stop: stop.clone() };
        let work = tasks.spawn(config.sink.run(config.delivery, Arc::clone(journal), signals));
        let abort = work.abort_handle();
        let (name, journal) = (config.name.clone(), Arc::clone(journal));
        let task = tasks.spawn(async move {
            if work.await.is_err_and(|error| error.is_panic()) {
                let why = "it failed: this is a bug; a restart takes it up again".into();
                let health = Health { up: false, why, since: now(), delivered: 0, refused: 0 };
                journal.health(&name, &health);
            }
        });
        Self { name: config.name, fingerprint: config.fingerprint, stop, abort, task }
    }
}

/// Ends them all: what is under way is finished by then, or waits in the store.
pub async fn end(outlets: Vec<Outlet>, until: Instant) {
    outlets.iter().for_each(|outlet| outlet.stop.cancel());
    for mut outlet in outlets {
        if timeout_at(until, &mut outlet.task).await.is_err() {
            outlet.abort.abort();
            // Its successor must not run beside it. A call that blocks is left behind.
            timeout(ABORTED, outlet.task).await.ok();
        }
    }
}
