//! MySQL and MariaDB: greets, takes the login, says no as the configured version does.
//!
//! Reports `mysql.login` once for each attempt, with the answer to our salt as a line for hashcat (mode 11200), and
//! the password itself where the client gives it away:
//!
//! - a client whose own plugin is `mysql_clear_password` has sent it already;
//! - MySQL 8 and later ask clients of `caching_sha2_password` for full authentication, as a server does whose
//!   cache does not know the user: inside TLS the password comes as it is, outside TLS encrypted with our RSA key;
//! - elsewhere, clients that name themselves as a library known to answer are asked to switch to
//!   `mysql_clear_password`, as a server with PAM accounts does. All others get the answer of a server with
//!   passwords of its own, so that nothing is lost on clients that would refuse, and hang up.
//!
//! `clear_text = false` turns the second and third off. The event is reported when the attempt ends, with all that
//! was revealed, also if the client hangs up or falls silent over the question.
//!
//! Also `mysql.connection` if configured, `mysql.handshake` for packets that are no login, `mysql.command` for what
//! users of `open_accounts` ask for. Protocol: see [`packet`].

pub mod attempt;
pub mod packet;
pub mod persona;
pub mod rsa;
pub mod session;
pub mod text;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity, TlsUse};

use persona::{Persona, Settings, Version};
use session::Connection;

/// Somebody tried to log in.
pub static LOGIN: Kind = Kind::new(8001, "mysql.login", Class::Login, Severity::High, "MySQL login")
    .compat(&[Compat::USERNAME, Compat::field("PASSWORD", "scramble")]);
/// Somebody connected. Reported if the operator wants it.
pub static CONNECTION: Kind =
    Kind::new(9003, "mysql.connection", Class::Connection, Severity::Low, "MySQL connection").compat(&[]);
/// What came instead of a login: field `why`, and `excerpt` in its bytes.
pub static HANDSHAKE: Kind =
    Kind::new(30601, "mysql.handshake", Class::Probe, Severity::Low, "MySQL handshake broken");
/// A command of somebody who was let in: fields `code` and `argument`.
pub static COMMAND: Kind =
    Kind::new(30602, "mysql.command", Class::Command, Severity::Medium, "MySQL command");

/// The banner of Debian 12's MariaDB.
const BANNER: &str = "5.5.5-10.11.19-MariaDB-0+deb12u1";

/// The service.
#[derive(Debug)]
pub struct Mysql {
    persona: Arc<Persona>,
}

impl Protocol for Mysql {
    const NAME: &'static str = "mysql";
    const PORT: u16 = 3306;
    // connect_timeout is 10 seconds in every version.
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(10),
        lifetime: Duration::from_secs(120),
        bytes_in: 1024 * 1024,
        bytes_out: 1024 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &CONNECTION, &HANDSHAKE, &COMMAND];
    const TLS: TlsUse = TlsUse::OnRequest;
    const TRY: &'static str = "mysql -h {host} -P {port} -u root -psecret";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let banner = section.text(
            "banner",
            BANNER,
            "The server's version, as in \"8.0.36\" or \"10.11.19-MariaDB-0+deb12u1\". All else follows it.",
        );
        let version = Version::read(&banner).unwrap_or_else(|| {
            section.invalid("banner", "expected a version such as \"8.0.36\" or \"10.11.19-MariaDB\"");
            Version { mariadb: false, number: (5, 5, 0) }
        });
        let log_connections =
            section.flag("log_connection_made", false, "Whether a connection alone is an event.");
        let clear_text = section.flag(
            "clear_text",
            true,
            "Whether clients that will are made to send the password itself. If not, only their answer to the salt is known.",
        );
        let ssl = section.choice(
            "offer_tls",
            "auto",
            &["auto", "yes", "no"],
            "Whether the greeting offers TLS. \"auto\": where that version does so by itself.",
        );
        let open = section.list(
            "open_accounts",
            &[],
            "Users that are let in if they send no password. They may do nothing; what they ask for is recorded.",
        );
        let mut settings = Settings { clear_text, log_connections, open, ..Settings::default() };
        settings.ssl = match ssl {
            "yes" => true,
            "no" => false,
            _ => version.has_own_certificate(),
        };
        if clear_text && !version.mariadb && version.number >= (8, 0, 4) {
            let read =
                host.keep.keep(None, "mysql-rsa.pem", &mut rsa::make).and_then(|pem| rsa::Key::read(&pem));
            match read {
                Ok(key) => settings.key = Some(key),
                Err(why) => section.invalid("clear_text", format!("expected a key to encrypt with: {why}")),
            }
        }
        Self { persona: Arc::new(Persona::new(&banner, version, settings)) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.persona))
    }
}
