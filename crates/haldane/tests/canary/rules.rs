//! `[[rule]]` in the running program, and `haldane rules`.

use std::process::Command;

use serde_json::json;

use crate::fixture::{Canary, client, file, free_port};

fn get(port: u16, path: &str, agent: &str) {
    let url = format!("http://127.0.0.1:{port}{path}");
    client("curl", &["-s", "-m", "20", "-A", agent, &url]);
}

fn configuration(port: u16) -> String {
    format!(
        "[service.http]\nport = {port}\n[sink.file]\nmin_severity = \"low\"\npath = \"{{folder}}/loud.log\"\n\
         [[rule]]\naction = \"drop\"\npath = \"/noise*\"\ncomment = \"our monitoring\"\n\
         [[rule]]\naction = \"log\"\npreset = \"vulnerability-scanners\"\nsource = \"127.0.0.0/8\"\n\
         [[rule]]\naction = \"raise\"\nseverity = \"high\"\npath = \"/secret*\"\ntags = [\"crown-jewels\"]\n"
    )
}

#[test]
fn rules_decide_who_hears_and_a_reload_tells_how_often() {
    let port = free_port();
    let canary = Canary::start(&configuration(port));
    get(port, "/noise/1", "probe");
    get(port, "/noise/2", "probe");
    get(port, "/a", "Mozilla/5.0 Nessus");
    get(port, "/secret/plans", "curl");
    let read = |path: &str| canary.event(path, |event| event["fields"]["path"] == path);
    let (quiet, loud) = (read("/a"), read("/secret/plans"));
    assert_eq!((&quiet["severity"], &quiet["fields"]["rule"]), (&json!("info"), &json!("rule 2")));
    assert_eq!((&loud["severity"], &loud["fields"]["tags"]), (&json!("high"), &json!(["crown-jewels"])));
    assert!(canary.so_far(|event| event["fields"]["path"] == "/noise/1").is_empty());
    // What is dropped is kept all the same, with its reason.
    let stored = canary.haldane(&["events", "--json", "--service", "http"]);
    let noise = stored.lines().find(|line| line.contains("/noise/2")).unwrap();
    assert!(noise.contains("\"rule\":\"our monitoring\""), "{noise}");

    let test = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_haldane"))
            .args(["rules", "test", "--config"])
            .arg(file(&canary, "haldane.toml"))
            .arg("--state-dir")
            .arg(file(&canary, "state"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = test(&["-n", "200"]);
    assert!(said.contains("\"our monitoring\" (line 8): drop"), "{said}");
    assert!(
        said.contains("\"rule 2\" (line 12): log") && said.contains("\"rule 3\" (line 16): raise"),
        "{said}"
    );
    assert!(said.contains("no rule"), "{said}");
    assert_eq!(test(&["--event", loud["id"].as_str().unwrap()]).matches("(line").count(), 1);
    // The peer's lines, and ours.
    let ours = serde_json::to_string(&loud).unwrap();
    let theirs = r#"{"dst_host": "10.0.0.1", "dst_port": 80, "logdata": {"PATH": "/noise", "USERAGENT": "x"}, "logtype": 3000, "src_host": "192.0.2.1", "src_port": 4000, "utc_time": "2026-11-24 04:37:15.880183"}"#;
    std::fs::write(file(&canary, "some.log"), format!("{ours}\n{theirs}\n")).unwrap();
    let said = test(&["--file", file(&canary, "some.log").to_str().unwrap()]);
    let verdicts: Vec<&str> = said.lines().filter(|line| line.starts_with("    ")).map(str::trim).collect();
    assert_eq!(verdicts, ["\"rule 3\" (line 16): raise", "\"our monitoring\" (line 8): drop"]);

    canary.signal("HUP");
    canary.complaint("configuration reloaded");
    let counted = canary.complaint("our monitoring");
    assert!(counted.contains("events=") && !counted.contains("events=0"), "{counted}");
}

#[test]
fn presets_are_listed_with_their_signs() {
    let output = Command::new(env!("CARGO_BIN_EXE_haldane")).args(["rules", "presets"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("unifi-discovery\n") && text.contains("port: 10001"), "{text}");
    assert!(text.contains("source_name: *.shodan.io"), "{text}");
}
