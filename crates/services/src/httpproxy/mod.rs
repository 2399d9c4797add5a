//! A web proxy that asks for credentials, takes them, and says no; or, without `auth`, one that lets everybody in and
//! reaches nothing.
//!
//! It answers as squid of the configured version, or as ISA Server in shape. Each request is one event:
//! `httpproxy.login` if it brought credentials for the proxy (Basic, Digest, NTLM, others as they came), else
//! `httpproxy.connect` for a tunnel and `httpproxy.request` for anything else that was to be fetched, both with the
//! target's host, port and, where that is plain, purpose; `httpproxy.probe` for what names no target, and
//! `httpproxy.malformed` for what is no request. Credentials for the server behind the proxy are on the event, too.
//!
//! Without `auth`, names do not exist, loopback addresses refuse and all others have no route, which is what squid
//! says on a machine without a way out. The cache manager and PURGE are denied.
//!
//! Protocol: RFC 9110 to 9112, RFC 7617 (Basic), RFC 7616 (Digest), RFC 4559 (NTLM). What squid tolerates, and its
//! order of checks, was found by asking 5.7. Read `request` and `uri` for the grammar, `squid` and `isa` for the words, `page` for squid's pages.

mod evidence;
mod isa;
mod page;
mod request;
mod session;
mod squid;
#[cfg(test)]
mod tests;
mod uri;

use std::{sync::Arc, time::Duration};

use haldane_core::{Class, Compat, Cx, Host, Kind, Limits, Peer, Protocol, Section, Severity, Windows};

use crate::http::request::Head;
pub use session::{Connection, Message};
use squid::{Fault, NO_ROUTE, REFUSED, Release};
use uri::Uri;

/// Credentials for the proxy.
pub static LOGIN: Kind = Kind::new(7001, "httpproxy.login", Class::Login, Severity::High, "Web proxy login")
    .compat(&[Compat::USERNAME, Compat::PASSWORD]);
/// Something was to be fetched.
pub static REQUEST: Kind =
    Kind::new(31000, "httpproxy.request", Class::Access, Severity::Low, "Request through the web proxy");
/// A tunnel was to be opened.
pub static CONNECT: Kind =
    Kind::new(31001, "httpproxy.connect", Class::Access, Severity::Low, "Tunnel through the web proxy");
/// A request that names no target.
pub static PROBE: Kind = Kind::new(31002, "httpproxy.probe", Class::Probe, Severity::Low, "Web proxy probed");
/// A request that breaks the grammar, or breaks off.
pub static MALFORMED: Kind = Kind::new(
    31003,
    "httpproxy.malformed",
    Class::Probe,
    Severity::Low,
    "Malformed request to the web proxy",
);

/// A proxy as configured; shared by its connections.
#[derive(Debug)]
struct Server {
    skin: Skin,
    /// What it calls itself.
    name: String,
    realm: String,
    schemes: Vec<Scheme>,
    windows: Windows,
}

/// Whose words it speaks.
#[derive(Debug)]
enum Skin {
    Squid(Release),
    Isa,
}

/// How a client may show who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Negotiate,
    Ntlm,
    Digest,
    Basic,
}

impl Scheme {
    const ALL: [(&'static str, Self); 4] = [
        ("negotiate", Self::Negotiate),
        ("ntlm", Self::Ntlm),
        ("digest", Self::Digest),
        ("basic", Self::Basic),
    ];
}

/// The service.
#[derive(Debug)]
pub struct HttpProxy(Arc<Server>);

impl Protocol for HttpProxy {
    const NAME: &'static str = "httpproxy";
    const PORT: u16 = 8080;
    /// squid gives a request 5 min (request_start_timeout, request_timeout). What it still receives after it hung up
    /// it reads for a moment.
    const LIMITS: Limits = Limits {
        idle: Duration::from_secs(300),
        lifetime: Duration::from_secs(3600),
        frame: 16 * 1024,
        linger: Duration::from_secs(2),
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &REQUEST, &CONNECT, &PROBE, &MALFORMED];
    const TRY: &'static str = "curl -x http://{host}:{port} -U admin:secret http://example.com/";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let skin = section.choice("skin", "squid", &["squid", "ms-isa"], "Whose answers are given.");
        let version = section.text("version", "5.7", "The version of squid that is claimed, from 3.1 on.");
        let release = Release::read(&version);
        if release.is_none() {
            section.invalid("version", "expected a version of squid from 3.1 on, such as \"5.7\"");
        }
        let skin = match release {
            Some(release) if skin == "squid" => Skin::Squid(release),
            _ => Skin::Isa,
        };
        let about = "What the proxy calls itself. Empty: the name of the host.";
        let mut name = section.text("visible_hostname", "", about);
        if name.is_empty() {
            name.clone_from(&host.name);
        }
        let about = "The realm that clients show when they ask for a password. Empty: that of the product.";
        let mut realm = section.text("banner", "", about);
        for (key, text) in [("visible_hostname", &name), ("banner", &realm)] {
            if !text.chars().all(|c| c == ' ' || (c.is_ascii_graphic() && !"\"\\<>&".contains(c))) {
                section.invalid(key, "expected one line of ASCII without quotes");
            }
        }
        if realm.is_empty() {
            realm = match skin {
                Skin::Squid(_) => "Squid proxy-caching web server".to_owned(),
                Skin::Isa => name.to_uppercase(),
            };
        }
        let about = "How clients may log in: \"basic\", \"digest\", \"ntlm\" and \"negotiate\", offered in this order. \
                     Empty, or \"none\": not at all, the proxy is open.";
        let words = section.list("auth", &["basic"], about);
        let known =
            |word: &String| Scheme::ALL.iter().find(|(name, _)| name == word).map(|(_, scheme)| *scheme);
        let schemes: Vec<Scheme> = words.iter().filter_map(known).collect();
        if schemes.len() != words.len() && words != ["none"] {
            section.invalid("auth", "expected a list of \"basic\", \"digest\", \"ntlm\" and \"negotiate\"");
        }
        Self(Arc::new(Server { skin, name, realm, schemes, windows: host.windows.clone() }))
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.0))
    }
}

impl Server {
    /// What becomes of a request that is in order.
    fn judge(&self, head: &Head, uri: &Uri) -> Fault {
        if !self.schemes.is_empty() {
            return Fault::AuthenticationRequired(Vec::new());
        }
        let internal = uri.path().starts_with(b"/squid-internal-") && uri.host == self.name.as_bytes();
        if uri.scheme == "cache_object" || internal || head.method == b"PURGE" {
            return Fault::AccessDenied;
        }
        match uri.address() {
            Some(address) if address.is_loopback() || address.is_unspecified() => {
                Fault::ConnectFail(address.to_string(), REFUSED)
            }
            Some(address) => Fault::ConnectFail(address.to_string(), NO_ROUTE),
            None if uri.host == b"localhost" || uri.host == self.name.as_bytes() => {
                Fault::ConnectFail("127.0.0.1".to_owned(), REFUSED)
            }
            None => Fault::NoSuchName(String::from_utf8_lossy(&uri.host).into_owned()),
        }
    }

    /// The values of Proxy-Authenticate.
    fn challenges(&self, cx: &mut Cx<'_>) -> Vec<String> {
        let realm = &self.realm;
        let shown = |scheme: &Scheme| match scheme {
            Scheme::Negotiate => "Negotiate".to_owned(),
            Scheme::Ntlm => "NTLM".to_owned(),
            Scheme::Basic => format!("Basic realm=\"{realm}\""),
            Scheme::Digest => {
                let nonce: [u8; 16] = cx.random();
                let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", stale=false")
            }
        };
        self.schemes.iter().map(shown).collect()
    }

    /// Whether it offers that scheme of the two that carry NTLM.
    fn offers(&self, scheme: &str) -> bool {
        [("NTLM", Scheme::Ntlm), ("Negotiate", Scheme::Negotiate)]
            .into_iter()
            .any(|(name, offered)| name == scheme && self.schemes.contains(&offered))
    }
}
