//! The files of a share.

use std::{io, path::Path, time::SystemTime};

/// Which file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeId(pub u32);

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Its folder is there, it is not.
    Name,
    /// Its folder is not there.
    Path,
    /// No file can be called that.
    Invalid,
    /// A stream of a file.
    Stream,
}

/// A file or a folder.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Bytes in it.
    pub size: u64,
    /// When it was made.
    pub created: SystemTime,
    /// When it was changed.
    pub changed: SystemTime,
    /// When it was read.
    pub accessed: SystemTime,
    /// Its folder.
    pub parent: NodeId,
    /// Itself.
    pub id: NodeId,
    /// Its name of 8 and 3 characters; empty if that is its name.
    pub short: String,
}

/// An index of them.
#[derive(Debug)]
pub struct Folder;

impl Folder {
    /// Reads it.
    pub fn load(_path: Option<&Path>) -> (Self, Vec<String>) {
        (Self, Vec::new())
    }

    /// Looks a path up.
    pub fn find(&self, _path: &[u16]) -> Result<NodeId, Missing> {
        Err(Missing::Name)
    }

    /// One of them.
    pub fn node(&self, _id: NodeId) -> Option<&Node> {
        None
    }

    /// Those in a folder whose names fit.
    pub fn list(&self, _folder: NodeId, _pattern: &str) -> impl Iterator<Item = &Node> {
        std::iter::empty()
    }

    /// What is in one of them.
    pub fn read(&self, _id: NodeId, _offset: u64, _length: usize) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}
