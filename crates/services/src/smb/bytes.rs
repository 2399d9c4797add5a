//! Writing numbers, little end first, and texts as SMB has them.

/// What messages are written with.
pub trait Put {
    /// One byte.
    fn u8(&mut self, value: u8) -> &mut Self;
    /// Two bytes.
    fn u16(&mut self, value: u16) -> &mut Self;
    /// Four bytes.
    fn u32(&mut self, value: u32) -> &mut Self;
    /// Eight bytes.
    fn u64(&mut self, value: u64) -> &mut Self;
    /// Bytes as they are.
    fn raw(&mut self, bytes: &[u8]) -> &mut Self;
    /// Zeros.
    fn zeros(&mut self, count: usize) -> &mut Self;
    /// Zeros up to the next multiple, counted from the front.
    fn align(&mut self, to: usize) -> &mut Self;
    /// Text in UTF-16, without an end.
    fn wide(&mut self, text: &str) -> &mut Self;
    /// Overwrites four bytes that are there already.
    fn patch_u32(&mut self, at: usize, value: u32);
}

impl Put for Vec<u8> {
    fn u8(&mut self, value: u8) -> &mut Self {
        self.push(value);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.raw(&value.to_le_bytes())
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.extend_from_slice(bytes);
        self
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.resize(self.len().saturating_add(count), 0);
        self
    }

    fn align(&mut self, to: usize) -> &mut Self {
        self.resize(self.len().next_multiple_of(to), 0);
        self
    }

    fn wide(&mut self, text: &str) -> &mut Self {
        self.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        self
    }

    fn patch_u32(&mut self, at: usize, value: u32) {
        if let Some(place) = at.checked_add(4).and_then(|end| self.get_mut(at..end)) {
            place.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// A size that fits: what is larger than any message of ours is the largest number.
pub fn size32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// The same in two bytes.
pub fn size16(size: usize) -> u16 {
    u16::try_from(size).unwrap_or(u16::MAX)
}

/// Two bytes at that place; `None` if the message ends before.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Four bytes at that place.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Eight bytes at that place.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `length` bytes at that place.
pub fn part(bytes: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

/// The units of a text in UTF-16; an odd byte at the end is left out.
pub fn units(bytes: &[u8]) -> Vec<u16> {
    bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes)).collect()
}
