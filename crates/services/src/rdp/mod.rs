//! Remote Desktop as the configured Windows speaks it (Server 2019 unless told otherwise), up to the point where a user would be logged on.
//!
//! Reports, once for each thing that a client reveals:
//!
//! - `rdp.connect`: its first packet, with the user name of the `mstshash` cookie, the routing token and the security
//!   that it offers;
//! - `rdp.login`: what it logs in with. Under network level authentication (the default) that is the answer to our
//!   NTLM challenge, as a line for hashcat (mode 5600 or 5500), and it is refused as by a Windows that knows no such
//!   user. Under TLS alone, or RDP's own security, it is the password itself; the client is shown the part of the logon
//!   screen that says that it was wrong, if it can be shown any, and the connection ends;
//! - `rdp.client`: computer's name, build, keyboard layout, size of the desktop and virtual channels;
//! - `rdp.session`: a desktop asked for without any credentials;
//! - `rdp.challenge`: our NTLM challenge taken and not answered, as scanners do that want our names;
//! - `rdp.handshake`: what came instead of what is due;
//! - `rdp.exploit`: a virtual channel named MS_T120, which nobody has but exploits of BlueKeep (CVE-2019-0708).
//!
//! Protocol: MS-RDPBCGR for all but network level authentication, which is MS-CSSP.

pub mod credssp;
pub mod desktop;
pub mod info;
pub mod mcs;
pub mod persona;
pub mod rdstls;
pub mod security;
pub mod session;
pub mod text;
pub mod x224;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity, TlsStack, TlsUse};

use persona::Persona;
pub use session::{Connection, Message};

/// The first packet: fields `username` (of the cookie), `token`, `protocols`, `flags`, `correlation`.
pub static CONNECT: Kind = Kind::new(14001, "rdp.connect", Class::Probe, Severity::Low, "RDP connection")
    .compat(&[Compat::field("USERNAME", "username")]);
/// Credentials: fields `security`, `workstation`, and what the client says of itself.
pub static LOGIN: Kind = Kind::new(32000, "rdp.login", Class::Login, Severity::High, "RDP login");
/// What the client is: fields `name`, `build`, `keyboard`, `width`, `height`, `channels`, `version`, `product`.
pub static CLIENT: Kind = Kind::new(32001, "rdp.client", Class::Probe, Severity::Low, "RDP client");
/// A known attack: fields `name`, `channels`.
pub static EXPLOIT: Kind = Kind::new(32002, "rdp.exploit", Class::Exploit, Severity::High, "RDP exploit");
/// A desktop asked for without credentials: fields as of a login.
pub static SESSION: Kind =
    Kind::new(32003, "rdp.session", Class::Access, Severity::Medium, "RDP logon screen asked for");
/// Our NTLM challenge was taken, with all our names, and not answered: fields `workstation`, `domain`, `client_version`.
pub static CHALLENGE: Kind =
    Kind::new(32004, "rdp.challenge", Class::Probe, Severity::Low, "RDP host names asked for");
/// What came instead of what is due: field `why`, and `excerpt` in its bytes.
pub static HANDSHAKE: Kind =
    Kind::new(32005, "rdp.handshake", Class::Probe, Severity::Low, "RDP handshake broken");

/// The service.
#[derive(Debug)]
pub struct Rdp {
    persona: Arc<Persona>,
}

impl Protocol for Rdp {
    const NAME: &'static str = "rdp";
    const PORT: u16 = 3389;
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(60),
        lifetime: Duration::from_secs(180),
        bytes_in: 1024 * 1024,
        bytes_out: 1024 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] =
        &[&CONNECT, &LOGIN, &CLIENT, &EXPLOIT, &SESSION, &CHALLENGE, &HANDSHAKE];
    // Scanners that begin with TLS see the certificate; so do clients of the direct approach (MS-RDPBCGR, section 5.4.2.2).
    const TLS: TlsUse = TlsUse::Either;
    const STACK: TlsStack = TlsStack::Schannel;
    const TRY: &'static str = "xfreerdp /v:{host}:{port} /u:administrator /p:secret /cert:ignore";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let security = section.list(
            "security",
            &["nla"],
            "What a client may choose from: \"nla\" (network level authentication: the answer to a challenge is \
             recorded), \"tls\" and \"rdp\" (older; the password itself is recorded).",
        );
        let has = |word: &str| security.iter().any(|given| given.eq_ignore_ascii_case(word));
        let (nla, tls, rdp) = (has("nla"), has("tls"), has("rdp"));
        let known =
            |given: &String| ["nla", "tls", "rdp"].iter().any(|word| word.eq_ignore_ascii_case(given));
        if security.is_empty() || !security.iter().all(known) {
            section.invalid("security", "expected a list of \"nla\", \"tls\" and \"rdp\"");
        }
        let key = rdp.then(|| security::Key::new(host)).transpose().unwrap_or_else(|why| {
            section.invalid("security", format!("expected a key for \"rdp\": {why}"));
            None
        });
        Self { persona: Arc::new(Persona { host: host.windows.clone(), nla, tls, rdp: key }) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.persona))
    }
}
