//! Commands that nobody sends to look around: the steps of known attacks on open or guessed servers.

/// The name of the attack, if the command is a step of one. `name` in upper case.
pub(super) fn recognise(name: &[u8], arguments: &[Vec<u8>]) -> Option<&'static str> {
    let word = |at: usize| arguments.get(at).map(Vec::as_slice).unwrap_or_default();
    let is = |at: usize, text: &str| word(at).eq_ignore_ascii_case(text.as_bytes());
    match name {
        b"CONFIG" if is(0, "set") && (is(1, "dir") || is(1, "dbfilename")) => {
            Some("file write through the dump file")
        }
        b"SLAVEOF" | b"REPLICAOF" if arguments.len() >= 2 && !is(0, "no") => {
            Some("replication from a rogue server")
        }
        b"MODULE" if is(0, "load") || is(0, "loadex") => Some("native code through a module"),
        b"SYSTEM.EXEC" | b"SYSTEM.REV" => Some("native code through a module"),
        b"EVAL" | b"EVALSHA" | b"EVAL_RO" | b"EVALSHA_RO" | b"FCALL" | b"FCALL_RO" => Some("script"),
        b"SCRIPT" | b"FUNCTION" if is(0, "load") || is(0, "restore") => Some("script"),
        b"MIGRATE" => Some("data moved to another server"),
        b"RESTORE" => Some("crafted value"),
        b"FLUSHALL" | b"FLUSHDB" => Some("data wiped"),
        b"SET" | b"APPEND" | b"SETRANGE" | b"LPUSH" | b"RPUSH"
            if arguments.iter().any(|text| payload(text)) =>
        {
            Some("file content as a value")
        }
        b"POST" | b"HOST:" => Some("HTTP request to a Redis port"),
        _ => None,
    }
}

/// Whether it is what honeydet asks, and nobody else: OpenCanary answers it unlike Redis. `name` in upper case.
pub(super) fn is_detector(name: &[u8]) -> bool {
    name == b"[[,[["
}

/// Whether a value is a crontab line, a public key or a script: what attackers write into the dump file.
fn payload(text: &[u8]) -> bool {
    let signs: [&[u8]; 7] =
        [b"* * * *", b"ssh-rsa ", b"ssh-ed25519 ", b"/bin/sh", b"/bin/bash", b"<?php", b"curl "];
    signs.iter().any(|sign| text.windows(sign.len()).any(|part| part == *sign))
}
