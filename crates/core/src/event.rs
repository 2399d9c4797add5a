//! What was seen. A service reports a [`Sighting`]; the framework stamps it into an [`Event`]. A service
//! cannot forget or forge who, where and when.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Fields, Kind, Login, Peer, Severity, Value};

/// What a service saw. Nothing about who or when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What happened.
    pub kind: &'static Kind,
    /// Credentials that were offered.
    pub login: Option<Login>,
    /// Details that only this protocol has.
    pub fields: Fields,
    /// More or less severe than the kind, for what this sighting revealed.
    pub severity: Severity,
}

impl Sighting {
    /// A bare sighting of that kind.
    pub fn of(kind: &'static Kind) -> Self {
        Self { kind, login: None, fields: Fields::new(), severity: kind.severity }
    }

    /// Adds the credentials.
    #[must_use]
    pub fn login(mut self, login: Login) -> Self {
        self.login = Some(login);
        self
    }

    /// Adds a protocol-specific fact.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.into(), value.into());
        self
    }

    /// Cuts facts that take more than `most` bytes together, see [`crate::text::bound`]. That credentials were longer than
    /// what is kept of them is said by the same fact.
    pub fn bound(&mut self, most: usize) {
        crate::text::bound(&mut self.fields, most);
        if self.login.as_ref().is_some_and(Login::is_cut) {
            self.fields.insert("cut".into(), Value::Bool(true));
        }
    }

    /// Changes the severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
}

/// What a TLS client revealed with its first message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// The name it asked for (RFC 6066, section 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sni: Option<crate::Untrusted>,
    /// The protocols it offered (RFC 7301).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn: Vec<crate::Untrusted>,
    /// JA3: MD5 in hex of version, ciphers, extensions, groups and point formats.
    pub ja3: String,
    /// JA4 of FoxIO: version, SNI, counts, ALPN and two truncated hashes.
    pub ja4: String,
    /// The version agreed on, as in `TLSv1.3`; empty if none was.
    #[serde(default)]
    pub version: String,
    /// The cipher agreed on; empty if none was.
    #[serde(default)]
    pub cipher: String,
}

/// Whether the offered credentials are a honey-credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Honeycred {
    /// The service has none, or no credentials were offered.
    #[default]
    None,
    /// Being verified, off the event path.
    Pending,
    /// They are not.
    No,
    /// They are.
    Yes,
}

/// A stamped sighting: what the pipeline, the store and the sinks handle.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique, ordered by time (UUID version 7).
    pub id: Uuid,
    /// Which service saw it; `haldane` for operational events.
    pub service: Cow<'static, str>,
    /// Which conversation it belongs to (UUID version 7); nil for operational events.
    pub session: Uuid,
    /// Who was at the other end; `None` for operational events.
    pub peer: Option<Peer>,
    /// When.
    pub at: SystemTime,
    /// What.
    pub kind: &'static Kind,
    /// How much it matters. Starts as the sighting's; the pipeline may change it.
    pub severity: Severity,
    /// Credentials that were offered.
    pub login: Option<Login>,
    /// Details that only this protocol has.
    pub fields: Fields,
    /// What the TLS client revealed, if the conversation is inside TLS.
    pub tls: Option<Arc<TlsFacts>>,
    /// On an ignore list: stored, never sent. Set by the pipeline.
    pub ignored: bool,
    /// Set by the pipeline and, later, the verifier.
    pub honeycred: Honeycred,
    /// Which incident it belongs to. Set by the pipeline.
    pub incident: Option<u64>,
}

impl Event {
    /// A sighting, stamped. TLS facts and the pipeline's verdicts are for others to add.
    pub fn stamped(
        seen: Sighting,
        service: &'static str,
        session: Uuid,
        peer: Option<Peer>,
        (id, at): (Uuid, SystemTime),
    ) -> Self {
        let Sighting { kind, login, fields, severity } = seen;
        Self {
            id,
            service: service.into(),
            session,
            peer,
            at,
            kind,
            severity,
            login,
            fields,
            tls: None,
            ignored: false,
            honeycred: Honeycred::None,
            incident: None,
        }
    }

    /// Something about this program itself. `stamp`: its id and time.
    pub fn operational(seen: Sighting, stamp: (Uuid, SystemTime)) -> Self {
        Self::stamped(seen, "haldane", Uuid::nil(), None, stamp)
    }

    /// The source's address, where there is a peer.
    pub fn source(&self) -> Option<std::net::IpAddr> {
        self.peer.map(|peer| peer.remote.ip())
    }
}

/// An event with its place in the store: what the sinks receive.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Position in the store; grows by one with each event.
    pub seq: u64,
    /// The event.
    pub event: Arc<Event>,
}

/// Events on their way to the store, with whom to tell once they are there.
pub struct Batch {
    /// In the order in which they happened.
    pub events: Vec<Event>,
    /// Called when they are stored (or, with a full disk, held in memory). The peer is answered after that.
    pub recorded: Option<Box<dyn FnOnce() + Send>>,
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("events", &self.events).finish_non_exhaustive()
    }
}
