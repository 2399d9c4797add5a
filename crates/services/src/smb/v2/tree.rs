//! Trees: shares that a session uses (MS-SMB2, sections 2.2.9, 2.2.10 and 3.3.5.7).

use haldane_core::Cx;

use super::{Session, TREES, head::Request, place, structure};
use crate::smb::{
    bytes::{Put, units},
    open::right,
    server::{Server, Sort},
    status::Status,
};

/// Most characters of a path to a share.
const LONGEST: usize = 512;
/// Nothing of a share is to be kept at the client's (section 2.2.10).
const NO_CACHING: u32 = 0x30;
/// What a guest may do with the pipes.
const PIPES: u32 = 0x001f_00a9;

impl Session {
    /// The share's name is what the path ends in; the machine that it names may be any.
    pub(super) fn tree_connect(
        &mut self,
        request: &mut Request<'_>,
        id: u32,
        version: &'static str,
        server: &Server,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<u8>, Status> {
        structure(request, 9)?;
        let path = units(request.buffer(4, 6)?);
        let path = String::from_utf16_lossy(path.get(..LONGEST).unwrap_or(&path));
        let name = path.rsplit('\\').next().unwrap_or_default();
        let who = self.who.as_ref().ok_or(Status::USER_SESSION_DELETED)?;
        let place = place(server, who, version, name);
        let share = server.share(name);
        let status = match share {
            None => Status::BAD_NETWORK_NAME,
            Some((_, share)) if matches!(share.sort, Sort::Closed) => Status::ACCESS_DENIED,
            Some(_) if self.trees.len() >= TREES => Status::INSUFFICIENT_RESOURCES,
            Some(_) => Status::OK,
        };
        cx.report(place.used("connect", path.as_str(), status, cx));
        let (number, share) = share.filter(|_| status.is_ok()).ok_or(status)?;
        self.trees.push((id, number));
        request.head.place = request.head.place & 0xffff_ffff | u64::from(id) << 32;
        let (sort, flags, rights) = match share.sort {
            Sort::Pipes => (2, NO_CACHING, PIPES),
            Sort::Files(_) | Sort::Closed => (1, 0, right::GRANTED),
        };
        let mut body = Vec::new();
        body.u16(16).u8(sort).u8(0).u32(flags).u32(0).u32(rights);
        Ok(body)
    }

    /// What was opened there is closed.
    pub(super) fn tree_disconnect(
        &mut self,
        tree: u32,
        version: &'static str,
        server: &Server,
        cx: &mut Cx<'_>,
    ) {
        self.trees.retain(|(id, _)| *id != tree);
        let (gone, stay) =
            std::mem::take(&mut self.opens).into_iter().partition(|(_, handle)| handle.tree == tree);
        self.opens = stay;
        let gone: Vec<(u64, super::Handle)> = gone;
        let Some(who) = &self.who else { return };
        for (_, handle) in &gone {
            if let Some(share) = server.shares.get(handle.open.share) {
                handle.open.close(place(server, who, version, &share.name), cx);
            }
        }
    }
}
