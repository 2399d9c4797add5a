//! From our tables to TOML that reads back as the same tables: what `haldane import` prints.

use haldane_core::{
    Problem, Table,
    section::{Item, Node, Raw},
};

/// Writes the root table, remarks as comments before it.
pub fn toml(root: &Table, origin: &str, remarks: &[Problem]) -> String {
    let mut text = format!("# Made from {origin}.\n");
    for remark in remarks {
        text.push_str(&comment(&remark.to_string()));
    }
    let (tables, values): (Vec<&Item>, Vec<&Item>) = present(root).partition(|item| is_table(item));
    if !values.is_empty() {
        text.push('\n');
    }
    values.iter().for_each(|item| assignment(item, &mut text));
    for item in tables {
        match (&item.node.value, item.key.as_str()) {
            (Raw::Table(parts), "service" | "sink") => {
                present(parts)
                    .for_each(|part| section(&format!("{}.{}", item.key, key(&part.key)), part, &mut text));
            }
            _ => section(&key(&item.key), item, &mut text),
        }
    }
    text
}

/// A comment; line breaks in it become lines.
pub fn comment(words: &str) -> String {
    words.lines().map(|line| format!("# {line}\n")).collect()
}

/// A text as TOML writes it: basic strings of one line (TOML 1.0, "String").
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, bare if it may be.
pub fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

/// What is set; TOML has no null, and what is null is left out.
fn present(table: &Table) -> impl Iterator<Item = &Item> {
    let last = |item: &Item| table.get(&item.key).is_some_and(|last| std::ptr::eq(last, item));
    table.entries.iter().filter(move |item| last(item) && !matches!(item.node.value, Raw::Null))
}

fn is_table(item: &Item) -> bool {
    matches!(item.node.value, Raw::Table(_))
}

fn section(header: &str, item: &Item, text: &mut String) {
    let mut one = |open: &str, close: &str, table: &Table| {
        text.push_str(&format!("\n{open}{header}{close}\n"));
        present(table).for_each(|item| assignment(item, text));
    };
    match &item.node.value {
        Raw::Table(table) => one("[", "]", table),
        Raw::List(nodes) => {
            for node in nodes {
                if let Raw::Table(table) = &node.value {
                    one("[[", "]]", table);
                }
            }
        }
        _ => {}
    }
}

fn assignment(item: &Item, text: &mut String) {
    text.push_str(&format!("{} = {}\n", key(&item.key), value(&item.node.value)));
}

fn value(raw: &Raw) -> String {
    match raw {
        Raw::Null => "\"\"".to_owned(),
        Raw::Bool(value) => value.to_string(),
        Raw::Int(value) => value.to_string(),
        Raw::Float(value) => match (value.is_nan(), value.is_infinite()) {
            (true, _) => "nan".to_owned(),
            (_, true) if value.is_sign_negative() => "-inf".to_owned(),
            (_, true) => "inf".to_owned(),
            _ => format!("{value:?}"),
        },
        Raw::Text(text) => quoted(text),
        Raw::List(nodes) => list(nodes),
        Raw::Table(table) => {
            let parts: Vec<String> = present(table)
                .map(|item| format!("{} = {}", key(&item.key), value(&item.node.value)))
                .collect();
            if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
        }
    }
}

fn list(nodes: &[Node]) -> String {
    let parts: Vec<String> = nodes.iter().map(|node| value(&node.value)).collect();
    let line = parts.join(", ");
    match parts.len() > 1 && line.len() > 80 {
        true => format!("[\n    {},\n]", parts.join(",\n    ")),
        false => format!("[{line}]"),
    }
}
