//! `[[action]]`: what is done about whoever touches a decoy; `[response]`: about whom never; `[heartbeat]`.

use std::{fmt, path::PathBuf, time::Duration};

use haldane_core::{
    Kind, Notify, Problem, Section, Severity, Table, Wants,
    section::{Item, Node, Raw},
};
use haldane_pipeline::incidents::{CLOSED, OPENED, UPDATED};
use haldane_sinks::{ALL, AnySink, Delivery, Entry, Hearing, Sender};
use ipnet::IpNet;

use super::service::canonical;

/// The shortest and longest time in a set. The kernel's sets of either sort hold more than a week.
pub const LENGTHS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(7 * 86_400)];
/// The longest that a program or a request may take.
const LONGEST: Duration = Duration::from_secs(600);
/// Between the end of a program's time and the runner's: its own words come first.
const MARGIN: Duration = Duration::from_secs(15);
/// A heartbeat at most so often.
const FASTEST: Duration = Duration::from_secs(10);

/// News of an incident that an action can be taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// It opened.
    Opened,
    /// It became worse, or larger.
    Escalated,
    /// It is over.
    Closed,
}

impl Occasion {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Opened, Self::Escalated, Self::Closed];

    /// The word used in configuration and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Escalated => "escalated",
            Self::Closed => "closed",
        }
    }

    /// Which of them events of that kind are.
    pub fn of(kind: &Kind) -> Option<Self> {
        let kinds = [(&OPENED, Self::Opened), (&UPDATED, Self::Escalated), (&CLOSED, Self::Closed)];
        kinds.into_iter().find(|(known, _)| **known == *kind).map(|(_, occasion)| occasion)
    }
}

/// A program of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is; absolute.
    pub path: PathBuf,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
}

/// A set of addresses in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// Of nftables.
    Nftables {
        /// As in `inet`.
        family: String,
        /// The table's name.
        table: String,
        /// Its own.
        set: String,
    },
    /// Of ipset, by its name.
    Ipset(String),
}

impl Set {
    /// From words as in `nftables inet filter walled` or `ipset walled`: nothing that `nft` or `ipset` could take for
    /// anything but names.
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let family = |family: &str| ["ip", "ip6", "inet", "bridge", "netdev"].contains(&family);
        match words.as_slice() {
            ["nftables", of, table, set] if family(of) && is_name(table) && is_name(set) => {
                let [family, table, set] = [of, table, set].map(|word| (*word).to_owned());
                Some(Self::Nftables { family, table, set })
            }
            ["ipset", set] if is_name(set) => Some(Self::Ipset((*set).to_owned())),
            _ => None,
        }
    }
}

/// A letter, then letters, digits, `_`, `-` and `.`: as both programs allow, at the length of the stricter (ipset).
fn is_name(word: &str) -> bool {
    let within = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.len() <= 31 && word.chars().all(within)
}

/// As [`Set::parse`] reads it.
impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nftables { family, table, set } => write!(f, "nftables {family} {table} {set}"),
            Self::Ipset(set) => write!(f, "ipset {set}"),
        }
    }
}

/// What an action does.
pub enum Act {
    /// Runs a program.
    Run(Program),
    /// Calls a webhook.
    Webhook(Box<dyn AnySink>),
    /// Adds the source to a set, for a time.
    Block(Set, Duration),
}

impl Act {
    /// The set that it adds to, if that is what it does.
    pub fn set(&self) -> Option<&Set> {
        match self {
            Self::Block(set, _) => Some(set),
            Self::Run(_) | Self::Webhook(_) => None,
        }
    }
}

/// One action.
pub struct ActionConfig {
    /// What it is called in events.
    pub name: String,
    /// Why it is there.
    pub comment: String,
    /// When it is taken.
    pub on: Vec<Occasion>,
    /// About whom; everybody if empty.
    pub sources: Vec<IpNet>,
    /// About whom never.
    pub never: Vec<IpNet>,
    /// What it does.
    pub act: Act,
    /// Whether it only says what it would do.
    pub dry_run: bool,
    /// How it is served.
    pub delivery: Delivery,
    /// Equal for two actions that need no restart to become each other.
    pub fingerprint: String,
}

impl fmt::Debug for ActionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionConfig").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A life sign.
#[derive(Default)]
pub struct Heartbeat {
    /// How often.
    pub every: Option<Duration>,
    /// Where it is sent besides the sinks: sink, delivery and fingerprint.
    pub url: Option<(Box<dyn AnySink>, Delivery, String)>,
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeat").field("every", &self.every).finish_non_exhaustive()
    }
}

/// Reads `[response]`: about whom nothing is ever done.
pub(super) fn never(section: &mut Section<'_>) -> Vec<IpNet> {
    let about = "Addresses and networks that no action is taken about, as in \"192.0.2.10\" or \"10.9.0.0/16\": your own \
                 scanners and desks. This machine's gateways and resolvers are always spared.";
    section.networks("never", &[], about)
}

/// Reads every `[[action]]`.
pub(super) fn read_all(section: &mut Section<'_>, never: &[IpNet], sender: &Sender) -> Vec<ActionConfig> {
    let about = "What is done when an incident opens or escalates, each a table [[action]]: a program, a webhook, or the \
                 source in a set of nftables or ipset for a time.";
    let tables = section.tables("action", about);
    let mut actions: Vec<ActionConfig> = Vec::new();
    for (at, table) in tables.into_iter().enumerate() {
        let Some(action) = section.within(table, |section| read(section, at, never, sender)) else {
            continue;
        };
        if actions.iter().any(|other| other.name == action.name) {
            let item = table.get("name").or_else(|| table.entries.first());
            let message = format!("expected a name of its own: two actions are called {:?}", action.name);
            section.note(Problem::error(item.map(|item| item.node.place.clone()), "action.name", message));
        }
        actions.push(action);
    }
    actions
}

/// Reads one, the `at`th of the file. `None`: it says nothing that could be done, which is noted.
pub(super) fn read(
    section: &mut Section<'_>,
    at: usize,
    never: &[IpNet],
    sender: &Sender,
) -> Option<ActionConfig> {
    let about = "What it is called in events. Left out: its number in this file.";
    let name = section.optional("name", about).unwrap_or_else(|| at.saturating_add(1).to_string());
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        section.invalid("name", "expected 1 to 64 characters on one line");
    }
    let comment = section.text("comment", "", "Why it is there.");
    let on = occasions(section);
    let words = Severity::ALL.map(Severity::name);
    let about = "Only for incidents that are as severe: info, low, medium, high or critical.";
    let word = section.choice("min_severity", Severity::High.name(), &words, about);
    let severity =
        Severity::ALL.into_iter().find(|severity| severity.name() == word).unwrap_or(Severity::High);
    let about = "Only for sources in these networks. Left out: for every source.";
    let sources = section.networks("sources", &[], about);
    let hearing = Hearing::filters(section);
    let about = "Addresses and networks that it is never taken about, besides those of [response].";
    let mut spared = section.networks("never", &[], about);
    spared.extend_from_slice(never);
    let act = act(section, sender);
    let dry_run = section.flag("dry_run", false, "Whether it only says, as an event, what it would do.");
    let (act, timeout) = act?;
    let wants = Wants { severity, operational: false, notify: Notify::Incident };
    let delivery = Delivery { name: format!("[action] {name}"), wants, timeout, batch: 1, hearing };
    let fingerprint = format!("{name} {} {spared:?} {}", canonical(section.table()), sender.node);
    Some(ActionConfig { name, comment, on, sources, never: spared, act, dry_run, delivery, fingerprint })
}

fn occasions(section: &mut Section<'_>) -> Vec<Occasion> {
    let about = "When it is taken: opened, escalated (first credential, more severe, a new service, ten times as many \
                 events …), closed.";
    let mut on = Vec::new();
    for word in section.list("on", &["opened", "escalated"], about) {
        match Occasion::ALL.into_iter().find(|occasion| occasion.name().eq_ignore_ascii_case(word.trim())) {
            Some(occasion) => on.push(occasion),
            None => section.invalid("on", format!("expected opened, escalated or closed, not {word:?}")),
        }
    }
    if on.is_empty() {
        section.invalid("on", "expected at least one of opened, escalated and closed");
    }
    on
}

/// What is done, and how long the runner waits for it.
fn act(section: &mut Section<'_>, sender: &Sender) -> Option<(Act, Duration)> {
    let about = "A program and its arguments, as in [\"/usr/local/bin/alarm\", \"--siren\"]: no shell, no variables; the \
                 incident is on its standard input, as JSON.";
    let run = section.list("run", &[], about);
    let about = "A URL that the incident is posted to, as JSON; or a table with the keys of a webhook, as in \
                 { url = \"https://soar.example.com/\", sign = \"github\", sign_secret = \"$SECRET\" }.";
    let webhook = section.raw("webhook", None, about).is_some();
    let about = "A set of nftables that the source is added to: family, table and set, as in \"inet filter walled\". It \
                 must be there and have `flags timeout`.";
    let nftables = section.optional("nftables", about);
    let ipset =
        section.optional("ipset", "The same with a set of ipset, as in \"walled\", made with `timeout`.");
    let about = "How long the source stays in the set.";
    let length = section.duration("for", Duration::from_secs(3600), about);
    let about =
        "The longest that the program or the request may take. A program that takes longer is killed.";
    let timeout = section.duration("timeout", Duration::from_secs(30), about);
    if !(Duration::from_millis(100)..=LONGEST).contains(&timeout) {
        section.invalid("timeout", "expected between 100ms and 10m");
    }
    let [shortest, longest] = LENGTHS;
    if !(shortest..=longest).contains(&length) {
        section.invalid("for", "expected between 1s and 7d");
    }
    let chosen = [section.has("run"), webhook, nftables.is_some(), ipset.is_some()];
    if chosen.iter().filter(|chosen| **chosen).count() != 1 {
        let place = section.table().entries.first().map(|item| item.node.place.clone());
        let message = "expected exactly one of run, webhook, nftables and ipset";
        section.note(Problem::error(place, "action", message));
        return None;
    }
    let blocks = nftables.is_some() || ipset.is_some();
    if !blocks && section.has("for") {
        section.invalid("for", "expected beside nftables or ipset only");
    }
    let runner = timeout.saturating_add(MARGIN);
    if let Some(words) = &nftables {
        let set = Set::parse(&format!("nftables {}", words.split_whitespace().collect::<Vec<_>>().join(" ")));
        return block(
            section,
            "nftables",
            "expected family, table and set, as in \"inet filter walled\"",
            set,
            length,
        );
    }
    if let Some(name) = &ipset {
        let set = Set::parse(&format!("ipset {}", name.trim()));
        return block(
            section,
            "ipset",
            "expected the name of a set: letters, digits, _ - and .",
            set,
            length,
        );
    }
    if webhook {
        let (sink, _) = hook(section, "webhook", Vec::new(), sender)?;
        return Some((Act::Webhook(sink), runner));
    }
    Some((Act::Run(program(section, run, timeout)?), runner))
}

fn block(
    section: &mut Section<'_>,
    key: &str,
    expected: &str,
    set: Option<Set>,
    length: Duration,
) -> Option<(Act, Duration)> {
    if set.is_none() {
        section.invalid(key, expected);
    }
    // The gate has a time limit of its own for `nft` and `ipset`.
    set.map(|set| (Act::Block(set, length), MARGIN.saturating_mul(2)))
}

fn program(section: &mut Section<'_>, words: Vec<String>, timeout: Duration) -> Option<Program> {
    let mut words = words.into_iter();
    let path = words.next().map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(path) = path else {
        section.invalid("run", "expected a list that begins with the absolute path of a program");
        return None;
    };
    let arguments: Vec<String> = words.collect();
    if arguments.iter().any(|argument| argument.contains('\0')) {
        section.invalid("run", "expected arguments without NUL");
    }
    if !path.is_file() {
        let item = section.table().get("run");
        let message = format!("there is no program {}", path.display());
        section.note(Problem::warning(item.map(|item| item.node.place.clone()), "action.run", message));
    }
    Some(Program { path, arguments, timeout })
}

/// The webhook under `key`: a URL, or a table with the webhook's keys; `more` is added to that.
fn hook(
    section: &mut Section<'_>,
    key: &'static str,
    more: Vec<(&str, Raw)>,
    sender: &Sender,
) -> Option<(Box<dyn AnySink>, Delivery)> {
    let item = section.table().get(key)?;
    let own = |key: &str, node: &Node| Item {
        key: key.to_owned(),
        written: item.written.clone(),
        node: node.clone(),
    };
    let mut table = match &item.node.value {
        Raw::Text(_) => Table { name: item.written.clone(), entries: vec![own("url", &item.node)] },
        Raw::Table(table) => table.clone(),
        _ => {
            section.invalid(key, "expected a URL, or a table with one: { url = \"https://…\" }");
            return None;
        }
    };
    if let Some(timeout) = section.table().get("timeout").filter(|_| table.get("timeout").is_none()) {
        table.entries.push(own("timeout", &timeout.node));
    }
    let place = item.node.place.clone();
    table
        .entries
        .extend(more.into_iter().map(|(key, value)| own(key, &Node { place: place.clone(), value })));
    let entry = ALL.iter().find(|entry: &&Entry| entry.name == "webhook")?;
    Some(section.within(&table, |section| entry.build("[heartbeat]", section, sender)))
}

/// Reads `[heartbeat]`. `alive`: the name of its kind of event.
pub(super) fn heartbeat(section: &mut Section<'_>, alive: &str, sender: &Sender) -> Heartbeat {
    let about = "How often an event says that the canary is alive, as in \"1h\": to sinks that ask for operational events, \
                 so that silence is noticed. \"0s\": never.";
    let every = section.duration("every", Duration::ZERO, about);
    if !every.is_zero() && every < FASTEST {
        section.invalid("every", "expected at least 10s, or 0s for never");
    }
    let about = "A URL that each of them is posted to, of a service that raises an alarm when nothing comes; or a table with \
                 the keys of a webhook, as in { url = \"https://hc.example.com/ping/x\", method = \"GET\" }.";
    let wanted = section.raw("url", None, about).is_some();
    if wanted && every.is_zero() {
        section.invalid("url", "expected beside `every`, as in every = \"1h\"");
        return Heartbeat::default();
    }
    let place = section.table().get("url").map(|item| item.node.place.clone());
    let url = place.and_then(|place| {
        let list = Raw::List(vec![Node { place: place.clone(), value: Raw::Text(alive.to_owned()) }]);
        let kinds = Item { key: "kinds".into(), written: "kinds".into(), node: Node { place, value: list } };
        let only = Raw::Table(Table { name: "only".into(), entries: vec![kinds] });
        let more =
            vec![("only", only), ("operational", Raw::Bool(true)), ("notify", Raw::Text("event".into()))];
        let (sink, delivery) = hook(section, "url", more, sender)?;
        Some((sink, delivery, format!("{} {}", canonical(section.table()), sender.node)))
    });
    Heartbeat { every: (!every.is_zero()).then_some(every), url }
}
