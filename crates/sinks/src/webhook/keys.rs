//! The keys of the section, most of which are arguments of the peer's WebhookHandler and, through it, of
//! Python's requests.

use std::ops::RangeInclusive;

use haldane_core::{
    Section,
    section::{Node, Raw},
};
use ureq::http::{HeaderMap, HeaderValue, Uri, header};

use super::{body::Template, peer::Payload};
use crate::{
    http::{
        keys::{basic, own_headers, proof, texts, without_userinfo},
        url,
    },
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
        Some(template) => url::encoded(&template.pairs()),
        None => String::new(),
    };
    let joint = match (query.is_empty(), bare.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let uri = url::wire(&format!("{bare}{joint}{query}")).parse::<Uri>().ok();
    let right = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    right.unwrap_or_else(|| {
        section.invalid("url", EXPECTED);
        Uri::from_static("http://localhost/")
    })
}

fn set_basic(headers: &mut HeaderMap, username: &str, password: &str) {
    if let Some(value) = basic(username, password) {
        headers.insert(header::AUTHORIZATION, value);
    }
}

/// `headers`, `cookies` and `auth`.
pub(super) fn set_headers(section: &mut Section<'_>, headers: &mut HeaderMap, payload: Payload) {
    own_headers(section, headers);
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
        // Python's own library writes UTF-8.
        [username, password] if payload == Payload::LogRecord => {
            headers.extend(
                proof(format!("{username}:{password}").as_bytes())
                    .map(|value| (header::AUTHORIZATION, value)),
            );
        }
        [username, password] => set_basic(headers, username, password),
        _ => section.invalid("auth", "expected a list of user name and password"),
    }
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
