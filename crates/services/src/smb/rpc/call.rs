//! One call: who answers it, and the handles of what calls before it have opened.

use haldane_core::Cx;

use super::{
    Names,
    interfaces::{self, Interface},
    lsarpc,
    ndr::Arguments,
    others,
    pdu::fault,
    printers, samr, srvsvc, wkssvc,
};

/// Most things that are open at once.
pub(crate) const HANDLES: usize = 64;

/// Results of a call, or the number of the fault.
pub(crate) type Answer = Result<Vec<u8>, u32>;

/// Numbers by which results end (MS-ERREF, sections 2.2 and 2.3).
pub(crate) mod status {
    /// Done.
    pub(crate) const OK: u32 = 0;
    /// Access denied, of the older kind.
    pub(crate) const DENIED: u32 = 5;
    /// The level of a structure is not known.
    pub(crate) const INVALID_LEVEL: u32 = 124;
    /// `STATUS_ACCESS_DENIED`.
    pub(crate) const NT_DENIED: u32 = 0xc000_0022;
    /// `STATUS_INVALID_PARAMETER`.
    pub(crate) const NT_INVALID: u32 = 0xc000_000d;
    /// `STATUS_NO_SUCH_DOMAIN`.
    pub(crate) const NT_NO_DOMAIN: u32 = 0xc000_00df;
}

/// What can be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opened {
    /// The policy of the machine.
    Policy,
    /// The server of accounts.
    Accounts,
    /// One domain of it.
    Domain,
    /// A printer, or the server of printers.
    Printer,
}

/// What is open.
#[derive(Debug, Default)]
pub(crate) struct Handles(Vec<([u8; 20], Opened)>);

impl Handles {
    /// What that handle stands for. Handles that were never given are a fault.
    ///
    /// # Errors
    /// The fault.
    pub(crate) fn get(&self, handle: &[u8; 20], wanted: Opened) -> Result<(), u32> {
        match self.0.iter().any(|known| known == &(*handle, wanted)) {
            true => Ok(()),
            false => Err(unknown(handle)),
        }
    }

    /// Forgets it.
    ///
    /// # Errors
    /// The fault.
    pub(crate) fn close(&mut self, handle: &[u8; 20]) -> Result<(), u32> {
        let at = self.0.iter().position(|(known, _)| known == handle).ok_or_else(|| unknown(handle))?;
        self.0.swap_remove(at);
        Ok(())
    }
}

/// The fault for a handle that was never given.
pub(crate) fn unknown(handle: &[u8; 20]) -> u32 {
    if *handle == [0; 20] { fault::NULL_HANDLE } else { fault::NO_HANDLE }
}

/// A call.
pub(crate) struct Call<'a, 'c> {
    /// What is told.
    pub(crate) names: &'a Names,
    /// What is open on this pipe.
    pub(crate) handles: &'a mut Handles,
    /// The number of the operation.
    pub(crate) operation: u16,
    /// Its arguments.
    pub(crate) stub: &'a [u8],
    /// Time and chance.
    pub(crate) cx: &'a mut Cx<'c>,
}

impl<'a> Call<'a, '_> {
    /// What it returns.
    pub(crate) fn answer(&mut self, interface: &Interface) -> Answer {
        let answer = if interface.is(&interfaces::SRVSVC) {
            srvsvc::answer(self)
        } else if interface.is(&interfaces::WKSSVC) {
            wkssvc::answer(self)
        } else if interface.is(&interfaces::LSARPC) {
            lsarpc::answer(self)
        } else if interface.is(&interfaces::SAMR) {
            samr::answer(self)
        } else if interface.is(&interfaces::SPOOLSS) {
            printers::answer(self)
        } else {
            others::answer(interface, self)
        };
        answer.unwrap_or(Err(fault::BAD_STUB))
    }

    /// Its arguments, from the front.
    pub(crate) fn arguments(&self) -> Arguments<'a> {
        Arguments::new(self.stub)
    }

    /// A handle for something.
    ///
    /// # Errors
    /// The fault, if too much is open.
    pub(crate) fn opened(&mut self, what: Opened) -> Result<[u8; 20], u32> {
        if self.handles.0.len() >= HANDLES {
            return Err(fault::DENIED);
        }
        let mut handle = [0; 20];
        if let Some(number) = handle.get_mut(4..) {
            self.cx.fill(number);
        }
        self.handles.0.push((handle, what));
        Ok(handle)
    }
}
