//! What gives git daemons of honeypots away, sent to ours as those who hunt for them send it (honeypot-auditor). None
//! may match, and each must leave an event that names the hunter.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use haldane_core::Value;
use haldane_services::{
    ALL,
    replay::{Ending, Outcome, build, show, talk},
};

const BAIT: &str = "repository = \"tests/data/payroll.git\"";

fn ask(settings: &[&str], pieces: &[&[u8]]) -> Outcome {
    let entry = ALL.iter().find(|entry| entry.name == "git").unwrap();
    talk(build(entry, settings).unwrap().stream.unwrap().as_ref(), pieces, true)
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

fn has(outcome: &Outcome, part: &str) -> bool {
    String::from_utf8_lossy(&outcome.reply).to_lowercase().contains(&part.to_lowercase())
}

#[test]
fn a_repository_that_is_not_there_is_not_refused_in_the_words_of_honeypots() {
    for (path, host) in [("/hpaudit.git", "x"), ("/user-12ab.git", "auditor.invalid")] {
        let outcome = ask(&[], &[&line(&format!("git-upload-pack {path}\0host={host}\0"))]);
        assert!(!has(&outcome, "no such repository"), "{}", outcome.reply.escape_ascii());
        assert!(!has(&outcome, "service=git-upload-pack"));
        assert!(outcome.seen.iter().any(|seen| seen.fields["probe"] == Value::from("honeypot detector")));
    }
}

/// OpenCanary sends a line feed behind the packet, and a NUL in it.
#[test]
fn an_answer_is_one_packet_and_nothing_more() {
    for service in ["upload-pack", "receive-pack", "upload-archive"] {
        let outcome = ask(&[], &[&line(&format!("git-{service} /ghost.git\0host=x\0"))]);
        let reply = String::from_utf8(outcome.reply).unwrap();
        assert_eq!(usize::from_str_radix(&reply[..4], 16).unwrap(), reply.len());
        assert!(!reply.contains(['\0', '\n']) && reply.ends_with(": /ghost.git"), "{reply:?}");
        assert_eq!(outcome.ending, Ending::Close);
    }
}

/// What it advertises, it does: a pack follows on the same connection, and what nobody has is refused.
#[test]
fn the_capabilities_of_the_bait_are_no_lie() {
    let open = line("git-upload-pack /payroll.git\0host=auditor.invalid\0");
    let advertised = ask(&[BAIT], &[&open]);
    let master = String::from_utf8_lossy(&advertised.reply[4..44]).into_owned();
    let negotiate = |id: &str| {
        let want = line(&format!("want {id} multi_ack thin-pack side-band-64k\n"));
        ask(&[BAIT], &[&open, &[want, b"0000".to_vec(), line("done\n")].concat()])
    };
    assert!(has(&negotiate(&master), "0008NAK\n"));
    assert!(negotiate(&master).reply.windows(8).any(|part| part == b"PACK\0\0\0\x02"));
    assert!(has(&negotiate(&"0".repeat(40)), "ERR upload-pack: not our ref 0000"));
}

#[test]
fn every_message_leaves_an_event() {
    for bytes in
        [&b"GET / HTTP/1.0\r\n\r\n"[..], b"0000", b"0004", b"zzzz", b"0012git-foo /bar\0\0", b"\0\0\0\0"]
    {
        let outcome = ask(&[], &[bytes]);
        let shown: Vec<String> = outcome.seen.iter().map(show).collect();
        assert!(shown.iter().any(|seen| seen.starts_with("git.malformed error=")), "{shown:?}");
    }
}
