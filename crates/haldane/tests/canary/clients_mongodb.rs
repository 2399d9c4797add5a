//! Clients of MongoDB.

use std::{
    io::{Read, Write},
    net::TcpListener,
};

use serde_json::Value;

use crate::fixture::{Canary, client, connect, free_port, installed, python};

fn canary(settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.mongodb]\nport = {port}\n{settings}")), port)
}

fn logins(canary: &Canary) -> Vec<Value> {
    canary.so_far(|event| event["kind"] == "mongodb.login")
}

const LOGIN: &str = "
import sys
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
port, mechanism, compressors = sys.argv[1:4]
options = {'authMechanism': mechanism} if mechanism != 'default' else {}
if mechanism == 'PLAIN': options['authSource'] = '$external'
if compressors: options['compressors'] = compressors
c = MongoClient('127.0.0.1', int(port), username='ro,ot', password='hunter2', serverSelectionTimeoutMS=15000, **options)
try:
    c.admin.command('ping')
    print('let in')
except OperationFailure as error:
    print(error.code, error.details.get('errmsg'))
c.close()
";

#[test]
fn pymongo_reaches_each_login_which_is_recorded_once_and_refused_as_by_mongod() {
    for (mechanism, code, scheme) in [
        ("default", "18 Authentication failed.", "scram-sha-256"),
        ("SCRAM-SHA-1", "18 Authentication failed.", "mongodb-scram-sha-1"),
        ("SCRAM-SHA-256", "18 Authentication failed.", "scram-sha-256"),
    ] {
        let bait = "honeycreds = [{ username = \"ro,ot\", password = \"hunter2\" }]\n";
        let (canary, port) = canary(bait);
        let Some(said) = python(LOGIN, &[&port.to_string(), mechanism, "zlib"]) else { return };
        assert_eq!(said.trim(), code, "{mechanism}");
        let login = canary.event("the login", |event| event["kind"] == "mongodb.login");
        assert_eq!(login["credential"]["username"], "ro,ot");
        let response = &login["credential"]["response"];
        assert_eq!(response["scheme"], scheme);
        assert!(response["crackable"].as_str().unwrap().starts_with("$mongodb-scram-proof$"), "{login}");
        // The password that was never sent is recognised in the proof.
        assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login}");
        assert_eq!(logins(&canary).len(), 1, "{mechanism}");
        let hello = canary.event("the driver", |event| {
            event["fields"]["driver"].as_str().is_some_and(|name| name.starts_with("PyMongo"))
        });
        assert!(hello["fields"]["driver_version"].as_str().unwrap().starts_with("4."), "{hello}");
    }
}

#[test]
fn a_password_that_is_sent_in_clear_is_recorded_in_clear() {
    let (canary, port) = canary("");
    let Some(said) = python(LOGIN, &[&port.to_string(), "PLAIN", ""]) else { return };
    assert!(said.starts_with("334 Received authentication for mechanism PLAIN"), "{said}");
    canary.login("mongodb", "ro,ot", "hunter2");
    assert_eq!(logins(&canary).len(), 1);
}

#[test]
fn whoever_has_not_logged_in_is_refused_and_what_was_wanted_is_recorded() {
    let (canary, port) = canary("version = \"4.4.6\"\n");
    let script = "
import sys
from pymongo import MongoClient
from pymongo.errors import OperationFailure
c = MongoClient('127.0.0.1', int(sys.argv[1]), serverSelectionTimeoutMS=15000)
print(c.server_info()['version'], c.admin.command('ping'))
for act in (c.list_database_names, lambda: c.drop_database('crm'), lambda: c.crm.README_TO_RECOVER.insert_one({'note': '0.1 BTC'}),
            lambda: c.admin.command('frobnicate'), lambda: c.crm.people.find_one({'name': 'x'})):
    try: act()
    except OperationFailure as error: print(error.code, error.details['codeName'], error.details['errmsg'])
";
    let Some(said) = python(script, &[&port.to_string()]) else { return };
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "4.4.6 {'ok': 1.0}",
            "13 Unauthorized command listDatabases requires authentication",
            "13 Unauthorized command dropDatabase requires authentication",
            "13 Unauthorized command insert requires authentication",
            "59 CommandNotFound no such command: 'frobnicate'",
            "13 Unauthorized command find requires authentication",
        ]
    );
    let ransoms = canary.events(2, "ransom", |event| event["kind"] == "mongodb.ransom");
    let named: Vec<&str> = ransoms.iter().map(|event| event["fields"]["command"].as_str().unwrap()).collect();
    assert_eq!(named, ["dropDatabase", "insert"]);
    assert!(ransoms[1]["fields"]["query"].as_str().unwrap().contains("0.1 BTC"), "{}", ransoms[1]);
    canary.event("the query", |event| {
        event["fields"]["command"] == "find"
            && event["fields"]["query"].as_str().unwrap().contains("\"name\": \"x\"")
    });
}

#[test]
fn a_driver_that_watches_does_not_fill_the_log() {
    let (canary, port) = canary("");
    let script = "
import sys, time
from pymongo import MongoClient
c = MongoClient('127.0.0.1', int(sys.argv[1]), heartbeatFrequencyMS=500)
c.admin.command('ping')
time.sleep(4)
c.close()
";
    if python(script, &[&port.to_string()]).is_none() {
        return;
    }
    let commands = canary.so_far(|event| event["kind"] == "mongodb.command");
    assert!(commands.len() <= 6, "{}", commands.len());
}

#[test]
fn a_browser_is_told_that_this_is_no_web_server() {
    let (canary, port) = canary("");
    let mut stream = connect(port);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: db\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{answer}");
    canary.event("the error", |event| event["kind"] == "mongodb.error");
    canary.event("the end", |event| event["kind"] == "connection.closed");
}

#[test]
fn nmap_finds_what_it_can() {
    if !installed("nmap") {
        return;
    }
    // nmap knows a version from serverStatus alone, which a server with access control refuses. It asks for it first
    // at these ports; elsewhere, it waits for the answer to every other question before.
    let own = [27_017_u16, 49_153, 9_001];
    let free = own.into_iter().find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    match free {
        None => println!("SKIPPED: no port of MongoDB's is free"),
        Some(port) => {
            let settings = "version = \"4.4.6\"\nserver_status = true\n";
            let open = Canary::start(&format!("[service.mongodb]\nport = {port}\n{settings}"));
            let scan = client("nmap", &["-sV", "-Pn", "-n", "-p", &port.to_string(), "127.0.0.1"]);
            assert!(scan.contains("MongoDB 4.4.6"), "{scan}");
            open.event("what nmap asked for", |event| event["fields"]["command"] == "serverStatus");
        }
    }
    // Its script asks for buildInfo, too, which every release answers.
    let refusals = [
        ("4.4.6", "command serverStatus requires authentication"),
        ("7.0.16", "Unsupported OP_QUERY command: serverStatus"),
    ];
    for (version, refusal) in refusals {
        let (_closed, port) = canary(&format!("version = \"{version}\"\n"));
        let script = ["-Pn", "-n", "--script", "+mongodb-info", "-p"];
        let scan = client("nmap", &[&script[..], &[&port.to_string(), "127.0.0.1"]].concat());
        assert!(scan.contains(&format!("version = {version}")) && scan.contains(refusal), "{scan}");
    }
}
