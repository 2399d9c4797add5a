//! The Elastic Common Schema, version 8.17 (field reference; "Event categorization fields"): what every Elastic rule
//! and dashboard knows stands under its names, and everything, as we know it, under `haldane`.

use haldane_core::{Class, Event, Honeycred, Peer, Severity, Transport};
use jiff::tz::TimeZone;

use super::{
    json::Object,
    native::{credential, fields},
    sentence, time,
};

/// The version whose names are used.
const VERSION: &str = "8.17.0";

/// One JSON object on one line, without its end.
pub fn ecs(event: &Event, node: &str) -> String {
    let mut object = Object::new();
    object.text("@timestamp", &time::rfc3339(&time::zoned(event.at, &TimeZone::UTC)));
    object.open("ecs");
    object.text("version", VERSION);
    object.close();
    object.text("message", &sentence(event));
    categories(&mut object, event);
    object.open("observer");
    object.text("vendor", "Haldane");
    object.text("product", "Haldane");
    object.text("type", "honeypot");
    object.text("name", node);
    object.text("version", env!("CARGO_PKG_VERSION"));
    object.close();
    object.open("service");
    object.text("type", &event.service);
    object.close();
    if let Some(peer) = &event.peer {
        ends(&mut object, peer, &event.service);
    }
    who(&mut object, event);
    request(&mut object, event);
    tls(&mut object, event);
    ours(&mut object, event);
    object.finish()
}

/// `event.*`: kind, category and type are words of the schema, and each type is one that the category expects.
fn categories(object: &mut Object, event: &Event) {
    let (category, kinds): (&[&str], &[&str]) = match event.kind.class {
        Class::Connection => (&["network"], &["connection"]),
        Class::Login => (&["authentication", "intrusion_detection"], &["start", "info"]),
        Class::Access | Class::Command => (&["network", "intrusion_detection"], &["access", "info"]),
        Class::Probe | Class::Scan => (&["network", "intrusion_detection"], &["info"]),
        Class::Exploit | Class::Bait | Class::Incident => (&["intrusion_detection"], &["info"]),
        Class::Operational => (&["host"], &["info"]),
    };
    let alert = event.kind.class != Class::Operational && event.severity >= Severity::Medium;
    object.open("event");
    object.text("kind", if alert { "alert" } else { "event" });
    object.words("category", category);
    object.words("type", kinds);
    object.text("action", event.kind.name);
    object.text("code", &event.kind.number.to_string());
    object.text("id", &event.id.to_string());
    object.text("module", "haldane");
    object.text("dataset", &format!("haldane.{}", event.service));
    object.text("provider", "haldane");
    object.bare("severity", risk(event.severity));
    if event.kind.class == Class::Login {
        // Whatever the peer was told, nobody has an account here.
        object.text("outcome", "unknown");
    }
    object.close();
}

/// As Elastic's detection rules count: low 21, medium 47, high 73, critical 99.
fn risk(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 21,
        Severity::Medium => 47,
        Severity::High => 73,
        Severity::Critical => 99,
    }
}

fn ends(object: &mut Object, peer: &Peer, service: &str) {
    let mut end = |key: &str, addr: std::net::SocketAddr| {
        object.open(key);
        object.text("address", &addr.ip().to_string());
        object.text("ip", &addr.ip().to_string());
        if peer.transport != Transport::Ip {
            object.bare("port", addr.port());
        }
        object.close();
    };
    end("source", peer.remote);
    end("destination", peer.local);
    object.open("network");
    object.text("type", if peer.remote.is_ipv4() { "ipv4" } else { "ipv6" });
    match peer.transport {
        Transport::Tcp => object.text("transport", "tcp"),
        Transport::Udp => object.text("transport", "udp"),
        Transport::Ip => {}
    }
    object.text("protocol", service);
    object.close();
}

/// `user.*` and `related.*`.
fn who(object: &mut Object, event: &Event) {
    let username = event.login.as_ref().and_then(|login| login.username.as_ref());
    if let Some(login) = &event.login
        && (login.username.is_some() || login.domain.is_some())
    {
        object.open("user");
        if let Some(username) = &login.username {
            object.text("name", &username.to_string());
        }
        if let Some(domain) = &login.domain {
            object.text("domain", &domain.to_string());
        }
        object.close();
    }
    if event.peer.is_none() && username.is_none() {
        return;
    }
    object.open("related");
    if let Some(peer) = &event.peer {
        object.words("ip", &[&peer.remote.ip().to_string(), &peer.local.ip().to_string()]);
    }
    if let Some(username) = username {
        object.words("user", &[&username.to_string()]);
    }
    object.close();
}

/// What an HTTP client asked for.
fn request(object: &mut Object, event: &Event) {
    let fact = |name: &str| event.fields.get(name).and_then(super::text_of);
    if let Some(agent) = fact("user_agent") {
        object.open("user_agent");
        object.text("original", &agent);
        object.close();
    }
    let (Some(method), Some(path)) = (fact("method"), fact("path")) else { return };
    object.open("http");
    object.open("request");
    object.text("method", &method);
    object.close();
    object.close();
    object.open("url");
    object.text("original", &path);
    if let Some(host) = fact("hostname") {
        object.text("domain", &host);
    }
    object.close();
}

fn tls(object: &mut Object, event: &Event) {
    let Some(facts) = &event.tls else { return };
    object.open("tls");
    if let Some((protocol, version)) = facts.version.split_once('v') {
        object.text("version_protocol", &protocol.to_lowercase());
        object.text("version", version);
    }
    if !facts.cipher.is_empty() {
        object.text("cipher", &facts.cipher);
    }
    object.open("client");
    if !facts.ja3.is_empty() {
        object.text("ja3", &facts.ja3);
    }
    if let Some(name) = &facts.sni {
        object.text("server_name", &name.to_string());
    }
    object.close();
    object.close();
}

/// What the schema has no names for. ECS leaves a product's own name to it ("Custom fields").
fn ours(object: &mut Object, event: &Event) {
    object.open("haldane");
    object.text("severity", event.severity.name());
    object.text("class", event.kind.class.name());
    if !event.session.is_nil() {
        object.text("session", &event.session.to_string());
    }
    if let Some(incident) = event.incident {
        object.bare("incident", incident);
    }
    if event.honeycred == Honeycred::Yes {
        object.bare("honeycred", true);
    }
    if let Some(ja4) = event.tls.as_ref().map(|facts| &facts.ja4).filter(|ja4| !ja4.is_empty()) {
        object.text("ja4", ja4);
    }
    if let Some(login) = &event.login {
        credential(object, login);
    }
    fields(object, event);
    object.close();
}
