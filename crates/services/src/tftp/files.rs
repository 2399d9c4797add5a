//! The bait: files of the operator's, and what a name leads to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    os::unix::{ffi::OsStrExt, fs::OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use super::request::Refusal;

/// Most files, the largest of them, and all together.
const MOST: usize = 1000;
const LARGEST: u64 = 4 << 20;
const TOGETHER: u64 = 16 << 20;
/// The longest name of a file, and of a path (Linux).
const NAME: usize = 255;
const PATH: usize = 4096;

type Name = Vec<Vec<u8>>;

/// A folder of files, in memory.
#[derive(Debug, Default)]
pub(super) struct Files {
    files: BTreeMap<Name, Arc<[u8]>>,
    folders: BTreeSet<Name>,
}

impl Files {
    /// Reads a folder with those in it.
    ///
    /// # Errors
    /// In words for the operator.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let mut all = Self::default();
        let mut together = 0_u64;
        let mut rest = vec![(root.to_owned(), Name::new())];
        while let Some((folder, name)) = rest.pop() {
            let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
            for entry in fs::read_dir(&folder).map_err(wrong)? {
                let entry = entry.map_err(wrong)?;
                let sort = entry.file_type().map_err(wrong)?;
                let mut name = name.clone();
                name.push(entry.file_name().as_bytes().to_vec());
                if all.files.len().max(all.folders.len()) >= MOST {
                    return Err(format!("{} holds more than {MOST} files", root.display()));
                }
                if sort.is_dir() {
                    all.folders.insert(name.clone());
                    rest.push((entry.path(), name));
                } else if sort.is_file() {
                    let content = content(&entry.path())?;
                    together = together.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
                    if together > TOGETHER {
                        return Err(format!("{} holds more than 16 MiB", root.display()));
                    }
                    all.files.insert(name, content.into());
                }
            }
        }
        Ok(all)
    }

    /// The file of that name, as a server finds it that has this folder for its root.
    pub(super) fn find(&self, name: &[u8]) -> Result<Arc<[u8]>, Refusal> {
        let path = self.path(name)?;
        match self.files.get(&path) {
            _ if path.is_empty() || self.folders.contains(&path) => Err(Refusal::FOLDER),
            Some(content) if !name.ends_with(b"/") => Ok(Arc::clone(content)),
            _ => Err(Refusal::NOT_FOUND),
        }
    }

    /// Whether a file of that name could be written if every folder existed.
    pub(super) fn takes(&self, name: &[u8]) -> Result<(), Refusal> {
        match self.find(name) {
            Ok(_) | Err(Refusal::NOT_FOUND) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    fn path(&self, name: &[u8]) -> Result<Name, Refusal> {
        if name.len() >= PATH {
            return Err(Refusal::LONG);
        }
        let mut path = Name::new();
        for part in name.split(|byte| *byte == b'/') {
            match part {
                b"" => {}
                _ if !path.is_empty() && !self.folders.contains(&path) => return Err(Refusal::NOT_FOUND),
                b"." => {}
                b".." => drop(path.pop()),
                _ if part.len() > NAME => return Err(Refusal::LONG),
                _ => path.push(part.to_vec()),
            }
        }
        Ok(path)
    }
}

/// A file's content. It must still be one: no link, no pipe.
fn content(path: &Path) -> Result<Vec<u8>, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    let flags = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file =
        fs::OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path).map_err(wrong)?;
    let mut content = Vec::new();
    file.take(LARGEST.saturating_add(1)).read_to_end(&mut content).map_err(wrong)?;
    match u64::try_from(content.len()) {
        Ok(length) if length <= LARGEST => Ok(content),
        _ => Err(format!("{} is larger than 4 MiB", path.display())),
    }
}
