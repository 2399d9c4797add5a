//! HTTP as a client, for every sink that speaks it: TLS, proxies, redirects, and what an answer means.
//!
//! Redirects are followed here rather than by the HTTP client, since an alert must not get lost on the way:
//! 301, 307 and 308 (and 302 where only the scheme changes) send the same request again, 302 and 303 are
//! followed with GET as browsers and Python's requests do, and none leads from https to http.

pub(crate) mod answer;
pub(crate) mod keys;
mod relay;
mod secure;
pub(crate) mod sign;
pub(crate) mod url;

use std::{io::Read, sync::Arc, time::Duration, time::Instant};

use rustls::ClientConfig;
use ureq::{
    Agent, AsSendBody, Proxy, ProxyProtocol,
    http::{HeaderMap, Method, Request, Response, Uri, header, uri::Scheme},
    unversioned::transport::{ConnectProxyConnector, Connector, SocksConnector, TcpConnector},
};

pub(crate) use self::answer::Answer;
use self::secure::{Connected, Secure, Told};
use crate::{Failure, concealed::Concealed, step::step, trust::Trust};

/// Most redirects that are followed.
const HOPS: usize = 5;

/// What is asked of a receiver.
#[derive(Clone)]
pub(crate) struct Call {
    /// Where.
    pub(crate) url: Uri,
    /// How.
    pub(crate) method: Method,
    /// With what before the body; its type included.
    pub(crate) headers: HeaderMap,
    /// The body, if there is one.
    pub(crate) body: Option<Vec<u8>>,
}

/// Whom a client believes, and the ways that it goes.
pub(crate) struct Client {
    route: Arc<Route>,
    trust: Trust,
    tls: Option<Arc<ClientConfig>>,
    agent: Option<Agent>,
}

/// What a request in a thread of its own needs to know.
struct Route {
    proxies: Vec<(String, Concealed)>,
    patience: Duration,
    /// How much of an answer is read, in bytes.
    most: u64,
    /// The key of the section that names authorities.
    authorities: &'static str,
    /// Answers hold secrets.
    discreet: bool,
}

impl Client {
    /// A client that waits so long for each answer, and reads so much of it.
    pub(crate) fn new(
        trust: Trust,
        proxies: Vec<(String, Concealed)>,
        patience: Duration,
        most: u64,
    ) -> Self {
        let route = Route { proxies, patience, most, authorities: "verify", discreet: false };
        Self { route: Arc::new(route), trust, tls: None, agent: None }
    }

    /// Where trusted authorities are not under `verify`: the key that they are under.
    pub(crate) fn authorities_in(mut self, key: &'static str) -> Self {
        if let Some(route) = Arc::get_mut(&mut self.route) {
            route.authorities = key;
        }
        self
    }

    /// For answers that hold secrets: nothing of them is told but the status.
    pub(crate) fn discreet(mut self) -> Self {
        if let Some(route) = Arc::get_mut(&mut self.route) {
            route.discreet = true;
        }
        self
    }

    /// Asks, away from the runtime's threads.
    pub(crate) async fn send(&mut self, call: Call) -> Result<Answer, Failure> {
        let agent = self.agent().map_err(Failure::later)?;
        let route = Arc::clone(&self.route);
        let asking = tokio::task::spawn_blocking(move || deliver(&agent, &route, call));
        asking.await.map_err(|error| Failure::later(format!("the request ended ({error})")))?
    }

    /// Closes the connections that are kept.
    pub(crate) fn rest(&mut self) {
        self.agent = None;
    }

    /// Reads certificates anew.
    pub(crate) fn renew(&mut self) {
        self.agent = None;
        self.tls = None;
        self.trust.renew();
    }

    fn agent(&mut self) -> Result<Agent, String> {
        if let Some(agent) = &self.agent {
            return Ok(agent.clone());
        }
        let tls = match &self.tls {
            Some(tls) => tls.clone(),
            None => self.tls.insert(self.trust.config()?).clone(),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .user_agent(concat!("haldane/", env!("CARGO_PKG_VERSION")))
            .proxy(None)
            .max_idle_connections(1)
            .timeout_global(Some(self.route.patience))
            .build();
        let way = ().chain(SocksConnector::default()).chain(ConnectProxyConnector::default());
        let way = way.chain(TcpConnector::default()).chain(Connected);
        let way = way.chain(Secure { tls, verifies: self.trust.verifies() });
        Ok(self.agent.insert(Agent::with_parts(config, way, Told::default())).clone())
    }
}

/// One request, with the redirects that it leads to. Blocks; ends within twice the patience.
fn deliver(client: &Agent, route: &Route, call: Call) -> Result<Answer, Failure> {
    let begun = Instant::now();
    let Call { mut url, mut method, mut headers, mut body } = call;
    let first = url.clone();
    for _ in 0..HOPS {
        let answer = ask(client, route, &url, &method, &headers, body.as_deref())?;
        let Some(next) = redirect(&answer, &url) else { return Ok(answer) };
        if begun.elapsed() > route.patience {
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
    Err(Failure::later(format!("{} sends us from one address to the next: check `url`", shown(&first))))
}

fn ask(
    client: &Agent,
    route: &Route,
    url: &Uri,
    method: &Method,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Answer, Failure> {
    let who = shown(url);
    let failed = |error: ureq::Error| answer::failure(&error, &who, route.patience, route.authorities);
    let mut request = Request::builder().method(method).uri(url);
    let mut client = client.clone();
    let mut tunnel = None;
    if let Some(proxy) = proxy(&route.proxies, url) {
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
        Some(body) => run(&client, request.body(body).map_err(|error| failed(error.into()))?, tunnel),
        None => run(&client, request.body(()).map_err(|error| failed(error.into()))?, tunnel),
    };
    let (parts, mut body) = result.map_err(failed)?.into_parts();
    let mut start = Vec::new();
    // A body that breaks off changes nothing: the status is there.
    let _ = body.as_reader().take(route.most).read_to_end(&mut start);
    let answer = Answer { status: parts.status, headers: parts.headers, start, who };
    match route.discreet {
        false => step(answer.said(None)),
        true => step(format_args!("{} answered {}", answer.who, answer.status)),
    }
    Ok(answer)
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
    let location = url::wire(std::str::from_utf8(location.as_bytes()).ok()?);
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
pub(crate) fn shown(url: &Uri) -> String {
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
