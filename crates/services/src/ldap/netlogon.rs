//! How Windows finds a domain controller (MS-ADTS, section 6.3.3): a search whose filter says who asks for which domain,
//! answered by one attribute in a form of its own (section 6.3.1.9).

use super::{
    filter::Filter,
    persona::{Persona, SITE},
};

/// The attribute, and the name of the answer.
pub const ATTRIBUTE: &[u8] = b"netlogon";
/// LOGON_SAM_LOGON_RESPONSE_EX, and the same for a user that there is not (section 6.3.1.3).
const FOUND: u16 = 23;
const NO_USER: u16 = 25;
/// Versions (section 6.3.1.1): that of the answer, that with the server's address, and the first.
const V5EX: u32 = 4;
const V1: u32 = 1;
/// What a controller is (section 6.3.1.2): master of the domain, global catalogue, LDAP, directory, Kerberos, clock, near,
/// writable, good clock, with all secrets, with web services.
const ROLES: u32 = 0x33fd;
/// What newer releases say beside that, with the build that brought it.
const NEWER: [(u16, u32); 5] =
    [(9200, 0x4000), (9600, 0x8000), (14_393, 0x1_0000), (20_348, 0x2_0000), (26_100, 0x4_0000)];
/// Longest label of a name (RFC 1035, section 2.3.4).
const LABEL: usize = 63;

/// Whether a search is such a question.
pub fn asked(filter: &Filter) -> bool {
    ["NtVer", "DnsDomain", "DomainGuid", "DomainSid", "User", "AAC"]
        .iter()
        .any(|name| filter.value(name).is_some())
}

/// The answer; `None` to a question about another domain, or in a version that nobody asks in any more.
pub fn answer(persona: &Persona, filter: &Filter) -> Option<Vec<u8>> {
    let windows = &persona.windows;
    let ours = |name: &[u8]| {
        let name = name.strip_suffix(b".").unwrap_or(name);
        name.is_empty() || name.eq_ignore_ascii_case(windows.domain.as_bytes())
    };
    if !filter.value("DnsDomain").is_none_or(ours)
        || filter.value("DomainGuid").is_some_and(|id| id != persona.guid)
    {
        return None;
    }
    let version = filter.value("NtVer").and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)?;
    if version & V5EX == 0 {
        return None;
    }
    let user = filter.value("User").unwrap_or_default();
    let newer = NEWER.iter().filter(|(build, _)| *build <= windows.release.build);
    let roles = newer.fold(ROLES, |sum, (_, bit)| sum | bit);
    let mut bytes = Vec::new();
    bytes.extend(if user.is_empty() { FOUND } else { NO_USER }.to_le_bytes());
    bytes.extend([0, 0]);
    bytes.extend(roles.to_le_bytes());
    bytes.extend(persona.guid);
    let mut names = Names { bytes, known: Vec::new() };
    names.add(&windows.domain);
    names.add(&windows.domain);
    names.add(&windows.dns_name);
    names.single(windows.group.as_bytes());
    names.single(windows.computer.as_bytes());
    names.single(user);
    names.add(SITE);
    names.add(SITE);
    let mut bytes = names.bytes;
    bytes.extend((V1 | V5EX).to_le_bytes());
    bytes.extend([0xff; 4]);
    Some(bytes)
}

/// Names in the manner of DNS (RFC 1035, section 4.1.4): what was said before is pointed to.
struct Names {
    bytes: Vec<u8>,
    /// Names and ends of names, and where they stand.
    known: Vec<(String, u16)>,
}

impl Names {
    fn add(&mut self, name: &str) {
        let mut rest = name;
        while !rest.is_empty() {
            if let Some((_, at)) = self.known.iter().find(|(known, _)| known.eq_ignore_ascii_case(rest)) {
                self.bytes.extend((at | 0xc000).to_be_bytes());
                return;
            }
            if let Some(at) = u16::try_from(self.bytes.len()).ok().filter(|at| *at < 0x4000) {
                self.known.push((rest.to_owned(), at));
            }
            let (label, tail) = rest.split_once('.').unwrap_or((rest, ""));
            self.label(label.as_bytes());
            rest = tail;
        }
        self.bytes.push(0);
    }

    /// A name that has no dots, whatever is in it.
    fn single(&mut self, name: &[u8]) {
        if !name.is_empty() {
            self.label(name);
        }
        self.bytes.push(0);
    }

    fn label(&mut self, label: &[u8]) {
        let label = label.get(..LABEL).unwrap_or(label);
        self.bytes.push(u8::try_from(label.len()).unwrap_or_default());
        self.bytes.extend_from_slice(label);
    }
}

#[cfg(test)]
mod tests {
    use haldane_core::{Windows, windows::Release};

    use super::*;

    fn question(pairs: &[(&str, &[u8])]) -> Filter {
        let equal = pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
        Filter { equal, ..Filter::default() }
    }

    fn persona() -> Persona {
        Persona::bare(&Windows::new("dc01", "corp.example.com"))
    }

    #[test]
    fn the_answer_is_in_the_form_that_windows_reads() {
        let asked_for = question(&[("dnsdomain", b"CORP.example.com."), ("NtVer", b"\x16\0\0\0")]);
        assert!(asked(&asked_for) && !asked(&question(&[("cn", b"a")])));
        let mut whole = b"\x17\0\0\0\xfd\xf3\x01\0".to_vec();
        whole.extend([0; 16]);
        whole.extend(b"\x04corp\x07example\x03com\0\xc0\x18\x04dc01\xc0\x18\x04CORP\0\x04DC01\0\0");
        whole.extend(b"\x17Default-First-Site-Name\0\xc0\x40\x05\0\0\0\xff\xff\xff\xff");
        let given = answer(&persona(), &asked_for).unwrap();
        assert_eq!(given.escape_ascii().to_string(), whole.escape_ascii().to_string());
    }

    #[test]
    fn nothing_is_said_of_other_domains_or_in_old_versions_and_no_user_is_known() {
        let version = ("NtVer", &b"\x06\0\0\0"[..]);
        for pairs in [
            &[("DnsDomain", &b"other.example"[..]), version][..],
            &[("DomainGuid", &[7; 16]), version],
            &[("NtVer", &b"\x02\0\0\0"[..])],
            &[("NtVer", &b"\x06"[..])],
            &[("User", &b"eve"[..])],
        ] {
            assert_eq!(answer(&persona(), &question(pairs)), None, "{pairs:?}");
        }
        let long = [b'x'; 300];
        let given = answer(&persona(), &question(&[("User", &long), version])).unwrap();
        assert_eq!(given[..2], [25, 0]);
        assert!(given.windows(65).any(|part| part[0] == 63 && part[1..64] == long[..63] && part[64] == 0));
    }

    #[test]
    fn each_release_says_what_it_is() {
        let roles = Release::ALL.map(|release| {
            let windows = Windows { release, ..Windows::new("dc01", "corp.example.com") };
            let given = answer(&Persona::bare(&windows), &question(&[("NtVer", b"\x04\0\0\0")])).unwrap();
            u32::from_le_bytes(given[4..8].try_into().unwrap())
        });
        assert_eq!(roles, [0x33fd, 0x73fd, 0xf3fd, 0x1_f3fd, 0x1_f3fd, 0x3_f3fd, 0x7_f3fd]);
    }
}
