//! Templates: minijinja, with a way to put values into each place that nothing in them can break out of.
//!
//! Values never become templates, and each kind of place has its own escape, which is not to be asked for: in JSON
//! a value is written as JSON, in an address or a form it is percent-encoded, in a header it is printable ASCII, in
//! a text for people it is that markup's text. What a template makes is checked again: JSON must be JSON.

use std::collections::BTreeMap;

use haldane_core::{Untrusted, section::nearest};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, syntax::SyntaxConfig,
    value::Serde,
};
use serde::de::IgnoredAny;

use super::{
    file::{Content, File, Key, Markup, Part},
    markup,
};
use crate::http::url::quoted;

/// How much a template may compute, in minijinja's unit (about an instruction, or 64 bytes): enough for the largest
/// batch, and an end to loops within loops.
const FUEL: u64 = 2_000_000;

/// The templates of a preset.
pub(super) struct Engine {
    templates: Environment<'static>,
    /// For expressions over answers, in which anything may be missing.
    answers: Environment<'static>,
    parts: Vec<Part>,
    headers: Vec<String>,
    form: Vec<String>,
    content: Content,
}

/// What templates made.
pub(super) struct Made {
    pub(super) url: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Engine {
    /// Compiles them.
    ///
    /// # Errors
    /// What is wrong and in which template.
    pub(super) fn new(file: &File) -> Result<Self, String> {
        let mut templates = environment(UndefinedBehavior::Strict);
        templates.set_auto_escape_callback(|name| AutoEscape::Custom(place(name).to_owned().into()));
        let escape = match file.content {
            Content::Json | Content::Lines => "json",
            Content::Form => "form",
            Content::Text => "text",
        };
        let mut sources = vec![("url.url".to_owned(), &file.url), (format!("body.{escape}"), &file.body)];
        sources.extend(file.headers.iter().map(|(name, text)| (format!("{name}.header"), text)));
        sources.extend(file.form.iter().map(|(name, text)| (format!("{name}.form"), text)));
        sources.extend(
            file.part.iter().map(|part| (format!("{}.{}", part.name, part.markup.name()), &part.template)),
        );
        if let Some(confirm) = &file.confirm {
            sources.push(("confirm.url".to_owned(), &confirm.url));
            sources.push(("confirm.json".to_owned(), &confirm.body));
        }
        for (name, text) in sources {
            let added = templates.add_template_owned(name.clone(), text.clone());
            added.map_err(|error| explained(&name, &error))?;
        }
        let engine = Self {
            templates,
            answers: environment(UndefinedBehavior::Chainable),
            parts: file.part.clone(),
            headers: file.headers.keys().cloned().collect(),
            form: file.form.keys().cloned().collect(),
            content: file.content,
        };
        let judgement = &file.answer;
        let confirm = file.confirm.iter().flat_map(|confirm| [&confirm.when, &confirm.success]);
        let all =
            [&judgement.success, &judgement.later, &judgement.refused, &judgement.says, &judgement.wait];
        for expression in all.into_iter().flatten().chain(confirm) {
            let compiled = engine.answers.compile_expression(expression);
            compiled.map_err(|error| format!("{error} (in `{expression}`)"))?;
        }
        Ok(engine)
    }

    /// A name that stands in a template and in nothing that templates know, in words.
    pub(super) fn unknown(&self, context: &BTreeMap<String, Value>, keys: &[Key]) -> Option<String> {
        let keys = || keys.iter().map(|key| format!("key.{}", key.name));
        let mut known: Vec<String> = context.keys().filter(|name| *name != "key").cloned().collect();
        known.extend(self.parts.iter().map(|part| part.name.clone()).chain(keys()));
        known.extend(self.templates.globals().map(|(name, _)| name.to_owned()));
        for (name, template) in self.templates.templates() {
            if name.starts_with("confirm.") {
                known.push("answer".to_owned());
            }
            for used in template.undeclared_variables(true) {
                let stem = match used.strip_prefix("key.") {
                    Some(key) => format!("key.{}", key.split('.').next().unwrap_or_default()),
                    None => used.split('.').next().unwrap_or_default().to_owned(),
                };
                if stem != "key" && !known.contains(&stem) {
                    let near = nearest(&stem, known.iter().map(String::as_str));
                    let near = near.map(|near| format!(", perhaps `{near}`")).unwrap_or_default();
                    return Some(format!(
                        "nothing is called `{stem}`{near} (in the template `{}`)",
                        bare(name)
                    ));
                }
            }
        }
        None
    }

    /// Makes a request about events; `context`: what all templates know, the first event's names among it.
    ///
    /// # Errors
    /// What is wrong and in which template.
    pub(super) fn make(&self, mut context: BTreeMap<String, Value>) -> Result<Made, String> {
        for part in &self.parts {
            let mut text = self.render(&format!("{}.{}", part.name, part.markup.name()), &context)?;
            for (limit, bytes) in [(part.limit, false), (part.limit_bytes, true)] {
                if let Some(limit) = limit {
                    text = markup::fit_lines(&text, limit, bytes);
                }
            }
            context.insert(part.name.clone(), Value::from_safe_string(text.trim_end().to_owned()));
        }
        let url = self.render("url.url", &context)?;
        let mut headers = Vec::new();
        for name in &self.headers {
            headers.push((name.clone(), self.render(&format!("{name}.header"), &context)?));
        }
        let body = match self.content {
            Content::Json => json(&self.render("body.json", &context)?)?,
            Content::Lines => {
                let text = self.render("body.json", &context)?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                let lines: Result<Vec<_>, String> = lines.map(json).collect();
                lines?.into_iter().map(|line| line + "\n").collect()
            }
            Content::Text => self.render("body.text", &context)?,
            Content::Form => {
                let mut pairs = Vec::new();
                for name in &self.form {
                    let value = self.render(&format!("{name}.form"), &context)?;
                    if !value.is_empty() {
                        pairs.push(format!("{}={value}", quoted(name)));
                    }
                }
                pairs.join("&")
            }
        };
        Ok(Made { url, headers: headers.into_iter().filter(|(_, value)| !value.is_empty()).collect(), body })
    }

    /// Address and body of the second question.
    ///
    /// # Errors
    /// As [`Self::make`].
    pub(super) fn confirmation(&self, context: &BTreeMap<String, Value>) -> Result<(String, String), String> {
        Ok((self.render("confirm.url", context)?, json(&self.render("confirm.json", context)?)?))
    }

    fn render(&self, name: &str, context: &BTreeMap<String, Value>) -> Result<String, String> {
        let template = self.templates.get_template(name).map_err(|error| explained(name, &error))?;
        let text = template.render(Value::from(context.clone())).map_err(|error| explained(name, &error))?;
        Ok(text.trim_matches(['\n', ' ']).to_owned())
    }

    /// The value of an expression over an answer; none where it fails: an answer is not to be relied on.
    pub(super) fn judge(&self, expression: &str, context: &BTreeMap<String, Value>) -> Value {
        let compiled = self.answers.compile_expression(expression);
        compiled.and_then(|compiled| compiled.eval(Value::from(context.clone()))).unwrap_or(Value::UNDEFINED)
    }
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        environment.set_syntax(syntax);
    }
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(write);
    for (name, markup) in Markup::ALL {
        environment
            .add_filter(name, move |value: Value| Value::from_safe_string(markup.neutral(&words(&value))));
    }
    environment.add_filter("json", |value: Value| serde_json::to_string(&value).unwrap_or_default());
    environment.add_filter("cut", |value: Value, most: usize| shorter(&value, most, markup::cut));
    environment.add_filter("cut_bytes", |value: Value, most: usize| shorter(&value, most, markup::cut_bytes));
    environment.add_filter("flat", |value: Value| flat(&value));
    environment
}

fn shorter(value: &Value, most: usize, cut: fn(&str, usize) -> String) -> Value {
    let text = cut(&words(value), most);
    if value.is_safe() { Value::from_safe_string(text) } else { Value::from(text) }
}

/// A value as text; none is no text.
fn words(value: &Value) -> String {
    if value.is_none() || value.is_undefined() { String::new() } else { value.to_string() }
}

/// Where a template's values go: what follows the last full stop of its name.
fn place(name: &str) -> &str {
    name.rsplit_once('.').map_or("text", |(_, place)| place)
}

/// The name of a template without its place.
fn bare(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(name, _)| name)
}

/// Writes a value into a template, as its place demands.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let AutoEscape::Custom(place) = state.auto_escape() else {
        return out.write_str(&words(value)).map_err(Error::from);
    };
    let text = match &**place {
        "json" => serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?,
        "url" if value.is_safe() => words(value),
        "url" => quoted(&words(value)).replace('+', "%20").replace("%3A", ":"),
        "form" => quoted(&words(value)),
        "header" => markup::header(&words(value)),
        _ if value.is_safe() => words(value),
        name => {
            let known = Markup::ALL.into_iter().find(|(known, _)| *known == name);
            known.map_or(Markup::Text, |(_, markup)| markup).neutral(&words(value))
        }
    };
    out.write_str(&text).map_err(Error::from)
}

/// Most members of a flat map.
const MEMBERS: usize = 50;
/// Longest value in it, in UTF-16 units.
const LONGEST: usize = 1000;

/// A map without maps in it, for receivers that know none: names are joined by `_` and hold letters, digits, `_`,
/// `.` and `-` alone; numbers stay numbers, all else is text.
fn flat(value: &Value) -> Value {
    let mut out = BTreeMap::new();
    let Ok(whole) = serde_json::to_value(value) else { return Value::from(out) };
    let mut rest = vec![(String::new(), &whole)];
    while let Some((name, value)) = rest.pop() {
        let value = match value {
            serde_json::Value::Object(map) => {
                let joint = if name.is_empty() { "" } else { "_" };
                let inner = map.iter().rev().map(|(key, value)| (format!("{name}{joint}{key}"), value));
                rest.extend(inner);
                continue;
            }
            serde_json::Value::Null => continue,
            serde_json::Value::Number(number) => Value::from(Serde(number)),
            serde_json::Value::String(text) => Value::from(text_of(text)),
            other => Value::from(text_of(&other.to_string())),
        };
        let fits = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let name: String = name.chars().take(100).map(fits).collect();
        if !name.is_empty() && out.len() < MEMBERS {
            out.insert(name, value);
        }
    }
    Value::from(out)
}

fn text_of(text: &str) -> String {
    markup::cut(&Untrusted::new(text).to_string(), LONGEST)
}

/// What was made, if it is JSON.
fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!(
            "the body is no JSON ({error}); {{{{ value }}}} brings its own quotes: write none around it"
        )),
    }
}

fn explained(name: &str, error: &Error) -> String {
    let name = bare(name);
    let line = error.line().map(|line| format!(", line {line} of it")).unwrap_or_default();
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    format!("{}{detail} (in the template `{name}`{line})", error.kind())
}
