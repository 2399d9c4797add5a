//! A port that says what the operator wants: one banner on connect, one after whatever is received. For anything
//! that has no service of its own, and for trip wires.
//!
//! Reports everything received. Where an `alertstring` is set, data that holds it is `tcpbanner.alert`. In keep-alive
//! mode the port is a tether: a companion of the operator's connects, shows the secret, and stays; whoever connects
//! and does not is `tcpbanner.intruder`. Connections are events, except where the operator waits for an alert string.
//!
//! There is no protocol here, so what arrives together is one message. An alert string or secret that arrives in
//! pieces is recognised all the same.

use std::{sync::Arc, time::Duration};

use haldane_core::{
    Class, Compat, Cx, Datagrams, Flow, Halt, Host, Input, Keepalive, Kind, Limits, Peer, Protocol, Section,
    Session, Severity, Sighting,
};
use haldane_wire::text::{control_characters, python_bytes};

const FUNCTION: Compat = Compat::field("FUNCTION", "function");
const DATA: Compat = Compat::field("DATA", "data");
const BANNER_ID: Compat = Compat::field("BANNER_ID", "banner_id");

/// Somebody connected.
pub static CONNECTION: Kind =
    Kind::new(18001, "tcpbanner.connection", Class::Connection, Severity::Low, "TCP banner connection")
        .compat(&[FUNCTION, DATA, BANNER_ID]);
/// Somebody connected to a tether.
pub static TETHERED: Kind =
    Kind::new(18002, "tcpbanner.tethered", Class::Connection, Severity::Low, "TCP keep-alive connection")
        .compat(&[FUNCTION, DATA, BANNER_ID]);
/// Data with the secret of a tether.
pub static SECRET: Kind =
    Kind::new(18003, "tcpbanner.secret", Class::Login, Severity::Low, "TCP keep-alive secret received")
        .compat(&[FUNCTION, DATA, BANNER_ID, Compat::field("SECRET_STRING", "secret_string")]);
/// Data on a tether without its secret.
pub static INTRUDER: Kind =
    Kind::new(18004, "tcpbanner.intruder", Class::Command, Severity::Medium, "Data on a TCP keep-alive port")
        .compat(&[FUNCTION, DATA, BANNER_ID]);
/// Data with the alert string.
pub static ALERT: Kind =
    Kind::new(18005, "tcpbanner.alert", Class::Command, Severity::High, "Alert string on a TCP port")
        .compat(&[FUNCTION, DATA, BANNER_ID, Compat::field("ALERT_STRING", "alert_string")]);
/// Any other data. The peer keeps silent about it.
pub static RECEIVED: Kind =
    Kind::new(30801, "tcpbanner.data", Class::Command, Severity::Low, "Data on a TCP banner port");

/// Bytes of data in the compatible log.
const SHOWN: usize = 255;

/// The service: one port.
#[derive(Debug)]
pub struct TcpBanner {
    port: Arc<Port>,
}

/// A port as configured.
#[derive(Debug)]
struct Port {
    id: String,
    greeting: Vec<u8>,
    answer: Vec<u8>,
    alert: Option<Vec<u8>>,
    tether: Option<Tether>,
}

#[derive(Debug)]
struct Tether {
    secret: Vec<u8>,
    keepalive: Keepalive,
}

impl Port {
    fn configure(section: &mut Section<'_>) -> Self {
        let id = section.text("id", "1", "The name of this port in events.");
        let mut words = |key, about| {
            let text = section.text(key, "", about);
            control_characters(&text)
        };
        let greeting =
            words("initbanner", "Sent on connect. A written \\r or \\n is that control character.");
        let answer = words("datareceivedbanner", "Sent after whatever is received; the same holds.");
        let alert = words("alertstring", "Data that holds this is an alert; the same holds.");
        let secret = words("keep_alive_secret", "What the operator's companion shows; the same holds.");
        let alerts = section.flag("alertstring_enabled", false, "Whether the alert string is looked for.");
        let tethered = section.flag(
            "keep_alive",
            false,
            "Whether this port is a tether: connections stay open, and data without the secret is an intrusion.",
        );
        let mut number = |key, default, most, about| section.number(key, default, 1..=most, about);
        // The most that Linux takes: MAX_TCP_KEEPCNT, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPIDLE.
        let probes = number("keep_alive_probes", 11, 127, "Unanswered probes that end a connection.");
        let interval = number("keep_alive_interval", 300, 32_767, "Seconds between two probes.");
        let idle = number("keep_alive_idle", 300, 32_767, "Seconds of silence before the first probe.");
        let keepalive = Keepalive {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(interval),
            probes: u32::try_from(probes).unwrap_or(u32::MAX),
        };
        Self {
            id,
            greeting,
            answer,
            alert: alerts.then_some(alert),
            tether: tethered.then_some(Tether { secret, keepalive }),
        }
    }

    fn sighting(&self, kind: &'static Kind, function: &'static str, data: impl AsRef<[u8]>) -> Sighting {
        Sighting::of(kind)
            .with("banner_id", self.id.as_str())
            .with("function", function)
            .with("data", data.as_ref())
    }

    /// A connection, if it is one that is told. Its data is our banner, in the peer's way of writing bytes.
    fn connected(&self) -> Option<Sighting> {
        let kind = match (&self.tether, &self.alert) {
            (Some(_), _) => &TETHERED,
            (None, Some(_)) => return None,
            (None, None) => &CONNECTION,
        };
        Some(self.sighting(kind, "CONNECTION_MADE", python_bytes(&self.greeting)))
    }

    /// Received data. `before`: the end of what came before it; `trusted`: the secret was shown.
    fn received(&self, data: &[u8], before: &[u8], trusted: bool) -> Sighting {
        let all = [before, data].concat();
        let alert = self.alert.as_ref().filter(|alert| contains(&all, alert));
        let kind = match &self.tether {
            Some(_) if trusted => &RECEIVED,
            Some(tether) if contains(&all, &tether.secret) => &SECRET,
            Some(_) => &INTRUDER,
            None if alert.is_some() => &ALERT,
            None => &RECEIVED,
        };
        // As the peer cuts and trims it. Nothing is lost: the whole is beside it.
        let shown = data.get(..SHOWN).unwrap_or(data);
        let end = shown.iter().rposition(|byte| !b" \t\n\r\x0b\x0c".contains(byte));
        let shown = end.and_then(|end| shown.get(..=end)).unwrap_or_default();
        let mut seen = self.sighting(kind, "DATA_RECEIVED", shown);
        if shown != data {
            seen = seen.with("received", data);
        }
        if let Some(tether) = self.tether.as_ref().filter(|_| kind == &SECRET) {
            seen = seen.with("secret_string", tether.secret.as_slice());
        }
        if let Some(alert) = alert {
            seen = seen.with("alert_string", alert.as_slice()).severity(kind.severity.max(ALERT.severity));
        }
        seen
    }

    /// How many bytes must be remembered so that nothing looked for is missed at a cut.
    fn memory(&self) -> usize {
        let secret = self.tether.as_ref().map_or(0, |tether| tether.secret.len());
        self.alert.as_ref().map_or(0, Vec::len).max(secret).saturating_sub(1)
    }
}

fn contains(data: &[u8], part: &[u8]) -> bool {
    part.is_empty() || data.windows(part.len()).any(|window| window == part)
}

impl Protocol for TcpBanner {
    const NAME: &'static str = "tcpbanner";
    const PORT: u16 = 8001;
    const KINDS: &'static [&'static Kind] = &[&CONNECTION, &TETHERED, &SECRET, &INTRUDER, &ALERT, &RECEIVED];
    const TRY: &'static str = "echo hello | nc {host} {port}";
    const FRAMED: bool = false;
    type Session = Conversation;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        Self { port: Arc::new(Port::configure(section)) }
    }

    fn session(&self, _peer: &Peer) -> Conversation {
        Conversation { port: Arc::clone(&self.port), before: Vec::new(), trusted: false }
    }

    fn limits(&self) -> Limits {
        match &self.port.tether {
            None => Limits::DEFAULT,
            Some(tether) => Limits {
                idle: Duration::from_secs(24 * 60 * 60),
                lifetime: Duration::from_secs(30 * 24 * 60 * 60),
                keepalive: Some(tether.keepalive),
                ..Limits::DEFAULT
            },
        }
    }
}

impl Datagrams for TcpBanner {
    const NAME: &'static str = <Self as Protocol>::NAME;
    const PORT: u16 = <Self as Protocol>::PORT;
    const KINDS: &'static [&'static Kind] = <Self as Protocol>::KINDS;

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        Protocol::configure(section, host)
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.report(self.port.received(datagram.take_rest(), &[], false));
        cx.reply(&self.port.answer);
        Ok(())
    }
}

/// One connection.
#[derive(Debug)]
pub struct Conversation {
    port: Arc<Port>,
    before: Vec<u8>,
    trusted: bool,
}

impl Session for Conversation {
    type Message = Vec<u8>;

    fn greet(&mut self, cx: &mut Cx<'_>) {
        if let Some(seen) = self.port.connected() {
            cx.report(seen);
        }
        cx.reply(&self.port.greeting);
    }

    fn parse(&self, input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        // Asks for a byte if there is none.
        input.peek()?;
        Ok(input.take_rest().to_vec())
    }

    fn handle(&mut self, data: Vec<u8>, cx: &mut Cx<'_>) -> Flow {
        let seen = self.port.received(&data, &self.before, self.trusted);
        self.trusted |= seen.kind == &SECRET;
        cx.report(seen);
        cx.reply(&self.port.answer);
        let memory = self.port.memory();
        if memory > 0 {
            self.before.extend_from_slice(&data);
            self.before.drain(..self.before.len().saturating_sub(memory));
        }
        Flow::Continue
    }
}
