//! The disk behind a share: the same whichever generation of SMB asks about it. One of NTFS, of 100 GB, two thirds of it
//! free (MS-FSCC, section 2.5).

use std::time::SystemTime;

use super::{
    bait::{Folder, Node, NodeId},
    bytes::u32_at,
    server::Server,
};

/// Bytes of a cluster, and of a sector.
pub const CLUSTER: u32 = 4096;
/// Bytes of a sector.
pub const SECTOR: u32 = 512;
/// Sectors of a cluster.
pub const PER_CLUSTER: u32 = CLUSTER / SECTOR;
/// Clusters of it.
pub const CLUSTERS: u64 = 26_214_143;
/// Those that are free.
pub const FREE: u64 = 17_301_504;
/// What NTFS can do on a server (section 2.5.1).
pub const ATTRIBUTES: u32 = 0x00c7_06ff;
/// The kind of file system.
pub const SYSTEM: &str = "NTFS";
/// The longest name of a file, in characters.
pub const LONGEST_NAME: u32 = 255;
/// Its own name.
pub const LABEL: &str = "Data";
/// A disk (FILE_DEVICE_DISK) that stays in its drive (FILE_DEVICE_IS_MOUNTED).
pub const DEVICE: (u32, u32) = (7, 0x20);
/// Bytes that fit into a file's record in the table of files: such a file takes up no cluster.
const WITHIN: u64 = 700;
/// The first record of that table that is not NTFS's own or Windows', and the number of times it was used, which stands
/// in front.
const FIRST: u64 = 0x0001_0000_0000_9000;

/// Bytes that a file of that size takes up.
pub fn allocated(size: u64) -> u64 {
    let unit = if size <= WITHIN { 8 } else { u64::from(CLUSTER) };
    size.checked_next_multiple_of(unit).unwrap_or(size)
}

/// The number that a file has there.
pub fn number(node: &Node) -> u64 {
    FIRST.saturating_add(node.id.number())
}

/// The serial number.
pub fn serial(server: &Server) -> u32 {
    u32_at(&server.guid, 8).unwrap_or_default()
}

/// When it was formatted: nothing on it is older.
pub fn made(folder: &Folder) -> SystemTime {
    folder.node(NodeId::ROOT).map_or(SystemTime::UNIX_EPOCH, |root| root.created)
}
