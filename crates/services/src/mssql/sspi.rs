//! Windows authentication: tokens of NTLM, bare or inside SPNEGO.

use haldane_core::{Login, Secret, Untrusted};
use haldane_wire::ntlm;

/// Bytes of NTProofStr.
const PROOF: usize = 16;

/// What a client's token asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// A challenge. Domain and workstation, as far as it tells them.
    Negotiate(Vec<u8>, Vec<u8>),
    /// To be let in.
    Answer(Box<ntlm::Answer>),
    /// Something else: Kerberos, or nothing known.
    Other,
}

/// Reads a token.
pub fn read(token: &[u8]) -> Token {
    let start = token.windows(ntlm::SIGNATURE.len()).position(|window| window == ntlm::SIGNATURE);
    let message = start.and_then(|start| token.get(start..)).unwrap_or_default();
    match ntlm::Message::read(message) {
        Some(ntlm::Message::Negotiate { domain, workstation }) => Token::Negotiate(domain, workstation),
        Some(ntlm::Message::Authenticate(mut answer)) => {
            if let Some(whole) = understated(message).filter(|_| answer.nt.len() == PROOF) {
                answer.nt = whole.to_vec();
            }
            Token::Answer(Box::new(answer))
        }
        None => Token::Other,
    }
}

/// The answer of a client (tedious, the driver for Node.js) that gives the length of its proof alone, although all that
/// the proof was computed from stands behind it (MS-NLMP, section 2.2.2.7), up to the message's end.
fn understated(message: &[u8]) -> Option<&[u8]> {
    let at = u32::from_le_bytes(message.get(24..28)?.try_into().ok()?);
    let answer = message.get(usize::try_from(at).ok()?..)?;
    answer.get(PROOF..)?.starts_with(&[1, 1, 0, 0]).then_some(answer)
}

/// The challenge.
pub fn challenge(nonce: &[u8; 8], machine: &str) -> Vec<u8> {
    ntlm::challenge(nonce, machine)
}

/// The login that an answer is.
pub fn login(answer: &ntlm::Answer, nonce: &[u8; 8]) -> Login {
    let mut login = Login::new("ntlm").user(&answer.user);
    if !answer.domain.is_empty() {
        login.domain = Some(Untrusted::new(&answer.domain));
    }
    let response = if answer.nt.is_empty() { &answer.lm } else { &answer.nt };
    login.secret(Secret::Response {
        scheme: "ntlm".into(),
        challenge: nonce.into(),
        response: response.into(),
        crackable: answer.crackable(nonce),
    })
}
