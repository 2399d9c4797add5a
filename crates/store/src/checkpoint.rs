//! Moves what was committed from the log into the database, beside the writer.
//!
//! SQLite would do it within a commit, and whoever waits for that commit would wait for the disk. A passive
//! checkpoint over a connection of its own holds nobody up. If it ever falls so far behind that the log grows to
//! [`LONGEST_LOG`] pages, the writer does it after all.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{schema::FILE, shared::Shared};

/// How often, while there is something new.
const EVERY: Duration = Duration::from_millis(500);
/// Pages of 4 KiB in the log before the writer itself moves them.
pub(crate) const LONGEST_LOG: u32 = 16_384;

/// Starts the thread. It ends when the store closes.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn spawn(shared: Arc<Shared>, folder: PathBuf) -> std::io::Result<()> {
    let run = move || {
        let mut done = 0;
        while !shared.stopped() {
            shared.rest(EVERY);
            let newest = *shared.newest.borrow();
            // At the end the writer moves all of it, and must be alone for that.
            if newest != done && !shared.stopped() {
                done = newest;
                // The writer notices and tells what is wrong with the disk; here it is tried again.
                if let Err(error) = passive(&folder) {
                    tracing::debug!(%error, "no checkpoint");
                }
            }
        }
    };
    std::thread::Builder::new().name("checkpoint".into()).spawn(run).map(drop)
}

/// Over a connection of its own each time: the file may have been replaced meanwhile.
fn passive(folder: &std::path::Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(folder.join(FILE), flags)?;
    db.pragma_update(None, "cache_size", -64)?;
    db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
