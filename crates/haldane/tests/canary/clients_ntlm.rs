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

fn winrm(settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("{HOST}[service.winrm]\nport = {port}\n{settings}\n{BAIT}\n")), port)
}

#[test]
fn pywinrm_logs_in_by_ntlm() {
    let (canary, port) = winrm("");
    let script = "import winrm, sys\n\
        session = winrm.Session(f'http://127.0.0.1:{sys.argv[1]}/wsman', auth=('CORP\\\\mallory', 'hunter2'),\n\
        \x20   transport=sys.argv[2])\n\
        try:\n    session.run_cmd('whoami')\n\
        except winrm.exceptions.InvalidCredentialsError as error:\n    print(error)";
    let Some(said) = python(script, &[&port.to_string(), "ntlm"]) else { return };
    assert!(said.contains("credentials were rejected"), "{said}");
    let login = one_login(&canary, "winrm.login", "netntlmv2");
    assert_eq!(login["credential"]["domain"], "CORP");
}

#[test]
fn pywinrm_leaves_its_password_where_basic_is_offered() {
    let (canary, port) = winrm("auth = \"basic\"");
    let script = "import winrm, sys\n\
        session = winrm.Session(f'http://127.0.0.1:{sys.argv[1]}/wsman', auth=('mallory', 'hunter2'), transport='basic')\n\
        try:\n    session.run_cmd('whoami')\n\
        except winrm.exceptions.InvalidCredentialsError as error:\n    print(error)";
    let Some(said) = python(script, &[&port.to_string()]) else { return };
    assert!(said.contains("credentials were rejected"), "{said}");
    let login = canary.login("winrm", "mallory", "hunter2");
    assert_eq!((&login["honeycred"], &login["kind"]), (&true.into(), &"winrm.login".into()));
    let body = login["fields"]["body"].as_str().unwrap();
    assert!(body.contains("Envelope"), "{body}");
    assert_eq!(canary.so_far(|event| event["credential"].is_object()).len(), 1);
}

#[test]
fn a_login_as_evil_winrm_makes_it_leaves_its_answer() {
    // evil-winrm's library speaks Negotiate with NTLM inside, on one connection, and its first request has no body.
    let (canary, port) = winrm("auth = \"negotiate\"");
    let script = "import base64, http.client, spnego, sys\n\
        client = spnego.client('mallory', 'hunter2', hostname='127.0.0.1', service='HTTP', protocol='ntlm')\n\
        web = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))\n\
        agent = {'User-Agent': 'Ruby WinRM Client', 'Content-Type': 'application/soap+xml;charset=UTF-8'}\n\
        def ask(token):\n\
        \x20   field = 'Negotiate ' + base64.b64encode(token).decode()\n\
        \x20   web.request('POST', '/wsman', body='', headers={**agent, 'Authorization': field})\n\
        \x20   answer = web.getresponse(); answer.read(); return answer\n\
        field = ask(client.step()).getheader('WWW-Authenticate').split()[1]\n\
        answer = ask(client.step(base64.b64decode(field)))\n\
        print(answer.status, answer.getheader('WWW-Authenticate'), answer.getheader('Server'))";
    let Some(said) = python(script, &[&port.to_string()]) else { return };
    assert_eq!(said.trim(), "401 Negotiate Microsoft-HTTPAPI/2.0", "{said}");
    let login = one_login(&canary, "winrm.login", "netntlmv2");
    assert_eq!(login["fields"]["user_agent"], "Ruby WinRM Client");
}

#[test]
fn curl_logs_in_through_tls() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = winrm("tls = true");
    let url = format!("https://127.0.0.1:{port}/wsman");
    let said =
        client("curl", &["-sk", "-m", "20", "-d", "", "-u", "mallory:hunter2", "-w", "%{http_code}", &url]);
    assert_eq!(said.trim(), "401", "{said}");
    assert_eq!(canary.login("winrm", "mallory", "hunter2")["honeycred"], true);
}

#[test]
fn nmap_names_the_product() {
    if !installed("nmap") {
        return;
    }
    let (_canary, port) = winrm("");
    let said = client("nmap", &["-Pn", "-n", "-sV", "-p", &port.to_string(), "127.0.0.1"]);
    assert!(said.contains("Microsoft HTTPAPI httpd 2.0"), "{said}");
}
