//! How an event is written: pure functions, one line each, without its end.

mod compatible;
mod json;
mod layout;
mod native;
mod pattern;
mod story;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use compatible::{compatible, members};
pub use json::dumps;
pub use layout::Layout;
pub(crate) use layout::pattern;
pub use native::native;
pub use pattern::Pattern;
pub use story::story;
pub use text::{sentence, shown, text};
