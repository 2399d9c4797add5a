//! BSON (bsonspec.org, version 1.1): a reader over bytes that an attacker chose, and a writer.
//!
//! Documents are read element by element; what is nested is another slice, read only if somebody asks. Nothing
//! recurses.

use haldane_core::{Halt, Input};

/// Levels of nesting that are shown; mongod refuses documents deeper than 180 (`BSONDepth`).
const DEEPEST: usize = 100;
/// Bytes of a document that are shown.
const SHOWN: usize = 4096;

/// The value of an element. What nobody asks for is only bounded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Double(f64),
    Text(&'a [u8]),
    Document(&'a [u8]),
    Array(&'a [u8]),
    Binary(&'a [u8]),
    Bool(bool),
    Int(i64),
    Null,
    Other(u8, &'a [u8]),
}

/// One element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Element<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

/// Takes a document off the front: its elements, without length and end.
pub(super) fn document<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let length = usize::try_from(input.u32_le()?).unwrap_or(usize::MAX);
    let elements = length.checked_sub(5).ok_or(Halt::Malformed("BSON document too short"))?;
    let content = input.take(elements)?;
    match input.u8()? {
        0 => Ok(content),
        _ => Err(Halt::Malformed("BSON document without an end")),
    }
}

/// The elements of a document.
pub(super) fn elements(document: &[u8]) -> Elements<'_> {
    Elements { input: Input::whole(document) }
}

/// The value of that name, the first if there are several.
pub(super) fn find<'a>(document: &'a [u8], name: &str) -> Option<Value<'a>> {
    elements(document).flatten().find(|element| element.name == name.as_bytes()).map(|element| element.value)
}

/// See [`elements`]. Ends after the first that is broken.
#[derive(Debug)]
pub(super) struct Elements<'a> {
    input: Input<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Halt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.input.is_empty() {
            return None;
        }
        let element = element(&mut self.input);
        if element.is_err() {
            self.input.take_rest();
        }
        Some(element)
    }
}

fn element<'a>(input: &mut Input<'a>) -> Result<Element<'a>, Halt> {
    let kind = input.u8()?;
    let name = text_to_nul(input)?;
    let number = |bytes: [u8; 8]| i64::from_le_bytes(bytes);
    let value = match kind {
        0x01 => Value::Double(f64::from_le_bytes(input.array()?)),
        0x02 => Value::Text(string(input)?),
        0x03 => Value::Document(document(input)?),
        0x04 => Value::Array(document(input)?),
        0x05 => {
            let length = usize::try_from(input.u32_le()?).unwrap_or(usize::MAX);
            input.u8()?;
            Value::Binary(input.take(length)?)
        }
        0x06 | 0x0a | 0x7f | 0xff => Value::Null,
        0x08 => Value::Bool(input.u8()? != 0),
        0x10 => Value::Int(i32::from_le_bytes(input.array()?).into()),
        0x12 => Value::Int(number(input.array()?)),
        0x07 => Value::Other(kind, input.take(12)?),
        0x09 | 0x11 => Value::Other(kind, input.take(8)?),
        0x13 => Value::Other(kind, input.take(16)?),
        0x0b => {
            let pattern = text_to_nul(input)?;
            text_to_nul(input)?;
            Value::Other(kind, pattern)
        }
        0x0c => {
            let name = string(input)?;
            input.take(12)?;
            Value::Other(kind, name)
        }
        0x0d | 0x0e => Value::Text(string(input)?),
        0x0f => {
            let length = usize::try_from(input.u32_le()?).unwrap_or(usize::MAX);
            Value::Other(kind, input.take(length.saturating_sub(4))?)
        }
        _ => return Err(Halt::Malformed("BSON type that does not exist")),
    };
    Ok(Element { name, value })
}

/// Up to a NUL, which is taken.
pub(super) fn text_to_nul<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let length = input.rest().len();
    input.until(0, length)
}

fn string<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let length = usize::try_from(input.u32_le()?).unwrap_or(usize::MAX);
    let text = input.take(length.checked_sub(1).ok_or(Halt::Malformed("BSON string too short"))?)?;
    match input.u8()? {
        0 => Ok(text),
        _ => Err(Halt::Malformed("BSON string without an end")),
    }
}

/// Where the elements of a document are to be whole, whatever its depth.
pub(super) fn check(document: &[u8]) -> Result<(), Halt> {
    let mut open = vec![elements(document)];
    while let Some(innermost) = open.last_mut() {
        match innermost.next() {
            None => _ = open.pop(),
            Some(Err(halt)) => return Err(halt),
            Some(Ok(Element { value: Value::Document(inner) | Value::Array(inner), .. })) => {
                if open.len() >= DEEPEST {
                    return Err(Halt::Malformed("BSON nested too deeply"));
                }
                open.push(elements(inner));
            }
            Some(Ok(_)) => {}
        }
    }
    Ok(())
}

/// A document as text that resembles JSON; what is long is cut.
pub(super) fn shown(document: &[u8]) -> Vec<u8> {
    let mut text = b"{".to_vec();
    let mut open = vec![(elements(document), false)];
    let mut first = true;
    while let Some((innermost, array)) = open.last_mut() {
        if text.len() > SHOWN {
            text.extend_from_slice("…".as_bytes());
            break;
        }
        let Some(Ok(Element { name, value })) = innermost.next() else {
            text.push(if *array { b']' } else { b'}' });
            open.pop();
            first = false;
            continue;
        };
        if !first {
            text.extend_from_slice(b", ");
        }
        first = false;
        if !*array {
            quoted(name, &mut text);
            text.extend_from_slice(b": ");
        }
        match value {
            Value::Document(inner) | Value::Array(inner) if open.len() < DEEPEST => {
                let array = matches!(value, Value::Array(_));
                text.push(if array { b'[' } else { b'{' });
                open.push((elements(inner), array));
                first = true;
            }
            simple => scalar(simple, &mut text),
        }
    }
    text
}

fn scalar(value: Value<'_>, text: &mut Vec<u8>) {
    match value {
        Value::Double(number) => text.extend_from_slice(format!("{number:?}").as_bytes()),
        Value::Int(number) => text.extend_from_slice(number.to_string().as_bytes()),
        Value::Bool(flag) => text.extend_from_slice(flag.to_string().as_bytes()),
        Value::Text(part) => quoted(part, text),
        Value::Null => text.extend_from_slice(b"null"),
        Value::Binary(bytes) | Value::Document(bytes) | Value::Array(bytes) | Value::Other(_, bytes) => {
            text.push(b'"');
            let head = bytes.get(..64).unwrap_or(bytes);
            head.iter().for_each(|byte| text.extend_from_slice(format!("{byte:02x}").as_bytes()));
            text.push(b'"');
        }
    }
}

fn quoted(part: &[u8], text: &mut Vec<u8>) {
    text.push(b'"');
    for byte in part.get(..1024).unwrap_or(part) {
        if matches!(byte, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*byte);
    }
    text.push(b'"');
}

/// A document under construction.
#[derive(Debug, Default, Clone)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    fn element(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(0);
        self.0.extend_from_slice(value);
        self
    }

    pub(super) fn double(self, name: &str, value: f64) -> Self {
        self.element(0x01, name, &value.to_le_bytes())
    }

    pub(super) fn text(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let bytes = [&length(value.len().saturating_add(1))[..], value, &[0]].concat();
        self.element(0x02, name, &bytes)
    }

    pub(super) fn document(self, name: &str, inner: Self) -> Self {
        self.element(0x03, name, &inner.finish())
    }

    /// An array of texts.
    pub(super) fn texts(self, name: &str, values: &[&str]) -> Self {
        let add = |array: Self, (at, value): (usize, &&str)| array.text(&at.to_string(), value);
        let array = values.iter().enumerate().fold(Self::default(), add);
        self.element(0x04, name, &array.finish())
    }

    /// An array of numbers.
    pub(super) fn ints(self, name: &str, values: &[i32]) -> Self {
        let add = |array: Self, (at, value): (usize, &i32)| array.int(&at.to_string(), *value);
        let array = values.iter().enumerate().fold(Self::default(), add);
        self.element(0x04, name, &array.finish())
    }

    pub(super) fn binary(self, name: &str, value: &[u8]) -> Self {
        let bytes = [&length(value.len())[..], &[0], value].concat();
        self.element(0x05, name, &bytes)
    }

    pub(super) fn object_id(self, name: &str, value: [u8; 12]) -> Self {
        self.element(0x07, name, &value)
    }

    pub(super) fn flag(self, name: &str, value: bool) -> Self {
        self.element(0x08, name, &[value.into()])
    }

    /// Milliseconds since 1970.
    pub(super) fn date(self, name: &str, value: i64) -> Self {
        self.element(0x09, name, &value.to_le_bytes())
    }

    pub(super) fn int(self, name: &str, value: i32) -> Self {
        self.element(0x10, name, &value.to_le_bytes())
    }

    pub(super) fn long(self, name: &str, value: i64) -> Self {
        self.element(0x12, name, &value.to_le_bytes())
    }

    /// Adds the elements of another.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn finish(self) -> Vec<u8> {
        [&length(self.0.len().saturating_add(5))[..], &self.0, &[0]].concat()
    }
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}
