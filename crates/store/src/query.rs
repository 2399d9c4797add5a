//! Reading for people: `haldane events`, `haldane check`. Works while the daemon writes.

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::Arc, time::SystemTime};

use haldane_core::{Health, Kinds, Record, Saved, Severity};
use ipnet::IpNet;
use rusqlite::{Connection, types::Value as Bound};

use crate::{Error, incidents, row, schema, shared};

/// Events read in one go.
const AT_ONCE: usize = 500;

/// Which events. What is left out does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// Seen at that time or later.
    pub since: Option<SystemTime>,
    /// Seen before that time.
    pub until: Option<SystemTime>,
    /// From there.
    pub source: Option<IpNet>,
    /// Seen by that service.
    pub service: Option<String>,
    /// Of that kind: a name (`ftp.login`), its first part (`ftp`), or a number (`2000`, or `20*` for all that
    /// begin so).
    pub kind: Option<String>,
    /// Nothing milder.
    pub severity: Option<Severity>,
    /// Of that incident.
    pub incident: Option<u64>,
    /// What was seen only, no news of incidents.
    pub no_news: bool,
    /// Positions after that.
    pub after: u64,
    /// At most so many; 0 for all.
    pub limit: usize,
    /// From the newest backwards.
    pub newest_first: bool,
}

/// An event that a receiver refused for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The sink.
    pub sink: String,
    /// The event's position.
    pub seq: u64,
    /// When it was given up.
    pub at: SystemTime,
    /// Why.
    pub reason: String,
}

/// The store, open for reading.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
    kinds: Arc<Kinds>,
    unreadable: u64,
}

impl Reader {
    /// Opens the store in that folder.
    ///
    /// # Errors
    /// There is none, or it is of another version, or cannot be read.
    pub fn open(folder: &Path, kinds: Arc<Kinds>) -> Result<Self, Error> {
        Ok(Self { db: schema::readable(folder)?, kinds, unreadable: 0 })
    }

    /// The events asked for. Damaged rows are left out and counted.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn query(&mut self, query: &Query) -> Result<Vec<Record>, Error> {
        let mut found = Vec::new();
        self.each(query, |record| {
            found.push(record);
            true
        })?;
        Ok(found)
    }

    /// Calls `visit` with each of the events asked for, until it says no: for more of them than memory holds.
    /// Between the calls, nothing is held open that would keep the daemon's log from being emptied.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn each(&mut self, query: &Query, mut visit: impl FnMut(Record) -> bool) -> Result<(), Error> {
        let (mut from, mut left) = (None, if query.limit == 0 { usize::MAX } else { query.limit });
        loop {
            let most = left.min(AT_ONCE);
            let (records, last) = self.some(query, from, most)?;
            let Some(last) = last else { return Ok(()) };
            from = Some(last);
            for record in records {
                left = left.saturating_sub(1);
                if !visit(record) || left == 0 {
                    return Ok(());
                }
            }
        }
    }

    /// At most so many of the events asked for, going on from a position; and the last position looked at.
    fn some(
        &mut self,
        query: &Query,
        from: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Record>, Option<i64>), Error> {
        let (sql, bound) = self.statement(query, from, most);
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
        let (mut records, mut last) = (Vec::new(), None);
        while let Some(row) = rows.next()? {
            last = Some(row.get(0)?);
            match row::decode(row, &self.kinds) {
                Some(record) => records.push(record),
                None => self.unreadable = self.unreadable.saturating_add(1),
            }
        }
        Ok((records, last))
    }

    /// Damaged rows met so far.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The position of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn newest(&self) -> Result<u64, Error> {
        Ok(shared::newest(&self.db)?)
    }

    /// Where each sink is.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn cursors(&self) -> Result<BTreeMap<String, u64>, Error> {
        Ok(shared::cursors(&self.db)?.into_iter().collect())
    }

    /// How each sink was when it last said so.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn healths(&self) -> Result<BTreeMap<String, Health>, Error> {
        let mut statement = self.db.prepare("SELECT sink, body FROM healths")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let mut healths = BTreeMap::new();
        for row in rows {
            let (sink, body) = row?;
            if let Ok(health) = serde_json::from_str(&body) {
                healths.insert(sink, health);
            }
        }
        Ok(healths)
    }

    /// What receivers refused for good, newest first.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn dead_letters(&self, most: usize) -> Result<Vec<DeadLetter>, Error> {
        let sql = "SELECT sink, seq, at, reason FROM dead_letters ORDER BY id DESC LIMIT ?1";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([i64::try_from(most).unwrap_or(i64::MAX)], |row| {
            let seq: i64 = row.get(1)?;
            Ok(DeadLetter {
                sink: row.get(0)?,
                seq: u64::try_from(seq).unwrap_or_default(),
                at: row::time(row.get(2)?),
                reason: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Incidents, newest first: at most so many whose last event was at `since` or later.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn incidents(&self, since: Option<SystemTime>, most: usize) -> Result<Vec<Saved>, Error> {
        let columns = incidents::COLUMNS;
        let sql = format!(
            "SELECT {columns} FROM incidents WHERE last >= ?1 ORDER BY last DESC, number DESC LIMIT ?2"
        );
        let mut statement = self.db.prepare(&sql)?;
        let since = since.map_or(i64::MIN, row::micros);
        let rows =
            statement.query_map([since, i64::try_from(most).unwrap_or(i64::MAX)], incidents::decode)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The incident of that number, if it is still known.
    ///
    /// # Errors
    /// As of SQLite.
    pub fn incident(&self, number: u64) -> Result<Option<Saved>, Error> {
        let columns = incidents::COLUMNS;
        let sql = format!("SELECT {columns} FROM incidents WHERE number = ?1");
        let mut statement = self.db.prepare(&sql)?;
        Ok(statement.query_map([row::signed(number)], incidents::decode)?.next().transpose()?)
    }

    fn statement(&self, query: &Query, from: Option<i64>, most: usize) -> (String, Vec<Bound>) {
        let columns = row::COLUMNS;
        let mut sql = format!("SELECT {columns} FROM events WHERE seq > ?");
        let mut bound = vec![Bound::Integer(row::signed(query.after))];
        let mut also = |condition: &str, values: Vec<Bound>| {
            sql.push_str(" AND ");
            sql.push_str(condition);
            bound.extend(values);
        };
        if let Some(from) = from {
            also(if query.newest_first { "seq < ?" } else { "seq > ?" }, vec![Bound::Integer(from)]);
        }
        // Everything goes by position, so that nothing is sorted; a sub-query on an index says from where to where.
        // (The plus keeps SQLite from looking for the minimum in the table itself.)
        if let Some(since) = query.since {
            let at = Bound::Integer(row::micros(since));
            also("seq >= (SELECT min(+seq) FROM events WHERE at >= ?) AND at >= ?", vec![at.clone(), at]);
        }
        if let Some(until) = query.until {
            let at = Bound::Integer(row::micros(until));
            also("seq <= (SELECT max(+seq) FROM events WHERE at < ?) AND at < ?", vec![at.clone(), at]);
        }
        if let Some(source) = query.source {
            let blob = |address: IpAddr| Bound::Blob(row::octets(address).as_slice().to_vec());
            let (first, last) = (source.network(), source.broadcast());
            let length = if first.is_ipv4() { 4 } else { 16 };
            also(
                "seq IN (SELECT seq FROM events WHERE source >= ? AND source <= ? AND length(source) = ?)",
                vec![blob(first), blob(last), Bound::Integer(length)],
            );
        }
        if let Some(service) = &query.service {
            also("service = ?", vec![Bound::Text(service.clone())]);
        }
        if let Some(severity) = query.severity {
            also("severity >= ?", vec![Bound::Integer(row::rank(severity))]);
        }
        if let Some(incident) = query.incident {
            also("incident = ?", vec![Bound::Integer(row::signed(incident))]);
        }
        if query.no_news {
            also("flags & 4 = 0", Vec::new());
        }
        if let Some(kind) = &query.kind {
            let (condition, values) = self.kind(kind);
            also(&condition, values);
        }
        sql.push_str(if query.newest_first { " ORDER BY seq DESC LIMIT ?" } else { " ORDER BY seq LIMIT ?" });
        bound.push(Bound::Integer(i64::try_from(most).unwrap_or(i64::MAX)));
        (sql, bound)
    }

    fn kind(&self, wanted: &str) -> (String, Vec<Bound>) {
        if !wanted.is_empty() && wanted.trim_end_matches('*').bytes().all(|byte| byte.is_ascii_digit()) {
            return match wanted.strip_suffix('*') {
                Some(start) => ("CAST(kind AS TEXT) GLOB ?".into(), vec![Bound::Text(format!("{start}*"))]),
                None => ("kind = ?".into(), vec![Bound::Integer(wanted.parse().unwrap_or(-1))]),
            };
        }
        let start = wanted.trim_end_matches('*').trim_end_matches('.');
        let within = |name: &str| {
            name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let numbers = self.kinds.iter().filter(|kind| within(kind.name)).map(|kind| kind.number.to_string());
        (format!("kind IN ({})", numbers.collect::<Vec<_>>().join(", ")), Vec::new())
    }
}
