//! Requests that were seen a moment ago: over UDP, a client sends the same again until it is answered (RFC 3261,
//! section 17.1), and that is one request.

use std::{
    collections::{VecDeque, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

/// How many are remembered, the last ones.
const KEPT: usize = 1024;

/// How long a request is repeated: 64 times T1 (RFC 3261, section 17.1.2.2, timer F).
const REPEATED: Duration = Duration::from_secs(32);

/// The last requests, as hashes that nobody outside can foresee.
#[derive(Debug, Default)]
pub(super) struct Recent {
    keys: RandomState,
    seen: VecDeque<(u64, SystemTime)>,
}

impl Recent {
    /// Whether that source sent exactly this a moment ago. It has now.
    pub(super) fn repeats(&mut self, source: SocketAddr, datagram: &[u8], now: SystemTime) -> bool {
        let key = self.keys.hash_one((source, datagram));
        let is_old = |since: &SystemTime| now.duration_since(*since).is_ok_and(|age| age > REPEATED);
        while self.seen.len() >= KEPT || self.seen.front().is_some_and(|(_, since)| is_old(since)) {
            self.seen.pop_front();
        }
        let repeats = self.seen.iter().any(|(own, _)| *own == key);
        if !repeats {
            self.seen.push_back((key, now));
        }
        repeats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_from_the_same_source_is_a_repetition_for_a_while() {
        let (one, other) = (SocketAddr::from(([192, 0, 2, 1], 1)), SocketAddr::from(([192, 0, 2, 1], 2)));
        let mut recent = Recent::default();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!recent.repeats(one, b"a", at(100)));
        assert!(recent.repeats(one, b"a", at(132)));
        assert!(!recent.repeats(other, b"a", at(132)));
        assert!(!recent.repeats(one, b"b", at(132)));
        assert!(!recent.repeats(one, b"a", at(133)));
        for number in 0..5_000_u32 {
            recent.repeats(one, &number.to_be_bytes(), at(134));
        }
        assert!(recent.seen.len() <= KEPT);
    }
}
