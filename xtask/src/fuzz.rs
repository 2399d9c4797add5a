//! Runs every fuzz target for a while. Needs cargo-fuzz (`cargo install cargo-fuzz`) and clang's runtime; the
//! stable compiler is told to act as a nightly one, which the sanitizer needs.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Runs each target for that many seconds; the first finding ends it.
pub fn run(seconds: u64) -> Result<()> {
    let list = Command::new("cargo").args(["fuzz", "list"]).output().context("cargo fuzz")?;
    ensure!(list.status.success(), "cargo-fuzz is not installed: cargo install cargo-fuzz");
    let targets = String::from_utf8(list.stdout)?;
    ensure!(!targets.trim().is_empty(), "no fuzz targets");
    for target in targets.lines() {
        println!("fuzzing {target} for {seconds} s");
        let status = Command::new("cargo")
            .args(["fuzz", "run", target, "--"])
            .arg(format!("-max_total_time={seconds}"))
            .args(["-max_len=8192", "-rss_limit_mb=1024", "-timeout=10"])
            .env("RUSTC_BOOTSTRAP", "1")
            .status()?;
        ensure!(status.success(), "{target}: a finding; its input is in fuzz/artifacts");
    }
    Ok(())
}
