//! The presets of the program and those of the operator: one list with all other sinks.

use std::{
    io::ErrorKind,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use haldane_core::{
    Class, Event, Kind, Login, Peer, Problem, Severity, Sighting, Transport, Value, section::Place,
};

use crate::{ALL, Entry};

/// Longest file of a preset, in bytes.
const LONGEST: u64 = 256 * 1024;

/// Every sink, with the presets of the operator's folder: each `NAME.toml` in it is a sink of the type `NAME`, and
/// takes the place of one of ours with that name. A folder that does not exist, or is not for us to see, has none.
pub fn registry(folder: Option<&Path>) -> (Vec<Entry>, Vec<Problem>) {
    let mut all = ALL.to_vec();
    let mut problems = Vec::new();
    let found = match folder.map(std::fs::read_dir) {
        None => return (all, problems),
        Some(Err(error)) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return (all, problems);
        }
        Some(found) => found,
    };
    let mut wrong = |path: &Path, why: String| {
        let place = Place { file: path.display().to_string().into(), line: 0 };
        problems.push(Problem::error(Some(place), "", why));
    };
    let mut paths = Vec::new();
    match found {
        Ok(found) => paths.extend(found.flatten().map(|entry| entry.path())),
        Err(error) => wrong(folder.unwrap_or(Path::new("")), format!("the presets cannot be read: {error}")),
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    for path in paths {
        let name = path.file_stem().and_then(|name| name.to_str()).map(str::to_ascii_lowercase);
        let right = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let Some(name) = name.filter(|name| !name.is_empty() && name.chars().all(right)) else {
            wrong(&path, "expected a name of letters, digits, - and _ for a preset".to_owned());
            continue;
        };
        match std::fs::metadata(&path).map(|file| file.len()) {
            Ok(..=LONGEST) => {}
            Ok(_) => {
                wrong(&path, format!("expected a preset of at most {LONGEST} bytes"));
                continue;
            }
            Err(error) => {
                wrong(&path, format!("the preset cannot be read: {error}"));
                continue;
            }
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let own = Entry::own_preset(name, text);
                match all.iter_mut().find(|entry| entry.name == own.name) {
                    Some(entry) => *entry = own,
                    None => all.push(own),
                }
            }
            Err(error) => wrong(&path, format!("the preset cannot be read: {error}")),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    (all, problems)
}

/// A mistake in a preset.
pub(super) fn problem(preset: &str, line: usize, mistake: String) -> Problem {
    let place = Place { file: format!("{preset}.toml").into(), line };
    Problem::error(Some(place), "", format!("the preset cannot be used: {mistake}"))
}

static LOGIN: Kind = Kind::new(39050, "sample.login", Class::Login, Severity::High, "Login");
static OPENED: Kind =
    Kind::new(39210, "incident.opened", Class::Incident, Severity::Medium, "Incident opened");
static CLOSED: Kind =
    Kind::new(39212, "incident.closed", Class::Incident, Severity::Medium, "Incident closed");
static BARE: Kind = Kind::new(39051, "sample.note", Class::Operational, Severity::Info, "Note");

/// Events on which a preset is tried when the configuration is read: one with all that there may be, the news of an
/// incident, and one with next to nothing.
pub(super) fn samples() -> Vec<Event> {
    let at = UNIX_EPOCH.checked_add(Duration::from_secs(1_700_000_000)).unwrap_or(UNIX_EPOCH);
    let end = |address: [u8; 4], port: u16| std::net::SocketAddr::from((address, port));
    let peer = Peer::new(end([192, 0, 2, 7], 50_123), end([10, 0, 0, 5], 21), Transport::Tcp);
    let one = |seen: Sighting, incident| {
        let mut event = Event::stamped(seen, "ftp", uuid::Uuid::nil(), Some(peer), (uuid::Uuid::nil(), at));
        event.incident = incident;
        event
    };
    let login = Sighting::of(&LOGIN)
        .login(Login::password("password", "a\"<b>\r\n{{ x }}", "b"))
        .with("a", "b")
        .with("list", vec![Value::from(1_u8), Value::from("two")]);
    let news = |kind| {
        Sighting::of(kind)
            .with("summary", "192.0.2.7 scanned 312 ports")
            .with("source", "192.0.2.7")
            .with("targets", vec![Value::from("10.0.0.5")])
            .with("services", vec![Value::from("ftp")])
            .with("events", 312_u16)
            .with("reason", "opened")
    };
    vec![
        one(login, None),
        one(news(&OPENED), Some(17)),
        one(news(&CLOSED), Some(17)),
        Event::operational(Sighting::of(&BARE), (uuid::Uuid::nil(), at)),
    ]
}
