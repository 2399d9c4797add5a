//! Words for a person.

use std::fmt::{Display, Write};

use anstyle::{AnsiColor, Style};
use haldane_core::{Class, Event, Honeycred, Login, Secret, Severity, Untrusted, Value};
use jiff::tz::TimeZone;

use super::time;

/// One line for a terminal, without its end: time, severity, service, who and where, what. Whatever a peer
/// sent is escaped.
pub fn text(event: &Event, colour: bool) -> String {
    text_in(event, colour, &TimeZone::system())
}

pub(super) fn text_in(event: &Event, colour: bool, zone: &TimeZone) -> String {
    let paint = |style: Style, text: &dyn Display| match colour {
        true => format!("{style}{text}{style:#}"),
        false => text.to_string(),
    };
    let dim = Style::new().dimmed();
    let severity = event.severity.name().to_uppercase();
    let mut line = paint(dim, &time::zoned(event.at, zone).strftime("%H:%M:%S"));
    let _ = write!(line, " {}", paint(colour_of(event.severity), &format_args!("{severity:<8}")));
    if tells_a_story(event) {
        let about = match event.incident {
            Some(number) => format!("incident {number}"),
            None => format!("{:<9}", event.service),
        };
        let _ = write!(line, " {}", paint(Style::new().bold(), &about));
        let _ = write!(line, "  {}  {}", event.kind.about, told(event, "summary"));
        if event.fields.contains_key("reason") {
            let _ = write!(line, "  {} {}", paint(dim, &"because:"), told(event, "reason"));
        }
        return line;
    }
    let _ = write!(line, " {}", paint(Style::new().bold(), &format_args!("{:<9}", event.service)));
    if let Some(peer) = &event.peer {
        let _ = write!(line, " {} {} :{}", peer.remote, paint(dim, &"→"), peer.local.port());
    }
    let _ = write!(line, "  {}", event.kind.about);
    if let Some(login) = &event.login {
        let _ = write!(line, "  {}", paint(Style::new().bold(), &offered(login)));
    }
    let mut room = LONGEST_ON_A_LINE;
    for (name, value) in &event.fields {
        if name == "msg" {
            line.extend(["  ", &shown(value, LONGEST_ON_A_LINE)]);
            continue;
        }
        let shown = shown(value, LONGEST_VALUE);
        let width = name.len().saturating_add(shown.chars().count());
        let Some(left) = room.checked_sub(width) else {
            let _ = write!(line, "  {}", paint(dim, &"…"));
            break;
        };
        room = left;
        let _ = write!(line, "  {} {shown}", paint(dim, &format_args!("{name}:")));
    }
    if event.honeycred == Honeycred::Yes {
        let _ = write!(line, "  {}", paint(colour_of(Severity::Critical), &"honey-credential!"));
    }
    line
}

/// One sentence, without full stop and at most a few hundred characters long: "SSH login from 192.0.2.7 on
/// port 2222: root / hunter2". Fit for the subject of a mail: whatever a peer sent is escaped and cut.
pub fn sentence(event: &Event) -> String {
    if tells_a_story(event) {
        return format!("{}: {}", event.kind.about, told(event, "summary"));
    }
    let mut sentence = event.kind.about.to_owned();
    if let Some(peer) = &event.peer {
        let _ = write!(sentence, " from {} on port {}", peer.remote.ip(), peer.local.port());
    }
    match (&event.login, event.fields.get("msg")) {
        (Some(login), _) => {
            let _ = write!(sentence, ": {}", offered(login));
        }
        (None, Some(message)) => {
            let _ = write!(sentence, ": {}", shown(message, LONGEST_ON_A_LINE));
        }
        (None, None) => {}
    }
    if event.honeycred == Honeycred::Yes {
        sentence.push_str(" (a honey-credential)");
    }
    sentence
}

/// Whether it is news of an incident, or sums up what was not told one by one: its facts are about many events.
pub(crate) fn tells_a_story(event: &Event) -> bool {
    event.kind.class == Class::Incident && event.fields.contains_key("summary")
}

/// A text among the facts of an incident.
fn told(event: &Event, name: &str) -> String {
    event.fields.get(name).map_or_else(String::new, |value| shown(value, LONGEST_SUMMARY))
}

fn colour_of(severity: Severity) -> Style {
    match severity {
        Severity::Info => Style::new().dimmed(),
        Severity::Low => AnsiColor::Cyan.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Critical => AnsiColor::White.on(AnsiColor::Red).bold(),
    }
}

/// `root / hunter2`, with the domain as Windows writes it.
pub(crate) fn offered(login: &Login) -> String {
    let name = |text: &Untrusted| cut(text.to_string(), LONGEST_NAME);
    let username = login.username.as_ref().map_or_else(|| "(no name)".into(), name);
    let domain = login.domain.as_ref().map_or_else(String::new, |domain| format!("{}\\", name(domain)));
    let secret = match &login.secret {
        None => return format!("{domain}{username}"),
        Some(Secret::Password(text)) if text.is_empty() => "(empty password)".into(),
        Some(Secret::Password(text)) => name(text),
        Some(Secret::Token(text)) => format!("token {}", name(text)),
        Some(Secret::PublicKey { algorithm, fingerprint, .. }) => {
            format!("{} {fingerprint}", name(algorithm))
        }
        Some(Secret::Response { scheme, .. }) => format!("(answer to a {scheme} challenge)"),
    };
    format!("{domain}{username} / {secret}")
}

/// A fact on one line, escaped, of at most so many characters.
pub fn shown(value: &Value, longest: usize) -> String {
    let mut out = String::new();
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        if !out.is_empty() {
            out.push_str(", ");
        }
        let _ = match value {
            Value::Null => write!(out, "-"),
            Value::Bool(value) => write!(out, "{}", if *value { "yes" } else { "no" }),
            Value::Int(number) => write!(out, "{number}"),
            Value::Text(text) => write!(out, "{text}"),
            Value::List(values) => {
                rest.extend(values.iter().rev());
                Ok(())
            }
            Value::Map(map) => {
                rest.extend(map.values().rev());
                Ok(())
            }
        };
        if out.len() > longest {
            break;
        }
    }
    cut(out, longest)
}

/// At most that many characters.
fn cut(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Characters: a name or password worth reading at a glance. The logs have it whole.
const LONGEST_NAME: usize = 64;
/// Characters of an incident's summary.
const LONGEST_SUMMARY: usize = 300;
/// Characters of one fact.
const LONGEST_VALUE: usize = 48;
/// Characters of all facts: what fits on a wide terminal. `--json` and the logs have them whole.
const LONGEST_ON_A_LINE: usize = 120;
