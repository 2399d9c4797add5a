//! The log of a Samba beside the canary is followed, whatever happens to the file.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::fixture::{Canary, client, file, folder, free_port, installed, text, until};

const SETTINGS: &str = "[service.smb]\nmode = \"audit\"\nauditfile = \"{folder}/audit.log\"\n[sink.file]\npath = \"{folder}/peer.log\"\n\
                        format = \"compatible\"\nmin_severity = \"info\"\n";

fn line(name: &str) -> String {
    format!(
        "2026-11-24T04:37:15.880183+00:00 srv smbd_audit[4711]: eve|192.0.2.7|192.0.2.1|kali|docs|SRV1|SMB3_11|Vista|\
         2026/11/24 04:37:15|CORP|pread_recv|ok|{name}\n"
    )
}

/// Adds to a file, as a syslog daemon does.
fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().create(true).append(true).open(path).unwrap().write_all(bytes).unwrap();
}

fn names(canary: &Canary) -> Vec<String> {
    let events = canary.so_far(|event| event["kind"] == "smb.audit");
    events.iter().map(|event| event["fields"]["file"].as_str().unwrap().to_owned()).collect()
}

fn seen(canary: &Canary, expected: &[&str]) {
    canary.events(expected.len(), "lines", |event| event["kind"] == "smb.audit");
    assert_eq!(names(canary), expected);
}

#[test]
fn lines_are_followed_across_absence_rotation_and_truncation_each_once() {
    let canary = Canary::start(SETTINGS);
    let log = file(&canary, "audit.log");
    // It does not exist yet.
    append(&log, line("first").as_bytes());
    seen(&canary, &["first"]);
    // A line in two parts, with an odd one before it.
    let whole = line("second");
    let (half, rest) = whole.split_at(60);
    append(&log, format!("nonsense\n\n|\nsmbd_audit: \n{half}").as_bytes());
    append(&log, rest.as_bytes());
    seen(&canary, &["first", "second"]);
    // Rotation by renaming, with a line that its writer still puts into the old file.
    let old = file(&canary, "audit.log.1");
    fs::rename(&log, &old).unwrap();
    append(&old, line("third").as_bytes());
    append(&log, line("fourth").as_bytes());
    seen(&canary, &["first", "second", "third", "fourth"]);
    // Rotation by copying and truncating.
    fs::copy(&log, file(&canary, "audit.log.2")).unwrap();
    File::create(&log).unwrap();
    append(&log, line("5").as_bytes());
    seen(&canary, &["first", "second", "third", "fourth", "5"]);
    // Bytes that are no UTF-8.
    append(&log, &[line("").trim_end().as_bytes(), b"caf\xe9|x\n"].concat());
    canary.event("odd bytes", |event| event["fields"]["file_base64"] == "Y2Fm6Xx4");
    let (status, _) = canary.stop();
    assert!(status.success());
}

#[test]
fn what_was_there_before_the_start_is_not_told_again_and_a_reload_goes_on_where_it_was() {
    let folder = folder();
    let log = folder.path().join("audit.log");
    append(&log, line("before").as_bytes());
    let canary = Canary::start_in(folder, SETTINGS);
    append(&log, line("one").as_bytes());
    seen(&canary, &["one"]);
    Canary::write_configuration(&canary.folder, &format!("{SETTINGS}[host]\nnode_id = \"other\"\n"));
    canary.signal("HUP");
    append(&log, line("two").as_bytes());
    canary.event("reloaded", |event| event["kind"] == "haldane.reloaded" || event["logtype"] == 39102);
    append(&log, line("three").as_bytes());
    seen(&canary, &["one", "two", "three"]);
}

#[test]
fn the_line_of_the_peer_has_its_keys_and_a_port_that_is_text() {
    let canary = Canary::start(SETTINGS);
    append(&file(&canary, "audit.log"), line("/srv/docs/wages.xlsx").as_bytes());
    let log = file(&canary, "peer.log");
    until("the line", || text(&log).contains("\"logtype\": 5000"));
    let whole = text(&log);
    let line: Value = whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|line: &Value| line["logtype"] == 5000)
        .unwrap();
    let logdata = serde_json::json!({
        "USER": "eve", "REMOTENAME": "kali", "SHARENAME": "docs", "LOCALNAME": "SRV1", "SMBVER": "SMB3_11",
        "SMBARCH": "Vista", "DOMAIN": "CORP", "AUDITACTION": "pread_recv", "STATUS": "ok",
        "FILENAME": "/srv/docs/wages.xlsx"
    });
    assert_eq!(line["logdata"], logdata);
    let ends = ["src_host", "src_port", "dst_host", "dst_port"].map(|key| line[key].clone());
    assert_eq!(Value::from(ends.to_vec()), serde_json::json!(["192.0.2.7", "-1", "192.0.2.1", 445]));
}

/// A Samba of one's own, on a port of loopback. It writes its audit, and logins in both forms, to one log.
struct Samba {
    child: Child,
    port: u16,
}

impl Samba {
    fn start(folder: &Path) -> Self {
        let port = free_port();
        let (private, share) = (folder.join("private"), folder.join("share"));
        fs::create_dir_all(&private).unwrap();
        fs::create_dir_all(&share).unwrap();
        fs::write(share.join("wages.txt"), "secret").unwrap();
        let places: String = [
            "private dir",
            "lock directory",
            "state directory",
            "cache directory",
            "pid directory",
            "ncalrpc dir",
        ]
        .map(|key| format!("{key} = {}\n", private.display()))
        .concat();
        let configuration = format!(
            "[global]\nworkgroup = CORP\nnetbios name = FILES01\nserver role = standalone server\nsmb ports = {port}\n\
             interfaces = 127.0.0.1/8\nbind interfaces only = yes\n{places}log file = {log}\nmax log size = 0\n\
             log level = 1 auth_audit:3 auth_json_audit:3\nmap to guest = never\nload printers = no\n\
             disable spoolss = yes\nvfs objects = full_audit\n\
             full_audit:prefix = %U|%I|%i|%m|%S|%L|%R|%a|%T|%D\nfull_audit:success = pread_recv\n\
             full_audit:failure = openat\nfull_audit:syslog = false\n\
             [docs]\npath = {share}\nguest ok = yes\nread only = yes\n",
            log = folder.join("audit.log").display(),
            share = share.display(),
        );
        let path = folder.join("smb.conf");
        fs::write(&path, configuration).unwrap();
        let out = File::create(folder.join("smbd.out")).unwrap();
        let mut command = Command::new("smbd");
        command.arg("-s").arg(&path).args(["-F", "--no-process-group"]).stdin(Stdio::null());
        // At its end it ends its process group.
        command.process_group(0);
        let child = command.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        until("Samba listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }

    fn client(&self, folder: &Path, arguments: &[&str]) -> String {
        let (port, configuration) = (self.port.to_string(), folder.join("smb.conf"));
        let fixed = ["//127.0.0.1/docs", "-p", &port, "-s", configuration.to_str().unwrap()];
        client("smbclient", &[&fixed, arguments].concat())
    }
}

impl Drop for Samba {
    fn drop(&mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().ok();
        self.child.wait().ok();
    }
}

#[test]
fn a_real_samba_is_seen_with_what_is_read_and_who_failed_to_log_in() {
    let audits = Path::new("/usr/lib")
        .join(format!("{}-linux-gnu", std::env::consts::ARCH))
        .join("samba/vfs/full_audit.so");
    if !installed("smbd") || !installed("smbclient") || !audits.exists() {
        return println!("SKIPPED: no Samba with full_audit");
    }
    let canary = Canary::start(SETTINGS);
    let folder = canary.folder.path();
    let samba = Samba::start(folder);
    let got = folder.join("got");
    let refused = samba.client(folder, &["-U", "CORP\\eve%wrong", "-c", "ls"]);
    assert!(refused.contains("NT_STATUS_LOGON_FAILURE"), "{refused}");
    samba.client(folder, &["-N", "-c", &format!("get wages.txt {}; get nosuch.txt {0}", got.display())]);
    assert_eq!(text(&got), "secret");

    let read = canary.event("a file that was read", |event| {
        event["kind"] == "smb.audit" && event["fields"]["action"] == "pread_recv"
    });
    let share = folder.join("share/wages.txt");
    let fields =
        ["share", "version", "status", "file"].map(|key| read["fields"][key].as_str().unwrap().to_owned());
    assert_eq!(fields, ["docs", "SMB3_11", "ok", share.to_str().unwrap()]);
    assert_eq!(
        (&read["source"]["ip"], &read["destination"]["ip"]),
        (&"127.0.0.1".into(), &"127.0.0.1".into())
    );
    let missing = canary.event("a file that is not there", |event| event["fields"]["action"] == "openat");
    assert_eq!(missing["fields"]["status"], "fail (No such file or directory)");
    let eve = |event: &Value| event["kind"] == "smb.login" && event["credential"]["username"] == "eve";
    let login = canary.event("the login", eve);
    assert_eq!(
        (&login["credential"]["domain"], &login["credential"]["mechanism"]),
        (&"CORP".into(), &"NTLMv2".into())
    );
    assert_eq!(
        (&login["fields"]["status"], &login["severity"]),
        (&"NT_STATUS_NO_SUCH_USER".into(), &"high".into())
    );
    assert_eq!(login["destination"]["port"], samba.port);
    // Both forms of it are in the log, ahead of what was waited for.
    assert_eq!(canary.so_far(eve).len(), 1);
}
