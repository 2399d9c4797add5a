//! What continuous integration runs, in the order in which it fails fastest.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// Runs it all.
pub fn run() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    crate::deps::run()?;
    sizes()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["nextest", "run", "--workspace", "--no-fail-fast"]).or_else(|error| {
        // Without nextest, the tests themselves still count.
        if has("nextest") { Err(error) } else { cargo(&["test", "--workspace", "--no-fail-fast"]) }
    })?;
    cargo(&["test", "--workspace", "--doc"])?;
    documentation()?;
    if has("deny") {
        cargo(&["deny", "--all-features", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])?;
    } else {
        println!("SKIPPED: cargo-deny is not installed");
    }
    println!("all green");
    Ok(())
}

/// Runs cargo, showing what it says.
pub fn cargo(arguments: &[&str]) -> Result<()> {
    println!("$ cargo {}", arguments.join(" "));
    let status = Command::new("cargo").args(arguments).status().context("cargo")?;
    ensure!(status.success(), "failed: cargo {}", arguments.join(" "));
    Ok(())
}

fn has(subcommand: &str) -> bool {
    Command::new("cargo").args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
}

fn documentation() -> Result<()> {
    println!("$ cargo doc");
    let status = Command::new("cargo")
        .args(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    ensure!(status.success(), "failed: cargo doc");
    Ok(())
}

/// No file of more than 600 lines without a reason in its head (a line with the word "lines").
fn sizes() -> Result<()> {
    let output = Command::new("git").args(["ls-files", "*.rs"]).output()?;
    let files = String::from_utf8(output.stdout)?;
    let mut long = BTreeMap::new();
    for file in files.lines().filter(|file| Path::new(file).exists()) {
        let text = std::fs::read_to_string(file)?;
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let reason = head.iter().any(|line| line.contains("lines"));
        if text.lines().count() > 600 && !reason {
            long.insert(file.to_owned(), text.lines().count());
        }
    }
    ensure!(long.is_empty(), "files over 600 lines without a reason in their head: {long:?}");
    Ok(())
}
