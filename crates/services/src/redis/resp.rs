//! The grammar of requests: arrays of bulk strings, and lines of words.
//!
//! Line endings are looked for as Redis does it: with `strchr`, so that a NUL byte hides them, and up to
//! PROTO_INLINE_MAX_SIZE bytes.

use std::borrow::Cow;

use haldane_core::{Halt, Input, Untrusted};

/// Longest line without an ending (PROTO_INLINE_MAX_SIZE).
pub(super) const LINE: usize = 64 * 1024;
/// Arguments up to this length are awaited whole, longer ones are consumed in pieces.
const WHOLE: u64 = 4096;
/// Longest argument (`proto-max-bulk-len`).
const LONGEST: i64 = 512 * 1024 * 1024;
/// How much of one command is kept, in bytes and in words.
const KEPT: usize = 64 * 1024;
const WORDS: usize = 1024;

/// One step of the conversation.
#[derive(Debug, PartialEq, Eq)]
pub enum Message {
    /// An empty line, an empty array.
    Nothing,
    /// A line of words.
    Inline(Vec<u8>),
    /// An array of that many words begins.
    Begin(usize),
    /// A word of it, or a piece of one.
    Bulk(Piece),
    /// A line with a NUL byte, and all that follows it: no answer, ever.
    Unheard(Vec<u8>),
    /// Hung up on, with a word, and the bytes.
    Broken(Broken, Vec<u8>),
}

/// A word of an array, or a piece of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    /// What is kept of it.
    pub(super) bytes: Vec<u8>,
    /// How many bytes of this word, line ending included, are still to come.
    pub(super) left: u64,
    /// Whether a word begins here.
    pub(super) first: bool,
}

/// Why the server hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// No line ending within [`LINE`] bytes.
    InlineLength,
    /// The same, in the count of an array.
    CountLength,
    /// The same, in the length of a word.
    BulkLength,
    /// A quotation that does not end, or ends within a word.
    Quotes,
    /// Not a count.
    Count,
    /// A count that only an authenticated client may send.
    UnauthenticatedCount,
    /// Not a length.
    Length,
    /// A length that only an authenticated client may send.
    UnauthenticatedLength,
    /// A word that does not begin with a dollar sign.
    Dollar(u8),
}

impl Broken {
    /// What the server says after "Protocol error: ".
    pub(super) fn text(self) -> Cow<'static, [u8]> {
        let text: &'static [u8] = match self {
            Self::InlineLength => b"too big inline request",
            Self::CountLength => b"too big mbulk count string",
            Self::BulkLength => b"too big bulk count string",
            Self::Quotes => b"unbalanced quotes in request",
            Self::Count => b"invalid multibulk length",
            Self::UnauthenticatedCount => b"unauthenticated multibulk length",
            Self::Length => b"invalid bulk length",
            Self::UnauthenticatedLength => b"unauthenticated bulk length",
            Self::Dollar(got) => {
                let got = if matches!(got, b'\r' | b'\n') { b' ' } else { got };
                return [b"expected '$', got '".as_slice(), &[got], b"'"].concat().into();
            }
        };
        text.into()
    }
}

/// How much a client that has not authenticated may send; `None` before CVE-2021-32675 was fixed.
pub(super) type Unauthenticated = Option<(i64, i64)>;

/// The first message of a command.
pub(super) fn begin(input: &mut Input<'_>, limits: Unauthenticated) -> Result<Message, Halt> {
    if input.peek()? != b'*' {
        return line(input);
    }
    let header = match header(input, Broken::CountLength)? {
        Ok(header) => header,
        Err(message) => return Ok(message),
    };
    let broken = |why| Ok(Message::Broken(why, header.to_vec()));
    match integer(header.get(1..).unwrap_or_default()) {
        Some(count) if count <= 0 => Ok(Message::Nothing),
        Some(count) if count > i64::from(i32::MAX) => broken(Broken::Count),
        Some(count) if limits.is_some_and(|(most, _)| count > most) => broken(Broken::UnauthenticatedCount),
        Some(count) if limits.is_none() && count > 1024 * 1024 => broken(Broken::Count),
        Some(count) => Ok(Message::Begin(usize::try_from(count).unwrap_or_default())),
        None => broken(Broken::Count),
    }
}

/// A line of words, up to its line feed.
fn line(input: &mut Input<'_>) -> Result<Message, Halt> {
    let rest = input.rest();
    let seen = rest.get(..=LINE).unwrap_or(rest);
    match seen.iter().position(|byte| matches!(byte, b'\n' | 0)) {
        Some(end) if seen.get(end) == Some(&0) => unheard(input),
        Some(end) => {
            let line = input.take(end)?;
            input.take(1)?;
            match line.strip_suffix(b"\r").unwrap_or(line) {
                [] => Ok(Message::Nothing),
                line => Ok(Message::Inline(line.to_vec())),
            }
        }
        None => too_long(input, Broken::InlineLength),
    }
}

/// A header (`*3`, `$5`) without its line ending, or what to say instead.
fn header<'a>(input: &mut Input<'a>, long: Broken) -> Result<Result<&'a [u8], Message>, Halt> {
    let rest = input.rest();
    let seen = rest.get(..=LINE).unwrap_or(rest);
    match seen.iter().position(|byte| matches!(byte, b'\r' | 0)) {
        Some(end) if seen.get(end) == Some(&0) => unheard(input).map(Err),
        Some(end) => {
            let line = input.take(end)?;
            input.take(2)?;
            Ok(Ok(line))
        }
        None => too_long(input, long).map(Err),
    }
}

/// No line ending yet: more is needed, or the line is too long.
fn too_long(input: &mut Input<'_>, long: Broken) -> Result<Message, Halt> {
    let excerpt = input.rest().get(..Untrusted::MAX).unwrap_or_default().to_vec();
    input.take(LINE.saturating_add(1)).map_err(|_| Halt::Need(input.rest().len().saturating_add(1)))?;
    Ok(Message::Broken(long, excerpt))
}

/// What a server that waits for a C string's end never hears, line by line or in blocks.
pub(super) fn unheard(input: &mut Input<'_>) -> Result<Message, Halt> {
    let rest = input.rest();
    let block = rest.get(..Untrusted::MAX);
    match rest.iter().take(Untrusted::MAX).position(|byte| *byte == b'\n') {
        Some(end) => Ok(Message::Unheard(input.take(end.saturating_add(1))?.to_vec())),
        None if block.is_some() => Ok(Message::Unheard(input.take(Untrusted::MAX)?.to_vec())),
        None => Err(Halt::Need(rest.len().saturating_add(1))),
    }
}

/// A decimal number as `string2ll` takes it: no blanks, no plus sign, no leading zeros.
pub(super) fn integer(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        b"0" if digits.len() == text.len() => Some(0),
        [b'1'..=b'9', ..] => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// An array being received.
#[derive(Debug)]
pub(super) struct Multibulk {
    /// Words that came whole, and the one that is coming; bounded in number and size.
    pub(super) words: Vec<Vec<u8>>,
    /// Words that came and were not kept.
    pub(super) dropped: usize,
    /// Words that have not begun.
    expected: usize,
    /// Bytes of the last word, line ending included, that are still to come.
    left: u64,
    /// Bytes that may still be kept.
    room: usize,
}

impl Multibulk {
    /// An array of that many words.
    pub(super) fn new(expected: usize) -> Self {
        let words = Vec::with_capacity(expected.min(4));
        Self { words, dropped: 0, expected, left: 0, room: KEPT }
    }

    /// The command's name in upper case; empty if it did not come.
    pub(super) fn name(&self) -> Vec<u8> {
        self.words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default()
    }

    /// The next word or piece of one.
    pub(super) fn next(&self, input: &mut Input<'_>, limits: Unauthenticated) -> Result<Message, Halt> {
        if self.left > 0 {
            return piece(input, self.left, false);
        }
        let header = match header(input, Broken::BulkLength)? {
            Ok(header) => header,
            Err(message) => return Ok(message),
        };
        let broken = |why| Ok(Message::Broken(why, header.to_vec()));
        let length = match header.split_first() {
            Some((b'$', length)) => integer(length),
            Some((other, _)) => return broken(Broken::Dollar(*other)),
            None => return broken(Broken::Dollar(b'\r')),
        };
        let length = match length.and_then(|length| u64::try_from(length).ok().zip(Some(length))) {
            Some((_, length)) if length > LONGEST => return broken(Broken::Length),
            Some((_, length)) if limits.is_some_and(|(_, most)| length > most) => {
                return broken(Broken::UnauthenticatedLength);
            }
            Some((length, _)) => length,
            None => return broken(Broken::Length),
        };
        match length <= WHOLE {
            true => {
                let bytes = input.take(usize::try_from(length).unwrap_or_default())?.to_vec();
                input.take(2)?;
                Ok(Message::Bulk(Piece { bytes, left: 0, first: true }))
            }
            false => {
                Ok(Message::Bulk(Piece { bytes: Vec::new(), left: length.saturating_add(2), first: true }))
            }
        }
    }

    /// Adds a word or a piece of one. Whether the array is complete.
    pub(super) fn add(&mut self, piece: Piece) -> bool {
        self.left = piece.left;
        if piece.first {
            self.expected = self.expected.saturating_sub(1);
            match self.words.len() < WORDS {
                true => self.words.push(Vec::new()),
                false => self.dropped = self.dropped.saturating_add(1),
            }
        }
        if self.dropped == 0 {
            self.keep(&piece.bytes);
        }
        self.expected == 0 && self.left == 0
    }

    /// Adds what was left unfinished: the beginning of a word, or of its header.
    pub(super) fn leave(&mut self, left: &[u8]) {
        if self.left == 0 && self.words.len() < WORDS && !left.is_empty() {
            let body =
                left.iter().position(|byte| *byte == b'\n').and_then(|end| left.get(end.saturating_add(1)..));
            self.words.push(Vec::new());
            self.keep(body.filter(|_| left.first() == Some(&b'$')).unwrap_or(left));
            return;
        }
        self.keep(left);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let Some(word) = self.words.last_mut() else { return };
        let room = self.room.min(Untrusted::MAX.saturating_sub(word.len()));
        let kept = bytes.get(..room).unwrap_or(bytes);
        if word.is_empty() {
            word.reserve_exact(kept.len());
        }
        word.extend_from_slice(kept);
        self.room = self.room.saturating_sub(kept.len());
    }
}

/// As much of a long word as is there. The two bytes after it are not looked at, as Redis does it.
fn piece(input: &mut Input<'_>, left: u64, first: bool) -> Result<Message, Halt> {
    input.peek()?;
    let there = input.rest().len().min(usize::try_from(left).unwrap_or(usize::MAX));
    let bytes = input.take(there)?;
    let text = usize::try_from(left.saturating_sub(2)).unwrap_or(usize::MAX);
    let bytes = bytes.get(..text).unwrap_or(bytes).to_vec();
    let left = left.saturating_sub(u64::try_from(there).unwrap_or(left));
    Ok(Message::Bulk(Piece { bytes, left, first }))
}

/// Splits a line into words as `sdssplitargs` does: blanks between them, `"…"` with escapes, `'…'` with `\'`.
/// `None` if a quotation does not end, or is not followed by a blank.
pub(super) fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest {
            if !is_blank(*first) {
                break;
            }
            rest = tail;
        }
        match rest.first() {
            None | Some(0) => return Some(words),
            Some(_) => {
                let (word, tail) = word(rest)?;
                words.push(word);
                rest = tail;
            }
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// One word and what follows it.
fn word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match rest {
            [b'"', tail @ ..] => rest = ended(double_quoted(tail, &mut word)?)?,
            [b'\'', tail @ ..] => rest = ended(single_quoted(tail, &mut word)?)?,
            [byte, tail @ ..] if !is_blank(*byte) && *byte != 0 => {
                word.push(*byte);
                rest = tail;
                continue;
            }
            _ => return Some((word, rest)),
        }
        return Some((word, rest));
    }
}

/// What follows a quotation, if a blank or nothing does.
fn ended(rest: &[u8]) -> Option<&[u8]> {
    rest.first().is_none_or(|byte| is_blank(*byte)).then_some(rest)
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                word.push(std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok())?);
                rest = tail;
            }
            [b'\\', escaped, tail @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = tail;
            }
            [b'"', tail @ ..] => return Some(tail),
            [byte, tail @ ..] if *byte != 0 => {
                word.push(*byte);
                rest = tail;
            }
            _ => return None,
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'\\', b'\'', tail @ ..] => {
                word.push(b'\'');
                rest = tail;
            }
            [b'\'', tail @ ..] => return Some(tail),
            [byte, tail @ ..] if *byte != 0 => {
                word.push(*byte);
                rest = tail;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Unauthenticated = Some((10, 16_384));

    fn read(bytes: &[u8]) -> (Result<Message, Halt>, usize) {
        let mut input = Input::stream(bytes);
        (begin(&mut input, LIMITS), input.consumed())
    }

    #[test]
    fn a_line_may_be_64_kib_long_and_no_longer() {
        let line = vec![b'A'; LINE];
        assert_eq!(read(&line).0, Err(Halt::Need(LINE + 1)));
        let whole = [line.as_slice(), b"\n"].concat();
        assert_eq!(read(&whole), (Ok(Message::Inline(line.clone())), LINE + 1));
        let long = vec![b'A'; LINE + 1];
        assert!(matches!(read(&long).0, Ok(Message::Broken(Broken::InlineLength, _))));
    }

    #[test]
    fn headers_without_an_end_are_bounded_too() {
        let count = [b"*".as_slice(), &vec![b'1'; LINE]].concat();
        assert!(matches!(read(&count).0, Ok(Message::Broken(Broken::CountLength, _))));
        let length = [b"$".as_slice(), &vec![b'1'; LINE]].concat();
        let next = Multibulk::new(1).next(&mut Input::stream(&length), LIMITS);
        assert!(matches!(next, Ok(Message::Broken(Broken::BulkLength, _))));
    }

    #[test]
    fn long_words_are_consumed_in_pieces_and_kept_up_to_a_bound() {
        let mut reading = Multibulk::new(2);
        let text = vec![b'x'; 100_000];
        let bytes = [b"$3\r\nSET\r\n$100000\r\n".as_slice(), &text, b"\r\n"].concat();
        let mut rest = bytes.as_slice();
        let mut complete = false;
        while !rest.is_empty() {
            assert!(!complete);
            let mut input = Input::stream(rest.get(..1500).unwrap_or(rest));
            let Ok(Message::Bulk(piece)) = reading.next(&mut input, None) else { panic!("not a piece") };
            complete = reading.add(piece);
            rest = &rest[input.consumed()..];
        }
        assert!(complete);
        assert_eq!(reading.words, [b"SET".to_vec(), vec![b'x'; Untrusted::MAX]]);
    }

    #[test]
    fn one_command_keeps_no_more_than_its_room() {
        let mut reading = Multibulk::new(5000);
        for _ in 0..5000 {
            reading.add(Piece { bytes: vec![b'x'; 4000], left: 0, first: true });
        }
        assert_eq!(reading.words.iter().map(Vec::len).sum::<usize>(), KEPT);
        assert_eq!(reading.words.len() + reading.dropped, 5000);
    }

    #[test]
    fn lines_are_split_as_redis_splits_them() {
        let split = |text: &str| split(text.as_bytes());
        let words =
            |words: &[&str]| Some(words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        assert_eq!(split("  a\t'b c' \"d\\x41\\n\" "), words(&["a", "b c", "dA\n"]));
        assert_eq!(split("a'b c'"), words(&["ab c"]));
        assert_eq!(split(r"'it\'s' \x41"), words(&["it's", r"\x41"]));
        assert_eq!(split("\"\" ''"), words(&["", ""]));
        assert_eq!(split("'a'b"), None);
        assert_eq!(split("\"a"), None);
    }

    #[test]
    fn numbers_have_one_spelling() {
        assert_eq!(integer(b"0"), Some(0));
        assert_eq!(integer(b"-1"), Some(-1));
        for wrong in ["", "-", "+1", "01", " 1", "1 ", "-0", "99999999999999999999"] {
            assert_eq!(integer(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
