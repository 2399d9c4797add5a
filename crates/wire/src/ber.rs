//! ASN.1's basic encoding rules (X.690), as far as SNMP and LDAP use them: tags of one byte, definite lengths.
//!
//! Reading goes one element at a time over an [`Input`]: nothing recurses, and what is inside an element is read
//! by giving its content to another `Input`. On a stream, an element that is not all there is a
//! [`Halt::Need`]. Writing goes from the inside out.

use std::fmt;

use haldane_core::{Halt, Input};

/// Universal tags (X.680, section 8.6) as they stand on the wire.
pub const INTEGER: u8 = 0x02;
/// A string of bytes.
pub const OCTETS: u8 = 0x04;
/// Nothing.
pub const NULL: u8 = 0x05;
/// An object identifier.
pub const OBJECT: u8 = 0x06;
/// A sequence; constructed.
pub const SEQUENCE: u8 = 0x30;

/// Bytes that say how long a length is, at most: what fits 64 bits.
const LENGTH_BYTES: u8 = 8;
/// Bits of a tag that are all set where its number goes on in further bytes.
const LONG_TAG: u8 = 0x1f;

/// Reads one element: its tag and its content.
///
/// # Errors
/// A tag of several bytes, a length that is indefinite or does not fit, an element longer than what is there.
pub fn element<'a>(input: &mut Input<'a>) -> Result<(u8, &'a [u8]), Halt> {
    let tag = input.u8()?;
    if tag & LONG_TAG == LONG_TAG {
        return Err(Halt::Malformed("BER tag of several bytes"));
    }
    let length = match input.u8()? {
        short @ 0..0x80 => usize::from(short),
        long => {
            let count = long & 0x7f;
            if !(1..=LENGTH_BYTES).contains(&count) {
                return Err(Halt::Malformed("BER length of a form not in use"));
            }
            let bytes = input.take(count.into())?;
            let length = bytes.iter().fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
            usize::try_from(length).map_err(|_| Halt::Malformed("BER length too large"))?
        }
    };
    Ok((tag, input.take(length)?))
}

/// Reads the content of an element that must have that tag.
///
/// # Errors
/// As [`element`], or another tag.
pub fn expect<'a>(input: &mut Input<'a>, tag: u8) -> Result<&'a [u8], Halt> {
    match element(input)? {
        (found, content) if found == tag => Ok(content),
        _ => Err(Halt::Malformed("another BER type expected")),
    }
}

/// Reads an element with that tag, for what is inside it to be read.
///
/// # Errors
/// As [`expect`].
pub fn enter<'a>(input: &mut Input<'a>, tag: u8) -> Result<Input<'a>, Halt> {
    expect(input, tag).map(Input::whole)
}

/// Reads a number.
///
/// # Errors
/// As [`expect`], or a number that has no bytes or does not fit.
pub fn integer(input: &mut Input<'_>) -> Result<i64, Halt> {
    number(expect(input, INTEGER)?)
}

/// The number that this content is: two's complement, 1 to 8 bytes, padded or not.
///
/// # Errors
/// Any other length.
pub fn number(content: &[u8]) -> Result<i64, Halt> {
    let Some(first) = content.first().filter(|_| content.len() <= 8) else {
        return Err(Halt::Malformed("BER number of a length not in use"));
    };
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(content.iter().fold(sign, |sum: i64, byte| (sum << 8) | i64::from(*byte)))
}

/// An object identifier, as the numbers that are encoded: the first stands for the first two arcs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// Most arcs (RFC 3416, section 4.1: 128 sub-identifiers).
    pub const LONGEST: usize = 128;

    /// The identifier that this content is. No content at all is 0.0, as agents take it.
    ///
    /// # Errors
    /// A number over 32 bits, one that does not end, or too many of them.
    pub fn decode(content: &[u8]) -> Result<Self, Halt> {
        let (mut numbers, mut number, mut ended) = (Vec::new(), 0_u32, true);
        for byte in content {
            if number >> 25 != 0 {
                return Err(Halt::Malformed("object identifier with too large a number"));
            }
            number = (number << 7) | u32::from(byte & 0x7f);
            ended = byte & 0x80 == 0;
            if ended {
                numbers.push(number);
                number = 0;
            }
        }
        match ended {
            false => Err(Halt::Malformed("object identifier that does not end")),
            true if numbers.len() >= Self::LONGEST => Err(Halt::Malformed("object identifier too long")),
            true if numbers.is_empty() => Ok(Self(vec![0])),
            true => Ok(Self(numbers)),
        }
    }

    /// Reads `1.3.6.1` or `.1.3.6.1`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('.').unwrap_or(text);
        let arcs: Vec<u32> = text.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [root, second, rest @ ..] = arcs.as_slice() else { return None };
        if *root > 2 || (*root < 2 && *second >= 40) || arcs.len() > Self::LONGEST {
            return None;
        }
        let first = root.checked_mul(40)?.checked_add(*second)?;
        Some(Self([&[first], rest].concat()))
    }

    /// The identifier with these numbers, the first standing for the first two arcs.
    pub fn of(numbers: &[u32]) -> Self {
        Self(numbers.to_vec())
    }

    /// The numbers that are encoded.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// Its content on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in &self.0 {
            for shift in [28_u32, 21, 14, 7, 0] {
                let [.., low] = (number >> shift).to_be_bytes();
                let group = low & 0x7f;
                if shift == 0 {
                    bytes.push(group);
                } else if number >> shift != 0 {
                    bytes.push(group | 0x80);
                }
            }
        }
        bytes
    }
}

impl fmt::Display for Oid {
    /// With dots: `1.3.6.1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        let root = (first / 40).min(2);
        write!(f, "{root}.{}", first.saturating_sub(root.saturating_mul(40)))?;
        rest.iter().try_for_each(|number| write!(f, ".{number}"))
    }
}

/// Writes an element around its content, with the shortest form of its length.
pub fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).unwrap_or(length.len().saturating_sub(1));
    let length = length.get(significant..).unwrap_or_default();
    let mut bytes = vec![tag];
    match length {
        [short @ 0..0x80] => bytes.push(*short),
        long => {
            bytes.push(u8::try_from(long.len()).unwrap_or(LENGTH_BYTES) | 0x80);
            bytes.extend_from_slice(long);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// Writes an element around several others.
pub fn wrap_all(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    wrap(tag, &parts.concat())
}

/// The content of a number: two's complement in as few bytes as will do.
pub fn shortest(number: i64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    // A byte may go if it only repeats the sign of the next.
    let padding = bytes.windows(2).take_while(|pair| match pair {
        [first, second] => (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0),
        _ => false,
    });
    bytes.get(padding.count()..).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<(u8, &[u8]), Halt> {
        element(&mut Input::whole(bytes))
    }

    #[test]
    fn every_form_of_a_length_that_agents_take_is_read() {
        for length in [&[2_u8][..], &[0x81, 2], &[0x82, 0, 2], &[0x88, 0, 0, 0, 0, 0, 0, 0, 2]] {
            let bytes = [&[0x04], length, b"hi", b"more"].concat();
            assert_eq!(read(&bytes), Ok((4, &b"hi"[..])), "{length:?}");
        }
        for bytes in [&b"\x04\x80hi\0\0"[..], b"\x04\x89\0\0\0\0\0\0\0\0\x02hi", b"\x04\xffhi", b"\x1f\x02hi"]
        {
            assert!(matches!(read(bytes), Err(Halt::Malformed(_))), "{bytes:?}");
        }
        assert!(read(b"\x04\x88\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn on_a_stream_an_element_says_how_much_it_needs() {
        for (bytes, need) in [(&b""[..], 1), (b"\x30", 2), (b"\x30\x05ab", 7), (b"\x30\x82\x01", 4)] {
            assert_eq!(element(&mut Input::stream(bytes)), Err(Halt::Need(need)), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_read_and_written_with_their_sign() {
        let pairs = [
            (0, &[0_u8][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (65_507, &[0, 0xff, 0xe3]),
            (i64::MAX, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
            (i64::MIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        ];
        for (value, bytes) in pairs {
            assert_eq!(number(bytes), Ok(value));
            assert_eq!(shortest(value), bytes);
        }
        assert_eq!(number(&[0, 0, 0, 1]), Ok(1));
        assert!(number(&[]).is_err() && number(&[0; 9]).is_err());
    }

    #[test]
    fn object_identifiers_survive_the_wire() {
        for text in ["0.0", "1.3", "2.999", "1.3.6.1.4.1.8072.3.2.10", "1.3.4294967295", "2.4294967215.1"] {
            let oid = Oid::parse(text).unwrap();
            assert_eq!(Oid::decode(&oid.encode()).unwrap(), oid, "{text}");
            assert_eq!(oid.to_string(), text);
        }
        assert_eq!(Oid::decode(b"\x2b\x06\x01\x80\x07").unwrap().to_string(), "1.3.6.1.7", "padded");
        assert_eq!(Oid::decode(b"").unwrap().to_string(), "0.0");
        assert_eq!(Oid::decode(&[1; 127]).unwrap().numbers().len(), 127);
        for bytes in [&b"\x2b\x81"[..], b"\x2b\xff\xff\xff\xff\x7f", &[1; 128]] {
            assert!(Oid::decode(bytes).is_err(), "{bytes:?}");
        }
        for text in ["", "1", "1.", "3.1", "1.40", "a.b", "1.3.-1", "1.3.4294967296", "2.4294967295"] {
            assert_eq!(Oid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn identifiers_are_in_the_order_of_their_arcs() {
        let order = ["0.0", "1.3.6.1.2.1.1", "1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.10", "1.3.6.1.2.2", "2.1"];
        let oids: Vec<Oid> = order.iter().map(|text| Oid::parse(text).unwrap()).collect();
        assert!(oids.is_sorted());
    }

    #[test]
    fn elements_are_written_with_the_shortest_length() {
        assert_eq!(wrap(4, b""), [4, 0]);
        assert_eq!(wrap(4, &[7; 127])[..2], [4, 127]);
        assert_eq!(wrap(4, &[7; 128])[..3], [4, 0x81, 128]);
        assert_eq!(wrap(4, &[7; 300])[..4], [4, 0x82, 1, 44]);
        assert_eq!(
            wrap_all(SEQUENCE, &[wrap(NULL, b""), wrap(INTEGER, &shortest(5))]),
            b"\x30\x05\x05\0\x02\x01\x05"
        );
    }
}
