//! What a client sends to log in: LOGIN7 (MS-TDS, section 2.2.6.4) and the LOGIN of TDS 4.2 (section 2.2.6.3).

use haldane_core::{Sighting, Untrusted};

/// The longest login (section 2.2.6.4): 128 KiB less a byte.
pub const LONGEST: usize = 128 * 1024 - 1;

/// Where the first of the texts may begin, in the form of TDS 7.0.
const HEAD: usize = 86;
/// Features of a login that tell who it is (section 2.2.6.4, FeatureExt).
const FEDERATED: u8 = 2;
const LAST_FEATURE: u8 = 0xff;

/// A login, whichever way it came. Texts are UTF-8; halves of surrogate pairs are kept as three bytes each, so that
/// nothing of them is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The protocol's version as the client gives it: 0x74000004 for TDS 7.4.
    pub tds: u32,
    /// The client's machine.
    pub host: Vec<u8>,
    /// Empty where Windows tells who it is.
    pub user: Vec<u8>,
    /// In clear.
    pub password: Vec<u8>,
    /// The program.
    pub app: Vec<u8>,
    /// What it believes to talk to.
    pub server: Vec<u8>,
    /// The client's library.
    pub interface: Vec<u8>,
    /// Of messages.
    pub language: Vec<u8>,
    /// The database that it wants.
    pub database: Vec<u8>,
    /// A file that it wants to be made one.
    pub attach: Vec<u8>,
    /// The password that the account is to have from now on.
    pub new_password: Option<Vec<u8>>,
    /// What makes the machine unique: usually the address of a network card.
    pub machine: [u8; 6],
    /// The process at the other end.
    pub process: u32,
    /// The first token of SSPI.
    pub sspi: Vec<u8>,
    /// Whether it wants Windows to tell who it is.
    pub windows: bool,
    /// A token of somebody else who vouches for it (Entra ID).
    pub token: Option<Vec<u8>>,
    /// Something in it points outside: a server hangs up on that.
    pub broken: bool,
}

impl Login {
    /// Reads LOGIN7. `None`: it is too short to be one.
    pub fn read(message: &[u8]) -> Option<Self> {
        message.get(..HEAD)?;
        let long = |at: usize| number(message, at, 4);
        let mut login = Self { tds: long(4)?, process: long(16)?, ..Self::default() };
        login.machine = message.get(72..78)?.try_into().ok()?;
        login.windows = message.get(25)? & 0x80 != 0;
        // Offsets and lengths, these in characters.
        let mut broken = usize::try_from(long(0)?) != Ok(message.len());
        let mut field = |at: usize| {
            let found = wide(message, at);
            broken |= found.is_none();
            found.unwrap_or_default()
        };
        login.host = utf8(field(36));
        login.user = utf8(field(40));
        login.password = utf8(&revealed(field(44)));
        login.app = utf8(field(48));
        login.server = utf8(field(52));
        login.interface = utf8(field(60));
        login.language = utf8(field(64));
        login.database = utf8(field(68));
        login.attach = utf8(field(82));
        if login.is_long() {
            login.new_password = Some(utf8(&revealed(field(86)))).filter(|new| !new.is_empty());
        }
        let length = match number(message, 80, 2)? {
            0xffff if login.is_long() => long(90).filter(|length| *length > 0).unwrap_or(0xffff),
            length => length,
        };
        match part(message, number(message, 78, 2)?, length) {
            Some(token) => login.sspi = token.to_vec(),
            None => broken = true,
        }
        if message.get(27)? & 0x10 != 0 {
            login.token = federated(message);
        }
        login.broken = broken;
        Some(login)
    }

    /// Reads the login of TDS 4.2: texts of 30 bytes, their length behind them. `None`: it is too short to be one.
    pub fn read_old(message: &[u8]) -> Option<Self> {
        let text = |at: usize| {
            let room = message.get(at..at.checked_add(30)?)?;
            let length = message.get(at.checked_add(30)?).copied().map(usize::from)?;
            Some(room.get(..length).unwrap_or(room).to_vec())
        };
        Some(Self {
            tds: 0x0402_0000,
            host: text(0)?,
            user: text(31)?,
            password: text(62)?,
            app: text(140).unwrap_or_default(),
            server: text(171).unwrap_or_default(),
            interface: message.get(462..472).map(trimmed).unwrap_or_default(),
            language: text(480).unwrap_or_default(),
            ..Self::default()
        })
    }

    /// Whether numbers in answers have the width that they have since TDS 7.2.
    pub fn is_long(&self) -> bool {
        self.tds >= 0x7200_0000 || self.tds == 0x0800_0000
    }

    /// Whether it is of TDS 4.2: texts are single bytes.
    pub fn is_old(&self) -> bool {
        self.tds == 0x0402_0000
    }

    /// The protocol's version, as people write it.
    pub fn protocol(&self) -> String {
        match self.tds {
            0x0402_0000 => "4.2".into(),
            0x0800_0000 => "8.0".into(),
            0x7300_0000..0x730b_0000 => "7.3A".into(),
            0x730b_0000..0x7400_0000 => "7.3B".into(),
            tds => {
                let [high, ..] = tds.to_be_bytes();
                format!("{}.{}", high >> 4, high & 0x0f)
            }
        }
    }

    /// Adds what it tells about the client.
    pub fn describe(&self, mut seen: Sighting) -> Sighting {
        let texts = [
            ("host", &self.host),
            ("app", &self.app),
            ("server", &self.server),
            ("interface", &self.interface),
            ("language", &self.language),
            ("database", &self.database),
            ("attach", &self.attach),
        ];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            seen = seen.with(key, Untrusted::new(text));
        }
        if let Some(new) = &self.new_password {
            seen = seen.with("new_password", Untrusted::new(new));
        }
        if self.machine != [0; 6] {
            let address: Vec<String> = self.machine.iter().map(|byte| format!("{byte:02x}")).collect();
            seen = seen.with("machine", address.join(":"));
        }
        if self.process != 0 {
            seen = seen.with("process", self.process);
        }
        if self.broken {
            seen = seen.with("broken", true);
        }
        seen.with("tds", self.protocol())
    }
}

fn number(message: &[u8], at: usize, width: usize) -> Option<u32> {
    let bytes = message.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

fn part(message: &[u8], at: u32, length: u32) -> Option<&[u8]> {
    let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
    if length == 0 {
        return Some(&[]);
    }
    message.get(at..at.checked_add(length)?)
}

/// The text that the offset and the length at `at` point to.
fn wide(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = number(message, at.checked_add(2)?, 2)?;
    part(message, number(message, at, 2)?, length.checked_mul(2)?)
}

/// A password as it was before the client changed each byte: halves swapped, then XOR with 0xA5.
fn revealed(hidden: &[u8]) -> Vec<u8> {
    hidden.iter().map(|byte| (byte ^ 0xa5).rotate_left(4)).collect()
}

fn trimmed(text: &[u8]) -> Vec<u8> {
    text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// UTF-16 as UTF-8; what is half a pair as the three bytes that it would be (WTF-8).
pub fn utf8(wide: &[u8]) -> Vec<u8> {
    let units = wide.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    let mut text = Vec::with_capacity(wide.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(half) => {
                let [high, low] = half.unpaired_surrogate().to_be_bytes();
                text.extend([
                    0xe0 | (high >> 4),
                    0x80 | ((high & 0x0f) << 2) | (low >> 6),
                    0x80 | (low & 0x3f),
                ]);
            }
        }
    }
    text
}

/// The token of a federated login by security token (library 1).
fn federated(message: &[u8]) -> Option<Vec<u8>> {
    let place = usize::try_from(number(message, 56, 2)?).ok()?;
    let mut rest = message.get(usize::try_from(number(message, place, 4)?).ok()?..)?;
    loop {
        let (&feature, after) = rest.split_first()?;
        if feature == LAST_FEATURE {
            return None;
        }
        let data = after.get(4..)?;
        let (data, after) = data.split_at_checked(usize::try_from(number(after, 0, 4)?).ok()?)?;
        if feature == FEDERATED && data.first().is_some_and(|options| options >> 1 == 1) {
            return part(data, 5, number(data, 1, 4)?).map(utf8);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_what_the_client_typed() {
        // FreeTDS's own example: "a" is 0xb3 0xa5.
        assert_eq!(utf8(&revealed(&[0xb3, 0xa5])), b"a");
    }

    #[test]
    fn half_a_pair_is_kept() {
        assert_eq!(utf8(&[0x3d, 0xd8, 0x00, 0xde]), "😀".as_bytes());
        assert_eq!(utf8(&[0x61, 0, 0x3d, 0xd8, 0x62, 0]), b"a\xed\xa0\xbdb");
    }

    #[test]
    fn whatever_points_outside_is_empty_and_noticed() {
        let mut message = vec![0; 94];
        message[0] = 94;
        message[7] = 0x74;
        assert_eq!(Login::read(&message).map(|login| login.broken), Some(false));
        message[42] = 9;
        message[40] = 90;
        let login = Login::read(&message).unwrap();
        assert!(login.broken && login.user.is_empty());
        message[80..82].fill(0xff);
        message[90..94].fill(0xff);
        message[27] = 0x10;
        for length in 0..message.len() {
            let _ = Login::read(&message[..length]);
        }
    }
}
