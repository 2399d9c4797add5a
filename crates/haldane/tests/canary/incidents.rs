//! One attack, a few messages: what a person is told of it, that nothing is lost, and that a restart changes neither.

use std::{fs, path::Path, process::Command, thread};

use serde_json::Value;

use crate::{
    fixture::{Canary, client, file, folder, free_port, installed, redis_login, text, until},
    network::{Cable, MAC},
    receivers::{Answer, Inbox, mail, web},
};

/// Tells a webhook of incidents, and keeps every event in a file.
fn sinks(hook: u16) -> String {
    format!(
        "[sink.hook]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{hook}/\"\nnotify = \"incident\"\nmask = false\n\
         min_severity = \"low\"\n\
         [sink.log]\ntype = \"file\"\npath = \"{{folder}}/events\"\nformat = \"native\"\nmin_severity = \"info\"\n"
    )
}

fn parsed(messages: &[String]) -> Vec<Value> {
    messages.iter().map(|message| serde_json::from_str(message).unwrap()).collect()
}

/// The news about that source, in order.
fn about(inbox: &Inbox, source: &str) -> Vec<Value> {
    parsed(&inbox.all()).into_iter().filter(|news| news["fields"]["source"] == source).collect()
}

fn kinds(news: &[Value]) -> Vec<String> {
    news.iter().map(|news| news["kind"].as_str().unwrap().to_owned()).collect()
}

/// How many events of that incident the file has, without news of incidents.
fn in_file(canary: &Canary, incident: &Value) -> usize {
    let lines = text(file(canary, "events"));
    lines.lines().filter(|line| serde_json::from_str::<Value>(line).unwrap()["incident"] == *incident).count()
}

/// A login with curl from another address of loopback.
fn ftp_from(source: &str, address: &str, port: u16, password: &str) {
    let login = format!("admin:{password}");
    let url = format!("ftp://{address}:{port}/");
    client("curl", &["-s", "--interface", source, "--max-time", "20", "-u", &login, &url]);
}

#[test]
fn a_scan_of_all_ports_and_five_guessers_are_at_most_five_messages_and_no_event_is_lost() {
    if ["nmap", "hydra", "curl"].into_iter().any(|program| !installed(program)) {
        return;
    }
    // An address that no other test listens on: all of its ports are scanned.
    let address = format!("127.77.{}.{}", std::process::id() >> 8 & 0xff, (std::process::id() & 0xff).max(1));
    let (hook, services) = (free_port(), ["ftp", "telnet", "ssh", "mysql", "redis"]);
    let ports: Vec<u16> = services.iter().map(|_| free_port()).collect();
    let mut configuration = "[incidents]\nquiet = \"25s\"\n".to_owned();
    for (service, port) in services.iter().zip(&ports) {
        configuration.push_str(&format!("[service.{service}]\nport = {port}\naddress = [\"{address}\"]\n"));
    }
    let inbox = web(hook, |_| Answer::Status(200));
    let canary = Canary::start(&format!("{configuration}{}", sinks(hook)));

    let second = thread::spawn({
        let (address, port) = (address.clone(), ports[0]);
        move || (0..6).for_each(|n| ftp_from("127.0.0.2", &address, port, &format!("second-{n}")))
    });
    client("nmap", &["-Pn", "-n", "-sV", "-p-", "--max-retries", "1", &address]);
    let words = canary.folder.path().join("words");
    fs::write(&words, "one\ntwo\nthree\n").unwrap();
    for (service, port) in services.iter().zip(&ports) {
        let (port, words) = (port.to_string(), words.to_str().unwrap());
        let user: &[&str] = if *service == "redis" { &[] } else { &["-l", "root"] };
        let rest = ["-P", words, "-t", "1", "-s", &port, &address, service];
        client("hydra", &[user, &rest].concat());
    }
    second.join().unwrap();

    until("the end of the first", || {
        kinds(&about(&inbox, "127.0.0.1")).contains(&"incident.closed".to_owned())
    });
    until("the end of the second", || {
        kinds(&about(&inbox, "127.0.0.2")).contains(&"incident.closed".to_owned())
    });
    let (first, second) = (about(&inbox, "127.0.0.1"), about(&inbox, "127.0.0.2"));
    assert!(first.len() <= 5, "{:#?}", kinds(&first));
    assert_eq!(kinds(&first)[0], "incident.opened");
    assert_eq!(kinds(&first).iter().filter(|kind| *kind == "incident.opened").count(), 1);

    let story = first.last().unwrap();
    assert_eq!(story["kind"], "incident.closed");
    let fields = &story["fields"];
    for service in services {
        assert!(fields["services"].as_array().unwrap().iter().any(|known| known == service), "{fields:#}");
        let tried = |password: &str| {
            let mut tried = fields["credentials"].as_array().unwrap().iter();
            tried.any(|tried| tried["service"] == service && tried["password"] == password)
        };
        // MySQL's clients prove a password without telling it.
        assert!(
            service == "mysql" || ["one", "two", "three"].into_iter().all(tried),
            "{service}: {fields:#}"
        );
    }
    let tools = fields["tools"].as_array().unwrap();
    for name in ["nmap", "hydra"] {
        assert!(tools.iter().any(|tool| tool.as_str().unwrap().contains(name)), "{name}: {tools:?}");
    }
    let summary = fields["summary"].as_str().unwrap();
    assert!(summary.starts_with("127.0.0.1 ") && summary.contains("SSH passwords as root"), "{summary}");
    assert!(summary.chars().count() <= 300);

    assert_ne!(story["incident"], second[0]["incident"]);
    let other = &second.last().unwrap()["fields"];
    assert!(other["summary"].as_str().unwrap().contains("tried 6 FTP passwords as admin"), "{other:#}");
    assert_eq!(other["services"], serde_json::json!(["ftp"]));

    for story in [story, second.last().unwrap()] {
        let count = usize::try_from(story["fields"]["events"].as_u64().unwrap()).unwrap();
        until("every event in the file", || in_file(&canary, &story["incident"]) >= count);
        assert_eq!(in_file(&canary, &story["incident"]), count);
        let number = story["incident"].to_string();
        let stored = canary.haldane(&["events", "--incident", &number, "--json"]);
        assert_eq!(stored.lines().count(), count);
    }
    assert!(
        !text(file(&canary, "events")).contains("incident.opened"),
        "a sink of events hears of no incidents"
    );
}

#[test]
fn a_kill_in_the_middle_neither_opens_it_again_nor_forgets_what_came_before() {
    let (port, hook) = (free_port(), free_port());
    let configuration =
        format!("[incidents]\nquiet = \"10s\"\n[service.redis]\nport = {port}\n{}", sinks(hook));
    let inbox = web(hook, |_| Answer::Status(200));
    let canary = Canary::start(&configuration);
    assert!(redis_login(port, "root", "before-1"));
    until("the first message", || inbox.all().len() == 1);
    // Answered, so recorded; too soon to be in what was saved.
    for n in 2..=40 {
        assert!(redis_login(port, "root", &format!("before-{n}")));
    }
    let folder = canary.kill();
    let canary = Canary::start_in(folder, &configuration);
    assert!(redis_login(port, "root", "after"));
    until("the last message", || kinds(&parsed(&inbox.all())).contains(&"incident.closed".to_owned()));
    let news = parsed(&inbox.all());
    assert_eq!(kinds(&news), ["incident.opened", "incident.closed"]);
    assert_eq!(news[0]["incident"], news[1]["incident"]);
    let fields = &news[1]["fields"];
    let passwords: Vec<_> =
        fields["credentials"].as_array().unwrap().iter().map(|tried| tried["password"].clone()).collect();
    for n in 1..=40 {
        assert!(passwords.contains(&format!("before-{n}").into()), "{n}: {passwords:?}");
    }
    assert!(passwords.contains(&"after".into()));
    assert_eq!(fields["kinds"]["redis.command"], 41);
    let number = news[0]["incident"].to_string();
    let stored = canary.haldane(&["events", "--incident", &number, "--json"]);
    assert_eq!(fields["events"], stored.lines().count());
    let told = canary.haldane(&["events", "--incident", &number, "--kind", "incident", "--json"]);
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn a_mail_about_an_incident_is_for_a_person() {
    let (port, server) = (free_port(), free_port());
    let inbox = mail(server);
    let canary = Canary::start(&format!(
        "[incidents]\nquiet = \"10s\"\n[service.redis]\nport = {port}\n[sink.mail]\ntype = \"smtp\"\n\
         host = \"127.0.0.1\"\nport = {server}\nsecurity = \"none\"\nfrom = \"canary@example.org\"\n\
         to = [\"alice@example.org\"]\njson = \"none\"\nmask = false\n"
    ));
    for n in 0..30 {
        assert!(redis_login(port, "r\u{202e}oot", &format!("guess-{n}")));
    }
    until("two mails", || inbox.all().len() == 2);
    let mails = inbox.all();
    assert!(mails[0].contains("Incident opened"), "{}", mails[0]);
    let last = mails[1].replace("=\n", "");
    assert!(last.contains("Incident closed"), "{last}");
    assert!(last.contains("tried 30 Redis passwords as r\\u{202e}oot"), "{last}");
    assert!(last.contains("Credentials that were tried\n  redis       r\\u{202e}oot / guess-0\n"), "{last}");
    let refers = |mail: &str| mail.lines().find(|line| line.starts_with("References: ")).unwrap().to_owned();
    assert_eq!(refers(&mails[0]), refers(&mails[1]), "mail programs show them together");

    let listed = canary.haldane(&["incidents"]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    assert!(listed.contains("HIGH") && listed.contains("tried 30 Redis passwords"), "{listed}");
    let number = listed.split_whitespace().next().unwrap();
    let told = canary.haldane(&["incidents", number]);
    assert!(told.contains("redis.command") && told.contains("guess-29"), "{told}");
    let json: Value = serde_json::from_str(&canary.haldane(&["incidents", number, "--json"])).unwrap();
    assert_eq!(json["fields"]["reason"], "closed");
}

#[test]
fn what_is_known_of_the_source_is_in_the_first_message() {
    let (port, hook) = (free_port(), free_port());
    let inbox = web(hook, |_| Answer::Status(200));
    let place = folder();
    let country = map(&[
        ("country", map(&[("iso_code", string("XT")), ("names", map(&[("en", string("Testland"))]))])),
        ("autonomous_system_number", number(6, 64_500)),
        ("autonomous_system_organization", string("Example Net")),
    ]);
    database(&place.path().join("test.mmdb"), &country);
    let canary = Canary::start_in(
        place,
        &format!(
            "[incidents]\ncountry_database = \"{{folder}}/test.mmdb\"\n\
             network_database = \"{{folder}}/test.mmdb\"\n[service.redis]\nport = {port}\n{}",
            sinks(hook)
        ),
    );
    assert!(redis_login(port, "root", "x"));
    until("a message", || !inbox.all().is_empty());
    let news = parsed(&inbox.all());
    let fields = &news[0]["fields"];
    assert_eq!(
        (&fields["source_country"], &fields["source_network"]),
        (&"Testland (XT)".into(), &"AS64500 Example Net".into())
    );
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    if hosts.lines().any(|line| line.starts_with("127.0.0.1") && line.contains("localhost")) {
        assert!(fields["source_name"].as_str().unwrap().contains("localhost"), "{fields:#}");
    }
    drop(canary);
}

#[test]
fn a_neighbour_is_known_by_its_hardware_and_its_scan_is_one_incident() {
    if !installed("nmap") || !installed("nc") {
        return;
    }
    let Some(cable) = Cable::lay("incident") else { return };
    let (folder, port) = (folder(), free_port());
    fs::write(folder.path().join("oui.txt"), "02-00-5E   (hex)\t\tExample Lab\r\n").unwrap();
    // No resolver can be reached: names are not waited for any longer than they may be.
    let command = Canary::command(
        &folder,
        &format!(
            "[incidents]\nquiet = \"10s\"\nvendor_file = \"{{folder}}/oui.txt\"\n\
             [service.redis]\nport = {port}\naddress = [\"192.0.2.1\"]\n[service.portscan]\n\
             [sink.people]\ntype = \"file\"\npath = \"{{folder}}/people\"\nformat = \"native\"\n\
             notify = \"incident\"\n"
        ),
    );
    let canary = Canary::spawn(folder, cable.near(&command));
    let guess = format!("printf 'AUTH root secret\\r\\nQUIT\\r\\n' | nc -w 5 192.0.2.1 {port}");
    let scan = ["-n", "-Pn", "-sS", "-p", "1-300", "--max-retries", "0", "192.0.2.1"];
    assert!(cable.far("nmap", &scan).output().unwrap().status.success());
    assert!(cable.far("sh", &["-c", &guess]).output().unwrap().status.success());
    until("the end", || text(file(&canary, "people")).contains("incident.closed"));
    let lines: Vec<String> = text(file(&canary, "people")).lines().map(str::to_owned).collect();
    let news: Vec<Value> = parsed(&lines).into_iter().filter(|news| news["class"] == "incident").collect();
    assert!(news.len() <= 5, "{:?}", kinds(&news));
    assert!(news.iter().all(|other| other["incident"] == news[0]["incident"]), "{news:#?}");
    let fields = &news.last().unwrap()["fields"];
    assert_eq!((&fields["source_mac"], &fields["source_vendor"]), (&MAC.into(), &"Example Lab".into()));
    let summary = fields["summary"].as_str().unwrap();
    assert!(summary.starts_with("192.0.2.66 (Example Lab) scanned 30"), "{summary}");
    assert!(summary.contains(", then tried 1 Redis password as root"), "{summary}");
}

#[test]
fn an_incident_file_that_is_missing_is_a_remark_and_keeps_nothing_from_starting() {
    let port = free_port();
    let canary = Canary::start(&format!(
        "[incidents]\ncountry_database = \"{{folder}}/none.mmdb\"\n[service.redis]\nport = {port}\n"
    ));
    canary.complaint("none.mmdb");
    assert!(redis_login(port, "root", "x"));
    let wrong = canary.folder.path().join("wrong.toml");
    fs::write(&wrong, "[incidents]\nquiet = \"1s\"\nmin_severity = \"grave\"\n").unwrap();
    let command =
        Command::new(env!("CARGO_BIN_EXE_haldane")).args(["check", "--config"]).arg(&wrong).output();
    let said = String::from_utf8(command.unwrap().stderr).unwrap();
    assert!(said.contains("expected between 10s and 7d") && said.contains("min_severity"), "{said}");
}

/// A text of MaxMind DB's data section.
fn string(text: &str) -> Vec<u8> {
    let long = text.len().checked_sub(29).map(|more| vec![more as u8]).unwrap_or_default();
    [&[2 << 5 | text.len().min(29) as u8], &long[..], text.as_bytes()].concat()
}

/// An unsigned number of that type: 5 for 16 bits, 6 for 32.
fn number(kind: u8, value: u32) -> Vec<u8> {
    [&[kind << 5 | 4][..], &value.to_be_bytes()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![7 << 5 | entries.len() as u8];
    entries.iter().for_each(|(key, value)| bytes.extend([string(key), value.clone()].concat()));
    bytes
}

/// A database in the MaxMind DB format 2.0 that knows 127.0.0.0/8 only.
fn database(path: &Path, data: &[u8]) {
    const NODES: u32 = 8;
    let mut bytes = Vec::new();
    for node in 0..NODES {
        // The bits of 127 are a 0 and seven 1.
        let next = if node + 1 < NODES { node + 1 } else { NODES + 16 };
        let (left, right) = if node == 0 { (next, NODES) } else { (NODES, next) };
        bytes.extend(&left.to_be_bytes()[1..]);
        bytes.extend(&right.to_be_bytes()[1..]);
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let short = |value: u8| vec![5 << 5 | 1, value];
    bytes.extend(map(&[
        ("node_count", number(6, NODES)),
        ("record_size", short(24)),
        ("ip_version", short(4)),
        ("database_type", string("Test")),
        ("languages", vec![1, 4, 2 << 5 | 2, b'e', b'n']),
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", vec![1, 2, 1]),
        ("description", map(&[])),
    ]));
    fs::write(path, bytes).unwrap();
}
