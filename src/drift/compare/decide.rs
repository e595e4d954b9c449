//! From p, q and effect to a verdict and the sentence that explains it.

use super::options::Options;
use super::result::{Effect, Test, Verdict};

/// Sets verdict and reason of a test that has a p-value, its q-value and an effect; others stay as they are.
///
/// With rows enough, drift is `q <= α` and an effect of at least its floor. With too few, drift is said only of an
/// effect so large that even these rows find it with power 0.8; of all others there is nothing to say.
pub(super) fn decide(test: &mut Test, options: &Options) {
    let (Some(q), Some(effect)) = (test.q_value, &test.effect) else { return };
    let Effect { name, value, floor, detectable, rows_needed } = effect;
    let alpha = options.alpha;
    let significant = q <= alpha;
    let (size, q_value) = (short(*value), q);
    let q = short(q);
    let needed = if effect.is_resolved() { *floor } else { detectable.max(*floor) };
    let (verdict, reason) = if significant && *value >= needed {
        (Verdict::Drift, format!("{name} {size} is at least {floor}, and q {q} at most {alpha}."))
    } else if !effect.is_resolved() {
        let enough = if test.reference_n.min(test.current_n) < *rows_needed {
            format!("on both sides {rows_needed} rows would be enough")
        } else {
            "a larger sketch would be enough".to_owned()
        };
        let reason = format!(
            "An effect of {} ({name}) has to be found, twice its floor; what there is, {} and {} rows, finds \
             {} with power 0.8; {enough}.",
            short(2.0 * floor),
            test.reference_n,
            test.current_n,
            short(*detectable)
        );
        (Verdict::InsufficientData, reason)
    } else if significant && *value >= 0.5 * floor {
        let reason =
            format!("q {q} is at most {alpha}; {name} {size} is below {floor}, but at least half of it.");
        (Verdict::Warn, reason)
    } else if q_value <= 2.0 * alpha && *value >= 2.0 * floor {
        let reason =
            format!("{name} {size} is at least twice {floor}, but q {q} between {alpha} and its double.");
        (Verdict::Warn, reason)
    } else if significant {
        (Verdict::Ok, format!("q {q} is at most {alpha}, but {name} {size} does not matter below {floor}."))
    } else {
        (Verdict::Ok, format!("q {q} is above {alpha}; {name} {size}."))
    };
    test.verdict = Some(verdict);
    test.reason = reason;
}

/// Three digits or so, for a sentence.
fn short(x: f64) -> String {
    if x == 0.0 || (1e-3..1e6).contains(&x.abs()) { format!("{x:.3}") } else { format!("{x:.1e}") }
}
