//! The running canary.

use std::{fmt, path::PathBuf, process::ExitCode};

use crate::config::Source;

/// What the command line says about a run.
#[derive(Default)]
pub struct Options {
    /// Where the configuration comes from.
    pub config: Source,
    /// Where state is kept, whatever the configuration says.
    pub state_folder: Option<PathBuf>,
    /// Whom to become once the ports are bound, whatever the configuration says.
    pub user: Option<String>,
    /// The group to go with it.
    pub group: Option<String>,
    /// Stay root if started by root and no user is named, without a remark.
    pub allow_root: bool,
    /// Called once, when ports are bound and privileges dropped: whoever waits for the start may go.
    pub ready: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Runs the canary until it is told to stop.
pub fn run(options: Options) -> ExitCode {
    tracing::error!(?options, "not built yet");
    ExitCode::FAILURE
}
