//! What a ClientHello reveals (RFC 8446, section 4.1.2): server name, protocols, JA3, JA4.
//!
//! JA3: <https://github.com/salesforce/ja3>. JA4: <https://github.com/FoxIO-LLC/ja4>, technical_details/JA4.md.

use haldane_core::{Halt, Input, TlsFacts, Untrusted};
use md5::Md5;
use sha2::{Digest, Sha256};

/// Why there are no facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoHello {
    /// More bytes may make it one.
    Incomplete,
    /// It is something else.
    Other,
}

#[derive(Debug, Default)]
struct Hello {
    version: u16,
    ciphers: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    point_formats: Vec<u8>,
    signatures: Vec<u16>,
    versions: Vec<u16>,
    server_name: Option<Untrusted>,
    alpn: Vec<Untrusted>,
}

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// Reads the first flight of a client, as it came from the wire.
///
/// # Errors
/// It is not complete, or it is none.
pub fn facts(flight: &[u8]) -> Result<TlsFacts, NoHello> {
    let message = unwrap_records(flight)?;
    match parse(&mut Input::whole(&message)) {
        Ok(hello) => Ok(TlsFacts {
            ja3: ja3(&hello),
            ja4: ja4(&hello),
            sni: hello.server_name,
            alpn: hello.alpn,
            ..TlsFacts::default()
        }),
        Err(_) => Err(NoHello::Other),
    }
}

/// The first handshake message, without the records around it (RFC 8446, section 5.1).
fn unwrap_records(flight: &[u8]) -> Result<Vec<u8>, NoHello> {
    let mut input = Input::stream(flight);
    let mut message = Vec::new();
    loop {
        let record = (|| {
            let [kind, major, _minor] = input.array()?;
            if kind != 22 || major != 3 {
                return Err(Halt::Malformed("not a handshake record"));
            }
            let length = input.u16()?;
            input.take(length.into())
        })();
        match record {
            Ok(fragment) => message.extend_from_slice(fragment),
            Err(Halt::Need(_)) => return Err(NoHello::Incomplete),
            Err(Halt::Malformed(_)) => return Err(NoHello::Other),
        }
        if let Some(&[kind, a, b, c]) = message.first_chunk() {
            if kind != 1 {
                return Err(NoHello::Other);
            }
            let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
            if let Some(hello) = message.get(4..).and_then(|rest| rest.get(..length)) {
                return Ok(hello.to_vec());
            }
        }
    }
}

fn parse(input: &mut Input<'_>) -> Result<Hello, Halt> {
    let mut hello = Hello { version: input.u16()?, ..Hello::default() };
    input.take(32)?;
    let length = input.u8()?;
    input.take(length.into())?;
    hello.ciphers = numbers(input)?;
    let length = input.u8()?;
    input.take(length.into())?;
    if input.is_empty() {
        return Ok(hello);
    }
    let length = input.u16()?;
    let mut extensions = input.frame(length.into())?;
    while !extensions.is_empty() {
        let kind = extensions.u16()?;
        let length = extensions.u16()?;
        let mut body = extensions.frame(length.into())?;
        hello.extensions.push(kind);
        // What is odd inside an extension is OpenSSL's to refuse; the rest still tells who it is.
        extension(&mut hello, kind, &mut body).ok();
    }
    Ok(hello)
}

fn extension(hello: &mut Hello, kind: u16, body: &mut Input<'_>) -> Result<(), Halt> {
    match kind {
        SERVER_NAME => {
            body.take(3)?;
            let length = body.u16()?;
            hello.server_name = Some(body.take(length.into())?.into());
        }
        SUPPORTED_GROUPS => hello.groups = numbers(body)?,
        POINT_FORMATS => {
            let length = body.u8()?;
            hello.point_formats = body.take(length.into())?.to_vec();
        }
        SIGNATURE_ALGORITHMS => hello.signatures = numbers(body)?,
        ALPN => {
            let length = body.u16()?;
            let mut names = body.frame(length.into())?;
            while !names.is_empty() {
                let length = names.u8()?;
                hello.alpn.push(names.take(length.into())?.into());
            }
        }
        SUPPORTED_VERSIONS => {
            let length = body.u8()?;
            let mut list = body.frame(length.into())?;
            while !list.is_empty() {
                hello.versions.push(list.u16()?);
            }
        }
        _ => {}
    }
    Ok(())
}

fn numbers(input: &mut Input<'_>) -> Result<Vec<u16>, Halt> {
    let length = input.u16()?;
    let mut list = input.frame(length.into())?;
    let mut numbers = Vec::new();
    while !list.is_empty() {
        numbers.push(list.u16()?);
    }
    Ok(numbers)
}

/// Values that clients make up to keep servers honest (RFC 8701).
fn grease(number: u16) -> bool {
    let [high, low] = number.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

fn real(numbers: &[u16]) -> impl Iterator<Item = u16> {
    numbers.iter().copied().filter(|number| !grease(*number))
}

fn ja3(hello: &Hello) -> String {
    let list = |numbers: &[u16]| real(numbers).map(|number| number.to_string()).collect::<Vec<_>>().join("-");
    let formats: Vec<_> = hello.point_formats.iter().map(u8::to_string).collect();
    let text = format!(
        "{},{},{},{},{}",
        hello.version,
        list(&hello.ciphers),
        list(&hello.extensions),
        list(&hello.groups),
        formats.join("-")
    );
    hex(&Md5::digest(text))
}

fn ja4(hello: &Hello) -> String {
    let version = real(&hello.versions).max().unwrap_or(hello.version);
    let version = match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let name = if hello.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
    let (ciphers, extensions) =
        (real(&hello.ciphers).count().min(99), real(&hello.extensions).count().min(99));
    let alpn = alpn_ends(hello.alpn.first().map(Untrusted::raw).unwrap_or_default());
    let mut sorted: Vec<_> = real(&hello.ciphers).map(|number| format!("{number:04x}")).collect();
    sorted.sort();
    let mut kinds: Vec<_> = real(&hello.extensions)
        .filter(|kind| *kind != SERVER_NAME && *kind != ALPN)
        .map(|kind| format!("{kind:04x}"))
        .collect();
    kinds.sort();
    let mut kinds = kinds.join(",");
    if !hello.signatures.is_empty() {
        let signatures: Vec<_> = real(&hello.signatures).map(|number| format!("{number:04x}")).collect();
        kinds = format!("{kinds}_{}", signatures.join(","));
    }
    format!(
        "t{version}{name}{ciphers:02}{extensions:02}{alpn}_{}_{}",
        short_hash(&sorted.join(",")),
        short_hash(&kinds)
    )
}

/// First and last character of the first protocol, or of its hex if they are not letters or digits.
fn alpn_ends(name: &[u8]) -> String {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return "00".into() };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return format!("{}{}", char::from(first), char::from(last));
    }
    let ends = (format!("{first:02x}"), format!("{last:02x}"));
    format!("{}{}", ends.0.get(..1).unwrap_or_default(), ends.1.get(1..).unwrap_or_default())
}

fn short_hash(text: &str) -> String {
    if text.is_empty() {
        return "000000000000".into();
    }
    let mut digits = hex(&Sha256::digest(text));
    digits.truncate(12);
    digits
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the JA4 page: TLS 1.3, SNI, 15 ciphers, 16 extensions, h2.
    fn example() -> Hello {
        let ciphers = "1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035";
        let extensions = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015";
        let signatures = "0403,0804,0401,0503,0805,0501,0806,0601";
        let list = |text: &str| text.split(',').map(|n| u16::from_str_radix(n, 16).unwrap()).collect();
        Hello {
            version: 0x0303,
            ciphers: list(ciphers),
            extensions: list(extensions),
            signatures: list(signatures),
            versions: vec![0x7a7a, 0x0304, 0x0303],
            alpn: vec!["h2".into(), "http/1.1".into()],
            ..Hello::default()
        }
    }

    #[test]
    fn ja4_is_that_of_the_published_example() {
        assert_eq!(ja4(&example()), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    #[test]
    fn a_hello_cut_anywhere_is_incomplete_and_garbage_is_none() {
        assert_eq!(facts(&[]), Err(NoHello::Incomplete));
        assert_eq!(facts(&[22, 3, 1]), Err(NoHello::Incomplete));
        assert_eq!(facts(b"GET / HTTP/1.0\r\n\r\n"), Err(NoHello::Other));
        assert_eq!(facts(&[22, 3, 1, 0, 4, 2, 0, 0, 0]), Err(NoHello::Other));
    }
}
