//! What a rule asks of an event.

use std::{net::IpAddr, ops::RangeInclusive};

use haldane_core::{Class, Event, Pattern, Section, Transport, Value, Window, pattern, section::nearest};
use ipnet::IpNet;

use super::presets::{PRESETS, Preset};

/// Where the reverse names of sources are known.
pub trait Names {
    /// The name of that source, if it is known by now and leads back to the address. Never waits.
    fn name(&self, source: IpAddr) -> Option<String>;
}

/// No names are known.
#[derive(Debug, Clone, Copy)]
pub struct NoNames;

impl Names for NoNames {
    fn name(&self, _source: IpAddr) -> Option<String> {
        None
    }
}

/// All that one rule asks. Values under one key are alternatives; every key that is set must fit.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    sources: Vec<IpNet>,
    destinations: Vec<IpNet>,
    ports: Vec<RangeInclusive<u16>>,
    services: Vec<Pattern>,
    kinds: Vec<Pattern>,
    usernames: Vec<Pattern>,
    agents: Vec<Pattern>,
    paths: Vec<Pattern>,
    names: Vec<Pattern>,
    window: Window,
    preset: Option<&'static Preset>,
}

/// The facts of an event that `user_agent` means: how clients name themselves.
const AGENTS: [&str; 3] = ["user_agent", "agent", "client_version"];
/// The facts that `path` means.
const PATHS: [&str; 4] = ["path", "filename", "file", "repository"];

impl Conditions {
    /// Reads every key that is a condition.
    pub fn configure(section: &mut Section<'_>) -> Self {
        Self {
            sources: section.networks(
                "source",
                &[],
                "Addresses and networks that it comes from, as in 10.0.0.0/8.",
            ),
            destinations: section.networks("destination", &[], "Addresses of ours that it goes to."),
            ports: ports(section),
            services: section.patterns("service", "Names of services, as in [\"ssh\", \"http*\"]."),
            kinds: section.patterns("kind",
                "Names or numbers of kinds, as in [\"*.login\", \"portscan.*\", 4002].",
            ),
            usernames: section.patterns("username",
                "User names that are tried: * stands for anything, ? for one letter.",
            ),
            agents: section.patterns("user_agent", "How the client names itself, as in \"*Nessus*\"."),
            paths: section.patterns("path", "What it asks for, as in \"/health*\"."),
            names: section.patterns("source_name",
                "The name of the source's address (reverse DNS, if it leads back), as in \"*.example.com\". Known a \
                 moment after its first event.",
            ),
            window: Window::configure(section),
            preset: preset(section),
        }
    }

    /// Whether nothing is asked: an end alone (`until`) is no condition.
    pub fn is_empty(&self) -> bool {
        let Self {
            sources,
            destinations,
            ports,
            services,
            kinds,
            usernames,
            agents,
            paths,
            names,
            window,
            preset,
        } = self;
        sources.is_empty()
            && destinations.is_empty()
            && ports.is_empty()
            && [services, kinds, usernames, agents, paths, names].iter().all(|patterns| patterns.is_empty())
            && window.is_always()
            && preset.is_none()
    }

    /// Whether the name of a source matters.
    pub fn ask_for_names(&self) -> bool {
        !self.names.is_empty() || self.preset.is_some_and(|preset| !preset.names.is_empty())
    }

    /// Whether all of it fits.
    pub fn match_event(&self, event: &Event, names: &dyn Names) -> bool {
        let within = |networks: &[IpNet], address: Option<IpAddr>| {
            networks.is_empty()
                || address.is_some_and(|address| networks.iter().any(|net| net.contains(&address)))
        };
        let one_of = |patterns: &[Pattern], text: &[u8]| patterns.iter().any(|pattern| pattern.fits(text));
        let any = |patterns: &[Pattern], text: Option<&[u8]>| {
            patterns.is_empty() || text.is_some_and(|text| one_of(patterns, text))
        };
        let kind = || {
            let numbers = [event.kind.number, event.kind.logtype].map(|number| number.to_string());
            one_of(&self.kinds, event.kind.name.as_bytes())
                || numbers.iter().any(|number| one_of(&self.kinds, number.as_bytes()))
        };
        let username = event.login.as_ref().and_then(|login| login.username.as_ref()).map(|name| name.raw());
        self.window.holds(event.at)
            && within(&self.sources, event.source())
            && within(&self.destinations, event.peer.map(|peer| peer.local.ip()))
            && (self.ports.is_empty()
                || port(event).is_some_and(|port| self.ports.iter().any(|p| p.contains(&port))))
            && any(&self.services, Some(event.service.as_bytes()))
            && (self.kinds.is_empty() || kind())
            && any(&self.usernames, username)
            && (self.agents.is_empty() || facts(event, &AGENTS).any(|text| any(&self.agents, Some(text))))
            && (self.paths.is_empty() || facts(event, &PATHS).any(|text| any(&self.paths, Some(text))))
            && (self.names.is_empty()
                || named(event, names).is_some_and(|name| any(&self.names, Some(name.as_bytes()))))
            && self.preset.is_none_or(|preset| fits(preset, event, names))
    }
}

/// Our port, where the transport has ports.
fn port(event: &Event) -> Option<u16> {
    event.peer.filter(|peer| peer.transport != Transport::Ip).map(|peer| peer.local.port())
}

fn facts<'e>(event: &'e Event, keys: &'e [&'e str]) -> impl Iterator<Item = &'e [u8]> {
    keys.iter().filter_map(|key| match event.fields.get(*key) {
        Some(Value::Text(text)) => Some(text.raw()),
        _ => None,
    })
}

fn named(event: &Event, names: &dyn Names) -> Option<String> {
    event.source().and_then(|source| names.name(source))
}

/// A preset is met by any of its signs.
fn fits(preset: &Preset, event: &Event, names: &dyn Names) -> bool {
    let allowed = match event.kind.class {
        Class::Connection | Class::Probe | Class::Access | Class::Scan => true,
        Class::Login | Class::Command | Class::Exploit => !preset.harmless,
        Class::Bait | Class::Incident | Class::Operational => false,
    };
    if !allowed {
        return false;
    }
    let any =
        |patterns: &[&str], text: &[u8]| patterns.iter().any(|sign| pattern::fits(sign.as_bytes(), text));
    facts(event, &AGENTS).any(|text| any(preset.agents, text))
        || facts(event, &PATHS).any(|text| any(preset.paths, text))
        || port(event).is_some_and(|port| preset.ports.contains(&port))
        || (!preset.names.is_empty()
            && named(event, names).is_some_and(|name| any(preset.names, name.as_bytes())))
}

fn ports(section: &mut Section<'_>) -> Vec<RangeInclusive<u16>> {
    let mut found = Vec::new();
    for text in section.list("port", &[], "Ports of ours, as in [22, \"8000-8100\"].") {
        let (from, to) = text.split_once('-').unwrap_or((&text, &text));
        match (from.trim().parse(), to.trim().parse()) {
            (Ok(from), Ok(to)) if from <= to => found.push(from..=to),
            _ => section.invalid("port", format!("{text:?} is not a port or a range such as \"8000-8100\"")),
        }
    }
    found
}

fn preset(section: &mut Section<'_>) -> Option<&'static Preset> {
    let about = "Signs that come with the program, by name (`haldane rules presets` lists them). Better with `source` \
                 beside it: signs can be imitated.";
    let word = section.optional("preset", about)?;
    let found = PRESETS.iter().find(|preset| preset.name.eq_ignore_ascii_case(word.trim()));
    if found.is_none() {
        let words = PRESETS.iter().map(|preset| preset.name);
        let near = nearest(&word, words.clone())
            .map(|near| format!(" (did you mean {near:?}?)"))
            .unwrap_or_default();
        section.invalid("preset", format!("expected one of {}{near}", words.collect::<Vec<_>>().join(", ")));
    }
    found
}
