//! What gives honeypots away, sent to ours as those who hunt for them send it: public detectors (honeydet, nuclei's
//! honeypot templates, potsnitch, honeypot-auditor) look for an answer that no real server gives.
//!
//! Each is asked of our own defaults. None may match, and each must leave an event: who sends it, hunts.
//!
//! Longer than most files: the rules are one list, read side by side.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic"
)]

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use haldane_core::{Cx, Effects, Entry, Host, Input, Keep};
use haldane_services::{
    ALL,
    replay::{Counting, Ending, InMemory, Outcome, bounds, build, build_on, host, peer, show, talk},
};

fn entry(name: &str) -> &'static Entry {
    ALL.iter().find(|entry| entry.name == name).unwrap()
}

/// What our service answers to those pieces, and reports until the client has left.
fn ask(service: &str, settings: &[&str], pieces: &[&[u8]]) -> Outcome {
    let built = build(entry(service), settings).unwrap_or_else(|problems| panic!("{service}: {problems:?}"));
    talk(built.stream.unwrap().as_ref(), pieces, true)
}

fn has(outcome: &Outcome, part: &[u8]) -> bool {
    let reply = outcome.reply.to_ascii_lowercase();
    let part = part.to_ascii_lowercase();
    reply.windows(part.len()).any(|window| window == part)
}

/// A detector's rule: it sends the pieces, and matches if one of the parts is in the answer.
struct Rule(&'static str, &'static [&'static [u8]], &'static [&'static [u8]]);

const CLIENT: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

/// Rules for SSH. Banners are those that honeypots shipped with.
const SSH: &[Rule] = &[
    Rule(
        "the banner",
        &[b""],
        &[
            b"SSH-2.0-OpenSSH_5.1p1 Debian-4",
            b"SSH-2.0-OpenSSH_5.1p1 Debian-5",
            b"SSH-2.0-OpenSSH_6.0p1 Debian-4+deb7u2",
            b"SSH-2.0-OpenSSH_5.9p1 Debian-5ubuntu1.1",
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3",
            b"SSH-2.0-OpenSSH_8.9p1 Ubuntu-3ubuntu0.10",
            b"cowrie",
            b"kippo",
            b"Twisted",
            b"paramiko",
            b"libssh",
        ],
    ),
    Rule("a version that is none", &[b"SSH-1111-OpenSSH_9.0\r\n"], &[b"bad version"]),
    Rule("another version that is none", &[b"SSH-1337\r\n"], &[b"bad version", b"bad packet length"]),
    Rule("an old version", &[b"SSH-1.5-x\r\n"], &[b"bad version", b"diffie-hellman"]),
    Rule("HTTP", &[b"GET / HTTP/1.0\r\n\r\n"], &[b"diffie-hellman", b"curve25519"]),
    Rule("binary", &[b"\0\0\0\x0c\x0a\0\0\0\0\0\0\0\0\0\0\0"], &[b"diffie-hellman", b"curve25519"]),
    Rule(
        "eight line feeds",
        &[CLIENT, b"\n\n\n\n\n\n\n\n\n\n"],
        &[b"Protocol mismatch", b"bad packet length"],
    ),
];

const FTP: &[Rule] = &[
    Rule(
        "the banner",
        &[b""],
        &[
            b"FTP Ready.",
            b"FTP server ready",
            b"Welcome to the ftp service",
            b"Twisted",
            b"Welcome to VOFTP",
            b"ProFTPD 1.2.10",
            b"Microsoft FTP Service",
        ],
    ),
    Rule("USER alone", &[b"USER\r\n"], &[b"501 Must provide username", b"Syntax error"]),
    Rule("a name", &[b"USER root\r\n"], &[b"331 Password required for"]),
    Rule(
        "a guest",
        &[b"USER anonymous\r\nPASS a@b\r\n"],
        &[b"Guest login ok", b"Anonymous login ok", b"230 "],
    ),
    Rule("no password", &[b"USER root\r\nPASS \r\n"], &[b"500 Syntax error: PASS requires an argument"]),
    Rule("no such verb", &[b"FOOBAR\r\nXYZZY 1\r\n"], &[b"unknown"]),
    Rule("verbs", &[b"SYST\r\nFEAT\r\nHELP\r\nNOOP\r\nSTAT\r\n"], &[b"unknown", b"not implemented", b"502 "]),
    Rule("REST", &[b"REST 0\r\n"], &[b"200", b"350"]),
    Rule("PASV", &[b"PASV\r\n"], &[b"227"]),
    Rule("PORT to another host", &[b"PORT 192,0,2,99,0,22\r\n"], &[b"200", b"250"]),
    Rule("a long line", &[&[b'o'; 240], b"\r\n"], &[b"login aborted"]),
];

const TELNET: &[Rule] = &[
    Rule(
        "the banner",
        &[b""],
        &[b"User Access Verification", b"Username:", b"Microsoft Telnet Service", b"honeypot"],
    ),
    Rule("option 99", &[b"\xff\xfb\x63"], &[b"\xff\xfb\x63", b"\xff\xfd\x63"]),
    Rule("a login", &[b"root\r\nroot\r\n"], &[b"Wrong password", b"Too many wrong attempts"]),
    Rule(
        "subnegotiation that nobody asked for",
        &[b"\xff\xfa\x25\x00\xff\xf0\xff\xfa\x1f\0\x50\0\x18\xff\xf0"],
        &[b"\xff\xfa\x25", b"\xff\xfa\x1f"],
    ),
];

const HTTP: &[Rule] = &[
    Rule(
        "the server",
        &[b"HEAD / HTTP/1.0\r\n\r\n"],
        &[b"Apache/2.2.22", b"TwistedWeb", b"Python", b"Werkzeug", b"nginx/1.10"],
    ),
    Rule(
        "a page that is not there",
        &[b"GET /x HTTP/1.0\r\n\r\n"],
        &[b"No Such Resource", b"No such child", b"Sorry. No luck", b"Content-Length: 145\r\n"],
    ),
    Rule("a version that is none", &[b"GET / HTTP/1337\r\nHost: nuggets\r\n\r\n"], &[b"Bad status line"]),
    Rule("the icon", &[b"GET /favicon.ico HTTP/1.0\r\n\r\n"], &[b"HTTP/1.1 200", b"HTTP/1.0 200"]),
    Rule(
        "a chunk whose size is no number",
        &[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nZZ\r\nnot-hex\r\n0\r\n\r\n"],
        &[b"HTTP/1.1 200", b"HTTP/1.1 302 "],
    ),
];

const MYSQL: &[Rule] = &[
    Rule(
        "the greeting",
        &[b""],
        &[
            b"5.5.43-0ubuntu0.14.04.1",
            b"-0ubuntu0.14.04",
            b"\xff\xf7\x08\x02\x00\x0f\x80",
            b"\xff\xf7\x08\x02\x00\xff\xc1",
        ],
    ),
    Rule("a packet out of order", &[b"\x01\0\0\x09\x0e"], &[b"Expected seq("]),
    Rule(
        "a name without an end",
        &[b"\x21\0\0\x01\x85\xa6\x0f\0\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0n"],
        &[b"Access denied for user 'n'"],
    ),
];

const REDIS: &[Rule] = &[
    Rule("brackets", &[b"[[,[["], &[b"-ERR unknown command '[[,[['"]),
    Rule("brackets on a line", &[b"[[,[[\r\n"], &[b"-ERR unknown command '[[,[['\r\n"]),
    Rule("a command without an end", &[b"DBSIZE"], &[b"-ERR unknown command ''"]),
    Rule("a password", &[b"AUTH hunter\r\n", b"COMMAND\r\n"], &[b"invalid password", b"+OK"]),
    Rule("CONFIG", &[b"CONFIG GET *\r\n"], &[b"unknown", b"wrong number", b"+OK"]),
    Rule("a script", &[b"EVAL \"return 1\" 0\r\n"], &[b"unknown", b"+OK"]),
    Rule("commands", &[b"COMMAND\r\nECHO a\r\nSELECT 1\r\nINFO\r\n"], &[b"unknown", b"+OK", b"wrong number"]),
    Rule("HELP", &[b"HELP\r\n"], &[b"redis-cli"]),
    Rule("HTTP", &[b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n"], &[b"-ERR", b"-NOAUTH"]),
];

#[test]
fn no_signature_of_a_public_detector_matches_and_each_probe_is_recorded() {
    let all = [
        ("ssh", SSH),
        ("ftp", FTP),
        ("telnet", TELNET),
        ("http", HTTP),
        ("https", HTTP),
        ("mysql", MYSQL),
        ("redis", REDIS),
    ];
    let mut failures = Vec::new();
    for (service, rules) in all {
        for Rule(name, pieces, parts) in rules {
            let outcome = ask(service, &[], pieces);
            for part in parts.iter().filter(|part| has(&outcome, part)) {
                let reply = outcome.reply.escape_ascii();
                failures
                    .push(format!("{service}, {name}: {:?} is in {reply}", part.escape_ascii().to_string()));
            }
            // Bytes that no message was made of the framework records by itself.
            let bytes = pieces.iter().any(|piece| !piece.is_empty() && piece.ends_with(b"\n"));
            if bytes && outcome.seen.is_empty() {
                failures.push(format!("{service}, {name}: no event"));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn the_rules_match_the_banners_that_they_were_made_for() {
    for (service, rules, setting) in [
        ("ssh", SSH, "version = \"SSH-2.0-OpenSSH_5.1p1 Debian-4\""),
        ("ftp", FTP, "banner = \"FTP server ready\""),
        ("telnet", TELNET, "persona = \"cisco\""),
        ("http", HTTP, "banner = \"Apache/2.2.22 (Ubuntu)\""),
        ("mysql", MYSQL, "banner = \"5.5.43-0ubuntu0.14.04.1\""),
    ] {
        let Rule(name, pieces, parts) = &rules[0];
        let outcome = ask(service, &[setting], pieces);
        assert!(parts.iter().any(|part| has(&outcome, part)), "{service}, {name}");
    }
}

#[test]
fn who_asks_what_only_hunters_ask_is_called_one() {
    let cases: [(&str, &[u8], &str, &str); 6] = [
        ("ssh", b"SSH-1111-OpenSSH_9.0\r\n", "ssh.probe", "honeypot detector"),
        ("telnet", b"\xff\xfb\x63\xff\xfd\x25", "telnet.client", "WILL 99"),
        ("http", b"GET / HTTP/1337\r\nHost: nuggets\r\n\r\n", "http.malformed", "unknown protocol"),
        (
            "http",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nnot-hex\r\n0\r\n\r\n",
            "http.malformed",
            "broken chunk",
        ),
        ("mysql", b"\x01\0\0\x09\x0e", "mysql.handshake", "out of order"),
        ("redis", b"[[,[[\r\n", "redis.command", "honeypot detector"),
    ];
    for (service, probe, kind, text) in cases {
        let outcome = ask(service, &[], &[probe]);
        let seen: Vec<String> = outcome.seen.iter().map(show).collect();
        assert!(seen.iter().any(|seen| seen.starts_with(kind) && seen.contains(text)), "{service}: {seen:?}");
    }
}

#[test]
fn a_bad_identification_ends_as_with_openssh() {
    for (line, text) in [
        (&b"SSH-1111-OpenSSH_9.0\r\n"[..], &b"Invalid SSH identification string.\r\n"[..]),
        (b"GET / HTTP/1.0\r\n\r\n", b"Invalid SSH identification string.\r\n"),
        (b"SSH-1.5-x\r\n", b"Protocol major versions differ.\r\n"),
    ] {
        let outcome = ask("ssh", &[], &[line]);
        assert!(has(&outcome, text), "{}", outcome.reply.escape_ascii());
        assert_ne!(outcome.ending, Ending::Open);
        assert!(outcome.seen.iter().any(|seen| seen.kind.name == "ssh.probe"), "{:?}", outcome.seen);
    }
}

/// The lists of a KEXINIT (RFC 4253, section 7.1) behind the banner's line.
fn kexinit(reply: &[u8]) -> Vec<Vec<String>> {
    let line = reply.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut rest = &reply[line + 4 + 1 + 1 + 16..];
    let mut lists = Vec::new();
    for _ in 0..10 {
        let (length, tail) = rest.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap()).try_into().unwrap();
        let (list, tail) = tail.split_at(length);
        lists.push(String::from_utf8(list.to_vec()).unwrap().split(',').map(str::to_owned).collect());
        rest = tail;
    }
    lists
}

#[test]
fn the_key_exchange_begins_without_the_client_and_names_nothing_twice() {
    let outcome = ask("ssh", &[], &[CLIENT]);
    for list in kexinit(&outcome.reply) {
        for name in &list {
            assert_eq!(list.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
    }
}

#[test]
fn attempts_and_patience_have_an_end() {
    let patience = |service: &str| bounds(&build(entry(service), &[]).unwrap());
    assert_eq!(patience("ssh").lifetime, Duration::from_secs(120));
    assert_eq!(patience("telnet").idle, Duration::from_secs(60));
    assert_eq!(patience("ftp").idle, Duration::from_secs(300));
    assert_eq!(ask("ftp", &[], &[b"USER a\r\nPASS b\r\n".repeat(3).as_slice()]).ending, Ending::Close);
    // login(1) gives up after five, once its questions are answered.
    let answers: &[u8] = b"\xff\xfe\x25\xff\xfe\x26\xff\xfc\x18\xff\xfc\x20\xff\xfc\x23\xff\xfc\x27\xff\xfc\x24\
        \xff\xfd\x03\xff\xfc\x01\xff\xfc\x22\xff\xfc\x1f\xff\xfe\x05\xff\xfc\x21\xff\xfd\x01\xff\xfc\x06\xff\xfc\0";
    let logins = b"root\r\nroot\r\n".repeat(5);
    let outcome = ask("telnet", &[], &[answers, &logins]);
    assert!(has(&outcome, b"Maximum number of tries exceeded (5)"), "{}", outcome.reply.escape_ascii());
    assert_eq!(outcome.ending, Ending::Close);
}

#[test]
fn an_unknown_option_is_refused_and_lines_may_end_with_a_line_feed() {
    let outcome = ask("telnet", &[], &[b"\xff\xfb\x63\xff\xfd\x25"]);
    assert!(has(&outcome, b"\xff\xfe\x63"), "{}", outcome.reply.escape_ascii());
    let outcome = ask("telnet", &[], &[b"root\npassword\n"]);
    assert_ne!(outcome.ending, Ending::Reset);
    assert!(!outcome.seen.is_empty());
}

/// Name of each header field of the first answer.
fn names(reply: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(reply);
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_owned();
    head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn web_headers_come_in_apaches_order_and_the_clock_goes() {
    for settings in [&[][..], &["banner = \"Apache/2.2.22 (Ubuntu)\""]] {
        let outcome = ask("http", settings, &[b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n"]);
        assert_eq!(names(&outcome.reply)[..2], ["Date", "Server"], "{settings:?}");
    }
    let service = build(entry("http"), &[]).unwrap().stream.unwrap();
    let date = |now: SystemTime| {
        let (peer, mut random, mut effects) = (peer(), Counting::default(), Effects::default());
        let mut session = service.open(&peer);
        let mut rest: &[u8] = b"GET / HTTP/1.0\r\n\r\n";
        while !rest.is_empty() {
            let mut input = Input::stream(rest);
            session.step(&mut input, &mut Cx::new(&peer, now, None, &mut random, &mut effects)).unwrap();
            rest = &rest[input.consumed()..];
        }
        let text = String::from_utf8(effects.reply).unwrap();
        text.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned()
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert_ne!(date(now), date(now + Duration::from_secs(1)));
}

#[test]
fn a_bad_method_behind_a_good_request_is_told_apart() {
    let pieces: &[&[u8]] = &[
        b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\nFOOBAR /index.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ];
    let outcome = ask("http", &[], pieces);
    let text = String::from_utf8_lossy(&outcome.reply).into_owned();
    let statuses: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")).collect();
    assert_eq!(statuses.len(), 2, "{text}");
    assert!(statuses[0].starts_with("200") && statuses[1].starts_with("501"), "{statuses:?}");
    assert_eq!(outcome.seen.len(), 2);
}

/// SHA-1 of the pages and icons that OpenCanary 0.9.9 serves: index.html of both skins, 403.html, 404.html,
/// favicon.ico.
const PEER_FILES: &[&str] = &[
    "3a1fc6e4511ca6ecd29ea24a9980cb610dfaefcf",
    "a140022c56b14d4f92e568fd4039525cbf7578cd",
    "a168f1630f54dcdd125339a9846187e2202c9c6c",
    "abb3a39dffc135ccea7ca05873fe35e380bf8bd1",
    "eb7a6a20a1ea922baa5a84563a82653752e38547",
];

#[test]
fn no_file_of_a_skin_is_one_of_the_peers() {
    use sha1::{Digest, Sha1};
    for skin in ["skin = \"nasLogin\"", "skin = \"basicLogin\"", "skin = \"apacheDefault\""] {
        for path in ["/index.html", "/favicon.ico", "/img/favicon.ico", "/nothing", "/css/"] {
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            let reply = ask("http", &[skin], &[request.as_bytes()]).reply;
            let body = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            let hash: String =
                Sha1::digest(&reply[body..]).iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(!PEER_FILES.contains(&hash.as_str()), "{skin} {path}");
        }
    }
}

/// A client's login packet: capabilities of 4.1 with plugins, user, no password.
fn login(user: &[u8], sequence: u8) -> Vec<u8> {
    let mut body = vec![0x85, 0xa6, 0x0f, 0, 0, 0, 0, 1, 33];
    body[0] &= !8;
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(user);
    body.extend_from_slice(b"\0\0mysql_native_password\0");
    let length = u8::try_from(body.len()).unwrap();
    [&[length, 0, 0, sequence], body.as_slice()].concat()
}

#[test]
fn mysqls_salt_and_sequence_are_those_of_the_claimed_version() {
    // The salt of the old servers is printable; in memory, randomness counts from 0.
    let outcome = ask("mysql", &[], &[b""]);
    let version = outcome.reply.iter().skip(5).position(|byte| *byte == 0).unwrap() + 6;
    let salt = &outcome.reply[version + 4..version + 12];
    assert!(salt.iter().all(|byte| (33..=126).contains(byte)), "{}", salt.escape_ascii());
    let greeting = outcome.reply.len();
    let answer = |packet: &[u8]| ask("mysql", &[], &[packet]).reply[greeting..].to_vec();
    let denied = answer(&login(b"hunter", 1));
    assert_eq!(denied[3..7], [2, 0xff, 0x15, 0x04], "{}", denied.escape_ascii());
    let order = answer(&login(b"hunter", 9));
    assert_eq!(order[4..7], [0xff, 0x84, 0x04], "{}", order.escape_ascii());
    assert_eq!(order[3], 1, "the sequence goes on where it stood");
}

#[test]
fn redis_quits_and_the_whole_of_an_http_request_is_answered_by_nothing() {
    let outcome = ask("redis", &[], &[b"QUIT\r\n"]);
    assert_eq!((outcome.reply.as_slice(), outcome.ending), (&b"+OK\r\n"[..], Ending::Close));
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: curl\r\n\r\n";
    let cut: Vec<&[u8]> = request.chunks(3).collect();
    for pieces in [&[&request[..]][..], &cut] {
        let outcome = ask("redis", &[], pieces);
        assert_eq!(outcome.reply.escape_ascii().to_string(), "");
        assert_ne!(outcome.ending, Ending::Open);
        assert_eq!(outcome.seen.len(), 2, "each line until then is an event");
    }
    // Without a Host field, a server has something to say.
    let outcome = ask("redis", &[], &[b"GET / HTTP/1.0\r\n\r\n"]);
    assert_eq!(outcome.reply, b"-ERR wrong number of arguments for 'get' command\r\n");
}

#[test]
fn an_old_banner_is_followed_by_old_lists() {
    let outcome = ask("ssh", &["version = \"SSH-2.0-OpenSSH_5.1p1 Debian-4\""], &[CLIENT]);
    let lists = kexinit(&outcome.reply);
    assert_eq!(
        lists[0],
        [
            "diffie-hellman-group-exchange-sha256",
            "diffie-hellman-group-exchange-sha1",
            "diffie-hellman-group14-sha1",
            "diffie-hellman-group1-sha1"
        ]
    );
    for list in &lists {
        for name in list {
            for newer in [
                "chacha20",
                "curve25519",
                "ecdh",
                "ecdsa",
                "ed25519",
                "etm",
                "sha2-",
                "gcm",
                "umac-128",
                "ext-info",
            ] {
                assert!(!name.contains(newer), "{name}");
            }
        }
    }
    assert!(lists[1].contains(&"ssh-rsa".to_owned()), "{:?}", lists[1]);
    assert!(lists[2].starts_with(&["aes128-cbc".to_owned(), "3des-cbc".to_owned()]), "{:?}", lists[2]);
    assert!(lists[4].starts_with(&["hmac-md5".to_owned(), "hmac-sha1".to_owned()]), "{:?}", lists[4]);
    // Before 8.0 a bad line was answered in other words.
    let outcome = ask("ssh", &["version = \"SSH-2.0-OpenSSH_5.1p1 Debian-4\""], &[b"hello\r\n"]);
    assert!(has(&outcome, b"Protocol mismatch.\n"), "{}", outcome.reply.escape_ascii());
}

#[test]
fn an_old_web_server_has_old_pages() {
    let old = ["banner = \"Apache/2.2.22 (Ubuntu)\"", "skin = \"basicLogin\""];
    let outcome = ask("http", &old, &[b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"]);
    let text = String::from_utf8_lossy(&outcome.reply).into_owned();
    assert_eq!(names(&outcome.reply), ["Date", "Server", "Content-Length", "Content-Type"], "{text}");
    assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"), "{text}");
    assert!(text.contains("<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">"), "{text}");
    assert!(text.contains("<p>The requested URL /nothing was not found on this server.</p>"), "{text}");
    assert!(text.contains("<address>Apache/2.2.22 (Ubuntu) Server at a Port"), "{text}");
    // It did not mind a line feed alone, and called some statuses by other names.
    let outcome = ask("http", &old, &[b"GET /nothing HTTP/1.0\n\n"]);
    assert!(outcome.reply.starts_with(b"HTTP/1.1 404"), "{}", outcome.reply.escape_ascii());
    let long = [b"GET /", [b'a'; 9000].as_slice(), b" HTTP/1.0\r\n\r\n"].concat();
    assert!(ask("http", &old, &[&long]).reply.starts_with(b"HTTP/1.1 414 Request-URI Too Large\r\n"));
}

#[test]
fn an_old_mysql_greets_as_5_5_did() {
    let outcome = ask("mysql", &["banner = \"5.5.43-0ubuntu0.14.04.1\""], &[b""]);
    let text = outcome.reply.escape_ascii().to_string();
    assert!(text.contains("5.5.43-0ubuntu0.14.04.1\\x00"), "{text}");
    // All but SSL and compression below, plugins and no more above; latin1; autocommit; 21 bytes of salt.
    assert!(has(&outcome, b"\xff\xf7\x08\x02\x00\x0f\x80\x15\0\0\0\0\0\0\0\0\0\0"), "{text}");
    assert!(outcome.reply.ends_with(b"\0mysql_native_password\0"), "{text}");
}

#[test]
fn an_old_redis_words_its_errors_as_it_did() {
    let ask = |version: &str, line: &[u8]| {
        String::from_utf8(ask("redis", &[&format!("version = \"{version}\"")], &[line]).reply).unwrap()
    };
    assert_eq!(ask("2.8.4", b"foo a\r\n"), "-ERR unknown command 'foo'\r\n");
    assert_eq!(ask("5.0.7", b"foo a\r\n"), "-ERR unknown command `foo`, with args beginning with: `a`, \r\n");
    assert_eq!(ask("7.0.15", b"foo a\r\n"), "-ERR unknown command 'foo', with args beginning with: 'a' \r\n");
    assert_eq!(ask("5.0.7", b"AUTH a\r\n"), "-ERR invalid password\r\n");
    assert_eq!(ask("6.0.16", b"AUTH a\r\n"), "-WRONGPASS invalid username-password pair\r\n");
    assert_eq!(
        ask("5.0.7", b"HELLO 3\r\n"),
        "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n"
    );
}

#[test]
fn the_peers_ftp_banner_is_answered_for_by_one_server() {
    let outcome = ask("ftp", &["banner = \"FTP server ready\""], &[b"USER a\r\nPASS b\r\nSYST\r\n"]);
    assert_eq!(
        String::from_utf8(outcome.reply).unwrap(),
        "220 FTP server ready\r\n331 Please specify the password.\r\n530 Login incorrect.\r\n\
         530 Please login with USER and PASS.\r\n"
    );
}

#[test]
fn the_defaults_are_one_debian_12_server() {
    let telnet: &[u8] =
        b"\xff\xfe\x25\xff\xfe\x26\xff\xfc\x18\xff\xfc\x20\xff\xfc\x23\xff\xfc\x27\xff\xfc\x24";
    for (service, piece, part) in [
        ("ssh", &b""[..], "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u"),
        ("http", b"HEAD / HTTP/1.0\r\n\r\n", "Server: Apache/2.4."),
        ("http", b"HEAD / HTTP/1.0\r\n\r\n", " (Debian)\r\n"),
        ("https", b"HEAD / HTTP/1.0\r\n\r\n", " (Debian)\r\n"),
        ("mysql", b"", "5.5.5-10.11."),
        ("mysql", b"", "-MariaDB-0+deb12u1\0"),
        ("redis", b"AUTH a\r\n", "WRONGPASS invalid username-password pair or user is disabled."),
        ("ftp", b"", "220 (vsFTPd 3.0.3)\r\n"),
        ("telnet", telnet, "Linux 6.1.0-"),
        // Its name is the configured one.
        ("telnet", telnet, "\nfiles01 login: "),
    ] {
        let outcome = ask(service, &[], &[piece]);
        assert!(has(&outcome, part.as_bytes()), "{service}: {part:?} in {}", outcome.reply.escape_ascii());
    }
}

#[test]
fn what_is_random_stays_across_restarts_and_differs_between_hosts() {
    let on = |keep: &Arc<InMemory>| {
        let keep: Arc<dyn Keep> = Arc::<InMemory>::clone(keep);
        Host { keep, ..host() }
    };
    let (one, other) = (Arc::new(InMemory::default()), Arc::new(InMemory::default()));
    for entry in ALL {
        build_on(entry, &[], &on(&one)).unwrap();
        let made = one.kept().len();
        build_on(entry, &[], &on(&one)).unwrap();
        assert_eq!(one.kept().len(), made, "{} makes anew what it has", entry.name);
        build_on(entry, &[], &on(&other)).unwrap();
    }
    let (one, other) = (one.kept(), other.kept());
    assert!(one.keys().any(|name| name.ends_with("ssh_host_ed25519_key")), "{:?}", one.keys());
    assert!(one.keys().eq(other.keys()));
    for (name, content) in one.iter() {
        assert_ne!(Some(content), other.get(name), "{}", name.display());
    }
}
