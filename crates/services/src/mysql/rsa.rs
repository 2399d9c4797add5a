//! The key pair with which `caching_sha2_password` gives a password away outside TLS: a client that has no TLS
//! asks for the public key and sends the password, mixed with the salt, encrypted by it.

use openssl::{
    pkey::Private,
    rsa::{Padding, Rsa},
};

/// Bits of the key that MySQL makes for itself.
const BITS: u32 = 2048;

/// A key pair.
pub struct Key {
    private: Rsa<Private>,
    public: Vec<u8>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// A new key pair, as PEM.
///
/// # Errors
/// In OpenSSL's words.
pub fn make() -> Result<Vec<u8>, String> {
    let made = Rsa::generate(BITS).and_then(|key| key.private_key_to_pem());
    made.map_err(|error| format!("no RSA key could be made: {error}"))
}

impl Key {
    /// Reads a key pair.
    ///
    /// # Errors
    /// If it is none.
    pub fn read(pem: &[u8]) -> Result<Self, String> {
        let read = Rsa::private_key_from_pem(pem).and_then(|private| {
            let public = private.public_key_to_pem()?;
            Ok(Self { private, public })
        });
        read.map_err(|error| format!("not an RSA key in PEM: {error}"))
    }

    /// What a client gets that asks for it: PEM.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The password that a client sent; `None` if it is none of ours.
    pub fn open(&self, sealed: &[u8], salt: &[u8; 20]) -> Option<Vec<u8>> {
        let size = usize::try_from(self.private.size()).ok()?;
        if sealed.len() != size {
            return None;
        }
        let mut opened = vec![0; size];
        let length = self.private.private_decrypt(sealed, &mut opened, Padding::PKCS1_OAEP).ok()?;
        opened.truncate(length);
        for (byte, salt) in opened.iter_mut().zip(salt.iter().cycle()) {
            *byte ^= salt;
        }
        opened.pop().filter(|end| *end == 0)?;
        Some(opened)
    }
}
