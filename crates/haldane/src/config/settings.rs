//! From the root table to a [`Config`]: the keys that are about the whole program, then each service and sink.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use haldane_core::{
    Problem, Section, Table, Windows,
    section::{Item, Raw},
    windows::Release,
};
use haldane_pipeline::{Ignore, Rules, Watch, rules::Rule};
use haldane_sinks::Sender;

use super::{
    Config, EVERYWHERE, HostSettings, Identity, IncidentSettings, LimitSettings, LookupSettings,
    StoreSettings, Surroundings, action, keeper, service, sink,
};
use crate::daemon::kinds::ALIVE;

/// Letters, digits and the few signs that the peer allows in the name of a node.
const SIGNS: &str = "+-#_";
/// The name that decoys give this machine where it has none of its own.
const NAMELESS: &str = "files01";

/// Reads everything. With fatal mistakes among `problems`, what is returned is not to be run.
pub(super) fn read(root: &Table, origin: &str, around: &Surroundings, problems: &mut Vec<Problem>) -> Config {
    let mut of_root = Vec::new();
    let mut section = Section::new(root, &mut of_root);
    let Top { listen, folder, presets, user, group } = top(&mut section, around);
    let host = part(&mut section, "host", "What this machine is called.", |section| host(section, around));
    let ignore =
        part(&mut section, "ignore", "Events that are stored, marked, and sent nowhere.", Ignore::configure);
    let rules = Rules::configure(&mut section);
    let about = "What belongs together, and is told in a few messages by sinks with notify = \"incident\".";
    let incidents = part(&mut section, "incidents", about, incidents);
    let store = part(&mut section, "store", "Where every event is kept.", |section| store(section, &folder));
    let limits = part(&mut section, "limits", "Bounds over all services.", limits);
    let services = named(&mut section, "service", "One table for each decoy.");
    let sinks = named(&mut section, "sink", "One table for each place that events are sent to.");
    let sender = Sender { node: host.node_id.clone() };
    let never = part(&mut section, "response", "About whom no action is taken.", action::never);
    let actions = action::read_all(&mut section, &never, &sender);
    let about = "A life sign, so that silence is noticed.";
    let heartbeat =
        part(&mut section, "heartbeat", about, |section| action::heartbeat(section, ALIVE.name, &sender));
    section.finish();

    let machine = host.machine(keeper(&folder, around.write));
    let mut services = service::read_all(&services, &listen, &machine, problems);
    if !around.ipv6 {
        services.iter_mut().for_each(service::without_ipv6);
    }
    let sinks = sink::read_all(&sinks, &presets, &sender, problems);
    problems.append(&mut of_root);
    Config {
        origin: origin.to_owned(),
        host,
        state_folder: folder,
        user,
        group,
        ignore,
        rules,
        incidents,
        store,
        limits,
        services,
        sinks,
        actions,
        never,
        heartbeat,
        warnings: Vec::new(),
    }
}

/// Reads where the store is and what this machine is called, nothing else.
pub(super) fn identity(root: &Table, around: &Surroundings, problems: &mut Vec<Problem>) -> Identity {
    let mut section = Section::new(root, problems);
    let Top { folder, .. } = top(&mut section, around);
    let host = part(&mut section, "host", "", |section| host(section, around));
    Identity { state_folder: folder, host }
}

/// The sections with keys of their own that [`read`] reads, in the order of the sample file: key and reader.
pub(super) fn describe(around: &Surroundings) -> Vec<(&'static str, Vec<haldane_core::section::Described>)> {
    let (table, mut problems) = (Table::default(), Vec::new());
    let mut described = Vec::new();
    let mut one = |name, read: &dyn Fn(&mut Section<'_>)| {
        let mut section = Section::new(&table, &mut problems);
        read(&mut section);
        described.push((name, section.described().to_vec()));
    };
    one("", &|section| drop(top(section, around)));
    one("host", &|section| drop(host(section, around)));
    one("ignore", &|section| drop(Ignore::configure(section)));
    one("incidents", &|section| drop(incidents(section)));
    one("store", &|section| drop(store(section, Path::new(""))));
    one("limits", &|section| _ = limits(section));
    let sender = Sender { node: String::new() };
    one("heartbeat", &|section| drop(action::heartbeat(section, ALIVE.name, &sender)));
    one("response", &|section| drop(action::never(section)));
    one("[action]", &|section| drop(action::read(section, 0, &[], &sender)));
    one("[rule]", &|section| drop(Rule::configure(section, 0)));
    described
}

/// The keys before the first table.
struct Top {
    listen: Vec<IpAddr>,
    folder: PathBuf,
    presets: PathBuf,
    user: Option<String>,
    group: Option<String>,
}

fn top(section: &mut Section<'_>, around: &Surroundings) -> Top {
    let listen = addresses(
        section,
        "listen",
        &EVERYWHERE,
        "Addresses that services listen on, IPv4 and IPv6, unless their section says otherwise. \"\" is every \
         address of this machine.",
    );
    let folder = section.path(
        "state_folder",
        "Where keys, certificates and the store are kept. Left out: /var/lib/haldane for root, else \
         $XDG_STATE_HOME/haldane. The option --state-dir wins.",
    );
    let folder = around.state_folder.clone().or(folder).unwrap_or_else(|| state_folder(around));
    let presets = section.path(
        "presets",
        "A folder with presets of your own: each NAME.toml in it is a sink with type = \"NAME\" (README, \
         Channels). Left out: the folder presets in state_folder.",
    );
    if presets.as_ref().is_some_and(|presets| !presets.is_dir()) {
        section.invalid("presets", "expected a folder");
    }
    let presets = presets.unwrap_or_else(|| folder.join("presets"));
    let user = account(
        section,
        "user",
        "Whom to become once the ports are bound, a name or a number. Only root can.",
    );
    let group =
        account(section, "group", "The group to go with it, a name or a number. Left out: the user's own.");
    Top { listen, folder, presets, user, group }
}

fn host(section: &mut Section<'_>, around: &Surroundings) -> HostSettings {
    let machine = around.machine.split('.').next().unwrap_or_default();
    let machine = if matches!(machine, "" | "localhost" | "(none)") { NAMELESS } else { machine };
    let name = section.optional(
        "name",
        "What decoys call this machine in banners and certificates. Left out: its real name.",
    );
    let node_id = section.optional("node_id", "What this canary is called in events. Left out: as name.");
    let label = section.text("label", "", "A name for people, in alerts.");
    let description = section.text("description", "", "Where it stands and what for, in alerts.");
    if !label.chars().all(|c| c.is_ascii_alphanumeric() || SIGNS.contains(c)) || label.len() > 100 {
        section.invalid("label", format!("expected 1 to 100 letters, digits or {SIGNS}"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || SIGNS.contains(c) || c == ' ';
    if !description.chars().all(allowed) || description.len() > 100 {
        section.invalid("description", format!("expected 1 to 100 letters, digits, blanks or {SIGNS}"));
    }
    for (key, value) in [("name", &name), ("node_id", &node_id)] {
        let wrong = |text: &String| text.is_empty() || text.len() > 253 || text.chars().any(char::is_control);
        if value.as_ref().is_some_and(wrong) {
            section.invalid(key, "expected 1 to 253 characters on one line");
        }
    }
    let name = name.unwrap_or_else(|| machine.to_owned());
    let node_id = node_id.unwrap_or_else(|| name.clone());
    let windows = windows(section, &name);
    HostSettings { name, windows, node_id, label, description }
}

/// What the machine says about itself as Windows. `name`: what decoys call it.
fn windows(section: &mut Section<'_>, name: &str) -> Windows {
    let about = "The Windows domain it is in, by its DNS name, as in corp.example.com. Empty: none, it is in a workgroup; \
         and ldap, whose domain there must be, makes workgroup.local of that.";
    let domain = section.text("domain", "", about);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    if !domain.is_empty() && (domain.len() > 253 || !domain.split('.').all(label)) {
        section.invalid("domain", "expected a DNS name, such as \"corp.example.com\"");
    }
    let mut windows = Windows::new(name, &domain);
    let own = section.optional("netbios_name", "Its NetBIOS name. Left out: name in capitals, cut at 15.");
    let about =
        "The NetBIOS name of its domain or workgroup. Left out: the first label of domain, or WORKGROUP.";
    let group = section.optional("netbios_domain", about);
    for (key, value, place) in
        [("netbios_name", own, &mut windows.computer), ("netbios_domain", group, &mut windows.group)]
    {
        let Some(value) = value else { continue };
        if (1..=15).contains(&value.len())
            && value.chars().all(|c| c.is_ascii_graphic() && !"\"/\\[]:;|=,+*?<>".contains(c))
        {
            *place = value.to_uppercase();
        } else {
            section.invalid(key, "expected a NetBIOS name of 1 to 15 characters");
        }
    }
    let names = Release::ALL.map(|release| release.name);
    let about = "The release of Windows Server that it claims where decoys speak as Windows.";
    let release = section.choice("windows", Release::DEFAULT.name, &names, about);
    windows.release =
        Release::ALL.into_iter().find(|known| known.name == release).unwrap_or(Release::DEFAULT);
    windows
}

fn incidents(section: &mut Section<'_>) -> IncidentSettings {
    let watch = Watch { lookups: true, ..Watch::configure(section) };
    let reverse_names = section.flag(
        "reverse_names",
        true,
        "Whether this machine's resolver is asked for the name of a source when an incident opens. Whoever runs the \
         name servers of that address can see the question.",
    );
    let mut file = |key, about| {
        let path = section.path(key, about)?;
        if !path.is_file() {
            let place = section.table().get(key).map(|item| item.node.place.clone());
            let key = format!("incidents.{key}");
            section.note(Problem::warning(place, key, format!("there is no file {}", path.display())));
        }
        Some(path)
    };
    let vendors = file(
        "vendor_file",
        "A list of hardware makers, as oui.txt of the IEEE. Left out: that of the packages ieee-data, hwdata or nmap, \
         if one is there.",
    );
    let countries = file(
        "country_database",
        "A database of countries in MaxMind's format (.mmdb), as GeoLite2-Country, GeoLite2-City or those of DB-IP. It \
         is held in memory.",
    );
    let networks = file("network_database", "The same of networks, as GeoLite2-ASN or DB-IP's ASN Lite.");
    IncidentSettings { watch, lookups: LookupSettings { reverse_names, vendors, countries, networks } }
}

fn store(section: &mut Section<'_>, folder: &Path) -> StoreSettings {
    let day = Duration::from_secs(86_400);
    StoreSettings {
        folder: folder.to_owned(),
        keep_for: section.duration(
            "keep_for",
            day.saturating_mul(90),
            "How long events are kept once every sink has them.",
        ),
        max_size: section.bytes("max_size", 1 << 30, "How large the store may become; the oldest events go first."),
        durable: section.flag(
            "durable",
            false,
            "Whether each event is forced to the disk before its peer is answered: survives a power cut, costs \
             speed. Without it, a crash of the program loses nothing, a power cut the last second.",
        ),
    }
}

fn limits(section: &mut Section<'_>) -> LimitSettings {
    let connections = section.number(
        "connections",
        0,
        0..=1_000_000,
        "Connections served at once by all services; 0: as many as the descriptor limit allows. Those above it \
         are recorded and closed.",
    );
    let per_source = section.number(
        "per_source",
        0,
        0..=1_000_000,
        "Connections served at once for each remote address by all services; 0: no such bound.",
    );
    let bound = |number: u64| usize::try_from(number).ok().filter(|number| *number > 0);
    LimitSettings { connections: bound(connections), per_source: bound(per_source) }
}

/// Reads the table under `key`, or an empty one.
fn part<T>(
    section: &mut Section<'_>,
    key: &'static str,
    about: &'static str,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> T {
    let empty = Table { name: key.to_owned(), entries: Vec::new() };
    match section.raw(key, None, about).map(|node| &node.value) {
        Some(Raw::Table(table)) => section.within(table, read),
        None => section.within(&empty, read),
        Some(_) => {
            section.invalid(key, format!("expected a table: [{key}]"));
            section.within(&empty, read)
        }
    }
}

/// The tables in the table under `key`, each with its name; several under one name may stand in a list.
fn named<'a>(
    section: &mut Section<'a>,
    key: &'static str,
    about: &'static str,
) -> Vec<(&'a Item, Vec<&'a Table>)> {
    let mut found = Vec::new();
    let items = match section.raw(key, None, about).map(|node| &node.value) {
        None => return found,
        Some(Raw::Table(table)) => &table.entries,
        Some(_) => {
            section.invalid(key, format!("expected tables such as [{key}.NAME]"));
            return found;
        }
    };
    let mut wrong = Vec::new();
    for item in items {
        let tables: Option<Vec<_>> = match &item.node.value {
            Raw::Table(table) => Some(vec![table]),
            Raw::List(nodes) => nodes.iter().map(|node| table_of(&node.value)).collect(),
            _ => None,
        };
        match tables {
            Some(tables) => found.push((item, tables)),
            None => wrong.push(item),
        }
    }
    for item in wrong {
        let message = format!("expected a table, found {}", item.node.value.shown());
        section.note(Problem::error(Some(item.node.place.clone()), &item.written, message));
    }
    found
}

fn table_of(value: &Raw) -> Option<&Table> {
    match value {
        Raw::Table(table) => Some(table),
        _ => None,
    }
}

fn account(section: &mut Section<'_>, key: &'static str, about: &'static str) -> Option<String> {
    match section.raw(key, None, about).map(|node| &node.value) {
        None | Some(Raw::Null) => None,
        Some(Raw::Text(name)) if !name.is_empty() => Some(name.clone()),
        Some(Raw::Int(number)) if u32::try_from(*number).is_ok() => Some(number.to_string()),
        Some(_) => {
            section.invalid(key, "expected a name or a number");
            None
        }
    }
}

/// IP addresses; an empty text is every address of this machine.
pub(super) fn addresses(
    section: &mut Section<'_>,
    key: &'static str,
    default: &[IpAddr],
    about: &'static str,
) -> Vec<IpAddr> {
    let shown: Vec<String> = default.iter().map(IpAddr::to_string).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for text in section.list(key, &shown, about) {
        let text = text.trim().trim_start_matches('[').trim_end_matches(']');
        match text.parse() {
            Ok(address) => found.push(address),
            Err(_) if text.is_empty() => found.extend(EVERYWHERE),
            Err(_) => {
                section.invalid(
                    key,
                    format!("expected IP addresses such as \"0.0.0.0\" or \"::1\", not {text:?}"),
                );
            }
        }
    }
    if found.is_empty() { default.to_vec() } else { found }
}

/// Where state is kept unless somebody says otherwise: where systemd made a place for it (systemd.exec(5),
/// `StateDirectory=`), else by custom (XDG base directory specification for users).
fn state_folder(around: &Surroundings) -> PathBuf {
    let variable = |name| (around.environment)(name).filter(|value| value.starts_with('/'));
    let made = variable("STATE_DIRECTORY").and_then(|folders| folders.split(':').next().map(PathBuf::from));
    if let Some(made) = made {
        return made;
    }
    if around.root {
        return PathBuf::from("/var/lib/haldane");
    }
    let state =
        variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| format!("{home}/.local/state")));
    // Without a home there is no place that nobody else can write to but where we stand.
    state.map_or_else(|| PathBuf::from("haldane-state"), |state| PathBuf::from(state).join("haldane"))
}
