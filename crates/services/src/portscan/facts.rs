//! A packet in the words of the kernel's log (`nf_log_syslog`), as the peer's events have them: names in lower case
//! here, in upper case in the compatible log. Values are text there, and flags are empty text.

use std::fmt::Write;

use haldane_core::{Fields, Packet, Value};

use super::packet::{Body, Header, Ip, Tcp, flag};

/// The fields of the line that the kernel would log, other than SRC, SPT, DST and DPT.
pub(super) fn fields(packet: &Packet<'_>, header: &Header) -> Fields {
    let mut facts = Fields::new();
    text(&mut facts, "in", packet.interface);
    text(&mut facts, "out", "");
    text(&mut facts, "mac", packet.link.as_ref().map(mac).unwrap_or_default());
    match header.ip {
        Ip::V4 { length, tos, ttl, id, fragment } => {
            text(&mut facts, "len", length.to_string());
            // IPTOS_TOS_MASK and IPTOS_PREC_MASK.
            text(&mut facts, "tos", format!("0x{:02X}", tos & 0x1e));
            text(&mut facts, "prec", format!("0x{:02X}", tos & 0xe0));
            text(&mut facts, "ttl", ttl.to_string());
            text(&mut facts, "id", id.to_string());
            set(&mut facts, fragment.into(), &[(0x8000, "ce"), (0x4000, "df"), (0x2000, "mf")]);
        }
        Ip::V6 { length, class, hops, label } => {
            text(&mut facts, "len", length.to_string());
            text(&mut facts, "tc", class.to_string());
            text(&mut facts, "hoplimit", hops.to_string());
            text(&mut facts, "flowlbl", label.to_string());
        }
    }
    match &header.body {
        Body::Tcp(tcp) => of_tcp(&mut facts, tcp),
        // The kernel says so, too, where a header is cut.
        Body::CutTcp { .. } => {
            text(&mut facts, "proto", "TCP");
            text(&mut facts, "incomplete", "");
        }
        Body::Udp { .. } => text(&mut facts, "proto", "UDP"),
        Body::Icmp { kind, code, sequence, .. } => {
            let name = if matches!(header.ip, Ip::V4 { .. }) { "ICMP" } else { "ICMPv6" };
            text(&mut facts, "proto", name);
            text(&mut facts, "type", kind.to_string());
            text(&mut facts, "code", code.to_string());
            text(&mut facts, "seq", sequence.to_string());
        }
    }
    facts
}

fn of_tcp(facts: &mut Fields, tcp: &Tcp) {
    text(facts, "proto", "TCP");
    text(facts, "window", tcp.window.to_string());
    // TCP_RESERVED_BITS of the flag word, shifted by 22 bits: two bits to the left of where they are.
    text(facts, "res", format!("0x{:02x}", tcp.reserved << 2));
    let names = [
        (flag::CWR, "cwr"),
        (flag::ECE, "ece"),
        (flag::URG, "urg"),
        (flag::ACK, "ack"),
        (flag::PSH, "psh"),
        (flag::RST, "rst"),
        (flag::SYN, "syn"),
        (flag::FIN, "fin"),
    ];
    set(facts, tcp.flags.into(), &names.map(|(bit, name)| (bit.into(), name)));
    text(facts, "urgp", tcp.urgent.to_string());
}

fn text(facts: &mut Fields, name: &'static str, value: impl Into<Value>) {
    facts.insert(name.into(), value.into());
}

fn set(facts: &mut Fields, bits: u32, names: &[(u32, &'static str)]) {
    for (_, name) in names.iter().filter(|(bit, _)| bits & bit != 0) {
        text(facts, name, "");
    }
}

fn mac(link: &[u8; 14]) -> String {
    let mut text = String::with_capacity(41);
    for byte in link {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string does not fail.
        write!(text, "{colon}{byte:02x}").ok();
    }
    text
}
