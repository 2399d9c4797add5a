//! The grammar of messages (RFC 3261, sections 7 and 25): a first line, fields, a body.
//!
//! Names are compared without case and compact forms are known (section 7.3.3); values run over folded lines; a bare LF
//! ends a line as well as CRLF does. A field keeps its bytes as sent, too: proxies copy them.

/// Most fields that a message may have.
const FIELDS: usize = 512;

/// Compact names (RFC 3261, section 20) and what they stand for.
const COMPACT: &[(&str, &str)] = &[
    ("c", "content-type"),
    ("e", "content-encoding"),
    ("f", "from"),
    ("i", "call-id"),
    ("k", "supported"),
    ("l", "content-length"),
    ("m", "contact"),
    ("s", "subject"),
    ("t", "to"),
    ("v", "via"),
];

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The long name in lower case.
    pub name: String,
    /// The value in one line.
    pub value: Vec<u8>,
    /// All of it as sent, with its line end.
    pub raw: Vec<u8>,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum First {
    /// Asks for something.
    Request {
        /// As sent.
        method: Vec<u8>,
        /// As sent.
        uri: Vec<u8>,
        /// As sent; `SIP/2.0` in any case.
        version: Vec<u8>,
    },
    /// Answers something.
    Response {
        /// Behind the version, as sent.
        status: Vec<u8>,
    },
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its first line.
    pub first: First,
    /// Its fields, in their order.
    pub fields: Vec<Field>,
    /// What follows.
    pub body: Vec<u8>,
    /// An empty line stands before that.
    pub headed: bool,
    /// What is wrong with its fields: lines that are none, or too many.
    pub broken: Option<&'static str>,
}

impl Message {
    /// Reads the head of a message, up to its empty line if it has one; `Err` says why it is none. Lines that are no
    /// fields are left out: what the others say is evidence all the same.
    pub fn read(head: &[u8]) -> Result<Self, &'static str> {
        let mut lines = lines(head).peekable();
        let first = first(lines.next().unwrap_or_default())?;
        let mut fields: Vec<Field> = Vec::new();
        let (mut headed, mut broken) = (false, None);
        for line in lines {
            if text(line).is_empty() {
                headed = true;
                break;
            }
            if !line.ends_with(b"\n") {
                broken = Some("a line does not end");
            }
            let folded = line.starts_with(b" ") || line.starts_with(b"\t");
            let full = fields.len() >= FIELDS;
            match fields.last_mut() {
                Some(field) if folded => {
                    field.raw.extend_from_slice(line);
                    let more = text(line).trim_ascii();
                    if !field.value.is_empty() && !more.is_empty() {
                        field.value.push(b' ');
                    }
                    field.value.extend_from_slice(more);
                }
                _ if full => broken = Some("too many fields"),
                _ => match field(line) {
                    Ok(field) => fields.push(field),
                    Err(why) => broken = broken.or(Some(why)),
                },
            }
        }
        Ok(Self { first, fields, body: Vec::new(), headed, broken })
    }

    /// The first field of that (long, lower-case) name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Every field of that name.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.name == name)
    }

    /// The value of the first field of that name.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.field(name).map(|field| field.value.as_slice())
    }

    /// What Content-Length says: `None` without one, `Some(None)` if it is no number of up to nine digits.
    pub fn length(&self) -> Option<Option<usize>> {
        self.value("content-length").map(|value| number(value, 9))
    }
}

/// Where the empty line behind the head ends.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    let breaks = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| at.saturating_add(1)).find_map(|behind| match bytes.get(behind..) {
        Some([b'\n', ..]) => behind.checked_add(1),
        Some([b'\r', b'\n', ..]) => behind.checked_add(2),
        _ => None,
    })
}

/// A number of at most that many digits, and of nothing else.
pub fn number<N: std::str::FromStr>(digits: &[u8], most: usize) -> Option<N> {
    let plain = !digits.is_empty() && digits.len() <= most && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

/// Lines with their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// A line without its end.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn first(line: &[u8]) -> Result<First, &'static str> {
    if !line.ends_with(b"\n") {
        return Err("no line");
    }
    let line = text(line).trim_ascii_end();
    let mut words = line.splitn(2, |byte| *byte == b' ');
    let (one, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if is_version(one) {
        let digits = rest.get(..3).unwrap_or_default();
        let is_status = digits.len() == 3 && digits.iter().all(u8::is_ascii_digit);
        return if is_status { Ok(First::Response { status: rest.to_vec() }) } else { Err("no status") };
    }
    let mut words = rest.split(|byte| *byte == b' ');
    match (words.next(), words.next(), words.next()) {
        (Some(uri), Some(version), None) if is_version(version) && !one.is_empty() && !uri.is_empty() => {
            Ok(First::Request { method: one.to_vec(), uri: uri.to_vec(), version: version.to_vec() })
        }
        _ => Err("no first line of SIP/2.0"),
    }
}

fn is_version(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"SIP/2.0")
}

fn field(line: &[u8]) -> Result<Field, &'static str> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or("a line without a colon")?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    let name = name.trim_ascii();
    if name.is_empty() {
        return Err("a field without a name");
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let long = COMPACT.iter().find(|(compact, _)| *compact == name).map(|(_, long)| (*long).to_owned());
    let value = text(value.get(1..).unwrap_or_default()).trim_ascii().to_vec();
    Ok(Field { name: long.unwrap_or(name), value, raw: line.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_every_spelling_and_folded_values_are_understood() {
        let text = b"REGISTER sip:a SIP/2.0\r\nv: one\nTO : two\r\n\tthree\r\ni:4\r\nX-A: \xff\r\n\r\nbody";
        let message = Message::read(text).unwrap();
        let seen: Vec<_> =
            message.fields.iter().map(|field| (field.name.as_str(), field.value.as_slice())).collect();
        let expected: [(&str, &[u8]); 4] =
            [("via", b"one"), ("to", b"two three"), ("call-id", b"4"), ("x-a", b"\xff")];
        assert_eq!(seen, expected);
        assert_eq!(message.field("to").unwrap().raw, b"TO : two\r\n\tthree\r\n");
        assert_eq!(head_end(text), Some(text.len() - 4));
    }

    #[test]
    fn what_is_no_sip_is_refused() {
        for text in [
            "",
            "GET / HTTP/1.0\r\n",
            "OPTIONS sip:a SIP/3.0\r\n",
            "OPTIONS  sip:a SIP/2.0\r\n",
            "SIP/2.0 OK\r\n",
        ] {
            assert!(Message::read(text.as_bytes()).is_err(), "{text}");
        }
        let read = |text: &[u8]| {
            Message::read(text).map(|message| (message.broken, message.fields.len(), message.headed))
        };
        let odd = b"OPTIONS sip:a SIP/2.0\r\nnonsense\r\nTo: x\r\n\r\n";
        assert_eq!(read(odd), Ok((Some("a line without a colon"), 1, true)));
        assert_eq!(read(b"OPTIONS sip:a SIP/2.0\r\nTo: x"), Ok((Some("a line does not end"), 1, false)));
        let many = [b"OPTIONS sip:a SIP/2.0\r\n".to_vec(), b"A: b\n".repeat(FIELDS + 1)].concat();
        assert_eq!(read(&many), Ok((Some("too many fields"), FIELDS, false)));
        assert_eq!(number::<u32>(b"+1", 9), None);
    }
}
