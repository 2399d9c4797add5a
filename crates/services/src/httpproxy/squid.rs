//! What squid answers: the header of its errors, their pages, and the language of these.
//!
//! Pages and fields as recorded from 5.7 with the langpack of Debian 12. What other releases do otherwise follows
//! their release notes: before 3.5 no copyright and no charset, from 6 on `Cache-Status` for `X-Cache`; 5 says of a
//! name that does not exist what it says of a connection that broke, the others ERR_DNS_FAIL.
//! Pages in German where a client is asked to authenticate; every other page is in English, whatever is asked for.

use super::{Server, request::Bad};
use crate::http::{date, request::Head};
use haldane_core::Cx;

/// The style sheet that all pages hold.
const STYLE: &str = include_str!("errorpage.css");

/// The claimed release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Release {
    text: String,
    number: (u16, u16),
}

impl Release {
    /// Reads `5.7`, `3.3.8` and the like, from 3.1 on.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut next = || parts.next().map(|part| part.split(['-', '+']).next().unwrap_or_default().parse().ok());
        let number = (next()??, next().unwrap_or(Some(0))?);
        let tame = text.chars().all(|c| c.is_ascii_alphanumeric() || "-.+~".contains(c));
        (tame && number >= (3, 1)).then(|| Self { text: text.to_owned(), number })
    }

    /// Years of the copyright of pages and of the style sheet.
    fn years(&self) -> Option<(u16, u16)> {
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
    /// The request, if it could be read.
    pub(super) head: Option<&'a Head>,
    pub(super) method: &'a [u8],
    /// The target as pages show it.
    pub(super) url: &'a [u8],
    /// Whether the connection is kept.
    pub(super) keep: bool,
}

/// How an error is named, and what of it is special.
struct Named {
    status: (u16, &'static str),
    name: &'static str,
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
            Self::AuthenticationRequired(_) => (407, "Proxy Authentication Required", "ERR_CACHE_ACCESS_DENIED"),
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
    pub(super) fn squid(&self, release: &Release, fault: &Fault, question: &Question<'_>, cx: &Cx<'_>) -> Vec<u8> {
        let tunnel = question.method == b"CONNECT";
        let named = fault.named(release, tunnel);
        let language = question.head.and_then(|head| language(head, fault));
        let page = self.page(release, fault, &named, question, language.as_deref(), cx);
        let host = &self.name;
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
            let looked = if fault.forwarded() && matches!(question.method, b"GET" | b"HEAD") { "MISS" } else { "NONE" };
            let port = cx.peer().local.port();
            let cache = match release.number.0 {
                0..=5 => format!("X-Cache: MISS from {host}\r\nX-Cache-Lookup: {looked} from {host}:{port}\r\n"),
                _ => format!("Cache-Status: {host}\r\n"),
            };
            let keep = if question.keep { "keep-alive" } else { "close" };
            head.push_str(&format!("{cache}Via: 1.1 {host} (squid/{})\r\nConnection: {keep}\r\n", release.text));
        }
        head.push_str("\r\n");
        if question.method != b"HEAD" {
            head.push_str(&page);
        }
        head.into_bytes()
    }

    fn page(
        &self,
        release: &Release,
        fault: &Fault,
        named: &Named,
        question: &Question<'_>,
        language: Option<&str>,
        cx: &Cx<'_>,
    ) -> String {
        let german = language.is_some_and(|language| language.starts_with("de"));
        let name = named.name;
        let words = if german { &GERMAN } else { &ENGLISH };
        let (title, heading) = match name {
            "ERR_CACHE_ACCESS_DENIED" => (words.denied, format!("{}.", words.denied)),
            "ERR_UNSUP_HTTPVERSION" => (words.not_retrieved, "Unsupported HTTP version".to_owned()),
            _ => (words.not_retrieved, words.not_retrieved.to_owned()),
        };
        let doctype = if name == "ERR_CANNOT_FORWARD" { "HTML" } else { "html" };
        let content = if name == "ERR_CONNECT_FAIL" { "CONTENT" } else { "content" };
        let (copyright, licence) = match release.years() {
            Some((page, style)) => (
                format!("<meta type=\"copyright\" content=\"Copyright (C) 1996-{page} {OWNER}\">\n"),
                format!(
                    "/*\n * Copyright (C) 1996-{style} {OWNER}\n *\n * Squid software is distributed under GPLv2+ license \
                     and includes\n * contributions from numerous individuals and organizations.\n * Please see the \
                     COPYING and CONTRIBUTORS files for details.\n */\n\n"
                ),
            ),
            None => (String::new(), String::new()),
        };
        let style = match release.years() {
            Some(_) => STYLE.to_owned(),
            None => STYLE.replace("/squid-internal-static/icons/", "http://www.squid-cache.org/Artwork/"),
        };
        // Only translations quote it.
        let id = if language.is_some() { format!("\"{name}\"") } else { name.to_owned() };
        let (host, date, number) = (&self.name, date::show(cx.now()), &release.text);
        let (error, by) = (words.error, words.by);
        let space = if name == "ERR_CACHE_ACCESS_DENIED" { " " } else { "" };
        let script = if name == "ERR_INVALID_REQ" { script(question) } else { String::new() };
        format!(
            "<!DOCTYPE {doctype} PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\n\
             <html><head>\n{copyright}<meta http-equiv=\"Content-Type\" {content}=\"text/html; charset=utf-8\">\n\
             <title>{error}: {title}</title>\n<style type=\"text/css\"><!-- \n {licence}{style}\n\nbody\n\
             :lang(fa) {{ direction: rtl; font-size: 100%; font-family: Tahoma, Roya, sans-serif; float: right; }}\n\
             :lang(he) {{ direction: rtl; }}\n --></style>\n</head><body id={id}>\n<div id=\"titles\">\n\
             <h1>{error}</h1>\n<h2>{heading}</h2>\n</div>\n<hr>\n\n<div id=\"content\">\n{}<br>\n</div>\n\n{script}\
             <hr>{space}\n<div id=\"footer\">\n<p>{} {date} {by} {host} (squid/{number})</p>\n<!-- {name} -->\n\
             </div>\n</body></html>\n",
            said(fault, name, question, words),
            words.generated,
        )
    }
}

const OWNER: &str = "The Squid Software Foundation and contributors";
const ADMIN: &str = "<p>Your cache administrator is <a href=\"mailto:webmaster\">webmaster</a>.</p>\n";

/// The words of a language.
struct Words {
    error: &'static str,
    not_retrieved: &'static str,
    denied: &'static str,
    /// Before, and behind, the target.
    encountered: (&'static str, &'static str),
    sorry: (&'static str, &'static str),
    generated: &'static str,
    by: &'static str,
}

const ENGLISH: Words = Words {
    error: "ERROR",
    not_retrieved: "The requested URL could not be retrieved",
    denied: "Cache Access Denied",
    encountered: ("The following error was encountered while trying to retrieve the URL: ", ""),
    sorry: (
        "Sorry, you are not currently allowed to request",
        "from this cache until you have authenticated yourself.",
    ),
    generated: "Generated",
    by: "by",
};

const GERMAN: Words = Words {
    error: "FEHLER",
    not_retrieved: "Die angeforderte URL konnte nicht gefunden werden",
    denied: "Cache Zugriff verweigert",
    encountered: ("Der folgende Fehler wurde beim Versuch die URL ", " zu holen festgestellt:"),
    sorry: (
        "Sie sind momentan nicht berechtigt",
        "von diesem Cache abzurufen, bis sie sich authentifiziert haben.",
    ),
    generated: "Erzeugt am",
    by: "von",
};

/// What a page says of its error.
fn said(fault: &Fault, name: &str, question: &Question<'_>, words: &Words) -> String {
    let url = quoted(question.url);
    let text = match name {
        "ERR_INVALID_REQ" => return invalid_request(question),
        "ERR_CACHE_ACCESS_DENIED" => format!(
            "<p><b>{}.</b></p>\n</blockquote>\n\n<p>{} {url} {}</p>\n\n<p>Please contact the <a \
             href=\"mailto:webmaster\">cache administrator</a> if you have difficulties authenticating \
             yourself.</p>\n\n",
            words.denied, words.sorry.0, words.sorry.1
        ),
        _ => explained(fault, name),
    };
    let (before, behind) = words.encountered;
    format!("<p>{before}<a href=\"{url}\">{url}</a>{behind}</p>\n\n<blockquote id=\"error\">\n{text}")
}

/// The error by name, its reason, and whom to ask.
fn explained(fault: &Fault, name: &str) -> String {
    let system = |message: &str| format!("<p id=\"sysmsg\">The system returned: <i>{message}</i></p>\n\n");
    let (title, more) = match fault {
        Fault::ConnectFail(host, errno) => {
            let message = if *errno == REFUSED { "Connection refused" } else { "No route to host" };
            let more = "<p>The remote host or network may be down. Please try the request again.</p>\n";
            (format!("Connection to {host} failed."), system(&format!("({errno}) {message}")) + more)
        }
        Fault::NoSuchName(host) if name == "ERR_DNS_FAIL" => (
            format!("Unable to determine IP address from host name <q>{}</q>", quoted(host.as_bytes())),
            "<p>The DNS server returned:</p>\n<blockquote id=\"data\">\n<pre>Name Error: The domain name does not \
             exist.</pre>\n</blockquote>\n\n<p>This means that the cache was not able to resolve the hostname \
             presented in the URL. Check if the address is correct.</p>\n"
                .to_owned(),
        ),
        Fault::NoSuchName(_) if name == "ERR_READ_ERROR" => {
            let more = "<p>An error condition occurred while reading data from the network. Please retry your \
                        request.</p>\n";
            ("Read Error".to_owned(), system("[No Error]") + more)
        }
        _ => {
            let (title, more) = match name {
                "ERR_INVALID_URL" => ("Invalid URL", INVALID_URL),
                "ERR_UNSUP_REQ" => ("Unsupported Request Method and Protocol", UNSUPPORTED_REQUEST),
                "ERR_UNSUP_HTTPVERSION" => ("Unsupported HTTP version", UNSUPPORTED_VERSION),
                "ERR_TOO_BIG" => ("The request or reply is too large.", TOO_BIG),
                "ERR_ACCESS_DENIED" => ("Access Denied.", ACCESS_DENIED),
                "ERR_CANNOT_FORWARD" => ("Unable to forward this request at this time.", CANNOT_FORWARD),
                _ => ("Unsupported Protocol", UNSUPPORTED_PROTOCOL),
            };
            (title.to_owned(), more.to_owned())
        }
    };
    let gap = if matches!(name, "ERR_CONNECT_FAIL" | "ERR_CANNOT_FORWARD") { "\n" } else { "" };
    format!("<p><b>{title}</b></p>\n</blockquote>\n\n{more}\n{ADMIN}{gap}")
}

const INVALID_URL: &str = "<p>Some aspect of the requested URL is incorrect.</p>

<p>Some possible problems are:</p>
<ul>
<li><p>Missing or incorrect access protocol (should be <q>http://</q> or similar)</p></li>
<li><p>Missing hostname</p></li>
<li><p>Illegal double-escape in the URL-Path</p></li>
<li><p>Illegal character in hostname; underscores are not allowed.</p></li>
</ul>
";
const UNSUPPORTED_REQUEST: &str = "<p>Squid does not support all request methods for all access protocols. \
                                   For example, you can not POST a Gopher request.</p>\n";
const UNSUPPORTED_VERSION: &str =
    "<p>This Squid does not accept the HTTP version you are attempting to use.</p>\n";
const UNSUPPORTED_PROTOCOL: &str = "<p>Squid does not support some access protocols. For example, the SSH \
                                    protocol is currently not supported.</p>\n";
const TOO_BIG: &str = "<p>If you are making a POST or PUT request, then the item you are trying to upload is too large.</p>
<p>If you are making a GET request, then the item you are trying to download is too large.</p>
<p>These limits have been established by the Internet Service Provider who operates this cache. Please contact them \
                       directly if you feel this is an error.</p>
";
const ACCESS_DENIED: &str = "<p>Access control configuration prevents your request from being allowed at this \
                             time. Please contact your service provider if you feel this is incorrect.</p>\n";
const CANNOT_FORWARD: &str = "<p>This request could not be forwarded to the origin server or to any parent caches.</p>

<p>Some possible problems are:</p>
<ul>
<li id=\"network-down\">An Internet connection needed to access this domains origin servers may be down.</li>
<li id=\"no-peer\">All configured parent caches may be currently unreachable.</li>
<li id=\"permission-denied\">The administrator may not allow this cache to make direct connections to origin \
                              servers.</li>
</ul>
";
const INVALID_REQUEST: &str = "<p>Some possible problems are:</p>
<ul>
<li id=\"missing-method\"><p>Missing or unknown request method.</p></li>
<li id=\"missing-url\"><p>Missing URL.</p></li>
<li id=\"missing-protocol\"><p>Missing HTTP Identifier (HTTP/1.0).</p></li>
<li><p>Request is too large.</p></li>
<li><p>Content-Length missing for POST or PUT requests.</p></li>
<li><p>Illegal character in hostname; underscores are not allowed.</p></li>
<li><p>HTTP/1.1 <q>Expect:</q> feature is being asked from an HTTP/1.0 software.</p></li>
</ul>
";

/// ERR_INVALID_REQ shows the request, without what made it invalid.
fn invalid_request(question: &Question<'_>) -> String {
    let shown = question.head.map_or_else(|| "[no request]".to_owned(), |head| quoted(&dump(head)));
    format!(
        "<p><b>Invalid Request</b> error was encountered while trying to process the request:</p>\n\n<blockquote \
         id=\"data\">\n<pre>{shown}</pre>\n</blockquote>\n\n{INVALID_REQUEST}\n{ADMIN}"
    )
}

fn dump(head: &Head) -> Vec<u8> {
    let mut text = [head.method.as_slice(), b" ", head.path.as_slice()].concat();
    if let Some(query) = &head.query {
        text.extend_from_slice(&[b"?", query.as_slice()].concat());
    }
    text.extend_from_slice(b" HTTP/1.1\r\n");
    for field in &head.fields {
        text.extend_from_slice(&[field.name(), b": ", field.value(), b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn script(question: &Question<'_>) -> String {
    let scheme = question.url.split(|byte| *byte == b':').next().unwrap_or_default();
    let (method, scheme) = match question.head {
        Some(_) => (quoted(question.method), quoted(scheme)),
        None => ("[unknown method]".to_owned(), "[unknown protocol]".to_owned()),
    };
    let hide = |value: &str, none: &str, id: &str| {
        format!("if ('{value}' != '{none}') document.getElementById('{id}').style.display = 'none';\n")
    };
    let rows = [
        hide(&method, "[unknown method]", "missing-method"),
        hide(&quoted(question.url), "[no URL]", "missing-url"),
        hide(&scheme, "[unknown protocol]", "missing-protocol"),
    ];
    format!("<script language=\"javascript\">\n{}</script>\n\n", rows.concat())
}

/// As squid writes into a page what it was sent.
fn quoted(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'<' => quoted.push_str("&lt;"),
            b'>' => quoted.push_str("&gt;"),
            b'"' => quoted.push_str("&quot;"),
            b'&' => quoted.push_str("&amp;"),
            b'\'' => quoted.push_str("&#39;"),
            b'\n' | b'\r' | b'\t' | b' '..=b'~' => quoted.push(char::from(*byte)),
            other => quoted.push_str(&format!("&#{other};")),
        }
    }
    quoted
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
