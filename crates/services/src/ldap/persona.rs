//! The domain controller that is imitated: its names, its domain, and what its release says.

use std::time::{Duration, SystemTime};

use haldane_core::{Host, Windows};

/// Where a domain begins that nobody has divided into sites.
pub const SITE: &str = "Default-First-Site-Name";
/// Bytes that are made once: the domain's number, and where its counter began.
const KEPT: usize = 20;
/// Objects of a new domain; its counter is beyond them.
const FIRST: u32 = 12_000;
/// How far the counter may have come before.
const SPREAD: u32 = 180_000;
/// From when on it is counted: 1 January 2024.
const EPOCH: Duration = Duration::from_secs(1_704_067_200);
/// Between two changes.
const CHANGE: u64 = 97;

/// A domain controller.
#[derive(Debug)]
pub struct Persona {
    /// Its names and its release. Always in a domain.
    pub windows: Windows,
    /// Its domain as a distinguished name: `DC=corp,DC=example,DC=com`.
    pub naming: String,
    /// The number of its domain, as it stands on the wire.
    pub guid: [u8; 16],
    /// Where the counter of changes began.
    first: u32,
    errors: &'static Errors,
}

/// Where in the program each error arises: a number that is another in each release. Those of fully patched systems
/// differ from month to month; these were all seen.
#[derive(Debug)]
struct Errors {
    build: u16,
    unbound: u32,
    password: u32,
    token: u32,
}

/// By release, the oldest first.
#[rustfmt::skip]
const ERRORS: [Errors; 7] = [
    Errors { build: 7601, unbound: 0x0c09_06e8, password: 0x0c09_03a9, token: 0x0c09_04dc },
    Errors { build: 9200, unbound: 0x0c09_0727, password: 0x0c09_03c5, token: 0x0c09_05fe },
    Errors { build: 9600, unbound: 0x0c09_07c2, password: 0x0c09_042f, token: 0x0c09_0605 },
    Errors { build: 14_393, unbound: 0x0c09_0a4c, password: 0x0c09_042a, token: 0x0c09_06a1 },
    Errors { build: 17_763, unbound: 0x0c09_0a5c, password: 0x0c09_0447, token: 0x0c09_0569 },
    Errors { build: 20_348, unbound: 0x0c09_0a5a, password: 0x0c09_050e, token: 0x0c09_0587 },
    Errors { build: 26_100, unbound: 0x0c09_0d44, password: 0x0c09_0549, token: 0x0c09_06c3 },
];
/// These are known of one release and said by all.
const METHOD: u32 = 0x0c09_05f0;
const EXTENDED: u32 = 0x0c09_11aa;
/// Where no message is, nothing arises.
const DECODING: u32 = 0;
const TLS: u32 = 0x0c09_0e17;
const STRONGER: u32 = 0x0c09_035c;
/// The first build whose controllers take a password in clear inside TLS alone, unless they are told otherwise.
const STRICT: u16 = 26_100;

impl Persona {
    /// The controller that this machine is. One that is in no domain must be given one: `workgroup.local`, after its
    /// workgroup.
    ///
    /// # Errors
    /// In words for the operator.
    pub fn new(host: &Host) -> Result<Self, String> {
        let mut make = || {
            let mut bytes = vec![0; KEPT];
            openssl::rand::rand_bytes(&mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes)
        };
        let kept = host.keep.keep(None, "ldap-domain", &mut make)?;
        let damaged = "the state file ldap-domain is damaged: remove it";
        let (guid, first) = kept.split_first_chunk::<16>().ok_or(damaged)?;
        let first = u32::from_be_bytes(*first.first_chunk::<4>().ok_or(damaged)?);
        let first = first.checked_rem(SPREAD).unwrap_or_default().saturating_add(FIRST);
        Ok(Self { guid: *guid, first, ..Self::bare(&host.windows) })
    }

    /// The same, without what is kept.
    pub fn bare(windows: &Windows) -> Self {
        let windows = windows.controller();
        let naming: Vec<String> = windows.domain.split('.').map(|label| format!("DC={label}")).collect();
        let [.., newest] = &ERRORS;
        let errors = ERRORS.iter().find(|errors| errors.build == windows.release.build).unwrap_or(newest);
        Self { naming: naming.join(","), guid: [0; 16], first: FIRST, errors, windows }
    }

    /// The number of its last change: it grows by some hundreds a day.
    pub fn last_change(&self, now: SystemTime) -> u64 {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(EPOCH);
        let changes = since.as_secs().checked_div(CHANGE).unwrap_or_default();
        u64::from(self.first).saturating_add(changes)
    }

    /// Its level (MS-ADTS, section 6.1.4.2), and that of its domain and forest, which it has set up.
    pub fn level(&self) -> u8 {
        match self.windows.release.build {
            ..9200 => 4,
            9200..9600 => 5,
            9600..14_393 => 6,
            14_393..26_100 => 7,
            26_100.. => 10,
        }
    }

    /// What it says to whom it does not know.
    pub fn unbound(&self) -> String {
        let words =
            "In order to perform this operation a successful bind must be completed on the connection.";
        self.error(0x4dc, self.errors.unbound, words, "0")
    }

    /// What it says to a password that is wrong. `data`: why, as a number of Windows: 52e for a wrong password, 525
    /// for a user that there is not.
    pub fn wrong_password(&self, data: &str) -> String {
        self.error(0x8009_0308, self.errors.password, "AcceptSecurityContext error", data)
    }

    /// What it says to a password in clear outside TLS, if it wants none there.
    pub fn stronger(&self) -> Option<String> {
        let words = "The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the \
                     connection";
        (self.windows.release.build >= STRICT).then(|| self.error(0x2028, STRONGER, words, "0"))
    }

    /// What it says to a proof that is wrong.
    pub fn wrong_proof(&self) -> String {
        self.error(0x8009_030c, self.errors.token, "AcceptSecurityContext error", "52e")
    }

    /// What it says to a token that makes no sense.
    pub fn wrong_token(&self) -> String {
        self.error(0x8009_0308, self.errors.token, "AcceptSecurityContext error", "57")
    }

    /// What it says to a way to log in that it does not have.
    pub fn no_method(&self) -> String {
        self.error(0x2027, METHOD, "Invalid Authentication method", "0")
    }

    /// What it says to an extended request that it does not have.
    pub fn no_extension(&self) -> String {
        self.error(0x203d, EXTENDED, "Unknown extended request OID", "0")
    }

    /// What it says to whom wants TLS inside TLS.
    pub fn tls_twice(&self) -> String {
        self.error(0, TLS, "TLS or SSL already in effect", "0")
    }

    /// What it says before it hangs up on what is no message.
    pub fn not_decoded(&self) -> String {
        self.error(0x57, DECODING, "Error decoding ldap message", "0")
    }

    /// An error: its number, where it arises, words, and the build in hex.
    fn error(&self, number: u32, place: u32, words: &str, data: &str) -> String {
        let build = self.windows.release.build;
        format!("{number:08X}: LdapErr: DSID-{place:08X}, comment: {words}, data {data}, v{build:x}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use haldane_core::windows::Release;

    use super::*;
    use crate::replay::InMemory;

    fn persona(domain: &str, release: Release) -> Persona {
        let mut windows = Windows::new("files01", domain);
        windows.release = release;
        Persona::new(&Host { name: "files01".into(), windows, keep: Arc::new(InMemory::default()) }).unwrap()
    }

    #[test]
    fn a_machine_in_no_domain_is_the_controller_of_one_that_is_named_after_its_workgroup() {
        let alone = persona("", Release::DEFAULT);
        assert_eq!(alone.windows.domain, "workgroup.local");
        assert_eq!(alone.windows.dns_name, "files01.workgroup.local");
        assert_eq!(
            (alone.windows.authority(), alone.naming.as_str()),
            ("WORKGROUP", "DC=workgroup,DC=local")
        );
    }

    #[test]
    fn each_release_has_its_own_errors_and_levels() {
        let mut levels = Vec::new();
        for release in Release::ALL {
            let persona = persona("corp.example.com", release);
            assert!(persona.unbound().ends_with(&format!(", data 0, v{:x}", release.build)));
            assert_eq!(persona.errors.build, release.build);
            levels.push(persona.level());
        }
        assert_eq!(levels, [4, 5, 6, 7, 7, 7, 10]);
        assert_eq!(
            persona("a", Release::DEFAULT).wrong_password("52e"),
            "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data 52e, v4563"
        );
    }

    #[test]
    fn the_counter_of_changes_never_goes_back() {
        let persona = persona("corp.example.com", Release::DEFAULT);
        let at = |days: u64| persona.last_change(SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400));
        assert_eq!(at(0), at(10_000));
        assert!(at(20_000) + 500 < at(20_001) && at(20_001) < at(20_000) + 2_000);
    }
}
