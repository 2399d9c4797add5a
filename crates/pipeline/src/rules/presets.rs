//! Signs of what belongs to many networks and means no harm.
//!
//! A sign can be imitated by whoever knows it. What would hide an attacker is not among them: no preset is met by a
//! login, a command or a recognised attack, except that of vulnerability scanners, which try all of them.

/// One set of signs; any of them will do.
#[derive(Debug)]
pub struct Preset {
    /// The word in the configuration.
    pub name: &'static str,
    /// How its clients name themselves.
    pub agents: &'static [&'static str],
    /// What they ask for.
    pub paths: &'static [&'static str],
    /// Ports of ours that nobody else asks for.
    pub ports: &'static [u16],
    /// Names of their addresses.
    pub names: &'static [&'static str],
    /// Whether it is met only by looking: connections, probes, reads and scans, never by logins, commands or attacks.
    pub harmless: bool,
}

const NONE: Preset = Preset { name: "", agents: &[], paths: &[], ports: &[], names: &[], harmless: true };

/// All of them.
pub static PRESETS: &[Preset] = &[
    // Products that companies run against their own networks, by the names in their requests.
    Preset {
        name: "vulnerability-scanners",
        agents: &[
            "*nessus*",
            "*tenable*",
            "*openvas*",
            "*greenbone*",
            "*qualys*",
            "*rapid7*",
            "*nexpose*",
            "*insightvm*",
            "*acunetix*",
            "*netsparker*",
            "*invicti*",
            "*detectify*",
            "*appscan*",
            "*webinspect*",
            "*outpost24*",
            "*rapidscan*",
            "*holm security*",
            "*tripwire ip360*",
            "*f-secure radar*",
            "*withsecure elements*",
        ],
        paths: &["*nessus*", "*openvas*", "*qualys*", "*acunetix*", "*nexpose*"],
        harmless: false,
        ..NONE
    },
    // Defender for Endpoint, standard discovery: it asks each neighbour on the ports of the protocols that its
    // documentation lists, and gives no name.
    Preset {
        name: "defender-discovery",
        ports: &[
            21, 22, 23, 80, 137, 139, 161, 389, 427, 443, 445, 515, 548, 631, 3389, 3702, 5060, 5355, 5900,
            5985, 9100,
        ],
        ..NONE
    },
    // Ubiquiti's discovery goes to port 10001 of every address (UDP).
    Preset { name: "unifi-discovery", ports: &[10001], agents: &["*ubnt*", "*unifi*"], ..NONE },
    // Delivery Optimization (WUDO) of Windows Update.
    Preset { name: "windows-update", ports: &[7680], ..NONE },
    // AnyDesk looks for its like on the local network.
    Preset { name: "anydesk-discovery", ports: &[7070, 50001, 50002, 50003], ..NONE },
    // Networks that measure the whole internet, by the names of their addresses and in their requests.
    Preset {
        name: "internet-measurement",
        names: &[
            "*.shodan.io",
            "*.censys-scanner.com",
            "*.censys.io",
            "*.shadowserver.org",
            "*.binaryedge.ninja",
            "*.internet-measurement.com",
            "*.internet-census.org",
            "*.stretchoid.com",
            "*.onyphe.net",
            "*.onyphe.io",
            "*.leakix.org",
            "*.leakix.net",
            "*.criminalip.com",
            "*.netsystemsresearch.com",
            "*.rapid7.com",
            "*.security.ipip.net",
            "*.zmap.io",
            "*.research-scanner.com",
            "*.scan.sonar.rapid7.com",
            "*.driftnet.io",
            "*.recyber.net",
            "*.cypex.ai",
            "*.alphastrike.io",
            "*.hadrian.io",
        ],
        agents: &[
            "*censysinspect*",
            "*internet-measurement.com*",
            "*shadowserver*",
            "*expanse*palo alto*",
            "*netsystemsresearch*",
            "*onyphe*",
            "*leakix*",
            "*internetcensus*",
            "*netcraftsurvey*",
            "*nicecrawler*",
        ],
        ..NONE
    },
];
