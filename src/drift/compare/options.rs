//! What counts as drift.

use super::super::profile::Bins;
use super::described::Described;
use super::invalid::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How p-values are corrected for there being many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// For independent or positively dependent tests.
    #[default]
    BenjaminiHochberg,
    /// For any dependence; finds less.
    BenjaminiYekutieli,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The share of false ones among all alarms that is accepted, between 0 and 0.5.
    pub alpha: f64,
    pub correction: Correction,
    pub floors: Floors,
    /// A category is named only where both sides have at least so many rows of it.
    pub named_from: u64,
    /// Edges of bins by which columns of numbers are compared besides: bin i holds `edges[i] <= x < edges[i + 1]`, the last one
    /// also its upper edge; what lies outside has two bins of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bins: BTreeMap<String, Vec<f64>>,
    /// What else to say of each column, without a verdict.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub describe: Vec<Described>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            correction: Correction::default(),
            floors: Floors::default(),
            named_from: 20,
            bins: BTreeMap::new(),
            describe: vec![],
        }
    }
}

/// The least effects worth an alarm.
///
/// The defaults are of one size: a mean that moves by 0.1 standard deviations, a rate that goes from 50 to 55 %. That
/// is half of what has to be found reliably, as an effect just at its floor is found half of the time at best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Floors {
    /// Of Kolmogorov and Smirnov's D, 0 to 1.
    pub distance: f64,
    /// Of Wasserstein's distance in spreads, from 0.
    pub shift: f64,
    /// Of Cramér's V, 0 to 1.
    pub cramers_v: f64,
    /// Of Cohen's h between two rates, 0 to π: 0.1 is 50 to 55 %, or 1 to 2.2 %, or 0 to 0.25 %.
    pub rate: f64,
    /// Of the share of rows out of the reference's range, 0 to 1.
    pub out_of_range: f64,
    /// Of the share of rows in new or vanished categories, 0 to 1.
    pub unseen: f64,
}

impl Default for Floors {
    fn default() -> Self {
        Self { distance: 0.05, shift: 0.1, cramers_v: 0.05, rate: 0.1, out_of_range: 0.02, unseen: 0.01 }
    }
}

impl Options {
    /// Errors: something is out of bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(self.alpha > 0.0 && self.alpha <= 0.5) {
            return Err(Invalid("alpha lies above 0 and is at most 0.5"));
        }
        let Floors { distance, shift, cramers_v, rate, out_of_range, unseen } = self.floors;
        let shares = [distance, cramers_v, out_of_range, unseen];
        if !shares.into_iter().all(|floor| floor > 0.0 && floor <= 1.0) {
            return Err(Invalid("the floor of an effect between 0 and 1 lies above 0 and is at most 1"));
        }
        if !(rate > 0.0 && rate <= std::f64::consts::PI && shift > 0.0 && shift.is_finite()) {
            return Err(Invalid(
                "the floor of a rate lies above 0 and is at most π, that of a shift is above 0",
            ));
        }
        if self.bins.values().any(|edges| Bins::new(edges.clone()).is_err()) {
            return Err(Invalid("bins have 2 to 1,025 edges, which are finite and rise"));
        }
        Ok(())
    }
}
