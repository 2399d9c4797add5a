//! `haldane events`, and what the store knows of the sinks.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write},
    ops::ControlFlow,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::{Args, builder::PossibleValuesParser};
use haldane_core::{Record, Severity, section};
use haldane_sinks::encode;
use haldane_store::{Query, Reader};
use jiff::{Timestamp, civil, tz::TimeZone};

use super::{Place, alert::now, fail, say, wrong_configuration};
use crate::{
    config::{Config, Identity},
    kinds,
};

/// How often a follower looks for more.
const GLANCE: Duration = Duration::from_millis(200);
/// Dead letters that are shown.
const LETTERS: usize = 20;

/// Its options.
#[derive(Debug, Args)]
pub(super) struct Events {
    #[command(flatten)]
    place: Place,
    /// Go on showing what is seen, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Since when: "30m", "1h", "7d", a date such as 2026-11-24, or a time such as 2026-11-24T08:00.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<SystemTime>,
    /// From that address or range only, as in 10.0.0.0/8.
    #[arg(long, value_name = "CIDR", value_parser = network)]
    source: Option<ipnet::IpNet>,
    /// Of that service only, as in ssh.
    #[arg(long, value_name = "SERVICE")]
    service: Option<String>,
    /// Of that kind only: a name (ssh.login), its first part (ssh) or a number (4002). News of incidents (incident) are
    /// shown only if asked for.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Nothing milder than that.
    #[arg(long, value_name = "SEVERITY", value_parser = PossibleValuesParser::new(Severity::ALL.map(Severity::name)))]
    severity: Option<String>,
    /// Of that incident only; see haldane incidents.
    #[arg(long, value_name = "NUMBER")]
    incident: Option<u64>,
    /// The newest so many only.
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
    /// JSON, one object a line, with everything that is known.
    #[arg(long)]
    json: bool,
}

impl Events {
    pub(super) fn run(self) -> ExitCode {
        let identity = match Identity::read(&self.place.source(), &self.place.looking()) {
            Ok(identity) => identity,
            Err(problems) => return wrong_configuration(&problems),
        };
        if let Err(why) = self.known() {
            return fail(why);
        }
        let mut reader = match Reader::open(&identity.state_folder, kinds::table()) {
            Ok(reader) => reader,
            Err(error) => return fail(error),
        };
        let mut printer = Printer::new(self.json, identity.host.node_id);
        match self.show(&mut reader, &mut printer) {
            Ok(()) => match reader.unreadable() {
                0 => ExitCode::SUCCESS,
                damaged => fail(format!("{damaged} events in the store are damaged and were left out")),
            },
            Err(why) => fail(why),
        }
    }

    fn show(&self, reader: &mut Reader, printer: &mut Printer) -> Result<(), String> {
        let mut query = self.query();
        let words = |error: haldane_store::Error| error.to_string();
        if let Some(last) = self.last {
            // What comes while these are shown comes after the newest of now.
            let newest = reader.newest().map_err(words)?;
            let limited = Query { limit: last, newest_first: true, ..query.clone() };
            let mut records = if last > 0 { reader.query(&limited).map_err(words)? } else { Vec::new() };
            records.reverse();
            query.after = records.last().map_or(newest, |record| record.seq.max(newest));
            if records.iter().any(|record| printer.print(record).is_break()) || !self.follow {
                return printer.outcome();
            }
        }
        loop {
            let mut after = query.after;
            let mut going = ControlFlow::Continue(());
            let visit = |record: Record| {
                after = record.seq;
                going = printer.print(&record);
                going.is_continue()
            };
            reader.each(&query, visit).map_err(words)?;
            query.after = after;
            if !self.follow || going.is_break() || printer.flush().is_break() {
                return printer.outcome();
            }
            std::thread::sleep(GLANCE);
        }
    }

    fn query(&self) -> Query {
        let severity = self.severity.as_deref();
        Query {
            since: self.since,
            source: self.source,
            service: self.service.clone(),
            kind: self.kind.clone(),
            incident: self.incident,
            // They say again what is shown already, unless they are asked for.
            no_news: self.kind.is_none() && self.service.is_none(),
            severity: Severity::ALL.into_iter().find(|known| Some(known.name()) == severity),
            ..Query::default()
        }
    }

    /// A service or kind that there is not would show nothing, without a word.
    fn known(&self) -> Result<(), String> {
        let check = |what: &str, word: &str, known: &BTreeSet<&str>| {
            if known.contains(word) {
                return Ok(());
            }
            let near = section::nearest(word, known.iter().copied());
            let near = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
            Err(format!("there is no {what} {word:?}{near}"))
        };
        if let Some(service) = &self.service {
            let names = haldane_services::ALL.iter().map(|entry| entry.name).chain(["haldane"]).collect();
            check("service", service, &names)?;
        }
        match &self.kind {
            Some(kind) if !kind.trim_end_matches('*').chars().all(|c| c.is_ascii_digit()) => {
                let names = kinds::all().map(|kind| kind.name);
                let first = kinds::all().filter_map(|kind| kind.name.split('.').next());
                check("kind", kind, &names.chain(first).collect())
            }
            _ => Ok(()),
        }
    }
}

/// Writes records to standard output, a line for each.
struct Printer {
    json: bool,
    colour: bool,
    node: String,
    zone: TimeZone,
    day: Option<civil::Date>,
    out: io::BufWriter<io::Stdout>,
    failed: Option<io::Error>,
}

impl Printer {
    fn new(json: bool, node: String) -> Self {
        let quiet = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            colour: io::stdout().is_terminal() && !quiet,
            node,
            zone: TimeZone::system(),
            day: None,
            out: io::BufWriter::new(io::stdout()),
            failed: None,
        }
    }

    fn print(&mut self, record: &Record) -> ControlFlow<()> {
        let line = match self.json {
            true => encode::native(&record.event, &self.node),
            false => {
                self.date(record.event.at)?;
                encode::text(&record.event, self.colour)
            }
        };
        self.write(&line)
    }

    /// Lines have the time of day; the date stands above the first of each day.
    fn date(&mut self, at: SystemTime) -> ControlFlow<()> {
        let Ok(at) = Timestamp::try_from(at) else { return ControlFlow::Continue(()) };
        let day = at.to_zoned_datetime(self.zone.clone()).date();
        match self.day.replace(day) {
            Some(same) if same == day => ControlFlow::Continue(()),
            _ => self.write(&format!("{day}")),
        }
    }

    fn write(&mut self, line: &str) -> ControlFlow<()> {
        let written = writeln!(self.out, "{line}");
        self.note(written)
    }

    fn flush(&mut self) -> ControlFlow<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }

    fn note(&mut self, done: io::Result<()>) -> ControlFlow<()> {
        match done {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// That nobody reads on (`| head`) is no failure.
    fn outcome(&mut self) -> Result<(), String> {
        let _ = self.flush();
        match self.failed.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("standard output: {error}"))
            }
            _ => Ok(()),
        }
    }
}

/// How each sink is, and what its receiver refused for good.
pub(super) fn sinks(config: &Config) -> ExitCode {
    let mut reader = match Reader::open(&config.store.folder, kinds::table()) {
        Ok(reader) => reader,
        Err(error) => return fail(error),
    };
    match report(config, &mut reader) {
        Ok((text, healthy)) => {
            let said = say(text.trim_end());
            if healthy { said } else { ExitCode::FAILURE }
        }
        Err(error) => fail(error),
    }
}

fn report(config: &Config, reader: &mut Reader) -> Result<(String, bool), haldane_store::Error> {
    let (newest, cursors, healths) = (reader.newest()?, reader.cursors()?, reader.healths()?);
    let letters = reader.dead_letters(LETTERS)?;
    let mut text = String::new();
    let mut healthy = true;
    let sinks = config.sinks.iter().map(|sink| (&sink.name, &*sink.entry.name));
    let actions = config.actions.iter().map(|action| (&action.delivery.name, "action"));
    for (name, kind) in sinks.chain(actions) {
        let behind = newest.saturating_sub(cursors.get(name).copied().unwrap_or_default());
        let state = match healths.get(name) {
            None => "has not run yet".to_owned(),
            Some(health) if health.up => {
                format!("up since {}, {} delivered", time(health.since), health.delivered)
            }
            Some(health) => {
                healthy = false;
                format!("DOWN since {}: {}", time(health.since), health.why)
            }
        };
        text.push_str(&format!("{:<16} {:<8} {state}; {behind} to look at\n", name, kind));
    }
    if !letters.is_empty() {
        text.push_str("\nRefused for good by the receiver, newest first; the events are in the store:\n");
    }
    for letter in letters {
        let event =
            reader.query(&Query { after: letter.seq.saturating_sub(1), limit: 1, ..Query::default() })?;
        let event = event.into_iter().find(|record| record.seq == letter.seq);
        let what =
            event.map_or("an event no longer stored".to_owned(), |record| encode::sentence(&record.event));
        text.push_str(&format!("{} {:<16} {what}: {}\n", time(letter.at), letter.sink, letter.reason));
    }
    Ok((text, healthy))
}

pub(super) fn time(at: SystemTime) -> String {
    let zoned = Timestamp::try_from(at).map(|at| at.to_zoned_datetime(TimeZone::system()));
    zoned.map_or_else(|_| "an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// How long ago, a date, a local time, or a time with its offset.
pub(super) fn when(text: &str) -> Result<SystemTime, String> {
    let text = text.trim();
    let system = |at: Timestamp| {
        let since = u64::try_from(at.as_microsecond()).ok().map(Duration::from_micros);
        since.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since))
    };
    let local = |at: civil::DateTime| TimeZone::system().to_timestamp(at).ok().and_then(system);
    let ago = section::parse_duration(text).and_then(|ago| now().checked_sub(ago));
    ago.or_else(|| text.parse::<Timestamp>().ok().and_then(system))
        .or_else(|| text.parse::<civil::DateTime>().ok().and_then(local))
        .or_else(|| text.parse::<civil::Date>().ok().and_then(|day| local(day.into())))
        .ok_or_else(|| "expected \"30m\", \"1h\", \"7d\", a date such as 2026-11-24 or a time".to_owned())
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    section::network(text).ok_or_else(|| "expected an address or a range such as 10.0.0.0/8".to_owned())
}
