//! What a service can report. Each kind is a `static` in the folder of its service.

use std::{collections::HashMap, fmt};

use serde::{Deserialize, Serialize};

/// How much it matters that this was seen, before rules and incidents weigh in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the archive: a connection opened or closed.
    Info,
    /// Somebody looked: a probe, a page read, a command refused.
    Low,
    /// Somebody tried something that no bystander would.
    Medium,
    /// Credentials, a known exploit.
    High,
    /// Bait was taken: a honey-credential, a bait file.
    Critical,
}

impl Severity {
    /// All, mildest first.
    pub const ALL: [Self; 5] = [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word used in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The closed vocabulary that incidents, rules and people understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A conversation began or ended.
    Connection,
    /// Something was asked that reveals the asker: a version, a fingerprint, a malformed message.
    Probe,
    /// A resource was read.
    Access,
    /// Credentials were offered.
    Login,
    /// A command was sent.
    Command,
    /// A known attack was recognised.
    Exploit,
    /// Many ports or hosts were touched.
    Scan,
    /// A bait was taken.
    Bait,
    /// About this program, not about a peer. People are not told unless they ask.
    Operational,
    /// What many events amount to: an incident opened, grew or closed.
    Incident,
}

impl Class {
    /// The word used in configuration and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Probe => "probe",
            Self::Access => "access",
            Self::Login => "login",
            Self::Command => "command",
            Self::Exploit => "exploit",
            Self::Scan => "scan",
            Self::Bait => "bait",
            Self::Operational => "operational",
            Self::Incident => "incident",
        }
    }
}

/// One thing that can be reported.
#[derive(Debug)]
pub struct Kind {
    /// What it is known by; never reused. The peer's `logtype` where that means the same, ours start at 30000.
    pub number: u32,
    /// `logtype` of the compatible log: the number, except where the peer has one for several kinds.
    pub logtype: u32,
    /// `service.verb`, as in `ftp.login`.
    pub name: &'static str,
    /// What sort of thing it is.
    pub class: Class,
    /// How much it matters by default.
    pub severity: Severity,
    /// Words for a person, as in "FTP login": subject of a mail, start of a line.
    pub about: &'static str,
    /// What `logdata` of the compatible log holds. `None`: credentials as USERNAME and PASSWORD, then
    /// every field under its name in upper case.
    pub compat: Option<&'static [Compat]>,
}

impl Kind {
    /// A kind whose compatible log line holds everything.
    pub const fn new(
        number: u32,
        name: &'static str,
        class: Class,
        severity: Severity,
        about: &'static str,
    ) -> Self {
        Self { number, logtype: number, name, class, severity, about, compat: None }
    }

    /// Sets what the peer calls it, where that is its word for other kinds, too.
    #[must_use]
    pub const fn logtype(mut self, logtype: u32) -> Self {
        self.logtype = logtype;
        self
    }

    /// Fixes what `logdata` of the compatible log holds.
    #[must_use]
    pub const fn compat(mut self, parts: &'static [Compat]) -> Self {
        self.compat = Some(parts);
        self
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Kind {}

/// One key of `logdata` in the compatible log.
#[derive(Debug, Clone, Copy)]
pub struct Compat {
    /// Its name there.
    pub key: &'static str,
    /// Where its value comes from.
    pub part: Part,
    /// What stands there if there is no value.
    pub absent: Absent,
}

impl Compat {
    /// `USERNAME`, null if the login has none.
    pub const USERNAME: Self = Self { key: "USERNAME", part: Part::Username, absent: Absent::Null };
    /// `PASSWORD`, null if the login has none.
    pub const PASSWORD: Self = Self { key: "PASSWORD", part: Part::Secret, absent: Absent::Null };

    /// The field `name` under `key`, null if it is missing.
    pub const fn field(key: &'static str, name: &'static str) -> Self {
        Self { key, part: Part::Field(name), absent: Absent::Null }
    }

    /// The same, with another way to treat absence.
    #[must_use]
    pub const fn or(mut self, absent: Absent) -> Self {
        self.absent = absent;
        self
    }
}

/// The part of an event that a key of the compatible log shows.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// Of the login.
    Username,
    /// Of the login: the password, or the hex of the answer to a challenge.
    Secret,
    /// A field, by name.
    Field(&'static str),
}

/// What the compatible log shows for a value that is not there.
#[derive(Debug, Clone, Copy)]
pub enum Absent {
    /// `null`.
    Null,
    /// No key.
    Omit,
    /// A text.
    Text(&'static str),
}

/// Every kind of the running program, by number: how the store finds them again.
#[derive(Debug, Default)]
pub struct Kinds(HashMap<u32, &'static Kind>);

/// Stands for a kind that this version does not know: written by another version.
pub static UNKNOWN: Kind = Kind::new(
    30099,
    "unknown",
    Class::Operational,
    Severity::Info,
    "Event of a kind that this version does not know",
);

impl Kinds {
    /// Collects them. Two kinds with one number are a bug that a test over the registries finds.
    pub fn new(kinds: impl IntoIterator<Item = &'static Kind>) -> Self {
        Self(kinds.into_iter().map(|kind| (kind.number, kind)).collect())
    }

    /// The kind of that number, or [`UNKNOWN`].
    pub fn of(&self, number: u32) -> &'static Kind {
        self.0.get(&number).copied().unwrap_or(&UNKNOWN)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Kind> {
        self.0.values().copied()
    }
}
