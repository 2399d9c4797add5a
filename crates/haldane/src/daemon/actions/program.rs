//! A program of the operator's, run once: with a fixed list of arguments and no shell, a bounded time, and what it
//! prints bounded, too.

use std::{
    fs::File,
    io::{self, Seek, Write},
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::{
    fs::MemfdFlags,
    process::{Pid, Signal, kill_process_group},
};
use tokio::{
    net::unix::pipe::Receiver,
    process::{Child, Command},
    time::timeout,
};

use crate::config::action::Program;

/// Where a program finds others. Nothing of the canary's own environment is handed on.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// As much of what it prints is kept; it may print more.
const KEPT: usize = 1024;
/// How long the system may take to end what was killed.
const REAPED: Duration = Duration::from_secs(1);
/// Reads of what is left when it has ended: children that it leaves behind may print for ever.
const LEFT: usize = 16;

/// Runs it to its end. `input`: what it reads. Returns what it printed, the beginning of it.
///
/// # Errors
/// It could not be started, failed, or took too long; in words, with what it printed.
pub(super) async fn run(
    program: &Program,
    input: &[u8],
    facts: &[(&str, String)],
) -> Result<Vec<u8>, (String, Vec<u8>)> {
    let started = start(program, input, facts);
    let (child, output) = started.map_err(|error| (format!("it cannot be started: {error}"), Vec::new()))?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let mut running = Running { child, output, group, printed: Vec::new() };
    match timeout(program.timeout, running.end()).await {
        Ok(Ok(status)) if status.success() => Ok(running.printed),
        Ok(Ok(status)) => Err((format!("it failed: {status}"), running.printed)),
        Ok(Err(error)) => Err((format!("it cannot be waited for: {error}"), running.printed)),
        Err(_) => {
            running.group.kill();
            timeout(REAPED, running.child.wait()).await.ok();
            Err((format!("it took longer than {:?} and was killed", program.timeout), running.printed))
        }
    }
}

fn start(program: &Program, input: &[u8], facts: &[(&str, String)]) -> io::Result<(Child, Receiver)> {
    // A file in memory: whether and when the program reads it holds up nobody.
    let mut stdin = File::from(rustix::fs::memfd_create(c"incident", MemfdFlags::CLOEXEC)?);
    stdin.write_all(input)?;
    stdin.rewind()?;
    let (reader, writer) = io::pipe()?;
    let output = Receiver::from_owned_fd(OwnedFd::from(reader))?;
    let child = Command::new(&program.path)
        .args(&program.arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(facts.iter().map(|(name, value)| (*name, value.as_str())))
        .current_dir("/")
        .stdin(Stdio::from(stdin))
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    Ok((child, output))
}

/// A program at work. Dropped, it is killed with all that it started.
struct Running {
    child: Child,
    output: Receiver,
    group: Group,
    printed: Vec<u8>,
}

impl Running {
    async fn end(&mut self) -> io::Result<ExitStatus> {
        let mut open = true;
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status?,
                ready = self.output.readable(), if open => open = ready.is_ok() && self.take(),
            }
        };
        // Its number may be another's from here on.
        self.group = Group(None);
        (0..LEFT).take_while(|_| self.take()).count();
        Ok(status)
    }

    /// Reads a piece. False: there is no more.
    fn take(&mut self) -> bool {
        let mut piece = [0; 4096];
        match self.output.try_read(&mut piece) {
            Ok(0) => false,
            Ok(length) => {
                let room = KEPT.saturating_sub(self.printed.len()).min(length);
                self.printed.extend_from_slice(piece.get(..room).unwrap_or_default());
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// All processes of a program.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, limit: Duration) -> Program {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Program { path: "/bin/sh".into(), arguments, timeout: limit }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn it_reads_the_incident_and_knows_nothing_of_our_environment() {
        let facts = [("HALDANE_SOURCE", "192.0.2.7".to_owned())];
        // More than a pipe holds.
        let input = vec![b'x'; 1 << 20];
        let printed = run(&shell("wc -c; env | sort | grep -v ^_= | grep -v ^PWD", LONG), &input, &facts)
            .await
            .unwrap();
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed, format!("{}\nHALDANE_SOURCE=192.0.2.7\nPATH={PATH}\n", 1 << 20));
        // One that reads nothing is not waited for.
        run(&shell("exit 0", LONG), &input, &facts).await.unwrap();
    }

    #[tokio::test]
    async fn what_it_says_when_it_fails_is_kept_and_a_flood_is_cut() {
        let (why, printed) = run(&shell("echo no >&2; exit 3", LONG), b"", &[]).await.unwrap_err();
        assert_eq!((why.as_str(), printed.as_slice()), ("it failed: exit status: 3", &b"no\n"[..]));
        let flood = run(&shell("head -c 9000000 /dev/zero | tr '\\0' x", LONG), b"", &[]).await.unwrap();
        assert_eq!(flood.len(), KEPT);
        let nothing = Program { path: "/nonexistent/program".into(), arguments: Vec::new(), timeout: LONG };
        assert!(run(&nothing, b"", &[]).await.unwrap_err().0.starts_with("it cannot be started: "));
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_killed_with_its_children() {
        let begun = Instant::now();
        let limit = Duration::from_millis(300);
        let script = "sleep 1000 & echo $!; yes >/dev/null & echo $!; wait";
        let (why, printed) = run(&shell(script, limit), b"", &[]).await.unwrap_err();
        assert!(why.contains("was killed") && begun.elapsed() < LONG, "{why}");
        let printed = String::from_utf8(printed).unwrap();
        let children: Vec<&str> = printed.lines().collect();
        assert_eq!(children.len(), 2);
        for child in children {
            // Ended, or not yet fetched by whoever is its parent now.
            let stat = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            while !stat().is_empty() && !stat().contains(") Z ") {
                assert!(begun.elapsed() < LONG, "{}", stat());
                tokio::task::yield_now().await;
            }
        }
    }
}
