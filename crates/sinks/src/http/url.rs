//! Addresses and forms, as they go over the wire.

use std::fmt::Write as _;

/// `application/x-www-form-urlencoded`.
pub(crate) fn encoded(pairs: &[(String, String)]) -> String {
    let parts: Vec<_> =
        pairs.iter().map(|(key, value)| format!("{}={}", quoted(key), quoted(value))).collect();
    parts.join("&")
}

/// One part of an address or a form: all but letters, digits and a few signs as `%XX`, a blank as `+`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// An address as it may go over the wire: what an address cannot hold is escaped, what is escaped stays so.
pub(crate) fn wire(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'!' | b'#'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~' => {
                out.push(char::from(byte))
            }
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_escaped_once() {
        assert_eq!(wire("http://h/p a?é=%20|"), "http://h/p%20a?%C3%A9=%20%7C");
    }
}
