//! Opening, reading and closing (MS-SMB2, sections 3.3.5.9 to 3.3.5.14 and 3.3.5.19); what would change something is
//! refused, and recorded.

use haldane_core::Cx;
use haldane_wire::ntlm::filetime;

use super::{
    Answer, Handle, OPENS, Session, Tree,
    head::{HEAD, Request},
    place, structure,
};
use crate::smb::{
    bait::Node,
    bytes::{Put, part, size32, u16_at, u32_at, units},
    disk, frame,
    open::{Object, Open, Wish, attribute, right},
    server::Sort,
    status::Status,
};

/// Most characters of a path (MS-FSCC, section 2.1.5).
const LONGEST: usize = 32_767;
/// Bytes of an answer to a read before its data, and to an opening before its contexts.
const READ: usize = 16;
const CREATED: usize = 88;
/// Most contexts that are looked at.
const CONTEXTS: usize = 16;
/// In a request to close: attributes are wanted.
const POSTQUERY: u16 = 1;

impl Session {
    pub(super) fn create(
        &mut self,
        request: &Request<'_>,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(u64, Vec<u8>), Status> {
        structure(request, 57)?;
        let name = units(request.buffer(44, 46)?);
        if name.len() > LONGEST {
            return Err(Status::OBJECT_NAME_INVALID);
        }
        // A name never begins with a backslash (section 3.3.5.9).
        if name.first() == Some(&u16::from(b'\\')) && matches!(tree.share.sort, Sort::Files(_)) {
            return Err(Status::INVALID_PARAMETER);
        }
        let wish =
            Wish { access: request.u32(24)?, disposition: request.u32(36)?, options: request.u32(40)? };
        if tree.opened >= OPENS {
            return Err(Status::INSUFFICIENT_RESOURCES);
        }
        let who = self.who.as_ref().ok_or(Status::USER_SESSION_DELETED)?;
        let place = place(tree.server, who, tree.version, &tree.share.name);
        let open = Open::new((tree.number, tree.share), &name, wish, place, cx)?;
        let mut body = Vec::new();
        // No oplock; it was opened, not made.
        body.u16(89).u8(0).u8(0).u32(1).raw(&facts(open.node(tree.share))).u32(0);
        body.u64(tree.id).u64(tree.id);
        let contexts = contexts(request, &open, tree);
        let at = if contexts.is_empty() { 0 } else { HEAD.saturating_add(CREATED) };
        body.u32(size32(at)).u32(size32(contexts.len())).raw(&contexts);
        if contexts.is_empty() {
            body.u8(0);
        }
        self.opens.push((tree.id, Handle { tree: request.head.tree(), open, listing: None }));
        Ok((tree.id, body))
    }

    pub(super) fn close(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<u8>, Status> {
        structure(request, 24)?;
        let (handle, place) = self.opened(file, tree)?;
        handle.open.close(place, cx);
        let mut body = Vec::new();
        let asked = request.u16(2)? & POSTQUERY != 0 && !matches!(handle.open.object, Object::Pipe(_));
        body.u16(60).u16(if asked { POSTQUERY } else { 0 }).u32(0);
        if asked {
            body.raw(&facts(handle.open.node(tree.share)));
        } else {
            body.zeros(52);
        }
        self.opens.retain(|(id, _)| *id != file);
        Ok(body)
    }

    pub(super) fn flush(&mut self, request: &Request<'_>, file: u64) -> Result<Vec<u8>, Status> {
        structure(request, 24)?;
        match self.handle(file)?.open.object {
            Object::Pipe(_) => Ok(vec![4, 0, 0, 0]),
            // Only who may write can have something to be flushed.
            Object::File(_) | Object::Folder(_) => Err(Status::ACCESS_DENIED),
        }
    }

    /// Locks are granted and mean nothing: nobody writes.
    pub(super) fn lock(&mut self, request: &Request<'_>, file: u64) -> Result<Vec<u8>, Status> {
        structure(request, 48)?;
        match self.handle(file)?.open.object {
            Object::File(_) if request.u16(2)? > 0 => Ok(vec![4, 0, 0, 0]),
            _ => Err(Status::INVALID_PARAMETER),
        }
    }

    pub(super) fn read(&mut self, request: &Request<'_>, file: u64, tree: &Tree<'_>) -> Answer {
        match self.content(request, file, tree) {
            Ok(Some((status, data))) => {
                let mut body = Vec::with_capacity(READ.saturating_add(data.len()));
                let at = u8::try_from(HEAD.saturating_add(READ)).unwrap_or_default();
                body.u16(17).u8(at).u8(0).u32(size32(data.len())).u32(0).u32(0).raw(&data);
                if data.is_empty() {
                    body.u8(0);
                }
                Answer::Reply(status, body)
            }
            Ok(None) => Answer::Wait { file },
            Err(status) => Err(status).into(),
        }
    }

    /// `None` if nothing is there to be read yet.
    fn content(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
    ) -> Result<Option<(Status, Vec<u8>)>, Status> {
        structure(request, 49)?;
        let (length, offset, least) = (request.u32(4)?, request.u64(8)?, request.u32(32)?);
        if length > tree.agreed.transfer {
            return Err(Status::INVALID_PARAMETER);
        }
        let length = usize::try_from(length).unwrap_or_default().min(frame::MOST);
        let (handle, _) = self.opened(file, tree)?;
        match (&mut handle.open.object, &tree.share.sort) {
            (Object::Pipe(pipe), _) => {
                if pipe.is_broken() {
                    return Err(Status::PIPE_DISCONNECTED);
                }
                let (data, more) = pipe.read(length);
                let status = if more { Status::BUFFER_OVERFLOW } else { Status::OK };
                Ok(Some((status, data)).filter(|(_, data)| !data.is_empty()))
            }
            (Object::File(id), Sort::Files(folder)) => {
                if handle.open.access & (right::READ | right::EXECUTE) == 0 {
                    return Err(Status::ACCESS_DENIED);
                }
                let data = folder.read(*id, offset, length).map_err(|_| Status::INTERNAL_ERROR)?;
                if data.is_empty() && length > 0 || size32(data.len()) < least.min(size32(frame::MOST)) {
                    return Err(Status::END_OF_FILE);
                }
                handle.open.read = handle.open.read.saturating_add(size32(data.len()).into());
                Ok(Some((Status::OK, data)))
            }
            _ => Err(Status::INVALID_DEVICE_REQUEST),
        }
    }

    pub(super) fn write(
        &mut self,
        request: &Request<'_>,
        file: u64,
        tree: &Tree<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Vec<u8>, Status> {
        structure(request, 49)?;
        let data = request.part(request.u16(2)?, request.u32(4)?).ok_or(Status::INVALID_PARAMETER)?;
        let (handle, place) = self.opened(file, tree)?;
        match &mut handle.open.object {
            Object::Pipe(pipe) => {
                let heard = pipe.write(data, cx);
                place.heard(&handle.open.path, heard, cx);
                let mut body = Vec::new();
                body.u16(17).u16(0).u32(size32(data.len())).zeros(8).u8(0);
                Ok(body)
            }
            Object::File(_) => {
                let seen = place.used("pwrite", handle.open.path.as_str(), Status::ACCESS_DENIED, cx);
                cx.report(seen.with("bytes", size32(data.len())));
                Err(Status::ACCESS_DENIED)
            }
            Object::Folder(_) => Err(Status::INVALID_DEVICE_REQUEST),
        }
    }

    /// Something changing is waited for in vain.
    pub(super) fn change_notify(&mut self, request: &Request<'_>, file: u64) -> Answer {
        let folder = structure(request, 32)
            .and_then(|()| self.handle(file))
            .map(|handle| matches!(handle.open.object, Object::Folder(_)));
        match folder {
            Ok(true) => Answer::Wait { file },
            Ok(false) => Err(Status::INVALID_PARAMETER).into(),
            Err(status) => Err(status).into(),
        }
    }
}

/// Times, sizes and attributes, as they stand in answers to opening and closing; a pipe has none.
fn facts(node: Option<&Node>) -> Vec<u8> {
    let mut facts = Vec::new();
    match node {
        Some(node) => {
            facts.raw(&times(node)).u64(allocated(node)).u64(node.size).u32(attributes(node));
        }
        None => {
            facts.zeros(32).u64(disk::CLUSTER.into()).u64(0).u32(attribute::NORMAL);
        }
    }
    facts
}

/// When it was made, read, written and changed.
pub(super) fn times(node: &Node) -> Vec<u8> {
    let mut times = Vec::new();
    times.u64(filetime(node.created)).u64(filetime(node.accessed));
    times.u64(filetime(node.changed)).u64(filetime(node.changed));
    times
}

/// Bytes that it takes up.
pub(super) fn allocated(node: &Node) -> u64 {
    if node.folder { 0 } else { disk::allocated(node.size) }
}

/// Its attributes.
pub(super) fn attributes(node: &Node) -> u32 {
    if node.folder { attribute::DIRECTORY } else { attribute::ARCHIVE }
}

/// The contexts that are answered: what may be done with it at most, and its number on the disk (section 2.2.14.2).
fn contexts(request: &Request<'_>, open: &Open, tree: &Tree<'_>) -> Vec<u8> {
    let (Ok(at), Ok(length)) = (request.u32(48), request.u32(52)) else { return Vec::new() };
    let mut rest = request.part(at, length).unwrap_or_default();
    let mut answers: Vec<([u8; 4], Vec<u8>)> = Vec::new();
    for _ in 0..CONTEXTS {
        let name = u16_at(rest, 4).and_then(|at| part(rest, at.into(), 4));
        let mut data = Vec::new();
        match name {
            Some(b"MxAc") => {
                data.u32(0).u32(right::GRANTED);
                answers.push((*b"MxAc", data));
            }
            Some(b"QFid") => {
                let number = open.node(tree.share).map_or(0, disk::number);
                data.u64(number).u64(disk::serial(tree.server).into()).zeros(16);
                answers.push((*b"QFid", data));
            }
            _ => {}
        }
        let next = u32_at(rest, 0).and_then(|next| usize::try_from(next).ok()).unwrap_or_default();
        match rest.get(next..) {
            Some(behind) if next > 0 => rest = behind,
            _ => break,
        }
    }
    let (mut bytes, last) = (Vec::new(), answers.len().saturating_sub(1));
    for (index, (name, data)) in answers.iter().enumerate() {
        let next = if index == last { 0 } else { data.len().saturating_add(24) };
        bytes.u32(size32(next)).u16(16).u16(4).u16(0).u16(24).u32(size32(data.len()));
        bytes.raw(name).u32(0).raw(data);
    }
    bytes
}
