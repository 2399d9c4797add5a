//! The hardware addresses of this machine's neighbours, as the kernel knows them: rtnetlink(7), `RTM_GETNEIGH`, which
//! needs no privileges and tells of IPv4 and IPv6 alike. Nothing is sent to anybody.

use std::{io, net::IpAddr, os::fd::AsRawFd};

use nix::sys::{
    socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt,
        socket, sockopt::ReceiveTimeout,
    },
    time::{TimeVal, TimeValLike},
};

/// `RTM_NEWNEIGH` and `RTM_GETNEIGH`, linux/rtnetlink.h.
const NEW_NEIGHBOUR: u16 = 28;
const GET_NEIGHBOUR: u16 = 30;
/// `NLMSG_ERROR` and `NLMSG_DONE`, linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
/// `NDA_DST` and `NDA_LLADDR`, linux/neighbour.h.
const DESTINATION: u16 = 1;
const LINK_ADDRESS: u16 = 2;
/// Lengths of `struct nlmsghdr` and `struct ndmsg`.
const HEADER: usize = 16;
const NEIGHBOUR: usize = 12;
/// The kernel's parts of a dump are no longer.
const PART: usize = 32 * 1024;
/// Parts of a dump that are read: some ten thousand neighbours.
const PARTS: usize = 64;

/// The hardware address of that neighbour: six bytes. None if it is no neighbour, or of another sort of network.
///
/// # Errors
/// As of the kernel.
pub fn link_address(address: IpAddr) -> io::Result<Option<[u8; 6]>> {
    let route = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, route)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(500))?;
    sendto(socket.as_raw_fd(), &request(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut part = vec![0; PART];
    for _ in 0..PARTS {
        let length = recv(socket.as_raw_fd(), &mut part, MsgFlags::empty())?;
        match look(part.get(..length).unwrap_or_default(), address) {
            Look::More => {}
            Look::Found(link) => return Ok(Some(link)),
            Look::End => return Ok(None),
        }
    }
    Ok(None)
}

/// All neighbours of all families.
fn request() -> Vec<u8> {
    let mut request = Vec::with_capacity(HEADER.saturating_add(NEIGHBOUR));
    request.extend(u32::try_from(HEADER.saturating_add(NEIGHBOUR)).unwrap_or_default().to_ne_bytes());
    request.extend(GET_NEIGHBOUR.to_ne_bytes());
    request.extend(REQUEST_DUMP.to_ne_bytes());
    request.extend(1_u32.to_ne_bytes());
    request.extend([0; 4]);
    request.extend([0; NEIGHBOUR]);
    request
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    More,
    Found([u8; 6]),
    End,
}

/// Looks through one part of a dump.
fn look(mut part: &[u8], wanted: IpAddr) -> Look {
    while let Some((length, kind)) = header(part) {
        let Some(body) = part.get(HEADER..length) else { return Look::End };
        match kind {
            DONE | ERROR => return Look::End,
            NEW_NEIGHBOUR => {
                if let Some(link) = neighbour(body, wanted) {
                    return Look::Found(link);
                }
            }
            _ => {}
        }
        part = part.get(aligned(length)..).unwrap_or_default();
    }
    Look::More
}

fn header(part: &[u8]) -> Option<(usize, u16)> {
    let length = usize::try_from(u32::from_ne_bytes(*part.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*part.get(4..)?.first_chunk()?);
    (length >= HEADER).then_some((length, kind))
}

/// The hardware address in one message, if it is about that address.
fn neighbour(body: &[u8], wanted: IpAddr) -> Option<[u8; 6]> {
    let (mut address, mut link) = (None, None);
    let mut rest = body.get(NEIGHBOUR..)?;
    while let Some(start) = rest.first_chunk::<4>() {
        let [a, b, c, d] = *start;
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let Some(value) = rest.get(4..length) else { break };
        match u16::from_ne_bytes([c, d]) {
            DESTINATION => address = octets(value),
            LINK_ADDRESS => link = <[u8; 6]>::try_from(value).ok(),
            _ => {}
        }
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    link.filter(|link| address == Some(wanted) && *link != [0; 6])
}

fn octets(value: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(value).map(IpAddr::from).ok();
    four().or_else(|| <[u8; 16]>::try_from(value).map(IpAddr::from).ok())
}

/// To the next multiple of four.
fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, address: &[u8], link: &[u8]) -> Vec<u8> {
        let mut body = vec![0; NEIGHBOUR];
        for (name, value) in [(DESTINATION, address), (LINK_ADDRESS, link)] {
            body.extend(u16::try_from(value.len().saturating_add(4)).unwrap().to_ne_bytes());
            body.extend(name.to_ne_bytes());
            body.extend(value);
            body.resize(aligned(body.len()), 0);
        }
        let length = u32::try_from(body.len().saturating_add(HEADER)).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    #[test]
    fn a_neighbour_is_found_in_a_dump_and_nothing_else_is() {
        let six = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let mut dump = message(NEW_NEIGHBOUR, &[192, 0, 2, 1], &[2, 0, 0, 0, 0, 1]);
        dump.extend(message(NEW_NEIGHBOUR, &six, &[2, 0, 0, 0, 0, 7]));
        assert_eq!(look(&dump, "192.0.2.1".parse().unwrap()), Look::Found([2, 0, 0, 0, 0, 1]));
        assert_eq!(look(&dump, "fe80::7".parse().unwrap()), Look::Found([2, 0, 0, 0, 0, 7]));
        assert_eq!(look(&dump, "192.0.2.2".parse().unwrap()), Look::More);
        dump.extend(message(DONE, &[], &[]));
        assert_eq!(look(&dump, "192.0.2.2".parse().unwrap()), Look::End);
        for end in 0..dump.len() {
            look(&dump[..end], "192.0.2.2".parse().unwrap());
        }
    }

    #[test]
    fn the_kernel_answers() {
        assert_eq!(link_address("203.0.113.77".parse().unwrap()).unwrap(), None);
    }
}
