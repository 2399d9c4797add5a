//! How an event is written: pure functions, one line each, without its end.

mod cef;
mod compatible;
mod ecs;
mod json;
mod layout;
mod native;
mod ocsf;
mod pattern;
mod story;
mod text;
mod time;

#[cfg(test)]
mod tests;

pub use cef::{cef, leef};
pub use compatible::{compatible, members};
pub use ecs::ecs;
pub use json::dumps;
pub use layout::Layout;
pub(crate) use layout::{FORMATS, pattern};
pub use native::native;
pub use ocsf::ocsf;
pub use pattern::Pattern;
pub use story::story;
pub use text::{sentence, shown, text};

/// A fact that is text, as it may be shown.
fn text_of(value: &haldane_core::Value) -> Option<String> {
    match value {
        haldane_core::Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}
