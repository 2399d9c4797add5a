//! What templates know of an event: the same names whether it is one event or the news of an incident. Every name
//! is always there; what is not known is none, an empty text or an empty list.
//!
//! Texts are escaped as everywhere (`haldane_core::Untrusted`); only `event` and `fields` hold what a peer sent as it was, for
//! receivers that store data.

use std::time::{Duration, UNIX_EPOCH};

use haldane_core::{Class, Event, Fields, Honeycred, Secret, Severity, Transport, Value};
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::markup::cut;
use crate::encode::{Layout, native, offered, rfc3339, sentence, shown};

/// Most facts, and most bytes of all their values together: what a message for people has room for.
const FACTS: usize = 25;
const ALL_FACTS: usize = 3000;
/// Longest value of a fact, in UTF-16 units: worth reading at a glance. `event` has it whole.
const LONGEST: usize = 200;
/// Facts that tell most of an incident have more room.
const TELLING: [&str; 2] = ["Credentials", "Seen"];
const LONGEST_TELLING: usize = 600;
/// Longest summary, in UTF-16 units.
const SENTENCE: usize = 600;
/// Most credentials of an incident that are shown.
const CREDENTIALS: usize = 10;

/// The names and what they stand for. `format`: how `event` and `event_text` are written.
pub(super) fn context(event: &Event, node: &str, format: &Layout) -> Json {
    let told = Told::of(event);
    let own: Json = serde_json::from_str(&native(event, node)).unwrap_or_default();
    let text = format.line(event);
    let whole: Json = match text.starts_with('{') {
        // Nested deeper than a reader of JSON goes along with: the text says all of it.
        true => serde_json::from_str(&text).unwrap_or_else(|_| json!({ "message": text.as_str() })),
        false => Json::String(text.clone()),
    };
    let since = event.at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (red, green, blue) = colour(event.severity);
    let login = event.login.as_ref();
    let end = |address: Option<std::net::SocketAddr>| match address {
        Some(address) => (json!(address.ip().to_string()), json!(address.port())),
        None => (json!(""), Json::Null),
    };
    let (source, source_port) = end(event.peer.map(|peer| peer.remote));
    let (target, target_port) = end(event.peer.map(|peer| peer.local));
    let fields = own.get("fields").cloned().unwrap_or_else(|| json!({}));
    let facts = told.facts(event, node);
    json!({
        "node": node,
        "node_uuid": likeness(node),
        "id": event.id.to_string(),
        "time": rfc3339(event.at),
        "epoch": since.as_secs_f64(),
        "epoch_seconds": since.as_secs(),
        "epoch_ns": since.as_nanos().to_string(),
        "kind": event.kind.name,
        "about": event.kind.about,
        "class": event.kind.class.name(),
        "logtype": event.kind.number,
        "service": event.service,
        "severity": event.severity.name(),
        "severity_number": rank(event.severity),
        "severity_color": format!("#{red:02x}{green:02x}{blue:02x}"),
        "severity_rgb": u32::from_be_bytes([0, red, green, blue]),
        "title": told.title(event),
        "summary": told.summary(event),
        "incident": event.incident,
        "news": told.news,
        "closed": told.news == "closed",
        "reason": told.field("reason"),
        "thread": match event.incident {
            Some(number) => format!("haldane-{node}-{number}"),
            None => format!("haldane-{}", event.id),
        },
        "source": told.field_or("source", source),
        "source_port": source_port,
        "source_name": told.field("source_name"),
        "target": target,
        "target_port": target_port,
        "username": login.and_then(|login| login.username.as_ref()).map(ToString::to_string),
        "password": login.and_then(|login| match &login.secret {
            Some(Secret::Password(text) | Secret::Token(text)) => Some(text.to_string()),
            _ => None,
        }),
        "facts": facts,
        "fields": fields,
        "event": whole,
        "event_text": text,
    })
}

/// An identifier that is always the same for a name, where a service wants one in the form of a UUID.
fn likeness(name: &str) -> String {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(Sha256::digest(name)) {
        *to = from;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

/// Ascending, from 0.
fn rank(severity: Severity) -> usize {
    Severity::ALL.iter().position(|other| *other == severity).unwrap_or_default()
}

/// As alerts are commonly coloured: grey, blue, yellow, orange, red.
fn colour(severity: Severity) -> (u8, u8, u8) {
    match severity {
        Severity::Info => (0x8b, 0x94, 0x9e),
        Severity::Low => (0x2f, 0x81, 0xf7),
        Severity::Medium => (0xe3, 0xb3, 0x41),
        Severity::High => (0xe3, 0x6b, 0x09),
        Severity::Critical => (0xd7, 0x2a, 0x2a),
    }
}

/// What an event tells, as an event or as the news of an incident.
struct Told<'e> {
    fields: &'e Fields,
    /// `opened`, `updated` or `closed`; empty for an event.
    news: &'static str,
}

impl<'e> Told<'e> {
    fn of(event: &'e Event) -> Self {
        let news = match event.kind.name {
            "incident.opened" => "opened",
            "incident.updated" => "updated",
            "incident.closed" => "closed",
            _ => "",
        };
        Self { fields: &event.fields, news }
    }

    /// A field of the news in words; empty if there is none.
    fn field(&self, name: &str) -> String {
        let found = self.fields.get(name).filter(|value| !self.news.is_empty() && **value != Value::Null);
        found.map(|value| shown(value, LONGEST)).unwrap_or_default()
    }

    fn field_or(&self, name: &str, other: Json) -> Json {
        Some(self.field(name)).filter(|text| !text.is_empty()).map_or(other, Json::String)
    }

    /// A few words.
    fn title(&self, event: &Event) -> String {
        let number = event.incident.map_or_else(String::new, |number| format!(" {number}"));
        let title = match (self.news, self.field("reason")) {
            ("", _) => match event.source() {
                Some(source) => format!("{} from {source}", event.kind.about),
                None => event.kind.about.to_owned(),
            },
            ("updated", reason) if !reason.is_empty() => format!("Incident{number}: {reason}"),
            (news, _) => format!("Incident{number} {news}"),
        };
        cut(&title, LONGEST)
    }

    /// One sentence.
    fn summary(&self, event: &Event) -> String {
        // A decoy's own facts may be called so, too.
        let ours = !self.news.is_empty() || event.kind.class == Class::Operational;
        let words = |name: &str| self.fields.get(name).filter(|_| ours).map(|words| shown(words, SENTENCE));
        let summary = match (words("summary"), words("msg")) {
            (Some(summary), _) => summary,
            (None, Some(message)) => format!("{}: {message}", event.kind.about),
            (None, None) => sentence(event),
        };
        cut(&summary, SENTENCE)
    }

    /// Names and values for a table.
    fn facts(&self, event: &Event, node: &str) -> Vec<Json> {
        let mut pairs = vec![("Severity".to_owned(), event.severity.name().to_owned())];
        match self.news {
            "" => of_event(event, &mut pairs),
            _ => self.of_incident(&mut pairs),
        }
        pairs.push(("Time".to_owned(), rfc3339(event.at)));
        pairs.push(("Canary".to_owned(), node.to_owned()));
        let mut room = ALL_FACTS;
        let mut facts = Vec::new();
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            let value = cut(&value, if TELLING.contains(&name.as_str()) { LONGEST_TELLING } else { LONGEST });
            match room.checked_sub(value.len()) {
                Some(left) if facts.len() < FACTS => {
                    room = left;
                    facts.push(json!({ "name": cut(&name, 40), "value": value }));
                }
                _ => break,
            }
        }
        facts
    }

    fn of_incident(&self, pairs: &mut Vec<(String, String)>) {
        let more = ["source_name", "source_mac", "source_vendor", "source_country", "source_network"];
        let more: Vec<_> = more.iter().map(|name| self.field(name)).filter(|text| !text.is_empty()).collect();
        let source = match more.is_empty() {
            true => self.field("source"),
            false => format!("{} ({})", self.field("source"), more.join(", ")),
        };
        pairs.push(("Source".to_owned(), source));
        for (name, field) in [("Targets", "targets"), ("Services", "services"), ("Ports", "ports")] {
            pairs.push((name.to_owned(), self.field(field)));
        }
        pairs.push(("Seen".to_owned(), self.kinds()));
        pairs.push(("Credentials".to_owned(), self.credentials()));
        for (name, field) in [
            ("Tools", "tools"),
            ("Events", "events"),
            ("First", "first"),
            ("Last", "last"),
            ("Why now", "reason"),
        ] {
            pairs.push((name.to_owned(), self.field(field)));
        }
    }

    /// `ssh.login × 14, portscan.syn × 312`.
    fn kinds(&self) -> String {
        let Some(Value::Map(kinds)) = self.fields.get("kinds") else { return String::new() };
        let one = |(name, count): (&String, &Value)| {
            format!("{} × {}", shown(&Value::from(name.as_str()), 60), shown(count, 20))
        };
        kinds.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// `ssh root / hunter2, ftp bob / (none)`.
    fn credentials(&self) -> String {
        let Some(Value::List(credentials)) = self.fields.get("credentials") else { return String::new() };
        let one = |value: &Value| match value {
            Value::Map(map) => {
                let part = |name: &str| map.get(name).filter(|value| **value != Value::Null);
                let text = |name: &str| part(name).map(|value| shown(value, 40)).unwrap_or_default();
                format!("{} {} / {}", text("service"), text("username"), text("password"))
            }
            other => shown(other, 100),
        };
        let mut texts: Vec<_> = credentials.iter().take(CREDENTIALS).map(one).collect();
        // Of those that the incident has no room for, there is no number.
        let untold = self.fields.get("more_credentials") == Some(&Value::Bool(true));
        match (credentials.len().saturating_sub(CREDENTIALS), untold) {
            (0, false) => {}
            (0, true) => texts.push("and more".to_owned()),
            (more, false) => texts.push(format!("{more} more")),
            (more, true) => texts.push(format!("more than {more} more")),
        }
        texts.join(", ")
    }
}

/// A value in words; the names of a map with it.
fn with_names(value: &Value) -> String {
    let Value::Map(map) = value else { return shown(value, LONGEST) };
    let one = |(name, value): (&String, &Value)| {
        format!("{}: {}", shown(&Value::from(name.as_str()), 60), shown(value, 100))
    };
    map.iter().take(FACTS).map(one).collect::<Vec<_>>().join(", ")
}

fn of_event(event: &Event, pairs: &mut Vec<(String, String)>) {
    let mut push = |name: &str, value: String| pairs.push((name.to_owned(), value));
    if let Some(peer) = &event.peer {
        let portless = peer.transport == Transport::Ip;
        let end = |address: std::net::SocketAddr| match portless || address.port() == 0 {
            true => address.ip().to_string(),
            false => address.to_string(),
        };
        push("Source", end(peer.remote));
        push("Target", end(peer.local));
    }
    push("Service", event.service.to_string());
    if let Some(login) = &event.login {
        push("Login", offered(login));
    }
    if event.honeycred == Honeycred::Yes {
        push("Honey-credential", "yes".to_owned());
    }
    if let Some(incident) = event.incident {
        push("Incident", incident.to_string());
    }
    // Those are in the summary.
    for (name, value) in event.fields.iter().filter(|(name, _)| !["msg", "summary"].contains(&name.as_ref()))
    {
        push(&shown(&Value::from(name.as_ref()), 40), with_names(value));
    }
}

#[cfg(test)]
mod tests {
    use haldane_core::{Kind, Sighting};

    use super::*;

    static KIND: Kind = Kind::new(39091, "test.kind", Class::Probe, Severity::Low, "Test");

    #[test]
    fn an_event_that_is_nested_deeper_than_json_is_read_is_told_as_text() {
        let deep = (0..300).fold(Value::from("x"), |inner, _| Value::List(vec![inner]));
        let event =
            Event::operational(Sighting::of(&KIND).with("deep", deep), (uuid::Uuid::nil(), UNIX_EPOCH));
        let context = context(&event, "n", &Layout::of("native", false, "n"));
        assert!(context["event"]["message"].as_str().unwrap().contains("[[[[\"x\"]]]]"));
        assert_eq!(context["facts"][2], json!({ "name": "deep", "value": "x" }));
    }

    static OURS: Kind = Kind::new(39092, "test.ours", Class::Operational, Severity::Info, "Digest");

    #[test]
    fn what_we_say_ourselves_is_the_summary_and_a_decoys_facts_are_not() {
        let told = |kind: &'static Kind| {
            let kinds = Value::Map([("ssh.login".to_owned(), Value::from(3_u8))].into());
            let seen = Sighting::of(kind).with("summary", "x".repeat(300)).with("kinds", kinds);
            let event = Event::operational(seen, (uuid::Uuid::nil(), UNIX_EPOCH));
            context(&event, "n", &Layout::of("native", false, "n"))
        };
        assert_eq!(told(&OURS)["summary"], "x".repeat(300));
        assert_eq!(told(&KIND)["summary"], "Test");
        assert_eq!(told(&OURS)["facts"][2], json!({ "name": "kinds", "value": "ssh.login: 3" }));
    }

    #[test]
    fn credentials_of_an_incident_are_shown_and_the_rest_is_counted() {
        static NEWS: Kind =
            Kind::new(39211, "incident.updated", Class::Incident, Severity::Low, "Incident goes on");
        let tried = |name: &str| {
            let part = |key: &str, value: &str| (key.to_owned(), Value::from(value));
            Value::Map([part("service", "ssh"), part("username", name), part("password", "x")].into())
        };
        let all: Vec<Value> = (0..12).map(|number| tried(&format!("u{number}"))).collect();
        let seen = Sighting::of(&NEWS).with("credentials", all).with("more_credentials", true);
        let mut event = Event::operational(seen, (uuid::Uuid::nil(), UNIX_EPOCH));
        event.incident = Some(3);
        let context = context(&event, "n", &Layout::of("native", false, "n"));
        let facts = context["facts"].as_array().unwrap();
        let shown =
            facts.iter().find(|fact| fact["name"] == "Credentials").unwrap()["value"].as_str().unwrap();
        assert!(shown.starts_with("ssh u0 / x, ssh u1 / x, "), "{shown}");
        assert!(shown.ends_with("ssh u9 / x, more than 2 more"), "{shown}");
        assert_eq!(context["title"], "Incident 3 updated");
    }

    #[test]
    fn facts_have_a_bound_together() {
        let many = (0..100).map(|number| (format!("f{number:03}").into(), Value::from("y".repeat(500))));
        let mut event = Event::operational(Sighting::of(&KIND), (uuid::Uuid::nil(), UNIX_EPOCH));
        event.fields = many.collect();
        let context = context(&event, "n", &Layout::of("native", false, "n"));
        let facts = context["facts"].as_array().unwrap();
        assert!((5..=FACTS).contains(&facts.len()), "{}", facts.len());
        let bytes: usize = facts.iter().map(|fact| fact["value"].as_str().unwrap().len()).sum();
        assert!(bytes <= ALL_FACTS);
        assert!(facts.iter().all(|fact| fact["value"].as_str().unwrap().encode_utf16().count() <= LONGEST));
    }
}
