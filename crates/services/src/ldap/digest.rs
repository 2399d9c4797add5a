//! DIGEST-MD5 (RFC 2831), as Windows speaks it: a challenge, an answer that is recorded, and no.

use haldane_core::{Login, Secret, Untrusted};

/// With what the numbers of Windows begin since version 2003, and how many digits follow.
const PREFIX: &str = "+Upgraded+v1";
/// Random bytes of a number.
pub const RANDOM: usize = 64;
/// Most fields of an answer that are looked at.
const MOST: usize = 32;

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
    let fields = fields(answer);
    let of =
        |name: &[u8]| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let mut login = Login::new("digest-md5");
    login.username = of(b"username").map(Untrusted::new);
    login.domain = of(b"realm").filter(|realm| !realm.is_empty()).map(Untrusted::new);
    login.secret(Secret::Response {
        scheme: "digest-md5".into(),
        challenge: challenge.into(),
        response: answer.into(),
        crackable: None,
    })
}

/// Names and values; values may be quoted, and in quotes a backslash takes the next byte as it is.
fn fields(text: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut fields = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| *byte == b'=').filter(|_| fields.len() < MOST) {
        let Some((name, value)) = rest.split_at_checked(end) else { break };
        let (mut quoted, mut taken, mut escaped, mut used) = (false, Vec::new(), false, 1_usize);
        for byte in value.iter().skip(1) {
            match *byte {
                b',' if !quoted => break,
                _ if escaped => {
                    taken.push(*byte);
                    escaped = false;
                }
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                other => taken.push(other),
            }
            used = used.saturating_add(1);
        }
        fields.push((name.trim_ascii(), taken));
        // The comma, too.
        rest = value.get(used.saturating_add(1)..).unwrap_or_default();
    }
    fields
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
        for length in 0..answer.len() {
            fields(&answer[..length]);
        }
    }
}
