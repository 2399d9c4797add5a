//! TPKT (RFC 1006, section 6) and X.224 class 0 (MS-RDPBCGR, sections 2.2.1.1 and 2.2.1.2): how a connection begins,
//! and what every later packet is wrapped in.

use haldane_core::{Halt, Input};

/// Standard RDP security alone (requestedProtocols and selectedProtocol, section 2.2.1.1.1).
pub const RDP: u32 = 0;
/// TLS.
pub const SSL: u32 = 1;
/// CredSSP in TLS: network level authentication.
pub const HYBRID: u32 = 2;
/// RDSTLS in TLS: authentication of a redirected client.
pub const RDSTLS: u32 = 4;
/// CredSSP with the result of authorization told early.
pub const HYBRID_EX: u32 = 8;

/// SSL_REQUIRED_BY_SERVER (section 2.2.1.2.2).
pub const SSL_REQUIRED: u32 = 1;
/// SSL_NOT_ALLOWED_BY_SERVER.
pub const SSL_NOT_ALLOWED: u32 = 2;
/// HYBRID_REQUIRED_BY_SERVER.
pub const HYBRID_REQUIRED: u32 = 5;

/// How a user's name is told before there is any security.
const COOKIE: &[u8] = b"Cookie: mstshash=";
/// The bytes of a request that has nothing but its fixed part.
const SHORTEST: usize = 11;
/// The bytes of RDP_NEG_REQ.
const NEGOTIATION: usize = 8;

/// The client's first packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The user's name, as far as the client tells it.
    pub cookie: Option<Vec<u8>>,
    /// What a load balancer is to read.
    pub token: Option<Vec<u8>>,
    /// What the client can do for security; `None` if it knows of nothing but RDP's own.
    pub protocols: Option<u32>,
    /// The flags beside it: restricted administration (1), redirected authentication (2), correlation (8).
    pub flags: u8,
    /// correlationId, in hex.
    pub correlation: Option<String>,
    /// Whether it is what a server goes on with.
    pub sound: bool,
}

/// Takes one TPKT packet: what is in it.
///
/// # Errors
/// Another version than 3, or a length that is less than the header's.
pub fn tpkt<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    if input.u8()? != 3 {
        return Err(Halt::Malformed("no TPKT packet"));
    }
    input.u8()?;
    let length = usize::from(input.u16()?);
    let content = length.checked_sub(4).filter(|content| *content > 0);
    input.take(content.ok_or(Halt::Malformed("TPKT packet without content"))?)
}

impl Request {
    /// Reads a connection request, the content of a packet. `None` if it is none.
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (fixed, mut rest) = packet.split_at_checked(SHORTEST.saturating_sub(4))?;
        let [indicator, code, _, _, _, _, class] = fixed else { return None };
        if code >> 4 != 0xe {
            return None;
        }
        let sound = usize::from(*indicator) == packet.len().saturating_sub(1) && class >> 4 == 0;
        let mut request = Self { sound, ..Self::default() };
        let negotiates = |rest: &[u8]| rest.first() == Some(&1) && rest.len() >= NEGOTIATION;
        while !rest.is_empty() && !negotiates(rest) {
            let end = rest.windows(2).position(|pair| pair == b"\r\n").unwrap_or(rest.len());
            let line = rest.get(..end).unwrap_or(rest);
            match line.strip_prefix(COOKIE) {
                Some(user) => request.cookie = Some(user.to_vec()),
                None => request.token = Some(line.to_vec()),
            }
            rest = rest.get(end.saturating_add(2)..).unwrap_or_default();
        }
        if let Some([_, flags, _, _, a, b, c, d]) = rest.first_chunk::<NEGOTIATION>() {
            request.flags = *flags;
            request.protocols = Some(u32::from_le_bytes([*a, *b, *c, *d]));
            // RDP_NEG_CORRELATION_INFO (section 2.2.1.1.2): type 6, flags, length, then 16 bytes.
            let more = rest.get(NEGOTIATION..).unwrap_or_default();
            request.correlation = more
                .get(4..20)
                .filter(|_| more.first() == Some(&6))
                .map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect());
        }
        Some(request)
    }
}

/// What a server says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// To a client that negotiates nothing.
    Plain,
    /// The protocol that was chosen, and the flags of RDP_NEG_RSP.
    Chosen(u32, u8),
    /// RDP_NEG_FAILURE.
    Failed(u32),
}

/// A connection confirm. Every Windows has the same source reference.
pub fn confirm(confirm: Confirm) -> Vec<u8> {
    let (kind, flags, value) = match confirm {
        Confirm::Plain => return vec![3, 0, 0, 0x0b, 6, 0xd0, 0, 0, 0x12, 0x34, 0],
        Confirm::Chosen(protocol, flags) => (2, flags, protocol),
        Confirm::Failed(code) => (3, 0, code),
    };
    let head = [3, 0, 0, 0x13, 0x0e, 0xd0, 0, 0, 0x12, 0x34, 0, kind, flags, 8, 0];
    [&head[..], &value.to_le_bytes()].concat()
}

/// A data packet around `content`.
pub fn data(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len().saturating_add(7)).unwrap_or(u16::MAX);
    [&[3, 0], &length.to_be_bytes()[..], &[2, 0xf0, 0x80], content].concat()
}

/// What is in a data packet. `None` if it is none.
pub fn content(packet: &[u8]) -> Option<&[u8]> {
    packet.strip_prefix(&[2, 0xf0, 0x80])
}

/// The names of the protocols that a client offers.
pub fn names(protocols: u32) -> Vec<&'static str> {
    let known = [(SSL, "tls"), (HYBRID, "nla"), (RDSTLS, "rdstls"), (HYBRID_EX, "nla-ex"), (0x10, "aad")];
    match protocols {
        RDP => vec!["rdp"],
        _ => known.iter().filter(|(flag, _)| protocols & flag != 0).map(|(_, name)| *name).collect(),
    }
}
