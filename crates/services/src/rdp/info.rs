//! What a client sends before it may see a desktop (MS-RDPBCGR, section 2.2.1.11.1.1): who it wants to be, in clear.

use haldane_core::{Halt, Input};

use super::text::utf16_whole;

/// INFO_UNICODE.
const UNICODE: u32 = 0x10;
/// INFO_AUTOLOGON.
const AUTOLOGON: u32 = 0x08;

/// TS_INFO_PACKET with what follows it. All text in UTF-8, or as it came from clients that know no Unicode.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Info {
    /// The domain.
    pub domain: Vec<u8>,
    /// The user.
    pub user: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
    /// The program to run instead of a desktop.
    pub shell: Vec<u8>,
    /// Where it is to run.
    pub folder: Vec<u8>,
    /// The client's address, as it sees it itself.
    pub address: Vec<u8>,
    /// Where the client's program lies.
    pub client_folder: Vec<u8>,
    /// Whether it wants to be logged on without being asked.
    pub autologon: bool,
}

impl Info {
    /// Reads it.
    ///
    /// # Errors
    /// It ends before its password does.
    pub fn read(bytes: &[u8]) -> Result<Self, Halt> {
        let mut input = Input::whole(bytes);
        input.u32_le()?;
        let flags = input.u32_le()?;
        let unicode = flags & UNICODE != 0;
        let mut lengths = [0_usize; 5];
        for length in &mut lengths {
            *length = input.u16_le()?.into();
        }
        let end = if unicode { 2 } else { 1 };
        let mut text = |length: usize| -> Result<Vec<u8>, Halt> {
            let bytes = input.take(length)?;
            input.take(end).ok();
            Ok(if unicode { utf16_whole(bytes) } else { bytes.to_vec() })
        };
        let [domain, user, password, shell, folder] = lengths;
        let (domain, user, password) = (text(domain)?, text(user)?, text(password)?);
        let (shell, folder) = (text(shell).unwrap_or_default(), text(folder).unwrap_or_default());
        let mut info = Self { domain, user, password, shell, folder, ..Self::default() };
        info.autologon = flags & AUTOLOGON != 0;
        info.extended(&mut input, unicode).ok();
        Ok(info)
    }

    /// TS_EXTENDED_INFO_PACKET (section 2.2.1.11.1.1.1), which old clients do not have.
    fn extended(&mut self, input: &mut Input<'_>, unicode: bool) -> Result<(), Halt> {
        input.u16_le()?;
        for part in [&mut self.address, &mut self.client_folder] {
            let length = input.u16_le()?.into();
            let bytes = input.take(length)?;
            let mut text = if unicode { utf16_whole(bytes) } else { bytes.to_vec() };
            while text.last() == Some(&0) {
                text.pop();
            }
            *part = text;
        }
        Ok(())
    }
}
