//! The workstation (MS-WKST, section 3.2.4): the machine's names.

use super::{
    call::{Answer, Call, status},
    ndr::Results,
    pdu::fault,
};

/// A machine with Windows NT (section 2.2.5.1).
const NT: u32 = 500;
/// It is in a workgroup, or in a domain (section 2.2.3.2).
const WORKGROUP: u16 = 2;
const DOMAIN: u16 = 3;

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(call: &Call<'_, '_>) -> Option<Answer> {
    match call.operation {
        0 => workstation(call),
        2 => users(call),
        20 => membership(call),
        31.. => Some(Err(fault::NO_OPERATION)),
        _ => Some(Err(fault::DENIED)),
    }
}

/// NetrWkstaGetInfo (sections 2.2.5.1 and 2.2.5.2).
fn workstation(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.pointed_text()?;
    let level = arguments.u32()?;
    let windows = &call.names.windows;
    let mut results = Results::default();
    results.u32(level);
    Some(Ok(match level {
        100 | 101 => {
            let (major, minor) = windows.release.version;
            results.pointer().u32(NT).text(&windows.computer).text(&windows.group);
            results.u32(major.into()).u32(minor.into());
            if level == 101 {
                results.text("");
            }
            results.end(status::OK)
        }
        102 | 502 => results.u32(0).end(status::DENIED),
        _ => results.u32(0).end(status::INVALID_LEVEL),
    }))
}

/// NetrWkstaUserEnum: who is logged on is the administrators' to know.
fn users(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.pointed_text()?;
    let level = arguments.u32()?;
    let mut results = Results::default();
    results.u32(level).u32(level).pointer().u32(0).u32(0);
    Some(Ok(results.u32(0).u32(0).end(status::DENIED)))
}

/// NetrGetJoinInformation.
fn membership(call: &Call<'_, '_>) -> Option<Answer> {
    call.arguments().pointed_text()?;
    let windows = &call.names.windows;
    let mut results = Results::default();
    results.text(&windows.group).settle();
    results.u16(if windows.joined() { DOMAIN } else { WORKGROUP });
    Some(Ok(results.end(status::OK)))
}
