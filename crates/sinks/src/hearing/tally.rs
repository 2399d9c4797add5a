//! What was not told one by one: numbers, and what stands out of them.

use std::{collections::BTreeMap, net::IpAddr, time::SystemTime};

use haldane_core::{Class, Event, Fields, Kind, Record, Severity, Value};
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use crate::encode::shown;

/// Kinds and sources that are counted by themselves; the rest is counted together.
const MOST: usize = 50;
/// Of these, so many are told.
const TOLD: usize = 10;
/// Of incidents, so many are in the sentence; the others are among the facts.
const FEW: usize = 3;
/// Longest summary of an incident in the sentence, in characters.
const SENTENCE: usize = 100;

/// Counts of events.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    count: u64,
    kinds: BTreeMap<&'static str, u64>,
    sources: BTreeMap<IpAddr, u64>,
    /// Of news of incidents: each incident with what was last said of it.
    incidents: BTreeMap<u64, Value>,
    severity: Option<Severity>,
    first: Option<SystemTime>,
    last: Option<SystemTime>,
    seq: u64,
}

impl Tally {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether something critical is among them.
    pub(super) fn is_critical(&self) -> bool {
        self.severity == Some(Severity::Critical)
    }

    pub(super) fn add(&mut self, record: &Record) {
        let event = &record.event;
        self.count = self.count.saturating_add(1);
        count(&mut self.kinds, event.kind.name);
        if let Some(source) = event.source() {
            count(&mut self.sources, source);
        }
        if let (Class::Incident, Some(number)) = (event.kind.class, event.incident)
            && (self.incidents.len() < MOST || self.incidents.contains_key(&number))
        {
            let summary = event.fields.get("summary").cloned().unwrap_or(Value::Null);
            self.incidents.insert(number, summary);
        }
        self.severity = self.severity.max(Some(event.severity));
        self.first = Some(self.first.map_or(event.at, |first| first.min(event.at)));
        self.last = self.last.max(Some(event.at));
        self.seq = record.seq;
    }

    /// A message about them.
    pub(super) fn record(&self, kind: &'static Kind, id: Uuid, now: SystemTime) -> Record {
        let severity = self.severity.unwrap_or(kind.severity);
        let mut fields = Fields::new();
        fields.insert("count".into(), Value::from(self.count));
        fields.insert(
            "summary".into(),
            Value::from(self.sentence(if *kind == super::SUPPRESSED { "more" } else { self.plural() })),
        );
        fields.insert("kinds".into(), counts(self.kinds.iter().map(|(name, n)| ((*name).to_owned(), *n))));
        fields.insert("sources".into(), counts(self.sources.iter().map(|(ip, n)| (ip.to_string(), *n))));
        if !self.incidents.is_empty() {
            let incidents =
                self.incidents.iter().map(|(number, summary)| (number.to_string(), summary.clone()));
            fields.insert("incidents".into(), Value::Map(incidents.collect()));
        }
        for (name, at) in [("first", self.first), ("last", self.last)] {
            fields.insert(name.into(), at.map(rfc3339).into());
        }
        let mut event = Event::operational(haldane_core::Sighting::of(kind), (id, now));
        event.severity = severity;
        event.fields = fields;
        Record { seq: self.seq, event: std::sync::Arc::new(event) }
    }

    /// What is gathered is called so.
    fn plural(&self) -> &'static str {
        match (self.incidents.is_empty(), self.count) {
            (true, 1) => "event",
            (true, _) => "events",
            (false, _) => "messages",
        }
    }

    /// "312 more from 10.1.4.7 (300), 10.1.4.8 (12): ssh.login (250), http.request (62)"; of incidents, what was last said
    /// of each.
    fn sentence(&self, what: &str) -> String {
        if !self.incidents.is_empty() {
            let told: Vec<String> =
                self.incidents.values().take(FEW).map(|summary| shown(summary, SENTENCE)).collect();
            let (count, untold) = (self.incidents.len(), self.incidents.len().saturating_sub(FEW));
            let number = match count {
                1 => "1 incident".to_owned(),
                MOST => format!("{count} or more incidents"),
                count => format!("{count} incidents"),
            };
            let more = if untold > 0 { format!("; and {untold} more") } else { String::new() };
            return format!("{} {what} about {number}: {}{more}", self.count, told.join("; "));
        }
        let sources = top(self.sources.iter().map(|(source, count)| (source.to_string(), *count)));
        let kinds = top(self.kinds.iter().map(|(name, count)| ((*name).to_owned(), *count)));
        let from = if sources.is_empty() { String::new() } else { format!(" from {sources}") };
        format!("{} {what}{from}: {kinds}", self.count)
    }
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    if counts.len() < MOST || counts.contains_key(&key) {
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }
}

/// The largest, with their numbers.
fn top(counts: impl Iterator<Item = (String, u64)>) -> String {
    let mut all: Vec<(String, u64)> = counts.collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = all.len().saturating_sub(TOLD);
    let shown = all.iter().take(TOLD).map(|(name, count)| format!("{name} ({count})"));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn counts(counts: impl Iterator<Item = (String, u64)>) -> Value {
    Value::Map(counts.map(|(name, count)| (name, Value::from(count))).collect())
}

fn rfc3339(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::system());
    at.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}
