//! VNC Authentication: a challenge encrypted under the password (RFC 6143, section 7.2.2).

use cipher::{BlockCipherEncrypt, KeyInit};
use des::Des;

/// Bytes of a challenge, and of the answer to it.
pub const CHALLENGE: usize = 16;
/// Bytes of a password that matter.
pub const LONGEST: usize = 8;

/// A password, ready to answer challenges.
#[derive(Debug, Clone)]
pub struct Password(Des);

impl Password {
    /// The first eight bytes of a password, filled up with NULs. Servers and clients take the bits of each byte in
    /// the opposite order from DES's.
    pub fn new(password: &[u8]) -> Self {
        let mut key = [0; LONGEST];
        for (key, byte) in key.iter_mut().zip(password) {
            *key = byte.reverse_bits();
        }
        Self(Des::new(&key.into()))
    }

    /// Its answer to that challenge.
    pub fn answer(&self, challenge: &[u8; CHALLENGE]) -> [u8; CHALLENGE] {
        let mut answer = *challenge;
        let (first, second) = answer.split_at_mut(LONGEST);
        for half in [first, second] {
            half.copy_from_slice(&self.encrypted(half));
        }
        answer
    }

    /// Whether it gives that answer. Half of it tells most passwords apart.
    pub fn gives(&self, answer: &[u8; CHALLENGE], challenge: &[u8; CHALLENGE]) -> bool {
        answer.starts_with(&self.encrypted(challenge)) && self.answer(challenge) == *answer
    }

    /// The first eight bytes, encrypted.
    fn encrypted(&self, bytes: &[u8]) -> [u8; LONGEST] {
        let mut block = [0; LONGEST];
        for (block, byte) in block.iter_mut().zip(bytes) {
            *block = *byte;
        }
        let mut block = block.into();
        self.0.encrypt_block(&mut block);
        block.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with OpenSSL's des-ecb over the bytes 0 to 15, the bits of each byte of the key reversed.
    const ANSWERS: [(&str, u128); 3] = [
        ("password", 0xb866_9241_25c8_eebb_9deb_c1db_61c5_38e2),
        ("COW", 0xdc72_fe4d_a173_cc3f_3c68_4d66_37ed_8c28),
        ("", 0x491e_890d_e9ac_e932_838a_4979_2f22_13f3),
    ];

    #[test]
    fn a_password_answers_as_openssl_encrypts() {
        let challenge = std::array::from_fn(|at| u8::try_from(at).unwrap_or_default());
        for (password, answer) in ANSWERS {
            let answer = answer.to_be_bytes();
            assert_eq!(Password::new(password.as_bytes()).answer(&challenge), answer);
            for other in ["password", "COW", "", "passwore"] {
                assert_eq!(Password::new(other.as_bytes()).gives(&answer, &challenge), other == password);
            }
        }
        let long = Password::new(b"password123");
        assert!(long.gives(&ANSWERS[0].1.to_be_bytes(), &challenge));
        let mut half = ANSWERS[0].1.to_be_bytes();
        half[15] ^= 1;
        assert!(!long.gives(&half, &challenge));
    }
}
