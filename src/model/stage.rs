//! Stages of a workload's promotion line. The built-in line is dev, staging, production; a policy may name others.

use super::{digest::shorten, range::Range, version::Version};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The built-in stages, in order of promotion. These words are never aliases, whatever the policy says.
pub const BUILT_IN: [&str; 3] = ["dev", "staging", "production"];

const LENGTH_MAX: usize = 32;

/// A stage's name: a word of lower-case letters, digits and `-` that no reference reads as something else.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Stage(String);

impl Stage {
    /// The built-in stage of this name, if there is one.
    pub fn built_in(name: &str) -> Option<Self> {
        BUILT_IN.contains(&name).then(|| Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Stage {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let word =
            text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let is_other = text == "latest" || text.parse::<Version>().is_ok() || text.parse::<Range>().is_ok();
        if word && starts && text.len() <= LENGTH_MAX && !is_other {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid("stage_invalid", format!("not a name for a stage: {}", shorten(text))).hint(
            format!("lower-case letters, digits and '-', at most {LENGTH_MAX}, and nothing that is a version or range"),
        ))
    }
}

impl TryFrom<String> for Stage {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Stage> for String {
    fn from(stage: Stage) -> Self {
        stage.0
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}
