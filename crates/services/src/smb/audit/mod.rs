//! A share of a real Samba beside the canary: follows the log that its `full_audit` writes by way of syslog, as
//! OpenCanary does.
//!
//! Reports `smb.audit` for each operation that is logged there (which those are is set in smb.conf), and `smb.login`
//! for each login, if the same file has Samba's authentication audit (`smb.conf`: `log level = 1 auth_audit:3`).
//! Lines that are neither are no events. Formats: vfs_full_audit(8), smb.conf(5) under `log level`; read `line` and
//! `login`.

mod line;
mod login;

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use haldane_core::{
    Arrival, Feed, Host, Kind, Login, Peer, Section, Sensor, Severity, Sighting, Transport, Watch,
};

use super::{AUDIT, LOGIN};
use line::Record;
use login::{Attempt, Form};

/// The log, unless told otherwise: that of the peer.
pub(super) const FILE: &str = "/var/log/samba-audit.log";
/// The port of SMB over TCP.
const PORT: u16 = 445;
/// Logins that are remembered, to know the second line about one again.
const REMEMBERED: usize = 32;
/// Ways to prove a password, as Samba names them (`passwordType`).
const MECHANISMS: [&str; 6] = ["NTLMv2", "NTLMv1", "LMv2", "Plaintext", "MSCHAPv2", "krb5"];

/// The sensor.
#[derive(Debug)]
pub struct Audit {
    file: PathBuf,
    /// Of these, a line in the other form is still to be expected.
    logins: VecDeque<(Form, Attempt)>,
}

impl Sensor for Audit {
    const NAME: &'static str = "smb";
    const KINDS: &'static [&'static Kind] = &[&AUDIT, &LOGIN];
    const TRY: &'static str = "smbclient //localhost/SHARE -N -c 'get FILE'";
    /// It needs a Samba.
    const ON: bool = false;

    fn configure(section: &mut Section<'_>, _host: &Host) -> Self {
        let file = section.text(
            "auditfile",
            FILE,
            "The file that Samba's full_audit is logged to. It need not exist yet.",
        );
        if file.is_empty() {
            section.invalid("auditfile", "expected the path of a file");
        }
        Self { file: file.into(), logins: VecDeque::new() }
    }

    fn feeds(&self) -> Vec<Feed> {
        vec![Feed::Lines(self.file.clone())]
    }

    fn take(&mut self, arrival: Arrival<'_>, watch: &mut Watch<'_>) {
        let Arrival::Line(line) = arrival else { return };
        if let Some(record) = line::read(line) {
            let (peer, seen) = used(&record);
            watch.report(peer, seen);
        } else if let Some((form, attempt)) = login::read(line)
            && self.is_new(form, &attempt)
        {
            let peer =
                attempt.remote.map(|remote| Peer::new(remote, local(attempt.local, remote), Transport::Tcp));
            watch.report(peer, tried(&attempt));
        }
    }
}

impl Audit {
    /// Whether this is the first line about that login: Samba may be set to write two.
    fn is_new(&mut self, form: Form, attempt: &Attempt) -> bool {
        let other = self.logins.iter().position(|(seen, before)| *seen != form && before == attempt);
        if let Some(at) = other {
            self.logins.remove(at);
            return false;
        }
        if self.logins.len() >= REMEMBERED {
            self.logins.pop_front();
        }
        self.logins.push_back((form, attempt.clone()));
        true
    }
}

/// Our end, where the line does not name it.
fn local(named: Option<SocketAddr>, remote: SocketAddr) -> SocketAddr {
    let unknown: IpAddr =
        if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    named.unwrap_or_else(|| SocketAddr::new(unknown, PORT))
}

/// The log names no port of the client: that is 0.
fn used(record: &Record<'_>) -> (Option<Peer>, Sighting) {
    let client = record.client.and_then(line::address).map(|ip| SocketAddr::new(ip, 0));
    let server = record.server.and_then(line::address).map(|ip| SocketAddr::new(ip, PORT));
    let peer = client.map(|remote| Peer::new(remote, local(server, remote), Transport::Tcp));
    let facts = [
        ("user", record.user),
        ("remote_name", record.remote_name),
        ("share", record.share),
        ("local_name", record.local_name),
        ("version", record.version),
        ("arch", record.arch),
        ("logged", record.time),
        ("domain", record.domain),
        ("action", record.action),
        ("status", record.status),
        ("mode", record.mode),
        ("file", record.file),
        // What stands there and is no address.
        ("client", record.client.filter(|_| client.is_none())),
    ];
    let known = facts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    (peer, known.fold(Sighting::of(&AUDIT), |seen, (name, value)| seen.with(name, value)))
}

fn tried(attempt: &Attempt) -> Sighting {
    let kind = attempt.password_type.as_deref().unwrap_or_default();
    let mechanism = MECHANISMS.into_iter().find(|name| name.eq_ignore_ascii_case(kind)).unwrap_or("smb");
    let mut login = Login::new(mechanism);
    login.username = attempt.user.clone().filter(|user| !user.is_empty());
    login.domain = attempt.domain.clone().filter(|domain| !domain.is_empty());
    let severity = if login.username.is_some() { LOGIN.severity } else { Severity::Low };
    let seen = Sighting::of(&LOGIN)
        .with("status", attempt.status.as_str())
        .with("workstation", attempt.workstation.clone())
        .with("password_type", attempt.password_type.clone())
        .with("smb_service", attempt.service.clone());
    seen.login(login).severity(severity)
}

#[cfg(test)]
mod tests;
