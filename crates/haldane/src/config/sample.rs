//! The commented file that `haldane init` writes. Nothing in it is written by hand but its head: keys,
//! defaults and words come from the registries, by reading empty tables.

use haldane_core::{Host, Section, Table, section::Described};
use haldane_sinks::Sender;

use super::{EVERYWHERE, Surroundings, keep::Look, service, settings};

const HEAD: &str = "\
The configuration of Haldane, a network canary.

This machine pretends to be a Debian 12 server. Each [service.NAME] is one decoy: delete its table, or
write `enabled = false`, and it is gone; write it as [[service.NAME]] to have several of one kind. Each
[sink.NAME] is one place that events are sent to.

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
    let parts = settings::describe(around);
    for (name, keys) in &parts {
        if !name.is_empty() {
            text.push_str(&format!("\n[{name}]\n"));
        }
        keys.iter().for_each(|key| described(key, "", &mut text));
    }
    let table = Table::default();
    let mut problems = Vec::new();
    let host =
        Host { name: "files01".to_owned(), keep: std::sync::Arc::new(Look::new(std::path::Path::new(""))) };
    for entry in haldane_services::ALL {
        let mut section = Section::new(&table, &mut problems);
        service::configure(entry, &mut section, &EVERYWHERE, &host);
        text.push_str(&format!("\n[service.{}]\n", entry.name));
        for key in section.described() {
            // That default is the list at the top of the file.
            let default = if key.key == "address" { None } else { key.default.clone() };
            described(&Described { default, ..key.clone() }, "", &mut text);
        }
    }
    for entry in haldane_sinks::ALL {
        let mut section = Section::new(&table, &mut problems);
        (entry.build)(entry.name, &mut section, &Sender { node: host.name.clone() });
        let off = if entry.name == ON { "" } else { "#" };
        text.push_str(&format!("\n{off}[sink.{}]\n", entry.name));
        section.described().iter().for_each(|key| described(key, off, &mut text));
    }
    text
}

fn described(key: &Described, off: &str, text: &mut String) {
    wrap(key.about, text);
    let default = key.default.as_deref().unwrap_or("");
    text.push_str(format!("#{off}{} = {default}", key.key).trim_end());
    text.push('\n');
}

fn wrap(words: &str, text: &mut String) {
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && line.chars().count().saturating_add(word.chars().count()) >= WIDTH {
            comment_line(&line, text);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    comment_line(&line, text);
}

fn comment_line(line: &str, text: &mut String) {
    text.push_str(format!("# {line}").trim_end());
    text.push('\n');
}
