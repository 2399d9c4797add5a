//! Shares (MS-SRVS, section 3.1.4). Whoever comes may see the list, and what the server is; the rest is the
//! administrators'.

use std::time::{Duration, SystemTime};

use super::{
    ShareSort,
    call::{Answer, Call, status},
    ndr::Results,
    pdu::fault,
};

/// There is no such share.
const NO_SHARE: u32 = 2310;
/// No name is like that: what a server without the hole of 2008 says to `..`.
const INVALID_NAME: u32 = 123;
/// Shares that Windows made itself (section 2.2.2.4).
const SPECIAL: u32 = 0x8000_0000;
/// Named pipes.
const IPC: u32 = 3;
/// A server with Windows NT (section 2.2.2.7).
const NT: u32 = 500;
/// Workstation, server, Windows NT and a server of it (section 2.2.2.7).
const SERVER: u32 = 0x9003;
/// Milliseconds of a tick of the clock, times ten.
const TICK: u32 = 310;

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(call: &mut Call<'_, '_>) -> Option<Answer> {
    match call.operation {
        8 => listing(call, 1, |_, _| None),
        9 => listing(call, 2, |_, _| None),
        12 => listing(call, 2, |_, _| None),
        15 => listing(call, 0, shares),
        36 => listing(call, 0, |_, _| None),
        14 => Some(Ok(Results::default().u32(0).end(status::DENIED))),
        16 => share(call),
        21 => server(call),
        28 => time(call),
        31 | 32 => Some(Ok(refused_path(call.operation))),
        11 | 13 | 18 | 19 | 38 | 53 | 56 | 57 => Some(Ok(Results::default().end(status::DENIED))),
        0..=7 | 58.. => Some(Err(fault::NO_OPERATION)),
        _ => Some(Err(fault::DENIED)),
    }
}

/// A list of one of several levels: the name of the server, as many texts to choose by, the level, what to fill, how
/// much and from where on. `None` from `entries`: only administrators may see that.
fn listing(
    call: &Call<'_, '_>,
    filters: usize,
    entries: impl Fn(&Call<'_, '_>, u32) -> Option<Result<Results, u32>>,
) -> Option<Answer> {
    let mut arguments = call.arguments();
    for _ in 0..=filters {
        arguments.pointed_text()?;
    }
    let level = arguments.u32()?;
    if arguments.u32()? != level {
        return None;
    }
    let container = arguments.pointer()?;
    if container {
        arguments.u32()?;
        // A list that is to be filled is empty.
        if arguments.pointer()? && arguments.u32()? != 0 {
            return None;
        }
    }
    arguments.u32()?;
    let resume = arguments.pointer()?;
    if resume {
        arguments.u32()?;
    }
    let listed = if container { entries(call, level) } else { Some(Err(87)) };
    let (mut results, total, code) = match listed {
        Some(Ok(results)) => (results, size(call), status::OK),
        Some(Err(code)) => (empty(level, container), 0, code),
        None => (empty(level, container), 0, status::DENIED),
    };
    results.settle().u32(total);
    match resume {
        true => results.pointer().u32(0),
        false => results.u32(0),
    };
    Some(Ok(results.end(code)))
}

fn size(call: &Call<'_, '_>) -> u32 {
    crate::smb::bytes::size32(call.names.shares.len())
}

fn empty(level: u32, container: bool) -> Results {
    let mut results = Results::default();
    results.u32(level).u32(level);
    match container {
        true => results.pointer().u32(0).u32(0),
        false => results.u32(0),
    };
    results
}

/// All shares.
fn shares(call: &Call<'_, '_>, level: u32) -> Option<Result<Results, u32>> {
    match level {
        0 | 1 | 501 => {}
        2 | 502 | 503 => return None,
        _ => return Some(Err(status::INVALID_LEVEL)),
    }
    let mut results = Results::default();
    results.u32(level).u32(level).pointer().u32(size(call)).pointer().u32(size(call));
    for share in &call.names.shares {
        one(&mut results, level, share);
    }
    Some(Ok(results))
}

/// One share (sections 2.2.4.22, 2.2.4.23 and 2.2.4.25).
fn one(results: &mut Results, level: u32, (name, sort, comment): &(String, ShareSort, String)) {
    results.text(name);
    if level > 0 {
        let sort = match sort {
            ShareSort::Disk => 0,
            ShareSort::Hidden => SPECIAL,
            ShareSort::Pipes => SPECIAL | IPC,
        };
        results.u32(sort).text(comment);
    }
    if level == 501 {
        results.u32(0);
    }
}

/// NetrShareGetInfo.
fn share(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.pointed_text()?;
    let name = arguments.text()?.to_lowercase();
    let level = arguments.u32()?;
    let share = call.names.shares.iter().find(|(known, ..)| known.to_lowercase() == name);
    let mut results = Results::default();
    results.u32(level);
    Some(Ok(match (share, level) {
        (_, 2 | 502 | 503) => results.u32(0).end(status::DENIED),
        (None, 0 | 1 | 501 | 1005) => results.u32(0).end(NO_SHARE),
        (Some(share), 0 | 1 | 501) => {
            one(results.pointer(), level, share);
            results.end(status::OK)
        }
        (Some(_), 1005) => results.pointer().u32(0).end(status::OK),
        _ => results.u32(0).end(status::INVALID_LEVEL),
    }))
}

/// NetrServerGetInfo (sections 2.2.4.40 and 2.2.4.41).
fn server(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.pointed_text()?;
    let level = arguments.u32()?;
    let windows = &call.names.windows;
    let mut results = Results::default();
    results.u32(level);
    Some(Ok(match level {
        100 => results.pointer().u32(NT).text(&windows.computer).end(status::OK),
        101 => {
            let (major, minor) = windows.release.version;
            results.pointer().u32(NT).text(&windows.computer).u32(major.into()).u32(minor.into());
            results.u32(SERVER).text("").end(status::OK)
        }
        102 | 103 | 502 | 503 => results.u32(0).end(status::DENIED),
        _ => results.u32(0).end(status::INVALID_LEVEL),
    }))
}

/// NetrRemoteTOD (section 2.2.4.105), in universal time.
fn time(call: &Call<'_, '_>) -> Option<Answer> {
    call.arguments().pointed_text()?;
    let since = call.cx.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).ok()?;
    let now = jiff::Timestamp::from_second(seconds).ok()?.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let small = |number: i8| u32::try_from(number).unwrap_or_default();
    let mut results = Results::default();
    results.pointer().u32(u32::try_from(since.as_secs()).unwrap_or(u32::MAX));
    results.u32(running(since)).u32(small(now.hour())).u32(small(now.minute())).u32(small(now.second()));
    results.u32(since.subsec_millis() / 10).u32(0).u32(TICK);
    results.u32(small(now.day())).u32(small(now.month())).u32(u32::try_from(now.year()).unwrap_or_default());
    results.u32(small(now.weekday().to_sunday_zero_offset()));
    Some(Ok(results.end(status::OK)))
}

/// Milliseconds since some start; they come round every 49 days.
fn running(since: Duration) -> u32 {
    u32::try_from(since.as_millis() % (1 << 32)).unwrap_or_default()
}

/// NetprPathCanonicalize and NetprPathCompare.
fn refused_path(operation: u16) -> Vec<u8> {
    let mut results = Results::default();
    if operation == 31 {
        // No bytes of a path, and its sort.
        results.u32(0).u32(0);
    }
    results.end(INVALID_NAME)
}
