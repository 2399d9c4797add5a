//! Points in time, as logs write them.

use std::time::SystemTime;

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

/// That time in that zone. What no calendar reaches is shown as 1970.
pub(super) fn zoned(at: SystemTime, zone: &TimeZone) -> ZonedDateTime {
    Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(zone.clone())
}

/// `2026-11-24 04:37:15.880183`, as Python's `strftime("%Y-%m-%d %H:%M:%S.%f")`.
pub(super) fn python(at: &ZonedDateTime) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

/// RFC 3339 with the zone's offset and microseconds: `2026-11-24T05:37:15.880183+01:00`.
pub(super) fn rfc3339(at: &ZonedDateTime) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
}
