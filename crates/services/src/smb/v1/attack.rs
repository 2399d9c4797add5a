//! Attacks on SMB 1 that are known by what they send.

use haldane_core::Cx;

use super::{
    super::{
        evidence,
        server::{Share, Sort},
    },
    Dialogue,
};

/// The holes in the handling of transactions that EternalBlue and its kin go through.
pub(super) const MS17_010: &str = "MS17-010";
/// The one of them that WannaCry used.
pub(super) const ETERNAL_BLUE: &str = "EternalBlue (MS17-010)";

/// Those that read memory by way of a confused transaction.
pub(super) const ETERNAL_ROMANCE: &str = "EternalRomance (MS17-010)";
/// The back door that these leave.
pub(super) const DOUBLE_PULSAR: &str = "DoublePulsar";
/// Samba loads a library that was written to a share.
const SAMBA_CRY: &str = "SambaCry (CVE-2017-7494)";

impl Dialogue {
    /// Reports an attack, each step of it once.
    pub(super) fn attack(&mut self, name: &'static str, step: &'static str, cx: &mut Cx<'_>) {
        if self.attacks.insert((name, step)) {
            cx.report(evidence::exploit(name).with("step", step));
        }
    }

    /// A library that is to be loaded as if it were a pipe: Samba has done so, Windows never.
    pub(super) fn samba_cry(&mut self, path: &str, share: &Share, cx: &mut Cx<'_>) {
        if matches!(share.sort, Sort::Pipes) && path.contains('/') && path.contains(".so") {
            self.attack(SAMBA_CRY, "library opened as a pipe", cx);
        }
    }

    /// What was begun and never finished.
    pub(super) fn abandoned(&mut self, cx: &mut Cx<'_>) {
        for left in self.waiting.left() {
            if left.total_data > usize::from(u16::MAX) {
                self.attack(ETERNAL_BLUE, "oversized transaction", cx);
            }
        }
    }
}
