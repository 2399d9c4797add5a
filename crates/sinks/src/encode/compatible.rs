//! The line that OpenCanary 0.9.9 writes: sorted keys, ASCII, `json.dumps(event, sort_keys=True)`.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use haldane_core::{Absent, Compat, Event, Honeycred, Login, Part, Secret, Transport, Untrusted, Value};
use jiff::tz::TimeZone;

use super::{dumps, time};

/// The kind of a line of Samba's audit. The peer writes its missing port as text.
const AUDITED: u32 = 5000;
/// The kinds of a line of the kernel's log. The peer takes ports from there as they are: as text.
const LOGGED: std::ops::RangeInclusive<u32> = 5001..=5005;

/// The line, without its end. `node` is `device.node_id`.
pub fn compatible(event: &Event, node: &str) -> String {
    dumps(&Value::Map(members(event, node)))
}

/// The same, member by member: for receivers that want fields rather than a line.
pub fn members(event: &Event, node: &str) -> BTreeMap<String, Value> {
    members_in(event, node, &TimeZone::system())
}

pub(super) fn members_in(event: &Event, node: &str, zone: &TimeZone) -> BTreeMap<String, Value> {
    let utc = time::python(&time::zoned(event.at, &TimeZone::UTC));
    let local = time::python(&time::zoned(event.at, zone));
    let portless = event.peer.is_some_and(|peer| peer.transport == Transport::Ip);
    let end = |addr: Option<std::net::SocketAddr>| match addr {
        // Nobody talks from port 0: it stands for one that is not known.
        Some(addr) if portless || addr.port() == 0 => (Value::from(addr.ip().to_string()), Value::Int(-1)),
        Some(addr) if LOGGED.contains(&event.kind.number) => {
            (Value::from(addr.ip().to_string()), Value::from(addr.port().to_string()))
        }
        Some(addr) => (Value::from(addr.ip().to_string()), Value::from(addr.port())),
        None => (Value::from(""), Value::Int(-1)),
    };
    let (src_host, mut src_port) = end(event.peer.map(|peer| peer.remote));
    if event.kind.number == AUDITED && src_port == Value::Int(-1) {
        src_port = "-1".into();
    }
    let (dst_host, dst_port) = end(event.peer.map(|peer| peer.local));
    let mut members = BTreeMap::from([
        ("dst_host".into(), dst_host),
        ("dst_port".into(), dst_port),
        ("local_time".into(), Value::from(utc.as_str())),
        ("local_time_adjusted".into(), Value::from(local)),
        ("logdata".into(), Value::Map(logdata(event))),
        ("logtype".into(), Value::from(event.kind.logtype)),
        ("node_id".into(), Value::from(node)),
        ("src_host".into(), src_host),
        ("src_port".into(), src_port),
        ("utc_time".into(), Value::from(utc)),
    ]);
    let honeycred = match event.honeycred {
        Honeycred::None => None,
        // The store holds an event back until it is verified; should that fail, it is no honey-credential.
        Honeycred::No | Honeycred::Pending => Some(false),
        Honeycred::Yes => Some(true),
    };
    members.extend(honeycred.map(|tripped| ("honeycred".into(), Value::Bool(tripped))));
    members
}

fn logdata(event: &Event) -> BTreeMap<String, Value> {
    match event.kind.compat {
        Some(parts) => parts.iter().filter_map(|part| member(event, part)).collect(),
        None => everything(event),
    }
}

/// What one row of the kind's list shows. A null is as absent as a value that is not there.
fn member(event: &Event, compat: &Compat) -> Option<(String, Value)> {
    let login = event.login.as_ref();
    let found = match compat.part {
        Part::Username => login.and_then(|login| login.username.clone()).map(Value::Text),
        Part::Secret => login.and_then(secret).map(|secret| Value::from(secret.into_owned())),
        Part::Field(name) => event.fields.get(name).filter(|value| **value != Value::Null).cloned(),
    };
    let value = match (found, compat.absent) {
        (Some(value), _) => value,
        (None, Absent::Null) => Value::Null,
        (None, Absent::Text(text)) => text.into(),
        (None, Absent::Omit) => return None,
    };
    Some((compat.key.to_owned(), value))
}

fn everything(event: &Event) -> BTreeMap<String, Value> {
    let fields = event.fields.iter().map(|(name, value)| (name.to_uppercase(), value.clone()));
    let mut members: BTreeMap<_, _> = fields.collect();
    if let Some(login) = &event.login {
        members.insert("USERNAME".into(), login.username.clone().into());
        members.insert("PASSWORD".into(), secret(login).map(Cow::into_owned).into());
        members.insert("MECHANISM".into(), login.mechanism.as_ref().into());
        members.extend(login.domain.clone().map(|domain| ("DOMAIN".into(), Value::Text(domain))));
        if let Some(Secret::PublicKey { key, .. }) = &login.secret {
            members.insert("KEY".into(), Value::Text(key.clone()));
        }
    }
    members
}

/// What the peer calls a password. An empty answer to a challenge is none.
fn secret(login: &Login) -> Option<Cow<'_, Untrusted>> {
    match login.secret.as_ref()? {
        Secret::Password(text) | Secret::Token(text) => Some(Cow::Borrowed(text)),
        Secret::PublicKey { fingerprint, .. } => Some(Cow::Owned(fingerprint.into())),
        Secret::Response { response, .. } if response.is_empty() => None,
        Secret::Response { response, .. } => Some(Cow::Owned(hex(response.raw()).into())),
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
