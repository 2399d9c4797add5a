//! The named pipes.

use haldane_core::Windows;

/// What the servers behind the pipes say.
#[derive(Debug, Clone)]
pub struct Names {
    /// The machine.
    pub windows: Windows,
    /// Name, sort and comment of each share.
    pub shares: Vec<(String, ShareSort, String)>,
}

/// What a share is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareSort {
    /// A folder.
    Disk,
    /// A folder for administrators.
    Hidden,
    /// Pipes.
    Pipes,
}

/// What was recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `srvsvc NetrShareEnum`.
    pub call: String,
    /// The attack that it is.
    pub exploit: Option<&'static str>,
    /// What is worth recording of its arguments.
    pub arguments: String,
}

/// A pipe.
#[derive(Debug)]
pub struct Pipe;

impl Pipe {
    /// Opens the pipe of that name.
    pub fn open(_name: &str, _server: &Names) -> Option<Self> {
        None
    }

    /// Takes fragments of requests.
    pub fn write(&mut self, _bytes: &[u8]) -> Vec<Seen> {
        Vec::new()
    }

    /// What answers wait, and whether more waits.
    pub fn read(&mut self, _most: usize) -> (Vec<u8>, bool) {
        (Vec::new(), false)
    }
}
