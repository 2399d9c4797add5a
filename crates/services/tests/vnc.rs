//! VNC: what is recorded of a login, whoever sends it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use aes::Aes128;
use cipher::{BlockCipherEncrypt, KeyInit};
use haldane_core::{Absent, Entry, Part, Secret, Sighting, Value};
use haldane_services::{
    ALL,
    replay::{Ending, build, talk},
};
use haldane_wire::vnc::Password;
use md5::{Digest, Md5};
use openssl::{
    bn::{BigNum, BigNumContext},
    rsa::{Padding, Rsa},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "vnc").unwrap()
}

fn seen(settings: &[&str], pieces: &[&[u8]]) -> Vec<Sighting> {
    let protocol = build(entry(), settings).unwrap().stream.unwrap();
    let outcome = talk(protocol.as_ref(), pieces, true);
    assert_eq!(outcome.broken, Vec::<String>::new());
    outcome.seen
}

/// The challenge of a replayed conversation.
fn challenge() -> [u8; 16] {
    std::array::from_fn(|at| u8::try_from(at).unwrap())
}

fn login_with(settings: &[&str], password: &[u8]) -> Sighting {
    let answer = Password::new(password).answer(&challenge());
    seen(settings, &[b"RFB 003.008\n", b"\x02", &answer]).remove(0)
}

#[test]
fn the_compatible_log_has_the_peers_keys_and_words() {
    let shown = |seen: &Sighting| {
        let parts = seen.kind.compat.unwrap();
        let value = |part| match part {
            Part::Field(name) => seen.fields.get(name).cloned(),
            _ => None,
        };
        let shown = parts.iter().map(|part| match (value(part.part), part.absent) {
            (Some(value), _) => (part.key, value),
            (None, Absent::Text(text)) => (part.key, Value::from(text)),
            (None, _) => (part.key, Value::Null),
        });
        shown.collect::<Vec<_>>()
    };
    let common = login_with(&[], b"password123");
    assert_eq!(common.kind.number, 12001);
    let expected = |response: &str, password: &str| {
        vec![
            ("VNC Server Challenge", Value::from("000102030405060708090a0b0c0d0e0f")),
            ("VNC Client Response", Value::from(response)),
            ("VNC Password", Value::from(password)),
        ]
    };
    assert_eq!(shown(&common), expected("b866924125c8eebb9debc1db61c538e2", "password"));
    let other = seen(&[], &[b"RFB 003.003\n", &[0x5a; 16]]).remove(0);
    let response = "5a".repeat(16);
    assert_eq!(shown(&other), expected(&response, "<Password was not in the common list>"));
}

#[test]
fn challenge_and_answer_are_a_line_for_john() {
    let login = login_with(&[], b"COW").login.unwrap();
    let Some(Secret::Response { scheme, crackable, .. }) = login.secret else { panic!() };
    assert_eq!(scheme, "vnc");
    let line = "$vnc$*000102030405060708090A0B0C0D0E0F*DC72FE4DA173CC3F3C684D6637ED8C28";
    assert_eq!(crackable.as_deref(), Some(line));
}

#[test]
fn passwords_of_the_operator_are_tried_and_a_file_replaces_the_list() {
    let known = |settings: &[&str], password: &str| {
        login_with(settings, password.as_bytes()).fields.get("password").cloned()
    };
    assert_eq!(known(&[], "Tr0ub4d&"), None);
    assert_eq!(known(&["passwords = \"Tr0ub4d&or\""], "Tr0ub4d&"), Some(Value::from("Tr0ub4d&")));
    assert_eq!(known(&["passwords = \"Tr0ub4d&or\""], "password"), Some(Value::from("password")));
    let folder = std::env::temp_dir().join(format!("haldane-vnc-{}", std::process::id()));
    std::fs::write(&folder, "one\ntwo\r\n\n").unwrap();
    let setting = format!("password_file = \"{}\"", folder.display());
    assert_eq!(known(&[&setting], "two"), Some(Value::from("two")));
    assert_eq!(known(&[&setting], "password"), None);
    std::fs::remove_file(&folder).unwrap();
    let problems = build(entry(), &[&setting]).unwrap_err();
    assert!(problems[0].to_string().contains("expected a readable file of passwords"), "{problems:?}");
}

/// User name and password as clients of Apple's types put them, encrypted.
fn sealed(key: [u8; 16], user: &[u8], password: &[u8]) -> Vec<u8> {
    let cipher = Aes128::new(&key.into());
    let mut clear = Vec::new();
    for field in [user, password] {
        clear.extend_from_slice(field);
        clear.push(0);
        clear.resize(clear.len().next_multiple_of(64), b'x');
    }
    let blocks = clear.chunks_exact(16).flat_map(|block| {
        let mut block = <[u8; 16]>::try_from(block).unwrap().into();
        cipher.encrypt_block(&mut block);
        <[u8; 16]>::from(block)
    });
    blocks.collect()
}

const USER: &[u8] = b"ad\xffmin";
const PASSWORD: &[u8] = b"correct horse battery staple";

fn assert_account(outcome: &[Sighting], mechanism: &str) {
    assert_eq!(outcome.len(), 1);
    let login = outcome[0].login.as_ref().unwrap();
    assert_eq!((outcome[0].kind.number, &*login.mechanism), (31601, mechanism));
    assert_eq!(login.username.as_ref().unwrap().raw(), USER);
    assert_eq!(login.clear().unwrap().raw(), PASSWORD);
}

#[test]
fn an_apple_account_under_diffie_hellman_is_recorded_in_clear_text() {
    let protocol = build(entry(), &["server = \"apple\""]).unwrap().stream.unwrap();
    let first: [&[u8]; 2] = [b"RFB 003.889\n", b"\x1e"];
    let said = talk(protocol.as_ref(), &first, false).reply;
    let said = said.strip_prefix(b"RFB 003.889\n\x03\x1e\x21\x02\0\x02\0\x80").unwrap();
    let (prime, theirs) = said.split_at(128);
    let (prime, theirs) = (BigNum::from_slice(prime).unwrap(), BigNum::from_slice(theirs).unwrap());
    let mut scratch = BigNumContext::new().unwrap();
    let private = BigNum::from_slice(&[0x42; 16]).unwrap();
    let (mut ours, mut shared) = (BigNum::new().unwrap(), BigNum::new().unwrap());
    ours.mod_exp(&BigNum::from_u32(2).unwrap(), &private, &prime, &mut scratch).unwrap();
    shared.mod_exp(&theirs, &private, &prime, &mut scratch).unwrap();
    let key = Md5::digest(shared.to_vec_padded(128).unwrap()).into();
    let answer = [sealed(key, USER, PASSWORD), ours.to_vec_padded(128).unwrap()].concat();
    let outcome = talk(protocol.as_ref(), &[first[0], first[1], &answer], true);
    assert_account(&outcome.seen, "apple_dh");
    assert!(outcome.reply.ends_with(b"\0\0\0\x01\0\0\0\x15Authentication failed"));
    assert_eq!(outcome.ending, Ending::Close);
    let cut = seen(&["server = \"apple\""], &[first[0], first[1], &answer[..255]]);
    assert_eq!(cut[0].fields["stage"], Value::from("account"));
}

#[test]
fn an_apple_account_under_rsa_is_recorded_in_clear_text() {
    let protocol = build(entry(), &["server = \"apple\""]).unwrap().stream.unwrap();
    let first: [&[u8]; 3] = [b"RFB 003.008\n", b"\x21", b"\0\0\0\x0a\x01\0RSA1\0\0\0\0"];
    let said = talk(protocol.as_ref(), &first, false).reply;
    let said = said.strip_prefix(b"RFB 003.889\n\x03\x1e\x21\x02").unwrap();
    let length = usize::try_from(u32::from_be_bytes(said[6..10].try_into().unwrap())).unwrap();
    assert_eq!(said.len(), 10 + length + 1);
    assert_eq!(u32::from_be_bytes(said[..4].try_into().unwrap()), u32::try_from(said.len() - 4).unwrap());
    let public = Rsa::public_key_from_der(&said[10..10 + length]).unwrap();
    let mut key = vec![0; 256];
    public.public_encrypt(&[7; 16], &mut key, Padding::PKCS1).unwrap();
    let sealed = sealed([7; 16], USER, PASSWORD);
    let answer = [b"\0\0\x01\x8a\x01\0RSA1\0\x01", &sealed[..], b"\0\x01", &key].concat();
    let outcome = talk(protocol.as_ref(), &[first[0], first[1], first[2], &answer], true);
    assert_account(&outcome.seen, "apple_rsa");
    let short = [b"\0\0\0\x8a\x01\0RSA1\0\x01", &sealed[..], b"\0\x01"].concat();
    let odd = seen(&["server = \"apple\""], &[first[0], first[1], &short]);
    assert_eq!(odd[0].fields["stage"], Value::from("account"));
    let long = talk(protocol.as_ref(), &[first[0], first[1], b"\xff\xff\xff\xff"], true);
    assert_eq!(long.seen[0].fields["stage"], Value::from("account"));
}
