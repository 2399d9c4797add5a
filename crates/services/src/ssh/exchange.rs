//! From the two KEXINITs to the new keys (RFC 4253, sections 7 and 8).

use haldane_core::{Cx, Halt, Input, Sighting, Value};
use openssl::hash::{MessageDigest, hash};

use super::{
    KEXINIT, Server, cipher,
    kex::{self, Chosen, Failed, Method},
    mac,
    packet::{Keys, Suite},
    release::{STRICT_CLIENT, STRICT_SERVER},
    wire::{Put, end, is_text, message, names, string},
};

/// Our KEXINIT.
pub(super) fn proposal(server: &Server, cookie: &[u8; 16]) -> Vec<u8> {
    let release = &server.release;
    let mut payload = vec![message::KEXINIT];
    payload.extend_from_slice(cookie);
    payload.put_string(release.kex());
    payload.put_string(host_key_names(server));
    for list in [release.ciphers(), release.macs(), release.compression()] {
        payload.put_string(list);
        payload.put_string(list);
    }
    // No languages, no guess, nothing reserved.
    payload.extend_from_slice(&[0; 4 + 4 + 1 + 4]);
    payload
}

fn host_key_names(server: &Server) -> String {
    let names: Vec<&str> = server.keys.iter().map(|key| key.names()).collect();
    names.join(",")
}

/// What a list of names cannot have.
const NUL: Halt = Halt::Malformed("a NUL in a list of names");

/// The client's KEXINIT.
pub(super) struct Offer<'a> {
    kex: &'a [u8],
    host_key: &'a [u8],
    /// To us and from us.
    ciphers: [&'a [u8]; 2],
    macs: [&'a [u8]; 2],
    compression: [&'a [u8]; 2],
    languages: [&'a [u8]; 2],
    /// A message follows that assumes that we agree on the first of everything.
    follows: bool,
}

impl<'a> Offer<'a> {
    /// Reads it, after the type of the message.
    pub(super) fn parse(input: &mut Input<'a>) -> Result<Self, Halt> {
        input.take(16)?;
        let mut list = || string(input).and_then(|list| is_text(list).then_some(list).ok_or(NUL));
        let mut pair = || -> Result<[&'a [u8]; 2], Halt> { Ok([list()?, list()?]) };
        let [kex, host_key] = pair()?;
        let (ciphers, macs, compression, languages) = (pair()?, pair()?, pair()?, pair()?);
        let follows = input.u8()? != 0;
        input.u32()?;
        end(input)?;
        Ok(Self { kex, host_key, ciphers, macs, compression, languages, follows })
    }

    /// What is known about SSH clients as their HASSH: MD5 of four lists.
    pub(super) fn hassh(&self) -> String {
        let [cipher, mac, compression] = [self.ciphers, self.macs, self.compression].map(|[to_us, _]| to_us);
        let text = [self.kex, cipher, mac, compression].join(&b';');
        let sum = hash(MessageDigest::md5(), &text).map(|sum| sum.to_vec()).unwrap_or_default();
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// All that it revealed.
    pub(super) fn sighting(&self) -> Sighting {
        let mut seen = Sighting::of(&KEXINIT)
            .with("hassh", self.hassh())
            .with("kex", self.kex)
            .with("host_key", self.host_key)
            .with("first_kex_follows", self.follows);
        let pairs = [
            ("ciphers", "ciphers_from_server", self.ciphers),
            ("macs", "macs_from_server", self.macs),
            ("compression", "compression_from_server", self.compression),
            ("languages", "languages_from_server", self.languages),
        ];
        for (name, other, [to_us, from_us]) in pairs {
            if name != "languages" || !to_us.is_empty() {
                seen = seen.with(name, Value::from(to_us));
            }
            if from_us != to_us {
                seen = seen.with(other, Value::from(from_us));
            }
        }
        seen
    }

    fn announces(&self, extension: &[u8]) -> bool {
        names(self.kex).any(|name| name == extension)
    }
}

/// What client and server agreed on, until the new keys are in use.
pub(super) struct Exchange {
    method: Method,
    /// Which of our keys signs, and under which name.
    host_key: usize,
    signature: &'static str,
    to_us: Suite,
    from_us: Suite,
    client_payload: Vec<u8>,
    /// Whether unexpected messages end it (PROTOCOL of OpenSSH, section 1.10).
    pub(super) strict: bool,
    /// Whether the client reads EXT_INFO (RFC 8308).
    pub(super) extensions: bool,
    /// Whether the next message was a wrong guess.
    pub(super) skip: bool,
    pub(super) awaits: Awaits,
}

/// What the client has to send next.
pub(super) enum Awaits {
    /// Its public value, or the sizes of a group.
    Init,
    /// Its public value in the group that was chosen.
    GroupInit(Box<Chosen>),
    /// NEWKEYS.
    NewKeys(Box<Keys>),
}

/// Our answer to the client's public value.
pub(super) struct Reply {
    pub(super) payload: Vec<u8>,
    pub(super) from_us: (Suite, Keys),
    to_us: Keys,
}

impl Exchange {
    /// The first of the client's wishes that we know, of everything; `None` if there is none for something.
    pub(super) fn agree(server: &Server, offer: &Offer<'_>, payload: &[u8]) -> Option<Self> {
        let release = &server.release;
        let kex = release.kex();
        let methods = || kex.split(',').filter(|name| kex::method(name).is_some());
        let method = names(offer.kex).find_map(|name| methods().find(|known| known.as_bytes() == name))?;
        let (host_key, signature) = names(offer.host_key).find_map(|name| {
            let keys = server.keys.iter().enumerate();
            let mut all = keys.flat_map(|(at, key)| key.names().split(',').map(move |name| (at, name)));
            all.find(|(_, known)| known.as_bytes() == name)
        })?;
        let [to_us, from_us] = [0, 1].map(|way| {
            let wish = |lists: &[&[u8]; 2], ours| first(lists.get(way).copied().unwrap_or_default(), ours);
            let cipher = cipher::algorithm(wish(&offer.ciphers, release.ciphers())?)?;
            let mac = match cipher.authenticates() {
                true => None,
                false => Some(mac::algorithm(wish(&offer.macs, release.macs())?)?),
            };
            wish(&offer.compression, release.compression())?;
            Some(Suite { cipher, mac })
        });
        let guessed = names(offer.kex).next() == kex.split(',').next().map(str::as_bytes)
            && names(offer.host_key).next() == host_key_names(server).split(',').next().map(str::as_bytes);
        Some(Self {
            method: kex::method(method)?,
            host_key,
            signature,
            to_us: to_us?,
            from_us: from_us?,
            client_payload: payload.to_vec(),
            strict: kex.ends_with(STRICT_SERVER) && offer.announces(STRICT_CLIENT),
            extensions: offer.announces(b"ext-info-c"),
            skip: offer.follows && !guessed,
            awaits: Awaits::Init,
        })
    }

    /// Whether a group has to be asked for first.
    pub(super) fn asks_for_group(&self) -> bool {
        self.method.asks_for_group()
    }

    /// How the client protects what it sends from NEWKEYS on.
    pub(super) fn to_us(&self) -> &Suite {
        &self.to_us
    }

    /// Chooses a group; returns the message that says which.
    pub(super) fn group(&mut self, input: &mut Input<'_>, server: &Server) -> Result<Vec<u8>, Failed> {
        let chosen = Chosen::new(input, &server.release)?;
        let mut payload = vec![message::KEXDH_REPLY];
        payload.extend(chosen.group());
        self.awaits = Awaits::GroupInit(Box::new(chosen));
        Ok(payload)
    }

    /// Answers the client's public value: signs, and makes the keys.
    pub(super) fn reply(
        &mut self,
        input: &mut Input<'_>,
        server: &Server,
        [client, cookie]: [&[u8]; 2],
        cx: &mut Cx<'_>,
    ) -> Result<Reply, Failed> {
        let chosen = match &self.awaits {
            Awaits::GroupInit(chosen) => Some(chosen.as_ref()),
            _ => None,
        };
        let half = self.method.answer(input, chosen, cx)?;
        let key = server.keys.get(self.host_key).ok_or(Failed)?;
        let mut hashed = Vec::new();
        hashed.put_string(client);
        hashed.put_string(&server.version);
        hashed.put_string(&self.client_payload);
        hashed.put_string(proposal(server, cookie.try_into().map_err(|_| Failed)?));
        hashed.put_string(&key.public);
        hashed.extend(chosen.map(Chosen::hashed).unwrap_or_default());
        hashed.extend_from_slice(&half.client);
        hashed.extend_from_slice(&half.ours);
        hashed.extend_from_slice(&half.secret);
        let exchange = self.method.hash(&hashed)?;
        let kind = if chosen.is_some() { message::GEX_REPLY } else { message::KEXDH_REPLY };
        let mut payload = vec![kind];
        payload.put_string(&key.public);
        payload.extend_from_slice(&half.ours);
        payload.put_string(key.sign(self.signature, &exchange)?);
        let from_us = self.method.keys(&half.secret, &exchange, *b"BDF", &self.from_us)?;
        let to_us = self.method.keys(&half.secret, &exchange, *b"ACE", &self.to_us)?;
        Ok(Reply { payload, from_us: (self.from_us, from_us), to_us })
    }
}

impl Reply {
    /// What the client sends next is NEWKEYS, then these.
    pub(super) fn awaits(self) -> Awaits {
        Awaits::NewKeys(Box::new(self.to_us))
    }
}

/// The first of the client's names that is among ours.
fn first(wishes: &[u8], ours: &'static str) -> Option<&'static str> {
    names(wishes).find_map(|name| ours.split(',').find(|known| known.as_bytes() == name))
}
