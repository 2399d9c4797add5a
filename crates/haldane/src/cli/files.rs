//! `haldane init` and `haldane import`: configuration files, written.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::ExitCode,
};

use super::{fail, say, wrong_configuration};
use crate::config::{Source, Surroundings, Tree, print, sample};

/// Writes the commented sample to a new file, or to standard output.
pub(super) fn init(file: Option<&Path>) -> ExitCode {
    let sample = sample::toml(&Surroundings::here(None));
    let Some(path) = file else { return say(sample.trim_end()) };
    match create(path, 0o600, &sample) {
        Ok(()) => say(format!("{} written; `haldane check --config {0}` looks it over", path.display())),
        Err(why) => fail(why),
    }
}

/// Prints an OpenCanary file as TOML. Environment variables stay as they are written.
pub(super) fn import(file: &Path) -> ExitCode {
    let around = Surroundings { environment: Box::new(|_| None), ..Surroundings::here(None) };
    let tree = match Tree::read(&Source::File(file.to_owned()), &around) {
        Ok(tree) => tree,
        Err(problems) => return wrong_configuration(&problems),
    };
    let mistakes = tree.remarks.iter().any(|problem| problem.fatal);
    let said = say(print::toml(&tree.root, &tree.origin, &tree.remarks).trim_end());
    match mistakes {
        true => wrong_configuration(&crate::config::Problems(tree.remarks)),
        false => said,
    }
}

/// Makes a file that must not exist yet.
///
/// # Errors
/// In words for the operator.
pub(super) fn create(path: &Path, mode: u32, content: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file: File| file.write_all(content.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{} exists already and is not overwritten", path.display()),
        _ => format!("{} cannot be written: {error}", path.display()),
    })
}
