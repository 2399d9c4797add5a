//! What the fuzzers once found, and the client's side of every transcript, through the fuzzers' own functions.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    unreachable_pub,
    reason = "a test may panic"
)]

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
    let targets: [(&str, Target); 8] = [
        ("sessions", targets::sessions),
        ("sensors", targets::sensors),
        ("config", targets::config),
        ("encoders", targets::encoders),
        ("tls_hello", targets::tls_hello),
        ("proxy", targets::proxy),
        ("ntlm", targets::ntlm),
        ("smb", targets::smb),
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

#[test]
fn noise_over_what_sensors_are_fed_breaks_none_of_them() {
    let audit =
        &b"smbd_audit[7]: u|192.0.2.7|192.0.2.1|m|s|l|v|a|t|D|openat|ok|r|{\"type\": \"Authentication\"}"[..];
    let login = b"Auth: [SMB2,(null)] user [D]\\[eve\\x0a] at [t] with [p] status [s] workstation [w] remote host [ipv6:::1:9]";
    let answer = b"\x80\0\0\x01\0\x02\0\0\0\0\xc0\x0c\0\x05\0\x01\0\0\0\x1e\0\x04\x01a\xc0\x0c\xc0\x0c\0 \0\x01\0\0\0\x1e\0\x06\0\0\x0a\0\0\x01";
    let line = b"canaryfw: IN=eth0 OUT= SRC=192.0.2.7 DST=192.0.2.1 DF PROTO=TCP SPT=4711 DPT=22 RES=0x00 SYN URGP=0";
    let packet =
        b"\x60\0\0\0\0\x24\0\x40\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x42\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
        \x2c\0\x01\x04\0\0\0\0\x06\0\0\x01\0\0\0\x07\x12\x34\0\x50\0\0\0\0\0\0\0\0\x50\x02\x04\0\0\0\0\0";
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..3_000 {
        for seed in [audit, login, answer, line, packet] {
            let mut bytes = seed.to_vec();
            for _ in 0..below(4) {
                let at = below(bytes.len());
                bytes[at] = u8::try_from(below(256)).unwrap();
            }
            bytes.truncate(bytes.len() - below(3) * below(20));
            let head = [u8::try_from(below(8)).unwrap(), u8::try_from(below(256)).unwrap()];
            targets::sensors(&[&head[..], &bytes].concat());
        }
    }
}

#[test]
fn noise_over_logins_breaks_nothing() {
    let first =
        &b"NTLMSSP\0\x01\0\0\0\x37\x82\x08\xe2\0\0\0\0\x28\0\0\0\0\0\0\0\x28\0\0\0\x0a\0\x61\x4a\0\0\0\x0f"[..];
    // Its NtChallengeResponse is all of it, which has pairs behind 44 bytes.
    let last = b"NTLMSSP\0\x03\0\0\0\0\0\0\0\x40\0\0\0\x60\0\x60\0\0\0\0\0\x02\0\x02\0\x40\0\0\0\x02\0\x02\0\x40\0\0\0\
                 \x06\0\x04\0\x02\0\0\0\x09\0\x02\0\x01\x82\x08\xe2e\0\x09\0\x02\0a\0\0\0\0\0abcdefghijklmnopqrst";
    let spnego = b"\x60\x3a\x06\x06\x2b\x06\x01\x05\x05\x02\xa0\x30\x30\x2e\xa0\x0e\x30\x0c\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\
                   \x02\x02\x0a\xa2\x1c\x04\x1aNTLMSSP\0\x01\0\0\0\x37\x82\x08\xe2\0\0\0\0\0\0\0\0\0\0";
    let ticket = b"\x6e\x26\x30\x24\xa3\x22\x61\x20\x30\x1e\xa1\x03\x1b\x01R\xa2\x0c\x30\x0a\xa1\x08\x30\x06\x1b\x01h\x1b\x01i\
                   \xa3\x09\x30\x07\xa0\x03\x02\x01\x12\xa2\0";
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..5_000 {
        let mut input = Vec::new();
        for _ in 0..=below(3) {
            let mut token = [first, last, spnego, ticket][below(4)].to_vec();
            for _ in 0..below(5) {
                let at = below(token.len());
                token[at] = u8::try_from(below(256)).unwrap();
            }
            token.truncate(token.len() - below(3) * below(8));
            input.extend(u16::try_from(token.len()).unwrap().to_be_bytes());
            input.extend(token);
        }
        targets::ntlm(&input);
    }
}

#[test]
fn noise_over_calls_and_paths_of_smb_breaks_nothing() {
    let text = b"\x01\0\0\0\x03\0\0\0\0\0\0\0\x03\0\0\0\\\0\\\0\0\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0";
    let paths: [&[u8]; 4] =
        [b"IT\\Passwords.kdbx", b"Readme.txt::$DATA", b"..\\..\\etc\\passwd", b"Finance\\*.xl?"];
    let mut state = 1_u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for round in 0..4_000 {
        let mut input = vec![u8::try_from(below(7)).unwrap()];
        if round % 4 == 0 {
            input = paths[below(4)].to_vec();
        } else {
            for _ in 0..below(6) {
                input.extend([u8::try_from(below(96)).unwrap(), u8::try_from(text.len()).unwrap()]);
                input.extend(text);
            }
        }
        for _ in 0..below(5) {
            let at = below(input.len());
            input[at] = u8::try_from(below(256)).unwrap();
        }
        targets::smb(&input);
    }
}
