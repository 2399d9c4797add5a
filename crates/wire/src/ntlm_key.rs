//! What follows from a password in NTLM (MS-NLMP, sections 3.3 and 3.4): its hash, proofs, the key of a session, and
//! signatures made with that.

use cipher::BlockCipherEncrypt;
use des::Des;
use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;

use crate::ntlm::{Answer, V1, flag, wide};

/// Bytes of the proof at the front of an answer of version 2.
const PROOF: usize = 16;
/// What a server's keys are made with (section 3.4.5).
const SIGNS: &[u8] = b"session key to server-to-client signing key magic constant\0";
const SEALS: &[u8] = b"session key to server-to-client sealing key magic constant\0";

/// What Windows stores of a password.
pub fn hash(password: &[u8]) -> [u8; 16] {
    Md4::digest(wide(&String::from_utf8_lossy(password))).into()
}

/// The same by a client that takes each byte of a password for a character.
pub fn hash_of_bytes(password: &[u8]) -> [u8; 16] {
    Md4::digest(password.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<u8>>()).into()
}

/// HMAC-MD5 over all parts.
pub fn mac(key: &[u8; 16], parts: &[&[u8]]) -> [u8; 16] {
    let mut key_block = [0; 64];
    for (to, from) in key_block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = <Hmac<Md5> as KeyInit>::new(&key_block.into());
    parts.iter().for_each(|part| Mac::update(&mut mac, part));
    mac.finalize().into_bytes().into()
}

/// The proof of version 1, and of the LAN Manager: the challenge, encrypted under each third of a hash, of which the last
/// has five zero bytes behind two.
pub fn v1_of(hash: &[u8; 16], challenge: [u8; 8]) -> Vec<u8> {
    let key = [&hash[..], &[0; 5]].concat();
    key.chunks_exact(7).flat_map(|part| encrypted(part, challenge)).collect()
}

/// What is encrypted of both challenges where the client has one of its own (extended session security).
pub fn both(ours: &[u8], client: &[u8]) -> [u8; 8] {
    Md5::new().chain_update(ours).chain_update(client).finalize().first_chunk().copied().unwrap_or_default()
}

/// A block under a key of seven bytes, of which each seven bits are followed by one that does not matter.
pub fn encrypted(key: &[u8], block: [u8; 8]) -> [u8; 8] {
    let bits = key.iter().fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let shifts = [49_u32, 42, 35, 28, 21, 14, 7, 0];
    let spread = shifts.map(|shift| u8::try_from((bits >> shift) & 0x7f).unwrap_or_default() << 1);
    let mut block = block.into();
    Des::new(&spread.into()).encrypt_block(&mut block);
    block.into()
}

/// The key of version 2: that of the password, the name in capitals, and the domain. All in UTF-8.
pub fn v2(password: &[u8], user: &[u8], domain: &[u8]) -> [u8; 16] {
    v2_of(&hash(password), user, domain)
}

/// The same, of the hash of the password.
pub fn v2_of(hash: &[u8; 16], user: &[u8], domain: &[u8]) -> [u8; 16] {
    let user = wide(&String::from_utf8_lossy(user).to_uppercase());
    let domain = wide(&String::from_utf8_lossy(domain));
    mac(hash, &[&user, &domain])
}

impl Answer {
    /// The key of the session, if this answers the challenge with that password, in either version.
    pub fn key(&self, challenge: &[u8; 8], password: &[u8]) -> Option<[u8; 16]> {
        let base = match self.nt.len() {
            V1 => self.base_v1(challenge, password),
            _ => self.base_v2(challenge, password),
        }?;
        if self.flags & flag::KEY_EXCHANGE == 0 {
            return Some(base);
        }
        rc4(&base, &self.session_key).try_into().ok()
    }

    /// Section 3.3.1, and `KXKEY` of section 3.4.5.1 without keys of the LAN Manager, which are never agreed on.
    fn base_v1(&self, challenge: &[u8; 8], password: &[u8]) -> Option<[u8; 16]> {
        let hash = hash(password);
        let base = Md4::digest(hash).into();
        let (challenged, key) = match self.client_challenge() {
            None => (*challenge, base),
            Some(client) => (both(challenge, client), mac(&base, &[challenge, client])),
        };
        (v1_of(&hash, challenged) == self.nt).then_some(key)
    }

    /// Section 3.3.2.
    fn base_v2(&self, challenge: &[u8; 8], password: &[u8]) -> Option<[u8; 16]> {
        let (proof, rest) = self.nt.split_at_checked(PROOF).filter(|(_, rest)| !rest.is_empty())?;
        let key = v2(password, &self.user, &self.domain);
        (mac(&key, &[challenge, rest]) == *proof).then(|| mac(&key, &[proof]))
    }
}

/// A server's first signature in a session, over that message (section 3.4.4.2), by what a client wished for.
pub fn signature(key: &[u8; 16], flags: u32, message: &[u8]) -> [u8; 16] {
    let derived = |purpose: &[u8]| -> [u8; 16] { Md5::digest([key, purpose].concat()).into() };
    let number = [0; 4];
    let sum = mac(&derived(SIGNS), &[&number, message]);
    let mut sum = sum.get(..8).unwrap_or_default().to_vec();
    if flags & flag::KEY_EXCHANGE != 0 {
        sum = rc4(&derived(SEALS), &sum);
    }
    let mut signature = [0; 16];
    let parts = [1, 0, 0, 0].into_iter().chain(sum).chain(number);
    for (to, from) in signature.iter_mut().zip(parts) {
        *to = from;
    }
    signature
}

/// RC4. OpenSSL has it no longer without being asked for.
#[derive(Clone)]
pub struct Rc4 {
    state: [u8; 256],
    at: u8,
    other: u8,
}

impl std::fmt::Debug for Rc4 {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rc4").finish_non_exhaustive()
    }
}

impl Rc4 {
    /// From its start.
    pub fn new(key: &[u8]) -> Self {
        let mut state: [u8; 256] = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
        let mut other = 0_u8;
        for (at, key) in (0..=255_u8).zip(key.iter().cycle()) {
            other = other.wrapping_add(at_of(&state, at)).wrapping_add(*key);
            state.swap(at.into(), other.into());
        }
        Self { state, at: 0, other: 0 }
    }

    /// Encrypts or decrypts the next bytes.
    pub fn apply(&mut self, text: &[u8]) -> Vec<u8> {
        let mut next = |byte: &u8| {
            self.at = self.at.wrapping_add(1);
            let one = at_of(&self.state, self.at);
            self.other = self.other.wrapping_add(one);
            let two = at_of(&self.state, self.other);
            self.state.swap(self.at.into(), self.other.into());
            byte ^ at_of(&self.state, one.wrapping_add(two))
        };
        text.iter().map(&mut next).collect()
    }
}

/// All of a text in one.
pub fn rc4(key: &[u8], text: &[u8]) -> Vec<u8> {
    Rc4::new(key).apply(text)
}

fn at_of(state: &[u8; 256], at: u8) -> u8 {
    state.get(usize::from(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_is_that_of_everybody_else() {
        // RFC 6229, section 2: key 0102030405, offset 0.
        let stream = rc4(&[1, 2, 3, 4, 5], &[0; 8]);
        assert_eq!(stream, [0xb2, 0x39, 0x63, 0x05, 0xf0, 0x3d, 0xc0, 0x27]);
    }

    /// MS-NLMP, section 4.2.4: user "User", domain "Domain", password "Password".
    fn example() -> Answer {
        let blob = b"\x01\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\0\0\0\0\
            \x02\0\x0c\0D\0o\0m\0a\0i\0n\0\x01\0\x0c\0S\0e\0r\0v\0e\0r\0\0\0\0\0\0\0\0\0";
        let proof = b"\x68\xcd\x0a\xb8\x51\xe5\x1c\x96\xaa\xbc\x92\x7b\xeb\xef\x6a\x1c";
        Answer {
            user: b"User".to_vec(),
            domain: b"Domain".to_vec(),
            nt: [&proof[..], blob].concat(),
            session_key: b"\xc5\xda\xd2\x54\x4f\xc9\x79\x90\x94\xce\x1c\xe9\x0b\xc9\xd0\x3e".to_vec(),
            ..Answer::default()
        }
    }

    #[test]
    fn the_key_of_a_session_is_that_of_the_specification() {
        let challenge = *b"\x01\x23\x45\x67\x89\xab\xcd\xef";
        let mut answer = example();
        let base =
            [0x8d, 0xe4, 0x0c, 0xca, 0xdb, 0xc1, 0x4a, 0x82, 0xf1, 0x5c, 0xb0, 0xad, 0x0d, 0xe9, 0x5c, 0xa3];
        assert_eq!(answer.key(&challenge, b"Password"), Some(base));
        answer.flags = flag::KEY_EXCHANGE;
        assert_eq!(answer.key(&challenge, b"Password"), Some([0x55; 16]));
        assert_eq!(answer.key(&challenge, b"password"), None);
        assert_eq!(answer.key(&[0; 8], b"Password"), None);
        answer.nt.truncate(PROOF);
        assert_eq!(answer.key(&challenge, b"Password"), None);
    }

    /// MS-NLMP, sections 4.2.2 and 4.2.3.
    #[test]
    fn so_is_that_of_version_1_with_and_without_a_challenge_of_the_client_s() {
        let challenge = *b"\x01\x23\x45\x67\x89\xab\xcd\xef";
        let mut answer = Answer {
            nt: b"\x67\xc4\x30\x11\xf3\x02\x98\xa2\xad\x35\xec\xe6\x4f\x16\x33\x1c\x44\xbd\xbe\xd9\x27\x84\x1f\x94".to_vec(),
            session_key: b"\x51\x88\x22\xb1\xb3\xf3\x50\xc8\x95\x86\x82\xec\xbb\x3e\x3c\xb7".to_vec(),
            ..example()
        };
        let base =
            [0xd8, 0x72, 0x62, 0xb0, 0xcd, 0xe4, 0xb1, 0xcb, 0x74, 0x99, 0xbe, 0xcc, 0xcd, 0xf1, 0x07, 0x84];
        assert_eq!(answer.key(&challenge, b"Password"), Some(base));
        answer.flags = flag::KEY_EXCHANGE;
        assert_eq!(answer.key(&challenge, b"Password"), Some([0x55; 16]));
        assert_eq!(answer.key(&challenge, b"password"), None);
        answer.flags = 0;
        answer.lm = [&[0xaa; 8][..], &[0; 16]].concat();
        assert_eq!(answer.key(&challenge, b"Password"), None);
        answer.nt =
            b"\x75\x37\xf8\x03\xae\x36\x71\x28\xca\x45\x82\x04\xbd\xe7\xca\xf8\x1e\x97\xed\x26\x83\x26\x72\x32".to_vec();
        let base =
            [0xeb, 0x93, 0x42, 0x9a, 0x8b, 0xd9, 0x52, 0xf8, 0xb8, 0x9c, 0x55, 0xb8, 0x7f, 0x47, 0x5e, 0xdc];
        assert_eq!(answer.key(&challenge, b"Password"), Some(base));
        assert_eq!(answer.key(&[0; 8], b"Password"), None);
    }
}
