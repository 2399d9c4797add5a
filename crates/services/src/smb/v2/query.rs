//! Listing folders, and asking about files (MS-SMB2, sections 3.3.5.18, 3.3.5.20 and 3.3.5.21).

use haldane_core::Cx;
use haldane_wire::ntlm::filetime;

use super::{
    Answer, Session, Tree,
    file::{allocated, attributes, times},
    head::{HEAD, Request, error},
    info, structure,
};
use crate::smb::{
    bait::{Folder, Node, NodeId},
    bytes::{Put, size16, size32, units},
    disk, frame,
    open::{Object, right},
    server::Sort,
    status::Status,
};

/// Bytes of an answer before its data.
const FIXED: usize = 8;
/// Most characters of a pattern.
const LONGEST: usize = 255;
/// Flags of a listing: again from the start, one entry alone, with another pattern.
const RESTART: u8 = 1;
const SINGLE: u8 = 2;
const REOPEN: u8 = 0x10;

/// A listing under way.
#[derive(Debug)]
pub(super) struct Listing {
    pattern: String,
    /// Entries that were listed.
    position: usize,
}

impl Session {
    pub(super) fn query_directory(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<u8>, Status> {
        structure(request, 33)?;
        let (class, flags, room) = (request.u8(2)?, request.u8(3)?, request.u32(28)?);
        let pattern = units(request.buffer(24, 26)?);
        if room > tree.agreed.transfer || pattern.len() > LONGEST {
            return Err(Status::INVALID_PARAMETER);
        }
        let (handle, place) = self.opened(file, tree)?;
        let (Object::Folder(id), Sort::Files(folder)) = (&handle.open.object, &tree.share.sort) else {
            return Err(Status::INVALID_PARAMETER);
        };
        let entry = Layout::of(class).ok_or(Status::INVALID_INFO_CLASS)?;
        if handle.open.access & right::READ == 0 {
            return Err(Status::ACCESS_DENIED);
        }
        if handle.listing.is_none() || flags & REOPEN != 0 {
            let pattern = String::from_utf16_lossy(&pattern);
            let pattern = if pattern.is_empty() { "*".to_owned() } else { pattern };
            handle.listing = Some(Listing { pattern, position: 0 });
        }
        let Some(listing) = &mut handle.listing else { return Err(Status::INVALID_PARAMETER) };
        if flags & RESTART != 0 {
            listing.position = 0;
        }
        let first = listing.position == 0;
        let most = if flags & SINGLE != 0 { 1 } else { usize::MAX };
        let room = usize::try_from(room).unwrap_or_default().min(frame::MOST);
        let listed = entry.list(folder, *id, listing, (room, most));
        if !handle.open.listed {
            handle.open.listed = true;
            let status = if listed.is_err() && first { Status::NO_SUCH_FILE } else { Status::OK };
            let seen = place.used("opendir", handle.open.path.as_str(), status, cx);
            cx.report(seen.with("pattern", listing.pattern.as_str()));
        }
        match listed {
            Ok(data) => Ok(body(&data)),
            Err(Status::NO_MORE_FILES) if first => Err(Status::NO_SUCH_FILE),
            Err(status) => Err(status),
        }
    }

    pub(super) fn query_info(&mut self, request: &Request<'_>, file: u64, tree: &Tree<'_>) -> Answer {
        match self.about(request, file, tree) {
            Ok((status, data)) if status == Status::BUFFER_TOO_SMALL => Answer::Reply(status, error(&data)),
            Ok((status, data)) => Answer::Reply(status, body(&data)),
            Err(status) => Err(status).into(),
        }
    }

    fn about(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
    ) -> Result<(Status, Vec<u8>), Status> {
        structure(request, 41)?;
        let (kind, class, room, extra) = (request.u8(2)?, request.u8(3)?, request.u32(4)?, request.u32(16)?);
        let room = usize::try_from(room).unwrap_or_default();
        let (handle, _) = self.opened(file, tree)?;
        let mut info = match kind {
            1 => info::file(class, &handle.open, tree)?,
            2 => {
                let made = match &tree.share.sort {
                    Sort::Files(folder) => disk::made(folder),
                    Sort::Closed | Sort::Pipes => return Err(Status::INVALID_DEVICE_REQUEST),
                };
                info::volume(class, filetime(made), tree)?
            }
            3 => {
                let bytes = info::security(extra, &handle.open)?;
                if bytes.len() > room {
                    return Ok((Status::BUFFER_TOO_SMALL, size32(bytes.len()).to_le_bytes().to_vec()));
                }
                return Ok((Status::OK, bytes));
            }
            4 => return Err(Status::ACCESS_DENIED),
            _ => return Err(Status::INVALID_PARAMETER),
        };
        if info.fixed > room {
            return Err(Status::INFO_LENGTH_MISMATCH);
        }
        let status = if info.bytes.len() > room { Status::BUFFER_OVERFLOW } else { Status::OK };
        info.bytes.truncate(room);
        Ok((status, info.bytes))
    }

    /// Refused, and recorded by what it would have done.
    pub(super) fn set_info(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<u8>, Status> {
        structure(request, 33)?;
        let (kind, class, length) = (request.u8(2)?, request.u8(3)?, request.u32(4)?);
        let data = request.part(request.u16(8)?, length).ok_or(Status::INVALID_PARAMETER)?;
        let (handle, place) = self.opened(file, tree)?;
        if matches!(handle.open.object, Object::Pipe(_)) {
            // How it is read, and how much fits, may be said.
            return if kind == 1 && class == 23 { Ok(vec![2, 0]) } else { Err(Status::INVALID_PARAMETER) };
        }
        let action = match (kind, class) {
            (1, 4) => "ntimes",
            (1, 10 | 65) => "renameat",
            (1, 11) => "linkat",
            (1, 13 | 64) => "unlinkat",
            (1, 19 | 20) => "ftruncate",
            (1, 15) => "fsetxattr",
            (3, _) => "fset_nt_acl",
            _ => return Err(Status::INVALID_INFO_CLASS),
        };
        let mut seen = place.used(action, handle.open.path.as_str(), Status::ACCESS_DENIED, cx);
        if matches!(action, "renameat" | "linkat") {
            let name = data.get(20..).unwrap_or_default();
            seen = seen.with("target", haldane_wire::ntlm::utf8(name));
        }
        cx.report(seen);
        Err(Status::ACCESS_DENIED)
    }
}

/// An answer with data.
fn body(data: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(FIXED.saturating_add(data.len()));
    body.u16(9).u16(size16(HEAD.saturating_add(FIXED))).u32(size32(data.len())).raw(data);
    if data.is_empty() {
        body.u8(0);
    }
    body
}

/// How entries are written (MS-FSCC, section 2.4, by class).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Directory,
    Full,
    Both,
    Names,
    IdBoth,
    IdFull,
    IdExtended,
}

impl Layout {
    fn of(class: u8) -> Option<Self> {
        Some(match class {
            1 => Self::Directory,
            2 => Self::Full,
            3 => Self::Both,
            12 => Self::Names,
            37 => Self::IdBoth,
            38 => Self::IdFull,
            60 => Self::IdExtended,
            _ => return None,
        })
    }

    /// Entries from where the listing stands, as many as there is room for.
    fn list(
        self,
        folder: &Folder,
        id: NodeId,
        listing: &mut Listing,
        (room, most): (usize, usize),
    ) -> Result<Vec<u8>, Status> {
        let here = folder.node(id).ok_or(Status::FILE_CLOSED)?;
        let above = folder.node(here.parent).unwrap_or(here);
        let dots =
            if matches!(listing.pattern.as_str(), "*" | "*.*" | "<" | "<.*" | "<.\"*") { 2 } else { 0 };
        let dotted = [(".", here), ("..", above)].into_iter().take(dots);
        let inside = folder.list(id, &listing.pattern).map(|node| (node.name.as_str(), node));
        let (mut data, mut last, mut count) = (Vec::new(), 0, 0_usize);
        for (name, node) in dotted.chain(inside).skip(listing.position) {
            let entry = self.entry(name, node);
            let start = data.len().next_multiple_of(8);
            if count >= most || start.saturating_add(entry.len()) > room {
                if count == 0 {
                    return Err(Status::INFO_LENGTH_MISMATCH);
                }
                break;
            }
            if count > 0 {
                data.patch_u32(last, size32(start.saturating_sub(last)));
            }
            data.align(8).raw(&entry);
            last = start;
            count = count.saturating_add(1);
        }
        listing.position = listing.position.saturating_add(count);
        if count == 0 { Err(Status::NO_MORE_FILES) } else { Ok(data) }
    }

    fn entry(self, name: &str, node: &Node) -> Vec<u8> {
        let length = size32(name.encode_utf16().count().saturating_mul(2));
        let mut entry = Vec::new();
        // Where the next is; and a place in the folder, which NTFS does not tell.
        entry.u32(0).u32(0);
        if self == Self::Names {
            entry.u32(length).wide(name);
            return entry;
        }
        entry.raw(&times(node)).u64(node.size).u64(allocated(node)).u32(attributes(node)).u32(length);
        if self != Self::Directory {
            entry.u32(0);
        }
        if matches!(self, Self::Both | Self::IdBoth) {
            let short: Vec<u8> = if name == node.name { node.short.as_str() } else { "" }
                .encode_utf16()
                .take(12)
                .flat_map(u16::to_le_bytes)
                .collect();
            let room = 24_usize.saturating_sub(short.len());
            entry.u8(u8::try_from(short.len()).unwrap_or_default()).u8(0).raw(&short).zeros(room);
        }
        match self {
            Self::IdBoth => {
                entry.u16(0).u64(disk::number(node));
            }
            Self::IdFull => {
                entry.u32(0).u64(disk::number(node));
            }
            Self::IdExtended => {
                entry.u32(0).u64(disk::number(node)).u64(0);
            }
            _ => {}
        }
        entry.wide(name);
        entry
    }
}
