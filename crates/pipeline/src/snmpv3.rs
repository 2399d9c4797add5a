//! Digests of SNMPv3's user-based security model, computed from a plain password: RFC 3414, appendix A.2 (MD5, SHA-1)
//! and RFC 7860 (SHA-2). A megabyte is hashed for each guess, so this is not for the event path.

use hmac::{
    KeyInit, Mac, SimpleHmac,
    digest::{Digest, block_api::BlockSizeUser},
};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use crate::response::Answer;

/// How much of the password, over and over, becomes a key.
const STRETCHED: usize = 1024 * 1024;
/// Makes a digest of password, engine and message.
type Digests = fn(&[u8], &[u8], &[u8]) -> Vec<u8>;

/// Whether that password gives that digest. The challenge is the engine's id with its length in a byte before it, then
/// the message with zeros in place of the digest. The algorithm shows in the digest's length; MD5 and SHA-1 share one.
pub(crate) fn matches(password: &[u8], answer: &Answer<'_>) -> bool {
    let Some((length, rest)) = answer.challenge.split_first() else { return false };
    let Some((engine, message)) = rest.split_at_checked(usize::from(*length)) else { return false };
    if password.is_empty() || message.is_empty() {
        return false;
    }
    let is = |digest: Digests| {
        let whole = digest(password, engine, message);
        let cut = whole.get(..answer.response.len()).unwrap_or_default();
        bool::from(cut.ct_eq(answer.response))
    };
    match answer.response.len() {
        12 => is(digest::<Md5>) || is(digest::<Sha1>),
        16 => is(digest::<Sha224>),
        24 => is(digest::<Sha256>),
        32 => is(digest::<Sha384>),
        48 => is(digest::<Sha512>),
        _ => false,
    }
}

fn digest<D: Digest + BlockSizeUser>(password: &[u8], engine: &[u8], message: &[u8]) -> Vec<u8> {
    let key = localized::<D>(password, engine);
    let Ok(mac) = SimpleHmac::<D>::new_from_slice(&key) else { return Vec::new() };
    mac.chain_update(message).finalize().into_bytes().to_vec()
}

/// The key of a password for one engine.
fn localized<D: Digest>(password: &[u8], engine: &[u8]) -> Vec<u8> {
    let piece = password.repeat(64);
    let mut hash = D::new();
    let mut left = STRETCHED;
    while left > 0 {
        let part = piece.get(..left).unwrap_or(&piece);
        if part.is_empty() {
            break;
        }
        hash.update(part);
        left = left.saturating_sub(part.len());
    }
    let key = hash.finalize();
    D::new().chain_update(&key).chain_update(engine).chain_update(&key).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn keys_are_those_of_the_rfc() {
        // RFC 3414, appendix A.3.
        let engine = bytes("000000000000000000000002");
        let md5 = bytes("526f5eed9fcce26f8964c2930787d82b");
        assert_eq!(localized::<Md5>(b"maplesyrup", &engine), md5);
        let sha1 = bytes("6695febc9288e36282235fc7151f128497b38f3f");
        assert_eq!(localized::<Sha1>(b"maplesyrup", &engine), sha1);
    }

    #[test]
    fn a_digest_is_recognised_whatever_made_it() {
        // What snmpget of Net-SNMP 5.9.3 sent with the password "maplesyrup" and each algorithm (-a), as hashcat has it.
        for line in include_str!("snmpv3-digests.txt").lines() {
            let parts: Vec<_> = line.split('$').skip(4).map(bytes).collect();
            let [message, engine, digest] = parts.as_slice() else { panic!("{line}") };
            let length = u8::try_from(engine.len()).unwrap();
            let challenge = [&[length][..], engine, message].concat();
            let answer = Answer { username: b"admin", domain: b"", challenge: &challenge, response: digest };
            assert!(matches(b"maplesyrup", &answer), "{line}");
            assert!(!matches(b"maplesyrup2", &answer), "{line}");
        }
    }

    #[test]
    fn a_challenge_of_another_form_matches_nothing() {
        for challenge in [&b""[..], b"\0", b"\x05abcd", b"\x04abcd", b"\xffabcd", b"\x02abcd"] {
            for length in [0, 12, 13, 48] {
                let response = vec![0; length];
                let answer = Answer { username: b"u", domain: b"", challenge, response: &response };
                assert!(!matches(b"p", &answer) && !matches(b"", &answer), "{challenge:?}");
            }
        }
    }
}
