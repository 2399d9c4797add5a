//! Patterns of Python's `logging.Formatter`, as in `%(asctime)s %(levelname)-8s %(message)s`.
//!
//! Parsed once, when the configuration is read, so that a mistake is the operator's to see then. The names
//! are those of Python's LogRecord (library reference, "LogRecord attributes"), the conversions those of
//! "printf-style String Formatting": `s`, `d`, `i` and `f` with flags, width and precision, and `%%`.

use std::time::SystemTime;

use haldane_core::Event;
use jiff::{Timestamp, ZonedDateTime, fmt::strtime, tz::TimeZone};

use super::time;

/// A pattern, ready to be filled in.
#[derive(Debug, Clone)]
pub struct Pattern {
    pieces: Vec<Piece>,
    dates: Option<String>,
    started: Timestamp,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Field { attribute: Attribute, form: Form },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Message,
    Name,
    LevelName,
    LevelNumber,
    Asctime,
    Created,
    Milliseconds,
    SinceStart,
    Process,
    Line,
    Fixed(&'static str),
}

#[derive(Debug, Clone, Default)]
struct Form {
    left: bool,
    zero: bool,
    plus: bool,
    blank: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

/// What stands for a name, before it is brought into form.
enum Filling<'a> {
    Text(&'a str),
    Whole(u32),
    Real(f64),
}

impl Pattern {
    /// Reads a pattern and, for `%(asctime)s`, a format of strftime (without one: as in
    /// `2026-11-24 04:37:15,880`).
    ///
    /// # Errors
    /// In words for the operator: what was expected.
    pub fn parse(pattern: &str, dates: Option<&str>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = pattern;
        while let Some((literal, after)) = rest.split_once('%') {
            push_literal(&mut pieces, literal);
            if let Some(after) = after.strip_prefix('%') {
                push_literal(&mut pieces, "%");
                rest = after;
                continue;
            }
            let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
            let (name, after) = named.ok_or("expected %(name)s or %% after each %")?;
            let (form, after) = Form::parse(name, after)?;
            let attribute = Attribute::of(name)?;
            if form.conversion != 's' && attribute.is_text() {
                return Err(format!("expected %({name})s, since {name} is text"));
            }
            pieces.push(Piece::Field { attribute, form });
            rest = after;
        }
        push_literal(&mut pieces, rest);
        if !pieces.iter().any(|piece| matches!(piece, Piece::Field { .. })) {
            return Err("expected at least one %(name)s, as in \"%(message)s\"".into());
        }
        if let Some(dates) = dates {
            let noon = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
            strtime::format(dates, &noon)
                .map_err(|error| format!("expected another date format: {error}"))?;
        }
        Ok(Self { pieces, dates: dates.map(str::to_owned), started: Timestamp::now() })
    }

    /// Fills it in. `message` is what stands for `%(message)s`, `node` for `%(name)s`.
    pub fn render(&self, event: &Event, node: &str, message: &str) -> String {
        let at = time::zoned(event.at, &TimeZone::system());
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Field { attribute, form } => match attribute {
                    Attribute::Message => form.fill(&mut out, &Filling::Text(message)),
                    Attribute::Name => form.fill(&mut out, &Filling::Text(node)),
                    Attribute::Asctime => form.fill(&mut out, &Filling::Text(&self.asctime(&at))),
                    // The peer logs whatever it sees as a warning.
                    Attribute::LevelName => form.fill(&mut out, &Filling::Text("WARNING")),
                    Attribute::LevelNumber => form.fill(&mut out, &Filling::Whole(30)),
                    Attribute::Created => form.fill(&mut out, &Filling::Real(seconds(event.at))),
                    Attribute::Milliseconds => {
                        form.fill(&mut out, &Filling::Real(f64::from(at.millisecond())));
                    }
                    Attribute::SinceStart => {
                        let since = at.timestamp().duration_since(self.started).as_secs_f64() * 1000.0;
                        form.fill(&mut out, &Filling::Real(since.max(0.0)));
                    }
                    Attribute::Process => form.fill(&mut out, &Filling::Whole(std::process::id())),
                    Attribute::Line => form.fill(&mut out, &Filling::Whole(0)),
                    Attribute::Fixed(text) => form.fill(&mut out, &Filling::Text(text)),
                },
            }
        }
        out
    }

    fn asctime(&self, at: &ZonedDateTime) -> String {
        let shown = self.dates.as_deref().and_then(|dates| strtime::format(dates, at).ok());
        shown.unwrap_or_else(|| at.strftime("%Y-%m-%d %H:%M:%S,%3f").to_string())
    }
}

impl Attribute {
    fn of(name: &str) -> Result<Self, String> {
        let known = ATTRIBUTES.iter().find(|(known, _)| *known == name);
        known.map(|(_, attribute)| *attribute).ok_or_else(|| {
            let near = haldane_core::section::nearest(name, ATTRIBUTES.iter().map(|(known, _)| *known));
            match near {
                Some(near) => format!("expected a known name in place of %({name}), perhaps %({near})"),
                None => format!("expected a known name in place of %({name}), such as %(message)s"),
            }
        })
    }

    fn is_text(self) -> bool {
        matches!(self, Self::Message | Self::Name | Self::LevelName | Self::Asctime | Self::Fixed(_))
    }
}

impl Form {
    /// Reads flags, width, precision and conversion.
    fn parse<'p>(name: &str, text: &'p str) -> Result<(Self, &'p str), String> {
        let mut form = Self::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next().filter(|c| "-0+ #".contains(*c)) {
            match flag {
                '-' => form.left = true,
                '0' => form.zero = true,
                '+' => form.plus = true,
                ' ' => form.blank = true,
                _ => {}
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        let (width, after) = number(rest)?;
        (form.width, rest) = (width.unwrap_or_default(), after);
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?;
            (form.precision, rest) = (Some(precision.unwrap_or_default()), after);
        }
        // A length modifier means nothing in Python either.
        rest = rest.strip_prefix(['h', 'l', 'L']).unwrap_or(rest);
        let conversion = rest.chars().next();
        form.conversion = match conversion {
            Some('s') => 's',
            Some('d' | 'i' | 'u') => 'd',
            Some('f' | 'F') => 'f',
            _ => return Err(format!("expected s, d or f after %({name})")),
        };
        Ok((form, rest.get(1..).unwrap_or_default()))
    }

    fn fill(&self, out: &mut String, filling: &Filling<'_>) {
        let body = match (filling, self.conversion) {
            (Filling::Text(text), _) => self.cut(text),
            (Filling::Whole(number), 's') => self.cut(&number.to_string()),
            (Filling::Real(number), 's') => self.cut(&format!("{number:?}")),
            (Filling::Whole(number), 'f') => self.decimals(f64::from(*number)),
            (Filling::Real(number), 'f') => self.decimals(*number),
            (Filling::Whole(number), _) => self.digits(number.to_string()),
            (Filling::Real(number), _) => self.digits(format!("{:.0}", number.trunc())),
        };
        let sign = match self.conversion {
            's' => "",
            _ if self.plus => "+",
            _ if self.blank => " ",
            _ => "",
        };
        let long = body.chars().count().saturating_add(sign.len());
        let missing = self.width.saturating_sub(long);
        let (before, zeros, after) = match (self.left, self.zero && self.conversion != 's') {
            (true, _) => (0, 0, missing),
            (false, true) => (0, missing, 0),
            (false, false) => (missing, 0, 0),
        };
        out.extend(std::iter::repeat_n(' ', before));
        out.push_str(sign);
        out.extend(std::iter::repeat_n('0', zeros));
        out.push_str(&body);
        out.extend(std::iter::repeat_n(' ', after));
    }

    fn cut(&self, text: &str) -> String {
        text.chars().take(self.precision.unwrap_or(usize::MAX)).collect()
    }

    fn digits(&self, digits: String) -> String {
        format!("{digits:0>width$}", width = self.precision.unwrap_or_default())
    }

    fn decimals(&self, number: f64) -> String {
        format!("{number:.precision$}", precision = self.precision.unwrap_or(6))
    }
}

/// Adds to the literal that is there already, so that `100%%` is one piece.
fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Literal(literal)) => literal.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

/// A width or precision, if there is one.
fn number(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let number = digits.parse().ok().filter(|number| *number <= WIDEST);
    let number =
        number.ok_or_else(|| format!("expected a width of at most {WIDEST} in place of {digits}"))?;
    Ok((Some(number), rest))
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The widest field: a bound on what a pattern costs. Rust's own formatting ends at 65,535.
const WIDEST: usize = 1000;

/// What LogRecord has. Where the code is that logged cannot mean anything here: those are the peer's values.
const ATTRIBUTES: [(&str, Attribute); 20] = [
    ("message", Attribute::Message),
    ("msg", Attribute::Message),
    ("name", Attribute::Name),
    ("levelname", Attribute::LevelName),
    ("levelno", Attribute::LevelNumber),
    ("asctime", Attribute::Asctime),
    ("created", Attribute::Created),
    ("msecs", Attribute::Milliseconds),
    ("relativeCreated", Attribute::SinceStart),
    ("process", Attribute::Process),
    ("processName", Attribute::Fixed("MainProcess")),
    ("thread", Attribute::Process),
    ("threadName", Attribute::Fixed("MainThread")),
    ("taskName", Attribute::Fixed("None")),
    ("filename", Attribute::Fixed("logger.py")),
    ("pathname", Attribute::Fixed("logger.py")),
    ("module", Attribute::Fixed("logger")),
    ("funcName", Attribute::Fixed("log")),
    ("lineno", Attribute::Line),
    ("exc_text", Attribute::Fixed("None")),
];
