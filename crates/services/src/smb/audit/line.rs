//! The lines that Samba's `full_audit` writes: `prefix|operation|result|arguments` (vfs_full_audit(8)).
//!
//! The prefix is that of OpenCanary's documentation, `%U|%I|%i|%m|%S|%L|%R|%a|%T|%D`. Samba replaces what a client
//! might put into it to add a field; names of files come last and may hold anything.

use std::net::IpAddr;

/// The word before each line.
const TAG: &[u8] = b"smbd_audit";
/// Fields before the arguments, and the fewest that a line without the tag must have to be one of these.
const FIELDS: usize = 12;

/// A line. What it does not have is `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) user: Option<&'a [u8]>,
    pub(super) client: Option<&'a [u8]>,
    pub(super) server: Option<&'a [u8]>,
    pub(super) remote_name: Option<&'a [u8]>,
    pub(super) share: Option<&'a [u8]>,
    pub(super) local_name: Option<&'a [u8]>,
    pub(super) version: Option<&'a [u8]>,
    pub(super) arch: Option<&'a [u8]>,
    pub(super) time: Option<&'a [u8]>,
    pub(super) domain: Option<&'a [u8]>,
    pub(super) action: Option<&'a [u8]>,
    pub(super) status: Option<&'a [u8]>,
    /// Arguments before the name: how it was opened.
    pub(super) mode: Option<&'a [u8]>,
    pub(super) file: Option<&'a [u8]>,
}

/// Reads a line as syslog daemons write it to a file; `None`: it is another.
///
/// The tag may be followed by a process number (`smbd_audit[4711]:`), and stands alone in the format of RFC 5424. A
/// line without the tag (`full_audit:syslog = false` writes to Samba's own log) must have all fields.
pub(super) fn read(line: &[u8]) -> Option<Record<'_>> {
    if let Some(message) = tagged(line) {
        return message.contains(&b'|').then(|| split(message));
    }
    let message = line.trim_ascii_start();
    let record = split(message);
    let whole = message.iter().filter(|&&byte| byte == b'|').count() >= FIELDS;
    let ours = !record.user.is_some_and(begins_another);
    (whole && ours && record.client.and_then(address).is_some()).then_some(record)
}

/// What follows the tag. A client's words never stand before it.
fn tagged(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(TAG.len()).position(|window| window == TAG)?;
    let (before, rest) = line.split_at_checked(at)?;
    if before.contains(&b'|') || begins_another(before) {
        return None;
    }
    let rest = rest.get(TAG.len()..)?;
    let rest = match rest.first()? {
        b'[' => rest.get(rest.iter().position(|&byte| byte == b']')?..)?.get(1..)?,
        _ => rest,
    };
    match rest.split_first()? {
        (b':', message) => Some(message.trim_ascii_start()),
        (b' ', header) => structured(header),
        _ => None,
    }
}

/// Whether a line about a login begins there, in either form: a client's words may follow.
fn begins_another(text: &[u8]) -> bool {
    text.contains(&b'{') || text.windows(7).any(|word| word == b"Auth: [")
}

/// The message of RFC 5424, section 6: after PROCID, MSGID and STRUCTURED-DATA, perhaps with a byte order mark.
fn structured(header: &[u8]) -> Option<&[u8]> {
    let mut rest = header;
    for _ in 0..2 {
        rest = rest.get(rest.iter().position(|&byte| byte == b' ')?..)?.get(1..)?;
    }
    let rest = match rest.split_first()? {
        (b'-', rest) => rest,
        (b'[', _) => {
            // The end of the last element; in its values, `]` is escaped.
            let end = rest.windows(2).position(|pair| pair == b"] ")?;
            rest.get(end..)?.get(1..)?
        }
        _ => return None,
    };
    let message = rest.trim_ascii_start();
    Some(message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message))
}

fn split(message: &[u8]) -> Record<'_> {
    let mut parts = message.trim_ascii_end().splitn(FIELDS.saturating_add(1), |&byte| byte == b'|');
    let mut next = || parts.next();
    let mut record = Record {
        user: next(),
        client: next(),
        server: next(),
        remote_name: next(),
        share: next(),
        local_name: next(),
        version: next(),
        arch: next(),
        time: next(),
        domain: next(),
        action: next(),
        status: next(),
        ..Record::default()
    };
    (record.mode, record.file) = match next() {
        Some(arguments) => arguments_of(record.action, arguments),
        None => (None, None),
    };
    record
}

/// How it was opened, and the name: `open` and `openat` have `r` or `w` before it, `create_file` the access that was
/// wanted, whether it is a file, and what was to be done. Renaming and linking have two names, left together.
fn arguments_of<'a>(action: Option<&[u8]>, arguments: &'a [u8]) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let before = match action {
        Some(b"open" | b"openat") => 1,
        Some(b"create_file") => 3,
        _ => 0,
    };
    let bars = arguments.iter().enumerate().filter(|(_, byte)| **byte == b'|').map(|(at, _)| at);
    match bars.take(before).nth(usize::saturating_sub(before, 1)) {
        Some(bar) if before > 0 => (arguments.get(..bar), arguments.get(bar.saturating_add(1)..)),
        _ => (None, Some(arguments)),
    }
}

/// An address as Samba writes it; that of a link with its interface.
pub(super) fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.split('%').next()?.parse().ok()
}
