//! Everything gates look at, read from the database: once before judging, and again before committing if anything
//! has changed meanwhile.

use super::{
    Context,
    resolve::{contract_of, document_of},
};
use crate::{
    db::{
        Tx, cards, evidence, manifests, monitors, namespaces, policies, principals, stages,
        versions::{self, VersionRow},
    },
    error::{Error, Result},
    gates::{Effective, Facts, Freeze, Honesty, Rules, Stay, Subject},
    kinds::Inspection,
    model::{
        contract,
        digest::Digest,
        evidence::{Evidence, Statement},
        name::{PrincipalName, Workload},
        stage::Stage,
    },
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be judged.
pub(super) struct Question<'a> {
    pub row: &'a VersionRow,
    pub effective: &'a Effective,
    pub rules: &'a Rules<'a>,
    /// Whoever wants the stage moved: how they stand matters too.
    pub requester: &'a PrincipalName,
    pub now: DateTime<Utc>,
    /// Also results example by example, where they may be compared. They are named by what was read without them.
    pub with_examples: bool,
}

pub(super) async fn facts(cx: &Context, tx: &mut Tx, question: &Question<'_>) -> Result<Facts> {
    let Question { row, effective, rules, now, .. } = question;
    let (workload, stage) = (&row.workload, &rules.stage);
    let current = match stages::holds(tx, workload, stage).await? {
        Some(version) => versions::find(tx, workload, &version).await?,
        None => None,
    };
    let mut candidate = subject(tx, row).await?;
    let mut now_there = match &current {
        Some(current) => Some(subject(tx, current).await?),
        None => None,
    };
    if question.with_examples
        && let Some(there) = &mut now_there
    {
        load_examples(tx, workload, &mut candidate, there).await?;
    }
    let said = candidate.evidence.iter().chain(now_there.iter().flat_map(|there| &there.evidence));
    let mut people: BTreeSet<PrincipalName> = said.map(|evidence| evidence.by.clone()).collect();
    people.insert(question.requester.clone());
    let namespace = workload.namespace();
    let stays = stages::stays(tx, workload, &row.digest).await?;
    let store = namespaces::find(tx, &namespace).await?.map(|namespace| namespace.store);
    Ok(Facts {
        now: *now,
        workload: workload.to_string(),
        tier: row.tier,
        stage: stage.clone(),
        before: rules.before.clone(),
        rules: rules.digest.clone(),
        contract: current.as_ref().map(|current| honesty(row, current)).transpose()?,
        current: now_there,
        authors: manifests::authors(tx, &namespace, &row.digest).await?,
        people: principals::standing(tx, &namespace, &people).await?,
        stays: stays.into_iter().map(|(stage, from, until)| Stay { stage, from, until }).collect(),
        rolled_back_from: stages::rolled_back_from(tx, workload, &row.digest).await?,
        freezes: freezes(tx, workload, effective, stage, *now).await?,
        region: store
            .and_then(|store| cx.stores.get(&store).ok().map(|store| store.region.clone()))
            .unwrap_or_default(),
        yanked: versions::yanked_of(tx, workload, &row.digest).await?,
        blocks: super::monitors::blocks(tx, workload, &row.digest, *now).await?,
        card: cards::find(tx, workload).await?.map(|row| row.card),
        quarantines: super::quarantine::on(cx, tx, row).await?,
        candidate,
    })
}

/// What is known of a version that is being made: nobody has said anything about it yet.
pub(super) fn of_new(
    row: &VersionRow,
    inspection: &Inspection,
    rules: &Rules<'_>,
    author: &PrincipalName,
    now: DateTime<Utc>,
) -> Result<Facts> {
    let mut candidate = bare_subject(row)?;
    candidate.inspection = inspection.clone();
    Ok(Facts {
        now,
        workload: row.workload.to_string(),
        tier: row.tier,
        stage: rules.stage.clone(),
        before: rules.before.clone(),
        rules: rules.digest.clone(),
        candidate,
        current: None,
        contract: None,
        authors: [author.clone()].into(),
        people: BTreeMap::new(),
        stays: Vec::new(),
        rolled_back_from: BTreeSet::new(),
        freezes: Vec::new(),
        region: String::new(),
        yanked: None,
        blocks: Vec::new(),
        card: None,
        quarantines: Vec::new(),
    })
}

fn bare_subject(row: &VersionRow) -> Result<Subject> {
    let document = document_of(row)?;
    let lint_errors = match &row.lint_errors {
        Some(list) => serde_json::from_str(list).map_err(|_| {
            Error::corrupt(
                "versions",
                format!("{}:{}", row.workload, row.version),
                "the lints cannot be read",
            )
        })?,
        None => Vec::new(),
    };
    Ok(Subject {
        version: row.version.clone(),
        digest: row.digest.clone(),
        base: document.lineage.base,
        datasets: document.lineage.datasets,
        inspection: Inspection::default(),
        lint_errors,
        evidence: Vec::new(),
        examples: BTreeMap::new(),
    })
}

async fn subject(tx: &mut Tx, row: &VersionRow) -> Result<Subject> {
    let mut subject = bare_subject(row)?;
    let unreadable = || Error::corrupt("inspections", &row.digest, "the inspection cannot be read");
    let report = manifests::find_inspection(tx, &row.digest).await?.ok_or_else(unreadable)?;
    subject.inspection = serde_json::from_str(&report).map_err(|_| unreadable())?;
    subject.evidence = evidence::about(tx, &row.workload, &row.digest).await?;
    let is_report = |evidence: &Evidence| matches!(evidence.statement, Statement::DriftReport(_));
    if subject.evidence.iter().any(is_report) {
        // What a monitor said that was taken away since speaks neither for nor against anything.
        let names = monitors::names(tx, &row.workload).await?;
        subject.evidence.retain(|evidence| match &evidence.statement {
            Statement::DriftReport(report) => names.contains(&report.monitor),
            _ => true,
        });
    }
    Ok(subject)
}

/// Most bytes of results example by example, as they are stored, that one judgement reads of a version. Without them
/// their evaluations are compared by what they say in sum.
const EXAMPLES_MAX: i64 = 16 << 20;

/// The examples of the newest evaluations on suites that both have.
pub(super) async fn load_examples(
    tx: &mut Tx,
    workload: &Workload,
    one: &mut Subject,
    other: &mut Subject,
) -> Result<()> {
    let suites = |subject: &Subject| -> BTreeSet<String> {
        subject
            .evidence
            .iter()
            .filter_map(|evidence| match &evidence.statement {
                Statement::Evaluation(evaluation) if !evaluation.with_examples.is_empty() => {
                    Some(evaluation.suite.clone())
                }
                _ => None,
            })
            .collect()
    };
    let both: BTreeSet<String> = suites(one).intersection(&suites(other)).cloned().collect();
    for subject in [one, other] {
        let mut left = EXAMPLES_MAX;
        for digest in compared(subject, &both) {
            if let Some((size, examples)) = evidence::examples(tx, workload, &digest, left).await? {
                left -= size;
                subject.examples.insert(digest, examples);
            }
        }
    }
    Ok(())
}

/// The evaluations with examples that a gate may come to compare, newest first: of each metric the newest that each person
/// attached, since a gate may count some people's only.
fn compared(subject: &Subject, suites: &BTreeSet<String>) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for evidence in subject.evidence.iter().rev() {
        let Statement::Evaluation(evaluation) = &evidence.statement else { continue };
        if !suites.contains(&evaluation.suite) {
            continue;
        }
        let metrics = evaluation.with_examples.iter();
        let new = metrics.filter(|metric| {
            seen.insert((&evaluation.suite, &evaluation.suite_digest, *metric, &evidence.by))
        });
        if new.count() > 0 {
            found.push(evidence.digest.clone());
        }
    }
    found
}

/// Whether the number of the newer of two versions claims what the contract changed between them.
fn honesty(candidate: &VersionRow, current: &VersionRow) -> Result<Honesty> {
    let (older, newer) = match candidate.version < current.version {
        true => (candidate, current),
        false => (current, candidate),
    };
    if older.contract == newer.contract {
        return Ok(Honesty {
            is_honest: true,
            reason: format!("the contract is that of {}", current.version),
        });
    }
    let diff = contract::diff(&contract_of(older)?, &contract_of(newer)?);
    let needed = super::number::needed_bump(&diff, &older.version);
    let is_honest = newer.version.claims_over(&older.version) >= needed;
    let what = if is_honest { "claims" } else { "does not claim" };
    let reason =
        format!("{} {what} the {needed} change of the contract since {}", newer.version, older.version);
    Ok(Honesty { is_honest, reason })
}

pub(super) async fn freezes(
    tx: &mut Tx,
    workload: &Workload,
    effective: &Effective,
    stage: &Stage,
    now: DateTime<Utc>,
) -> Result<Vec<Freeze>> {
    let rows = policies::freezes(tx, workload.as_str(), now).await?;
    Ok(freezes_of(effective, stage, rows.iter(), now))
}

/// The same, of rows that were read.
pub(super) fn freezes_of<'a>(
    effective: &Effective,
    stage: &Stage,
    rows: impl Iterator<Item = &'a policies::FreezeRow>,
    now: DateTime<Utc>,
) -> Vec<Freeze> {
    let windows = effective.freezes_of(stage).filter(|window| window.until > now);
    let mut freezes: Vec<Freeze> = windows
        .map(|window| Freeze { from: window.from, until: Some(window.until), reason: window.reason.clone() })
        .collect();
    for row in rows {
        let covers = match &row.stage {
            Some(frozen) => frozen == stage,
            None => effective.freezes_by_default(stage),
        };
        if covers {
            freezes.push(Freeze {
                from: row.made_at,
                until: row.until,
                reason: format!("{} ({})", row.reason, row.made_by),
            });
        }
    }
    freezes
}
