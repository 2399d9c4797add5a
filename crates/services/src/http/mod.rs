//! HTTP/1.1: a web server that shows a page, takes what is posted to it, and says no.
//!
//! It answers as the product that its banner names would: Apache httpd above all, nginx, IIS and lighttpd in shape.
//! `/` leads to `/index.html`, which is that of the skin.
//!
//! Each request is one event. `http.page`, `http.form`, `http.method` and `http.redirect` are those that OpenCanary
//! knows, where it reports them; else credentials make it `http.login`, the marks of a known attack `http.exploit`,
//! those of a scanner `http.probe`, broken grammar `http.malformed`, and whatever is left is `http.request`.
//! With a body over 8 KiB the event is reported when that much was read: the rest may never come.
//!
//! Protocol: RFC 9110 and RFC 9112; RFC 4559 for NTLM and Negotiate. What Apache tolerates, and in which words it refuses, is taken from its
//! documentation and from recordings of 2.4.71.

mod answer;
pub(crate) mod body;
mod conditions;
pub(crate) mod date;
mod evidence;
pub(crate) mod exploit;
pub(crate) mod login;
pub(crate) mod negotiate;
mod persona;
pub(crate) mod request;
mod session;
mod site;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use haldane_core::{
    Absent, Class, Compat, Host, Kind, Limits, Part, Peer, Protocol, Section, Severity, TlsStack, Windows,
};

use persona::{Family, Persona};
pub use session::{Connection, Message};
use site::Site;

const NOT_SUPPLIED: Absent = Absent::Text("<not supplied>");
const HOSTNAME: Compat = Compat::field("HOSTNAME", "hostname").or(NOT_SUPPLIED);
const PATH: Compat = Compat::field("PATH", "path").or(NOT_SUPPLIED);
const SKIN: Compat = Compat::field("SKIN", "skin").or(NOT_SUPPLIED);
const USERAGENT: Compat = Compat::field("USERAGENT", "user_agent").or(NOT_SUPPLIED);

/// The page was read.
pub static PAGE: Kind = Kind::new(3000, "http.page", Class::Access, Severity::Low, "Web page read")
    .compat(&[HOSTNAME, PATH, SKIN, USERAGENT]);
/// The form of the page was posted.
pub static FORM: Kind = Kind::new(3001, "http.form", Class::Login, Severity::High, "Web login").compat(&[
    HOSTNAME,
    PATH,
    SKIN,
    USERAGENT,
    Compat::USERNAME.or(NOT_SUPPLIED),
    Compat { key: "PASSWORD", part: Part::Secret, absent: NOT_SUPPLIED },
]);
/// The page was asked for with another method.
pub static METHOD: Kind =
    Kind::new(3002, "http.method", Class::Probe, Severity::Low, "Web page asked for in an odd way")
        .compat(&[HOSTNAME, PATH, SKIN, USERAGENT, Compat::field("REQUEST_TYPE", "method")]);
/// The root was asked for, and led to the page.
pub static REDIRECT: Kind =
    Kind::new(3003, "http.redirect", Class::Access, Severity::Low, "Web site visited")
        .compat(&[HOSTNAME, PATH, USERAGENT]);
/// Any other request.
pub static REQUEST: Kind = Kind::new(30300, "http.request", Class::Access, Severity::Low, "Web request");
/// Credentials other than in the form of the page.
pub static LOGIN: Kind =
    Kind::new(30301, "http.login", Class::Login, Severity::High, "Web request with credentials");
/// A known attack.
pub static EXPLOIT: Kind =
    Kind::new(30302, "http.exploit", Class::Exploit, Severity::High, "Known attack on a web server");
/// A known probe.
pub static PROBE: Kind = Kind::new(30303, "http.probe", Class::Probe, Severity::Low, "Web server probed");
/// A request that breaks the grammar, or breaks off.
pub static MALFORMED: Kind =
    Kind::new(30304, "http.malformed", Class::Probe, Severity::Low, "Malformed web request");

/// Everything that a web server reports.
pub(crate) const KINDS: &[&Kind] =
    &[&PAGE, &FORM, &METHOD, &REDIRECT, &REQUEST, &LOGIN, &EXPLOIT, &PROBE, &MALFORMED];

/// Apache closes a connection that is idle for 5 s between requests and gives a request header 20 s
/// (mod_reqtimeout as Debian configures it). What it still receives after it hung up it reads for 2 s at most.
pub(crate) const LIMITS: Limits = Limits {
    idle: Duration::from_secs(20),
    frame: 16 * 1024,
    linger: Duration::from_secs(2),
    ..Limits::DEFAULT
};

/// A web server as configured; shared by its connections.
#[derive(Debug)]
pub(crate) struct Server {
    persona: Persona,
    site: Site,
    /// What it calls itself when nobody says.
    name: String,
    windows: Windows,
    auth: Option<Auth>,
    log_methods: bool,
    log_redirect: bool,
}

/// How credentials can be asked for.
const SCHEMES: [&str; 4] = ["basic", "digest", "ntlm", "negotiate"];

/// Where credentials are asked for with a 401.
#[derive(Debug)]
struct Auth {
    schemes: Vec<String>,
    path: String,
    realm: String,
}

impl Server {
    /// Reads the keys that http and https share.
    pub(crate) fn configure(section: &mut Section<'_>, host: &Host) -> Arc<Self> {
        let about =
            "The Server field. The product and version it names decide order of fields and error pages.";
        let banner = section.text("banner", "Apache/2.4.71 (Debian)", about);
        if banner.is_empty() || !banner.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            section.invalid("banner", "expected one line of ASCII");
        }
        let site = Site::configure(section, host);
        let about =
            "Report other methods than GET and POST on /index.html as logtype 3002, as OpenCanary does.";
        let log_methods = section.flag("log_unimplemented_method_requests", false, about);
        let about = "Report the redirect of / as logtype 3003, as OpenCanary does.";
        let log_redirect = section.flag("log_redirect_request", false, about);
        let auth = Auth::configure(section);
        Arc::new(Self {
            persona: Persona::of(&banner),
            site,
            name: host.name.clone(),
            windows: host.windows.clone(),
            auth,
            log_methods,
            log_redirect,
        })
    }
}

impl Server {
    /// Whose TLS it speaks.
    pub(crate) fn stack(&self) -> TlsStack {
        match self.persona.family {
            Family::Iis => TlsStack::Schannel,
            Family::Apache(_) | Family::Nginx | Family::Lighttpd => TlsStack::OpenSsl,
        }
    }
}

impl Auth {
    fn configure(section: &mut Section<'_>) -> Option<Self> {
        let about = "Ask for credentials with a 401: \"basic\", \"digest\", \"ntlm\" and \"negotiate\", offered in \
                     this order. Empty: do not.";
        let schemes = section.list("auth", &[], about);
        if !schemes.iter().all(|scheme| SCHEMES.contains(&scheme.as_str())) {
            section.invalid("auth", "expected a list of \"basic\", \"digest\", \"ntlm\" and \"negotiate\"");
        }
        let path = section.text("auth_path", "/", "Ask for them on every path that begins like this.");
        let realm = section.text("auth_realm", "Restricted Content", "What browsers show when they ask.");
        if realm.contains(['"', '\\', '\r', '\n']) {
            section.invalid("auth_realm", "expected one line without quotes");
        }
        (!schemes.is_empty()).then_some(Self { schemes, path, realm })
    }
}

/// The service.
#[derive(Debug)]
pub struct Http(Arc<Server>);

impl Protocol for Http {
    const NAME: &'static str = "http";
    const PORT: u16 = 80;
    const LIMITS: Limits = LIMITS;
    const KINDS: &'static [&'static Kind] = KINDS;
    const TRY: &'static str = "curl -u admin:secret http://{host}:{port}/";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        Self(Server::configure(section, host))
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.0))
    }

    fn stack(&self) -> TlsStack {
        self.0.stack()
    }
}
