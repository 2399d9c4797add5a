//! Messages to a syslog daemon, here or elsewhere: over a unix socket, UDP, TCP or TLS, as Python's
//! SysLogHandler writes them, as RFC 3164 or as RFC 5424.
//!
//! Syslog has no acknowledgement. A receiver that refuses, resets, has hung up or has fallen silent is noticed,
//! and what it may not have read is sent again; one that takes a message and loses it is not.

mod message;
mod wire;

use std::{io, path::PathBuf};

use haldane_core::{Notify, Record, Section, Severity, Wants, section::Raw};
use message::Form;
use tokio::time::Instant;
use wire::{Datagrams, Receiver, Wire};

use crate::{
    Failure, Sender, Sink,
    encode::Layout,
    link::{self, Answers, Courier, Host, LOOK_UP_EVERY, REFUSAL, Tls},
};

/// A syslog daemon.
#[derive(Debug)]
pub struct Syslog {
    receiver: Receiver,
    form: Form,
    facility: u8,
    node: String,
    layout: Layout,
    datagrams: Option<(Datagrams, Instant)>,
    /// The last record of a failed batch that was sent nevertheless, alone in its datagram.
    sent: Option<u64>,
    courier: Courier,
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
            datagrams: None,
            sent: None,
            courier: Courier::new(Answers::Ignored, REFUSAL),
        }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let outcome = self.send(batch).await;
        outcome.map_err(|error| {
            let why = link::why(&error);
            Failure::later(format!("cannot send to syslog at {}: {why}", self.receiver))
        })
    }

    async fn idle(&mut self) {
        // A name may come to mean another host. A stream would break then, a datagram would not.
        self.datagrams = self.datagrams.take().filter(|(_, since)| since.elapsed() < LOOK_UP_EVERY);
    }

    fn reopen(&mut self) {
        if let Receiver::Tls(_, tls) = &mut self.receiver {
            tls.renew();
        }
        self.datagrams = None;
        self.courier.close();
    }
}

impl Syslog {
    async fn send(&mut self, batch: &[Record]) -> io::Result<()> {
        // Out of its place meanwhile: what fails is made anew.
        let (datagrams, since) = match self.datagrams.take() {
            Some(kept) => kept,
            None if self.courier.stands().await.unwrap_or(false) => return self.stream(batch).await,
            None => match self.receiver.connect().await? {
                Wire::Datagrams(datagrams) => (datagrams, Instant::now()),
                Wire::Stream(stream) => {
                    self.courier.opened(stream).await?;
                    return self.stream(batch).await;
                }
            },
        };
        let fresh = self.sent.and_then(|sent| batch.iter().position(|record| record.seq > sent));
        for record in batch.iter().skip(fresh.unwrap_or_default()) {
            datagrams.send(self.form, self.message(record)).await?;
            // A refusal of UDP arrives later, and does not say of which datagram.
            self.sent = datagrams.are_certain().then_some(record.seq);
        }
        self.sent = None;
        datagrams.settle().await?;
        self.datagrams = Some((datagrams, since));
        Ok(())
    }

    async fn stream(&mut self, batch: &[Record]) -> io::Result<()> {
        let frames = batch.iter().flat_map(|record| self.form.frame(self.message(record))).collect();
        // There are no answers, so there is no error either.
        let _ = self.courier.write(frames).await?;
        Ok(())
    }

    fn message(&self, record: &Record) -> Vec<u8> {
        let line = self.layout.line(&record.event);
        self.form.message(self.facility, &record.event, &self.node, &line)
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
    let host = Host::parse(&address, if transport == "tls" { 6514 } else { 514 });
    let name = host.as_ref().map_or("localhost", |host| &host.name);
    let tls = Tls::configure(section, name, transport == "tls");
    let is_path = address.starts_with('/');
    if is_path != (transport == "unix") && transport != "auto" {
        let expected = if is_path { "a host and a port" } else { "the path of a socket" };
        section.invalid("address", format!("expected {expected} with transport = \"{transport}\""));
    }
    if is_path {
        return Receiver::Unix(PathBuf::from(address));
    }
    let Some(host) = host else {
        section.invalid("address", "expected a path, or a host and a port as in \"logs.example.org:514\"");
        return Receiver::Unix(PathBuf::from(address));
    };
    match (transport, tls) {
        ("udp" | "auto", _) => Receiver::Udp(host),
        ("tls", Some(tls)) => Receiver::Tls(host, Box::new(tls)),
        _ => Receiver::Tcp(host),
    }
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
