//! The hardware address of a neighbour, from the table of the kernel.
//!
//! Asked over rtnetlink (rtnetlink(7), `RTM_GETNEIGH` for one address, Linux 5.0): it has IPv4 and IPv6 alike, needs
//! no privilege, and costs the same however large the table is. Whoever sends a datagram to an address of ours has
//! asked for our hardware address first and told its own with that, so it is in the table by then. Whoever sends to
//! a group alone may not be.

use std::{
    io::Read,
    net::{IpAddr, Ipv6Addr},
};

use socket2::{Domain, Protocol, Socket, Type};

/// `AF_NETLINK`, `AF_INET`, `AF_INET6` of Linux.
const NETLINK: i32 = 16;
const INET: u8 = 2;
const INET6: u8 = 10;
/// Messages of rtnetlink: a neighbour, and the question for one.
const NEW_NEIGHBOUR: u16 = 28;
const GET_NEIGHBOUR: u16 = 30;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// Attributes of a neighbour: its address, its hardware address.
const ADDRESS: u16 = 1;
const HARDWARE: u16 = 2;
/// Bytes of the two headers, `nlmsghdr` and `ndmsg`, and of that of an attribute.
const HEADER: usize = 16;
const NEIGHBOUR: usize = 12;
const ATTRIBUTE: usize = 4;

/// The hardware address of that neighbour on that interface, where the kernel knows it and it is one of Ethernet.
pub(super) fn mac(interface: u32, ip: IpAddr) -> Option<[u8; 6]> {
    let raw = Type::RAW.nonblocking();
    let mut socket = Socket::new(Domain::from(NETLINK), raw, Some(Protocol::from(0))).ok()?;
    socket.send(&question(interface, ip)?).ok()?;
    // The kernel has answered before `send` returned.
    let mut answer = [0; 1024];
    let length = socket.read(&mut answer).ok()?;
    hardware(answer.get(..length)?)
}

fn question(interface: u32, ip: IpAddr) -> Option<Vec<u8>> {
    let (family, octets) = match ip {
        IpAddr::V4(ip) => (INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (INET6, Ipv6Addr::octets(&ip).to_vec()),
    };
    let attribute = ATTRIBUTE.checked_add(octets.len())?;
    let length = HEADER.checked_add(NEIGHBOUR)?.checked_add(attribute)?;
    let mut message = Vec::with_capacity(length);
    message.extend(u32::try_from(length).ok()?.to_ne_bytes());
    message.extend(GET_NEIGHBOUR.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // Sequence and port: one question, one socket.
    message.extend([0; 8]);
    message.extend([family, 0, 0, 0]);
    message.extend(interface.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(u16::try_from(attribute).ok()?.to_ne_bytes());
    message.extend(ADDRESS.to_ne_bytes());
    message.extend(octets);
    Some(message)
}

/// The hardware address in an answer.
fn hardware(answer: &[u8]) -> Option<[u8; 6]> {
    let kind = answer.get(4..6)?.try_into().map(u16::from_ne_bytes).ok()?;
    if kind != NEW_NEIGHBOUR {
        return None;
    }
    let mut rest = answer.get(HEADER..)?.get(NEIGHBOUR..)?;
    while let Some((head, _)) = rest.split_at_checked(ATTRIBUTE) {
        let length = usize::from(u16::from_ne_bytes(head.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(head.get(2..)?.try_into().ok()?);
        let value = rest.get(ATTRIBUTE..length)?;
        if kind == HARDWARE {
            return value.try_into().ok();
        }
        rest = rest.get(length.checked_next_multiple_of(4)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with those attributes.
    fn answer(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut answer = [0; HEADER + NEIGHBOUR].to_vec();
        answer[4..6].copy_from_slice(&kind.to_ne_bytes());
        for (kind, value) in attributes {
            answer.extend(u16::try_from(ATTRIBUTE.saturating_add(value.len())).unwrap().to_ne_bytes());
            answer.extend(kind.to_ne_bytes());
            answer.extend(*value);
            answer.resize(answer.len().next_multiple_of(4), 0);
        }
        answer
    }

    #[test]
    fn the_hardware_address_is_found_among_other_attributes() {
        let whole =
            answer(NEW_NEIGHBOUR, &[(1, &[192, 0, 2, 7]), (9, &[1; 5]), (HARDWARE, &[2, 3, 4, 5, 6, 7])]);
        assert_eq!(hardware(&whole), Some([2, 3, 4, 5, 6, 7]));
        for cut in 0..whole.len().saturating_sub(2) {
            assert_eq!(hardware(&whole[..cut]), None);
        }
    }

    #[test]
    fn errors_other_links_and_attributes_without_length_are_no_hardware_address() {
        assert_eq!(hardware(&answer(2, &[(HARDWARE, &[2; 6])])), None);
        assert_eq!(hardware(&answer(NEW_NEIGHBOUR, &[(HARDWARE, &[2; 20])])), None);
        let mut endless = answer(NEW_NEIGHBOUR, &[]);
        endless.extend([0; 64]);
        assert_eq!(hardware(&endless), None);
    }

    #[test]
    fn a_neighbour_that_nobody_knows_has_none() {
        assert_eq!(mac(1, "192.0.2.254".parse().unwrap()), None);
        assert_eq!(mac(1, "fe80::1".parse().unwrap()), None);
    }
}
