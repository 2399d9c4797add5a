//! Patterns with `*` and `?`, as in a shell, without regard to case.

/// One pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// `*` stands for anything, `?` for one byte.
    pub fn new(text: &str) -> Self {
        Self(text.to_ascii_lowercase().into_bytes())
    }

    /// Whether all of `text` fits it.
    pub fn fits(&self, text: &[u8]) -> bool {
        fits(&self.0, text)
    }
}

/// Whether all of `text` fits a pattern, which is in lower case. Takes at most the product of both lengths in steps.
pub fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut next) = (0_usize, 0_usize);
    // Where the last star was, and how much of the text it is taken to stand for.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(next) {
            Some(b'*') => {
                star = Some((next, at));
                next = next.saturating_add(1);
                continue;
            }
            Some(wanted) if *wanted == b'?' || *wanted == byte.to_ascii_lowercase() => {
                at = at.saturating_add(1);
                next = next.saturating_add(1);
                continue;
            }
            _ => {}
        }
        let Some((before, from)) = star else { return false };
        star = Some((before, from.saturating_add(1)));
        at = from.saturating_add(1);
        next = before.saturating_add(1);
    }
    pattern.get(next..).is_none_or(|rest| rest.iter().all(|byte| *byte == b'*'))
}
