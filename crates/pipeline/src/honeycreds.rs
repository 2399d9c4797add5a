//! Honey-credentials: credentials that exist only as bait. Whoever offers them found them somewhere.
//!
//! [`Checker::glance`] runs on the event path and never hashes a password: what only a slow hash can tell is
//! `Pending`. [`Checker::check`] runs elsewhere, one guess at a time, and remembers what it found, so that the
//! same guess never costs twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use haldane_core::{Event, Honeycred, Login, Secret, Section, Untrusted};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{
    hash::Password,
    response::{self, Answer},
};

/// The bait of one service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Honeycreds(Vec<Bait>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bait {
    /// Absent: any.
    username: Option<String>,
    /// Absent: any.
    password: Option<Password>,
}

/// What can be said of one bait without hashing.
enum Glance {
    No,
    Yes,
    NeedsHash,
}

impl Honeycreds {
    /// Reads the key `honeycreds`. Every service has it.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let about = "Credentials that exist only as bait: a list of { username, password }, either of which may be \
                     left out; the password plain or a hash ($pbkdf2-sha512$, $2b$, $6$, $argon2id$ and others). \
                     Whoever offers them sets off a critical event.";
        let tables = section.tables("honeycreds", about);
        let baits = tables.into_iter().map(|table| section.within(table, Bait::configure));
        Self(baits.collect())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Bait {
    fn configure(section: &mut Section<'_>) -> Self {
        let username = section.optional("username", "The user name; left out, any will do.");
        let password = section.optional("password", "The password, plain or hashed; left out, any will do.");
        let password = password.map(|text| match text.parse() {
            Ok(password) => password,
            Err(expected) => {
                section.invalid("password", expected);
                // Never "any password", should somebody go on in spite of the mistake.
                Password::Plain(text)
            }
        });
        Self { username, password }
    }

    fn glance(&self, login: &Login) -> Glance {
        let offered = login.username.as_ref().map_or(&b""[..], Untrusted::raw);
        let is_theirs = match &self.username {
            None => true,
            Some(username) => login.username.is_some() && bool::from(username.as_bytes().ct_eq(offered)),
        };
        if !is_theirs {
            return Glance::No;
        }
        let Some(password) = &self.password else { return Glance::Yes };
        let found = match (&login.secret, password) {
            (Some(Secret::Password(_) | Secret::Token(_)), Password::Hashed(_)) => return Glance::NeedsHash,
            (Some(Secret::Password(guess) | Secret::Token(guess)), plain) => plain.verify(guess.raw()),
            (Some(Secret::Response { scheme, .. }), Password::Plain(_)) if response::is_slow(scheme) => {
                return Glance::NeedsHash;
            }
            (Some(secret @ Secret::Response { .. }), Password::Plain(plain)) => answers(login, secret, plain),
            // A hash of another kind than the protocol's own says nothing about an answer; keys are not passwords.
            (Some(Secret::Response { .. } | Secret::PublicKey { .. }) | None, _) => false,
        };
        if found { Glance::Yes } else { Glance::No }
    }

    /// Whether it is what was offered, hashing if need be.
    fn matches(&self, login: &Login) -> bool {
        match (self.glance(login), &login.secret, &self.password) {
            (Glance::Yes, ..) => true,
            (Glance::NeedsHash, Some(Secret::Password(guess) | Secret::Token(guess)), Some(password)) => {
                password.verify(guess.raw())
            }
            (Glance::NeedsHash, Some(secret), Some(Password::Plain(plain))) => answers(login, secret, plain),
            _ => false,
        }
    }
}

/// Whether that secret is the answer to a challenge which that password gives.
fn answers(login: &Login, secret: &Secret, password: &str) -> bool {
    let Secret::Response { scheme, challenge, response, .. } = secret else { return false };
    let [username, domain] =
        [&login.username, &login.domain].map(|name| name.as_ref().map_or(&[][..], Untrusted::raw));
    let answer = Answer { username, domain, challenge: challenge.raw(), response: response.raw() };
    response::answers(scheme, password.as_bytes(), &answer)
}

/// The bait of all services. Clones share what was found.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    services: Arc<HashMap<String, Honeycreds>>,
    found: Arc<Mutex<Found>>,
}

impl Checker {
    /// With the bait of each service, by its name; that of several instances of one service is added up.
    pub fn new(services: impl IntoIterator<Item = (String, Honeycreds)>) -> Self {
        let mut all: HashMap<String, Honeycreds> = HashMap::new();
        for (name, bait) in services.into_iter().filter(|(_, bait)| !bait.is_empty()) {
            all.entry(name).or_default().0.extend(bait.0);
        }
        Self { services: Arc::new(all), found: Arc::default() }
    }

    /// Whether no service has any.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    fn bait_and_login<'a>(&'a self, event: &'a Event) -> Option<(&'a Honeycreds, &'a Login)> {
        let bait = self.services.get(event.service.as_ref())?;
        let login =
            event.login.as_ref().filter(|login| login.username.is_some() || login.secret.is_some())?;
        Some((bait, login))
    }

    /// What can be said at once.
    pub fn glance(&self, event: &Event) -> Honeycred {
        let Some((bait, login)) = self.bait_and_login(event) else { return Honeycred::None };
        let mut needs_hash = false;
        for bait in &bait.0 {
            match bait.glance(login) {
                Glance::Yes => return Honeycred::Yes,
                Glance::NeedsHash => needs_hash = true,
                Glance::No => {}
            }
        }
        if !needs_hash {
            return Honeycred::No;
        }
        match self.found().get(&key(&event.service, login)) {
            Some(true) => Honeycred::Yes,
            Some(false) => Honeycred::No,
            None => Honeycred::Pending,
        }
    }

    /// Whether the event's credentials are bait. May take long.
    pub fn check(&self, event: &Event) -> bool {
        let Some((bait, login)) = self.bait_and_login(event) else { return false };
        let key = key(&event.service, login);
        let known = self.found().get(&key);
        known.unwrap_or_else(|| {
            let yes = bait.0.iter().any(|bait| bait.matches(login));
            self.found().insert(key, yes);
            yes
        })
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Key = [u8; 32];

/// Names a guess without keeping it: what was offered may be long.
fn key(service: &str, login: &Login) -> Key {
    let username = login.username.as_ref().map(Untrusted::raw);
    let (tag, secret): (u8, &[u8]) = match &login.secret {
        None => (0, &[]),
        Some(Secret::Password(guess)) => (1, guess.raw()),
        Some(Secret::Token(guess)) => (2, guess.raw()),
        Some(Secret::PublicKey { key, .. }) => (3, key.raw()),
        Some(Secret::Response { response, .. }) => (4, response.raw()),
    };
    let mut digest = Sha256::new();
    for part in [service.as_bytes(), username.unwrap_or_default(), secret] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    digest.update([tag, u8::from(username.is_some())]);
    digest.finalize().into()
}

/// What was found of recent guesses. When the young half is full, the old half is forgotten; what is asked for
/// stays young.
#[derive(Debug, Default)]
struct Found {
    young: HashMap<Key, bool>,
    old: HashMap<Key, bool>,
}

impl Found {
    /// Guesses in each half: together less than 1 MiB.
    const HALF: usize = 4_096;

    fn get(&mut self, key: &Key) -> Option<bool> {
        if let Some(yes) = self.young.get(key) {
            return Some(*yes);
        }
        let yes = self.old.remove(key)?;
        self.insert(*key, yes);
        Some(yes)
    }

    fn insert(&mut self, key: Key, yes: bool) {
        if self.young.len() >= Self::HALF {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, yes);
    }
}
