//! NTLM (MS-NLMP, section 2.2): the client's first message, our challenge, and the client's answer to it with the
//! names and proofs in it. Nothing is verified.
//!
//! Services do not come here but to [`crate::spnego::Conversation`]; except SMB 1 as spoken before SPNEGO, which
//! fills an [`Answer`] of its own.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use haldane_core::{Login, Secret, Sighting, Untrusted, Windows};

/// With what each message begins.
pub const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Flags (section 2.2.2.5).
pub mod flag {
    /// Text is UTF-16.
    pub const UNICODE: u32 = 0x0000_0001;
    /// Text may be in a code page.
    pub const OEM: u32 = 0x0000_0002;
    /// The server is to name its authority.
    pub const REQUEST_TARGET: u32 = 0x0000_0004;
    /// The client has no name.
    pub const ANONYMOUS: u32 = 0x0000_0800;
    /// The domain stands in the first message.
    pub const DOMAIN_SUPPLIED: u32 = 0x0000_1000;
    /// The workstation stands in the first message.
    pub const WORKSTATION_SUPPLIED: u32 = 0x0000_2000;
    /// NTLM itself.
    pub const NTLM: u32 = 0x0000_0200;
    /// Session keys of the LAN Manager.
    pub const LM_KEY: u32 = 0x0000_0080;
    /// The authority is a domain.
    pub const TARGET_DOMAIN: u32 = 0x0001_0000;
    /// The authority is a server.
    pub const TARGET_SERVER: u32 = 0x0002_0000;
    /// Version 1 with a challenge of the client's, too.
    pub const EXTENDED_SECURITY: u32 = 0x0008_0000;
    /// The challenge names the server.
    pub const TARGET_INFO: u32 = 0x0080_0000;
    /// The client chooses the key of the session.
    pub const KEY_EXCHANGE: u32 = 0x4000_0000;
    /// The version is told.
    pub const VERSION: u32 = 0x0200_0000;
    /// What a server grants if it is asked for: signing, sealing, always signing, 128 bits, key exchange, 56 bits.
    pub const GRANTED: u32 = 0xe000_8030;
}

/// Ids of the pairs that name a server (section 2.2.2.1).
mod pair {
    pub(super) const END: u16 = 0;
    pub(super) const COMPUTER: u16 = 1;
    pub(super) const DOMAIN: u16 = 2;
    pub(super) const DNS_COMPUTER: u16 = 3;
    pub(super) const DNS_DOMAIN: u16 = 4;
    pub(super) const DNS_TREE: u16 = 5;
    pub(super) const FLAGS: u16 = 6;
    pub(super) const TIMESTAMP: u16 = 7;
    pub(super) const TARGET_NAME: u16 = 9;
    /// More of them than there are ids is nonsense.
    pub(super) const MOST: usize = 32;
}

/// Bytes of a challenge before its texts.
const HEAD: u32 = 56;
/// Bytes of an answer of version 1.
pub(crate) const V1: usize = 24;
/// What guessers of passwords put in place of a challenge of their own, and by which their LMv2 is told from an answer
/// of the LAN Manager: that is of the same length.
const GUESSERS: [u8; 8] = [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88];
/// Bytes of the proof, and of what stands before the pairs, in an answer of version 2 (section 2.2.2.8).
const PROOF: usize = 16;
const BEFORE_PAIRS: usize = 28;
/// In the flags of the client's pairs: the message has a MIC.
const HAS_MIC: u32 = 2;
/// From 1601, where Windows begins to count, to 1970, in seconds.
const SINCE_1601: Duration = Duration::from_secs(11_644_473_600);

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first message.
    Negotiate(Negotiate),
    /// The answer to a challenge.
    Authenticate(Answer),
}

/// The first message: who the client is, if it says so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Negotiate {
    /// What it wishes for; see [`flag`].
    pub flags: u32,
    /// Its domain, in UTF-8; empty if not told.
    pub domain: Vec<u8>,
    /// Its own name, in UTF-8; empty if not told.
    pub workstation: Vec<u8>,
    /// The version of Windows it runs, as in `10.0.19041`.
    pub version: Option<String>,
}

/// The answer to a challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// See [`flag`].
    pub flags: u32,
    /// In UTF-8; empty for an anonymous client.
    pub user: Vec<u8>,
    /// In UTF-8.
    pub domain: Vec<u8>,
    /// In UTF-8.
    pub workstation: Vec<u8>,
    /// LmChallengeResponse.
    pub lm: Vec<u8>,
    /// NtChallengeResponse: 24 bytes in version 1, more in version 2, nothing for an anonymous client.
    pub nt: Vec<u8>,
    /// EncryptedRandomSessionKey: the key of the session, under that which follows from the password.
    pub session_key: Vec<u8>,
    /// The version of Windows it runs, as in `10.0.19041`.
    pub version: Option<String>,
}

/// Whom an answer stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Nobody: no name and no proof.
    Anonymous,
    /// The account that needs no password of its own.
    Guest,
    /// Somebody.
    User,
}

impl Message {
    /// Reads a message that begins at the front of `bytes`. `None` if it is none, or not one of a client's.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let kind = number(bytes.strip_prefix(SIGNATURE)?.get(..4)?)?;
        // A field that points outside the message is an empty one.
        let field = |at: usize| part(bytes, at).unwrap_or_default();
        match kind {
            1 => {
                let flags = number(bytes.get(12..16)?)?;
                let oem = |at, bit| if flags & bit == 0 { Vec::new() } else { field(at).to_vec() };
                Some(Self::Negotiate(Negotiate {
                    flags,
                    domain: oem(16, flag::DOMAIN_SUPPLIED),
                    workstation: oem(24, flag::WORKSTATION_SUPPLIED),
                    version: version(flags, bytes, 32, &[16, 24]),
                }))
            }
            3 => {
                let flags = bytes.get(60..64).and_then(number).unwrap_or(flag::UNICODE);
                let unicode = flags & flag::UNICODE != 0;
                let text = |at| if unicode { utf8(field(at)) } else { field(at).to_vec() };
                Some(Self::Authenticate(Answer {
                    flags,
                    lm: field(12).to_vec(),
                    nt: nt(bytes),
                    domain: text(28),
                    user: text(36),
                    workstation: text(44),
                    session_key: field(52).to_vec(),
                    version: version(flags, bytes, 64, &[12, 20, 28, 36, 44]),
                }))
            }
            _ => None,
        }
    }
}

impl Answer {
    /// Whom it stands for.
    pub fn identity(&self) -> Identity {
        // An anonymous client may send a LmChallengeResponse of one zero byte (section 3.2.5.1.2).
        if self.user.is_empty() && self.nt.is_empty() && matches!(self.lm.as_slice(), [] | [0]) {
            Identity::Anonymous
        } else if self.user.eq_ignore_ascii_case(b"guest") {
            Identity::Guest
        } else {
            Identity::User
        }
    }

    /// The proof: with LMv2 alone, or the LAN Manager's, that is what stands in the place of the latter.
    fn proof(&self) -> &[u8] {
        if self.nt.is_empty() { &self.lm } else { &self.nt }
    }

    /// Whether it is of version 2 and shorter than usual (section 3.3.2: `LmChallengeResponse`).
    fn is_lm_v2(&self) -> bool {
        self.nt.is_empty() && self.lm.len() == V1 && self.lm.ends_with(&GUESSERS)
    }

    /// How the proof was made: `netntlmv2`, `netntlmv1`, or `netlm` if there is none but that of the LAN Manager.
    pub fn scheme(&self) -> &'static str {
        match self.nt.len() {
            0 if self.is_lm_v2() => "netntlmv2",
            V1 => "netntlmv1",
            0 => "netlm",
            _ => "netntlmv2",
        }
    }

    /// The login that it is. `challenge`: ours, if one was sent.
    pub fn login(&self, challenge: Option<&[u8; 8]>) -> Login {
        let mut login = Login::new("ntlm").user(&self.user);
        login.domain = Some(&self.domain).filter(|domain| !domain.is_empty()).map(Untrusted::new);
        if self.identity() == Identity::Anonymous {
            return login;
        }
        // What went into the answer: with the client's own challenge, where version 1 has that.
        let mut sent = challenge.map(|challenge| challenge.to_vec()).unwrap_or_default();
        if !sent.is_empty() {
            sent.extend_from_slice(self.client_challenge().unwrap_or_default());
        }
        login.secret(Secret::Response {
            scheme: Cow::Borrowed(self.scheme()),
            challenge: Untrusted::new(sent),
            response: self.proof().into(),
            crackable: challenge.and_then(|challenge| self.crackable(challenge)),
        })
    }

    /// The client's challenge in version 1 with extended session security (section 3.3.1).
    pub(crate) fn client_challenge(&self) -> Option<&[u8]> {
        let (client, rest) = self.lm.split_at_checked(8)?;
        // All zeros: there is no answer of the LAN Manager, and no challenge.
        (self.nt.len() == V1 && rest == [0; 16] && client != [0; 8]).then_some(client)
    }

    /// The line for hashcat (modes 5500 and 5600) and john (netntlm, netntlmv2, netlm). `None` if there is nothing to
    /// crack, or nothing that fits a line.
    pub fn crackable(&self, challenge: &[u8; 8]) -> Option<String> {
        let (user, domain) = (std::str::from_utf8(&self.user).ok()?, std::str::from_utf8(&self.domain).ok()?);
        if user.contains([':', '\r', '\n']) || domain.contains([':', '\r', '\n']) {
            return None;
        }
        match self.nt.len() {
            V1 => {
                // As Windows does that keeps no hash of the LAN Manager: the same twice.
                let lm = if self.lm.iter().all(|byte| *byte == 0) { &self.nt } else { &self.lm };
                Some(format!("{user}::{domain}:{}:{}:{}", hex(lm), hex(&self.nt), hex(challenge)))
            }
            length if length > V1 || self.is_lm_v2() => {
                let (proof, blob) = self.proof().split_at_checked(PROOF)?;
                Some(format!("{user}::{domain}:{}:{}:{}", hex(challenge), hex(proof), hex(blob)))
            }
            0 if self.lm.len() == V1 => Some(format!("{user}:$NETLM${}${}", hex(challenge), hex(&self.lm))),
            _ => None,
        }
    }

    /// Whether it says that it has a message integrity code.
    pub fn has_mic(&self) -> bool {
        self.pair(pair::FLAGS).and_then(number).is_some_and(|flags| flags & HAS_MIC != 0)
    }

    /// The service that the client believes to talk to, in UTF-8: `HTTP/files01`.
    pub fn target(&self) -> Option<Vec<u8>> {
        self.pair(pair::TARGET_NAME).map(utf8).filter(|name| !name.is_empty())
    }

    /// One of the pairs that an answer of version 2 repeats.
    fn pair(&self, wanted: u16) -> Option<&[u8]> {
        let mut rest = self.nt.get(PROOF.checked_add(BEFORE_PAIRS)?..)?;
        for _ in 0..pair::MOST {
            let (head, tail) = rest.split_at_checked(4)?;
            let short = |bytes: &[u8]| bytes.try_into().ok().map(u16::from_le_bytes);
            let (id, length) = (short(head.get(..2)?)?, short(head.get(2..)?)?);
            let (value, tail) = tail.split_at_checked(length.into())?;
            match id {
                _ if id == wanted => return Some(value),
                pair::END => return None,
                _ => rest = tail,
            }
        }
        None
    }

    /// What it reveals beside the login.
    #[must_use]
    pub fn facts(&self, mut seen: Sighting) -> Sighting {
        let identity = match self.identity() {
            Identity::Anonymous => Some("anonymous"),
            Identity::Guest => Some("guest"),
            Identity::User => None,
        };
        if let Some(identity) = identity {
            seen = seen.with("identity", identity);
        }
        if !self.workstation.is_empty() {
            seen = seen.with("workstation", self.workstation.as_slice());
        }
        if let Some(version) = &self.version {
            seen = seen.with("client_version", version.as_str());
        }
        if let Some(target) = self.target() {
            seen = seen.with("spn", target);
        }
        if self.has_mic() { seen.with("mic", true) } else { seen }
    }
}

impl Negotiate {
    /// What it reveals.
    #[must_use]
    pub fn facts(&self, mut seen: Sighting) -> Sighting {
        for (key, value) in [("domain", &self.domain), ("workstation", &self.workstation)] {
            if !value.is_empty() {
                seen = seen.with(key, value.as_slice());
            }
        }
        match &self.version {
            Some(version) => seen.with("client_version", version.as_str()),
            None => seen,
        }
    }
}

/// Our challenge (section 2.2.1.2) to a client that wishes for `flags`, as Windows makes it.
pub fn challenge(flags: u32, nonce: &[u8; 8], host: &Windows, now: SystemTime) -> Vec<u8> {
    let asked = |bit: u32| flags & bit != 0;
    let mut granted = flags & flag::GRANTED | flag::NTLM | flag::TARGET_INFO | flag::VERSION;
    granted |= if asked(flag::UNICODE) || !asked(flag::OEM) { flag::UNICODE } else { flag::OEM };
    granted |= flags & if asked(flag::EXTENDED_SECURITY) { flag::EXTENDED_SECURITY } else { flag::LM_KEY };
    let mut name = Vec::new();
    if asked(flag::REQUEST_TARGET) {
        granted |= flag::REQUEST_TARGET;
        granted |= if host.joined() { flag::TARGET_DOMAIN } else { flag::TARGET_SERVER };
        let authority = host.authority();
        name = if granted & flag::UNICODE != 0 { wide(authority) } else { authority.as_bytes().to_vec() };
    }
    let facts = target_info(host, now);
    let mut message = [&SIGNATURE[..], &[2, 0, 0, 0]].concat();
    let place = |text: &[u8], at: u32, message: &mut Vec<u8>| {
        for _ in 0..2 {
            message.extend_from_slice(&length(text).to_le_bytes());
        }
        message.extend_from_slice(&at.to_le_bytes());
    };
    place(&name, HEAD, &mut message);
    message.extend_from_slice(&granted.to_le_bytes());
    message.extend_from_slice(nonce);
    message.extend_from_slice(&[0; 8]);
    place(&facts, HEAD.saturating_add(u32::from(length(&name))), &mut message);
    let (major, minor) = host.release.version;
    let [low, high] = host.release.build.to_le_bytes();
    // Behind the build, the revision of NTLM: 15.
    message.extend_from_slice(&[major, minor, low, high, 0, 0, 0, 15]);
    message.extend_from_slice(&name);
    message.extend_from_slice(&facts);
    message
}

/// Who we are (section 2.2.2.1), in the order of Windows.
fn target_info(host: &Windows, now: SystemTime) -> Vec<u8> {
    let domain = if host.joined() { &host.domain } else { &host.dns_name };
    let mut pairs = vec![
        (pair::DOMAIN, wide(host.authority())),
        (pair::COMPUTER, wide(&host.computer)),
        (pair::DNS_DOMAIN, wide(domain)),
        (pair::DNS_COMPUTER, wide(&host.dns_name)),
    ];
    if host.joined() {
        pairs.push((pair::DNS_TREE, wide(&host.domain)));
    }
    pairs.push((pair::TIMESTAMP, filetime(now).to_le_bytes().to_vec()));
    pairs.push((pair::END, Vec::new()));
    let mut bytes = Vec::new();
    for (id, value) in pairs {
        bytes.extend_from_slice(&id.to_le_bytes());
        bytes.extend_from_slice(&length(&value).to_le_bytes());
        bytes.extend_from_slice(&value);
    }
    bytes
}

/// A time as Windows counts it (MS-DTYP, section 2.3.3): steps of 100 ns since 1601.
pub fn filetime(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = since.saturating_add(SINCE_1601);
    since.as_secs().saturating_mul(10_000_000).saturating_add(u64::from(since.subsec_nanos() / 100))
}

/// Text in UTF-16, little end first.
pub fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// UTF-16, little end first, in UTF-8; what is none becomes U+FFFD.
pub fn utf8(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into_bytes()
}

/// The version of Windows (section 2.2.2.10), where the flags say that it is there; and is: some clients repeat our
/// flags, and have the first of their texts in its place.
fn version(flags: u32, bytes: &[u8], at: usize, fields: &[usize]) -> Option<String> {
    let end = at.checked_add(8)?;
    let taken = |field: &&usize| {
        let start = bytes.get(field.checked_add(4)?..).and_then(|rest| number(rest.get(..4)?))?;
        let start = usize::try_from(start).ok()?;
        Some(start < end && part(bytes, **field).is_some_and(|text| !text.is_empty()))
    };
    if flags & flag::VERSION == 0 || fields.iter().any(|field| taken(&field).unwrap_or(false)) {
        return None;
    }
    let [major, minor, low, high, ..] = bytes.get(at..end)? else { return None };
    let build = u16::from_le_bytes([*low, *high]);
    (*major != 0).then(|| format!("{major}.{minor}.{build}"))
}

/// NtChallengeResponse. Nmap tells a third of its length.
fn nt(bytes: &[u8]) -> Vec<u8> {
    let told = part(bytes, 20).unwrap_or_default();
    let start = bytes.get(24..28).and_then(number).and_then(|start| usize::try_from(start).ok());
    let whole =
        start.filter(|_| told.len() == V1 / 3).and_then(|start| bytes.get(start..start.checked_add(V1)?));
    whole.unwrap_or(told).to_vec()
}

fn length(text: &[u8]) -> u16 {
    u16::try_from(text.len()).unwrap_or(u16::MAX)
}

fn number(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// What the field at `at` (length, room, offset) points to.
fn part(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    let length = usize::from(u16::from_le_bytes(field.get(..2)?.try_into().ok()?));
    let start = usize::try_from(number(field.get(4..)?)?).ok()?;
    bytes.get(start..start.checked_add(length)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
