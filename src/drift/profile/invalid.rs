use std::fmt;

/// Why something is not acceptable, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// The same, with the place it was found in.
    pub(super) fn within(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// Refuses with `why` what does not hold.
pub(super) fn require(holds: bool, why: &str) -> Result<(), Invalid> {
    if holds { Ok(()) } else { Err(Invalid::new(why)) }
}
