//! Speed and memory: ours, the peer's, and the floor that TCP itself sets, in one run on one machine.
//!
//! Ratios are what counts: absolute numbers are the machine's. Every login is one connection with one password;
//! "lost" is logins that were answered and are not in the log.

mod clients;
mod servers;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use self::{
    clients::{Client, Login, SERVICES, Service},
    servers::{Server, floor},
};

/// Clients at once.
const CLIENTS: u64 = 64;
/// Held connections for the memory of each.
const HELD: usize = 2000;

struct Options {
    peer: Option<PathBuf>,
    drivers: Option<PathBuf>,
    time: Duration,
    only: Option<String>,
    build: bool,
}

/// Measures and prints.
pub fn run(arguments: &[&str]) -> Result<()> {
    let options = parse(arguments)?;
    if options.build {
        super::ci::cargo(&["build", "--release", "-p", "haldane"])?;
    }
    let wanted = |service: &&Service| {
        let runs = matches!(service.client, Client::Ours(_)) || options.drivers.is_some();
        runs && options.only.as_ref().is_none_or(|only| only == service.name)
    };
    let services: Vec<&Service> = SERVICES.iter().filter(wanted).collect();

    let floor_port = floor()?;
    let base = repeat(clients::floor, floor_port, std::process::id(), options.time, true);
    println!("\nTCP floor (accept, read, reply, close): {}", base.text());
    println!(
        "\n{:<10} {:<6} {:>9} {:>8} {:>12} {:>9} {:>6}",
        "service", "who", "logins/s", "/ peer", "CPU µs/login", "p99 ms", "lost"
    );
    for service in services {
        let ours = Server::ours(&[service])?;
        let mut mine = options.measure(service, &ours)?;
        mine.lost = ours.lost(service, mine.logins);
        drop(ours);
        let theirs = match options.peer.as_ref().filter(|_| service.peer && !service.datagrams) {
            Some(venv) => {
                let peer = Server::peer(venv, service)?;
                let mut measured = options.measure(service, &peer)?;
                measured.lost = peer.lost(service, measured.logins);
                Some(measured)
            }
            None => None,
        };
        let ratio = theirs.as_ref().map(|peer| mine.rate() / peer.rate().max(0.1));
        print_row(service.name, "ours", &mine, ratio, &base);
        if let Some(peer) = &theirs {
            print_row("", "peer", peer, None, &base);
        }
    }
    memory()
}

fn print_row(name: &str, who: &str, measured: &Measured, ratio: Option<f64>, base: &Measured) {
    let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.1}x"));
    let cpu = format!(
        "{:.0} ({:.1}x floor)",
        measured.cpu_micros(),
        measured.cpu_micros() / base.cpu_micros().max(0.1)
    );
    println!(
        "{name:<10} {who:<6} {:>9.0} {ratio:>8} {cpu:>22} {:>9.2} {:>6}",
        measured.rate(),
        measured.p99().as_secs_f64() * 1000.0,
        measured.lost
    );
}

/// Start-up time, memory at rest, memory for each held connection.
fn memory() -> Result<()> {
    let all: Vec<&Service> = SERVICES.iter().collect();
    drop(Server::ours(&all)?);
    let started = Instant::now();
    let server = Server::ours_again(&all)?;
    println!("\nstart-up, all services: {:.0} ms", started.elapsed().as_secs_f64() * 1000.0);
    thread::sleep(Duration::from_millis(500));
    println!("memory at rest, all services: {:.1} MiB", kib(server.memory()) / 1024.0);
    for service in all.iter().filter(|service| !service.datagrams) {
        let before = server.memory();
        let held = servers::hold(server.port(service.name), HELD)?;
        thread::sleep(Duration::from_millis(500));
        let each = kib(server.memory().saturating_sub(before)) / f64::from(u32::try_from(HELD)?);
        println!("memory for each idle connection, {}: {each:.1} KiB", service.name);
        drop(held);
        thread::sleep(Duration::from_millis(300));
    }
    Ok(())
}

fn kib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX))
}

fn parse(arguments: &[&str]) -> Result<Options> {
    let mut options =
        Options { peer: None, drivers: None, time: Duration::from_secs(5), only: None, build: true };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if *argument == "--no-build" {
            options.build = false;
            continue;
        }
        let value = rest.next().with_context(|| format!("{argument} wants a value"))?;
        match *argument {
            "--peer" => options.peer = Some(PathBuf::from(value)),
            "--drivers" => options.drivers = Some(PathBuf::from(value)),
            "--seconds" => options.time = Duration::from_secs(value.parse()?),
            "--only" => options.only = Some((*value).to_owned()),
            other => bail!("unknown option {other}"),
        }
    }
    Ok(options)
}

impl Options {
    fn measure(&self, service: &Service, server: &Server) -> Result<Measured> {
        let port = server.port(service.name);
        match (&service.client, &self.drivers) {
            (Client::Ours(login), _) => Ok(repeat(*login, port, server.pid(), self.time, false)),
            (Client::Paramiko, Some(drivers)) => paramiko(drivers, port, server.pid(), self.time),
            (Client::Paramiko, None) => bail!("--drivers names no virtual environment with paramiko"),
        }
    }
}

/// SSH logins by a real client. It is the slower side: the CPU of the server is what this tells.
fn paramiko(drivers: &std::path::Path, port: u16, pid: u32, time: Duration) -> Result<Measured> {
    let (started, cpu_before) = (Instant::now(), servers::cpu(pid, None));
    let output = std::process::Command::new(drivers.join("bin/python"))
        .args(["-c", include_str!("ssh.py")])
        .args([port.to_string(), time.as_secs().to_string(), "4".to_owned()])
        .output()
        .context("python with paramiko")?;
    let (lasted, cpu) = (started.elapsed(), servers::cpu(pid, None).saturating_sub(cpu_before));
    let text = String::from_utf8(output.stdout)?;
    let seconds = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let mut times: Vec<Duration> = seconds.into_iter().map(Duration::from_secs_f64).collect();
    times.sort_unstable();
    let logins = u64::try_from(times.len())?;
    Ok(Measured { logins, failed: 0, lost: 0, lasted, cpu, times })
}

/// What came of a measurement.
struct Measured {
    logins: u64,
    failed: u64,
    lost: u64,
    lasted: Duration,
    cpu: Duration,
    times: Vec<Duration>,
}

impl Measured {
    fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.logins).unwrap_or(u32::MAX)) / self.lasted.as_secs_f64()
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(u32::try_from(self.logins.max(1)).unwrap_or(u32::MAX))
    }

    fn p99(&self) -> Duration {
        let at = self.times.len().saturating_mul(99).checked_div(100).unwrap_or_default();
        self.times.get(at).copied().unwrap_or_default()
    }

    fn text(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        format!(
            "{:.0} logins/s, {:.0} µs of CPU each, p99 {:.2} ms{failed}",
            self.rate(),
            self.cpu_micros(),
            self.p99().as_secs_f64() * 1000.0
        )
    }
}

/// Logs in over and over, from several clients at once. `threads_of_ours`: the server is in this process, in
/// threads named `floor`.
fn repeat(login: Login, port: u16, pid: u32, time: Duration, threads_of_ours: bool) -> Measured {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let cpu = || servers::cpu(pid, threads_of_ours.then_some("floor"));
    let (started, cpu_before) = (Instant::now(), cpu());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
            thread::spawn(move || {
                let (mut times, mut failed) = (Vec::new(), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    match login(port, count.fetch_add(1, Ordering::Relaxed)) {
                        Ok(()) => times.push(started.elapsed()),
                        Err(_) => {
                            failed = failed.saturating_add(1);
                            thread::sleep(Duration::from_millis(5));
                        }
                    }
                }
                (times, failed)
            })
        })
        .collect();
    thread::sleep(time);
    stop.store(true, Ordering::Relaxed);
    let (mut times, mut failed) = (Vec::new(), 0_u64);
    for client in clients {
        if let Ok((more, failures)) = client.join() {
            times.extend(more);
            failed = failed.saturating_add(failures);
        }
    }
    let (lasted, cpu) = (started.elapsed(), cpu().saturating_sub(cpu_before));
    times.sort_unstable();
    let logins = u64::try_from(times.len()).unwrap_or(u64::MAX);
    Measured { logins, failed, lost: 0, lasted, cpu, times }
}
