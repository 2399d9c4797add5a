//! The keys of the section, most of which are arguments of the peer's WebhookHandler and, through it, of
//! Python's requests.

use std::ops::RangeInclusive;

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{
    Section,
    section::{Node, Raw},
};
use ureq::{
    Proxy,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
};

use super::body::{self, Template};
use crate::{
    concealed::Concealed,
    trust::{Files, Trust},
};

/// Whether a header's value says that the body is JSON.
pub(super) fn is_json(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// `url` with `params`; a user name and password in it become a header.
pub(super) fn url(section: &mut Section<'_>, headers: &mut HeaderMap) -> Uri {
    const EXPECTED: &str = "expected an address that begins with http:// or https://";
    let text = section.text("url", "", "Where to send events.");
    let params = section.raw("params", None, "Parameters that are added to the address: a table, or text.");
    let params = params.map(Template::read).transpose().unwrap_or_else(|expected| {
        section.invalid("params", expected);
        None
    });
    let (bare, userinfo) = without_userinfo(text.trim());
    if let Some((username, password)) = userinfo {
        set_basic(headers, &username, &password);
    }
    let bare = bare.split('#').next().unwrap_or_default();
    let query = match &params {
        Some(Template::Text(text)) => text.clone(),
        Some(template) => body::encoded(&template.pairs()),
        None => String::new(),
    };
    let joint = match (query.is_empty(), bare.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let uri = body::wire_url(&format!("{bare}{joint}{query}")).parse::<Uri>().ok();
    let right = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    right.unwrap_or_else(|| {
        section.invalid("url", EXPECTED);
        Uri::from_static("http://localhost/")
    })
}

fn without_userinfo(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let Some((userinfo, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    (format!("{scheme}://{host}{path}"), Some((unescaped(username), unescaped(password))))
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *byte == b'%') {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 7617. As requests does it: Latin-1 where that is possible.
pub(super) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let both = format!("{username}:{password}");
    let latin: Option<Vec<u8>> = both.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let proof = BASE64_STANDARD.encode(latin.unwrap_or_else(|| both.into_bytes()));
    let mut value = HeaderValue::try_from(format!("Basic {proof}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn set_basic(headers: &mut HeaderMap, username: &str, password: &str) {
    if let Some(value) = basic(username, password) {
        headers.insert(header::AUTHORIZATION, value);
    }
}

/// `headers`, `cookies` and `auth`.
pub(super) fn set_headers(section: &mut Section<'_>, headers: &mut HeaderMap) {
    for (name, value) in texts(section, "headers", "Headers of the request: a table.") {
        let pair = (HeaderName::try_from(name.as_str()).ok(), HeaderValue::try_from(value.as_str()).ok());
        let (Some(name), Some(mut value)) = pair else {
            section.invalid("headers", format!("expected a header that HTTP can carry under {name:?}"));
            continue;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let cookies = texts(section, "cookies", "Cookies: a table.");
    let cookies: Vec<_> = cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        match HeaderValue::try_from(cookies.join("; ")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.entry(header::COOKIE).or_insert(value);
            }
            Err(_) => section.invalid("cookies", "expected cookies that HTTP can carry"),
        }
    }
    let auth = section.list("auth", &[], "User name and password of basic authentication: a list of two.");
    match auth.as_slice() {
        [] => {}
        [username, password] => set_basic(headers, username, password),
        _ => section.invalid("auth", "expected a list of user name and password"),
    }
}

/// A table of texts; numbers and words for yes and no as Python writes them, null left out.
fn texts(section: &mut Section<'_>, key: &'static str, about: &'static str) -> Vec<(String, String)> {
    match section.raw(key, None, about) {
        None | Some(Node { value: Raw::Null, .. }) => Vec::new(),
        Some(Node { value: Raw::Table(table), .. }) => {
            let mut texts = Vec::new();
            for item in &table.entries {
                match &item.node.value {
                    Raw::Null => {}
                    Raw::List(_) | Raw::Table(_) => {
                        section.invalid(key, format!("expected text under {:?}", item.key));
                    }
                    Raw::Text(text) => texts.push((item.key.clone(), text.clone())),
                    other => texts.push((item.key.clone(), other.shown())),
                }
            }
            texts
        }
        Some(_) => {
            section.invalid(key, "expected a table of texts");
            Vec::new()
        }
    }
}

pub(super) fn proxies(section: &mut Section<'_>) -> Vec<(String, Concealed)> {
    let proxies =
        texts(section, "proxies", "Proxies: a table with http, https or all (http://, socks5:// …).");
    for (scheme, proxy) in &proxies {
        if Proxy::new(proxy).is_err() {
            section.invalid("proxies", format!("expected the address of a proxy under {scheme:?}"));
        }
    }
    proxies.into_iter().map(|(scheme, proxy)| (scheme, Concealed::new(proxy))).collect()
}

pub(super) fn data(section: &mut Section<'_>) -> Option<Template> {
    let node = section.raw(
        "data",
        None,
        "What is sent: a table or text, %(message)s standing for the event. Without it, the event itself as JSON.",
    )?;
    if matches!(node.value, Raw::Null) {
        return None;
    }
    match Template::read(node) {
        Ok(template @ (Template::Table(_) | Template::Text(_) | Template::List(_))) => Some(template),
        Ok(_) => {
            section.invalid("data", "expected a table or text");
            None
        }
        Err(expected) => {
            section.invalid("data", expected);
            None
        }
    }
}

/// `status_code`: a number, `"2xx"`, or a list of both.
pub(super) fn success(section: &mut Section<'_>) -> Vec<RangeInclusive<u16>> {
    const EXPECTED: &str = "expected a status such as 200 or \"2xx\", or a list of them";
    let words =
        section.raw("status_code", Some("\"2xx\""), "The answers that mean success: 200, \"2xx\" or a list.");
    let one = |node: &Node| match &node.value {
        Raw::Int(number) => u16::try_from(*number).ok().filter(|n| (100..=599).contains(n)).map(|n| n..=n),
        Raw::Text(text) => match text.trim().split_at_checked(1) {
            Some((digit, rest)) if rest.eq_ignore_ascii_case("xx") => {
                let first = digit.parse::<u16>().ok().filter(|d| (1..=5).contains(d))?.saturating_mul(100);
                Some(first..=first.saturating_add(99))
            }
            _ => text.trim().parse::<u16>().ok().filter(|n| (100..=599).contains(n)).map(|n| n..=n),
        },
        _ => None,
    };
    let found: Option<Vec<_>> = match words {
        None => None,
        Some(Node { value: Raw::List(nodes), .. }) => {
            Some(nodes.iter().map(one).collect::<Option<_>>().unwrap_or_default())
        }
        Some(node) => Some(one(node).into_iter().collect()),
    };
    match found {
        Some(ranges) if !ranges.is_empty() => ranges,
        None => vec![200..=299],
        Some(_) => {
            section.invalid("status_code", EXPECTED);
            vec![200..=299]
        }
    }
}

/// `verify` and `cert`, as requests has them.
pub(super) fn trust(section: &mut Section<'_>) -> Trust {
    let node = section.raw(
        "verify",
        Some("true"),
        "Whether the receiver's certificate must be a trusted one, or the file or folder of the only authorities \
         to trust (PEM).",
    );
    let (verify, authorities) = match node.map(|node| &node.value) {
        None | Some(Raw::Null) => (true, None),
        Some(Raw::Bool(verify)) => (*verify, None),
        Some(Raw::Text(path)) => (true, Some(path.into())),
        Some(_) => {
            section.invalid("verify", "expected true, false or the path of a file");
            (true, None)
        }
    };
    let paths = section.list(
        "cert",
        &[],
        "Our own certificate, if the receiver asks: a file, or certificate and key.",
    );
    let identity = match paths.as_slice() {
        [] => None,
        [both] => Some((both.into(), both.into())),
        [certificate, key] => Some((certificate.into(), key.into())),
        _ => {
            section.invalid("cert", "expected a file, or a list of certificate and key");
            None
        }
    };
    Trust::read(section, verify, Files { authorities, identity }, ("verify", "cert"))
}
