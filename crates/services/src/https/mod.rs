//! HTTP over TLS (RFC 9110, section 4.2.2): the same web server, and the same events, as [`crate::http`], inside TLS
//! from the first byte, which is that of Windows where the banner is. Plain HTTP is answered as mod_ssl answers it, or not at all.

use std::sync::Arc;

use haldane_core::{Host, Kind, Limits, Peer, Protocol, Section, TlsStack, TlsUse};

use crate::http::{self, Connection, Server};

/// The service.
#[derive(Debug)]
pub struct Https(Arc<Server>);

impl Protocol for Https {
    const NAME: &'static str = "https";
    const PORT: u16 = 443;
    const LIMITS: Limits = http::LIMITS;
    const KINDS: &'static [&'static Kind] = http::KINDS;
    const TLS: TlsUse = TlsUse::Always;
    const TRY: &'static str = "curl -k -u admin:secret https://{host}:{port}/";
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
