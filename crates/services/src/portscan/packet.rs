//! What the headers of a packet say: IPv4 (RFC 791), IPv6 with its extension headers (RFC 8200, section 4), TCP (RFC
//! 9293, section 3.1), UDP (RFC 768), ICMP (RFC 792, RFC 950) and ICMPv6 (RFC 4443).
//!
//! Link layers and VLAN tags are the system's business: a packet begins with its IP header here. It may be cut, and
//! whoever sent it may have lied about every length in it; what is not there is not read, and nothing is
//! reassembled: of a fragmented packet, the first fragment tells enough.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use haldane_core::{Halt, Input};

/// Extension headers that are skipped, at most. Real packets have one or two.
const EXTENSIONS: usize = 8;

/// A packet, its payload apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ip: Ip,
    pub(super) body: Body,
}

/// What the two versions of IP say about themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ip {
    V4 {
        length: u16,
        tos: u8,
        ttl: u8,
        id: u16,
        /// Three bits (reserved, don't fragment, more fragments) and the offset.
        fragment: u16,
    },
    V6 {
        /// With the 40 bytes of the header, as the kernel logs it.
        length: u32,
        class: u8,
        hops: u8,
        label: u32,
    },
}

/// What IP carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    Tcp(Tcp),
    /// A fragment that ends within TCP's header: nobody's stack makes such.
    CutTcp {
        source: u16,
        destination: u16,
    },
    Udp {
        source: u16,
        destination: u16,
        /// The U1 probe of nmap's OS detection.
        nmap: bool,
    },
    Icmp {
        kind: u8,
        code: u8,
        sequence: u16,
        /// Bytes of IP's payload.
        length: u32,
    },
}

/// TCP's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tcp {
    pub(super) source: u16,
    pub(super) destination: u16,
    /// Four reserved bits.
    pub(super) reserved: u8,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) urgent: u16,
    /// Neither options nor payload.
    pub(super) bare: bool,
    /// A timestamp that no clock shows: all ones, in answer to nothing.
    pub(super) impossible_time: bool,
}

/// TCP's flags.
pub(super) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}

/// Reads a packet from its IP header on. Other protocols than TCP, UDP and ICMP, later fragments, and what is cut too
/// early are `Err`.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, Halt> {
    let mut input = Input::whole(bytes);
    match input.peek()? >> 4 {
        4 => v4(&mut input),
        6 => v6(&mut input),
        _ => Err(Halt::Malformed("no version of IP")),
    }
}

fn v4(input: &mut Input<'_>) -> Result<Header, Halt> {
    let header = usize::from(input.u8()? & 0x0f).saturating_mul(4);
    let tos = input.u8()?;
    let (length, id, fragment) = (input.u16()?, input.u16()?, input.u16()?);
    let (ttl, protocol) = (input.u8()?, input.u8()?);
    input.u16()?;
    let source = Ipv4Addr::from(input.array::<4>()?).into();
    let destination = Ipv4Addr::from(input.array::<4>()?).into();
    input.take(header.checked_sub(20).ok_or(Halt::Malformed("header too short"))?)?;
    if fragment & 0x1fff != 0 {
        return Err(Halt::Malformed("a later fragment"));
    }
    let payload = u32::from(length).saturating_sub(u32::try_from(header).unwrap_or_default());
    let more = fragment & 0x2000 != 0;
    let body = body(protocol, input, payload, more)?;
    Ok(Header { source, destination, ip: Ip::V4 { length, tos, ttl, id, fragment }, body })
}

fn v6(input: &mut Input<'_>) -> Result<Header, Halt> {
    let word = input.u32()?;
    let payload = u32::from(input.u16()?);
    let (mut next, hops) = (input.u8()?, input.u8()?);
    let source = Ipv6Addr::from(input.array::<16>()?).into();
    let destination = Ipv6Addr::from(input.array::<16>()?).into();
    let class = u8::try_from((word >> 20) & 0xff).unwrap_or_default();
    let length = payload.saturating_add(40);
    let ip = Ip::V6 { length, class, hops, label: word & 0x000f_ffff };
    let mut more = false;
    for _ in 0..EXTENSIONS {
        match next {
            // Hop-by-hop options, routing, destination options.
            0 | 43 | 60 => {
                next = input.u8()?;
                let size = usize::from(input.u8()?).saturating_mul(8).saturating_add(6);
                input.take(size)?;
            }
            // A fragment.
            44 => {
                next = input.u8()?;
                input.u8()?;
                let offset = input.u16()?;
                input.u32()?;
                if offset >> 3 != 0 {
                    return Err(Halt::Malformed("a later fragment"));
                }
                more = offset & 1 != 0;
            }
            // Authentication (RFC 4302): its length counts differently.
            51 => {
                next = input.u8()?;
                let size = usize::from(input.u8()?).saturating_mul(4).saturating_add(6);
                input.take(size)?;
            }
            _ => break,
        }
    }
    let taken = u32::try_from(input.consumed()).unwrap_or(u32::MAX);
    let body = body(next, input, length.saturating_sub(taken), more)?;
    Ok(Header { source, destination, ip, body })
}

/// `length`: of what IP carries, as IP says; `more`: fragments follow.
fn body(protocol: u8, input: &mut Input<'_>, length: u32, more: bool) -> Result<Body, Halt> {
    match protocol {
        6 if more && length < 20 => Ok(Body::CutTcp { source: input.u16()?, destination: input.u16()? }),
        6 => tcp(input, length).map(Body::Tcp),
        17 => {
            let (source, destination) = (input.u16()?, input.u16()?);
            let size = input.u16()?;
            input.u16()?;
            // 300 times the letter C (Fyodor, "Remote OS Detection", U1), of which the beginning is here.
            let seen = input.rest();
            let nmap = size == 308 && seen.len() >= 32 && seen.iter().all(|&byte| byte == b'C');
            Ok(Body::Udp { source, destination, nmap })
        }
        1 | 58 => {
            let (kind, code) = (input.u8()?, input.u8()?);
            // Checksum and identifier. Nothing else is needed of what is shorter than that.
            let sequence = input.u32().and_then(|_| input.u16()).unwrap_or_default();
            Ok(Body::Icmp { kind, code, sequence, length })
        }
        _ => Err(Halt::Malformed("another protocol")),
    }
}

fn tcp(input: &mut Input<'_>, length: u32) -> Result<Tcp, Halt> {
    let (source, destination) = (input.u16()?, input.u16()?);
    input.u32()?;
    input.u32()?;
    let (offset, flags) = (input.u8()?, input.u8()?);
    let window = input.u16()?;
    input.u16()?;
    let urgent = input.u16()?;
    let header = u32::from(offset >> 4).saturating_mul(4);
    let options = usize::try_from(header.saturating_sub(20)).unwrap_or_default();
    let options = input.rest().get(..options).unwrap_or_else(|| input.rest());
    Ok(Tcp {
        source,
        destination,
        reserved: offset & 0x0f,
        flags,
        window,
        urgent,
        bare: header == 20 && length == 20,
        impossible_time: impossible_time(options),
    })
}

/// Whether the options hold a timestamp (RFC 7323, section 3) that only nmap's OS detection sends.
fn impossible_time(options: &[u8]) -> bool {
    let mut input = Input::whole(options);
    while let Ok(kind) = input.u8() {
        match kind {
            0 => break,
            1 => continue,
            _ => {}
        }
        let size = input.u8().ok().and_then(|size| usize::from(size).checked_sub(2));
        let Some(Ok(value)) = size.map(|size| input.take(size)) else { break };
        if kind == 8 {
            return value == [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        }
    }
    false
}
