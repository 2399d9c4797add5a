//! A request as an event: which kind it is, and everything it revealed.

use haldane_core::{Login, Peer, Severity, Sighting, Value};

use super::{
    EXPLOIT, FORM, LOGIN, MALFORMED, METHOD, PAGE, PROBE, REDIRECT, REQUEST, Server,
    answer::Route,
    body::Body,
    exploit, login,
    negotiate::Said,
    request::{Head, Version, split_port},
};

/// A request on its way to an answer.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) head: Head,
    pub(super) route: Route,
    /// The connection closes behind it, whatever the client wants.
    pub(super) close: bool,
    /// What became of its body, if that was not whole.
    pub(super) broken: Option<&'static str>,
    /// Its credentials, if they are those of NTLM or Negotiate.
    pub(super) said: Option<Box<Said>>,
    body: Body,
    reported: bool,
}

impl Exchange {
    pub(super) fn new(head: Head, route: Route, said: Option<Box<Said>>) -> Self {
        Self { head, route, close: false, broken: None, said, body: Body::default(), reported: false }
    }

    /// Takes a piece of the body. Returns whether that is all of it that is kept, and not reported yet.
    pub(super) fn take(&mut self, data: &[u8]) -> bool {
        self.body.take(data) && !self.reported
    }

    pub(super) fn unreported(&self) -> bool {
        !self.reported
    }

    /// The event of this request.
    pub(super) fn seen(&mut self, server: &Server, peer: &Peer) -> Sighting {
        self.reported = true;
        let head = &self.head;
        let login = self
            .of_handshake()
            .or_else(|| login::of_content(head, &self.body.kept))
            .or_else(|| self.of_field());
        let exploit = exploit::exploit(head, &self.body.kept);
        let probe = exploit::probe(head, &self.body.kept);
        let page = self.route == Route::Page;
        let on_page = head.path == b"/index.html";
        let root = matches!(&self.route, Route::Moved(302, _));
        let kind = match head.method.as_slice() {
            b"GET" if page => &PAGE,
            b"POST" if page => &FORM,
            _ if on_page && server.log_methods => &METHOD,
            _ if root && server.log_redirect => &REDIRECT,
            _ if login.is_some() => &LOGIN,
            _ if exploit.is_some() => &EXPLOIT,
            _ if probe.is_some() => &PROBE,
            _ if self.broken.is_some() => &MALFORMED,
            _ => &REQUEST,
        };
        let severe = login.is_some() || exploit.is_some();
        let severity = if severe { kind.severity.max(Severity::High) } else { kind.severity };
        let mut seen = self.facts(Sighting::of(kind), server);
        if kind.compat.is_some() && head.host().is_none() {
            // OpenCanary shows its own address then.
            seen = seen.with("hostname", peer.local.ip().to_string());
        }
        seen = with(seen.severity(severity), login);
        for (key, name) in [("exploit", exploit), ("probe", probe), ("why", self.broken)] {
            if let Some(name) = name {
                seen = seen.with(key, name);
            }
        }
        seen = self.body.facts(seen);
        seen
    }

    /// The event of a request that breaks the grammar. `line`: where it does.
    pub(super) fn malformed(&self, server: &Server, why: &'static str, line: &[u8]) -> Sighting {
        let head = &self.head;
        let login = self.of_handshake().or_else(|| self.of_field()).or_else(|| login::of_content(head, b""));
        let exploit = exploit::exploit(head, line);
        let probe = exploit::probe(head, line).filter(|_| !head.method.is_empty());
        let kind = match (&login, exploit, probe) {
            (Some(_), ..) => &LOGIN,
            (_, Some(_), _) => &EXPLOIT,
            (.., Some(_)) => &PROBE,
            _ => &MALFORMED,
        };
        let mut seen = with(self.facts(Sighting::of(kind), server), login).with("why", why);
        for (key, name) in [("exploit", exploit), ("probe", probe)] {
            if let Some(name) = name {
                seen = seen.with(key, name);
            }
        }
        if line.is_empty() { seen } else { seen.with("line", line) }
    }

    fn facts(&self, mut seen: Sighting, server: &Server) -> Sighting {
        let head = &self.head;
        if head.method.is_empty() {
            return seen;
        }
        seen = seen.with("method", head.method.as_slice()).with("path", head.path.as_slice());
        if let Some(query) = &head.query {
            seen = seen.with("query", query.as_slice());
        }
        if head.authority.is_some() {
            seen = seen.with("target", head.target.as_slice());
        }
        match head.protocol.as_slice() {
            b"" if head.version == Version::Simple => seen = seen.with("version", "HTTP/0.9"),
            b"" => {}
            protocol => seen = seen.with("version", protocol),
        }
        if let Some(host) = head.host() {
            seen = seen.with("hostname", split_port(host).0);
        }
        if let Some(agent) = head.field("User-Agent") {
            seen = seen.with("user_agent", agent);
        }
        if matches!(self.route, Route::Page) || head.path == b"/index.html" {
            seen = seen.with("skin", server.site.skin.as_str());
        }
        if let Some(said) = &self.said {
            seen = said.facts(seen);
        }
        let lines = head.kept();
        if lines.is_empty() { seen } else { seen.with("headers", Value::List(lines)) }
    }

    fn of_handshake(&self) -> Option<Login> {
        self.said.as_ref().and_then(|said| said.login())
    }

    /// Credentials that came whole in their field.
    fn of_field(&self) -> Option<Login> {
        let understood = self.said.as_ref().is_some_and(|said| !said.unknown());
        if understood { None } else { login::of_field(&self.head) }
    }
}

fn with(seen: Sighting, login: Option<Login>) -> Sighting {
    match login {
        Some(login) => seen.login(login),
        None => seen,
    }
}
