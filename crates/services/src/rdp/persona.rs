//! What server is imitated, and what it agrees to.

use haldane_core::Windows;

use super::{
    security::Key,
    x224::{self, Confirm},
};

/// A Windows with its remote desktop turned on.
#[derive(Debug)]
pub struct Persona {
    /// Its names and what it runs.
    pub host: Windows,
    /// Whether network level authentication is spoken.
    pub nla: bool,
    /// Whether TLS alone will do.
    pub tls: bool,
    /// The key of RDP's own security, if that will do.
    pub rdp: Option<Key>,
}

/// The flags of RDP_NEG_RSP that Windows sets since 8.1: extended client data, graphics, one that is reserved,
/// restricted administration and redirected authentication. Before, only the first.
const FLAGS: u8 = 0x1f;
/// See [`FLAGS`].
const EARLY_FLAGS: u8 = 1;
/// The first build that has them, Windows 8.1; and that which knows [`x224::HYBRID_EX`] and [`x224::RDSTLS`], 8.
const MODERN: (u16, u16) = (9600, 9200);

impl Persona {
    /// What is said to a client that offers those protocols; `None` if it negotiates nothing. The strongest wins.
    pub fn confirm(&self, offered: Option<u32>) -> Confirm {
        let Some(offered) = offered else { return Confirm::Plain };
        let allowed = [
            (x224::HYBRID_EX, self.nla && self.host.release.build >= MODERN.1),
            (x224::HYBRID, self.nla),
            (x224::SSL, self.tls),
            (x224::RDSTLS, (self.nla || self.tls) && self.host.release.build >= MODERN.1),
        ];
        let flags = if self.host.release.build < MODERN.0 { EARLY_FLAGS } else { FLAGS };
        if let Some((chosen, _)) = allowed.into_iter().find(|(flag, may)| *may && offered & flag != 0) {
            return Confirm::Chosen(chosen, flags);
        }
        match (offered, &self.rdp) {
            (x224::RDP, Some(_)) => Confirm::Chosen(x224::RDP, flags),
            (_, Some(_)) => Confirm::Failed(x224::SSL_NOT_ALLOWED),
            (_, None) if self.tls => Confirm::Failed(x224::SSL_REQUIRED),
            (_, None) => Confirm::Failed(x224::HYBRID_REQUIRED),
        }
    }

    /// The version of RDP (MS-RDPBCGR, section 2.2.1.4.2): 8.1 and before, then 10.2, 10.6, 10.10 and 10.12.
    pub fn rdp_version(&self) -> u32 {
        match self.host.release.build {
            26_100.. => 0x0008_0011,
            20_348..26_100 => 0x0008_000f,
            17_763..20_348 => 0x0008_000b,
            14_393..17_763 => 0x0008_0007,
            ..14_393 => 0x0008_0004,
        }
    }
}
