//! RDSTLS (MS-RDPBCGR, section 2.2.17): how a client logs in that another server has sent here. Nobody was, so that
//! whoever speaks it made it up.

use haldane_core::{Halt, Input};

use super::text::utf16;

/// RDSTLS Capabilities PDU: version 1, which is what the server begins with.
pub const CAPABILITIES: [u8; 8] = [1, 0, 1, 0, 1, 0, 1, 0];
/// RDSTLS Authentication Response PDU: RDSTLS_RESULT_LOGON_FAILURE.
pub const FAILURE: [u8; 10] = [1, 0, 4, 0, 1, 0, 0x2e, 5, 0, 0];

/// RDSTLS Authentication Request PDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// With the password that the other server has encrypted for this one.
    Password {
        /// The user, in UTF-8.
        user: Vec<u8>,
        /// The domain, in UTF-8.
        domain: Vec<u8>,
        /// As it came.
        password: Vec<u8>,
    },
    /// With the cookie of a session that broke off: its number, and the cookie.
    Reconnect(u32, Vec<u8>),
}

impl Request {
    /// Takes one message.
    ///
    /// # Errors
    /// None of the two.
    pub fn parse(input: &mut Input<'_>) -> Result<Self, Halt> {
        // Version 1, RDSTLS_TYPE_AUTHREQ.
        if (input.u16_le()?, input.u16_le()?) != (1, 2) {
            return Err(Halt::Malformed("no RDSTLS request"));
        }
        match input.u16_le()? {
            1 => {
                text(input)?;
                let (user, domain) = (utf16(text(input)?), utf16(text(input)?));
                Ok(Self::Password { user, domain, password: text(input)?.to_vec() })
            }
            2 => Ok(Self::Reconnect(input.u32_le()?, text(input)?.to_vec())),
            _ => Err(Halt::Malformed("RDSTLS request of an unknown form")),
        }
    }
}

fn text<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let length = input.u16_le()?.into();
    input.take(length)
}
