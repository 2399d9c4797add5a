//! Makes the index.

use std::{
    borrow::Cow,
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Content, Folder, Node, NodeId, name, open, sample};

/// Most files and folders.
const MOST: usize = 10_000;
/// Most folders within each other.
const DEPTH: usize = 32;
/// Largest file that is kept in memory, and all of those together. Others are read from the disk each time.
const KEPT: u64 = 256 << 10;
const KEPT_TOGETHER: u64 = 16 << 20;
/// Most words for the operator.
const PROBLEMS: usize = 20;

/// The bundled sample.
pub(super) fn from_sample() -> Folder {
    let mut index = Index::new(at(sample::SINCE));
    for (path, seconds, content) in sample::FILES {
        let time = at(*seconds);
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut folder = NodeId::ROOT;
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            folder = index.folder(folder, part, time);
        }
        let size = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let times = Times { created: time, changed: time, accessed: time };
        index.add(folder, name.to_owned(), times, size, Content::Memory(Cow::Borrowed(content)));
    }
    index.finish()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A folder of the operator's.
pub(super) fn from_disk(root: &Path) -> (Folder, Vec<String>) {
    let mut problems = Problems::default();
    let times = match fs::metadata(root) {
        Ok(about) if about.is_dir() => Times::of(&about),
        Ok(_) => {
            problems.tell(root, "is no folder");
            return (Index::new(at(sample::SINCE)).finish(), problems.0);
        }
        Err(error) => {
            problems.tell(root, &error.to_string());
            return (Index::new(at(sample::SINCE)).finish(), problems.0);
        }
    };
    let mut index = Index::new(times.changed);
    index.set_root(times);
    let mut kept = 0_u64;
    let mut rest = vec![(root.to_owned(), NodeId::ROOT, 1_usize)];
    while let Some((path, folder, depth)) = rest.pop() {
        let mut names = HashSet::new();
        for (name, path) in entries(&path, &mut problems) {
            if index.nodes.len() >= MOST {
                problems.tell(root, &format!("holds more than {MOST} files and folders"));
                return (index.finish(), problems.0);
            }
            if !names.insert(name::key(&name)) {
                problems.tell(&path, "has the same name as another but for capitals");
                continue;
            }
            match found(&path, &mut kept) {
                Ok((times, _, Content::None)) if depth >= DEPTH => {
                    problems.tell(&path, &format!("is more than {DEPTH} folders deep"));
                    index.add(folder, name, times, 0, Content::None);
                }
                Ok((times, _, Content::None)) => {
                    let id = index.add(folder, name, times, 0, Content::None);
                    rest.push((path, id, depth.saturating_add(1)));
                }
                Ok((times, size, content)) => drop(index.add(folder, name, times, size, content)),
                Err(error) => problems.tell(&path, &error.to_string()),
            }
        }
    }
    (index.finish(), problems.0)
}

/// The names in a folder that can be shown, in an order that is always the same.
fn entries(path: &Path, problems: &mut Problems) -> Vec<(String, PathBuf)> {
    let listing = match fs::read_dir(path) {
        Ok(listing) => listing,
        Err(error) => {
            problems.tell(path, &error.to_string());
            return Vec::new();
        }
    };
    let mut all = Vec::new();
    for entry in listing.take(MOST.saturating_add(1)) {
        match entry {
            Ok(entry) => match entry.file_name().into_string() {
                Ok(name) if is_shown(&name) => all.push((name, entry.path())),
                _ => problems.tell(&entry.path(), "has a name that Windows does not allow"),
            },
            Err(error) => problems.tell(path, &error.to_string()),
        }
    }
    all.sort();
    all
}

/// Windows' programs cannot open names that end with a dot or a space.
fn is_shown(name: &str) -> bool {
    let units: Vec<u16> = name.encode_utf16().collect();
    name::is_valid(&units) && !name.ends_with(['.', ' '])
}

/// What is there: a folder has no content.
fn found(path: &Path, kept: &mut u64) -> io::Result<(Times, u64, Content)> {
    let about = fs::symlink_metadata(path)?;
    if about.is_symlink() {
        return Err(io::Error::other("is a link, and links are not followed"));
    }
    if about.is_dir() {
        return Ok((Times::of(&about), 0, Content::None));
    }
    if !about.is_file() {
        return Err(io::Error::other("is neither a file nor a folder"));
    }
    let file = open(path)?;
    let about = file.metadata()?;
    let size = about.len();
    let together = kept.saturating_add(size);
    let content = if size <= KEPT && together <= KEPT_TOGETHER {
        *kept = together;
        let bytes = super::from_disk(&file, 0, usize::try_from(size).unwrap_or_default())?;
        Content::Memory(Cow::Owned(bytes))
    } else {
        Content::Disk { path: path.to_owned(), device: about.dev(), inode: about.ino() }
    };
    let size = match &content {
        Content::Memory(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        _ => size,
    };
    Ok((Times::of(&about), size, content))
}

/// What the operator should know.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn tell(&mut self, path: &Path, what: &str) {
        if self.0.len() < PROBLEMS {
            self.0.push(format!("{}: {what}", path.display()));
        }
    }
}

/// The times of a file.
#[derive(Debug, Clone, Copy)]
struct Times {
    created: SystemTime,
    changed: SystemTime,
    accessed: SystemTime,
}

impl Times {
    /// Not every file system knows when a file was made.
    fn of(about: &fs::Metadata) -> Self {
        let changed = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let created = about.created().map_or(changed, |created| created.min(changed));
        Self { created, changed, accessed: about.accessed().unwrap_or(changed) }
    }
}

/// The index in the making.
struct Index {
    nodes: Vec<Node>,
}

impl Index {
    fn new(since: SystemTime) -> Self {
        let root = Node {
            id: NodeId::ROOT,
            name: String::new(),
            short: String::new(),
            folder: true,
            size: 0,
            created: since,
            changed: since,
            accessed: since,
            parent: NodeId::ROOT,
            children: Vec::new(),
            key: String::new(),
            content: Content::None,
        };
        Self { nodes: vec![root] }
    }

    fn set_root(&mut self, times: Times) {
        if let Some(root) = self.nodes.first_mut() {
            (root.created, root.changed, root.accessed) = (times.created, times.changed, times.accessed);
        }
    }

    fn node(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(usize::try_from(id.0).ok()?)
    }

    fn add(&mut self, parent: NodeId, name: String, times: Times, size: u64, content: Content) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let key = name::key(&name);
        let folder = matches!(content, Content::None);
        let Times { created, changed, accessed } = times;
        let (short, children) = (String::new(), Vec::new());
        let node = Node {
            id,
            name,
            short,
            folder,
            size,
            created,
            changed,
            accessed,
            parent,
            children,
            key,
            content,
        };
        self.nodes.push(node);
        if let Some(parent) = self.node(parent) {
            parent.children.push(id);
        }
        id
    }

    /// The folder of that name, made if need be; it has changed as lately as what is in it.
    fn folder(&mut self, parent: NodeId, name: &str, time: SystemTime) -> NodeId {
        let there =
            self.nodes.iter_mut().find(|node| node.parent == parent && node.folder && node.name == name);
        if let Some(node) = there {
            node.created = node.created.min(time);
            node.changed = node.changed.max(time);
            node.accessed = node.changed;
            return node.id;
        }
        let times = Times { created: time, changed: time, accessed: time };
        self.add(parent, name.to_owned(), times, 0, Content::None)
    }

    /// Gives short names and puts all in order.
    fn finish(mut self) -> Folder {
        for place in 0..self.nodes.len() {
            let Some(node) = self.nodes.get_mut(place) else { continue };
            let mut children = std::mem::take(&mut node.children);
            let key = |id: &NodeId, nodes: &[Node]| {
                usize::try_from(id.0).ok().and_then(|at| nodes.get(at)).map(|node| node.key.clone())
            };
            children.sort_by_cached_key(|id| key(id, &self.nodes));
            let mut taken: HashSet<String> = children.iter().filter_map(|id| key(id, &self.nodes)).collect();
            for id in &children {
                let Some(child) = self.node(*id) else { continue };
                child.short = name::short(&child.name, |short| taken.contains(short)).unwrap_or_default();
                taken.insert(child.short.clone());
            }
            if let Some(node) = self.nodes.get_mut(place) {
                node.children = children;
            }
        }
        Folder { nodes: self.nodes }
    }
}
