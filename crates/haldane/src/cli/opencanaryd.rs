//! The command line of OpenCanary's start script, for whom habits, units and scripts call it.
//!
//! `--start` starts this program again as a daemon and waits until it has bound its ports. No fork is needed:
//! the second process opens a session of its own (setsid(2)) and says over its standard input, a socket,
//! that it is up.

use std::{
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use clap::{ArgGroup, CommandFactory, Parser};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{complain, fail, files::create, say};
use crate::{
    config::{Source, peer_file},
    daemon,
};

/// The sample file: the peer's keys with the peer's defaults.
const SAMPLE: &str = include_str!("../config/opencanary.conf");
/// What the daemon says when it is up.
const READY: &[u8] = b"ready";
/// How long a daemon may take to stop: it has five seconds to finish what is under way.
const STOPPING: Duration = Duration::from_secs(10);

const FILES: &str = "\
Configuration: the first of these that is JSON: /etc/opencanaryd/opencanary.conf,
~/.opencanary.conf, ./opencanary.conf. Process id of --start: /var/run/opencanaryd.pid.

This is Haldane behind OpenCanary's command line. Its own is shown by `haldane --help`;
`haldane import FILE` turns a configuration into its own form.";

const USAGE: &str = "\
opencanaryd [--start | --dev | --stop | --restart | --copyconfig | --usermodule | --version | --help]
                   [--uid=USER] [--gid=GROUP] [--allow-run-as-root]";

/// The canary, with the command line of OpenCanary.
#[derive(Debug, Parser)]
#[command(name = "opencanaryd", version, disable_version_flag = true, after_help = FILES, override_usage = USAGE)]
#[command(group = ArgGroup::new("action").required(true))]
struct Arguments {
    /// Start the canary in the background.
    #[arg(long, group = "action")]
    start: bool,
    /// Run the canary in the foreground.
    #[arg(long, group = "action")]
    dev: bool,
    /// Stop the canary that --start started.
    #[arg(long, group = "action")]
    stop: bool,
    /// Stop it, if it runs, and start it.
    #[arg(long, group = "action")]
    restart: bool,
    /// Write a configuration to start from; an existing one is never overwritten.
    #[arg(long, group = "action")]
    copyconfig: bool,
    /// Not supported: services written in Python cannot run here.
    #[arg(long, group = "action")]
    usermodule: bool,
    /// Print the version.
    #[arg(long, group = "action")]
    version: bool,
    /// What --start starts.
    #[arg(long, group = "action", hide = true)]
    background: bool,
    /// Whom to become once the ports are bound: a name or a number.
    #[arg(long, value_name = "USER")]
    uid: Option<String>,
    /// The group to go with it: a name or a number.
    #[arg(long, value_name = "GROUP")]
    gid: Option<String>,
    /// Stay root, without a warning.
    #[arg(long)]
    allow_run_as_root: bool,
    /// Where keys and events are kept.
    #[arg(long, value_name = "FOLDER", env = "HALDANE_STATE_DIR", hide = true)]
    state_dir: Option<PathBuf>,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.kind() == clap::error::ErrorKind::MissingRequiredArgument => {
            complain(Arguments::command().render_help());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    if arguments.version {
        return say(env!("CARGO_PKG_VERSION"));
    }
    if arguments.copyconfig {
        return copy_configuration();
    }
    if arguments.usermodule {
        return fail(
            "--usermodule is not supported: services written in Python cannot run in this program. Remove them \
             from the configuration, and write a service as CONTRIBUTING.md shows",
        );
    }
    match (arguments.stop, arguments.restart, arguments.start) {
        (true, _, _) => stop(&pid_file()),
        (_, true, _) => match stop(&pid_file()) {
            code if code == ExitCode::SUCCESS || running(&pid_file()).is_none() => {
                start(&arguments, &pid_file())
            }
            code => code,
        },
        (_, _, true) => start(&arguments, &pid_file()),
        _ => run(arguments),
    }
}

/// Runs in this process, in the foreground or as what `--start` started.
fn run(arguments: Arguments) -> ExitCode {
    let ready: Option<Box<dyn FnOnce() + Send>> = match arguments.background {
        true => {
            // Fails only for the leader of a group, which a process just started is not.
            let _ = rustix::process::setsid();
            Some(Box::new(detach))
        }
        false => {
            remark_on_root(&arguments);
            None
        }
    };
    daemon::run(daemon::Options {
        config: Source::SearchPeer,
        state_folder: arguments.state_dir,
        user: arguments.uid,
        group: arguments.gid,
        allow_root: true,
        ready,
    })
}

/// Tells the process that waits that we are up, and lets go of its terminal.
fn detach() {
    let _ = rustix::io::write(rustix::stdio::stdin(), READY);
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}

fn remark_on_root(arguments: &Arguments) {
    let root = rustix::process::geteuid().is_root();
    if root && !arguments.allow_run_as_root && (arguments.uid.is_none() || arguments.gid.is_none()) {
        complain(
            "opencanaryd: warning: the canary goes on as root once its ports are bound. Give it a user of its own \
             with --uid and --gid (or say --allow-run-as-root)",
        );
    }
}

fn start(arguments: &Arguments, pid_file: &Path) -> ExitCode {
    if let Some(pid) = running(pid_file) {
        return fail(format!("already running, process {pid}"));
    }
    remark_on_root(arguments);
    // Before the daemon runs: without its number it could not be stopped.
    if let Err(why) = write_pid(pid_file, "") {
        return fail(why);
    }
    match launch(arguments) {
        Ok(Started::Up(pid)) => match write_pid(pid_file, &format!("{pid}\n")) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => fail(format!("started as process {pid}, but {why}")),
        },
        Ok(Started::Ended(status)) => {
            forget(pid_file);
            fail(format!("the daemon did not start: {status}"));
            // What the daemon says of itself: 78 for a wrong configuration.
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1).max(1))
        }
        Err(error) => {
            forget(pid_file);
            fail(format!("cannot start the daemon: {error}"))
        }
    }
}

/// Removes the file of a daemon that did not start. One that was started beside it may have written its number.
fn forget(pid_file: &Path) {
    if std::fs::read_to_string(pid_file).is_ok_and(|pid| pid.is_empty()) {
        let _ = std::fs::remove_file(pid_file);
    }
}

/// What came of a start.
enum Started {
    /// It is up; its process.
    Up(u32),
    /// It gave up, and has said why.
    Ended(ExitStatus),
}

/// Starts the daemon and waits until it is up, or has given up.
fn launch(arguments: &Arguments) -> io::Result<Started> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0("opencanaryd").arg("--background");
    for (flag, value) in [("--uid", &arguments.uid), ("--gid", &arguments.gid)] {
        if let Some(value) = value {
            command.arg(format!("{flag}={value}"));
        }
    }
    if let Some(folder) = &arguments.state_dir {
        command.arg("--state-dir").arg(folder);
    }
    command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
    let mut child = command.spawn()?;
    // Only the daemon must hold the other end, or its death would go unseen.
    drop(command);
    let mut said = [0; READY.len()];
    match ours.read_exact(&mut said) {
        Ok(()) => Ok(Started::Up(child.id())),
        Err(_) => Ok(Started::Ended(child.wait()?)),
    }
}

fn stop(pid_file: &Path) -> ExitCode {
    let Some(pid) = running(pid_file) else {
        // What a crash or a power cut left behind.
        let _ = std::fs::remove_file(pid_file);
        return fail(format!("not running ({} names no canary)", pid_file.display()));
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(process) = process else { return fail("not running") };
    if let Err(error) = kill_process(process, Signal::TERM) {
        return fail(format!("process {pid} cannot be stopped: {error}"));
    }
    let begun = Instant::now();
    while running(pid_file).is_some() {
        if begun.elapsed() > STOPPING {
            return fail(format!("process {pid} does not stop"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = std::fs::remove_file(pid_file);
    ExitCode::SUCCESS
}

/// The process of that file, if it is there and is one of ours: after a restart of the machine or of
/// a container the number may be somebody else's.
fn running(pid_file: &Path) -> Option<u32> {
    let pid: i32 = std::fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let process = Pid::from_raw(pid)?;
    let alive = !matches!(test_kill_process(process), Err(rustix::io::Errno::SRCH));
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let ended = state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
    (alive && !ended && name.trim() == "opencanaryd").then_some(u32::try_from(pid).ok()?)
}

/// Where the process id is; `HALDANE_PIDFILE` moves it.
fn pid_file() -> PathBuf {
    std::env::var_os("HALDANE_PIDFILE").unwrap_or_else(|| "/var/run/opencanaryd.pid".into()).into()
}

fn write_pid(path: &Path, text: &str) -> Result<(), String> {
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(path);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Writes the sample file where the peer looks first.
fn copy_configuration() -> ExitCode {
    let path = peer_file();
    let folder = path.parent().unwrap_or(Path::new("/"));
    if let Err(error) = std::fs::create_dir_all(folder) {
        return fail(format!("{} cannot be made: {error}", folder.display()));
    }
    // Readable for all: the canary reads it again when it is no longer root.
    match create(&path, 0o644, SAMPLE) {
        Ok(()) => say(format!(
            "{} written; edit it, then start the canary with opencanaryd --start",
            path.display()
        )),
        Err(why) => fail(why),
    }
}
