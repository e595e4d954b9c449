//! Both sides, metric by metric.

mod areas;
mod estimated;

use super::super::compare::{Concern, Finding, Options, Run, Summary, Test, Verdict};
use super::report::{Better, ConfusionCell, Estimate, Metric, Value};
use super::roc_auc;
use super::shares::{self, CLASS_ROWS, Share};
use super::{Classification, Of, Probabilities, Side, accuracy, errors, f1, losses};
use std::collections::BTreeMap;

/// What findings of performance are called, followed by the metric.
pub const PREFIX: &str = "performance";
/// A confusion matrix of more classes is not shown.
const SHOWN_CLASSES: usize = 20;
/// So many classes are named in a reason.
const LISTED_CLASSES: usize = 10;

/// What was found, still to be judged with all other findings of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub findings: Vec<Finding>,
    pub metrics: Vec<Metric>,
    pub estimate: Option<Estimate>,
    pub confusion: Vec<ConfusionCell>,
}

/// Nothing that the sides can be makes an error: what cannot be compared is a finding.
pub fn compare(reference: &Side, current: &Side, options: &Options) -> Comparison {
    let mut all = Comparison { findings: vec![], metrics: vec![], estimate: None, confusion: vec![] };
    let it = Pair { sides: [reference, current], options };
    match (&reference.measures.of, &current.measures.of) {
        (Of::Regression(r), Of::Regression(c)) => it.errors(r, c, &mut all),
        (Of::Classification(r), Of::Classification(c)) => {
            match it.strangers(r, c) {
                Some(why) => all.findings.push(it.stopped("classes", Verdict::Invalid, &why)),
                None => it.classes(r, c, &mut all),
            }
            all.confusion = confusion(r, c, options.named_from);
        }
        _ => all.findings.push(it.stopped("", Verdict::Invalid, "The sides have different tasks.")),
    }
    let unmeasured = it.sides.map(|side| side.measures.measured() == 0);
    if let Some(side) = ["reference", "current data"].into_iter().zip(unmeasured).find(|(_, is)| *is) {
        let why = format!("No row of the {} has a label and a prediction, yet.", side.0);
        all.findings.push(it.stopped("", Verdict::NoData, &why));
    }
    all
}

/// Says in the findings of a run that was judged what was measured on either side, and what got better.
pub fn explain(run: &mut Run, metrics: &[Metric]) {
    let alpha = run.options.as_ref().map_or(0.0, |options| options.alpha);
    for finding in run.columns.iter_mut().filter(|finding| finding.concern == Concern::Performance) {
        let name = finding.column.strip_prefix(PREFIX).and_then(|name| name.strip_prefix(": "));
        let metric = metrics.iter().find(|metric| Some(metric.name.as_str()) == name);
        let Some((r, c)) = metric.and_then(|metric| metric.reference.zip(metric.current)) else { continue };
        let [Test { verdict, q_value, effect, reason, .. }] = finding.tests.as_mut_slice() else { continue };
        let is_better = *verdict == Some(Verdict::Ok)
            && q_value.is_some_and(|q| q <= alpha)
            && effect.as_ref().is_some_and(|effect| effect.value == 0.0);
        if is_better {
            *reason = "Better, which is no drift.".to_owned();
            finding.reason.clone_from(reason);
        }
        finding.reason = format!("{}, was {}. {}", short(c.value), short(r.value), finding.reason);
    }
}

fn short(value: f64) -> String {
    if value == 0.0 || (1e-3..1e6).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

struct Pair<'a> {
    sides: [&'a Side; 2],
    options: &'a Options,
}

impl Pair<'_> {
    /// Adds a metric and, where both sides have it, its finding.
    fn add(
        &self,
        all: &mut Comparison,
        name: &str,
        better: Better,
        values: [Option<Value>; 2],
        test: Option<Test>,
    ) {
        let [reference, current] = values;
        if reference.is_none() && current.is_none() && test.is_none() {
            return;
        }
        let is_measured = self.sides.iter().all(|side| side.measures.measured() > 0);
        all.findings.extend(test.filter(|_| is_measured).map(|test| self.finding(name, vec![test])));
        all.metrics.push(Metric { name: name.to_owned(), better, reference, current, note: String::new() });
    }

    fn errors(&self, r: &super::Regression, c: &super::Regression, all: &mut Comparison) {
        let [n, m] = self.sides.map(|side| side.measures.measured());
        for metric in errors::ALL {
            let test = (metric.test)(r, c, self.options);
            let test = test.unwrap_or_else(|| {
                Test::insufficient(&metric.name.replace(' ', "_"), n, m, "A side has fewer than two rows.")
            });
            self.add(all, metric.name, metric.better, [(metric.value)(r), (metric.value)(c)], Some(test));
        }
    }

    fn classes(&self, r: &Classification, c: &Classification, all: &mut Comparison) {
        let accuracies = [r, c].map(accuracy::value);
        self.add(all, "accuracy", Better::Higher, accuracies, accuracy::test(r, c, self.options));
        let classes = frequent(&[r, c]);
        let scores = [r, c].map(|side| f1::share(side, &classes));
        self.add_shares(all, "macro F1", f1::METHOD, scores);
        if let Some(metric) = all.metrics.last_mut().filter(|metric| metric.name == "macro F1") {
            metric.note =
                format!("of the {} classes with at least {CLASS_ROWS} labels on each side", classes.len());
        }
        match self.mismatch(r, c) {
            Some(why) => all.findings.push(self.stopped("probabilities", Verdict::Invalid, &why)),
            None => {
                self.probabilities(r, c, all);
                self.estimate(all);
            }
        }
    }

    /// Why labels and predictions do not speak of the same: of a side what is true is predicted on neither, or what is
    /// predicted is true on neither.
    fn strangers(&self, r: &Classification, c: &Classification) -> Option<String> {
        let (actual, predicted) = ([r.actual(), c.actual()], [r.predicted(), c.predicted()]);
        let names = ["reference", "current data"];
        for ((name, actual_here), predicted_here) in names.into_iter().zip(&actual).zip(&predicted) {
            let meets = |here: &BTreeMap<&str, u64>, all: &[BTreeMap<&str, u64>; 2]| {
                let is_among =
                    |class: &str| all.iter().any(|side| side.get(class).is_some_and(|rows| *rows > 0));
                here.iter().all(|(_, rows)| *rows == 0)
                    || here.iter().any(|(class, rows)| *rows > 0 && is_among(class))
            };
            if !meets(actual_here, &predicted) || !meets(predicted_here, &actual) {
                return Some(format!(
                    "Labels and predictions of the {name} share no class: the labels are {}, the predictions {}.",
                    self.named(actual_here),
                    self.named(predicted_here)
                ));
            }
        }
        None
    }

    /// Why probabilities are those of no class, or not of the same. What is measured of them would be of nothing.
    fn mismatch(&self, r: &Classification, c: &Classification) -> Option<String> {
        let p = match (&r.probabilities, &c.probabilities) {
            (Some(p), Some(q)) if p.of == q.of => p,
            (None, None) => return None,
            _ => return Some("The sides do not have probabilities of the same classes.".to_owned()),
        };
        let actual = r.actual();
        let is_known = |name: &String| actual.get(name.as_str()).is_some_and(|rows| *rows > 0);
        let unknown = p.of.iter().find(|name| r.total() > 0 && !is_known(name))?;
        let classes = self.named(&actual);
        let hint = if p.of.len() == 1 { " Say with --positive which of them they are of." } else { "" };
        Some(format!(
            "Probabilities are of the class {unknown}, of which the reference has no row; its classes are \
             {classes}.{hint}"
        ))
    }

    fn probabilities(&self, r: &Classification, c: &Classification, all: &mut Comparison) {
        let (Some(p), Some(q)) = (&r.probabilities, &c.probabilities) else { return };
        self.losses(p, q, all);
        let areas = if p.of.len() == 1 { self.areas(r, c) } else { self.areas_of_several(r, c, &p.of) };
        let note = match areas {
            Ok((areas, note)) => {
                self.add_shares(all, "ROC AUC", roc_auc::METHOD, areas);
                note
            }
            Err(why) => {
                let [n, m] = self.sides.map(|side| side.measures.measured());
                let test = Test::insufficient("roc_auc_difference", n, m, &why);
                self.add(all, "ROC AUC", Better::Higher, [None; 2], Some(test));
                why
            }
        };
        if let Some(metric) = all.metrics.last_mut().filter(|metric| metric.name == "ROC AUC") {
            metric.note = note;
        }
    }

    fn losses(&self, p: &Probabilities, q: &Probabilities, all: &mut Comparison) {
        let losses = [
            ("log loss", "log_loss_difference", &p.log_loss, &q.log_loss),
            ("Brier score", "brier_score_difference", &p.brier, &q.brier),
        ];
        for (name, statistic, r, c) in losses {
            let values = [r, c].map(|side| losses::value(side, 0.0));
            let test = losses::test(statistic, r, c, losses::increase, self.options).unwrap_or_else(|| {
                Test::insufficient(
                    statistic,
                    r.count(),
                    c.count(),
                    "A side has fewer than two rows with probabilities.",
                )
            });
            self.add(all, name, Better::Lower, values, Some(test));
        }
    }

    fn add_shares(&self, all: &mut Comparison, name: &str, method: &str, shares: [Option<Share>; 2]) {
        let statistic = format!("{}_difference", name.to_lowercase().replace(' ', "_"));
        let test = match shares {
            [Some(r), Some(c)] => shares::test(&statistic, method, r, c, self.options),
            _ => {
                let [n, m] = self.sides.map(|side| side.measures.measured());
                let why = format!("It takes two classes of {CLASS_ROWS} rows each on either side.");
                Test::insufficient(&statistic, n, m, &why)
            }
        };
        self.add(all, name, Better::Higher, shares.map(|share| share?.reported()), Some(test));
    }

    fn finding(&self, metric: &str, tests: Vec<Test>) -> Finding {
        let summary = |side: &Side| Summary {
            rows: side.measures.rows,
            missing: side.measures.unlabelled,
            failed: side.measures.failed,
            not_finite: 0,
            exact: side.sample.as_ref().is_none_or(super::Sample::is_exact),
            quantiles: None,
            distinct: None,
        };
        let name = if metric.is_empty() { PREFIX.to_owned() } else { format!("{PREFIX}: {metric}") };
        Finding::of_tests(&name, Concern::Performance, self.sides.map(summary).map(Some), tests)
    }

    /// Classes as a report may name them: those with enough rows, some of them.
    fn named(&self, classes: &BTreeMap<&str, u64>) -> String {
        let some = classes.iter().filter(|(_, rows)| **rows > 0);
        let (named, rare): (Vec<_>, Vec<_>) = some.partition(|(_, rows)| **rows >= self.options.named_from);
        let mut names: Vec<&str> = named.iter().map(|(name, _)| **name).take(LISTED_CLASSES).collect();
        if named.len() > names.len() || !rare.is_empty() {
            names.push(if names.is_empty() { "rare" } else { "others" });
        }
        names.join(", ")
    }

    /// What could not be compared.
    fn stopped(&self, metric: &str, verdict: Verdict, why: &str) -> Finding {
        Finding { verdict, reason: why.to_owned(), ..self.finding(metric, vec![]) }
    }
}

impl Side {
    pub(super) fn classification(&self) -> Option<&Classification> {
        if let Of::Classification(it) = &self.measures.of { Some(it) } else { None }
    }
}

/// Classes with rows enough on each side that has rows.
fn frequent<'a>(sides: &[&'a Classification]) -> Vec<&'a str> {
    let counts: Vec<_> = sides.iter().filter(|side| side.total() > 0).map(|side| side.actual()).collect();
    let Some(first) = counts.first() else { return vec![] };
    let is_frequent =
        |name: &str| counts.iter().all(|counts| counts.get(name).is_some_and(|rows| *rows >= CLASS_ROWS));
    let classes: Vec<&str> = first.keys().copied().filter(|name| is_frequent(name)).collect();
    if classes.len() < 2 { vec![] } else { classes }
}

/// The matrix of both sides. A class is named where both have enough rows of it.
fn confusion(r: &Classification, c: &Classification, named_from: u64) -> Vec<ConfusionCell> {
    let actual = [r.actual(), c.actual()];
    let is_named =
        |name: &str| actual.iter().all(|counts| counts.get(name).is_some_and(|rows| *rows >= named_from));
    let label = |name: &str| if is_named(name) { name.to_owned() } else { "__rare__".to_owned() };
    let mut cells: BTreeMap<(String, String), [u64; 2]> = BTreeMap::new();
    for (index, side) in [r, c].into_iter().enumerate() {
        for [target, prediction, rows] in &side.confusion {
            cells.entry((label(side.name(*target)), label(side.name(*prediction)))).or_default()[index] +=
                rows;
        }
    }
    let mut names: Vec<&String> =
        cells.keys().flat_map(|(target, prediction)| [target, prediction]).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > SHOWN_CLASSES {
        return vec![];
    }
    let cell = |((target, prediction), [reference, current]): ((String, String), [u64; 2])| ConfusionCell {
        target,
        prediction,
        reference,
        current,
    };
    cells.into_iter().map(cell).collect()
}
