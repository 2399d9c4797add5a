//! The line with which a conversation begins (RFC 4253, section 4.2), and how OpenSSH receives it: byte by byte,
//! so that what follows a bad one is left unread.

use haldane_core::{Halt, Input};

use super::release::Release;

/// What the client began with.
#[derive(Debug)]
pub enum Line {
    /// A line, whatever it says.
    Whole(Vec<u8>),
    /// Bytes that no line has, up to and with the first of them.
    Invalid(Vec<u8>),
}

/// Longest line that OpenSSH takes (SSH_MAX_BANNER_LEN).
const LONGEST: usize = 8192;
/// And until release 7.9.
const LONGEST_OLD: usize = 255;

/// Since then both sides read the line with the same code.
pub(super) fn is_shared(release: &Release) -> bool {
    release.since(8, 0)
}

/// Takes the line.
pub(super) fn parse(input: &mut Input<'_>, release: &Release) -> Result<Line, Halt> {
    if is_shared(release) { shared(input) } else { old(input) }
}

fn shared(input: &mut Input<'_>) -> Result<Line, Halt> {
    let rest = input.rest();
    let mut line = Vec::new();
    let mut ending = false;
    for (byte, length) in rest.iter().zip(1_usize..) {
        match byte {
            b'\r' => ending = true,
            b'\n' => {
                input.take(length)?;
                return Ok(Line::Whole(line));
            }
            byte => {
                line.push(*byte);
                if *byte == 0 || ending || line.len() > LONGEST {
                    return input.take(length).map(|taken| Line::Invalid(taken.to_vec()));
                }
            }
        }
    }
    Err(Halt::Need(rest.len().saturating_add(1)))
}

/// Everything counts up to the line end; a carriage return or a NUL hides what follows it.
fn old(input: &mut Input<'_>) -> Result<Line, Halt> {
    let rest = input.rest();
    let end = rest.iter().take(LONGEST_OLD).position(|byte| *byte == b'\n');
    let taken = match end {
        Some(end) => input.take(end.saturating_add(1))?,
        None if rest.len() >= LONGEST_OLD => input.take(LONGEST_OLD)?,
        None => return Err(Halt::Need(rest.len().saturating_add(1))),
    };
    let hidden = taken.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)).unwrap_or(taken.len());
    Ok(Line::Whole(taken.get(..hidden).unwrap_or(taken).to_vec()))
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// A client that can be talked to, with the name of its software.
    Client(&'a [u8]),
    /// Another protocol version.
    OtherMajor,
    /// No identification at all.
    Invalid,
}

/// Reads `SSH-major.minor-software` as C's sscanf does: blanks and signs before a number are fine.
pub(super) fn meaning(line: &[u8]) -> Meaning<'_> {
    let parts = || {
        let rest = line.strip_prefix(b"SSH-")?;
        let (major, rest) = number(rest)?;
        let (minor, rest) = number(rest.strip_prefix(b".")?)?;
        let software = rest.strip_prefix(b"-")?;
        (!software.is_empty()).then_some((major, minor, software))
    };
    match parts() {
        Some((2, _, software)) | Some((1, 99, software)) => Meaning::Client(software),
        Some(_) => Meaning::OtherMajor,
        None => Meaning::Invalid,
    }
}

fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let text = text.trim_ascii_start();
    let (sign, text) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits).filter(|(digits, _)| !digits.is_empty())?;
    let value = digits.iter().fold(0_i64, |value, digit| {
        value.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0')))
    });
    Some((value.saturating_mul(sign), rest))
}

/// Names a beginning that no SSH client makes.
pub(super) fn probe(start: &[u8]) -> &'static str {
    const HTTP: [&[u8]; 7] = [b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"PUT ", b"CONNECT ", b"PRI * HTTP"];
    let is_printable = start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    match start {
        _ if HTTP.iter().any(|verb| start.starts_with(verb)) => "HTTP request",
        [0x16, 3, ..] => "TLS hello",
        [3, 0, ..] => "RDP connection request",
        _ if start.starts_with(b"SSH-1.") => "SSH 1 client",
        _ if start.starts_with(b"SSH-") && meaning(start) == Meaning::Invalid => {
            "honeypot detector's version line"
        }
        _ if start.starts_with(b"SSH-") => "unknown protocol version",
        _ if is_printable => "text",
        _ => "binary",
    }
}

/// Of a scanner.
const SCANNER: &[u8] = b"SSH_Version_Mapper";

/// Whether it is a scanner that OpenSSH does not answer (SSH_BUG_PROBE, SSH_BUG_SCANNER).
pub(super) fn is_scanner(software: &[u8]) -> bool {
    software.starts_with(b"Probe-") || software.windows(SCANNER.len()).any(|part| part == SCANNER)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_sscanf_reads_them() {
        assert_eq!(meaning(b"SSH-2.0-x"), Meaning::Client(b"x"));
        assert_eq!(meaning(b"SSH-2.2-x"), Meaning::Client(b"x"));
        assert_eq!(meaning(b"SSH-1.99-x"), Meaning::Client(b"x"));
        assert_eq!(meaning(b"SSH- +2.0-x y"), Meaning::Client(b"x y"));
        assert_eq!(meaning(b"SSH-1.5-x"), Meaning::OtherMajor);
        assert_eq!(meaning(b"SSH-2.0-"), Meaning::Invalid);
        assert_eq!(meaning(b"SSH-1111-x"), Meaning::Invalid);
        assert_eq!(meaning(b"hello"), Meaning::Invalid);
    }

    #[test]
    fn a_line_ends_where_a_real_server_stops_reading() {
        let taken = |bytes: &[u8]| {
            let mut input = Input::stream(bytes);
            (format!("{:?}", shared(&mut input).unwrap()), input.consumed())
        };
        assert_eq!(taken(b"GET /\r\n\r\n"), (format!("{:?}", Line::Whole(b"GET /".to_vec())), 7));
        assert_eq!(taken(b"a\rb"), (format!("{:?}", Line::Invalid(b"a\rb".to_vec())), 3));
        assert_eq!(taken(&[b'a'; 9000]).1, LONGEST + 1);
    }
}
