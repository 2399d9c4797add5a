//! The line of our own log: everything that is known, once, under names that say what it is.

use haldane_core::{Class, Event, Honeycred, Login, Peer, Secret, TlsFacts, Transport};
use jiff::tz::TimeZone;

use super::{compatible::hex, json::Object, sentence, time};

/// One JSON object on one line, without its end. `node` is `device.node_id`. What is not known has no key.
pub fn native(event: &Event, node: &str) -> String {
    native_in(event, node, &TimeZone::system())
}

pub(super) fn native_in(event: &Event, node: &str, zone: &TimeZone) -> String {
    let mut object = Object::new();
    object.text("time", &time::rfc3339(&time::zoned(event.at, zone)));
    object.text("id", &event.id.to_string());
    object.text("node", node);
    object.text("service", &event.service);
    object.text("kind", event.kind.name);
    object.bare("logtype", event.kind.number);
    object.text("class", event.kind.class.name());
    object.text("severity", event.severity.name());
    if !matches!(event.kind.class, Class::Operational | Class::Incident) || !event.session.is_nil() {
        object.text("session", &event.session.to_string());
    }
    if let Some(peer) = &event.peer {
        ends(&mut object, peer);
    }
    if let Some(login) = &event.login {
        credential(&mut object, login);
    }
    match event.honeycred {
        Honeycred::None | Honeycred::Pending => {}
        Honeycred::No => object.bare("honeycred", false),
        Honeycred::Yes => object.bare("honeycred", true),
    }
    if let Some(facts) = &event.tls {
        tls(&mut object, facts);
    }
    if let Some(incident) = event.incident {
        object.bare("incident", incident);
    }
    fields(&mut object, event);
    object.text("message", &sentence(event));
    object.finish()
}

/// The member `fields`, if there are any.
pub(super) fn fields(object: &mut Object, event: &Event) {
    if event.fields.is_empty() {
        return;
    }
    object.open("fields");
    for (name, value) in &event.fields {
        object.value(name, value);
    }
    object.close();
}

/// The same as an object of its own.
pub(super) fn facts(event: &Event) -> String {
    let mut object = Object::new();
    for (name, value) in &event.fields {
        object.value(name, value);
    }
    object.finish()
}

fn ends(object: &mut Object, peer: &Peer) {
    let mut end = |key: &str, addr: std::net::SocketAddr| {
        object.open(key);
        object.text("ip", &addr.ip().to_string());
        object.bare("port", addr.port());
        object.close();
    };
    end("source", peer.remote);
    end("destination", peer.local);
    let transport = match peer.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Ip => "ip",
    };
    object.text("transport", transport);
    if let Some(via) = peer.via {
        object.text("via", &via.to_string());
    }
}

/// The member `credential`.
pub(super) fn credential(object: &mut Object, login: &Login) {
    object.open("credential");
    if let Some(username) = &login.username {
        object.untrusted("username", username);
    }
    if let Some(domain) = &login.domain {
        object.untrusted("domain", domain);
    }
    object.text("mechanism", &login.mechanism);
    match &login.secret {
        None => {}
        Some(Secret::Password(password)) => object.untrusted("password", password),
        Some(Secret::Token(token)) => object.untrusted("token", token),
        Some(Secret::PublicKey { algorithm, fingerprint, key }) => {
            object.open("public_key");
            object.untrusted("algorithm", algorithm);
            object.text("fingerprint", fingerprint);
            object.untrusted("key", key);
            object.close();
        }
        Some(Secret::Response { scheme, challenge, response, crackable }) => {
            object.open("response");
            object.text("scheme", scheme);
            object.text("challenge", &hex(challenge.raw()));
            object.text("response", &hex(response.raw()));
            if let Some(line) = crackable {
                object.text("crackable", line);
            }
            object.close();
        }
    }
    object.close();
}

fn tls(object: &mut Object, facts: &TlsFacts) {
    object.open("tls");
    if let Some(sni) = &facts.sni {
        object.untrusted("sni", sni);
    }
    if !facts.alpn.is_empty() {
        object.value("alpn", &facts.alpn.clone().into());
    }
    let rest =
        [("ja3", &facts.ja3), ("ja4", &facts.ja4), ("version", &facts.version), ("cipher", &facts.cipher)];
    for (key, text) in rest {
        if !text.is_empty() {
            object.text(key, text);
        }
    }
    object.close();
}
