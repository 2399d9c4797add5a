//! The pages of squid's errors, as `templates` and `en` of Debian 12's langpack have them.

use haldane_core::Cx;

use super::{
    Server,
    squid::{Fault, Named, Question, REFUSED, Release},
    uri::Uri,
};
use crate::http::{
    date,
    request::{Field, Head},
};

/// The style sheet that all pages hold.
const STYLE: &str = include_str!("errorpage.css");

impl Server {
    /// A whole page. `language`: that of the client's choice, if it is not the default.
    pub(super) fn page(
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
        let content = if name == "ERR_CONNECT_FAIL" && language.is_none() { "CONTENT" } else { "content" };
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
        let blank = if name == "ERR_ACCESS_DENIED" { "" } else { " " };
        let space = if name == "ERR_CACHE_ACCESS_DENIED" { " " } else { "" };
        let script = if name == "ERR_INVALID_REQ" { script(question) } else { String::new() };
        format!(
            "<!DOCTYPE {doctype} PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\">\n\
             <html><head>\n{copyright}<meta http-equiv=\"Content-Type\" {content}=\"text/html; charset=utf-8\">\n\
             <title>{error}: {title}</title>\n<style type=\"text/css\"><!--{blank}\n {licence}{style}\n\nbody\n\
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
const CANNOT_FORWARD: &str =
    "<p>This request could not be forwarded to the origin server or to any parent caches.</p>

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
    let shown =
        question.read.map_or_else(|| "[no request]".to_owned(), |(head, uri)| quoted(&dump(head, uri)));
    format!(
        "<p><b>Invalid Request</b> error was encountered while trying to process the request:</p>\n\n<blockquote \
         id=\"data\">\n<pre>{shown}</pre>\n</blockquote>\n\n{INVALID_REQUEST}\n{ADMIN}"
    )
}

/// Names that squid knows, and so writes its own way.
const KNOWN: &str = "Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Age Allow Authorization \
                     Cache-Control Connection Content-Encoding Content-Language Content-Length Content-Location \
                     Content-MD5 Content-Range Content-Type Cookie Date ETag Expect Expires Forwarded From If-Match \
                     If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Modified Link \
                     Location Max-Forwards Mime-Version Origin Pragma Proxy-Authorization Proxy-Connection Range \
                     Referer Request-Range TE Title Trailer Transfer-Encoding Translate Upgrade User-Agent Vary Via \
                     X-Forwarded-For";

/// The request as squid has it: in origin form, its host (if it named one) taken from the target and put last, a
/// length that is none left out, credentials hidden.
pub(super) fn dump(head: &Head, uri: &Uri) -> Vec<u8> {
    let version: &[u8] = if head.protocol.is_empty() { b"HTTP/0.9" } else { &head.protocol };
    let mut text = [head.method.as_slice(), b" ", uri.path(), b" ", version, b"\r\n"].concat();
    let lengths: Vec<&[u8]> = head.all("Content-Length").collect();
    let usable = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let sound = lengths.iter().all(|value| usable(value) && Some(value) == lengths.first());
    for field in &head.fields {
        let is = |name: &str| field.name().eq_ignore_ascii_case(name.as_bytes());
        if is("Host") || (is("Content-Length") && !sound) {
            continue;
        }
        let hidden = is("Authorization") || is("Proxy-Authorization");
        let value = if hidden { b"** NOT DISPLAYED **" } else { field.value() };
        text.extend_from_slice(&[written(field), b": ", value, b"\r\n"].concat());
    }
    if head.field("Host").is_some() && !uri.host.is_empty() {
        text.extend_from_slice(&[b"Host: ", uri.place().as_slice(), b"\r\n"].concat());
    }
    text.extend_from_slice(b"\r\n");
    text
}

fn written(field: &Field) -> &[u8] {
    let known = KNOWN.split(' ').map(str::as_bytes).find(|known| field.name().eq_ignore_ascii_case(known));
    known.unwrap_or(field.name())
}

fn script(question: &Question<'_>) -> String {
    let (method, url, scheme) = match question.read {
        Some((_, uri)) => (quoted(question.method), quoted(&uri.whole()), uri.written_scheme()),
        None => ("[unknown method]".to_owned(), quoted(question.url), "[unknown protocol]"),
    };
    let hide = |value: &str, none: &str, id: &str| {
        format!("if ('{value}' != '{none}') document.getElementById('{id}').style.display = 'none';\n")
    };
    let rows = [
        hide(&method, "[unknown method]", "missing-method"),
        hide(&url, "[no URL]", "missing-url"),
        hide(scheme, "[unknown protocol]", "missing-protocol"),
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
