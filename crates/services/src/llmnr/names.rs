//! Names that somebody might ask for, and that nobody has.

/// What Windows calls a new machine: a beginning, and so many letters and digits (Windows 10 and later, laptops by
/// their makers, Windows Server).
const FRESH: [(&str, usize); 3] = [("DESKTOP-", 7), ("LAPTOP-", 8), ("WIN-", 11)];
/// What administrators call servers, before a number.
const SERVERS: [&str; 16] = [
    "FILESRV", "FS", "PRINT", "PRN", "SQL", "DB", "BACKUP", "NAS", "APP", "EXCH", "SHARE", "WEB", "ADMIN",
    "HV", "SCCM", "WSUS",
];
const LETTERS: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Where chance comes from: a number below the bound, which is above 0.
pub(super) trait Chance {
    fn below(&mut self, bound: usize) -> usize;
}

/// A name of fifteen letters at most, as NetBIOS needs it; now and then `own` with a slip of the keyboard in it.
pub(super) fn plausible(own: &str, chance: &mut impl Chance) -> String {
    match chance.below(4) {
        0 => fresh(chance),
        1 => slip(own, chance).unwrap_or_else(|| fresh(chance)),
        _ => server(chance),
    }
}

fn fresh(chance: &mut impl Chance) -> String {
    let (beginning, letters) = pick(&FRESH, chance).unwrap_or_default();
    let rest = (0..letters).filter_map(|_| pick(LETTERS, chance)).map(char::from);
    beginning.chars().chain(rest).collect()
}

/// Numbers that few networks have so many servers for.
fn server(chance: &mut impl Chance) -> String {
    let stem = pick(&SERVERS, chance).unwrap_or_default();
    let between = pick(&["", "-", "0"], chance).unwrap_or_default();
    let name = format!("{stem}{between}{}", chance.below(60).saturating_add(40));
    if chance.below(2) == 0 { name } else { name.to_ascii_lowercase() }
}

/// Two letters exchanged, one doubled, or one left out.
fn slip(own: &str, chance: &mut impl Chance) -> Option<String> {
    let mut letters: Vec<char> = own.split('.').next()?.chars().collect();
    let at = chance.below(letters.len().max(1));
    match chance.below(3) {
        0 => letters.get_mut(at..)?.get_mut(..2)?.reverse(),
        1 => letters.insert(at, *letters.get(at)?),
        _ => drop((at < letters.len()).then(|| letters.remove(at))),
    }
    let slipped: String = letters.into_iter().collect();
    ((2..=15).contains(&slipped.len()) && slipped != own).then_some(slipped)
}

fn pick<T: Copy>(among: &[T], chance: &mut impl Chance) -> Option<T> {
    among.get(chance.below(among.len().max(1))).copied()
}
