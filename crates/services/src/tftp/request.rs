//! The grammar of requests, and of errors.

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    /// RRQ.
    Read,
    /// WRQ.
    Write,
}

impl Opcode {
    /// As the peer's log has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
        }
    }
}

/// Most options that are looked at.
const OPTIONS: usize = 64;

/// DATA, ACK, ERROR and OACK.
pub(super) const DATA: u16 = 3;
pub(super) const ACK: u16 = 4;
pub(super) const ERROR: u16 = 5;
pub(super) const OACK: u16 = 6;

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) opcode: Opcode,
    pub(super) name: &'a [u8],
    /// As it was sent; none if it is missing.
    pub(super) mode: Option<&'a [u8]>,
    /// Name and value, as they were sent.
    pub(super) options: Vec<(&'a [u8], &'a [u8])>,
}

/// Whether it is a request.
pub(super) fn is_one(datagram: &[u8]) -> bool {
    matches!(datagram, [0, 1 | 2, ..])
}

impl<'a> Request<'a> {
    /// Reads one: texts with a NUL behind each. The server stops at the first that is empty; the last may lack its NUL.
    pub(super) fn read(datagram: &'a [u8]) -> Self {
        let opcode = if datagram.get(1) == Some(&2) { Opcode::Write } else { Opcode::Read };
        let texts = datagram.get(2..).unwrap_or_default().split(|byte| *byte == 0);
        let mut texts = texts.take_while(|text| !text.is_empty());
        let name = texts.next().unwrap_or_default();
        let mode = texts.next();
        let mut options = Vec::new();
        while let (Some(name), Some(value), true) = (texts.next(), texts.next(), options.len() < OPTIONS) {
            options.push((name, value));
        }
        Self { opcode, name, mode, options }
    }
}

/// What a server says no with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str);

impl Refusal {
    pub(super) const NOT_FOUND: Self = Self(1, "File not found");
    pub(super) const NO_ROOM: Self = Self(3, "Disk full or allocation exceeded");
    pub(super) const NO_MODE: Self = Self(4, "Missing mode");
    pub(super) const BAD_MODE: Self = Self(4, "Unknown mode");
    pub(super) const OPTIONS: Self = Self(8, "Unsupported option(s) requested");
    // What the system calls them has no code of its own.
    pub(super) const FOLDER: Self = Self(0, "Is a directory");
    pub(super) const LONG: Self = Self(0, "File name too long");

    /// The datagram.
    pub(super) fn datagram(self) -> Vec<u8> {
        [&ERROR.to_be_bytes(), &self.0.to_be_bytes(), self.1.as_bytes(), &[0]].concat()
    }
}

/// Opcode, and what follows it. What is too short has none that anybody knows.
pub(super) fn opcode(datagram: &[u8]) -> (u16, &[u8]) {
    let (opcode, rest) = datagram.split_at_checked(2).unwrap_or_default();
    (opcode.try_into().map(u16::from_be_bytes).unwrap_or_default(), rest)
}

/// Code and text of the ERROR that a client sent, its opcode already taken off.
pub(super) fn error(rest: &[u8]) -> (Option<u16>, &[u8]) {
    let (code, text) = rest.split_at_checked(2).unwrap_or((rest, &[]));
    let code = code.try_into().ok().map(u16::from_be_bytes);
    (code, text.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// ACK of that block.
pub(super) fn ack(block: u16) -> Vec<u8> {
    [ACK.to_be_bytes(), block.to_be_bytes()].concat()
}
