//! Answers of DIGEST-MD5 (RFC 2831, section 2.1.2.1), as LDAP carries them.

use haldane_wire::directives;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::response::Answer;

/// Behind the address where the layer protects what follows.
const PROTECTED: &[u8] = b":00000000000000000000000000000000";

/// Whether that password gives that answer. Text is hashed in Latin-1 where it fits that, and in UTF-8 by those who do
/// not follow the rule: both are tried.
pub(crate) fn matches(password: &[u8], answer: &Answer<'_>) -> bool {
    let said = directives::read(answer.response);
    let of = |name| directives::value(&said, name).unwrap_or_default();
    let (nonce, cnonce, qop) = (of("nonce"), of("cnonce"), of("qop"));
    let mut second = [b"AUTHENTICATE:", of("digest-uri")].concat();
    if matches!(qop, b"auth-int" | b"auth-conf") {
        second.extend_from_slice(PROTECTED);
    }
    let second = hex(&Md5::digest(second));
    let qop = if qop.is_empty() { b"auth" } else { qop };
    let response = of("response").to_ascii_lowercase();
    let is_answer = |encode: fn(&[u8]) -> Vec<u8>| {
        let secret = [of("username"), of("realm"), password].map(encode).join(&b':');
        let mut first = [&Md5::digest(secret)[..], nonce, cnonce].join(&b':');
        if let Some(other) = directives::value(&said, "authzid") {
            first.push(b':');
            first.extend_from_slice(other);
        }
        let first = hex(&Md5::digest(first));
        let all = [first.as_bytes(), nonce, of("nc"), cnonce, qop, second.as_bytes()].join(&b':');
        bool::from(hex(&Md5::digest(all)).as_bytes().ct_eq(&response))
    };
    is_answer(latin) || is_answer(<[u8]>::to_vec)
}

/// In Latin-1, if it can be said in that.
fn latin(text: &[u8]) -> Vec<u8> {
    let narrow =
        |text: &str| text.chars().map(|c| u8::try_from(u32::from(c))).collect::<Result<Vec<u8>, _>>();
    std::str::from_utf8(text).ok().and_then(|text| narrow(text).ok()).unwrap_or_else(|| text.to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(password: &str, response: &str) -> bool {
        let answer = Answer { username: b"", domain: b"", challenge: b"", response: response.as_bytes() };
        matches(password.as_bytes(), &answer)
    }

    #[test]
    fn the_answer_of_the_rfc_is_recognised() {
        // Section 4.
        let said = "charset=utf-8,username=\"chris\",realm=\"elwood.innosoft.com\",nonce=\"OA6MG9tEQGm2hh\",nc=00000001,\
            cnonce=\"OA6MHXh6VqTrRk\",digest-uri=\"imap/elwood.innosoft.com\",\
            response=d388dad90d4bbd760a152321f2143af7,qop=auth";
        assert!(answered("secret", said));
        assert!(!answered("Secret", said) && !answered("secret", &said.replace("=d3", "=D4")));
        assert!(answered("secret", &said.replace("=d388dad9", "=D388DAD9")));
        assert!(!answered("", "") && !answered("secret", "response="));
    }
}
