//! Answers as the real product did: each `<service>/probes*.json` is a recording of a real server, replayed here
//! against ours step by step. `record/` makes them.
//!
//! A recording is a list of `{"name", "steps": [{"send_hex", "recv_hex"}], "end"}`. Beside it, in a file that ends with
//! `.notes`:
//!
//! - `@ key = value`: how our service is configured to be that product,
//! - `mask REGEX`: bytes that differ from one conversation to the next (nonces, times). What the pattern's groups
//!   match (all of it, if it has none) is replaced by `#`, byte for byte, in the recording and in our answer: so
//!   both must have it, in the same place and with the same length and alphabet,
//! - `mask* REGEX`: the same, but of any length,
//! - `finish NAME`: the client closed its side at the end of that probe,
//! - `except NAME | REASON`: a probe that does not agree, and why. Of all that is recorded of a service, 95 % agree.
//!
//! A probe that ends with `answered` or `silent` is one of datagrams: each step is one, with its answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    reason = "a test may panic, and tell how many agree"
)]

use std::{collections::BTreeMap, path::Path};

use haldane_core::service::{AnyProtocol, Service};
use haldane_services::{
    ALL,
    replay::{Ending, build, datagrams, talk},
};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;

#[derive(Default)]
struct Notes {
    settings: Vec<String>,
    masks: Vec<(Regex, bool)>,
    finished: Vec<String>,
    exceptions: BTreeMap<String, String>,
}

impl Notes {
    fn read(path: &Path) -> Self {
        let mut notes = Self::default();
        for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let pattern =
                || RegexBuilder::new(rest).unicode(false).dot_matches_new_line(true).build().unwrap();
            match word {
                "@" => notes.settings.push(rest.to_owned()),
                "mask" => notes.masks.push((pattern(), false)),
                "mask*" => notes.masks.push((pattern(), true)),
                "finish" => notes.finished.push(rest.to_owned()),
                "except" => {
                    let (name, reason) =
                        rest.split_once(" | ").unwrap_or_else(|| panic!("no reason: {line}"));
                    notes.exceptions.insert(name.to_owned(), reason.to_owned());
                }
                _ => assert!(line.is_empty() || line.starts_with('#'), "{}: {line}", path.display()),
            }
        }
        notes
    }

    fn masked(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for (pattern, any_length) in &self.masks {
            let mut spans: Vec<(usize, usize)> = Vec::new();
            for found in pattern.captures_iter(&bytes) {
                let groups: Vec<_> =
                    found.iter().skip(1).flatten().map(|group| (group.start(), group.end())).collect();
                let whole = found.get(0).map(|whole| (whole.start(), whole.end()));
                if groups.is_empty() { spans.extend(whole) } else { spans.extend(groups) }
            }
            for (start, end) in spans.into_iter().rev() {
                let length = if *any_length { 1 } else { end - start };
                bytes.splice(start..end, std::iter::repeat_n(b'#', length));
            }
        }
        bytes
    }
}

fn hex(value: &Value) -> Vec<u8> {
    let digits = value.as_str().unwrap_or_default();
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// How ours differs from the recording, if it does.
fn difference(service: &Service, probe: &Value, notes: &Notes) -> Option<String> {
    match probe["end"].as_str().unwrap() {
        "answered" | "silent" => difference_of_datagrams(service, probe, notes),
        _ => difference_of_streams(service.stream.as_deref().unwrap(), probe, notes),
    }
}

fn difference_of_answers(at: usize, theirs: &Value, ours: &[u8], notes: &Notes) -> Option<String> {
    let (theirs, ours) = (notes.masked(&hex(theirs)), notes.masked(ours));
    let shown = || format!("step {at}\n  real {}\n  ours {}", theirs.escape_ascii(), ours.escape_ascii());
    (theirs != ours).then(shown)
}

fn difference_of_datagrams(service: &Service, probe: &Value, notes: &Notes) -> Option<String> {
    let steps = probe["steps"].as_array().unwrap();
    let sent: Vec<Vec<u8>> = steps.iter().map(|step| hex(&step["send_hex"])).collect();
    let sent: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
    let mut answered = 0;
    steps.iter().enumerate().find_map(|(at, step)| {
        // All again, since the later ones may belong to what the first began.
        let reply = datagrams(service, &sent[..=at], false).reply;
        let ours = reply.get(answered..).unwrap_or_default().to_vec();
        answered = reply.len();
        difference_of_answers(at, &step["recv_hex"], &ours, notes)
    })
}

fn difference_of_streams(protocol: &dyn AnyProtocol, probe: &Value, notes: &Notes) -> Option<String> {
    let name = probe["name"].as_str().unwrap();
    let steps = probe["steps"].as_array().unwrap();
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut answered = 0;
    let mut ending = Ending::Open;
    for (at, step) in steps.iter().enumerate() {
        sent.push(hex(&step["send_hex"]));
        let finish = at + 1 == steps.len() && notes.finished.iter().any(|finished| finished == name);
        let pieces: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        let outcome = talk(protocol, &pieces, finish);
        // How it ended first: what is sent to a server that has gone does not change it.
        if ending == Ending::Open {
            ending = outcome.ending;
        }
        if finish && ending == Ending::Open {
            ending = Ending::Close;
        }
        let ours = outcome.reply.get(answered..).unwrap_or_default();
        let difference = difference_of_answers(at, &step["recv_hex"], ours, notes);
        if difference.is_some() {
            return difference;
        }
        answered = outcome.reply.len();
    }
    let ours = match ending {
        Ending::Open | Ending::Tls => "open",
        Ending::Close => "fin",
        Ending::Reset => "rst",
    };
    let theirs = probe["end"].as_str().unwrap();
    (theirs != ours).then(|| format!("ends with {theirs}, ours with {ours}"))
}

/// The recordings of that service: name of the file, probes, notes.
fn recordings(service: &str) -> Vec<(String, Vec<Value>, Notes)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(service);
    let names =
        std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter(|name| name.starts_with("probes") && name.ends_with(".json")).collect();
    names.sort();
    let read = |name: String| {
        let probes = serde_json::from_slice(&std::fs::read(folder.join(&name)).unwrap()).unwrap();
        let notes = Notes::read(&folder.join(&name).with_extension("notes"));
        (name, probes, notes)
    };
    names.into_iter().map(read).collect()
}

#[test]
fn decoys_answer_as_the_recorded_products_did() {
    let mut failures = Vec::new();
    for entry in ALL {
        let (mut asked, mut differing) = (0_usize, 0_usize);
        for (file, probes, notes) in recordings(entry.name) {
            let settings: Vec<&str> = notes.settings.iter().map(String::as_str).collect();
            let service =
                build(entry, &settings).unwrap_or_else(|problems| panic!("{}: {problems:?}", entry.name));
            let before = differing;
            for probe in &probes {
                let name = probe["name"].as_str().unwrap();
                let difference = difference(&service, probe, &notes);
                differing += usize::from(difference.is_some());
                match (difference, notes.exceptions.contains_key(name)) {
                    (Some(how), false) => failures.push(format!("{}: {name}: {how}", entry.name)),
                    (None, true) => {
                        failures.push(format!("{}: {name}: agrees now, drop the exception", entry.name))
                    }
                    _ => {}
                }
            }
            asked += probes.len();
            let agree = probes.len() + before - differing;
            println!("{}, {file}: {agree} of {} probes agree", entry.name, probes.len());
        }
        if (asked - differing) * 100 < asked * 95 {
            failures.push(format!("{}: only {} of {asked} probes agree", entry.name, asked - differing));
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
