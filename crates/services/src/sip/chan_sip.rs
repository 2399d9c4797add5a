//! Asterisk with its older channel driver, `chan_sip` (Asterisk 1.4 to 20, the default before 13), and `alwaysauthreject`:
//! who registers or calls is challenged, known or not. A wrong answer is forbidden; `OPTIONS` tells whether the dial
//! plan has that extension, and it has only its start, for whoever names none.
//!
//! It copies the values of fields; the port that a request came from is told behind its address.

use std::net::SocketAddr;

use haldane_core::Cx;

use super::{
    Server,
    address::{Address, values},
    asterisk::REALM,
    hex,
    message::{First, Message},
};

/// What the claimed server says of itself: that of Debian 8.
pub const SERVER: &str = "Asterisk PBX 11.13.1~dfsg-2+deb8u5";

/// The answer to a request that PJSIP would take, too ([`super::asterisk::flaw`]); `None`: it says nothing.
pub fn answer(server: &Server, message: &Message, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
    let First::Request { method, uri, .. } = &message.first else { return None };
    let to = Address::read(message.value("to")?)?;
    let mut more = String::new();
    let status = match method.as_slice() {
        b"ACK" => return None,
        _ if to.tag().is_some() => "481 Call leg/transaction does not exist",
        b"OPTIONS" if uri.contains(&b'@') => {
            more.push_str("Accept: application/sdp\r\n");
            "404 Not Found"
        }
        b"OPTIONS" => {
            more = format!("Contact: <sip:{}>\r\nAccept: application/sdp\r\n", cx.peer().local);
            "200 OK"
        }
        b"REGISTER" | b"INVITE" | b"SUBSCRIBE" | b"MESSAGE" if is_answer(message) => "403 Forbidden",
        b"REGISTER" | b"INVITE" | b"SUBSCRIBE" | b"MESSAGE" => {
            let (realm, nonce) = (server.realm.as_deref().unwrap_or(REALM), hex(&cx.random::<4>()));
            more =
                format!("WWW-Authenticate: Digest algorithm=MD5, realm=\"{realm}\", nonce=\"{nonce}\"\r\n");
            "401 Unauthorized"
        }
        b"NOTIFY" => "489 Bad event",
        b"PUBLISH" => "489 Bad Event",
        b"REFER" => "603 Declined (No dialog)",
        b"BYE" | b"CANCEL" | b"INFO" | b"UPDATE" | b"PRACK" => "481 Call leg/transaction does not exist",
        _ => "501 Method Not Implemented",
    };
    write(server, message, status, &more, cx)
}

/// Whether that is the answer to a challenge of ours, by the form of its nonce. Others deserve a new one.
fn is_answer(message: &Message) -> bool {
    let field = message.value("authorization").or_else(|| message.value("proxy-authorization"));
    let text = String::from_utf8_lossy(field.unwrap_or_default()).into_owned();
    let nonce = text.split_once("nonce=\"").and_then(|(_, rest)| rest.split_once('"'));
    nonce.is_some_and(|(nonce, _)| nonce.len() == 8 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn write(server: &Server, message: &Message, status: &str, more: &str, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
    let mut answer = format!("SIP/2.0 {status}\r\n").into_bytes();
    let tag = hex(&cx.random::<4>());
    let source = cx.peer().remote;
    let mut line =
        |name: &str, value: &[u8]| answer.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    for (at, via) in message.all("via").flat_map(|field| values(&field.value)).enumerate() {
        match at {
            0 => line("Via", &via_of(via, source)),
            _ => line("Via", via),
        }
    }
    line("From", message.value("from")?);
    let to = message.value("to")?;
    match Address::read(to)?.tag() {
        Some(_) => line("To", to),
        None => line("To", &[to, b";tag=as", tag.as_bytes()].concat()),
    }
    line("Call-ID", message.value("call-id")?);
    line("CSeq", message.value("cseq")?);
    line("Server", server.name.as_bytes());
    line("Allow", allowed(&server.name).as_bytes());
    answer.extend_from_slice(b"Supported: replaces, timer\r\n");
    answer.extend_from_slice(more.as_bytes());
    answer.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    Some(answer)
}

/// `rport` moves behind `received`, and is told if it was not asked for (`nat=force_rport`).
fn via_of(via: &[u8], source: SocketAddr) -> Vec<u8> {
    let mut parts = via.split(|byte| *byte == b';');
    let mut out = parts.next().unwrap_or_default().to_vec();
    for part in parts {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        if ![&b"rport"[..], b"received"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            out.extend([b";", part].concat());
        }
    }
    out.extend(format!(";received={};rport={}", source.ip(), source.port()).into_bytes());
    out
}

/// The methods that it says it takes: `PUBLISH` since 1.8, `MESSAGE` since 10.
fn allowed(server: &str) -> String {
    let version = server.rsplit(['(', ' ']).next().unwrap_or_default();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<u32>().ok());
    let more = match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(1), Some(..8)) => "",
        (Some(1), _) => ", PUBLISH",
        _ => ", PUBLISH, MESSAGE",
    };
    format!("INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_told_behind_the_address_whether_asked_for_or_not() {
        let source = SocketAddr::from(([192, 0, 2, 7], 42572));
        for via in [
            "SIP/2.0/UDP a:5060;rport;branch=b",
            "SIP/2.0/UDP a:5060;branch=b",
            "SIP/2.0/UDP a:5060;branch=b;RPort=1",
        ] {
            let told = String::from_utf8(via_of(via.as_bytes(), source)).unwrap();
            assert_eq!(told, "SIP/2.0/UDP a:5060;branch=b;received=192.0.2.7;rport=42572");
        }
    }

    #[test]
    fn what_is_allowed_is_a_matter_of_the_version() {
        for (server, last) in [
            ("Asterisk PBX 1.6.2.9-2+squeeze12", "INFO"),
            ("FPBX-2.8.1(1.8.7.0)", "PUBLISH"),
            ("Asterisk PBX 11.13.1~dfsg-2+b1", "MESSAGE"),
            ("Asterisk PBX", "MESSAGE"),
        ] {
            assert_eq!(allowed(server).rsplit(' ').next(), Some(last), "{server}");
        }
    }
}
