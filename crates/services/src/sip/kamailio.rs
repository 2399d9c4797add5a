//! Kamailio 5.6 as a proxy that answers by itself: `OPTIONS` with `200 Keepalive`, calls with `404 Not here`, and
//! `REGISTER`, as well as callers who say that they are from here, with a challenge (the `auth` and `sl` modules, as in
//! its sample configuration). Recorded; what it refuses and in which words are those of its `sanity` module.
//!
//! It copies fields as they were sent, in their order.

use std::net::SocketAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::Cx;
use openssl::hash::{MessageDigest, hash};

use super::{
    Server,
    address::{Address, Uri, Via, cut, values},
    message::{Field, First, Message, number},
    seconds,
};

/// What the claimed server says of itself.
pub const SERVER: &str = "kamailio (5.6.3 (x86_64/linux))";

/// How long a nonce of the `auth` module is good for, in seconds.
const NONCE: u32 = 300;

/// Why it drops a message without a word.
pub fn flaw(message: &Message) -> Option<&'static str> {
    for (name, why) in [
        ("via", "no Via"),
        ("from", "no From"),
        ("to", "no To"),
        ("call-id", "no Call-ID"),
        ("cseq", "no CSeq"),
    ] {
        if message.field(name).is_none() {
            return Some(why);
        }
    }
    let single = ["from", "to", "call-id", "cseq", "content-length"];
    if single.into_iter().any(|name| message.all(name).count() > 1) {
        return Some("a field twice");
    }
    let via = message.value("via").map(values).unwrap_or_default();
    if via.first().and_then(|via| Via::read(via)).is_none() {
        return Some("unreadable Via");
    }
    if message.value("to").and_then(Address::read).is_none() {
        return Some("unreadable To");
    }
    if cseq(message).1.is_empty() {
        return Some("unreadable CSeq");
    }
    message.broken.or_else(|| (message.length() == Some(None)).then_some(LENGTH))
}

/// The flaw behind which it goes on: the message has no end.
const LENGTH: &str = "unreadable Content-Length";

/// Whether it hangs up on a message with that [`flaw`], over TCP.
pub fn hangs_up(message: &Message, flaw: &'static str) -> bool {
    flaw != LENGTH && message.broken != Some(flaw)
}

/// Whether it goes on behind what is no message, but may be for a module that is not there: other versions, and HTTP.
pub fn leaves_to_others(head: &[u8]) -> bool {
    let lower = head.to_ascii_lowercase();
    let mut lines = lower.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let words: Vec<&[u8]> = lines.next().unwrap_or_default().split(|byte| *byte == b' ').collect();
    let versioned = matches!(words.as_slice(), [_, _, version] if version.starts_with(b"sip/") || version.starts_with(b"http/1."));
    versioned && lines.any(|line| line.starts_with(b"via:") || line.starts_with(b"content-length:"))
}

/// Number and method.
fn cseq(message: &Message) -> (&[u8], &[u8]) {
    let value = message.value("cseq").unwrap_or_default();
    let (number, method) = cut(value, b' ').unwrap_or((value, b""));
    (number, method.trim_ascii())
}

/// The answer to a request without [`flaw`]; `None`: it says nothing.
pub fn answer(server: &Server, message: &Message, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
    let First::Request { method, uri, .. } = &message.first else { return None };
    let is = |name: &str| method.eq_ignore_ascii_case(name.as_bytes());
    let reply = |code, reason: &str, more: &str| Some(write(server, message, (code, reason), more, cx));
    if is("ACK") {
        return None;
    }
    // maxfwd: at least one hop must be left.
    let forwards = message.value("max-forwards").map(|value| number::<u32>(value, 9).unwrap_or_default());
    if forwards == Some(0) {
        return reply(483, "Too Many Hops", "");
    }
    if is("OPTIONS") {
        return reply(200, "Keepalive", "");
    }
    if let Err(reason) = sane(message, method, uri) {
        return reply(400, reason, "");
    }
    if is("CANCEL") {
        return None;
    }
    let here = reply(404, "Not here", "");
    if message.value("to").and_then(Address::read).is_some_and(|to| to.tag().is_some()) || is("PRACK") {
        return here;
    }
    let from = message.value("from").and_then(Address::read);
    let from = from.as_ref().and_then(|from| Uri::read(from.uri));
    if !is("REGISTER") && !from.as_ref().is_some_and(|from| is_here(server, from, cx.peer().local)) {
        return here;
    }
    let host = from.map(|from| from.host).filter(|host| !host.is_empty());
    let Some(host) = host else { return reply(500, "Internal Server Error", "") };
    let realm = server.realm.clone().unwrap_or_else(|| String::from_utf8_lossy(host).into_owned());
    let nonce = nonce(cx);
    let (code, reason, name) = match is("REGISTER") {
        true => (401, "Unauthorized", "WWW-Authenticate"),
        false => (407, "Proxy Authentication Required", "Proxy-Authenticate"),
    };
    let challenge = format!("{name}: Digest realm=\"{realm}\", nonce=\"{nonce}\"\r\n");
    Some(write(server, message, (code, reason), &challenge, cx))
}

/// The checks of `sanity_check("17895", "7")`, in their order.
fn sane(message: &Message, method: &[u8], uri: &[u8]) -> Result<(), &'static str> {
    if Uri::read(uri).is_none() {
        return Err("Bad Request URI");
    }
    let (digits, named) = cseq(message);
    if named != method {
        return Err("CSeq method does not match request method");
    }
    // Up to ten digits, whatever they come to.
    if number::<u64>(digits, 10).is_none() {
        return Err("CSeq number is illegal");
    }
    if message.length().is_some() && !message.headed {
        return Err("Content-Length Body Failure");
    }
    if message.length().flatten().is_some_and(|length| length != message.body.len()) {
        return Err("Content-Length mis-match");
    }
    if message.value("expires").is_some_and(|value| number::<u32>(value, 10).is_none()) {
        return Err("Expires value is illegal");
    }
    let readable =
        |name| message.value(name).and_then(Address::read).and_then(|it| Uri::read(it.uri).map(|_| ()));
    readable("from").ok_or("Invalid From Header")?;
    // So written there.
    readable("to").ok_or("Ivalid To Header")
}

/// `uri == myself`.
fn is_here(server: &Server, uri: &Uri<'_>, own: SocketAddr) -> bool {
    let host = uri.host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(uri.host);
    let named = server.domains.iter().any(|domain| host.eq_ignore_ascii_case(domain.as_bytes()));
    named || (host == own.ip().to_string().as_bytes() && uri.port() == Some(own.port()))
}

/// As the `auth` module makes it: when it expires, since when it is good, and a hash over both.
fn nonce(cx: &mut Cx<'_>) -> String {
    let now = u32::try_from(seconds(cx.now())).unwrap_or(u32::MAX);
    let hash: [u8; 16] = cx.random();
    let parts = [&now.saturating_add(NONCE).to_be_bytes()[..], &now.to_be_bytes(), &hash];
    BASE64_STANDARD.encode(parts.concat())
}

fn write(
    server: &Server,
    message: &Message,
    (code, reason): (u16, &str),
    more: &str,
    cx: &Cx<'_>,
) -> Vec<u8> {
    let version = match &message.first {
        First::Request { version, .. } => version.as_slice(),
        First::Response { .. } => b"SIP/2.0",
    };
    let mut answer = [version, format!(" {code} {reason}\r\n").as_bytes()].concat();
    let mut vias = 0_usize;
    for field in &message.fields {
        match field.name.as_str() {
            "via" if vias == 0 => {
                vias = 1;
                answer.extend(own_via(field, cx.peer().remote));
            }
            "to" => answer.extend(tagged(field, message, cx.peer().local)),
            "via" | "from" | "call-id" | "cseq" => answer.extend_from_slice(&field.raw),
            "record-route" if code < 300 => answer.extend_from_slice(&field.raw),
            _ => {}
        }
    }
    answer.extend_from_slice(more.as_bytes());
    answer.extend(format!("Server: {}\r\nContent-Length: 0\r\n\r\n", server.name).into_bytes());
    answer
}

/// A line and its end.
fn without_end(raw: &[u8]) -> (&[u8], &[u8]) {
    let text = raw.strip_suffix(b"\n").unwrap_or(raw);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    raw.split_at_checked(text.len()).unwrap_or_default()
}

/// The topmost Via with the source's port, and its address where that is not what the Via says or where a port was
/// asked for (`force_rport`; RFC 3581, section 4).
fn own_via(field: &Field, source: SocketAddr) -> Vec<u8> {
    let (line, _) = without_end(&field.raw);
    let comma = line.iter().position(|byte| *byte == b',').unwrap_or(line.len());
    let (first, others) = line.split_at_checked(comma).unwrap_or_default();
    let mut asked = false;
    let mut out: Vec<u8> = Vec::new();
    for (at, part) in first.split(|byte| *byte == b';').enumerate() {
        let name = cut(part, b'=').map_or(part, |(name, _)| name);
        if at > 0 {
            out.push(b';');
        }
        if at > 0 && name.trim_ascii().eq_ignore_ascii_case(b"rport") {
            asked = true;
            out.extend(format!("rport={}", source.port()).into_bytes());
        } else {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(others);
    out.truncate(out.trim_ascii_end().len());
    if !asked {
        out.extend(format!(";rport={}", source.port()).into_bytes());
    }
    let ip = source.ip().to_string();
    let host = values(&field.value).first().and_then(|via| Via::read(via)).map(|via| via.host.to_vec());
    if asked || host.as_deref() != Some(ip.as_bytes()) {
        out.extend(format!(";received={ip}").into_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// To, with a tag if it has none: one part is of the server, the other of the request (`tags.h` of Kamailio).
fn tagged(field: &Field, message: &Message, own: SocketAddr) -> Vec<u8> {
    if Address::read(&field.value).is_some_and(|to| to.tag().is_some()) {
        return field.raw.clone();
    }
    let signature = format!("KAMAILIO-stateless{}{}", own.ip(), own.port());
    let digest =
        hash(MessageDigest::md5(), signature.as_bytes()).map(|digest| digest.to_vec()).unwrap_or_default();
    let via = values(message.value("via").unwrap_or_default());
    let via = via.first().and_then(|via| Via::read(via));
    let (host, port) = via.as_ref().map(|via| (via.host, via.port)).unwrap_or_default();
    let branch = via.as_ref().and_then(|via| via.parameter("branch")).flatten().unwrap_or_default();
    let call = message.value("call-id").unwrap_or_default();
    let (line, end) = without_end(&field.raw);
    let mut out = line.trim_ascii_end().to_vec();
    out.extend_from_slice(b";tag=");
    out.extend(digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
    out.push(b'.');
    out.extend(checksum(&[host, port, branch]));
    out.extend(checksum(&[port, host, call]));
    out.extend_from_slice(end);
    out
}

/// CRC-16 of ITU-T V.41 as HDLC has it (polynomial 0x8408 reversed, complemented), of the parts up to the first empty
/// one, in hex with the last digit first.
fn checksum(parts: &[&[u8]]) -> Vec<u8> {
    let mut crc = u16::MAX;
    for byte in parts.iter().take_while(|part| !part.is_empty()).copied().flatten() {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 };
        }
    }
    format!("{:04x}", !crc).into_bytes().into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_summed_up_as_kamailio_does() {
        // Recorded: hosts and ports of Via fields, branch z9hG4bKq, call 50000.
        assert_eq!(checksum(&[b"nm", b"", b"z9hG4bKq"]), b"1e84");
        assert_eq!(checksum(&[b"", b"nm", b"50000"]), b"0000");
        assert_eq!(checksum(&[b"a", b"1", b"z9hG4bKq"]), b"427d");
        assert_eq!(checksum(&[b"1", b"a", b"50000"]), b"d89f");
    }

    #[test]
    fn a_via_tells_the_source_where_it_does_not_know_itself() {
        // Recorded, from 127.0.0.1.
        let source = SocketAddr::from(([127, 0, 0, 1], 40_000));
        for (sent, told) in [
            ("127.0.0.1;branch=z;rport", "127.0.0.1;branch=z;rport=40000;received=127.0.0.1"),
            ("127.0.0.1:5060;branch=z", "127.0.0.1:5060;branch=z;rport=40000"),
            ("nm;branch=z", "nm;branch=z;rport=40000;received=127.0.0.1"),
            ("nm;received=192.0.2.1;rport=7", "nm;received=192.0.2.1;rport=40000;received=127.0.0.1"),
            ("nm;b, SIP/2.0/UDP c;rport", "nm;b, SIP/2.0/UDP c;rport;rport=40000;received=127.0.0.1"),
        ] {
            let message = Message::read(format!("A sip:b SIP/2.0\r\nVia: SIP/2.0/UDP {sent}\r\n").as_bytes());
            let via = own_via(&message.unwrap().fields[0], source);
            assert_eq!(String::from_utf8(via).unwrap(), format!("Via: SIP/2.0/UDP {told}\r\n"));
        }
    }
}
