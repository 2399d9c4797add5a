//! The login (RFC 4252, RFC 4256): everything offered is recorded and refused, with the counts, the texts and
//! the pace of OpenSSH.

use std::time::Duration;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use haldane_core::{Cx, Flow, Input, Secret, Sighting};
use openssl::hash::{MessageDigest, hash};

use super::{
    LOGIN, NONE, PUBLIC_KEY,
    session::{Connection, Incoming},
    wire::{Put, end, is_text, message, names, string, text},
};

/// How far a login is.
pub(super) struct Login {
    /// Whether the client may send EXT_INFO.
    extensions: bool,
    /// Whether it takes EXT_INFO during the login.
    updates: bool,
    /// Whether the service was asked for.
    asked: bool,
    attempts: u64,
    failures: u64,
    user: Vec<u8>,
    service: Vec<u8>,
    /// A question is open.
    prompted: bool,
}

/// A request, with what the method has of its own.
struct Request<'a> {
    user: &'a [u8],
    method: &'a [u8],
}

impl Login {
    pub(super) fn new(extensions: bool) -> Self {
        Self {
            extensions,
            updates: false,
            asked: false,
            attempts: 0,
            failures: 0,
            user: Vec::new(),
            service: Vec::new(),
            prompted: false,
        }
    }
}

/// The least time that OpenSSH takes for a refusal (MIN_FAIL_DELAY_SECONDS).
const LEAST_DELAY: Duration = Duration::from_millis(5);

impl Connection {
    /// Acts on one message of the login.
    pub(super) fn login(
        &mut self,
        mut login: Box<Login>,
        got: Incoming<'_>,
        cx: &mut Cx<'_>,
    ) -> (Box<Login>, Flow) {
        let flow = match got.kind {
            message::SERVICE_REQUEST => self.service_request(&mut login, got, cx),
            message::USERAUTH_REQUEST if login.asked => self.request(&mut login, got, cx),
            message::INFO_RESPONSE if login.prompted => self.answered(&mut login, got.body, cx),
            message::EXT_INFO if login.extensions => self.extensions(&mut login, got, cx),
            _ => {
                cx.report(self.about(got.unexpected()));
                self.unimplemented(got.sequence, cx)
            }
        };
        (login, flow)
    }

    fn service_request(&mut self, login: &mut Login, got: Incoming<'_>, cx: &mut Cx<'_>) -> Flow {
        let mut input = Input::whole(got.body);
        let service = string(&mut input).ok().filter(|name| is_text(name) && input.is_empty()).map(text);
        match service {
            // As often as it likes: Paramiko asks before each attempt.
            Some(service @ b"ssh-userauth") => {
                login.asked = true;
                let mut payload = vec![message::SERVICE_ACCEPT];
                payload.put_string(service);
                self.send(&payload, cx)
            }
            Some(service) => {
                cx.report(self.about(got.unexpected()));
                self.disconnect([b"bad service request ", service].concat(), cx)
            }
            None => {
                cx.report(self.about(got.unexpected()));
                Flow::Close
            }
        }
    }

    /// The client's extensions (RFC 8308, section 2.5): only the wish for updates matters here.
    fn extensions(&mut self, login: &mut Login, got: Incoming<'_>, cx: &mut Cx<'_>) -> Flow {
        let mut input = Input::whole(got.body);
        for _ in 0..input.u32().unwrap_or(u32::MAX) {
            let (Ok(name), Ok(_)) = (string(&mut input), string(&mut input)) else {
                cx.report(self.about(got.unexpected()));
                return Flow::Close;
            };
            login.updates |= name == b"ext-info-in-auth@openssh.com";
        }
        Flow::Continue
    }

    fn request(&mut self, login: &mut Login, got: Incoming<'_>, cx: &mut Cx<'_>) -> Flow {
        let mut input = Input::whole(got.body);
        let (Ok(user), Ok(service), Ok(method)) =
            (string(&mut input), string(&mut input), string(&mut input))
        else {
            cx.report(self.about(got.unexpected()));
            return Flow::Close;
        };
        let request = Request { user, method: text(method) };
        let intact =
            self.record(&request, &mut input, cx) && [user, service, method].into_iter().all(is_text);
        login.prompted = false;
        login.attempts = login.attempts.saturating_add(1);
        // What follows a colon is a style of login.
        let user = text(user).split(|byte| *byte == b':').next().unwrap_or_default();
        let service = text(service);
        if login.attempts == 1 {
            login.user = user.to_vec();
            login.service = service.to_vec();
            self.first_request(login, cx);
        } else if login.user != user || login.service != service {
            let [before, after] =
                [[&login.user, &login.service[..]], [user, service]].map(|pair| pair.join(&b','));
            let words =
                [b"Change of username or service not allowed: (", &before[..], b") -> (", &after, b")"];
            return self.disconnect(words.concat(), cx);
        }
        self.decide(login, request.method, intact, cx)
    }

    fn first_request(&mut self, login: &Login, cx: &mut Cx<'_>) {
        let server = std::sync::Arc::clone(&self.server);
        if let Some(banner) = &server.banner {
            let mut payload = vec![message::USERAUTH_BANNER];
            payload.put_string(banner);
            payload.put_string("");
            self.send(&payload, cx);
        }
        if login.updates && server.release.since(9, 6) {
            self.send(&ext_info(&[("server-sig-algs", server.release.signatures())]), cx);
        }
    }

    /// `intact`: whether a real server could read all of it.
    fn decide(&mut self, login: &mut Login, method: &[u8], intact: bool, cx: &mut Cx<'_>) -> Flow {
        let name = match method {
            // The same, bound to our host key (PROTOCOL of OpenSSH, section 3.1).
            b"publickey-hostbound-v00@openssh.com" => "publickey",
            method => std::str::from_utf8(method).unwrap_or_default(),
        };
        let offered = name == "none" || self.server.offers(name);
        if offered && !intact {
            return Flow::Close;
        }
        match name {
            "password" if offered => self.login_delay(cx),
            "keyboard-interactive" if offered => {
                login.prompted = true;
                let mut payload = vec![message::INFO_REQUEST];
                (0..3).for_each(|_| payload.put_string(""));
                payload.put_u32(1);
                payload.put_string("Password: ");
                payload.push(0);
                return self.send(&payload, cx);
            }
            "none" => {}
            _ => cx.pause(LEAST_DELAY),
        }
        let free = name == "none" && login.attempts == 1;
        self.refuse(login, !free, cx)
    }

    /// Takes about as long as PAM: a quarter more or less.
    fn login_delay(&self, cx: &mut Cx<'_>) {
        let delay = self.server.login_delay;
        let [chance] = cx.random();
        let share = 192_u32.saturating_add(u32::from(chance) / 2);
        cx.pause(delay.saturating_mul(share).checked_div(256).unwrap_or(delay));
    }

    fn refuse(&mut self, login: &mut Login, counts: bool, cx: &mut Cx<'_>) -> Flow {
        login.failures = login.failures.saturating_add(counts.into());
        if login.failures >= self.server.max_auth_tries {
            let mut words = b"Too many authentication failures".to_vec();
            if !self.server.release.since(6, 9) {
                words.extend_from_slice(b" for ");
                words.extend_from_slice(login.user.get(..100).unwrap_or(&login.user));
            }
            return self.disconnect(&words, cx);
        }
        let mut payload = vec![message::USERAUTH_FAILURE];
        payload.put_string(&self.server.methods);
        payload.push(0);
        self.send(&payload, cx)
    }

    /// Answers to our question (RFC 4256, section 3.4).
    fn answered(&mut self, login: &mut Login, body: &[u8], cx: &mut Cx<'_>) -> Flow {
        login.prompted = false;
        let mut input = Input::whole(body);
        let count = input.u32().unwrap_or_default();
        let mut intact = count == 1;
        while let Ok(answer) = string(&mut input) {
            let offered = haldane_core::Login::password("keyboard-interactive", &login.user, answer);
            cx.report(self.about(Sighting::of(&LOGIN).login(offered)));
            intact &= is_text(answer);
        }
        if !intact || !input.is_empty() {
            return Flow::Close;
        }
        self.login_delay(cx);
        self.refuse(login, true, cx)
    }

    /// Records a question that stays without an answer.
    pub(super) fn unanswered(&self, login: &Login, cx: &mut Cx<'_>) {
        if login.prompted {
            let request = Request { user: &login.user, method: b"keyboard-interactive" };
            cx.report(self.about(user_alone(&request, "keyboard-interactive", &[])));
        }
    }

    /// Records what a request offers, and tells whether a real server could read all of it.
    fn record(&self, request: &Request<'_>, input: &mut Input<'_>, cx: &mut Cx<'_>) -> bool {
        let rest = input.rest();
        let recorded = match request.method {
            b"password" => password(request, input),
            b"publickey" => public_key(request, input, false),
            b"publickey-hostbound-v00@openssh.com" => public_key(request, input, true),
            b"hostbased" => host_based(request, input),
            b"none" => Some((user_alone(request, "none", rest), rest.is_empty())),
            b"keyboard-interactive" => Some(interactive(request, input)),
            _ => None,
        };
        if request.method == b"keyboard-interactive" && self.server.offers("keyboard-interactive") {
            // Recorded with the answer.
            return recorded.is_some_and(|(_, intact)| intact);
        }
        let (seen, intact) =
            recorded.unwrap_or_else(|| (user_alone(request, "other", rest), request.method != b"password"));
        cx.report(self.about(seen));
        intact
    }
}

/// EXT_INFO (RFC 8308, section 2.3).
pub(super) fn ext_info(extensions: &[(&str, &str)]) -> Vec<u8> {
    let mut payload = vec![message::EXT_INFO];
    payload.put_u32(u32::try_from(extensions.len()).unwrap_or_default());
    for (name, value) in extensions {
        payload.put_string(name);
        payload.put_string(value);
    }
    payload
}

/// A user name and nothing that proves it. `data` is what the method has of its own.
fn user_alone(request: &Request<'_>, mechanism: &'static str, data: &[u8]) -> Sighting {
    let offered = haldane_core::Login::new(mechanism).user(request.user);
    let seen = Sighting::of(&NONE).login(offered).with("method", request.method);
    if data.is_empty() { seen } else { seen.with("data", data) }
}

fn password(request: &Request<'_>, input: &mut Input<'_>) -> Option<(Sighting, bool)> {
    let change = input.u8().ok()? != 0;
    let password = string(input).ok()?;
    let offered = haldane_core::Login::password("password", request.user, password);
    let mut seen = Sighting::of(&LOGIN).login(offered);
    let mut intact = is_text(password);
    if change {
        match string(input) {
            Ok(new) => seen = seen.with("new_password", new),
            Err(_) => intact = false,
        }
    }
    Some((seen, intact && end(input).is_ok()))
}

fn interactive(request: &Request<'_>, input: &mut Input<'_>) -> (Sighting, bool) {
    let rest = input.rest();
    let intact = string(input).is_ok() && string(input).is_ok() && input.is_empty();
    // Language and devices are empty with nearly all clients.
    let data = if rest == [0; 8] { &[][..] } else { rest };
    (user_alone(request, "keyboard-interactive", data), intact)
}

fn public_key(request: &Request<'_>, input: &mut Input<'_>, bound: bool) -> Option<(Sighting, bool)> {
    let signed = input.u8().ok()? != 0;
    let algorithm = string(input).ok()?;
    let key = string(input).ok()?;
    let offered = haldane_core::Login::new("publickey").user(request.user).secret(secret(algorithm, key));
    let seen = Sighting::of(&PUBLIC_KEY).login(offered).with("algorithm", algorithm).with("signed", signed);
    let intact = (!bound || string(input).is_ok()) && (!signed || string(input).is_ok()) && input.is_empty();
    Some((seen, intact && is_text(algorithm)))
}

/// RFC 4252, section 9: not offered, so never read by a real server.
fn host_based(request: &Request<'_>, input: &mut Input<'_>) -> Option<(Sighting, bool)> {
    let algorithm = string(input).ok()?;
    let key = string(input).ok()?;
    let (host, user) = (string(input).ok()?, string(input).ok()?);
    let offered = haldane_core::Login::new("hostbased").user(request.user).secret(secret(algorithm, key));
    let seen = Sighting::of(&PUBLIC_KEY).login(offered).with("algorithm", algorithm);
    Some((seen.with("client_host", host).with("client_user", user), true))
}

/// The key with its fingerprint, and as a line of `authorized_keys`.
fn secret(algorithm: &[u8], key: &[u8]) -> Secret {
    let kind = string(&mut Input::whole(key)).ok().filter(|kind| names(kind).count() == 1 && is_text(kind));
    let kind = kind.unwrap_or(algorithm);
    let sum = hash(MessageDigest::sha256(), key).map(|sum| sum.to_vec()).unwrap_or_default();
    let line = [kind, b" ", BASE64_STANDARD.encode(key).as_bytes()].concat();
    Secret::PublicKey {
        algorithm: kind.into(),
        fingerprint: format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(sum)),
        key: line.into(),
    }
}
