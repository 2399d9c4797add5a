//! Services, kinds and sources.

use haldane_core::{Class, Event, Pattern, Section, Value};
use ipnet::IpNet;

/// Some events: every key that is set must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    services: Vec<Pattern>,
    kinds: Vec<Pattern>,
    sources: Vec<IpNet>,
}

/// How much of an incident must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// One of its services, one of its kinds.
    Some,
    /// All of them.
    All,
}

impl Filter {
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let services = section.patterns("services", "Names of services, as in \"ssh\" or \"http*\".");
        let kinds = section.patterns("kinds", "Names or numbers of kinds, as in \"*.login\" or 4002.");
        let sources = section.networks("sources", &[], "Addresses and networks, as in 10.0.0.0/8.");
        Self { services, kinds, sources }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.services.is_empty() && self.kinds.is_empty() && self.sources.is_empty()
    }

    pub(super) fn fits(&self, event: &Event, extent: Extent) -> bool {
        // One event has one service and one kind, by whichever of its names.
        let extent = if event.kind.class == Class::Incident { extent } else { Extent::Some };
        let within = |net: &IpNet| event.source().is_some_and(|source| net.contains(&source));
        any(&self.services, &services(event), extent)
            && any(&self.kinds, &kinds(event), extent)
            && (self.sources.is_empty() || self.sources.iter().any(within))
    }
}

fn any(patterns: &[Pattern], words: &[String], extent: Extent) -> bool {
    let fits = |word: &String| patterns.iter().any(|pattern| pattern.fits(word.as_bytes()));
    patterns.is_empty()
        || match extent {
            Extent::Some => words.iter().any(fits),
            Extent::All => !words.is_empty() && words.iter().all(fits),
        }
}

/// Of an incident, all that are in it.
fn services(event: &Event) -> Vec<String> {
    match (event.kind.class, event.fields.get("services")) {
        (Class::Incident, Some(Value::List(names))) => names.iter().filter_map(text).collect(),
        _ => vec![event.service.to_string()],
    }
}

fn kinds(event: &Event) -> Vec<String> {
    match (event.kind.class, event.fields.get("kinds")) {
        (Class::Incident, Some(Value::Map(counts))) => counts.keys().cloned().collect(),
        _ => vec![event.kind.name.to_owned(), event.kind.number.to_string(), event.kind.logtype.to_string()],
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}
