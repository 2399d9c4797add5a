//! What HTTP.sys says, and what the service behind it does: order of fields, pages and lengths as of Windows.

use std::time::SystemTime;

use crate::http::date;

/// What both call themselves.
const SERVER: &str = "Microsoft-HTTPAPI/2.0";

/// An error that HTTP.sys knows, before it asks anybody. It closes behind each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    status: u16,
    title: &'static str,
    headline: &'static str,
    text: &'static str,
}

/// Nobody is behind that path.
pub(super) const NOT_FOUND: Page = Page {
    status: 404,
    title: "Not Found",
    headline: "Not Found",
    text: "The requested resource is not found.",
};
/// No grammar.
pub(super) const BADLY_FORMED: Page = bad("Bad Request", "The request is badly formed.");
/// No Host, or none that could be one.
pub(super) const HOSTNAME: Page = bad("Bad Request - Invalid Hostname", "The request hostname is invalid.");
/// No method.
pub(super) const VERB: Page = bad("Bad Request - Invalid Verb", "The request verb is invalid.");
/// No field.
pub(super) const HEADER: Page =
    bad("Bad Request - Invalid Header", "The request has an invalid header name.");
/// A target that is too long.
pub(super) const URL: Page = Page {
    status: 414,
    title: "URI Too Long",
    headline: "Request URL Too Long",
    text: "The request URL is too long.",
};
/// A head that is too long.
pub(super) const TOO_LONG: Page =
    bad("Bad Request - Request Too Long", "The size of the request headers is too long.");
/// A body without a length.
pub(super) const LENGTH: Page = Page {
    status: 411,
    title: "Length Required",
    headline: "Length Required",
    text: "The request must be chunked or have a content length.",
};

const fn bad(headline: &'static str, text: &'static str) -> Page {
    Page { status: 400, title: "Bad Request", headline, text }
}

impl Page {
    /// The whole answer. `silent`: to HEAD.
    pub(super) fn show(self, silent: bool, now: SystemTime) -> Vec<u8> {
        let Self { status, title, headline, text } = self;
        let page = format!(
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n\
             <HTML><HEAD><TITLE>{title}</TITLE>\r\n\
             <META HTTP-EQUIV=\"Content-Type\" Content=\"text/html; charset=us-ascii\"></HEAD>\r\n\
             <BODY><h2>{headline}</h2>\r\n\
             <hr><p>HTTP Error {status}. {text}</p>\r\n\
             </BODY></HTML>\r\n"
        );
        let head = format!(
            "HTTP/1.1 {status} {title}\r\nContent-Type: text/html; charset=us-ascii\r\nServer: {SERVER}\r\nDate: {}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            date::show(now),
            page.len()
        );
        if silent { head.into_bytes() } else { [head, page].concat().into_bytes() }
    }
}

/// An answer of the service itself, which has no body and names no reason. `first`: fields before Server; `then`:
/// behind it.
pub(super) fn bare(status: u16, first: &str, then: &[String], close: bool, now: SystemTime) -> Vec<u8> {
    let challenges: String = then.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect();
    let close = if close { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 {status} \r\n{first}Server: {SERVER}\r\n{challenges}Date: {}\r\n{close}Content-Length: 0\r\n\r\n",
        date::show(now)
    )
    .into_bytes()
}

/// Who the service is, which it tells everybody (DSP0226, section 11).
pub(super) fn identity(close: bool, now: SystemTime) -> Vec<u8> {
    let body = "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Header></s:Header>\
                <s:Body><wsmid:IdentifyResponse \
                xmlns:wsmid=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\">\
                <wsmid:ProtocolVersion>http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd</wsmid:ProtocolVersion>\
                <wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>\
                <wsmid:ProductVersion>OS: 0.0.0 SP: 0.0 Stack: 3.0</wsmid:ProductVersion>\
                </wsmid:IdentifyResponse></s:Body></s:Envelope>";
    let close = if close { "Connection: close\r\n" } else { "" };
    format!(
        "HTTP/1.1 200 \r\nContent-Type: application/soap+xml;charset=UTF-8\r\nServer: {SERVER}\r\nDate: {}\r\n\
         {close}Content-Length: {}\r\n\r\n{body}",
        date::show(now),
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_as_long_as_those_of_windows() {
        for (page, length) in [
            (NOT_FOUND, 315),
            (BADLY_FORMED, 311),
            (HOSTNAME, 334),
            (VERB, 326),
            (HEADER, 339),
            (LENGTH, 344),
        ] {
            let text = String::from_utf8(page.show(false, SystemTime::UNIX_EPOCH)).unwrap();
            assert!(text.contains(&format!("Content-Length: {length}\r\n\r\n<!DOCTYPE")), "{text}");
        }
    }
}
