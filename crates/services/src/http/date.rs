//! Dates as HTTP writes them (RFC 9110, section 5.6.7).

use std::time::SystemTime;

use jiff::{
    Timestamp,
    fmt::rfc2822::{DateTimeParser, DateTimePrinter},
};

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn show(time: SystemTime) -> String {
    let timestamp = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&timestamp).unwrap_or_default()
}

/// Reads what [`show`] writes.
pub(crate) fn read(text: &[u8]) -> Option<SystemTime> {
    let timestamp = DateTimeParser::new().parse_timestamp(text).ok()?;
    SystemTime::try_from(timestamp).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_it_was_written() {
        let text = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(show(read(text.as_bytes()).unwrap()), text);
        assert_eq!(read(b"yesterday"), None);
    }
}
