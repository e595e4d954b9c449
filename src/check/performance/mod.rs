//! Performance of both sides, with labels that may come later and from elsewhere.

mod answers;
mod labels;
mod request;
mod section;
#[cfg(test)]
mod tests;

pub use request::{Performance, Probability};
pub use section::{Answered, LabelsReport, PerformanceReport};

use super::request::Request;
use super::side::Source;
use crate::drift::compare::{Finding, Rules, Run, Verdict};
use crate::drift::performance::{self, Measures, Of, Side, Task, compare, explain};
use crate::drift::profile::Kind;
use crate::drift::signals::Derived;
use crate::error::{Error, Result};
use crate::tables::{self, infer_some};
use labels::Labels;
use std::collections::BTreeMap;

/// What was found, and what to say of it.
pub(super) struct Examined {
    pub findings: Vec<Finding>,
    report: Option<PerformanceReport>,
}

impl Examined {
    /// Says in the findings what was measured, now that they are judged.
    pub fn conclude(self, run: &mut Run) -> Option<PerformanceReport> {
        let report = self.report?;
        explain(run, &report.metrics);
        Some(report)
    }
}

/// Compares the performance of two sides. Labels, if there are any, are those of the current side, before what its rows
/// themselves say, and those of the reference if it has none itself.
///
/// Errors: a request that contradicts itself, a column that is nowhere, too many labels, what cannot be read.
pub(super) fn examine(
    [reference, current]: [&Source; 2],
    labels: Option<&Source>,
    asked: &Performance,
    request: &Request,
) -> Result<Examined> {
    let Rules::Sound(options) = &request.rules else {
        return Err(Error::invalid("performance_mode", "performance is compared in the mode sound only"));
    };
    asked.check_names(&[Some(reference), Some(current), labels])?;
    let plan = plan(&[Some(reference), labels, Some(current)], asked, request)?;
    let labels = labels.map(|source| Labels::read(source, asked, plan.task, request.threads)).transpose()?;
    let of_current = labels.as_ref();
    let of_reference = of_current.filter(|_| !has_column(reference, &asked.target));
    let read = |source: &Source, labels: Option<&Labels>, is_reference: bool| match source.as_profile() {
        Some(profile) => match profile.performance() {
            Some(measures) if !measures.is_of(&asked.target, &asked.prediction) => {
                let name = |name: &Option<String>| name.clone().unwrap_or_default();
                let (target, prediction) = (name(&measures.target), name(&measures.prediction));
                Ok(Err(format!(
                    "is a profile made with --target {target} --prediction {prediction}, of other columns"
                )))
            }
            Some(measures) => Ok(Ok(Side { measures: measures.clone(), sample: None })),
            None => Ok(Err("is a profile made without --target and --prediction".to_owned())),
        },
        None => answers::read(source, labels, asked, &plan, is_reference, request.threads),
    };
    let sides = [read(reference, of_reference, true)?, read(current, of_current, false)?];
    let [r, c] = match sides {
        [Ok(r), Ok(c)] => [r, c],
        [Err(why), _] => return Ok(stopped(&format!("The reference {why}."))),
        [_, Err(why)] => return Ok(stopped(&format!("The current data {why}."))),
    };
    let mut compared = compare(&r, &c, options);
    if let Some(labels) = labels.as_ref().filter(|labels| labels.match_none()) {
        let why = format!("None of {} labels has the id of a row.", labels.len());
        compared.findings.retain(|finding| finding.column != performance::PREFIX);
        compared.findings.push(Finding::stopped("performance: labels", Verdict::Invalid, &why));
    }
    let report = PerformanceReport {
        task: plan.task,
        target: asked.target.clone(),
        prediction: asked.prediction.clone(),
        probabilities_of: plan.probabilities.into_iter().map(|(class, _)| class).collect(),
        reference: Answered::of(&r),
        current: Answered::of(&c),
        labels: labels.map(|labels| labels.report()),
        metrics: compared.metrics,
        estimate: compared.estimate,
        confusion: compared.confusion,
    };
    Ok(Examined { findings: compared.findings, report: Some(report) })
}

/// What is to be kept of the performance of a table in its profile. Errors: as for [`examine`], or a column is missing.
pub(super) fn measure(
    source: &Source,
    labels: Option<&Source>,
    asked: &Performance,
    request: &Request,
) -> Result<Measures> {
    asked.check_names(&[Some(source), labels])?;
    let plan = plan(&[Some(source), labels], asked, request)?;
    let labels = labels.map(|source| Labels::read(source, asked, plan.task, request.threads)).transpose()?;
    let side = answers::read(source, labels.as_ref(), asked, &plan, true, request.threads)?;
    let side = side.map_err(|why| Error::invalid("performance_column", format!("the data {why}")))?;
    Ok(side.measures.of_columns(&asked.target, &asked.prediction))
}

/// What a side's rows are read for.
struct Plan {
    task: Task,
    /// Classes with the columns of their probabilities, by class.
    probabilities: Vec<(String, String)>,
}

/// The task that is said, or what a profile says, or what probabilities or the target look like.
fn plan(sources: &[Option<&Source>], asked: &Performance, request: &Request) -> Result<Plan> {
    let probabilities = asked.probabilities()?;
    let sources = || sources.iter().copied().flatten();
    let of_profile = sources().find_map(|source| source.as_profile()?.performance()).map(|it| match it.of {
        Of::Classification(_) => Task::Classification,
        Of::Regression(_) => Task::Regression,
    });
    let of_probabilities = (!probabilities.is_empty()).then_some(Task::Classification);
    let task = match asked.task.or(of_profile).or(of_probabilities) {
        Some(task) => task,
        None => {
            let has = |source: &&Source| source.table().is_some() && has_column(source, &asked.target);
            let kind = match (request.kinds.get(&asked.target), sources().find(has)) {
                (Some(kind), _) => Some(*kind),
                (None, Some(source)) => kind_of(source, &asked.target)?,
                (None, None) => None,
            };
            if kind == Some(Kind::Numeric) { Task::Regression } else { Task::Classification }
        }
    };
    if task == Task::Regression && !probabilities.is_empty() {
        return Err(Error::invalid("performance_task", "predicted numbers have no probabilities of classes"));
    }
    Ok(Plan { task, probabilities })
}

fn kind_of(source: &Source, column: &str) -> Result<Option<Kind>> {
    let Some(table) = source.table() else { return Ok(None) };
    let inferred = super::side::guarded(|| infer_some(table, &[column], tables::Rules::Own))?;
    Ok(inferred.first().and_then(|inferred| inferred.kind))
}

fn has_column(source: &Source, name: &str) -> bool {
    source.names().contains(&name)
}

fn stopped(why: &str) -> Examined {
    let finding = Finding::stopped(performance::PREFIX, Verdict::Invalid, why);
    Examined { findings: vec![finding], report: None }
}

/// Which columns are compared as data: not the ids, and the target only where both sides have it.
pub(super) fn leave_data(kinds: &mut BTreeMap<String, Kind>, asked: &Performance, sources: &[&Source]) {
    if let Some(id) = &asked.id {
        kinds.remove(id);
        kinds.remove(&Derived::hash_of(id));
    }
    if !sources.iter().all(|source| has_column(source, &asked.target)) {
        kinds.remove(&asked.target);
    }
}
