//! What is reported. 5001 to 5005 are the peer's; they hold the fields of the kernel's log line and nothing else,
//! since every field of theirs is shown in the compatible log.

use haldane_core::{Class, Kind, Severity};

/// Somebody began a connection. The peer's LOG_PORT_SYN.
pub static SYN: Kind = Kind::new(5001, "portscan.syn", Class::Probe, Severity::Low, "Connection attempt");
/// A probe of nmap's OS detection. The peer's LOG_PORT_NMAPOS.
pub static OS: Kind = Kind::new(5002, "portscan.os", Class::Probe, Severity::Medium, "nmap OS probe");
/// TCP without flags. The peer's LOG_PORT_NMAPNULL.
pub static NULL: Kind = Kind::new(5003, "portscan.null", Class::Probe, Severity::Medium, "NULL probe");
/// TCP with FIN, PSH and URG. The peer's LOG_PORT_NMAPXMAS.
pub static XMAS: Kind = Kind::new(5004, "portscan.xmas", Class::Probe, Severity::Medium, "XMAS probe");
/// TCP with FIN alone. The peer's LOG_PORT_NMAPFIN.
pub static FIN: Kind = Kind::new(5005, "portscan.fin", Class::Probe, Severity::Medium, "FIN probe");
/// A scan was decided: many targets of one source. Fields `techniques`, `tcp`, `udp` (ports as in `1-1024,3389`),
/// `addresses` (of ours), `targets`, `packets`, `os_detection`, `first`, `last`.
pub static SCAN: Kind = Kind::new(31800, "portscan.scan", Class::Scan, Severity::High, "Port scan");
/// A single packet that the peer has no kind for: field `technique`, and those of the kernel's log line.
pub static PROBE: Kind = Kind::new(31801, "portscan.probe", Class::Probe, Severity::Low, "Probe");
/// A scan goes on: as `portscan.scan`, with what has come in the meantime.
pub static GOES_ON: Kind =
    Kind::new(31802, "portscan.scan_goes_on", Class::Scan, Severity::Info, "Port scan goes on");
/// A scan is over: as `portscan.scan`, with everything.
pub static ENDED: Kind =
    Kind::new(31803, "portscan.scan_ended", Class::Scan, Severity::Low, "Port scan ended");
/// More than can be told one by one, as with forged sources: fields `packets` and `scans` count what was not.
pub static FLOOD: Kind = Kind::new(31804, "portscan.flood", Class::Scan, Severity::High, "Flood of probes");
/// Packets came faster than they could be looked at: field `packets`.
pub static LOST: Kind =
    Kind::new(31805, "portscan.lost", Class::Operational, Severity::Low, "Packets were not looked at");

/// All of them.
pub static KINDS: &[&Kind] = &[&SYN, &OS, &NULL, &XMAS, &FIN, &SCAN, &PROBE, &GOES_ON, &ENDED, &FLOOD, &LOST];
