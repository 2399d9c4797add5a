//! Gives up what is not needed once the ports are bound.

use std::{
    io,
    path::{Path, PathBuf},
};

use caps::{CapSet, Capability, CapsHashSet};
use rustix::{
    fs::{self, AtFlags, FileType, Mode, OFlags, Stat},
    io::Errno,
    process::{Gid, Uid, getuid},
    thread,
};

/// Whom to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

/// Why privileges could not be given up. The program does not go on then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not in `/etc/passwd`, and not a number.
    #[error("there is no user \"{0}\"")]
    NoUser(String),
    /// Not in `/etc/group`, and not a number.
    #[error("there is no group \"{0}\"")]
    NoGroup(String),
    /// Only root becomes somebody else.
    #[error("only root can change to another user")]
    NotRoot,
    /// Without it, `nft` and `ipset` can do nothing.
    #[error(
        "that needs root, or CAP_NET_ADMIN (for systemd: AmbientCapabilities, see contrib/haldane.service)"
    )]
    NoRight,
    /// A folder, or a file in it, could not be made the new user's.
    #[error("cannot give {path} to uid {uid}")]
    Give {
        /// Which.
        path: PathBuf,
        /// To whom.
        uid: u32,
        /// Why.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot give up {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Who was asked for, by name or number; without a group, the user's own. `None`: nobody was asked for.
///
/// # Errors
/// There is no such user or group.
pub fn wanted(user: Option<&str>, group: Option<&str>) -> Result<Option<Identity>, Error> {
    let (passwd, groups) = (read("/etc/passwd"), read("/etc/group"));
    let user =
        user.map(|user| find_user(user, &passwd).ok_or_else(|| Error::NoUser(user.into()))).transpose()?;
    let group = group
        .map(|group| find_group(group, &groups).ok_or_else(|| Error::NoGroup(group.into())))
        .transpose()?;
    Ok(match (user, group) {
        (Some((uid, own)), group) => Some(Identity { uid, gid: group.or(own).unwrap_or(uid) }),
        (None, Some(gid)) => Some(Identity { gid, ..current() }),
        (None, None) => None,
    })
}

/// Whom root becomes if nobody was asked for: the user `haldane` if there is one, else `nobody`.
pub fn unprivileged() -> Identity {
    let passwd = read("/etc/passwd");
    let found = ["haldane", "nobody"].into_iter().find_map(|name| find_user(name, &passwd));
    // 65534: the kernel's overflow user and group.
    let (uid, gid) = found.unwrap_or((65_534, Some(65_534)));
    Identity { uid, gid: gid.unwrap_or(uid) }
}

/// Who this process is.
pub fn current() -> Identity {
    Identity { uid: getuid().as_raw(), gid: rustix::process::getgid().as_raw() }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `name:password:uid:gid:…` (passwd(5)).
fn find_user(user: &str, passwd: &str) -> Option<(u32, Option<u32>)> {
    let entries = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        Some((name, uid, fields.next()?.parse().ok()))
    });
    let number = user.parse().ok();
    let found = entries.into_iter().find(|(name, uid, _)| *name == user || Some(*uid) == number);
    found.map(|(_, uid, gid)| (uid, gid)).or_else(|| number.map(|uid| (uid, None)))
}

/// `name:password:gid:…` (group(5)).
fn find_group(group: &str, groups: &str) -> Option<u32> {
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        (name == group).then_some(gid)
    });
    found.or_else(|| group.parse().ok())
}

/// Becomes that identity for good, with those folders (and what is in them) and those files its own, and no
/// capability left. Files that are missing are made.
/// Must be called while there is one thread: the system calls act on the calling one.
///
/// # Errors
/// Anything that keeps it from being complete.
pub fn become_identity(identity: Identity, folders: &[&Path], files: &[PathBuf]) -> Result<(), Error> {
    if !getuid().is_root() {
        return Err(Error::NotRoot);
    }
    for folder in folders {
        give_folder(folder, identity)?;
    }
    for file in files {
        // Whoever writes there says what is wrong, and goes on trying.
        give_file(file, identity).ok();
    }
    caps::clear(None, CapSet::Bounding).ok();
    become_user(identity)?;
    if identity.uid != 0 && thread::set_thread_uid(Uid::ROOT).is_ok() {
        let source = io::Error::other("it can be taken back");
        return Err(Error::System { what: "root", source });
    }
    no_more()
}

/// Keeps the right to change networks (`CAP_NET_ADMIN`) and nothing else, for this process and those that it starts,
/// as that identity if one is given.
///
/// # Errors
/// It does not have that right, or the system refused.
pub fn only_networks(identity: Option<Identity>) -> Result<(), Error> {
    const RIGHT: Capability = Capability::CAP_NET_ADMIN;
    let capabilities = |error| Error::System {
        what: "capabilities",
        source: io::Error::other::<caps::errors::CapsError>(error),
    };
    let failed = |what| move |source: Errno| Error::System { what, source: source.into() };
    if !caps::has_cap(None, CapSet::Permitted, RIGHT).unwrap_or(false) {
        return Err(Error::NoRight);
    }
    for other in caps::all().into_iter().filter(|other| *other != RIGHT) {
        caps::drop(None, CapSet::Bounding, other).ok();
    }
    if let Some(identity) = identity {
        // Else the change of user takes it, too.
        thread::set_keep_capabilities(true).map_err(failed("the user"))?;
        become_user(identity)?;
    }
    let only: CapsHashSet = [RIGHT].into_iter().collect();
    // Effective and inheritable ones are within the permitted, ambient ones within both.
    caps::set(None, CapSet::Effective, &CapsHashSet::new()).map_err(capabilities)?;
    for set in [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable, CapSet::Ambient] {
        caps::set(None, set, &only).map_err(capabilities)?;
    }
    thread::set_no_new_privs(true).map_err(failed("new privileges"))
}

fn become_user(identity: Identity) -> Result<(), Error> {
    let failed = |what| move |source: Errno| Error::System { what, source: source.into() };
    let gid = Gid::from_raw(identity.gid);
    let uid = Uid::from_raw(identity.uid);
    thread::set_thread_groups(&[gid]).map_err(failed("the supplementary groups"))?;
    thread::set_thread_res_gid(gid, gid, gid).map_err(failed("the group"))?;
    thread::set_thread_res_uid(uid, uid, uid).map_err(failed("the user"))
}

/// Gives up all capabilities, and the way to new ones.
///
/// # Errors
/// The system refused.
pub fn no_more() -> Result<(), Error> {
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set)
            .map_err(|error| Error::System { what: "capabilities", source: io::Error::other(error) })?;
    }
    thread::set_no_new_privs(true)
        .map_err(|source| Error::System { what: "new privileges", source: source.into() })
}

/// Makes a folder the new user's, with the files in it that were root's or the folder's former owner's: another
/// start may have given them to another user. Where everybody may write, the folder is nobody's own, and only what
/// root alone could read is given away, as keys are.
///
/// Whoever broke in as the former owner may have prepared the folder: links lead nowhere from here, and a file
/// with a second name may be one of root's from elsewhere.
fn give_folder(folder: &Path, identity: Identity) -> Result<(), Error> {
    let failed =
        |source: Errno| Error::Give { path: folder.to_owned(), uid: identity.uid, source: source.into() };
    let link = fs::lstat(folder).map_err(failed)?;
    let of_root = FileType::from_raw_mode(link.st_mode).is_symlink() && link.st_uid == 0;
    let follow = if of_root { OFlags::empty() } else { OFlags::NOFOLLOW };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow;
    let opened = fs::open(folder, flags, Mode::empty()).map_err(failed)?;
    let former = fs::fstat(&opened).map_err(failed)?;
    let shared = Mode::from_raw_mode(former.st_mode).intersects(Mode::WOTH | Mode::SVTX);
    let (uid, gid) = (Some(Uid::from_raw(identity.uid)), Some(Gid::from_raw(identity.gid)));
    for entry in fs::Dir::read_from(&opened).map_err(failed)?.flatten() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = fs::openat(&opened, entry.file_name(), flags, Mode::empty()) else { continue };
        let about = fs::fstat(&file).map_err(failed)?;
        let secret =
            about.st_uid == 0 && !Mode::from_raw_mode(about.st_mode).intersects(Mode::RWXG | Mode::RWXO);
        if is_only_name(&about, former.st_uid) && (secret || !shared) {
            fs::chownat(&file, c"", uid, gid, AtFlags::EMPTY_PATH).map_err(failed)?;
        }
    }
    match shared {
        true => Ok(()),
        false => fs::fchown(&opened, uid, gid).map_err(failed),
    }
}

/// Makes a file the new user's if it is root's, and makes it if it is missing. Links are not followed.
fn give_file(path: &Path, identity: Identity) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::open(path, flags, Mode::from_raw_mode(0o640))?;
    let about = fs::fstat(&file)?;
    if is_only_name(&about, 0) {
        // Another group than root's is there for its readers.
        let group = (about.st_gid == 0).then(|| Gid::from_raw(identity.gid));
        fs::fchown(file, Some(Uid::from_raw(identity.uid)), group)?;
    }
    Ok(())
}

/// Whether it is a file of root's or of that owner, and known under one name: whoever may write in its folder
/// could have put another name of a file there that matters.
fn is_only_name(about: &Stat, owner: u32) -> bool {
    let file = FileType::from_raw_mode(about.st_mode).is_file();
    file && about.st_nlink == 1 && [0, owner].contains(&about.st_uid)
}

/// Lets the process open as many descriptors as it may; returns how many that is.
pub fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).ok();
    let current = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(current).unwrap_or(1 << 20)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

    use super::*;

    #[test]
    fn only_what_is_root_s_and_is_there_alone_is_given_away() {
        if !getuid().is_root() {
            // Nothing can be given away.
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let (folder, elsewhere) = (place.path().join("state"), place.path().join("shadow"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(&elsewhere, "root's").unwrap();
        std::fs::write(folder.join("key"), "ours").unwrap();
        std::fs::hard_link(&elsewhere, folder.join("hard")).unwrap();
        symlink(&elsewhere, folder.join("soft")).unwrap();
        let identity = Identity { uid: 12_345, gid: 23_456 };
        give_folder(&folder, identity).unwrap();
        let owner = |path: &Path| std::fs::metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
        assert_eq!(owner(&folder), (12_345, 23_456));
        assert_eq!(owner(&folder.join("key")), (12_345, 23_456));
        assert_eq!(owner(&elsewhere), (0, 0));
        give_folder(&folder, Identity { uid: 12_346, ..identity }).unwrap();
        assert_eq!(owner(&folder.join("key")), (12_346, 23_456), "what another start gave to another user");
        assert_eq!(owner(&elsewhere), (0, 0));

        let link = place.path().join("link");
        symlink(place.path(), &link).unwrap();
        lchown(&link, Some(12_345), None).unwrap();
        assert!(give_folder(&link, identity).is_err(), "a link that somebody else made");
        std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
        std::fs::write(place.path().join("key"), "ours").unwrap();
        std::fs::set_permissions(place.path().join("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::remove_file(folder.join("hard")).unwrap();
        give_folder(place.path(), identity).unwrap();
        assert_eq!(owner(place.path()), (0, 0), "a folder like /tmp");
        assert_eq!(owner(&place.path().join("key")), (12_345, 23_456));
        assert_eq!(owner(&elsewhere), (0, 0));
    }

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\nhaldane:x:990:980::/var/lib/haldane:/usr/sbin/nologin\n";

    #[test]
    fn users_are_found_by_name_and_by_number_and_numbers_need_no_entry() {
        assert_eq!(find_user("haldane", PASSWD), Some((990, Some(980))));
        assert_eq!(find_user("990", PASSWD), Some((990, Some(980))));
        assert_eq!(find_user("1234", PASSWD), Some((1234, None)));
        assert_eq!(find_user("eve", PASSWD), None);
        assert_eq!(find_group("adm", "root:x:0:\nadm:x:4:\n"), Some(4));
    }
}
