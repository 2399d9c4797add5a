//! Which server is imitated.
//!
//! TigerVNC as recorded. RealVNC's last free server, 4.1, is what TigerVNC's code comes from: the same words, without
//! the pause. TightVNC and UltraVNC as their published sources tell (`RfbInitializer`, `vncClientThread`). Apple's
//! as clients describe it; its words after a failure are not known, and are a guess.

use std::{net::IpAddr, time::Duration};

use super::backoff::Rule;

/// The password's security type (RFC 6143, section 7.2.2).
pub(super) const VNC: u8 = 2;
/// TightVNC's, in which the password's is offered again as a capability.
pub(super) const TIGHT: u8 = 16;
/// UltraVNC's, after which the other types are offered again.
pub(super) const ULTRA: u8 = 17;
/// Apple's with an account under a Diffie-Hellman key.
pub(super) const APPLE_DH: u8 = 30;
/// Apple's with an account under an RSA key.
pub(super) const APPLE_RSA: u8 = 33;

/// A server.
#[derive(Debug)]
pub(super) struct Product {
    /// Its name in the configuration.
    pub(super) name: &'static str,
    /// The version that it sends.
    pub(super) greeting: &'static [u8; 12],
    /// The security types that it offers. Apple's newer ones (SRP, 36, and Kerberos, 35) would keep the password
    /// from us, so they are left out.
    pub(super) types: &'static [u8],
    /// How long it thinks about a wrong answer.
    pub(super) pause: Duration,
    /// How it turns clients away.
    pub(super) back_off: Option<Rule>,
    /// What it says to those.
    pub(super) turned_away: &'static str,
    words: Words,
}

/// How it words a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// RealVNC and its descendants: the text from 3.8 on; a version that it does not speak is explained.
    Real(&'static str),
    /// The text with the client's address, from 3.8 on; before, nothing at all.
    Tight,
    /// The text from 3.7 on.
    Ultra,
}

pub(super) static TIGER: Product = Product {
    name: "tigervnc",
    greeting: b"RFB 003.008\n",
    types: &[VNC],
    pause: Duration::from_millis(100),
    back_off: Some(Rule::Marks),
    turned_away: "Too many security failures",
    words: Words::Real("Authentication failure"),
};

static REAL: Product = Product { name: "realvnc", pause: Duration::ZERO, ..TIGER };

static TIGHT_VNC: Product = Product {
    name: "tightvnc",
    types: &[VNC, TIGHT],
    pause: Duration::ZERO,
    back_off: Some(Rule::Failures),
    turned_away: "Your connection has been rejected",
    words: Words::Tight,
    ..TIGER
};

static ULTRA_VNC: Product = Product {
    name: "ultravnc",
    types: &[ULTRA, VNC],
    pause: Duration::ZERO,
    back_off: Some(Rule::Connections),
    turned_away: "Your connection has been rejected.",
    words: Words::Ultra,
    ..TIGER
};

static APPLE: Product = Product {
    name: "apple",
    greeting: b"RFB 003.889\n",
    types: &[APPLE_DH, APPLE_RSA, VNC],
    pause: Duration::ZERO,
    back_off: None,
    words: Words::Real("Authentication failed"),
    ..TIGER
};

/// All of them, the default first.
pub(super) static PRODUCTS: [&Product; 5] = [&TIGER, &REAL, &TIGHT_VNC, &ULTRA_VNC, &APPLE];

/// The protocol that both sides speak from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Dialect {
    /// The server decides the security type.
    Three,
    /// The client does.
    Seven,
    /// And a refusal has words.
    Eight,
}

/// What a client's version is to a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// It speaks that.
    Spoken(Dialect),
    /// It does not, and says so.
    Explained(String),
    /// It does not.
    Unknown,
}

impl Product {
    /// Whether it has accounts.
    pub(super) fn accounts(&self) -> bool {
        self.types.contains(&APPLE_DH)
    }

    /// Reads a client's version.
    pub(super) fn version(&self, line: &[u8; 12]) -> Version {
        let number = if self.words == Words::Tight { in_digits(line) } else { scanned(line) };
        let Some((major, minor)) = number else { return Version::Unknown };
        match (major, self.words) {
            (3, _) if minor < 7 => Version::Spoken(Dialect::Three),
            (3, _) if minor == 7 => Version::Spoken(Dialect::Seven),
            (3, _) => Version::Spoken(Dialect::Eight),
            (_, Words::Real(_)) => Version::Explained(format!(
                "Client needs protocol version {major}.{minor}, server has 3.{}",
                if self.accounts() { 889 } else { 8 }
            )),
            _ => Version::Unknown,
        }
    }

    /// What it says to a wrong answer.
    pub(super) fn refusal(&self, dialect: Dialect, client: IpAddr) -> Vec<u8> {
        let failed = 1_u32.to_be_bytes();
        let worded = |words: &str| [&failed[..], &counted(words)].concat();
        match self.words {
            Words::Real(words) if dialect == Dialect::Eight => worded(words),
            Words::Ultra if dialect >= Dialect::Seven => worded("authentication rejected"),
            Words::Tight if dialect == Dialect::Eight => {
                worded(&format!("Authentication failed from {client}"))
            }
            Words::Tight => Vec::new(),
            Words::Real(_) | Words::Ultra => failed.to_vec(),
        }
    }

    /// What it says instead of the security types.
    pub(super) fn no_types(dialect: Dialect, why: &str) -> Vec<u8> {
        let none: &[u8] = if dialect == Dialect::Three { &[0; 4] } else { &[0] };
        [none, &counted(why)].concat()
    }
}

/// Text with its length in front.
pub(super) fn counted(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap_or_default();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// As the C library scans `RFB %03d.%03d\n`: blanks and signs are taken, what follows the second number is not looked
/// at.
fn scanned(line: &[u8; 12]) -> Option<(i32, i32)> {
    let text = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut rest = blanks(text.strip_prefix(b"RFB")?);
    let major = number(&mut rest)?;
    rest = rest.strip_prefix(b".")?;
    Some((major, number(&mut rest)?))
}

fn blanks(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

/// At most three characters, the sign among them.
fn number(rest: &mut &[u8]) -> Option<i32> {
    let text = blanks(rest);
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let digits = text.iter().skip(sign).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = text.split_at_checked(sign.saturating_add(digits).min(3))?;
    *rest = after;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Three digits, a dot, three digits.
fn in_digits(line: &[u8; 12]) -> Option<(i32, i32)> {
    let (major, minor) = line.strip_prefix(b"RFB ")?.strip_suffix(b"\n")?.split_at_checked(3)?;
    let minor = minor.strip_prefix(b".")?;
    let number = |digits: &[u8]| {
        let all = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits).ok().filter(|_| all)?.parse().ok()
    };
    Some((number(major)?, number(minor)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_each_server_does() {
        let eight = Version::Spoken(Dialect::Eight);
        assert_eq!(TIGER.version(b"RFB   3.  8\n"), eight);
        assert_eq!(TIGHT_VNC.version(b"RFB   3.  8\n"), Version::Unknown);
        assert_eq!(TIGHT_VNC.version(b"RFB 003.008\n"), eight);
        assert_eq!(TIGHT_VNC.version(b"RFB +03.008\n"), Version::Unknown);
        assert_eq!(TIGHT_VNC.version(b"RFB 004.008\n"), Version::Unknown);
        assert_eq!(APPLE.version(b"RFB 003.889\n"), eight);
        assert_eq!(TIGER.version(b"RFB 003\0.08\n"), Version::Unknown);
        assert_eq!(ULTRA_VNC.version(b"RFB 003.006\n"), Version::Spoken(Dialect::Three));
    }

    #[test]
    fn refusals_are_worded_as_each_server_does() {
        let client = "192.0.2.7".parse().unwrap();
        let said = |product: &Product, dialect| product.refusal(dialect, client).escape_ascii().to_string();
        assert_eq!(said(&TIGER, Dialect::Seven), r"\x00\x00\x00\x01");
        assert_eq!(said(&TIGHT_VNC, Dialect::Seven), "");
        let tight = said(&TIGHT_VNC, Dialect::Eight);
        assert_eq!(tight, r"\x00\x00\x00\x01\x00\x00\x00$Authentication failed from 192.0.2.7");
        assert!(said(&ULTRA_VNC, Dialect::Seven).ends_with("authentication rejected"));
        assert_eq!(said(&ULTRA_VNC, Dialect::Three), r"\x00\x00\x00\x01");
    }
}
