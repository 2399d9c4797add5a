//! What the store has to say about itself.

use haldane_core::{Class, Kind, Severity};

/// Writing failed; events stay in memory.
pub static FAILING: Kind = Kind::new(
    39000,
    "store.failing",
    Class::Operational,
    Severity::High,
    "Events cannot be written to disk and are kept in memory",
);
/// Writing works again.
pub static RESUMED: Kind = Kind::new(
    39001,
    "store.resumed",
    Class::Operational,
    Severity::Medium,
    "Events are written to disk again",
);
/// While writing failed, memory did not suffice: `lost` events are not on disk. The sinks had them if they
/// kept up.
pub static GAP: Kind =
    Kind::new(39002, "store.gap", Class::Operational, Severity::High, "Events are missing from the store");
/// The database was damaged: it was set aside and a new one begun.
pub static REPLACED: Kind =
    Kind::new(39003, "store.replaced", Class::Operational, Severity::High, "Damaged store set aside");
/// To stay below the size allowed, events were deleted that a sink had not delivered.
pub static DROPPED: Kind = Kind::new(
    39004,
    "store.dropped",
    Class::Operational,
    Severity::High,
    "Undelivered events deleted for want of space",
);

/// All of them.
pub static KINDS: &[&Kind] = &[&FAILING, &RESUMED, &GAP, &REPLACED, &DROPPED];
