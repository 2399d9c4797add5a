//! NTLM and Negotiate in HTTP (RFC 4559), for servers and proxies alike. Bound to the connection: the answer to a
//! challenge counts only where that was sent.

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Cx, Login, Sighting, Windows};
use haldane_wire::{
    ntlm::Negotiate,
    spnego::{Attempt, Conversation, Step},
};

/// The words that name it.
const SCHEMES: [&str; 2] = ["NTLM", "Negotiate"];

/// The logins of one connection; empty until one begins.
#[derive(Debug, Default)]
pub(crate) struct Handshake(Option<Box<Conversation>>);

/// What a field of credentials said.
#[derive(Debug)]
pub(crate) struct Said {
    /// The scheme.
    pub(crate) scheme: &'static str,
    /// What is to stand behind the scheme in the answer: the next token in base64.
    pub(crate) reply: Option<String>,
    first: Option<Negotiate>,
    attempt: Option<Box<Attempt>>,
    unknown: bool,
}

impl Handshake {
    /// Reads the value of an Authorization or Proxy-Authorization field. `None` if it is of another scheme.
    pub(crate) fn take(&mut self, value: &[u8], host: &Windows, cx: &mut Cx<'_>) -> Option<Said> {
        let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
        let (word, token) = value.split_at_checked(end)?;
        let scheme = SCHEMES.into_iter().find(|scheme| word.eq_ignore_ascii_case(scheme.as_bytes()))?;
        let mut said = Said::nothing(scheme);
        let token = token.trim_ascii();
        if token.is_empty() {
            return Some(said);
        }
        let Ok(token) = BASE64_STANDARD.decode(token) else {
            said.unknown = true;
            return Some(said);
        };
        let conversation = self.0.get_or_insert_default();
        let encoded = |token: &[u8]| (!token.is_empty()).then(|| BASE64_STANDARD.encode(token));
        match conversation.take(&token, host, cx) {
            Step::Reply { token, first } => {
                said.reply = encoded(&token);
                said.first = first;
            }
            Step::Done(attempt) => {
                said.attempt = Some(attempt);
                // Another login begins anew.
                self.0 = None;
            }
            Step::Unknown => said.unknown = true,
        }
        Some(said)
    }

    /// A challenge of NTLM to a client that named the scheme alone.
    pub(crate) fn challenge(&mut self, host: &Windows, cx: &mut Cx<'_>) -> Said {
        let token = self.0.insert(Box::default()).challenge(host, cx);
        Said { reply: Some(BASE64_STANDARD.encode(token)), ..Said::nothing("NTLM") }
    }
}

impl Said {
    fn nothing(scheme: &'static str) -> Self {
        Self { scheme, reply: None, first: None, attempt: None, unknown: false }
    }

    /// Whether there was nothing behind the scheme.
    pub(crate) fn silent(&self) -> bool {
        self.reply.is_none() && self.attempt.is_none() && !self.unknown
    }

    /// The login, once it is one.
    pub(crate) fn login(&self) -> Option<Login> {
        self.attempt.as_ref().map(|attempt| attempt.login.clone())
    }

    /// Whether it made no sense: what came may be a secret of another kind.
    pub(crate) fn unknown(&self) -> bool {
        self.unknown
    }

    /// The value of the field that challenges.
    pub(crate) fn challenge(&self) -> Option<String> {
        self.reply.as_ref().map(|token| format!("{} {token}", self.scheme))
    }

    /// Adds what it revealed beside the login.
    pub(crate) fn facts(&self, seen: Sighting) -> Sighting {
        match (&self.attempt, &self.first) {
            (Some(attempt), _) => attempt.facts(seen),
            (None, Some(first)) => first.facts(seen),
            (None, None) => seen,
        }
    }
}
