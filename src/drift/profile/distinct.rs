//! How many different values there are.

use super::hash::{hash_bytes, hash_number};
use super::invalid::{Invalid, require};
use super::packed::Packed;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::collections::HashSet;

/// Different values counted exactly; as many hashes as a sketch has registers.
const EXACT: usize = 4_096;
/// The number of registers is 2 to this power.
const PRECISION: u32 = 12;
/// Hash bits that do not choose the register.
const REST: u32 = 64 - PRECISION;
/// The standard error of HyperLogLog, as a share of the number (Flajolet and others 2007, theorem 1).
const STANDARD_ERROR: f64 = 1.04 / 64.0;

/// The number of different values: exact up to 4,096 (but for a chance below 10^-12 that two share a 64-bit hash),
/// beyond that an estimate with a standard error of 1.6 %.
///
/// Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog", AofA 2007, read out by the estimator of Ertl, "New cardinality
/// estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, 2017, section 4, which has no bias to correct.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distinct {
    /// The hashes of the values.
    #[serde(serialize_with = "write_hashes", deserialize_with = "read_hashes")]
    #[schemars(with = "Packed<u64>")]
    Exact(HashSet<u64>),
    /// For each register the longest run of zeros that began a hash, plus 1.
    Sketch(Packed<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self::Exact(HashSet::new())
    }
}

impl Distinct {
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// The standard error of [`Self::count`] as a share of it: 0 when exact.
    pub fn relative_error(&self) -> f64 {
        if self.is_exact() { 0.0 } else { STANDARD_ERROR }
    }

    pub fn count(&self) -> u64 {
        match self {
            Self::Exact(hashes) => hashes.len() as u64,
            Self::Sketch(registers) => estimate(&registers.0).round() as u64,
        }
    }

    /// Adds a number that is not NaN; -0 is 0.
    pub fn add_number(&mut self, value: f64) {
        self.add(hash_number(value));
    }

    /// Adds numbers that are not NaN.
    pub(super) fn add_numbers(&mut self, values: &[f64]) {
        let mut rest = values;
        while let (Self::Exact(_), [value, later @ ..]) = (&*self, rest) {
            self.add_number(*value);
            rest = later;
        }
        if let Self::Sketch(registers) = self {
            rest.iter().for_each(|value| raise(&mut registers.0, hash_number(*value)));
        }
    }

    pub fn add_text(&mut self, value: &str) {
        self.add(hash_bytes(value.as_bytes()));
    }

    fn add(&mut self, hash: u64) {
        match self {
            Self::Sketch(registers) => raise(&mut registers.0, hash),
            Self::Exact(hashes) => {
                if hashes.insert(hash) && hashes.len() > EXACT {
                    *self = Self::Sketch(Packed(self.registers()));
                }
            }
        }
    }

    /// The number of different values in either: the same for either order and any grouping.
    pub fn merge(&self, other: &Self) -> Self {
        match (self, other) {
            (exact @ Self::Exact(_), Self::Exact(hashes)) => {
                let mut merged = exact.clone();
                hashes.iter().for_each(|hash| merged.add(*hash));
                merged
            }
            _ => {
                let (a, b) = (self.registers(), other.registers());
                Self::Sketch(Packed(a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect()))
            }
        }
    }

    fn registers(&self) -> Vec<u8> {
        match self {
            Self::Sketch(registers) => registers.0.clone(),
            Self::Exact(hashes) => {
                let mut registers = vec![0; 1 << PRECISION];
                hashes.iter().for_each(|hash| raise(&mut registers, *hash));
                registers
            }
        }
    }

    pub(super) fn check(&self, values: u64) -> Result<(), Invalid> {
        match self {
            Self::Exact(hashes) => {
                require(hashes.len() <= EXACT, "more than 4,096 hashes")?;
                require(hashes.len() as u64 <= values, "more different values than values")?;
                require(hashes.is_empty() == (values == 0), "values without a different one")
            }
            Self::Sketch(registers) => {
                require(registers.0.len() == 1 << PRECISION, "not 4,096 registers")?;
                require(
                    registers.0.iter().all(|zeros| u32::from(*zeros) <= REST + 1),
                    "a register above 53",
                )?;
                require(values > EXACT as u64, "a sketch of so few values")
            }
        }
    }
}

fn raise(registers: &mut [u8], hash: u64) {
    let zeros = (hash << PRECISION | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
    let register = &mut registers[(hash >> REST) as usize];
    // Hardly ever: nothing waits for what was not stored.
    if zeros > *register {
        *register = zeros;
    }
}

/// Ertl 2017, algorithm 6.
fn estimate(registers: &[u8]) -> f64 {
    let m = registers.len() as f64;
    let mut counts = [0.0; REST as usize + 2];
    registers.iter().for_each(|zeros| counts[usize::from(*zeros).min(REST as usize + 1)] += 1.0);
    let [none, middle @ .., full] = &counts;
    let z = middle.iter().rev().fold(m * tau(1.0 - full / m), |z, count| 0.5 * (z + count));
    m * m / (2.0 * std::f64::consts::LN_2 * (z + m * sigma(none / m)))
}

fn sigma(mut x: f64) -> f64 {
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        // At x = 1 the sum grows to infinity: nothing was added at all.
        if z == before || !z.is_finite() {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

fn write_hashes<S: Serializer>(hashes: &HashSet<u64>, out: S) -> Result<S::Ok, S::Error> {
    let mut sorted: Vec<u64> = hashes.iter().copied().collect();
    sorted.sort_unstable();
    Packed(sorted).serialize(out)
}

fn read_hashes<'de, D: Deserializer<'de>>(input: D) -> Result<HashSet<u64>, D::Error> {
    let sorted = Packed::<u64>::deserialize(input)?.0;
    if sorted.is_sorted_by(|a, b| a < b) {
        Ok(sorted.into_iter().collect())
    } else {
        Err(D::Error::custom("hashes that do not rise"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl Iterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        numbers.for_each(|number| distinct.add_number(number as f64));
        distinct
    }

    #[test]
    fn exact_until_it_is_a_sketch() {
        let few = of((0..50_000).map(|i| i % 4_096));
        assert!(few.is_exact());
        assert_eq!((few.count(), few.relative_error()), (4_096, 0.0));
        assert!(!of(0..4_097).is_exact());
        assert_eq!(Distinct::default().count(), 0);
        assert_eq!(estimate(&[0; 4_096]), 0.0);
        assert!(estimate(&[53; 4_096]).is_finite() || estimate(&[53; 4_096]) == f64::INFINITY);
    }

    #[test]
    fn merging_is_exactly_associative_and_commutative() {
        let [a, b, c] = [of(0..3_000), of(2_000..9_000), of(1_000..2_500)];
        let left = a.merge(&b).merge(&c);
        assert_eq!(left, a.merge(&b.merge(&c)));
        assert_eq!(left, c.merge(&b).merge(&a));
        assert_eq!(left, of(0..9_000), "the same as without parts");
        assert_eq!(a.merge(&c), of(0..3_000));
    }

    /// 60 sets of each size: no bias beyond what chance allows, and the stated standard error.
    #[test]
    fn the_error_is_as_stated() {
        for size in [5_000, 12_000, 40_000] {
            let errors: Vec<f64> = (0..60)
                .map(|seed| of((seed << 20)..(seed << 20) + size).count() as f64 / size as f64 - 1.0)
                .collect();
            let mean = errors.iter().sum::<f64>() / 60.0;
            let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / 60.0).sqrt();
            assert!(mean.abs() < 4.0 * STANDARD_ERROR / 60f64.sqrt(), "{size}: bias {mean}");
            assert!(deviation < 1.3 * STANDARD_ERROR, "{size}: standard error {deviation}");
        }
    }

    #[test]
    fn text_and_numbers() {
        let mut distinct = Distinct::default();
        ["a", "b", "a", ""].into_iter().for_each(|text| distinct.add_text(text));
        assert_eq!(distinct.count(), 3);
        let mut zeros = Distinct::default();
        [0.0, -0.0].into_iter().for_each(|zero| zeros.add_number(zero));
        assert_eq!(zeros.count(), 1);
    }
}
