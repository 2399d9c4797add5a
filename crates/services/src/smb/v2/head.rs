//! The head of each message (MS-SMB2, section 2.2.1).

use crate::smb::{
    bytes::{Put, part, u16_at, u32_at, u64_at},
    status::Status,
};

/// Bytes of a head.
pub(super) const HEAD: usize = 64;

/// Commands.
pub(super) mod command {
    pub(in crate::smb::v2) const NEGOTIATE: u16 = 0;
    pub(in crate::smb::v2) const SESSION_SETUP: u16 = 1;
    pub(in crate::smb::v2) const LOGOFF: u16 = 2;
    pub(in crate::smb::v2) const TREE_CONNECT: u16 = 3;
    pub(in crate::smb::v2) const TREE_DISCONNECT: u16 = 4;
    pub(in crate::smb::v2) const CREATE: u16 = 5;
    pub(in crate::smb::v2) const CLOSE: u16 = 6;
    pub(in crate::smb::v2) const FLUSH: u16 = 7;
    pub(in crate::smb::v2) const READ: u16 = 8;
    pub(in crate::smb::v2) const WRITE: u16 = 9;
    pub(in crate::smb::v2) const LOCK: u16 = 10;
    pub(in crate::smb::v2) const IOCTL: u16 = 11;
    pub(in crate::smb::v2) const CANCEL: u16 = 12;
    pub(in crate::smb::v2) const ECHO: u16 = 13;
    pub(in crate::smb::v2) const QUERY_DIRECTORY: u16 = 14;
    pub(in crate::smb::v2) const CHANGE_NOTIFY: u16 = 15;
    pub(in crate::smb::v2) const QUERY_INFO: u16 = 16;
    pub(in crate::smb::v2) const SET_INFO: u16 = 17;
    pub(in crate::smb::v2) const OPLOCK_BREAK: u16 = 18;
}

/// Flags.
pub(super) mod flag {
    pub(in crate::smb::v2) const RESPONSE: u32 = 1;
    pub(in crate::smb::v2) const ASYNC: u32 = 2;
    pub(in crate::smb::v2) const RELATED: u32 = 4;
    pub(in crate::smb::v2) const SIGNED: u32 = 8;
}

/// What a head says. In an asynchronous message, `place` is its id, else process and tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) charge: u16,
    pub(super) command: u16,
    pub(super) credits: u16,
    pub(super) flags: u32,
    pub(super) next: u32,
    pub(super) message: u64,
    pub(super) place: u64,
    pub(super) session: u64,
}

impl Head {
    /// `None` if the bytes have no head.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let head =
            bytes.get(..HEAD).filter(|head| head.starts_with(b"\xfeSMB") && head.get(4) == Some(&64))?;
        Some(Self {
            charge: u16_at(head, 6)?,
            command: u16_at(head, 12)?,
            credits: u16_at(head, 14)?,
            flags: u32_at(head, 16)?,
            next: u32_at(head, 20)?,
            message: u64_at(head, 24)?,
            place: u64_at(head, 32)?,
            session: u64_at(head, 40)?,
        })
    }

    /// The tree, of a message that is not asynchronous.
    pub(super) fn tree(&self) -> u32 {
        u32::try_from(self.place >> 32).unwrap_or_default()
    }

    /// The answer to this: its head and body.
    pub(super) fn answer(&self, status: Status, credits: u16, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEAD.saturating_add(body.len()));
        message.raw(b"\xfeSMB").u16(64).u16(self.charge).u32(status.0).u16(self.command).u16(credits);
        message.u32(self.flags & (flag::RELATED | flag::ASYNC) | flag::RESPONSE).u32(0).u64(self.message);
        message.u64(self.place).u64(self.session).zeros(16).raw(body);
        message
    }
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) head: Head,
    /// From the head on: offsets count from there.
    pub(super) message: &'a [u8],
    /// What follows the head.
    pub(super) body: &'a [u8],
}

impl<'a> Request<'a> {
    /// What lies at an offset that counts from the head.
    pub(super) fn part(&self, at: impl Into<u64>, length: impl Into<u64>) -> Option<&'a [u8]> {
        let (at, length) = (usize::try_from(at.into()).ok()?, usize::try_from(length.into()).ok()?);
        if length == 0 { Some(&[]) } else { part(self.message, at, length).filter(|_| at >= HEAD) }
    }

    pub(super) fn u8(&self, at: usize) -> Result<u8, Status> {
        self.body.get(at).copied().ok_or(Status::INVALID_PARAMETER)
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16, Status> {
        u16_at(self.body, at).ok_or(Status::INVALID_PARAMETER)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, Status> {
        u32_at(self.body, at).ok_or(Status::INVALID_PARAMETER)
    }

    pub(super) fn u64(&self, at: usize) -> Result<u64, Status> {
        u64_at(self.body, at).ok_or(Status::INVALID_PARAMETER)
    }

    /// The buffer that an offset of two bytes at `offset` and a length of two bytes at `length` name.
    pub(super) fn buffer(&self, offset: usize, length: usize) -> Result<&'a [u8], Status> {
        self.part(self.u16(offset)?, self.u16(length)?).ok_or(Status::INVALID_PARAMETER)
    }
}

/// The body of an answer that is an error (section 2.2.2), with what it has to say.
pub(super) fn error(data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    body.u16(9).u16(0).u32(crate::smb::bytes::size32(data.len())).raw(data);
    if data.is_empty() {
        body.u8(0);
    }
    body
}
