//! What messages reveal, as events.

use std::collections::BTreeMap;

use haldane_core::{Login, Peer, Secret, Severity, Sighting, Untrusted, Value};

use super::{
    BROKEN, REQUEST, RESPONSE,
    address::cut,
    message::{First, Message},
};
use crate::http::login;

/// Words in User-Agent, From or To, and the tools that say them. The first that fits counts.
const WORDS: &[(&str, &str)] = &[
    ("friendly-scanner", "sipvicious"),
    ("friendly-request", "sipvicious"),
    ("sipvicious", "sipvicious"),
    ("sundayddr", "sundayddr"),
    ("pplsip", "pplsip"),
    ("sipcli", "sipcli"),
    ("sipsak", "sipsak"),
    ("vaxsipuseragent", "VaxSIPUserAgent"),
    ("vaxipuseragent", "VaxSIPUserAgent"),
    ("sip-scan", "sip-scan"),
    ("sipscan", "sipscan"),
    ("siparmyknife", "sipArmyKnife"),
    ("sivus", "SiVuS"),
    ("iwar", "iWar"),
    ("smap", "smap"),
    ("gulp", "gulp"),
    ("sipp", "sipp"),
    ("nmap", "nmap"),
];

/// A request. `flaw`: why it is dropped without a word.
/// `qop`: challenges ask for it.
pub fn request(message: &Message, flaw: Option<&'static str>, peer: &Peer, qop: bool) -> Sighting {
    let seen = common(Sighting::of(&REQUEST), message);
    let First::Request { method, uri, .. } = &message.first else { return seen };
    let mut seen = seen.with("method", method.as_slice()).with("uri", uri.as_slice());
    let mut severity = if method.eq_ignore_ascii_case(b"INVITE") { Severity::Medium } else { seen.severity };
    if let Some(flaw) = flaw {
        seen = seen.with("malformed", flaw);
    }
    let tool = tool(message);
    if let Some(tool) = tool {
        severity = severity.max(Severity::Medium);
        seen = seen.with("tool", tool);
    }
    let field = message.value("authorization").or_else(|| message.value("proxy-authorization"));
    if let Some(field) = field.filter(|field| !field.is_empty()) {
        severity = Severity::High;
        let whole = (tool == Some("hydra") && qop).then(|| as_hydra_computes(field, uri));
        let field = whole.as_deref().unwrap_or(field);
        if let Some(login) = login::of_value(field, method) {
            seen = seen.login(with_line(login, field, method, peer));
        }
    }
    seen.severity(severity)
}

/// An answer to something that was never asked.
pub fn response(message: &Message) -> Sighting {
    let seen = common(Sighting::of(&RESPONSE), message);
    match &message.first {
        First::Response { status } => seen.with("status", status.as_slice()),
        First::Request { .. } => seen,
    }
}

/// What is no SIP, over a stream that goes on.
pub fn broken(bytes: &[u8], why: &'static str) -> Sighting {
    Sighting::of(&BROKEN).with("malformed", why).with("data", bytes)
}

fn common(seen: Sighting, message: &Message) -> Sighting {
    let mut headers: BTreeMap<String, Value> = BTreeMap::new();
    for field in &message.fields {
        let values = headers.entry(field.name.clone()).or_insert_with(|| Value::List(Vec::new()));
        if let Value::List(values) = values {
            values.push(field.value.as_slice().into());
        }
    }
    let mut seen = seen.with("headers", Value::Map(headers));
    if let Some(agent) = message.value("user-agent") {
        seen = seen.with("user_agent", agent);
    }
    if !message.body.is_empty() {
        seen = seen.with("body", message.body.as_slice());
    }
    seen
}

fn tool(message: &Message) -> Option<&'static str> {
    let said = ["user-agent", "from", "to"].into_iter().filter_map(|name| message.value(name));
    let said: Vec<String> = said.map(|value| String::from_utf8_lossy(value).to_ascii_lowercase()).collect();
    let named = WORDS.iter().find(|(word, _)| said.iter().any(|said| said.contains(word)));
    let call = message.value("call-id").unwrap_or_default();
    let by_call = || match call {
        // nmap's probe SIPOptions, over UDP and TCP.
        b"50000" if message.value("from") == Some(b"<sip:nm@nm>;tag=root") => Some("nmap"),
        _ if call.starts_with(b"1337@") => Some("hydra"),
        _ => None,
    };
    named.map(|(_, tool)| *tool).or_else(by_call)
}

/// Asked for qop, hydra computes its answer with it and with the URI that it asks for, and sends neither. What stands
/// first counts.
fn as_hydra_computes(field: &[u8], uri: &[u8]) -> Vec<u8> {
    let rest = cut(field, b' ').map(|(_, rest)| rest).unwrap_or_default();
    [b"Digest uri=\"", uri, b"\", qop=auth, nc=00000001, cnonce=\"hydra\", ", rest].concat()
}

/// The login with the line that hashcat (mode 11400) and john (format sip) know:
/// `$sip$*server*client*user*realm*method*scheme*resource*rest*nonce*cnonce*nc*qop*MD5*response`.
fn with_line(mut login: Login, field: &[u8], method: &[u8], peer: &Peer) -> Login {
    let Some(Secret::Response { crackable, .. }) = &mut login.secret else { return login };
    let parameters = cut(field, b' ').map(|(_, rest)| login::parameters(rest)).unwrap_or_default();
    let of = |name: &str| {
        let named = parameters.iter().find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.as_slice()).unwrap_or_default()
    };
    let (scheme, resource) = cut(of("uri"), b':').unwrap_or((b"", of("uri")));
    let (resource, rest) = cut(resource, b':').unwrap_or((resource, b""));
    // Without qop, neither of these went into the answer.
    let with_qop = |name: &str| if of("qop").is_empty() { &b""[..] } else { of(name) };
    let ends = [peer.local, peer.remote].map(|end| end.ip().to_string());
    let [server, client] = ends.each_ref().map(String::as_bytes);
    let parts = [
        server,
        client,
        of("username"),
        of("realm"),
        method,
        scheme,
        resource,
        rest,
        of("nonce"),
        with_qop("cnonce"),
        with_qop("nc"),
        of("qop"),
        b"MD5",
        of("response"),
    ];
    let algorithm = of("algorithm");
    let is_md5 = algorithm.is_empty() || algorithm.eq_ignore_ascii_case(b"MD5");
    let is_hash = of("response").len() == 32 && of("response").iter().all(u8::is_ascii_hexdigit);
    // What the line cannot hold: its own separator, and what is no text.
    let clean = parts
        .iter()
        .all(|part| part.is_ascii() && !part.iter().any(|byte| *byte == b'*' || byte.is_ascii_control()));
    *crackable = (is_md5 && is_hash && clean).then(|| format!("$sip$*{}", Untrusted::new(parts.join(&b'*'))));
    login
}
