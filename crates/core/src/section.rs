//! A section of the configuration, read key by key. Mistakes are collected, never fatal: the operator sees
//! all of them at once, each with file, line and key.
//!
//! Both front doors (TOML, and the peer's JSON) end in a [`Table`]; whoever reads one cannot tell which it
//! was. What is asked for is also the documentation: reading an empty table lists every key with its default
//! ([`Section::described`]), from which the commented sample file is made, and a key that nobody asked for is
//! a warning with the nearest that somebody did.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv6Addr},
    ops::RangeInclusive,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};

use crate::Pattern;

/// Where something stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the operator named it.
    pub file: Arc<str>,
    /// The line, from 1; 0 if there is none.
    pub line: usize,
}

/// A value with the place where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Raw,
}

/// A value as both TOML and JSON know it.
#[derive(Debug, Clone)]
pub enum Raw {
    /// JSON's null.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text, environment variables already expanded.
    Text(String),
    /// Several values.
    List(Vec<Node>),
    /// Named values.
    Table(Table),
}

impl Raw {
    /// For "found …".
    pub fn shown(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => format!("{value:?}"),
            Self::List(_) => "a list".into(),
            Self::Table(_) => "a table".into(),
        }
    }
}

/// Named values, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// What the operator calls this table, as in `[service.ftp]`; for messages.
    pub name: String,
    /// Its content.
    pub entries: Vec<Item>,
}

/// One key with its value.
#[derive(Debug, Clone)]
pub struct Item {
    /// The key, as the reader asks for it.
    pub key: String,
    /// The key as the operator wrote it (`service.ftp.banner`, `ftp.banner`).
    pub written: String,
    /// Its value.
    pub node: Node,
}

impl Table {
    /// The last value under that key (as Python's json has it).
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.entries.iter().rev().find(|item| item.key == key)
    }
}

/// An operator's mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Whether it keeps the program from starting.
    pub fatal: bool,
    /// Where, if it stands anywhere.
    pub place: Option<Place>,
    /// The key as written; empty if it is about none.
    pub key: String,
    /// What is wrong and what was expected, for a person.
    pub message: String,
    /// The nearest valid word.
    pub nearest: Option<String>,
}

impl Problem {
    /// A mistake that keeps the program from starting.
    pub fn error(place: Option<Place>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { fatal: true, place, key: key.into(), message: message.into(), nearest: None }
    }

    /// A remark.
    pub fn warning(place: Option<Place>, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { fatal: false, ..Self::error(place, key, message) }
    }

    /// Adds the valid word that is nearest to `word`, if one is near.
    #[must_use]
    pub fn near<'w>(mut self, word: &str, valid: impl IntoIterator<Item = &'w str>) -> Self {
        self.nearest = nearest(word, valid);
        self
    }
}

impl fmt::Display for Problem {
    /// `file:line: error: key: message (did you mean "word"?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            match place.line {
                0 => write!(f, "{}: ", place.file)?,
                line => write!(f, "{}:{line}: ", place.file)?,
            }
        }
        f.write_str(if self.fatal { "error: " } else { "warning: " })?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        match &self.nearest {
            Some(word) => write!(f, " (did you mean \"{word}\"?)"),
            None => Ok(()),
        }
    }
}

/// The valid word nearest to `word`, if it is near enough to be meant.
pub fn nearest<'w>(word: &str, valid: impl IntoIterator<Item = &'w str>) -> Option<String> {
    let lower = word.to_lowercase();
    let score = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        // Two letters swapped in a short word weigh too much in Jaro and Winkler's measure.
        let slip = candidate.len() > 2 && strsim::damerau_levenshtein(&lower, &candidate) == 1;
        strsim::jaro_winkler(&lower, &candidate).max(if slip { 0.9 } else { 0.0 })
    };
    let best =
        valid.into_iter().map(|candidate| (score(candidate), candidate)).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8).map(|(_, candidate)| candidate.to_owned())
}

/// A key that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub key: Cow<'static, str>,
    /// Its default, as TOML writes it; `None` if it has none.
    pub default: Option<String>,
    /// What it is for and what it may hold.
    pub about: Cow<'static, str>,
}

/// A table being read.
#[derive(Debug)]
pub struct Section<'a> {
    table: &'a Table,
    problems: &'a mut Vec<Problem>,
    asked: Vec<Described>,
}

impl<'a> Section<'a> {
    /// Reads that table, noting mistakes there.
    pub fn new(table: &'a Table, problems: &'a mut Vec<Problem>) -> Self {
        Self { table, problems, asked: Vec::new() }
    }

    /// The value under a key, whatever it is; for keys with a form of their own. `default` as TOML writes it.
    pub fn raw(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        default: Option<&str>,
        about: impl Into<Cow<'static, str>>,
    ) -> Option<&'a Node> {
        let key = key.into();
        let found = self.table.get(&key).map(|item| &item.node);
        if !self.asked.iter().any(|asked| asked.key == key) {
            self.asked.push(Described { key, default: default.map(str::to_owned), about: about.into() });
        }
        found
    }

    /// Whether the operator set that key.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Text.
    pub fn text(&mut self, key: &'static str, default: &str, about: &'static str) -> String {
        match self.raw(key, Some(&format!("{default:?}")), about).map(|node| &node.value) {
            None => default.to_owned(),
            Some(Raw::Text(text)) => text.clone(),
            Some(_) => self.wrong(key, "expected text", default.to_owned()),
        }
    }

    /// Text that may be left out (or be null).
    pub fn optional(&mut self, key: &'static str, about: &'static str) -> Option<String> {
        match self.raw(key, None, about).map(|node| &node.value) {
            None | Some(Raw::Null) => None,
            Some(Raw::Text(text)) => Some(text.clone()),
            Some(_) => self.wrong(key, "expected text", None),
        }
    }

    /// The path of a file or folder that may be left out.
    pub fn path(&mut self, key: &'static str, about: &'static str) -> Option<PathBuf> {
        self.optional(key, about).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &'static str, default: bool, about: &'static str) -> bool {
        match self.raw(key, Some(&default.to_string()), about).map(|node| &node.value) {
            None => default,
            Some(Raw::Bool(value)) => *value,
            Some(_) => self.wrong(key, "expected true or false", default),
        }
    }

    /// A whole number within bounds.
    pub fn number(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
        about: &'static str,
    ) -> u64 {
        let found = match self.raw(key, Some(&default.to_string()), about).map(|node| &node.value) {
            None => return default,
            Some(Raw::Int(value)) => u64::try_from(*value).ok(),
            Some(_) => None,
        };
        match found.filter(|value| bounds.contains(value)) {
            Some(value) => value,
            None => {
                let expected = format!("expected a whole number from {} to {}", bounds.start(), bounds.end());
                self.wrong(key, &expected, default)
            }
        }
    }

    /// A TCP or UDP port.
    pub fn port(&mut self, key: &'static str, default: u16, about: &'static str) -> u16 {
        let port = self.number(key, default.into(), 1..=65535, about);
        u16::try_from(port).unwrap_or(default)
    }

    /// A time: a number of seconds, or text such as `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`.
    pub fn duration(&mut self, key: &'static str, default: Duration, about: &'static str) -> Duration {
        let found =
            match self.raw(key, Some(&format!("{:?}", show_duration(default))), about).map(|n| &n.value) {
                None => return default,
                Some(Raw::Int(seconds)) => u64::try_from(*seconds).ok().map(Duration::from_secs),
                Some(Raw::Float(seconds)) => Duration::try_from_secs_f64(*seconds).ok(),
                Some(Raw::Text(text)) => parse_duration(text),
                Some(_) => None,
            };
        let expected = "expected a time such as \"30s\", \"5m\", \"2h\" or \"7d\"";
        found.unwrap_or_else(|| self.wrong(key, expected, default))
    }

    /// A number of bytes: a number, or text such as `"64 KiB"`, `"10 MB"`, `"2 GiB"`.
    pub fn bytes(&mut self, key: &'static str, default: u64, about: &'static str) -> u64 {
        let found = match self.raw(key, Some(&format!("{:?}", show_bytes(default))), about).map(|n| &n.value)
        {
            None => return default,
            Some(Raw::Int(bytes)) => u64::try_from(*bytes).ok(),
            Some(Raw::Text(text)) => parse_bytes(text),
            Some(_) => None,
        };
        found.unwrap_or_else(|| self.wrong(key, "expected a size such as \"64 KiB\" or \"2 GiB\"", default))
    }

    /// One of several words (compared without case); returns it as in `words`.
    pub fn choice(
        &mut self,
        key: &'static str,
        default: &'static str,
        words: &[&'static str],
        about: &'static str,
    ) -> &'static str {
        let found = match self.raw(key, Some(&format!("{default:?}")), about).map(|node| &node.value) {
            None => return default,
            Some(Raw::Text(text)) => text,
            Some(_) => return self.wrong(key, &one_of(words), default),
        };
        match words.iter().find(|word| word.eq_ignore_ascii_case(found)) {
            Some(word) => word,
            None => {
                self.wrong(key, &one_of(words), ());
                if let Some(problem) = self.problems.last_mut() {
                    problem.nearest = nearest(found, words.iter().copied());
                }
                default
            }
        }
    }

    /// A list of texts; one text alone is a list of one.
    pub fn list(&mut self, key: &'static str, default: &[&str], about: &'static str) -> Vec<String> {
        let or_default = || default.iter().map(|text| (*text).to_owned()).collect();
        match self.raw(key, Some(&format!("{default:?}")), about).map(|node| &node.value) {
            None => or_default(),
            Some(Raw::Text(text)) => vec![text.clone()],
            Some(Raw::List(nodes)) => {
                let texts: Option<Vec<_>> = nodes
                    .iter()
                    .map(|node| match &node.value {
                        Raw::Text(text) => Some(text.clone()),
                        Raw::Int(number) => Some(number.to_string()),
                        _ => None,
                    })
                    .collect();
                texts.unwrap_or_else(|| self.wrong(key, "expected a list of texts", or_default()))
            }
            Some(_) => self.wrong(key, "expected a list of texts", or_default()),
        }
    }

    /// Addresses and networks, as [`network`] reads them.
    pub fn networks(&mut self, key: &'static str, default: &[&str], about: &'static str) -> Vec<IpNet> {
        let mut found = Vec::new();
        for text in self.list(key, default, about) {
            match network(&text) {
                Some(net) => found.push(net),
                None => self.invalid(
                    key,
                    format!("{text:?} is not an address or network, as in 10.0.0.5 or 192.168.1.0/24"),
                ),
            }
        }
        found
    }

    /// Patterns with `*` and `?`.
    pub fn patterns(&mut self, key: &'static str, about: &'static str) -> Vec<Pattern> {
        self.list(key, &[], about).iter().map(|text| Pattern::new(text.trim())).collect()
    }

    /// The tables in a list; one table alone is a list of one.
    pub fn tables(&mut self, key: &'static str, about: &'static str) -> Vec<&'a Table> {
        match self.raw(key, None, about).map(|node| &node.value) {
            None => Vec::new(),
            Some(Raw::Table(table)) => vec![table],
            Some(Raw::List(nodes)) => {
                let tables = nodes.iter().map(|node| match &node.value {
                    Raw::Table(table) => Some(table),
                    _ => None,
                });
                tables
                    .collect::<Option<Vec<_>>>()
                    .unwrap_or_else(|| self.wrong(key, "expected tables", Vec::new()))
            }
            Some(_) => self.wrong(key, "expected a table or a list of tables", Vec::new()),
        }
    }

    /// Reads another table (one of [`Section::tables`]) into the same collection of mistakes, and looks for
    /// unknown keys in it.
    pub fn within<T>(&mut self, table: &Table, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let mut inner = Section::new(table, self.problems);
        let read = read(&mut inner);
        inner.finish();
        read
    }

    /// Notes that the value under `key` will not do: `expected` in words such as "expected one line".
    pub fn invalid(&mut self, key: &str, expected: impl Into<String>) {
        self.wrong(key, &expected.into(), ());
    }

    /// Notes a mistake found by other means.
    pub fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The table being read.
    pub fn table(&self) -> &'a Table {
        self.table
    }

    /// What was asked for so far.
    pub fn described(&self) -> &[Described] {
        &self.asked
    }

    /// Warns of keys that nobody asked for.
    pub fn finish(self) {
        for item in &self.table.entries {
            if !self.asked.iter().any(|asked| asked.key == item.key) {
                let known = self.asked.iter().map(|asked| &*asked.key);
                let place = Some(item.node.place.clone());
                self.problems
                    .push(Problem::warning(place, &item.written, "unknown key").near(&item.key, known));
            }
        }
    }

    fn wrong<T>(&mut self, key: &str, expected: &str, instead: T) -> T {
        let problem = match self.table.get(key) {
            Some(item) => {
                let message = format!("{expected}, found {}", item.node.value.shown());
                Problem::error(Some(item.node.place.clone()), &item.written, message)
            }
            None => Problem::error(None, format!("{}.{key}", self.table.name), expected),
        };
        self.problems.push(problem);
        instead
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("expected one of {}", quoted.join(", "))
}

/// Reads an address or a network; what is IPv4 in IPv6's clothing becomes IPv4, as the source of an event does.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let net = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(unmapped(net.trunc()))
}

fn unmapped(net: IpNet) -> IpNet {
    /// The bits of a mapped address before the IPv4 part (RFC 4291, section 2.5.5.2).
    const MAPPED: u8 = 96;
    let IpNet::V6(v6) = net else { return net };
    let v4 = Ipv6Addr::to_ipv4_mapped(&v6.network());
    let length = v6.prefix_len().checked_sub(MAPPED);
    let mapped = v4.zip(length).and_then(|(v4, length)| Ipv4Net::new(v4, length).ok());
    mapped.map_or(net, IpNet::V4)
}

/// Reads `"250ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, or a bare number of seconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    match unit.trim() {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" | "min" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3_600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        "w" => number.checked_mul(604_800).map(Duration::from_secs),
        _ => None,
    }
}

/// Writes what [`parse_duration`] reads.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let whole = |unit: u64| duration.subsec_nanos() == 0 && seconds >= unit && seconds.is_multiple_of(unit);
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if whole(unit) {
            return format!("{}{name}", seconds.checked_div(unit).unwrap_or_default());
        }
    }
    match duration.subsec_nanos() {
        0 => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// Reads `"512"`, `"64 KiB"`, `"10 MB"`, `"2G"`.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Writes what [`parse_bytes`] reads.
pub fn show_bytes(bytes: u64) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes >= unit && bytes.is_multiple_of(unit) {
            return format!("{} {name}", bytes.checked_div(unit).unwrap_or_default());
        }
    }
    bytes.to_string()
}
