//! Proofs of SCRAM (RFC 5802, section 3). The challenge is the `AuthMessage`: what the two said, with commas between;
//! the response is the client's proof.

use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::response::Answer;

/// Rounds that are computed at most: it is the server that names them, but ours may change.
const MOST: u32 = 100_000;

/// MongoDB's SCRAM-SHA-1: the password is first hashed with its user's name.
pub(crate) fn mongodb_sha1(password: &[u8], answer: &Answer<'_>) -> bool {
    let hashed = Md5::digest([answer.username, b":mongo:", password].concat());
    let hashed: String = hashed.iter().map(|byte| format!("{byte:02x}")).collect();
    matches::<Sha1>(hashed.as_bytes(), answer)
}

/// SCRAM-SHA-256 (RFC 7677).
pub(crate) fn sha256(password: &[u8], answer: &Answer<'_>) -> bool {
    matches::<Sha256>(password, answer)
}

fn matches<D: Digest + EagerHash>(password: &[u8], answer: &Answer<'_>) -> bool
where
    Hmac<D>: KeyInit + Mac,
{
    proof::<D>(password, answer.challenge).is_some_and(|proof| proof.ct_eq(answer.response).into())
}

fn proof<D: Digest + EagerHash>(password: &[u8], exchange: &[u8]) -> Option<Vec<u8>>
where
    Hmac<D>: KeyInit + Mac,
{
    let attribute =
        |name: &[u8]| exchange.split(|&byte| byte == b',').find_map(|part| part.strip_prefix(name));
    let salt = BASE64_STANDARD.decode(attribute(b"s=")?).ok()?;
    let rounds =
        std::str::from_utf8(attribute(b"i=")?).ok()?.parse().ok().filter(|rounds| *rounds <= MOST)?;
    let mac = |key: &[u8], message: &[u8]| {
        let mut mac = <Hmac<D> as KeyInit>::new_from_slice(key).ok()?;
        Mac::update(&mut mac, message);
        Some(mac.finalize().into_bytes().to_vec())
    };
    let mut round = mac(password, &[&salt[..], &1_u32.to_be_bytes()].concat())?;
    let mut salted = round.clone();
    for _ in 1..rounds {
        round = mac(password, &round)?;
        salted.iter_mut().zip(&round).for_each(|(sum, byte)| *sum ^= byte);
    }
    let client = mac(&salted, b"Client Key")?;
    let signature = mac(&D::digest(&client), exchange)?;
    Some(client.iter().zip(&signature).map(|(key, byte)| key ^ byte).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_the_rfc_is_recognised() {
        // RFC 7677, section 3.
        let challenge =
            b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let response = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let answer = Answer { username: b"user", domain: b"", challenge, response: &response };
        assert!(sha256(b"pencil", &answer));
        assert!(!sha256(b"pencils", &answer));
    }
}
