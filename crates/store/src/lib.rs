//! Journal, queue and archive in one: an SQLite database in write-ahead mode.
//!
//! [`Store`] owns one thread, the only writer. It takes all batches that wait, runs the pipeline over their
//! events, numbers them and commits them together, so that a commit costs less the more there is to do; only
//! then are the peers answered. `kill -9` loses nothing that was answered for; with [`Options::durable`], a
//! power cut neither.
//!
//! The newest events stay in memory (`tail`): a sink that keeps up never touches the disk. While the disk
//! takes nothing, they stay there, too, within bounds, and the sinks go on; what did not fit is told as
//! [`kinds::GAP`] once writing works again.
//!
//! Read `row` (what an event is on disk), `tail`, `writer`, `journal` (what sinks see), `retain` (what is
//! deleted and when), `query` (what people read), `verify` (honey-credentials off the event path), `incidents` (what
//! the pipeline wants kept).

mod checkpoint;
mod incidents;
mod journal;
pub mod kinds;
mod query;
mod retain;
mod row;
mod schema;
mod shared;
mod tail;
pub mod verify;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use haldane_core::{Batch, Journal, Kinds, Record};
use tokio::sync::{mpsc, watch};

pub use crate::{
    kinds::KINDS,
    query::{DeadLetter, Query, Reader},
    shared::Condition,
};
use crate::{shared::Shared, writer::Writer};

/// Batches that may wait for the writer. One commit takes what waits, so this many are a few milliseconds of
/// work; whoever brings more waits, and with him his peer, not the others'. An event may be of some ten kilobytes.
pub const QUEUE: usize = 128;

/// A record whose honey-credential is being verified holds back what follows for this long.
pub const HOLD_BACK: Duration = Duration::from_secs(2);

/// What happens to each event before it is numbered and stored: the pipeline. It must not wait.
pub type Process = Box<dyn haldane_core::Process>;

/// Where and how events are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where the database is; made if it does not exist.
    pub folder: PathBuf,
    /// Each commit survives a power cut, at the price of a flush of the disk.
    pub durable: bool,
    /// Older events are deleted once every sink has had them.
    pub keep_for: Duration,
    /// The oldest events are deleted when the database is larger, in bytes.
    pub max_size: u64,
}

impl Options {
    /// The defaults, in that folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let keep_for = Duration::from_secs(365 * 86_400);
        Self { folder: folder.into(), durable: false, keep_for, max_size: 2 << 30 }
    }
}

/// Why the store could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder, or a file in it, cannot be made or opened.
    #[error("{}: {source}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another daemon writes here.
    #[error("{}: in use by another haldane that is running", folder.display())]
    Locked {
        /// Which.
        folder: PathBuf,
    },
    /// There is nothing to read.
    #[error("{}: no such store (has the canary ever run with this configuration?)", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Written by a later version of this program.
    #[error(
        "the store has version {found} of the schema, this program knows versions up to {known}: use a newer one"
    )]
    Newer {
        /// Of the store.
        found: usize,
        /// Of this program.
        known: usize,
    },
    /// Not yet migrated; only the daemon does that.
    #[error(
        "the store has version {found} of the schema, not {known}: start the canary once to bring it up to date"
    )]
    Older {
        /// Of the store.
        found: usize,
        /// Of this program.
        known: usize,
    },
    /// The threads of the store cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// Anything else that SQLite says.
    #[error("store: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// The store, open for writing. Dropping it closes it.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    ingest: mpsc::Sender<Batch>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the store, made or migrated where necessary, and starts its writer. A damaged database is set
    /// aside and a new one begun: a canary starts whatever happened to its archive.
    ///
    /// # Errors
    /// The folder or file cannot be used, another daemon uses it, or a newer version wrote it.
    pub fn open(options: Options, kinds: Arc<Kinds>, process: Process) -> Result<Self, Error> {
        let lock = schema::lock(&options.folder)?;
        let opened = schema::begin(&options.folder, options.durable)?;
        let shared = Arc::new(Shared::new(opened.reading, opened.newest, opened.cursors, kinds));
        let (ingest, queue) = mpsc::channel(QUEUE);
        checkpoint::spawn(shared.clone(), options.folder.clone()).map_err(Error::Thread)?;
        let mut writer =
            Writer::new(shared.clone(), opened.db, options, process, queue).map_err(Error::Thread)?;
        writer.begin(opened.aside.as_deref(), opened.unwritable);
        let run = move || {
            writer.run();
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("store".into()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { shared, ingest, writer: Mutex::new(Some(thread)) })
    }

    /// A call that makes the writer look whether something is due: for who changes what the pipeline knows.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let shared = self.shared.clone();
        move || shared.wake.notify_one()
    }

    /// Where events go in.
    pub fn ingest(&self) -> mpsc::Sender<Batch> {
        self.ingest.clone()
    }

    /// What sinks read from.
    pub fn journal(&self) -> Arc<dyn Journal> {
        self.shared.clone()
    }

    /// Changes whenever there may be something new for the sinks: the position of the newest event.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }

    /// The position of the newest event; 0 if there never was one.
    pub fn newest(&self) -> u64 {
        self.shared.tail().visible()
    }

    /// Whether that sink ever saved a position. A new one may start at [`Self::newest`].
    pub fn has_cursor(&self, sink: &str) -> bool {
        self.shared.cursors().contains_key(sink)
    }

    /// Names the sinks that there are. What others have not had is not kept for them; until this is called,
    /// everybody who ever saved a position counts.
    pub fn serve(&self, sinks: impl IntoIterator<Item = String>) {
        *self.shared.served.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(sinks.into_iter().collect());
    }

    /// How the store itself is.
    pub fn condition(&self) -> Condition {
        self.shared.condition()
    }

    /// Whether the last attempt to write succeeded.
    pub fn healthy(&self) -> bool {
        self.condition().writing
    }

    /// Notes whether the credentials of that event are a honey-credential. A yes makes the event critical.
    pub fn verified(&self, seq: u64, yes: bool) {
        self.shared.verified(seq, yes);
    }

    /// Events whose honey-credential is being verified, oldest first.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn pending(&self, most: usize) -> Result<Vec<Record>, Error> {
        Ok(self.shared.pending(most, verify::Order::Oldest)?)
    }

    /// Takes what still waits, writes it, and ends. Blocks for as long as that takes. Further calls do nothing.
    pub fn close(&self) {
        self.shared.stop();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the writer of the store ended unexpectedly");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// The position of the newest event in the store of that folder, 0 if there is none: no incident so far has a
/// higher number, because each takes at least one event. For use before [`Store::open`].
pub fn newest(folder: &Path) -> u64 {
    let newest = schema::readable(folder).and_then(|db| Ok(shared::newest(&db)?));
    // Without space on disk, the proper way is barred.
    newest.or_else(|_| schema::glimpse(folder).map(|(_, newest)| newest)).unwrap_or_default()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the store stamps its own events and ages others; no session does"
)]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
