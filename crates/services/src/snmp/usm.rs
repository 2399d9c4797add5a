//! The user-based security model (RFC 3414) of an agent that knows some users, and that no digest convinces.
//!
//! What is answered to what, and in which order errors are found, is that of Net-SNMP 5.9.

use std::sync::atomic::{AtomicU32, Ordering};

use haldane_core::{Login, Secret};
use haldane_wire::ber::Oid;

use super::message::{
    AUTH, BULK, Binding, COUNTER, GET, INFORM, NEXT, PRIV, Pdu, REPORT, REPORTABLE, SET, Scoped, Secured,
    Sender, Value, unsecured,
};

/// Counters of `usmStats` (RFC 3414, section 5), by the last number of their names.
const UNKNOWN_USER_NAMES: Stat = Stat(3);
const UNKNOWN_ENGINE_IDS: Stat = Stat(4);
const WRONG_DIGESTS: Stat = Stat(5);
const DECRYPTION_ERRORS: Stat = Stat(6);

/// `1.3.6.1.6.3.15.1.1`.
const USM_STATS: [u32; 8] = [43, 6, 1, 6, 3, 15, 1, 1];

/// `error-status` of RFC 3416.
const AUTHORIZATION_ERROR: i64 = 16;

/// Sizes of messages that may be asked for (RFC 3412, section 6.3), numbers of messages and starts, and
/// seconds.
const SIZES: std::ops::RangeInclusive<i64> = 484..=2_147_483_647;
const NUMBERS: std::ops::RangeInclusive<i64> = 0..=2_147_483_647;
/// The user-based security model (RFC 3411, section 5).
const USER_BASED: i64 = 3;
/// Longest name of a user (RFC 3414, section 5), and the longest engine that Net-SNMP looks up.
const LONGEST_USER: usize = 32;
const LONGEST_ENGINE: usize = 64;
/// Bytes of the salt of either cipher (RFC 3414, section 8.1.1.1; RFC 3826, section 3.1.2.1).
const SALT: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Stat(u32);

/// What the agent knows of users.
#[derive(Debug)]
pub struct Usm {
    engine: Vec<u8>,
    users: Vec<String>,
    /// By the number of the [`Stat`].
    counters: [AtomicU32; 7],
}

impl Usm {
    /// An engine of that id that has met nobody yet, and the names that it takes for its users'.
    pub fn new(engine: Vec<u8>, users: Vec<String>) -> Self {
        Self { engine, users, counters: Default::default() }
    }

    /// The answer, if there is one. `clock`: how often the engine started, and seconds since.
    pub fn answer(&self, asked: &Secured, clock: (i64, i64)) -> Option<Vec<u8>> {
        let secured = asked.flags & PRIV != 0;
        let sound = SIZES.contains(&asked.most)
            && [asked.id, asked.boots, asked.time].iter().all(|number| NUMBERS.contains(number))
            && asked.model == USER_BASED
            && (asked.flags & (AUTH | PRIV) != PRIV)
            && asked.user.len() <= LONGEST_USER
            && asked.engine.len() <= LONGEST_ENGINE;
        let (tag, id) = match &asked.scoped {
            Scoped::Plain { pdu: Ok(pdu), .. } => (Some(pdu.tag), pdu.id),
            Scoped::Plain { pdu: Err(flaw), .. } => (Some(flaw.tag).filter(|tag| *tag != 0), flaw.id),
            Scoped::Sealed | Scoped::Broken => (None, 0),
        };
        let salted = asked.salt.as_ref().is_some_and(|salt| !secured || salt.len() == SALT);
        // An error is told to who expects an answer; where that cannot be seen, to who says so.
        let expected = match tag.filter(|_| salted) {
            Some(tag) => matches!(tag, GET | NEXT | SET | BULK | INFORM),
            None => asked.flags & REPORTABLE != 0,
        };
        if !sound || !expected {
            return None;
        }
        let stat = if !salted {
            DECRYPTION_ERRORS
        } else if asked.engine != self.engine {
            UNKNOWN_ENGINE_IDS
        } else if !self.knows(&asked.user) {
            UNKNOWN_USER_NAMES
        } else if asked.flags & AUTH != 0 {
            WRONG_DIGESTS
        } else {
            return self.refusal(asked, clock);
        };
        let id = if secured || !salted { 0 } else { id };
        let report = self.report(stat, id);
        let context = (self.engine.as_slice(), &[][..]);
        Some(unsecured(asked.id, self.sender(clock), &asked.user, context, &report))
    }

    /// Its users may do nothing without authentication.
    fn refusal(&self, asked: &Secured, clock: (i64, i64)) -> Option<Vec<u8>> {
        let Scoped::Plain { engine, name, pdu: Ok(pdu) } = &asked.scoped else { return None };
        let answer = pdu.answer(AUTHORIZATION_ERROR, pdu.index, pdu.bindings.clone());
        Some(unsecured(asked.id, self.sender(clock), &asked.user, (engine, name), &answer))
    }

    fn report(&self, stat: Stat, id: i64) -> Pdu {
        let counter = usize::try_from(stat.0).ok().and_then(|at| self.counters.get(at));
        let count = counter.map_or(0, |counter| counter.fetch_add(1, Ordering::Relaxed)).wrapping_add(1);
        let name = Oid::of(&[&USM_STATS[..], &[stat.0, 0]].concat());
        let bindings = vec![Binding { name, value: Value::number(COUNTER, count) }];
        Pdu { tag: REPORT, id, padded: false, status: 0, index: 0, bindings }
    }

    fn sender(&self, (boots, time): (i64, i64)) -> Sender<'_> {
        Sender { engine: &self.engine, boots, time }
    }

    /// Whether it has a user of that name. Names end at a NUL, as they do in C.
    pub fn knows(&self, user: &[u8]) -> bool {
        let name = user.split(|byte| *byte == 0).next().unwrap_or_default();
        self.users.iter().any(|known| known.as_bytes() == name)
    }
}

/// The longest message that hashcat takes (mode 25000).
const LONGEST_CRACKABLE: usize = 1_500;

/// The credentials in a message. `message`: the datagram. The challenge is the engine's id, its length in a byte
/// before it, and what was authenticated, unless that is too long.
pub fn login(asked: &Secured, message: &[u8]) -> Login {
    let login = Login::new("usm").user(&asked.user);
    let message = message.get(..asked.length).unwrap_or(message);
    if asked.digest.is_empty() {
        return login;
    }
    // What was authenticated: the message with zeros in place of the digest (RFC 3414, section 6.3.1).
    let end = asked.digest_at.saturating_add(asked.digest.len());
    let mut zeroed = message.to_vec();
    zeroed.get_mut(asked.digest_at..end).unwrap_or_default().fill(0);
    let whole = if zeroed.len() > LONGEST_CRACKABLE { &[][..] } else { &zeroed };
    let length = u8::try_from(asked.engine.len()).unwrap_or(u8::MAX);
    let challenge = [&[length][..], &asked.engine, whole].concat();
    // The line of hashcat and john, by the algorithm, which shows in the digest's length alone: MD5 or SHA-1 (RFC
    // 3414; 25000 tries both), SHA-224, -256, -384, -512 (RFC 7860). Then a number of the packet.
    let algorithm = match asked.digest.len() {
        12 => Some(0),
        16 => Some(3),
        24 => Some(4),
        32 => Some(5),
        48 => Some(6),
        _ => None,
    };
    let line = |number| {
        let [message, engine, digest] = [whole, &asked.engine, &asked.digest].map(hex);
        format!("$SNMPv3${number}$0${message}${engine}${digest}")
    };
    login.secret(Secret::Response {
        scheme: "snmpv3".into(),
        crackable: algorithm.filter(|_| !whole.is_empty()).map(line),
        challenge: challenge.into(),
        response: asked.digest.as_slice().into(),
    })
}

/// In hex, as tools read it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
