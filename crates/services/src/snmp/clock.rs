//! How long the agent has been up, by its own account: a story that goes on across our restarts and needs no record
//! of them. From an instant of its own, it starts anew once in a number of weeks, and each start counts.

use std::time::{Duration, SystemTime};

/// The earliest that an agent was installed: 1 June 2023.
const EPOCH: Duration = Duration::from_secs(1_685_577_600);
/// Installed within this time after that.
const INSTALLED: u64 = 500 * 24 * 3_600;
/// Never up for less, if not for the first time.
const SHORTEST: u64 = 20 * 24 * 3_600;
/// As much longer at most.
const LONGER: u64 = 50 * 24 * 3_600;

/// The agent's account.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    installed: SystemTime,
    period: Option<Duration>,
}

impl Clock {
    /// From random numbers, which are to be kept.
    pub fn of(installed: u32, period: u32) -> Self {
        let within = |number: u32, most: u64| u64::from(number).checked_rem(most).unwrap_or_default();
        let installed = EPOCH.saturating_add(Duration::from_secs(within(installed, INSTALLED)));
        let period = SHORTEST.saturating_add(within(period, LONGER));
        Self {
            installed: SystemTime::UNIX_EPOCH.checked_add(installed).unwrap_or(SystemTime::UNIX_EPOCH),
            period: Some(Duration::from_secs(period)),
        }
    }

    /// Up since then, without a break.
    pub fn since(instant: SystemTime) -> Self {
        Self { installed: instant, period: None }
    }

    /// When it was installed, in seconds of Unix.
    pub fn installed(self) -> u64 {
        self.installed.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// How often it has started by now, and how long ago it did last.
    pub fn at(self, now: SystemTime) -> (i64, Duration) {
        let age = now.duration_since(self.installed).unwrap_or_default();
        let Some(period) = self.period else { return (1, age) };
        let starts = age.as_secs().checked_div(period.as_secs()).unwrap_or_default();
        let before = Duration::from_secs(starts.saturating_mul(period.as_secs()));
        (i64::try_from(starts).unwrap_or_default().saturating_add(1), age.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn days(count: u32) -> SystemTime {
        let since = EPOCH.saturating_add(DAY.saturating_mul(count));
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap()
    }

    #[test]
    fn each_start_counts_and_time_begins_anew() {
        let clock = Clock::of(0, 10 * 24 * 3_600);
        assert_eq!(clock.at(days(0)), (1, Duration::ZERO));
        assert_eq!(clock.at(days(29)), (1, DAY.saturating_mul(29)));
        assert_eq!(clock.at(days(31)), (2, DAY));
        assert_eq!(clock.at(days(301)), (11, DAY));
    }

    #[test]
    fn a_clock_that_is_wrong_breaks_nothing() {
        for number in [0, 1, u32::MAX] {
            assert_eq!(Clock::of(number, number).at(SystemTime::UNIX_EPOCH), (1, Duration::ZERO));
        }
    }

    #[test]
    fn a_given_instant_is_the_only_start() {
        let clock = Clock::since(days(1));
        assert_eq!(clock.at(days(400)), (1, DAY.saturating_mul(399)));
        assert_eq!(clock.at(days(0)), (1, Duration::ZERO));
    }
}
