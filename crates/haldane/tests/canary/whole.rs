//! The whole sample file of the peer, every service on, on the ports that it names: in a network of the test's own,
//! since those are root's and since a sensor speaks.

use std::{fs, process::Command};

use serde_json::{Value, json};

use crate::fixture::{Canary, client, folder, installed, text, until};

/// Asks each port in its own words; prints the names of those that answered.
const ASK: &str = r#"
import socket, sys
def tcp(name, port, said, wants=b""):
    try:
        s = socket.create_connection(("127.0.0.1", port), 5)
        s.settimeout(10)
        s.sendall(said)
        got = b""
        while wants not in got or not got:
            piece = s.recv(4096)
            if not piece: break
            got += piece
        if wants in got and got: print(name)
        s.close()
    except OSError as error: print("!", name, error)
def udp(name, port, said):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(10)
    s.sendto(said, ("127.0.0.1", port))
    try:
        if s.recvfrom(4096)[0]: print(name)
    except OSError as error: print("!", name, error)
tcp("ftp", 21, b"", b"220 ")
tcp("telnet", 23, b"", b"\xff")
tcp("http", 80, b"GET / HTTP/1.0\r\n\r\n", b"302")
tcp("https", 443, b"GET / HTTP/1.0\r\n\r\n", b"400")
tcp("ssh", 22, b"", b"SSH-2.0-")
tcp("mysql", 3306, b"", b"5.5.43")
tcp("redis", 6379, b"PING\r\n", b"-NOAUTH")
hello = b"\x10hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0"
size = len(hello) + 4
body = (16 + 5 + size).to_bytes(4, "little") + bytes([1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0, 0, 0, 0, 0, 0])
tcp("mongodb", 27017, body + size.to_bytes(4, "little") + hello, b"maxWireVersion")
tcp("git", 9418, b"0017git-upload-pack /x\0", b"ERR")
tcp("httpproxy", 8080, b"GET http://a/ HTTP/1.0\r\n\r\n", b"407")
tcp("vnc", 5000, b"", b"RFB 003.008")
tcp("rdp", 3389, bytes.fromhex("030000130ee000000000000100080003000000"), b"\x03\x00")
tcp("mssql", 1433, b"\x12\x01\x00\x34\0\0\0\0\0\0\x15\0\x06\x01\0\x1b\0\x01\x02\0\x1c\0\x0c\x03\0\x28\0\x04\xff\x08\0\x01\x55\0\0\0"
    b"MSSQLServer\0\x48\x0f\0\0", b"\x04\x01")
tcp("tcpbanner", 8001, b"ALERT", b"seen")
udp("ntp", 123, b"\x23" + bytes(47))
udp("sip", 5060, b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;rport\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:a@a>\r\n"
    b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
udp("snmp", 161, bytes.fromhex("302902010104067075626c6963a01c020401020304020100020100300e300c06082b060102010105000500"))
udp("tftp", 69, b"\0\x01startup-config\0octet\0")
"#;

#[test]
fn the_whole_sample_starts_and_every_port_answers() {
    if !rustix::process::geteuid().is_root()
        || !["unshare", "nsenter", "ip", "python3"].into_iter().all(installed)
    {
        println!("SKIPPED: a network of one's own needs root, unshare and ip");
        return;
    }
    let folder = folder();
    let peer_folder = folder.path().join("etc");
    fs::create_dir(&peer_folder).unwrap();
    let mut copy = Command::new(env!("CARGO_BIN_EXE_opencanaryd"));
    assert!(copy.arg("--copyconfig").env("HALDANE_PEER_FOLDER", &peer_folder).status().unwrap().success());
    let sample = fs::read_to_string(peer_folder.join("opencanary.conf")).unwrap();
    let mut configuration: Value = serde_json::from_str(&sample).unwrap();
    let file = |name: &str| json!(folder.path().join(name));
    for (key, value) in configuration.as_object_mut().unwrap() {
        if key.ends_with(".enabled") && !key.contains("_1.") {
            *value = json!(true);
        }
    }
    configuration["tcpbanner_1.enabled"] = json!(true);
    configuration["tcpbanner_1.datareceivedbanner"] = json!("seen");
    configuration["https.certificate"] = file("opencanary.pem");
    configuration["https.key"] = file("opencanary.key");
    configuration["ssh.key_path"] = json!(folder.path());
    configuration["portscan.logfile"] = file("kern.log");
    configuration["smb.auditfile"] = file("samba-audit.log");
    configuration["logger"]["kwargs"]["handlers"]["file"]["filename"] = file("opencanary.log");
    fs::write(peer_folder.join("opencanary.conf"), configuration.to_string()).unwrap();

    let mut command = Command::new("unshare");
    let start = "ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 10.99.0.1/24 dev d0 && ip link set d0 up && ip link set d1 up && exec \"$0\" --dev";
    command.args(["--net", "sh", "-c", start, env!("CARGO_BIN_EXE_opencanaryd")]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("HALDANE_PEER_FOLDER", &peer_folder);
    command.env("HALDANE_STATE_DIR", folder.path().join("state"));
    let canary = Canary::spawn_unready(folder, command);
    canary.event("running", |event| event["logdata"]["msg"]["logdata"] == "Canary running!!!");
    let complaints = canary.complaints();
    let wrong = |line: &&String| line.contains("not available") || line.contains("not started");
    assert_eq!(complaints.iter().find(wrong), None, "{complaints:#?}");

    let pid = canary.pid().to_string();
    let answered = client("nsenter", &["--net", "--target", &pid, "python3", "-c", ASK]);
    let answered: Vec<&str> = answered.lines().collect();
    let wanted = |name: &str| configuration.get(format!("{name}.enabled")).is_some();
    // The peer's file has SMB watched.
    let listens =
        |entry: &&haldane_core::Entry| !entry.watches() && entry.name != "smb" && wanted(entry.name);
    let listening = haldane_services::ALL.iter().filter(listens);
    let listening: Vec<&str> = listening.map(|entry| entry.name).collect();
    for name in &listening {
        assert!(answered.contains(name), "{name} did not answer: {answered:#?}");
    }
    // And where that was more than a look at the door, it has left a line.
    let log = || text(canary.folder.path().join("opencanary.log"));
    let ports = [22, 6379, 27017, 9418, 8080, 8001, 123, 5060, 161, 69];
    for port in ports {
        until(&format!("a line of port {port}"), || log().contains(&format!("\"dst_port\": {port},")));
    }
}
