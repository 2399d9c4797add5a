//! Requests and what they leave; the bait from end to end.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{fs, sync::Arc};

use haldane_core::{Entry, Part, Severity, Sighting, Untrusted, Value, service::Service};
use openssl::sha::sha1;
use proptest::prelude::*;

use super::{
    CLONE, COMMAND, Git, REQUEST,
    object::{Contents, ObjectKind},
    repository::Repository,
    send::Sending,
};
use crate::replay::{Ending, Outcome, build, talk};

mod loading;

use loading::Folder;

const BAIT: &str = "repository = \"tests/data/payroll.git\"";
const MASTER: &str = "38c0d68537b9920b65beb6af94a6bfb2bc9712f2";

fn service(settings: &[&str]) -> Result<Service, Vec<String>> {
    build(&Entry::stream::<Git>(), settings)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn ask(settings: &[&str], pieces: &[&[u8]]) -> Outcome {
    talk(service(settings).unwrap().stream.unwrap().as_ref(), pieces, true)
}

fn line(text: &str) -> Vec<u8> {
    format!("{:04x}{text}", text.len() + 4).into_bytes()
}

fn lines(texts: &[&str]) -> Vec<u8> {
    texts
        .iter()
        .flat_map(|text| if matches!(*text, "0000" | "0001") { text.as_bytes().to_vec() } else { line(text) })
        .collect()
}

fn open(path: &str, version: u8) -> Vec<u8> {
    line(&format!("git-upload-pack {path}\0host=x\0\0version={version}\0"))
}

/// The pack in an answer without a side band, checked: head, count and sum.
fn pack(reply: &[u8]) -> (u32, Vec<u8>) {
    let at = reply.windows(8).position(|part| part == b"PACK\0\0\0\x02").unwrap();
    let (body, sum) = reply[at..].split_at(reply.len() - at - 20);
    assert_eq!(sha1(body), sum);
    (u32::from_be_bytes(body[8..12].try_into().unwrap()), reply[at..].to_vec())
}

/// The same, out of band 1 of a side band.
fn band(mut reply: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    while let Some((length, rest)) = reply.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(length).unwrap(), 16).unwrap().max(4);
        let (packet, rest) = rest.split_at(length - 4);
        if let [1, piece @ ..] = packet {
            data.extend_from_slice(piece);
        }
        reply = rest;
    }
    data
}

fn one<'a>(outcome: &'a Outcome, kind: &'static haldane_core::Kind) -> &'a Sighting {
    let found: Vec<_> = outcome.seen.iter().filter(|seen| seen.kind == kind).collect();
    assert_eq!(found.len(), 1, "{:#?}", outcome.seen);
    found[0]
}

#[test]
fn the_compatible_line_has_repository_and_host_as_the_peer_writes_them() {
    let keys: Vec<_> = REQUEST.compat.unwrap().iter().map(|compat| compat.key).collect();
    assert_eq!((REQUEST.number, keys), (16001, vec!["HOST", "REPO"]));
    let outcome = ask(&[], &[&line("git-upload-pack /finance/ghost.git\0host=files01:9419\0\0version=2\0")]);
    let seen = one(&outcome, &REQUEST);
    let value = |at: usize| match REQUEST.compat.unwrap()[at].part {
        Part::Field(name) => seen.fields[name].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!((value(0), value(1)), ("files01:9419".into(), "finance/ghost.git".into()));
    assert_eq!((&seen.fields["port"], &seen.fields["version"]), (&Value::Int(9419), &Value::Int(2)));
    assert_eq!((&seen.fields["hostname"], seen.severity), (&"files01".into(), Severity::Low));
}

#[test]
fn pushes_and_archives_are_seen_and_a_push_is_worse() {
    for (name, severity) in [("receive-pack", Severity::Medium), ("upload-archive", Severity::Low)] {
        let outcome = ask(&[], &[&line(&format!("git-{name} /x.git\0host=y\0"))]);
        let seen = one(&outcome, &REQUEST);
        assert_eq!((&seen.fields["service"], seen.severity), (&name.into(), severity));
        assert_eq!(outcome.reply, line("ERR access denied or repository not exported: /x.git"));
    }
}

#[test]
fn any_byte_of_a_path_is_kept_and_sent_back() {
    let request = b"001dgit-upload-pack /\xff\"\r\x1b'\0\0\0\0";
    let outcome = ask(&[], &[request]);
    assert_eq!(one(&outcome, &REQUEST).fields["path"], Value::Text(Untrusted::from(b"/\xff\"\r\x1b'")));
    assert!(outcome.reply.ends_with(b": /\xff\"\r\x1b'"));
}

#[test]
fn a_path_that_does_not_fit_into_the_answer_is_answered_by_nothing() {
    for (length, answered) in [(65_470, true), (65_471, false)] {
        let outcome = ask(&[], &[&line(&format!("git-upload-pack /{}", "a".repeat(length - 1)))]);
        assert_eq!((!outcome.reply.is_empty(), outcome.ending), (answered, Ending::Close), "{length}");
        one(&outcome, &REQUEST);
    }
}

#[test]
fn the_daemon_says_why_if_it_is_told_to() {
    let said = |request: &str| {
        String::from_utf8(ask(&["informative_errors = true", BAIT], &[&line(request)]).reply).unwrap()
    };
    assert_eq!(said("git-upload-pack /nope\0host=x\0"), "0021ERR no such repository: /nope");
    assert_eq!(said("git-receive-pack /payroll\0"), "0025ERR service not enabled: /payroll");
    assert_eq!(said("git-receive-pack /nope\0"), "0021ERR no such repository: /nope");
}

#[test]
fn a_clone_is_one_event_with_all_that_was_asked_for() {
    let want = line(&format!("want {MASTER} ofs-delta no-progress agent=git/9.9 x=\x1b\n"));
    let outcome = ask(&[BAIT], &[&open("/payroll", 0), &[&want[..], b"0000", &line("done\n")].concat()]);
    let seen = one(&outcome, &CLONE);
    assert_eq!(seen.severity, Severity::Critical);
    assert_eq!(seen.fields["repository"], "payroll.git".into());
    assert_eq!(seen.fields["wants"], vec![MASTER].into());
    assert_eq!(seen.fields["references"], vec!["refs/heads/master"].into());
    assert_eq!(seen.fields["agent"], "git/9.9".into());
    assert_eq!(
        seen.fields["capabilities"],
        vec!["ofs-delta", "no-progress", "agent=git/9.9", "x=\x1b"].into()
    );
    let (count, pack) = pack(&outcome.reply);
    assert_eq!(
        (seen.fields["objects"].clone(), seen.fields["bytes"].clone()),
        (count.into(), pack.len().into())
    );
    assert_eq!((count, outcome.ending), (20, Ending::Close));
    assert_eq!(one(&outcome, &REQUEST).severity, Severity::High);
}

#[test]
fn a_clone_that_is_broken_off_is_seen_too() {
    for end in [&b""[..], b"zzzz", b"0009hello"] {
        let want = [line(&format!("want {MASTER} agent=git/9.9\n")), end.to_vec()].concat();
        let outcome = ask(&[BAIT], &[&open("/payroll.git", 1), &want]);
        let seen = one(&outcome, &CLONE);
        assert_eq!((&seen.fields["unfinished"], seen.severity), (&Value::Bool(true), Severity::High));
        assert_eq!(seen.fields["wants"], vec![MASTER].into());
    }
}

#[test]
fn an_object_that_nobody_has_is_seen_and_refused() {
    let nobody = "1".repeat(40);
    let fetch = lines(&["command=fetch", "0001", &format!("want {nobody}"), "done", "0000"]);
    let outcome = ask(&[BAIT], &[&open("/payroll.git", 2), &fetch]);
    assert!(outcome.reply.ends_with(format!("ERR upload-pack: not our ref {nobody}").as_bytes()));
    assert_eq!(one(&outcome, &CLONE).fields["wants"], vec![nobody].into());
}

#[test]
fn a_command_is_an_event_with_its_words() {
    let list =
        lines(&["command=ls-refs", "agent=git/9.9", "server-option=odd", "0001", "ref-prefix HEAD", "0000"]);
    let outcome = ask(&[BAIT], &[&open("/payroll.git", 2), &list]);
    let seen = one(&outcome, &COMMAND);
    assert_eq!((&seen.fields["command"], &seen.fields["agent"]), (&"ls-refs".into(), &"git/9.9".into()));
    assert_eq!(seen.fields["capabilities"], vec!["agent=git/9.9", "server-option=odd"].into());
    assert_eq!(seen.fields["arguments"], vec!["ref-prefix HEAD"].into());
    assert!(outcome.reply.ends_with(format!("0032{MASTER} HEAD\n0000").as_bytes()));
}

/// Whatever the size of a pack, no packet of a side band is longer than the client takes.
#[test]
fn no_packet_of_a_pack_is_too_long() {
    for size in 460..520_u32 {
        let mut contents = Contents::default();
        let noise = (0..size).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).step_by(2);
        let blob = contents.add(ObjectKind::Blob, noise.collect()).unwrap();
        contents.references.insert(b"refs/tags/x".to_vec(), blob);
        let repository = Arc::new(Repository::new(b"/x".to_vec(), &contents).unwrap());
        let mut all = repository.none();
        all.add(0);
        let mut sending = Sending::new(repository, all, Some(1000));
        let (_, bytes) = sending.size();
        let (mut longest, mut told) = (0, Vec::new());
        loop {
            let piece = sending.piece();
            if piece.is_empty() {
                break;
            }
            longest = longest.max(piece.len());
            told.extend(piece);
        }
        assert!(longest <= 1000, "{longest}");
        let data = band(&told);
        assert_eq!((data.len(), pack(&data).0), (bytes, 1));
    }
}

#[test]
fn a_large_pack_comes_in_pieces_that_make_a_whole() {
    let folder = Folder::new("pieces");
    let noise: Vec<u8> =
        (0..400_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    fs::write(folder.0.join("noise"), &noise).unwrap();
    fs::write(folder.0.join("small"), "x").unwrap();
    let repository = Repository::new(b"/x.git".to_vec(), &folder.contents()).unwrap();
    let id = repository.id(repository.head.1.unwrap());
    let settings = [folder.setting(), "repository_path = \"/x.git\"".to_owned()];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut packs = Vec::new();
    for capability in ["", "side-band", "side-band-64k"] {
        let want = line(&format!("want {id} {capability} no-progress\n"));
        let outcome = ask(&settings, &[&open("/x", 0), &[&want[..], b"0000", &line("done\n")].concat()]);
        let at = outcome.reply.windows(8).position(|part| part == b"0008NAK\n").unwrap() + 8;
        let data =
            if capability.is_empty() { outcome.reply[at..].to_vec() } else { band(&outcome.reply[at..]) };
        assert_eq!(pack(&data).0, 4);
        assert_eq!(outcome.reply.ends_with(b"0000"), !capability.is_empty());
        packs.push(data);
    }
    assert!(packs[0].len() > 1_000_000 && packs.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn progress_is_told_as_git_tells_it() {
    let want = line(&format!("want {MASTER} side-band-64k\n"));
    let outcome = ask(&[BAIT], &[&open("/payroll", 0), &[&want[..], b"0000", &line("done\n")].concat()]);
    let text = String::from_utf8_lossy(&outcome.reply).into_owned();
    for told in [
        "0024\u{2}Enumerating objects: 20, done.\n",
        "0023\u{2}Counting objects:   5% (1/20)\r",
        "002b\u{2}Counting objects: 100% (20/20), done.\n",
        "003c\u{2}Total 20 (delta 0), reused 20 (delta 0), pack-reused 0\n",
    ] {
        assert!(text.contains(told), "{told:?} in {text}");
    }
}

#[test]
fn a_wrong_path_or_version_is_a_mistake() {
    for path in ["payroll.git", "/a/../b", "/a/", "/a b", "//a", "/"] {
        let problems = service(&[BAIT, &format!("repository_path = \"{path}\"")]).err().unwrap();
        assert!(problems[0].contains("expected an absolute path"), "{problems:?}");
    }
    assert!(service(&["version = \"2.39 5\""]).is_err());
}

#[test]
fn the_client_may_be_sent_all_of_the_bait() {
    let limits = |settings: &[&str]| service(settings).unwrap().stream.unwrap().bounds();
    assert!(limits(&[BAIT]).bytes_out > limits(&[]).bytes_out);
}

/// Pieces of conversations about the bait.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "want 38c0d68537b9920b65beb6af94a6bfb2bc9712f2 multi_ack_detailed side-band-64k include-tag no-done\n",
        "want bfe93c523567e77e7300a9516eff9d985e6429d2 multi_ack side-band deepen-relative",
        "want 85c51af9f85ff6347b6078089182d80b51168289",
        "have 06359b65ff7e2cdf15c1f6af8194a7d3390fe399\n",
        "have 9087fcd30c0ca10f70dd04e92735814a4ce17967",
        "have 1111111111111111111111111111111111111111",
        "shallow 38c0d68537b9920b65beb6af94a6bfb2bc9712f2",
        "shallow d6e465977567be1ecedb68e2d7f563a39e6efbd1",
        "deepen 1",
        "deepen 2147483647",
        "deepen-since 1700172800",
        "deepen-not hotfix",
        "deepen-relative",
        "done",
        "command=fetch",
        "command=ls-refs",
        "command=object-info",
        "ref-prefix refs/tags/",
        "oid 38c0d68537b9920b65beb6af94a6bfb2bc9712f2",
        "size",
        "peel",
        "include-tag",
        "wait-for-done",
        "agent=x",
    ];
    let packet = prop_oneof![
        6 => proptest::sample::select(words.to_vec()).prop_map(line),
        3 => Just(b"0000".to_vec()),
        1 => Just(b"0001".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..9),
    ];
    let fetch = lines(&["command=fetch", "0001"]);
    let begin = prop_oneof![
        Just(open("/payroll", 0)),
        Just(open("/payroll.git", 2)),
        Just([open("/payroll.git", 2), fetch].concat())
    ];
    (begin, proptest::collection::vec(packet, 0..12))
        .prop_map(|(begin, packets)| [begin, packets.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is said about the bait, and however it is cut up: no promise is broken, and every pack is whole.
    #[test]
    fn the_bait_answers_anything_and_the_same_in_pieces(bytes in wire(), cut in 1_usize..9) {
        let service = service(&[BAIT]).unwrap().stream.unwrap();
        let whole = talk(service.as_ref(), &[&bytes], true);
        prop_assert_eq!(&whole.broken, &Vec::<String>::new());
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        prop_assert_eq!(&whole, &talk(service.as_ref(), &pieces, true));
    }
}
