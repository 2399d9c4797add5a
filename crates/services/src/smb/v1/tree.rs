//! TREE_CONNECT_ANDX (MS-CIFS, section 2.2.4.55; MS-SMB, section 2.2.4.7) and TREE_DISCONNECT: which share is used.

use super::{
    super::{bytes::Put, disk, open::right, server::Sort, status::Status},
    Call, Dialogue, Done, FIRST, Stop, command, free, most,
};

/// In the request's flags: the answer may tell rights.
const WANTS_RIGHTS: u16 = 0x0008;
/// In the answer: the words that tell how searches and offline files are dealt with. Searches for exact attributes can be
/// had.
const SUPPORT: u16 = 0x0001;
/// Any share will do.
const ANY: &[u8] = b"?????";

/// A share that is used.
#[derive(Debug)]
pub(super) struct Tree {
    /// The share's number.
    pub(super) share: usize,
}

impl Dialogue {
    pub(super) fn connect(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let mut words = call.block.words();
        words.take(4)?;
        let (flags, password) = (words.u16_le()?, usize::from(words.u16_le()?));
        let mut texts = call.block.texts_after(password);
        let path = texts.text();
        let service = texts.bytes();
        let path = String::from_utf8_lossy(&path).into_owned();
        let name = path.rsplit('\\').next().unwrap_or_default();
        let who = self.who(call)?;
        let found = call.server.share(name);
        let status = match found {
            None => Status::BAD_NETWORK_NAME,
            Some((_, share)) => match share.sort {
                Sort::Closed => Status::ACCESS_DENIED,
                Sort::Pipes if !matches!(service, ANY | b"IPC") => Status::BAD_DEVICE_TYPE,
                Sort::Files(_) if !matches!(service, ANY | b"A:") => Status::BAD_DEVICE_TYPE,
                _ if self.trees.len() >= most::TREES => Status::INSUFFICIENT_RESOURCES,
                _ => Status::OK,
            },
        };
        let place = self.place(call.server, &who, found.map_or(name, |(_, share)| &share.name));
        call.cx.report(place.used("connect", path.as_str(), status, call.cx));
        let (number, share) = found.filter(|_| status.is_ok()).ok_or(status)?;
        call.reply.tid = free(&self.trees, FIRST);
        self.trees.insert(call.reply.tid, Tree { share: number });
        let mut words = Vec::new();
        words.u16(SUPPORT);
        if flags & WANTS_RIGHTS != 0 {
            words.u32(right::GRANTED).u32(0);
        }
        call.reply.block(command::TREE_CONNECT_ANDX, true, &words);
        let (service, system): (&[u8], _) =
            if matches!(share.sort, Sort::Pipes) { (b"IPC\0", "") } else { (b"A:\0", disk::SYSTEM) };
        call.reply.raw(service);
        call.reply.text(system);
        Ok(Done::Answered)
    }

    pub(super) fn disconnect(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let tid = call.reply.tid;
        self.trees.remove(&tid).ok_or(Status::SMB_BAD_TID)?;
        // What is open there is closed.
        self.close_those(|held| held.tid == tid, call.server, call.cx);
        self.searches.retain(|_, search| search.tid != tid);
        call.reply.block(command::TREE_DISCONNECT, false, &[]);
        Ok(Done::Answered)
    }
}
