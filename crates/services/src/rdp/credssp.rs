//! CredSSP (MS-CSSP, section 2.2.1): TSRequest, what network level authentication is spoken in.

use haldane_core::{Halt, Input};
use haldane_wire::ber;

/// The version that Windows speaks since 2018.
pub const VERSION: u8 = 6;
/// STATUS_LOGON_FAILURE (MS-ERREF, section 2.3.1): no such user, or another password.
pub const LOGON_FAILURE: u32 = 0xc000_006d;

/// The context tags 0 to 5
const FIELD: [u8; 6] = [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5];

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// As the client has it; some scanners have odd ones.
    pub version: i64,
    /// The first token of negoTokens: SPNEGO, or NTLM alone.
    pub token: Option<Vec<u8>>,
    /// pubKeyAuth: proof that both see the same certificate.
    pub public_key: bool,
    /// authInfo: the credentials, sealed with a key that only the right password gives.
    pub credentials: bool,
}

impl Request {
    /// Takes one message.
    ///
    /// # Errors
    /// Not a TSRequest.
    pub fn parse(input: &mut Input<'_>) -> Result<Self, Halt> {
        let mut outer = Input::whole(ber::expect(input, ber::SEQUENCE)?);
        let mut request = Self::default();
        while !outer.is_empty() {
            let (tag, content) = ber::element(&mut outer)?;
            let mut field = Input::whole(content);
            match FIELD.iter().position(|known| *known == tag) {
                Some(0) => request.version = ber::integer(&mut field)?,
                Some(1) => request.token = token(&mut field)?,
                Some(2) => request.credentials = true,
                Some(3) => request.public_key = true,
                _ => {}
            }
        }
        Ok(request)
    }

    /// Whether its side understands an error code: from version 3 on, except 5 (section 2.2.1).
    pub fn takes_errors(&self) -> bool {
        self.version >= 3 && self.version != 5
    }
}

/// The first of `SEQUENCE OF SEQUENCE { [0] OCTET STRING }`.
fn token(field: &mut Input<'_>) -> Result<Option<Vec<u8>>, Halt> {
    let mut tokens = ber::enter(field, ber::SEQUENCE)?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut first = ber::enter(&mut tokens, ber::SEQUENCE)?;
    let mut token = ber::enter(&mut first, 0xa0)?;
    ber::expect(&mut token, ber::OCTETS).map(|token| Some(token.to_vec()))
}

/// A message with our token.
pub fn challenge(token: &[u8]) -> Vec<u8> {
    let token = ber::wrap(0xa0, &ber::wrap(ber::OCTETS, token));
    let tokens = ber::wrap(0xa1, &ber::wrap(ber::SEQUENCE, &ber::wrap(ber::SEQUENCE, &token)));
    ber::wrap_all(ber::SEQUENCE, &[version(), tokens])
}

/// A message that says why there will be no further one.
pub fn failure(status: u32) -> Vec<u8> {
    // An NTSTATUS is a signed number of 32 bits, and all of them are sent.
    let code = ber::wrap(0xa4, &ber::wrap(ber::INTEGER, &status.to_be_bytes()));
    ber::wrap_all(ber::SEQUENCE, &[version(), code])
}

fn version() -> Vec<u8> {
    ber::wrap(0xa0, &ber::wrap(ber::INTEGER, &[VERSION]))
}
