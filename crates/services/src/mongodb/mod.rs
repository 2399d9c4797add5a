//! MongoDB with access control on: mongod as the configured version answers whoever has not logged in.
//!
//! Drivers of today and of old get what they need to reach the login: `hello` and `isMaster` in OP_MSG and in OP_QUERY
//! (answered in OP_REPLY), compression with zlib, speculative authentication. SCRAM-SHA-1 and SCRAM-SHA-256 go on until
//! the client has proved that it knows a password; then it is refused as a wrong one is. PLAIN gives the password
//! itself away, X.509 its subject.
//!
//! Reports connections and disconnections, the first `hello` of each connection with what the driver says of itself,
//! logins with the whole exchange, commands, and by name those with which data is taken hostage: dropping, and
//! inserting into collections with names of ransom notes. What is not MongoDB is an error.
//!
//! No cracker reads a SCRAM exchange as it travels (hashcat's modes 24100 and 24200 want what the server keeps): the line
//! `$mongodb-scram-proof$hash$user$exchange$proof` has all that is needed to try passwords (RFC 5802, section 3), each
//! part in base64; `hash` is 0 for SHA-1, where the password is first `md5(user:mongo:password)` in hex, 1 for SHA-256.
//!
//! MongoDB manual: "MongoDB Wire Protocol", "Database Commands"; driver specifications: `auth`, `handshake`,
//! `OP_COMPRESSED`.

mod bson;
mod persona;
mod scram;
mod session;
pub mod wire;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity};

use self::persona::Persona;
pub use self::session::Connection;

/// The number that the peer gives to everything here.
const THEIRS: u32 = 20_001;
const ACTION: Compat = Compat::field("action", "action");
const COMMANDED: &[Compat] = &[ACTION, Compat::field("command", "command"), Compat::field("query", "query")];

/// Somebody connected.
pub static CONNECTION: Kind =
    Kind::new(31100, "mongodb.connection", Class::Connection, Severity::Low, "MongoDB connection")
        .logtype(THEIRS)
        .compat(&[ACTION]);
/// Somebody tried to log in.
pub static LOGIN: Kind = Kind::new(31101, "mongodb.login", Class::Login, Severity::High, "MongoDB login")
    .logtype(THEIRS)
    .compat(&[
        ACTION,
        Compat { key: "username", ..Compat::USERNAME },
        Compat::field("mechanism", "mechanism"),
        Compat::field("auth_data", "auth_data"),
    ]);
/// A command was sent.
pub static COMMAND: Kind =
    Kind::new(31102, "mongodb.command", Class::Command, Severity::Low, "MongoDB command")
        .logtype(THEIRS)
        .compat(COMMANDED);
/// A command with which data is taken hostage.
pub static RANSOM: Kind =
    Kind::new(31103, "mongodb.ransom", Class::Exploit, Severity::High, "MongoDB data held to ransom")
        .logtype(THEIRS)
        .compat(COMMANDED);
/// What came was not MongoDB.
pub static ERROR: Kind =
    Kind::new(31104, "mongodb.error", Class::Probe, Severity::Low, "MongoDB protocol error")
        .logtype(THEIRS)
        .compat(&[ACTION, Compat::field("error", "error")]);
/// Somebody hung up.
pub static DISCONNECT: Kind =
    Kind::new(31105, "mongodb.disconnect", Class::Connection, Severity::Low, "MongoDB disconnection")
        .logtype(THEIRS)
        .compat(&[ACTION]);

/// A release of today, as MongoDB packages it for Debian 12.
const VERSION: &str = "7.0.16";

/// The service.
#[derive(Debug)]
pub struct Mongodb {
    persona: Arc<Persona>,
    host: Arc<str>,
}

impl Protocol for Mongodb {
    const NAME: &'static str = "mongodb";
    const PORT: u16 = 27017;
    const LIMITS: Limits = Limits {
        // Drivers watch a server over one connection for as long as they run.
        idle: Duration::from_secs(120),
        lifetime: Duration::from_secs(3600),
        frame: 1024 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&CONNECTION, &LOGIN, &COMMAND, &RANSOM, &ERROR, &DISCONNECT];
    const TRY: &'static str = "mongosh mongodb://root:secret@{host}:{port}";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version =
            section.text("version", VERSION, "The version that it says it is. All else follows it.");
        let number = release(&version).unwrap_or_else(|| {
            section.invalid("version", "expected a version such as \"7.0.16\"");
            (7, 0)
        });
        let reveal = section.flag(
            "server_status",
            false,
            "Whether serverStatus is answered without a login. No real server with access control does that, but nmap \
             finds a version only there.",
        );
        let mut make = || {
            let mut secret = vec![0; 32];
            openssl::rand::rand_bytes(&mut secret).map(|()| secret).map_err(|error| error.to_string())
        };
        let secret = host.keep.keep(None, "mongodb_secret", &mut make).unwrap_or_else(|why| {
            section.invalid("version", why);
            Vec::new()
        });
        let persona = Persona::new(version, number, reveal, secret);
        Self { persona: Arc::new(persona), host: host.name.as_str().into() }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.persona), Arc::clone(&self.host))
    }
}

/// Major and minor of a version.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u32>().ok().filter(|_| parts.next().is_none())?;
    Some((major, minor))
}

#[cfg(test)]
mod tests;
