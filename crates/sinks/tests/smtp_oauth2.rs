//! Alerts by mail with tokens instead of passwords: against aiosmtpd with XOAUTH2 or OAUTHBEARER (skipped without one;
//! see [`receivers::python`]), against a mail server and a token endpoint that say what the test tells them to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

mod receivers;

use haldane_sinks::Failure;
use receivers::{
    Mailbox, Receiver, Request, certificates, configured, free_port, login, process::Process, sink,
};
use serde_json::{Value, json};

/// A token endpoint; `answer` gets the form and how many came before.
fn endpoint(answer: impl Fn(&str, usize) -> (u16, &'static str) + Send + Sync + 'static) -> Receiver {
    Receiver::new(move |request: &Request, before| {
        assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
        let (status, body) = answer(&request.body, before);
        (format!("{status} .\r\nContent-Type: application/json"), body)
    })
}

/// A configuration; `more` is for the table `oauth2`.
fn keys(port: u16, provider: &Receiver, more: Value) -> Value {
    let mut oauth2 = json!({
        "client_id": "c1", "client_secret": "s3cr3t", "token_url": provider.url() + "/token"
    });
    let Value::Object(more) = more else { panic!("not a table") };
    oauth2.as_object_mut().unwrap().extend(more);
    json!({
        "host": "localhost", "port": port, "from": "Canary <canary@example.org>", "to": "ops@example.org",
        "security": "none", "timeout": "8s", "oauth2": oauth2
    })
}

/// A mail server that offers these mechanisms.
fn mailbox(
    offer: &'static str,
    answer: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
) -> Mailbox {
    Mailbox::new(move |line| if line.starts_with("EHLO") { Some(offer) } else { answer(line) })
}

const XOAUTH2: &str = "250-test\r\n250 AUTH LOGIN XOAUTH2";

async fn why(keys: Value) -> String {
    match sink("smtp", keys).once(&[login(1, "a", "b")]).await {
        Err(Failure::Later { why, .. }) => {
            assert!(!why.contains("s3cr3t"), "{why}");
            why
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_mail_arrives_with_a_token_by_either_mechanism() {
    let folder = certificates();
    for (mode, mechanism) in [("xoauth2", "XOAUTH2"), ("oauthbearer", "OAUTHBEARER")] {
        let files = [folder.file("server.pem"), folder.file("server.key")];
        let Some(mut server) = Process::script("aiosmtpd", "smtpd.py", &[mode, &files[0], &files[1]]) else {
            return;
        };
        let port = server.line().parse().unwrap();
        let provider =
            endpoint(|_, _| (200, r#"{"access_token":"good-1","expires_in":3599,"token_type":"Bearer"}"#));
        let mut keys = keys(port, &provider, json!({}));
        keys["security"] = json!("starttls");
        keys["ca"] = json!(folder.file("ca.pem"));
        sink("smtp", keys).once(&[login(1, "a", "b")]).await.unwrap();
        let asked: Value = serde_json::from_str(&server.line()).unwrap();
        assert_eq!(asked, json!({ "asked": mechanism, "user": "canary@example.org", "token": "good-1" }));
        let mail: Value = serde_json::from_str(&server.line()).unwrap();
        assert_eq!(mail["login"], "canary@example.org");
        assert_eq!(mail["tls"], true);
    }
}

#[tokio::test]
async fn a_refusal_is_answered_as_each_mechanism_wants_it_and_explained() {
    let folder = certificates();
    for mode in ["xoauth2", "oauthbearer"] {
        let files = [folder.file("server.pem"), folder.file("server.key")];
        let Some(mut server) = Process::script("aiosmtpd", "smtpd.py", &[mode, &files[0], &files[1]]) else {
            return;
        };
        let port = server.line().parse().unwrap();
        let provider = endpoint(|_, _| (200, r#"{"access_token":"bad","expires_in":"3599"}"#));
        let mut keys = keys(port, &provider, json!({ "provider": "google", "refresh_token": "r1" }));
        keys["security"] = json!("starttls");
        keys["ca"] = json!(folder.file("ca.pem"));
        let why = why(keys).await;
        // The server's last word came, so what we answered to its challenge was right.
        assert!(
            why.contains("535 5.7.8 Username and Password not accepted; status 400, scope https://mail"),
            "{why}"
        );
        assert!(why.contains("check `username`"), "{why}");
        assert_eq!(provider.count(), 1, "a token that is fresh is not fetched again");
    }
}

#[tokio::test]
async fn client_credentials_are_asked_for_as_microsoft_wants_them_and_the_token_is_kept() {
    let server = mailbox(XOAUTH2, |_| None);
    let provider = endpoint(|_, _| (200, r#"{"access_token":"t","expires_in":3600}"#));
    let mut sink = sink("smtp", keys(server.port, &provider, json!({})));
    sink.once(&[login(1, "a", "b")]).await.unwrap();
    sink.once(&[login(2, "a", "b")]).await.unwrap();
    assert_eq!(provider.count(), 1);
    let form = provider.request(0).body;
    for pair in [
        "client_id=c1",
        "client_secret=s3cr3t",
        "grant_type=client_credentials",
        "scope=https%3A%2F%2Foutlook.office365.com%2F.default",
    ] {
        assert!(form.split('&').any(|found| found == pair), "{pair} not in {form}");
    }
    // user=canary@example.org SOH auth=Bearer t SOH SOH
    assert_eq!(server.count("AUTH XOAUTH2 dXNlcj1jYW5hcnlAZXhhbXBsZS5vcmcBYXV0aD1CZWFyZXIgdAEB"), 1);
}

#[tokio::test]
async fn a_provider_that_says_no_or_nothing_is_explained() {
    let server = mailbox(XOAUTH2, |_| None);
    let cases = [
        (
            r#"{"error":"invalid_client","error_description":"AADSTS7000222: Expired."}"#,
            "has expired: make a new one",
        ),
        (
            r#"{"error":"invalid_grant","error_description":"AADSTS65001: No consent."}"#,
            "an administrator must grant",
        ),
        (r#"{"error":"invalid_client"}"#, "check `client_id` and `client_secret`"),
        (r#"{"error":"invalid_grant"}"#, "the refresh token has expired or was revoked"),
    ];
    for (answer, expected) in cases {
        let provider = endpoint(move |_, _| (400, answer));
        let why = why(keys(server.port, &provider, json!({ "tenant": "example.org" }))).await;
        assert!(why.starts_with("no access token: ") && why.contains(expected), "{why}");
    }
    let provider = endpoint(|_, _| (200, ""));
    let nobody = json!({ "token_url": format!("http://127.0.0.1:{}/token", free_port()) });
    let why = why(keys(server.port, &provider, nobody)).await;
    assert!(why.contains("the token endpoint is not reached"), "{why}");
    assert_eq!(server.count("(connected)"), 0);
}

#[tokio::test]
async fn a_tenant_that_forbids_smtp_auth_is_explained() {
    let no = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let server = mailbox(XOAUTH2, move |line| line.starts_with("AUTH").then_some(no));
    let provider = endpoint(|_, _| (200, r#"{"access_token":"t","expires_in":3600}"#));
    let why = why(keys(server.port, &provider, json!({}))).await;
    assert!(why.contains("disabled for the whole organisation"), "{why}");
}

#[test]
fn mistakes_in_the_table_are_noted() {
    let table = json!({ "provider": "google", "client_id": "", "client_secret": "x" });
    let keys = json!({ "from": "a@example.org", "to": "b@example.org", "password": "x", "oauth2": table });
    let (_, _, problems) = configured("smtp", keys);
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for key in ["client_id", "refresh_token", "password"] {
        assert!(said.iter().any(|problem| problem.contains(&format!("{key}: expected"))), "{key}: {said:#?}");
    }
}
