//! What a client says (RFC 4511, section 4): one element of BER for each message.
//!
//! A message is whole once its outer length says so. What is inside and cannot be read is a message all the same,
//! since a domain controller answers it before it hangs up.

use haldane_core::{Halt, Input};
use haldane_wire::ber;

use super::filter::Filter;

/// Most values, controls and changes that are kept of one message.
const MOST: usize = 256;
/// BOOLEAN and ENUMERATED (X.680, section 8.6), SET OF.
const BOOLEAN: u8 = 0x01;
const ENUMERATED: u8 = 0x0a;
const SET: u8 = 0x31;

/// Tags of requests (RFC 4511, section 4.2 and those after it).
mod tag {
    pub(super) const BIND: u8 = 0x60;
    pub(super) const UNBIND: u8 = 0x42;
    pub(super) const SEARCH: u8 = 0x63;
    pub(super) const MODIFY: u8 = 0x66;
    pub(super) const ADD: u8 = 0x68;
    pub(super) const DELETE: u8 = 0x4a;
    pub(super) const RENAME: u8 = 0x6c;
    pub(super) const COMPARE: u8 = 0x6e;
    pub(super) const ABANDON: u8 = 0x50;
    pub(super) const EXTENDED: u8 = 0x77;
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number, to be repeated in the answer; `None` if it could not be read.
    pub id: Option<i64>,
    /// What is wanted, or what of it is not to be understood.
    pub body: Result<Operation, &'static str>,
    /// Controls (section 4.1.11).
    pub controls: Vec<Control>,
    /// All of it, as it came.
    pub raw: Vec<u8>,
}

/// A control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Its object identifier.
    pub oid: Vec<u8>,
    /// Whether the request is to be refused by a server that does not know it.
    pub critical: bool,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A login.
    Bind(Bind),
    /// Good bye.
    Unbind,
    /// A search.
    Search(Search),
    /// An entry is to be changed.
    Modify {
        /// Which.
        entry: Vec<u8>,
        /// As in `replace: description: text`.
        changes: Vec<Vec<u8>>,
    },
    /// An entry is to be made.
    Add {
        /// Under that name.
        entry: Vec<u8>,
        /// As in `description: text`.
        attributes: Vec<Vec<u8>>,
    },
    /// An entry is to be removed.
    Delete(Vec<u8>),
    /// An entry is to be renamed or moved.
    Rename {
        /// Which.
        entry: Vec<u8>,
        /// Its new name.
        name: Vec<u8>,
        /// Under what it is to stand; empty for where it is.
        parent: Vec<u8>,
    },
    /// A value is to be compared.
    Compare {
        /// Of that entry.
        entry: Vec<u8>,
        /// As in `(uid=eve)`.
        assertion: Vec<u8>,
    },
    /// A request is not to be answered any more.
    Abandon(i64),
    /// What the protocol itself does not have.
    Extended {
        /// Its object identifier.
        oid: Vec<u8>,
        /// Its value, if it has one.
        value: Option<Vec<u8>>,
    },
    /// Nothing that a client sends, by its tag.
    Unknown(u8),
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Of the protocol: 2 or 3.
    pub version: i64,
    /// Who it is, if the name is not in the proof.
    pub name: Vec<u8>,
    /// The proof.
    pub proof: Proof,
}

/// How a client proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A password, in clear.
    Simple(Vec<u8>),
    /// A token of that mechanism.
    Sasl {
        /// As in `GSS-SPNEGO`.
        mechanism: Vec<u8>,
        /// The token.
        token: Vec<u8>,
    },
    /// Which packages are there for what Microsoft had before SASL (MS-ADTS, section 5.1.1.1.3)?
    SicilyPackages,
    /// The first token of such a package.
    SicilyNegotiate(Vec<u8>),
    /// The second.
    SicilyResponse(Vec<u8>),
    /// Anything else, by its tag.
    Unknown(u8, Vec<u8>),
}

/// A search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Where it begins.
    pub base: Vec<u8>,
    /// How far it goes: 0 is the base alone, 1 what is right below it, 2 all below it.
    pub scope: i64,
    /// When aliases are followed; 3 is always.
    pub aliases: i64,
    /// Most entries that are wanted; 0 for no bound.
    pub size_limit: i64,
    /// Most seconds that it may take; 0 for no bound.
    pub time_limit: i64,
    /// Whether names without values are wanted.
    pub types_only: bool,
    /// Which entries.
    pub filter: Filter,
    /// Which attributes; none for all.
    pub attributes: Vec<Vec<u8>>,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// What is no sequence of BER, or is not all there.
    pub fn read(input: &mut Input<'_>) -> Result<Self, Halt> {
        if input.peek()? != ber::SEQUENCE {
            return Err(Halt::Malformed("no LDAP message"));
        }
        let start = input.rest();
        let before = input.consumed();
        let mut fields = ber::enter(input, ber::SEQUENCE)?;
        let raw = start.get(..input.consumed().saturating_sub(before)).unwrap_or_default().to_vec();
        let Ok(id) = ber::integer(&mut fields) else {
            return Ok(Self { id: None, body: Err("no message number"), controls: Vec::new(), raw });
        };
        let body = match ber::element(&mut fields) {
            Ok((tag, content)) => operation(tag, content).map_err(reason),
            Err(halt) => Err(reason(halt)),
        };
        let controls = ber::enter(&mut fields, 0xa0).map(controls).unwrap_or_default();
        Ok(Self { id: Some(id), body, controls, raw })
    }
}

fn reason(halt: Halt) -> &'static str {
    match halt {
        Halt::Malformed(why) => why,
        Halt::Need(_) => "truncated",
    }
}

fn operation(tag: u8, content: &[u8]) -> Result<Operation, Halt> {
    let mut fields = Input::whole(content);
    Ok(match tag {
        tag::BIND => Operation::Bind(bind(&mut fields)?),
        tag::UNBIND => Operation::Unbind,
        tag::SEARCH => Operation::Search(search(&mut fields)?),
        tag::MODIFY => Operation::Modify { entry: octets(&mut fields)?, changes: changes(&mut fields)? },
        tag::ADD => {
            let entry = octets(&mut fields)?;
            let mut list = ber::enter(&mut fields, ber::SEQUENCE)?;
            let mut attributes = Vec::new();
            while !list.is_empty() && attributes.len() < MOST {
                let mut attribute = ber::enter(&mut list, ber::SEQUENCE)?;
                values(b"", &mut attribute, &mut attributes)?;
            }
            Operation::Add { entry, attributes }
        }
        tag::DELETE => Operation::Delete(content.to_vec()),
        tag::RENAME => {
            let (entry, name) = (octets(&mut fields)?, octets(&mut fields)?);
            ber::expect(&mut fields, BOOLEAN)?;
            let parent = ber::expect(&mut fields, 0x80).unwrap_or_default().to_vec();
            Operation::Rename { entry, name, parent }
        }
        tag::COMPARE => {
            let entry = octets(&mut fields)?;
            let mut assertion = ber::enter(&mut fields, ber::SEQUENCE)?;
            let (name, value) = (octets(&mut assertion)?, octets(&mut assertion)?);
            Operation::Compare { entry, assertion: [b"(", &name[..], b"=", &value, b")"].concat() }
        }
        tag::ABANDON => Operation::Abandon(ber::number(content)?),
        tag::EXTENDED => {
            let oid = ber::expect(&mut fields, 0x80)?.to_vec();
            Operation::Extended { oid, value: ber::expect(&mut fields, 0x81).ok().map(<[u8]>::to_vec) }
        }
        other => Operation::Unknown(other),
    })
}

fn bind(fields: &mut Input<'_>) -> Result<Bind, Halt> {
    let (version, name) = (ber::integer(fields)?, octets(fields)?);
    let proof = match ber::element(fields)? {
        (0x80, password) => Proof::Simple(password.to_vec()),
        (0xa3, sasl) => {
            let mut sasl = Input::whole(sasl);
            let mechanism = octets(&mut sasl)?;
            let token = if sasl.is_empty() { Vec::new() } else { octets(&mut sasl)? };
            Proof::Sasl { mechanism, token }
        }
        (0x89, _) => Proof::SicilyPackages,
        (0x8a, token) => Proof::SicilyNegotiate(token.to_vec()),
        (0x8b, token) => Proof::SicilyResponse(token.to_vec()),
        (tag, content) => Proof::Unknown(tag, content.to_vec()),
    };
    Ok(Bind { version, name, proof })
}

fn search(fields: &mut Input<'_>) -> Result<Search, Halt> {
    Ok(Search {
        base: octets(fields)?,
        scope: ber::number(ber::expect(fields, ENUMERATED)?)?,
        aliases: ber::number(ber::expect(fields, ENUMERATED)?)?,
        size_limit: ber::integer(fields)?,
        time_limit: ber::integer(fields)?,
        types_only: ber::expect(fields, BOOLEAN)?.iter().any(|byte| *byte != 0),
        filter: Filter::read(fields)?,
        attributes: {
            let mut list = ber::enter(fields, ber::SEQUENCE)?;
            let mut attributes = Vec::new();
            while !list.is_empty() && attributes.len() < MOST {
                attributes.push(octets(&mut list)?);
            }
            attributes
        },
    })
}

fn changes(fields: &mut Input<'_>) -> Result<Vec<Vec<u8>>, Halt> {
    let mut list = ber::enter(fields, ber::SEQUENCE)?;
    let mut changes = Vec::new();
    while !list.is_empty() && changes.len() < MOST {
        let mut change = ber::enter(&mut list, ber::SEQUENCE)?;
        let how: &[u8] = match ber::number(ber::expect(&mut change, ENUMERATED)?)? {
            0 => b"add: ",
            1 => b"delete: ",
            2 => b"replace: ",
            3 => b"increment: ",
            _ => b"unknown: ",
        };
        let mut attribute = ber::enter(&mut change, ber::SEQUENCE)?;
        values(how, &mut attribute, &mut changes)?;
    }
    Ok(changes)
}

/// Adds each value of an attribute as a line of its own; the name alone if it has none.
fn values(how: &[u8], attribute: &mut Input<'_>, lines: &mut Vec<Vec<u8>>) -> Result<(), Halt> {
    let name = octets(attribute)?;
    let mut set = ber::enter(attribute, SET)?;
    if set.is_empty() {
        lines.push([how, &name[..]].concat());
    }
    while !set.is_empty() && lines.len() < MOST {
        lines.push([how, &name[..], b": ", &octets(&mut set)?].concat());
    }
    Ok(())
}

fn controls(mut list: Input<'_>) -> Vec<Control> {
    let next = std::iter::from_fn(|| {
        let mut control = ber::enter(&mut list, ber::SEQUENCE).ok()?;
        let oid = octets(&mut control).ok()?;
        let critical = control.peek() == Ok(BOOLEAN)
            && ber::expect(&mut control, BOOLEAN).is_ok_and(|flag| flag.iter().any(|byte| *byte != 0));
        Some(Control { oid, critical })
    });
    next.take(MOST).collect()
}

/// Reads a string.
fn octets(fields: &mut Input<'_>) -> Result<Vec<u8>, Halt> {
    ber::expect(fields, ber::OCTETS).map(<[u8]>::to_vec)
}
