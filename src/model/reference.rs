//! References: `ns/name`, `ns/name:TAG` or `ns/name@sha256:…`, and the fixed order in which TAG is read.

use super::{
    digest::{Digest, shorten},
    name::{Tag, Workload},
    range::Range,
    stage::Stage,
    version::Version,
};
use crate::error::{Error, Result};
use std::{fmt, str::FromStr};

#[derive(Clone, Debug)]
pub struct Reference {
    pub workload: Workload,
    pub selector: Selector,
}

/// What TAG means. The order of the variants is the order of reading.
#[derive(Clone, Debug)]
pub enum Selector {
    /// No TAG: the last stage.
    Default,
    Digest(Digest),
    Version(Version),
    Stage(Stage),
    Latest,
    Range(Range),
    Alias(Tag),
}

impl Selector {
    /// Reads a TAG. Words that no rule claims are aliases.
    pub fn parse(tag: &str) -> Result<Self> {
        if let Ok(version) = tag.parse() {
            return Ok(Self::Version(version));
        }
        if let Some(stage) = Stage::built_in(tag) {
            return Ok(Self::Stage(stage));
        }
        if tag == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(range) = tag.parse() {
            return Ok(Self::Range(range));
        }
        tag.parse().map(Self::Alias).map_err(|_| {
            Error::invalid(
                "reference_invalid",
                format!("not a version, stage, range or alias: {}", shorten(tag)),
            )
            .hint("for example 1.4.0, production, latest, ^1.2 or champion")
        })
    }

    /// What kind of thing this names, for messages.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Default => "last stage",
            Self::Digest(_) => "digest",
            Self::Version(_) => "version",
            Self::Stage(_) => "stage",
            Self::Latest => "latest version",
            Self::Range(_) => "range",
            Self::Alias(_) => "alias",
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Digest(digest) => write!(out, "@{digest}"),
            Self::Version(version) => write!(out, ":{version}"),
            Self::Stage(stage) => write!(out, ":{stage}"),
            Self::Latest => out.write_str(":latest"),
            Self::Range(range) => write!(out, ":{range}"),
            Self::Alias(alias) => write!(out, ":{alias}"),
        }
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some((workload, digest)) = text.split_once('@') {
            return Ok(Self { workload: workload.parse()?, selector: Selector::Digest(digest.parse()?) });
        }
        match text.split_once(':') {
            Some((workload, tag)) => {
                Ok(Self { workload: workload.parse()?, selector: Selector::parse(tag)? })
            }
            None => Ok(Self { workload: text.parse()?, selector: Selector::Default }),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.workload, self.selector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_in_the_documented_order() {
        for (tag, kind) in [
            ("1.4.0", "version"),
            ("1.4.0-rc.1", "version"),
            ("production", "stage"),
            ("dev", "stage"),
            ("latest", "latest version"),
            ("1", "range"),
            ("1.2", "range"),
            ("1.x", "range"),
            ("^1.2", "range"),
            ("x", "range"),
            ("champion", "alias"),
            ("v1.2.3", "alias"),
        ] {
            assert_eq!(Selector::parse(tag).unwrap().describe(), kind, "{tag}");
        }
        for bad in ["", "a b", "../x", "^1.2+b", "a/b"] {
            assert_eq!(Selector::parse(bad).unwrap_err().code, "reference_invalid", "{bad}");
        }
    }

    #[test]
    fn references_print_as_written() {
        let digest = format!("acme/x@sha256:{}", "0".repeat(64));
        for text in ["acme/x", "acme/x:1.0.0", "acme/x:^1", "acme/x:production", "acme/x:champion", &digest] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
