//! Which packets the kernel hands over: two programs for its packet filter (BPF, Linux `Documentation/networking/filter`).
//!
//! A connection that goes on is most of the traffic, and none of it may cost us anything. What is kept begins something
//! or belongs to nothing; where the filter cannot tell, the packet is kept and the sensor looks again. Offsets count
//! from the header of IP. Reading beyond the end of a packet drops it.

use socket2::SockFilter;

use haldane_core::sensor::SNAP;

/// Opcodes (`linux/bpf_common.h`): class, size, mode.
mod code {
    /// A <- byte at k.
    pub(super) const LOAD_BYTE: u16 = 0x30;
    /// A <- 16 bits at k.
    pub(super) const LOAD_HALF: u16 = 0x28;
    /// A <- 32 bits at k.
    pub(super) const LOAD_WORD: u16 = 0x20;
    /// A <- byte at X + k.
    pub(super) const LOAD_BYTE_FROM_X: u16 = 0x50;
    /// X <- 4 * (byte at k & 15): the length of a header of IPv4.
    pub(super) const LOAD_LENGTH: u16 = 0xb1;
    /// A <- A - X.
    pub(super) const SUBTRACT_X: u16 = 0x1c;
    /// A <- A & k.
    pub(super) const AND: u16 = 0x54;
    /// A = k?
    pub(super) const EQUAL: u16 = 0x15;
    /// A > k?
    pub(super) const GREATER: u16 = 0x25;
    /// A & k?
    pub(super) const ANY: u16 = 0x45;
    /// The packet is handed over, k bytes of it.
    pub(super) const RETURN: u16 = 0x06;
}
use code::{
    AND, ANY, EQUAL, GREATER, LOAD_BYTE, LOAD_BYTE_FROM_X, LOAD_HALF, LOAD_LENGTH, LOAD_WORD, RETURN,
    SUBTRACT_X,
};

/// Where the kernel says whom a packet is for (`SKF_AD_OFF + SKF_AD_PKTTYPE`).
const WHOM: u32 = 0xffff_f004;
/// The last of us, everybody, a group; then come others, and what we send.
const A_GROUP: u32 = 2;

/// A step of a program.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Does something.
    Do(u16, u32),
    /// Asks something.
    If(u16, u32, To, To),
}
use Step::{Do, If};

/// Where it goes on.
#[derive(Debug, Clone, Copy)]
enum To {
    /// With the next step.
    Next,
    /// After so many steps.
    Skip(usize),
    Keep,
    Drop,
}
use To::{Drop, Keep, Next, Skip};

const V4: &[Step] = &[
    Do(LOAD_WORD, WHOM),
    If(GREATER, A_GROUP, Drop, Next),
    // Later fragments tell nothing.
    Do(LOAD_HALF, 6),
    If(ANY, 0x1fff, Drop, Next),
    Do(LOAD_LENGTH, 0),
    Do(LOAD_BYTE, 9),
    If(EQUAL, 17, Keep, Next),
    If(EQUAL, 1, Next, Skip(5)),
    // ICMP: echo, timestamp, information, address mask request.
    Do(LOAD_BYTE_FROM_X, 0),
    If(EQUAL, 8, Keep, Next),
    If(EQUAL, 13, Keep, Next),
    If(EQUAL, 15, Keep, Next),
    If(EQUAL, 17, Keep, Drop),
    If(EQUAL, 6, Next, Drop),
    // TCP. Nobody cuts it up but who hides its flags in the second fragment.
    Do(LOAD_HALF, 6),
    If(ANY, 0x2000, Keep, Next),
    Do(LOAD_BYTE_FROM_X, 13),
    // RST, or ACK with SYN, PSH or URG: of a connection. Without ACK: none has begun yet.
    If(ANY, 0x04, Drop, Next),
    If(ANY, 0x10, Next, Keep),
    If(ANY, 0x2a, Drop, Next),
    // ACK, perhaps FIN: with 20 bytes of options, as nmap's OS probes, or with nothing at all.
    Do(LOAD_BYTE_FROM_X, 12),
    Do(AND, 0xf0),
    If(EQUAL, 0xa0, Keep, Next),
    If(EQUAL, 0x50, Next, Drop),
    Do(LOAD_HALF, 2),
    Do(SUBTRACT_X, 0),
    If(EQUAL, 20, Keep, Drop),
];

const V6: &[Step] = &[
    Do(LOAD_WORD, WHOM),
    If(GREATER, A_GROUP, Drop, Next),
    Do(LOAD_BYTE, 6),
    If(EQUAL, 17, Keep, Next),
    // Extension headers: hop-by-hop options, routing, fragment, authentication, destination options. They are rare.
    If(EQUAL, 0, Keep, Next),
    If(EQUAL, 43, Keep, Next),
    If(EQUAL, 44, Keep, Next),
    If(EQUAL, 51, Keep, Next),
    If(EQUAL, 60, Keep, Next),
    If(EQUAL, 58, Next, Skip(3)),
    // ICMPv6: echo request, node information query.
    Do(LOAD_BYTE, 40),
    If(EQUAL, 128, Keep, Next),
    If(EQUAL, 139, Keep, Drop),
    If(EQUAL, 6, Next, Drop),
    // TCP, as above.
    Do(LOAD_BYTE, 53),
    If(ANY, 0x04, Drop, Next),
    If(ANY, 0x10, Next, Keep),
    If(ANY, 0x2a, Drop, Next),
    Do(LOAD_BYTE, 52),
    Do(AND, 0xf0),
    If(EQUAL, 0xa0, Keep, Next),
    If(EQUAL, 0x50, Next, Drop),
    Do(LOAD_HALF, 4),
    If(EQUAL, 20, Keep, Drop),
];

/// An instruction as the kernel takes it.
type Instruction = (u16, u8, u8, u32);

/// The program for IPv4.
pub(super) fn v4() -> Vec<SockFilter> {
    compiled(V4)
}

/// The program for IPv6.
pub(super) fn v6() -> Vec<SockFilter> {
    compiled(V6)
}

fn compiled(steps: &[Step]) -> Vec<SockFilter> {
    assemble(steps).into_iter().map(|(code, yes, no, k)| SockFilter::new(code, yes, no, k)).collect()
}

/// Turns destinations into distances; two returns are at the end.
fn assemble(steps: &[Step]) -> Vec<Instruction> {
    let distance = |at: usize, to: To| {
        let left = steps.len().saturating_sub(at).saturating_sub(1);
        let distance = match to {
            Next => 0,
            Skip(steps) => steps,
            Keep => left,
            Drop => left.saturating_add(1),
        };
        // The kernel refuses a program that leads out of itself.
        u8::try_from(distance).unwrap_or(u8::MAX)
    };
    let instruction = |(at, step): (usize, &Step)| match *step {
        Do(code, k) => (code, 0, 0, k),
        If(code, k, yes, no) => (code, distance(at, yes), distance(at, no), k),
    };
    let keep = u32::try_from(SNAP).unwrap_or(u32::MAX);
    steps.iter().enumerate().map(instruction).chain([(RETURN, 0, 0, keep), (RETURN, 0, 0, 0)]).collect()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Runs a program as the kernel does; returns whether the packet is kept. `whom`: see [`WHOM`].
    fn keeps(steps: &[Step], packet: &[u8], whom: u32) -> bool {
        let program = assemble(steps);
        let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
        loop {
            let (code, yes, no, k) = program[at];
            at += 1;
            let byte = |place: u32| packet.get(usize::try_from(place).unwrap()).map(|byte| u32::from(*byte));
            let half = |place: u32| Some(byte(place)? << 8 | byte(place + 1)?);
            let loaded = match code {
                LOAD_WORD => Some(whom),
                LOAD_BYTE => byte(k),
                LOAD_HALF => half(k),
                LOAD_BYTE_FROM_X => byte(x + k),
                LOAD_LENGTH => byte(k),
                SUBTRACT_X => Some(a.wrapping_sub(x)),
                AND => Some(a & k),
                RETURN => return k > 0,
                _ => {
                    let answer = match code {
                        EQUAL => a == k,
                        GREATER => a > k,
                        _ => a & k != 0,
                    };
                    at += usize::from(if answer { yes } else { no });
                    continue;
                }
            };
            let Some(loaded) = loaded else { return false };
            if code == LOAD_LENGTH { x = 4 * (loaded & 15) } else { a = loaded }
        }
    }

    /// A packet of IPv4 with so many bytes of options.
    fn v4(protocol: u8, options: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let length = 20 + u16::from(options) + u16::try_from(payload.len()).unwrap();
        let mut packet = vec![0; usize::from(20 + options)];
        packet[0] = 0x45 + (options >> 2);
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[6..8].copy_from_slice(&fragment.to_be_bytes());
        packet[9] = protocol;
        packet.extend_from_slice(payload);
        packet
    }

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[4..6].copy_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        packet[6] = next;
        packet.extend_from_slice(payload);
        packet
    }

    fn tcp(flags: u8, options: u8, data: usize) -> Vec<u8> {
        let mut header = vec![0; 20 + usize::from(options) + data];
        header[12] = (20 + options) << 2;
        header[13] = flags;
        header
    }

    fn both(protocol: (u8, u8), payload: &[u8]) -> bool {
        let plain = keeps(V4, &v4(protocol.0, 0, 0, payload), 0);
        assert_eq!(plain, keeps(V4, &v4(protocol.0, 8, 0x4000, payload), 0), "options and DF change nothing");
        assert_eq!(plain, keeps(V6, &v6(protocol.1, payload), 0), "IPv6 is no different");
        plain
    }

    #[test]
    fn what_begins_something_or_belongs_to_nothing_is_kept() {
        let kept = [0x02, 0xc2, 0x00, 0x01, 0x29, 0x2b, 0x08, 0x20, 0x03];
        kept.iter().for_each(|flags| assert!(both((6, 6), &tcp(*flags, 0, 0)), "{flags:#x}"));
        assert!(both((6, 6), &tcp(0x02, 20, 0)), "SYN with options");
        assert!(both((6, 6), &tcp(0x02, 20, 50)), "SYN with data");
        assert!(both((6, 6), &tcp(0x10, 0, 0)), "a bare ACK");
        assert!(both((6, 6), &tcp(0x11, 0, 0)), "a bare FIN with ACK");
        assert!(both((6, 6), &tcp(0x10, 20, 0)), "the T4 and T6 probes of nmap");
        assert!(both((17, 17), &[0; 8]));
    }

    #[test]
    fn what_goes_on_is_dropped() {
        for flags in [0x12, 0x04, 0x14, 0x18, 0x19, 0x30] {
            assert!(!both((6, 6), &tcp(flags, 0, 0)), "{flags:#x}");
        }
        assert!(!both((6, 6), &tcp(0x10, 12, 0)), "ACK with a timestamp");
        assert!(!both((6, 6), &tcp(0x10, 0, 1)), "ACK with data");
        assert!(!both((6, 6), &tcp(0x02, 0, 0)[..13]), "cut off before the flags");
        assert!(!both((47, 47), &[0; 40]), "another protocol");
    }

    #[test]
    fn requests_of_icmp_are_kept_and_answers_and_errors_are_not() {
        for (kind, kept) in
            [(8, true), (13, true), (15, true), (17, true), (0, false), (3, false), (14, false)]
        {
            assert_eq!(keeps(V4, &v4(1, 4, 0, &[kind, 0, 0, 0]), 0), kept, "{kind}");
        }
        for (kind, kept) in [(128, true), (139, true), (129, false), (135, false), (1, false)] {
            assert_eq!(keeps(V6, &v6(58, &[kind, 0, 0, 0]), 0), kept, "{kind}");
        }
    }

    #[test]
    fn first_fragments_are_kept_and_later_ones_are_not() {
        assert!(keeps(V4, &v4(6, 0, 0x2000, &[0; 8]), 0));
        assert!(!keeps(V4, &v4(6, 0, 0x0001, &[0; 8]), 0));
        assert!(keeps(V6, &v6(44, &[0; 16]), 0));
    }

    #[test]
    fn what_is_for_others_or_from_us_is_dropped() {
        let syn = v4(6, 0, 0, &tcp(2, 0, 0));
        let kept = (0..6).map(|whom| keeps(V4, &syn, whom)).collect::<Vec<_>>();
        assert_eq!(kept, [true, true, true, false, false, false]);
        assert!(!keeps(V6, &v6(6, &tcp(2, 0, 0)), 3));
    }
}
