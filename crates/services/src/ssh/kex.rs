//! Key exchange, our side: RFC 4253 section 8 (classic groups), RFC 4419 (group exchange), RFC 5656 (NIST
//! curves), RFC 8731 (X25519), RFC 9941 (with NTRU Prime) and draft-ietf-sshm-mlkem-hybrid-kex (with ML-KEM).

use haldane_core::{Cx, Halt, Input};
use ml_kem::{EncapsulationKey, MlKem768, kem::TryKeyInit};
use openssl::{
    bn::{BigNum, BigNumContext, BigNumRef},
    ec::{EcGroup, EcPoint, PointConversionForm},
    error::ErrorStack,
    hash::{MessageDigest, hash},
    nid::Nid,
};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::{
    packet::{Keys, Suite},
    release::Release,
    wire::{Put, end, mpint, string},
};

/// A method.
#[derive(Clone, Copy)]
pub(super) struct Method {
    digest: fn() -> MessageDigest,
    sort: Sort,
}

#[derive(Clone, Copy)]
enum Sort {
    X25519,
    Nist(Nid),
    Group(Prime),
    Exchange,
    Sntrup,
    MlKem,
}

/// Makes the prime of a group whose generator is 2 (RFC 2409 and RFC 3526).
type Prime = fn() -> Result<BigNum, ErrorStack>;

/// The method of that name.
pub(super) fn method(name: &str) -> Option<Method> {
    let (sort, digest): (_, fn() -> MessageDigest) = match name {
        "curve25519-sha256" | "curve25519-sha256@libssh.org" => (Sort::X25519, MessageDigest::sha256),
        "sntrup761x25519-sha512" | "sntrup761x25519-sha512@openssh.com" => {
            (Sort::Sntrup, MessageDigest::sha512)
        }
        "mlkem768x25519-sha256" => (Sort::MlKem, MessageDigest::sha256),
        "ecdh-sha2-nistp256" => (Sort::Nist(Nid::X9_62_PRIME256V1), MessageDigest::sha256),
        "ecdh-sha2-nistp384" => (Sort::Nist(Nid::SECP384R1), MessageDigest::sha384),
        "ecdh-sha2-nistp521" => (Sort::Nist(Nid::SECP521R1), MessageDigest::sha512),
        "diffie-hellman-group-exchange-sha256" => (Sort::Exchange, MessageDigest::sha256),
        "diffie-hellman-group-exchange-sha1" => (Sort::Exchange, MessageDigest::sha1),
        "diffie-hellman-group18-sha512" => {
            (Sort::Group(BigNum::get_rfc3526_prime_8192), MessageDigest::sha512)
        }
        "diffie-hellman-group16-sha512" => {
            (Sort::Group(BigNum::get_rfc3526_prime_4096), MessageDigest::sha512)
        }
        "diffie-hellman-group14-sha256" => {
            (Sort::Group(BigNum::get_rfc3526_prime_2048), MessageDigest::sha256)
        }
        "diffie-hellman-group14-sha1" => (Sort::Group(BigNum::get_rfc3526_prime_2048), MessageDigest::sha1),
        "diffie-hellman-group1-sha1" => (Sort::Group(BigNum::get_rfc2409_prime_1024), MessageDigest::sha1),
        _ => return None,
    };
    Some(Method { digest, sort })
}

/// Why an exchange failed: the peer's fault, or a library's. Either way a real server goes without a word.
pub(super) struct Failed;

impl From<Halt> for Failed {
    fn from(_: Halt) -> Self {
        Self
    }
}

impl From<ErrorStack> for Failed {
    fn from(_: ErrorStack) -> Self {
        Self
    }
}

/// Our half of an exchange.
pub(super) struct Half {
    /// Both public values, the client's first, as they are sent and hashed.
    pub(super) client: Vec<u8>,
    /// Ours.
    pub(super) ours: Vec<u8>,
    /// The shared secret as it is hashed.
    pub(super) secret: Vec<u8>,
}

/// The group that was chosen in a group exchange.
pub(super) struct Chosen {
    asked: [u32; 3],
    prime: BigNum,
}

impl Method {
    /// Whether a group is to be asked for first.
    pub(super) fn asks_for_group(&self) -> bool {
        matches!(self.sort, Sort::Exchange)
    }

    /// Of anything.
    pub(super) fn hash(&self, data: &[u8]) -> Result<Vec<u8>, Failed> {
        Ok(hash((self.digest)(), data)?.to_vec())
    }

    /// Answers the client's public value. `input` is its message after the type.
    pub(super) fn answer(
        &self,
        input: &mut Input<'_>,
        chosen: Option<&Chosen>,
        cx: &mut Cx<'_>,
    ) -> Result<Half, Failed> {
        let half = match self.sort {
            Sort::X25519 => curve(string(input)?, cx)?,
            Sort::Nist(curve) => nist(curve, string(input)?, cx)?,
            Sort::Group(prime) => classic(&*prime()?, mpint(input)?, cx)?,
            Sort::Exchange => classic(&chosen.ok_or(Failed)?.prime, mpint(input)?, cx)?,
            Sort::Sntrup => hybrid(string(input)?, sntrup761::PUBLIC_KEY_SIZE, sntrup, self, cx)?,
            Sort::MlKem => hybrid(string(input)?, MLKEM_KEY, mlkem, self, cx)?,
        };
        end(input)?;
        Ok(half)
    }

    /// The keys of one direction (RFC 4253, section 7.2): `letters` are those of vector, cipher and MAC.
    pub(super) fn keys(
        &self,
        secret: &[u8],
        exchange: &[u8],
        letters: [u8; 3],
        suite: &Suite,
    ) -> Result<Keys, Failed> {
        let derive = |letter: u8, length: usize| -> Result<Vec<u8>, Failed> {
            let mut derived = self.hash(&[secret, exchange, &[letter], exchange].concat())?;
            while derived.len() < length {
                let more = self.hash(&[secret, exchange, &derived].concat())?;
                derived.extend(more);
            }
            derived.truncate(length);
            Ok(derived)
        };
        let [iv, cipher, mac] = letters;
        Ok(Keys {
            iv: derive(iv, suite.cipher.iv)?,
            cipher: derive(cipher, suite.cipher.key)?,
            mac: derive(mac, suite.mac.map_or(0, |mac| mac.key))?,
        })
    }
}

fn public_and_secret(client: &[u8], ours: &[u8], secret: Vec<u8>) -> Half {
    let mut half = Half { client: Vec::new(), ours: Vec::new(), secret };
    half.client.put_string(client);
    half.ours.put_string(ours);
    half
}

fn curve(client: &[u8], cx: &mut Cx<'_>) -> Result<Half, Failed> {
    let (ours, shared) = x25519_pair(client, cx)?;
    let mut secret = Vec::new();
    secret.put_mpint(&shared);
    Ok(public_and_secret(client, &ours, secret))
}

/// Our public value and the shared secret.
fn x25519_pair(client: &[u8], cx: &mut Cx<'_>) -> Result<([u8; 32], [u8; 32]), Failed> {
    let client: [u8; 32] = client.try_into().map_err(|_| Failed)?;
    let private = cx.random();
    let shared = x25519(private, client);
    if shared == [0; 32] {
        return Err(Failed);
    }
    Ok((x25519(private, X25519_BASEPOINT_BYTES), shared))
}

fn nist(curve: Nid, client: &[u8], cx: &mut Cx<'_>) -> Result<Half, Failed> {
    if client.first() != Some(&4) {
        return Err(Failed);
    }
    let mut scratch = BigNumContext::new()?;
    let group = EcGroup::from_curve_name(curve)?;
    let theirs = EcPoint::from_bytes(&group, client, &mut scratch)?;
    let mut order = BigNum::new()?;
    group.order(&mut order, &mut scratch)?;
    // 64 bits more than the order has: the remainder is as good as uniform.
    let random: [u8; 74] = cx.random();
    let mut private = BigNum::new()?;
    private.nnmod(&*BigNum::from_slice(&random)?, &order, &mut scratch)?;
    let mut ours = EcPoint::new(&group)?;
    ours.mul_generator2(&group, &private, &mut scratch)?;
    let mut shared = EcPoint::new(&group)?;
    shared.mul2(&group, &theirs, &private, &mut scratch)?;
    let mut x = BigNum::new()?;
    let mut y = BigNum::new()?;
    shared.affine_coordinates(&group, &mut x, &mut y, &mut scratch)?;
    let mut secret = Vec::new();
    secret.put_mpint(&x.to_vec());
    let ours = ours.to_bytes(&group, PointConversionForm::UNCOMPRESSED, &mut scratch)?;
    Ok(public_and_secret(client, &ours, secret))
}

/// Bytes of our exponents: twice what the strongest cipher needs.
const EXPONENT: usize = 64;

fn classic(prime: &BigNumRef, client: &[u8], cx: &mut Cx<'_>) -> Result<Half, Failed> {
    let theirs = BigNum::from_slice(client)?;
    let mut below = prime.to_owned()?;
    below.sub_word(1)?;
    let one = BigNum::from_u32(1)?;
    // As OpenSSH checks it: within bounds, and more than one bit set.
    let bits = client.iter().map(|byte| byte.count_ones()).fold(0_u32, u32::saturating_add);
    if theirs <= one || theirs >= below || bits < 4 {
        return Err(Failed);
    }
    let mut scratch = BigNumContext::new()?;
    let private = BigNum::from_slice(&cx.random::<EXPONENT>())?;
    let (mut ours, mut shared) = (BigNum::new()?, BigNum::new()?);
    ours.mod_exp(&*BigNum::from_u32(2)?, &private, prime, &mut scratch)?;
    shared.mod_exp(&theirs, &private, prime, &mut scratch)?;
    let mut half = Half { client: Vec::new(), ours: Vec::new(), secret: Vec::new() };
    half.client.put_mpint(client);
    half.ours.put_mpint(&ours.to_vec());
    half.secret.put_mpint(&shared.to_vec());
    Ok(half)
}

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203, section 8).
const MLKEM_KEY: usize = 1184;

/// A key encapsulation: the ciphertext and the secret.
type Encapsulate = fn(&[u8], [u8; 32]) -> Option<(Vec<u8>, Vec<u8>)>;

fn sntrup(key: &[u8], seed: [u8; 32]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = sntrup761::EncapsulationKey::try_from(key).ok()?;
    let (ciphertext, secret) = key.encapsulate_deterministic(seed);
    Some((ciphertext.as_ref().to_vec(), secret.as_ref().to_vec()))
}

fn mlkem(key: &[u8], seed: [u8; 32]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = EncapsulationKey::<MlKem768>::new_from_slice(key).ok()?;
    let (ciphertext, secret) = key.encapsulate_deterministic(&seed.into());
    Some((ciphertext.to_vec(), secret.to_vec()))
}

/// Both secrets, hashed together.
fn hybrid(
    client: &[u8],
    key: usize,
    encapsulate: Encapsulate,
    method: &Method,
    cx: &mut Cx<'_>,
) -> Result<Half, Failed> {
    let (key, point) = client.split_at_checked(key).ok_or(Failed)?;
    let (ciphertext, first) = encapsulate(key, cx.random()).ok_or(Failed)?;
    let (ours, second) = x25519_pair(point, cx)?;
    let mut secret = Vec::new();
    secret.put_string(method.hash(&[&first[..], &second].concat())?);
    Ok(public_and_secret(client, &[&ciphertext[..], &ours].concat(), secret))
}

impl Chosen {
    /// Chooses a group for a GEX_REQUEST (RFC 4419, section 3), `input` being it after the type.
    pub(super) fn new(input: &mut Input<'_>, release: &Release) -> Result<Self, Failed> {
        const MOST: u32 = 8192;
        let least = if release.since(7, 2) { 2048 } else { 1024 };
        let asked = [input.u32()?, input.u32()?, input.u32()?];
        end(input)?;
        let [min, wanted, max] = asked;
        if max < min || wanted < min || max < wanted || max < least {
            return Err(Failed);
        }
        let (min, wanted, max) = (min.max(least), wanted.clamp(least, MOST), max.min(MOST));
        let groups: [(u32, Prime); 7] = [
            (1024, BigNum::get_rfc2409_prime_1024),
            (1536, BigNum::get_rfc3526_prime_1536),
            (2048, BigNum::get_rfc3526_prime_2048),
            (3072, BigNum::get_rfc3526_prime_3072),
            (4096, BigNum::get_rfc3526_prime_4096),
            (6144, BigNum::get_rfc3526_prime_6144),
            (8192, BigNum::get_rfc3526_prime_8192),
        ];
        let allowed = || groups.iter().filter(|(bits, _)| (min..=max).contains(bits));
        let best = allowed().find(|(bits, _)| *bits >= wanted).or_else(|| allowed().next_back());
        let (_, prime) = best.ok_or(Failed)?;
        Ok(Self { asked, prime: prime()? })
    }

    /// Prime and generator, as they are sent.
    pub(super) fn group(&self) -> Vec<u8> {
        let mut group = Vec::new();
        group.put_mpint(&self.prime.to_vec());
        group.put_mpint(&[2]);
        group
    }

    /// What of the choice is hashed: sizes asked for, and the group.
    pub(super) fn hashed(&self) -> Vec<u8> {
        let mut hashed = Vec::new();
        self.asked.iter().for_each(|size| hashed.put_u32(*size));
        hashed.extend(self.group());
        hashed
    }
}
