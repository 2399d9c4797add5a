//! Windows authentication: tokens of NTLM, bare or inside SPNEGO.

use haldane_core::{Login, Secret, Untrusted};
use haldane_wire::ntlm;

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
    match start.and_then(|start| token.get(start..)).and_then(ntlm::Message::read) {
        Some(ntlm::Message::Negotiate { domain, workstation }) => Token::Negotiate(domain, workstation),
        Some(ntlm::Message::Authenticate(answer)) => Token::Answer(Box::new(answer)),
        None => Token::Other,
    }
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
