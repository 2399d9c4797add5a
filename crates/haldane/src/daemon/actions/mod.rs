//! What is done about whoever touches a decoy. An action reads the journal as a sink does, by a cursor of its own, and
//! acts instead of telling: a restart neither forgets nor repeats one, and one that hangs delays nobody else.
//!
//! Each is an event: taken, failed, or withheld and why. Only a webhook is tried again, by the rules of webhooks: a
//! program that failed may have done half of its work.

pub mod gate;
pub mod kinds;
mod program;
pub mod spared;
pub mod walled;

use std::net::IpAddr;

use haldane_core::{Event, Kind, Record, Sighting, Untrusted, Value};
use haldane_net::now;
use haldane_sinks::{AnySink, Failure, encode::native, sink::Outlet};

use self::{
    gate::{Gate, Orders},
    kinds::{FAILED, RELEASED, TAKEN, WITHHELD},
    spared::Surroundings,
    walled::{Walled, Yard},
};
use super::{operations::Operations, outlets::Work, privileges::Identity};
use crate::config::{
    ActionConfig, Config,
    action::{Act, Occasion, Set},
};

/// What every action needs.
#[derive(Debug, Clone)]
pub struct Means {
    /// The way for events about actions.
    pub operations: Operations,
    /// The way to the kernel's sets.
    pub gate: Gate,
    /// Who is in them.
    pub yard: Yard,
    /// What this machine calls itself.
    pub node: String,
}

/// What a gate would have to do for that configuration. `None`: it needs none.
pub fn orders(config: &Config, identity: Option<Identity>) -> Option<Orders> {
    let sets = config.actions.iter().filter(|action| !action.dry_run);
    let sets: Vec<Set> = sets.filter_map(|action| action.act.set().cloned()).collect();
    (!sets.is_empty()).then(|| Orders { identity, sets, never: config.never.clone() })
}

/// An action, ready to be started.
pub fn work(action: ActionConfig, means: &Means) -> Work {
    let (name, delivery, fingerprint) =
        (action.delivery.name.clone(), action.delivery.clone(), action.fingerprint.clone());
    let sink: Box<dyn AnySink> = Box::new(Responder { action, means: means.clone() });
    Work { name, fingerprint, sink, delivery }
}

/// Says that the time of one in a set is over.
pub fn released(walled: &Walled) -> Sighting {
    Sighting::of(&RELEASED)
        .with("action", walled.action.as_str())
        .with("act", walled.set.split(' ').next().unwrap_or_default())
        .with("set", walled.set.as_str())
        .with("source", walled.source.to_string())
        .with("incident", walled.incident)
}

/// An action at work.
struct Responder {
    action: ActionConfig,
    means: Means,
}

/// What an action knows of the news that it is taken on.
struct Case<'a> {
    event: &'a Event,
    record: &'a Record,
    occasion: Occasion,
    /// `None`: many, probably forged.
    source: Option<IpAddr>,
    /// Whether the source has shown that it receives what is sent to it.
    proved: bool,
}

impl<'a> Case<'a> {
    fn of(record: &'a Record) -> Option<Self> {
        let event = record.event.as_ref();
        let source = match event.fields.get("source") {
            Some(Value::Text(text)) => text.to_string().parse().ok(),
            _ => None,
        };
        let proved = event.fields.get("proved") == Some(&Value::Bool(true));
        Some(Self { event, record, occasion: Occasion::of(event.kind)?, source, proved })
    }

    fn fits(&self, action: &ActionConfig) -> bool {
        let within = |source: IpAddr| action.sources.iter().any(|network| network.contains(&source));
        action.on.contains(&self.occasion) && (action.sources.is_empty() || self.source.is_some_and(within))
    }

    /// Why the action is not to be taken, if so.
    fn withheld(&self, action: &ActionConfig) -> Option<&'static str> {
        let blocks = matches!(action.act, Act::Block(..));
        match self.source {
            None if blocks => Some("there is no single source: these are many, probably forged"),
            Some(source) if blocks => {
                let around = Surroundings::now();
                around.spare_from_blocking(source, &action.never).or((!self.proved)
                    .then_some("the source may be forged: nobody has shown that answers reach that address"))
            }
            Some(source) => Surroundings::now().spare(source, &action.never),
            None => None,
        }
        .or(action.dry_run.then_some("dry_run: this is what would be done"))
    }
}

impl Outlet for Responder {
    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        for case in batch.iter().filter_map(Case::of) {
            if case.fits(&self.action) {
                self.respond(&case).await?;
            }
        }
        Ok(())
    }

    async fn idle(&mut self) {}

    fn reopen(&mut self) {}

    fn owns(&self) -> Vec<std::path::PathBuf> {
        Vec::new()
    }
}

impl Responder {
    async fn respond(&mut self, case: &Case<'_>) -> Result<(), Failure> {
        if let Some(why) = case.withheld(&self.action) {
            return self.say(&WITHHELD, case, |seen| seen.with("why", why)).await;
        }
        match &mut self.action.act {
            Act::Run(program) => {
                let input = native(case.event, &self.means.node);
                let done = program::run(program, input.as_bytes(), &facts(case, &self.means.node)).await;
                match done {
                    Ok(printed) => self.say(&TAKEN, case, |seen| output(seen, printed)).await,
                    Err((why, printed)) => {
                        let why = Untrusted::from(why);
                        self.say(&FAILED, case, |seen| output(seen, printed).with("why", why)).await
                    }
                }
            }
            Act::Webhook(sink) => match sink.once(std::slice::from_ref(case.record)).await {
                Ok(()) => self.say(&TAKEN, case, |seen| seen).await,
                Err(Failure::Refused(why)) => {
                    let why = Untrusted::from(why);
                    self.say(&FAILED, case, |seen| seen.with("why", why)).await
                }
                // The runner tries again, and says that this one is down.
                Err(later) => Err(later),
            },
            Act::Block(set, length) => {
                let Some(source) = case.source else { return Ok(()) };
                let (set, length) = (set.clone(), *length);
                match self.means.gate.block(source, &set, length).await {
                    Ok(()) => {
                        let until = now().checked_add(length).unwrap_or_else(now);
                        let (action, incident) = (self.action.name.clone(), case.event.incident);
                        let set = set.to_string();
                        self.means.yard.add(Walled { source, set, action, incident, until });
                        self.say(&TAKEN, case, |seen| seen).await
                    }
                    Err(why) => {
                        let why = Untrusted::from(why);
                        self.say(&FAILED, case, |seen| seen.with("why", why)).await
                    }
                }
            }
        }
    }

    /// An event about it, with what is known in any case.
    async fn say(
        &mut self,
        kind: &'static Kind,
        case: &Case<'_>,
        more: impl FnOnce(Sighting) -> Sighting,
    ) -> Result<(), Failure> {
        let seen = Sighting::of(kind)
            .with("action", self.action.name.as_str())
            .with("on", case.occasion.name())
            .with("incident", case.event.incident)
            .with("source", case.source.map(|source| source.to_string()));
        let comment = &self.action.comment;
        let seen = if comment.is_empty() { seen } else { seen.with("comment", comment.as_str()) };
        let seen = match &self.action.act {
            Act::Run(program) => {
                seen.with("act", "run").with("program", program.path.to_string_lossy().into_owned())
            }
            Act::Webhook(_) => seen.with("act", "webhook"),
            Act::Block(set, length) => {
                let words = set.to_string();
                let act = words.split(' ').next().unwrap_or_default().to_owned();
                seen.with("act", act).with("set", words).with("for", format!("{length:?}"))
            }
        };
        self.means.operations.say(more(seen)).await;
        Ok(())
    }
}

fn output(seen: Sighting, printed: Vec<u8>) -> Sighting {
    if printed.is_empty() { seen } else { seen.with("output", printed) }
}

/// What a program finds in its environment; nothing of it is an attacker's text.
fn facts(case: &Case<'_>, node: &str) -> Vec<(&'static str, String)> {
    vec![
        ("HALDANE_ON", case.occasion.name().to_owned()),
        ("HALDANE_INCIDENT", case.event.incident.map(|number| number.to_string()).unwrap_or_default()),
        ("HALDANE_SOURCE", case.source.map(|source| source.to_string()).unwrap_or_default()),
        ("HALDANE_PROVED", if case.proved { "1" } else { "0" }.to_owned()),
        ("HALDANE_SEVERITY", case.event.severity.name().to_owned()),
        ("HALDANE_NODE", node.to_owned()),
    ]
}
