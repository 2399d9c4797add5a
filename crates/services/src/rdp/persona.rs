//! What server is imitated, and what it agrees to.

use super::{
    security::Key,
    x224::{self, Confirm},
};

/// A Windows with its remote desktop turned on.
#[derive(Debug)]
pub struct Persona {
    /// The machine's name.
    pub name: String,
    /// Whether network level authentication is spoken.
    pub nla: bool,
    /// Whether TLS alone will do.
    pub tls: bool,
    /// The key of RDP's own security, if that will do.
    pub rdp: Option<Key>,
}

/// The flags of RDP_NEG_RSP that Windows sets since 8.1: extended client data, graphics, one that is reserved,
/// restricted administration and redirected authentication.
const FLAGS: u8 = 0x1f;

/// RDP 10.6, which is that of Windows Server 2019 (MS-RDPBCGR, section 2.2.1.4.2).
pub const RDP_VERSION: u32 = 0x0008_000b;

impl Persona {
    /// What is said to a client that offers those protocols; `None` if it negotiates nothing. The strongest wins.
    pub fn confirm(&self, offered: Option<u32>) -> Confirm {
        let Some(offered) = offered else { return Confirm::Plain };
        let allowed = [
            (x224::HYBRID_EX, self.nla),
            (x224::HYBRID, self.nla),
            (x224::SSL, self.tls),
            (x224::RDSTLS, self.nla || self.tls),
        ];
        if let Some((chosen, _)) = allowed.into_iter().find(|(flag, may)| *may && offered & flag != 0) {
            return Confirm::Chosen(chosen, FLAGS);
        }
        match (offered, &self.rdp) {
            (x224::RDP, Some(_)) => Confirm::Chosen(x224::RDP, FLAGS),
            (_, Some(_)) => Confirm::Failed(x224::SSL_NOT_ALLOWED),
            (_, None) if self.tls => Confirm::Failed(x224::SSL_REQUIRED),
            (_, None) => Confirm::Failed(x224::HYBRID_REQUIRED),
        }
    }
}
