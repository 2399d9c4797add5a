//! Answers to challenges, computed from a plain password: how a honey-credential is recognised where the
//! password itself never travels.

use haldane_wire::vnc;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{digest_md5, ntlm, scram, snmpv3};

/// What a scheme has to go by.
pub(crate) struct Answer<'a> {
    /// The user name that was offered.
    pub(crate) username: &'a [u8],
    /// The domain or realm that was offered.
    pub(crate) domain: &'a [u8],
    /// What we sent.
    pub(crate) challenge: &'a [u8],
    /// What came back.
    pub(crate) response: &'a [u8],
}

type Scheme = fn(&[u8], &Answer<'_>) -> bool;

/// Each scheme under the name that services give it ([`haldane_core::Secret::Response`]).
const SCHEMES: &[(&str, Scheme)] = &[
    ("mysql_native_password", mysql_native_password),
    ("caching_sha2_password", caching_sha2_password),
    ("digest", digest),
    ("digest-md5", digest_md5::matches),
    ("vnc", vnc),
    ("snmpv3", snmpv3::matches),
    ("netlm", ntlm::lm),
    ("netntlmv1", ntlm::v1),
    ("netntlmv2", ntlm::v2),
    ("mongodb-scram-sha-1", scram::mongodb_sha1),
    ("scram-sha-256", scram::sha256),
];

/// Those that take too long for the event path.
const SLOW: &[&str] = &["snmpv3", "mongodb-scram-sha-1", "scram-sha-256"];

/// Whether to compute that scheme's answer takes as long as a password hash.
pub(crate) fn is_slow(scheme: &str) -> bool {
    SLOW.contains(&scheme)
}

/// Whether that password gives that answer; no for schemes that are not known.
pub(crate) fn answers(scheme: &str, password: &[u8], answer: &Answer<'_>) -> bool {
    let known = SCHEMES.iter().find(|(name, _)| *name == scheme);
    known.is_some_and(|(_, matches)| matches(password, answer))
}

/// `SHA1(password) XOR SHA1(challenge, SHA1(SHA1(password)))`; nothing for the empty password.
fn mysql_native_password(password: &[u8], answer: &Answer<'_>) -> bool {
    if password.is_empty() {
        return answer.response.is_empty();
    }
    let once = Sha1::digest(password);
    let twice = Sha1::digest(once);
    let mask = Sha1::new().chain_update(answer.challenge).chain_update(twice).finalize();
    xor(&once, &mask).ct_eq(answer.response).into()
}

/// `SHA256(password) XOR SHA256(SHA256(SHA256(password)), challenge)`; nothing for the empty password.
fn caching_sha2_password(password: &[u8], answer: &Answer<'_>) -> bool {
    if password.is_empty() {
        return answer.response.is_empty();
    }
    let once = Sha256::digest(password);
    let twice = Sha256::digest(once);
    let mask = Sha256::new().chain_update(twice).chain_update(answer.challenge).finalize();
    xor(&once, &mask).ct_eq(answer.response).into()
}

/// DES of the challenge under the password (RFC 6143, section 7.2.2).
fn vnc(password: &[u8], answer: &Answer<'_>) -> bool {
    let Ok(challenge) = answer.challenge.try_into() else { return false };
    vnc::Password::new(password).answer(challenge).ct_eq(answer.response).into()
}

type Hash = fn(&[&[u8]]) -> String;

/// Longer challenges, and those of more parts, are not looked at: this runs on the event path.
const LONGEST: usize = 2_048;
const MOST_PARTS: usize = 12;

/// HTTP Digest (RFC 7616, section 3.4.1). The challenge is what went into the answer, in john's order:
/// `username$realm$method$uri$nonce$nc$cnonce$qop`, the last three empty for clients of RFC 2069. The response is
/// in hex; which hash it is shows in its length. Whether it is the `-sess` form does not, nor where a realm
/// with a dollar ends: so each of these is tried.
fn digest(password: &[u8], answer: &Answer<'_>) -> bool {
    let hash: Hash = match answer.response.len() {
        32 => hex::<Md5>,
        64 => hex::<Sha256>,
        _ => return false,
    };
    let rest = answer.challenge.strip_prefix(answer.username).and_then(|rest| rest.strip_prefix(b"$"));
    let Some(rest) = rest.filter(|rest| rest.len() <= LONGEST) else { return false };
    let parts: Vec<&[u8]> = rest.split(|byte| *byte == b'$').collect();
    let [start @ .., nonce, nc, cnonce, qop] = parts.as_slice() else { return false };
    if parts.len() > MOST_PARTS {
        return false;
    }
    let middle = if qop.is_empty() { nonce.to_vec() } else { [*nonce, nc, cnonce, qop].join(&b':') };
    let response = answer.response.to_ascii_lowercase();
    let is_answer = |secret: &str, request: &str| {
        let expected = hash(&[secret.as_bytes(), &middle, request.as_bytes()]);
        bool::from(expected.as_bytes().ct_eq(&response))
    };
    (1..start.len()).any(|end| {
        let (realm, request) = start.split_at_checked(end).unwrap_or_default();
        let [method, uri @ ..] = request else { return false };
        let secret = hash(&[answer.username, &realm.join(&b'$'), password]);
        let session = hash(&[secret.as_bytes(), nonce, cnonce]);
        let request = hash(&[method, &uri.join(&b'$')]);
        is_answer(&secret, &request) || is_answer(&session, &request)
    })
}

/// The hash of the parts with colons between them, in hex.
fn hex<D: Digest>(parts: &[&[u8]]) -> String {
    let digest = D::digest(parts.join(&b':'));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(username: &str, challenge: &str, response: &str, password: &str) -> bool {
        let (username, challenge) = (username.as_bytes(), challenge.as_bytes());
        let answer = Answer { username, domain: b"", challenge, response: response.as_bytes() };
        answers("digest", password.as_bytes(), &answer)
    }

    #[test]
    fn digest_answers_of_the_rfc_are_recognised() {
        // RFC 7616, section 3.9.1, both algorithms.
        let challenge = "Mufasa$http-auth@example.org$GET$/dir/index.html$\
                         7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v$00000001$\
                         f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ$auth";
        for response in [
            "8ca523f5e9506fed4657c9700eebdbec",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            "8CA523F5E9506FED4657C9700EEBDBEC",
        ] {
            assert!(answered("Mufasa", challenge, response, "Circle of Life"));
            assert!(!answered("Mufasa", challenge, response, "Circle of life"));
        }
    }

    #[test]
    fn digest_answers_without_qop_with_dollars_and_with_sess_are_recognised() {
        // Computed with Python's hashlib from RFC 2069, section 2.1.2, and RFC 7616, section 3.4.2.
        assert!(answered("eve", "eve$r$GET$/$n1$$$", "ce981b75859c586d18593d6864d4a3e6", "hunter2"));
        assert!(answered(
            "e$e",
            "e$e$r$1$GET$/a$b$n1$00000001$c1$auth",
            "6867d5e371f80fad8c2b3705803b9c7a",
            "hunter2"
        ));
        assert!(answered(
            "eve",
            "eve$r$GET$/$n1$00000001$c1$auth",
            "c577cb6fe6d1e16c58244cf4213ca117",
            "hunter2"
        ));
    }

    #[test]
    fn a_digest_challenge_of_another_form_matches_nothing() {
        let many = "u$".repeat(100);
        let long = format!("u$r$GET${}$n$$$", "x".repeat(10_000));
        for challenge in ["", "u", "u$", "u$a$b$c$d", "v$r$GET$/$n$$$", &many, &long] {
            for length in [0, 32, 64] {
                assert!(!answered("u", challenge, &"0".repeat(length), "p"), "{challenge}");
            }
        }
    }

    #[test]
    fn vnc_answers_are_recognised_by_the_first_eight_bytes() {
        // Computed with OpenSSL's des-ecb.
        let response = 0xb866_9241_25c8_eebb_9deb_c1db_61c5_38e2_u128.to_be_bytes();
        let challenge: Vec<u8> = (0..16).collect();
        let answer = Answer { username: b"", domain: b"", challenge: &challenge, response: &response };
        for (password, matches) in [("password", true), ("password1", true), ("Password", false)] {
            assert_eq!(answers("vnc", password.as_bytes(), &answer), matches, "{password}");
        }
        let short = Answer { challenge: &challenge[..8], ..answer };
        assert!(!answers("vnc", b"password", &short));
    }
}
