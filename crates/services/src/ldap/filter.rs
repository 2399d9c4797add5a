//! Filters of searches (RFC 4511, section 4.5.1.7), written as people write them (RFC 4515).
//!
//! They nest, and whoever sends them chooses how deep: they are read with a stack of bounded height instead of
//! recursion.

use haldane_core::{Halt, Input, Untrusted};
use haldane_wire::ber;

/// How deep filters may nest.
const DEEPEST: usize = 100;
/// Most comparisons that are remembered beside the text.
const MOST: usize = 16;
/// Most bytes of text: what an event keeps of it.
const LONGEST: usize = Untrusted::MAX;

/// Tags of filters.
mod tag {
    pub(super) const AND: u8 = 0xa0;
    pub(super) const OR: u8 = 0xa1;
    pub(super) const NOT: u8 = 0xa2;
    pub(super) const EQUAL: u8 = 0xa3;
    pub(super) const SUBSTRINGS: u8 = 0xa4;
    pub(super) const AT_LEAST: u8 = 0xa5;
    pub(super) const AT_MOST: u8 = 0xa6;
    pub(super) const PRESENT: u8 = 0x87;
    pub(super) const APPROXIMATE: u8 = 0xa8;
    pub(super) const MATCHES: u8 = 0xa9;
}

/// A filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// As in `(&(objectClass=user)(cn=a*))`.
    pub text: String,
    /// What is compared for equality, wherever it stands: attribute and value.
    pub equal: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is none, and what nests too deep.
    pub fn read(input: &mut Input<'_>) -> Result<Self, Halt> {
        let mut filter = Self::default();
        // What is left of each set that is open.
        let mut open: Vec<Input<'_>> = Vec::new();
        let mut next = Some(ber::element(input)?);
        loop {
            if let Some((tag, content)) = next.take() {
                match tag {
                    tag::AND | tag::OR | tag::NOT => {
                        if open.len() >= DEEPEST {
                            return Err(Halt::Malformed("filter that nests too deep"));
                        }
                        filter.add(match tag {
                            tag::AND => "(&",
                            tag::OR => "(|",
                            _ => "(!",
                        });
                        open.push(Input::whole(content));
                    }
                    _ => filter.item(tag, content)?,
                }
            }
            match open.last_mut() {
                None => return Ok(filter),
                Some(set) if set.is_empty() => {
                    filter.add(")");
                    open.pop();
                }
                Some(set) => next = Some(ber::element(set)?),
            }
        }
    }

    /// Whether it asks for nothing but that an attribute of that name is there.
    pub fn is_present(&self, attribute: &str) -> bool {
        let name = self.text.strip_prefix('(').and_then(|text| text.strip_suffix("=*)"));
        name.is_some_and(|name| name.eq_ignore_ascii_case(attribute))
    }

    /// The value that an attribute is compared with.
    pub fn value(&self, attribute: &str) -> Option<&[u8]> {
        let found = self.equal.iter().find(|(name, _)| name.eq_ignore_ascii_case(attribute.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    }

    fn item(&mut self, tag: u8, content: &[u8]) -> Result<(), Halt> {
        let mut fields = Input::whole(content);
        self.add("(");
        match tag {
            tag::PRESENT => {
                self.value_text(content);
                self.add("=*");
            }
            tag::SUBSTRINGS => {
                self.value_text(ber::expect(&mut fields, ber::OCTETS)?);
                self.add("=");
                let mut parts = ber::enter(&mut fields, ber::SEQUENCE)?;
                let mut last = 0;
                while !parts.is_empty() {
                    let (kind, part) = ber::element(&mut parts)?;
                    if kind != 0x80 {
                        self.add("*");
                    }
                    self.value_text(part);
                    last = kind;
                }
                if last != 0x82 {
                    self.add("*");
                }
            }
            tag::MATCHES => self.rule(&mut fields)?,
            tag::EQUAL | tag::AT_LEAST | tag::AT_MOST | tag::APPROXIMATE => {
                let name = ber::expect(&mut fields, ber::OCTETS)?;
                let value = ber::expect(&mut fields, ber::OCTETS)?;
                self.value_text(name);
                self.add(match tag {
                    tag::EQUAL => "=",
                    tag::AT_LEAST => ">=",
                    tag::AT_MOST => "<=",
                    _ => "~=",
                });
                self.value_text(value);
                if tag == tag::EQUAL && self.equal.len() < MOST {
                    self.equal.push((name.to_vec(), value.to_vec()));
                }
            }
            _ => return Err(Halt::Malformed("unknown filter")),
        }
        self.add(")");
        Ok(())
    }

    /// An extensible match, as in `(member:dn:1.2.840.113556.1.4.1941:=cn=a)`.
    fn rule(&mut self, fields: &mut Input<'_>) -> Result<(), Halt> {
        let (mut rule, mut name, mut value, mut dn) = (&b""[..], &b""[..], &b""[..], false);
        while !fields.is_empty() {
            match ber::element(fields)? {
                (0x81, content) => rule = content,
                (0x82, content) => name = content,
                (0x83, content) => value = content,
                (0x84, content) => dn = content.iter().any(|byte| *byte != 0),
                _ => return Err(Halt::Malformed("unknown part of a matching rule")),
            }
        }
        self.value_text(name);
        if dn {
            self.add(":dn");
        }
        if !rule.is_empty() {
            self.add(":");
            self.value_text(rule);
        }
        self.add(":=");
        self.value_text(value);
        Ok(())
    }

    fn add(&mut self, text: &str) {
        if self.text.len() < LONGEST {
            self.text.push_str(text);
        }
    }

    /// Adds a value, escaped (RFC 4515, section 3); bytes that are no text, too.
    fn value_text(&mut self, value: &[u8]) {
        for chunk in value.utf8_chunks() {
            for c in chunk.valid().chars() {
                let special = matches!(c, '(' | ')' | '*' | '\\') || c.is_control();
                if special { self.escaped(c.encode_utf8(&mut [0; 4]).as_bytes()) } else { self.char(c) }
            }
            self.escaped(chunk.invalid());
        }
    }

    fn char(&mut self, c: char) {
        self.add(c.encode_utf8(&mut [0; 4]));
    }

    fn escaped(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.add(&format!("\\{byte:02x}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> Result<String, Halt> {
        Filter::read(&mut Input::whole(bytes)).map(|filter| filter.text)
    }

    fn octets(value: &[u8]) -> Vec<u8> {
        ber::wrap(ber::OCTETS, value)
    }

    fn compare(tag: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
        ber::wrap_all(tag, &[octets(name), octets(value)])
    }

    #[test]
    fn every_kind_of_filter_is_written_as_people_write_it() {
        let sub = |parts: &[(u8, &[u8])]| {
            let parts: Vec<_> = parts.iter().map(|(tag, part)| ber::wrap(*tag, part)).collect();
            ber::wrap_all(0xa4, &[octets(b"cn"), ber::wrap_all(ber::SEQUENCE, &parts)])
        };
        let rule = [
            ber::wrap(0x81, b"1.2.840.113556.1.4.803"),
            ber::wrap(0x82, b"userAccountControl"),
            ber::wrap(0x83, b"2"),
            ber::wrap(0x84, b"\xff"),
        ];
        for (bytes, shown) in [
            (ber::wrap(0x87, b"objectClass"), "(objectClass=*)"),
            (compare(0xa3, b"cn", b"a(b*c)\\\0\xff"), r"(cn=a\28b\2ac\29\5c\00\ff)"),
            (compare(0xa5, b"n", b"1"), "(n>=1)"),
            (compare(0xa6, b"n", b"1"), "(n<=1)"),
            (compare(0xa8, b"n", b"1"), "(n~=1)"),
            (sub(&[(0x80, b"a"), (0x81, b"b"), (0x82, b"c")]), "(cn=a*b*c)"),
            (sub(&[(0x81, b"b")]), "(cn=*b*)"),
            (sub(&[(0x80, b"a")]), "(cn=a*)"),
            (ber::wrap_all(0xa9, &rule), "(userAccountControl:dn:1.2.840.113556.1.4.803:=2)"),
            (
                ber::wrap_all(
                    0xa0,
                    &[ber::wrap(0x87, b"a"), ber::wrap_all(0xa2, &[compare(0xa3, b"b", b"c")])],
                ),
                "(&(a=*)(!(b=c)))",
            ),
            (ber::wrap(0xa1, b""), "(|)"),
        ] {
            assert_eq!(text(&bytes).unwrap(), shown);
        }
        assert!(text(&ber::wrap(0xaa, b"")).is_err());
    }

    #[test]
    fn filters_that_nest_deeply_are_refused_and_large_ones_are_cut() {
        let nested = |depth| (0..depth).fold(ber::wrap(0x87, b"a"), |inner, _| ber::wrap(0xa2, &inner));
        assert_eq!(text(&nested(3)).unwrap(), "(!(!(!(a=*))))");
        assert!(text(&nested(DEEPEST)).is_ok());
        assert!(text(&nested(DEEPEST + 1)).is_err());
        assert!(text(&nested(15_000)).is_err());
        let wide = ber::wrap(0xa1, &compare(0xa3, b"cn", &[0; 100]).repeat(500));
        let filter = Filter::read(&mut Input::whole(&wide)).unwrap();
        assert!(filter.text.len() <= LONGEST + 4 && filter.equal.len() == MOST);
    }
}
