//! How a server turns away who failed too often.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

/// Sources that are remembered. Beyond it the one that was heard of least recently is forgotten.
const SOURCES: usize = 4096;

/// A server's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// TigerVNC and the RealVNC that it comes from (`Blacklist`): each connection is a mark, five of them block. Then
    /// one is let through after 10 seconds, the next after 20 more, and so on, doubled each time. Recorded.
    Marks,
    /// TightVNC (`RfbClientManager::checkForBan`): each failure blocks for half a second, doubled with each one, up
    /// to 13 times.
    Failures,
    /// UltraVNC (`vncServer::AddAuthHostsBlacklist`): the seventh connection that does not log in blocks, and
    /// each connection renews a time of ten seconds for each, after which all is forgotten.
    Connections,
}

/// What is known of a source.
#[derive(Debug, Clone, Copy)]
struct Known {
    count: u32,
    /// Until then it is turned away, or remembered.
    until: SystemTime,
    /// What is added next.
    wait: Duration,
    heard: SystemTime,
}

/// Who failed how often, over all connections of the service.
#[derive(Debug)]
pub(super) struct BackOff {
    rule: Rule,
    known: Mutex<HashMap<IpAddr, Known>>,
}

impl BackOff {
    pub(super) fn new(rule: Rule) -> Self {
        Self { rule, known: Mutex::default() }
    }

    /// A connection: whether it is turned away.
    pub(super) fn connected(&self, source: IpAddr, now: SystemTime) -> bool {
        self.with(source, now, |rule, known| match rule {
            Rule::Marks => known.mark(now),
            Rule::Failures => known.count > 0 && now < known.until,
            Rule::Connections => known.connection(now),
        })
    }

    /// A failed login.
    pub(super) fn failed(&self, source: IpAddr, now: SystemTime) {
        if self.rule == Rule::Failures {
            self.with(source, now, |_, known| {
                let doubled = 500_u64.checked_shl(known.count.min(13)).unwrap_or(u64::MAX);
                known.until = later(now, Duration::from_millis(doubled));
                known.count = known.count.saturating_add(1);
            });
        }
    }

    fn with<T>(&self, source: IpAddr, now: SystemTime, act: impl FnOnce(Rule, &mut Known) -> T) -> T {
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= SOURCES && !all.contains_key(&source) {
            let oldest = all.iter().min_by_key(|(_, known)| known.heard).map(|(source, _)| *source);
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let known = all.entry(source).or_insert(Known {
            count: 0,
            until: SystemTime::UNIX_EPOCH,
            wait: Duration::from_secs(10),
            heard: now,
        });
        known.heard = now;
        act(self.rule, known)
    }
}

impl Known {
    fn mark(&mut self, now: SystemTime) -> bool {
        if self.count < 4 {
            self.count = self.count.saturating_add(1);
            return false;
        }
        if now < self.until {
            return true;
        }
        self.until = later(now, self.wait);
        self.wait = self.wait.saturating_mul(2);
        false
    }

    fn connection(&mut self, now: SystemTime) -> bool {
        if self.count > 0 && now > self.until {
            self.count = 0;
        }
        if self.count > 6 {
            return true;
        }
        let tens = if self.count == 0 { 1 } else { self.count.saturating_sub(1) };
        self.until = later(now, Duration::from_secs(10).saturating_mul(tens));
        self.count = self.count.saturating_add(1);
        self.count > 6
    }
}

fn later(now: SystemTime, by: Duration) -> SystemTime {
    now.checked_add(by).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn at(seconds: u64) -> SystemTime {
        later(SystemTime::UNIX_EPOCH, Duration::from_secs(seconds.saturating_add(1_000_000)))
    }

    #[test]
    fn tigervnc_lets_five_in_then_one_after_10_20_and_40_seconds() {
        let back_off = BackOff::new(Rule::Marks);
        let let_in: Vec<u64> = (0..5)
            .map(|_| 0)
            .chain(0..80)
            .filter(|second| !back_off.connected(SOURCE, at(*second)))
            .collect();
        assert_eq!(let_in, [0, 0, 0, 0, 0, 10, 30, 70]);
        assert!(!back_off.connected("192.0.2.8".parse().unwrap(), at(75)), "another source");
    }

    #[test]
    fn tightvnc_waits_longer_with_each_failure() {
        let back_off = BackOff::new(Rule::Failures);
        for _ in 0..8 {
            assert!(!back_off.connected(SOURCE, at(0)));
        }
        for (failures, wait) in [(3, 2), (5, 64)] {
            for _ in 0..failures {
                back_off.failed(SOURCE, at(0));
            }
            assert!(back_off.connected(SOURCE, at(wait - 1)));
            assert!(!back_off.connected(SOURCE, at(wait)));
        }
    }

    #[test]
    fn ultravnc_blocks_the_seventh_connection_and_forgets_after_a_minute() {
        let back_off = BackOff::new(Rule::Connections);
        let turned_away: Vec<bool> = (0..9).map(|_| back_off.connected(SOURCE, at(0))).collect();
        assert_eq!(turned_away, [false, false, false, false, false, false, true, true, true]);
        assert!(back_off.connected(SOURCE, at(49)));
        assert!(!back_off.connected(SOURCE, at(61)));
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let back_off = BackOff::new(Rule::Marks);
        for number in 0..5_000_u32 {
            back_off.connected(IpAddr::V4(number.into()), at(number.into()));
        }
        assert_eq!(back_off.known.lock().unwrap().len(), SOURCES);
    }
}
