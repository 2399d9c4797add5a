//! How often something may happen: a bucket of tokens, in one number.

/// What may happen at once after a pause: the burst of `iptables -m limit` unless it is told otherwise.
const BURST: u64 = 5;

/// A rate, as a time between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// In microseconds; `None`: never.
    every: Option<u64>,
    burst: u64,
}

impl Rate {
    /// So many in so many seconds; 0: none at all.
    pub(super) fn new(count: u64, seconds: u64) -> Self {
        Self { every: seconds.saturating_mul(1_000_000).checked_div(count), burst: BURST }
    }

    /// With another burst.
    pub(super) fn burst(self, burst: u64) -> Self {
        Self { burst, ..self }
    }
}

/// When the bucket will be full again (the "generic cell rate algorithm", ITU-T I.371, annex A), in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bucket(u64);

impl Bucket {
    /// Takes one, if there is one. `now` in milliseconds.
    pub(super) fn take(&mut self, rate: Rate, now: u64) -> bool {
        let Some(every) = rate.every else { return false };
        let now = now.saturating_mul(1000);
        let most = every.saturating_mul(rate.burst);
        // A clock that was set back must not keep it shut.
        let full = if self.0 > now.saturating_add(most) { now } else { self.0.max(now) };
        let then = full.saturating_add(every);
        let taken = then <= now.saturating_add(most);
        if taken {
            self.0 = then;
        }
        taken
    }
}
