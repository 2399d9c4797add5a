//! MySQL beyond what transcripts show: greetings of many versions, and passwords that come in several packets.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::time::SystemTime;

use haldane_core::{
    Cx, Effects, Entry, Flow, Input, Secret, Sighting, TlsFacts, Value, service::AnyProtocol,
};
use haldane_services::{
    mysql::Mysql,
    replay::{Counting, Ending, build, peer, talk},
};
use openssl::rsa::{Padding, Rsa};
use sha1::{Digest, Sha1};

static ENTRY: Entry = Entry::stream::<Mysql>();

fn service(settings: &[&str]) -> std::sync::Arc<dyn AnyProtocol> {
    build(&ENTRY, settings).unwrap().stream.unwrap()
}

fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&length[..3], &[sequence], body].concat()
}

/// HandshakeResponse41 of a client with plugins (0x80000), without attributes.
fn login(sequence: u8, user: &[u8], answer: &[u8], plugin: &str) -> Vec<u8> {
    let head = [&0x000a_a685_u32.to_le_bytes()[..], &[0, 0, 0, 1, 45], &[0; 23]].concat();
    let length = [u8::try_from(answer.len()).unwrap()];
    packet(sequence, &[&head, user, &[0], &length, answer, plugin.as_bytes(), &[0]].concat())
}

fn password(seen: &[Sighting]) -> &[u8] {
    assert_eq!(seen.len(), 1, "one attempt is one event: {seen:?}");
    match seen[0].login.as_ref().and_then(|login| login.secret.as_ref()) {
        Some(Secret::Password(password)) => password.raw(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn greetings_offer_what_that_version_offered() {
    // Lower and upper capability bits with the collation between, from the wire of each release; then what
    // MariaDB has in the last four of ten zeros.
    let seen: [(&str, &str, &[u8], &[u8]); 9] = [
        ("5.5.46-0ubuntu0.14.04.2", "no", b"\xff\xf7\x08\x02\x00\x0f\x80\x15", b"\0\0\0\0"),
        ("5.7.32-0ubuntu0.16.04.1", "auto", b"\xff\xff\x08\x02\x00\xff\xc1\x15", b"\0\0\0\0"),
        ("8.0.18", "auto", b"\xff\xff\xff\x02\x00\xff\xc7\x15", b"\0\0\0\0"),
        ("8.0.42", "auto", b"\xff\xff\xff\x02\x00\xff\xdf\x15", b"\0\0\0\0"),
        ("8.4.3", "auto", b"\xff\xff\xff\x02\x00\xff\xdf\x15", b"\0\0\0\0"),
        ("5.5.5-10.3.9-MariaDB-log", "auto", b"\xfe\xf7\x08\x02\x00\xbf\x81\x15", b"\x07\0\0\0"),
        ("10.4.7-MariaDB-1:10.4.7+maria~bionic", "auto", b"\xfe\xf7\x08\x02\x00\xff\x81\x15", b"\x07\0\0\0"),
        ("10.11.19-MariaDB-0+deb12u1", "auto", b"\xfe\xf7\x08\x02\x00\xff\x81\x15", b"\x1d\0\0\0"),
        ("10.11.19-MariaDB-0+deb12u1", "yes", b"\xfe\xff\x08\x02\x00\xff\x81\x15", b"\x1d\0\0\0"),
    ];
    for (banner, tls, bits, extended) in seen {
        let banner_line = format!("banner = \"{banner}\"");
        let tls = format!("offer_tls = \"{tls}\"");
        let greeting = talk(service(&[&banner_line, &tls, "clear_text = false"]).as_ref(), &[], false).reply;
        let hidden = banner.starts_with("10.");
        let shown = if hidden { format!("5.5.5-{banner}") } else { banner.to_owned() };
        assert!(greeting[5..].starts_with(&[shown.as_bytes(), b"\0"].concat()), "{banner}");
        let at = 5 + shown.len() + 1 + 4 + 8 + 1;
        assert_eq!(
            greeting[at..at + 8].escape_ascii().to_string(),
            bits.escape_ascii().to_string(),
            "{banner}"
        );
        assert_eq!(&greeting[at + 14..at + 18], extended, "{banner}");
        let plugin: &[u8] =
            if banner.starts_with('8') { b"caching_sha2_password\0" } else { b"mysql_native_password\0" };
        assert!(greeting.ends_with(plugin), "{banner}");
    }
}

#[test]
fn salts_are_of_the_alphabet_of_that_version() {
    use haldane_services::mysql::persona::{Persona, Settings, Version};
    for (banner, printable) in
        [("5.5.43", true), ("10.11.19-MariaDB", true), ("5.7.44", false), ("8.0.36", false)]
    {
        let persona = Persona::new(banner, Version::read(banner).unwrap(), Settings::default());
        for byte in 0..=255 {
            let got = persona.salt([byte; 20])[0];
            match printable {
                true => assert!((33..=126).contains(&got), "{banner}: {byte} made {got}"),
                false => assert!((1..=127).contains(&got) && got != b'$', "{banner}: {byte} made {got}"),
            }
        }
    }
}

#[test]
fn a_banner_that_is_no_version_is_a_mistake_and_old_and_new_ones_are_none() {
    for bad in ["hello", "5", "5.5 x", "", "a.b"] {
        assert!(build(&ENTRY, &[&format!("banner = \"{bad}\"")]).is_err(), "{bad:?}");
    }
    for good in
        ["3.23", "4.1.22-log", "5.5.43-0ubuntu0.14.04.1", "6.0.11-alpha", "11.8.2-MariaDB-ubu2404", "5.x"]
    {
        assert!(build(&ENTRY, &[&format!("banner = \"{good}\"")]).is_ok(), "{good:?}");
    }
}

#[test]
fn the_crackable_line_is_what_hashcat_computes() {
    let salt: Vec<u8> = (33..53).collect();
    let once = Sha1::digest(b"hunter2");
    let mask = Sha1::digest([&salt[..], &Sha1::digest(once)].concat());
    let answer: Vec<u8> = once.iter().zip(mask).map(|(a, b)| a ^ b).collect();
    let sent = login(1, b"root", &answer, "mysql_native_password");
    let seen = talk(service(&[]).as_ref(), &[&sent], true).seen;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = format!("$mysqlna${}*{}", hex(&salt), hex(&answer));
    match seen[0].login.as_ref().unwrap().secret.as_ref().unwrap() {
        Secret::Response { crackable, challenge, response, .. } => {
            assert_eq!(crackable.as_deref(), Some(line.as_str()));
            assert_eq!((challenge.raw(), response.raw()), (&salt[..], &answer[..]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(seen[0].fields["scramble"], Value::from(hex(&answer)));
}

#[test]
fn a_client_without_tls_encrypts_its_password_for_our_key_and_we_read_it() {
    let service = service(&["banner = \"8.0.36\"", "offer_tls = \"no\""]);
    let first = login(1, b"root", &[7; 32], "caching_sha2_password");
    let asks = packet(3, &[2]);
    let greeting = talk(service.as_ref(), &[], false).reply;
    let answered = talk(service.as_ref(), &[&first, &asks], false);
    assert_eq!(answered.seen, [], "the attempt is not over");
    let answers = &answered.reply[greeting.len()..];
    assert_eq!(answers[..6], *b"\x02\x00\x00\x02\x01\x04", "full authentication is asked for");
    assert_eq!(answers[9], 4);
    assert_eq!(answers[10], 1);
    let key = Rsa::public_key_from_pem(&answers[11..]).unwrap();
    assert_eq!(key.size(), 256);

    // A password with a NUL in it, mixed with the salt of Counting: 0 to 19 as MySQL 8 has them.
    let salt: Vec<u8> = (0..20).map(|byte| byte.max(1)).collect();
    let mixed: Vec<u8> = b"hunt\0er2\0".iter().zip(&salt).map(|(a, b)| a ^ b).collect();
    let mut sealed = vec![0; 256];
    key.public_encrypt(&mixed, &mut sealed, Padding::PKCS1_OAEP).unwrap();
    let ended = talk(service.as_ref(), &[&first, &asks, &packet(5, &sealed)], false);
    assert_eq!(password(&ended.seen), b"hunt\0er2");
    assert_eq!(
        ended.seen[0].fields["scramble"],
        Value::from("07".repeat(32)),
        "the answer to the salt is kept"
    );
    assert!(ended.reply.ends_with(b"'root'@'192.0.2.7' (using password: YES)"));
    assert_eq!(ended.ending, Ending::Close);
}

#[test]
fn nonsense_instead_of_an_encrypted_password_costs_nothing_but_the_password() {
    let service = service(&["banner = \"8.0.36\"", "offer_tls = \"no\""]);
    let first = login(1, b"root", &[7; 32], "caching_sha2_password");
    let ended = talk(service.as_ref(), &[&first, &packet(3, &[2]), &packet(5, &[9; 256])], false);
    let names: Vec<_> = ended.seen.iter().map(|seen| seen.kind.name).collect();
    assert_eq!(names, ["mysql.handshake", "mysql.login"]);
}

#[test]
fn inside_tls_the_password_comes_as_it_is() {
    let service = service(&["banner = \"8.0.36\""]);
    let request = [&0x000a_ae85_u32.to_le_bytes()[..], &[0, 0, 0, 1, 45], &[0; 23]].concat();
    let (peer, tls, mut random) = (peer(), TlsFacts::default(), Counting::default());
    let mut session = service.open(&peer);
    let mut effects = Effects::default();
    let now = SystemTime::UNIX_EPOCH;
    session.greet(&mut Cx::new(&peer, now, None, &mut random, &mut effects));
    let request = packet(1, &request);
    let asked =
        session.step(&mut Input::stream(&request), &mut Cx::new(&peer, now, None, &mut random, &mut effects));
    assert_eq!(asked, Ok(Flow::StartTls));
    for (at, sent) in
        [login(2, b"root", &[7; 32], "caching_sha2_password"), packet(4, b"hunter2\0")].iter().enumerate()
    {
        let mut cx = Cx::new(&peer, now, Some(&tls), &mut random, &mut effects);
        let flow = session.step(&mut Input::stream(sent), &mut cx).unwrap();
        assert_eq!(flow, if at == 0 { Flow::Continue } else { Flow::Leave });
    }
    assert_eq!(password(&effects.seen), b"hunter2");
}

#[test]
fn a_client_of_another_plugin_is_asked_for_the_account_s_own_and_both_answers_are_kept() {
    let service = service(&["banner = \"8.0.36\""]);
    let first = login(1, b"root", &[7; 20], "mysql_native_password");
    let second = packet(3, &[8; 32]);
    let outcome = talk(service.as_ref(), &[&first, &second], true);
    assert!(outcome.reply.ends_with(b"\x02\x00\x00\x04\x01\x04"), "asks for full authentication");
    let [seen] = &outcome.seen[..] else { panic!("{:?}", outcome.seen) };
    assert_eq!(seen.fields["scramble"], Value::from("07".repeat(20)));
    assert_eq!(seen.fields["caching_sha2_scramble"], Value::from("08".repeat(32)));
}

#[test]
fn a_client_that_sends_its_password_unasked_is_recorded_and_answered_as_usual() {
    let first = login(1, b"root", b"hunter2\0", "mysql_clear_password");
    let outcome = talk(service(&[]).as_ref(), &[&first, &packet(3, &[])], true);
    assert_eq!(password(&outcome.seen), b"hunter2");
    assert!(outcome.reply.windows(22).any(|part| part == b"\xfemysql_native_password"));
}

#[test]
fn no_password_is_no_secret_and_no_scramble() {
    let outcome = talk(service(&[]).as_ref(), &[&login(1, b"root", b"", "mysql_native_password")], true);
    let [seen] = &outcome.seen[..] else { panic!("{:?}", outcome.seen) };
    assert_eq!(seen.login.as_ref().unwrap().secret, None);
    assert!(!seen.fields.contains_key("scramble"));
    assert!(outcome.reply.ends_with(b"(using password: NO)"));
}

#[test]
fn whom_we_let_in_may_do_nothing_and_is_recorded() {
    let service = service(&["open_accounts = \"root\""]);
    let first = login(1, b"root", b"", "mysql_native_password");
    let query = packet(0, b"\x03SELECT load_file('/etc/passwd')");
    let outcome = talk(service.as_ref(), &[&first, &query, &packet(0, &[14]), &packet(0, &[1])], false);
    let names: Vec<_> = outcome.seen.iter().map(|seen| seen.kind.name).collect();
    assert_eq!(names, ["mysql.login", "mysql.command", "mysql.command", "mysql.command"]);
    assert_eq!(outcome.seen[1].fields["argument"], Value::from("SELECT load_file('/etc/passwd')"));
    assert_eq!(outcome.ending, Ending::Close);
}

#[test]
fn a_packet_too_large_to_be_read_is_swallowed_not_stored() {
    let flood = [&[0xff, 0xff, 0xff, 1][..], &[b'x'; 100_000]].concat();
    let outcome = talk(service(&[]).as_ref(), &[&flood, &[b'y'; 10]], true);
    assert_eq!(outcome.seen.len(), 1);
    assert_eq!(outcome.ending, Ending::Open);
    assert_eq!(outcome.broken, Vec::<String>::new());
}
