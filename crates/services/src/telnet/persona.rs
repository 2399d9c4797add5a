//! What each device says. `{host}` stands for the name of the decoy.
//!
//! Debian: inetutils-telnetd 2.4 and login(1) of shadow 4.13, as recorded. Cisco: IOS with `login local`.
//! BusyBox: its telnetd and login applets, as in routers and cameras.

use super::options::{ECHO, SGA};

/// One device's manners.
#[derive(Debug)]
pub(super) struct Persona {
    /// The word in the configuration.
    pub(super) name: &'static str,
    /// What it opens the negotiation with.
    pub(super) opening: &'static [u8],
    /// Whether it waits for the answers before it asks for a name.
    pub(super) waits: bool,
    /// Before the first prompt, unless the operator's banner takes its place.
    pub(super) issue: &'static str,
    /// After issue or banner.
    pub(super) notice: &'static str,
    /// Asks for a name.
    pub(super) name_prompt: &'static str,
    /// Asks for a password.
    pub(super) password_prompt: &'static str,
    /// To a wrong password, after its line ending.
    pub(super) wrong: &'static str,
    /// How many wrong passwords it takes.
    pub(super) tries: u8,
    /// After the last of them, before hanging up.
    pub(super) given_up: &'static str,
    /// Before hanging up on silence.
    pub(super) timeout: &'static str,
}

/// `IAC WILL AUTHENTICATION`, `WILL ENCRYPT`, `DO TERMINAL-TYPE`, `DO TERMINAL-SPEED`, `DO X-DISPLAY-LOCATION`,
/// `DO NEW-ENVIRON`, `DO ENVIRON`.
const DEBIAN: Persona = Persona {
    name: "debian",
    opening: b"\xff\xfb\x25\xff\xfb\x26\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23\xff\xfd\x27\xff\xfd\x24",
    waits: true,
    issue: "\r\nLinux 6.1.0-37-amd64 ({host}) (pts/0)\r\n\r\n",
    notice: "",
    name_prompt: "{host} login: ",
    password_prompt: "Password: ",
    wrong: "\r\nLogin incorrect\r\n",
    tries: 5,
    given_up: "Maximum number of tries exceeded (5)\r\n",
    timeout: "\r\nLogin timed out after 60 seconds.\r\n",
};

const CISCO: Persona = Persona {
    name: "cisco",
    opening: &[255, 251, ECHO, 255, 251, SGA, 255, 253, 24, 255, 253, 31],
    waits: false,
    issue: "\r\n",
    notice: "\r\nUser Access Verification\r\n\r\n",
    name_prompt: "Username: ",
    password_prompt: "Password: ",
    wrong: "% Login invalid\r\n\r\n",
    tries: 3,
    given_up: "",
    timeout: "\r\n% Username:  timeout expired!\r\n",
};

const BUSYBOX: Persona = Persona {
    name: "busybox",
    opening: &[255, 253, ECHO, 255, 253, 31, 255, 251, ECHO, 255, 251, SGA],
    waits: false,
    issue: "\r\n",
    notice: "",
    name_prompt: "{host} login: ",
    password_prompt: "Password: ",
    wrong: "Login incorrect\r\n",
    tries: 3,
    given_up: "",
    timeout: "\r\nLogin timed out after 60 seconds\r\n",
};

static ALL: [Persona; 3] = [DEBIAN, CISCO, BUSYBOX];

/// The words for the configuration.
pub(super) const NAMES: [&str; 3] = [DEBIAN.name, CISCO.name, BUSYBOX.name];

/// The persona of that name; Debian's if there is none.
pub(super) fn named(name: &str) -> &'static Persona {
    let [debian, ..] = &ALL;
    ALL.iter().find(|persona| persona.name == name).unwrap_or(debian)
}

/// The name of the persona that a banner speaks of.
pub(super) fn spoken_of(banner: &str) -> &'static str {
    let banner = banner.to_lowercase();
    match () {
        () if banner.contains("cisco") || banner.contains("user access verification") => CISCO.name,
        () if banner.contains("busybox") => BUSYBOX.name,
        () => DEBIAN.name,
    }
}
