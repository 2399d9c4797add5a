//! Remote Desktop, with a viewer, with what people try passwords with, and with nmap's scripts.

use std::{
    fs,
    io::{Read, Write},
};

use crate::fixture::{Canary, client, connect, file, free_port, installed};
use serde_json::Value;

fn canary(security: &str) -> (Canary, String) {
    let port = free_port();
    let settings = format!(
        "[host]\nname = \"files01\"\ndomain = \"corp.example.com\"\n\
         [service.rdp]\nport = {port}\nsecurity = [{security}]\n\
         honeycreds = [{{ username = \"jdoe\", password = \"hünter2\" }}]\n"
    );
    (Canary::start(&settings), port.to_string())
}

fn logins(canary: &Canary) -> Vec<Value> {
    canary.so_far(|event| event["kind"] == "rdp.login")
}

/// xfreerdp with that security, as CORP\jdoe.
fn viewer(security: &str, port: &str) -> Option<String> {
    if !installed("xfreerdp") || !installed("xvfb-run") {
        return None;
    }
    let (server, security) = (format!("/v:127.0.0.1:{port}"), format!("/sec:{security}"));
    let account = ["/u:jdoe", "/d:CORP", "/p:hünter2", "/cert:ignore"];
    let viewer = ["-a", "timeout", "20", "xfreerdp", &server, &security];
    Some(client("xvfb-run", &[&viewer[..], &account].concat()))
}

#[test]
fn a_viewer_leaves_its_answer_and_gets_the_real_failure() {
    let (canary, port) = canary("\"nla\"");
    let Some(said) = viewer("nla", &port) else { return };
    assert!(said.contains("STATUS_LOGON_FAILURE"), "{said}");
    let login = canary.event("login", |event| event["kind"] == "rdp.login");
    let credential = &login["credential"];
    assert_eq!((&credential["username"], &credential["domain"]), (&"jdoe".into(), &"CORP".into()));
    let line = credential["response"]["crackable"].as_str().unwrap();
    assert!(line.starts_with("jdoe::CORP:") && line.split(':').count() == 6, "{line}");
    assert_eq!(login["tls"]["version"], "TLSv1.2");
    assert_eq!(logins(&canary).len(), 1);
    // The password that was typed gives this very answer.
    assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login}");
    let connect = canary.event("first packet", |event| event["kind"] == "rdp.connect");
    assert_eq!((&connect["logtype"], &connect["fields"]["username"]), (&14001.into(), &"jdoe".into()));
}

#[test]
fn a_viewer_without_network_level_authentication_gives_its_password_away() {
    for security in ["tls", "rdp"] {
        let (canary, port) = canary(&format!("\"{security}\""));
        let Some(said) = viewer(security, &port) else { return };
        // It has read all that a desktop is made of, and found nothing wrong in it.
        for complaint in ["capabilities", "licens", "signature", "BUG", "update"] {
            assert!(!said.contains(complaint), "{complaint}: {said}");
        }
        assert!(said.contains("ERRCONNECT_CONNECT_TRANSPORT_FAILED"), "{said}");
        let login = canary.login("rdp", "jdoe", "hünter2");
        assert_eq!(login["credential"]["domain"], "CORP");
        assert_eq!(
            (&login["fields"]["security"], &login["fields"]["address"]),
            (&security.into(), &"127.0.0.1".into())
        );
        let asked = canary.event("client", |event| event["kind"] == "rdp.client");
        assert_eq!(
            (&asked["fields"]["width"], &asked["fields"]["keyboard"]),
            (&1024.into(), &"00000409".into())
        );
        // It connects once more by itself, whatever a server hangs up for before there is a desktop.
        let connects = canary.so_far(|event| event["kind"] == "rdp.connect");
        assert_eq!(logins(&canary).len(), connects.len());
    }
}

/// More than a guesser bears that takes each refusal for a broken server.
const GUESSES: [&str; 5] = ["password", "letmein", "Winter2019!", "root", "admin"];

#[test]
fn each_guess_of_hydra_is_one_login() {
    if !installed("hydra") {
        return;
    }
    for security in ["nla", "tls", "rdp"] {
        let (canary, port) = canary(&format!("\"{security}\""));
        let list = file(&canary, "passwords");
        fs::write(&list, GUESSES.join("\n") + "\n").unwrap();
        let list = list.to_str().unwrap();
        let said =
            client("hydra", &["-l", "admin", "-P", list, "-t1", "-I", "-s", &port, "127.0.0.1", "rdp"]);
        assert!(said.contains("0 valid password"), "{security}: {said}");
        let found = logins(&canary);
        assert_eq!(found.len(), GUESSES.len(), "{security}: {found:#?}");
        for (login, guess) in found.iter().zip(GUESSES) {
            assert_eq!(login["credential"]["username"], "admin");
            if security != "nla" {
                assert_eq!(login["credential"]["password"], guess);
            }
        }
    }
}

/// ncrack knows RDP's own security alone, and looks for the picture of a failed logon. (Where there is network level
/// authentication alone it connects for ever, to any Windows: nmap/ncrack#49.)
#[test]
fn each_guess_of_ncrack_is_one_login() {
    if !installed("ncrack") {
        return;
    }
    // The picture changed with 2012.
    for windows in ["2008r2", "2019"] {
        let port = free_port();
        let settings = format!("[service.rdp]\nport = {port}\nsecurity = \"rdp\"\n");
        let canary = Canary::start(&format!("[host]\nwindows = \"{windows}\"\n{settings}"));
        let (list, target) = (file(&canary, "passwords"), format!("rdp://127.0.0.1:{port}"));
        fs::write(&list, GUESSES.join("\n") + "\n").unwrap();
        let list = list.to_str().unwrap();
        let said = client("ncrack", &["--user", "admin", "-P", list, "-g", "CL=1,CR=2", "-v", &target]);
        assert!(said.contains("prematurely-closed: 0") && said.contains("Ncrack finished"), "{said}");
        assert!(!said.contains("Discovered credentials"), "{said}");
        let found = logins(&canary);
        let passwords: Vec<&Value> = found.iter().map(|login| &login["credential"]["password"]).collect();
        assert_eq!(passwords, GUESSES, "{windows}");
        assert_eq!(found[0]["fields"]["workstation"], "NCRACK");
    }
}

#[test]
fn nmap_names_the_server_and_its_scripts_read_our_names() {
    if !installed("nmap") {
        return;
    }
    let scan = |security: &str| {
        let (canary, port) = canary(security);
        let scripts = "rdp-ntlm-info,rdp-enum-encryption,ssl-cert";
        let said = client("nmap", &["-Pn", "-n", "-sV", "--script", scripts, "-p", &port, "127.0.0.1"]);
        assert!(logins(&canary).is_empty());
        canary.event("names asked for", |event| event["kind"] == "rdp.challenge");
        said
    };
    let said = scan("\"nla\"");
    for part in [
        "ms-wbt-server Microsoft Terminal Services",
        "Target_Name: CORP",
        "NetBIOS_Domain_Name: CORP",
        "NetBIOS_Computer_Name: FILES01",
        "DNS_Domain_Name: corp.example.com",
        "DNS_Computer_Name: files01.corp.example.com",
        "Product_Version: 10.0.17763",
        "CredSSP (NLA): SUCCESS\n",
        "CredSSP with Early User Auth: SUCCESS\n",
        "RDSTLS: SUCCESS\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("Native RDP") && !said.contains("SSL: SUCCESS"), "{said}");
    let said = scan("\"nla\", \"tls\", \"rdp\"");
    for part in [
        "CredSSP (NLA): SUCCESS",
        "Native RDP: SUCCESS",
        "SSL: SUCCESS",
        "RDP Encryption level: Client Compatible",
        "40-bit RC4: SUCCESS",
        "56-bit RC4: SUCCESS",
        "128-bit RC4: SUCCESS",
        "RDP Protocol Version:  RDP 10.6 server",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// What no Windows does, and a decoy without TLS must: answer in clear behind the choice of TLS.
#[test]
fn whoever_talks_on_in_clear_hears_nothing() {
    let (canary, port) = canary("\"nla\"");
    let mut stream = connect(port.parse().unwrap());
    stream.write_all(b"\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0").unwrap();
    let mut confirm = [0; 19];
    stream.read_exact(&mut confirm).unwrap();
    stream.write_all(b"\x03\0\0\x07\x02\xf0\x80 no TLS").unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).ok();
    assert!(!said.starts_with(b"\x03\0") && !said.starts_with(b"\0\x01"), "{said:02x?}");
    canary.event("what came instead of TLS", |event| event["kind"] == "tls.failed");
}

/// Scanners for certificates do not speak RDP first, and a Windows does not mind.
#[test]
fn whoever_begins_with_tls_sees_the_certificate() {
    if !installed("openssl") {
        return;
    }
    let (canary, port) = canary("\"nla\"");
    let server = format!("127.0.0.1:{port}");
    let said = client("openssl", &["s_client", "-connect", &server, "-no_ign_eof"]);
    for part in ["subject=CN = files01.corp.example.com", "issuer=CN = files01.corp.example.com", "TLSv1.2"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    canary.event("TLS", |event| event["service"] == "rdp" && event["tls"]["version"] == "TLSv1.2");
}
