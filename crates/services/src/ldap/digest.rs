//! DIGEST-MD5 (RFC 2831), as Windows speaks it: a challenge, an answer that is recorded, and no.

use haldane_core::{Login, Secret, Untrusted};
use haldane_wire::directives;

/// With what the numbers of Windows begin since version 2003, and how many digits follow.
const PREFIX: &str = "+Upgraded+v1";
/// Random bytes of a number.
pub const RANDOM: usize = 64;

/// The challenge.
pub fn challenge(random: &[u8; RANDOM], realm: &str) -> String {
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "qop=\"auth,auth-int,auth-conf\",cipher=\"3des,rc4\",algorithm=md5-sess,nonce=\"{PREFIX}{digits}\",\
         charset=utf-8,realm=\"{realm}\""
    )
}

/// The login that an answer is. The scheme has no line to crack: what is needed for one is in the answer.
pub fn login(challenge: &[u8], answer: &[u8]) -> Login {
    let said = directives::read(answer);
    let of = |name| directives::value(&said, name);
    let mut login = Login::new("digest-md5");
    login.username = of("username").map(Untrusted::new);
    login.domain = of("realm").filter(|realm| !realm.is_empty()).map(Untrusted::new);
    login.secret(Secret::Response {
        scheme: "digest-md5".into(),
        challenge: challenge.into(),
        response: answer.into(),
        crackable: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_its_user_whatever_is_quoted() {
        let answer = br#"charset=utf-8, username="e\"v,e",realm="corp.example.com",nonce="x",response=00ff"#;
        let login = login(b"", answer);
        assert_eq!(login.username, Some("e\"v,e".into()));
        assert_eq!(login.domain, Some("corp.example.com".into()));
    }
}
