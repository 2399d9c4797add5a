//! Alerts by HTTP, one request for each event, with everything that the peer's WebhookHandler can be told.
//!
//! Redirects are followed here rather than by the HTTP client, since an alert must not get lost on the way:
//! 301, 307 and 308 (and 302 where only the scheme changes) send the same request again, 302 and 303 are
//! followed with GET as browsers and Python's requests do, and none leads from https to http.

mod answer;
mod body;

use std::{io::Read, ops::RangeInclusive, sync::Arc, time::Duration, time::Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldane_core::{
    Event, Record, Section, Severity, Wants,
    section::{Node, Raw},
};
use ureq::{
    Agent, Proxy,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header, uri::Scheme},
    tls::TlsConfig,
};

use self::{
    answer::{Answer, judge},
    body::{Body, Template},
};
use crate::{
    Delivery, Failure, Sender, Sink,
    concealed::Concealed,
    encode::Layout,
    trust::{Identity, Trust, certificates},
};

/// Most redirects that are followed.
const HOPS: usize = 5;
/// How much of an answer is read: enough to use the connection again after a usual one.
const ANSWER: u64 = 16 * 1024;

/// The sink.
#[derive(Debug)]
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

/// Where every request goes.
#[derive(Debug)]
struct Target {
    url: Uri,
    method: Method,
    headers: HeaderMap,
    proxies: Vec<(String, Concealed)>,
    patience: Duration,
}

impl Sink for Webhook {
    const NAME: &'static str = "webhook";
    const WANTS: Wants = Wants { severity: Severity::Medium, operational: false };

    fn configure(section: &mut Section<'_>, sender: &Sender) -> Self {
        let patience = Delivery::patience::<Self>(section);
        let mut headers = HeaderMap::new();
        let url = url(section, &mut headers);
        let method = section.text("method", "POST", "The method of the request.");
        let method = Method::from_bytes(method.trim().to_uppercase().as_bytes()).unwrap_or_else(|_| {
            section.invalid("method", "expected a method of HTTP, as in \"POST\"");
            Method::POST
        });
        set_headers(section, &mut headers);
        let json = headers.values().any(is_json);
        let target = Target { url, method, headers, proxies: proxies(section), patience };
        Self {
            target: Arc::new(target),
            layout: Layout::configure(section, "native", &sender.node),
            data: data(section),
            json,
            success: success(section),
            ignore: section.list(
                "ignore",
                &[],
                "An event whose message holds one of these texts is not sent.",
            ),
            trust: trust(section),
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
    if let Some(all) = request.headers_mut() {
        all.extend(headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let proxy = match proxy(&target.proxies, url) {
        None => None,
        Some(proxy) => Some(Proxy::new(proxy.reveal()).map_err(failed)?),
    };
    let result = match body {
        Some(body) => {
            let request = request.body(body.bytes()).map_err(|error| failed(error.into()))?;
            match proxy {
                None => client.run(request),
                Some(proxy) => client.run(client.configure_request(request).proxy(Some(proxy)).build()),
            }
        }
        None => {
            let request = request.body(()).map_err(|error| failed(error.into()))?;
            match proxy {
                None => client.run(request),
                Some(proxy) => client.run(client.configure_request(request).proxy(Some(proxy)).build()),
            }
        }
    };
    let (parts, mut body) = result.map_err(failed)?.into_parts();
    let mut start = Vec::new();
    // A body that breaks off changes nothing: the status is there.
    let _ = body.as_reader().take(ANSWER).read_to_end(&mut start);
    Ok(Answer { status: parts.status, headers: parts.headers, start, who })
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

/// Whether a header's value says that the body is JSON.
fn is_json(value: &HeaderValue) -> bool {
    let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// `url` with `params`; a user name and password in it become a header.
fn url(section: &mut Section<'_>, headers: &mut HeaderMap) -> Uri {
    const EXPECTED: &str = "expected an address that begins with http:// or https://";
    let text = section.text("url", "", "Where to send events.");
    let params = section.raw("params", None, "Parameters that are added to the address: a table, or text.");
    let params = params.map(Template::read).transpose().unwrap_or_else(|expected| {
        section.invalid("params", expected);
        None
    });
    let (bare, userinfo) = without_userinfo(text.trim());
    if let Some((username, password)) = userinfo {
        set_basic(headers, &username, &password);
    }
    let bare = bare.split('#').next().unwrap_or_default();
    let query = match &params {
        Some(Template::Text(text)) => text.clone(),
        Some(template) => body::encoded(&template.pairs()),
        None => String::new(),
    };
    let joint = match (query.is_empty(), bare.contains('?')) {
        (true, _) => "",
        (false, true) => "&",
        (false, false) => "?",
    };
    let uri = body::wire_url(&format!("{bare}{joint}{query}")).parse::<Uri>().ok();
    let right = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    right.unwrap_or_else(|| {
        section.invalid("url", EXPECTED);
        Uri::from_static("http://localhost/")
    })
}

fn without_userinfo(url: &str) -> (String, Option<(String, String)>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (url.to_owned(), None) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let Some((userinfo, host)) = authority.rsplit_once('@') else { return (url.to_owned(), None) };
    let (username, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    (format!("{scheme}://{host}{path}"), Some((unescaped(username), unescaped(password))))
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *byte == b'%') {
            Some(value) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// RFC 7617. As requests does it: Latin-1 where that is possible.
fn set_basic(headers: &mut HeaderMap, username: &str, password: &str) {
    let both = format!("{username}:{password}");
    let latin: Option<Vec<u8>> = both.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    let proof = BASE64_STANDARD.encode(latin.unwrap_or_else(|| both.clone().into_bytes()));
    if let Ok(mut value) = HeaderValue::try_from(format!("Basic {proof}")) {
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
}

/// `headers`, `cookies` and `auth`.
fn set_headers(section: &mut Section<'_>, headers: &mut HeaderMap) {
    for (name, value) in texts(section, "headers", "Headers of the request: a table.") {
        let pair = (HeaderName::try_from(name.as_str()).ok(), HeaderValue::try_from(value.as_str()).ok());
        let (Some(name), Some(mut value)) = pair else {
            section.invalid("headers", format!("expected a header that HTTP can carry under {name:?}"));
            continue;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let cookies = texts(section, "cookies", "Cookies: a table.");
    let cookies: Vec<_> = cookies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if !cookies.is_empty() {
        match HeaderValue::try_from(cookies.join("; ")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.entry(header::COOKIE).or_insert(value);
            }
            Err(_) => section.invalid("cookies", "expected cookies that HTTP can carry"),
        }
    }
    let auth = section.list("auth", &[], "User name and password of basic authentication: a list of two.");
    match auth.as_slice() {
        [] => {}
        [username, password] => set_basic(headers, username, password),
        _ => section.invalid("auth", "expected a list of user name and password"),
    }
}

/// A table of texts; numbers and words for yes and no as Python writes them, null left out.
fn texts(section: &mut Section<'_>, key: &'static str, about: &'static str) -> Vec<(String, String)> {
    match section.raw(key, None, about) {
        None | Some(Node { value: Raw::Null, .. }) => Vec::new(),
        Some(Node { value: Raw::Table(table), .. }) => {
            let mut texts = Vec::new();
            for item in &table.entries {
                match &item.node.value {
                    Raw::Null => {}
                    Raw::List(_) | Raw::Table(_) => {
                        section.invalid(key, format!("expected text under {:?}", item.key));
                    }
                    Raw::Text(text) => texts.push((item.key.clone(), text.clone())),
                    other => texts.push((item.key.clone(), other.shown())),
                }
            }
            texts
        }
        Some(_) => {
            section.invalid(key, "expected a table of texts");
            Vec::new()
        }
    }
}

fn proxies(section: &mut Section<'_>) -> Vec<(String, Concealed)> {
    let proxies =
        texts(section, "proxies", "Proxies: a table with http, https or all (http://, socks5:// …).");
    for (scheme, proxy) in &proxies {
        if Proxy::new(proxy).is_err() {
            section.invalid("proxies", format!("expected the address of a proxy under {scheme:?}"));
        }
    }
    proxies.into_iter().map(|(scheme, proxy)| (scheme, Concealed::new(proxy))).collect()
}

fn data(section: &mut Section<'_>) -> Option<Template> {
    let node = section.raw(
        "data",
        None,
        "What is sent: a table or text, %(message)s standing for the event. Without it, the event itself as JSON.",
    )?;
    if matches!(node.value, Raw::Null) {
        return None;
    }
    match Template::read(node) {
        Ok(template @ (Template::Table(_) | Template::Text(_) | Template::List(_))) => Some(template),
        Ok(_) => {
            section.invalid("data", "expected a table or text");
            None
        }
        Err(expected) => {
            section.invalid("data", expected);
            None
        }
    }
}

/// `status_code`: a number, `"2xx"`, or a list of both.
fn success(section: &mut Section<'_>) -> Vec<RangeInclusive<u16>> {
    const EXPECTED: &str = "expected a status such as 200 or \"2xx\", or a list of them";
    let words =
        section.raw("status_code", Some("\"2xx\""), "The answers that mean success: 200, \"2xx\" or a list.");
    let one = |node: &Node| match &node.value {
        Raw::Int(number) => u16::try_from(*number).ok().filter(|n| (100..=599).contains(n)).map(|n| n..=n),
        Raw::Text(text) => match text.trim().split_at_checked(1) {
            Some((digit, rest)) if rest.eq_ignore_ascii_case("xx") => {
                let first = digit.parse::<u16>().ok().filter(|d| (1..=5).contains(d))?.saturating_mul(100);
                Some(first..=first.saturating_add(99))
            }
            _ => text.trim().parse::<u16>().ok().filter(|n| (100..=599).contains(n)).map(|n| n..=n),
        },
        _ => None,
    };
    let found: Option<Vec<_>> = match words {
        None => None,
        Some(Node { value: Raw::List(nodes), .. }) => {
            Some(nodes.iter().map(one).collect::<Option<_>>().unwrap_or_default())
        }
        Some(node) => Some(one(node).into_iter().collect()),
    };
    match found {
        Some(ranges) if !ranges.is_empty() => ranges,
        None => vec![200..=299],
        Some(_) => {
            section.invalid("status_code", EXPECTED);
            vec![200..=299]
        }
    }
}

/// `verify` and `cert`, as requests has them.
fn trust(section: &mut Section<'_>) -> Trust {
    let node = section.raw(
        "verify",
        Some("true"),
        "Whether the receiver's certificate must be a trusted one, or the file or folder of the only authorities \
         to trust (PEM).",
    );
    let (verify, authorities) = match node.map(|node| &node.value) {
        None | Some(Raw::Null) => (true, None),
        Some(Raw::Bool(verify)) => (*verify, None),
        Some(Raw::Text(path)) => match certificates(path.as_ref()) {
            Ok(found) => (true, Some(found)),
            Err(expected) => {
                section.invalid("verify", format!("expected {expected}"));
                (true, None)
            }
        },
        Some(_) => {
            section.invalid("verify", "expected true, false or the path of a file");
            (true, None)
        }
    };
    let paths = section.list(
        "cert",
        &[],
        "Our own certificate, if the receiver asks: a file, or certificate and key.",
    );
    let identity = match paths.as_slice() {
        [] => None,
        [both] => Some(Identity::read(both.as_ref(), both.as_ref())),
        [certificate, key] => Some(Identity::read(certificate.as_ref(), key.as_ref())),
        _ => Some(Err("a file, or a list of certificate and key".to_owned())),
    };
    let identity = identity.and_then(|identity| match identity {
        Ok(identity) => Some(identity),
        Err(expected) => {
            section.invalid("cert", format!("expected {expected}"));
            None
        }
    });
    Trust { verify, authorities, identity }
}
