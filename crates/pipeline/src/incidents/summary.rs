//! An incident in one sentence of plain words, as in "10.1.4.7 scanned 312 ports, then tried 14 SSH passwords as root
//! and admin".

use haldane_core::{Class, Severity, Untrusted};

use super::{Act, Incident, short};

/// Longest sentence, in characters.
pub(super) const LONGEST: usize = 300;
/// Ports of ours without a scan sensor that make a scan.
const SCAN: u64 = 5;
/// Characters of a name.
const NAME: usize = 24;

/// One part of the sentence.
struct Clause {
    text: String,
    /// Must not be left out.
    grave: bool,
}

/// The sentence, without full stop: at most [`LONGEST`] characters, escaped whatever a peer sent.
pub fn summary(incident: &Incident) -> String {
    let mut clauses = Vec::new();
    let ports = incident.ports.count().max(incident.scanned);
    let scan = incident.acts.iter().any(|act| act.class == Class::Scan);
    if scan || ports >= SCAN {
        let done = if scan || ports > 20 { "scanned" } else { "touched" };
        let text =
            if ports > 1 { format!("{done} {ports} ports") } else { "looked over the network".to_owned() };
        clauses.push(Clause { text, grave: false });
    }
    let probed = names(incident, Class::Probe);
    if !probed.is_empty() {
        clauses.push(Clause { text: format!("probed {}", listed(&probed, 6)), grave: false });
    }
    for act in &incident.acts {
        clauses.extend(clause(act));
    }
    if clauses.is_empty() {
        let reached = names(incident, Class::Connection);
        let text = if reached.is_empty() {
            "was seen".to_owned()
        } else {
            format!("connected to {}", listed(&reached, 6))
        };
        clauses.push(Clause { text, grave: false });
    }
    let subject = subject(incident);
    let mut cut = false;
    loop {
        let sentence = joined(&subject, &clauses, cut);
        if sentence.chars().count() <= LONGEST {
            return sentence;
        }
        // The last that can be left out goes.
        let Some(place) = clauses.iter().rposition(|clause| !clause.grave).or(clauses.len().checked_sub(1))
        else {
            return short(&sentence, LONGEST.saturating_sub(1));
        };
        if clauses.len() == 1 {
            return short(&sentence, LONGEST.saturating_sub(1));
        }
        clauses.remove(place);
        cut = true;
    }
}

fn joined(subject: &str, clauses: &[Clause], cut: bool) -> String {
    let mut sentence = subject.to_owned();
    let last = clauses.len().saturating_sub(1);
    for (place, clause) in clauses.iter().enumerate() {
        sentence.push_str(match place {
            0 => " ",
            1 => ", then ",
            _ if place == last && !cut => " and ",
            _ => ", ",
        });
        sentence.push_str(&clause.text);
    }
    if cut {
        sentence.push_str(" and did more");
    }
    sentence
}

fn subject(incident: &Incident) -> String {
    let Some(source) = incident.source() else { return "Many sources, probably forged,".to_owned() };
    let facts = &incident.facts;
    match facts.name.as_ref().or(facts.vendor.as_ref()) {
        Some(known) => format!("{source} ({})", short(&known.to_string(), 64)),
        None => source.to_string(),
    }
}

/// What was done to a service, unless it is told together with others.
fn clause(act: &Act) -> Option<Clause> {
    let name = name(&act.service);
    let times = |count: u64| if count == 1 { "once".to_owned() } else { format!("{count} times") };
    let text = match act.class {
        Class::Login if act.honeycred => {
            format!("used a honey-credential of {name}{}", users(act, ": "))
        }
        Class::Login => {
            let what = if act.count == 1 { "password" } else { "passwords" };
            format!("tried {} {name} {what}{}", act.count, users(act, " as "))
        }
        Class::Command => format!(
            "gave {name} {}",
            if act.count == 1 { "a command".into() } else { format!("{} commands", act.count) }
        ),
        Class::Access => format!("read from {name} {}", times(act.count)),
        Class::Exploit => format!("attacked {name} ({})", act.about),
        Class::Bait => format!("took bait of {name} ({})", act.about),
        Class::Connection | Class::Probe | Class::Scan | Class::Operational | Class::Incident => return None,
    };
    Some(Clause {
        text,
        grave: act.honeycred || act.severity == Severity::Critical || act.class == Class::Bait,
    })
}

fn users(act: &Act, before: &str) -> String {
    let shown = |user: &Untrusted| match user.is_empty() {
        true => "(no name)".to_owned(),
        false => short(&user.to_string(), NAME),
    };
    let mut users: Vec<String> = act.users.iter().map(shown).collect();
    if act.more_users {
        users.push("others".to_owned());
    }
    if users.is_empty() { String::new() } else { format!("{before}{}", listed(&users, 5)) }
}

/// Services to which nothing worse was done, by name, each once.
fn names(incident: &Incident, class: Class) -> Vec<String> {
    let worse = |act: &Act| act.class != class && act.class != Class::Connection;
    let of = |class| incident.acts.iter().filter(move |act| act.class == class && act.service != "portscan");
    let alone = of(class)
        .filter(|act| !incident.acts.iter().any(|other| other.service == act.service && worse(other)));
    alone.map(|act| name(&act.service)).collect()
}

/// "a, b and c", not more than so many.
fn listed(words: &[String], most: usize) -> String {
    let (shown, rest) = words.split_at(words.len().min(most));
    let more = (!rest.is_empty()).then(|| format!("{} more", rest.len()));
    let words: Vec<&str> = shown.iter().map(String::as_str).chain(more.as_deref()).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

/// How a service is spelt: in capitals but for these.
fn name(service: &str) -> String {
    const SPELT: [(&str, &str); 10] = [
        ("git", "Git"),
        ("httpproxy", "the web proxy"),
        ("mongodb", "MongoDB"),
        ("mssql", "SQL Server"),
        ("mssqlbrowser", "SQL Server Browser"),
        ("mysql", "MySQL"),
        ("redis", "Redis"),
        ("tcpbanner", "TCP banner"),
        ("telnet", "Telnet"),
        ("winrm", "WinRM"),
    ];
    let spelt = SPELT.iter().find(|(known, _)| *known == service);
    spelt.map_or_else(|| service.to_uppercase(), |(_, name)| (*name).to_owned())
}
