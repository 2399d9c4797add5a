//! What is reported of a request.

use haldane_core::{Login, Severity, Sighting, Value};

use super::{
    BROKEN, JNDI, LOGIN, LOOKUP, REQUEST, SEARCH,
    message::{Control, Message, Operation, Search},
    persona::Persona,
    session::{FAST_BIND, START_TLS, WHO_AM_I},
};

/// Bytes of a message that an event shows.
const EXCERPT: usize = 512;
/// The name of the attack.
const LOG4SHELL: &str = "log4shell (CVE-2021-44228)";
/// What Java's naming service sends with each look-up: it wants to see references, not to follow them (RFC 3296).
const MANAGE: &[u8] = b"2.16.840.1.113730.3.4.2";
/// Whoever writes such words hopes for a Log4j that reads them (CVE-2021-44228), in one of its disguises.
const LOOKUPS: [&[u8]; 5] = [b"${jndi:", b"${${", b"${lower:j", b"${env:", b"${::-j"];

/// Extended requests by name (MS-ADTS, section 3.1.1.3.4.2; RFC 3062, RFC 3909).
const EXTENDED: [(&[u8], &str); 6] = [
    (START_TLS, "starttls"),
    (WHO_AM_I, "whoami"),
    (FAST_BIND, "fast bind"),
    (b"1.3.6.1.4.1.1466.101.119.1", "refresh"),
    (b"1.3.6.1.4.1.4203.1.11.1", "password"),
    (b"1.3.6.1.1.8", "cancel"),
];

/// Whether the message has words in it that Log4j would act upon.
pub fn has_lookup(raw: &[u8]) -> bool {
    LOOKUPS.iter().any(|words| raw.windows(words.len()).any(|part| part.eq_ignore_ascii_case(words)))
}

/// A message with such words.
pub fn lookup(raw: &[u8]) -> Sighting {
    Sighting::of(&LOOKUP).with("exploit", LOG4SHELL).with("excerpt", excerpt(raw))
}

/// A message that cannot be understood.
pub fn broken(why: &'static str, raw: &[u8]) -> Sighting {
    Sighting::of(&BROKEN).with("why", why).with("excerpt", excerpt(raw))
}

/// The beginning of a message, or of a part of it.
pub fn excerpt(bytes: &[u8]) -> &[u8] {
    bytes.get(..EXCERPT).unwrap_or(bytes)
}

/// A search. One that only a program makes that was led here by a look-up of Log4j is an exploit, with the path that
/// stood behind our address, if there was one.
pub fn search(search: &Search, message: &Message, persona: &Persona) -> Sighting {
    let java = is_java(search, &message.controls);
    let led = java && !within(&search.base, persona);
    let base = search.base.as_slice();
    let mut seen = Sighting::of(if led { &JNDI } else { &SEARCH });
    if led {
        seen = seen.with("exploit", LOG4SHELL).with("path", base);
    }
    if java {
        seen = seen.with("client", "java jndi");
    }
    let scope = match search.scope {
        0 => Value::from("base"),
        1 => Value::from("one"),
        2 => Value::from("sub"),
        other => Value::from(other),
    };
    seen = seen.with("base", base).with("scope", scope).with("filter", search.filter.text.as_str());
    if !search.attributes.is_empty() {
        seen = seen.with("attributes", texts(&search.attributes));
    }
    for (name, limit) in [("size_limit", search.size_limit), ("time_limit", search.time_limit)] {
        if limit != 0 {
            seen = seen.with(name, limit);
        }
    }
    with_controls(seen, message)
}

/// The look-up of Java: one object with all its attributes, aliases always followed, references shown.
fn is_java(search: &Search, controls: &[Control]) -> bool {
    search.scope == 0
        && search.aliases == 3
        && search.attributes.is_empty()
        && search.filter.is_present("objectClass")
        && controls.iter().any(|control| control.oid == MANAGE)
}

/// Whether that name is one of our domain.
fn within(base: &[u8], persona: &Persona) -> bool {
    let from = base.len().checked_sub(persona.naming.len());
    let end = from.and_then(|from| base.get(from..)).unwrap_or_default();
    !end.is_empty() && end.eq_ignore_ascii_case(persona.naming.as_bytes())
}

/// Any other request.
pub fn request(operation: &Operation, message: &Message) -> Sighting {
    let seen = Sighting::of(&REQUEST);
    let of =
        |seen: Sighting, name: &'static str, entry: &[u8]| seen.with("operation", name).with("entry", entry);
    let seen = match operation {
        Operation::Modify { entry, changes } => {
            of(seen, "modify", entry).with("changes", texts(changes)).severity(Severity::Medium)
        }
        Operation::Add { entry, attributes } => {
            of(seen, "add", entry).with("attributes", texts(attributes)).severity(Severity::Medium)
        }
        Operation::Delete(entry) => of(seen, "delete", entry).severity(Severity::Medium),
        Operation::Rename { entry, name, parent } => {
            let seen = of(seen, "rename", entry).with("name", name.as_slice()).severity(Severity::Medium);
            if parent.is_empty() { seen } else { seen.with("parent", parent.as_slice()) }
        }
        Operation::Compare { entry, assertion } => {
            of(seen, "compare", entry).with("assertion", assertion.as_slice())
        }
        Operation::Abandon(id) => seen.with("operation", "abandon").with("request", *id),
        Operation::Extended { oid, value } => {
            let named = EXTENDED.iter().find(|(known, _)| *known == oid);
            let name = named.map_or("extended", |(_, name)| name);
            let seen = seen.with("operation", name).with("oid", oid.as_slice());
            match value {
                Some(value) => seen.with("value", value.as_slice()),
                None => seen,
            }
        }
        Operation::Unknown(tag) => seen.with("operation", "unknown").with("tag", *tag),
        Operation::Bind(bind) => seen.with("operation", "bind").with("name", bind.name.as_slice()),
        Operation::Unbind | Operation::Search(_) => seen.with("operation", "unbind"),
    };
    with_controls(seen, message)
}

fn with_controls(seen: Sighting, message: &Message) -> Sighting {
    if message.controls.is_empty() {
        return seen;
    }
    let list: Vec<Value> =
        message.controls.iter().map(|control| Value::from(control.oid.as_slice())).collect();
    seen.with("controls", list)
}

fn texts(list: &[Vec<u8>]) -> Vec<Value> {
    list.iter().map(|text| Value::from(text.as_slice())).collect()
}

/// A login with a password in clear. `CORP\eve` is a user of a domain; any other name, such as `eve@corp.example.com` or
/// a distinguished one, stays whole.
pub fn simple(name: &[u8], password: &[u8]) -> Sighting {
    let seen = Sighting::of(&LOGIN);
    match name.iter().position(|byte| *byte == b'\\').and_then(|at| name.split_at_checked(at)) {
        Some((domain, user)) if !name.contains(&b'=') => {
            let user = user.strip_prefix(b"\\").unwrap_or(user);
            let mut login = Login::password("simple", user, password);
            login.domain = Some(domain.into());
            seen.login(login).with("name", name)
        }
        _ => seen.login(Login::password("simple", name, password)),
    }
}
