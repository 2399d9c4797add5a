//! Started by root: ports are bound, then root is given up for good, and everything goes on working.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use crate::fixture::{Canary, connect, file, folder, free_port, redis_login, text, until};

/// Whether this test is run by root; says so if not, since the test then shows nothing.
fn root() -> bool {
    let own = fs::metadata("/proc/self").unwrap().uid();
    if own != 0 {
        println!("SKIPPED: only root can give up root");
    }
    own == 0
}

/// What the system says about the process, for each of its threads.
struct Status(Vec<String>);

impl Status {
    fn of(canary: &Canary) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", canary.pid())).unwrap();
        Self(tasks.map(|task| text(task.unwrap().path().join("status"))).collect())
    }

    /// The words after that name, the same for every thread.
    fn get(&self, name: &str) -> Vec<String> {
        let of = |status: &String| {
            let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut all: Vec<_> = self.0.iter().map(of).collect();
        all.dedup();
        assert_eq!(all.len(), 1, "{name} differs between threads: {all:?}");
        all.remove(0)
    }

    fn assert_is(&self, uid: u32, gid: u32) {
        let four = |id: u32| vec![id.to_string(); 4];
        assert_eq!((self.get("Uid"), self.get("Gid")), (four(uid), four(gid)));
        assert_eq!(self.get("Groups"), [gid.to_string()]);
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(self.get(set), ["0000000000000000"], "{set}");
        }
        assert_eq!(self.get("NoNewPrivs"), ["1"]);
    }
}

/// Starts it with those options, and returns it with its port, one of the hundred that begin there: below 1024,
/// so that only root could have bound it.
fn start(hundred: u16, options: &[&str]) -> (Canary, u16) {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let port = (hundred..hundred + 100).find(free).unwrap();
    let place = folder();
    let mut command = Canary::command(&place, &format!("[service.redis]\nport = {port}\n"));
    command.args(options);
    (Canary::spawn(place, command), port)
}

#[test]
fn numbers_become_user_and_group_and_nothing_is_left_of_root() {
    if !root() {
        return;
    }
    let (canary, port) = start(600, &["--uid", "12345", "--gid", "23456"]);
    Status::of(&canary).assert_is(12345, 23456);
    assert!(redis_login(port, "root", "hunter2"));
    canary.login("redis", "root", "hunter2");
    let dropped = canary.event("a remark", |event| event["kind"] == "privileges.dropped");
    assert_eq!((&dropped["fields"]["uid"], &dropped["fields"]["gid"]), (&12345.into(), &23456.into()));
}

#[test]
fn names_become_user_and_group() {
    if !root() {
        return;
    }
    let id = |table: &str, name: &str, field: usize| -> Option<u32> {
        let table = text(table);
        let line = table.lines().find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(field)?.parse().ok()
    };
    let (Some(uid), Some(gid)) = (id("/etc/passwd", "daemon", 2), id("/etc/group", "adm", 2)) else {
        return println!("SKIPPED: there is no user daemon or no group adm");
    };
    let own = id("/etc/passwd", "daemon", 3).unwrap();
    let (canary, _) = start(700, &["--uid", "daemon", "--gid", "adm"]);
    Status::of(&canary).assert_is(uid, gid);
    let (canary, _) = start(700, &["--uid", "daemon"]);
    Status::of(&canary).assert_is(uid, own);
}

#[test]
fn root_without_a_wish_becomes_nobody_in_particular() {
    if !root() {
        return;
    }
    let (canary, port) = start(800, &[]);
    let uid: u32 = Status::of(&canary).get("Uid")[0].parse().unwrap();
    let gid: u32 = Status::of(&canary).get("Gid")[0].parse().unwrap();
    assert_ne!(uid, 0);
    Status::of(&canary).assert_is(uid, gid);
    assert!(redis_login(port, "root", "hunter2"));
    canary.login("redis", "root", "hunter2");
}

#[test]
fn an_unknown_user_starts_nothing() {
    if !root() {
        return;
    }
    let place = folder();
    let mut command = Canary::command(&place, &format!("[service.redis]\nport = {}\n", free_port()));
    command.args(["--uid", "nobody-of-that-name"]);
    let (status, said) = Canary::spawn_unready(place, command).ended();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("nobody-of-that-name"), "{said}");
}

fn owner(path: impl AsRef<Path>) -> (u32, u32) {
    let about = fs::metadata(path.as_ref()).unwrap();
    (about.uid(), about.mode() & 0o777)
}

#[test]
fn the_new_user_has_the_state_reloads_and_restarts() {
    if !root() {
        return;
    }
    let (ftp, ssh, https, late) = (free_port(), free_port(), free_port(), free_port());
    let configuration = format!(
        "[service.ftp]\nport = {ftp}\n[service.ssh]\nport = {ssh}\n[service.https]\nport = {https}\n"
    );
    let place = folder();
    let mut command = Canary::command(&place, &configuration);
    command.args(["--uid", "12345"]);
    let canary = Canary::spawn(place, command);
    let state = file(&canary, "state");
    assert_eq!(owner(&state), (12345, 0o700));
    let mut secrets = 0;
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let (uid, mode) = owner(&path);
        assert_eq!(uid, 12345, "{}", path.display());
        let content = fs::read(&path).unwrap();
        if String::from_utf8_lossy(&content).contains("PRIVATE KEY") {
            secrets += 1;
            assert_eq!(mode, 0o600, "{}", path.display());
        }
        assert_eq!(mode & 0o007, 0, "{}", path.display());
    }
    assert!(secrets >= 2, "a host key and a certificate's key");
    Canary::write_configuration(&canary.folder, &format!("{configuration}[service.redis]\nport = {late}\n"));
    canary.signal("HUP");
    let reloaded = canary.event("a reload", |event| event["kind"] == "haldane.reloaded");
    assert_eq!((&reloaded["fields"]["kept"], &reloaded["fields"]["started"]), (&3.into(), &1.into()));
    assert!(redis_login(late, "root", "afterwards"));
    canary.login("redis", "root", "afterwards");
    // Another user takes over what the first one left.
    let place = canary.kill();
    let mut command = Canary::command(&place, &configuration);
    command.args(["--uid", "54321"]);
    let canary = Canary::spawn(place, command);
    Status::of(&canary).assert_is(54321, 54321);
    connect(ssh);
    canary.event("a connection", |event| event["kind"] == "connection.opened" && event["service"] == "ssh");
    assert!(canary.so_far(|event| event["kind"] == "store.failing").is_empty());
    assert!(canary.haldane(&["events", "--json"]).contains("afterwards"));
}

#[test]
fn logs_of_root_are_handed_over_and_links_are_not_followed() {
    if !root() {
        return;
    }
    let port = free_port();
    let place = folder();
    // As /var/log is: only root makes files there.
    let logs = place.path().join("logs");
    fs::create_dir(&logs).unwrap();
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o755)).unwrap();
    let (old, new, link, precious) =
        (logs.join("old.log"), logs.join("new.log"), logs.join("link.log"), place.path().join("precious"));
    fs::write(&old, "what was there\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&precious, "root's own\n").unwrap();
    std::os::unix::fs::symlink(&precious, &link).unwrap();
    let sink = |name: &str| {
        format!(
            "[sink.{name}]\ntype = \"file\"\nformat = \"compatible\"\npath = \"{{folder}}/logs/{name}.log\"\n"
        )
    };
    let sinks = ["old", "new", "link"].map(sink).concat();
    let mut command = Canary::command(&place, &format!("[service.redis]\nport = {port}\n{sinks}"));
    command.args(["--uid", "12345"]);
    let canary = Canary::spawn(place, command);
    assert!(redis_login(port, "root", "hunter2"));
    until("a line in each log", || [&old, &new].iter().all(|log| text(log).contains("hunter2")));
    assert!(text(&old).starts_with("what was there\n"));
    assert_eq!((owner(&old), owner(&new)), ((12345, 0o640), (12345, 0o640)));
    assert_eq!(owner(&precious).0, 0);
    assert_eq!(text(&precious), "root's own\n");
    let down = canary.event("a remark", |event| event["kind"] == "sink.down");
    let why = down["fields"]["why"].as_str().unwrap();
    assert!(why.contains("link.log") && why.contains("permission denied"), "{why}");
}
