//! How an event is written: pure functions, one line each, without its end.

mod compatible;
mod json;
mod layout;
mod native;
mod pattern;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use compatible::{compatible, members};
pub use json::{dumps, repr};
pub use layout::Layout;
pub(crate) use layout::pattern;
pub use native::native;
pub use pattern::Pattern;
pub(crate) use text::{offered, shown};
pub use text::{sentence, text};

/// A point in time as RFC 3339 writes it, in the zone of this machine.
pub(crate) fn rfc3339(at: std::time::SystemTime) -> String {
    time::rfc3339(&time::zoned(at, &jiff::tz::TimeZone::system()))
}
