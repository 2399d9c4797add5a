//! The files behind the shares: an index that is made once, from a folder of the operator's or from the bundled
//! sample.
//!
//! A peer's path is only ever looked up in the index and never given to the system. Links, `..`, devices and streams
//! cannot lead outside, for there is nothing that they could lead to. Names are those of NTFS (MS-FSCC, sections
//! 2.1.5 and 2.1.5.2; MS-FSA, section 2.1.5.1): case is kept and does not count, no form of Unicode is the same as
//! another, and each long name has a short one beside it.

mod load;
mod name;
mod sample;
#[cfg(test)]
mod tests;

use std::{
    borrow::Cow,
    fs, io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use name::Pattern;

/// Most bytes of one reading: what SMB 2 allows in one message (MS-SMB2, section 3.3.4.2, MaxReadSize of Windows).
const READ: usize = 8 << 20;
/// Longest path, in units of UTF-16 (`UNICODE_STRING` has 16 bits for bytes).
const PATH: usize = 32_767;

/// A tree of files that can be read and never changed.
#[derive(Debug)]
pub struct Folder {
    /// The root is the first. A child stands behind its parent.
    nodes: Vec<Node>,
}

/// Which file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The share's own folder.
    pub const ROOT: Self = Self(0);

    /// A number that no other file of the share has, and not 0: what a server gives as the file's id.
    pub fn number(self) -> u64 {
        u64::from(self.0).saturating_add(1)
    }
}

/// A file or a folder.
#[derive(Debug)]
pub struct Node {
    /// Itself.
    pub id: NodeId,
    /// As written; empty for the root.
    pub name: String,
    /// Its name of eight letters and three; empty where the other is one.
    pub short: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// In bytes; 0 for a folder.
    pub size: u64,
    /// When it was made.
    pub created: SystemTime,
    /// When its content last changed.
    pub changed: SystemTime,
    /// When it was last read.
    pub accessed: SystemTime,
    /// Where it is; the root is in itself.
    pub parent: NodeId,
    /// What is in it, in the order of NTFS.
    pub children: Vec<NodeId>,
    /// The name without case: what is compared.
    key: String,
    content: Content,
}

/// Where the bytes of a file are.
#[derive(Debug)]
enum Content {
    None,
    Memory(Cow<'static, [u8]>),
    /// On the disk, and only as long as it is the very same file.
    Disk {
        path: PathBuf,
        device: u64,
        inode: u64,
    },
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Its folder is there, it is not: `STATUS_OBJECT_NAME_NOT_FOUND`.
    Name,
    /// A folder on the way is not there: `STATUS_OBJECT_PATH_NOT_FOUND`.
    Path,
    /// No file could have such a name: `STATUS_OBJECT_NAME_INVALID`.
    Invalid,
    /// The file is there but has no such stream: `STATUS_OBJECT_NAME_NOT_FOUND`.
    Stream,
}

impl Folder {
    /// The folder at that path; the bundled sample for `None`. What cannot be shown, and why, is told in words for the
    /// operator; the rest is shown. There are at most 10000 files and
    /// folders, 32 of them within each other.
    pub fn load(path: Option<&Path>) -> (Self, Vec<String>) {
        match path {
            Some(path) => load::from_disk(path),
            None => (load::from_sample(), Vec::new()),
        }
    }

    /// What is at that path: names and `\` between them, none in front; the root's is empty. Short names count, too. A
    /// file's stream `::$DATA` is the file itself, a folder's `:$I30:$INDEX_ALLOCATION` the folder (MS-FSCC, section
    /// 2.1.5.3).
    ///
    /// # Errors
    /// Why there is nothing.
    pub fn find(&self, path: &[u16]) -> Result<NodeId, Missing> {
        if path.is_empty() {
            return Ok(NodeId::ROOT);
        }
        if path.len() > PATH {
            return Err(Missing::Invalid);
        }
        let separator = u16::from(b'\\');
        let (path, must_be_folder) = match path.strip_suffix(&[separator]) {
            Some(rest) => (rest, true),
            None => (path, false),
        };
        let (names, last) = match path.iter().rposition(|unit| *unit == separator) {
            Some(at) => (path.get(..at), path.get(at.saturating_add(1)..)),
            None => (None, Some(path)),
        };
        let (last, stream) = name::stream(last.unwrap_or_default()).ok_or(Missing::Invalid)?;
        let way = || names.into_iter().flat_map(|names| names.split(|unit| *unit == separator));
        let unnamed = last.is_empty() && names.is_none() && stream.is_some();
        if !way().all(name::is_valid) || !(unnamed || name::is_valid(last)) {
            return Err(Missing::Invalid);
        }
        let mut at = self.root();
        for name in way() {
            at = self.child(at, name).filter(|node| node.folder).ok_or(Missing::Path)?;
        }
        let found = if unnamed { at } else { self.child(at, last).ok_or(Missing::Name)? };
        match stream {
            Some(stream) if !stream.is_whole(found.folder) => Err(Missing::Stream),
            _ if must_be_folder && !found.folder => Err(Missing::Invalid),
            _ => Ok(found.id),
        }
    }

    /// A file or folder. `None` only for an id of another tree.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(usize::try_from(id.0).ok()?)
    }

    /// What is in a folder and has a name, long or short, that fits the pattern: `*`, `?` and DOS's `<`, `>` and `"`
    /// (MS-FSA, section 2.1.4.4). An empty pattern fits all. `.` and `..` are the caller's.
    pub fn list(&self, folder: NodeId, pattern: &str) -> impl Iterator<Item = &Node> {
        let pattern = Pattern::new(pattern);
        let children = self.node(folder).map(|node| node.children.as_slice()).unwrap_or_default();
        children.iter().filter_map(|id| self.node(*id)).filter(move |node| {
            pattern.fits(&node.key) || !node.short.is_empty() && pattern.fits(&node.short)
        })
    }

    /// Bytes of a file from that offset on, at most that many and at most 8 MiB; nothing beyond its end. A file of the
    /// operator's that has become another since, or a link, is an error.
    ///
    /// # Errors
    /// It is no file, or the disk's.
    pub fn read(&self, id: NodeId, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let node = self.node(id).ok_or(io::ErrorKind::NotFound)?;
        let left = usize::try_from(node.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left).min(READ);
        match &node.content {
            Content::None => Err(io::ErrorKind::IsADirectory.into()),
            Content::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let bytes = bytes.get(from..from.saturating_add(length)).unwrap_or_default();
                Ok(bytes.to_vec())
            }
            Content::Disk { path, device, inode } => {
                let file = open(path)?;
                let now = file.metadata()?;
                if !now.is_file() || (now.dev(), now.ino()) != (*device, *inode) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                from_disk(&file, offset, length)
            }
        }
    }

    /// The names from the root to there, with `\` between them.
    pub fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = self.node(id);
        while let Some(node) = at.filter(|node| node.id != NodeId::ROOT) {
            names.push(node.name.as_str());
            at = self.node(node.parent);
        }
        names.reverse();
        names.join("\\")
    }

    /// All bytes of all files: what a volume of that content says is in use.
    pub fn size(&self) -> u64 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.size))
    }

    fn root(&self) -> &Node {
        #[expect(clippy::indexing_slicing, reason = "made with a root, and nothing is ever taken out")]
        &self.nodes[0]
    }

    fn child(&self, folder: &Node, name: &[u16]) -> Option<&Node> {
        let key = name::key(&String::from_utf16(name).ok()?);
        let of = |id: &NodeId| self.node(*id);
        let place = folder
            .children
            .binary_search_by(|id| of(id).map(|node| node.key.as_str()).unwrap_or_default().cmp(&key));
        if let Ok(place) = place {
            return folder.children.get(place).and_then(of);
        }
        folder.children.iter().filter_map(of).find(|node| !key.is_empty() && node.short == key)
    }
}

/// Opens a file for reading, if it is one and no link. Does not wait, whatever it is.
fn open(path: &Path) -> io::Result<fs::File> {
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    fs::OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)
}

fn from_disk(file: &fs::File, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match file.read_at(rest, at)? {
            0 => break,
            more => filled = filled.saturating_add(more),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
