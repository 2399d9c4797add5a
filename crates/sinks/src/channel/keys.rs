//! What a preset asks the operator for.

use std::collections::BTreeMap;

use haldane_core::{
    Section,
    section::{Node, Raw},
};
use minijinja::Value;
use ureq::{Proxy, http::Uri};

use super::file::{Key, KeyKind};
use crate::{concealed::Concealed, http::url::wire};

/// Reads the keys; `None` if one of them is missing or wrong.
pub(super) fn read(section: &mut Section<'_>, keys: &[Key]) -> Option<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for key in keys {
        let shown = key.default.as_ref().map(ToString::to_string);
        let node = section.raw(key.name.clone(), shown.as_deref(), key.about.clone());
        let value = match node {
            None | Some(Node { value: Raw::Null, .. }) => {
                key.default.as_ref().map(preset).ok_or_else(|| format!("{}: {}", expected(key), key.about))
            }
            Some(node) => given(key, &node.value).ok_or_else(|| expected(key)),
        };
        match value {
            Ok(value) => {
                found.insert(key.name.clone(), value);
            }
            Err(expected) => section.invalid(&key.name, expected),
        }
    }
    (found.len() == keys.len()).then_some(found)
}

/// What the file of the preset says.
fn preset(default: &toml::Value) -> Value {
    match default {
        toml::Value::Boolean(value) => Value::from(*value),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Array(values) => values.iter().map(preset).collect(),
        toml::Value::String(text) if text.starts_with("http://") || text.starts_with("https://") => {
            Value::from_safe_string(text.trim_end_matches('/').to_owned())
        }
        toml::Value::String(text) => Value::from(text.as_str()),
        other => Value::from(other.to_string()),
    }
}

fn given(key: &Key, raw: &Raw) -> Option<Value> {
    let word = |raw: &Raw| match raw {
        Raw::Text(text) => Some(text.trim().to_owned()),
        Raw::Int(number) => Some(number.to_string()),
        _ => None,
    };
    match key.kind {
        KeyKind::Flag => match raw {
            Raw::Bool(value) => Some(Value::from(*value)),
            _ => None,
        },
        KeyKind::List => match raw {
            Raw::List(nodes) => nodes.iter().map(|node| word(&node.value)).collect::<Option<Value>>(),
            one => word(one).map(|word| Value::from(vec![word])),
        },
        KeyKind::Url => {
            let text = wire(word(raw)?.trim_end_matches('/'));
            let uri = text.parse::<Uri>().ok()?;
            let right = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
            right.then(|| Value::from_safe_string(text))
        }
        KeyKind::Text => {
            let text = word(raw)?;
            let empty = text.is_empty() && key.default.is_none();
            let known = key.choices.is_empty() || key.choices.contains(&text);
            (known && !empty).then(|| Value::from(text))
        }
    }
}

fn expected(key: &Key) -> String {
    match key.kind {
        KeyKind::Flag => "expected true or false".to_owned(),
        KeyKind::List => "expected a list of texts".to_owned(),
        KeyKind::Url => "expected an address that begins with http:// or https://".to_owned(),
        KeyKind::Text if key.choices.is_empty() => "expected text".to_owned(),
        KeyKind::Text => {
            let words: Vec<_> = key.choices.iter().map(|word| format!("\"{word}\"")).collect();
            format!("expected one of {}", words.join(", "))
        }
    }
}

/// `proxy`.
pub(super) fn proxy(section: &mut Section<'_>) -> Vec<(String, Concealed)> {
    let about =
        "A proxy to go through, as in \"http://user:password@proxy:3128\" or \"socks5://proxy:1080\".";
    let Some(address) = section.optional("proxy", about).filter(|address| !address.is_empty()) else {
        return Vec::new();
    };
    if Proxy::new(&address).is_err() {
        section.invalid("proxy", "expected the address of a proxy");
    }
    vec![("all".to_owned(), Concealed::new(address))]
}
