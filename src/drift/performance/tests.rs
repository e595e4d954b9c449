//! Known numbers, laws and odd input.
//!
//! Golden values: scikit-learn 1.9.1 and SciPy 1.17.1 on the rows that [`side`] and its like make; DeLong's standard
//! errors from all pairs of rows in NumPy, equal to those of `confidenceinterval` 1.0.5.

use super::super::compare::{Options, Rules, Run, Verdict};
use super::calibration::Calibration;
use super::estimate::expected;
use super::isotonic::Isotonic;
use super::roc_auc::points;
use super::*;

/// Two classes: probabilities and labels that follow them, as the second number says.
fn rows(n: u64, a: u64, b: u64, rate: fn(f64) -> f64) -> Vec<(f64, bool)> {
    let row = |i: u64| {
        let score = ((i * a % 1009) as f64 + 0.5) / 1009.0;
        (score, ((i * b % 997) as f64 + 0.5) / 997.0 < rate(score))
    };
    (0..n).map(row).collect()
}

fn good() -> Vec<(f64, bool)> {
    rows(600, 7919, 10473, |score| score)
}

fn poor() -> Vec<(f64, bool)> {
    rows(500, 6131, 5651, |score| 0.3 + 0.4 * score)
}

fn name(is: bool) -> &'static str {
    if is { "1" } else { "0" }
}

fn side(rows: &[(f64, bool)]) -> Side {
    let mut collector = Collector::classes(&["1".to_owned()], 7, 0);
    for (score, truth) in rows {
        collector.class(Label::Known(name(*truth)), Some(name(*score >= 0.5)), Some(&[*score]));
    }
    collector.finish().unwrap()
}

fn unlabelled(rows: &[(f64, bool)]) -> Side {
    let mut collector = Collector::classes(&["1".to_owned()], 7, 0);
    rows.iter()
        .for_each(|(score, _)| collector.class(Label::Missing, Some(name(*score >= 0.5)), Some(&[*score])));
    collector.finish().unwrap()
}

/// Three classes, whose labels follow their probabilities.
fn several() -> Side {
    let names = ["a", "b", "c"].map(str::to_owned);
    let mut collector = Collector::classes(&names, 7, 0);
    for i in 0..700_u64 {
        let weights = [i * 7919 % 1009, i * 6131 % 1013, i * 5651 % 1019].map(|weight| weight as f64 + 1.0);
        let sum: f64 = weights.iter().sum();
        let scores = weights.map(|weight| weight / sum);
        let drawn = ((i * 10473 % 997) as f64 + 0.5) / 997.0;
        let truth = if drawn <= scores[0] { 0 } else { 1 + usize::from(drawn > scores[0] + scores[1]) };
        let said = (1..3).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
        collector.class(Label::Known(&names[truth]), Some(&names[said]), Some(&scores));
    }
    collector.finish().unwrap()
}

fn numbers(n: u64, target: fn(u64) -> f64, error: fn(u64) -> f64) -> Side {
    let mut collector = Collector::numbers();
    (0..n).for_each(|i| collector.number(Label::Known(target(i)), Some(target(i) + error(i))));
    collector.finish().unwrap()
}

fn near(left: f64, right: f64, relative: f64) {
    assert!((left - right).abs() <= relative * right.abs(), "{left} is not {right}");
}

fn judged(reference: &Side, current: &Side) -> (Comparison, Run) {
    let options = Options::default();
    let compared = compare(reference, current, &options);
    let rows = [reference, current].map(|side| side.measures.rows);
    let mut run = Rules::Sound(options).judge(compared.findings.clone(), rows, &[]);
    explain(&mut run, &compared.metrics);
    (compared, run)
}

fn verdict(run: &Run, metric: &str) -> Option<Verdict> {
    run.columns.iter().find(|finding| finding.column == metric).map(|finding| finding.verdict)
}

fn values(compared: &Comparison, metric: &str) -> [f64; 2] {
    let found = compared.metrics.iter().find(|known| known.name == metric).unwrap();
    [found.reference, found.current].map(|value| value.map_or(f64::NAN, |value| value.value))
}

fn p_value(compared: &Comparison, metric: &str) -> f64 {
    let name = format!("performance: {metric}");
    compared.findings.iter().find(|finding| finding.column == name).unwrap().tests[0].p_value.unwrap()
}

#[test]
fn metrics_of_two_classes_are_those_of_scikit_learn() {
    let (compared, run) = judged(&side(&good()), &side(&poor()));
    for (metric, reference, current) in [
        ("accuracy", 0.7483333333333333, 0.594),
        ("macro F1", 0.748276695589841, 0.5939983759935039),
        ("ROC AUC", 0.8304127379469846, 0.6280740491847869),
        ("log loss", 0.5048548403588847, 0.8156621179561785),
        ("Brier score", 0.16821140623061098, 0.2697186392831219),
    ] {
        let [r, c] = values(&compared, metric);
        near(r, reference, 1e-12);
        near(c, current, 1e-12);
        assert_eq!(verdict(&run, &format!("performance: {metric}")), Some(Verdict::Drift), "{metric}");
    }
    near(p_value(&compared, "log loss"), 3.411023423444511e-11, 1e-8);
    near(p_value(&compared, "Brier score"), 1.4149848112468664e-11, 1e-8);
    near(p_value(&compared, "ROC AUC"), 9.541150422933502e-12, 1e-8);
    assert!(
        run.columns.iter().all(|finding| finding.reason.contains(", was ")),
        "{:?}",
        run.columns[0].reason
    );
    let cell = |target: &str, prediction: &str| {
        compared.confusion.iter().find(|cell| cell.target == target && cell.prediction == prediction).unwrap()
    };
    assert_eq!(["0", "1"].map(|target| cell(target, "1").reference), [72, 229]);
}

#[test]
fn areas_have_delongs_errors() {
    let tied: Vec<(f64, bool)> = {
        let row = |(score, truth): &(f64, bool)| ((score * 50.0).round() / 50.0, *truth);
        rows(600, 7919, 10473, |score| 0.3 + 0.4 * score).iter().map(row).collect()
    };
    for (rows, area, error) in [
        (good(), 0.8304127379469846, 0.016291362270917424),
        (poor(), 0.6280740491847869, 0.024830416757404772),
        (tied, 0.6157, 0.0229),
    ] {
        let share = roc_auc::share(&points(rows.iter().map(|row| (row.0, f64::from(u8::from(row.1))))));
        let share = share.unwrap();
        let close = if area == 0.6157 { 5e-3 } else { 1e-12 };
        near(share.value, area, close);
        near(share.error, error, close);
    }
}

/// Their standard errors as 3,000 to 4,000 bootstrap samples have them.
#[test]
fn metrics_of_several_classes_are_those_of_scikit_learn() {
    let several = several();
    let (compared, run) = judged(&several, &several);
    for (metric, value) in [
        ("accuracy", 0.4942857142857143),
        ("macro F1", 0.4942017181112804),
        ("ROC AUC", 0.7067106525677423),
        ("log loss", 0.9677822685398437),
        ("Brier score", 0.5857090479589304),
    ] {
        near(values(&compared, metric)[0], value, 1e-12);
    }
    assert_eq!(run.verdict, Verdict::Ok);
    let half = |metric: &str| {
        let metric = compared.metrics.iter().find(|known| known.name == metric).unwrap().reference.unwrap();
        (metric.interval[1] - metric.interval[0]) / 2.0 / 1.96
    };
    near(half("ROC AUC"), 0.01385, 0.04);
    near(half("macro F1"), 0.01907, 0.04);
    let estimate = compared.estimate.unwrap();
    assert!((estimate.metrics[0].current.value - 0.494).abs() < 0.05, "{estimate:?}");
}

#[test]
fn metrics_of_numbers_are_those_of_scikit_learn() {
    let before =
        numbers(400, |i| (i * 37 % 101) as f64 / 10.0, |i| ((i * 53 % 89) as f64 - 44.0) / 20.0 + 0.1);
    let after = numbers(300, |i| (i * 41 % 97) as f64 / 10.0, |i| ((i * 59 % 83) as f64 - 41.0) / 15.0 - 0.3);
    let (compared, run) = judged(&before, &after);
    for (metric, reference, current, p) in [
        ("mean absolute error", 1.1155, 1.399333333333333, 1.2273424649076288e-06),
        ("root mean squared error", 1.2894717910834652, 1.6264708443152023, 2.8315246413223724e-09),
        ("bias", 0.0955, -0.2975555555555556, 0.0005241159477338336),
    ] {
        let [r, c] = values(&compared, metric);
        near(r, reference, 1e-9);
        near(c, current, 1e-9);
        near(p_value(&compared, metric), p, 1e-8);
    }
    assert_eq!(verdict(&run, "performance: mean absolute error"), Some(Verdict::Drift));
}

#[test]
fn what_gets_better_is_no_drift() {
    let [few, many] = [0.2, 0.1].map(|rate| {
        let row = |i: u64| (if i * 7919 % 1000 < (1000.0 * rate) as u64 { 0.1 } else { 0.9 }, true);
        let right = (0..3_000).map(row);
        side(&right.chain((0..1_000).map(|_| (0.1, false))).collect::<Vec<_>>())
    });
    let (_, run) = judged(&few, &many);
    assert_eq!(run.verdict, Verdict::Ok, "{}", run.reason);
    let reason = |run: &Run| {
        run.columns.iter().find(|finding| finding.column == "performance: accuracy").unwrap().reason.clone()
    };
    assert_eq!(reason(&run), "0.9250, was 0.8500. Better, which is no drift.");
    let (_, run) = judged(&many, &few);
    assert_eq!(verdict(&run, "performance: accuracy"), Some(Verdict::Drift));
}

#[test]
fn isotonic_regression_is_that_of_scikit_learn() {
    let rows: Vec<(f64, f64)> = good().iter().map(|row| (row.0, f64::from(u8::from(row.1)))).collect();
    let map = Isotonic::fit(&points(rows.into_iter())).unwrap();
    let at = [0.0, 0.1, 0.25, 0.333, 0.5, 0.77, 1.0];
    let expected =
        [0.0, 0.1111111111111111, 0.2608695652173913, 0.3333333333333333, 0.46875, 0.7592592592592593, 1.0];
    for (score, rate) in at.into_iter().zip(expected) {
        assert!((map.at(score) - rate).abs() < 1e-12, "{score}: {} {rate}", map.at(score));
    }
}

#[test]
fn probabilities_are_calibrated_where_that_helps() {
    let half = |rows: &[(f64, bool)]| points(rows.iter().map(|row| (row.0, f64::from(u8::from(row.1)))));
    let wrong = rows(4_000, 7919, 10473, |score| score * score);
    let fit = Calibration::fit(&half(&wrong[..2_000]), &half(&wrong[2_000..]), &half(&wrong)).unwrap();
    assert!(fit.is_map() && fit.errors[1] < 0.5 * fit.errors[0], "{:?}", fit.errors);
    assert!((fit.at(0.5) - 0.25).abs() < 0.06, "{}", fit.at(0.5));
}

/// Probabilities that are too sure of themselves: what is expected is what will be measured.
#[test]
fn an_estimate_is_what_labels_show_later() {
    let sure: fn(f64) -> f64 = |score| 0.5 + 0.6 * (score - 0.5);
    let reference = side(&rows(6_000, 7919, 10473, sure));
    // Only probabilities in the middle: harder rows.
    let later: Vec<(f64, bool)> =
        rows(9_000, 6131, 5651, sure).into_iter().filter(|row| (0.25..0.75).contains(&row.0)).collect();
    let expected = expected(&reference, &unlabelled(&later)).unwrap();
    assert!(expected.calibrations[0].is_map());
    let later = side(&later);
    let of = later.classification().unwrap();
    let measured = [
        accuracy::share(of).unwrap().value,
        f1::share(of, &["0", "1"]).unwrap().value,
        roc_auc::share(&points(
            later.sample.iter().flat_map(Sample::rows).map(|row| (row.scores[0], row.target.unwrap() as f64)),
        ))
        .unwrap()
        .value,
    ];
    for ((name, share), measured) in expected.shares.iter().zip(measured) {
        assert!((share.value - measured).abs() < 3.0 * share.error + 0.01, "{name}: {share:?} {measured}");
    }
}

/// Whether an answer is right among three classes is more than whether it is 1 or not.
#[test]
fn one_probability_of_three_classes_says_no_accuracy() {
    let third = |truth: bool, i: usize| if truth { "1" } else { ["0", "2"][i % 2] };
    let collected = |is_labelled: bool| {
        let mut collector = Collector::classes(&["1".to_owned()], 7, 0);
        for (i, (score, truth)) in rows(3_000, 7919, 10473, |score| score).into_iter().enumerate() {
            let label = if is_labelled { Label::Known(third(truth, i / 2)) } else { Label::Missing };
            collector.class(label, Some(third(score >= 0.5, i)), Some(&[score]));
        }
        collector.finish().unwrap()
    };
    let names = |reference: &Side, current: &Side| {
        let (compared, run) = judged(reference, current);
        assert_ne!(run.verdict, Verdict::Warn, "{}", run.reason);
        let metrics = compared.estimate.unwrap().metrics;
        metrics.into_iter().map(|metric| metric.name).collect::<Vec<_>>()
    };
    let two = side(&rows(3_000, 7919, 10473, |score| score));
    assert_eq!(names(&collected(true), &collected(false)), ["ROC AUC"]);
    assert_eq!(names(&two, &collected(false)), ["ROC AUC"]);
    assert_eq!(names(&two, &unlabelled(&good())), ["accuracy", "macro F1", "ROC AUC"]);
}

#[test]
fn an_estimate_warns_at_most() {
    let reference = side(&rows(6_000, 7919, 10473, |score| score));
    let hard: Vec<(f64, bool)> = rows(9_000, 6131, 5651, |score| score)
        .into_iter()
        .filter(|row| (0.35..0.65).contains(&row.0))
        .collect();
    let (compared, run) = judged(&reference, &unlabelled(&hard));
    assert_eq!(run.verdict, Verdict::Warn, "{}", run.reason);
    assert_eq!(verdict(&run, "performance: estimated accuracy"), Some(Verdict::Warn));
    assert_eq!(verdict(&run, "performance"), Some(Verdict::NoData));
    assert_eq!(run.p_values, 0, "estimates are not corrected");
    assert!(run.columns[0].reason.contains("no concept drift"), "{}", run.columns[0].reason);
    assert_eq!(compared.estimate.unwrap().assumption, ASSUMPTION);
    // With all labels the labels decide.
    assert_eq!(verdict(&judged(&reference, &side(&hard)).1, "performance: estimated accuracy"), None);
}

/// Of `yes` and `no` with a probability of 1: losses of it would be those of a class nobody is of.
#[test]
fn probabilities_of_a_class_that_is_not_there_are_invalid() {
    let spoken = |rows: &[(f64, bool)]| {
        let mut collector = Collector::classes(&["1".to_owned()], 7, 0);
        for (score, truth) in rows {
            let [target, said] = [*truth, *score >= 0.5].map(|is| if is { "yes" } else { "no" });
            collector.class(Label::Known(target), Some(said), Some(&[*score]));
        }
        collector.finish().unwrap()
    };
    let harder: Vec<(f64, bool)> = good().into_iter().map(|(score, truth)| (score.sqrt(), truth)).collect();
    let (compared, run) = judged(&spoken(&good()), &spoken(&harder));
    assert_eq!(verdict(&run, "performance: probabilities"), Some(Verdict::Invalid));
    let reason = &compared.findings.last().unwrap().reason;
    assert!(
        reason.contains("class 1") && reason.contains("no, yes.") && reason.contains("--positive"),
        "{reason}"
    );
    let names: Vec<&str> = compared.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!((names, compared.estimate), (vec!["accuracy", "macro F1"], None));
}

#[test]
fn labels_and_predictions_of_other_classes_are_invalid() {
    let spelt = |target: fn(bool) -> &'static str, said: fn(bool) -> &'static str| {
        let mut collector = Collector::classes(&[], 7, 0);
        for (score, truth) in good() {
            collector.class(Label::Known(target(truth)), Some(said(score >= 0.5)), None);
        }
        collector.finish().unwrap()
    };
    let word = |is: bool| if is { "yes" } else { "no" };
    let (same, other) = (spelt(name, name), spelt(word, name));
    for (reference, current) in [(&other, &other), (&same, &other), (&other, &same)] {
        let (compared, run) = judged(reference, current);
        assert_eq!(run.verdict, Verdict::Invalid);
        let reason = &compared.findings[0].reason;
        assert!(reason.ends_with("the labels are no, yes, the predictions 0, 1."), "{reason}");
        assert!(compared.metrics.is_empty() && compared.findings.len() == 1);
    }
    // Always wrong is not the same: it is drift.
    let wrong = spelt(|_| "1", |_| "0");
    assert_eq!(verdict(&judged(&same, &wrong).1, "performance: accuracy"), Some(Verdict::Drift));
}

#[test]
fn an_estimate_of_a_few_rows_does_not_warn() {
    let reference = side(&rows(6_000, 7919, 10473, |score| score));
    for first in 0..40 {
        for count in 2..5 {
            let few = &good()[first..first + count];
            let (compared, run) = judged(&reference, &unlabelled(few));
            let warned = run.columns.iter().find(|finding| finding.verdict == Verdict::Warn);
            assert_eq!(warned.map(|finding| &finding.column), None, "{few:?}");
            assert!(compared.estimate.unwrap().metrics.iter().all(|metric| metric.name != "macro F1"));
        }
    }
    let rare: Vec<(f64, bool)> = (0..400).map(|i| (0.02 + 0.01 * (i % 2) as f64, false)).collect();
    let names = |rows: &[(f64, bool)]| {
        let estimate = compare(&reference, &unlabelled(rows), &Options::default()).estimate.unwrap();
        estimate.metrics.into_iter().map(|metric| metric.name).collect::<Vec<_>>()
    };
    assert_eq!(
        (names(&rare), names(&good())[1].as_str()),
        (vec!["accuracy".to_owned(), "ROC AUC".to_owned()], "macro F1")
    );
}

/// What is cut into chunks, kept in profiles and merged is what it was.
#[test]
fn measures_add_up() {
    let rows = good();
    let whole = side(&rows).measures;
    let [a, b] = [&rows[..150], &rows[150..]].map(|rows| side(rows).measures);
    let (left, right) = (a.merge(&b).unwrap(), b.merge(&a).unwrap());
    let same = |a: &Measures, b: &Measures| {
        let (Of::Classification(a), Of::Classification(b)) = (&a.of, &b.of) else { panic!() };
        assert_eq!((&a.confusion, &a.classes), (&b.confusion, &b.classes));
        let (a, b) = (a.probabilities.as_ref().unwrap(), b.probabilities.as_ref().unwrap());
        near(a.brier.mean().unwrap(), b.brier.mean().unwrap(), 1e-12);
        let sums =
            |bins: &[[u64; 4]]| bins.iter().map(|bin| [bin[0] + bin[2], bin[1] + bin[3]]).collect::<Vec<_>>();
        assert_eq!(sums(&a.bins), sums(&b.bins));
    };
    same(&left, &right);
    same(&left, &whole);
    whole.check().unwrap();
    // A profile knows areas by bins.
    let kept = Side { measures: left, sample: None };
    let (compared, _) = judged(&kept, &side(&poor()));
    let [r, c] = values(&compared, "ROC AUC");
    assert!((r - 0.83041).abs() < 1e-3 && (c - 0.62807).abs() < 1e-3, "{r} {c}");
    assert!(compared.estimate.is_some());
    let regression = numbers(5, |i| i as f64, |_| 1.0).measures;
    assert!(whole.merge(&regression).is_err());
}

/// Of rare events all probabilities are low: in one bin they do not rank, however well they did.
#[test]
fn what_a_profile_does_not_keep_is_said_and_not_measured() {
    let rare: Vec<(f64, bool)> = good().into_iter().map(|(score, truth)| (score / 1_100.0, truth)).collect();
    for (side, why) in [(side(&rare), "one of the 1,000 bins"), (several(), "several classes")] {
        let kept = Side { measures: side.measures.clone(), sample: None };
        for (reference, current) in [(&kept, &side), (&side, &kept), (&kept, &kept)] {
            let (compared, run) = judged(reference, current);
            let finding = run.columns.iter().find(|it| it.column == "performance: ROC AUC").unwrap();
            assert_eq!(finding.verdict, Verdict::InsufficientData);
            assert!(finding.reason.contains(why), "{}", finding.reason);
            let metric = compared.metrics.iter().find(|metric| metric.name == "ROC AUC").unwrap();
            assert!(metric.note.contains(why) && metric.reference.or(metric.current).is_none());
        }
        assert!(values(&judged(&side, &side).0, "ROC AUC")[0] > 0.6, "all rows are there");
    }
}

#[test]
fn sums_that_no_rows_have_are_refused() {
    let whole = side(&good()).measures;
    let spoilt = |spoil: fn(&mut Measures)| {
        let mut measures = whole.clone();
        spoil(&mut measures);
        measures.check().is_err()
    };
    assert!(spoilt(|it| it.rows += 1) && spoilt(|it| it.unlabelled = u64::MAX));
    let of = |it: &mut Measures| {
        let Of::Classification(of) = std::mem::replace(&mut it.of, Of::Regression(Regression::default()))
        else {
            panic!()
        };
        of
    };
    for spoil in [
        (|of| of.classes.reverse()) as fn(&mut Classification),
        |of| of.confusion.reverse(),
        |of| of.confusion[0][0] = 9,
        |of| of.confusion[0][2] = 0,
        |of| of.probabilities.as_mut().unwrap().bins[0][0] += 1,
        |of| of.probabilities.as_mut().unwrap().unusable += 1,
        |of| of.probabilities.as_mut().unwrap().of.clear(),
    ] {
        let mut measures = whole.clone();
        let mut spoilt = of(&mut measures);
        spoil(&mut spoilt);
        measures.of = Of::Classification(spoilt);
        assert!(measures.check().is_err());
    }
}

#[test]
fn odd_rows_are_counted_and_make_no_panic() {
    let mut collector = Collector::classes(&["1".to_owned()], 7, 0);
    for score in [f64::NAN, -0.1, 1.1, f64::INFINITY] {
        collector.class(Label::Known("1"), Some("1"), Some(&[score]));
    }
    collector.class(Label::Known("1"), Some("1"), None);
    collector.class(Label::Known("1"), None, Some(&[0.5]));
    collector.class(Label::Failed, Some("1"), Some(&[0.5]));
    collector.class(Label::Missing, None, None);
    let odd = collector.finish().unwrap();
    let it = &odd.measures;
    assert_eq!((it.rows, it.unlabelled, it.failed), (8, 1, 2));
    assert_eq!(odd.classification().unwrap().probabilities.as_ref().unwrap().unusable, 5);
    odd.measures.check().unwrap();
    let constant = |truth: fn(u64) -> bool| side(&(0..200).map(|i| (0.7, truth(i))).collect::<Vec<_>>());
    let sides = [
        odd,
        side(&[]),
        unlabelled(&good()),
        side(&good()),
        constant(|_| true),
        constant(|_| false),
        constant(|i| i % 2 == 0),
        side(&(0..200).map(|i| (f64::from(i % 2), i % 2 == 1)).collect::<Vec<_>>()),
        several(),
        numbers(0, |_| 0.0, |_| 0.0),
        numbers(1, |_| 0.0, |_| 1.0),
        numbers(300, |i| i as f64, |_| 0.0),
        numbers(300, |i| i as f64, |_| 2.0),
        numbers(300, |i| i as f64, |i| if i == 0 { 1e160 } else { 0.5 }),
    ];
    for reference in &sides {
        for current in &sides {
            let (compared, run) = judged(reference, current);
            let json =
                serde_json::to_value((&run, &compared.metrics, Vec::from_iter(&compared.estimate))).unwrap();
            assert!(!json.to_string().contains("null"), "numbers are finite");
            if std::ptr::eq(reference, current) {
                assert_ne!(run.verdict, Verdict::Drift, "{run:?}");
            }
        }
    }
    // Errors that are all the same, and others than before.
    let (_, run) = judged(&sides[11], &sides[12]);
    assert_eq!(verdict(&run, "performance: mean absolute error"), Some(Verdict::Drift));
}

/// Without any change: p-values of all metrics below 0.05 in about as many of a hundred as that.
#[test]
fn false_alarms_are_as_rare_as_stated() {
    let mut random = super::super::statistics::random::SplitMix(20_260_101);
    let (replicates, mut low) = (200, std::collections::BTreeMap::<String, u32>::new());
    for _ in 0..replicates {
        let mut draw = |n: usize| {
            let row = |_| {
                let score = random.uniform().powi(2);
                (score, random.uniform() < score)
            };
            side(&(0..n).map(row).collect::<Vec<_>>())
        };
        let compared = compare(&draw(800), &draw(300), &Options::default());
        for finding in compared.findings {
            let is_low = finding.tests[0].p_value.unwrap() <= 0.05;
            *low.entry(finding.column).or_default() += u32::from(is_low);
        }
    }
    assert_eq!(low.len(), 5);
    for (metric, low) in low {
        // Three standard errors above and below.
        assert!((1..=20).contains(&low), "{metric}: {low} of {replicates}");
    }
}

#[test]
fn too_many_classes_are_refused() {
    let mut collector = Collector::classes(&[], 0, 0);
    (0..300).for_each(|i| collector.class(Label::Known(&i.to_string()), Some("1"), Some(&[])));
    assert!(collector.finish().is_err());
}
