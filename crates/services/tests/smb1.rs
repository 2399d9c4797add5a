//! What a client of SMB 1 can and cannot do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::collections::BTreeSet;

use haldane_core::{Sighting, Value};
use haldane_services::{
    ALL,
    replay::{build, talk},
};

const UNICODE: u16 = 0xc001;
const OEM: u16 = 0x4001;

/// Requests of one client, one after the other.
struct Client {
    flags2: u16,
    uid: u16,
    tid: u16,
    sent: Vec<Vec<u8>>,
}

/// What came of them: a packet for each answer, without its frame, and what was reported.
struct Said(Vec<Vec<u8>>, Vec<Sighting>);

fn numbers(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

impl Client {
    /// One that has logged in as a guest and uses that share.
    fn using(share: &str, flags2: u16) -> Self {
        let mut client = Self { flags2, uid: 0, tid: 0, sent: Vec::new() };
        client.send(0x72, &[], b"\x02NT LM 0.12\0");
        client.log_in("guest");
        client.uid = 0x800;
        client.connect(share);
        client.tid = 0x800;
        client
    }

    fn send(&mut self, command: u8, words: &[u8], bytes: &[u8]) {
        let mut packet = [b"\xffSMB", &[command, 0, 0, 0, 0, 0x18][..]].concat();
        packet.extend(self.flags2.to_le_bytes());
        packet.extend([0; 12]);
        packet.extend(numbers(&[self.tid, 7, self.uid, 9]));
        packet.push(u8::try_from(words.len() / 2).unwrap());
        packet.extend(words);
        packet.extend(numbers(&[u16::try_from(bytes.len()).unwrap()]));
        packet.extend(bytes);
        let length = u32::try_from(packet.len()).unwrap().to_be_bytes();
        self.sent.push([&length[..], &packet].concat());
    }

    /// A text as it stands in bytes that begin at that place, with its end.
    fn text(&self, text: &str, at: usize) -> Vec<u8> {
        if self.flags2 != UNICODE {
            return [text.as_bytes(), &[0]].concat();
        }
        let pad = vec![0; at % 2];
        [pad, text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()].concat()
    }

    fn log_in(&mut self, user: &str) {
        let words = numbers(&[0xff, 0, 4356, 10, 0, 0, 0, 0, 24, 0, 0, 0x50, 0]);
        let at = 32 + 1 + words.len() + 2 + 24;
        let names = [self.text(user, at), self.text("", 0), self.text("Unix", 0), self.text("Samba", 0)];
        self.send(0x73, &words, &[vec![7; 24], names.concat()].concat());
    }

    fn connect(&mut self, share: &str) {
        let path = self.text(&format!("\\\\files01\\{share}"), 32 + 1 + 8 + 2 + 1);
        self.send(0x75, &numbers(&[0xff, 0, 0, 1]), &[&[0], &path[..], b"?????\0"].concat());
    }

    fn open(&mut self, path: &str) {
        let mut words = numbers(&[0xff, 0]);
        words.push(0);
        words.extend(numbers(&[u16::try_from(path.len()).unwrap(), 0, 0, 0, 0, 1, 0]));
        words.extend(numbers(&[0, 0, 0, 0, 0, 0, 7, 0, 1, 0, 0, 0, 2, 0]));
        words.push(0);
        let name = self.text(path, 32 + 1 + 48 + 2);
        self.send(0xa2, &words, &name);
    }

    fn transaction2(&mut self, function: u16, parameters: &[u8]) {
        let size = u16::try_from(parameters.len()).unwrap();
        let words = numbers(&[size, 0, 10, 4000, 0, 0, 0, 0, 0, size, 68, 0, 0, 1, function]);
        self.send(0x32, &words, &[&[0; 3], parameters].concat());
    }

    fn run(self, settings: &[&str]) -> Said {
        let entry = ALL.iter().find(|entry| entry.name == "smb").unwrap();
        let service = build(entry, settings).unwrap();
        let pieces: Vec<&[u8]> = self.sent.iter().map(Vec::as_slice).collect();
        let got = talk(service.stream.as_ref().unwrap().as_ref(), &pieces, true);
        assert_eq!(got.broken, Vec::<String>::new());
        let (mut answers, mut rest) = (Vec::new(), got.reply.as_slice());
        while let Some(length) = rest.get(..4) {
            let length = usize::try_from(u32::from_be_bytes(length.try_into().unwrap())).unwrap();
            answers.push(rest[4..4 + length].to_vec());
            rest = &rest[4 + length..];
        }
        Said(answers, got.seen)
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn size(bytes: &[u8], at: usize) -> usize {
    usize::try_from(number(bytes, at)).unwrap()
}

fn short(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

/// Parameters and data of a transaction's answer.
fn parts(answer: &[u8]) -> (&[u8], &[u8]) {
    let part = |count, at| &answer[short(answer, at)..][..short(answer, count)];
    (part(33 + 6, 33 + 8), part(33 + 12, 33 + 14))
}

impl Said {
    fn statuses(&self) -> Vec<u32> {
        self.0.iter().map(|answer| number(answer, 5)).collect()
    }

    fn actions(&self) -> Vec<(String, String)> {
        let field = |seen: &Sighting, name: &str| match seen.fields.get(name) {
            Some(Value::Text(text)) => text.to_string(),
            _ => String::new(),
        };
        let seen = self.1.iter().filter(|seen| seen.kind.name == "smb.audit");
        seen.map(|seen| (field(seen, "action"), field(seen, "file"))).collect()
    }
}

#[test]
fn what_a_connection_may_have_is_bounded() {
    let mut client = Client::using("Documents", UNICODE);
    (0..70).for_each(|_| client.open("Readme.txt"));
    (0..40).for_each(|_| client.connect("IPC$"));
    client.uid = 0;
    (0..20).for_each(|_| client.log_in("guest"));
    let statuses = client.run(&[]).statuses();
    let count = |part: &[u32], status| part.iter().filter(|end| **end == status).count();
    assert_eq!((count(&statuses[3..73], 0), count(&statuses[3..73], 0xc000_011f)), (64, 6));
    assert_eq!((count(&statuses[73..113], 0), count(&statuses[73..113], 0xc000_009a)), (31, 9));
    assert_eq!((count(&statuses[113..], 0), count(&statuses[113..], 0xc000_00d0)), (15, 5));
}

#[test]
fn a_search_in_pieces_lists_each_file_once_and_is_one_event() {
    for (flags2, by_name) in [(UNICODE, false), (UNICODE, true), (OEM, true)] {
        let mut client = Client::using("Documents", flags2);
        let pattern = client.text("\\IT\\*", 0);
        client.transaction2(1, &[numbers(&[0x16, 2, 6, 0x104, 0, 0]), pattern].concat());
        let last = ["..", "Deployment", "Passwords.kdbx", "Scripts"];
        for last in last {
            let last = client.text(if by_name { last } else { "" }, 0);
            let flags = if by_name { 6 } else { 0xe };
            client.transaction2(2, &[numbers(&[0x800, 2, 0x104, 0, 0, flags]), last].concat());
        }
        let said = client.run(&[]);
        let mut names = Vec::new();
        for answer in &said.0[3..] {
            let (parameters, mut data) = parts(answer);
            let first = usize::from(names.is_empty()) * 2;
            for _ in 0..short(parameters, first) {
                let name = &data[94..][..size(data, 60)];
                let name = if flags2 == UNICODE {
                    let units = name.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
                    String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
                } else {
                    String::from_utf8(name.strip_suffix(&[0]).unwrap().to_vec()).unwrap()
                };
                names.push(name);
                data = &data[size(data, 0)..];
            }
        }
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!((names.len(), distinct.len()), (9, 9), "{names:?}");
        assert_eq!((names[0].as_str(), names[1].as_str()), (".", ".."));
        let listings = said.actions().into_iter().filter(|(action, _)| action == "opendir");
        assert_eq!(listings.collect::<Vec<_>>(), [("opendir".to_owned(), "IT".to_owned())]);
    }
}

#[test]
fn every_form_of_information_is_given_or_refused() {
    let given = [
        (
            5_u16,
            vec![1, 2, 6, 0x101, 0x102, 0x103, 0x104, 0x107, 0x108, 0x109, 0x10b, 1004, 1005, 1006, 1034],
        ),
        (3, vec![1, 2, 0x102, 0x103, 0x104, 0x105, 1007]),
    ];
    for (function, levels) in given {
        let mut client = Client::using("Documents", UNICODE);
        let levels: Vec<(u16, u32)> =
            levels.into_iter().map(|level| (level, 0)).chain([(0x200, 0xc000_0148)]).collect();
        for (level, _) in &levels {
            let path = if function == 5 { client.text("\\Readme.txt", 0) } else { Vec::new() };
            client.transaction2(function, &[numbers(&[*level, 0, 0]), path].concat());
        }
        let statuses = client.run(&[]).statuses();
        for ((level, expected), status) in levels.iter().zip(&statuses[3..]) {
            assert_eq!(status, expected, "{function} {level:#x}");
        }
    }
}

#[test]
fn one_packet_can_log_in_connect_open_and_read() {
    let mut client = Client { flags2: OEM, uid: 0, tid: 0, sent: Vec::new() };
    client.send(0x72, &[], b"\x02NT LM 0.12\0");
    let mut login = numbers(&[0x75, 0, 4356, 10, 0, 0, 0, 0, 24, 0, 0, 0x50, 0]);
    let names = [vec![7; 24], b"guest\0\0Unix\0Samba\0".to_vec()].concat();
    // Where each command begins, from the header on.
    let connect = 32 + 1 + login.len() + 2 + names.len();
    login[2..4].copy_from_slice(&u16::try_from(connect).unwrap().to_le_bytes());
    let path = b"\0\\\\x\\Documents\0A:\0";
    let open = connect + 1 + 8 + 2 + path.len();
    let read = open + 1 + 30 + 2 + b"Readme.txt\0".len();
    let at = |at: usize| u16::try_from(at).unwrap();
    let mut chain = vec![4];
    chain.extend(numbers(&[0x2d, at(open), 0, 1, u16::try_from(path.len()).unwrap()]));
    chain.extend(path);
    chain.push(15);
    chain.extend(numbers(&[0x2e, at(read), 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 11]));
    chain.extend(b"Readme.txt\0");
    chain.push(10);
    chain.extend(numbers(&[0xff, 0, 0x4000, 0, 0, 100, 0, 0, 0, 0, 0]));
    client.send(0x73, &login, &names);
    let packet = client.sent.last_mut().unwrap();
    packet.extend(&chain);
    let length = u32::try_from(packet.len() - 4).unwrap().to_be_bytes();
    packet[..4].copy_from_slice(&length);
    let said = client.run(&[]);
    assert_eq!(said.statuses(), [0, 0]);
    let answer = &said.0[1];
    let (mut commands, mut at) = (vec![answer[4]], 32);
    while answer[at + 1] != 0xff {
        commands.push(answer[at + 1]);
        at = short(answer, at + 3);
    }
    assert_eq!((commands, answer.len() - at), (vec![0x73, 0x75, 0x2d, 0x2e], 1 + 24 + 2 + 1 + 100));
    assert_eq!((short(answer, 24), short(answer, 28)), (0x800, 0x800));
    let actions: Vec<String> = said.actions().into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["connect", "openat", "pread"]);
}

#[test]
fn no_path_leads_out_of_the_folder() {
    let tries = [
        ("..", 0xc000_0033),
        ("..\\..\\etc\\passwd", 0xc000_0033),
        ("\\..\\Readme.txt", 0xc000_0033),
        ("IT\\..\\..\\x", 0xc000_0033),
        ("C:\\Windows\\win.ini", 0xc000_0033),
        ("/etc/passwd", 0xc000_0033),
        ("Readme.txt:secret", 0xc000_0034),
        ("Readme.txt::$DATA", 0),
        ("readme.TXT", 0),
        ("Nothing\\at\\all", 0xc000_003a),
        ("CON", 0xc000_0034),
    ];
    let mut client = Client::using("Documents", UNICODE);
    for (path, _) in tries {
        client.open(path);
    }
    client.open(&"a".repeat(8000));
    let statuses = client.run(&[]).statuses();
    for ((path, expected), status) in tries.iter().zip(&statuses[3..]) {
        assert_eq!(*status, *expected, "{path} {status:#x}");
    }
    assert_ne!(*statuses.last().unwrap(), 0);
}

#[test]
fn shares_are_closed_missing_or_of_another_kind() {
    let mut client = Client::using("IPC$", OEM);
    ["C$", "nothing", "documents"].into_iter().for_each(|share| client.connect(share));
    client.send(0x75, &numbers(&[0xff, 0, 0, 1]), b"\0\\\\x\\IPC$\0A:\0");
    client.tid = 99;
    client.open("Readme.txt");
    client.uid = 99;
    client.open("Readme.txt");
    let ends = [0xc000_0022, 0xc000_00cc, 0, 0xc000_00cb, 0x0005_0002, 0x005b_0002];
    assert_eq!(client.run(&[]).statuses()[3..], ends);
}

#[test]
fn a_packet_is_no_way_to_have_much_read_at_once() {
    let mut client = Client::using("Documents", OEM);
    client.open("Readme.txt");
    // As many readings as fit into a packet.
    let read = |next: u16| [&[10][..], &numbers(&[0x2e, next, 0x4000, 0, 0, 0xffff, 0, 0, 0, 0, 0])].concat();
    let mut chain = Vec::new();
    for number in 1..1000_u16 {
        chain.extend(read(32 + 23 * number));
    }
    client.send(0x2e, &chain[1..21], &[]);
    let packet = client.sent.last_mut().unwrap();
    packet.truncate(36);
    packet.extend(chain);
    let length = u32::try_from(packet.len() - 4).unwrap().to_be_bytes();
    packet[..4].copy_from_slice(&length);
    let said = client.run(&[]);
    assert_eq!((said.0.len(), number(&said.0[4], 5)), (5, 0));
    let one = 1 + 24 + 2 + 1 + 321;
    assert_eq!(said.0[4].len(), 32 + 8 * one);
}

#[test]
fn what_was_read_is_told_however_it_ends() {
    let read = numbers(&[0xff, 0, 0x4000, 0, 0, 100, 0, 0, 0, 0]);
    let ends: [fn(&mut Client); 4] = [
        |client| client.send(0x04, &numbers(&[0x4000, 0, 0]), &[]),
        |client| client.send(0x71, &[], &[]),
        |client| client.send(0x74, &numbers(&[0xff, 0]), &[]),
        |client| client.sent.push(b"\0\0\0\x04\xfeSMB".to_vec()),
    ];
    for end in ends {
        let mut client = Client::using("Documents", OEM);
        client.open("Readme.txt");
        client.send(0x2e, &read, &[]);
        end(&mut client);
        let actions: Vec<String> = client.run(&[]).actions().into_iter().map(|(action, _)| action).collect();
        assert_eq!(actions, ["connect", "openat", "pread"]);
    }
}
