//! The git daemon, with git itself: what is refused, and a bait repository that can be cloned.

use std::{net::TcpListener, path::PathBuf, process::Command};

use serde_json::Value;

use crate::fixture::{Canary, client, file, free_port, installed};

fn canary(settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.git]\nport = {port}\n{settings}\n")), port)
}

fn bait() -> (Canary, u16) {
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../services/tests/data/payroll.git");
    canary(&format!("repository = \"{repository}\""))
}

/// Runs git apart from the configuration of this machine; it must end well. What it wrote.
fn git(arguments: &[&str]) -> String {
    let (said, well) = git_may_fail(arguments);
    assert!(well, "git {arguments:?}: {said}");
    said
}

fn git_may_fail(arguments: &[&str]) -> (String, bool) {
    let output = Command::new("timeout")
        .args(["60", "git"])
        .args(arguments)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b")])
        .envs([("GIT_COMMITTER_NAME", "a"), ("GIT_COMMITTER_EMAIL", "a@b"), ("GIT_TERMINAL_PROMPT", "0")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (said, output.status.success())
}

fn requests(canary: &Canary, count: usize) -> Vec<Value> {
    let is_request = |event: &Value| event["kind"] == "git.request";
    canary.events(count, "requests", is_request);
    canary.so_far(is_request)
}

#[test]
fn git_is_refused_and_each_request_is_seen_once() {
    if !installed("git") {
        return;
    }
    let (canary, port) = canary("");
    let work = file(&canary, "work").to_str().unwrap().to_owned();
    git(&["init", "-q", "-b", "master", &work]);
    git(&["-C", &work, "commit", "-q", "--allow-empty", "-m", "x"]);
    let url = |name: &str| format!("git://127.0.0.1:{port}/{name}.git");
    let clone = file(&canary, "clone").to_str().unwrap().to_owned();
    let runs: [(&str, &str, &[&str]); 6] = [
        ("one", "upload-pack", &["-c", "protocol.version=0", "ls-remote", &url("one")]),
        ("two", "upload-pack", &["-c", "protocol.version=1", "ls-remote", &url("two")]),
        ("ghost", "upload-pack", &["-c", "protocol.version=2", "ls-remote", &url("ghost")]),
        ("four", "upload-pack", &["clone", &url("four"), &clone]),
        ("five", "receive-pack", &["-C", &work, "push", &url("five"), "master"]),
        ("six", "upload-archive", &["archive", &format!("--remote={}", url("six")), "HEAD"]),
    ];
    for (name, _, arguments) in runs {
        let (said, well) = git_may_fail(arguments);
        let refused = format!("fatal: remote error: access denied or repository not exported: /{name}.git");
        // An archive is asked for in one breath: the daemon's reset may overtake its answer.
        assert!(!well && (said.contains(&refused) || name == "six"), "{said}");
    }
    let seen = requests(&canary, runs.len());
    let told: Vec<(String, String)> = seen
        .iter()
        .map(|event| &event["fields"])
        .map(|fields| (fields["repository"].as_str().unwrap(), fields["service"].as_str().unwrap()))
        .map(|(repository, service)| (repository.to_owned(), service.to_owned()))
        .collect();
    let asked = runs.map(|(name, service, _)| (format!("{name}.git"), service.to_owned()));
    assert_eq!(told, asked);
    for event in &seen {
        assert_eq!(
            (&event["fields"]["hostname"], &event["fields"]["port"]),
            (&"127.0.0.1".into(), &port.into())
        );
        assert_eq!(event["logtype"], 16001);
    }
    let versions: Vec<&Value> = seen.iter().take(3).map(|event| &event["fields"]["version"]).collect();
    assert_eq!(versions, [0, 1, 2]);
    let archive = canary.event("the archive's argument", |event| event["fields"]["excerpt"].is_string());
    assert!(archive["fields"]["excerpt"].as_str().unwrap().contains("argument HEAD"), "{archive}");
}

/// The objects of a clone, all of them whole, and nothing in it that leads nowhere.
fn checked(folder: &str) -> usize {
    let said = git(&["-C", folder, "fsck", "--full", "--strict"]);
    assert!(!["error", "missing", "dangling", "broken"].iter().any(|word| said.contains(word)), "{said}");
    git(&["-C", folder, "log", "--all", "--oneline"]).lines().count()
}

#[test]
fn the_bait_can_be_cloned_whole_and_in_part() {
    if !installed("git") {
        return;
    }
    let (canary, port) = bait();
    let url = format!("git://127.0.0.1:{port}/payroll.git");
    for version in ["0", "1", "2"] {
        let version = &format!("protocol.version={version}");
        let folder = |name: &str| -> String {
            let folder: PathBuf = file(&canary, &format!("{name}-{version}"));
            folder.to_str().unwrap().to_owned()
        };
        let listed = git(&["-c", version, "ls-remote", &url]);
        assert!(listed.contains("refs/tags/v1.0^{}"), "{listed}");
        assert_eq!(listed.lines().count(), 7, "{listed}");

        let whole = folder("whole");
        let said = git(&["-c", version, "clone", "--progress", &url, &whole]);
        assert!(said.contains("remote: Enumerating objects: 22, done."), "{said}");
        assert_eq!(checked(&whole), 6);

        let shallow = folder("shallow");
        git(&["-c", version, "clone", "-q", "--depth", "1", &url, &shallow]);
        assert_eq!(checked(&shallow), 1);
        git(&["-C", &shallow, "-c", version, "fetch", "-q", "--deepen", "1"]);
        assert_eq!(checked(&shallow), 3);
        git(&["-C", &shallow, "-c", version, "fetch", "-q", "--unshallow"]);
        assert_eq!(checked(&shallow), 5);

        let partial = folder("partial");
        let said = git(&[
            "-c",
            version,
            "clone",
            "--filter=blob:none",
            "-b",
            "hotfix",
            "--single-branch",
            &url,
            &partial,
        ]);
        assert!(said.contains("filtering not recognized by server, ignoring"), "{said}");
        assert_eq!(checked(&partial), 3);
        git(&["-C", &partial, "-c", version, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*"]);
        assert_eq!(checked(&partial), 6);

        let recent = folder("recent");
        git(&["-c", version, "clone", "-q", "--shallow-since=2023-11-17", &url, &recent]);
        checked(&recent);
    }
    let clones = canary.events(21, "clones", |event| event["kind"] == "git.clone");
    for clone in &clones {
        assert_eq!((&clone["class"], &clone["severity"]), (&"bait".into(), &"critical".into()), "{clone}");
        let fields = &clone["fields"];
        assert_eq!(fields["repository"], "payroll.git");
        assert!(fields["agent"].as_str().unwrap().starts_with("git/"), "{clone}");
        assert!(!fields["wants"].as_array().unwrap().is_empty(), "{clone}");
    }
}

/// A working copy with thirty commits of a file that changes little.
fn history(folder: &str) {
    git(&["init", "-q", "-b", "main", folder]);
    for number in 0..30 {
        let text: String =
            (0..200).map(|line| format!("line {line} {}\n", number * usize::from(line % 9 == 0))).collect();
        std::fs::write(format!("{folder}/notes"), text).unwrap();
        std::fs::write(format!("{folder}/file-{}", number % 4), number.to_string()).unwrap();
        git(&["-C", folder, "add", "-A"]);
        git(&["-C", folder, "commit", "-q", "-m", &format!("change {number}")]);
    }
}

#[test]
fn a_repository_of_any_layout_can_be_cloned() {
    if !installed("git") {
        return;
    }
    let place = crate::fixture::folder();
    let loose = place.path().join("loose").to_str().unwrap().to_owned();
    history(&loose);
    let copy = |name: &str| {
        let copy = place.path().join(name).to_str().unwrap().to_owned();
        git(&["clone", "-q", "--bare", "--no-local", &loose, &copy]);
        copy
    };
    let (offsets, names) = (copy("offsets.git"), copy("names.git"));
    git(&["-C", &offsets, "repack", "-adfq"]);
    git(&["-C", &names, "-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq"]);
    let packs = copy("packs.git");
    git(&["-C", &packs, "fetch", "-q", &offsets, "main:one"]);
    git(&["-C", &packs, "gc", "-q"]);
    let worktree = place.path().join("worktree").to_str().unwrap().to_owned();
    git(&["-C", &packs, "worktree", "add", "-q", &worktree, "one"]);
    std::fs::write(format!("{worktree}/later"), "later").unwrap();
    git(&["-C", &worktree, "add", "later"]);
    git(&["-C", &worktree, "commit", "-q", "-m", "later"]);
    git(&["-C", &packs, "repack", "-dq"]);
    for (bait, commits) in [(&loose, 30), (&offsets, 30), (&names, 30), (&packs, 31)] {
        let (canary, port) = canary(&format!("repository = \"{bait}\"\nrepository_path = \"/a/b.git\""));
        let clone = file(&canary, "clone").to_str().unwrap().to_owned();
        git(&["clone", "-q", &format!("git://127.0.0.1:{port}/a/b"), &clone]);
        assert_eq!(checked(&clone), commits, "{bait}");
    }
}

#[test]
fn a_fetch_brings_what_is_new_and_no_more() {
    if !installed("git") {
        return;
    }
    let place = crate::fixture::folder();
    let bait = place.path().join("bait").to_str().unwrap().to_owned();
    history(&bait);
    let settings = format!("[service.git]\nport = {}\nrepository = \"{bait}\"\n", free_port());
    let port = settings.split(['=', '\n']).nth(2).unwrap().trim();
    let clones: Vec<String> =
        ["0", "1", "2"].iter().map(|n| place.path().join(n).to_str().unwrap().to_owned()).collect();
    let canary = Canary::start(&settings);
    for clone in &clones {
        git(&["clone", "-q", &format!("git://127.0.0.1:{port}/bait"), clone]);
        std::fs::write(format!("{clone}/mine"), "mine").unwrap();
        git(&["-C", clone, "add", "mine"]);
        git(&["-C", clone, "commit", "-q", "-m", "mine"]);
    }
    drop(canary);
    std::fs::write(format!("{bait}/new"), "new").unwrap();
    git(&["-C", &bait, "add", "new"]);
    git(&["-C", &bait, "commit", "-q", "-m", "new"]);
    let canary = Canary::start(&settings);
    for (version, clone) in clones.iter().enumerate() {
        git(&["-C", clone, "-c", &format!("protocol.version={version}"), "fetch", "-q"]);
        assert_eq!(checked(clone), 32);
    }
    for event in canary.events(3, "fetches", |event| event["kind"] == "git.clone") {
        // A commit, its folder and the new file.
        assert_eq!(event["fields"]["objects"], 3, "{event}");
        assert!(event["fields"]["haves_common"].as_i64().unwrap() > 0, "{event}");
    }
}

/// Fourteen megabytes that do not shrink: sent in pieces, and the daemon holds them once.
#[test]
fn a_large_bait_is_sent_to_many_and_held_once() {
    if !installed("git") {
        return;
    }
    let folder = crate::fixture::folder();
    let bait = folder.path().join("bait");
    std::fs::create_dir(&bait).unwrap();
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(14 << 20)
    .collect();
    std::fs::write(bait.join("backup.bin"), &noise).unwrap();
    let port = free_port();
    let settings = format!("[service.git]\nport = {port}\nrepository = \"{}\"\n", bait.display());
    let canary = Canary::start_in(folder, &settings);
    let before = canary.memory();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let clone = file(&canary, &format!("clone-{number}")).to_str().unwrap().to_owned();
            let (noise, canary) = (&noise, &canary);
            scope.spawn(move || {
                git(&["clone", "-q", &format!("git://127.0.0.1:{port}/bait"), &clone]);
                assert!(
                    &std::fs::read(file(canary, &format!("clone-{number}/backup.bin"))).unwrap() == noise
                );
            });
        }
    });
    let grown = canary.memory().saturating_sub(before);
    assert!(grown < 8 * 1024, "grew by {grown} KiB");
    canary.events(4, "clones", |event| event["kind"] == "git.clone");
}

/// Nmap knows no answer of a git daemon: it names the real one as it names ours.
#[test]
fn nmap_names_git() {
    if !installed("nmap") || TcpListener::bind(("127.0.0.1", 9418)).is_err() {
        return;
    }
    let canary = Canary::start("[service.git]\n");
    let said = client("nmap", &["-Pn", "-n", "-sV", "-p", "9418", "127.0.0.1"]);
    let line = said.lines().find(|line| line.starts_with("9418/tcp")).unwrap_or(&said);
    assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["9418/tcp", "open", "git?"], "{said}");
    canary.event("the scan", |event| event["kind"] == "git.malformed");
}
