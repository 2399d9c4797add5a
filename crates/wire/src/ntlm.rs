//! NTLM messages as far as their names and answers go (MS-NLMP, section 2.2.1): the client's first, our challenge, and
//! the client's answer to it. Nothing is verified.

/// With what each message begins.
pub const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

/// Text is UTF-16 (MS-NLMP, section 2.2.2.5).
const UNICODE: u32 = 0x0000_0001;
/// The domain stands in the first message.
const DOMAIN_SUPPLIED: u32 = 0x0000_1000;
/// The workstation stands in the first message.
const WORKSTATION_SUPPLIED: u32 = 0x0000_2000;
/// Of our challenge: Unicode, OEM, target requested, NTLM, always sign, the target is a server, extended session
/// security, target information, 128 and 56 bits.
const OFFERED: u32 = 0xa28a_8207;

/// What a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first message: who it is, if it says so.
    Negotiate {
        /// Its domain, in UTF-8; empty if not told.
        domain: Vec<u8>,
        /// Its own name, in UTF-8; empty if not told.
        workstation: Vec<u8>,
    },
    /// The answer to a challenge.
    Authenticate(Answer),
}

/// The answer to a challenge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
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
                let oem = |at, flag| if flags & flag == 0 { Vec::new() } else { field(at).to_vec() };
                Some(Self::Negotiate {
                    domain: oem(16, DOMAIN_SUPPLIED),
                    workstation: oem(24, WORKSTATION_SUPPLIED),
                })
            }
            3 => {
                let unicode = bytes.get(60..64).and_then(number).is_none_or(|flags| flags & UNICODE != 0);
                let text = |at| if unicode { utf8(field(at)) } else { field(at).to_vec() };
                Some(Self::Authenticate(Answer {
                    lm: field(12).to_vec(),
                    nt: field(20).to_vec(),
                    domain: text(28),
                    user: text(36),
                    workstation: text(44),
                }))
            }
            _ => None,
        }
    }
}

impl Answer {
    /// The line for hashcat (modes 5500 and 5600) and john (netntlm, netntlmv2). `None` if there is nothing to crack.
    pub fn crackable(&self, challenge: &[u8; 8]) -> Option<String> {
        let (user, domain) = (std::str::from_utf8(&self.user).ok()?, std::str::from_utf8(&self.domain).ok()?);
        if user.contains([':', '\r', '\n']) || domain.contains([':', '\r', '\n']) {
            return None;
        }
        match self.nt.len() {
            24 => Some(format!("{user}::{domain}:{}:{}:{}", hex(&self.lm), hex(&self.nt), hex(challenge))),
            25.. => {
                let (proof, blob) = self.nt.split_at_checked(16)?;
                Some(format!("{user}::{domain}:{}:{}:{}", hex(challenge), hex(proof), hex(blob)))
            }
            _ => None,
        }
    }
}

/// Our challenge (MS-NLMP, section 2.2.1.2), as a server of that name that is in no domain.
pub fn challenge(nonce: &[u8; 8], computer: &str) -> Vec<u8> {
    let computer: String =
        computer.split('.').next().unwrap_or_default().to_uppercase().chars().take(15).collect();
    let name: Vec<u8> = computer.encode_utf16().flat_map(u16::to_le_bytes).collect();
    // MsvAvNbDomainName, MsvAvNbComputerName, MsvAvEOL (section 2.2.2.1).
    let mut facts = Vec::new();
    for id in [2_u16, 1] {
        facts.extend_from_slice(&id.to_le_bytes());
        facts.extend_from_slice(&length(&name).to_le_bytes());
        facts.extend_from_slice(&name);
    }
    facts.extend_from_slice(&[0; 4]);
    let mut message = [&SIGNATURE[..], &[2, 0, 0, 0]].concat();
    let place = |text: &[u8], at: u32, message: &mut Vec<u8>| {
        for _ in 0..2 {
            message.extend_from_slice(&length(text).to_le_bytes());
        }
        message.extend_from_slice(&at.to_le_bytes());
    };
    place(&name, HEAD, &mut message);
    message.extend_from_slice(&OFFERED.to_le_bytes());
    message.extend_from_slice(nonce);
    message.extend_from_slice(&[0; 8]);
    place(&facts, HEAD.saturating_add(u32::from(length(&name))), &mut message);
    // Version: Windows 10, build 17763, NTLM revision 15.
    message.extend_from_slice(&[10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    message.extend_from_slice(&name);
    message.extend_from_slice(&facts);
    message
}

/// Bytes of a challenge before its texts.
const HEAD: u32 = 56;

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

fn utf8(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into_bytes()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(flags: u32, texts: [&[u8]; 5]) -> Vec<u8> {
        let mut head = [&SIGNATURE[..], &[3, 0, 0, 0]].concat();
        let (mut at, mut payload) = (64_u32, Vec::new());
        for text in texts {
            let size = u16::try_from(text.len()).unwrap();
            head.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
            head.extend(at.to_le_bytes());
            payload.extend_from_slice(text);
            at = at.saturating_add(u32::from(size));
        }
        head.extend([0; 8]);
        head.extend(flags.to_le_bytes());
        head.extend(payload);
        head
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn the_answer_s_names_and_proofs_are_read_and_make_a_crackable_line() {
        // The example of MS-NLMP, section 4.2.4 (version 2), cut short behind the proof.
        let (lm, nt) = ([0x86; 24], [[0x68; 16], [1; 16]].concat());
        let read =
            Message::read(&answer(UNICODE, [&lm, &nt, &wide("Domain"), &wide("Jürgen"), &wide("COMPUTER")]));
        let Some(Message::Authenticate(answer)) = read else { panic!("{read:?}") };
        assert_eq!((answer.user.as_slice(), answer.domain.as_slice()), ("Jürgen".as_bytes(), &b"Domain"[..]));
        assert_eq!(answer.workstation, b"COMPUTER");
        let line = answer.crackable(&[0xab; 8]).unwrap();
        assert_eq!(
            line,
            format!("Jürgen::Domain:{}:{}:{}", "ab".repeat(8), "68".repeat(16), "01".repeat(16))
        );
    }

    #[test]
    fn an_old_answer_is_crackable_too_and_an_anonymous_one_is_not() {
        let Some(Message::Authenticate(old)) =
            Message::read(&answer(0, [&[1; 24], &[2; 24], b"D", b"eve", b"W"]))
        else {
            panic!()
        };
        let line = old.crackable(&[3; 8]).unwrap();
        assert_eq!(line, format!("eve::D:{}:{}:{}", "01".repeat(24), "02".repeat(24), "03".repeat(8)));
        let Some(Message::Authenticate(nobody)) = Message::read(&answer(UNICODE, [&[0], b"", b"", b"", b""]))
        else {
            panic!()
        };
        assert_eq!(nobody.crackable(&[3; 8]), None);
    }

    #[test]
    fn a_first_message_tells_its_names_only_if_its_flags_say_so() {
        let mut first = [&SIGNATURE[..], &[1, 0, 0, 0, 7, 0x30, 0, 0]].concat();
        first.extend([3, 0, 3, 0, 32, 0, 0, 0, 2, 0, 2, 0, 35, 0, 0, 0]);
        first.extend(b"DOMPC");
        let named = Message::Negotiate { domain: b"DOM".to_vec(), workstation: b"PC".to_vec() };
        assert_eq!(Message::read(&first), Some(named));
        first[13] = 0;
        let silent = Message::Negotiate { domain: Vec::new(), workstation: Vec::new() };
        assert_eq!(Message::read(&first), Some(silent));
    }

    #[test]
    fn fields_that_point_outside_are_empty_and_other_messages_none() {
        let mut wild = answer(UNICODE, [b"", b"", b"", &wide("a"), b""]);
        wild[36..44].copy_from_slice(&[0xff; 8]);
        let Some(Message::Authenticate(answer)) = Message::read(&wild) else { panic!() };
        assert_eq!(answer.user, b"");
        for length in 0..wild.len() {
            let _ = Message::read(&wild[..length]);
        }
        assert_eq!(Message::read(&challenge(&[0; 8], "files01")), None);
        assert_eq!(Message::read(b"NTLMSSP"), None);
    }

    #[test]
    fn the_challenge_s_fields_point_to_its_texts() {
        let message = challenge(&[7; 8], "files01.example.com");
        assert_eq!(part(&message, 12).unwrap(), wide("FILES01"));
        assert_eq!(&message[24..32], &[7; 8]);
        let facts = part(&message, 40).unwrap();
        assert_eq!((&facts[..4], &facts[facts.len() - 4..]), (&[2, 0, 14, 0][..], &[0; 4][..]));
        assert_eq!(message.len(), 56 + 14 + facts.len());
    }
}
