//! The lines that Samba writes about logins (`log level = 1 auth_audit:3`, or `auth_json_audit:3`): smb.conf(5).
//!
//! As text: `Auth: [SMB2,(null)] user [DOMAIN]\[name] at [time] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD]
//! workstation [NAME] remote host [ipv4:192.0.2.7:4711] mapped to … local host [ipv4:192.0.2.1:445]`; what the client
//! chose has backslashes and control characters escaped there, but not brackets. As JSON: an object whose `type` is
//! `Authentication`.

use std::net::SocketAddr;

use haldane_core::Untrusted;
use serde_json::Value;

/// A login that was tried.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) remote: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
    pub(super) user: Option<Untrusted>,
    pub(super) domain: Option<Untrusted>,
    pub(super) workstation: Option<Untrusted>,
    /// How it was to be proved: `NTLMv2`.
    pub(super) password_type: Option<String>,
    /// As in `NT_STATUS_NO_SUCH_USER`.
    pub(super) status: String,
    /// As in `SMB2`.
    pub(super) service: Option<String>,
}

/// The two ways to write it. With both switched on, Samba writes each login in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// Reads a line; `None`: it is another.
pub(super) fn read(line: &[u8]) -> Option<(Form, Attempt)> {
    let found = |word: &[u8]| line.windows(word.len()).position(|window| window == word);
    let (object, text) = (found(b"{"), found(b"Auth: ["));
    match (object, text) {
        (Some(object), None) => Some((Form::Json, json(line.get(object..)?)?)),
        (Some(object), Some(text)) if object < text => Some((Form::Json, json(line.get(object..)?)?)),
        (_, Some(text)) => Some((Form::Text, words(line.get(text..)?)?)),
        (None, None) => None,
    }
}

fn json(object: &[u8]) -> Option<Attempt> {
    let whole: Value = serde_json::from_slice(object).ok()?;
    if whole.get("type").and_then(Value::as_str) != Some("Authentication") {
        return None;
    }
    let login = whole.get("Authentication")?;
    let text = |key: &str| login.get(key).and_then(Value::as_str);
    Some(Attempt {
        remote: text("remoteAddress").and_then(address),
        local: text("localAddress").and_then(address),
        user: text("clientAccount").map(Untrusted::from),
        domain: text("clientDomain").map(Untrusted::from),
        workstation: text("workstation").map(Untrusted::from),
        password_type: text("passwordType").map(str::to_owned),
        status: text("status").unwrap_or_default().to_owned(),
        service: text("serviceDescription").map(str::to_owned),
    })
}

fn words(line: &[u8]) -> Option<Attempt> {
    let mut rest = line;
    let mut field = |before: &[u8], end: &[u8]| -> Option<Untrusted> {
        let at = rest.windows(before.len()).position(|window| window == before)?;
        let from = rest.get(at..)?.get(before.len()..)?;
        let length = from.windows(end.len()).position(|window| window == end)?;
        rest = from.get(length..)?;
        from.get(..length).map(Untrusted::from)
    };
    let service = field(b"Auth: [", b",");
    let domain = field(b"] user [", b"]\\[")?;
    let user = field(b"]\\[", b"] at [")?;
    let password_type = field(b"] with [", b"]");
    let status = field(b"] status [", b"]")?;
    let workstation = field(b"] workstation [", b"] remote host [");
    let remote = field(b"] remote host [", b"]");
    let local = field(b" local host [", b"]");
    let plain = |text: &Untrusted| String::from_utf8_lossy(text.raw()).into_owned();
    Some(Attempt {
        remote: remote.as_ref().map(plain).as_deref().and_then(address),
        local: local.as_ref().map(plain).as_deref().and_then(address),
        user: given(&user),
        domain: given(&domain),
        workstation: workstation.as_ref().and_then(given),
        password_type: password_type.as_ref().map(plain),
        status: plain(&status),
        service: service.as_ref().map(plain),
    })
}

/// What the client gave, without the escapes. What Samba was not told it writes as `(null)`.
fn given(text: &Untrusted) -> Option<Untrusted> {
    if text.raw() == b"(null)" {
        return None;
    }
    let (mut plain, mut rest) = (Vec::new(), text.raw().iter().copied());
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'\\' => match rest.next() {
                Some(b'a') => 7,
                Some(b'b') => 8,
                Some(b't') => b'\t',
                Some(b'n') => b'\n',
                Some(b'v') => 11,
                Some(b'f') => 12,
                Some(b'r') => b'\r',
                Some(b'x') => {
                    let digits: Vec<u8> = rest.by_ref().take(2).collect();
                    let digits = std::str::from_utf8(&digits).unwrap_or_default();
                    u8::from_str_radix(digits, 16).unwrap_or(b'?')
                }
                Some(other) => other,
                None => b'\\',
            },
            other => other,
        });
    }
    Some(plain.into())
}

/// `ipv4:192.0.2.7:4711`, `ipv6:fe80::1%eth0:445`.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.strip_prefix("ipv4:").or_else(|| text.strip_prefix("ipv6:"))?.rsplit_once(':')?;
    Some(SocketAddr::new(super::line::address(ip.as_bytes())?, port.parse().ok()?))
}
