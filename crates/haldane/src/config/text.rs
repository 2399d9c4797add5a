//! From the text of a file to a [`Table`] in which each value knows its line: TOML and JSON.
//!
//! JSON is read as people write it (comments, commas after the last value), and a key that stands twice has
//! the last of its values, as for Python's `json`. Environment variables are expanded in both.

use std::{ops::Range, sync::Arc};

use haldane_core::{
    Problem, Table,
    section::{Item, Node, Place, Raw},
};
use jsonc_parser::{
    CollectOptions, ParseOptions,
    ast::{self, ObjectPropName},
    common::Ranged as _,
    parse_to_ast,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::environment::{Lookup, expand};

/// Tables within tables within lists, at most; more is a mistake, and would cost stack.
const DEEPEST: usize = 64;

/// One file being read.
struct Reader<'a> {
    file: Arc<str>,
    /// The offset at which each line ends.
    ends: Vec<usize>,
    environment: &'a Lookup,
    problems: Vec<Problem>,
}

/// Reads TOML. With mistakes in its grammar, all that were found.
///
/// # Errors
/// The mistakes, each with its line.
pub fn toml(file: &str, text: &str, environment: &Lookup) -> Result<Table, Vec<Problem>> {
    let text = without_mark(text);
    let mut reader = Reader::new(file, text, environment);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let place = reader.place(error.span().map_or(0, |span| span.start));
        reader.problems.push(Problem::error(Some(place), "", format!("not TOML: {}", error.message())));
    }
    if !reader.problems.is_empty() {
        // What follows on the line of a mistake follows from it.
        reader.problems.sort_by_key(|problem| problem.place.as_ref().map(|place| place.line));
        reader.problems.dedup_by_key(|problem| problem.place.as_ref().map(|place| place.line));
        return Err(reader.problems);
    }
    let table = reader.toml_table(document.get_ref(), "", 0);
    reader.finish(table)
}

/// Reads JSON, which must be an object.
///
/// # Errors
/// The mistakes, each with its line.
pub fn json(file: &str, text: &str, environment: &Lookup) -> Result<Table, Vec<Problem>> {
    let text = without_mark(text);
    let mut reader = Reader::new(file, text, environment);
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = match parse_to_ast(text, &CollectOptions::default(), &options) {
        Ok(parsed) => parsed,
        Err(error) => {
            let place = reader.place(error.range().start);
            return Err(vec![Problem::error(Some(place), "", format!("not JSON: {}", error.kind()))]);
        }
    };
    match &parsed.value {
        Some(ast::Value::Object(object)) => {
            let table = reader.json_table(object, "", 0);
            reader.finish(table)
        }
        _ => {
            Err(vec![Problem::error(Some(reader.place(0)), "", "expected an object: { \"key\": value, … }")])
        }
    }
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

impl<'a> Reader<'a> {
    fn new(file: &str, text: &str, environment: &'a Lookup) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { file: file.into(), ends, environment, problems: Vec::new() }
    }

    fn finish(self, table: Table) -> Result<Table, Vec<Problem>> {
        if self.problems.is_empty() { Ok(table) } else { Err(self.problems) }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.ends.partition_point(|end| *end < offset).saturating_add(1);
        Place { file: Arc::clone(&self.file), line }
    }

    fn node(&self, offset: usize, value: Raw) -> Node {
        Node { place: self.place(offset), value }
    }

    fn too_deep(&mut self, offset: usize, path: &str) -> Raw {
        let message = format!("more than {DEEPEST} values within each other");
        self.problems.push(Problem::error(Some(self.place(offset)), path, message));
        Raw::Null
    }

    fn toml_table(&mut self, table: &DeTable<'_>, path: &str, depth: usize) -> Table {
        let mut entries: Vec<(usize, Item)> = Vec::new();
        for (key, value) in table {
            let written = join(path, key.get_ref());
            let start = key.span().start;
            let node = Node { place: self.place(start), ..self.toml_node(value, &written, depth) };
            entries.push((start, Item { key: key.get_ref().to_string(), written, node }));
        }
        entries.sort_by_key(|(start, _)| *start);
        Table { name: path.to_owned(), entries: entries.into_iter().map(|(_, item)| item).collect() }
    }

    fn toml_node(&mut self, value: &Spanned<DeValue<'_>>, path: &str, depth: usize) -> Node {
        let Range { start, .. } = value.span();
        if depth >= DEEPEST {
            let value = self.too_deep(start, path);
            return self.node(start, value);
        }
        let deeper = depth.saturating_add(1);
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(expand(text, self.environment)),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Raw::Int(number),
                Err(_) => Raw::Float(number.as_str().parse().unwrap_or(f64::MAX)),
            },
            DeValue::Float(number) => Raw::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(value) => Raw::Bool(*value),
            DeValue::Datetime(time) => Raw::Text(time.to_string()),
            DeValue::Array(values) => {
                Raw::List(values.iter().map(|value| self.toml_node(value, path, deeper)).collect())
            }
            DeValue::Table(table) => Raw::Table(self.toml_table(table, path, deeper)),
        };
        self.node(start, raw)
    }

    fn json_table(&mut self, object: &ast::Object<'_>, path: &str, depth: usize) -> Table {
        let mut entries = Vec::new();
        for property in &object.properties {
            let key = match &property.name {
                ObjectPropName::String(name) => name.value.to_string(),
                ObjectPropName::Word(name) => name.value.to_owned(),
            };
            let written = join(path, &key);
            let place = self.place(property.range.start);
            let node = Node { place, ..self.json_node(&property.value, &written, depth) };
            entries.push(Item { key, written, node });
        }
        Table { name: path.to_owned(), entries }
    }

    fn json_node(&mut self, value: &ast::Value<'_>, path: &str, depth: usize) -> Node {
        let start = value.range().start;
        if depth >= DEEPEST {
            let value = self.too_deep(start, path);
            return self.node(start, value);
        }
        let deeper = depth.saturating_add(1);
        let raw = match value {
            ast::Value::NullKeyword(_) => Raw::Null,
            ast::Value::BooleanLit(value) => Raw::Bool(value.value),
            ast::Value::NumberLit(number) => match number.value.parse() {
                Ok(number) => Raw::Int(number),
                Err(_) => Raw::Float(number.value.parse().unwrap_or(f64::NAN)),
            },
            ast::Value::StringLit(text) => Raw::Text(expand(&text.value, self.environment)),
            ast::Value::Array(values) => {
                Raw::List(values.elements.iter().map(|value| self.json_node(value, path, deeper)).collect())
            }
            ast::Value::Object(object) => Raw::Table(self.json_table(object, path, deeper)),
        };
        self.node(start, raw)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
