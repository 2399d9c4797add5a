//! `[[action]]` and `[heartbeat]` in the running program.

use std::{
    fs,
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    fixture::{Canary, PATIENCE, client, file, folder, free_port, installed, redis_login, text, until},
    network::Cable,
    receivers::{Answer, web},
};

/// A program that keeps what it is told, a line each.
const KEEP: &str = "run = [\"/bin/sh\", \"-c\", \"sed s/^/$HALDANE_ON:$HALDANE_SOURCE:/ >> {folder}/told; echo >> {folder}/told\"]\n";

fn about(canary: &Canary, kind: &str, action: &str) -> Value {
    canary.event(&format!("{kind} {action}"), |event| {
        event["kind"] == kind && event["fields"]["action"] == action
    })
}

fn told(canary: &Canary) -> Vec<(String, Value)> {
    let text = text(file(canary, "told"));
    let line = |line: &str| {
        let (head, json) = line.split_once(":{")?;
        Some((head.to_owned(), serde_json::from_str(&format!("{{{json}")).ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn a_program_runs_once_for_each_opening_and_escalation_and_a_restart_repeats_nothing() {
    let port = free_port();
    let configuration = format!(
        "[incidents]\nquiet = \"10s\"\n[service.redis]\nport = {port}\n\
         honeycreds = [{{ username = \"eve\", password = \"bait\" }}]\n[[action]]\nname = \"keep\"\n\
         comment = \"for the test\"\n{KEEP}"
    );
    let canary = Canary::start(&configuration);
    assert!(redis_login(port, "root", "first"));
    let taken = about(&canary, "action.taken", "keep");
    let fields = &taken["fields"];
    assert_eq!((&fields["act"], &fields["on"]), (&json!("run"), &json!("opened")));
    assert_eq!((&fields["source"], &fields["program"]), (&json!("127.0.0.1"), &json!("/bin/sh")));
    assert_eq!(fields["comment"], "for the test");
    // Bait is told of at once.
    assert!(redis_login(port, "eve", "bait"));
    canary
        .event("the second", |event| event["kind"] == "action.taken" && event["fields"]["on"] == "escalated");
    let news = told(&canary);
    let heads: Vec<&str> = news.iter().map(|(head, _)| head.as_str()).collect();
    assert_eq!(heads, ["opened:127.0.0.1", "escalated:127.0.0.1"]);
    assert_eq!((&news[0].1["kind"], &news[1].1["severity"]), (&json!("incident.opened"), &json!("critical")));
    assert!(news[1].1.to_string().contains("bait"), "passwords are not masked: {}", news[1].1);
    assert_eq!(news[0].1["incident"], fields["incident"]);

    let folder = std::sync::Arc::clone(&canary.folder);
    assert!(canary.stop().0.success());
    let canary = Canary::start_in(folder, &configuration);
    // The old incident ends, which is not asked for; what follows is one of its own.
    until("the end", || {
        canary.haldane(&["events", "--kind", "incident", "--json"]).contains("incident.closed")
    });
    assert!(redis_login(port, "root", "second"));
    about(&canary, "action.taken", "keep");
    let news = told(&canary);
    assert_eq!(news.len(), 3, "{news:#?}");
    assert_eq!(news[2].0, "opened:127.0.0.1");
    assert_ne!(news[2].1["incident"], news[0].1["incident"]);
}

#[test]
fn what_fails_hangs_floods_or_is_not_wanted_is_an_event_and_delays_no_other() {
    let (port, hook) = (free_port(), free_port());
    // The receiver is down at first.
    let inbox = web(hook, |asked| Answer::Status(if asked == 0 { 503 } else { 200 }));
    let canary = Canary::start(&format!(
        "[service.redis]\nport = {port}\n[response]\nnever = [\"127.0.0.2\"]\n\
         [[action]]\nname = \"hang\"\nrun = [\"/bin/sleep\", \"1000\"]\ntimeout = \"300ms\"\n\
         [[action]]\nname = \"fail\"\nrun = [\"/bin/sh\", \"-c\", \"yes no | head -c 500000; exit 3\"]\n\
         [[action]]\nname = \"none\"\nrun = [\"/nonexistent/program\"]\n\
         [[action]]\nname = \"dry\"\ndry_run = true\nrun = [\"/bin/sh\", \"-c\", \"touch {{folder}}/dry\"]\n\
         [[action]]\nname = \"spared\"\nnever = [\"127.0.0.0/8\"]\nrun = [\"/bin/sh\", \"-c\", \"touch {{folder}}/spared\"]\n\
         [[action]]\nname = \"elsewhere\"\nsources = [\"10.0.0.0/8\"]\nrun = [\"/bin/sh\", \"-c\", \"touch {{folder}}/elsewhere\"]\n\
         [[action]]\nname = \"mild\"\nmin_severity = \"critical\"\nrun = [\"/bin/sh\", \"-c\", \"touch {{folder}}/mild\"]\n\
         [[action]]\nname = \"hook\"\nwebhook = \"http://127.0.0.1:{hook}/soar\"\n\
         [[action]]\nname = \"wall\"\nipset = \"walled\"\n\
         [[action]]\nname = \"last\"\nrun = [\"/bin/true\"]\n"
    ));
    canary.complaint("there is no program /nonexistent/program");
    assert!(redis_login(port, "root", "x"));
    let failed = about(&canary, "action.failed", "hang");
    assert!(
        failed["fields"]["why"].as_str().unwrap().contains("longer than 300ms and was killed"),
        "{failed}"
    );
    let failed = about(&canary, "action.failed", "fail");
    assert_eq!(failed["fields"]["why"], "it failed: exit status: 3");
    let output = failed["fields"]["output"].as_str().unwrap();
    assert!(output.starts_with("no\nno\n") && output.len() <= 1024, "{failed}");
    let failed = about(&canary, "action.failed", "none");
    assert!(failed["fields"]["why"].as_str().unwrap().starts_with("it cannot be started"), "{failed}");
    let why = |action: &str| {
        let withheld = about(&canary, "action.withheld", action);
        withheld["fields"]["why"].as_str().unwrap().to_owned()
    };
    assert!(why("dry").starts_with("dry_run"));
    assert!(why("spared").contains("never"));
    assert!(why("wall").contains("loopback"));
    about(&canary, "action.taken", "last");
    about(&canary, "action.taken", "hook");
    assert_eq!((inbox.all().len(), inbox.asked()), (1, 2));
    let told: Value = serde_json::from_str(&inbox.all()[0]).unwrap();
    assert_eq!((&told["kind"], &told["fields"]["source"]), (&json!("incident.opened"), &json!("127.0.0.1")));

    // Whoever is never acted upon: not even the program hears of it.
    let other = ["-s", "--interface", "127.0.0.2", "--max-time", "5", &format!("telnet://127.0.0.1:{port}")];
    let login = format!("printf 'AUTH root y\\r\\nQUIT\\r\\n' | curl {}", other.join(" "));
    client("sh", &["-c", &login]);
    canary.event("it was spared", |event| {
        event["kind"] == "action.withheld"
            && event["fields"]["action"] == "last"
            && event["fields"]["source"] == "127.0.0.2"
    });
    for never in ["dry", "spared", "elsewhere", "mild"] {
        assert!(!file(&canary, never).exists(), "{never}");
    }
    let quiet = |event: &Value| ["elsewhere", "mild"].iter().any(|name| event["fields"]["action"] == *name);
    assert_eq!(canary.so_far(quiet), [] as [Value; 0]);
}

#[test]
fn mistakes_in_actions_are_told_all_at_once() {
    let place = folder();
    let wrong = place.path().join("wrong.toml");
    fs::write(
        &wrong,
        "[response]\nnever = [\"me\"]\n[heartbeat]\nurl = \"https://example.org/\"\n\
         [[action]]\nrun = [\"reboot\"]\n\
         [[action]]\nname = \"two\"\nrun = [\"/bin/true\"]\nipset = \"walled\"\n\
         [[action]]\non = [\"boredom\"]\nnftables = \"inet filter\"\n\
         [[action]]\nipset = \"wall ed\"\n[[action]]\nipset = \"walled\"\nfor = \"9d\"\n\
         [[action]]\nrun = [\"/bin/true\"]\nfor = \"1h\"\nmin_severty = \"low\"\n\
         [[action]]\nwebhook = \"not a url\"\n[[action]]\nwebhook = 5\n[[action]]\ncomment = \"idle\"\n\
         [[action]]\nname = \"twin\"\nrun = [\"/bin/true\"]\n[[action]]\nname = \"twin\"\nrun = [\"/bin/true\"]\n",
    )
    .unwrap();
    let output = check(&wrong);
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8(output.stderr).unwrap();
    for (line, words) in [
        (2, "\"me\" is not an address"),
        (4, "expected beside `every`"),
        (6, "begins with the absolute path"),
        (8, "expected exactly one of run, webhook, nftables and ipset"),
        (12, "expected opened, escalated or closed, not \"boredom\""),
        (13, "expected family, table and set"),
        (15, "letters, digits, _ - and ."),
        (18, "expected between 1s and 7d"),
        (21, "expected beside nftables or ipset only"),
        (22, "did you mean \"min_severity\"?"),
        (24, "action.webhook"),
        (26, "expected a URL"),
        (28, "expected exactly one"),
        (33, "two actions are called \"twin\""),
    ] {
        let found =
            said.lines().any(|told| told.contains(&format!("wrong.toml:{line}: ")) && told.contains(words));
        assert!(found, "line {line}: {words}\n{said}");
    }
    let right = place.path().join("right.toml");
    fs::write(
        &right,
        "[[action]]\nnftables = \"inet  filter walled\"\nfor = \"30m\"\n[heartbeat]\nevery = \"1h\"\n",
    )
    .unwrap();
    let output = check(&right);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("1 action"));
}

fn check(file: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_haldane")).args(["check", "--config"]).arg(file).output().unwrap()
}

#[test]
fn a_heartbeat_is_an_event_and_reaches_a_url_of_its_own() {
    let (port, hook) = (free_port(), free_port());
    let inbox = web(hook, |_| Answer::Status(200));
    let canary = Canary::start(&format!(
        "[service.redis]\nport = {port}\n[heartbeat]\nevery = \"10s\"\nurl = \"http://127.0.0.1:{hook}/alive\"\n\
         [sink.dead]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\nmin_severity = \"info\"\n"
    ));
    assert!(redis_login(port, "root", "x"));
    canary.event("a sink is down", |event| event["kind"] == "sink.down");
    let alive = canary.events(2, "signs of life", |event| event["kind"] == "haldane.alive");
    assert_eq!(alive[1]["fields"]["sinks_down"], json!(["dead"]));
    assert!(alive[1]["fields"]["events"].as_u64().unwrap() >= 3, "{}", alive[1]);
    until("both there", || inbox.all().len() == 2);
    assert_eq!(inbox.count("haldane.alive"), 2, "and nothing else: {:?}", inbox.all());
}

/// The process that a canary started for itself.
fn gate(canary: &Canary) -> String {
    let children = text(format!("/proc/{0}/task/{0}/children", canary.pid()));
    children.split_whitespace().next().unwrap_or_default().to_owned()
}

fn status(pid: &str, name: &str) -> String {
    let status = text(format!("/proc/{pid}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:")));
    line.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_owned()
}

#[test]
fn a_source_in_the_walled_garden_reaches_nothing_until_its_time_is_over() {
    if ["nft", "ipset", "nc"].into_iter().any(|program| !installed(program)) {
        return;
    }
    let Some(cable) = Cable::lay("action") else { return };
    let near = |words: &[&str]| {
        let done = Command::new("ip").args(["netns", "exec", &cable.near]).args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    };
    near(&[
        "nft",
        "add table inet filter; \
        add set inet filter walled { type ipv4_addr; flags timeout; }; \
        add chain inet filter input { type filter hook input priority 0; }; \
        add rule inet filter input ip saddr @walled drop",
    ]);
    near(&["ipset", "create", "garden", "hash:ip", "timeout", "0"]);
    assert!(cable.far("ip", &["addr", "add", "192.0.2.67/24", "dev", "far0"]).status().unwrap().success());
    let (redis, ftp, tftp, place) = (free_port(), free_port(), free_port(), folder());
    let mut command = Canary::command(
        &place,
        &format!(
            "[service.redis]\nport = {redis}\naddress = [\"192.0.2.1\"]\n\
             [service.ftp]\nport = {ftp}\naddress = [\"192.0.2.1\"]\n\
             [service.tftp]\nport = {tftp}\naddress = [\"192.0.2.1\"]\n\
             [[action]]\nname = \"wall\"\nmin_severity = \"low\"\nnftables = \"inet filter walled\"\nfor = \"6s\"\n\
             [[action]]\nname = \"garden\"\nipset = \"garden\"\nfor = \"6s\"\n\
             [[action]]\nname = \"absent\"\nnftables = \"inet filter absent\"\n"
        ),
    );
    command.args(["--uid", "nobody"]);
    let canary = Canary::spawn(place, cable.near(&command));

    // The gate has one right and no user's; the canary none.
    let (own, gate) = (canary.pid().to_string(), gate(&canary));
    let net_admin = format!("{:016x}", 1_u64 << 12);
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!((status(&gate, set), status(&own, set)), (net_admin.clone(), "0".repeat(16)), "{set}");
    }
    assert_ne!(status(&gate, "Uid"), "0");
    assert_eq!((status(&gate, "Uid"), status(&gate, "NoNewPrivs")), (status(&own, "Uid"), "1".to_owned()));

    let reaches = |source: &str, port: u16| {
        let port = port.to_string();
        let greeting = cable.far("nc", &["-s", source, "-w", "1", "192.0.2.1", &port]).output().unwrap();
        greeting.stdout.starts_with(b"220")
    };
    // Anybody can send a datagram in another's name.
    let read = format!("printf '\\0\\1secret\\0octet\\0' | nc -u -s 192.0.2.67 -w 1 192.0.2.1 {tftp}");
    cable.far("sh", &["-c", &read]).output().unwrap();
    let withheld = canary.event("nobody is blocked", |event| {
        event["kind"] == "action.withheld" && event["fields"]["source"] == "192.0.2.67"
    });
    assert!(withheld["fields"]["why"].as_str().unwrap().contains("may be forged"), "{withheld}");
    assert!(!near(&["nft", "list", "set", "inet", "filter", "walled"]).contains("192.0.2.67"));

    assert!(reaches("192.0.2.67", ftp), "before");
    let guess =
        format!("printf 'AUTH root secret\\r\\nQUIT\\r\\n' | nc -s 192.0.2.66 -w 5 192.0.2.1 {redis}");
    assert!(cable.far("sh", &["-c", &guess]).output().unwrap().status.success());
    let taken = about_source(&canary, "action.taken", "wall");
    assert_eq!(taken["fields"]["set"], "nftables inet filter walled");
    assert_eq!(taken["fields"]["for"], "6s");
    assert!(!reaches("192.0.2.66", ftp), "a second port");
    about_source(&canary, "action.taken", "garden");
    assert!(near(&["ipset", "list", "garden"]).contains("192.0.2.66 timeout"));
    let failed = about_source(&canary, "action.failed", "absent");
    let why = failed["fields"]["why"].as_str().unwrap();
    assert!(why.contains("nft add set inet filter absent"), "{why}");

    let released = about_source(&canary, "action.released", "wall");
    assert_eq!(released["fields"]["incident"], taken["fields"]["incident"]);
    let begun = std::time::Instant::now();
    until("it reaches it again", || reaches("192.0.2.66", ftp));
    assert!(begun.elapsed() < Duration::from_secs(10).min(PATIENCE));
    about_source(&canary, "action.released", "garden");

    canary.stop();
    until("the gate ends with the canary", || !fs::exists(format!("/proc/{gate}")).unwrap());
}

/// That of the one who guessed.
fn about_source(canary: &Canary, kind: &str, action: &str) -> Value {
    canary.event(&format!("{kind} {action}"), |event| {
        event["kind"] == kind
            && event["fields"]["action"] == action
            && event["fields"]["source"] == "192.0.2.66"
    })
}
