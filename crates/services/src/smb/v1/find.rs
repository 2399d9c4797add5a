//! Searches: FIND_FIRST2 and FIND_NEXT2 (MS-CIFS, sections 2.2.6.2 and 2.2.6.3), and the forms in which files are listed
//! (section 2.2.8.1).

use haldane_core::{Input, Severity};

use super::{
    super::{
        bait::{Folder, NodeId},
        bytes::{Put, size16, size32},
        status::Status,
    },
    Call, Dialogue, Done, Stop,
    calls::{Answered, texts},
    command, free,
    info::{Facts, name},
    most,
    transaction::{Answer, Transaction},
};

/// Flags of a search: close it after this answer, close it at its end, tell where to go on, go on where it was left.
const CLOSE: u16 = 0x1;
const CLOSE_AT_END: u16 = 0x2;
const RESUME_KEYS: u16 = 0x4;
const GO_ON: u16 = 0x8;
/// In the attributes of a search: folders too.
const FOLDERS: u16 = 0x10;
/// The first number that Windows gives to a search.
const FIRST: u16 = 0x0800;

/// A search that is not at its end.
#[derive(Debug)]
pub(super) struct Search {
    folder: NodeId,
    pattern: String,
    attributes: u16,
    /// How many were listed.
    at: usize,
    pub(super) tid: u16,
}

impl Search {
    /// All that it finds, in order.
    fn found<'a>(&self, folder: &'a Folder) -> Vec<Facts<'a>> {
        let mut found = Vec::new();
        let folders = self.attributes & FOLDERS != 0;
        if folders && matches!(self.pattern.as_str(), "*" | "." | "..") {
            let this = folder.node(self.folder);
            let above = this.and_then(|node| folder.node(node.parent)).or(this);
            let dots = [(".", this), ("..", above)].into_iter();
            found.extend(dots.filter_map(|(name, node)| Some(Facts::of(node?).called(name))));
        }
        let listed = folder.list(self.folder, &self.pattern).filter(|node| folders || !node.folder);
        found.extend(listed.map(Facts::of));
        found
    }
}

/// How much of what is wanted.
struct Wanted {
    count: usize,
    flags: u16,
    level: u16,
    room: usize,
    unicode: bool,
}

impl Dialogue {
    pub(super) fn find_first(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        let mut input = Input::whole(&whole.parameters);
        let attributes = input.u16_le()?;
        let (count, flags, level) = (input.u16_le()?, input.u16_le()?, input.u16_le()?);
        input.take(4)?;
        let path = texts(&mut input, call).text();
        let path = String::from_utf8_lossy(&path).into_owned();
        let who = self.who(call)?;
        let (above, pattern) = path.rsplit_once('\\').unwrap_or(("", &path));
        let above = above.trim_start_matches('\\');
        let begun = self.begin(above, pattern, attributes, call);
        let status = begun.as_ref().err().copied().unwrap_or(Status::OK);
        let (_, share) = self.share(call)?;
        let place = self.place(call.server, &who, &share.name);
        let seen = if pattern.contains(['*', '?', '<', '>', '"']) {
            place.used("opendir", above, status, call.cx).with("pattern", pattern)
        } else {
            // Whether something is there.
            place.used("stat", path.trim_start_matches('\\'), status, call.cx).severity(Severity::Low)
        };
        call.cx.report(seen);
        let mut search = begun?;
        let wanted = wanted(count, flags, level, whole, call);
        let folder = self.folder(call)?;
        let (data, listed, last, end) = list(&search, folder, &wanted)?;
        search.at = listed;
        let sid = free(&self.searches, FIRST);
        if flags & CLOSE == 0 && !(end && flags & CLOSE_AT_END != 0) && self.searches.len() < most::SEARCHES {
            self.searches.insert(sid, search);
        }
        let mut parameters = Vec::new();
        parameters.u16(sid).u16(size16(listed)).u16(end.into()).u16(0).u16(size16(last));
        Ok(Some((Status::OK, Answer::of(parameters, data))))
    }

    /// Looks for what there is to be found.
    fn begin(
        &self,
        above: &str,
        pattern: &str,
        attributes: u16,
        call: &Call<'_, '_>,
    ) -> Result<Search, Status> {
        let folder = self.folder(call)?;
        let above: Vec<u16> = above.encode_utf16().collect();
        let id = folder.find(&above).map_err(|_| Status::OBJECT_PATH_NOT_FOUND)?;
        if !folder.node(id).is_some_and(|node| node.folder) {
            return Err(Status::OBJECT_PATH_NOT_FOUND);
        }
        // What DOS meant by "all files" is all files.
        let pattern = if pattern == "*.*" { "*" } else { pattern };
        if pattern.is_empty() {
            return Err(Status::OBJECT_NAME_INVALID);
        }
        let search =
            Search { folder: id, pattern: pattern.to_owned(), attributes, at: 0, tid: call.reply.tid };
        if search.found(folder).is_empty() { Err(Status::NO_SUCH_FILE) } else { Ok(search) }
    }

    pub(super) fn find_next(&mut self, whole: &Transaction, call: &mut Call<'_, '_>) -> Answered {
        let mut input = Input::whole(&whole.parameters);
        let (sid, count, level) = (input.u16_le()?, input.u16_le()?, input.u16_le()?);
        input.take(4)?;
        let flags = input.u16_le()?;
        let from = texts(&mut input, call).text();
        let folder = self.folder(call)?;
        let tid = call.reply.tid;
        let search = self.searches.get_mut(&sid).filter(|search| search.tid == tid);
        let search = search.ok_or(Status::INVALID_HANDLE)?;
        if flags & GO_ON == 0 && !from.is_empty() {
            // Behind the one that the client had last.
            let from = String::from_utf8_lossy(&from).to_lowercase();
            let found = search.found(folder);
            let last = found.iter().position(|facts| facts.name.to_lowercase() == from);
            search.at = last.map_or(search.at, |last| last.saturating_add(1));
        }
        let wanted = wanted(count, flags, level, whole, call);
        let (data, listed, last, end) = list(search, folder, &wanted)?;
        search.at = search.at.saturating_add(listed);
        if flags & CLOSE != 0 || end && flags & CLOSE_AT_END != 0 {
            self.searches.remove(&sid);
        }
        if listed == 0 {
            return Err(Status::NO_MORE_FILES.into());
        }
        let mut parameters = Vec::new();
        parameters.u16(size16(listed)).u16(end.into()).u16(0).u16(size16(last));
        Ok(Some((Status::OK, Answer::of(parameters, data))))
    }
}

impl Dialogue {
    /// FIND_CLOSE2 (section 2.2.4.48).
    pub(super) fn find_close(&mut self, call: &mut Call<'_, '_>) -> Result<Done, Stop> {
        let sid = call.block.words().u16_le()?;
        self.searches.remove(&sid).ok_or(Status::INVALID_HANDLE)?;
        call.reply.block(command::FIND_CLOSE2, false, &[]);
        Ok(Done::Answered)
    }
}

fn wanted(count: u16, flags: u16, level: u16, whole: &Transaction, call: &Call<'_, '_>) -> Wanted {
    Wanted {
        count: count.into(),
        flags,
        level,
        room: whole.max_data,
        unicode: call.block.header().has(super::flags2::UNICODE),
    }
}

/// As many as are wanted and fit: their bytes, how many they are, where the last begins, and whether no more are left.
fn list(search: &Search, folder: &Folder, wanted: &Wanted) -> Result<(Vec<u8>, usize, usize, bool), Stop> {
    let found = search.found(folder);
    let rest = found.get(search.at..).unwrap_or_default();
    let (mut data, mut listed, mut last) = (Vec::new(), 0_usize, 0);
    for facts in rest.iter().take(wanted.count.max(1)) {
        let old = wanted.level < 0x100;
        // Each of the newer forms begins at a multiple of eight, and tells where the next does.
        let start = if old { data.len() } else { data.len().next_multiple_of(8) };
        let mut entry = Vec::new();
        write(facts, wanted, &mut entry)?;
        if start.saturating_add(entry.len()) > wanted.room {
            if listed == 0 {
                return Err(Status::BUFFER_TOO_SMALL.into());
            }
            break;
        }
        if !old && listed > 0 {
            data.zeros(start.saturating_sub(data.len()));
            data.patch_u32(last, size32(start.saturating_sub(last)));
        }
        last = start;
        data.raw(&entry);
        listed = listed.saturating_add(1);
    }
    Ok((data, listed, last, listed >= rest.len()))
}

/// One file, in the form of that level.
fn write(facts: &Facts<'_>, wanted: &Wanted, entry: &mut Vec<u8>) -> Result<(), Stop> {
    let name_bytes = name(facts.name, wanted.unicode, true);
    if let 1 | 2 = wanted.level {
        if wanted.flags & RESUME_KEYS != 0 {
            entry.u32(0);
        }
        facts.old(entry);
        if wanted.level == 2 {
            entry.u32(0);
        }
        let length = u8::try_from(name_bytes.len()).unwrap_or(u8::MAX);
        entry.u8(length).raw(name_bytes.get(..length.into()).unwrap_or_default()).zeros(1);
        return Ok(());
    }
    if !(0x101..=0x106).contains(&wanted.level) {
        return Err(super::INVALID_LEVEL.into());
    }
    // Where the next begins, and a number that means nothing here.
    entry.zeros(8);
    if wanted.level != 0x103 {
        facts.times(entry);
        entry.u64(facts.size).u64(facts.allocated()).u32(facts.attributes());
    }
    entry.u32(size32(name_bytes.len()));
    if matches!(wanted.level, 0x102 | 0x104..) {
        entry.u32(0);
    }
    if let 0x104 | 0x106 = wanted.level {
        let short = name(facts.short, wanted.unicode, false);
        entry.u8(u8::try_from(short.len()).unwrap_or_default()).u8(0);
        entry.raw(&short).zeros(24_usize.saturating_sub(short.len()));
    }
    match wanted.level {
        0x105 => {
            entry.u32(0).u64(facts.id);
        }
        0x106 => {
            entry.u16(0).u64(facts.id);
        }
        _ => {}
    }
    entry.raw(&name_bytes);
    Ok(())
}
