//! One decoy: the keys that every service has, read beside its own.

use std::{
    fmt,
    fmt::Write,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use haldane_core::{
    Entry, Host, Limits, Problem, Section, Table, TlsStack, TlsUse,
    peer::Transport,
    section::{Item, Raw, nearest},
    service::Service,
};
use haldane_pipeline::Honeycreds;
use haldane_services::ALL;
use ipnet::IpNet;

use super::settings::addresses;

/// Proxies that are believed unless the operator says otherwise: loopback and private ranges (RFC 1918,
/// RFC 4193).
const NEAR: [&str; 6] = ["127.0.0.0/8", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// One enabled decoy.
pub struct ServiceConfig {
    /// Its row of the registry.
    pub entry: &'static Entry,
    /// What its own keys made.
    pub service: Service,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// Its TLS, where it has any.
    pub tls: Option<TlsSettings>,
    /// Proxies whose PROXY header (version 1 or 2) is believed; `None`: no header is expected.
    pub proxies: Option<Vec<IpNet>>,
    /// Its bounds.
    pub limits: Limits,
    /// Its honey-credentials.
    pub honeycreds: Honeycreds,
    /// Equal for two services that need no restart to become each other.
    pub fingerprint: String,
    /// Its section.
    pub table: Table,
}

/// One address of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl fmt::Debug for ServiceConfig {
    /// Without what may be secret: bait, and keys of the service's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceConfig")
            .field("name", &self.entry.name)
            .field("endpoints", &self.endpoints)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.transport {
            Transport::Tcp => write!(f, "{}", self.address),
            Transport::Udp => write!(f, "{}/udp", self.address),
            Transport::Ip => write!(f, "{}/ip", self.address.ip()),
        }
    }
}

/// The TLS of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Wraps the connection from its first byte; else when the session asks.
    pub from_start: bool,
    /// Whose TLS it is.
    pub stack: TlsStack,
    /// The certificate; made, self-signed, if the file does not exist. `None`: made and kept in the state folder.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The common name of a certificate that is made.
    pub domain_name: String,
}

impl ServiceConfig {
    /// What it is called in messages: `ssh`, or `ssh (port 2222)` where that says more.
    pub fn label(&self) -> String {
        match self.endpoints.first() {
            Some(endpoint) if endpoint.address.port() != self.entry.port => {
                format!("{} (port {})", self.entry.name, endpoint.address.port())
            }
            _ => self.entry.name.to_owned(),
        }
    }
}

/// Reads all of them and looks for two that want one port.
pub(super) fn read_all(
    sections: &[(&Item, Vec<&Table>)],
    listen: &[IpAddr],
    host: &Host,
    problems: &mut Vec<Problem>,
) -> Vec<ServiceConfig> {
    let mut services = Vec::new();
    for (item, tables) in sections {
        match ALL.iter().find(|entry| entry.name.eq_ignore_ascii_case(&item.key)) {
            Some(entry) => {
                services.extend(tables.iter().filter_map(|table| read(entry, table, listen, host, problems)));
            }
            None => {
                let names = ALL.iter().map(|entry| entry.name);
                let message = match nearest(&item.key, names.clone()) {
                    Some(_) => "no such service".to_owned(),
                    None => {
                        format!("no such service; there are {}", names.clone().collect::<Vec<_>>().join(", "))
                    }
                };
                let place = Some(item.node.place.clone());
                problems.push(Problem::error(place, &item.written, message).near(&item.key, names));
            }
        }
    }
    clashes(&services, problems);
    services
}

/// Takes away every address of IPv6 where every one of IPv4 is listened on, too. One that stands alone was
/// asked for and is left to fail with its reason.
pub(super) fn without_ipv6(service: &mut ServiceConfig) {
    let everywhere = |endpoint: &Endpoint| endpoint.address.ip().is_unspecified();
    let four: Vec<u16> = service
        .endpoints
        .iter()
        .filter(|endpoint| everywhere(endpoint) && endpoint.address.is_ipv4())
        .map(|endpoint| endpoint.address.port())
        .collect();
    service.endpoints.retain(|endpoint| {
        let six = everywhere(endpoint) && endpoint.address.is_ipv6();
        !(six && four.contains(&endpoint.address.port()))
    });
}

/// Reads one section, with the keys in the order of the sample file.
pub(super) fn read(
    entry: &'static Entry,
    table: &Table,
    listen: &[IpAddr],
    host: &Host,
    problems: &mut Vec<Problem>,
) -> Option<ServiceConfig> {
    if matches!(table.get("enabled").map(|item| &item.node.value), Some(Raw::Bool(false))) {
        return None;
    }
    let mut section = Section::new(table, problems);
    let config = configure(entry, &mut section, listen, host);
    section.finish();
    Some(config)
}

/// Asks for every key of a service.
pub(super) fn configure(
    entry: &'static Entry,
    section: &mut Section<'_>,
    listen: &[IpAddr],
    host: &Host,
) -> ServiceConfig {
    section.flag("enabled", true, "Whether it runs.");
    if entry.watches() {
        return watching(entry, section, host);
    }
    let ports = ports(section, entry);
    let addresses = addresses(
        section,
        "address",
        listen,
        "Addresses that it listens on, if not those of `listen` at the top of the file.",
    );
    let transports = transports(section, entry);
    let service = (entry.build)(section, host);
    let stack = service.stream.as_ref().map_or(TlsStack::OpenSsl, |stream| stream.tls_stack());
    let tls = tls(section, entry, stack, host);
    let honeycreds = Honeycreds::configure(section);
    let proxies = proxies(section);
    let bounds = service.stream.as_ref().map_or(Limits::DEFAULT, |stream| stream.bounds());
    let limits = limits(section, bounds);
    let mut endpoints = Vec::new();
    // What listens in one mode and watches in another has no ports then.
    let transports = if service.sensor.is_some() { Vec::new() } else { transports };
    for transport in transports {
        let here = |port: &&u16| transport == Transport::Tcp || !entry.also.contains(*port);
        for port in ports.iter().filter(here) {
            for address in &addresses {
                let endpoint = Endpoint { transport, address: SocketAddr::new(*address, *port) };
                if !endpoints.contains(&endpoint) {
                    endpoints.push(endpoint);
                }
            }
        }
    }
    let table = section.table().clone();
    let fingerprint = format!("{} {listen:?} {}", identity(entry, host), canonical(&table));
    ServiceConfig { entry, service, endpoints, tls, proxies, limits, honeycreds, fingerprint, table }
}

/// Which service that is, and of which machine.
fn identity(entry: &Entry, host: &Host) -> String {
    format!("{} {} {:?}", entry.name, host.name, host.windows)
}

/// The same for a sensor: it has no ports, no connections, and no bounds of its own.
fn watching(entry: &'static Entry, section: &mut Section<'_>, host: &Host) -> ServiceConfig {
    let service = (entry.build)(section, host);
    let honeycreds = Honeycreds::configure(section);
    let table = section.table().clone();
    ServiceConfig {
        entry,
        service,
        endpoints: Vec::new(),
        tls: None,
        proxies: None,
        limits: Limits::DEFAULT,
        honeycreds,
        fingerprint: format!("{} {}", identity(entry, host), canonical(&table)),
        table,
    }
}

fn ports(section: &mut Section<'_>, entry: &Entry) -> Vec<u16> {
    let default = [&[entry.port], entry.also].concat();
    let shown = if entry.also.is_empty() { entry.port.to_string() } else { format!("{default:?}") };
    let about = "The port, or a list of ports.";
    let port = |raw: &Raw| match raw {
        Raw::Int(port) => u16::try_from(*port).ok().filter(|port| *port > 0),
        _ => None,
    };
    let found: Option<Vec<u16>> = match section.raw("port", Some(&shown), about).map(|n| &n.value) {
        None => return default,
        Some(Raw::List(nodes)) => nodes.iter().map(|node| port(&node.value)).collect(),
        Some(single) => port(single).map(|port| vec![port]),
    };
    found.filter(|ports| !ports.is_empty()).unwrap_or_else(|| {
        section.invalid("port", "expected a port from 1 to 65535, or a list of them");
        default
    })
}

fn transports(section: &mut Section<'_>, entry: &Entry) -> Vec<Transport> {
    match (entry.stream, entry.datagrams) {
        (true, true) => {
            let words = ["tcp", "udp", "both"];
            let usual = match entry.usual {
                [Transport::Udp] => "udp",
                [_, _, ..] => "both",
                _ => "tcp",
            };
            match section.choice("transport", usual, &words, "Spoken over \"tcp\", \"udp\" or \"both\".") {
                "udp" => vec![Transport::Udp],
                "both" => vec![Transport::Tcp, Transport::Udp],
                _ => vec![Transport::Tcp],
            }
        }
        (false, true) => vec![Transport::Udp],
        _ => vec![Transport::Tcp],
    }
}

fn tls(section: &mut Section<'_>, entry: &Entry, stack: TlsStack, host: &Host) -> Option<TlsSettings> {
    if !entry.stream {
        return None;
    }
    let always = entry.tls == TlsUse::Always;
    let from_start = always || section.flag("tls", false, "Whether TLS wraps it from the first byte.");
    let certificate = section.path(
        "certificate",
        "The certificate for TLS (PEM). Made, self-signed, if that file does not exist. Left out: made and kept in \
         the state folder.",
    );
    let key = section.path("key", "The certificate's private key (PEM).");
    if certificate.is_some() != key.is_some() {
        let set = if certificate.is_some() { "certificate" } else { "key" };
        section.invalid(set, "expected certificate and key together");
    }
    let name = section.optional(
        "domain_name",
        "The common name of a certificate that is made. Left out: the name of this machine.",
    );
    let domain_name = name.unwrap_or_else(|| match stack {
        TlsStack::OpenSsl => host.name.clone(),
        TlsStack::Schannel => host.windows.dns_name.clone(),
        TlsStack::Controller => host.windows.controller().dns_name,
    });
    let used = from_start || matches!(entry.tls, TlsUse::OnRequest | TlsUse::Either);
    used.then_some(TlsSettings { from_start, stack, certificate, key, domain_name })
}

fn proxies(section: &mut Section<'_>) -> Option<Vec<IpNet>> {
    let expected = section.flag(
        "proxy_protocol",
        false,
        "Whether connections come through a proxy that names the real source (PROXY protocol, version 1 or 2).",
    );
    let sources = section.networks(
        "proxy_sources",
        &NEAR,
        "The proxies that are believed; whoever connects from elsewhere is the source itself.",
    );
    expected.then_some(sources)
}

fn limits(section: &mut Section<'_>, bounds: Limits) -> Limits {
    let number = |bound: usize| u64::try_from(bound).unwrap_or(u64::MAX);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        idle: section.duration("idle", bounds.idle, "The longest silence before it hangs up."),
        lifetime: section.duration(
            "lifetime",
            bounds.lifetime,
            "The longest life of a connection, however busy.",
        ),
        connections: size(section.number(
            "max_connections",
            number(bounds.connections),
            1..=1_000_000,
            "Connections served at once. Those above are recorded and closed.",
        )),
        per_peer: size(section.number(
            "max_per_source",
            number(bounds.per_peer),
            1..=1_000_000,
            "The same, for each remote address.",
        )),
        ..bounds
    }
}

/// Two services on one port: an error that names both.
fn clashes(services: &[ServiceConfig], problems: &mut Vec<Problem>) {
    for (at, later) in services.iter().enumerate() {
        for earlier in services.iter().take(at) {
            let overlap = |one: &Endpoint| earlier.endpoints.iter().any(|other| collide(one, other));
            if let Some(endpoint) = later.endpoints.iter().find(|endpoint| overlap(endpoint)) {
                let (key, place) = port_key(later);
                let (other, other_place) = port_key(earlier);
                let line = other_place.map_or(String::new(), |place| format!(", line {}", place.line));
                let message = format!(
                    "port {} is wanted by {} and by {} ({other}{line}): expected one service on each port",
                    endpoint.address.port(),
                    later.entry.name,
                    earlier.entry.name,
                );
                problems.push(Problem::error(place, key, message));
            }
        }
    }
}

fn collide(one: &Endpoint, other: &Endpoint) -> bool {
    let (a, b) = (one.address.ip(), other.address.ip());
    let same_family = a.is_ipv4() == b.is_ipv4();
    let overlap = a == b || (same_family && (a.is_unspecified() || b.is_unspecified()));
    one.transport == other.transport && one.address.port() == other.address.port() && overlap
}

fn port_key(service: &ServiceConfig) -> (String, Option<haldane_core::section::Place>) {
    match service.table.get("port").or_else(|| service.table.get("enabled")) {
        Some(item) => (item.written.clone(), Some(item.node.place.clone())),
        None => {
            let place = service.table.entries.first().map(|item| item.node.place.clone());
            (format!("{}.port", service.table.name), place)
        }
    }
}

/// The table's content without places: equal for equal settings, whatever their lines and order.
pub fn canonical(table: &Table) -> String {
    let mut text = String::new();
    write_table(table, &mut text);
    text
}

fn write_table(table: &Table, text: &mut String) {
    let mut keys: Vec<&str> = table.entries.iter().map(|item| item.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    text.push('{');
    for item in keys.iter().filter_map(|key| table.get(key)) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{:?}=", item.key);
        write_value(&item.node.value, text);
    }
    text.push('}');
}

fn write_value(value: &Raw, text: &mut String) {
    match value {
        Raw::Table(table) => write_table(table, text),
        Raw::List(nodes) => {
            text.push('[');
            nodes.iter().for_each(|node| write_value(&node.value, text));
            text.push(']');
        }
        other => text.push_str(&other.shown()),
    }
    text.push(';');
}
