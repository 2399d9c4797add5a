//! Encryption (MS-SMB2, sections 2.2.41, 3.1.4.3 and 3.1.5.1), for sessions that have a key.

use aes::Aes128;
use cipher::{BlockCipherEncrypt, KeyInit};
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use super::sign::{Said, derived};
use crate::smb::bytes::{Put, part, size32, u64_at};

/// Bytes before what is encrypted, and where the signature ends in them: what follows is signed, too.
const HEAD: usize = 52;
const SIGNED: usize = 20;
/// Where the nonce begins, and the session's id.
const NONCE: usize = 20;
const SESSION: usize = 44;
/// Bytes of a signature.
const TAG: usize = 16;

/// A cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// AES-128-CCM.
    Ccm,
    /// AES-128-GCM.
    Gcm,
}

impl Kind {
    /// By its number (section 2.2.3.1.2).
    pub(super) fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Ccm),
            2 => Some(Self::Gcm),
            _ => None,
        }
    }

    /// Its number.
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Ccm => 1,
            Self::Gcm => 2,
        }
    }

    /// Bytes of its nonce.
    fn nonce(self) -> usize {
        match self {
            Self::Ccm => 11,
            Self::Gcm => 12,
        }
    }

    fn open(self, key: &[u8; 16], nonce: &[u8], signed: &[u8], sealed: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gcm => decrypt_aead(Cipher::aes_128_gcm(), key, Some(nonce), signed, sealed, tag).ok(),
            Self::Ccm => {
                let ccm = Ccm::new(key, nonce);
                let content = ccm.mixed(sealed);
                openssl::memcmp::eq(&ccm.tag(signed, &content), tag.first_chunk::<TAG>()?).then_some(content)
            }
        }
    }

    fn seal(
        self,
        key: &[u8; 16],
        nonce: &[u8],
        signed: &[u8],
        content: &[u8],
    ) -> Option<([u8; TAG], Vec<u8>)> {
        match self {
            Self::Gcm => {
                let mut tag = [0; TAG];
                let sealed =
                    encrypt_aead(Cipher::aes_128_gcm(), key, Some(nonce), signed, content, &mut tag).ok()?;
                Some((tag, sealed))
            }
            Self::Ccm => {
                let ccm = Ccm::new(key, nonce);
                Some((ccm.tag(signed, content), ccm.mixed(content)))
            }
        }
    }
}

/// AES-128-CCM (RFC 3610) with a nonce of 11 bytes and a tag of 16: OpenSSL's wants to be told lengths in an order that
/// its wrapper does not keep.
struct Ccm {
    aes: Aes128,
    nonce: [u8; 11],
}

impl Ccm {
    fn new(key: &[u8; 16], nonce: &[u8]) -> Self {
        Self { aes: Aes128::new(&(*key).into()), nonce: nonce.first_chunk().copied().unwrap_or_default() }
    }

    fn encrypted(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = block.into();
        self.aes.encrypt_block(&mut block);
        block.into()
    }

    /// A block that begins with flags and the nonce, and ends with a number.
    fn block(&self, flags: u8, number: u32) -> [u8; 16] {
        let mut block = [0; 16];
        let bytes = [flags].into_iter().chain(self.nonce).chain(number.to_be_bytes());
        block.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        block
    }

    /// What is sealed of what is plain, and the other way round (section 2.3).
    fn mixed(&self, content: &[u8]) -> Vec<u8> {
        let streams = (1..=u32::MAX).map(|number| self.encrypted(self.block(3, number)));
        let blocks = content.chunks(16).zip(streams);
        blocks
            .flat_map(|(block, stream)| {
                block.iter().zip(stream).map(|(one, other)| one ^ other).collect::<Vec<_>>()
            })
            .collect()
    }

    /// The tag (section 2.2).
    fn tag(&self, signed: &[u8], content: &[u8]) -> [u8; TAG] {
        let length = u16::try_from(signed.len()).unwrap_or(u16::MAX).to_be_bytes();
        let head = [&length, signed].concat();
        let add = |state: [u8; 16], block: &[u8]| {
            let mut state = state;
            state.iter_mut().zip(block).for_each(|(one, other)| *one ^= other);
            self.encrypted(state)
        };
        let start = self.encrypted(self.block(0x7b, size32(content.len())));
        let mut tag = head.chunks(16).chain(content.chunks(16)).fold(start, add);
        tag.iter_mut().zip(self.encrypted(self.block(3, 0))).for_each(|(one, other)| *one ^= other);
        tag
    }
}

/// The keys of a session, for both directions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    kind: Kind,
    theirs: [u8; 16],
    ours: [u8; 16],
}

impl Keys {
    /// Those that follow from a session's key in that dialect.
    pub(super) fn new(dialect: u16, kind: Kind, session: &[u8; 16], said: &Said) -> Option<Self> {
        let (theirs, ours) = if dialect == 0x0311 {
            let context = said.context();
            (derived(session, b"SMBC2SCipherKey\0", context), derived(session, b"SMBS2CCipherKey\0", context))
        } else {
            let label = b"SMB2AESCCM\0";
            (derived(session, label, b"ServerIn \0"), derived(session, label, b"ServerOut\0"))
        };
        Some(Self { kind, theirs: theirs?, ours: ours? })
    }

    /// What is in an encrypted packet. `None` if it was made with another key.
    pub(super) fn open(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let (head, sealed) = packet.split_at_checked(HEAD)?;
        let tag = part(head, 4, TAG)?;
        let nonce = part(head, NONCE, self.kind.nonce())?;
        self.kind.open(&self.theirs, nonce, head.get(SIGNED..)?, sealed, tag)
    }

    /// A packet with that in it. `nonce`: never the same again.
    pub(super) fn seal(&self, session: u64, nonce: &[u8; 12], content: &[u8]) -> Option<Vec<u8>> {
        let nonce = nonce.get(..self.kind.nonce())?;
        let mut signed = nonce.to_vec();
        signed.zeros(TAG.saturating_sub(nonce.len())).u32(size32(content.len())).u16(0).u16(1).u64(session);
        let (tag, sealed) = self.kind.seal(&self.ours, nonce, &signed, content)?;
        Some([b"\xfdSMB", &tag[..], &signed, &sealed].concat())
    }
}

/// The session whose key an encrypted packet wants.
pub(super) fn session(packet: &[u8]) -> Option<u64> {
    u64_at(packet, SESSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_and_what_was_changed_is_not() {
        for kind in [Kind::Ccm, Kind::Gcm] {
            let keys = Keys::new(0x0311, kind, &[1; 16], &Said::default()).unwrap();
            let mut packet = keys.seal(7, &[9; 12], b"what is said").unwrap();
            let other = Keys { theirs: keys.ours, ..keys };
            assert_eq!((session(&packet), other.open(&packet)), (Some(7), Some(b"what is said".to_vec())));
            assert_eq!(keys.open(&packet), None);
            for at in [4, 20, 44, 52] {
                packet[at] ^= 1;
                assert_eq!(other.open(&packet), None, "{at}");
                packet[at] ^= 1;
            }
            for length in 0..packet.len() {
                assert_eq!(other.open(&packet[..length]), None);
            }
        }
    }
}
