//! What can be asked about a file and its disk (MS-FSCC, sections 2.4 and 2.5), and about who may do what with it
//! (MS-DTYP, section 2.4.6).

use super::{
    Tree,
    file::{allocated, attributes, times},
};
use crate::smb::{
    bait::Node,
    bytes::{Put, size32},
    disk,
    open::{Object, Open},
    status::Status,
};

/// An answer, and how many bytes of it must fit: what follows may be cut.
pub(super) struct Info {
    pub(super) bytes: Vec<u8>,
    pub(super) fixed: usize,
}

impl Info {
    fn all(bytes: Vec<u8>) -> Self {
        let fixed = bytes.len();
        Self { bytes, fixed }
    }

    fn from(bytes: Vec<u8>, fixed: usize) -> Self {
        Self { bytes, fixed }
    }
}

/// About a file, by class.
pub(super) fn file(class: u8, open: &Open, tree: &Tree<'_>) -> Result<Info, Status> {
    let Some(node) = open.node(tree.share) else { return pipe(class, open) };
    let mut bytes = Vec::new();
    match class {
        4 => {
            bytes.raw(&basic(node));
        }
        5 => {
            bytes.raw(&standard(node));
        }
        6 => {
            bytes.u64(disk::number(node));
        }
        7 | 16 | 17 => {
            bytes.u32(0);
        }
        8 => {
            bytes.u32(open.access);
        }
        14 => {
            bytes.u64(0);
        }
        18 => {
            bytes.raw(&basic(node)).raw(&standard(node)).u64(disk::number(node)).u32(0).u32(open.access);
            bytes.u64(0).u32(0).u32(0).raw(&named(&format!("\\{}", open.path)));
            return Ok(Info::from(bytes, 100));
        }
        21 if node.short.is_empty() => return Ok(Info::from(named(&node.name), 4)),
        21 => return Ok(Info::from(named(&node.short), 4)),
        22 if node.folder => {}
        22 => {
            let name = "::$DATA";
            bytes.u32(0).u32(size32(name.len().saturating_mul(2))).u64(node.size).u64(allocated(node));
            bytes.wide(name);
            return Ok(Info::from(bytes, 24));
        }
        28 => {
            bytes.u64(node.size).zeros(8);
        }
        34 => {
            bytes.raw(&times(node)).u64(allocated(node)).u64(node.size).u32(attributes(node)).u32(0);
        }
        35 => {
            bytes.u32(attributes(node)).u32(0);
        }
        48 => return Ok(Info::from(named(&open.path), 4)),
        59 => {
            bytes.u64(disk::serial(tree.server).into()).u64(disk::number(node)).u64(0);
        }
        _ => return Err(Status::INVALID_INFO_CLASS),
    }
    Ok(Info::all(bytes))
}

/// About a pipe.
fn pipe(class: u8, open: &Open) -> Result<Info, Status> {
    let mut bytes = Vec::new();
    match class {
        4 => {
            bytes.zeros(32).u32(crate::smb::open::attribute::NORMAL).u32(0);
        }
        5 => {
            bytes.u64(disk::CLUSTER.into()).u64(0).u32(1).u8(1).u8(0).u16(0);
        }
        8 => {
            bytes.u32(open.access);
        }
        9 => return Ok(Info::from(named(&format!("\\{}", open.path)), 4)),
        // Of messages, and without a wait.
        23 => {
            bytes.u32(1).u32(0);
        }
        24 => {
            bytes.u32(1).u32(2).u32(u32::MAX).u32(1).u32(4280).u32(0).u32(4280).u32(4280).u32(3).u32(1);
        }
        _ => return Err(Status::INVALID_PARAMETER),
    }
    Ok(Info::all(bytes))
}

fn basic(node: &Node) -> Vec<u8> {
    let mut bytes = times(node);
    bytes.u32(attributes(node)).u32(0);
    bytes
}

fn standard(node: &Node) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.u64(allocated(node)).u64(node.size).u32(1).u8(0).u8(node.folder.into()).u16(0);
    bytes
}

/// A name with its length before.
fn named(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.u32(size32(name.encode_utf16().count().saturating_mul(2))).wide(name);
    bytes
}

/// About the disk, by class.
pub(super) fn volume(class: u8, made: u64, tree: &Tree<'_>) -> Result<Info, Status> {
    let mut bytes = Vec::new();
    match class {
        1 => {
            let length = disk::LABEL.len().saturating_mul(2);
            bytes.u64(made).u32(disk::serial(tree.server)).u32(size32(length)).u8(1).u8(0);
            bytes.wide(disk::LABEL);
            return Ok(Info::from(bytes, 18));
        }
        3 => {
            bytes.u64(disk::CLUSTERS).u64(disk::FREE).u32(disk::PER_CLUSTER).u32(disk::SECTOR);
        }
        4 => {
            let (device, how) = disk::DEVICE;
            bytes.u32(device).u32(how);
        }
        5 => {
            let length = disk::SYSTEM.len().saturating_mul(2);
            bytes.u32(disk::ATTRIBUTES).u32(disk::LONGEST_NAME).u32(size32(length)).wide(disk::SYSTEM);
            return Ok(Info::from(bytes, 12));
        }
        6 => {
            bytes.zeros(24).u64(u64::MAX).u64(u64::MAX).u32(0).u32(0);
        }
        7 => {
            bytes
                .u64(disk::CLUSTERS)
                .u64(disk::FREE)
                .u64(disk::FREE)
                .u32(disk::PER_CLUSTER)
                .u32(disk::SECTOR);
        }
        8 => {
            bytes.raw(&tree.server.guid).zeros(48);
        }
        11 => {
            bytes
                .u32(disk::SECTOR)
                .u32(disk::CLUSTER)
                .u32(disk::CLUSTER)
                .u32(disk::CLUSTER)
                .u32(3)
                .u32(0)
                .u32(0);
        }
        _ => return Err(Status::INVALID_INFO_CLASS),
    }
    Ok(Info::all(bytes))
}

/// Who owns it and who may do what: administrators everything, everybody reading. `wanted`: which parts.
pub(super) fn security(wanted: u32, open: &Open) -> Result<Vec<u8>, Status> {
    const OWNER: u32 = 1;
    const GROUP: u32 = 2;
    const DACL: u32 = 4;
    const SACL: u32 = 8;
    /// BUILTIN\Administrators, NT AUTHORITY\SYSTEM and Everyone.
    const ADMINISTRATORS: &[u8] = &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0];
    const SYSTEM: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
    const EVERYONE: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    const EVERYTHING: u32 = 0x001f_01ff;
    if matches!(open.object, Object::Pipe(_)) {
        return Err(Status::NOT_SUPPORTED);
    }
    if wanted & SACL != 0 {
        return Err(Status::ACCESS_DENIED);
    }
    let (mut parts, mut offsets) = (Vec::new(), [0_u32; 3]);
    let mut add = |index: usize, bytes: &[u8]| {
        if let Some(offset) = offsets.get_mut(index) {
            *offset = size32(parts.len()).saturating_add(20);
        }
        parts.extend_from_slice(bytes);
    };
    if wanted & OWNER != 0 {
        add(0, ADMINISTRATORS);
    }
    if wanted & GROUP != 0 {
        add(1, SYSTEM);
    }
    if wanted & DACL != 0 {
        // Inherited by what is within, and inherited from above.
        let inherited = if matches!(open.object, Object::Folder(_)) { 0x13 } else { 0x10 };
        let mut entries = Vec::new();
        let rights = [
            (ADMINISTRATORS, EVERYTHING),
            (SYSTEM, EVERYTHING),
            (EVERYONE, crate::smb::open::right::GRANTED),
        ];
        for (who, rights) in rights {
            entries.u8(0).u8(inherited).u16(crate::smb::bytes::size16(who.len().saturating_add(8)));
            entries.u32(rights).raw(who);
        }
        let mut list = Vec::new();
        list.u8(2).u8(0).u16(crate::smb::bytes::size16(entries.len().saturating_add(8))).u16(3).u16(0);
        list.raw(&entries);
        add(2, &list);
    }
    let control = if wanted & DACL != 0 { 0x8404 } else { 0x8000 };
    let [owner, group, dacl] = offsets;
    let mut bytes = Vec::new();
    bytes.u8(1).u8(0).u16(control).u32(owner).u32(group).u32(0).u32(dacl).raw(&parts);
    Ok(bytes)
}
