//! A request as an event: which kind it is, where it wanted to go, whose credentials it brought.

use haldane_core::{Login, Secret, Severity, Sighting, Untrusted, Value};

use super::{CONNECT, LOGIN, MALFORMED, PROBE, REQUEST, uri::Uri};
use crate::http::{exploit, login, negotiate::Said, request::Head};

/// What ports are for, where a tunnel to them says what the client is after.
const PORTS: &[(u16, &str)] = &[
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (53, "dns"),
    (80, "http"),
    (110, "pop3"),
    (135, "rpc"),
    (139, "smb"),
    (143, "imap"),
    (389, "ldap"),
    (443, "https"),
    (445, "smb"),
    (465, "smtp"),
    (587, "smtp"),
    (636, "ldap"),
    (993, "imap"),
    (995, "pop3"),
    (1080, "socks"),
    (1433, "mssql"),
    (1521, "oracle"),
    (2375, "docker"),
    (3306, "mysql"),
    (3389, "rdp"),
    (5432, "postgresql"),
    (5900, "vnc"),
    (5985, "winrm"),
    (6379, "redis"),
    (6667, "irc"),
    (8443, "https"),
    (9200, "elasticsearch"),
    (11211, "memcached"),
    (27017, "mongodb"),
];

/// A request on its way to the journal.
#[derive(Debug)]
pub(super) struct Exchange {
    head: Head,
    odd_method: Option<Box<[u8]>>,
    uri: Option<Uri>,
    why: Option<&'static str>,
    said: Option<Box<Said>>,
    login: Option<Login>,
    body: Vec<u8>,
    reported: bool,
}

impl Exchange {
    /// `odd_method`: the method as it came, if otherwise. `why`: what is wrong with it, if it is malformed. `said`: what
    /// its credentials are, if they are those of NTLM.
    pub(super) fn new(
        head: Head,
        odd_method: Option<Box<[u8]>>,
        uri: Option<Uri>,
        why: Option<&'static str>,
        said: Option<Box<Said>>,
    ) -> Self {
        let login = credentials(&head, said.as_deref());
        Self { head, odd_method, uri, why, said, login, body: Vec::new(), reported: false }
    }

    /// Takes a piece of the body. Returns whether that is all of it that is kept, and not reported yet.
    pub(super) fn take(&mut self, data: &[u8]) -> bool {
        let room = Untrusted::MAX.saturating_sub(self.body.len());
        self.body.extend_from_slice(data.get(..room).unwrap_or(data));
        self.body.len() >= Untrusted::MAX && !self.reported
    }

    /// Its event, unless that was told already.
    pub(super) fn seen(&mut self) -> Option<Sighting> {
        if self.reported {
            return None;
        }
        self.reported = true;
        let head = &self.head;
        let exploit = exploit::exploit(head, &self.body);
        let target = self.uri.as_ref().filter(|uri| !uri.host.is_empty() && uri.scheme != "cache_object");
        let tunnel = head.method == b"CONNECT";
        let kind = match target {
            _ if self.login.is_some() => &LOGIN,
            _ if self.why.is_some() => &MALFORMED,
            Some(_) if tunnel => &CONNECT,
            Some(_) => &REQUEST,
            None => &PROBE,
        };
        let inside = target.and_then(Uri::inside);
        let foreign = tunnel && target.is_some_and(|uri| !matches!(uri.port, 80 | 443));
        // Credentials meant for the server behind are as good a catch.
        let passing = self.login.is_none().then(|| self.passing()).flatten();
        let severity = match kind.severity {
            own if exploit.is_some() || passing.is_some() => own.max(Severity::High),
            own if inside.is_some() || foreign => own.max(Severity::Medium),
            own => own,
        };
        let mut seen = self.facts(Sighting::of(kind).severity(severity));
        for (key, value) in
            [("inside", inside), ("exploit", exploit), ("why", self.why), ("probe", self.probe())]
        {
            if let Some(value) = value {
                seen = seen.with(key, value);
            }
        }
        if let Some(login) = self.login.take().or(passing) {
            seen = seen.login(login);
        }
        Some(seen)
    }

    /// Credentials for the server behind the proxy: in the target, the header or the body.
    fn passing(&self) -> Option<Login> {
        let userinfo = self.uri.as_ref().and_then(|uri| uri.userinfo.as_deref());
        let of_uri = userinfo.map(|userinfo| match userinfo.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let (user, password) = userinfo.split_at_checked(colon).unwrap_or_default();
                Login::password("uri", user, password.get(1..).unwrap_or_default())
            }
            None => Login::new("uri").user(userinfo),
        });
        let of_field =
            || self.head.field("Authorization").and_then(|value| login::of_value(value, &self.head.method));
        of_uri.or_else(of_field).or_else(|| login::of_content(&self.head, &self.body))
    }

    /// What is asked of the proxy itself, by name.
    fn probe(&self) -> Option<&'static str> {
        let path = self.head.path.as_slice();
        let manager = self.uri.as_ref().is_some_and(|uri| {
            uri.scheme == "cache_object" || uri.path().starts_with(b"/squid-internal-mgr")
        });
        match self.head.method.as_slice() {
            _ if manager => Some("cache manager"),
            b"PURGE" => Some("cache purge"),
            b"TRACE" => Some("trace"),
            b"PRI" => Some("http/2"),
            _ if path.starts_with(b"/nice%20ports%2C/Tri%6Eity") => Some("nmap"),
            _ if path.starts_with(b"/") && self.uri.is_none() => Some("web server asked for"),
            _ => exploit::known_probe(&self.head, &self.body),
        }
    }

    fn facts(&self, mut seen: Sighting) -> Sighting {
        let head = &self.head;
        let method = self.odd_method.as_deref().unwrap_or(&head.method);
        let text = [("method", method), ("target", &head.target), ("version", &head.protocol)];
        for (key, value) in text {
            if !value.is_empty() {
                seen = seen.with(key, value);
            }
        }
        if let Some(uri) = self.uri.as_ref().filter(|uri| !uri.host.is_empty()) {
            seen = seen.with("target_host", uri.host.as_slice()).with("target_port", uri.port);
            if let Some((_, name)) = PORTS.iter().find(|(port, _)| *port == uri.port) {
                seen = seen.with("target_service", *name);
            }
        }
        if let Some(agent) = head.field("User-Agent") {
            seen = seen.with("user_agent", agent);
        }
        let lines = head.kept();
        if !lines.is_empty() {
            seen = seen.with("headers", Value::List(lines));
        }
        if !self.body.is_empty() {
            seen = seen.with("body", self.body.as_slice());
        }
        if self.body.len() >= Untrusted::MAX {
            seen = seen.with("cut", true);
        }
        match &self.said {
            Some(said) => said.facts(seen),
            None => seen,
        }
    }
}

/// Credentials for the proxy. The first message of NTLM has none.
fn credentials(head: &Head, said: Option<&Said>) -> Option<Login> {
    if let Some(said) = said.filter(|said| !said.unknown()) {
        return said.login();
    }
    login::of_value(head.field("Proxy-Authorization")?, &head.method).filter(|login| {
        // A scheme without anything behind it gives nothing away.
        login.username.is_some() || !matches!(&login.secret, Some(Secret::Token(token)) if token.is_empty())
    })
}
