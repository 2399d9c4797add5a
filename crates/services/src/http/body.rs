//! The body of a request, piece by piece (RFC 9112, sections 6 and 7). No more of it is ever held than is
//! evidence.

use haldane_core::{Halt, Input, Sighting, Untrusted};

use super::request::{Bad, Head, LINE, Line, Version};

/// Most bytes of a body taken at once.
const PIECE: usize = 8 * 1024;

/// What the rest of a request looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Nothing is left.
    Done,
    /// That many bytes.
    Length(u64),
    /// The size of a chunk, on a line of its own.
    Size,
    /// That many bytes of a chunk.
    Chunk(u64),
    /// The line ending behind a chunk.
    Ending,
    /// The lines behind the last chunk.
    Trailer,
}

/// A piece of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Content.
    Data(Vec<u8>),
    /// A line of the chunked coding.
    Line(Line),
}

/// A piece of a request: a line of its head, or a piece of its body.
#[derive(Debug)]
pub struct Message(pub(crate) Part);

/// What is in it.
#[derive(Debug)]
pub(crate) enum Part {
    Line(Line),
    Piece(Piece),
}

impl Message {
    /// Takes the next; `body`: how that is framed, if one has begun.
    pub(crate) fn parse(body: Option<Framing>, input: &mut Input<'_>) -> Result<Self, Halt> {
        match body {
            Some(framing) => framing.parse(input).map(|piece| Self(Part::Piece(piece))),
            None => Line::parse(input).map(|line| Self(Part::Line(line))),
        }
    }
}

/// What is kept of a body.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// Its beginning.
    pub(crate) kept: Vec<u8>,
    /// How long it is.
    size: u64,
}

impl Body {
    /// Takes a piece. Returns whether that is all of it that is kept.
    pub(crate) fn take(&mut self, data: &[u8]) -> bool {
        self.size = self.size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        let room = Untrusted::MAX.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(data.get(..room).unwrap_or(data));
        self.kept.len() >= Untrusted::MAX
    }

    /// Adds it to an event, if there is any.
    pub(crate) fn facts(&self, seen: Sighting) -> Sighting {
        match self.size {
            0 => seen,
            size => seen.with("body", self.kept.as_slice()).with("body_size", size),
        }
    }
}

impl Piece {
    /// What came.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Data(bytes) | Self::Line(Line::Whole { text: bytes, .. } | Line::Long(bytes)) => bytes,
        }
    }
}

impl Framing {
    /// How the body of this request is framed, and whether the connection must close behind it.
    ///
    /// # Errors
    /// What Apache answers with 400.
    pub(crate) fn of(head: &Head) -> Result<(Self, bool), Bad> {
        let length = head.field("Content-Length");
        let alone = head.all("Content-Length").count() < 2;
        let number = length.map(|text| {
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(text).ok().filter(|_| digits && alone)?;
            text.parse::<u64>().ok().filter(|length| i64::try_from(*length).is_ok())
        });
        if number == Some(None) {
            return Err(Bad::new("invalid Content-Length"));
        }
        match head.field("Transfer-Encoding") {
            Some(coding) => {
                let last = coding.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                match last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    true => Ok((Self::Size, length.is_some() || head.version < Version::OneOne)),
                    false => Err(Bad::new("unknown Transfer-Encoding")),
                }
            }
            None => match number.flatten() {
                None | Some(0) => Ok((Self::Done, false)),
                Some(length) => Ok((Self::Length(length), false)),
            },
        }
    }

    /// Takes the next piece.
    pub(crate) fn parse(self, input: &mut Input<'_>) -> Result<Piece, Halt> {
        match self {
            Self::Length(left) | Self::Chunk(left) => {
                let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
                let here = input.rest().len().clamp(1, most.max(1));
                input.take(here).map(|data| Piece::Data(data.to_vec()))
            }
            Self::Done | Self::Size | Self::Ending | Self::Trailer => Line::parse(input).map(Piece::Line),
        }
    }

    /// What follows that piece. See [`Self::after_line`].
    pub(crate) fn after(self, piece: &Piece, strict: bool) -> Result<Self, u16> {
        match piece {
            Piece::Data(data) => Ok(self.after_data(data.len())),
            Piece::Line(line) => self.after_line(line, strict),
        }
    }

    /// What follows that much content.
    pub(crate) fn after_data(self, taken: usize) -> Self {
        let less = |left: u64| left.saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
        match self {
            Self::Length(left) if less(left) == 0 => Self::Done,
            Self::Length(left) => Self::Length(less(left)),
            Self::Chunk(left) if less(left) == 0 => Self::Ending,
            Self::Chunk(left) => Self::Chunk(less(left)),
            other => other,
        }
    }

    /// What follows that line of the chunked coding; `strict`: no line may end with a line feed alone.
    ///
    /// # Errors
    /// The status that Apache answers with.
    pub(crate) fn after_line(self, line: &Line, strict: bool) -> Result<Self, u16> {
        let Line::Whole { text, bare } = line else { return Err(400) };
        match self {
            _ if *bare && strict => Err(400),
            Self::Ending if text.is_empty() => Ok(Self::Size),
            Self::Trailer if text.is_empty() => Ok(Self::Done),
            Self::Trailer if text.len() <= LINE => Ok(Self::Trailer),
            Self::Size => match chunk_size(text)? {
                0 => Ok(Self::Trailer),
                size => Ok(Self::Chunk(size)),
            },
            _ => Err(400),
        }
    }
}

/// RFC 9112, section 7.1. Overflow is 413, all else that is no number 400.
fn chunk_size(line: &[u8]) -> Result<u64, u16> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    let (digits, rest) = line.split_at_checked(end).unwrap_or_default();
    let rest = rest.trim_ascii_start();
    let control = rest.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f);
    if digits.is_empty() || control || !(rest.is_empty() || rest.starts_with(b";")) {
        return Err(400);
    }
    let digits = std::str::from_utf8(digits).unwrap_or_default();
    u64::from_str_radix(digits, 16).ok().filter(|size| i64::try_from(*size).is_ok()).ok_or(413)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[&str]) -> Head {
        let mut head = Head::parse(b"POST / HTTP/1.1").unwrap();
        fields.iter().for_each(|field| head.add(field.as_bytes()).unwrap());
        head
    }

    #[test]
    fn a_length_that_is_no_number_or_contradicts_itself_is_refused() {
        for fields in [
            &["Content-Length: abc"][..],
            &["Content-Length: -1"],
            &["Content-Length: +1"],
            &["Content-Length: 1", "Content-Length: 2"],
            &["Content-Length: 1", "Content-Length: 1"],
            &["Content-Length: 99999999999999999999"],
            &["Transfer-Encoding: gzip"],
            &["Transfer-Encoding: chunked, gzip"],
        ] {
            assert!(Framing::of(&head(fields)).is_err(), "{fields:?}");
        }
        let both = head(&["Content-Length: 5", "Transfer-Encoding: chunked"]);
        assert_eq!(Framing::of(&both), Ok((Framing::Size, true)));
    }

    #[test]
    fn chunk_sizes_are_hexadecimal_and_bounded() {
        assert_eq!(chunk_size(b"1aF"), Ok(0x1af));
        assert_eq!(chunk_size(b"5 ;name=value"), Ok(5));
        assert_eq!(chunk_size(b"5;\x01"), Err(400));
        assert_eq!(chunk_size(b"ZZ"), Err(400));
        assert_eq!(chunk_size(b"-5"), Err(400));
        assert_eq!(chunk_size(b"0x5"), Err(400));
        assert_eq!(chunk_size(b"ffffffffffffffffffff"), Err(413));
    }
}
