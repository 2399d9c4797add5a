//! TLS inside the packets of SQL Server, with OpenSSL as the client.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{
    io::{self, Read, Write},
    time::SystemTime,
};

use haldane_core::{
    Cx, Effects, Entry, Flow, Halt, Input, Sighting,
    session::{AnySession, Random},
};
use haldane_services::{
    ALL,
    replay::{Counting, build, peer, show},
};
use openssl::ssl::{ErrorCode, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "mssql").unwrap()
}

/// A client, and the server that it talks to.
struct Talk {
    session: Box<dyn AnySession>,
    random: Counting,
    inbox: Vec<u8>,
    /// What the server said, not read yet.
    said: Vec<u8>,
    seen: Vec<Sighting>,
    ended: bool,
    /// How much is sent at once.
    piece: usize,
}

impl Talk {
    fn with(settings: &[&str], piece: usize) -> Self {
        let session = build(entry(), settings).unwrap().stream.unwrap().open(&peer());
        let mut random = Counting::default();
        random.fill(&mut [0; 16]);
        let mut talk =
            Self { session, random, inbox: vec![], said: vec![], seen: vec![], ended: false, piece };
        talk.act(|session, cx| session.greet(cx));
        talk
    }

    fn act(&mut self, act: impl FnOnce(&mut dyn AnySession, &mut Cx<'_>)) {
        let mut effects = Effects::default();
        let peer = peer();
        act(
            self.session.as_mut(),
            &mut Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut self.random, &mut effects),
        );
        self.said.extend(effects.reply);
        self.seen.extend(effects.seen);
    }

    fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            self.inbox.extend_from_slice(piece);
            while !self.inbox.is_empty() && !self.ended {
                let inbox = self.inbox.clone();
                let mut input = Input::stream(&inbox);
                let mut came = Ok(Flow::Continue);
                self.act(|session, cx| came = session.step(&mut input, cx));
                match came {
                    Ok(flow) => self.ended = flow != Flow::Continue,
                    Err(Halt::Need(_)) => break,
                    Err(Halt::Malformed(why)) => panic!("{why}"),
                }
                self.inbox.drain(..input.consumed());
            }
        }
    }

    fn hang_up(&mut self) {
        self.act(|session, cx| session.finished(&[], cx));
    }

    /// The events so far, without what differs between versions of OpenSSL.
    fn events(&self) -> Vec<String> {
        let plain = |seen: &Sighting| {
            let mut seen = seen.clone();
            for key in ["ja3", "ja4", "cipher"] {
                seen.fields.remove(key);
            }
            show(&seen)
        };
        self.seen.iter().map(plain).collect()
    }

    /// The body of the server's next packet, of that type.
    fn packet(&mut self, kind: u8) -> Vec<u8> {
        assert_eq!(self.said[0], kind, "{:?}", self.said.escape_ascii().to_string());
        let length = usize::from(u16::from_be_bytes([self.said[2], self.said[3]]));
        let packet: Vec<u8> = self.said.drain(..length).collect();
        packet[8..].to_vec()
    }
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap().to_be_bytes();
    [&[kind, 1][..], &length, &[0, 0, 1, 0], body].concat()
}

fn pre_login(encryption: u8) -> Vec<u8> {
    packet(0x12, &[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 255, 9, 0, 0, 1, 0, 0, encryption])
}

fn login(user: &str, password: &str) -> Vec<u8> {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let hidden: Vec<u8> = wide(password).iter().map(|byte| byte.rotate_left(4) ^ 0xa5).collect();
    let (user, mut body) = (wide(user), vec![0; 94]);
    body[4..8].copy_from_slice(&[4, 0, 0, 0x74]);
    let mut place = |at: usize, data: &[u8], unit: usize| {
        let start = u16::try_from(body.len()).unwrap().to_le_bytes();
        let length = u16::try_from(data.len() / unit).unwrap().to_le_bytes();
        body[at..at + 4].copy_from_slice(&[start, length].concat());
        body.extend_from_slice(data);
    };
    place(40, &user, 2);
    place(44, &hidden, 2);
    let length = u32::try_from(body.len()).unwrap().to_le_bytes();
    body[..4].copy_from_slice(&length);
    packet(0x10, &body)
}

#[derive(Default)]
struct Memory {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.incoming.as_slice().read(buffer)?;
        self.incoming.drain(..count);
        Ok(count)
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(buffer);
        Ok(buffer.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tls() -> SslStream<Memory> {
    let mut context = SslContext::builder(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context.set_cipher_list("DEFAULT:@SECLEVEL=0").unwrap();
    context.set_alpn_protos(b"\x07tds/8.0").unwrap();
    SslStream::new(Ssl::new(&context.build()).unwrap(), Memory::default()).unwrap()
}

/// The handshake, inside packets or bare.
fn handshake(talk: &mut Talk, stream: &mut SslStream<Memory>, wrapped: bool) {
    loop {
        let done = match stream.connect() {
            Ok(()) => true,
            Err(error) if error.code() == ErrorCode::WANT_READ => false,
            Err(error) => panic!("{error}"),
        };
        let outgoing = std::mem::take(&mut stream.get_mut().outgoing);
        if !outgoing.is_empty() {
            talk.send(&if wrapped { packet(0x12, &outgoing) } else { outgoing });
        }
        while !talk.said.is_empty() {
            let came = if wrapped { talk.packet(0x12) } else { std::mem::take(&mut talk.said) };
            stream.get_mut().incoming.extend(came);
        }
        if done {
            return;
        }
    }
}

fn inside(talk: &mut Talk, stream: &mut SslStream<Memory>, bytes: &[u8]) {
    assert_eq!(stream.ssl_write(bytes).unwrap(), bytes.len());
    let outgoing = std::mem::take(&mut stream.get_mut().outgoing);
    talk.send(&outgoing);
}

fn plain(talk: &mut Talk, stream: &mut SslStream<Memory>) -> Vec<u8> {
    stream.get_mut().incoming.append(&mut talk.said);
    let mut buffer = [0; 4096];
    let count = stream.ssl_read(&mut buffer).unwrap();
    buffer[..count].to_vec()
}

const FAILED: &[u8] = b"L\0o\0g\0i\0n\0 \0f\0a\0i\0l\0e\0d\0 \0f\0o\0r\0 \0u\0s\0e\0r\0 \0'\0s\0a\0'\0.\0";

fn fails(answer: &[u8]) -> bool {
    answer.windows(FAILED.len()).any(|window| window == FAILED)
}

#[test]
fn where_nobody_insists_the_login_alone_is_encrypted() {
    for piece in [1, 7, usize::MAX] {
        let (mut talk, mut stream) = (Talk::with(&[], piece), tls());
        talk.send(&pre_login(0));
        assert_eq!(talk.packet(4).last(), Some(&0));
        handshake(&mut talk, &mut stream, true);
        assert_eq!(stream.ssl().version_str(), "TLSv1.2");
        inside(&mut talk, &mut stream, &login("sa", "pässword"));
        assert!(talk.ended && fails(&talk.packet(4)), "the refusal comes in clear");
        let expected = "mssql.login username=\"sa\" password=\"pässword\" encrypted=\"login\" \
                        interface_version=\"9.0.1\" tds=\"7.4\" tls_version=\"TLSv1.2\" wants_encryption=\"off\"";
        assert_eq!(talk.events(), [expected]);
    }
}

#[test]
fn whoever_wants_encryption_gets_it_for_everything() {
    for (asked, settings, answer) in [(1, &[][..], 1), (3, &[], 1), (0, &["force_encryption = true"], 3)] {
        let (mut talk, mut stream) = (Talk::with(settings, usize::MAX), tls());
        talk.send(&pre_login(asked));
        assert_eq!(talk.packet(4).last(), Some(&answer), "{asked}");
        handshake(&mut talk, &mut stream, true);
        inside(&mut talk, &mut stream, &login("sa", "secret"));
        assert!(fails(&plain(&mut talk, &mut stream)) && talk.ended);
        assert!(talk.events()[0].contains("encrypted=\"all\""), "{:?}", talk.events());
    }
}

#[test]
fn the_newest_takes_tls_from_the_first_byte_and_older_ones_do_not() {
    let (mut talk, mut stream) = (Talk::with(&["version = \"2022\""], 5), tls());
    handshake(&mut talk, &mut stream, false);
    // Windows Server 2019, which this is, has no newer one.
    assert_eq!(stream.ssl().version_str(), "TLSv1.2");
    assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"tds/8.0"[..]));
    inside(&mut talk, &mut stream, &pre_login(2));
    assert_eq!(plain(&mut talk, &mut stream)[..2], [4, 1]);
    inside(&mut talk, &mut stream, &login("sa", "secret"));
    assert!(fails(&plain(&mut talk, &mut stream)) && talk.ended);
    assert!(
        talk.events()[0]
            .contains("encrypted=\"strict\" interface_version=\"9.0.1\" tds=\"7.4\" tls_version=\"TLSv1.2\"")
    );

    let mut old = build(entry(), &["version = \"2019\""]).unwrap().stream.unwrap().open(&peer());
    let (mut random, mut effects, peer) = (Counting::default(), Effects::default(), peer());
    let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
    let came = old.step(&mut Input::stream(&[22, 3, 1, 0, 1, 1]), &mut cx);
    assert!(matches!(came, Err(Halt::Malformed(_))));
}

#[test]
fn a_client_that_does_not_trust_the_certificate_is_seen() {
    let (mut talk, mut stream) = (Talk::with(&[], usize::MAX), tls());
    talk.send(&pre_login(1));
    talk.packet(4);
    stream.connect().unwrap_err();
    talk.send(&packet(0x12, &std::mem::take(&mut stream.get_mut().outgoing)));
    talk.packet(0x12);
    // Alert: unknown CA.
    talk.send(&packet(0x12, &[21, 3, 3, 0, 2, 2, 48]));
    talk.hang_up();
    assert_eq!(talk.events().len(), 1);
    assert!(talk.events()[0].contains("unknown ca"), "{:?}", talk.events());
}

#[test]
fn a_login_that_should_have_been_encrypted_is_recorded_and_not_answered() {
    for (settings, asked) in [(&[][..], 1), (&["force_encryption = true"], 2)] {
        let mut talk = Talk::with(settings, usize::MAX);
        talk.send(&pre_login(asked));
        talk.packet(4);
        talk.send(&login("sa", "secret"));
        assert!(talk.ended && talk.said.is_empty());
        assert!(talk.events()[0].starts_with("mssql.login username=\"sa\" password=\"secret\""));
    }
}

#[test]
fn a_login_in_many_packets_is_one_and_one_without_end_is_none() {
    let whole = login("sa", &"x".repeat(3000));
    let mut talk = Talk::with(&[], usize::MAX);
    talk.send(&pre_login(2));
    talk.packet(4);
    let body = &whole[8..];
    let (first, rest) = body.split_at(4000);
    let mut begun = packet(0x10, first);
    begun[1] = 0;
    talk.send(&begun);
    talk.send(&packet(0x10, rest));
    assert!(fails(&talk.packet(4)));
    assert!(talk.events()[0].contains(&"x".repeat(3000)));

    let mut talk = Talk::with(&[], usize::MAX);
    let mut endless = packet(0x10, &[0; 32000]);
    endless[1] = 0;
    for _ in 0..5 {
        talk.send(&endless);
    }
    assert!(talk.ended);
    assert!(talk.events()[0].contains("message too long"));
}

#[test]
fn a_login_whose_end_never_comes_is_recorded_as_far_as_it_came() {
    let whole = login("sa", "secret");
    let padded = [&whole[8..], &[0; 40]].concat();
    let mut begun = packet(0x10, &padded);
    begun[1] = 0;
    let mut talk = Talk::with(&[], usize::MAX);
    talk.send(&begun);
    talk.hang_up();
    let expected = "mssql.login username=\"sa\" password=\"secret\" broken=true tds=\"7.4\"";
    assert_eq!(talk.events(), [expected]);

    let (mut talk, mut stream) = (Talk::with(&[], usize::MAX), tls());
    talk.send(&pre_login(1));
    talk.packet(4);
    handshake(&mut talk, &mut stream, true);
    let padded = packet(0x10, &padded);
    inside(&mut talk, &mut stream, &padded[..padded.len() - 1]);
    talk.hang_up();
    assert_eq!(talk.events().len(), 1);
    assert!(talk.events()[0].starts_with("mssql.login username=\"sa\" password=\"secret\" broken=true"));
}
