//! Which server answers: what its banner implies for versions of texts, order of header fields and error
//! pages. The texts are those of the products; what is not recorded follows their documentation.

/// A server, as its banner names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Persona {
    /// The Server field.
    pub(super) banner: String,
    /// How it behaves.
    pub(super) family: Family,
}

/// A product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Apache httpd of that version. Banners that name no product known here follow the newest.
    Apache(Release),
    /// nginx.
    Nginx,
    /// Microsoft's.
    Iis,
    /// lighttpd.
    Lighttpd,
}

/// Major, minor, patch.
pub(super) type Release = (u32, u32, u32);

/// What an unknown banner stands for.
const NEWEST: Release = (2, 4, 71);

/// A header field of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Date,
    Server,
    Authenticate,
    Location,
    LastModified,
    ETag,
    AcceptRanges,
    Allow,
    Vary,
    ContentEncoding,
    ContentLength,
    ContentRange,
    TransferEncoding,
    KeepAlive,
    Connection,
    ContentType,
}

impl Name {
    fn text(self) -> &'static str {
        match self {
            Self::Date => "Date",
            Self::Server => "Server",
            Self::Authenticate => "WWW-Authenticate",
            Self::Location => "Location",
            Self::LastModified => "Last-Modified",
            Self::ETag => "ETag",
            Self::AcceptRanges => "Accept-Ranges",
            Self::Allow => "Allow",
            Self::Vary => "Vary",
            Self::ContentEncoding => "Content-Encoding",
            Self::ContentLength => "Content-Length",
            Self::ContentRange => "Content-Range",
            Self::TransferEncoding => "Transfer-Encoding",
            Self::KeepAlive => "Keep-Alive",
            Self::Connection => "Connection",
            Self::ContentType => "Content-Type",
        }
    }
}

use Name::{
    AcceptRanges, Allow, Authenticate, Connection, ContentEncoding, ContentLength, ContentRange, ContentType,
    Date, ETag, KeepAlive, LastModified, Location, Server, TransferEncoding, Vary,
};

#[rustfmt::skip]
const APACHE: &[Name] = &[
    Date, Server, Authenticate, Location, LastModified, ETag, AcceptRanges, Allow, Vary, ContentEncoding, ContentLength,
    ContentRange, KeepAlive, Connection, TransferEncoding, ContentType,
];
#[rustfmt::skip]
const NGINX: &[Name] = &[
    Server, Date, ContentType, ContentLength, LastModified, Location, TransferEncoding, Connection, KeepAlive, Vary,
    Authenticate, ETag, ContentEncoding, ContentRange, AcceptRanges, Allow,
];
#[rustfmt::skip]
const IIS: &[Name] = &[
    Allow, ContentType, ContentEncoding, LastModified, AcceptRanges, ContentRange, ETag, Location, Vary, Server,
    Authenticate, Date, Connection, TransferEncoding, ContentLength, KeepAlive,
];
#[rustfmt::skip]
const LIGHTTPD: &[Name] = &[
    Allow, Vary, ContentEncoding, ContentType, AcceptRanges, ETag, LastModified, ContentRange, Location, Authenticate,
    ContentLength, TransferEncoding, Connection, KeepAlive, Date, Server,
];

/// What an error page may mention.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Circumstances<'a> {
    /// The method of the request.
    pub(super) method: &'a [u8],
    /// Its path.
    pub(super) path: &'a [u8],
    /// Its Expect field.
    pub(super) expect: &'a [u8],
    /// Where to go instead.
    pub(super) location: &'a str,
    /// A remark on what was wrong.
    pub(super) note: &'a str,
    /// Another error that was met on the way to this one.
    pub(super) additional: Option<u16>,
    /// The host that was asked for, without its port.
    pub(super) host: &'a str,
    /// The port that was asked for.
    pub(super) port: u16,
}

impl Persona {
    /// Understands a banner.
    pub(super) fn of(banner: &str) -> Self {
        let lower = banner.to_ascii_lowercase();
        let family = if lower.starts_with("nginx") || lower.starts_with("openresty") {
            Family::Nginx
        } else if lower.starts_with("microsoft") {
            Family::Iis
        } else if lower.starts_with("lighttpd") {
            Family::Lighttpd
        } else {
            Family::Apache(release(&lower).unwrap_or(NEWEST))
        };
        Self { banner: banner.to_owned(), family }
    }

    pub(super) fn at_least(&self, release: Release) -> bool {
        matches!(self.family, Family::Apache(own) if own >= release)
    }

    /// Whether a line must end with a carriage return and a line feed (HttpProtocolOptions Strict).
    pub(super) fn strict(&self) -> bool {
        self.family == Family::Iis || self.at_least((2, 4, 25))
    }

    /// Whether its error pages end with its name: Debian and Ubuntu shipped 2.2 with ServerSignature On, while the
    /// recorded 2.4 has it off.
    pub(super) fn signs(&self) -> bool {
        matches!(self.family, Family::Apache(own) if own < (2, 4, 0))
    }

    /// Whether a 304 repeats what describes the file.
    pub(super) fn describes_unmodified(&self) -> bool {
        !matches!(self.family, Family::Apache(_)) || self.at_least((2, 4, 54))
    }

    /// What the Allow field lists for a file.
    pub(super) fn allows(&self) -> Option<&'static str> {
        match self.family {
            Family::Apache(own) if own >= (2, 4, 0) => Some("GET,POST,OPTIONS,HEAD,TRACE"),
            Family::Apache(_) => Some("GET,HEAD,POST,OPTIONS"),
            Family::Nginx => None,
            Family::Iis => Some("OPTIONS, TRACE, GET, HEAD, POST"),
            Family::Lighttpd => Some("OPTIONS, GET, HEAD, POST"),
        }
    }

    /// Whether it answers TRACE.
    pub(super) fn traces(&self) -> bool {
        self.at_least((2, 4, 0))
    }

    /// The type of its error pages.
    pub(super) fn error_type(&self) -> &'static str {
        match self.family {
            Family::Apache(_) => "text/html; charset=iso-8859-1",
            Family::Iis => "text/html; charset=us-ascii",
            Family::Nginx | Family::Lighttpd => "text/html",
        }
    }

    /// The validator of a file (RFC 9110, section 8.8.3).
    pub(super) fn etag(
        &self,
        inode: u32,
        size: usize,
        modified: std::time::SystemTime,
        gzip: bool,
    ) -> String {
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let suffix = if gzip { "-gzip" } else { "" };
        match self.family {
            Family::Apache(own) if own >= (2, 4, 0) => {
                format!("\"{size:x}-{:x}{suffix}\"", since.as_micros())
            }
            Family::Apache(_) => format!("\"{inode:x}-{size:x}-{:x}{suffix}\"", since.as_micros()),
            Family::Nginx if gzip => format!("W/\"{:x}-{size:x}\"", since.as_secs()),
            Family::Nginx => format!("\"{:x}-{size:x}\"", since.as_secs()),
            // A Windows file time: units of 100 ns since 1601.
            Family::Iis => {
                let units = since.as_nanos().checked_div(100).unwrap_or_default();
                format!("\"{:x}:0\"", units.saturating_add(116_444_736_000_000_000))
            }
            Family::Lighttpd => format!("\"{}\"", u64::from(inode).wrapping_mul(since.as_secs() | 1)),
        }
    }

    /// The Connection and Keep-Alive fields of an answer. `asked`: the client asked to keep the connection;
    /// `left`: how many more requests are served on it.
    pub(super) fn persistence(&self, close: bool, asked: bool, left: u16) -> Vec<(Name, String)> {
        let connection = |word: &str| vec![(Connection, word.to_owned())];
        match (self.family, close, asked) {
            (Family::Apache(_), false, true) => {
                vec![(KeepAlive, format!("timeout=5, max={left}")), (Connection, "Keep-Alive".to_owned())]
            }
            (Family::Nginx, false, _) | (Family::Lighttpd, false, true) => connection("keep-alive"),
            (_, true, _) => connection("close"),
            (_, false, _) => Vec::new(),
        }
    }

    /// Writes status line and header fields, each where this server has it.
    pub(super) fn write(&self, status: u16, fields: &[(Name, String)]) -> Vec<u8> {
        let order = match self.family {
            Family::Apache(_) => APACHE,
            Family::Nginx => NGINX,
            Family::Iis => IIS,
            Family::Lighttpd => LIGHTTPD,
        };
        let mut text = format!("HTTP/1.1 {status} {}\r\n", self.reason(status));
        for name in order {
            for (_, value) in fields.iter().filter(|(field, _)| field == name) {
                text.push_str(name.text());
                text.push_str(": ");
                text.push_str(value);
                text.push_str("\r\n");
            }
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// What stands behind the status.
    pub(super) fn reason(&self, status: u16) -> &'static str {
        let old = matches!(self.family, Family::Apache(own) if own < (2, 4, 0));
        match status {
            100 => "Continue",
            200 => "OK",
            206 => "Partial Content",
            301 => "Moved Permanently",
            302 if matches!(self.family, Family::Nginx) => "Moved Temporarily",
            302 => "Found",
            304 => "Not Modified",
            401 if old => "Authorization Required",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 if self.family == Family::Nginx => "Not Allowed",
            405 => "Method Not Allowed",
            408 if old || self.family == Family::Nginx => "Request Time-out",
            408 => "Request Timeout",
            412 => "Precondition Failed",
            413 => "Request Entity Too Large",
            414 if old || self.family == Family::Nginx => "Request-URI Too Large",
            414 => "Request-URI Too Long",
            416 => "Requested Range Not Satisfiable",
            417 => "Expectation Failed",
            501 if old => "Method Not Implemented",
            501 => "Not Implemented",
            _ => "Bad Request",
        }
    }

    /// The error page of a status.
    pub(super) fn page(&self, status: u16, about: &Circumstances<'_>) -> String {
        let reason = if status == 302 { "Found" } else { self.reason(status) };
        match self.family {
            Family::Apache(_) => self.apache_page(status, about),
            Family::Iis if matches!(status, 301 | 302) => format!(
                "<head><title>Document Moved</title></head>\n<body><h1>Object Moved</h1>This document may be found \
                 <a HREF=\"{}\">here</a></body>",
                escape(about.location.as_bytes())
            ),
            Family::Lighttpd if matches!(status, 301 | 302) => String::new(),
            Family::Nginx => format!(
                "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
                 <center><h1>{status} {reason}</h1></center>\r\n<hr><center>{}</center>\r\n</body>\r\n</html>\r\n",
                self.banner
            ),
            Family::Iis => format!(
                "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n\
                 <HTML><HEAD><TITLE>{reason}</TITLE>\r\n<META HTTP-EQUIV=\"Content-Type\" \
                 Content=\"text/html; charset=us-ascii\"></HEAD>\r\n<BODY><h2>{reason}</h2>\r\n\
                 <hr><p>HTTP Error {status}. {reason}.</p>\r\n</BODY></HTML>\r\n"
            ),
            Family::Lighttpd => format!(
                "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n\
                 <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n         \
                 \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
                 <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n <head>\n  \
                 <title>{status} {reason}</title>\n </head>\n <body>\n  <h1>{status} {reason}</h1>\n </body>\n</html>\n"
            ),
        }
    }

    fn apache_page(&self, status: u16, about: &Circumstances<'_>) -> String {
        // 2.4.62 still has the older name of the document type, the recorded 2.4.71 the newer.
        let doctype = match self.at_least((2, 4, 66)) {
            true => "-//W3C//DTD HTML 4.01//EN\" \"http://www.w3.org/TR/html4/strict.dtd\"",
            false => "-//IETF//DTD HTML 2.0//EN\"",
        };
        let reason = self.reason(status);
        let additional = about.additional.map_or_else(String::new, |other| {
            format!(
                "<p>Additionally, a {other} {}\nerror was encountered while trying to use an ErrorDocument to \
                 handle the request.</p>\n",
                self.reason(other)
            )
        });
        let signature = match self.signs() {
            false => String::new(),
            true => format!(
                "<hr>\n<address>{} Server at {} Port {}</address>\n",
                self.banner,
                escape(about.host.as_bytes()),
                about.port
            ),
        };
        format!(
            "<!DOCTYPE HTML PUBLIC \"{doctype}>\n<html><head>\n<title>{status} {reason}</title>\n</head><body>\n\
             <h1>{reason}</h1>\n{}{additional}{signature}</body></html>\n",
            self.apache_text(status, about)
        )
    }

    fn apache_text(&self, status: u16, about: &Circumstances<'_>) -> String {
        // 2.4.41 took the path out of the pages (CVE-2019-10092).
        let terse = self.at_least((2, 4, 41));
        let (method, path) = (escape(about.method), escape(about.path));
        match status {
            301 | 302 => {
                let location = escape(about.location.as_bytes());
                format!("<p>The document has moved <a href=\"{location}\">here</a>.</p>\n")
            }
            401 => "<p>This server could not verify that you\nare authorized to access the document\nrequested.  \
                    Either you supplied the wrong\ncredentials (e.g., bad password), or your\nbrowser doesn't \
                    understand how to supply\nthe credentials required.</p>\n"
                .to_owned(),
            403 if terse => "<p>You don't have permission to access this resource.</p>\n".to_owned(),
            403 => format!("<p>You don't have permission to access {path}\non this server.</p>\n"),
            404 if terse => "<p>The requested URL was not found on this server.</p>\n".to_owned(),
            404 => format!("<p>The requested URL {path} was not found on this server.</p>\n"),
            405 if terse => format!("<p>The requested method {method} is not allowed for this URL.</p>\n"),
            405 => format!("<p>The requested method {method} is not allowed for the URL {path}.</p>\n"),
            408 => "<p>Server timeout waiting for the HTTP request from the client.</p>\n".to_owned(),
            413 => {
                let what = if terse { String::new() } else { format!("<br />{path}<br />\n") };
                let gap = if terse { " " } else { "" };
                format!(
                    "The requested resource{what}{gap}does not allow request data with {method} requests, or the \
                     amount of data provided in\nthe request exceeds the capacity limit.\n"
                )
            }
            414 => format!(
                "<p>The requested URL's length exceeds the capacity\nlimit for this server.<br />\n{}</p>\n",
                about.note
            ),
            416 => "<p>None of the range-specifier values in the Range\nrequest-header field overlap the current \
                    extent\nof the selected resource.</p>\n"
                .to_owned(),
            417 => format!(
                "<p>The expectation given in the Expect request-header\nfield could not be met by this server.\n\
                 The client sent<pre>\n    Expect: {}\n</pre>\n</p><p>Only the 100-continue expectation is \
                 supported.</p>\n",
                escape(about.expect)
            ),
            501 if terse => format!("<p>{method} not supported for current URL.<br />\n</p>\n"),
            501 => format!("<p>{method} to {path} not supported.<br />\n</p>\n"),
            _ => format!(
                "<p>Your browser sent a request that this server could not understand.<br />\n{}</p>\n",
                about.note
            ),
        }
    }
}

/// The numbers behind `apache/`.
fn release(lower: &str) -> Option<Release> {
    let version = lower.strip_prefix("apache/")?.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    Some((numbers.next()?, numbers.next().unwrap_or(4), numbers.next().unwrap_or(NEWEST.2)))
}

/// Text for HTML; bytes that are not UTF-8 as Latin-1, which is what these pages declare.
pub(super) fn escape(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    let characters: Box<dyn Iterator<Item = char>> = match std::str::from_utf8(text) {
        Ok(text) => Box::new(text.chars()),
        Err(_) => Box::new(text.iter().map(|byte| char::from(*byte))),
    };
    for character in characters {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banner_decides_product_and_version() {
        let family = |banner: &str| Persona::of(banner).family;
        assert_eq!(family("Apache/2.2.22 (Ubuntu)"), Family::Apache((2, 2, 22)));
        assert_eq!(family("Apache/2.4.71 (Debian)"), Family::Apache((2, 4, 71)));
        assert_eq!(family("Apache"), Family::Apache(NEWEST));
        assert_eq!(family("nginx/1.22.1"), Family::Nginx);
        assert_eq!(family("Microsoft-IIS/10.0"), Family::Iis);
        assert_eq!(family("lighttpd/1.4.69"), Family::Lighttpd);
        assert_eq!(family("Teapot/1"), Family::Apache(NEWEST));
    }

    #[test]
    fn an_old_apache_signs_its_pages_and_names_the_path() {
        let about = Circumstances { path: b"/<x>", host: "h", port: 80, ..Circumstances::default() };
        let page = Persona::of("Apache/2.2.22 (Ubuntu)").page(404, &about);
        assert!(page.contains("The requested URL /&lt;x&gt; was not found on this server."));
        assert!(page.contains("<address>Apache/2.2.22 (Ubuntu) Server at h Port 80</address>"));
        assert!(page.starts_with("<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n"));
    }
}
