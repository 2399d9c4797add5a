//! VNC: sends its challenge, takes the answer, says no as the claimed server does.
//!
//! Reports `vnc.login` for each answer, with challenge and answer as a line for john, and the password where it is a
//! common one; `vnc.account` for what Apple's logins give away, a user name with its password in clear text;
//! `vnc.handshake` for a conversation that ended before either: how far it came, and whether it was turned away.
//!
//! Protocol: RFC 6143, and its older versions as the community's description has them ("The RFB Protocol",
//! github.com/rfbproto/rfbproto). TigerVNC 1.12 is recorded. What the others do is told in `persona`.
//!
//! Security types beyond that of the password are offered where their login gives more away than an answer to a
//! challenge does: VeNCrypt (19) is not, since its usual forms wrap the same challenge in TLS without a certificate.
//! Where TigerVNC looks at an answer that came in one segment with the choice of the type only when more comes, we
//! look at once: it is evidence.

mod apple;
mod backoff;
mod password;
mod persona;
mod session;

use std::{path::Path, sync::Arc, time::Duration};

use haldane_core::{
    Absent, Class, Compat, Host, Kind, Limits, Peer, Protocol, Section, Severity, section::Problem,
};

use backoff::BackOff;
use password::Common;
use persona::{PRODUCTS, Product};
use session::Connection;

/// Somebody answered the challenge.
pub static LOGIN: Kind = Kind::new(12001, "vnc.login", Class::Login, Severity::High, "VNC login").compat(&[
    Compat::field("VNC Server Challenge", "challenge"),
    Compat::field("VNC Client Response", "response"),
    Compat::field("VNC Password", "password").or(Absent::Text("<Password was not in the common list>")),
]);
/// Somebody connected, and left or was turned away before a login: fields `stage`, `client_version`,
/// `security_type`, `turned_away`.
pub static HANDSHAKE: Kind =
    Kind::new(31600, "vnc.handshake", Class::Probe, Severity::Low, "VNC connection without login");
/// Somebody offered an account of the machine.
pub static ACCOUNT: Kind =
    Kind::new(31601, "vnc.account", Class::Login, Severity::High, "VNC login with an account");

/// The largest file of passwords.
const LARGEST_LIST: u64 = 1 << 20;
/// Most passwords that are tried. Each takes a fraction of a microsecond of every login.
const MOST_WORDS: usize = 10_000;

/// The service.
#[derive(Debug)]
pub struct Vnc {
    server: Arc<Server>,
}

/// What all connections share.
#[derive(Debug)]
struct Server {
    product: &'static Product,
    /// How long it thinks about a wrong answer.
    pause: Duration,
    common: Common,
    back_off: Option<BackOff>,
    /// Of the product that has accounts.
    apple: Option<apple::Keys>,
}

impl Protocol for Vnc {
    const NAME: &'static str = "vnc";
    const PORT: u16 = 5900;
    const LIMITS: Limits = Limits {
        frame: 1024,
        lifetime: Duration::from_secs(300),
        bytes_in: 64 * 1024,
        bytes_out: 64 * 1024,
        ..Limits::DEFAULT
    };
    const KINDS: &'static [&'static Kind] = &[&LOGIN, &HANDSHAKE, &ACCOUNT];
    const TRY: &'static str = "vncviewer {host}::{port}";
    type Session = Connection;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let names: Vec<&'static str> = PRODUCTS.iter().map(|product| product.name).collect();
        let name = section.choice(
            "server",
            "tigervnc",
            &names,
            "The server that is imitated: its versions, security types, refusals and back-off.",
        );
        let product =
            PRODUCTS.iter().find(|product| product.name == name).copied().unwrap_or(&persona::TIGER);
        let pause = section.duration(
            "login_delay",
            product.pause,
            "How long a wrong password takes; by default as that server has it.",
        );
        let back_off = section.flag(
            "back_off",
            true,
            "Whether a client that fails too often is turned away for a while, as that server does. It then shows no more passwords.",
        );
        let words = section.list("passwords", &[], "Passwords that are tried before the built-in list.");
        let file = section.path(
            "password_file",
            "A file of passwords, one a line, that replaces the built-in list. At most 10000 are tried.",
        );
        let listed = match &file {
            Some(path) => read(path).unwrap_or_else(|why| {
                section.invalid("password_file", why);
                String::new()
            }),
            None => password::BUILT_IN.to_owned(),
        };
        let words = words.iter().map(String::as_str).chain(listed.lines());
        let common = Common::new(words, MOST_WORDS);
        let apple = product.accounts().then(|| apple::Keys::new(host)).and_then(|keys| {
            let note = |why| section.note(Problem::error(None, "vnc.server", why));
            keys.map_err(note).ok()
        });
        let back_off = product.back_off.filter(|_| back_off).map(BackOff::new);
        Self { server: Arc::new(Server { product, pause, common, back_off, apple }) }
    }

    fn session(&self, _peer: &Peer) -> Connection {
        Connection::new(Arc::clone(&self.server))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("expected a readable file of passwords: {why}");
    let size = std::fs::metadata(path).map_err(|error| wrong(&error))?.len();
    if size > LARGEST_LIST {
        return Err(wrong(&"it is larger than 1 MiB"));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(&error))?;
    String::from_utf8(bytes).map_err(|_| wrong(&"it is not UTF-8"))
}
