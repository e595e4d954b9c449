//! The one error type. `kind` decides the HTTP status and the exit code, `code` is the stable word
//! that scripts match on, `message` is for the caller, `source` is for the log and never leaves.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;
type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's input is wrong; the same call will fail again.
    Invalid,
    /// Who is calling is not known.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    NotFound,
    /// It was here, and was taken away for good.
    Gone,
    /// True at another moment, or for other content: somebody else was first.
    Conflict,
    TooLarge,
    /// Bytes are not what their digest says.
    Integrity,
    /// The thing cannot be changed or deleted this way, by anyone.
    NotAllowed,
    /// A byte range or offset that does not fit what is stored.
    Range,
    /// Sent to a server that does not go by this name.
    Misdirected,
    /// The caller asks too often, or for too much at a time; trying again later helps.
    TooMany,
    /// A dependency (database, bucket, server) does not answer; trying again may help.
    Unavailable,
    /// A bug, or stored facts that contradict each other.
    Internal,
}

pub struct Error {
    pub kind: Kind,
    pub code: &'static str,
    pub message: String,
    /// What to do next, as a sentence or a command.
    pub hint: Option<String>,
    pub details: Option<serde_json::Value>,
    pub source: Option<Source>,
}

macro_rules! constructors {
    ($($name:ident => $kind:ident),* $(,)?) => {
        $(pub fn $name(code: &'static str, message: impl Into<String>) -> Self {
            Self::new(Kind::$kind, code, message)
        })*
    };
}

impl Error {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None, details: None, source: None }
    }

    constructors! {
        invalid => Invalid,
        unauthenticated => Unauthenticated,
        forbidden => Forbidden,
        not_found => NotFound,
        gone => Gone,
        conflict => Conflict,
        too_large => TooLarge,
        integrity => Integrity,
        not_allowed => NotAllowed,
        unavailable => Unavailable,
        internal => Internal,
    }

    /// Two stored facts contradict each other: names the row so that an operator can look at it.
    pub fn corrupt(table: &str, row: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self::internal(
            "corrupt_row",
            format!("stored facts contradict each other in {table}, row {row}: {what}"),
        )
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn details(mut self, details: serde_json::Value) -> Self {
        self.details = Some(details);
        self
    }

    #[must_use]
    pub fn source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?} {}: {}", self.kind, self.code, self.message)?;
        match &self.source {
            Some(source) => write!(out, " (source: {source:?})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

type Cause = dyn std::error::Error + 'static;

/// An error and what it came from, down to the first cause.
pub fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    fn below<'a>(error: &&'a Cause) -> Option<&'a Cause> {
        match error.downcast_ref::<std::io::Error>() {
            // `source` of an I/O error leaves out the one it holds.
            Some(io) => io.get_ref().map(|held| held as _),
            None => error.source(),
        }
    }
    std::iter::successors(Some(error), below)
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        use std::io::ErrorKind::{NotFound, QuotaExceeded, StorageFull};
        match source.kind() {
            NotFound => Self::not_found("file_not_found", "file not found").source(source),
            StorageFull | QuotaExceeded => {
                Self::unavailable("disk_full", "no space left on the disk").source(source)
            }
            _ => Self::unavailable("io", format!("input or output failed: {}", source.kind())).source(source),
        }
    }
}
