//! Alerts by HTTP, one request for each event, with everything that the peer's WebhookHandler can be told; and
//! the payloads of those handlers of the peer's that send something else (see `peer`).

mod body;
mod keys;
mod peer;

use std::{fmt, ops::RangeInclusive, time::SystemTime};

use haldane_core::{Event, Notify, Record, Section, Severity, Wants};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use self::{
    body::{Body, Template},
    peer::Payload,
};
use crate::{
    Delivery, Failure, Sender, Sink,
    encode::Layout,
    http::{Call, Client, answer::judge, keys::proxies, shown, sign::Sign},
};

/// How much of an answer is read: enough to use the connection again after a usual one.
const ANSWER: u64 = 16 * 1024;

/// The sink.
pub struct Webhook {
    url: Uri,
    method: Method,
    headers: HeaderMap,
    client: Client,
    layout: Layout,
    data: Option<Template>,
    payload: Payload,
    json: bool,
    sign: Option<Sign>,
    success: Vec<RangeInclusive<u16>>,
    ignore: Vec<String>,
    node: String,
}

impl fmt::Debug for Webhook {
    /// Without paths, parameters, headers and data, any of which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &shown(&self.url)).finish_non_exhaustive()
    }
}

impl Sink for Webhook {
    const NAME: &'static str = "webhook";
    const WANTS: Wants = Wants { severity: Severity::Medium, operational: false, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let patience = Delivery::patience::<Self>(section);
        let mut headers = HeaderMap::new();
        let url = keys::url(section, &mut headers);
        let payload = Payload::configure(section);
        let method = section.text("method", "POST", "The method of the request.");
        let method = Method::from_bytes(method.trim().to_uppercase().as_bytes()).unwrap_or_else(|_| {
            section.invalid("method", "expected a method of HTTP, as in \"POST\"");
            Method::POST
        });
        keys::set_headers(section, &mut headers, payload);
        let json = headers.values().any(keys::is_json);
        let proxies = proxies(section);
        Self {
            url,
            method,
            headers,
            layout: Layout::configure(section, "native", &sender.node),
            data: keys::data(section),
            payload,
            json,
            sign: Sign::configure(section),
            success: keys::success(section),
            ignore: section.list(
                "ignore",
                &[],
                "An event whose message holds one of these texts is not sent.",
            ),
            client: Client::new(keys::trust(section), proxies, patience, ANSWER),
            node: sender.node.clone(),
        }
    }

    async fn deliver(&mut self, batch: &[Record]) -> Result<(), Failure> {
        for record in batch {
            self.send(&record.event).await?;
        }
        Ok(())
    }

    /// Closes the connections that are kept.
    async fn idle(&mut self) {
        self.client.rest();
    }

    fn reopen(&mut self) {
        self.client.renew();
    }
}

impl Webhook {
    async fn send(&mut self, event: &Event) -> Result<(), Failure> {
        let message = self.layout.line(event);
        if self.ignore.iter().any(|text| message.contains(text)) {
            return Ok(());
        }
        let call = self.call(event, message).map_err(Failure::later)?;
        let answer = self.client.send(call).await?;
        judge(&answer, &self.success)
    }

    fn call(&self, event: &Event, message: String) -> Result<Call, String> {
        let own = matches!(self.payload, Payload::Data) && self.data.is_none();
        let body = match (&self.payload, &self.data) {
            (Payload::Data, Some(template)) => template.fill(&message).body(self.json),
            (Payload::Data, None) if message.starts_with('{') => Body::Json(message),
            (Payload::Data, None) => Body::Text(message),
            (payload, _) => payload.body(event, &self.node),
        };
        let mut headers = self.headers.clone();
        let (mut url, mut body) = (self.url.clone(), body);
        if let (Payload::LogRecord, &Method::GET, Body::Form(form)) = (self.payload, &self.method, &body) {
            url = peer::asked(&url, form)?;
            body = Body::Text(String::new());
        }
        if let Some(kind) = body.content_type() {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
        }
        if own && let Ok(id) = HeaderValue::try_from(event.id.to_string()) {
            headers.entry(HeaderName::from_static("x-haldane-event")).or_insert(id);
        }
        let body = body.into_bytes();
        if let Some(sign) = &self.sign {
            sign.add(&mut headers, &event.id.to_string(), now(), &body)?;
        }
        let nothing = body.is_empty() && self.method == Method::GET;
        Ok(Call { url, method: self.method.clone(), headers, body: (!nothing).then_some(body) })
    }
}

/// The wall clock, which no session may read: sinks are no sessions.
#[expect(clippy::disallowed_methods, reason = "when a message was signed is no part of a replayed session")]
fn now() -> SystemTime {
    SystemTime::now()
}

#[cfg(test)]
mod tests {
    use haldane_core::{
        Table,
        section::{Item, Node, Place, Raw},
    };

    use super::*;

    #[test]
    fn no_secret_is_printed() {
        let item = |key: &str, value: &str| {
            let place = Place { file: "test".into(), line: 1 };
            Item {
                key: key.into(),
                written: key.into(),
                node: Node { place, value: Raw::Text(value.into()) },
            }
        };
        let url = item("url", "https://user:s3cr3t@hooks.example.org/s3cr3t?key=s3cr3t");
        let entries = vec![url, item("params", "s3cr3t"), item("data", "s3cr3t")];
        let table = Table { name: "sink.webhook".into(), entries };
        let mut problems = Vec::new();
        let sender = Sender { node: "n".into() };
        let sink = Webhook::configure(&mut Section::new(&table, &mut problems), &sender);
        assert_eq!(problems, []);
        let printed = format!("{sink:?}");
        assert!(printed.contains("https://hooks.example.org") && !printed.contains("s3cr3t"), "{printed}");
    }
}
