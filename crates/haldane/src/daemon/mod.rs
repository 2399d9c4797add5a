//! The running canary: wires the crates together, starts in the safe order, and ends without losing anything.
//!
//! Start: configuration, ports, privileges dropped, store, runtime, decoys, sinks. End, within five seconds: no new
//! connections, sessions hang up, the store takes what they reported, sinks finish what is under way.

pub mod actions;
pub mod certificates;
mod conclusions;
pub mod decoys;
mod heartbeat;
pub mod kinds;
pub mod lookups;
pub mod operations;
pub mod outlets;
pub mod privileges;
mod reload;
mod watch;

use std::{
    fmt,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
};

use haldane_core::Untrusted;
use haldane_store::Store;
use tracing::{error, info, warn};

use self::{
    actions::gate::Gate,
    decoys::{Failed, Moment, Prepared, Sockets, load, prepare},
    watch::Canary,
};
use crate::config::{Config, Problems, Source, Surroundings, keeper};

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

/// Exit code for a wrong configuration (EX_CONFIG of sysexits.h).
pub const WRONG_CONFIGURATION: u8 = 78;

/// Descriptors that are not for connections: the store, sinks, listeners, logs.
const DESCRIPTORS_KEPT: usize = 128;
/// Connections served at once, however many descriptors there are: each costs memory, too.
const MOST_CONNECTIONS: usize = 65_536;

/// Why the canary could not start.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{0}")]
    Configuration(#[from] Problems),
    #[error(transparent)]
    Privileges(#[from] privileges::Error),
    #[error("the state folder {0} cannot be made")]
    StateFolder(PathBuf, #[source] std::io::Error),
    #[error("the store cannot be opened")]
    Store(#[from] haldane_store::Error),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("no service could be started")]
    NoService,
    #[error("the store ended unexpectedly: what is seen from here on would be lost")]
    StoreEnded,
}

/// Runs the canary until it is told to stop.
pub fn run(options: Options) -> ExitCode {
    log_to_stderr();
    match start(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Configuration(problems)) => {
            complain(&format!("{problems}\nThe configuration is wrong; nothing was started.\n"));
            ExitCode::from(WRONG_CONFIGURATION)
        }
        Err(error) => {
            let mut text = format!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            complain(&format!("{text}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Our own operation only, a dozen lines at start and stop; what peers do is in the events. `HALDANE_LOG` sets
/// the level (`error` to `trace`).
fn log_to_stderr() {
    use std::io::IsTerminal;
    let level = std::env::var("HALDANE_LOG").ok().and_then(|level| level.parse().ok());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(tracing::Level::INFO))
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // With stderr closed, complaining about it would be a panic.
        .log_internal_errors(false);
    // A test in this process may have set one already.
    subscriber.try_init().ok();
    std::panic::set_hook(Box::new(panicked));
}

/// A line for a panic, more rarely with each: a peer that found the way to one may go it again. Its text may quote
/// that peer.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if count.is_power_of_two() {
        let text = Untrusted::from(haldane_net::panic_text(panic.payload()));
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(%text, place, count, "this is a bug");
    }
}

fn complain(text: &str) {
    // With stderr closed there is nobody to tell.
    std::io::Write::write_all(&mut anstream::stderr(), text.as_bytes()).ok();
}

fn start(mut options: Options) -> Result<(), Error> {
    let mut around = Surroundings::here(options.state_folder.clone());
    let mut config = Config::load(&options.config, &around)?;
    // A reload must not look for keys and certificates elsewhere.
    around.state_folder = Some(config.state_folder.clone());
    for warning in &config.warnings {
        complain(&format!("{warning}\n"));
    }
    let state_folder = config.state_folder.clone();
    make_folder(&state_folder)?;
    make_folder(&config.store.folder)?;
    let descriptors = privileges::raise_descriptor_limit();

    let mut failed = Vec::new();
    let mut idle = Sockets::new();
    let keep = keeper(&state_folder, true);
    let services = std::mem::take(&mut config.services);
    let bait = watch::checker(&services);
    let wanted = services.len();
    let mut prepared: Vec<Prepared> = Vec::new();
    for service in services {
        match load(service, &state_folder, keep.as_ref()) {
            Ok(loaded) => prepared.extend(prepare(loaded, &mut idle, Moment::Start, &mut failed)),
            Err(why) => failed.push(why),
        }
    }
    if prepared.is_empty() && wanted > 0 {
        failed.iter().for_each(report_failed);
        return Err(Error::NoService);
    }
    let wanted = whom_to_become(&options, &config)?;
    // While there still are privileges to keep one of.
    let gate = open_gate(&config, wanted);
    let dropped = drop_privileges(wanted, &config)?;

    let canary = Canary::new(config, bait, options.config.clone(), around, gate)?;
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        // A worker's deepest stack is that of a key exchange; the default of 2 MiB is only reserved, not used.
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    failed.iter().for_each(report_failed);
    // A listener keeps one descriptor back, besides its socket.
    let listening = prepared.iter().map(Prepared::sockets).fold(0, usize::saturating_add).saturating_mul(2);
    let kept = DESCRIPTORS_KEPT.saturating_add(listening);
    let most = descriptors.saturating_sub(kept).clamp(16, MOST_CONNECTIONS);
    let ready = options.ready.take();
    let ended = runtime.block_on(canary.run(prepared, failed, dropped, most, ready));
    // A sink's blocking call may hang; the store has what it did not send.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    ended
}

fn report_failed(failed: &Failed) {
    error!(service = failed.service, "not started: {}", failed.why);
}

fn make_folder(folder: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::StateFolder(folder.to_owned(), error))
}

/// Who was asked for; for root without a wish, nobody in particular.
fn whom_to_become(
    options: &Options,
    config: &Config,
) -> Result<Option<privileges::Identity>, privileges::Error> {
    let user = options.user.as_deref().or(config.user.as_deref());
    let group = options.group.as_deref().or(config.group.as_deref());
    let root = rustix::process::geteuid().is_root();
    Ok(match privileges::wanted(user, group)? {
        Some(identity) => Some(identity),
        None if root && !options.allow_root => Some(privileges::unprivileged()),
        None => None,
    })
}

/// The way to the kernel's sets of addresses, if an action needs it. Without it the canary sees as much as with it.
fn open_gate(config: &Config, identity: Option<privileges::Identity>) -> Gate {
    let root = rustix::process::geteuid().is_root();
    let Some(orders) = actions::orders(config, identity.filter(|_| root)) else { return Gate::default() };
    Gate::start(&orders).unwrap_or_else(|why| {
        error!("sources cannot be blocked: {why}");
        Gate::default()
    })
}

/// Becomes that one, for good.
fn drop_privileges(
    wanted: Option<privileges::Identity>,
    config: &Config,
) -> Result<Option<privileges::Identity>, Error> {
    let root = rustix::process::geteuid().is_root();
    match wanted {
        Some(identity) if root => {
            let folders = [config.state_folder.as_path(), config.store.folder.as_path()];
            let files: Vec<_> = config.sinks.iter().flat_map(|sink| sink.sink.owns()).collect();
            privileges::become_identity(identity, &folders, &files)?;
            info!(uid = identity.uid, gid = identity.gid, "privileges dropped");
            Ok(Some(identity))
        }
        Some(identity) if identity != privileges::current() => Err(privileges::Error::NotRoot.into()),
        _ => {
            if root {
                warn!("running as root: whoever breaks in has the machine");
            } else {
                privileges::no_more()?;
            }
            Ok(None)
        }
    }
}

/// The store of that configuration.
fn open_store(config: &Config, process: haldane_store::Process) -> Result<Store, haldane_store::Error> {
    let options = haldane_store::Options {
        folder: config.store.folder.clone(),
        keep_for: config.store.keep_for,
        max_size: config.store.max_size,
        durable: config.store.durable,
    };
    Store::open(options, crate::kinds::table(), process)
}
