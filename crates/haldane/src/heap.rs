//! One heap for all threads.
//!
//! glibc gives each thread a heap of its own, and none of them shrinks while anything lives at its end. Under a flood
//! of large events that is three times the memory for nothing: the threads of a canary mostly wait. The setting can
//! be had only from the environment, at the very start of a process.

use std::{env, os::unix::process::CommandExt, process::Command};

/// `mallopt(3)`: how many heaps there may be.
const SETTING: &str = "MALLOC_ARENA_MAX";

/// Starts this program anew in its own process, with that setting; does nothing where it is set. If that fails, it
/// goes on as it is: it only needs more memory.
pub fn share() {
    if !cfg!(target_env = "gnu") || env::var_os(SETTING).is_some() {
        return;
    }
    let mut arguments = env::args_os();
    let name = arguments.next().unwrap_or_else(|| env!("CARGO_PKG_NAME").into());
    if let Ok(program) = env::current_exe() {
        // Returns only if it fails.
        let _failed = Command::new(program).arg0(name).args(arguments).env(SETTING, "1").exec();
    }
}
