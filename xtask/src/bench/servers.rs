//! The servers that are measured: ours, the peer, and the floor.

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::clients::{Client, SERVICES, Service};

/// A process under measurement, and where it listens.
pub struct Server {
    child: Child,
    ports: HashMap<&'static str, u16>,
    log: PathBuf,
}

fn folder(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("haldane-bench-{}-{name}", std::process::id()))
}

/// Below the range from which the system picks for clients: a client that tries such a port before its server
/// listens could otherwise meet itself.
fn free_port() -> Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
}

impl Server {
    /// Our release build with those services, a store and a log.
    pub fn ours(services: &[&Service]) -> Result<Self> {
        let folder = folder("ours");
        fs::remove_dir_all(&folder).ok();
        Self::ours_again(services)
    }

    /// The same, on the state of the last run.
    pub fn ours_again(services: &[&Service]) -> Result<Self> {
        let folder = folder("ours");
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        let log = folder.join("log");
        let mut ports = HashMap::new();
        let mut text = String::from("listen = [\"127.0.0.1\"]\n");
        for service in services {
            let port = free_port()?;
            ports.insert(service.name, port);
            writeln!(text, "[service.{}]\nport = {port}\n{}", service.name, service.settings)?;
        }
        writeln!(text, "[sink.log]\ntype = \"file\"\nformat = \"compatible\"\npath = {:?}", log)?;
        let file = folder.join("haldane.toml");
        fs::write(&file, text)?;
        let child = Command::new("target/release/haldane")
            .args(["run", "--config"])
            .arg(&file)
            .arg("--state-dir")
            .arg(folder.join("state"))
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("stderr"))?)
            .spawn()
            .context("target/release/haldane")?;
        Self { child, ports, log }.ready()
    }

    /// The peer with that service, out of its virtual environment.
    pub fn peer(venv: &Path, service: &Service) -> Result<Self> {
        let folder = folder("peer");
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder)?;
        let (port, log) = (free_port()?, folder.join("log"));
        let handlers = serde_json::json!({"file": {"class": "logging.FileHandler", "filename": log}});
        let logger = serde_json::json!({
            "class": "PyLogger", "kwargs": {"formatters": {"plain": {"format": "%(message)s"}}, "handlers": handlers}
        });
        let configuration = serde_json::json!({
            "device.node_id": "bench", "device.listen_addr": "127.0.0.1", "logger": logger,
            "http.skin": "basicLogin", "https.skin": "basicLogin", "httpproxy.skin": "squid",
            "mssql.version": "2012",
            "https.certificate": folder.join("certificate.pem"), "https.key": folder.join("key.pem"),
            format!("{}.enabled", service.name): true, format!("{}.port", service.name): port,
        });
        fs::write(folder.join("opencanary.conf"), configuration.to_string())?;
        let bin = fs::canonicalize(venv)?.join("bin");
        let child = Command::new(bin.join("twistd"))
            .arg("-noy")
            .arg(bin.join("opencanary.tac"))
            .args(["--pidfile", "pid"])
            .current_dir(&folder)
            .env("HOME", &folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the peer")?;
        Self { child, ports: HashMap::from([(service.name, port)]), log }.ready()
    }

    fn ready(mut self) -> Result<Self> {
        let until = Instant::now() + Duration::from_secs(60);
        for service in SERVICES {
            let Some(port) = self.ports.get(service.name) else { continue };
            let name = service.name;
            let listens = || match service.client {
                Client::Ours(login) if service.datagrams => login(*port, 0).is_ok(),
                _ => TcpStream::connect(("127.0.0.1", *port)).is_ok(),
            };
            while !listens() {
                if let Some(status) = self.child.try_wait()? {
                    bail!("the server of {name} ended: {status}");
                }
                if Instant::now() > until {
                    bail!("{name} does not listen");
                }
                thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(self)
    }

    /// Where that service listens.
    pub fn port(&self, service: &str) -> u16 {
        self.ports.get(service).copied().unwrap_or_default()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// Logins that were answered and are not in the log, once the log has stopped growing.
    pub fn lost(&self, service: &Service, answered: u64) -> u64 {
        let mark = format!("\"logtype\": {},", service.logtype);
        let logged = || {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            u64::try_from(log.lines().filter(|line| line.contains(&mark)).count()).unwrap_or_default()
        };
        let until = Instant::now() + Duration::from_secs(20);
        while logged() < answered && Instant::now() < until {
            thread::sleep(Duration::from_millis(100));
        }
        answered.saturating_sub(logged())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let terminated = Command::new("kill").arg(self.pid().to_string()).status();
        if terminated.is_err() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// CPU time that a process (or its threads of that name) has used, from the scheduler's own count.
pub fn cpu(pid: u32, name: Option<&str>) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let of = |thread: fs::DirEntry| {
        let path = thread.path();
        let comm = fs::read_to_string(path.join("comm")).ok()?;
        if name.is_some_and(|name| !comm.starts_with(name)) {
            return None;
        }
        // proc(5): time on the CPU in nanoseconds, time waiting, slices.
        let schedstat = fs::read_to_string(path.join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.flatten().filter_map(of).sum()
}

/// The floor: accept, read, reply, close, on the same runtime with as many workers; nothing else. Its threads
/// are in this process and named `floor`.
pub fn floor() -> Result<u16> {
    let socket = TcpListener::bind("127.0.0.1:0")?;
    let port = socket.local_addr()?.port();
    socket.set_nonblocking(true)?;
    let workers = thread::available_parallelism().map_or(2, usize::from).min(4);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("floor")
        .enable_all()
        .build()?;
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            tokio::task::spawn(async move {
                let mut buffer = [0; 1024];
                if stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {
                    stream.write_all(b"-NOAUTH Authentication required.\r\n").await.ok();
                }
            });
        }
    };
    thread::Builder::new().name("floor".into()).spawn(move || {
        let ended: io::Result<()> = runtime.block_on(serve);
        ended
    })?;
    Ok(port)
}

/// Opens that many connections and leaves them idle, greeting read.
pub fn hold(port: u16, count: usize) -> Result<Vec<TcpStream>> {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(1)))?;
        // A greeting is taken off the line, if there is one.
        let _greeting = stream.read(&mut [0; 512]).unwrap_or_default();
        stream.flush()?;
        held.push(stream);
    }
    Ok(held)
}
