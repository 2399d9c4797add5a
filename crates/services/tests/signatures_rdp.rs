//! What gives RDP decoys away, asked of ours: see `signatures.rs`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use haldane_core::Entry;
use haldane_services::{
    ALL,
    replay::{Ending, Outcome, build, talk},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "rdp").unwrap()
}

fn asked(settings: &[&str], pieces: &[&[u8]]) -> Outcome {
    let protocol = build(entry(), settings).unwrap().stream.unwrap();
    talk(protocol.as_ref(), pieces, true)
}

/// A first packet without a cookie that offers those protocols.
fn offering(protocols: u32) -> Vec<u8> {
    [&b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0"[..], &protocols.to_le_bytes()].concat()
}

/// The peer chooses network level authentication whatever it is offered, with flags that no Windows has together.
#[test]
fn the_choice_follows_the_offer_and_has_the_flags_of_windows() {
    for (protocols, chosen) in [(3, 2), (2, 2), (0x0b, 8), (0x1b, 8), (4, 4)] {
        let outcome = asked(&[], &[&offering(protocols)]);
        let confirm = [&b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0"[..], &[chosen, 0, 0, 0]].concat();
        assert_eq!((outcome.reply, outcome.ending), (confirm, Ending::Tls), "{protocols}");
        assert_eq!(outcome.seen.len(), 1);
    }
    for protocols in [0, 1, 0x10] {
        let outcome = asked(&[], &[&offering(protocols)]);
        let failure = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x03\0\x08\0\x05\0\0\0";
        assert_eq!((outcome.reply.as_slice(), outcome.ending), (&failure[..], Ending::Close), "{protocols}");
    }
}

/// It also answers what is not RDP, and whatever comes second with ten bytes of its own making. xrdp says goodbye in
/// MCS to what it does not understand.
#[test]
fn what_is_not_rdp_is_not_answered() {
    let made_up = b"\0\x01\0\x04\0\x01\0\0\x05\x2e";
    for junk in
        [&b"GET / HTTP/1.0\r\n\r\n"[..], b"\x16\x03\x01\0\x05hello", b"\x03\0\0\x04", b"hello\r\n\r\n"]
    {
        let outcome = asked(&[], &[junk]);
        assert_eq!((outcome.reply.as_slice(), outcome.ending), (&b""[..], Ending::Close), "{junk:?}");
        let outcome = asked(&["security = [\"rdp\"]"], &[&offering(0), junk]);
        assert!(!outcome.reply.windows(10).any(|window| window == made_up), "{junk:?}");
        assert_eq!((outcome.reply.len(), outcome.ending), (19, Ending::Close), "{junk:?}");
    }
}

/// Its pattern for the name of the cookie ends at the first character that it does not expect.
#[test]
fn a_name_is_kept_whole_where_the_peer_cuts_it() {
    for name in ["CORP\\j.doe", "john.doe", "j doe", "jürgen", ""] {
        let cookie = format!("Cookie: mstshash={name}\r\n");
        let length = u8::try_from(cookie.len()).unwrap();
        let packet = [
            &[3, 0, 0, length.saturating_add(19), length.saturating_add(14), 0xe0, 0, 0, 0, 0, 0][..],
            cookie.as_bytes(),
            b"\x01\0\x08\0\x03\0\0\0",
        ]
        .concat();
        let seen = asked(&[], &[&packet]).seen;
        assert_eq!(seen.first().unwrap().fields.get("username"), Some(&name.into()));
    }
}
