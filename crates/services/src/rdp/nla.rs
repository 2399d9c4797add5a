//! The tokens of network level authentication: NTLM, alone or within SPNEGO (RFC 4178).

use std::borrow::Cow;

use haldane_core::{Login, Secret, Untrusted};
use haldane_wire::{ber, ntlm};

/// 1.3.6.1.4.1.311.2.2.10: NTLM.
const NTLM: [u8; 10] = [0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a];

/// What a client's token is.
#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    /// The first message of NTLM, and whether it is within SPNEGO.
    Negotiate(bool),
    /// The answer to our challenge.
    Answer(ntlm::Answer),
    /// SPNEGO with another mechanism first.
    Mechanisms,
    /// Nothing of these.
    Other,
}

/// Reads a token.
pub fn read(token: &[u8]) -> Token {
    let start = token.windows(ntlm::SIGNATURE.len()).position(|window| window == ntlm::SIGNATURE);
    match start.map(|start| (start, ntlm::Message::read(token.get(start..).unwrap_or_default()))) {
        Some((start, Some(ntlm::Message::Negotiate { .. }))) => Token::Negotiate(start > 0),
        Some((_, Some(ntlm::Message::Authenticate(answer)))) => Token::Answer(answer),
        Some((_, None)) => Token::Other,
        // [APPLICATION 0]
        None if token.first() == Some(&0x60) => Token::Mechanisms,
        None => Token::Other,
    }
}

/// Our challenge, within SPNEGO if the client's message was.
pub fn challenge(nonce: &[u8; 8], computer: &str, wrapped: bool) -> Vec<u8> {
    let message = ntlm::challenge(nonce, computer);
    if wrapped { response(Some(&message)) } else { message }
}

/// The wish to go on with NTLM.
pub fn choose() -> Vec<u8> {
    response(None)
}

/// NegTokenResp: accept-incomplete, NTLM, and its message.
fn response(message: Option<&[u8]>) -> Vec<u8> {
    let mut parts = vec![ber::wrap(0xa0, &[0x0a, 1, 1]), ber::wrap(0xa1, &ber::wrap(ber::OBJECT, &NTLM))];
    parts.extend(message.map(|message| ber::wrap(0xa2, &ber::wrap(ber::OCTETS, message))));
    ber::wrap(0xa1, &ber::wrap_all(ber::SEQUENCE, &parts))
}

/// The answer as credentials.
pub fn login(answer: &ntlm::Answer, nonce: Option<&[u8; 8]>) -> Login {
    let mut login = Login::new("ntlm").user(&answer.user);
    login.domain = (!answer.domain.is_empty()).then(|| Untrusted::new(&answer.domain));
    let response = if answer.nt.is_empty() { &answer.lm } else { &answer.nt };
    login.secret(Secret::Response {
        scheme: Cow::Borrowed("ntlm"),
        challenge: nonce.map(|nonce| nonce.as_slice()).unwrap_or_default().into(),
        response: response.into(),
        crackable: nonce.and_then(|nonce| answer.crackable(nonce)),
    })
}
