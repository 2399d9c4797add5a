//! The packet of RFC 5905, section 7.3, and the clock that answers it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use haldane_core::{Halt, Host, Input, Section};

/// From 1900 to 1970, in seconds (RFC 5905, figure 4).
const ERA: u64 = 2_208_988_800;
/// How long ntpd goes between two looks at its own server once it is settled: 2^10 seconds.
const INTERVAL: u64 = 1024;
/// By how much a clock may be wrong for each second since then, in parts per million (PHI, RFC 5905, section 7.2).
const DRIFT: u64 = 15;
/// The shortest interval that ntpd names in an answer, as an exponent of 2 (`NTP_MINPOLL`).
const SHORTEST: u8 = 3;
/// The precision of a Linux server's clock, as an exponent of 2: 2^-24 seconds.
pub(super) const PRECISION: i8 = -24;
/// First octets of addresses at which public servers of stratum 1 stand.
const UPSTREAM: [u8; 8] = [129, 131, 132, 193, 194, 195, 212, 213];

/// What matters of a client's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    version: u8,
    mode: u8,
    poll: u8,
    /// The client's time, which our answer repeats: it may be anything.
    pub(super) transmit: [u8; 8],
}

impl Packet {
    /// Reads one. Extension fields and authentication may follow; they are passed over.
    pub(super) fn parse(input: &mut Input<'_>) -> Result<Self, Halt> {
        let [first, _stratum, poll] = input.array()?;
        input.take(37)?;
        let transmit = input.array()?;
        Ok(Self { version: (first >> 3) & 7, mode: first & 7, poll, transmit })
    }

    /// Whether ntpd answers it: a client, or a peer that it does not know. In version 1 clients had no mode of
    /// their own.
    pub(super) fn asks(&self) -> bool {
        let mode = matches!(self.mode, 1 | 3) || (self.mode == 0 && self.version == 1);
        mode && (1..=4).contains(&self.version)
    }
}

/// A clock that follows a server of stratum 1.
#[derive(Debug)]
pub(super) struct Clock {
    pub(super) stratum: u8,
    /// The server that it follows.
    pub(super) reference: [u8; 4],
    /// Different for each canary, the same after a restart: when it looks, and how far its server is.
    phase: u64,
    distance: u64,
}

impl Clock {
    pub(super) fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let stratum = section.number("stratum", 2, 1..=15, "How far from a reference clock it says it is.");
        let upstream = section.optional(
            "upstream",
            "The IPv4 address of the server that it says it follows. Left out: one that is made up once.",
        );
        let mut bytes = || {
            let mut fresh = vec![0; 12];
            openssl::rand::rand_bytes(&mut fresh).map(|()| fresh).map_err(|error| error.to_string())
        };
        let kept = host.keep.keep(None, "ntp_clock", &mut bytes).unwrap_or_default();
        let at = |index: usize| kept.get(index).copied().unwrap_or(1);
        let made_up = {
            let first = UPSTREAM.get(usize::from(at(0) & 7)).copied().unwrap_or(193);
            [first, at(1), at(2), at(3).max(1)]
        };
        let reference = upstream.map_or(Some(made_up), |text| {
            text.parse::<std::net::Ipv4Addr>().ok().map(|address| address.octets())
        });
        if reference.is_none() {
            section.invalid("upstream", "expected an IPv4 address");
        }
        Self {
            stratum: u8::try_from(stratum).unwrap_or(2),
            reference: reference.unwrap_or(made_up),
            phase: u64::from(u16::from_be_bytes([at(4), at(5)])) % INTERVAL,
            // 8 to 40 milliseconds.
            distance: u64::from(at(6)).saturating_mul(125).saturating_add(8_000),
        }
    }

    /// When it last looked at its server.
    pub(super) fn reference_time(&self, now: SystemTime) -> SystemTime {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let since = seconds.saturating_add(self.phase) % INTERVAL;
        // Not on the second: a real look is at any moment.
        let moment = Duration::from_micros(self.distance.saturating_mul(23) % 1_000_000);
        let then = now.checked_sub(Duration::from_secs(since)).unwrap_or(UNIX_EPOCH);
        then.checked_sub(moment).unwrap_or(UNIX_EPOCH)
    }

    /// Under which number it knows that server.
    pub(super) fn association(&self) -> u16 {
        u16::try_from(self.phase.saturating_mul(61).saturating_add(1009)).unwrap_or(41_867)
    }

    /// The way to the reference clock and back, in microseconds.
    pub(super) fn delay(&self) -> u64 {
        self.distance
    }

    /// By how much it may be wrong, in microseconds.
    pub(super) fn dispersion(&self, now: SystemTime) -> u64 {
        let since = now.duration_since(self.reference_time(now)).unwrap_or_default().as_secs();
        since.saturating_mul(DRIFT).saturating_add(self.distance.saturating_div(3))
    }

    /// The answer, as long as the packet without what may follow it.
    pub(super) fn answer(&self, packet: &Packet, now: SystemTime) -> [u8; 48] {
        let mode = if packet.mode == 1 { 2 } else { 4 };
        let head = [
            (packet.version << 3) | mode,
            self.stratum,
            packet.poll.max(SHORTEST),
            PRECISION.to_be_bytes()[0],
        ];
        let received = timestamp(now);
        // It takes a server some microseconds to answer.
        let sent = timestamp(
            now.checked_add(Duration::from_micros((self.distance % 17).saturating_add(11))).unwrap_or(now),
        );
        let parts: [&[u8]; 8] = [
            &head,
            &short(self.delay()),
            &short(self.dispersion(now)),
            &self.reference,
            &timestamp(self.reference_time(now)),
            &packet.transmit,
            &received,
            &sent,
        ];
        let mut answer = [0; 48];
        let bytes = parts.into_iter().flatten();
        answer.iter_mut().zip(bytes).for_each(|(byte, part)| *byte = *part);
        answer
    }
}

/// Seconds since 1900 and a fraction, 32 bits each; the seconds begin anew in 2036 (RFC 5905, section 6).
pub(super) fn timestamp(time: SystemTime) -> [u8; 8] {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(ERA) & u64::from(u32::MAX);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    ((seconds << 32) | fraction).to_be_bytes()
}

/// Seconds and a fraction, 16 bits each (RFC 5905, section 6).
fn short(micros: u64) -> [u8; 4] {
    let fixed = micros.saturating_mul(65_536).saturating_div(1_000_000);
    u32::try_from(fixed).unwrap_or(u32::MAX).to_be_bytes()
}
