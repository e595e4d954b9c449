//! Points 3 to 9: how it is watched, governed and changed.

use super::{Point, by, code, inline, list, moment, source, testing};
use crate::{
    dossier::facts::Step,
    model::{
        contract::Change,
        evidence::{Decision, DriftVerdict, EvidenceKind, Statement},
        promotion::MoveKind,
    },
};

pub(super) fn functioning(point: &mut Point<'_>) {
    let facts = point.facts;
    point.card(&["limitations"], "its capabilities and limitations in performance");
    let suites: std::collections::BTreeSet<&str> =
        facts.evaluations().map(|(_, evaluation)| evaluation.suite.as_str()).collect();
    match suites.is_empty() {
        true => {
            let filler = point.attach("RESULTS.json");
            point.gap("no measurement says how accurate it is, overall or for groups of persons", filler);
        }
        false => point.fact(format!("accuracy was measured on the suites {}; see point 2(g)", list(suites))),
    }
    point.card(
        &["risks", "ethical_considerations"],
        "which unintended outcomes and sources of risk are foreseeable",
    );
    point.card(&["human_oversight"], "which measures of human oversight are in place");
    point.fact(format!(
        "specification of the input, by the contract {}:",
        code(&facts.document.contract.digest)
    ));
    point.page.json(&facts.document.contract.input);
    for step in facts.moves.iter().filter(|step| step.ended.is_none()) {
        point.fact(format!("it is in {} now, since {}", step.stage, moment(step.at)));
    }
}

pub(super) fn metrics(point: &mut Point<'_>) {
    let facts = point.facts;
    let names: std::collections::BTreeSet<&str> =
        facts.evaluations().flat_map(|(_, one)| one.metrics.keys().map(String::as_str)).collect();
    if !names.is_empty() {
        point.fact(format!("metrics measured: {}", list(names)));
    }
    point.card(&["metrics_rationale"], "why these metrics are appropriate for this system");
}

pub(super) fn risks(point: &mut Point<'_>) {
    let facts = point.facts;
    point.card(&["risk_management"], "which risks were identified, and how they are managed");
    for (scope, digest) in &facts.policies {
        point.fact(format!("policy of {}: {}", inline(scope), code(digest)));
    }
    for asked in &facts.asked {
        let gates = if asked.gates.is_empty() { "none".to_owned() } else { list(&asked.gates) };
        let roles = list(asked.roles.iter().map(|role| role.name()));
        point.fact(format!(
            "to enter {}: gates: {gates}; promoted by the roles {roles}; policy {}, rules {}",
            asked.stage,
            code(&asked.policy),
            code(&asked.rules)
        ));
    }
    for step in &facts.moves {
        if let Some((document, report)) = &step.report {
            let outcome = testing::word(report.outcome);
            let (stage, version) = (&step.stage, &step.version);
            point.fact(format!("{version} entered {stage}, gates: {outcome}; report {}", code(document)));
            report.gates.iter().for_each(|gate| point.fact(testing::said(gate)));
        }
    }
    for waiting in &facts.waiting {
        let (stage, document) = (&waiting.stage, code(&waiting.judgement));
        point.fact(format!(
            "it waits to enter {stage}, asked for {}; report {document}",
            by(&waiting.by, waiting.at)
        ));
        waiting.report.gates.iter().for_each(|gate| point.fact(testing::said(gate)));
    }
    for evidence in facts.said(EvidenceKind::Approval) {
        let Statement::Approval(approval) = &evidence.statement else { continue };
        let what = match approval.decision {
            Decision::Approve => "approved",
            Decision::Reject => "rejected",
        };
        let (stage, message) = (&approval.stage, inline(&approval.message));
        point.fact(format!("{what} for {stage}: {message}; {}", source(evidence)));
    }
    for evidence in facts.said(EvidenceKind::Imported) {
        let Statement::Imported(imported) = &evidence.statement else { continue };
        point.fact(format!("{}; {}", inline(&imported.sentence()), source(evidence)));
    }
}

pub(super) fn lifecycle(point: &mut Point<'_>) {
    let facts = point.facts;
    match &facts.changes {
        None => point.fact("no lower version stands that it could be compared with"),
        Some(changes) => {
            let (since, what) = (&changes.since, change(changes.diff.change));
            point.fact(format!("the contract since {since}: {what}"));
            for entry in &changes.diff.entries {
                let (path, reason) = (inline(&entry.path), inline(&entry.reason));
                point.fact(format!("{} of {} at {path}: {reason}", change(entry.change), entry.side));
            }
        }
    }
    for step in &facts.moves {
        moved(point, step);
    }
    if facts.moves.is_empty() {
        let filler = format!("`gradus promote {} --to STAGE`", facts.reference());
        point.gap("it has not entered any stage", filler);
    }
    if let Some((at, reason)) = &facts.yanked {
        point.fact(format!("withdrawn (yanked) at {}: {}", moment(*at), inline(reason)));
    }
    let names = ["changes", "changelog"];
    // Of a first version there is nothing to tell but what is above.
    if !facts.earlier.is_empty() || facts.part(&names).is_some() {
        point.card(&names, "which changes the provider made to the system through its lifecycle");
    }
}

fn moved(point: &mut Point<'_>, step: &Step) {
    let reason = |reason: &Option<String>| {
        reason.as_deref().map(|reason| format!(", because: {}", inline(reason))).unwrap_or_default()
    };
    let what = match step.kind {
        MoveKind::Promoted => "promoted to",
        MoveKind::Overridden => "promoted against its gates to",
        MoveKind::RolledBack => "came back by a rollback to",
    };
    let before = step.from.as_ref().map(|from| format!(", in the place of {from}")).unwrap_or_default();
    let (version, stage, number) = (&step.version, &step.stage, step.number);
    let (who, why) = (by(&step.by, step.at), reason(&step.reason));
    point.fact(format!("{version} {what} {stage} (move {number}) {who}{before}{why}"));
    if step.kind == MoveKind::Overridden {
        match &step.ratified {
            Some((who, at)) => point.fact(format!("that override was ratified {}", by(who, *at))),
            None => point.gap(
                format!("nobody has ratified the override that moved {stage}"),
                format!("`gradus ratify {}:{stage}` by somebody else", point.facts.workload),
            ),
        }
    }
    if let Some(ended) = &step.ended {
        let how = if ended.kind == MoveKind::RolledBack { "rolled back" } else { "followed by" };
        let (to, who, why) = (&ended.to, by(&ended.by, ended.at), reason(&ended.reason));
        point.fact(format!("{version} left {stage}: {how} {to} {who}{why}"));
    }
}

pub(super) fn standards(point: &mut Point<'_>) {
    point.card(&["standards"], "which harmonised standards or other solutions were applied");
}

pub(super) fn declaration(point: &mut Point<'_>) {
    point.card(
        &["declaration_of_conformity"],
        "that there is an EU declaration of conformity, and where its copy is",
    );
}

pub(super) fn post_market(point: &mut Point<'_>) {
    let facts = point.facts;
    let mut is_watched = false;
    for evidence in facts.evidence.iter().rev() {
        let text = match &evidence.statement {
            Statement::DriftReport(report) => {
                let verdict = match report.verdict {
                    DriftVerdict::Clear => "no drift",
                    DriftVerdict::Drift => "drift",
                    DriftVerdict::Unclear => "too little data to tell",
                };
                format!("monitor {}: {verdict}", inline(&report.monitor))
            }
            Statement::DeploymentHealth(health) => {
                let state = health.state();
                format!("deployment {}: {state}", inline(&health.target))
            }
            _ => continue,
        };
        is_watched = true;
        point.fact(format!("{text}; {}", source(evidence)));
    }
    if !is_watched {
        let filler = "a drift check of the stage it is in, or reports of its deployments";
        point.gap("nothing has been observed of it in use", filler);
    }
    point.card(
        &["post_market_monitoring"],
        "how its performance is evaluated after it is placed on the market, and by which plan",
    );
}

pub(super) fn change(change: Change) -> &'static str {
    match change {
        Change::Equal => "unchanged",
        Change::Minor => "compatible change",
        Change::Major => "breaking change",
    }
}
