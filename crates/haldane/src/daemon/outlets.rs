//! The sinks at work.

use std::{sync::Arc, time::Duration};

use haldane_core::Journal;
use haldane_sinks::Signals;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::SinkConfig;

/// How long a sink may take to finish what is under way. What it does not finish waits in the store.
const LAST_DELIVERY: Duration = Duration::from_secs(2);

/// A sink at work.
#[derive(Debug)]
pub struct Outlet {
    /// The name of its section.
    pub name: String,
    /// Equal settings, equal text.
    pub fingerprint: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Outlet {
    /// Starts it where it left off.
    pub fn start(
        config: SinkConfig,
        journal: &Arc<dyn Journal>,
        grown: watch::Receiver<u64>,
        reopen: watch::Receiver<u64>,
        tasks: &TaskTracker,
    ) -> Self {
        let stop = CancellationToken::new();
        let signals = Signals { grown, reopen, stop: stop.clone() };
        let task = tasks.spawn(config.sink.run(config.delivery, Arc::clone(journal), signals));
        Self { name: config.name, fingerprint: config.fingerprint, stop, task }
    }

    /// Tells it to end; [`Outlet::end`] then waits.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Ends it: what is under way is finished, or waits in the store.
    pub async fn end(mut self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_DELIVERY, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}
