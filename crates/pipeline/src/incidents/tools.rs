//! Which program was used, by what its author had it say: user agents, versions, requests that no other makes. What a
//! service recognised itself stands in its field `tool`.

use haldane_core::{Event, Untrusted, Value};

/// Fields whose text may give a program away.
const TELLING: [&str; 11] = [
    "user_agent",
    "agent",
    "client_version",
    "probe",
    "path",
    "line",
    "text",
    "data",
    "command",
    "argument",
    "username",
];
/// As much of each field is looked at.
const LOOKED_AT: usize = 512;

/// Words in lower case, and the program that says them. The first that fits counts, field by field.
///
/// nmap: its HTTP library's agent, and `nmap-service-probes` (`/nmaplowercheck…`, `/nice ports,/Trinity.txt.bak`, `OPTIONS sip:nm`).
/// hydra logs in to SSH with libssh, medusa and nmap's scripts with libssh2, ncrack with a copy of OpenSSH that calls
/// itself 7.1 (its `opensshlib`): where others may use the same library, the name says so.
const WORDS: [(&str, &str); 36] = [
    ("nmap", "nmap"),
    ("trinity.txt.bak", "nmap"),
    ("sip:nm sip/2.0", "nmap"),
    ("sip:nm@nm", "nmap"),
    ("mozilla/4.0 (hydra)", "hydra"),
    ("mozilla/5.0 (hydra)", "hydra"),
    ("hydra", "hydra"),
    ("medusa", "medusa"),
    ("ncrack", "ncrack"),
    ("sqlmap", "sqlmap"),
    ("masscan", "masscan"),
    ("zgrab", "zgrab"),
    ("zmap", "zmap"),
    ("nikto", "nikto"),
    ("nuclei", "nuclei"),
    ("gobuster", "gobuster"),
    ("feroxbuster", "feroxbuster"),
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

/// Calls `found` with each program that the event gives away.
pub(super) fn each(event: &Event, mut found: impl FnMut(&str)) {
    if let Some(Value::Text(tool)) = event.fields.get("tool") {
        found(&super::short(&tool.to_string(), 32));
    }
    for name in TELLING {
        if let Some(Value::Text(text)) = event.fields.get(name)
            && let Some(tool) = recognised(text)
        {
            found(tool);
        }
    }
}

fn recognised(text: &Untrusted) -> Option<&'static str> {
    let bytes = text.raw();
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes).to_ascii_lowercase();
    let says = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    WORDS.iter().find(|(word, _)| says(word)).map(|(_, tool)| *tool)
}
