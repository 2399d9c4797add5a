//! One place that events are sent to.

use std::{fmt, path::Path};

use haldane_core::{
    Problem, Section, Table,
    section::{Item, Raw},
};
use haldane_sinks::{AnySink, Delivery, Entry, Sender, registry};

use super::service::canonical;

/// One enabled sink.
pub struct SinkConfig {
    /// The name of its section: its cursor's key in the store.
    pub name: String,
    /// Its row of the registry.
    pub entry: Entry,
    /// Ready to run.
    pub sink: Box<dyn AnySink>,
    /// How it is served.
    pub delivery: Delivery,
    /// Equal for two sinks that need no restart to become each other.
    pub fingerprint: String,
    /// Its section.
    pub table: Table,
}

impl fmt::Debug for SinkConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkConfig")
            .field("name", &self.name)
            .field("delivery", &self.delivery)
            .finish_non_exhaustive()
    }
}

/// Reads all of them. `presets`: the operator's folder of them.
pub(super) fn read_all(
    sections: &[(&Item, Vec<&Table>)],
    presets: &Path,
    sender: &Sender,
    problems: &mut Vec<Problem>,
) -> Vec<SinkConfig> {
    let (all, mistakes) = registry(Some(presets));
    problems.extend(mistakes);
    let mut sinks = Vec::new();
    for (item, tables) in sections {
        match tables.as_slice() {
            [table] => sinks.extend(read(item, table, &all, sender, problems)),
            _ => {
                let message =
                    "expected one table: each sink has a name of its own, as in [sink.mail-to-alice]";
                problems.push(Problem::error(Some(item.node.place.clone()), &item.written, message));
            }
        }
    }
    sinks
}

/// The keys that are asked for before it is known what sink it is; returns its type, if it has one.
pub(super) fn common(section: &mut Section<'_>) -> Option<String> {
    section.flag("enabled", true, "Whether it runs.");
    section.optional("type", "What it is, if its name does not say so: [sink.alice] with type = \"smtp\".")
}

fn read(
    item: &Item,
    table: &Table,
    all: &[Entry],
    sender: &Sender,
    problems: &mut Vec<Problem>,
) -> Option<SinkConfig> {
    if matches!(table.get("enabled").map(|item| &item.node.value), Some(Raw::Bool(false))) {
        return None;
    }
    let names = || all.iter().map(|entry| &*entry.name);
    let mut section = Section::new(table, problems);
    let kind = common(&mut section);
    let kind = kind.unwrap_or_else(|| item.key.clone());
    let Some(entry) = all.iter().find(|entry| entry.name.eq_ignore_ascii_case(&kind)) else {
        let words = names().collect::<Vec<_>>().join(", ");
        let (place, key) = match table.get("type") {
            Some(item) => (item.node.place.clone(), item.written.clone()),
            None => (item.node.place.clone(), format!("{}.type", item.written)),
        };
        let message = format!("expected a kind of sink: {words}; found {kind:?}");
        problems.push(Problem::error(Some(place), key, message).near(&kind, names()));
        return None;
    };
    let (sink, delivery) = entry.build(&item.key, &mut section, sender);
    section.finish();
    let fingerprint =
        format!("{} {} {} {} {}", item.key, entry.name, sender.node, canonical(table), entry.text());
    let (name, entry, table) = (item.key.clone(), entry.clone(), table.clone());
    Some(SinkConfig { name, entry, sink, delivery, fingerprint, table })
}
