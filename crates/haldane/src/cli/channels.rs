//! `haldane channels`: the presets that are part of the program, to choose from and to start from.

use std::process::ExitCode;

use haldane_core::section::nearest;
use haldane_sinks::ALL;

use super::{fail, say};

/// Lists them, or prints the one of that name.
pub(super) fn show(name: Option<&str>) -> ExitCode {
    let presets = || ALL.iter().filter(|entry| entry.is_preset());
    let Some(name) = name else {
        let lines = presets().map(|entry| format!("{:<14} {}", entry.name, entry.about()));
        return say(lines.collect::<Vec<_>>().join("\n"));
    };
    match presets().find(|entry| entry.name.eq_ignore_ascii_case(name)) {
        Some(entry) => say(entry.text().trim_end()),
        None => {
            let near = nearest(name, presets().map(|entry| &*entry.name));
            let near = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
            fail(format!("no preset is called {name:?}{near}"))
        }
    }
}
