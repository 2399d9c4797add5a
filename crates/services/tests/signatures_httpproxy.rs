//! What gives honeypot proxies away, asked of ours: one host's name, one version, one answer for whatever is asked.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use haldane_services::{
    ALL,
    replay::{Outcome, build, show, talk},
};

fn ask(settings: &[&str], request: &str) -> Outcome {
    let entry = ALL.iter().find(|entry| entry.name == "httpproxy").unwrap();
    let built = build(entry, settings).unwrap_or_else(|problems| panic!("{problems:?}"));
    talk(built.stream.unwrap().as_ref(), &[request.as_bytes()], true)
}

/// What honeypot hunters and proxy checkers ask.
const ASKED: &[&str] = &[
    "GET http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
    "CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n",
    "HEAD http://www.example.com/ HTTP/1.1\r\nHost: www.example.com\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "OPTIONS / HTTP/1.0\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\n\r\n",
    "GET http://www.example.com/ HTTP/2.0\r\n\r\n",
    "GET cache_object://localhost/info HTTP/1.0\r\n\r\n",
    "FOOBAR http://www.example.com/ HTTP/1.1\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\n",
    "NONSENSE\r\n\r\n",
];

/// What OpenCanary's skins answer, and what frameworks do.
const SIGNS: &[&str] = &[
    "Via: 1.1 localhost",
    "from localhost",
    "by localhost",
    "squid/3.3.8",
    "Twisted",
    "Python",
    "Invalid auth-token",
    "X-Squid-Error: ERR_CACHE_ACCESS_DENIED 0\r\nX-Cache",
];

#[test]
fn no_sign_of_a_honeypot_is_in_an_answer_and_each_question_is_recorded() {
    for settings in [&[][..], &["skin = \"ms-isa\""], &["auth = \"none\""]] {
        for request in ASKED {
            let outcome = ask(settings, request);
            let reply = String::from_utf8(outcome.reply).unwrap();
            assert!(!reply.is_empty(), "{request}");
            for sign in SIGNS {
                assert!(!reply.contains(sign), "{sign} in the answer to {request}: {reply}");
            }
            assert_eq!(outcome.seen.len(), 1, "{request}");
        }
    }
}

#[test]
fn the_signs_are_those_of_the_peer_s_squid() {
    let peer = ["version = \"3.3.8\"", "visible_hostname = \"localhost\""];
    let reply = String::from_utf8(ask(&peer, ASKED[0]).reply).unwrap();
    for sign in ["Via: 1.1 localhost", "from localhost", "squid/3.3.8"] {
        assert!(SIGNS.contains(&sign) && reply.contains(sign), "{sign} in {reply}");
    }
}

#[test]
fn no_two_questions_have_the_same_answer() {
    let answers: Vec<String> =
        ASKED.iter().map(|request| String::from_utf8(ask(&[], request).reply).unwrap()).collect();
    for (at, answer) in answers.iter().enumerate() {
        let twin = answers.iter().position(|other| other == answer);
        // The method alone makes no difference to squid.
        let alone = ["FOOBAR", "OPTIONS / "].iter().any(|method| ASKED[at].starts_with(method));
        assert!(twin == Some(at) || alone, "{} and {:?}", ASKED[at], twin);
    }
}

#[test]
fn only_what_needs_authentication_is_told_to_authenticate() {
    for (request, status) in ASKED.iter().zip([407, 407, 407, 400, 400, 501, 505, 407, 407, 400, 400]) {
        let reply = ask(&[], request).reply;
        let first = String::from_utf8(reply[..12].to_vec()).unwrap();
        assert_eq!(first, format!("HTTP/1.1 {status}"), "{request}");
    }
}

#[test]
fn who_asks_what_only_hunters_ask_is_called_one() {
    for (request, part) in [
        ("GET cache_object://localhost/info HTTP/1.0\r\n\r\n", "probe=\"cache manager\""),
        ("GET /nice%20ports%2C/Tri%6Eity.txt%2ebak HTTP/1.0\r\n\r\n", "probe=\"nmap\""),
        ("GET http://a/ HTTP/1.1\r\nUser-Agent: honeydet\r\n\r\n", "probe=\"honeypot hunter\""),
        ("OPTIONS / RTSP/1.0\r\n\r\n", "why=\"not a request\""),
    ] {
        let seen: Vec<String> = ask(&[], request).seen.iter().map(show).collect();
        assert!(seen.iter().any(|seen| seen.contains(part)), "{request}: {seen:?}");
    }
}
