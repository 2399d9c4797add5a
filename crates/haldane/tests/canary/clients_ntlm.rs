//! NTLM wherever HTTP carries it: curl, pyspnego and pywinrm log in, nmap reads who we are.

use serde_json::Value;

use crate::fixture::{Canary, client, free_port, installed, python};

const HOST: &str = "[host]\nname = \"files01\"\ndomain = \"corp.example.com\"\nwindows = \"2022\"\n";
const BAIT: &str = "honeycreds = [{ username = \"mallory\", password = \"hunter2\" }]";

fn web(settings: &str) -> (Canary, u16) {
    let port = free_port();
    let banner = "banner = \"Microsoft-IIS/10.0\"";
    (Canary::start(&format!("{HOST}[service.http]\nport = {port}\n{banner}\n{settings}\n{BAIT}\n")), port)
}

/// The one login that there is, which gave the bait away: that the password was found in it shows that its line can be
/// cracked.
fn one_login(canary: &Canary, kind: &str, scheme: &str) -> Value {
    let login = canary.event("the login", |event| event["kind"] == kind);
    let credential = &login["credential"];
    assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login:#}");
    assert_eq!((&credential["username"], &credential["mechanism"]), (&"mallory".into(), &"ntlm".into()));
    assert_eq!(credential["response"]["scheme"], scheme);
    let line = credential["response"]["crackable"].as_str().unwrap();
    assert!(line.starts_with("mallory::"), "{line}");
    let logins = canary.so_far(|event| event["credential"].is_object());
    assert_eq!(logins.len(), 1, "{logins:#?}");
    login
}

#[test]
fn curl_logs_in_by_ntlm_and_is_asked_again() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = web("auth = [\"negotiate\", \"ntlm\"]");
    let url = format!("http://127.0.0.1:{port}/");
    let code = ["-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}"];
    let said = client("curl", &[&code[..], &["--ntlm", "-u", "CORP\\mallory:hunter2", &url]].concat());
    assert!(said.starts_with("401"), "{said}");
    let login = one_login(&canary, "http.login", "netntlmv2");
    assert_eq!(login["credential"]["domain"], "CORP");
    assert!(!login["fields"]["workstation"].as_str().unwrap().is_empty());
}

#[test]
fn a_password_is_found_in_what_pyspnego_makes_of_it() {
    let script = "import base64, http.client, spnego, sys\n\
        client = spnego.client('CORP\\\\mallory', 'hunter2', hostname='files01', service='HTTP', protocol=sys.argv[2])\n\
        web = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n\
        token, scheme = client.step(), sys.argv[3]\n\
        for _ in range(2):\n\
        \x20   web.request('GET', '/', headers={'Authorization': scheme + ' ' + base64.b64encode(token).decode()})\n\
        \x20   answer = web.getresponse(); answer.read()\n\
        \x20   field = answer.getheader('WWW-Authenticate').split()\n\
        \x20   token = client.step(base64.b64decode(field[1])) if field[0] == scheme and len(field) > 1 else None\n\
        print(answer.status)";
    for (protocol, scheme) in [("ntlm", "NTLM"), ("negotiate", "Negotiate")] {
        let (canary, port) = web("auth = [\"negotiate\", \"ntlm\"]");
        let Some(said) = python(script, &[&port.to_string(), protocol, scheme]) else { return };
        assert_eq!(said.trim(), "401", "{said}");
        let login = one_login(&canary, "http.login", "netntlmv2");
        assert_eq!(login["fields"]["mic"], true);
        assert_eq!(login["fields"]["spn"].as_str().unwrap().to_lowercase(), "http/files01");
    }
}

#[test]
fn nmap_reads_the_names_of_the_host() {
    if !installed("nmap") {
        return;
    }
    let (canary, port) = web("auth = \"ntlm\"");
    let said =
        client("nmap", &["-Pn", "-n", "-p", &port.to_string(), "--script", "+http-ntlm-info", "127.0.0.1"]);
    for line in [
        "Target_Name: CORP",
        "NetBIOS_Domain_Name: CORP",
        "NetBIOS_Computer_Name: FILES01",
        "DNS_Domain_Name: corp.example.com",
        "DNS_Computer_Name: files01.corp.example.com",
        "DNS_Tree_Name: corp.example.com",
        "Product_Version: 10.0.20348",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(canary.so_far(|event| event["credential"].is_object()).is_empty());
}
