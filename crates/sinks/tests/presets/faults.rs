//! Everything that can go wrong on the way, and what the operator is told.

use std::{
    io::{Read, Write},
    time::{Duration, Instant},
};

use haldane_sinks::Failure;
use receivers::{certificates, free_port, tls_server};

use super::*;

fn later(result: Result<(), Failure>) -> (String, Option<Duration>) {
    match result {
        Err(Failure::Later { why, after }) => {
            assert!(!why.contains("s3cr3t"), "{why}");
            (why, after)
        }
        other => panic!("{other:?}"),
    }
}

async fn send(url: &str) -> Result<(), Failure> {
    sink("telegram", keys("telegram", url)).once(&[login(1, "root", "b")]).await
}

#[tokio::test]
async fn a_service_that_is_not_there_is_tried_again_and_named() {
    let (why, _) = later(send(&format!("http://127.0.0.1:{}", free_port())).await);
    assert!(why.contains("refused the connection"), "{why}");
    let (why, _) = later(send("http://telegram.invalid").await);
    assert!(why.contains("http://telegram.invalid") && why.contains("not found"), "{why}");
    let closes = receivers::serve(drop);
    let (why, _) = later(send(&format!("http://127.0.0.1:{closes}")).await);
    assert!(why.contains("closed the connection"), "{why}");
}

#[tokio::test]
async fn a_service_that_hangs_is_given_up_in_time() {
    let receiver = Receiver::new(|_, _| (String::new(), ""));
    let mut keys = keys("telegram", &receiver.url());
    keys["timeout"] = json!("400ms");
    let begun = Instant::now();
    let (why, _) = later(sink("telegram", keys).once(&[login(1, "a", "b")]).await);
    assert!(why.contains("no answer from http://127.0.0.1"), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_service_that_is_asked_too_often_says_when_to_come_back() {
    let cases = [
        ("telegram", "429 Too Many Requests\r\nRetry-After: 30", "{}", Some(30.0)),
        (
            "telegram",
            "429 Too Many Requests",
            r#"{"ok":false,"description":"Too Many Requests: retry after 34","parameters":{"retry_after":34}}"#,
            Some(34.0),
        ),
        (
            "discord",
            "429 Too Many Requests",
            r#"{"message":"You are being rate limited.","retry_after":1.5}"#,
            Some(1.5),
        ),
        ("slack", "429 Too Many Requests\r\nRetry-After: 7", "rate_limited", Some(7.0)),
        ("pagerduty", "429 Too Many Requests", "", None),
        ("telegram", "429 Too Many Requests", r#"{"parameters":{"retry_after":1e300}}"#, Some(3600.0)),
        ("telegram", "429 Too Many Requests", r#"{"parameters":{"retry_after":-5}}"#, None),
    ];
    for (preset, status, body, expected) in cases {
        let receiver = Receiver::new(move |_, _| (status.to_owned(), body));
        let result = sink(preset, keys(preset, &receiver.url())).once(&[login(1, "a", "b")]).await;
        assert_eq!(later(result).1.map(|after| after.as_secs_f64()), expected, "{preset}: {body}");
    }
}

#[tokio::test]
async fn a_certificate_is_checked_and_what_to_do_about_it_is_said_with_the_sinks_own_keys() {
    let folder = certificates();
    let receiver = Receiver::over(Some(tls_server(&folder.0, true)), |_, _| taken("telegram"));
    let url = format!("https://localhost:{}", receiver.port);
    let (why, _) = later(send(&url).await);
    assert!(why.contains("`ca`") || why.contains("no list of certificate authorities"), "{why}");
    let mut right = keys("telegram", &url);
    right["ca"] = json!(folder.file("ca.pem"));
    right["client_certificate"] = json!(folder.file("client.pem"));
    right["client_key"] = json!(folder.file("client.key"));
    sink("telegram", right).once(&[login(1, "a", "b")]).await.unwrap();
    let plain = receivers::serve(|mut stream| {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let (why, _) = later(send(&format!("https://127.0.0.1:{plain}")).await);
    assert!(why.contains("does not speak TLS"), "{why}");
}

#[tokio::test]
async fn a_page_of_somebody_between_is_no_success() {
    let receiver = Receiver::new(|_, _| ("200 OK".into(), "<html>Please log in to this network</html>"));
    let (why, _) = later(send(&receiver.url()).await);
    assert!(why.contains("Please log in"), "{why}");
}

#[tokio::test]
async fn a_proxy_is_gone_through() {
    let proxy = Receiver::new(|_, _| taken("telegram"));
    let mut keys = keys("telegram", "http://telegram.invalid");
    keys["proxy"] = json!(proxy.url());
    sink("telegram", keys).once(&[login(1, "a", "b")]).await.unwrap();
    assert_eq!(proxy.request(0).line, "POST http://telegram.invalid/bot123:s3cr3t/sendMessage HTTP/1.1");
}

#[tokio::test]
async fn nothing_is_lost_while_a_service_is_down_and_what_it_refuses_is_buried_with_its_words() {
    let receiver = Receiver::new(|request, before| match before {
        0 => ("503 Service Unavailable".into(), ""),
        1 => ("502 Bad Gateway".into(), "<html>"),
        _ if request.body.contains("user-2") => {
            ("400 Bad Request".into(), r#"{"ok":false,"description":"Bad Request: message is bad"}"#)
        }
        _ => taken("telegram"),
    });
    let records = (1..=3).map(|number| login(number, &format!("user-{number}"), "b")).collect();
    let mut keys = keys("telegram", &receiver.url());
    keys["notify"] = json!("event");
    let store = receivers::run("telegram", keys, records).await;
    let buried = store.buried.lock().unwrap();
    assert_eq!(buried.len(), 1);
    assert!(buried[0].1.contains("message is bad"), "{}", buried[0].1);
    assert_eq!(receiver.count(), 5);
}

#[tokio::test]
async fn what_the_service_says_is_told_to_the_operator_and_only_a_bad_message_is_refused() {
    let answers = [
        (
            "telegram",
            "400 Bad Request",
            r#"{"ok":false,"error_code":400,"description":"Bad Request: can't parse entities"}"#,
            "can't parse entities",
            true,
        ),
        (
            "telegram",
            "400 Bad Request",
            r#"{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}"#,
            "check `chat_id`",
            false,
        ),
        (
            "telegram",
            "401 Unauthorized",
            r#"{"ok":false,"description":"Unauthorized"}"#,
            "check `token`",
            false,
        ),
        (
            "discord",
            "400 Bad Request",
            r#"{"code":50035,"message":"Invalid Form Body"}"#,
            "Invalid Form Body",
            true,
        ),
        ("discord", "404 Not Found", r#"{"code":10015,"message":"Unknown Webhook"}"#, "was deleted", false),
        ("slack", "400 Bad Request", "invalid_payload", "invalid_payload", true),
        ("slack", "404 Not Found", "channel_not_found", "channel or webhook are gone", false),
        ("slack", "500 Internal Server Error", "rollup_error", "rollup_error", false),
    ];
    for (preset, status, body, expected, refused) in answers {
        let receiver = Receiver::new(move |_, _| (status.to_owned(), body));
        let result = sink(preset, keys(preset, &receiver.url())).once(&[login(1, "a", "b")]).await;
        let (why, was) = match result {
            Err(Failure::Refused(why)) => (why, true),
            Err(Failure::Later { why, .. }) => (why, false),
            Ok(()) => panic!("{preset}: {status} is no success"),
        };
        assert!(why.contains(expected), "{preset}: {why}");
        assert!(!why.contains("s3cr3t"), "{preset}: {why}");
        assert_eq!(was, refused, "{preset}: {why}");
    }
}
