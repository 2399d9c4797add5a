//! What a client of SMB 2 can and cannot do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::time::SystemTime;

use haldane_core::{Cx, Effects, Flow, Input, Sighting, Value, session::AnySession};
use haldane_services::{ALL, replay};

const OK: u32 = 0;
const PENDING: u32 = 0x103;
const NOT_FOUND: u32 = 0xc000_0034;
const PATH_NOT_FOUND: u32 = 0xc000_003a;
const NAME_INVALID: u32 = 0xc000_0033;
const DENIED: u32 = 0xc000_0022;
const PARAMETER: u32 = 0xc000_000d;
const CLOSED: u32 = 0xc000_0128;
const RESOURCES: u32 = 0xc000_009a;
const READ: u32 = 0x0012_0089;

/// One client, and all that was reported of it.
struct Client {
    session: Box<dyn AnySession>,
    random: replay::Counting,
    seen: Vec<Sighting>,
    flow: Flow,
    number: u64,
    id: u64,
    tree: u32,
}

/// One answer.
#[derive(Debug)]
struct Answer {
    status: u32,
    flags: u32,
    credits: u16,
    place: u64,
    session: u64,
    body: Vec<u8>,
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An answer of NTLM of nobody, or of somebody whose proof is made up.
fn ntlm(user: &str) -> Vec<u8> {
    let (user, proof) = (wide(user), if user.is_empty() { vec![] } else { vec![7; 48] });
    let mut token = b"NTLMSSP\0\x03\0\0\0".to_vec();
    let mut payload = Vec::new();
    for part in [&[][..], &proof, &[], &user, &[], &[]] {
        let (length, at) = (u16::try_from(part.len()).unwrap(), 64 + u32::try_from(payload.len()).unwrap());
        token.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
        token.extend(at.to_le_bytes());
        payload.extend_from_slice(part);
    }
    token.extend(0x0008_8201_u32.to_le_bytes());
    [token, payload].concat()
}

impl Client {
    fn new(settings: &[&str]) -> Self {
        let entry = ALL.iter().find(|entry| entry.name == "smb").unwrap();
        let protocol = replay::build(entry, settings).unwrap().stream.unwrap();
        Self {
            session: protocol.open(&replay::peer()),
            random: replay::Counting::default(),
            seen: Vec::new(),
            flow: Flow::Continue,
            number: 0,
            id: 0,
            tree: 0,
        }
    }

    /// One that has negotiated 2.1 and is let in as that user.
    fn let_in(user: &str) -> Self {
        let mut client = Self::new(&[]);
        client.negotiate();
        assert_eq!(client.log_in(user), OK);
        client
    }

    /// The same, with the share of the bait.
    fn with_share() -> Self {
        let mut client = Self::let_in("guest");
        assert_eq!(client.connect("\\\\files01\\documents"), OK);
        client
    }

    /// Sends a packet and returns what is answered.
    fn packet(&mut self, content: &[u8]) -> Vec<Answer> {
        let mut bytes = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
        bytes.extend_from_slice(content);
        let (peer, mut effects) = (replay::peer(), Effects::default());
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut self.random, &mut effects);
        self.flow = self.session.step(&mut Input::stream(&bytes), &mut cx).unwrap();
        self.seen.append(&mut effects.seen);
        let (mut answers, mut reply) = (Vec::new(), effects.reply.as_slice());
        while !reply.is_empty() {
            let length = usize::try_from(u32::from_be_bytes(reply[..4].try_into().unwrap())).unwrap();
            let (packet, rest) = reply[4..].split_at(length);
            let mut message = packet;
            loop {
                let next = usize::try_from(u32_at(message, 20)).unwrap();
                assert_eq!(next % 8, 0);
                answers.push(Answer {
                    status: u32_at(message, 8),
                    flags: u32_at(message, 16),
                    credits: u16_at(message, 14),
                    place: u64_at(message, 32),
                    session: u64_at(message, 40),
                    body: message[64..].to_vec(),
                });
                match next {
                    0 => break,
                    next => message = &message[next..],
                }
            }
            reply = rest;
        }
        answers
    }

    fn message(&mut self, command: u16, flags: u32, body: &[u8]) -> Vec<u8> {
        let mut message = b"\xfeSMB\x40\0\0\0\0\0\0\0".to_vec();
        message.extend(command.to_le_bytes());
        message.extend(10_u16.to_le_bytes());
        message.extend(flags.to_le_bytes());
        message.extend([0; 4]);
        message.extend(self.number.to_le_bytes());
        message.extend([0; 4]);
        message.extend(self.tree.to_le_bytes());
        message.extend(self.id.to_le_bytes());
        message.extend([0; 16]);
        message.extend_from_slice(body);
        self.number += 1;
        message
    }

    fn ask(&mut self, command: u16, body: &[u8]) -> Answer {
        let message = self.message(command, 0, body);
        let mut answers = self.packet(&message);
        assert_eq!(answers.len(), 1, "{answers:?}");
        answers.remove(0)
    }

    fn negotiate(&mut self) {
        let body = [&[36, 0, 1, 0, 1, 0][..], &[0; 30], &[0x10, 2]].concat();
        assert_eq!(self.ask(0, &body).status, OK);
    }

    fn log_in(&mut self, user: &str) -> u32 {
        let token = ntlm(user);
        let mut body = vec![25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0];
        body.extend(u16::try_from(token.len()).unwrap().to_le_bytes());
        body.extend([0; 8]);
        body.extend(token);
        let answer = self.ask(1, &body);
        self.id = answer.session;
        answer.status
    }

    fn connect(&mut self, path: &str) -> u32 {
        let path = wide(path);
        let length = u16::try_from(path.len()).unwrap().to_le_bytes();
        let answer = self.ask(3, &[&[9, 0, 0, 0, 72, 0, length[0], length[1]], path.as_slice()].concat());
        self.tree = u32::try_from(answer.place >> 32).unwrap();
        answer.status
    }

    /// The status and the file.
    fn open(&mut self, name: &str, access: u32, disposition: u32, options: u32) -> (u32, Vec<u8>) {
        let answer = self.ask(5, &create(&wide(name), access, disposition, options));
        (answer.status, answer.body.get(64..80).unwrap_or_default().to_vec())
    }

    /// What was done with files: action, file, status.
    fn uses(&self) -> Vec<(String, String, String)> {
        let text = |seen: &Sighting, key: &str| match seen.fields.get(key) {
            Some(Value::Text(text)) => String::from_utf8_lossy(text.raw()).into_owned(),
            other => panic!("{key}: {other:?}"),
        };
        let uses = self.seen.iter().filter(|seen| seen.kind.name == "smb.audit");
        uses.map(|seen| (text(seen, "action"), text(seen, "file"), text(seen, "status"))).collect()
    }
}

fn create(name: &[u8], access: u32, disposition: u32, options: u32) -> Vec<u8> {
    let mut body = vec![57, 0];
    body.extend([0; 22]);
    body.extend([access, 0, 7, disposition, options].iter().flat_map(|number| number.to_le_bytes()));
    body.extend(120_u16.to_le_bytes());
    body.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    body.extend([0; 8]);
    body.extend_from_slice(name);
    if name.is_empty() {
        body.push(0);
    }
    body
}

fn read(file: &[u8], length: u32, offset: u64) -> Vec<u8> {
    let head = [&[49, 0, 80, 0][..], &length.to_le_bytes(), &offset.to_le_bytes(), file].concat();
    [&head[..], &[0; 17]].concat()
}

fn close(file: &[u8]) -> Vec<u8> {
    [&[24, 0, 0, 0, 0, 0, 0, 0][..], file].concat()
}

#[test]
fn a_wrong_password_of_an_account_is_refused_though_strangers_are_guests() {
    let mut client = Client::new(&["accept = \"anyone\"", "users = [\"backup:Winter2026\"]"]);
    client.negotiate();
    assert_eq!(client.log_in("stranger"), OK);
    client.id = 0;
    assert_eq!(client.log_in("Backup"), 0xc000_006d);
}

#[test]
fn a_login_that_is_begun_and_left_or_none_at_all_is_recorded() {
    let mut client = Client::new(&[]);
    client.negotiate();
    let begin =
        b"NTLMSSP\0\x01\0\0\0\x07\x82\x08\xa2\0\0\0\0\x28\0\0\0\0\0\0\0\x28\0\0\0\x0a\0\x63\x45\0\0\0\x0f";
    let setup = |token: &[u8]| {
        let length = u16::try_from(token.len()).unwrap().to_le_bytes();
        [&[25, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0][..], &length, &[0; 8], token].concat()
    };
    let answer = client.ask(1, &setup(begin));
    assert_eq!(answer.status, 0xc000_0016);
    client.id = answer.session;
    assert_eq!(client.ask(1, &setup(b"nonsense")).status, PARAMETER);
    let kinds: Vec<_> = client.seen.iter().map(|seen| seen.kind.name).collect();
    assert_eq!(kinds, ["smb.negotiate", "smb.broken", "smb.challenge"]);
    assert_eq!(client.seen[2].fields["client_version"], "10.0.17763".into());
}

#[test]
fn no_name_leads_out_of_the_share() {
    let mut client = Client::with_share();
    let (long, deep) = ("a".repeat(256), "a\\".repeat(9000));
    let names = [
        ("..", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("..\\..\\etc\\passwd", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("IT\\..\\..\\x", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("IT\\..\\Readme.txt", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("\\Readme.txt", vec![PARAMETER]),
        ("/etc/passwd", vec![NAME_INVALID, NOT_FOUND]),
        ("../x", vec![NAME_INVALID, NOT_FOUND]),
        ("C:\\x", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("\\\\?\\C:\\x", vec![PARAMETER]),
        ("??\\C:\\x", vec![NAME_INVALID, PATH_NOT_FOUND]),
        ("Readme.txt:secret", vec![NOT_FOUND]),
        ("Readme.txt:secret:$DATA", vec![NOT_FOUND]),
        ("Readme.txt\\x", vec![NOT_FOUND, PATH_NOT_FOUND]),
        ("Readme?txt", vec![NAME_INVALID]),
        ("*", vec![NAME_INVALID]),
        ("Readme.tx<", vec![NAME_INVALID]),
        ("NUL", vec![NOT_FOUND]),
        ("CON", vec![NOT_FOUND]),
        ("nothing", vec![NOT_FOUND]),
        ("no\\where", vec![PATH_NOT_FOUND]),
        ("a\0b", vec![NAME_INVALID]),
        (&long, vec![NAME_INVALID, NOT_FOUND]),
        (&deep, vec![NAME_INVALID, PATH_NOT_FOUND]),
    ];
    for (name, statuses) in names {
        let before = client.uses().len();
        let (status, _) = client.open(name, READ, 1, 0);
        let shown: String = name.chars().take(40).collect();
        assert!(statuses.contains(&status), "{shown}: {status:#x}");
        assert!(status == PARAMETER || client.uses().len() > before, "{shown} is recorded");
    }
    assert_eq!(client.open("README.TXT::$DATA", READ, 1, 0).0, OK, "the file by its stream is the file");
}

#[test]
fn every_wish_to_change_something_is_refused_and_recorded_by_what_it_would_do() {
    for (name, access, disposition, options, action) in [
        ("Readme.txt", 0x2, 1, 0, "openat"),
        ("Readme.txt", 0x4000_0000, 1, 0, "openat"),
        ("Readme.txt", READ | 0x100, 1, 0, "openat"),
        ("Readme.txt", READ, 0, 0, "openat"),
        ("Readme.txt", READ, 4, 0, "openat"),
        ("Readme.txt", READ, 5, 0, "openat"),
        ("Readme.txt", 0x0001_0000, 1, 0x1000, "unlinkat"),
        ("new.txt", READ, 2, 0, "openat"),
        ("new.txt", READ, 3, 0, "openat"),
        ("new", READ, 2, 1, "mkdirat"),
    ] {
        let mut client = Client::with_share();
        let (status, _) = client.open(name, access, disposition, options);
        assert_eq!(status, DENIED, "{name} {access:#x} {disposition} {options:#x}");
        let last = (action.to_owned(), name.to_owned(), "fail (Permission denied)".to_owned());
        assert_eq!(client.uses().last(), Some(&last));
    }
}

#[test]
fn what_a_file_was_opened_to_be_renamed_to_is_recorded() {
    let mut client = Client::with_share();
    let (status, file) = client.open("Readme.txt", 0x0001_0000, 1, 0);
    assert_eq!(status, OK);
    let name = wide("locked.enc");
    let mut body = vec![33, 0, 1, 10];
    let length = u32::try_from(name.len()).unwrap();
    body.extend((20 + length).to_le_bytes());
    body.extend([96, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(&file);
    body.extend([0; 16]);
    body.extend(length.to_le_bytes());
    body.extend(name);
    assert_eq!(client.ask(17, &body).status, DENIED);
    let seen = client.seen.last().unwrap();
    assert_eq!((&seen.fields["action"], &seen.fields["target"]), (&"renameat".into(), &"locked.enc".into()));
}

#[test]
fn messages_of_one_packet_use_what_the_one_before_opened() {
    let mut client = Client::with_share();
    for (name, statuses) in [("Readme.txt", [OK, OK, OK]), ("nothing", [NOT_FOUND; 3])] {
        let related = [0xff; 16];
        let bodies = [(5, create(&wide(name), READ, 1, 0)), (8, read(&related, 10, 0)), (6, close(&related))];
        let mut packet = Vec::new();
        for (at, (command, body)) in bodies.iter().enumerate() {
            let mut message = client.message(*command, if at == 0 { 0 } else { 4 }, body);
            if at < 2 {
                message.resize(message.len().next_multiple_of(8), 0);
                let next = u32::try_from(message.len()).unwrap().to_le_bytes();
                message[20..24].copy_from_slice(&next);
            }
            packet.extend(message);
        }
        let answers = client.packet(&packet);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), statuses, "{name}");
    }
    // A chain without a beginning.
    let message = client.message(6, 4, &close(&[0xff; 16]));
    assert_eq!(client.packet(&message)[0].status, PARAMETER);
}

#[test]
fn repeated_reads_are_one_event_with_all_their_bytes() {
    let mut client = Client::with_share();
    let (_, file) = client.open("Readme.txt", READ, 1, 0);
    for offset in 0..5 {
        let answer = client.ask(8, &read(&file, 10, offset * 10));
        assert_eq!((answer.status, u32_at(&answer.body, 4)), (OK, 10));
    }
    assert_eq!(client.ask(8, &read(&file, 10, 1 << 40)).status, 0xc000_0011, "beyond the end");
    assert_eq!(client.ask(6, &close(&file)).status, OK);
    assert_eq!(client.ask(8, &read(&file, 10, 0)).status, CLOSED);
    let reads: Vec<_> =
        client.seen.iter().filter(|seen| seen.fields.get("action") == Some(&"pread".into())).collect();
    assert_eq!((reads.len(), &reads[0].fields["bytes"]), (1, &50_u64.into()));
}

#[test]
fn what_is_waited_for_ends_when_it_is_cancelled_or_its_folder_closed() {
    let mut client = Client::with_share();
    let (_, folder) = client.open("", READ, 1, 1);
    let notify = [&[32, 0, 0, 0, 0, 1, 0, 0][..], &folder, &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let waiting = client.ask(15, &notify);
    assert_eq!((waiting.status, waiting.flags & 2), (PENDING, 2));
    let mut cancel = client.message(12, 2, &[4, 0, 0, 0]);
    cancel[32..40].copy_from_slice(&waiting.place.to_le_bytes());
    let ended = client.packet(&cancel);
    assert_eq!((ended.len(), ended[0].status, ended[0].place), (1, 0xc000_0120, waiting.place));
    assert_eq!(client.packet(&cancel).len(), 0, "once");
    assert_eq!(client.ask(15, &notify).status, PENDING);
    let message = client.message(6, 0, &close(&folder));
    let statuses: Vec<u32> = client.packet(&message).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [0x10b, OK]);
    // However many wait, they are bounded.
    let (_, folder) = client.open("", READ, 1, 1);
    let notify = [&[32, 0, 0, 0, 0, 1, 0, 0][..], &folder, &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
    let refused = (0..100).filter(|_| client.ask(15, &notify).status == RESOURCES).count();
    assert_eq!(refused, 36);
}

#[test]
fn sessions_trees_and_files_of_one_connection_are_bounded() {
    let mut client = Client::with_share();
    let opened = (0..300).filter(|_| client.open("Readme.txt", READ, 1, 0).0 == OK).count();
    assert_eq!(opened, 128);
    let trees = (0..100).filter(|_| client.connect("\\\\x\\IPC$") == OK).count();
    assert_eq!(trees, 31);
    let sessions = (0..50).filter(|_| {
        client.id = 0;
        client.log_in("guest") == OK
    });
    assert_eq!(sessions.count(), 15);
}

#[test]
fn credits_never_exceed_what_windows_lets_a_client_hold() {
    let mut client = Client::let_in("");
    let mut held = 2_u32;
    for _ in 0..40 {
        let mut echo = client.message(13, 0, &[4, 0, 0, 0]);
        echo[14..16].copy_from_slice(&u16::MAX.to_le_bytes());
        let answer = &client.packet(&echo)[0];
        held = held + u32::from(answer.credits) - 1;
    }
    assert!((8000..=8300).contains(&held), "{held}");
}

#[test]
fn who_is_let_in_is_what_was_configured() {
    for (accept, nobody, guest, eve) in [
        ("nobody", DENIED, 0xc000_0072, 0xc000_006d),
        ("guests", OK, OK, 0xc000_006d),
        ("anyone", OK, OK, OK),
    ] {
        for (user, expected) in [("", nobody), ("Guest", guest), ("eve", eve)] {
            let mut client = Client::new(&[&format!("accept = \"{accept}\"")]);
            client.negotiate();
            assert_eq!(client.log_in(user), expected, "{accept} {user}");
            let logins = client.seen.iter().filter(|seen| seen.kind.name == "smb.login").count();
            assert_eq!(logins, 1);
        }
    }
}

#[test]
fn a_packet_of_many_reads_is_not_answered_without_bound() {
    let mut client = Client::with_share();
    let (_, file) = client.open("Readme.txt", READ, 1, 0);
    let mut packet = Vec::new();
    for _ in 0..1000 {
        let mut message = client.message(8, 0, &read(&file, 321, 0));
        message.resize(message.len().next_multiple_of(8), 0);
        let next = u32::try_from(message.len()).unwrap().to_le_bytes();
        message[20..24].copy_from_slice(&next);
        packet.extend(message);
    }
    assert!(client.packet(&packet).len() <= 32);
}
