//! `haldane rules`: which rules there are, and which one an event would meet.

use std::{
    io::{BufRead, BufReader, Read},
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::SystemTime,
};

use clap::{Args, Subcommand};
use haldane_core::{Event, Fields, Kind, Kinds, Login, Peer, Sighting, Transport, Value};
use haldane_pipeline::{
    NoNames, Rules,
    rules::{PRESETS, Preset},
};
use haldane_sinks::encode;
use haldane_store::{Query, Reader};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Place, alert::now, complain, events::when, fail, say, wrong_configuration};
use crate::{config::Config, kinds};

/// Its commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say which rule events of the store, or of a log file, would meet.
    ///
    /// The rules are those of the configuration as it is now; nothing is changed. Rules that ask for the name of a
    /// source (source_name) are not met here: names are known to the running canary alone.
    Test(Test),
    /// Show the presets, with the signs that each looks for.
    Presets,
}

impl Command {
    pub(super) fn run(self) -> ExitCode {
        match self {
            Self::Test(test) => test.run(),
            Self::Presets => say(PRESETS.iter().map(shown).collect::<Vec<_>>().join("\n")),
        }
    }
}

/// Its options.
#[derive(Debug, Args)]
pub(super) struct Test {
    #[command(flatten)]
    place: Place,
    /// One event of the store, by its id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "since", "last"])]
    event: Option<Uuid>,
    /// The events of a log file instead (native or OpenCanary's lines); "-" is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["since", "last"])]
    file: Option<PathBuf>,
    /// The events of the store since then: "1h", a date, a time.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<SystemTime>,
    /// The newest so many of the store; 20 if nothing else is said.
    #[arg(long, short = 'n', value_name = "COUNT")]
    last: Option<usize>,
}

/// Events of the store that are looked at, unless told otherwise.
const USUALLY: usize = 20;

impl Test {
    fn run(self) -> ExitCode {
        let config = match Config::load(&self.place.source(), &self.place.looking()) {
            Ok(config) => config,
            Err(problems) => return wrong_configuration(&problems),
        };
        config.warnings.iter().for_each(complain);
        let rules = &config.rules;
        if rules.iter().next().is_none() {
            return fail(format!("{}: there are no rules: nothing to test", config.origin));
        }
        let outcome = match &self.file {
            Some(file) => in_file(file, rules),
            None => self.in_store(&config, rules),
        };
        match outcome {
            Ok(text) if text.is_empty() => fail("no such event"),
            Ok(text) => say(text.trim_end()),
            Err(why) => fail(why),
        }
    }

    fn in_store(&self, config: &Config, rules: &Rules) -> Result<String, String> {
        let words = |error: haldane_store::Error| error.to_string();
        let mut reader = Reader::open(&config.store.folder, kinds::table()).map_err(words)?;
        let mut text = String::new();
        if self.event.is_some() || self.since.is_some() {
            let query = Query { since: self.since, ..Query::default() };
            let mut left = self.last.unwrap_or(usize::MAX);
            let visit = |record: haldane_core::Record| {
                if self.event.is_none_or(|id| id == record.event.id) {
                    text.push_str(&verdict(rules, &record.event));
                    left = left.saturating_sub(1);
                }
                left > 0 && (self.event.is_none() || text.is_empty())
            };
            reader.each(&query, visit).map_err(words)?;
            return Ok(text);
        }
        let query = Query { limit: self.last.unwrap_or(USUALLY), newest_first: true, ..Query::default() };
        let mut records = reader.query(&query).map_err(words)?;
        records.reverse();
        records.iter().for_each(|record| text.push_str(&verdict(rules, &record.event)));
        Ok(text)
    }
}

/// One line: the event, and what the rules do with it.
fn verdict(rules: &Rules, event: &Event) -> String {
    let met = rules.first(event, &NoNames).and_then(|at| rules.iter().nth(at));
    let met = met.map_or_else(
        || "no rule".to_owned(),
        |rule| format!("{:?} (line {}): {}", rule.name, rule.line, rule.action.name()),
    );
    format!("{}\n    {met}\n", encode::text(event, false))
}

fn in_file(file: &Path, rules: &Rules) -> Result<String, String> {
    let name = file.display();
    let input: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(|error| format!("{name}: {error}"))?),
    };
    let known = kinds::table();
    let mut text = String::new();
    for (at, line) in (1_usize..).zip(BufReader::new(input).lines()) {
        let line = line.map_err(|error| format!("{name}, line {at}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let event = serde_json::from_str(&line).ok().and_then(|json| read(&json, &known));
        match event {
            Some(event) => text.push_str(&verdict(rules, &event)),
            None => return Err(format!("{name}, line {at}: expected an event as the log file has it")),
        }
    }
    Ok(text)
}

/// An event out of a line of our own log, or of the compatible one. What rules do not ask for is left out.
fn read(json: &Json, known: &Kinds) -> Option<Event> {
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(str::to_owned);
    let native = json.get("kind").is_some();
    let kind = kind_of(json, known)?;
    let members = json.get(if native { "fields" } else { "logdata" }).and_then(Json::as_object);
    let fact = |name: &str| members.and_then(|members| members.get(name)).and_then(Json::as_str);
    let mut fields = Fields::new();
    let mut login = None;
    if native {
        for (key, value) in members.into_iter().flatten() {
            if let Some(value) = value.as_str() {
                fields.insert(key.clone().into(), Value::from(value));
            }
        }
        let username = json.get("credential").and_then(|credential| text(credential, "username"));
        login = username.map(|name| Login::new("password").user(name));
    } else {
        for (key, name) in [("PATH", "path"), ("USERAGENT", "user_agent"), ("FILENAME", "filename")] {
            if let Some(value) = fact(key) {
                fields.insert(name.into(), Value::from(value));
            }
        }
        login = login.or_else(|| fact("USERNAME").map(|name| Login::new("password").user(name)));
    }
    let id = text(json, "id").and_then(|id| id.parse().ok()).unwrap_or_default();
    let event = Event::operational(Sighting { login, fields, ..Sighting::of(kind) }, (id, time_of(json)));
    let service = text(json, "service").unwrap_or_else(|| service_of(kind));
    Some(Event { service: service.into(), peer: peer_of(json, native), ..event })
}

fn kind_of(json: &Json, known: &Kinds) -> Option<&'static Kind> {
    let number = json.get("logtype")?.as_u64().and_then(|number| u32::try_from(number).ok())?;
    let name = json.get("kind").and_then(Json::as_str);
    let by_name = name.and_then(|name| kinds::all().find(|kind| kind.name == name));
    Some(by_name.unwrap_or_else(|| known.of(number)))
}

/// The compatible log does not name the service; the kind does.
fn service_of(kind: &Kind) -> String {
    kind.name.split('.').next().unwrap_or_default().to_owned()
}

fn peer_of(json: &Json, native: bool) -> Option<Peer> {
    let end = |host: &Json, port: Option<&Json>| -> Option<SocketAddr> {
        let address: IpAddr = host.as_str()?.parse().ok()?;
        let port = port.and_then(|port| port.as_i64().or_else(|| port.as_str()?.parse().ok()));
        Some(SocketAddr::new(address, port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default()))
    };
    let (remote, local) = if native {
        let end = |key: &str| json.get(key).and_then(|part| end(part.get("ip")?, part.get("port")));
        (end("source")?, end("destination")?)
    } else {
        (end(json.get("src_host")?, json.get("src_port"))?, end(json.get("dst_host")?, json.get("dst_port"))?)
    };
    let transport = match json.get("transport").and_then(Json::as_str) {
        Some("udp") => Transport::Udp,
        Some("ip") => Transport::Ip,
        _ => Transport::Tcp,
    };
    Some(Peer::new(remote, local, transport))
}

fn time_of(json: &Json) -> SystemTime {
    let native = json.get("time").and_then(Json::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let theirs = json.get("utc_time").and_then(Json::as_str).and_then(|text| {
        let at = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(at).ok()
    });
    native.or(theirs).and_then(|at| at.try_into().ok()).unwrap_or_else(now)
}

fn shown(preset: &Preset) -> String {
    let mut text = format!("{}\n", preset.name);
    let ports: Vec<String> = preset.ports.iter().map(u16::to_string).collect();
    let parts = [
        ("user_agent", preset.agents.join(", ")),
        ("path", preset.paths.join(", ")),
        ("port", ports.join(", ")),
        ("source_name", preset.names.join(", ")),
    ];
    for (key, values) in parts {
        if !values.is_empty() {
            text.push_str(&format!("    {key}: {values}\n"));
        }
    }
    text
}
