//! Alerts by HTTP, one request for each event, with everything that the peer's WebhookHandler can be told.
//!
//! Redirects are followed here rather than by the HTTP client, since an alert must not get lost on the way:
//! 301, 307 and 308 (and 302 where only the scheme changes) send the same request again, 302 and 303 are
//! followed with GET as browsers and Python's requests do, and none leads from https to http.

mod answer;
mod body;
mod keys;
mod relay;

use std::{fmt, io::Read, ops::RangeInclusive, sync::Arc, time::Duration, time::Instant};

use haldane_core::{Event, Notify, Record, Section, Severity, Wants};
use ureq::{
    Agent, AsSendBody, Proxy, ProxyProtocol,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, header, uri::Scheme},
    tls::TlsConfig,
};

use self::{
    answer::{Answer, judge},
    body::{Body, Template},
};
use crate::{Delivery, Failure, Sender, Sink, concealed::Concealed, encode::Layout, trust::Trust};

/// Most redirects that are followed.
const HOPS: usize = 5;
/// How much of an answer is read: enough to use the connection again after a usual one.
const ANSWER: u64 = 16 * 1024;

/// The sink.
pub struct Webhook {
    target: Arc<Target>,
    layout: Layout,
    data: Option<Template>,
    json: bool,
    success: Vec<RangeInclusive<u16>>,
    ignore: Vec<String>,
    trust: Trust,
    tls: Option<TlsConfig>,
    client: Option<Agent>,
}

impl fmt::Debug for Webhook {
    /// Without paths, parameters, headers and data, any of which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("url", &shown(&self.target.url)).finish_non_exhaustive()
    }
}

/// Where every request goes.
struct Target {
    url: Uri,
    method: Method,
    headers: HeaderMap,
    proxies: Vec<(String, Concealed)>,
    patience: Duration,
}

impl Sink for Webhook {
    const NAME: &'static str = "webhook";
    const WANTS: Wants = Wants { severity: Severity::Medium, operational: false, notify: Notify::Event };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let patience = Delivery::patience::<Self>(section);
        let mut headers = HeaderMap::new();
        let url = keys::url(section, &mut headers);
        let method = section.text("method", "POST", "The method of the request.");
        let method = Method::from_bytes(method.trim().to_uppercase().as_bytes()).unwrap_or_else(|_| {
            section.invalid("method", "expected a method of HTTP, as in \"POST\"");
            Method::POST
        });
        keys::set_headers(section, &mut headers);
        let json = headers.values().any(keys::is_json);
        let target = Target { url, method, headers, proxies: keys::proxies(section), patience };
        Self {
            target: Arc::new(target),
            layout: Layout::configure(section, "native", &sender.node),
            data: keys::data(section),
            json,
            success: keys::success(section),
            ignore: section.list(
                "ignore",
                &[],
                "An event whose message holds one of these texts is not sent.",
            ),
            trust: keys::trust(section),
            tls: None,
            client: None,
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
        self.client = None;
    }

    fn reopen(&mut self) {
        self.client = None;
        self.tls = None;
        self.trust.renew();
    }
}

impl Webhook {
    async fn send(&mut self, event: &Event) -> Result<(), Failure> {
        let message = self.layout.line(event);
        if self.ignore.iter().any(|text| message.contains(text)) {
            return Ok(());
        }
        let body = match &self.data {
            Some(template) => template.fill(&message).body(self.json),
            None if message.starts_with('{') => Body::Json(message),
            None => Body::Text(message),
        };
        let client = self.client().map_err(Failure::later)?;
        let target = Arc::clone(&self.target);
        let id = self.data.is_none().then(|| event.id.to_string());
        let asking = tokio::task::spawn_blocking(move || deliver(&client, &target, body, id));
        let answer =
            asking.await.map_err(|error| Failure::later(format!("the request ended ({error})")))??;
        judge(&answer, &self.success)
    }

    fn client(&mut self) -> Result<Agent, String> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => self.tls.insert(self.trust.ureq()?).clone(),
        };
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .user_agent(concat!("haldane/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .max_idle_connections(1)
            .timeout_global(Some(self.target.patience))
            .build();
        Ok(self.client.insert(config.new_agent()).clone())
    }
}

/// One request, with the redirects that it leads to. Blocks; ends within twice the patience.
fn deliver(client: &Agent, target: &Target, body: Body, id: Option<String>) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let mut url = target.url.clone();
    let mut method = target.method.clone();
    let mut headers = target.headers.clone();
    let mut body = Some(body);
    if let Some(kind) = body.as_ref().and_then(Body::content_type) {
        headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
    }
    if let Some(id) = id.and_then(|id| HeaderValue::try_from(id).ok()) {
        headers.entry(HeaderName::from_static("x-haldane-event")).or_insert(id);
    }
    for _ in 0..HOPS {
        let answer = ask(client, target, &url, &method, &headers, body.as_ref())?;
        let Some(next) = redirect(&answer, &url) else { return Ok(answer) };
        if begun.elapsed() > target.patience {
            return Err(Failure::later(format!("no answer from {} in time", answer.who)));
        }
        if !keeps_method(answer.status.as_u16(), &url, &next) && method != Method::HEAD {
            method = Method::GET;
            body = None;
            headers.remove(header::CONTENT_TYPE);
        }
        if next.authority() != url.authority() {
            headers.remove(header::AUTHORIZATION);
            headers.remove(header::COOKIE);
        }
        url = next;
    }
    Err(Failure::later(format!("{} sends us from one address to the next: check `url`", shown(&target.url))))
}

fn ask(
    client: &Agent,
    target: &Target,
    url: &Uri,
    method: &Method,
    headers: &HeaderMap,
    body: Option<&Body>,
) -> Result<Answer, Failure> {
    let who = shown(url);
    let failed = |error: ureq::Error| answer::failure(&error, &who, target.patience);
    let mut request = Request::builder().method(method).uri(url);
    let mut client = client.clone();
    let mut tunnel = None;
    if let Some(proxy) = proxy(&target.proxies, url) {
        let proxy = Proxy::new(proxy.reveal()).map_err(failed)?;
        if url.scheme() == Some(&Scheme::HTTP) && proxy.protocol() == ProxyProtocol::Http {
            client = relay::client(client.config(), &proxy).map_err(failed)?;
            if let Some(proof) = proxy.username().and_then(|name| keys::basic(name, proxy.password()?)) {
                request = request.header(header::PROXY_AUTHORIZATION, proof);
            }
        } else {
            tunnel = Some(proxy);
        }
    }
    if let Some(all) = request.headers_mut() {
        all.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let result = match body {
        Some(body) => run(&client, request.body(body.bytes()).map_err(|error| failed(error.into()))?, tunnel),
        None => run(&client, request.body(()).map_err(|error| failed(error.into()))?, tunnel),
    };
    let (parts, mut body) = result.map_err(failed)?.into_parts();
    let mut start = Vec::new();
    // A body that breaks off changes nothing: the status is there.
    let _ = body.as_reader().take(ANSWER).read_to_end(&mut start);
    Ok(Answer { status: parts.status, headers: parts.headers, start, who })
}

fn run(
    client: &Agent,
    request: Request<impl AsSendBody>,
    tunnel: Option<Proxy>,
) -> Result<Response<ureq::Body>, ureq::Error> {
    match tunnel {
        None => client.run(request),
        Some(proxy) => client.run(client.configure_request(request).proxy(Some(proxy)).build()),
    }
}

/// Where an answer sends us; `None` if it is the end, or leads out of the encrypted.
fn redirect(answer: &Answer, from: &Uri) -> Option<Uri> {
    if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers.get(header::LOCATION)?;
    let location = body::wire_url(std::str::from_utf8(location.as_bytes()).ok()?);
    let location = location.split('#').next()?;
    let scheme = from.scheme_str()?;
    let authority = from.authority()?;
    let path = from.path();
    let next = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.starts_with('?') {
        format!("{scheme}://{authority}{path}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = path.rsplit_once('/').map(|(folder, _)| folder).unwrap_or_default();
        format!("{scheme}://{authority}{folder}/{location}")
    };
    let next: Uri = next.parse().ok()?;
    let downgrade = from.scheme() == Some(&Scheme::HTTPS) && next.scheme() != Some(&Scheme::HTTPS);
    let known = next.scheme() == Some(&Scheme::HTTP) || next.scheme() == Some(&Scheme::HTTPS);
    (known && !downgrade && next.authority().is_some()).then_some(next)
}

/// Whether the same request is sent to the new address. A 301 only says where the receiver is; so does a 302
/// that sends from http to https.
fn keeps_method(status: u16, from: &Uri, next: &Uri) -> bool {
    let upgrade = from.scheme() != next.scheme() && from.host() == next.host() && from.path() == next.path();
    matches!(status, 301 | 307 | 308) || (status == 302 && upgrade)
}

/// Scheme, host and port: all of an address that may be shown.
fn shown(url: &Uri) -> String {
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}", url.scheme_str().unwrap_or("http"))
}

/// The proxy for an address, as requests chooses it: `https://host` before `https` before `all`.
fn proxy<'p>(proxies: &'p [(String, Concealed)], url: &Uri) -> Option<&'p Concealed> {
    let scheme = url.scheme_str().unwrap_or("http");
    let host = url.host().unwrap_or_default();
    [format!("{scheme}://{host}"), scheme.to_owned(), format!("all://{host}"), "all".to_owned()]
        .iter()
        .find_map(|key| proxies.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)))
        .map(|(_, proxy)| proxy)
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
