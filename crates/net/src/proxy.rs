//! The PROXY protocol, versions 1 and 2: a trusted proxy says who is really there.
//!
//! Specification: haproxy's proxy-protocol.txt, sections 2.1 (text) and 2.2 (binary).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use haldane_core::{Halt, Input};

/// The longest text header, with its line ending (section 2.1).
const LONGEST_TEXT: usize = 107;
/// The longest binary header that is taken: addresses, and some of the optional values that follow them.
const LONGEST_BINARY: u16 = 4096;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The two ends as the proxy saw them; `None` if the proxy speaks for itself (a health check).
pub type Ends = Option<(SocketAddr, SocketAddr)>;

/// Reads the header at the front of what came.
///
/// # Errors
/// It is not complete, or it is none.
pub fn header(input: &mut Input<'_>) -> Result<Ends, Halt> {
    match input.peek()? {
        b'P' => text(input),
        b'\r' => binary(input),
        _ => Err(Halt::Malformed("no PROXY header")),
    }
}

fn text(input: &mut Input<'_>) -> Result<Ends, Halt> {
    let line = std::str::from_utf8(input.line(LONGEST_TEXT)?).map_err(|_| Halt::Malformed("not text"))?;
    let words: Vec<&str> = line.split(' ').collect();
    match *words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", source, destination, source_port, destination_port] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().map_err(|_| Halt::Malformed("not an address"))?;
                let port = port.parse().map_err(|_| Halt::Malformed("not a port"))?;
                Ok(SocketAddr::new(ip, port))
            };
            Ok(Some((address(source, source_port)?, address(destination, destination_port)?)))
        }
        _ => Err(Halt::Malformed("no PROXY header")),
    }
}

fn binary(input: &mut Input<'_>) -> Result<Ends, Halt> {
    for expected in SIGNATURE {
        if input.u8()? != expected {
            return Err(Halt::Malformed("no PROXY header"));
        }
    }
    let [version_command, family, high, low] = input.array()?;
    let length = u16::from_be_bytes([high, low]);
    if length > LONGEST_BINARY {
        return Err(Halt::Malformed("PROXY header too long"));
    }
    let mut body = input.frame(length.into())?;
    match (version_command, family) {
        (0x20, _) => Ok(None),
        (0x21, 0x11 | 0x12) => {
            let (source, destination) =
                (Ipv4Addr::from(body.array::<4>()?), Ipv4Addr::from(body.array::<4>()?));
            Ok(Some(((source, body.u16()?).into(), (destination, body.u16()?).into())))
        }
        (0x21, 0x21 | 0x22) => {
            let (source, destination) =
                (Ipv6Addr::from(body.array::<16>()?), Ipv6Addr::from(body.array::<16>()?));
            Ok(Some(((source, body.u16()?).into(), (destination, body.u16()?).into())))
        }
        (0x21, _) => Ok(None),
        _ => Err(Halt::Malformed("unknown PROXY version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Ends, Halt> {
        header(&mut Input::stream(bytes))
    }

    #[test]
    fn both_versions_name_the_real_ends() {
        let expected = Some(("192.0.2.7:4711".parse().unwrap(), "192.0.2.1:22".parse().unwrap()));
        assert_eq!(read(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 22\r\nSSH-2.0-x"), Ok(expected));
        let mut binary = SIGNATURE.to_vec();
        binary.extend([0x21, 0x11, 0, 12, 192, 0, 2, 7, 192, 0, 2, 1, 0x12, 0x67, 0, 22]);
        assert_eq!(read(&binary), Ok(expected));
        assert_eq!(read(b"PROXY UNKNOWN\r\n"), Ok(None));
    }

    #[test]
    fn what_is_cut_is_awaited_and_what_is_wrong_is_refused() {
        assert!(matches!(read(b"PROX"), Err(Halt::Need(_))));
        assert!(matches!(read(&SIGNATURE), Err(Halt::Need(_))));
        assert!(matches!(read(b"SSH-2.0-x\r\n"), Err(Halt::Malformed(_))));
        assert!(matches!(read(b"PROXY TCP4 a b c d\r\n"), Err(Halt::Malformed(_))));
        assert!(matches!(read(&[b'P'; 200]), Err(Halt::Malformed(_))));
    }
}
