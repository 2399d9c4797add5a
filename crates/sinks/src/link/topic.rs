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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use haldane_core::{Class, Kind, Severity, Sighting};
    use uuid::Uuid;

    use super::*;

    static KIND: Kind = Kind::new(30000, "test.login", Class::Login, Severity::High, "Test login");

    #[test]
    fn a_topic_has_no_more_levels_than_its_pattern() {
        let event = Event::operational(Sighting::of(&KIND), (Uuid::nil(), SystemTime::UNIX_EPOCH));
        let of =
            |node: &str| Topic { pattern: "a/{node}.{kind}/{severity}".into(), node: node.into() }.of(&event);
        assert_eq!(of("canary_1"), "a/canary_1.test.login/high");
        assert_eq!(of("a/b.c +#*>\r\n\u{e9}{kind}"), "a/a-b-c---------kind-.test.login/high");
    }
}
