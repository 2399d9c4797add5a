//! The messages: one question out, answers in. All three protocols use the format of DNS (RFC 1035, section 4.1).
//!
//! Names of NetBIOS are written in half bytes, as one label of 32 letters (RFC 1001, section 14.1). Pointers in names
//! (RFC 1035, section 4.1.4) must lead backwards, further with each, so that following them ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use haldane_core::{Destination, Halt, Input};

/// Types of records: RFC 1035, section 3.2.2; RFC 3596, section 2.1; RFC 1002, section 4.2.1.3.
pub(super) const A: u16 = 1;
const CNAME: u16 = 5;
const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
pub(super) const NB: u16 = 32;
/// The class of the Internet.
const IN: u16 = 1;
/// Flags of the header: it is a response; a broadcast query of NetBIOS that wants recursion (RFC 1002, section
/// 4.2.12).
const RESPONSE: u16 = 0x8000;
const BROADCAST: u16 = 0x0110;
/// The last byte of a NetBIOS name, beyond the fifteen of the name: the service of files.
const SERVER: u8 = 0x20;
/// Letters of a NetBIOS name.
const NETBIOS: usize = 15;
/// Records that are read of one answer, and questions that it may repeat; there is no reason for more.
const RECORDS: u16 = 32;
/// The longest name, in bytes (RFC 1035, section 2.3.4).
const NAME: usize = 255;

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// RFC 4795.
    Llmnr,
    /// The name service of NetBIOS: RFC 1002.
    Netbios,
    /// RFC 6762.
    Mdns,
}

impl Protocol {
    /// The word in events.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Llmnr => "llmnr",
            Self::Netbios => "nbt-ns",
            Self::Mdns => "mdns",
        }
    }
}

/// The word for a type of record.
pub(super) fn type_name(kind: u16) -> String {
    match kind {
        A => "A".into(),
        AAAA => "AAAA".into(),
        CNAME => "CNAME".into(),
        PTR => "PTR".into(),
        NB => "NB".into(),
        // RFC 3597, section 5.
        other => format!("TYPE{other}"),
    }
}

/// A question, and whom it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) protocol: Protocol,
    pub(super) to: Destination,
    /// As the operator writes it.
    pub(super) name: String,
    pub(super) kind: u16,
}

impl Question {
    /// The labels as they are sent.
    fn labels(&self) -> Vec<Vec<u8>> {
        let labels =
            || self.name.split('.').filter(|label| !label.is_empty()).map(|label| label.as_bytes().to_vec());
        match self.protocol {
            Protocol::Llmnr => labels().collect(),
            Protocol::Mdns if self.name.to_ascii_lowercase().ends_with(".local") => labels().collect(),
            Protocol::Mdns => labels().chain([b"local".to_vec()]).collect(),
            Protocol::Netbios => vec![half_bytes(self.name.split('.').next().unwrap_or_default())],
        }
    }

    /// The message.
    pub(super) fn encode(&self, id: u16) -> Vec<u8> {
        let flags = if self.protocol == Protocol::Netbios { BROADCAST } else { 0 };
        let mut message: Vec<u8> = [id, flags, 1, 0, 0, 0].into_iter().flat_map(u16::to_be_bytes).collect();
        for label in self.labels() {
            message.push(u8::try_from(label.len()).unwrap_or_default());
            message.extend(label);
        }
        message.push(0);
        message.extend(self.kind.to_be_bytes());
        message.extend(IN.to_be_bytes());
        message
    }

    /// Whether that is the name that was asked for; case does not count.
    fn is_for(&self, name: &[u8]) -> bool {
        self.labels().join(&b'.').eq_ignore_ascii_case(name)
    }

    /// How well it answers this question; `None`: not at all. What repeats no question must have a record of the
    /// name, and one of the type that was asked for is better than another.
    pub(super) fn fits(&self, answer: &Answer) -> Option<Fit> {
        let Some((name, kind)) = &answer.question else {
            let of_name = || answer.records.iter().filter(|record| self.is_for(&record.name));
            let wholly = of_name().any(|record| record.kind == self.kind);
            return of_name().next().map(|_| if wholly { Fit::Whole } else { Fit::Name });
        };
        (self.is_for(name) && *kind == self.kind).then_some(Fit::Whole)
    }
}

/// How well an answer fits a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The name does.
    Name,
    /// Name and type do.
    Whole,
}

fn half_bytes(name: &str) -> Vec<u8> {
    let letters = name.bytes().map(|byte| byte.to_ascii_uppercase()).chain(std::iter::repeat(b' '));
    let whole = letters.take(NETBIOS).chain([SERVER]);
    whole.flat_map(|byte| [byte >> 4, byte & 0xf]).map(|half| b'A'.saturating_add(half)).collect()
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: u16,
    pub(super) flags: u16,
    /// The first question that it repeats: name and type.
    pub(super) question: Option<(Vec<u8>, u16)>,
    pub(super) records: Vec<Record>,
}

impl Answer {
    /// Whether it is a response at all.
    pub(super) fn responds(&self) -> bool {
        self.flags & RESPONSE != 0
    }

    /// The code of the response; 0 is no error.
    pub(super) fn rcode(&self) -> u16 {
        self.flags & 0xf
    }
}

/// A record of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: Vec<u8>,
    pub(super) kind: u16,
    pub(super) ttl: u32,
    pub(super) data: Data,
}

/// What a record says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Data {
    Address(IpAddr),
    /// Addresses of NetBIOS, with the flags of the first (RFC 1002, section 4.2.1.3).
    Netbios(u16, Vec<Ipv4Addr>),
    Name(Vec<u8>),
    Other(Vec<u8>),
}

/// Reads a message: header, questions, and records of the answer section.
pub(super) fn read(message: &[u8]) -> Result<Answer, Halt> {
    let mut input = Input::whole(message);
    let (id, flags) = (input.u16()?, input.u16()?);
    let (questions, answers) = (input.u16()?, input.u16()?);
    input.take(4)?;
    if questions > RECORDS {
        return Err(Halt::Malformed("too many questions"));
    }
    let mut question = None;
    for _ in 0..questions {
        let name = name(message, &mut input)?;
        let kind = input.u16()?;
        input.take(2)?;
        question.get_or_insert((name, kind));
    }
    let mut records = Vec::new();
    for _ in 0..answers.min(RECORDS) {
        records.push(record(message, &mut input)?);
    }
    Ok(Answer { id, flags, question, records })
}

fn record<'m>(message: &'m [u8], input: &mut Input<'m>) -> Result<Record, Halt> {
    let owner = name(message, input)?;
    let (kind, _class, ttl) = (input.u16()?, input.u16()?, input.u32()?);
    let length = usize::from(input.u16()?);
    let at = input.consumed();
    let bytes = input.take(length)?;
    let data = match kind {
        A => bytes.try_into().ok().map(|octets: [u8; 4]| Data::Address(octets.into())),
        AAAA => bytes.try_into().ok().map(|octets: [u8; 16]| Data::Address(Ipv6Addr::from(octets).into())),
        NB => netbios(bytes).ok(),
        CNAME | PTR => {
            let mut data = Input::whole(message);
            data.take(at)?;
            Some(Data::Name(name(message, &mut data)?))
        }
        _ => None,
    };
    Ok(Record { name: owner, kind, ttl, data: data.unwrap_or_else(|| Data::Other(bytes.to_vec())) })
}

fn netbios(bytes: &[u8]) -> Result<Data, Halt> {
    let mut input = Input::whole(bytes);
    let (flags, first) = (input.u16()?, input.array::<4>()?);
    let mut addresses = vec![first.into()];
    while !input.is_empty() {
        input.u16()?;
        addresses.push(input.array::<4>()?.into());
    }
    Ok(Data::Netbios(flags, addresses))
}

/// A name, its labels joined by dots.
fn name<'m>(message: &'m [u8], input: &mut Input<'m>) -> Result<Vec<u8>, Halt> {
    let mut name = Vec::new();
    let mut before = input.consumed();
    // Where the labels come from once a pointer was followed.
    let mut elsewhere: Option<Input<'m>> = None;
    loop {
        let from = elsewhere.as_mut().unwrap_or(&mut *input);
        let length = from.u8()?;
        match length >> 6 {
            0 if length == 0 => return Ok(name),
            0 => {
                if !name.is_empty() {
                    name.push(b'.');
                }
                name.extend(from.take(length.into())?);
                if name.len() > NAME {
                    return Err(Halt::Malformed("a name of more than 255 bytes"));
                }
            }
            3 => {
                let to = usize::from(u16::from_be_bytes([length & 0x3f, from.u8()?]));
                if to >= before {
                    return Err(Halt::Malformed("a pointer that does not lead backwards"));
                }
                before = to;
                let mut target = Input::whole(message);
                target.take(to)?;
                elsewhere = Some(target);
            }
            _ => return Err(Halt::Malformed("a label of an unknown type")),
        }
    }
}

/// The group of a protocol, of either family, at that port. NetBIOS has broadcasts instead.
pub(super) fn group(protocol: Protocol, v6: bool, port: u16) -> Option<SocketAddr> {
    let ip: IpAddr = match (protocol, v6) {
        // RFC 4795, section 2.
        (Protocol::Llmnr, false) => Ipv4Addr::new(224, 0, 0, 252).into(),
        (Protocol::Llmnr, true) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 3).into(),
        // RFC 6762, section 3.
        (Protocol::Mdns, false) => Ipv4Addr::new(224, 0, 0, 251).into(),
        (Protocol::Mdns, true) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb).into(),
        (Protocol::Netbios, _) => return None,
    };
    Some(SocketAddr::new(ip, port))
}
