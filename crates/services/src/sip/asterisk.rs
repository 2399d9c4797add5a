//! Asterisk with PJSIP (`res_pjsip`, Asterisk 13 and later): whoever it does not know is challenged, whatever is asked
//! and whichever extension is named, so that nothing can be enumerated. Dialogs that it does not know end with 481.
//!
//! PJSIP takes fields apart and writes them anew; the tag that it adds to To is the branch of the topmost Via.

use haldane_core::Cx;

use super::{
    Server,
    address::{Address, Parameter, Uri, Via, values},
    hex,
    message::{First, Message, number},
    seconds,
};

/// What the claimed server says of itself: that of Debian 11.
pub const SERVER: &str = "Asterisk PBX 16.28.0~dfsg-0+deb11u4";

/// Its realm where nothing else is configured (`default_realm`).
pub const REALM: &str = "asterisk";

/// Why PJSIP drops a message without a word.
pub fn flaw(message: &Message) -> Option<&'static str> {
    for (name, why) in [("call-id", "no Call-ID"), ("cseq", "no CSeq"), ("via", "no Via")] {
        if message.value(name).is_none_or(<[u8]>::is_empty) {
            return Some(why);
        }
    }
    for (name, why) in [("from", "unreadable From"), ("to", "unreadable To")] {
        let address = message.value(name).and_then(Address::read);
        if address.and_then(|address| Uri::read(address.uri).map(|_| ())).is_none() {
            return Some(why);
        }
    }
    if vias(message).is_none() {
        return Some("unreadable Via");
    }
    if cseq(message).is_none() {
        return Some("unreadable CSeq");
    }
    match &message.first {
        First::Request { uri, .. } if Uri::read(uri).is_none() => return Some("unreadable URI"),
        _ => {}
    }
    message.broken.or_else(|| (message.length() == Some(None)).then_some("unreadable Content-Length"))
}

fn cseq(message: &Message) -> Option<(u32, &[u8])> {
    let mut words = message.value("cseq")?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (digits, method) = (words.next()?, words.next()?);
    Some((number(digits, 10)?, method))
}

fn vias(message: &Message) -> Option<Vec<Via<'_>>> {
    message.all("via").flat_map(|field| values(&field.value)).map(Via::read).collect()
}

/// The answer to a request without [`flaw`]; `None`: it says nothing.
pub fn answer(server: &Server, message: &Message, cx: &mut Cx<'_>) -> Option<Vec<u8>> {
    let First::Request { method, .. } = &message.first else { return None };
    match method.as_slice() {
        b"ACK" => None,
        b"BYE" | b"CANCEL" => write(server, message, "481 Call/Transaction Does Not Exist", "", cx),
        _ => {
            let (since, nonce, opaque) = (seconds(cx.now()), cx.random::<16>(), cx.random::<8>());
            let challenge = format!(
                "WWW-Authenticate: Digest realm=\"{}\",nonce=\"{since}/{}\",opaque=\"{}\",algorithm={},qop=\"auth\"\r\n",
                server.realm.as_deref().unwrap_or(REALM),
                hex(&nonce),
                hex(&opaque),
                algorithm(&server.name),
            );
            write(server, message, "401 Unauthorized", &challenge, cx)
        }
    }
}

/// As PJSIP wrote it until the version that came with Asterisk 20, and since.
fn algorithm(server: &str) -> &'static str {
    let version = server.rsplit(['(', ' ']).next().unwrap_or_default();
    let major =
        version.split(|c: char| !c.is_ascii_digit()).next().and_then(|number| number.parse::<u32>().ok());
    if major.is_some_and(|major| major >= 20) { "MD5" } else { "md5" }
}

fn write(server: &Server, message: &Message, status: &str, more: &str, cx: &Cx<'_>) -> Option<Vec<u8>> {
    let mut answer = format!("SIP/2.0 {status}\r\n").into_bytes();
    let mut line =
        |name: &str, value: &[u8]| answer.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    let vias = vias(message)?;
    let branch = vias.first()?.parameter("branch").flatten().unwrap_or_default();
    for (at, via) in vias.iter().enumerate() {
        line("Via", &write_via(via, (at == 0).then_some(cx.peer().remote)));
    }
    for field in message.all("record-route") {
        line("Record-Route", &field.value);
    }
    line("Call-ID", message.value("call-id")?);
    line("From", &write_address(&Address::read(message.value("from")?)?));
    let mut to = Address::read(message.value("to")?)?;
    if to.tag().is_none() {
        to.parameters.retain(|(name, _)| !name.eq_ignore_ascii_case(b"tag"));
        if !branch.is_empty() {
            to.parameters.insert(0, (b"tag", Some(branch)));
        }
    }
    line("To", &write_address(&to));
    let (number, method) = cseq(message)?;
    line("CSeq", &[format!("{number} ").as_bytes(), method].concat());
    answer.extend_from_slice(more.as_bytes());
    // Two spaces, as PJSIP has it.
    answer.extend(format!("Server: {}\r\nContent-Length:  0\r\n\r\n", server.name).into_bytes());
    Some(answer)
}

/// `source`: who sent it, for the topmost. The port is told in any case (`force_rport`).
fn write_via(via: &Via<'_>, source: Option<std::net::SocketAddr>) -> Vec<u8> {
    let mut out = [b"SIP/2.0/", via.transport, b" ", via.host].concat();
    if !via.port.is_empty() {
        out.extend([b":", via.port].concat());
    }
    let known = |name: &[u8]| {
        [&b"rport"[..], b"received", b"branch"].iter().any(|own| name.eq_ignore_ascii_case(own))
    };
    if let Some(source) = source {
        out.extend(format!(";rport={};received={}", source.port(), source.ip()).into_bytes());
    } else {
        let kept = |name: &'static str| via.parameter(name).map(|value| (name.as_bytes(), value));
        write_parameters(&mut out, [kept("rport"), kept("received")].into_iter().flatten());
    }
    let branch = via.parameter("branch").map(|value| (&b"branch"[..], value));
    let others = via.parameters.iter().filter(|(name, _)| !known(name)).copied();
    write_parameters(&mut out, branch.into_iter().chain(others));
    out
}

fn write_address(address: &Address<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if !address.display.is_empty() {
        out.extend([b"\"", address.display, b"\" "].concat());
    }
    out.extend([b"<", address.uri, b">"].concat());
    let is_tag = |(name, _): &&Parameter<'_>| name.eq_ignore_ascii_case(b"tag");
    let tag = address.parameters.iter().filter(is_tag);
    let others = address.parameters.iter().filter(|parameter| !is_tag(parameter));
    write_parameters(&mut out, tag.chain(others).copied());
    out
}

fn write_parameters<'a>(out: &mut Vec<u8>, parameters: impl Iterator<Item = Parameter<'a>>) {
    for (name, value) in parameters.filter(|(name, _)| !name.is_empty()) {
        out.extend([b";", name].concat());
        if let Some(value) = value {
            out.extend([b"=", value].concat());
        }
    }
}
