//! `opencanaryd`: the same canary behind the flags of OpenCanary's start script.

use std::process::ExitCode;

fn main() -> ExitCode {
    haldane::cli::opencanaryd::main()
}
