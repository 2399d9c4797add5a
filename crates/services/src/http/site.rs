//! What is served: a built-in skin, or a folder of the operator's, held in memory.
//!
//! In a page, what stands between `<!--STARTERR-->` and `<!--ENDERR-->` is shown after a failed login only. Files in
//! a folder `static` of a skin stand at the root of the site, and `403.html` and `404.html` beside `index.html`
//! replace the server's own error pages; so it is with the skins that people bring from OpenCanary.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsStr,
    fs, io,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use flate2::{Compression, write::GzEncoder};
use haldane_core::{Host, Section};

/// Most bytes and most files of a folder.
const BYTES: u64 = 16 * 1024 * 1024;
const FILES: usize = 2_000;

/// A built-in skin: its name, and its files by path.
type Skin = (&'static str, &'static [(&'static str, &'static [u8])]);

#[rustfmt::skip]
const SKINS: &[Skin] = &[
    ("apacheDefault", &[
        ("/index.html", include_bytes!("skins/apacheDefault/index.html")),
    ]),
    ("basicLogin", &[
        ("/index.html", include_bytes!("skins/basicLogin/index.html")),
        ("/css/portal.css", include_bytes!("skins/basicLogin/css/portal.css")),
    ]),
    ("nasLogin", &[
        ("/index.html", include_bytes!("skins/nasLogin/index.html")),
        ("/css/signin.css", include_bytes!("skins/nasLogin/css/signin.css")),
        ("/js/signin.js", include_bytes!("skins/nasLogin/js/signin.js")),
        ("/img/unit.svg", include_bytes!("skins/nasLogin/img/unit.svg")),
        ("/img/hills.svg", include_bytes!("skins/nasLogin/img/hills.svg")),
        ("/img/tab.svg", include_bytes!("skins/nasLogin/img/tab.svg")),
        ("/img/synohdpack/images/Components/checkbox.png", include_bytes!("skins/nasLogin/img/checkbox.png")),
    ]),
];

/// The names of the built-in skins.
pub(super) const NAMES: &[&str] = &["apacheDefault", "basicLogin", "nasLogin"];

/// A file of the site.
#[derive(Debug)]
pub(super) struct File {
    /// Its content.
    pub(super) bytes: Vec<u8>,
    /// The same, compressed, where a server would.
    pub(super) gzip: Option<Vec<u8>>,
    /// Its type, where its name has a known ending.
    pub(super) mime: Option<&'static str>,
    /// When it was last changed.
    pub(super) modified: SystemTime,
    /// Its number in the file system.
    pub(super) inode: u32,
}

/// Everything that is served.
#[derive(Debug)]
pub(super) struct Site {
    /// The skin's name, as events have it.
    pub(super) skin: String,
    /// Whether the login page takes GET and POST alone, as the peer's skins do.
    pub(super) terse: bool,
    files: HashMap<Vec<u8>, File>,
    folders: HashSet<Vec<u8>>,
    failed: Option<File>,
    errors: HashMap<u16, Vec<u8>>,
}

/// The page that everything leads to.
pub(super) const PAGE: &[u8] = b"/index.html";

impl Site {
    /// Reads the keys `skindir` and `skin`.
    pub(super) fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let folder = section.path(
            "skindir",
            "A folder with an index.html of your own, served instead of the built-in skin. Read at the start; \
             at most 2,000 files and 16 MiB.",
        );
        let about = "The built-in site: apacheDefault, basicLogin or nasLogin (a NAS with a login form).";
        let skin = match &folder {
            Some(_) => section.text("skin", "apacheDefault", about),
            None => section.choice("skin", "apacheDefault", NAMES, about).to_owned(),
        };
        let about = "Whether a login page takes GET and POST alone, as OpenCanary's does. false: every method that \
                     the banner's server takes. (apacheDefault always does.)";
        let terse = section.flag("get_and_post_only", true, about);
        let stamp = Stamp::keep(section, host);
        let mut site = Self {
            terse: terse && (folder.is_some() || skin != "apacheDefault"),
            skin,
            files: HashMap::new(),
            folders: HashSet::from([b"/".to_vec()]),
            failed: None,
            errors: HashMap::new(),
        };
        let found = match &folder {
            Some(folder) => read_folder(folder),
            None => Ok(site.built_in(host, &stamp)),
        };
        match found {
            Ok(found) => {
                found.into_iter().enumerate().for_each(|(at, found)| site.add(found, stamp.inode(at)))
            }
            Err(why) => section.invalid("skindir", format!("expected a folder that can be read ({why})")),
        }
        if folder.is_some() && site.page(false).is_none() {
            section.invalid("skindir", "expected a folder with an index.html");
        }
        site
    }

    fn built_in(&self, host: &Host, stamp: &Stamp) -> Vec<Found> {
        let files = SKINS.iter().find(|(name, _)| *name == self.skin).map(|(_, files)| *files);
        let found = files.unwrap_or_default().iter().map(|(path, bytes)| {
            let bytes = match std::str::from_utf8(bytes) {
                Ok(text) => {
                    text.replace("{{host}}", &host.name).replace("{{build}}", &stamp.build()).into_bytes()
                }
                Err(_) => bytes.to_vec(),
            };
            (path.as_bytes().to_vec(), bytes)
        });
        // Files that were unpacked one after the other.
        let found = found.zip(0_u32..).map(|((path, bytes), at)| {
            let later = Duration::from_micros(u64::from(at.wrapping_mul(1_337)));
            let modified = stamp.published.checked_add(later).unwrap_or(stamp.published);
            Found { path, bytes, modified }
        });
        found.collect()
    }

    fn add(&mut self, found: Found, inode: u32) {
        let Found { path, bytes, modified } = found;
        let path =
            path.strip_prefix(b"/static").filter(|rest| rest.starts_with(b"/")).unwrap_or(&path).to_vec();
        match path.as_slice() {
            b"/403.html" => drop(self.errors.insert(403, bytes)),
            b"/404.html" => drop(self.errors.insert(404, bytes)),
            _ => {
                let mime = mime(&path);
                if path == PAGE {
                    let marked = cut(&bytes, true);
                    self.failed = marked.map(|marked| File::new(marked, mime, modified, inode));
                }
                let bytes = if path == PAGE { cut(&bytes, false).unwrap_or(bytes) } else { bytes };
                let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
                let folders = slashes.filter_map(|(at, _)| path.get(..at.saturating_add(1)));
                self.folders.extend(folders.map(<[u8]>::to_vec));
                self.files.insert(path, File::new(bytes, mime, modified, inode));
            }
        }
    }

    /// The file of that path.
    pub(super) fn file(&self, path: &[u8]) -> Option<&File> {
        self.files.get(path)
    }

    /// The page, or what it looks like after a failed login.
    pub(super) fn page(&self, failed: bool) -> Option<&File> {
        self.failed.as_ref().filter(|_| failed).or_else(|| self.file(PAGE))
    }

    /// The type that the name of a path has, be there such a file or not; what follows a file in it is not its
    /// name.
    pub(super) fn mime(&self, path: &[u8]) -> Option<&'static str> {
        let ends = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let name = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        name.into_iter().find(|name| !self.folder(&[name, &b"/"[..]].concat())).and_then(mime)
    }

    /// Whether that path, with its slash at the end, is a folder.
    pub(super) fn folder(&self, path: &[u8]) -> bool {
        self.folders.contains(path)
    }

    /// The skin's own page for that status.
    pub(super) fn error(&self, status: u16) -> Option<&[u8]> {
        self.errors.get(&status).map(Vec::as_slice)
    }
}

impl File {
    fn new(bytes: Vec<u8>, mime: Option<&'static str>, modified: SystemTime, inode: u32) -> Self {
        let gzip = mime.filter(|mime| compressible(mime)).and_then(|_| compress(&bytes).ok());
        Self { bytes, gzip, mime, modified, inode }
    }
}

fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn compressible(mime: &str) -> bool {
    mime.starts_with("text/") || ["javascript", "json", "xml"].iter().any(|ending| mime.ends_with(ending))
}

/// Keeps or removes the text for failed logins; `None` if the page has none.
fn cut(page: &[u8], failed: bool) -> Option<Vec<u8>> {
    const START: &[u8] = b"<!--STARTERR-->";
    const END: &[u8] = b"<!--ENDERR-->";
    let at = |needle: &[u8], from: usize| {
        let rest = page.get(from..)?;
        rest.windows(needle.len()).position(|window| window == needle)?.checked_add(from)
    };
    let start = at(START, 0)?;
    let inner = start.checked_add(START.len())?;
    let end = at(END, inner)?;
    let text = page.get(inner..end).filter(|_| failed).unwrap_or_default();
    Some([page.get(..start)?, text, page.get(end.checked_add(END.len())?..)?].concat())
}

/// The type of a file of that name.
fn mime(path: &[u8]) -> Option<&'static str> {
    let ending = path.rsplit(|byte| *byte == b'.').next()?.to_ascii_lowercase();
    Some(match ending.as_slice() {
        b"html" | b"htm" => "text/html",
        b"css" => "text/css",
        b"js" => "text/javascript",
        b"json" | b"map" => "application/json",
        b"txt" => "text/plain",
        b"xml" => "application/xml",
        b"svg" => "image/svg+xml",
        b"png" => "image/png",
        b"jpg" | b"jpeg" => "image/jpeg",
        b"gif" => "image/gif",
        b"webp" => "image/webp",
        b"ico" => "image/vnd.microsoft.icon",
        b"woff" => "font/woff",
        b"woff2" => "font/woff2",
        b"ttf" => "font/ttf",
        b"pdf" => "application/pdf",
        _ => return None,
    })
}

/// What differs from one installation to the next, and stays the same on each.
struct Stamp {
    published: SystemTime,
    seed: [u8; 8],
}

impl Stamp {
    /// Bytes of its kept form.
    const SIZE: usize = 16;

    fn keep(section: &mut Section<'_>, host: &Host) -> Self {
        let mut make = || {
            let mut bytes = [0; Self::SIZE];
            openssl::rand::rand_bytes(&mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes.to_vec())
        };
        let kept = host.keep.keep(None, "http-site", &mut make);
        let kept = kept.and_then(|kept| {
            let array: Result<[u8; Self::SIZE], _> = kept.try_into();
            array.map_err(|_| "the state file http-site is damaged: remove it".to_owned())
        });
        let bytes = kept.unwrap_or_else(|why| {
            section.invalid("skin", why);
            [0; Self::SIZE]
        });
        let [a, b, c, d, e, f, g, h, seed @ ..] = bytes;
        // Some moment of the half year from June 2025, to the microsecond: before anybody installed this.
        let since =
            u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(15_552_000_000_000).unwrap_or_default();
        let first = Duration::from_secs(1_748_736_000);
        let published = UNIX_EPOCH.checked_add(first.saturating_add(Duration::from_micros(since)));
        Self { published: published.unwrap_or(UNIX_EPOCH), seed }
    }

    fn build(&self) -> String {
        let [a, b, ..] = self.seed;
        (u16::from_be_bytes([a, b]) | 0x4000).to_string()
    }

    fn inode(&self, at: usize) -> u32 {
        let [.., a, b, c, d] = self.seed;
        // File systems number files from small up.
        (u32::from_be_bytes([a, b, c, d]) >> 12).wrapping_add(u32::try_from(at).unwrap_or_default())
    }
}

struct Found {
    path: Vec<u8>,
    bytes: Vec<u8>,
    modified: SystemTime,
}

/// Reads a folder and those below it, never leaving it, within bounds.
fn read_folder(root: &Path) -> io::Result<Vec<Found>> {
    let root = root.canonicalize()?;
    let mut left = BYTES;
    let (mut found, mut waiting, mut entered) =
        (Vec::new(), vec![(root.clone(), Vec::new())], HashSet::new());
    while let Some((folder, prefix)) = waiting.pop() {
        // A symbolic link may lead back up.
        if !entered.insert(folder.clone()) {
            continue;
        }
        let mut entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let Some(target) = entry.path().canonicalize().ok().filter(|target| target.starts_with(&root))
            else {
                continue;
            };
            let name: &OsStr = &entry.file_name();
            let path = [prefix.as_slice(), b"/", name.as_bytes()].concat();
            let about = fs::metadata(&target)?;
            if about.is_dir() {
                waiting.push((target, path));
            } else if about.is_file() {
                let mut bytes = Vec::new();
                fs::File::open(&target)?.take(left.saturating_add(1)).read_to_end(&mut bytes)?;
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                left = left.checked_sub(size).ok_or_else(|| io::Error::other("it holds more than 16 MiB"))?;
                found.push(Found { path, bytes, modified: about.modified()? });
            }
            if found.len() > FILES || waiting.len() > FILES {
                return Err(io::Error::other("it holds more than 2,000 files"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_for_failed_logins_shows_only_then() {
        let page = b"a<!--STARTERR-->no<!--ENDERR-->b";
        assert_eq!(cut(page, false).unwrap(), b"ab");
        assert_eq!(cut(page, true).unwrap(), b"anob");
        assert_eq!(cut(b"plain", true), None);
    }

    #[test]
    fn every_built_in_skin_has_a_page_and_a_name() {
        assert_eq!(SKINS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), NAMES);
        for (name, files) in SKINS {
            assert!(files.iter().any(|(path, _)| path.as_bytes() == PAGE), "{name}");
        }
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let folder = std::env::temp_dir().join(format!("haldane-skin-{}", std::process::id()));
        fs::create_dir_all(folder.join("static/css")).unwrap();
        fs::write(folder.join("index.html"), "hello").unwrap();
        fs::write(folder.join("static/css/a.css"), "a{}").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", folder.join("out")).ok();
        std::os::unix::fs::symlink(&folder, folder.join("loop")).ok();
        let mut paths: Vec<_> = read_folder(&folder).unwrap().into_iter().map(|found| found.path).collect();
        paths.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(paths, [b"/index.html".to_vec(), b"/static/css/a.css".to_vec()]);
    }
}
