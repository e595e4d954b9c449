use super::super::statistics::{SplitMix, mean};
use super::super::tests::{evaluation, facts, gate, measured, name, say, say_of_current};
use super::super::{Person, Subject};
use super::*;
use crate::model::evidence::{Better, Evaluation, Examples, Interval, Metric};
use serde_json::json;

fn judge(facts: &Facts) -> Verdict {
    judge_by(facts, json!({}))
}

fn judge_by(facts: &Facts, mut parameters: serde_json::Value) -> Verdict {
    let map = parameters.as_object_mut().unwrap();
    map.entry("when_no_baseline").or_insert_with(|| json!("wait"));
    gate("no_regression", parameters).judge(facts)
}

fn with(statement: Statement, change: impl Fn(&mut Evaluation)) -> Statement {
    match statement {
        Statement::Evaluation(mut evaluation) => {
            change(&mut evaluation);
            Statement::Evaluation(evaluation)
        }
        other => other,
    }
}

fn metric(suite: &str, value: f64, change: impl Fn(&mut Metric)) -> Statement {
    with(measured(suite, "m", value, "ms"), |evaluation| {
        evaluation.metrics.values_mut().for_each(&change);
    })
}

/// Both versions, with a result for each example.
fn compared(old: &[f64], new: &[f64], better: Better) -> Facts {
    let mut facts = facts();
    let examples = |values: &[f64]| -> Examples {
        let results = values.iter().enumerate().map(|(id, value)| (id.to_string(), *value)).collect();
        BTreeMap::from([("m".to_owned(), results)])
    };
    let statement = |values: &[f64]| metric("s", mean(values), |metric| metric.better = better);
    let before = say_of_current(&mut facts, "ci", 1, statement(old));
    let after = say(&mut facts, "ci", 1, statement(new));
    facts.current.as_mut().unwrap().examples.insert(before, examples(old));
    facts.candidate.examples.insert(after, examples(new));
    facts
}

/// So many passes, then so many fails.
fn passes(parts: &[(usize, f64)]) -> Vec<f64> {
    parts.iter().flat_map(|(count, value)| vec![*value; *count]).collect()
}

#[test]
fn with_nothing_to_compare_the_policy_says() {
    for (outcome, says) in [(Outcome::Pass, "pass"), (Outcome::Wait, "wait")] {
        let rule = json!({ "when_no_baseline": says });
        let mut facts = facts();
        say(&mut facts, "ci", 1, evaluation("s", 0.9));
        let verdict = judge_by(&facts, rule.clone());
        assert_eq!(verdict.outcome, outcome);
        assert_eq!(verdict.reason, "1.0.0 has no evaluation that counts to compare with");
        let named = json!({ "when_no_baseline": says, "suites": ["s"] });
        assert_eq!(judge_by(&facts, named).outcome, outcome);
        facts.current = None;
        assert_eq!(judge_by(&facts, rule.clone()).outcome, outcome);
    }
    let mut facts = facts();
    let digest = facts.candidate.digest.clone();
    facts.current = facts.current.map(|current| Subject { digest, ..current });
    assert_eq!(judge(&facts).reason, "1.0.0 has the same content");
}

#[test]
fn every_suite_of_the_baseline_is_asked_for() {
    let mut facts = facts();
    say_of_current(&mut facts, "ci", 1, evaluation("a", 0.9));
    say_of_current(&mut facts, "ci", 2, evaluation("b", 0.9));
    say(&mut facts, "ci", 1, evaluation("a", 0.95));
    let verdict = judge(&facts);
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert_eq!(
        verdict.reason,
        "no evaluation on suite b with accuracy that counts, which 1.0.0 was measured on"
    );
    assert_eq!(verdict.next.as_deref(), Some("gradus eval attach acme/model:2.0.0 RESULTS.json"));
    assert_eq!(judge_by(&facts, json!({ "suites": ["a"] })).outcome, Outcome::Pass);
    say_of_current(&mut facts, "ci", 3, measured("a", "f1", 0.9, "ratio"));
    // Leaving out what may have got worse is no way through; the rule can name what it is about.
    let verdict = judge_by(&facts, json!({ "suites": ["a"] }));
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert_eq!(verdict.reason, "no evaluation on suite a with f1 that counts, which 1.0.0 was measured on");
    let named = json!({ "suites": ["a"], "metrics": ["accuracy"] });
    assert_eq!(judge_by(&facts, named).outcome, Outcome::Pass);
    say(&mut facts, "ci", 3, measured("a", "f1", 0.9, "ratio"));
    say(&mut facts, "ci", 2, evaluation("b", 0.8));
    let verdict = judge(&facts);
    assert_eq!((verdict.outcome, verdict.evidence.len()), (Outcome::Fail, 6));
    assert!(
        verdict
            .reason
            .starts_with("against 1.0.0: accuracy on b is 0.8, was 0.9, on 1000 examples, which is worse")
    );
}

#[test]
fn two_bare_numbers_are_not_compared() {
    let mut facts = facts();
    say_of_current(&mut facts, "ci", 1, metric("s", 100.0, |_| ()));
    say(&mut facts, "ci", 1, metric("s", 1_000.0, |_| ()));
    let verdict = judge(&facts);
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert!(verdict.reason.contains("no interval and no examples"));
    // An interval of no width is not one.
    let sure =
        |value| metric("s", value, |m| m.interval = Some(Interval { low: value, high: value, level: 0.95 }));
    say_of_current(&mut facts, "ci", 2, sure(100.0));
    say(&mut facts, "ci", 2, sure(1_000.0));
    assert_eq!(judge(&facts).outcome, Outcome::Wait);
}

#[test]
fn intervals_decide_at_their_own_level() {
    let about = |value: f64, half: f64, level: f64, better: Better| {
        metric("s", value, |metric| {
            metric.interval = Some(Interval { low: value - half, high: value + half, level });
            (metric.n, metric.better) = (Some(1_000), better);
        })
    };
    let outcome = |old: f64, new: f64, half: f64, level: f64, better: Better| {
        let mut facts = facts();
        say_of_current(&mut facts, "ci", 1, about(old, half, level, better));
        say(&mut facts, "ci", 1, about(new, half, level, better));
        judge(&facts).outcome
    };
    use Better::{Higher, Lower};
    // The margin is 2 percent of 100.
    assert_eq!(outcome(100.0, 100.0, 1.0, 0.95, Higher), Outcome::Pass);
    assert_eq!(outcome(100.0, 100.0, 3.0, 0.95, Higher), Outcome::Wait);
    assert_eq!(outcome(100.0, 104.0, 3.0, 0.95, Higher), Outcome::Pass);
    assert_eq!(outcome(100.0, 104.0, 3.0, 0.95, Lower), Outcome::Fail);
    assert_eq!(outcome(100.0, 96.0, 3.0, 0.95, Lower), Outcome::Pass);
    // The same width at 50 % says less than half as much.
    assert_eq!(outcome(100.0, 100.0, 1.0, 0.5, Higher), Outcome::Wait);
    assert_eq!(outcome(100.0, 99.5, 0.1, 0.95, Higher), Outcome::Pass, "surely worse, within the margin");
    assert_eq!(outcome(100.0, 97.5, 0.1, 0.95, Higher), Outcome::Fail);
}

#[test]
fn what_does_not_fit_together_waits() {
    let mut facts = facts();
    let edition = |content: &[u8], value| {
        let digest = Digest::sha256(content);
        with(evaluation("s", value), |evaluation| evaluation.suite_digest = Some(digest.clone()))
    };
    say_of_current(&mut facts, "ci", 1, edition(b"first", 0.9));
    say(&mut facts, "ci", 1, edition(b"second", 0.95));
    assert!(judge(&facts).reason.starts_with("another edition of suite s than any 1.0.0 was evaluated on"));
    say_of_current(&mut facts, "ci", 2, edition(b"second", 0.9));
    say_of_current(&mut facts, "ci", 3, edition(b"third", 0.99));
    assert_eq!(judge(&facts).outcome, Outcome::Pass, "compared within one edition");
    for change in [
        |metric: &mut Metric| metric.unit = Some("percent".into()),
        |metric: &mut Metric| metric.better = Better::Lower,
        |metric: &mut Metric| metric.n = Some(29),
    ] {
        let changed = with(edition(b"second", 0.95), |evaluation| {
            evaluation.metrics.values_mut().for_each(change);
        });
        say(&mut facts, "ci", 5, changed);
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
    }
}

#[test]
fn pass_and_fail_are_paired() {
    let outcome = |old: &[f64], new: &[f64], better| judge(&compared(old, new, better)).outcome;
    use Better::{Higher, Lower};
    // The same accuracy: with 300 pairs of which none differs it is known well enough, with 100 not.
    let equal = |n: usize| passes(&[(n * 9 / 10, 1.0), (n / 10, 0.0)]);
    assert_eq!(outcome(&equal(300), &equal(300), Higher), Outcome::Pass);
    assert_eq!(outcome(&equal(100), &equal(100), Higher), Outcome::Wait);
    // 20 of 200 got worse and none better: by far too many for chance.
    let old = passes(&[(180, 1.0), (20, 0.0)]);
    let new = passes(&[(160, 1.0), (40, 0.0)]);
    let verdict = judge(&compared(&old, &new, Higher));
    assert_eq!(verdict.outcome, Outcome::Fail);
    assert!(
        verdict.reason.contains("is 0.8, was 0.9, on 200 paired examples, which is worse"),
        "{}",
        verdict.reason
    );
    assert_eq!(outcome(&old, &new, Lower), Outcome::Pass);
    assert_eq!(outcome(&new, &old, Higher), Outcome::Pass);
    // 4 worse, none better: McNemar's exact test gives 1/16, which is no proof.
    let new = passes(&[(176, 1.0), (24, 0.0)]);
    let verdict = judge(&compared(&old, &new, Higher));
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert!(verdict.reason.contains("too few to tell"));
    // 5 worse: 1/32 is, by itself; not if it is one of two that are asked.
    let new = passes(&[(175, 1.0), (25, 0.0)]);
    assert_eq!(outcome(&old, &new, Higher), Outcome::Fail);
    let mut twice = compared(&old, &new, Higher);
    say_of_current(&mut twice, "ci", 2, evaluation("b", 0.9));
    say(&mut twice, "ci", 2, evaluation("b", 0.95));
    assert_eq!(judge(&twice).outcome, Outcome::Wait);
    let few = passes(&[(29, 1.0)]);
    assert!(judge(&compared(&few, &few, Higher)).reason.ends_with("29 paired examples, 30 are needed"));
}

#[test]
fn left_out_examples_are_noticed() {
    let old = passes(&[(180, 1.0), (120, 0.0)]);
    let verdict = judge(&compared(&old, &old[..200], Better::Higher));
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert!(verdict.reason.contains("lacks the results of 100 of the 300 examples"));
    let more = [&old[..], &[1.0; 50]].concat();
    assert_eq!(judge(&compared(&old, &more, Better::Higher)).outcome, Outcome::Pass);
}

#[test]
fn scores_are_resampled() {
    let mut random = SplitMix(3);
    let mut noise = || f64::from(u32::try_from(random.below(1_000)).unwrap()) / 1_000.0;
    let old: Vec<f64> = (0..400).map(|_| 50.0 + 20.0 * noise()).collect();
    let moved = |by: f64, spread: f64, noise: &mut dyn FnMut() -> f64| -> Vec<f64> {
        old.iter().map(|value| value + by + spread * (noise() - 0.5)).collect()
    };
    let outcome = |new: &[f64], better| judge(&compared(&old, new, better)).outcome;
    let same = moved(0.0, 4.0, &mut noise);
    assert_eq!(outcome(&same, Better::Higher), Outcome::Pass, "pairs cancel what the examples differ in");
    assert_eq!(outcome(&moved(-5.0, 4.0, &mut noise), Better::Higher), Outcome::Fail);
    assert_eq!(outcome(&moved(-5.0, 4.0, &mut noise), Better::Lower), Outcome::Pass);
    let mut side = -40.0;
    let mut swing = || {
        side = -side;
        side
    };
    assert_eq!(outcome(&moved(0.0, 1.0, &mut swing), Better::Higher), Outcome::Wait);
    let facts = compared(&old, &same, Better::Higher);
    assert_eq!(judge(&facts), judge(&facts));
}

#[test]
fn a_few_ties_prove_nothing() {
    let judged = |n: usize, odd: usize| {
        let old: Vec<f64> = (0..n).map(|id| if id < odd { 0.5 } else { 1.0 }).collect();
        let new: Vec<f64> = (0..n).map(|id| if id < odd { 0.499 } else { 1.0 }).collect();
        judge(&compared(&old, &new, Better::Higher))
    };
    // ln 0.05 / ln 0.98: from 149 equal ones on, it is sure enough that at most 2 in 100 are otherwise.
    for (n, odd, outcome) in
        [(30, 1, Outcome::Wait), (148, 0, Outcome::Wait), (149, 0, Outcome::Pass), (400, 3, Outcome::Pass)]
    {
        // One that is neither 0 nor 1 makes scores of them.
        let same = vec![0.999_999; n];
        let verdict = if odd == 0 { judge(&compared(&same, &same, Better::Higher)) } else { judged(n, odd) };
        assert_eq!(verdict.outcome, outcome, "{n}, {odd}: {}", verdict.reason);
    }
}

#[test]
fn many_examples_take_little_time() {
    let mut random = SplitMix(9);
    let values: Vec<f64> =
        (0..100_000).map(|_| f64::from(u32::try_from(random.below(100)).unwrap())).collect();
    let started = std::time::Instant::now();
    assert_eq!(judge(&compared(&values, &values, Better::Higher)).outcome, Outcome::Pass);
    assert!(started.elapsed().as_secs() < 10);
}

#[test]
fn nobody_who_does_not_count_lowers_the_bar() {
    let mut facts = facts();
    facts.people.insert(
        name("dan"),
        Person { kind: crate::model::access::PrincipalKind::Person, roles: BTreeSet::new() },
    );
    say_of_current(&mut facts, "ci", 1, evaluation("s", 0.9));
    say(&mut facts, "ci", 1, evaluation("s", 0.7));
    let rule = json!({ "from": ["service", "not_author"] });
    assert_eq!(judge_by(&facts, rule.clone()).outcome, Outcome::Fail);
    say_of_current(&mut facts, "bob", 2, evaluation("s", 0.5));
    assert_eq!(judge_by(&facts, rule).outcome, Outcome::Fail, "the author measures the present version anew");
}

/// How often versions that are the same are called worse, and versions that are clearly worse pass: at most as often
/// as the confidence says, with room for chance.
#[test]
fn errors_are_as_rare_as_the_confidence_says() {
    let mut random = SplitMix(11);
    let (mut called_worse, mut let_through) = (0, 0);
    for _ in 0..400 {
        let mut example = |fails_in_100: usize| if random.below(100) < fails_in_100 { 0.0 } else { 1.0 };
        let draw = |fails: usize, example: &mut dyn FnMut(usize) -> f64| -> Vec<f64> {
            (0..200).map(|_| example(fails)).collect()
        };
        let (old, same, worse) = (draw(10, &mut example), draw(10, &mut example), draw(13, &mut example));
        called_worse += u32::from(judge(&compared(&old, &same, Better::Higher)).outcome == Outcome::Fail);
        let_through += u32::from(judge(&compared(&old, &worse, Better::Higher)).outcome == Outcome::Pass);
    }
    assert!(called_worse <= 32, "{called_worse} of 400 called worse");
    assert!(let_through <= 32, "{let_through} of 400 let through");
}
