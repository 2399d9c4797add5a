//! News of an incident: a snapshot as the fields of an event, so that it goes wherever events go.

use std::time::{Duration, SystemTime};

use haldane_core::{Fields, Kind, News, Severity, Sighting, Untrusted, Value};
use jiff::Timestamp;

use super::{Act, CLOSED, Incident, summary};

/// Why, in one line.
fn reason(reasons: &[String]) -> String {
    reasons.join(", ")
}

/// News of an incident that goes on.
pub(super) fn news(kind: &'static Kind, incident: &Incident, reasons: &[String], now: SystemTime) -> News {
    let seen = Sighting { fields: snapshot(incident, &reason(reasons)), ..Sighting::of(kind) };
    News { seen: seen.severity(incident.severity), peer: incident.peer, incident: incident.number, at: now }
}

/// News of one that is over. If nothing has happened since the last message, that is of no weight.
pub(super) fn closed(incident: &Incident, reasons: &[String], now: SystemTime) -> News {
    let known = incident.pace.messages > 0 && incident.pace.events == incident.events && reasons.len() == 1;
    let news = news(&CLOSED, incident, reasons, now);
    let severity = if known { Severity::Info } else { incident.severity };
    News { seen: news.seen.severity(severity), ..news }
}

/// All that is known of an incident, as the facts of an event. `reason`: why it is told.
pub fn snapshot(incident: &Incident, reason: &str) -> Fields {
    let mut fields = Fields::new();
    let mut with = |name: &'static str, value: Value| _ = fields.insert(name.into(), value);
    with("summary", summary(incident).into());
    with("reason", reason.into());
    if let Some(source) = incident.source() {
        with("source", source.to_string().into());
        with("proved", incident.proved.into());
    }
    let facts = &incident.facts;
    let mac = facts.mac.as_ref().map(Untrusted::from);
    let facts = [
        ("source_name", &facts.name),
        ("source_mac", &mac),
        ("source_vendor", &facts.vendor),
        ("source_country", &facts.country),
        ("source_network", &facts.network),
    ];
    for (name, fact) in facts {
        if let Some(fact) = fact {
            with(name, fact.clone().into());
        }
    }
    let targets: Vec<String> = incident.targets.iter().map(ToString::to_string).collect();
    with("targets", targets.into());
    with("ports", incident.ports.count().max(incident.scanned).into());
    with("services", services(&incident.acts).into());
    let kinds = incident.kinds.iter().map(|(name, count)| (name.to_string(), Value::from(*count)));
    with("kinds", Value::Map(kinds.collect()));
    with("events", incident.events.into());
    if !incident.credentials.is_empty() {
        with("credentials", Value::List(incident.credentials.iter().map(credential).collect()));
        with("more_credentials", incident.more_credentials.into());
    }
    if !incident.tools.is_empty() {
        with("tools", incident.tools.clone().into());
    }
    with("first", time(incident.first).into());
    with("last", time(incident.last).into());
    fields
}

fn credential(tried: &super::Credential) -> Value {
    let username = tried.username.as_ref().map(|username| ("username".to_owned(), username.clone().into()));
    let parts = [
        ("service".to_owned(), Value::from(tried.service.as_ref())),
        ("password".to_owned(), tried.password.clone().into()),
    ];
    Value::Map(parts.into_iter().chain(username).collect())
}

/// Each once, in the order in which they were touched.
fn services(acts: &[Act]) -> Vec<String> {
    let mut services: Vec<String> = Vec::new();
    for act in acts {
        if !services.iter().any(|known| *known == act.service) {
            services.push(act.service.to_string());
        }
    }
    services
}

/// RFC 3339, in UTC, to the second.
fn time(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).ok().and_then(|at| Timestamp::from_second(at.as_second()).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// As in `10 min`.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds.checked_rem(60) {
        Some(0) if seconds > 0 => format!("{} min", seconds.checked_div(60).unwrap_or_default()),
        _ => format!("{seconds} s"),
    }
}
