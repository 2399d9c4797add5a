//! What a domain controller says, byte for byte as Windows encodes it: lengths of all that holds other elements take
//! five bytes (`84` and four more), all others are as short as may be.

use haldane_wire::ber;

/// Tags of answers (RFC 4511, section 4.2 and those after it).
pub mod tag {
    /// To a login.
    pub const BIND: u8 = 0x61;
    /// An entry that was found.
    pub const ENTRY: u8 = 0x64;
    /// The end of a search.
    pub const DONE: u8 = 0x65;
    /// To a change.
    pub const MODIFY: u8 = 0x67;
    /// To a new entry.
    pub const ADD: u8 = 0x69;
    /// To a removal.
    pub const DELETE: u8 = 0x6b;
    /// To a new name.
    pub const RENAME: u8 = 0x6d;
    /// To a comparison.
    pub const COMPARE: u8 = 0x6f;
    /// To what the protocol itself does not have.
    pub const EXTENDED: u8 = 0x78;
}

/// How a request ended (RFC 4511, appendix A.1).
pub mod code {
    /// Done.
    pub const SUCCESS: u8 = 0;
    /// Not now.
    pub const OPERATIONS: u8 = 1;
    /// Not understood.
    pub const PROTOCOL: u8 = 2;
    /// No such way to log in.
    pub const METHOD: u8 = 7;
    /// Not without TLS.
    pub const STRONGER: u8 = 8;
    /// A control that must be understood is not.
    pub const EXTENSION: u8 = 12;
    /// Another token is awaited.
    pub const IN_PROGRESS: u8 = 14;
    /// The login failed.
    pub const CREDENTIALS: u8 = 49;
}

const ENUMERATED: u8 = 0x0a;
const SET: u8 = 0x31;
/// The control for results in pages (RFC 2696).
pub const PAGED: &[u8] = b"1.2.840.113556.1.4.319";
/// By what a server says that it hangs up (RFC 4511, section 4.4.1).
const DISCONNECTION: &[u8] = b"1.3.6.1.4.1.1466.20036";

/// An attribute and its values.
pub type Attribute = (Vec<u8>, Vec<Vec<u8>>);

/// An element that holds others.
fn long(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[tag, 0x84][..], &length, &content].concat()
}

fn octets(value: &[u8]) -> Vec<u8> {
    ber::wrap(ber::OCTETS, value)
}

/// A message.
fn message(id: i64, tag: u8, parts: &[Vec<u8>], controls: Option<Vec<u8>>) -> Vec<u8> {
    let mut fields = vec![ber::wrap(ber::INTEGER, &ber::shortest(id)), long(tag, parts)];
    fields.extend(controls);
    long(ber::SEQUENCE, &fields)
}

/// How a request ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ending {
    /// See [`code`].
    pub code: u8,
    /// The part of the name that was found; Microsoft's own logins have their token here.
    pub matched: Vec<u8>,
    /// Words, with the zero behind them that Windows sends; empty if all went well.
    pub text: Vec<u8>,
    /// What follows in answers of some kinds.
    pub rest: Vec<Vec<u8>>,
}

impl Ending {
    /// All went well.
    pub fn success() -> Self {
        Self::default()
    }

    /// It did not.
    pub fn failure(code: u8, text: String) -> Self {
        Self { code, text: [text.as_bytes(), b"\0"].concat(), ..Self::default() }
    }

    /// With a token of SASL (section 4.2.2).
    #[must_use]
    pub fn token(mut self, token: &[u8]) -> Self {
        self.rest.push(ber::wrap(0x87, token));
        self
    }

    /// The name of an extended answer.
    #[must_use]
    pub fn name(mut self, oid: &[u8]) -> Self {
        self.rest.push(ber::wrap(0x8a, oid));
        self
    }

    /// The value of an extended answer.
    #[must_use]
    pub fn value(mut self, value: &[u8]) -> Self {
        self.rest.push(ber::wrap(0x8b, value));
        self
    }

    /// As an answer of that kind.
    pub fn encode(&self, id: i64, tag: u8) -> Vec<u8> {
        message(id, tag, &self.fields(), None)
    }

    /// As the end of a search whose results come in pages: the only one.
    pub fn last_page(&self, id: i64) -> Vec<u8> {
        let none = [ber::wrap(ber::INTEGER, &[0]), octets(b"")];
        let control = long(ber::SEQUENCE, &[octets(PAGED), octets(&long(ber::SEQUENCE, &none))]);
        message(id, tag::DONE, &self.fields(), Some(long(0xa0, &[control])))
    }

    fn fields(&self) -> Vec<Vec<u8>> {
        let mut fields = vec![ber::wrap(ENUMERATED, &[self.code]), octets(&self.matched), octets(&self.text)];
        fields.extend(self.rest.iter().cloned());
        fields
    }
}

/// The last words before hanging up.
pub fn disconnection(text: String) -> Vec<u8> {
    Ending::failure(code::PROTOCOL, text).name(DISCONNECTION).encode(0, tag::EXTENDED)
}

/// An entry without a name: what describes the server itself.
pub fn entry(id: i64, attributes: &[Attribute]) -> Vec<u8> {
    let attribute = |(name, values): &Attribute| {
        let values: Vec<_> = values.iter().map(|value| octets(value)).collect();
        long(ber::SEQUENCE, &[octets(name), long(SET, &values)])
    };
    let attributes: Vec<_> = attributes.iter().map(attribute).collect();
    message(id, tag::ENTRY, &[octets(b""), long(ber::SEQUENCE, &attributes)], None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_the_long_lengths_of_windows() {
        let bound = b"0\x84\0\0\0\x10\x02\x01\x01a\x84\0\0\0\x07\x0a\x01\0\x04\0\x04\0";
        assert_eq!(Ending::success().encode(1, tag::BIND), bound);
        let found = entry(7, &[(b"a".to_vec(), vec![b"b".to_vec()])]);
        let shown = b"0\x84\0\0\0\x23\x02\x01\x07d\x84\0\0\0\x1a\x04\0\
            0\x84\0\0\0\x12\x30\x84\0\0\0\x0c\x04\x01a1\x84\0\0\0\x03\x04\x01b";
        assert_eq!(found, shown);
        let page = Ending::success().last_page(2);
        let control = b"\xa0\x84\0\0\0\x2b\x30\x84\0\0\0\x25\x04\x161.2.840.113556.1.4.319\
            \x04\x0b\x30\x84\0\0\0\x05\x02\x01\0\x04\0";
        assert!(page.ends_with(control), "{}", page.escape_ascii());
    }
}
