//! Logins: PLAIN (RFC 4616) and SCRAM with SHA-256 (RFC 7677) and SHA-512 (RFC 5802 with another hash).

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha2::{Digest, Sha256, Sha512};

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    Scram256,
    Scram512,
}

impl Mechanism {
    /// Its name in SASL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Scram256 => "SCRAM-SHA-256",
            Self::Scram512 => "SCRAM-SHA-512",
        }
    }
}

/// The one message of PLAIN.
pub(super) fn plain(username: &str, password: &str) -> Vec<u8> {
    format!("\0{username}\0{password}").into_bytes()
}

/// A conversation of SCRAM.
#[derive(Debug)]
pub(super) struct Scram {
    mechanism: Mechanism,
    bare: String,
    nonce: String,
    /// What the server must prove at the end.
    expected: Vec<u8>,
}

impl Scram {
    /// `nonce` is new each time.
    pub(super) fn new(mechanism: Mechanism, username: &str, nonce: String) -> Self {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        Self { mechanism, bare: format!("n={name},r={nonce}"), nonce, expected: Vec::new() }
    }

    /// The first message.
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.bare).into_bytes()
    }

    /// The second, for the server's first; `None` if that is not SCRAM.
    pub(super) fn answer(&mut self, challenge: &[u8], password: &str) -> Option<Vec<u8>> {
        let challenge = str::from_utf8(challenge).ok()?;
        let part = |name: &str| challenge.split(',').find_map(|part| part.strip_prefix(name));
        let (nonce, salt) = (part("r=")?, BASE64_STANDARD.decode(part("s=")?).ok()?);
        let rounds: u32 = part("i=")?.parse().ok().filter(|rounds| (1..=MOST_ROUNDS).contains(rounds))?;
        nonce.strip_prefix(&self.nonce)?;
        let end = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{end}", self.bare);
        let proof;
        (proof, self.expected) = match self.mechanism {
            Mechanism::Scram512 => {
                let mut salted = [0; 64];
                pbkdf2_hmac::<Sha512>(password.as_bytes(), &salt, rounds, &mut salted);
                proofs::<Hmac<Sha512>, Sha512>(&salted, signed.as_bytes())?
            }
            Mechanism::Scram256 | Mechanism::Plain => {
                let mut salted = [0; 32];
                pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, rounds, &mut salted);
                proofs::<Hmac<Sha256>, Sha256>(&salted, signed.as_bytes())?
            }
        };
        Some(format!("{end},p={}", BASE64_STANDARD.encode(proof)).into_bytes())
    }

    /// Whether the server knows the password, too.
    pub(super) fn is_proved(&self, last: &[u8]) -> bool {
        last.strip_prefix(b"v=")
            .is_some_and(|proof| proof == BASE64_STANDARD.encode(&self.expected).as_bytes())
    }
}

/// Our proof and the server's (RFC 5802, section 3).
fn proofs<M: Mac + KeyInit, D: Digest>(salted: &[u8], signed: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mac = |key: &[u8], text: &[u8]| {
        Some(<M as KeyInit>::new_from_slice(key).ok()?.chain_update(text).finalize().into_bytes().to_vec())
    };
    let key = mac(salted, b"Client Key")?;
    let signature = mac(&D::digest(&key), signed)?;
    let proof = key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
    Some((proof, mac(&mac(salted, b"Server Key")?, signed)?))
}

/// More than any server asks for.
const MOST_ROUNDS: u32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conversation_is_that_of_rfc_7677() {
        // Section 3.
        let mut scram = Scram::new(Mechanism::Scram256, "user", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = scram.answer(challenge, "pencil").unwrap();
        let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
        assert!(scram.is_proved(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_proved(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!scram.is_proved(b"e=invalid-proof"));
    }

    #[test]
    fn a_challenge_that_is_not_for_us_is_not_answered() {
        let mut scram = Scram::new(Mechanism::Scram512, "a,b=c", "mine".into());
        assert_eq!(scram.first(), b"n,,n=a=2Cb=3Dc,r=mine");
        for challenge in [
            "",
            "r=other,s=AAAA,i=4096",
            "r=mine,s=AAAA,i=0",
            "r=mine,s=AAAA,i=4000000000",
            "r=mine,s=!,i=4096",
        ] {
            assert_eq!(scram.answer(challenge.as_bytes(), "x"), None, "{challenge}");
        }
        assert!(scram.answer(b"r=mine2,s=AAAA,i=1", "x").is_some());
    }
}
