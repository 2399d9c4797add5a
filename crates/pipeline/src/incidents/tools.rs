//! Which program was used, by what its author had it say: user agents, versions, requests that no other makes. What a
//! service recognised itself stands in its field `tool`.

use std::hash::{DefaultHasher, Hash, Hasher};

use haldane_core::{Event, Untrusted, Value};

/// Fields in which a program says what it is: all words are looked for.
const NAMES: [&str; 3] = ["user_agent", "agent", "client_version"];
/// Fields that a peer fills with whatever it likes, and often: only the first [`SPOKEN`] words are looked for.
const SPEECH: [&str; 8] = ["probe", "path", "line", "text", "data", "command", "argument", "username"];
/// As much of each field is looked at.
const LOOKED_AT: usize = 512;

/// Words in lower case, and the program that says them. The first that fits counts, field by field.
///
/// nmap: its HTTP library's agent, and `nmap-service-probes` (`/nmaplowercheck…`, `/nice ports,/Trinity.txt.bak`, `OPTIONS sip:nm`).
/// hydra logs in to SSH with libssh, medusa and nmap's scripts with libssh2, ncrack with a copy of OpenSSH that calls
/// itself 7.1 (its `opensshlib`): where others may use the same library, the name says so.
const WORDS: [(&str, &str); 34] = [
    ("nmap", "nmap"),
    ("trinity.txt.bak", "nmap"),
    ("sip:nm sip/2.0", "nmap"),
    ("sip:nm@nm", "nmap"),
    ("sqlmap", "sqlmap"),
    ("masscan", "masscan"),
    ("zgrab", "zgrab"),
    ("nikto", "nikto"),
    ("nuclei", "nuclei"),
    ("gobuster", "gobuster"),
    ("feroxbuster", "feroxbuster"),
    ("hydra", "hydra"),
    ("medusa", "medusa"),
    ("ncrack", "ncrack"),
    ("zmap", "zmap"),
    ("dirbuster", "DirBuster"),
    ("wfuzz", "wfuzz"),
    ("fuzz faster u fool", "ffuf"),
    ("wpscan", "WPScan"),
    ("whatweb", "WhatWeb"),
    ("openvas", "OpenVAS"),
    ("nessus", "Nessus"),
    ("qualys", "Qualys"),
    ("censysinspect", "Censys"),
    ("metasploit", "Metasploit"),
    ("ruby/net::ssh", "Net::SSH of Ruby (as Metasploit)"),
    ("libssh2", "libssh2 (as medusa and nmap's scripts)"),
    ("libssh", "libssh (as hydra)"),
    ("paramiko", "Paramiko"),
    ("ssh-2.0-go", "Go's SSH"),
    ("curl/", "curl"),
    ("wget/", "wget"),
    ("python-requests", "Python requests"),
    ("go-http-client", "Go's HTTP client"),
];
/// See [`SPEECH`].
const SPOKEN: usize = 11;

/// Texts that were looked at lately, by their hashes: a guesser says the same name with each guess.
pub(super) type Looked = [u64; 4];

/// Calls `found` with each program that the event gives away.
pub(super) fn each(event: &Event, looked: &mut Looked, mut found: impl FnMut(&str)) {
    if let Some(Value::Text(tool)) = event.fields.get("tool") {
        found(&super::short(&tool.to_string(), 32));
    }
    for (names, words) in [(&NAMES[..], &WORDS[..]), (&SPEECH[..], WORDS.get(..SPOKEN).unwrap_or_default())] {
        for name in names {
            let Some(Value::Text(text)) = event.fields.get(*name) else { continue };
            let mut hasher = DefaultHasher::new();
            (name, text.raw()).hash(&mut hasher);
            let hash = hasher.finish();
            if !looked.contains(&hash) {
                looked.rotate_right(1);
                looked[0] = hash;
                if let Some(tool) = recognised(text, words) {
                    found(tool);
                }
            }
        }
    }
}

fn recognised(text: &Untrusted, words: &[(&str, &'static str)]) -> Option<&'static str> {
    let bytes = text.raw();
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes).to_ascii_lowercase();
    words.iter().find(|(word, _)| says(&bytes, word.as_bytes())).map(|(_, tool)| *tool)
}

fn says(mut bytes: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    while let Some(at) = bytes.iter().position(|byte| byte == first) {
        bytes = bytes.get(at..).unwrap_or_default();
        if bytes.starts_with(word) {
            return true;
        }
        bytes = bytes.get(1..).unwrap_or_default();
    }
    false
}
