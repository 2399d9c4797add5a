//! Secrets that were tried, as first letter and length.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use haldane_core::{Event, Login, Record, Secret, Untrusted, Value};

/// Facts whose names have one of these in them are secrets.
const SECRET: [&str; 7] = ["password", "secret", "token", "crackable", "response", "authorization", "hash"];
/// Shorter passwords are not looked for in other facts: they would be found everywhere.
const SHORTEST: usize = 4;

/// The same record without what could be used to log in. Nothing is copied if there is nothing to hide.
pub(crate) fn masked(record: &Record) -> Record {
    if record.event.login.is_none() && !record.event.fields.iter().any(|(name, value)| hides(name, value)) {
        return record.clone();
    }
    let mut event: Event = (*record.event).clone();
    let clear = event.login.as_ref().and_then(clear);
    if let Some(login) = &mut event.login {
        login.secret = login.secret.take().map(secret);
    }
    for (name, value) in &mut event.fields {
        hide(name, value, clear.as_ref());
    }
    Record { seq: record.seq, event: Arc::new(event) }
}

/// `h… (7)`; nothing stays of what is too short to hide.
fn shown(text: &Untrusted) -> Untrusted {
    let letters = String::from_utf8_lossy(text.raw()).chars().count();
    let first = String::from_utf8_lossy(text.raw()).chars().next().filter(|_| letters >= SHORTEST);
    match (letters, first) {
        (0, _) => Untrusted::default(),
        (letters, Some(first)) => format!("{first}… ({letters})").into(),
        (letters, None) => format!("… ({letters})").into(),
    }
}

fn secret(secret: Secret) -> Secret {
    match secret {
        Secret::Password(text) => Secret::Password(shown(&text)),
        Secret::Token(text) => Secret::Token(shown(&text)),
        Secret::Response { scheme, .. } => Secret::Response {
            scheme,
            challenge: Untrusted::default(),
            response: Untrusted::default(),
            crackable: None,
        },
        // Half of a pair that is made to be shown.
        key @ Secret::PublicKey { .. } => key,
    }
}

fn clear(login: &Login) -> Option<Untrusted> {
    match &login.secret {
        Some(Secret::Password(text) | Secret::Token(text)) if text.len() >= SHORTEST => Some(text.clone()),
        _ => None,
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// Whether a fact, or one within it, is a secret by its name.
fn hides(name: &str, value: &Value) -> bool {
    let mut rest: Vec<(Cow<'_, str>, &Value)> = vec![(name.into(), value)];
    while let Some((name, value)) = rest.pop() {
        match value {
            Value::Text(text) if is_secret(&name) || has_authorization(text) => return true,
            Value::List(values) => rest.extend(values.iter().map(|value| (name.clone(), value))),
            Value::Map(map) => rest.extend(map.iter().map(|(name, value)| (name.as_str().into(), value))),
            _ => {}
        }
    }
    false
}

/// A header of HTTP that holds credentials.
fn has_authorization(text: &Untrusted) -> bool {
    find(&text.raw().to_ascii_lowercase(), b"authorization:").is_some()
}

fn hide(name: &str, value: &mut Value, clear: Option<&Untrusted>) {
    // A stack of its own: how deep facts nest is not for the call stack.
    let mut rest: Vec<(String, &mut Value)> = vec![(name.to_owned(), value)];
    while let Some((name, value)) = rest.pop() {
        match value {
            Value::Text(text) if is_secret(&name) => *text = shown(text),
            Value::Text(text) => {
                if let Some(clear) = clear {
                    *text = without(text, clear.raw());
                }
                if has_authorization(text) {
                    *text = without_authorization(text);
                }
            }
            Value::List(values) => rest.extend(values.iter_mut().map(|value| (name.clone(), value))),
            Value::Map(map) => rest.extend(entries(map)),
            _ => {}
        }
    }
}

fn entries(map: &mut BTreeMap<String, Value>) -> impl Iterator<Item = (String, &mut Value)> {
    map.iter_mut().map(|(name, value)| (name.clone(), value))
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len().max(1)).position(|window| window == part)
}

/// The text with every occurrence of the secret masked.
fn without(text: &Untrusted, clear: &[u8]) -> Untrusted {
    let mask = shown(&clear.into());
    let (mut out, mut rest) = (Vec::new(), text.raw());
    while let Some(at) = find(rest, clear) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(mask.raw());
        rest = rest.get(at.saturating_add(clear.len())..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out.into()
}

/// The text with what stands behind each `Authorization:` up to the line's end left out.
fn without_authorization(text: &Untrusted) -> Untrusted {
    let mut out = Vec::new();
    for line in text.raw().split_inclusive(|byte| *byte == b'\n') {
        match find(&line.to_ascii_lowercase(), b"authorization:") {
            Some(at) => {
                let name = at.saturating_add(b"authorization:".len());
                out.extend_from_slice(line.get(..name).unwrap_or_default());
                out.extend_from_slice(" …\n".as_bytes());
            }
            None => out.extend_from_slice(line),
        }
    }
    out.into()
}
