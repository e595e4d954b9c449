//! What is to be checked, and how.

use super::performance::Performance;
use super::signals::Signals;
use crate::drift::compare::{Described, Evidently, Options, Rules};
use crate::drift::profile::{Kind, Profile, Values};
use crate::drift::signals::HashKey;
use crate::drift::statistics::compat::Method;
use crate::error::{Error, Result};
use crate::tables;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug)]
pub struct Request {
    pub rules: Rules,
    /// Kinds that are not to be inferred.
    pub kinds: BTreeMap<String, Kind>,
    /// Only these columns, if there are any.
    pub only: BTreeSet<String>,
    /// Columns to leave out.
    pub ignored: BTreeSet<String>,
    /// Rows of past windows.
    pub past_rows: Vec<u64>,
    /// Measure how good the answers are, too.
    pub performance: Option<Performance>,
    /// What to compute of the texts of a model's log.
    pub signals: Option<Signals>,
    /// Columns, objects of them and fields of outputs whose values are not to be told: of each only a hash is looked at. Those
    /// that a profile has as hashes are so too.
    pub sensitive: BTreeSet<String>,
    /// What they are hashed with.
    pub hash_key: Option<HashKey>,
    pub threads: usize,
}

/// Tests that decide, as the compat mode calls them: they are in every report.
const DECIDING: [&str; 4] = ["ks", "anderson", "chisquare", "fisher_exact"];

impl Default for Request {
    fn default() -> Self {
        Self {
            rules: Rules::Sound(Options::default()),
            kinds: BTreeMap::new(),
            only: BTreeSet::new(),
            ignored: BTreeSet::new(),
            past_rows: vec![],
            performance: None,
            signals: None,
            sensitive: BTreeSet::new(),
            hash_key: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl Request {
    /// The rules of a mode, `sound` or `compat:evidently@0.7`, and statistics asked for: in the first, what else to
    /// describe; in the second, the tests to take instead of the default ones. Errors: an unknown mode or statistic.
    pub fn rules(mode: &str, statistics: &[String], options: Options) -> Result<Rules> {
        match mode {
            "sound" => {
                let known = Described::ALL.iter().map(|(name, _)| *name).chain(DECIDING);
                let others: Vec<String> =
                    statistics.iter().filter(|name| !DECIDING.contains(&name.as_str())).cloned().collect();
                let describe = named(&others, Described::by_name, known)?;
                Ok(Rules::Sound(Options { describe, ..options }))
            }
            "compat:evidently@0.7" => {
                if !options.bins.is_empty() {
                    return Err(Error::invalid("drift_options", "this mode chooses the bins itself")
                        .hint("leave out --bins, or compare with --mode sound"));
                }
                let methods = named(statistics, Method::by_name, Method::all().map(Method::name))?;
                Ok(Rules::Evidently07(Evidently { methods, ..Evidently::default() }))
            }
            _ => Err(Error::invalid("drift_mode", format!("there is no mode {mode}"))
                .hint("sound, or compat:evidently@0.7")),
        }
    }

    /// A kind as people write it.
    pub fn kind(text: &str) -> Result<Kind> {
        Ok(match text {
            "num" | "numeric" => Kind::Numeric,
            "cat" | "categorical" => Kind::Categorical,
            "bool" | "boolean" => Kind::Boolean,
            "time" => Kind::Time,
            "text" => Kind::Text,
            _ => {
                return Err(Error::invalid("drift_type", format!("there is no type {text}"))
                    .hint("num, cat, bool, time or text"));
            }
        })
    }

    /// Edges of the bins that numbers of a column are counted in, if any were asked for.
    pub(super) fn bins(&self, column: &str) -> Option<&Vec<f64>> {
        self.binned().find(|(name, _)| *name == column).map(|(_, edges)| edges)
    }

    fn binned(&self) -> impl Iterator<Item = (&String, &Vec<f64>)> {
        let bins = match &self.rules {
            Rules::Sound(options) => Some(&options.bins),
            Rules::Evidently07(_) => None,
        };
        bins.into_iter().flatten()
    }

    /// Refuses bins of columns that are left out, as far as that is known before any data.
    pub fn check_bins_wanted(&self) -> Result<()> {
        let is_left = |column: &&String| self.ignored.contains(*column) || self.sensitive.contains(*column);
        if let Some(column) = self.binned().map(|(column, _)| column).find(is_left) {
            return Err(unbinned(column, "it is not looked at"));
        }
        self.check_binned(&self.kinds.iter().map(|(column, kind)| (column.clone(), *kind)).collect(), false)
    }

    /// Refuses bins of columns that have no numbers, or that are not among these kinds, where those are all.
    pub(super) fn check_binned(&self, kinds: &BTreeMap<String, Kind>, are_all: bool) -> Result<()> {
        for (column, _) in self.binned() {
            match kinds.get(column) {
                Some(Kind::Numeric) => {}
                Some(_) => return Err(unbinned(column, "it has no numbers")),
                None if are_all => return Err(unbinned(column, "it is not looked at")),
                None => {}
            }
        }
        Ok(())
    }

    /// Refuses a profile that was not counted in the bins asked for. One that keeps all numbers can be, and of a column that
    /// has nothing there is nothing to count.
    pub fn check_bins(&self, profile: &Profile) -> Result<()> {
        for column in profile.columns() {
            let (name, Some(edges)) = (column.name(), self.bins(column.name())) else { continue };
            if column.rows() == column.missing() + column.absent() {
                continue;
            }
            let Values::Numeric(numbers) = column.values() else {
                return Err(unbinned(name, "it has no numbers"));
            };
            if numbers.quantiles().count() == 0 {
                return Err(unbinned(name, "it has no numbers"));
            }
            if !numbers.quantiles().is_exact() && numbers.bins().is_none_or(|bins| bins.edges() != edges) {
                let message = format!("the profile does not count {name} in the bins asked for");
                let edges: Vec<String> = edges.iter().map(|edge| format!("{edge:?}")).collect();
                let hint = format!("make it anew: gradus drift profile --bins '{name}={}'", edges.join(","));
                return Err(Error::invalid("drift_bins", message).hint(hint));
            }
        }
        Ok(())
    }

    pub(super) fn wants(&self, column: &str) -> bool {
        (self.only.is_empty() || self.only.contains(column)) && !self.ignored.contains(column)
    }

    pub(super) fn is_compat(&self) -> bool {
        matches!(self.rules, Rules::Evidently07(_))
    }

    pub(super) fn inference(&self) -> tables::Rules {
        if self.is_compat() { tables::Rules::Evidently } else { tables::Rules::Own }
    }

    /// Refuses names of columns that neither side has: they are a mistake.
    pub(super) fn check_names(&self, known: &BTreeSet<String>) -> Result<()> {
        let binned = self.binned().map(|(column, _)| column);
        let asked = self.kinds.keys().chain(&self.only).chain(&self.ignored).chain(binned);
        self.check_known(asked, known)
    }

    pub(super) fn check_known<'a>(
        &self,
        asked: impl Iterator<Item = &'a String>,
        known: &BTreeSet<String>,
    ) -> Result<()> {
        let unknown: Vec<&str> = asked.filter(|name| !known.contains(*name)).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let some: Vec<&str> = known.iter().take(10).map(String::as_str).collect();
        Err(Error::invalid("drift_column", format!("neither side has a column {}", unknown.join(", "))).hint(
            format!("there are {}{}", some.join(", "), if known.len() > 10 { " and more" } else { "" }),
        ))
    }
}

fn unbinned(column: &str, why: &str) -> Error {
    Error::invalid("drift_bins", format!("{column} has bins, and {why}")).hint("leave out its --bins")
}

fn named<T>(
    names: &[String],
    by_name: impl Fn(&str) -> Option<T>,
    known: impl Iterator<Item = &'static str>,
) -> Result<Vec<T>> {
    let found: Result<Vec<T>, &String> = names.iter().map(|name| by_name(name).ok_or(name)).collect();
    found.map_err(|name| {
        Error::invalid("drift_statistic", format!("there is no statistic {name} in this mode"))
            .hint(format!("one of {}", known.collect::<Vec<_>>().join(", ")))
    })
}
