//! Reads a bait repository from a folder: a git repository, or plain files of which one commit is made.
//!
//! Everything is read once, when the service is configured, and bounded. Symbolic links are never followed: those
//! among plain files are committed as links, those inside a repository are taken for damage.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use flate2::read::ZlibDecoder;

use super::{
    files,
    object::{Contents, Id, ObjectKind},
    pack,
};

/// Largest file that is read.
pub(super) const FILE: u64 = 64 * 1024 * 1024;
/// Largest file of a few lines that is read: HEAD, references, configuration.
const SMALL: u64 = 4 * 1024 * 1024;
/// Most branches and tags: they are told to whoever asks.
const REFERENCES: usize = 4096;
/// How deep folders may lie in each other.
const DEEP: usize = 64;

/// Reads it. `host`: whose commit it is, if one has to be made.
///
/// # Errors
/// In words for the operator.
pub(super) fn read(folder: &Path, host: &str) -> Result<Contents, String> {
    let inner = folder.join(".git");
    let places = [inner.as_path(), folder].into_iter();
    let contents = match places
        .filter(|place| *place == folder || is_folder(place))
        .find(|place| is_repository(place))
    {
        Some(repository) => read_repository(repository)?,
        None if inner.symlink_metadata().is_ok() => return Err(".git in it is no repository".into()),
        None => files::commit(folder, host)?,
    };
    if contents.references.len() > REFERENCES {
        return Err(format!("it has more than {REFERENCES} branches and tags"));
    }
    if contents.references.is_empty() {
        return Err("there is no branch and no tag in it".into());
    }
    Ok(contents)
}

fn is_repository(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir()
}

/// Whether it is a folder itself, and no symbolic link to one.
fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|facts| facts.is_dir())
}

fn read_repository(folder: &Path) -> Result<Contents, String> {
    for part in ["objects", "refs"] {
        if !is_folder(&folder.join(part)) {
            return Err(format!("{part} in it is no folder"));
        }
    }
    let config =
        String::from_utf8_lossy(&small(&folder.join("config")).unwrap_or_default()).to_ascii_lowercase();
    let config: String = config.chars().filter(|c| !c.is_whitespace()).collect();
    for (word, what) in
        [("objectformat=sha256", "has SHA-256 objects"), ("refstorage=reftable", "is a reftable")]
    {
        if config.contains(word) {
            return Err(format!("it {what}, which is not supported"));
        }
    }
    if folder.join("shallow").exists() {
        return Err("it is a shallow clone; give a whole one".into());
    }
    if folder.join("objects/info/alternates").exists() {
        return Err("it borrows objects from another repository; give a whole one".into());
    }
    let mut contents = Contents::default();
    let mut packs = Vec::new();
    for (path, name) in list(&folder.join("objects"), false)? {
        let names: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
        match names.as_slice() {
            [b"pack", pack] if pack.ends_with(b".pack") => packs.push(path),
            [first, rest] if first.len() == 2 && rest.len() == 38 => loose(&path, &mut contents)?,
            _ => {}
        }
    }
    packs.sort();
    for path in packs {
        let bytes = content(&path, FILE)?;
        pack::read(&bytes, &mut contents).map_err(|why| format!("{}: {why}", path.display()))?;
    }
    references(folder, &mut contents)?;
    Ok(contents)
}

fn loose(path: &Path, contents: &mut Contents) -> Result<(), String> {
    let damaged = || format!("{} is damaged", path.display());
    let room = u64::try_from(contents.room()).unwrap_or(u64::MAX).saturating_add(64);
    let mut whole = Vec::new();
    ZlibDecoder::new(content(path, FILE)?.as_slice())
        .take(room)
        .read_to_end(&mut whole)
        .map_err(|_| damaged())?;
    let end = whole.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let body = whole.split_off(end.saturating_add(1));
    let name = whole.split(|byte| *byte == b' ').next().unwrap_or_default();
    contents.add(ObjectKind::named(name).ok_or_else(damaged)?, body).map(drop)
}

/// Names of references, those in files of their own before those in `packed-refs`, and HEAD.
fn references(folder: &Path, contents: &mut Contents) -> Result<(), String> {
    let packed = small(&folder.join("packed-refs")).unwrap_or_default();
    let mut symbolic: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut found: BTreeMap<Vec<u8>, Id> = packed
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let (id, name) = Id::parse(line)?;
            Some((name.strip_prefix(b" ")?.to_vec(), id))
        })
        .collect();
    for (path, name) in list(&folder.join("refs"), false)? {
        let text = small(&path)?;
        let name = [b"refs/", name.as_slice()].concat();
        match (Id::parse(&text), text.trim_ascii().strip_prefix(b"ref: ")) {
            (Some((id, _)), _) => {
                found.insert(name, id);
            }
            (None, Some(target)) => symbolic.push((name, target.to_vec())),
            (None, None) => {}
        }
    }
    for (name, target) in symbolic {
        if let Some(id) = found.get(&target).copied() {
            found.insert(name, id);
        }
    }
    found.retain(|name, id| contents.get(id).is_some() && name.starts_with(b"refs/") && is_name(name));
    let head = small(&folder.join("HEAD"))?;
    contents.head = match (Id::parse(&head), head.trim_ascii().strip_prefix(b"ref: ")) {
        (_, Some(target)) if is_name(target) => (Some(target.to_vec()), found.get(target).copied()),
        (Some((id, _)), _) => (None, Some(id)),
        _ => return Err("its HEAD is damaged".into()),
    };
    contents.references = found;
    Ok(())
}

/// Whether it can stand in a line with other words (git-check-ref-format).
fn is_name(name: &[u8]) -> bool {
    !name.ends_with(b".lock") && name.len() < 1024 && name.iter().all(|byte| *byte > b' ' && *byte != 0x7f)
}

/// The files below a folder, with their names from there, perhaps with symbolic links. Sockets, pipes and devices are
/// left out.
pub(super) fn list(folder: &Path, links: bool) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let mut rest = vec![(folder.to_owned(), Vec::new(), 0_usize)];
    while let Some((folder, name, depth)) = rest.pop() {
        let wrong = |error: std::io::Error| format!("{}: {error}", folder.display());
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let file_type = entry.file_type().map_err(wrong)?;
            let separator: &[u8] = if name.is_empty() { b"" } else { b"/" };
            let name = [name.as_slice(), separator, entry.file_name().as_bytes()].concat();
            if file_type.is_dir() && depth < DEEP {
                rest.push((entry.path(), name, depth.saturating_add(1)));
            } else if file_type.is_file() || links && file_type.is_symlink() {
                found.push((entry.path(), name));
            }
            if found.len().saturating_add(rest.len()) > 1 << 17 {
                return Err("there are too many files in it".into());
            }
        }
    }
    Ok(found)
}

fn small(path: &Path) -> Result<Vec<u8>, String> {
    content(path, SMALL)
}

/// A file, unless it is a symbolic link or larger than that.
pub(super) fn content(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let facts = fs::symlink_metadata(path).map_err(|error| wrong(&error))?;
    if !facts.is_file() {
        return Err(wrong(&"not a file"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(&error))?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| wrong(&error))?;
    match u64::try_from(bytes.len()).is_ok_and(|length| length <= most) {
        true => Ok(bytes),
        false => Err(wrong(&"too large")),
    }
}
