//! An event as a row, and back. Columns are what queries ask for; the rest is one JSON text.

use std::{
    borrow::Cow,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use haldane_core::{Class, Event, Fields, Honeycred, Kinds, Login, Peer, Record, Severity, TlsFacts};
use rusqlite::{CachedStatement, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bit of `flags`: on an ignore list.
pub(crate) const IGNORED: i64 = 1;
/// Bit of `flags`: about this program.
pub(crate) const OPERATIONAL: i64 = 2;
/// Bit of `flags`: news of an incident.
pub(crate) const INCIDENT: i64 = 4;

/// Value of `honeycred`: being verified.
pub(crate) const PENDING: i64 = 1;

/// Every column, in the order that [`decode`] expects.
pub(crate) const COLUMNS: &str =
    "seq, id, at, service, kind, severity, session, flags, honeycred, incident, body";

/// Adds one event.
pub(crate) const INSERT: &str = "INSERT INTO events \
     (seq, id, at, service, kind, severity, source, session, flags, honeycred, incident, body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a Peer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a Login>,
    #[serde(skip_serializing_if = "Fields::is_empty")]
    fields: &'a Fields,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a TlsFacts>,
}

#[derive(Deserialize)]
struct Stored {
    peer: Option<Peer>,
    login: Option<Login>,
    #[serde(default)]
    fields: Fields,
    tls: Option<TlsFacts>,
}

/// Writes what has no column of its own into `body`, which is emptied first.
pub(crate) fn encode(event: &Event, body: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    body.clear();
    let Event { peer, login, fields, tls, .. } = event;
    let parts = Body { peer: peer.as_ref(), login: login.as_ref(), fields, tls: tls.as_deref() };
    serde_json::to_writer(body, &parts)
}

/// Adds one event with its encoded body.
pub(crate) fn insert(
    statement: &mut CachedStatement<'_>,
    seq: u64,
    event: &Event,
    body: &[u8],
) -> rusqlite::Result<()> {
    let source = event.source().map(octets);
    let class = match event.kind.class {
        Class::Operational => OPERATIONAL,
        Class::Incident => INCIDENT,
        _ => 0,
    };
    let flags = if event.ignored { IGNORED | class } else { class };
    statement.execute(params![
        signed(seq),
        event.id.as_bytes(),
        micros(event.at),
        event.service.as_ref(),
        event.kind.number,
        rank(event.severity),
        source.as_ref().map(Octets::as_slice),
        event.session.as_bytes(),
        flags,
        state(event.honeycred),
        event.incident.map(signed),
        body,
    ])?;
    Ok(())
}

/// Reads [`COLUMNS`]. `None`: the row is damaged.
pub(crate) fn decode(row: &Row<'_>, kinds: &Kinds) -> Option<Record> {
    let uuid =
        |column| row.get_ref(column).ok()?.as_blob().ok().and_then(|bytes| Uuid::from_slice(bytes).ok());
    let stored: Stored = serde_json::from_slice(row.get_ref(10).ok()?.as_blob().ok()?).ok()?;
    let flags: i64 = row.get(7).ok()?;
    let incident: Option<i64> = row.get(9).ok()?;
    let event = Event {
        id: uuid(1)?,
        service: Cow::Owned(row.get(3).ok()?),
        session: uuid(6)?,
        peer: stored.peer,
        at: time(row.get(2).ok()?),
        kind: kinds.of(row.get(4).ok()?),
        severity: severity(row.get(5).ok()?),
        login: stored.login,
        fields: stored.fields,
        tls: stored.tls.map(Arc::new),
        ignored: flags & IGNORED != 0,
        honeycred: honeycred(row.get(8).ok()?),
        incident: incident.and_then(|number| u64::try_from(number).ok()),
    };
    Some(Record { seq: u64::try_from(row.get::<_, i64>(0).ok()?).ok()?, event: Arc::new(event) })
}

/// How long its body is.
pub(crate) fn size(row: &Row<'_>) -> usize {
    let body = row.get_ref(10).ok().and_then(|body| body.as_blob().ok());
    body.map_or(0, <[u8]>::len)
}

/// An address as in the column `source`: 4 or 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Octets {
    /// IPv4.
    Four([u8; 4]),
    /// IPv6.
    Sixteen([u8; 16]),
}

impl Octets {
    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Four(bytes) => bytes,
            Self::Sixteen(bytes) => bytes,
        }
    }
}

/// The column form of an address.
pub(crate) fn octets(address: IpAddr) -> Octets {
    match address {
        IpAddr::V4(v4) => Octets::Four(v4.octets()),
        IpAddr::V6(v6) => Octets::Sixteen(v6.octets()),
    }
}

/// The inverse of [`octets`].
pub(crate) fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(octets).map(IpAddr::from).ok();
    four().or_else(|| <[u8; 16]>::try_from(octets).map(IpAddr::from).ok())
}

/// SQLite knows signed numbers only.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Microseconds since 1970; negative before.
pub(crate) fn micros(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, i64::saturating_neg),
    }
}

/// The inverse of [`micros`].
pub(crate) fn time(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    let time = if micros < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// A severity as a number that grows with it.
pub(crate) fn rank(severity: Severity) -> i64 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 2,
        Severity::High => 3,
        Severity::Critical => 4,
    }
}

/// The inverse of [`rank`].
pub(crate) fn severity(rank: i64) -> Severity {
    match rank {
        ..=0 => Severity::Info,
        1 => Severity::Low,
        2 => Severity::Medium,
        3 => Severity::High,
        4.. => Severity::Critical,
    }
}

/// The column form of a honey-credential's state.
pub(crate) fn state(honeycred: Honeycred) -> i64 {
    match honeycred {
        Honeycred::None => 0,
        Honeycred::Pending => PENDING,
        Honeycred::No => 2,
        Honeycred::Yes => 3,
    }
}

fn honeycred(state: i64) -> Honeycred {
    match state {
        PENDING => Honeycred::Pending,
        2 => Honeycred::No,
        3 => Honeycred::Yes,
        _ => Honeycred::None,
    }
}
