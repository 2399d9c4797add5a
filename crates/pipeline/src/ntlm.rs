//! Answers of NTLM (MS-NLMP, section 3.3).

use haldane_wire::ntlm_key::{self, both, encrypted, hash, mac, v1_of};
use subtle::ConstantTimeEq;

use crate::response::Answer;

/// Bytes of a challenge, ours and the client's.
const CHALLENGE: usize = 8;
/// Bytes of the proof at the front of an answer of version 2.
const PROOF: usize = 16;

/// Version 1: the challenge, encrypted three times under the hash of the password. A challenge of 16 bytes is ours with
/// the client's behind it, of which a hash was encrypted (extended session security).
pub(crate) fn v1(password: &[u8], answer: &Answer<'_>) -> bool {
    let Some((ours, client)) = answer.challenge.split_first_chunk() else { return false };
    let challenge = match client.len() {
        0 => *ours,
        CHALLENGE => both(ours, client),
        _ => return false,
    };
    hashes(password).any(|hash| v1_of(&hash, challenge).ct_eq(answer.response).into())
}

/// The LAN Manager's: as version 1, but under a hash of its own, which knows no small letters.
pub(crate) fn lm(password: &[u8], answer: &Answer<'_>) -> bool {
    let Some(challenge) = answer.challenge.try_into().ok() else { return false };
    let mut key = password.to_ascii_uppercase();
    key.resize(14, 0);
    let hash: Vec<u8> = key.chunks_exact(7).flat_map(|part| encrypted(part, *b"KGS!@#$%")).collect();
    let Ok(hash) = hash.try_into() else { return false };
    v1_of(&hash, challenge).ct_eq(answer.response).into()
}

/// Version 2: a keyed hash over our challenge and what the client puts beside it.
pub(crate) fn v2(password: &[u8], answer: &Answer<'_>) -> bool {
    let Some((proof, rest)) = answer.response.split_at_checked(PROOF) else { return false };
    hashes(password).any(|hash| {
        let key = ntlm_key::v2_of(&hash, answer.username, answer.domain);
        mac(&key, &[answer.challenge, rest]).ct_eq(proof).into()
    })
}

/// What Windows stores of a password; and what curl makes of it, which takes each byte for a character.
fn hashes(password: &[u8]) -> impl Iterator<Item = [u8; 16]> {
    let other = (!password.is_ascii()).then(|| ntlm_key::hash_of_bytes(password));
    [hash(password)].into_iter().chain(other)
}

#[cfg(test)]
mod tests {
    use haldane_wire::ntlm::wide;
    use md4::{Digest, Md4};

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn answered(check: fn(&[u8], &Answer<'_>) -> bool, challenge: &str, response: &str) {
        let (challenge, response) = (bytes(challenge), bytes(response));
        let mut answer =
            Answer { username: b"user", domain: b"Domain", challenge: &challenge, response: &response };
        assert!(check(b"Password", &answer));
        assert!(!check(b"password", &answer));
        for length in 0..challenge.len() {
            answer.challenge = &challenge[..length];
            assert!(!check(b"Password", &answer), "{length}");
        }
        answer.challenge = &challenge;
        for length in 0..response.len() {
            answer.response = &response[..length];
            assert!(!check(b"Password", &answer), "{length}");
        }
    }

    #[test]
    fn a_password_that_a_client_took_for_bytes_is_recognised() {
        // What curl answers for hünter2 to a challenge of zeros, without anything beside it.
        let bytes: Vec<u8> = "hünter2".bytes().flat_map(|byte| [byte, 0]).collect();
        let key = mac(&Md4::digest(bytes).into(), &[&wide("EVE"), &wide("CORP")]);
        let challenge = [0; CHALLENGE];
        let response = mac(&key, &[&challenge, &[1; 28]]);
        let response = [&response[..], &[1; 28]].concat();
        let answer = Answer { username: b"eve", domain: b"CORP", challenge: &challenge, response: &response };
        assert!(v2("hünter2".as_bytes(), &answer));
        assert!(!v2(b"hunter2", &answer));
    }

    #[test]
    fn the_examples_of_the_specification_are_recognised() {
        // MS-NLMP, sections 4.2.2 to 4.2.4.
        answered(v1, "0123456789abcdef", "67c43011f30298a2ad35ece64f16331c44bdbed927841f94");
        answered(v1, "0123456789abcdefaaaaaaaaaaaaaaaa", "7537f803ae367128ca458204bde7caf81e97ed2683267232");
        answered(
            v2,
            "0123456789abcdef",
            "68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000\
             02000c0044006f006d00610069006e0001000c00530065007200760065007200000000\
             0000000000",
        );
    }

    #[test]
    fn an_answer_of_the_lan_manager_knows_no_small_letters() {
        // MS-NLMP, section 4.2.2.2.2.
        let challenge = bytes("0123456789abcdef");
        let response = bytes("98def7b87f88aa5dafe2df779688a172def11c7d5ccdef13");
        let answer = Answer { username: b"user", domain: b"", challenge: &challenge, response: &response };
        assert!(lm(b"Password", &answer) && lm(b"password", &answer));
        assert!(!lm(b"Passwor", &answer));
        assert!(!lm(b"Password", &Answer { challenge: &[0; 16], ..answer }));
    }
}
