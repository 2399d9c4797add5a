//! Printers (MS-RPRN, section 3.1.4): the server can be opened by anyone, as on Windows, and has no printers and one
//! driver. Those who would have it run a driver of theirs begin with a look at the drivers.

use super::{
    call::{Answer, Call, Opened, status},
    ndr::Results,
    pdu::fault,
};
use crate::smb::bytes::{Put, size32};

/// The buffer is too small for the answer.
const TOO_SMALL: u32 = 122;
/// The server at the other end cannot be reached: what a notification to a stranger comes to.
const UNREACHABLE: u32 = 1722;
/// There is no such printer.
const NO_PRINTER: u32 = 1801;
/// The processor that drivers are for.
const ENVIRONMENT: &str = "Windows x64";
/// The driver that comes with Windows.
const DRIVER: &str = "Microsoft enhanced Point and Print compatibility driver";
/// Where its parts are.
const FILES: &str =
    "C:\\Windows\\System32\\DriverStore\\FileRepository\\ntprint.inf_amd64_83aa9aebf5dffc96\\Amd64\\";
const DRIVER_FILES: [&str; 3] = ["mxdwdrv.dll", "unishare.gpd", "PrintConfig.dll"];

/// The answer to a call; `None` if it has no such arguments.
pub(crate) fn answer(call: &mut Call<'_, '_>) -> Option<Answer> {
    match call.operation {
        1 | 69 => {
            let name = call.arguments().pointed_text()?.unwrap_or_default();
            // The server itself, by whatever name, and no printer of it.
            let host = name.strip_prefix("\\\\").map(|host| host.trim_end_matches('\\'));
            if !name.is_empty() && host.is_none_or(|host| host.contains('\\')) {
                return Some(Ok(Results::default().handle(&[0; 20]).end(NO_PRINTER)));
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
        0 => printers(call),
        10 => drivers(call),
        9 | 89 => Some(Ok(Results::default().end(status::DENIED))),
        105.. => Some(Err(fault::NO_OPERATION)),
        _ => Some(Err(fault::DENIED)),
    }
}

/// RpcEnumPrinters: there are none.
fn printers(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.u32()?;
    arguments.pointed_text()?;
    arguments.u32()?;
    let buffer = if arguments.pointer()? { Some(arguments.bytes()?) } else { None };
    Some(Ok(filled(buffer, Some((Vec::new(), 0)))))
}

/// RpcEnumPrinterDrivers.
fn drivers(call: &Call<'_, '_>) -> Option<Answer> {
    let mut arguments = call.arguments();
    arguments.pointed_text()?;
    let environment = arguments.pointed_text()?.unwrap_or_else(|| ENVIRONMENT.to_owned());
    let level = arguments.u32()?;
    let buffer = if arguments.pointer()? { Some(arguments.bytes()?) } else { None };
    let known = environment.eq_ignore_ascii_case(ENVIRONMENT) || environment.eq_ignore_ascii_case("all");
    let answer = match (level, known) {
        (1..=3, true) => Some((driver(level), 1)),
        (1..=3, false) => Some((Vec::new(), 0)),
        _ => None,
    };
    Some(Ok(filled(buffer, answer)))
}

/// The driver, as a structure of that level with the texts behind it (sections 2.2.2.4.1 to 2.2.2.4.3).
fn driver(level: u32) -> Vec<u8> {
    let files = DRIVER_FILES.map(|file| format!("{FILES}{file}"));
    let mut texts = vec![DRIVER];
    if level > 1 {
        texts.push(ENVIRONMENT);
        texts.extend(files.iter().map(String::as_str));
    }
    // Help, files that depend on it, a monitor and a sort of data: it has none.
    let none = if level == 3 { 4 } else { 0 };
    let mut head = Vec::new();
    if level > 1 {
        head.u32(3);
    }
    let mut place = head.len().saturating_add(texts.len().saturating_add(none).saturating_mul(4));
    let mut tail = Vec::new();
    for text in texts {
        head.u32(size32(place));
        let before = tail.len();
        tail.wide(text).u16(0);
        place = place.saturating_add(tail.len().saturating_sub(before));
    }
    head.zeros(none.saturating_mul(4)).raw(&tail);
    head
}

/// The client's buffer with an answer in it, how many bytes that needs, and how many it tells of. `None`: the level is
/// not known.
fn filled(buffer: Option<&[u8]>, answer: Option<(Vec<u8>, u32)>) -> Vec<u8> {
    let room = buffer.map_or(0, <[u8]>::len);
    let (content, count, code) = match answer {
        None => (Vec::new(), 0, status::INVALID_LEVEL),
        Some((content, count)) if content.len() <= room => (content, count, status::OK),
        Some((content, _)) => (content, 0, TOO_SMALL),
    };
    let mut results = Results::default();
    match buffer {
        None => {
            results.u32(0);
        }
        Some(buffer) => {
            results.pointer().u32(size32(buffer.len()));
            let used = if code == status::OK { content.len() } else { 0 };
            results.raw(content.get(..used).unwrap_or_default());
            results.raw(buffer.get(used..).unwrap_or_default());
        }
    }
    results.u32(size32(content.len())).u32(count).end(code)
}
