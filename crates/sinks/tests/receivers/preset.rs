//! What services over HTTP are given and answer, and the news of an incident.

use std::sync::Arc;

use haldane_core::{Class, Kind, Record, Severity, Sighting, Value as Fact};
use serde_json::{Value, json};

use super::login;

pub static OPENED: Kind =
    Kind::new(39210, "incident.opened", Class::Incident, Severity::Medium, "Incident opened");
pub static UPDATED: Kind =
    Kind::new(39211, "incident.updated", Class::Incident, Severity::Medium, "Incident grew");
pub static CLOSED: Kind =
    Kind::new(39212, "incident.closed", Class::Incident, Severity::Medium, "Incident closed");

/// The news of an incident; `name` is the user that was tried.
pub fn news(kind: &'static Kind, name: &str) -> Record {
    let map = |pairs: &[(&str, Fact)]| {
        Fact::Map(pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
    };
    let credential = map(&[("service", "ssh".into()), ("username", name.into()), ("password", name.into())]);
    let seen = Sighting::of(kind)
        .with("summary", format!("192.0.2.7 scanned 312 ports, then tried 14 SSH passwords as {name}"))
        .with("source", "192.0.2.7")
        .with("source_name", name)
        .with("source_mac", "02:00:00:00:00:01")
        .with("targets", vec![Fact::from("10.0.0.5")])
        .with("services", vec![Fact::from("ssh"), Fact::from("smb")])
        .with("ports", 312_u16)
        .with("kinds", map(&[("ssh.login", 14_u8.into()), ("portscan.syn", 312_u16.into())]))
        .with("events", 326_u16)
        .with("credentials", vec![credential; 40])
        .with("tools", vec![Fact::from(name)])
        .with("first", "2026-11-24T04:37:15+00:00")
        .with("last", "2026-11-24T04:39:15+00:00")
        .with("reason", "new service: smb");
    let mut record = login(9, "", "");
    let event = Arc::make_mut(&mut record.event);
    event.kind = kind;
    event.severity = Severity::High;
    event.login = None;
    event.fields = seen.fields;
    event.incident = Some(17);
    record
}

/// What each preset must be given. `url`: of the receiver.
pub fn keys(preset: &str, url: &str) -> Value {
    let mut keys = match preset {
        "telegram" => json!({ "token": "123:s3cr3t", "chat_id": -1_001_234 }),
        "ntfy" => json!({ "topic": "alerts", "token": "tk_s3cr3t" }),
        "opsgenie" => json!({ "api_key": "s3cr3t" }),
        "pagerduty" => json!({ "routing_key": "s3cr3t" }),
        "pushover" => json!({ "token": "s3cr3t", "user": "s3cr3t-user" }),
        "splunk" => json!({ "token": "s3cr3t" }),
        _ => json!({}),
    };
    keys["url"] = json!(url);
    keys["timeout"] = json!("5s");
    keys
}

/// What a service answers that has taken a message.
pub fn taken(preset: &str) -> (String, &'static str) {
    let (status, body) = match preset {
        "telegram" => ("200 OK", r#"{"ok":true,"result":{"message_id":1}}"#),
        "discord" => ("200 OK", r#"{"id":"1"}"#),
        "elasticsearch" => ("200 OK", r#"{"errors":false,"items":[{"create":{"status":201}}]}"#),
        "graylog" | "opsgenie" | "pagerduty" | "teams" => ("202 Accepted", ""),
        "loki" => ("204 No Content", ""),
        "pushover" => ("200 OK", r#"{"status":1,"request":"x"}"#),
        "splunk" => ("200 OK", r#"{"text":"Success","code":0}"#),
        _ => ("200 OK", "ok"),
    };
    (status.to_owned(), body)
}
