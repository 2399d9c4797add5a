//! Where alerts go. One folder for each sink; the loop around them is in [`runner`], once. To add a sink: add
//! the folder, its `mod` line and its [`ALL`] line.

mod concealed;
pub mod delivery;
mod desk;
pub mod encode;
pub mod file;
pub mod hearing;
pub mod runner;
pub mod sink;
pub mod smtp;
pub mod stdout;
pub mod syslog;
mod trust;
pub mod webhook;

pub use delivery::Delivery;
pub use hearing::{Hearing, KINDS};
pub use sink::{AnySink, Entry, Failure, Sender, Signals, Sink};

/// Every sink.
#[rustfmt::skip]
pub static ALL: &[Entry] = &[
    Entry::of::<file::File>(),
    Entry::of::<smtp::Smtp>(),
    Entry::of::<stdout::Stdout>(),
    Entry::of::<syslog::Syslog>(),
    Entry::of::<webhook::Webhook>(),
];
