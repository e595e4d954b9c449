//! Shapes of personal data and secrets, as data with a version. What was found is never kept or told.

use super::personal::Check;
use super::{Invalid, Kind, Signal, Text, Value};
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Each is a bit in what a text remembers.
const MAX_PATTERNS: usize = 64;
const MAX_COMPILED: usize = 256 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    patterns: Vec<Described>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Described {
    group: String,
    name: String,
    regex: String,
    #[serde(default)]
    check: Check,
}

/// Patterns in groups, such as `pii` and `secret`. Each is a regular expression without look-around, which takes time
/// linear in the text, and perhaps a check of what it found, such as the digits that a card's number ends with.
#[derive(Debug)]
pub struct Patterns {
    name: String,
    version: String,
    digest: String,
    key: u64,
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    group: String,
    name: String,
    regex: Regex,
    check: Check,
}

impl Patterns {
    /// E-mail, phone, IBAN, card, SSN and IPv4; addresses with a password, private keys, JWT and keys of well-known
    /// services. Errors: none, as far as the tests know.
    pub fn built_in() -> Result<Self, Invalid> {
        Self::parse(include_str!("data/patterns.json"))
    }

    /// A list of one's own: `{"name": …, "version": …, "patterns": [{"group": "pii", "name": "badge", "regex": …}]}`.
    ///
    /// Errors: it is not of this form; a name or group is not of lower-case letters, digits and `_`, or is there twice;
    /// a regular expression that is none, matches the empty text or becomes larger than 256 KiB; more than 64 patterns.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        let Document { name, version, patterns } =
            serde_json::from_str(json).map_err(|error| Invalid::new(format!("no patterns: {error}")))?;
        check_name(&name)?;
        if patterns.len() > MAX_PATTERNS {
            return Err(Invalid::new("at most 64 patterns"));
        }
        let mut names = BTreeSet::new();
        for described in &patterns {
            check_name(&described.group)?;
            check_name(&described.name)?;
            if described.name == "any" || !names.insert((&described.group, &described.name)) {
                return Err(Invalid::new(format!("two patterns are called {}", described.name)));
            }
        }
        let canonical = serde_json::to_vec(&patterns).unwrap_or_default();
        let hash = Sha256::new_with_prefix("patterns 1\n").chain_update(canonical).finalize();
        let key = hash.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
        let patterns = patterns.into_iter().map(Pattern::compile).collect::<Result<_, _>>()?;
        Ok(Self { name, version, digest: hex(&hash), key, patterns })
    }

    /// SHA-256 of the patterns, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name, version and the first digits of the digest.
    pub fn version(&self) -> String {
        format!("{} {} sha256:{}", self.name, self.version, &self.digest[..16])
    }

    /// One for each pattern, called `GROUP_NAME`, and `GROUP_any` for each group.
    pub fn signals(self) -> Vec<Signal> {
        let groups: BTreeSet<String> = self.patterns.iter().map(|pattern| pattern.group.clone()).collect();
        let ones = self.patterns.iter().enumerate().map(|(index, Pattern { group, name, .. })| {
            (format!("{group}_{name}"), 1 << index, "text of this shape occurs")
        });
        let anys = groups.iter().map(|group| {
            let bits = self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.group == *group);
            (
                format!("{group}_any"),
                bits.fold(0, |mask, (index, _)| mask | 1 << index),
                "any shape of the group occurs",
            )
        });
        let named: Vec<(String, u64, &'static str)> = ones.chain(anys).collect();
        let version = self.version();
        let patterns = Arc::new(self);
        let signal = |(name, mask, about): (String, u64, &'static str)| {
            let patterns = Arc::clone(&patterns);
            let rule = move |text: &Text<'_>| Value::Boolean(patterns.found_in(text) & mask != 0);
            Signal::new(name, Kind::Boolean, about, rule).with_version(&version)
        };
        named.into_iter().map(signal).collect()
    }

    /// A bit for each pattern that occurs.
    fn found_in(&self, text: &Text<'_>) -> u64 {
        text.found(self.key, || {
            let bytes = text.as_str().as_bytes();
            let found = self.patterns.iter().enumerate().filter(|(_, pattern)| pattern.occurs_in(bytes));
            found.fold(0, |bits, (index, _)| bits | 1 << index)
        })
    }
}

impl Pattern {
    fn compile(Described { group, name, regex, check }: Described) -> Result<Self, Invalid> {
        let invalid = |why: &str| Invalid::new(format!("pattern {name}: {why}"));
        let compiled = RegexBuilder::new(&regex).size_limit(MAX_COMPILED).build();
        let regex = compiled.map_err(|error| invalid(&error.to_string()))?;
        if regex.is_match(b"") {
            return Err(invalid("it matches the empty text"));
        }
        Ok(Self { group, name, regex, check })
    }

    fn occurs_in(&self, text: &[u8]) -> bool {
        match self.check {
            Check::None => self.regex.is_match(text),
            check => self.regex.find_iter(text).any(|found| check.holds(text, found.range())),
        }
    }
}

/// Names of lexicons and patterns become names of columns.
pub(super) fn check_name(name: &str) -> Result<(), Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        return Err(Invalid::new("a name is of 1 to 64 lower-case letters, digits and _"));
    }
    Ok(())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
