//! What the operator wants, read from either of two front doors into one typed model.
//!
//! The native door is TOML ([`text::toml`]); the other is OpenCanary's JSON, which [`import`] translates into
//! the same tables. Behind that, nobody knows that there are two: [`settings`] reads the tables into
//! a [`Config`], service by service and sink by sink, by looping over the registries. Every mistake is
//! collected ([`Problems`]); only a [`Config`] without any is returned.

pub mod action;
pub mod environment;
pub mod import;
pub mod keep;
pub mod print;
pub mod sample;
pub mod service;
pub mod settings;
pub mod sink;
pub mod text;

use std::{fmt, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use haldane_core::{Host, Keep, Problem, Table, Windows};
use haldane_pipeline::{Ignore, Rules, Watch};
use ipnet::IpNet;

pub use self::{
    action::{ActionConfig, Heartbeat},
    service::{Endpoint, ServiceConfig, TlsSettings},
    sink::SinkConfig,
};
use self::{environment::Lookup, keep::Folder};

/// The configuration that is used without any file: eight services on high ports of loopback.
pub const EMBEDDED: &str = include_str!("default.toml");

/// Where the configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// [`EMBEDDED`].
    Embedded,
    /// That file, TOML or JSON by its content.
    File(PathBuf),
    /// The first of the native places that exists, [`EMBEDDED`] if none does.
    #[default]
    Search,
    /// The first of the peer's places that holds JSON.
    SearchPeer,
}

/// What the configuration depends on beside its file.
pub struct Surroundings {
    /// Environment variables.
    pub environment: Box<Lookup>,
    /// Where state is kept, whatever the file says (`--state-dir`).
    pub state_folder: Option<PathBuf>,
    /// Whether files may be made (keys, certificates). `check` makes none.
    pub write: bool,
    /// Native files, the first that exists is taken.
    pub native: Vec<PathBuf>,
    /// The peer's files, the first that parses is taken.
    pub peer: Vec<PathBuf>,
    /// What this machine is called.
    pub machine: String,
    /// Whether this process is root.
    pub root: bool,
    /// Whether this machine speaks IPv6. Where it does not, "every address" is every one of IPv4.
    pub ipv6: bool,
}

/// Everything that the daemon is to do.
#[derive(Debug)]
pub struct Config {
    /// The file it came from, for messages.
    pub origin: String,
    /// What this machine calls itself.
    pub host: HostSettings,
    /// Where keys, certificates and the store are.
    pub state_folder: PathBuf,
    /// Whom to become once the ports are bound: a name or a number.
    pub user: Option<String>,
    /// The group to go with it.
    pub group: Option<String>,
    /// What reaches no sink.
    pub ignore: Ignore,
    /// What else is said of events.
    pub rules: Rules,
    /// What an incident is, and what is found out about its source.
    pub incidents: IncidentSettings,
    /// The store.
    pub store: StoreSettings,
    /// Bounds over all services.
    pub limits: LimitSettings,
    /// Services that are enabled, in the order of the file.
    pub services: Vec<ServiceConfig>,
    /// Where events go, in the order of the file.
    pub sinks: Vec<SinkConfig>,
    /// What is done about sources, in the order of the file.
    pub actions: Vec<ActionConfig>,
    /// About whom nothing is ever done.
    pub never: Vec<IpNet>,
    /// Life signs.
    pub heartbeat: Heartbeat,
    /// Remarks that keep nothing from starting.
    pub warnings: Vec<Problem>,
}

/// What this machine calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// To attackers: in banners and certificates.
    pub name: String,
    /// To attackers, where decoys speak as Windows.
    pub windows: Windows,
    /// In events.
    pub node_id: String,
    /// To people, in alerts; may be empty.
    pub label: String,
    /// Where it stands and what for; may be empty.
    pub description: String,
}

impl HostSettings {
    fn machine(&self, keep: Arc<dyn Keep>) -> Host {
        Host { name: self.name.clone(), windows: self.windows.clone(), keep }
    }
}

/// Incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentSettings {
    /// When one opens and closes.
    pub watch: Watch,
    /// What is found out about its source.
    pub lookups: LookupSettings,
}

/// What is found out about sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookupSettings {
    /// Whether the resolver is asked for their names.
    pub reverse_names: bool,
    /// A list of hardware makers; `None`: one of those that other packages bring along.
    pub vendors: Option<PathBuf>,
    /// A database of countries.
    pub countries: Option<PathBuf>,
    /// A database of networks.
    pub networks: Option<PathBuf>,
}

/// The store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// Where it is.
    pub folder: PathBuf,
    /// How long events are kept.
    pub keep_for: Duration,
    /// How large it may become, in bytes.
    pub max_size: u64,
    /// Whether an event survives a power cut from the moment at which the peer is answered.
    pub durable: bool,
}

/// Bounds over all services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSettings {
    /// Connections served at once; `None`: as many as the descriptor limit allows.
    pub connections: Option<usize>,
    /// Connections served at once for each source; `None`: no more bound than the services' own.
    pub per_source: Option<usize>,
}

/// Mistakes, of which at least one is fatal; remarks among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl Config {
    /// Reads the configuration: everything that the daemon needs, or everything that is wrong.
    ///
    /// # Errors
    /// All mistakes and remarks, in the order of the file.
    pub fn load(source: &Source, around: &Surroundings) -> Result<Self, Problems> {
        let tree = Tree::read(source, around)?;
        Self::build(tree, around)
    }

    /// Reads the configuration out of a text, native or the peer's by its content; `file` is its name in messages.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(file: &str, content: &str, around: &Surroundings) -> Result<Self, Problems> {
        let tree = Tree::parse(file, content, around)?;
        Self::build(tree, around)
    }

    fn build(tree: Tree, around: &Surroundings) -> Result<Self, Problems> {
        let mut problems = tree.remarks;
        let config = settings::read(&tree.root, &tree.origin, around, &mut problems);
        problems.sort_by_key(order);
        if problems.iter().any(|problem| problem.fatal) {
            return Err(Problems(problems));
        }
        Ok(Self { warnings: problems, ..config })
    }

    /// What services may know of this machine.
    pub fn service_host(&self, write: bool) -> Host {
        self.host.machine(keeper(&self.state_folder, write))
    }
}

/// Keeps keys and certificates in the state folder, or only looks at them.
pub(crate) fn keeper(state_folder: &std::path::Path, write: bool) -> Arc<dyn Keep> {
    Arc::new(if write { Folder::new(state_folder) } else { Folder::only_looked_at(state_folder) })
}

/// What a command that only reads the store must know: less than a [`Config`], and had without making a key.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Where the store is.
    pub state_folder: PathBuf,
    /// What this machine calls itself.
    pub host: HostSettings,
}

impl Identity {
    /// Reads it. Mistakes in services and sinks are not looked for.
    ///
    /// # Errors
    /// All mistakes that were found.
    pub fn read(source: &Source, around: &Surroundings) -> Result<Self, Problems> {
        let Tree { root, remarks: mut problems, .. } = Tree::read(source, around)?;
        let identity = settings::identity(&root, around, &mut problems);
        match problems.iter().any(|problem| problem.fatal) {
            true => Err(Problems(problems)),
            false => Ok(identity),
        }
    }
}

fn order(problem: &Problem) -> (String, usize) {
    problem.place.as_ref().map_or((String::new(), 0), |place| (place.file.to_string(), place.line))
}

/// A file, parsed and, if it is the peer's, translated.
pub struct Tree {
    /// The native tables.
    pub root: Table,
    /// The file, for messages.
    pub origin: String,
    /// Remarks so far.
    pub remarks: Vec<Problem>,
}

impl Tree {
    /// Finds, reads, parses and translates.
    ///
    /// # Errors
    /// What is wrong with the file as such.
    pub fn read(source: &Source, around: &Surroundings) -> Result<Self, Problems> {
        match source {
            Source::Embedded => Self::parse("built-in default", EMBEDDED, around),
            Source::File(path) => {
                let file = path.display().to_string();
                let content = std::fs::read(path).map_err(|error| unreadable(&file, &error))?;
                let content = String::from_utf8(content).map_err(|error| not_text(&file, &error))?;
                Self::parse(&file, &content, around)
            }
            Source::Search => match around.native.iter().find(|path| path.exists()) {
                Some(path) => Self::read(&Source::File(path.clone()), around),
                None => Self::read(&Source::Embedded, around),
            },
            Source::SearchPeer => Self::search(around),
        }
    }

    /// Parses a text, JSON if it starts with a brace.
    ///
    /// # Errors
    /// What is wrong with its grammar.
    pub fn parse(file: &str, content: &str, around: &Surroundings) -> Result<Self, Problems> {
        let json = file.ends_with(".conf") || file.ends_with(".json");
        let start = content.trim_start_matches('\u{feff}').trim_start();
        let json = start.starts_with('{')
            || start.starts_with("/*")
            || start.starts_with("//")
            || (json && !file.ends_with(".toml"));
        if json {
            let table = text::json(file, content, &around.environment).map_err(Problems)?;
            let mut remarks = Vec::new();
            let root = import::translate(&table, &mut remarks);
            return Ok(Self { root, origin: file.to_owned(), remarks });
        }
        let root = text::toml(file, content, &around.environment).map_err(Problems)?;
        Ok(Self { root, origin: file.to_owned(), remarks: Vec::new() })
    }

    /// The peer's way: the first of its files that parses, remarks about those before it.
    fn search(around: &Surroundings) -> Result<Self, Problems> {
        let mut failed = Vec::new();
        for path in around.peer.iter().filter(|path| path.exists()) {
            match Self::read(&Source::File(path.clone()), around) {
                Ok(mut tree) => {
                    let passed = failed.into_iter().map(|problem| Problem { fatal: false, ..problem });
                    tree.remarks.splice(0..0, passed);
                    return Ok(tree);
                }
                Err(Problems(problems)) => failed.extend(problems),
            }
        }
        let places: Vec<String> = around.peer.iter().map(|path| path.display().to_string()).collect();
        let message = format!(
            "no usable configuration file; looked for {}. `opencanaryd --copyconfig` writes one to start from",
            places.join(", ")
        );
        failed.push(Problem::error(None, "", message));
        Err(Problems(failed))
    }
}

fn unreadable(file: &str, error: &std::io::Error) -> Problems {
    let place = haldane_core::section::Place { file: file.into(), line: 0 };
    let mut message = format!("cannot be read: {error}");
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        // After a start as root, a reload is no longer root's.
        let uid = rustix::process::geteuid().as_raw();
        message.push_str(&format!("; whoever the canary runs as (uid {uid}) must be able to read it"));
    }
    Problems(vec![Problem::error(Some(place), "", message)])
}

fn not_text(file: &str, error: &std::string::FromUtf8Error) -> Problems {
    let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count().saturating_add(1);
    let place = haldane_core::section::Place { file: file.into(), line };
    Problems(vec![Problem::error(Some(place), "", "expected UTF-8")])
}

/// Every address of this machine.
pub(crate) const EVERYWHERE: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED)];

impl Surroundings {
    /// Those of this process.
    pub fn here(state_folder: Option<PathBuf>) -> Self {
        let environment = |name: &str| std::env::var(name).ok();
        let home = environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let settings =
            environment("XDG_CONFIG_HOME").filter(|folder| folder.starts_with('/')).map(PathBuf::from);
        let settings = settings.or_else(|| home.as_ref().map(|home| home.join(".config")));
        let native = [
            Some(PathBuf::from("/etc/haldane/haldane.toml")),
            settings.map(|f| f.join("haldane/haldane.toml")),
        ];
        let native = native.into_iter().flatten().chain([PathBuf::from("haldane.toml")]).collect();
        let peer = [Some(peer_file()), home.map(|home| home.join(".opencanary.conf"))];
        let peer = peer.into_iter().flatten().chain([PathBuf::from("opencanary.conf")]).collect();
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            environment: Box::new(environment),
            state_folder,
            write: true,
            native,
            peer,
            machine,
            root: rustix::process::geteuid().is_root(),
            // Missing without IPv6 in the kernel, empty where it is turned off.
            ipv6: std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|addresses| !addresses.is_empty()),
        }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("state_folder", &self.state_folder)
            .field("write", &self.write)
            .field("native", &self.native)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// The peer's first place, and where `--copyconfig` writes; `HALDANE_PEER_FOLDER` moves it.
pub fn peer_file() -> PathBuf {
    let folder = std::env::var_os("HALDANE_PEER_FOLDER").unwrap_or_else(|| "/etc/opencanaryd".into());
    PathBuf::from(folder).join("opencanary.conf")
}
