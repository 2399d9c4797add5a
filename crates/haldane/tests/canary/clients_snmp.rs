//! SNMP, with Net-SNMP's tools, scanners and guessers.

use serde_json::{Value, json};

use crate::fixture::{Canary, client, file, free_port, installed, python, text, until};

fn canary(settings: &str) -> (Canary, String) {
    let port = free_port();
    let settings = format!("[service.snmp]\nport = {port}\nsys_name = \"files01\"\n{settings}\n");
    (Canary::start(&settings), port.to_string())
}

/// Runs one of Net-SNMP's tools, which ask once and wait a second here.
fn tool(tool: &str, port: &str, options: &[&str], operands: &[&str]) -> String {
    let to = format!("127.0.0.1:{port}");
    client(tool, &[&["-m", "", "-On", "-t", "1", "-r", "0"], options, &[&to], operands].concat())
}

fn is_request(event: &Value) -> bool {
    event["service"] == "snmp"
}

const DESCR: &str = ".1.3.6.1.2.1.1.1.0";

#[test]
fn snmpget_is_answered_in_both_versions_and_recorded_once() {
    if !installed("snmpget") {
        return;
    }
    let (canary, port) = canary("");
    for (number, version) in (1..).zip(["1", "2c"]) {
        let said = tool("snmpget", &port, &["-v", version, "-c", "public"], &[DESCR, ".1.3.6.1.2.1.1.2.0"]);
        assert!(said.contains(".1.1.0 = STRING: \"Linux files01 6.1.0-37-amd64\""), "{said}");
        assert!(said.contains(".1.2.0 = OID: .1.3.6.1.4.1.8072.3.2.10"), "{said}");
        let events = canary.events(number, "a request", is_request);
        let last = &events[number - 1];
        assert_eq!(events.len(), number);
        assert_eq!((&last["kind"], &last["severity"]), (&json!("snmp.request"), &json!("low")));
        assert_eq!(last["credential"]["password"], "public");
        assert_eq!(last["fields"]["version"], version);
        assert_eq!(last["fields"]["pdu"], "get");
        assert_eq!(last["fields"]["requests"], json!(["1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.2.0"]));
    }
}

#[test]
fn snmpwalk_and_snmpbulkwalk_come_to_the_end() {
    if !installed("snmpwalk") {
        return;
    }
    let (canary, port) = canary("");
    let one = tool("snmpwalk", &port, &["-v1", "-c", "public"], &[".1"]);
    let two = tool("snmpwalk", &port, &["-v2c", "-c", "public"], &[".1"]);
    let lines = |said: &str| said.lines().filter(|line| line.starts_with('.')).count();
    assert!(one.ends_with("End of MIB\n"), "{one}");
    assert!(two.contains("No more variables left in this MIB View"), "{two}");
    // The last of v2c tells that there is no more.
    assert_eq!((lines(&one), lines(&two)), (24, 25), "{one}\n{two}");
    let events = canary.events(50, "every step", is_request);
    assert_eq!(events.len(), 50);
    assert!(events.iter().all(|event| event["fields"]["pdu"] == "getnext"));
    let bulk = tool("snmpbulkwalk", &port, &["-v2c", "-c", "public"], &[".1"]);
    assert_eq!(lines(&bulk), 25, "{bulk}");
    let bulk = canary.event("a bulk request", |event| event["fields"]["pdu"] == "getbulk");
    assert_eq!(bulk["fields"]["max_repetitions"], 10);
}

#[test]
fn another_community_meets_silence_and_is_a_guess() {
    if !installed("snmpget") {
        return;
    }
    let settings = "honeycreds = [{ password = \"c0rp-ro\" }]\ncommunities = [\"public\", \"c0rp-ro\"]";
    let (canary, port) = canary(settings);
    let said = tool("snmpget", &port, &["-v2c", "-c", "private"], &[DESCR]);
    assert!(said.starts_with("Timeout: No Response"), "{said}");
    let guess = canary.event("a guess", |event| event["credential"]["password"] == "private");
    assert_eq!((&guess["severity"], &guess["fields"]["known"]), (&json!("high"), &json!(false)));
    let said = tool("snmpget", &port, &["-v2c", "-c", "c0rp-ro"], &[DESCR]);
    assert!(said.contains("Linux"), "{said}");
    let bait = canary.event("the bait", |event| event["credential"]["password"] == "c0rp-ro");
    assert_eq!((&bait["severity"], &bait["honeycred"]), (&json!("critical"), &json!(true)));
}

#[test]
fn snmpset_is_refused_and_its_values_are_recorded() {
    if !installed("snmpset") {
        return;
    }
    let (canary, port) = canary("");
    let operands = [".1.3.6.1.2.1.1.6.0", "s", "owned", ".1.3.6.1.2.1.4.1.0", "i", "-5"];
    let said = tool("snmpset", &port, &["-v2c", "-c", "public"], &operands);
    assert!(said.contains("Reason: noAccess"), "{said}");
    let set = canary.event("the set", |event| event["fields"]["pdu"] == "set");
    assert_eq!(set["severity"], "high");
    assert_eq!(
        set["fields"]["values"],
        json!([
            { "oid": "1.3.6.1.2.1.1.6.0", "type": "octets", "value": "owned" },
            { "oid": "1.3.6.1.2.1.4.1.0", "type": "integer", "value": -5 },
        ])
    );
    let said = tool("snmpset", &port, &["-v1", "-c", "public"], &operands);
    assert!(said.contains("(noSuchName)"), "{said}");
    canary.events(2, "both", |event| event["fields"]["pdu"] == "set");
}

#[test]
fn version_3_tells_of_its_engine_takes_the_digest_and_knows_its_users() {
    if !installed("snmpget") {
        return;
    }
    let (canary, port) = canary("users = [\"backup\"]");
    let secured = |user: &str, options: &[&str]| {
        tool("snmpget", &port, &[&["-v3", "-u", user, "-A", "maplesyrup"], options].concat(), &[DESCR])
    };
    let said = secured("nobody", &["-l", "authNoPriv", "-a", "MD5"]);
    assert!(said.contains("Unknown user name"), "{said}");
    canary.event("a discovery", |event| event["kind"] == "snmp.discovery");
    let login = |user: &str, number| {
        let is = |event: &Value| event["kind"] == "snmp.login" && event["credential"]["username"] == user;
        canary.events(number, "a login", is).pop().unwrap()
    };
    assert_eq!(login("nobody", 1)["fields"]["known"], false);
    let algorithms =
        [("MD5", "0"), ("SHA", "0"), ("SHA-224", "3"), ("SHA-256", "4"), ("SHA-384", "5"), ("SHA-512", "6")];
    for (number, (algorithm, mode)) in (1..).zip(algorithms) {
        let said = secured("backup", &["-l", "authNoPriv", "-a", algorithm]);
        assert!(said.contains("Authentication failure"), "{algorithm}: {said}");
        let line = login("backup", number)["credential"]["response"]["crackable"].clone();
        let line = line.as_str().unwrap();
        assert!(line.starts_with(&format!("$SNMPv3${mode}$")), "{algorithm}: {line}");
        let Some(said) = python(CRACK, &[line, algorithm, "maplesyrup"]) else { continue };
        assert_eq!(said.trim(), "cracked", "{algorithm}: {line}");
    }
    let said = secured("backup", &["-l", "authPriv", "-a", "SHA", "-x", "AES", "-X", "maplesyrup"]);
    assert!(said.contains("Authentication failure"), "{said}");
    assert_eq!(login("backup", 7)["fields"]["encrypted"], true);
    let said = secured("backup", &["-l", "noAuthNoPriv"]);
    assert!(said.contains("authorizationError"), "{said}");
    let last = login("backup", 8);
    assert_eq!((&last["fields"]["pdu"], &last["severity"]), (&json!("get"), &json!("high")));
}

/// Checks a guess against such a line (RFC 3414, appendix A.2).
const CRACK: &str = "
import hashlib, hmac, sys
message, engine, digest = [bytes.fromhex(part) for part in sys.argv[1].split('$')[4:]]
name = {'MD5': 'md5', 'SHA': 'sha1'}.get(sys.argv[2]) or sys.argv[2].replace('-', '').lower()
password = sys.argv[3].encode()
key = hashlib.new(name, (password * (1048576 // len(password) + 1))[:1048576]).digest()
key = hashlib.new(name, key + engine + key).digest()
print('cracked' if hmac.new(key, message, name).digest()[:len(digest)] == digest else 'no')
";

#[test]
fn the_password_of_a_honey_credential_is_recognised_in_a_digest() {
    if !installed("snmpget") {
        return;
    }
    let (canary, port) = canary("honeycreds = [{ username = \"netops\", password = \"maplesyrup\" }]");
    for (number, (password, is_bait)) in (1..).zip([("maplesyrop", false), ("maplesyrup", true)]) {
        let options = ["-v3", "-u", "netops", "-l", "authNoPriv", "-a", "SHA", "-A", password];
        tool("snmpget", &port, &options, &[DESCR]);
        let login = canary.events(number, "a login", |event| event["kind"] == "snmp.login").pop().unwrap();
        assert_eq!(login["honeycred"], is_bait, "{login}");
    }
}

#[test]
fn the_compatible_line_is_opencanarys() {
    if !installed("snmpget") {
        return;
    }
    let (canary, port) = canary("[sink.file]\npath = \"{folder}/canary.log\"\nformat = \"compatible\"");
    tool("snmpget", &port, &["-v1", "-c", "private"], &[".1.3.6.1.2.1.1.5.0"]);
    let log = file(&canary, "canary.log");
    until("the line", || text(&log).contains("13001"));
    let line = text(&log);
    let line = line.lines().find(|line| line.contains("\"logtype\": 13001")).unwrap();
    let logdata = r#""logdata": {"COMMUNITY_STRING": "private", "REQUESTS": ["1.3.6.1.2.1.1.5.0"]}"#;
    assert!(line.contains(logdata), "{line}");
}

#[test]
fn onesixtyone_finds_the_agent_and_is_named() {
    if !installed("onesixtyone") {
        return;
    }
    let (canary, port) = canary("");
    let words = file(&canary, "words");
    std::fs::write(&words, "public\nprivate\ncisco\n").unwrap();
    let said = client("onesixtyone", &["-p", &port, "-c", words.to_str().unwrap(), "127.0.0.1"]);
    assert!(said.contains("127.0.0.1 [public] Linux files01"), "{said}");
    let tried = canary.events(3, "its requests", |event| event["fields"]["tool"] == "onesixtyone");
    let words: Vec<_> = tried.iter().map(|event| &event["credential"]["password"]).collect();
    assert_eq!(words, ["public", "private", "cisco"]);
}

#[test]
fn hydra_finds_the_community_and_is_named() {
    if !installed("hydra") {
        return;
    }
    let (canary, port) = canary("communities = [\"c0rp-ro\"]");
    let said = client("hydra", &["-I", "-t", "1", "-p", "c0rp-ro", "-s", &port, "127.0.0.1", "snmp"]);
    assert!(said.contains("1 valid password found"), "{said}");
    let tried = canary.event("its request", |event| event["fields"]["tool"] == "hydra");
    assert_eq!(tried["credential"]["password"], "c0rp-ro");
}

/// UDP scans need raw sockets.
#[test]
fn nmap_names_the_agent_and_its_scripts_read_it() {
    if !installed("nmap") || !rustix::process::geteuid().is_root() {
        println!("SKIPPED: nmap -sU needs root");
        return;
    }
    let (canary, port) = canary("");
    let options =
        ["-Pn", "-n", "-sU", "-sV", "--version-intensity", "4", "--script", "snmp-info,snmp-sysdescr"];
    let said = client("nmap", &[&options[..], &["-p", &port, "127.0.0.1"]].concat());
    for part in [
        "open  snmp    SNMPv1 server; net-snmp SNMPv3 server (public)",
        "Host: files01",
        "enterprise: net-snmp",
        "snmp-sysdescr: Linux files01 6.1.0-37-amd64",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    canary.event("its probe of version 1", |event| {
        event["kind"] == "snmp.request" && event["fields"]["tool"] == "nmap"
    });
    canary.event("its probe of version 3", |event| {
        event["kind"] == "snmp.discovery" && event["fields"]["tool"] == "nmap"
    });
}
