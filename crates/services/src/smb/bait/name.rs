//! Names as NTFS has them: which are allowed, how they compare, what they look like short, and patterns for them.

/// Longest name, in units of UTF-16 (MS-FSCC, section 2.1.5.2).
const LONGEST: usize = 255;
/// What no name contains (MS-FSCC, section 2.1.5.2), beside control characters.
const FORBIDDEN: &[u8] = b"\"*/:<>?\\|";
/// What no short name contains beside that, and what becomes `_` in it (MS-FSCC, section 2.1.5.2.1).
const NOT_SHORT: &[char] = &['+', ',', ';', '=', '[', ']'];

/// Whether a file may be called that. Whether one is, is another matter: `CON` may be, and `name.` and a lone
/// surrogate, too.
pub(super) fn is_valid(name: &[u16]) -> bool {
    let dots = [&[u16::from(b'.')][..], &[u16::from(b'.'), u16::from(b'.')]];
    let bad = |unit: &u16| *unit < 0x20 || u8::try_from(*unit).is_ok_and(|byte| FORBIDDEN.contains(&byte));
    (1..=LONGEST).contains(&name.len()) && !name.iter().any(bad) && !dots.contains(&name)
}

/// A stream that was asked for by name or type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stream<'a> {
    name: &'a [u16],
    kind: &'a [u16],
}

impl Stream<'_> {
    /// Whether it is the file's whole content, or the folder's.
    pub(super) fn is_whole(self, folder: bool) -> bool {
        let is = |part: &[u16], text: &str| String::from_utf16(part).is_ok_and(|part| key(&part) == text);
        match folder {
            false => self.name.is_empty() && is(self.kind, "$DATA"),
            true => (self.name.is_empty() || is(self.name, "$I30")) && is(self.kind, "$INDEX_ALLOCATION"),
        }
    }
}

/// A name and the stream behind it: `name:stream:type`. `None` if that is none.
pub(super) fn stream(name: &[u16]) -> Option<(&[u16], Option<Stream<'_>>)> {
    let mut parts = name.split(|unit| *unit == u16::from(b':'));
    let file = parts.next()?;
    let stream = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        // "name:" and "name::" name nothing.
        (Some([]), None | Some([]), _) | (_, _, Some(_)) => return None,
        (Some(name), kind, None) => {
            let kind = kind.unwrap_or_default();
            if name.len() > LONGEST || name.contains(&0) || name.contains(&u16::from(b'/')) {
                return None;
            }
            Some(Stream { name, kind })
        }
    };
    Some((file, stream))
}

/// A name without case. NTFS knows one capital for each letter, and none beyond U+FFFF.
pub(super) fn key(name: &str) -> String {
    name.chars().map(capital).collect()
}

fn capital(c: char) -> char {
    let mut capitals = c.to_uppercase();
    match (capitals.next(), capitals.next()) {
        (Some(capital), None) if u32::from(c) <= 0xffff => capital,
        _ => c,
    }
}

/// Whether a name is one of eight letters and three already.
fn is_short(name: &str) -> bool {
    let (stem, kind) = name.split_once('.').unwrap_or((name, ""));
    let plain = |c: char| c.is_ascii_graphic() && c != '.' && !NOT_SHORT.contains(&c);
    (1..=8).contains(&stem.len())
        && kind.len() <= 3
        && !name.ends_with('.')
        && stem.chars().chain(kind.chars()).all(plain)
}

/// The short name of a file, other than all that are `taken` in its folder: `PROJEC~1.TXT`, and from the fifth on
/// with some digits that follow from the long name.
pub(super) fn short(name: &str, taken: impl Fn(&str) -> bool) -> Option<String> {
    if is_short(name) {
        return None;
    }
    let trimmed = name.trim_start_matches('.');
    let (stem, kind) = trimmed.rsplit_once('.').unwrap_or((trimmed, ""));
    let letters = |text: &str, most: usize| -> String {
        let known = text.chars().filter(|c| !matches!(c, ' ' | '.')).map(|c| match capital(c) {
            c if c.is_ascii_graphic() && !NOT_SHORT.contains(&c) => c,
            _ => '_',
        });
        known.take(most).collect()
    };
    let (stem, kind) = (letters(stem, 6), letters(kind, 3));
    let dot = if kind.is_empty() { "" } else { "." };
    let digits = name.encode_utf16().fold(0_u16, |sum, unit| sum.wrapping_mul(0x25).wrapping_add(unit));
    let hashed = format!("{}{digits:04X}", stem.chars().take(2).collect::<String>());
    let plain = (1..=4).map(|n| format!("{stem}~{n}{dot}{kind}"));
    let more = (1..=9).map(|n| format!("{hashed}~{n}{dot}{kind}"));
    plain.chain(more).find(|name| !taken(name))
}

/// A pattern for names (MS-FSA, section 2.1.4.4).
#[derive(Debug)]
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    /// Of a longer one only the front counts: no name fits it anyway.
    pub(super) fn new(pattern: &str) -> Self {
        let pattern = if pattern.is_empty() { "*" } else { pattern };
        Self(pattern.chars().map(capital).take(LONGEST.saturating_add(1)).collect())
    }

    /// Whether a name without case fits. All places in the pattern that the name may have come to are kept at once, in
    /// order, so that the work is at most the one length times the other, and next to nothing for most names.
    pub(super) fn fits(&self, name: &str) -> bool {
        if self.0 == ['*'] {
            return true;
        }
        let last_dot = name.rfind('.');
        let (mut here, mut next) = (vec![0], Vec::new());
        for (at, c) in name.char_indices() {
            self.skip(&mut here, Some(c));
            next.clear();
            for place in here.iter().copied() {
                let on = place.saturating_add(1);
                let to = match self.0.get(place) {
                    Some('*') => Some(place),
                    Some('<') if Some(at) != last_dot => Some(place),
                    Some('?') => Some(on),
                    Some('>') => (c != '.').then_some(on),
                    Some('"') => (c == '.').then_some(on),
                    Some(letter) => (*letter == c).then_some(on),
                    None => None,
                };
                next.extend(to.filter(|to| next.last() != Some(to)));
            }
            if next.is_empty() {
                return false;
            }
            std::mem::swap(&mut here, &mut next);
        }
        self.skip(&mut here, None);
        here.last() == Some(&self.0.len())
    }

    /// Goes past what may stand for nothing before that letter, or at the end.
    fn skip(&self, here: &mut Vec<usize>, before: Option<char>) {
        let mut index = 0_usize;
        while let Some(place) = here.get(index).copied() {
            let nothing = match self.0.get(place) {
                Some('*' | '<') => true,
                Some('>') => before.is_none_or(|c| c == '.'),
                Some('"') => before.is_none(),
                _ => false,
            };
            index = index.saturating_add(1);
            let on = place.saturating_add(1);
            if nothing && here.get(index) != Some(&on) {
                here.insert(index, on);
            }
        }
    }
}
