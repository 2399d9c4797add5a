//! Errors, as a server words them for a client.

use std::net::IpAddr;

/// How a collation that a client asked for treats what is echoed to it. Its numbers are those of
/// `information_schema.collations`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// Names are at most three bytes a character, and what is none is a question mark.
    Utf8,
    /// Seven bits; the rest are question marks.
    Ascii,
    /// Each byte is the character of that number, shown in UTF-8.
    Binary,
    /// Bytes come back as they are.
    Bytes,
}

fn charset(collation: u8, mysql8: bool) -> Charset {
    match collation {
        33 | 45 | 46 | 76 | 83 | 192..=215 | 223..=247 => Charset::Utf8,
        248..=255 if mysql8 => Charset::Utf8,
        10 | 11 | 65 | 82 => Charset::Ascii,
        63 => Charset::Binary,
        _ => Charset::Bytes,
    }
}

/// The name of the character set of a collation that no client may have: it is not a superset of ASCII.
pub fn unfit(collation: u8) -> Option<&'static str> {
    match collation {
        17 => Some("filename"),
        35 | 90 | 128..=151 | 159 => Some("ucs2"),
        54 | 55 | 101..=124 => Some("utf16"),
        56 | 62 => Some("utf16le"),
        60 | 61 | 160..=183 => Some("utf32"),
        _ => None,
    }
}

/// A user name as it stands in an error: converted for the client, cut to `most` characters.
pub fn shown(user: &[u8], collation: u8, mysql8: bool, most: usize) -> Vec<u8> {
    match charset(collation, mysql8) {
        Charset::Bytes => user.get(..most).unwrap_or(user).to_vec(),
        Charset::Ascii => user.iter().take(most).map(|b| if b.is_ascii() { *b } else { b'?' }).collect(),
        Charset::Binary => user.iter().take(most).map(|b| char::from(*b)).collect::<String>().into_bytes(),
        Charset::Utf8 => {
            let chunks = user.utf8_chunks().flat_map(|chunk| {
                let valid = chunk.valid().chars().map(|c| if c.len_utf8() > 3 { '?' } else { c });
                valid.chain(chunk.invalid().iter().map(|_| '?'))
            });
            chunks.take(most).collect::<String>().into_bytes()
        }
    }
}

/// A client's address as a server has it that finds no name for it.
pub fn host(remote: IpAddr) -> String {
    if remote.is_loopback() { "localhost".into() } else { remote.to_string() }
}

/// "Access denied …" (error 1045).
pub fn denied(user: &[u8], host: &str, password: bool) -> Vec<u8> {
    let used = if password { "YES" } else { "NO" };
    [
        b"Access denied for user '",
        user,
        b"'@'",
        host.as_bytes(),
        b"' (using password: ",
        used.as_bytes(),
        b")",
    ]
    .concat()
}
