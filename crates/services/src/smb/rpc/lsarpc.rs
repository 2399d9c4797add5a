//! The policy of the machine (MS-LSAD, section 3.1.4; MS-LSAT, section 3.1.4): its domain and its own accounts' SID are
//! told; accounts are not.

use sha2::{Digest, Sha256};

use super::{
    Names,
    call::{Answer, Call, Opened, status},
    ndr::Results,
    pdu::fault,
};

/// Classes of information (MS-LSAD, section 2.2.4.1).
mod class {
    pub(super) const PRIMARY_DOMAIN: u16 = 3;
    pub(super) const ACCOUNT_DOMAIN: u16 = 5;
    pub(super) const DNS_DOMAIN: u16 = 12;
    pub(super) const LAST: u16 = 14;
}

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(call: &mut Call<'_, '_>) -> Option<Answer> {
    let denied = |numbers: usize| {
        let mut results = Results::default();
        for _ in 0..numbers {
            results.u32(0);
        }
        Ok(results.end(status::NT_DENIED))
    };
    match call.operation {
        // No secret of the names, and who may open the policy depends on what is asked of it later.
        6 | 44 => {
            Some(call.opened(Opened::Policy).map(|handle| Results::default().handle(&handle).end(status::OK)))
        }
        45 => Some(denied(2)),
        76 | 77 => Some(Err(fault::DENIED)),
        82.. => Some(Err(fault::NO_OPERATION)),
        _ => {
            let handle = call.arguments().handle()?;
            if call.operation == 0 {
                return Some(
                    call.handles.close(&handle).map(|()| Results::default().handle(&[0; 20]).end(status::OK)),
                );
            }
            if let Err(fault) = call.handles.get(&handle, Opened::Policy) {
                return Some(Err(fault));
            }
            match call.operation {
                7 | 46 => information(call),
                // Domains, names or SIDs, and how many were found.
                14 | 15 | 57 | 58 | 68 => Some(denied(4)),
                // Where to go on, how many, and which.
                2 | 11 | 13 | 50 => Some(denied(3)),
                // A handle of nothing.
                10 | 16 | 17 | 28 => Some(denied(5)),
                // Nothing but how it went.
                4 | 8 | 37 | 38 | 47 => Some(denied(0)),
                _ => Some(Err(fault::DENIED)),
            }
        }
    }
}

/// LsarQueryInformationPolicy.
fn information(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.handle()?;
    let class = arguments.u16()?;
    let windows = &call.names.windows;
    let mut results = Results::default();
    match class {
        class::PRIMARY_DOMAIN => {
            results.pointer().u16(class).counted(&windows.group);
            domain_sid(&mut results, call.names);
        }
        class::ACCOUNT_DOMAIN => {
            results.pointer().u16(class).counted(&windows.computer);
            results.sid(&machine(call.names));
        }
        class::DNS_DOMAIN => {
            results.pointer().u16(class).counted(&windows.group);
            results.counted(&windows.domain).counted(&windows.domain);
            results.raw(&domain_guid(call.names));
            domain_sid(&mut results, call.names);
        }
        1..=class::LAST => return Some(Ok(results.u32(0).end(status::NT_DENIED))),
        _ => return Some(Ok(results.u32(0).end(status::NT_INVALID))),
    }
    Some(Ok(results.end(status::OK)))
}

fn domain_sid(results: &mut Results, names: &Names) {
    match domain(names) {
        Some(sid) => results.sid(&sid),
        None => results.u32(0),
    };
}

/// The SID of the machine's own accounts.
pub(crate) fn machine(names: &Names) -> [u32; 4] {
    let [a, b, c] = names.sid;
    [21, a, b, c]
}

/// The SID of its domain: the same on each machine of it, and so made of the domain's name.
fn domain(names: &Names) -> Option<[u32; 4]> {
    let [a, b, c, ..] = numbers(names);
    names.windows.joined().then_some([21, a, b, c])
}

/// The GUID of its domain, of the same kind as those that are random (RFC 4122, section 4.4); none without a domain.
pub(crate) fn domain_guid(names: &Names) -> [u8; 16] {
    if !names.windows.joined() {
        return [0; 16];
    }
    let [.., d, e, f, g] = numbers(names);
    let parts = [d, e & 0x0fff_ffff | 0x4000_0000, f & !0xc0 | 0x80, g].map(u32::to_le_bytes);
    parts.concat().try_into().unwrap_or_default()
}

/// What looks random and follows from the domain's name.
fn numbers(names: &Names) -> [u32; 8] {
    let hash: [u8; 32] = Sha256::digest(names.windows.domain.to_lowercase()).into();
    let (parts, _) = hash.as_chunks();
    let mut numbers = [0; 8];
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = u32::from_le_bytes(*part);
    }
    numbers
}
