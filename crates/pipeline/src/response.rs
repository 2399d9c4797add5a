//! Answers to challenges, computed from a plain password: how a honey-credential is recognised where the
//! password itself never travels.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a scheme has to go by.
pub(crate) struct Answer<'a> {
    /// The user name that was offered.
    pub(crate) username: &'a [u8],
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
];

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

type Hash = fn(&[&[u8]]) -> String;

/// HTTP Digest (RFC 7616, section 3.4.1). The challenge is four lines: the algorithm (`MD5`, `SHA-256`, with or
/// without `-sess`; empty is MD5), the realm, the part in the middle (`nonce:nc:cnonce:qop`, or `nonce` alone
/// without `qop`), and `method:uri`. No line can hold a line break, because no HTTP header can. The response is
/// in hex.
fn digest(password: &[u8], answer: &Answer<'_>) -> bool {
    let lines: Vec<&[u8]> = answer.challenge.split(|byte| *byte == b'\n').collect();
    let [algorithm, realm, middle, request] = lines.as_slice() else { return false };
    let algorithm = algorithm.to_ascii_lowercase();
    let (hash, session): (Hash, bool) = match algorithm.as_slice() {
        b"" | b"md5" => (hex::<Md5>, false),
        b"md5-sess" => (hex::<Md5>, true),
        b"sha-256" => (hex::<Sha256>, false),
        b"sha-256-sess" => (hex::<Sha256>, true),
        _ => return false,
    };
    let mut secret = hash(&[answer.username, realm, password]);
    if session {
        let mut parts = middle.split(|byte| *byte == b':');
        let (nonce, cnonce) = (parts.next().unwrap_or_default(), parts.nth(1).unwrap_or_default());
        secret = hash(&[secret.as_bytes(), nonce, cnonce]);
    }
    let expected = hash(&[secret.as_bytes(), middle, hash(&[request]).as_bytes()]);
    let response = answer.response.to_ascii_lowercase();
    expected.as_bytes().ct_eq(&response).into()
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

    #[test]
    fn digest_answers_of_the_rfc_are_recognised() {
        // RFC 7616, section 3.9.1, both algorithms.
        let of = |algorithm: &str, response: &'static [u8]| {
            let challenge = format!(
                "{algorithm}\nhttp-auth@example.org\n7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v:00000001:\
                 f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ:auth\nGET:/dir/index.html"
            );
            let answer = Answer { username: b"Mufasa", challenge: challenge.as_bytes(), response };
            (answers("digest", b"Circle of Life", &answer), answers("digest", b"Circle of life", &answer))
        };
        assert_eq!(of("MD5", b"8ca523f5e9506fed4657c9700eebdbec"), (true, false));
        assert_eq!(
            of("SHA-256", b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            (true, false)
        );
    }

    #[test]
    fn a_digest_challenge_of_another_form_matches_nothing() {
        for challenge in [&b""[..], b"a\nb\nc", b"a\nb\nc\nd\ne", b"SHA-512\nr\nn\nGET:/"] {
            let answer = Answer { username: b"u", challenge, response: b"" };
            assert!(!answers("digest", b"p", &answer));
        }
    }
}
