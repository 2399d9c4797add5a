//! What is refused: services, tasks, the registry, encrypted files and the rest. A printer can be opened by anyone, as on
//! Windows, so that it shows what for.

use super::{
    call::{self, Answer, Call, Opened, status},
    interfaces::{EFSRPC, EFSRPC_LSA, Interface, NETLOGON, SPOOLSS, SVCCTL, WINREG},
    ndr::Results,
    pdu::fault,
};

/// The server at the other end cannot be reached: what a notification to a stranger comes to.
const UNREACHABLE: u32 = 1722;
/// The name of a printer is none.
const INVALID_PRINTER: u32 = 1801;
/// Sorts of role, for the class of information about them (MS-DSSP, section 2.2.1).
const STANDALONE: u16 = 2;
const MEMBER: u16 = 3;

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(interface: &Interface, call: &mut Call<'_, '_>) -> Option<Answer> {
    let last = interface.operations.last().map_or(0, |(number, _)| *number);
    let is = |others: &[&Interface]| others.iter().any(|other| interface.is(other));
    if is(&[&SPOOLSS]) {
        printers(call)
    } else if interface.name == "dssetup" {
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

/// Printers (MS-RPRN, section 3.1.4).
fn printers(call: &mut Call<'_, '_>) -> Option<Answer> {
    match call.operation {
        1 | 69 => {
            let name = call.arguments().pointed_text()?.unwrap_or_default();
            // The server itself, by whatever name, and no printer of it.
            let server =
                name.is_empty() || name.strip_prefix("\\\\").is_some_and(|host| !host.contains('\\'));
            if !server {
                return Some(Ok(Results::default().handle(&[0; 20]).end(INVALID_PRINTER)));
            }
            let opened = call.opened(Opened::Printer);
            Some(opened.map(|handle| Results::default().handle(&handle).end(status::OK)))
        }
        29 => {
            let handle = call.arguments().handle()?;
            let closed = call.handles.close(&handle);
            Some(closed.map(|()| Results::default().handle(&[0; 20]).end(status::OK)))
        }
        62 | 65 => {
            let handle = call.arguments().handle()?;
            let known = call.handles.get(&handle, Opened::Printer);
            Some(known.map(|()| Results::default().end(UNREACHABLE)))
        }
        // How much room is needed, and how many there are.
        0 => Some(Ok(enumeration(call, 2)?)),
        10 => Some(Ok(enumeration(call, 3)?)),
        9 | 89 => Some(Ok(Results::default().end(status::DENIED))),
        105.. => Some(Err(fault::NO_OPERATION)),
        _ => Some(Err(fault::DENIED)),
    }
}

/// RpcEnumPrinters and RpcEnumPrinterDrivers: this server has none of either.
fn enumeration(call: &Call<'_, '_>, _arguments: usize) -> Option<Vec<u8>> {
    let mut arguments = call.arguments();
    if call.operation == 0 {
        arguments.u32()?;
    }
    arguments.pointed_text()?;
    if call.operation == 10 {
        arguments.pointed_text()?;
    }
    arguments.u32()?;
    let buffer = if arguments.pointer()? { Some(arguments.u32()?) } else { None };
    let mut results = Results::default();
    match buffer {
        Some(size) => {
            results.pointer().u32(size);
            results.raw(arguments.take(usize::try_from(size).ok()?)?);
        }
        None => drop(results.u32(0)),
    }
    Some(results.u32(0).u32(0).end(status::OK))
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
    results.raw(&[0; 16]);
    Some(Ok(results.end(status::OK)))
}
