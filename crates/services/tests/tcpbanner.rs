//! What a raw port reports, beyond what transcripts show.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use haldane_core::{Entry, Keepalive, Severity, Value};
use haldane_services::{
    replay::{build, datagram, talk},
    tcpbanner::TcpBanner,
};

static ENTRY: Entry = Entry::both::<TcpBanner>();

#[test]
fn all_data_is_kept_though_the_compatible_log_shows_255_bytes_of_it() {
    let service = build(&ENTRY, &["alertstring_enabled = true", "alertstring = \"ALERT\""]).unwrap();
    let long = [&[b'a'; 300][..], b"ALERT\r\n"].concat();
    let seen = talk(service.stream.unwrap().as_ref(), &[&long], true).seen;
    assert_eq!(seen[0].kind.number, 18005, "the alert string is found beyond what is shown");
    assert_eq!(seen[0].fields["data"], Value::from(vec![b'a'; 255]));
    assert_eq!(seen[0].fields["received"], Value::from(long));
}

#[test]
fn an_empty_secret_is_in_everything_as_the_peer_has_it() {
    let service = build(&ENTRY, &["keep_alive = true"]).unwrap();
    let seen = talk(service.stream.unwrap().as_ref(), &[b"hello", b"again"], true).seen;
    let numbers: Vec<_> = seen.iter().map(|seen| seen.kind.number).collect();
    assert_eq!(numbers, [18002, 18003, 30801]);
    assert_eq!(seen[1].fields["secret_string"], Value::from(""));
}

#[test]
fn an_alert_string_on_a_tether_is_an_intrusion_of_high_severity() {
    let settings = [
        "keep_alive = true",
        "keep_alive_secret = \"SECRET\"",
        "alertstring_enabled = true",
        "alertstring = \"ALERT\"",
    ];
    let service = build(&ENTRY, &settings).unwrap();
    let seen = talk(service.stream.unwrap().as_ref(), &[b"ALERT"], true).seen;
    assert_eq!((seen[1].kind.number, seen[1].severity), (18004, Severity::High));
}

#[test]
fn a_tether_stays_open_and_is_probed_as_configured() {
    let settings =
        ["keep_alive = true", "keep_alive_probes = 3", "keep_alive_interval = 20", "keep_alive_idle = 10"];
    let limits = build(&ENTRY, &settings).unwrap().stream.unwrap().bounds();
    let (idle, interval) = (Duration::from_secs(10), Duration::from_secs(20));
    assert_eq!(limits.keepalive, Some(Keepalive { idle, interval, probes: 3 }));
    assert!(limits.idle >= Duration::from_secs(3600));
    assert_eq!(build(&ENTRY, &[]).unwrap().stream.unwrap().bounds().keepalive, None);
}

#[test]
fn datagrams_are_data_without_a_connection() {
    let settings =
        ["alertstring_enabled = true", "alertstring = \"ALERT\"", "datareceivedbanner = \"ok\\\\n\""];
    let service = build(&ENTRY, &settings).unwrap();
    let outcome = datagram(&service, b"an ALERT");
    assert_eq!(outcome.seen.iter().map(|seen| seen.kind.number).collect::<Vec<_>>(), [18005]);
    assert_eq!(outcome.reply, b"ok\n");
}
