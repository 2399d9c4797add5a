//! Encryption: the ciphers of RFC 4253 section 6.3, RFC 4344, RFC 4345 and RFC 5647, and OpenSSH's
//! chacha20-poly1305 (PROTOCOL.chacha20poly1305).

use blowfish::Blowfish;
use cast5::Cast5;
use chacha20::ChaCha20Legacy;
use cipher::{
    Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, KeyIvInit, StreamCipher,
    consts::U8,
};
use openssl::{
    cipher::{Cipher, CipherRef},
    cipher_ctx::CipherCtx,
    error::ErrorStack,
};
use poly1305::Poly1305;

/// An algorithm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Algorithm {
    sort: Sort,
    /// Bytes of key.
    pub(super) key: usize,
    /// Bytes of initialisation vector.
    pub(super) iv: usize,
    /// What packets are padded to.
    pub(super) block: usize,
    /// Whether the end of a broken packet is hidden from the peer, as it is for the chained modes.
    pub(super) chained: bool,
}

#[derive(Debug, Clone, Copy)]
enum Sort {
    Evp(fn() -> &'static CipherRef),
    Blowfish,
    Cast,
    /// With so many bytes thrown away at the start.
    Rc4(usize),
    Gcm(fn() -> &'static CipherRef),
    ChaCha,
}

/// The algorithm of that name.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    let (sort, key, iv, block) = match name {
        "aes128-ctr" => (Sort::Evp(Cipher::aes_128_ctr), 16, 16, 16),
        "aes192-ctr" => (Sort::Evp(Cipher::aes_192_ctr), 24, 16, 16),
        "aes256-ctr" => (Sort::Evp(Cipher::aes_256_ctr), 32, 16, 16),
        "aes128-cbc" => (Sort::Evp(Cipher::aes_128_cbc), 16, 16, 16),
        "aes192-cbc" => (Sort::Evp(Cipher::aes_192_cbc), 24, 16, 16),
        "aes256-cbc" | "rijndael-cbc@lysator.liu.se" => (Sort::Evp(Cipher::aes_256_cbc), 32, 16, 16),
        "3des-cbc" => (Sort::Evp(Cipher::des_ede3_cbc), 24, 8, 8),
        "blowfish-cbc" => (Sort::Blowfish, 16, 8, 8),
        "cast128-cbc" => (Sort::Cast, 16, 8, 8),
        "arcfour" => (Sort::Rc4(0), 16, 0, 8),
        "arcfour128" => (Sort::Rc4(1536), 16, 0, 8),
        "arcfour256" => (Sort::Rc4(1536), 32, 0, 8),
        "aes128-gcm@openssh.com" => (Sort::Gcm(Cipher::aes_128_gcm), 16, 12, 16),
        "aes256-gcm@openssh.com" => (Sort::Gcm(Cipher::aes_256_gcm), 32, 12, 16),
        "chacha20-poly1305@openssh.com" => (Sort::ChaCha, 64, 0, 8),
        _ => return None,
    };
    Some(Algorithm { sort, key, iv, block, chained: name.contains("-cbc") })
}

impl Algorithm {
    /// Whether it authenticates too, and so needs no other authentication.
    pub(super) fn authenticates(&self) -> bool {
        matches!(self.sort, Sort::Gcm(_) | Sort::ChaCha)
    }

    /// With a key and a vector as long as it asks for.
    pub(super) fn start(&self, key: &[u8], iv: &[u8], seal: bool) -> Result<Keyed, ErrorStack> {
        Ok(match self.sort {
            Sort::Evp(cipher) => {
                let mut context = CipherCtx::new()?;
                match seal {
                    true => context.encrypt_init(Some(cipher()), Some(key), Some(iv))?,
                    false => context.decrypt_init(Some(cipher()), Some(key), Some(iv))?,
                }
                context.set_padding(false);
                Keyed::Plain(Box::new(Evp(context)))
            }
            Sort::Blowfish => {
                let cipher: Blowfish = Blowfish::new_from_slice(key).map_err(|_| ErrorStack::get())?;
                Keyed::Plain(Box::new(Chained::new(cipher, iv, seal)))
            }
            Sort::Cast => {
                let cipher = Cast5::new_from_slice(key).map_err(|_| ErrorStack::get())?;
                Keyed::Plain(Box::new(Chained::new(cipher, iv, seal)))
            }
            Sort::Rc4(skip) => Keyed::Plain(Box::new(Rc4::new(key, skip))),
            Sort::Gcm(cipher) => {
                let mut context = CipherCtx::new()?;
                match seal {
                    true => context.encrypt_init(Some(cipher()), Some(key), None)?,
                    false => context.decrypt_init(Some(cipher()), Some(key), None)?,
                }
                Keyed::Gcm(Gcm { context, iv: iv.try_into().unwrap_or_default() })
            }
            Sort::ChaCha => Keyed::ChaCha(Box::new(ChaCha(key.try_into().unwrap_or([0; 64])))),
        })
    }
}

/// A cipher with its key, for one direction.
pub(super) enum Keyed {
    /// The length is encrypted like the rest.
    Plain(Box<dyn Transform>),
    /// The length is not encrypted, only authenticated.
    Gcm(Gcm),
    /// The length has a key of its own.
    ChaCha(Box<ChaCha>),
}

/// Encrypts or decrypts whole blocks, in the order in which they come.
pub(super) trait Transform: Send {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), ErrorStack>;
}

struct Evp(CipherCtx);

impl Transform for Evp {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), ErrorStack> {
        let mut out = Vec::new();
        self.0.cipher_update_vec(data, &mut out)?;
        data.iter_mut().zip(out).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }
}

/// Cipher block chaining of eight bytes, for the two ciphers that OpenSSL has put aside.
struct Chained<C> {
    cipher: C,
    previous: Array<u8, U8>,
    seal: bool,
}

impl<C> Chained<C> {
    fn new(cipher: C, iv: &[u8], seal: bool) -> Self {
        Self { cipher, previous: Array::try_from(iv).unwrap_or_default(), seal }
    }
}

impl<C> Transform for Chained<C>
where
    C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U8> + Send,
{
    fn apply(&mut self, data: &mut [u8]) -> Result<(), ErrorStack> {
        let mix = |block: &mut Array<u8, U8>, with: &Array<u8, U8>| {
            block.iter_mut().zip(with).for_each(|(byte, other)| *byte ^= other);
        };
        for bytes in data.chunks_exact_mut(8) {
            let mut block: Array<u8, U8> = Array::try_from(&*bytes).unwrap_or_default();
            if self.seal {
                mix(&mut block, &self.previous);
                self.cipher.encrypt_block(&mut block);
                self.previous = block;
            } else {
                let sealed = block;
                self.cipher.decrypt_block(&mut block);
                mix(&mut block, &self.previous);
                self.previous = sealed;
            }
            bytes.copy_from_slice(&block);
        }
        Ok(())
    }
}

/// RC4 (draft-kaukonen-cipher-arcfour-03), which no library is asked for.
struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    fn new(key: &[u8], skip: usize) -> Self {
        let mut rc4 = Self { state: [0; 256], i: 0, j: 0 };
        rc4.state.iter_mut().zip(0..=255).for_each(|(slot, value)| *slot = value);
        let mut j: u8 = 0;
        for (i, key) in (0..=255_u8).zip(key.iter().cycle()) {
            j = j.wrapping_add(rc4.at(i)).wrapping_add(*key);
            rc4.state.swap(i.into(), j.into());
        }
        for _ in 0..skip {
            rc4.next();
        }
        rc4
    }

    fn at(&self, index: u8) -> u8 {
        self.state.get(usize::from(index)).copied().unwrap_or_default()
    }

    fn next(&mut self) -> u8 {
        self.i = self.i.wrapping_add(1);
        self.j = self.j.wrapping_add(self.at(self.i));
        self.state.swap(self.i.into(), self.j.into());
        self.at(self.at(self.i).wrapping_add(self.at(self.j)))
    }
}

impl Transform for Rc4 {
    fn apply(&mut self, data: &mut [u8]) -> Result<(), ErrorStack> {
        data.iter_mut().for_each(|byte| *byte ^= self.next());
        Ok(())
    }
}

/// Bytes of tag of both ciphers that authenticate.
pub(super) const TAG: usize = 16;

/// AES-GCM: the first four bytes of the vector are fixed, the rest counts packets (RFC 5647, section 7.1).
pub(super) struct Gcm {
    context: CipherCtx,
    iv: [u8; 12],
}

impl Gcm {
    /// Encrypts what follows the length; returns it with the tag.
    pub(super) fn seal(&mut self, length: &[u8], body: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        self.context.encrypt_init(None, None, Some(&self.iv))?;
        let mut out = Vec::with_capacity(body.len().saturating_add(TAG));
        self.context.cipher_update(length, None)?;
        self.context.cipher_update_vec(body, &mut out)?;
        self.context.cipher_final_vec(&mut out)?;
        let mut tag = [0; TAG];
        self.context.tag(&mut tag)?;
        out.extend_from_slice(&tag);
        self.count();
        Ok(out)
    }

    /// Decrypts what follows the length; an error if the tag is wrong.
    pub(super) fn open(&mut self, length: &[u8], body: &[u8], tag: &[u8]) -> Result<Vec<u8>, ErrorStack> {
        self.context.decrypt_init(None, None, Some(&self.iv))?;
        let mut out = Vec::with_capacity(body.len());
        self.context.cipher_update(length, None)?;
        self.context.cipher_update_vec(body, &mut out)?;
        self.context.set_tag(tag)?;
        self.context.cipher_final_vec(&mut out)?;
        self.count();
        Ok(out)
    }

    fn count(&mut self) {
        for byte in self.iv.iter_mut().skip(4).rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
}

/// ChaCha20 and Poly1305: the first half of the key is for packets, the second for their lengths.
pub(super) struct ChaCha([u8; 64]);

impl ChaCha {
    /// Encrypts or decrypts a length.
    pub(super) fn length(&self, sequence: u32, length: [u8; 4]) -> [u8; 4] {
        let (_, key) = self.keys();
        let mut length = length;
        stream(key, sequence).apply_keystream(&mut length);
        length
    }

    /// Encrypts what follows the (encrypted) length; returns it with the tag.
    pub(super) fn seal(&self, sequence: u32, length: &[u8], body: &[u8]) -> Vec<u8> {
        let (key, mut stream) = self.body(sequence);
        let mut sealed = length.to_vec();
        sealed.extend_from_slice(body);
        stream.apply_keystream(sealed.get_mut(length.len()..).unwrap_or_default());
        let tag = Poly1305::new(&key.into()).compute_unpadded(&sealed);
        sealed.drain(..length.len());
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Decrypts what follows the length, `packet` being both; `None` if the tag is wrong.
    pub(super) fn open(&self, sequence: u32, packet: &[u8], tag: &[u8]) -> Option<Vec<u8>> {
        let (key, mut stream) = self.body(sequence);
        let expected = Poly1305::new(&key.into()).compute_unpadded(packet);
        if !same(&expected, tag) {
            return None;
        }
        let mut body = packet.get(4..)?.to_vec();
        stream.apply_keystream(&mut body);
        Some(body)
    }

    fn keys(&self) -> (&[u8], &[u8]) {
        self.0.split_at_checked(32).unwrap_or_default()
    }

    /// The key of the tag is the start of the first block; the packet begins with the second.
    fn body(&self, sequence: u32) -> ([u8; 32], ChaCha20Legacy) {
        let mut stream = stream(self.keys().0, sequence);
        let mut block = [0; 64];
        stream.apply_keystream(&mut block);
        (block.first_chunk().copied().unwrap_or_default(), stream)
    }
}

fn stream(key: &[u8], sequence: u32) -> ChaCha20Legacy {
    let key: [u8; 32] = key.try_into().unwrap_or_default();
    ChaCha20Legacy::new(&key.into(), &u64::from(sequence).to_be_bytes().into())
}

/// Compares tags in constant time.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && openssl::memcmp::eq(one, other)
}
