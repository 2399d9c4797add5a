//! What an attacker chose, kept as bytes.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Text that an attacker chose. Printing it is always safe; raw bytes must be asked for.
///
/// Serialised as a string where it is UTF-8, else as `{"base64": "…"}`: nothing is lost on the way
/// through the store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Untrusted(Vec<u8>);

impl Untrusted {
    /// Longest text that is kept, in bytes. The rest is cut: evidence, not storage.
    pub const MAX: usize = 8192;

    /// Keeps at most [`Self::MAX`] bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        Self(bytes.get(..Self::MAX).unwrap_or(bytes).to_vec())
    }

    /// The bytes as received. Only encoders that escape, and comparisons, may call this.
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes were kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is as long as it may be: there was more, but for a text of exactly that length.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }
}

impl<T: AsRef<[u8]>> From<T> for Untrusted {
    fn from(bytes: T) -> Self {
        Self::new(bytes)
    }
}

impl fmt::Display for Untrusted {
    /// Printable characters as they are; control characters, bidirectional overrides and bytes that
    /// are not UTF-8 escaped, so that a terminal, a mail header or a log line cannot be broken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                let hidden = c.is_control() || invisible(c);
                match hidden {
                    true => write!(f, "{}", c.escape_default())?,
                    false => fmt::Write::write_char(f, c)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Characters that show nothing, or change what others show (Unicode: format characters, separators of lines,
/// variation selectors of the tags block).
fn invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[derive(Serialize, Deserialize)]
struct Encoded<'a> {
    base64: Cow<'a, str>,
}

impl Serialize for Untrusted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Encoded { base64: BASE64_STANDARD.encode(&self.0).into() }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Untrusted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Encoded(Encoded<'static>),
        }
        match Either::deserialize(deserializer)? {
            Either::Text(text) => Ok(Self(text.into_bytes())),
            Either::Encoded(encoded) => {
                let bytes = BASE64_STANDARD.decode(encoded.base64.as_bytes()).map_err(de::Error::custom)?;
                Ok(Self(bytes))
            }
        }
    }
}

/// A fact about what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Nothing where something could have been.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Int(i64),
    /// Text.
    Text(Untrusted),
    /// Several.
    List(Vec<Value>),
    /// Named parts, names as the attacker sent them.
    Map(BTreeMap<String, Value>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

macro_rules! from_integer {
    ($($t:ty),*) => {$(
        impl From<$t> for Value {
            fn from(value: $t) -> Self {
                Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
            }
        }
    )*};
}
from_integer!(u8, u16, u32, u64, usize, i32, i64);

impl From<Untrusted> for Value {
    fn from(value: Untrusted) -> Self {
        Self::Text(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value.into())
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Text(value.into())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Text(value.into())
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value
where
    T: NotByte,
{
    fn from(value: Vec<T>) -> Self {
        Self::List(value.into_iter().map(Into::into).collect())
    }
}

/// Keeps `Vec<u8>` from being a list of numbers.
pub trait NotByte {}
impl NotByte for Value {}
impl NotByte for Untrusted {}
impl NotByte for String {}
impl NotByte for &str {}
impl NotByte for i64 {}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Protocol-specific facts, in a stable order. Names are ours, in lower case.
pub type Fields = BTreeMap<Cow<'static, str>, Value>;

/// Cuts facts that take more than `most` bytes together; what was cut is said by a fact named `cut`. So much is the
/// least that is kept of anything: an event has a bound, whatever a service puts into it. A text as long as any may be
/// was cut when it was made, see [`Untrusted::is_full`].
pub fn bound(fields: &mut Fields, most: usize) {
    let mut room = most;
    let mut cut = false;
    // A stack of its own: how deep facts nest is not for the call stack.
    let mut rest: Vec<&mut Value> = fields.values_mut().rev().collect();
    while let Some(value) = rest.pop() {
        room = room.saturating_sub(size_of::<Value>());
        match value {
            Value::Text(text) => {
                cut |= text.is_full() || text.0.len() > room;
                text.0.truncate(room);
                room = room.saturating_sub(text.0.len());
            }
            Value::List(values) => {
                let fits = room.checked_div(size_of::<Value>()).unwrap_or_default();
                cut |= values.len() > fits;
                values.truncate(fits);
                rest.extend(values.iter_mut().rev());
            }
            Value::Map(map) => {
                // Names are a peer's own words.
                while map.keys().map(String::len).fold(0, usize::saturating_add) > room
                    && map.pop_last().is_some()
                {
                    cut = true;
                }
                room = room.saturating_sub(map.keys().map(String::len).fold(0, usize::saturating_add));
                rest.extend(map.values_mut().rev());
            }
            Value::Null | Value::Bool(_) | Value::Int(_) => {}
        }
    }
    if cut {
        fields.insert("cut".into(), Value::Bool(true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_is_shown_escaped() {
        for hidden in ['\u{7}', '\u{9b}', '\u{ad}', '\u{61c}', '\u{202e}', '\u{2067}', '\u{e0041}'] {
            let shown = Untrusted::from(format!("a{hidden}b")).to_string();
            assert_eq!(shown, format!("a{}b", hidden.escape_default()));
        }
        assert_eq!(Untrusted::from("grün 東京").to_string(), "grün 東京");
        assert_eq!(Untrusted::from(&b"\xff\r\n"[..]).to_string(), "\\xff\\r\\n");
    }

    #[test]
    fn facts_within_the_bound_are_left_alone_and_the_rest_is_cut_and_said_to_be() {
        let facts =
            || Fields::from([("a".into(), Value::from("x".repeat(100))), ("b".into(), Value::Int(7))]);
        let mut small = facts();
        bound(&mut small, 10_000);
        assert_eq!(small, facts());
        let list: Vec<Value> = (0..1_000).map(|_| Value::from("y".repeat(100))).collect();
        let mut large = facts();
        large.insert("c".into(), Value::List(list));
        bound(&mut large, 10_000);
        assert_eq!((&large["a"], &large["cut"]), (&facts()["a"], &Value::Bool(true)));
        let Value::List(kept) = &large["c"] else { panic!() };
        let bytes: usize =
            kept.iter().map(|value| if let Value::Text(text) = value { text.len() } else { 0 }).sum();
        assert!((5_000..10_000).contains(&bytes), "{bytes}");
        assert!(kept.len() <= 10_000 / size_of::<Value>());
    }

    #[test]
    fn a_text_that_was_longer_than_any_may_be_is_said_to_be_cut() {
        for (length, cut) in [(Untrusted::MAX - 1, None), (Untrusted::MAX + 1, Some(&Value::Bool(true)))] {
            let mut facts = Fields::from([("a".into(), Value::List(vec![Value::from("x".repeat(length))]))]);
            bound(&mut facts, 100_000);
            assert_eq!(facts.get("cut"), cut, "{length}");
        }
    }
}
