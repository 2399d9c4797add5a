//! Takes typed things out of what a fuzzer gives; zeros when it is used up.

/// What is left.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn word(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// At most 255 bytes, of any kind.
    pub fn text(&mut self) -> &'a [u8] {
        let length = self.byte();
        self.take(length.into())
    }

    /// The same as text; what is no UTF-8 is replaced.
    pub fn name(&mut self) -> String {
        String::from_utf8_lossy(self.text()).into_owned()
    }

    /// A name as this program makes them.
    pub fn key(&mut self) -> String {
        self.text().iter().map(|byte| char::from(b'a' + byte % 26)).collect()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
