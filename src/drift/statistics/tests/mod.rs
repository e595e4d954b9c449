//! Tests that go across statistics: another tool's golden values, laws, and odd input.

mod compat;
mod golden;
mod laws;
mod odd_input;
mod reference_values;
mod sound;

/// The generator of the golden values: uniform numbers that are the same in any language.
pub(super) fn uniform(seed: u64, count: usize) -> Vec<f64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / 2.0_f64.powi(53)
        })
        .collect()
}

pub(super) fn near(found: f64, expected: f64, name: &str) {
    assert!((found - expected).abs() <= 1e-9, "{name}: {found:e} is not {expected:e}");
    if expected < 1e-6 && expected != 0.0 {
        assert!((found / expected - 1.0).abs() <= 1e-6, "{name}: {found:e} is not {expected:e}");
    }
}

pub(super) fn relative(found: f64, expected: f64, within: f64, name: &str) {
    assert!((found - expected).abs() <= within * expected.abs(), "{name}: {found:e} is not {expected:e}");
}
