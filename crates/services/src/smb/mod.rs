//! SMB: a file server of Windows' (`mode = "native"`), or the log of a real Samba beside the canary
//! (`mode = "audit"`, see [`audit`]).
//!
//! The native server speaks SMB 1 ([`v1`], MS-CIFS and MS-SMB) and SMB 2.0.2 to 3.1.1 ([`v2`], MS-SMB2) over TCP
//! ([`frame`]: RFC 1002, MS-SMB2 section 2.1). It has the shares of a Windows server: a folder of bait ([`bait`]), which can be read
//! and not written, the administrators' shares, which are closed, and IPC$ with the named pipes of [`rpc`].
//!
//! Reports `smb.negotiate` (what a client can speak), `smb.login` (each login once, with a NetNTLM line for hashcat and
//! john), `smb.audit` (what was done with a share, in the fields of Samba's audit), `smb.rpc` (what was asked over a
//! pipe), `smb.exploit` (a known attack, by name), `smb.challenge` (our names were taken, and no login followed) and
//! `smb.broken` (what a server hangs up on).

pub mod audit;
pub mod bait;
pub mod bytes;
pub mod disk;
pub mod evidence;
pub mod frame;
pub mod open;
pub mod rpc;
pub mod server;
pub mod session;
pub mod status;
pub mod v1;
pub mod v2;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity};

use server::Server;
use session::Connection;

/// An operation on a share. Field `action` is the operation as Samba's `full_audit` calls it, `status` is `ok` or
/// `fail (reason)`.
pub static AUDIT: Kind = Kind::new(5000, "smb.audit", Class::Access, Severity::Medium, "Windows share used")
    .compat(&[
        Compat::field("USER", "user"),
        Compat::field("REMOTENAME", "remote_name"),
        Compat::field("SHARENAME", "share"),
        Compat::field("LOCALNAME", "local_name"),
        Compat::field("SMBVER", "version"),
        Compat::field("SMBARCH", "arch"),
        Compat::field("DOMAIN", "domain"),
        Compat::field("AUDITACTION", "action"),
        Compat::field("STATUS", "status"),
        Compat::field("FILENAME", "file"),
    ]);
/// A login: field `status` is Samba's word for how it ended. Low for one of nobody, without a name.
pub static LOGIN: Kind = Kind::new(31900, "smb.login", Class::Login, Severity::High, "SMB login");
/// A client said what it can speak: field `dialects`, and what was chosen in `dialect`. Or before that, over NetBIOS,
/// whom it calls, and what it is called: `called` and `calling`.
pub static NEGOTIATE: Kind =
    Kind::new(31950, "smb.negotiate", Class::Probe, Severity::Low, "SMB was asked what it speaks");
/// A known attack: field `exploit` is its name.
pub static EXPLOIT: Kind =
    Kind::new(31951, "smb.exploit", Class::Exploit, Severity::High, "SMB attack recognised");
/// A call over a named pipe: fields `pipe` and `call`.
pub static RPC: Kind =
    Kind::new(31952, "smb.rpc", Class::Command, Severity::Medium, "Windows asked over a named pipe");
/// What a server hangs up on: fields `why` and `excerpt`.
pub static BROKEN: Kind =
    Kind::new(31953, "smb.broken", Class::Probe, Severity::Low, "SMB's protocol was broken");
/// Our NTLM challenge was taken, with all our names, and not answered: fields `version` of SMB, `workstation`, `domain`,
/// `client_version`.
pub static CHALLENGE: Kind =
    Kind::new(31954, "smb.challenge", Class::Probe, Severity::Low, "SMB host names asked for");

/// The server.
#[derive(Debug)]
pub struct Native {
    server: Arc<Server>,
}

impl Protocol for Native {
    const NAME: &'static str = "smb";
    const PORT: u16 = 445;
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(300),
        lifetime: Duration::from_secs(3600),
        frame: frame::LARGEST,
        bytes_out: 64 * 1024 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] =
        &[&AUDIT, &LOGIN, &NEGOTIATE, &EXPLOIT, &RPC, &BROKEN, &CHALLENGE];
    const TRY: &'static str = "smbclient -p {port} -N -L {host}";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        Self { server: Arc::new(Server::configure(section, host)) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.server))
    }
}
