//! RDP's own security (MS-RDPBCGR, section 5.3), which needs no TLS: the client encrypts its random bytes with our RSA
//! key, both make RC4 keys of them, and the client's user name and password come encrypted with one of these.
//!
//! It is as weak as it looks, which serves us well: our key opens what the client sends.

use haldane_core::Host;
use md5::{Digest, Md5};
use openssl::{
    bn::{BigNum, BigNumContext},
    error::ErrorStack,
    pkey::Private,
    rsa::{Padding, Rsa},
    sha::sha1,
};

use haldane_wire::ntlm_key::Rc4;

use super::mcs;

/// Bits of the key, as Windows since 2008 has them.
const BITS: u32 = 2048;
/// Bytes of random that each side adds.
pub const RANDOM: usize = 32;
/// Bytes of the code in front of encrypted data, which proves that it is whole.
const MAC: usize = 8;

/// With this key, which is the same everywhere and public, every server signs its certificate (section 5.3.3.1.1):
/// modulus and private exponent, little-endian.
const SIGNING: [&str; 2] = [
    "3d3a5ebd72433ec94dbbc11e4aba5fcb3e882087eff5c1e2d7b76b9af2524595ce63656b583afeef7ce7bffe3df65c7d6c5e06091af561bb2093095f056dea87",
    "87a71932da11875558001616256568f8243ee6fae9674994cf92cc3399e80860179a129f24ddb12499c73ab80a7b0ddd350779170b519bb3c7100113e73ff35f",
];
/// Its bytes.
const SIGNATURE: usize = 64;

/// What lasts: our key, and the certificate that is made of it.
pub struct Key {
    private: Rsa<Private>,
    certificate: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// The machine's, made once.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn new(host: &Host) -> Result<Self, String> {
        let mut make = || {
            let made = Rsa::generate(BITS).and_then(|key| key.private_key_to_pem());
            made.map_err(|error| format!("no RSA key could be made: {error}"))
        };
        let pem = host.keep.keep(None, "rdp-rsa.pem", &mut make)?;
        let read = Rsa::private_key_from_pem(&pem).and_then(|private| {
            let certificate = certificate(&private)?;
            Ok(Self { private, certificate })
        });
        read.map_err(|error| format!("rdp-rsa.pem is not an RSA key in PEM: {error}"))
    }

    /// What TS_UD_SC_SEC1 holds (section 2.2.1.4.3): the strongest method that the client knows, the level "client
    /// compatible", our random bytes and our certificate. `None` if the client knows no method of ours.
    pub fn offer(&self, methods: u32, random: &[u8; RANDOM]) -> Option<(u32, Vec<u8>)> {
        let method =
            [mcs::BITS_128, mcs::BITS_56, mcs::BITS_40].into_iter().find(|bit| methods & bit != 0)?;
        let lengths =
            [RANDOM, self.certificate.len()].map(|length| u32::try_from(length).unwrap_or_default());
        let [random_length, certificate_length] = lengths;
        let head = [method, LEVEL, random_length, certificate_length].map(u32::to_le_bytes).concat();
        Some((method, [&head, &random[..], &self.certificate].concat()))
    }

    /// The client's random bytes, from the content of its security exchange. `None` if it used another key.
    pub fn open(&self, exchange: &[u8]) -> Option<[u8; RANDOM]> {
        let size = usize::try_from(self.private.size()).ok()?;
        // A length, then the number little-endian, then eight zeros.
        let mut sealed = exchange.get(4..size.checked_add(4)?)?.to_vec();
        sealed.reverse();
        let mut opened = vec![0; size];
        self.private.private_decrypt(&sealed, &mut opened, Padding::NONE).ok()?;
        opened.reverse();
        opened.first_chunk().copied()
    }
}

/// ENCRYPTION_LEVEL_CLIENT_COMPATIBLE.
const LEVEL: u32 = 2;

/// PROPRIETARYSERVERCERTIFICATE (section 2.2.1.4.3.1.1).
fn certificate(key: &Rsa<Private>) -> Result<Vec<u8>, ErrorStack> {
    let mut modulus = key.n().to_vec();
    modulus.reverse();
    let exponent = key.e().to_vec().into_iter().fold(0_u32, |sum, byte| (sum << 8) | u32::from(byte));
    let size = u32::try_from(modulus.len()).unwrap_or_default();
    let mut public = b"RSA1".to_vec();
    // Of the modulus in bytes with its padding, in bits, and of the longest text in bytes.
    for number in [size.saturating_add(8), size.saturating_mul(8), size.saturating_sub(1), exponent] {
        public.extend_from_slice(&number.to_le_bytes());
    }
    public.extend_from_slice(&modulus);
    public.extend_from_slice(&[0; 8]);
    // Version 1, signed by RSA (1), with an RSA key (1) in a blob of type 6.
    let mut made = [1_u32, 1, 1].map(u32::to_le_bytes).concat();
    for (kind, blob) in [(6_u16, public), (8, Vec::new())] {
        let blob = if kind == 6 { blob } else { signature(&made)? };
        made.extend_from_slice(&kind.to_le_bytes());
        made.extend_from_slice(&u16::try_from(blob.len()).unwrap_or_default().to_le_bytes());
        made.extend_from_slice(&blob);
    }
    Ok(made)
}

/// The signature over the certificate so far (section 5.3.3.1.2), with its padding.
fn signature(signed: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let [modulus, exponent] = SIGNING.map(|hex| {
        let digits: Vec<u8> = hex.bytes().collect();
        let pairs = digits.chunks_exact(2).rev();
        BigNum::from_hex_str(&pairs.map(String::from_utf8_lossy).collect::<String>())
    });
    // The digest, a zero, 45 times 255, and a one: little-endian.
    let mut text = Md5::digest(signed).to_vec();
    text.push(0);
    text.extend_from_slice(&[0xff; 45]);
    text.push(1);
    text.reverse();
    let mut signature = BigNum::new()?;
    signature.mod_exp(&*BigNum::from_slice(&text)?, &*exponent?, &*modulus?, &mut *BigNumContext::new()?)?;
    let mut signature = signature.to_vec();
    signature.reverse();
    signature.resize(SIGNATURE.saturating_add(8), 0);
    Ok(signature)
}

/// What both sides encrypt with.
pub struct Keys {
    /// The key of the codes.
    code: Vec<u8>,
    sealing: Rc4,
    opening: Rc4,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes them of the random bytes of both sides (section 5.3.5.1).
    pub fn new(method: u32, client: &[u8; RANDOM], server: &[u8; RANDOM]) -> Self {
        let both = [&client[..], &server[..]].concat();
        let salted = |secret: &[u8], salt: &[u8]| {
            let inner = sha1(&[salt, secret, &both].concat());
            Md5::digest([secret, &inner].concat()).to_vec()
        };
        let thrice = |secret: &[u8], salts: [&[u8]; 3]| salts.map(|salt| salted(secret, salt)).concat();
        let halves = [client, server].map(|random| random.get(..24).unwrap_or_default());
        let master = thrice(&halves.concat(), [b"A", b"BB", b"CCC"]);
        let blob = thrice(&master, [b"X", b"YY", b"ZZZ"]);
        let third = |at: std::ops::Range<usize>| blob.get(at).unwrap_or_default();
        let last = |secret: &[u8]| Md5::digest([secret, &both].concat()).to_vec();
        Self {
            code: weakened(method, third(0..16).to_vec()),
            sealing: Rc4::new(&weakened(method, last(third(16..32)))),
            opening: Rc4::new(&weakened(method, last(third(32..48)))),
        }
    }

    /// Opens data of the client (section 5.3.6): what comes after its code.
    pub fn open(&mut self, sealed: &[u8]) -> Option<Vec<u8>> {
        Some(self.opening.apply(sealed.get(MAC..)?))
    }

    /// Encrypts data for the client, with its code in front (section 5.3.6.1).
    pub fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap_or_default().to_le_bytes();
        let inner = sha1(&[&self.code, &[0x36; 40][..], &length, text].concat());
        let code = Md5::digest([&self.code, &[0x5c; 48][..], &inner].concat());
        [code.get(..MAC).unwrap_or_default(), &self.sealing.apply(text)].concat()
    }
}

/// Weaker keys begin with the same bytes for all.
fn weakened(method: u32, mut key: Vec<u8>) -> Vec<u8> {
    let salt: &[u8] = match method {
        mcs::BITS_40 => &[0xd1, 0x26, 0x9e],
        mcs::BITS_56 => &[0xd1],
        _ => return key,
    };
    key.truncate(8);
    for (byte, salt) in key.iter_mut().zip(salt) {
        *byte = *salt;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_signed_as_clients_check_it() {
        let key = Rsa::generate(1024).unwrap();
        let made = certificate(&key).unwrap();
        let (signed, rest) = made.split_at(made.len() - 76);
        assert_eq!(&rest[..4], &[8, 0, 72, 0]);
        let mut signature = rest[4..68].to_vec();
        signature.reverse();
        let modulus: String = (0..64).rev().map(|at| &SIGNING[0][at * 2..at * 2 + 2]).collect();
        let mut opened = BigNum::new().unwrap();
        // The public exponent, 0xc0887b5b.
        let exponent = BigNum::from_u32(0xc088_7b5b).unwrap();
        let modulus = BigNum::from_hex_str(&modulus).unwrap();
        let signature = BigNum::from_slice(&signature).unwrap();
        opened.mod_exp(&signature, &exponent, &modulus, &mut BigNumContext::new().unwrap()).unwrap();
        let mut opened = opened.to_vec();
        opened.reverse();
        assert_eq!(opened[..16], Md5::digest(signed)[..]);
        assert_eq!(opened[16..], [&[0][..], &[0xff; 45], &[1]].concat());
    }
}
