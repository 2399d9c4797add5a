//! A canary of one's own: free ports, a folder that goes away, events to wait for.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The longest that anything is waited for. Generous: a busy machine is slow, and a failing test may be.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running canary. Killed when dropped.
pub struct Canary {
    /// Its folder: configuration, state, logs.
    pub folder: Arc<TempDir>,
    child: Child,
    lines: Arc<(Mutex<Lines>, Condvar)>,
}

#[derive(Default)]
struct Lines {
    events: Vec<Value>,
    complaints: Vec<String>,
    ended: bool,
    /// Standard error was read to its end.
    silent: bool,
}

/// A port that nobody uses now, below the range from which the system picks.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let own = (std::process::id() % 97) as u16 * 128;
    loop {
        let port = 15_000 + (own + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("::1", port)).is_ok() {
            return port;
        }
    }
}

/// A folder that whoever the canary becomes may use.
pub fn folder() -> Arc<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    Arc::new(folder)
}

impl Canary {
    /// Starts one with that configuration (TOML); `{folder}` in it is its folder. A stdout sink that tells
    /// everything is added, and only loopback is listened on.
    pub fn start(configuration: &str) -> Self {
        Self::start_in(folder(), configuration)
    }

    /// The same, in a folder that was used before.
    pub fn start_in(folder: Arc<TempDir>, configuration: &str) -> Self {
        let command = Self::command(&folder, configuration);
        Self::spawn(folder, command)
    }

    /// Writes that configuration, and returns the command that runs it.
    pub fn command(folder: &TempDir, configuration: &str) -> Command {
        Self::write_configuration(folder, configuration);
        let mut command = Command::new(env!("CARGO_BIN_EXE_haldane"));
        command.args(["run", "--config"]).arg(folder.path().join("haldane.toml"));
        command.arg("--state-dir").arg(folder.path().join("state"));
        command
    }

    /// Writes the configuration, for a start or a reload.
    pub fn write_configuration(folder: &TempDir, configuration: &str) {
        let configuration = configuration.replace("{folder}", folder.path().to_str().unwrap());
        let everything = "[sink.stdout]\nformat = \"native\"\nmin_severity = \"info\"\noperational = true\n";
        let whole = format!("listen = [\"127.0.0.1\"]\n{configuration}\n{everything}");
        fs::write(folder.path().join("haldane.toml"), whole).unwrap();
    }

    /// Starts that command, which writes native events to its standard output, and waits until it runs.
    pub fn spawn(folder: Arc<TempDir>, command: Command) -> Self {
        let canary = Self::spawn_unready(folder, command);
        canary.event("running", |event| event["fields"]["msg"]["logdata"] == "Canary running!!!");
        canary
    }

    /// Starts that command and waits for nothing.
    pub fn spawn_unready(folder: Arc<TempDir>, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines: Arc<(Mutex<Lines>, Condvar)> = Arc::default();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let shared = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Ok(event) = serde_json::from_str(&line) {
                    shared.0.lock().unwrap().events.push(event);
                    shared.1.notify_all();
                }
            }
            shared.0.lock().unwrap().ended = true;
            shared.1.notify_all();
        });
        let shared = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                shared.0.lock().unwrap().complaints.push(line);
                shared.1.notify_all();
            }
            shared.0.lock().unwrap().silent = true;
        });
        Self { folder, child, lines }
    }

    /// Waits for the first event that fits.
    pub fn event(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait(what, |lines| lines.events.iter().find(|event| fits(event)).cloned())
    }

    /// Waits until so many events fit.
    pub fn events(&self, count: usize, what: &str, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.wait(what, |lines| {
            let found: Vec<Value> = lines.events.iter().filter(|event| fits(event)).cloned().collect();
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits for a login with that user name and password at that service.
    pub fn login(&self, service: &str, username: &str, password: &str) -> Value {
        self.event(&format!("{service} login of {username} with {password}"), |event| {
            let credential = &event["credential"];
            event["service"] == service
                && credential["username"] == username
                && credential["password"] == password
        })
    }

    /// Waits for a login with that user name and [`ODD`] as password.
    pub fn odd_login(&self, service: &str, username: &str) -> Value {
        let login = self.login(service, username, ODD_SHOWN[0]);
        assert_eq!(login["credential"]["password_base64"], ODD_SHOWN[1]);
        login
    }

    /// The events so far that fit.
    pub fn so_far(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.lines.0.lock().unwrap().events.iter().filter(|event| fits(event)).cloned().collect()
    }

    /// Waits for a line on standard error.
    pub fn complaint(&self, part: &str) -> String {
        self.wait(part, |lines| lines.complaints.iter().find(|line| line.contains(part)).cloned())
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&Lines) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            if let Some(found) = found(&lines) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero() && !lines.ended,
                "no {what}; events: {:#?}\nstderr: {:#?}",
                lines.events.iter().map(|event| event["message"].clone()).collect::<Vec<_>>(),
                lines.complaints
            );
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The lines on standard error so far.
    pub fn complaints(&self) -> Vec<String> {
        self.lines.0.lock().unwrap().complaints.clone()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Ends it with SIGTERM; returns how it ended and how long that took.
    pub fn stop(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        self.signal("TERM");
        let status = self.child.wait().unwrap();
        (status, started.elapsed())
    }

    /// Ends it with SIGKILL; its folder stays.
    pub fn kill(mut self) -> Arc<TempDir> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Arc::clone(&self.folder)
    }

    /// Waits until it ends by itself.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        until("its last words", || self.lines.0.lock().unwrap().silent);
        let lines = self.lines.0.lock().unwrap();
        (status, lines.complaints.join("\n"))
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Runs `haldane` on this canary's configuration and state; returns what it wrote to standard output.
    pub fn haldane(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_haldane"))
            .args(arguments)
            .arg("--state-dir")
            .arg(self.folder.path().join("state"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Canary {
    /// Nothing that a test does may make the program panic, not even where that is caught.
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if !thread::panicking() {
            let panics: Vec<String> = self.complaints();
            assert!(!panics.iter().any(|line| line.contains("panicked at")), "{panics:#?}");
        }
    }
}

/// A password that is not UTF-8: `na\xefve` in ISO 8859-1.
pub const ODD: &[u8] = b"na\xefve";

/// How [`ODD`] stands in native events: readable, and whole beside it.
pub const ODD_SHOWN: [&str; 2] = ["na\u{fffd}ve", "bmHvdmU="];

/// Connects to a port of loopback, with a time limit on every read.
pub fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Logs in to a redis; returns once that is answered, with whether it was.
pub fn redis_login(port: u16, username: &str, password: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // One segment: two would wait for each other's acknowledgement.
    let said = stream.write_all(format!("AUTH {username} {password}\r\n").as_bytes());
    let mut answer = String::new();
    said.is_ok() && BufReader::new(stream).read_line(&mut answer).is_ok() && answer.ends_with('\n')
}

/// Whether a program is installed; says so if it is not, since the test then shows nothing. Continuous
/// integration (`CI` is set) installs them all: there it must be.
pub fn installed(program: &str) -> bool {
    let found = std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()));
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is not installed: see .ci/run");
        println!("SKIPPED: {program} is not installed");
    }
    found
}

/// Runs a script in the virtual environment of drivers that `.ci/run` makes; what it printed, `None` if there
/// is none.
pub fn python(script: &str, arguments: &[&str]) -> Option<String> {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-venv");
    let folder = std::env::var_os("HALDANE_TEST_VENV").map_or_else(|| made.into(), PathBuf::from);
    let python = folder.join("bin/python");
    if !python.is_file() {
        assert!(std::env::var_os("CI").is_none(), "no drivers at {}: see .ci/run", folder.display());
        println!("SKIPPED: no drivers at {}", folder.display());
        return None;
    }
    Some(client(python.to_str().unwrap(), &[&["-c", script], arguments].concat()))
}

/// Runs a client to its end, however it ends; returns what it wrote.
pub fn client(program: &str, arguments: &[&str]) -> String {
    let output =
        Command::new("timeout").arg("60").arg(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Waits until a condition holds.
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The text of a file, empty while there is none.
pub fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// A file in the canary's folder.
pub fn file(canary: &Canary, name: &str) -> PathBuf {
    canary.folder.path().join(name)
}
