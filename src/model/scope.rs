//! Where a policy or a freeze holds.

use super::{
    access::EVERYWHERE,
    name::{Namespace, Workload},
};
use crate::error::{Error, Result};
use std::{fmt, str::FromStr};

/// Where a policy or a freeze holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    Everywhere,
    Namespace(Namespace),
    Workload(Workload),
}

impl Scope {
    /// The namespace it is, or lies in.
    pub fn namespace(&self) -> Option<Namespace> {
        match self {
            Self::Everywhere => None,
            Self::Namespace(namespace) => Some(namespace.clone()),
            Self::Workload(workload) => Some(workload.namespace()),
        }
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            EVERYWHERE => Ok(Self::Everywhere),
            _ if text.contains('/') => text.parse().map(Self::Workload),
            _ => text.parse().map(Self::Namespace),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere => out.write_str(EVERYWHERE),
            Self::Namespace(namespace) => namespace.fmt(out),
            Self::Workload(workload) => workload.fmt(out),
        }
    }
}
