//! Signatures (MS-SMB2, sections 3.1.4.1, 3.1.4.2, 3.1.5.1), and what ties them to the negotiation (section 3.3.5.4:
//! preauthentication integrity).

use aes::Aes128;
use cipher::{BlockCipherEncrypt, KeyInit};
use openssl::{error::ErrorStack, hash::MessageDigest, pkey::PKey, sha::Sha512, sign::Signer};

use super::head::{HEAD, flag};
use crate::smb::bytes::{Put, u32_at};

/// Where the signature is in a head, and its length.
const AT: usize = 48;
const LENGTH: usize = 16;
/// Where the flags are.
const FLAGS: usize = 16;

/// A hash over what was said before a session has its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said([u8; 64]);

impl Default for Said {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Said {
    /// It, for keys to follow from.
    pub(super) fn context(&self) -> &[u8] {
        &self.0
    }

    /// Adds a message.
    pub(super) fn add(&mut self, message: &[u8]) {
        let mut hash = Sha512::new();
        hash.update(&self.0);
        hash.update(message);
        self.0 = hash.finish();
    }
}

/// How messages are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hmac,
    Cmac,
}

/// The key of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    algorithm: Algorithm,
    key: [u8; 16],
}

impl Key {
    /// The key that follows from a session's in that dialect.
    pub(super) fn new(dialect: u16, algorithm: Algorithm, session: &[u8; 16], said: &Said) -> Option<Self> {
        let key = match dialect {
            0x0311 => derived(session, b"SMBSigningKey\0", &said.0),
            0x0300.. => derived(session, b"SMB2AESCMAC\0", b"SmbSign\0"),
            _ => return Some(Self { algorithm: Algorithm::Hmac, key: *session }),
        };
        Some(Self { algorithm, key: key? })
    }

    /// Signs a message, which must be whole and have room for it.
    pub(super) fn sign(&self, message: &mut [u8]) {
        let flags = u32_at(message, FLAGS).unwrap_or_default() | flag::SIGNED;
        if let Some(place) = message.get_mut(FLAGS..FLAGS.saturating_add(4)) {
            place.copy_from_slice(&flags.to_le_bytes());
        }
        let Some(signature) = self.signature(message) else { return };
        if let Some(place) = message.get_mut(AT..HEAD) {
            place.copy_from_slice(&signature);
        }
    }

    /// Whether that message's signature is right.
    pub(super) fn verifies(&self, message: &[u8]) -> bool {
        let (claimed, made) = (message.get(AT..HEAD), self.signature(message));
        matches!((claimed, made), (Some(claimed), Some(made)) if openssl::memcmp::eq(claimed, &made))
    }

    /// The signature of a message as it is without one.
    fn signature(&self, message: &[u8]) -> Option<[u8; LENGTH]> {
        let mut bare = message.to_vec();
        bare.get_mut(AT..HEAD)?.fill(0);
        match self.algorithm {
            Algorithm::Hmac => hmac(&self.key, &[&bare]).ok()?.first_chunk().copied(),
            Algorithm::Cmac => Some(cmac(&self.key, &bare)),
        }
    }
}

/// HMAC-SHA256.
fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
    parts.iter().try_for_each(|part| signer.update(part))?;
    signer.sign_to_vec()
}

/// A key made from another for that purpose (NIST SP 800-108, in counter mode, of 128 bits).
pub(super) fn derived(key: &[u8; 16], label: &[u8], context: &[u8]) -> Option<[u8; 16]> {
    let mut purpose = Vec::new();
    purpose.raw(&[0, 0, 0, 1]).raw(label).u8(0).raw(context).raw(&[0, 0, 0, 128]);
    hmac(key, &[&purpose]).ok()?.first_chunk().copied()
}

/// AES-CMAC (RFC 4493).
fn cmac(key: &[u8; 16], message: &[u8]) -> [u8; 16] {
    let aes = Aes128::new(&(*key).into());
    let encrypted = |block: [u8; 16]| -> [u8; 16] {
        let mut block = block.into();
        aes.encrypt_block(&mut block);
        block.into()
    };
    let doubled = |block: [u8; 16]| {
        let number = u128::from_be_bytes(block);
        let carry = if number >> 127 == 1 { 0x87 } else { 0 };
        (number << 1 ^ carry).to_be_bytes()
    };
    let mixed = |one: [u8; 16], other: &[u8]| {
        let mut one = one;
        one.iter_mut().zip(other).for_each(|(one, other)| *one ^= other);
        one
    };
    let subkey = doubled(encrypted([0; 16]));
    let split = message.len().saturating_sub(1) & !15;
    let (blocks, last) = message.split_at_checked(split).unwrap_or((message, &[]));
    let state = blocks.chunks_exact(16).fold([0; 16], |state, block| encrypted(mixed(state, block)));
    let last = match last.len() {
        16 => mixed(subkey, last),
        _ => mixed(mixed(doubled(subkey), last), &padding(last.len())),
    };
    encrypted(mixed(state, &last))
}

/// What fills a last block: a bit, and zeros.
fn padding(at: usize) -> [u8; 16] {
    let mut block = [0; 16];
    if let Some(byte) = block.get_mut(at) {
        *byte = 0x80;
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_blocks_are_those_of_the_specification() {
        // RFC 4493, section 4.
        let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
        let message: Vec<u8> = [
            0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128,
            0xae2d_8a57_1e03_ac9c_9eb7_6fac_45af_8e51,
            0x30c8_1c46_a35c_e411_0000_0000_0000_0000,
        ]
        .iter()
        .flat_map(|block| block.to_be_bytes())
        .collect();
        for (length, expected) in [
            (0, 0xbb1d_6929_e959_3728_7fa3_7d12_9b75_6746_u128),
            (16, 0x070a_16b4_6b4d_4144_f79b_dd9d_d04a_287c),
            (40, 0xdfa6_6747_de9a_e630_30ca_3261_1497_c827),
        ] {
            assert_eq!(cmac(&key, &message[..length]), expected.to_be_bytes(), "{length}");
        }
    }

    #[test]
    fn what_was_changed_does_not_verify() {
        let mut message = [b"\xfeSMB".as_slice(), &[7; 100]].concat();
        for (dialect, algorithm) in
            [(0x0210, Algorithm::Cmac), (0x0302, Algorithm::Cmac), (0x0311, Algorithm::Hmac)]
        {
            let key = Key::new(dialect, algorithm, &[1; 16], &Said::default()).unwrap();
            key.sign(&mut message);
            assert!(key.verifies(&message));
            message[80] ^= 1;
            assert!(!key.verifies(&message));
        }
    }
}
