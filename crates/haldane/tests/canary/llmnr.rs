//! A poisoner on the same link is seen, whatever it answers.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

use crate::{
    fixture::{Canary, folder, installed, until},
    network::{Cable, MAC},
};

/// The poisoner, and what it told of the questions that it heard.
struct Poisoner {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Poisoner {
    fn start(cable: &Cable) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/canary/data/poisoner.py");
        let mut child = cable.far("python3", &[script, "far0"]).stdout(Stdio::piped()).spawn().unwrap();
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, out) = (Arc::clone(&told), child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let poisoner = Self { child, told };
        until("the poisoner listens", || poisoner.told.lock().unwrap().iter().any(|line| line == "ready"));
        poisoner
    }

    /// The questions so far: port, type, TTL, whether over IPv6.
    fn questions(&self) -> BTreeSet<(String, String, String, bool)> {
        let lines = self.told.lock().unwrap();
        let words = |line: &String| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let questions = lines.iter().map(words).filter(|words| words.len() == 5);
        questions.map(|w| (w[0].clone(), w[1].clone(), w[2].clone(), w[3] == "4")).collect()
    }
}

impl Drop for Poisoner {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(cable: &Cable, settings: &str) -> Canary {
    let folder = folder();
    let command = Canary::command(&folder, &format!("[service.llmnr]\nquery_interval = \"1s\"\n{settings}"));
    Canary::spawn(folder, cable.near(&command))
}

fn poisoned(event: &Value) -> bool {
    event["kind"] == "llmnr.poisoned"
}

#[test]
fn a_poisoner_is_seen_over_every_protocol_and_both_families() {
    if !installed("python3") {
        return;
    }
    let Some(cable) = Cable::lay("llmnr") else { return };
    let poisoner = Poisoner::start(&cable);
    let canary = start(&cable, "query_splay = \"100ms\"\nnbtns = true\nmdns = true\nhostname = \"DC77\"\n");
    let fields = |event: &Value| {
        let text = |key: &str| event["fields"][key].as_str().unwrap_or_default().to_owned();
        let source = event["source"]["ip"].as_str().unwrap().to_owned();
        (text("protocol"), text("query_type"), source, text("response"))
    };
    let four = |protocol: &str, kind: &str, response: &str| {
        (protocol.to_owned(), kind.to_owned(), "192.0.2.66".to_owned(), response.to_owned())
    };
    let six = |protocol: &str, kind: &str, response: &str| {
        (protocol.to_owned(), kind.to_owned(), "fe80::66".to_owned(), response.to_owned())
    };
    let mut expected = BTreeSet::from([four("nbt-ns", "NB", "192.0.2.66")]);
    for protocol in ["llmnr", "mdns"] {
        expected.extend([four(protocol, "A", "192.0.2.66"), four(protocol, "AAAA", "fe80::66")]);
        expected.extend([six(protocol, "A", "192.0.2.66"), six(protocol, "AAAA", "fe80::66")]);
    }
    let of = |name: &'static str| {
        move |event: &Value| poisoned(event) && event["fields"]["query_hostname"] == name
    };
    until("each way to ask is answered and seen", || {
        let seen: BTreeSet<_> = canary.so_far(of("DC77")).iter().map(fields).collect();
        seen.is_superset(&expected)
    });
    for event in canary.so_far(poisoned) {
        assert_eq!((&event["severity"], &event["logtype"]), (&"high".into(), &19001.into()));
        assert_eq!((&event["fields"]["interface"], &event["transport"]), (&"near0".into(), &"udp".into()));
        let group = event["fields"]["group"] == true;
        assert_eq!(group, event["fields"]["protocol"] == "mdns");
        if !group {
            let local = if event["source"]["ip"] == "192.0.2.66" { "192.0.2.1" } else { "fe80::1" };
            assert_eq!((&event["fields"]["mac"], &event["destination"]["ip"]), (&MAC.into(), &local.into()));
        }
    }
    // One answer of two to each question, and a name that is not the configured one.
    canary.event("another name", |event| poisoned(event) && event["fields"]["query_hostname"] != "DC77");
    let llmnr = |event: &Value| poisoned(event) && event["fields"]["protocol"] == "llmnr";
    // All but the one that it asked itself.
    let ours = |line: &&String| line.starts_with("5355 ") && !line.ends_with("066c6170746f7000");
    let asked = || poisoner.told.lock().unwrap().iter().filter(ours).count();
    until("as many answers as questions", || canary.so_far(llmnr).len() == asked());
    // What was sent to our port and answers nothing is seen; what others say to groups is not.
    let junk = canary.so_far(|event| event["kind"] == "llmnr.unasked");
    assert_eq!(junk.len(), 1, "{junk:#?}");
    assert_eq!((&junk[0]["fields"]["mac"], &junk[0]["fields"]["excerpt"]), (&MAC.into(), &"junk".into()));
    // Nothing of it leaves the link.
    let ways: BTreeSet<_> =
        poisoner.questions().into_iter().map(|(port, kind, _, six)| (port, kind, six)).collect();
    assert_eq!(ways.len(), 9, "{ways:?}");
    let hops: BTreeSet<String> = poisoner.questions().into_iter().map(|(_, _, hops, _)| hops).collect();
    assert_eq!(hops, BTreeSet::from(["1".to_owned()]));
    // One machine is one incident for each of its two addresses.
    let incidents: BTreeSet<_> =
        canary.so_far(poisoned).iter().map(|event| event["incident"].as_u64()).collect();
    assert_eq!(incidents.len(), 2, "{incidents:?}");
}

#[test]
fn an_interface_that_comes_up_later_is_asked_on() {
    if !installed("python3") {
        return;
    }
    let Some(cable) = Cable::lay("later") else { return };
    let poisoner = Poisoner::start(&cable);
    let link = |state: &str| {
        let set = ["-n", &cable.near, "link", "set", "near0", state];
        assert!(std::process::Command::new("ip").args(set).status().unwrap().success());
    };
    link("down");
    let canary = start(&cable, "query_splay = 0\n");
    canary.event("trouble", |event| {
        event["kind"] == "sensor.blind" && event["fields"]["feed"] == "the network"
    });
    assert!(poisoner.questions().is_empty());
    link("up");
    canary.event("a poisoner", poisoned);
    canary.event("no trouble", |event| event["kind"] == "sensor.sees");
}
