//! Clients of NTP.

use serde_json::Value;

use crate::fixture::{Canary, client, free_port, installed};

fn canary() -> (Canary, u16) {
    let port = free_port();
    (Canary::start(&format!("[service.ntp]\nport = {port}\nupstream = \"192.0.2.9\"\n")), port)
}

fn times(canary: &Canary, count: usize) -> Vec<Value> {
    canary.events(count, "time requests", |event| event["kind"] == "ntp.time")
}

#[test]
fn nmap_names_a_secondary_server_and_reads_what_it_says_of_itself() {
    if !installed("nmap") || !rustix::process::geteuid().is_root() {
        return;
    }
    let (canary, port) = canary();
    let port = port.to_string();
    let scan = client("nmap", &["-sU", "-sV", "-Pn", "-n", "-p", &port, "127.0.0.1"]);
    assert!(scan.contains("NTP v4 (secondary server)"), "{scan}");
    let probes = times(&canary, 1);
    assert!(probes.iter().any(|event| event["fields"]["tool"] == "nmap"), "{probes:#?}");
}

/// The time of this machine, as a client of Python's standard library alone would ask for it.
#[test]
fn a_client_gets_the_time() {
    let (canary, port) = canary();
    let script = "
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.sendto(b'\\x23' + bytes(39) + b'whatever', ('127.0.0.1', int(sys.argv[1])))
answer = s.recv(100)
sent = struct.unpack('!I', answer[40:44])[0] - 2208988800
print(len(answer), answer[1], answer[24:32].decode(), abs(sent - time.time()) < 5)
";
    let answer = client("python3", &["-c", script, &port.to_string()]);
    assert_eq!(answer.trim(), "48 2 whatever True");
    assert_eq!(times(&canary, 1).len(), 1);
}

#[test]
fn ntpdig_and_ntpdate_believe_it() {
    // Both always ask port 123.
    if !["unshare", "ntpdig"].into_iter().all(installed) || !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = crate::fixture::folder();
    let configuration = "[service.ntp]\nport = 123\n";
    Canary::write_configuration(&folder, configuration);
    let start = "ip link set lo up && exec \"$0\" run --config \"$1/haldane.toml\" --state-dir \"$1/state\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--net", "sh", "-c", start, env!("CARGO_BIN_EXE_haldane")]).arg(folder.path());
    let canary = Canary::spawn(folder, command);
    let within = |program: &str, arguments: &[&str]| {
        let pid = canary.pid().to_string();
        client("nsenter", &[&["--net", "--target", &pid, program], arguments].concat())
    };
    let dig = within("ntpdig", &["-p", "1", "127.0.0.1"]);
    assert!(dig.contains("127.0.0.1 s2 no-leap"), "{dig}");
    assert_eq!(times(&canary, 1).len(), 1);
    if installed("ntpdate") {
        let date = within("ntpdate", &["-q", "-p", "1", "127.0.0.1"]);
        assert!(date.contains("127.0.0.1"), "{date}");
        times(&canary, 2);
    }
}
