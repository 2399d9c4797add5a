//! `haldane incidents`: what the decoys saw, put together by source. With a number, the whole story of one.

use std::{process::ExitCode, time::SystemTime};

use clap::Args;
use haldane_core::{Event, Honeycred, Kind, Saved};
use haldane_pipeline::{
    Incident,
    incidents::{CLOSED, UPDATED, snapshot},
};
use haldane_sinks::encode;
use haldane_store::Reader;
use uuid::Uuid;

use super::{Place, complain, events, fail, say, wrong_configuration};
use crate::{config::Identity, kinds};

#[derive(Debug, Args)]
pub(super) struct Incidents {
    #[command(flatten)]
    place: Place,
    /// The whole story of that one.
    #[arg(value_name = "NUMBER")]
    number: Option<u64>,
    /// Those that went on since then: "30m", "1h", "7d", a date such as 2026-11-24, or a time.
    #[arg(long, value_name = "WHEN", value_parser = events::when, conflicts_with = "number")]
    since: Option<SystemTime>,
    /// The newest so many only.
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 50, conflicts_with = "number")]
    last: usize,
    /// JSON, one object a line, with everything that is known.
    #[arg(long)]
    json: bool,
}

impl Incidents {
    pub(super) fn run(self) -> ExitCode {
        let identity = match Identity::read(&self.place.source(), &self.place.looking()) {
            Ok(identity) => identity,
            Err(problems) => return wrong_configuration(&problems),
        };
        let reader = match Reader::open(&identity.state_folder, kinds::table()) {
            Ok(reader) => reader,
            Err(error) => return fail(error),
        };
        match self.text(&reader, &identity.host.node_id) {
            Ok(text) if text.is_empty() => ExitCode::SUCCESS,
            Ok(text) => say(text.trim_end()),
            Err(why) => fail(why),
        }
    }

    fn text(&self, reader: &Reader, node: &str) -> Result<String, String> {
        let words = |error: haldane_store::Error| error.to_string();
        if let Some(number) = self.number {
            let found = reader.incident(number).map_err(words)?.as_ref().and_then(told);
            let event =
                found.ok_or_else(|| format!("there is no incident {number}, or it was forgotten since"))?;
            return Ok(if self.json { encode::native(&event, node) } else { encode::story(&event) });
        }
        let mut saved = reader.incidents(self.since, self.last).map_err(words)?;
        // As events are: the newest last, where the eye is.
        saved.reverse();
        let events = saved.iter().filter_map(|saved| Some((saved, told(saved)?)));
        if self.json {
            return Ok(events.map(|(_, event)| format!("{}\n", encode::native(&event, node))).collect());
        }
        let lines: String = events.map(|(saved, event)| line(saved, &event)).collect();
        if lines.is_empty() {
            complain("no incidents");
        }
        Ok(lines)
    }
}

/// As the news of it would be. None: it is not to be read.
fn told(saved: &Saved) -> Option<Event> {
    let incident: Incident = serde_json::from_slice(&saved.state).ok()?;
    let kind: &'static Kind = if saved.open { &UPDATED } else { &CLOSED };
    let reason = if saved.open { "still open" } else { "closed" };
    Some(Event {
        id: Uuid::nil(),
        service: "haldane".into(),
        session: Uuid::nil(),
        peer: incident.peer,
        at: saved.last,
        kind,
        severity: saved.severity,
        login: None,
        fields: snapshot(&incident, reason),
        tls: None,
        ignored: false,
        honeycred: Honeycred::None,
        incident: Some(saved.number),
    })
}

/// Number, when, how severe, whether it goes on, and the sentence.
fn line(saved: &Saved, event: &Event) -> String {
    let summary = event.fields.get("summary");
    let summary = summary.map_or_else(String::new, |value| encode::shown(value, 300));
    let open = if saved.open { "open" } else { "" };
    let severity = saved.severity.name().to_uppercase();
    let at = events::time(saved.last);
    format!("{:>6}  {}  {severity:<8}  {open:<4}  {summary}\n", saved.number, at)
}
