//! The peer's `logger` block: handlers in the notation of Python's `logging.config`, turned into sinks.
//!
//! Argument names and defaults are those of Python's library reference, "logging.handlers".

use std::sync::Arc;

use haldane_core::{
    Problem, Table,
    section::{Item, Node, Place, Raw, nearest},
};

use super::{item, table};

/// What a class of handlers becomes.
#[derive(Clone, Copy)]
enum Becomes {
    /// A sink, by that function and with those arguments known.
    Sink(fn(&mut Handler<'_>), &'static [&'static str]),
    /// Nothing, and that is fine.
    Nothing,
    /// Refused: nobody but Python could read what it sends.
    Pickled,
    /// Nothing yet.
    Later,
}

/// Arguments that every handler has.
const COMMON: [&str; 4] = ["class", "formatter", "level", "filters"];

const CLASSES: &[(&str, Becomes)] = &[
    ("logging.StreamHandler", Becomes::Sink(stream, &["stream"])),
    ("logging.FileHandler", Becomes::Sink(file, &["filename", "mode", "encoding", "delay", "errors"])),
    (
        "logging.handlers.WatchedFileHandler",
        Becomes::Sink(file, &["filename", "mode", "encoding", "delay", "errors"]),
    ),
    (
        "logging.handlers.RotatingFileHandler",
        Becomes::Sink(
            rotating,
            &["filename", "mode", "maxBytes", "backupCount", "encoding", "delay", "errors"],
        ),
    ),
    (
        "logging.handlers.TimedRotatingFileHandler",
        Becomes::Sink(
            timed,
            &["filename", "when", "interval", "backupCount", "encoding", "delay", "utc", "atTime", "errors"],
        ),
    ),
    (
        "logging.handlers.SysLogHandler",
        Becomes::Sink(syslog, &["address", "facility", "socktype", "timeout"]),
    ),
    (
        "logging.handlers.SMTPHandler",
        Becomes::Sink(
            smtp,
            &["mailhost", "fromaddr", "toaddrs", "subject", "credentials", "secure", "timeout"],
        ),
    ),
    ("opencanary.logger.WebhookHandler", Becomes::Sink(webhook, &WEBHOOK)),
    ("logging.NullHandler", Becomes::Nothing),
    ("logging.handlers.SocketHandler", Becomes::Pickled),
    ("logging.handlers.DatagramHandler", Becomes::Pickled),
    ("logging.handlers.HTTPHandler", Becomes::Later),
    ("opencanary.logger.SocketJSONHandler", Becomes::Later),
    ("opencanary.logger.HpfeedsHandler", Becomes::Later),
    ("opencanary.logger.SlackHandler", Becomes::Later),
    ("opencanary.logger.TeamsHandler", Becomes::Later),
];

/// The arguments of the webhook: its own, then those of Python requests. Ours have the same names.
const WEBHOOK: [&str; 13] = [
    "url",
    "method",
    "data",
    "status_code",
    "ignore",
    "headers",
    "params",
    "auth",
    "verify",
    "timeout",
    "cookies",
    "proxies",
    "cert",
];

/// One handler on its way to be a sink.
struct Handler<'a> {
    arguments: &'a Table,
    sink: Table,
    place: Place,
    problems: &'a mut Vec<Problem>,
}

/// All sinks of a file.
pub(super) fn sinks(peer: &Table, file: &Arc<str>, problems: &mut Vec<Problem>) -> Table {
    let mut sinks = table("sink");
    let Some(logger) = peer.get("logger") else {
        let place = Place { file: Arc::clone(file), line: 0 };
        let message = "there is no logger: events are stored, and sent nowhere";
        problems.push(Problem::warning(Some(place), "logger", message));
        return sinks;
    };
    let Some(block) = as_table(logger, problems) else { return sinks };
    if let Some(class) = block.get("class")
        && !matches!(&class.node.value, Raw::Text(name) if name == "PyLogger")
    {
        let message = format!("expected \"PyLogger\", found {}", class.node.value.shown());
        problems.push(Problem::error(Some(class.node.place.clone()), &class.written, message));
    }
    unknown(block, &["class", "kwargs"], problems);
    let Some(arguments) = block.get("kwargs").and_then(|item| as_table(item, problems)) else { return sinks };
    let known = [
        "formatters",
        "handlers",
        "filters",
        "loggers",
        "root",
        "version",
        "disable_existing_loggers",
        "incremental",
    ];
    unknown(arguments, &known, problems);
    let empty = Table::default();
    let formatters = arguments.get("formatters").and_then(|item| as_table(item, problems)).unwrap_or(&empty);
    let handlers = arguments.get("handlers").and_then(|item| as_table(item, problems)).unwrap_or(&empty);
    for found in &handlers.entries {
        if handlers.get(&found.key).is_some_and(|last| std::ptr::eq(last, found))
            && let Some(sink) = handler(found, formatters, problems)
        {
            sinks.entries.push(item(&found.key, &found.written, found.node.place.clone(), Raw::Table(sink)));
        }
    }
    sinks
}

fn handler(found: &Item, formatters: &Table, problems: &mut Vec<Problem>) -> Option<Table> {
    let arguments = as_table(found, problems)?;
    let place = found.node.place.clone();
    let names = || CLASSES.iter().map(|(name, _)| *name);
    let Some(class) = arguments.get("class") else {
        let message = "expected a class, such as \"logging.FileHandler\"";
        problems.push(Problem::error(Some(place), format!("{}.class", found.written), message));
        return None;
    };
    let name = if let Raw::Text(name) = &class.node.value { name.as_str() } else { "" };
    let at = Some(class.node.place.clone());
    match CLASSES.iter().find(|(known, _)| *known == name).map(|(_, becomes)| *becomes) {
        Some(Becomes::Nothing) => None,
        Some(Becomes::Pickled) => {
            let message = "its messages are Python objects that nothing but Python can read, and reading them is \
                           dangerous: expected opencanary.logger.SocketJSONHandler instead";
            problems.push(Problem::error(at, &class.written, message));
            None
        }
        Some(Becomes::Later) => {
            let message = format!("{name} is not available in this version yet; the other handlers work");
            problems.push(Problem::warning(at, &class.written, message));
            None
        }
        Some(Becomes::Sink(convert, known)) => {
            let known: Vec<&str> = COMMON.iter().chain(known).copied().collect();
            unknown(arguments, &known, problems);
            let sink = table(&arguments.name);
            let mut handler = Handler { arguments, sink, place, problems };
            convert(&mut handler);
            handler.formatter(formatters);
            handler.levels();
            Some(handler.sink)
        }
        None => {
            let near = nearest(name, names());
            let message = match near {
                Some(_) => format!("there is no such handler: {}", class.node.value.shown()),
                None => format!(
                    "expected one of {}; found {}",
                    names().collect::<Vec<_>>().join(", "),
                    class.node.value.shown()
                ),
            };
            problems.push(Problem { nearest: near, ..Problem::error(at, &class.written, message) });
            None
        }
    }
}

fn stream(handler: &mut Handler<'_>) {
    handler.set("type", Raw::Text("stdout".into()));
    // Without a stream, Python writes to stderr.
    let default = Node { place: handler.place.clone(), value: Raw::Text("ext://sys.stderr".into()) };
    let (written, node) = match handler.arguments.get("stream") {
        Some(item) => (item.written.clone(), item.node.clone()),
        None => ("stream".to_owned(), default),
    };
    let value = match &node.value {
        Raw::Text(text) => Raw::Text(text.strip_prefix("ext://sys.").unwrap_or(text).to_owned()),
        other => other.clone(),
    };
    handler.sink.entries.push(item("stream", &written, node.place, value));
    handler.audience(true);
}

fn file(handler: &mut Handler<'_>) {
    handler.set("type", Raw::Text("file".into()));
    handler.need("filename", "path");
    handler.copy("mode", "mode");
    handler.audience(true);
}

fn rotating(handler: &mut Handler<'_>) {
    file(handler);
    // Python never rolls over if either is zero.
    if handler.number("maxBytes") > 0 && handler.number("backupCount") > 0 {
        handler.copy("maxBytes", "rotate_size");
        handler.copy("backupCount", "keep");
    }
}

fn timed(handler: &mut Handler<'_>) {
    file(handler);
    match handler.arguments.get("when") {
        Some(_) => handler.copy("when", "rotate_when"),
        None => handler.set("rotate_when", Raw::Text("h".into())),
    }
    match handler.arguments.get("interval") {
        Some(_) => handler.copy("interval", "rotate_interval"),
        None => handler.set("rotate_interval", Raw::Int(1)),
    }
    // Python deletes nothing unless told how many to keep.
    match handler.number("backupCount") > 0 {
        true => handler.copy("backupCount", "keep"),
        false => handler.set("keep", Raw::Int(0)),
    }
    handler.copy("utc", "utc");
    handler.unsupported("atTime");
}

fn syslog(handler: &mut Handler<'_>) {
    handler.set("type", Raw::Text("syslog".into()));
    let (address, unix) = handler.syslog_address();
    let stream = match handler.arguments.get("socktype").map(|item| (item, &item.node.value)) {
        None | Some((_, Raw::Null)) => false,
        Some((_, Raw::Text(name))) if name.ends_with("SOCK_DGRAM") => false,
        Some((_, Raw::Text(name))) if name.ends_with("SOCK_STREAM") => true,
        Some((item, _)) => {
            handler.mistake(item, "expected \"ext://socket.SOCK_DGRAM\" or \"ext://socket.SOCK_STREAM\"");
            false
        }
    };
    let transport = match (unix, stream) {
        (true, _) => "unix",
        (false, true) => "tcp",
        (false, false) => "udp",
    };
    handler.sink.entries.push(address);
    handler.set("transport", Raw::Text(transport.into()));
    handler.copy("facility", "facility");
    handler.set("protocol", Raw::Text("python".into()));
    handler.copy("timeout", "timeout");
    handler.audience(true);
}

fn smtp(handler: &mut Handler<'_>) {
    handler.set("type", Raw::Text("smtp".into()));
    match handler.arguments.get("mailhost") {
        None => handler.missing("mailhost", "\"mail.example.com\" or [\"mail.example.com\", 25]"),
        Some(item) => match &item.node.value {
            Raw::List(parts) => match parts.as_slice() {
                [host, port] => {
                    handler.put(item, "host", host.value.clone());
                    handler.put(item, "port", port.value.clone());
                }
                _ => handler.mistake(item, "expected \"host\" or [\"host\", port]"),
            },
            host => {
                handler.put(item, "host", host.clone());
                handler.set("port", Raw::Int(25));
            }
        },
    }
    handler.need("fromaddr", "from");
    handler.need("toaddrs", "to");
    handler.copy("subject", "subject");
    match handler.arguments.get("credentials").map(|item| (item, &item.node.value)) {
        None | Some((_, Raw::Null)) => {}
        Some((item, Raw::List(parts))) if parts.len() == 2 => {
            for (part, key) in parts.iter().zip(["username", "password"]) {
                handler.put(item, key, part.value.clone());
            }
        }
        Some((item, _)) => handler.mistake(item, "expected [\"user\", \"password\"]"),
    }
    match handler.arguments.get("secure").map(|item| (item, &item.node.value)) {
        None | Some((_, Raw::Null)) => handler.set("security", Raw::Text("none".into())),
        Some((item, Raw::List(parts))) if parts.len() <= 2 => {
            handler.put(item, "security", Raw::Text("starttls".into()));
            // Python verifies no certificate here: who has a self-signed one must go on getting mail.
            handler.put(item, "verify", Raw::Bool(false));
            if let [key, .., certificate] | [key @ certificate] = parts.as_slice() {
                handler.put(item, "client_certificate", certificate.value.clone());
                handler.put(item, "client_key", key.value.clone());
            }
        }
        Some((item, _)) => handler.mistake(item, "expected [], [\"keyfile\"] or [\"keyfile\", \"certfile\"]"),
    }
    handler.set("json", Raw::Text("only".into()));
    handler.copy("timeout", "timeout");
    handler.audience(false);
}

fn webhook(handler: &mut Handler<'_>) {
    handler.set("type", Raw::Text("webhook".into()));
    if handler.arguments.get("url").is_none() {
        handler.missing("url", "\"https://…\"");
    }
    for key in WEBHOOK {
        handler.copy(key, key);
    }
    if !handler.has("data") {
        let message = item("message", "data.message", handler.place.clone(), Raw::Text("%(message)s".into()));
        handler.set("data", Raw::Table(Table { name: "data".to_owned(), entries: vec![message] }));
    }
    if !handler.has("status_code") {
        handler.set("status_code", Raw::Int(200));
    }
    handler.audience(false);
}

impl Handler<'_> {
    /// Sets a key that the operator did not write.
    fn set(&mut self, ours: &str, value: Raw) {
        let written = format!("{}.{ours}", self.sink.name);
        self.sink.entries.push(item(ours, &written, self.place.clone(), value));
    }

    /// Sets a key from an argument.
    fn put(&mut self, from: &Item, ours: &str, value: Raw) {
        self.sink.entries.push(item(ours, &from.written, from.node.place.clone(), value));
    }

    fn copy(&mut self, argument: &str, ours: &str) {
        if let Some(found) = self.arguments.get(argument)
            && !matches!(found.node.value, Raw::Null)
        {
            self.put(found, ours, found.node.value.clone());
        }
    }

    /// Whether the sink has that key by now.
    fn has(&self, ours: &str) -> bool {
        self.sink.get(ours).is_some()
    }

    fn need(&mut self, argument: &str, ours: &str) {
        match self.arguments.get(argument) {
            Some(_) => self.copy(argument, ours),
            None => self.missing(argument, "a value"),
        }
    }

    fn missing(&mut self, argument: &str, expected: &str) {
        let key = format!("{}.{argument}", self.arguments.name);
        self.problems.push(Problem::error(
            Some(self.place.clone()),
            key,
            format!("expected {expected}, found none"),
        ));
    }

    fn mistake(&mut self, found: &Item, expected: &str) {
        let message = format!("{expected}, found {}", found.node.value.shown());
        self.problems.push(Problem::error(Some(found.node.place.clone()), &found.written, message));
    }

    fn unsupported(&mut self, argument: &str) {
        if let Some(found) = self.arguments.get(argument)
            && !matches!(found.node.value, Raw::Null)
        {
            let message = "is not available; left out";
            self.problems.push(Problem::warning(Some(found.node.place.clone()), &found.written, message));
        }
    }

    /// A whole number, 0 if it is none; what is no number at all is the sink's to refuse.
    fn number(&mut self, argument: &str) -> i64 {
        match self.arguments.get(argument).map(|item| (item, &item.node.value)) {
            None | Some((_, Raw::Null)) => 0,
            Some((_, Raw::Int(number))) => *number,
            Some((item, _)) => {
                self.mistake(item, "expected a whole number");
                0
            }
        }
    }

    /// `["host", port]` or the path of a socket; and whether it is a path.
    fn syslog_address(&mut self) -> (Item, bool) {
        let written = format!("{}.address", self.sink.name);
        let default =
            |place: &Place| item("address", &written, place.clone(), Raw::Text("localhost:514".into()));
        let Some(found) = self.arguments.get("address") else { return (default(&self.place), false) };
        let own = |value: String| item("address", &found.written, found.node.place.clone(), Raw::Text(value));
        match &found.node.value {
            Raw::Text(path) => (own(path.clone()), true),
            Raw::List(parts) => match parts.iter().map(|part| &part.value).collect::<Vec<_>>().as_slice() {
                [Raw::Text(host), Raw::Int(port)] if host.contains(':') => {
                    (own(format!("[{host}]:{port}")), false)
                }
                [Raw::Text(host), Raw::Int(port)] => (own(format!("{host}:{port}")), false),
                _ => {
                    self.mistake(found, "expected [\"host\", port] or the path of a socket");
                    (default(&self.place), false)
                }
            },
            _ => {
                self.mistake(found, "expected [\"host\", port] or the path of a socket");
                (default(&self.place), false)
            }
        }
    }

    /// The peer sends everything everywhere, event by event; people get no mail about the canary itself, though.
    fn audience(&mut self, operational: bool) {
        self.set("format", Raw::Text("compatible".into()));
        self.set("min_severity", Raw::Text("low".into()));
        self.set("operational", Raw::Bool(operational));
        self.set("mask", Raw::Bool(false));
        self.set("notify", Raw::Text("event".into()));
    }

    /// The pattern of the formatter, if the handler names one.
    fn formatter(&mut self, formatters: &Table) {
        let Some(named) = self.arguments.get("formatter") else { return };
        let Raw::Text(name) = &named.node.value else {
            return self.mistake(named, "expected the name of a formatter");
        };
        let Some(found) = formatters.get(name) else {
            let message = format!("there is no formatter {name:?}");
            let problem = Problem::error(Some(named.node.place.clone()), &named.written, message);
            let names = formatters.entries.iter().map(|item| item.key.as_str());
            return self.problems.push(problem.near(name, names));
        };
        let Some(formatter) = as_table(found, self.problems) else { return };
        unknown(formatter, &["format", "datefmt", "style", "class", "validate", "defaults"], self.problems);
        if let Some(style) = formatter.get("style")
            && !matches!(&style.node.value, Raw::Text(style) if style == "%")
        {
            self.mistake(style, "expected \"%\", the only style that is understood");
        }
        for (theirs, ours) in [("format", "pattern"), ("datefmt", "date_format")] {
            if let Some(part) = formatter.get(theirs)
                && !matches!(part.node.value, Raw::Null)
            {
                self.put(part, ours, part.node.value.clone());
            }
        }
    }

    /// Every event has the level WARNING there; what asks for more would get nothing.
    fn levels(&mut self) {
        self.unsupported("filters");
        if let Some(found) = self.arguments.get("level") {
            let above = match &found.node.value {
                Raw::Text(level) => {
                    matches!(level.to_ascii_uppercase().as_str(), "ERROR" | "CRITICAL" | "FATAL")
                }
                Raw::Int(level) => *level > 30,
                _ => false,
            };
            if above {
                let message = "every event has the level WARNING; ignored, or nothing would be sent";
                self.problems.push(Problem::warning(Some(found.node.place.clone()), &found.written, message));
            }
        }
    }
}

fn as_table<'t>(found: &'t Item, problems: &mut Vec<Problem>) -> Option<&'t Table> {
    if let Raw::Table(table) = &found.node.value {
        return Some(table);
    }
    let message = format!("expected an object, found {}", found.node.value.shown());
    problems.push(Problem::error(Some(found.node.place.clone()), &found.written, message));
    None
}

fn unknown(table: &Table, known: &[&str], problems: &mut Vec<Problem>) {
    for found in table.entries.iter().filter(|item| !known.contains(&item.key.as_str())) {
        let warning = Problem::warning(Some(found.node.place.clone()), &found.written, "unknown key");
        problems.push(warning.near(&found.key, known.iter().copied()));
    }
}
