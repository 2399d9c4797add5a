#![allow(clippy::arithmetic_side_effects, reason = "a test may panic")]

mod wire;

use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use haldane_core::{Effects, Peer, Transport, session::Random};

use super::{call::status, *};
use crate::smb::bytes::{Put, u16_at, u32_at};

/// What real clients send: smbclient and rpcclient 4.17, impacket 0.13.
const BIND_SRVSVC: &str = "05000b03100000004800000001000000b810b810000000000100000000000100c84f324b7016d30112785a47bf6ee188\
                           03000000045d888aeb1cc9119fe808002b10486002000000";
const SHARES: &str = "05000003100000005c000000020000004400000000000f00000002000a000000000000000a0000003100320037002e0030\
                      002e0030002e00310000000100000001000000040002000000000000000000ffffffff0800020000000000";
const BIND_SAMR: &str = "05000b03100000004800000001000000b810b810000000000100000000000100785734123412cdabef000123456789ac\
                         01000000045d888aeb1cc9119fe808002b10486002000000";
const CONNECT5: &str = "050000031000000054000000020000003c00000000004000000002000c000000000000000c0000005c005c0031003200\
                        37002e0030002e0030002e00310000000000000201000000010000000200000000000000";
const BIND_LSA: &str = "05000b03100000004800000001000000b810b810000000000100000000000100785734123412cdabef000123456789ab\
                        00000000045d888aeb1cc9119fe808002b10486002000000";
const OPEN_POLICY: &str = "050000031000000044000000020000002c00000000000600000002005c0000001800000000000000000000000000000000\
                           000000040002000c0000000200010000000002";

struct Counted(u8);

impl Random for Counted {
    fn fill(&mut self, buffer: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        buffer.fill(self.0);
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn names(domain: &str) -> Names {
    let share = |name: &str, sort, comment: &str| (name.to_owned(), sort, comment.to_owned());
    Names {
        windows: Windows::new("files01", domain),
        shares: vec![
            share("C$", ShareSort::Hidden, "Default share"),
            share("Documents", ShareSort::Disk, ""),
            share("IPC$", ShareSort::Pipes, "Remote IPC"),
        ],
        sid: [1, 2, 3],
    }
}

struct Client {
    pipe: Pipe,
    random: Counted,
    call: u32,
    seen: Vec<Seen>,
}

impl Client {
    fn of(name: &str, domain: &str) -> Self {
        let pipe = Pipe::open(name, &names(domain)).expect("a pipe");
        Self { pipe, random: Counted(0), call: 1, seen: Vec::new() }
    }

    /// A pipe with an interface bound as context 0.
    fn bound(name: &str, interface: &Interface) -> Self {
        let mut client = Self::of(name, "");
        let ack = client.send(&bind(&[(0, interface.uuid, interface.version, pdu::NDR)]));
        assert_eq!(ack[2], kind::BIND_ACK);
        client
    }

    fn write(&mut self, bytes: &[u8]) {
        let address: SocketAddr = "192.0.2.1:445".parse().unwrap();
        let peer = Peer::new(address, address, Transport::Tcp);
        let mut effects = Effects::default();
        // 2026-11-24 15:00:00 UTC, a Tuesday.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_532_400);
        let mut cx = Cx::new(&peer, now, None, &mut self.random, &mut effects);
        self.seen.extend(self.pipe.write(bytes, &mut cx));
    }

    fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.write(bytes);
        let (answer, more) = self.pipe.read(usize::MAX);
        assert!(!more);
        answer
    }

    /// Results of a call, of all fragments, or the fault.
    fn call(&mut self, operation: u16, stub: &[u8]) -> Result<Vec<u8>, u32> {
        self.call += 1;
        let mut answer = self.send(&request(self.call, 3, operation, stub));
        if answer[2] == kind::FAULT {
            return Err(u32_at(&answer, 24).unwrap());
        }
        let mut results = Vec::new();
        loop {
            assert_eq!((answer[2], u32_at(&answer, 12)), (kind::RESPONSE, Some(self.call)));
            assert_eq!(usize::from(u16_at(&answer, 8).unwrap()), answer.len());
            results.extend_from_slice(&answer[24..]);
            if answer[3] & flag::LAST != 0 {
                return Ok(results);
            }
            answer = self.pipe.read(usize::MAX).0;
        }
    }

    fn exploit(&self) -> Option<&'static str> {
        self.seen.last().expect("a call").exploit
    }
}

fn request(call: u32, flags: u8, operation: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u32(u32::try_from(stub.len()).unwrap()).u16(0).u16(operation).raw(stub);
    pdu::message(kind::REQUEST, flags, call, &body, None)
}

fn bind(contexts: &[(u16, u128, (u16, u16), u128)]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u16(4280).u16(4280).u32(0).u8(u8::try_from(contexts.len()).unwrap()).zeros(3);
    for (id, uuid, (major, minor), syntax) in contexts {
        body.u16(*id).u8(1).u8(0).raw(&wire(*uuid)).u16(*major).u16(*minor).raw(&wire(*syntax)).u32(2);
    }
    pdu::message(kind::BIND, 3, 1, &body, None)
}

fn wire(uuid: u128) -> Vec<u8> {
    let bytes = uuid.to_be_bytes();
    let turned =
        [&bytes[..4], &bytes[4..6], &bytes[6..8]].map(|part| part.iter().rev().copied().collect::<Vec<u8>>());
    [turned.concat(), bytes[8..].to_vec()].concat()
}

/// A text as an argument: with its zero.
fn text(text: &str) -> Vec<u8> {
    let count = u32::try_from(text.encode_utf16().count() + 1).unwrap();
    let mut bytes = Vec::new();
    bytes.u32(count).u32(0).u32(count).wide(text).u16(0).align(4);
    bytes
}

fn pointed(name: &str) -> Vec<u8> {
    [&[0, 0, 2, 0][..], &text(name)].concat()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len() * 2).any(|window| window == wide(text))
}

/// The number at the end of results.
fn end(results: &[u8]) -> u32 {
    u32_at(results, results.len() - 4).unwrap()
}

#[test]
fn smbclient_is_told_the_shares() {
    let mut client = Client::of("srvsvc", "");
    let ack = client.send(&bytes(BIND_SRVSVC));
    let expected = "05000c0310000000440000000100 0000b810b81001010101 0d005c504950455c73727673766300 00\
                    01000000 00000000 045d888aeb1cc9119fe808002b10486002000000";
    let expected = bytes(expected);
    assert_eq!(ack, expected);
    let answer = client.send(&bytes(SHARES));
    assert_eq!(answer[..4], [5, 0, kind::RESPONSE, 3]);
    for text in ["C$\0", "Default share\0", "Documents\0", "IPC$\0", "Remote IPC\0"] {
        assert!(holds(&answer, text), "{text}");
    }
    // Level, level, pointer, three, pointer, three; then a name, a sort and a comment for each.
    let stub = &answer[24..];
    let number = |at: usize| u32_at(stub, at * 4).unwrap();
    assert_eq!([number(0), number(1), number(3), number(5)], [1, 1, 3, 3]);
    assert_eq!([number(7), number(10), number(13)], [0x8000_0000, 0, 0x8000_0003]);
    assert_eq!(end(&answer), status::OK);
    assert_eq!(u32_at(&answer, answer.len() - 16), Some(3), "how many there are");
    let [seen] = client.seen.as_slice() else { panic!("{:?}", client.seen) };
    assert_eq!((seen.call.as_str(), seen.arguments.as_str()), ("srvsvc NetrShareEnum", "127.0.0.1"));
    assert!(seen.exploit.is_none() && seen.login.is_none());
}

#[test]
fn only_administrators_see_more_of_shares_and_who_uses_them() {
    let mut client = Client::bound("srvsvc", &interfaces::SRVSVC);
    let listing = |level: u32, filters: usize| {
        let mut stub = pointed("\\\\files01");
        stub.zeros(filters * 4).u32(level).u32(level).u32(1).u32(0).u32(0).u32(u32::MAX).u32(0);
        stub
    };
    for (operation, level, filters, code) in [
        (15, 0, 0, status::OK),
        (15, 501, 0, status::OK),
        (15, 2, 0, status::DENIED),
        (15, 502, 0, status::DENIED),
        (15, 77, 0, status::INVALID_LEVEL),
        (36, 1, 0, status::DENIED),
        (8, 1, 1, status::DENIED),
        (9, 3, 2, status::DENIED),
        (12, 10, 2, status::DENIED),
    ] {
        let results = client.call(operation, &listing(level, filters)).expect("results");
        assert_eq!(end(&results), code, "{operation} {level}");
        assert_eq!(u32_at(&results, 12), Some(if code == status::OK { 3 } else { 0 }), "{operation} {level}");
    }
    let share = |name: &str, level: u32| {
        let mut stub = [pointed("x"), text(name)].concat();
        stub.u32(level);
        stub
    };
    let results = client.call(16, &share("DOCUMENTS", 1)).expect("results");
    assert!(holds(&results, "Documents\0") && end(&results) == status::OK);
    assert_eq!(end(&client.call(16, &share("DOCUMENTS", 2)).expect("results")), status::DENIED);
    assert_eq!(end(&client.call(16, &share("nothing", 1)).expect("results")), 2310);
    assert_eq!(client.call(14, &[]).map(|results| end(&results)), Ok(status::DENIED));
    assert_eq!(client.call(99, &[]), Err(fault::NO_OPERATION));
    assert_eq!(client.call(15, &[1, 2, 3]), Err(fault::BAD_STUB));
    // A text that says it is longer than it is.
    let mut long = Vec::new();
    long.u32(1).u32(u32::MAX).u32(0).u32(u32::MAX).u32(0);
    assert_eq!(client.call(15, &long), Err(fault::BAD_STUB));
}

#[test]
fn the_server_tells_its_name_release_and_time() {
    let mut client = Client::bound("srvsvc", &interfaces::SRVSVC);
    let mut stub = pointed("files01");
    stub.u32(101);
    let results = client.call(21, &stub).expect("results");
    let numbers: Vec<u32> = (0..8).map(|at| u32_at(&results, at * 4).unwrap()).collect();
    assert_eq!([numbers[0], numbers[2], numbers[4], numbers[5], numbers[6]], [101, 500, 10, 0, 0x9003]);
    assert!(holds(&results, "FILES01\0"));
    let results = client.call(28, &pointed("files01")).expect("results");
    let numbers: Vec<u32> = (1..13).map(|at| u32_at(&results, at * 4).unwrap()).collect();
    assert_eq!(numbers[0], 1_795_532_400);
    // 15:00:00, no known zone, a tick, Tuesday 24 November 2026.
    assert_eq!(numbers[2..], [15, 0, 0, 0, 0, 310, 24, 11, 2026, 2]);

    let mut client = Client::bound("wkssvc", &interfaces::WKSSVC);
    let mut stub = pointed("files01");
    stub.u32(100);
    let results = client.call(0, &stub).expect("results");
    assert!(holds(&results, "FILES01\0") && holds(&results, "WORKGROUP\0"));
    assert_eq!((u32_at(&results, 20), end(&results)), (Some(10), status::OK));
    assert!(holds(&client.call(20, &pointed("x")).expect("results"), "WORKGROUP\0"));
}

#[test]
fn the_policy_tells_the_domain_and_no_accounts() {
    let mut client = Client::of("lsarpc", "corp.example.com");
    client.send(&bytes(BIND_LSA));
    let opened = client.send(&bytes(OPEN_POLICY));
    let handle = opened[24..44].to_vec();
    assert_ne!(handle, [0; 20]);
    let mut ask = |class: u16| {
        let mut stub = handle.clone();
        stub.u16(class);
        client.call(46, &stub).expect("results")
    };
    let primary = ask(3);
    assert!(holds(&primary, "CORP") && end(&primary) == status::OK);
    let account = ask(5);
    assert!(holds(&account, "FILES01"));
    let sid = bytes("04000000 0104000000000005 15000000 01000000 02000000 03000000");
    assert!(account.windows(sid.len()).any(|window| window == sid));
    let dns = ask(12);
    assert!(holds(&dns, "corp.example.com"));
    // Both name the same domain, by its SID, which stands at the end; the one has a GUID of the kind that is random.
    assert_eq!(dns[dns.len() - 32..], primary[primary.len() - 32..]);
    assert_eq!(dns[dns.len() - 28..][..12], bytes("01040000000000051500 0000"));
    assert_eq!((dns[32 + 7] >> 4, dns[32 + 8] >> 6), (4, 2));
    assert_eq!(end(&ask(2)), status::NT_DENIED);
    assert_eq!(end(&ask(99)), status::NT_INVALID);
    let names =
        [handle.clone(), bytes("01000000"), bytes("01000000 0a000c00 00000200"), text("admin")].concat();
    assert_eq!(end(&client.call(14, &names).expect("results")), status::NT_DENIED);
    assert_eq!(client.seen.last().expect("seen").arguments, "admin");
    let asked = client.seen.len();
    assert_eq!(client.call(0, &handle).map(|results| end(&results)), Ok(status::OK));
    assert_eq!(client.seen.len(), asked, "closing says nothing");
    assert_eq!(client.call(0, &handle), Err(fault::NO_HANDLE));
    assert_eq!(client.call(0, &[0; 20]), Err(fault::NULL_HANDLE));
    assert_eq!(client.call(77, &[0; 20]), Err(fault::DENIED));
}

#[test]
fn accounts_are_asked_for_step_by_step_and_refused_at_the_last() {
    let mut client = Client::of("samr", "");
    client.send(&bytes(BIND_SAMR));
    let connected = client.send(&bytes(CONNECT5));
    let server = connected[40..60].to_vec();
    let domains = client.call(6, &[server.clone(), vec![0; 8]].concat()).expect("results");
    assert!(holds(&domains, "FILES01") && holds(&domains, "Builtin"));
    let look_up = |name: &str| [server.clone(), bytes("0e001000 00000200"), text(name)].concat();
    assert_eq!(end(&client.call(5, &look_up("files01")).expect("results")), status::OK);
    assert_eq!(end(&client.call(5, &look_up("other")).expect("results")), status::NT_NO_DOMAIN);
    let opened = client.call(7, &server).expect("results");
    let domain = opened[..20].to_vec();
    for operation in [8, 11, 13, 15, 17, 34, 40, 50] {
        let stub = [domain.clone(), vec![0; 40]].concat();
        let results = client.call(operation, &stub).expect("results");
        assert_eq!(end(&results), status::NT_DENIED, "{operation}");
    }
    assert_eq!(client.call(13, &server), Err(fault::NO_HANDLE), "a handle of another sort");
}

#[test]
fn no_more_is_open_at_once_than_may_be() {
    let mut client = Client::bound("samr", &interfaces::SAMR);
    for _ in 0..call::HANDLES {
        assert!(client.call(0, &[0; 8]).is_ok());
    }
    assert_eq!(client.call(0, &[0; 8]), Err(fault::DENIED));
}

#[test]
fn attacks_are_known_by_name() {
    let unc = |path: &str| text(path);
    let none: &[u8] = &[0; 20];
    let challenge = |challenge: &[u8]| [&pointed("\\\\DC01")[..], &text("DC01A"), challenge].concat();
    let proof = |credential: &[u8]| {
        [&pointed("\\\\DC01")[..], &text("DC01$"), &[6, 0, 0, 0], &text("DC01A"), credential, &[0; 8]]
            .concat()
    };
    let other = unc("\\\\192.0.2.66\\share\\x");
    let own = unc("\\\\FILES01\\share\\x");
    type Case<'a> = (&'a str, &'a Interface, u16, Vec<u8>, Option<&'a str>);
    let cases: &[Case<'_>] = &[
        ("lsarpc", &interfaces::EFSRPC_LSA, 0, other.clone(), Some("PetitPotam")),
        ("efsrpc", &interfaces::EFSRPC, 4, other.clone(), Some("PetitPotam")),
        ("efsrpc", &interfaces::EFSRPC, 4, own.clone(), None),
        ("efsrpc", &interfaces::EFSRPC, 3, none.to_vec(), None),
        ("spoolss", &interfaces::SPOOLSS, 89, none.to_vec(), Some("PrintNightmare")),
        ("spoolss", &interfaces::SPOOLSS, 65, none.to_vec(), Some("PrinterBug")),
        ("spoolss", &interfaces::SPOOLSS, 1, pointed("\\\\files01"), None),
        ("netdfs", &interfaces::NETDFS, 13, unc("192.0.2.66"), Some("DFSCoerce")),
        ("FssagentRpc", &interfaces::FSSAGENT, 8, other.clone(), Some("ShadowCoerce")),
        ("fssagentrpc", &interfaces::FSSAGENT, 8, own.clone(), None),
        ("eventlog", &interfaces::EVENTLOG, 9, unc("\\??\\UNC\\192.0.2.66\\x"), Some("CheeseOunce")),
        ("netlogon", &interfaces::NETLOGON, 4, challenge(&[0; 8]), Some("ZeroLogon")),
        ("netlogon", &interfaces::NETLOGON, 4, challenge(b"12345678"), None),
        ("netlogon", &interfaces::NETLOGON, 26, proof(&[0; 8]), Some("ZeroLogon")),
        ("netlogon", &interfaces::NETLOGON, 26, proof(b"12345678"), None),
        (
            "srvsvc",
            &interfaces::SRVSVC,
            31,
            [pointed("x"), text("\\a\\..\\..\\b")].concat(),
            Some("MS08-067"),
        ),
        ("srvsvc", &interfaces::SRVSVC, 31, [pointed("x"), text("\\a\\b")].concat(), None),
        ("svcctl", &interfaces::SVCCTL, 15, pointed("files01"), None),
    ];
    for (pipe, interface, operation, stub, exploit) in cases {
        let mut client = Client::bound(pipe, interface);
        let answer = client.call(*operation, stub);
        assert_eq!(client.exploit(), *exploit, "{} {operation}", interface.name);
        if let Ok(results) = answer {
            assert!(end(&results) != status::OK || *pipe == "spoolss", "{} {operation}", interface.name);
        }
    }
    assert_eq!(pipe_exploit("/srv/share/evil.so"), Some("SambaCry (CVE-2017-7494)"));
    assert!(pipe_exploit("\\srv\\share\\evil.so").is_some());
    assert!(["srvsvc", "\\pipe\\srvsvc"].iter().all(|name| pipe_exploit(name).is_none()));
}

#[test]
fn services_tasks_and_the_registry_are_closed() {
    let mut client = Client::bound("svcctl", &interfaces::SVCCTL);
    let opened = client.call(15, &pointed("files01")).expect("results");
    assert_eq!((&opened[..20], end(&opened)), (&[0; 20][..], status::DENIED));
    let service = [vec![7; 20], text("evil"), pointed("evil"), text("cmd.exe /c whoami")].concat();
    assert_eq!(client.call(12, &service), Err(fault::NO_HANDLE));
    let seen = client.seen.last().expect("seen");
    assert_eq!(
        (seen.call.as_str(), seen.arguments.as_str()),
        ("svcctl RCreateServiceW", "evil, cmd.exe /c whoami")
    );
    let mut client = Client::bound("winreg", &interfaces::WINREG);
    assert_eq!(client.call(2, &[0; 8]).map(|results| end(&results)), Ok(status::DENIED));
    assert_eq!(client.call(15, &[0; 20]), Err(fault::NULL_HANDLE));
}

#[test]
fn drivers_are_listed_in_the_room_that_there_is() {
    let mut client = Client::bound("spoolss", &interfaces::SPOOLSS);
    let ask = |level: u32, environment: &str, room: u32| {
        let mut stub = [vec![0; 4], pointed(environment)].concat();
        stub.u32(level).u32(1).u32(room).zeros(room.try_into().unwrap()).u32(room);
        stub
    };
    let short = client.call(10, &ask(2, "Windows x64", 16)).expect("results");
    assert_eq!(end(&short), 122);
    let needed = u32_at(&short, short.len() - 12).unwrap();
    let results = client.call(10, &ask(2, "Windows x64", needed)).expect("results");
    assert_eq!((end(&results), u32_at(&results, results.len() - 8)), (status::OK, Some(1)));
    // Each offset of the structure leads to its text.
    let driver = &results[8..];
    let name = usize::try_from(u32_at(driver, 4).unwrap()).unwrap();
    assert!(driver[name..].starts_with(&wide("Microsoft enhanced")));
    let path = usize::try_from(u32_at(driver, 12).unwrap()).unwrap();
    assert!(
        driver[path..]
            .starts_with(&wide("C:\\Windows\\System32\\DriverStore\\FileRepository\\ntprint.inf_amd64"))
    );
    let none = client.call(10, &ask(2, "Windows ARM64", 0)).expect("results");
    assert_eq!((end(&none), u32_at(&none, none.len() - 8)), (status::OK, Some(0)));
    assert_eq!(end(&client.call(10, &ask(9, "Windows x64", 0)).expect("results")), status::INVALID_LEVEL);
}

#[test]
fn texts_in_arguments_are_found_and_numbers_are_none() {
    let long = "x".repeat(2000);
    let stub = [
        vec![0; 8],
        text("first"),
        vec![0xff; 8],
        text("zwei\u{e4}"),
        bytes("01000000 00000000 01000000 f4010000"),
        text(&long),
        text("first"),
    ]
    .concat();
    let mut client = Client::bound("svcctl", &interfaces::SVCCTL);
    client.call(12, &stub).expect_err("no handle");
    let arguments = &client.seen[0].arguments;
    assert_eq!(arguments, &format!("first, zwei\u{e4}, {}", &long[..512]));
}
