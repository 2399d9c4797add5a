//! The keys that sinks over HTTP share.

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{
    Section,
    section::{Node, Raw},
};
use ureq::{
    Proxy,
    http::{HeaderMap, HeaderName, HeaderValue},
};

use crate::concealed::Concealed;

/// Takes user name and password out of an address.
pub(crate) fn without_userinfo(url: &str) -> (String, Option<(String, String)>) {
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
pub(crate) fn basic(username: &str, password: &str) -> Option<HeaderValue> {
    let both = format!("{username}:{password}");
    let latin: Option<Vec<u8>> = both.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    proof(&latin.unwrap_or_else(|| both.into_bytes()))
}

/// The same for user name, colon and password in any encoding.
pub(crate) fn proof(both: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(both))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `headers`.
pub(crate) fn own_headers(section: &mut Section<'_>, headers: &mut HeaderMap) {
    for (name, value) in texts(section, "headers", "Headers of the request: a table.") {
        let pair = (HeaderName::try_from(name.as_str()).ok(), HeaderValue::try_from(value.as_str()).ok());
        let (Some(name), Some(mut value)) = pair else {
            section.invalid("headers", format!("expected a header that HTTP can carry under {name:?}"));
            continue;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

/// A table of texts; numbers and words for yes and no as Python writes them, null left out.
pub(crate) fn texts(
    section: &mut Section<'_>,
    key: &'static str,
    about: &'static str,
) -> Vec<(String, String)> {
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

/// `proxies`, as requests has them.
pub(crate) fn proxies(section: &mut Section<'_>) -> Vec<(String, Concealed)> {
    let proxies =
        texts(section, "proxies", "Proxies: a table with http, https or all (http://, socks5:// …).");
    for (scheme, proxy) in &proxies {
        if Proxy::new(proxy).is_err() {
            section.invalid("proxies", format!("expected the address of a proxy under {scheme:?}"));
        }
    }
    proxies.into_iter().map(|(scheme, proxy)| (scheme, Concealed::new(proxy))).collect()
}
