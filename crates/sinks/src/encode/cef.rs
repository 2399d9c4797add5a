//! ArcSight's Common Event Format, version 0 (Implementation Standard, revision 26), and IBM QRadar's Log Event Extended
//! Format, version 2.0 (LEEF format guide): a head of parts between bars, then keys and values.

use std::{fmt::Write, time::UNIX_EPOCH};

use haldane_core::{Event, Honeycred, Secret, Severity, Transport, Untrusted};

use super::{native::facts, sentence, text_of};

/// Longest value of a custom string (dictionary: 4,000 characters), and of any other here.
const LONGEST: usize = 4_000;

/// One line of CEF, without its end.
pub fn cef(event: &Event, node: &str) -> String {
    let mut line = format!(
        "CEF:0|Haldane|Haldane|{}|{}|{}|{}|",
        env!("CARGO_PKG_VERSION"),
        event.kind.number,
        head(event.kind.about),
        severity(event.severity),
    );
    let mut first = true;
    each(event, |key, value| {
        let (Names { cef: Some(name), .. }, false) = (key, value.is_empty()) else { return };
        let gap = if std::mem::take(&mut first) { "" } else { " " };
        let _ = write!(line, "{gap}{name}={}", extension(value));
        if let Some(label) = key.label {
            let _ = write!(line, " {name}Label={}", extension(label));
        }
    });
    let at = event.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let _ = write!(line, " rt={at} dvchost={}", extension(node));
    line
}

/// One line of LEEF, without its end. The delimiter is a tab, as the head says.
pub fn leef(event: &Event, node: &str) -> String {
    let mut line =
        format!("LEEF:2.0|Haldane|Haldane|{}|{}|x09|", env!("CARGO_PKG_VERSION"), head(event.kind.name),);
    each(event, |key, value| {
        if !value.is_empty() {
            let _ = write!(line, "{}={}\t", key.leef, attribute(value));
        }
    });
    let at = event.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // LEEF counts from 1 to 10. Milliseconds since 1970 need no devTimeFormat.
    let _ = write!(line, "sev={}\tdevTime={at}\tnode={}", severity(event.severity), attribute(node));
    line
}

/// What one fact is called in both.
struct Names {
    /// In CEF's dictionary; `None` where that has no room for it.
    cef: Option<&'static str>,
    /// What CEF says a custom string is.
    label: Option<&'static str>,
    leef: &'static str,
}

const fn both(cef: &'static str, leef: &'static str) -> Names {
    Names { cef: Some(cef), label: None, leef }
}

const fn custom(cef: &'static str, label: &'static str) -> Names {
    Names { cef: Some(cef), label: Some(label), leef: label }
}

/// Every fact of an event, under its names.
fn each(event: &Event, mut tell: impl FnMut(&Names, &str)) {
    tell(&both("externalId", "id"), &event.id.to_string());
    tell(&both("cat", "cat"), event.kind.class.name());
    tell(&both("app", "service"), &event.service);
    tell(&both("msg", "msg"), &sentence(event));
    if let Some(peer) = &event.peer {
        let six = peer.remote.is_ipv6();
        // CEF's src and dst are for IPv4; version 0 has custom fields for the other (c6a2, c6a3).
        let (src, dst) = if six {
            (
                Names { cef: Some("c6a2"), label: Some("Source IPv6 Address"), leef: "src" },
                Names { cef: Some("c6a3"), label: Some("Destination IPv6 Address"), leef: "dst" },
            )
        } else {
            (both("src", "src"), both("dst", "dst"))
        };
        tell(&src, &peer.remote.ip().to_string());
        tell(&dst, &peer.local.ip().to_string());
        if peer.transport != Transport::Ip {
            tell(&both("spt", "srcPort"), &peer.remote.port().to_string());
            tell(&both("dpt", "dstPort"), &peer.local.port().to_string());
            let protocol = if peer.transport == Transport::Tcp { "TCP" } else { "UDP" };
            tell(&both("proto", "proto"), protocol);
        }
    }
    if let Some(login) = &event.login {
        let shown = |text: &Option<Untrusted>| text.as_ref().map(ToString::to_string).unwrap_or_default();
        tell(&both("duser", "usrName"), &shown(&login.username));
        tell(&both("dntdom", "domain"), &shown(&login.domain));
        let secret = match &login.secret {
            Some(Secret::Password(text) | Secret::Token(text)) => text.to_string(),
            Some(Secret::PublicKey { fingerprint, .. }) => fingerprint.clone(),
            Some(Secret::Response { crackable, .. }) => crackable.clone().unwrap_or_default(),
            None => String::new(),
        };
        tell(&custom("cs1", "credential"), &secret);
        tell(&custom("cs2", "mechanism"), &login.mechanism);
    }
    if !event.session.is_nil() {
        tell(&custom("cs3", "session"), &event.session.to_string());
    }
    if event.honeycred == Honeycred::Yes {
        tell(&custom("cs4", "honeycred"), "true");
    }
    if let Some(ja4) = event.tls.as_ref().map(|facts| facts.ja4.as_str()) {
        tell(&custom("cs5", "ja4"), ja4);
    }
    if let Some(incident) = event.incident {
        tell(&custom("cn1", "incident"), &incident.to_string());
    }
    let known =
        [("method", "requestMethod"), ("path", "request"), ("user_agent", "requestClientApplication")];
    for (name, key) in known {
        if let Some(text) = event.fields.get(name).and_then(text_of) {
            tell(&both(key, name), &text);
        }
    }
    if !event.fields.is_empty() {
        tell(&custom("cs6", "facts"), &facts(event));
    }
}

/// 0 to 10, where 7 and 8 are high, and 9 and 10 very high.
fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}

/// A part of the head: bars end it.
fn head(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace(['\r', '\n'], " ")
}

/// A value of CEF: an equals sign begins the next one, and lines end it.
fn extension(text: &str) -> String {
    let text = cut(text).replace('\\', "\\\\").replace('=', "\\=");
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// A value of LEEF, which knows no escapes: what would end it is a blank.
fn attribute(text: &str) -> String {
    cut(text).replace(['\t', '\r', '\n'], " ")
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}
