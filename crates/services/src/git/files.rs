//! One commit of plain files, for whoever has no repository to give.
//!
//! It is as new as the newest of the files, so that it stays the same from one start to the next.

use std::{collections::BTreeMap, fs, os::unix::ffi::OsStrExt, path::Path, time::UNIX_EPOCH};

use super::{
    load::{self, FILE},
    object::{Contents, Id, ObjectKind},
};

/// One entry of a folder, as git keeps it.
struct Entry {
    mode: &'static str,
    name: Vec<u8>,
    id: Id,
}

/// Folders by their path, and in each the entries by what git sorts them by: a folder's name has a slash at its end.
type Trees = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Entry>>;

/// Makes a commit of all files below a folder, on a branch called master.
///
/// # Errors
/// In words for the operator.
pub(super) fn commit(folder: &Path, host: &str) -> Result<Contents, String> {
    let mut contents = Contents::default();
    let mut trees = Trees::new();
    let mut newest = 0;
    for (path, name) in load::list(folder, true)? {
        if name.split(|byte| *byte == b'/').any(|part| part.eq_ignore_ascii_case(b".git")) {
            return Err(format!("{}: git cannot hold a file of that name", path.display()));
        }
        let (mode, bytes, modified) = read(&path)?;
        newest = newest.max(modified);
        let id = contents.add(ObjectKind::Blob, bytes)?;
        let (tree, file) = split_last(&name);
        trees
            .entry(tree.to_vec())
            .or_default()
            .insert(file.to_vec(), Entry { mode, name: file.to_vec(), id });
    }
    let root = plant(trees, &mut contents)?.ok_or("there are no files in it")?;
    let who = format!("root <root@{host}> {newest} +0000");
    let commit = format!("tree {root}\nauthor {who}\ncommitter {who}\n\nInitial commit\n");
    let commit = contents.add(ObjectKind::Commit, commit.into_bytes())?;
    let master = b"refs/heads/master".to_vec();
    contents.head = (Some(master.clone()), Some(commit));
    contents.references.insert(master, commit);
    Ok(contents)
}

/// Mode, content and time (in seconds since 1970) of a file or a symbolic link.
fn read(path: &Path) -> Result<(&'static str, Vec<u8>, u64), String> {
    let wrong = |error| format!("{}: {error}", path.display());
    let facts = fs::symlink_metadata(path).map_err(wrong)?;
    let modified = facts.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.unwrap_or_default().as_secs();
    if facts.file_type().is_symlink() {
        let target = fs::read_link(path).map_err(wrong)?;
        return Ok(("120000", target.as_os_str().as_bytes().to_vec(), modified));
    }
    let executable = std::os::unix::fs::PermissionsExt::mode(&facts.permissions()) & 0o100 != 0;
    Ok((if executable { "100755" } else { "100644" }, load::content(path, FILE)?, modified))
}

/// Makes trees of folders, each before the one of which it is an entry. The root's name, if there is a root.
fn plant(mut trees: Trees, contents: &mut Contents) -> Result<Option<Id>, String> {
    // A folder's path begins those of all in it, so that it comes after them.
    while let Some((path, entries)) = trees.pop_last() {
        let mut bytes = Vec::new();
        for Entry { mode, name, id } in entries.values() {
            bytes.extend([mode.as_bytes(), b" ", name, b"\0", &id.0].concat());
        }
        let id = contents.add(ObjectKind::Tree, bytes)?;
        if path.is_empty() {
            return Ok(Some(id));
        }
        let (above, name) = split_last(&path);
        let entry = Entry { mode: "40000", name: name.to_vec(), id };
        trees.entry(above.to_vec()).or_default().insert([name, b"/"].concat(), entry);
    }
    Ok(None)
}

/// The folder and the last name of a path.
fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/').and_then(|at| path.split_at_checked(at)) {
        Some((folder, name)) => (folder, name.get(1..).unwrap_or_default()),
        None => (&[], path),
    }
}
