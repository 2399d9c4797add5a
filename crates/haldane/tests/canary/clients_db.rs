//! MySQL and Redis, with their command-line clients and drivers.

use crate::fixture::{Canary, client, free_port, installed, python};

fn canary(service: &str, settings: &str) -> (Canary, String) {
    let port = free_port();
    (Canary::start(&format!("[service.{service}]\nport = {port}\n{settings}\n")), port.to_string())
}

const MARIADB: &str = "banner = \"5.5.5-10.11.19-MariaDB-0+deb12u1\"";
const EIGHT: &str = "banner = \"8.0.36\"";

fn mysql(port: &str, user: &str, password: &str, options: &[&str]) -> String {
    let (user, password) = (format!("-u{user}"), format!("-p{password}"));
    client("mysql", &[&["--no-defaults", "-h127.0.0.1", "-P", port, &user, &password], options].concat())
}

#[test]
fn the_mysql_client_gives_its_password_to_every_version_that_learns_its_name() {
    if !installed("mysql") {
        return;
    }
    for banner in ["banner = \"5.7.44\"", EIGHT, MARIADB] {
        let (canary, port) = canary("mysql", banner);
        let said = mysql(&port, "root", "s3cret", &[]);
        assert!(said.contains("ERROR 1045 (28000): Access denied for user 'root'@"), "{banner}: {said}");
        assert!(said.contains("(using password: YES)"), "{banner}: {said}");
        let login = canary.login("mysql", "root", "s3cret");
        assert_eq!(canary.so_far(|event| event["kind"] == "mysql.login").len(), 1, "{banner}: {login}");
    }
}

/// MySQL 5.5 knows no attributes: which clients would give their password cannot be told.
#[test]
fn an_old_server_gets_the_answer_to_its_salt() {
    if !installed("mysql") {
        return;
    }
    let (canary, port) = canary("mysql", "banner = \"5.5.43-0ubuntu0.14.04.1\"");
    let said = mysql(&port, "root", "s3cret", &[]);
    assert!(said.contains("ERROR 1045 (28000): Access denied for user 'root'@"), "{said}");
    let login = canary.event("login", |event| event["kind"] == "mysql.login");
    assert!(login["credential"]["response"]["crackable"].is_string(), "{login}");
}

#[test]
fn without_clear_text_the_answer_to_the_salt_is_left() {
    if !installed("mysql") {
        return;
    }
    let (canary, port) = canary("mysql", &format!("{MARIADB}\nclear_text = false"));
    mysql(&port, "root", "s3cret", &[]);
    let login = canary.event("login", |event| event["kind"] == "mysql.login");
    assert!(login["credential"]["password"].is_null(), "{login}");
    let line = login["credential"]["response"]["crackable"].as_str().unwrap();
    assert!(line.starts_with("$mysqlna$") && line.len() > 80, "{line}");
    if let Some(said) = python(CRACK, &[line, "s3cret"]) {
        assert_eq!(said.trim(), "cracked");
    }
}

/// Checks a guess against such a line: SHA1(password) XOR SHA1(salt + SHA1(SHA1(password))).
const CRACK: &str = "
import hashlib, sys
salt, answer = [bytes.fromhex(part) for part in sys.argv[1].removeprefix('$mysqlna$').split('*')]
once = hashlib.sha1(sys.argv[2].encode()).digest()
mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
print('cracked' if bytes(a ^ b for a, b in zip(once, mask)) == answer else 'no')
";

#[test]
fn mysql_over_tls_leaves_password_and_fingerprint() {
    if !installed("mysql") {
        return;
    }
    let (canary, port) = canary("mysql", &format!("{EIGHT}\noffer_tls = \"yes\""));
    let said = mysql(&port, "root", "wrapped", &["--ssl"]);
    assert!(said.contains("1045"), "{said}");
    let login = canary.login("mysql", "root", "wrapped");
    assert!(login["tls"]["ja4"].is_string(), "{login}");
}

const DRIVERS: &str = "
import sys, pymysql, mysql.connector
port = int(sys.argv[1])
def attempt(connect, **more):
    try:
        connect(host='127.0.0.1', port=port, **more)
    except Exception as refused:
        print(refused)
attempt(pymysql.connect, user='py', password='my sql')
attempt(pymysql.connect, user='odd', password=b'na\\xefve')
attempt(mysql.connector.connect, user='connector', password='pure', use_pure=True, ssl_disabled=True)
attempt(mysql.connector.connect, user='nobody', password='')
";

#[test]
fn python_drivers_give_their_passwords_to_mariadb_and_to_eight() {
    for banner in [MARIADB, EIGHT] {
        let (canary, port) = canary("mysql", banner);
        let Some(said) = python(DRIVERS, &[&port]) else { return };
        assert_eq!(said.matches("Access denied for user").count(), 4, "{banner}: {said}");
        canary.login("mysql", "py", "my sql");
        canary.odd_login("mysql", "odd");
        let of =
            |name: &'static str| move |event: &serde_json::Value| event["credential"]["username"] == name;
        let connector = canary.event("connector", of("connector"));
        // Connector/Python gives the password itself only where it was told that the line is safe.
        let credential = &connector["credential"];
        let left = credential["password"] == "pure" || credential["response"]["crackable"].is_string();
        assert!(left, "{connector}");
        canary.event("an empty password", of("nobody"));
        assert_eq!(canary.so_far(|event| event["kind"] == "mysql.login").len(), 4, "{banner}");
    }
}

#[test]
fn eight_gets_the_password_through_its_rsa_key() {
    let script = "
import sys, pymysql
try:
    pymysql.connect(host='127.0.0.1', port=int(sys.argv[1]), user='rsa', password='sealed', ssl_disabled=True)
except Exception as refused:
    print(refused)
";
    let (canary, port) = canary("mysql", &format!("{EIGHT}\noffer_tls = \"no\""));
    if python(script, &[&port]).is_none() {
        return;
    }
    let login = canary.login("mysql", "rsa", "sealed");
    assert_eq!(login["fields"]["plugin"], "caching_sha2_password", "{login}");
}

#[test]
fn redis_cli_logs_in_with_and_without_a_name() {
    if !installed("redis-cli") {
        return;
    }
    let (canary, port) = canary("redis", "");
    let said = client("redis-cli", &["-p", &port, "--user", "alice", "--pass", "sesam", "ping"]);
    assert!(said.contains("NOAUTH Authentication required."), "{said}");
    canary.login("redis", "alice", "sesam");
    client("redis-cli", &["-p", &port, "-3", "--user", "bob", "--pass", "three", "ping"]);
    canary.login("redis", "bob", "three");
    let said = client("redis-cli", &["-p", &port, "auth", "na\u{ef}ve"]);
    assert!(said.contains("WRONGPASS"), "{said}");
    canary.event("one argument", |event| event["credential"]["password"] == "na\u{ef}ve");
    client("redis-cli", &["-p", &port, "config", "set", "dir", "/var/spool/cron"]);
    let seen = canary.event("command", |event| event["fields"]["arguments"].to_string().contains("spool"));
    assert_eq!(seen["fields"]["command"], "CONFIG", "{seen}");
}

const REDIS: &str = "
import sys, redis
from redis.backoff import NoBackoff
from redis.retry import Retry
for password in ['plain', b'na\\xefve', b'nul\\0inside', 'x' * 1000]:
    try:
        redis.Redis(port=int(sys.argv[1]), username='py', password=password, retry=Retry(NoBackoff(), 0)).ping()
    except redis.exceptions.RedisError as refused:
        print(refused)
";

#[test]
fn the_redis_driver_sends_passwords_of_any_bytes() {
    let (canary, port) = canary("redis", "");
    let Some(said) = python(REDIS, &[&port]) else { return };
    let long = "x".repeat(1000);
    for password in ["plain", "nul\0inside", &long] {
        canary.login("redis", "py", password);
    }
    canary.odd_login("redis", "py");
    assert!(said.to_lowercase().contains("invalid username-password pair"), "{said}");
}
