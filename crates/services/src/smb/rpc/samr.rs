//! Accounts (MS-SAMR, section 3.1.5): which domains there are is told, who is in them is not.

use super::{
    call::{Answer, Call, Opened, status},
    lsarpc,
    ndr::{Arguments, Results},
    pdu::fault,
};

/// The domain of the groups that Windows made itself.
const BUILTIN: &str = "Builtin";
/// The last part of its SID.
const BUILTIN_SID: u32 = 32;

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(call: &mut Call<'_, '_>) -> Option<Answer> {
    match call.operation {
        0 | 57 | 62 => Some(open(call, Opened::Accounts)),
        64 => Some(connect5(call)),
        68.. => Some(Err(fault::NO_OPERATION)),
        56 => Some(Ok(passwords())),
        54 | 55 | 63 => Some(Ok(Results::default().end(status::NT_DENIED))),
        _ => {
            let mut arguments = call.arguments();
            let handle = arguments.handle()?;
            match call.operation {
                1 => Some(
                    call.handles.close(&handle).map(|()| Results::default().handle(&[0; 20]).end(status::OK)),
                ),
                5..=7 => match call.handles.get(&handle, Opened::Accounts) {
                    Err(fault) => Some(Err(fault)),
                    Ok(()) if call.operation == 5 => look_up(call, arguments),
                    Ok(()) if call.operation == 6 => Some(Ok(domains(call))),
                    Ok(()) => Some(open(call, Opened::Domain)),
                },
                40 | 48 | 51 => {
                    let class = arguments.u16()?;
                    Some(call.handles.get(&handle, Opened::Domain).map(|()| no_display(class)))
                }
                _ => Some(call.handles.get(&handle, Opened::Domain).map(|()| denied(call.operation))),
            }
        }
    }
}

fn open(call: &mut Call<'_, '_>, what: Opened) -> Answer {
    call.opened(what).map(|handle| Results::default().handle(&handle).end(status::OK))
}

/// SamrConnect5: what the server can do comes before the handle.
fn connect5(call: &mut Call<'_, '_>) -> Answer {
    call.opened(Opened::Accounts).map(|handle| {
        let mut results = Results::default();
        results.u32(1).u32(1).u32(3).u32(0);
        results.handle(&handle).end(status::OK)
    })
}

/// SamrEnumerateDomainsInSamServer.
fn domains(call: &Call<'_, '_>) -> Vec<u8> {
    let mut results = Results::default();
    results.u32(2).pointer().u32(2).pointer().u32(2);
    for name in [call.names.windows.computer.as_str(), BUILTIN] {
        results.u32(0).counted(name);
    }
    results.settle().u32(2);
    results.end(status::OK)
}

/// SamrLookupDomainInSamServer.
fn look_up(call: &Call<'_, '_>, mut arguments: Arguments<'_>) -> Option<Answer> {
    arguments.u16()?;
    arguments.u16()?;
    let name = arguments.pointed_text()?.unwrap_or_default();
    let mut results = Results::default();
    Some(Ok(if name.eq_ignore_ascii_case(&call.names.windows.computer) {
        results.sid(&lsarpc::machine(call.names)).end(status::OK)
    } else if name.eq_ignore_ascii_case(BUILTIN) {
        results.sid(&[BUILTIN_SID]).end(status::OK)
    } else {
        results.u32(0).end(status::NT_NO_DOMAIN)
    }))
}

/// SamrGetDomainPasswordInformation: of no length, and complex, as a server is set up.
fn passwords() -> Vec<u8> {
    Results::default().u16(0).u32(1).end(status::OK)
}

/// SamrQueryDisplayInformation: of none, none, and a list of that class without any.
fn no_display(class: u16) -> Vec<u8> {
    let mut results = Results::default();
    results.u32(0).u32(0).u16(class).u32(0).u32(0);
    results.end(status::NT_DENIED)
}

/// What only administrators may, in the form that the operation's results have.
fn denied(operation: u16) -> Vec<u8> {
    let numbers = match operation {
        // Where to go on, which, and how many.
        11 | 13 | 15 => 3,
        // Two lists.
        17 | 18 => 4,
        // Information.
        3 | 8 | 16 | 46 => 1,
        // A handle of nothing, and what was granted or its number.
        10 | 12 | 14 => 6,
        50 => 7,
        19 | 27 | 34 => 5,
        _ => 0,
    };
    let mut results = Results::default();
    for _ in 0..numbers {
        results.u32(0);
    }
    results.end(status::NT_DENIED)
}
