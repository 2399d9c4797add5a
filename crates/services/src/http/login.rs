//! Credentials in a request: in its Authorization field (RFC 7617, RFC 7616, RFC 6750), in a form, in JSON, in a
//! query.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Login, Secret, Untrusted};

use super::request::{Head, decode};

/// What forms call the user name; first the usual one.
const USER: &[&str] = &[
    "username",
    "user",
    "login",
    "log",
    "email",
    "user_name",
    "userid",
    "user_id",
    "uname",
    "usr",
    "account",
    "name",
    "mail",
    "loginname",
    "login_name",
    "userlogin",
    "j_username",
    "pma_username",
    "tf_username",
    "usernm",
    "acct",
    "id",
    "txtusername",
    "user_login",
    "login[username]",
    "user[login]",
    "f_user",
    "uid",
];
/// What they call the password.
const PASSWORD: &[&str] = &[
    "password",
    "passwd",
    "pass",
    "pwd",
    "log_pwd",
    "psw",
    "pw",
    "passphrase",
    "secret",
    "userpass",
    "user_password",
    "j_password",
    "pma_password",
    "tf_password",
    "txtpassword",
    "user_pass",
    "login[password]",
    "user[password]",
    "loginpassword",
    "login_password",
    "psd",
    "pin",
    "f_pass",
    "credential",
    "passcode",
];

/// A name and a value, as sent.
type Pair = (Vec<u8>, Vec<u8>);

/// Most pairs of a form that are looked at.
const PAIRS: usize = 256;
/// Most values of a JSON text that are looked at.
const VALUES: usize = 1024;

/// What Digest clients were asked, as far as we know; for the record of what they answered.
pub(crate) fn of_field(head: &Head) -> Option<Login> {
    let field = head.field("Authorization").or_else(|| head.field("Proxy-Authorization"));
    of_value(field?, &head.method)
}

/// What one such field holds.
pub(crate) fn of_value(value: &[u8], method: &[u8]) -> Option<Login> {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end)?;
    let rest = rest.trim_ascii();
    match scheme.to_ascii_lowercase().as_slice() {
        b"basic" => Some(basic(rest)),
        b"digest" => Some(digest(rest, method)),
        b"bearer" => Some(Login::new("bearer").secret(Secret::Token(rest.into()))),
        other => {
            let mut login = Login::new("other").secret(Secret::Token(rest.into()));
            login.mechanism = Cow::Owned(Untrusted::new(other).to_string());
            Some(login)
        }
    }
}

fn basic(encoded: &[u8]) -> Login {
    // Clients forget the padding.
    let trimmed = encoded.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last.saturating_add(1));
    let mut padded = encoded.get(..trimmed).unwrap_or_default().to_vec();
    while !padded.len().is_multiple_of(4) {
        padded.push(b'=');
    }
    let Ok(decoded) = BASE64_STANDARD.decode(&padded) else {
        return Login::new("basic").secret(Secret::Token(encoded.into()));
    };
    match decoded.iter().position(|byte| *byte == b':') {
        Some(colon) => {
            let (user, password) = decoded.split_at_checked(colon).unwrap_or_default();
            Login::password("basic", user, password.get(1..).unwrap_or_default())
        }
        None => Login::new("basic").user(decoded),
    }
}

/// What goes into the answer of a Digest client, in john's order (format HDAA) behind the response.
const DIGEST: &[&str] = &["username", "realm", "", "uri", "nonce", "nc", "cnonce", "qop"];

fn digest(text: &[u8], method: &[u8]) -> Login {
    let parameters = parameters(text);
    let of = |name: &str| {
        let named = |(own, _): &&Pair| own.eq_ignore_ascii_case(name.as_bytes());
        parameters.iter().find(named).map(|(_, value)| value.as_slice()).unwrap_or_default()
    };
    let response = of("response");
    let parts: Vec<&[u8]> =
        DIGEST.iter().map(|name| if name.is_empty() { method } else { of(name) }).collect();
    let challenge = parts.join(&b'$');
    let algorithm = of("algorithm");
    let md5 = algorithm.is_empty() || algorithm.eq_ignore_ascii_case(b"MD5");
    let clean = parts.iter().all(|part| !part.contains(&b'$')) && response.len() == 32;
    let crackable = std::str::from_utf8(&challenge)
        .ok()
        .filter(|_| md5 && clean)
        .map(|challenge| format!("$response${}${challenge}", Untrusted::new(response)));
    Login::new("digest").user(of("username")).secret(Secret::Response {
        scheme: "digest".into(),
        challenge: challenge.into(),
        response: response.into(),
        crackable,
    })
}

/// `name=value, name="quoted value"` (RFC 9110, section 11.2).
pub(crate) fn parameters(text: &[u8]) -> Vec<Pair> {
    let (mut pairs, mut rest) = (Vec::new(), text);
    while let Some(equals) = rest.iter().position(|byte| *byte == b'=').filter(|_| pairs.len() < PAIRS) {
        let (name, after) = rest.split_at_checked(equals).unwrap_or_default();
        let after = after.get(1..).unwrap_or_default().trim_ascii_start();
        let mut value = Vec::new();
        let mut taken = 0_usize;
        if after.first() == Some(&b'"') {
            let mut escaped = false;
            taken = after.len();
            for (at, byte) in after.iter().enumerate().skip(1) {
                match byte {
                    b'\\' if !escaped => escaped = true,
                    b'"' if !escaped => {
                        taken = at.saturating_add(1);
                        break;
                    }
                    other => {
                        value.push(*other);
                        escaped = false;
                    }
                }
            }
        }
        let behind = after.get(taken..).unwrap_or_default();
        let comma = behind.iter().position(|byte| *byte == b',').unwrap_or(behind.len());
        if taken == 0 {
            value = behind.get(..comma).unwrap_or_default().trim_ascii().to_vec();
        }
        let name = name.trim_ascii_start().trim_ascii();
        pairs.push((name.to_vec(), value));
        rest = behind.get(comma.saturating_add(1)..).unwrap_or_default();
    }
    pairs
}

/// Credentials in a body, or else in the query.
pub(crate) fn of_content(head: &Head, body: &[u8]) -> Option<Login> {
    let kind = head.field("Content-Type").unwrap_or_default();
    let start = body.trim_ascii_start();
    let (mechanism, pairs) = if starts(kind, b"multipart/form-data") {
        ("multipart", multipart(kind, body))
    } else if starts(kind, b"application/json") || kind.ends_with(b"+json") || start.starts_with(b"{") {
        ("json", json(body))
    } else if body.is_empty() {
        ("query", form(head.query.as_deref().unwrap_or_default()))
    } else if start.starts_with(b"<") {
        ("xml", xml(body))
    } else {
        ("form", form(body))
    };
    of_pairs(mechanism, &pairs)
}

fn of_pairs(mechanism: &'static str, pairs: &[Pair]) -> Option<Login> {
    let (user, password) = (find(pairs, USER), find(pairs, PASSWORD));
    // In a query, a name alone is a search.
    if password.is_none() && (user.is_none() || mechanism != "form") {
        return None;
    }
    let mut login = Login::new(mechanism);
    login.username = user.map(Untrusted::new);
    login.secret = password.map(|password| Secret::Password(password.into()));
    Some(login)
}

fn find<'a>(pairs: &'a [Pair], names: &[&str]) -> Option<&'a [u8]> {
    names.iter().find_map(|name| {
        let named = |(own, _): &&Pair| own.eq_ignore_ascii_case(name.as_bytes());
        pairs.iter().find(named).map(|(_, value)| value.as_slice())
    })
}

fn starts(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with))
}

/// `application/x-www-form-urlencoded`.
fn form(text: &[u8]) -> Vec<Pair> {
    let pairs = text.split(|byte| *byte == b'&').take(PAIRS).map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = pair.split_at_checked(equals).unwrap_or_default();
        (plain(name), plain(value.get(1..).unwrap_or_default()))
    });
    pairs.collect()
}

fn plain(text: &[u8]) -> Vec<u8> {
    let blanks: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    decode(&blanks, |_| true).0
}

/// RFC 7578: the simple parts of `multipart/form-data`.
fn multipart(kind: &[u8], body: &[u8]) -> Vec<Pair> {
    let boundary = kind.split(|byte| *byte == b';').find_map(|part| {
        let part = part.trim_ascii();
        starts(part, b"boundary=").then(|| part.get(9..).unwrap_or_default())
    });
    let boundary = boundary.unwrap_or_default();
    let boundary = boundary.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(boundary);
    let delimiter = [b"--", boundary].concat();
    let mut pairs = Vec::new();
    for part in split(body, &delimiter).into_iter().skip(1) {
        let halves = split(part, b"\r\n\r\n");
        let Some((head, value)) = halves.split_first() else { continue };
        let value = value.join(&b"\r\n\r\n"[..]);
        let value = value.strip_suffix(b"\r\n").unwrap_or(&value);
        let named =
            parameters(head.strip_prefix(b"\r\n").unwrap_or(head)).into_iter().find_map(|(name, value)| {
                let name =
                    name.rsplit(|byte| matches!(byte, b' ' | b';')).next().unwrap_or_default().to_vec();
                (name.eq_ignore_ascii_case(b"name")).then_some(value)
            });
        if let Some(name) = named {
            pairs.push((name, value.to_vec()));
        }
    }
    pairs
}

fn split<'a>(text: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) =
        rest.windows(by.len()).position(|window| window == by).filter(|_| parts.len() < PAIRS)
    {
        parts.push(rest.get(..at).unwrap_or_default());
        rest = rest.get(at.saturating_add(by.len())..).unwrap_or_default();
    }
    parts.push(rest);
    parts
}

/// Every text and number under a name, at any depth. The parser's own bound on depth is 128.
fn json(body: &[u8]) -> Vec<Pair> {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return Vec::new() };
    let (mut pairs, mut waiting) = (Vec::new(), vec![(Vec::new(), &value)]);
    while let Some((name, value)) = waiting.pop().filter(|_| pairs.len() < VALUES) {
        match value {
            serde_json::Value::String(text) => pairs.push((name, text.as_bytes().to_vec())),
            serde_json::Value::Number(number) => pairs.push((name, number.to_string().into_bytes())),
            serde_json::Value::Array(values) => {
                waiting.extend(values.iter().rev().map(|value| (name.clone(), value)));
            }
            serde_json::Value::Object(map) => {
                waiting.extend(map.iter().rev().map(|(name, value)| (name.as_bytes().to_vec(), value)));
            }
            _ => {}
        }
    }
    pairs
}

/// The first two texts of an XML-RPC call are name and password (WordPress); else elements by their names.
fn xml(body: &[u8]) -> Vec<Pair> {
    let (mut pairs, mut texts): (Vec<Pair>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
    let call = body.windows(11).any(|window| window == b"<methodCall");
    for element in body.split(|byte| *byte == b'<').take(VALUES) {
        let Some(end) = element.iter().position(|byte| *byte == b'>') else { continue };
        let (tag, text) = element.split_at_checked(end).unwrap_or_default();
        let text = text.get(1..).unwrap_or_default();
        let name = tag.split(|byte| *byte == b' ').next().unwrap_or_default();
        let name = name.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        if call && matches!(name, b"value" | b"string") && !text.trim_ascii().is_empty() {
            texts.push(text.to_vec());
        } else if !name.starts_with(b"/") {
            pairs.push((name.to_vec(), text.to_vec()));
        }
    }
    if let [user, password, ..] = texts.as_slice() {
        pairs.push((b"username".to_vec(), user.clone()));
        pairs.push((b"password".to_vec(), password.clone()));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(fields: &[&str], body: &str) -> Option<(String, String)> {
        let mut head = Head::parse(b"POST /login HTTP/1.1").unwrap();
        fields.iter().for_each(|field| head.add(field.as_bytes()).unwrap());
        let login = of_field(&head).or_else(|| of_content(&head, body.as_bytes()))?;
        let password = login.clear().map(ToString::to_string).unwrap_or_default();
        Some((login.username.map(|user| user.to_string()).unwrap_or_default(), password))
    }

    #[test]
    fn credentials_are_found_wherever_clients_put_them() {
        let expected = Some(("eve".to_owned(), "apple pie".to_owned()));
        let boundary = "Content-Type: multipart/form-data; boundary=xyz";
        let parts = "--xyz\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\neve\r\n\
                     --xyz\r\nContent-Disposition: form-data; name=\"pwd\"\r\n\r\napple pie\r\n--xyz--\r\n";
        let call = "<?xml version='1.0'?><methodCall><methodName>wp.getUsersBlogs</methodName><params><param>\
                    <value>eve</value></param><param><value><string>apple pie</string></value></param></params></methodCall>";
        let json = "Content-Type: application/json";
        assert_eq!(login(&[], "username=eve&password=apple+pie"), expected);
        assert_eq!(login(&[], "a=b&log=eve&PWD=apple%20pie"), expected);
        assert_eq!(login(&[json], r#"{"data":{"email":"eve","password":"apple pie"}}"#), expected);
        assert_eq!(login(&[boundary], parts), expected);
        assert_eq!(login(&[], call), expected);
        assert_eq!(login(&["Authorization: basic ZXZlOmFwcGxlIHBpZQ"], ""), expected);
        assert_eq!(login(&["Authorization: Basic ZXZlOmFwcGxlIHBpZQ=="], ""), expected);
        assert_eq!(login(&[], "q=search"), None);
        assert_eq!(login(&[json], "{broken"), None);
    }

    #[test]
    fn a_digest_answer_is_kept_with_all_that_is_needed_to_crack_it() {
        let mut head = Head::parse(b"GET /x HTTP/1.1").unwrap();
        head.add(
            b"Authorization: Digest username=\"Mufasa\", realm=\"r, \\\"1\\\"\", nonce=\"n1\", uri=\"/x\", qop=auth, \
              nc=00000001, cnonce=\"0a4f\", response=\"6629fae49393a05397450978507c4ef1\"",
        )
        .unwrap();
        let Some(Secret::Response { challenge, response, crackable, .. }) = of_field(&head).unwrap().secret
        else {
            panic!("no response")
        };
        assert_eq!(challenge.to_string(), "Mufasa$r, \"1\"$GET$/x$n1$00000001$0a4f$auth");
        assert_eq!(response.to_string(), "6629fae49393a05397450978507c4ef1");
        let line = "$response$6629fae49393a05397450978507c4ef1$Mufasa$r, \"1\"$GET$/x$n1$00000001$0a4f$auth";
        assert_eq!(crackable.as_deref(), Some(line));
    }
}
