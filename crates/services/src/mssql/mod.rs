//! Microsoft SQL Server: greets, encrypts as its clients wish, takes the login, says no.
//!
//! Reports `mssql.login` (a login of SQL Server's own, with its clear password, or the token of a federated one) and
//! `mssql.windows` (Windows authentication, with a NetNTLM line for hashcat and john) once for each attempt, and
//! `mssql.probe` for clients that leave before: what they asked, and what they gave away. `mssql.broken` is for what
//! a server hangs up on.
//!
//! Encryption is that of a server with the certificate that it made for itself: TLS up to 1.2 inside pre-login packets,
//! afterwards bare (MS-TDS, section 3.3.5.1), for the login packet alone or for everything; version 2022 also takes TLS
//! from the first byte (TDS 8.0). Clients from TDS 4.2 on are understood. Protocol: MS-TDS; see [`packet`], [`login`],
//! [`answer`].

pub mod answer;
pub mod certificate;
pub mod login;
pub mod packet;
pub mod persona;
pub mod session;
pub mod sspi;

use std::{sync::Arc, time::Duration};

use haldane_core::{Absent, Class, Compat, Host, Kind, Limits, Part, Peer, Protocol, Section, Severity};

use persona::{Persona, Version};
use session::Connection;

const fn text(key: &'static str, field: &'static str) -> Compat {
    Compat::field(key, field).or(Absent::Text(""))
}

/// A login of SQL Server's own.
pub static LOGIN: Kind = Kind::new(9001, "mssql.login", Class::Login, Severity::High, "SQL Server login")
    .compat(&[
        text("HostName", "host"),
        Compat { key: "UserName", part: Part::Username, absent: Absent::Text("") },
        Compat { key: "Password", part: Part::Secret, absent: Absent::Text("") },
        text("AppName", "app"),
        text("ServerName", "server"),
        text("Language", "language"),
        text("Database", "database"),
        text("CltIntName", "interface"),
    ]);
/// A login with a Windows account.
pub static WINDOWS: Kind =
    Kind::new(9002, "mssql.windows", Class::Login, Severity::High, "SQL Server login with a Windows account")
        .compat(&[Compat::USERNAME, Compat::PASSWORD]);
/// Somebody asked what this is, and left: field `asked` is `version` or `windows`.
pub static PROBE: Kind =
    Kind::new(32100, "mssql.probe", Class::Probe, Severity::Low, "SQL Server was asked about itself");
/// What a server hangs up on: fields `why` and `excerpt`.
pub static BROKEN: Kind =
    Kind::new(32101, "mssql.broken", Class::Probe, Severity::Low, "SQL Server's protocol was broken");

/// The service.
#[derive(Debug)]
pub struct Mssql {
    persona: Arc<Persona>,
}

impl Protocol for Mssql {
    const NAME: &'static str = "mssql";
    const PORT: u16 = 1433;
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(30),
        lifetime: Duration::from_secs(120),
        bytes_in: 1024 * 1024,
        bytes_out: 256 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &WINDOWS, &PROBE, &BROKEN];
    const TRY: &'static str = "tsql -H {host} -p {port} -U sa -P secret";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version = section.choice(
            "version",
            Version::USUAL,
            &Version::NAMES,
            "The version of SQL Server. Its build follows.",
        );
        let instance = section.text("instance", persona::INSTANCE, "The name of the instance.");
        let insists = section.flag(
            "force_encryption",
            false,
            "Whether clients without encryption are turned away. What they send is recorded all the same.",
        );
        let mut persona = Persona {
            version: Version::named(version),
            name: persona::server(&host.windows, &instance),
            instance,
            windows: host.windows.clone(),
            insists,
            wrapped: None,
            strict: None,
        };
        if let Err(why) = certificate::equip(&mut persona, host) {
            section.invalid("version", format!("expected a certificate for TLS: {why}"));
        }
        Self { persona: Arc::new(persona) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.persona))
    }
}
