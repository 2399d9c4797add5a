//! What the framework itself reports, for every service.

use haldane_core::{Class, Kind, Severity};

/// A connection was accepted, and nothing else was seen of it at once: what is seen at once tells of the
/// connection, too. If there is one, it is the first event of its session.
pub static OPENED: Kind =
    Kind::new(30000, "connection.opened", Class::Connection, Severity::Info, "Connection opened");
/// A conversation ended. The last event of its session.
pub static CLOSED: Kind =
    Kind::new(30001, "connection.closed", Class::Connection, Severity::Info, "Connection closed");
/// A connection was seen but not served: field `limit` says why, `count` how many of that source at once.
pub static TURNED: Kind =
    Kind::new(30002, "connection.turned", Class::Connection, Severity::Low, "Connection over a limit");
/// The peer broke the protocol: field `why` in our words, `excerpt` in its bytes.
pub static MALFORMED: Kind =
    Kind::new(30003, "connection.malformed", Class::Probe, Severity::Low, "Malformed message");
/// The peer left in the middle of a message: field `excerpt`.
pub static UNFINISHED: Kind =
    Kind::new(30004, "connection.unfinished", Class::Probe, Severity::Low, "Unfinished message");
/// A TLS handshake that came to nothing: field `why`.
pub static TLS_FAILED: Kind =
    Kind::new(30005, "tls.failed", Class::Probe, Severity::Low, "TLS handshake failed");
/// A TLS handshake was finished; what it revealed is stamped on this and every later event of the session.
pub static TLS_AGREED: Kind = Kind::new(30006, "tls.agreed", Class::Probe, Severity::Info, "TLS handshake");
/// What the PROXY header of a trusted proxy should have been was none: field `excerpt`.
pub static PROXY: Kind = Kind::new(30007, "proxy.malformed", Class::Probe, Severity::Low, "No PROXY header");
/// What a sensor is fed from cannot be read: field `feed` names it, `why` says why.
pub static BLIND: Kind =
    Kind::new(30008, "sensor.blind", Class::Operational, Severity::High, "A sensor sees nothing");
/// It can be read again.
pub static SEES: Kind =
    Kind::new(30009, "sensor.sees", Class::Operational, Severity::Medium, "A sensor sees again");

/// All of them.
pub static KINDS: &[&Kind] =
    &[&OPENED, &CLOSED, &TURNED, &MALFORMED, &UNFINISHED, &TLS_FAILED, &TLS_AGREED, &PROXY, &BLIND, &SEES];
