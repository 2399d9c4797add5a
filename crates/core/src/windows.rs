//! What this machine says about itself where it speaks as Windows: one set of names, one domain and one build for
//! every service.

/// A release of Windows Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// As in the configuration: `2019`.
    pub name: &'static str,
    /// The product's name: `Windows Server 2019 Standard`.
    pub product: &'static str,
    /// As in `10.0`.
    pub version: (u8, u8),
    /// As in `17763`.
    pub build: u16,
}

impl Release {
    /// All that can be claimed, the oldest first.
    pub const ALL: [Self; 7] = [
        Self::of("2008r2", "Windows Server 2008 R2 Standard", (6, 1), 7601),
        Self::of("2012", "Windows Server 2012 Standard", (6, 2), 9200),
        Self::of("2012r2", "Windows Server 2012 R2 Standard", (6, 3), 9600),
        Self::of("2016", "Windows Server 2016 Standard", (10, 0), 14_393),
        Self::DEFAULT,
        Self::of("2022", "Windows Server 2022 Standard", (10, 0), 20_348),
        Self::of("2025", "Windows Server 2025 Standard", (10, 0), 26_100),
    ];
    /// Unless told otherwise.
    pub const DEFAULT: Self = Self::of("2019", "Windows Server 2019 Standard", (10, 0), 17_763);

    const fn of(name: &'static str, product: &'static str, version: (u8, u8), build: u16) -> Self {
        Self { name, product, version, build }
    }
}

/// Longest NetBIOS name, in characters (the sixteenth is its purpose).
const NETBIOS: usize = 15;
/// The workgroup of a machine that is in no domain.
const WORKGROUP: &str = "WORKGROUP";
/// The top of a domain that is named after a workgroup.
const PRIVATE: &str = "local";

/// What a machine without a name is called.
const NAMELESS: &str = "files01";

/// The names of one machine, which fit each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    /// Its NetBIOS name: `FILES01`.
    pub computer: String,
    /// The NetBIOS name of its domain, or of its workgroup.
    pub group: String,
    /// The DNS name of its domain: `corp.example.com`. Empty in a workgroup.
    pub domain: String,
    /// Its own DNS name: with that of the domain behind it, if there is one.
    pub dns_name: String,
    /// What it runs.
    pub release: Release,
}

impl Windows {
    /// The machine of that name, in that domain (a DNS name, empty for none). The rest follows from these.
    pub fn new(name: &str, domain: &str) -> Self {
        let host = Some(label(name)).filter(|label| !label.is_empty()).unwrap_or(NAMELESS);
        let group = if domain.is_empty() { WORKGROUP.to_owned() } else { netbios(label(domain)) };
        let dns_name = if domain.is_empty() { host.to_owned() } else { format!("{host}.{domain}") };
        Self {
            computer: netbios(host),
            group,
            domain: domain.to_owned(),
            dns_name,
            release: Release::DEFAULT,
        }
    }

    /// Whether it belongs to a domain.
    pub fn joined(&self) -> bool {
        !self.domain.is_empty()
    }

    /// The same machine as a domain controller. One that is in no domain is given one: `workgroup.local`, after its
    /// workgroup.
    #[must_use]
    pub fn controller(&self) -> Self {
        if self.joined() {
            return self.clone();
        }
        let label = self.group.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let domain = format!("{label}.{PRIVATE}");
        let dns_name = format!("{}.{domain}", self::label(&self.dns_name));
        Self { domain, dns_name, ..self.clone() }
    }

    /// The authority that logins are made at, by its NetBIOS name: the domain, or the machine itself.
    pub fn authority(&self) -> &str {
        if self.joined() { &self.group } else { &self.computer }
    }
}

/// The first label of a DNS name.
fn label(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

/// What can be said of that name in NetBIOS.
fn netbios(name: &str) -> String {
    name.to_uppercase().chars().take(NETBIOS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_machine_follow_from_its_own_and_its_domain() {
        let alone = Windows::new("files01", "");
        assert_eq!((alone.computer.as_str(), alone.authority()), ("FILES01", "FILES01"));
        assert_eq!((alone.group.as_str(), alone.dns_name.as_str()), ("WORKGROUP", "files01"));
        let joined = Windows::new("fileserver-berlin-3.old.example", "corp.example.com");
        assert_eq!((joined.computer.as_str(), joined.authority()), ("FILESERVER-BERL", "CORP"));
        assert_eq!(joined.dns_name, "fileserver-berlin-3.corp.example.com");
        assert_eq!(Windows::new("", "").computer, "FILES01");
        let controller = alone.controller();
        assert_eq!((controller.domain.as_str(), controller.authority()), ("workgroup.local", "WORKGROUP"));
        assert_eq!(controller.dns_name, "files01.workgroup.local");
        assert_eq!(joined.controller(), joined);
    }
}
