//! The messages of DCE/RPC over a connection (C706, section 12.6; MS-RPCE, section 2.2.2), little end first.

use haldane_core::{Halt, Input};

use crate::smb::bytes::{Put, size16, size32};

/// Bytes of the header that all messages have.
pub(crate) const HEADER: usize = 16;
/// The same and what else a request or an answer has in front of its arguments.
const REQUEST: usize = 24;
/// Bytes in front of an authentication token.
pub(crate) const TRAILER: usize = 8;
/// Largest fragment that Windows sends or announces.
pub(crate) const FRAGMENT: u16 = 4280;
/// Smallest that everyone must take (C706, section 12.6.3.1, MustRecvFragSize).
const SMALLEST: u16 = 1432;

/// Kinds of messages.
pub(crate) mod kind {
    /// A call.
    pub(crate) const REQUEST: u8 = 0;
    /// What it returns.
    pub(crate) const RESPONSE: u8 = 2;
    /// It was not carried out.
    pub(crate) const FAULT: u8 = 3;
    /// The client names interfaces.
    pub(crate) const BIND: u8 = 11;
    /// Which of them it may use.
    pub(crate) const BIND_ACK: u8 = 12;
    /// It names more of them.
    pub(crate) const ALTER: u8 = 14;
    /// The same.
    pub(crate) const ALTER_ACK: u8 = 15;
    /// The last token of a login.
    pub(crate) const AUTH3: u8 = 16;
}

/// Flags of messages (section 2.2.2.3).
pub(crate) mod flag {
    /// The first fragment.
    pub(crate) const FIRST: u8 = 0x01;
    /// The last fragment.
    pub(crate) const LAST: u8 = 0x02;
    /// Headers can be signed.
    pub(crate) const SIGNED_HEADERS: u8 = 0x04;
    /// Several calls at once.
    pub(crate) const MULTIPLEX: u8 = 0x10;
    /// Nothing was done.
    pub(crate) const NOT_DONE: u8 = 0x20;
    /// The call names an object.
    pub(crate) const OBJECT: u8 = 0x80;
}

/// Numbers of faults (C706, appendix E; MS-ERREF, section 2.2).
pub(crate) mod fault {
    /// Access denied.
    pub(crate) const DENIED: u32 = 5;
    /// A handle that is none.
    pub(crate) const NULL_HANDLE: u32 = 0x06ef;
    /// Arguments that are none.
    pub(crate) const BAD_STUB: u32 = 0x06f7;
    /// No such operation.
    pub(crate) const NO_OPERATION: u32 = 0x1c01_0002;
    /// No such context.
    pub(crate) const NO_INTERFACE: u32 = 0x1c01_0003;
    /// A handle that was never given.
    pub(crate) const NO_HANDLE: u32 = 0x1c00_001a;
}

/// The syntax of arguments that is spoken here (C706, appendix I), version 2.
pub(crate) const NDR: u128 = 0x8a88_5d04_1ceb_11c9_9fe8_0800_2b10_4860;
/// In front of the UUIDs by which features are asked for (MS-RPCE, section 2.2.2.14).
const FEATURES: [u8; 8] = [0x2c, 0x1c, 0xb7, 0x6c, 0x12, 0x98, 0x40, 0x45];

/// The header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// See [`kind`].
    pub(crate) kind: u8,
    /// See [`flag`].
    pub(crate) flags: u8,
    /// Bytes of the fragment, this header and the authentication included.
    pub(crate) length: u16,
    /// Bytes of the authentication token.
    pub(crate) auth: u16,
    /// The number of the call.
    pub(crate) call: u32,
}

impl Header {
    /// Reads one. [`Halt::Malformed`]: no server goes on after that.
    ///
    /// # Errors
    /// More is needed, or it is none.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Halt> {
        let mut input = Input::stream(bytes);
        let (major, minor) = (input.u8()?, input.u8()?);
        let (kind, flags) = (input.u8()?, input.u8()?);
        let [integers, _, _, _] = input.array()?;
        let header =
            Self { kind, flags, length: input.u16_le()?, auth: input.u16_le()?, call: input.u32_le()? };
        if major != 5 || minor > 1 {
            return Err(Halt::Malformed("another version of DCE/RPC"));
        }
        if integers & 0xf0 != 0x10 {
            return Err(Halt::Malformed("DCE/RPC with the big end first"));
        }
        let trailer = if header.auth == 0 { 0 } else { usize::from(header.auth).saturating_add(TRAILER) };
        if usize::from(header.length) < HEADER.saturating_add(trailer) {
            return Err(Halt::Malformed("a fragment shorter than its header"));
        }
        Ok(header)
    }
}

/// A login within a message (section 2.2.2.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verifier<'a> {
    /// The mechanism: 9 SPNEGO, 10 NTLM, 16 Kerberos, 68 Netlogon.
    pub(crate) mechanism: u8,
    /// From 2, at the start only, to 6, everything encrypted.
    pub(crate) level: u8,
    /// The client's number for it.
    pub(crate) context: u32,
    /// The mechanism's own.
    pub(crate) token: &'a [u8],
}

/// The body of a fragment, after the header, and the verifier behind it.
///
/// # Errors
/// The lengths do not fit.
pub(crate) fn split(header: Header, body: &[u8]) -> Result<(&[u8], Option<Verifier<'_>>), Halt> {
    if header.auth == 0 {
        return Ok((body, None));
    }
    let trailer = usize::from(header.auth).saturating_add(TRAILER);
    let mut input = Input::whole(body);
    let inner = input.take(body.len().checked_sub(trailer).ok_or(Halt::Malformed("truncated"))?)?;
    let (mechanism, level, padding, _) = (input.u8()?, input.u8()?, input.u8()?, input.u8()?);
    let context = input.u32_le()?;
    let verifier = Verifier { mechanism, level, context, token: input.take_rest() };
    let end = inner.len().checked_sub(usize::from(padding)).ok_or(Halt::Malformed("truncated"))?;
    Ok((inner.get(..end).unwrap_or_default(), Some(verifier)))
}

/// What a client asks for when it binds (C706, section 12.6.4.3).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    /// Largest fragment that it takes.
    pub(crate) receives: u16,
    /// Its group of connections; 0 for a new one.
    pub(crate) group: u32,
    /// What it would use.
    pub(crate) contexts: Vec<Context>,
}

/// An interface that a client would use, by a number of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Context {
    /// The client's number.
    pub(crate) id: u16,
    /// Which interface.
    pub(crate) uuid: u128,
    /// Its version.
    pub(crate) version: (u16, u16),
    /// Whether it would speak [`NDR`].
    pub(crate) ndr: bool,
    /// Whether this asks for features and no interface.
    pub(crate) features: bool,
}

impl Bind {
    /// Reads the body of a message. There are at most 255 contexts with 255 syntaxes each.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(body: &[u8]) -> Result<Self, Halt> {
        let mut input = Input::whole(body);
        let _sends = input.u16_le()?;
        let receives = input.u16_le()?.max(SMALLEST);
        let group = input.u32_le()?;
        let count = input.u8()?;
        input.take(3)?;
        let mut contexts = Vec::new();
        for _ in 0..count {
            let id = input.u16_le()?;
            let syntaxes = input.u8()?;
            input.take(1)?;
            let uuid = self::uuid(&input.array()?);
            let version = (input.u16_le()?, input.u16_le()?);
            let (mut ndr, mut features) = (false, false);
            for _ in 0..syntaxes {
                let bytes: [u8; 16] = input.array()?;
                let version = input.u32_le()?;
                ndr |= self::uuid(&bytes) == NDR && version == 2;
                features |= bytes.starts_with(&FEATURES);
            }
            contexts.push(Context { id, uuid, version, ndr, features });
        }
        Ok(Self { receives, group, contexts })
    }
}

/// A UUID as a number that is written as the UUID is (C706, appendix A: three parts have their little end first).
fn uuid(bytes: &[u8; 16]) -> u128 {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    let [i, j, k, l, m, n, o, p] = rest;
    u128::from_be_bytes([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

/// A UUID as people write it.
pub(crate) fn written(uuid: u128) -> String {
    let digits = format!("{uuid:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// What becomes of a context (section 2.2.2.4 and C706, section 12.6.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be used.
    Accepted,
    /// There is no such interface.
    NoInterface,
    /// Its arguments would be in a syntax that is not spoken.
    NoSyntax,
    /// Features, all that we have of them: none.
    Features,
}

/// The answer to a bind, or to an alteration of it (`kind`): its body.
pub(crate) fn bind_ack(bind: &Bind, group: u32, address: &str, verdicts: &[Verdict]) -> Vec<u8> {
    let mut body = Vec::new();
    let size = bind.receives.min(FRAGMENT);
    body.u16(size).u16(size).u32(group);
    if address.is_empty() {
        body.u16(0);
    } else {
        body.u16(size16(address.len().saturating_add(1))).raw(address.as_bytes()).u8(0);
    }
    // The header before it is a multiple of 4, too.
    body.align(4).u8(u8::try_from(verdicts.len()).unwrap_or(u8::MAX)).zeros(3);
    for verdict in verdicts {
        let (result, reason) = match verdict {
            Verdict::Accepted => (0, 0),
            Verdict::NoInterface => (2, 1),
            Verdict::NoSyntax => (2, 2),
            Verdict::Features => (3, 0),
        };
        body.u16(result).u16(reason);
        match verdict {
            Verdict::Accepted => body.raw(&wire(NDR)).u32(2),
            _ => body.zeros(20),
        };
    }
    body
}

/// A UUID as it is sent.
fn wire(uuid: u128) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = uuid.to_be_bytes();
    let [i, j, k, l, m, n, o, p] = rest;
    [d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p]
}

/// A message with that body. `verifier`: the client's, with our token in place of its own.
pub(crate) fn message(
    kind: u8,
    flags: u8,
    call: u32,
    body: &[u8],
    verifier: Option<Verifier<'_>>,
) -> Vec<u8> {
    let mut bytes = vec![5, 0, kind, flags, 0x10, 0, 0, 0];
    bytes.u16(0).u16(0).u32(call).raw(body);
    let mut token = 0;
    if let Some(verifier) = verifier {
        let before = bytes.len();
        bytes.align(4);
        let padding = u8::try_from(bytes.len().saturating_sub(before)).unwrap_or_default();
        bytes.u8(verifier.mechanism).u8(verifier.level).u8(padding).u8(0).u32(verifier.context);
        bytes.raw(verifier.token);
        token = verifier.token.len();
    }
    let lengths = u32::from(size16(bytes.len())) | u32::from(size16(token)) << 16;
    bytes.patch_u32(8, lengths);
    bytes
}

/// What a call returned, in as many messages as the client's largest fragment needs.
pub(crate) fn responses(call: u32, context: u16, stub: &[u8], largest: u16) -> Vec<Vec<u8>> {
    let room = usize::from(largest.clamp(SMALLEST, FRAGMENT)).saturating_sub(REQUEST) & !7;
    let mut rest = stub;
    let mut flags = flag::FIRST;
    let mut messages = Vec::new();
    loop {
        let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
        if later.is_empty() {
            flags |= flag::LAST;
        }
        let mut body = Vec::new();
        body.u32(size32(rest.len())).u16(context).u16(0).raw(now);
        messages.push(message(kind::RESPONSE, flags, call, &body, None));
        if later.is_empty() {
            return messages;
        }
        (rest, flags) = (later, 0);
    }
}

/// A call that was not carried out.
pub(crate) fn fault(call: u32, context: u16, number: u32) -> Vec<u8> {
    let mut body = Vec::new();
    body.u32(32).u16(context).u16(0).u32(number).u32(0);
    message(kind::FAULT, flag::FIRST | flag::LAST | flag::NOT_DONE, call, &body, None)
}
