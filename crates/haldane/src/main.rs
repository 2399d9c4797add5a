//! `haldane`: the canary's native command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    haldane::heap::share();
    haldane::cli::main()
}
