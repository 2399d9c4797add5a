//! Whether an answer is that of a common password.

use std::collections::HashSet;

use haldane_wire::vnc::{CHALLENGE, LONGEST, Password};

/// Passwords that are often seen on VNC servers, most frequent first, as far as the protocol looks at them.
pub(super) const BUILT_IN: &str = include_str!("words.txt");

/// Common passwords, ready to be tried.
#[derive(Debug)]
pub(super) struct Common(Box<[(Box<[u8]>, Password)]>);

impl Common {
    /// From words in the order in which they are tried, at most that many. What is the same in its first eight
    /// bytes is one.
    pub(super) fn new<'w>(words: impl Iterator<Item = &'w str>, most: usize) -> Self {
        let mut known: HashSet<&[u8]> = HashSet::new();
        let cut = |word: &'w str| word.as_bytes().get(..LONGEST).unwrap_or(word.as_bytes());
        let words = words.filter(|word| !word.is_empty()).map(cut).filter(|word| known.insert(word));
        Self(words.take(most).map(|word| (word.into(), Password::new(word))).collect())
    }

    /// The password that gives that answer, if it is one of them.
    pub(super) fn find(&self, challenge: &[u8; CHALLENGE], answer: &[u8; CHALLENGE]) -> Option<&[u8]> {
        self.0.iter().find(|(_, password)| password.gives(answer, challenge)).map(|(word, _)| &**word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_password_is_found_by_its_answer_and_another_is_not() {
        let common = Common::new(BUILT_IN.lines(), usize::MAX);
        let challenge = *b"sixteen bytes ok";
        for (word, known) in
            [("password", true), ("password123", true), ("FELDTECH", true), ("xK3#mm", false), ("", false)]
        {
            let answer = Password::new(word.as_bytes()).answer(&challenge);
            let found = common.find(&challenge, &answer);
            assert_eq!(found, known.then(|| &word.as_bytes()[..word.len().min(8)]), "{word}");
        }
    }

    #[test]
    fn the_built_in_words_are_as_long_as_the_protocol_and_no_two_are_the_same() {
        let words: Vec<&str> = BUILT_IN.lines().collect();
        assert!(words.len() > 300);
        assert!(words.iter().all(|word| (1..=LONGEST).contains(&word.len())));
        assert_eq!(Common::new(words.iter().copied(), usize::MAX).0.len(), words.len());
        assert_eq!(Common::new(words.iter().copied(), 3).0.len(), 3);
    }
}
