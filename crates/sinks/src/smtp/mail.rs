//! The mail about one event: what a person reads first, then everything there is.

use std::fmt::Write as _;

use haldane_core::{Class, Event, Honeycred, Login, Secret, Untrusted, Value};
use jiff::{Timestamp, tz::TimeZone};
use lettre::{
    Address, Message,
    message::{
        Attachment, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use crate::encode;

/// Longest subject, in characters: more is cut off on every screen.
const SUBJECT: usize = 180;
/// Longest value in the text, in characters. The JSON beside it holds the whole.
const VALUE: usize = 600;
/// Most fields in the text.
const FIELDS: usize = 60;
/// How deep lists in lists are written out.
const DEPTH: usize = 3;

/// The words that a subject may hold.
pub(super) const PLACEHOLDERS: [&str; 6] = ["sentence", "severity", "service", "kind", "source", "node"];

/// Where the JSON of the event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Json {
    /// As a file.
    Attached,
    /// Under the text.
    Inline,
    /// Instead of the text: the peer's form.
    Only,
    /// Nowhere.
    None,
}

/// What does not change from mail to mail.
#[derive(Debug)]
pub(super) struct Letterhead {
    pub(super) from: Mailbox,
    pub(super) to: Vec<Mailbox>,
    pub(super) subject: String,
    pub(super) json: Json,
    pub(super) node: String,
}

/// Writes the mail: headers and body, lines ended by CR LF, ASCII only, no line longer than 998 bytes.
///
/// # Errors
/// In words for the operator.
pub(super) fn compose(head: &Letterhead, event: &Event, json: &str) -> Result<Vec<u8>, String> {
    let id = format!("<{}@{}>", event.id, head.from.email.domain());
    let mut builder = Message::builder()
        .from(head.from.clone())
        .date(event.at)
        .message_id(Some(id))
        .subject(subject(head, event))
        .raw_header(header("Auto-Submitted", "auto-generated")?)
        .raw_header(header("X-Haldane-Event", &event.id.to_string())?);
    if let (Class::Incident, Some(number)) = (event.kind.class, event.incident) {
        // Nobody has that message, but all about this incident refer to it: mail programs show them together.
        let node: String = head.node.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        builder = builder.references(format!("<incident-{number}.{node}@{}>", head.from.email.domain()));
    }
    for recipient in &head.to {
        builder = builder.to(recipient.clone());
    }
    let plain = |text: String| SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text);
    let message = match head.json {
        Json::Only => builder.singlepart(plain(format!("{json}\n"))),
        Json::None => builder.singlepart(plain(text(&head.node, event))),
        Json::Inline => builder.singlepart(plain(format!("{}\n{json}\n", text(&head.node, event)))),
        Json::Attached => {
            let kind = ContentType::parse("application/json").map_err(|error| error.to_string())?;
            let file = Attachment::new("event.json".into()).body(format!("{json}\n"), kind);
            let parts = MultiPart::mixed().singlepart(plain(text(&head.node, event))).singlepart(file);
            builder.multipart(parts)
        }
    };
    message.map(|message| message.formatted()).map_err(|error| error.to_string())
}

fn header(name: &'static str, value: &str) -> Result<HeaderValue, String> {
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|error| error.to_string())?;
    Ok(HeaderValue::new(name, value.to_owned()))
}

/// An address as the operator wrote it: `canary@example.org`, `Canary <canary@example.org>`, or the name of a
/// user of the mail server, as in `root`.
pub(super) fn mailbox(text: &str) -> Option<Mailbox> {
    let text = text.trim();
    let local = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    let mailbox = match local {
        true => Mailbox::new(None, Address::new(text, "localhost").ok()?),
        false => text.parse().ok()?,
    };
    // Anything else needs SMTPUTF8 (RFC 6531), which few servers offer.
    let email: &str = mailbox.email.as_ref();
    email.bytes().all(|b| b.is_ascii_graphic() && !b"<>".contains(&b)).then_some(mailbox)
}

/// The subject on one line of bounded length, whatever the attacker wrote.
fn subject(head: &Letterhead, event: &Event) -> String {
    let mut subject = String::new();
    let mut rest = head.subject.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        subject.push_str(before);
        let word = PLACEHOLDERS.into_iter().find(|word| after.starts_with(&format!("{word}}}")));
        match word {
            None => subject.push('{'),
            Some("sentence") => subject.push_str(&encode::sentence(event)),
            Some("severity") => subject.push_str(event.severity.name()),
            Some("service") => subject.push_str(&event.service),
            Some("kind") => subject.push_str(event.kind.name),
            Some("node") => subject.push_str(&head.node),
            Some(_) => subject.push_str(&event.source().map(|ip| ip.to_string()).unwrap_or_default()),
        }
        rest = word.and_then(|word| after.get(word.len().saturating_add(1)..)).unwrap_or(after);
    }
    subject.push_str(rest);
    short(&Untrusted::new(subject).to_string(), SUBJECT)
}

/// At most `most` characters, with a mark where something is missing.
fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

/// The event for a person.
pub(super) fn text(node: &str, event: &Event) -> String {
    if event.kind.class == Class::Incident {
        let (story, meaning) = (encode::story(event), meaning(event));
        return format!("{story}\n{meaning}\n\nSeen by canary {node}. Event {}\n", event.id);
    }
    let mut text = format!("{}\n\n", encode::sentence(event));
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<12}{}", short(value, VALUE));
    };
    row("What", &format!("{} ({}, {} severity)", event.kind.about, event.kind.name, event.severity));
    if let Some(peer) = &event.peer {
        row("Who", &peer.remote.to_string());
        row("Where", &format!("{} on {}, canary {node}", event.service, peer.local));
        if let Some(via) = peer.via {
            row("Via", &format!("{via} (PROXY protocol)"));
        }
    } else {
        row("Where", &format!("canary {node}"));
    }
    row("When", &when(event));
    if let Some(login) = &event.login {
        for (name, value) in credentials(login) {
            row(name, &value);
        }
    }
    match event.honeycred {
        Honeycred::Yes => row("Honeycred", "YES: these credentials were laid out as bait"),
        Honeycred::No => row("Honeycred", "no"),
        Honeycred::None | Honeycred::Pending => {}
    }
    if let Some(tls) = &event.tls {
        let sni = tls.sni.as_ref().map(|name| format!("for {name}, ")).unwrap_or_default();
        row("TLS client", &format!("{sni}JA4 {}, JA3 {}", tls.ja4, tls.ja3));
    }
    for (name, value) in event.fields.iter().take(FIELDS) {
        row(&format!("{} ", Untrusted::new(name.as_bytes())), &shown(value, DEPTH));
    }
    if event.fields.len() > FIELDS {
        row("…", "and more");
    }
    let _ = write!(text, "\n{}\n\nEvent {}\n", meaning(event), event.id);
    text
}

fn when(event: &Event) -> String {
    match Timestamp::try_from(event.at) {
        Ok(at) => {
            at.to_zoned_datetime(TimeZone::system()).strftime("%A, %-d %B %Y, %H:%M:%S %:z (%Q)").to_string()
        }
        Err(_) => "at a time that no calendar has".into(),
    }
}

fn credentials(login: &Login) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(domain) = &login.domain {
        rows.push(("Domain", domain.to_string()));
    }
    if let Some(username) = &login.username {
        rows.push(("User name", username.to_string()));
    }
    match &login.secret {
        None => {}
        Some(Secret::Password(password)) => rows.push(("Password", password.to_string())),
        Some(Secret::PublicKey { algorithm, fingerprint, .. }) => {
            rows.push(("Public key", format!("{algorithm} {fingerprint}")));
        }
        Some(Secret::Response { scheme, response, crackable, .. }) => {
            rows.push(("Response", format!("{response} ({scheme})")));
            if let Some(line) = crackable {
                rows.push(("Crackable", Untrusted::new(line).to_string()));
            }
        }
        Some(Secret::Token(token)) => rows.push(("Token", token.to_string())),
    }
    rows.push(("Login by", login.mechanism.to_string()));
    rows
}

/// A value on one line; what is nested deeper than `depth` is left to the JSON.
fn shown(value: &Value, depth: usize) -> String {
    let deeper = depth.checked_sub(1);
    match (value, deeper) {
        (Value::Null, _) => "-".into(),
        (Value::Bool(true), _) => "yes".into(),
        (Value::Bool(false), _) => "no".into(),
        (Value::Int(number), _) => number.to_string(),
        (Value::Text(text), _) => text.to_string(),
        (Value::List(_) | Value::Map(_), None) => "…".into(),
        (Value::List(values), Some(depth)) => {
            let parts: Vec<_> = values.iter().take(FIELDS).map(|value| shown(value, depth)).collect();
            parts.join(", ")
        }
        (Value::Map(values), Some(depth)) => {
            let parts = values.iter().take(FIELDS);
            let parts =
                parts.map(|(name, value)| format!("{}: {}", Untrusted::new(name), shown(value, depth)));
            parts.collect::<Vec<_>>().join("; ")
        }
    }
}

/// What the reader should make of it.
fn meaning(event: &Event) -> &'static str {
    if event.honeycred == Honeycred::Yes {
        return "These credentials exist nowhere but where they were laid out as bait: whoever uses them has been \
                there. Find out who can read that place.";
    }
    match event.kind.class {
        Class::Connection => {
            "Nobody has a reason to connect to this decoy: a mistake, a scan, or the start of more."
        }
        Class::Probe => {
            "Somebody asked this decoy what it is. Scanners do so, and so do people who look for a way in."
        }
        Class::Access => "Somebody read what this decoy shows. Nobody has a reason to.",
        Class::Login => {
            "Somebody tried to log in to this decoy. It has no users: find out what the source machine is \
                         and who was using it."
        }
        Class::Command => {
            "Somebody gave this decoy a command. It does no work for anyone: look at the source machine."
        }
        Class::Exploit => {
            "A known attack was tried on this decoy. Treat the source machine as hostile or taken over."
        }
        Class::Scan => {
            "The source is looking over the network. If it is not a scanner of yours, find out what it is."
        }
        Class::Bait => "Bait was taken: somebody found and used what was laid out. Treat it as an intrusion.",
        Class::Incident => {
            "Nobody has a reason to touch this canary: find out what the source machine is and who was using it."
        }
        Class::Operational => "This is about the canary itself, not about a visitor.",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use haldane_core::{Kind, Severity};

    use super::*;

    static LOGIN: Kind = Kind::new(2000, "ftp.login", Class::Login, Severity::High, "FTP login");

    fn event(fields: haldane_core::Fields) -> Event {
        Event {
            id: uuid::Uuid::from_u128(1),
            service: "ftp".into(),
            session: uuid::Uuid::from_u128(2),
            peer: None,
            at: SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(1_795_000_000)).unwrap(),
            kind: &LOGIN,
            severity: Severity::High,
            login: None,
            fields,
            tls: None,
            ignored: false,
            honeycred: Honeycred::Yes,
            incident: None,
        }
    }

    fn head(subject: &str) -> Letterhead {
        let from = mailbox("canary@example.org").unwrap();
        Letterhead {
            to: vec![from.clone()],
            from,
            subject: subject.into(),
            json: Json::None,
            node: "n\r\nX: 1".into(),
        }
    }

    #[test]
    fn a_subject_is_one_line_of_bounded_length() {
        let filled =
            subject(&head("{severity} {kind}{ {unknown} {node}{"), &event(haldane_core::Fields::new()));
        assert_eq!(filled, "high ftp.login{ {unknown} n\\r\\nX: 1{");
        let long = subject(&head(&"ü".repeat(5000)), &event(haldane_core::Fields::new()));
        assert_eq!(long.chars().count(), SUBJECT + 1);
    }

    #[test]
    fn the_text_is_bounded_whatever_the_fields_hold() {
        let mut deep = Value::Int(1);
        for _ in 0..1000 {
            deep = Value::List(vec![deep]);
        }
        let mut fields: haldane_core::Fields =
            (0..500).map(|n| (format!("field{n}\r\n").into(), "x".repeat(8000).into())).collect();
        fields.insert("a".into(), deep);
        let text = text("n", &event(fields));
        assert!(text.len() < 64 * 1024, "{}", text.len());
        assert!(text.contains("a           …\n"), "{text}");
        assert!(text.contains("laid out as bait"), "{text}");
    }

    #[test]
    fn addresses_are_what_an_envelope_can_hold() {
        for right in ["a@example.org", "Anna <a.b+c@sub.example.org>", "root", "root@localhost"] {
            assert!(mailbox(right).is_some(), "{right}");
        }
        for wrong in ["", "a b", "a@b@c", "ä@example.org", "a@example.org>\r\nDATA", "a@exa mple.org", "<a@b"]
        {
            assert!(mailbox(wrong).is_none(), "{wrong}");
        }
    }
}
