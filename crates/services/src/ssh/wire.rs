//! The data types of RFC 4251, section 5.

use haldane_core::{Halt, Input};

/// Writes the types.
pub(super) trait Put {
    /// A `uint32`.
    fn put_u32(&mut self, value: u32);
    /// A `string`.
    fn put_string(&mut self, bytes: impl AsRef<[u8]>);
    /// An `mpint` that is not negative, from its bytes, most significant first.
    fn put_mpint(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_string(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.put_u32(length(bytes));
        self.extend_from_slice(bytes);
    }

    fn put_mpint(&mut self, bytes: &[u8]) {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default();
        let sign = bytes.first().is_some_and(|first| first & 0x80 != 0);
        self.put_u32(length(bytes).saturating_add(sign.into()));
        if sign {
            self.push(0);
        }
        self.extend_from_slice(bytes);
    }
}

/// The length of what we hold: bounded by the frame limit, so far below 2³².
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// As a size of this machine.
pub(super) fn size(length: u32) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// Takes a `string`.
pub(super) fn string<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    let length = input.u32()?;
    input.take(size(length))
}

/// Whether a real server takes it as text: a NUL may stand at its end alone.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    !bytes.strip_suffix(b"\0").unwrap_or(bytes).contains(&0)
}

/// Text without the NUL that may end it.
pub(super) fn text(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(b"\0").unwrap_or(bytes)
}

/// Takes an `mpint` that is not negative: its bytes, without the leading zero.
pub(super) fn mpint<'a>(input: &mut Input<'a>) -> Result<&'a [u8], Halt> {
    match string(input)? {
        [first, ..] if first & 0x80 != 0 => Err(Halt::Malformed("a negative number")),
        [0, rest @ ..] => Ok(rest),
        bytes => Ok(bytes),
    }
}

/// Nothing may be left.
pub(super) fn end(input: &Input<'_>) -> Result<(), Halt> {
    match input.is_empty() {
        true => Ok(()),
        false => Err(Halt::Malformed("bytes after the end")),
    }
}

/// The names of a `name-list`.
pub(super) fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
}

/// Numbers of messages (RFC 4250, section 4.1, and the drafts of each extension).
pub(super) mod message {
    pub(in super::super) const DISCONNECT: u8 = 1;
    pub(in super::super) const IGNORE: u8 = 2;
    pub(in super::super) const UNIMPLEMENTED: u8 = 3;
    pub(in super::super) const DEBUG: u8 = 4;
    pub(in super::super) const SERVICE_REQUEST: u8 = 5;
    pub(in super::super) const SERVICE_ACCEPT: u8 = 6;
    pub(in super::super) const EXT_INFO: u8 = 7;
    pub(in super::super) const KEXINIT: u8 = 20;
    pub(in super::super) const NEWKEYS: u8 = 21;
    /// Also ECDH_INIT and HYBRID_INIT.
    pub(in super::super) const KEXDH_INIT: u8 = 30;
    /// Also ECDH_REPLY, HYBRID_REPLY, and GROUP of the group exchange.
    pub(in super::super) const KEXDH_REPLY: u8 = 31;
    pub(in super::super) const GEX_INIT: u8 = 32;
    pub(in super::super) const GEX_REPLY: u8 = 33;
    pub(in super::super) const GEX_REQUEST: u8 = 34;
    pub(in super::super) const USERAUTH_REQUEST: u8 = 50;
    pub(in super::super) const USERAUTH_FAILURE: u8 = 51;
    pub(in super::super) const USERAUTH_SUCCESS: u8 = 52;
    pub(in super::super) const USERAUTH_BANNER: u8 = 53;
    pub(in super::super) const INFO_REQUEST: u8 = 60;
    pub(in super::super) const INFO_RESPONSE: u8 = 61;
    /// PROTOCOL of OpenSSH, section 1.9.
    pub(in super::super) const PING: u8 = 192;
    pub(in super::super) const PONG: u8 = 193;
}
