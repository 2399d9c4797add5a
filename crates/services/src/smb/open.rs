//! Opening what a share has: the same for SMB 1 and SMB 2, whose requests carry the same fields (MS-FSA, section
//! 2.1.5.1; MS-SMB2, section 2.2.13; MS-CIFS, section 2.2.4.64).
//!
//! Nothing can be changed. Who asks for a right to change is told that access is denied, and what was meant shows in the
//! action that is reported.

use haldane_core::{Cx, Severity};

use super::{
    bait::{Folder, Missing, Node, NodeId},
    evidence::{Place, exploit},
    rpc::{self, Pipe},
    server::{Share, Sort},
    status::Status,
};

/// Longest name of a pipe, in characters (MS-CIFS, section 2.2.1.1.4: that of a file).
const LONGEST_PIPE: usize = 255;

/// Rights (MS-SMB2, section 2.2.13.1).
pub mod right {
    /// The content.
    pub const READ: u32 = 0x0000_0001;
    /// Running it.
    pub const EXECUTE: u32 = 0x0000_0020;
    /// Removing it.
    pub const DELETE: u32 = 0x0001_0000;
    /// All that there is.
    pub const MAXIMUM: u32 = 0x0200_0000;
    /// Everything.
    pub const ALL: u32 = 0x1000_0000;
    /// What running needs.
    pub const GENERIC_EXECUTE: u32 = 0x2000_0000;
    /// What reading needs.
    pub const GENERIC_READ: u32 = 0x8000_0000;
    /// Those that look at the content.
    pub const LOOKS: u32 = READ | EXECUTE | ALL | GENERIC_READ | GENERIC_EXECUTE;
    /// Those that change something: data, attributes, owner, the list of rights.
    pub const CHANGES: u32 =
        0x0000_0002 | 0x4 | 0x10 | 0x40 | 0x100 | 0x0004_0000 | 0x0008_0000 | 0x0100_0000 | ALL | 0x4000_0000;
    /// What a guest has: reading, running, and seeing the rights.
    pub const GRANTED: u32 = 0x0012_00a9;
}

/// Options (MS-SMB2, section 2.2.13).
mod option {
    pub(super) const FOLDER: u32 = 0x1;
    pub(super) const NO_FOLDER: u32 = 0x40;
    pub(super) const DELETE_ON_CLOSE: u32 = 0x1000;
}

/// What to do if it is there, and if not (section 2.2.13).
mod disposition {
    pub(super) const OPEN: u32 = 1;
    pub(super) const CREATE: u32 = 2;
    pub(super) const OVERWRITE: u32 = 4;
    pub(super) const LAST: u32 = 5;
}

/// Attributes (MS-FSCC, section 2.6).
pub mod attribute {
    /// A folder.
    pub const DIRECTORY: u32 = 0x10;
    /// Changed since it was backed up, as every file is at first.
    pub const ARCHIVE: u32 = 0x20;
    /// None.
    pub const NORMAL: u32 = 0x80;
}

/// How something is to be opened.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// See [`right`].
    pub access: u32,
    /// CreateDisposition.
    pub disposition: u32,
    /// CreateOptions.
    pub options: u32,
}

/// Something that is open.
#[derive(Debug)]
pub struct Open {
    /// The share's number.
    pub share: usize,
    /// As it was asked for, with backslashes.
    pub path: String,
    /// What it is.
    pub object: Object,
    /// Rights that were granted.
    pub access: u32,
    /// Bytes read so far.
    pub read: u64,
    /// Whether the listing was reported.
    pub listed: bool,
}

/// What is open.
#[derive(Debug)]
pub enum Object {
    /// A folder.
    Folder(NodeId),
    /// A file.
    File(NodeId),
    /// A pipe.
    Pipe(Box<Pipe>),
}

impl Open {
    /// Opens it and reports that, where it is more than a look at attributes. `place` has the share's name.
    ///
    /// # Errors
    /// Why not; that is reported, too.
    pub fn new(
        (number, share): (usize, &Share),
        units: &[u16],
        wish: Wish,
        place: Place<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<Self, Status> {
        let path = String::from_utf16_lossy(units);
        let opened = match &share.sort {
            Sort::Pipes if units.len() > LONGEST_PIPE => Err(Status::OBJECT_NAME_INVALID),
            Sort::Files(folder) => wish.open(folder, units),
            Sort::Pipes => {
                if let Some(attack) = rpc::pipe_exploit(&path) {
                    let seen = exploit(attack).with("step", "library opened as a pipe");
                    cx.report(seen.with("pipe", path.as_str()));
                }
                pipe(&path, place).ok_or(Status::OBJECT_NAME_NOT_FOUND)
            }
            Sort::Closed => Err(Status::ACCESS_DENIED),
        };
        let status = opened.as_ref().err().copied().unwrap_or(Status::OK);
        let (action, mode) = wish.action();
        let pipes = matches!(share.sort, Sort::Pipes);
        let folder = matches!(opened, Ok(Object::Folder(_)));
        // A folder is opened to be listed: that is the event.
        if !status.is_ok() || !folder && !pipes && (wish.access & right::LOOKS != 0 || action != "openat") {
            let mut seen = place.used(action, path.as_str(), status, cx);
            if action == "openat" {
                seen = seen.with("mode", mode);
            }
            if status == Status::OBJECT_NAME_NOT_FOUND && action == "openat" {
                seen = seen.severity(Severity::Low);
            }
            cx.report(seen);
        }
        let object = opened?;
        let access = if wish.access & right::MAXIMUM != 0 { right::GRANTED } else { wish.granted() };
        Ok(Self { share: number, path, object, access, read: 0, listed: false })
    }

    /// The last that is reported of it: how much was read, and a pipe on which nothing was asked.
    pub fn close(&self, place: Place<'_>, cx: &mut Cx<'_>) {
        if self.read > 0 {
            let seen = place.used("pread", self.path.as_str(), Status::OK, cx);
            cx.report(seen.with("bytes", self.read));
        }
        if let Object::Pipe(pipe) = &self.object {
            place.heard(pipe.name(), pipe.close().into_iter().collect(), cx);
        }
    }

    /// The file or folder that it is.
    pub fn node<'a>(&self, share: &'a Share) -> Option<&'a Node> {
        match (&share.sort, &self.object) {
            (Sort::Files(folder), Object::Folder(id) | Object::File(id)) => folder.node(*id),
            _ => None,
        }
    }
}

/// The pipe of that name.
fn pipe(path: &str, place: Place<'_>) -> Option<Object> {
    let name = path.trim_start_matches('\\');
    let name = name
        .get(..5)
        .filter(|start| start.eq_ignore_ascii_case("pipe\\"))
        .map_or(name, |_| name.get(5..).unwrap_or_default());
    Some(Object::Pipe(Box::new(Pipe::open(name, &place.server.names())?)))
}

impl Wish {
    fn open(self, folder: &Folder, units: &[u16]) -> Result<Object, Status> {
        let creates = !matches!(self.disposition, disposition::OPEN | disposition::OVERWRITE);
        if self.disposition > disposition::LAST
            || self.options & (option::FOLDER | option::NO_FOLDER) == option::FOLDER | option::NO_FOLDER
        {
            return Err(Status::INVALID_PARAMETER);
        }
        let id = match folder.find(units) {
            Ok(id) => id,
            Err(Missing::Name) if creates => return Err(Status::ACCESS_DENIED),
            Err(Missing::Name | Missing::Stream) => return Err(Status::OBJECT_NAME_NOT_FOUND),
            Err(Missing::Path) => return Err(Status::OBJECT_PATH_NOT_FOUND),
            Err(Missing::Invalid) => return Err(Status::OBJECT_NAME_INVALID),
        };
        let is_folder = folder.node(id).is_some_and(|node| node.folder);
        if self.disposition == disposition::CREATE {
            return Err(Status::OBJECT_NAME_COLLISION);
        }
        if is_folder && self.options & option::NO_FOLDER != 0 {
            return Err(Status::FILE_IS_A_DIRECTORY);
        }
        if !is_folder && self.options & option::FOLDER != 0 {
            return Err(Status::NOT_A_DIRECTORY);
        }
        if self.changes() {
            return Err(Status::ACCESS_DENIED);
        }
        Ok(if is_folder { Object::Folder(id) } else { Object::File(id) })
    }

    /// Whether what is there would be changed by opening it, or could be by whoever has it open. The right to delete
    /// alone is granted: only then is seen what it was wanted for. Its use is refused.
    fn changes(self) -> bool {
        self.access & right::CHANGES != 0
            || !matches!(self.disposition, disposition::OPEN | disposition::CREATE | 3)
            || self.options & option::DELETE_ON_CLOSE != 0
    }

    /// Generic rights as those that they stand for (MS-DTYP, section 2.4.3).
    fn granted(self) -> u32 {
        let mut granted = self.access & !(right::GENERIC_READ | right::GENERIC_EXECUTE);
        if self.access & right::GENERIC_READ != 0 {
            granted |= 0x0012_0089;
        }
        if self.access & right::GENERIC_EXECUTE != 0 {
            granted |= 0x0012_00a0;
        }
        granted
    }

    /// What is meant, as Samba's audit calls it, and for reading or writing.
    fn action(self) -> (&'static str, &'static str) {
        let creates = !matches!(self.disposition, disposition::OPEN | disposition::OVERWRITE);
        if self.options & option::DELETE_ON_CLOSE != 0 {
            ("unlinkat", "w")
        } else if creates && self.options & option::FOLDER != 0 && self.disposition == disposition::CREATE {
            ("mkdirat", "w")
        } else {
            let writes = self.access & right::CHANGES != 0 || !matches!(self.disposition, 1 | 3);
            ("openat", if writes { "w" } else { "r" })
        }
    }
}
