//! HTTP and HTTPS, with curl and the drivers of scripts.

use std::io::{Read, Write};

use crate::fixture::{Canary, client, connect, free_port, installed, python};

fn curl(arguments: &[&str]) -> String {
    client("curl", &[&["-s", "-m", "20"], arguments].concat())
}

fn web(service: &str, settings: &str) -> (Canary, String) {
    let port = free_port();
    let canary = Canary::start(&format!("[service.{service}]\nport = {port}\n{settings}\n"));
    (canary, format!("{service}://127.0.0.1:{port}"))
}

#[test]
fn curl_logs_in_at_the_form() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "skin = \"nasLogin\"");
    let page = curl(&["-d", "username=eve&password=apple+pie%26more", &format!("{site}/index.html")]);
    assert!(page.contains("<form"), "{page}");
    let login = canary.login("http", "eve", "apple pie&more");
    assert_eq!((&login["kind"], &login["logtype"]), (&"http.form".into(), &3001.into()));
}

#[test]
fn curl_logs_in_with_basic_and_digest() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "auth = [\"basic\", \"digest\"]");
    assert!(curl(&["-i", "-u", "eve:b:asic", &site]).starts_with("HTTP/1.1 401"));
    canary.login("http", "eve", "b:asic");
    curl(&["--digest", "-u", "eve:never sent", &site]);
    let digest = canary.event("digest", |event| event["credential"]["mechanism"] == "digest");
    assert_eq!(digest["credential"]["username"], "eve");
    assert!(digest["credential"]["response"]["response"].is_string(), "{digest}");
}

#[test]
fn a_password_of_odd_bytes_comes_through_basic() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "");
    // eve:na\xefve and eve:<NUL>
    curl(&["-H", "Authorization: Basic ZXZlOm5h73Zl", &site]);
    canary.odd_login("http", "eve");
    curl(&["-H", "Authorization: Basic ZXZlOgA=", &site]);
    canary.login("http", "eve", "\0");
    let long = "x".repeat(1000);
    curl(&["-u", &format!("eve:{long}"), &site]);
    canary.login("http", "eve", &long);
}

#[test]
fn json_and_other_requests_are_events_with_all_they_hold() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "");
    let body = "{\"username\": \"api\", \"password\": \"t0ken\"}";
    curl(&["-H", "Content-Type: application/json", "-d", body, &format!("{site}/api/login")]);
    canary.login("http", "api", "t0ken");
    curl(&["-X", "PROPFIND", "-H", "X-Mark: here", &format!("{site}/dav/?a=b")]);
    let seen = canary.event("PROPFIND", |event| event["fields"]["method"] == "PROPFIND");
    assert!(seen["fields"]["headers"].to_string().contains("X-Mark: here"), "{seen}");
    assert!(seen["fields"].to_string().contains("a=b"), "{seen}");
}

#[test]
fn an_old_client_of_tls_is_served_and_named() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("https", "");
    let site = site.replace("127.0.0.1", "localhost");
    let old = ["--tls-max", "1.0", "--ciphers", "DEFAULT@SECLEVEL=0", "-4", "-k", "-u", "old:times", &site];
    curl(&old);
    let login = canary.login("https", "old", "times");
    let tls = &login["tls"];
    assert_eq!((&tls["version"], &tls["sni"]), (&"TLSv1".into(), &"localhost".into()), "{tls}");
    assert_eq!(tls["ja3"].as_str().unwrap().len(), 32, "{tls}");
    assert!(tls["ja4"].as_str().unwrap().starts_with("t10d"), "{tls}");
}

#[test]
fn the_name_that_a_client_asks_for_is_on_the_event() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("https", "");
    let port = site.rsplit(':').next().unwrap().to_owned();
    let resolve = format!("nas.example.com:{port}:127.0.0.1");
    curl(&["-k", "--resolve", &resolve, &format!("https://nas.example.com:{port}/x")]);
    let seen = canary.event("page", |event| event["fields"]["path"] == "/x");
    assert_eq!(seen["tls"]["sni"], "nas.example.com");
    assert_eq!(seen["tls"]["version"], "TLSv1.3");
    assert!(seen["tls"]["ja4"].as_str().unwrap().starts_with("t13d"), "{seen}");
    assert_eq!(seen["tls"]["alpn"], serde_json::json!(["h2", "http/1.1"]));
}

#[test]
fn python_requests_gets_a_page_and_leaves_its_password() {
    let (canary, site) = web("http", "");
    let script = "import requests, sys\nprint(requests.get(sys.argv[1], auth=('py', 'thon')).status_code)";
    let Some(said) = python(script, &[&site]) else { return };
    assert_eq!(said.trim(), "200");
    canary.login("http", "py", "thon");
}

#[test]
fn the_source_that_a_proxy_names_is_the_source() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "proxy_protocol = true");
    curl(&["--haproxy-protocol", "-u", "behind:proxy", &site]);
    canary.login("http", "behind", "proxy");
    let port = site.rsplit(':').next().unwrap().parse().unwrap();
    let mut talk = connect(port);
    talk.write_all(b"PROXY TCP4 203.0.113.7 192.0.2.1 4444 80\r\nGET /far HTTP/1.0\r\n\r\n").unwrap();
    talk.read_to_end(&mut Vec::new()).unwrap();
    let seen = canary.event("the page", |event| event["fields"]["path"] == "/far");
    assert_eq!(seen["source"], serde_json::json!({"ip": "203.0.113.7", "port": 4444}));
}

#[test]
fn a_client_of_ipv6_is_seen_as_such() {
    if !installed("curl") {
        return;
    }
    let (canary, site) = web("http", "address = [\"::1\"]");
    curl(&["-g", "-u", "six:6", &site.replace("127.0.0.1", "[::1]")]);
    assert_eq!(canary.login("http", "six", "6")["source"]["ip"], "::1");
}
