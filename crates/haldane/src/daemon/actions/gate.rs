//! The gate: a small process that may change sets of addresses in the kernel, and nothing else.
//!
//! The canary gives up every privilege before it accepts a connection; blocking needs one. So the same program is
//! started once more (`haldane gate`, not for people) while it still has them. The gate keeps `CAP_NET_ADMIN` alone,
//! and hands that on to `nft` and `ipset`, which it calls by absolute path and without a shell. It reads a request a
//! line and answers with a line; when its input ends, it ends.
//!
//! Whoever breaks into the canary can write to it. So it believes nothing: only the sets that the configuration named
//! at the start, only addresses that are addresses, only bounded times, and never those that are spared.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::IpAddr,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use haldane_core::Untrusted;
use ipnet::IpNet;

use super::spared::Surroundings;
use crate::{
    config::action::{LENGTHS, Set},
    daemon::privileges::{self, Identity},
};

/// The longest line, of either side.
const LINE: u64 = 1024;
/// Where `nft` and `ipset` may be.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"];
/// How long one of them may take, and how often is looked whether it has ended.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// What the gate says when it is ready.
const READY: &str = "ready";

/// What the gate is told when it is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// Whom to become; `None`: whoever it is.
    pub identity: Option<Identity>,
    /// The sets that may be changed.
    pub sets: Vec<Set>,
    /// Who is never blocked.
    pub never: Vec<IpNet>,
}

/// The way to the gate. Without one, nothing is blocked.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    door: Option<Arc<Mutex<Door>>>,
    sets: Vec<Set>,
}

#[derive(Debug)]
struct Door {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Gate {
    /// Starts it, and waits until it has only what it needs. Called while this process still has its privileges.
    ///
    /// # Errors
    /// It could not be started, or may not change anything; in words.
    pub fn start(orders: &Orders) -> Result<Self, String> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("gate").env_clear().current_dir("/").process_group(0);
        if let Some(Identity { uid, gid }) = orders.identity {
            command.args(["--uid", &uid.to_string(), "--gid", &gid.to_string()]);
        }
        for set in &orders.sets {
            command.args(["--set", &set.to_string()]);
        }
        for network in &orders.never {
            command.args(["--never", &network.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        let (requests, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.ok_or("it has no output")?);
        let mut door = Door { child, requests, answers };
        match door.answer()?.as_str() {
            READY => Ok(Self { door: Some(Arc::new(Mutex::new(door))), sets: orders.sets.clone() }),
            other => Err(other.strip_prefix("failed ").unwrap_or(other).to_owned()),
        }
    }

    /// Whether it was started for that set.
    pub fn knows(&self, set: &Set) -> bool {
        self.sets.contains(set)
    }

    /// Adds that address to that set, for so long, anew if it is in it.
    ///
    /// # Errors
    /// In words for the operator.
    pub async fn block(&self, source: IpAddr, set: &Set, length: Duration) -> Result<(), String> {
        let Some(door) = self.door.clone() else {
            return Err(
                "nothing can be blocked: the canary was started without such an action, or could not \
                        start its gate (see its log); a restart takes that up"
                    .to_owned(),
            );
        };
        let request = Request { source, length, set: set.clone() }.to_string();
        // Dropped or not, the question and its answer stay together.
        let asked = tokio::task::spawn_blocking(move || {
            let mut door = door.lock().unwrap_or_else(PoisonError::into_inner);
            door.ask(&request)
        });
        match asked.await {
            Ok(Ok(answer)) if answer == "ok" => Ok(()),
            Ok(Ok(answer)) => Err(answer.strip_prefix("failed ").unwrap_or(&answer).to_owned()),
            Ok(Err(why)) => Err(why),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Door {
    fn ask(&mut self, request: &str) -> Result<String, String> {
        let ended = |error: io::Error| format!("the gate has ended, a restart is needed: {error}");
        let requests = self.requests.as_mut().ok_or("the gate has ended")?;
        requests.write_all(format!("{request}\n").as_bytes()).map_err(ended)?;
        self.answer()
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.answers.by_ref().take(LINE).read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => Ok(line.trim_end().to_owned()),
            Ok(_) => Err("the gate has ended, a restart is needed".to_owned()),
            Err(error) => Err(format!("the gate does not answer: {error}")),
        }
    }
}

impl Drop for Door {
    /// Its input ends, and so does it.
    fn drop(&mut self) {
        self.requests = None;
        self.child.wait().ok();
    }
}

/// One request: `192.0.2.7 3600 nftables inet filter walled`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Request {
    source: IpAddr,
    length: Duration,
    set: Set,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.source, self.length.as_secs(), self.set)
    }
}

impl Request {
    /// Only what [`Request`]'s own words are.
    fn parse(line: &str) -> Option<Self> {
        let (source, rest) = line.split_once(' ')?;
        let (seconds, set) = rest.split_once(' ')?;
        let [shortest, longest] = LENGTHS;
        let request = Self {
            source: source.parse().ok()?,
            length: Duration::from_secs(seconds.parse().ok()?),
            set: Set::parse(set)?,
        };
        let exact = (shortest..=longest).contains(&request.length) && request.to_string() == line;
        exact.then_some(request)
    }

    /// What is called for it.
    fn command(&self) -> (&'static str, Vec<String>) {
        let (source, seconds) = (self.source, self.length.as_secs());
        match &self.set {
            Set::Nftables { family, table, set } => {
                let place = format!("element {family} {table} {set}");
                // The time of one that is in it already begins anew only if it is taken out first; all or nothing.
                let script = format!(
                    "add {place} {{ {source} timeout {seconds}s }}; delete {place} {{ {source} }}; \
                     add {place} {{ {source} timeout {seconds}s }}"
                );
                ("nft", vec![script])
            }
            Set::Ipset(set) => {
                let words = ["-exist", "add", set, &source.to_string(), "timeout", &seconds.to_string()];
                ("ipset", words.map(str::to_owned).to_vec())
            }
        }
    }
}

/// The gate itself: what `haldane gate` does.
pub fn serve(orders: &Orders) -> ExitCode {
    let mut out = io::stdout();
    if let Err(why) = privileges::only_networks(orders.identity) {
        writeln!(out, "failed {}", one_line(&why.to_string())).ok();
        return ExitCode::FAILURE;
    }
    let mut requests = BufReader::new(io::stdin());
    let mut said = writeln!(out, "{READY}");
    while said.is_ok() {
        let mut line = Vec::new();
        match requests.by_ref().take(LINE).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            // The end, or a line that is too long: whoever writes that is not the canary.
            _ => break,
        }
        let answer = match answer(&line, orders) {
            Ok(()) => "ok".to_owned(),
            Err(why) => format!("failed {}", one_line(&why)),
        };
        said = writeln!(out, "{answer}").and_then(|()| out.flush());
    }
    ExitCode::SUCCESS
}

fn answer(line: &[u8], orders: &Orders) -> Result<(), String> {
    let line = std::str::from_utf8(line).ok().and_then(|line| line.strip_suffix('\n'));
    let request = line.and_then(Request::parse).ok_or("the gate does not understand that")?;
    if !orders.sets.contains(&request.set) {
        return Err(format!("the gate was not started for the set {}: a restart is needed", request.set));
    }
    if let Some(why) = Surroundings::now().spare_from_blocking(request.source, &orders.never) {
        return Err(why.to_owned());
    }
    call(&request)
}

fn find(program: &str) -> Option<PathBuf> {
    FOLDERS.iter().map(|folder| PathBuf::from(folder).join(program)).find(|path| path.is_file())
}

/// Whether that program is where the gate looks for it.
pub fn installed(program: &str) -> bool {
    find(program).is_some()
}

fn call(request: &Request) -> Result<(), String> {
    let (name, arguments) = request.command();
    let path = find(name).ok_or_else(|| format!("{name} is not installed"))?;
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}"))?;
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < PATIENCE => thread::sleep(LOOK),
            Ok(None) => {
                child.kill().ok();
                child.wait().ok();
                return Err(format!("{name} took longer than {PATIENCE:?}"));
            }
            Err(error) => return Err(format!("{name} cannot be waited for: {error}")),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(LINE / 2).read_to_end(&mut said).ok();
    }
    let said = String::from_utf8_lossy(&said).into_owned();
    Err(format!("{name}: {}{}", said.lines().next().unwrap_or("it failed"), hint(&said, &request.set)))
}

/// What to change, where that is known.
fn hint(said: &str, set: &Set) -> String {
    let missing = said.contains("No such file") || said.contains("does not exist");
    match set {
        Set::Nftables { family, table, set } if missing => format!(
            "; there is no such set: nft add set {family} {table} {set} '{{ type ipv4_addr; flags timeout; }}'"
        ),
        Set::Ipset(set) if missing => {
            format!("; there is no such set: ipset create {set} hash:ip timeout 3600")
        }
        Set::Ipset(_) if said.contains("without timeout") || said.contains("timeout support") => {
            "; the set was made without `timeout`".to_owned()
        }
        Set::Nftables { .. } if said.contains("Address family") => {
            "; the set is for the other version of IP: an action with `sources` for each".to_owned()
        }
        Set::Nftables { .. } if said.contains("Invalid argument") || said.contains("not supported") => {
            "; has the set `flags timeout`, and addresses as its type?".to_owned()
        }
        _ => String::new(),
    }
}

/// A line that fits, whatever a program said.
fn one_line(text: &str) -> String {
    Untrusted::from(text).to_string().chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_takes_its_own_words_and_no_others() {
        for line in [
            "192.0.2.7 3600 nftables inet filter walled",
            "2001:db8::7 1 nftables ip6 my-table walled_6",
            "192.0.2.7 604800 ipset walled.v4",
        ] {
            assert_eq!(Request::parse(line).unwrap().to_string(), line);
        }
        for hostile in [
            "",
            " ",
            "192.0.2.7",
            "192.0.2.7 3600",
            "192.0.2.7  3600 ipset walled",
            "192.0.2.7 3600 ipset walled ",
            "192.0.2.7 3600 ipset walled walled",
            "192.0.2.7 3600 ipset -exist",
            "192.0.2.7 3600 ipset walled;reboot",
            "192.0.2.7 3600 ipset a234567890123456789012345678901x",
            "192.0.2.7 0 ipset walled",
            "192.0.2.7 -1 ipset walled",
            "192.0.2.7 +5 ipset walled",
            "192.0.2.7 005 ipset walled",
            "192.0.2.7 604801 ipset walled",
            "192.0.2.7 99999999999999999999 ipset walled",
            "192.0.2.7/8 3600 ipset walled",
            "192.0.2.07 3600 ipset walled",
            "2001:DB8::7 3600 ipset walled",
            "fe80::1%eth0 3600 ipset walled",
            "example.com 3600 ipset walled",
            "192.0.2.7 3600 nftables inet filter",
            "192.0.2.7 3600 nftables evil filter walled",
            "192.0.2.7 3600 nftables inet filter walled}",
            "192.0.2.7 3600 nftables inet fil\tter walled",
            "192.0.2.7 3600 nftables inet {include walled",
            "192.0.2.7 3600 nftables inet filter wa\u{301}lled",
            "192.0.2.7 3600 iptables walled",
            "192.0.2.7\r 3600 ipset walled",
        ] {
            assert_eq!(Request::parse(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn only_sets_of_the_configuration_and_nobody_who_is_spared() {
        let orders = Orders {
            identity: None,
            sets: vec![Set::parse("ipset walled").unwrap()],
            never: vec!["198.51.100.0/24".parse().unwrap()],
        };
        let said = |line: &str| answer(line.as_bytes(), &orders).unwrap_err();
        assert!(said("203.0.113.7 60 ipset others\n").contains("was not started for the set"));
        assert!(said("203.0.113.7 60 nftables inet filter walled\n").contains("was not started for the set"));
        assert!(said("198.51.100.7 60 ipset walled\n").contains("never"));
        assert!(said("127.0.0.1 60 ipset walled\n").contains("loopback"));
        assert!(said("nonsense\n").contains("understand"));
        assert!(said("203.0.113.7 60 ipset walled").contains("understand"), "cut off");
        assert!(answer(b"\xff\xfe 60 ipset walled\n", &orders).is_err());
    }

    #[test]
    fn an_element_is_added_for_a_time_that_begins_anew() {
        let (name, words) = Request::parse("192.0.2.7 60 nftables inet filter walled").unwrap().command();
        assert_eq!(name, "nft");
        let add = "add element inet filter walled { 192.0.2.7 timeout 60s }";
        assert_eq!(words, [format!("{add}; delete element inet filter walled {{ 192.0.2.7 }}; {add}")]);
        let (name, words) = Request::parse("2001:db8::7 60 ipset walled").unwrap().command();
        assert_eq!((name, words.join(" ").as_str()), ("ipset", "-exist add walled 2001:db8::7 timeout 60"));
    }
}
