//! The web proxy, with curl, the drivers of scripts, and scanners.

use std::{fs, io::Write};

use serde_json::Value;

use crate::fixture::{Canary, client, connect, free_port, installed, python};

fn proxy(settings: &str) -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.httpproxy]\nport = {port}\n{settings}\n")), port)
}

fn curl(port: u16, arguments: &[&str]) -> String {
    client("curl", &[&["-s", "-m", "20", "-x", &format!("http://127.0.0.1:{port}")], arguments].concat())
}

fn requests(canary: &Canary) -> Vec<Value> {
    canary.so_far(|event| event["service"] == "httpproxy" && event["kind"] != "connection.closed")
}

/// Every request so far is one event: one more, and nothing but it, is recorded.
fn settled(canary: &Canary, port: u16, count: usize) {
    let mut talk = connect(port);
    talk.write_all(b"GET http://last.example/ HTTP/1.0\r\n\r\n").unwrap();
    canary.event("the last", |event| event["fields"]["target_host"] == "last.example");
    let seen = requests(canary);
    assert_eq!(seen.len(), count + 1, "{seen:#?}");
}

const ALL: &str = "auth = [\"negotiate\", \"ntlm\", \"digest\", \"basic\"]";

#[test]
fn curl_asks_through_the_proxy_and_for_a_tunnel() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = proxy("");
    let answer = curl(port, &["-i", "http://www.example.com/a?b=c"]);
    assert!(
        answer.starts_with("HTTP/1.1 407 Proxy Authentication Required\r\nServer: squid/5.7\r\n"),
        "{answer}"
    );
    let seen = canary.event("GET", |event| event["kind"] == "httpproxy.request");
    assert_eq!(
        (&seen["fields"]["target_host"], &seen["fields"]["target_port"], &seen["fields"]["target"]),
        (&"www.example.com".into(), &80.into(), &"http://www.example.com/a?b=c".into())
    );
    curl(port, &["https://mail.example.com:465/"]);
    let seen = canary.event("CONNECT", |event| event["kind"] == "httpproxy.connect");
    assert_eq!(
        (&seen["fields"]["target_host"], &seen["fields"]["target_port"], &seen["fields"]["target_service"]),
        (&"mail.example.com".into(), &465.into(), &"smtp".into())
    );
    assert_eq!(seen["severity"], "medium");
    settled(&canary, port, 2);
}

#[test]
fn curl_logs_in_by_basic_for_pages_and_for_tunnels() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = proxy("");
    curl(port, &["-U", "eve:b:asic", "http://example.com/"]);
    let login = canary.login("httpproxy", "eve", "b:asic");
    assert_eq!((&login["logtype"], &login["severity"]), (&7001.into(), &"high".into()));
    curl(port, &["-U", "mallory:tunnel", "https://example.com/"]);
    assert_eq!(canary.login("httpproxy", "mallory", "tunnel")["fields"]["method"], "CONNECT");
    settled(&canary, port, 2);
}

#[test]
fn curl_answers_the_challenges_of_digest_and_ntlm_in_a_crackable_way() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = proxy(ALL);
    for (scheme, user) in [("--proxy-digest", "eve"), ("--proxy-ntlm", "CORP\\mallory")] {
        for target in ["http://example.com/x", "https://example.com/x"] {
            let said = curl(
                port,
                &[
                    "-w",
                    "%{http_code} %{http_connect}",
                    "-o",
                    "/dev/null",
                    scheme,
                    "-U",
                    &format!("{user}:hunter2"),
                    target,
                ],
            );
            assert!(said.contains("407"), "{said}");
        }
    }
    let logins = canary.events(4, "logins", |event| event["kind"] == "httpproxy.login");
    let credential = |at: usize| &logins[at]["credential"];
    assert_eq!(credential(0)["mechanism"], "digest");
    assert!(
        credential(1)["response"]["crackable"].as_str().unwrap().starts_with("$response$"),
        "{logins:#?}"
    );
    for at in [2, 3] {
        let line = credential(at)["response"]["crackable"].as_str().unwrap();
        assert!(line.starts_with("mallory::CORP:"), "{line}");
        assert_eq!(
            (&credential(at)["username"], &credential(at)["domain"]),
            (&"mallory".into(), &"CORP".into())
        );
        assert_eq!(credential(at)["mechanism"], "ntlm");
    }
    // Each came with a first request that had no credentials yet.
    settled(&canary, port, 8);
}

#[test]
fn a_digest_answer_gives_a_honey_credential_away() {
    if !installed("curl") {
        return;
    }
    let (canary, port) =
        proxy("auth = \"digest\"\nhoneycreds = [{ username = \"eve\", password = \"hunter2\" }]");
    curl(port, &["--proxy-digest", "-U", "eve:hunter2", "http://example.com/"]);
    let login = canary.event("login", |event| event["kind"] == "httpproxy.login");
    assert_eq!((&login["honeycred"], &login["severity"]), (&true.into(), &"critical".into()), "{login}");
}

#[test]
fn python_requests_leaves_its_password_at_the_proxy() {
    let (canary, port) = proxy("");
    let script = "import requests, sys\n\
                  proxy = f'http://py:thon@127.0.0.1:{sys.argv[1]}'\n\
                  print(requests.get('http://example.com/', proxies={'http': proxy}).status_code)\n\
                  try:\n    requests.get('https://example.com/', proxies={'https': proxy})\n\
                  except requests.exceptions.ProxyError as error:\n    print('407' in str(error))";
    let Some(said) = python(script, &[&port.to_string()]) else { return };
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["407", "True"], "{said}");
    let logins = canary.events(2, "logins", |event| event["kind"] == "httpproxy.login");
    assert!(logins.iter().all(|login| login["credential"]["password"] == "thon"), "{logins:#?}");
    settled(&canary, port, 2);
}

#[test]
fn hydra_finds_no_password_and_leaves_every_one() {
    if !installed("hydra") {
        return;
    }
    let (canary, port) = proxy("");
    let list = canary.folder.path().join("passwords");
    fs::write(&list, "one\ntwo\nthree\n").unwrap();
    let said = client(
        "hydra",
        &["-l", "admin", "-P", list.to_str().unwrap(), "-s", &port.to_string(), "127.0.0.1", "http-proxy"],
    );
    assert!(said.contains("0 valid password"), "{said}");
    for password in ["one", "two", "three"] {
        canary.login("httpproxy", "admin", password);
    }
    let logins = canary.so_far(|event| event["kind"] == "httpproxy.login");
    assert_eq!(logins.len(), 3, "{logins:#?}");
}

#[test]
fn nmap_names_the_product_and_the_configured_version() {
    if !installed("nmap") {
        return;
    }
    let scan = |settings: &str| {
        let (_canary, port) = proxy(settings);
        client("nmap", &["-Pn", "-n", "-sV", "-p", &port.to_string(), "127.0.0.1"])
    };
    for (settings, name) in [
        ("version = \"3.3.8\"", "http-proxy Squid http proxy 3.3.8"),
        ("auth = \"none\"", "http-proxy Squid http proxy 5.7"),
        ("skin = \"ms-isa\"", "http-proxy Microsoft ISA Server"),
    ] {
        let said = scan(settings);
        assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains(name), "{settings}: {said}");
    }
}

#[test]
fn nothing_is_reached_through_an_open_proxy_and_everything_is_recorded() {
    if !installed("curl") {
        return;
    }
    let (canary, port) = proxy("auth = \"none\"");
    let status = |arguments: &[&str]| {
        let said =
            curl(port, &[&["-o", "/dev/null", "-w", "%{http_code} %{http_connect}"], arguments].concat());
        said.split(' ').map(|code| code.parse().unwrap_or_default()).collect::<Vec<u16>>()
    };
    assert_eq!(status(&["http://does-not.example/"]), [502, 0]);
    assert_eq!(status(&["http://192.0.2.1/"]), [503, 0]);
    assert_eq!(status(&["https://192.0.2.1/"]), [0, 503]);
    assert_eq!(status(&["-d", "user=eve&password=hunter2", "http://127.0.0.1:8000/login"]), [503, 0]);
    let inside = canary.login("httpproxy", "eve", "hunter2");
    assert_eq!(
        (&inside["kind"], &inside["fields"]["inside"]),
        (&"httpproxy.request".into(), &"loopback".into())
    );
    settled(&canary, port, 4);
}
