//! Remote Desktop: what is recorded of a client, on the line that it has chosen.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::time::SystemTime;

use haldane_core::{
    Cx, Effects, Entry, Flow, Halt, Input, Secret, Severity, Sighting, Value, session::AnySession,
    windows::Release,
};
use haldane_services::{
    ALL,
    replay::{Counting, build, build_on, host, peer, show},
};
use haldane_wire::{ber, ntlm_key::rc4};
use md5::{Digest, Md5};
use openssl::{
    bn::{BigNum, BigNumContext},
    sha::sha1,
};
use proptest::prelude::*;

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "rdp").unwrap()
}

/// A conversation that goes on inside TLS, where it is asked for.
struct Line {
    session: Box<dyn AnySession>,
    random: Counting,
    seen: Vec<Sighting>,
    inbox: Vec<u8>,
    ended: bool,
}

impl Line {
    /// After a first packet that offers those protocols.
    fn new(security: &str, offers: Option<u32>) -> Self {
        Self::of("2019", security, offers)
    }

    /// The same at another Windows.
    fn of(windows: &str, security: &str, offers: Option<u32>) -> Self {
        let settings = format!("security = [{security}]");
        let mut host = host();
        host.windows.release = Release::ALL.into_iter().find(|release| release.name == windows).unwrap();
        let protocol = build_on(entry(), &[&settings], &host).unwrap().stream.unwrap();
        let session = protocol.open(&peer());
        let mut line =
            Self { session, random: Counting::default(), seen: Vec::new(), inbox: Vec::new(), ended: false };
        let mut packet = b"\x03\0\0\x0b\x06\xe0\0\0\0\0\0".to_vec();
        if let Some(offers) = offers {
            packet = [&b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0"[..], &offers.to_le_bytes()].concat();
        }
        assert!(line.say(&packet).starts_with(b"\x03\0\0"));
        line.seen.clear();
        line
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut dyn AnySession, &[u8], &mut Cx<'_>) -> R) -> (R, Vec<u8>) {
        let mut effects = Effects::default();
        let peer = peer();
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut self.random, &mut effects);
        let result = act(self.session.as_mut(), &self.inbox, &mut cx);
        self.seen.append(&mut effects.seen);
        (result, effects.reply)
    }

    /// What is answered.
    fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.inbox.extend_from_slice(bytes);
        let mut said = Vec::new();
        while !self.ended && !self.inbox.is_empty() {
            let ((step, consumed), reply) = self.act(|session, inbox, cx| {
                let mut input = Input::stream(inbox);
                (session.step(&mut input, cx), input.consumed())
            });
            said.extend(reply);
            match step {
                Ok(flow) => {
                    assert!(consumed > 0);
                    self.inbox.drain(..consumed);
                    said.extend(self.act(|session, _, cx| session.more(cx)).1);
                    self.ended = !matches!(flow, Flow::Continue | Flow::StartTls);
                    if flow == Flow::StartTls {
                        said.extend(self.act(|session, _, cx| session.secured(cx)).1);
                    }
                }
                Err(Halt::Need(need)) => {
                    assert!(need > self.inbox.len());
                    break;
                }
                Err(Halt::Malformed(_)) => self.ended = true,
            }
        }
        said
    }

    fn shown(&self) -> Vec<String> {
        self.seen.iter().map(show).collect()
    }
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// An answer of version 2 to a challenge.
fn authenticate(user: &str, domain: &str, proof: &[u8]) -> Vec<u8> {
    let lm: &[u8] = if user.is_empty() { &[0] } else { &[0; 24] };
    let texts = [lm, proof, &wide(domain), &wide(user), &wide("LAPTOP"), &[]];
    let (mut head, mut payload) = (b"NTLMSSP\0\x03\0\0\0".to_vec(), Vec::new());
    for text in texts {
        let size = u16::try_from(text.len()).unwrap().to_le_bytes();
        head.extend([size, size].concat());
        head.extend(u32::try_from(64 + payload.len()).unwrap().to_le_bytes());
        payload.extend_from_slice(text);
    }
    head.extend(0xe288_8215_u32.to_le_bytes());
    [head, payload].concat()
}

fn negotiate() -> Vec<u8> {
    // Windows 10's, build 17763.
    [&b"NTLMSSP\0\x01\0\0\0\xb7\x82\x08\xe2"[..], &[0; 16], &[10, 0, 0x63, 0x45, 0, 0, 0, 15]].concat()
}

fn ts_request(version: u8, token: &[u8]) -> Vec<u8> {
    let token = ber::wrap(ber::SEQUENCE, &ber::wrap(0xa0, &ber::wrap(ber::OCTETS, token)));
    let tokens = ber::wrap(0xa1, &ber::wrap(ber::SEQUENCE, &token));
    ber::wrap_all(ber::SEQUENCE, &[ber::wrap(0xa0, &[2, 1, version]), tokens])
}

const PROOF: [u8; 48] = [0x68; 48];

#[test]
fn an_answer_under_network_level_authentication_is_a_login_and_refused() {
    for (version, refusal) in [
        (6, &b"\x30\x0d\xa0\x03\x02\x01\x06\xa4\x06\x02\x04\xc0\0\0\x6d"[..]),
        (3, b"\x30\x0d\xa0\x03\x02\x01\x06\xa4\x06\x02\x04\xc0\0\0\x6d"),
        (2, b""),
        (5, b""),
    ] {
        let mut line = Line::new("\"nla\"", Some(3));
        let challenge = line.say(&ts_request(version, &negotiate()));
        // Version 6, then one token that is our challenge and nothing around it.
        assert_eq!(challenge[..1], [0x30]);
        let at = challenge.windows(8).position(|window| window == b"NTLMSSP\0").unwrap();
        assert_eq!(challenge[at - 3], 4, "an octet string: {challenge:02x?}");
        let nonce: Vec<u8> = challenge[at + 24..at + 32].to_vec();
        assert_eq!(line.say(&ts_request(version, &authenticate("jürgen", "CORP", &PROOF))), refusal);
        assert!(line.ended);
        let [login] = line.seen.as_slice() else { panic!("{:?}", line.seen) };
        assert_eq!((login.kind.name, login.severity), ("rdp.login", Severity::High));
        assert_eq!(login.fields["workstation"], Value::from("LAPTOP"));
        let offered = login.login.as_ref().unwrap();
        assert_eq!(offered.username.as_ref().unwrap().raw(), "jürgen".as_bytes());
        assert_eq!(offered.domain.as_ref().unwrap().raw(), b"CORP");
        let Some(Secret::Response { crackable: Some(crackable), .. }) = &offered.secret else { panic!() };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let expected = format!("jürgen::CORP:{}:{}:{}", hex(&nonce), "68".repeat(16), "68".repeat(32));
        assert_eq!(*crackable, expected);
    }
}

const NTLM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
const KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";

/// NegTokenInit (RFC 4178, section 4.2.1) in what GSS-API puts around it.
fn spnego(mechanisms: &[&[u8]], token: Option<&[u8]>) -> Vec<u8> {
    let list: Vec<Vec<u8>> = mechanisms.iter().map(|name| ber::wrap(ber::OBJECT, name)).collect();
    let mut parts = vec![ber::wrap(0xa0, &ber::wrap_all(ber::SEQUENCE, &list))];
    parts.extend(token.map(|token| ber::wrap(0xa2, &ber::wrap(ber::OCTETS, token))));
    let init = ber::wrap(0xa0, &ber::wrap_all(ber::SEQUENCE, &parts));
    ber::wrap(0x60, &[b"\x06\x06\x2b\x06\x01\x05\x05\x02".to_vec(), init].concat())
}

#[test]
fn spnego_is_answered_with_spnego() {
    let mut line = Line::new("\"nla\"", Some(0x0b));
    let ntlm = spnego(&[NTLM], Some(&negotiate()));
    let answer = line.say(&ts_request(6, &ntlm));
    let at = answer.windows(8).position(|window| window == b"NTLMSSP\0").unwrap();
    let before = &answer[..at];
    // accept-incomplete, and the mechanism by its name.
    assert!(before.windows(5).any(|window| window == b"\xa0\x03\x0a\x01\x01"), "{before:02x?}");
    assert!(before.windows(5).any(|window| window == b"\x82\x37\x02\x02\x0a"));
    // A client that begins with Kerberos is asked for NTLM, and goes on with it.
    let mut line = Line::new("\"nla\"", Some(0x0b));
    let kerberos = spnego(&[KERBEROS, NTLM], Some(b"nonsense"));
    let answer = line.say(&ts_request(6, &kerberos));
    assert!(answer.windows(5).any(|window| window == b"\x82\x37\x02\x02\x0a") && !line.ended);
    line.say(&ts_request(6, &negotiate()));
    line.say(&ts_request(6, &authenticate("eve", "", &PROOF)));
    assert_eq!(line.seen.len(), 1);
}

#[test]
fn a_client_that_takes_our_names_and_leaves_is_known() {
    let mut line = Line::new("\"nla\"", Some(0x0b));
    line.say(&ts_request(0x60, &negotiate()));
    assert_eq!(line.seen, []);
    line.act(|session, _, cx| session.finished(&[], cx));
    assert_eq!(line.shown(), ["rdp.challenge client_version=\"10.0.17763\""]);
}

#[test]
fn what_cannot_be_answered_is_kept() {
    let handshakes = |line: &Line| {
        let kept = line.seen.iter().filter(|seen| seen.kind.name == "rdp.handshake");
        kept.map(|seen| seen.fields["why"].clone()).collect::<Vec<_>>()
    };
    for (security, offers, said, why) in [
        ("\"nla\"", 3, ts_request(6, b"nonsense"), "neither NTLM nor Kerberos"),
        ("\"tls\"", 1, send(b"\0\x02\0\0hello"), "data out of order"),
        ("\"tls\"", 1, send(b"\x40\0\0\0hello"), "no client information"),
        ("\"tls\"", 1, send(b"\x40"), "data without a header"),
        ("\"rdp\"", 0, send(b"\x01\0\0\0\0\0\0\0hello"), "not encrypted with our key"),
        ("\"rdp\"", 0, send(b"\x48\0\0\0\0\0\0\0hello"), "no client information"),
    ] {
        let mut line = Line::new(security, Some(offers));
        line.say(&said);
        assert_eq!((handshakes(&line), line.ended), (vec![why.into()], true));
    }
}

#[test]
fn nobody_is_not_a_login() {
    let mut line = Line::new("\"nla\"", Some(3));
    line.say(&ts_request(6, &negotiate()));
    line.say(&ts_request(6, &authenticate("", "", &[])));
    assert_eq!(line.seen.iter().map(|seen| seen.kind.name).collect::<Vec<_>>(), ["rdp.session"]);
}

/// Connect-Initial as in MS-RDPBCGR, section 4.1.3, with those channels.
fn connect_initial(channels: &[&str], encryption: u32) -> Vec<u8> {
    let block = |kind: u16, content: &[u8]| {
        let length = u16::try_from(content.len() + 4).unwrap();
        [&kind.to_le_bytes(), &length.to_le_bytes(), content].concat()
    };
    let mut core = b"\x04\0\x08\0\0\x05\0\x04\x01\xca\x03\xaa\x09\x04\0\0\xce\x0e\0\0".to_vec();
    let mut name = wide("ELTONS-DEV2");
    name.resize(32, 0);
    core.extend(name);
    core.extend([4, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0]);
    core.extend([0; 64]);
    core.extend(b"\x01\xca\x01\0\0\0\0\0\x18\0\x07\0\x01\0");
    let mut product = wide("69712-783-0357974-42714");
    product.resize(64, 0);
    core.extend(product);
    core.extend([0; 6]);
    let mut network = u32::try_from(channels.len()).unwrap().to_le_bytes().to_vec();
    for channel in channels {
        let mut name = channel.as_bytes().to_vec();
        name.resize(12, 0);
        network.extend(name);
    }
    let security = [encryption.to_le_bytes(), [0; 4]].concat();
    let blocks = [block(0xc001, &core), block(0xc002, &security), block(0xc003, &network)].concat();
    let per = |length: usize| (u16::try_from(length).unwrap() | 0x8000).to_be_bytes();
    let inner = [&b"\0\x08\0\x10\0\x01\xc0\0Duca"[..], &per(blocks.len()), &blocks].concat();
    let conference = [&b"\0\x05\0\x14\x7c\0\x01"[..], &per(inner.len()), &inner].concat();
    let parameters = ber::wrap(ber::SEQUENCE, b"\x02\x01\x22\x02\x01\x02");
    let mut parts = vec![b"\x04\x01\x01\x04\x01\x01\x01\x01\xff".to_vec()];
    parts.extend([parameters.clone(), parameters.clone(), parameters]);
    parts.push(ber::wrap(ber::OCTETS, &conference));
    data(&[&[0x7f][..], &ber::wrap_all(0x65, &parts)].concat())
}

fn data(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 7).unwrap();
    [&[3, 0], &length.to_be_bytes()[..], &[2, 0xf0, 0x80], content].concat()
}

fn send(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap() | 0x8000;
    data(&[&[0x64, 0, 6, 3, 0xeb, 0x70], &length.to_be_bytes()[..], content].concat())
}

fn info(user: &str, password: &str) -> Vec<u8> {
    let texts = ["CORP", user, password, "cmd.exe", ""].map(wide);
    let mut packet = [0_u32, 0x1b].map(u32::to_le_bytes).concat();
    for text in &texts {
        packet.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    }
    for text in &texts {
        packet.extend_from_slice(text);
        packet.extend([0, 0]);
    }
    packet.extend([2, 0]);
    for text in ["10.1.2.3\0", "C:\\mstscax.dll\0"].map(wide) {
        packet.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        packet.extend(text);
    }
    packet
}

/// The client has its licence, and hears what a desktop may be.
const LICENCE: &[u8] =
    b"\x03\0\0\x22\x02\xf0\x80\x68\0\x01\x03\xeb\x70\x14\x80\0\0\0\xff\x03\x10\0\x07\0\0\0\x02\0\0\0\x04\0\0\0";

/// One packet of the making of a desktop, as a client sends it.
fn ready(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 18).unwrap().to_le_bytes();
    let left = u16::try_from(content.len() + 4).unwrap().to_le_bytes();
    [&length[..], b"\x17\0\xee\x03\xea\x03\x01\0\0\x01", &left, &[kind, 0, 0, 0], content].concat()
}

/// Confirm Active PDU with these sets of capabilities.
fn confirm(sets: &[(u16, usize, u8)]) -> Vec<u8> {
    let mut combined = [u16::try_from(sets.len()).unwrap(), 0].map(u16::to_le_bytes).concat();
    for (kind, at, byte) in sets {
        let mut set = vec![0; 84];
        set[*at] = *byte;
        combined.extend([*kind, 88].map(u16::to_le_bytes).concat());
        combined.extend(set);
    }
    let sizes = [6, u16::try_from(combined.len()).unwrap()].map(u16::to_le_bytes).concat();
    let all = [b"\xea\x03\x01\0\xea\x03", &sizes[..], b"MSTSC\0", &combined].concat();
    let head = [u16::try_from(all.len() + 6).unwrap(), 0x13, 1007].map(u16::to_le_bytes).concat();
    [head, all].concat()
}

/// Whether a text holds another.
fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Makes a desktop ready after a login; what is answered to its last packet.
fn desktop(line: &mut Line, sets: &[(u16, usize, u8)]) -> Vec<u8> {
    assert_eq!(line.say(&send(&confirm(sets))), b"");
    for (said, answer) in [
        (ready(31, &[1, 0, 0xee, 3]), &b"\x1f\0\0\0\x01\0\xec\x03"[..]),
        (ready(20, &[4, 0, 0, 0, 0, 0, 0, 0]), b"\x14\0\0\0\x04\0\0\0\0\0\0\0"),
        (ready(20, &[1, 0, 0, 0, 0, 0, 0, 0]), b"\x14\0\0\0\x02\0\xec\x03\xea\x03\0\0"),
        (ready(28, &[0; 16]), b""),
    ] {
        assert!(line.say(&send(&said)).ends_with(answer));
    }
    assert!(!line.ended);
    let end = line.say(&send(&ready(39, &[0, 0, 0, 0, 3, 0, 0x32, 0])));
    assert!(line.ended);
    end
}

/// MemBlt of 60 by 56 pixels at 740, 448, and of 64 by 64 at 256, 256.
const PAINTED: [&[u8]; 2] = [
    b"\x09\x0d\xff\x01\x02\0\xe4\x02\xc0\x01\x3c\0\x38\0\xcc\0\0\0\0\0\0",
    b"\x09\x0d\xff\x01\x02\0\0\x01\0\x01\x40\0\x40\0\xcc\0\0\0\0\0\0",
];

#[test]
fn a_failed_logon_is_painted_for_those_who_can_see_it() {
    let painter = [(3, 35, 1), (0x13, 3, 3)];
    for (windows, sets, times) in [
        ("2008r2", &painter[..], [1, 0]),
        ("2019", &painter, [0, 6]),
        ("2019", &[(3, 35, 1)], [0, 0]),
        ("2019", &[(3, 35, 0), (0x13, 3, 3)], [0, 0]),
        ("2019", &[(3, 35, 1), (0x13, 3, 2)], [0, 0]),
    ] {
        let mut line = Line::of(windows, "\"tls\"", Some(1));
        line.say(&connect_initial(&[], 0));
        line.say(&send(&[&[0x40, 0, 0, 0][..], &info("jdoe", "x")].concat()));
        let end = desktop(&mut line, sets);
        let painted = PAINTED.map(|order| end.windows(order.len()).filter(|window| *window == order).count());
        assert_eq!(painted, times, "{windows} {sets:?}");
        // The run of one colour that is painted, and its length with what stands before it.
        let cached = holds(&end, b"\x03\x02\0\xa2\x04\x05\x40\x40\x05\0\xf3\0\x10\x69\x09");
        assert_eq!(cached, times[1] > 0, "{end:02x?}");
        assert_eq!(line.seen.len(), 2);
    }
}

#[test]
fn a_client_that_breaks_off_before_its_desktop_has_logged_in_all_the_same() {
    let mut line = Line::new("\"tls\"", Some(1));
    line.say(&connect_initial(&[], 0));
    line.say(&send(&[&[0x40, 0, 0, 0][..], &info("jdoe", "x")].concat()));
    line.say(&send(b"\x05\0"));
    assert!(line.ended);
    let kinds: Vec<&str> = line.seen.iter().map(|seen| seen.kind.name).collect();
    assert_eq!(kinds, ["rdp.client", "rdp.login", "rdp.handshake"]);
}

#[test]
fn inside_tls_alone_the_password_comes_in_clear_with_all_that_the_client_is() {
    let mut line = Line::new("\"tls\"", Some(1));
    let response = line.say(&connect_initial(&["rdpdr", "cliprdr"], 0));
    // RDP 10.6, what was asked for, and no encryption inside TLS.
    assert!(holds(&response, b"\x01\x0c\x10\0\x0b\0\x08\0\x01\0\0\0\x07\0\0\0"), "{response:02x?}");
    assert!(holds(&response, b"\x03\x0c\x0c\0\xeb\x03\x02\0\xec\x03\xed\x03\x02\x0c\x0c\0\0\0\0\0\0\0\0\0"));
    assert_eq!(line.say(&data(b"\x04\x01\0\x01\0")), b"");
    assert_eq!(line.say(&data(b"\x28")), data(b"\x2e\0\0\x05"));
    for channel in [b"\x03\xee", b"\x03\xeb", b"\x03\xec", b"\x03\xed"] {
        let join = [&b"\x38\0\x05"[..], channel].concat();
        let expected = [&b"\x3e\0\0\x05"[..], channel, channel].concat();
        assert_eq!(line.say(&data(&join)), data(&expected));
    }
    assert_eq!(line.say(&data(b"\x38\0\x05\x04\0")), data(b"\x3c\x60\0\x05\x04\0"));
    let info = [&[0x40, 0, 0, 0][..], &info("jdoe", "pä\u{1f600}ss\0word")].concat();
    let answer = line.say(&send(&info));
    assert!(answer.starts_with(LICENCE));
    // Demand Active, on the line as it is inside TLS: without a header before it.
    assert!(
        answer[LICENCE.len()..][15..]
            .starts_with(b"\x6b\x01\x11\0\xea\x03\xea\x03\x01\0\x04\0\x55\x01RDP\0\x0d\0\0\0"),
        "{answer:02x?}"
    );
    assert!(holds(&answer, b"\x02\0\x1c\0\x10\0\x01\0\x01\0\x01\0\0\x05\0\x04"), "its size: {answer:02x?}");
    assert!(!line.ended);
    assert_eq!(
        line.shown(),
        [
            "rdp.client build=3790 channels=[Text(\"rdpdr\"), Text(\"cliprdr\")] height=1024 \
             keyboard=\"00000409\" name=\"ELTONS-DEV2\" product=\"69712-783-0357974-42714\" \
             version=\"00080004\" width=1280",
            "rdp.login username=\"jdoe\" domain=\"CORP\" password=\"pä\u{1f600}ss\\u{0}word\" \
             address=\"10.1.2.3\" client_folder=\"C:\\mstscax.dll\" security=\"tls\" shell=\"cmd.exe\" \
             workstation=\"ELTONS-DEV2\"",
        ]
    );
}

#[test]
fn a_desktop_asked_for_without_a_name_is_no_login() {
    let mut line = Line::new("\"tls\"", Some(1));
    line.say(&connect_initial(&[], 0));
    line.say(&send(&[&[0x40, 0, 0, 0][..], &info("", "")].concat()));
    assert_eq!(line.seen.last().unwrap().kind.name, "rdp.session");
}

#[test]
fn a_channel_that_only_exploits_ask_for_is_named() {
    for name in ["MS_T120", "ms_t120"] {
        let mut line = Line::new("\"tls\"", Some(1));
        line.say(&connect_initial(&["cliprdr", name], 0));
        let exploit = line.seen.iter().find(|seen| seen.kind.name == "rdp.exploit").unwrap();
        assert_eq!(exploit.fields["name"], Value::from("BlueKeep (CVE-2019-0708)"));
        assert_eq!(exploit.severity, Severity::High);
    }
}

#[test]
fn a_client_that_does_not_negotiate_is_known_even_where_it_may_not_go_on() {
    let mut line = Line::new("\"nla\"", None);
    assert_eq!(line.say(&connect_initial(&[], 3)), b"");
    assert!(line.ended);
    assert_eq!(line.seen[0].fields["name"], Value::from("ELTONS-DEV2"));
}

/// What a client with RDP's own security sends: its random bytes and its information, sealed.
fn sealed(response: &[u8], method: u32, info: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = response.windows(4).position(|window| window == b"RSA1").unwrap();
    let number = |at: usize| u32::from_le_bytes(response[at..at + 4].try_into().unwrap());
    let size = usize::try_from(number(at + 8) / 8).unwrap();
    let server: [u8; 32] = response[at - 16 - 32..at - 16].try_into().unwrap();
    let mut modulus = response[at + 20..at + 20 + size].to_vec();
    modulus.reverse();
    let client = [7_u8; 32];
    let mut exchanged = BigNum::new().unwrap();
    exchanged
        .mod_exp(
            &BigNum::from_slice(&client).unwrap(),
            &BigNum::from_u32(number(at + 16)).unwrap(),
            &BigNum::from_slice(&modulus).unwrap(),
            &mut BigNumContext::new().unwrap(),
        )
        .unwrap();
    let mut exchanged = exchanged.to_vec();
    exchanged.reverse();
    exchanged.resize(size + 8, 0);
    let length = u32::try_from(size + 8).unwrap().to_le_bytes();
    let exchange = [&[1, 0, 0, 0], &length[..], &exchanged].concat();

    let both = [client, server].concat();
    let salted = |secret: &[u8], salt: &str| {
        Md5::digest([secret, &sha1(&[salt.as_bytes(), secret, &both].concat())].concat()).to_vec()
    };
    let thrice = |secret: &[u8], salts: [&str; 3]| salts.map(|salt| salted(secret, salt)).concat();
    let master = thrice(&[&client[..24], &server[..24]].concat(), ["A", "BB", "CCC"]);
    let blob = thrice(&master, ["X", "YY", "ZZZ"]);
    let mut key = Md5::digest([&blob[32..], &both].concat()).to_vec();
    match method {
        1 => {
            key.truncate(8);
            key[..3].copy_from_slice(&[0xd1, 0x26, 0x9e]);
        }
        8 => {
            key.truncate(8);
            key[0] = 0xd1;
        }
        _ => {}
    }
    (send(&exchange), send(&[&[0x48, 0, 0, 0][..], &[0; 8], &rc4(&key, info)].concat()))
}

#[test]
fn rdps_own_security_is_opened_whatever_the_length_of_its_key() {
    for (methods, chosen) in [(0x1b, 2), (3, 2), (1, 1), (9, 8)] {
        let mut line = Line::new("\"rdp\"", Some(0));
        let response = line.say(&connect_initial(&["rdpsnd"], methods));
        let security = response.windows(4).position(|window| window[..2] == [2, 0x0c]).unwrap();
        assert_eq!(response[security + 4], chosen);
        let (exchange, info) = sealed(&response, chosen.into(), &info("root", "t0or"));
        assert_eq!(line.say(&exchange), b"");
        let answer = line.say(&info);
        assert!(answer.starts_with(LICENCE) && answer[LICENCE.len() + 15..].starts_with(&[8, 0, 0, 0]));
        assert!(!line.ended);
        let login = line.shown().pop().unwrap();
        assert!(
            login.starts_with("rdp.login username=\"root\" domain=\"CORP\" password=\"t0or\""),
            "{login}"
        );
    }
}

#[test]
fn a_redirected_client_is_greeted_and_its_login_refused() {
    let settings = ["security = [\"nla\"]"];
    let protocol = build(entry(), &settings).unwrap().stream.unwrap();
    let session = protocol.open(&peer());
    let mut line =
        Line { session, random: Counting::default(), seen: Vec::new(), inbox: Vec::new(), ended: false };
    let said = line.say(b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x04\0\0\0");
    assert!(said.ends_with(b"\x02\x1f\x08\0\x04\0\0\0\x01\0\x01\0\x01\0\x01\0"), "{said:02x?}");
    let mut request = b"\x01\0\x02\0\x01\0\x02\0{}".to_vec();
    for text in [wide("jdoe\0"), wide("CORP\0"), b"sealed".to_vec()] {
        request.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        request.extend(text);
    }
    assert_eq!(line.say(&request), b"\x01\0\x04\0\x01\0\x2e\x05\0\0");
    let login = line.shown().pop().unwrap();
    assert_eq!(login, "rdp.login username=\"jdoe\" domain=\"CORP\" token=\"sealed\" security=\"rdstls\"");
}

/// Messages of every stage, whole, cut and spoiled.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let info = [&[0x40, 0, 0, 0][..], &info("jdoe", "x")].concat();
    let lively = vec![
        connect_initial(&["rdpdr", "MS_T120"], 3),
        data(b"\x04\x01\0\x01\0"),
        data(b"\x28"),
        data(b"\x38\0\x05\x03\xeb"),
        send(&info),
        [send(&info), send(&confirm(&[(3, 35, 1), (0x13, 3, 3)]))].concat(),
        send(&ready(20, &[1, 0, 0, 0, 0, 0, 0, 0])),
        send(&ready(39, &[0; 8])),
        send(&[&[1, 0, 0, 0, 8, 1, 0, 0][..], &[9; 264]].concat()),
        send(&[&[0x48, 0, 0, 0][..], &[9; 100]].concat()),
        ts_request(6, &negotiate()),
        ts_request(6, &authenticate("jdoe", "CORP", &PROOF)),
        b"\x01\0\x02\0\x01\0\0\0\0\0\0\0\x01\0x".to_vec(),
        b"\x01\0\x02\0\x02\0\x01\0\0\0\x02\0xy".to_vec(),
    ];
    let spoiled = (proptest::sample::select(lively), any::<prop::sample::Index>(), any::<Option<u8>>());
    let spoiled = spoiled.prop_map(|(mut message, at, byte)| {
        if let Some(byte) = byte {
            let at = at.index(message.len());
            message[at] = byte;
        }
        message
    });
    proptest::collection::vec(spoiled, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Behind TLS, too, nothing that a client sends breaks anything, and how the network cuts it changes nothing.
    #[test]
    fn on_every_line_segmentation_changes_nothing(bytes in wire(), cut in 1_usize..40) {
        for (security, offers) in [("\"nla\"", Some(3)), ("\"tls\"", Some(1)), ("\"rdp\"", Some(0)), ("\"nla\"", Some(4))] {
            let (mut one, mut other) = (Line::new(security, offers), Line::new(security, offers));
            let whole = one.say(&bytes);
            let pieces: Vec<u8> = bytes.chunks(cut).flat_map(|piece| other.say(piece)).collect();
            prop_assert_eq!(whole, pieces);
            prop_assert_eq!((&one.seen, one.ended), (&other.seen, other.ended));
        }
    }
}
