//! What a client wants of a file: only if it changed, only parts of it, compressed (RFC 9110, sections 12 to 14).

use std::time::{Duration, SystemTime};

use super::{date, request::Head, site::File};

/// Most parts of one answer (MaxRanges).
const RANGES: usize = 200;
/// Most parts that touch another, and that begin before it (MaxRangeOverlaps, MaxRangeReversals).
const TOUCHING: usize = 20;

/// Whether the client takes gzip (RFC 9110, section 12.5.3).
pub(super) fn accepts_gzip(head: &Head) -> bool {
    let offers = |value: &[u8]| {
        value.split(|byte| *byte == b',').any(|item| {
            let mut parts = item.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let coding = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, b"q=0" | b"q=0.0" | b"q=0.00" | b"q=0.000"));
            !refused && (coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip"))
        })
    };
    head.all("Accept-Encoding").any(offers)
}

/// Whether the client wants another state of the file than this one (RFC 9110, sections 13.1.1 and 13.1.4).
pub(super) fn outdated(head: &Head, etag: &str, modified: SystemTime) -> bool {
    if head.field("If-Match").is_some() {
        let strong = |tag: &[u8]| tag == b"*" || (tag == etag.as_bytes() && !tag.starts_with(b"W/"));
        return !head
            .all("If-Match")
            .any(|value| value.split(|byte| *byte == b',').any(|tag| strong(tag.trim_ascii())));
    }
    let since = head.field("If-Unmodified-Since").and_then(date::read);
    since.is_some_and(|since| since > SystemTime::UNIX_EPOCH && since < whole(modified))
}

/// RFC 9110, section 13.2.2. Like Apache, takes no notice of a date in the future.
pub(super) fn unmodified(head: &Head, etag: &str, modified: SystemTime, now: SystemTime) -> bool {
    if head.field("If-None-Match").is_some() {
        return head.all("If-None-Match").any(|value| {
            value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
                tag == b"*"
                    || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.trim_start_matches("W/").as_bytes()
            })
        });
    }
    let since = head.field("If-Modified-Since").and_then(date::read);
    since.is_some_and(|since| since <= now && since >= whole(modified))
}

/// To the second, as dates are compared.
pub(super) fn whole(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = Duration::from_secs(since.as_secs());
    SystemTime::UNIX_EPOCH.checked_add(seconds).unwrap_or(time)
}

/// First and last byte of each part (RFC 9110, section 14.1.2), those that touch joined as Apache joins them.
/// `None`: no range, or too much of one, so the whole file; empty: none that can be satisfied.
pub(super) fn ranges(text: &[u8], size: usize) -> Option<Vec<(usize, usize)>> {
    let specs =
        text.get(..6).filter(|unit| unit.eq_ignore_ascii_case(b"bytes=")).and_then(|_| text.get(6..))?;
    let (mut parts, mut sum): (Vec<(usize, usize)>, _) = (Vec::new(), 0_usize);
    let (mut touching, mut reversed, mut beyond) = (0_usize, 0_usize, false);
    for spec in specs.split(|byte| *byte == b',').filter(|spec| !spec.is_empty()) {
        let dash = spec.iter().position(|byte| *byte == b'-')?;
        let number = |text: Option<&[u8]>| {
            let text = text.filter(|text| text.iter().all(u8::is_ascii_digit))?;
            if text.is_empty() {
                Some(None)
            } else {
                Some(Some(std::str::from_utf8(text).ok()?.parse().ok()?))
            }
        };
        let from: Option<usize> = number(spec.get(..dash))?;
        let to: Option<usize> = number(spec.get(dash.saturating_add(1)..))?;
        let end = size.saturating_sub(1);
        let part = match (from, to) {
            (None, None | Some(0)) => return None,
            (None, Some(last)) => (size.saturating_sub(last), end),
            (Some(from), Some(to)) if to < from => return None,
            (Some(from), to) => (from, to.unwrap_or(end).min(end)),
        };
        if part.0 >= size {
            beyond = true;
            continue;
        }
        match parts.last_mut() {
            Some(last) if part.0 <= last.1.saturating_add(1) && part.1.saturating_add(1) >= last.0 => {
                touching = touching.saturating_add(1);
                reversed = reversed.saturating_add(usize::from(part.0 < last.0));
                *last = (last.0.min(part.0), last.1.max(part.1));
            }
            _ => parts.push(part),
        }
        if parts.len() > RANGES || touching > TOUCHING || reversed > TOUCHING {
            return None;
        }
    }
    for (first, last) in &parts {
        sum = sum.saturating_add(last.saturating_sub(*first)).saturating_add(1);
    }
    (sum <= size && (beyond || !parts.is_empty())).then_some(parts)
}

/// The body of an answer in parts (RFC 9110, section 14.6).
pub(super) fn parted(file: &File, parts: &[(usize, usize)], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let kind = file.mime.map_or_else(String::new, |mime| format!("Content-type: {mime}\r\n"));
    for (first, last) in parts {
        let size = file.bytes.len();
        let head = format!("\r\n--{boundary}\r\n{kind}Content-range: bytes {first}-{last}/{size}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file.bytes.get(*first..=*last).unwrap_or_default());
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_apache_reads_them() {
        assert_eq!(ranges(b"bytes=0-9", 100), Some(vec![(0, 9)]));
        assert_eq!(ranges(b"bytes=90-", 100), Some(vec![(90, 99)]));
        assert_eq!(ranges(b"bytes=-5", 100), Some(vec![(95, 99)]));
        assert_eq!(ranges(b"bytes=0-0,5-500", 100), Some(vec![(0, 0), (5, 99)]));
        assert_eq!(ranges(b"bytes=0-4,4-9,10-11,,20-30", 100), Some(vec![(0, 11), (20, 30)]));
        assert_eq!(ranges(b"bytes=5-9,0-4", 100), Some(vec![(0, 9)]));
        assert_eq!(ranges(b"bytes=200-", 100), Some(vec![]));
        for whole in [
            &b"bytes=5-2"[..],
            b"lines=1-2",
            b"bytes=a-b",
            b"bytes=-",
            b"bytes=0-1, 5-6",
            b"bytes=-0",
            b"bytes=,",
        ] {
            assert_eq!(ranges(whole, 100), None);
        }
    }
}
