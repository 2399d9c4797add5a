#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

use haldane_core::{Entry, Secret, Value};

use super::*;
use crate::replay::{Outcome, build, talk};

fn ask(settings: &[&str], messages: &[Vec<u8>]) -> Outcome {
    let service = build(&Entry::stream::<Mongodb>(), settings).unwrap();
    let pieces: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let outcome = talk(service.stream.unwrap().as_ref(), &pieces, true);
    assert_eq!(outcome.broken, Vec::<String>::new());
    outcome
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

fn message(operation: u32, body: &[u8]) -> Vec<u8> {
    [&number(body.len() + 16)[..], &number(7), &[0; 4], &operation.to_le_bytes(), body].concat()
}

fn msg(document: bson::Writer) -> Vec<u8> {
    message(2013, &[&[0; 5], &document.text("$db", "admin").finish()[..]].concat())
}

fn query(document: bson::Writer) -> Vec<u8> {
    message(2004, &[&[0; 4], &b"admin.$cmd\0"[..], &[0; 4], &[0xff; 4], &document.finish()].concat())
}

fn one(name: &str) -> bson::Writer {
    bson::Writer::default().int(name, 1)
}

/// The document of the only answer, and its operation.
fn answered(outcome: &Outcome) -> (u32, Vec<u8>) {
    let operation = u32::from_le_bytes(outcome.reply[12..16].try_into().unwrap());
    let at = if operation == 1 { 36 } else { 21 };
    (operation, outcome.reply[at + 4..outcome.reply.len() - 1].to_vec())
}

fn int(document: &[u8], name: &str) -> i64 {
    match bson::find(document, name) {
        Some(bson::Value::Int(found)) => found,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn each_question_is_answered_the_way_it_came() {
    assert_eq!(answered(&ask(&[], &[msg(one("hello"))])).0, 2013);
    assert_eq!(answered(&ask(&[], &[query(one("isMaster"))])).0, 1);
}

#[test]
fn wire_versions_are_those_of_the_release() {
    for (version, wire) in
        [("3.6.8", 6), ("4.4.6", 9), ("5.0.1", 13), ("6.0.5", 17), ("7.0.16", 21), ("8.0.4", 25)]
    {
        let setting = format!("version = \"{version}\"");
        let (_, document) = answered(&ask(&[&setting], &[msg(one("hello"))]));
        assert_eq!(int(&document, "maxWireVersion"), wire, "{version}");
        assert!(
            matches!(bson::find(&document, "localTime"), Some(bson::Value::Other(9, _))),
            "a time, not a text"
        );
    }
}

#[test]
fn what_wants_a_login_is_refused_and_what_does_not_exist_is_told_apart() {
    for (name, code) in [("listDatabases", 13), ("serverStatus", 13), ("shutdown", 13), ("nonsense", 59)] {
        assert_eq!(int(&answered(&ask(&[], &[msg(one(name))])).1, "code"), code, "{name}");
    }
    // Removed in 5.1: OP_QUERY for anything but the first words.
    assert_eq!(int(&answered(&ask(&["version = \"6.0.1\""], &[query(one("ping"))])).1, "code"), 352);
    assert_eq!(int(&answered(&ask(&["version = \"4.4.6\""], &[query(one("find"))])).1, "code"), 13);
}

fn start() -> bson::Writer {
    one("saslStart").text("mechanism", "SCRAM-SHA-256").binary("payload", b"n,,n=eve,r=abc")
}

#[test]
fn a_login_that_breaks_off_has_told_its_user() {
    let outcome = ask(&[], &[msg(start())]);
    let logins: Vec<_> = outcome.seen.iter().filter(|seen| seen.kind == &LOGIN).collect();
    assert_eq!(logins.len(), 1);
    let login = logins[0].login.as_ref().unwrap();
    assert_eq!((login.username.as_ref().unwrap().raw(), &login.secret), (&b"eve"[..], &None));
}

#[test]
fn a_login_that_goes_on_is_one_event_with_the_whole_exchange() {
    let proof = one("saslContinue").int("conversationId", 1).binary("payload", b"c=biws,r=abcdef,p=AAECAw==");
    let outcome = ask(&[], &[msg(start()), msg(proof)]);
    let logins: Vec<_> = outcome.seen.iter().filter(|seen| seen.kind == &LOGIN).collect();
    assert_eq!(logins.len(), 1);
    let Some(Secret::Response { challenge, response, .. }) = &logins[0].login.as_ref().unwrap().secret else {
        panic!("no proof")
    };
    assert_eq!(response.raw(), [0, 1, 2, 3]);
    let exchange = String::from_utf8_lossy(challenge.raw()).into_owned();
    assert!(
        exchange.starts_with("15000$")
            && exchange.contains("$n=eve,r=abc,r=abc")
            && exchange.ends_with(",i=15000,c=biws,r=abcdef"),
        "{exchange}"
    );
}

#[test]
fn salts_are_the_same_each_time_for_one_user_and_different_for_two() {
    let salt = |user: &str| {
        let payload = format!("n,,n={user},r=abc");
        let start = one("saslStart").text("mechanism", "SCRAM-SHA-1").binary("payload", payload.as_bytes());
        let (_, document) = answered(&ask(&[], &[msg(start)]));
        let Some(bson::Value::Binary(payload)) = bson::find(&document, "payload") else {
            panic!("no payload")
        };
        let text = String::from_utf8_lossy(payload).into_owned();
        text.split(',').find(|part| part.starts_with("s=")).unwrap().to_owned()
    };
    assert_eq!(salt("eve"), salt("eve"));
    assert_ne!(salt("eve"), salt("mallory"));
}

#[test]
fn documents_that_lie_about_themselves_harm_nothing() {
    for body in [
        vec![0; 4],
        [&[0; 5][..], &number(5), &[1]].concat(),
        [&[0; 5][..], &number(0xffff_ffff), &[0]].concat(),
        [&[0; 4][..], &[9]].concat(),
        [&[0; 5][..], &number(12), b"\x02a\0\xff\xff\xff\x7f"].concat(),
    ] {
        let outcome = ask(&[], &[message(2013, &body)]);
        assert!(outcome.seen.iter().any(|seen| seen.kind == &ERROR), "{body:?}");
    }
    let mut nested = bson::Writer::default();
    for _ in 0..150 {
        nested = bson::Writer::default().document("a", nested);
    }
    assert!(ask(&[], &[msg(nested)]).seen.iter().any(|seen| seen.kind == &ERROR));
}

#[test]
fn compressed_messages_are_read_and_answered_compressed() {
    use std::io::Write;
    let plain = msg(one("ping"));
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&plain[16..]).unwrap();
    let compressed = encoder.finish().unwrap();
    let body = [&2013_u32.to_le_bytes()[..], &number(plain.len() - 16), &[2], &compressed].concat();
    let outcome = ask(&[], &[message(2012, &body)]);
    assert_eq!(outcome.reply[12..16], 2012_u32.to_le_bytes());
    assert!(outcome.seen.iter().any(|seen| seen.fields.get("command") == Some(&Value::from("ping"))));
    // A megabyte of zeros, and then some: bounded.
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 8 << 20]).unwrap();
    let bomb = [&2013_u32.to_le_bytes()[..], &[0; 4], &[2], &encoder.finish().unwrap()].concat();
    assert!(ask(&[], &[message(2012, &bomb)]).seen.iter().any(|seen| seen.kind == &ERROR));
}

#[test]
fn old_operations_of_ransom_are_named() {
    let body = [&[0; 4], &b"crm.READ_ME_TO_RECOVER\0"[..]].concat();
    let outcome = ask(&["version = \"3.6.8\""], &[message(2002, &body)]);
    assert!(outcome.seen.iter().any(|seen| seen.kind == &RANSOM));
}

fn count(outcome: &Outcome, kind: &'static Kind) -> usize {
    outcome.seen.iter().filter(|seen| seen.kind == kind).count()
}

#[test]
fn whoever_ends_it_the_end_is_seen_once_and_an_open_login_with_it() {
    let broken = message(9999, b"");
    let http = b"GET / HTTP/1.0\r\n\r\n".to_vec();
    for last in [broken, http, message(2013, &[9; 9]), Vec::new()] {
        let outcome = ask(&[], &[msg(start()), last.clone()]);
        assert_eq!((count(&outcome, &LOGIN), count(&outcome, &DISCONNECT)), (1, 1), "{last:?}");
    }
}

#[test]
fn silence_is_one_end_though_the_session_is_told_twice() {
    use crate::replay::{Counting, peer};
    use haldane_core::{Cx, Effects, Timeout};
    let service = build(&Entry::stream::<Mongodb>(), &[]).unwrap().stream.unwrap();
    let (peer, mut random, mut effects) = (peer(), Counting::default(), Effects::default());
    let mut session = service.open(&peer);
    let mut cx = Cx::new(&peer, std::time::SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
    session.finished(&[], &mut cx);
    session.timeout(Timeout::Idle, &mut cx);
    assert_eq!(effects.seen.iter().filter(|seen| seen.kind == &DISCONNECT).count(), 1);
}

/// The names of the logins, with what was their password.
fn offered(outcome: &Outcome) -> Vec<(String, Option<String>)> {
    let logins = outcome.seen.iter().filter_map(|seen| seen.login.as_ref());
    logins
        .map(|login| {
            let user = login.username.as_ref().map(ToString::to_string).unwrap_or_default();
            (user, login.clear().map(ToString::to_string))
        })
        .collect()
}

#[test]
fn credentials_that_come_along_with_any_hello_are_one_login() {
    let along = |start: bson::Writer| one("hello").document("speculativeAuthenticate", start);
    let sasl = || one("saslStart").text("mechanism", "PLAIN").binary("payload", b"\0eve\0s3cret");
    let x509 = || one("authenticate").text("mechanism", "MONGODB-X509").text("user", "CN=eve");
    let plain = vec![("eve".to_owned(), Some("s3cret".to_owned()))];
    let subject = vec![("CN=eve".to_owned(), None)];
    // Not the first hello, which is no event of its own.
    let outcome = ask(&[], &[msg(one("hello")), msg(along(sasl()))]);
    assert_eq!(offered(&outcome), plain);
    // Drivers offer the same again.
    assert_eq!(offered(&ask(&[], &[msg(along(sasl())), msg(sasl())])), plain);
    assert_eq!(offered(&ask(&[], &[msg(along(x509())), msg(x509())])), subject);
    // Twice in earnest is twice.
    assert_eq!(offered(&ask(&[], &[msg(sasl()), msg(sasl())])).len(), 2);
    // What cannot be answered has a name all the same.
    let faulty = one("saslStart").text("mechanism", "SCRAM-SHA-256").binary("payload", b"n,,n=eve");
    assert_eq!(offered(&ask(&[], &[msg(faulty)])), [("eve".to_owned(), None)]);
}

#[test]
fn refusals_are_worded_as_the_release_words_them() {
    let said = |version: &str, sent: Vec<u8>| {
        let (_, document) = answered(&ask(&[&format!("version = \"{version}\"")], &[sent]));
        match bson::find(&document, "errmsg") {
            Some(bson::Value::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => String::new(),
        }
    };
    let list = || msg(one("listDatabases"));
    assert_eq!(said("6.0.8", list()), "command listDatabases requires authentication");
    assert_eq!(said("7.0.3", list()), "Command listDatabases requires authentication");
    let elsewhere =
        message(2013, &[&[0; 5], &one("listDatabases").text("$db", "shop").finish()[..]].concat());
    assert_eq!(said("7.0.3", elsewhere), "listDatabases may only be run against the admin database.");
    // Scanners ask in OP_QUERY, and learn the version of every release.
    for version in ["4.4.6", "5.0.6", "7.0.16", "8.0.4"] {
        let (_, document) =
            answered(&ask(&[&format!("version = \"{version}\"")], &[query(one("buildInfo"))]));
        assert_eq!(bson::find(&document, "version"), Some(bson::Value::Text(version.as_bytes())));
    }
    assert!(said("5.1.0", query(one("serverStatus"))).starts_with("Unsupported OP_QUERY command"));
}

#[test]
fn no_signature_of_an_old_honeypot_matches() {
    let outcome = ask(&[], &[query(one("isMaster"))]);
    let (operation, document) = answered(&outcome);
    assert_eq!(operation, 1, "OP_QUERY is answered in OP_REPLY");
    let request = u32::from_le_bytes(outcome.reply[4..8].try_into().unwrap());
    assert!(request != 9999 && request > 1);
    assert!(int(&document, "connectionId") > 1);
    assert!(matches!(bson::find(&document, "localTime"), Some(bson::Value::Other(9, _))));
    assert_eq!(bson::find(&document, "version"), None);
    for name in ["ping", "buildInfo"] {
        assert_eq!(bson::find(&answered(&ask(&[], &[msg(one(name))])).1, "code"), None, "{name}");
    }
}

#[test]
fn documents_of_old_operations_are_kept_and_notes_in_them_named() {
    let note = one("n").text("note", "send 0.1 BTC").finish();
    let body = [&[0; 4][..], b"crm.x\0", &note].concat();
    let outcome = ask(&["version = \"4.4.6\""], &[message(2002, &body)]);
    let seen = outcome.seen.iter().find(|seen| seen.kind == &RANSOM).unwrap();
    assert!(format!("{:?}", seen.fields["query"]).contains("0.1 BTC"));
}

#[test]
fn a_first_message_that_answers_something_is_no_driver_and_a_later_one_may_be() {
    let answering = [&msg(one("ping"))[..8], &[3, 0, 0, 0], &msg(one("ping"))[12..]].concat();
    assert!(ask(&[], std::slice::from_ref(&answering)).reply.is_empty());
    // As nmap does it: -1.
    let scanner = [&msg(one("ping"))[..8], &[0xff; 4], &msg(one("ping"))[12..]].concat();
    assert!(!ask(&[], &[scanner]).reply.is_empty());
    assert!(ask(&[], &[msg(one("ping")), answering]).seen.iter().all(|seen| seen.kind != &ERROR));
}
