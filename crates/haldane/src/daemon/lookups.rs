//! Who a source is, besides its address: its name, its hardware, its country and network. One thread, away from
//! everything that must not wait, asked only when an incident opens, so that a flood of forged packets causes next to
//! none (the pipeline gives such sources no incident of their own).
//!
//! All but the name comes from this machine: the kernel's table of neighbours, a list of hardware makers, databases in
//! MaxMind's format (which DB-IP has, too). The name is the resolver's, by whatever way this machine resolves (hosts
//! file, DNS, mDNS); it is waited for only so long, and a resolver that hangs holds up nothing but names.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use haldane_core::Untrusted;
use haldane_pipeline::Facts;
use maxminddb::{Reader, path};
use tracing::{debug, warn};

use crate::config::LookupSettings;

/// Sources that may wait. Who comes when it is full is told of without.
const QUEUE: usize = 64;
/// How long a name is waited for: less than the pipeline waits ([`haldane_pipeline::incidents::SETTLE`]).
const NAME: Duration = Duration::from_millis(1_500);
/// How long what was found is not looked for again, and how much of it is kept.
const KEPT_FOR: Duration = Duration::from_secs(600);
const KEPT: usize = 1_024;
/// As much of a list of makers is read: the whole of the IEEE's is some six megabytes.
const LIST: u64 = 16 << 20;
/// Where lists of makers are usually found: of Debian's ieee-data, hwdata, nmap, arp-scan.
const LISTS: [&str; 5] = [
    "/usr/share/ieee-data/oui.txt",
    "/var/lib/ieee-data/oui.txt",
    "/usr/share/hwdata/oui.txt",
    "/usr/share/nmap/nmap-mac-prefixes",
    "/usr/share/arp-scan/ieee-oui.txt",
];

/// The way to the thread. Dropping it ends the thread.
#[derive(Debug)]
pub struct Lookups(SyncSender<IpAddr>);

impl Lookups {
    /// Starts the thread. `found` is called with what it finds, once for each source that is asked for.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        settings: LookupSettings,
        found: impl Fn(IpAddr, Facts) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (ask, asked) = sync_channel(QUEUE);
        thread::Builder::new().name("lookups".into()).spawn(move || run(&settings, &asked, &found))?;
        Ok(Self(ask))
    }

    /// Asks for a source, without waiting. False: too many wait.
    pub fn ask(&self, source: IpAddr) -> bool {
        self.0.try_send(source).is_ok()
    }
}

fn run(settings: &LookupSettings, asked: &Receiver<IpAddr>, found: &impl Fn(IpAddr, Facts)) {
    let mut finder = Finder::new(settings);
    let mut kept: HashMap<IpAddr, (Instant, Facts)> = HashMap::new();
    while let Ok(source) = asked.recv() {
        let known = kept.get(&source).filter(|(since, _)| since.elapsed() < KEPT_FOR);
        let facts = match known {
            Some((_, facts)) => facts.clone(),
            None => finder.find(source),
        };
        found(source, facts.clone());
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(source, (Instant::now(), facts));
    }
}

/// A database of the operator's.
type Database = Reader<Vec<u8>>;

struct Finder {
    names: Option<Names>,
    makers: Option<PathBuf>,
    countries: Option<Database>,
    networks: Option<Database>,
}

impl Finder {
    fn new(settings: &LookupSettings) -> Self {
        let usual = || LISTS.iter().map(PathBuf::from).find(|path| path.is_file());
        Self {
            names: settings.reverse_names.then(Names::start).flatten(),
            makers: settings.vendors.clone().or_else(usual),
            countries: settings.countries.as_deref().and_then(database),
            networks: settings.networks.as_deref().and_then(database),
        }
    }

    fn find(&mut self, source: IpAddr) -> Facts {
        let mut facts = Facts::default();
        let link = haldane_net::neighbours::link_address(source);
        if let Ok(Some(link)) = link.inspect_err(|error| debug!(%error, "cannot look for neighbours")) {
            let maker = self.makers.as_deref().and_then(|list| maker(list, link));
            facts.vendor = maker.map(Untrusted::from);
            facts.mac = Some(link.map(|byte| format!("{byte:02x}")).join(":"));
        }
        facts.country = self.countries.as_ref().and_then(|database| country(database, source));
        facts.network = self.networks.as_ref().and_then(|database| network(database, source));
        if let Some((name, back)) = self.names.as_mut().and_then(|names| names.of(source)) {
            (facts.name, facts.name_leads_back) = (Some(name.into()), back);
        }
        facts
    }
}

fn database(path: &Path) -> Option<Database> {
    let opened = Reader::open_readfile(path);
    opened
        .inspect_err(|error| warn!(%error, path = %path.display(), "database not usable, done without"))
        .ok()
}

/// As in `Germany (DE)`.
fn country(database: &Database, source: IpAddr) -> Option<Untrusted> {
    let found = database.lookup(source).ok()?;
    let code: Option<String> = found.decode_path(&path!["country", "iso_code"]).ok().flatten();
    let name: Option<String> = found.decode_path(&path!["country", "names", "en"]).ok().flatten();
    match (name, code) {
        (Some(name), Some(code)) => Some(format!("{name} ({code})").into()),
        (name, code) => name.or(code).map(Untrusted::from),
    }
}

/// As in `AS64500 Example Networks`.
fn network(database: &Database, source: IpAddr) -> Option<Untrusted> {
    let found = database.lookup(source).ok()?;
    let number: Option<u32> = found.decode_path(&path!["autonomous_system_number"]).ok().flatten();
    let name: Option<String> = found.decode_path(&path!["autonomous_system_organization"]).ok().flatten();
    match (number, name) {
        (Some(number), Some(name)) => Some(format!("AS{number} {name}").into()),
        (Some(number), None) => Some(format!("AS{number}").into()),
        (None, name) => name.map(Untrusted::from),
    }
}

/// Who has that prefix, by a list of the IEEE's form (`28-6F-B9   (hex)  Nokia …`) or of nmap's (`286FB9 Nokia …`). The
/// list is read each time: it is asked for rarely, and takes megabytes.
fn maker(list: &Path, link: [u8; 6]) -> Option<String> {
    let [a, b, c, ..] = link;
    let wanted = format!("{a:02X}{b:02X}{c:02X}");
    let file = File::open(list).inspect_err(|error| debug!(%error, "cannot read the list of makers")).ok()?;
    let mut lines = BufReader::new(file.take(LIST));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&line);
        let Some((prefix, name)) = text.trim_start().split_once(char::is_whitespace) else { continue };
        let prefix = prefix.chars().filter(|c| !matches!(c, '-' | ':' | '.')).collect::<String>();
        if prefix.eq_ignore_ascii_case(&wanted) {
            let name = name.trim();
            let name = ["(hex)", "(base 16)"].iter().find_map(|form| name.strip_prefix(form)).unwrap_or(name);
            return Some(name.trim().chars().take(64).collect());
        }
    }
}

/// A thread that asks the resolver, since that cannot be told to hurry.
struct Names {
    ask: SyncSender<IpAddr>,
    answers: Receiver<(IpAddr, Option<(String, bool)>)>,
    busy: bool,
}

impl Names {
    fn start() -> Option<Self> {
        let (ask, asked) = sync_channel::<IpAddr>(1);
        let (answer, answers) = sync_channel(1);
        let run = move || {
            while let Ok(source) = asked.recv() {
                // Whoever owns an address says what it is called; that the name leads back takes its owner, too.
                let name = dns_lookup::lookup_addr(&source).ok().map(|name| {
                    let back =
                        dns_lookup::lookup_host(&name).is_ok_and(|mut found| found.any(|ip| ip == source));
                    (name, back)
                });
                if answer.send((source, name)).is_err() {
                    return;
                }
            }
        };
        let started = thread::Builder::new().name("resolver".into()).spawn(run);
        started.inspect_err(|error| warn!(%error, "no names of sources")).ok()?;
        Some(Self { ask, answers, busy: false })
    }

    /// The name, if the resolver has one, in time; and whether it leads back.
    fn of(&mut self, source: IpAddr) -> Option<(String, bool)> {
        if self.busy && self.answers.try_recv().is_ok() {
            // The answer to an earlier question came at last.
            self.busy = false;
        }
        if self.busy || self.ask.try_send(source).is_err() {
            return None;
        }
        match self.answers.recv_timeout(NAME) {
            Ok((_, name)) => name.map(|(name, back)| (name.chars().take(253).collect(), back)),
            Err(RecvTimeoutError::Timeout) => {
                self.busy = true;
                None
            }
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makers_are_found_in_lists_of_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("oui.txt");
        let ieee = "OUI/MA-L                                                    Organization\r\n\
            28-6F-B9   (hex)\t\tNokia Shanghai Bell Co., Ltd.\r\n286FB9     (base 16)\t\tNokia\r\n";
        std::fs::write(&list, ieee).unwrap();
        let nokia = [0x28, 0x6f, 0xb9, 1, 2, 3];
        assert_eq!(maker(&list, nokia).unwrap(), "Nokia Shanghai Bell Co., Ltd.");
        std::fs::write(&list, "# comment\n000000 Xerox\n286fb9 Nokia\n").unwrap();
        assert_eq!(maker(&list, nokia).unwrap(), "Nokia");
        assert_eq!(maker(&list, [2, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn what_was_found_is_told_once_for_each_question() {
        let (tell, told) = sync_channel(8);
        let settings = LookupSettings { reverse_names: true, ..LookupSettings::default() };
        let found = move |source, facts: Facts| tell.send((source, facts)).unwrap();
        let lookups = Lookups::start(settings, found).unwrap();
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        for _ in 0..2 {
            assert!(lookups.ask(loopback));
            let (source, facts) = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!((source, facts.mac), (loopback, None));
        }
    }
}
