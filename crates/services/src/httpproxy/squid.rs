//! What squid answers: the header of its errors, and the language of their pages.
//!
//! Pages and fields as recorded from 5.7 with the langpack of Debian 12. What other releases do otherwise follows
//! their release notes: before 3.5 no copyright and no charset, from 6 on `Cache-Status` for `X-Cache`; 5 says of a
//! name that does not exist what it says of a connection that broke, the others ERR_DNS_FAIL.
//! Pages in German where a client is asked to authenticate; every other page is in English, whatever is asked for.

use haldane_core::Cx;

use super::{Server, page, request::Bad, uri::Uri};
use crate::http::{date, request::Head};

/// The claimed release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) text: String,
    number: (u16, u16),
}

impl Release {
    /// Reads `5.7`, `3.3.8` and the like, from 3.1 on.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next =
            || parts.next().map(|part| part.split(['-', '+']).next().unwrap_or_default().parse().ok());
        let number = (next()??, next().unwrap_or(Some(0))?);
        let tame = text.chars().all(|c| c.is_ascii_alphanumeric() || "-.+~".contains(c));
        (tame && number >= (3, 1)).then(|| Self { text: text.to_owned(), number })
    }

    /// Years of the copyright of pages and of the style sheet.
    pub(super) fn years(&self) -> Option<(u16, u16)> {
        match self.number {
            (0..=3, 0..=4) => None,
            (0..=3, _) => Some((2014, 2016)),
            (4, _) => Some((2020, 2020)),
            (5, _) => Some((2021, 2022)),
            _ => Some((2021, 2023)),
        }
    }
}

/// What squid has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The head cannot be read.
    Unreadable(Bad),
    /// The target cannot be.
    InvalidUrl,
    /// HTTP/2 and the like.
    UnsupportedVersion,
    /// What no proxy does, or what is asked of the proxy itself.
    UnsupportedRequest,
    /// The body cannot be found, or an expectation not met: 411 or 417.
    InvalidRequest(u16),
    /// With what it can be authenticated.
    AuthenticationRequired(Vec<String>),
    /// Not even with it.
    AccessDenied,
    /// That address does not answer, for that reason (errno).
    ConnectFail(String, u8),
    /// That name does not exist.
    NoSuchName(String),
}

/// Reasons of [`Fault::ConnectFail`].
pub(super) const REFUSED: u8 = 111;
/// As [`REFUSED`].
pub(super) const NO_ROUTE: u8 = 113;

/// What an answer depends on.
pub(super) struct Question<'a> {
    /// The request and where it wants to go, if both could be read.
    pub(super) read: Option<(&'a Head, &'a Uri)>,
    pub(super) method: &'a [u8],
    /// The target as pages show it.
    pub(super) url: &'a [u8],
    /// Whether the connection is kept.
    pub(super) keep: bool,
}

/// How an error is named, and what of it is special.
pub(super) struct Named {
    status: (u16, &'static str),
    pub(super) name: &'static str,
    errno: u8,
}

impl Fault {
    fn named(&self, release: &Release, tunnel: bool) -> Named {
        let (code, reason, name) = match self {
            Self::Unreadable(Bad::Protocol) => (400, "Bad Request", "ERR_PROTOCOL_UNKNOWN"),
            Self::Unreadable(Bad::Target | Bad::Field) => (400, "Bad Request", "ERR_INVALID_REQ"),
            Self::Unreadable(Bad::Line) => (414, "URI Too Long", "ERR_TOO_BIG"),
            Self::Unreadable(Bad::Header) => (431, "Request Header Fields Too Large", "ERR_TOO_BIG"),
            Self::InvalidUrl => (400, "Bad Request", "ERR_INVALID_URL"),
            Self::UnsupportedVersion => (505, "HTTP Version not supported", "ERR_UNSUP_HTTPVERSION"),
            Self::UnsupportedRequest => (501, "Not Implemented", "ERR_UNSUP_REQ"),
            Self::InvalidRequest(417) => (417, "Expectation Failed", "ERR_INVALID_REQ"),
            Self::InvalidRequest(_) => (411, "Length Required", "ERR_INVALID_REQ"),
            Self::AuthenticationRequired(_) => {
                (407, "Proxy Authentication Required", "ERR_CACHE_ACCESS_DENIED")
            }
            Self::AccessDenied => (403, "Forbidden", "ERR_ACCESS_DENIED"),
            Self::ConnectFail(..) => (503, "Service Unavailable", "ERR_CONNECT_FAIL"),
            Self::NoSuchName(_) if release.number.0 != 5 => (503, "Service Unavailable", "ERR_DNS_FAIL"),
            Self::NoSuchName(_) if tunnel => (500, "Internal Server Error", "ERR_CANNOT_FORWARD"),
            Self::NoSuchName(_) => (502, "Bad Gateway", "ERR_READ_ERROR"),
        };
        let errno = if let Self::ConnectFail(_, errno) = self { *errno } else { 0 };
        Named { status: (code, reason), name, errno }
    }

    /// Whether squid looked for a copy, or for a server.
    fn forwarded(&self) -> bool {
        matches!(self, Self::ConnectFail(..) | Self::NoSuchName(_))
    }
}

impl Server {
    /// The whole answer.
    pub(super) fn squid(
        &self,
        release: &Release,
        fault: &Fault,
        question: &Question<'_>,
        cx: &Cx<'_>,
    ) -> Vec<u8> {
        let tunnel = question.method == b"CONNECT";
        let named = fault.named(release, tunnel);
        let language = question.read.and_then(|(head, _)| language(head, fault));
        let page = self.page(release, fault, &named, question, language.as_deref(), cx);
        let (code, reason) = named.status;
        let charset = if release.years().is_some() { ";charset=utf-8" } else { "" };
        let mut head = format!(
            "HTTP/1.1 {code} {reason}\r\nServer: squid/{}\r\nMime-Version: 1.0\r\nDate: {}\r\nContent-Type: \
             text/html{charset}\r\nContent-Length: {}\r\nX-Squid-Error: {} {}\r\nVary: \
             Accept-Language\r\nContent-Language: {}\r\n",
            release.text,
            date::show(cx.now()),
            page.len(),
            named.name,
            named.errno,
            language.as_deref().unwrap_or("en"),
        );
        if let Fault::AuthenticationRequired(challenges) = fault {
            for challenge in challenges {
                head.push_str(&format!("Proxy-Authenticate: {challenge}\r\n"));
            }
        }
        // A tunnel that was to be opened answers for itself.
        if !(tunnel && fault.forwarded()) {
            let looked = fault.forwarded() && question.method != b"TRACE";
            head.push_str(&self.end_of_header(release, looked, question.keep, cx));
        }
        head.push_str("\r\n");
        if question.method != b"HEAD" {
            head.push_str(&page);
        }
        head.into_bytes()
    }

    /// The request itself, for `Max-Forwards: 0` (RFC 9110, section 9.3.8).
    pub(super) fn trace(
        &self,
        release: &Release,
        head: &Head,
        uri: &Uri,
        keep: bool,
        cx: &Cx<'_>,
    ) -> Vec<u8> {
        let (body, date) = (page::dump(head, uri), date::show(cx.now()));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nServer: squid/{}\r\nMime-Version: 1.0\r\nDate: {date}\r\nContent-Type: \
             message/http\r\nContent-Length: {}\r\nExpires: {date}\r\n{}\r\n",
            release.text,
            body.len(),
            self.end_of_header(release, false, keep, cx),
        );
        [answer.into_bytes(), body].concat()
    }

    /// What squid adds to each answer. `looked`: for a copy.
    fn end_of_header(&self, release: &Release, looked: bool, keep: bool, cx: &Cx<'_>) -> String {
        let (host, port) = (&self.name, cx.peer().local.port());
        let looked = if looked { "MISS" } else { "NONE" };
        let cache = match release.number.0 {
            0..=5 => format!("X-Cache: MISS from {host}\r\nX-Cache-Lookup: {looked} from {host}:{port}\r\n"),
            _ => format!("Cache-Status: {host}\r\n"),
        };
        let keep = if keep { "keep-alive" } else { "close" };
        format!("{cache}Via: 1.1 {host} (squid/{})\r\nConnection: {keep}\r\n", release.text)
    }
}

/// Where English and German are spoken, as the langpack has it.
const ENGLISH_OF: &str = "au bz ca cn gb ie in jm nz ph sg tt uk us za zw";
const GERMAN_OF: &str = "at ch de li lu";

/// The first language of the client's that there is a page in. Their weights do not count. `None`: the default.
fn language(head: &Head, fault: &Fault) -> Option<String> {
    let german = matches!(fault, Fault::AuthenticationRequired(_));
    let wanted = head.all("Accept-Language").flat_map(|value| value.split(|byte| *byte == b','));
    wanted
        .filter_map(|item| {
            let tag = item.split(|byte| *byte == b';').next()?.trim_ascii().to_ascii_lowercase();
            let tag = String::from_utf8(tag).ok()?;
            let known = match tag.split_once('-') {
                None => tag == "en" || (tag == "de" && german),
                Some(("en", land)) => ENGLISH_OF.split(' ').any(|known| known == land),
                Some(("de", land)) => german && GERMAN_OF.split(' ').any(|known| known == land),
                Some(_) => false,
            };
            known.then_some(tag)
        })
        .next()
}
