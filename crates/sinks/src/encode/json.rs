//! JSON, written in two ways: as Python's `json.dumps(value, sort_keys=True)` and as our own log has it.
//!
//! Nothing here calls itself: how deep a [`Value`] is nested may be a peer's choice.

use std::fmt::Write;

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{Untrusted, Value};

/// What Python's `json.dumps(value, sort_keys=True)` returns, if text was decoded with `surrogateescape`:
/// printable ASCII alone, and a byte that is not UTF-8 stands as `\udc80` to `\udcff`, so that it can be had back.
pub fn dumps(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value, &PYTHON);
    out
}

/// An object of our own log, written member by member: no blanks, UTF-8. Text that is not UTF-8 is written
/// with replacement characters, and beside it in base64 under its name with `_base64` appended.
#[derive(Debug, Default)]
pub(super) struct Object {
    out: String,
}

impl Object {
    /// An object without members.
    pub(super) fn new() -> Self {
        Self { out: "{".into() }
    }

    /// A member that is an object; ended by [`Self::close`].
    pub(super) fn open(&mut self, key: &str) {
        self.key(key);
        self.out.push('{');
    }

    /// Ends the innermost object that is open.
    pub(super) fn close(&mut self) {
        self.out.push('}');
    }

    /// A member that is a list of one object; ended by [`Self::close_only`].
    pub(super) fn open_only(&mut self, key: &str) {
        self.key(key);
        self.out.push_str("[{");
    }

    /// Ends that object and its list.
    pub(super) fn close_only(&mut self) {
        self.out.push_str("}]");
    }

    /// A list of texts of our own.
    pub(super) fn words(&mut self, key: &str, words: &[&str]) {
        self.key(key);
        self.out.push('[');
        for (at, word) in words.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            write_utf8(&mut self.out, word.as_bytes());
        }
        self.out.push(']');
    }

    /// Ends the whole.
    pub(super) fn finish(mut self) -> String {
        self.out.push('}');
        self.out
    }

    /// Text of our own.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        write_utf8(&mut self.out, text.as_bytes());
    }

    /// Anything that prints itself as JSON: numbers, `true`.
    pub(super) fn bare(&mut self, key: &str, value: impl std::fmt::Display) {
        self.key(key);
        let _ = write!(self.out, "{value}");
    }

    /// Text that a peer chose.
    pub(super) fn untrusted(&mut self, key: &str, text: &Untrusted) {
        self.key(key);
        write_utf8(&mut self.out, text.raw());
        if std::str::from_utf8(text.raw()).is_err() {
            self.text(&format!("{key}_base64"), &BASE64_STANDARD.encode(text.raw()));
        }
    }

    /// Any value.
    pub(super) fn value(&mut self, key: &str, value: &Value) {
        self.key(key);
        write_value(&mut self.out, value, &OURS);
        if hides_bytes(value) {
            self.key(&format!("{key}_base64"));
            write_steps(&mut self.out, Step::Bytes(value), &OURS);
        }
    }

    fn key(&mut self, key: &str) {
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        write_utf8(&mut self.out, key.as_bytes());
        self.out.push(':');
    }
}

/// How it is written.
struct Style {
    comma: &'static str,
    colon: &'static str,
    text: fn(&mut String, &[u8]),
    /// Whether bytes that are not UTF-8 need a member of their own.
    beside: bool,
}

const PYTHON: Style = Style { comma: ", ", colon: ": ", text: write_ascii, beside: false };
const OURS: Style = Style { comma: ",", colon: ":", text: write_utf8, beside: true };

/// What is still to be written, the last first.
enum Step<'v> {
    Value(&'v Value),
    /// The same value, with the bytes of texts that are not UTF-8 and null in place of all else.
    Bytes(&'v Value),
    Key(&'v str),
    BytesKey(String),
    Mark(&'static str),
}

fn write_value(out: &mut String, value: &Value, style: &Style) {
    write_steps(out, Step::Value(value), style);
}

fn write_steps<'v>(out: &mut String, first: Step<'v>, style: &Style) {
    let mut steps = vec![first];
    while let Some(step) = steps.pop() {
        match step {
            Step::Mark(mark) => out.push_str(mark),
            Step::Key(key) => (style.text)(out, key.as_bytes()),
            Step::BytesKey(key) => (style.text)(out, key.as_bytes()),
            Step::Value(Value::Null) => out.push_str("null"),
            Step::Value(Value::Bool(value)) => out.push_str(if *value { "true" } else { "false" }),
            Step::Value(Value::Int(number)) => {
                let _ = write!(out, "{number}");
            }
            Step::Value(Value::Text(text)) => (style.text)(out, text.raw()),
            Step::Value(Value::List(values)) => list(&mut steps, values.iter().map(Step::Value), style),
            Step::Value(Value::Map(map)) => {
                steps.push(Step::Mark("}"));
                for (at, (key, value)) in map.iter().enumerate().rev() {
                    if style.beside && hides_bytes(value) {
                        let mut beside = format!("{key}_base64");
                        while map.contains_key(&beside) {
                            beside.push('_');
                        }
                        steps.extend([Step::Bytes(value), Step::Mark(style.colon), Step::BytesKey(beside)]);
                        steps.push(Step::Mark(style.comma));
                    }
                    steps.extend([Step::Value(value), Step::Mark(style.colon), Step::Key(key)]);
                    if at > 0 {
                        steps.push(Step::Mark(style.comma));
                    }
                }
                steps.push(Step::Mark("{"));
            }
            Step::Bytes(Value::Text(text)) if std::str::from_utf8(text.raw()).is_err() => {
                (style.text)(out, BASE64_STANDARD.encode(text.raw()).as_bytes());
            }
            Step::Bytes(Value::List(values)) => list(&mut steps, values.iter().map(Step::Bytes), style),
            Step::Bytes(_) => out.push_str("null"),
        }
    }
}

fn list<'v>(
    steps: &mut Vec<Step<'v>>,
    values: impl DoubleEndedIterator<Item = Step<'v>> + ExactSizeIterator,
    style: &Style,
) {
    steps.push(Step::Mark("]"));
    for (at, value) in values.enumerate().rev() {
        steps.push(value);
        if at > 0 {
            steps.push(Step::Mark(style.comma));
        }
    }
    steps.push(Step::Mark("["));
}

/// Whether a text that is not UTF-8 is in it. Maps look after their own members.
fn hides_bytes(value: &Value) -> bool {
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Text(text) if std::str::from_utf8(text.raw()).is_err() => return true,
            Value::List(values) => rest.extend(values),
            _ => {}
        }
    }
    false
}

/// As Python's `ensure_ascii` does: everything but printable ASCII as UTF-16 in lower-case hex.
fn write_ascii(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                ' '..='~' if c != '"' && c != '\\' => out.push(c),
                _ => escape(out, c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\udc{byte:02x}");
        }
    }
    out.push('"');
}

/// UTF-8; what a terminal might obey or hide is escaped.
fn write_utf8(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            let hidden = c.is_control()
                || matches!(c, '"' | '\\')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            match hidden {
                true => escape(out, c),
                false => out.push(c),
            }
        }
        if !chunk.invalid().is_empty() {
            out.push('\u{fffd}');
        }
    }
    out.push('"');
}

fn escape(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}
