//! Directives of digest mechanisms (RFC 2831, section 7.1): `name=value`, values quoted or not, commas between them.

/// Most directives that are looked at.
const MOST: usize = 32;

/// Names and values, in their order. In quotes, a backslash takes the next byte as it is.
pub fn read(text: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut fields = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| *byte == b'=').filter(|_| fields.len() < MOST) {
        let Some((name, value)) = rest.split_at_checked(end) else { break };
        let (mut quoted, mut taken, mut escaped, mut used) = (false, Vec::new(), false, 1_usize);
        for byte in value.iter().skip(1) {
            match *byte {
                b',' if !quoted => break,
                _ if escaped => {
                    taken.push(*byte);
                    escaped = false;
                }
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                other => taken.push(other),
            }
            used = used.saturating_add(1);
        }
        fields.push((name.trim_ascii(), taken));
        // The comma, too.
        rest = value.get(used.saturating_add(1)..).unwrap_or_default();
    }
    fields
}

/// The value of the first of that name.
pub fn value<'a>(directives: &'a [(&[u8], Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    let found = directives.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| value.as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_read_whatever_is_quoted_and_wherever_they_end() {
        let text = br#"charset=utf-8, username="e\"v,e",realm="",Nonce="x",response=00ff"#;
        let read_all = read(text);
        assert_eq!(value(&read_all, "username"), Some(&b"e\"v,e"[..]));
        assert_eq!(value(&read_all, "realm"), Some(&b""[..]));
        assert_eq!(value(&read_all, "nonce"), Some(&b"x"[..]));
        assert_eq!((value(&read_all, "response"), value(&read_all, "qop")), (Some(&b"00ff"[..]), None));
        for length in 0..text.len() {
            read(&text[..length]);
        }
        assert_eq!(read(&b"a=b,".repeat(1000)).len(), MOST);
    }
}
