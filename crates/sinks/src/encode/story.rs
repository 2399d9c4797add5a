//! The whole story of an incident, for a person: a sentence, what is known of the source, what it did, what it tried. The
//! same for many events that are told as a number (see [`crate::hearing`]).

use std::fmt::Write;

use haldane_core::{Event, Fields, Untrusted, Value};
use jiff::{Timestamp, tz::TimeZone};

use super::text::shown;

/// Longest value on a line, in characters.
const VALUE: usize = 300;
/// Most lines of a list.
const LINES: usize = 50;

/// News of an incident, or of many events, as a text of several lines, each ended. Whatever a peer sent is escaped and cut.
pub fn story(event: &Event) -> String {
    story_in(event, &TimeZone::system())
}

pub(super) fn story_in(event: &Event, zone: &TimeZone) -> String {
    let fields = &event.fields;
    let mut text = format!("{}\n\n", value(fields, "summary").unwrap_or_default());
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<12}{value}");
        }
    };
    match event.incident {
        Some(number) => row("Incident", Some(format!("{number}, {} severity", event.severity))),
        None => row("What", Some(format!("{}, up to {} severity", event.kind.about, event.severity))),
    }
    row("Told now", value(fields, "reason"));
    row("Source", value(fields, "source"));
    row("Name", value(fields, "source_name"));
    let maker = value(fields, "source_vendor").map(|maker| format!(" ({maker})")).unwrap_or_default();
    row("Hardware", value(fields, "source_mac").map(|mac| format!("{mac}{maker}")));
    row("Country", value(fields, "source_country"));
    row("Network", value(fields, "source_network"));
    row("First seen", time(fields, "first", zone));
    row("Last seen", time(fields, "last", zone));
    row("Events", value(fields, "events").or_else(|| value(fields, "count")));
    row("Reached", value(fields, "targets"));
    row("Ports", value(fields, "ports"));
    row("Services", value(fields, "services"));
    row("Tools", value(fields, "tools"));
    incidents(fields, &mut text);
    counts(fields, "sources", "Where it came from", &mut text);
    counts(fields, "kinds", "What was seen", &mut text);
    credentials(event, &mut text);
    text
}

fn value(fields: &Fields, name: &str) -> Option<String> {
    fields.get(name).map(|value| shown(value, VALUE)).filter(|text| !text.is_empty())
}

fn time(fields: &Fields, name: &str, zone: &TimeZone) -> Option<String> {
    let text = value(fields, name)?;
    let at: Timestamp = text.parse().ok()?;
    Some(at.to_zoned_datetime(zone.clone()).strftime("%A, %-d %B %Y, %H:%M:%S %:z").to_string())
}

/// Each incident that is summed up, in a sentence.
fn incidents(fields: &Fields, text: &mut String) {
    let Some(Value::Map(incidents)) = fields.get("incidents") else { return };
    text.push_str("\nIncidents\n");
    for (number, summary) in incidents.iter().take(LINES) {
        let number = Untrusted::new(number).to_string();
        let _ = writeln!(text, "{number:>10}  {}", shown(summary, VALUE));
    }
}

/// What was counted, the most frequent first.
fn counts(fields: &Fields, name: &str, title: &str, text: &mut String) {
    let Some(Value::Map(counts)) = fields.get(name).filter(|counts| **counts != Value::Map([].into())) else {
        return;
    };
    let count = |value: &Value| if let Value::Int(count) = value { *count } else { 0 };
    let mut counts: Vec<(i64, &String)> = counts.iter().map(|(name, value)| (count(value), name)).collect();
    counts.sort_by(|a, b| b.cmp(a));
    let _ = writeln!(text, "\n{title}");
    for (count, name) in counts.iter().take(LINES) {
        let name: String = Untrusted::new(name).to_string().chars().take(VALUE).collect();
        let _ = writeln!(text, "{count:>10}  {name}");
    }
}

fn credentials(event: &Event, text: &mut String) {
    let fields = &event.fields;
    let Some(Value::List(tried)) = fields.get("credentials") else { return };
    text.push_str("\nCredentials that were tried\n");
    for tried in tried.iter().take(LINES) {
        let Value::Map(parts) = tried else { continue };
        let part = |name: &str| parts.get(name).map(|value| shown(value, VALUE));
        let service = part("service").unwrap_or_default();
        let user = part("username").unwrap_or_else(|| "(no name)".to_owned());
        let password = part("password").filter(|password| !password.is_empty());
        let password = password.unwrap_or_else(|| "(empty password)".to_owned());
        let _ = writeln!(text, "  {service:<12}{user} / {password}");
    }
    if tried.len() > LINES || fields.get("more_credentials") == Some(&Value::Bool(true)) {
        let number =
            event.incident.map_or_else(String::new, |number| format!(": haldane events --incident {number}"));
        let _ = writeln!(text, "  … and more{number}");
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::SystemTime};

    use haldane_core::{Class, Honeycred, Kind, Severity};
    use uuid::Uuid;

    use super::{super::sentence, super::text::text_in, *};

    static CLOSED: Kind =
        Kind::new(39212, "incident.closed", Class::Incident, Severity::Low, "Incident closed");

    fn news(fields: Fields) -> Event {
        Event {
            id: Uuid::from_u128(1),
            service: "haldane".into(),
            session: Uuid::nil(),
            peer: None,
            at: SystemTime::UNIX_EPOCH,
            kind: &CLOSED,
            severity: Severity::High,
            login: None,
            fields,
            tls: None,
            ignored: false,
            honeycred: Honeycred::None,
            incident: Some(17),
        }
    }

    fn tried(user: Option<&str>, password: &str) -> Value {
        let mut parts = BTreeMap::from([
            ("service".to_owned(), Value::from("ssh")),
            ("password".to_owned(), Value::from(password)),
        ]);
        parts.extend(user.map(|user| ("username".to_owned(), user.into())));
        Value::Map(parts)
    }

    #[test]
    fn a_person_reads_the_whole_story() {
        let kinds =
            BTreeMap::from([("ssh.login".to_owned(), 14.into()), ("ssh.version".to_owned(), 2.into())]);
        let event = news(Fields::from([
            ("summary".into(), "10.1.4.7 (lab-3) tried 14 SSH passwords as root".into()),
            ("reason".into(), "quiet for 10 min".into()),
            ("source".into(), "10.1.4.7".into()),
            ("source_name".into(), "lab-3".into()),
            ("source_mac".into(), "28:6f:b9:00:00:01".into()),
            ("source_vendor".into(), "Nokia".into()),
            ("targets".into(), vec!["10.0.0.1"].into()),
            ("ports".into(), 1.into()),
            ("services".into(), vec!["ssh"].into()),
            ("kinds".into(), Value::Map(kinds)),
            ("events".into(), 16.into()),
            ("credentials".into(), Value::List(vec![tried(Some("ro\r\not"), "x"), tried(None, "")])),
            ("more_credentials".into(), true.into()),
            ("first".into(), "2026-11-24T08:00:00Z".into()),
            ("last".into(), "2026-11-24T08:10:00Z".into()),
        ]));
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let expected = "10.1.4.7 (lab-3) tried 14 SSH passwords as root\n\n\
            Incident    17, high severity\n\
            Told now    quiet for 10 min\n\
            Source      10.1.4.7\n\
            Name        lab-3\n\
            Hardware    28:6f:b9:00:00:01 (Nokia)\n\
            First seen  Tuesday, 24 November 2026, 09:00:00 +01:00\n\
            Last seen   Tuesday, 24 November 2026, 09:10:00 +01:00\n\
            Events      16\n\
            Reached     10.0.0.1\n\
            Ports       1\n\
            Services    ssh\n\n\
            What was seen\n        14  ssh.login\n         2  ssh.version\n\n\
            Credentials that were tried\n  ssh         ro\\r\\not / x\n  ssh         (no name) / (empty password)\n  \
            … and more: haldane events --incident 17\n";
        assert_eq!(story_in(&event, &zone), expected);
        assert_eq!(sentence(&event), "Incident closed: 10.1.4.7 (lab-3) tried 14 SSH passwords as root");
        assert_eq!(
            text_in(&event, false, &TimeZone::UTC),
            "00:00:00 HIGH     incident 17  Incident closed  10.1.4.7 (lab-3) tried 14 SSH passwords as root  \
             because: quiet for 10 min"
        );
    }

    #[test]
    fn a_story_is_bounded_and_harmless_whatever_its_facts_hold() {
        let noise = "\u{1b}[31m\r\n.\r\nBcc: x \u{202e}".repeat(400);
        let kinds: BTreeMap<String, Value> =
            (0..500).map(|n| (format!("{noise}{n}"), noise.as_str().into())).collect();
        let many = Value::List((0..5_000).map(|_| tried(Some(&noise), &noise)).collect());
        let mut fields = Fields::from([("kinds".into(), Value::Map(kinds)), ("credentials".into(), many)]);
        for name in ["summary", "reason", "source_name", "first"] {
            fields.insert(name.into(), noise.as_str().into());
        }
        let story = story_in(&news(fields), &TimeZone::UTC);
        assert!(story.len() < 1 << 20, "{}", story.len());
        assert!(story.lines().all(|line| !line.chars().any(char::is_control)));
        assert!(!story.lines().any(|line| line == "." || line.starts_with("Bcc")));
    }
}
