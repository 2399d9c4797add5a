//! What one peer may cost us. Every service has all of them, always.

use std::time::Duration;

/// Bounds on one connection and on one service. There is no "unlimited".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest silence, in either direction.
    pub idle: Duration,
    /// Longest life of a connection, however busy.
    pub lifetime: Duration,
    /// Largest single message in bytes, and so the largest inbox.
    pub frame: usize,
    /// Bytes accepted over the whole connection.
    pub bytes_in: u64,
    /// Bytes sent over the whole connection.
    pub bytes_out: u64,
    /// Connections served at once by this service.
    pub connections: usize,
    /// Connections served at once for each remote address.
    pub per_peer: usize,
    /// How long to go on reading, and dropping, what the peer still sends after we hung up, so that our
    /// last words reach it.
    pub linger: Duration,
    /// TCP keep-alive probes, where the imitated server sends them.
    pub keepalive: Option<Keepalive>,
}

/// TCP keep-alive, as `tcp(7)` names its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// Silence before the first probe.
    pub idle: Duration,
    /// Time between probes.
    pub interval: Duration,
    /// Unanswered probes before the connection is dropped.
    pub probes: u32,
}

impl Limits {
    /// What a service gets unless it asks for less or the operator for more.
    pub const DEFAULT: Self = Self {
        idle: Duration::from_secs(60),
        lifetime: Duration::from_secs(600),
        frame: 64 * 1024,
        bytes_in: 4 * 1024 * 1024,
        bytes_out: 16 * 1024 * 1024,
        connections: 8192,
        per_peer: 8192,
        linger: Duration::ZERO,
        keepalive: None,
    };
}
