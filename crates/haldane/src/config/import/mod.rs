//! OpenCanary's file, translated into our tables. Nothing else knows that there are two kinds of file.
//!
//! Its keys are flat and dotted (`ftp.banner`); each value keeps the place and the name under which the
//! operator wrote it, so that mistakes found later name them. Where the peer's default is not ours, the peer's
//! is set, so that a file means here what it meant there. The keys themselves are in `keys.rs`, its `logger`
//! block in `logger.rs`.

mod keys;
mod logger;

use std::sync::Arc;

use haldane_core::{
    Problem, Table,
    section::{Item, Node, Place, Raw},
};

use self::keys::{COMMON, Default, GENERAL, Key, SERVICES, Service, TCP_BANNER, TCP_BANNERS};

/// Translates a file; `problems` gets what the translation itself finds.
pub fn translate(peer: &Table, problems: &mut Vec<Problem>) -> Table {
    let peer = &lower(peer);
    let mut translation = Translation { peer, file: file_of(peer), problems };
    translation.unknown_keys();
    let mut root = Table::default();
    translation.put(&mut root, "device.listen_addr", "listen");
    let mut host = table("device");
    translation.put(&mut host, "device.node_id", "node_id");
    translation.put(&mut host, "device.name", "label");
    translation.put(&mut host, "device.desc", "description");
    if peer.get("device.node_id").is_none() {
        let place = translation.nowhere();
        let message = "expected a name for this canary, such as \"opencanary-1\"; it is in every event";
        translation.problems.push(Problem::error(Some(place), "device.node_id", message));
    }
    for key in ["device.name", "device.desc"] {
        if let Some(found) = peer.get(key)
            && matches!(&found.node.value, Raw::Text(text) if text.is_empty())
        {
            let message = "expected 1 to 100 characters, found \"\"";
            translation.problems.push(Problem::error(
                Some(found.node.place.clone()),
                &found.written,
                message,
            ));
        }
    }
    let mut ignore = table("ignore");
    translation.put(&mut ignore, "ip.ignorelist", "sources");
    translation.put(&mut ignore, "logtype.ignorelist", "kinds");
    let mut services = table("service");
    for service in SERVICES {
        translation.service(service, &mut services);
    }
    translation.tcp_banners(&mut services);
    let sinks = logger::sinks(peer, &translation.file, translation.problems);
    let place = translation.nowhere();
    for (key, part) in [("host", host), ("ignore", ignore), ("service", services), ("sink", sinks)] {
        if !part.entries.is_empty() {
            root.entries.push(item(key, key, place.clone(), Raw::Table(part)));
        }
    }
    root
}

struct Translation<'a> {
    peer: &'a Table,
    file: Arc<str>,
    problems: &'a mut Vec<Problem>,
}

impl Translation<'_> {
    /// For what stands nowhere in the file.
    fn nowhere(&self) -> Place {
        Place { file: Arc::clone(&self.file), line: 0 }
    }

    /// Copies a value to another key, if it is there.
    fn put(&self, into: &mut Table, peer: &str, ours: &str) {
        if let Some(found) = self.peer.get(peer) {
            into.entries.push(Item {
                key: ours.to_owned(),
                written: found.written.clone(),
                node: found.node.clone(),
            });
        }
    }

    /// Copies a service's keys, or sets the peer's defaults.
    fn put_all(&self, into: &mut Table, prefix: &str, keys: &[Key]) {
        for key in keys {
            let name = format!("{prefix}.{}", key.peer);
            let default = match key.default {
                Default::None => None,
                Default::Text(text) => Some(Raw::Text(text.to_owned())),
                Default::Flag(value) => Some(Raw::Bool(value)),
                Default::Number(number) => Some(Raw::Int(number)),
            };
            let found = self.peer.get(&name);
            if let Some(number) = found.filter(|_| matches!(key.default, Default::Number(_))).and_then(digits)
            {
                into.entries.push(Item { key: key.ours.to_owned(), ..number });
                continue;
            }
            match (found, default) {
                (Some(_), _) => self.put(into, &name, key.ours),
                (None, Some(value)) => into.entries.push(item(key.ours, &name, self.nowhere(), value)),
                (None, None) => {}
            }
        }
    }

    /// Whether a switch is on; something else than a switch is a mistake.
    fn on(&mut self, key: &str) -> bool {
        let Some(found) = self.peer.get(key) else { return false };
        if let Raw::Bool(value) = found.node.value {
            return value;
        }
        let message = format!("expected true or false, found {}", found.node.value.shown());
        self.problems.push(Problem::error(Some(found.node.place.clone()), &found.written, message));
        false
    }

    fn service(&mut self, service: &Service, services: &mut Table) {
        let enabled = format!("{}.enabled", service.name);
        let Some(switch) = self.peer.get(&enabled) else { return };
        let mut own = table(service.name);
        if !self.on(&enabled) {
            own.entries.push(item("enabled", &switch.written, switch.node.place.clone(), Raw::Bool(false)));
        }
        if service.port > 0 {
            self.port(&mut own, &format!("{}.port", service.name), service.port);
        }
        self.put_all(&mut own, service.name, service.keys);
        if let Some((prefix, keys)) = service.shared {
            self.put_all(&mut own, prefix, keys);
        }
        self.put(&mut own, &format!("{}.honeycreds", service.name), "honeycreds");
        services.entries.push(item(service.name, service.name, switch.node.place.clone(), Raw::Table(own)));
    }

    fn port(&self, into: &mut Table, key: &str, default: i64) {
        match self.peer.get(key) {
            Some(_) => self.put(into, key, "port"),
            None => into.entries.push(item("port", key, self.nowhere(), Raw::Int(default))),
        }
    }

    /// `tcpbanner_1` to `tcpbanner_N`, each an instance of one service.
    fn tcp_banners(&mut self, services: &mut Table) {
        let all_on = self.on("tcpbanner.enabled");
        let mut list = Vec::new();
        for number in 1..=self.banners() {
            let name = format!("tcpbanner_{number}");
            let Some(switch) = self.peer.get(&format!("{name}.enabled")) else { continue };
            let on = self.on(&format!("{name}.enabled"));
            let mut own = table(&name);
            if !(all_on && on) {
                own.entries.push(item(
                    "enabled",
                    &switch.written,
                    switch.node.place.clone(),
                    Raw::Bool(false),
                ));
            }
            own.entries.push(item("id", &name, self.nowhere(), Raw::Text(number.to_string())));
            self.port(&mut own, &format!("{name}.port"), number.saturating_add(8000));
            self.put_all(&mut own, &name, TCP_BANNER);
            let credentials = format!("{name}.honeycreds");
            let shared = if self.peer.get(&credentials).is_some() {
                credentials
            } else {
                "tcpbanner.honeycreds".into()
            };
            self.put(&mut own, &shared, "honeycreds");
            list.push(Node { place: switch.node.place.clone(), value: Raw::Table(own) });
        }
        if let Some(first) = list.first() {
            let place = first.place.clone();
            services.entries.push(item("tcpbanner", "tcpbanner", place, Raw::List(list)));
        }
    }

    /// How many banners there may be. More than there are ports makes no sense.
    fn banners(&mut self) -> i64 {
        let Some(found) = self.peer.get("tcpbanner.maxnum") else { return TCP_BANNERS };
        match found.node.value {
            Raw::Int(number) if (0..=65_535).contains(&number) => number,
            _ => {
                let message =
                    format!("expected a whole number from 0 to 65535, found {}", found.node.value.shown());
                self.problems.push(Problem::error(Some(found.node.place.clone()), &found.written, message));
                TCP_BANNERS
            }
        }
    }

    fn unknown_keys(&mut self) {
        let known = known_keys();
        let banners = match self.peer.get("tcpbanner.maxnum").map(|item| &item.node.value) {
            Some(Raw::Int(number)) => *number,
            _ => TCP_BANNERS,
        };
        for found in &self.peer.entries {
            let (generic, number) = without_number(&found.key);
            let place = Some(found.node.place.clone());
            if !known.contains(&generic) {
                let warning = Problem::warning(place, &found.written, "unknown key");
                let near = warning.near(&generic, known.iter().map(String::as_str));
                let nearest = near.nearest.as_ref().map(|word| match number {
                    Some(number) => word.replacen("tcpbanner_N", &format!("tcpbanner_{number}"), 1),
                    None => word.replacen("tcpbanner_N", "tcpbanner_1", 1),
                });
                self.problems.push(Problem { nearest, ..near });
            } else if number.is_some_and(|number| number > banners || number < 1) {
                let message = format!("ignored: tcpbanner.maxnum allows 1 to {banners}");
                self.problems.push(Problem::warning(place, &found.written, message));
            }
        }
    }
}

/// A number that stands there as text, as in older files of the peer.
fn digits(found: &Item) -> Option<Item> {
    let Raw::Text(text) = &found.node.value else { return None };
    let value = Raw::Int(text.trim().parse().ok()?);
    Some(Item { node: Node { value, ..found.node.clone() }, ..found.clone() })
}

/// Every key that a file may hold; `tcpbanner_N` stands for all of them.
pub fn known_keys() -> Vec<String> {
    let mut known: Vec<String> = GENERAL.iter().map(|key| (*key).to_owned()).collect();
    let mut add = |name: &str, keys: &mut dyn Iterator<Item = &str>| {
        known.extend(COMMON.into_iter().chain(keys).map(|key| format!("{name}.{key}")));
    };
    for service in SERVICES {
        let own = service.keys.iter().map(|key| key.peer);
        add(service.name, &mut own.chain(service.informative.iter().copied()));
    }
    add("tcpbanner", &mut ["maxnum"].into_iter());
    add("tcpbanner_N", &mut TCP_BANNER.iter().map(|key| key.peer));
    known
}

/// `tcpbanner_3.port` is `tcpbanner_N.port` and 3.
fn without_number(key: &str) -> (String, Option<i64>) {
    let parts = key.strip_prefix("tcpbanner_").and_then(|rest| rest.split_once('.'));
    match parts.and_then(|(number, rest)| Some((number.parse().ok()?, rest))) {
        Some((number, rest)) => (format!("tcpbanner_N.{rest}"), Some(number)),
        None => (key.to_owned(), None),
    }
}

/// The same table with the services' names in lower case, and of each key the last value alone.
fn lower(peer: &Table) -> Table {
    let mut entries: Vec<Item> = Vec::new();
    for found in &peer.entries {
        let key = match found.key.split_once('.') {
            Some((service, rest)) => format!("{}.{rest}", service.to_ascii_lowercase()),
            None => found.key.clone(),
        };
        entries.push(Item { key, ..found.clone() });
    }
    let mut seen = std::collections::HashSet::new();
    entries.reverse();
    entries.retain(|item| seen.insert(item.key.clone()));
    entries.reverse();
    Table { name: peer.name.clone(), entries }
}

fn file_of(peer: &Table) -> Arc<str> {
    peer.entries.first().map_or_else(|| "opencanary.conf".into(), |item| Arc::clone(&item.node.place.file))
}

fn table(name: &str) -> Table {
    Table { name: name.to_owned(), entries: Vec::new() }
}

fn item(key: &str, written: &str, place: Place, value: Raw) -> Item {
    Item { key: key.to_owned(), written: written.to_owned(), node: Node { place, value } }
}
