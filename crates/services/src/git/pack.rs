//! Packs of git (gitformat-pack, versions 2 and 3): reading one whole.

use std::collections::HashMap;

use flate2::{Decompress, FlushDecompress};

use super::object::{Contents, Id, ObjectKind};

/// An entry that is told as the difference to another.
struct Delta {
    at: usize,
    base: Base,
    bytes: Vec<u8>,
}

/// Which other.
enum Base {
    At(usize),
    Named(Id),
}

/// How often deltas are looked through whose base may come later. Git makes chains of 50.
const ROUNDS: usize = 4096;

/// Adds all objects of a pack.
///
/// # Errors
/// In words for the operator.
pub(super) fn read(pack: &[u8], contents: &mut Contents) -> Result<(), String> {
    let mut reader = Reader { pack, at: 0 };
    let head = reader.take(8).ok_or("no pack")?;
    if !matches!(head, b"PACK\0\0\0\x02" | b"PACK\0\0\0\x03") {
        return Err("no pack of version 2 or 3".into());
    }
    let count = reader.take(4).and_then(|count| count.try_into().ok()).map(u32::from_be_bytes);
    let mut known: HashMap<usize, Id> = HashMap::new();
    let mut deltas = Vec::new();
    for _ in 0..count.ok_or("cut short")? {
        let at = reader.at;
        let damaged = || format!("damaged at byte {at}");
        let (number, size) = reader.header().ok_or_else(damaged)?;
        let base = match number {
            6 => reader.offset().and_then(|back| at.checked_sub(back)).map(Base::At),
            7 => reader.take(20).and_then(|id| id.try_into().ok()).map(|id| Base::Named(Id(id))),
            _ => None,
        };
        if size > contents.room() {
            return Err("too large".into());
        }
        let bytes = reader.inflate(size).ok_or_else(damaged)?;
        match (base, ObjectKind::numbered(number)) {
            (Some(base), _) => deltas.push(Delta { at, base, bytes }),
            (None, Some(kind)) => {
                known.insert(at, contents.add(kind, bytes)?);
            }
            (None, None) => return Err(damaged()),
        }
    }
    for _ in 0..ROUNDS {
        let before = deltas.len();
        let mut later = Vec::new();
        for delta in deltas {
            let base = match &delta.base {
                Base::At(at) => known.get(at).copied(),
                Base::Named(id) => Some(*id),
            };
            let Some(body) = base.and_then(|base| contents.get(&base)) else {
                later.push(delta);
                continue;
            };
            let whole = apply(&body.bytes, &delta.bytes, contents.room());
            let (kind, whole) = (body.kind, whole.ok_or_else(|| format!("damaged at byte {}", delta.at))?);
            known.insert(delta.at, contents.add(kind, whole)?);
        }
        deltas = later;
        if deltas.is_empty() {
            return Ok(());
        }
        if deltas.len() == before {
            break;
        }
    }
    Err("objects are missing on which others are based".into())
}

struct Reader<'a> {
    pack: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.pack.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// The number of a kind, and the size of what follows, unpacked.
    fn header(&mut self) -> Option<(u8, usize)> {
        let mut byte = self.byte()?;
        let number = (byte >> 4) & 7;
        let (mut size, mut shift) = (usize::from(byte & 0xf), 4_u32);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift = shift.checked_add(7)?;
        }
        Some((number, size))
    }

    /// How far back the base lies.
    fn offset(&mut self) -> Option<usize> {
        let mut byte = self.byte()?;
        let mut offset = usize::from(byte & 0x7f);
        while byte & 0x80 != 0 {
            byte = self.byte()?;
            offset = offset.checked_add(1)?.checked_mul(128)? | usize::from(byte & 0x7f);
        }
        Some(offset)
    }

    fn inflate(&mut self, size: usize) -> Option<Vec<u8>> {
        let mut inflate = Decompress::new(true);
        // One byte more: the stream ends when it is asked for what is not there.
        let mut bytes = vec![0; size.checked_add(1)?];
        let status =
            inflate.decompress(self.pack.get(self.at..)?, &mut bytes, FlushDecompress::Finish).ok()?;
        let (read, made) =
            (usize::try_from(inflate.total_in()).ok()?, usize::try_from(inflate.total_out()).ok()?);
        if status != flate2::Status::StreamEnd || made != size {
            return None;
        }
        bytes.truncate(size);
        self.take(read)?;
        Some(bytes)
    }
}

/// Makes an object of its base and the difference: both sizes, then pieces to copy and pieces that are new.
fn apply(base: &[u8], delta: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut reader = Reader { pack: delta, at: 0 };
    let size = |reader: &mut Reader<'_>| {
        let (mut size, mut shift) = (0_usize, 0_u32);
        loop {
            let byte = reader.byte()?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift = shift.checked_add(7)?;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    };
    if size(&mut reader)? != base.len() {
        return None;
    }
    let wanted = size(&mut reader).filter(|wanted| *wanted <= most)?;
    let mut whole = Vec::with_capacity(wanted);
    while let Some(code) = reader.byte() {
        if code & 0x80 == 0 {
            whole.extend_from_slice(reader.take(usize::from(code)).filter(|piece| !piece.is_empty())?);
            continue;
        }
        let mut field = |bits: std::ops::Range<u32>, first: u32| {
            bits.clone().filter(|bit| code & 1_u8.wrapping_shl(*bit) != 0).try_fold(0_usize, |value, bit| {
                let shift = bit.checked_sub(first)?.checked_mul(8)?;
                Some(value | usize::from(reader.byte()?).checked_shl(shift)?)
            })
        };
        let (from, length) = (field(0..4, 0)?, field(4..7, 4)?);
        let length = if length == 0 { 0x10000 } else { length };
        whole.extend_from_slice(base.get(from..from.checked_add(length)?)?);
        if whole.len() > wanted {
            return None;
        }
    }
    (whole.len() == wanted).then_some(whole)
}
