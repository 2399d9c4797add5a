//! What handlers of the peer's send that is no form around a message: SlackHandler, TeamsHandler and, of Python's
//! own library, HTTPHandler. As OpenCanary 0.9.9 on Python 3.11 sends it, byte by byte.

use std::sync::LazyLock;

use haldane_core::{Event, Section, Value};
use ureq::http::Uri;

use super::body::Body;
use crate::{
    encode::{Pattern, compatible, dumps, members, repr},
    http::url,
};

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// What `data` says.
    Data,
    /// An attachment of fields, one for each member of the compatible line.
    Slack,
    /// An adaptive card of facts, one for each member, inner ones under joined names.
    Teams,
    /// The attributes of a record of Python's logging, as a form.
    LogRecord,
}

const PAYLOADS: [(&str, Payload); 4] = [
    ("data", Payload::Data),
    ("opencanary-slack", Payload::Slack),
    ("opencanary-teams", Payload::Teams),
    ("python-logrecord", Payload::LogRecord),
];

impl Payload {
    /// Reads `payload`.
    pub(super) fn configure(section: &mut Section<'_>) -> Self {
        let word = section.choice(
            "payload",
            "data",
            &PAYLOADS.map(|(name, _)| name),
            "What is sent: what `data` says, or what a handler of OpenCanary's would send (SlackHandler, \
             TeamsHandler; python-logrecord: HTTPHandler of Python's logging).",
        );
        let payload = PAYLOADS.into_iter().find(|(name, _)| *name == word);
        let payload = payload.map_or(Self::Data, |(_, payload)| payload);
        if payload == Self::LogRecord {
            LazyLock::force(&ATTRIBUTES);
        }
        payload
    }

    /// That handler's body for an event.
    pub(super) fn body(self, event: &Event, node: &str) -> Body {
        match self {
            Self::Data => Body::Text(String::new()),
            Self::Slack => Body::Json(slack(event, node)),
            Self::Teams => Body::Json(teams(event, node)),
            Self::LogRecord => Body::Form(record(event, node)),
        }
    }
}

/// An address with a form in its query, as HTTPHandler sends it with GET.
pub(super) fn asked(url: &Uri, form: &str) -> Result<Uri, String> {
    let joint = if url.query().is_some() { '&' } else { '?' };
    format!("{url}{joint}{form}")
        .parse()
        .map_err(|_| "the event is too long for an address: use POST".to_owned())
}

fn slack(event: &Event, node: &str) -> String {
    let field = |(title, value): (String, Value)| {
        let value = match value {
            Value::Map(_) => dumps(&Value::from(dumps(&value))),
            other => dumps(&other),
        };
        format!("{{\"title\": {}, \"value\": {value}}}", dumps(&Value::from(title)))
    };
    let fields: Vec<_> = members(event, node).into_iter().map(field).collect();
    format!(
        "{{\"attachments\": [{{\"pretext\": \"OpenCanary Alert\", \"fields\": [{}]}}]}}",
        fields.join(", ")
    )
}

/// The card up to its facts: logo, title.
const CARD: &str = concat!(
    r#"{"attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": {"type": "#,
    r#""AdaptiveCard", "$schema": "https://adaptivecards.io/schemas/adaptive-card.json", "version": "1.5", "#,
    r#""body": [{"type": "ColumnSet", "columns": [{"type": "Column", "width": "auto", "items": [{"type": "#,
    r#""Image", "url": "https://resources.canary.tools/images/open-canary-green_logo.png", "width": "82px", "#,
    r#""horizontalAlignment": "Left"}]}, {"type": "Column", "items": [{"type": "TextBlock", "text": "\u00a0", "#,
    r#""size": "Small"}, {"type": "TextBlock", "text": "OpenCanary Alert", "weight": "Bolder", "size": "#,
    r#""ExtraLarge"}]}]}, {"type": "FactSet", "facts": ["#
);

fn teams(event: &Event, node: &str) -> String {
    let mut facts = Vec::new();
    let members = members(event, node);
    let mut rest: Vec<(String, &Value)> =
        members.iter().rev().map(|(name, value)| (name.clone(), value)).collect();
    while let Some((name, value)) = rest.pop() {
        let value = match value {
            Value::Map(map) => {
                let inner = map.iter().rev();
                rest.extend(inner.map(|(key, value)| (format!("{name}__{}", key.to_lowercase()), value)));
                continue;
            }
            // The text itself, bytes that are no UTF-8 and all; anything else as Python prints it.
            Value::Text(_) => dumps(value),
            other => dumps(&Value::from(repr(other))),
        };
        facts.push(format!("{{\"title\": {}, \"value\": {value}}}", dumps(&Value::from(name))));
    }
    format!("{CARD}{}]}}]}}}}]}}", facts.join(", "))
}

/// `LogRecord.__dict__`, in the order in which Python fills it. What Python alone has (a line of its source) is as
/// in the patterns of formatters.
fn record(event: &Event, node: &str) -> String {
    let message = compatible(event, node);
    let one = |(name, value): &(&str, Result<Pattern, &str>)| {
        let value = match value {
            Ok(pattern) => pattern.render(event, node, &message),
            Err(fixed) => (*fixed).to_owned(),
        };
        ((*name).to_owned(), value)
    };
    url::encoded(&ATTRIBUTES.iter().map(one).collect::<Vec<_>>())
}

/// How each attribute is written, or what always stands there. Made when the configuration is read: that is when
/// `relativeCreated` begins.
static ATTRIBUTES: LazyLock<Vec<(&str, Result<Pattern, &str>)>> = LazyLock::new(|| {
    let read = |(name, fixed): (&'static str, &'static str)| {
        (name, Pattern::parse(&format!("%({name})s"), None).map_err(|_| fixed))
    };
    RECORD.map(read).into()
});

/// The names, and the value of those that a pattern does not know.
const RECORD: [(&str, &str); 20] = [
    ("name", ""),
    ("msg", ""),
    ("args", "()"),
    ("levelname", ""),
    ("levelno", ""),
    ("pathname", ""),
    ("filename", ""),
    ("module", ""),
    ("exc_info", "None"),
    ("exc_text", ""),
    ("stack_info", "None"),
    ("lineno", ""),
    ("funcName", ""),
    ("created", ""),
    ("msecs", ""),
    ("relativeCreated", ""),
    ("thread", ""),
    ("threadName", ""),
    ("processName", ""),
    ("process", ""),
];
