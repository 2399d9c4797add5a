//! Whatever the protocol, a login is one record.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Untrusted;

/// Offered credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Absent where the protocol has none, or none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Untrusted>,
    /// Windows domain, realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Untrusted>,
    /// What was to prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// How, in the protocol's own word: `password`, `publickey`, `basic`, `mysql_native_password` …
    pub mechanism: Cow<'static, str>,
}

impl Login {
    /// A login by that mechanism, with nothing in it yet.
    pub fn new(mechanism: &'static str) -> Self {
        Self { username: None, domain: None, secret: None, mechanism: mechanism.into() }
    }

    /// Whether some part of it was longer than what is kept.
    pub(crate) fn is_cut(&self) -> bool {
        let secret = match &self.secret {
            Some(Secret::Password(text) | Secret::Token(text) | Secret::PublicKey { key: text, .. }) => {
                Some(text)
            }
            Some(Secret::Response { response, .. }) => Some(response),
            None => None,
        };
        [self.username.as_ref(), self.domain.as_ref(), secret].into_iter().flatten().any(Untrusted::is_full)
    }

    /// A user name and a clear-text password.
    pub fn password(
        mechanism: &'static str,
        username: impl Into<Untrusted>,
        password: impl Into<Untrusted>,
    ) -> Self {
        Self::new(mechanism).user(username).secret(Secret::Password(password.into()))
    }

    /// Sets the user name.
    #[must_use]
    pub fn user(mut self, username: impl Into<Untrusted>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Sets the secret.
    #[must_use]
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// The clear-text password, if there is one.
    pub fn clear(&self) -> Option<&Untrusted> {
        match &self.secret {
            Some(Secret::Password(password)) => Some(password),
            _ => None,
        }
    }
}

/// What was offered as proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Secret {
    /// Clear text.
    Password(Untrusted),
    /// A public key.
    PublicKey {
        /// As in `ssh-ed25519`.
        algorithm: Untrusted,
        /// As ssh-keygen -l prints it: `SHA256:` and unpadded base64.
        fingerprint: String,
        /// The key itself, in the line form of its protocol.
        key: Untrusted,
    },
    /// The answer to a challenge.
    Response {
        /// How it is computed: the key under which honey-credentials know it.
        scheme: Cow<'static, str>,
        /// What we sent.
        challenge: Untrusted,
        /// What came back.
        response: Untrusted,
        /// The line for hashcat or john, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        crackable: Option<String>,
    },
    /// A bearer token or the like.
    Token(Untrusted),
}
