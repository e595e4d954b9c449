//! Versions: semver 2.0 without build metadata, because two versions that differ only there would
//! have equal precedence and an OCI tag cannot hold the `+`.

use super::{digest::shorten, name::TAG_MAX};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(semver::Version);

/// The part of a version to raise.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    Patch,
    Minor,
    Major,
}

impl fmt::Display for Bump {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

impl Version {
    pub fn new(major: u64, minor: u64, patch: u64) -> Self {
        Self(semver::Version::new(major, minor, patch))
    }

    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    pub fn semver(&self) -> &semver::Version {
        &self.0
    }

    /// The release this version is, or is a pre-release of.
    pub fn release(&self) -> Self {
        Self::new(self.0.major, self.0.minor, self.0.patch)
    }

    /// The next version. A pre-release is finished by a bump it already stands for
    /// (2.0.0-rc.1 raised by major is 2.0.0), as npm and Cargo tools do.
    pub fn bumped(&self, bump: Bump) -> Result<Self> {
        let semver::Version { major, minor, patch, .. } = self.0;
        let pre = self.is_prerelease();
        let raise = |number: u64| {
            number
                .checked_add(1)
                .ok_or_else(|| Error::invalid("version_invalid", format!("cannot go above: {self}")))
        };
        Ok(match bump {
            Bump::Major if pre && minor == 0 && patch == 0 => self.release(),
            Bump::Minor if pre && patch == 0 => self.release(),
            Bump::Patch if pre => self.release(),
            Bump::Major => Self::new(raise(major)?, 0, 0),
            Bump::Minor => Self::new(major, raise(minor)?, 0),
            Bump::Patch => Self::new(major, minor, raise(patch)?),
        })
    }

    /// What changed between two versions of one line: the highest part that differs.
    pub fn claims_over(&self, older: &Self) -> Bump {
        let (new, old) = (&self.0, &older.0);
        if new.major != old.major {
            Bump::Major
        } else if new.minor != old.minor {
            Bump::Minor
        } else {
            Bump::Patch
        }
    }

    /// Bytes that sort as semver precedence does, so that SQL can use an index.
    ///
    /// A number is its count of digits (as a letter) and its digits; a release ends in `~`; a
    /// pre-release is `-` and its identifiers, each closed by `!`, which sorts below whatever an
    /// identifier may hold. Numeric identifiers (`0…`) sort below others (`1…`).
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(16);
        let number = |key: &mut Vec<u8>, digits: &str| {
            key.push(b'a' + u8::try_from(digits.len()).unwrap_or(25).min(25));
            key.extend_from_slice(digits.as_bytes());
        };
        for part in [self.0.major, self.0.minor, self.0.patch] {
            number(&mut key, &part.to_string());
        }
        if self.0.pre.is_empty() {
            key.push(b'~');
            return key;
        }
        key.push(b'-');
        for identifier in self.0.pre.split('.') {
            if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
                key.push(b'0');
                number(&mut key, identifier);
            } else {
                key.push(b'1');
                key.extend_from_slice(identifier.as_bytes());
            }
            key.push(b'!');
        }
        key
    }
}

impl FromStr for Version {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid("version_invalid", format!("not a version: {}", shorten(text)))
                .hint("a version is MAJOR.MINOR.PATCH with an optional -PRERELEASE, for example 1.4.0 or 2.0.0-rc.1")
        };
        if text.len() > TAG_MAX {
            return Err(refuse());
        }
        let version = semver::Version::parse(text).map_err(|_| refuse())?;
        if !version.build.is_empty() {
            return Err(Error::invalid(
                "version_build_metadata",
                format!("build metadata is not allowed: {text}"),
            )
            .hint("leave out the '+' and what follows; two versions that differ only there would be equal"));
        }
        // The sort key holds at most 25 digits a number; semver itself stops at 20 outside pre-releases.
        let long_number =
            |identifier: &str| identifier.len() > 24 && identifier.bytes().all(|b| b.is_ascii_digit());
        if version.pre.split('.').any(long_number) {
            return Err(refuse());
        }
        Ok(Self(version))
    }
}

impl TryFrom<String> for Version {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl schemars::JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "semver 2.0 without build metadata",
            "pattern": r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn sort_keys_order_like_semver() {
        let ordered = [
            "0.0.0-0",
            "0.0.1",
            "0.1.0",
            "1.0.0-0",
            "1.0.0-2",
            "1.0.0-11",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.1.0",
            "1.0.0-alpha.beta",
            "1.0.0-alpha-1",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1",
            "1.0.10",
            "1.2.0",
            "1.10.0",
            "2.0.0",
            "10.0.0",
            "18446744073709551615.0.0",
        ];
        for (i, left) in ordered.iter().enumerate() {
            for (j, right) in ordered.iter().enumerate() {
                assert_eq!(i.cmp(&j), v(left).cmp(&v(right)), "semver: {left} {right}");
                assert_eq!(i.cmp(&j), v(left).sort_key().cmp(&v(right).sort_key()), "key: {left} {right}");
            }
        }
    }

    #[test]
    fn bumps_finish_prereleases() {
        for (from, bump, to) in [
            ("1.2.3", Bump::Patch, "1.2.4"),
            ("1.2.3", Bump::Minor, "1.3.0"),
            ("1.2.3", Bump::Major, "2.0.0"),
            ("2.0.0-rc.1", Bump::Major, "2.0.0"),
            ("2.0.0-rc.1", Bump::Patch, "2.0.0"),
            ("2.1.0-rc.1", Bump::Minor, "2.1.0"),
            ("2.1.0-rc.1", Bump::Major, "3.0.0"),
            ("2.1.1-rc.1", Bump::Minor, "2.2.0"),
        ] {
            assert_eq!(v(from).bumped(bump).unwrap(), v(to), "{from} {bump}");
        }
        assert!(Version::new(u64::MAX, 0, 0).bumped(Bump::Major).is_err());
    }

    #[test]
    fn refuses_what_is_no_version() {
        for bad in [
            "",
            "1",
            "1.2",
            "v1.2.3",
            "1.2.3+build",
            "01.2.3",
            "1.2.3-",
            "1.2.3-01",
            "99999999999999999999.0.0",
        ] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!(format!("1.0.0-{}", "9".repeat(30)).parse::<Version>().is_err());
        assert!(format!("1.0.0-{}", "a".repeat(200)).parse::<Version>().is_err());
    }
}
