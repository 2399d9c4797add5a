//! The database file: opening, migrating, setting aside.

use std::{
    collections::HashMap,
    fs::{DirBuilder, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::checkpoint::LONGEST_LOG;
use crate::{Error, now, shared};

/// The database, in the folder of the store.
pub(crate) const FILE: &str = "haldane.db";
const LOCK: &str = "haldane.lock";

/// One step each; `user_version` says how many were made. Never changed, only added to.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        id BLOB NOT NULL,
        at INTEGER NOT NULL,
        service TEXT NOT NULL,
        kind INTEGER NOT NULL,
        severity INTEGER NOT NULL,
        source BLOB,
        session BLOB NOT NULL,
        flags INTEGER NOT NULL,
        honeycred INTEGER NOT NULL,
        incident INTEGER,
        body BLOB NOT NULL
    );
    CREATE INDEX events_at ON events (at);
    CREATE INDEX events_source ON events (source) WHERE source IS NOT NULL;
    CREATE INDEX events_pending ON events (seq) WHERE honeycred = 1;
    CREATE TABLE cursors (sink TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY,
        sink TEXT NOT NULL,
        seq INTEGER NOT NULL,
        at INTEGER NOT NULL,
        reason TEXT NOT NULL
    );
    CREATE TABLE healths (sink TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
",
    "
    CREATE TABLE incidents (
        number INTEGER PRIMARY KEY,
        seq INTEGER NOT NULL,
        source BLOB,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL,
        severity INTEGER NOT NULL,
        open INTEGER NOT NULL,
        state BLOB NOT NULL
    );
    CREATE INDEX incidents_open ON incidents (number) WHERE open;
    CREATE INDEX incidents_last ON incidents (last);
    CREATE TABLE marks (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO marks SELECT 'incidents', ifnull(max(seq), 0) FROM events;
",
];

/// How long a connection waits for another: the writer's checkpoint, a reader's recovery.
const PATIENCE: Duration = Duration::from_secs(5);

/// Makes sure that no other daemon writes here, for as long as the file returned lives.
pub(crate) fn lock(folder: &Path) -> Result<File, Error> {
    let failed = |source| Error::Folder { folder: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let path = folder.join(LOCK);
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked { folder: folder.to_owned() }),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// What the store begins with.
pub(crate) struct Opened {
    /// For the writer.
    pub(crate) db: Connection,
    /// For everybody else.
    pub(crate) reading: Connection,
    /// The position of the newest event.
    pub(crate) newest: u64,
    /// Where each sink is.
    pub(crate) cursors: HashMap<String, u64>,
    /// Where a damaged database went.
    pub(crate) aside: Option<PathBuf>,
    /// Why `db` is a stand-in that takes nothing, if it is one.
    pub(crate) unwritable: Option<String>,
}

/// Opens what there is. A disk without space does not keep a canary from starting: events stay in memory until
/// there is.
pub(crate) fn begin(folder: &Path, durable: bool) -> Result<Opened, Error> {
    let (db, aside) = match open(folder, durable) {
        Err(Error::Sqlite(error)) if no_space(&error) => return stand_in(folder, &error),
        opened => opened?,
    };
    let (newest, cursors) = (shared::newest(&db)?, shared::cursors(&db)?);
    Ok(Opened { db, reading: readable(folder)?, newest, cursors, aside, unwritable: None })
}

fn stand_in(folder: &Path, error: &rusqlite::Error) -> Result<Opened, Error> {
    let (reading, newest) = glimpse(folder)?;
    let cursors = shared::cursors(&reading).unwrap_or_default();
    let unwritable = Some(error.to_string());
    Ok(Opened { db: Connection::open_in_memory()?, reading, newest, cursors, aside: None, unwritable })
}

/// Reads the database without needing any space. What is in its log only is not seen: the position returned is
/// beyond what may be there.
pub(crate) fn glimpse(folder: &Path) -> Result<(Connection, u64), Error> {
    /// More events than a log ever holds.
    const LOG: u64 = 1 << 20;
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = folder.join(FILE);
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let db = Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?;
    let logged = std::fs::metadata(folder.join(format!("{FILE}-wal"))).is_ok_and(|log| log.len() > 0);
    let newest = shared::newest(&db).unwrap_or_default();
    Ok((db, if logged { newest.saturating_add(LOG) } else { newest }))
}

fn no_space(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
}

/// A database ready for writing; and where a damaged one was set aside, if that was necessary.
pub(crate) fn open(folder: &Path, durable: bool) -> Result<(Connection, Option<PathBuf>), Error> {
    match writable(folder, durable) {
        Err(Error::Sqlite(error)) if damaged(&error) => {
            let aside =
                set_aside(folder).map_err(|source| Error::Folder { folder: folder.to_owned(), source })?;
            Ok((writable(folder, durable)?, Some(aside)))
        }
        opened => Ok((opened?, None)),
    }
}

/// Whether the file itself is at fault.
pub(crate) fn damaged(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn writable(folder: &Path, durable: bool) -> Result<Connection, Error> {
    let path = folder.join(FILE);
    // SQLite gives its other files the mode of this one.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| Error::Folder { folder: folder.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    // In WAL mode, NORMAL survives the death of the process, FULL the loss of power, too.
    db.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
    // Negative: KiB. Appending touches few pages.
    db.pragma_update(None, "cache_size", -512)?;
    db.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG)?;
    // After a checkpoint, what a burst left of the log goes back to the file system.
    db.pragma_update(None, "journal_size_limit", 4 << 20)?;
    migrate(&db, MIGRATIONS)?;
    // Touches the tables, so that damage shows here.
    db.query_row("SELECT max(seq) FROM events", [], |_| Ok(()))?;
    Ok(db)
}

fn migrate(db: &Connection, steps: &[&str]) -> Result<(), Error> {
    let found = version(db)?;
    let known = steps.len();
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (done, step) in (1_usize..).zip(steps).skip(found) {
        let script = format!("BEGIN IMMEDIATE; {step}; PRAGMA user_version = {done}; COMMIT;");
        if let Err(error) = db.execute_batch(&script) {
            // Nothing of a failed step stays; if not even that works, closing undoes it.
            _ = db.execute_batch("ROLLBACK");
            return Err(error.into());
        }
    }
    Ok(())
}

fn version(db: &Connection) -> Result<usize, Error> {
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// A database for reading only.
pub(crate) fn readable(folder: &Path) -> Result<Connection, Error> {
    let path = folder.join(FILE);
    if !path.exists() {
        return Err(Error::Missing { path });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    db.pragma_update(None, "cache_size", -256)?;
    match (version(&db)?, MIGRATIONS.len()) {
        (found, known) if found > known => Err(Error::Newer { found, known }),
        (found, known) if found < known => Err(Error::Older { found, known }),
        _ => Ok(db),
    }
}

/// Moves the database and its log out of the way. Returns its new name.
pub(crate) fn set_aside(folder: &Path) -> std::io::Result<PathBuf> {
    let seconds = now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let free = (0_u32..).map(|n| folder.join(format!("{FILE}.corrupt-{}", seconds.saturating_add(n.into()))));
    let aside =
        free.into_iter().find(|path| !path.exists()).unwrap_or_else(|| folder.join("haldane.db.corrupt"));
    std::fs::rename(folder.join(FILE), &aside)?;
    for suffix in ["-wal", "-shm"] {
        let mut to = aside.clone().into_os_string();
        to.push(suffix);
        match std::fs::rename(folder.join(format!("{FILE}{suffix}")), to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_made_one_after_the_other_and_only_once() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, &MIGRATIONS[..1]).unwrap();
        db.execute("INSERT INTO cursors VALUES ('file', 7)", []).unwrap();
        let steps = [MIGRATIONS[0], "ALTER TABLE cursors ADD COLUMN note TEXT NOT NULL DEFAULT 'old'"];
        migrate(&db, &steps).unwrap();
        migrate(&db, &steps).unwrap();
        let kept: (i64, String) =
            db.query_row("SELECT seq, note FROM cursors", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(kept, (7, "old".to_owned()));
        assert_eq!(version(&db).unwrap(), 2);
    }

    #[test]
    fn what_a_store_held_before_there_were_incidents_is_not_told_again() {
        let db = Connection::open_in_memory().unwrap();
        migrate(&db, &MIGRATIONS[..1]).unwrap();
        db.execute("INSERT INTO events VALUES (41, x'', 0, 'ftp', 1, 1, NULL, x'', 0, 0, 1, x'')", [])
            .unwrap();
        migrate(&db, MIGRATIONS).unwrap();
        let mark: i64 = db.query_row("SELECT seq FROM marks", [], |row| row.get(0)).unwrap();
        assert_eq!(mark, 41);
    }

    #[test]
    fn a_failed_migration_leaves_the_version_before_it() {
        let db = Connection::open_in_memory().unwrap();
        let steps = [MIGRATIONS[0], "CREATE TABLE half (x); CREATE TABLE half (x)"];
        assert!(migrate(&db, &steps).is_err());
        assert_eq!(version(&db).unwrap(), 1);
        assert!(db.execute("SELECT x FROM half", []).is_err());
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_versions() {
        let db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        let error = migrate(&db, MIGRATIONS).unwrap_err();
        assert!(matches!(error, Error::Newer { found: 99, known: 2 }), "{error}");
    }
}
