//! Message authentication: HMAC (RFC 2104, RFC 4253 section 6.4, RFC 6668) and UMAC, each also over the
//! encrypted packet (`-etm@openssh.com`: PROTOCOL of OpenSSH, section 1.5).

use openssl::{
    error::ErrorStack,
    hash::MessageDigest,
    pkey::{PKey, Private},
    sign::Signer,
};

use super::umac::Umac;

/// An algorithm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Algorithm {
    sort: Sort,
    /// Bytes of key.
    pub(super) key: usize,
    length: usize,
    etm: bool,
}

#[derive(Debug, Clone, Copy)]
enum Sort {
    Umac,
    Hmac(fn() -> MessageDigest),
}

/// The algorithm of that name.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    let (plain, etm) = match name.strip_suffix("-etm@openssh.com") {
        Some(plain) => (plain, true),
        None => (name.strip_suffix("@openssh.com").unwrap_or(name), false),
    };
    let (sort, key, length) = match plain {
        "umac-64" => (Sort::Umac, 16, 8),
        "umac-128" => (Sort::Umac, 16, 16),
        "hmac-sha2-256" => (Sort::Hmac(MessageDigest::sha256), 32, 32),
        "hmac-sha2-512" => (Sort::Hmac(MessageDigest::sha512), 64, 64),
        "hmac-sha2-256-96" => (Sort::Hmac(MessageDigest::sha256), 32, 12),
        "hmac-sha2-512-96" => (Sort::Hmac(MessageDigest::sha512), 64, 12),
        "hmac-sha1" => (Sort::Hmac(MessageDigest::sha1), 20, 20),
        "hmac-sha1-96" => (Sort::Hmac(MessageDigest::sha1), 20, 12),
        "hmac-md5" => (Sort::Hmac(MessageDigest::md5), 16, 16),
        "hmac-md5-96" => (Sort::Hmac(MessageDigest::md5), 16, 12),
        "hmac-ripemd160" => (Sort::Hmac(MessageDigest::ripemd160), 20, 20),
        _ => return None,
    };
    Some(Algorithm { sort, key, length, etm })
}

/// The authentication of one direction.
pub(super) struct Mac {
    keyed: Keyed,
    /// Bytes of a tag.
    pub(super) length: usize,
    /// Whether it covers the packet as encrypted.
    pub(super) etm: bool,
}

enum Keyed {
    Umac(Box<Umac>),
    Hmac(PKey<Private>, MessageDigest),
}

impl Mac {
    /// With that key, as long as the algorithm asks for.
    pub(super) fn new(algorithm: Algorithm, key: &[u8]) -> Result<Self, ErrorStack> {
        let keyed = match algorithm.sort {
            Sort::Umac => {
                let key = key.try_into().unwrap_or_default();
                Keyed::Umac(Box::new(Umac::new(&key, algorithm.length)))
            }
            Sort::Hmac(digest) => Keyed::Hmac(PKey::hmac(key)?, digest()),
        };
        Ok(Self { keyed, length: algorithm.length, etm: algorithm.etm })
    }

    /// The tag of the packet of that number.
    pub(super) fn tag(&self, sequence: u32, packet: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        let mut tag = match &self.keyed {
            Keyed::Umac(umac) => umac.tag(sequence, packet),
            Keyed::Hmac(key, digest) => {
                let mut signer = Signer::new(*digest, key)?;
                signer.update(&sequence.to_be_bytes())?;
                signer.update(packet)?;
                signer.sign_to_vec()?
            }
        };
        tag.truncate(self.length);
        Ok(tag)
    }
}
