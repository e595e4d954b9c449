//! Words for what is taken away for good, and for what must not be.

use super::{
    digest::{Digest, shorten},
    name::{Namespace, Workload},
    reference::{Reference, Selector},
    version::Version,
};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// By what right content was taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// One asked, another one did it.
    TwoAdmins,
    /// Whoever has the data directory could delete the files by hand.
    LocalUser,
    /// A rule of the namespace.
    Retention,
}

/// How far a request to take content away has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PurgeState {
    /// It takes another admin.
    Pending,
    Purged,
    Withdrawn,
    Expired,
}

impl PurgeState {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Purged, Self::Withdrawn, Self::Expired];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Purged => "purged",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for PurgeState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for PurgeState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            Error::invalid("word_invalid", format!("not a state of a purge: {}", shorten(text)))
        })
    }
}

/// What nobody can mean by mistake: a version by its number or its digest. What a range or a stage means may change
/// between two people's looking at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exact {
    Version(Version),
    Digest(Digest),
}

impl Exact {
    pub fn of(reference: &Reference) -> Result<Self> {
        match &reference.selector {
            Selector::Version(version) => Ok(Self::Version(version.clone())),
            Selector::Digest(digest) => Ok(Self::Digest(digest.clone())),
            other => Err(Error::invalid(
                "reference_inexact",
                format!("one exact version is needed, not the {}: {reference}", other.describe()),
            )
            .hint(format!("name it by number or digest, as in: gradus list {}", reference.workload))),
        }
    }

    pub fn selector(&self) -> Selector {
        match self {
            Self::Version(version) => Selector::Version(version.clone()),
            Self::Digest(digest) => Selector::Digest(digest.clone()),
        }
    }
}

/// What a hold covers: `acme`, `acme/x`, `acme/x:1.2.3` or `acme/x@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldScope {
    Namespace(Namespace),
    Workload(Workload),
    Version(Workload, Exact),
}

impl HoldScope {
    /// The namespace it is, or lies in.
    pub fn namespace(&self) -> Namespace {
        match self {
            Self::Namespace(namespace) => namespace.clone(),
            Self::Workload(workload) | Self::Version(workload, _) => workload.namespace(),
        }
    }

    pub fn workload(&self) -> Option<&Workload> {
        match self {
            Self::Namespace(_) => None,
            Self::Workload(workload) | Self::Version(workload, _) => Some(workload),
        }
    }
}

impl FromStr for HoldScope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if !text.contains('/') {
            return text.parse().map(Self::Namespace);
        }
        let reference: Reference = text.parse()?;
        match reference.selector {
            Selector::Default => Ok(Self::Workload(reference.workload)),
            _ => Ok(Self::Version(reference.workload.clone(), Exact::of(&reference)?)),
        }
    }
}

impl fmt::Display for HoldScope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(namespace) => namespace.fmt(out),
            Self::Workload(workload) => workload.fmt(out),
            Self::Version(workload, Exact::Version(version)) => write!(out, "{workload}:{version}"),
            Self::Version(workload, Exact::Digest(digest)) => write!(out, "{workload}@{digest}"),
        }
    }
}

/// Most days of a rule of retention, and most versions it keeps of each workload.
pub const DAYS_MAX: i64 = 36_500;
pub const KEEP_MAX: i64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_covers_a_namespace_a_workload_or_one_exact_version() {
        let digest = format!("acme/x@sha256:{}", "0".repeat(64));
        for text in ["acme", "acme/x", "acme/x:1.2.3", "acme/x:1.2.3-rc.1", &digest] {
            assert_eq!(text.parse::<HoldScope>().unwrap().to_string(), text);
        }
        for text in ["acme/x:latest", "acme/x:^1", "acme/x:production", "acme/x:champion", "acme/x:1.2"] {
            assert_eq!(text.parse::<HoldScope>().unwrap_err().code, "reference_inexact", "{text}");
        }
        for text in ["*", "", "Acme", "acme/", "acme/x/y", "acme/x@sha256:12"] {
            assert!(text.parse::<HoldScope>().is_err(), "{text}");
        }
    }
}
