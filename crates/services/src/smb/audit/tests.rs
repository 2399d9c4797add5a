use haldane_core::{Absent, Compat, Part, Untrusted, Value};

use super::*;
use crate::{ALL, replay};

/// What is reported of those lines.
fn seen(lines: &[&[u8]]) -> Vec<(Option<Peer>, Sighting)> {
    let entry = ALL.iter().find(|entry| entry.name == "smb").unwrap();
    let mut service = replay::build(entry, &["mode = \"audit\""]).unwrap();
    let lines: Vec<Arrival<'_>> = lines.iter().map(|line| Arrival::Line(line)).collect();
    replay::watch(service.sensor.as_mut().unwrap().as_mut(), &lines)
}

fn one(line: &[u8]) -> (Option<Peer>, Sighting) {
    let mut seen = seen(&[line]);
    assert_eq!(seen.len(), 1, "{}", line.escape_ascii());
    seen.remove(0)
}

/// `logdata` of the compatible log, as the kind's list makes it.
fn logdata(seen: &Sighting) -> Vec<(&'static str, Value)> {
    let value = |compat: &Compat| match (compat.part, compat.absent) {
        (Part::Field(name), Absent::Null) => seen.fields.get(name).cloned().unwrap_or(Value::Null),
        other => panic!("{other:?}"),
    };
    AUDIT.compat.unwrap().iter().map(|compat| (compat.key, value(compat))).collect()
}

const MESSAGE: &str = "user1|192.168.15.105|192.168.15.111|sys1|itshare|SRD1|SMB3_11|OSX|2022/12/17 16:09:28|SRV01|\
                       pread_recv|ok|/samba/share/testing.txt";

#[test]
fn a_line_of_the_audit_has_every_field_of_the_peer() {
    let (peer, seen) = one(format!("Dec 17 16:09:28 rocky smbd_audit: {MESSAGE}").as_bytes());
    let peer = peer.unwrap();
    assert_eq!(
        (peer.remote, peer.local),
        ("192.168.15.105:0".parse().unwrap(), "192.168.15.111:445".parse().unwrap())
    );
    let expected = [
        ("USER", "user1"),
        ("REMOTENAME", "sys1"),
        ("SHARENAME", "itshare"),
        ("LOCALNAME", "SRD1"),
        ("SMBVER", "SMB3_11"),
        ("SMBARCH", "OSX"),
        ("DOMAIN", "SRV01"),
        ("AUDITACTION", "pread_recv"),
        ("STATUS", "ok"),
        ("FILENAME", "/samba/share/testing.txt"),
    ];
    assert_eq!(logdata(&seen), expected.map(|(key, value)| (key, Value::from(value))));
    assert_eq!(seen.fields["logged"], "2022/12/17 16:09:28".into());
    assert_eq!((seen.kind.number, seen.severity), (5000, Severity::Medium));
}

#[test]
fn every_way_of_a_syslog_daemon_to_write_the_line_is_the_same() {
    let plain = one(format!("smbd_audit: {MESSAGE}").as_bytes());
    for header in [
        "Dec 17 16:09:28 rocky smbd_audit[37113]: ",
        "2026-11-24T04:37:15.880183+00:00 rocky smbd_audit[37113]: ",
        "<189>Dec 17 16:09:28 smbd_audit:",
        "<189>1 2026-11-24T04:37:15.880183Z rocky smbd_audit 37113 - - ",
        "<189>1 2026-11-24T04:37:15.880183Z rocky smbd_audit 37113 - [a@1 b=\"c\"][d] \u{feff}",
        // Samba's own log, without syslog.
        "  ",
    ] {
        assert_eq!(one(format!("{header}{MESSAGE}").as_bytes()), plain, "{header}");
    }
}

#[test]
fn names_keep_their_bars_bytes_and_blanks_and_modes_are_no_names() {
    let file = |action: &str, arguments: &[u8]| {
        let head = format!("smbd_audit: u|10.0.0.7|10.0.0.1|m|s|l|SMB2|Win|t|D|{action}|ok|");
        let (_, seen) = one(&[head.as_bytes(), arguments].concat());
        (seen.fields.get("mode").cloned(), seen.fields["file"].clone())
    };
    let raw = |bytes: &[u8]| Value::Text(Untrusted::new(bytes));
    assert_eq!(file("pread_recv", b"a|b |c\xff.txt"), (None, raw(b"a|b |c\xff.txt")));
    assert_eq!(file("open", b"r|a|b.txt"), (Some("r".into()), "a|b.txt".into()));
    assert_eq!(file("openat", b"w|/srv/x"), (Some("w".into()), "/srv/x".into()));
    let created = file("create_file", b"0x100081|file|open|/srv/x|y");
    assert_eq!(created, (Some("0x100081|file|open".into()), "/srv/x|y".into()));
    assert_eq!(file("renameat", b"/srv/a|/srv/b"), (None, "/srv/a|/srv/b".into()));
    // Less than an operation has.
    assert_eq!(file("open", b"x"), (None, "x".into()));
    assert_eq!(file("create_file", b"0x1|file"), (None, "0x1|file".into()));
}

#[test]
fn a_refused_operation_is_reported_with_its_reason() {
    let (_, seen) =
        one(b"smbd_audit: u|::ffff:10.0.0.7|10.0.0.1|m|s|l|v|a|t|D|openat|fail (Permission denied)|r|x");
    assert_eq!(seen.fields["status"], "fail (Permission denied)".into());
}

#[test]
fn a_client_over_ipv6_is_named_without_its_interface() {
    let ends = |client: &str, server: &str| {
        let (peer, _) = one(format!("smbd_audit: u|{client}|{server}|m|s|l|v|a|t|D|open|ok|r|x").as_bytes());
        peer.map(|peer| (peer.remote.to_string(), peer.local.to_string()))
    };
    let both = |remote: &str, local: &str| Some((remote.to_owned(), local.to_owned()));
    assert_eq!(ends("2001:db8::7", "2001:db8::1"), both("[2001:db8::7]:0", "[2001:db8::1]:445"));
    assert_eq!(ends("fe80::7%eth0", "fe80::1%eth0"), both("[fe80::7]:0", "[fe80::1]:445"));
    assert_eq!(ends("::ffff:10.0.0.7", "10.0.0.1"), both("10.0.0.7:0", "10.0.0.1:445"));
    assert_eq!(ends("10.0.0.7", ""), both("10.0.0.7:0", "0.0.0.0:445"));
    assert_eq!(ends("fe80::7", "?"), both("[fe80::7]:0", "[::]:445"));
    assert_eq!(ends("nowhere", "10.0.0.1"), None);
}

#[test]
fn what_a_line_does_not_have_is_null_and_what_is_empty_is_empty() {
    for (line, missing) in [
        ("smbd_audit: u|10.0.0.7|10.0.0.1|m|s|l|v|a|t|D|connect|ok", 1),
        ("smbd_audit: u|10.0.0.7|10.0.0.1|m|s|l|v|a|t||connect", 2),
        ("smbd_audit: |10.0.0.7", 9),
        ("smbd_audit: |", 9),
    ] {
        let (_, seen) = one(line.as_bytes());
        let logdata = logdata(&seen);
        assert_eq!(logdata.iter().filter(|(_, value)| *value == Value::Null).count(), missing, "{line}");
    }
    let (peer, seen) = one(b"smbd_audit: |nobody");
    assert_eq!((peer, &seen.fields["user"], &seen.fields["client"]), (None, &"".into(), &"nobody".into()));
}

#[test]
fn lines_of_other_programs_are_no_events() {
    for line in [
        &b""[..],
        b"|",
        b"smbd_audit",
        b"smbd_audit:",
        b"smbd_audit[",
        b"smbd_audit[1",
        b"smbd_audit 1",
        b"smbd_audit 1 - [",
        b"Dec 17 16:09:28 rocky smbd_audit: message repeated 3 times",
        b"Dec 17 16:09:28 rocky smbd[7]: a|b|c",
        b"a|b|c|d|e|f|g|h|i|j|k|l|m",
        b"Auth: [",
        b"Auth: [SMB2,(null)] user [D]\\[n]",
        b"{\"type\": \"Authorization\", \"Authorization\": {}}",
        b"{\"Authentication\": {}}",
        b"{",
        b"\xff\xfe{\xff",
    ] {
        assert_eq!(seen(&[line]), [], "{}", line.escape_ascii());
    }
}

const TEXT: &str = "  Auth: [SMB2,(null)] user [CORP]\\[ad]min] at [Tue, 24 Nov 2026 04:37:15.880183 UTC] with [NTLMv2] \
                    status [NT_STATUS_WRONG_PASSWORD] workstation [KALI] remote host [ipv4:10.0.0.7:41652] mapped to \
                    [CORP]\\[admin]. local host [ipv4:10.0.0.1:445]";
const JSON: &str = "  {\"timestamp\": \"2026-11-24T04:37:15.880183+0000\", \"type\": \"Authentication\", \
                    \"Authentication\": {\"version\": {\"major\": 1, \"minor\": 2}, \"eventId\": 4625, \"status\": \
                    \"NT_STATUS_WRONG_PASSWORD\", \"localAddress\": \"ipv4:10.0.0.1:445\", \"remoteAddress\": \
                    \"ipv4:10.0.0.7:41652\", \"serviceDescription\": \"SMB2\", \"authDescription\": null, \
                    \"clientDomain\": \"CORP\", \"clientAccount\": \"ad]min\", \"workstation\": \"KALI\", \
                    \"becameAccount\": null, \"passwordType\": \"NTLMv2\", \"duration\": 4711}}";

#[test]
fn a_failed_login_is_reported_from_either_form() {
    for line in [TEXT, JSON] {
        let (peer, seen) = one(format!("Nov 24 04:37:15 srv smbd[7]: {line}").as_bytes());
        let peer = peer.unwrap();
        assert_eq!(
            (peer.remote.to_string(), peer.local.to_string()),
            ("10.0.0.7:41652".into(), "10.0.0.1:445".into())
        );
        assert_eq!((seen.kind, seen.severity), (&LOGIN, Severity::High));
        let login = seen.login.unwrap();
        assert_eq!((login.username, login.domain), (Some("ad]min".into()), Some("CORP".into())));
        assert_eq!((login.mechanism.as_ref(), login.secret), ("NTLMv2", None));
        assert_eq!(seen.fields["status"], "NT_STATUS_WRONG_PASSWORD".into());
        assert_eq!(seen.fields["workstation"], "KALI".into());
        assert_eq!(seen.fields["smb_service"], "SMB2".into());
    }
}

#[test]
fn a_login_that_is_written_in_both_forms_is_reported_once_and_each_of_two_is_reported() {
    let lines = |order: &[&'static str]| order.iter().map(|line| line.as_bytes()).collect::<Vec<_>>();
    for (order, reported) in [
        (&[TEXT, JSON][..], 1),
        (&[JSON, TEXT], 1),
        (&[JSON, TEXT, JSON, TEXT], 2),
        (&[JSON, JSON], 2),
        (&[TEXT, TEXT], 2),
    ] {
        assert_eq!(seen(&lines(order)).len(), reported);
    }
}

#[test]
fn escapes_of_the_text_are_undone_so_that_both_forms_are_one_login() {
    let escaped = TEXT.replace("ad]min", "a\\\\b\\tc\\x01\\x7F");
    let json = JSON.replace("ad]min", "a\\\\b\\tc\\u0001\\u007f");
    let seen = seen(&[escaped.as_bytes(), json.as_bytes()]);
    assert_eq!(seen.len(), 1);
    let login = seen[0].1.login.as_ref().unwrap();
    assert_eq!(login.username.as_ref().unwrap().raw(), b"a\\b\tc\x01\x7f");
}

#[test]
fn a_login_without_a_name_is_little_and_has_none() {
    let (_, seen) =
        one(TEXT.replace("[CORP]\\[ad]min] at", "[]\\[] at").replace("WRONG_PASSWORD", "OK").as_bytes());
    assert_eq!((seen.severity, seen.login.unwrap().username), (Severity::Low, None));
}

#[test]
fn what_a_client_chose_makes_no_line_of_the_audit() {
    let bait = "smbd_audit: x|6.6.6.6|1|2|3|4|5|6|7|8|open|ok|r|f";
    for line in [TEXT.replace("ad]min", bait), JSON.replace("ad]min", bait)] {
        let (peer, seen) = one(line.as_bytes());
        assert_eq!((seen.kind, peer.unwrap().remote.to_string()), (&LOGIN, "10.0.0.7:41652".into()));
        assert_eq!(seen.login.unwrap().username, Some(bait.into()));
    }
    let (peer, seen) = one(format!("smbd_audit: {MESSAGE} {TEXT}").as_bytes());
    assert_eq!((seen.kind, peer.unwrap().remote.ip().to_string()), (&AUDIT, "192.168.15.105".into()));
}

#[test]
fn the_file_is_the_peers_unless_another_is_set() {
    let entry = ALL.iter().find(|entry| entry.name == "smb").unwrap();
    let feeds = |settings: &[&str]| {
        let settings = [&["mode = \"audit\""], settings].concat();
        replay::build(entry, &settings).map(|service| service.sensor.unwrap().feeds())
    };
    assert_eq!(feeds(&[]).unwrap(), [Feed::Lines("/var/log/samba-audit.log".into())]);
    assert_eq!(feeds(&["auditfile = \"/tmp/x\""]).unwrap(), [Feed::Lines("/tmp/x".into())]);
    assert!(feeds(&["auditfile = \"\""]).is_err());
}
