//! What drift of a log is about, and so what may follow from it.

use super::*;

/// A service that got slower, for all or for a few, can be a reason to go back; one that got faster, or says so less often, not.
#[test]
fn a_service_that_is_slower_is_about_health() {
    let files = Files::new();
    let log = |name: &str, seed: u64, latency: &dyn Fn(usize, f64) -> Value| {
        let mut random = SplitMix(seed);
        let line = |row: usize| json!({ "latency_ms": latency(row, 200.0 + 300.0 * random.uniform()), "retries": row % 10 / 9 });
        ndjson(&files, name, &(0..2_000).map(line).collect::<Vec<_>>())
    };
    let usual = log("r", 1, &|_, ms| json!(ms));
    let of = |current: &Path| {
        let report = checked(&usual, current, &request(Tier::Prompt)).unwrap();
        let found = finding(&report, "latency_ms");
        (found.verdict, found.concern)
    };
    assert_eq!(of(&log("a", 2, &|_, ms| json!(ms))), (Verdict::Ok, Concern::Data));
    assert_eq!(of(&log("b", 3, &|_, ms| json!(ms * 1.3))), (Verdict::Drift, Concern::Health));
    assert_eq!(of(&log("c", 4, &|_, ms| json!(ms * 0.7))), (Verdict::Drift, Concern::Data));
    let few = log("d", 5, &|row, ms| json!(if row % 20 == 0 { 30_000.0 } else { ms }));
    assert_eq!(of(&few), (Verdict::Drift, Concern::Health));
    // What one answer does to the mean says nothing where the others are faster; nor does that they are steadier.
    let one = log("f", 7, &|row, ms| json!(if row == 0 { 300_000.0 } else { 0.9 * ms }));
    assert_eq!(of(&one), (Verdict::Drift, Concern::Data));
    let steady = log("g", 8, &|_, ms| json!(353.0 + 0.5 * (ms - 350.0)));
    assert_eq!(of(&steady), (Verdict::Drift, Concern::Data));
    let silent = log("e", 6, &|row, ms| if row % 4 == 0 { Value::Null } else { json!(ms) });
    assert_eq!(of(&silent), (Verdict::Drift, Concern::Data));
}

/// That a fifth of the outputs is not logged any more breaks no rule, whatever chance does to those that are left.
#[test]
fn outputs_that_are_missing_are_no_violations() {
    let files = Files::new();
    let lines = |rows: usize, personal: usize, missing: usize| -> Vec<Value> {
        let line = |row: usize| match row {
            row if row < personal => json!({ "completion": "Write to jane.doe@example.org." }),
            row if row < personal + missing => json!({ "completion": null }),
            _ => json!({ "completion": "The invoice is right." }),
        };
        (0..rows).map(line).collect()
    };
    let reference = ndjson(&files, "r", &lines(1_000, 20, 0));
    let current = ndjson(&files, "c", &lines(1_000, 21, 200));
    let report = checked(&reference, &current, &only("completion")).unwrap();
    let personal = finding(&report, "completion:pii_any");
    assert_eq!(personal.verdict, Verdict::Drift, "{}", personal.reason);
    assert!(personal.reason.starts_with("missing rate"), "{}", personal.reason);
    assert_eq!(report.run.drifted_concerns(), [Concern::Data].into());
}
