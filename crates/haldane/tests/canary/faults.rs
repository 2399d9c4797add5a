//! Everything around the canary fails; nothing that was seen is lost.

use std::{
    collections::BTreeSet,
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    fixture::{Canary, PATIENCE, file, folder, free_port, redis_login, text, until},
    receivers::{Answer, mail, web},
};

fn redis(port: u16) -> String {
    format!("[service.redis]\nport = {port}\n")
}

fn webhook(port: u16) -> String {
    format!("[sink.webhook]\nurl = \"http://127.0.0.1:{port}/alert\"\nmask = false\n")
}

fn is(kind: &'static str, sink: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["kind"] == kind && event["fields"]["sink"] == sink
}

#[test]
fn a_mail_waits_until_its_server_is_back() {
    let (port, server) = (free_port(), free_port());
    let sink = format!(
        "[sink.mail]\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = {server}\nsecurity = \"none\"\nmask = false\n\
         notify = \"event\"\n\
         from = \"canary@example.org\"\nto = [\"alice@example.org\"]\n"
    );
    let canary = Canary::start(&format!("{}{sink}", redis(port)));
    assert!(redis_login(port, "root", "first-password"));
    let down = canary.event("a sink that is down", is("sink.down", "mail"));
    assert!(down["fields"]["why"].as_str().unwrap().contains(&server.to_string()), "{down}");
    assert!(redis_login(port, "root", "second-password"));
    let inbox = mail(server);
    until("both mails", || inbox.count("first-password") == 1 && inbox.count("second-password") == 1);
    canary.event("a sink that is back", is("sink.back", "mail"));
    assert_eq!(inbox.all().len(), 2, "{:#?}", inbox.all());
}

#[test]
fn a_webhook_that_refuses_for_a_while_gets_everything_once_and_in_order() {
    let (port, server) = (free_port(), free_port());
    let working = Arc::new(AtomicBool::new(false));
    let works = Arc::clone(&working);
    let inbox = web(server, move |_| Answer::Status(if works.load(Ordering::SeqCst) { 200 } else { 503 }));
    let canary = Canary::start(&format!("{}{}", redis(port), webhook(server)));
    let passwords: Vec<String> = (0..20).map(|number| format!("password-{number:02}")).collect();
    assert!(passwords.iter().all(|password| redis_login(port, "root", password)));
    let down = canary.event("a sink that is down", is("sink.down", "webhook"));
    assert!(down["fields"]["why"].as_str().unwrap().contains("503"), "{down}");
    let shown = canary.haldane(&["check", "--sinks", "--config", &config(&canary)]);
    assert!(shown.contains("DOWN") && shown.contains("503"), "{shown}");
    working.store(true, Ordering::SeqCst);
    until("all of them", || inbox.all().len() >= passwords.len());
    canary.event("a sink that is back", is("sink.back", "webhook"));
    let taken = inbox.all();
    assert_eq!(taken.len(), passwords.len());
    assert!(taken.iter().zip(&passwords).all(|(message, password)| message.contains(password.as_str())));
}

fn config(canary: &Canary) -> String {
    file(canary, "haldane.toml").to_str().unwrap().to_owned()
}

#[test]
fn a_webhook_that_never_answers_slows_nobody_and_keeps_the_canary_from_nothing() {
    let (port, server) = (free_port(), free_port());
    let inbox = web(server, |_| Answer::Never);
    let log = "[sink.log]\ntype = \"file\"\npath = \"{folder}/log\"\n";
    let canary = Canary::start(&format!("{}{}{log}", redis(port), webhook(server)));
    assert!(redis_login(port, "root", "first"));
    until("a call that nobody answers", || inbox.asked() == 1);
    // The machine may be busy; the webhook would be slow each time.
    let slowest = (0..5).map(|_| slowest_login(port)).min().unwrap();
    assert!(slowest < Duration::from_millis(100), "{slowest:?}");
    assert!(redis_login(port, "root", "last"));
    until("the other sinks go on", || text(file(&canary, "log")).contains("last"));
    assert_eq!((inbox.asked(), inbox.all().len()), (1, 0));
    let (status, took) = canary.stop();
    assert!(status.success());
    assert!(took < Duration::from_secs(5), "{took:?}");
}

fn slowest_login(port: u16) -> Duration {
    let timed = |_| {
        let started = Instant::now();
        assert!(redis_login(port, "root", "hunter2"));
        started.elapsed()
    };
    (0..20).map(timed).max().unwrap()
}

#[test]
fn alerts_that_wait_survive_kill_dash_nine() {
    let (port, server) = (free_port(), free_port());
    // Takes five, and is killed over the sixth, which it has taken without having said so.
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = Arc::clone(&refusing);
    let inbox = web(server, move |asked| match asked {
        0..5 => Answer::Status(200),
        5 => Answer::Leave,
        _ if refuses.load(Ordering::SeqCst) => Answer::Status(500),
        _ => Answer::Status(200),
    });
    let configuration = format!("{}{}", redis(port), webhook(server));
    let canary = Canary::start(&configuration);
    let passwords: Vec<String> = (0..20).map(|number| format!("password-{number:02}")).collect();
    assert!(passwords.iter().all(|password| redis_login(port, "root", password)));
    until("some are delivered, some are not", || inbox.asked() > 6);
    let folder = canary.kill();
    refusing.store(false, Ordering::SeqCst);
    let again = Canary::start_in(folder, &configuration);
    until("all of them", || passwords.iter().all(|password| inbox.count(password) > 0));
    assert!(redis_login(port, "root", "afterwards"));
    until("what comes now", || inbox.count("afterwards") == 1);
    again.event("the canary runs", |event| event["kind"] == "haldane.message");
    // Repeated at most: those whose delivery the store had not yet heard of.
    assert!(passwords.iter().all(|password| inbox.count(password) <= 2));
}

#[test]
fn a_canary_that_is_killed_again_and_again_has_every_login_that_it_answered() {
    let port = free_port();
    let answered: Arc<Mutex<Vec<String>>> = Arc::default();
    let (going, next) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (answered, going, next) = (Arc::clone(&answered), Arc::clone(&going), Arc::clone(&next));
            thread::spawn(move || {
                while going.load(Ordering::SeqCst) {
                    let password = format!("password-{}", next.fetch_add(1, Ordering::SeqCst));
                    match redis_login(port, "root", &password) {
                        true => answered.lock().unwrap().push(password),
                        false => thread::sleep(Duration::from_millis(5)),
                    }
                }
            })
        })
        .collect();
    let mut place = folder();
    for round in 0..10 {
        let canary = Canary::start_in(place, &redis(port));
        let before = answered.lock().unwrap().len();
        // Each time at another point of whatever it does.
        until("logins", || answered.lock().unwrap().len() >= before + 20 + 7 * round);
        place = canary.kill();
    }
    going.store(false, Ordering::SeqCst);
    clients.into_iter().for_each(|client| client.join().unwrap());
    let canary = Canary::start_in(place, &redis(port));
    let stored = canary.haldane(&["events", "--json", "--service", "redis"]);
    let password = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["credential"]["password"].as_str().map(str::to_owned)
    };
    let stored: BTreeSet<String> = stored.lines().filter_map(password).collect();
    let answered = answered.lock().unwrap();
    let lost: Vec<_> = answered.iter().filter(|password| !stored.contains(*password)).collect();
    assert!(lost.is_empty(), "of {}: {lost:?}", answered.len());
}

/// A small file system in a folder, gone when dropped.
struct Disk(PathBuf);

impl Disk {
    /// `None`, with a message, where nothing may be mounted.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(&folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            println!("SKIPPED: no file system can be mounted here");
        }
        mounted.then_some(Self(folder))
    }

    /// Leaves no room.
    fn fill(&self) {
        use std::io::Write;
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        while ballast.write_all(&[0; 4096]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_stops_no_alert_and_writing_goes_on_by_itself() {
    let place = folder();
    let Some(disk) = Disk::mount(place.path().join("state")) else { return };
    let (port, server) = (free_port(), free_port());
    let inbox = web(server, |_| Answer::Status(200));
    let canary = Canary::start_in(place, &format!("{}{}", redis(port), webhook(server)));
    assert!(redis_login(port, "root", "before"));
    until("what came before", || inbox.count("before") == 1);
    disk.fill();
    // The store has some room of its own left; who logs in is answered, and seen, before and after it is used up.
    let failing = |event: &Value| event["kind"] == "store.failing";
    let mut passwords = vec!["before".to_owned()];
    let give_up = Instant::now() + PATIENCE;
    while canary.so_far(failing).is_empty() {
        assert!(Instant::now() < give_up, "the disk is never full");
        let password = format!("password-{:03}-{}", passwords.len(), "x".repeat(1000));
        assert!(redis_login(port, "root", &password));
        passwords.push(password);
    }
    for number in 0..50 {
        let password = format!("meanwhile-{number:02}");
        assert!(redis_login(port, "root", &password));
        passwords.push(password);
    }
    until("alerts while the disk is full", || passwords.iter().all(|password| inbox.count(password) == 1));
    canary.login("redis", "root", "meanwhile-49");
    disk.free();
    canary.event("writing goes on", |event| event["kind"] == "store.resumed");
    assert!(canary.so_far(|event| event["kind"] == "store.gap").is_empty(), "memory sufficed");
    // On disk, in full: what is read after kill -9 was written.
    canary.signal("KILL");
    let stored = canary.haldane(&["events", "--json"]);
    assert!(passwords.iter().all(|password| stored.contains(password.as_str())));
    assert!(stored.contains("store.failing") && stored.contains("store.resumed"));
    drop(canary);
    drop(disk);
}

#[test]
fn a_log_folder_that_goes_away_and_comes_back_costs_no_line() {
    let port = free_port();
    let place = folder();
    let (logs, away) = (place.path().join("logs"), place.path().join("away"));
    fs::create_dir(&logs).unwrap();
    fs::set_permissions(&logs, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let sink = "[sink.log]\ntype = \"file\"\npath = \"{folder}/logs/log\"\n";
    let canary = Canary::start_in(place, &format!("{}{sink}", redis(port)));
    assert!(redis_login(port, "root", "hunter-one"));
    until("the first line", || text(logs.join("log")).contains("hunter-one"));
    fs::rename(&logs, &away).unwrap();
    assert!(redis_login(port, "root", "hunter-two"));
    let down = canary.event("a sink that is down", is("sink.down", "log"));
    assert!(down["fields"]["why"].as_str().unwrap().contains("no folder"), "{down}");
    fs::rename(&away, &logs).unwrap();
    until("the second line", || text(logs.join("log")).contains("hunter-two"));
    let lines = |part: &str| text(logs.join("log")).lines().filter(|line| line.contains(part)).count();
    assert_eq!((lines("hunter-one"), lines("hunter-two")), (1, 1));
}

#[test]
fn without_a_port_to_be_had_it_says_so_and_ends() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = folder();
    let command = Canary::command(&place, &redis(port));
    let (status, said) = Canary::spawn_unready(place, command).ended();
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(&port.to_string()) && said.contains("in use"), "{said}");
}

#[test]
fn a_wrong_configuration_starts_nothing_and_names_every_mistake() {
    let port = free_port();
    let place = folder();
    let wrong = format!(
        "{}[service.ftp]\nport = \"many\"\n[service.htpp]\n[sink.mail]\ntype = \"smtp\"\nhosts = \"x\"\n",
        redis(port)
    );
    let command = Canary::command(&place, &wrong);
    let (status, said) = Canary::spawn_unready(Arc::clone(&place), command).ended();
    assert_eq!(status.code(), Some(78), "{said}");
    for part in ["ftp", "many", "htpp", "http", "hosts"] {
        assert!(said.contains(part), "no {part} in: {said}");
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(!place.path().join("state").exists());
}

/// Runs it with so few descriptors.
fn with_descriptors(count: usize, configuration: &str) -> Canary {
    let place = folder();
    let inner = Canary::command(&place, configuration);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {count}; exec \"$@\""), "sh"]);
    command.arg(inner.get_program()).args(inner.get_args());
    Canary::spawn(place, command)
}

/// Opens more connections than it has descriptors; everybody must be seen, one by one or counted.
fn exhaust(count: usize) -> BTreeSet<String> {
    let port = free_port();
    let canary = with_descriptors(count, &redis(port));
    const PEERS: u64 = 150;
    let peers: Vec<TcpStream> =
        (0..PEERS).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    let of = |event: &Value, kind: &str| event["service"] == "redis" && event["kind"] == kind;
    let seen = || {
        let opened = canary.so_far(|event| of(event, "connection.opened")).len() as u64;
        let turned = canary.so_far(|event| of(event, "connection.turned"));
        opened + turned.iter().map(|event| event["fields"]["count"].as_u64().unwrap()).sum::<u64>()
    };
    until("everybody is seen", || seen() >= PEERS);
    assert_eq!(seen(), PEERS);
    drop(peers);
    until("it serves again", || redis_login(port, "root", "afterwards"));
    canary.login("redis", "root", "afterwards");
    let limit = |event: &Value| event["fields"]["limit"].as_str().map(str::to_owned);
    canary.so_far(|event| of(event, "connection.turned")).iter().filter_map(limit).collect()
}

#[test]
fn with_few_descriptors_everybody_is_seen() {
    assert_eq!(exhaust(64), BTreeSet::from(["total".to_owned()]));
}

#[test]
fn without_any_descriptor_left_everybody_is_seen() {
    assert!(exhaust(34).contains("descriptors"));
}
