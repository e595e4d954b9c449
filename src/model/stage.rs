//! Stages of a workload's promotion line. The built-in line is dev, staging, production.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The built-in stages, in order of promotion.
pub const BUILT_IN: [&str; 3] = ["dev", "staging", "production"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Stage(String);

impl Stage {
    /// The stage of this name, if there is one.
    pub fn find(name: &str) -> Option<Self> {
        BUILT_IN.contains(&name).then(|| Self(name.to_owned()))
    }

    pub fn last() -> Self {
        Self(BUILT_IN[BUILT_IN.len() - 1].to_owned())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
