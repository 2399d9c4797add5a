//! `opencanaryd`: the same canary behind the flags of OpenCanary's start script.

use std::process::ExitCode;

fn main() -> ExitCode {
    haldane::heap::share();
    haldane::cli::opencanaryd::main()
}
