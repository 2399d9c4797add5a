//! Two machines on a cable: network namespaces of their own, joined by a veth pair. Nothing leaves this machine.

use std::process::{Command, Stdio};

/// The cable. Its two machines go away when it is dropped.
pub struct Cable {
    /// The namespace of the canary; its interface is `near0`, 192.0.2.1 and fe80::1.
    pub near: String,
    /// The other; its interface is `far0`, 192.0.2.66 and fe80::66, with [`MAC`].
    pub far: String,
}

/// The hardware address of the other machine.
pub const MAC: &str = "02:00:5e:00:53:66";

impl Cable {
    /// Lays one; `None`, and says so, where this process may not.
    pub fn lay(test: &str) -> Option<Self> {
        let name = |end: &str| format!("hd-{test}-{}-{end}", std::process::id());
        let cable = Self { near: name("near"), far: name("far") };
        let (near, far) = (cable.near.as_str(), cable.far.as_str());
        if !ip(&format!("netns add {near}")) {
            println!("SKIPPED: no network namespaces: root is needed, and iproute2");
            return None;
        }
        assert!(ip(&format!("netns add {far}")));
        // Addresses of IPv6 are there at once, not after a check for others that have them.
        for end in [near, far] {
            let unchecked = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";
            assert!(Self::run(end, &["sh", "-c", unchecked]));
        }
        assert!(ip(&format!("-n {near} link add near0 type veth peer name far0 address {MAC} netns {far}")));
        for (end, interface, host) in [(near, "near0", "1"), (far, "far0", "66")] {
            for set in [
                format!("-n {end} addr add 192.0.2.{host}/24 broadcast + dev {interface}"),
                format!("-n {end} link set {interface} addrgenmode none"),
                format!("-n {end} addr add fe80::{host}/64 dev {interface} nodad"),
                format!("-n {end} link set {interface} up"),
                format!("-n {end} link set lo up"),
            ] {
                assert!(ip(&set), "ip {set}");
            }
        }
        Some(cable)
    }

    /// A command that runs this one on the canary's machine.
    pub fn near(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.near]).arg(command.get_program()).args(command.get_args());
        there
    }

    /// A command on the other machine.
    pub fn far(&self, program: &str, arguments: &[&str]) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.far, program]).args(arguments);
        there
    }

    fn run(end: &str, command: &[&str]) -> bool {
        Command::new("ip")
            .args(["netns", "exec", end])
            .args(command)
            .status()
            .is_ok_and(|status| status.success())
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.near));
        ip(&format!("netns del {}", self.far));
    }
}

fn ip(arguments: &str) -> bool {
    let done =
        Command::new("ip").args(arguments.split(' ')).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}
