//! SSH as a Debian server's OpenSSH speaks it before a login: takes names, passwords and keys, then says no.
//!
//! Reports `ssh.connection`, `ssh.version`, `ssh.login` for each password (also by `keyboard-interactive`),
//! `ssh.publickey` for each key, `ssh.none` for what names a user and proves nothing, `ssh.kexinit` with the
//! client's algorithms and their HASSH, `ssh.probe` for what no client sends, `ssh.exploit` for a known
//! attack, `ssh.disconnect` for last words.
//!
//! Protocol: RFC 4251 to 4254, RFC 4256, RFC 8308, PROTOCOL of OpenSSH. From the socket inwards:
//! `identification`, `packet` (with `cipher`, `mac`, `umac`), `session` (which message means what when),
//! `exchange` (with `kex` and `hostkey`), `auth`. What differs between releases is in `release`.

mod auth;
mod cipher;
mod exchange;
mod hostkey;
mod identification;
mod kex;
mod mac;
mod packet;
mod release;
mod session;
#[cfg(test)]
mod tests;
mod umac;
mod wire;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use haldane_core::{Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity};

use self::{hostkey::HostKey, release::Release};
pub use session::Connection;

/// Somebody connected.
pub static CONNECTION: Kind =
    Kind::new(4000, "ssh.connection", Class::Connection, Severity::Low, "SSH connection")
        .compat(&[Compat::field("SESSION", "session")]);
/// A client named its version.
pub static VERSION: Kind = Kind::new(4001, "ssh.version", Class::Probe, Severity::Low, "SSH client version")
    .compat(&[
        Compat::field("LOCALVERSION", "local_version"),
        Compat::field("REMOTEVERSION", "client_version"),
    ]);
/// A password was tried.
pub static LOGIN: Kind =
    Kind::new(4002, "ssh.login", Class::Login, Severity::High, "SSH login with a password").compat(&[
        Compat::field("LOCALVERSION", "local_version"),
        Compat::field("REMOTEVERSION", "client_version"),
        Compat::USERNAME,
        Compat::PASSWORD,
    ]);
/// A key was tried.
pub static PUBLIC_KEY: Kind =
    Kind::new(30500, "ssh.publickey", Class::Login, Severity::High, "SSH login with a public key");
/// A client named its algorithms.
pub static KEXINIT: Kind =
    Kind::new(30501, "ssh.kexinit", Class::Probe, Severity::Low, "SSH client fingerprint");
/// A user was named without proof.
pub static NONE: Kind =
    Kind::new(30502, "ssh.none", Class::Probe, Severity::Low, "SSH user name without a secret");
/// No client sends this.
pub static PROBE: Kind = Kind::new(30503, "ssh.probe", Class::Probe, Severity::Low, "SSH probe");
/// A known attack.
pub static EXPLOIT: Kind = Kind::new(30504, "ssh.exploit", Class::Exploit, Severity::High, "SSH attack");
/// The client said why it left.
pub static DISCONNECT: Kind =
    Kind::new(30505, "ssh.disconnect", Class::Connection, Severity::Info, "SSH client's last words");

/// The service.
#[derive(Debug)]
pub struct Ssh {
    server: Arc<Server>,
    sessions: AtomicU64,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    /// The identification string, without its line end.
    version: String,
    release: Release,
    keys: Vec<HostKey>,
    /// Shown before a login.
    banner: Option<Vec<u8>>,
    /// What a login may go on with, as USERAUTH_FAILURE names it.
    methods: String,
    max_auth_tries: u64,
    grace: Duration,
    login_delay: Duration,
}

impl Server {
    fn offers(&self, method: &str) -> bool {
        self.methods.split(',').any(|offered| offered == method)
    }
}

/// Longest identification string (RFC 4253, section 4.2).
const LONGEST: usize = 253;
/// In the order in which OpenSSH names them.
const METHODS: [&str; 3] = ["publickey", "password", "keyboard-interactive"];

impl Protocol for Ssh {
    const NAME: &'static str = "ssh";
    const PORT: u16 = 22;
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(120),
        lifetime: Duration::from_secs(120),
        // The longest packet with its length and the longest tag.
        frame: packet::MAX + 4 + 64,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] =
        &[&CONNECTION, &VERSION, &LOGIN, &PUBLIC_KEY, &KEXINIT, &NONE, &PROBE, &EXPLOIT, &DISCONNECT];
    const TRY: &'static str = "ssh -p {port} root@{host}";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version = version(section);
        let banner = section.text(
            "preauth_banner",
            "",
            "Shown before a login. Literal \\r and \\n become control characters, a line end is added.",
        );
        let folder = section.path(
            "key_path",
            "The folder of the host keys, as OpenSSH names them; the state folder if left out.",
        );
        let methods = methods(section);
        let max_auth_tries =
            section.number("max_auth_tries", 6, 1..=1000, "Failures before the server hangs up.");
        let grace = section.duration(
            "login_grace_time",
            Duration::from_secs(120),
            "Time for a login before the server hangs up. At most an hour.",
        );
        if grace.is_zero() || grace > Duration::from_secs(3600) {
            section.invalid("login_grace_time", "expected a time from \"1s\" to \"1h\"");
        }
        let login_delay = section.duration(
            "login_delay",
            Duration::from_secs(2),
            "Time for a wrong password, about: a quarter more or less, as PAM takes.",
        );
        let release = Release::claimed(&version);
        let keys =
            hostkey::host_keys(host.keep.as_ref(), folder.as_deref(), &release).unwrap_or_else(|problem| {
                section.invalid("key_path", problem);
                Vec::new()
            });
        let banner = (!banner.is_empty())
            .then(|| format!("{}\r\n", banner.replace("\\r", "\r").replace("\\n", "\n")).into_bytes());
        let server = Server { version, release, keys, banner, methods, max_auth_tries, grace, login_delay };
        Self { server: Arc::new(server), sessions: AtomicU64::new(0) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.server), self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    fn limits(&self) -> Limits {
        Limits { idle: self.server.grace, lifetime: self.server.grace, ..Self::LIMITS }
    }
}

fn version(section: &mut Section<'_>) -> String {
    let version = section.text(
        "version",
        "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10",
        "The identification string. Algorithms and answers follow the release of OpenSSH that it names.",
    );
    let version = if version.starts_with("SSH-") { version } else { format!("SSH-2.0-{version}") };
    let printable = version.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let software = version.strip_prefix("SSH-2.0-").or(version.strip_prefix("SSH-1.99-"));
    if version.len() > LONGEST || !printable || software.is_none_or(str::is_empty) {
        section.invalid("version", "expected \"SSH-2.0-\" and a name, printable, at most 253 characters");
    }
    version
}

fn methods(section: &mut Section<'_>) -> String {
    let methods = section.list(
        "methods",
        &["publickey", "password"],
        "How a login may be tried: of publickey, password, keyboard-interactive.",
    );
    if methods.is_empty() || !methods.iter().all(|method| METHODS.contains(&method.as_str())) {
        section.invalid("methods", format!("expected some of {}", METHODS.join(", ")));
    }
    let offered: Vec<&str> = METHODS.into_iter().filter(|name| methods.iter().any(|m| m == name)).collect();
    offered.join(",")
}
