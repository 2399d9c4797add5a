//! Ways to write bytes as text.

/// Makes a written `\r` or `\n` the control character that it names; all else stays as it is.
pub fn control_characters(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}

/// Bytes as Python writes them: `b'INIT\r\n'` (repr of bytes, Python Language Reference, section 2.4.1). Readers of
/// the peer's log know some values in this form.
pub fn python_bytes(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for byte in bytes {
        match char::from(*byte) {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c if c == quote => text.extend(['\\', c]),
            c @ ' '..='~' => text.push(c),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push(quote);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_control_characters_become_real_ones() {
        assert_eq!(control_characters(r"220 ready\r\nnext\t"), b"220 ready\r\nnext\\t");
    }

    #[test]
    fn bytes_are_written_as_python_writes_them() {
        assert_eq!(python_bytes(b"INIT\r\n\0\x7f\xff\\"), r"b'INIT\r\n\x00\x7f\xff\\'");
        assert_eq!(python_bytes(b"it's"), "b\"it's\"");
        assert_eq!(python_bytes(b"'\""), r#"b'\'"'"#);
    }
}
