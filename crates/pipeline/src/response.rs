//! Answers to challenges, computed from a plain password: how a honey-credential is recognised where the
//! password itself never travels.

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
const SCHEMES: &[(&str, Scheme)] =
    &[("mysql_native_password", mysql_native_password), ("caching_sha2_password", caching_sha2_password)];

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

fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(left, right)| left ^ right).collect()
}
