//! What else can be said of a column: other measures of the same difference, which decide nothing.

use super::super::statistics::cramer_von_mises::cramer_von_mises;
use super::super::statistics::jensen_shannon::{self, Base};
use super::super::statistics::{Ecdf, energy, hellinger, kullback_leibler, l_infinity, psi, wasserstein};
use super::options::Options;
use super::result::{Cell, Test};
use super::side::Categories;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Described {
    /// Population stability index, empty cells smoothed by half a row.
    Psi,
    /// Jensen and Shannon's distance with logarithms of base 2.
    JensenShannon,
    Hellinger,
    /// Kullback and Leibler's divergence in nats, empty cells smoothed by half a row.
    KullbackLeibler,
    /// The largest difference of the shares of a cell.
    LInfinity,
    /// Of numbers only, in their own unit.
    Wasserstein,
    /// Of numbers only.
    Energy,
    /// Of numbers only.
    CramerVonMises,
}

impl Described {
    pub const ALL: [(&'static str, Self); 8] = [
        ("psi", Self::Psi),
        ("jensen_shannon", Self::JensenShannon),
        ("hellinger", Self::Hellinger),
        ("kullback_leibler", Self::KullbackLeibler),
        ("l_infinity", Self::LInfinity),
        ("wasserstein", Self::Wasserstein),
        ("energy", Self::Energy),
        ("cramer_von_mises", Self::CramerVonMises),
    ];

    pub fn by_name(name: &str) -> Option<Self> {
        let name = match name {
            "jensenshannon" => "jensen_shannon",
            "kl_div" => "kullback_leibler",
            "ed" => "energy",
            name => name,
        };
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, described)| *described)
    }

    fn of_counts(self, reference: &[u64], current: &[u64]) -> Option<f64> {
        match self {
            Self::Psi => psi::of_counts(reference, current),
            Self::JensenShannon => jensen_shannon::of_counts(reference, current, Base::Two),
            Self::Hellinger => hellinger::of_counts(reference, current),
            Self::KullbackLeibler => kullback_leibler::of_counts(reference, current),
            Self::LInfinity => l_infinity::l_infinity(reference, current).map(|(largest, _)| largest),
            Self::Wasserstein | Self::Energy | Self::CramerVonMises => None,
        }
    }

    fn of_samples(self, reference: &Ecdf, current: &Ecdf) -> Option<f64> {
        match self {
            Self::Wasserstein => wasserstein::wasserstein(reference, current),
            Self::Energy => energy::energy(reference, current),
            Self::CramerVonMises => cramer_von_mises(reference, current).map(|test| test.statistic),
            _ => None,
        }
    }

    fn named(self, of: &str) -> String {
        let name = Self::ALL.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name);
        let base = if self == Self::JensenShannon { "_distance_base_2" } else { "" };
        format!("{name}{base}{of}")
    }
}

/// Of numbers, over the bins of the picture where a measure needs bins.
pub(super) fn of_numbers(reference: &Ecdf, current: &Ecdf, bins: &[Cell], options: &Options) -> Vec<Test> {
    let counts = |side: fn(&Cell) -> u64| bins.iter().map(side).collect::<Vec<_>>();
    let (r, c) = (counts(|cell| cell.reference), counts(|cell| cell.current));
    let sizes = (reference.len(), current.len());
    let test = |described: &Described| {
        let (name, value) = match described.of_samples(reference, current) {
            Some(value) => (described.named(""), value),
            None => (described.named("_of_bins"), described.of_counts(&r, &c)?),
        };
        Some(describe(name, value, sizes))
    };
    options.describe.iter().filter_map(test).collect()
}

pub(super) fn of_categories(reference: &Categories, current: &Categories, options: &Options) -> Vec<Test> {
    if reference.error > 0 || current.error > 0 {
        return vec![];
    }
    let names: BTreeSet<&String> = reference.counts.keys().chain(current.counts.keys()).collect();
    let counts = |side: &Categories| {
        names.iter().map(|name| side.counts.get(*name).copied().unwrap_or(0)).collect::<Vec<_>>()
    };
    let (r, c) = (counts(reference), counts(current));
    let test = |described: &Described| {
        let value = described.of_counts(&r, &c)?;
        Some(describe(described.named("_of_categories"), value, (reference.total, current.total)))
    };
    // The tests of categories describe this one anyway.
    let others = options.describe.iter().filter(|described| **described != Described::JensenShannon);
    others.filter_map(test).collect()
}

fn describe(name: String, value: f64, (n, m): (u64, u64)) -> Test {
    Test {
        method: "described only: as was asked for".to_owned(),
        value: Some(value).filter(|value| value.is_finite()),
        ..Test::new(&name, n, m)
    }
}
