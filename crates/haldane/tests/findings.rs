//! What the fuzzers once found, and the client's side of every transcript, through the fuzzers' own functions.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "a test may panic")]

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

use haldane_services::{ALL, replay::unescape};

/// The inputs in that folder of fuzz/findings.
fn findings(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/findings").join(target);
    let files = fs::read_dir(folder).into_iter().flatten();
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

#[test]
fn no_finding_comes_back() {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 5] = [
        ("sessions", targets::sessions),
        ("config", targets::config),
        ("encoders", targets::encoders),
        ("tls_hello", targets::tls_hello),
        ("proxy", targets::proxy),
    ];
    for (name, target) in targets {
        findings(name).iter().for_each(|input| target(input));
    }
}

#[test]
fn transcripts_break_nothing_whole_or_in_pieces() {
    for (pick, entry) in ALL.iter().enumerate() {
        let talks =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../services/src").join(entry.name).join("talks");
        for file in fs::read_dir(talks).into_iter().flatten() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let said: Vec<u8> =
                text.lines().filter_map(|line| line.strip_prefix("C: ")).flat_map(unescape).collect();
            for cut in [1, 7, 90] {
                targets::sessions(&[&[u8::try_from(pick).unwrap(), cut], said.as_slice()].concat());
            }
        }
    }
}

#[test]
fn both_formats_of_the_configuration_are_read_by_the_fuzzer() {
    targets::config(haldane::config::EMBEDDED.as_bytes());
    targets::config(include_bytes!("opencanary-full.conf"));
    targets::config(b"{\"ftp.enabled\": [[[[");
}
