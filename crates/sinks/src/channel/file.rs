//! The file of a preset: TOML, with the names below. Texts named `…` are templates.

use std::collections::BTreeMap;

use haldane_core::Severity;
use serde::Deserialize;

/// All that is known of a service to send to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// What it is, in a line for people.
    pub(super) about: String,
    /// What its users want to hear of, unless they say otherwise.
    #[serde(default)]
    pub(super) notify: Notify,
    /// Whether they want to hear that an incident is over in any case.
    #[serde(default)]
    pub(super) closings: bool,
    /// The mildest event that they want, unless they say otherwise.
    #[serde(default = "medium")]
    pub(super) min_severity: Severity,
    /// Most events in one request.
    #[serde(default = "one")]
    pub(super) batch: usize,
    /// What the operator is asked for, in the order of the sample file.
    #[serde(default)]
    pub(super) key: Vec<Key>,
    /// The method of the request.
    #[serde(default = "post")]
    pub(super) method: String,
    /// `…` where to.
    pub(super) url: String,
    /// `…` under each name. One that turns out empty is not sent.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Texts that are made first, for use in the body.
    #[serde(default)]
    pub(super) part: Vec<Part>,
    /// What the body is.
    #[serde(default)]
    pub(super) content: Content,
    /// `…` the body, unless it is a form.
    #[serde(default)]
    pub(super) body: String,
    /// `…` the fields of a form. One that turns out empty is not sent.
    #[serde(default)]
    pub(super) form: BTreeMap<String, String>,
    /// What an answer means.
    #[serde(default)]
    pub(super) answer: Judgement,
    /// What is asked after a success, if the service only then says whether it has the message.
    #[serde(default)]
    pub(super) confirm: Option<Confirm>,
}

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Notify {
    /// Each event by itself.
    Event,
    /// A few messages for all that a source does.
    #[default]
    Incident,
}

impl From<Notify> for haldane_core::Notify {
    fn from(notify: Notify) -> Self {
        match notify {
            Notify::Event => Self::Event,
            Notify::Incident => Self::Incident,
        }
    }
}

/// A key of the sink's section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) name: String,
    /// What it is for and where to find it.
    pub(super) about: String,
    #[serde(default, rename = "type")]
    pub(super) kind: KeyKind,
    /// What stands for it if it is left out; without one, it must be given.
    #[serde(default)]
    pub(super) default: Option<toml::Value>,
    /// The only words that will do; any if there are none.
    #[serde(default)]
    pub(super) choices: Vec<String>,
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum KeyKind {
    /// Text, or a number taken as text.
    #[default]
    Text,
    /// An address of HTTP; templates put it in as it is.
    Url,
    /// Yes or no.
    Flag,
    /// Several texts.
    List,
}

/// A text for people in a service's own markup.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) markup: Markup,
    /// Longest text, in UTF-16 units: no service counts more. Whole lines are left out.
    #[serde(default)]
    pub(super) limit: Option<usize>,
    /// Longest text, in bytes of UTF-8.
    #[serde(default)]
    pub(super) limit_bytes: Option<usize>,
    /// `…`
    pub(super) template: String,
}

/// How text is kept from being more than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Markup {
    /// No markup is known there.
    Text,
    /// Marks that nothing can escape are broken by a zero-width space.
    Plain,
    /// Elements and entities.
    Html,
    /// Slack's mrkdwn.
    Slack,
    /// Markdown with a backslash before marks.
    Markdown,
}

/// What a body is, and so how values are put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    /// One JSON value.
    #[default]
    Json,
    /// JSON values, one a line.
    Lines,
    /// Fields of a form.
    Form,
    /// Text.
    Text,
}

/// What an answer means. Expressions over `status`, `answer` (what JSON was answered) and `text`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judgement {
    /// Whether it was taken; without it, any status of 2xx means so.
    #[serde(default)]
    pub(super) success: Option<String>,
    /// Of what was not taken: whether it may be later, whatever the status.
    #[serde(default)]
    pub(super) later: Option<String>,
    /// Of what was not taken: whether it never will be, whatever the status.
    #[serde(default)]
    pub(super) refused: Option<String>,
    /// The service's own words.
    #[serde(default)]
    pub(super) says: Option<String>,
    /// How many seconds it wants to be left alone.
    #[serde(default)]
    pub(super) wait: Option<String>,
    /// What to do about a status.
    #[serde(default)]
    pub(super) advice: BTreeMap<String, String>,
}

/// A second question, asked until it is answered well.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// Expression over what a template has, and `answer`: whether to ask at all.
    pub(super) when: String,
    /// `…` where to.
    pub(super) url: String,
    /// `…` JSON, in which `answer` is the first answer.
    pub(super) body: String,
    /// Expression over `first` (the first answer) and `answer`: whether it has the message.
    pub(super) success: String,
}

fn medium() -> Severity {
    Severity::Medium
}

fn one() -> usize {
    1
}

fn post() -> String {
    "POST".to_owned()
}

impl File {
    /// Stands for one that cannot be read.
    pub(super) fn nothing() -> Self {
        Self {
            about: String::new(),
            notify: Notify::default(),
            closings: false,
            min_severity: medium(),
            batch: one(),
            key: Vec::new(),
            method: post(),
            url: String::new(),
            headers: BTreeMap::new(),
            part: Vec::new(),
            content: Content::default(),
            body: String::new(),
            form: BTreeMap::new(),
            answer: Judgement::default(),
            confirm: None,
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// The line, from 1 (0 if there is none), and what is wrong there.
    pub(super) fn read(text: &str) -> Result<Self, (usize, String)> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(0, |before| before.matches('\n').count().saturating_add(1));
            (line, error.message().trim().to_owned())
        })?;
        let form = file.content == Content::Form;
        let wrong = match () {
            () if form != file.body.is_empty() => "expected a body, or a form where content = \"form\"",
            () if form == file.form.is_empty() => "expected fields under [form] where content = \"form\"",
            () if !(1..=10_000).contains(&file.batch) => "expected a batch of 1 to 10000",
            () => return Ok(file),
        };
        Err((0, wrong.to_owned()))
    }
}
