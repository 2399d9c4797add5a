//! UMAC, the message authentication that OpenSSH prefers (RFC 4418), in its two sizes for SSH
//! (draft-miller-secsh-umac).

use aes::{
    Aes128, Block,
    cipher::{BlockCipherEncrypt, KeyInit},
};

/// Bytes hashed at a time by the first layer (RFC 4418, section 5.1).
const CHUNK: usize = 1024;
/// prime(36) and prime(64) of RFC 4418, section 1.3.
const PRIME_36: u64 = 0xf_ffff_fffb;
const PRIME_64: u128 = 0xffff_ffff_ffff_ffc5;
/// From here on, a word of the second layer is split: 2⁶⁴ - 2³² (section 5.3.1).
const MAX_WORD: u64 = 0xffff_ffff_0000_0000;

/// The keys of one direction.
pub(super) struct Umac {
    pad: Aes128,
    words: Vec<u32>,
    streams: Vec<Stream>,
}

/// One of the parallel hashes, four bytes of the tag each. Its key of the first layer starts four words after
/// that of the one before.
struct Stream {
    poly: u64,
    inner: [u64; 8],
    mask: u32,
}

impl Umac {
    /// For a tag of 8 or 16 bytes.
    pub(super) fn new(key: &[u8; 16], tag: usize) -> Self {
        let cipher = Aes128::new(key.into());
        let count = tag / 4;
        let first = derive(&cipher, 1, CHUNK.saturating_add(count.saturating_mul(16)));
        let second = derive(&cipher, 2, count.saturating_mul(24));
        let third = derive(&cipher, 3, count.saturating_mul(64));
        let fourth = derive(&cipher, 4, count.saturating_mul(4));
        let polys = second.chunks_exact(24).filter_map(|keys| longs(keys).next());
        let inner = third.chunks_exact(64).map(|keys| {
            let mut inner = [0; 8];
            inner.iter_mut().zip(longs(keys)).for_each(|(slot, key)| *slot = key % PRIME_36);
            inner
        });
        let streams = polys.zip(inner).zip(words(&fourth)).map(|((poly, inner), mask)| Stream {
            poly: poly & 0x01ff_ffff_01ff_ffff,
            inner,
            mask,
        });
        let pad = Aes128::new_from_slice(&derive(&cipher, 0, 16)).unwrap_or(cipher);
        Self { pad, streams: streams.collect(), words: words(&first).collect() }
    }

    /// The tag of a packet. The nonce is its sequence number, as eight bytes.
    pub(super) fn tag(&self, sequence: u32, message: &[u8]) -> Vec<u8> {
        let mut tag: Vec<u8> = self.hashes(message).flat_map(u32::to_be_bytes).collect();
        // Two tags of eight bytes share a block of pad (section 3.3).
        let shared = tag.len() == 8;
        let nonce = if shared { sequence & !1 } else { sequence };
        let mut block = Block::default();
        block.iter_mut().skip(4).zip(nonce.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
        self.pad.encrypt_block(&mut block);
        let skip = if shared && sequence & 1 == 1 { 8 } else { 0 };
        tag.iter_mut().zip(block.iter().skip(skip)).for_each(|(byte, pad)| *byte ^= pad);
        tag
    }

    fn hashes(&self, message: &[u8]) -> impl Iterator<Item = u32> {
        let keys = self.words.windows(CHUNK / 4).step_by(4);
        self.streams.iter().zip(keys).map(|(stream, key)| stream.hash(key, message))
    }
}

impl Stream {
    fn hash(&self, key: &[u32], message: &[u8]) -> u32 {
        if message.len() <= CHUNK {
            return self.last_layer(first_layer(key, message).into());
        }
        let mut y: u128 = 1;
        for chunk in message.chunks(CHUNK) {
            let word = first_layer(key, chunk);
            if word >= MAX_WORD {
                y = self.step(y, PRIME_64.wrapping_sub(1));
                y = self.step(y, u128::from(word).wrapping_sub(59));
            } else {
                y = self.step(y, word.into());
            }
        }
        self.last_layer(y)
    }

    fn step(&self, y: u128, word: u128) -> u128 {
        // y < 2⁶⁴ and the key < 2⁵⁷: no overflow. The prime is not zero.
        u128::from(self.poly).wrapping_mul(y).wrapping_add(word) % PRIME_64
    }

    /// Folds 128 bits into 32 (section 5.4).
    fn last_layer(&self, word: u128) -> u32 {
        let mut sum: u64 = 0;
        for (pair, key) in word.to_be_bytes().chunks_exact(2).zip(self.inner) {
            let pair = pair.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
            // Eight products of 16 and 36 bits.
            sum = sum.wrapping_add(pair.wrapping_mul(key));
        }
        u32::try_from((sum % PRIME_36) & 0xffff_ffff).unwrap_or_default() ^ self.mask
    }
}

/// NH of one chunk, with its length (sections 5.2.1 and 5.2.2).
fn first_layer(key: &[u32], chunk: &[u8]) -> u64 {
    let mut message = [0; CHUNK / 4];
    for (slot, bytes) in message.iter_mut().zip(chunk.chunks(4)) {
        *slot = bytes.iter().rev().fold(0, |word: u32, byte| (word << 8) | u32::from(*byte));
    }
    let blocks = chunk.len().max(1).div_ceil(32);
    let mut sum = u64::try_from(chunk.len()).unwrap_or_default().wrapping_mul(8);
    for (m, k) in message.chunks_exact(8).zip(key.chunks_exact(8)).take(blocks) {
        let added: Vec<u64> = m.iter().zip(k).map(|(m, k)| m.wrapping_add(*k).into()).collect();
        if let [a, b, c, d, e, f, g, h] = added[..] {
            for (one, other) in [(a, e), (b, f), (c, g), (d, h)] {
                sum = sum.wrapping_add(one.wrapping_mul(other));
            }
        }
    }
    sum
}

/// KDF of section 3.2.
fn derive(cipher: &Aes128, index: u8, length: usize) -> Vec<u8> {
    let mut derived = Vec::with_capacity(length.saturating_add(16));
    let mut count: u64 = 0;
    while derived.len() < length {
        count = count.wrapping_add(1);
        let number = u128::from(index) << 64 | u128::from(count);
        let mut block = Block::from(number.to_be_bytes());
        cipher.encrypt_block(&mut block);
        derived.extend_from_slice(&block);
    }
    derived.truncate(length);
    derived
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).filter_map(|word| word.try_into().ok()).map(u32::from_be_bytes)
}

fn longs(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks_exact(8).filter_map(|long| long.try_into().ok()).map(u64::from_be_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// The appendix of RFC 4418 has a nonce of eight letters; packets only have small ones, so the vectors are
    /// checked on the hash: two tags under one pad differ as the hashes do.
    #[test]
    fn tags_of_the_specification_come_out() {
        let umac = Umac::new(b"abcdefghijklmnop", 8);
        let hash = |message: &[u8]| -> u64 {
            umac.hashes(message).fold(0, |hash, part| hash << 32 | u64::from(part))
        };
        let empty = 0x6e15_5fad_2690_0be1_u64;
        for (message, tag) in [
            (b"a".repeat(3), 0x44b5_cb54_2f22_0104_u64),
            (b"a".repeat(1 << 10), 0x26bf_2f5d_6011_8bd9),
            (b"a".repeat(1 << 15), 0x27f8_ef64_3b0d_118d),
            (b"abc".to_vec(), 0xd4d7_b9f6_bd4f_bfcf),
            (b"abc".repeat(500), 0xd4cf_26dd_efd5_c01a),
        ] {
            assert_eq!(hash(&message) ^ hash(b""), tag ^ empty);
        }
    }
}
