//! What an answer, or the lack of one, means: delivered, try again, or refused for good, with words that say
//! what to change. Never names more of an address than scheme, host and port: paths and queries of webhooks
//! are secrets.
//!
//! Refused for good is what a receiver says about the message (400, 413, 422 and the like). What the operator
//! can mend (401, 403, 404, 405) is tried again, so that nothing is lost while the configuration is wrong.

use std::{io::ErrorKind, ops::RangeInclusive, time::Duration};

use haldane_core::Untrusted;
use jiff::fmt::rfc2822;
use ureq::http::{HeaderMap, StatusCode, header};

use crate::{Failure, trust};

/// The longest wait that a receiver can ask for: alerts are not silenced for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How many bytes of the answer are shown.
const EXCERPT: usize = 200;

/// The answer that ended a delivery.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The start of the body.
    pub(crate) start: Vec<u8>,
    /// Who answered: scheme, host and port.
    pub(crate) who: String,
}

/// Judges an answer by the statuses that mean success.
pub(crate) fn judge(answer: &Answer, success: &[RangeInclusive<u16>]) -> Result<(), Failure> {
    let status = answer.status.as_u16();
    if success.iter().any(|range| range.contains(&status)) {
        return Ok(());
    }
    let said = answer.said(None);
    match fault(status) {
        // It has the message. Sending that again for ever helps nobody.
        Fault::Taken => Err(Failure::Refused(format!(
            "{said}; it took the message, but `status_code` expects another answer"
        ))),
        Fault::Message => Err(Failure::Refused(said)),
        Fault::Passing(advice) => {
            Err(Failure::Later { why: format!("{said}{advice}"), after: wish(&answer.headers) })
        }
    }
}

/// Whose fault a status that is no success says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nobody's.
    Taken,
    /// The message's.
    Message,
    /// Somebody's who can mend it: what to do, in words that follow the status.
    Passing(&'static str),
}

/// What a status means by itself.
pub(crate) fn fault(status: u16) -> Fault {
    Fault::Passing(match status {
        200..=299 => return Fault::Taken,
        400 | 406 | 413 | 414 | 415 | 422 | 431 => return Fault::Message,
        300..=399 => "; it sends us elsewhere, where an alert cannot follow: put the new address into `url`",
        401 => "; check `auth` or the token in `headers` or `url`",
        403 => "; it knows the request, but does not allow it: check `auth`, `headers` and `url`",
        404 | 410 => "; nobody listens at this path: check `url`",
        405 => "; check `method` and `url`",
        407 => "; the proxy wants a login: put it into `proxies`, as in \"http://user:password@proxy:3128\"",
        _ => "",
    })
}

impl Answer {
    /// What was answered, in words; with the receiver's own, if they were found, else the start of its body.
    pub(crate) fn said(&self, words: Option<&str>) -> String {
        let body = words.map_or(self.start.as_slice(), str::as_bytes);
        let start = body.get(..EXCERPT).unwrap_or(body).trim_ascii();
        let text = if start.is_empty() { String::new() } else { format!(": \"{}\"", Untrusted::new(start)) };
        format!("{} answered {}{text}", self.who, self.status)
    }
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. A date is compared with the receiver's own
/// `Date`, so that clocks need not agree.
pub(crate) fn wish(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let wish = text(header::RETRY_AFTER)?;
    let wait = match wish.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = |text: &str| rfc2822::parse(text).ok().map(|date| date.timestamp());
            let now = text(header::DATE).and_then(date).unwrap_or_else(jiff::Timestamp::now);
            Duration::try_from(date(wish)?.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// What to report when there was no answer.
pub(crate) fn failure(error: &ureq::Error, who: &str, patience: Duration, authorities: &str) -> Failure {
    let inner: &(dyn std::error::Error + 'static) = match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Rustls(error) => error,
        other => other,
    };
    if let Some(advice) = trust::advice(inner, authorities) {
        return Failure::later(format!("{who}: {advice}"));
    }
    let seconds = patience.as_secs_f64();
    Failure::later(match error {
        ureq::Error::Timeout(ureq::Timeout::Resolve) => format!("no answer from DNS about {who} in time"),
        ureq::Error::Timeout(_) => format!("no answer from {who} within {seconds:.0} s"),
        ureq::Error::HostNotFound => not_found(who),
        ureq::Error::ConnectionFailed => {
            format!("no connection to {who}: check `url` and the firewalls between")
        }
        ureq::Error::ConnectProxyFailed(reason) => {
            let reason: String = Untrusted::new(reason.trim()).to_string().chars().take(EXCERPT).collect();
            format!("the proxy made no connection to {who}: {reason}")
        }
        // The only name that the standard library has for it.
        ureq::Error::Io(error) if error.to_string().contains("lookup address") => not_found(who),
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::ConnectionRefused => format!("{who} refused the connection: is the receiver running?"),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                format!("{who} closed the connection without an answer")
            }
            _ => format!("no connection to {who} ({error}): check `url`"),
        },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => format!("{who} cannot be asked: check `url`"),
        other => format!("{who} gave no proper answer ({other})"),
    })
}

fn not_found(who: &str) -> String {
    format!("the name in {who} was not found: check `url` and this machine's DNS")
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;

    use super::*;

    fn wait(retry: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_static(date));
        }
        wish(&headers).map(|wish| wish.as_secs())
    }

    #[test]
    fn a_receiver_says_when_to_come_back_in_seconds_or_by_date() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait("Sun, 06 Nov 1994 08:51:07 GMT", date), Some(90));
        assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT", date), Some(0));
        assert_eq!(wait("99999999999", None), Some(3600));
        assert_eq!(wait("soon", date), None);
    }
}
