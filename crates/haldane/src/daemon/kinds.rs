//! What the program reports about itself. Operational: people are not told unless they ask.

use haldane_core::{Class, Compat, Kind, Severity};

/// A message, in the words of the compatible log: a service was added, the canary runs.
pub static MESSAGE: Kind = Kind::new(1001, "haldane.message", Class::Operational, Severity::Info, "Message")
    .compat(&[Compat::field("msg", "msg")]);
/// A service could not be started: fields `name`, `address`, `why`.
pub static SERVICE_FAILED: Kind =
    Kind::new(39100, "service.failed", Class::Operational, Severity::High, "A service failed to start");
/// The program ends.
pub static STOPPED: Kind =
    Kind::new(39101, "haldane.stopped", Class::Operational, Severity::Low, "Canary stopped");
/// A new configuration is in force: fields `kept`, `started`, `ended`.
pub static RELOADED: Kind =
    Kind::new(39102, "haldane.reloaded", Class::Operational, Severity::Low, "Configuration reloaded");
/// A new configuration is wrong; the old one stays in force: field `why`.
pub static RELOAD_REFUSED: Kind = Kind::new(
    39103,
    "haldane.reload_refused",
    Class::Operational,
    Severity::Medium,
    "Configuration not reloaded",
);
/// A sink's deliveries fail: fields `sink`, `why`.
pub static SINK_DOWN: Kind =
    Kind::new(39104, "sink.down", Class::Operational, Severity::Medium, "A sink is down");
/// A sink's deliveries succeed again: field `sink`.
pub static SINK_BACK: Kind =
    Kind::new(39105, "sink.back", Class::Operational, Severity::Low, "A sink is back");
/// Root was given up: fields `uid`, `gid`.
pub static DROPPED: Kind =
    Kind::new(39106, "privileges.dropped", Class::Operational, Severity::Info, "Privileges dropped");
/// A decoy's certificate was renewed: field `name`.
pub static RENEWED: Kind =
    Kind::new(39107, "certificate.renewed", Class::Operational, Severity::Info, "Certificate renewed");
/// `haldane test-alert`: a marked message to prove that a sink works.
pub static TEST: Kind =
    Kind::new(39108, "haldane.test", Class::Operational, Severity::High, "Test alert, sent by hand");
/// A life sign: fields `events` (stored since the last one), `sinks_down`, `every`.
pub static ALIVE: Kind =
    Kind::new(39109, "haldane.alive", Class::Operational, Severity::Info, "Canary is alive");

/// All of them.
pub static KINDS: &[&Kind] = &[
    &MESSAGE,
    &SERVICE_FAILED,
    &STOPPED,
    &RELOADED,
    &RELOAD_REFUSED,
    &SINK_DOWN,
    &SINK_BACK,
    &DROPPED,
    &RENEWED,
    &TEST,
    &ALIVE,
];
