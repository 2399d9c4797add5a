//! The command line of `haldane`; that of `opencanaryd` is in [`opencanaryd`].

pub mod alert;
mod channels;
pub mod check;
pub mod events;
pub mod files;
mod gate;
pub mod incidents;
pub mod opencanaryd;
pub mod rules;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::{
    config::{Problems, Source, Surroundings},
    daemon,
};

const EXAMPLES: &str = "\
Examples:
  haldane                               try it: decoys on high ports of this machine alone
  haldane init /etc/haldane/haldane.toml && haldane check
  sudo haldane run --uid nobody --gid nogroup
  haldane events --since 1h --source 10.0.0.0/8
  haldane incidents                     who did what, a line for each source; a number tells all
  haldane test-alert mail               send one test event to the sink named mail

Without --config, the first of these files is taken: /etc/haldane/haldane.toml,
~/.config/haldane/haldane.toml, ./haldane.toml. If there is none, a built-in default
runs. An OpenCanary file (JSON) can be given to --config as it is.

Exit codes: 0 done, 1 failed, 2 wrong usage, 78 wrong configuration.";

/// A network canary: decoys that nobody has a reason to touch, and an alert for whoever does.
#[derive(Debug, Parser)]
#[command(name = "haldane", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the canary in the foreground (what plain `haldane` does, too).
    ///
    /// Ports are bound first, then privileges are dropped. SIGHUP reads the configuration again: what has not
    /// changed keeps its connections, and a file with a mistake changes nothing. SIGTERM and SIGINT stop it
    /// without losing an event.
    Run(Run),
    /// Look for mistakes in the configuration; with --sinks, ask how the sinks are.
    ///
    /// All mistakes are shown at once, each with file, line and key. Exits with 78 if there is one, and with 1 if
    /// --sinks finds a sink down.
    Check(check::Check),
    /// Write a configuration in which every key stands with its default and its meaning.
    Init {
        /// The file to write; standard output if left out. An existing file is never overwritten.
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },
    /// Print an OpenCanary configuration as ours.
    ///
    /// What has no equivalent yet is listed at the top, as comments. The result holds the passwords of the
    /// original: mind where you write it.
    Import {
        /// As in /etc/opencanaryd/opencanary.conf.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Show what the decoys saw, oldest first. Works while the canary runs.
    Events(events::Events),
    /// Show what the decoys saw, put together by source; with a number, the whole story of one.
    ///
    /// Everything that one source does without a longer pause is one incident. Works while the canary runs.
    Incidents(incidents::Incidents),
    /// Send one test event through the sinks, now, and say what came of it.
    ///
    /// The event says that it is a test. Exits with 1 if a sink failed.
    TestAlert(alert::TestAlert),
    /// Which rules events would meet, and which presets there are.
    #[command(subcommand)]
    Rules(rules::Command),
    /// List the services that are told over HTTP, or print the preset of one, as a start for one of your own.
    Channels {
        /// As in telegram.
        name: Option<String>,
    },
    /// What the canary starts for itself to block sources; not for people.
    #[command(hide = true)]
    Gate(gate::Gate),
    /// Print a script that completes commands in your shell.
    ///
    /// For bash: haldane completions bash > ~/.local/share/bash-completion/completions/haldane
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    place: Place,
    /// Whom to become once the ports are bound: a name or a number. Only root can.
    #[arg(long, value_name = "USER")]
    uid: Option<String>,
    /// The group to go with it: a name or a number. Left out: the user's own.
    #[arg(long, value_name = "GROUP")]
    gid: Option<String>,
}

/// Where configuration and state are: the options that most commands have.
#[derive(Debug, Args)]
pub struct Place {
    /// The configuration: TOML, or OpenCanary's JSON.
    #[arg(long, short, value_name = "FILE", env = "HALDANE_CONFIG", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Where keys, certificates and events are kept, whatever the configuration says.
    #[arg(long, value_name = "FOLDER", env = "HALDANE_STATE_DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
}

impl Place {
    fn source(&self) -> Source {
        self.config.clone().map_or(Source::Search, Source::File)
    }

    /// For commands that only look: nothing is made.
    fn looking(&self) -> Surroundings {
        Surroundings { write: false, ..Surroundings::here(self.state_dir.clone()) }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    run(std::env::args_os())
}

fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match arguments.command.unwrap_or(Command::Run(arguments.run)) {
        Command::Run(run) => daemon::run(daemon::Options {
            config: run.place.source(),
            state_folder: run.place.state_dir,
            user: run.uid,
            group: run.gid,
            ..daemon::Options::default()
        }),
        Command::Check(check) => check.run(),
        Command::Init { file } => files::init(file.as_deref()),
        Command::Import { file } => files::import(&file),
        Command::Events(events) => events.run(),
        Command::Incidents(incidents) => incidents.run(),
        Command::TestAlert(alert) => alert.run(),
        Command::Rules(rules) => rules.run(),
        Command::Channels { name } => channels::show(name.as_deref()),
        Command::Gate(gate) => gate.run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "haldane", &mut script);
            say(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// Writes to standard output; that nobody reads on is no failure.
fn say(text: impl Display) -> ExitCode {
    match writeln!(anstream::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(format!("standard output: {error}")),
        _ => ExitCode::SUCCESS,
    }
}

/// Writes to standard error.
fn complain(text: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Says why it failed.
fn fail(why: impl Display) -> ExitCode {
    complain(format!("haldane: {why}"));
    ExitCode::FAILURE
}

/// Shows all mistakes of the configuration.
pub fn wrong_configuration(problems: &Problems) -> ExitCode {
    complain(problems);
    let errors = problems.0.iter().filter(|problem| problem.fatal).count();
    complain(match errors {
        1 => "configuration is wrong: 1 error".to_owned(),
        errors => format!("configuration is wrong: {errors} errors"),
    });
    ExitCode::from(daemon::WRONG_CONFIGURATION)
}
