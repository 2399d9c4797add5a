//! NTP as ntpd 4.2.8 speaks it, a server of stratum 2 (RFC 5905; control messages: RFC 9327).
//!
//! A client's request is answered with the real time. `readvar` is answered as the configured version, with as many
//! of its variables as an answer that does not amplify can hold. `monlist`, which was once used to flood others, is
//! never answered, as in every ntpd since 4.2.7p26.
//!
//! Reports each datagram: the time that was asked for, variables that were read or written, private (mode 7)
//! requests, `monlist` among them, and what is none of these.

mod control;
mod time;

use haldane_core::{
    Class, Compat, Cx, Datagrams, Halt, Host, Input, Kind, Section, Severity, Sighting, Untrusted,
};

use self::{
    control::{Request, Variables},
    time::{Clock, Packet},
};

/// The list of those who last asked was asked for.
pub static MONLIST: Kind = Kind::new(11001, "ntp.monlist", Class::Exploit, Severity::High, "NTP monlist")
    .compat(&[Compat::field("NTP CMD", "command")]);
/// The time was asked for.
pub static TIME: Kind = Kind::new(31200, "ntp.time", Class::Probe, Severity::Low, "NTP time request");
/// A control message (mode 6).
pub static CONTROL: Kind =
    Kind::new(31201, "ntp.control", Class::Command, Severity::Medium, "NTP control message");
/// A private message (mode 7) other than `monlist`.
pub static PRIVATE: Kind =
    Kind::new(31202, "ntp.private", Class::Command, Severity::Medium, "NTP private request");
/// Any other datagram.
pub static OTHER: Kind = Kind::new(31203, "ntp.other", Class::Probe, Severity::Low, "NTP datagram");

/// What ntpd says of itself, without the date of its build: so short that it fits into the answer to a question for it.
const VERSION: &str = "ntpd 4.2.8p15";
/// `MON_GETLIST` and `MON_GETLIST_1` of ntpd's `ntp_request.h`.
const LISTS: [u8; 2] = [20, 42];
/// The transmit timestamp that nmap's service probe carries.
const NMAP: [u8; 8] = [0xc5, 0x4f, 0x23, 0x4b, 0x71, 0xb1, 0x52, 0xf3];

/// The service.
#[derive(Debug)]
pub struct Ntp {
    clock: Clock,
    variables: Variables,
    control: bool,
}

impl Datagrams for Ntp {
    const NAME: &'static str = "ntp";
    const PORT: u16 = 123;
    const KINDS: &'static [&'static Kind] = &[&MONLIST, &TIME, &CONTROL, &PRIVATE, &OTHER];
    const TRY: &'static str = "sudo nmap -sU -p {port} --script ntp-info {host}";

    fn configure(section: &mut Section<'_>, host: &Host) -> Self {
        let version = section.text("version", VERSION, "What it says of itself when its variables are read.");
        let system =
            section.text("system", "Linux/6.1.0-28-amd64", "The operating system that it says it runs on.");
        let control = section.flag(
            "control",
            true,
            "Whether control messages are answered. Recorded they are in any case; Debian's default does not answer.",
        );
        let clock = Clock::configure(section, host);
        Self { clock, variables: Variables { version, system }, control }
    }

    fn answer(&self, datagram: &mut Input<'_>, cx: &mut Cx<'_>) -> Result<(), Halt> {
        let bytes = datagram.take_rest();
        let &first = bytes.first().ok_or(Halt::Malformed("empty"))?;
        let (version, mode) = ((first >> 3) & 7, first & 7);
        let seen = |kind| Sighting::of(kind).with("version", version).with("mode", mode);
        match (mode, version) {
            (7, _) => {
                let implementation = bytes.get(2).copied();
                let code = bytes.get(3).copied();
                let list = code.is_some_and(|code| LISTS.contains(&code));
                let kind = if list { &MONLIST } else { &PRIVATE };
                let seen = seen(kind).with("implementation", implementation).with("request", code);
                cx.report(if list { seen.with("command", "monlist") } else { seen });
            }
            (6, _) => match Request::parse(&mut Input::whole(bytes)) {
                Ok(request) => {
                    cx.report(
                        seen(&CONTROL)
                            .with("operation", request.operation())
                            .with("association", request.association)
                            .with("variables", Untrusted::new(request.data)),
                    );
                    if self.control {
                        let room = bytes.len().saturating_mul(2);
                        cx.reply(request.answer(&self.variables, &self.clock, cx.now(), room));
                    }
                }
                Err(_) => cx.report(seen(&OTHER).with("excerpt", Untrusted::new(bytes))),
            },
            _ => match Packet::parse(&mut Input::whole(bytes)) {
                Ok(packet) if packet.asks() => {
                    let named = (packet.transmit == NMAP).then_some("nmap");
                    let seen = seen(&TIME);
                    cx.report(if let Some(tool) = named { seen.with("tool", tool) } else { seen });
                    cx.reply(self.clock.answer(&packet, cx.now()));
                }
                _ => cx.report(seen(&OTHER).with("excerpt", Untrusted::new(bytes))),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
