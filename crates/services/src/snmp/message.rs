//! Messages of all three versions, read and written: RFC 1157 (v1), RFC 1901 and 3416 (v2c), RFC 3412 and 3414 (v3).
//!
//! What Net-SNMP lets pass is let pass: numbers of up to 8 bytes, of which 32 bits count; anything after an element
//! that was to be the last. What breaks after it is known who asks is kept as a [`Flaw`], so that the
//! community or user is not lost.

use haldane_core::{Halt, Input};
use haldane_wire::ber::{self, INTEGER, NULL, OBJECT, OCTETS, Oid, SEQUENCE};

/// Kinds of PDU, by their tags (RFC 3416, section 3; [`TRAP`] is of RFC 1157, section 4.1.6).
pub const GET: u8 = 0xa0;
/// See [`GET`].
pub const NEXT: u8 = 0xa1;
/// See [`GET`].
pub const RESPONSE: u8 = 0xa2;
/// See [`GET`].
pub const SET: u8 = 0xa3;
/// See [`GET`].
pub const TRAP: u8 = 0xa4;
/// See [`GET`].
pub const BULK: u8 = 0xa5;
/// See [`GET`].
pub const INFORM: u8 = 0xa6;
/// See [`GET`].
pub const TRAP2: u8 = 0xa7;
/// See [`GET`].
pub const REPORT: u8 = 0xa8;

/// Types of SNMP's own (RFC 2578, section 7.1), and the exceptions of RFC 3416, section 3.
pub const ADDRESS: u8 = 0x40;
/// See [`ADDRESS`].
pub const COUNTER: u8 = 0x41;
/// See [`ADDRESS`].
pub const GAUGE: u8 = 0x42;
/// See [`ADDRESS`].
pub const TICKS: u8 = 0x43;
/// See [`ADDRESS`].
pub const COUNTER64: u8 = 0x46;
/// See [`ADDRESS`].
pub const NO_OBJECT: u8 = 0x80;
/// See [`ADDRESS`].
pub const NO_INSTANCE: u8 = 0x81;
/// See [`ADDRESS`].
pub const END_OF_MIB: u8 = 0x82;

/// Other types that agents take: bit strings, Opaque, network addresses, unsigned numbers (RFC 1442).
const BITS: u8 = 0x03;
const OPAQUE: u8 = 0x44;
const NSAP: u8 = 0x45;
const UNSIGNED: u8 = 0x47;

/// The numbers of the versions on the wire.
pub const V1: i64 = 0;
/// See [`V1`].
pub const V2C: i64 = 1;
/// See [`V1`].
pub const V3: i64 = 3;

/// What a datagram holds.
#[derive(Debug)]
pub enum Message {
    /// v1, v2c, or a version of that form that nobody speaks.
    Community(Community),
    /// v3.
    Secured(Secured),
}

/// A message that shows a community string.
#[derive(Debug)]
pub struct Community {
    /// As on the wire.
    pub version: i64,
    /// What is to prove the right to ask.
    pub community: Vec<u8>,
    /// What is asked, or what is wrong with it.
    pub pdu: Result<Pdu, Flaw>,
}

/// A PDU that breaks off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// In what way.
    pub why: &'static str,
    /// Its kind, 0 if that cannot be told.
    pub tag: u8,
    /// `request-id`, 0 if it did not come so far.
    pub id: i64,
}

/// A message of version 3 with the parameters of the user-based security model.
#[derive(Debug)]
pub struct Secured {
    /// `msgID`.
    pub id: i64,
    /// `msgMaxSize`.
    pub most: i64,
    /// `msgFlags`.
    pub flags: u8,
    /// `msgSecurityModel`: 3 is the user-based one.
    pub model: i64,
    /// Whose clock and keys.
    pub engine: Vec<u8>,
    /// How often that engine has started.
    pub boots: i64,
    /// Seconds since it did.
    pub time: i64,
    /// Who asks.
    pub user: Vec<u8>,
    /// `msgAuthenticationParameters`.
    pub digest: Vec<u8>,
    /// Where the digest stands in the message.
    pub digest_at: usize,
    /// `msgPrivacyParameters`, if there is something of that form.
    pub salt: Option<Vec<u8>>,
    /// What is asked.
    pub scoped: Scoped,
    /// Bytes of the whole message.
    pub length: usize,
}

/// What version 3 asks for.
#[derive(Debug)]
pub enum Scoped {
    /// In the clear.
    Plain {
        /// `contextEngineID`.
        engine: Vec<u8>,
        /// `contextName`.
        name: Vec<u8>,
        /// What is asked, or what is wrong with it.
        pdu: Result<Pdu, Flaw>,
    },
    /// Encrypted.
    Sealed,
    /// Neither.
    Broken,
}

/// Longest id of an engine (RFC 3411, section 5).
pub const LONGEST_ENGINE: usize = 32;

/// Bits of `msgFlags` (RFC 3412, section 6.4).
pub const AUTH: u8 = 1;
/// See [`AUTH`].
pub const PRIV: u8 = 2;
/// See [`AUTH`].
pub const REPORTABLE: u8 = 4;

/// What is asked or answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Its kind.
    pub tag: u8,
    /// `request-id`.
    pub id: i64,
    /// The id was longer than it had to be: some tools write it so.
    pub padded: bool,
    /// `error-status`, or `non-repeaters` of a GETBULK.
    pub status: i64,
    /// `error-index`, or `max-repetitions` of a GETBULK.
    pub index: i64,
    /// The variables. A trap of v1 has its enterprise as the first.
    pub bindings: Vec<Binding>,
}

/// A variable and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its name.
    pub name: Oid,
    /// Its value.
    pub value: Value,
}

/// A value: its type and content as on the wire, numbers and identifiers in their shortest form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its type.
    pub tag: u8,
    /// Its content.
    pub content: Vec<u8>,
}

impl Value {
    /// No value.
    pub const NULL: Self = Self::empty(NULL);

    /// One without content.
    pub const fn empty(tag: u8) -> Self {
        Self { tag, content: Vec::new() }
    }

    /// A string of bytes.
    pub fn octets(bytes: impl Into<Vec<u8>>) -> Self {
        Self { tag: OCTETS, content: bytes.into() }
    }

    /// A number of that type.
    pub fn number(tag: u8, number: impl Into<i64>) -> Self {
        Self { tag, content: ber::shortest(number.into()) }
    }

    /// An object identifier.
    pub fn oid(oid: &Oid) -> Self {
        Self { tag: OBJECT, content: oid.encode() }
    }

    /// Whether it tells that there is no value (RFC 3416, section 3).
    pub fn is_exception(&self) -> bool {
        matches!(self.tag, NO_OBJECT | NO_INSTANCE | END_OF_MIB)
    }

    fn read(tag: u8, content: &[u8]) -> Result<Self, Halt> {
        match tag {
            INTEGER | COUNTER | GAUGE | TICKS | COUNTER64 | UNSIGNED => {
                // A Counter64 may have a ninth byte, for its sign.
                let content = content.strip_prefix(&[0]).filter(|rest| rest.len() == 8).unwrap_or(content);
                Ok(Self { tag, content: ber::shortest(ber::number(content)?) })
            }
            OBJECT => Oid::decode(content).map(|oid| Self::oid(&oid)),
            BITS if content.is_empty() => Err(Halt::Malformed("bit string without bits")),
            OCTETS | BITS | ADDRESS | OPAQUE | NSAP => Ok(Self { tag, content: content.to_vec() }),
            NULL | NO_OBJECT | NO_INSTANCE | END_OF_MIB => Ok(Self::empty(tag)),
            _ => Err(Halt::Malformed("value of an unknown type")),
        }
    }
}

/// Reads the message at the start of a datagram.
///
/// # Errors
/// What breaks before it is known who asks.
pub fn read(datagram: &mut Input<'_>) -> Result<Message, Halt> {
    let mut message = ber::enter(datagram, SEQUENCE)?;
    let length = datagram.consumed();
    datagram.take_rest();
    let version = clipped(ber::integer(&mut message)?);
    if version == V3 {
        let body = length.saturating_sub(message.rest().len());
        return secured(&mut message, body, length).map(Message::Secured);
    }
    let community = ber::expect(&mut message, OCTETS)?.to_vec();
    Ok(Message::Community(Community { version, community, pdu: pdu(&mut message) }))
}

/// `at`: where the rest of the message begins.
fn secured(message: &mut Input<'_>, at: usize, length: usize) -> Result<Secured, Halt> {
    let whole = message.rest().len();
    let mut header = ber::enter(message, SEQUENCE)?;
    let (id, most) = (ber::integer(&mut header)?, ber::integer(&mut header)?);
    let [flags] = ber::expect(&mut header, OCTETS)? else { return Err(Halt::Malformed("SNMP flags")) };
    let model = clipped(ber::integer(&mut header)?);
    let mut parameters = ber::enter(message, OCTETS)?;
    // Where the parameters begin: they end where the message goes on.
    let end = at.saturating_add(whole.saturating_sub(message.rest().len()));
    let mut usm = ber::enter(&mut parameters, SEQUENCE)?;
    let end = end.saturating_sub(parameters.rest().len());
    let engine = ber::expect(&mut usm, OCTETS)?.to_vec();
    let (boots, time) = (ber::integer(&mut usm)?, ber::integer(&mut usm)?);
    let user = ber::expect(&mut usm, OCTETS)?.to_vec();
    let digest = ber::expect(&mut usm, OCTETS)?.to_vec();
    let digest_at = end.saturating_sub(usm.rest().len()).saturating_sub(digest.len());
    let salt = ber::expect(&mut usm, OCTETS).ok().map(<[u8]>::to_vec);
    let scoped = scoped(message);
    let flags = *flags;
    Ok(Secured { id, most, flags, model, engine, boots, time, user, digest, digest_at, salt, scoped, length })
}

fn scoped(message: &mut Input<'_>) -> Scoped {
    let plain = |content| {
        let mut scoped = Input::whole(content);
        let engine = ber::expect(&mut scoped, OCTETS)?.to_vec();
        if engine.len() > LONGEST_ENGINE {
            return Err(Halt::Malformed("SNMP engine with too long an id"));
        }
        let name = ber::expect(&mut scoped, OCTETS)?.to_vec();
        Ok::<_, Halt>(Scoped::Plain { engine, name, pdu: pdu(&mut scoped) })
    };
    match ber::element(message) {
        Ok((SEQUENCE, content)) => plain(content).unwrap_or(Scoped::Broken),
        Ok((OCTETS, _)) => Scoped::Sealed,
        _ => Scoped::Broken,
    }
}

fn pdu(input: &mut Input<'_>) -> Result<Pdu, Flaw> {
    let mut flaw = Flaw { why: "", tag: 0, id: 0 };
    let read = |input: &mut Input<'_>, flaw: &mut Flaw| {
        let (tag, content) = ber::element(input)?;
        flaw.tag = tag;
        let mut fields = Input::whole(content);
        match tag {
            TRAP => trap(&mut fields),
            GET..=REPORT => common(&mut fields, flaw),
            _ => Err(Halt::Malformed("unknown PDU")),
        }
    };
    read(input, &mut flaw).map_err(|halt| match halt {
        Halt::Malformed(why) => Flaw { why, ..flaw },
        Halt::Need(_) => Flaw { why: "truncated", ..flaw },
    })
}

fn common(fields: &mut Input<'_>, flaw: &mut Flaw) -> Result<Pdu, Halt> {
    let written = ber::expect(fields, INTEGER)?;
    let number = ber::number(written)?;
    let padded = ber::shortest(number) != written;
    flaw.id = clipped(number);
    let (status, index) = (clipped(ber::integer(fields)?), clipped(ber::integer(fields)?));
    Ok(Pdu { tag: flaw.tag, id: flaw.id, padded, status, index, bindings: bindings(fields)? })
}

/// Its own form: enterprise, address, generic and specific number, time, variables.
fn trap(fields: &mut Input<'_>) -> Result<Pdu, Halt> {
    let name = Oid::decode(ber::expect(fields, OBJECT)?)?;
    let (tag, content) = ber::element(fields)?;
    let value = Value::read(tag, content)?;
    let (generic, specific) = (clipped(ber::integer(fields)?), clipped(ber::integer(fields)?));
    ber::expect(fields, TICKS)?;
    let mut all = vec![Binding { name, value }];
    all.extend(bindings(fields)?);
    Ok(Pdu { tag: TRAP, id: 0, padded: false, status: generic, index: specific, bindings: all })
}

fn bindings(fields: &mut Input<'_>) -> Result<Vec<Binding>, Halt> {
    let mut list = ber::enter(fields, SEQUENCE)?;
    let mut bindings = Vec::new();
    while !list.is_empty() {
        let mut binding = ber::enter(&mut list, SEQUENCE)?;
        let name = Oid::decode(ber::expect(&mut binding, OBJECT)?)?;
        let (tag, content) = ber::element(&mut binding)?;
        if !binding.is_empty() {
            return Err(Halt::Malformed("something after a value"));
        }
        bindings.push(Binding { name, value: Value::read(tag, content)? });
    }
    Ok(bindings)
}

/// What Net-SNMP makes of a number that does not fit 32 bits.
fn clipped(number: i64) -> i64 {
    let low = number & i64::from(u32::MAX);
    match number {
        _ if number > i64::from(i32::MAX) => low,
        _ if number < i64::from(i32::MIN) => low.saturating_neg(),
        _ => number,
    }
}

impl Pdu {
    /// The answer to this one, with that status.
    pub fn answer(&self, status: i64, index: i64, bindings: Vec<Binding>) -> Self {
        Self { tag: RESPONSE, id: self.id, padded: false, status, index, bindings }
    }

    fn encode(&self) -> Vec<u8> {
        let number = |number| ber::wrap(INTEGER, &ber::shortest(number));
        let bindings: Vec<_> = self.bindings.iter().map(Binding::encode).collect();
        let list = ber::wrap_all(SEQUENCE, &bindings);
        ber::wrap_all(self.tag, &[number(self.id), number(self.status), number(self.index), list])
    }
}

impl Binding {
    /// As on the wire.
    pub fn encode(&self) -> Vec<u8> {
        let name = ber::wrap(OBJECT, &self.name.encode());
        ber::wrap_all(SEQUENCE, &[name, ber::wrap(self.value.tag, &self.value.content)])
    }
}

/// Writes a message of v1 or v2c.
pub fn with_community(version: i64, community: &[u8], pdu: &Pdu) -> Vec<u8> {
    let version = ber::wrap(INTEGER, &ber::shortest(version));
    ber::wrap_all(SEQUENCE, &[version, ber::wrap(OCTETS, community), pdu.encode()])
}

/// The sender of a message of v3: whose engine, how often started, seconds since.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Its id.
    pub engine: &'a [u8],
    /// How often it has started.
    pub boots: i64,
    /// Seconds since it did.
    pub time: i64,
}

/// What Net-SNMP can receive.
const MOST: i64 = 65_507;

/// Writes a message of v3 without authentication, to `user`. `context`: engine and name.
pub fn unsecured(id: i64, sender: Sender<'_>, user: &[u8], context: (&[u8], &[u8]), pdu: &Pdu) -> Vec<u8> {
    let number = |number| ber::wrap(INTEGER, &ber::shortest(number));
    let octets = |bytes: &[u8]| ber::wrap(OCTETS, bytes);
    let header = ber::wrap_all(SEQUENCE, &[number(id), number(MOST), octets(&[0]), number(3)]);
    let usm = [
        octets(sender.engine),
        number(sender.boots),
        number(sender.time),
        octets(user),
        octets(&[]),
        octets(&[]),
    ];
    let usm = octets(&ber::wrap_all(SEQUENCE, &usm));
    let scoped = ber::wrap_all(SEQUENCE, &[octets(context.0), octets(context.1), pdu.encode()]);
    ber::wrap_all(SEQUENCE, &[number(V3), header, usm, scoped])
}
