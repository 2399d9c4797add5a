//! What is done to this project rather than by it: `cargo xtask ci | bench | fuzz | dist | new-service`.
#![allow(
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a developer's tool tells what it does, and may fail loudly"
)]

mod bench;
mod ci;
mod deps;
mod dist;
mod fuzz;
mod new_service;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask <task>

  ci                  what continuous integration runs: format, lints, dependencies, tests, docs, licences
  bench [options]     speed and memory, beside the peer and beside a bare TCP server
      --peer VENV       a virtual environment with opencanary==0.9.9 (left out: no comparison with the peer)
      --drivers VENV    a virtual environment with paramiko (left out: no SSH)
      --seconds N       how long each measurement lasts (5)
      --only SERVICE    one service
      --no-build        measure target/release/haldane as it is
  fuzz [seconds]      every fuzz target, one after the other (60 seconds each)
      --only SERVICE    conversations with that one alone
  dist                static programs and the systemd unit, in target/dist
  new-service NAME    a folder for a new decoy, and its line in the registry
  deps                checks that dependencies point the way that ARCHITECTURE.md draws them
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["ci"] => ci::run(),
        ["bench", options @ ..] => bench::run(options),
        ["fuzz"] => fuzz::run(60, None),
        ["fuzz", seconds] => fuzz::run(seconds.parse()?, None),
        ["fuzz", seconds, "--only", service] => fuzz::run(seconds.parse()?, Some(service)),
        ["new-service", name] => new_service::run(name),
        ["deps"] => deps::run(),
        ["dist"] => dist::run(),
        _ => bail!("{USAGE}"),
    }
}
