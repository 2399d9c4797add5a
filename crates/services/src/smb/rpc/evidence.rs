//! What a call says about who makes it: the texts in its arguments, and the attack that it is known from.

use super::{
    Seen,
    interfaces::{
        DRSUAPI, EFSRPC, EFSRPC_LSA, EVENTLOG, FSSAGENT, Interface, NETDFS, NETLOGON, SPOOLSS, SRVSVC,
    },
    ndr::Arguments,
};

/// Most texts that are recorded of a call, and most letters of each.
const TEXTS: usize = 16;
const LETTERS: usize = 512;
/// So many bytes of the arguments are searched.
const SEARCHED: usize = 16 << 10;

/// What is to be recorded of a call. `sealed`: its arguments cannot be read, for they are encrypted.
pub(crate) fn seen(interface: &Interface, operation: u16, stub: &[u8], sealed: bool) -> Seen {
    let texts = if sealed { Vec::new() } else { texts(stub) };
    Seen {
        call: format!("{} {}", interface.name, interface.operation(operation)),
        exploit: exploit(interface, operation, stub, sealed, &texts),
        arguments: if sealed { "encrypted".to_owned() } else { texts.join(", ") },
        login: None,
    }
}

/// The attack that opening a pipe of such a name is.
pub fn pipe_exploit(name: &str) -> Option<&'static str> {
    // CVE-2017-7494: Samba ran the file that a pipe's name leads to.
    name.contains('/').then_some("SambaCry")
}

/// The attack that a call is known from.
fn exploit(
    interface: &Interface,
    operation: u16,
    stub: &[u8],
    sealed: bool,
    texts: &[String],
) -> Option<&'static str> {
    let is = |other: &Interface| interface.is(other);
    let elsewhere = || sealed || texts.iter().any(|text| text.starts_with("\\\\") || text.starts_with("//"));
    // CVE-2021-36942: files of another host are opened, with the machine's own login.
    if (is(&EFSRPC) || is(&EFSRPC_LSA)) && matches!(operation, 0 | 4..=9 | 12..=22) {
        return elsewhere().then_some("PetitPotam");
    }
    if is(&SPOOLSS) {
        return match operation {
            // CVE-2021-34527: drivers are code.
            9 | 89 => Some("PrintNightmare"),
            62 | 65 => Some("PrinterBug"),
            _ => None,
        };
    }
    match operation {
        39 if interface.name == "par" => Some("PrintNightmare"),
        10..=13 if is(&NETDFS) => Some("DFSCoerce"),
        8 | 9 if is(&FSSAGENT) => Some("ShadowCoerce"),
        9 if is(&EVENTLOG) && elsewhere() => Some("CheeseOunce"),
        // Only a domain controller would ask for that.
        3 if is(&DRSUAPI) => Some("DCSync"),
        4 | 15 | 26 | 30 if is(&NETLOGON) && !sealed && zeros(operation, stub) == Some(true) => {
            Some("ZeroLogon")
        }
        31 | 32 if is(&SRVSVC) && texts.iter().any(|text| climbs(text)) => Some("MS08-067"),
        _ => None,
    }
}

/// Whether a path goes up, as those do that ran over the end of a buffer (CVE-2008-4250).
fn climbs(path: &str) -> bool {
    path.split(['\\', '/']).any(|part| part == "..")
}

/// CVE-2020-1472: whether the challenge, or the proof, is eight zeros (MS-NRPC, sections 3.5.4.4.1 to 3.5.4.4.5).
fn zeros(operation: u16, stub: &[u8]) -> Option<bool> {
    let mut arguments = Arguments::new(stub);
    arguments.pointed_text()?;
    if operation != 4 {
        arguments.text()?;
        arguments.u16()?;
    }
    arguments.text()?;
    if operation == 30 {
        // An authenticator stands on a multiple of four.
        return Some(arguments.handle()?.get(..8)? == [0; 8]);
    }
    Some(arguments.take(8)? == [0; 8])
}

/// All texts in some arguments, whatever the arguments are: each is conformant and varying (C706, section 14.3.4.2), in
/// UTF-16, on a multiple of four.
fn texts(stub: &[u8]) -> Vec<String> {
    let stub = stub.get(..SEARCHED).unwrap_or(stub);
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(rest) = stub.get(at..).filter(|rest| rest.len() > 12 && found.len() < TEXTS) {
        let mut arguments = Arguments::new(rest);
        let text = arguments.text().filter(|text| is_text(text));
        let length = match &text {
            Some(text) => text.encode_utf16().count().saturating_mul(2).saturating_add(12),
            None => 1,
        };
        let text = text.map(|text| text.chars().take(LETTERS).collect::<String>());
        found.extend(text.filter(|text| !found.contains(text)));
        at = at.saturating_add(length).next_multiple_of(4);
    }
    found
}

fn is_text(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| c.is_control() && c != '\t' || c == char::REPLACEMENT_CHARACTER)
}
