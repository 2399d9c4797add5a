//! What is sent: JSON, a form or text. Forms and query strings are written as Python's requests writes them,
//! since that is what receivers of the peer's messages expect.

use haldane_core::section::{Node, Raw};
use serde_json::{Map, Number, Value};

use crate::http::url::encoded;

/// How deep `data` may be nested.
const DEPTH: usize = 16;
/// What stands for the message in texts.
const MESSAGE: &str = "%(message)s";

/// The content of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// `application/json`.
    Json(String),
    /// `application/x-www-form-urlencoded`.
    Form(String),
    /// Of no stated type.
    Text(String),
}

impl Body {
    /// The type to state, unless the operator states one.
    pub(super) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Json(_) => Some("application/json"),
            Self::Form(_) => Some("application/x-www-form-urlencoded"),
            Self::Text(_) => None,
        }
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Json(text) | Self::Form(text) | Self::Text(text) => text.into_bytes(),
        }
    }
}

/// `data`: a tree with places for the message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Template {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Template>),
    Table(Vec<(String, Template)>),
}

impl Template {
    /// Takes it from the configuration.
    ///
    /// # Errors
    /// In words for the operator: what was expected.
    pub(super) fn read(node: &Node) -> Result<Self, String> {
        Self::read_within(node, DEPTH)
    }

    fn read_within(node: &Node, depth: usize) -> Result<Self, String> {
        let deeper = || depth.checked_sub(1).ok_or_else(|| format!("expected at most {DEPTH} levels"));
        Ok(match &node.value {
            Raw::Null => Self::Null,
            Raw::Bool(value) => Self::Bool(*value),
            Raw::Int(value) => Self::Int(*value),
            Raw::Float(value) => Self::Float(*value),
            Raw::Text(text) => {
                let other = text.replace("%%", "").replace(MESSAGE, "");
                if other.contains("%(") {
                    return Err(format!(
                        "expected no place in a text but {MESSAGE} (and %% for a percent sign)"
                    ));
                }
                Self::Text(text.clone())
            }
            Raw::List(nodes) => {
                let depth = deeper()?;
                let parts = nodes.iter().map(|node| Self::read_within(node, depth));
                Self::List(parts.collect::<Result<_, _>>()?)
            }
            Raw::Table(table) => {
                let depth = deeper()?;
                let parts = table
                    .entries
                    .iter()
                    .map(|item| Ok::<_, String>((item.key.clone(), Self::read_within(&item.node, depth)?)));
                Self::Table(parts.collect::<Result<_, _>>()?)
            }
        })
    }

    /// Puts the message in its places. Keys stay as they are.
    pub(super) fn fill(&self, message: &str) -> Self {
        match self {
            Self::Text(text) => {
                let parts = text.split(MESSAGE).map(|part| part.replace("%%", "%"));
                Self::Text(parts.collect::<Vec<_>>().join(message))
            }
            Self::List(parts) => Self::List(parts.iter().map(|part| part.fill(message)).collect()),
            Self::Table(parts) => {
                Self::Table(parts.iter().map(|(key, part)| (key.clone(), part.fill(message))).collect())
            }
            other => other.clone(),
        }
    }

    /// As a body. A text is sent as it is.
    pub(super) fn body(&self, json: bool) -> Body {
        match (self, json) {
            (Self::Text(text), _) => Body::Text(text.clone()),
            (_, true) => Body::Json(self.json().to_string()),
            (_, false) => Body::Form(encoded(&self.pairs())),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Number((*value).into()),
            Self::Float(value) => Number::from_f64(*value).map_or(Value::Null, Value::Number),
            Self::Text(text) => Value::String(text.clone()),
            Self::List(parts) => Value::Array(parts.iter().map(Self::json).collect()),
            Self::Table(parts) => Value::Object(
                parts.iter().map(|(key, part)| (key.clone(), part.json())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The fields of a form. A list repeats its key, a table within gives its keys for values (so iterates
    /// Python), and null is left out.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        match self {
            Self::Table(parts) => {
                for (key, part) in parts {
                    part.under(key, &mut pairs);
                }
            }
            Self::List(parts) => {
                for part in parts {
                    if let Self::List(pair) = part
                        && let [key, value] = pair.as_slice()
                        && let Some(key) = key.python()
                    {
                        value.under(&key, &mut pairs);
                    }
                }
            }
            _ => {}
        }
        pairs
    }

    fn under(&self, key: &str, pairs: &mut Vec<(String, String)>) {
        let mut push = |value: String| pairs.push((key.to_owned(), value));
        match self {
            Self::List(parts) => {
                for part in parts {
                    match part {
                        Self::Null => {}
                        Self::List(parts) => parts.iter().filter_map(Self::python).for_each(&mut push),
                        Self::Table(parts) => parts.iter().for_each(|(key, _)| push(key.clone())),
                        other => other.python().into_iter().for_each(&mut push),
                    }
                }
            }
            Self::Table(parts) => parts.iter().for_each(|(key, _)| push(key.clone())),
            Self::Null => {}
            other => other.python().into_iter().for_each(push),
        }
    }

    /// As Python's `str` writes it.
    fn python(&self) -> Option<String> {
        match self {
            Self::Null => Some("None".into()),
            Self::Bool(true) => Some("True".into()),
            Self::Bool(false) => Some("False".into()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) => Some(format!("{value:?}")),
            Self::Text(text) => Some(text.clone()),
            Self::List(_) | Self::Table(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use haldane_core::section::{Item, Place, Table};

    use super::*;

    fn node(value: Raw) -> Node {
        Node { place: Place { file: Arc::from("test"), line: 1 }, value }
    }

    fn text(text: &str) -> Node {
        node(Raw::Text(text.into()))
    }

    fn table(entries: Vec<(&str, Node)>) -> Node {
        let item = |(key, node): (&str, Node)| Item { key: key.into(), written: key.into(), node };
        node(Raw::Table(Table { name: "data".into(), entries: entries.into_iter().map(item).collect() }))
    }

    #[test]
    fn a_form_is_written_as_python_requests_writes_it() {
        let data = table(vec![
            ("a", text("x y&é")),
            ("b", node(Raw::List(vec![node(Raw::Int(1)), text("2"), node(Raw::Null)]))),
            ("c", table(vec![("k", node(Raw::Int(1))), ("l", node(Raw::Int(2)))])),
            ("d", node(Raw::Bool(true))),
            ("e", node(Raw::Null)),
            ("f", node(Raw::Float(1.0))),
            (
                "g",
                node(Raw::List(vec![node(Raw::List(vec![node(Raw::Int(1))])), table(vec![("z", text(""))])])),
            ),
            ("s", text("~*-_./")),
        ]);
        let body = Template::read(&data).unwrap().fill("").body(false);
        // Python 3.11, requests 2.32: requests.models.RequestEncodingMixin._encode_params.
        let expected = "a=x+y%26%C3%A9&b=1&b=2&c=k&c=l&d=True&f=1.0&g=1&g=z&s=~%2A-_.%2F";
        assert_eq!(body, Body::Form(expected.into()));
    }

    #[test]
    fn the_message_is_put_in_its_places_at_any_depth_and_keys_stay() {
        let list = node(Raw::List(vec![text("<%(message)s|%(message)s>"), text("100%%, 5 % off")]));
        let data = table(vec![("%(message)s", table(vec![("text", list)]))]);
        let body = Template::read(&data).unwrap().fill("a \"b\"\r\n%(message)s%%").body(true);
        let Body::Json(json) = body else { panic!("{body:?}") };
        let message = "a \"b\"\r\n%(message)s%%";
        let expected = serde_json::json!({
            "%(message)s": { "text": [format!("<{message}|{message}>"), "100%, 5 % off"] }
        });
        assert_eq!(json.parse::<Value>().unwrap(), expected);
    }

    #[test]
    fn other_places_are_an_operators_mistake() {
        assert!(Template::read(&text("%(messge)s")).is_err());
        assert!(Template::read(&text("%%(messge)s")).is_ok());
    }
}
