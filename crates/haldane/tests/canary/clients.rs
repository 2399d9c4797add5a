//! Lists of passwords, tried by the programs that attackers use: none is missing, none is counted twice.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use crate::fixture::{Canary, client, file, free_port, installed};

const USERS: [&str; 3] = ["root", "admin", "bob"];
const PASSWORDS: [&str; 5] = ["123456", "admin", "p@ss word", "letmein", "qwerty"];

/// Each pair that was tried, and how often.
type Tried = BTreeMap<(String, String), usize>;

/// The lists as files: of users, of passwords.
fn lists(canary: &Canary) -> [String; 2] {
    [("users", &USERS[..]), ("passwords", &PASSWORDS[..])].map(|(name, words)| {
        let path: PathBuf = file(canary, name);
        fs::write(&path, words.join("\n") + "\n").unwrap();
        path.to_str().unwrap().to_owned()
    })
}

fn pairs(users: &[&str]) -> Tried {
    let pair = |user: &&str, password: &str| ((user.to_string(), password.to_owned()), 1);
    users.iter().flat_map(|user| PASSWORDS.map(|password| pair(user, password))).collect()
}

/// What was tried at a service with a password in clear, once there are that many events.
fn tried(canary: &Canary, service: &str, at_least: usize) -> Tried {
    let guess = |event: &Value| event["service"] == service && event["credential"]["password"].is_string();
    canary.events(at_least, "guesses", guess);
    let mut tried = Tried::new();
    for event in canary.so_far(guess) {
        let part = |name: &str| event["credential"][name].as_str().unwrap_or_default().to_owned();
        *tried.entry((part("username"), part("password"))).or_default() += 1;
    }
    tried
}

/// A canary with that one service, with a tool let loose on it.
struct Attack {
    service: &'static str,
    settings: &'static str,
    port: u16,
}

impl Attack {
    fn on(service: &'static str, settings: &'static str) -> Self {
        Self { service, settings, port: free_port() }
    }

    fn canary(&self) -> Canary {
        Canary::start(&format!("[service.{}]\nport = {}\n{}\n", self.service, self.port, self.settings))
    }

    /// Every pair is seen, exactly once.
    fn shows_every_pair_once(&self, canary: &Canary, said: &str) {
        let seen = tried(canary, self.service, USERS.len() * PASSWORDS.len());
        assert_eq!(seen, pairs(&USERS), "{said}");
    }

    fn hydra(&self, module: &[&str]) {
        if !installed("hydra") {
            return;
        }
        let canary = self.canary();
        let ([users, passwords], port) = (lists(&canary), self.port.to_string());
        let mut arguments = vec!["-I", "-t", "4", "-L", &users, "-P", &passwords, "-s", &port, "127.0.0.1"];
        arguments.extend(module);
        let said = client("hydra", &arguments);
        self.shows_every_pair_once(&canary, &said);
    }

    fn medusa(&self, module: &[&str]) {
        if !installed("medusa") {
            return;
        }
        let canary = self.canary();
        let ([users, passwords], port) = (lists(&canary), self.port.to_string());
        let mut arguments =
            vec!["-h", "127.0.0.1", "-n", &port, "-t", "4", "-U", &users, "-P", &passwords, "-M"];
        arguments.extend(module);
        let said = client("medusa", &arguments);
        self.shows_every_pair_once(&canary, &said);
    }

    fn ncrack(&self, options: &[&str]) -> Option<(Canary, String)> {
        if !installed("ncrack") {
            return None;
        }
        let canary = self.canary();
        let ([users, passwords], target) = (lists(&canary), format!("{}:{}", self.service, self.port));
        let mut arguments = vec!["-U", &users, "-P", &passwords, "-p", &target];
        arguments.extend(options);
        arguments.push("127.0.0.1");
        let said = client("ncrack", &arguments);
        Some((canary, said))
    }
}

#[test]
fn hydra_at_ssh() {
    Attack::on("ssh", "fail_delay = \"0s\"").hydra(&["ssh"]);
}

#[test]
fn hydra_at_ftp() {
    Attack::on("ftp", "login_delay = \"0s\"").hydra(&["ftp"]);
}

#[test]
fn hydra_at_telnet() {
    Attack::on("telnet", "login_delay = \"0s\"").hydra(&["telnet"]);
}

#[test]
fn hydra_at_mysql() {
    Attack::on("mysql", "").hydra(&["mysql"]);
}

#[test]
fn hydra_at_basic_authentication() {
    Attack::on("http", "auth = [\"basic\"]\nauth_path = \"/private\"").hydra(&["http-get", "/private"]);
}

#[test]
fn hydra_at_basic_authentication_in_tls() {
    Attack::on("https", "auth = [\"basic\"]\nauth_path = \"/private\"").hydra(&["https-get", "/private"]);
}

#[test]
fn hydra_at_digest_authentication() {
    if !installed("hydra") {
        return;
    }
    let attack = Attack::on("http", "auth = [\"digest\"]\nauth_path = \"/private\"");
    let canary = attack.canary();
    let ([users, passwords], port) = (lists(&canary), attack.port.to_string());
    let arguments =
        ["-I", "-t", "4", "-L", &users, "-P", &passwords, "-s", &port, "127.0.0.1", "http-get", "/private"];
    let said = client("hydra", &arguments);
    let digest = |event: &Value| event["credential"]["mechanism"] == "digest";
    let seen = canary.events(USERS.len() * PASSWORDS.len(), "answers to the challenge", digest);
    for user in USERS {
        let of_user = seen.iter().filter(|event| event["credential"]["username"] == user);
        assert_eq!(of_user.count(), PASSWORDS.len(), "{user}: {said}");
    }
}

#[test]
fn hydra_at_the_form() {
    let form = "/index.html:username=^USER^&password=^PASS^:S=no such page says this";
    Attack::on("http", "skin = \"nasLogin\"").hydra(&["http-post-form", form]);
}

#[test]
fn hydra_at_redis_that_knows_passwords_alone() {
    if !installed("hydra") {
        return;
    }
    let attack = Attack::on("redis", "");
    let canary = attack.canary();
    let ([_, passwords], port) = (lists(&canary), attack.port.to_string());
    let said = client("hydra", &["-I", "-P", &passwords, "-s", &port, "127.0.0.1", "redis"]);
    assert_eq!(tried(&canary, "redis", PASSWORDS.len()), pairs(&[""]), "{said}");
}

#[test]
fn medusa_at_ssh() {
    Attack::on("ssh", "fail_delay = \"0s\"").medusa(&["ssh"]);
}

#[test]
fn medusa_at_ftp() {
    Attack::on("ftp", "login_delay = \"0s\"").medusa(&["ftp"]);
}

#[test]
fn medusa_at_telnet() {
    Attack::on("telnet", "login_delay = \"0s\"").medusa(&["telnet"]);
}

#[test]
fn medusa_at_basic_authentication() {
    let settings = "auth = [\"basic\"]\nauth_path = \"/private\"";
    Attack::on("http", settings).medusa(&["http", "-m", "DIR:private"]);
}

/// Medusa and ncrack end their talk when they are asked for the password itself: an answer to the salt is
/// what they leave, one for each password.
fn answers_to_the_salt(canary: &Canary, said: &str) {
    let seen = canary.events(USERS.len() * PASSWORDS.len(), "logins", |event| event["kind"] == "mysql.login");
    for user in USERS {
        let lines: Vec<&str> = seen
            .iter()
            .filter(|event| event["credential"]["username"] == user)
            .map(|event| event["credential"]["response"]["crackable"].as_str().unwrap())
            .collect();
        assert_eq!(lines.len(), PASSWORDS.len(), "{user}: {said}");
        assert!(lines.iter().all(|line| line.starts_with("$mysqlna$")), "{lines:?}");
    }
    assert_eq!(seen.len(), USERS.len() * PASSWORDS.len());
}

#[test]
fn medusa_at_mysql() {
    if !installed("medusa") {
        return;
    }
    let attack = Attack::on("mysql", "");
    let canary = attack.canary();
    let ([users, passwords], port) = (lists(&canary), attack.port.to_string());
    let said = client(
        "medusa",
        &["-h", "127.0.0.1", "-n", &port, "-t", "4", "-U", &users, "-P", &passwords, "-M", "mysql"],
    );
    answers_to_the_salt(&canary, &said);
}

#[test]
fn ncrack_at_mysql() {
    if let Some((canary, said)) = Attack::on("mysql", "").ncrack(&[]) {
        answers_to_the_salt(&canary, &said);
    }
}

#[test]
fn ncrack_at_ftp() {
    let attack = Attack::on("ftp", "login_delay = \"0s\"");
    if let Some((canary, said)) = attack.ncrack(&[]) {
        attack.shows_every_pair_once(&canary, &said);
    }
}

#[test]
fn ncrack_at_telnet() {
    let attack = Attack::on("telnet", "login_delay = \"0s\"");
    if let Some((canary, said)) = attack.ncrack(&[]) {
        attack.shows_every_pair_once(&canary, &said);
    }
}

#[test]
fn ncrack_at_basic_authentication() {
    let attack = Attack::on("http", "auth = [\"basic\"]\nauth_path = \"/private\"");
    if let Some((canary, said)) = attack.ncrack(&["-m", "http:path=/private"]) {
        attack.shows_every_pair_once(&canary, &said);
    }
}

/// With several users ncrack closes connections on itself and forgets pairs; and it tries some passwords
/// again that were refused together with a connection.
#[test]
fn ncrack_at_ssh() {
    if !installed("ncrack") {
        return;
    }
    let attack = Attack::on("ssh", "fail_delay = \"0s\"");
    let canary = attack.canary();
    let [_, passwords] = lists(&canary);
    let target = format!("ssh:{}", attack.port);
    let said = client("ncrack", &["--user", "root", "-P", &passwords, "-p", &target, "127.0.0.1"]);
    let seen = tried(&canary, "ssh", PASSWORDS.len());
    let (seen, all) = (seen.keys().collect::<Vec<_>>(), pairs(&["root"]));
    assert_eq!(seen, all.keys().collect::<Vec<_>>(), "{said}");
}

/// Ncrack knows the refusal of Redis before 6.0 alone, and waits for ever for it from a later one; and it does
/// not quote: a password with a blank becomes two arguments.
#[test]
fn ncrack_at_redis_of_its_time() {
    if !installed("ncrack") {
        return;
    }
    let attack = Attack::on("redis", "version = \"5.0.7\"");
    let canary = attack.canary();
    let passwords = ["123456", "admin", "letmein"];
    let (target, list) = (format!("redis:{}", attack.port), passwords.join(","));
    let said = client("ncrack", &["--user", "any", "--pass", &list, "-p", &target, "127.0.0.1"]);
    let all = passwords.map(|password| ((String::new(), password.to_owned()), 1));
    assert_eq!(tried(&canary, "redis", passwords.len()), Tried::from(all), "{said}");
}
