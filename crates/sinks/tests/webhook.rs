//! Alerts by HTTP against receivers that answer what the test tells them to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod receivers;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use haldane_sinks::Failure;
use receivers::{
    Receiver, Request, certificates, configured, free_port, login, run, serve, sink, tls_server,
};
use serde_json::{Value, json};

fn hook(port: u16, more: Value) -> Value {
    let mut keys =
        json!({ "url": format!("http://127.0.0.1:{port}/hook/s3cr3t-path?key=s3cr3t-key"), "timeout": "5s" });
    let Value::Object(more) = more else { panic!("not a table") };
    keys.as_object_mut().unwrap().extend(more);
    keys
}

async fn send(keys: Value) -> Result<(), Failure> {
    sink("webhook", keys).once(&[login(1, "root", "hunter2")]).await
}

fn later(result: Result<(), Failure>) -> (String, Option<Duration>) {
    match result {
        Err(Failure::Later { why, after }) => (why, after),
        other => panic!("{other:?}"),
    }
}

fn refused(result: Result<(), Failure>) -> String {
    match result {
        Err(Failure::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn answering(status: &'static str) -> Receiver {
    Receiver::new(move |_, _| (status.to_owned(), "said \"so\"\r\n"))
}

#[tokio::test]
async fn the_event_is_sent_as_json_unless_told_otherwise() {
    let receiver = answering("204 No Content");
    send(hook(receiver.port, json!({}))).await.unwrap();
    let request = receiver.request(0);
    assert_eq!(request.line, "POST /hook/s3cr3t-path?key=s3cr3t-key HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-haldane-event"), Some("01935aad-0000-7000-8000-000000000001"));
    assert!(request.header("user-agent").unwrap().starts_with("haldane/"));
    let event: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(event["credential"]["password"], "hunter2");
}

#[tokio::test]
async fn the_peers_configuration_works_with_all_that_requests_can_be_told() {
    let receiver = answering("200 OK");
    let keys = json!({
        "method": "PUT", "data": { "text": "seen: %(message)s", "tags": ["a", "b"] }, "format": "compatible",
        "status_code": 200, "headers": { "X-Token": "s3cr3t-token" }, "params": { "a": "x y", "b": [1, 2], "c": null },
        "auth": ["üser", "pass"], "cookies": { "id": "1", "z": "2" }, "ignore": ["not in it"]
    });
    send(hook(receiver.port, keys)).await.unwrap();
    let request = receiver.request(0);
    assert_eq!(request.line, "PUT /hook/s3cr3t-path?key=s3cr3t-key&a=x+y&b=1&b=2 HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.header("x-token"), Some("s3cr3t-token"));
    assert_eq!(request.header("cookie"), Some("id=1; z=2"));
    // base64 of b"\xfcser:pass": requests writes Latin-1.
    assert_eq!(request.header("authorization"), Some("Basic /HNlcjpwYXNz"));
    assert_eq!(request.header("x-haldane-event"), None);
    assert!(
        request.body.starts_with("tags=a&tags=b&text=seen%3A+%7B%22dst_host%22%3A+%2210.0.0.5%22"),
        "{}",
        request.body
    );
}

#[tokio::test]
async fn a_header_of_json_makes_the_body_json_and_a_text_goes_as_it_is() {
    let receiver = answering("200 OK");
    let keys = json!({ "data": { "m": { "n": ["%(message)s"] } }, "headers": { "Content-Type": "application/json" }, "format": "compatible" });
    send(hook(receiver.port, keys)).await.unwrap();
    let body: Value = serde_json::from_str(&receiver.request(0).body).unwrap();
    let message: Value = serde_json::from_str(body["m"]["n"][0].as_str().unwrap()).unwrap();
    assert_eq!(message["logdata"]["USERNAME"], "root");

    let keys = json!({ "data": "<%(message)s>", "format": "text", "pattern": "%(name)s" });
    send(hook(receiver.port, keys)).await.unwrap();
    assert_eq!(receiver.request(1).body, "<canary-1>");
    assert_eq!(receiver.request(1).header("content-type"), None);
}

#[tokio::test]
async fn an_ignored_message_is_not_sent() {
    let receiver = answering("200 OK");
    send(hook(receiver.port, json!({ "ignore": ["hunter"] }))).await.unwrap();
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn a_receiver_that_is_down_for_a_while_gets_it_later() {
    let receiver = Receiver::new(|_, before| match before {
        0 => ("503 Service Unavailable\r\nRetry-After: 120".into(), "busy"),
        1 => ("429 Too Many Requests\r\nRetry-After: 7".into(), ""),
        _ => ("200 OK".into(), ""),
    });
    let mut sink = sink("webhook", hook(receiver.port, json!({})));
    let batch = [login(1, "a", "b")];
    let (why, after) = later(sink.once(&batch).await);
    assert_eq!(after, Some(Duration::from_secs(120)));
    assert!(why.contains("503 Service Unavailable: \"busy\""), "{why}");
    assert_eq!(later(sink.once(&batch).await).1, Some(Duration::from_secs(7)));
    sink.once(&batch).await.unwrap();
    assert_eq!(receiver.request(0).body, receiver.request(2).body);
}

#[tokio::test]
async fn the_runner_delivers_all_in_order_and_buries_what_is_refused() {
    let receiver = Receiver::new(|request, before| {
        let status = match before {
            0 => "503 Service Unavailable",
            _ if request.body.contains("user-2") => "422 Unprocessable Entity",
            _ => "200 OK",
        };
        (status.into(), "")
    });
    let records = (1..=4).map(|number| login(number, &format!("user-{number}"), "b")).collect();
    let store = run("webhook", hook(receiver.port, json!({})), records).await;
    let requests = receiver.requests.lock().unwrap();
    let users: Vec<Value> =
        requests.iter().map(|request| serde_json::from_str(&request.body).unwrap()).collect();
    let users: Vec<_> = users.iter().map(|event| event["credential"]["username"].as_str().unwrap()).collect();
    assert_eq!(users, ["user-1", "user-1", "user-2", "user-3", "user-4"]);
    let buried = store.buried.lock().unwrap();
    assert_eq!(buried.len(), 1);
    assert!(buried[0].1.contains("422"), "{}", buried[0].1);
}

#[test]
fn a_receiver_that_never_answers_is_given_up_and_leaves_no_thread() {
    let receiver = Receiver::new(|_, _| (String::new(), ""));
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (why, _) = later(runtime.block_on(send(hook(receiver.port, json!({ "timeout": "400ms" })))));
    assert!(why.contains("no answer from http://127.0.0.1"), "{why}");
    // Waits for the threads of blocking calls.
    drop(runtime);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_the_sink_usable() {
    let receiver =
        Receiver::new(|_, before| if before == 0 { (String::new(), "") } else { ("200 OK".into(), "") });
    let mut sink = sink("webhook", hook(receiver.port, json!({ "timeout": "2s" })));
    let batch = [login(1, "a", "b")];
    let cut = tokio::time::timeout(Duration::from_millis(300), sink.once(&batch)).await;
    assert!(cut.is_err());
    sink.once(&batch).await.unwrap();
}

#[tokio::test]
async fn what_the_receiver_says_of_the_message_is_final_and_what_the_operator_can_mend_is_not() {
    for status in ["400 Bad Request", "413 Payload Too Large", "422 Unprocessable Entity"] {
        let why = refused(send(hook(answering(status).port, json!({}))).await);
        assert!(why.contains(status) && why.contains("said \"so\""), "{why}");
    }
    let cases = [
        ("401 Unauthorized", "check `auth`"),
        ("403 Forbidden", "check `auth`"),
        ("404 Not Found", "check `url`"),
        ("405 Method Not Allowed", "check `method`"),
        ("500 Internal Server Error", "500"),
    ];
    for (status, expected) in cases {
        let (why, _) = later(send(hook(answering(status).port, json!({}))).await);
        assert!(why.contains(expected), "{why}");
        assert!(!why.contains("s3cr3t"), "{why}");
    }
}

#[tokio::test]
async fn only_the_expected_status_is_success_but_what_was_taken_is_not_sent_again() {
    let port = answering("202 Accepted").port;
    for right in [json!(202), json!("202"), json!([200, 202]), json!("2xx"), json!(["4xx", 202])] {
        send(hook(port, json!({ "status_code": right }))).await.unwrap();
    }
    let why = refused(send(hook(port, json!({ "status_code": 200 }))).await);
    assert!(why.contains("`status_code` expects another"), "{why}");
    send(hook(answering("404 Not Found").port, json!({ "status_code": 404 }))).await.unwrap();
}

#[tokio::test]
async fn redirects_lose_neither_the_alert_nor_a_secret() {
    let other = answering("200 OK");
    let there = other.port;
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let receiver = Receiver::new(move |_, _| {
            (format!("{status}\r\nLocation: http://127.0.0.1:{there}/new?x=1"), "")
        });
        let keys = json!({ "auth": ["u", "p"], "cookies": { "a": "b" }, "headers": { "X-Own": "1" } });
        send(hook(receiver.port, keys)).await.unwrap();
        let request = other.request(other.count() - 1);
        assert_eq!(request.line, "POST /new?x=1 HTTP/1.1");
        assert_eq!(request.body, receiver.request(0).body);
        assert_eq!(request.header("x-own"), Some("1"));
        assert_eq!((request.header("authorization"), request.header("cookie")), (None, None));
    }
    // As Google's web apps answer, which have taken the message by then.
    let receiver = Receiver::new(|request, _| match request.line.starts_with("POST") {
        true => ("302 Found\r\nLocation: /done".into(), ""),
        false => ("200 OK".into(), ""),
    });
    send(hook(receiver.port, json!({}))).await.unwrap();
    assert_eq!(receiver.request(1).line, "GET /done HTTP/1.1");
    assert_eq!(receiver.request(1).body, "");

    let round = Receiver::new(|_, _| ("307 Temporary Redirect\r\nLocation: ?again".into(), ""));
    let (why, _) = later(send(hook(round.port, json!({}))).await);
    assert!(why.contains("from one address to the next"), "{why}");
    assert_eq!(round.count(), 5);
}

#[tokio::test]
async fn tls_is_checked_by_the_operators_own_authority_and_proves_who_we_are() {
    let folder = certificates();
    let other = certificates();
    let receiver = Receiver::over(Some(tls_server(&folder.0, true)), |_, _| ("200 OK".into(), ""));
    let url = format!("https://localhost:{}/x", receiver.port);
    let own = json!([folder.file("client.pem"), folder.file("client.key")]);
    let keys =
        |verify: Value, cert: Value| json!({ "url": url, "verify": verify, "cert": cert, "timeout": "5s" });

    send(keys(json!(folder.file("ca.pem")), own.clone())).await.unwrap();
    send(keys(json!(false), own.clone())).await.unwrap();
    assert_eq!(receiver.count(), 2);
    let (why, _) = later(send(keys(json!(other.file("ca.pem")), own.clone())).await);
    assert!(why.contains("authority that is not trusted here") && why.contains("`verify`"), "{why}");
    let (why, _) = later(send(keys(json!(true), own)).await);
    assert!(why.contains("not trusted") || why.contains("no list of certificate authorities"), "{why}");
    let (why, _) = later(send(keys(json!(folder.file("ca.pem")), json!([]))).await);
    // A reset may overtake the alert.
    assert!(why.contains("alert CertificateRequired") || why.contains("closed the connection"), "{why}");
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn nothing_goes_from_https_to_http() {
    let folder = certificates();
    let open = answering("200 OK");
    let there = open.port;
    let receiver = Receiver::over(Some(tls_server(&folder.0, false)), move |_, _| {
        (format!("308 Permanent Redirect\r\nLocation: http://127.0.0.1:{there}/"), "")
    });
    let keys =
        json!({ "url": format!("https://127.0.0.1:{}/", receiver.port), "verify": folder.file("ca.pem") });
    let (why, _) = later(send(keys).await);
    assert!(why.contains("put the new address into `url`"), "{why}");
    assert_eq!(open.count(), 0);
}

/// A proxy that knows CONNECT; notes what it was asked.
fn proxy() -> (u16, receivers::Seen<Request>) {
    let seen = receivers::Seen::<Request>::default();
    let notes = std::sync::Arc::clone(&seen);
    let port = serve(move |mut stream| {
        let request = Request::read(&mut std::io::BufReader::new(&mut stream)).unwrap();
        let target = request.line.split(' ').nth(1).unwrap().to_owned();
        let welcome = request.header("proxy-authorization") == Some("Basic dTpwQHNz");
        notes.lock().unwrap().push(request);
        if !welcome {
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
            return;
        }
        let mut there = TcpStream::connect(target).unwrap();
        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), there.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        let _ = std::io::copy(&mut there, &mut stream);
    });
    (port, seen)
}

#[tokio::test]
async fn a_proxy_is_used_for_its_scheme_with_its_password() {
    let folder = certificates();
    let receiver = Receiver::over(Some(tls_server(&folder.0, false)), |_, _| ("200 OK".into(), ""));
    let (port, seen) = proxy();
    let keys = |proxies: Value| json!({ "url": format!("https://localhost:{}/", receiver.port), "verify": folder.file("ca.pem"), "proxies": proxies });
    send(keys(json!({ "https": format!("http://u:p%40ss@127.0.0.1:{port}"), "http": "http://127.0.0.1:9" })))
        .await
        .unwrap();
    assert_eq!(receiver.count(), 1);
    assert_eq!(seen.lock().unwrap()[0].line, format!("CONNECT localhost:{} HTTP/1.1", receiver.port));
    let (why, _) = later(send(keys(json!({ "all": format!("http://u:wrong@127.0.0.1:{port}") }))).await);
    assert!(why.contains("the proxy made no connection") && !why.contains("wrong"), "{why}");
    send(keys(json!({ "http": "http://127.0.0.1:9" }))).await.unwrap();
}

#[tokio::test]
async fn plain_http_goes_through_a_proxy_by_its_whole_address() {
    let proxy = answering("200 OK");
    let proxies = json!({ "http": format!("http://u:p%40ss@127.0.0.1:{}", proxy.port) });
    // Longer than the client's buffer.
    let data = json!({ "text": "x".repeat(200_000), "message": "%(message)s" });
    let keys = json!({ "url": "http://receiver.invalid:8080/hook?a=b", "proxies": proxies, "data": data });
    let mut sink = sink("webhook", keys);
    for number in 1..=2 {
        sink.once(&[login(number, "root", "b")]).await.unwrap();
    }
    for number in 0..2 {
        let request = proxy.request(number);
        assert_eq!(request.line, "POST http://receiver.invalid:8080/hook?a=b HTTP/1.1");
        assert_eq!(request.header("host"), Some("receiver.invalid:8080"));
        assert_eq!(request.header("proxy-authorization"), Some("Basic dTpwQHNz"));
        assert!(request.body.starts_with("message=%7B") && request.body.ends_with("xxx"));
    }
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_named_without_its_secrets() {
    let (why, _) = later(send(hook(free_port(), json!({}))).await);
    assert!(why.contains("refused the connection") && !why.contains("s3cr3t"), "{why}");
    let hangs_up = serve(|mut stream| {
        let _ = stream.read(&mut [0; 64]);
    });
    let (why, _) = later(send(hook(hangs_up, json!({}))).await);
    assert!(why.contains("closed the connection without an answer"), "{why}");
    let keys = json!({ "url": "http://user:s3cr3t@no-such-host.invalid/s3cr3t" });
    let (why, _) = later(send(keys).await);
    assert!(why.contains("http://no-such-host.invalid") && !why.contains("s3cr3t"), "{why}");
}

#[tokio::test]
async fn a_user_name_in_the_address_is_a_login() {
    let receiver = answering("200 OK");
    send(json!({ "url": format!("http://u:p%40ss@127.0.0.1:{}/x y#z", receiver.port) })).await.unwrap();
    assert_eq!(receiver.request(0).line, "POST /x%20y HTTP/1.1");
    assert_eq!(receiver.request(0).header("authorization"), Some("Basic dTpwQHNz"));
}

#[tokio::test]
async fn mistakes_in_the_configuration_are_told_all_at_once() {
    let keys = json!({
        "url": "hooks.example.org", "method": "P OST", "headers": { "a b": "c" }, "auth": ["alone"], "verify": "/nowhere",
        "cert": ["/nowhere"], "status_code": "2xy", "data": { "x": "%(mesage)s" }, "proxies": { "http": "ftp://x" },
        "params": { "a": 1 }, "cookies": [], "ignored": []
    });
    let (_, _, problems) = configured("webhook", keys);
    let text: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for key in [
        "url",
        "method",
        "headers",
        "auth",
        "verify",
        "cert",
        "status_code",
        "data",
        "proxies",
        "cookies",
        "ignored",
    ] {
        assert!(text.iter().any(|line| line.contains(&format!(": {key}: "))), "{key} not in {text:#?}");
    }
    assert_eq!(problems.len(), 11, "{text:#?}");
}
