//! What the claimed version says of itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};

use super::{bson::Writer, wire::Way};

/// The newest wire version of each release (MongoDB source, `wire_version.h`).
const WIRE: [((u32, u32), i32); 10] = [
    ((8, 0), 25),
    ((7, 0), 21),
    ((6, 0), 17),
    ((5, 0), 13),
    ((4, 4), 9),
    ((4, 2), 8),
    ((4, 0), 7),
    ((3, 6), 6),
    ((3, 4), 5),
    ((3, 2), 4),
];

/// What is configured.
#[derive(Debug)]
pub(super) struct Persona {
    pub(super) version: String,
    pub(super) number: (u32, u32),
    pub(super) reveal: bool,
    /// From which salts and identifiers are made; the same after a restart.
    pub(super) secret: Vec<u8>,
    connections: AtomicU32,
    messages: AtomicU32,
}

impl Persona {
    pub(super) fn new(version: String, number: (u32, u32), reveal: bool, secret: Vec<u8>) -> Self {
        let (connections, messages) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { version, number, reveal, secret, connections, messages }
    }

    /// The number of a connection, from 1.
    pub(super) fn connection(&self) -> u32 {
        self.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The number of an answer: mongod counts them over all connections.
    pub(super) fn message(&self) -> u32 {
        self.messages.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Whether the release is at least that one.
    pub(super) fn since(&self, release: (u32, u32)) -> bool {
        self.number >= release
    }

    fn wire(&self) -> i32 {
        WIRE.iter().find(|(release, _)| self.since(*release)).map_or(3, |(_, wire)| *wire)
    }

    /// Bytes that only this canary has, different for each label.
    pub(super) fn own(&self, label: &[u8]) -> Vec<u8> {
        let signed = PKey::hmac(&self.secret).and_then(|key| {
            Signer::new(MessageDigest::sha256(), &key)
                .and_then(|mut signer| signer.sign_oneshot_to_vec(label))
        });
        signed.unwrap_or_else(|_| vec![0; 32])
    }

    /// The process, as its topology names it (MongoDB manual, `hello.topologyVersion`).
    fn process(&self) -> [u8; 12] {
        self.own(b"process").first_chunk().copied().unwrap_or_default()
    }

    /// `hello` or, by its old name, `isMaster`; `extra` follows what every answer has.
    pub(super) fn hello(
        &self,
        modern: bool,
        knows: bool,
        connection: u32,
        now: SystemTime,
        extra: Writer,
    ) -> Writer {
        let mut answer = Writer::default();
        if knows && self.since((4, 4)) {
            answer = answer.flag("helloOk", true);
        }
        answer = answer.flag(if modern { "isWritablePrimary" } else { "ismaster" }, true);
        if self.since((4, 4)) {
            let topology = Writer::default().object_id("processId", self.process()).long("counter", 0);
            answer = answer.document("topologyVersion", topology);
        }
        answer = answer
            .int("maxBsonObjectSize", 16_777_216)
            .int("maxMessageSizeBytes", 48_000_000)
            .int("maxWriteBatchSize", if self.since((3, 6)) { 100_000 } else { 1000 })
            .date("localTime", millis(now));
        if self.since((3, 6)) {
            answer = answer.int("logicalSessionTimeoutMinutes", 30);
        }
        if self.since((4, 2)) {
            answer = answer.int("connectionId", i32::try_from(connection).unwrap_or(i32::MAX));
        }
        answer.int("minWireVersion", 0).int("maxWireVersion", self.wire()).flag("readOnly", false).and(extra)
    }

    /// `buildInfo`, which anybody may ask for.
    pub(super) fn build_info(&self) -> Writer {
        let numbers = self.version.split('.').map(|part| part.parse().unwrap_or_default());
        let mut numbers: Vec<i32> = numbers.take(3).collect();
        numbers.resize(4, 0);
        let git: String =
            self.own(self.version.as_bytes()).iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        let openssl =
            if self.since((6, 0)) { "OpenSSL 3.0.2 15 Mar 2022" } else { "OpenSSL 1.1.1f  31 Mar 2020" };
        let environment = Writer::default()
            .text("distmod", if self.since((6, 0)) { "ubuntu2204" } else { "ubuntu2004" })
            .text("distarch", "x86_64")
            .text("cc", "/opt/mongodbtoolchain/v3/bin/gcc: gcc (GCC) 8.5.0")
            .text("target_arch", "x86_64")
            .text("target_os", "linux");
        Writer::default()
            .text("version", &self.version)
            .text("gitVersion", git)
            .texts("modules", &[])
            .text("allocator", "tcmalloc")
            .text("javascriptEngine", "mozjs")
            .text("sysInfo", "deprecated")
            .ints("versionArray", &numbers)
            .document("openssl", Writer::default().text("running", openssl).text("compiled", openssl))
            .document("buildEnvironment", environment)
            .int("bits", 64)
            .flag("debug", false)
            .int("maxBsonObjectSize", 16_777_216)
            .texts("storageEngines", &["devnull", "wiredTiger"])
    }

    /// `serverStatus`, where the operator lets anybody ask for it.
    pub(super) fn server_status(&self, host: &str, now: SystemTime) -> Writer {
        let up = i64::from(self.own(b"uptime").first().copied().unwrap_or(9)).saturating_mul(86_400);
        let current = i32::try_from(self.connections.load(Ordering::Relaxed)).unwrap_or(i32::MAX);
        let connections =
            Writer::default().int("current", 1).int("available", 51_199).int("totalCreated", current);
        Writer::default()
            .text("host", host)
            .text("version", &self.version)
            .text("process", "mongod")
            .long("pid", i64::from(self.process()[0]).saturating_add(612))
            .double("uptime", f64::from(i32::try_from(up).unwrap_or(i32::MAX)))
            .long("uptimeMillis", up.saturating_mul(1000))
            .date("localTime", millis(now))
            .document("connections", connections)
            .document("storageEngine", Writer::default().text("name", "wiredTiger"))
    }

    /// Whether OP_QUERY is no longer taken for other than the first words (since 5.1).
    pub(super) fn refuses_query(&self, way: Way) -> bool {
        way.is_query() && self.since((6, 0))
    }
}

/// Why a command is not carried out: number, name and text (MongoDB source, `error_codes.yml`).
#[derive(Debug)]
pub(super) struct Refusal {
    code: i32,
    name: &'static str,
    text: String,
}

impl Refusal {
    pub(super) fn new(code: i32, name: &'static str, text: impl Into<String>) -> Self {
        Self { code, name, text: text.into() }
    }

    pub(super) fn document(&self) -> Writer {
        Writer::default()
            .double("ok", 0.0)
            .text("errmsg", &self.text)
            .int("code", self.code)
            .text("codeName", self.name)
    }
}

fn millis(now: SystemTime) -> i64 {
    i64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
}
