//! LDAP as a domain controller of Active Directory speaks it, of the configured Windows and domain (Server 2019, and
//! `workgroup.local` where the host is in no domain). Everybody may read what the server says about itself; nobody is let
//! in further.
//!
//! Reports:
//!
//! - `ldap.login`: a password in clear, the answer to a challenge of NTLM (SPNEGO, SASL, or Microsoft's own way of before)
//!   with its line for hashcat and john, a ticket of Kerberos by its names, or the answer to DIGEST-MD5; once for each
//!   attempt;
//! - `ldap.bind`: nobody in particular: anonymous clients, and ways to log in that are not known here;
//! - `ldap.challenge`: our NTLM challenge taken, with all our names, and not answered;
//! - `ldap.search`: base, scope, filter and attributes; over UDP, too, where Windows looks for its domain;
//! - `ldap.jndi`: the search of a Java program that was led here by a look-up of Log4j, with the path;
//! - `ldap.lookup`: such a look-up written in any text that was sent;
//! - `ldap.request`: all other requests, with what they were to change;
//! - `ldap.broken`: what a controller hangs up on.
//!
//! TLS begins with a request (StartTLS), or with the first byte, except on port 389. On port 636 nothing is answered
//! outside it.
//!
//! Protocol: RFC 4511 for [`message`] and [`filter`], MS-ADTS for [`rootdse`], [`netlogon`] and the errors in [`persona`],
//! RFC 2831 for [`digest`].

pub mod answer;
pub mod digest;
pub mod evidence;
pub mod filter;
pub mod message;
pub mod netlogon;
pub mod persona;
pub mod rootdse;
pub mod session;

use std::{sync::Arc, time::Duration};

use haldane_core::{
    Class, Cx, Datagrams, Halt, Host, Input, Kind, Limits, Peer, Protocol, Section, Severity, TlsStack,
    TlsUse,
};

use message::{Bind, Message, Operation, Proof};
use persona::Persona;
use session::Connection;

/// Credentials: fields `name` where that says more, `method`, `workstation`, `client_version`, `spn`.
pub static LOGIN: Kind = Kind::new(32200, "ldap.login", Class::Login, Severity::High, "LDAP login");
/// A search: fields `base`, `scope`, `filter`, `attributes`, `controls`, `client`.
pub static SEARCH: Kind = Kind::new(32201, "ldap.search", Class::Access, Severity::Low, "LDAP search");
/// Any other request: fields `operation`, `entry`, and what was to be done.
pub static REQUEST: Kind = Kind::new(32202, "ldap.request", Class::Command, Severity::Low, "LDAP request");
/// A program that a look-up of Log4j led here: fields of a search, and `exploit`, `path`.
pub static JNDI: Kind = Kind::new(
    32203,
    "ldap.jndi",
    Class::Exploit,
    Severity::High,
    "LDAP look-up by a program that Log4j led here",
);
/// A look-up of Log4j in what was sent: fields `exploit`, `excerpt`.
pub static LOOKUP: Kind =
    Kind::new(32204, "ldap.lookup", Class::Exploit, Severity::High, "Look-up for Log4j sent to LDAP");
/// A login without credentials: fields `mechanism` or `method`, `version`, `excerpt`.
pub static BIND: Kind =
    Kind::new(32205, "ldap.bind", Class::Probe, Severity::Low, "LDAP bind without credentials");
/// Our names were asked for: fields `workstation`, `domain`, `client_version`.
pub static CHALLENGE: Kind =
    Kind::new(32206, "ldap.challenge", Class::Probe, Severity::Low, "LDAP host names asked for");
/// What is not understood: fields `why`, `excerpt`.
pub static BROKEN: Kind = Kind::new(32207, "ldap.broken", Class::Probe, Severity::Low, "LDAP message broken");

/// The most that a datagram's answer may be, in times of its request.
const GROWTH: usize = 2;

/// The service.
#[derive(Debug)]
pub struct Ldap {
    persona: Arc<Persona>,
}

impl Protocol for Ldap {
    const NAME: &'static str = "ldap";
    const PORT: u16 = 389;
    /// A controller gives a client two minutes for its first message (InitRecvTimeout).
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(120),
        bytes_in: 1024 * 1024,
        bytes_out: 4 * 1024 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] =
        &[&LOGIN, &SEARCH, &REQUEST, &JNDI, &LOOKUP, &BIND, &CHALLENGE, &BROKEN];
    const TLS: TlsUse = TlsUse::Either;
    const STACK: TlsStack = TlsStack::Controller;
    const TRY: &'static str = "ldapsearch -x -H ldap://{host}:{port} -s base -b ''";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let persona = Persona::new(host).unwrap_or_else(|why| {
            section.invalid("enabled", why);
            Persona::bare(&host.windows)
        });
        Self { persona: Arc::new(persona) }
    }

    fn session(&self, peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.persona), peer)
    }
}

impl Datagrams for Ldap {
    const NAME: &'static str = <Self as Protocol>::NAME;
    const PORT: u16 = <Self as Protocol>::PORT;
    const KINDS: &'static [&'static Kind] = <Self as Protocol>::KINDS;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        <Self as Protocol>::configure(section, host)
    }

    /// Only searches are answered (MS-ADTS, section 3.1.1.3.1.3.10), and only those whose answer is small enough: how
    /// Windows finds its domain.
    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let size = datagram.rest().len();
        let message = Message::read(datagram)?;
        if evidence::has_lookup(&message.raw) {
            cx.report(evidence::lookup(&message.raw));
        }
        match &message.body {
            Ok(Operation::Search(search)) => {
                cx.report(evidence::search(search, &message, &self.persona));
                let reply = session::found(&self.persona, search, &message, cx);
                if reply.len() <= size.saturating_mul(GROWTH) {
                    cx.reply(reply);
                }
            }
            Ok(Operation::Bind(Bind { name, proof: Proof::Simple(password), .. })) => {
                cx.report(evidence::simple(name, password));
            }
            Ok(operation) => cx.report(evidence::request(operation, &message)),
            Err(why) => cx.report(evidence::broken(why, &message.raw)),
        }
        Ok(())
    }
}
