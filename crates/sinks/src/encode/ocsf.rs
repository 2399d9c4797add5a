//! The Open Cybersecurity Schema Framework, version 1.4: an incident, an exploit or bait taken is a Detection Finding
//! (class 2004), a login is Authentication (3002), what else a peer does is Network Activity (4001), and what the canary
//! says of itself is a Base Event (0).

use std::time::UNIX_EPOCH;

use haldane_core::{Class, Event, Peer, Severity, Transport, Value};
use jiff::Timestamp;

use super::{
    json::Object,
    native::{credential, fields},
    sentence, text_of,
};

/// The version whose names are used.
const VERSION: &str = "1.4.0";

/// A class of the schema, its category, and what the canary observed of it (`activity_id`).
struct Form {
    category: u32,
    class: u32,
    activity: u32,
}

const FINDING: u32 = 2004;
const AUTHENTICATION: u32 = 3002;
const NETWORK: u32 = 4001;
/// Activities of a finding.
const CREATE: u32 = 1;
const UPDATE: u32 = 2;
const CLOSE: u32 = 3;

/// One JSON object on one line, without its end.
pub fn ocsf(event: &Event, node: &str) -> String {
    let form = form(event);
    let mut object = Object::new();
    object.bare("activity_id", form.activity);
    object.bare("category_uid", form.category);
    object.bare("class_uid", form.class);
    object.bare("type_uid", form.class.saturating_mul(100).saturating_add(form.activity));
    object.bare("time", event.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
    let (id, name) = severity(event.severity);
    object.bare("severity_id", id);
    object.text("severity", name);
    object.text("message", &sentence(event));
    metadata(&mut object, event, node);
    match form.class {
        FINDING => finding(&mut object, event, &form, node),
        AUTHENTICATION => authentication(&mut object, event),
        NETWORK => {
            object.text("app_name", &event.service);
            network(&mut object, event);
        }
        _ => object.text("activity_name", event.kind.name),
    }
    object.open("unmapped");
    object.text("kind", event.kind.name);
    if !event.session.is_nil() {
        object.text("session", &event.session.to_string());
    }
    if let Some(login) = &event.login {
        credential(&mut object, login);
    }
    fields(&mut object, event);
    object.close();
    object.finish()
}

fn form(event: &Event) -> Form {
    let of = |category, class, activity| Form { category, class, activity };
    match event.kind.class {
        Class::Incident if event.kind.name.ends_with("updated") => of(2, FINDING, UPDATE),
        Class::Incident if event.kind.name.ends_with("closed") => of(2, FINDING, CLOSE),
        Class::Incident | Class::Exploit | Class::Bait => of(2, FINDING, CREATE),
        // Logon.
        Class::Login => of(3, AUTHENTICATION, 1),
        // Open, close; the rest is traffic.
        Class::Connection if event.kind.name.ends_with("opened") => of(4, NETWORK, 1),
        Class::Connection if event.kind.name.ends_with("closed") => of(4, NETWORK, 2),
        Class::Connection | Class::Probe | Class::Access | Class::Command | Class::Scan => of(4, NETWORK, 6),
        Class::Operational => of(0, 0, 99),
    }
}

/// `severity_id` and its caption.
fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn metadata(object: &mut Object, event: &Event, node: &str) {
    object.open("metadata");
    object.text("version", VERSION);
    object.open("product");
    object.text("name", "Haldane");
    object.text("vendor_name", "Haldane");
    object.text("version", env!("CARGO_PKG_VERSION"));
    object.close();
    object.text("uid", &event.id.to_string());
    object.text("event_code", &event.kind.number.to_string());
    object.text("log_name", &event.service);
    object.text("log_provider", node);
    if let Some(incident) = event.incident {
        object.text("correlation_uid", &incident_name(node, incident));
    }
    object.close();
}

/// Numbers of incidents are unique on one machine only.
fn incident_name(node: &str, incident: u64) -> String {
    format!("{node}/{incident}")
}

fn finding(object: &mut Object, event: &Event, form: &Form, node: &str) {
    // New, resolved.
    object.bare("status_id", if form.activity == CLOSE { 4 } else { 1 });
    object.bare("is_alert", true);
    let incident = event.incident.filter(|_| event.kind.class == Class::Incident);
    let uid = incident.map_or_else(|| event.id.to_string(), |incident| incident_name(node, incident));
    object.open("finding_info");
    object.text("uid", &uid);
    object.text("title", event.kind.about);
    object.text("desc", &sentence(event));
    object.words("types", &[event.kind.class.name()]);
    for (key, fact) in [("first_seen_time", "first"), ("last_seen_time", "last")] {
        if let Some(at) = event.fields.get(fact).and_then(moment) {
            object.bare(key, at);
        }
    }
    object.open("analytic");
    object.bare("type_id", 1);
    object.text("name", event.kind.name);
    object.text("uid", &event.kind.number.to_string());
    object.close();
    object.close();
    if let Some(peer) = &event.peer {
        object.open_only("evidences");
        endpoints(object, peer);
        connection(object, peer);
        object.close_only();
    }
}

/// Milliseconds since 1970.
fn moment(value: &Value) -> Option<i64> {
    Some(text_of(value)?.parse::<Timestamp>().ok()?.as_millisecond())
}

fn authentication(object: &mut Object, event: &Event) {
    let Some(login) = &event.login else { return };
    object.text("auth_protocol", &login.mechanism);
    object.bare("auth_protocol_id", 99);
    object.bare("is_remote", true);
    object.open("user");
    object.text("name", &login.username.as_ref().map(ToString::to_string).unwrap_or_default());
    if let Some(domain) = &login.domain {
        object.text("domain", &domain.to_string());
    }
    object.close();
    object.open("service");
    object.text("name", &event.service);
    object.close();
    if let Some(peer) = &event.peer {
        endpoints(object, peer);
    }
}

fn network(object: &mut Object, event: &Event) {
    if let Some(peer) = &event.peer {
        endpoints(object, peer);
        connection(object, peer);
    }
    if let Some(facts) = &event.tls {
        object.open("tls");
        // The attribute is required.
        let version = facts.version.strip_prefix("TLSv").unwrap_or(&facts.version);
        object.text("version", version);
        if !facts.cipher.is_empty() {
            object.text("cipher", &facts.cipher);
        }
        if let Some(name) = &facts.sni {
            object.text("sni", &name.to_string());
        }
        object.close();
    }
}

fn endpoints(object: &mut Object, peer: &Peer) {
    for (key, end) in [("src_endpoint", peer.remote), ("dst_endpoint", peer.local)] {
        object.open(key);
        object.text("ip", &end.ip().to_string());
        if peer.transport != Transport::Ip {
            object.bare("port", end.port());
        }
        object.close();
    }
}

/// Inbound, as all that reaches a canary.
fn connection(object: &mut Object, peer: &Peer) {
    object.open("connection_info");
    object.bare("direction_id", 1);
    let protocol = match peer.transport {
        Transport::Tcp => Some(("tcp", 6)),
        Transport::Udp => Some(("udp", 17)),
        Transport::Ip => None,
    };
    if let Some((name, number)) = protocol {
        object.text("protocol_name", name);
        object.bare("protocol_num", number);
    }
    object.bare("protocol_ver_id", if peer.remote.is_ipv4() { 4 } else { 6 });
    object.close();
}
