//! What one attempt to log in revealed so far. It becomes one event, however many packets it takes.

use std::collections::BTreeMap;

use haldane_core::{Login as Credentials, Secret, Sighting, Untrusted, Value};

use super::{
    LOGIN,
    packet::{self, Login},
};

/// Credentials as they come in.
#[derive(Debug)]
pub struct Attempt {
    /// What the client said first.
    pub login: Login,
    salt: [u8; 20],
    /// What the first answer, if it was one, is the answer of.
    answers: Vec<(&'static str, Vec<u8>)>,
    clear: Option<Vec<u8>>,
}

impl Attempt {
    /// An attempt that began with that packet. `tls`: inside TLS.
    pub fn new(login: Login, salt: [u8; 20], tls: bool) -> Self {
        let mut attempt = Self { salt, answers: Vec::new(), clear: None, login };
        let answer = attempt.login.answer.clone();
        if plugin_is(&attempt.login, packet::CLEAR) || (tls && plugin_is(&attempt.login, packet::SHA256)) {
            attempt.clear(&answer);
        } else if !answer.is_empty() {
            let scheme = match answer.len() {
                _ if plugin_is(&attempt.login, packet::CACHING_SHA2) => packet::CACHING_SHA2,
                20 => packet::NATIVE,
                8 | 9 => packet::OLD,
                _ => "unknown",
            };
            attempt.answer(scheme, &answer);
        }
        attempt
    }

    /// One more answer to our salt, by that plugin.
    pub fn answer(&mut self, scheme: &'static str, answer: &[u8]) {
        if !answer.is_empty() {
            self.answers.push((scheme, answer.to_vec()));
        }
    }

    /// The password itself, as its plugins send it: with a NUL behind it.
    pub fn clear(&mut self, sent: &[u8]) {
        let password = sent.strip_suffix(&[0]).unwrap_or(sent);
        // Without a password, clients send the NUL alone, or nothing.
        if !password.is_empty() {
            self.clear = Some(password.to_vec());
        }
    }

    /// The event.
    pub fn sighting(&self) -> Sighting {
        let login = &self.login;
        let mut seen = Sighting::of(&LOGIN)
            .login(self.credentials())
            .with("salt", hex(&self.salt))
            .with("capabilities", login.capabilities)
            .with("max_packet", login.max_packet);
        // What the peer logs: the answer to the salt or, from clients that never gave one, what stood there.
        let scramble = self.answers.first().map(|(_, answer)| answer).or(Some(&login.answer));
        if let Some(scramble) = scramble.filter(|scramble| !scramble.is_empty()) {
            seen = seen.with("scramble", hex(scramble));
        }
        if login.modern {
            seen = seen.with("charset", login.charset);
        }
        if let Some(database) = &login.database {
            seen = seen.with("database", database.as_slice());
        }
        if let Some(plugin) = &login.plugin {
            seen = seen.with("plugin", plugin.as_slice());
        }
        if let Some(line) = self.crackable().filter(|_| self.clear.is_some()) {
            seen = seen.with("crackable", line);
        }
        for (scheme, answer) in self.answers.iter().skip(1) {
            let name =
                if *scheme == packet::CACHING_SHA2 { "caching_sha2_scramble" } else { "second_scramble" };
            seen = seen.with(name, hex(answer));
        }
        if !login.attributes.is_empty() {
            let named = login.attributes.iter().map(|(key, value)| {
                let key = Untrusted::new(key).to_string();
                (key, Value::from(value.as_slice()))
            });
            seen = seen.with("attributes", Value::Map(named.collect::<BTreeMap<_, _>>()));
        }
        seen
    }

    fn credentials(&self) -> Credentials {
        if let Some(password) = &self.clear {
            return Credentials::password(packet::CLEAR, &self.login.user, password);
        }
        let best = self.answers.iter().find(|(scheme, _)| *scheme == packet::NATIVE).or(self.answers.first());
        let Some((scheme, answer)) = best else {
            let modern = if self.login.modern { packet::NATIVE } else { packet::OLD };
            return Credentials::new(modern).user(&self.login.user);
        };
        // The hash of 3.23 takes the first 8 bytes only.
        let salt = if *scheme == packet::OLD { self.salt.get(..8) } else { Some(&self.salt[..]) };
        Credentials::new(scheme).user(&self.login.user).secret(Secret::Response {
            scheme: (*scheme).into(),
            challenge: salt.unwrap_or_default().into(),
            response: answer.into(),
            crackable: self.crackable(),
        })
    }

    /// For hashcat (mode 11200) and john (mysqlna). Neither knows the exchange of `caching_sha2_password`.
    fn crackable(&self) -> Option<String> {
        let native = |(scheme, answer): &&(&str, Vec<u8>)| *scheme == packet::NATIVE && answer.len() == 20;
        let (_, answer) = self.answers.iter().find(native)?;
        Some(format!("$mysqlna${}*{}", hex(&self.salt), hex(answer)))
    }
}

/// Whether the client made its answer with that plugin. Servers compare without case.
pub fn plugin_is(login: &Login, plugin: &str) -> bool {
    login.plugin.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(plugin.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
