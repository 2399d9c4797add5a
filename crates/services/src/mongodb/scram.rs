//! SCRAM (RFC 5802, RFC 7677) as mongod does it, as far as a server that knows no password can: the client proves that
//! it has one, and that proof is kept.

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Login, Secret, Untrusted};

use super::persona::Persona;

/// A mechanism: its name, the scheme under which honey-credentials know it, iterations (mongod's defaults,
/// `scramIterationCount` and `scramSHA256IterationCount`) and the length of a salt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mechanism {
    pub(super) name: &'static str,
    scheme: &'static str,
    iterations: u32,
    salt: usize,
    /// Of the line: which hash it is.
    number: u8,
}

/// Those that a server offers by itself.
pub(super) static MECHANISMS: [Mechanism; 2] = [
    Mechanism { name: "SCRAM-SHA-1", scheme: "mongodb-scram-sha-1", iterations: 10_000, salt: 16, number: 0 },
    Mechanism { name: "SCRAM-SHA-256", scheme: "scram-sha-256", iterations: 15_000, salt: 28, number: 1 },
];

/// Bytes of a user name or nonce that are taken; longer ones are cut.
const LONGEST: usize = 1024;

/// A conversation that has begun.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conversation {
    mechanism: &'static Mechanism,
    pub(super) user: Vec<u8>,
    /// In base64.
    salt: String,
    /// `client-first-message-bare` and `server-first-message` (RFC 5802, section 3), with a comma between.
    begun: Vec<u8>,
}

impl Conversation {
    /// Reads the client's first message; returns our answer to it. `None`: it is not one.
    pub(super) fn begin(
        mechanism: &'static Mechanism,
        payload: &[u8],
        persona: &Persona,
        nonce: [u8; 24],
    ) -> Option<(Self, Vec<u8>)> {
        // `gs2-header`: no channel binding, perhaps an identity.
        let mut parts = payload.splitn(3, |&byte| byte == b',');
        let (_binding, _identity) = (parts.next()?, parts.next()?);
        let bare = parts.next()?;
        let bare = bare.get(..LONGEST.saturating_mul(2)).unwrap_or(bare);
        let user = attribute(bare, b"n=")?;
        let client = attribute(bare, b"r=")?;
        let label = [mechanism.name.as_bytes(), b":", user].concat();
        let salt = persona.own(&label);
        let salt = BASE64_STANDARD.encode(salt.get(..mechanism.salt).unwrap_or(&salt));
        let mut answer = [b"r=", client].concat();
        answer.extend_from_slice(BASE64_STANDARD.encode(nonce).as_bytes());
        answer.extend_from_slice(format!(",s={salt},i={}", mechanism.iterations).as_bytes());
        let begun = [bare, b",", &answer].concat();
        Some((Self { mechanism, user: unescaped(user), salt, begun }, answer))
    }

    /// The login as far as it is known, with the proof if the client's final message has one.
    pub(super) fn login(&self, payload: Option<&[u8]>) -> Login {
        let login = Login::new(self.mechanism.name).user(&self.user);
        let Some((without, proof)) = payload.and_then(proof) else { return login };
        let exchange = [&self.begun[..], b",", without].concat();
        let crackable = format!(
            "$mongodb-scram-proof${}${}${}${}",
            self.mechanism.number,
            BASE64_STANDARD.encode(&self.user),
            BASE64_STANDARD.encode(&exchange),
            BASE64_STANDARD.encode(&proof),
        );
        login.secret(Secret::Response {
            scheme: self.mechanism.scheme.into(),
            // A client may put attributes of its own into the exchange: ours stand before it.
            challenge: [format!("{}${}$", self.mechanism.iterations, self.salt).as_bytes(), &exchange]
                .concat()
                .into(),
            response: Untrusted::new(&proof),
            crackable: Some(crackable),
        })
    }
}

/// The user name in a first message that cannot be answered.
pub(super) fn name(payload: &[u8]) -> Option<Untrusted> {
    attribute(payload, b"n=").map(|name| Untrusted::new(unescaped(name)))
}

/// The value of an attribute of a message.
fn attribute<'a>(message: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    message.split(|&byte| byte == b',').find_map(|part| part.strip_prefix(name))
}

/// `client-final-message-without-proof`, and the proof.
fn proof(message: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let at = message.windows(3).rposition(|window| window == b",p=")?;
    let (without, proof) = message.split_at_checked(at)?;
    let proof = BASE64_STANDARD.decode(proof.get(3..)?).ok()?;
    Some((without, proof))
}

/// `=2C` is a comma, `=3D` an equals sign (RFC 5802, section 5.1).
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = name;
    while let Some((first, after)) = rest.split_first() {
        let (byte, after) = match rest.get(..3) {
            Some(b"=2C") => (b',', rest.get(3..)),
            Some(b"=3D") => (b'=', rest.get(3..)),
            _ => (*first, Some(after)),
        };
        plain.push(byte);
        rest = after.unwrap_or_default();
    }
    plain
}
