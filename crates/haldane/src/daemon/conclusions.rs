//! The pipeline as the store sees it, and those who find out about the sources of incidents.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use haldane_core::{Event, News, Process, Unsaved};
use haldane_pipeline::{Facts, Pipeline};
use tracing::warn;

use super::lookups::Lookups;
use crate::config::LookupSettings;

/// Those who are asked now; a reload may exchange them.
pub(super) type Asking = Arc<Mutex<Option<Lookups>>>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The pipeline, shared with a reload and with whoever finds out about sources.
pub(super) struct Conclusions {
    pub(super) pipeline: Arc<Mutex<Pipeline>>,
    pub(super) asking: Asking,
}

impl Conclusions {
    fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        locked(&self.pipeline)
    }
}

impl Process for Conclusions {
    fn take(&mut self, event: &mut Event, news: &mut Vec<News>) {
        let mut pipeline = self.pipeline();
        pipeline.take(event, news);
        for source in pipeline.asks() {
            let asked = locked(&self.asking).as_ref().is_some_and(|lookups| lookups.ask(source));
            if !asked {
                pipeline.know(source, Facts::default());
            }
        }
    }

    fn confirmed(&mut self, event: &Event, news: &mut Vec<News>) {
        self.pipeline().confirmed(event, news);
    }

    fn due(&self) -> Option<SystemTime> {
        self.pipeline().due()
    }

    fn tick(&mut self, now: SystemTime, news: &mut Vec<News>) {
        self.pipeline().tick(now, news);
    }

    fn unsaved(&mut self, now: SystemTime) -> Unsaved {
        self.pipeline().unsaved(now)
    }

    fn restore(&mut self, state: &[u8]) {
        self.pipeline().restore(state);
    }

    fn again(&mut self, event: &Event) {
        self.pipeline().again(event);
    }
}

/// Starts those who find out about sources.
pub(super) struct Sources {
    asking: Asking,
    found: Arc<dyn Fn(IpAddr, Facts) + Send + Sync>,
}

impl Sources {
    /// What they find goes to the pipeline; `wake` has the store look for what is due.
    pub(super) fn new(
        pipeline: Arc<Mutex<Pipeline>>,
        asking: Asking,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let found = move |source, facts| {
            locked(&pipeline).know(source, facts);
            wake();
        };
        Self { asking, found: Arc::new(found) }
    }

    /// Has them work with those settings from now on, and look at their databases anew.
    pub(super) fn find_out(&self, settings: &LookupSettings) {
        let found = Arc::clone(&self.found);
        let started = Lookups::start(settings.clone(), move |source, facts| found(source, facts));
        *locked(&self.asking) =
            started.inspect_err(|error| warn!(%error, "nothing is found out about sources")).ok();
    }
}
