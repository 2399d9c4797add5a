//! The forms of a message, and where one ends.

use haldane_core::{Event, Severity};
use jiff::{Timestamp, tz::TimeZone};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As SysLogHandler of Python's logging.handlers: priority, text, NUL. Every event is a warning.
    Python,
    /// RFC 3164, section 4.1. Without the host's name if the receiver is on this host, as syslog(3).
    Rfc3164 { host: bool },
    /// RFC 5424, section 6.
    Rfc5424,
}

impl Form {
    /// One message, without framing.
    pub(super) fn message(self, facility: u8, event: &Event, node: &str, line: &str) -> Vec<u8> {
        let level = match (self, event.severity) {
            (Self::Python, _) | (_, Severity::Medium) => 4,
            (_, Severity::Info) => 6,
            (_, Severity::Low) => 5,
            (_, Severity::High) => 3,
            (_, Severity::Critical) => 2,
        };
        let priority = facility.saturating_mul(8).saturating_add(level);
        let at = Timestamp::try_from(event.at).unwrap_or(Timestamp::UNIX_EPOCH);
        let at = at.to_zoned_datetime(TimeZone::system());
        let (node, process) = (host_name(node), std::process::id());
        match self {
            Self::Python => format!("<{priority}>{line}\0"),
            Self::Rfc3164 { host } => {
                let at = at.strftime("%b %e %H:%M:%S");
                let node = if host { format!("{node} ") } else { String::new() };
                format!("<{priority}>{at} {node}{APPLICATION}[{process}]: {line}")
            }
            Self::Rfc5424 => {
                let at = at.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z");
                let kind = printable(event.kind.name, 32);
                format!("<{priority}>1 {at} {node} {APPLICATION} {process} {kind} {ORIGIN} {line}")
            }
        }
        .into_bytes()
    }

    /// The same for a stream of bytes: RFC 6587, section 3.4.1 (and RFC 5425, section 4.3), counts octets;
    /// section 3.4.2 ends a message with a line feed.
    pub(super) fn frame(self, mut message: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Python => message,
            Self::Rfc3164 { .. } => {
                for byte in &mut message {
                    if *byte == b'\n' {
                        *byte = b' ';
                    }
                }
                message.push(b'\n');
                message
            }
            Self::Rfc5424 => {
                let mut frame = format!("{} ", message.len()).into_bytes();
                frame.append(&mut message);
                frame
            }
        }
    }

    /// Cuts a message to that many bytes, at the end of a character; the NUL of Python's form stays.
    pub(super) fn cut(self, message: &mut Vec<u8>, longest: usize) {
        if message.len() <= longest {
            return;
        }
        let end = usize::from(self == Self::Python);
        let mut keep = longest.saturating_sub(end);
        while keep > 0 && message.get(keep).is_some_and(|byte| byte & 0xc0 == 0x80) {
            keep = keep.saturating_sub(1);
        }
        message.truncate(keep);
        message.resize(keep.saturating_add(end), 0);
    }
}

/// RFC 5424 allows printable ASCII without blanks, and a dash if there is no name.
fn host_name(node: &str) -> String {
    match printable(node, 255) {
        name if name.is_empty() => "-".into(),
        name => name,
    }
}

fn printable(text: &str, longest: usize) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '-' }).take(longest).collect()
}

const APPLICATION: &str = "haldane";
/// RFC 5424, section 7.2.
const ORIGIN: &str = concat!("[origin software=\"haldane\" swVersion=\"", env!("CARGO_PKG_VERSION"), "\"]");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_shows_where_a_message_ends() {
        assert_eq!(Form::Python.frame(b"<12>x\0".to_vec()), b"<12>x\0");
        assert_eq!(Form::Rfc3164 { host: true }.frame(b"<12>a\nb".to_vec()), b"<12>a b\n");
        assert_eq!(Form::Rfc5424.frame("<12>\u{e9}".into()), "6 <12>\u{e9}".as_bytes());
    }

    #[test]
    fn a_message_is_cut_between_characters() {
        for (form, cut) in [(Form::Rfc5424, "a\u{e9}".as_bytes()), (Form::Python, b"a\xc3\xa9\0")] {
            let mut message = "a\u{e9}\u{e9}\u{e9}".as_bytes().to_vec();
            form.cut(&mut message, 4);
            assert_eq!(message, cut);
        }
        let mut short = b"abc".to_vec();
        Form::Rfc5424.cut(&mut short, 3);
        assert_eq!(short, b"abc");
    }

    #[test]
    fn names_hold_no_blanks() {
        assert_eq!(host_name("my canary\u{e9}"), "my-canary-");
        assert_eq!(host_name(""), "-");
    }
}
