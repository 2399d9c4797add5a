//! Messages, whatever the call.

use super::*;

fn token(token: &[u8]) -> Verifier<'_> {
    Verifier { mechanism: 10, level: 6, context: 79_231, token }
}

/// The answer to a challenge, of one who has a name and no proof.
fn last_token() -> Vec<u8> {
    let mut last = [&b"NTLMSSP\0"[..], &[3, 0, 0, 0], &[0; 52]].concat();
    last[36..44].copy_from_slice(&[6, 0, 6, 0, 64, 0, 0, 0]);
    last[60] = 1;
    last.extend(wide("eve"));
    last
}

#[test]
fn any_cut_of_what_is_written_leads_to_the_same_answer() {
    let whole = [bytes(BIND_SRVSVC), bytes(SHARES)].concat();
    let answers = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut client = Client::of("srvsvc", "");
        pieces.for_each(|piece| client.write(piece));
        (client.pipe.read(9999), client.pipe.read(9999), client.seen.len())
    };
    let expected = answers(&mut std::iter::once(whole.as_slice()));
    assert_eq!(expected.2, 1);
    for size in [1, 7, 16, 71, 100] {
        assert_eq!(answers(&mut whole.chunks(size)), expected, "{size}");
    }
}

#[test]
fn a_message_is_read_in_parts_and_never_with_the_next() {
    let mut client = Client::of("srvsvc", "");
    client.write(&[bytes(BIND_SRVSVC), bytes(SHARES)].concat());
    let length = client.pipe.waiting();
    let (first, more) = client.pipe.read(10);
    assert_eq!((first.len(), more, client.pipe.waiting()), (10, true, length - 10));
    let (rest, more) = client.pipe.read(100_000);
    assert_eq!((rest.len(), more), (length - 10, false));
    assert_eq!(client.pipe.read(4), (vec![5, 0, kind::RESPONSE, 3], true));
    assert_eq!(client.pipe.read(0), (vec![], true));
    assert!(!client.pipe.read(100_000).1);
    assert_eq!(client.pipe.read(100_000), (vec![], false));
}

#[test]
fn what_is_bound_is_what_the_program_behind_the_pipe_has() {
    let features = u128::from_be_bytes(*b"\x6c\xb7\x1c\x2c\x98\x12\x45\x40\x03\0\0\0\0\0\0\0");
    let ndr64 = 0x7171_0533_beba_4937_8319_b5db_ef9c_cc36;
    let samr = interfaces::SAMR.uuid;
    let mut client = Client::of("lsarpc", "");
    let ack = client.send(&bind(&[
        (0, interfaces::LSARPC.uuid, (0, 0), pdu::NDR),
        (1, interfaces::LSARPC.uuid, (0, 0), ndr64),
        (2, samr, (1, 0), features),
        (3, samr, (1, 0), pdu::NDR),
        (4, samr, (2, 0), pdu::NDR),
        (5, interfaces::SRVSVC.uuid, (3, 0), pdu::NDR),
    ]));
    let from = ack.len() - 6 * 24;
    let results: Vec<(u16, u16)> = (0..6)
        .map(|n| (u16_at(&ack, from + n * 24).unwrap(), u16_at(&ack, from + n * 24 + 2).unwrap()))
        .collect();
    assert_eq!(results, [(0, 0), (2, 2), (3, 0), (0, 0), (2, 1), (2, 1)]);
    assert_eq!(client.seen.len(), 1);
    assert_eq!(client.seen[0].call, "bind");
    assert_eq!(
        client.seen[0].arguments,
        "12345778-1234-abcd-ef00-0123456789ac 2.0, srvsvc 4b324fc8-1670-01d3-1278-5a47bf6ee188 3.0"
    );
    assert!(Pipe::open("nothing", &names("")).is_none());
    assert!(Pipe::open("SRVSVC", &names("")).is_some());
}

#[test]
fn a_pipe_on_which_nothing_was_asked_is_told_of_at_its_end() {
    let close = |pipe: &Pipe| pipe.close().map(|seen| (seen.call, seen.arguments));
    let mut client = Client::of("srvsvc", "");
    assert_eq!(close(&client.pipe), Some(("open".to_owned(), String::new())));
    client.send(&bytes(BIND_SRVSVC));
    assert_eq!(close(&client.pipe), Some(("bind".to_owned(), "srvsvc".to_owned())));
    client.send(&bytes(SHARES));
    assert_eq!(close(&client.pipe), None);
}

#[test]
fn a_login_within_rpc_is_taken_and_no_call_is_answered_after_it() {
    let interface = &interfaces::EFSRPC_LSA;
    let policy = &interfaces::LSARPC;
    let plain =
        bind(&[(0, interface.uuid, interface.version, pdu::NDR), (1, policy.uuid, policy.version, pdu::NDR)]);
    let first = [&b"NTLMSSP\0"[..], &[1, 0, 0, 0, 7, 2, 8, 0], &[0; 16]].concat();
    let mut client = Client::of("lsarpc", "");
    let ack = client.send(&pdu::message(kind::BIND, 3, 1, &plain[16..], Some(token(&first))));
    assert_eq!(ack[2], kind::BIND_ACK);
    let length = usize::from(u16_at(&ack, 10).unwrap());
    assert!(ack[ack.len() - length..].starts_with(b"NTLMSSP\0\x02"), "a challenge");
    assert_eq!(ack[ack.len() - length - 8..][..2], [10, 6]);
    let answer = client.send(&pdu::message(kind::AUTH3, 3, 1, &[0; 4], Some(token(&last_token()))));
    assert_eq!(answer, b"", "nothing answers the last token");
    let login = client.seen.pop().and_then(|seen| seen.login).expect("a login");
    assert_eq!(login.login.username.map(|name| name.raw().to_vec()), Some(b"eve".to_vec()));
    let sealed = token(&[1; 16]);
    let mut body = Vec::new();
    body.u32(32).u16(0).u16(0).raw(&[0xaa; 32]);
    let answer = client.send(&pdu::message(kind::REQUEST, 3, 2, &body, Some(sealed)));
    assert_eq!((answer[2], u32_at(&answer, 24)), (kind::FAULT, Some(fault::DENIED)));
    let seen = client.seen.last().expect("seen");
    assert_eq!((seen.exploit, seen.arguments.as_str()), (Some("PetitPotam"), "encrypted"));
    // Nor one that everybody may make.
    let mut body = Vec::new();
    body.u32(32).u16(1).u16(44).raw(&[0; 32]);
    let answer = client.send(&pdu::message(kind::REQUEST, 3, 3, &body, Some(sealed)));
    assert_eq!((answer[2], u32_at(&answer, 24)), (kind::FAULT, Some(fault::DENIED)));
}

#[test]
fn a_call_in_many_fragments_is_one_call() {
    let mut client = Client::bound("svcctl", &interfaces::SVCCTL);
    let stub = [vec![0; 20], text("evil")].concat();
    let (first, rest) = stub.split_at(24);
    client.write(&request(9, flag::FIRST, 12, first));
    assert!(client.seen.is_empty());
    client.write(&request(9, 0, 12, &rest[..4]));
    let answer = client.send(&request(9, flag::LAST, 12, &rest[4..]));
    assert_eq!((answer[2], client.seen.len()), (kind::FAULT, 1));
    assert_eq!(client.seen[0].arguments, "evil");
}

#[test]
fn a_long_answer_comes_in_fragments_that_the_client_takes() {
    let mut names = names("");
    names.shares =
        (0..200).map(|n| (format!("Share{n}"), ShareSort::Disk, "Some comment".to_owned())).collect();
    let mut client = Client::of("srvsvc", "");
    client.pipe.names = names;
    client.send(&bytes(BIND_SRVSVC));
    client.write(&bytes(SHARES));
    let mut stub = Vec::new();
    let mut flags = Vec::new();
    while client.pipe.waiting() > 0 {
        let (message, _) = client.pipe.read(99_999);
        assert!(message.len() <= 4280 && u16_at(&message, 8) == u16::try_from(message.len()).ok());
        flags.push(message[3]);
        stub.extend_from_slice(&message[24..]);
    }
    assert!(flags.len() > 2);
    assert_eq!((flags[0], flags[1], flags[flags.len() - 1]), (flag::FIRST, 0, flag::LAST));
    assert!(holds(&stub, "Share199\0") && end(&stub) == status::OK);
}

#[test]
fn a_client_that_breaks_the_protocol_is_hung_up_on() {
    let good = bytes(BIND_SRVSVC);
    let with = |changes: &[(usize, u8)]| {
        let mut message = good.clone();
        changes.iter().for_each(|(at, value)| message[*at] = *value);
        message
    };
    let twice = [good.clone(), good.clone()].concat();
    let second = [good.clone(), request(7, flag::LAST, 15, b"x")].concat();
    let mut endless = good.clone();
    for _ in 0..STUB / 4096 + 1 {
        endless.extend(request(7, if endless.len() < 100 { flag::FIRST } else { 0 }, 15, &[0; 4096]));
    }
    let flood = [good.clone(), request(7, 3, 99, b"").repeat(REPLIES + 2)].concat();
    let guess = pdu::message(kind::AUTH3, 3, 1, &[0; 4], Some(token(&last_token())));
    let guesses = [good.clone(), guess.repeat(LOGINS + 1)].concat();
    let cases: &[(&str, Vec<u8>)] = &[
        ("another version of DCE/RPC", with(&[(0, 4)])),
        ("DCE/RPC with the big end first", with(&[(4, 0)])),
        ("a fragment shorter than its header", with(&[(8, 15)])),
        ("a fragment shorter than its header", with(&[(10, 60)])),
        ("a message that no client sends", with(&[(2, 12)])),
        ("truncated", with(&[(24, 9)])),
        ("no login", with(&[(2, 16)])),
        ("bound twice", twice),
        ("the second fragment of no call", second),
        ("arguments too long", endless),
        ("more calls than answers are read", flood),
        ("more logins than a client makes", guesses),
    ];
    for (why, bytes) in cases {
        let mut client = Client::of("srvsvc", "");
        client.write(bytes);
        let seen = client.seen.last().expect("something was seen");
        assert_eq!((seen.call.as_str(), seen.arguments.as_str()), ("broken", *why));
        assert!(client.pipe.is_broken() && client.pipe.waiting() == 0, "{why}");
        assert!(client.seen.len() <= REPLIES + 3);
        let before = client.seen.len();
        client.write(&good);
        assert_eq!((client.seen.len(), client.pipe.waiting()), (before, 0), "{why}");
        assert!(client.pipe.input.len() < 100_000, "{why}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_a_pipe_panic(
        name in proptest::sample::select(vec!["srvsvc", "lsarpc", "samr", "spoolss", "netlogon", "winreg"]),
        operation in 0_u16..90,
        stub in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        cut in 0_usize..300,
    ) {
        for interface in [&interfaces::SRVSVC, &interfaces::LSARPC, &interfaces::SAMR, &interfaces::SPOOLSS, &interfaces::WINREG] {
            let mut client = Client::of(name, "corp.example.com");
            client.send(&bind(&[(0, interface.uuid, interface.version, pdu::NDR)]));
            let message = [request(2, 3, operation, &stub), stub.clone()].concat();
            client.write(&message[..cut.min(message.len())]);
            client.write(&message[cut.min(message.len())..]);
        }
    }
}

#[test]
fn many_messages_that_nothing_answers_cost_no_more_than_their_bytes() {
    let mut client = Client::bound("srvsvc", &interfaces::SRVSVC);
    let cancel = pdu::message(18, 3, 1, &[], None);
    client.write(&cancel.repeat(200_000));
    client.write(&cancel[..10]);
    assert!(client.pipe.input.capacity() < 100 && !client.pipe.is_broken());
    assert!(client.seen.is_empty());
    client.write(&cancel[10..]);
    assert_eq!(client.pipe.input, b"");
}

#[test]
fn every_interface_that_is_asked_for_in_vain_is_recorded() {
    let mut client = Client::of("srvsvc", "");
    client.send(&bind(&[(0, 1, (1, 0), pdu::NDR), (1, 2, (2, 1), pdu::NDR)]));
    let said: Vec<_> = client.seen.iter().map(|seen| seen.arguments.as_str()).collect();
    let none = "00000000-0000-0000-0000-00000000000";
    assert_eq!(said, [format!("{none}1 1.0, {none}2 2.1")]);
}
