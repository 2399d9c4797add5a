//! Arguments and results (C706, chapter 14): numbers on multiples of their size, pointers first and what they point at
//! later.

use crate::smb::bytes::{Put, size32, units};

/// Longest text that is read, in units of UTF-16.
const TEXT: usize = 4096;

/// The arguments of a call, read from the front. `None` from any method: these are no such arguments.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Arguments<'a> {
    /// Those of a call.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes as they are.
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    /// Two bytes.
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.align(2);
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// A pointer: whether it points at anything.
    pub(crate) fn pointer(&mut self) -> Option<bool> {
        self.u32().map(|referent| referent != 0)
    }

    /// A text that stands here, conformant and varying, without the zero at its end.
    pub(crate) fn text(&mut self) -> Option<String> {
        let most = self.u32()?;
        let (offset, count) = (self.u32()?, self.u32()?);
        let length = usize::try_from(count).ok().filter(|length| *length <= TEXT)?;
        if offset != 0 || count > most {
            return None;
        }
        let mut units = units(self.take(length.checked_mul(2)?)?);
        if units.last() == Some(&0) {
            units.pop();
        }
        Some(String::from_utf16_lossy(&units))
    }

    /// A pointer to a text, as an argument of its own: the text follows at once.
    pub(crate) fn pointed_text(&mut self) -> Option<Option<String>> {
        Some(if self.pointer()? { Some(self.text()?) } else { None })
    }

    /// Bytes that stand here, conformant.
    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()?;
        self.take(usize::try_from(count).ok()?)
    }

    /// The handle of something that was opened.
    pub(crate) fn handle(&mut self) -> Option<[u8; 20]> {
        self.align(4);
        self.take(20)?.try_into().ok()
    }
}

/// Results in the making: texts that are pointed at wait until what points at them is complete.
#[derive(Debug, Default)]
pub(crate) struct Results {
    bytes: Vec<u8>,
    waiting: Vec<u8>,
    referents: u32,
}

impl Results {
    /// Two bytes.
    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.align(2).u16(value);
        self
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.align(4).u32(value);
        self
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.raw(bytes);
        self
    }

    /// A pointer to something.
    pub(crate) fn pointer(&mut self) -> &mut Self {
        // What Windows' own programs count from, and by.
        let referent = self.referents.saturating_mul(4).saturating_add(0x0002_0000);
        self.referents = self.referents.saturating_add(1);
        self.u32(referent)
    }

    /// A pointer to a text that will stand where [`Results::settle`] is called.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let count = size32(text.encode_utf16().count()).saturating_add(1);
        self.waiting.align(4).u32(count).u32(0).u32(count).wide(text).u16(0);
        self.pointer()
    }

    /// A text with its length (`RPC_UNICODE_STRING`; MS-DTYP, section 2.3.10), which has no zero at its end.
    pub(crate) fn counted(&mut self, text: &str) -> &mut Self {
        let count = size32(text.encode_utf16().count());
        let bytes = u16::try_from(count.saturating_mul(2)).unwrap_or(u16::MAX);
        self.bytes.align(4);
        if count == 0 {
            return self.u16(0).u16(0).u32(0);
        }
        self.waiting.align(4).u32(count).u32(0).u32(count).wide(text);
        self.u16(bytes).u16(bytes).pointer()
    }

    /// A pointer to a SID, `S-1-5-` and these numbers (MS-DTYP, section 2.4.2.3).
    pub(crate) fn sid(&mut self, numbers: &[u32]) -> &mut Self {
        let count = size32(numbers.len());
        self.waiting
            .align(4)
            .u32(count)
            .u8(1)
            .u8(u8::try_from(count).unwrap_or(u8::MAX))
            .raw(&[0, 0, 0, 0, 0, 5]);
        for number in numbers {
            self.waiting.u32(*number);
        }
        self.pointer()
    }

    /// Puts what is pointed at here.
    pub(crate) fn settle(&mut self) -> &mut Self {
        let waiting = std::mem::take(&mut self.waiting);
        self.bytes.align(4).raw(&waiting);
        self
    }

    /// The handle of something that was opened; of nothing, if it was not.
    pub(crate) fn handle(&mut self, handle: &[u8; 20]) -> &mut Self {
        self.bytes.align(4);
        self.raw(handle)
    }

    /// All of it, with the number at its end that says how it went.
    pub(crate) fn end(&mut self, status: u32) -> Vec<u8> {
        self.settle().u32(status);
        std::mem::take(&mut self.bytes)
    }
}
