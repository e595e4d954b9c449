//! The numbers and decisions of Evidently 0.7, bit for bit up to rounding: which test it picks by type and size, its
//! bins, its filling of empty cells, its thresholds, and on which side of them drift begins.
//!
//! These are kept for comparison with what people have. They are not sound: most of them alarm without drift, and
//! some are blind to real drift (`mannw` to values that fall).
//!
//! Not repeated: `TVD` and `empirical_mmd`, whose p-values come from another tool's random numbers, and the tests of
//! text, which train a classifier.

pub mod anderson_darling;
pub mod cramer_von_mises;

use super::ecdf::{Ecdf, cells, steps};
use super::shares::{shares, total};
use super::special::{chi_square_sf, normal_sf};
use super::{chi_square, energy, epps_singleton, fisher_exact, hellinger};
use super::{histogram, jensen_shannon, ks, kullback_leibler, mann_whitney, psi, t_test, wasserstein};

/// A test, by the name Evidently gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Ks,
    Wasserstein,
    Psi,
    JensenShannon,
    KullbackLeibler,
    Hellinger,
    Energy,
    Anderson,
    CramerVonMises,
    EppsSingleton,
    MannWhitney,
    TTest,
    ChiSquare,
    Z,
    GTest,
    FisherExact,
}

/// On which side of the threshold drift begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    Below,
    AtOrBelow,
    AtOrAbove,
    Above,
}

impl Comparator {
    fn holds(self, score: f64, threshold: f64) -> bool {
        match self {
            Self::Below => score < threshold,
            Self::AtOrBelow => score <= threshold,
            Self::AtOrAbove => score >= threshold,
            Self::Above => score > threshold,
        }
    }
}

use Comparator::{Above, AtOrAbove, AtOrBelow, Below};

impl Method {
    /// All methods: name, default threshold, comparator, and whether it takes numeric and categorical columns.
    const TABLE: [(Method, &'static str, f64, Comparator, bool, bool); 16] = [
        (Method::Ks, "ks", 0.05, AtOrBelow, true, false),
        (Method::Wasserstein, "wasserstein", 0.1, AtOrAbove, true, false),
        (Method::Psi, "psi", 0.1, AtOrAbove, true, true),
        (Method::JensenShannon, "jensenshannon", 0.1, AtOrAbove, true, true),
        (Method::KullbackLeibler, "kl_div", 0.1, AtOrAbove, true, true),
        (Method::Hellinger, "hellinger", 0.1, AtOrAbove, true, true),
        (Method::Energy, "ed", 0.1, Above, true, false),
        (Method::Anderson, "anderson", 0.1, Below, true, false),
        (Method::CramerVonMises, "cramer_von_mises", 0.1, AtOrBelow, true, false),
        (Method::EppsSingleton, "es", 0.05, Below, true, false),
        (Method::MannWhitney, "mannw", 0.05, Below, true, false),
        (Method::TTest, "t_test", 0.05, Below, true, false),
        (Method::ChiSquare, "chisquare", 0.05, Below, false, true),
        (Method::Z, "z", 0.05, Below, false, true),
        (Method::GTest, "g_test", 0.1, Below, false, true),
        (Method::FisherExact, "fisher_exact", 0.1, Below, false, true),
    ];

    fn row(self) -> (Method, &'static str, f64, Comparator, bool, bool) {
        Self::TABLE[self as usize]
    }

    /// All methods, in the order of this enum.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::TABLE.into_iter().map(|row| row.0)
    }

    pub fn name(self) -> &'static str {
        self.row().1
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    pub fn default_threshold(self) -> f64 {
        self.row().2
    }

    pub fn comparator(self) -> Comparator {
        self.row().3
    }

    /// Whether a person can ask for it on a numeric column. The default picks `chisquare` and `z` there all the same.
    pub fn takes_numeric(self) -> bool {
        self.row().4
    }

    pub fn takes_categorical(self) -> bool {
        self.row().5
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub method: Method,
    /// A distance or a p-value, by the method. May be NaN where Evidently's is; then there is no drift.
    pub score: f64,
    pub threshold: f64,
    pub drifted: bool,
}

/// Why there is no score, where Evidently raises an error that ends its whole report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    EmptyReference,
    EmptyCurrent,
    /// The method does not take this type of column.
    WrongType,
    /// The two sides' counts are not over the same cells.
    DifferentCells,
    /// The test is not defined for these values; the text says why.
    Undefined(&'static str),
}

/// A numeric column. Both samples without missing and infinite values; `integers` if both columns hold integers, which
/// changes the bins. Without a `method` the default one is taken, without a `threshold` the method's.
pub fn numeric(
    reference: &Ecdf,
    current: &Ecdf,
    integers: bool,
    method: Option<Method>,
    threshold: Option<f64>,
) -> Result<Outcome, Invalid> {
    not_empty(reference.is_empty(), current.is_empty())?;
    let distinct = steps(reference, current).count();
    let method = match method {
        Some(method) if !method.takes_numeric() => return Err(Invalid::WrongType),
        Some(method) => method,
        None if distinct <= 5 => default_categorical(reference.len(), distinct),
        None if reference.len() <= 1000 => Method::Ks,
        None => Method::Wasserstein,
    };
    let undefined = |why| Invalid::Undefined(why);
    let score = match method {
        Method::Ks => ks::ks(reference, current).map(|ks| ks.p_value),
        Method::Wasserstein => wasserstein::normalised(reference, current),
        Method::Energy => energy::energy(reference, current),
        Method::Anderson => anderson_p(reference, current),
        Method::CramerVonMises => cramer_von_mises::cramer_von_mises(reference, current).map(|(_, p)| p),
        Method::EppsSingleton => epps_singleton_p(reference, current),
        Method::MannWhitney => mann_whitney::mann_whitney_less(reference, current).map(|(_, p)| p),
        // Of one value a side SciPy's p is no number.
        Method::TTest => Some(t_test::t_test(reference, current).map_or(f64::NAN, |(_, p)| p)),
        Method::Hellinger => binned_hellinger(reference, current, integers),
        _ => {
            let (r, c) = bins(reference, current, integers).ok_or(undefined("no bins for this range"))?;
            return counted(method, &r, &c, threshold);
        }
    };
    outcome(method, score.ok_or(undefined("too few or constant values"))?, threshold)
}

/// A categorical column: counts of both sides over the same categories, in the categories' order.
pub fn categorical(
    reference: &[u64],
    current: &[u64],
    method: Option<Method>,
    threshold: Option<f64>,
) -> Result<Outcome, Invalid> {
    if reference.len() != current.len() {
        return Err(Invalid::DifferentCells);
    }
    let rows = total(reference);
    not_empty(rows == 0.0, total(current) == 0.0)?;
    let (r, c): (Vec<u64>, Vec<u64>) =
        reference.iter().zip(current).filter(|(r, c)| **r > 0 || **c > 0).map(|(r, c)| (*r, *c)).unzip();
    let method = match method {
        Some(method) if !method.takes_categorical() => return Err(Invalid::WrongType),
        Some(method) => method,
        None => default_categorical(rows as u64, r.len()),
    };
    counted(method, &r, &c, threshold)
}

/// The default for few values: by the number of reference rows and of distinct values on both sides.
fn default_categorical(reference_rows: u64, distinct: usize) -> Method {
    match (reference_rows > 1000, distinct > 2) {
        (true, _) => Method::JensenShannon,
        (false, true) => Method::ChiSquare,
        (false, false) => Method::Z,
    }
}

fn counted(
    method: Method,
    reference: &[u64],
    current: &[u64],
    threshold: Option<f64>,
) -> Result<Outcome, Invalid> {
    let without_zeros = |counts| filled(shares(counts));
    let score = match method {
        Method::Psi => psi::psi(&without_zeros(reference), &without_zeros(current)),
        Method::KullbackLeibler => {
            kullback_leibler::kullback_leibler(&without_zeros(reference), &without_zeros(current))
        }
        Method::JensenShannon => {
            jensen_shannon::jensen_shannon(&shares(reference), &shares(current), jensen_shannon::Base::E)
        }
        Method::Hellinger => hellinger::hellinger(&shares(reference), &shares(current)),
        Method::ChiSquare => chi_square_p(reference, current),
        Method::Z => z(reference, current),
        Method::GTest => g_test(reference, current)?,
        Method::FisherExact => fisher(reference, current)?,
        _ => return Err(Invalid::WrongType),
    };
    outcome(method, score, threshold)
}

fn outcome(method: Method, score: f64, threshold: Option<f64>) -> Result<Outcome, Invalid> {
    let threshold = threshold.unwrap_or(method.default_threshold());
    Ok(Outcome { method, score, threshold, drifted: method.comparator().holds(score, threshold) })
}

fn not_empty(reference: bool, current: bool) -> Result<(), Invalid> {
    match (reference, current) {
        (true, _) => Err(Invalid::EmptyReference),
        (false, true) => Err(Invalid::EmptyCurrent),
        (false, false) => Ok(()),
    }
}

/// Counts over Sturges bins of both sides together if the reference has more than 20 distinct values, else over the
/// distinct values.
fn bins(reference: &Ecdf, current: &Ecdf, integers: bool) -> Option<(Vec<u64>, Vec<u64>)> {
    if reference.distinct().len() <= 20 {
        return Some(cells(reference, current));
    }
    let (min, max) = (reference.min()?.min(current.min()?), reference.max()?.max(current.max()?));
    let rows = reference.len().saturating_add(current.len());
    let edges = histogram::sturges_edges(min, max, rows, integers)?;
    Some((histogram::counts(reference, &edges), histogram::counts(current, &edges)))
}

/// Hellinger's distance of densities over Sturges bins for as many values as there are distinct ones.
fn binned_hellinger(reference: &Ecdf, current: &Ecdf, integers: bool) -> Option<f64> {
    let (min, max) = (reference.min()?.min(current.min()?), reference.max()?.max(current.max()?));
    let edges = histogram::sturges_edges(min, max, steps(reference, current).count() as u64, integers)?;
    let width = (edges.last()? - edges.first()?) / (edges.len() - 1) as f64;
    let density = |sample: &Ecdf| -> Vec<f64> {
        let counts = histogram::counts(sample, &edges);
        let rows = total(&counts);
        counts
            .iter()
            .zip(edges.windows(2))
            .map(|(count, pair)| *count as f64 / (pair[1] - pair[0]) / rows)
            .collect()
    };
    let affinity: f64 =
        density(reference).iter().zip(density(current)).map(|(r, c)| (r * c).sqrt() * width).sum();
    Some((1.0 - affinity.clamp(0.0, 1.0)).sqrt())
}

/// A single category leaves no degree of freedom: SciPy's p is no number, or 0 where rounding of the expected count
/// leaves a trace.
fn chi_square_p(reference: &[u64], current: &[u64]) -> f64 {
    match (chi_square::goodness_of_fit(reference, current), reference, current) {
        (Some((_, p)), ..) => p,
        (None, [r], [c]) if *r as f64 * (*c as f64 / *r as f64) != *c as f64 => 0.0,
        _ => f64::NAN,
    }
}

/// Of three values SciPy's p is no number, of two or equal ones there is none.
fn anderson_p(reference: &Ecdf, current: &Ecdf) -> Option<f64> {
    match anderson_darling::anderson_darling(reference, current) {
        Some((_, p)) => Some(p),
        None if reference.len() + current.len() == 3 && steps(reference, current).count() > 1 => {
            Some(f64::NAN)
        }
        None => None,
    }
}

/// With fewer than five values on a side SciPy's p is no number.
fn epps_singleton_p(reference: &Ecdf, current: &Ecdf) -> Option<f64> {
    match epps_singleton::epps_singleton(reference, current) {
        Some((_, p)) => Some(p),
        None if reference.len().min(current.len()) < 5 => Some(f64::NAN),
        None => None,
    }
}

/// Empty cells become 0.0001, or a millionth of the smallest share where that is at or below
/// 0.0001. Shares then sum to slightly more than 1.
fn filled(mut shares: Vec<f64>) -> Vec<f64> {
    let least = shares.iter().copied().filter(|share| *share > 0.0).fold(f64::INFINITY, f64::min);
    let fill = if least <= 0.0001 { least / 1e6 } else { 0.0001 };
    shares.iter_mut().filter(|share| **share == 0.0).for_each(|share| *share = fill);
    shares
}

/// The pooled z test of the first category against all others, as `2 (1 - Φ(|z|))`, which is 0 from 8.3 standard errors
/// on; 1 where there is only one category.
fn z(reference: &[u64], current: &[u64]) -> f64 {
    if reference.len() == 1 {
        return 1.0;
    }
    let (n, m) = (total(reference), total(current));
    let others = |counts: &[u64], rows: f64| (rows - counts[0] as f64) / rows;
    let (p, q) = (others(reference, n), others(current, m));
    let common = (p * n + q * m) / (n + m);
    let z = (p - q) / (common * (1.0 - common) * (1.0 / n + 1.0 / m)).sqrt();
    2.0 * (1.0 - (1.0 - normal_sf(z.abs())))
}

/// The log-likelihood ratio against the reference's counts as they are, which SciPy refuses where the sums differ.
fn g_test(reference: &[u64], current: &[u64]) -> Result<f64, Invalid> {
    if (total(reference) - total(current)).abs() > f64::EPSILON.sqrt() * total(reference).min(total(current))
    {
        return Err(Invalid::Undefined("the G test needs as many current rows as reference rows"));
    }
    if reference.len() < 2 {
        return Ok(f64::NAN);
    }
    let half: f64 = reference
        .iter()
        .zip(current)
        .filter(|(_, c)| **c > 0)
        .map(|(r, c)| *c as f64 * (*c as f64 / *r as f64).ln())
        .sum();
    Ok(chi_square_sf(2.0 * half, reference.len() as f64 - 1.0))
}

fn fisher(reference: &[u64], current: &[u64]) -> Result<f64, Invalid> {
    let rows = |counts: &[u64]| counts.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
    let (n, m) = (rows(reference), rows(current));
    if n != m {
        return Err(Invalid::Undefined("the exact test needs as many current rows as reference rows"));
    }
    match reference.len() {
        0 | 1 => Ok(1.0),
        2 => Ok(fisher_exact::fisher_exact(reference[0], n, current[0], m)),
        _ => Err(Invalid::Undefined("the exact test needs two categories")),
    }
}
