//! Whole conversations whose answers are pages, or where only the events matter.

use haldane_core::{Entry, Login, Secret, Severity, Sighting, Value};

use super::{HttpProxy, LOGIN};
use crate::replay::{Ending, Outcome, build, talk};

static ROW: Entry = Entry::stream::<HttpProxy>();

fn served(settings: &[&str], pieces: &[&[u8]]) -> Outcome {
    let outcome = talk(build(&ROW, settings).unwrap().stream.unwrap().as_ref(), pieces, false);
    assert_eq!(outcome.broken, Vec::<String>::new());
    outcome
}

fn reply(settings: &[&str], request: &str) -> String {
    String::from_utf8(served(settings, &[request.as_bytes()]).reply).unwrap()
}

/// The one event of one request.
fn event(settings: &[&str], request: &str) -> Sighting {
    let mut outcome = served(settings, &[request.as_bytes()]);
    assert_eq!(outcome.seen.len(), 1, "{request}");
    outcome.seen.remove(0)
}

fn field(seen: &Sighting, name: &str) -> String {
    match seen.fields.get(name) {
        Some(Value::Text(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

const OPEN: &[&str] = &["auth = \"none\""];

#[test]
fn a_login_is_the_peer_s_event_with_nothing_else_in_its_line() {
    let seen = event(&[], "GET http://a/ HTTP/1.1\r\nProxy-Authorization: Basic Y29ycFxldmU6YTpi\r\n\r\n");
    assert_eq!((seen.kind, seen.severity), (&LOGIN, Severity::High));
    assert_eq!(seen.login, Some(Login::password("basic", "corp\\eve", "a:b")));
    let keys: Vec<_> = LOGIN.compat.unwrap().iter().map(|part| part.key).collect();
    assert_eq!((LOGIN.number, keys), (7001, vec!["USERNAME", "PASSWORD"]));
}

#[test]
fn basic_credentials_of_any_bytes_are_recorded_whole() {
    // eve:na\xefve, eve:<NUL>, no colon, and what is no base64.
    for (sent, user, secret) in [
        ("ZXZlOm5h73Zl", Some("eve"), Some(Secret::Password(b"na\xefve".into()))),
        ("ZXZlOgA=", Some("eve"), Some(Secret::Password(b"\0".into()))),
        ("ZXZl", Some("eve"), None),
        ("!!!", None, Some(Secret::Token(b"!!!".into()))),
    ] {
        let seen =
            event(&[], &format!("GET http://a/ HTTP/1.1\r\nProxy-Authorization: Basic {sent}\r\n\r\n"));
        let login = seen.login.unwrap();
        assert_eq!(login.username.map(|user| user.to_string()).as_deref(), user, "{sent}");
        assert_eq!(login.secret, secret, "{sent}");
    }
}

#[test]
fn every_request_through_an_open_proxy_is_an_event_with_its_target() {
    let cases = [
        ("GET http://Example.com:8081/a?b HTTP/1.1", "httpproxy.request", "example.com", 8081, Severity::Low),
        ("CONNECT example.com:443 HTTP/1.1", "httpproxy.connect", "example.com", 443, Severity::Low),
        (
            "CONNECT mail.example.com:25 HTTP/1.1",
            "httpproxy.connect",
            "mail.example.com",
            25,
            Severity::Medium,
        ),
        ("CONNECT [2001:db8::1]:22 HTTP/1.1", "httpproxy.connect", "2001:db8::1", 22, Severity::Medium),
        ("GET http://10.0.0.1/ HTTP/1.0", "httpproxy.request", "10.0.0.1", 80, Severity::Medium),
        ("GET http://127.0.0.1:22/", "httpproxy.request", "127.0.0.1", 22, Severity::Medium),
    ];
    for settings in [OPEN, &[], &["skin = \"ms-isa\""]] {
        for (line, kind, host, port, severity) in &cases {
            let seen = event(settings, &format!("{line}\r\n\r\n"));
            assert_eq!((seen.kind.name, seen.severity), (*kind, *severity), "{line}");
            assert_eq!(field(&seen, "target_host"), *host);
            assert_eq!(seen.fields["target_port"], Value::Int(*port));
        }
    }
    assert_eq!(field(&event(OPEN, "CONNECT a:25 HTTP/1.1\r\n\r\n"), "target_service"), "smtp");
    assert_eq!(field(&event(OPEN, "CONNECT a:22 HTTP/1.1\r\n\r\n"), "target_service"), "ssh");
}

#[test]
fn what_names_no_target_is_a_probe_and_what_is_no_request_malformed() {
    for (line, kind) in [
        ("GET / HTTP/1.0", "httpproxy.probe"),
        ("OPTIONS * HTTP/1.1", "httpproxy.probe"),
        ("GET cache_object://localhost/info HTTP/1.0", "httpproxy.probe"),
        ("GET http://a/ HTTP/2.0", "httpproxy.malformed"),
        ("EHLO a", "httpproxy.malformed"),
        ("GET http://a/ HTTP/1.1\r\nContent-Length: x", "httpproxy.malformed"),
    ] {
        assert_eq!(event(&[], &format!("{line}\r\n\r\n")).kind.name, kind, "{line}");
    }
    let manager = event(&[], "GET /squid-internal-mgr/info HTTP/1.0\r\n\r\n");
    assert_eq!(field(&manager, "probe"), "cache manager");
}

#[test]
fn credentials_for_the_server_behind_are_kept_with_the_request() {
    for request in [
        "GET http://a/ HTTP/1.1\r\nAuthorization: Basic ZXZlOmh1bnRlcjI=\r\n\r\n",
        "GET ftp://eve:hunter2@a/ HTTP/1.1\r\n\r\n",
        "POST http://a/ HTTP/1.1\r\nContent-Length: 25\r\n\r\nuser=eve&password=hunter2",
    ] {
        let seen = event(&[], request);
        assert_eq!((seen.kind.name, seen.severity), ("httpproxy.request", Severity::High), "{request}");
        let login = seen.login.unwrap();
        assert_eq!((login.username.clone(), login.clear()), (Some("eve".into()), Some(&"hunter2".into())));
    }
}

#[test]
fn a_large_body_is_answered_at_once_and_reported_when_its_beginning_is_known() {
    let head = b"POST http://a/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n";
    let begun = served(&[], &[head]);
    assert!(begun.reply.starts_with(b"HTTP/1.1 407 ") && begun.seen.is_empty());
    let (first, rest) = ("a".repeat(9_000), "b".repeat(991_000));
    assert_eq!(served(&[], &[head, first.as_bytes()]).seen.len(), 1);
    let next = b"GET http://b/ HTTP/1.1\r\n\r\n";
    let whole = served(&[], &[head, first.as_bytes(), rest.as_bytes(), next]);
    assert_eq!((whole.seen.len(), whole.ending), (2, Ending::Open));
    assert_eq!(field(&whole.seen[0], "body"), "a".repeat(8_192));
    assert_eq!(whole.seen[0].fields["cut"], Value::Bool(true));
}

#[test]
fn a_digest_answer_is_verified_as_the_pipeline_knows_it() {
    let digest = "Digest username=\"eve\", realm=\"r\", nonce=\"n\", uri=\"/\", nc=00000001, cnonce=\"c\", qop=auth, \
                  response=\"0123456789abcdef0123456789abcdef\"";
    let seen = event(&[], &format!("CONNECT a:443 HTTP/1.1\r\nProxy-Authorization: {digest}\r\n\r\n"));
    let Some(Secret::Response { scheme, challenge, crackable, .. }) = seen.login.unwrap().secret else {
        panic!()
    };
    assert_eq!(
        (scheme.as_ref(), challenge.to_string().as_str()),
        ("digest", "eve$r$CONNECT$/$n$00000001$c$auth")
    );
    let line = "$response$0123456789abcdef0123456789abcdef$eve$r$CONNECT$/$n$00000001$c$auth";
    assert_eq!(crackable.as_deref(), Some(line));
}

#[test]
fn the_product_s_version_realm_and_name_are_those_configured() {
    let settings = ["version = \"3.3.8\"", "banner = \"Staff only\"", "visible_hostname = \"gate\""];
    let old = reply(&settings, "GET http://a/ HTTP/1.1\r\n\r\n");
    for part in [
        "HTTP/1.1 407 Proxy Authentication Required\r\nServer: squid/3.3.8\r\nMime-Version: 1.0\r\nDate: ",
        "\r\nContent-Type: text/html\r\n",
        "\r\nX-Squid-Error: ERR_CACHE_ACCESS_DENIED 0\r\nVary: Accept-Language\r\nContent-Language: en\r\n",
        "\r\nProxy-Authenticate: Basic realm=\"Staff only\"\r\nX-Cache: MISS from gate\r\n",
        "\r\nVia: 1.1 gate (squid/3.3.8)\r\n",
        " by gate (squid/3.3.8)</p>",
    ] {
        assert!(old.contains(part), "{part} in {old}");
    }
    assert!(!old.contains("Copyright") && !old.contains("squid-internal-static"));
    assert!(
        reply(&["version = \"6.6\""], "GET http://a/ HTTP/1.1\r\n\r\n")
            .contains("\r\nCache-Status: files01\r\n")
    );
    let unknown = |version: &str| {
        let settings = [OPEN[0].to_owned(), format!("version = \"{version}\"")];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        reply(&settings, "GET http://example.invalid/ HTTP/1.1\r\n\r\n")
    };
    assert!(unknown("4.13").starts_with("HTTP/1.1 503 ") && unknown("4.13").contains("ERR_DNS_FAIL 0"));
    assert!(unknown("4.13").contains("<q>example.invalid</q>"));
    assert!(unknown("5.7").starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_method_in_lower_case_is_the_same_method_and_recorded_as_it_came() {
    let seen = event(&[], "connect a:25 HTTP/1.1\r\n\r\n");
    assert_eq!((seen.kind.name, field(&seen, "method").as_str()), ("httpproxy.connect", "connect"));
    assert!(reply(&[], "connect a:25 HTTP/1.1\r\n\r\n").contains("<a href=\"a:25\">"));
}

#[test]
fn mistakes_in_the_configuration_are_told() {
    for (setting, key) in [
        ("version = \"new\"", "version"),
        ("version = \"2.7\"", "version"),
        ("skin = \"apache\"", "skin"),
        ("auth = [\"basic\", \"kerberos\"]", "auth"),
        ("banner = \"a\\\"b\"", "banner"),
        ("visible_hostname = \"a\\r\\nb\"", "visible_hostname"),
    ] {
        let problems = build(&ROW, &[setting]).unwrap_err();
        assert!(problems.iter().any(|problem| problem.key.ends_with(key)), "{setting}: {problems:?}");
    }
}

#[test]
fn a_head_without_an_end_is_refused_where_squid_refuses_it_and_kept_in_part() {
    let long = [
        b"GET http://a/ HTTP/1.1\r\nProxy-Authorization: Basic ZXZlOng=\r\nA: ".to_vec(),
        vec![b'x'; 70_000],
    ]
    .concat();
    let outcome = served(&[], &[&long]);
    assert!(outcome.reply.starts_with(b"HTTP/1.1 431 ") && outcome.ending == Ending::Close);
    assert_eq!(outcome.seen[0].login, Some(Login::password("basic", "eve", "x")));
    let cut: Vec<&[u8]> = long.chunks(999).collect();
    assert_eq!(served(&[], &cut), outcome);
}
