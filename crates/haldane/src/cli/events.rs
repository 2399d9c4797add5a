//! `haldane events`, and what the store knows of the sinks.
use std::process::ExitCode;
/// Its options.
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    #[command(flatten)]
    place: super::Place,
}
impl Events {
    pub(super) fn run(self) -> ExitCode {
        ExitCode::SUCCESS
    }
}
pub(super) fn sinks(_config: &crate::config::Config) -> ExitCode {
    ExitCode::SUCCESS
}
