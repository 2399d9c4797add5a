//! A set of small numbers: of objects, by their place in the repository.

/// The set. Numbers beyond its size are never in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// An empty set with room for the numbers below `size`.
    pub(super) fn new(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)].into())
    }

    /// Adds one; tells whether it is new.
    pub(super) fn add(&mut self, number: u32) -> bool {
        let (at, bit) = place(number);
        match self.0.get_mut(at) {
            Some(word) if *word & bit == 0 => {
                *word |= bit;
                true
            }
            _ => false,
        }
    }

    /// Takes one away.
    pub(super) fn remove(&mut self, number: u32) {
        let (at, bit) = place(number);
        if let Some(word) = self.0.get_mut(at) {
            *word &= !bit;
        }
    }

    /// Whether it is there.
    pub(super) fn has(&self, number: u32) -> bool {
        let (at, bit) = place(number);
        self.0.get(at).is_some_and(|word| word & bit != 0)
    }

    /// Whether all that is in it is in the other, too.
    pub(super) fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(mine, theirs)| mine & !theirs == 0)
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).fold(0, u32::saturating_add)
    }

    /// The smallest that is not below `from`.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let (first, bit) = place(from);
        let above = !bit.wrapping_sub(1);
        let words = self.0.iter().enumerate().skip(first);
        let mut words = words.map(|(at, word)| (at, if at == first { word & above } else { *word }));
        let (at, word) = words.find(|(_, word)| *word != 0)?;
        u32::try_from(at).ok()?.checked_mul(64)?.checked_add(word.trailing_zeros())
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.next(0), |last| self.next(last.checked_add(1)?))
    }
}

fn place(number: u32) -> (usize, u64) {
    (usize::try_from(number >> 6).unwrap_or(usize::MAX), 1_u64.wrapping_shl(number & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_added_found_and_told_in_order() {
        let mut bits = Bits::new(200);
        assert!(bits.is_empty());
        for number in [0, 63, 64, 130, 191] {
            assert!(bits.add(number));
            assert!(!bits.add(number));
        }
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 63, 64, 130, 191]);
        assert_eq!((bits.len(), bits.next(131), bits.next(192)), (5, Some(191), None));
        bits.remove(64);
        assert!(!bits.has(64) && bits.has(63) && !bits.has(9_999));
        assert!(!bits.add(9_999));
        assert!(Bits::new(200).within(&bits) && !bits.within(&Bits::new(200)));
    }
}
