//! Apple's logins with an account of the machine. The client encrypts user name and password for the server, and the
//! server is us.
//!
//! Type 30 ("The RFB Protocol", section "Diffie-Hellman Authentication"): 128 bytes of AES-128-ECB, its key the MD5 of
//! the shared secret. Type 33 as clients speak it (asyncvnc, pytest-vnc): packets with a length in front, the AES key
//! encrypted with our RSA key. In both, user name and password are 64 bytes each, a NUL behind the text, noise behind
//! that.

use aes::Aes128;
use cipher::{BlockCipherDecrypt, KeyInit};
use haldane_core::{Halt, Host, Input};
use md5::{Digest, Md5};
use openssl::{
    bn::{BigNum, BigNumContext},
    error::ErrorStack,
    pkey::Private,
    rsa::{Padding, Rsa},
};

/// Bytes of the sealed user name and password.
const SEALED: usize = 128;
/// Bytes of the prime, and so of a public value: the Second Oakley Group (RFC 2409, section 6.2).
const PRIME: usize = 128;
/// Its generator.
const GENERATOR: u16 = 2;
/// Bits of the RSA key.
const BITS: u32 = 2048;
/// The longest packet of type 33 that is read.
const LONGEST: usize = 768;

/// A user name and a password.
pub(super) type Account = (Vec<u8>, Vec<u8>);

/// What lasts: the key of type 33.
pub(super) struct Keys {
    private: Rsa<Private>,
    public: Vec<u8>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// The machine's, made once.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn new(host: &Host) -> Result<Self, String> {
        let mut make = || {
            let made = Rsa::generate(BITS).and_then(|key| key.private_key_to_pem());
            made.map_err(|error| format!("no RSA key could be made: {error}"))
        };
        let pem = host.keep.keep(None, "vnc-rsa.pem", &mut make)?;
        let read = Rsa::private_key_from_pem(&pem).and_then(|private| {
            let public = private.public_key_to_der()?;
            Ok(Self { private, public })
        });
        read.map_err(|error| format!("vnc-rsa.pem is no RSA key: {error}"))
    }

    /// What a client gets that asks for the public key.
    pub(super) fn answer(&self) -> Vec<u8> {
        let key = u32::try_from(self.public.len()).unwrap_or_default();
        // The version, the key's length and the NUL behind it count, too.
        let packet = key.saturating_add(7);
        [&packet.to_be_bytes()[..], &[1, 0], &key.to_be_bytes(), &self.public, &[0]].concat()
    }

    /// The account in a packet of type 33.
    pub(super) fn open(&self, packet: &[u8]) -> Option<Account> {
        let rest = packet.strip_prefix(b"\x01\0RSA1\0\x01")?;
        let (sealed, rest) = rest.split_at_checked(SEALED)?;
        let key = rest.strip_prefix(b"\0\x01")?;
        let mut opened = vec![0; usize::try_from(self.private.size()).ok()?];
        let length = self.private.private_decrypt(key, &mut opened, Padding::PKCS1).ok()?;
        account(opened.get(..length)?.try_into().ok()?, sealed)
    }
}

/// Whether a packet of type 33 asks for the key.
pub(super) fn asks(packet: &[u8]) -> bool {
    packet.starts_with(b"\x01\0RSA1\0\0")
}

/// One packet of type 33.
pub(super) fn packet(input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
    let length = usize::try_from(input.u32()?).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(Halt::Malformed("packet too long"));
    }
    input.take(length).map(<[u8]>::to_vec)
}

/// Our half of type 30.
#[derive(Debug)]
pub(super) struct Secret([u8; 32]);

impl Secret {
    /// From unpredictable bytes.
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What the client gets: generator, length, prime, our public value.
    pub(super) fn offer(&self) -> Result<Vec<u8>, ErrorStack> {
        let prime = BigNum::get_rfc2409_prime_1024()?;
        let ours = self.power(&*BigNum::from_u32(GENERATOR.into())?)?;
        let length = u16::try_from(PRIME).unwrap_or_default();
        Ok([&GENERATOR.to_be_bytes()[..], &length.to_be_bytes(), &prime.to_vec(), &ours].concat())
    }

    /// What the client sends: the sealed account, then its public value.
    pub(super) fn answer(input: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
        input.take(SEALED.saturating_add(PRIME)).map(<[u8]>::to_vec)
    }

    /// The account in that.
    pub(super) fn open(&self, answer: &[u8]) -> Option<Account> {
        let (sealed, theirs) = answer.split_at_checked(SEALED)?;
        let theirs = BigNum::from_slice(theirs).ok()?;
        account(Md5::digest(self.power(&theirs).ok()?).into(), sealed)
    }

    fn power(&self, base: &openssl::bn::BigNumRef) -> Result<Vec<u8>, ErrorStack> {
        let prime = BigNum::get_rfc2409_prime_1024()?;
        let mut power = BigNum::new()?;
        power.mod_exp(base, &*BigNum::from_slice(&self.0)?, &prime, &mut *BigNumContext::new()?)?;
        power.to_vec_padded(i32::try_from(PRIME).unwrap_or_default())
    }
}

fn account(key: [u8; 16], sealed: &[u8]) -> Option<Account> {
    let cipher = Aes128::new(&key.into());
    let mut opened = Vec::with_capacity(SEALED);
    for block in sealed.chunks_exact(16) {
        let mut block = <[u8; 16]>::try_from(block).ok()?.into();
        cipher.decrypt_block(&mut block);
        opened.extend_from_slice(&block);
    }
    let (user, password) = opened.split_at_checked(64)?;
    let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
    Some((text(user), text(password)))
}
