//! Attacks on SMB 1 that are known by what they send.

use haldane_core::Cx;

use super::{super::evidence, Dialogue};

/// The holes in the handling of transactions that EternalBlue and its kin go through.
pub(super) const MS17_010: &str = "MS17-010";
/// The one of them that WannaCry used.
pub(super) const ETERNAL_BLUE: &str = "EternalBlue (MS17-010)";

/// Those that read memory by way of a confused transaction.
pub(super) const ETERNAL_ROMANCE: &str = "EternalRomance (MS17-010)";
/// The back door that these leave.
pub(super) const DOUBLE_PULSAR: &str = "DoublePulsar";

impl Dialogue {
    /// Reports an attack, each step of it once.
    pub(super) fn attack(&mut self, name: &'static str, step: &'static str, cx: &mut Cx<'_>) {
        if self.attacks.insert((name, step)) {
            cx.report(evidence::exploit(name).with("step", step));
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
