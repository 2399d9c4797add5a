//! How a client logs in to Windows, whatever protocol carries it: NTLM alone, or within SPNEGO (RFC 4178; MS-SPNG),
//! or a ticket of Kerberos (RFC 4121, RFC 4120 section 5.5.1) which we cannot read but in its names.
//!
//! A [`Conversation`] takes the client's tokens and makes ours. Nobody is ever let in by it: what the login is, and what
//! it would take to let the client in, stands in the [`Attempt`].

use haldane_core::{Cx, Halt, Input, Login, Secret, Sighting, Untrusted, Windows};

use crate::{
    ber,
    ntlm::{self, Answer, Identity, Message, Negotiate, flag},
    ntlm_key,
};

/// SPNEGO, 1.3.6.1.5.5.2.
const SPNEGO: &[u8] = &[0x2b, 6, 1, 5, 5, 2];
/// NTLM, 1.3.6.1.4.1.311.2.2.10.
pub const NTLM: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 10];
/// Extended negotiation, 1.3.6.1.4.1.311.2.2.30.
const NEGOEX: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 30];
/// Kerberos, 1.2.840.113554.1.2.2.
const KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
/// Kerberos by the number that Windows 2000 made of it, 1.2.840.48018.1.2.2.
const MS_KERBEROS: &[u8] = &[0x2a, 0x86, 0x48, 0x82, 0xf7, 0x12, 1, 2, 2];
/// Kerberos between users, 1.2.840.113554.1.2.2.3.
const USER_TO_USER: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 3];
/// What Windows says in place of a name (MS-SPNG, section 3.2.5.2).
const HINT: &[u8] = b"not_defined_in_RFC4178@please_ignore";

/// Tags of BER that are used here beside those of [`ber`].
const APPLICATION: u8 = 0x60;
const ENUMERATED: u8 = 0x0a;
const GENERAL_STRING: u8 = 0x1b;
/// AP-REQ and Ticket, the applications 14 and 1 of Kerberos.
const AP_REQ: u8 = 0x6e;
const TICKET: u8 = 0x61;

/// States of a negotiation (RFC 4178, section 4.2.2).
const COMPLETED: u8 = 0;
const INCOMPLETE: u8 = 1;
const REJECTED: u8 = 2;
const REQUEST_MIC: u8 = 3;

/// Longest list of mechanisms that is kept, in bytes.
const LONGEST_LIST: usize = 256;
/// Most mechanisms, and most parts of a name, that are looked at.
const MOST: usize = 16;

/// The tag of a field of a sequence.
const fn field(number: u8) -> u8 {
    0xa0 | number
}

/// A login in the making. Small: it may wait for long.
#[derive(Debug, Default)]
pub struct Conversation {
    /// Our challenge, once sent.
    nonce: Option<[u8; 8]>,
    /// Whether the client speaks SPNEGO.
    negotiated: bool,
    /// The list of mechanisms that it began with, as it was sent: what both sides sign in the end.
    offered: Box<[u8]>,
}

/// What a token of the client's leads to.
#[derive(Debug)]
pub enum Step {
    /// Send this token; another will come.
    Reply {
        /// The token.
        token: Vec<u8>,
        /// What the client said about itself in its first message of NTLM.
        first: Option<Negotiate>,
    },
    /// The client has said who it is.
    Done(Box<Attempt>),
    /// This is nothing that we know. An event may show the bytes.
    Unknown,
}

/// A login, ready to be reported.
#[derive(Debug)]
pub struct Attempt {
    /// As the event shows it.
    pub login: Login,
    /// The token that refuses it; empty without SPNEGO.
    pub reject: Vec<u8>,
    /// The token that lets it in, as far as that needs no key; empty without SPNEGO.
    pub accept: Vec<u8>,
    /// How it was proved.
    pub proof: Proof,
    /// The challenge that it answers.
    challenge: Option<[u8; 8]>,
    /// See [`Conversation`].
    offered: Box<[u8]>,
}

/// How a client proves who it is.
#[derive(Debug)]
pub enum Proof {
    /// By NTLM.
    Ntlm(Answer),
    /// By a ticket of Kerberos.
    Kerberos(Ticket),
}

/// What can be read of a ticket without its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ticket {
    /// The realm that issued it.
    pub realm: Vec<u8>,
    /// The service that it is for, as in `HTTP/files01.corp.example.com`.
    pub service: Vec<u8>,
    /// The kind of encryption (RFC 3961): 18 is AES-256, 23 is RC4.
    pub encryption: Option<i64>,
}

impl Attempt {
    /// A login by NTLM without any of its messages around it, as SMB 1 has it. `challenge`: ours, if one was sent.
    pub fn bare(answer: Answer, challenge: Option<[u8; 8]>) -> Self {
        let login = answer.login(challenge.as_ref());
        let proof = Proof::Ntlm(answer);
        Self { login, reject: Vec::new(), accept: Vec::new(), proof, challenge, offered: Box::default() }
    }

    /// Adds what is known beside the login to an event.
    #[must_use]
    pub fn facts(&self, seen: Sighting) -> Sighting {
        match &self.proof {
            Proof::Ntlm(answer) => answer.facts(seen),
            Proof::Kerberos(ticket) => {
                let seen = match ticket.service.as_slice() {
                    [] => seen,
                    service => seen.with("spn", service),
                };
                match ticket.encryption {
                    Some(kind) => seen.with("encryption", kind),
                    None => seen,
                }
            }
        }
    }

    /// The key of the session, if that is the password.
    pub fn key(&self, password: &[u8]) -> Option<[u8; 16]> {
        match (&self.proof, &self.challenge) {
            (Proof::Ntlm(answer), Some(challenge)) => answer.key(challenge, password),
            _ => None,
        }
    }

    /// The token that lets it in with that key: the client's list of mechanisms is signed (RFC 4178, section 5).
    pub fn accept_with(&self, key: &[u8; 16]) -> Vec<u8> {
        match &self.proof {
            Proof::Ntlm(answer) if !self.accept.is_empty() && !self.offered.is_empty() => {
                response_signed(&ntlm_key::signature(key, answer.flags, &self.offered))
            }
            _ => self.accept.clone(),
        }
    }

    /// Whom it stands for.
    pub fn identity(&self) -> Identity {
        match &self.proof {
            Proof::Ntlm(answer) => answer.identity(),
            Proof::Kerberos(_) => Identity::User,
        }
    }
}

impl Conversation {
    /// Takes a token, which must be whole.
    pub fn take(&mut self, token: &[u8], host: &Windows, cx: &mut Cx<'_>) -> Step {
        match Offer::read(token) {
            Some(offer) => {
                self.negotiated = true;
                if offer.list.len() <= LONGEST_LIST && !offer.list.is_empty() {
                    self.offered = ber::wrap(ber::SEQUENCE, offer.list).into();
                }
                let inner = offer.token.filter(|token| !token.is_empty());
                match inner.map(|inner| self.inner(inner, host, cx)) {
                    Some(step @ (Step::Reply { .. } | Step::Done(_))) => step,
                    // What was guessed is not what we speak, or nothing was: NTLM is what is left.
                    _ if offer.mechanisms.contains(&NTLM) => {
                        Step::Reply { token: response(REQUEST_MIC, Some(NTLM), b""), first: None }
                    }
                    _ => Step::Unknown,
                }
            }
            None => self.inner(token, host, cx),
        }
    }

    /// A challenge of NTLM to a client that said nothing.
    pub fn challenge(&mut self, host: &Windows, cx: &mut Cx<'_>) -> Vec<u8> {
        let silent = flag::UNICODE | flag::REQUEST_TARGET | flag::EXTENDED_SECURITY;
        self.answer(&Negotiate { flags: silent, ..Negotiate::default() }, host, cx)
    }

    fn answer(&mut self, first: &Negotiate, host: &Windows, cx: &mut Cx<'_>) -> Vec<u8> {
        let nonce = cx.random();
        self.nonce = Some(nonce);
        let message = ntlm::challenge(first.flags, &nonce, host, cx.now());
        if self.negotiated { response(INCOMPLETE, Some(NTLM), &message) } else { message }
    }

    /// Our challenge, if one was sent.
    pub fn nonce(&self) -> Option<&[u8; 8]> {
        self.nonce.as_ref()
    }

    /// The token that refuses what [`Step::Unknown`] was; empty without SPNEGO.
    pub fn reject(&self) -> Vec<u8> {
        self.refusal(REJECTED)
    }

    fn refusal(&self, state: u8) -> Vec<u8> {
        if self.negotiated { response(state, None, b"") } else { Vec::new() }
    }

    /// A token without what SPNEGO puts around it.
    fn inner(&mut self, token: &[u8], host: &Windows, cx: &mut Cx<'_>) -> Step {
        match Message::read(token) {
            Some(Message::Negotiate(first)) => {
                Step::Reply { token: self.answer(&first, host, cx), first: Some(first) }
            }
            Some(Message::Authenticate(answer)) => {
                // A challenge is answered once.
                let challenge = self.nonce.take();
                let login = answer.login(challenge.as_ref());
                self.done(login, Proof::Ntlm(answer), challenge)
            }
            None => match Ticket::read(token) {
                Some(ticket) => {
                    let mut login = Login::new("kerberos").secret(Secret::Token(token.into()));
                    login.domain = Some(&ticket.realm).filter(|realm| !realm.is_empty()).map(Untrusted::new);
                    self.done(login, Proof::Kerberos(ticket), None)
                }
                None => Step::Unknown,
            },
        }
    }

    fn done(&self, login: Login, proof: Proof, challenge: Option<[u8; 8]>) -> Step {
        let (reject, accept) = (self.refusal(REJECTED), self.refusal(COMPLETED));
        let offered = self.offered.clone();
        Step::Done(Box::new(Attempt { login, reject, accept, proof, challenge, offered }))
    }
}

/// The token that a server speaks first with (MS-SPNG, section 2.2.1), where the protocol has it do so.
pub fn offer(host: &Windows) -> Vec<u8> {
    let mechanisms: &[&[u8]] =
        if host.joined() { &[NEGOEX, MS_KERBEROS, KERBEROS, USER_TO_USER, NTLM] } else { &[NTLM] };
    let list: Vec<Vec<u8>> = mechanisms.iter().map(|oid| ber::wrap(ber::OBJECT, oid)).collect();
    let hint = ber::wrap(field(0), &ber::wrap(GENERAL_STRING, HINT));
    let init = [
        ber::wrap(field(0), &ber::wrap_all(ber::SEQUENCE, &list)),
        ber::wrap(field(3), &ber::wrap(ber::SEQUENCE, &hint)),
    ];
    let init = ber::wrap(field(0), &ber::wrap_all(ber::SEQUENCE, &init));
    ber::wrap_all(APPLICATION, &[ber::wrap(ber::OBJECT, SPNEGO), init])
}

/// A NegTokenResp.
fn response(state: u8, mechanism: Option<&[u8]>, token: &[u8]) -> Vec<u8> {
    let mut fields = vec![ber::wrap(field(0), &ber::wrap(ENUMERATED, &[state]))];
    fields.extend(mechanism.map(|oid| ber::wrap(field(1), &ber::wrap(ber::OBJECT, oid))));
    if !token.is_empty() {
        fields.push(ber::wrap(field(2), &ber::wrap(ber::OCTETS, token)));
    }
    ber::wrap(field(1), &ber::wrap_all(ber::SEQUENCE, &fields))
}

/// A NegTokenResp that accepts, with a mechListMIC.
fn response_signed(signature: &[u8]) -> Vec<u8> {
    let fields = [
        ber::wrap(field(0), &ber::wrap(ENUMERATED, &[COMPLETED])),
        ber::wrap(field(3), &ber::wrap(ber::OCTETS, signature)),
    ];
    ber::wrap(field(1), &ber::wrap_all(ber::SEQUENCE, &fields))
}

/// What SPNEGO says: a NegTokenInit or a NegTokenResp.
#[derive(Debug)]
struct Offer<'a> {
    /// Those that the client could use, the one it likes best first.
    mechanisms: Vec<&'a [u8]>,
    /// The same, as they were sent.
    list: &'a [u8],
    token: Option<&'a [u8]>,
}

impl<'a> Offer<'a> {
    /// `None` if it is neither. What of it is broken is left out: the rest may be a login.
    fn read(token: &'a [u8]) -> Option<Self> {
        let (tag, content) = ber::element(&mut Input::whole(token)).ok()?;
        let mut content = Input::whole(content);
        let (tag, body) = match tag {
            APPLICATION => {
                let spnego = ber::expect(&mut content, ber::OBJECT).ok()? == SPNEGO;
                ber::element(&mut content).ok().filter(|_| spnego)?
            }
            tag => (tag, content.take_rest()),
        };
        if !matches!(tag, 0xa0 | 0xa1) {
            return None;
        }
        let mut fields = ber::enter(&mut Input::whole(body), ber::SEQUENCE).ok()?;
        let mut offer = Self { mechanisms: Vec::new(), list: &[], token: None };
        while let Ok((number, value)) = ber::element(&mut fields) {
            let mut value = Input::whole(value);
            match number {
                0xa0 if tag == 0xa0 => {
                    offer.list = ber::expect(&mut value, ber::SEQUENCE).unwrap_or_default();
                    offer.mechanisms = objects(Input::whole(offer.list));
                }
                // mechToken; what follows of a NegTokenInit2 is not for servers.
                0xa2 => offer.token = ber::expect(&mut value, ber::OCTETS).ok(),
                _ => {}
            }
        }
        Some(offer)
    }
}

fn objects(mut list: Input<'_>) -> Vec<&[u8]> {
    let next = std::iter::from_fn(|| ber::expect(&mut list, ber::OBJECT).ok());
    next.take(MOST).collect()
}

impl Ticket {
    /// Reads the names of an AP-REQ, as GSS-API wraps it or bare. `None` if it is none.
    pub fn read(token: &[u8]) -> Option<Self> {
        let mut input = Input::whole(token);
        if token.first() == Some(&APPLICATION) {
            input = ber::enter(&mut input, APPLICATION).ok()?;
            let mechanism = ber::expect(&mut input, ber::OBJECT).ok()?;
            if ![KERBEROS, MS_KERBEROS, USER_TO_USER].contains(&mechanism) {
                return None;
            }
            // TOK_ID (RFC 4121, section 4.1): AP-REQ.
            if input.array::<2>().ok()? != [1, 0] {
                return None;
            }
        }
        let mut request = ber::enter(&mut input, AP_REQ).ok()?;
        Some(Self::of(ber::enter(&mut request, ber::SEQUENCE)).unwrap_or_default())
    }

    fn of(request: Result<Input<'_>, Halt>) -> Option<Self> {
        let mut ticket = numbered(request.ok()?, 3)?;
        let mut ticket = ber::enter(&mut ticket, TICKET).ok()?;
        let mut fields = ber::enter(&mut ticket, ber::SEQUENCE).ok()?;
        let mut read = Self::default();
        while let Ok((number, value)) = ber::element(&mut fields) {
            let mut value = Input::whole(value);
            match number {
                0xa1 => read.realm = ber::expect(&mut value, GENERAL_STRING).unwrap_or_default().to_vec(),
                0xa2 => read.service = name(value).unwrap_or_default(),
                0xa3 => {
                    let kind = ber::enter(&mut value, ber::SEQUENCE).ok().and_then(|data| numbered(data, 0));
                    read.encryption = kind.and_then(|mut kind| ber::integer(&mut kind).ok());
                }
                _ => {}
            }
        }
        Some(read)
    }
}

/// The field of that number.
fn numbered(mut fields: Input<'_>, number: u8) -> Option<Input<'_>> {
    while let Ok((tag, value)) = ber::element(&mut fields) {
        if tag == field(number) {
            return Some(Input::whole(value));
        }
    }
    None
}

/// A PrincipalName (RFC 4120, section 5.2.2): its parts with slashes between them.
fn name(mut principal: Input<'_>) -> Option<Vec<u8>> {
    let mut parts = numbered(ber::enter(&mut principal, ber::SEQUENCE).ok()?, 1)?;
    let mut parts = ber::enter(&mut parts, ber::SEQUENCE).ok()?;
    let next = std::iter::from_fn(|| ber::expect(&mut parts, GENERAL_STRING).ok());
    Some(next.take(MOST).collect::<Vec<_>>().join(&b'/'))
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::SystemTime};

    use haldane_core::{Effects, Peer, Transport, session::Random};

    use super::*;

    struct Same(u8);

    impl Random for Same {
        fn fill(&mut self, buffer: &mut [u8]) {
            self.0 = self.0.wrapping_add(1);
            buffer.fill(self.0);
        }
    }

    fn take(conversation: &mut Conversation, token: &[u8]) -> Step {
        let address: SocketAddr = "192.0.2.1:1".parse().unwrap();
        let peer = Peer::new(address, address, Transport::Tcp);
        let (mut random, mut effects) = (Same(0), Effects::default());
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        conversation.take(token, &Windows::new("files01", ""), &mut cx)
    }

    fn init(mechanisms: &[&[u8]], token: &[u8]) -> Vec<u8> {
        let list: Vec<_> = mechanisms.iter().map(|oid| ber::wrap(ber::OBJECT, oid)).collect();
        let mut fields = vec![ber::wrap(field(0), &ber::wrap_all(ber::SEQUENCE, &list))];
        if !token.is_empty() {
            fields.push(ber::wrap(field(2), &ber::wrap(ber::OCTETS, token)));
        }
        let init = ber::wrap(field(0), &ber::wrap_all(ber::SEQUENCE, &fields));
        ber::wrap_all(APPLICATION, &[ber::wrap(ber::OBJECT, SPNEGO), init])
    }

    fn first() -> Vec<u8> {
        [&ntlm::SIGNATURE[..], &[1, 0, 0, 0, 7, 2, 8, 0], &[0; 16]].concat()
    }

    fn last() -> Vec<u8> {
        let mut message = [&ntlm::SIGNATURE[..], &[3, 0, 0, 0], &[0; 52]].concat();
        message[20..28].copy_from_slice(&[40, 0, 40, 0, 64, 0, 0, 0]);
        message[36..44].copy_from_slice(&[2, 0, 2, 0, 104, 0, 0, 0]);
        message[60] = 1;
        message.extend([7; 40]);
        message.extend(b"e\0");
        message
    }

    #[test]
    fn a_login_goes_the_same_way_with_and_without_spnego() {
        for wrapped in [false, true] {
            let mut conversation = Conversation::default();
            let hello = if wrapped { init(&[NTLM], &first()) } else { first() };
            let Step::Reply { token, first: Some(_) } = take(&mut conversation, &hello) else { panic!() };
            let challenge = token.windows(8).position(|window| window == ntlm::SIGNATURE).unwrap();
            assert_eq!(challenge > 0, wrapped);
            if wrapped {
                assert_eq!(token[..1], [0xa1]);
                assert_eq!(Offer::read(&token).unwrap().token.unwrap(), &token[challenge..]);
            }
            let answer = if wrapped { response(INCOMPLETE, None, &last()) } else { last() };
            let Step::Done(attempt) = take(&mut conversation, &answer) else { panic!() };
            let line = format!("e:::{}:{}:{}", "01".repeat(8), "07".repeat(16), "07".repeat(24));
            let Some(Secret::Response { crackable, .. }) = attempt.login.secret else { panic!() };
            assert_eq!(crackable, Some(line));
            assert_eq!(attempt.reject == b"\xa1\x07\x30\x05\xa0\x03\x0a\x01\x02", wrapped);
            // The same once more answers no challenge.
            let Step::Done(again) = take(&mut conversation, &answer) else { panic!() };
            assert!(matches!(again.login.secret, Some(Secret::Response { crackable: None, .. })));
        }
    }

    #[test]
    fn a_client_that_guesses_otherwise_or_not_at_all_is_asked_for_ntlm() {
        for hello in [init(&[NEGOEX, NTLM], b"NEGOEXTS"), init(&[NTLM], b"")] {
            let mut conversation = Conversation::default();
            let Step::Reply { token, first: None } = take(&mut conversation, &hello) else { panic!() };
            assert_eq!(token, response(REQUEST_MIC, Some(NTLM), b""));
            let hello = response(INCOMPLETE, None, &first());
            assert!(matches!(take(&mut conversation, &hello), Step::Reply { first: Some(_), .. }));
        }
        let mut conversation = Conversation::default();
        assert!(matches!(take(&mut conversation, &init(&[NEGOEX], b"NEGOEXTS")), Step::Unknown));
        assert_eq!(conversation.reject(), response(REJECTED, None, b""));
        assert!(matches!(take(&mut Conversation::default(), b"what"), Step::Unknown));
    }

    /// An AP-REQ for HTTP/files01 of CORP.EXAMPLE, as GSS-API wraps it.
    fn ticket() -> Vec<u8> {
        let text = |text: &[u8]| ber::wrap(GENERAL_STRING, text);
        let name = [
            ber::wrap(field(0), &ber::wrap(ber::INTEGER, &[2])),
            ber::wrap(field(1), &ber::wrap_all(ber::SEQUENCE, &[text(b"HTTP"), text(b"files01")])),
        ];
        let secret = [
            ber::wrap(field(0), &ber::wrap(ber::INTEGER, &[18])),
            ber::wrap(field(2), &ber::wrap(ber::OCTETS, &[9; 300])),
        ];
        let ticket = [
            ber::wrap(field(0), &ber::wrap(ber::INTEGER, &[5])),
            ber::wrap(field(1), &text(b"CORP.EXAMPLE")),
            ber::wrap(field(2), &ber::wrap_all(ber::SEQUENCE, &name)),
            ber::wrap(field(3), &ber::wrap_all(ber::SEQUENCE, &secret)),
        ];
        let ticket = ber::wrap(TICKET, &ber::wrap_all(ber::SEQUENCE, &ticket));
        let request = [
            ber::wrap(field(0), &ber::wrap(ber::INTEGER, &[5])),
            ber::wrap(field(1), &ber::wrap(ber::INTEGER, &[14])),
            ber::wrap(field(3), &ticket),
        ];
        let request = ber::wrap(AP_REQ, &ber::wrap_all(ber::SEQUENCE, &request));
        ber::wrap_all(APPLICATION, &[ber::wrap(ber::OBJECT, KERBEROS), vec![1, 0], request])
    }

    #[test]
    fn a_ticket_is_known_by_its_names() {
        for token in [init(&[MS_KERBEROS, KERBEROS, NTLM], &ticket()), ticket(), ticket()[17..].to_vec()] {
            let Step::Done(attempt) = take(&mut Conversation::default(), &token) else { panic!() };
            assert_eq!(attempt.login.domain, Some("CORP.EXAMPLE".into()));
            assert_eq!((attempt.login.username, attempt.login.mechanism.as_ref()), (None, "kerberos"));
            let Proof::Kerberos(ticket) = attempt.proof else { panic!() };
            assert_eq!((ticket.service.as_slice(), ticket.encryption), (&b"HTTP/files01"[..], Some(18)));
        }
    }

    #[test]
    fn tokens_that_end_anywhere_or_nest_deeply_do_no_harm() {
        for token in [
            init(&[KERBEROS, NTLM], &ticket()),
            response(INCOMPLETE, None, &last()),
            offer(&Windows::new("a", "b")),
        ] {
            for length in 0..token.len() {
                let _ = take(&mut Conversation::default(), &token[..length]);
            }
        }
        let deep = (0..10_000)
            .fold(Vec::new(), |inner: Vec<u8>, _| ber::wrap(0xa0, inner.get(..60_000).unwrap_or(&inner)));
        assert!(matches!(take(&mut Conversation::default(), &deep), Step::Unknown));
    }

    #[test]
    fn a_server_offers_what_windows_does() {
        // A Windows server in no domain: 74 bytes, in a domain: 120.
        let alone = offer(&Windows::new("files01", ""));
        let start =
            [&[0x60, 0x48, 6, 6][..], SPNEGO, &[0xa0, 0x3e, 0x30, 0x3c, 0xa0, 0x0e, 0x30, 0x0c, 6, 10], NTLM];
        assert_eq!((alone.len(), &alone[..30]), (74, start.concat().as_slice()));
        let joined = offer(&Windows::new("files01", "corp.example.com"));
        assert_eq!((joined.len(), &joined[..2]), (120, &[0x60, 0x76][..]));
    }
}
