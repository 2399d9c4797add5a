//! Secrets of the operator's that must not be printed.

use std::fmt;

/// A password or token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Concealed(String);

impl Concealed {
    /// Hides it.
    pub(crate) fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// For the one place that must send it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Concealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(concealed)")
    }
}
