//! What a sink writes for an event: the format and, around it, a pattern.

use haldane_core::{Event, Section};

use super::{Pattern, compatible, native, text};

/// A format and, if one is set, a pattern in which it is the message.
#[derive(Debug, Clone)]
pub struct Layout {
    format: Format,
    pattern: Option<Pattern>,
    node: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text { colour: bool },
    Native,
    Compatible,
}

impl Layout {
    /// Reads `format`, `pattern` and `date_format`. `default` is one of `text`, `native` and `compatible`.
    pub fn configure(section: &mut Section<'_>, default: &'static str, node: &str) -> Self {
        let word = section.choice(
            "format",
            default,
            &["native", "compatible", "text"],
            "What is written for an event: native (JSON, everything), compatible (JSON as OpenCanary writes it) \
             or text (a line for people).",
        );
        Self { pattern: pattern(section), ..Self::of(word, false, node) }
    }

    /// The format of that name.
    pub(crate) fn of(word: &str, colour: bool, node: &str) -> Self {
        let format = match word {
            "text" => Format::Text { colour },
            "compatible" => Format::Compatible,
            _ => Format::Native,
        };
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
            Format::Native => native(event, &self.node),
            Format::Compatible => compatible(event, &self.node),
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
