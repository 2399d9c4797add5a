//! Control codes (MS-SMB2, sections 2.2.31, 2.2.32 and 3.3.5.15).

use std::net::IpAddr;

use haldane_core::Cx;

use super::{
    Answer, Related, Session, Tree,
    head::{HEAD, Request},
    negotiate::Agreed,
    structure,
};
use crate::smb::{
    bytes::{Put, size32, u16_at, u32_at},
    frame,
    open::Object,
    status::Status,
};

/// Bytes of an answer before its data.
const FIXED: usize = 48;
/// The only flag: it is a control code of the file system.
const FSCTL: u32 = 1;
/// Of a file that there is none.
const NO_FILE: u64 = u64::MAX;

/// Codes.
mod code {
    pub(super) const DFS_REFERRALS: u32 = 0x0006_0194;
    pub(super) const DFS_REFERRALS_EX: u32 = 0x0006_01b0;
    pub(super) const REPARSE_POINT: u32 = 0x0009_00a8;
    pub(super) const PIPE_PEEK: u32 = 0x0011_400c;
    pub(super) const PIPE_WAIT: u32 = 0x0011_0018;
    pub(super) const PIPE_TRANSCEIVE: u32 = 0x0011_c017;
    pub(super) const COPY_CHUNK: u32 = 0x0014_40f2;
    pub(super) const COPY_CHUNK_WRITE: u32 = 0x0014_80f2;
    pub(super) const SNAPSHOTS: u32 = 0x0014_4064;
    pub(super) const RESUME_KEY: u32 = 0x0014_0078;
    pub(super) const INTERFACES: u32 = 0x0014_01fc;
    pub(super) const VALIDATE: u32 = 0x0014_0204;
}

impl Session {
    pub(super) fn ioctl(
        &mut self,
        request: &Request<'_>,
        related: &mut Related,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Answer {
        let (code, file) = match (structure(request, 57), request.u32(4), related.of_ioctl(request)) {
            (Ok(()), Ok(code), Ok(file)) => (code, file),
            (Err(status), ..) | (_, Err(status), _) | (.., Err(status)) => return Err(status).into(),
        };
        match self.control(request, (code, file), tree, cx) {
            Ok(Done::Data(status, data)) => {
                let mut body = Vec::new();
                let at = size32(HEAD.saturating_add(FIXED));
                body.u16(49).u16(0).u32(code).u64(file).u64(file).u32(at).u32(0).u32(at);
                body.u32(size32(data.len())).u32(0).u32(0).raw(&data);
                if data.is_empty() {
                    body.u8(0);
                }
                Answer::Reply(status, body)
            }
            Ok(Done::HangUp(why)) => Answer::HangUp(why),
            Err(status) => Err(status).into(),
        }
    }

    fn control(
        &mut self,
        request: &Request<'_>,
        (code, file): (u32, u64),
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Done, Status> {
        let input = request.part(request.u32(24)?, request.u32(28)?).ok_or(Status::INVALID_PARAMETER)?;
        let most = request.u32(44)?;
        if request.u32(48)? != FSCTL {
            return Err(Status::NOT_SUPPORTED);
        }
        if most > tree.agreed.transfer {
            return Err(Status::INVALID_PARAMETER);
        }
        let most = usize::try_from(most).unwrap_or_default().min(frame::MOST);
        match code {
            // No name leads to another server.
            code::DFS_REFERRALS | code::DFS_REFERRALS_EX => return Err(Status::NOT_FOUND),
            code::VALIDATE => return tree.agreed.validate(input, tree),
            code::INTERFACES if tree.agreed.dialect >= 0x0300 => {
                return Ok(Done::Data(Status::OK, interface(cx.peer().local.ip())));
            }
            code::PIPE_WAIT => return Ok(Done::Data(Status::OK, Vec::new())),
            _ => {}
        }
        if file == NO_FILE {
            return Err(Status::FILE_CLOSED);
        }
        let (handle, place) = self.opened(file, tree)?;
        match (code, &mut handle.open.object) {
            (code::PIPE_TRANSCEIVE, Object::Pipe(pipe)) => {
                let heard = pipe.write(input, cx);
                place.heard(&handle.open.path, heard, cx);
                if pipe.is_broken() {
                    return Err(Status::PIPE_DISCONNECTED);
                }
                let (data, more) = pipe.read(most);
                let status = if more { Status::BUFFER_OVERFLOW } else { Status::OK };
                Ok(Done::Data(status, data))
            }
            (code::PIPE_PEEK, Object::Pipe(pipe)) => {
                // Connected, and so much is to be read (MS-FSCC, section 2.3.44).
                let waiting = size32(pipe.waiting());
                let mut data = Vec::new();
                data.u32(3).u32(waiting).u32(u32::from(waiting > 0)).u32(waiting);
                Ok(Done::Data(Status::OK, data))
            }
            (code::REPARSE_POINT, Object::File(_) | Object::Folder(_)) => Err(Status::NOT_A_REPARSE_POINT),
            (code::SNAPSHOTS, Object::File(_) | Object::Folder(_)) => {
                let mut data = Vec::new();
                data.u32(0).u32(0).u32(2).u16(0);
                Ok(Done::Data(Status::OK, data))
            }
            (code::RESUME_KEY, Object::File(_)) => {
                let mut data = Vec::new();
                data.u64(file).raw(&tree.server.guid).u32(0).u32(0);
                Ok(Done::Data(Status::OK, data))
            }
            (code::COPY_CHUNK | code::COPY_CHUNK_WRITE, Object::File(_)) => {
                cx.report(place.used(
                    "offload_write_send",
                    handle.open.path.as_str(),
                    Status::ACCESS_DENIED,
                    cx,
                ));
                Err(Status::ACCESS_DENIED)
            }
            _ => Err(Status::INVALID_DEVICE_REQUEST),
        }
    }
}

/// What a control code leads to.
enum Done {
    Data(Status, Vec<u8>),
    HangUp(&'static str),
}

impl Related {
    /// The file, which a request about the connection has not.
    fn of_ioctl(&mut self, request: &Request<'_>) -> Result<u64, Status> {
        let named = [request.u64(8)?, request.u64(16)?];
        if named == [NO_FILE; 2] && request.head.flags & super::flag::RELATED == 0 {
            return Ok(NO_FILE);
        }
        self.of(request, 8)
    }
}

impl Agreed {
    /// Whether the client sees the negotiation as we do (section 3.3.5.15.12). Who does not was lied to, or lies.
    fn validate(&self, input: &[u8], tree: &Tree<'_>) -> Result<Done, Status> {
        let (can, guid, mode) = self.client;
        let told = (u32_at(input, 0), input.get(4..20), u16_at(input, 20));
        if self.dialect == 0x0311 || told != (Some(can), Some(&guid[..]), Some(mode)) {
            return Ok(Done::HangUp("the negotiation is not what the client saw"));
        }
        let mut data = Vec::new();
        data.u32(self.can).raw(&tree.server.guid).u16(self.mode).u16(self.dialect);
        Ok(Done::Data(Status::OK, data))
    }
}

/// The one network card (section 2.2.32.5), with a speed of 10 Gbit/s.
fn interface(address: IpAddr) -> Vec<u8> {
    let mut data = Vec::new();
    // The next; its number; what it can (receive-side scaling); reserved; the speed.
    data.u32(0).u32(5).u32(1).u32(0).u64(10_000_000_000);
    match address {
        IpAddr::V4(address) => data.u16(2).u16(0).raw(&address.octets()).zeros(120),
        IpAddr::V6(address) => data.u16(0x17).u16(0).u32(0).raw(&address.octets()).zeros(104),
    };
    data
}
