//! The versions of SQL Server, and what each says.

use haldane_core::Windows;
use haldane_tls::Acceptor;

/// The default instance.
pub const INSTANCE: &str = "MSSQLSERVER";

/// One version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// What people call it.
    pub name: &'static str,
    /// Major and minor version, and the build; the newest service pack, or what a fresh installation has where
    /// there are none any more.
    pub number: (u8, u8, u16),
    /// The part of the build that the pre-login message does not tell.
    pub revision: u16,
}

impl Version {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self { name: "2008R2", number: (10, 50, 6000), revision: 34 },
        Self { name: "2012", number: (11, 0, 7001), revision: 0 },
        Self { name: "2014", number: (12, 0, 6024), revision: 0 },
        Self { name: "2016", number: (13, 0, 6300), revision: 2 },
        Self { name: "2017", number: (14, 0, 1000), revision: 169 },
        Self { name: "2019", number: (15, 0, 2000), revision: 5 },
        Self { name: "2022", number: (16, 0, 1000), revision: 6 },
    ];
    /// Their names.
    pub const NAMES: [&'static str; 7] = ["2008R2", "2012", "2014", "2016", "2017", "2019", "2022"];
    /// The one that a decoy is unless it is told another.
    pub const USUAL: &'static str = "2019";

    /// The version of that name; the newest if there is none.
    pub fn named(name: &str) -> Self {
        let [.., newest] = Self::ALL;
        Self::ALL.into_iter().find(|version| version.name == name).unwrap_or(newest)
    }

    /// As `SELECT SERVERPROPERTY('ProductVersion')` gives it: `15.0.2000.5`.
    pub fn product(self) -> String {
        let (major, minor, build) = self.number;
        format!("{major}.{minor}.{build}.{}", self.revision)
    }

    /// Whether it speaks TDS 8.0: TLS from the first byte.
    pub fn is_strict(self) -> bool {
        self.number.0 >= 16
    }

    /// Whether the certificate that it makes for itself is of the old kind: RSA with 1024 bits, SHA-1.
    pub fn has_old_certificate(self) -> bool {
        self.number.0 < 14
    }

    /// What it says to a Windows account that it cannot verify (error 18452).
    pub fn untrusted(self) -> &'static str {
        match self.number.0 {
            ..14 => {
                "Login failed. The login is from an untrusted domain and cannot be used with Windows \
                 authentication."
            }
            _ => {
                "Login failed. The login is from an untrusted domain and cannot be used with Integrated \
                 authentication."
            }
        }
    }
}

/// The server that is imitated.
#[derive(Debug)]
pub struct Persona {
    /// Its version.
    pub version: Version,
    /// Its instance.
    pub instance: String,
    /// What it calls itself in errors: `FILES01`, or `FILES01\PAYROLL`.
    pub name: String,
    /// Its machine.
    pub windows: Windows,
    /// Whether it takes no login without encryption.
    pub insists: bool,
    /// TLS inside pre-login packets.
    pub wrapped: Option<Acceptor>,
    /// TLS from the first byte, where it speaks TDS 8.0.
    pub strict: Option<Acceptor>,
}

/// What a server calls itself.
pub fn server(windows: &Windows, instance: &str) -> String {
    match instance.eq_ignore_ascii_case(INSTANCE) {
        true => windows.computer.clone(),
        false => format!("{}\\{}", windows.computer, instance.to_uppercase()),
    }
}
