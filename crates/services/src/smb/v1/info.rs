//! What files and volumes are asked about (MS-CIFS, sections 2.2.8.2 and 2.2.8.3; levels from 1000 on are classes of
//! MS-FSCC, section 2.4, as MS-SMB, section 2.2.2.3.5, has them passed through).

use std::time::SystemTime;

use haldane_wire::ntlm::{filetime, wide};

use super::{
    super::{
        bait::Node,
        bytes::{Put, size32},
        disk,
        open::attribute,
        status::Status,
    },
    Call, Dialogue, INVALID_LEVEL,
    calls::Answered,
    reply::oem,
    transaction::Answer,
};

/// What is known of a file.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) name: &'a str,
    pub(super) short: &'a str,
    pub(super) folder: bool,
    pub(super) size: u64,
    pub(super) id: u64,
    times: [SystemTime; 3],
}

impl<'a> Facts<'a> {
    pub(super) fn of(node: &'a Node) -> Self {
        Self {
            name: &node.name,
            short: &node.short,
            folder: node.folder,
            size: if node.folder { 0 } else { node.size },
            id: disk::number(node),
            times: [node.created, node.accessed, node.changed],
        }
    }

    /// The same by another name.
    pub(super) fn called(self, name: &'a str) -> Self {
        Self { name, short: "", ..self }
    }

    /// Bytes on the disk.
    pub(super) fn allocated(&self) -> u64 {
        disk::allocated(self.size)
    }

    pub(super) fn attributes(&self) -> u32 {
        if self.folder { attribute::DIRECTORY } else { attribute::ARCHIVE }
    }

    /// When it was made, read, written and changed.
    pub(super) fn times(&self, out: &mut Vec<u8>) {
        let [created, accessed, changed] = self.times;
        for time in [created, accessed, changed, changed] {
            out.u64(filetime(time));
        }
    }

    /// As OS/2 had it: times, sizes and attributes (section 2.2.8.1.1).
    pub(super) fn old(&self, out: &mut Vec<u8>) {
        for time in self.times {
            let (date, clock) = dos_time(time);
            out.u16(date).u16(clock);
        }
        let half = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        out.u32(half(self.size)).u32(half(self.allocated())).u32(self.attributes());
        // Only half of the attributes has room.
        out.truncate(out.len().saturating_sub(2));
    }

    /// Seconds since 1970 when it was last written, in this machine's time.
    pub(super) fn written(&self) -> u32 {
        let [.., changed] = self.times;
        let since = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
    }
}

/// A name as the client wishes it. Where a search lists it, clients without Unicode get a zero behind it.
pub(super) fn name(text: &str, unicode: bool, listed: bool) -> Vec<u8> {
    match (unicode, listed) {
        (true, _) => wide(text),
        (false, true) => [oem(text), vec![0]].concat(),
        (false, false) => oem(text),
    }
}

/// Date and time of DOS (section 2.2.1.4), with a day of the calendar that has repeated since 1970.
pub(super) fn dos_time(time: SystemTime) -> (u16, u16) {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, clock) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March 0000, in periods of 400 years.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let leaps = (day / 1460).saturating_add(day / 146_096).saturating_sub(day / 36_524);
    let year = day.saturating_sub(leaps) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(before);
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let first = month.saturating_mul(153).saturating_add(2) / 5;
    let day = day.saturating_sub(first).saturating_add(1);
    let (month, later) = if month < 10 { (month.saturating_add(3), 0) } else { (month.saturating_sub(9), 1) };
    let year = era.saturating_mul(400).saturating_add(year).saturating_add(later).saturating_sub(1980);
    let date = year << 9 | month << 5 | day;
    let clock = (clock / 3600) << 11 | (clock / 60 % 60) << 5 | (clock % 60 / 2);
    (u16::try_from(date).unwrap_or_default(), u16::try_from(clock).unwrap_or_default())
}

impl Dialogue {
    pub(super) fn query_path(&mut self, level: u16, path: &[u8], call: &mut Call<'_, '_>) -> Answered {
        let folder = self.folder(call)?;
        let path = String::from_utf8_lossy(path).into_owned();
        let id = folder.find(&units(&path)).map_err(super::files::why)?;
        let node = folder.node(id).ok_or(Status::OBJECT_NAME_NOT_FOUND)?;
        about(&Facts::of(node), &path, level, call)
    }

    pub(super) fn query_file(&mut self, fid: u16, level: u16, call: &mut Call<'_, '_>) -> Answered {
        let (_, share) = self.share(call)?;
        let held = self.held(fid, call)?;
        match held.open.node(share) {
            Some(node) => about(&Facts::of(node), &held.open.path, level, call),
            // A pipe: it has no time, and one name.
            None => {
                let pipe = Facts {
                    name: &held.open.path,
                    short: "",
                    folder: false,
                    size: 0,
                    id: 0,
                    times: [SystemTime::UNIX_EPOCH; 3],
                };
                about(&pipe, &held.open.path, level, call)
            }
        }
    }

    /// QUERY_FS_INFORMATION.
    pub(super) fn query_system(&mut self, level: u16, call: &mut Call<'_, '_>) -> Answered {
        let made = filetime(disk::made(self.folder(call)?));
        let unicode = call.block.header().has(super::flags2::UNICODE);
        let (serial, label) = (disk::serial(call.server), name(disk::LABEL, unicode, false));
        let (per, (device, how)) = (disk::PER_CLUSTER, disk::DEVICE);
        let half = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let mut data = Vec::new();
        match level {
            1 => {
                data.u32(0).u32(per).u32(half(disk::CLUSTERS)).u32(half(disk::FREE)).u16(512);
            }
            2 => {
                data.u32(serial).u8(u8::try_from(label.len()).unwrap_or_default()).raw(&label).u8(0);
            }
            0x102 | 1001 => {
                data.u64(made).u32(serial).u32(size32(label.len())).u16(1).raw(&label);
            }
            0x103 | 1003 => {
                data.u64(disk::CLUSTERS).u64(disk::FREE).u32(per).u32(disk::SECTOR);
            }
            0x104 | 1004 => {
                data.u32(device).u32(how);
            }
            0x105 | 1005 => {
                let system = name(disk::SYSTEM, unicode, false);
                data.u32(disk::ATTRIBUTES).u32(disk::LONGEST_NAME).u32(size32(system.len())).raw(&system);
            }
            1007 => {
                data.u64(disk::CLUSTERS).u64(disk::FREE).u64(disk::FREE).u32(per).u32(disk::SECTOR);
            }
            _ => return Err(INVALID_LEVEL.into()),
        }
        Ok(Some((Status::OK, Answer::of(Vec::new(), data))))
    }
}

/// A path as it is looked up.
pub(super) fn units(path: &str) -> Vec<u16> {
    path.trim_matches('\\').encode_utf16().collect()
}

/// A file, at that level.
fn about(facts: &Facts<'_>, path: &str, level: u16, call: &Call<'_, '_>) -> Answered {
    let unicode = call.block.header().has(super::flags2::UNICODE);
    let text = |text: &str, data: &mut Vec<u8>| {
        let text = name(text, unicode, false);
        data.u32(size32(text.len())).raw(&text);
    };
    let mut data = Vec::new();
    match level {
        1 => facts.old(&mut data),
        2 => {
            facts.old(&mut data);
            data.u32(0);
        }
        // The name is one that there may be.
        6 => {}
        0x101 | 1004 => {
            facts.times(&mut data);
            data.u32(facts.attributes()).u32(0);
        }
        0x102 | 1005 => standard(facts, &mut data),
        0x103 | 1007 => {
            data.u32(0);
        }
        0x104 | 1009 => text(path, &mut data),
        0x107 | 1018 => {
            facts.times(&mut data);
            data.u32(facts.attributes()).u32(0);
            standard(facts, &mut data);
            if level == 1018 {
                // Number, attributes, rights, position, mode, alignment.
                data.u64(facts.id).u32(0).u32(super::super::open::right::GRANTED).u64(0).u32(0).u32(0);
            } else {
                data.u32(0);
            }
            text(path, &mut data);
        }
        0x108 | 1021 => text(if facts.short.is_empty() { facts.name } else { facts.short }, &mut data),
        0x109 | 1022 if facts.folder => {}
        0x109 | 1022 => {
            let stream = wide("::$DATA");
            data.u32(0).u32(size32(stream.len())).u64(facts.size).u64(facts.allocated()).raw(&stream);
        }
        0x10b | 1028 => {
            data.u64(facts.size).zeros(8);
        }
        1006 => {
            data.u64(facts.id);
        }
        1034 => {
            facts.times(&mut data);
            data.u64(facts.allocated()).u64(facts.size).u32(facts.attributes()).u32(0);
        }
        1035 => {
            data.u32(facts.attributes()).u32(0);
        }
        _ => return Err(INVALID_LEVEL.into()),
    }
    // Where an error in the extended attributes is: none.
    Ok(Some((Status::OK, Answer::of(vec![0, 0], data))))
}

/// Sizes, links, and whether it is a folder (section 2.2.8.3.7).
fn standard(facts: &Facts<'_>, data: &mut Vec<u8>) {
    data.u64(facts.allocated()).u64(facts.size).u32(1).u8(0).u8(facts.folder.into()).u16(0);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_of_dos_have_two_seconds_to_a_step() {
        // 24 November 2026, 15:04:09; 29 February 2000, 0:00:00; 1 January 1980.
        for (seconds, date, clock) in [
            (1_795_532_649, (46 << 9 | 11 << 5 | 24), (15 << 11 | 4 << 5 | 4)),
            (951_782_400, (20 << 9 | 2 << 5 | 29), 0),
            (315_532_800, 1 << 5 | 1, 0),
        ] {
            assert_eq!(dos_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), (date, clock));
        }
    }
}
