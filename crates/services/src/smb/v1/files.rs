//! Files and pipes: opened, read, closed, asked about; and what would change something, which is refused (MS-CIFS,
//! section 2.2.4).

use std::{collections::BTreeMap, sync::Arc};

use haldane_core::{Cx, Value};

use super::{
    super::{
        bait::{Missing, NodeId},
        bytes::{Put, size16, size32},
        disk,
        open::{Object, Open, Wish, attribute, right},
        server::{Server, Who},
        status::Status,
    },
    Call, Dialogue, Done, Stop,
    attack::ETERNAL_ROMANCE,
    command, free,
    info::{Facts, units},
    most,
};

/// The first number that Windows gives to what is open.
const FIRST: u16 = 0x4000;
/// Most bytes that one read gives: what the length's two fields can tell in a packet.
const LARGEST: usize = 0x1_ff00;
/// Words of the answer to an opening that tells rights, as Windows counts them and as they are (MS-SMB, section
/// 2.2.4.9.2).
const COUNTED: u8 = 42;
/// In the flags of an opening: rights are wanted.
const WANTS_RIGHTS: u32 = 0x10;
/// Modes of a write: the start of a message, and raw, with its length before it.
const RAW_START: u16 = 0x0c;
const RAW: u16 = 0x04;

/// Something that is open.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) open: Open,
    pub(super) tid: u16,
    pub(super) who: Arc<Who>,
}

/// Why a path leads nowhere.
pub(super) fn why(missing: Missing) -> Status {
    match missing {
        Missing::Name | Missing::Stream => Status::OBJECT_NAME_NOT_FOUND,
        Missing::Path => Status::OBJECT_PATH_NOT_FOUND,
        Missing::Invalid => Status::OBJECT_NAME_INVALID,
    }
}

impl Dialogue {
    /// What is open under that number in this share.
    pub(super) fn held(&self, fid: u16, call: &Call<'_, '_>) -> Result<&Held, Status> {
        self.opens.get(&fid).filter(|held| held.tid == call.reply.tid).ok_or(Status::INVALID_HANDLE)
    }

    /// The path of it.
    pub(super) fn path(&self, fid: u16, call: &Call<'_, '_>) -> Result<String, Status> {
        self.held(fid, call).map(|held| held.open.path.clone())
    }

    /// Opens something. Returns its number.
    fn open(&mut self, path: &[u8], wish: Wish, call: &mut Call<'_, '_>) -> Result<u16, Stop> {
        let who = self.who(call)?;
        let (number, share) = self.share(call)?;
        if self.opens.len() >= most::OPENS {
            return Err(Status::TOO_MANY_OPENED_FILES.into());
        }
        let path = String::from_utf8_lossy(path);
        let place = self.place(call.server, &who, &share.name);
        let open = Open::new((number, share), &units(&path), wish, place, call.cx)?;
        let fid = free(&self.opens, FIRST);
        self.opens.insert(fid, Held { open, tid: call.reply.tid, who });
        Ok(fid)
    }

    /// NT_CREATE_ANDX (section 2.2.4.64; MS-SMB, section 2.2.4.9).
    pub(super) fn nt_create(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        // The chain, a byte that means nothing, the length of the name.
        words.take(7)?;
        let (flags, root) = (words.u32_le()?, words.u32_le()?);
        let access = words.u32_le()?;
        // Size and attributes of a new file, and with whom it is shared.
        words.take(16)?;
        let wish = Wish { access, disposition: words.u32_le()?, options: words.u32_le()? };
        let mut path = call.block.texts().text();
        if let Some(root) = u16::try_from(root).ok().filter(|root| *root != 0) {
            path = [self.path(root, call)?.as_bytes(), b"\\", &path].concat();
        }
        let fid = self.open(&path, wish, call)?;
        let (_, share) = self.share(call)?;
        let held = self.held(fid, call)?;
        let pipe = matches!(held.open.object, Object::Pipe(_));
        let mut words = Vec::new();
        // No lock of the client's; opened, not made.
        words.u8(0).u16(fid).u32(1);
        let facts = held.open.node(share).map(Facts::of);
        match &facts {
            Some(facts) => {
                facts.times(&mut words);
                words.u32(facts.attributes()).u64(facts.allocated()).u64(facts.size);
            }
            None => {
                words.zeros(32).u32(attribute::NORMAL).u64(disk::CLUSTER.into()).u64(0);
            }
        }
        let folder = facts.as_ref().is_some_and(|facts| facts.folder);
        // A pipe of messages, or a disk; a pipe's state.
        words.u16(if pipe { 2 } else { 0 }).u16(if pipe { 0x05ff } else { 7 }).u8(folder.into());
        if flags & WANTS_RIGHTS != 0 {
            words.zeros(16).u64(facts.as_ref().map_or(0, |facts| facts.id)).u32(right::GRANTED).u32(0);
            call.reply.block_of(COUNTED, command::NT_CREATE_ANDX, true, &words);
        } else {
            call.reply.block(command::NT_CREATE_ANDX, true, &words);
        }
        Ok(Done::Answered)
    }

    /// OPEN_ANDX (section 2.2.4.41).
    pub(super) fn open_andx(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(6)?;
        let mode = words.u16_le()?;
        words.take(8)?;
        let function = words.u16_le()?;
        let path = call.block.texts().text();
        let fid = self.open(&path, old_wish(mode, function), call)?;
        let (_, share) = self.share(call)?;
        let held = self.held(fid, call)?;
        let pipe = matches!(held.open.object, Object::Pipe(_));
        let mut words = Vec::new();
        words.u16(fid);
        match held.open.node(share).map(Facts::of) {
            Some(facts) => {
                let size = u32::try_from(facts.size).unwrap_or(u32::MAX);
                words.u16(size16(usize::try_from(facts.attributes()).unwrap_or_default()));
                words.u32(facts.written()).u32(size);
            }
            None => {
                words.zeros(10);
            }
        }
        // Reading is granted; disk or pipe; opened, not made.
        words.u16(0).u16(if pipe { 2 } else { 0 }).u16(if pipe { 0x05ff } else { 0 }).u16(1).zeros(6);
        call.reply.block(command::OPEN_ANDX, true, &words);
        Ok(Done::Answered)
    }

    /// OPEN (section 2.2.4.3).
    pub(super) fn open_old(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mode = call.block.words().u16_le()?;
        let path = call.block.texts().formatted();
        let fid = self.open(&path, old_wish(mode, 1), call)?;
        let (_, share) = self.share(call)?;
        let held = self.held(fid, call)?;
        let mut words = Vec::new();
        words.u16(fid);
        match held.open.node(share).map(Facts::of) {
            Some(facts) => {
                words.u16(size16(usize::try_from(facts.attributes()).unwrap_or_default()));
                words.u32(facts.written()).u32(u32::try_from(facts.size).unwrap_or(u32::MAX));
            }
            None => {
                words.zeros(10);
            }
        }
        words.u16(0);
        call.reply.block(command::OPEN, false, &words);
        Ok(Done::Answered)
    }

    /// CREATE and CREATE_NEW (sections 2.2.4.4 and 2.2.4.16).
    pub(super) fn create_old(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let path = call.block.texts().formatted();
        // To be made, and written.
        let wish = Wish { access: right::READ | 2, disposition: 5, options: 0x40 };
        self.open(&path, wish, call)?;
        Err(Status::ACCESS_DENIED.into())
    }

    /// READ_ANDX (section 2.2.4.42; MS-SMB, section 2.2.4.2).
    pub(super) fn read_andx(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(4)?;
        let (fid, low) = (words.u16_le()?, words.u32_le()?);
        let count = words.u16_le()?;
        words.take(2)?;
        // For a pipe this is how long to wait.
        let high = words.u16_le()?;
        words.take(4)?;
        let offset = u64::from(words.u32_le().unwrap_or_default()) << 32 | u64::from(low);
        let high = if high == u16::MAX { 0 } else { usize::from(high) };
        let most = (high << 16 | usize::from(count)).min(LARGEST);
        let data = self.read(fid, offset, most, call)?;
        let at = call.reply.bytes_at(true, 20).saturating_add(1);
        let length = size32(data.len()).to_le_bytes();
        let [low, high] = [[length[0], length[1]], [length[2], length[3]]].map(u16::from_le_bytes);
        let mut words = Vec::new();
        words.u16(0xffff).u16(0).u16(0).u16(low).u16(size16(at)).u16(high).zeros(8);
        call.reply.block(command::READ_ANDX, true, &words);
        call.reply.raw(&[0]);
        call.reply.raw(&data);
        Ok(Done::Answered)
    }

    /// READ (section 2.2.4.11).
    pub(super) fn read_old(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        let (fid, count, offset) = (words.u16_le()?, words.u16_le()?, words.u32_le()?);
        let data = self.read(fid, offset.into(), count.into(), call)?;
        let length = size16(data.len()).to_le_bytes();
        call.reply.block(command::READ, false, &[&length[..], &[0; 8]].concat());
        call.reply.raw(&[&[1], &length[..], &data].concat());
        Ok(Done::Answered)
    }

    /// What is in a file, or waits in a pipe.
    fn read(&mut self, fid: u16, offset: u64, most: usize, call: &mut Call<'_, '_>) -> Result<Vec<u8>, Stop> {
        let held = self.held(fid, call)?;
        let id: NodeId = match &held.open.object {
            Object::Folder(_) => return Err(Status::INVALID_DEVICE_REQUEST.into()),
            Object::Pipe(_) => {
                let (status, data) = self.pipe_read(fid, most, call)?;
                if data.is_empty() && most > 0 {
                    return Err(Status::PIPE_EMPTY.into());
                }
                call.reply.status = status;
                return Ok(data);
            }
            Object::File(_) if held.open.access & right::LOOKS == 0 => {
                return Err(Status::ACCESS_DENIED.into());
            }
            Object::File(id) => *id,
        };
        let folder = self.folder(call)?;
        // What cannot be read any more is at its end.
        let data = folder.read(id, offset, most).unwrap_or_default();
        if let Some(held) = self.opens.get_mut(&fid) {
            held.open.read = held.open.read.saturating_add(u64::try_from(data.len()).unwrap_or_default());
        }
        Ok(data)
    }

    /// WRITE_ANDX (section 2.2.4.43).
    pub(super) fn write_andx(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(4)?;
        let fid = words.u16_le()?;
        words.take(8)?;
        let mode = words.u16_le()?;
        words.take(2)?;
        let (high, low) = (words.u16_le()?, words.u16_le()?);
        let at = usize::from(words.u16_le()?);
        if mode & RAW != 0 && self.waiting.has(fid) {
            // The number of a file, taken for that of a transaction that is under way.
            self.attack(ETERNAL_ROMANCE, "write into a transaction", call.cx);
        }
        let length = usize::from(high) << 16 | usize::from(low);
        let data = call.block.part_or_less(at, length);
        let message = if mode & RAW_START == RAW_START { data.get(2..).unwrap_or_default() } else { data };
        self.write(fid, message, call)?;
        let mut words = Vec::new();
        words.u16(low).u16(0).u16(high).u16(0);
        call.reply.block(command::WRITE_ANDX, true, &words);
        Ok(Done::Answered)
    }

    /// WRITE (section 2.2.4.12).
    pub(super) fn write_old(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        let (fid, count) = (words.u16_le()?, words.u16_le()?);
        // Before the data, its form and its length.
        let data = call.block.bytes.get(3..).unwrap_or_default();
        self.write(fid, data, call)?;
        call.reply.block(command::WRITE, false, &count.to_le_bytes());
        Ok(Done::Answered)
    }

    /// Pipes take it, files do not.
    fn write(&mut self, fid: u16, data: &[u8], call: &mut Call<'_, '_>) -> Result<(), Stop> {
        let held = self.held(fid, call)?;
        if let Object::Pipe(_) = held.open.object {
            return Ok(self.pipe_write(fid, data, call)?);
        }
        let path = held.open.path.clone();
        let length = Value::from(data.len());
        Err(self.refused("pwrite", path.as_bytes(), length, call)?.into())
    }

    /// CLOSE (section 2.2.4.5).
    pub(super) fn close(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let fid = call.block.words().u16_le()?;
        self.held(fid, call)?;
        if let Some(held) = self.opens.remove(&fid) {
            self.closed(&held, call.server, call.cx);
        }
        call.reply.block(command::CLOSE, false, &[]);
        Ok(Done::Answered)
    }

    /// Closes all that fit, and tells the last of each.
    pub(super) fn close_those(&mut self, fits: impl Fn(&Held) -> bool, server: &Server, cx: &mut Cx<'_>) {
        let (gone, stay): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.opens).into_iter().partition(|(_, held)| fits(held));
        self.opens = stay;
        gone.values().for_each(|held| self.closed(held, server, cx));
    }

    /// The last that is told of what was open.
    pub(super) fn closed(&self, held: &Held, server: &Server, cx: &mut Cx<'_>) {
        let share = server.shares.get(held.open.share);
        let name = share.map_or("", |share| share.name.as_str());
        held.open.close(self.place(server, &held.who, name), cx);
    }

    /// FLUSH, LOCKING_ANDX and the like: nothing to do for what is open.
    pub(super) fn nothing(
        &mut self,
        skipped: usize,
        chained: bool,
        call: &mut Call<'_, '_>,
    ) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(skipped)?;
        let fid = words.u16_le()?;
        // All that is open, with FLUSH.
        if fid != u16::MAX {
            self.held(fid, call)?;
        }
        call.reply.block(call.block.command, chained, &[]);
        Ok(Done::Answered)
    }

    /// DELETE, DELETE_DIRECTORY, CREATE_DIRECTORY, SET_INFORMATION: what has a path alone.
    pub(super) fn change(&mut self, action: &'static str, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let path = call.block.texts().formatted();
        Err(self.refused(action, &path, Value::Null, call)?.into())
    }

    /// RENAME and NT_RENAME (sections 2.2.4.8 and 2.2.4.66).
    pub(super) fn rename(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut texts = call.block.texts();
        let (from, to) = (texts.formatted(), texts.formatted());
        Err(self.refused("renameat", &from, to.into(), call)?.into())
    }

    /// Reports what was to be changed. `more`: to what. Returns why that cannot be.
    pub(super) fn refused(
        &mut self,
        action: &'static str,
        path: &[u8],
        more: Value,
        call: &mut Call<'_, '_>,
    ) -> Result<Status, Status> {
        let who = self.who(call)?;
        let (_, share) = self.share(call)?;
        let path = String::from_utf8_lossy(path).trim_start_matches('\\').to_owned();
        let found = self.folder(call)?.find(&units(&path)).map_err(why);
        let status = match found {
            Ok(_) if action == "mkdirat" => Status::OBJECT_NAME_COLLISION,
            Ok(_) => Status::ACCESS_DENIED,
            // To be made, or all that fit.
            Err(Status::OBJECT_NAME_NOT_FOUND) if action == "mkdirat" => Status::ACCESS_DENIED,
            Err(Status::OBJECT_NAME_INVALID) if path.contains(['*', '?']) => Status::ACCESS_DENIED,
            Err(status) => status,
        };
        let mut seen =
            self.place(call.server, &who, &share.name).used(action, path.as_str(), status, call.cx);
        seen = match more {
            Value::Null => seen,
            more @ Value::Int(_) => seen.with("bytes", more),
            more => seen.with("target", more),
        };
        call.cx.report(seen);
        Ok(status)
    }

    /// CHECK_DIRECTORY (section 2.2.4.17).
    pub(super) fn check(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let path = call.block.texts().formatted();
        let folder = self.folder(call)?;
        let id = folder.find(&units(&String::from_utf8_lossy(&path))).map_err(why)?;
        if !folder.node(id).is_some_and(|node| node.folder) {
            return Err(Status::NOT_A_DIRECTORY.into());
        }
        call.reply.block(command::CHECK_DIRECTORY, false, &[]);
        Ok(Done::Answered)
    }

    /// QUERY_INFORMATION (section 2.2.4.9).
    pub(super) fn query_old(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let path = call.block.texts().formatted();
        let folder = self.folder(call)?;
        let id = folder.find(&units(&String::from_utf8_lossy(&path))).map_err(why)?;
        let facts = folder.node(id).map(Facts::of).ok_or(Status::OBJECT_NAME_NOT_FOUND)?;
        let mut words = Vec::new();
        words.u16(size16(usize::try_from(facts.attributes()).unwrap_or_default()));
        words.u32(facts.written()).u32(u32::try_from(facts.size).unwrap_or(u32::MAX)).zeros(10);
        call.reply.block(command::QUERY_INFORMATION, false, &words);
        Ok(Done::Answered)
    }

    /// QUERY_INFORMATION_DISK (section 2.2.4.57): as much as its fields can tell.
    pub(super) fn disk(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        self.folder(call)?;
        let numbers: [u16; 5] = [0xffff, 64, 512, 0xffff, 0];
        let words: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        call.reply.block(command::QUERY_INFORMATION_DISK, false, &words);
        Ok(Done::Answered)
    }
}

/// How old clients wish to open (section 2.2.4.3.1: `AccessMode`; 2.2.4.41.1: `OpenMode`).
fn old_wish(mode: u16, function: u16) -> Wish {
    let access = match mode & 7 {
        1 => 2,
        2 => right::READ | 2,
        3 => right::EXECUTE,
        _ => right::READ,
    };
    // If it is there: fail, open, empty it. If not: fail, make it.
    let disposition = match (function & 3, function & 0x10 != 0) {
        (0, _) => 2,
        (1, true) => 3,
        (2, false) => 4,
        (2, true) => 5,
        _ => 1,
    };
    Wish { access, disposition, options: 0x40 }
}
