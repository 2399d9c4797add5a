//! What a domain controller says about itself to everybody (MS-ADTS, section 3.1.1.3.2), in the order of Windows.

use std::time::SystemTime;

use super::{
    answer::Attribute,
    persona::{Persona, SITE},
};

/// Controls (section 3.1.1.3.4.1), in the order in which they are listed, with the build that brought them.
#[rustfmt::skip]
const CONTROLS: [(&str, u16); 40] = [
    ("1.2.840.113556.1.4.319", 0), ("1.2.840.113556.1.4.801", 0), ("1.2.840.113556.1.4.473", 0),
    ("1.2.840.113556.1.4.528", 0), ("1.2.840.113556.1.4.417", 0), ("1.2.840.113556.1.4.619", 0),
    ("1.2.840.113556.1.4.841", 0), ("1.2.840.113556.1.4.529", 0), ("1.2.840.113556.1.4.805", 0),
    ("1.2.840.113556.1.4.521", 0), ("1.2.840.113556.1.4.970", 0), ("1.2.840.113556.1.4.1338", 0),
    ("1.2.840.113556.1.4.474", 0), ("1.2.840.113556.1.4.1339", 0), ("1.2.840.113556.1.4.1340", 0),
    ("1.2.840.113556.1.4.1413", 0), ("2.16.840.1.113730.3.4.9", 0), ("2.16.840.1.113730.3.4.10", 0),
    ("1.2.840.113556.1.4.1504", 0), ("1.2.840.113556.1.4.1852", 0), ("1.2.840.113556.1.4.802", 0),
    ("1.2.840.113556.1.4.1907", 0), ("1.2.840.113556.1.4.1948", 0), ("1.2.840.113556.1.4.1974", 0),
    ("1.2.840.113556.1.4.1341", 0), ("1.2.840.113556.1.4.2026", 0), ("1.2.840.113556.1.4.2064", 0),
    ("1.2.840.113556.1.4.2065", 0), ("1.2.840.113556.1.4.2066", 0), ("1.2.840.113556.1.4.2090", 9200),
    ("1.2.840.113556.1.4.2205", 9200), ("1.2.840.113556.1.4.2204", 9200),
    ("1.2.840.113556.1.4.2206", 9200), ("1.2.840.113556.1.4.2211", 9200),
    ("1.2.840.113556.1.4.2239", 9200), ("1.2.840.113556.1.4.2255", 9600),
    ("1.2.840.113556.1.4.2256", 9600), ("1.2.840.113556.1.4.2309", 14_393),
    ("1.2.840.113556.1.4.2330", 17_763), ("1.2.840.113556.1.4.2354", 17_763),
];
/// Policies of its LDAP (section 3.1.1.3.4.6), likewise.
#[rustfmt::skip]
const POLICIES: [(&str, u16); 21] = [
    ("MaxPoolThreads", 0), ("MaxPercentDirSyncRequests", 9600), ("MaxDatagramRecv", 0),
    ("MaxReceiveBuffer", 0), ("MaxPreAuthReceiveBuffer", 17_763), ("InitRecvTimeout", 0),
    ("MaxConnections", 0), ("MaxConnIdleTime", 0), ("MaxPageSize", 0), ("MaxBatchReturnMessages", 9600),
    ("MaxQueryDuration", 0), ("MaxDirSyncDuration", 9600), ("MaxTempTableSize", 0), ("MaxResultSetSize", 0),
    ("MinResultSets", 0), ("MaxResultSetsPerConn", 0), ("MaxNotificationPerConn", 0), ("MaxValRange", 0),
    ("MaxValRangeTransitive", 9600), ("ThreadMemoryLimit", 9600), ("SystemMemoryLimitPercent", 9600),
];
/// What it is (section 3.1.1.3.4.3), likewise.
const CAPABILITIES: [(&str, u16); 6] = [
    ("1.2.840.113556.1.4.800", 0),
    ("1.2.840.113556.1.4.1670", 0),
    ("1.2.840.113556.1.4.1791", 0),
    ("1.2.840.113556.1.4.1935", 0),
    ("1.2.840.113556.1.4.2080", 0),
    ("1.2.840.113556.1.4.2237", 9200),
];
/// Extended requests (section 3.1.1.3.4.2), likewise.
const EXTENSIONS: [(&str, u16); 5] = [
    ("1.3.6.1.4.1.1466.20037", 0),
    ("1.3.6.1.4.1.1466.101.119.1", 0),
    ("1.2.840.113556.1.4.1781", 0),
    ("1.3.6.1.4.1.4203.1.11.3", 0),
    ("1.2.840.113556.1.4.2212", 9200),
];
/// Ways to log in (section 3.1.1.3.4.5).
const MECHANISMS: [&str; 4] = ["GSSAPI", "GSS-SPNEGO", "EXTERNAL", "DIGEST-MD5"];

/// What everybody gets who asks for nothing in particular, since version 2016.
#[rustfmt::skip]
const ALL: [&str; 22] = [
    "domainFunctionality", "forestFunctionality", "domainControllerFunctionality", "rootDomainNamingContext",
    "ldapServiceName", "isGlobalCatalogReady", "supportedSASLMechanisms", "supportedLDAPVersion",
    "supportedLDAPPolicies", "supportedControl", "supportedCapabilities", "subschemaSubentry", "serverName",
    "schemaNamingContext", "namingContexts", "isSynchronized", "highestCommittedUSN", "dsServiceName",
    "dnsHostName", "defaultNamingContext", "currentTime", "configurationNamingContext",
];
/// The same in the order of older versions.
#[rustfmt::skip]
const ALL_BEFORE: [&str; 22] = [
    "currentTime", "subschemaSubentry", "dsServiceName", "namingContexts", "defaultNamingContext",
    "schemaNamingContext", "configurationNamingContext", "rootDomainNamingContext", "supportedControl",
    "supportedLDAPVersion", "supportedLDAPPolicies", "highestCommittedUSN", "supportedSASLMechanisms",
    "dnsHostName", "ldapServiceName", "serverName", "supportedCapabilities", "isSynchronized",
    "isGlobalCatalogReady", "domainFunctionality", "forestFunctionality", "domainControllerFunctionality",
];
/// What only those get who name it.
const NAMED: [&str; 3] = ["supportedExtension", "msDS-PortLDAP", "msDS-PortSSL"];

/// Whether a request may insist on that control.
pub fn knows(persona: &Persona, control: &[u8]) -> bool {
    since(&CONTROLS, persona).any(|known| known.as_bytes() == control)
}

/// The attributes that were asked for, none meaning all. Names are those that the client used: Windows repeats them.
pub fn attributes(persona: &Persona, asked: &[Vec<u8>], now: SystemTime) -> Vec<Attribute> {
    let order = if persona.windows.release.build < 14_393 { &ALL_BEFORE } else { &ALL };
    let all = || order.iter().map(|name| name.as_bytes());
    let named = asked.iter().map(Vec::as_slice);
    let everything = asked.is_empty() || asked.iter().any(|name| name == b"*");
    let names: Vec<&[u8]> = if everything { all().chain(named).collect() } else { named.collect() };
    let mut found: Vec<Attribute> = Vec::new();
    for name in names {
        let known = ALL.iter().chain(&NAMED).find(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let fresh = found.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name));
        if let Some(known) = known.filter(|_| fresh) {
            found.push((name.to_vec(), values(persona, known, now)));
        }
    }
    found
}

fn values(persona: &Persona, name: &str, now: SystemTime) -> Vec<Vec<u8>> {
    let (naming, windows) = (&persona.naming, &persona.windows);
    let server = format!("CN={},CN=Servers,CN={SITE},CN=Sites,CN=Configuration,{naming}", windows.computer);
    let one = |text: String| vec![text.into_bytes()];
    let many =
        |list: &[(&'static str, u16)]| since(list, persona).map(|text| text.as_bytes().to_vec()).collect();
    match name {
        "domainFunctionality" | "forestFunctionality" | "domainControllerFunctionality" => {
            one(persona.level().to_string())
        }
        "rootDomainNamingContext" | "defaultNamingContext" => one(naming.clone()),
        "ldapServiceName" => {
            let (domain, name) = (&windows.domain, windows.computer.to_lowercase());
            one(format!("{domain}:{name}$@{}", domain.to_uppercase()))
        }
        "isGlobalCatalogReady" | "isSynchronized" => one("TRUE".into()),
        "supportedSASLMechanisms" => MECHANISMS.iter().map(|name| name.as_bytes().to_vec()).collect(),
        "supportedLDAPVersion" => vec![b"3".to_vec(), b"2".to_vec()],
        "supportedLDAPPolicies" => many(&POLICIES),
        "supportedControl" => many(&CONTROLS),
        "supportedCapabilities" => many(&CAPABILITIES),
        "supportedExtension" => many(&EXTENSIONS),
        "subschemaSubentry" => one(format!("CN=Aggregate,CN=Schema,CN=Configuration,{naming}")),
        "serverName" => one(server),
        "schemaNamingContext" => one(format!("CN=Schema,CN=Configuration,{naming}")),
        "namingContexts" => {
            let below = [
                "",
                "CN=Configuration,",
                "CN=Schema,CN=Configuration,",
                "DC=DomainDnsZones,",
                "DC=ForestDnsZones,",
            ];
            below.iter().map(|part| format!("{part}{naming}").into_bytes()).collect()
        }
        "highestCommittedUSN" => one(persona.last_change(now).to_string()),
        "dsServiceName" => one(format!("CN=NTDS Settings,{server}")),
        "dnsHostName" => one(windows.dns_name.clone()),
        "currentTime" => one(time(now)),
        "configurationNamingContext" => one(format!("CN=Configuration,{naming}")),
        "msDS-PortLDAP" => one("389".into()),
        "msDS-PortSSL" => one("636".into()),
        _ => Vec::new(),
    }
}

/// What of a list that release has.
fn since<'a>(
    list: &'a [(&'static str, u16)],
    persona: &'a Persona,
) -> impl Iterator<Item = &'static str> + 'a {
    list.iter().filter(|(_, build)| *build <= persona.windows.release.build).map(|(name, _)| *name)
}

/// A GeneralizedTime as Windows writes it: `20251121021955.0Z`.
fn time(now: SystemTime) -> String {
    let now = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    now.strftime("%Y%m%d%H%M%S.0Z").to_string()
}
