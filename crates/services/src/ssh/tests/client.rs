//! A client of our own, in memory, that speaks every algorithm of every release.

use std::time::{Duration, SystemTime};

use haldane_core::{Cx, Effects, Flow, Halt, Input, Sighting, session::AnySession};
use openssl::{
    bn::{BigNum, BigNumContext},
    dsa::Dsa,
    ec::{EcGroup, EcKey, EcPoint, PointConversionForm},
    ecdsa::EcdsaSig,
    hash::{MessageDigest, hash},
    nid::Nid,
    pkey::{Id, PKey},
    rsa::Rsa,
    sign::Verifier,
};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

use super::super::{
    LOGIN, cipher, kex, mac,
    packet::{Inbound, Opened, Outbound, Suite},
    wire::{Put, message, mpint, string},
};
use crate::replay::{Counting, build, peer};

pub(super) const NOW: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10";
pub(super) const OLD: &str = "SSH-2.0-OpenSSH_6.6.1p1";
pub(super) const ME: &[u8] = b"SSH-2.0-test";

/// What a client asks for.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) kex: &'a str,
    pub(super) host_key: &'a str,
    pub(super) cipher: &'a str,
    pub(super) mac: &'a str,
}

pub(super) const USUAL: Wish<'static> =
    Wish { kex: "curve25519-sha256", host_key: "ssh-ed25519", cipher: "aes128-ctr", mac: "hmac-sha2-256" };

pub(super) struct Client {
    pub(super) session: Box<dyn AnySession>,
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    pub(super) random: Counting,
    inbox: Vec<u8>,
    pub(super) received: Vec<u8>,
    pub(super) seen: Vec<Sighting>,
    pub(super) paused: Duration,
    pub(super) flow: Flow,
}

impl Client {
    /// Connected, with both first lines exchanged.
    pub(super) fn new(version: &str, settings: &[&str]) -> Self {
        let entry = haldane_core::Entry::stream::<super::super::Ssh>();
        let version = format!("version = \"{version}\"");
        let settings: Vec<&str> =
            [version.as_str(), "key_path = \"src/ssh/testkeys\""].iter().chain(settings).copied().collect();
        let session = build(&entry, &settings).unwrap().stream.unwrap().open(&peer());
        let mut client = Self {
            session,
            inbound: Inbound::new(),
            outbound: Outbound::new(),
            random: Counting::default(),
            inbox: Vec::new(),
            received: Vec::new(),
            seen: Vec::new(),
            paused: Duration::ZERO,
            flow: Flow::Continue,
        };
        client.act(|session, cx| {
            session.greet(cx);
            Flow::Continue
        });
        client.received.clear();
        client.say(&[ME, b"\r\n"].concat());
        client
    }

    pub(super) fn act(&mut self, act: impl FnOnce(&mut dyn AnySession, &mut Cx<'_>) -> Flow) {
        let (peer, mut effects) = (peer(), Effects::default());
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut self.random, &mut effects);
        self.flow = act(self.session.as_mut(), &mut cx);
        self.received.extend(effects.reply);
        self.seen.extend(effects.seen);
        self.paused += effects.pause;
    }

    /// Sends bytes as a bad network would: in small pieces.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(5) {
            self.inbox.extend_from_slice(piece);
            while !self.inbox.is_empty() && self.flow == Flow::Continue {
                let inbox = std::mem::take(&mut self.inbox);
                let mut input = Input::stream(&inbox);
                let mut step = Err(Halt::Need(0));
                self.act(|session, cx| {
                    step = session.step(&mut input, cx);
                    step.unwrap_or(Flow::Continue)
                });
                if let Err(halt) = step {
                    assert!(matches!(halt, Halt::Need(need) if need > inbox.len()), "{halt:?}");
                    self.inbox = inbox;
                    break;
                }
                self.inbox = inbox[input.consumed()..].to_vec();
            }
        }
    }

    pub(super) fn send(&mut self, payload: &[u8]) {
        let packet = self.outbound.seal(payload, |padding| padding.fill(7)).unwrap();
        self.say(&packet);
    }

    /// The next message of the server.
    pub(super) fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            if self.received.is_empty() {
                return None;
            }
            let mut input = Input::stream(&self.received);
            let piece = self.inbound.parse(&mut input).unwrap();
            self.received.drain(..input.consumed());
            match self.inbound.open(piece) {
                Opened::Nothing => {}
                Opened::Payload(payload) => return Some(payload),
                _ => panic!("a broken packet"),
            }
        }
    }

    pub(super) fn kexinit(wish: Wish<'_>, more: &str) -> Vec<u8> {
        let mut payload = vec![message::KEXINIT];
        payload.extend([9; 16]);
        payload.put_string(format!("{}{more}", wish.kex));
        payload.put_string(wish.host_key);
        for list in [wish.cipher, wish.cipher, wish.mac, wish.mac, "none", "none", "", ""] {
            payload.put_string(list);
        }
        payload.extend([0; 5]);
        payload
    }

    /// Up to the new keys, both ways; the server's extensions are thrown away.
    pub(super) fn handshake(&mut self, version: &str, wish: Wish<'_>, strict: bool) {
        let more = if strict { ",kex-strict-c-v00@openssh.com,ext-info-c" } else { "" };
        let ours = Self::kexinit(wish, more);
        let theirs = self.message().unwrap();
        self.send(&ours);
        let method = kex::method(wish.kex).unwrap();
        let mut hashed = Vec::new();
        for part in [ME, version.as_bytes(), &ours, &theirs] {
            hashed.put_string(part);
        }
        let (mut public, mut group) = (message::KEXDH_INIT, None);
        if method.asks_for_group() {
            public = message::GEX_INIT;
            let sizes = [0, 0, 8, 0, 0, 0, 12, 0, 0, 0, 32, 0];
            self.send(&[&[message::GEX_REQUEST][..], &sizes].concat());
            let reply = self.message().unwrap();
            group = Some(reply[1..].to_vec());
            hashed_later(&mut group, &sizes);
        }
        let prime = group.as_ref().map(|group| mpint(&mut Input::whole(&group[12..])).unwrap().to_vec());
        let (value, finish) = half(wish.kex, prime);
        self.send(&[&[public][..], &value].concat());
        let reply = self.message().unwrap();
        let mut input = Input::whole(&reply[1..]);
        let key = string(&mut input).unwrap();
        let start = input.rest();
        let their_value = string(&mut input).unwrap();
        let their_written = &start[..their_value.len() + 4];
        let signature = string(&mut input).unwrap();
        let secret = finish(their_value);
        hashed.put_string(key);
        hashed.extend(group.unwrap_or_default());
        hashed.extend(&value);
        hashed.extend(their_written);
        hashed.extend(&secret);
        let Ok(exchange) = method.hash(&hashed) else { panic!() };
        verify(key, wish.host_key, signature, &exchange);
        let cipher = cipher::algorithm(wish.cipher).unwrap();
        let mac = if cipher.authenticates() { None } else { mac::algorithm(wish.mac) };
        let suite = Suite { cipher, mac };
        let keys = |letters| method.keys(&secret, &exchange, letters, &suite).unwrap_or_else(|_| panic!());
        assert_eq!(self.message().unwrap(), [message::NEWKEYS]);
        self.inbound.protect(&suite, &keys(*b"BDF"), strict).unwrap();
        self.send(&[message::NEWKEYS]);
        self.outbound.protect(&suite, &keys(*b"ACE"), strict).unwrap();
        while self.message().is_some() {}
    }

    /// Logged in as far as a service request.
    pub(super) fn ready(settings: &[&str]) -> Self {
        let mut client = Self::new(NOW, settings);
        client.handshake(NOW, USUAL, false);
        client.ask_for_service();
        client
    }

    pub(super) fn ask_for_service(&mut self) {
        let mut payload = vec![message::SERVICE_REQUEST];
        payload.put_string("ssh-userauth");
        self.send(&payload);
        let mut accepted = vec![message::SERVICE_ACCEPT];
        accepted.put_string("ssh-userauth");
        assert_eq!(self.message().unwrap(), accepted);
    }

    /// One request; the server's answers to it.
    pub(super) fn request(&mut self, user: &str, method: &str, more: &[u8]) -> Vec<Vec<u8>> {
        let mut payload = vec![message::USERAUTH_REQUEST];
        for part in [user, "ssh-connection", method] {
            payload.put_string(part);
        }
        payload.extend(more);
        self.send(&payload);
        std::iter::from_fn(|| self.message()).collect()
    }

    pub(super) fn password(&mut self, user: &str, password: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        let mut more = vec![0];
        more.put_string(password);
        self.request(user, "password", &more)
    }

    /// Passwords that were recorded.
    pub(super) fn passwords(&self) -> Vec<Vec<u8>> {
        let logins = self.seen.iter().filter(|seen| seen.kind == &LOGIN);
        logins.map(|seen| seen.login.as_ref().unwrap().clear().unwrap().raw().to_vec()).collect()
    }

    pub(super) fn reports(&self, kind: &'static haldane_core::Kind) -> usize {
        self.seen.iter().filter(|seen| seen.kind == kind).count()
    }
}

/// Sizes asked for stand before the group in what is hashed.
pub(super) fn hashed_later(group: &mut Option<Vec<u8>>, sizes: &[u8]) {
    if let Some(group) = group {
        group.splice(0..0, sizes.iter().copied());
    }
}

pub(super) fn refusal(methods: &str) -> Vec<u8> {
    let mut payload = vec![message::USERAUTH_FAILURE];
    payload.put_string(methods);
    payload.push(0);
    payload
}

pub(super) fn goodbye(words: &str) -> Vec<u8> {
    let mut payload = vec![message::DISCONNECT, 0, 0, 0, 2];
    payload.put_string(words);
    payload.put_string("");
    payload
}

/// Makes the secret as it is hashed of the server's public value.
pub(super) type Finish = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// The client's public value, as it is sent, and what to do with the server's.
pub(super) fn half(kex: &str, prime: Option<Vec<u8>>) -> (Vec<u8>, Finish) {
    let secret = [42; 32];
    let curve = x25519(secret, X25519_BASEPOINT_BYTES);
    let (mut value, as_mpint) = (Vec::new(), |bytes: &[u8]| {
        let mut encoded = Vec::new();
        encoded.put_mpint(bytes);
        encoded
    });
    let finish: Finish = match kex {
        _ if kex.starts_with("curve25519") => {
            value.put_string(curve);
            Box::new(move |theirs| as_mpint(&x25519(secret, theirs.try_into().unwrap())))
        }
        _ if kex.starts_with("sntrup761") => {
            let (public, private) = sntrup761::generate_key_from_seed([3; 32]);
            value.put_string([public.as_ref(), &curve].concat());
            Box::new(move |theirs| {
                let (ciphertext, point) = theirs.split_at(sntrup761::CIPHERTEXT_SIZE);
                let first = private.decapsulate(&ciphertext.try_into().unwrap());
                let both = [first.as_ref(), &x25519(secret, point.try_into().unwrap())].concat();
                let mut encoded = Vec::new();
                encoded.put_string(hash(MessageDigest::sha512(), &both).unwrap());
                encoded
            })
        }
        "mlkem768x25519-sha256" => {
            use ml_kem::kem::{Decapsulate, KeyExport};
            let private = ml_kem::ml_kem_768::DecapsulationKey::from_seed([5; 64].into());
            let public = private.encapsulation_key().to_bytes();
            value.put_string([&public[..], &curve].concat());
            Box::new(move |theirs| {
                let (ciphertext, point) = theirs.split_at(1088);
                let first = private.decapsulate(&ciphertext.try_into().unwrap());
                let both = [&first[..], &x25519(secret, point.try_into().unwrap())].concat();
                let mut encoded = Vec::new();
                encoded.put_string(hash(MessageDigest::sha256(), &both).unwrap());
                encoded
            })
        }
        _ if kex.starts_with("ecdh-") => {
            let nid = match kex {
                "ecdh-sha2-nistp256" => Nid::X9_62_PRIME256V1,
                "ecdh-sha2-nistp384" => Nid::SECP384R1,
                _ => Nid::SECP521R1,
            };
            let group = EcGroup::from_curve_name(nid).unwrap();
            let key = EcKey::generate(&group).unwrap();
            let mut scratch = BigNumContext::new().unwrap();
            let form = PointConversionForm::UNCOMPRESSED;
            value.put_string(key.public_key().to_bytes(&group, form, &mut scratch).unwrap());
            Box::new(move |theirs| {
                let mut scratch = BigNumContext::new().unwrap();
                let theirs = EcPoint::from_bytes(&group, theirs, &mut scratch).unwrap();
                let mut shared = EcPoint::new(&group).unwrap();
                shared.mul2(&group, &theirs, key.private_key(), &mut scratch).unwrap();
                let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
                shared.affine_coordinates(&group, &mut x, &mut y, &mut scratch).unwrap();
                as_mpint(&x.to_vec())
            })
        }
        _ => {
            let prime = prime.map(|prime| BigNum::from_slice(&prime)).unwrap_or_else(|| match kex {
                "diffie-hellman-group1-sha1" => BigNum::get_rfc2409_prime_1024(),
                "diffie-hellman-group16-sha512" => BigNum::get_rfc3526_prime_4096(),
                "diffie-hellman-group18-sha512" => BigNum::get_rfc3526_prime_8192(),
                _ => BigNum::get_rfc3526_prime_2048(),
            });
            let (prime, private) = (prime.unwrap(), BigNum::from_slice(&secret).unwrap());
            let power = move |base: &BigNum| {
                let mut result = BigNum::new().unwrap();
                result.mod_exp(base, &private, &prime, &mut BigNumContext::new().unwrap()).unwrap();
                result.to_vec()
            };
            value.put_mpint(&power(&BigNum::from_u32(2).unwrap()));
            Box::new(move |theirs| as_mpint(&power(&BigNum::from_slice(theirs).unwrap())))
        }
    };
    (value, finish)
}

/// Checks a signature with nothing but what the server sent.
pub(super) fn verify(key: &[u8], name: &str, signature: &[u8], data: &[u8]) {
    let mut signature = Input::whole(signature);
    assert_eq!(string(&mut signature).unwrap(), name.as_bytes());
    let signature = string(&mut signature).unwrap();
    let mut input = Input::whole(key);
    let kind = string(&mut input).unwrap();
    let mut number = || BigNum::from_slice(mpint(&mut input).unwrap()).unwrap();
    let (key, digest, signature) = match kind {
        b"ssh-rsa" => {
            let (e, n) = (number(), number());
            let digest = match name {
                "rsa-sha2-512" => MessageDigest::sha512(),
                "rsa-sha2-256" => MessageDigest::sha256(),
                _ => MessageDigest::sha1(),
            };
            let key = PKey::from_rsa(Rsa::from_public_components(n, e).unwrap()).unwrap();
            (key, Some(digest), signature.to_vec())
        }
        b"ssh-dss" => {
            let (p, q, g, y) = (number(), number(), number(), number());
            let key = PKey::from_dsa(Dsa::from_public_components(p, q, g, y).unwrap()).unwrap();
            let [r, s] = [&signature[..20], &signature[20..]].map(|half| BigNum::from_slice(half).unwrap());
            let der = EcdsaSig::from_private_components(r, s).unwrap().to_der().unwrap();
            (key, Some(MessageDigest::sha1()), der)
        }
        b"ecdsa-sha2-nistp256" => {
            assert_eq!(string(&mut input).unwrap(), b"nistp256");
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            let mut scratch = BigNumContext::new().unwrap();
            let point = EcPoint::from_bytes(&group, string(&mut input).unwrap(), &mut scratch).unwrap();
            let mut pair = Input::whole(signature);
            let mut half = || BigNum::from_slice(mpint(&mut pair).unwrap()).unwrap();
            let der = EcdsaSig::from_private_components(half(), half()).unwrap().to_der().unwrap();
            let key = PKey::from_ec_key(EcKey::from_public_key(&group, &point).unwrap()).unwrap();
            (key, Some(MessageDigest::sha256()), der)
        }
        _ => {
            let key = PKey::public_key_from_raw_bytes(string(&mut input).unwrap(), Id::ED25519).unwrap();
            (key, None, signature.to_vec())
        }
    };
    let mut verifier = match digest {
        Some(digest) => Verifier::new(digest, &key).unwrap(),
        None => Verifier::new_without_digest(&key).unwrap(),
    };
    assert!(verifier.verify_oneshot(&signature, data).unwrap(), "{name}");
}
