//! Whatever else a policy wants to ask, as an expression in CEL, the Common Expression Language.
//!
//! A rule comes from a policy, which many may write, and is judged on every promotion, so its cost is bounded before
//! it runs: the source's length, how deep it nests, macros within macros, and what they run over.

use super::{Definition, Facts, Gate, Source, Subject, Verdict, approvals::Decisions, attach, define, soak};
use crate::kinds::Safety;
use crate::model::{
    access::Role,
    digest::shorten,
    evidence::{Evidence, EvidenceKind, Metric, Statement},
};
use bounds::Cost;
use cel::{Context, IdedExpr, Value};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

mod bounds;

pub const GATE: Definition = define::<Expression>(
    "expression",
    "An expression in CEL over the facts is true.",
    // It may ask about facts that need none.
    None,
);

const MAX_BYTES: usize = 2_000;
/// Most entries of everything an expression can see.
const MAX_ENTRIES: usize = 5_000;
/// Most steps of one evaluation, by a rough upper bound.
const MAX_STEPS: usize = 20_000_000;

/// What an expression can name.
const VARIABLES: [&str; 16] = [
    "version",
    "tier",
    "kind",
    "digest",
    "base",
    "datasets",
    "parameters",
    "safety",
    "formats",
    "current",
    "metrics",
    "stage",
    "approvals",
    "authors",
    "hours_in_previous_stage",
    "region",
];

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Expression {
    /// True lets the version in, false does not; anything else waits. It can use `version`, `tier`, `kind`, `digest`,
    /// `base` (or null), `datasets` (a list of maps of name and digest), `parameters` (or null), `safety`, `formats`;
    /// `current` (null, or the same about the version now in the stage); `metrics` (suite, then metric, then `value`
    /// and `n`; the newest that count); `stage`, `approvals` (how many; none are given unless a gate `approvals` of the
    /// same rule asks for them), `authors`, `hours_in_previous_stage` and `region`. For example
    /// `metrics.triage.accuracy.value >= 0.9 || size(datasets) > 2`.
    #[schemars(with = "String", length(max = 2000))]
    rule: Rule,
    /// What to say where it is not true.
    #[serde(default)]
    reason: Option<String>,
    /// Whose evaluations count; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

/// An expression, compiled.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Rule {
    source: String,
    expression: IdedExpr,
    cost: Cost,
}

impl TryFrom<String> for Rule {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        if source.len() > MAX_BYTES {
            return Err(format!(
                "the expression has {} bytes, at most {MAX_BYTES} are allowed",
                source.len()
            ));
        }
        let (expression, cost) = bounds::compile(&source, &VARIABLES)?;
        Ok(Self { source, expression, cost })
    }
}

/// Text as a value.
fn text(text: impl ToString) -> Value {
    Value::from(text.to_string())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::from(HashMap::from(entries))
}

/// A count as CEL's `int`, the type of its plain numbers.
fn int(count: u64) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn of_subject(subject: &Subject) -> Vec<(&'static str, Value)> {
    let found = &subject.inspection;
    let datasets: Vec<Value> = subject
        .datasets
        .iter()
        .map(|dataset| map([("name", text(&dataset.name)), ("digest", text(&dataset.digest))]))
        .collect();
    let safety = match found.safety {
        Safety::Safe => "safe",
        Safety::Unsafe => "unsafe",
        Safety::Unknown => "unknown",
    };
    vec![
        ("version", text(&subject.version)),
        ("tier", text(found.tier.name())),
        ("kind", text(found.kind.name())),
        ("digest", text(&subject.digest)),
        ("base", subject.base.as_ref().map_or(Value::Null, text)),
        ("datasets", Value::from(datasets)),
        ("parameters", found.parameters.map_or(Value::Null, int)),
        ("safety", text(safety)),
        ("formats", Value::from(found.formats.iter().map(text).collect::<Vec<_>>())),
    ]
}

type Metrics<'a> = BTreeMap<&'a str, BTreeMap<&'a str, (&'a Evidence, &'a Metric)>>;

impl Expression {
    fn metrics<'a>(&'a self, facts: &'a Facts) -> Metrics<'a> {
        let mut metrics = Metrics::new();
        for evidence in facts.evidence(EvidenceKind::Evaluation, &self.from) {
            if let Statement::Evaluation(evaluation) = &evidence.statement {
                let suite = metrics.entry(&evaluation.suite).or_default();
                suite.extend(
                    evaluation.metrics.iter().map(|(name, metric)| (name.as_str(), (evidence, metric))),
                );
            }
        }
        metrics
    }

    fn variables(
        &self,
        facts: &Facts,
        metrics: &Metrics<'_>,
        approvals: usize,
    ) -> Vec<(&'static str, Value)> {
        let measured = |(evidence_and_metric, name): (&(&Evidence, &Metric), &str)| {
            let metric = evidence_and_metric.1;
            let n = metric.n.map_or(Value::Null, int);
            (name.to_owned(), map([("value", Value::Float(metric.value)), ("n", n)]))
        };
        let suites: HashMap<String, Value> = metrics
            .iter()
            .map(|(suite, metrics)| {
                let metrics: HashMap<String, Value> =
                    metrics.iter().map(|(name, metric)| measured((metric, name))).collect();
                ((*suite).to_owned(), Value::from(metrics))
            })
            .collect();
        let current = facts.current.as_ref().map_or(Value::Null, |current| {
            Value::from(of_subject(current).into_iter().collect::<HashMap<&str, Value>>())
        });
        let hours = facts.before.as_ref().and_then(|before| soak::longest(facts, before)).unwrap_or(0.0);
        let mut variables = of_subject(&facts.candidate);
        variables.extend([
            ("current", current),
            ("metrics", Value::from(suites)),
            ("stage", text(&facts.stage)),
            ("approvals", int(approvals as u64)),
            ("authors", Value::from(facts.authors.iter().map(text).collect::<Vec<_>>())),
            ("hours_in_previous_stage", Value::Float(hours)),
            ("region", text(&facts.region)),
        ]);
        variables
    }
}

impl Gate for Expression {
    fn judge(&self, facts: &Facts) -> Verdict {
        let Rule { source, expression, cost } = &self.rule;
        let metrics = self.metrics(facts);
        let decisions = Decisions::sort_out(facts, &[Role::Approver, Role::Releaser, Role::Admin]);
        let measured: BTreeMap<_, _> = metrics
            .values()
            .flat_map(BTreeMap::values)
            .map(|(evidence, _)| (&evidence.digest, *evidence))
            .collect();
        let used: Vec<&Evidence> = cost
            .names
            .iter()
            .flat_map(|name| match name.as_str() {
                "metrics" => measured.values().copied().collect(),
                "approvals" => decisions.valid.clone(),
                _ => Vec::new(),
            })
            .collect();
        let subjects = [Some(&facts.candidate), facts.current.as_ref()];
        let lists = subjects.into_iter().flatten().map(|subject| subject.datasets.len()).max().unwrap_or(0);
        let entries =
            lists + facts.authors.len() + metrics.values().map(|suite| 1 + suite.len()).sum::<usize>();
        if entries > MAX_ENTRIES || cost.steps(entries) > MAX_STEPS {
            return Verdict::wait(format!("{entries} facts are too many for the rule: {}", shorten(source)))
                .by(used);
        }
        let mut context = Context::default();
        for (name, value) in self.variables(facts, &metrics, decisions.valid.len()) {
            context.add_variable_from_value(name, value);
        }
        // A mistake in the crate must not take a promotion down with it.
        let value = catch_unwind(AssertUnwindSafe(|| Value::resolve(expression, &context)));
        let rule = shorten(source);
        match value {
            Ok(Ok(Value::Bool(true))) => Verdict::pass(format!("it is true: {rule}")),
            Ok(Ok(Value::Bool(false))) => match &self.reason {
                Some(reason) => Verdict::fail(format!("{reason}: {rule}")),
                None => Verdict::fail(format!("it is not true: {rule}")),
            },
            Ok(Ok(other)) => {
                Verdict::wait(format!("it is neither true nor false but {}: {rule}", other.type_of()))
            }
            Ok(Err(error)) => Verdict::wait(format!("{}, in: {rule}", shorten(&error.to_string())))
                .next(attach(facts, EvidenceKind::Evaluation)),
            Err(_) => Verdict::wait(format!("it cannot be evaluated: {rule}")),
        }
        .by(used)
    }
}

#[cfg(test)]
mod tests;
