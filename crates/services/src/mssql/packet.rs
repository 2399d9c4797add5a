//! Packets of TDS (MS-TDS, section 2.2.3), and the pre-login message (section 2.2.6.5).

use haldane_core::{Halt, Input};

/// Bytes of a packet's header (section 2.2.3.1).
pub const HEADER: usize = 8;
/// Bytes of a packet unless both sides agree on more, which they do only after the login.
pub const SIZE: usize = 4096;

/// What a packet is part of (section 2.2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A login of TDS 4.2.
    OldLogin,
    /// A login of TDS 7.
    Login7,
    /// The client's next token of SSPI.
    Sspi,
    /// A pre-login message, or TLS inside one.
    PreLogin,
    /// Something that only a client sends that is logged in.
    Other(u8),
}

impl Kind {
    /// Of that byte. `None`: no client sends it.
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            2 => Some(Self::OldLogin),
            0x10 => Some(Self::Login7),
            0x11 => Some(Self::Sspi),
            0x12 => Some(Self::PreLogin),
            1 | 3 | 5..=8 | 0x0e => Some(Self::Other(byte)),
            _ => None,
        }
    }
}

/// One packet of a client.
#[derive(Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is part of.
    pub kind: Kind,
    /// Whether it ends its message.
    pub last: bool,
    /// What it carries.
    pub body: Vec<u8>,
}

impl Packet {
    /// Reads one.
    ///
    /// # Errors
    /// More is needed; or it is no packet that a server reads on.
    pub fn read(input: &mut Input<'_>) -> Result<Self, Halt> {
        let [kind, status] = input.array()?;
        let kind = Kind::of(kind).ok_or(Halt::Malformed("no packet of TDS"))?;
        let length = usize::from(input.u16()?);
        let body = length.checked_sub(HEADER).ok_or(Halt::Malformed("packet shorter than its header"))?;
        input.take(4)?;
        Ok(Self { kind, last: status & 1 != 0, body: input.take(body)?.to_vec() })
    }
}

/// A message as packets of that type. Packets that carry TLS are not numbered.
pub fn packets(kind: u8, spid: u16, numbered: bool, message: &[u8]) -> Vec<u8> {
    let chunks: Vec<&[u8]> = message.chunks(SIZE.saturating_sub(HEADER)).collect();
    let mut bytes = Vec::with_capacity(message.len().saturating_add(HEADER));
    let mut number = 0_u8;
    for (at, chunk) in chunks.iter().enumerate() {
        let last = at.saturating_add(1) == chunks.len();
        let length = u16::try_from(chunk.len().saturating_add(HEADER)).unwrap_or_default();
        number = number.wrapping_add(numbered.into());
        bytes.extend([kind, last.into()]);
        bytes.extend(length.to_be_bytes());
        bytes.extend(spid.to_be_bytes());
        bytes.extend([number, 0]);
        bytes.extend_from_slice(chunk);
    }
    bytes
}

/// Options of a pre-login message.
mod option {
    pub(super) const VERSION: u8 = 0;
    pub(super) const ENCRYPTION: u8 = 1;
    pub(super) const INSTANCE: u8 = 2;
    pub(super) const THREAD: u8 = 3;
    pub(super) const MARS: u8 = 4;
    pub(super) const TRACE: u8 = 5;
    pub(super) const FEDERATED: u8 = 6;
    pub(super) const NONCE: u8 = 7;
    pub(super) const END: u8 = 0xff;
}

/// Whether a side wants encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// For the login alone (ENCRYPT_OFF).
    Off,
    /// For everything (ENCRYPT_ON).
    On,
    /// It has none (ENCRYPT_NOT_SUP).
    None,
    /// Without it, it will not go on (ENCRYPT_REQ).
    Required,
}

impl Encryption {
    /// The byte.
    pub fn byte(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::On => 1,
            Self::None => 2,
            Self::Required => 3,
        }
    }

    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::None => "not supported",
            Self::Required => "required",
        }
    }

    /// The server's answer (section 3.3.5.1), where it insists on encryption or not.
    #[must_use]
    pub fn answer(self, insists: bool) -> Self {
        match (self, insists) {
            (Self::On | Self::Required, _) => Self::On,
            (Self::Off | Self::None, true) => Self::Required,
            (Self::Off, false) => Self::Off,
            (Self::None, false) => Self::None,
        }
    }
}

/// What a client says before its login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreLogin {
    /// Its version: major, minor, build, and the build below that.
    pub version: (u8, u8, u16, u16),
    /// Whether it wants encryption; `None`: it does not say.
    pub encryption: Option<Encryption>,
    /// The instance that it wants to reach, without the NUL behind it; empty if it does not say.
    pub instance: Vec<u8>,
    /// Which options it sent, in their order.
    options: Vec<u8>,
    federated: bool,
}

impl PreLogin {
    /// Reads one. `None`: a server hangs up on that.
    pub fn read(message: &[u8]) -> Option<Self> {
        let mut input = Input::whole(message);
        let mut found = Self {
            version: (0, 0, 0, 0),
            encryption: None,
            instance: Vec::new(),
            options: Vec::new(),
            federated: false,
        };
        loop {
            let token = input.u8().ok()?;
            if token == option::END {
                break;
            }
            let (at, length) = (usize::from(input.u16().ok()?), usize::from(input.u16().ok()?));
            let data = message.get(at..at.checked_add(length)?)?;
            // The version comes first, and nothing comes twice (section 2.2.6.5).
            if found.options.is_empty() != (token == option::VERSION) || found.options.contains(&token) {
                return None;
            }
            match (token, data) {
                (option::VERSION, &[major, minor, a, b, c, d]) => {
                    let build = u16::from_be_bytes([a, b]);
                    found.version = (major, minor, build, u16::from_le_bytes([c, d]));
                }
                (option::VERSION, _) => return None,
                (option::ENCRYPTION, &[wanted]) => {
                    // The upper bit offers a certificate of the client's.
                    found.encryption = Some(match wanted & 0x7f {
                        0 => Encryption::Off,
                        2 => Encryption::None,
                        3 => Encryption::Required,
                        _ => Encryption::On,
                    });
                }
                (option::INSTANCE, name) => {
                    found.instance = name.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
                }
                (option::FEDERATED, data) => found.federated = data == [1],
                _ => {}
            }
            found.options.push(token);
        }
        (!found.options.is_empty()).then_some(found)
    }

    /// A server's answer: to each option that the client sent and the server knows, in the same order.
    pub fn answer(&self, version: (u8, u8, u16), encryption: Encryption, instance: &str) -> Vec<u8> {
        let wrong = !self.instance.is_empty() && !self.instance.eq_ignore_ascii_case(instance.as_bytes());
        let (major, minor, build) = version;
        let [high, low] = build.to_be_bytes();
        let mut parts: Vec<(u8, Vec<u8>)> = Vec::new();
        for token in &self.options {
            let data = match *token {
                option::VERSION => vec![major, minor, high, low, 0, 0],
                option::ENCRYPTION => vec![encryption.byte()],
                option::INSTANCE => vec![wrong.into()],
                // The server's are empty.
                option::THREAD | option::TRACE => Vec::new(),
                option::MARS => vec![0],
                option::FEDERATED => vec![self.federated.into()],
                option::NONCE => continue,
                _ => continue,
            };
            parts.push((*token, data));
        }
        let mut at = parts.len().saturating_mul(5).saturating_add(1);
        let (mut head, mut body) = (Vec::new(), Vec::new());
        for (token, data) in parts {
            head.push(token);
            head.extend(u16::try_from(at).unwrap_or_default().to_be_bytes());
            head.extend(u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
            at = at.saturating_add(data.len());
            body.extend(data);
        }
        head.push(option::END);
        head.extend(body);
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn the_answer_has_the_options_of_the_question() {
        // The example of MS-TDS, section 4.1.
        let asked = hex("00 001A 0006 01 0020 0001 02 0021 0001 03 0022 0004 04 0026 0001 FF
                         09 00 0000 0000 01 00 B80D0000 01");
        let read = PreLogin::read(&asked).unwrap();
        assert_eq!((read.version, read.encryption), ((9, 0, 0, 0), Some(Encryption::On)));
        assert_eq!(
            read.answer((15, 0, 2000), Encryption::On, "MSSQLSERVER"),
            hex(
                "00 001A 0006 01 0020 0001 02 0021 0001 03 0022 0000 04 0022 0001 FF 0F 00 07D0 0000 01 00 00"
            )
        );
    }

    #[test]
    fn another_instance_is_a_wrong_one() {
        let asked = |name: &[u8]| {
            let length = u8::try_from(name.len()).unwrap();
            [&[0, 0, 11, 0, 6, 2, 0, 17, 0, length, 255, 8, 0, 1, 85, 0, 0], name].concat()
        };
        for (name, wrong) in [(&b"MSSQLServer\0"[..], 0), (b"\0", 0), (b"", 0), (b"PAYROLL\0", 1)] {
            let read = PreLogin::read(&asked(name)).unwrap();
            let answer = read.answer((15, 0, 2000), Encryption::Off, "MSSQLSERVER");
            assert_eq!(answer.last(), Some(&wrong), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn what_a_server_hangs_up_on_is_no_pre_login() {
        for odd in ["FF", "", "01 0006 0001 FF 00", "00 0006 0006 FF 09 00 0000", "00 0006 0006"] {
            assert_eq!(PreLogin::read(&hex(odd)), None, "{odd}");
        }
    }

    #[test]
    fn a_long_message_is_several_packets_and_only_the_last_says_so() {
        let sent = packets(0x12, 0, false, &[7; 5000]);
        assert_eq!(sent.get(..8), Some(&[0x12, 0, 0x10, 0, 0, 0, 0, 0][..]));
        assert_eq!(sent.get(4096..4104), Some(&[0x12, 1, 0x03, 0x98, 0, 0, 0, 0][..]));
        assert_eq!(packets(4, 51, true, b"x"), [4, 1, 0, 9, 0, 51, 1, 0, b'x']);
    }
}
