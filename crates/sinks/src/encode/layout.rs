//! What a sink writes for an event: the format and, around it, a pattern.

use haldane_core::{Event, Section};

use super::{Pattern, cef, compatible, ecs, leef, native, ocsf, text};

/// A format and, if one is set, a pattern in which it is the message.
#[derive(Debug, Clone)]
pub struct Layout {
    format: Format,
    pattern: Option<Pattern>,
    node: String,
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Text {
        colour: bool,
    },
    /// Made of the event and the name of this canary alone.
    Line(Line),
}

/// Writes an event of the canary of that name.
type Line = fn(&Event, &str) -> String;

/// Every format, as the configuration calls it, after the word for whichever fits.
pub(crate) const FORMATS: [&str; 8] = ["auto", "native", "compatible", "text", "ecs", "ocsf", "cef", "leef"];
/// The formats that have no choices of their own, by their words in the configuration.
const LINES: [(&str, Line); 6] = [
    ("native", native),
    ("compatible", compatible),
    ("ecs", ecs),
    ("ocsf", ocsf),
    ("cef", cef),
    ("leef", leef),
];

impl Layout {
    /// Reads `format`, `pattern` and `date_format`. `default` is one of those words.
    pub fn configure(section: &mut Section<'_>, default: &'static str, node: &str) -> Self {
        let word = section.choice(
            "format",
            default,
            FORMATS.get(1..).unwrap_or_default(),
            "What is written for an event: native (JSON, everything), compatible (JSON as OpenCanary writes it), \
             text (a line for people), ecs (Elastic), ocsf, cef (ArcSight) or leef (QRadar).",
        );
        Self { pattern: pattern(section), ..Self::of(word, false, node) }
    }

    /// The format of that name.
    pub(crate) fn of(word: &str, colour: bool, node: &str) -> Self {
        let line = LINES.iter().find(|(name, _)| *name == word).map(|(_, line)| Format::Line(*line));
        let format = line.unwrap_or(Format::Text { colour });
        Self { format, pattern: None, node: node.to_owned() }
    }

    /// The same, in a pattern.
    pub(crate) fn within(mut self, pattern: Option<Pattern>) -> Self {
        self.pattern = pattern;
        self
    }

    /// What is written for that event, without the end of the line.
    pub fn line(&self, event: &Event) -> String {
        let line = match self.format {
            Format::Text { colour } => text(event, colour),
            Format::Line(line) => line(event, &self.node),
        };
        match &self.pattern {
            None => line,
            Some(pattern) => pattern.render(event, &self.node, &line),
        }
    }
}

/// Reads `pattern` and `date_format`.
pub(crate) fn pattern(section: &mut Section<'_>) -> Option<Pattern> {
    let pattern = section.optional(
        "pattern",
        "A pattern of Python's logging around each line, as in \"%(asctime)s %(name)s %(message)s\".",
    );
    let dates =
        section.optional("date_format", "How %(asctime)s is written: strftime, as in \"%b %d %H:%M:%S\".");
    match Pattern::parse(&pattern?, dates.as_deref()) {
        Ok(pattern) => Some(pattern),
        Err(mistake) => {
            section.invalid("pattern", mistake);
            None
        }
    }
}
