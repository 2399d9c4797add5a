//! The state folder as services see it: what must stay the same across restarts.

use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use haldane_core::Keep;

/// Keeps files in a folder, readable by their owner alone.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// In that folder, which is made when it is needed.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Keep for Folder {
    fn keep(
        &self,
        folder: Option<&Path>,
        name: &str,
        make: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        let folder = folder.unwrap_or(&self.path);
        let path = folder.join(name);
        if let Some(content) = existing(&path)? {
            return Ok(content);
        }
        let content = make()?;
        let failed = |error: std::io::Error| format!("{} cannot be written: {error}", path.display());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        // Written aside and linked: a crash leaves no half file, and of two that start at once one wins.
        let aside = folder.join(format!(".{name}.{}", std::process::id()));
        let written = write_new(&aside, &content).and_then(|()| match fs::hard_link(&aside, &path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        let _ = fs::remove_file(&aside);
        written.map_err(failed)?;
        existing(&path)?.ok_or_else(|| format!("{} vanished", path.display()))
    }
}

fn write_new(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let _ = fs::remove_file(path);
    // `create_new` follows no link: the folder may be one that others can write to, such as /var/tmp.
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads what is kept, and makes without keeping what is not: for looking at a configuration.
#[derive(Debug)]
pub struct Look {
    path: PathBuf,
}

impl Look {
    /// In that folder.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl Keep for Look {
    fn keep(
        &self,
        folder: Option<&Path>,
        name: &str,
        make: &mut dyn FnMut() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        match existing(&folder.unwrap_or(&self.path).join(name))? {
            Some(content) => Ok(content),
            None => make(),
        }
    }
}

fn existing(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} cannot be read: {error}", path.display())),
    }
}
