//! The two command lines, as a person or a script meets them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, UNIX_EPOCH},
};

use haldane_core::Health;

/// A folder of its own for one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("haldane-cli-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// One of our programs, seeing nothing of this machine but that folder.
    fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.0).env_clear();
        command.env("HOME", &self.0).env("HALDANE_STATE_DIR", self.0.join("state"));
        command.env("HALDANE_PEER_FOLDER", self.0.join("etc")).env("HALDANE_PIDFILE", self.0.join("pid"));
        command
    }

    fn haldane(&self, arguments: &[&str]) -> Output {
        self.program(env!("CARGO_BIN_EXE_haldane"), arguments).output().unwrap()
    }

    fn opencanaryd(&self, arguments: &[&str]) -> Output {
        self.program(env!("CARGO_BIN_EXE_opencanaryd"), arguments).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn good(output: Output) -> String {
    assert_eq!(code(&output), 0, "{}{}", stdout(&output), stderr(&output));
    stdout(&output)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn check_shows_every_mistake_and_exits_with_78() {
    let folder = Folder::new("check-wrong");
    let file = folder.file("h.toml", "[service.ftp]\nport = 0\nbaner = 1\n[service.fpt]\n");
    let output = folder.haldane(&["check", "--config", &file]);
    assert_eq!(code(&output), 78);
    let shown = stderr(&output);
    assert!(shown.contains(&format!("{file}:2: error: service.ftp.port: expected a port")), "{shown}");
    assert!(
        shown.contains(&format!("{file}:3: warning: service.ftp.baner: unknown key (did you mean")),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("{file}:4: error: service.fpt: no such service (did you mean \"ftp\"?)")),
        "{shown}"
    );
    assert!(shown.ends_with("configuration is wrong: 2 errors\n"), "{shown}");
    assert_eq!(stdout(&output), "");
}

#[test]
fn check_of_a_good_file_counts_what_it_holds_and_makes_nothing() {
    let folder = Folder::new("check-good");
    let file =
        folder.file("h.toml", "[service.ftp]\nport = 2121\n[service.ssh]\nport = 2222\n[sink.stdout]\n");
    let said = good(folder.haldane(&["check", "-c", &file]));
    assert_eq!(said, format!("{file}: configuration is good: 2 services, 1 sink\n"));
    assert!(!Path::new(&folder.path("state")).exists());
}

#[test]
fn a_file_that_is_not_there_is_a_wrong_configuration() {
    let folder = Folder::new("missing");
    let output = folder.haldane(&["check", "--config", "/nowhere/h.toml"]);
    assert_eq!(code(&output), 78);
    assert!(stderr(&output).contains("/nowhere/h.toml: error: cannot be read"), "{}", stderr(&output));
}

#[test]
fn init_writes_a_file_that_check_likes_and_overwrites_none() {
    let folder = Folder::new("init");
    let file = folder.path("h.toml");
    good(folder.haldane(&["init", &file]));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "it will hold passwords");
    let said = good(folder.haldane(&["check", "--config", &file]));
    assert!(said.contains("configuration is good"), "{said}");
    let again = folder.haldane(&["init", &file]);
    assert_eq!(code(&again), 1);
    assert!(stderr(&again).contains("exists already and is not overwritten"), "{}", stderr(&again));
    assert_eq!(good(folder.haldane(&["init"])), fs::read_to_string(&file).unwrap());
}

#[test]
fn a_preset_that_is_printed_works_as_the_operators_own() {
    let folder = Folder::new("channels");
    let listed = good(folder.haldane(&["channels"]));
    assert!(listed.lines().count() > 10 && listed.contains("telegram       Telegram, by a bot"), "{listed}");
    let preset = good(folder.haldane(&["channels", "Slack"]));
    folder.file("mine.toml", &preset);
    let here = folder.0.to_str().unwrap();
    let config =
        format!("presets = {here:?}\n[sink.a]\ntype = \"mine\"\nurl = \"https://hooks.example/x\"\n");
    let folder_of_file = Folder::new("channels-file");
    let file = folder_of_file.file("h.toml", &config);
    assert!(good(folder.haldane(&["check", "--config", &file])).contains("1 sink"));
    let output = folder.haldane(&["channels", "telegrm"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("did you mean \"telegram\""), "{}", stderr(&output));
}

#[test]
fn import_prints_a_file_that_check_likes_with_variables_as_they_were() {
    let folder = Folder::new("import");
    let peer = "{\"device.node_id\": \"$HOME\", \"ftp.enabled\": true,\n\"logger\": {\"class\": \
        \"PyLogger\", \"kwargs\": {\"handlers\": {\"out\": {\"class\": \"logging.StreamHandler\", \"stream\": \
        \"ext://sys.stdout\"}, \"feed\": {\"class\": \"opencanary.logger.SocketJSONHandler\", \"host\": \
        \"feed.example.com\", \"port\": 9000, \"colour\": 1}}}}}";
    let text = good(folder.haldane(&["import", &folder.file("opencanary.conf", peer)]));
    assert!(text.contains("node_id = \"$HOME\""), "{text}");
    assert!(text.contains("# ") && text.contains("colour: unknown key"), "{text}");
    let file = folder.file("h.toml", &text);
    let said = good(folder.haldane(&["check", "--config", &file]));
    assert!(said.contains("1 service, 2 sinks"), "{said}");
    let output = folder.haldane(&["import", &folder.file("broken.conf", "{")]);
    assert_eq!(code(&output), 78, "{}", stderr(&output));
}

#[test]
fn help_and_version_are_told_and_wrong_usage_exits_with_2() {
    let folder = Folder::new("help");
    assert_eq!(good(folder.haldane(&["--version"])), format!("haldane {}\n", env!("CARGO_PKG_VERSION")));
    for command in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["events", "--help"],
        &["init", "--help"],
    ] {
        assert!(good(folder.haldane(command)).contains("Usage:"), "{command:?}");
    }
    assert_eq!(code(&folder.haldane(&["evnets"])), 2);
    for shell in ["bash", "zsh", "fish"] {
        assert!(good(folder.haldane(&["completions", shell])).contains("test-alert"), "{shell}");
    }
}

#[test]
fn a_test_alert_goes_through_the_sink_and_says_what_came_of_it() {
    let folder = Folder::new("alert");
    let log = folder.path("log");
    let config = format!(
        "[sink.log]\ntype = \"file\"\npath = \"{log}\"\n[sink.bad]\ntype = \"file\"\npath = \"{log}/x\"\n"
    );
    let file = folder.file("h.toml", &config);
    let said = good(folder.haldane(&["test-alert", "--config", &file, "log"]));
    assert!(said.contains("\n  opened "), "steps are told: {said}");
    assert!(said.contains("log (file): delivered\n"), "{said}");
    let hears = "  otherwise it is told of events of severity info or more; events about the canary itself\n";
    assert!(said.ends_with(hears), "{said}");
    let line = fs::read_to_string(&log).unwrap();
    assert!(line.contains("haldane.test") && line.contains("This is a test"), "{line}");
    let output = folder.haldane(&["test-alert", "--config", &file]);
    assert_eq!(code(&output), 1, "one of two failed");
    assert!(stderr(&output).contains("bad (file): failed: "), "{}", stderr(&output));
    assert!(stdout(&output).contains("log (file): delivered"), "{}", stdout(&output));
    let output = folder.haldane(&["test-alert", "--config", &file, "lgo"]);
    assert!(stderr(&output).contains("(did you mean \"log\"?)"), "{}", stderr(&output));
}

#[test]
fn events_of_a_service_kind_time_or_range_that_cannot_be_are_refused() {
    let folder = Folder::new("events-wrong");
    let wrong = |arguments: &[&str]| {
        let output = folder.haldane(&[&["events"], arguments].concat());
        assert_ne!(code(&output), 0, "{arguments:?}");
        stderr(&output)
    };
    assert!(wrong(&["--service", "fpt"]).contains("did you mean \"ftp\"?"));
    assert!(wrong(&["--kind", "ftp.logni"]).contains("did you mean \"ftp.login\"?"));
    assert!(wrong(&["--since", "yesterdayish"]).contains("expected \"30m\""));
    assert!(wrong(&["--source", "10.0.0.0/64"]).contains("expected an address or a range"));
    assert!(wrong(&["--since", "1h"]).contains("has the canary ever run"), "there is no store yet");
}

#[test]
fn check_of_the_sinks_shows_who_is_down_and_what_was_refused_for_good() {
    let folder = Folder::new("sinks");
    let config =
        "[sink.one]\ntype = \"stdout\"\n[sink.two]\ntype = \"stdout\"\n[sink.new]\ntype = \"stdout\"\n";
    let file = folder.file("h.toml", config);
    let options = haldane_store::Options::new(folder.0.join("state"));
    let store = haldane_store::Store::open(
        options,
        haldane::kinds::table(),
        Box::new(|_: &mut haldane_core::Event| {}),
    )
    .unwrap();
    let health = |up: bool, why: &str| Health {
        up,
        why: why.into(),
        since: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        delivered: 7,
        refused: 1,
    };
    store.journal().health("one", &health(true, ""));
    store.journal().health("two", &health(false, "connection refused"));
    store.journal().bury("two", 1, "550 no such user");
    store.close();
    let output = folder.haldane(&["check", "--config", &file, "--sinks"]);
    let shown = stdout(&output);
    assert_eq!(code(&output), 1, "one is down: {shown}");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].ends_with("configuration is good: 0 services, 3 sinks"), "{shown}");
    assert!(lines[1].starts_with("one ") && lines[1].contains("up since 2027-01-15"), "{shown}");
    assert!(lines[2].starts_with("two ") && lines[2].contains("DOWN since 2027-01-15"), "{shown}");
    assert!(lines[2].contains(": connection refused; "), "{shown}");
    assert!(lines[3].starts_with("new ") && lines[3].contains("has not run yet"), "{shown}");
    assert!(lines.last().unwrap().ends_with("an event no longer stored: 550 no such user"), "{shown}");
}

#[test]
fn copyconfig_writes_a_sample_that_loads_and_overwrites_none() {
    let folder = Folder::new("copyconfig");
    good(folder.opencanaryd(&["--copyconfig"]));
    let file = folder.path("etc/opencanary.conf");
    let said = good(folder.haldane(&["check", "--config", &file]));
    assert!(said.contains("configuration is good: 1 service, 2 sinks"), "{said}");
    let again = folder.opencanaryd(&["--copyconfig"]);
    assert_eq!(code(&again), 1);
    assert!(stderr(&again).contains("not overwritten"), "{}", stderr(&again));
}

#[test]
fn opencanaryd_without_an_action_shows_its_usage() {
    let folder = Folder::new("usage");
    let output = folder.opencanaryd(&[]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("--copyconfig"), "{}", stderr(&output));
    assert!(good(folder.opencanaryd(&["--help"])).contains("--allow-run-as-root"));
    assert_eq!(good(folder.opencanaryd(&["--version"])).trim(), env!("CARGO_PKG_VERSION"));
    assert_eq!(code(&folder.opencanaryd(&["--bogus"])), 1);
    let output = folder.opencanaryd(&["--usermodule"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("not supported"), "{}", stderr(&output));
}

#[test]
fn opencanaryd_that_finds_no_usable_file_says_where_it_looked() {
    let folder = Folder::new("no-file");
    for action in ["--dev", "--start"] {
        let output = folder.opencanaryd(&[action]);
        assert_eq!(code(&output), 78, "{action}");
        assert!(stderr(&output).contains(".opencanary.conf"), "{action}: {}", stderr(&output));
    }
    assert!(!Path::new(&folder.path("pid")).exists());
}

#[test]
fn opencanaryd_starts_in_the_background_catches_a_login_restarts_and_stops() {
    let folder = Folder::new("start");
    let port = free_port();
    let log = folder.path("log");
    let config = format!(
        "{{\"device.node_id\": \"n\", \"device.listen_addr\": \"127.0.0.1\", \"ftp.enabled\": true, \"ftp.port\": {port},\n\
        \"logger\": {{\"class\": \"PyLogger\", \"kwargs\": {{\"handlers\": {{\"file\": {{\"class\": \
        \"logging.FileHandler\", \"filename\": \"{log}\"}}}}}}}}}}"
    );
    folder.file(".opencanary.conf", &config);
    let process = || fs::read_to_string(folder.path("pid")).unwrap();
    let running = Guard(&folder);
    good(folder.opencanaryd(&["--start", "--allow-run-as-root"]));
    let first = process();
    let follow = ["events", "--follow", "--json", "--kind", "ftp.login"];
    let mut follower = folder.program(env!("CARGO_BIN_EXE_haldane"), &follow);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (seen, followed) = mpsc::channel();
    std::thread::spawn(move || lines.try_for_each(|line| seen.send(line.unwrap())));
    log_in(port);
    let twice = folder.opencanaryd(&["--start", "--allow-run-as-root"]);
    assert!(stderr(&twice).contains("already running"), "{}", stderr(&twice));
    good(folder.opencanaryd(&["--restart", "--allow-run-as-root"]));
    assert_ne!(first, process());
    log_in(port);
    let next = || followed.recv_timeout(Duration::from_secs(30));
    let (first, second) = (next(), next());
    follower.kill().unwrap();
    follower.wait().unwrap();
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(first.contains("hunter2") && second.contains("hunter2"));
    assert_ne!(first, second, "each is shown once");
    good(folder.opencanaryd(&["--stop"]));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    let not = folder.opencanaryd(&["--stop"]);
    assert_eq!(code(&not), 1);
    drop(running);

    let shown = good(folder.haldane(&["events", "--service", "ftp", "--kind", "ftp.login", "--json"]));
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(shown.contains("hunter2"), "{shown}");
    let last = good(folder.haldane(&[
        "events",
        "--kind",
        "2000",
        "-n",
        "1",
        "--since",
        "1h",
        "--source",
        "127.0.0.0/8",
    ]));
    assert_eq!(last.lines().count(), 2, "the date, then the event: {last}");
    assert_eq!(good(folder.haldane(&["events", "--source", "10.0.0.0/8"])), "");
    let lines = fs::read_to_string(&log).unwrap();
    assert_eq!(lines.lines().filter(|line| line.contains("\"logtype\": 2000")).count(), 2, "{lines}");
    let sinks = good(folder.haldane(&["check", "--sinks", "--config", &folder.path(".opencanary.conf")]));
    assert!(sinks.contains("file") && sinks.contains("up since"), "{sinks}");
}

/// Stops what a failed test left running.
struct Guard<'a>(&'a Folder);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.opencanaryd(&["--stop"]);
    }
}

fn log_in(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("220 "));
    stream.write_all(b"USER root\r\nPASS hunter2\r\n").unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with("331 "));
    assert!(lines.next().unwrap().unwrap().starts_with("530 "));
}
