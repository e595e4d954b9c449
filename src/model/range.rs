//! Version ranges as npm and Cargo users write them: `^1.2`, `~1.4`, `1`, `1.2`, `1.x`, `*`,
//! `>=1.2 <2`, `>=1.2, <2`, `1.2 - 1.5`, `^1 || ^3`.
//!
//! Where the two disagree, the narrower reading holds: a bare `1.2` is `1.2.x` (npm, and what an OCI tag
//! `1.2` means), not `^1.2` (Cargo). Pre-releases match only where both would match them: when a
//! comparator of the range names a pre-release of the same MAJOR.MINOR.PATCH.

use super::{digest::shorten, version::Version};
use crate::error::{Error, Result};
use semver::{BuildMetadata, Comparator, Op, Prerelease, VersionReq};
use std::{fmt, str::FromStr};

/// Longest range text accepted, in bytes.
const MAX: usize = 256;

#[derive(Clone, Debug)]
pub struct Range {
    text: String,
    alternatives: Vec<VersionReq>,
}

/// Versions from `low` (inclusive) up to `high` (exclusive), as sort keys: the releases that one alternative of a
/// range matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    pub low: Vec<u8>,
    pub high: Vec<u8>,
    /// The same of pre-releases that may match: those of each MAJOR.MINOR.PATCH a pre-release is named of.
    pub prereleases: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Range {
    pub fn matches(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|alternative| alternative.matches(version.semver()))
    }

    pub fn intervals(&self) -> Vec<Interval> {
        self.alternatives.iter().map(interval).collect()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl FromStr for Range {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = || {
            Error::invalid("range_invalid", format!("not a version range: {}", shorten(text)))
                .hint("for example ^1.2, ~1.4, 1.x, '>=1.2 <2' or '^1 || ^3'")
        };
        if text.len() > MAX || text.trim().is_empty() {
            return Err(refuse());
        }
        let alternatives =
            text.split("||").map(|part| alternative(part).ok_or_else(refuse)).collect::<Result<Vec<_>>>()?;
        Ok(Self { text: text.to_owned(), alternatives })
    }
}

fn alternative(text: &str) -> Option<VersionReq> {
    let text = text.trim();
    if let Some((from, to)) = text.split_once(" - ") {
        let from = VersionReq::parse(&format!(">={}", from.trim())).ok()?;
        let to = VersionReq::parse(&format!("<={}", to.trim())).ok()?;
        return Some(VersionReq { comparators: [from.comparators, to.comparators].concat() });
    }
    let mut comparators = Vec::new();
    let mut words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty()).peekable();
    let mut any = false;
    while let Some(word) = words.next() {
        // An operator may stand apart from its version: `>= 1.2`.
        let operator_only = word.bytes().all(|byte| b"<>=^~".contains(&byte));
        let comparator = if operator_only { format!("{word}{}", words.next()?) } else { word.to_owned() };
        any = true;
        if matches!(comparator.as_str(), "*" | "x" | "X") {
            continue;
        }
        comparators.push(bare_is_exact(&comparator)?);
    }
    any.then_some(VersionReq { comparators })
}

/// `semver` reads a comparator without operator as caret; here it means what is written.
fn bare_is_exact(text: &str) -> Option<Comparator> {
    if text.contains('+') {
        return None;
    }
    let mut comparator = Comparator::parse(text).ok()?;
    if text.starts_with(|c: char| c.is_ascii_digit()) && comparator.op == Op::Caret {
        comparator.op = Op::Exact;
    }
    Some(comparator)
}

/// The lowest version of all with these numbers: `1.2.3-0`.
fn floor(major: u64, minor: u64, patch: u64) -> Vec<u8> {
    let pre = Prerelease::new("0").unwrap_or(Prerelease::EMPTY);
    key(&semver::Version { major, minor, patch, pre, build: BuildMetadata::EMPTY })
}

fn key(version: &semver::Version) -> Vec<u8> {
    version.to_string().parse::<Version>().map(|version| version.sort_key()).unwrap_or_default()
}

/// The first key above every version: no key starts with so high a byte.
fn ceiling() -> Vec<u8> {
    vec![0xff]
}

fn interval(alternative: &VersionReq) -> Interval {
    let mut whole = Interval { low: Vec::new(), high: ceiling(), prereleases: Vec::new() };
    for comparator in &alternative.comparators {
        let (low, high) = bounds(comparator);
        whole.low = whole.low.max(low);
        whole.high = whole.high.min(high);
        if let Comparator { major, minor: Some(minor), patch: Some(patch), pre, .. } = comparator
            && !pre.is_empty()
        {
            let release = key(&semver::Version::new(*major, *minor, *patch));
            whole.prereleases.push((floor(*major, *minor, *patch), release));
        }
    }
    let (low, high) = (&whole.low, &whole.high);
    whole.prereleases.iter_mut().for_each(|(from, to)| {
        *from = from.clone().max(low.clone());
        *to = to.clone().min(high.clone());
    });
    whole
}

/// The keys a comparator spans. `after` below is the first key past everything the written part covers.
fn bounds(comparator: &Comparator) -> (Vec<u8>, Vec<u8>) {
    let Comparator { op, major, minor, patch, ref pre } = *comparator;
    let above = |number: u64| number.checked_add(1);
    let next_major = above(major).map_or_else(ceiling, |major| floor(major, 0, 0));
    let next_minor =
        |minor: u64| above(minor).map_or_else(|| next_major.clone(), |minor| floor(major, minor, 0));
    let start = match (minor, patch) {
        (Some(minor), Some(patch)) => {
            key(&semver::Version { major, minor, patch, pre: pre.clone(), build: BuildMetadata::EMPTY })
        }
        (minor, _) => floor(major, minor.unwrap_or(0), 0),
    };
    let after = match (minor, patch) {
        (None, _) => next_major.clone(),
        (Some(minor), None) => next_minor(minor),
        (Some(_), Some(_)) => successor(&start),
    };
    match op {
        Op::Exact | Op::Wildcard => (start, after),
        Op::Greater => (after, ceiling()),
        Op::GreaterEq => (start, ceiling()),
        Op::Less => (Vec::new(), start),
        Op::LessEq => (Vec::new(), after),
        Op::Tilde => (start, minor.map_or_else(|| next_major.clone(), next_minor)),
        Op::Caret => {
            let high = match (major, minor, patch) {
                (0, Some(0), Some(patch)) => {
                    above(patch).map_or_else(|| next_minor(0), |patch| floor(0, 0, patch))
                }
                (0, Some(minor), _) => next_minor(minor),
                _ => next_major,
            };
            (start, high)
        }
        _ => (Vec::new(), ceiling()),
    }
}

/// The smallest key above `key`.
fn successor(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [&str; 14] = [
        "0.0.3",
        "0.2.3",
        "0.2.9",
        "1.0.0-rc.1",
        "1.0.0",
        "1.2.0",
        "1.2.3",
        "1.3.0-beta.1",
        "1.3.0-beta.2",
        "1.4.9",
        "2.0.0-rc.1",
        "2.0.0",
        "2.1.0",
        "10.0.0",
    ];

    fn check(range: &str, expected: &[&str]) {
        let range: Range = range.parse().unwrap();
        let matched: Vec<&str> =
            VERSIONS.into_iter().filter(|text| range.matches(&text.parse().unwrap())).collect();
        assert_eq!(matched, expected, "{range}");
        // Intervals hold all that matches, and for releases nothing else.
        for text in VERSIONS {
            let version: Version = text.parse().unwrap();
            let key = version.sort_key();
            let inside = range.intervals().iter().any(|interval| match version.is_prerelease() {
                true => interval.prereleases.iter().any(|(low, high)| *low <= key && key < *high),
                false => interval.low <= key && key < interval.high,
            });
            if range.matches(&version) || !version.is_prerelease() {
                assert_eq!(inside, range.matches(&version), "{range} {text}");
            }
        }
    }

    #[test]
    fn ranges_match_as_npm_and_cargo_users_expect() {
        check("^1.2", &["1.2.0", "1.2.3", "1.4.9"]);
        check("^1", &["1.0.0", "1.2.0", "1.2.3", "1.4.9"]);
        check("1", &["1.0.0", "1.2.0", "1.2.3", "1.4.9"]);
        check("1.x", &["1.0.0", "1.2.0", "1.2.3", "1.4.9"]);
        check("1.2", &["1.2.0", "1.2.3"]);
        check("1.2.x", &["1.2.0", "1.2.3"]);
        check("~1.2", &["1.2.0", "1.2.3"]);
        check("~1.2.1", &["1.2.3"]);
        check("~1", &["1.0.0", "1.2.0", "1.2.3", "1.4.9"]);
        check("^0.2.3", &["0.2.3", "0.2.9"]);
        check("^0.0.3", &["0.0.3"]);
        check("^0", &["0.0.3", "0.2.3", "0.2.9"]);
        check(
            "*",
            &["0.0.3", "0.2.3", "0.2.9", "1.0.0", "1.2.0", "1.2.3", "1.4.9", "2.0.0", "2.1.0", "10.0.0"],
        );
        check(">=1.2 <2", &["1.2.0", "1.2.3", "1.4.9"]);
        check(">=1.2, <2", &["1.2.0", "1.2.3", "1.4.9"]);
        check(">= 1.2 < 2", &["1.2.0", "1.2.3", "1.4.9"]);
        check(">1", &["2.0.0", "2.1.0", "10.0.0"]);
        check("<=1.2", &["0.0.3", "0.2.3", "0.2.9", "1.0.0", "1.2.0", "1.2.3"]);
        check("1.2 - 2.0", &["1.2.0", "1.2.3", "1.4.9", "2.0.0"]);
        check("1.0.0 || ^2", &["1.0.0", "2.0.0", "2.1.0"]);
        check("=1.2.3", &["1.2.3"]);
        check(">2 <1", &[]);
    }

    #[test]
    fn prereleases_match_only_when_asked_for() {
        check("^1.3.0-beta.1", &["1.3.0-beta.1", "1.3.0-beta.2", "1.4.9"]);
        check(">=2.0.0-rc.1", &["2.0.0-rc.1", "2.0.0", "2.1.0", "10.0.0"]);
        check("~1.3.0-beta.2", &["1.3.0-beta.2"]);
        check("<1.0.0", &["0.0.3", "0.2.3", "0.2.9"]);
    }

    #[test]
    fn refuses_what_is_no_range() {
        for bad in [
            "",
            " ",
            "champion",
            "latest",
            "^",
            ">=",
            "1.2.3.4",
            "^1 ||",
            "v1",
            "1..2",
            "^1.2+b",
            &"1".repeat(300),
        ] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
