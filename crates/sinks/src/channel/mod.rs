//! Services that are told over HTTP, each of which is data: a preset, one TOML file in the folder `presets` (or in
//! the operator's own), and no code. The preset's name is the sink's `type`.
//!
//! A preset says what the operator is asked for, what request is made of an event or of the news of an incident,
//! and what the service's answers mean. All about it is in `file`; what its templates know is in `context`, and why
//! nothing in a value can break them, in `engine`.

mod context;
mod engine;
mod file;
mod folder;
mod keys;
mod markup;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use haldane_core::{Event, Record, Section, Wants};
use minijinja::{Value, value::Serde};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

pub use self::folder::registry;
use self::{
    engine::Engine,
    file::{Content, File, Notify},
};
use crate::{
    Delivery, Failure, Sender,
    delivery::Defaults,
    encode::Layout,
    http::{
        Answer, Call, Client,
        answer::{Fault, fault, wish},
        keys::{basic, own_headers, without_userinfo},
        shown, url,
    },
    sink::{AnySink, Outlet},
    trust::Trust,
};

/// Longest call, unless a section says otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How much of an answer is read: verdicts on every event of a batch.
const ANSWER: u64 = 1024 * 1024;
/// The longest wait that a service can ask for in its own way.
const LONGEST_WAIT: f64 = 3600.0;
/// Between questions whether it has the message by now.
const AGAIN: Duration = Duration::from_millis(500);

/// The sink of one preset.
pub(crate) struct Channel {
    name: String,
    file: File,
    node: String,
    /// `None` if the preset or its keys are wrong: never run then.
    ready: Option<Ready>,
    client: Client,
    patience: Duration,
}

struct Ready {
    engine: Engine,
    /// How events are written where they are sent whole; the key `format`, if the preset has it.
    format: Layout,
    keys: Value,
    method: Method,
    headers: HeaderMap,
}

impl fmt::Debug for Channel {
    /// Without what the operator gave, any of which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("preset", &self.name).finish_non_exhaustive()
    }
}

/// Reads the section `name` of a sink of the preset `preset`.
pub(crate) fn build(
    preset: &str,
    text: &str,
    name: &str,
    section: &mut Section<'_>,
    sender: &Sender,
) -> (Box<dyn AnySink>, Delivery) {
    let (file, mistake) = match File::read(text) {
        Ok(file) => (file, None),
        Err(mistake) => (File::nothing(), Some(mistake)),
    };
    let wants = Wants { severity: file.min_severity, operational: false, notify: file.notify.into() };
    let (batch, closings) = (file.batch, file.closings);
    let defaults = Defaults { wants, timeout: TIMEOUT, batch, closings, mask: true };
    let delivery = Delivery::read(name, section, defaults);
    let patience = Delivery::patience_of(section, TIMEOUT);
    let keys = keys::read(section, &file.key);
    let mut headers = HeaderMap::new();
    own_headers(section, &mut headers);
    let proxies = keys::proxy(section);
    let trust = Trust::configure(section);
    let client = Client::new(trust, proxies, patience, ANSWER).authorities_in("ca");
    let ready = match (mistake, keys) {
        (Some((line, mistake)), _) => {
            section.note(folder::problem(preset, line, mistake));
            None
        }
        (None, None) => None,
        (None, Some(keys)) => match Ready::new(&file, keys, headers, &sender.node) {
            Ok(ready) => Some(ready),
            Err(mistake) => {
                section.note(folder::problem(preset, 0, mistake));
                None
            }
        },
    };
    let node = sender.node.clone();
    let channel = Channel { name: preset.to_owned(), file, node, ready, client, patience };
    (Box::new(channel), delivery)
}

/// What a preset is, in a line for people, and whether its users want to hear of incidents rather than of each event.
pub(crate) fn about(text: &str) -> Option<(String, bool)> {
    File::read(text).ok().map(|file| (file.about, file.notify == Notify::Incident))
}

impl Ready {
    /// Compiles the templates and tries them.
    fn new(
        file: &File,
        keys: BTreeMap<String, Value>,
        headers: HeaderMap,
        node: &str,
    ) -> Result<Self, String> {
        let method = Method::from_bytes(file.method.as_bytes());
        let method = method.map_err(|_| "expected a method of HTTP, as in \"POST\"".to_owned())?;
        let engine = Engine::new(file)?;
        let word = keys.get("format").and_then(Value::as_str).unwrap_or("native");
        let format = Layout::of(word, false, node);
        let ready = Self { engine, format, keys: Value::from(keys), method, headers };
        for event in folder::samples() {
            let context = ready.context(&[&event], node);
            if let Some(unknown) = ready.engine.unknown(&context, &file.key) {
                return Err(unknown);
            }
            ready.call(&context, file.content)?;
        }
        Ok(ready)
    }

    /// What templates know: the names of the first event, `events` for all of them, `key` for the operator's keys.
    fn context(&self, events: &[&Event], node: &str) -> BTreeMap<String, Value> {
        let all: Vec<_> = events.iter().map(|event| context::context(event, node, &self.format)).collect();
        let mut names = BTreeMap::new();
        if let Some(serde_json::Value::Object(first)) = all.first() {
            names.extend(first.iter().map(|(name, value)| (name.clone(), Value::from(Serde(value)))));
        }
        names.insert("events".to_owned(), Value::from(Serde(&all)));
        names.insert("key".to_owned(), self.keys.clone());
        names
    }

    /// The request about them.
    fn call(&self, context: &BTreeMap<String, Value>, content: Content) -> Result<Call, String> {
        let made = self.engine.make(context.clone())?;
        let kind = match content {
            Content::Json => "application/json",
            Content::Lines => "application/x-ndjson",
            Content::Form => "application/x-www-form-urlencoded",
            Content::Text => "text/plain; charset=utf-8",
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        for (name, value) in made.headers {
            let pair = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value));
            let (Ok(name), Ok(mut value)) = pair else {
                return Err(format!("expected a header that HTTP can carry under {name:?}"));
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        let url = address(&made.url, &mut headers)?;
        Ok(Call { url, method: self.method.clone(), headers, body: Some(made.body.into_bytes()) })
    }

    /// The second question.
    fn confirmation(&self, context: &BTreeMap<String, Value>, first: &Call) -> Result<Call, String> {
        let (url, body) = self.engine.confirmation(context)?;
        let mut headers = first.headers.clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let url = address(&url, &mut headers)?;
        Ok(Call { url, method: Method::POST, headers, body: Some(body.into_bytes()) })
    }
}

/// An address that was made; a user name and password in it become a header.
fn address(made: &str, headers: &mut HeaderMap) -> Result<Uri, String> {
    let (bare, userinfo) = without_userinfo(made);
    if let Some((username, password)) = userinfo
        && let Some(proof) = basic(&username, &password)
    {
        headers.entry(header::AUTHORIZATION).or_insert(proof);
    }
    let url = url::wire(&bare).parse::<Uri>().ok();
    let url = url.filter(|url| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some());
    url.ok_or_else(|| "expected `url` to be an address of http or https".to_owned())
}

impl Outlet for Channel {
    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        let step = usize::max(self.file.batch, 1);
        for records in batch.chunks(step) {
            let events: Vec<&Event> = records.iter().map(|record| &*record.event).collect();
            self.send(&events).await?;
        }
        Ok(())
    }

    async fn idle(&mut self) {
        self.client.rest();
    }

    fn reopen(&mut self) {
        self.client.renew();
    }

    fn owns(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl Channel {
    async fn send(&mut self, events: &[&Event]) -> Result<(), Failure> {
        let Some(ready) = &self.ready else {
            return Err(Failure::later(format!("the preset {} cannot be used", self.name)));
        };
        let end = tokio::time::Instant::now().checked_add(self.patience);
        let wrong = |why| Failure::later(format!("the preset {}: {why}", self.name));
        let mut context = ready.context(events, &self.node);
        let call = ready.call(&context, self.file.content).map_err(wrong)?;
        let second = self.file.confirm.clone();
        let (again, first) = (call.clone(), self.client.send(call).await?);
        self.judge(ready, &first)?;
        let Some(confirm) = second else { return Ok(()) };
        context.extend(spoken(&first));
        if !ready.engine.judge(&confirm.when, &context).is_true() {
            return Ok(());
        }
        let asking = ready.confirmation(&context, &again).map_err(wrong)?;
        if let Some(answer) = context.get("answer").cloned() {
            context.insert("first".to_owned(), answer);
        }
        loop {
            let answer = self.client.send(asking.clone()).await?;
            context.extend(spoken(&answer));
            if ready.engine.judge(&confirm.success, &context).is_true() {
                return Ok(());
            }
            self.judge(ready, &answer)?;
            let next = tokio::time::Instant::now().checked_add(AGAIN);
            if next >= end {
                let why = format!("{} has not confirmed that it has the events, in time", shown(&asking.url));
                return Err(Failure::later(why));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// What an answer means.
    fn judge(&self, ready: &Ready, answer: &Answer) -> Result<(), Failure> {
        let context = spoken(answer);
        let holds = |expression: &Option<String>| {
            expression.as_ref().map(|expression| ready.engine.judge(expression, &context).is_true())
        };
        let judgement = &self.file.answer;
        let status = answer.status.as_u16();
        if holds(&judgement.success).unwrap_or((200..=299).contains(&status)) {
            return Ok(());
        }
        let value = |expression: &Option<String>| {
            let value = ready.engine.judge(expression.as_ref()?, &context);
            (!value.is_undefined() && !value.is_none()).then_some(value)
        };
        let words = value(&judgement.says).map(|value| value.to_string()).filter(|words| !words.is_empty());
        let said = answer.said(words.as_deref());
        let passing = match fault(status) {
            _ if holds(&judgement.later) == Some(true) => true,
            _ if holds(&judgement.refused) == Some(true) => false,
            Fault::Passing(_) => true,
            Fault::Message | Fault::Taken => false,
        };
        if !passing {
            return Err(Failure::Refused(said));
        }
        let own = value(&judgement.wait).and_then(|value| f64::try_from(value).ok());
        let own = own.and_then(|seconds| Duration::try_from_secs_f64(seconds.min(LONGEST_WAIT)).ok());
        Err(Failure::Later {
            why: format!("{said}{}", self.advice(status)),
            after: wish(&answer.headers).or(own),
        })
    }

    /// What to do about a status, in words that follow it.
    fn advice(&self, status: u16) -> String {
        if let Some(advice) = self.file.answer.advice.get(&status.to_string()) {
            return format!("; {advice}");
        }
        let keys = self.file.key.iter().filter(|key| key.default.is_none());
        let keys: Vec<_> = keys.map(|key| format!("`{}`", key.name)).collect();
        match (status, keys.is_empty()) {
            (400 | 401 | 403 | 404 | 410, false) => format!("; check {}", keys.join(" and ")),
            (300..=399, _) => "; it sends us elsewhere, where an alert cannot follow".to_owned(),
            (407, _) => "; the proxy wants a login: put it into `proxy`".to_owned(),
            _ => String::new(),
        }
    }
}

/// What expressions know of an answer.
fn spoken(answer: &Answer) -> BTreeMap<String, Value> {
    let json: Option<serde_json::Value> = serde_json::from_slice(&answer.start).ok();
    BTreeMap::from([
        ("status".to_owned(), Value::from(answer.status.as_u16())),
        ("answer".to_owned(), json.map_or(Value::UNDEFINED, |json| Value::from(Serde(&json)))),
        ("text".to_owned(), Value::from(String::from_utf8_lossy(&answer.start).into_owned())),
    ])
}

#[cfg(test)]
mod tests {
    use haldane_core::{Login, Value as Fact};
    use proptest::prelude::*;

    use super::*;
    use crate::ALL;

    /// Every preset, with something under each key that must be given.
    fn presets() -> Vec<(String, File, Ready)> {
        let ready = |entry: &crate::Entry| {
            let file = File::read(entry.text()).unwrap();
            let given = |key: &file::Key| {
                let value = match (&key.default, key.kind) {
                    (Some(toml::Value::Boolean(value)), _) => Value::from(*value),
                    (Some(toml::Value::String(text)), file::KeyKind::Text) => Value::from(text.as_str()),
                    (_, file::KeyKind::Url) => Value::from_safe_string("https://service.example".to_owned()),
                    _ => Value::from("given"),
                };
                (key.name.clone(), value)
            };
            let keys = file.key.iter().map(given).collect();
            let ready = Ready::new(&file, keys, HeaderMap::new(), "n").unwrap();
            (entry.name.to_string(), file, ready)
        };
        ALL.iter().filter(|entry| entry.is_preset()).map(ready).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Whatever a peer sends, and whatever a name on its network is: the request can be sent, its JSON is JSON,
        /// its address and its headers hold nothing of it.
        #[test]
        fn no_text_breaks_a_request(
            text in proptest::collection::vec(prop_oneof![
                any::<char>().prop_map(String::from),
                proptest::sample::select(vec!["\r\n", "\"", "\\", "{{", "}}", "{%", "%}", "<", "&", "@", "`", "://", "\u{1b}[", "\u{202e}"])
                    .prop_map(str::to_owned),
            ], 0..60).prop_map(|parts| parts.concat()),
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            for (name, file, ready) in presets() {
                for mut event in folder::samples() {
                    event.login = Some(Login::password("password", text.as_str(), bytes.as_slice()));
                    for field in ["summary", "source_name", "reason", "own"] {
                        event.fields.insert(field.into(), Fact::from(text.as_str()));
                    }
                    let map = [(text.clone(), Fact::from(bytes.as_slice()))].into();
                    event.fields.insert("map".into(), Fact::Map(map));
                    let context = ready.context(&[&event], "n");
                    let call = ready.call(&context, file.content);
                    prop_assert!(call.is_ok(), "{name}: {:?}", call.err());
                    let Ok(call) = call else { continue };
                    prop_assert_eq!(call.url.host(), Some("service.example"));
                    prop_assert!(call.headers.values().all(|value| value.to_str().is_ok()));
                    let body = String::from_utf8(call.body.unwrap_or_default());
                    prop_assert!(body.is_ok(), "{name}");
                }
            }
        }

        /// In no markup can a value hide anything, mention anybody or be a link; in those of elements, be one.
        #[test]
        fn no_text_is_more_than_text(text in any::<String>()) {
            for (name, markup) in file::Markup::ALL {
                let neutral = markup.neutral(&text);
                prop_assert!(!neutral.contains(char::is_control), "{name}: {neutral:?}");
                prop_assert!(!neutral.contains("://"), "{name}: {neutral:?}");
                let mentions = neutral.split('@').skip(1).any(|after| !after.starts_with('\u{200b}'));
                prop_assert!(name == "text" || !mentions, "{name}: {neutral:?}");
                let elements = neutral.contains(['<', '>']);
                prop_assert!(!["html", "slack"].contains(&name) || !elements, "{name}: {neutral:?}");
            }
        }
    }
}
