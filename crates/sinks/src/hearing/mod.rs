//! What a sink hears of what it could: filters, a rate, a digest, quiet hours and masked passwords. All of it is the
//! same for every sink, and none of it loses anything: what is not told at once is told as a number, and until it is,
//! the sink's cursor stays before it. After a restart it is read again.
//!
//! Critical events are never held back: neither by a digest nor by quiet hours; and of a rate they have one of their
//! own, which no flood of others uses up.

mod ear;
mod filter;
mod mask;
mod tally;

use std::time::Duration;

use haldane_core::{
    Class, Kind, Section, Severity, Window,
    section::{parse_duration, show_duration},
};

pub(crate) use ear::{Clock, Ear, Verdict};
pub(crate) use mask::masked;

use self::filter::Filter;

/// More happened than a sink's `rate` lets it tell: fields `summary`, `count`, `kinds`, `sources`, `first`, `last`; of news of
/// incidents also `incidents`, each with what was last said of it.
pub static SUPPRESSED: Kind = Kind::new(
    39060,
    "sink.suppressed",
    Class::Incident,
    Severity::Medium,
    "More that was not told one by one",
);
/// What came since the last digest: the same fields.
pub static DIGEST: Kind = Kind::new(39061, "sink.digest", Class::Incident, Severity::Low, "Digest");

/// Both.
pub static KINDS: &[&Kind] = &[&SUPPRESSED, &DIGEST];

/// What the operator chose for one sink.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hearing {
    only: Option<Filter>,
    except: Option<Filter>,
    rate: Option<Rate>,
    digest: Digest,
    quiet: Option<Window>,
    closings: bool,
    mask: bool,
}

/// Messages in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    most: usize,
    per: Duration,
}

/// When what was gathered is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Digest {
    /// Nothing is gathered.
    #[default]
    Off,
    /// At every full hour.
    Hourly,
    /// At eight in the morning, when people come to work.
    Daily,
}

/// The most messages that a rate can have: each takes some memory.
const MOST: usize = 1_000;

impl Hearing {
    /// Reads `only`, `except`, `rate`, `digest`, `quiet_hours`, `closings` and `mask`, with the defaults of the last two.
    pub fn configure(section: &mut Section<'_>, closings: bool, mask: bool) -> Self {
        let about = "Only these are sent: a table with services, kinds and sources, as in \
                     { services = [\"ssh\"], kinds = [\"*.login\"], sources = [\"10.0.0.0/8\"] }.";
        let only = filter(section, "only", about);
        let except = filter(section, "except", "These are not sent: a table as for `only`.");
        let about = "Messages in a time, as in \"10/1h\". What is more is counted, and the number is told as soon as there \
                     is room. Critical ones have the same rate once more, for themselves. Left out: no bound.";
        let rate = section.optional("rate", about).and_then(|text| {
            let rate = rate(&text);
            if rate.is_none() {
                section.invalid("rate", format!("expected 1 to {MOST} messages in a time, as in \"10/1h\""));
            }
            rate
        });
        let about = "Whether what is not critical is gathered into one message: \"off\", \"hourly\" (at the full hour) or \
                     \"daily\" (at eight in the morning, local time).";
        let digest = match section.choice("digest", "off", &["off", "hourly", "daily"], about) {
            "hourly" => Digest::Hourly,
            "daily" => Digest::Daily,
            _ => Digest::Off,
        };
        let about = "Hours in which only critical ones are sent, local time, as in \"22:00-07:00\". The rest is sent after \
                     them.";
        let quiet = section.optional("quiet_hours", about).and_then(|text| {
            let quiet = Window::of_hours(&text);
            if quiet.is_none() {
                section.invalid("quiet_hours", "expected two times, as in \"22:00-07:00\"");
            }
            quiet
        });
        let about = "With notify = \"incident\": whether the end of an incident is told where nothing new has happened since \
                     the last message about it.";
        let closings = section.flag("closings", closings, about);
        let about = "Whether passwords and other secrets that were tried are shown as first letter and length, and what \
                     could be cracked is left out. The store always has all of it.";
        let mask = section.flag("mask", mask, about);
        Self { only, except, rate, digest, quiet, closings, mask }
    }

    /// Reads `only` and `except` alone, for whoever acts on news instead of telling them: none waits, all is shown.
    pub fn filters(section: &mut Section<'_>) -> Self {
        let about = "Only for incidents with these in them: a table with services, kinds and sources, as in \
                     { services = [\"ssh\"], kinds = [\"*.login\"], sources = [\"10.0.0.0/8\"] }.";
        let only = filter(section, "only", about);
        let except =
            filter(section, "except", "Not for incidents that are all of these: a table as for `only`.");
        Self { only, except, closings: true, ..Self::default() }
    }

    /// What keeps a record back, or changes it, in words.
    pub(crate) fn limits(&self) -> Vec<String> {
        let rate = |rate: Rate| format!("at most {} in {} (`rate`)", rate.most, show_duration(rate.per));
        let parts = [
            self.only.as_ref().map(|_| "those that `only` names".to_owned()),
            self.except.as_ref().map(|_| "not those that `except` names".to_owned()),
            self.rate.map(rate),
            (self.digest != Digest::Off).then(|| "what is not critical as a digest (`digest`)".to_owned()),
            self.quiet.as_ref().map(|_| "in `quiet_hours` critical ones alone".to_owned()),
            self.mask.then(|| "secrets masked (`mask`)".to_owned()),
        ];
        parts.into_iter().flatten().collect()
    }

    /// Whether each record is told or not by itself: nothing is counted or waits.
    pub(crate) fn is_plain(&self) -> bool {
        self.rate.is_none() && self.digest == Digest::Off && self.quiet.is_none()
    }

    /// Whether secrets are masked.
    pub(crate) fn masks(&self) -> bool {
        self.mask
    }
}

fn filter(section: &mut Section<'_>, key: &'static str, about: &'static str) -> Option<Filter> {
    let tables = section.tables(key, about);
    let filters: Vec<Filter> =
        tables.into_iter().map(|table| section.within(table, Filter::configure)).collect();
    match filters.as_slice() {
        [] => None,
        [filter] if !filter.is_empty() => Some(filter.clone()),
        [_] => {
            section.invalid(key, "expected services, kinds or sources in it");
            None
        }
        _ => {
            section.invalid(key, "expected one table");
            None
        }
    }
}

fn rate(text: &str) -> Option<Rate> {
    let (most, per) = text.split_once('/')?;
    let most = most.trim().parse().ok().filter(|most| (1..=MOST).contains(most))?;
    let per = per.trim();
    // "10/h" is "10/1h".
    let per = parse_duration(per).or_else(|| parse_duration(&format!("1{per}")))?;
    (!per.is_zero()).then_some(Rate { most, per })
}
