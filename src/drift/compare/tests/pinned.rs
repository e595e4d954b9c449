//! Columns in which what is new is news.

use super::*;

/// The verdict on so many rows of a new category among 5,000, beside 5,000 of the reference.
fn pinned(new: u64, is_pinned: bool) -> Finding {
    let rules = Rules::Sound(Options::default());
    let reference = categories("model", &[("a", 3_000), ("b", 2_000)]);
    let current = categories("model", &[("a", 3_000), ("b", 2_000 - new), ("c", new)]);
    let mut finding = rules.examine(&[&reference], &[&current], false).unwrap();
    if is_pinned {
        finding.pin(&Options::default());
    }
    let mut run = rules.judge(vec![finding], [5_000, 5_000], &[]);
    run.columns[0].explain_pin();
    run.columns.remove(0)
}

#[test]
fn a_few_rows_of_a_new_category_are_drift_only_there() {
    for (new, usual, news) in [
        (0, Verdict::Ok, Verdict::Ok),
        // Three rows may be there by chance though none of 5,000 was.
        (3, Verdict::Ok, Verdict::Ok),
        (15, Verdict::Ok, Verdict::Drift),
        (200, Verdict::Drift, Verdict::Drift),
    ] {
        let (found, pinned) = (pinned(new, false), pinned(new, true));
        let new_category = test(&found, "new_category");
        assert_eq!((new_category.verdict, pinned.verdict), (Some(usual), news), "{new}: {}", pinned.reason);
        assert_eq!(pinned.reason.contains("however few rows"), news == Verdict::Drift);
    }
    let finding = pinned(0, true);
    let effect = test(&finding, "new_category").effect.as_ref().unwrap();
    assert!(effect.floor < 0.001 && effect.detectable <= 2.0 * effect.floor, "it still can be resolved");
}

/// The rows that a new category needs on a side where none of the reference had it: it must not be called drift more often
/// than any other column would be.
#[test]
fn what_is_only_rare_is_no_news() {
    let rules = Rules::Sound(Options::default());
    let mut alarms = 0;
    for seed in 0..400 {
        // One of 2,000 rows is of a third category, on both sides alike.
        let side = |seed: u64| {
            let rare = uniform(seed, 1_000).into_iter().filter(|x| *x < 0.0005).count() as u64;
            categories("model", &[("a", 600), ("b", 400 - rare), ("rare", rare)])
        };
        let mut finding = rules.examine(&[&side(2 * seed + 1)], &[&side(2 * seed + 2)], false).unwrap();
        finding.pin(&Options::default());
        let run = rules.judge(vec![finding], [1_000, 1_000], &[]);
        alarms += u32::from(run.verdict == Verdict::Drift);
    }
    assert!(alarms <= 20, "{alarms} of 400");
}

/// What is nearly always so, such as that there is no secret in an answer, can be said to be as it was.
#[test]
fn a_rare_category_has_a_rate() {
    for (reference, current, verdict) in
        [(1, 0, Verdict::Ok), (2, 4, Verdict::Ok), (0, 60, Verdict::Warn), (0, 0, Verdict::Ok)]
    {
        let side = |rare: u64| Column::boolean("secret", 20_000 - rare, rare, 0, 0);
        let finding = single(side(reference), side(current));
        assert_eq!(finding.verdict, verdict, "{reference} {current}: {}", finding.reason);
    }
    let few = single(Column::boolean("secret", 60, 1, 0, 0), Column::boolean("secret", 60, 0, 0, 0));
    assert_eq!(few.verdict, Verdict::InsufficientData, "{}", few.reason);
    let all_different = |start: u64| -> Column {
        let counts: Vec<(String, u64)> = (start..start + 8).map(|name| (name.to_string(), 1)).collect();
        let counts: Vec<(&str, u64)> = counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        categories("id", &counts)
    };
    let different = single(all_different(0), all_different(4));
    assert_eq!(different.verdict, Verdict::InsufficientData, "{}", different.reason);
}

/// Whether chi-square or the rate of what is rare is tested, the same shares are not graver with fewer rows.
#[test]
fn fewer_rows_of_a_rare_category_alarm_no_more() {
    let rules = Rules::Sound(Options::default());
    for (n, rare, usual, of_rule) in [
        (1_000, 3, Verdict::Warn, Verdict::Warn),
        (5_000, 15, Verdict::Warn, Verdict::Drift),
        (50_000, 150, Verdict::Warn, Verdict::Drift),
        (5_000, 35, Verdict::Drift, Verdict::Drift),
        (5_000, 7, Verdict::Ok, Verdict::Warn),
    ] {
        let reference = Column::boolean("secret", 5_000, 0, 0, 0);
        let current = Column::boolean("secret", n - rare, rare, 0, 0);
        let judged = |is_rule: bool| {
            let mut finding = rules.examine(&[&reference], &[&current], false).unwrap();
            // What is new has a floor of its own.
            finding.tests.retain(|test| !test.statistic.starts_with("new_category"));
            if is_rule {
                finding.pin_rule(&Options::default());
            }
            rules.judge(vec![finding], [5_000, n], &[]).columns.remove(0)
        };
        for (finding, verdict) in [(judged(false), usual), (judged(true), of_rule)] {
            assert_eq!(finding.verdict, verdict, "{rare} of {n}: {}", finding.reason);
        }
    }
}
