//! The document.

use super::super::performance::Measures;
use super::invalid::{Invalid, require};
use super::{ColumnProfile, MAX_ROWS, Seed, add_rows, canonical};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub const FORMAT: &str = "drift-profile/v1";
/// Bytes of a profile that are read. Reading takes up to about five times as much memory: whoever reads the profiles
/// of strangers may want to refuse earlier.
pub const MAX_BYTES: usize = 256 << 20;
pub const MAX_COLUMNS: usize = 16_384;
const MAX_DERIVATION: usize = 512;

/// The profile of a table, or of a part of one.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    #[schemars(extend("const" = FORMAT))]
    format: String,
    /// What the coins of the sketches were derived from; of parts with different seeds the lowest.
    seed: Seed,
    rows: u64,
    columns: Vec<ColumnProfile>,
    /// How good the answers are, where that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    performance: Option<Measures>,
    /// Of columns that were derived from texts by a list of words, patterns or a schema: its name, version and digest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    derivations: BTreeMap<String, String>,
    /// What is not to be told, as it was named: columns, objects, fields of outputs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    sensitive: BTreeSet<String>,
}

/// A profile nobody has checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    format: String,
    seed: Seed,
    rows: u64,
    columns: Vec<ColumnProfile>,
    #[serde(default)]
    performance: Option<Measures>,
    #[serde(default)]
    derivations: BTreeMap<String, String>,
    #[serde(default)]
    sensitive: BTreeSet<String>,
}

impl Profile {
    pub(super) fn new(seed: Seed, rows: u64, columns: Vec<ColumnProfile>) -> Result<Self, Invalid> {
        let profile = Self {
            format: FORMAT.to_owned(),
            seed,
            rows,
            columns,
            performance: None,
            derivations: BTreeMap::new(),
            sensitive: BTreeSet::new(),
        };
        profile.check_columns().map(|()| profile)
    }

    /// Says what columns were derived by. Errors: there is no such column, or that is empty or too long.
    pub fn with_derivations(self, derivations: BTreeMap<String, String>) -> Result<Self, Invalid> {
        let names: HashSet<&str> = self.columns.iter().map(ColumnProfile::name).collect();
        for (column, by) in &derivations {
            require(names.contains(column.as_str()), "a derivation of no column")?;
            require((1..=MAX_DERIVATION).contains(&by.len()), "a derivation has 1 to 512 bytes")?;
        }
        Ok(Self { derivations, ..self })
    }

    /// Says what is not to be told. Errors: a name that is empty or too long, or too many of them.
    pub fn with_sensitive(self, sensitive: BTreeSet<String>) -> Result<Self, Invalid> {
        require(sensitive.len() <= MAX_COLUMNS, "more than 16,384 names that are not to be told")?;
        let fits = |name: &String| (1..=MAX_DERIVATION).contains(&name.len());
        require(sensitive.iter().all(fits), "a name that is not to be told has 1 to 512 bytes")?;
        Ok(Self { sensitive, ..self })
    }

    /// What is not to be told, as it was named.
    pub fn sensitive(&self) -> &BTreeSet<String> {
        &self.sensitive
    }

    /// What columns were derived by, where that is data with a version.
    pub fn derivations(&self) -> &BTreeMap<String, String> {
        &self.derivations
    }

    pub fn seed(&self) -> Seed {
        self.seed
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// How good the answers are, where that was measured.
    pub fn performance(&self) -> Option<&Measures> {
        self.performance.as_ref()
    }

    /// The same with more columns. Errors: there are such, or they have another number of rows.
    pub fn with_columns(mut self, more: Vec<ColumnProfile>) -> Result<Self, Invalid> {
        self.columns.extend(more);
        self.check_columns().map(|()| self)
    }

    /// The same with what was measured of its rows. Errors: it was of more rows.
    pub fn with_performance(self, performance: Option<Measures>) -> Result<Self, Invalid> {
        let fits = performance.as_ref().is_none_or(|measures| measures.rows <= self.rows);
        require(fits, "performance of more rows than the profile has")?;
        Ok(Self { performance, ..self })
    }

    /// The columns in their order.
    pub fn columns(&self) -> &[ColumnProfile] {
        &self.columns
    }

    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name() == name)
    }

    /// The profile of the rows of both. Columns meet by name and stay in the order of `self`, new ones follow; rows
    /// of a part that lacks a column count as absent in it. The two must stand for different rows.
    /// Errors: a column of two kinds, with other bins or derived otherwise, or derived in one part only, performance of other
    /// columns or tasks or of one part only, too many rows or columns.
    pub fn merge(&self, other: &Self) -> Result<Self, Invalid> {
        for (one, another) in [(self, other), (other, self)] {
            one.check_derived_in(another)?;
        }
        let mut others: HashMap<&str, &ColumnProfile> =
            other.columns.iter().map(|column| (column.name(), column)).collect();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            columns.push(match others.remove(column.name()) {
                Some(same) => column.merge(same)?,
                None => column.with_absent(other.rows)?,
            });
        }
        for column in other.columns.iter().filter(|column| others.contains_key(column.name())) {
            columns.push(column.with_absent(self.rows)?);
        }
        let performance = match (&self.performance, &other.performance) {
            (Some(a), Some(b)) => Some(a.merge(b)?),
            (None, None) => None,
            // It would be taken for that of all rows.
            _ => return Err(Invalid::new("parts with and without performance")),
        };
        let mut derivations = self.derivations.clone();
        for (column, by) in &other.derivations {
            let before = derivations.insert(column.clone(), by.clone());
            if let Some(before) = before.filter(|before| before != by) {
                return Err(Invalid::new(format!("{column} was derived by {before}, and by {by}")));
            }
        }
        let merged = Self::new(self.seed.min(other.seed), add_rows(self.rows, other.rows)?, columns)?;
        let sensitive = self.sensitive.union(&other.sensitive).cloned().collect();
        merged.with_performance(performance)?.with_derivations(derivations)?.with_sensitive(sensitive)
    }

    /// What was not computed of a part is not missing in it.
    fn check_derived_in(&self, other: &Self) -> Result<(), Invalid> {
        let names: HashSet<&str> = other.columns.iter().map(ColumnProfile::name).collect();
        match self.derivations.keys().find(|column| !names.contains(column.as_str())) {
            Some(column) if other.rows > 0 => Err(Invalid::new(format!(
                "{column} was derived for one of the profiles, and not for the other"
            ))),
            _ => Ok(()),
        }
    }

    /// The one text of this profile: see `canonical.rs`. The same profile is the same bytes.
    /// Errors: more than [`MAX_BYTES`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, Invalid> {
        let bytes = canonical::to_bytes(self)?;
        require(bytes.len() <= MAX_BYTES, "a profile of more than 256 MiB")?;
        Ok(bytes)
    }

    /// Reads what [`Self::to_bytes`] wrote, and nothing else: the bytes may come from anyone. Every bound is
    /// checked, every sum, every order; and the profile written again must be the same bytes, which leaves no
    /// second spelling, no space and no member twice.
    ///
    /// What it cannot know: whether the numbers are those of any table.
    pub fn parse(bytes: &[u8]) -> Result<Self, Invalid> {
        require(bytes.len() <= MAX_BYTES, "a profile of more than 256 MiB")?;
        let Unchecked { format, seed, rows, columns, performance, derivations, sensitive } =
            serde_json::from_slice(bytes).map_err(|error| Invalid::new(format!("not a profile: {error}")))?;
        require(format == FORMAT, "a profile of another format than drift-profile/v1")?;
        let profile = Self::new(seed, rows, columns)?.with_derivations(derivations)?;
        let profile = profile.with_sensitive(sensitive)?;
        profile.columns.iter().try_for_each(ColumnProfile::check)?;
        if let Some(measures) = &performance {
            measures.check()?;
        }
        let profile = profile.with_performance(performance)?;
        require(profile.to_bytes()? == bytes, "not written in the one way a profile is written")?;
        Ok(profile)
    }

    /// The SHA-256 of [`Self::to_bytes`], in 64 hexadecimal digits.
    pub fn digest(&self) -> Result<String, Invalid> {
        let digest = Sha256::digest(self.to_bytes()?);
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The JSON Schema of the format.
    pub fn schema() -> Schema {
        schemars::schema_for!(Profile)
    }

    fn check_columns(&self) -> Result<(), Invalid> {
        require(self.rows <= MAX_ROWS, "more than 2^53 rows")?;
        require(self.columns.len() <= MAX_COLUMNS, "more than 16,384 columns")?;
        let mut names = HashSet::new();
        for column in &self.columns {
            require(names.insert(column.name()), "two columns of one name")?;
            let rows = add_rows(column.rows(), column.absent())?;
            require(rows == self.rows, "a column with another number of rows than the profile")?;
        }
        Ok(())
    }
}
