//! The contract of a sink.

use std::{borrow::Cow, fmt::Debug, future::Future, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use haldane_core::{Journal, Record, Section, Wants};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{channel, delivery::Delivery, runner::run};

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

/// What the runner asks of a sink, whichever way it was made: see the methods of [`Sink`].
pub trait Outlet: Send + 'static {
    /// See [`Sink::deliver`].
    fn deliver(&mut self, batch: &[Record]) -> impl Future<Output = Result<(), Failure>> + Send;
    /// See [`Sink::idle`].
    fn idle(&mut self) -> impl Future<Output = ()> + Send;
    /// See [`Sink::reopen`].
    fn reopen(&mut self);
    /// See [`Sink::owns`].
    fn owns(&self) -> Vec<PathBuf>;
}

impl<S: Sink> Outlet for S {
    fn deliver(&mut self, batch: &[Record]) -> impl Future<Output = Result<(), Failure>> + Send {
        Sink::deliver(self, batch)
    }

    fn idle(&mut self) -> impl Future<Output = ()> + Send {
        Sink::idle(self)
    }

    fn reopen(&mut self) {
        Sink::reopen(self);
    }

    fn owns(&self) -> Vec<PathBuf> {
        Sink::owns(self)
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

impl<S: Outlet> AnySink for S {
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
        Outlet::owns(self)
    }
}

/// One row of the registry.
#[derive(Debug, Clone)]
pub struct Entry {
    /// See [`Sink::NAME`]; of a channel, the name of its preset's file.
    pub name: Cow<'static, str>,
    source: Source,
}

/// What a row stands for.
#[derive(Debug, Clone)]
enum Source {
    Code(Build),
    /// A channel over HTTP: the text of its preset.
    Preset(Cow<'static, str>),
}

/// Reads a section, the keys common to all sinks included. `name` is the section's.
type Build = fn(name: &str, section: &mut Section<'_>, sender: &Sender) -> (Box<dyn AnySink>, Delivery);

impl Entry {
    /// The row of `S`.
    pub const fn of<S: Sink>() -> Self {
        Self {
            name: Cow::Borrowed(S::NAME),
            source: Source::Code(|name, section, sender| {
                let delivery = Delivery::configure::<S>(name, section);
                (Box::new(S::configure(section, sender)), delivery)
            }),
        }
    }

    /// The row of a preset that is part of the program.
    pub const fn preset(name: &'static str, text: &'static str) -> Self {
        Self { name: Cow::Borrowed(name), source: Source::Preset(Cow::Borrowed(text)) }
    }

    /// The row of an operator's preset.
    pub(crate) fn own_preset(name: String, text: String) -> Self {
        Self { name: Cow::Owned(name), source: Source::Preset(Cow::Owned(text)) }
    }

    /// Reads the section of the sink of that name.
    pub fn build(
        &self,
        name: &str,
        section: &mut Section<'_>,
        sender: &Sender,
    ) -> (Box<dyn AnySink>, Delivery) {
        match &self.source {
            Source::Code(build) => build(name, section, sender),
            Source::Preset(text) => channel::build(&self.name, text, name, section, sender),
        }
    }

    /// Whether its messages go over HTTP as a preset says; such sinks have more keys in common.
    pub fn is_preset(&self) -> bool {
        matches!(self.source, Source::Preset(_))
    }

    /// What a preset is for, in a line for people; empty for other sinks, whose names say it.
    pub fn about(&self) -> String {
        channel::about(self.text()).map(|(about, _)| about).unwrap_or_default()
    }

    /// Whether users of a preset want a few messages for an incident rather than one for each event.
    pub fn is_for_incidents(&self) -> bool {
        channel::about(self.text()).is_some_and(|(_, incidents)| incidents)
    }

    /// The text of the preset, if it is one: what else a sink is but its section.
    pub fn text(&self) -> &str {
        match &self.source {
            Source::Code(_) => "",
            Source::Preset(text) => text,
        }
    }
}
