//! What a client gets to hear, and what is recorded of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod client;

use std::{path::Path, time::Duration};

use haldane_core::{Flow, Secret};
use openssl::hash::{MessageDigest, hash};
use proptest::prelude::*;

use self::client::{Client, NOW, OLD, USUAL, Wish, goodbye, half, refusal};
use super::{
    EXPLOIT, KEXINIT, NONE, PROBE, PUBLIC_KEY,
    hostkey::host_keys,
    kex,
    release::Release,
    wire::{Put, message},
};
use crate::replay::{InMemory, build};

/// A whole conversation with those algorithms, up to a password.
fn converse(version: &str, wish: Wish<'_>, strict: bool) {
    let mut client = Client::new(version, &[]);
    client.handshake(version, wish, strict);
    client.ask_for_service();
    assert_eq!(client.password("root", "hunter2"), [refusal("publickey,password")]);
    assert_eq!(client.passwords(), [b"hunter2"]);
}

#[test]
fn every_key_exchange_comes_to_its_end() {
    for version in [OLD, NOW, "SSH-2.0-OpenSSH_10.0p2", "SSH-2.0-OpenSSH_8.0"] {
        let release = super::release::Release::claimed(version);
        let host_key = "ssh-ed25519";
        for kex in release.kex().split(',').filter(|name| kex::method(name).is_some()) {
            let strict = release.kex().contains("kex-strict") && kex.contains("25519");
            converse(version, Wish { kex, host_key, ..USUAL }, strict);
        }
    }
}

#[test]
fn every_cipher_and_every_mac_carries_a_login() {
    for version in [OLD, NOW, "SSH-2.0-OpenSSH_6.0p1 Debian-4+deb7u2"] {
        let release = super::release::Release::claimed(version);
        let usual = Wish { kex: "ecdh-sha2-nistp256", host_key: "ecdsa-sha2-nistp256", ..USUAL };
        for cipher in release.ciphers().split(',') {
            converse(version, Wish { cipher, mac: "hmac-sha1", ..usual }, false);
        }
        for mac in release.macs().split(',') {
            for cipher in ["aes256-ctr", "aes128-cbc"] {
                if release.ciphers().contains(cipher) {
                    converse(version, Wish { cipher, mac, ..usual }, false);
                }
            }
        }
    }
}

#[test]
fn every_host_key_signs() {
    for (version, host_keys) in
        [(OLD, "ssh-rsa,ssh-dss,ecdsa-sha2-nistp256,ssh-ed25519"), (NOW, "rsa-sha2-512,rsa-sha2-256")]
    {
        for host_key in host_keys.split(',') {
            converse(version, Wish { kex: "ecdh-sha2-nistp256", host_key, ..USUAL }, false);
        }
    }
}

#[test]
fn six_failures_end_a_connection_and_the_first_none_is_free() {
    let mut client = Client::ready(&[]);
    assert_eq!(client.request("root", "none", &[]), [refusal("publickey,password")]);
    for attempt in 0..5 {
        assert_eq!(client.password("root", format!("{attempt}")), [refusal("publickey,password")]);
    }
    assert_eq!(client.password("root", "last"), [goodbye("Too many authentication failures")]);
    assert_eq!(client.flow, Flow::Close);
    assert_eq!(client.passwords().len(), 6);
    assert_eq!(client.reports(&NONE), 1);
    let about = |share: f64| Duration::from_secs(12).mul_f64(share);
    assert!(client.paused > about(0.75) && client.paused < about(1.26), "{:?}", client.paused);
}

#[test]
fn another_user_ends_a_connection_and_is_recorded() {
    let mut client = Client::ready(&[]);
    client.password("root", "a");
    let words = "Change of username or service not allowed: (root,ssh-connection) -> (admin,ssh-connection)";
    assert_eq!(client.password("admin", "b"), [goodbye(words)]);
    assert_eq!(client.passwords(), [b"a", b"b"]);
}

#[test]
fn a_password_with_a_nul_byte_is_recorded_whole_and_ends_a_connection() {
    let mut client = Client::ready(&[]);
    assert_eq!(client.password("root", b"a\0b\xff"), Vec::<Vec<u8>>::new());
    assert_eq!(client.flow, Flow::Close);
    assert_eq!(client.passwords(), [b"a\0b\xff"]);
}

#[test]
fn a_key_is_recorded_with_its_fingerprint_and_as_a_line() {
    let mut client = Client::ready(&[]);
    let mut key = Vec::new();
    key.put_string("ssh-ed25519");
    key.put_string([1; 32]);
    let mut more = vec![0];
    more.put_string("ssh-ed25519");
    more.put_string(&key);
    assert_eq!(client.request("git", "publickey", &more), [refusal("publickey,password")]);
    let seen = client.seen.iter().find(|seen| seen.kind == &PUBLIC_KEY).unwrap();
    let Some(Secret::PublicKey { algorithm, fingerprint, key }) = &seen.login.as_ref().unwrap().secret else {
        panic!("no key")
    };
    assert_eq!(algorithm.raw(), b"ssh-ed25519");
    // As `ssh-keygen -lf` prints it for the line below.
    assert_eq!(fingerprint, "SHA256:RXm/ruZ0eTzRXKwi1AQEDynB0VgHQ2ac9KPSFdf/YnA");
    assert_eq!(
        key.to_string(),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    );
}

#[test]
fn answers_to_a_question_are_passwords() {
    let mut client = Client::ready(&["methods = \"keyboard-interactive\"", "login_delay = \"1s\""]);
    let question = client.request("root", "keyboard-interactive", &[0; 8]);
    assert_eq!(question[0][0], message::INFO_REQUEST);
    let mut answer = vec![message::INFO_RESPONSE, 0, 0, 0, 1];
    answer.put_string("hunter2");
    client.send(&answer);
    assert_eq!(client.message().unwrap(), refusal("keyboard-interactive"));
    assert_eq!(client.passwords(), [b"hunter2"]);
    assert_eq!(client.reports(&NONE), 0);
}

#[test]
fn a_banner_comes_once_with_its_line_ends() {
    let mut client = Client::ready(&["preauth_banner = \"one\\\\r\\\\ntwo\""]);
    let answers = client.password("root", "a");
    let mut banner = vec![message::USERAUTH_BANNER];
    banner.put_string("one\r\ntwo\r\n");
    banner.put_string("");
    assert_eq!(answers, [banner, refusal("publickey,password")]);
    assert_eq!(client.password("root", "b").len(), 1);
}

#[test]
fn a_client_that_claims_to_be_logged_in_is_an_attack() {
    let mut client = Client::ready(&[]);
    client.send(&[message::USERAUTH_SUCCESS]);
    assert_eq!(client.message().unwrap()[0], message::UNIMPLEMENTED);
    assert_eq!(client.reports(&EXPLOIT), 1);
}

#[test]
fn the_strict_exchange_allows_nothing_else() {
    let mut client = Client::new(NOW, &[]);
    client.message().unwrap();
    client.send(&Client::kexinit(USUAL, ",kex-strict-c-v00@openssh.com"));
    client.send(&[message::IGNORE, 0, 0, 0, 0]);
    let words = "strict KEX violation: unexpected packet type 2 (seqnr 1)";
    assert_eq!(client.message().unwrap(), goodbye(words));
    assert_eq!(client.flow, Flow::Close);
}

#[test]
fn a_wrong_guess_is_skipped() {
    let mut client = Client::new(NOW, &[]);
    client.message().unwrap();
    let mut kexinit = Client::kexinit(USUAL, "");
    let follows = kexinit.len() - 5;
    kexinit[follows] = 1;
    client.send(&kexinit);
    client.send(&[message::KEXDH_INIT, 1, 2, 3]);
    assert_eq!((client.flow, client.message()), (Flow::Continue, None));
    client.send(&[&[message::KEXDH_INIT][..], &half(USUAL.kex, None).0].concat());
    assert_eq!(client.message().unwrap()[0], message::KEXDH_REPLY);
}

#[test]
fn a_corrupted_packet_ends_a_connection_without_a_word() {
    for cipher in ["aes128-ctr", "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"] {
        let mut client = Client::new(NOW, &[]);
        client.handshake(NOW, Wish { cipher, ..USUAL }, true);
        let mut packet = client.outbound.seal(&[message::IGNORE, 0, 0, 0, 0], |_| {}).unwrap();
        *packet.last_mut().unwrap() ^= 1;
        client.say(&packet);
        assert_eq!((client.flow, client.received.len()), (Flow::Close, 0), "{cipher}");
        assert_eq!(client.reports(&PROBE), 1);
    }
}

#[test]
fn with_a_chained_cipher_a_corrupted_packet_is_read_on() {
    let mut client = Client::new(OLD, &[]);
    client.handshake(OLD, Wish { kex: "ecdh-sha2-nistp256", cipher: "aes128-cbc", ..USUAL }, false);
    let mut packet = client.outbound.seal(&[message::IGNORE, 0, 0, 0, 0], |_| {}).unwrap();
    *packet.last_mut().unwrap() ^= 1;
    client.say(&packet);
    assert_eq!(client.flow, Flow::Continue);
    client.say(&vec![0; 256 * 1024]);
    assert_eq!(client.flow, Flow::Close);
}

#[test]
fn a_client_is_fingerprinted_as_hassh_does() {
    let mut client = Client::new(NOW, &[]);
    client.send(&Client::kexinit(USUAL, ",ext-info-c"));
    let seen = client.seen.iter().find(|seen| seen.kind == &KEXINIT).unwrap();
    let text = b"curve25519-sha256,ext-info-c;aes128-ctr;hmac-sha2-256;none";
    let sum: String =
        hash(MessageDigest::md5(), text).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen.fields["hassh"], sum.into());
}

#[test]
fn a_version_without_its_prefix_is_completed_and_nonsense_is_refused() {
    let entry = haldane_core::Entry::stream::<super::Ssh>();
    let refused = |setting: &str| build(&entry, &[setting]).is_err();
    assert!(!refused("version = \"OpenSSH_9.2p1\""));
    assert!(refused("version = \"SSH-1.5-x\""));
    assert!(refused("version = \"SSH-2.0-\\x01\""));
    assert!(refused(&format!("version = \"SSH-2.0-{}\"", "x".repeat(300))));
    assert!(refused("methods = \"hostbased\""));
    assert!(refused("login_grace_time = \"2h\""));
}

#[test]
fn the_key_that_opencanary_left_is_taken_over() {
    let folder = std::env::temp_dir().join(format!("haldane-ssh-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy("src/ssh/testkeys/ssh_host_rsa_key", folder.join("id_rsa")).unwrap();
    let release = Release::claimed("SSH-2.0-OpenSSH_6.6");
    let public =
        |folder: &Path| host_keys(&InMemory::default(), Some(folder), &release).unwrap().remove(0).public;
    let known = public(Path::new("src/ssh/testkeys"));
    assert_eq!(public(&folder), known);
    std::fs::write(folder.join("ssh_host_ecdsa_key"), "no key").unwrap();
    assert!(
        host_keys(&InMemory::default(), Some(&folder), &Release::claimed(NOW))
            .unwrap_err()
            .contains("ssh-keygen")
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_point_that_gives_the_secret_away_is_refused() {
    let mut client = Client::new(NOW, &[]);
    client.message().unwrap();
    client.send(&Client::kexinit(USUAL, ""));
    let mut zero = vec![message::KEXDH_INIT];
    zero.put_string([0; 32]);
    client.send(&zero);
    assert_eq!((client.flow, client.message()), (Flow::Close, None));
    assert_eq!(client.reports(&PROBE), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Deep inside, too, every byte is hostile: encrypted messages of any kind and content, in any order.
    #[test]
    fn no_message_is_too_strange(
        messages in proptest::collection::vec((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..80)), 1..12),
        lively in any::<bool>(),
    ) {
        let mut client = Client::ready(&["methods = \"keyboard-interactive\""]);
        for (kind, body) in messages {
            let kind = if lively { [5, 7, 50, 50, 50, 61][usize::from(kind) % 6] } else { kind };
            let method = ["password", "publickey", "hostbased", "keyboard-interactive", "x"][body.len() % 5];
            match kind {
                50 => drop(client.request("root", method, &body)),
                kind => client.send(&[&[kind][..], &body].concat()),
            }
        }
        prop_assert!(matches!(client.flow, Flow::Continue | Flow::Close));
    }
}
