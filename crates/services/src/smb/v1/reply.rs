//! What a server of SMB 1 answers: a header, and the answer to each command of the chain.

use haldane_wire::ntlm::wide;

use super::{
    super::{bytes::size16, status::Status},
    flags2,
    packet::{HEADER, Header, MAGIC},
};

/// In the flags: this is an answer.
const REPLY: u8 = 0x80;
/// In the flags, what is told back: names are canonical and their case does not matter.
const NAMES: u8 = 0x18;
/// Of the second flags, what is told back.
const ECHOED: u16 = flags2::UNICODE
    | flags2::NT_STATUS
    | flags2::EXTENDED
    | flags2::LONG_NAMES
    | flags2::IS_LONG_NAME
    | flags2::PAGING_IO
    | flags2::SIGNATURE_REQUIRED
    | flags2::SIGNATURE;

/// An answer in the making.
#[derive(Debug)]
pub(crate) struct Reply {
    packet: Vec<u8>,
    /// Where the command of the block behind goes, in the last block that can have one.
    link: Option<usize>,
    /// Where the count of the bytes of the last block stands.
    count: usize,
    unicode: bool,
    /// Its tree and user, which commands may change.
    pub(crate) tid: u16,
    pub(crate) uid: u16,
    /// How it ended.
    pub(crate) status: Status,
}

impl Reply {
    /// To a message with that header.
    pub(crate) fn to(header: &Header) -> Self {
        let mut packet = MAGIC.to_vec();
        packet.extend_from_slice(&[header.command, 0, 0, 0, 0, header.flags & NAMES | REPLY]);
        packet.extend_from_slice(&(header.flags2 & ECHOED).to_le_bytes());
        packet.extend_from_slice(&header.pid_high.to_le_bytes());
        packet.extend_from_slice(&[0; 10]);
        for number in [header.tid, header.pid, header.uid, header.mid] {
            packet.extend_from_slice(&number.to_le_bytes());
        }
        Self {
            packet,
            link: None,
            count: HEADER,
            unicode: header.has(flags2::UNICODE),
            tid: header.tid,
            uid: header.uid,
            status: Status::OK,
        }
    }

    /// Whether another answer fits: where it begins has to be told in two bytes.
    pub(crate) fn has_room(&self) -> bool {
        u16::try_from(self.packet.len()).is_ok()
    }

    /// Begins the answer to one command. `chained`: its words begin with where the next answer is.
    pub(crate) fn block(&mut self, command: u8, chained: bool, words: &[u8]) {
        let link = if chained { 2_usize } else { 0 };
        let count = u8::try_from((words.len() / 2).saturating_add(link)).unwrap_or(u8::MAX);
        self.block_of(count, command, chained, words);
    }

    /// The same, where the count of words is not that of the words.
    pub(crate) fn block_of(&mut self, count: u8, command: u8, chained: bool, words: &[u8]) {
        if let Some(link) = self.link.take() {
            let at = size16(self.packet.len()).to_le_bytes();
            self.patch(link, &[command, 0]);
            self.patch(link.saturating_add(2), &at);
        }
        self.packet.push(count);
        if chained {
            self.link = Some(self.packet.len());
            self.packet.extend_from_slice(&[0xff, 0, 0, 0]);
        }
        self.packet.extend_from_slice(words);
        self.count = self.packet.len();
        self.packet.extend_from_slice(&[0, 0]);
    }

    /// The answer to a command that failed, which ends the chain.
    pub(crate) fn fail(&mut self, command: u8, status: Status) {
        self.status = status;
        self.block(command, false, &[]);
    }

    /// Where the bytes of a block begin, counted from the header, if it is begun with that many bytes of words.
    pub(crate) fn bytes_at(&self, chained: bool, words: usize) -> usize {
        let before = if chained { 7_usize } else { 3 };
        self.packet.len().saturating_add(before).saturating_add(words)
    }

    /// Bytes of the last block.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.packet.extend_from_slice(bytes);
        self.recount();
    }

    /// A text of the last block, as the client wishes it, with a zero behind it.
    pub(crate) fn text(&mut self, text: &str) {
        if self.unicode {
            if self.packet.len() % 2 == 1 {
                self.packet.push(0);
            }
            self.packet.extend(wide(text));
            self.packet.push(0);
        } else {
            self.packet.extend(oem(text));
        }
        self.packet.push(0);
        self.recount();
    }

    fn recount(&mut self) {
        let bytes = self.packet.len().saturating_sub(self.count).saturating_sub(2);
        // Of a large read, the count is what its low half says.
        let low = u16::try_from(bytes & 0xffff).unwrap_or(u16::MAX);
        self.patch(self.count, &low.to_le_bytes());
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = at.checked_add(bytes.len()).and_then(|end| self.packet.get_mut(at..end)) {
            place.copy_from_slice(bytes);
        }
    }

    /// The whole message, without the frame around it.
    pub(crate) fn finish(mut self, header: &Header) -> Vec<u8> {
        let status = if header.has(flags2::NT_STATUS) { self.status.0 } else { dos(self.status) };
        self.patch(5, &status.to_le_bytes());
        if let Some(link) = self.link {
            // Windows tells where the next answer would be, if there were one.
            let end = size16(self.packet.len()).to_le_bytes();
            self.patch(link.saturating_add(2), &end);
        }
        self.patch(24, &self.tid.to_le_bytes());
        self.patch(28, &self.uid.to_le_bytes());
        self.packet
    }
}

/// A status as clients have it that know none of NT's: a class, and a number in its upper half (MS-CIFS, section 2.2.2.4).
fn dos(status: Status) -> u32 {
    const SYSTEM: u32 = 1;
    const SERVER: u32 = 2;
    const HARDWARE: u32 = 3;
    let (class, number): (u32, u32) = match status {
        // Those that are of that form already.
        Status(number) if number < 0x4000_0000 => return number,
        Status::NO_MORE_FILES => (SYSTEM, 18),
        Status::BUFFER_OVERFLOW => (SYSTEM, 234),
        Status::NOT_IMPLEMENTED => (SYSTEM, 1),
        Status::INVALID_HANDLE | Status::FILE_CLOSED => (SYSTEM, 6),
        Status::INVALID_PARAMETER => (SYSTEM, 87),
        Status::NO_SUCH_FILE | Status::OBJECT_NAME_NOT_FOUND => (SYSTEM, 2),
        Status::OBJECT_PATH_NOT_FOUND | Status::OBJECT_PATH_SYNTAX_BAD | Status::NOT_A_DIRECTORY => {
            (SYSTEM, 3)
        }
        Status::OBJECT_NAME_INVALID => (SYSTEM, 123),
        Status::OBJECT_NAME_COLLISION => (SYSTEM, 80),
        Status::ACCESS_DENIED | Status::FILE_IS_A_DIRECTORY | Status::CANNOT_DELETE => (SYSTEM, 5),
        Status::NOT_SUPPORTED => (SYSTEM, 50),
        Status::INVALID_INFO_CLASS => (SYSTEM, 124),
        Status::TOO_MANY_OPENED_FILES => (SYSTEM, 4),
        Status::END_OF_FILE => (SYSTEM, 38),
        Status::LOGON_FAILURE | Status::ACCOUNT_RESTRICTION => (SERVER, 2),
        Status::ACCOUNT_DISABLED => (SERVER, 2239),
        Status::BAD_NETWORK_NAME => (SERVER, 6),
        Status::BAD_DEVICE_TYPE => (SERVER, 7),
        _ => (HARDWARE, 31),
    };
    class | number << 16
}

/// Text as clients have it that know no Unicode.
pub(crate) fn oem(text: &str) -> Vec<u8> {
    text.chars().map(|c| if c.is_ascii() { u8::try_from(c).unwrap_or(b'?') } else { b'?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answers_of_a_chain_point_at_each_other() {
        let header = Header {
            command: 0x73,
            flags: 0x18,
            flags2: flags2::UNICODE | flags2::NT_STATUS,
            pid_high: 0,
            tid: 0,
            pid: 1,
            uid: 2,
            mid: 3,
        };
        let mut reply = Reply::to(&header);
        reply.block(0x73, true, &[0, 0]);
        reply.text("Windows");
        reply.text("x");
        let second = reply.packet.len();
        reply.uid = 2048;
        reply.fail(0x75, Status::BAD_NETWORK_NAME);
        let packet = reply.finish(&header);
        assert_eq!(packet[5..9], [0xcc, 0, 0, 0xc0]);
        assert_eq!(packet[9], 0x98);
        assert_eq!(packet[28..30], [0, 8]);
        assert_eq!(packet[32..37], [3, 0x75, 0, u8::try_from(second).unwrap(), 0]);
        // One byte that makes the place even, then the texts.
        assert_eq!(packet[39..42], [21, 0, 0]);
        assert_eq!(packet[second..], [0, 0, 0]);
    }
}
