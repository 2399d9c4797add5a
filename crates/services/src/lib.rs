//! One folder for each emulated protocol. To add one: add the folder, its `mod` line and its [`ALL`] line.
//! Everything else follows from the registry.

pub mod ftp;
pub mod redis;
pub mod replay;
pub mod telnet;

use haldane_core::Entry;

/// Every protocol that this crate emulates, in the order of the documentation.
#[rustfmt::skip]
pub static ALL: &[Entry] = &[
    Entry::stream::<ftp::Ftp>(),
    Entry::stream::<redis::Redis>(),
    Entry::stream::<telnet::Telnet>(),
];
