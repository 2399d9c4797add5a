//! Passwords of honey-credentials: plain, or a hash in passlib's notation. Parsing is strict, because a
//! mistyped hash is bait that never triggers, and bounded, because verifying costs what the hash says.
//!
//! Formats: passlib's `pbkdf2_sha1/256/512`, bcrypt (Provos, Mazières 1999), SHA-crypt (Drepper 2007), Argon2
//! (RFC 9106) in the PHC string format.

use std::{fmt, str::FromStr};

use argon2::Argon2;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sha_crypt::{PasswordVerifier, ShaCrypt};
use subtle::ConstantTimeEq;

/// Longer guesses are not hashed: no bait is that long, and with SHA-crypt, the cost grows with the length.
const LONGEST: usize = 256;
/// Highest cost of bcrypt: some seconds a guess.
const MOST_COST: u32 = 16;
/// Most rounds of PBKDF2 and SHA-crypt: likewise.
const MOST_ROUNDS: u32 = 10_000_000;
/// Most memory of Argon2, in KiB: 256 MiB.
const MOST_MEMORY: u32 = 256 << 10;
/// Most passes of Argon2 over its memory.
const MOST_PASSES: u32 = 64;
/// Most lanes of Argon2.
const MOST_LANES: u32 = 64;

/// No padding wanted; the bits that no byte needs may be anything, as with passlib.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// What a password is compared with.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// Itself.
    Plain(String),
    /// Its hash.
    Hashed(Hash),
}

/// A hash, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hash(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Pbkdf2 { digest: Digest, rounds: u32, salt: Vec<u8>, sum: Vec<u8> },
    Bcrypt(String),
    ShaCrypt(String),
    Argon2 { version: argon2::Version, params: argon2::Params, salt: Vec<u8>, sum: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Debug for Password {
    /// Never the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain(…)",
            Self::Hashed(_) => "Hashed(…)",
        })
    }
}

impl FromStr for Password {
    type Err = String;

    /// Reads what the operator wrote. What looks like a hash must be one.
    ///
    /// # Errors
    /// In words for the operator, as in "expected …".
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('$').collect();
        let form = match parts.as_slice() {
            ["", "pbkdf2-sha512", rest @ ..] => pbkdf2(Digest::Sha512, rest)?,
            ["", "pbkdf2-sha256", rest @ ..] => pbkdf2(Digest::Sha256, rest)?,
            ["", "pbkdf2" | "pbkdf2-sha1", rest @ ..] => pbkdf2(Digest::Sha1, rest)?,
            ["", "2a" | "2b" | "2y", cost, digest] => bcrypt(text, cost, digest)?,
            ["", "2a" | "2b" | "2y", ..] => return Err("expected $2b$cost$salt-and-sum".into()),
            ["", ident @ ("5" | "6"), rest @ ..] => sha_crypt(text, ident, rest)?,
            ["", "argon2id", rest @ ..] => argon2(rest)?,
            ["", ident, _, _, ..] if is_ident(ident) => {
                return Err(format!(
                    "expected a plain password or a hash ($pbkdf2-sha512$, $pbkdf2-sha256$, $pbkdf2$, $2b$, $6$, $5$, \
                     $argon2id$); ${ident}$ is not known"
                ));
            }
            _ => return Ok(Self::Plain(text.to_owned())),
        };
        Ok(Self::Hashed(Hash(form)))
    }
}

impl Password {
    /// Whether that guess is it. Takes long if this is a hash.
    pub fn verify(&self, guess: &[u8]) -> bool {
        match self {
            Self::Plain(password) => password.as_bytes().ct_eq(guess).into(),
            Self::Hashed(_) if guess.len() > LONGEST => false,
            Self::Hashed(hash) => hash.verify(guess),
        }
    }
}

impl Hash {
    fn verify(&self, guess: &[u8]) -> bool {
        match &self.0 {
            Form::Pbkdf2 { digest, rounds, salt, sum } => {
                let mut found = vec![0; digest.len()];
                let derive = match digest {
                    Digest::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
                    Digest::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
                    Digest::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
                };
                derive(guess, salt, *rounds, &mut found);
                found.ct_eq(sum).into()
            }
            Form::Bcrypt(hash) => bcrypt::verify(guess, hash).unwrap_or(false),
            Form::ShaCrypt(hash) => ShaCrypt::SHA512.verify_password(guess, hash.as_str()).is_ok(),
            Form::Argon2 { version, params, salt, sum } => {
                let mut found = vec![0; sum.len()];
                let argon2 = Argon2::new(argon2::Algorithm::Argon2id, *version, params.clone());
                argon2.hash_password_into(guess, salt, &mut found).is_ok() && found.ct_eq(sum).into()
            }
        }
    }
}

fn is_ident(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// A number without sign and leading zeros.
fn number(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

fn rounds(text: &str, least: u32) -> Result<u32, String> {
    let found = number(text).filter(|rounds| (least..=MOST_ROUNDS).contains(rounds));
    found.ok_or_else(|| format!("expected from {least} to {MOST_ROUNDS} rounds in the hash"))
}

fn pbkdf2(digest: Digest, parts: &[&str]) -> Result<Form, String> {
    let [count, salt, sum] = parts else { return Err("expected $pbkdf2-…$rounds$salt$sum".into()) };
    // passlib's ab64: the usual alphabet with a full stop for the plus sign.
    let decode = |text: &str| BASE64.decode(text.replace('.', "+")).ok();
    let rounds = rounds(count, 1)?;
    let salt =
        decode(salt).ok_or("expected base64 as passlib writes it (with . for +) as the hash's salt")?;
    let sum = decode(sum).filter(|sum| sum.len() == digest.len());
    let sum =
        sum.ok_or_else(|| format!("expected {} bytes in passlib's base64 as the hash's sum", digest.len()))?;
    Ok(Form::Pbkdf2 { digest, rounds, salt, sum })
}

fn bcrypt(text: &str, cost: &str, digest: &str) -> Result<Form, String> {
    let cost: Option<u32> = cost.parse().ok().filter(|_| cost.len() == 2);
    if !cost.is_some_and(|cost| (4..=MOST_COST).contains(&cost)) {
        return Err(format!("expected a bcrypt cost from 04 to {MOST_COST}"));
    }
    let salted = digest.len() == 53
        && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/')
        && text.parse::<bcrypt::HashParts>().is_ok();
    match salted {
        true => Ok(Form::Bcrypt(text.to_owned())),
        false => Err("expected 53 characters of bcrypt's base64 after the cost".into()),
    }
}

fn sha_crypt(text: &str, ident: &str, parts: &[&str]) -> Result<Form, String> {
    let (salt, sum) = match parts {
        [salt, sum] => (salt, sum),
        [count, salt, sum] => {
            let count = count.strip_prefix("rounds=").ok_or("expected $6$rounds=number$salt$sum")?;
            rounds(count, sha_crypt::Params::ROUNDS_MIN)?;
            (salt, sum)
        }
        _ => return Err("expected $6$salt$sum or $6$rounds=number$salt$sum".into()),
    };
    let is_base64 =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/');
    let length = if ident == "6" { 86 } else { 43 };
    if sum.len() != length || !is_base64(sum) {
        return Err(format!("expected {length} characters of crypt's base64 as the hash's sum"));
    }
    if !(1..=16).contains(&salt.len()) || !is_base64(salt) {
        return Err("expected 1 to 16 characters of crypt's base64 as the hash's salt".into());
    }
    Ok(Form::ShaCrypt(text.to_owned()))
}

fn argon2(parts: &[&str]) -> Result<Form, String> {
    let (version, costs, salt, sum) = match parts {
        ["v=19", costs, salt, sum] => (argon2::Version::V0x13, costs, salt, sum),
        ["v=16", costs, salt, sum] | [costs, salt, sum] => (argon2::Version::V0x10, costs, salt, sum),
        _ => return Err("expected $argon2id$v=19$m=memory,t=passes,p=lanes$salt$sum".into()),
    };
    let named: Vec<_> = costs.split(',').map(|part| part.split_once('=')).collect();
    let [Some(("m", memory)), Some(("t", passes)), Some(("p", lanes))] = named.as_slice() else {
        return Err("expected m=memory,t=passes,p=lanes in the hash".into());
    };
    let within = |text: &str, most: u32, what: &str| {
        let found = number(text).filter(|number| (1..=most).contains(number));
        found.ok_or_else(|| format!("expected {what} from 1 to {most} in the hash"))
    };
    let memory = within(memory, MOST_MEMORY, "m (KiB)")?;
    let passes = within(passes, MOST_PASSES, "t (passes)")?;
    let lanes = within(lanes, MOST_LANES, "p (lanes)")?;
    let salt = BASE64.decode(salt).map_err(|_| "expected base64 without padding as the hash's salt")?;
    let sum = BASE64.decode(sum).map_err(|_| "expected base64 without padding as the hash's sum")?;
    if !(8..=64).contains(&salt.len()) || !(16..=128).contains(&sum.len()) {
        return Err("expected a salt of 8 to 64 and a sum of 16 to 128 bytes in the hash".into());
    }
    let params = argon2::Params::new(memory, passes, lanes, Some(sum.len()));
    let params = params.map_err(|error| format!("expected costs that Argon2 can do with ({error})"))?;
    Ok(Form::Argon2 { version, params, salt, sum })
}
