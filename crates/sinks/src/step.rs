//! What a sink does, step by step, for a person who watches (`haldane test-alert`): an event of `tracing` for each, with
//! a target of its own. Never with a secret; what the far end said is escaped by whoever tells it.

use std::{fmt, net::SocketAddr};

use rustls::ProtocolVersion;

/// The target of these events; their level is debug, and they have nothing but a message.
pub const TARGET: &str = "haldane::step";

/// Tells one.
pub(crate) fn step(text: impl fmt::Display) {
    tracing::debug!(target: TARGET, "{text}");
}

/// A name was resolved.
pub(crate) fn resolved(name: &str, found: &[SocketAddr]) {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return;
    }
    let shown: Vec<_> = found.iter().take(MOST).map(|addr| addr.ip().to_string()).collect();
    let more = if found.len() > MOST { " …" } else { "" };
    step(format_args!("name {name} resolved to {}{more}", shown.join(", ")));
}

/// A connection stands.
pub(crate) fn connected(addr: SocketAddr) {
    step(format_args!("connected to {addr} (TCP)"));
}

/// A connection is encrypted.
pub(crate) fn encrypted(version: Option<ProtocolVersion>, verified: bool) {
    let certificate =
        if verified { "the certificate is trusted" } else { "the certificate was not looked at" };
    step(format_args!("{} agreed on; {certificate}", tls(version)));
}

fn tls(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    }
}

/// Addresses of a name that are shown.
const MOST: usize = 4;
