//! What is refused: services, tasks, the registry, encrypted files and the rest; and what role the machine has in a
//! domain, which is told.

use super::{
    call::{self, Answer, Call, status},
    interfaces::{DSSETUP, EFSRPC, EFSRPC_LSA, Interface, NETLOGON, SVCCTL, WINREG},
    lsarpc,
    ndr::Results,
    pdu::fault,
};

/// Sorts of role, for the class of information about them (MS-DSSP, section 2.2.1).
const STANDALONE: u16 = 2;
const MEMBER: u16 = 3;

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(interface: &Interface, call: &mut Call<'_, '_>) -> Option<Answer> {
    let last = interface.operations.last().map_or(0, |(number, _)| *number);
    let is = |others: &[&Interface]| others.iter().any(|other| interface.is(other));
    if is(&[&DSSETUP]) {
        if call.operation == 0 { role(call) } else { Some(Err(fault::NO_OPERATION)) }
    } else if is(&[&SVCCTL]) {
        match call.operation {
            15 | 27 => Some(Ok(nothing())),
            _ => held(call),
        }
    } else if is(&[&WINREG]) {
        match call.operation {
            0..=4 | 27 | 32..=34 => Some(Ok(nothing())),
            _ => held(call),
        }
    } else if is(&[&NETLOGON]) && call.operation == 4 {
        // A challenge, if this were a domain controller.
        Some(Ok(Results::default().u32(0).u32(0).end(status::NT_DENIED)))
    } else if call.operation > last && !is(&[&EFSRPC, &EFSRPC_LSA]) {
        Some(Err(fault::NO_OPERATION))
    } else {
        Some(Err(fault::DENIED))
    }
}

/// A handle of nothing: access denied.
fn nothing() -> Vec<u8> {
    Results::default().handle(&[0; 20]).end(status::DENIED)
}

/// A call with a handle, and none was ever given.
fn held(call: &Call<'_, '_>) -> Option<Answer> {
    Some(Err(call::unknown(&call.arguments().handle()?)))
}

/// DsRolerGetPrimaryDomainInformation (MS-DSSP, section 3.2.5.1).
fn role(call: &Call<'_, '_>) -> Option<Answer> {
    let class = call.arguments().u16()?;
    let windows = &call.names.windows;
    let mut results = Results::default();
    if class != 1 {
        return Some(Ok(results.u32(0).end(status::DENIED)));
    }
    results.pointer().u16(class).u16(0);
    let role = if windows.joined() { MEMBER } else { STANDALONE };
    results.u16(role).u32(0).text(&windows.group);
    match windows.joined() {
        true => results.text(&windows.domain).text(&windows.domain),
        false => results.u32(0).u32(0),
    };
    results.raw(&lsarpc::domain_guid(call.names));
    Some(Ok(results.end(status::OK)))
}
