//! Rules of the operator: what an event of that source, service, user and hour is worth. They are asked in the order of
//! the file, and the first that matches decides.
//!
//! `drop` keeps an event in the store alone and is the only action that keeps it from the sinks; `log` leaves it to the
//! logs (it becomes as mild as can be, so that nobody is told); `lower` and `raise` change how much it matters; `tag`
//! only marks it. What a rule did stands in the event: `rule`, and `tags`. Whatever a rule says, a honey-credential
//! stays critical, unless it is dropped.

mod conditions;
mod presets;

use std::net::IpAddr;

use haldane_core::{Event, Problem, Section, Severity, Table, Value};

pub use conditions::{Conditions, Names, NoNames};
pub use presets::{PRESETS, Preset};

/// What is done with an event that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Kept in the store, sent nowhere.
    Drop,
    /// Sent as something that nobody need be told: severity info.
    Log,
    /// Made milder: to `severity`, or by one step.
    Lower,
    /// Made more severe: to `severity`, or by one step.
    Raise,
    /// Left as it is, but for the tags.
    Tag,
}

impl Action {
    const ALL: [(&'static str, Self); 5] = [
        ("drop", Self::Drop),
        ("log", Self::Log),
        ("lower", Self::Lower),
        ("raise", Self::Raise),
        ("tag", Self::Tag),
    ];

    /// The word used in configuration and output.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(name, _)| name)
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What the operator calls it: its comment, or its number.
    pub name: String,
    /// The line of the file that it begins on; 0 if unknown.
    pub line: usize,
    /// What it does.
    pub action: Action,
    severity: Option<Severity>,
    tags: Vec<String>,
    conditions: Conditions,
    hits: u64,
}

/// All rules, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Reads the key `rule`: a list of tables.
    pub fn configure(section: &mut Section<'_>) -> Self {
        let about = "Rules about events, each a table [[rule]]: the first that matches decides (action drop, log, \
                     lower, raise or tag). `haldane rules test` says which one an event meets.";
        let tables = section.tables("rule", about);
        let rules = tables.into_iter().enumerate();
        Self(rules.map(|(at, table)| section.within(table, |section| Rule::configure(section, at))).collect())
    }

    /// The rule that this event meets, by its place in the file.
    pub fn first(&self, event: &Event, names: &dyn Names) -> Option<usize> {
        self.0.iter().position(|rule| rule.conditions.match_event(event, names))
    }

    /// Does to the event what the first matching rule says, and counts that.
    pub fn apply(&mut self, event: &mut Event, names: &dyn Names) {
        if let Some(rule) = self.first(event, names).and_then(|at| self.0.get_mut(at)) {
            rule.hits = rule.hits.saturating_add(1);
            rule.act(event);
        }
    }

    /// Each rule, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Whether some rule asks for the reverse name of a source.
    pub fn ask_for_names(&self) -> bool {
        self.0.iter().any(|rule| rule.conditions.ask_for_names())
    }
}

impl Rule {
    /// Reads one, the `at`th of the file.
    pub fn configure(section: &mut Section<'_>, at: usize) -> Self {
        let words = Action::ALL.map(|(name, _)| name);
        let about = "What is done: drop (kept in the store, sent nowhere), log (nobody is told: severity info), lower or \
                     raise (to `severity`, or by one step), tag.";
        if section.raw("action", None, about).is_none() {
            section.invalid("action", format!("expected one of {}", words.join(", ")));
        }
        let action = section.choice("action", "tag", &words, about);
        let action = Action::ALL.iter().find(|(name, _)| *name == action).map_or(Action::Tag, |(_, a)| *a);
        let severity = severity(section);
        if severity.is_some() && !matches!(action, Action::Lower | Action::Raise) {
            section.invalid("severity", "expected with action \"lower\" or \"raise\" only");
        }
        let tags = section.list("tags", &[], "Words that are added to the event.");
        if action == Action::Tag && tags.is_empty() && section.has("action") {
            section.invalid("action", "expected `tags` beside action \"tag\"");
        }
        let comment =
            section.text("comment", "", "Why this rule is here. It is the rule's name in events and logs.");
        let conditions = Conditions::configure(section);
        let line = line(section.table());
        if conditions.is_empty() {
            let message = "expected at least one condition: a rule without any would meet every event";
            let place = section.table().entries.first().map(|item| item.node.place.clone());
            section.note(Problem::error(place, "rule", message));
        }
        let name = if comment.is_empty() { format!("rule {}", at.saturating_add(1)) } else { comment };
        Self { name, line, action, severity, tags, conditions, hits: 0 }
    }

    /// How many events it met since it was read.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    fn act(&self, event: &mut Event) {
        match self.action {
            Action::Drop => event.ignored = true,
            Action::Log => event.severity = Severity::Info,
            Action::Lower => {
                event.severity = event.severity.min(self.severity.unwrap_or(step(event.severity, -1)))
            }
            Action::Raise => {
                event.severity = event.severity.max(self.severity.unwrap_or(step(event.severity, 1)))
            }
            Action::Tag => {}
        }
        event.fields.insert("rule".into(), Value::from(self.name.as_str()));
        if !self.tags.is_empty() {
            event.fields.insert("tags".into(), Value::from(self.tags.clone()));
        }
    }
}

/// One step milder or more severe.
fn step(severity: Severity, by: i8) -> Severity {
    let mut all = Severity::ALL.into_iter();
    let found =
        if by > 0 { all.find(|other| *other > severity) } else { all.rfind(|other| *other < severity) };
    found.unwrap_or(severity)
}

fn severity(section: &mut Section<'_>) -> Option<Severity> {
    let word = section
        .optional("severity", "For lower and raise: where it ends (info, low, medium, high, critical).")?;
    let found = Severity::ALL.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(&word));
    if found.is_none() {
        section.invalid("severity", "expected info, low, medium, high or critical");
    }
    found
}

fn line(table: &Table) -> usize {
    table.entries.iter().map(|item| item.node.place.line).min().unwrap_or_default()
}

/// What is known of a source's name, for rules that ask.
impl Names for std::collections::HashMap<IpAddr, String> {
    fn name(&self, source: IpAddr) -> Option<String> {
        self.get(&source).cloned()
    }
}

#[cfg(test)]
mod tests;
