//! What a packet is sent for.

use haldane_core::Kind;

use super::{
    kinds::{FIN, NULL, OS, PROBE, SYN, XMAS},
    packet::{Body, Header, Ip, Tcp, flag},
};

/// How a target is touched. The names are nmap's where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Technique {
    /// The beginning of a connection, real or not.
    Syn,
    /// A probe of nmap's OS detection.
    Os,
    Null,
    Xmas,
    Fin,
    /// ACK without a connection; a window scan looks the same.
    Ack,
    /// FIN and ACK without a connection.
    Maimon,
    /// The header of TCP spread over fragments.
    Fragments,
    /// Another combination of flags that no stack sends.
    Flags,
    Udp,
    /// ICMP echo request.
    Echo,
    /// ICMP timestamp request.
    Timestamp,
    /// ICMP address mask request.
    Mask,
    /// ICMP information request, or node information query (RFC 4620).
    Information,
}

impl Technique {
    pub(super) const ALL: [Self; 14] = [
        Self::Syn,
        Self::Os,
        Self::Null,
        Self::Xmas,
        Self::Fin,
        Self::Ack,
        Self::Maimon,
        Self::Fragments,
        Self::Flags,
        Self::Udp,
        Self::Echo,
        Self::Timestamp,
        Self::Mask,
        Self::Information,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Syn => "syn",
            Self::Os => "os",
            Self::Null => "null",
            Self::Xmas => "xmas",
            Self::Fin => "fin",
            Self::Ack => "ack",
            Self::Maimon => "maimon",
            Self::Fragments => "fragments",
            Self::Flags => "flags",
            Self::Udp => "udp",
            Self::Echo => "echo",
            Self::Timestamp => "timestamp",
            Self::Mask => "mask",
            Self::Information => "information",
        }
    }

    /// A bit of its own.
    pub(super) fn bit(self) -> u16 {
        let place = Self::ALL.iter().position(|technique| *technique == self).unwrap_or_default();
        1_u16.checked_shl(u32::try_from(place).unwrap_or_default()).unwrap_or_default()
    }

    /// The kind of event that a single packet of it is.
    pub(super) fn kind(self) -> &'static Kind {
        match self {
            Self::Syn => &SYN,
            Self::Os => &OS,
            Self::Null => &NULL,
            Self::Xmas => &XMAS,
            Self::Fin => &FIN,
            _ => &PROBE,
        }
    }

    /// Whether no client and no server in good order ever sends it.
    pub(super) fn odd(self) -> bool {
        match self {
            Self::Os | Self::Null | Self::Xmas | Self::Fin | Self::Fragments | Self::Flags => true,
            Self::Timestamp | Self::Mask | Self::Information => true,
            Self::Syn | Self::Ack | Self::Maimon | Self::Udp | Self::Echo => false,
        }
    }

    /// Whether it may be a late part of a conversation of which the beginning was not seen.
    pub(super) fn may_be_late(self) -> bool {
        matches!(self, Self::Ack | Self::Maimon)
    }

    /// Whether it comes without ports.
    pub(super) fn is_icmp(self) -> bool {
        matches!(self, Self::Echo | Self::Timestamp | Self::Mask | Self::Information)
    }
}

/// What that packet is sent for; `None`: for nothing that a scanner wants.
pub(super) fn of(header: &Header) -> Option<Technique> {
    match &header.body {
        Body::Tcp(tcp) => of_tcp(tcp),
        Body::CutTcp { .. } => Some(Technique::Fragments),
        Body::Udp { nmap: true, .. } => Some(Technique::Os),
        Body::Udp { .. } => Some(Technique::Udp),
        Body::Icmp { kind, code, sequence, length } => match (header.ip, kind) {
            // nmap's IE probes: sequence 295 with code 9, then 296, with 120 and 150 bytes.
            (Ip::V4 { .. }, 8) if matches!((sequence, code, length), (295, 9, 128) | (296, 0, 158)) => {
                Some(Technique::Os)
            }
            (Ip::V4 { .. }, 8) | (Ip::V6 { .. }, 128) => Some(Technique::Echo),
            (Ip::V4 { .. }, 13) => Some(Technique::Timestamp),
            (Ip::V4 { .. }, 15) | (Ip::V6 { .. }, 139) => Some(Technique::Information),
            (Ip::V4 { .. }, 17) => Some(Technique::Mask),
            _ => None,
        },
    }
}

fn of_tcp(tcp: &Tcp) -> Option<Technique> {
    // The ECN probe of nmap's OS detection: an urgent pointer without its flag, and a window of 3.
    let congestion = flag::ECE | flag::CWR;
    let ecn = tcp.flags == flag::SYN | congestion && tcp.window == 3 && tcp.urgent == 0xf7f5;
    if ecn || (tcp.impossible_time && tcp.flags & flag::RST == 0) {
        return Some(Technique::Os);
    }
    const CHRISTMAS: u8 = flag::FIN | flag::PSH | flag::URG;
    const FIN_ACK: u8 = flag::FIN | flag::ACK;
    match tcp.flags & !congestion {
        0 => Some(Technique::Null),
        flag::FIN => Some(Technique::Fin),
        CHRISTMAS => Some(Technique::Xmas),
        flag::ACK => tcp.bare.then_some(Technique::Ack),
        FIN_ACK => tcp.bare.then_some(Technique::Maimon),
        flags if flags & (flag::ACK | flag::RST) != 0 => None,
        // As `iptables --syn` has it.
        flags if flags & (flag::SYN | flag::FIN) == flag::SYN => Some(Technique::Syn),
        _ => Some(Technique::Flags),
    }
}
