//! Which server is imitated: what follows from the version in the banner.
//!
//! Capability bits are those that each release sends in its greeting, as seen on the wire of the releases named
//! at `capabilities` below.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{
    packet::{self, Capabilities},
    rsa::Key,
};

/// The plugin of an account, and so what a client is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// SHA-1 of password and salt, since MySQL 4.1.
    Native,
    /// SHA-256 of password and salt, the default since MySQL 8.0.
    CachingSha2,
}

impl Account {
    /// The plugin's name on the wire.
    pub fn plugin(self) -> &'static str {
        match self {
            Self::Native => packet::NATIVE,
            Self::CachingSha2 => packet::CACHING_SHA2,
        }
    }
}

/// A server of a certain version, as configured; shared by its conversations.
#[derive(Debug)]
pub struct Persona {
    /// As sent in the greeting.
    pub version: String,
    /// MariaDB, not MySQL: it words some errors in its own way and knows the PROXY protocol.
    pub mariadb: bool,
    /// What the greeting offers.
    pub capabilities: u32,
    /// MariaDB's own capabilities, where MySQL has zeros.
    pub extended: u32,
    /// The default collation.
    pub charset: u8,
    /// The plugin of every account.
    pub account: Account,
    /// The salt is printable (33 to 126), as in MySQL 5.5 and MariaDB; else any 7-bit byte but NUL and `$`.
    pub printable: bool,
    /// Characters of a user name that are shown.
    pub shown: usize,
    /// TLS is offered.
    pub ssl: bool,
    /// Clients are asked for the password itself where they will give it.
    pub clear_text: bool,
    /// A connection is an event.
    pub log_connections: bool,
    /// Users that are let in without a password.
    pub open: Vec<String>,
    /// For full authentication without TLS.
    pub key: Option<Key>,
    /// The last thread id that was given out.
    threads: AtomicU32,
}

/// What a version says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// MariaDB, not MySQL.
    pub mariadb: bool,
    /// As in `(8, 0, 36)`.
    pub number: (u32, u32, u32),
}

impl Version {
    /// Reads a banner such as `5.5.43-0ubuntu0.14.04.1`, `8.0.36`, `5.5.5-10.11.19-MariaDB-0+deb12u1`. `None` if it
    /// is none: digits and dots first, then letters, digits and `-_~.+:` to at most 100 characters.
    pub fn read(banner: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_~.+:".contains(c);
        if banner.len() > 100 || !banner.chars().all(allowed) {
            return None;
        }
        let mariadb = banner.to_ascii_lowercase().contains("mariadb");
        let own = if mariadb { banner.strip_prefix("5.5.5-").unwrap_or(banner) } else { banner };
        let mut parts = own.splitn(3, '.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next().map_or("", digits);
        let patch = parts.next().map_or("", digits);
        // The peer takes a major version and whatever follows its dot.
        own.contains('.').then_some(())?;
        Some(Self { mariadb, number: (major, minor.parse().unwrap_or(0), patch.parse().unwrap_or(0)) })
    }

    /// Whether it offers TLS with nothing configured: MySQL makes itself a certificate since 5.7.5, MariaDB
    /// since 11.4.
    pub fn has_own_certificate(self) -> bool {
        if self.mariadb { self.number >= (11, 4, 0) } else { self.number >= (5, 7, 5) }
    }
}

fn digits(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default()
}

/// Switches that the operator has.
#[derive(Debug, Default)]
pub struct Settings {
    /// See [`Persona::ssl`].
    pub ssl: bool,
    /// See [`Persona::clear_text`].
    pub clear_text: bool,
    /// See [`Persona::log_connections`].
    pub log_connections: bool,
    /// See [`Persona::open`].
    pub open: Vec<String>,
    /// See [`Persona::key`].
    pub key: Option<Key>,
}

/// A server that has served a few before the first visitor.
const FIRST_THREAD: u32 = 30;

impl Persona {
    /// The server with that banner.
    pub fn new(banner: &str, version: Version, settings: Settings) -> Self {
        let Version { mariadb, number } = version;
        // Replication of old clients stumbled over a major version of two digits: MariaDB 10 hides behind 5.5.5.
        let hides = mariadb && number.0 == 10 && !banner.starts_with("5.5.5-");
        let new_mysql = !mariadb && number >= (8, 0, 4);
        let (capabilities, extended) = capabilities(version, settings.ssl);
        Self {
            version: if hides { format!("5.5.5-{banner}") } else { banner.to_owned() },
            mariadb,
            capabilities,
            extended,
            charset: match (mariadb, number) {
                // utf8mb4_0900_ai_ci, utf8mb4_general_ci, latin1_swedish_ci.
                (false, (8.., ..)) => 255,
                (true, (11, 6.., _) | (12.., ..)) => 45,
                _ => 8,
            },
            account: if new_mysql { Account::CachingSha2 } else { Account::Native },
            printable: mariadb || number < (5, 6, 0),
            shown: match (mariadb, number) {
                (true, (10.., ..)) => 128,
                (true, _) => 80,
                (false, (..=4, ..) | (5, ..=6, _)) => 16,
                (false, _) => 32,
            },
            ssl: settings.ssl,
            clear_text: settings.clear_text,
            log_connections: settings.log_connections,
            open: settings.open,
            key: settings.key,
            threads: AtomicU32::new(FIRST_THREAD),
        }
    }

    /// The number of one more conversation.
    pub fn next_thread(&self) -> u32 {
        self.threads.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// What a user calls this server, as in "consider upgrading MariaDB client".
    pub fn product(&self) -> &'static str {
        if self.mariadb { "MariaDB" } else { "MySQL" }
    }

    /// Turns random bytes into a salt of this server's alphabet.
    pub fn salt(&self, mut random: [u8; 20]) -> [u8; 20] {
        for byte in &mut random {
            *byte = match self.printable {
                true => (*byte % 94).saturating_add(33),
                false => match *byte & 0x7f {
                    // As MySQL does: the two bytes that mean something else are the next ones.
                    0 => 1,
                    b'$' => b'%',
                    other => other,
                },
            };
        }
        random
    }
}

/// The capability bits of that version's greeting, and MariaDB's extended ones.
///
/// Seen from: MySQL 5.5.46, 5.7.32, 8.0.18, 8.0.42; MariaDB 10.3.9, 10.4.7, 10.11.19. Between them, a bit appears
/// with the release whose notes name it.
fn capabilities(version: Version, ssl: bool) -> (u32, u32) {
    let Version { mariadb, number } = version;
    let (upper, extended) = match (mariadb, number) {
        (true, (..=9, ..)) => (0xa00f, 0),
        (true, (10, ..=1, _)) => (0xa03f, 0),
        (true, (10, ..=3, _)) => (0x81bf, 0x07),
        (true, (10, 4, _)) => (0x81ff, 0x07),
        (true, (10, 5, _)) => (0x81ff, 0x0f),
        (true, (10, ..) | (11, ..=4, _)) => (0x81ff, 0x1d),
        (true, _) => (0x81ff, 0x3d),
        (false, (..=4, ..) | (5, ..=5, _)) => (0x800f, 0),
        (false, (5, 6, _)) => (0x807f, 0),
        (false, (5..=7, ..)) => (0x81ff, 0),
        (false, (8, 0, ..=17)) => (0x83ff, 0),
        (false, (8, 0, ..=22)) => (0x87ff, 0),
        (false, (8, 0, ..=26)) => (0x8fff, 0),
        (false, _) => (0x9fff, 0),
    };
    // MariaDB 10.2 and later use the first bit for "this is MySQL".
    let lower: u32 = if mariadb && number >= (10, 2, 0) { 0xf7fe } else { 0xf7ff };
    let offered = match ssl {
        false => 0,
        true if mariadb && number >= (10, 6, 0) => Capabilities::SSL,
        true if mariadb || number >= (5, 7, 0) => Capabilities::SSL | Capabilities::SSL_VERIFY,
        true => Capabilities::SSL,
    };
    ((upper << 16) | lower | offered, extended)
}
