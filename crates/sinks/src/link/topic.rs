//! Where within a broker an event goes.

use haldane_core::{Event, Section};

/// A topic or subject, with the names of what stands in an event's place.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pattern: String,
    node: String,
}

impl Topic {
    /// Reads that key.
    pub(crate) fn configure(
        section: &mut Section<'_>,
        key: &'static str,
        default: &'static str,
        about: &'static str,
        node: &str,
    ) -> Self {
        let pattern = section.text(key, default, about);
        let known = PLACES.iter().fold(pattern.clone(), |rest, place| rest.replace(place, "x"));
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"{}+#*>".contains(c);
        if known.is_empty() || known.len() > LONGEST || !known.chars().all(plain) {
            let expected = format!(
                "expected a name without blanks and wildcards, in which {} stand for what an event has",
                PLACES.join(", ")
            );
            section.invalid(key, expected);
        }
        Self { pattern, node: node.to_owned() }
    }

    /// For that event. Nothing of it was sent by a peer.
    pub(crate) fn of(&self, event: &Event) -> String {
        let plain = |text: &str| -> String {
            text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
        };
        let [node, service, kind, severity] = PLACES;
        self.pattern
            .replace(node, &plain(&self.node))
            .replace(service, &plain(&event.service))
            .replace(kind, event.kind.name)
            .replace(severity, event.severity.name())
    }
}

const PLACES: [&str; 4] = ["{node}", "{service}", "{kind}", "{severity}"];
/// Bytes of a pattern.
const LONGEST: usize = 1000;
