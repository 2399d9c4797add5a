//! What is reported of actions. Fields of all: `action` (its name), `act` (`run`, `webhook`, `nftables`, `ipset`),
//! `incident`, `source` where there is one.

use haldane_core::{Class, Kind, Severity};

/// It was done: `on`; of a program `program` and `output`; of a set `set` and `for`.
pub static TAKEN: Kind =
    Kind::new(39250, "action.taken", Class::Operational, Severity::Medium, "Action taken");
/// It could not be done: the same, and `why`.
pub static FAILED: Kind =
    Kind::new(39251, "action.failed", Class::Operational, Severity::High, "Action failed");
/// It was not done, by intention: the same, and `why`.
pub static WITHHELD: Kind =
    Kind::new(39252, "action.withheld", Class::Operational, Severity::Low, "Action withheld");
/// The time in a set is over: `set`.
pub static RELEASED: Kind =
    Kind::new(39253, "action.released", Class::Operational, Severity::Low, "Source released");

/// All of them.
pub static KINDS: &[&Kind] = &[&TAKEN, &FAILED, &WITHHELD, &RELEASED];
