use super::*;

fn answer(flags: u32, texts: [&[u8]; 5]) -> Answer {
    let mut head = [&SIGNATURE[..], &[3, 0, 0, 0]].concat();
    let (mut at, mut payload) = (64_u32, Vec::new());
    for text in texts {
        let size = u16::try_from(text.len()).unwrap();
        head.extend([size.to_le_bytes(), size.to_le_bytes()].concat());
        head.extend(at.to_le_bytes());
        payload.extend_from_slice(text);
        at = at.saturating_add(u32::from(size));
    }
    head.extend([0; 8]);
    head.extend(flags.to_le_bytes());
    head.extend(payload);
    for length in 0..head.len() {
        let _ = Message::read(&head[..length]);
    }
    match Message::read(&head) {
        Some(Message::Authenticate(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

fn response(login: &Login) -> (&str, &[u8], Option<&str>) {
    let Some(Secret::Response { scheme, challenge, crackable, .. }) = &login.secret else { panic!() };
    (scheme, challenge.raw(), crackable.as_deref())
}

#[test]
fn the_answer_s_names_and_proofs_are_read_and_make_a_crackable_line() {
    let (lm, nt) = ([0x86; 24], [[0x68; 16], [1; 16]].concat());
    let read = answer(flag::UNICODE, [&lm, &nt, &wide("Domain"), &wide("Jürgen"), &wide("COMPUTER")]);
    let login = read.login(Some(&[0xab; 8]));
    assert_eq!(login.username, Some("Jürgen".into()));
    assert_eq!(login.domain, Some("Domain".into()));
    assert_eq!(read.workstation, b"COMPUTER");
    let line = format!("Jürgen::Domain:{}:{}:{}", "ab".repeat(8), "68".repeat(16), "01".repeat(16));
    assert_eq!(response(&login), ("netntlmv2", &[0xab; 8][..], Some(line.as_str())));
    assert_eq!(response(&read.login(None)), ("netntlmv2", &[][..], None));
}

#[test]
fn old_answers_are_crackable_with_all_that_went_into_them() {
    let old = answer(0, [&[1; 24], &[2; 24], b"D", b"eve", b"W"]);
    let line = format!("eve::D:{}:{}:{}", "01".repeat(24), "02".repeat(24), "03".repeat(8));
    assert_eq!(response(&old.login(Some(&[3; 8]))), ("netntlmv1", &[3; 8][..], Some(line.as_str())));
    let client = [[9; 8], [0; 8], [0; 8]].concat();
    let both = answer(0, [&client, &[2; 24], b"D", b"eve", b"W"]).login(Some(&[3; 8]));
    assert_eq!(response(&both).1, [[3; 8], [9; 8]].concat());
    let oldest = answer(0, [&[1; 24], b"", b"D", b"eve", b"W"]).login(Some(&[3; 8]));
    let line = format!("eve:$NETLM${}${}", "03".repeat(8), "01".repeat(24));
    assert_eq!(response(&oldest), ("netlm", &[3; 8][..], Some(line.as_str())));
    let odd = answer(0, [b"", &[2; 24], b"D", b"a:b", b"W"]);
    assert_eq!(odd.crackable(&[3; 8]), None);
}

#[test]
fn a_text_in_the_place_of_the_version_is_none() {
    // As curl answers: with our flags, and its first proof right behind them.
    assert_eq!(answer(flag::VERSION, [&[7; 24], &[2; 24], b"D", b"eve", b"W"]).version, None);
    let mut bare = [&SIGNATURE[..], &[3, 0, 0, 0]].concat();
    bare.resize(60, 0);
    bare.extend(flag::VERSION.to_le_bytes());
    bare.extend([10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    let Some(Message::Authenticate(answer)) = Message::read(&bare) else { panic!() };
    assert_eq!(answer.version.as_deref(), Some("10.0.17763"));
}

#[test]
fn nobody_and_a_guest_are_told_apart() {
    for lm in [&[0][..], b""] {
        let nobody = answer(flag::UNICODE, [lm, b"", b"", b"", b""]);
        assert_eq!((nobody.identity(), nobody.login(Some(&[3; 8])).secret), (Identity::Anonymous, None));
    }
    let guest = answer(0, [&[0; 24], &[2; 24], b"", b"Guest", b""]);
    assert_eq!(guest.identity(), Identity::Guest);
    assert_eq!(answer(0, [&[0; 24], &[2; 24], b"", b"", b""]).identity(), Identity::User);
}

#[test]
fn what_the_pairs_of_version_two_say_is_read() {
    let mut nt = vec![0; PROOF + BEFORE_PAIRS];
    nt.extend([2, 0, 2, 0, b'D', 0, 6, 0, 4, 0, 2, 0, 0, 0, 9, 0, 6, 0, b'a', 0, b'/', 0, b'b', 0]);
    let unended = Answer { nt: nt.clone(), ..Answer::default() };
    assert!(unended.has_mic());
    assert_eq!(unended.target(), Some(b"a/b".to_vec()));
    for length in 0..nt.len() {
        let cut = Answer { nt: nt[..length].to_vec(), ..Answer::default() };
        assert_eq!(cut.target(), None);
    }
    nt.splice(PROOF + BEFORE_PAIRS.., [0; 400]);
    assert!(!Answer { nt, ..Answer::default() }.has_mic());
}

#[test]
fn a_first_message_tells_its_names_only_if_its_flags_say_so() {
    let mut first = [&SIGNATURE[..], &[1, 0, 0, 0, 7, 0x30, 0, 2]].concat();
    first.extend([3, 0, 3, 0, 40, 0, 0, 0, 2, 0, 2, 0, 43, 0, 0, 0, 10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
    first.extend(b"DOMPC");
    let named = Negotiate {
        flags: 0x0200_3007,
        domain: b"DOM".to_vec(),
        workstation: b"PC".to_vec(),
        version: Some("10.0.19041".to_owned()),
    };
    assert_eq!(Message::read(&first), Some(Message::Negotiate(named)));
    first[13] = 0;
    first[15] = 0;
    let silent = Negotiate { flags: 7, ..Negotiate::default() };
    assert_eq!(Message::read(&first), Some(Message::Negotiate(silent)));
}

#[test]
fn fields_that_point_outside_are_empty_and_other_messages_none() {
    let mut wild = [&SIGNATURE[..], &[3, 0, 0, 0]].concat();
    wild.extend([0xff; 60]);
    let Some(Message::Authenticate(answer)) = Message::read(&wild) else { panic!() };
    assert_eq!(answer.user, b"");
    let ours = challenge(0, &[0; 8], &Windows::new("files01", ""), SystemTime::UNIX_EPOCH);
    assert_eq!(Message::read(&ours), None);
    assert_eq!(Message::read(b"NTLMSSP"), None);
}

#[test]
fn the_challenge_names_a_machine_alone_as_windows_does() {
    let now = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 500);
    // As nmap's scripts and PowerShell ask.
    let message = challenge(0xa208_8207, &[7; 8], &Windows::new("files01", ""), now);
    assert_eq!(part(&message, 12).unwrap(), wide("FILES01"));
    assert_eq!(number(&message[20..24]), Some(0xa28a_8205));
    assert_eq!(&message[24..32], &[7; 8]);
    assert_eq!(&message[48..56], &[10, 0, 0x63, 0x45, 0, 0, 0, 15]);
    let time = 133_444_736_000_000_005_u64.to_le_bytes();
    let facts = [
        &[2, 0, 14, 0][..],
        &wide("FILES01"),
        &[1, 0, 14, 0],
        &wide("FILES01"),
        &[4, 0, 14, 0],
        &wide("files01"),
        &[3, 0, 14, 0],
        &wide("files01"),
        &[7, 0, 8, 0],
        &time,
        &[0; 4],
    ];
    assert_eq!(part(&message, 40).unwrap(), facts.concat());
    assert_eq!(message.len(), 56 + 14 + facts.concat().len());
}

#[test]
fn a_member_of_a_domain_names_that_and_a_client_without_unicode_gets_its_code_page() {
    let host = Windows::new("files01", "corp.example.com");
    let message = challenge(0xa208_8207, &[7; 8], &host, SystemTime::UNIX_EPOCH);
    assert_eq!(number(&message[20..24]), Some(0xa289_8205));
    assert_eq!(part(&message, 12).unwrap(), wide("CORP"));
    let tree = [&[5, 0, 32, 0][..], &wide("corp.example.com")].concat();
    assert!(message.windows(tree.len()).any(|window| window == tree));
    // As curl asks.
    let message = challenge(0x0008_8206, &[7; 8], &host, SystemTime::UNIX_EPOCH);
    assert_eq!(number(&message[20..24]), Some(0x0289_8206));
    assert_eq!(part(&message, 12).unwrap(), b"CORP");
    let message = challenge(0x0000_0001, &[7; 8], &host, SystemTime::UNIX_EPOCH);
    assert_eq!((part(&message, 12).unwrap(), number(&message[20..24])), (&b""[..], Some(0x0280_0201)));
}

#[test]
fn answers_without_one_half_are_told_apart() {
    let of = |lm: &[u8], nt: &[u8]| {
        let answer = Answer {
            user: b"bob".to_vec(),
            domain: b"CORP".to_vec(),
            lm: lm.to_vec(),
            nt: nt.to_vec(),
            ..Answer::default()
        };
        (answer.scheme(), answer.crackable(&[1; 8]).unwrap(), answer.login(Some(&[1; 8])).secret)
    };
    let challenge = "01".repeat(8);
    // Nothing of the LAN Manager's is no challenge of the client's.
    let (scheme, line, secret) = of(&[0; 24], &[9; 24]);
    let nine = "09".repeat(24);
    assert_eq!((scheme, line), ("netntlmv1", format!("bob::CORP:{nine}:{nine}:{challenge}")));
    let Some(Secret::Response { challenge: sent, .. }) = secret else { panic!() };
    assert_eq!(sent.raw(), [1; 8]);
    let (scheme, line, _) = of(&[9; 24], &[]);
    assert_eq!((scheme, line), ("netlm", format!("bob:$NETLM${challenge}${nine}")));
    // LMv2 alone, as medusa and hydra send it.
    let lm_v2 = [[9; 16].as_slice(), &GUESSERS].concat();
    let (scheme, line, secret) = of(&lm_v2, &[]);
    let expected = format!("bob::CORP:{challenge}:{}:1122334455667788", "09".repeat(16));
    assert_eq!((scheme, line), ("netntlmv2", expected));
    let Some(Secret::Response { response, .. }) = secret else { panic!() };
    assert_eq!(response.raw(), lm_v2);
}

#[test]
fn an_answer_of_nmap_s_is_read_whole() {
    let mut message = [&SIGNATURE[..], &[3, 0, 0, 0], &[0; 52]].concat();
    message[20..28].copy_from_slice(&[8, 0, 8, 0, 64, 0, 0, 0]);
    message.extend([2; 24]);
    let Some(Message::Authenticate(read)) = Message::read(&message) else { panic!() };
    assert_eq!(read.nt, [2; 24]);
    // If it is all that there is, it stays as it is.
    message.truncate(72);
    let Some(Message::Authenticate(read)) = Message::read(&message) else { panic!() };
    assert_eq!(read.nt, [2; 8]);
}
