//! Messages to a syslog daemon, here or elsewhere: over a unix socket, UDP, TCP or TLS, as Python's
//! SysLogHandler writes them, as RFC 3164 or as RFC 5424.
//!
//! Syslog has no acknowledgement. A receiver that refuses, resets, has hung up or has fallen silent is noticed,
//! and what it may not have read is sent again; one that takes a message and loses it is not.

mod message;
mod unsure;
mod wire;

use std::{io, net::IpAddr, path::PathBuf, time::Duration};

use haldane_core::{Notify, Record, Section, Severity, Wants, section::Raw};
use message::Form;
use rustls::pki_types::ServerName;
use tokio::time::Instant;
use unsure::Unsure;
use wire::{Host, Receiver, Wire};

use crate::{
    Failure, Sender, Sink,
    encode::Layout,
    trust::{self, Trust},
};

/// A syslog daemon.
#[derive(Debug)]
pub struct Syslog {
    receiver: Receiver,
    form: Form,
    facility: u8,
    node: String,
    layout: Layout,
    wire: Option<(Wire, Instant)>,
    /// The last record of a failed batch that was sent nevertheless, alone in its datagram.
    sent: Option<u64>,
    unsure: Unsure,
}

impl Sink for Syslog {
    const NAME: &'static str = "syslog";
    const BATCH: usize = 100;
    const WANTS: Wants = Wants { severity: Severity::Low, operational: true, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let receiver = receiver(section);
        let unix = matches!(receiver, Receiver::Unix(_));
        let protocol = section.choice(
            "protocol",
            "auto",
            &["auto", "python", "rfc3164", "rfc5424"],
            "The form of a message: rfc3164, rfc5424, python (as its SysLogHandler has it: no time, no host, a NUL \
             at the end) or auto (rfc3164 for a unix socket, else rfc5424).",
        );
        let form = match protocol {
            "python" => Form::Python,
            "rfc3164" => Form::Rfc3164 { host: !unix },
            "auto" if unix => Form::Rfc3164 { host: false },
            _ => Form::Rfc5424,
        };
        let facility = facility(section);
        let layout = Layout::configure(section, "native", &sender.node);
        Self {
            receiver,
            form,
            facility,
            node: sender.node.clone(),
            layout,
            wire: None,
            sent: None,
            unsure: Unsure::default(),
        }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let outcome = self.send(batch).await;
        outcome.map_err(|error| {
            self.wire = None;
            let why = trust::advice(&error, "ca").unwrap_or_else(|| error.to_string());
            Failure::later(format!("cannot send to syslog at {}: {why}", self.receiver))
        })
    }

    async fn idle(&mut self) {
        // A name may come to mean another host. A stream would break then, a datagram would not.
        let stale = |(wire, since): &(Wire, Instant)| wire.is_datagram() && since.elapsed() > LOOK_UP_EVERY;
        if self.wire.as_ref().is_some_and(stale) {
            self.wire = None;
        }
    }

    fn reopen(&mut self) {
        if let Receiver::Tls(_, _, trust) = &mut self.receiver {
            trust.renew();
        }
        self.wire = None;
        self.unsure.clear();
    }
}

impl Syslog {
    async fn send(&mut self, batch: &[Record]) -> io::Result<()> {
        // Out of its place meanwhile: a write that is dropped within a frame leaves no connection behind.
        let (mut wire, since) = match self.wire.take() {
            Some((mut wire, since)) => match wire.listen(BEFORE).await {
                Ok(true) => {
                    self.unsure.connection_stands();
                    (wire, since)
                }
                Ok(false) => {
                    self.unsure.clear();
                    self.connect().await?
                }
                Err(_) => self.connect().await?,
            },
            None => self.connect().await?,
        };
        let message = |record: &Record| {
            let line = self.layout.line(&record.event);
            self.form.message(self.facility, &record.event, &self.node, &line)
        };
        let goes_on = if wire.is_datagram() {
            let certain = matches!(wire, Wire::Datagram(_));
            let fresh = self.sent.and_then(|sent| batch.iter().position(|record| record.seq > sent));
            for record in batch.iter().skip(fresh.unwrap_or_default()) {
                wire.send(self.form, message(record)).await?;
                // A refusal of UDP arrives later, and does not say of which datagram.
                self.sent = certain.then_some(record.seq);
            }
            self.sent = None;
            wire.listen(REFUSAL).await?
        } else {
            let frames: Vec<_> = batch.iter().flat_map(|record| self.form.frame(message(record))).collect();
            wire.write(&frames).await?;
            let goes_on = wire.listen(REFUSAL).await?;
            self.unsure.push(frames);
            goes_on
        };
        match goes_on {
            true => self.wire = Some((wire, since)),
            false => self.unsure.clear(),
        }
        Ok(())
    }

    /// A new connection, to which is written again what may have been lost with the last one.
    async fn connect(&self) -> io::Result<(Wire, Instant)> {
        let mut wire = self.receiver.connect().await?;
        let lost = self.unsure.frames();
        if !lost.is_empty() {
            wire.write(&lost).await?;
        }
        Ok((wire, Instant::now()))
    }
}

fn receiver(section: &mut Section<'_>) -> Receiver {
    let address = section.text(
        "address",
        "/dev/log",
        "The receiver: the path of a unix socket, or a host and a port as in \"logs.example.org:514\".",
    );
    let transport = section.choice(
        "transport",
        "auto",
        &["auto", "unix", "udp", "tcp", "tls"],
        "How to reach it: unix, udp, tcp, tls or auto (unix for a path, else udp).",
    );
    let trust = Trust::configure(section);
    let server_name =
        section.optional("server_name", "The name in the receiver's certificate, if not its host's.");
    let is_path = address.starts_with('/');
    if is_path != (transport == "unix") && transport != "auto" {
        let expected = if is_path { "a host and a port" } else { "the path of a socket" };
        section.invalid("address", format!("expected {expected} with transport = \"{transport}\""));
    }
    if is_path {
        return Receiver::Unix(PathBuf::from(address));
    }
    let Some(host) = host(&address, if transport == "tls" { 6514 } else { 514 }) else {
        section.invalid("address", "expected a path, or a host and a port as in \"logs.example.org:514\"");
        return Receiver::Unix(PathBuf::from(address));
    };
    if transport != "tls" {
        return if transport == "tcp" { Receiver::Tcp(host) } else { Receiver::Udp(host) };
    }
    let name = ServerName::try_from(server_name.unwrap_or_else(|| host.name.clone()));
    match name {
        Ok(name) => Receiver::Tls(host, name, Box::new(trust)),
        Err(_) => {
            section.invalid("server_name", "expected a host's name or address");
            Receiver::Tcp(host)
        }
    }
}

/// `host`, `host:port`, `[address]:port` or an IPv6 address alone.
fn host(address: &str, port: u16) -> Option<Host> {
    if let Ok(IpAddr::V6(_)) = address.parse() {
        return Some(Host { name: address.to_owned(), port });
    }
    let (name, given) = match address.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']')?;
            let _: std::net::Ipv6Addr = name.parse().ok()?;
            (name, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => address.split_once(':').map_or((address, None), |(name, port)| (name, Some(port))),
    };
    let port = given.map_or(Some(port), |port| port.parse().ok().filter(|port| *port != 0))?;
    let valid = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '/');
    valid.then(|| Host { name: name.to_owned(), port })
}

fn facility(section: &mut Section<'_>) -> u8 {
    let about = "The facility: user, daemon, auth, authpriv, local0 to local7 …, or its number.";
    let word = match section.raw("facility", Some("\"user\""), about).map(|node| &node.value) {
        None => return USER,
        Some(Raw::Int(number)) => number.to_string(),
        Some(Raw::Text(word)) => word.to_ascii_lowercase(),
        Some(_) => String::new(),
    };
    let word = word.strip_prefix("log_").unwrap_or(&word);
    let number = word.parse().ok().filter(|number| *number < 24);
    let named = || FACILITIES.iter().find(|(name, _)| *name == word).map(|(_, number)| *number);
    number.or_else(named).unwrap_or_else(|| {
        let names: Vec<_> = FACILITIES.iter().map(|(name, _)| *name).collect();
        section.invalid("facility", format!("expected a number from 0 to 23 or one of {}", names.join(", ")));
        USER
    })
}

/// How long to look whether the far end has hung up.
const BEFORE: Duration = Duration::from_millis(1);
/// How long to wait for a refusal: longer than the way to the receiver and back within a site.
const REFUSAL: Duration = Duration::from_millis(20);
/// How old a datagram socket may become.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);

const USER: u8 = 1;
/// RFC 5424, section 6.2.1, with the names of syslog(3) and of Python's handler.
const FACILITIES: [(&str, u8); 24] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("ntp", 12),
    ("security", 13),
    ("console", 14),
    ("solaris-cron", 15),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_host_and_perhaps_a_port() {
        let parsed = |address: &str| host(address, 514).map(|host| (host.name, host.port));
        let is = |name: &str, port| Some((name.to_owned(), port));
        assert_eq!(parsed("logs"), is("logs", 514));
        assert_eq!(parsed("logs:10514"), is("logs", 10514));
        assert_eq!(parsed("192.0.2.7:1"), is("192.0.2.7", 1));
        assert_eq!(parsed("[::1]:515"), is("::1", 515));
        assert_eq!(parsed("[::1]"), is("::1", 514));
        assert_eq!(parsed("::1"), is("::1", 514));
        for wrong in
            ["", ":514", "logs:", "logs:0", "logs:65536", "[::1", "[x]:1", "[::1]514", "a b:1", "a/b"]
        {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
