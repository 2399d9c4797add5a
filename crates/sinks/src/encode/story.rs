//! The whole story of an incident, for a person: a sentence, what is known of the source, what it did, what it tried.

use std::fmt::Write;

use haldane_core::{Event, Fields, Untrusted, Value};
use jiff::{Timestamp, tz::TimeZone};

use super::text::shown;

/// Longest value on a line, in characters.
const VALUE: usize = 300;
/// Most lines of a list.
const LINES: usize = 50;

/// News of an incident as a text of several lines, each ended. Whatever a peer sent is escaped and cut.
pub fn story(event: &Event) -> String {
    story_in(event, &TimeZone::system())
}

pub(super) fn story_in(event: &Event, zone: &TimeZone) -> String {
    let fields = &event.fields;
    let number = event.incident.unwrap_or_default();
    let mut text = format!("{}\n\n", value(fields, "summary").unwrap_or_default());
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "{name:<12}{value}");
        }
    };
    row("Incident", Some(format!("{number}, {} severity", event.severity)));
    row("Told now", value(fields, "reason"));
    row("Source", value(fields, "source"));
    row("Name", value(fields, "source_name"));
    let maker = value(fields, "source_vendor").map(|maker| format!(" ({maker})")).unwrap_or_default();
    row("Hardware", value(fields, "source_mac").map(|mac| format!("{mac}{maker}")));
    row("Country", value(fields, "source_country"));
    row("Network", value(fields, "source_network"));
    row("First seen", time(fields, "first", zone));
    row("Last seen", time(fields, "last", zone));
    row("Events", value(fields, "events"));
    row("Reached", value(fields, "targets"));
    row("Ports", value(fields, "ports"));
    row("Services", value(fields, "services"));
    row("Tools", value(fields, "tools"));
    kinds(fields, &mut text);
    credentials(fields, number, &mut text);
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

/// What was seen how often, the most frequent first.
fn kinds(fields: &Fields, text: &mut String) {
    let Some(Value::Map(kinds)) = fields.get("kinds") else { return };
    let count = |value: &Value| if let Value::Int(count) = value { *count } else { 0 };
    let mut kinds: Vec<(i64, &String)> = kinds.iter().map(|(name, value)| (count(value), name)).collect();
    kinds.sort_by(|a, b| b.cmp(a));
    text.push_str("\nWhat was seen\n");
    for (count, name) in kinds.iter().take(LINES) {
        let _ = writeln!(text, "{count:>10}  {}", Untrusted::new(name));
    }
}

fn credentials(fields: &Fields, number: u64, text: &mut String) {
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
        let _ = writeln!(text, "  … and more: haldane events --incident {number}");
    }
}
