//! What a call says about who makes it: the texts in its arguments, and the attack that it is known from.

use super::{
    Seen,
    interfaces::{
        EFSRPC, EFSRPC_LSA, EVENTLOG, FSSAGENT, Interface, LSARPC, NETDFS, NETLOGON, SAMR, SPOOLSS, SRVSVC,
    },
    ndr::Arguments,
};

/// Most texts that are recorded of a call, and most letters of each.
const TEXTS: usize = 16;
const LETTERS: usize = 512;
/// So many bytes of the arguments are searched.
const SEARCHED: usize = 16 << 10;

/// What is to be recorded of a call; nothing, where it shows nothing. `own`: the names of this machine.
pub(crate) fn seen(what: &Request<'_>, own: &[&str]) -> Option<Seen> {
    if what.closes() {
        return None;
    }
    let texts = if what.sealed { Vec::new() } else { texts(what.stub) };
    Some(Seen {
        call: format!("{} {}", what.interface.name, what.interface.operation(what.operation)),
        exploit: what.exploit(&texts, own),
        arguments: if what.sealed { "encrypted".to_owned() } else { texts.join(", ") },
        login: None,
    })
}

/// A call, as far as it shows what it is.
pub(crate) struct Request<'a> {
    /// Of which interface.
    pub(crate) interface: &'static Interface,
    /// Which operation.
    pub(crate) operation: u16,
    /// Its arguments.
    pub(crate) stub: &'a [u8],
    /// They cannot be read, for they are encrypted.
    pub(crate) sealed: bool,
}

/// The attack that opening a pipe of such a name is.
pub fn pipe_exploit(name: &str) -> Option<&'static str> {
    // Samba ran the file that a pipe's name leads to; Windows never has. It takes one bar for the other.
    let leads = name.contains('/') || name.contains('\\') && name.contains(".so");
    leads.then_some("SambaCry (CVE-2017-7494)")
}

impl Request<'_> {
    /// Whether it does no more than put away a handle.
    fn closes(&self) -> bool {
        let close = [(&LSARPC, 0), (&SAMR, 1), (&SPOOLSS, 29)];
        close.iter().any(|(interface, number)| self.is(interface) && self.operation == *number)
    }

    fn is(&self, other: &Interface) -> bool {
        self.interface.is(other)
    }

    /// The attack that it is known from. `own`: the names of this machine.
    fn exploit(&self, texts: &[String], own: &[&str]) -> Option<&'static str> {
        let elsewhere = || self.sealed || texts.iter().any(|text| elsewhere(text, own));
        // CVE-2021-36942: files of another host are opened, with the machine's own login. The following coerce the same
        // by other means.
        if self.is(&EFSRPC) || self.is(&EFSRPC_LSA) {
            return (matches!(self.operation, 0 | 4..=9 | 12..=22) && elsewhere()).then_some("PetitPotam");
        }
        match self.operation {
            10..=13 if self.is(&NETDFS) => Some("DFSCoerce"),
            8 | 9 if self.is(&FSSAGENT) && elsewhere() => Some("ShadowCoerce"),
            9 if self.is(&EVENTLOG) && elsewhere() => Some("CheeseOunce"),
            62 | 65 if self.is(&SPOOLSS) => Some("PrinterBug"),
            // CVE-2021-34527: drivers are code.
            9 | 89 if self.is(&SPOOLSS) => Some("PrintNightmare"),
            39 if self.interface.name == "par" => Some("PrintNightmare"),
            4 | 15 | 26 | 30 if self.is(&NETLOGON) && !self.sealed => {
                zeros(self.operation, self.stub)?.then_some("ZeroLogon")
            }
            31 | 32 if self.is(&SRVSVC) => texts.iter().any(|text| climbs(text)).then_some("MS08-067"),
            _ => None,
        }
    }
}

/// Whether a text names a file of another host: `\\192.0.2.1\share\file`.
fn elsewhere(text: &str, own: &[&str]) -> bool {
    // As programs write it, and as the system itself does.
    let rest = ["\\\\", "//", "\\??\\UNC\\"].iter().find_map(|start| text.strip_prefix(start));
    let host = rest.and_then(|rest| rest.split(['\\', '/']).next());
    host.is_some_and(|host| !own.iter().any(|own| own.eq_ignore_ascii_case(host)))
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
    let odd = |c: char| c.is_control() && c != '\t' || c == char::REPLACEMENT_CHARACTER;
    // One odd letter is rather a number that looks like a text.
    let longer = text.chars().nth(1).is_some() || text.starts_with(|c: char| c.is_ascii_alphanumeric());
    longer && !text.contains(odd)
}
