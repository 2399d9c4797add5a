//! Text as Windows has it.

/// UTF-16, little-endian, up to its end or a NUL, as UTF-8. Halves of characters become U+FFFD.
pub fn utf16(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    let text = char::decode_utf16(units.take_while(|unit| *unit != 0));
    text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes()
}

/// The same without regard to a NUL, for what a length belongs to.
pub fn utf16_whole(bytes: &[u8]) -> Vec<u8> {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    let text = char::decode_utf16(units);
    text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>().into_bytes()
}
