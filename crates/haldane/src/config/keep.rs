//! The state folder as services see it: what must stay the same across restarts.

use std::{
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use haldane_core::Keep;
use rustix::fs::{Mode, OFlags};

/// Files in a folder, readable by their owner alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    write: bool,
}

impl Folder {
    /// Keeps what is made in that folder, which is made when it is needed.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), write: true }
    }

    /// Reads what is kept, and keeps nothing: for looking at a configuration.
    pub fn only_looked_at(path: &Path) -> Self {
        Self { path: path.to_owned(), write: false }
    }

    /// A link among our own files was put there by somebody else, who wants to know what root can read. In
    /// a folder of the operator's, links are the operator's business.
    fn existing(&self, folder: Option<&Path>, name: &str) -> Result<Option<Vec<u8>>, String> {
        let path = folder.unwrap_or(&self.path).join(name);
        let follow = if folder.is_some() { OFlags::empty() } else { OFlags::NOFOLLOW };
        match read(&path, follow) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
        }
    }
}

impl Keep for Folder {
    fn keep(
        &self,
        folder: Option<&Path>,
        name: &str,
        make: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        if let Some(content) = self.existing(folder, name)? {
            return Ok(content);
        }
        let content = make()?;
        if !self.write {
            return Ok(content);
        }
        let place = folder.unwrap_or(&self.path);
        let path = place.join(name);
        let failed = |error: io::Error| format!("{} cannot be written: {error}", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(place).map_err(failed)?;
        // Linked, not renamed: of two that start at once one wins.
        let aside = write_aside(&path, 0o600, &content).map_err(failed)?;
        let linked = match fs::hard_link(&aside, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        };
        let _ = fs::remove_file(&aside);
        linked.map_err(failed)?;
        self.existing(folder, name)?.ok_or_else(|| format!("{} vanished", path.display()))
    }
}

/// Writes what is to be that file into a new one beside it: a crash leaves no half file. Returns its path.
pub(crate) fn write_aside(path: &Path, mode: u32, content: &[u8]) -> io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&aside);
    // `create_new` follows no link: the folder may be one that others can write to, such as /var/tmp.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(aside)
}

fn read(path: &Path, follow: OFlags) -> io::Result<Vec<u8>> {
    // Not waiting for whoever may write to a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | follow;
    let mut content = Vec::new();
    fs::File::from(rustix::fs::open(path, flags, Mode::empty())?).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_made_once_and_a_link_in_its_place_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path());
        let mut made = 0_u8;
        let mut make = || {
            made += 1;
            Ok(vec![made])
        };
        assert_eq!(Folder::only_looked_at(place.path()).keep(None, "key", &mut make), Ok(vec![1]));
        assert_eq!(folder.keep(None, "key", &mut make), Ok(vec![2]));
        assert_eq!(folder.keep(None, "key", &mut make), Ok(vec![2]));
        std::os::unix::fs::symlink(place.path().join("key"), place.path().join("link")).unwrap();
        assert!(folder.keep(None, "link", &mut make).is_err());
        assert_eq!(folder.keep(Some(place.path()), "link", &mut make), Ok(vec![2]));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left aside");
    }
}
