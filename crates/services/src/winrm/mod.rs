//! Windows Remote Management: a WS-Management service that asks for credentials, takes them, and says no.
//!
//! Each request is one event: `winrm.login` if it brought credentials (Basic in clear, the answer to a challenge of NTLM,
//! the names of a Kerberos ticket), `winrm.probe` for who asks what the service is or for another path,
//! `winrm.malformed` for what is no request, and `winrm.request` for the rest, such as the first message of NTLM with the
//! client's names.
//!
//! On port 5986 it is spoken inside TLS: a second table with `tls = true`.
//!
//! Protocol: MS-WSMV, section 2.1; RFC 4559; DSP0226. The pages are those of HTTP.sys, which answers where no service
//! is asked.

mod answer;
mod session;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Host, Kind, Limits, Peer, Protocol, Section, Severity, TlsStack, Windows};

pub use session::{Connection, Message};

/// Credentials.
pub static LOGIN: Kind =
    Kind::new(32300, "winrm.login", Class::Login, Severity::High, "Windows remote management login");
/// A request without any.
pub static REQUEST: Kind =
    Kind::new(32301, "winrm.request", Class::Access, Severity::Low, "Request to Windows remote management");
/// Someone looks what is there.
pub static PROBE: Kind =
    Kind::new(32302, "winrm.probe", Class::Probe, Severity::Low, "Windows remote management probed");
/// A request that breaks the grammar, or breaks off.
pub static MALFORMED: Kind = Kind::new(
    32303,
    "winrm.malformed",
    Class::Probe,
    Severity::Low,
    "Malformed request to Windows remote management",
);

/// How credentials can be asked for, in the order of Windows: word of the configuration, field.
const SCHEMES: [(&str, &str); 3] =
    [("negotiate", "Negotiate"), ("kerberos", "Kerberos"), ("basic", "Basic realm=\"WSMAN\"")];

/// The service as configured; shared by its connections.
#[derive(Debug)]
struct Server {
    /// The challenges of a 401.
    challenges: Vec<String>,
    windows: Windows,
}

/// The service.
#[derive(Debug)]
pub struct Winrm(Arc<Server>);

impl Protocol for Winrm {
    const NAME: &'static str = "winrm";
    const PORT: u16 = 5985;
    /// HTTP.sys gives a connection two minutes.
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(120),
        frame: 16 * 1024,
        linger: Duration::from_secs(2),
        ..Limits::DEFAULT
    };
    // HTTP.sys has nothing else, and the certificate that quickconfig makes bears the name of the machine.
    const STACK: TlsStack = TlsStack::Schannel;
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &REQUEST, &PROBE, &MALFORMED];
    const TRY: &'static str = "curl --ntlm --negotiate -u 'admin:secret' -H 'Content-Type: application/soap+xml' -d '' \
         http://{host}:{port}/wsman";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let about = "How clients may log in: \"negotiate\" (NTLM and Kerberos), \"kerberos\" and \"basic\".";
        let words = section.list("auth", &["negotiate", "basic"], about);
        let known = |word: &String| SCHEMES.iter().any(|(name, _)| name == word);
        if words.is_empty() || !words.iter().all(known) {
            section.invalid("auth", "expected a list of \"negotiate\", \"kerberos\" and \"basic\"");
        }
        let offered = |(name, _): &&(&str, &str)| words.iter().any(|word| word == name);
        let challenges = SCHEMES.iter().filter(offered).map(|(_, field)| (*field).to_owned()).collect();
        Self(Arc::new(Server { challenges, windows: host.windows.clone() }))
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.0))
    }
}
