//! What the claimed version says of itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};

use super::{bson::Writer, wire::Way};

/// The newest wire version of each release (MongoDB source, `wire_version.h`).
const WIRE: [((u32, u32), i32); 21] = [
    ((8, 2), 27),
    ((8, 1), 26),
    ((8, 0), 25),
    ((7, 3), 24),
    ((7, 2), 23),
    ((7, 1), 22),
    ((7, 0), 21),
    ((6, 3), 20),
    ((6, 2), 19),
    ((6, 1), 18),
    ((6, 0), 17),
    ((5, 3), 16),
    ((5, 2), 15),
    ((5, 1), 14),
    ((5, 0), 13),
    ((4, 4), 9),
    ((4, 2), 8),
    ((4, 0), 7),
    ((3, 6), 6),
    ((3, 4), 5),
    ((3, 2), 4),
];

/// Connections that a server has served before the first visitor: its own tools'.
const EARLIER: u32 = 17;

/// From which commit releases were built, as their start-up logs say.
const COMMITS: &[(&str, &str)] = &[
    ("4.4.6", "72e66213c2c3eab37d9358d5e78ad7f5c1d0d0d7"),
    ("5.0.6", "212a8dbb47f07427dae194a9c75baec1d81d9259"),
    ("5.0.14", "1b3b0073a0b436a8a502b612f24fb2bd572772e5"),
    ("5.0.32", "ba92303e18e7ed4701572aa15acd161c97796f2f"),
    ("6.0.1", "32f0f9c88dc44a2c8073a5bd47cf779d4bfdee6b"),
    ("6.0.6", "26b4851a412cc8b9b4a18cdb6cd0f9f642e06aa7"),
    ("6.0.8", "3d84c0dd4e5d99be0d69003652313e7eaf4cdd74"),
    ("6.0.27", "fc88ca137231d7457aed6265d4f32a361ae71716"),
    ("7.0.2", "02b3c655e1302209ef046da6ba3ef6749dd0b62a"),
    ("7.0.5", "7809d71e84e314b497f282ea8aa06d7ded3eb205"),
    ("7.0.8", "c5d33e55ba38d98e2f48765ec4e55338d67a4a64"),
    ("7.0.9", "3ff3a3925c36ed277cf5eafca5495f2e3728dd67"),
    ("7.0.14", "ce59cfc6a3c5e5c067dca0d30697edd68d4f5188"),
    ("7.0.16", "18b949444cfdaa88e30b0e10243bc18268251c1f"),
    ("7.0.21", "a47b62aff2bae1914085c3ef1d90fc099acf000c"),
    ("7.0.22", "1b0ca02043c6d35d5cfdc91e21fc00a05d901539"),
    ("7.0.43", "ef5a7d3480b59feae13d564376129fc4ceee6177"),
];

/// How releases were built, oldest first: since which, and the fields of `buildEnvironment` in their order. As
/// `buildInfo` of 4.2.9 and of 7.0.9 has them.
type Built = ((u32, u32), &'static [(&'static str, &'static str)]);
const BUILT: [Built; 2] = [
    (
        (0, 0),
        &[
            ("cc", "/opt/mongodbtoolchain/v3/bin/gcc: gcc (GCC) 8.5.0"),
            (
                "ccflags",
                "-fno-omit-frame-pointer -fno-strict-aliasing -ggdb -pthread -Wall -Wsign-compare \
                 -Wno-unknown-pragmas -Winvalid-pch -Werror -O2 -Wno-unused-local-typedefs -Wno-unused-function \
                 -Wno-deprecated-declarations -Wno-unused-const-variable -Wno-unused-but-set-variable \
                 -Wno-missing-braces -fstack-protector-strong -fno-builtin-memcmp",
            ),
            ("cxx", "/opt/mongodbtoolchain/v3/bin/g++: g++ (GCC) 8.5.0"),
            ("cxxflags", "-Woverloaded-virtual -Wno-maybe-uninitialized -fsized-deallocation -std=c++17"),
            (
                "linkflags",
                "-pthread -Wl,-z,now -rdynamic -Wl,--fatal-warnings -fstack-protector-strong -fuse-ld=gold \
                 -Wl,--build-id -Wl,--hash-style=gnu -Wl,-z,noexecstack -Wl,--warn-execstack -Wl,-z,relro",
            ),
            ("target_arch", "x86_64"),
            ("target_os", "linux"),
        ],
    ),
    (
        (7, 0),
        &[
            ("cc", "/opt/mongodbtoolchain/v4/bin/gcc: gcc (GCC) 11.3.0"),
            (
                "ccflags",
                "-Werror -include mongo/platform/basic.h -ffp-contract=off -fasynchronous-unwind-tables -g2 -Wall \
                 -Wsign-compare -Wno-unknown-pragmas -Winvalid-pch -gdwarf-5 -fno-omit-frame-pointer \
                 -fno-strict-aliasing -O2 -march=sandybridge -mtune=generic -mprefer-vector-width=128 \
                 -Wno-unused-local-typedefs -Wno-unused-function -Wno-deprecated-declarations \
                 -Wno-unused-const-variable -Wno-unused-but-set-variable -Wno-missing-braces \
                 -fstack-protector-strong -gdwarf64 -Wa,--nocompress-debug-sections -fno-builtin-memcmp \
                 -Wimplicit-fallthrough=5",
            ),
            ("cxx", "/opt/mongodbtoolchain/v4/bin/g++: g++ (GCC) 11.3.0"),
            (
                "cxxflags",
                "-Woverloaded-virtual -Wpessimizing-move -Wno-maybe-uninitialized -fsized-deallocation \
                 -Wno-deprecated -std=c++20",
            ),
            (
                "linkflags",
                "-Wl,--fatal-warnings -B/opt/mongodbtoolchain/v4/bin -gdwarf-5 -pthread -Wl,-z,now -fuse-ld=lld \
                 -fstack-protector-strong -gdwarf64 -Wl,--build-id -Wl,--hash-style=gnu -Wl,-z,noexecstack \
                 -Wl,--warn-execstack -Wl,-z,relro -Wl,--compress-debug-sections=none -Wl,-z,origin \
                 -Wl,--enable-new-dtags",
            ),
            ("target_arch", "x86_64"),
            ("target_os", "linux"),
            (
                "cppdefines",
                "SAFEINT_USE_INTRINSICS 0 PCRE2_STATIC NDEBUG _XOPEN_SOURCE 700 _GNU_SOURCE _FORTIFY_SOURCE 2 \
                 ABSL_FORCE_ALIGNED_ACCESS BOOST_ENABLE_ASSERT_DEBUG_HANDLER \
                 BOOST_FILESYSTEM_NO_CXX20_ATOMIC_REF BOOST_LOG_NO_SHORTHAND_NAMES BOOST_LOG_USE_NATIVE_SYSLOG \
                 BOOST_LOG_WITHOUT_THREAD_ATTR BOOST_MATH_NO_LONG_DOUBLE_MATH_FUNCTIONS \
                 BOOST_SYSTEM_NO_DEPRECATED BOOST_THREAD_USES_DATETIME BOOST_THREAD_VERSION 5",
            ),
        ],
    ),
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
        let (connections, messages) = (AtomicU32::new(EARLIER), AtomicU32::new(EARLIER));
        Self { version, number, reveal, secret, connections, messages }
    }

    /// The number of a connection: mongod counts them.
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
        let made =
            || self.own(self.version.as_bytes()).iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        let known = COMMITS.iter().find(|(version, _)| *version == self.version);
        let git: String = known.map_or_else(made, |(_, commit)| (*commit).to_owned());
        // As on Debian 12 for whatever was packaged for it, else on the Ubuntu of the day.
        let (system, openssl) = match () {
            () if self.since((7, 0)) => ("debian12", "OpenSSL 3.0.11 19 Sep 2023"),
            () if self.since((5, 0)) => ("ubuntu2004", "OpenSSL 1.1.1f  31 Mar 2020"),
            () => ("ubuntu1804", "OpenSSL 1.1.1  11 Sep 2018"),
        };
        let built =
            BUILT.iter().rev().find(|(release, _)| self.since(*release)).map_or(&[][..], |(_, built)| built);
        let environment = Writer::default().text("distmod", system).text("distarch", "x86_64");
        let environment = built.iter().fold(environment, |all, (name, value)| all.text(name, value));
        let engines: &[&str] = match () {
            () if self.since((7, 0)) => &["devnull", "wiredTiger"],
            () if self.since((5, 0)) => &["devnull", "ephemeralForTest", "wiredTiger"],
            () => &["biggie", "devnull", "ephemeralForTest", "wiredTiger"],
        };
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
            .texts("storageEngines", engines)
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
        way.is_query() && self.since((5, 1))
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
