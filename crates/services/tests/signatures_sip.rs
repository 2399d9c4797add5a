//! What gives honeypots away that speak SIP, or only listen: see `signatures.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use haldane_core::Entry;
use haldane_services::{
    ALL,
    replay::{build, datagram, datagrams},
};

const PRODUCTS: [&str; 3] = ["product = \"asterisk\"", "product = \"chan_sip\"", "product = \"kamailio\""];

fn entry() -> &'static Entry {
    ALL.iter().find(|entry| entry.name == "sip").unwrap()
}

fn request(method: &str, user: &str, branch: &str) -> Vec<u8> {
    format!(
        "{method} sip:{user}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch={branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{user}@192.0.2.1:9>;tag=1\r\nTo: <sip:{user}@192.0.2.1>\r\nCall-ID: {branch}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:{user}@192.0.2.7>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn ask(product: &str, bytes: &[u8]) -> String {
    String::from_utf8(datagram(&build(entry(), &[product]).unwrap(), bytes).reply).unwrap()
}

/// FIDELITY.md: OpenCanary never answers.
#[test]
fn it_is_not_silent() {
    for product in PRODUCTS {
        for method in ["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE", "BYE", "X"] {
            assert!(
                ask(product, &request(method, "100", "z9hG4bK1")).starts_with("SIP/2.0 "),
                "{product} {method}"
            );
        }
        assert!(ask(product, &request("ACK", "100", "z9hG4bK1")).is_empty(), "nobody answers an ACK");
    }
}

/// SentryPeer and Dionaea let everybody register, and take every call.
#[test]
fn nobody_is_let_in_and_no_call_is_taken() {
    for product in PRODUCTS {
        for method in ["REGISTER", "INVITE"] {
            let said = ask(product, &request(method, "100", "z9hG4bK1"));
            assert!(said.starts_with("SIP/2.0 4"), "{said}");
        }
    }
}

/// Honeypots answer what no server understands, or by another version.
#[test]
fn what_is_no_sip_meets_silence() {
    let sip = String::from_utf8(request("OPTIONS", "100", "z9hG4bK1")).unwrap();
    for product in PRODUCTS {
        for text in [
            sip.replace("sip:100@192.0.2.1 SIP/2.0", "sip:100@192.0.2.1 SIP/7.0"),
            sip.replace("CSeq: 1 OPTIONS\r\n", ""),
            sip.replace("Via: SIP/2.0", "Via: SIP/3.0"),
            "GET / HTTP/1.0\r\n\r\n".to_owned(),
            "\r\n\r\n".to_owned(),
        ] {
            assert_eq!(ask(product, text.as_bytes()), "", "{product} {text}");
        }
    }
}

/// Nonces that come again, or tags that are the same for every request, are a program's own.
#[test]
fn each_challenge_is_another_and_no_words_of_honeypots_are_in_it() {
    for product in PRODUCTS {
        let built = build(entry(), &[product]).unwrap();
        let asked: Vec<Vec<u8>> =
            (0..10).map(|at| request("REGISTER", &at.to_string(), &format!("z9hG4bK{at}"))).collect();
        let asked: Vec<&[u8]> = asked.iter().map(Vec::as_slice).collect();
        let said = String::from_utf8(datagrams(&built, &asked, false).reply).unwrap();
        let parts = |name: &str| {
            let mut parts: Vec<&str> =
                said.split(name).skip(1).map(|rest| rest.split(['"', '\r']).next().unwrap()).collect();
            parts.sort_unstable();
            parts.dedup();
            parts.len()
        };
        assert_eq!((parts("nonce=\""), parts("192.0.2.1>;tag=")), (10, 10), "{said}");
        for word in ["dionaea", "sentrypeer", "honey", "canary", "haldane", "artemisa"] {
            assert!(!said.to_lowercase().contains(word), "{word}");
        }
    }
}
