//! TFTP: what a transfer does when things go wrong, and what is recorded of it. How the real server answers is in the
//! recordings.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{
    Cx, Effects, Entry, Exchange, Flow, Host, Input, Keep, Peer, Severity, Sighting, Transport, Value,
    service::Service,
};
use haldane_services::{
    ALL,
    replay::{Counting, InMemory, build, build_on, host, peer},
};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "tftp").unwrap()
}

fn request(opcode: u8, texts: &[&[u8]]) -> Vec<u8> {
    let mut datagram = vec![0, opcode];
    for text in texts {
        datagram.extend_from_slice(text);
        datagram.push(0);
    }
    datagram
}

fn data(block: u16, content: &[u8]) -> Vec<u8> {
    [&[0, 3], &block.to_be_bytes()[..], content].concat()
}

fn ack(block: u16) -> Vec<u8> {
    [&[0, 4], &block.to_be_bytes()[..]].concat()
}

/// A transfer, driven by hand.
struct Driven {
    exchange: Box<dyn Exchange>,
    seen: Vec<Sighting>,
    random: Counting,
}

impl Driven {
    fn new(service: &Service, datagram: &[u8]) -> (Self, Vec<u8>) {
        let Peer { remote, local, .. } = peer();
        let peer = Peer::new(remote, local, Transport::Udp);
        let exchange = service.datagrams.as_ref().unwrap().exchange(datagram, &peer).unwrap();
        let mut driven = Self { exchange, seen: Vec::new(), random: Counting::default() };
        let (reply, flow) = driven.act(|exchange, cx| exchange.begin(cx));
        assert_eq!(flow, Ok(Flow::Continue));
        (driven, reply)
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut dyn Exchange, &mut Cx<'_>) -> T) -> (Vec<u8>, T) {
        let (peer, mut effects) = (peer(), Effects::default());
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut self.random, &mut effects);
        let result = act(self.exchange.as_mut(), &mut cx);
        self.seen.extend(effects.seen);
        (effects.reply, result)
    }

    fn take(&mut self, datagram: &[u8]) -> (Vec<u8>, Flow) {
        self.act(|exchange, cx| exchange.take(&mut Input::whole(datagram), cx).unwrap())
    }

    fn silence(&mut self) -> (Vec<u8>, Flow) {
        self.act(|exchange, cx| exchange.silence(cx))
    }

    /// The last of what is reported.
    fn end(mut self) -> Vec<Sighting> {
        self.act(|exchange, cx| exchange.end(cx));
        self.seen
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("haldane-tftp-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn bait(folder: &Path) -> Result<Service, String> {
    let setting = format!("bait = \"{}\"", folder.display());
    build(entry(), &[&setting]).map_err(|problems| problems[0].to_string())
}

#[test]
fn what_is_not_answered_is_sent_again_six_times_with_doubled_waits() {
    let service = build(entry(), &["bait = \"tests/record/bait\""]).unwrap();
    let (mut transfer, first) = Driven::new(&service, &request(1, &[b"b1300", b"octet"]));
    transfer.take(b"hello");
    let mut waits = Vec::new();
    loop {
        waits.push(transfer.exchange.patience().as_secs());
        let (again, flow) = transfer.silence();
        if flow == Flow::Close {
            break;
        }
        assert_eq!(again, first);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32]);
    // An answer starts it anew; what is asked for holds.
    let (mut transfer, _) = Driven::new(&service, &request(1, &[b"b1300", b"octet", b"timeout", b"3"]));
    assert_eq!(transfer.exchange.patience(), Duration::from_secs(3));
    transfer.silence();
    assert_eq!(transfer.exchange.patience(), Duration::from_secs(6));
    transfer.take(&ack(0));
    assert_eq!(transfer.exchange.patience(), Duration::from_secs(3));
}

#[test]
fn a_forged_address_does_not_hold_a_transfer_for_a_minute() {
    let service = build(entry(), &[]).unwrap();
    let (mut transfer, _) = Driven::new(&service, &request(2, &[b"a", b"octet"]));
    let silences = std::iter::repeat_with(|| transfer.silence().1).take_while(|flow| *flow == Flow::Continue);
    assert_eq!(silences.count(), 2);
    let seen = transfer.end();
    assert_eq!(seen.len(), 1, "no upload without a block: {seen:?}");
}

#[test]
fn an_upload_is_hashed_whole_and_told_when_its_last_block_is_there() {
    let service = build(entry(), &[]).unwrap();
    let name: Vec<u8> = (1..=255).collect();
    let (mut transfer, reply) = Driven::new(&service, &request(2, &[&name, b"OcTeT"]));
    assert_eq!(reply, ack(0));
    assert_eq!(transfer.seen[0].fields["filename"], Value::from(name.as_slice()));
    assert_eq!(transfer.seen[0].fields["mode"], Value::from("OcTeT"));
    assert_eq!(transfer.seen[0].severity, Severity::Medium);
    for block in 1..=1000 {
        assert_eq!(transfer.take(&data(block, &[b'a'; 512])), (ack(block), Flow::Continue));
    }
    assert_eq!(transfer.seen.len(), 1);
    assert_eq!(transfer.take(&data(1001, b"")), (ack(1001), Flow::Continue));
    assert_eq!(transfer.take(&data(1001, b"")), (ack(1001), Flow::Continue), "its ACK was lost");
    assert_eq!(transfer.take(&data(1002, b"more")).0, b"");
    let seen = transfer.end();
    assert_eq!(seen.len(), 2);
    let fields = &seen[1].fields;
    assert_eq!((&fields["bytes"], &fields["complete"]), (&Value::Int(512_000), &Value::Bool(true)));
    // head -c 512000 /dev/zero | tr '\\0' a | sha256sum
    let sum = "0fc9c3571cf4693254689e6b814b7bc9ed290c049472f659649ddc1fc7d45857";
    assert_eq!(fields["sha256"].clone(), Value::from(sum));
    assert_eq!(fields["head"], Value::from("a".repeat(256)));
}

#[test]
fn an_upload_over_the_bound_is_refused_and_what_came_is_told() {
    let service = build(entry(), &["max_upload = \"1000\""]).unwrap();
    let (mut transfer, _) = Driven::new(&service, &request(2, &[b"a", b"octet"]));
    transfer.take(&data(1, &[b'a'; 512]));
    let full = b"\0\x05\0\x03Disk full or allocation exceeded\0".to_vec();
    assert_eq!(transfer.take(&data(2, &[b'b'; 512])), (full, Flow::Close));
    let seen = transfer.end();
    let fields = &seen[1].fields;
    assert_eq!((&fields["bytes"], &fields["complete"]), (&Value::Int(1024), &Value::Bool(false)));
}

#[test]
fn block_numbers_go_round_as_agreed() {
    for (rollover, expected) in [(None, 0), (Some(b"1"), 1)] {
        let service = build(entry(), &["max_upload = \"4 MiB\""]).unwrap();
        let mut texts: Vec<&[u8]> = vec![b"a", b"octet", b"blksize", b"8"];
        if let Some(rollover) = rollover {
            texts.extend([&b"rollover"[..], rollover]);
        }
        let (mut transfer, _) = Driven::new(&service, &request(2, &texts));
        for block in 1..=65_535 {
            transfer.take(&data(block, b"12345678"));
        }
        assert_eq!(transfer.take(&data(expected, b"12345678")).0, ack(expected));
        assert_eq!(transfer.take(&data(expected + 1, b"")).0, ack(expected + 1));
        let seen = transfer.end();
        assert_eq!(seen[1].fields["bytes"], Value::Int(65_536 * 8));
    }
}

#[test]
fn text_is_hashed_as_it_would_have_been_stored() {
    let service = build(entry(), &[]).unwrap();
    let (mut transfer, _) = Driven::new(&service, &request(2, &[b"a", b"netascii", b"blksize", b"8"]));
    // The CR and what belongs to it are in two blocks.
    transfer.take(&data(1, b"abcdefg\r"));
    transfer.take(&data(2, b"\nb\r\0c"));
    let seen = transfer.end();
    assert_eq!(seen[1].fields["head"], Value::from("abcdefg\nb\rc"));
}

#[test]
fn an_upload_is_kept_only_if_that_is_asked_for() {
    let upload = |settings: &[&str]| {
        let keep = Arc::new(InMemory::default());
        let shared: Arc<dyn Keep> = Arc::<InMemory>::clone(&keep);
        let host = Host { keep: shared, ..host() };
        let service = build_on(entry(), settings, &host).unwrap();
        let (mut transfer, _) = Driven::new(&service, &request(2, &[b"../../etc/passwd", b"octet"]));
        transfer.take(&data(1, b"12345678"));
        (transfer.end(), keep.kept())
    };
    let (seen, kept) = upload(&[]);
    assert!(kept.is_empty() && !seen[1].fields.contains_key("kept"));
    let (seen, kept) = upload(&["keep_uploads = \"/nowhere\""]);
    let sum = "ef797c8118f02dfb649607dd5d3f8c7623048c9c063d532cc95c5ed7a898a64f";
    let path = PathBuf::from("/nowhere").join(sum);
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(path.clone(), b"12345678".to_vec())]);
    assert_eq!(seen[1].fields["kept"], Value::from(path.to_str().unwrap()));
}

#[test]
fn uploads_that_are_to_be_kept_share_a_bound() {
    let settings = ["keep_uploads = \"/nowhere\"", "max_upload = \"16 MiB\""];
    let service =
        build_on(entry(), &settings, &Host { keep: Arc::new(InMemory::default()), ..host() }).unwrap();
    let large = request(2, &[b"a", b"octet", b"blksize", b"65464"]);
    let (mut first, _) = Driven::new(&service, &large);
    let (mut second, _) = Driven::new(&service, &large);
    for block in 1..=100 {
        first.take(&data(block, &[1; 65_464]));
        second.take(&data(block, &[2; 65_464]));
    }
    first.take(&data(101, b""));
    second.take(&data(101, b""));
    let both = [first.end(), second.end()];
    for seen in &both {
        assert_eq!(seen[1].fields["complete"], Value::Bool(true));
    }
    let kept = both.iter().filter(|seen| seen[1].fields.contains_key("kept")).count();
    assert_eq!(kept, 1, "together they are more than 8 MiB");
    let (mut third, _) = Driven::new(&service, &large);
    third.take(&data(1, b"x"));
    assert!(third.end()[1].fields.contains_key("kept"), "room is given back");
}

#[test]
fn a_bait_folder_gives_no_way_out() {
    let folder = folder("links");
    std::fs::write(folder.join("inside"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link")).ok();
    std::os::unix::fs::symlink("/etc", folder.join("linked")).ok();
    let service = bait(&folder).unwrap();
    for name in ["link", "linked/passwd", "../../../etc/passwd", "/etc/passwd", "inside/../../etc/passwd"] {
        let datagram = request(1, &[name.as_bytes(), b"octet"]);
        let outcome = haldane_services::replay::datagram(&service, &datagram);
        assert_eq!(outcome.reply, b"\0\x05\0\x01File not found\0", "{name}");
        assert_eq!(outcome.seen[0].fields["filename"], Value::from(name));
    }
    let (_, reply) = Driven::new(&service, &request(1, &[b"/..//inside", b"octet"]));
    assert_eq!(reply, data(1, b"x"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_bait_folder_that_is_too_large_or_none_is_the_operators_mistake() {
    let folder = folder("large");
    std::fs::write(folder.join("large"), vec![0; (4 << 20) + 1]).unwrap();
    assert!(bait(&folder).unwrap_err().contains("is larger than 4 MiB"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(bait(&folder).unwrap_err().contains("expected a folder of bait files"));
}

#[test]
fn a_bait_file_is_told_at_once_and_again_with_what_arrived() {
    let service = build(entry(), &["bait = \"tests/record/bait\""]).unwrap();
    let (mut transfer, reply) = Driven::new(&service, &request(1, &[b"b1300", b"octet"]));
    assert_eq!(transfer.exchange.first_reply(), reply.len());
    assert_eq!((transfer.seen[0].severity, reply.len()), (Severity::Critical, 516));
    transfer.take(&ack(1));
    let seen = transfer.end();
    assert_eq!(seen[1].kind.name, "tftp.bait");
    assert_eq!(seen[1].fields["bytes"], Value::Int(512));
    assert_eq!(seen[1].fields["complete"], Value::Bool(false));
}
