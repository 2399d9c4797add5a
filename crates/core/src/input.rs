//! Bounds-checked reading of bytes an attacker chose.

/// Why parsing stopped before a whole message was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Not an error: call again once this many bytes, counted from the start of
    /// the message, are buffered. The driver refuses a need above the frame
    /// limit before a single further byte is read.
    Need(usize),
    /// The peer broke the grammar. This is evidence, not a failure of ours.
    Malformed(&'static str),
}

/// A cursor over received bytes. Every read is checked, none can panic.
///
/// On a stream, running short is [`Halt::Need`]. Inside a frame that has been
/// received whole ([`Input::frame`]) running short is [`Halt::Malformed`].
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
    whole: bool,
}

impl<'a> Input<'a> {
    /// Bytes received so far; more may follow.
    pub fn stream(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, whole: false }
    }

    /// A complete message (a datagram, a length-prefixed frame).
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, whole: true }
    }

    /// Takes exactly `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], Halt> {
        let end = self.at.checked_add(n).ok_or(Halt::Malformed("length overflow"))?;
        let Some(taken) = self.bytes.get(self.at..end) else {
            return Err(self.short(end));
        };
        self.at = end;
        Ok(taken)
    }

    /// Takes `n` bytes as a frame of their own.
    pub fn frame(&mut self, n: usize) -> Result<Input<'a>, Halt> {
        self.take(n).map(Input::whole)
    }

    /// Takes one line, at most `max` bytes long, without its line ending.
    pub fn line(&mut self, max: usize) -> Result<&'a [u8], Halt> {
        let rest = self.rest();
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return Err(match rest.len() > max {
                true => Halt::Malformed("line too long"),
                false => self.short(self.bytes.len().saturating_add(1)),
            });
        };
        if end > max {
            return Err(Halt::Malformed("line too long"));
        }
        let line = self.take(end)?;
        self.take(1)?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Halt> {
        self.array::<1>().map(|[b]| b)
    }

    /// A big-endian `u16`.
    pub fn u16(&mut self) -> Result<u16, Halt> {
        self.array().map(u16::from_be_bytes)
    }

    /// A big-endian `u32`.
    pub fn u32(&mut self) -> Result<u32, Halt> {
        self.array().map(u32::from_be_bytes)
    }

    /// A little-endian `u16`.
    pub fn u16_le(&mut self) -> Result<u16, Halt> {
        self.array().map(u16::from_le_bytes)
    }

    /// A little-endian 24-bit number.
    pub fn u24_le(&mut self) -> Result<u32, Halt> {
        self.array().map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    /// A little-endian `u32`.
    pub fn u32_le(&mut self) -> Result<u32, Halt> {
        self.array().map(u32::from_le_bytes)
    }

    /// Everything up to `delimiter`, which is taken but not returned; at most `max` bytes.
    pub fn until(&mut self, delimiter: u8, max: usize) -> Result<&'a [u8], Halt> {
        let rest = self.rest();
        match rest.iter().position(|&byte| byte == delimiter) {
            Some(end) if end <= max => {
                let taken = self.take(end)?;
                self.take(1)?;
                Ok(taken)
            }
            None if rest.len() <= max => Err(self.short(self.bytes.len().saturating_add(1))),
            _ => Err(Halt::Malformed("text too long")),
        }
    }

    /// Takes everything that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        let rest = self.rest();
        self.at = self.bytes.len();
        rest
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// A fixed-size array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Halt> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| Halt::Malformed("unreachable: take(N) returned N bytes"))
    }

    /// The next byte, without taking it.
    pub fn peek(&self) -> Result<u8, Halt> {
        self.rest().first().copied().ok_or_else(|| self.short(self.at.saturating_add(1)))
    }

    /// How many bytes were taken.
    pub fn consumed(&self) -> usize {
        self.at
    }

    /// Bytes not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn short(&self, need: usize) -> Halt {
        match self.whole {
            true => Halt::Malformed("truncated"),
            false => Halt::Need(need),
        }
    }
}
