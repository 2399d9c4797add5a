//! Baits as operators may give them.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{MASTER, ask, open, service};
use crate::git::{
    load,
    object::{Contents, ObjectKind},
};

/// A folder that goes away.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("haldane-git-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A copy of the repository of the tests.
    fn payroll(name: &str) -> Self {
        let folder = Self::new(name);
        copy(Path::new("tests/data/payroll.git"), &folder.0);
        folder
    }

    pub(super) fn setting(&self) -> String {
        format!("repository = \"{}\"", self.0.display())
    }

    fn problem(&self) -> String {
        let problems = service(&[&self.setting()]).err().unwrap_or_default();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems[0].clone()
    }

    fn pack(&self) -> PathBuf {
        let files = fs::read_dir(self.0.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|extension| extension == "pack"))
            .collect::<Vec<_>>()
            .remove(0)
    }

    pub(super) fn contents(&self) -> Contents {
        load::read(&self.0, "files01").unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).map(drop).unwrap()
        }
    }
}

#[test]
fn plain_files_become_one_commit_that_stays_the_same() {
    let folder = Folder::new("files");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (name, text) in [("a.txt", "one"), ("sub/deep/b", "two"), ("sub.txt", "three"), ("sub/c", "")] {
        fs::create_dir_all(folder.0.join(name).parent().unwrap()).unwrap();
        fs::write(folder.0.join(name), text).unwrap();
        fs::File::options().write(true).open(folder.0.join(name)).unwrap().set_modified(at).unwrap();
    }
    fs::create_dir(folder.0.join("empty")).unwrap();
    let outcome = ask(&[&folder.setting(), "repository_path = \"/x.git\""], &[&open("/x", 0)]);
    // As `git commit-tree` has it, of the tree that `git write-tree` makes of these files.
    let text = String::from_utf8_lossy(&outcome.reply).into_owned();
    assert!(text[4..].starts_with("a8665934d8ee9b6b3e3a10a84c71def047baa8aa HEAD\0"), "{text}");
}

#[test]
fn symbolic_links_never_lead_out_of_the_folder() {
    let secret = Folder::new("secret");
    fs::write(secret.0.join("key"), "the secret").unwrap();
    let folder = Folder::new("links");
    fs::write(folder.0.join("a"), "a").unwrap();
    symlink(secret.0.join("key"), folder.0.join("key")).unwrap();
    symlink(&secret.0, folder.0.join("folder")).unwrap();
    let contents = folder.contents();
    let blobs: Vec<Vec<u8>> =
        contents.reachable().unwrap().iter().map(|id| contents.get(id).unwrap().bytes.clone()).collect();
    assert!(!blobs.iter().any(|blob| blob.windows(10).any(|part| part == b"the secret")));
    // The links themselves are there, as git keeps them.
    assert!(blobs.contains(&secret.0.join("key").to_str().unwrap().as_bytes().to_vec()));
    assert!(blobs.contains(&secret.0.to_str().unwrap().as_bytes().to_vec()));

    let repository = Folder::payroll("linked");
    let pack = repository.pack();
    fs::rename(&pack, secret.0.join("pack")).unwrap();
    symlink(secret.0.join("pack"), &pack).unwrap();
    assert!(repository.problem().contains("repository: cannot be served: "), "{}", repository.problem());
}

#[test]
fn a_repository_whose_parts_are_links_is_not_served() {
    for part in ["HEAD", "objects", "refs"] {
        let (repository, elsewhere) =
            (Folder::payroll(&format!("part-{part}")), Folder::new(&format!("else-{part}")));
        fs::rename(repository.0.join(part), elsewhere.0.join(part)).unwrap();
        symlink(elsewhere.0.join(part), repository.0.join(part)).unwrap();
        assert!(repository.problem().contains("cannot be served"), "{part}");
    }
    let (repository, folder) = (Folder::payroll("target"), Folder::new("link"));
    symlink(&repository.0, folder.0.join(".git")).unwrap();
    assert!(folder.problem().contains(".git in it is no repository"), "{}", folder.problem());
}

#[test]
fn a_commit_of_another_repository_is_not_missed() {
    let mut contents = Contents::default();
    let tree = [b"160000 sub\0".as_slice(), &[7; 20]].concat();
    let tree = contents.add(ObjectKind::Tree, tree).unwrap();
    let commit = format!("tree {tree}\nauthor a <a> 1 +0000\ncommitter a <a> 5 +0000\n\nx\n");
    let commit = contents.add(ObjectKind::Commit, commit.into_bytes()).unwrap();
    contents.references.insert(b"refs/heads/x".to_vec(), commit);
    assert_eq!(contents.reachable(), Ok(vec![commit, tree]));
}

#[test]
fn a_repository_that_cannot_be_served_is_the_operators_to_mend() {
    let missing = Folder::payroll("missing");
    fs::remove_dir_all(missing.0.join("objects/90")).unwrap();
    // Git leaves out what names nothing, and so do we.
    assert_eq!(missing.contents().references.len(), 4);
    fs::remove_dir_all(missing.0.join("objects/pack")).unwrap();
    assert!(missing.problem().contains("there is no branch and no tag in it"), "{}", missing.problem());

    let shallow = Folder::payroll("shallow");
    fs::write(shallow.0.join("shallow"), MASTER).unwrap();
    assert!(shallow.problem().contains("shallow clone"));

    let other = Folder::payroll("sha256");
    fs::write(other.0.join("config"), "[extensions]\n\tobjectFormat = sha256\n").unwrap();
    assert!(other.problem().contains("SHA-256"));

    let borrowed = Folder::payroll("borrowed");
    fs::create_dir_all(borrowed.0.join("objects/info")).unwrap();
    fs::write(borrowed.0.join("objects/info/alternates"), "/elsewhere").unwrap();
    assert!(borrowed.problem().contains("borrows objects"));

    assert!(Folder::new("nothing").problem().contains("there are no files in it"));
    let nested = Folder::new("nested");
    fs::create_dir_all(nested.0.join("a/.GIT")).unwrap();
    fs::write(nested.0.join("a/.GIT/config"), "").unwrap();
    assert!(nested.problem().contains("git cannot hold a file of that name"));
    let gone = service(&["repository = \"/nonexistent/x\""]).err().unwrap();
    assert!(gone[0].contains("/nonexistent/x: No such file"), "{gone:?}");
}

#[test]
fn a_damaged_pack_is_told_and_nothing_more() {
    let folder = Folder::payroll("damaged");
    let pack = folder.pack();
    let whole = fs::read(&pack).unwrap();
    fs::remove_file(&pack).unwrap();
    for length in [0, 4, 11, 12, 13, 100, 200, 1000, whole.len() - 40] {
        fs::write(&pack, &whole[..length]).unwrap();
        assert!(load::read(&folder.0, "x").is_err(), "{length}");
    }
    for at in (12..whole.len() - 20).step_by(7) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        fs::write(&pack, &changed).unwrap();
        // Whatever comes of it, it does not panic; a changed object has another name.
        load::read(&folder.0, "x").ok();
    }
}

#[test]
fn what_is_too_large_is_not_served() {
    let folder = Folder::new("large");
    let mut noise = vec![0_u8; 17 * 1024 * 1024];
    let mut state = 1_u64;
    noise.iter_mut().for_each(|byte| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = u8::try_from(state >> 56).unwrap();
    });
    fs::write(folder.0.join("noise"), &noise).unwrap();
    assert!(folder.problem().contains("takes more than 16 MiB when packed"), "{}", folder.problem());
    fs::File::create(folder.0.join("hole")).unwrap().set_len(65 * 1024 * 1024).unwrap();
    assert!(folder.problem().contains("too large"), "{}", folder.problem());
}
