//! The contract of a sink.

use std::{fmt::Debug, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use haldane_core::{Journal, Record, Section, Wants};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{delivery::Delivery, runner::run};

/// What every sink may know of the machine that it speaks for.
#[derive(Debug, Clone)]
pub struct Sender {
    /// `device.node_id`: the name of this canary in its messages.
    pub node: String,
}

/// Somewhere to send events. No loops, queues, retries or time limits here: the runner has them. `Ok` means
/// that the far end has it.
pub trait Sink: Sized + Send + 'static {
    /// The folder's name and the `type` in the configuration.
    const NAME: &'static str;
    /// Most records in one call.
    const BATCH: usize = 1;
    /// Longest call, unless its section says otherwise.
    const TIMEOUT: Duration = Duration::from_secs(20);
    /// Which events it wants, unless its section says otherwise.
    const WANTS: Wants;
    /// Whether secrets that were tried are masked, unless its section says otherwise.
    const MASK: bool = true;

    /// Reads its section; mistakes are noted there. Opens nothing.
    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self;

    /// Delivers a batch. Called by one task, one call at a time. Safe to drop at any await (time limit).
    fn deliver(&mut self, batch: &[Record]) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Nothing more to deliver for now: the moment to close a connection that was kept for a batch.
    fn idle(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// SIGHUP, or a moved file: open anew what is open.
    fn reopen(&mut self) {}

    /// The files that it writes to. Who gives up root hands them over before.
    fn owns(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// Why a delivery failed, by what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Try again: the network, a 5xx, a 429, a wrong password that the operator will mend.
    #[error("{why}")]
    Later {
        /// For the operator: what happened and what to change.
        why: String,
        /// The far end's own wish, if it had one.
        after: Option<Duration>,
    },
    /// Never try this batch again: the far end understood it and said no to it.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// A failure that may pass.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

/// What the runner is given besides the sink.
#[derive(Debug)]
pub struct Signals {
    /// The last position in the journal; changes when there is more.
    pub grown: watch::Receiver<u64>,
    /// Changes when sinks are to reopen what they have open.
    pub reopen: watch::Receiver<u64>,
    /// Finish what is under way, save the cursor, return.
    pub stop: CancellationToken,
}

/// A sink, type erased and ready to run.
pub trait AnySink: Send {
    /// Delivers until stopped; see [`run`].
    fn run(
        self: Box<Self>,
        delivery: Delivery,
        journal: Arc<dyn Journal>,
        signals: Signals,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Delivers these records once and says what came of it: for `haldane test-alert`.
    fn once<'a>(
        &'a mut self,
        batch: &'a [Record],
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

    /// See [`Sink::owns`].
    fn owns(&self) -> Vec<PathBuf>;
}

impl<S: Sink> AnySink for S {
    fn run(
        self: Box<Self>,
        delivery: Delivery,
        journal: Arc<dyn Journal>,
        signals: Signals,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(run(*self, delivery, journal, signals))
    }

    fn once<'a>(
        &'a mut self,
        batch: &'a [Record],
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>> {
        Box::pin(self.deliver(batch))
    }

    fn owns(&self) -> Vec<PathBuf> {
        Sink::owns(self)
    }
}

/// One row of the registry.
#[derive(Debug)]
pub struct Entry {
    /// See [`Sink::NAME`].
    pub name: &'static str,
    /// Reads a section, the keys common to all sinks included.
    pub build: Build,
}

/// Reads the section of the sink of that name.
pub type Build = fn(name: &str, section: &mut Section<'_>, sender: &Sender) -> (Box<dyn AnySink>, Delivery);

impl Entry {
    /// The row of `S`.
    pub const fn of<S: Sink>() -> Self {
        Self {
            name: S::NAME,
            build: |name, section, sender| {
                let delivery = Delivery::configure::<S>(name, section);
                (Box::new(S::configure(section, sender)), delivery)
            },
        }
    }
}
