//! The commented file that `haldane init` writes. Nothing in it is written by hand but its head: keys,
//! defaults and words come from the registries, by reading empty tables.

use haldane_core::{Host, Section, Table, Windows, section::Described};
use haldane_sinks::Sender;

use super::{EVERYWHERE, Surroundings, keeper, service, settings};

const HEAD: &str = "\
The configuration of Haldane, a network canary.

This machine pretends to be a Debian 12 server. Each [service.NAME] is one decoy: delete its table, or
write `enabled = false`, and it is gone; write it as [[service.NAME]] to have several of one kind. Each
[sink.NAME] is one place that events are sent to.

Keep those that fit the machine that it pretends to be: where everything listens at once, whoever looks
for honeypots has found one.

Every key stands here with its default, as a comment. `haldane check` tells what is wrong and where;
`systemctl reload haldane` (SIGHUP) takes changes up. $NAME and ${NAME} in a text are replaced by that
environment variable.
";

/// Sinks that are on in a new file; the others stand there as comments.
const ON: &str = "stdout";

/// The widest line of a comment.
const WIDTH: usize = 100;

/// The whole file.
pub fn toml(around: &Surroundings) -> String {
    let mut text = String::new();
    HEAD.lines().for_each(|line| comment_line(line, &mut text));
    for (name, keys) in settings::describe(around) {
        if !name.is_empty() {
            // One of a list is left out unless somebody writes it.
            let off = if name.starts_with('[') { "#" } else { "" };
            text.push_str(&format!("\n{off}[{name}]\n"));
        }
        keys.iter().for_each(|key| described(key, &mut text));
    }
    let services = services();
    let shared = shared(&services);
    common("Every service has these keys, too:", &shared, &mut text);
    for (name, keys) in &services {
        text.push_str(&format!("\n[service.{name}]\n"));
        if !haldane_services::ALL.iter().any(|entry| entry.name == *name && entry.on) {
            text.push_str("enabled = false\n");
        }
        own(keys, &shared).for_each(|key| described(key, &mut text));
    }
    let sinks = sinks();
    let shared = self::shared(&sinks);
    common("Every sink has these keys, too:", &shared, &mut text);
    for (name, keys) in &sinks {
        let off = if *name == ON { "" } else { "#" };
        text.push_str(&format!("\n{off}[sink.{name}]\n"));
        own(keys, &shared).for_each(|key| described(key, &mut text));
    }
    text
}

/// The name of each service or sink, and its keys.
type Keys = Vec<(&'static str, Vec<Described>)>;

fn services() -> Keys {
    let (table, mut problems) = (Table::default(), Vec::new());
    let host = Host {
        name: "files01".to_owned(),
        windows: Windows::new("files01", ""),
        keep: keeper(std::path::Path::new(""), false),
    };
    let mut keys = |entry| {
        let mut section = Section::new(&table, &mut problems);
        service::configure(entry, &mut section, &EVERYWHERE, &host);
        section.described().to_vec()
    };
    // The default of `address` is the list at the top of the file.
    let mut listening = |entry| {
        let keys: Vec<Described> = keys(entry);
        keys.into_iter()
            .map(|key| if key.key == "address" { Described { default: None, ..key } } else { key })
            .collect()
    };
    haldane_services::ALL.iter().map(|entry| (entry.name, listening(entry))).collect()
}

fn sinks() -> Keys {
    let (table, mut problems) = (Table::default(), Vec::new());
    let mut keys = |entry: &haldane_sinks::Entry| {
        let mut section = Section::new(&table, &mut problems);
        super::sink::common(&mut section);
        (entry.build)(entry.name, &mut section, &Sender { node: String::new() });
        section.described().to_vec()
    };
    haldane_sinks::ALL.iter().map(|entry| (entry.name, keys(entry))).collect()
}

/// The keys that all of them have and explain alike, with the default of the first.
fn shared(all: &Keys) -> Vec<Described> {
    let Some(((_, first), others)) = all.split_first() else { return Vec::new() };
    let everywhere = |key: &&Described| {
        let alike =
            |keys: &[Described]| keys.iter().any(|other| (other.key, other.about) == (key.key, key.about));
        !others.is_empty() && others.iter().all(|(_, keys)| alike(keys))
    };
    first.iter().filter(everywhere).cloned().collect()
}

/// What is left to say of one of them: keys of its own, its port, and defaults that differ from the shared ones.
fn own<'k>(keys: &'k [Described], shared: &'k [Described]) -> impl Iterator<Item = &'k Described> {
    keys.iter().filter(|key| key.key == "port" || !shared.contains(key))
}

/// Keys with their meaning, indented: these lines belong to no section.
fn common(title: &str, keys: &[Described], text: &mut String) {
    if !keys.is_empty() {
        text.push('\n');
        comment_line(title, text);
    }
    for key in keys {
        comment_line("", text);
        comment_line(&format!("    {} = {}", key.key, key.default.as_deref().unwrap_or("…")), text);
        wrap(key.about, "        ", text);
    }
}

fn described(key: &Described, text: &mut String) {
    text.push('\n');
    wrap(key.about, "", text);
    let default = key.default.as_deref().unwrap_or("");
    text.push_str(format!("#{} = {default}", key.key).trim_end());
    text.push('\n');
}

fn wrap(words: &str, indent: &str, text: &mut String) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty()
            && [indent, &line, word].iter().map(|part| part.chars().count()).sum::<usize>() >= WIDTH
        {
            comment_line(&format!("{indent}{line}"), text);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    comment_line(&format!("{indent}{line}"), text);
}

fn comment_line(line: &str, text: &mut String) {
    text.push_str(format!("# {line}").trim_end());
    text.push('\n');
}
