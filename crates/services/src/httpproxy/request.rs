//! The head of a request as squid 5 reads it, with `relaxed_header_parser on`: a request line (RFC 9112, section 3),
//! read from both ends towards the target, and the fields below it. What squid tolerates was found by asking 5.7.

use crate::http::request::{Field, Head, token};

/// Longest head: request_header_max_size.
pub(super) const MOST: usize = 64 * 1024;
/// Longest method.
const METHOD: usize = 32;

/// Methods that are the same in lower case.
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PURGE"];

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bad {
    /// No method or no target: another protocol, as far as squid can tell.
    Protocol,
    /// A target with a control character in it.
    Target,
    /// A field that is none.
    Field,
    /// A request line without an end.
    Line,
    /// Fields without an end.
    Header,
}

impl Bad {
    /// For the event.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Protocol => "not a request",
            Self::Target => "control character in the target",
            Self::Field => "malformed header field",
            Self::Line => "request line too long",
            Self::Header => "header too long",
        }
    }
}

/// A request line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestLine {
    /// As in `GET`; those that squid knows in upper case.
    pub(super) method: Vec<u8>,
    /// As it came, if that was otherwise.
    pub(super) odd_method: Option<Vec<u8>>,
    /// As it came, blanks and all.
    pub(super) target: Vec<u8>,
    /// Major and minor; 0 and 0 if either has several digits, 0 and 9 if none is given.
    pub(super) version: (u8, u8),
    /// The protocol's word as it came; empty if there is none.
    protocol: Vec<u8>,
}

impl RequestLine {
    /// Reads a line, with or without its ending.
    ///
    /// # Errors
    /// What squid answers with 400, and as much as could be read.
    pub(super) fn read(line: &[u8]) -> Result<Self, (Bad, Self)> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let end = line.iter().position(|byte| !token(*byte)).unwrap_or(line.len());
        let (method, rest) = line.split_at_checked(end).unwrap_or_default();
        let mut read = Self {
            method: Vec::new(),
            odd_method: None,
            target: Vec::new(),
            version: (1, 0),
            protocol: Vec::new(),
        };
        if method.is_empty() || method.len() > METHOD {
            return Err((Bad::Protocol, read));
        }
        let known = METHODS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(method));
        read.method = known.map_or(method, |known| known.as_bytes()).to_vec();
        read.odd_method = (read.method != method).then(|| method.to_vec());
        let text = trim_start(rest);
        if text.len() == rest.len() {
            return Err((Bad::Protocol, read));
        }
        let cr = text.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last.saturating_add(1));
        let text = text.get(..cr).unwrap_or_default();
        let (rest, protocol, version) = match version_at_end(text) {
            Some((at, version)) => {
                let (rest, protocol) = text.split_at_checked(at).unwrap_or_default();
                (rest, protocol, version)
            }
            None if read.method == b"GET" => (text, &b""[..], (0, 9)),
            None => {
                read.target = text.to_vec();
                return Err((Bad::Protocol, read));
            }
        };
        let target = if version.0 == 0 { rest } else { trim_end(rest) };
        (read.target, read.protocol, read.version) = (target.to_vec(), protocol.to_vec(), version);
        if version.0 > 0 && target.len() == rest.len() {
            return Err((Bad::Protocol, read));
        }
        match target.iter().position(|byte| !of_target(*byte)) {
            _ if target.is_empty() => Err((Bad::Protocol, read)),
            Some(0) => Err((Bad::Protocol, read)),
            Some(_) => Err((Bad::Target, read)),
            None => Ok(read),
        }
    }

    /// Whether fields follow.
    pub(super) fn has_header(&self) -> bool {
        self.version.0 > 0 || self.version == (0, 0)
    }

    /// The same with the fields below it.
    pub(super) fn with(self, fields: Vec<Field>) -> Head {
        Head::of_parts(self.method, self.target, self.protocol, fields)
    }
}

/// Where `HTTP/x.y` begins, if the text ends with it, and what it says.
fn version_at_end(text: &[u8]) -> Option<(usize, (u8, u8))> {
    let digits = |text: &[u8]| text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let minor = digits(text);
    let rest = text.get(..text.len().checked_sub(minor)?)?.strip_suffix(b".")?;
    let major = digits(rest);
    let start = rest.get(..rest.len().checked_sub(major)?)?.strip_suffix(b"HTTP/")?.len();
    let digit = |byte: Option<&u8>| byte.map(|byte| byte.saturating_sub(b'0'));
    match (major, minor) {
        (0, _) | (_, 0) => None,
        (1, 1) => Some((start, (digit(rest.last())?, digit(text.last())?))),
        _ => Some((start, (0, 0))),
    }
}

/// Blanks between the words of a request line, as the relaxed parser has them.
fn delimiter(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !delimiter(*byte)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn trim_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !delimiter(*byte)).map_or(0, |last| last.saturating_add(1));
    text.get(..end).unwrap_or_default()
}

/// Bytes of a target: all but control characters, and blanks, too.
fn of_target(byte: u8) -> bool {
    (byte > b' ' && byte != 0x7f) || delimiter(byte)
}

/// Whether a header that ends like this is whole.
pub(super) fn ends_header(block: &[u8]) -> bool {
    matches!(block, b"\n" | b"\r\n") || block.ends_with(b"\n\n") || block.ends_with(b"\n\r\n")
}

/// The fields of a header; lines that go on on the next joined. `None` where squid refuses it.
pub(super) fn fields(block: &[u8]) -> Option<Vec<Field>> {
    if block.contains(&0) {
        return None;
    }
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in block.split(|byte| *byte == b'\n') {
        let end = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last.saturating_add(1));
        let line = line.get(..end).unwrap_or_default();
        match line {
            [] => {}
            [b' ' | b'\t', ..] => {
                // Before the first field such a line is passed over.
                if let Some(last) = lines.last_mut() {
                    last.push(b' ');
                    last.extend_from_slice(line.trim_ascii());
                }
            }
            _ => lines.push(line.trim_ascii_end().to_vec()),
        }
    }
    let read = lines.into_iter().map(|line| {
        let field = Field::read(line)?;
        field.name().iter().copied().all(token).then_some(field)
    });
    read.collect()
}

/// What can be read of the fields of a header that is refused, or that was left unfinished.
pub(super) fn salvaged(block: &[u8]) -> Vec<Field> {
    block.split_inclusive(|byte| *byte == b'\n').filter_map(fields).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, (u8, u8)), Bad> {
        let line = RequestLine::read(line.as_bytes()).map_err(|(bad, _)| bad)?;
        Ok((String::from_utf8(line.target).unwrap(), line.version))
    }

    #[test]
    fn request_lines_are_taken_as_leniently_as_squid_takes_them() {
        let taken = |target: &str, version| Ok((target.to_owned(), version));
        assert_eq!(read("GET http://a/ HTTP/1.1\r\n"), taken("http://a/", (1, 1)));
        assert_eq!(read("GET \t http://a/  HTTP/1.0\n"), taken("http://a/", (1, 0)));
        assert_eq!(read("GET http://a/x y HTTP/1.1\r\r\n"), taken("http://a/x y", (1, 1)));
        assert_eq!(read("GET http://a/\r\n"), taken("http://a/", (0, 9)));
        assert_eq!(read("GET http://a/ HTTP/1.1 \r\n"), taken("http://a/ HTTP/1.1 ", (0, 9)));
        assert_eq!(read("GET http://a/ HTTP/11.1\r\n"), taken("http://a/ ", (0, 0)));
        assert_eq!(read("GET http://a/ HTTP/0.9\r\n"), taken("http://a/ ", (0, 9)));
        assert_eq!(read("PRI * HTTP/2.0\r\n"), taken("*", (2, 0)));
    }

    #[test]
    fn what_is_no_request_line_is_refused() {
        for bad in
            ["SSH-2.0-x\r\n", "GET\r\n", "HELP\r\n", " GET a HTTP/1.1\r\n", "G{T a HTTP/1.1\r\n", "\0\0\r\n"]
        {
            assert_eq!(read(bad), Err(Bad::Protocol), "{bad}");
        }
        for bad in [
            "POST http://a/\r\n",
            "OPTIONS / RTSP/1.0\r\n",
            "POST http://a/HTTP/1.1\r\n",
            "GET \u{1} HTTP/1.1\r\n",
        ] {
            assert_eq!(read(bad), Err(Bad::Protocol), "{bad}");
        }
        assert_eq!(read(&format!("{} a HTTP/1.1\r\n", "M".repeat(33))), Err(Bad::Protocol));
        assert_eq!(read("GET http://a/\u{1} HTTP/1.1\r\n"), Err(Bad::Target));
    }

    #[test]
    fn fields_need_a_name_without_blanks_and_a_colon() {
        let names = |block: &str| {
            let fields = fields(block.as_bytes())?;
            Some(
                fields.iter().map(|field| String::from_utf8(field.line.clone()).unwrap()).collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(" x: y\r\nA: b\r\n\t c\r\nD:e\n\r\n"), Some(vec!["A: b c".into(), "D:e".into()]));
        assert_eq!(names("\r\n"), Some(vec![]));
        for bad in ["foo\r\n\r\n", "foo : bar\r\n\r\n", ": bar\r\n\r\n", "A: b\0c\r\n\r\n"] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }
}
